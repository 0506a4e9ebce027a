// Folded text: what words are compared by, so that one word has one form however it was typed.
// In: UTF-8. Out: characters, each with the bytes it stands for: lower case (where stated), canonical decomposition, one
// space for a run of white space, one apostrophe, and where text is lower-cased one small sigma.
// Canonical ordering: the Unicode Standard, section 3.11.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "ranklet/core/config.hpp"
#include "ranklet/core/sort.hpp"
#include "ranklet/text/encoding.hpp"
#include "ranklet/text/unicode.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN

namespace detail {

/// Whether it separates words: white space and control characters.
inline bool separates(std::uint32_t code) noexcept {
    const std::uint8_t flags = unicode::record(code).flags;
    if ((flags & (unicode::word_flag | unicode::chinese_flag)) != 0)
        return false;  // the joiners are control characters
    return code < 0x20 || (flags & (unicode::space_flag | unicode::control_flag)) != 0;
}

/// The marks that wait in scratch.cleaned, in order of combining class, equals as they came, to scratch.normalized.
inline void put_marks(EncodeScratch& scratch) {
    auto& waiting = scratch.cleaned;
    const auto combining = [&](std::size_t m) { return unicode::record(waiting[m].code).combining; };
    for (const std::size_t m : sorted_indices(
             waiting.size(), [&](std::size_t a, std::size_t b) { return combining(a) < combining(b); }, scratch.order,
             scratch.spare))
        scratch.normalized.push_back(waiting[m]);
    waiting.clear();
}

/// The text (UTF-8, below 4 GiB), folded, into scratch.normalized. `lowercase`: its case is folded too.
inline void fold(std::string_view text, bool lowercase, EncodeScratch& scratch) {
    auto& out = scratch.normalized;
    out.clear();
    scratch.cleaned.clear();
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    std::uint32_t length = 0;
    for (std::uint32_t at = 0; at < text.size(); at += length) {
        const std::uint32_t code = utf8::decode(bytes + at, length);
        const TokenSpan span{at, at + length};
        if (separates(code)) {
            put_marks(scratch);
            if (!out.empty() && out.back().code == ' ')
                out.back().span.end = span.end;
            else
                out.push_back({' ', span});
            continue;
        }
        const unicode::Expansion cased = lowercase ? unicode::lower(code) : unicode::Expansion{{code, 0, 0, 0}, 1};
        for (std::uint32_t c = 0; c < cased.size; ++c) {
            const unicode::Expansion parts = unicode::decompose(cased.codes[c]);
            for (std::uint32_t i = 0; i < parts.size; ++i) {
                std::uint32_t part = parts.codes[i];
                if (unicode::record(part).combining != 0) {
                    scratch.cleaned.push_back({part, span});
                    continue;
                }
                put_marks(scratch);
                if (part == 0x2019) part = '\'';
                if (part == 0x3C2 && lowercase) part = 0x3C3;  // lower-casing by characters knows no final sigma
                out.push_back({part, span});
            }
        }
    }
    put_marks(scratch);
}

/// The same as UTF-8, without white space at its ends.
inline std::string folded(std::string_view text, bool lowercase, EncodeScratch& scratch) {
    fold(text, lowercase, scratch);
    std::string out;
    for (const NormalizedChar& character : scratch.normalized) {
        char bytes[4];
        out.append(bytes, utf8::encode(character.code, bytes));
    }
    if (out.starts_with(' ')) out.erase(0, 1);
    if (out.ends_with(' ')) out.pop_back();
    return out;
}

}  // namespace detail

RANKLET_NAMESPACE_END
