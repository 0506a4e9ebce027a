// Sums, maxima and dot products of a row, over 16 virtual lanes and one fixed tree.
// In: pointers and lengths. Out: one f32, the same bits on every instruction set with fused multiply-add.
#pragma once

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

inline constexpr auto sum_of = [](const auto& a, const auto& b) noexcept { return a + b; };
/// The larger one, `a` where b is NaN.
inline constexpr auto larger_of = [](const auto& a, const auto& b) noexcept { return xsimd::select(b > a, b, a); };

/// x[0] + ... + x[n - 1].
template <class Arch>
inline float sum(const float* x, std::size_t n) noexcept {
    auto total = Lanes<Arch>::broadcast(0.0f);
    for_each_lane_block(n, [&](std::size_t i, std::size_t count) RANKLET_INLINE {
        total = Lanes<Arch>::map(total, load_block<Arch>(x + i, count, 0.0f), sum_of);
    });
    return total.reduce(sum_of);
}

/// The largest of x[0] ... x[n - 1] (n >= 1); NaN elements are passed over, all NaN gives -infinity.
template <class Arch>
inline float max(const float* x, std::size_t n) noexcept {
    constexpr float lowest = -std::numeric_limits<float>::infinity();
    auto largest = Lanes<Arch>::broadcast(lowest);
    for_each_lane_block(n, [&](std::size_t i, std::size_t count) RANKLET_INLINE {
        largest = Lanes<Arch>::map(largest, load_block<Arch>(x + i, count, lowest), larger_of);
    });
    return largest.reduce(larger_of);
}

/// x . y
template <class Arch>
inline float dot(const float* x, const float* y, std::size_t n) noexcept {
    auto total = Lanes<Arch>::broadcast(0.0f);
    for_each_lane_block(n, [&](std::size_t i, std::size_t count) RANKLET_INLINE {
        total = Lanes<Arch>::map(load_block<Arch>(x + i, count, 0.0f), load_block<Arch>(y + i, count, 0.0f), total,
                                 [](auto a, auto b, auto c) { return fma<Arch>(a, b, c); });
    });
    return total.reduce(sum_of);
}

}  // namespace kernels
RANKLET_NAMESPACE_END
