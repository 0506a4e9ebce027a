// One step of an 8-bit dot product: a vector of int32 sums, each of which takes 4 or 2 products at once.
// In: signed 8-bit weights or rows, and activations or users as the instruction set wants them. Out: exact int32 sums,
// the same on every machine. The matrix product (gemm_i8.hpp) and the catalog scan (scan_i8.hpp) are made of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
inline constexpr bool has_vnni_16 = true;  // vectors of 16 sums
#else
inline constexpr bool has_vnni_16 = false;
#endif
#if (defined(__AVX512VNNI__) && defined(__AVX512VL__)) || defined(__AVXVNNI__)
inline constexpr bool has_vnni_8 = true;
#else
inline constexpr bool has_vnni_8 = false;
#endif

namespace detail {
// A vector of int32 by its element type: g++ 12 keeps arrays of the untyped __m512i in memory.
template <std::size_t Width>
struct IntVector;
template <>
struct IntVector<4> {
    typedef std::int32_t type __attribute__((vector_size(16), may_alias));
    typedef float f32 __attribute__((vector_size(16)));
};
template <>
struct IntVector<8> {
    typedef std::int32_t type __attribute__((vector_size(32), may_alias));
    typedef float f32 __attribute__((vector_size(32)));
};
template <>
struct IntVector<16> {
    typedef std::int32_t type __attribute__((vector_size(64), may_alias));
    typedef float f32 __attribute__((vector_size(64)));
};
}  // namespace detail

// What one step multiplies and how its inputs are stored differs by instruction set; the sums do not.
//   AVX-512 VNNI, AVX-VNNI: 4 values, inputs + 128 as u8 (the instruction wants one unsigned side: whoever sums takes
//     128 * the sum of the weights out again);  NEON dot product: 4 values, s8
//   others: 2 values, inputs as s16: widening multiply and pairwise add, which cannot saturate
template <class Arch>
struct DotI8 {
    static constexpr std::size_t width = F32<Arch>::size;  ///< sums
    using Sum = typename detail::IntVector<width>::type;
#if defined(__ARM_FEATURE_DOTPROD)
    static constexpr std::size_t step = 4;  ///< products that a sum takes
    using Input = std::int8_t;
    static constexpr std::int32_t offset = 0;  ///< what is added to an input
#else
    static constexpr bool vnni = width == 16 ? has_vnni_16 : width == 8 && has_vnni_8;
    static constexpr std::size_t step = vnni ? 4 : 2;
    using Input = std::conditional_t<vnni, std::uint8_t, std::int16_t>;
    static constexpr std::int32_t offset = vnni ? 128 : 0;
#endif
    typedef Input Inputs __attribute__((vector_size(width * sizeof(Input))));  ///< one for each sum
    static constexpr std::size_t values = width * step;                        ///< weights of one step

    /// `values` inputs.
    static inline RANKLET_INLINE Sum load(const Input* inputs) noexcept {
        Sum bits;
        static_assert(values * sizeof(Input) == sizeof bits);
        std::memcpy(&bits, inputs, sizeof bits);
        return bits;
    }
    /// Each sum as the nearest f32.
    static inline RANKLET_INLINE F32<Arch> to_f32(const Sum& sum) noexcept {
        return (typename F32<Arch>::register_type) __builtin_convertvector(sum, typename detail::IntVector<width>::f32);
    }
    /// The weights of one step. Precondition: step == 4.
    static inline RANKLET_INLINE Sum load_weights(const std::int8_t* weights) noexcept {
        Sum bits;
        static_assert(values == sizeof bits);
        std::memcpy(&bits, weights, sizeof bits);
        return bits;
    }
    /// `step` inputs, the same for every sum.
    static inline RANKLET_INLINE Sum broadcast(std::int32_t inputs) noexcept { return Sum{} + inputs; }

    /// sum[j] + the products of inputs and weights [j * step, (j + 1) * step) of two vectors. Precondition: step == 4.
    static inline RANKLET_INLINE Sum multiply_add([[maybe_unused]] const Sum& inputs,
                                                  [[maybe_unused]] const Sum& weights, const Sum& sum) noexcept {
        static_assert(step == 4);
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
        if constexpr (width == 16) return (Sum)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)inputs, (__m512i)weights);
#endif
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
        if constexpr (width == 8) return (Sum)_mm256_dpbusd_epi32((__m256i)sum, (__m256i)inputs, (__m256i)weights);
#elif defined(__AVXVNNI__)
        if constexpr (width == 8) return (Sum)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)inputs, (__m256i)weights);
#endif
#if defined(__ARM_NEON) && defined(__ARM_FEATURE_DOTPROD)
        return (Sum)vdotq_s32((int32x4_t)sum, vreinterpretq_s8_s32((int32x4_t)weights),
                              vreinterpretq_s8_s32((int32x4_t)inputs));
#endif
        return sum;
    }
    /// The same with weights in memory, for every step.
    static inline RANKLET_INLINE Sum accumulate(const Sum& inputs, const std::int8_t* weights,
                                                const Sum& sum) noexcept {
        if constexpr (step == 4) return multiply_add(inputs, load_weights(weights), sum);
#if defined(__AVX512F__) && defined(__AVX512BW__)
        if constexpr (width == 16) {
            const __m512i wide = _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights)));
            return sum + (Sum)_mm512_madd_epi16((__m512i)inputs, wide);
        }
#endif
#if defined(__AVX2__)
        if constexpr (width == 8) {
            const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(weights)));
            return sum + (Sum)_mm256_madd_epi16((__m256i)inputs, wide);
        }
#endif
#if defined(__SSE2__)
        if constexpr (width == 4) {
            const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(weights));
            const __m128i wide = _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);  // sign-extends
            return sum + (Sum)_mm_madd_epi16((__m128i)inputs, wide);
        }
#elif defined(__aarch64__)
        const int16x8_t wide = vmovl_s8(vld1_s8(weights)), both = vreinterpretq_s16_s32((int32x4_t)inputs);
        const int32x4_t low = vmull_s16(vget_low_s16(both), vget_low_s16(wide));
        const int32x4_t high = vmull_high_s16(both, wide);
        return sum + (Sum)vpaddq_s32(low, high);
#endif
        Input each[values];
        std::memcpy(each, &inputs, sizeof each);
        Sum result = sum;
        for (std::size_t i = 0; i < values; ++i) result[i / step] += each[i] * weights[i];
        return result;
    }
};

}  // namespace kernels
RANKLET_NAMESPACE_END
