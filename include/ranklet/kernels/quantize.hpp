// A row of f32 in 8 bits: symmetric, in [-127, 127], with one scale.
// In: a row of k values. Out: its quantised values, as an 8-bit dot product reads them (DotI8::Input), and the scale.
// Ties go to even; the same values on every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/dot_i8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// k in whole steps.
template <class Arch>
constexpr std::size_t i8_steps(std::size_t k) noexcept {
    return (k + DotI8<Arch>::step - 1) / DotI8<Arch>::step;
}
/// Elements of a quantised row of A with k values.
template <class Arch>
constexpr std::size_t i8_row_size(std::size_t k) noexcept {
    return i8_steps<Arch>(k) * DotI8<Arch>::step;
}
/// q[i] = round(x[i] * 127 / max|x|), ties to even; returns max|x| / 127. `q` has i8_row_size(k) elements. A NaN in x
/// gives NaN, so that the product's row is NaN as in f32.
template <class Arch>
inline float quantize_row(const float* x, std::size_t k, typename DotI8<Arch>::Input* q) noexcept {
    using Dot = DotI8<Arch>;
    // Magnitudes are ordered as their bits are; a NaN is above all.
    I32<Arch> largest[Lanes<Arch>::count];
    unroll<Lanes<Arch>::count>([&](auto v) RANKLET_INLINE { largest[v] = I32<Arch>(0); });
    for_each_lane_block(k, [&](std::size_t i, std::size_t count) RANKLET_INLINE {
        const auto lanes = load_block<Arch>(x + i, count, 0.0f);
        unroll<Lanes<Arch>::count>([&](auto v) RANKLET_INLINE {
            largest[v] = larger<Arch>(largest[v], bits_of<Arch>(xsimd::abs(lanes.v[v])));
        });
    });
    Lanes<Arch> bounds;
    unroll<Lanes<Arch>::count>([&](auto v) RANKLET_INLINE { bounds.v[v] = from_bits<Arch>(largest[v]); });
    const float bound = bounds.reduce(
        [](const auto& a, const auto& b) { return from_bits<Arch>(larger<Arch>(bits_of<Arch>(a), bits_of<Arch>(b))); });
    // A row that is all but zero becomes zero: 127 / bound would be infinite.
    // 1.5 * 2^23 rounds to an integer, whose last bits are those of the sum.
    const F32<Arch> inverse(bound < 1e-36f ? 0.0f : 127.0f / bound),
        magic(12582912.0f + static_cast<float>(Dot::offset));
    for_each_lane_block(k, [&](std::size_t i, std::size_t count) RANKLET_INLINE {
        const auto lanes = load_block<Arch>(x + i, count, 0.0f);
        std::int32_t rounded[lane_count];
        unroll<Lanes<Arch>::count>([&](auto v) RANKLET_INLINE {
            bits_of<Arch>(fma<Arch>(lanes.v[v], inverse, magic)).store_unaligned(rounded + v * F32<Arch>::size);
        });
        typename Dot::Input narrow[lane_count];
        for (std::size_t j = 0; j < lane_count; ++j) narrow[j] = static_cast<typename Dot::Input>(rounded[j]);
        std::memcpy(q + i, narrow, count * sizeof *q);
    });
    for (std::size_t i = k; i < i8_row_size<Arch>(k); ++i) q[i] = static_cast<typename Dot::Input>(Dot::offset);
    return bound / 127.0f;
}

}  // namespace kernels
RANKLET_NAMESPACE_END
