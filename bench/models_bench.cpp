// Whole models: texts and tokens a second, latency of one text, loading, one live step, a ranking.
// In: $RANKLET_BENCH_MODEL, a model file with a text encoder (default: the demo's), and the demo shop's titles.
// Started in the repository's root. "memory" is the process's peak so far, MB, everything counted.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/half.hpp"
#include "ranklet/layers/layers.hpp"
#include "ranklet/ranklet.hpp"
#include "titles.hpp"

namespace {

using Clock = std::chrono::steady_clock;

std::string model_path() {
    const char* path = std::getenv("RANKLET_BENCH_MODEL");
    return path != nullptr ? path : "examples/models/demo-shop.gguf";
}

/// Peak resident memory, MB.
double peak_memory() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.rfind("VmHWM:", 0) == 0) return std::strtod(line.c_str() + 6, nullptr) / 1024.0;
    return 0.0;
}

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Percentiles of seconds, as microseconds.
void percentiles(benchmark::State& state, std::vector<double>& seconds) {
    if (seconds.empty()) return;
    std::sort(seconds.begin(), seconds.end());
    const auto at = [&](double share) {
        return 1e6 * seconds[static_cast<std::size_t>(share * static_cast<double>(seconds.size() - 1))];
    };
    state.counters["p50 us"] = at(0.5);
    state.counters["p90 us"] = at(0.9);
    state.counters["p99 us"] = at(0.99);
}

/// The encoder, or a skipped benchmark that says why.
std::optional<ranklet::Bert> load_encoder(benchmark::State& state) {
    auto model = ranklet::Bert::load(model_path());
    if (!model.ok()) state.SkipWithError(model.error().message.c_str());
    if (titles().empty()) state.SkipWithError("no titles: start in the repository's root");
    if (!model.ok() || titles().empty()) return std::nullopt;
    return std::move(*model);
}

/// Opening, building and self-test of the file.
void load(benchmark::State& state) {
    for (auto _ : state) {
        auto model = ranklet::Bert::load(model_path());
        if (!model.ok()) {
            state.SkipWithError(model.error().message.c_str());
            return;
        }
        benchmark::DoNotOptimize(model);
    }
    state.counters["memory"] = peak_memory();
}
BENCHMARK(load)->Unit(benchmark::kMillisecond);

/// All titles as they come, of mixed length.
void encode_titles(benchmark::State& state) {
    const auto encoder = load_encoder(state);
    if (!encoder) return;
    const std::vector<std::string_view> texts(titles().begin(), titles().end());
    std::size_t tokens = 0;
    for (const auto text : texts) tokens += encoder->tokenizer().encode(text)->size();
    const ranklet::BatchOptions options{.threads = static_cast<std::size_t>(state.range(0))};
    for (auto _ : state) benchmark::DoNotOptimize(encoder->encode(texts, options));
    const auto per_second = [&](std::size_t count) {
        return benchmark::Counter(static_cast<double>(count), benchmark::Counter::kIsIterationInvariantRate);
    };
    state.counters["texts/s"] = per_second(texts.size());
    state.counters["tokens/s"] = per_second(tokens);
    state.counters["memory"] = peak_memory();
}
BENCHMARK(encode_titles)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);

/// The tokenizer alone.
void tokenize(benchmark::State& state) {
    const auto encoder = load_encoder(state);
    if (!encoder) return;
    const std::vector<std::string_view> texts(titles().begin(), titles().end());
    std::vector<ranklet::Encoding> encodings(texts.size());
    for (auto _ : state)
        encoder->tokenizer().encode_batch(texts, {}, encodings, static_cast<std::size_t>(state.range(0))).value();
    std::size_t tokens = 0;
    for (const auto& encoding : encodings) tokens += encoding.size();
    state.counters["tokens/s"] =
        benchmark::Counter(static_cast<double>(tokens), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(tokenize)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond);

/// One title at a time.
void encode_one(benchmark::State& state) {
    const auto encoder = load_encoder(state);
    if (!encoder) return;
    std::vector<double> seconds;
    std::size_t next = 0;
    for (auto _ : state) {
        const auto start = Clock::now();
        benchmark::DoNotOptimize(encoder->encode(titles()[next++ % titles().size()]));
        seconds.push_back(since(start));
    }
    percentiles(state, seconds);
}
BENCHMARK(encode_one)->Unit(benchmark::kMicrosecond);

/// One live step of a GRU whose input part is known (an item of a catalog), with weights of so many bits. "weights" is
/// the rate at which they are read: they stay in the cache, as those of a busy program do.
void gru_step(benchmark::State& state) {
    const auto hidden = static_cast<std::size_t>(state.range(0)), bits = static_cast<std::size_t>(state.range(1));
    const std::size_t n = 3 * hidden;
    std::vector<float> values(n * hidden), scale(n, 0.1f / 127.0f), projected(n, 0.1f), h(hidden, 0.2f);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 7 % 255) * 0.0008f - 0.1f;
    const auto linear = [&] {
        ranklet::Linear<> result;
        if (bits == 8) {
            std::vector<std::int8_t> small(values.size());
            for (std::size_t i = 0; i < small.size(); ++i) small[i] = static_cast<std::int8_t>(values[i] * 1270.0f);
            result.assign({small.data(), n, hidden}, scale).value();
        } else if (bits == 16) {
            std::vector<std::uint16_t> small(values.size());
            std::transform(values.begin(), values.end(), small.begin(), ranklet::f32_to_bf16);
            result.assign_bf16({small.data(), n, hidden}).value();
        } else {
            result.assign({values.data(), n, hidden}).value();
        }
        return result;
    };
    ranklet::Gru<> gru;
    gru.assign(linear(), linear()).value();
    ranklet::Scratch scratch;
    scratch.reserve(gru.step_scratch_size()).value();
    for (auto _ : state) {
        gru.step(projected.data(), h.data(), h.data(), scratch);
        benchmark::ClobberMemory();
    }
    state.counters["weights"] =
        benchmark::Counter(static_cast<double>(n * hidden * bits / 8), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(gru_step)
    ->ArgNames({"hidden", "bits"})
    ->ArgsProduct({{384, 768}, {32, 16, 8}})
    ->Unit(benchmark::kMicrosecond);

/// The demo's recommender: an event, then the ten best of the shop.
void observe_and_recommend(benchmark::State& state) {
    const auto model = ranklet::Recommender::load("examples/models/demo-shop.gguf");
    if (!model.ok() || titles().empty()) {
        state.SkipWithError("no demo model or titles: start in the repository's root");
        return;
    }
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < titles().size(); ++i) ids.push_back(std::to_string(i));
    std::vector<ranklet::Item> items;
    for (std::size_t i = 0; i < ids.size(); ++i) items.push_back({ids[i], titles()[i]});
    const auto catalog = model->encode_catalog(items).value();
    auto user = model->new_user();
    ranklet::Recommender::Workspace workspace;
    std::vector<double> seconds;
    std::size_t next = 0;
    for (auto _ : state) {
        const auto start = Clock::now();
        user.observe(catalog[next++ % catalog.size()], 4.0f).value();
        benchmark::DoNotOptimize(model->recommend(user, catalog, {.k = 10, .exclude_seen = true}, workspace));
        seconds.push_back(since(start));
        if (next % 50 == 0) user.reset();
    }
    percentiles(state, seconds);
}
BENCHMARK(observe_and_recommend)->Unit(benchmark::kMicrosecond);

}  // namespace
