// A text in lower case as a whole: what Python's str.lower makes of it, and where each byte of it came from.
// In: UTF-8. Out: UTF-8, and a map from its bytes back to the text's.
// Context-free but for the capital sigma, which is a final one behind a cased character and before none (characters that
// are Case_Ignorable passed over): SpecialCasing.txt's Final_Sigma, as CPython 3.3 and later have it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/text/token_span.hpp"
#include "ranklet/text/unicode.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// Reuse it: its memory is kept.
class LoweredText {
public:
    /// Precondition: `text` is UTF-8 of less than 4 GiB / 2.
    void assign(std::string_view text) {
        text_.clear();
        changes_.clear();
        const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
        for (std::size_t at = 0; at < text.size();) {
            if (bytes[at] < 0x80) {
                const char c = text[at++];
                text_.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
                continue;
            }
            std::uint32_t length = 0;
            const std::uint32_t code = utf8::decode(bytes + at, length);
            unicode::Expansion lower = unicode::lower(code);
            if (code == capital_sigma && is_final_sigma(text, at)) lower.codes[0] = final_sigma;
            const std::size_t begin = text_.size();
            for (std::uint32_t i = 0; i < lower.size; ++i) {
                char written[4];
                text_.append(written, utf8::encode(lower.codes[i], written));
            }
            if (text_.size() - begin != length || lower.size > 1)
                changes_.push_back({at, at + length, begin, text_.size()});
            at += length;
        }
    }

    std::string_view text() const noexcept { return text_; }

    /// The bytes of the original text that bytes [begin, end) of this one stand for; a part of what one character became
    /// stands for the whole of it.
    TokenSpan original(TokenSpan span) const noexcept {
        if (changes_.empty() || span.begin == span.end) return span;
        const auto place = [&](std::size_t at, bool is_end) {
            // the last change that begins before the place, or at it where something begins there
            const auto next = std::partition_point(changes_.begin(), changes_.end(), [&](const Change& change) {
                return is_end ? change.begin < at : change.begin <= at;
            });
            if (next == changes_.begin()) return static_cast<std::uint32_t>(at);
            const Change& change = *(next - 1);
            if (at >= change.end) return static_cast<std::uint32_t>(change.original_end + (at - change.end));
            return static_cast<std::uint32_t>(is_end ? change.original_end : change.original_begin);
        };
        return {place(span.begin, false), place(span.end, true)};
    }

private:
    static constexpr std::uint32_t capital_sigma = 0x3A3, final_sigma = 0x3C2;

    /// A character whose lower case is not one character of the same number of bytes.
    struct Change {
        std::size_t original_begin, original_end, begin, end;
    };

    static bool is_final_sigma(std::string_view text, std::size_t sigma) noexcept {
        bool after_cased = false;
        for (std::size_t at = sigma; at > 0 && !after_cased;) {
            const std::uint32_t code = utf8::last_before(text, at);
            if (!unicode::is_case_ignorable(code)) {
                if (!unicode::is_cased(code)) return false;
                after_cased = true;
            }
            --at;
            while ((static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80) --at;
        }
        if (!after_cased) return false;
        std::uint32_t length = 0;
        for (std::size_t at = sigma + 2; at < text.size(); at += length) {
            const std::uint32_t code = utf8::decode(reinterpret_cast<const unsigned char*>(text.data()) + at, length);
            if (!unicode::is_case_ignorable(code)) return !unicode::is_cased(code);
        }
        return true;
    }

    std::string text_;
    std::vector<Change> changes_;
};

}  // namespace detail
RANKLET_NAMESPACE_END
