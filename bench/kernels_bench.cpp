// Time and rate of each kernel alone, on one thread, with operands that stay in the cache as they do in a model.
// "% of limit" is the rate against what limits.hpp measures in the same run: multiply-adds, bf16 and int8 dot products,
// reads. Of element-wise kernels, FLOP/s counts what the formulas in kernels/ do with an element, a fused multiply-add
// as two. Sizes are those of MiniLM-L6 (384 wide, 12 heads, 1536 inside) and BERT-base (768, 12, 3072).
#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "limits.hpp"
#include "ranklet/core/buffer.hpp"
#include "ranklet/core/half.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/kernels/attention.hpp"
#include "ranklet/kernels/elementwise.hpp"
#include "ranklet/kernels/gemm_bf16.hpp"
#include "ranklet/kernels/gemm_f32.hpp"
#include "ranklet/kernels/gemm_i8.hpp"
#include "ranklet/kernels/gru.hpp"
#include "ranklet/kernels/layer_norm.hpp"
#include "ranklet/kernels/reduce.hpp"
#include "ranklet/kernels/scan.hpp"
#include "ranklet/kernels/scan_i8.hpp"
#include "ranklet/kernels/scan_many.hpp"
#include "ranklet/kernels/softmax.hpp"
#include "ranklet/ranking/vector_index.hpp"

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

/// Repeats `work` as often as the benchmark wants; returns the seconds that it took once.
template <class Work>
double repeat(benchmark::State& state, const Work& work) {
    const auto start = std::chrono::steady_clock::now();
    for (auto _ : state) {
        work();
        benchmark::ClobberMemory();
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    return elapsed.count() / static_cast<double>(std::max<benchmark::IterationCount>(state.iterations(), 1));
}

/// What was done a second as a percentage of a limit, where there is one.
void share(benchmark::State& state, double a_second, double limit) {
    if (limit > 0.0) state.counters["% of limit"] = 100.0 * a_second / limit;
}

/// Of a kernel that does `operations` with each of n elements.
void element_wise(benchmark::State& state, std::size_t n, double operations, double seconds) {
    const double work = operations * static_cast<double>(n);
    rate(state, "elements/s", static_cast<double>(n));
    rate(state, "FLOP/s", work);
    share(state, work / seconds, ranklet_bench::f32_limit());
}

/// C[m, n] = A[m, k] * W[n, k]^T.
void gemm_f32(benchmark::State& state) {
    const std::size_t m = argument(state, 0), n = argument(state, 1), k = argument(state, 2);
    const Buffer a = random_buffer(m * k), w = random_buffer(n * k);
    Buffer packed = random_buffer(kernels::packed_size<Arch>(n, k)), c = random_buffer(m * n);
    kernels::pack_rows<Arch>(w.data(), n, k, k, packed.data());
    const double seconds = repeat(state, [&] {
        kernels::gemm_f32<Arch>(m, n, k, a.data(), k, packed.data(), c.data(), n, kernels::StoreOnly{});
        benchmark::DoNotOptimize(c.data());
    });
    const double work = 2.0 * static_cast<double>(m * n * k);
    rate(state, "FLOP/s", work);
    share(state, work / seconds, ranklet_bench::f32_limit());
}

/// The same by Eigen, which this kernel was chosen over.
void gemm_eigen(benchmark::State& state) {
    using Map = Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
    const std::size_t m = argument(state, 0), n = argument(state, 1), k = argument(state, 2);
    const Buffer a = random_buffer(m * k), w = random_buffer(n * k);
    const auto at = [](std::size_t size) { return static_cast<Eigen::Index>(size); };
    const Map x(a.data(), at(m), at(k)), weights(w.data(), at(n), at(k));
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> c(at(m), at(n));
    Eigen::setNbThreads(1);
    const double seconds = repeat(state, [&] {
        c.noalias() = x * weights.transpose();
        benchmark::DoNotOptimize(c.data());
    });
    const double work = 2.0 * static_cast<double>(m * n * k);
    rate(state, "FLOP/s", work);
    share(state, work / seconds, ranklet_bench::f32_limit());
}

/// The same with bf16 weights: as dot products where models run so, A rounded beforehand; widened otherwise.
void gemm_bf16(benchmark::State& state) {
    const std::size_t m = argument(state, 0), n = argument(state, 1), k = argument(state, 2);
    const Buffer a = random_buffer(m * k), values = random_buffer(n * k);
    Buffer c = random_buffer(m * n);
    std::vector<std::uint16_t> w(n * k);
    std::transform(values.begin(), values.end(), w.begin(), ranklet::f32_to_bf16);
    auto packed = ranklet::AlignedBuffer<std::uint16_t>::zeroed(kernels::packed_size<Arch>(n, k)).value();
    kernels::pack_rows_bf16<Arch>(w.data(), n, k, packed.data());
    std::vector<std::uint16_t> rounded(m * k);
    kernels::round_to_bf16<Arch>(a.data(), m * k, rounded.data());
    const double seconds = repeat(state, [&] {
        if constexpr (kernels::rounds_bf16<Arch>)
            kernels::gemm_bf16_dot<Arch>(m, n, k, rounded.data(), k, packed.data(), c.data(), n, kernels::StoreOnly{});
        else
            kernels::gemm_bf16<Arch>(m, n, k, a.data(), k, packed.data(), c.data(), n, kernels::StoreOnly{});
        benchmark::DoNotOptimize(c.data());
    });
    const double work = 2.0 * static_cast<double>(m * n * k);
    rate(state, "FLOP/s", work);
    share(state, work / seconds, kernels::rounds_bf16<Arch> ? ranklet_bench::bf16_limit() : ranklet_bench::f32_limit());
}

/// The same in 8 bits, activations quantised beforehand.
void gemm_i8(benchmark::State& state) {
    using Mac = kernels::MacI8<Arch>;
    const std::size_t m = argument(state, 0), n = argument(state, 1), k = argument(state, 2);
    const std::size_t row = kernels::i8_row_size<Arch>(k);
    const Buffer a = random_buffer(m * k);
    Buffer c = random_buffer(m * n);
    std::vector<std::int8_t> w(n * k);
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<std::int8_t>(static_cast<int>(i * 7 % 255) - 127);
    auto quantized = ranklet::AlignedBuffer<Mac::Input>::zeroed(m * row).value();
    for (std::size_t r = 0; r < m; ++r) kernels::quantize_row<Arch>(a.data() + r * k, k, quantized.data() + r * row);
    auto packed = ranklet::AlignedBuffer<std::int8_t>::zeroed(kernels::i8_packed_size<Arch>(n, k)).value();
    auto start = ranklet::AlignedBuffer<std::int32_t>::zeroed(kernels::padded_columns<Arch>(n)).value();
    kernels::pack_rows_i8<Arch>(w.data(), n, k, packed.data(), start.data());
    const double seconds = repeat(state, [&] {
        kernels::gemm_i8<Arch>(m, n, k, quantized.data(), packed.data(), start.data(), c.data(), n,
                               kernels::StoreOnly{});
        benchmark::DoNotOptimize(c.data());
    });
    const double work = 2.0 * static_cast<double>(m * n * k);
    rate(state, "OP/s", work);
    share(state, work / seconds, ranklet_bench::i8_limit());
}

void shapes(benchmark::internal::Benchmark* benchmark) {
    benchmark->ArgNames({"m", "n", "k"});
    for (const std::int64_t m : {1, 8, 32, 1024})
        for (const auto& [n, k] :
             {std::pair{384, 384}, std::pair{1536, 384}, std::pair{384, 1536}, std::pair{3072, 768}})
            benchmark->Args({m, n, k});
}
BENCHMARK(gemm_f32)->Apply(shapes);
BENCHMARK(gemm_eigen)->Apply(shapes);
BENCHMARK(gemm_bf16)->Apply(shapes);
BENCHMARK(gemm_i8)->Apply(shapes);

/// One head of self-attention over a text.
void attention_head(benchmark::State& state) {
    const std::size_t length = argument(state, 0), d = argument(state, 1);
    const Buffer q = random_buffer(length * d), k = random_buffer(length * d), v = random_buffer(length * d);
    Buffer out = random_buffer(length * d);
    ranklet::Scratch scratch;
    scratch.reserve(kernels::attention_scratch_size<Arch>(length, d)).value();
    const double seconds = repeat(state, [&] {
        kernels::attention_head<Arch>(length, d, q.data(), k.data(), v.data(), d, out.data(), d,
                                      {1.0f / std::sqrt(static_cast<float>(d)), nullptr}, scratch);
        benchmark::DoNotOptimize(out.data());
    });
    const double work = 4.0 * static_cast<double>(length * length * d);
    rate(state, "FLOP/s", work);
    share(state, work / seconds, ranklet_bench::f32_limit());
}
BENCHMARK(attention_head)->ArgNames({"length", "d"})->Args({8, 32})->Args({32, 32})->Args({128, 32})->Args({512, 64});

/// One head where a query looks at few keys: at those before it (behind 0) and no further than `reach`. Beside it, what the
/// same bias costs where the products are not told of it.
void attention_masked(benchmark::State& state) {
    constexpr std::size_t d = 64;
    const std::size_t length = argument(state, 0), reach = argument(state, 1);
    const bool causal = argument(state, 2) != 0, told = argument(state, 3) != 0;
    const Buffer q = random_buffer(length * d), k = random_buffer(length * d), v = random_buffer(length * d);
    Buffer out = random_buffer(length * d);
    std::vector<float> bias(2 * length - 1, 0.0f);  // of key - query
    for (std::size_t i = 0; i < bias.size(); ++i) {
        const std::size_t away = i < length ? length - 1 - i : i - (length - 1);
        if (away > reach || (causal && i >= length)) bias[i] = -std::numeric_limits<float>::infinity();
    }
    kernels::ScoreMap<float> map{0.125f, bias.data() + length - 1};
    if (told) {
        map.before = reach;
        map.behind = causal ? 0 : reach;
    }
    ranklet::Scratch scratch;
    scratch.reserve(kernels::attention_scratch_size<Arch>(length, d)).value();
    repeat(state, [&] {
        kernels::attention_head<Arch>(length, d, q.data(), k.data(), v.data(), d, out.data(), d, map, scratch);
        benchmark::DoNotOptimize(out.data());
    });
}
BENCHMARK(attention_masked)
    ->ArgNames({"length", "reach", "causal", "told"})
    ->ArgsProduct({{512, 2048}, {64}, {0}, {0, 1}})
    ->ArgsProduct({{128, 512, 2048}, {1 << 20}, {1}, {0, 1}});

/// One head with DeBERTa's terms of content and distance, of 512 rows.
void attention_positions(benchmark::State& state) {
    constexpr std::size_t d = 64, span = 256;
    const std::size_t length = argument(state, 0);
    const Buffer q = random_buffer(length * d), k = random_buffer(length * d), v = random_buffer(length * d);
    const Buffer keys = random_buffer(2 * span * d), queries = random_buffer(2 * span * d);
    Buffer out = random_buffer(length * d);
    std::vector<std::uint32_t> rows(2 * length - 1);
    for (std::size_t i = 0; i < rows.size(); ++i)
        rows[i] = static_cast<std::uint32_t>(std::min<std::size_t>(i + span - std::min(span, length - 1), 2 * span - 1));
    const kernels::PositionTerms<float> terms{keys.data(), queries.data(), rows.data() + length - 1};
    kernels::ScoreMap<float> map{0.07f};
    map.positions = &terms;
    ranklet::Scratch scratch;
    scratch.reserve(kernels::attention_scratch_size<Arch>(length, d, 2 * span)).value();
    repeat(state, [&] {
        kernels::attention_head<Arch>(length, d, q.data(), k.data(), v.data(), d, out.data(), d, map, scratch);
        benchmark::DoNotOptimize(out.data());
    });
}
BENCHMARK(attention_positions)->ArgName("length")->Arg(32)->Arg(128)->Arg(256);

void layer_norm(benchmark::State& state) {
    const std::size_t n = argument(state, 0);
    const Buffer x = random_buffer(n), weight = random_buffer(n), bias = random_buffer(n);
    Buffer y = random_buffer(n);
    const double seconds = repeat(state, [&] {
        kernels::layer_norm<Arch>(1, x.data(), n, weight.data(), bias.data(), 1e-12f, y.data(), n, n);
        benchmark::DoNotOptimize(y.data());
    });
    element_wise(state, n, 8.0, seconds);
}
BENCHMARK(layer_norm)->ArgName("n")->Arg(384)->Arg(768);

void gelu(benchmark::State& state) {
    const std::size_t n = argument(state, 0);
    const Buffer source = random_buffer(n);
    Buffer x = random_buffer(n);
    const double seconds = repeat(state, [&] {
        std::copy(source.begin(), source.end(), x.begin());  // in place: without it the values would fade to zero
        kernels::activate<Arch>(ranklet::Activation::gelu, x.data(), n);
        benchmark::DoNotOptimize(x.data());
    });
    element_wise(state, n, 39.0, seconds);
}
BENCHMARK(gelu)->ArgName("n")->Arg(1536)->Arg(3072);

void softmax(benchmark::State& state) {
    const std::size_t n = argument(state, 0);
    const Buffer source = random_buffer(n);
    Buffer x = random_buffer(n);
    const double seconds = repeat(state, [&] {
        std::copy(source.begin(), source.end(), x.begin());
        kernels::softmax<Arch>(x.data(), n, 0.125f);
        benchmark::DoNotOptimize(x.data());
    });
    element_wise(state, n, 25.0, seconds);
}
BENCHMARK(softmax)->ArgName("n")->Arg(32)->Arg(128)->Arg(512)->Arg(100000);

/// The element-wise part of one GRU step.
void gru_gates(benchmark::State& state) {
    const std::size_t hidden = argument(state, 0);
    const Buffer from_input = random_buffer(3 * hidden), from_state = random_buffer(3 * hidden);
    const Buffer h = random_buffer(hidden);
    Buffer next = random_buffer(hidden);
    const double seconds = repeat(state, [&] {
        kernels::gru_gates<Arch>(from_input.data(), from_state.data(), h.data(), next.data(), hidden);
        benchmark::DoNotOptimize(next.data());
    });
    element_wise(state, hidden, 100.0, seconds);
}
BENCHMARK(gru_gates)->ArgName("hidden")->Arg(64)->Arg(384);

constexpr std::size_t in_memory = 100'000;  // so many rows do not stay in a cache
constexpr std::size_t scan_block = 336;     // rows scored at a time, as VectorIndex does

/// Users' vectors against the vectors of a catalog: for one user a stream from memory, for many a product.
template <class Row>
void scan_rows(benchmark::State& state) {
    using Element = typename Row::Element;
    const std::size_t rows = argument(state, 0), n = argument(state, 1), users = argument(state, 2);
    auto catalog = ranklet::AlignedBuffer<Element>::zeroed(rows * n).value();
    for (std::size_t i = 0; i < rows * n; ++i) {
        const float x = static_cast<float>(i * 7919 % 2001) * 1e-3f - 1.0f;
        if constexpr (sizeof(Element) == 2)
            catalog[i] = ranklet::f32_to_f16(x);
        else
            catalog[i] = x;
    }
    const Buffer user = random_buffer(users * n);
    Buffer packed = random_buffer(kernels::packed_users_size<Arch>(users, n));
    kernels::pack_users<Arch>(user.data(), users, n, packed.data());
    Buffer scores = random_buffer(users * scan_block), wide = random_buffer(kernels::scan_many_wide_size<Arch>(n));
    const double seconds = repeat(state, [&] {
        for (std::size_t r = 0; r < rows; r += scan_block)
            kernels::scan_many<Arch, Row>(catalog.data() + r * n, std::min(scan_block, rows - r), n, user.data(),
                                          packed.data(), users, n, wide.data(), scores.data(), scan_block);
        benchmark::DoNotOptimize(scores.data());
    });
    const double bytes = static_cast<double>(rows * n * sizeof(Element));
    const double work = 2.0 * static_cast<double>(rows * n * users);
    rate(state, "bytes/s", bytes);
    rate(state, "FLOP/s", work);
    if (users > 1)
        share(state, work / seconds, ranklet_bench::f32_limit());
    else if (rows >= in_memory)
        share(state, bytes / seconds, ranklet_bench::read_limit());
}
void scan_f32(benchmark::State& state) { scan_rows<kernels::RowF32<Arch>>(state); }
void scan_f16(benchmark::State& state) { scan_rows<kernels::RowF16<Arch>>(state); }

/// The same with 8-bit rows.
void scan_i8(benchmark::State& state) {
    const std::size_t rows = argument(state, 0), n = argument(state, 1), users = argument(state, 2);
    const std::size_t stride = kernels::scan_i8_stride(n);
    auto catalog = ranklet::AlignedBuffer<std::int8_t>::zeroed(rows * stride).value();
    for (std::size_t i = 0; i < catalog.size(); ++i)
        catalog[i] = static_cast<std::int8_t>(static_cast<int>(i * 7919 % 255) - 127);
    auto sums = ranklet::AlignedBuffer<std::int32_t>::zeroed(rows).value();
    const Buffer scale = random_buffer(rows), vectors = random_buffer(users * n);
    auto user = ranklet::AlignedBuffer<kernels::DotI8<Arch>::Input>::zeroed(users * stride).value();
    Buffer user_scale = random_buffer(kernels::padded_columns<Arch>(users));
    Buffer scores = random_buffer(users * scan_block);
    for (std::size_t u = 0; u < users; ++u)
        user_scale[u] = kernels::quantize_user<Arch>(vectors.data() + u * n, n, user.data() + u * stride);
    auto packed =
        ranklet::AlignedBuffer<kernels::DotI8<Arch>::Input>::zeroed(kernels::packed_users_i8_size<Arch>(users, n))
            .value();
    kernels::pack_users_i8<Arch>(user.data(), users, n, packed.data());
    const double seconds = repeat(state, [&] {
        for (std::size_t r = 0; r < rows; r += scan_block)
            kernels::scan_many_i8<Arch>({catalog.data() + r * stride, scale.data() + r, sums.data() + r},
                                        std::min(scan_block, rows - r), user.data(), packed.data(), user_scale.data(),
                                        users, n, scores.data(), scan_block);
        benchmark::DoNotOptimize(scores.data());
    });
    const double bytes = static_cast<double>(rows * stride), work = 2.0 * static_cast<double>(rows * n * users);
    rate(state, "bytes/s", bytes);
    rate(state, "OP/s", work);
    if (users > 1)
        share(state, work / seconds, ranklet_bench::i8_limit());
    else if (rows >= in_memory)
        share(state, bytes / seconds, ranklet_bench::read_limit());
}

void catalogs(benchmark::internal::Benchmark* benchmark) {
    benchmark->ArgNames({"rows", "n", "users"});
    for (const std::int64_t users : {1, 32}) benchmark->Args({1000, 384, users});
    for (const std::int64_t users : {1, 8, 16, 24, 32}) benchmark->Args({200000, 384, users});
}
BENCHMARK(scan_f32)->Apply(catalogs);
BENCHMARK(scan_f16)->Apply(catalogs);
BENCHMARK(scan_i8)->Apply(catalogs);

/// VectorIndex: the 100 best of 200,000 x 384 for each user, all that a search does.
void search(benchmark::State& state, ranklet::RowType type) {
    constexpr std::size_t rows = 200'000, n = 384;
    const std::size_t users = argument(state, 0);
    const Buffer vectors = random_buffer(rows * n), queries = random_buffer(users * n);
    const auto index = ranklet::VectorIndex::create({vectors.data(), rows, n}, type).value();
    ranklet::VectorIndex::Workspace workspace;
    const double seconds = repeat(state, [&] {
        benchmark::DoNotOptimize(index.search({queries.data(), users, n}, {.k = 100}, workspace).value().data());
    });
    const bool i8 = type == ranklet::RowType::i8 || type == ranklet::RowType::i8_exact;
    const std::size_t size = i8 ? 1 : type == ranklet::RowType::f16 ? 2 : 4;
    const double bytes = static_cast<double>(rows * n * size), work = 2.0 * static_cast<double>(rows * n * users);
    rate(state, "searches/s", static_cast<double>(users));
    if (users == 1)
        share(state, bytes / seconds, ranklet_bench::read_limit());
    else
        share(state, work / seconds, i8 ? ranklet_bench::i8_limit() : ranklet_bench::f32_limit());
}
BENCHMARK_CAPTURE(search, f32, ranklet::RowType::f32)->ArgName("users")->Arg(1)->Arg(32);
BENCHMARK_CAPTURE(search, f16, ranklet::RowType::f16)->ArgName("users")->Arg(1)->Arg(32);
BENCHMARK_CAPTURE(search, i8, ranklet::RowType::i8)->ArgName("users")->Arg(1)->Arg(32);
BENCHMARK_CAPTURE(search, i8_exact, ranklet::RowType::i8_exact)->ArgName("users")->Arg(1)->Arg(32);

}  // namespace
