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
Result<T> in_file(const GgufFile& file, std::string_view place, Result<T> result) {
    if (result.ok()) return result;
    const Error& error = result.error();
    return make_error(error.code == ErrorCode::invalid_argument ? ErrorCode::format : error.code,
                      {file.name(), ": ", place, ": ", error.message});
}

/// A tensor [rows, cols] as f32. Error when it is missing, of another shape, or of a type that is not read.
RANKLET_COLD inline Result<Matrix> load_matrix(const GgufFile& file, const std::string& name, std::size_t rows,
                                               std::size_t cols) {
    RANKLET_ASSIGN(const TensorView tensor, file.tensor(name, rows, cols));
    RANKLET_ASSIGN(Matrix matrix, Matrix::zeroed(rows, cols));
    for (std::size_t r = 0; r < rows; ++r) dequantize_row(tensor, r, matrix.row(r).data());
    return matrix;
}

/// A vector of `size` values as f32.
RANKLET_COLD inline Result<std::vector<float>> load_vector(const GgufFile& file, const std::string& name,
                                                           std::size_t size) {
    RANKLET_ASSIGN(const TensorView tensor, file.tensor(name, 1, size));
    std::vector<float> values(size);
    dequantize_row(tensor, 0, values.data());
    return values;
}

/// Memory for the matrices, packed, whose names begin with `prefix`.
RANKLET_COLD inline WeightBlock block_for(const GgufFile& file, std::string_view prefix) {
    std::size_t bytes = 0;
    for (const TensorView& tensor : file.tensors()) {
        if (tensor.rows < 2 || tensor.bytes == 0 || tensor.name.substr(0, prefix.size()) != prefix) continue;
        const bool is_kept = tensor.type == TensorType::i8 || tensor.type == TensorType::bf16;
        bytes += is_kept ? tensor.bytes : tensor.rows * tensor.cols * sizeof(float);
    }
    return WeightBlock(bytes);
}

/// The tensors of one linear map; the bias may be absent from the file.
struct LinearNames {
    std::string weight, bias;
};

/// At its end the tensors' pages of the file leave the resident memory: what is packed is not read again.
struct PagesReleased {
    const GgufFile& file;
    const std::vector<TensorView>& tensors;
    ~PagesReleased() {
        for (const TensorView& tensor : tensors) file.release_pages(tensor);
    }
};

/// Several linear maps over the same input as one, their outputs one after the other: each weight [out, in] and, if it
/// is there, bias [out]. 8-bit weights stay 8-bit when all are, bf16 weights bf16 when all are and `in` is even; but
/// where that makes the forward passes round their inputs, only `with_scratch`: when the layer gives them a Scratch.
/// What is packed lies in `block`.
RANKLET_COLD inline Result<Linear<>> load_linear(const GgufFile& file, std::span<const LinearNames> names,
                                                 std::size_t in, std::size_t out, bool with_scratch,
                                                 WeightBlock& block) {
    const std::size_t outputs = names.size() * out;
    std::vector<float> bias;
    std::vector<TensorView> tensors;
    for (std::size_t p = 0; p < names.size(); ++p) {
        RANKLET_ASSIGN(const TensorView tensor, file.tensor(names[p].weight, out, in));
        tensors.push_back(tensor);
        if (file.has_tensor(names[p].bias)) {
            RANKLET_ASSIGN(const std::vector<float> part, load_vector(file, names[p].bias, out));
            bias.resize(outputs, 0.0f);
            std::copy(part.begin(), part.end(), bias.begin() + static_cast<std::ptrdiff_t>(p * out));
        }
    }
    const auto all_are = [&](TensorType type) {
        return std::all_of(tensors.begin(), tensors.end(), [&](const auto& tensor) { return tensor.type == type; });
    };
    const bool is_aligned = std::all_of(tensors.begin(), tensors.end(), [](const auto& tensor) {
        return reinterpret_cast<std::uintptr_t>(tensor.data) % alignof(float) == 0;
    });
    const PagesReleased released{file, tensors};
    Linear<> linear;
    if (with_scratch && all_are(TensorType::i8)) {
        std::vector<MatrixView<const std::int8_t>> parts;  // packed straight from the file's map
        std::vector<float> scale;
        for (std::size_t p = 0; p < tensors.size(); ++p) {
            parts.emplace_back(reinterpret_cast<const std::int8_t*>(tensors[p].data), out, in);
            if (std::memchr(tensors[p].data, 0x80, out * in) != nullptr)
                return make_error(ErrorCode::format, {file.name(), ": ", names[p].weight, ": an 8-bit weight is -128"});
            for (std::size_t r = 0; r < out; ++r) {
                scale.push_back(tensors[p].scale(r));
                if (!(scale.back() >= 0.0f && std::isfinite(scale.back())))
                    return make_error(ErrorCode::format, {file.name(), ": ", names[p].weight, "_scale[", r, "] is ",
                                                          scale.back(), ", expected a finite number from 0 on"});
            }
        }
        RANKLET_TRY(in_file(file, names[0].weight, linear.assign_parts(parts, scale, bias, block)));
        return linear;
    }
    if ((with_scratch || !uses_bf16_dot) && in % 2 == 0 && all_are(TensorType::bf16) && is_aligned) {
        std::vector<MatrixView<const std::uint16_t>> parts;
        for (const TensorView& tensor : tensors)
            parts.emplace_back(reinterpret_cast<const std::uint16_t*>(tensor.data), out, in);
        RANKLET_TRY(in_file(file, names[0].weight, linear.assign_bf16_parts(parts, bias, block)));
        return linear;
    }
    if (all_are(TensorType::f32) && is_aligned) {
        std::vector<MatrixView<const float>> parts;  // packed straight from the file's map
        for (const TensorView& tensor : tensors)
            parts.emplace_back(reinterpret_cast<const float*>(tensor.data), out, in);
        RANKLET_TRY(in_file(file, names[0].weight, linear.assign_parts(parts, bias, block)));
        return linear;
    }
    RANKLET_ASSIGN(Matrix weight, Matrix::zeroed(outputs, in));
    for (std::size_t r = 0; r < outputs; ++r) dequantize_row(tensors[r / out], r % out, weight.row(r).data());
    const MatrixView<const float> whole = weight.view();
    RANKLET_TRY(in_file(file, names[0].weight, linear.assign_parts(std::span(&whole, 1), bias, block)));
    return linear;
}
/// The same with memory of its own.
RANKLET_COLD inline Result<Linear<>> load_linear(const GgufFile& file, std::span<const LinearNames> names,
                                                 std::size_t in, std::size_t out, bool with_scratch) {
    WeightBlock none;
    return load_linear(file, names, in, out, with_scratch, none);
}

/// `prefix`.weight [out, in] and, if it is there, `prefix`.bias [out]; its inputs are not rounded.
RANKLET_COLD inline Result<Linear<>> load_linear(const GgufFile& file, const std::string& prefix, std::size_t in,
                                                 std::size_t out) {
    const LinearNames names{prefix + ".weight", prefix + ".bias"};
    return load_linear(file, std::span(&names, 1), in, out, false);
}

/// `prefix`.weight and `prefix`.bias [size].
RANKLET_COLD inline Result<LayerNorm<>> load_layer_norm(const GgufFile& file, const std::string& prefix,
                                                        std::size_t size, float epsilon) {
    RANKLET_ASSIGN(const std::vector<float> weight, load_vector(file, prefix + ".weight", size));
    RANKLET_ASSIGN(const std::vector<float> bias, load_vector(file, prefix + ".bias", size));
    LayerNorm<> norm;
    RANKLET_TRY(in_file(file, prefix, norm.assign(weight, bias, epsilon)));
    return norm;
}

/// The file's GRU (`ranklet.gru.*`); what the file has in bf16 or 8 bits runs in them.
RANKLET_COLD inline Result<GruStack<>> load_gru(const GgufFile& file) {
    RANKLET_ASSIGN(const std::size_t input, file.u32("ranklet.gru.input_size"));
    RANKLET_ASSIGN(const std::size_t hidden, file.u32("ranklet.gru.hidden_size"));
    RANKLET_ASSIGN(const std::size_t count, file.u32("ranklet.gru.layer_count"));
    std::vector<Gru<>> layers;
    for (std::size_t l = 0; l < count; ++l) {
        const std::string prefix = "ranklet.gru." + std::to_string(l);
        const auto load = [&](const char* part, std::size_t in) {
            const LinearNames names{prefix + ".weight_" + part, prefix + ".bias_" + part};
            return load_linear(file, std::span(&names, 1), in, 3 * hidden, true);
        };
        RANKLET_ASSIGN(auto from_input, load("ih", l == 0 ? input : hidden));
        RANKLET_ASSIGN(auto from_state, load("hh", hidden));
        Gru<> layer;
        RANKLET_TRY(in_file(file, prefix, layer.assign(std::move(from_input), std::move(from_state))));
        layers.push_back(std::move(layer));
    }
    GruStack<> stack;
    RANKLET_TRY(in_file(file, "ranklet.gru", stack.assign(std::move(layers))));
    return stack;
}

/// The activation of this name, as model files write it.
RANKLET_COLD inline Result<Activation> parse_activation(std::string_view name) {
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
