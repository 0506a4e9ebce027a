// Layers from a model file's tensors.
// In: a ModelReader and names. Out: layers that own their weights, packed; every error names file and tensor.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/tensor.hpp"
#include "ranklet/layers/attention_pooling.hpp"
#include "ranklet/layers/conv1d.hpp"
#include "ranklet/layers/gru.hpp"
#include "ranklet/layers/head_attention.hpp"
#include "ranklet/layers/layer_norm.hpp"
#include "ranklet/layers/linear.hpp"
#include "ranklet/layers/norm.hpp"
#include "ranklet/layers/pooling.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN

/// Poolings as model files name them.
inline constexpr std::array<Choice<Pooling>, 6> pooling_names{{{"cls", Pooling::cls},
                                                               {"mean", Pooling::mean},
                                                               {"max", Pooling::max},
                                                               {"mean_sqrt_len", Pooling::mean_sqrt_len},
                                                               {"weighted_mean", Pooling::weighted_mean},
                                                               {"last", Pooling::last}}};

namespace detail {

/// Memory for all matrices of the file, packed, whose names begin with `prefix`.
RANKLET_COLD inline WeightBlock make_block(const GgufFile& file, std::string_view prefix) {
    std::size_t bytes = 0;
    for (const TensorView& tensor : file.tensors()) {
        if (tensor.rows < 2 || tensor.bytes == 0 || !tensor.name.starts_with(prefix)) continue;
        const bool is_kept = tensor.type == TensorType::i8 || tensor.type == TensorType::bf16;
        bytes += is_kept ? tensor.bytes : tensor.rows * tensor.cols * sizeof(float);
    }
    return WeightBlock(bytes);
}

}  // namespace detail

/// The tensors of one linear map; the bias may be absent from the file.
struct LinearNames {
    std::string weight, bias;

    /// NAME.weight and NAME.bias.
    explicit LinearNames(const std::string& name) : weight(name + ".weight"), bias(name + ".bias") {}
    LinearNames(std::string weight_name, std::string bias_name)
        : weight(std::move(weight_name)), bias(std::move(bias_name)) {}
};

/// How a linear map is used.
struct LinearUse {
    /// The layer gives its forward passes a Scratch: small weights may stay small where that makes them round inputs.
    bool with_scratch = false;
    WeightBlock* block = nullptr;  ///< what is packed lies in it; null: in memory of its own
    /// Products with 8-bit weights quantise their inputs with a zero point, after they were multiplied with the first
    /// weight's factors, NAME_factor [in], where it has them.
    bool zero_point = false;
};

namespace detail {

/// At its end the tensors' pages of the file leave the resident memory: what is packed is not read again.
struct PagesReleased {
    const GgufFile& file;
    const std::vector<TensorView>& tensors;
    ~PagesReleased() {
        for (const TensorView& tensor : tensors) file.release_pages(tensor);
    }
};

template <class Stored>
std::vector<MatrixView<const Stored>> stored_parts(std::span<const TensorView> tensors) {
    std::vector<MatrixView<const Stored>> parts;
    for (const TensorView& tensor : tensors)
        parts.emplace_back(reinterpret_cast<const Stored*>(tensor.data), tensor.rows, tensor.cols);
    return parts;
}

/// The scales of 8-bit tensors, one after the other. Error format for a weight of -128 or a scale that is none.
RANKLET_COLD inline Result<std::vector<float>> read_scales(const ModelReader& reader,
                                                           std::span<const LinearNames> names,
                                                           std::span<const TensorView> tensors) {
    std::vector<float> scales;
    for (std::size_t p = 0; p < tensors.size(); ++p) {
        const TensorView& tensor = tensors[p];
        if (std::memchr(tensor.data, 0x80, tensor.rows * tensor.cols) != nullptr)
            return reader.wrong(names[p].weight, {": an 8-bit weight is -128"});
        for (std::size_t r = 0; r < tensor.rows; ++r) {
            scales.push_back(tensor.scale(r));
            if (!(scales.back() >= 0.0f && std::isfinite(scales.back())))
                return reader.wrong(names[p].weight,
                                    {"_scale[", r, "] is ", scales.back(), ", expected a finite number from 0 on"});
        }
    }
    return scales;
}

}  // namespace detail

namespace detail {

/// The factors [in] of 8-bit weights' inputs; empty where the file has none. Error format for what is not above 0.
RANKLET_COLD inline Result<std::vector<float>> read_input_factors(const ModelReader& reader, const std::string& weight,
                                                                  std::size_t in) {
    RANKLET_ASSIGN(auto factors, reader.vector_or_none(weight + "_factor", in));
    for (std::size_t i = 0; i < factors.size(); ++i)
        if (!(factors[i] > 0.0f && std::isfinite(factors[i])))
            return reader.wrong(weight, {"_factor[", i, "] is ", factors[i], ", expected a finite number above 0"});
    return factors;
}

}  // namespace detail

/// Several linear maps over the same input as one, their outputs one after the other: each weight [outs of it, in] and, if it
/// is there, bias. 8-bit weights stay 8-bit when all are, bf16 weights bf16 when all are and `in` is even; where
/// that makes the forward passes round their inputs, only use.with_scratch. Weights are packed straight from the file
/// where it has them as they are used.
RANKLET_COLD inline Result<Linear<>> read_linear(const ModelReader& reader, std::span<const LinearNames> names,
                                                 std::size_t in, std::span<const std::size_t> outs,
                                                 const LinearUse& use = {}) {
    std::vector<std::size_t> ends;
    for (const std::size_t out : outs) ends.push_back((ends.empty() ? 0 : ends.back()) + out);
    const std::size_t outputs = ends.back();
    std::vector<float> bias;
    std::vector<TensorView> tensors;
    for (std::size_t p = 0; p < names.size(); ++p) {
        RANKLET_ASSIGN(const TensorView tensor, reader.tensor(names[p].weight, outs[p], in));
        tensors.push_back(tensor);
        if (!reader.has_tensor(names[p].bias)) continue;
        RANKLET_ASSIGN(const std::vector<float> part, reader.vector(names[p].bias, outs[p]));
        bias.resize(outputs, 0.0f);
        std::copy(part.begin(), part.end(), bias.begin() + static_cast<std::ptrdiff_t>(ends[p] - outs[p]));
    }
    const auto all_are = [&](TensorType type) {
        return std::all_of(tensors.begin(), tensors.end(), [&](const auto& tensor) { return tensor.type == type; });
    };
    const bool is_aligned = std::all_of(tensors.begin(), tensors.end(), [](const auto& tensor) {
        return reinterpret_cast<std::uintptr_t>(tensor.data) % alignof(float) == 0;
    });
    WeightBlock none;
    WeightBlock& block = use.block != nullptr ? *use.block : none;
    const detail::PagesReleased released{reader.file(), tensors};
    Linear<> linear;
    const auto checked = [&](Result<void> assigned) -> Result<Linear<>> {
        RANKLET_TRY(reader.at(names[0].weight, std::move(assigned)));
        return std::move(linear);
    };
    if (use.with_scratch && all_are(TensorType::i8)) {
        RANKLET_ASSIGN(const auto scales, detail::read_scales(reader, names, tensors));
        std::vector<float> factors;
        if (use.zero_point) {
            RANKLET_ASSIGN(factors, detail::read_input_factors(reader, names[0].weight, in));
        }
        return checked(linear.assign_parts(detail::stored_parts<std::int8_t>(tensors), scales, bias, block,
                                           {use.zero_point, factors}));
    }
    if (use.zero_point && reader.has_tensor(names[0].weight + "_factor"))
        return reader.wrong(names[0].weight, {"_factor is for 8-bit weights, these have another type"});
    if ((use.with_scratch || !uses_bf16_dot) && in % 2 == 0 && all_are(TensorType::bf16) && is_aligned)
        return checked(linear.assign_bf16_parts(detail::stored_parts<std::uint16_t>(tensors), bias, block));
    if (all_are(TensorType::f32) && is_aligned)
        return checked(linear.assign_parts(detail::stored_parts<float>(tensors), bias, block));
    RANKLET_ASSIGN(Matrix weight, Matrix::zeroed(outputs, in));
    for (std::size_t p = 0, r = 0; p < tensors.size(); ++p)
        for (std::size_t own = 0; own < outs[p]; ++own, ++r) dequantize_row(tensors[p], own, weight.row(r).data());
    const MatrixView<const float> whole = weight.view();
    return checked(linear.assign_parts(std::span(&whole, 1), bias, block));
}

/// The same, each with as many outputs.
RANKLET_COLD inline Result<Linear<>> read_linear(const ModelReader& reader, std::span<const LinearNames> names,
                                                 std::size_t in, std::size_t out, const LinearUse& use = {}) {
    const std::vector<std::size_t> outs(names.size(), out);
    return read_linear(reader, names, in, outs, use);
}

/// NAME.weight [out, in] and, if it is there, NAME.bias [out]; its inputs are not rounded.
RANKLET_COLD inline Result<Linear<>> read_linear(const ModelReader& reader, const std::string& name, std::size_t in,
                                                 std::size_t out) {
    const LinearNames names(name);
    return read_linear(reader, std::span(&names, 1), in, out);
}
/// The same with as many outputs as it has.
RANKLET_COLD inline Result<Linear<>> read_linear(const ModelReader& reader, const std::string& name, std::size_t in) {
    RANKLET_ASSIGN(const TensorView weight, reader.tensor(name + ".weight"));
    return read_linear(reader, name, in, weight.rows);
}
/// The same; nothing where the file has no NAME.weight.
RANKLET_COLD inline Result<std::optional<Linear<>>> read_linear_if_any(const ModelReader& reader,
                                                                       const std::string& name, std::size_t in,
                                                                       std::optional<std::size_t> out = {}) {
    if (!reader.has_tensor(name + ".weight")) return std::optional<Linear<>>();
    RANKLET_ASSIGN(Linear<> linear, out ? read_linear(reader, name, in, *out) : read_linear(reader, name, in));
    return std::optional<Linear<>>(std::move(linear));
}

/// NAME.weight and NAME.bias [size].
RANKLET_COLD inline Result<LayerNorm<>> read_layer_norm(const ModelReader& reader, const std::string& name,
                                                        std::size_t size, float epsilon) {
    RANKLET_ASSIGN(const std::vector<float> weight, reader.vector(name + ".weight", size));
    RANKLET_ASSIGN(const std::vector<float> bias, reader.vector(name + ".bias", size));
    LayerNorm<> norm;
    RANKLET_TRY(reader.at(name, norm.assign(weight, bias, epsilon)));
    return norm;
}

/// NAME.weight and, where it is there, NAME.bias [size], by the root of the mean square where `rms`; empty where the file has
/// no NAME.weight.
RANKLET_COLD inline Result<Norm<>> read_norm(const ModelReader& reader, const std::string& name, std::size_t size,
                                             float epsilon, bool rms) {
    if (!reader.has_tensor(name + ".weight")) return Norm<>();
    RANKLET_ASSIGN(const std::vector<float> weight, reader.vector(name + ".weight", size));
    if (rms) {
        if (reader.has_tensor(name + ".bias")) return reader.wrong(name, {".bias: an RMS norm has none"});
        RmsNorm<> norm;
        RANKLET_TRY(reader.at(name, norm.assign(weight, epsilon)));
        return Norm<>(std::move(norm));
    }
    RANKLET_ASSIGN(std::vector<float> bias, reader.vector_or_none(name + ".bias", size));
    bias.resize(size, 0.0f);
    LayerNorm<> norm;
    RANKLET_TRY(reader.at(name, norm.assign(weight, bias, epsilon)));
    return Norm<>(std::move(norm));
}

/// Which GRU it is.
struct GruForm {
    bool reset_before = false;  ///< the reset gate acts before its product (ResetBeforeGru)
    GateActivation gates = GateActivation::sigmoid;
};
/// The form that the key `reset` under the reader's prefix names; PyTorch's where there is none.
RANKLET_COLD inline Result<GruForm> read_gru_form(const ModelReader& reader) {
    using enum GateActivation;
    if (!reader.has("reset")) return GruForm{};
    return reader.choice<GruForm>("reset", {{"after", {false, sigmoid}},
                                            {"before", {true, sigmoid}},
                                            {"after+hard_sigmoid_keras2", {false, hard_sigmoid_keras2}},
                                            {"before+hard_sigmoid_keras2", {true, hard_sigmoid_keras2}},
                                            {"after+hard_sigmoid_keras3", {false, hard_sigmoid_keras3}},
                                            {"before+hard_sigmoid_keras3", {true, hard_sigmoid_keras3}}});
}

/// A GRU of PyTorch's form under the reader's prefix: input_size, hidden_size, layer_count; L.weight_ih ... of each layer. What the file
/// has in bf16 or 8 bits runs in them.
RANKLET_COLD inline Result<GruStack<>> read_gru(const ModelReader& reader,
                                                GateActivation gates = GateActivation::sigmoid) {
    RANKLET_ASSIGN(const std::size_t input, reader.u32("input_size"));
    RANKLET_ASSIGN(const std::size_t hidden, reader.u32("hidden_size"));
    RANKLET_ASSIGN(const std::size_t count, reader.u32("layer_count"));
    std::vector<Gru<>> layers;
    for (std::size_t l = 0; l < count; ++l) {
        const std::string layer_name = std::to_string(l);
        const auto read = [&](const char* part, std::size_t in) {
            const LinearNames names(layer_name + ".weight_" + part, layer_name + ".bias_" + part);
            return read_linear(reader, std::span(&names, 1), in, 3 * hidden, {.with_scratch = true});
        };
        RANKLET_ASSIGN(auto from_input, read("ih", l == 0 ? input : hidden));
        RANKLET_ASSIGN(auto from_state, read("hh", hidden));
        Gru<> layer;
        RANKLET_TRY(reader.at(layer_name, layer.assign(std::move(from_input), std::move(from_state))));
        layer.set_gates(gates);
        layers.push_back(std::move(layer));
    }
    GruStack<> stack;
    if (auto status = stack.assign(std::move(layers)); !status.ok())
        return reader.wrong("", {status.error().message}, detail::told_as(ErrorCode::format, status.error()));
    return stack;
}

/// Activations as model files name them.
inline constexpr std::array<Choice<Activation>, 7> activation_names{{{"identity", Activation::identity},
                                                                     {"gelu", Activation::gelu},
                                                                     {"gelu_tanh", Activation::gelu_tanh},
                                                                     {"relu", Activation::relu},
                                                                     {"silu", Activation::silu},
                                                                     {"sigmoid", Activation::sigmoid},
                                                                     {"tanh", Activation::tanh}}};
/// The activation that a key names.
RANKLET_COLD inline Result<Activation> read_activation(const ModelReader& reader, std::string_view key) {
    return reader.choice(key, activation_names);
}

/// Under the reader's prefix: form, softmax, epsilon, activation; keys.weight [n, dim], keys.bias [n], query.weight,
/// v [n]. `query_dim`: elements of the query that there is to give (0: none).
RANKLET_COLD inline Result<AttentionPooling<>> read_attention_pooling(const ModelReader& reader, std::size_t dim,
                                                                      std::size_t query_dim) {
    enum class Form { additive, dot, bilinear };
    RANKLET_ASSIGN(
        const Form form,
        reader.choice<Form>("form", {{"additive", Form::additive}, {"dot", Form::dot}, {"bilinear", Form::bilinear}}));
    AttentionWeights weights;
    RANKLET_ASSIGN(weights.softmax, reader.boolean("softmax"));
    RANKLET_ASSIGN(weights.epsilon, reader.f32("epsilon"));
    const bool has_query = form != Form::additive || reader.has_tensor("query.weight");
    if ((form == Form::dot && query_dim != dim) || (has_query && query_dim == 0))
        return reader.wrong("form", {" needs a query of a size that is not there"});
    if (form == Form::dot) return reader.at("form", AttentionPooling<>::dot(dim, weights));
    if (form == Form::bilinear) {
        RANKLET_ASSIGN(auto query, read_linear(reader, "query", query_dim, dim));
        return reader.at("query", AttentionPooling<>::bilinear(std::move(query), weights));
    }
    RANKLET_ASSIGN(const Activation activation, read_activation(reader, "activation"));
    RANKLET_ASSIGN(auto keys, read_linear(reader, "keys", dim));
    RANKLET_ASSIGN(const auto v, reader.vector("v", keys.out()));
    RANKLET_ASSIGN(auto query, read_linear_if_any(reader, "query", query_dim, keys.out()));
    return reader.at("keys", AttentionPooling<>::additive(std::move(keys), std::move(query), v, activation, weights));
}

/// Under the reader's prefix: heads; {q,k,v}.weight [heads * head size, in] and biases, each by itself.
RANKLET_COLD inline Result<HeadAttention<>> read_head_attention(const ModelReader& reader, std::size_t in) {
    RANKLET_ASSIGN(const std::size_t heads, reader.u32("heads"));
    RANKLET_ASSIGN(const TensorView query, reader.tensor("q.weight"));
    const std::array<LinearNames, 3> names{LinearNames("q"), LinearNames("k"), LinearNames("v")};
    RANKLET_ASSIGN(auto qkv, read_linear(reader, names, in, query.rows));
    HeadAttention<> attention;
    RANKLET_TRY(reader.at("heads", attention.assign(std::move(qkv), heads)));
    return attention;
}

/// Under the reader's prefix: I.weight [out, width * in], I.bias, for the numbers of `widths`, padded by `padding`
/// (left and right of each).
RANKLET_COLD inline Result<std::vector<Conv1d<>>> read_convolutions(const ModelReader& reader, std::size_t in) {
    RANKLET_ASSIGN(const auto widths, reader.u32s("widths"));
    RANKLET_ASSIGN(const auto padding, reader.u32s("padding"));
    if (widths.empty() || padding.size() != 2 * widths.size())
        return reader.wrong("padding", {" needs two numbers for each of ", reader.full("widths"),
                                        ", of which there must be one at least"});
    std::vector<Conv1d<>> result(widths.size());
    for (std::size_t i = 0; i < widths.size(); ++i) {
        if (widths[i] == 0 || widths[i] > 1000)
            return reader.wrong("widths", {" has ", widths[i], ", expected 1 to 1000"});
        const std::string name = std::to_string(i);
        RANKLET_ASSIGN(auto taps, read_linear(reader, name, widths[i] * in));
        RANKLET_TRY(
            reader.at(name, result[i].assign(std::move(taps), widths[i], {padding[2 * i], padding[2 * i + 1]})));
    }
    return result;
}

RANKLET_NAMESPACE_END
