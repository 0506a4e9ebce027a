// Encoding: what a tokenizer makes of a text.
// In: nothing; tokenizers fill it. Out: ids, segments, and where in the text each token came from.
// The columns are those of Hugging Face's `Encoding`.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/text/lower.hpp"
#include "ranklet/text/pipeline_scratch.hpp"
#include "ranklet/text/token_span.hpp"

RANKLET_NAMESPACE_BEGIN

/// The longest word or token, in bytes, that a vocabulary may have. To find the longest that starts at a place takes at
/// most so many steps, so a text takes time in proportion to its length whatever the vocabulary.
inline constexpr std::size_t max_token_bytes = 1024;

namespace detail {

/// A character after normalisation, and the bytes of the original text it stands for.
struct NormalizedChar {
    std::uint32_t code;
    TokenSpan span;
};

/// Working memory of an encode call, kept between calls so that they allocate nothing. Its content means nothing.
struct EncodeScratch {
    RANKLET_MOVES_OUT_OF_LINE(EncodeScratch);
    EncodeScratch(const EncodeScratch&) = default;
    EncodeScratch& operator=(const EncodeScratch&) = default;

    struct Mark {
        std::uint32_t code;
        std::uint8_t combining;
        bool added;
    };
    std::vector<char> word;             // a normalised word
    std::vector<TokenSpan> word_spans;  // of each byte of it
    std::vector<NormalizedChar> cleaned, normalized;
    std::vector<Mark> marks;
    std::vector<std::size_t> order, spare;  // of the marks, and for sorting it
    std::string normalized_text;            // `normalized` in UTF-8
    std::vector<std::uint32_t> char_index;  // of each byte of it, and one past the end
    LoweredText lowered;                    // the whole text, where the tokenizer reads its lower case
    PipelineScratch pipeline;               // of a SubwordTokenizer
};

}  // namespace detail

/// One text's (or pair's) tokens, a column each, all of the same length. Reuse it: its memory is kept.
struct Encoding {
    std::vector<std::int32_t> ids;
    std::vector<std::int32_t> type_ids;  ///< 0, and 1 for a pair's second text with the separator after it
    std::vector<TokenSpan> offsets;      ///< into the text that the token came from
    std::vector<std::int32_t> words;     ///< which word of its text the token is of; -1 for special tokens around it
    detail::EncodeScratch scratch;

    std::size_t size() const noexcept { return ids.size(); }
    void clear() noexcept {
        ids.clear();
        type_ids.clear();
        offsets.clear();
        words.clear();
    }
    [[gnu::noinline]] void push(std::int32_t id, std::int32_t type, TokenSpan span, std::int32_t word) {
        ids.push_back(id);
        type_ids.push_back(type);
        offsets.push_back(span);
        words.push_back(word);
    }
    /// Removes the tokens [first, last).
    void erase(std::size_t first, std::size_t last) {
        const auto cut = [=](auto& column) {
            const auto begin = column.begin();
            column.erase(begin + static_cast<std::ptrdiff_t>(first), begin + static_cast<std::ptrdiff_t>(last));
        };
        cut(ids);
        cut(type_ids);
        cut(offsets);
        cut(words);
    }
};

namespace detail {

/// Empties an Encoding at its end unless the work on it was finished: an allocation that fails leaves no half of it.
struct Unfinished {
    Encoding& encoding;
    bool finished = false;
    ~Unfinished() {
        if (!finished) encoding.clear();
    }
};

}  // namespace detail

struct EncodeOptions {
    /// Most tokens of the result, special ones included.
    std::size_t max_length = std::numeric_limits<std::size_t>::max();
    /// [CLS] text [SEP], or [CLS] a [SEP] b [SEP].
    bool add_special_tokens = true;
};

/// Turns byte offsets into `text` (UTF-8) into code point offsets, in place. Linear in the text for spans in the order
/// that encode gives them. Error `invalid_argument` for an offset beyond the text, at the first such span.
inline Result<void> to_code_point_offsets(std::string_view text, std::span<TokenSpan> spans) {
    struct Cursor {
        std::string_view text;
        std::uint32_t byte = 0;
        std::uint32_t code_points = 0;
        std::uint32_t advance(std::uint32_t to) noexcept {
            if (to < byte) byte = code_points = 0;
            for (; byte < to; ++byte)
                if ((static_cast<unsigned char>(text[byte]) & 0xC0u) != 0x80) ++code_points;
            return code_points;
        }
    };
    Cursor begin{text}, end{text};
    for (std::size_t i = 0; i < spans.size(); ++i) {
        if (spans[i].begin > spans[i].end || spans[i].end > text.size())
            return make_error(ErrorCode::invalid_argument, {"span ", i, ", [", spans[i].begin, ", ", spans[i].end,
                                                            "), is not inside a text of ", text.size(), " bytes"});
        spans[i] = {begin.advance(spans[i].begin), end.advance(spans[i].end)};
    }
    return {};
}

RANKLET_NAMESPACE_END
