#!/usr/bin/env python3
"""Writes tests/parity/goldens/blocks.gguf: tensors of GGML's types of blocks, any bits, and what the `gguf` package makes of them.

    python3 tests/parity/make_blocks.py        (in a Python that has gguf; 0.19.0 made what is here)
"""
from pathlib import Path

import gguf
import numpy as np
from gguf.quants import dequantize

TYPES = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K")
SCALES = {"Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}
ROWS, COLUMNS = 3, 512


def main():
    out = Path(__file__).resolve().parent / "goldens" / "blocks.gguf"
    writer = gguf.GGUFWriter(str(out), "none")
    rng = np.random.default_rng(16)
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        columns, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = rng.integers(0, 256, (ROWS * COLUMNS // columns, size), dtype=np.uint8)
        for at in SCALES[name]:  # of all bits many would be infinite
            blocks[:, at:at + 2] = rng.normal(0, 0.1, (len(blocks), 1)).astype("<f2").view(np.uint8)
        stored = blocks.reshape(ROWS, -1)
        writer.add_tensor(name, stored, raw_shape=stored.shape, raw_dtype=kind)
        writer.add_tensor(f"{name}.values", dequantize(stored, kind).astype(np.float32).reshape(ROWS, COLUMNS))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(out, out.stat().st_size)


if __name__ == "__main__":
    main()
