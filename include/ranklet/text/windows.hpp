// How much of a text a model reads: what it tells of it (TextRead), and reading all of a long one in windows (Windows).
// In: a number of tokens and how many a model takes at a time. Out: the windows, and which of them each token belongs to.
// The cut is that of Hugging Face's tokenizers 0.23.2 (truncation with a stride, `return_overflowing_tokens`).
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/text/token_span.hpp"

RANKLET_NAMESPACE_BEGIN

/// How much of a text was read. Special tokens and a prompt's do not count.
struct TextRead {
    std::size_t bytes = 0;    ///< of the text, from its beginning: up to the end of the last token read; all if `whole`
    std::size_t tokens = 0;   ///< of the text
    std::size_t windows = 0;  ///< in how many pieces the model read it; 0: the model does not tell
    bool whole = false;       ///< nothing was left out
};

/// How a classifier's logits of a text's windows become the text's.
enum class WindowScores {
    mean,  ///< what the text is like as a whole
    max,   ///< of each label its greatest logit: whether it holds anywhere in the text
};

/// Reading all of a text that is longer than a model takes: piece by piece, each of the model's full length but the last,
/// each with the special tokens around it, and with the prompt before it. A text that fits is read as without.
/// - A text's vector: the windows' pooled states, averaged with their numbers of tokens as weights, before dense layers
///   and normalisation. With mean pooling that is the mean of all token states, as it is for a short text; an average of
///   normalised vectors would let a short last window count as much as a full one.
/// - A token's state or label: from the window in which it has the most context (the greater of the windows' lesser
///   distances to a cut; equal ones: the earlier window). At a cut a token misses half of what it is read by.
/// - Scores of a text: `scores`.
/// - Of a pair of texts the first is read whole in each window, or as much of it as fits half of a window (more where the
///   second leaves more), the second in windows.
struct Windows {
    /// Tokens that a window has in common with the one before; not given: a quarter of what a window holds.
    std::optional<std::size_t> overlap = {};
    WindowScores scores = WindowScores::mean;
};

namespace detail {

/// Tokens [first, last) of a text, and those of them, [own_first, own_last), that no other window has more context for.
struct TokenWindow {
    std::size_t first, last, own_first, own_last;
};

/// The windows of `tokens` tokens, at least one, of `room` each. Precondition: overlap < room.
inline void cut_windows(std::size_t tokens, std::size_t room, std::size_t overlap, std::vector<TokenWindow>& windows) {
    windows.clear();
    const std::size_t step = room - overlap;
    for (std::size_t first = 0;; first += step) {
        const std::size_t last = std::min(first + room, tokens);
        windows.push_back({first, last, first, first});
        if (last == tokens) break;
    }
    const auto context = [&](const TokenWindow& window, std::size_t token) {
        constexpr std::size_t all = std::numeric_limits<std::size_t>::max();
        return std::min(window.first == 0 ? all : token - window.first,
                        window.last == tokens ? all : window.last - 1 - token);
    };
    for (std::size_t token = 0, first = 0; token < tokens; ++token) {
        while (windows[first].last <= token) ++first;  // the first that holds it
        std::size_t best = first;
        for (std::size_t w = first + 1; w < windows.size() && windows[w].first <= token; ++w)
            if (context(windows[w], token) > context(windows[best], token)) best = w;
        TokenWindow& owner = windows[best];
        if (owner.own_first == owner.own_last) owner.own_first = token;
        owner.own_last = token + 1;
    }
}

RANKLET_COLD inline detail::SharedError wrong_read_size(std::size_t entries, std::size_t texts) {
    return make_error(ErrorCode::invalid_argument,
                      {"`read` of the options has ", entries, " entries for ", texts, " texts"});
}

/// What is told of a text of which these tokens were read, at once; `more`: there are others behind them.
inline TextRead text_read(std::string_view text, std::span<const TokenSpan> tokens, bool more) noexcept {
    return {!more ? text.size() : tokens.empty() ? 0 : tokens.back().end, tokens.size(), 1, !more};
}

}  // namespace detail
RANKLET_NAMESPACE_END
