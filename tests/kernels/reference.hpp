// What the kernels are compared with: plain loops in double precision, and scalar code in the kernels' own order.
// In: numbers. Out: what a kernel should say, and how far it is off.
// The scalar code has a kernel's very bits where the processor has fused multiply-add: see has_fma.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <span>
#include <vector>

#include "ranklet/core/buffer.hpp"
#include "ranklet/kernels/arch.hpp"

namespace ranklet_test {

using Arch = ranklet::kernels::default_arch;

#if defined(__FMA__) || defined(__aarch64__)
inline constexpr bool has_fma = true;
#else
inline constexpr bool has_fma = false;
#endif

inline constexpr float infinity = std::numeric_limits<float>::infinity();
inline constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

/// A seeded stream of numbers, the same on every machine (SplitMix64).
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(next() % n); }
    float between(float low, float high) { return low + (high - low) * (static_cast<float>(next() >> 40) * 0x1p-24f); }
    std::vector<float> row(std::size_t n, float low = -1.0f, float high = 1.0f) {
        std::vector<float> values(n);
        for (float& v : values) v = between(low, high);
        return values;
    }

private:
    std::uint64_t state_;
};

inline std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }

inline bool same_bits(std::span<const float> a, std::span<const float> b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (bits(a[i]) != bits(b[i])) return false;
    return true;
}

/// |found - expected| in units of the last place of the f32 nearest to `expected`.
inline double ulps(float found, double expected) {
    if (std::isnan(expected)) return std::isnan(found) ? 0.0 : HUGE_VAL;
    const auto nearest = static_cast<float>(expected);
    if (std::isinf(nearest)) return found == nearest ? 0.0 : HUGE_VAL;
    if (!std::isfinite(found)) return HUGE_VAL;
    const float magnitude = std::abs(nearest);
    // The gap below: at a power of two the one above is twice as wide.
    const double unit = magnitude == 0.0f
                            ? 0x1p-149
                            : static_cast<double>(magnitude) - static_cast<double>(std::nextafterf(magnitude, 0.0f));
    return std::abs(static_cast<double>(found) - expected) / unit;
}

/// Sixteen lanes to one: i and i + 8, then 4, 2, 1.
template <class Function>
float reduce_lanes(std::array<float, 16> lanes, const Function& f) {
    for (std::size_t half = 8; half > 0; half /= 2)
        for (std::size_t i = 0; i < half; ++i) lanes[i] = f(lanes[i], lanes[i + half]);
    return lanes[0];
}
inline float lane_sum(std::span<const float> x) {
    std::array<float, 16> lanes{};
    for (std::size_t i = 0; i < x.size(); ++i) lanes[i % 16] += x[i];
    return reduce_lanes(lanes, [](float a, float b) { return a + b; });
}
inline float lane_dot(std::span<const float> x, std::span<const float> y) {
    std::array<float, 16> lanes{};
    for (std::size_t i = 0; i < x.size(); ++i) lanes[i % 16] = std::fma(x[i], y[i], lanes[i % 16]);
    return reduce_lanes(lanes, [](float a, float b) { return a + b; });
}
inline float lane_max(std::span<const float> x) {
    std::array<float, 16> lanes;
    lanes.fill(-infinity);
    const auto larger = [](float a, float b) { return b > a ? b : a; };
    for (std::size_t i = 0; i < x.size(); ++i) lanes[i % 16] = larger(lanes[i % 16], x[i]);
    return reduce_lanes(lanes, larger);
}

/// One output of a matrix product: blocks of 128 values of k added in order, each a chain of fused multiply-adds.
inline float fma_chain(const float* a, const float* w, std::size_t k, std::size_t w_step = 1) {
    float total = 0.0f;
    for (std::size_t first = 0; first < k; first += 128) {
        float block = 0.0f;
        for (std::size_t i = first; i < k && i < first + 128; ++i) block = std::fma(a[i], w[i * w_step], block);
        total = first == 0 ? block : total + block;
    }
    return total;
}

}  // namespace ranklet_test
