// Bundle: several vectors that go through a computation side by side.
// In and out: what one vector would be. While an instruction works on one of them, the same is begun for the others, so
// that a chain of instructions (a polynomial, a running sum) does not wait for each to end. Bits are those of one
// vector. mul_add, select, abs, divide, larger, smaller and scale_of are there for vectors and bundles alike: functions
// written with them (math.hpp) take either.
#pragma once

#include <cstddef>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

template <class V, std::size_t N>
struct Bundle {
    V v[N];

    Bundle() = default;
    explicit inline RANKLET_INLINE Bundle(float x) noexcept {
        unroll<N>([&](auto i) RANKLET_INLINE { v[i] = V(x); });
    }
};

/// Vectors that are worked on side by side: what the registers hold beside a polynomial's temporaries.
template <class Arch>
inline constexpr std::size_t side_by_side =
#if defined(__aarch64__)
    4;
#else
    F32<Arch>::size == 16 ? 4 : 2;
#endif

/// f of each vector.
template <class Function, std::size_t N, class V, class... Rest>
inline RANKLET_INLINE auto each(const Function& f, const Bundle<V, N>& first, const Bundle<Rest, N>&... rest) noexcept {
    Bundle<decltype(f(first.v[0], rest.v[0]...)), N> result;
    unroll<N>([&](auto i) RANKLET_INLINE { result.v[i] = f(first.v[i], rest.v[i]...); });
    return result;
}

template <class V, std::size_t N>
inline RANKLET_INLINE Bundle<V, N> operator+(const Bundle<V, N>& a, const Bundle<V, N>& b) noexcept {
    return each([](const V& x, const V& y) RANKLET_INLINE { return x + y; }, a, b);
}
template <class V, std::size_t N>
inline RANKLET_INLINE Bundle<V, N> operator-(const Bundle<V, N>& a, const Bundle<V, N>& b) noexcept {
    return each([](const V& x, const V& y) RANKLET_INLINE { return x - y; }, a, b);
}
template <class V, std::size_t N>
inline RANKLET_INLINE Bundle<V, N> operator*(const Bundle<V, N>& a, const Bundle<V, N>& b) noexcept {
    return each([](const V& x, const V& y) RANKLET_INLINE { return x * y; }, a, b);
}
template <class V, std::size_t N>
inline RANKLET_INLINE Bundle<V, N> operator-(const Bundle<V, N>& a) noexcept {
    return each([](const V& x) RANKLET_INLINE { return -x; }, a);
}
template <class V, std::size_t N>
inline RANKLET_INLINE auto operator<(const Bundle<V, N>& a, const Bundle<V, N>& b) noexcept {
    return each([](const V& x, const V& y) RANKLET_INLINE { return x < y; }, a, b);
}
template <class V, std::size_t N>
inline RANKLET_INLINE auto operator>(const Bundle<V, N>& a, const Bundle<V, N>& b) noexcept {
    return b < a;
}

/// mask ? a : b, magnitudes; of vectors xsimd has them.
template <class Mask, class V, std::size_t N>
inline RANKLET_INLINE Bundle<V, N> select(const Bundle<Mask, N>& mask, const Bundle<V, N>& a,
                                          const Bundle<V, N>& b) noexcept {
    return each([](const Mask& m, const V& x, const V& y) RANKLET_INLINE { return select(m, x, y); }, mask, a, b);
}
template <class V, std::size_t N>
inline RANKLET_INLINE Bundle<V, N> abs(const Bundle<V, N>& a) noexcept {
    return each([](const V& x) RANKLET_INLINE { return abs(x); }, a);
}

/// a * b + c, rounded once where the instruction set can.
template <class Arch>
inline RANKLET_INLINE F32<Arch> mul_add(const F32<Arch>& a, const F32<Arch>& b, const F32<Arch>& c) noexcept {
    return kernels::fma<Arch>(a, b, c);
}
template <class V, std::size_t N>
inline RANKLET_INLINE Bundle<V, N> mul_add(const Bundle<V, N>& a, const Bundle<V, N>& b,
                                           const Bundle<V, N>& c) noexcept {
    return each([](const V& x, const V& y, const V& z) RANKLET_INLINE { return mul_add(x, y, z); }, a, b, c);
}
template <class V, std::size_t N>
inline RANKLET_INLINE Bundle<V, N> divide(const Bundle<V, N>& a, const Bundle<V, N>& b) noexcept {
    return each([](const V& x, const V& y) RANKLET_INLINE { return divide(x, y); }, a, b);
}
template <class V, std::size_t N>
inline RANKLET_INLINE Bundle<V, N> larger(const Bundle<V, N>& a, const Bundle<V, N>& b) noexcept {
    return each([](const V& x, const V& y) RANKLET_INLINE { return larger(x, y); }, a, b);
}
template <class V, std::size_t N>
inline RANKLET_INLINE Bundle<V, N> smaller(const Bundle<V, N>& a, const Bundle<V, N>& b) noexcept {
    return each([](const V& x, const V& y) RANKLET_INLINE { return smaller(x, y); }, a, b);
}

/// 2^n for whole n in [-126, 127] from n + 127 + 1.5 * 2^23: n + 127 moved to the exponent's place. The rounding
/// constant's own bits fall off the end.
template <class Arch>
inline RANKLET_INLINE F32<Arch> scale_of(const F32<Arch>& shifted) noexcept {
    return from_bits<Arch>(shift_left<23, Arch>(bits_of<Arch>(shifted)));
}
template <class V, std::size_t N>
inline RANKLET_INLINE Bundle<V, N> scale_of(const Bundle<V, N>& shifted) noexcept {
    return each([](const V& x) RANKLET_INLINE { return scale_of(x); }, shifted);
}

/// A number in two parts: x = 2^exponent * mantissa, the mantissa in [sqrt(1/2), sqrt(2)). For normal x above 0.
template <class V>
struct PowerParts {
    V exponent, mantissa;
};
// The bits from those of sqrt(1/2) on count exponents; the exponent's field alone, as a number, is a multiple of 2^23.
template <class Arch>
inline RANKLET_INLINE PowerParts<F32<Arch>> split_power(const F32<Arch>& x) noexcept {
    constexpr std::int32_t one = 0x3F800000, root = 0x3F3504F3;
    const I32<Arch> bits = bits_of<Arch>(x);
    const I32<Arch> field = (bits + I32<Arch>(one - root)) & I32<Arch>(0x7F800000);
    const F32<Arch> exponent = fma<Arch>(to_float<Arch>(field), F32<Arch>(1.0f / (1 << 23)), F32<Arch>(-127.0f));
    return {exponent, from_bits<Arch>(bits - (field - I32<Arch>(one)))};
}
template <class V, std::size_t N>
inline RANKLET_INLINE PowerParts<Bundle<V, N>> split_power(const Bundle<V, N>& x) noexcept {
    PowerParts<Bundle<V, N>> parts;
    unroll<N>([&](auto i) RANKLET_INLINE {
        const auto [exponent, mantissa] = split_power(x.v[i]);
        parts.exponent.v[i] = exponent;
        parts.mantissa.v[i] = mantissa;
    });
    return parts;
}

/// A place in rows: N vectors from element `first` on.
template <class Arch, std::size_t N>
struct BundlePlace {
    static constexpr std::size_t width = F32<Arch>::size;
    std::size_t first;

    inline RANKLET_INLINE Bundle<F32<Arch>, N> load(const float* x) const noexcept {
        Bundle<F32<Arch>, N> bundle;
        unroll<N>([&](auto i) RANKLET_INLINE { bundle.v[i] = F32<Arch>::load_unaligned(x + first + i * width); });
        return bundle;
    }
    inline RANKLET_INLINE void store(const Bundle<F32<Arch>, N>& bundle, float* x) const noexcept {
        unroll<N>([&](auto i) RANKLET_INLINE { bundle.v[i].store_unaligned(x + first + i * width); });
    }
};
/// The end of rows: `count` elements, fewer than a vector, which is filled up with zeros.
template <class Arch>
struct EndPlace {
    static constexpr std::size_t width = F32<Arch>::size;
    std::size_t first, count;

    inline RANKLET_INLINE Bundle<F32<Arch>, 1> load(const float* x) const noexcept {
        Bundle<F32<Arch>, 1> bundle;
        float padded[width] = {};
        for (std::size_t i = 0; i < count; ++i) padded[i] = x[first + i];
        bundle.v[0] = F32<Arch>::load_unaligned(padded);
        return bundle;
    }
    inline RANKLET_INLINE void store(const Bundle<F32<Arch>, 1>& bundle, float* x) const noexcept {
        float padded[width];
        bundle.v[0].store_unaligned(padded);
        for (std::size_t i = 0; i < count; ++i) x[first + i] = padded[i];
    }
};

/// body(place) for all places of rows of n, which load and store bundles: each element by itself, in no order.
template <class Arch, class Body>
inline RANKLET_INLINE void for_each_bundle(std::size_t n, const Body& body) noexcept {
    constexpr std::size_t width = F32<Arch>::size, step = side_by_side<Arch> * width;
    const std::size_t bundles = n / step * step, vectors = n / width * width;
    for (std::size_t i = 0; i < bundles; i += step) body(BundlePlace<Arch, side_by_side<Arch>>{i});
    for (std::size_t i = bundles; i < vectors; i += width) body(BundlePlace<Arch, 1>{i});
    if (vectors < n) body(EndPlace<Arch>{vectors, n - vectors});
}

}  // namespace kernels
RANKLET_NAMESPACE_END
