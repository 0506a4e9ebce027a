// top_k: the k best of a row of scores.
// In: n scores. Out: indices, best first. A total order: score descending, then index ascending. NaN and -infinity
// never enter, so a caller removes a candidate by giving it -infinity.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// Writes the indices of the best min(k, candidates) scores to `best`, whose size is k, and returns how many they are.
/// One pass, a heap of k in place, no allocation. Scores may number up to 2^32 - 1.
inline std::size_t top_k(std::span<const float> scores, std::span<std::uint32_t> best) noexcept {
    const auto better = [&](std::uint32_t a, std::uint32_t b) noexcept {
        return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
    };
    std::size_t count = 0;
    if (best.empty()) return 0;
    for (std::uint32_t i = 0; i < scores.size(); ++i) {
        if (!(scores[i] > -std::numeric_limits<float>::infinity())) continue;
        if (count < best.size()) {
            best[count++] = i;
            std::push_heap(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(count), better);
        } else if (scores[i] > scores[best[0]]) {  // an equal score comes later: it loses the tie
            std::pop_heap(best.begin(), best.end(), better);
            best.back() = i;
            std::push_heap(best.begin(), best.end(), better);
        }
    }
    std::sort_heap(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(count), better);
    return count;
}

RANKLET_NAMESPACE_END
