// Layer normalisation of rows (Ba, Kiros & Hinton 2016) and Euclidean normalisation.
// In: rows of n f32. Out: rows of n f32. Sums over 16 virtual lanes, variance in a second pass about the mean.
#pragma once

#include <cmath>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/elementwise.hpp"
#include "ranklet/kernels/reduce.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias, the variance with divisor n; y may be x.
template <class Arch>
inline void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, float* y,
                       std::size_t n) noexcept {
    using L = Lanes<Arch>;
    const float mean = sum<Arch>(x, n) / static_cast<float>(n);
    const F32<Arch> center(mean);
    auto squares = L::broadcast(0.0f);
    for_each_lane_block(
        n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
            // The end of a row is filled up with the mean: deviations of zero.
            squares = L::map(load_block<Arch>(x + i, count, mean), squares, [&](auto v, auto s) {
                const auto d = v - center;
                return fma<Arch>(d, d, s);
            });
        });
    const float variance = squares.reduce(sum_of) / static_cast<float>(n);
    const F32<Arch> inverse(1.0f / std::sqrt(variance + epsilon));
    for_each_lane_block(
        n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
            const auto result = L::map(load_block<Arch>(x + i, count, 0.0f), load_block<Arch>(weight + i, count, 0.0f),
                                       load_block<Arch>(bias + i, count, 0.0f),
                                       [&](auto v, auto w, auto b) { return fma<Arch>((v - center) * inverse, w, b); });
            store_block<Arch>(result, y + i, count);
        });
}

/// x = x / max(||x||, 1e-12), as torch.nn.functional.normalize; a zero vector stays zero.
template <class Arch>
inline void normalize(float* x, std::size_t n) noexcept {
    const float norm = std::sqrt(dot<Arch>(x, x, n));
    const F32<Arch> divisor(norm > 1e-12f ? norm : 1e-12f);
    transform<Arch>(x, x, n, [&](auto v) { return divide<Arch>(v, divisor); });
}

}  // namespace kernels
RANKLET_NAMESPACE_END
