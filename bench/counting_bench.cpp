// Time of counting what follows what, of a snapshot, and of ranking by it, on one thread: a log made by chance in the size
// and shape of MovieLens 1M (6,040 users, 3,416 items of which few are met often, a million events, some 165 a user; no item
// twice), or $RANKLET_BENCH_EVENTS, any log that ranklet-fit reads.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ranklet/counting/transition_counts.hpp"
#include "ranklet/fit/event_log.hpp"
#include "ranklet/recommender.hpp"

namespace {

struct Event {
    std::string user, item;
};

// A user's events one after the other, as such logs have them.
const std::vector<Event>& events() {
    static const std::vector<Event> result = [] {
        std::vector<Event> log;
        if (const char* path = std::getenv("RANKLET_BENCH_EVENTS")) {
            const auto read = ranklet::EventLog::read(path).value();
            for (std::size_t u = 0; u < read.users().size(); ++u)
                for (const std::uint32_t item : read.events(u).items)
                    log.push_back({read.users()[u], read.items()[item]});
            return log;
        }
        constexpr std::size_t users = 6040, items = 3416;
        std::mt19937 random(1);
        std::exponential_distribution<double> length(1.0 / 146);
        std::vector<double> weights(items);
        for (std::size_t i = 0; i < items; ++i) weights[i] = std::exp(-3.5 * static_cast<double>(i) / items);
        std::discrete_distribution<std::size_t> choice(weights.begin(), weights.end());
        for (std::size_t u = 0; u < users; ++u) {
            std::vector<bool> met(items);
            for (auto left = std::min<std::size_t>(20 + static_cast<std::size_t>(length(random)), 1500); left > 0;) {
                const std::size_t item = choice(random);
                if (met[item]) continue;
                met[item] = true;
                log.push_back({std::to_string(u), std::to_string(item)});
                --left;
            }
        }
        return log;
    }();
    return result;
}

ranklet::TransitionCounts count(double half_life) {
    ranklet::TransitionOptions options;
    options.half_life = half_life;
    auto counts = ranklet::TransitionCounts::create(options).value();
    double time = 1e9;
    for (const Event& event : events()) (void)counts.observe(event.user, event.item, time += 30);
    return counts;
}

void observe(benchmark::State& state) {
    const double half_life = static_cast<double>(state.range(0)) * 86400;
    (void)events();
    for (auto _ : state) {
        const auto counts = count(half_life);
        state.counters["pairs"] = static_cast<double>(counts.pairs());
        state.counters["bytes/pair"] = static_cast<double>(counts.memory_bytes()) / static_cast<double>(counts.pairs());
    }
    state.counters["events"] =
        benchmark::Counter(static_cast<double>(events().size()), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(observe)
    ->Name("TransitionCounts::observe, half-life in days")
    ->Arg(0)
    ->Arg(30)
    ->Unit(benchmark::kMillisecond);

void snapshot(benchmark::State& state) {
    const auto counts = count(0);
    for (auto _ : state) benchmark::DoNotOptimize(counts.snapshot().value().pairs());
}
BENCHMARK(snapshot)->Name("TransitionCounts::snapshot, 200 followers")->Unit(benchmark::kMillisecond);

/// The ten best of all items that the log has, by what followed the last fifty events of a user.
void recommend(benchmark::State& state) {
    ranklet::LoadOptions options;
    options.blend = {{"transitions", 1.0f}};
    const auto loaded = ranklet::Recommender::load("tests/parity/goldens/tiny-minilm.gguf", options);
    if (!loaded.ok()) {
        state.SkipWithError("no tiny model: start in the repository's root");
        return;
    }
    const ranklet::Recommender& model = *loaded;
    ranklet::Signals signals;
    signals.transitions = {count(0).snapshot().value()};
    std::vector<ranklet::Item> items;
    for (const std::string& id : signals.transitions[0].ids()) items.emplace_back(id, "item " + id);
    const auto catalog = model.encode_catalog(items).value().with(signals).value();
    auto user = model.new_user();
    for (std::size_t e = 0; e < 50; ++e) user.observe(catalog.at(events()[e].item)).value();
    ranklet::Recommender::Workspace workspace;
    for (auto _ : state)
        benchmark::DoNotOptimize(model.recommend(user, catalog, {.k = 10, .exclude_seen = true}, workspace));
    state.counters["items"] = static_cast<double>(catalog.size());
}
BENCHMARK(recommend)->Name("recommend by transitions, 50 events of 200 followers")->Unit(benchmark::kMicrosecond);

}  // namespace
