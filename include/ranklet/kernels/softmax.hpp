// Softmax of a row with the maximum subtracted.
// In: n logits and a scale. Out: n weights that sum to one. Sums over 16 virtual lanes.
#pragma once

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/elementwise.hpp"
#include "ranklet/kernels/reduce.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// x[i] = exp(scale * (x[i] - max)) / sum of the same; scale > 0. A row whose maximum is not finite has no softmax:
/// it becomes uniform over the places of +infinity, or all NaN when every logit is NaN or -infinity.
template <class Arch>
inline void softmax(float* x, std::size_t n, float scale = 1.0f) noexcept {
    using L = Lanes<Arch>;
    constexpr float infinity = std::numeric_limits<float>::infinity();
    if (n == 0) return;
    const float largest = max<Arch>(x, n);
    if (largest == infinity)
        transform<Arch>(x, x, n, [](auto v) {
            using V = F32<Arch>;
            return xsimd::select(v == V(std::numeric_limits<float>::infinity()), V(0.0f),
                                 V(-std::numeric_limits<float>::infinity()));
        });
    using V = F32<Arch>;
    const V top(largest == infinity ? 0.0f : largest), factor(scale * 1.4426950408889634f);
    auto total = L::broadcast(0.0f);
    for_each_lane_block(
        n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
            const auto e = L::map(
                load_block<Arch>(x + i, count, -infinity), [&](const V& v) __attribute__((always_inline)) {
                    return exp2_below<Arch>((v - top) * factor);
                });
            total = L::map(total, e, sum_of);
            store_block<Arch>(e, x + i, count);
        });
    kernels::scale<Arch>(1.0f / total.reduce(sum_of), x, n);
}

}  // namespace kernels
RANKLET_NAMESPACE_END
