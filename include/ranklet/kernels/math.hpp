// exp, log, tanh, sigmoid, GELU and their kin on vectors: our own polynomials, one order of operations everywhere.
// In: vectors of f32, or bundles of vectors. Out: the same, NaN for NaN. (xsimd has functions of these names: calls
// name the namespace.) Error bounds are stated at each function and tested.
// Coefficients are near-minimax fits made by cmake/generators/fit_math.py.
#pragma once

#include <limits>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/bundle.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

namespace detail {

// x = n ln 2 + r with |r| <= ln(2) / 2: e^x = 2^n (1 + r + r^2 q(r)).
template <class V>
struct ExpParts {
    V n;  // a whole number
    V p;  // e^r - 1
};

template <class V>
inline RANKLET_INLINE ExpParts<V> exp_parts(const V& x) noexcept {
    const V magic(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer, kept in the low bits
    const V shifted = mul_add(x, V(1.4426950408889634f), magic);
    const V n = shifted - magic;
    V r = mul_add(n, V(-0.693145751953125f), x);  // ln 2 in two parts, the first with few bits: exact
    r = mul_add(n, V(-1.428606765330187e-6f), r);
    V q(0.001381461275741458f);
    q = mul_add(q, r, V(0.008368710055947304f));
    q = mul_add(q, r, V(0.04166838899254799f));
    q = mul_add(q, r, V(0.1666652113199234f));
    q = mul_add(q, r, V(0.4999999403953552f));
    return {n, mul_add(q, r * r, r)};
}

// 2^n for whole n in [-126, 127].
template <class V>
inline RANKLET_INLINE V power_of_two(const V& n) noexcept {
    return scale_of(n + V(12582912.0f + 127.0f));
}

}  // namespace detail

/// max(x, low) and min(x, high), NaN for NaN. `low` and `high` are not zero.
template <class V>
inline RANKLET_INLINE V at_least(const V& x, float low) noexcept {
    return larger(V(low), x);
}
template <class V>
inline RANKLET_INLINE V at_most(const V& x, float high) noexcept {
    return smaller(V(high), x);
}

/// 2^x for x <= 1, relative error at most 1.5e-7; 0 below -126.
template <class V>
inline RANKLET_INLINE V exp2_below(const V& x) noexcept {
    const V magic(12582912.0f + 127.0f);
    const V bounded = at_least(x, -126.0f);
    const V shifted = bounded + magic;
    const V f = bounded - (shifted - magic);
    V p(0.0001534581242594868f);
    p = mul_add(p, f, V(0.0013399930903688073f));
    p = mul_add(p, f, V(0.009618489071726799f));
    p = mul_add(p, f, V(0.05550328642129898f));
    p = mul_add(p, f, V(0.24022646248340607f));
    p = mul_add(p, f, V(0.6931471824645996f));
    p = mul_add(p, f, V(1.0f));
    return select(x < V(-126.0f), V(0.0f), p * scale_of(shifted));
}

/// e^x: at most 1.1 ulp from -87.3 on; 0 below, infinity above 88.7.
template <class V>
inline RANKLET_INLINE V exp(const V& x) noexcept {
    const V bounded = at_most(at_least(x, -87.3f), 88.8f);
    const auto parts = detail::exp_parts(bounded);
    // In two factors, because 2^128 is no float although e^88.7 is.
    const auto huge = parts.n > V(127.0f);
    const V scale = detail::power_of_two(select(huge, V(127.0f), parts.n));
    const V result = mul_add(parts.p, scale, scale) * select(huge, V(2.0f), V(1.0f));
    const V low = select(x < V(-87.3f), V(0.0f), result);
    return select(x > V(88.72284f), V(std::numeric_limits<float>::infinity()), low);
}

/// ln(x) of normal x above 0: absolute error at most 1e-7 * max(1, |ln x|). Anything else gives no number of meaning.
/// x = 2^e m with m in [sqrt(1/2), sqrt(2)), f = m - 1: e ln 2 + f + f^2 p(f).
template <class V>
inline RANKLET_INLINE V log(const V& x) noexcept {
    const auto [e, m] = split_power(x);
    const V f = m - V(1.0f);
    V p(-0.07607679814100266f);
    p = mul_add(p, f, V(0.13058258593082428f));
    p = mul_add(p, f, V(-0.13332735002040863f));
    p = mul_add(p, f, V(0.14160236716270447f));
    p = mul_add(p, f, V(-0.1659347414970398f));
    p = mul_add(p, f, V(0.20002788305282593f));
    p = mul_add(p, f, V(-0.25002428889274597f));
    p = mul_add(p, f, V(0.33333319425582886f));
    p = mul_add(p, f, V(-0.4999997615814209f));
    const V rest = mul_add(f * f, p, mul_add(e, V(1.428606765330187e-6f), f));
    return mul_add(e, V(0.693145751953125f), rest);
}

/// tanh(x) = (e^2|x| - 1) / (e^2|x| + 1) with x's sign; at most 3 ulp.
template <class V>
inline RANKLET_INLINE V tanh(const V& x) noexcept {
    const V magnitude = at_most(abs(x), 10.0f);
    const auto parts = detail::exp_parts(magnitude + magnitude);
    const V scale = detail::power_of_two(parts.n);
    const V expm1 = mul_add(parts.p, scale, scale - V(1.0f));
    const V result = divide(expm1, expm1 + V(2.0f));
    return select(x < V(0.0f), -result, result);
}

/// 1 / (1 + e^-x), from e^-|x| so that nothing overflows; at most 3 ulp down to -87.3, a constant 1.2e-38 below.
template <class V>
inline RANKLET_INLINE V sigmoid(const V& x) noexcept {
    const V bounded = at_least(-abs(x), -87.3f);
    const auto parts = detail::exp_parts(bounded);
    const V scale = detail::power_of_two(parts.n);
    const V e = mul_add(parts.p, scale, scale);
    const V tail = divide(V(1.0f), V(1.0f) + e);
    return select(x < V(0.0f), e * tail, tail);
}

/// max(x, 0), NaN for NaN.
template <class V>
inline RANKLET_INLINE V relu(const V& x) noexcept {
    return select(x < V(0.0f), V(0.0f), x);
}

/// x * Phi(x), Phi the normal distribution function (the erf GELU of Hendrycks & Gimpel 2016); absolute error at most
/// 1e-7 * max(1, |x|). With a = |x|: max(x, 0) - a Phi(-a), Phi(-a) = 2^R(a), R a polynomial on [0, 6]; 0 beyond.
template <class V>
inline RANKLET_INLINE V gelu(const V& x) noexcept {
    const V magnitude = abs(x);
    const V a = at_most(magnitude, 6.0f);
    V r(-1.7058169987649308e-06f);
    r = mul_add(r, a, V(2.5302306312369183e-05f));
    r = mul_add(r, a, V(-0.00011573240044526756f));
    r = mul_add(r, a, V(-0.00031945176306180656f));
    r = mul_add(r, a, V(0.007326568942517042f));
    r = mul_add(r, a, V(-0.052707307040691376f));
    r = mul_add(r, a, V(-0.4591192901134491f));
    r = mul_add(r, a, V(-1.1511222124099731f));
    r = mul_add(r, a, V(-0.9999989867210388f));
    const V magic(12582912.0f + 127.0f);
    const V shifted = r + magic;
    const V f = r - (shifted - magic);
    V p(0.0013276472454890609f);
    p = mul_add(p, f, V(0.009675541892647743f));
    p = mul_add(p, f, V(0.05550713092088699f));
    p = mul_add(p, f, V(0.24022120237350464f));
    p = mul_add(p, f, V(0.6931469440460205f));
    p = mul_add(p, f, V(1.0000001192092896f));
    const V tail = select(magnitude < V(6.0f), p * scale_of(shifted), V(0.0f));
    return mul_add(-a, tail, relu(x));
}

/// x * sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)): the tanh form of GELU; absolute error at most 2e-7 * max(1, |x|).
template <class V>
inline RANKLET_INLINE V gelu_tanh(const V& x) noexcept {
    const V bounded = at_most(at_least(x, -20.0f), 20.0f);
    const V u = bounded * mul_add(bounded * bounded, V(0.0713548162726009f), V(1.5957691216057308f));
    return select(x < V(-20.0f), V(0.0f), x * sigmoid(u));
}

/// x * sigmoid(x); absolute error at most 2e-7 * max(1, |x|).
template <class V>
inline RANKLET_INLINE V silu(const V& x) noexcept {
    return select(x < V(-87.3f), V(0.0f), x * sigmoid(x));
}

}  // namespace kernels
RANKLET_NAMESPACE_END
