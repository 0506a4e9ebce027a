// Two threads beside a process that keeps a core busy: no call becomes much slower than on one thread.
// In: the demo's model and titles, and sizes of all-MiniLM-L6-v2 with weights made up. Out: the same work on one thread,
// two of OpenMP's and two of a ThreadPool's, without and with a neighbour that spins, pinned to the last core. bench/neighbour.sh makes ratios.
// Started in the repository's root; skipped where a process cannot be pinned, or has one core.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "ranklet/core/thread_pool.hpp"
#include "ranklet/layers/layers.hpp"
#include "ranklet/ranklet.hpp"
#include "titles.hpp"

namespace {

/// A process that spins on the last core that this one may use, while it lives.
class Neighbour {
public:
    explicit Neighbour(bool wanted) {
        if (wanted) start();
    }
    Neighbour(const Neighbour&) = delete;
    Neighbour& operator=(const Neighbour&) = delete;
#if defined(__linux__)
    ~Neighbour() {
        if (child_ <= 0) return;
        kill(child_, SIGKILL);
        waitpid(child_, nullptr, 0);
    }
    const char* error() const { return error_; }

private:
    void start() {
        cpu_set_t cores;
        if (sched_getaffinity(0, sizeof cores, &cores) != 0 || CPU_COUNT(&cores) < 2) {
            error_ = "needs two cores";
            return;
        }
        std::size_t last = 0;
        for (std::size_t core = 0; core < CPU_SETSIZE; ++core)
            if (CPU_ISSET(core, &cores)) last = core;
        CPU_ZERO(&cores);
        CPU_SET(last, &cores);
        child_ = fork();
        if (child_ != 0) {
            if (child_ < 0) error_ = "the neighbour could not be started";
            return;
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (sched_setaffinity(0, sizeof cores, &cores) != 0) _exit(1);
        for (std::uint64_t turns = 0;; ++turns) benchmark::DoNotOptimize(turns);
    }
    pid_t child_ = 0;
#else
    const char* error() const { return error_; }

private:
    void start() { error_ = "processes are pinned on Linux only"; }
#endif
    const char* error_ = nullptr;
};

enum Where : std::int64_t { one_thread, openmp, pool };

/// Runs `work(threads)` as the benchmark's arguments say: where, and whether beside a neighbour.
template <class Work>
void measure(benchmark::State& state, const Work& work) {
    const Neighbour neighbour(state.range(1) != 0);
    if (neighbour.error() != nullptr) {
        state.SkipWithError(neighbour.error());
        return;
    }
    std::optional<ranklet::ThreadPool> threads;
    if (state.range(0) == pool) threads.emplace(2);
    const ranklet::Threads used =
        threads ? ranklet::Threads(*threads) : ranklet::Threads(state.range(0) == openmp ? 2 : 1);
    work(used);
    for (auto _ : state) work(used);
}

std::vector<float> numbers(std::size_t count) {
    std::vector<float> result(count);
    std::uint32_t state = 1;
    for (float& x : result) {
        state = state * 1664525u + 1013904223u;
        x = static_cast<float>(state >> 8) * 0x1p-24f - 0.5f;
    }
    return result;
}
ranklet::Linear<> linear(std::size_t in, std::size_t out) {
    auto weights = numbers(in * out);
    for (float& x : weights) x *= 0.1f;
    ranklet::Linear<> result;
    result.assign({weights.data(), out, in}).value();
    return result;
}

/// A GRU of 384 over a history of 50 events: each step waits for the one before.
void neighbour_gru(benchmark::State& state) {
    constexpr std::size_t hidden = 384, events = 50;
    ranklet::Gru<> gru;
    gru.assign(linear(hidden, 3 * hidden), linear(hidden, 3 * hidden)).value();
    const auto x = numbers(events * hidden), initial = numbers(hidden);
    std::vector<float> states(events * hidden);
    ranklet::Scratch scratch;
    scratch.reserve(gru.scratch_size(events)).value();
    measure(state, [&](ranklet::Threads threads) {
        gru.forward({x.data(), events, hidden}, initial.data(), {states.data(), events, hidden}, scratch, threads);
    });
}

/// One text of so many tokens through six layers of 384: each product waits for the one before.
void neighbour_encode_one(benchmark::State& state) {
    constexpr std::size_t dim = 384, inner = 1536, layers = 6;
    const auto tokens = static_cast<std::size_t>(state.range(2));
    ranklet::SelfAttention<> attention;
    attention.assign(linear(dim, 3 * dim), linear(dim, dim), 12).value();
    const std::vector<float> ones(dim, 1.0f), zeros(dim, 0.0f);
    const auto norm = [&] {
        ranklet::LayerNorm<> result;
        result.assign(ones, zeros, 1e-12f).value();
        return result;
    };
    ranklet::TransformerLayer<> layer;
    layer
        .assign(std::move(attention), norm(), linear(dim, inner), linear(inner, dim), norm(), ranklet::Activation::gelu)
        .value();
    const auto text = numbers(tokens * dim);
    const std::size_t offsets[] = {0, tokens};
    ranklet::Scratch scratch;
    scratch.reserve(layer.scratch_size(tokens, tokens, 2)).value();
    measure(state, [&](ranklet::Threads threads) {
        std::vector<float> states = text;
        ranklet::run_together(ranklet::detail::worth(threads, tokens * layers * layer.row_work()),
                              [&](ranklet::Threads together) {
                                  for (std::size_t l = 0; l < layers; ++l)
                                      layer.forward({states.data(), tokens, dim}, offsets, scratch, together);
                              });
        benchmark::DoNotOptimize(states.data());
    });
}

/// So many of the demo shop's texts, by the demo's model.
void neighbour_encode(benchmark::State& state) {
    const auto model = ranklet::Bert::load("examples/models/demo-shop.gguf");
    const auto count = static_cast<std::size_t>(state.range(2));
    if (!model.ok() || titles().size() < count) {
        state.SkipWithError("no demo model or titles: start in the repository's root");
        return;
    }
    const std::vector<std::string> texts(titles().begin(), titles().begin() + static_cast<std::ptrdiff_t>(count));
    measure(state, [&](ranklet::Threads threads) { model->encode(texts, {.threads = threads}).value(); });
}

/// The ten best of the demo shop for a user with events.
void neighbour_recommend(benchmark::State& state) {
    const auto model = ranklet::Recommender::load("examples/models/demo-shop.gguf");
    const auto count = static_cast<std::size_t>(state.range(2));
    if (!model.ok() || titles().empty()) {
        state.SkipWithError("no demo model or titles: start in the repository's root");
        return;
    }
    std::vector<ranklet::Item> items;
    for (std::size_t i = 0; i < count; ++i) items.push_back({std::to_string(i), titles()[i % titles().size()]});
    const auto catalog = model->encode_catalog(items).value();
    auto user = model->new_user();
    for (std::size_t i = 0; i < 20; ++i) user.observe(catalog[i * 7 % count], 4.0f).value();
    ranklet::Recommender::Workspace workspace;
    measure(state, [&](ranklet::Threads threads) {
        model->recommend(user, catalog, {.k = 10, .threads = threads}, workspace).value();
    });
}

/// The ten best of so many rows of 384.
void neighbour_search(benchmark::State& state) {
    constexpr std::size_t dim = 384;
    const auto rows = static_cast<std::size_t>(state.range(2));
    const auto vectors = numbers(rows * dim);
    const auto index = ranklet::VectorIndex::create({vectors.data(), rows, dim}, ranklet::RowType::f32).value();
    ranklet::VectorIndex::Workspace workspace;
    measure(state, [&](ranklet::Threads threads) {
        index.search({vectors.data(), 1, dim}, {.k = 10, .threads = threads}, workspace).value();
    });
}

void arguments(benchmark::internal::Benchmark* benchmark, std::initializer_list<std::int64_t> sizes) {
    benchmark->ArgNames({"where", "busy", "size"})->UseRealTime()->Unit(benchmark::kMicrosecond);
    for (const std::int64_t size : sizes)
        for (const std::int64_t busy : {0, 1})
            for (const std::int64_t where : {one_thread, openmp, pool}) benchmark->Args({where, busy, size});
}
BENCHMARK(neighbour_gru)->Apply([](auto* b) { arguments(b, {50}); });
BENCHMARK(neighbour_encode_one)->Apply([](auto* b) { arguments(b, {8, 32, 128, 400}); });
BENCHMARK(neighbour_encode)->Apply([](auto* b) { arguments(b, {8, 100, 400}); });
BENCHMARK(neighbour_recommend)->Apply([](auto* b) { arguments(b, {1000, 20000}); });
BENCHMARK(neighbour_search)->Apply([](auto* b) { arguments(b, {2000, 20000, 400000}); });

}  // namespace
