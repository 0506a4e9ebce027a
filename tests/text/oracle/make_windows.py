#!/usr/bin/env python3
"""Writes how Hugging Face's tokenizers cut a text into windows: tests/text/goldens/windows.txt.

usage: make_windows.py [OUTPUT]

Encoding.truncate with a stride. A line: tokens, room, overlap, then of each window where it begins and ends.
"""

import pathlib
import sys

import tokenizers


def main():
    default = pathlib.Path(__file__).resolve().parents[1] / "goldens" / "windows.txt"
    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    words = {str(i): i for i in range(64)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="0"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    lines = [f"# made by tests/text/oracle/make_windows.py with tokenizers {tokenizers.__version__}"]
    for count in (1, 2, 3, 5, 8, 13, 20, 21, 34, 55):
        for room in (1, 2, 3, 5, 8, 13, 21):
            for overlap in range(room):
                encoding = tokenizer.encode(" ".join(map(str, range(count))))
                encoding.truncate(room, stride=overlap)
                found = [part.ids for part in (encoding, *encoding.overflowing)]
                bounds = " ".join(f"{ids[0]} {ids[-1] + 1}" for ids in found)
                lines.append(f"{count} {room} {overlap} {bounds}")
    output.write_text("\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
