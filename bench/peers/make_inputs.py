#!/usr/bin/env python3
"""Makes what all engines read: checkpoints, model files, ONNX graphs, texts with their token ids, GRU weights, vectors.

    python3 bench/peers/make_inputs.py PEERS_FOLDER

Needs $RANKLET_ASSETS (else ../shared/assets beside the repository) with tokenizers/all-minilm-l6-v2-tokenizer.json,
tokenizers/bert-base-uncased-vocab.txt and corpora/books.tsv (title in the first column), and the npm packages of
package.json in PEERS_FOLDER/node. Weights and vectors are random with fixed seeds; texts are real titles. What was made
before by the same scripts is kept. ranklet's i8 model files are left out where the converter refuses them.
"""
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx

import graphs

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
CHECKPOINTS = {"MiniLM-L6": "all-MiniLM-L6-v2", "BERT-base": "bert-base-uncased"}
LENGTHS, EQUAL_TEXTS = (8, 16, 32, 128), 32
CATALOG_TEXTS, SHORTEST, LONGEST = 1000, 5, 64
GRU_SIZES, GRU_STEPS, GRU_SEQUENCES = (384, 768), 50, 32
ROWS, DIM, USERS = 1_000_000, 384, 32


def run(*command):
    subprocess.run([str(word) for word in command], check=True, cwd=REPOSITORY)


def write_lines(path, lines):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def tokenize(root, texts, out):
    """Hugging Face's ids of the texts, one line each."""
    command = f"tokenize tokenizer={root}/checkpoints/all-MiniLM-L6-v2/tokenizer.json texts={texts} count=1000000000 max_length=256 out={out}\n"
    reply = subprocess.run(["node", str(HERE / "peer_node.mjs"), str(root)], input=command, text=True, check=True,
                           stdout=subprocess.PIPE).stdout
    if json.loads(reply) != {}:
        raise SystemExit(f"tokenizing {texts}: {reply}")


def make_texts(root, books):
    inputs = root / "inputs"
    titles = [line.split("\t")[0].strip() for line in books.read_text(encoding="utf-8").split("\n")[1:]]
    titles = [title for title in titles if title]
    write_lines(inputs / "titles.txt", titles)
    tokenize(root, inputs / "titles.txt", inputs / "titles.ids")
    ids = (inputs / "titles.ids").read_text().split("\n")[:-1]

    chosen = [i for i, row in enumerate(ids) if SHORTEST <= len(row.split()) <= LONGEST][:CATALOG_TEXTS]
    write_lines(inputs / "catalog.txt", [titles[i] for i in chosen])
    write_lines(inputs / "catalog.ids", [ids[i] for i in chosen])
    order = sorted(range(len(chosen)), key=lambda i: len(ids[chosen[i]].split()))
    write_lines(inputs / "catalog-sorted.ids", [ids[chosen[i]] for i in order])
    write_lines(inputs / "catalog-sorted.order", [str(i) for i in order])

    # Equal lengths: the titles' words that are one token each, so that a text's length is known.
    vocabulary = json.loads((root / "checkpoints/all-MiniLM-L6-v2/tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    words = [w for title in titles for w in title.lower().split() if w.isascii() and w.isalpha() and w in vocabulary]
    for length in LENGTHS:
        inner = length - 2
        texts = [words[i * inner:(i + 1) * inner] for i in range(EQUAL_TEXTS)]
        write_lines(inputs / f"equal-{length}.txt", [" ".join(text) for text in texts])
        write_lines(inputs / f"equal-{length}.ids", [" ".join(map(str, [vocabulary["[CLS]"], *(vocabulary[w] for w in text),
                                                                      vocabulary["[SEP]"]])) for text in texts])


def make_models(root, name, checkpoint):
    folder = root / "checkpoints" / checkpoint
    for form in ("fused", "int8", "int8-fused"):
        onnx.save(graphs.bert(folder, form), str(root / f"graphs/{name}-{form}.onnx"))
    extra = [] if (folder / "modules.json").exists() else ["--pooling", "mean", "--max-length", "512"]
    for dtype in ("f32", "bf16", "i8"):
        out = root / f"models/{name}-{dtype}.gguf"
        out.unlink(missing_ok=True)
        command = [sys.executable, "-m", "weights_converter", str(folder), str(out), "--dtype", dtype, *extra]
        made = subprocess.run(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
        if made.returncode and dtype == "f32":
            raise SystemExit(made.stderr)
        if made.returncode:
            print(f"{name}: no {dtype} model file: {made.stderr.strip().splitlines()[-1]}", file=sys.stderr)


def make_gru(root, hidden):
    rng = np.random.default_rng(hidden)
    weights = [rng.standard_normal((3 * hidden, hidden), np.float32) * np.float32(1.2 / np.sqrt(hidden)) for _ in range(2)]
    biases = [rng.standard_normal(3 * hidden, np.float32) * np.float32(0.2) for _ in range(2)]
    np.concatenate([part.ravel() for part in weights + biases]).tofile(root / f"inputs/gru-{hidden}.f32")
    rng.standard_normal(GRU_STEPS * GRU_SEQUENCES * hidden, np.float32).tofile(root / f"inputs/gru-{hidden}-x.f32")
    onnx.save(graphs.gru(*weights, *biases), str(root / f"graphs/gru-{hidden}.onnx"))


def make_vectors(root):
    """Unit vectors, and users near some of them as real users are."""
    rng = np.random.default_rng(1)
    with open(root / "inputs/rows.f32", "wb") as file:
        for first in range(0, ROWS, 100_000):
            block = rng.standard_normal((min(100_000, ROWS - first), DIM), np.float32)
            block /= np.linalg.norm(block, axis=1, keepdims=True)
            block.tofile(file)
    rows = np.memmap(root / "inputs/rows.f32", np.float32, "r").reshape(ROWS, DIM)
    users = rows[rng.integers(0, ROWS, USERS)] + rng.standard_normal((USERS, DIM), np.float32) * np.float32(0.5 / np.sqrt(DIM))
    users.astype(np.float32).tofile(root / "inputs/queries.f32")


def main():
    root = Path(sys.argv[1]).resolve()
    assets = Path(os.environ.get("RANKLET_ASSETS") or REPOSITORY.parent / "shared/assets")
    books = assets / "corpora/books.tsv"
    for needed in (books, assets / "tokenizers/all-minilm-l6-v2-tokenizer.json", assets / "tokenizers/bert-base-uncased-vocab.txt"):
        if not needed.exists():
            raise SystemExit(f"bench/peers: {needed} is missing; $RANKLET_ASSETS names the folder that holds it")
    for part in ("inputs", "graphs", "models"):
        (root / part).mkdir(parents=True, exist_ok=True)

    scripts = [Path(__file__), HERE / "graphs.py", REPOSITORY / "tests/parity/make_checkpoints.py",
               REPOSITORY / "tests/parity/onnx/export.py", *sorted((REPOSITORY / "weights_converter").glob("*.py")),
               *sorted((REPOSITORY / "weights_converter/kinds").glob("*.py"))]
    stamp, made_by = root / "inputs/.made_by", hashlib.sha256(b"".join(script.read_bytes() for script in scripts)).hexdigest()
    if stamp.exists() and stamp.read_text() == made_by:
        return
    run(sys.executable, "tests/parity/make_checkpoints.py", root / "checkpoints", "--only", *CHECKPOINTS.values())
    make_texts(root, books)
    for name, checkpoint in CHECKPOINTS.items():
        make_models(root, name, checkpoint)
    for hidden in GRU_SIZES:
        make_gru(root, hidden)
    onnx.save(graphs.nothing(), str(root / "graphs/nothing.onnx"))
    if not (root / "inputs/queries.f32").exists():
        make_vectors(root)
    stamp.write_text(made_by)


if __name__ == "__main__":
    main()
