// fit: from a log of events and an encoder's file to a recommender's file, in one call. Nothing is trained by gradient:
// transitions are counted, closed forms solved, and what there is to choose is chosen on events held out for that.
// In: an encoder's model file, items with their texts, users' events. Out: a model file's bytes, and a report of how good
// it is on events that neither the counting nor the choosing has seen.
// Protocol: of each user with three events or more the last is the test item, the one before it the validation item; what
// is chosen is chosen on validation items with all that precedes them, then everything is counted anew. All items are
// ranked, those that the user has met left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/catalog/item.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/counting/popularity.hpp"
#include "ranklet/counting/transition_counts.hpp"
#include "ranklet/fit/evaluate.hpp"
#include "ranklet/fit/fit_log.hpp"
#include "ranklet/fit/running.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/model_file/load.hpp"

RANKLET_NAMESPACE_BEGIN

struct FitOptions {
    TransitionOptions counting = {};   ///< window and exponent are chosen unless `choose` is off
    SnapshotOptions snapshot = {};     ///< powers and smoothing likewise
    bool choose = true;                ///< try other numbers than the defaults on the validation items
    std::size_t most_cases = 10'000;   ///< users that are judged, chosen by the seed; fewer where items are many
    std::size_t most_solved = 10'000;  ///< items up to which the closed forms are solved; 0: never
    double popularity_half_life = 0;   ///< seconds; 0: all events count alike
    /// Events rated below this are dislikes: they push away, are not counted and not predicted. NaN: ratings are passed
    /// over.
    float dislike_below = std::numeric_limits<float>::quiet_NaN();
    float best_rating = 5.0f;  ///< the rating that weighs 1, with dislike_below
    std::uint64_t seed = 1;
    /// A file that runs, compared with the new one on test events that are newer than what it was counted from (all of
    /// them where it does not say); the new one is refused where it is worse. Null: none.
    const GgufFile* running = nullptr;
    Threads threads = 1;
    StopToken stop = {};
    Deadline deadline = {};
    /// Told what is being done, and how far it is (`of` 0: nobody knows), on the calling thread. Must not throw.
    std::function<void(std::string_view stage, std::size_t done, std::size_t of)> progress = {};
};

/// One way to rank, on the test items.
struct FitRow {
    std::string name;
    RankingQuality quality;
    double different_items = 0.0;  ///< share of all items that stand in some user's ten best
    double popularity = 0.0;       ///< mean share of items that are less popular than a recommended one
};

struct FitReport {
    std::size_t users = 0, items = 0, events = 0;
    std::size_t items_without_text = 0, items_without_events = 0;
    std::vector<FitRow> rows;            ///< random, popularity, last item's company, text, transitions, ..., the blend
    QualityDifference over_transitions;  ///< the blend minus transitions alone
    // Items without events: a tenth of the items taken out of the log, ranked among themselves by text.
    RankingQuality cold;
    double cold_chance = 0.0;     ///< HR@10 of any order of them
    RankingQuality cold_by_last;  ///< by likeness to the last item alone
    RunningComparison over_running;
    // What was chosen.
    TransitionOptions counting;
    SnapshotOptions snapshot;
    HistoryOptions history;
    FollowersOptions transitions;
    std::vector<BlendPart> blend;
};

struct FitResult {
    std::vector<std::byte> model;  ///< a model file; empty where it is refused (FitReport::over_running.worse)
    FitReport report;
    // What was counted, of all events: refit goes on from here.
    TransitionCounts counts;
    Popularity popularity;
};

/// `encoder`: any file that Recommender reads; a decoder that it has is not used. Items of the log that are not among
/// `items` join them without text, in the log's order. The same input gives the same bytes on one instruction set.
/// Error invalid_argument when the log's parts contradict each other or nobody has three events; stopped, deadline; and
/// what loading and encoding give.
RANKLET_COLD Result<FitResult> fit(const GgufFile& encoder, std::span<const Item> items, const FitLog& log,
                                   const FitOptions& options = {});

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "ranklet/catalog/file.hpp"
#include "ranklet/core/name_index.hpp"
#include "ranklet/counting/transitions_file.hpp"
#include "ranklet/decoders/blend.hpp"
#include "ranklet/decoders/prior.hpp"
#include "ranklet/fit/closed_form.hpp"
#include "ranklet/fit/rank_cases.hpp"
#include "ranklet/io/gguf_writer.hpp"
#include "ranklet/recommender.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

class Fitter {
public:
    Fitter(const GgufFile& encoder, const FitLog& log, const FitOptions& options)
        : encoder_(encoder), log_(log), options_(options) {}

    RANKLET_COLD Result<FitResult> run(std::span<const Item> items);

private:
    static constexpr std::size_t most_remembered = 1000;  // events of a user that a case keeps

    Result<void> tell(std::string_view stage, std::size_t done, std::size_t of) const {
        RANKLET_TRY(check_stop(options_.stop, options_.deadline));
        if (options_.progress) options_.progress(stage, done, of);
        return {};
    }
    bool rates() const noexcept { return !std::isnan(options_.dislike_below) && !log_.rating.empty(); }
    bool disliked(std::size_t event) const noexcept { return rates() && log_.rating[event] < options_.dislike_below; }
    const std::string& id_of(std::size_t event) const { return catalog_.data().ids[index_[log_.item[event]]]; }

    Result<void> make_catalog(std::span<const Item> items);
    // The last `count` liked events of each user who has three, which are held out: places in the log; offsets there.
    std::vector<RankCase> cases(std::size_t from_last) const;
    // The end of a user's events when the last `held_out` liked ones and all that follow the first of them are left out.
    std::size_t end_of(std::size_t user, std::size_t held_out) const;

    Result<TransitionCounts> count(const TransitionOptions& counting, std::size_t held_out,
                                   const std::vector<bool>* left_out = nullptr) const;
    std::vector<double> popularity(std::size_t held_out) const;
    Result<Popularity> count_popularity(std::size_t held_out) const;
    Result<std::shared_ptr<const Prior>> prior(const Popularity& popularity) const;
    Result<std::vector<Transitions>> tables(const TransitionCounts& counts, std::size_t held_out) const;
    // Of tables(), those that the blend has.
    void keep_chosen(std::vector<Transitions>& tables) const {
        if (tables.size() == 3 && !keeps_together_) tables.erase(tables.begin() + 2);
        if (solved_ && !keeps_next_) tables.erase(tables.begin() + 1);
    }
    static std::vector<std::int32_t> self_test_history(std::size_t texts) {
        return texts > 1 ? std::vector<std::int32_t>{0, 1} : std::vector<std::int32_t>{0};
    }
    // A way to score, made of the encoder's file.
    Result<Recommender> model(std::vector<BlendPart> blend) const;

    // The rank of each case's item; lists[c]: the ten best, where it is given.
    Result<std::vector<std::uint32_t>> ranks(const Recommender& model, const Signals& signals,
                                             std::span<const RankCase> cases,
                                             std::vector<std::vector<std::uint32_t>>* lists = nullptr,
                                             const std::vector<bool>* candidates = nullptr) const;
    Result<double> ndcg(std::vector<BlendPart> blend, const Signals& signals, std::span<const RankCase> cases) const;
    Result<FitRow> row(std::string name, std::vector<BlendPart> blend, const Signals& signals,
                       std::span<const RankCase> cases, std::vector<std::uint32_t>* ranks_out = nullptr) const;
    FitRow listed(std::string name, std::span<const std::uint32_t> ranks,
                  std::span<const std::vector<std::uint32_t>> lists) const;

    Result<void> choose();
    Result<void> judge();
    Result<void> judge_cold();
    Result<void> judge_running(std::span<const RankCase> test, std::span<const std::uint32_t> blended);
    Result<std::vector<std::byte>> write(const TransitionCounts& counts, const Popularity& popularity) const;

    // Tries other values of one number and keeps the best.
    template <class Number, class Measure>
    Result<void> try_values(Number& number, std::initializer_list<Number> values, double& best,
                            const Measure& measure) {
        const Number first = number;
        Number winner = number;
        for (const Number value : values) {
            if (value == first) continue;
            number = value;
            RANKLET_ASSIGN(const double found, measure());
            RANKLET_TRY(tell("choosing", ++tried_, 0));
            if (found <= best) continue;
            best = found;
            winner = value;
        }
        number = winner;
        return {};
    }

    const GgufFile& encoder_;
    const FitLog& log_;
    const FitOptions& options_;
    Catalog catalog_;
    std::vector<Item> items_;              // the catalog's
    std::vector<std::uint32_t> index_;     // of the log's items in the catalog
    std::vector<std::size_t> judged_;      // users, in order
    std::uint64_t items_fingerprint_ = 0;  // of the encoder's file, or of what that was made of
    std::size_t tried_ = 0;
    bool solved_ = false;                               // the closed forms are solved
    bool keeps_next_ = false, keeps_together_ = false;  // and are part of the blend
    FitReport report_;
};

RANKLET_FUNC Result<void> Fitter::make_catalog(std::span<const Item> items) {
    LoadOptions load;
    load.blend = {{std::string("history"), 1.0f}};
    load.self_test = false;
    RANKLET_ASSIGN(const Recommender encoder, Recommender::from_file(encoder_, load));
    if (!encoder.encodes_text())
        return make_error(ErrorCode::unsupported, {encoder_.name(), ": it encodes no texts: its items are its own"});
    items_fingerprint_ = encoder.items_fingerprint();
    NameIndex names;
    std::vector<std::string> ids;
    std::vector<Item> all(items.begin(), items.end());
    for (const Item& item : items) ids.push_back(item.id);
    if (const std::size_t twice = names.add_all(ids); twice != NameIndex::none)
        return make_error(ErrorCode::invalid_argument, {"the item \"", ids[twice], "\" is there twice"});
    for (const std::string& id : log_.items) {
        std::size_t place = names.find(id, ids);
        if (place == NameIndex::none) {
            place = ids.size();
            ids.push_back(id);
            (void)names.add(place, ids);
            all.emplace_back(id, "");
            ++report_.items_without_text;
        }
        index_.push_back(static_cast<std::uint32_t>(place));
    }
    BatchOptions batch;
    batch.threads = options_.threads;
    batch.stop = options_.stop;
    batch.deadline = options_.deadline;
    const auto told = [&](std::size_t done, std::size_t of) {
        if (options_.progress) options_.progress("reading texts", done, of);
    };
    batch.progress = told;
    RANKLET_ASSIGN(catalog_, encoder.encode_catalog(all, batch));
    items_ = std::move(all);
    std::vector<bool> met(items_.size());
    for (const std::uint32_t item : log_.item) met[index_[item]] = true;
    report_.items = items_.size();
    report_.items_without_events = static_cast<std::size_t>(std::count(met.begin(), met.end(), false));
    return {};
}

RANKLET_FUNC std::size_t Fitter::end_of(std::size_t user, std::size_t held_out) const {
    std::size_t end = log_.offsets[user + 1];
    for (std::size_t e = end; e > log_.offsets[user] && held_out > 0; --e)
        if (!disliked(e - 1)) end = e - 1, --held_out;
    return end;
}

// The item at place `from_last` (0: the last) from the end of each judged user's liked events.
RANKLET_FUNC std::vector<RankCase> Fitter::cases(std::size_t from_last) const {
    std::vector<RankCase> cases;
    for (const std::size_t user : judged_) {
        const std::size_t end = end_of(user, from_last + 1);
        RankCase& made = cases.emplace_back();
        made.next = index_[log_.item[end]];
        const std::size_t begin = log_.offsets[user];
        for (std::size_t e = end - std::min(end - begin, most_remembered); e < end; ++e) {
            made.events.push_back({id_of(e), rates() ? log_.rating[e] : no_rating});
            made.items.push_back(index_[log_.item[e]]);
        }
    }
    return cases;
}

RANKLET_FUNC Result<TransitionCounts> Fitter::count(const TransitionOptions& counting, std::size_t held_out,
                                                    const std::vector<bool>* left_out) const {
    RANKLET_ASSIGN(TransitionCounts counts, TransitionCounts::create(counting));
    for (std::size_t u = 0; u < log_.users.size(); ++u) {
        const std::size_t end = end_of(u, held_out);
        for (std::size_t e = log_.offsets[u]; e < end; ++e) {
            if (disliked(e) || (left_out != nullptr && (*left_out)[index_[log_.item[e]]])) continue;
            RANKLET_TRY(counts.observe(log_.users[u], id_of(e), log_.time[e]));
        }
        if (u % 1024 == 0) RANKLET_TRY(check_stop(options_.stop, options_.deadline));
    }
    return counts;
}

RANKLET_FUNC Result<Popularity> Fitter::count_popularity(std::size_t held_out) const {
    RANKLET_ASSIGN(Popularity popularity, Popularity::create({.half_life = options_.popularity_half_life}));
    for (std::size_t u = 0; u < log_.users.size(); ++u)
        for (std::size_t e = log_.offsets[u]; e < end_of(u, held_out); ++e)
            if (!disliked(e)) RANKLET_TRY(popularity.observe(id_of(e), log_.time[e]));
    return popularity;
}

RANKLET_FUNC Result<std::shared_ptr<const Prior>> Fitter::prior(const Popularity& popularity) const {
    auto prior = std::make_shared<Prior>();
    prior->ids = catalog_.data().ids;
    RANKLET_ASSIGN(prior->values, popularity.log_popularity(prior->ids, popularity.newest()));
    return std::shared_ptr<const Prior>(std::move(prior));
}

// What the chosen numbers make of the events: transitions, and the closed forms where they are solved.
RANKLET_FUNC Result<std::vector<Transitions>> Fitter::tables(const TransitionCounts& counts,
                                                             std::size_t held_out) const {
    std::vector<Transitions> tables;
    RANKLET_ASSIGN(Transitions transitions, counts.snapshot(report_.snapshot));
    tables.push_back(std::move(transitions));
    if (!solved_) return tables;
    std::vector<std::uint32_t> flat;
    std::vector<std::size_t> ends;
    for (std::size_t u = 0; u < log_.users.size(); ++u) {
        for (std::size_t e = log_.offsets[u]; e < end_of(u, held_out); ++e)
            if (!disliked(e)) flat.push_back(index_[log_.item[e]]);
        ends.push_back(flat.size());
    }
    std::vector<std::span<const std::uint32_t>> sequences;
    for (std::size_t u = 0; u < ends.size(); ++u) {
        const std::size_t begin = u == 0 ? 0 : ends[u - 1];
        sequences.push_back(std::span(flat).subspan(begin, ends[u] - begin));
    }
    const auto told = [&](std::uint64_t done, std::uint64_t of) {
        if (options_.progress)
            options_.progress("solving", static_cast<std::size_t>(done), static_cast<std::size_t>(of));
    };
    const auto common = [&](auto solve) {
        solve.users = report_.counting.users;
        solve.followers = report_.snapshot.followers;
        solve.max_items = options_.most_solved;
        solve.threads = options_.threads;
        solve.stop = options_.stop;
        solve.deadline = options_.deadline;
        solve.progress = told;
        return solve;
    };
    RANKLET_ASSIGN(auto next, ridge_next_item(sequences, catalog_.data().ids, common(RidgeOptions())));
    tables.push_back(std::move(next.transitions));
    RANKLET_ASSIGN(auto together, ease(sequences, catalog_.data().ids, common(EaseOptions())));
    tables.push_back(std::move(together.transitions));
    return tables;
}

RANKLET_FUNC Result<Recommender> Fitter::model(std::vector<BlendPart> blend) const {
    LoadOptions load;
    load.self_test = false;
    load.history = report_.history;
    load.transitions = report_.transitions;
    load.blend = std::move(blend);
    return Recommender::from_file(encoder_, load);
}

RANKLET_FUNC Result<std::vector<std::uint32_t>> Fitter::ranks(const Recommender& model, const Signals& signals,
                                                              std::span<const RankCase> cases,
                                                              std::vector<std::vector<std::uint32_t>>* lists,
                                                              const std::vector<bool>* candidates) const {
    RANKLET_ASSIGN(const Catalog catalog, catalog_.with(signals));
    return rank_cases(model, catalog, cases, {options_.threads, options_.stop, options_.deadline, lists, candidates});
}

RANKLET_FUNC Result<double> Fitter::ndcg(std::vector<BlendPart> blend, const Signals& signals,
                                         std::span<const RankCase> cases) const {
    RANKLET_ASSIGN(const Recommender made, model(std::move(blend)));
    RANKLET_ASSIGN(const auto found, ranks(made, signals, cases));
    return quality_of(found).ndcg;
}

RANKLET_FUNC FitRow Fitter::listed(std::string name, std::span<const std::uint32_t> ranks,
                                   std::span<const std::vector<std::uint32_t>> lists) const {
    FitRow row;
    row.name = std::move(name);
    row.quality = quality_of(ranks);
    const std::vector<double> popular = popularity(1);
    std::vector<double> sorted = popular;
    std::sort(sorted.begin(), sorted.end());
    std::vector<bool> listed(popular.size());
    std::size_t places = 0;
    for (const auto& list : lists)
        for (const std::uint32_t item : list) {
            listed[item] = true;
            const auto less = std::lower_bound(sorted.begin(), sorted.end(), popular[item]) - sorted.begin();
            row.popularity += static_cast<double>(less) / static_cast<double>(popular.size());
            ++places;
        }
    if (places > 0) row.popularity /= static_cast<double>(places);
    row.different_items = static_cast<double>(std::count(listed.begin(), listed.end(), true)) /
                          static_cast<double>(std::max<std::size_t>(popular.size(), 1));
    return row;
}

RANKLET_FUNC std::vector<double> Fitter::popularity(std::size_t held_out) const {
    std::vector<double> counts(catalog_.size());
    for (std::size_t u = 0; u < log_.users.size(); ++u)
        for (std::size_t e = log_.offsets[u]; e < end_of(u, held_out); ++e)
            if (!disliked(e)) counts[index_[log_.item[e]]] += 1.0;
    return counts;
}

RANKLET_FUNC Result<FitRow> Fitter::row(std::string name, std::vector<BlendPart> blend, const Signals& signals,
                                        std::span<const RankCase> cases, std::vector<std::uint32_t>* ranks_out) const {
    RANKLET_ASSIGN(const Recommender made, model(std::move(blend)));
    std::vector<std::vector<std::uint32_t>> lists;
    RANKLET_ASSIGN(auto found, ranks(made, signals, cases, &lists));
    FitRow result = listed(std::move(name), found, lists);
    if (ranks_out != nullptr) *ranks_out = std::move(found);
    return result;
}

// One number after the other, each from the best so far; a weight of 0 leaves a part out.
RANKLET_FUNC Result<void> Fitter::choose() {
    const std::vector<RankCase> held = cases(1);
    FollowersOptions& follow = report_.transitions;
    Signals signals;
    RANKLET_ASSIGN(const Popularity popularity, count_popularity(2));
    RANKLET_ASSIGN(signals.prior, prior(popularity));
    const std::vector<BlendPart> alone{{"transitions", 1.0f}};
    RANKLET_ASSIGN(TransitionCounts counts, count(report_.counting, 2));
    const auto of_counts = [&]() -> Result<double> {
        RANKLET_ASSIGN(Transitions table, counts.snapshot(report_.snapshot));
        signals.transitions.assign(1, std::move(table));
        return ndcg(alone, signals, held);
    };
    const auto recounted = [&]() -> Result<double> {
        RANKLET_ASSIGN(counts, count(report_.counting, 2));
        return of_counts();
    };
    double best = 0.0;
    RANKLET_TRY(tell("choosing", ++tried_, 0));
    RANKLET_ASSIGN(best, of_counts());
    if (options_.choose) {
        RANKLET_TRY(try_values<std::size_t>(report_.counting.window, {5, 20}, best, recounted));
        RANKLET_TRY(try_values(report_.counting.exponent, {0.4, 1.0}, best, recounted));
        RANKLET_ASSIGN(counts, count(report_.counting, 2));
        RANKLET_TRY(try_values(report_.snapshot.source_power, {0.6, 1.0}, best, of_counts));
        RANKLET_TRY(try_values(report_.snapshot.target_power, {0.0, 0.1, 0.3, 0.5}, best, of_counts));
        RANKLET_TRY(try_values(report_.snapshot.smoothing, {2.0, 5.0, 60.0}, best, of_counts));
        RANKLET_ASSIGN(best, of_counts());
        RANKLET_TRY(try_values(follow.tables[0].decay, {0.6f, 0.7f, 0.9f}, best, of_counts));
    }
    solved_ = options_.most_solved >= catalog_.size();
    RANKLET_ASSIGN(counts, count(report_.counting, 2));
    RANKLET_ASSIGN(signals.transitions, tables(counts, 2));
    float text = 1.0f, popular = 0.0f;
    const auto parts = [&] {
        std::vector<BlendPart> blend;
        if (text != 0.0f) blend.push_back({"history", text});
        blend.push_back({"transitions", 1.0f});
        if (popular != 0.0f) blend.push_back({"prior", popular});
        return blend;
    };
    // A table of weight 0 is left out of the decoder's, and then of the file.
    float solved_weight = solved_ ? 1.0f : 0.0f, together_weight = solved_ ? 0.02f : 0.0f;
    const std::vector<Transitions> all = signals.transitions;
    const FollowersTable first = follow.tables[0];
    const auto assemble = [&] {
        follow.tables.assign(1, first);
        signals.transitions.assign(1, all[0]);
        if (solved_weight > 0.0f) {
            follow.tables.push_back({solved_weight, 0.8f, 10, false});
            signals.transitions.push_back(all[1]);
        }
        if (together_weight > 0.0f) {
            follow.tables.push_back({together_weight, 1.0f, static_cast<std::uint32_t>(most_remembered), false});
            signals.transitions.push_back(all[2]);
        }
    };
    const auto whole = [&]() -> Result<double> {
        assemble();
        return ndcg(parts(), signals, held);
    };
    RANKLET_ASSIGN(best, whole());
    if (options_.choose) {
        if (solved_) {
            RANKLET_TRY(try_values(solved_weight, {0.0f, 0.5f, 2.0f}, best, whole));
            RANKLET_TRY(try_values(together_weight, {0.0f, 0.01f, 0.04f}, best, whole));
        }
        RANKLET_TRY(try_values(report_.history.decay, {0.5f, 0.85f}, best, whole));
        RANKLET_TRY(try_values(text, {0.0f, 0.5f, 2.0f, 4.0f}, best, whole));
        RANKLET_TRY(try_values(follow.floor, {1e-6f, 1e-4f, 1e-3f}, best, whole));
        RANKLET_TRY(try_values(popular, {0.05f, 0.1f, 0.2f}, best, whole));
        RANKLET_TRY(try_values(text, {0.7f, 1.4f, 2.8f}, best, whole));
    }
    assemble();
    keeps_next_ = solved_weight > 0.0f;
    keeps_together_ = together_weight > 0.0f;
    report_.blend = parts();
    return {};
}

RANKLET_FUNC Result<void> Fitter::judge() {
    const std::vector<RankCase> test = cases(0);
    RANKLET_TRY(tell("judging", 0, 6));
    // Any order at all: the mean over users of ten among what they have not met.
    FitRow random;
    random.name = "random";
    random.quality.cases = test.size();
    for (const RankCase& each : test) {
        std::vector<std::uint32_t> met = each.items;
        std::sort(met.begin(), met.end());
        met.erase(std::unique(met.begin(), met.end()), met.end());
        const double left = static_cast<double>(catalog_.size() - met.size() +
                                                (std::binary_search(met.begin(), met.end(), each.next) ? 1 : 0));
        random.quality.hit_rate += std::min(1.0, judged / left) / static_cast<double>(test.size());
        for (std::uint32_t rank = 1; rank <= judged; ++rank)
            random.quality.ndcg += gain_of(rank) / std::max(left, double{judged}) / static_cast<double>(test.size());
    }
    random.different_items = 1.0;
    random.popularity = 0.5;
    report_.rows.push_back(random);
    Signals signals;
    RANKLET_ASSIGN(const Popularity met, count_popularity(1));
    RANKLET_ASSIGN(signals.prior, prior(met));
    RANKLET_ASSIGN(FitRow popular, row("popularity", {{"prior", 1.0f}}, signals, test));
    report_.rows.push_back(std::move(popular));
    RANKLET_TRY(tell("judging", 1, 6));
    const FollowersOptions chosen = report_.transitions;
    {  // what most often stood near the last item
        TransitionOptions beside = report_.counting;
        beside.exponent = 0.0;
        RANKLET_ASSIGN(const TransitionCounts counts, count(beside, 1));
        SnapshotOptions raw = report_.snapshot;
        raw.source_power = raw.target_power = 0.0;
        RANKLET_ASSIGN(Transitions table, counts.snapshot(raw));
        signals.transitions.assign(1, std::move(table));
        report_.transitions.tables.assign(1, {1.0f, 1.0f, 1, false});
        RANKLET_ASSIGN(FitRow company, row("last item's company", {{"transitions", 1.0f}}, signals, test));
        report_.rows.push_back(std::move(company));
        report_.transitions = chosen;
    }
    RANKLET_TRY(tell("judging", 2, 6));
    RANKLET_ASSIGN(FitRow text, row("text", {{"history", 1.0f}}, {}, test));
    report_.rows.push_back(std::move(text));
    RANKLET_TRY(tell("judging", 3, 6));
    RANKLET_ASSIGN(const TransitionCounts counts_before, count(report_.counting, 1));
    RANKLET_ASSIGN(signals.transitions, tables(counts_before, 1));
    keep_chosen(signals.transitions);
    std::vector<std::uint32_t> alone, blended;
    {
        Signals first{{signals.transitions[0]}, nullptr};
        report_.transitions.tables.assign(1, {1.0f, chosen.tables[0].decay, chosen.tables[0].events, true});
        RANKLET_ASSIGN(FitRow counted, row("transitions", {{"transitions", 1.0f}}, first, test, &alone));
        report_.rows.push_back(std::move(counted));
        report_.transitions = chosen;
    }
    RANKLET_TRY(tell("judging", 4, 6));
    RANKLET_ASSIGN(FitRow blend, row("blend", report_.blend, signals, test, &blended));
    report_.rows.push_back(std::move(blend));
    report_.over_transitions = compare_quality(blended, alone, options_.seed);
    if (options_.running != nullptr) RANKLET_TRY(judge_running(test, blended));
    RANKLET_TRY(tell("judging", 5, 6));
    return {};
}

// A tenth of the items, as if nobody had met them: their users' other events speak for them by text alone.
RANKLET_FUNC Result<void> Fitter::judge_cold() {
    const std::size_t n = catalog_.size();
    std::vector<bool> cold(n);
    SplitMix random{options_.seed};
    for (std::size_t taken = 0; taken < n / 10;) {
        const std::size_t pick = random.below(n);
        if (cold[pick]) continue;
        cold[pick] = true;
        ++taken;
    }
    std::vector<RankCase> cases;
    for (const std::size_t user : judged_) {
        std::size_t end = log_.offsets[user + 1];  // of the last event of such an item
        while (end > log_.offsets[user] && (disliked(end - 1) || !cold[index_[log_.item[end - 1]]])) --end;
        if (end == log_.offsets[user]) continue;
        RankCase made;
        made.next = index_[log_.item[end - 1]];
        for (std::size_t e = log_.offsets[user]; e + 1 < end; ++e) {
            const std::uint32_t item = index_[log_.item[e]];
            if (cold[item]) continue;
            made.events.push_back({id_of(e), rates() ? log_.rating[e] : no_rating});
            made.items.push_back(item);
        }
        if (!made.events.empty()) cases.push_back(std::move(made));
    }
    if (cases.empty()) return {};
    RANKLET_ASSIGN(const Recommender text, model({{"history", 1.0f}}));
    RANKLET_ASSIGN(const auto found, ranks(text, {}, cases, nullptr, &cold));
    report_.cold = quality_of(found);
    report_.cold_chance = std::min(1.0, static_cast<double>(judged) / static_cast<double>(n / 10));
    for (RankCase& each : cases) {
        each.events.erase(each.events.begin(), each.events.end() - 1);
        each.items.erase(each.items.begin(), each.items.end() - 1);
    }
    RANKLET_ASSIGN(const auto by_last, ranks(text, {}, cases, nullptr, &cold));
    report_.cold_by_last = quality_of(by_last);
    return {};
}

// The running file has its own encoder, and was counted up to some time: what came after is new to both.
RANKLET_FUNC Result<void> Fitter::judge_running(std::span<const RankCase> test,
                                                std::span<const std::uint32_t> blended) {
    const GgufFile& file = *options_.running;
    RANKLET_ASSIGN(const Recommender running, Recommender::from_file(file));
    double newest = -std::numeric_limits<double>::infinity();
    if (file.has("ranklet.fit.newest")) {
        RANKLET_ASSIGN(const auto numbers, file.doubles("ranklet.fit.newest"));
        if (numbers.size() == 1) newest = numbers[0];
    }
    std::vector<RankCase> cases;
    std::vector<std::uint32_t> fitted;
    for (std::size_t c = 0; c < test.size(); ++c) {
        if (!(log_.time[end_of(judged_[c], 1)] > newest)) continue;
        cases.push_back(test[c]);
        fitted.push_back(blended[c]);
    }
    Catalog items = catalog_;
    if (running.items_fingerprint() != catalog_.data().model) {
        BatchOptions batch;
        batch.threads = options_.threads;
        batch.stop = options_.stop;
        batch.deadline = options_.deadline;
        RANKLET_ASSIGN(items, running.encode_catalog(items_, batch));
    } else if (const Signals* own = running.decoder().signals()) {
        RANKLET_ASSIGN(items, catalog_.with(*own));
    }
    RANKLET_ASSIGN(const auto ranks,
                   rank_cases(running, items, cases, {options_.threads, options_.stop, options_.deadline}));
    report_.over_running = compare_with_running(fitted, ranks, options_.seed);
    return {};
}

// The encoder's file, with what was counted and chosen beside it, and with a self-test of the whole.
RANKLET_FUNC Result<std::vector<std::byte>> Fitter::write(const TransitionCounts& counts,
                                                          const Popularity& popular) const {
    RANKLET_ASSIGN(std::vector<Transitions> tables_of_all, tables(counts, 0));
    keep_chosen(tables_of_all);
    RANKLET_ASSIGN(const auto popularity, prior(popular));
    const ModelReader reader(encoder_);
    RANKLET_ASSIGN(const auto texts, reader.strings_or_none("ranklet.selftest.texts"));
    if (texts.empty())
        return make_error(ErrorCode::unsupported,
                          {encoder_.name(),
                           ": it has no self-test texts (ranklet.selftest.texts): convert the encoder "
                           "with this library's converter"});
    const auto is_decoders = [](std::string_view name) {
        for (const std::string_view prefix :
             {"ranklet.recommender.", "ranklet.blend.", "ranklet.history.", "ranklet.transitions.", "ranklet.prior.",
              "ranklet.fit.", "ranklet.gru.", "ranklet.user_proj.", "ranklet.out.", "ranklet.rating.", "ranklet.user.",
              "ranklet.selftest.history", "ranklet.selftest.ratings", "ranklet.selftest.scores",
              "ranklet.selftest.user"})
            if (name.starts_with(prefix)) return true;
        return false;
    };
    const std::vector<double> newest{counts.newest()};
    return write_tested([&](std::span<const float> scores) -> Result<std::vector<std::byte>> {
        GgufWriter writer;
        RANKLET_TRY(writer.copy(encoder_, is_decoders));
        writer.key("ranklet.recommender.scoring", Blend::type_name);
        writer.key("ranklet.recommender.encoder_file", to_hex(items_fingerprint_));
        std::vector<std::string> types;
        std::vector<float> weights;
        bool has_prior = false;
        for (const BlendPart& part : report_.blend) {
            types.push_back(part.type);
            weights.push_back(part.weight);
            has_prior |= part.type == PriorDecoder::type_name;
        }
        writer.array("ranklet.blend.parts", types);
        writer.array("ranklet.blend.weights", std::span<const float>(weights));
        const HistoryOptions& history = report_.history;
        writer.key_f32("ranklet.history.decay", history.decay);
        writer.key_bool("ranklet.history.centre", history.centre);
        writer.key("ranklet.history.power", history.power);
        writer.key("ranklet.history.events", history.events);
        writer.key_f32("ranklet.history.rating_neutral", history.rating.neutral);
        writer.key_f32("ranklet.history.rating_scale", history.rating.scale);
        const FollowersOptions& follow = report_.transitions;
        std::vector<float> table_weights, decays;
        std::vector<std::uint32_t> events, shares;
        for (const FollowersTable& table : follow.tables) {
            table_weights.push_back(table.weight);
            decays.push_back(table.decay);
            events.push_back(table.events);
            shares.push_back(table.share ? 1 : 0);
        }
        writer.key("ranklet.transitions.tables", static_cast<std::uint32_t>(follow.tables.size()));
        writer.array("ranklet.transitions.weights", std::span<const float>(table_weights));
        writer.array("ranklet.transitions.decays", std::span<const float>(decays));
        writer.array("ranklet.transitions.events", std::span<const std::uint32_t>(events));
        writer.array("ranklet.transitions.shares", std::span<const std::uint32_t>(shares));
        writer.key_f32("ranklet.transitions.floor", follow.floor);
        writer.key_f32("ranklet.transitions.rating_neutral", follow.rating.neutral);
        writer.key_f32("ranklet.transitions.rating_scale", follow.rating.scale);
        for (std::size_t t = 0; t < tables_of_all.size(); ++t)
            write_transitions(writer, tables_of_all[t], "ranklet.transitions." + std::to_string(t) + ".");
        if (has_prior) {
            writer.array("ranklet.prior.ids", popularity->ids);
            writer.tensor("ranklet.prior.values", 1, popularity->values.size(),
                          std::span<const float>(popularity->values));
        }
        writer.key("ranklet.fit.window", static_cast<std::uint32_t>(report_.counting.window));
        const std::vector<double> numbers{report_.counting.exponent, report_.snapshot.source_power,
                                          report_.snapshot.target_power, report_.snapshot.smoothing};
        writer.array("ranklet.fit.numbers", numbers);
        writer.key("ranklet.fit.followers",
                   static_cast<std::uint32_t>(std::min<std::size_t>(report_.snapshot.followers, UINT32_MAX)));
        writer.array("ranklet.fit.newest", newest);
        const std::vector<std::int32_t> met = self_test_history(texts.size());
        writer.array("ranklet.selftest.history", std::span<const std::int32_t>(met));
        writer.array("ranklet.selftest.scores", scores);
        return writer.bytes();
    });
}

RANKLET_FUNC Result<FitResult> Fitter::run(std::span<const Item> items) {
    RANKLET_TRY(check(log_));
    if (rates() && !(options_.best_rating > options_.dislike_below && std::isfinite(options_.best_rating)))
        return make_error(ErrorCode::invalid_argument, {"best_rating is ", options_.best_rating,
                                                        ", expected above dislike_below, ", options_.dislike_below});
    report_.counting = options_.counting;
    report_.snapshot = options_.snapshot;
    report_.users = log_.users.size();
    report_.events = log_.item.size();
    RatingWeight rating{0.0f, 0.0f};  // passed over
    if (rates()) rating = {options_.dislike_below, 1.0f / (options_.best_rating - options_.dislike_below)};
    report_.history.rating = report_.transitions.rating = rating;
    RANKLET_TRY(make_catalog(items));
    for (std::size_t u = 0; u < log_.users.size(); ++u) {
        std::size_t liked = 0;
        for (std::size_t e = log_.offsets[u]; e < log_.offsets[u + 1] && liked < 3; ++e) liked += disliked(e) ? 0 : 1;
        if (liked == 3) judged_.push_back(u);
    }
    if (judged_.empty())
        return make_error(ErrorCode::invalid_argument, {"the log has no user with three events to judge by"});
    // A sample where all would take too long: some 10^8 scores at a time.
    const std::size_t most = std::min(
        options_.most_cases, std::max<std::size_t>(500, 100'000'000 / std::max<std::size_t>(report_.items, 1)));
    SplitMix random{options_.seed};
    for (std::size_t j = 0; judged_.size() > most && j < most; ++j)
        std::swap(judged_[j], judged_[j + random.below(judged_.size() - j)]);
    if (judged_.size() > most) judged_.resize(most);
    std::sort(judged_.begin(), judged_.end());
    RANKLET_TRY(choose());
    RANKLET_TRY(judge());
    RANKLET_TRY(judge_cold());
    RANKLET_TRY(tell("writing", 0, 1));
    FitResult result;
    RANKLET_ASSIGN(result.counts, count(report_.counting, 0));
    RANKLET_ASSIGN(result.popularity, count_popularity(0));
    if (!report_.over_running.worse) {
        RANKLET_ASSIGN(result.model, write(result.counts, result.popularity));
    }
    RANKLET_TRY(tell("writing", 1, 1));
    result.report = std::move(report_);
    return result;
}

}  // namespace detail

RANKLET_FUNC Result<FitResult> fit(const GgufFile& encoder, std::span<const Item> items, const FitLog& log,
                                   const FitOptions& options) RANKLET_MEMORY_TRY {
    return detail::Fitter(encoder, log, options).run(items);
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
#endif
