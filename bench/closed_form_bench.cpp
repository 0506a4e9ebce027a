// Time of the closed forms by the number of items, on one thread and on all: a log made by chance, 40 events of each of as
// many users as there are items. $RANKLET_BENCH_SOLVED names a larger number of items than those that are always tried.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "ranklet/fit/closed_form.hpp"

namespace {

struct Log {
    std::vector<std::string> ids;
    std::vector<std::vector<std::uint32_t>> sequences;
    std::vector<std::span<const std::uint32_t>> views;

    explicit Log(std::size_t n) {
        std::mt19937 random(1);
        std::exponential_distribution<double> choice(3.5);
        for (std::size_t i = 0; i < n; ++i) ids.push_back(std::to_string(i));
        for (std::size_t u = 0; u < n; ++u) {
            std::vector<std::uint32_t>& of = sequences.emplace_back();
            while (of.size() < 40) {
                const double item = std::floor(choice(random) * static_cast<double>(n));
                if (item < static_cast<double>(n)) of.push_back(static_cast<std::uint32_t>(item));
            }
        }
        views.assign(sequences.begin(), sequences.end());
    }
};

void sizes(benchmark::internal::Benchmark* bench) {
    bench->ArgNames({"items", "threads"});
    for (const long threads : {1, 0}) {
        for (const long n : {1000, 3416}) bench->Args({n, threads});
        if (const char* more = std::getenv("RANKLET_BENCH_SOLVED")) bench->Args({std::atol(more), threads});
    }
}

void ridge(benchmark::State& state) {
    const Log log(static_cast<std::size_t>(state.range(0)));
    ranklet::RidgeOptions options;
    options.threads = static_cast<std::size_t>(state.range(1));
    for (auto _ : state) benchmark::DoNotOptimize(ranklet::ridge_next_item(log.views, log.ids, options));
}
void ease(benchmark::State& state) {
    const Log log(static_cast<std::size_t>(state.range(0)));
    ranklet::EaseOptions options;
    options.threads = static_cast<std::size_t>(state.range(1));
    for (auto _ : state) benchmark::DoNotOptimize(ranklet::ease(log.views, log.ids, options));
}
BENCHMARK(ridge)->Name("ridge_next_item")->Apply(sizes)->Unit(benchmark::kSecond)->Iterations(1)->UseRealTime();
BENCHMARK(ease)->Name("ease")->Apply(sizes)->Unit(benchmark::kSecond)->Iterations(1)->UseRealTime();

}  // namespace
