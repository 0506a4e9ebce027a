#!/usr/bin/env python3
"""How much memory a conversion takes, beside its checkpoint's size: seeded bfloat16 weights in the shape of Qwen3-Embedding-0.6B
(1.2 GB, written once), converted to each type in a process of its own.

    python3 tests/converter/measure_memory.py FOLDER [--layers N] [--dtypes f32,f16,bf16,i8]

Peak of the resident memory, the checkpoint's mapped pages among it, which the system takes back when it wants them; and of
what is anonymous, the process's own. Linux alone, from /proc.
"""
import argparse
import json
import math
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "parity")]

import make_checkpoints as layouts  # noqa: E402
from weights_converter.gguf import bf16_from_f32  # noqa: E402

QWEN3 = dict(model_type="qwen3", architectures=["Qwen3Model"], hidden_size=1024, num_hidden_layers=28, num_attention_heads=16,
             num_key_value_heads=8, head_dim=128, intermediate_size=3072, vocab_size=151669, max_position_embeddings=32768,
             rms_norm_eps=1e-6, rope_theta=1e6, hidden_act="silu")


def shapes(config):
    """Qwen3Model's parameters, name -> shape."""
    dim, ff, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    result = {"embed_tokens.weight": [config["vocab_size"], dim]}
    for n in range(config["num_hidden_layers"]):
        layer = f"layers.{n}."
        for name, shape in (("input_layernorm", [dim]), ("post_attention_layernorm", [dim]), ("self_attn.q_norm", [head]),
                            ("self_attn.k_norm", [head]), ("self_attn.q_proj", [queries, dim]), ("self_attn.k_proj", [keys, dim]),
                            ("self_attn.v_proj", [keys, dim]), ("self_attn.o_proj", [dim, queries]), ("mlp.gate_proj", [ff, dim]),
                            ("mlp.up_proj", [ff, dim]), ("mlp.down_proj", [dim, ff])):
            result[f"{layer}{name}.weight"] = shape
    return {**result, "norm.weight": [dim]}


def write_checkpoint(folder, config, tokens):
    """Seeded weights of a realistic spread, in bfloat16, and a WordPiece tokenizer of so many tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    layouts.write_json(folder / "config.json", config)
    words = layouts.tiny_vocabulary()
    layouts.write_tokenizer(folder, words + [f"word{i}" for i in range(tokens - len(words))], 512, kind="PreTrainedTokenizerFast")
    header, offset = {}, 0
    for name, shape in shapes(config).items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = np.random.default_rng(20261201)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes(config).items():
            left = math.prod(shape)
            spread, centre = (0.1, 1) if len(shape) == 1 else (0.03, 0) if "embed" in name else (1 / math.sqrt(shape[1]), 0)
            while left > 0:
                count = min(left, 1 << 22)
                file.write(bf16_from_f32(centre + spread * rng.standard_normal(count, np.float32)).tobytes())
                left -= count


def peaks(command):
    """(resident, anonymous) bytes at most, and seconds."""
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    resident = anonymous = 0
    while process.poll() is None:
        try:
            status = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":" in line)
            resident = max(resident, 1024 * int(status["VmHWM"].split()[0]))
            anonymous = max(anonymous, 1024 * int(status["RssAnon"].split()[0]))
        except (OSError, KeyError):
            pass
        time.sleep(0.005)
    out, errors = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(errors or out)
    return resident, anonymous, time.monotonic() - started


def measure(folder, dtype):
    """The same of the folder's conversion to this type."""
    out = folder / f"{dtype}.gguf"
    result = peaks([sys.executable, "-m", "weights_converter", str(folder), str(out), "--dtype", dtype, "--pooling", "last", "--normalize"])
    out.unlink()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=QWEN3["num_hidden_layers"])
    parser.add_argument("--dtypes", default="f32,f16,bf16")
    given = parser.parse_args()
    config = dict(QWEN3, num_hidden_layers=given.layers)
    if not (given.folder / "model.safetensors").exists():
        write_checkpoint(given.folder, config, config["vocab_size"])
    size = (given.folder / "model.safetensors").stat().st_size
    print(f"checkpoint: {size / 1e6:.0f} MB")
    for dtype in given.dtypes.split(","):
        resident, anonymous, seconds = measure(given.folder, dtype)
        print(f"{dtype}: resident {resident / 1e6:.0f} MB ({resident / size:.2f} of the file), anonymous {anonymous / 1e6:.0f} MB "
              f"({anonymous / size:.2f}), {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
