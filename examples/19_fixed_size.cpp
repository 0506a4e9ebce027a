// A model of fixed sizes, as a device runs it: weights and temporaries in static memory, no heap; in f32 and in double.
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <ranklet/layers/layers.hpp>

namespace {

constexpr std::size_t sensors = 6, hidden = 8, actions = 3, steps = 5;

/// N multiples of 1/64 in [-1, 1). A trained model's weights would be such a table in the device's flash memory.
template <class T, std::size_t N>
constexpr std::array<T, N> table(std::uint32_t seed) {
    std::array<T, N> numbers{};
    for (T& number : numbers) {
        seed = seed * 1664525u + 1013904223u;
        number = static_cast<T>(static_cast<int>(seed >> 25) - 64) / 64;
    }
    return numbers;
}

/// Scores of three actions after some readings of the sensors: a dense layer, a GRU, and a score for each action.
template <class T>
class Model {
public:
    ranklet::Result<void> load() {
        static constexpr auto dense = table<T, hidden * sensors>(1);
        static constexpr auto from_input = table<T, 3 * hidden * hidden>(2);
        static constexpr auto from_state = table<T, 3 * hidden * hidden>(3);
        static constexpr auto bias = table<T, 3 * hidden>(4);
        static constexpr auto out = table<T, actions * hidden>(5);
        RANKLET_TRY(dense_.assign({dense.data(), hidden, sensors}));
        RANKLET_TRY(
            gru_.assign({from_input.data(), 3 * hidden, hidden}, {from_state.data(), 3 * hidden, hidden}, bias));
        RANKLET_TRY(out_.assign({out.data(), actions, hidden}));
        if (gru_.scratch_size(steps) > sizeof scratch_)
            return ranklet::Error{ranklet::ErrorCode::out_of_memory, "the temporaries need more room"};
        return {};
    }

    std::array<T, actions> scores(const std::array<T, steps * sensors>& readings) noexcept {
        std::array<T, steps * hidden> inputs, states;
        std::array<T, actions> result;
        const std::array<T, hidden> start{};
        auto scratch = ranklet::Scratch::over(scratch_, sizeof scratch_);
        dense_.forward({readings.data(), steps, sensors}, {inputs.data(), steps, hidden}, ranklet::Activation::tanh);
        gru_.forward({inputs.data(), steps, hidden}, start.data(), {states.data(), steps, hidden}, scratch);
        out_.forward({&states[(steps - 1) * hidden], 1, hidden}, {result.data(), 1, actions});
        return result;
    }

private:
    ranklet::Linear<T, sensors, hidden> dense_;
    ranklet::Gru<T, hidden, hidden> gru_;
    ranklet::Linear<T, hidden, actions> out_;
    alignas(ranklet::alignment) std::byte scratch_[2048] = {};
};

constinit Model<float> single;
constinit Model<double> twice;

}  // namespace

int main() {
    if (!single.load().ok() || !twice.load().ok()) return 1;
    const auto scores = single.scores(table<float, steps * sensors>(6));
    const auto exact = twice.scores(table<double, steps * sensors>(6));
    constexpr std::array expected{-0.497588478, 1.451865599, 0.685854173};
    bool as_expected = true;
    for (std::size_t a = 0; a < actions; ++a) {
        std::cout << "action " << a << ": " << scores[a] << " in f32, " << exact[a] << " in double\n";
        as_expected = as_expected && std::abs(exact[a] - expected[a]) < 1e-6 &&
                      std::abs(static_cast<double>(scores[a]) - exact[a]) < 1e-5;
    }
    std::cout << "The model takes " << sizeof single << " bytes in f32, " << sizeof twice << " in double.\n";
    return as_expected ? 0 : 1;
}
