// NewItems: places of a ranking that are kept for items which nobody has met yet, so that they are met.
// In: a ranked list, scores of all items, which of them are new. Out: the list with the best of the new ones at places that a
// seed draws; what else it had stays in order, and its last items make room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ranklet/catalog/catalog.hpp"
#include "ranklet/catalog/filter.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/ranking/diversity.hpp"

RANKLET_NAMESPACE_BEGIN

struct NewItems {
    float share = 0.0f;  ///< of the k places, 0 to 1, rounded to the nearest number; those that are there anyway count
    /// Draws the places, and the order of new items of equal score (all of them, for a user without events): the same seed,
    /// the same list. Give each user and day one of its own.
    std::uint64_t seed = 0;
    /// Which are new, made of this catalog's snapshot. Null: those that the catalog's signals know nothing of, no
    /// transitions and no prior.
    const Filter* items = nullptr;
};

namespace detail {

/// Error invalid_argument for a share out of its range; mismatch when the filter is of another snapshot; unsupported when
/// nothing says which items are new.
Result<void> check_new_items(const NewItems& options, const Catalog& catalog);

/// Its memory is kept for the next list.
class NewItemPlaces {
public:
    /// `best`: a list whose first `found` places are filled, best first; its size is k or the number of items. Scores of
    /// -infinity are no candidates. Caps hold for what is put in; diversity does not choose it. Returns how many places are
    /// filled then. Precondition: check_new_items().
    std::size_t keep(std::span<const float> scores, const Catalog& catalog, const NewItems& options,
                     std::span<const GroupCap> caps, DiverseSelection& selection, std::span<std::uint32_t> best,
                     std::size_t found);

private:
    std::vector<char> listed_;
    std::vector<std::uint32_t> fresh_, kept_, dropped_, added_, places_;
};

}  // namespace detail

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <limits>

#include "ranklet/core/split_mix.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

RANKLET_COLD RANKLET_FUNC Result<void> check_new_items(const NewItems& options, const Catalog& catalog) {
    if (!(options.share >= 0.0f && options.share <= 1.0f))
        return make_error(ErrorCode::invalid_argument, {"NewItems::share is ", options.share, ", expected 0 to 1"});
    if (options.items != nullptr && !options.items->fits(catalog))
        return make_error(ErrorCode::mismatch, {"NewItems::items was made of another catalog snapshot"});
    if (options.share > 0.0f && options.items == nullptr && catalog.signals() == nullptr && !catalog.empty())
        return make_error(ErrorCode::unsupported, {"which items are new is not known: the catalog has no counts "
                                                   "(Catalog::with), and NewItems::items is not given"});
    return {};
}

RANKLET_FUNC std::size_t NewItemPlaces::keep(std::span<const float> scores, const Catalog& catalog,
                                             const NewItems& options, std::span<const GroupCap> caps,
                                             DiverseSelection& selection, std::span<std::uint32_t> best,
                                             std::size_t found) {
    const BoundSignals* signals = catalog.signals();
    const auto is_new = [&](std::uint32_t item) {
        if (options.items != nullptr) return options.items->bits().test(item);
        if (!signals->prior.empty() && signals->prior[item] != 0.0f) return false;
        return std::all_of(signals->rows.begin(), signals->rows.end(),
                           [&](const auto& rows) { return rows[item] == BoundSignals::no_row; });
    };
    const auto wanted = static_cast<std::size_t>(std::lround(options.share * static_cast<float>(best.size())));
    const auto list = best.first(found);
    const auto there = static_cast<std::size_t>(std::count_if(list.begin(), list.end(), is_new));
    // Sized by the catalog and k, whatever this list needs: the next call's may need more.
    fresh_.reserve(scores.size());
    for (auto* places : {&kept_, &dropped_, &added_, &places_}) places->reserve(best.size());
    listed_.reserve(scores.size());
    if (there >= wanted) return found;
    const std::size_t needed = wanted - there;

    listed_.assign(scores.size(), 0);
    for (const std::uint32_t item : list) listed_[item] = 1;
    fresh_.clear();
    for (std::uint32_t i = 0; i < scores.size(); ++i)
        if (scores[i] > -std::numeric_limits<float>::infinity() && listed_[i] == 0 && is_new(i)) fresh_.push_back(i);
    const auto drawn = [&](std::uint32_t item) { return SplitMix{options.seed + item}.next(); };
    const auto worse = [&](std::uint32_t a, std::uint32_t b) {
        if (scores[a] != scores[b]) return scores[a] < scores[b];
        const std::uint64_t of_a = drawn(a), of_b = drawn(b);
        return of_a != of_b ? of_a > of_b : a > b;
    };
    std::make_heap(fresh_.begin(), fresh_.end(), worse);

    // The last that are not new make room.
    std::size_t surplus = found + needed > best.size() ? found + needed - best.size() : 0;
    kept_.clear();
    dropped_.clear();
    for (std::size_t place = found; place-- > 0;) {
        const bool goes = surplus > 0 && !is_new(list[place]);
        (goes ? dropped_ : kept_).push_back(list[place]);
        surplus -= goes ? 1 : 0;
    }
    std::reverse(kept_.begin(), kept_.end());
    added_.clear();
    selection.begin_caps(catalog.data(), caps, kept_);
    while (added_.size() < needed && !fresh_.empty()) {
        std::pop_heap(fresh_.begin(), fresh_.end(), worse);
        if (selection.take_if_room(fresh_.back())) added_.push_back(fresh_.back());
        fresh_.pop_back();
    }
    // Fewer new ones than wanted: what had to go comes back.
    for (std::size_t d = dropped_.size(); d-- > 0 && kept_.size() + added_.size() < best.size();)
        if (selection.take_if_room(dropped_[d])) kept_.push_back(dropped_[d]);

    const std::size_t total = kept_.size() + added_.size();
    places_.resize(total);
    for (std::uint32_t p = 0; p < total; ++p) places_[p] = p;
    SplitMix random{options.seed};
    for (std::size_t p = 0; p < added_.size(); ++p) std::swap(places_[p], places_[p + random.below(total - p)]);
    std::sort(places_.begin(), places_.begin() + static_cast<std::ptrdiff_t>(added_.size()));
    for (std::size_t place = 0, old = 0, next = 0; place < total; ++place)
        best[place] = next < added_.size() && places_[next] == place ? added_[next++] : kept_[old++];
    return total;
}

}  // namespace detail
RANKLET_NAMESPACE_END
#endif
