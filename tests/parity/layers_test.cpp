// Every layer against PyTorch: goldens/layers.gguf holds inputs, weights and PyTorch's outputs.
#include "parity/golden.hpp"
#include "ranklet/encoders/sentence_head.hpp"
#include "ranklet/layers/gru.hpp"
#include "ranklet/layers/layer_norm.hpp"
#include "ranklet/layers/linear.hpp"
#include "ranklet/layers/self_attention.hpp"
#include "ranklet/layers/transformer_layer.hpp"
#include "ranklet/ranking/softmax.hpp"

namespace {

using namespace parity;
using ranklet::Matrix;

const Golden& layers() {
    static const Golden golden("layers.gguf");
    return golden;
}

/// "name.0", "name.1" ... as long as `tensor` exists in them; fails when there is none, so no case goes unseen.
std::vector<std::string> cases(const std::string& name, const std::string& tensor) {
    std::vector<std::string> found;
    while (layers().has(name + "." + std::to_string(found.size()) + "." + tensor))
        found.push_back(name + "." + std::to_string(found.size()) + ".");
    REQUIRE(!found.empty());
    return found;
}

ranklet::Linear<> linear(const std::string& prefix) {
    ranklet::Linear<> layer;
    const auto status =
        layer.assign(layers().matrix(prefix + ".weight").view(), layers().optional_vector(prefix + ".bias"));
    REQUIRE(status.ok());
    return layer;
}

ranklet::LayerNorm<> layer_norm(const std::string& prefix, float epsilon) {
    ranklet::LayerNorm<> layer;
    const auto status = layer.assign(layers().vector(prefix + ".weight"), layers().vector(prefix + ".bias"), epsilon);
    REQUIRE(status.ok());
    return layer;
}

ranklet::SelfAttention<> self_attention(const std::string& prefix, std::size_t heads) {
    const std::size_t dim = layers().matrix(prefix + "q.weight").cols();
    Matrix weight = zeros(3 * dim, dim);
    std::vector<float> bias;
    for (const char* part : {"q", "k", "v"}) {
        const Matrix one = layers().matrix(prefix + part + ".weight");
        std::copy_n(one.view().data, dim * dim, weight.view().data + bias.size() * dim);
        const auto one_bias = layers().vector(prefix + part + ".bias");
        bias.insert(bias.end(), one_bias.begin(), one_bias.end());
    }
    ranklet::Linear<> qkv;
    auto status = qkv.assign(weight.view(), bias);
    REQUIRE(status.ok());
    ranklet::SelfAttention<> attention;
    status = attention.assign(std::move(qkv), linear(prefix + "o"), heads);
    REQUIRE(status.ok());
    return attention;
}

/// The lengths for which `prefix` + "input_LENGTH" exists.
std::vector<std::size_t> lengths(const std::string& prefix) {
    std::vector<std::size_t> found;
    for (std::size_t length = 1; length <= 64; ++length)
        if (layers().has(prefix + "input_" + std::to_string(length))) found.push_back(length);
    REQUIRE(!found.empty());
    return found;
}

}  // namespace

TEST_CASE("a linear layer agrees with PyTorch, with and without a bias") {
    for (const auto& prefix : cases("linear", "input")) {
        const Matrix input = layers().matrix(prefix + "input"), expected = layers().matrix(prefix + "output");
        Matrix output = zeros(expected.rows(), expected.cols());
        linear(prefix.substr(0, prefix.size() - 1)).forward(input.view(), output.view());
        check_close(flat(output), flat(expected), prefix);
    }
}

TEST_CASE("layer norm agrees with PyTorch for both epsilons") {
    for (const auto& prefix : cases("layer_norm", "input"))
        for (const auto& [name, epsilon] : {std::pair{"output_1e-12", 1e-12f}, {"output_1e-5", 1e-5f}}) {
            const Matrix input = layers().matrix(prefix + "input");
            Matrix output = zeros(input.rows(), input.cols());
            layer_norm(prefix.substr(0, prefix.size() - 1), epsilon).forward(input.view(), output.view());
            check_close(flat(output), flat(layers().matrix(prefix + name)), prefix + name);
        }
}

TEST_CASE("activations agree with PyTorch from tiny to huge inputs") {
    for (const char* name : {"gelu", "gelu_tanh", "relu", "silu", "sigmoid", "tanh"}) {
        std::vector<float> x = layers().vector("activation.input");
        ranklet::kernels::Ops<float>::activate(
            take(layers().reader().choose("activation", name, ranklet::activation_names)), x.data(), x.size());
        check_close(x, layers().vector(std::string("activation.") + name), name);
    }
}

TEST_CASE("softmax agrees with PyTorch for large magnitudes and ties") {
    for (const auto& prefix : cases("softmax", "input")) {
        std::vector<float> x = layers().vector(prefix + "input");
        ranklet::softmax(x);
        check_close(x, layers().vector(prefix + "output"), prefix);
    }
}

TEST_CASE("self-attention agrees with PyTorch for several head counts and lengths") {
    for (const auto& prefix : cases("attention", "q.weight")) {
        const auto attention = self_attention(prefix, layers().u32(prefix + "heads"));
        for (const std::size_t length : lengths(prefix)) {
            const Matrix input = layers().matrix(prefix + "input_" + std::to_string(length));
            const Matrix residual = zeros(length, input.cols());
            Matrix output = zeros(length, input.cols());
            auto scratch = scratch_of(attention.scratch_size(length, length));
            const std::vector<std::size_t> offsets{0, length};
            attention.forward(input.view(), offsets, residual.view(), output.view(), scratch);
            check_close(flat(output), flat(layers().matrix(prefix + "output_" + std::to_string(length))),
                        prefix + std::to_string(length));
        }
    }
}

TEST_CASE("a transformer layer agrees with PyTorch, each text of a packed batch by itself") {
    for (const auto& prefix : cases("transformer", "q.weight")) {
        const float epsilon = take(layers().file().f32(prefix + "epsilon"));
        const auto activation = take(ranklet::read_activation(layers().reader(), prefix + "activation"));
        ranklet::TransformerLayer<> layer;
        const auto status = layer.assign(self_attention(prefix, layers().u32(prefix + "heads")),
                                         layer_norm(prefix + "norm1", epsilon), linear(prefix + "up"),
                                         linear(prefix + "down"), layer_norm(prefix + "norm2", epsilon), activation);
        REQUIRE(status.ok());
        // All lengths at once: what one text is must not reach another.
        std::vector<float> packed, expected;
        std::vector<std::size_t> offsets{0};
        std::size_t dim = 0;
        for (const std::size_t length : lengths(prefix)) {
            const Matrix input = layers().matrix(prefix + "input_" + std::to_string(length));
            const Matrix output = layers().matrix(prefix + "output_" + std::to_string(length));
            packed.insert(packed.end(), flat(input).begin(), flat(input).end());
            expected.insert(expected.end(), flat(output).begin(), flat(output).end());
            offsets.push_back(offsets.back() + length);
            dim = input.cols();
        }
        auto scratch = scratch_of(layer.scratch_size(offsets.back(), lengths(prefix).back()));
        layer.forward({packed.data(), offsets.back(), dim}, offsets, scratch);
        check_close(packed, expected, prefix);
    }
}

TEST_CASE("a GRU agrees with PyTorch: one and three layers, each bias by itself, zero and given initial states") {
    for (const auto& prefix : cases("gru", "input")) {
        const Matrix input = layers().matrix(prefix + "input"), expected = layers().matrix(prefix + "states");
        const std::size_t hidden = expected.cols(), steps = expected.rows();
        std::vector<ranklet::Gru<>> parts(layers().u32(prefix + "layers"));
        for (std::size_t l = 0; l < parts.size(); ++l) {
            const std::string suffix = "_l" + std::to_string(l);
            const auto status = parts[l].assign(layers().matrix(prefix + "weight_ih" + suffix).view(),
                                                layers().matrix(prefix + "weight_hh" + suffix).view(),
                                                layers().optional_vector(prefix + "bias_ih" + suffix),
                                                layers().optional_vector(prefix + "bias_hh" + suffix));
            REQUIRE(status.ok());
        }
        ranklet::GruStack<> gru;
        const auto status = gru.assign(std::move(parts));
        REQUIRE(status.ok());
        std::vector<float> initial = layers().optional_vector(prefix + "initial");
        initial.resize(gru.state_size());

        std::vector<float> state = initial;
        Matrix states = zeros(steps, hidden);
        auto scratch = scratch_of(std::max(gru.scratch_size(steps), gru.step_scratch_size(1)));
        gru.forward(input.view(), state, states.view(), scratch);
        check_close(flat(states), flat(expected), prefix + "states");
        check_close(state, layers().vector(prefix + "last"), prefix + "last");

        // One live step at a time ends where the whole run did.
        state = initial;
        Matrix projected = zeros(steps, 3 * hidden);
        gru.layers()[0].project_input(input.view(), projected.view(), scratch);
        for (std::size_t i = 0; i < steps; ++i) {
            const float* row = projected.row(i).data();
            gru.step(&row, {state.data(), 1, state.size()}, scratch);
            check_close(gru.top(state), expected.row(i), prefix + "step");
        }
    }
}

TEST_CASE("every pooling mode agrees with its formula in PyTorch, from one token on") {
    for (const auto& prefix : cases("pooling", "input")) {
        const Matrix input = layers().matrix(prefix + "input");
        std::vector<float> pooled(input.cols());
        for (const char* mode : {"cls", "mean", "max", "mean_sqrt_len", "weighted_mean", "last"}) {
            ranklet::pool(take(layers().reader().choose("pooling", mode, ranklet::pooling_names)), input.view(),
                          pooled.data());
            check_close(pooled, layers().vector(prefix + mode), prefix + mode);
        }
        const auto head = ranklet::SentenceHead::simple(input.cols(), ranklet::Pooling::mean, true);
        auto scratch = scratch_of(head.scratch_size());
        head.forward(input.view(), pooled.data(), scratch);
        check_close(pooled, layers().vector(prefix + "normalized_mean"), prefix + "normalized_mean");
    }
}
