// Letters, numbers, marks, grapheme clusters and compatibility decompositions, for tokenizers other than BERT's.
// In: a code point (a Unicode scalar value). Out: what it is, what it turns into; where a grapheme cluster ends.
// From the Unicode Character Database through unicode_property_tables.hpp; clusters by Unicode Standard Annex 29.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string_view>

#include "ranklet/core/config.hpp"
#include "ranklet/text/unicode.hpp"
#include "ranklet/text/unicode_property_tables.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN

namespace unicode {

/// letter_flag, number_flag, mark_flag and, under grapheme_mask, the Grapheme of a code point below 0x110000.
inline std::uint8_t properties(std::uint32_t code) noexcept {
    const std::uint32_t block = property_first_stage[code >> property_shift];
    return property_second_stage[(block << property_shift) + (code & ((1u << property_shift) - 1u))];
}
inline Grapheme grapheme(std::uint32_t code) noexcept {
    return static_cast<Grapheme>(properties(code) & grapheme_mask);
}
/// Rust's char::is_numeric, of Unicode 17: two runs more than the patterns' \p{N}.
inline bool is_numeric(std::uint32_t code) noexcept {
    return (properties(code) & number_flag) != 0 || (code >= 0x11DE0 && code <= 0x11DE9) ||
           (code >= 0x16FF4 && code <= 0x16FF6);
}
/// What StripAccents takes.
inline bool is_accent(std::uint32_t code) noexcept { return code >= 0x300 && in_runs(accent_bounds, code); }

/// The full compatibility decomposition where it is not the canonical one; empty where it is.
inline std::span<const std::uint32_t> compatible(std::uint32_t code) noexcept {
    const auto* found = std::lower_bound(std::begin(compatible_codes), std::end(compatible_codes), code);
    if (found == std::end(compatible_codes) || *found != code) return {};
    const auto i = static_cast<std::size_t>(found - std::begin(compatible_codes));
    return {compatible_parts + compatible_starts[i], compatible_parts + compatible_starts[i + 1]};
}

/// Where the extended grapheme cluster that starts at byte `start` of valid text ends. Precondition: start < text.size().
inline std::size_t grapheme_end(std::string_view text, std::size_t start) noexcept {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    std::uint32_t length = 0;
    Grapheme last = grapheme(utf8::decode(bytes + start, length));
    std::size_t at = start + length;
    bool pictographic = last == Grapheme::extended_pictographic;   // one, and what extends it, so far
    bool consonant = last == Grapheme::consonant, linked = false;  // the same of a consonant; with a linker among it
    bool odd_indicators = last == Grapheme::regional_indicator;
    const auto hard = [](Grapheme of) { return of == Grapheme::cr || of == Grapheme::lf || of == Grapheme::control; };
    const auto any = [](Grapheme of, std::initializer_list<Grapheme> list) {
        return std::find(list.begin(), list.end(), of) != list.end();
    };
    for (; at < text.size(); at += length) {
        const std::uint32_t code = utf8::decode(bytes + at, length);
        const Grapheme next = grapheme(code);
        const bool extends = any(next, {Grapheme::extend, Grapheme::linker, Grapheme::zwj});
        bool joined = false;
        if (last == Grapheme::cr)
            joined = next == Grapheme::lf;
        else if (hard(last) || hard(next))
            joined = false;
        else if (extends || next == Grapheme::spacingmark || last == Grapheme::prepend)
            joined = true;
        else if (last == Grapheme::l)
            joined = any(next, {Grapheme::l, Grapheme::v, Grapheme::lv, Grapheme::lvt});
        else if (last == Grapheme::lv || last == Grapheme::v)
            joined = any(next, {Grapheme::v, Grapheme::t});
        else if (last == Grapheme::lvt || last == Grapheme::t)
            joined = next == Grapheme::t;
        else if (next == Grapheme::extended_pictographic)
            joined = pictographic && last == Grapheme::zwj;
        else if (next == Grapheme::consonant)
            joined = consonant && linked;
        else if (next == Grapheme::regional_indicator)
            joined = last == Grapheme::regional_indicator && odd_indicators;
        if (!joined) break;
        if (next == Grapheme::extended_pictographic)
            pictographic = true;
        else if (!extends)
            pictographic = false;
        if (next == Grapheme::consonant) {
            consonant = true;
            linked = false;
        } else if (!extends || code == 0x200C) {  // a non-joiner parts consonants
            consonant = linked = false;
        } else if (next == Grapheme::linker) {
            linked = true;
        }
        odd_indicators = next == Grapheme::regional_indicator && !odd_indicators;
        last = next;
    }
    return at;
}

}  // namespace unicode

RANKLET_NAMESPACE_END
