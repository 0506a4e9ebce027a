#!/usr/bin/env python3
"""How much a smaller model keeps of a larger one: cosines, and how many of each text's ten nearest are the same texts.

    c++ -std=c++20 -O3 -march=native -I include bench/peers/ranklet_peer.cpp -o peer
    echo "encode model=f32.gguf texts=texts.txt count=7961 threads=2 out=f32.vectors" | ./peer
    echo "encode model=i8.gguf texts=texts.txt count=7961 threads=2 out=i8.vectors" | ./peer
    python3 bench/neighbours.py f32.vectors i8.vectors --dim 384

In: two files of f32 vectors of the same texts, row after row. Out: one line for all texts. Needs numpy.
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from weights_converter.neighbours import compare  # noqa: E402
import numpy as np  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exact")
    parser.add_argument("other", nargs="+")
    parser.add_argument("--dim", type=int, required=True)
    parser.add_argument("--nearest", type=int, default=10)
    parser.add_argument("--every", type=int, default=1, help="of the texts only every n-th, neighbours among those")
    options = parser.parse_args()
    exact = np.fromfile(options.exact, "<f4").reshape(-1, options.dim)[::options.every]
    for path in options.other:
        found = compare(exact, np.fromfile(path, "<f4").reshape(-1, options.dim)[::options.every], options.nearest)
        print(f"{path}: {len(exact)} texts, cosine {found.mean:.5f} on average, {found.worst:.4f} at worst, "
              f"{100 * found.kept:.2f} % of the {options.nearest} nearest kept")


if __name__ == "__main__":
    main()
