// Layers with fixed sizes, in double precision, and with shapes that do not fit.

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/reference.hpp"
#include "ranklet/kernels/ops_eigen.hpp"
#include "ranklet/layers/gru.hpp"
#include "ranklet/layers/layer_norm.hpp"
#include "ranklet/layers/linear.hpp"
#include "ranklet/layers/reset_before_gru.hpp"
#include "ranklet/layers/transformer_layer.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Activation;
using ranklet::ErrorCode;
using ranklet::GateActivation;
using ranklet::Gru;
using ranklet::GruStack;
using ranklet::LayerNorm;
using ranklet::Linear;
using ranklet::MatrixView;
using ranklet::ResetBeforeGru;
using ranklet::Result;
using ranklet::Scratch;
using ranklet::SelfAttention;
using ranklet::TransformerLayer;

/// The same random numbers as f32 or as f64 (exactly the f32's values).
template <class T>
std::vector<T> row_of(Random& random, std::size_t n, float low = -1.0f, float high = 1.0f) {
    const std::vector<float> values = random.row(n, low, high);
    return {values.begin(), values.end()};
}

template <class T>
MatrixView<const T> view(const std::vector<T>& values, std::size_t rows, std::size_t cols) {
    return {values.data(), rows, cols};
}

Scratch scratch_of(std::size_t bytes) {
    Scratch scratch;
    REQUIRE(scratch.reserve(bytes).ok());
    return scratch;
}

void check_refused(const Result<void>& result, const std::string& part_of_message) {
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().code == ErrorCode::invalid_argument);
    CHECK_MESSAGE(result.error().message.find(part_of_message) != std::string::npos, result.error().message);
}

template <class T, std::ptrdiff_t In, std::ptrdiff_t Out>
std::vector<T> run_linear(Activation activation, bool with_bias, bool with_residual) {
    Random random(11);
    const std::size_t m = 5, in = 4, out = 8;
    const auto weight = row_of<T>(random, out * in), bias = row_of<T>(random, out), x = row_of<T>(random, m * in),
               residual = row_of<T>(random, m * out);
    Linear<T, In, Out> layer;
    REQUIRE(layer.assign(view(weight, out, in), with_bias ? std::span<const T>(bias) : std::span<const T>()).ok());
    CHECK(layer.in() == in);
    CHECK(layer.out() == out);
    CHECK(layer.has_bias() == with_bias);
    std::vector<T> y(m * out);
    ranklet::Scratch scratch;
    REQUIRE(scratch.reserve(layer.scratch_size(m)).ok());
    if (with_residual)
        layer.forward_residual(view(x, m, in), view(residual, m, out), {y.data(), m, out}, scratch);
    else
        layer.forward(view(x, m, in), {y.data(), m, out}, activation);
    return y;
}

template <class T, std::ptrdiff_t In, std::ptrdiff_t Hidden>
std::vector<T> run_gru(bool with_biases) {
    Random random(12);
    const std::size_t steps = 6, in = 4, hidden = 8;
    const auto ih = row_of<T>(random, 3 * hidden * in), hh = row_of<T>(random, 3 * hidden * hidden),
               b_ih = row_of<T>(random, 3 * hidden), b_hh = row_of<T>(random, 3 * hidden),
               x = row_of<T>(random, steps * in), initial = row_of<T>(random, hidden);
    Gru<T, In, Hidden> gru;
    const std::span<const T> none;
    REQUIRE(gru.assign(view(ih, 3 * hidden, in), view(hh, 3 * hidden, hidden),
                       with_biases ? std::span<const T>(b_ih) : none, with_biases ? std::span<const T>(b_hh) : none)
                .ok());
    Scratch scratch = scratch_of(gru.scratch_size(steps));
    std::vector<T> states(steps * hidden);
    gru.forward(view(x, steps, in), initial.data(), {states.data(), steps, hidden}, scratch);
    return states;
}

template <class T, std::ptrdiff_t Size>
std::vector<T> run_layer_norm() {
    Random random(13);
    const auto weight = row_of<T>(random, 8), bias = row_of<T>(random, 8), x = row_of<T>(random, 3 * 8);
    LayerNorm<T, Size> norm;
    REQUIRE(norm.assign(weight, bias, T(1e-5)).ok());
    std::vector<T> y(3 * 8);
    norm.forward(view(x, 3, 8), {y.data(), 3, 8});
    return y;
}

enum class Weights { plain, bf16, i8 };

template <class T>
Linear<T> random_linear(Random& random, std::size_t in, std::size_t out, Weights kind = Weights::plain) {
    const auto weight = row_of<T>(random, out * in, -0.5f, 0.5f), bias = row_of<T>(random, out);
    Linear<T> layer;
    if constexpr (std::is_same_v<T, float>) {
        if (kind == Weights::bf16) {
            std::vector<std::uint16_t> upper(weight.size());
            for (std::size_t i = 0; i < weight.size(); ++i)
                upper[i] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(weight[i]) >> 16);
            REQUIRE(layer.assign_bf16({upper.data(), out, in}, bias).ok());
            return layer;
        }
        if (kind == Weights::i8) {
            std::vector<std::int8_t> steps(weight.size());
            for (std::size_t i = 0; i < weight.size(); ++i) steps[i] = static_cast<std::int8_t>(weight[i] * 200.0f);
            REQUIRE(layer.assign({steps.data(), out, in}, std::vector<float>(out, 0.005f), bias).ok());
            return layer;
        }
    }
    REQUIRE(layer.assign(view(weight, out, in), bias).ok());
    return layer;
}

/// Texts through one transformer layer, by default two of 3 and 9 tokens.
template <class T>
std::vector<T> run_transformer(std::size_t dim = 12, const std::vector<std::size_t>& offsets = {0, 3, 12},
                               ranklet::Threads threads = 1, Weights kind = Weights::plain) {
    Random random(14);
    const std::size_t inner = dim + 8, tokens = offsets.back();
    const auto linear = [&](std::size_t in, std::size_t out) { return random_linear<T>(random, in, out, kind); };
    const auto norm = [&] {
        const auto weight = row_of<T>(random, dim, 0.5f, 1.5f), bias = row_of<T>(random, dim);
        LayerNorm<T> layer;
        REQUIRE(layer.assign(weight, bias, T(1e-5)).ok());
        return layer;
    };
    SelfAttention<T> attention;
    auto qkv = linear(dim, 3 * dim);
    auto output = linear(dim, dim);
    REQUIRE(attention.assign(std::move(qkv), std::move(output), 3).ok());
    auto attention_norm = norm();
    auto up = linear(dim, inner);
    auto down = linear(inner, dim);
    auto output_norm = norm();
    TransformerLayer<T> layer;
    REQUIRE(layer
                .assign(std::move(attention), std::move(attention_norm), std::move(up), std::move(down),
                        std::move(output_norm), Activation::gelu)
                .ok());
    std::vector<T> x = row_of<T>(random, tokens * dim, -2.0f, 2.0f);
    std::size_t longest = 0;
    for (std::size_t t = 1; t < offsets.size(); ++t) longest = std::max(longest, offsets[t] - offsets[t - 1]);
    Scratch scratch = scratch_of(layer.scratch_size(tokens, longest, threads));
    layer.forward({x.data(), tokens, dim}, offsets, scratch, threads);
    return x;
}

/// Two GRU layers: five steps of one sequence, then one step of three sequences.
std::vector<float> run_gru_stack(ranklet::Threads threads, Weights kind) {
    Random random(16);
    const std::size_t hidden = 160, steps = 5, sequences = 3;
    std::vector<Gru<float>> layers(2);
    for (auto& layer : layers) {
        auto from_input = random_linear<float>(random, hidden, 3 * hidden, kind);
        auto from_state = random_linear<float>(random, hidden, 3 * hidden, kind);
        REQUIRE(layer.assign(std::move(from_input), std::move(from_state)).ok());
    }
    GruStack<float> stack;
    REQUIRE(stack.assign(std::move(layers)).ok());
    Scratch scratch = scratch_of(std::max(stack.scratch_size(steps), stack.step_scratch_size(sequences)));
    const std::vector<float> x = row_of<float>(random, steps * hidden), projected = row_of<float>(random, 3 * hidden);
    std::vector<float> state(2 * hidden), result(steps * hidden), many = row_of<float>(random, sequences * 2 * hidden);
    stack.forward(view(x, steps, hidden), state, {result.data(), steps, hidden}, scratch, threads);
    const std::vector<const float*> inputs(sequences, projected.data());
    stack.step(inputs.data(), {many.data(), sequences, 2 * hidden}, scratch, threads);
    result.insert(result.end(), state.begin(), state.end());
    result.insert(result.end(), many.begin(), many.end());
    return result;
}

void check_close(const std::vector<float>& single, const std::vector<double>& exact) {
    REQUIRE(single.size() == exact.size());
    for (std::size_t i = 0; i < single.size(); ++i) CHECK(std::abs(static_cast<double>(single[i]) - exact[i]) <= 1e-5);
}

constexpr std::ptrdiff_t dynamic = ranklet::dynamic;

}  // namespace

TEST_CASE("layers of fixed sizes have the bits of those sized at run time") {
    for (const bool bias : {false, true}) {
        for (const bool residual : {false, true})
            CHECK(same_bits(run_linear<float, 4, 8>(Activation::gelu, bias, residual),
                            run_linear<float, dynamic, dynamic>(Activation::gelu, bias, residual)));
        CHECK(same_bits(run_gru<float, 4, 8>(bias), run_gru<float, dynamic, dynamic>(bias)));
    }
    CHECK(same_bits(run_layer_norm<float, 8>(), run_layer_norm<float, dynamic>()));
}

TEST_CASE("layers in double precision agree with single precision to 1e-5") {
    for (const bool bias : {false, true}) {
        for (const Activation activation : {Activation::identity, Activation::gelu, Activation::gelu_tanh,
                                            Activation::relu, Activation::silu, Activation::sigmoid, Activation::tanh})
            check_close(run_linear<float, dynamic, dynamic>(activation, bias, false),
                        run_linear<double, dynamic, dynamic>(activation, bias, false));
        check_close(run_linear<float, 4, 8>(Activation::identity, bias, true),
                    run_linear<double, 4, 8>(Activation::identity, bias, true));
        check_close(run_gru<float, dynamic, dynamic>(bias), run_gru<double, dynamic, dynamic>(bias));
        check_close(run_gru<float, 4, 8>(bias), run_gru<double, 4, 8>(bias));
    }
    check_close(run_layer_norm<float, dynamic>(), run_layer_norm<double, dynamic>());
    check_close(run_transformer<float>(), run_transformer<double>());
}

TEST_CASE("a layer of fixed size refuses other shapes, naming what does not fit") {
    const std::vector<float> numbers(3 * 9 * 9, 0.5f);
    Linear<float, 4, 8> linear;
    check_refused(linear.assign(view(numbers, 8, 5)), "input is fixed at 4, not 5");
    check_refused(linear.assign(view(numbers, 7, 4)), "output is fixed at 8, not 7");
    Gru<float, 4, 8> gru;
    check_refused(gru.assign(view(numbers, 24, 5), view(numbers, 24, 8)), "fixed at 4, not 5");
    check_refused(gru.assign(view(numbers, 27, 4), view(numbers, 27, 9)), "fixed at 24, not 27");
    LayerNorm<float, 8> norm;
    const std::span<const float> nine(numbers.data(), 9);
    check_refused(norm.assign(nine, nine, 1e-5f), "fixed at 8, not 9");
}

TEST_CASE("a layer refuses parts that contradict each other, naming the sizes") {
    const std::vector<float> numbers(1000, 0.5f);
    const auto some = [&](std::size_t n) { return std::span<const float>(numbers.data(), n); };
    Linear<> linear;
    check_refused(linear.assign(view(numbers, 0, 4)), "at least one");
    check_refused(linear.assign(view(numbers, 4, 0)), "at least one");
    check_refused(linear.assign(view(numbers, 8, 4), some(7)), "8 outputs got a bias of 7");

    Gru<> gru;
    check_refused(gru.assign(view(numbers, 24, 4), view(numbers, 24, 7)), "[24, 7]");
    check_refused(gru.assign(view(numbers, 21, 4), view(numbers, 24, 8)), "[21, 4]");
    check_refused(gru.assign(view(numbers, 24, 4), view(numbers, 24, 8), some(23)), "bias of 23");
    check_refused(gru.assign(view(numbers, 24, 4), view(numbers, 24, 8), {}, some(25)), "bias of 25");
    check_refused(gru.assign(view(numbers, 0, 0), view(numbers, 0, 0)), "at least one");

    LayerNorm<> norm;
    check_refused(norm.assign({}, {}, 1e-5f), "0 weights");
    check_refused(norm.assign(some(4), some(5), 1e-5f), "4 weights and 5 biases");
    check_refused(norm.assign(some(4), some(4), -1.0f), "epsilon");
    check_refused(norm.assign(some(4), some(4), quiet_nan), "epsilon");
}

TEST_CASE("a linear layer of parts has the bits of one made of the whole; parts that do not fit are refused") {
    Random random(53);
    const std::size_t m = 3, in = 10, out = 71, cut = 37;
    const auto weight = random.row(out * in), bias = random.row(out), x = random.row(m * in), scale = random.row(out);
    std::vector<std::int8_t> steps(out * in);
    for (auto& v : steps) v = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
    for (const bool is_i8 : {false, true}) {
        Linear<> whole, cut_in_two;
        ranklet::WeightBlock block(is_i8 ? std::size_t{8} << 20 : 0);  // or memory of its own
        if (is_i8) {
            REQUIRE(whole.assign({steps.data(), out, in}, scale, bias).ok());
            const MatrixView<const std::int8_t> parts[] = {{steps.data(), cut, in},
                                                           {steps.data() + cut * in, out - cut, in}};
            REQUIRE(cut_in_two.assign_parts(parts, scale, bias, block).ok());
        } else {
            REQUIRE(whole.assign(view(weight, out, in), bias).ok());
            const MatrixView<const float> parts[] = {{weight.data(), cut, in},
                                                     {weight.data() + cut * in, out - cut, in}};
            REQUIRE(cut_in_two.assign_parts(parts, bias, block).ok());
        }
        CHECK(cut_in_two.out() == out);
        Scratch scratch = scratch_of(whole.scratch_size(m));
        std::vector<float> y(m * out), z(m * out);
        whole.forward(view(x, m, in), {y.data(), m, out}, scratch);
        cut_in_two.forward(view(x, m, in), {z.data(), m, out}, scratch);
        CHECK(same_bits(y, z));
    }
    std::vector<std::uint16_t> halves;
    for (const float v : weight) halves.push_back(ranklet::f32_to_bf16(v));
    const MatrixView<const std::uint16_t> half_parts[] = {{halves.data(), cut, in},
                                                          {halves.data() + cut * in, out - cut, in}};
    Linear<> half, half_of_parts;
    ranklet::WeightBlock none;
    REQUIRE(half.assign_bf16({halves.data(), out, in}, bias).ok());
    REQUIRE(half_of_parts.assign_bf16_parts(half_parts, bias, none).ok());
    Scratch scratch = scratch_of(half.scratch_size(m));
    std::vector<float> y(m * out), z(m * out);
    half.forward(view(x, m, in), {y.data(), m, out}, scratch);
    half_of_parts.forward(view(x, m, in), {z.data(), m, out}, scratch);
    CHECK(same_bits(y, z));
    const auto twice = row_of<double>(random, 8 * 3), times = row_of<double>(random, 3);
    const MatrixView<const double> doubles[] = {{twice.data(), 5, 3}, {twice.data() + 15, 3, 3}};
    Linear<double> one, two;
    REQUIRE(one.assign(view(twice, 8, 3)).ok());
    REQUIRE(two.assign_parts(doubles, {}, none).ok());
    std::vector<double> a(8), b(8);
    one.forward(view(times, 1, 3), {a.data(), 1, 8});
    two.forward(view(times, 1, 3), {b.data(), 1, 8});
    CHECK(a == b);
    Linear<> wrong;
    const MatrixView<const float> unlike[] = {{weight.data(), 2, 4}, {weight.data(), 2, 5}};
    check_refused(wrong.assign_parts(unlike, {}, none), "differ in their inputs");
    check_refused(wrong.assign_parts(std::span<const MatrixView<const float>>(), {}, none), "at least one input");
    const MatrixView<const std::int8_t> gaps[] = {{steps.data(), 2, 4}, {steps.data(), 2, 4, 5}};
    check_refused(wrong.assign_parts(gaps, std::span<const float>(scale).first(4), {}, none), "without gaps");
}

TEST_CASE("attention and transformer layers refuse projections that do not fit") {
    const std::vector<float> numbers(1000, 0.5f);
    const auto linear = [&](std::size_t in, std::size_t out) {
        Linear<> layer;
        REQUIRE(layer.assign(view(numbers, out, in)).ok());
        return layer;
    };
    const auto norm = [&](std::size_t n) {
        LayerNorm<> layer;
        REQUIRE(layer.assign({numbers.data(), n}, {numbers.data(), n}, 1e-5f).ok());
        return layer;
    };
    const auto attention = [&](std::size_t heads) {
        SelfAttention<> layer;
        return layer.assign(linear(8, 24), linear(8, 8), heads);
    };
    CHECK(attention(2).ok());
    check_refused(attention(0), "0 heads");
    check_refused(attention(3), "8 does not split into 3 heads");
    SelfAttention<> wrong;
    check_refused(wrong.assign(linear(8, 16), linear(8, 8), 2), "do not fit");
    check_refused(wrong.assign(linear(8, 24), linear(8, 9), 2), "do not fit");
    check_refused(wrong.assign(linear(8, 24), linear(7, 8), 2), "do not fit");

    const auto transformer = [&](std::size_t norm1, std::size_t up_in, std::size_t up_out, std::size_t down_in,
                                 std::size_t down_out, std::size_t norm2) {
        SelfAttention<> part;
        REQUIRE(part.assign(linear(8, 24), linear(8, 8), 2).ok());
        TransformerLayer<> layer;
        return layer.assign(std::move(part), norm(norm1), linear(up_in, up_out), linear(down_in, down_out), norm(norm2),
                            Activation::gelu);
    };
    CHECK(transformer(8, 8, 10, 10, 8, 8).ok());
    check_refused(transformer(7, 8, 10, 10, 8, 8), "do not fit");
    check_refused(transformer(8, 9, 10, 10, 8, 8), "do not fit");
    check_refused(transformer(8, 8, 10, 11, 8, 8), "do not fit");
    check_refused(transformer(8, 8, 10, 10, 9, 8), "do not fit");
    check_refused(transformer(8, 8, 10, 10, 8, 9), "do not fit");
}

TEST_CASE("a stack of GRUs refuses no layers and layers that do not chain") {
    const std::vector<float> numbers(1000, 0.5f);
    const auto gru = [&](std::size_t in, std::size_t hidden) {
        Gru<> layer;
        REQUIRE(layer.assign(view(numbers, 3 * hidden, in), view(numbers, 3 * hidden, hidden)).ok());
        return layer;
    };
    const auto stack = [&](const std::vector<std::pair<std::size_t, std::size_t>>& sizes) {
        std::vector<Gru<>> layers;
        for (const auto& [in, hidden] : sizes) layers.push_back(gru(in, hidden));
        GruStack<> result;
        return result.assign(std::move(layers));
    };
    CHECK(stack({{5, 8}, {8, 8}, {8, 8}}).ok());
    check_refused(stack({}), "at least one layer");
    check_refused(stack({{5, 8}, {5, 8}}), "GRU layer 1");
    check_refused(stack({{5, 8}, {8, 8}, {8, 4}}), "GRU layer 2");
}

namespace {

/// One step of a GRU of 5 elements from 3, of either form, by plain loops.
template <class T, class Gate>
std::vector<T> plain_step(bool reset_before, const std::vector<T>& ih, const std::vector<T>& hh,
                          const std::vector<T>& bias, const std::vector<T>& x, const std::vector<T>& h,
                          const Gate& gate) {
    const std::size_t in = 3, hidden = 5;
    const auto from_input = [&](std::size_t row) {
        T sum = bias[row];
        for (std::size_t i = 0; i < in; ++i) sum += ih[row * in + i] * x[i];
        return sum;
    };
    const auto from_state = [&](std::size_t row, const std::vector<T>& state) {
        T sum = 0;
        for (std::size_t i = 0; i < hidden; ++i) sum += hh[row * hidden + i] * state[i];
        return sum;
    };
    std::vector<T> reset(hidden), kept(hidden), next(hidden);
    for (std::size_t i = 0; i < hidden; ++i) reset[i] = gate(from_input(i) + from_state(i, h));
    for (std::size_t i = 0; i < hidden; ++i) kept[i] = reset[i] * h[i];
    for (std::size_t i = 0; i < hidden; ++i) {
        const std::size_t row = 2 * hidden + i;
        const T update = gate(from_input(hidden + i) + from_state(hidden + i, h));
        const T candidate =
            std::tanh(from_input(row) + (reset_before ? from_state(row, kept) : reset[i] * from_state(row, h)));
        next[i] = (T(1) - update) * candidate + update * h[i];
    }
    return next;
}

template <class T>
void check_gates() {
    for (const auto& [gates, slope] : {std::pair(GateActivation::hard_sigmoid_keras2, T(1) / T(5)),
                                       std::pair(GateActivation::hard_sigmoid_keras3, T(1) / T(6))}) {
        Random random(16);
        const auto ih = row_of<T>(random, 15 * 3, -2.0f, 2.0f), hh = row_of<T>(random, 15 * 5, -2.0f, 2.0f),
                   bias = row_of<T>(random, 15), x = row_of<T>(random, 3, -2.0f, 2.0f), h = row_of<T>(random, 5);
        const auto gate = [slope = slope](T v) { return std::clamp(slope * v + T(0.5), T(0), T(1)); };
        Gru<T> after;
        REQUIRE(after.assign(view(ih, 15, 3), view(hh, 15, 5), bias).ok());
        after.set_gates(gates);
        ResetBeforeGru<T> before;
        REQUIRE(before.assign(view(ih, 15, 3), view(hh, 15, 5), bias).ok());
        before.set_gates(gates);
        Scratch scratch = scratch_of(std::max(after.scratch_size(1), before.step_scratch_size()));
        std::vector<T> found(5);
        const auto check = [&](bool reset_before) {
            const auto expected = plain_step(reset_before, ih, hh, bias, x, h, gate);
            for (std::size_t i = 0; i < 5; ++i) CHECK(std::abs(found[i] - expected[i]) <= T(1e-6));
        };
        after.forward(view(x, 1, 3), h.data(), {found.data(), 1, 5}, scratch);
        check(false);
        before.step(x.data(), h.data(), found.data(), scratch);
        check(true);
    }
}

}  // namespace

TEST_CASE("a GRU's gates may be hard sigmoids, with the reset gate after or before its product, in f32 and f64") {
    check_gates<float>();
    check_gates<double>();
}

TEST_CASE("a stack's steps one at a time, several sequences at once, and one run have the same bits") {
    Random random(15);
    for (const std::size_t layer_count : {1u, 2u, 3u, 4u}) {
        const std::size_t in = 5, hidden = 19, steps = 7, rows = 6;
        std::vector<Gru<>> layers;
        for (std::size_t l = 0; l < layer_count; ++l) {
            const std::size_t width = l == 0 ? in : hidden;
            const auto ih = random.row(3 * hidden * width), hh = random.row(3 * hidden * hidden),
                       b_ih = random.row(3 * hidden), b_hh = random.row(3 * hidden);
            Gru<> layer;
            REQUIRE(layer.assign(view(ih, 3 * hidden, width), view(hh, 3 * hidden, hidden), b_ih, b_hh).ok());
            if (layer_count == 3) layer.set_gates(GateActivation::hard_sigmoid_keras2);
            layers.push_back(std::move(layer));
        }
        GruStack<> stack;
        REQUIRE(stack.assign(std::move(layers)).ok());
        REQUIRE(stack.state_size() == layer_count * hidden);
        Scratch scratch = scratch_of(std::max(stack.scratch_size(steps), stack.step_scratch_size(rows)));

        const std::vector<float> x = random.row(rows * steps * in), start = random.row(stack.state_size());
        std::vector<float> together(rows * stack.state_size());
        for (std::size_t r = 0; r < rows; ++r)
            std::copy(start.begin(), start.end(),
                      together.begin() + static_cast<std::ptrdiff_t>(r * stack.state_size()));
        std::vector<float> projected(rows * steps * 3 * hidden);
        stack.layers().front().project_input({x.data(), rows * steps, in}, {projected.data(), rows * steps, 3 * hidden},
                                             scratch);
        for (std::size_t t = 0; t < steps; ++t) {
            std::vector<const float*> inputs;
            for (std::size_t r = 0; r < rows; ++r) inputs.push_back(projected.data() + (r * steps + t) * 3 * hidden);
            stack.step(inputs.data(), {together.data(), rows, stack.state_size()}, scratch);
        }
        for (std::size_t r = 0; r < rows; ++r) {
            std::vector<float> run = start, outputs(steps * hidden);
            stack.forward({x.data() + r * steps * in, steps, in}, run, {outputs.data(), steps, hidden}, scratch);
            CHECK(same_bits(std::span(outputs).last(hidden), stack.top(run)));
            CHECK(same_bits(run, std::span(together).subspan(r * stack.state_size(), stack.state_size())));
            std::vector<float> in_parts = start;
            for (const auto& [first, count] : {std::pair<std::size_t, std::size_t>{0, 3}, {3, 1}, {4, 3}})
                stack.forward({x.data() + (r * steps + first) * in, count, in}, in_parts,
                              {outputs.data(), count, hidden}, scratch);
            CHECK(same_bits(in_parts, run));
        }
    }
}

namespace {

/// An 8-bit matrix: what it stands for is scale[r] * weight[r][i].
struct Small {
    std::vector<std::int8_t> weight;
    std::vector<float> scale, bias;
    Linear<> linear;
    Small(Random& random, std::size_t out, std::size_t in) : weight(out * in), scale(out), bias(random.row(out)) {
        for (auto& w : weight) w = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
        for (float& s : scale) s = random.between(0.001f, 0.01f);
        REQUIRE(linear.assign(ranklet::MatrixView<const std::int8_t>(weight.data(), out, in), scale, bias).ok());
    }
    /// The quantised formula in double: x to whole multiples of max|x| / 127, an exact integer sum, two scales, a bias.
    std::vector<double> apply(const std::vector<float>& x) const {
        float largest = 0.0f;
        for (const float v : x) largest = std::max(largest, std::abs(v));
        std::vector<double> y;
        for (std::size_t o = 0; o < scale.size(); ++o) {
            double sum = 0.0;
            for (std::size_t i = 0; i < x.size() && largest > 0.0f; ++i)
                sum += std::nearbyint(static_cast<double>(x[i]) * 127.0 / static_cast<double>(largest)) *
                       weight[o * x.size() + i];
            y.push_back(sum * static_cast<double>(scale[o]) * static_cast<double>(largest) / 127.0 +
                        static_cast<double>(bias[o]));
        }
        return y;
    }
};

}  // namespace

TEST_CASE(
    "a GRU of 8-bit weights computes the quantised formula, and a step has the same bits however it is asked for") {
    Random random(16);
    for (const auto& sizes : {std::pair<std::size_t, std::size_t>{5, 8}, {24, 19}, {64, 64}, {384, 33}}) {
        const std::size_t in = sizes.first, hidden = sizes.second;
        CAPTURE(hidden);
        const std::size_t steps = 9, rows = 6;
        Small ih(random, 3 * hidden, in), hh(random, 3 * hidden, hidden);
        Gru<> gru;
        REQUIRE(gru.assign(std::move(ih.linear), std::move(hh.linear)).ok());
        CHECK(gru.input_scratch_size(steps) > 0);
        std::vector<float> x = random.row(rows * steps * in);
        std::fill_n(x.begin() + static_cast<std::ptrdiff_t>(2 * in), in, 0.0f);  // an event of zeros
        const std::vector<float> start(hidden, 0.0f);
        std::vector<float> states(steps * hidden);
        Scratch scratch = scratch_of(gru.scratch_size(steps));
        gru.forward({x.data(), steps, in}, start.data(), {states.data(), steps, hidden}, scratch);

        const auto sigmoid = [](double v) { return 1.0 / (1.0 + std::exp(-v)); };
        std::vector<float> before = start;
        for (std::size_t t = 0; t < steps; ++t) {  // each step from the states as found, so that errors do not add up
            const auto first = x.begin() + static_cast<std::ptrdiff_t>(t * in);
            const auto a = ih.apply({first, first + static_cast<std::ptrdiff_t>(in)}), b = hh.apply(before);
            for (std::size_t j = 0; j < hidden; ++j) {
                const double reset = sigmoid(a[j] + b[j]), update = sigmoid(a[hidden + j] + b[hidden + j]);
                const double fresh = std::tanh(a[2 * hidden + j] + reset * b[2 * hidden + j]);
                const double expected = fresh + update * (static_cast<double>(before[j]) - fresh);
                CHECK(std::abs(static_cast<double>(states[t * hidden + j]) - expected) < 1e-5);
            }
            before.assign(states.begin() + static_cast<std::ptrdiff_t>(t * hidden),
                          states.begin() + static_cast<std::ptrdiff_t>((t + 1) * hidden));
        }

        // Alone, one step at a time, and among other sequences: the same bits.
        std::vector<Gru<>> layers;
        layers.push_back(std::move(gru));
        GruStack<> stack;
        REQUIRE(stack.assign(std::move(layers)).ok());
        Scratch more = scratch_of(std::max(stack.project_scratch_size(rows * steps), stack.step_scratch_size(rows)));
        std::vector<float> projected(rows * steps * 3 * hidden), together(rows * hidden);
        stack.layers().front().project_input({x.data(), rows * steps, in}, {projected.data(), rows * steps, 3 * hidden},
                                             more);
        for (std::size_t t = 0; t < steps; ++t) {
            std::vector<const float*> inputs;
            for (std::size_t r = 0; r < rows; ++r) inputs.push_back(projected.data() + (r * steps + t) * 3 * hidden);
            stack.step(inputs.data(), {together.data(), rows, hidden}, more);
            CHECK(same_bits(std::span(together).first(hidden), std::span(states).subspan(t * hidden, hidden)));
        }
    }
}

TEST_CASE("a stack may have 8-bit and f32 layers; a GRU refuses maps that do not fit, of any kind") {
    Random random(17);
    Small ih(random, 24, 5), hh(random, 24, 8), wrong(random, 24, 7);
    Gru<> small, full, none;
    check_refused(none.assign(std::move(wrong.linear), Linear<>()), "do not fit");
    REQUIRE(small.assign(std::move(ih.linear), std::move(hh.linear)).ok());
    const auto wide = random.row(24 * 8);
    REQUIRE(full.assign(view(wide, 24, 8), view(wide, 24, 8)).ok());
    std::vector<Gru<>> layers;
    layers.push_back(std::move(small));
    layers.push_back(std::move(full));
    GruStack<> stack;
    REQUIRE(stack.assign(std::move(layers)).ok());
    const auto x = random.row(4 * 5);
    std::vector<float> run(16, 0.0f), outputs(4 * 8), live(16, 0.0f), projected(24);
    Scratch scratch = scratch_of(std::max(stack.scratch_size(4), stack.step_scratch_size(1)));
    stack.forward({x.data(), 4, 5}, run, {outputs.data(), 4, 8}, scratch);
    for (std::size_t t = 0; t < 4; ++t) {
        stack.layers().front().project_input({x.data() + t * 5, 1, 5}, {projected.data(), 1, 24}, scratch);
        const float* input = projected.data();
        stack.step(&input, {live.data(), 1, 16}, scratch);
    }
    CHECK(same_bits(live, run));
    CHECK(run[15] != 0.0f);
}

TEST_CASE("threads that share a product's outputs or a text's heads change no bit") {
    for (const Weights kind : {Weights::plain, Weights::bf16, Weights::i8}) {
        CAPTURE(static_cast<int>(kind));
        Random random(15);
        const std::size_t m = 70, in = 128, out = 331;  // enough for eleven threads; the last panel is a part
        const Linear<float> layer = random_linear<float>(random, in, out, kind);
        const std::vector<float> x = row_of<float>(random, m * in), residual = row_of<float>(random, m * out);
        const auto run = [&](ranklet::Threads threads, bool with_residual) {
            Scratch scratch = scratch_of(layer.scratch_size(m));
            std::vector<float> y(m * out);
            if (with_residual)
                layer.forward_residual(view(x, m, in), view(residual, m, out), {y.data(), m, out}, scratch, threads);
            else
                layer.forward(view(x, m, in), {y.data(), m, out}, scratch, Activation::gelu, threads);
            return y;
        };
        const std::vector<float> alone = run(1, false), added = run(1, true);
        const std::vector<std::size_t> offsets{0, 1, 90, 97, 180};
        const std::vector<float> states = run_transformer<float>(96, offsets, 1, kind);
        const std::vector<float> gru_states = run_gru_stack(1, kind);
        for (const std::size_t threads : {2u, 3u, 5u, 11u, 64u}) {
            CAPTURE(threads);
            CHECK(same_bits(run(finely(threads), false), alone));
            CHECK(same_bits(run(finely(threads), true), added));
            CHECK(same_bits(run_transformer<float>(96, offsets, finely(threads), kind), states));
            CHECK(same_bits(run_gru_stack(finely(threads), kind), gru_states));
        }
    }
}
