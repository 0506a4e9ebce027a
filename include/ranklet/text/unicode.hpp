// What tokenizers and comparisons ask of Unicode: classes, canonical decomposition and composition, lower case.
// In: a code point (a Unicode scalar value). Out: flags, or the code points it turns into.
// From the Unicode Character Database through unicode_tables.hpp.
// Hangul arithmetic: the Unicode Standard, section 3.12.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "ranklet/core/config.hpp"
#include "ranklet/text/unicode_tables.hpp"

RANKLET_NAMESPACE_BEGIN

namespace unicode {

/// Index into `records` of a code point below 0x110000.
inline std::uint32_t record_index(std::uint32_t code) noexcept {
    const std::uint32_t block = first_stage[code >> block_shift];
    return second_stage[(block << block_shift) + (code & ((1u << block_shift) - 1u))];
}
inline const CharRecord& record(std::uint32_t code) noexcept { return records[record_index(code)]; }

inline bool is_space(std::uint32_t code) noexcept { return (record(code).flags & space_flag) != 0; }
inline bool is_word(std::uint32_t code) noexcept { return (record(code).flags & word_flag) != 0; }

/// Up to four code points (the longest canonical decomposition, and more than any lower case has).
struct Expansion {
    std::uint32_t codes[4];
    std::uint32_t size;
};

/// The full canonical decomposition, without reordering; the code point itself when it has none.
inline Expansion decompose(std::uint32_t code) noexcept {
    const CharRecord& of = record(code);
    if ((of.flags & hangul_flag) != 0) {
        const std::uint32_t syllable = code - 0xAC00;
        const std::uint32_t trail = syllable % 28;
        return {{0x1100 + syllable / 588, 0x1161 + syllable % 588 / 28, 0x11A7 + trail, 0}, trail == 0 ? 2u : 3u};
    }
    Expansion out{{code, 0, 0, 0}, 1};
    if (of.length != 0) {
        out.size = of.length;
        for (std::uint32_t i = 0; i < out.size; ++i) out.codes[i] = decompositions[of.decomposition + i];
    }
    return out;
}

/// The lower case, context-free (a capital sigma always gives the inner sigma): two code points for U+0130 alone.
inline Expansion lower(std::uint32_t code) noexcept {
    const std::uint32_t simple = code + static_cast<std::uint32_t>(record(code).lower);
    if (code == 0x130) return {{simple, 0x307, 0, 0}, 2};
    return {{simple, 0, 0, 0}, 1};
}

/// Whether `bounds` (where each run begins and where it has ended, ascending) holds the code point.
template <std::size_t N>
bool in_runs(const std::uint32_t (&bounds)[N], std::uint32_t code) noexcept {
    return (std::upper_bound(std::begin(bounds), std::end(bounds), code) - std::begin(bounds)) % 2 != 0;
}
/// Cased and Case_Ignorable: what decides whether a capital sigma is a final one.
inline bool is_cased(std::uint32_t code) noexcept { return in_runs(cased_bounds, code); }
inline bool is_case_ignorable(std::uint32_t code) noexcept { return in_runs(case_ignorable_bounds, code); }

/// What canonical composition makes of two neighbours; 0: nothing.
inline std::uint32_t compose(std::uint32_t first, std::uint32_t second) noexcept {
    if (first >= 0x1100 && first < 0x1113 && second >= 0x1161 && second < 0x1176)  // Hangul: lead and vowel
        return 0xAC00 + ((first - 0x1100) * 21 + (second - 0x1161)) * 28;
    if (first >= 0xAC00 && first < 0xD7A4 && (first - 0xAC00) % 28 == 0 && second > 0x11A7 && second < 0x11C3)
        return first + (second - 0x11A7);
    const std::uint64_t pair = static_cast<std::uint64_t>(first) << 32 | second;
    const auto* found = std::lower_bound(std::begin(composition_pairs), std::end(composition_pairs), pair);
    return found != std::end(composition_pairs) && *found == pair ? composed[found - std::begin(composition_pairs)] : 0;
}

}  // namespace unicode

RANKLET_NAMESPACE_END
