// Rotary positions (Su et al. 2021): pairs of a head's elements are turned by an angle of the position.
// In: a head's row, and the cosines and sines of its position. Out: the row, turned. Element i goes with element i + half, as
// Hugging Face's models have it.
#pragma once

#include <cstddef>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/bundle.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// (x[i], x[i + half]) = (x[i] cos[i] - x[i + half] sin[i], x[i + half] cos[i] + x[i] sin[i]) for i < half; each product is
/// rounded, and then the sum.
template <class Arch>
inline void rotate(float* x, const float* cos, const float* sin, std::size_t half) noexcept {
    float* y = x + half;
    for_each_bundle<Arch>(half, [&](const auto& at) RANKLET_INLINE {
        const auto a = at.load(x), b = at.load(y), c = at.load(cos), s = at.load(sin);
        at.store(mul_add(a, c, -(b * s)), x);
        at.store(mul_add(b, c, a * s), y);
    });
}

}  // namespace kernels
RANKLET_NAMESPACE_END
