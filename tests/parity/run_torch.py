#!/usr/bin/env python3
"""PyTorch's answers for the texts of onnx/oracle.mjs.

    python3 tests/parity/run_torch.py PARITY_FOLDER NAME [--pooling cls|mean] [--normalize]

In: PARITY_FOLDER/checkpoints/NAME and oracle/NAME/ids.txt. Out: oracle/NAME/torch.vectors.f32 (texts x dim) and
torch.states.f32 (token states of as many texts as onnx.states.f32 has). Computed in float64 and rounded once, so that the
reference adds no rounding of its own; one thread, one text at a time.
"""
import argparse
import time
from pathlib import Path

import numpy as np
import torch

from reference_models import bert_config, in_precision, load_encoder


def main():
    parser = argparse.ArgumentParser(description="PyTorch's answers for the texts of onnx/oracle.mjs.")
    parser.add_argument("root", type=Path)
    parser.add_argument("name")
    parser.add_argument("--pooling", choices=["cls", "mean"])
    parser.add_argument("--normalize", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    began = time.monotonic()

    checkpoint, out = arguments.root / "checkpoints" / arguments.name, arguments.root / "oracle" / arguments.name
    model = load_encoder(checkpoint, pooling=arguments.pooling, normalize=arguments.normalize)
    model = in_precision(model, torch.float64)
    lines = (out / "ids.txt").read_text().split("\n")[:-1]
    wanted = (out / "onnx.states.f32").stat().st_size // 4 // bert_config(checkpoint)["hidden_size"]
    vectors, states, stored = [], [], 0
    with torch.no_grad():
        for line in lines:
            ids = torch.tensor([[int(word) for word in line.split()]])
            vectors.append(model(ids)[0].numpy())
            if stored < wanted:
                states.append(model.bert(ids)[0].numpy())
                stored += len(states[-1])
    np.concatenate(states).astype("<f4").tofile(out / "torch.states.f32")
    np.stack(vectors).astype("<f4").tofile(out / "torch.vectors.f32")
    print(f"{arguments.name}: {len(lines)} texts through PyTorch {torch.__version__} in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
