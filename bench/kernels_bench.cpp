// Time and rate of each kernel alone, on one thread, with operands that stay in the cache as they do in a model.
// Sizes are those of MiniLM-L6 (384 wide, 12 heads, 1536 inside) and BERT-base (768, 12, 3072).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <random>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/kernels/attention.hpp"
#include "ranklet/kernels/elementwise.hpp"
#include "ranklet/kernels/gemm.hpp"
#include "ranklet/kernels/gru.hpp"
#include "ranklet/kernels/layer_norm.hpp"
#include "ranklet/kernels/reduce.hpp"
#include "ranklet/kernels/softmax.hpp"

namespace {

namespace kernels = ranklet::kernels;
using Arch = kernels::default_arch;
using Buffer = ranklet::AlignedBuffer<float>;

Buffer random_buffer(std::size_t count) {
    auto buffer = Buffer::zeroed(count).value();
    std::mt19937 engine(1);
    std::uniform_real_distribution<float> distribution(-1.0f, 1.0f);
    for (float& x : buffer) x = distribution(engine);
    return buffer;
}

std::size_t argument(const benchmark::State& state, std::size_t i) { return static_cast<std::size_t>(state.range(i)); }

/// Shows work / time: floating-point operations or bytes, per second.
void rate(benchmark::State& state, const char* name, double per_iteration) {
    state.counters[name] = benchmark::Counter(per_iteration, benchmark::Counter::kIsIterationInvariantRate);
}

/// C[m, n] = A[m, k] * W[n, k]^T.
void gemm_f32(benchmark::State& state) {
    const std::size_t m = argument(state, 0), n = argument(state, 1), k = argument(state, 2);
    const Buffer a = random_buffer(m * k), w = random_buffer(n * k);
    Buffer packed = random_buffer(kernels::packed_size<Arch>(n, k)), c = random_buffer(m * n);
    kernels::pack_rows<Arch>(w.data(), n, k, k, packed.data());
    for (auto _ : state) {
        kernels::gemm_f32<Arch>(m, n, k, a.data(), k, packed.data(), c.data(), n, kernels::StoreOnly{});
        benchmark::DoNotOptimize(c.data());
        benchmark::ClobberMemory();
    }
    rate(state, "FLOP/s", 2.0 * static_cast<double>(m * n * k));
}
BENCHMARK(gemm_f32)
    ->ArgNames({"m", "n", "k"})
    ->Args({1, 384, 384})
    ->Args({8, 384, 384})
    ->Args({32, 384, 384})
    ->Args({32, 1536, 384})
    ->Args({32, 384, 1536})
    ->Args({1024, 384, 384})
    ->Args({1024, 1536, 384})
    ->Args({1024, 384, 1536})
    ->Args({1024, 768, 768})
    ->Args({1024, 3072, 768});

/// One head of self-attention over a text.
void attention_head(benchmark::State& state) {
    const std::size_t length = argument(state, 0), d = argument(state, 1);
    const Buffer q = random_buffer(length * d), k = random_buffer(length * d), v = random_buffer(length * d);
    Buffer out = random_buffer(length * d);
    ranklet::Scratch scratch;
    scratch.reserve(kernels::attention_scratch_size<Arch>(length, d)).value();
    for (auto _ : state) {
        kernels::attention_head<Arch>(length, d, q.data(), k.data(), v.data(), d, out.data(), d, scratch);
        benchmark::DoNotOptimize(out.data());
        benchmark::ClobberMemory();
    }
    rate(state, "FLOP/s", 4.0 * static_cast<double>(length * length * d));
}
BENCHMARK(attention_head)->ArgNames({"length", "d"})->Args({8, 32})->Args({32, 32})->Args({128, 32})->Args({512, 64});

void layer_norm(benchmark::State& state) {
    const std::size_t n = argument(state, 0);
    const Buffer x = random_buffer(n), weight = random_buffer(n), bias = random_buffer(n);
    Buffer y = random_buffer(n);
    for (auto _ : state) {
        kernels::layer_norm<Arch>(x.data(), weight.data(), bias.data(), 1e-12f, y.data(), n);
        benchmark::DoNotOptimize(y.data());
        benchmark::ClobberMemory();
    }
    rate(state, "elements/s", static_cast<double>(n));
}
BENCHMARK(layer_norm)->ArgName("n")->Arg(384)->Arg(768);

void gelu(benchmark::State& state) {
    const std::size_t n = argument(state, 0);
    const Buffer source = random_buffer(n);
    Buffer x = random_buffer(n);
    for (auto _ : state) {
        std::copy(source.begin(), source.end(), x.begin());  // in place: without it the values would fade to zero
        kernels::activate<Arch>(ranklet::Activation::gelu, x.data(), n);
        benchmark::DoNotOptimize(x.data());
        benchmark::ClobberMemory();
    }
    rate(state, "elements/s", static_cast<double>(n));
}
BENCHMARK(gelu)->ArgName("n")->Arg(1536)->Arg(3072);

void softmax(benchmark::State& state) {
    const std::size_t n = argument(state, 0);
    const Buffer source = random_buffer(n);
    Buffer x = random_buffer(n);
    for (auto _ : state) {
        std::copy(source.begin(), source.end(), x.begin());
        kernels::softmax<Arch>(x.data(), n, 0.125f);
        benchmark::DoNotOptimize(x.data());
        benchmark::ClobberMemory();
    }
    rate(state, "elements/s", static_cast<double>(n));
}
BENCHMARK(softmax)->ArgName("n")->Arg(32)->Arg(128)->Arg(512)->Arg(100000);

/// The element-wise part of one GRU step.
void gru_gates(benchmark::State& state) {
    const std::size_t hidden = argument(state, 0);
    const Buffer from_input = random_buffer(3 * hidden), from_state = random_buffer(3 * hidden);
    const Buffer h = random_buffer(hidden);
    Buffer next = random_buffer(hidden);
    for (auto _ : state) {
        kernels::gru_gates<Arch>(from_input.data(), from_state.data(), h.data(), next.data(), hidden);
        benchmark::DoNotOptimize(next.data());
        benchmark::ClobberMemory();
    }
    rate(state, "elements/s", static_cast<double>(hidden));
}
BENCHMARK(gru_gates)->ArgName("hidden")->Arg(64)->Arg(384);

/// One user's vector against the vectors of a catalog: a stream from memory once the catalog is larger than the cache.
void dot_rows(benchmark::State& state) {
    const std::size_t rows = argument(state, 0), n = argument(state, 1);
    const Buffer catalog = random_buffer(rows * n), user = random_buffer(n);
    Buffer scores = random_buffer(rows);
    for (auto _ : state) {
        kernels::dot_rows<Arch>(catalog.data(), rows, n, user.data(), n, scores.data());
        benchmark::DoNotOptimize(scores.data());
        benchmark::ClobberMemory();
    }
    rate(state, "bytes/s", static_cast<double>(rows * n * sizeof(float)));
}
BENCHMARK(dot_rows)->ArgNames({"rows", "n"})->Args({1000, 384})->Args({100000, 384});

}  // namespace
