// Powers and logarithms: close to the standard library's, and the same bits everywhere.
#include "ranklet/core/power.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>

using namespace ranklet::detail;

TEST_CASE("powers and logarithms are within 1e-15 of the standard library's") {
    std::mt19937_64 random(1);
    std::uniform_real_distribution<double> exponents(-300, 300), unit(0.5, 2);
    for (int i = 0; i < 200000; ++i) {
        const double x = exponents(random), y = std::exp2(x), near = unit(random), p = unit(random);
        REQUIRE(std::abs(portable_exp2(x) / y - 1) < 1e-15);
        REQUIRE(std::abs(portable_log2(y) - std::log2(y)) <= 1e-15 * std::abs(std::log2(y)));
        REQUIRE(std::abs(portable_log2(near) - std::log2(near)) <= 1e-15 * std::abs(std::log2(near)));
        REQUIRE(std::abs(portable_pow(y, -p) / std::pow(y, -p) - 1) < 1e-15 * (1 + std::abs(x * p)));
    }
    for (int n = -1000; n <= 1000; ++n) {
        REQUIRE(portable_exp2(n) == std::ldexp(1.0, n));
        REQUIRE(portable_log2(std::ldexp(1.0, n)) == n);
    }
    CHECK(portable_exp2(-5000) == 0);
    CHECK(std::isinf(portable_exp2(5000)));
    CHECK(portable_pow(3, 0) == 1);
}

TEST_CASE("powers have the same bits on every machine") {
    std::uint64_t hash = 0;
    for (int i = 1; i < 100000; ++i) {
        const double x = i / 1024.0 - 50, y = i * 0.375;  // exact
        const double values[]{portable_exp2(x), portable_log2(y), portable_pow(y, -0.8)};
        for (const double value : values) {
            std::uint64_t bits = 0;
            std::memcpy(&bits, &value, sizeof bits);
            hash = (hash ^ bits) * 0x100000001B3u;
        }
    }
    CHECK(hash == 10612122425157890174u);
}
