// Convolutions and attention from a model file's tensors.
// In: a GgufFile and a prefix (keys and tensors: "News models" in ARCHITECTURE.md). Out: layers that own their weights.
#pragma once

#include <array>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/layers/attention_pooling.hpp"
#include "ranklet/layers/conv1d.hpp"
#include "ranklet/layers/head_attention.hpp"
#include "ranklet/layers/load.hpp"

RANKLET_NAMESPACE_BEGIN

/// Rows of a tensor. Error when it is missing.
RANKLET_COLD inline Result<std::size_t> tensor_rows(const GgufFile& file, const std::string& name) {
    RANKLET_ASSIGN(const TensorView tensor, file.tensor(name));
    return tensor.rows;
}

/// The `PREFIX.weight` [?, in] with as many outputs as it has, and its bias, if any.
RANKLET_COLD inline Result<Linear<>> load_linear_any(const GgufFile& file, const std::string& prefix, std::size_t in) {
    RANKLET_ASSIGN(const std::size_t out, tensor_rows(file, prefix + ".weight"));
    return load_linear(file, prefix, in, out);
}

/// `PREFIX.form`, `.softmax`, `.epsilon`, `.activation`; `PREFIX.keys.weight` [n, dim], `.keys.bias` [n],
/// `.query.weight`,
/// `.v` [n]. `query_dim`: elements of the query that there is to give (0: none).
RANKLET_COLD inline Result<AttentionPooling<>> load_attention_pooling(const GgufFile& file, const std::string& prefix,
                                                                      std::size_t dim, std::size_t query_dim) {
    RANKLET_ASSIGN(const auto form, file.string(prefix + ".form"));
    AttentionWeights weights;
    RANKLET_ASSIGN(weights.softmax, file.boolean(prefix + ".softmax"));
    RANKLET_ASSIGN(weights.epsilon, file.f32(prefix + ".epsilon"));
    const auto no_query = [&] {
        return make_error(ErrorCode::format, {file.name(), ": ", prefix, ": the form \"", form,
                                              "\" needs a query of a size that is not there"});
    };
    if (form == "dot") {
        if (query_dim != dim) return no_query();
        return in_file(file, prefix, AttentionPooling<>::dot(dim, weights));
    }
    if (form == "bilinear") {
        if (query_dim == 0) return no_query();
        RANKLET_ASSIGN(auto query, load_linear(file, prefix + ".query", query_dim, dim));
        return in_file(file, prefix, AttentionPooling<>::bilinear(std::move(query), weights));
    }
    if (form != "additive")
        return make_error(ErrorCode::unsupported,
                          {file.name(), ": ", prefix, ".form is \"", form, "\", expected additive, dot or bilinear"});
    RANKLET_ASSIGN(const auto name, file.string(prefix + ".activation"));
    RANKLET_ASSIGN(const Activation activation, in_file(file, prefix, parse_activation(name)));
    RANKLET_ASSIGN(auto keys, load_linear_any(file, prefix + ".keys", dim));
    RANKLET_ASSIGN(const auto v, load_vector(file, prefix + ".v", keys.out()));
    std::optional<Linear<>> query;
    if (file.has_tensor(prefix + ".query.weight")) {
        if (query_dim == 0) return no_query();
        RANKLET_ASSIGN(query, load_linear(file, prefix + ".query", query_dim, keys.out()));
    }
    return in_file(file, prefix,
                   AttentionPooling<>::additive(std::move(keys), std::move(query), v, activation, weights));
}

/// `PREFIX.heads`; `PREFIX.{q,k,v}.weight` [heads * head size, in] and biases, each by itself.
RANKLET_COLD inline Result<HeadAttention<>> load_head_attention(const GgufFile& file, const std::string& prefix,
                                                                std::size_t in) {
    RANKLET_ASSIGN(const std::size_t heads, file.u32(prefix + ".heads"));
    RANKLET_ASSIGN(const std::size_t out, tensor_rows(file, prefix + ".q.weight"));
    std::array<LinearNames, 3> names;
    for (std::size_t p = 0; p < 3; ++p) {
        const std::string part = prefix + "." + "qkv"[p];
        names[p] = {part + ".weight", part + ".bias"};
    }
    RANKLET_ASSIGN(auto qkv, load_linear(file, names, in, out, false));
    HeadAttention<> attention;
    RANKLET_TRY(in_file(file, prefix, attention.assign(std::move(qkv), heads)));
    return attention;
}

/// `PREFIX.I.weight` [out, width * in], `.bias`, for the widths of `PREFIX.widths`, padded by `PREFIX.padding` (left
/// and right of each).
RANKLET_COLD inline Result<std::vector<Conv1d<>>> load_convolutions(const GgufFile& file, const std::string& prefix,
                                                                    std::size_t in) {
    RANKLET_ASSIGN(const auto widths, file.u32s(prefix + ".widths"));
    RANKLET_ASSIGN(const auto padding, file.u32s(prefix + ".padding"));
    if (widths.empty() || padding.size() != 2 * widths.size())
        return make_error(ErrorCode::format, {file.name(), ": ", prefix, ".padding needs two numbers for each of ",
                                              prefix, ".widths, of which there must be one at least"});
    std::vector<Conv1d<>> result(widths.size());
    for (std::size_t i = 0; i < widths.size(); ++i) {
        const std::string name = prefix + "." + std::to_string(i);
        if (widths[i] == 0 || widths[i] > 1000)
            return make_error(ErrorCode::format,
                              {file.name(), ": ", prefix, ".widths has ", widths[i], ", expected 1 to 1000"});
        RANKLET_ASSIGN(auto taps, load_linear_any(file, name, widths[i] * in));
        RANKLET_TRY(
            in_file(file, name, result[i].assign(std::move(taps), widths[i], {padding[2 * i], padding[2 * i + 1]})));
    }
    return result;
}

RANKLET_NAMESPACE_END
