// Packed weights of all three kinds against plain sums; what does not fit is refused; fixed sizes touch no heap.
#include "ranklet/layers/packed_weights.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "counting_heap.hpp"
#include "kernels/reference.hpp"
#include "ranklet/core/half.hpp"
#include "ranklet/kernels/ops_eigen.hpp"
#include "ranklet/layers/gru.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Activation;
using ranklet::ErrorCode;
using ranklet::MatrixView;
using ranklet::PackedWeights;
using ranklet::Scratch;
using ranklet::WeightBlock;
using ranklet::WeightKind;
using Epilogue = ranklet::kernels::Epilogue<float>;

/// y = epilogue(x W^T) of [m, in] inputs on `threads` threads.
std::vector<float> product(const PackedWeights<>& weights, const std::vector<float>& x, const Epilogue& epilogue,
                           ranklet::Threads threads = 1) {
    const std::size_t m = x.size() / weights.in();
    Scratch scratch;
    REQUIRE(scratch.reserve(weights.scratch_size(m)).ok());
    std::vector<float> y(m * weights.out());
    weights.multiply({x.data(), m, weights.in()}, epilogue, {y.data(), m, weights.out()}, scratch, threads);
    return y;
}

void check_refused(const ranklet::Result<void>& result, const std::string& part_of_message) {
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().code == ErrorCode::invalid_argument);
    CHECK_MESSAGE(result.error().message.find(part_of_message) != std::string::npos, result.error().message);
}

}  // namespace

TEST_CASE("weights of each kind give the product of what they hold, exactly where numbers are small and whole") {
    // Inputs of which the largest is 127 are their own 8-bit values; all products and sums are exact in every kind.
    const std::size_t m = 3, in = 6, out = 5;
    Random random(71);
    std::vector<float> x(m * in), w(out * in), bias(out), residual(m * out), scale(out);
    std::vector<std::uint16_t> bf16(w.size());
    std::vector<std::int8_t> i8(w.size());
    const auto whole = [&](std::uint64_t most) {
        return static_cast<float>(random.below(2 * most + 1)) - static_cast<float>(most);
    };
    for (float& v : x) v = whole(100);
    for (std::size_t r = 0; r < m; ++r) x[r * in + r] = 127.0f;
    for (float& v : bias) v = whole(9);
    for (float& v : residual) v = whole(9);
    for (std::size_t o = 0; o < out; ++o) scale[o] = o % 2 == 0 ? 1.0f : 0.5f;
    for (std::size_t i = 0; i < w.size(); ++i) {
        i8[i] = static_cast<std::int8_t>(whole(20));
        w[i] = static_cast<float>(i8[i]) * scale[i / in];
        bf16[i] = ranklet::f32_to_bf16(w[i]);
    }
    std::vector<float> expected(m * out);
    for (std::size_t r = 0; r < m; ++r)
        for (std::size_t o = 0; o < out; ++o) {
            float sum = bias[o] + residual[r * out + o];
            for (std::size_t i = 0; i < in; ++i) sum += x[r * in + i] * w[o * in + i];
            expected[r * out + o] = std::max(sum, 0.0f);
        }
    const Epilogue epilogue{bias.data(), Activation::relu, residual.data(), out};

    WeightBlock none;
    PackedWeights<> weights;  // one object for all kinds, one after the other: an earlier one leaves nothing behind
    CHECK(weights.out() == 0);
    const MatrixView<const std::int8_t> of_i8[] = {{i8.data(), 2, in}, {i8.data() + 2 * in, out - 2, in}};
    REQUIRE(weights.pack(of_i8, scale, none).ok());
    CHECK(weights.kind() == WeightKind::i8);
    CHECK(weights.rounds_inputs());
    CHECK(weights.scratch_size(m) > 0);
    CHECK(product(weights, x, epilogue) == expected);

    const MatrixView<const std::uint16_t> of_bf16[] = {{bf16.data(), 4, in}, {bf16.data() + 4 * in, out - 4, in}};
    REQUIRE(weights.pack(of_bf16, none).ok());
    CHECK(weights.kind() == WeightKind::bf16);
    CHECK(weights.rounds_inputs() == ranklet::uses_bf16_dot);
    CHECK(product(weights, x, epilogue) == expected);

    const MatrixView<const float> plain[] = {{w.data(), 1, in}, {w.data() + in, out - 1, in}};
    REQUIRE(weights.pack(plain, none).ok());
    CHECK(weights.kind() == WeightKind::plain);
    CHECK_FALSE(weights.rounds_inputs());
    CHECK(weights.scratch_size(m) == 0);
    CHECK(weights.in() == in);
    CHECK(weights.out() == out);
    CHECK(product(weights, x, epilogue) == expected);
    std::vector<float> y(m * out);
    weights.multiply({x.data(), m, in}, epilogue, {y.data(), m, out});
    CHECK(y == expected);
}

TEST_CASE("several threads give the bits of one, for weights of every kind") {
    const std::size_t m = 9, in = 320, out = 1100;
    Random random(72);
    const std::vector<float> x = random.row(m * in), w = random.row(out * in), bias = random.row(out);
    std::vector<std::uint16_t> bf16;
    std::vector<std::int8_t> i8;
    for (const float v : w) {
        bf16.push_back(ranklet::f32_to_bf16(v));
        i8.push_back(static_cast<std::int8_t>(v * 60.0f));
    }
    const MatrixView<const float> plain(w.data(), out, in);
    const MatrixView<const std::uint16_t> half(bf16.data(), out, in);
    const MatrixView<const std::int8_t> bytes(i8.data(), out, in);
    WeightBlock none;
    PackedWeights<> kinds[3];
    REQUIRE(kinds[0].pack({&plain, 1}, none).ok());
    REQUIRE(kinds[1].pack({&half, 1}, none).ok());
    REQUIRE(kinds[2].pack({&bytes, 1}, std::vector<float>(out, 0.01f), none).ok());
    const Epilogue epilogue{bias.data(), Activation::gelu};
    for (const auto& weights : kinds)
        CHECK(same_bits(product(weights, x, epilogue), product(weights, x, epilogue, finely(3))));
}

TEST_CASE(
    "8-bit weights of inputs with a zero point: the product of what the inputs are rounded to, in parts and on "
    "threads") {
    const std::size_t m = 7, in = 30, out = 77;
    Random random(74);
    const std::vector<float> x = random.row(m * in, -0.2f, 3.0f), bias = random.row(out),
                             residual = random.row(m * out), scale = random.row(out, 0.01f, 0.02f),
                             factor = random.row(in, 0.5f, 2.0f);
    std::vector<std::int8_t> w(out * in);
    for (auto& v : w) v = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
    WeightBlock none;
    const MatrixView<const std::int8_t> whole(w.data(), out, in);
    const MatrixView<const std::int8_t> parts[] = {{w.data(), 33, in}, {w.data() + 33 * in, out - 33, in}};
    const Epilogue epilogue{bias.data(), Activation::identity, residual.data(), out};
    for (const bool with_factor : {false, true}) {
        const ranklet::InputQuantization inputs{
            true, with_factor ? std::span<const float>(factor) : std::span<const float>()};
        PackedWeights<> one, several;
        REQUIRE(one.pack({&whole, 1}, scale, none, inputs).ok());
        REQUIRE(several.pack(parts, scale, none, inputs).ok());
        CHECK(one.kind() == WeightKind::i8);
        const auto y = product(one, x, epilogue);
        CHECK(same_bits(product(several, x, epilogue), y));
        CHECK(same_bits(product(several, x, epilogue, finely(3)), y));
        for (std::size_t r = 0; r < m; ++r) {
            double low = 0.0, high = 0.0;
            std::vector<double> values(in);
            for (std::size_t i = 0; i < in; ++i) {
                values[i] = static_cast<double>(with_factor ? x[r * in + i] * factor[i] : x[r * in + i]);
                low = std::min(low, values[i]);
                high = std::max(high, values[i]);
            }
            const double step = (high - low) / 253.0;
            for (std::size_t o = 0; o < out; ++o) {
                double sum = static_cast<double>(bias[o]) + static_cast<double>(residual[r * out + o]), slack = 1e-4;
                for (std::size_t i = 0; i < in; ++i) {
                    const double weight = static_cast<double>(scale[o]) * static_cast<double>(w[o * in + i]);
                    const double steps = values[i] / step, away = std::abs(steps - std::floor(steps) - 0.5);
                    if (away < 1e-3) slack += std::abs(weight) * step;  // on the edge: either neighbour is right
                    sum += std::nearbyint(steps) * step * weight;
                }
                CHECK(std::abs(static_cast<double>(y[r * out + o]) - sum) <= slack);
            }
        }
    }
    // Symmetric again: an earlier packing leaves nothing behind.
    PackedWeights<> weights, fresh;
    REQUIRE(weights.pack({&whole, 1}, scale, none, {true, factor}).ok());
    REQUIRE(weights.pack({&whole, 1}, scale, none).ok());
    REQUIRE(fresh.pack({&whole, 1}, scale, none).ok());
    CHECK(same_bits(product(weights, x, epilogue), product(fresh, x, epilogue)));
    check_refused(weights.pack({&whole, 1}, scale, none, {false, factor}), "need a zero point");
    check_refused(weights.pack({&whole, 1}, scale, none, {true, std::span(factor).first(in - 1)}), "one factor each");
}

TEST_CASE("weights that do not fit together are refused") {
    const std::vector<float> numbers(64, 0.5f);
    const std::vector<std::uint16_t> halves(64);
    const std::vector<std::int8_t> bytes(64);
    WeightBlock none;
    PackedWeights<> weights;
    check_refused(weights.pack(PackedWeights<>::Parts<float>(), none), "at least one input");
    const MatrixView<const float> unlike[] = {{numbers.data(), 2, 4}, {numbers.data(), 2, 5}};
    check_refused(weights.pack(unlike, none), "differ in their inputs");
    const MatrixView<const std::uint16_t> odd(halves.data(), 2, 5), gaps(halves.data(), 2, 4, 6);
    check_refused(weights.pack({&odd, 1}, none), "even input");
    check_refused(weights.pack({&gaps, 1}, none), "without gaps");
    const MatrixView<const std::int8_t> two(bytes.data(), 2, 4);
    check_refused(weights.pack({&two, 1}, std::span(numbers).first(3), none), "one scale each");
    PackedWeights<float, 4, 8> fixed;
    const MatrixView<const float> seven(numbers.data(), 7, 4);
    check_refused(fixed.pack({&seven, 1}, none), "output is fixed at 8, not 7");
}

TEST_CASE_TEMPLATE("layers of fixed sizes touch no heap, not when they are assigned either", T, float, double) {
    static ranklet::Linear<T, 4, 8> dense;
    static ranklet::Gru<T, 8, 8> gru;
    alignas(ranklet::alignment) static std::array<std::byte, 4096> memory;
    std::array<T, 24 * 8> weights;
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<T>(i % 7) / 8 - static_cast<T>(0.4);
    std::array<T, 3 * 4> x{};
    x.fill(T(0.5));
    std::array<T, 3 * 8> inputs{}, states{};
    std::array<T, 8> start{};
    const std::size_t before = heap_requests;
    bool ok = dense.assign({weights.data(), 8, 4}, std::span<const T>(weights).first(8)).ok();
    ok = ok && gru.assign({weights.data(), 24, 8}, {weights.data(), 24, 8}, std::span<const T>(weights).first(24)).ok();
    auto scratch = Scratch::over(memory.data(), memory.size());
    ok = ok && gru.scratch_size(3) <= memory.size();
    if (ok) {
        dense.forward({x.data(), 3, 4}, {inputs.data(), 3, 8}, Activation::tanh);
        gru.forward({inputs.data(), 3, 8}, start.data(), {states.data(), 3, 8}, scratch);
    }
    CHECK(heap_requests == before);
    CHECK(ok);
    CHECK(states.back() != T(0));
}
