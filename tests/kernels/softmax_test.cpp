// Softmax of rows, hostile ones too.
#include "ranklet/kernels/softmax.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/reference.hpp"

namespace {

using namespace ranklet_test;

std::vector<float> softmax(std::vector<float> x, float scale = 1.0f) {
    ranklet::kernels::softmax<Arch>(x.data(), x.size(), scale);
    return x;
}

std::vector<double> reference(const std::vector<float>& x, double scale = 1.0) {
    std::vector<double> y;
    const double largest = static_cast<double>(*std::max_element(x.begin(), x.end()));
    for (const float v : x) y.push_back(std::exp(scale * (static_cast<double>(v) - largest)));
    const double total = std::accumulate(y.begin(), y.end(), 0.0);
    for (double& v : y) v /= total;
    return y;
}

}  // namespace

TEST_CASE("softmax agrees with double precision and sums to one at every length, scale and magnitude") {
    Random random(1);
    for (std::size_t n = 1; n <= 120; ++n)
        for (const float spread : {0.1f, 5.0f, 80.0f, 1e4f, 1e30f})
            for (const float scale : {1.0f, 0.125f, 3.0f}) {
                if (spread == 1e30f && scale > 1.0f) continue;
                const std::vector<float> x = random.row(n, -spread, spread);
                const std::vector<float> y = softmax(x, scale);
                const std::vector<double> expected = reference(x, static_cast<double>(scale));
                double total = 0.0, worst = 0.0;
                for (std::size_t i = 0; i < n; ++i) {
                    total += static_cast<double>(y[i]);
                    // (x - max) * scale is rounded once in f32, so the relative error grows with its size.
                    worst = std::max(worst, std::abs(static_cast<double>(y[i]) - expected[i]));
                }
                CAPTURE(n);
                CAPTURE(spread);
                REQUIRE(worst <= 3e-6);
                REQUIRE(std::abs(total - 1.0) <= 1e-6);
            }
}

TEST_CASE("equal logits have equal weights, and larger ones never smaller weights") {
    for (std::size_t n = 1; n <= 40; ++n)
        for (const float value : {0.0f, -1e30f, 3.5f, 1e38f}) {
            const std::vector<float> y = softmax(std::vector<float>(n, value));
            for (const float v : y) CHECK(bits(v) == bits(y[0]));
            CHECK(std::abs(y[0] * static_cast<float>(n) - 1.0f) <= 1e-6f);
        }
    Random random(2);
    std::vector<float> x = random.row(200, -20.0f, 20.0f);
    std::sort(x.begin(), x.end());
    const std::vector<float> y = softmax(x);
    CHECK(std::is_sorted(y.begin(), y.end()));
}

TEST_CASE("a common shift of the logits that rounds nothing changes no bit") {
    Random random(3);
    std::vector<float> x(50), shifted(50);
    for (std::size_t i = 0; i < x.size(); ++i) {
        x[i] = static_cast<float>(random.below(64)) * 0.25f;
        shifted[i] = x[i] + 1024.0f;
    }
    CHECK(same_bits(softmax(x), softmax(shifted)));
}

TEST_CASE("logits of -infinity weigh nothing, and those of +infinity share all") {
    const float inf = infinity;
    CHECK(softmax({-inf, 2.0f, -inf, 2.0f}) == std::vector<float>{0.0f, 0.5f, 0.0f, 0.5f});
    CHECK(softmax({-inf, -3e38f}) == std::vector<float>{0.0f, 1.0f});
    CHECK(softmax({inf, 2.0f, -inf, inf, quiet_nan}) == std::vector<float>{0.5f, 0.0f, 0.0f, 0.5f, 0.0f});
    CHECK(softmax({inf}) == std::vector<float>{1.0f});
    CHECK(softmax({3e38f, -3e38f}) == std::vector<float>{1.0f, 0.0f});
}

TEST_CASE("rows without a finite logit, and rows with a NaN, come out NaN instead of plausible") {
    for (const std::vector<float>& x :
         {std::vector<float>(3, -infinity), std::vector<float>(20, quiet_nan), {1.0f, quiet_nan, 2.0f}, {-infinity}})
        for (const float y : softmax(x)) CHECK(std::isnan(y));
}

TEST_CASE("one logit has the weight one, and an empty row is left alone") {
    CHECK(softmax({-7.0f}) == std::vector<float>{1.0f});
    ranklet::kernels::softmax<Arch>(nullptr, 0);
    CHECK(softmax({}).empty());
}

TEST_CASE("numerators and inverse sums of many rows are those of each row alone, whatever stands beside it") {
    Random random(7);
    const std::size_t stride = 70;
    for (std::size_t rows = 1; rows <= 11; ++rows)
        for (const std::size_t n : {1u, 3u, 16u, 17u, 33u, 64u, 70u}) {
            std::vector<float> x = random.row(rows * stride, -30.0f, 30.0f);
            if (rows > 5) {  // in the midst of rows that are worked on together
                x[1 * stride] = infinity;
                std::fill_n(x.begin() + static_cast<std::ptrdiff_t>(2 * stride), n, -infinity);
                x[3 * stride] = std::numeric_limits<float>::quiet_NaN();
            }
            std::vector<float> together = x, inverse(rows);
            ranklet::kernels::softmax_numerators<Arch>(rows, together.data(), stride, n, 0.3f, inverse.data());
            for (std::size_t r = 0; r < rows; ++r) {
                std::vector<float> row(x.begin() + static_cast<std::ptrdiff_t>(r * stride),
                                       x.begin() + static_cast<std::ptrdiff_t>(r * stride + n));
                ranklet::kernels::softmax<Arch>(row.data(), n, 0.3f);
                for (std::size_t i = 0; i < n; ++i) {
                    const float value = together[r * stride + i] * inverse[r];
                    REQUIRE((std::isnan(value) ? std::isnan(row[i]) : bits(value) == bits(row[i])));
                }
                for (std::size_t i = n; i < stride; ++i)
                    REQUIRE(bits(together[r * stride + i]) == bits(x[r * stride + i]));
            }
        }
}
