// TokenBatch: several texts' tokens, one text after the other, without padding.
// In: token ids and where each text begins. Out: what a transformer runs over.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// Text t has ids[offsets[t]] ... ids[offsets[t + 1] - 1], at least one. The numbers belong to the caller.
struct TokenBatch {
    std::span<const std::int32_t> ids;
    std::span<const std::int32_t> type_ids;  ///< as many, or empty: all 0
    std::span<const std::size_t> offsets;    ///< texts + 1

    std::size_t tokens() const noexcept { return ids.size(); }
    std::size_t longest() const noexcept {
        std::size_t length = 0;
        for (std::size_t t = 0; t + 1 < offsets.size(); ++t) length = std::max(length, offsets[t + 1] - offsets[t]);
        return length;
    }
};

RANKLET_NAMESPACE_END
