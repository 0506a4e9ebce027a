// The polynomials against the standard library's functions in double precision, over all of f32.
#include "ranklet/kernels/math.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/reference.hpp"
#include "ranklet/kernels/epilogue.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Activation;
namespace kernels = ranklet::kernels;

void exp_row(float* x, std::size_t n) {
    kernels::transform<Arch>(x, x, n, [](const auto& v) { return kernels::exp(v); });
}
void log_row(float* x, std::size_t n) {
    kernels::transform<Arch>(x, x, n, [](const auto& v) { return kernels::log(v); });
}
void exp2_row(float* x, std::size_t n) {
    kernels::transform<Arch>(x, x, n, [](const auto& v) { return kernels::exp2_below(v); });
}
template <Activation A>
void activation_row(float* x, std::size_t n) {
    kernels::activate<Arch>(A, x, n);
}

/// Every 997th bit pattern of f32, and every float near the places where a function's pieces meet.
std::vector<float> sample() {
    std::vector<float> values;
    for (std::uint64_t b = 0; b < (std::uint64_t{1} << 32); b += 997)
        values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(b)));
    for (const float place : {0.0f, 1e-30f, 1e-4f, 0.34657359f, 0.5f, 1.0f, 3.0f, 6.0f, 9.0f, 10.0f, 20.0f, 43.6f,
                              87.3f, 88.0f, 88.37f, 88.72284f, 88.8f, 1e30f})
        for (const float signed_place : {place, -place}) {
            const std::uint32_t middle = bits(signed_place);
            for (std::uint32_t d = 0; d < 2000; ++d) {
                values.push_back(std::bit_cast<float>(middle + d));
                if ((middle & 0x7FFFFFFFu) >= d) values.push_back(std::bit_cast<float>(middle - d));
            }
        }
    return values;
}

/// Calls check(x, f(x)) for each sampled x that is a number, and makes sure that NaN stays NaN.
template <class Check>
void for_each(void (*function)(float*, std::size_t), const Check& check) {
    static const std::vector<float> inputs = sample();
    std::vector<float> outputs = inputs;
    function(outputs.data(), outputs.size());
    std::size_t nans = 0, broken_nans = 0;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (std::isnan(inputs[i])) {
            ++nans;
            broken_nans += !std::isnan(outputs[i]);
        } else {
            check(inputs[i], outputs[i]);
        }
    }
    CHECK(nans > 10000);
    CHECK(broken_nans == 0);
}

struct Worst {
    double error = 0.0;
    float at = 0.0f;
    void add(double e, float x) {
        if (e > error || std::isnan(e)) error = std::isnan(e) ? HUGE_VAL : e, at = x;
    }
};

float one(void (*function)(float*, std::size_t), float x) {
    function(&x, 1);
    return x;
}

/// Without fused multiply-add the polynomials round twice as often.
constexpr double slack = has_fma ? 1.0 : 2.0;

}  // namespace

TEST_CASE("exp is within 1.1 ulp where the result is normal, zero below -87.3, infinite above 88.72284") {
    Worst worst;
    std::size_t wrong_ends = 0;
    for_each(exp_row, [&](float x, float y) {
        if (x < -87.3f)
            wrong_ends += y != 0.0f;
        else if (x > 88.72284f)
            wrong_ends += y != infinity;
        else
            worst.add(ulps(y, std::exp(static_cast<double>(x))), x);
    });
    CHECK_MESSAGE(worst.error <= 1.1 * slack, "at " << worst.at);
    CHECK(wrong_ends == 0);
    CHECK(one(exp_row, 0.0f) == 1.0f);
    CHECK(one(exp_row, -0.0f) == 1.0f);
    CHECK(one(exp_row, infinity) == infinity);
    CHECK(one(exp_row, -infinity) == 0.0f);
}

TEST_CASE("log is within 1e-7 of its value, relative beyond 1, over all normal numbers") {
    Worst worst;
    for (std::uint64_t b = 0x00800000; b < 0x7F800000; b += 499) {
        const float x = std::bit_cast<float>(static_cast<std::uint32_t>(b));
        const double exact = std::log(static_cast<double>(x));
        worst.add(std::abs(static_cast<double>(one(log_row, x)) - exact) / std::max(1.0, std::abs(exact)), x);
    }
    CHECK_MESSAGE(worst.error <= 1e-7 * slack, "at " << worst.at);
    CHECK(one(log_row, 1.0f) == 0.0f);
}

TEST_CASE("log_above takes what is below zero for zero, and NaN and infinity stay") {
    std::vector<float> x{0.0f, -3.0f, 1.0f, infinity, std::numeric_limits<float>::quiet_NaN(), -infinity};
    kernels::log_above<Arch>(1e-5f, x.data(), x.size());
    CHECK(x[0] == doctest::Approx(std::log(1e-5)).epsilon(1e-6));
    CHECK(x[1] == x[0]);
    CHECK(x[2] == doctest::Approx(std::log1p(1e-5)).epsilon(1e-6));
    CHECK(x[3] == infinity);
    CHECK(std::isnan(x[4]));
    CHECK(x[5] == x[0]);
}

TEST_CASE("exp2_below is within 1.5e-7 of its value up to 1, zero below -126, one at zero") {
    Worst worst;
    std::size_t wrong_ends = 0;
    for_each(exp2_row, [&](float x, float y) {
        if (x > 1.0f) return;
        if (x < -126.0f) {
            wrong_ends += y != 0.0f;
        } else {
            const double exact = std::exp2(static_cast<double>(x));
            worst.add(std::abs(static_cast<double>(y) - exact) / exact, x);
        }
    });
    CHECK_MESSAGE(worst.error <= 1.5e-7 * slack, "at " << worst.at);
    CHECK(wrong_ends == 0);
    CHECK(one(exp2_row, 0.0f) == 1.0f);
    CHECK(one(exp2_row, -0.0f) == 1.0f);
    CHECK(one(exp2_row, -126.0f) == std::numeric_limits<float>::min());
    CHECK(one(exp2_row, -infinity) == 0.0f);
}

TEST_CASE("a bundle of vectors gives the bits of each vector") {
    Random random(2);
    using V = kernels::F32<Arch>;
    constexpr std::size_t width = V::size, count = 3;
    const std::vector<float> x = random.row(count * width, -9.0f, 9.0f);
    const auto check = [&](const auto& function) {
        kernels::Bundle<V, count> bundle;
        std::vector<float> together(x.size()), alone(x.size());
        for (std::size_t i = 0; i < count; ++i) bundle.v[i] = V::load_unaligned(x.data() + i * width);
        const auto result = function(bundle);
        for (std::size_t i = 0; i < count; ++i) {
            result.v[i].store_unaligned(together.data() + i * width);
            function(bundle.v[i]).store_unaligned(alone.data() + i * width);
        }
        CHECK(same_bits(together, alone));
    };
    check([](const auto& v) { return kernels::exp(v); });
    check([](const auto& v) { return kernels::exp2_below(v); });
    check([](const auto& v) { return kernels::tanh(v); });
    check([](const auto& v) { return kernels::sigmoid(v); });
    check([](const auto& v) { return kernels::gelu(v); });
    check([](const auto& v) { return kernels::gelu_tanh(v); });
    check([](const auto& v) { return kernels::silu(v); });
    check([](const auto& v) { return kernels::relu(v); });
}

TEST_CASE("tanh is within 3 ulp everywhere, odd, and 1 at infinity") {
    Worst worst;
    std::size_t not_odd = 0, outside = 0;
    std::vector<float> negated;
    for_each(activation_row<Activation::tanh>, [&](float x, float y) {
        worst.add(ulps(y, std::tanh(static_cast<double>(x))), x);
        outside += std::abs(y) > 1.0f;
        negated.push_back(-x);
    });
    activation_row<Activation::tanh>(negated.data(), negated.size());
    std::size_t i = 0;
    for_each(activation_row<Activation::tanh>, [&](float, float y) { not_odd += negated[i++] != -y; });
    CHECK_MESSAGE(worst.error <= 3.0 * slack, "at " << worst.at);
    CHECK(outside == 0);
    CHECK(not_odd == 0);
    CHECK(one(activation_row<Activation::tanh>, infinity) == 1.0f);
    CHECK(one(activation_row<Activation::tanh>, -infinity) == -1.0f);
    CHECK(one(activation_row<Activation::tanh>, -0.0f) == 0.0f);
    CHECK(one(activation_row<Activation::tanh>, 1e-40f) == 1e-40f);
}

TEST_CASE("sigmoid is within 3 ulp down to -87.3 and below 1.3e-38 beyond") {
    Worst worst;
    std::size_t large_tail = 0, outside = 0;
    for_each(activation_row<Activation::sigmoid>, [&](float x, float y) {
        outside += !(y >= 0.0f && y <= 1.0f);
        if (x < -87.3f)
            large_tail += !(y < 1.3e-38f);
        else
            worst.add(ulps(y, 1.0 / (1.0 + std::exp(-static_cast<double>(x)))), x);
    });
    CHECK_MESSAGE(worst.error <= 3.0 * slack, "at " << worst.at);
    CHECK(large_tail == 0);
    CHECK(outside == 0);
    CHECK(one(activation_row<Activation::sigmoid>, 0.0f) == 0.5f);
    CHECK(one(activation_row<Activation::sigmoid>, infinity) == 1.0f);
    CHECK(one(activation_row<Activation::sigmoid>, -infinity) < 1.3e-38f);
}

TEST_CASE(
    "gelu is within 1e-7 * max(1, |x|), its tanh form and silu within 2e-7; all are x far above zero and 0 far below") {
    const auto check = [](void (*function)(float*, std::size_t), double (*reference)(double), double bound,
                          const std::string& name) {
        CAPTURE(name);
        Worst worst;
        for_each(function, [&](float x, float y) {
            if (std::isinf(x)) return;  // below
            worst.add(std::abs(static_cast<double>(y) - reference(static_cast<double>(x))) /
                          std::max(1.0, std::abs(static_cast<double>(x))),
                      x);
        });
        CHECK_MESSAGE(worst.error <= bound * slack, "at " << worst.at);
        CHECK(one(function, infinity) == infinity);
        CHECK(one(function, -infinity) == 0.0f);
        CHECK(one(function, 0.0f) == 0.0f);
        CHECK(one(function, -0.0f) == 0.0f);
        CHECK(one(function, 1e30f) == 1e30f);
        CHECK(one(function, -1e30f) == 0.0f);
    };
    check(
        activation_row<Activation::gelu>, [](double x) { return 0.5 * x * std::erfc(-x * std::sqrt(0.5)); }, 1e-7,
        "gelu");
    check(
        activation_row<Activation::gelu_tanh>,
        [](double x) {
            const double u = std::sqrt(2.0 / std::acos(-1.0)) * (x + 0.044715 * x * x * x);
            return x / (1.0 + std::exp(-2.0 * u));
        },
        2e-7, "gelu_tanh");
    check(activation_row<Activation::silu>, [](double x) { return x / (1.0 + std::exp(-x)); }, 2e-7, "silu");
}

TEST_CASE("relu and identity change nothing that is not negative") {
    std::size_t wrong = 0;
    for_each(activation_row<Activation::relu>, [&](float x, float y) { wrong += y != (x < 0.0f ? 0.0f : x); });
    for_each(activation_row<Activation::identity>, [&](float x, float y) { wrong += bits(x) != bits(y); });
    CHECK(wrong == 0);
}

TEST_CASE("an element's activation does not depend on its place or the row's length") {
    Random random(1);
    const std::vector<float> x = random.row(67, -8.0f, 8.0f);
    for (const auto function :
         {exp_row, activation_row<Activation::tanh>, activation_row<Activation::sigmoid>,
          activation_row<Activation::gelu>, activation_row<Activation::gelu_tanh>, activation_row<Activation::silu>}) {
        std::vector<float> whole = x;
        function(whole.data(), whole.size());
        for (std::size_t first = 0; first < x.size(); ++first)
            for (const std::size_t n : {std::size_t{1}, std::size_t{5}, std::size_t{16}, std::size_t{33}}) {
                if (first + n > x.size()) continue;
                std::vector<float> part(x.begin() + static_cast<std::ptrdiff_t>(first),
                                        x.begin() + static_cast<std::ptrdiff_t>(first + n));
                function(part.data(), n);
                REQUIRE(same_bits(part, std::span(whole).subspan(first, n)));
            }
    }
}

TEST_CASE("add, scale, multiply_add and maximum round once, element by element") {
    Random random(2);
    for (std::size_t n = 0; n <= 50; ++n) {
        const std::vector<float> x = random.row(n, -3.0f, 3.0f), y = random.row(n, -3.0f, 3.0f);
        std::vector<float> sum(n), scaled = x, fused(n), larger(n);
        kernels::add<Arch>(x.data(), y.data(), sum.data(), n);
        kernels::scale<Arch>(0.3f, scaled.data(), n);
        kernels::multiply_add<Arch>(0.3f, x.data(), y.data(), fused.data(), n);
        kernels::maximum<Arch>(x.data(), y.data(), larger.data(), n);
        for (std::size_t i = 0; i < n; ++i) {
            REQUIRE(sum[i] == x[i] + y[i]);
            REQUIRE(scaled[i] == 0.3f * x[i]);
            if (has_fma) REQUIRE(fused[i] == std::fma(0.3f, x[i], y[i]));
            REQUIRE(larger[i] == std::max(x[i], y[i]));
        }
    }
}
