// rank_cases: where a model puts the item that a user met next.
// In: what users had met, and what came then. Out: that item's rank among all that the user had not met, and the ten best.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/decoders/user_state.hpp"
#include "ranklet/recommender.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// A user whose next item is to be foretold.
struct RankCase {
    std::vector<Event> events;         ///< before it
    std::vector<std::uint32_t> items;  ///< of those events, by the catalog's index
    std::uint32_t next = 0;
};

struct RankCasesOptions {
    Threads threads = 1;
    StopToken stop = {};
    Deadline deadline = {};
    std::vector<std::vector<std::uint32_t>>* lists = nullptr;  ///< made the ten best of each case
    const std::vector<bool>* candidates = nullptr;             ///< [items] only these are ranked; null: all
};

/// The rank of each case's item, from 1. Error stopped or deadline; what scoring gives.
RANKLET_COLD Result<std::vector<std::uint32_t>> rank_cases(const Recommender& model, const Catalog& catalog,
                                                           std::span<const RankCase> cases,
                                                           const RankCasesOptions& options);

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <limits>

#include "ranklet/core/parallel.hpp"
#include "ranklet/fit/evaluate.hpp"
#include "ranklet/ranking/top_k.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

RANKLET_FUNC Result<std::vector<std::uint32_t>> rank_cases(const Recommender& model, const Catalog& catalog,
                                                           std::span<const RankCase> cases,
                                                           const RankCasesOptions& options) {
    const Decoder& decoder = model.decoder();
    const CatalogData& items = catalog.data();
    RANKLET_TRY(decoder.check(items));
    RANKLET_TRY(decoder.check_signals(catalog.signals()));
    const std::size_t n = catalog.size(), piece = piece_of(decoder, n);
    std::vector<std::uint32_t> ranks(cases.size(), no_rank);
    if (options.lists != nullptr) options.lists->assign(cases.size(), {});
    const Threads threads = worth(options.threads, cases.size() * n * 16);
    struct Memory {
        Scratch scratch, observing;
        UserState state;
        std::vector<float> query, scores;
        std::vector<std::uint32_t> best;
        Result<void> status;
    };
    std::vector<Memory> memory(std::max<std::size_t>(threads.count, 1));
    for (Memory& own : memory) {
        RANKLET_TRY(own.scratch.reserve(decoder.scratch_size()));
        own.scores.resize(n);
        own.best.resize(std::min<std::size_t>(judged, n));
    }
    constexpr float out = -std::numeric_limits<float>::infinity();
    const auto rank = [&](std::size_t c, Memory& own) -> Result<void> {
        const RankCase& each = cases[c];
        decoder.begin_user(own.state);
        for (std::size_t e = 0; e < each.events.size(); ++e)
            RANKLET_TRY(decoder.observe(own.state, items, each.items[e], each.events[e].rating, own.observing));
        const ScoreRequest request{own.state, items, InitialState::user, each.events, catalog.signals()};
        own.query.resize(decoder.query_size_of(request));
        decoder.begin(request, own.query.data(), own.scratch);
        for (std::size_t first = 0; first < n; first += piece)
            decoder.score(request, own.query.data(), {first, std::min(n, first + piece)}, own.scores.data() + first,
                          own.scratch);
        for (const std::uint32_t seen : each.items)
            if (seen != each.next) own.scores[seen] = out;
        if (options.candidates != nullptr)
            for (std::size_t i = 0; i < n; ++i)
                if (!(*options.candidates)[i]) own.scores[i] = out;
        ranks[c] = rank_of(own.scores, each.next);
        if (options.lists == nullptr) return {};
        const std::size_t found = top_k(own.scores, own.best);
        (*options.lists)[c].assign(own.best.begin(), own.best.begin() + static_cast<std::ptrdiff_t>(found));
        return {};
    };
    parallel_for(cases.size(), threads, [&](std::size_t c, std::size_t thread) {
        Memory& own = memory[thread];
        if (own.status.ok()) own.status = catch_out_of_memory([&] { return rank(c, own); });
    });
    for (const Memory& own : memory) RANKLET_TRY(own.status);
    RANKLET_TRY(check_stop(options.stop, options.deadline));
    return ranks;
}

}  // namespace detail
RANKLET_NAMESPACE_END
#endif
