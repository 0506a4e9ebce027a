// AlignedText: a text that was changed, and of each of its bytes where in the original it came from.
// In: a text and what becomes of its characters. Out: the new text with the original's bytes beside it.
// From `NormalizedString::transform` of Hugging Face's tokenizers 0.23.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/text/token_span.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// A stretch of text, the original's own or a changed one.
struct AlignedView {
    std::string_view text;
    const TokenSpan* spans = nullptr;  ///< of each byte; null: the text is the original's, from its byte `shift` on
    std::uint32_t shift = 0;

    /// Where in the original the bytes [first, last), at least one, came from: whole characters.
    TokenSpan span(std::size_t first, std::size_t last) const noexcept {
        if (spans != nullptr) return {spans[first].begin, spans[last - 1].end};
        while (continues(first)) --first;
        while (last < text.size() && continues(last)) ++last;
        return {shift + static_cast<std::uint32_t>(first), shift + static_cast<std::uint32_t>(last)};
    }
    AlignedView part(std::size_t first, std::size_t last) const noexcept {
        return {text.substr(first, last - first), spans == nullptr ? nullptr : spans + first,
                shift + static_cast<std::uint32_t>(spans == nullptr ? first : 0)};
    }

private:
    bool continues(std::size_t i) const noexcept { return (static_cast<unsigned char>(text[i]) & 0xC0u) == 0x80; }
};

struct AlignedText {
    std::string text;
    std::vector<TokenSpan> spans;  // of each byte

    AlignedView view() const noexcept { return {text, spans.data(), 0}; }
    void clear() noexcept {
        text.clear();
        spans.clear();
    }
    void push(std::uint32_t code, TokenSpan span) {
        char bytes[4];
        append({bytes, utf8::encode(code, bytes)}, span);
    }
    void append(std::string_view bytes, TokenSpan span) {
        text.append(bytes);
        spans.insert(spans.end(), bytes.size(), span);
    }
    void append(const AlignedView& view) {
        text.append(view.text);
        if (view.spans != nullptr) {
            spans.insert(spans.end(), view.spans, view.spans + view.text.size());
            return;
        }
        for (std::uint32_t i = 0, length = 0; i < view.text.size(); i += length) {
            const auto lead = static_cast<unsigned char>(view.text[i]);
            length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
            spans.insert(spans.end(), length, TokenSpan{view.shift + i, view.shift + i + length});
        }
    }
};

/// A character of a changed text. `change` 0: in the place of the next one; 1: added; -n: in the place of the next one, and
/// the n after that are gone.
struct CharChange {
    std::uint32_t code;
    std::int32_t change;
};

/// The changed characters after the first `kept` bytes of `from` into `to`. Spans are dealt out in order, as the original
/// does it: what is added gets its predecessor's in `from`, also where characters have changed places.
inline void transform(const AlignedView& from, std::size_t kept, std::span<const CharChange> changes, AlignedText& to) {
    to.clear();
    to.append(from.part(0, kept));
    const std::size_t size = from.text.size();
    const std::uint32_t start = size == 0 ? from.shift : from.span(0, 1).begin;
    std::size_t at = kept;
    const auto skip = [&] {
        if (at < size) ++at;
        while (at < size && (static_cast<unsigned char>(from.text[at]) & 0xC0u) == 0x80) ++at;
    };
    for (const CharChange& each : changes) {
        const bool added = each.change > 0 || at >= size;  // more than there were: none, in a text that HF takes
        const TokenSpan span = !added    ? from.span(at, at + 1)
                               : at == 0 ? TokenSpan{start, start}
                                         : from.span(at - 1, at);
        if (!added)
            for (std::int32_t gone = each.change; gone <= 0; ++gone) skip();
        to.push(each.code, span);
    }
}

}  // namespace detail
RANKLET_NAMESPACE_END
