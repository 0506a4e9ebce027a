// ItemTable: learned item embeddings, for recommenders without text (GRU4Rec's form, Hidasi et al. 2016).
// In: the model file's `ranklet.item_*` tensors. Out: a catalog's parts.
#pragma once

#include <string>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/layers/load.hpp"

RANKLET_NAMESPACE_BEGIN

struct ItemTable {
    std::vector<std::string> ids;    ///< [n]
    std::vector<std::string> texts;  ///< [n] titles, or empty
    Matrix vectors;                  ///< [n, dim]
    Matrix outputs;                  ///< [n, out_dim], or empty: `vectors`
    std::vector<float> bias;         ///< [n], or empty

    RANKLET_COLD static Result<ItemTable> load(const GgufFile& file) {
        ItemTable table;
        RANKLET_ASSIGN(const TensorView embedding, file.tensor("ranklet.item_embd.weight"));
        const std::size_t n = embedding.rows;
        RANKLET_ASSIGN(table.vectors, load_matrix(file, "ranklet.item_embd.weight", n, embedding.cols));
        if (file.has_tensor("ranklet.item_out.weight")) {
            RANKLET_ASSIGN(const TensorView out, file.tensor("ranklet.item_out.weight"));
            RANKLET_ASSIGN(table.outputs, load_matrix(file, "ranklet.item_out.weight", n, out.cols));
        }
        if (file.has_tensor("ranklet.item_bias")) {
            RANKLET_ASSIGN(table.bias, load_vector(file, "ranklet.item_bias", n));
        }
        RANKLET_TRY(load_strings(file, "ranklet.items.ids", n, table.ids));
        RANKLET_TRY(load_strings(file, "ranklet.items.texts", n, table.texts));
        if (table.ids.empty())
            for (std::size_t i = 0; i < n; ++i) table.ids.push_back(std::to_string(i));
        return table;
    }

    std::size_t size() const noexcept { return vectors.rows(); }
    std::size_t dim() const noexcept { return vectors.cols(); }

private:
    RANKLET_COLD static Result<void> load_strings(const GgufFile& file, const char* key, std::size_t n,
                                                  std::vector<std::string>& out) {
        if (!file.has(key)) return {};
        RANKLET_ASSIGN(const auto values, file.strings(key));
        if (values.size() != n)
            return make_error(ErrorCode::format,
                              {file.name(), ": ", key, " has ", values.size(), " entries for ", n, " items"});
        out.assign(values.begin(), values.end());
        return {};
    }
};

RANKLET_NAMESPACE_END
