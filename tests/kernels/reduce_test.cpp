// Sums, maxima and dot products against scalar code with the same sixteen lanes, and against double precision.
#include "ranklet/kernels/reduce.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "kernels/reference.hpp"

namespace {

using namespace ranklet_test;
namespace kernels = ranklet::kernels;

}  // namespace

TEST_CASE("sum, max and dot have the bits of sixteen scalar lanes and a fixed tree, at every length") {
    Random random(1);
    for (std::size_t n = 0; n <= 300; ++n) {
        const std::vector<float> x = random.row(n, -2.0f, 3.0f), y = random.row(n);
        CAPTURE(n);
        REQUIRE(bits(kernels::sum<Arch>(x.data(), n)) == bits(lane_sum(x)));
        REQUIRE(bits(kernels::max<Arch>(x.data(), n)) == bits(lane_max(x)));
        if (has_fma) REQUIRE(bits(kernels::dot<Arch>(x.data(), y.data(), n)) == bits(lane_dot(x, y)));
        double sum = 0.0, dot = 0.0;
        for (std::size_t i = 0; i < n; ++i) {
            sum += static_cast<double>(x[i]);
            dot += static_cast<double>(x[i]) * static_cast<double>(y[i]);
        }
        REQUIRE(std::abs(static_cast<double>(kernels::sum<Arch>(x.data(), n)) - sum) <= 1e-4);
        REQUIRE(std::abs(static_cast<double>(kernels::dot<Arch>(x.data(), y.data(), n)) - dot) <= 1e-4);
    }
}

TEST_CASE("nothing beyond a row's end is part of its sum") {
    for (std::size_t n = 0; n < 40; ++n) {
        std::vector<float> x(n + 32, quiet_nan), y(n + 32, quiet_nan);
        for (std::size_t i = 0; i < n; ++i) x[i] = 1.0f, y[i] = 2.0f;
        CHECK(kernels::sum<Arch>(x.data(), n) == static_cast<float>(n));
        CHECK(kernels::dot<Arch>(x.data(), y.data(), n) == static_cast<float>(2 * n));
        CHECK(kernels::max<Arch>(x.data(), n) == (n == 0 ? -infinity : 1.0f));
    }
}

TEST_CASE("max finds the largest in every place, passes over NaN, and is -infinity when there is nothing else") {
    for (const std::size_t n : {1u, 2u, 15u, 16u, 17u, 33u})
        for (std::size_t place = 0; place < n; ++place) {
            std::vector<float> x(n, -5.0f);
            x[place] = -1.0f;
            CHECK(kernels::max<Arch>(x.data(), n) == -1.0f);
            x[place] = quiet_nan;
            CHECK(kernels::max<Arch>(x.data(), n) == (n == 1 ? -infinity : -5.0f));
            x[place] = infinity;
            CHECK(kernels::max<Arch>(x.data(), n) == infinity);
        }
    const std::vector<float> nothing(20, quiet_nan);
    CHECK(kernels::max<Arch>(nothing.data(), nothing.size()) == -infinity);
}
