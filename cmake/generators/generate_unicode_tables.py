#!/usr/bin/env python3
"""Writes include/ranklet/text/unicode_tables.hpp and unicode_property_tables.hpp from the Unicode Character Database.

usage: generate_unicode_tables.py [--ucd DIR] [--output FOLDER] [--check]

DIR holds UnicodeData.txt, DerivedAge.txt, DerivedCoreProperties.txt, DerivedNormalizationProps.txt, PropList.txt,
auxiliary/GraphemeBreakProperty.txt and emoji/emoji-data.txt of Unicode 15.0.0 (Debian's package `unicode-data` puts them
in /usr/share/unicode). --check compares instead of writing.

The tables say what Hugging Face's `tokenizers` 0.23.2 says, and that library mixes Unicode versions:

  categories (control, nonspacing mark, punctuation)   8.0   crate unicode_categories 0.1.1
  canonical decomposition, combining classes           9.0   crate unicode-normalization-alignments 0.1.12
  regular expression class \\w                         16.0   crate regex-syntax
  lower case                                           17.0   Rust's standard library
  white space                                          the same in all of them
  compatibility decomposition, what StripAccents takes  9.0   crate unicode-normalization-alignments 0.1.12
  \\p{L}, \\p{N}, \\p{M} of patterns                      16.0   Oniguruma
  grapheme clusters                                    17.0   crate unicode-segmentation

What that library does not ask:

  Cased, Case_Ignorable (where a sigma is a final one)  15.0, with the letters that got a lower case since
  canonical composition                                 9.0, the inverse of the decomposition

Older versions are made from 15.0 by dropping what is younger (DerivedAge.txt); what changed its category, and what is
younger than 15.0, is listed below. tests/text/oracle compares every code point with the library itself.
"""

import argparse
import pathlib
import sys

UCD_VERSION = "15.0.0"

# Categories of Unicode 8.0 that 15.0 changed.
PUNCTUATION_IN_8 = [(0x166D, 0x166D), (0x111C9, 0x111C9)]  # canadian syllabics chi sign, sharada sandhi mark
NONSPACING_IN_8 = [(0x1734, 0x1734)]  # hanunoo sign pamudpod: since Mc
NOT_NONSPACING_IN_8 = [(0x1885, 0x1886), (0xA9BD, 0xA9BD), (0x111C9, 0x111C9)]  # were Lo, Mc and Po

# Lower case added by Unicode 16.0 and 17.0: (first, last, what to add to a code point).
LOWER_AFTER_15 = [
    (0x1C89, 0x1C89, 1),
    (0xA7CB, 0xA7CB, -42343),
    (0xA7CC, 0xA7CC, 1),
    (0xA7CE, 0xA7CE, 1),
    (0xA7D2, 0xA7D2, 1),
    (0xA7D4, 0xA7D4, 1),
    (0xA7DA, 0xA7DA, 1),
    (0xA7DC, 0xA7DC, -42561),
    (0x10D50, 0x10D65, 32),
    (0x16EA0, 0x16EB8, 27),
]

# Word characters (\w) added by Unicode 15.1 and 16.0.
WORD_AFTER_15 = [
    (0x0897, 0x0897), (0x1C89, 0x1C8A), (0xA7CB, 0xA7CD), (0xA7DA, 0xA7DC), (0x105C0, 0x105F3), (0x10D40, 0x10D65),
    (0x10D69, 0x10D6D), (0x10D6F, 0x10D85), (0x10EC2, 0x10EC4), (0x10EFC, 0x10EFC), (0x11380, 0x11389),
    (0x1138B, 0x1138B), (0x1138E, 0x1138E), (0x11390, 0x113B5), (0x113B7, 0x113C0), (0x113C2, 0x113C2),
    (0x113C5, 0x113C5), (0x113C7, 0x113CA), (0x113CC, 0x113D3), (0x113E1, 0x113E2), (0x116D0, 0x116E3),
    (0x11BC0, 0x11BE0), (0x11BF0, 0x11BF9), (0x11F5A, 0x11F5A), (0x13460, 0x143FA), (0x16100, 0x16139),
    (0x16D40, 0x16D6C), (0x16D70, 0x16D79), (0x18CFF, 0x18CFF), (0x1CCF0, 0x1CCF9), (0x1E5D0, 0x1E5FA),
    (0x2EBF0, 0x2EE5D),
]  # fmt: skip

# Letters, numbers and marks (categories L, N, M) added by Unicode 15.1 and 16.0.
LETTERS_AFTER_15 = [
    (0x1C89, 0x1C8A), (0xA7CB, 0xA7CD), (0xA7DA, 0xA7DC), (0x105C0, 0x105F3), (0x10D4A, 0x10D65), (0x10D6F, 0x10D85),
    (0x10EC2, 0x10EC4), (0x11380, 0x11389), (0x1138B, 0x1138B), (0x1138E, 0x1138E), (0x11390, 0x113B5),
    (0x113B7, 0x113B7), (0x113D1, 0x113D1), (0x113D3, 0x113D3), (0x11BC0, 0x11BE0), (0x13460, 0x143FA),
    (0x16100, 0x1611D), (0x16D40, 0x16D6C), (0x18CFF, 0x18CFF), (0x1E5D0, 0x1E5ED), (0x1E5F0, 0x1E5F0),
    (0x2EBF0, 0x2EE5D),
]  # fmt: skip
NUMBERS_AFTER_15 = [
    (0x10D40, 0x10D49), (0x116D0, 0x116E3), (0x11BF0, 0x11BF9), (0x16130, 0x16139), (0x16D70, 0x16D79),
    (0x1CCF0, 0x1CCF9), (0x1E5F1, 0x1E5FA),
]  # fmt: skip
MARKS_AFTER_15 = [
    (0x897, 0x897), (0x10D69, 0x10D6D), (0x10EFC, 0x10EFC), (0x113B8, 0x113C0), (0x113C2, 0x113C2),
    (0x113C5, 0x113C5), (0x113C7, 0x113CA), (0x113CC, 0x113D0), (0x113D2, 0x113D2), (0x113E1, 0x113E2),
    (0x11F5A, 0x11F5A), (0x1611E, 0x1612F), (0x1E5EE, 0x1E5EF),
]  # fmt: skip

# Marks of Unicode 9.0 that 15.0 has in another category, and the other way round.
MARKS_IN_9 = [(0x1CF2, 0x1CF3)]
NOT_MARKS_IN_9 = [(0x111C9, 0x111C9)]

# Grapheme clusters: what 15.0 does not have yet (rule GB9c: a linker joins the consonants beside it).
EXTEND_AFTER_16 = [
    (0x1ACF, 0x1ADD), (0x1AE0, 0x1AEB), (0x10EFA, 0x10EFB), (0x11B60, 0x11B67), (0x1E6E3, 0x1E6E3), (0x1E6E6, 0x1E6E6),
    (0x1E6EE, 0x1E6EF), (0x1E6F5, 0x1E6F5),
]  # fmt: skip
PREPEND_AFTER_15 = [(0x113D1, 0x113D1)]
CONSONANTS = [
    (0x915, 0x939), (0x958, 0x95F), (0x978, 0x97F), (0x995, 0x9A8), (0x9AA, 0x9B0), (0x9B2, 0x9B2), (0x9B6, 0x9B9),
    (0x9DC, 0x9DD), (0x9DF, 0x9DF), (0x9F0, 0x9F1), (0xA95, 0xAA8), (0xAAA, 0xAB0), (0xAB2, 0xAB3), (0xAB5, 0xAB9),
    (0xAF9, 0xAF9), (0xB15, 0xB28), (0xB2A, 0xB30), (0xB32, 0xB33), (0xB35, 0xB39), (0xB5C, 0xB5D), (0xB5F, 0xB5F),
    (0xB71, 0xB71), (0xC15, 0xC28), (0xC2A, 0xC39), (0xC58, 0xC5A), (0xD15, 0xD3A), (0x1000, 0x102A),
    (0x103F, 0x103F), (0x1050, 0x1055), (0x105A, 0x105D), (0x1061, 0x1061), (0x1065, 0x1066), (0x106E, 0x1070),
    (0x1075, 0x1081), (0x108E, 0x108E), (0x1780, 0x17B3), (0x1A20, 0x1A54), (0x1B0B, 0x1B0C), (0x1B13, 0x1B33),
    (0x1B45, 0x1B4C), (0x1B83, 0x1BA0), (0x1BAE, 0x1BAF), (0x1BBB, 0x1BBD), (0xA989, 0xA98B), (0xA98F, 0xA9B2),
    (0xA9E0, 0xA9E4), (0xA9E7, 0xA9EF), (0xA9FA, 0xA9FE), (0xAA60, 0xAA6F), (0xAA71, 0xAA73), (0xAA7A, 0xAA7A),
    (0xAA7E, 0xAA7F), (0xAAE0, 0xAAEA), (0xABC0, 0xABDA), (0x10A00, 0x10A00), (0x10A10, 0x10A13), (0x10A15, 0x10A17),
    (0x10A19, 0x10A35), (0x11103, 0x11126), (0x11144, 0x11144), (0x11147, 0x11147), (0x11380, 0x11389),
    (0x1138B, 0x1138B), (0x1138E, 0x1138E), (0x11390, 0x113B5), (0x11900, 0x11906), (0x11909, 0x11909),
    (0x1190C, 0x11913), (0x11915, 0x11916), (0x11918, 0x1192F), (0x11A00, 0x11A00), (0x11A0B, 0x11A32),
    (0x11A50, 0x11A50), (0x11A5C, 0x11A83), (0x11F04, 0x11F10), (0x11F12, 0x11F33),
]  # fmt: skip
LINKERS = [
    (0x94D, 0x94D), (0x9CD, 0x9CD), (0xACD, 0xACD), (0xB4D, 0xB4D), (0xC4D, 0xC4D), (0xD4D, 0xD4D), (0x1039, 0x1039),
    (0x17D2, 0x17D2), (0x1A60, 0x1A60), (0x1BAB, 0x1BAB), (0xAAF6, 0xAAF6), (0x10A3F, 0x10A3F), (0x11133, 0x11133),
    (0x113D0, 0x113D0), (0x1193E, 0x1193E), (0x11A47, 0x11A47), (0x11A99, 0x11A99), (0x11F42, 0x11F42),
]  # fmt: skip
# Spacing marks of 17.0 that 15.0 has not or has among what extends.
SPACING_AFTER_15 = [
    (0x113B9, 0x113BA), (0x113CA, 0x113CA), (0x113CC, 0x113CD), (0x1171E, 0x1171E), (0x11B61, 0x11B61),
    (0x11B65, 0x11B65), (0x11B67, 0x11B67), (0x1612A, 0x1612C),
]  # fmt: skip

# BertNormalizer's own idea of Chinese. The gap before 0x2B920 (it should be 0x2B820) is the library's.
CHINESE = [
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
]  # fmt: skip
ASCII_PUNCTUATION = [(0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)]
HANGUL_SYLLABLES = (0xAC00, 0xD7A3)

SPACE, PUNCTUATION, CONTROL, NONSPACING, CHINESE_BIT, WORD, HANGUL = 1, 2, 4, 8, 16, 32, 64
CODE_POINTS = 0x110000


def fields_of(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].strip()
        if line:
            yield [field.strip() for field in line.split(";")]


def code_points(text):
    bounds = [int(part, 16) for part in text.split("..")]
    return range(bounds[0], bounds[-1] + 1)


def members(ranges):
    return {c for first, last in ranges for c in range(first, last + 1)}


def read(ucd):
    """(category, combining class, lower case, direct canonical decomposition, age), each a dict by code point."""
    header = (ucd / "DerivedAge.txt").read_text(encoding="utf-8").splitlines()[0]
    if UCD_VERSION not in header:
        sys.exit(f"{ucd}: expected Unicode {UCD_VERSION}, found '{header}'")
    category, combining, lower, decomposition, age = {}, {}, {}, {}, {}
    first = 0
    for fields in fields_of(ucd / "UnicodeData.txt"):
        code = int(fields[0], 16)
        if fields[1].endswith("First>"):
            first = code
            continue
        for c in range(first, code + 1) if fields[1].endswith("Last>") else [code]:
            category[c] = fields[2]
            combining[c] = int(fields[3])
        if fields[13]:
            lower[code] = int(fields[13], 16)
        if fields[5] and not fields[5].startswith("<"):
            decomposition[code] = [int(part, 16) for part in fields[5].split()]
    for fields in fields_of(ucd / "DerivedAge.txt"):
        for c in code_points(fields[0]):
            age[c] = tuple(int(part) for part in fields[1].split("."))
    return category, combining, lower, decomposition, age


def with_property(path, names):
    return {c for fields in fields_of(path) if fields[1] in names for c in code_points(fields[0])}


def records_of(ucd):
    """The record of each code point: (flags, combining class, lower case minus itself, full decomposition)."""
    category, combining, lower, decomposition, age = read(ucd)

    def in_8(letter):
        return {c for c, name in category.items() if name.startswith(letter) and age.get(c, (99, 0)) <= (8, 0)}

    def decompose(c):
        if c not in decomposition or age[c] > (9, 0):
            return [c]
        return [part for direct in decomposition[c] for part in decompose(direct)]

    for first, last, delta in LOWER_AFTER_15:
        lower.update({c: c + delta for c in range(first, last + 1)})

    white_space = with_property(ucd / "PropList.txt", {"White_Space"})
    word = with_property(ucd / "DerivedCoreProperties.txt", {"Alphabetic"})
    word |= with_property(ucd / "PropList.txt", {"Join_Control"})
    word |= {c for c, name in category.items() if name in ("Mn", "Mc", "Me", "Nd", "Pc")} | members(WORD_AFTER_15)
    sets = [
        (SPACE, white_space),
        (PUNCTUATION, in_8("P") | members(PUNCTUATION_IN_8) | members(ASCII_PUNCTUATION)),
        (CONTROL, (in_8("Cc") | in_8("Cf") | in_8("Co") | {0xFFFD}) - {0x09, 0x0A, 0x0D}),
        (NONSPACING, (in_8("Mn") | members(NONSPACING_IN_8)) - members(NOT_NONSPACING_IN_8)),
        (CHINESE_BIT, members(CHINESE)),
        (WORD, word),
        (HANGUL, members([HANGUL_SYLLABLES])),
    ]
    flags = [0] * CODE_POINTS
    for bit, of in sets:
        for c in of:
            flags[c] |= bit

    records = []
    for c in range(CODE_POINTS):
        parts = decompose(c)
        in_9 = age.get(c, (99, 0)) <= (9, 0)
        records.append((
            flags[c],
            combining.get(c, 0) if in_9 else 0,
            lower.get(c, c) - c,
            tuple(parts) if parts != [c] else (),
        ))
        if lower.get(c, c) != c and flags[lower[c]] & ~WORD:
            sys.exit(f"U+{c:04X}: the lower case is no plain letter; the tokenizer relies on that")
    return records


def casing_of(ucd):
    """(code points that are Cased, those that are Case_Ignorable): what makes a capital sigma a final one."""
    cased = with_property(ucd / "DerivedCoreProperties.txt", {"Cased"})
    for first, last, delta in LOWER_AFTER_15:
        cased |= members([(first, last), (first + delta, last + delta)])
    return cased, with_property(ucd / "DerivedCoreProperties.txt", {"Case_Ignorable"})


def compositions_of(ucd):
    """(first, second, composed), sorted, of what the decompositions above take apart and NFC joins again."""
    _, _, _, decomposition, age = read(ucd)
    excluded = {
        c
        for fields in fields_of(ucd / "DerivedNormalizationProps.txt")
        if fields[1] == "Full_Composition_Exclusion"
        for c in code_points(fields[0])
    }
    return sorted(
        (*parts, c)
        for c, parts in decomposition.items()
        if c not in excluded and len(parts) == 2 and age[c] <= (9, 0)
    )


GRAPHEME_CLASSES = [
    "Other", "CR", "LF", "Control", "Extend", "ZWJ", "Regional_Indicator", "Prepend", "SpacingMark", "L", "V", "T", "LV",
    "LVT", "Extended_Pictographic", "Consonant", "Linker",
]  # fmt: skip
LETTER, NUMBER, MARK = 32, 64, 128


def properties_of(ucd):
    """Of each code point its grapheme class and LETTER, NUMBER, MARK; and the marks that StripAccents takes."""
    category, _, _, _, age = read(ucd)
    graphemes = {}
    for path in ("emoji/emoji-data.txt", "auxiliary/GraphemeBreakProperty.txt"):
        for fields in fields_of(ucd / path):
            if fields[1] in GRAPHEME_CLASSES:
                graphemes.update({c: fields[1] for c in code_points(fields[0])})
    graphemes.update({c: "Extend" for c in members(MARKS_AFTER_15 + EXTEND_AFTER_16)})
    graphemes.update({c: "Prepend" for c in members(PREPEND_AFTER_15)})
    graphemes.update({c: "SpacingMark" for c in members(SPACING_AFTER_15)})
    graphemes.update({c: "Consonant" for c in members(CONSONANTS)})
    graphemes.update({c: "Linker" for c in members(LINKERS)})
    sets = [
        (LETTER, {c for c, name in category.items() if name[0] == "L"} | members(LETTERS_AFTER_15)),
        (NUMBER, {c for c, name in category.items() if name[0] == "N"} | members(NUMBERS_AFTER_15)),
        (MARK, {c for c, name in category.items() if name[0] == "M"} | members(MARKS_AFTER_15)),
    ]
    properties = [GRAPHEME_CLASSES.index(graphemes.get(c, "Other")) for c in range(CODE_POINTS)]
    for bit, of in sets:
        for c in of:
            properties[c] |= bit
    accents = {c for c, name in category.items() if name[0] == "M" and age[c] <= (9, 0)}
    return properties, (accents | members(MARKS_IN_9)) - members(NOT_MARKS_IN_9)


def compatibility_of(ucd):
    """Full compatibility decompositions of 9.0, where they differ from the canonical ones: (code point, parts)."""
    direct, canonical, age = {}, {}, read(ucd)[4]
    for fields in fields_of(ucd / "UnicodeData.txt"):
        code = int(fields[0], 16)
        if fields[5] and age.get(code, (99, 0)) <= (9, 0):
            parts = fields[5].split()
            compatible = parts[0].startswith("<")
            direct[code] = [int(part, 16) for part in parts[compatible:]]
            if not compatible:
                canonical[code] = direct[code]

    def full(c, table):
        return [part for each in table[c] for part in full(each, table)] if c in table else [c]

    return [(c, full(c, direct)) for c in sorted(direct) if full(c, direct) != full(c, canonical)]


def property_header(ucd):
    properties, accents = properties_of(ucd)
    first, second = min((two_stages(properties, size) for size in (32, 64, 128)), key=lambda s: 2 * len(s[0]) + len(s[1]))
    shift = (CODE_POINTS // len(first)).bit_length() - 1
    compatible = compatibility_of(ucd)
    parts, starts = [], []
    for _, each in compatible:
        starts.append(len(parts))
        parts += each
    starts.append(len(parts))
    names = "\n".join(f"    {name.lower()}," for name in GRAPHEME_CLASSES)
    return f"""// What tokenizers other than BERT's ask of Unicode, as Hugging Face's tokenizers 0.23.2 sees it: \\p{{L}}, \\p{{N}}, \\p{{M}}
// 16.0, grapheme clusters 17.0, compatibility decompositions and the marks of StripAccents 9.0. Read them through
// unicode_properties.hpp.
// Made by cmake/generators/generate_unicode_tables.py from the Unicode Character Database {UCD_VERSION}; do not edit.
#pragma once

#include <cstdint>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

namespace unicode {{

/// How characters join into grapheme clusters. `consonant` is an Indic one, `linker` what joins two of them.
enum class Grapheme : std::uint8_t {{
{names}
}};

inline constexpr std::uint8_t grapheme_mask = 31;  ///< of a code point's properties: its Grapheme
inline constexpr std::uint8_t letter_flag = {LETTER};
inline constexpr std::uint8_t number_flag = {NUMBER};
inline constexpr std::uint8_t mark_flag = {MARK};

inline constexpr unsigned property_shift = {shift};

// clang-format off
{array("property_first_stage", "std::uint16_t", first, "The block of each run of 2^property_shift code points.")}
{array("property_second_stage", "std::uint8_t", second, "The properties of each code point of each block.")}
{array("accent_bounds", "std::uint32_t", bounds(accents), "What StripAccents takes: where each run begins and where it has ended.")}
{array("compatible_codes", "std::uint32_t", [c for c, _ in compatible], "Code points with a compatibility decomposition, ascending.")}
{array("compatible_starts", "std::uint16_t", starts, "Where the decomposition of each starts, and where the last ends.")}
{array("compatible_parts", "std::uint32_t", parts, "Full compatibility decompositions, joined.")}// clang-format on

}}  // namespace unicode

RANKLET_NAMESPACE_END
"""


def bounds(of):
    """The set's runs as a list of where each begins and where it has ended, ascending."""
    return [c for c in range(CODE_POINTS + 1) if (c in of) != (c - 1 in of)]


def two_stages(values, size):
    """(first stage, second stage): values[c] == second[first[c // size] * size + c % size]."""
    blocks, first = {}, []
    for start in range(0, len(values), size):
        block = tuple(values[start : start + size])
        first.append(blocks.setdefault(block, len(blocks)))
    return first, [value for block in blocks for value in block]


def array(name, kind, values, comment):
    lines, line = [], ""
    for value in values:
        text = f"{value},"
        if len(line) + len(text) > 116:
            lines.append(line)
            line = ""
        line += text
    lines.append(line)
    body = "\n".join("    " + each for each in lines)
    return f"// {comment}\ninline constexpr {kind} {name}[] = {{\n{body}\n}};\n"


def header(ucd):
    records = records_of(ucd)
    ids, decompositions, rows = {}, [], []
    row_of, place = [], {}
    for record in records:
        if record not in ids:
            ids[record] = len(ids)
            flags, combining, lower, parts = record
            if parts not in place:
                place[parts] = len(decompositions) if parts else 0
                decompositions.extend(parts)
            rows.append(f"{{{lower}, {place[parts]}, {len(parts)}, {flags}, {combining}}}")
        row_of.append(ids[record])
    first, second = min((two_stages(row_of, size) for size in (32, 64, 128)), key=lambda s: len(s[0]) + len(s[1]))
    shift = (CODE_POINTS // len(first)).bit_length() - 1
    if max(first) > 0xFFFF or max(second) > 0xFFFF or len(decompositions) > 0xFFFF:
        sys.exit("a table outgrew 16 bits")
    lines, line = [], ""
    for row in rows:
        if len(line) + len(row) + 2 > 116:
            lines.append(line.rstrip())
            line = ""
        line += row + ", "
    lines.append(line.rstrip())
    record_rows = "\n".join("    " + each for each in lines)
    cased, ignorable = casing_of(ucd)
    pairs = compositions_of(ucd)
    return f"""// Unicode as Hugging Face's tokenizers 0.23.2 sees it: categories 8.0, decompositions 9.0, \\w 16.0, lower case 17.0.
// In: a code point. Out: its record. Read them through unicode.hpp.
// Made by cmake/generators/generate_unicode_tables.py from the Unicode Character Database {UCD_VERSION}; do not edit.
#pragma once

#include <cstdint>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

namespace unicode {{

/// What is known of a code point; code points that are alike share a record.
struct CharRecord {{
    std::int32_t lower;           ///< lower case minus the code point itself
    std::uint16_t decomposition;  ///< where its full canonical decomposition starts in `decompositions`
    std::uint8_t length;          ///< how many code points that has; 0: none, or a Hangul syllable
    std::uint8_t flags;
    std::uint8_t combining;       ///< canonical combining class
}};

inline constexpr std::uint8_t space_flag = {SPACE};
inline constexpr std::uint8_t punctuation_flag = {PUNCTUATION};
inline constexpr std::uint8_t control_flag = {CONTROL};  ///< what cleaning drops: Cc, Cf, Co, U+FFFD; not tab, LF and CR
inline constexpr std::uint8_t nonspacing_flag = {NONSPACING};
inline constexpr std::uint8_t chinese_flag = {CHINESE_BIT};
inline constexpr std::uint8_t word_flag = {WORD};  ///< a word character of regular expressions
inline constexpr std::uint8_t hangul_flag = {HANGUL};  ///< a Hangul syllable: decomposes by arithmetic

inline constexpr unsigned block_shift = {shift};
inline constexpr unsigned record_count = {len(rows)};

// clang-format off
inline constexpr CharRecord records[] = {{
{record_rows}
}};
{array("decompositions", "std::uint32_t", decompositions, "Full canonical decompositions, joined.")}
{array("first_stage", "std::uint16_t", first, "The block of each run of 2^block_shift code points.")}
{array("second_stage", "std::uint16_t", second, "The record of each code point of each block.")}
{array("cased_bounds", "std::uint32_t", bounds(cased), "Cased: where each run begins and where it has ended.")}
{array("case_ignorable_bounds", "std::uint32_t", bounds(ignorable), "Case_Ignorable, in the same way.")}
{array("composition_pairs", "std::uint64_t", [a << 32 | b for a, b, _ in pairs], "First << 32 | second, ascending.")}
{array("composed", "std::uint32_t", [c for _, _, c in pairs], "What each pair is composed to.")}// clang-format on

}}  // namespace unicode

RANKLET_NAMESPACE_END
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--ucd", type=pathlib.Path, default=pathlib.Path("/usr/share/unicode"))
    parser.add_argument("--output", type=pathlib.Path, default=root / "include/ranklet/text")
    parser.add_argument("--check", action="store_true", help="exit 1 when a file is not what would be written")
    options = parser.parse_args()
    for name, make in (("unicode_tables.hpp", header), ("unicode_property_tables.hpp", property_header)):
        path, text = options.output / name, make(options.ucd)
        if options.check:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                sys.exit(f"{path} is not what {pathlib.Path(__file__).name} makes")
            continue
        path.write_text(text, encoding="utf-8")
        print(f"{path}: {len(text)} bytes")


if __name__ == "__main__":
    main()
