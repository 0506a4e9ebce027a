// refit: last night's file with today's events, from counts that were kept: nothing is chosen or solved anew, and no older
// event is needed.
// In: the file that runs, the counters of before, the events since. Out: a new file and the counters, gone on; or the
// refusal of a file that would rank worse than the one that runs.
// Protocol: of each user with an event of today and one before it, the last event of today is held out. Both files rank
// it among all items that the user is not known to have met, the new one counted from everything but what was held out.
// When the new one is worse (RunningComparison::worse), no file is made. Then all is counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "ranklet/catalog/catalog.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/counting/popularity.hpp"
#include "ranklet/counting/transition_counts.hpp"
#include "ranklet/fit/fit_log.hpp"
#include "ranklet/fit/running.hpp"
#include "ranklet/io/gguf.hpp"

RANKLET_NAMESPACE_BEGIN

struct RefitOptions {
    std::size_t most_cases = 10'000;  ///< users that are judged, chosen by the seed
    std::uint64_t seed = 1;
    Threads threads = 1;
    StopToken stop = {};
    Deadline deadline = {};
    /// Told what is being done, and how far it is, on the calling thread. Must not throw.
    std::function<void(std::string_view stage, std::size_t done, std::size_t of)> progress = {};
};

struct RefitReport {
    std::size_t events = 0;         ///< counted now
    std::size_t passed_over = 0;    ///< not newer than what was counted before: met already
    std::size_t disliked = 0;       ///< rated below what the file takes for neutral: not counted
    std::size_t unknown_items = 0;  ///< items of these events that the catalog lacks: counted, and not judged
    RunningComparison over_running;
};

struct RefitResult {
    std::vector<std::byte> model;  ///< a model file; empty where it is refused (RefitReport::over_running.worse)
    RefitReport report;
};

/// `running`: a file that fit or refit made, whose first table of transitions and prior are counted anew; what was solved
/// stays as it is until the next fit. `catalog`: of that file's encoder (Recommender::load_catalog, encode_catalog), the
/// items that are ranked. `counts` and `popularity` are what fit gave (FitResult), gone on since by refit or live; after
/// a success they have the log's events too, refused or not. The same input gives the same bytes on one instruction set.
/// Error invalid_argument when the log contradicts itself or has no event that is newer than what was counted; mismatch when
/// counters, catalog and file do not fit each other; unsupported when the file counts nothing; stopped, deadline. With an
/// error the counters are as they were.
RANKLET_COLD Result<RefitResult> refit(const GgufFile& running, const Catalog& catalog, const FitLog& log,
                                       TransitionCounts& counts, Popularity& popularity,
                                       const RefitOptions& options = {});

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "ranklet/counting/transitions_file.hpp"
#include "ranklet/decoders/rating_weight.hpp"
#include "ranklet/fit/rank_cases.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

class Refitter {
public:
    Refitter(const GgufFile& file, const Catalog& catalog, const FitLog& log, const RefitOptions& options)
        : file_(file), catalog_(catalog), log_(log), options_(options) {}

    RANKLET_COLD Result<RefitResult> run(TransitionCounts& counts, Popularity& popularity);

private:
    // A user's events of today: places in the log. Those from `held` on are held out.
    struct Day {
        std::size_t user = 0, begin = 0, end = 0, held = 0;
    };

    Result<void> tell(std::string_view stage, std::size_t done, std::size_t of) const {
        RANKLET_TRY(check_stop(options_.stop, options_.deadline));
        if (options_.progress) options_.progress(stage, done, of);
        return {};
    }
    bool disliked(std::size_t event) const noexcept {
        return !log_.rating.empty() && rating_.scale > 0.0f && log_.rating[event] < rating_.neutral;
    }
    const std::string& id_of(std::size_t event) const noexcept { return log_.items[log_.item[event]]; }

    Result<void> read_file(const TransitionCounts& counts);
    Result<void> find_days(const TransitionCounts& counts, const Popularity& popularity);
    Result<void> find_cases(const TransitionCounts& before);
    Result<void> count(const Day& day, std::size_t begin, std::size_t end, TransitionCounts& counts,
                       Popularity& popularity) const;
    Result<Signals> signals(const TransitionCounts& counts, const Popularity& popularity) const;
    Result<void> judge(const Signals& fresh);
    Result<std::vector<std::byte>> write(const Signals& fresh, double newest) const;

    const GgufFile& file_;
    const Catalog& catalog_;
    const FitLog& log_;
    const RefitOptions& options_;
    Recommender running_;
    Signals old_;  // the file's own
    SnapshotOptions snapshot_;
    RatingWeight rating_;
    double counted_ = 0.0, popular_ = 0.0;  // the newest events of before
    std::vector<Day> days_;
    std::vector<RankCase> cases_;
    RefitReport report_;
};

RANKLET_FUNC Result<void> Refitter::read_file(const TransitionCounts& counts) {
    RANKLET_ASSIGN(running_, Recommender::from_file(file_));
    if (catalog_.data().model != running_.items_fingerprint()) return not_of_model(catalog_.data());
    const Signals* own = running_.decoder().signals();
    const ModelReader reader(file_);
    const ModelReader keys = reader.scope("ranklet.fit");
    if (own == nullptr || own->transitions.empty() || !keys.has("numbers"))
        return make_error(ErrorCode::unsupported, {file_.name(), ": it was not made by fit: nothing in it is counted"});
    old_ = *own;
    RANKLET_ASSIGN(const std::uint32_t window, keys.u32("window"));
    RANKLET_ASSIGN(const auto numbers, file_.doubles("ranklet.fit.numbers"));
    if (numbers.size() != 4) return keys.wrong("numbers", {" has ", numbers.size(), " entries, expected 4"});
    if (counts.options().window != window || counts.options().exponent != numbers[0])
        return make_error(ErrorCode::mismatch,
                          {file_.name(), ": it was counted with window ", window, " and exponent ", numbers[0],
                           ", the counts with ", counts.options().window, " and ", counts.options().exponent});
    snapshot_.source_power = numbers[1];
    snapshot_.target_power = numbers[2];
    snapshot_.smoothing = numbers[3];
    RANKLET_ASSIGN(const std::uint32_t followers, keys.u32_or("followers", 200));
    snapshot_.followers = followers;
    RANKLET_ASSIGN(rating_, read_rating_weight(reader.scope("ranklet.transitions"), rating_));
    return {};
}

RANKLET_FUNC Result<void> Refitter::find_days(const TransitionCounts& counts, const Popularity& popularity) {
    counted_ = counts.newest();
    popular_ = popularity.newest();
    std::vector<bool> unknown(log_.items.size());
    for (std::size_t u = 0; u < log_.users.size(); ++u) {
        Day day{u, log_.offsets[u], log_.offsets[u + 1], log_.offsets[u + 1]};
        while (day.begin < day.end && !(log_.time[day.begin] > counted_)) ++day.begin, ++report_.passed_over;
        for (std::size_t e = day.begin; e < day.end; ++e) {
            if (disliked(e)) {
                ++report_.disliked;
                continue;
            }
            ++report_.events;
            if (catalog_.find(id_of(e)) < catalog_.size() || unknown[log_.item[e]]) continue;
            unknown[log_.item[e]] = true;
            ++report_.unknown_items;
        }
        if (day.begin < day.end) days_.push_back(day);
    }
    if (days_.empty())
        return make_error(ErrorCode::invalid_argument,
                          {"the log has no event that is newer than what was counted before"});
    return {};
}

// Who is judged, and what is known of what they had met: the counts' window, and today.
RANKLET_FUNC Result<void> Refitter::find_cases(const TransitionCounts& before) {
    std::vector<std::size_t> chosen;
    std::vector<RankCase> cases;
    for (std::size_t d = 0; d < days_.size(); ++d) {
        const Day& day = days_[d];
        std::size_t held = day.end;
        while (held > day.begin && disliked(held - 1)) --held;
        if (held == day.begin) continue;
        --held;
        const std::size_t next = catalog_.find(id_of(held));
        if (next >= catalog_.size()) continue;
        RankCase made;
        made.next = static_cast<std::uint32_t>(next);
        const auto meet = [&](const std::string& id, float rating) {
            const std::size_t index = catalog_.find(id);
            if (index >= catalog_.size()) return;
            made.events.push_back({id, rating});
            made.items.push_back(static_cast<std::uint32_t>(index));
        };
        RANKLET_ASSIGN(const auto recent, before.recent_items(log_.users[day.user]));
        for (const std::string& id : recent) meet(id, no_rating);
        for (std::size_t e = day.begin; e < held; ++e) meet(id_of(e), log_.rating.empty() ? no_rating : log_.rating[e]);
        if (made.events.empty()) continue;
        chosen.push_back(d);
        cases.push_back(std::move(made));
    }
    SplitMix random{options_.seed};
    const std::size_t most = std::min(options_.most_cases, cases.size());
    for (std::size_t c = 0; c < most; ++c) {
        const std::size_t other = c + random.below(cases.size() - c);
        std::swap(cases[c], cases[other]);
        std::swap(chosen[c], chosen[other]);
    }
    cases.resize(most);
    chosen.resize(most);
    for (const std::size_t d : chosen) {
        Day& day = days_[d];
        while (disliked(day.held - 1)) --day.held;
        --day.held;
    }
    cases_ = std::move(cases);
    return {};
}

RANKLET_FUNC Result<void> Refitter::count(const Day& day, std::size_t begin, std::size_t end, TransitionCounts& counts,
                                          Popularity& popularity) const {
    for (std::size_t e = begin; e < end; ++e) {
        if (disliked(e)) continue;
        RANKLET_TRY(counts.observe(log_.users[day.user], id_of(e), log_.time[e]));
        if (log_.time[e] > popular_) RANKLET_TRY(popularity.observe(id_of(e), log_.time[e]));
    }
    return {};
}

// What is counted takes the place of what the file has; the other tables stay.
RANKLET_FUNC Result<Signals> Refitter::signals(const TransitionCounts& counts, const Popularity& popularity) const {
    Signals fresh = old_;
    RANKLET_ASSIGN(fresh.transitions[0], counts.snapshot(snapshot_));
    if (old_.prior == nullptr) return fresh;
    auto prior = std::make_shared<Prior>();
    prior->ids = catalog_.data().ids;
    RANKLET_ASSIGN(prior->values, popularity.log_popularity(prior->ids, popularity.newest()));
    fresh.prior = std::move(prior);
    return fresh;
}

RANKLET_FUNC Result<void> Refitter::judge(const Signals& fresh) {
    RankCasesOptions how;
    how.threads = options_.threads;
    how.stop = options_.stop;
    how.deadline = options_.deadline;
    RANKLET_ASSIGN(const Catalog before, catalog_.with(old_));
    RANKLET_ASSIGN(const auto running, rank_cases(running_, before, cases_, how));
    RANKLET_TRY(tell("judging", 1, 2));
    RANKLET_ASSIGN(const Catalog after, catalog_.with(fresh));
    RANKLET_ASSIGN(const auto fitted, rank_cases(running_, after, cases_, how));
    RANKLET_TRY(tell("judging", 2, 2));
    report_.over_running = compare_with_running(fitted, running, options_.seed);
    return {};
}

RANKLET_FUNC Result<std::vector<std::byte>> Refitter::write(const Signals& fresh, double newest) const {
    const auto counted = [](std::string_view name) {
        return name.starts_with("ranklet.transitions.0.") || name.starts_with("ranklet.prior.") ||
               name == "ranklet.selftest.scores" || name == "ranklet.fit.newest";
    };
    const std::vector<double> newest_of_all{newest};
    return write_tested([&](std::span<const float> scores) -> Result<std::vector<std::byte>> {
        GgufWriter writer;
        RANKLET_TRY(writer.copy(file_, counted));
        write_transitions(writer, fresh.transitions[0], "ranklet.transitions.0.");
        if (fresh.prior != nullptr) {
            writer.array("ranklet.prior.ids", fresh.prior->ids);
            writer.tensor("ranklet.prior.values", 1, fresh.prior->values.size(),
                          std::span<const float>(fresh.prior->values));
        }
        writer.array("ranklet.fit.newest", newest_of_all);
        writer.array("ranklet.selftest.scores", scores);
        return writer.bytes();
    });
}

RANKLET_FUNC Result<RefitResult> Refitter::run(TransitionCounts& counts, Popularity& popularity) {
    RANKLET_TRY(check(log_));
    RANKLET_TRY(read_file(counts));
    RANKLET_TRY(find_days(counts, popularity));
    RANKLET_TRY(find_cases(counts));
    RANKLET_TRY(tell("counting", 0, days_.size()));
    TransitionCounts new_counts = counts;
    Popularity new_popularity = popularity;
    for (const Day& day : days_) RANKLET_TRY(count(day, day.begin, day.held, new_counts, new_popularity));
    if (!cases_.empty()) {
        RANKLET_TRY(tell("judging", 0, 2));
        RANKLET_ASSIGN(const Signals without_held, signals(new_counts, new_popularity));
        RANKLET_TRY(judge(without_held));
    }
    for (const Day& day : days_) RANKLET_TRY(count(day, day.held, day.end, new_counts, new_popularity));
    RefitResult result;
    if (!report_.over_running.worse) {
        RANKLET_TRY(tell("writing", 0, 1));
        RANKLET_ASSIGN(const Signals fresh, signals(new_counts, new_popularity));
        RANKLET_ASSIGN(result.model, write(fresh, new_counts.newest()));
        RANKLET_TRY(tell("writing", 1, 1));
    }
    result.report = report_;
    counts = std::move(new_counts);
    popularity = std::move(new_popularity);
    return result;
}

}  // namespace detail

RANKLET_FUNC Result<RefitResult> refit(const GgufFile& running, const Catalog& catalog, const FitLog& log,
                                       TransitionCounts& counts, Popularity& popularity,
                                       const RefitOptions& options) RANKLET_MEMORY_TRY {
    return detail::Refitter(running, catalog, log, options).run(counts, popularity);
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
#endif
