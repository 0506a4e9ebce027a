"""The real GRU recommender of the assets, through the converter and the C++ example, against PyTorch (or numpy).

    python3 tests/parity/movielens_check.py EXAMPLE_PROGRAM

Converts the checkpoint, lets the program rank all test cases, and compares every top-10 list, its logits (to 1e-5) and
the hit rate (8 of 95) with torch.nn.GRU on the checkpoint's own tensors; without torch, with the converter's numpy reference on the model file.
Ends with 77 (skipped) where the assets are absent.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))
from weights_converter.kinds.items import Reference  # noqa: E402
from weights_converter.safetensors import SafeTensors  # noqa: E402

EXPECTED_HITS, CASES, TOLERANCE = 8, 95, 1e-5


def torch_scores(weights, histories):
    """Logits [cases, items] of the model as it was trained; None without torch."""
    try:
        import torch
    except ImportError:
        return None
    state = {name: torch.from_numpy(np.array(value)) for name, value in SafeTensors(str(weights)).items()}
    gru = torch.nn.GRU(64, 64, batch_first=True)
    gru.load_state_dict({name[4:]: value for name, value in state.items() if name.startswith("gru.")})
    with torch.no_grad():
        last = [gru(state["item_embeddings.weight"][history][None])[0][0, -1] for history in histories]
        return (torch.stack(last) @ state["s_fc.weight"].T + state["s_fc.bias"]).numpy()


def numpy_scores(model, histories):
    reference = Reference.of_file(model)
    events = reference.item_events()
    return np.array([reference.scores(events, history) for history in histories])


def main(program):
    assets = Path(os.environ.get("RANKLET_ASSETS", REPOSITORY.parent / "shared" / "assets"))
    folder = assets / "checkpoints" / "gru-movielens"
    if not folder.is_dir():
        print(f"skipping: no {folder}")
        return 77
    cases = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    histories = [case["history"] for case in cases]
    with tempfile.TemporaryDirectory() as scratch:
        model, lines = f"{scratch}/movies.gguf", f"{scratch}/cases.txt"
        subprocess.run([sys.executable, "-m", "weights_converter", str(folder / "model.safetensors"), model],
                       cwd=REPOSITORY, check=True)
        Path(lines).write_text("".join(f"{c['next']} {' '.join(map(str, c['history']))}\n" for c in cases))
        output = subprocess.run([program, "--model", model, "--test", lines], check=True, capture_output=True,
                                encoding="utf-8").stdout.splitlines()
        scores = torch_scores(folder / "model.safetensors", histories)
        oracle = "torch" if scores is not None else "numpy"
        if scores is None:
            scores = numpy_scores(model, histories)
    pairs = [[pair.split(":") for pair in line.split()] for line in output[-len(cases) - 1:-1]]
    found = [[int(item) for item, _ in row] for row in pairs]
    off = max(abs(float(logit) - row[int(item)]) / max(1.0, abs(row[int(item)]))
              for case, row in zip(pairs, scores) for item, logit in case)
    # Score descending, then index ascending, as the library ranks.
    expected = [np.lexsort((np.arange(len(row)), -row))[:10].tolist() for row in scores]
    hits = sum(case["next"] in ranked for case, ranked in zip(cases, found))
    wrong = [n for n, (a, b) in enumerate(zip(found, expected)) if a != b]
    print(f"{len(cases)} cases against {oracle}: {len(wrong)} lists differ, logits by at most {off:.1e}; {output[-1]}")
    good = off <= TOLERANCE and not wrong and len(found) == len(cases) == CASES and hits == EXPECTED_HITS
    return 0 if good and output[-1] == f"HR@10: {EXPECTED_HITS} of {CASES}" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
