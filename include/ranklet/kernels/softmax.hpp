// Softmax of a row with the maximum subtracted.
// In: n logits and a scale. Out: n weights that sum to one. Sums over 16 virtual lanes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/bundle.hpp"
#include "ranklet/kernels/elementwise.hpp"
#include "ranklet/kernels/reduce.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

namespace detail {

// x[i] = e^(scale * (x[i] - largest)), inverse = 1 / sum of the same, for Rows rows side by side.
template <class Arch, std::size_t Rows>
inline RANKLET_INLINE void exp_rows(float* x, std::size_t stride, std::size_t n, float scale,
                                    const float (&largest)[Rows], float* inverse) noexcept {
    using L = Lanes<Arch>;
    constexpr std::size_t vectors = L::count;
    constexpr float infinity = std::numeric_limits<float>::infinity();
    using Together = Bundle<F32<Arch>, Rows * vectors>;
    const Together factor(scale * 1.4426950408889634f);  // to powers of two
    Together top, total(0.0f);
    unroll<Rows * vectors>([&](auto i) RANKLET_INLINE { top.v[i] = F32<Arch>(largest[i / vectors]); });
    const auto row = [&](const Together& all, auto r) RANKLET_INLINE {
        L lanes;
        unroll<vectors>([&](auto v) RANKLET_INLINE { lanes.v[v] = all.v[r * vectors + v]; });
        return lanes;
    };
    for_each_lane_block(n, [&](std::size_t i, std::size_t count) RANKLET_INLINE {
        Together e;
        unroll<Rows>([&](auto r) RANKLET_INLINE {
            const L lanes = load_block<Arch>(x + r * stride + i, count, -infinity);
            unroll<vectors>([&](auto v) RANKLET_INLINE { e.v[r * vectors + v] = lanes.v[v]; });
        });
        e = exp2_below((e - top) * factor);
        total = total + e;
        unroll<Rows>([&](auto r) RANKLET_INLINE { store_block<Arch>(row(e, r), x + r * stride + i, count); });
    });
    unroll<Rows>([&](auto r) RANKLET_INLINE { inverse[r] = 1.0f / row(total, r).reduce(sum_of); });
}

// The same for one row with any maximum.
template <class Arch>
inline float exp_row(float* x, std::size_t n, float scale) noexcept {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    float largest[1] = {max<Arch>(x, n)}, inverse;
    if (largest[0] == infinity) {
        for (std::size_t i = 0; i < n; ++i) x[i] = x[i] == infinity ? 0.0f : -infinity;
        largest[0] = 0.0f;
    }
    exp_rows<Arch>(x, n, n, scale, largest, &inverse);
    return inverse;
}

}  // namespace detail

/// x[i] = exp(scale * (x[i] - max)) / sum of the same; scale > 0. A row whose maximum is not finite has no softmax:
/// it becomes uniform over the places of +infinity, or all NaN when every logit is NaN or -infinity.
template <class Arch>
inline void softmax(float* x, std::size_t n, float scale = 1.0f) noexcept {
    if (n > 0) kernels::scale<Arch>(detail::exp_row<Arch>(x, n, scale), x, n);
}

/// For each of `rows` rows of n >= 1: the softmax but for its division, x[i] = exp(scale * (x[i] - max)), and
/// inverse = 1 / sum of the same.
template <class Arch>
inline void softmax_numerators(std::size_t rows, float* x, std::size_t stride, std::size_t n, float scale,
                               float* inverse) noexcept {
    constexpr std::size_t together = std::max<std::size_t>(side_by_side<Arch> / Lanes<Arch>::count, 1);
    const std::size_t whole = together > 1 ? rows / together * together : 0;
    if constexpr (together > 1)
        for (std::size_t r = 0; r < whole; r += together) {
            float* group = x + r * stride;
            float largest[together];
            bool finite = true;
            unroll<together>([&](auto i) RANKLET_INLINE { largest[i] = max<Arch>(group + i * stride, n); });
            for (const float value : largest) finite = finite && value < std::numeric_limits<float>::infinity();
            if (finite)
                detail::exp_rows<Arch>(group, stride, n, scale, largest, inverse + r);
            else
                for (std::size_t i = 0; i < together; ++i)
                    inverse[r + i] = detail::exp_row<Arch>(group + i * stride, n, scale);
        }
    for (std::size_t r = whole; r < rows; ++r) inverse[r] = detail::exp_row<Arch>(x + r * stride, n, scale);
}

}  // namespace kernels
RANKLET_NAMESPACE_END
