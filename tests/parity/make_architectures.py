#!/usr/bin/env python3
"""Writes tests/parity/goldens/arch-*.gguf: an encoder of each architecture, without a tokenizer, and what transformers' own class makes of
token ids. Run by hand, in a Python that has torch and transformers (2.13.0 and 5.24.0 made what is here).

    python3 tests/parity/make_architectures.py
"""
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent / "layouts")]

import architectures  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from weights_converter.checkpoint import read_json  # noqa: E402
from weights_converter.kinds import bert  # noqa: E402
from weights_converter.model import Model  # noqa: E402
from weights_converter.source import Source  # noqa: E402

VOCABULARY = 40
LENGTHS = (1, 2, 3, 7, 16, 33)
SAME_AS_OTHERS = ("xlm-roberta", "camembert", "llama")


def main():
    for name in architectures.ARCHITECTURES:
        if name in SAME_AS_OTHERS:
            continue
        made = architectures.make(name, VOCABULARY)
        with tempfile.TemporaryDirectory() as folder:
            made.save_pretrained(folder)
            path = f"{folder}/config.json"
            config, source = read_json(path), Source(folder)
            model = Model("f32", name)
            bert._add_weights(model, source.state, config, path, bert.check_family(config, path), None)
        rng = np.random.default_rng(11)
        ids = [rng.integers(4, VOCABULARY, length) for length in LENGTHS]
        with torch.no_grad():
            states = [made.double()(input_ids=torch.tensor(each[None]), attention_mask=torch.ones(1, len(each), dtype=torch.long))
                      .last_hidden_state[0].numpy() for each in ids]
        model.key("golden.ids", [int(i) for each in ids for i in each], "[i32]")
        model.key("golden.lengths", list(LENGTHS), "[i32]")
        model.exact("golden.states", np.concatenate(states).astype(np.float32))
        out = HERE / "goldens" / "architectures" / f"{name}.gguf"
        out.parent.mkdir(exist_ok=True)
        model.write(str(out))
        print(out.name, out.stat().st_size, "largest state", round(float(np.abs(np.concatenate(states)).max()), 2))


if __name__ == "__main__":
    main()
