// normalize_value: one spelling for what is written in several ways: keywords, values of attributes, strings to find them
// by. In: UTF-8. Out: lower case, composed (NFC of Unicode 9.0), no white space at the ends, one space for each run of it.
// Lower case as lower.hpp has it; composition: the Unicode Standard, section 3.11.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/sort.hpp"
#include "ranklet/text/lower.hpp"
#include "ranklet/text/unicode.hpp"
#include "ranklet/text/utf8.hpp"
#include "ranklet/text/words.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// The canonical composition of a text, in place of its code points.
inline void compose(std::vector<std::uint32_t>& codes) {
    std::vector<std::uint32_t> parts;
    for (const std::uint32_t code : codes) {
        const unicode::Expansion apart = unicode::decompose(code);
        parts.insert(parts.end(), apart.codes, apart.codes + apart.size);
    }
    const auto combining = [](std::uint32_t code) { return unicode::record(code).combining; };
    for (std::size_t at = 0; at < parts.size();) {  // marks in order of combining class, equals as they came
        std::size_t end = at;
        while (end < parts.size() && combining(parts[end]) != 0) ++end;
        const std::vector<std::uint32_t> marks(parts.begin() + static_cast<std::ptrdiff_t>(at),
                                               parts.begin() + static_cast<std::ptrdiff_t>(end));
        for (const std::size_t m : sorted_indices(
                 marks.size(), [&](std::size_t a, std::size_t b) { return combining(marks[a]) < combining(marks[b]); }))
            parts[at++] = marks[m];
        at = end + 1;
    }
    codes.clear();
    constexpr std::size_t none = static_cast<std::size_t>(-1);
    std::size_t starter = none;
    std::uint8_t before = 0;  // the class of the mark that stands last behind the starter
    for (const std::uint32_t code : parts) {
        const std::uint8_t own = combining(code);
        if (starter != none && (codes.size() == starter + 1 || (before != 0 && before < own))) {
            if (const std::uint32_t joined = unicode::compose(codes[starter], code); joined != 0) {
                codes[starter] = joined;
                continue;
            }
        }
        if (own == 0) starter = codes.size();
        before = own;
        codes.push_back(code);
    }
}

}  // namespace detail

/// A string as keywords are compared and TextAttributes writes values. Texts that differ in case (Unicode's, as a whole:
/// a sigma at a word's end is a final one), in composed or decomposed accents, or in white space alone, become one.
/// Nothing else changes: accents, full-width forms and punctuation stay. For the strings of a Condition, so that
/// "Nordfell " finds "nordfell". Error invalid_text when it is not UTF-8.
RANKLET_COLD inline Result<std::string> normalize_value(std::string_view text) RANKLET_MEMORY_TRY {
    RANKLET_TRY(detail::check_words(text));
    detail::LoweredText lowered;
    lowered.assign(text);
    const std::string_view lower = lowered.text();
    std::vector<std::uint32_t> codes;
    bool ascii = true;
    std::uint32_t length = 0;
    for (std::size_t at = 0; at < lower.size(); at += length) {
        const std::uint32_t code = detail::code_at(lower, at, length);
        if (!unicode::is_space(code)) {
            codes.push_back(code);
            ascii = ascii && code < 0x80;
        } else if (!codes.empty() && codes.back() != ' ') {
            codes.push_back(' ');
        }
    }
    if (!codes.empty() && codes.back() == ' ') codes.pop_back();
    if (!ascii) detail::compose(codes);
    std::string out;
    char bytes[4];
    for (const std::uint32_t code : codes) out.append(bytes, utf8::encode(code, bytes));
    return out;
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
