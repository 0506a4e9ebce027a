// Cosine and sine in double precision, the same bits on every machine.
// In: an angle. Out: both, absolute errors below 1e-15 for |angle| < 2^20.
// The angle less the nearest multiple of pi / 2, which is taken off in two parts (Cody & Waite), and Taylor's series on
// [-pi / 4, pi / 4]. The steps that a compiler could contract are written as std::fma, so that none is left to choose.
#pragma once

#include <cmath>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

struct Turn {
    double cos, sin;
};

inline Turn turn(double angle) noexcept {
    constexpr double sines[] = {-7.647163731819816e-13, 1.6059043836821613e-10, -2.505210838544172e-08,
                                2.7557319223985893e-06, -0.0001984126984126984, 0.008333333333333333,
                                -0.16666666666666666};
    constexpr double cosines[] = {
        4.779477332387385e-14, -1.1470745597729725e-11, 2.08767569878681e-09, -2.755731922398589e-07,
        2.48015873015873e-05,  -0.001388888888888889,   0.041666666666666664, -0.5};
    const double quarter = std::floor(std::fma(angle, 0.6366197723675814, 0.5));
    double r = std::fma(-quarter, 1.5707963267948966, angle);
    r = std::fma(-quarter, 6.123233995736766e-17, r);
    const double square = r * r;
    double s = 0, c = 0;
    for (const double k : sines) s = std::fma(s, square, k);
    for (const double k : cosines) c = std::fma(c, square, k);
    s = std::fma(s, square * r, r);
    c = std::fma(c, square, 1.0);
    switch (static_cast<int>(quarter - 4 * std::floor(quarter / 4))) {
        case 0:
            return {c, s};
        case 1:
            return {-s, c};
        case 2:
            return {-c, -s};
        default:
            return {s, -c};
    }
}

}  // namespace detail
RANKLET_NAMESPACE_END
