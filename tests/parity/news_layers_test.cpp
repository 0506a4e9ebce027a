// Convolution, attention pooling, attention without output projection and Keras's GRU against PyTorch
// (goldens/layers.gguf), each trap of these layers by name.
#include <cmath>
#include <limits>

#include "parity/golden.hpp"
#include "ranklet/kernels/ops_eigen.hpp"
#include "ranklet/layers/attention_pooling.hpp"
#include "ranklet/layers/conv1d.hpp"
#include "ranklet/layers/gru.hpp"
#include "ranklet/layers/head_attention.hpp"
#include "ranklet/layers/reset_before_gru.hpp"

namespace {

using namespace parity;
using ranklet::Matrix;
using Pooling = ranklet::AttentionPooling<>;

const Golden& layers() {
    static const Golden golden("layers.gguf");
    return golden;
}

std::vector<std::string> cases(const std::string& name, const std::string& tensor) {
    std::vector<std::string> found;
    while (layers().has(name + "." + std::to_string(found.size()) + "." + tensor))
        found.push_back(name + "." + std::to_string(found.size()) + ".");
    REQUIRE(!found.empty());
    return found;
}

std::vector<std::size_t> lengths(const std::string& prefix) {
    std::vector<std::size_t> found;
    for (std::size_t length = 1; length <= 64; ++length)
        if (layers().has(prefix + "input_" + std::to_string(length))) found.push_back(length);
    REQUIRE(!found.empty());
    return found;
}

template <class Layer, class... Arguments>
Layer made(Arguments&&... arguments) {
    Layer layer;
    const auto status = layer.assign(std::forward<Arguments>(arguments)...);
    REQUIRE_MESSAGE(status.ok(), (status.ok() ? std::string() : status.error().message));
    return layer;
}

ranklet::Linear<> linear(const std::string& prefix) {
    return made<ranklet::Linear<>>(layers().matrix(prefix + ".weight").view(),
                                   layers().optional_vector(prefix + ".bias"));
}

/// PyTorch's [out, in, width] as [out, width * in].
ranklet::Conv1d<> conv1d(const std::string& prefix) {
    const auto tensor = take(layers().file().tensor(prefix + "weight"));
    const auto out = static_cast<std::size_t>(tensor.dims[0]), in = static_cast<std::size_t>(tensor.dims[1]),
               width = static_cast<std::size_t>(tensor.dims[2]);
    const std::vector<float> given = layers().vector(prefix + "weight");
    Matrix taps = zeros(out, width * in);
    for (std::size_t o = 0; o < out; ++o)
        for (std::size_t i = 0; i < in; ++i)
            for (std::size_t k = 0; k < width; ++k) taps.row(o)[k * in + i] = given[(o * in + i) * width + k];
    const auto padding = take(layers().file().i32s(prefix + "padding"));
    const ranklet::ConvPadding zeros_around{static_cast<std::size_t>(padding[0]), static_cast<std::size_t>(padding[1])};
    return made<ranklet::Conv1d<>>(made<ranklet::Linear<>>(taps.view(), layers().vector(prefix + "bias")), width,
                                   zeros_around);
}

Pooling pooling(const std::string& prefix) {
    const auto form = take(layers().file().string(prefix + "form"));
    const ranklet::AttentionWeights weights{take(layers().file().boolean(prefix + "softmax")),
                                            take(layers().file().f32(prefix + "epsilon"))};
    if (form == "dot") return take(Pooling::dot(layers().vector(prefix + "query").size(), weights));
    if (form == "bilinear") return take(Pooling::bilinear(linear(prefix + "query_map"), weights));
    std::optional<ranklet::Linear<>> query;
    if (layers().has(prefix + "query_map.weight")) query = linear(prefix + "query_map");
    const auto activation = take(ranklet::read_activation(layers().reader(), prefix + "activation"));
    return take(Pooling::additive(linear(prefix + "keys"), std::move(query), layers().vector(prefix + "v"), activation,
                                  weights));
}

}  // namespace

TEST_CASE("a convolution agrees with PyTorch: widths 1 to 5, no padding, 'same' padding at a text's edges, symmetric") {
    for (const auto& prefix : cases("conv1d", "weight")) {
        const ranklet::Conv1d<> layer = conv1d(prefix);
        for (const std::size_t length : lengths(prefix)) {
            const Matrix input = layers().matrix(prefix + "input_" + std::to_string(length));
            const Matrix expected = layers().matrix(prefix + "output_" + std::to_string(length));
            REQUIRE(layer.outputs(length) == expected.rows());
            Matrix output = zeros(expected.rows(), expected.cols());
            auto scratch = scratch_of(layer.scratch_size(length));
            layer.forward(input.view(), output.view(), scratch, ranklet::Activation::relu);
            check_close(flat(output), flat(expected), prefix + std::to_string(length));
        }
    }
}

TEST_CASE("a convolution over rows with gaps is that over rows without") {
    const ranklet::Conv1d<> layer = conv1d("conv1d.1.");
    const Matrix input = layers().matrix("conv1d.1.input_6");
    Matrix wide = zeros(6, input.cols() + 3);
    for (std::size_t r = 0; r < 6; ++r) std::copy(input.row(r).begin(), input.row(r).end(), wide.row(r).begin());
    Matrix a = zeros(layer.outputs(6), layer.out()), b = zeros(layer.outputs(6), layer.out());
    auto scratch = scratch_of(layer.scratch_size(6));
    layer.forward(input.view(), a.view(), scratch);
    layer.forward({wide.view().data, 6, input.cols(), wide.cols()}, b.view(), scratch);
    CHECK(std::equal(flat(a).begin(), flat(a).end(), flat(b).begin()));
}

TEST_CASE("a text shorter than a window without padding has no outputs") {
    const ranklet::Conv1d<> layer = conv1d("conv1d.5.");
    CHECK(layer.outputs(0) == 0);
    CHECK(layer.outputs(2) == 0);
    CHECK(layer.outputs(3) == 1);
}

TEST_CASE("an even width has its odd zero of 'same' padding behind the text") {
    CHECK(ranklet::ConvPadding::same(4).left == 1);
    CHECK(ranklet::ConvPadding::same(4).right == 2);
    CHECK(ranklet::ConvPadding::same(1).left + ranklet::ConvPadding::same(1).right == 0);
}

TEST_CASE("attention pooling agrees with PyTorch: additive, with a query, without softmax, dot, bilinear, masks") {
    for (const auto& prefix : cases("attention_pooling", "input_1")) {
        const Pooling layer = pooling(prefix);
        const auto query = layers().optional_vector(prefix + "query");
        REQUIRE(query.size() == layer.query_dim());
        for (const std::size_t length : lengths(prefix)) {
            const std::string n = std::to_string(length);
            const Matrix input = layers().matrix(prefix + "input_" + n);
            std::vector<float> output(layer.dim()), weights(length);
            auto scratch = scratch_of(layer.scratch_size(length));
            layer.forward(input.view(), query.data(), {}, output.data(), weights.data(), scratch);
            check_close(weights, layers().vector(prefix + "weights_" + n), prefix + "weights " + n);
            check_close(output, layers().vector(prefix + "output_" + n), prefix + "output " + n);
            std::vector<std::uint8_t> mask;
            for (const float m : layers().vector(prefix + "mask_" + n)) mask.push_back(m != 0.0f);
            layer.forward(input.view(), query.data(), mask, output.data(), nullptr, scratch);
            check_close(output, layers().vector(prefix + "masked_" + n), prefix + "masked " + n);
        }
    }
}

TEST_CASE("a masked row changes nothing, whatever is in it, and gets weight 0") {
    const Pooling layer = pooling("attention_pooling.0.");
    Matrix input = layers().matrix("attention_pooling.0.input_9");
    std::vector<std::uint8_t> mask(9, 1);
    mask[4] = 0;
    std::vector<float> before(layer.dim()), after(layer.dim()), weights(9);
    auto scratch = scratch_of(layer.scratch_size(9));
    layer.forward(input.view(), nullptr, mask, before.data(), nullptr, scratch);
    for (float& x : input.row(4)) x = std::numeric_limits<float>::quiet_NaN();
    layer.forward(input.view(), nullptr, mask, after.data(), weights.data(), scratch);
    CHECK(before == after);
    CHECK(weights[4] == 0.0f);
}

TEST_CASE("all rows masked, or none there: the zero vector, with and without epsilon, never NaN") {
    for (const std::string name : {"attention_pooling.0.", "attention_pooling.2.", "attention_pooling.3."}) {
        const Pooling layer = pooling(name);
        const auto query = layers().optional_vector(name + "query");
        const Matrix input = layers().matrix(name + "input_9");
        const std::vector<std::uint8_t> mask(9, 0);
        std::vector<float> output(layer.dim(), 1.0f), weights(9, 1.0f);
        auto scratch = scratch_of(layer.scratch_size(9));
        layer.forward(input.view(), query.data(), mask, output.data(), weights.data(), scratch);
        CHECK(output == std::vector<float>(layer.dim()));
        CHECK(weights == std::vector<float>(9));
        output.assign(layer.dim(), 1.0f);
        layer.forward({input.view().data, 0, layer.dim()}, query.data(), {}, output.data(), nullptr, scratch);
        CHECK(output == std::vector<float>(layer.dim()));
    }
}

TEST_CASE("scores that overflow exp without the maximum taken out still give finite weights") {
    const auto layer = take(Pooling::dot(1, {true, 1e-7f}));
    const std::vector<float> x{1.0f, 0.5f}, query{200.0f};
    std::vector<float> output(1), weights(2);
    auto scratch = scratch_of(layer.scratch_size(2));
    layer.forward({x.data(), 2, 1}, query.data(), {}, output.data(), weights.data(), scratch);
    CHECK(weights[0] == doctest::Approx(1.0f));
    CHECK(std::isfinite(output[0]));
    // and very low ones lose to the epsilon, as exp(s) / (0 + 1e-7) says
    const std::vector<float> low{-200.0f};
    layer.forward({x.data(), 2, 1}, low.data(), {}, output.data(), weights.data(), scratch);
    CHECK(weights[0] < 1e-30f);
}

TEST_CASE("self-attention without output projection, heads x head size unlike the width, agrees with PyTorch") {
    for (const auto& prefix : cases("head_attention", "q.weight")) {
        const Matrix query = layers().matrix(prefix + "q.weight");
        const std::size_t out = query.rows(), in = query.cols();
        Matrix weight = zeros(3 * out, in);
        std::vector<float> bias;
        for (std::size_t p = 0; p < 3; ++p) {
            const std::string part = prefix + std::string(1, "qkv"[p]);
            std::copy_n(layers().matrix(part + ".weight").view().data, out * in, weight.view().data + p * out * in);
            const auto one = layers().optional_vector(part + ".bias");
            bias.insert(bias.end(), one.begin(), one.end());
        }
        const auto layer = made<ranklet::HeadAttention<>>(made<ranklet::Linear<>>(weight.view(), bias),
                                                          layers().u32(prefix + "heads"));
        CHECK(layer.in() == in);
        CHECK(layer.out() == out);
        // All texts packed: none sees another.
        std::vector<float> packed, expected;
        std::vector<std::size_t> offsets{0};
        for (const std::size_t length : lengths(prefix)) {
            const auto input = layers().vector(prefix + "input_" + std::to_string(length));
            const auto output = layers().vector(prefix + "output_" + std::to_string(length));
            packed.insert(packed.end(), input.begin(), input.end());
            expected.insert(expected.end(), output.begin(), output.end());
            offsets.push_back(offsets.back() + length);
        }
        offsets.insert(offsets.begin() + 1, 0);  // an empty text
        Matrix found = zeros(offsets.back(), out);
        auto scratch = scratch_of(layer.scratch_size(offsets.back(), 40));
        layer.forward({packed.data(), offsets.back(), in}, offsets, found.view(), scratch);
        check_close(flat(found), expected, prefix);
    }
}

TEST_CASE("Keras's GRU: reset_after false and true, none, one and two biases, gates exchanged from z, r, h") {
    for (const auto& prefix : cases("keras_gru", "kernel")) {
        const Matrix kernel = layers().matrix(prefix + "kernel"),
                     recurrent = layers().matrix(prefix + "recurrent_kernel");
        const std::size_t in = kernel.rows(), hidden = recurrent.rows();
        const auto ours = [&](std::size_t row) {  // our row of gates r, z, n -> Keras's column of z, r, h
            return row < hidden ? row + hidden : row < 2 * hidden ? row - hidden : row;
        };
        Matrix weight_ih = zeros(3 * hidden, in), weight_hh = zeros(3 * hidden, hidden);
        for (std::size_t r = 0; r < 3 * hidden; ++r) {
            for (std::size_t i = 0; i < in; ++i) weight_ih.row(r)[i] = kernel.row(i)[ours(r)];
            for (std::size_t i = 0; i < hidden; ++i) weight_hh.row(r)[i] = recurrent.row(i)[ours(r)];
        }
        std::vector<std::vector<float>> biases(2);
        if (layers().has(prefix + "bias")) {
            const Matrix given = layers().matrix(prefix + "bias");
            for (std::size_t b = 0; b < given.rows(); ++b)
                for (std::size_t r = 0; r < 3 * hidden; ++r) biases[b].push_back(given.row(b)[ours(r)]);
        }
        const Matrix input = layers().matrix(prefix + "input"), expected = layers().matrix(prefix + "states");
        std::vector<float> state = layers().vector(prefix + "initial");
        if (take(layers().file().boolean(prefix + "reset_after"))) {
            const auto gru = made<ranklet::Gru<>>(weight_ih.view(), weight_hh.view(), biases[0], biases[1]);
            Matrix states = zeros(expected.rows(), hidden);
            auto scratch = scratch_of(gru.scratch_size(input.rows()));
            gru.forward(input.view(), state.data(), states.view(), scratch);
            check_close(flat(states), flat(expected), prefix);
        } else {
            const auto gru = made<ranklet::ResetBeforeGru<>>(weight_ih.view(), weight_hh.view(), biases[0]);
            auto scratch = scratch_of(gru.step_scratch_size());
            for (std::size_t i = 0; i < input.rows(); ++i) {
                gru.step(input.row(i).data(), state.data(), state.data(), scratch);
                check_close(state, expected.row(i), prefix + "step " + std::to_string(i));
            }
        }
    }
}

TEST_CASE("parts that do not fit together are errors") {
    const auto three = [] { return linear("linear.2"); };  // 7 -> 3
    ranklet::Conv1d<> conv;
    CHECK_FALSE(conv.assign(three(), 2, {}).ok());
    CHECK_FALSE(conv.assign(three(), 0, {}).ok());
    CHECK_FALSE(conv.assign(three(), 7, {7, 0}).ok());
    CHECK(conv.assign(three(), 7, {}).ok());
    ranklet::HeadAttention<> attention;
    CHECK_FALSE(attention.assign(three(), 2).ok());
    CHECK_FALSE(attention.assign(three(), 0).ok());
    CHECK(attention.assign(three(), 1).ok());
    const std::vector<float> v(2);
    CHECK_FALSE(Pooling::additive(three(), std::nullopt, v).ok());
    CHECK_FALSE(Pooling::dot(0).ok());
    CHECK_FALSE(Pooling::dot(3, {true, -1.0f}).ok());
    CHECK_FALSE(Pooling::dot(3, {true, std::numeric_limits<float>::quiet_NaN()}).ok());
    ranklet::ResetBeforeGru<> gru;
    const Matrix two = zeros(6, 2);
    CHECK_FALSE(gru.assign(two.view(), zeros(6, 3).view()).ok());
    CHECK(gru.assign(two.view(), two.view()).ok());
}

TEST_CASE("the layers in double precision agree with those in single") {
    const Matrix input = layers().matrix("attention_pooling.0.input_9"),
                 keys = layers().matrix("attention_pooling.0.keys.weight");
    const auto wide = [](std::span<const float> x) { return std::vector<double>(x.begin(), x.end()); };
    const auto keys_data = wide(flat(keys)), x = wide(flat(input)), v = wide(layers().vector("attention_pooling.0.v"));
    const auto bias = wide(layers().vector("attention_pooling.0.keys.bias"));
    auto map = made<ranklet::Linear<double>>(
        ranklet::MatrixView<const double>(keys_data.data(), keys.rows(), keys.cols()), bias);
    const auto layer = take(ranklet::AttentionPooling<double>::additive(std::move(map), std::nullopt, v));
    std::vector<double> output(layer.dim());
    auto scratch = scratch_of(layer.scratch_size(9));
    layer.forward({x.data(), 9, layer.dim()}, nullptr, {}, output.data(), nullptr, scratch);
    check_close(std::vector<float>(output.begin(), output.end()), layers().vector("attention_pooling.0.output_9"),
                "double");
}
