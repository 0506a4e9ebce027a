#!/usr/bin/env python3
"""Writes include/ranklet/text/unicode_classes.hpp from the Unicode Character Database: classes of characters that the patterns of
byte-level BPE and the graphemes of SentencePiece's normalisation ask for.

usage: generate_unicode_classes.py [--ucd DIR] [--output FILE] [--check]

DIR holds UnicodeData.txt and auxiliary/GraphemeBreakProperty.txt of Unicode 15.0.0 (Debian's package `unicode-data`).
"""
import argparse
import pathlib
import sys

from generate_unicode_tables import UCD_VERSION, array, bounds, code_points, fields_of, read


def header(ucd):
    category, _, _, _, age = read(ucd)
    breaks = {}
    for fields in fields_of(ucd / "auxiliary" / "GraphemeBreakProperty.txt"):
        breaks.setdefault(fields[1], set()).update(code_points(fields[0]))
    classes = (
        ("letter_bounds", {c for c, name in category.items() if name[0] == "L"}, "Letters: where each run begins and where it has ended."),
        ("number_bounds", {c for c, name in category.items() if name[0] == "N"}, "Numbers, in the same way."),
        ("mark_bounds", {c for c, name in category.items() if name[0] == "M" and age.get(c, (99, 0)) <= (9, 0)}, "Marks of Unicode 9.0."),
        ("joining_bounds", breaks["Extend"] | breaks["SpacingMark"] | breaks["ZWJ"], "What a grapheme goes on with: Extend, SpacingMark, ZWJ."),
        ("prepend_bounds", breaks["Prepend"], "What joins what comes after it."),
        ("control_break_bounds", breaks["Control"] | breaks["CR"] | breaks["LF"], "What nothing joins."),
    )
    tables = "".join(array(name, "std::uint32_t", bounds(of), comment) for name, of, comment in classes)
    return f"""// Classes of characters of Unicode {UCD_VERSION}: letters, numbers, what graphemes are made of.
// In: a code point. Out: whether it is of a class (unicode::in_runs).
// Made by cmake/generators/generate_unicode_classes.py from the Unicode Character Database; do not edit.
#pragma once

#include <cstdint>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

namespace unicode {{

// clang-format off
{tables}// clang-format on

}}  // namespace unicode

RANKLET_NAMESPACE_END
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--ucd", type=pathlib.Path, default=pathlib.Path("/usr/share/unicode"))
    parser.add_argument("--output", type=pathlib.Path, default=root / "include/ranklet/text/unicode_classes.hpp")
    parser.add_argument("--check", action="store_true", help="exit 1 when the file is not what would be written")
    options = parser.parse_args()
    text = header(options.ucd)
    if options.check:
        if not options.output.exists() or options.output.read_text(encoding="utf-8") != text:
            sys.exit(f"{options.output} is not what {pathlib.Path(__file__).name} makes")
        return
    options.output.write_text(text, encoding="utf-8")
    print(f"{options.output}: {len(text)} bytes")


if __name__ == "__main__":
    main()
