// The element-wise part of a GRU step against PyTorch's formula in double precision.
#include "ranklet/kernels/gru.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "kernels/reference.hpp"
#include "ranklet/kernels/elementwise.hpp"

namespace {

using namespace ranklet_test;
namespace kernels = ranklet::kernels;
using ranklet::GateActivation;

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

constexpr std::array all_gates{GateActivation::sigmoid, GateActivation::hard_sigmoid_keras2,
                               GateActivation::hard_sigmoid_keras3};
double gate(GateActivation gates, double x) {
    if (gates == GateActivation::sigmoid) return sigmoid(x);
    return std::clamp(x / (gates == GateActivation::hard_sigmoid_keras2 ? 5.0 : 6.0) + 0.5, 0.0, 1.0);
}

}  // namespace

TEST_CASE("gru_gates follows PyTorch's formula at every size, in place too, whatever makes the gates") {
    Random random(1);
    for (const GateActivation gates : all_gates)
        for (std::size_t hidden = 1; hidden <= 70; ++hidden) {
            const std::vector<float> x = random.row(3 * hidden, -3.0f, 3.0f), h = random.row(3 * hidden, -3.0f, 3.0f);
            std::vector<float> state = random.row(hidden), next(hidden);
            kernels::gru_gates<Arch>(x.data(), h.data(), state.data(), next.data(), hidden, gates);
            for (std::size_t i = 0; i < hidden; ++i) {
                const auto at = [&](const std::vector<float>& row, std::size_t part) {
                    return static_cast<double>(row[part * hidden + i]);
                };
                const double r = gate(gates, at(x, 0) + at(h, 0)), z = gate(gates, at(x, 1) + at(h, 1));
                const double n = std::tanh(at(x, 2) + r * at(h, 2));
                const double expected = (1.0 - z) * n + z * static_cast<double>(state[i]);
                REQUIRE(std::abs(static_cast<double>(next[i]) - expected) <= 1e-6);
            }
            kernels::gru_gates<Arch>(x.data(), h.data(), state.data(), state.data(), hidden, gates);
            REQUIRE(same_bits(state, next));
        }
}

TEST_CASE("hard gates are shut and open from where Keras says") {
    for (const auto& [gates, edge] :
         {std::pair(GateActivation::hard_sigmoid_keras2, 2.5f), std::pair(GateActivation::hard_sigmoid_keras3, 3.0f)}) {
        const std::vector<float> sums{-edge, edge, 0.0f, -edge - 1.0f, edge + 1.0f, -infinity, infinity, 1.0f};
        const std::vector<float> ones(sums.size(), 1.0f), zeros(sums.size(), 0.0f);
        std::vector<float> kept(sums.size());
        kernels::gru_reset<Arch>(sums.data(), zeros.data(), ones.data(), kept.data(), sums.size(), gates);
        CHECK(std::abs(kept[0]) <= 1e-7f);
        CHECK(std::abs(kept[1] - 1.0f) <= 1e-7f);
        CHECK(kept[2] == 0.5f);
        CHECK((kept[3] == 0.0f && kept[4] == 1.0f && kept[5] == 0.0f && kept[6] == 1.0f));
        CHECK(kept[7] == doctest::Approx(0.5f + 0.5f / edge));
    }
}

TEST_CASE("an update gate that is shut or open keeps the state or takes the candidate, whatever the magnitudes") {
    const std::size_t hidden = 20;
    std::vector<float> x(3 * hidden, 0.0f), h(3 * hidden, 0.0f), state(hidden, 0.75f), next(hidden);
    for (std::size_t i = 0; i < hidden; ++i) {
        x[hidden + i] = i % 2 == 0 ? 1e4f : -1e4f;
        x[2 * hidden + i] = -1e4f;
    }
    kernels::gru_gates<Arch>(x.data(), h.data(), state.data(), next.data(), hidden);
    for (std::size_t i = 0; i < hidden; ++i) CHECK(next[i] == (i % 2 == 0 ? 0.75f : -1.0f));
}

TEST_CASE("gru_gates passes NaN on in its own element alone") {
    const std::size_t hidden = 37;
    for (const GateActivation gates : all_gates)
        for (std::size_t place = 0; place < 3 * hidden; ++place) {
            std::vector<float> x(3 * hidden, 0.5f), h(3 * hidden, 0.25f), state(hidden, 0.1f), next(hidden);
            x[place] = quiet_nan;
            kernels::gru_gates<Arch>(x.data(), h.data(), state.data(), next.data(), hidden, gates);
            for (std::size_t i = 0; i < hidden; ++i) REQUIRE(std::isnan(next[i]) == (i == place % hidden));
        }
}

TEST_CASE("gru_reset and gru_update follow the formula of Keras's reset_after=False at every size, in place too") {
    Random random(2);
    for (const GateActivation gates : all_gates)
        for (std::size_t hidden = 1; hidden <= 70; ++hidden) {
            const std::vector<float> x = random.row(3 * hidden, -3.0f, 3.0f), h = random.row(2 * hidden, -3.0f, 3.0f);
            const std::vector<float> candidate = random.row(hidden, -3.0f, 3.0f);
            std::vector<float> state = random.row(hidden), kept(hidden), next(hidden);
            kernels::gru_reset<Arch>(x.data(), h.data(), state.data(), kept.data(), hidden, gates);
            kernels::gru_update<Arch>(x.data(), h.data(), candidate.data(), state.data(), next.data(), hidden, gates);
            for (std::size_t i = 0; i < hidden; ++i) {
                const auto wide = [](float value) { return static_cast<double>(value); };
                const double r = gate(gates, wide(x[i]) + wide(h[i])), s = wide(state[i]);
                const double z = gate(gates, wide(x[hidden + i]) + wide(h[hidden + i]));
                const double n = std::tanh(wide(x[2 * hidden + i]) + wide(candidate[i]));
                REQUIRE(std::abs(wide(kept[i]) - r * s) <= 1e-6);
                REQUIRE(std::abs(wide(next[i]) - ((1.0 - z) * n + z * s)) <= 1e-6);
            }
            kernels::gru_update<Arch>(x.data(), h.data(), candidate.data(), state.data(), state.data(), hidden, gates);
            REQUIRE(same_bits(state, next));
        }
}

TEST_CASE("add_product rounds once, element by element") {
    Random random(3);
    for (std::size_t n = 1; n <= 70; ++n) {
        const std::vector<float> x = random.row(n), y = random.row(n);
        std::vector<float> z = random.row(n), expected = z;
        kernels::add_product<Arch>(x.data(), y.data(), z.data(), n);
        for (std::size_t i = 0; i < n; ++i)
            expected[i] = has_fma ? std::fma(x[i], y[i], expected[i]) : x[i] * y[i] + expected[i];
        REQUIRE(same_bits(z, expected));
    }
}
