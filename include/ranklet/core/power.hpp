// Powers and logarithms in double precision, the same bits on every machine.
// In: doubles. Out: 2^x, log2(x), x^p; relative errors below 1e-15 (of x^p: times the result's own logarithm).
// Formulas: 2^f = sum (f ln 2)^n / n! on [-1/2, 1/2]; log2 m = 2 / ln 2 artanh((m - 1) / (m + 1)) as a series around 1. The
// steps that a compiler could contract are written as std::fma, so that none is left to choose.
#pragma once

#include <cmath>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// 2^(x factor); infinity or 0 where that is no double. Precondition: |x factor| < 2^30.
inline double portable_exp2(double x, double factor = 1) noexcept {
    constexpr double coefficients[] = {6.778726354822545e-14,  1.3691488853904128e-12, 2.5678435993488206e-11,
                                       4.4455382718708116e-10, 7.054911620801123e-09,  1.01780860092397e-07,
                                       1.321548679014431e-06,  1.5252733804059841e-05, 0.0001540353039338161,
                                       0.0013333558146428443,  0.009618129107628477,   0.05550410866482158,
                                       0.24022650695910072,    0.6931471805599453,     1.0};
    const double whole = std::floor(std::fma(x, factor, 0.5)), f = std::fma(x, factor, -whole);
    double sum = 0;
    for (const double c : coefficients) sum = std::fma(sum, f, c);
    return std::ldexp(sum, static_cast<int>(whole));
}

/// log2(x). Precondition: x is finite and above 0.
inline double portable_log2(double x) noexcept {
    constexpr double coefficients[] = {0.12545174268599682, 0.1373995277037108,  0.15186263588304877,
                                       0.16972882833987804, 0.19235933878519512, 0.22195308321368667,
                                       0.2623081892525388,  0.3205988979753252,  0.4121985831111324,
                                       0.5770780163555853,  0.9617966939259756,  2.8853900817779268};
    int exponent = 0;
    double m = std::frexp(x, &exponent);  // [1/2, 1)
    if (m < 0.70710678118654752) m += m, --exponent;
    const double s = (m - 1) / (m + 1), square = s * s;
    double sum = 0;
    for (const double c : coefficients) sum = std::fma(sum, square, c);
    return std::fma(s, sum, exponent);
}

/// x^p. Precondition: x is finite and above 0, the result a double.
inline double portable_pow(double x, double p) noexcept { return portable_exp2(portable_log2(x), p); }

}  // namespace detail
RANKLET_NAMESPACE_END
