#!/usr/bin/env python3
"""Writes what Python's str.lower makes of every code point and of random texts: tests/text/goldens/lower.txt.

usage: make_lower.py [OUTPUT]

Code points that this Python's Unicode does not know are left out. Lines:

  context FIRST LAST BITS   code points alike in what they do to a capital sigma; of each c, 1: it is a final one in cS,
                            2: in acS, 4: in aSc, 8: in aSca
  lower CODE CODES          whose lower case is another
  text CODES / CODES        a text and its lower case
"""

import pathlib
import random
import sys
import unicodedata

SIGMA, FINAL = "\u03a3", "\u03c2"


def context_of(c):
    return (
        ((c + SIGMA).lower()[-1] == FINAL)
        | (("a" + c + SIGMA).lower()[-1] == FINAL) << 1
        | (("a" + SIGMA + c).lower()[1] == FINAL) << 2
        | (("a" + SIGMA + c + "a").lower()[1] == FINAL) << 3
    )


def hexadecimal(text):
    return " ".join(f"{ord(c):X}" for c in text)


def main():
    default = pathlib.Path(__file__).resolve().parents[1] / "goldens" / "lower.txt"
    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    known = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) != "Cn"]
    lines = [f"# made by tests/text/oracle/make_lower.py with Python {sys.version.split()[0]}, Unicode "
             f"{unicodedata.unidata_version}"]
    runs = []
    for c in known:
        bits = context_of(chr(c))
        if runs and runs[-1][1] == c - 1 and runs[-1][2] == bits:
            runs[-1][1] = c
        else:
            runs.append([c, c, bits])
    lines += [f"context {first:X} {last:X} {bits:X}" for first, last, bits in runs]
    lines += [f"lower {c:X} {hexadecimal(chr(c).lower())}" for c in known if chr(c).lower() != chr(c)]
    rng = random.Random(1)
    changing = [chr(c) for c in known if chr(c).lower() != chr(c)]
    near_sigma = [SIGMA] * 8 + list("aA1 .'\u00ad\u0301\u02b0\u0345\u03c3\u03c2\u0130I\u4e00\u212a\u2126")
    for _ in range(500):
        text = "".join(
            rng.choice(near_sigma) if rng.random() < 0.7 else rng.choice(changing) if rng.random() < 0.5
            else chr(rng.choice(known)) for _ in range(rng.randrange(1, 16)))
        lines.append(f"text {hexadecimal(text)} / {hexadecimal(text.lower())}")
    output.write_text("\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
