// Layers from a model file's tensors.
// In: a GgufFile and tensor names. Out: layers that own their weights, packed; every error names file and tensor.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/tensor.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/layers/gru.hpp"
#include "ranklet/layers/layer_norm.hpp"
#include "ranklet/layers/linear.hpp"

RANKLET_NAMESPACE_BEGIN

/// The result; an error gets the file and the place put before its message. What a caller would be told is an invalid
/// argument is a malformed file here.
template <class T>
[[nodiscard]] Result<T> in_file(const GgufFile& file, std::string_view place, Result<T> result) {
    if (result.ok()) return result;
    const Error& error = result.error();
    return make_error(error.code == ErrorCode::invalid_argument ? ErrorCode::format : error.code,
                      {file.name(), ": ", place, ": ", error.message});
}

/// A tensor [rows, cols] as f32. Error when it is missing, of another shape, or of a type that is not read.
[[nodiscard]] RANKLET_COLD inline Result<Matrix> load_matrix(const GgufFile& file, const std::string& name,
                                                             std::size_t rows, std::size_t cols) {
    RANKLET_ASSIGN(const TensorView tensor, file.tensor(name, rows, cols));
    RANKLET_ASSIGN(Matrix matrix, Matrix::zeroed(rows, cols));
    for (std::size_t r = 0; r < rows; ++r) dequantize_row(tensor, r, matrix.row(r).data());
    return matrix;
}

/// A vector of `size` values as f32.
[[nodiscard]] RANKLET_COLD inline Result<std::vector<float>> load_vector(const GgufFile& file, const std::string& name,
                                                                         std::size_t size) {
    RANKLET_ASSIGN(const TensorView tensor, file.tensor(name, 1, size));
    std::vector<float> values(size);
    dequantize_row(tensor, 0, values.data());
    return values;
}

/// `prefix`.weight [out, in] and, if it is there, `prefix`.bias [out].
[[nodiscard]] RANKLET_COLD inline Result<Linear<>> load_linear(const GgufFile& file, const std::string& prefix,
                                                               std::size_t in, std::size_t out) {
    RANKLET_ASSIGN(const Matrix weight, load_matrix(file, prefix + ".weight", out, in));
    std::vector<float> bias;
    if (file.has_tensor(prefix + ".bias")) {
        RANKLET_ASSIGN(bias, load_vector(file, prefix + ".bias", out));
    }
    Linear<> linear;
    RANKLET_TRY(in_file(file, prefix, linear.assign(weight.view(), bias)));
    return linear;
}

/// Several linear layers over the same input as one, their outputs one after the other: each `prefix`.weight
/// [out, in] and, if it is there, `prefix`.bias [out]. 8-bit weights stay 8-bit when all are.
[[nodiscard]] RANKLET_COLD inline Result<Linear<>> load_weights(const GgufFile& file,
                                                                std::span<const std::string> prefixes, std::size_t in,
                                                                std::size_t out) {
    const std::size_t outputs = prefixes.size() * out;
    std::vector<float> bias(outputs, 0.0f);
    std::vector<TensorView> tensors;
    bool i8 = true;
    for (std::size_t p = 0; p < prefixes.size(); ++p) {
        RANKLET_ASSIGN(const TensorView tensor, file.tensor(prefixes[p] + ".weight", out, in));
        tensors.push_back(tensor);
        i8 = i8 && tensor.type == TensorType::i8;
        if (file.has_tensor(prefixes[p] + ".bias")) {
            RANKLET_ASSIGN(const std::vector<float> part, load_vector(file, prefixes[p] + ".bias", out));
            std::copy(part.begin(), part.end(), bias.begin() + static_cast<std::ptrdiff_t>(p * out));
        }
    }
    Linear<> linear;
    if (i8) {
        std::vector<std::int8_t> weight(outputs * in);
        std::vector<float> scale;
        for (std::size_t p = 0; p < tensors.size(); ++p) {
            std::memcpy(weight.data() + p * out * in, tensors[p].data, out * in);
            for (std::size_t r = 0; r < out; ++r) {
                scale.push_back(tensors[p].scale(r));
                if (!(scale.back() >= 0.0f && std::isfinite(scale.back())))
                    return make_error(ErrorCode::format, {file.name(), ": ", prefixes[p], ".weight_scale[", r, "] is ",
                                                          scale.back(), ", expected a finite number from 0 on"});
            }
        }
        if (std::find(weight.begin(), weight.end(), std::int8_t{-128}) != weight.end())
            return make_error(ErrorCode::format, {file.name(), ": ", prefixes[0], ".weight: an 8-bit weight is -128"});
        RANKLET_TRY(in_file(file, prefixes[0],
                            linear.assign(MatrixView<const std::int8_t>(weight.data(), outputs, in), scale, bias)));
        return linear;
    }
    RANKLET_ASSIGN(Matrix weight, Matrix::zeroed(outputs, in));
    for (std::size_t r = 0; r < outputs; ++r) dequantize_row(tensors[r / out], r % out, weight.row(r).data());
    RANKLET_TRY(in_file(file, prefixes[0], linear.assign(weight.view(), bias)));
    return linear;
}

/// `prefix`.weight and `prefix`.bias [size].
[[nodiscard]] RANKLET_COLD inline Result<LayerNorm<>> load_layer_norm(const GgufFile& file, const std::string& prefix,
                                                                      std::size_t size, float epsilon) {
    RANKLET_ASSIGN(const std::vector<float> weight, load_vector(file, prefix + ".weight", size));
    RANKLET_ASSIGN(const std::vector<float> bias, load_vector(file, prefix + ".bias", size));
    LayerNorm<> norm;
    RANKLET_TRY(in_file(file, prefix, norm.assign(weight, bias, epsilon)));
    return norm;
}

/// The file's GRU (`ranklet.gru.*`).
[[nodiscard]] RANKLET_COLD inline Result<GruStack<>> load_gru(const GgufFile& file) {
    RANKLET_ASSIGN(const std::size_t input, file.u32("ranklet.gru.input_size"));
    RANKLET_ASSIGN(const std::size_t hidden, file.u32("ranklet.gru.hidden_size"));
    RANKLET_ASSIGN(const std::size_t count, file.u32("ranklet.gru.layer_count"));
    std::vector<Gru<>> layers;
    for (std::size_t l = 0; l < count; ++l) {
        const std::string prefix = "ranklet.gru." + std::to_string(l);
        RANKLET_ASSIGN(const Matrix ih, load_matrix(file, prefix + ".weight_ih", 3 * hidden, l == 0 ? input : hidden));
        RANKLET_ASSIGN(const Matrix hh, load_matrix(file, prefix + ".weight_hh", 3 * hidden, hidden));
        std::vector<float> bias_ih, bias_hh;
        if (file.has_tensor(prefix + ".bias_ih")) {
            RANKLET_ASSIGN(bias_ih, load_vector(file, prefix + ".bias_ih", 3 * hidden));
        }
        if (file.has_tensor(prefix + ".bias_hh")) {
            RANKLET_ASSIGN(bias_hh, load_vector(file, prefix + ".bias_hh", 3 * hidden));
        }
        Gru<> layer;
        RANKLET_TRY(in_file(file, prefix, layer.assign(ih.view(), hh.view(), bias_ih, bias_hh)));
        layers.push_back(std::move(layer));
    }
    GruStack<> stack;
    RANKLET_TRY(in_file(file, "ranklet.gru", stack.assign(std::move(layers))));
    return stack;
}

/// The activation of this name, as model files write it.
[[nodiscard]] RANKLET_COLD inline Result<Activation> parse_activation(std::string_view name) {
    using Pair = std::pair<std::string_view, Activation>;
    constexpr std::array<Pair, 7> known{Pair{"identity", Activation::identity},
                                        Pair{"gelu", Activation::gelu},
                                        Pair{"gelu_tanh", Activation::gelu_tanh},
                                        Pair{"relu", Activation::relu},
                                        Pair{"silu", Activation::silu},
                                        Pair{"sigmoid", Activation::sigmoid},
                                        Pair{"tanh", Activation::tanh}};
    for (const auto& [text, activation] : known)
        if (text == name) return activation;
    return make_error(ErrorCode::unsupported, {"unknown activation \"", name, "\""});
}

RANKLET_NAMESPACE_END
