// What every kernel shares: the instruction set's vector type, and 16 virtual lanes for sums.
// In: pointers and sizes. Out: vectors of xsimd. Only this folder knows SIMD.
// A product feeds a sum through kernels::fma alone, so that no compiler is left to choose a rounding: the same bits on
// every machine that has fused multiply-add ("Sums have one order" in docs/decisions.md).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "ranklet/core/config.hpp"

#if !RANKLET_HAS_KERNELS
#error "ranklet's kernels need SSE2 or NEON: compile for x86-64 or aarch64 with them (the text folder needs neither)"
#include RANKLET_STOP
#endif

// clang-format off: the order matters
#include "ranklet/core/macros_aside.hpp"
#include <xsimd/xsimd.hpp>
#include "ranklet/core/macros_back.hpp"
// clang-format on

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// The instruction set that the including translation unit was compiled for.
using default_arch = xsimd::default_arch;

template <class Arch>
using F32 = xsimd::batch<float, Arch>;
template <class Arch>
using I32 = xsimd::batch<std::int32_t, Arch>;

namespace detail {
// Objects that are called, not functions that make the sequence and call others: half as many functions to inline.
template <class Indices>
struct Unroll;
template <std::size_t... Index>
struct Unroll<std::index_sequence<Index...>> {
    template <class Function>
    inline RANKLET_INLINE void operator()(const Function& f) const {
        (f(Index), ...);
    }
};
template <class Indices>
struct UnrollTyped;
template <std::size_t... Index>
struct UnrollTyped<std::index_sequence<Index...>> {
    template <class Function>
    inline RANKLET_INLINE void operator()(const Function& f) const {
        (f(std::integral_constant<std::size_t, Index>{}), ...);
    }
};
}  // namespace detail

/// f(0) ... f(N - 1), unrolled at every optimisation level: arrays of vectors indexed by what are constants then live in
/// registers. (Numbers, not types: a body of its own for each index would be most of what a kernel costs to compile.)
template <std::size_t N>
inline constexpr detail::Unroll<std::make_index_sequence<N>> unroll{};
/// The same with a type for each index, for the innermost loop of the matrix product: g++ 12 finds better addresses.
template <std::size_t N>
inline constexpr detail::UnrollTyped<std::make_index_sequence<N>> unroll_typed{};

/// The vector itself, in a register: g++ 12 makes a load an operand of each of its uses, and then a loop waits for
/// loads.
template <class Register>
inline RANKLET_INLINE Register kept(Register x) noexcept {
#if defined(__x86_64__)
    asm("" : "+v"(x));
#elif defined(__aarch64__)
    asm("" : "+w"(x));
#endif
    return x;
}

/// A place in memory as a number: what is asked for beforehand may lie beyond an array's end, and no pointer may.
template <class T>
inline RANKLET_INLINE std::uintptr_t address_of(const T* x) noexcept {
    return reinterpret_cast<std::uintptr_t>(x);
}
/// Asks for the cache line at an address that will be read soon, if it is anybody's.
inline RANKLET_INLINE void prefetch(std::uintptr_t address) noexcept {
    __builtin_prefetch(reinterpret_cast<const void*>(address));
}

/// a * b + c, rounded once where the instruction set can. xsimd 8 has no such instruction for AVX-512 and leaves the
/// fusing to the compiler's mood, which would make results depend on it.
template <class Arch>
inline RANKLET_INLINE F32<Arch> fma(const F32<Arch>& a, const F32<Arch>& b, const F32<Arch>& c) noexcept {
#if defined(__AVX512F__)
    if constexpr (std::is_base_of_v<xsimd::avx512f, Arch>) return _mm512_fmadd_ps(a, b, c);
#endif
    return xsimd::fma(a, b, c);
}

/// a / b, rounded once. xsimd 8 multiplies by an approximate reciprocal on NEON, though AArch64 can divide.
template <class Arch>
inline RANKLET_INLINE F32<Arch> divide(const F32<Arch>& a, const F32<Arch>& b) noexcept {
#if defined(__aarch64__)
    if constexpr (std::is_base_of_v<xsimd::neon64, Arch>) return vdivq_f32(a, b);
#endif
    return a / b;
}

// xsimd 8 names the target vector type in bitwise_cast, later releases its element type.
template <class Arch>
inline RANKLET_INLINE I32<Arch> bits_of(const F32<Arch>& x) noexcept {
    if constexpr (requires {
                      { xsimd::bitwise_cast<I32<Arch>>(x) } -> std::same_as<I32<Arch>>;
                  })
        return xsimd::bitwise_cast<I32<Arch>>(x);
    else
        return xsimd::bitwise_cast<std::int32_t>(x);
}
template <class Arch>
inline RANKLET_INLINE F32<Arch> from_bits(const I32<Arch>& x) noexcept {
    if constexpr (requires {
                      { xsimd::bitwise_cast<F32<Arch>>(x) } -> std::same_as<F32<Arch>>;
                  })
        return xsimd::bitwise_cast<F32<Arch>>(x);
    else
        return xsimd::bitwise_cast<float>(x);
}

/// Whole numbers as floats. (The masked form of the instruction on AVX-512: g++ 12 warns falsely of the other.)
template <class Arch>
inline RANKLET_INLINE F32<Arch> to_float(const I32<Arch>& x) noexcept {
#if defined(__AVX512F__)
    if constexpr (I32<Arch>::size == 16) return _mm512_maskz_cvtepi32_ps(__mmask16(0xFFFF), x);
#endif
    return xsimd::to_float(x);
}

/// x << Bits. As a product on AVX-512, which compiles to the same shift: g++ 12 warns falsely inside its own header of
/// the shift intrinsic.
template <int Bits, class Arch>
inline RANKLET_INLINE I32<Arch> shift_left(const I32<Arch>& x) noexcept {
    if constexpr (I32<Arch>::size == 16)
        return x * I32<Arch>(std::int32_t{1} << Bits);
    else
        return x << Bits;
}

/// The second operand where one is NaN on x86, NaN on NEON; of two zeros whose signs differ each gives what it likes.
/// (On AVX-512 the masked form of the instruction: g++ 12 warns falsely inside its own header of the other.)
template <class Arch>
inline RANKLET_INLINE F32<Arch> larger(const F32<Arch>& a, const F32<Arch>& b) noexcept {
#if defined(__AVX512F__)
    if constexpr (F32<Arch>::size == 16) return _mm512_maskz_max_ps(__mmask16(0xFFFF), a, b);
#endif
    return xsimd::max(a, b);
}
template <class Arch>
inline RANKLET_INLINE F32<Arch> smaller(const F32<Arch>& a, const F32<Arch>& b) noexcept {
#if defined(__AVX512F__)
    if constexpr (F32<Arch>::size == 16) return _mm512_maskz_min_ps(__mmask16(0xFFFF), a, b);
#endif
    return xsimd::min(a, b);
}
template <class Arch>
inline RANKLET_INLINE I32<Arch> larger(const I32<Arch>& a, const I32<Arch>& b) noexcept {
#if defined(__AVX512F__)
    if constexpr (I32<Arch>::size == 16) return _mm512_maskz_max_epi32(__mmask16(0xFFFF), a, b);
#endif
    return xsimd::max(a, b);
}
/// The same of the bits as unsigned numbers.
template <class Arch>
inline RANKLET_INLINE I32<Arch> larger_unsigned(const I32<Arch>& a, const I32<Arch>& b) noexcept {
#if defined(__AVX512F__)
    if constexpr (I32<Arch>::size == 16) return _mm512_maskz_max_epu32(__mmask16(0xFFFF), a, b);
#endif
    const I32<Arch> top(
        std::numeric_limits<std::int32_t>::min());  // turned, unsigned numbers are ordered as signed ones
    return larger<Arch>(a ^ top, b ^ top) ^ top;
}

/// Sixteen running values, one a virtual lane: element i of a row belongs to lane i % 16 on every instruction set.
inline constexpr std::size_t lane_count = 16;

template <class Arch>
struct Lanes {
    using Vector = F32<Arch>;
    static constexpr std::size_t width = Vector::size;
    static constexpr std::size_t count = lane_count / width;
    static_assert(width <= lane_count && lane_count % width == 0);

    Vector v[count];

    static inline RANKLET_INLINE Lanes broadcast(float x) noexcept {
        Lanes lanes;
        unroll<count>([&](auto i) RANKLET_INLINE { lanes.v[i] = Vector(x); });
        return lanes;
    }
    /// 16 values from memory.
    static inline RANKLET_INLINE Lanes load(const float* x) noexcept {
        Lanes lanes;
        unroll<count>([&](auto i) RANKLET_INLINE { lanes.v[i] = Vector::load_unaligned(x + i * width); });
        return lanes;
    }
    /// The first `n` < 16 values from memory, the rest `fill`.
    static inline RANKLET_INLINE Lanes load_partial(const float* x, std::size_t n, float fill) noexcept {
#if defined(__AVX512F__)
        if constexpr (width == 16) return {_mm512_mask_loadu_ps(_mm512_set1_ps(fill), first(n), x)};
#endif
        float padded[lane_count];
        for (std::size_t i = 0; i < lane_count; ++i) padded[i] = i < n ? x[i] : fill;
        return load(padded);
    }
    inline RANKLET_INLINE void store(float* x) const noexcept {
        unroll<count>([&](auto i) RANKLET_INLINE { v[i].store_unaligned(x + i * width); });
    }
    inline RANKLET_INLINE void store_partial(float* x, std::size_t n) const noexcept {
#if defined(__AVX512F__)
        if constexpr (width == 16) return _mm512_mask_storeu_ps(x, first(n), v[0]);
#endif
        float padded[lane_count];
        store(padded);
        for (std::size_t i = 0; i < n; ++i) x[i] = padded[i];
    }
    /// Lane by lane: result[i] = f(a[i]).
    template <class Function>
    static inline RANKLET_INLINE Lanes map(const Lanes& a, const Function& f) noexcept {
        Lanes result;
        unroll<count>([&](auto i) RANKLET_INLINE { result.v[i] = f(a.v[i]); });
        return result;
    }
    template <class Function>
    static inline RANKLET_INLINE Lanes map(const Lanes& a, const Lanes& b, const Function& f) noexcept {
        Lanes result;
        unroll<count>([&](auto i) RANKLET_INLINE { result.v[i] = f(a.v[i], b.v[i]); });
        return result;
    }
    template <class Function>
    static inline RANKLET_INLINE Lanes map(const Lanes& a, const Lanes& b, const Lanes& c, const Function& f) noexcept {
        Lanes result;
        unroll<count>([&](auto i) RANKLET_INLINE { result.v[i] = f(a.v[i], b.v[i], c.v[i]); });
        return result;
    }
    /// One value from sixteen by a fixed tree: lanes i and i + 8, then i and i + 4, i + 2, i + 1.
    /// `f` is of two vectors.
    template <class Function>
    inline RANKLET_INLINE float reduce(const Function& f) const noexcept {
        if constexpr (count == 4)
            return fold(f(f(v[0], v[2]), f(v[1], v[3])), f);
        else if constexpr (count == 2)
            return fold(f(v[0], v[1]), f);
        else
            return fold(v[0], f);
    }

private:
    template <std::size_t Half = width / 2, class Function>
    static inline RANKLET_INLINE float fold(const Vector& x, const Function& f) noexcept {
        const typename Vector::register_type lanes = x;
        if constexpr (Half == 0)
            return lanes[0];
        else
            return fold<Half / 2>(f(x, Vector(upper<Half>(lanes, std::make_index_sequence<width>{}))), f);
    }
    // Element i + Half in element i; what stands beyond Half is not used.
    template <std::size_t Half, class Register, std::size_t... Index>
    static inline RANKLET_INLINE Register upper(const Register& x, std::index_sequence<Index...>) noexcept {
        return __builtin_shufflevector(x, x, static_cast<int>(Index % Half + Half)...);
    }
#if defined(__AVX512F__)
    static inline RANKLET_INLINE __mmask16 first(std::size_t n) noexcept {
        return static_cast<__mmask16>((1u << n) - 1u);
    }
#endif
};

/// Walks a row in steps of 16: body(offset, 16) for whole steps, body(offset, rest) for the end.
template <class Body>
inline RANKLET_INLINE void for_each_lane_block(std::size_t n, const Body& body) noexcept {
    std::size_t i = 0;
    for (; i + lane_count <= n; i += lane_count) body(i, lane_count);
    if (i < n) body(i, n - i);
}
template <class Arch>
inline RANKLET_INLINE Lanes<Arch> load_block(const float* x, std::size_t n, float fill) noexcept {
    return n == lane_count ? Lanes<Arch>::load(x) : Lanes<Arch>::load_partial(x, n, fill);
}
template <class Arch>
inline RANKLET_INLINE void store_block(const Lanes<Arch>& lanes, float* x, std::size_t n) noexcept {
    if (n == lane_count)
        lanes.store(x);
    else
        lanes.store_partial(x, n);
}

}  // namespace kernels
RANKLET_NAMESPACE_END
