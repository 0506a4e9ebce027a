// Layer normalisation of rows (Ba, Kiros & Hinton 2016), by the root of the mean square alone (Zhang & Sennrich 2019), and
// Euclidean normalisation.
// In: rows of n f32. Out: rows of n f32. Sums over 16 virtual lanes, variance in a second pass about the mean.
#pragma once

#include <cmath>
#include <cstddef>
#include <type_traits>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/elementwise.hpp"
#include "ranklet/kernels/reduce.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

namespace detail {

template <class Arch, std::size_t Rows>
inline RANKLET_INLINE void layer_norm_rows(const float* x, std::size_t x_stride, const float* weight, const float* bias,
                                           float epsilon, float* y, std::size_t y_stride, std::size_t n) noexcept {
    using L = Lanes<Arch>;
    const auto divisor = static_cast<float>(n);
    float mean[Rows];
    L sums[Rows];
    unroll<Rows>([&](auto r) RANKLET_INLINE { sums[r] = L::broadcast(0.0f); });
    for_each_lane_block(n, [&](std::size_t i, std::size_t count) RANKLET_INLINE {
        unroll<Rows>([&](auto r) RANKLET_INLINE {
            sums[r] = L::map(sums[r], load_block<Arch>(x + r * x_stride + i, count, 0.0f), sum_of);
        });
    });
    unroll<Rows>([&](auto r) RANKLET_INLINE {
        mean[r] = sums[r].reduce(sum_of) / divisor;
        sums[r] = L::broadcast(0.0f);
    });
    for_each_lane_block(n, [&](std::size_t i, std::size_t count) RANKLET_INLINE {
        unroll<Rows>([&](auto r) RANKLET_INLINE {
            // The end of a row is filled up with the mean: deviations of zero.
            const F32<Arch> center(mean[r]);
            sums[r] = L::map(load_block<Arch>(x + r * x_stride + i, count, mean[r]), sums[r], [&](auto v, auto s) {
                const auto d = v - center;
                return fma<Arch>(d, d, s);
            });
        });
    });
    float scale[Rows];
    unroll<Rows>([&](auto r)
                     RANKLET_INLINE { scale[r] = 1.0f / std::sqrt(sums[r].reduce(sum_of) / divisor + epsilon); });
    for_each_lane_block(n, [&](std::size_t i, std::size_t count) RANKLET_INLINE {
        const L w = load_block<Arch>(weight + i, count, 0.0f), b = load_block<Arch>(bias + i, count, 0.0f);
        unroll<Rows>([&](auto r) RANKLET_INLINE {
            const F32<Arch> center(mean[r]), inverse(scale[r]);
            const L result = L::map(
                load_block<Arch>(x + r * x_stride + i, count, 0.0f), w, b,
                [&](auto v, auto factor, auto shift) { return fma<Arch>((v - center) * inverse, factor, shift); });
            store_block<Arch>(result, y + r * y_stride + i, count);
        });
    });
}

}  // namespace detail

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias for each of `rows` rows of n, the variance with divisor n;
/// y may be x.
template <class Arch>
inline void layer_norm(std::size_t rows, const float* x, std::size_t x_stride, const float* weight, const float* bias,
                       float epsilon, float* y, std::size_t y_stride, std::size_t n) noexcept {
    // Running sums that do not wait for each other, as far as there are registers for them.
    constexpr std::size_t together =
#if defined(__aarch64__)
        4;
#else
        sizeof(F32<Arch>) > 16 ? 4 : 1;
#endif
    const std::size_t whole = rows / together * together;
    for (std::size_t r = 0; r < whole; r += together)
        detail::layer_norm_rows<Arch, together>(x + r * x_stride, x_stride, weight, bias, epsilon, y + r * y_stride,
                                                y_stride, n);
    for (std::size_t r = whole; r < rows; ++r)
        detail::layer_norm_rows<Arch, 1>(x + r * x_stride, x_stride, weight, bias, epsilon, y + r * y_stride, y_stride,
                                         n);
}

/// y = x / sqrt(mean of x^2 + epsilon) * weight for each of `rows` rows of n; y may be x.
template <class Arch>
inline void rms_norm(std::size_t rows, const float* x, std::size_t x_stride, const float* weight, float epsilon,
                     float* y, std::size_t y_stride, std::size_t n) noexcept {
    for (std::size_t r = 0; r < rows; ++r, x += x_stride, y += y_stride) {
        const float inverse = 1.0f / std::sqrt(dot<Arch>(x, x, n) / static_cast<float>(n) + epsilon);
        transform<Arch>(x, weight, y, n, [&](const auto& v, const auto& w) RANKLET_INLINE {
            return v * std::decay_t<decltype(v)>(inverse) * w;
        });
    }
}

/// x = x / max(||x||, 1e-12), as torch.nn.functional.normalize; a zero vector stays zero.
template <class Arch>
inline void normalize(float* x, std::size_t n) noexcept {
    const float norm = std::sqrt(dot<Arch>(x, x, n));
    const float divisor = norm > 1e-12f ? norm : 1e-12f;
    transform<Arch>(x, x, n, [&](const auto& v) { return divide(v, std::decay_t<decltype(v)>(divisor)); });
}

}  // namespace kernels
RANKLET_NAMESPACE_END
