// Tokenizer: text to token ids, whatever the kind: WordPiece (wordpiece.hpp), Unigram and BPE (subword_tokenizer.hpp).
// In: UTF-8 text (or a pair). Out: ids with segments, byte offsets and word indices.
// Called once a text, never once a character.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/groups.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/text_list.hpp"
#include "ranklet/text/encoding.hpp"

RANKLET_NAMESPACE_BEGIN

/// How many special tokens a tokenizer puts around a text, and around and between the two of a pair.
struct SpecialTokens {
    std::size_t before = 1, after = 1;
    std::size_t pair_before = 1, pair_between = 1, pair_after = 1;
    std::int32_t second_type = 1;  ///< the token type of a pair's second text
    std::size_t single() const noexcept { return before + after; }
    std::size_t pair() const noexcept { return pair_before + pair_between + pair_after; }
};

/// Immutable once made, so any number of threads may use one.
class Tokenizer {
public:
    virtual ~Tokenizer() = default;

    /// The text's tokens, special ones around them, into `out`, which is cleared first. What exceeds `options.max_length`
    /// is cut from the text's end. No heap once `out` has grown to what the texts need.
    /// Errors, with `out` left empty: `invalid_text` with the offset of the first byte that is not UTF-8;
    /// `invalid_argument` for 4 GiB or more, or a max_length with no room for the special tokens.
    virtual Result<void> encode(std::string_view text, const EncodeOptions& options, Encoding& out) const = 0;
    /// The tokens of both. Offsets and word indices are each text's own. What exceeds `options.max_length` is cut from the
    /// longer text's end, then from both (`longest_first`). Errors as encode's.
    virtual Result<void> encode_pair(std::string_view a, std::string_view b, const EncodeOptions& options,
                                     Encoding& out) const = 0;

    virtual SpecialTokens special_tokens() const noexcept = 0;
    /// What a word that cannot be spelt becomes; -1: there is no such token.
    virtual std::int32_t unknown_id() const noexcept = 0;
    /// Whether a piece that goes on with a word is written otherwise than the text ("##s" for "s"), as WordPiece's are.
    virtual bool marks_continuations() const noexcept = 0;
    /// Text from ids; `skip_special` leaves special tokens out. Errors: `invalid_argument` naming the first id that is out of
    /// range; `unsupported` for a kind of tokenizer that does not say how.
    virtual Result<std::string> decode(std::span<const std::int32_t> ids, bool skip_special) const = 0;
    /// Tokens, added ones included.
    virtual std::size_t vocabulary_size() const noexcept = 0;
    /// The token of an id, written as in the vocabulary; empty for an id that is out of range. Lives as long as this object.
    virtual std::string_view token(std::int32_t id) const noexcept = 0;
    /// The id of a token, written as in the vocabulary.
    virtual std::optional<std::int32_t> id_of(std::string_view token) const noexcept = 0;
    /// Bytes of memory that the vocabulary takes.
    virtual std::size_t memory() const noexcept = 0;

    /// encode as a value of its own.
    Result<Encoding> encode(std::string_view text, const EncodeOptions& options = {}) const RANKLET_MEMORY_TRY {
        Encoding encoding;
        RANKLET_TRY(encode(text, options, encoding));
        return encoding;
    }
    RANKLET_MEMORY_CATCH

    /// The same for many texts, out[i] of texts[i], shared among `threads`. No influence on the result.
    /// Error: that of the first text that has one, which it names as "text N"; `invalid_argument` when
    /// `out` is not as long as `texts`. With an Error some texts may not have been read.
    Result<void> encode_batch(TextList texts, const EncodeOptions& options, std::span<Encoding> out,
                              Threads threads = 1) const RANKLET_MEMORY_TRY {
        if (out.size() != texts.size())
            return make_error(ErrorCode::invalid_argument,
                              {texts.size(), " texts are to be encoded into ", out.size(), " encodings"});
        constexpr std::size_t group = 64;
        return detail::for_each_group(texts.size(), group, detail::GroupOptions{threads}, detail::text_work(texts),
                                      [&](std::size_t first, std::size_t last, std::size_t) -> Result<void> {
                                          for (std::size_t i = first; i < last; ++i)
                                              if (const auto status = encode(texts[i], options, out[i]); !status.ok())
                                                  return about_input(status.error(), i, {"text ", i});
                                          return {};
                                      });
    }
    RANKLET_MEMORY_CATCH

protected:
    Tokenizer() = default;
    Tokenizer(const Tokenizer&) = default;
    Tokenizer& operator=(const Tokenizer&) = default;
};

namespace detail {

inline std::size_t saturating_sum(std::size_t a, std::size_t b) noexcept {
    return a + b < a ? std::numeric_limits<std::size_t>::max() : a + b;
}

/// Tokens to keep of a pair's two texts, of `a` and `b` tokens: Hugging Face's `longest_first`.
inline std::pair<std::size_t, std::size_t> longest_first(std::size_t a, std::size_t b, std::size_t room) noexcept {
    if (saturating_sum(a, b) <= room) return {a, b};
    std::size_t shorter = std::min(a, b);
    std::size_t longer = shorter > room ? shorter : std::max(shorter, room - shorter);
    if (shorter + longer > room) {
        shorter = room / 2;
        longer = shorter + room % 2;
    }
    return a > b ? std::pair{longer, shorter} : std::pair{shorter, longer};
}

inline Result<void> check_max_length(const EncodeOptions& options, std::size_t special) {
    if (!options.add_special_tokens || options.max_length >= special) return {};
    return make_error(ErrorCode::invalid_argument,
                      {"max_length ", options.max_length, " has no room for ", special, " special tokens"});
}

}  // namespace detail

RANKLET_NAMESPACE_END
