// TokenSpan: a stretch of a text.
// In: nothing. Out: two places of the text, in bytes unless it is said otherwise.
#pragma once

#include <cstdint>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// Bytes [begin, end) of the original text; {0, 0} for the special tokens that are put around it.
struct TokenSpan {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    friend bool operator==(const TokenSpan&, const TokenSpan&) = default;
};

RANKLET_NAMESPACE_END
