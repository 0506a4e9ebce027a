// TokenParts: a text that was cut into tokens, taken apart word by word, for encoders that read one sequence of tokens.
// In: a text and its tokens. Out: its words with their places, and the token sequences without each of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/encoders/item_encoder.hpp"
#include "ranklet/text/encoding.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// Tokens [first, last) that are taken out together, and their bytes of the text, without the prompt.
struct TokenGroup {
    std::size_t first, last;
    TokenSpan span;
};

/// The groups of a text behind a prompt of so many bytes: words, or tokens. The special tokens and the prompt's stay.
inline std::vector<TokenGroup> group_tokens(const Encoding& encoding, std::size_t prompt, TextUnit unit) {
    std::vector<TokenGroup> groups;
    for (std::size_t t = 0; t < encoding.size(); ++t) {
        const TokenSpan span = encoding.offsets[t];
        if (encoding.words[t] < 0 || span.end <= prompt) continue;  // special, or the prompt's
        const auto begin = static_cast<std::uint32_t>(std::max<std::size_t>(span.begin, prompt) - prompt);
        const auto end = static_cast<std::uint32_t>(span.end - prompt);
        if (unit == TextUnit::word && !groups.empty() && groups.back().last == t &&
            encoding.words[t - 1] == encoding.words[t]) {
            groups.back().last = t + 1;
            groups.back().span.end = end;
        } else {
            groups.push_back({t, t + 1, {begin, end}});
        }
    }
    return groups;
}

/// The ids without a group's tokens.
inline std::vector<std::int32_t> without(std::span<const std::int32_t> ids, const TokenGroup& group) {
    std::vector<std::int32_t> rest(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(group.first));
    rest.insert(rest.end(), ids.begin() + static_cast<std::ptrdiff_t>(group.last), ids.end());
    return rest;
}

class TokenParts : public ItemParts {
public:
    /// `text` is looked into.
    TokenParts(std::string_view text, const Encoding& encoding, std::size_t prompt, TextUnit unit)
        : ids_(encoding.ids), groups_(group_tokens(encoding, prompt, unit)) {
        for (const TokenGroup& group : groups_)
            parts_.push_back({text.substr(group.span.begin, group.span.end - group.span.begin), group.span, {}});
    }

    std::span<const TextPart> parts() const noexcept override { return parts_; }
    std::size_t at_once() const noexcept override {
        constexpr std::size_t tokens = 512;
        return std::max<std::size_t>(1, tokens / std::max<std::size_t>(1, ids_.size()));
    }
    Result<EncodedItems> encode(std::size_t first, std::size_t count, ItemForm form,
                                const BatchOptions& options) const override {
        std::vector<std::vector<std::int32_t>> sequences;
        for (std::size_t v = first; v < first + count; ++v)
            sequences.push_back(v == 0 ? ids_ : without(ids_, groups_[v - 1]));
        return encode_sequences(sequences, form, options);
    }

private:
    virtual Result<EncodedItems> encode_sequences(std::span<const std::vector<std::int32_t>> sequences, ItemForm form,
                                                  const BatchOptions& options) const = 0;

    std::vector<std::int32_t> ids_;
    std::vector<TokenGroup> groups_;
    std::vector<TextPart> parts_;
};

}  // namespace detail
RANKLET_NAMESPACE_END
