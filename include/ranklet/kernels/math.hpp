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

// 2^n for whole n in [-126, 127] from n + 127 + 1.5 * 2^23: n + 127 moved to the exponent's place. The rounding
// constant's own bits fall off the end.
template <class Arch>
RANKLET_INLINE F32<Arch> scale_of(const F32<Arch>& shifted) noexcept {
    return from_bits<Arch>(shift_left<23, Arch>(bits_of<Arch>(shifted)));
}
template <class Arch>
RANKLET_INLINE F32<Arch> power_of_two(const F32<Arch>& n) noexcept {
    return scale_of<Arch>(n + F32<Arch>(12582912.0f + 127.0f));
}

}  // namespace detail

/// max(x, low) and min(x, high), NaN for NaN. `low` and `high` are not zero.
template <class Arch>
RANKLET_INLINE F32<Arch> at_least(const F32<Arch>& x, float low) noexcept {
    return larger<Arch>(F32<Arch>(low), x);
}
template <class Arch>
RANKLET_INLINE F32<Arch> at_most(const F32<Arch>& x, float high) noexcept {
    return smaller<Arch>(F32<Arch>(high), x);
}

/// 2^x for x <= 1, relative error at most 1.5e-7; 0 below -126.
template <class Arch>
RANKLET_INLINE F32<Arch> exp2_below(const F32<Arch>& x) noexcept {
    using V = F32<Arch>;
    const V magic(12582912.0f + 127.0f);
    const V bounded = at_least<Arch>(x, -126.0f);
    const V shifted = bounded + magic;
    const V f = bounded - (shifted - magic);
    V p(0.0001534581242594868f);
    p = fma<Arch>(p, f, V(0.0013399930903688073f));
    p = fma<Arch>(p, f, V(0.009618489071726799f));
    p = fma<Arch>(p, f, V(0.05550328642129898f));
    p = fma<Arch>(p, f, V(0.24022646248340607f));
    p = fma<Arch>(p, f, V(0.6931471824645996f));
    p = fma<Arch>(p, f, V(1.0f));
    return xsimd::select(x < V(-126.0f), V(0.0f), p * detail::scale_of<Arch>(shifted));
}

/// e^x: at most 1.1 ulp over the range where the result is normal; 0 below -87.3, infinity above 88.7.
template <class Arch>
RANKLET_INLINE F32<Arch> exp(const F32<Arch>& x) noexcept {
    using V = F32<Arch>;
    const V bounded = at_most<Arch>(at_least<Arch>(x, -87.3f), 88.8f);
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
    const V magnitude = at_most<Arch>(xsimd::abs(x), 10.0f);
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
    const V bounded = at_least<Arch>(-xsimd::abs(x), -87.3f);
    const auto parts = detail::exp_parts<Arch>(bounded);
    const V scale = detail::power_of_two<Arch>(parts.n);
    const V e = fma<Arch>(parts.p, scale, scale);
    const V tail = divide<Arch>(V(1.0f), V(1.0f) + e);
    return xsimd::select(x < V(0.0f), e * tail, tail);
}

/// max(x, 0), NaN for NaN.
template <class Arch>
RANKLET_INLINE F32<Arch> relu(const F32<Arch>& x) noexcept {
    using V = F32<Arch>;
    return xsimd::select(x < V(0.0f), V(0.0f), x);
}

/// x * Phi(x), Phi the normal distribution function (the erf GELU of Hendrycks & Gimpel 2016); absolute error at most
/// 1e-7 * max(1, |x|). With a = |x|: max(x, 0) - a Phi(-a), Phi(-a) = 2^R(a), R a polynomial on [0, 6]; 0 beyond.
template <class Arch>
RANKLET_INLINE F32<Arch> gelu(const F32<Arch>& x) noexcept {
    using V = F32<Arch>;
    const V magnitude = xsimd::abs(x);
    const V a = at_most<Arch>(magnitude, 6.0f);
    V r(-1.7058169987649308e-06f);
    r = fma<Arch>(r, a, V(2.5302306312369183e-05f));
    r = fma<Arch>(r, a, V(-0.00011573240044526756f));
    r = fma<Arch>(r, a, V(-0.00031945176306180656f));
    r = fma<Arch>(r, a, V(0.007326568942517042f));
    r = fma<Arch>(r, a, V(-0.052707307040691376f));
    r = fma<Arch>(r, a, V(-0.4591192901134491f));
    r = fma<Arch>(r, a, V(-1.1511222124099731f));
    r = fma<Arch>(r, a, V(-0.9999989867210388f));
    const V magic(12582912.0f + 127.0f);
    const V shifted = r + magic;
    const V f = r - (shifted - magic);
    V p(0.0013276472454890609f);
    p = fma<Arch>(p, f, V(0.009675541892647743f));
    p = fma<Arch>(p, f, V(0.05550713092088699f));
    p = fma<Arch>(p, f, V(0.24022120237350464f));
    p = fma<Arch>(p, f, V(0.6931469440460205f));
    p = fma<Arch>(p, f, V(1.0000001192092896f));
    const V tail = xsimd::select(magnitude < V(6.0f), p * detail::scale_of<Arch>(shifted), V(0.0f));
    return fma<Arch>(-a, tail, relu<Arch>(x));
}

/// x * sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)): the tanh form of GELU; absolute error at most 2e-7 * max(1, |x|).
template <class Arch>
RANKLET_INLINE F32<Arch> gelu_tanh(const F32<Arch>& x) noexcept {
    using V = F32<Arch>;
    const V bounded = at_most<Arch>(at_least<Arch>(x, -20.0f), 20.0f);
    const V u = bounded * fma<Arch>(bounded * bounded, V(0.0713548162726009f), V(1.5957691216057308f));
    return xsimd::select(x < V(-20.0f), V(0.0f), x * sigmoid<Arch>(u));
}

/// x * sigmoid(x); absolute error at most 2e-7 * max(1, |x|).
template <class Arch>
RANKLET_INLINE F32<Arch> silu(const F32<Arch>& x) noexcept {
    using V = F32<Arch>;
    return xsimd::select(x < V(-87.3f), V(0.0f), x * sigmoid<Arch>(x));
}

}  // namespace kernels
RANKLET_NAMESPACE_END
