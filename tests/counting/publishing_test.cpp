// One thread counts, publishes snapshots and saves; others read them all the while: whole ones, never an older one after a
// newer.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "counting/helpers.hpp"
#include "io/temporary_folder.hpp"
#include "ranklet/core/published.hpp"
#include "ranklet/counting/popularity.hpp"
#include "ranklet/counting/transition_counts.hpp"
#include "ranklet/counting/transitions_file.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Published;
using ranklet::TransitionCounts;
using ranklet::Transitions;

/// Whether each row finds its own id, and its followers are rows, the strongest first.
bool is_whole(const Transitions& table) {
    for (std::size_t r = 0; r < table.size(); ++r) {
        if (table.find(table.id(r)) != r) return false;
        const ranklet::Followers row = table.row(r);
        for (std::size_t f = 0; f < row.size(); ++f) {
            if (row.rows[f] >= table.size() || !(row.strengths[f] > 0.0f) || row.times[f] == 0) return false;
            if (f > 0 && row.strengths[f] > row.strengths[f - 1]) return false;
        }
    }
    return true;
}
std::uint64_t events_of(const Transitions& table) {
    std::uint64_t events = 0;
    for (std::size_t r = 0; r < table.size(); ++r) events += table.seen(r);
    return events;
}

}  // namespace

TEST_CASE("snapshots that are read while a thread counts, merges, erases and publishes stay whole") {
    ranklet::TransitionOptions options;
    options.max_pairs = 600;
    options.max_items = 60;
    options.max_users = 40;
    const Log log = make_log(5, 60, 80, 4000);
    Published<Transitions> published;
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0}, read{0};
    std::vector<std::thread> readers;
    for (int r = 0; r < 3; ++r)
        readers.emplace_back([&] {
            const Transitions first = published.get();
            const std::string before = told(first);
            std::uint64_t pairs = 0;
            while (!done) {
                const Transitions table = published.get();
                wrong += !is_whole(table);
                pairs += table.pairs();
                ++read;
            }
            wrong += told(first) != before || pairs == 0;
        });
    auto counts = take(TransitionCounts::create(options));
    for (std::size_t e = 0; e < log.size(); ++e) {
        take(counts.observe(log[e].user, log[e].item, log[e].time));
        if (e % 97 == 0) succeed(counts.erase_user(log[e].user, {}));
        if (e % 499 == 0)
            succeed(counts.merge(counted({{"x", "a", 1}, {"x", "b", 2}, {"y", "a", 1}, {"y", "b", 2}}, options)));
        if (e % 20 == 0) published.set(take(counts.snapshot()));
    }
    published.set(take(counts.snapshot()));
    const int so_far = read;
    while (read < so_far + 10) std::this_thread::yield();  // everybody has seen the last one
    done = true;
    for (std::thread& reader : readers) reader.join();
    CHECK(wrong == 0);
    CHECK(told(published.get()) == told(take(counts.snapshot())));
}

TEST_CASE("files that one thread saves on and on are whole whenever another one loads them") {
    const TemporaryFolder folder;
    const std::string states = folder.path() + "/counts", tables = folder.path() + "/table.gguf",
                      popular = folder.path() + "/popular";
    const Log log = make_log(6, 20, 30, 600);
    TransitionCounts counts;
    ranklet::Popularity popularity;
    const auto save = [&] {
        succeed(counts.save(states));
        succeed(save_transitions(take(counts.snapshot()), tables));
        succeed(popularity.save(popular));
    };
    save();
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0}, loaded{0};
    std::vector<std::thread> readers;
    for (int r = 0; r < 2; ++r)
        readers.emplace_back([&] {
            std::uint64_t events = 0, of_table = 0;
            double value = 0;
            while (!done) {
                const auto state = TransitionCounts::load(states);
                const auto table = ranklet::load_transitions(tables);
                const auto prior = ranklet::Popularity::load(popular);
                if (!state.ok() || !table.ok() || !prior.ok()) {
                    ++wrong;
                    continue;
                }
                wrong += state->events() < events || events_of(*table) < of_table || !is_whole(*table) ||
                         prior->value("item 0", 2e9) < value;
                events = state->events();
                of_table = events_of(*table);
                value = prior->value("item 0", 2e9);
                ++loaded;
            }
        });
    for (std::size_t e = 0; e < log.size(); ++e) {
        take(counts.observe(log[e].user, log[e].item, log[e].time));
        succeed(popularity.observe(log[e].item, log[e].time));
        if (e % 30 == 0) save();
    }
    while (loaded < 4) std::this_thread::yield();
    done = true;
    for (std::thread& reader : readers) reader.join();
    CHECK(wrong == 0);
}
