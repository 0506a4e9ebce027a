// Recommendation and the options of a ranking.
// In: scores of a catalog's items. Out: the best, with probabilities: score, filter, rank.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ranklet/catalog/catalog.hpp"
#include "ranklet/catalog/filter.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/decoders/user_state.hpp"
#include "ranklet/ranking/diversity.hpp"
#include "ranklet/ranking/new_items.hpp"
#include "ranklet/ranking/softmax.hpp"
#include "ranklet/ranking/top_k.hpp"

RANKLET_NAMESPACE_BEGIN

/// One ranked item. `id` and `text` live as long as any copy of the catalog.
struct Recommendation {
    std::string_view id;
    std::size_t index = 0;       ///< in the catalog
    float score = 0.0f;          ///< the model's logit
    float probability = 0.0f;    ///< softmax of the logits over all candidates that the filters left; see temperature
    std::string_view text = {};  ///< empty unless the catalog keeps texts (BatchOptions::keep_texts)
};

/// A ranked list that keeps its catalog alive: iterate it, best first.
struct Ranking {
    Catalog catalog;
    std::vector<Recommendation> items;

    std::size_t size() const noexcept { return items.size(); }
    bool empty() const noexcept { return items.empty(); }
    const Recommendation& operator[](std::size_t i) const noexcept { return items[i]; }
    auto begin() const noexcept { return items.begin(); }
    auto end() const noexcept { return items.end(); }
};

struct RecommendOptions {
    std::size_t k = 10;         ///< how many; fewer come back when fewer candidates are left; 0: none, an empty list
    bool exclude_seen = false;  ///< leave out the items of the user's events
    /// With exclude_seen: an item is a candidate again when its last event lies more than so many seconds before `now`.
    /// Events without a time keep theirs out for good.
    double seen_again_after = std::numeric_limits<double>::infinity();
    double now = no_time;  ///< seconds since 1970, for seen_again_after
    /// Only these ids are candidates (ids that the catalog lacks are passed over); not given: all.
    std::optional<std::span<const std::string_view>> allow = {};
    std::span<const std::string_view> deny = {};  ///< these ids are not
    const Filter* filter = nullptr;               ///< only its items are candidates; made of this catalog's snapshot
    Threads threads = 1;
    InitialState initial_state = InitialState::user;
    std::span<const GroupCap> caps = {};  ///< all of them hold; they do not change probabilities
    Diversity diversity = {};             ///< the order is that of choice then, not that of scores
    NewItems new_items = {};              ///< places for what nobody has met yet; the order is not that of scores then
    /// Probabilities are the softmax of logit / temperature: above 1 more even, below 1 more decided. No influence on
    /// scores and order.
    float temperature = 1.0f;

    /// Error mismatch when the filter is of another snapshot than `catalog`; invalid_argument, missing or unsupported
    /// when caps or diversity do not fit the catalog, naming what does not; invalid_argument when the temperature is
    /// not a positive number (with a finite reciprocal), or items come back after a time and there is no `now`; what
    /// NewItems says.
    Result<void> check(const Catalog& catalog) const;
};

namespace detail {

/// Memory of a ranking call, reused by the next one: after the first call, no heap is touched.
class RankingBuffers {
public:
    std::vector<float> scores;  ///< [n] logits
    std::vector<Recommendation> ranked;

    /// Removes candidates by giving them the score -infinity: all but `filter` and `allow`, then `deny`.
    void filter(const Catalog& catalog, const RecommendOptions& options);
    /// Removes the candidate at an index; none when there is no such index.
    void remove(std::size_t index) noexcept {
        if (index < scores.size()) scores[index] = -std::numeric_limits<float>::infinity();
    }

    /// The best k of `scores`, or those that caps and diversity choose, into `ranked`. A NaN score removes its candidate.
    /// Error invalid_argument when that alone leaves none, or a score is infinite: no probability can be said beside it.
    /// Precondition: options.check(catalog).
    Result<void> rank(const Catalog& catalog, const RecommendOptions& options);

private:
    std::vector<char> allowed_;
    std::vector<float> probabilities_;
    std::vector<std::uint32_t> best_;
    DiverseSelection selection_;
    NewItemPlaces new_places_;
};

}  // namespace detail

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <cmath>

#include "ranklet/ranking/softmax.hpp"
#include "ranklet/ranking/top_k.hpp"

RANKLET_NAMESPACE_BEGIN

RANKLET_FUNC Result<void> RecommendOptions::check(const Catalog& catalog) const {
    if (filter != nullptr && !filter->fits(catalog))
        return make_error(ErrorCode::mismatch, {"the filter was made of another catalog snapshot"});
    if (!(temperature > 0.0f && std::isfinite(temperature) && std::isfinite(1.0f / temperature)))
        return make_error(ErrorCode::invalid_argument, {"temperature is ", temperature, ", expected above 0"});
    if (!(seen_again_after >= 0.0))
        return make_error(ErrorCode::invalid_argument,
                          {"seen_again_after is ", seen_again_after, " seconds, expected 0 or more"});
    if (exclude_seen && std::isfinite(seen_again_after) && !std::isfinite(now))
        return make_error(ErrorCode::invalid_argument,
                          {"seen_again_after needs the time of now, in seconds since 1970"});
    if (new_items.share != 0.0f) RANKLET_TRY(detail::check_new_items(new_items, catalog));
    if (caps.empty() && diversity.lambda == 1.0f) return {};
    return detail::check_diversity(catalog.data(), caps, diversity);
}

namespace detail {

RANKLET_FUNC void RankingBuffers::filter(const Catalog& catalog, const RecommendOptions& options) {
    if (options.filter != nullptr) options.filter->bits().for_each_clear([&](std::size_t i) { remove(i); });
    if (options.allow) {
        allowed_.assign(catalog.size(), 0);
        for (const std::string_view id : *options.allow)
            if (const std::size_t i = catalog.find(id); i < catalog.size()) allowed_[i] = 1;
        for (std::size_t i = 0; i < catalog.size(); ++i)
            if (!allowed_[i]) remove(i);
    }
    for (const std::string_view id : options.deny) remove(catalog.find(id));
}

RANKLET_FUNC Result<void> RankingBuffers::rank(const Catalog& catalog, const RecommendOptions& options) {
    const std::size_t k = options.k;
    constexpr float infinity = std::numeric_limits<float>::infinity();
    std::uint32_t unordered = 0, infinite = 0;
    for (float& score : scores) {
        unordered |= static_cast<std::uint32_t>(score != score);
        infinite |= static_cast<std::uint32_t>(score == infinity);
        if (!(score > -infinity)) score = -infinity;
    }
    if (infinite != 0 && k > 0)
        return make_error(
            ErrorCode::invalid_argument,
            {"the score of item \"",
             catalog[static_cast<std::size_t>(std::find(scores.begin(), scores.end(), infinity) - scores.begin())].id(),
             "\" is infinite: a damaged model, or vectors that are too large"});
    best_.resize(k < scores.size() ? k : scores.size());
    const bool by_score = options.caps.empty() && options.diversity.lambda == 1.0f;
    std::size_t found = by_score ? top_k(scores, best_)
                                 : selection_.select(scores, catalog.data(), options.caps, options.diversity, best_);
    if (options.new_items.share > 0.0f)
        found = new_places_.keep(scores, catalog, options.new_items, options.caps, selection_, best_, found);
    probabilities_.assign(scores.begin(), scores.end());
    if (found > 0) softmax(probabilities_, 1.0f / options.temperature);
    ranked.clear();
    ranked.reserve(best_.size());  // by k, not by what these filters left: the next call's may leave more
    for (const std::uint32_t i : std::span(best_).first(found))
        ranked.push_back({catalog[i].id(), i, scores[i], probabilities_[i], catalog[i].text()});
    if (found > 0 || k == 0 || unordered == 0) return {};
    return make_error(ErrorCode::invalid_argument,
                      {"no candidate has a score that is a number: a damaged model, or vectors that are too large"});
}

}  // namespace detail

RANKLET_NAMESPACE_END

#endif
