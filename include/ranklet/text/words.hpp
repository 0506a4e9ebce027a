// Words of a text for stop words and phrases: runs of word characters, and runs of Chinese characters.
// In: UTF-8. Out: stretches of bytes, in order, each of one kind; what lies between is space, punctuation and the like.
// Chinese is not segmented here: a run goes from one other character to the next.
#pragma once

#include <cstdint>
#include <string_view>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/text/encoding.hpp"
#include "ranklet/text/unicode.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// A stretch of a text.
struct WordRun {
    TokenSpan bytes;
    bool chinese = false;  ///< a run of Chinese characters, else one word
};

enum class CharKind { other, word, chinese };

inline CharKind char_kind(std::uint32_t code) noexcept {
    const std::uint8_t flags = unicode::record(code).flags;
    if ((flags & unicode::chinese_flag) != 0) return CharKind::chinese;
    return (flags & unicode::word_flag) != 0 ? CharKind::word : CharKind::other;
}

inline std::uint32_t code_at(std::string_view text, std::size_t at, std::uint32_t& length) noexcept {
    return utf8::decode(reinterpret_cast<const unsigned char*>(text.data()) + at, length);
}

/// Error invalid_text or invalid_argument where the text is not UTF-8 or 4 GiB or more.
inline Result<void> check_words(std::string_view text) {
    if (text.size() > 0xFFFFFFFFu)
        return make_error(ErrorCode::invalid_argument,
                          {"a text of ", text.size(), " bytes: 4 GiB or more is too long"});
    const std::size_t valid = utf8::valid_prefix(text);
    if (valid == text.size()) return {};
    return make_error(ErrorCode::invalid_text, {"the text is not UTF-8 at byte ", valid});
}

/// Calls visit(WordRun) for each run of the text, in order. An apostrophe or a hyphen between two word characters
/// belongs to the word ("don't", "well-made"). Precondition: the text is UTF-8.
template <class Visit>
void for_each_run(std::string_view text, const Visit& visit) {
    std::size_t begin = 0;
    CharKind kind = CharKind::other;
    const auto finish = [&](std::size_t end) {
        if (kind != CharKind::other)
            visit(WordRun{{static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)},
                          kind == CharKind::chinese});
    };
    std::size_t at = 0;
    while (at < text.size()) {
        std::uint32_t length = 0;
        const std::uint32_t code = code_at(text, at, length);
        CharKind next = char_kind(code);
        const bool joint = code == '\'' || code == '-' || code == 0x2019;
        if (joint && kind == CharKind::word && at + length < text.size()) {
            std::uint32_t after = 0;
            next = char_kind(code_at(text, at + length, after)) == CharKind::word ? CharKind::word : CharKind::other;
        }
        if (next != kind) {
            finish(at);
            begin = at;
            kind = next;
        }
        at += length;
    }
    finish(text.size());
}

}  // namespace detail
RANKLET_NAMESPACE_END
