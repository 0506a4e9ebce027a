// What this machine can do at most, measured: operations in registers, and bytes read from memory.
// In: nothing. Out: operations or bytes a second on one thread, the best of a few tries, kept for the process's life.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "ranklet/core/buffer.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/dot_bf16.hpp"
#include "ranklet/kernels/dot_i8.hpp"

namespace ranklet_bench {

namespace kernels = ranklet::kernels;
using Arch = kernels::default_arch;

/// Keeps a value that nothing reads from being optimised away.
template <class T>
void use(const T& value) {
    asm volatile("" : : "g"(&value) : "memory");
}

inline constexpr std::size_t chains = 12;  // enough independent sums to hide an instruction's latency on two ports
inline constexpr std::size_t limit_steps = 2'000'000;

/// Runs `chains` sums, each its own, through `step(sum)` in registers.
template <class Sum, class Step>
void run_chains(const Sum (&initial)[chains], const Step& step) {
    Sum sums[chains];
    use(initial);
    kernels::unroll<chains>([&](auto c) { sums[c] = initial[c]; });
    for (std::size_t i = 0; i < limit_steps; ++i) kernels::unroll<chains>([&](auto c) { sums[c] = step(sums[c]); });
    Sum result = sums[0];
    kernels::unroll<chains>([&](auto c) { result += sums[c]; });
    use(result);
}

/// Does f32 fused multiply-adds in registers; returns how many operations (two each).
inline double fma_operations() {
    kernels::F32<Arch> sums[chains];
    for (std::size_t c = 0; c < chains; ++c) sums[c] = kernels::F32<Arch>(0.1f * static_cast<float>(c));
    kernels::F32<Arch> factor(0.999f), addend(0.001f);
    use(factor);
    use(addend);
    run_chains(sums, [=](const auto& sum) { return kernels::fma<Arch>(sum, factor, addend); });
    return 2.0 * static_cast<double>(limit_steps * chains * kernels::F32<Arch>::size);
}

/// Does int8 dot products in registers, by what this build has for them; returns how many operations.
inline double dot_operations() {
    using Dot = kernels::DotI8<Arch>;
    typename Dot::Sum sums[chains];
    for (std::size_t c = 0; c < chains; ++c) sums[c] = typename Dot::Sum{} + static_cast<std::int32_t>(c);
    alignas(64) typename Dot::Input inputs[Dot::values];
    alignas(64) std::int8_t weights[Dot::values];
    std::fill_n(inputs, Dot::values, typename Dot::Input{3});
    std::fill_n(weights, Dot::values, std::int8_t{-5});
    use(inputs);
    use(weights);
    const auto a = Dot::load(inputs);
    if constexpr (Dot::step == 4) {
        const auto b = Dot::load_weights(weights);
        run_chains(sums, [=](const auto& sum) { return Dot::multiply_add(a, b, sum); });
    } else {
        run_chains(sums, [&](const auto& sum) { return Dot::accumulate(a, weights, sum); });
    }
    return 2.0 * static_cast<double>(limit_steps * chains * Dot::values);
}

/// Whether this build has a bf16 dot product to measure (its emulation is none).
#if defined(__AVX512BF16__) && !defined(RANKLET_EMULATE_BF16_DOT)
inline constexpr bool has_bf16_dot = kernels::F32<Arch>::size == 16;
#else
inline constexpr bool has_bf16_dot = false;
#endif

/// Does two-fold bf16 dot products in registers; returns how many operations. Precondition: has_bf16_dot.
inline double bf16_operations() {
    using Dot = kernels::DotBf16<Arch>;
    kernels::F32<Arch> sums[chains];
    for (std::size_t c = 0; c < chains; ++c) sums[c] = kernels::F32<Arch>(0.1f * static_cast<float>(c));
    constexpr std::uint16_t pairs[4] = {0x3F7E, 0x3F7E, 0x3A83, 0xBA83};  // 0.992 twice, 0.001 and -0.001
    auto a = Dot::broadcast(pairs), b = Dot::broadcast(pairs + 2);
    use(a);
    use(b);
    run_chains(sums, [=](const auto& sum) { return Dot::accumulate(a, b, sum); });
    return 2.0 * static_cast<double>(limit_steps * chains * kernels::F32<Arch>::size * Dot::step);
}

/// Sums numbers from memory with four streams.
inline void read_all(const float* x, std::size_t n) {
    constexpr std::size_t width = kernels::F32<Arch>::size;
    kernels::F32<Arch> sums[4] = {kernels::F32<Arch>(0.0f), kernels::F32<Arch>(0.0f), kernels::F32<Arch>(0.0f),
                                  kernels::F32<Arch>(0.0f)};
    for (std::size_t i = 0; i + 4 * width <= n; i += 4 * width)
        kernels::unroll<4>([&](auto c) { sums[c] += kernels::F32<Arch>::load_unaligned(x + i + c * width); });
    use(sums);
}

/// The best rate of `work`, which returns how much it did, in a few tries.
template <class Work>
double best_rate(const Work& work) {
    double best = 0.0;
    for (int i = 0; i < 5; ++i) {
        const auto start = std::chrono::steady_clock::now();
        const double amount = work();
        best = std::max(best, amount / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
}

/// f32 operations a second.
inline double f32_limit() {
    static const double limit = best_rate(fma_operations);
    return limit;
}
/// bf16 operations a second; 0 without a dot product.
inline double bf16_limit() {
    static const double limit = has_bf16_dot ? best_rate(bf16_operations) : 0.0;
    return limit;
}
/// int8 operations a second.
inline double i8_limit() {
    static const double limit = best_rate(dot_operations);
    return limit;
}
/// Bytes a second read from memory, 512 MiB of them.
inline double read_limit() {
    static const double limit = [] {
        const auto memory = ranklet::AlignedBuffer<float>::zeroed(std::size_t{1} << 27).value();
        return best_rate([&] {
            read_all(memory.data(), memory.size());
            return static_cast<double>(memory.size() * sizeof(float));
        });
    }();
    return limit;
}

}  // namespace ranklet_bench
