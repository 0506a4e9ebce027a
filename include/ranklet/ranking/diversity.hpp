// Diversity: which k items are shown, when the k best are too much alike.
//   caps  at most c items of a ranking share a value of an attribute (a brand, an author)
//   MMR   maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998): the next item is the one with the largest
//         lambda * relevance(i) - (1 - lambda) * max over the items chosen so far of similarity(i, chosen)
// In: scores of a catalog's items. Out: indices in the order of choice.
// Ties go to the higher score, then the lower index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ranklet/catalog/catalog.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/view.hpp"

RANKLET_NAMESPACE_BEGIN

/// At most `most` items with the same value of a category or the same tag. An item without a value is never capped; one
/// with several tags counts for each of them.
struct GroupCap {
    std::string_view attribute;
    std::size_t most = 1;
};

/// Maximal marginal relevance. Relevance is the score, brought to [0, 1] over the pool (its least and largest score);
/// similarity is the cosine of item vectors, 0 with a zero vector or one that is not finite.
struct Diversity {
    float lambda = 1.0f;  ///< 1: by score alone (no vectors are looked at); 0: the first by score, then by difference
    std::size_t pool =
        100;  ///< the best so many candidates are considered (k if that is more), the rest only after them
    /// Vectors to compare items by [n, any width]; not given: the catalog's own, which text_gru models do not keep.
    std::optional<MatrixView<const float>> vectors = {};
};

namespace detail {

/// Error invalid_argument, missing or unsupported when caps or diversity do not fit the catalog, naming what does not.
Result<void> check_diversity(const CatalogData& catalog, std::span<const GroupCap> caps, const Diversity& diversity);

/// Chooses items; its memory is kept for the next choice.
class DiverseSelection {
public:
    /// Writes at most `best.size()` indices in the order of choice and returns how many. Scores of -infinity are no
    /// candidates; there is no NaN. Precondition: check_diversity().
    std::size_t select(std::span<const float> scores, const CatalogData& catalog, std::span<const GroupCap> caps,
                       const Diversity& diversity, std::span<std::uint32_t> best);

    /// Counts `chosen` for the caps, whether or not they leave room; take_if_room() goes on from there.
    void begin_caps(const CatalogData& catalog, std::span<const GroupCap> caps, std::span<const std::uint32_t> chosen) {
        begin_groups(catalog.attributes, caps);
        for (const std::uint32_t item : chosen) take(item);
    }
    bool take_if_room(std::uint32_t item) noexcept {
        if (!has_room(item)) return false;
        take(item);
        return true;
    }

private:
    struct Group {
        const AttributeColumn* column;
        std::size_t most, first;  // its counts begin at counts_[first]
    };
    struct Candidate {
        std::uint32_t item;
        double relevance, norm, nearest;  // nearest: similarity to the most similar chosen item
    };

    void begin_groups(const AttributeTable& attributes, std::span<const GroupCap> caps);
    bool has_room(std::uint32_t item) const noexcept;
    void take(std::uint32_t item) noexcept;

    // All candidates as a heap, the best on top: only as much of the order is made as is asked for.
    void begin_order(std::span<const float> scores);
    bool pop(std::span<const float> scores, std::uint32_t& item) noexcept;

    std::size_t choose_from_pool(std::span<const float> scores, MatrixView<const float> vectors,
                                 const Diversity& diversity, std::span<std::uint32_t> best);

    static constexpr std::uint32_t gone = static_cast<std::uint32_t>(-1);
    std::vector<Group> groups_;
    std::vector<std::size_t> counts_;
    std::vector<std::uint32_t> order_;
    std::vector<Candidate> pool_;
};

}  // namespace detail

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <limits>

#include "ranklet/kernels/reduce.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// The heap's order of candidates: their scores, of equals the higher index, count as worse.
inline auto worse_of(std::span<const float> scores) noexcept {
    return [scores](std::uint32_t a, std::uint32_t b) noexcept {
        return scores[a] < scores[b] || (scores[a] == scores[b] && a > b);
    };
}

/// x . y in f32, and in double where that could overflow or lose small numbers: `norms` is |x| |y|, of x = y any
/// number in between. (Products of floats are exact in double: the same bits whether fused or not.)
RANKLET_FUNC double safe_dot(std::span<const float> x, std::span<const float> y, double norms) noexcept {
    constexpr double least = 1e-20, most = 1e30;
    if (norms > least && norms < most) {
        const auto product = static_cast<double>(kernels::dot<kernels::default_arch>(x.data(), y.data(), x.size()));
        if (x.data() != y.data() || (product > least && product < most)) return product;
    }
    double sum = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += static_cast<double>(x[i]) * static_cast<double>(y[i]);
    return sum;
}

RANKLET_COLD RANKLET_FUNC Result<void> check_diversity(const CatalogData& catalog, std::span<const GroupCap> caps,
                                                       const Diversity& diversity) {
    for (const GroupCap& cap : caps) {
        RANKLET_ASSIGN(const AttributeColumn* column, catalog.attributes.at(cap.attribute));
        if (column->type == AttributeType::number)
            return make_error(ErrorCode::invalid_argument,
                              {"a cap on attribute \"", cap.attribute, "\": numbers make no groups"});
        if (cap.most == 0)
            return make_error(ErrorCode::invalid_argument,
                              {"a cap of 0 on attribute \"", cap.attribute, "\": use a filter to leave items out"});
    }
    if (!(diversity.lambda >= 0.0f && diversity.lambda <= 1.0f))
        return make_error(ErrorCode::invalid_argument, {"lambda is ", diversity.lambda, ", expected 0 to 1"});
    if (diversity.lambda == 1.0f || catalog.ids.empty()) return {};
    if (diversity.vectors && (diversity.vectors->rows != catalog.ids.size() || diversity.vectors->cols == 0))
        return make_error(ErrorCode::invalid_argument,
                          {"diversity's vectors are ", diversity.vectors->rows, " x ", diversity.vectors->cols, " for ",
                           catalog.ids.size(), " items"});
    if (!diversity.vectors && catalog.vectors.empty())
        return make_error(ErrorCode::unsupported,
                          {"the catalog keeps no item vectors (text_gru): diversity needs Diversity::vectors"});
    return {};
}

RANKLET_FUNC std::size_t DiverseSelection::select(std::span<const float> scores, const CatalogData& catalog,
                                                  std::span<const GroupCap> caps, const Diversity& diversity,
                                                  std::span<std::uint32_t> best) {
    begin_groups(catalog.attributes, caps);
    begin_order(scores);
    std::size_t count = 0;
    if (diversity.lambda < 1.0f)
        count = choose_from_pool(scores, diversity.vectors.value_or(catalog.vectors.view()), diversity, best);
    for (std::uint32_t item = 0; count < best.size() && pop(scores, item);)
        if (has_room(item)) take(item), best[count++] = item;
    return count;
}

RANKLET_FUNC void DiverseSelection::begin_groups(const AttributeTable& attributes, std::span<const GroupCap> caps) {
    std::size_t total = 0;
    groups_.clear();
    for (const GroupCap& cap : caps) {
        const AttributeColumn* column = attributes.find(cap.attribute);
        groups_.push_back({column, cap.most, total});
        total += column->values.size();
    }
    counts_.assign(total, 0);
}

RANKLET_FUNC bool DiverseSelection::has_room(std::uint32_t item) const noexcept {
    for (const Group& group : groups_)
        for (const std::uint32_t code : group.column->codes_of_item(item))
            if (counts_[group.first + code] >= group.most) return false;
    return true;
}

RANKLET_FUNC void DiverseSelection::take(std::uint32_t item) noexcept {
    for (const Group& group : groups_)
        for (const std::uint32_t code : group.column->codes_of_item(item)) ++counts_[group.first + code];
}

RANKLET_FUNC void DiverseSelection::begin_order(std::span<const float> scores) {
    order_.clear();
    order_.reserve(scores.size());
    for (std::uint32_t i = 0; i < scores.size(); ++i)
        if (scores[i] > -std::numeric_limits<float>::infinity()) order_.push_back(i);
    std::make_heap(order_.begin(), order_.end(), worse_of(scores));
}

RANKLET_FUNC bool DiverseSelection::pop(std::span<const float> scores, std::uint32_t& item) noexcept {
    if (order_.empty()) return false;
    std::pop_heap(order_.begin(), order_.end(), worse_of(scores));
    item = order_.back();
    order_.pop_back();
    return true;
}

RANKLET_FUNC std::size_t DiverseSelection::choose_from_pool(std::span<const float> scores,
                                                            MatrixView<const float> vectors, const Diversity& diversity,
                                                            std::span<std::uint32_t> best) {
    const std::size_t size = std::min(std::max(diversity.pool, best.size()), scores.size());
    pool_.clear();
    pool_.reserve(size);
    for (std::uint32_t item = 0; pool_.size() < size && pop(scores, item);) {
        const std::span<const float> vector = vectors.row(item);
        pool_.push_back({item, 0.0, std::sqrt(safe_dot(vector, vector, 1.0)), 0.0});
    }
    if (pool_.empty()) return 0;
    const auto high = static_cast<double>(scores[pool_.front().item]);
    const auto low = static_cast<double>(scores[pool_.back().item]);
    for (Candidate& candidate : pool_) {
        const auto score = static_cast<double>(scores[candidate.item]);
        candidate.relevance = score == high ? 1.0 : std::isinf(high) ? 0.0 : (score - low) / (high - low);
    }
    const auto lambda = static_cast<double>(diversity.lambda);
    std::size_t count = 0;
    while (count < best.size()) {
        std::size_t chosen = pool_.size();
        double largest = 0.0;
        for (std::size_t p = 0; p < pool_.size(); ++p) {  // in order of score, so that ties stay with the first
            const Candidate& candidate = pool_[p];
            if (candidate.item == gone || !has_room(candidate.item)) continue;
            // One rounding, written out: compilers differ in what they fuse.
            const double value =
                std::fma(lambda, candidate.relevance, -((1.0 - lambda) * (count > 0 ? candidate.nearest : 0.0)));
            if (chosen < pool_.size() && !(value > largest)) continue;
            chosen = p;
            largest = value;
        }
        if (chosen == pool_.size()) break;
        const Candidate taken = pool_[chosen];
        pool_[chosen].item = gone;
        take(taken.item);
        best[count++] = taken.item;
        for (Candidate& candidate : pool_) {
            if (candidate.item == gone) continue;
            const double norms = taken.norm * candidate.norm;
            double similarity = safe_dot(vectors.row(taken.item), vectors.row(candidate.item), norms) / norms;
            if (!std::isfinite(similarity)) similarity = 0.0;
            candidate.nearest = count == 1 ? similarity : std::max(candidate.nearest, similarity);
        }
    }
    return count;
}

}  // namespace detail
RANKLET_NAMESPACE_END

#endif
