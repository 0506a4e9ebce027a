// How good a ranking is on events that it has not seen: hit rate and NDCG of the ten best, coverage, and whether one ranking
// is better than another by more than chance.
// In: the rank of each case's item. Out: means over cases, and an interval of their difference.
// HR@10: the share of cases whose item is among the ten best. NDCG@10: the mean of 1 / log2(rank + 1), 0 beyond the tenth.
// One item is right in each case, so an ideal ranking has 1. Interval: paired bootstrap over cases (Efron 1979).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/split_mix.hpp"

RANKLET_NAMESPACE_BEGIN

/// A rank beyond every list: the case's item is no candidate.
inline constexpr std::uint32_t no_rank = static_cast<std::uint32_t>(-1);

struct RankingQuality {
    std::size_t cases = 0;
    double hit_rate = 0.0;  ///< HR@10
    double ndcg = 0.0;      ///< NDCG@10
};

/// What a difference of two rankings of the same cases is, and the 95 % interval of it.
struct QualityDifference {
    double hit_rate = 0.0, hit_rate_low = 0.0, hit_rate_high = 0.0;
    double ndcg = 0.0, ndcg_low = 0.0, ndcg_high = 0.0;
};

namespace detail {

inline constexpr std::uint32_t judged = 10;  // places of a list that count

inline double gain_of(std::uint32_t rank) noexcept {
    return rank <= judged ? 1.0 / std::log2(static_cast<double>(rank) + 1.0) : 0.0;
}

}  // namespace detail

/// The place of item `target` among scores, from 1: by score, equal ones by index, as a recommender lists them. Items whose
/// score is -infinity are no candidates. Precondition: target < scores.size().
inline std::uint32_t rank_of(std::span<const float> scores, std::size_t target) noexcept {
    const float own = scores[target];
    if (!(own > -std::numeric_limits<float>::infinity())) return no_rank;
    std::uint32_t before = 0;
    for (std::size_t i = 0; i < target; ++i) before += static_cast<std::uint32_t>(scores[i] >= own);
    for (std::size_t i = target + 1; i < scores.size(); ++i) before += static_cast<std::uint32_t>(scores[i] > own);
    return before + 1;
}

/// `ranks`: from 1, or no_rank.
inline RankingQuality quality_of(std::span<const std::uint32_t> ranks) noexcept {
    RankingQuality quality;
    quality.cases = ranks.size();
    for (const std::uint32_t rank : ranks) {
        quality.hit_rate += rank <= detail::judged ? 1.0 : 0.0;
        quality.ndcg += detail::gain_of(rank);
    }
    if (ranks.empty()) return quality;
    quality.hit_rate /= static_cast<double>(ranks.size());
    quality.ndcg /= static_cast<double>(ranks.size());
    return quality;
}

/// a minus b, case by case. Precondition: they have the same cases. The same seed gives the same interval.
inline QualityDifference compare_quality(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b,
                                         std::uint64_t seed = 1, std::size_t samples = 1000) {
    QualityDifference difference;
    const std::size_t cases = std::min(a.size(), b.size());
    if (cases == 0 || samples == 0) return difference;
    std::vector<double> hits, gains;
    for (std::size_t c = 0; c < cases; ++c) {
        hits.push_back((a[c] <= detail::judged ? 1.0 : 0.0) - (b[c] <= detail::judged ? 1.0 : 0.0));
        gains.push_back(detail::gain_of(a[c]) - detail::gain_of(b[c]));
        difference.hit_rate += hits.back() / static_cast<double>(cases);
        difference.ndcg += gains.back() / static_cast<double>(cases);
    }
    detail::SplitMix random{seed};
    std::vector<double> hit_means, gain_means;
    for (std::size_t s = 0; s < samples; ++s) {
        double hit = 0.0, gain = 0.0;
        for (std::size_t c = 0; c < cases; ++c) {
            const std::size_t pick = random.below(cases);
            hit += hits[pick];
            gain += gains[pick];
        }
        hit_means.push_back(hit / static_cast<double>(cases));
        gain_means.push_back(gain / static_cast<double>(cases));
    }
    std::sort(hit_means.begin(), hit_means.end());
    std::sort(gain_means.begin(), gain_means.end());
    const std::size_t low = samples * 25 / 1000, high = samples - 1 - low;
    difference.hit_rate_low = hit_means[low];
    difference.hit_rate_high = hit_means[high];
    difference.ndcg_low = gain_means[low];
    difference.ndcg_high = gain_means[high];
    return difference;
}

RANKLET_NAMESPACE_END
