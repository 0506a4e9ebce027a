// The element-wise part of a GRU step against PyTorch's formula in double precision.
#include "ranklet/kernels/gru.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "kernels/reference.hpp"

namespace {

using namespace ranklet_test;
namespace kernels = ranklet::kernels;

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

}  // namespace

TEST_CASE("gru_gates follows PyTorch's formula at every size, in place too") {
    Random random(1);
    for (std::size_t hidden = 1; hidden <= 70; ++hidden) {
        const std::vector<float> x = random.row(3 * hidden, -3.0f, 3.0f), h = random.row(3 * hidden, -3.0f, 3.0f);
        std::vector<float> state = random.row(hidden), next(hidden);
        kernels::gru_gates<Arch>(x.data(), h.data(), state.data(), next.data(), hidden);
        for (std::size_t i = 0; i < hidden; ++i) {
            const auto at = [&](const std::vector<float>& row, std::size_t gate) {
                return static_cast<double>(row[gate * hidden + i]);
            };
            const double r = sigmoid(at(x, 0) + at(h, 0)), z = sigmoid(at(x, 1) + at(h, 1));
            const double n = std::tanh(at(x, 2) + r * at(h, 2));
            const double expected = (1.0 - z) * n + z * static_cast<double>(state[i]);
            REQUIRE(std::abs(static_cast<double>(next[i]) - expected) <= 1e-6);
        }
        kernels::gru_gates<Arch>(x.data(), h.data(), state.data(), state.data(), hidden);
        REQUIRE(same_bits(state, next));
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
    for (std::size_t place = 0; place < 3 * hidden; ++place) {
        std::vector<float> x(3 * hidden, 0.5f), h(3 * hidden, 0.25f), state(hidden, 0.1f), next(hidden);
        x[place] = quiet_nan;
        kernels::gru_gates<Arch>(x.data(), h.data(), state.data(), next.data(), hidden);
        for (std::size_t i = 0; i < hidden; ++i) REQUIRE(std::isnan(next[i]) == (i == place % hidden));
    }
}
