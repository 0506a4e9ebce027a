// exp, expm1, tanh, sigmoid, GELU and their kin on vectors: our own polynomials, one order of operations everywhere.
// In: vectors of f32. Out: vectors of f32, NaN for NaN. Error bounds are stated at each function and tested.
// Coefficients are near-minimax fits made by weights_converter/tools/fit_math.py.
#pragma once

#include <limits>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

namespace detail {

// x = n ln 2 + r with |r| <= ln(2) / 2: e^x = 2^n (1 + r + r^2 q(r)).
template <class Arch>
struct ExpParts {
    F32<Arch> n;  // a whole number
    F32<Arch> p;  // e^r - 1
};

template <class Arch>
RANKLET_INLINE ExpParts<Arch> exp_parts(const F32<Arch>& x) noexcept {
    using V = F32<Arch>;
    const V magic(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer, kept in the low bits
    const V shifted = fma<Arch>(x, V(1.4426950408889634f), magic);
    const V n = shifted - magic;
    V r = fma<Arch>(n, V(-0.693145751953125f), x);  // ln 2 in two parts, the first with few bits: exact
    r = fma<Arch>(n, V(-1.428606765330187e-6f), r);
    V q(0.0013950489228591323f);
    q = fma<Arch>(q, r, V(0.008368889801204205f));
    q = fma<Arch>(q, r, V(0.04166620597243309f));
    q = fma<Arch>(q, r, V(0.166665181517601f));
    q = fma<Arch>(q, r, V(0.5f));
    return {n, fma<Arch>(q, r * r, r)};
}

// 2^n for whole n in [-126, 127]: n + 127 moved to the exponent's place. The rounding constant's own low bits are zero
// there, so they fall off the end.
template <class Arch>
RANKLET_INLINE F32<Arch> power_of_two(const F32<Arch>& n) noexcept {
    const F32<Arch> shifted = n + F32<Arch>(12582912.0f + 127.0f);
    return from_bits<Arch>(shift_left<23, Arch>(bits_of<Arch>(shifted)));
}

}  // namespace detail

/// max(x, low) and min(x, high) with NaN passed on, which the instruction sets do differently.
template <class Arch>
RANKLET_INLINE F32<Arch> clamp(const F32<Arch>& x, float low, float high) noexcept {
    using V = F32<Arch>;
    const V raised = xsimd::select(x < V(low), V(low), x);
    return xsimd::select(raised > V(high), V(high), raised);
}

/// e^x: at most 1.1 ulp over the range where the result is normal; 0 below -87.3, infinity above 88.7.
template <class Arch>
RANKLET_INLINE F32<Arch> exp(const F32<Arch>& x) noexcept {
    using V = F32<Arch>;
    const V bounded = clamp<Arch>(x, -87.3f, 88.8f);
    const auto parts = detail::exp_parts<Arch>(bounded);
    // In two factors, because 2^128 is no float although e^88.7 is.
    const auto huge = parts.n > V(127.0f);
    const V scale = detail::power_of_two<Arch>(xsimd::select(huge, V(127.0f), parts.n));
    const V result = fma<Arch>(parts.p, scale, scale) * xsimd::select(huge, V(2.0f), V(1.0f));
    const V low = xsimd::select(x < V(-87.3f), V(0.0f), result);
    return xsimd::select(x > V(88.72284f), V(std::numeric_limits<float>::infinity()), low);
}

/// tanh(x) = (e^2|x| - 1) / (e^2|x| + 1) with x's sign; at most 3 ulp.
template <class Arch>
RANKLET_INLINE F32<Arch> tanh(const F32<Arch>& x) noexcept {
    using V = F32<Arch>;
    const V magnitude = clamp<Arch>(xsimd::abs(x), 0.0f, 10.0f);
    const auto parts = detail::exp_parts<Arch>(magnitude + magnitude);
    const V scale = detail::power_of_two<Arch>(parts.n);
    const V expm1 = fma<Arch>(parts.p, scale, scale - V(1.0f));
    const V result = divide<Arch>(expm1, expm1 + V(2.0f));
    return xsimd::select(x < V(0.0f), -result, result);
}

/// 1 / (1 + e^-x), from e^-|x| so that nothing overflows; at most 3 ulp down to -87.3, a constant 1.2e-38 below.
template <class Arch>
RANKLET_INLINE F32<Arch> sigmoid(const F32<Arch>& x) noexcept {
    using V = F32<Arch>;
    const V bounded = clamp<Arch>(-xsimd::abs(x), -87.3f, 0.0f);
    const auto parts = detail::exp_parts<Arch>(bounded);
    const V scale = detail::power_of_two<Arch>(parts.n);
    const V e = fma<Arch>(parts.p, scale, scale);
    const V tail = divide<Arch>(V(1.0f), V(1.0f) + e);
    return xsimd::select(x < V(0.0f), e * tail, tail);
}

/// x * Phi(x), Phi the normal distribution function (the erf GELU of Hendrycks & Gimpel 2016); absolute error at most
/// 1e-7 * max(1, |x|). With a = |x|: Phi(-a) = exp(R(a) - a^2 / 2), R a polynomial on [0, 6], and 0 beyond.
template <class Arch>
RANKLET_INLINE F32<Arch> gelu(const F32<Arch>& x) noexcept {
    using V = F32<Arch>;
    const V a = clamp<Arch>(xsimd::abs(x), 0.0f, 6.0f);
    V r(1.230111763561581e-07f);
    r = fma<Arch>(r, a, V(-2.974905328301247e-06f));
    r = fma<Arch>(r, a, V(2.8517984901554883e-05f));
    r = fma<Arch>(r, a, V(-0.00011744249059120193f));
    r = fma<Arch>(r, a, V(-0.00014438699872698635f));
    r = fma<Arch>(r, a, V(0.0049780006520450115f));
    r = fma<Arch>(r, a, V(-0.03645298629999161f));
    r = fma<Arch>(r, a, V(0.18172518908977509f));
    r = fma<Arch>(r, a, V(-0.7978885769844055f));
    r = fma<Arch>(r, a, V(-0.6931471228599548f));
    const auto parts = detail::exp_parts<Arch>(fma<Arch>(a * V(-0.5f), a, r));
    const V scale = detail::power_of_two<Arch>(parts.n);
    const V tail = xsimd::select(xsimd::abs(x) > V(6.0f), V(0.0f), fma<Arch>(parts.p, scale, scale));
    // Infinity times a zero tail would be NaN: far out, the answer is x or 0.
    const V negative = xsimd::select(xsimd::abs(x) > V(6.0f), V(0.0f), x * tail);
    return xsimd::select(x > V(0.0f), x - negative, negative);
}

/// x * sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)): the tanh form of GELU; absolute error at most 2e-7 * max(1, |x|).
template <class Arch>
RANKLET_INLINE F32<Arch> gelu_tanh(const F32<Arch>& x) noexcept {
    using V = F32<Arch>;
    const V bounded = clamp<Arch>(x, -20.0f, 20.0f);
    const V u = bounded * fma<Arch>(bounded * bounded, V(0.0713548162726009f), V(1.5957691216057308f));
    return xsimd::select(x < V(-20.0f), V(0.0f), x * sigmoid<Arch>(u));
}

/// x * sigmoid(x); absolute error at most 2e-7 * max(1, |x|).
template <class Arch>
RANKLET_INLINE F32<Arch> silu(const F32<Arch>& x) noexcept {
    using V = F32<Arch>;
    return xsimd::select(x < V(-87.3f), V(0.0f), x * sigmoid<Arch>(x));
}

/// max(x, 0), NaN for NaN.
template <class Arch>
RANKLET_INLINE F32<Arch> relu(const F32<Arch>& x) noexcept {
    using V = F32<Arch>;
    return xsimd::select(x < V(0.0f), V(0.0f), x);
}

}  // namespace kernels
RANKLET_NAMESPACE_END
