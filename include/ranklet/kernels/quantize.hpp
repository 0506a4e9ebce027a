// A row of f32 in 8 bits, in [-127, 127], with one scale: symmetric, or with a zero point, which spends all steps on the
// row's own range.
// In: a row of k values. Out: its quantised values, as an 8-bit dot product reads them (DotI8::Input), and the scale.
// Ties go to even; the same values on every instruction set.
#pragma once

#include <cmath>
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
namespace detail {
/// The last bits of each number. (g++ 12 takes AVX-512's vectors apart for that, number by number, unless told how.)
template <class Arch>
inline RANKLET_INLINE void narrow(const I32<Arch>& numbers, typename DotI8<Arch>::Input* q) noexcept {
    using Dot = DotI8<Arch>;
#if defined(__AVX512F__)
    if constexpr (Dot::width == 16 && sizeof *q == 1) {
        const __m128i bytes = _mm512_maskz_cvtepi32_epi8(__mmask16(0xFFFF), numbers);
        std::memcpy(q, &bytes, sizeof bytes);
        return;
    } else if constexpr (Dot::width == 16) {
        const __m256i halves = _mm512_maskz_cvtepi32_epi16(__mmask16(0xFFFF), numbers);
        std::memcpy(q, &halves, sizeof halves);
        return;
    }
#endif
    const auto inputs =
        __builtin_convertvector((typename Dot::Sum)(typename I32<Arch>::register_type)numbers, typename Dot::Inputs);
    std::memcpy(q, &inputs, sizeof inputs);
}

/// q[i] = x[i] * inverse - zero to the nearest integer, which must lie in [-127, 127]; zeros to the row's end.
template <class Arch, class Load>
inline RANKLET_INLINE void round_row(std::size_t k, const Load& load, float inverse, float zero,
                                     typename DotI8<Arch>::Input* q) noexcept {
    using Dot = DotI8<Arch>;
    // 1.5 * 2^23 rounds to an integer, whose last bits are those of the sum.
    const F32<Arch> factor(inverse), magic(12582912.0f + static_cast<float>(Dot::offset) - zero);
    for_each_lane_block(k, [&](std::size_t i, std::size_t count) RANKLET_INLINE {
        const auto lanes = load(i, count);
        typename Dot::Input narrow[lane_count];
        unroll<Lanes<Arch>::count>([&](auto v) RANKLET_INLINE {
            detail::narrow<Arch>(bits_of<Arch>(fma<Arch>(lanes.v[v], factor, magic)), narrow + v * Dot::width);
        });
        std::memcpy(q + i, narrow, count * sizeof *q);
    });
    for (std::size_t i = k; i < i8_row_size<Arch>(k); ++i) q[i] = static_cast<typename Dot::Input>(Dot::offset);
}
}  // namespace detail

/// q[i] = round(x[i] * 127 / max|x|), ties to even; returns max|x| / 127. `q` has i8_row_size(k) elements. A NaN in x
/// gives NaN, so that the product's row is NaN as in f32.
template <class Arch>
inline float quantize_row(const float* x, std::size_t k, typename DotI8<Arch>::Input* q) noexcept {
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
    detail::round_row<Arch>(
        k, [&](std::size_t i, std::size_t count) RANKLET_INLINE { return load_block<Arch>(x + i, count, 0.0f); },
        bound < 1e-36f ? 0.0f : 127.0f / bound, 0.0f, q);
    return bound / 127.0f;
}

/// What stands for a row's quantised values: value i is scale * q[i] + middle.
struct RowMap {
    float scale, middle;
};

/// The row x[i] * factor[i] (factor null: x itself) with a zero point: its range, zero included, in 253 steps, of which
/// one is zero itself. q[i] is the value in steps, less the step in the range's middle, in [-127, 127]. `q` has
/// i8_row_size(k) elements. A NaN gives NaN, as above.
template <class Arch>
inline RowMap quantize_row_with_zero(const float* x, std::size_t k, const float* factor,
                                     typename DotI8<Arch>::Input* q) noexcept {
    const auto load = [&](std::size_t i, std::size_t count) RANKLET_INLINE {
        auto lanes = load_block<Arch>(x + i, count, 0.0f);
        if (factor != nullptr) {
            const auto factors = load_block<Arch>(factor + i, count, 0.0f);
            unroll<Lanes<Arch>::count>([&](auto v) RANKLET_INLINE { lanes.v[v] = lanes.v[v] * factors.v[v]; });
        }
        return lanes;
    };
    // As signed numbers the bits of what is above zero are the largest, in order; as unsigned ones those of what is below
    // zero, by magnitude. A NaN is beyond its side's end.
    I32<Arch> above[Lanes<Arch>::count], below[Lanes<Arch>::count];
    unroll<Lanes<Arch>::count>([&](auto v) RANKLET_INLINE { above[v] = below[v] = I32<Arch>(0); });
    for_each_lane_block(k, [&](std::size_t i, std::size_t count) RANKLET_INLINE {
        const auto lanes = load(i, count);
        unroll<Lanes<Arch>::count>([&](auto v) RANKLET_INLINE {
            const auto bits = bits_of<Arch>(lanes.v[v]);
            above[v] = larger<Arch>(above[v], bits);
            below[v] = larger_unsigned<Arch>(below[v], bits);
        });
    });
    Lanes<Arch> ends;
    unroll<Lanes<Arch>::count>([&](auto v) RANKLET_INLINE { ends.v[v] = from_bits<Arch>(above[v]); });
    const float high = ends.reduce(
        [](const auto& a, const auto& b) { return from_bits<Arch>(larger<Arch>(bits_of<Arch>(a), bits_of<Arch>(b))); });
    unroll<Lanes<Arch>::count>([&](auto v) RANKLET_INLINE { ends.v[v] = from_bits<Arch>(below[v]); });
    const float end = ends.reduce([](const auto& a, const auto& b) {
        return from_bits<Arch>(larger_unsigned<Arch>(bits_of<Arch>(a), bits_of<Arch>(b)));
    });
    const float low = end > 0.0f ? 0.0f : end;  // nothing is below zero: the largest of what is above
    constexpr float steps = 253.0f;             // 254 could round to 128
    const float range = high - low, inverse = range < 1e-36f ? 0.0f : steps / range;
    const float zero = std::nearbyint(0.5f * (high + low) * inverse), scale = range / steps;
    detail::round_row<Arch>(k, load, inverse, zero, q);
    return {scale, scale * zero};
}

}  // namespace kernels
RANKLET_NAMESPACE_END
