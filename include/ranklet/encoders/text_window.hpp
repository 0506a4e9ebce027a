// TextWindow: what a transformer reads at once: a text or a pair of texts, or a piece of one that is too long.
// In: nothing. Out: which piece of which text some token states are, and the type of what takes them.
#pragma once

#include <cstddef>
#include <string_view>

#include "ranklet/core/config.hpp"
#include "ranklet/core/function_view.hpp"
#include "ranklet/core/view.hpp"

RANKLET_NAMESPACE_BEGIN

class Scratch;

/// Two texts that are read together: [CLS] first [SEP] second [SEP], token types 0 and 1.
struct TextPair {
    std::string_view first, second;
};

/// Which states of which text a window's are.
struct TextWindow {
    std::size_t text = 0;              ///< of the texts or pairs
    std::size_t index = 0, count = 1;  ///< which window of the text's
    // The text's states put together are [rows, hidden], special tokens at both ends included. Of them this window gives
    // those from `to` on: its own rows [begin, end), which no other window has more context for.
    std::size_t rows = 0, to = 0, begin = 0, end = 0;
};
/// What is done with the states [length, hidden] of one window. A text's windows come one after the other in the order of
/// the text; different texts from any of the threads, in any order. Must not throw, but for an allocation that fails.
using WindowSink = FunctionView<void(const TextWindow&, MatrixView<const float>, Scratch&)>;

RANKLET_NAMESPACE_END
