// One step of a bf16 dot product: a vector of f32 sums, each of which takes two products at once.
// In: pairs of bf16, side by side in 32 bits. Out: f32 sums. The matrix product (gemm_bf16.hpp) is made of it.
// The instruction is VDPBF16PS (Intel's Software Developer's Manual, volume 2; AVX512_BF16): the products of the upper
// halves, then those of the lower ones, each a fused multiply-add rounded to nearest even; denormals count as zero on
// the way in and become zero on the way out, whatever the caller's MXCSR says. A sum is denormal that is less than
// 2^-126 after rounding to 24 bits as if exponents had no end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "ranklet/core/config.hpp"
#include "ranklet/core/half.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/dot_i8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// Whether products with bf16 weights round their inputs to bf16, for the dot product's sake.
template <class Arch>
inline constexpr bool rounds_bf16 = uses_bf16_dot && F32<Arch>::size == 16;

/// What the instruction does, in f32 operations of any instruction set with fused multiply-add.
template <class Arch>
struct EmulatedDotBf16 {
    using Sum = F32<Arch>;
    using Pairs = typename detail::IntVector<F32<Arch>::size>::type;
    static constexpr std::size_t step = 2;  ///< products that a sum takes

    /// The pairs of as many sums as a vector has.
    static inline RANKLET_INLINE Pairs load(const std::uint16_t* values) noexcept {
        Pairs pairs;
        std::memcpy(&pairs, values, sizeof pairs);
        return pairs;
    }
    /// One pair, the same for every sum.
    static inline RANKLET_INLINE Pairs broadcast(const std::uint16_t* values) noexcept {
        std::int32_t pair;
        std::memcpy(&pair, values, sizeof pair);
        return Pairs{} + pair;
    }
    static inline RANKLET_INLINE Sum accumulate(const Pairs& a, const Pairs& b, const Sum& sum) noexcept {
        const Sum upper = add_product(upper_half(a), upper_half(b), flush(sum));
        return add_product(lower_half(a), lower_half(b), upper);
    }

private:
    static inline RANKLET_INLINE I32<Arch> bits(const Pairs& pairs) noexcept {
        return I32<Arch>((typename I32<Arch>::register_type)pairs);
    }
    static inline RANKLET_INLINE Sum upper_half(const Pairs& pairs) noexcept {
        return flush(from_bits<Arch>(bits(pairs) & I32<Arch>(static_cast<std::int32_t>(0xFFFF0000u))));
    }
    static inline RANKLET_INLINE Sum lower_half(const Pairs& pairs) noexcept {
        return flush(from_bits<Arch>(shift_left<16, Arch>(bits(pairs))));
    }
    static inline RANKLET_INLINE Sum add_product(const Sum& a, const Sum& b, const Sum& sum) noexcept {
        // The same result 2^32 times as large tells whether it is denormal: there all 24 bits are kept. Where that
        // overflows, it is not.
        const Sum scaled = fma<Arch>(a * Sum(0x1p32f), b, sum * Sum(0x1p32f));
        return zero_where(xsimd::abs(scaled) < Sum(0x1p-94f), fma<Arch>(a, b, sum));
    }
    // A denormal becomes zero of its sign.
    static inline RANKLET_INLINE Sum flush(const Sum& x) noexcept {
        return zero_where(xsimd::abs(x) < Sum(std::numeric_limits<float>::min()), x);
    }
    template <class Mask>
    static inline RANKLET_INLINE Sum zero_where(const Mask& where, const Sum& x) noexcept {
        const Sum zero = from_bits<Arch>(bits_of<Arch>(x) & I32<Arch>(std::numeric_limits<std::int32_t>::min()));
        return xsimd::select(where, zero, x);
    }
};

/// The instruction, where the translation unit may use it and RANKLET_EMULATE_BF16_DOT does not forbid it.
template <class Arch>
struct DotBf16 : EmulatedDotBf16<Arch> {
    using typename EmulatedDotBf16<Arch>::Sum;
    using typename EmulatedDotBf16<Arch>::Pairs;

    static inline RANKLET_INLINE Sum accumulate(const Pairs& a, const Pairs& b, const Sum& sum) noexcept {
#if defined(__AVX512BF16__) && !defined(RANKLET_EMULATE_BF16_DOT)
        if constexpr (F32<Arch>::size == 16) return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
#endif
        return EmulatedDotBf16<Arch>::accumulate(a, b, sum);
    }
};

/// y[i] = f32_to_bf16(x[i]). In integers: the processors' own conversion (VCVTNEPS2BF16) makes denormals zero.
template <class Arch>
inline void round_to_bf16(const float* x, std::size_t n, std::uint16_t* y) noexcept {
    constexpr std::size_t width = lane_count;
    typedef std::uint32_t Wide __attribute__((vector_size(64)));
    typedef std::uint16_t Narrow __attribute__((vector_size(32)));
    std::size_t i = 0;
    for (; i + width <= n; i += width) {
        Wide bits;
        std::memcpy(&bits, x + i, sizeof bits);
        const Wide rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16, quiet = bits >> 16 | 0x0040u;
        const Wide is_nan = (Wide)((bits & 0x7FFFFFFFu) > 0x7F800000u);
        const Narrow result = __builtin_convertvector((is_nan & quiet) | (~is_nan & rounded), Narrow);
        std::memcpy(y + i, &result, sizeof result);
    }
    for (; i < n; ++i) y[i] = f32_to_bf16(x[i]);
}

}  // namespace kernels
RANKLET_NAMESPACE_END
