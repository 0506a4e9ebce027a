// Layer norm and Euclidean normalisation against double precision.
#include "ranklet/kernels/layer_norm.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "kernels/reference.hpp"

namespace {

using namespace ranklet_test;
namespace kernels = ranklet::kernels;

}  // namespace

TEST_CASE("layer norm agrees with double precision at every size, also far from zero, and in place") {
    Random random(1);
    for (std::size_t n = 1; n <= 200; ++n)
        for (const float center : {0.0f, 100.0f, -3.0f}) {
            const std::vector<float> x = random.row(n, center - 1.0f, center + 1.0f),
                                     weight = random.row(n, 0.5f, 2.0f), bias = random.row(n);
            std::vector<float> y(n);
            kernels::layer_norm<Arch>(1, x.data(), n, weight.data(), bias.data(), 1e-5f, y.data(), n, n);
            double mean = 0.0, variance = 0.0;
            for (const float v : x) mean += static_cast<double>(v) / static_cast<double>(n);
            for (const float v : x) variance += std::pow(static_cast<double>(v) - mean, 2.0) / static_cast<double>(n);
            // The mean is an f32, half a unit of its last place off: so much of a deviation.
            const double limit = 1e-5 + 3e-7 * std::abs(mean) / std::sqrt(variance + 1e-5) * 2.0;
            for (std::size_t i = 0; i < n; ++i) {
                const double expected =
                    (static_cast<double>(x[i]) - mean) / std::sqrt(variance + 1e-5) * static_cast<double>(weight[i]) +
                    static_cast<double>(bias[i]);
                CAPTURE(n);
                REQUIRE(std::abs(static_cast<double>(y[i]) - expected) <= limit);
            }
            std::vector<float> in_place = x;
            kernels::layer_norm<Arch>(1, in_place.data(), n, weight.data(), bias.data(), 1e-5f, in_place.data(), n, n);
            REQUIRE(same_bits(in_place, y));
        }
}

TEST_CASE("a constant row becomes the bias, and epsilon zero with it NaN, not a crash") {
    for (const std::size_t n : {1u, 15u, 16u, 17u, 64u}) {
        const std::vector<float> x(n, 7.0f), weight(n, 2.0f), bias(n, 0.25f);
        std::vector<float> y(n);
        kernels::layer_norm<Arch>(1, x.data(), n, weight.data(), bias.data(), 1e-12f, y.data(), n, n);
        for (const float v : y) CHECK(v == 0.25f);
        kernels::layer_norm<Arch>(1, x.data(), n, weight.data(), bias.data(), 0.0f, y.data(), n, n);
        for (const float v : y) CHECK(std::isnan(v));
    }
}

TEST_CASE("normalised rows have the length one, and a zero row stays zero") {
    Random random(2);
    for (std::size_t n = 1; n <= 100; ++n) {
        std::vector<float> x = random.row(n, -4.0f, 9.0f);
        const std::vector<float> before = x;
        kernels::normalize<Arch>(x.data(), n);
        double square = 0.0, norm = 0.0;
        for (const float v : x) square += static_cast<double>(v) * static_cast<double>(v);
        for (const float v : before) norm += static_cast<double>(v) * static_cast<double>(v);
        REQUIRE(std::abs(square - 1.0) <= 1e-6);
        for (std::size_t i = 0; i < n; ++i)
            REQUIRE(std::abs(static_cast<double>(x[i]) - static_cast<double>(before[i]) / std::sqrt(norm)) <= 1e-6);
        std::vector<float> zero(n, 0.0f);
        kernels::normalize<Arch>(zero.data(), n);
        for (const float v : zero) REQUIRE(v == 0.0f);
    }
}
