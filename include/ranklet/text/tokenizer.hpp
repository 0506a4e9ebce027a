// Tokenizer: what an encoder asks of a tokenizer, whatever it is made of.
// In: UTF-8 texts. Out: Encodings: ids, offsets into the text, words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/core/groups.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/text_list.hpp"
#include "ranklet/text/encoding.hpp"

RANKLET_NAMESPACE_BEGIN

/// Immutable once made; any number of threads may use one.
class Tokenizer {
public:
    virtual ~Tokenizer() = default;

    /// The text's tokens, with the special ones around it, into `out`, which is cleared first. A longer text than
    /// `options.max_length` loses its end but keeps its special tokens. No heap once `out` has grown to what the texts need.
    /// Errors, with `out` left empty: `invalid_text` with the offset of the first byte that is not UTF-8;
    /// `invalid_argument` for 4 GiB or more, or a max_length with no room for the special tokens.
    virtual Result<void> encode(std::string_view text, const EncodeOptions& options, Encoding& out) const = 0;
    /// The same of a pair of texts. Error unsupported where the tokenizer has no form for pairs.
    virtual Result<void> encode_pair(std::string_view a, std::string_view b, const EncodeOptions& options,
                                     Encoding& out) const = 0;
    /// The text that ids stand for; `skip_special` leaves special tokens out. Error `invalid_argument` naming the first id
    /// that is out of range.
    virtual Result<std::string> decode(std::span<const std::int32_t> ids, bool skip_special) const = 0;

    /// Tokens, added ones included.
    virtual std::size_t vocabulary_size() const noexcept = 0;
    /// The token of an id as the vocabulary writes it; empty for an id that is out of range. Lives as long as this object.
    virtual std::string_view token(std::int32_t id) const noexcept = 0;
    /// The id of a token, written as in the vocabulary.
    virtual std::optional<std::int32_t> id_of(std::string_view token) const noexcept = 0;
    /// What stands for what it does not know; -1: there is no such token.
    virtual std::int32_t unknown_id() const noexcept = 0;
    /// Special tokens before a text, and behind it.
    virtual std::size_t special_before() const noexcept { return 1; }
    virtual std::size_t special_after() const noexcept { return 1; }
    /// Whether a pair's second text has token type 1, by which encoders find it.
    virtual bool marks_pairs() const noexcept { return false; }

    /// encode() as a value of its own.
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

RANKLET_NAMESPACE_END
