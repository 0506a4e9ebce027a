// ItemTable: learned item embeddings, for recommenders without text (GRU4Rec's form, Hidasi et al. 2016).
// In: the model file's `ranklet.item_*` tensors. Out: the model's own items, as a catalog holds them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/encoders/item_encoder.hpp"
#include "ranklet/model_file/load.hpp"

RANKLET_NAMESPACE_BEGIN

class ItemTable final : public ItemEncoder, public Loadable<ItemTable> {
public:
    static constexpr std::string_view type_name = "items";  ///< `ranklet.encoder.type`
    RANKLET_COLD static Result<ItemTable> read(const ModelReader& reader, const LoadOptions& options);

    KindId kind() const noexcept override { return kind_id<ItemTable>; }
    std::size_t size() const noexcept { return vectors_.rows(); }
    std::size_t dim() const noexcept override { return vectors_.cols(); }
    std::size_t output_dim() const noexcept override { return outputs_.empty() ? dim() : outputs_.cols(); }
    const std::vector<std::string>& ids() const noexcept { return ids_; }      ///< [size]
    const std::vector<std::string>& texts() const noexcept { return texts_; }  ///< [size] titles, or empty
    const Matrix& vectors() const noexcept { return vectors_; }                ///< [size, dim]

    bool encodes_items() const noexcept override { return false; }
    RANKLET_FUNC Result<EncodedItems> encode_items(std::span<const Item> items, ItemForm form,
                                                   const BatchOptions& options) const override;
    RANKLET_FUNC Result<CatalogData> own_items() const override;
    /// The file's expected scores are what it has to compare with.
    Result<void> self_test(const ModelReader&) const override { return {}; }
    Result<SelfTestItems> self_test_items(const ModelReader&) const override { return SelfTestItems(); }

private:
    std::vector<std::string> ids_, texts_;
    Matrix vectors_;
    Matrix outputs_;           // [size, output_dim], or empty: `vectors_`
    std::vector<float> bias_;  // [size], or empty
};

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN

RANKLET_FUNC Result<ItemTable> ItemTable::read(const ModelReader& reader, const LoadOptions&) {
    RANKLET_TRY(detail::check_encoder_type(reader, type_name));
    ItemTable table;
    RANKLET_ASSIGN(const TensorView vectors, reader.tensor("ranklet.item_embd.weight"));
    const std::size_t n = vectors.rows;
    RANKLET_ASSIGN(table.vectors_, reader.matrix("ranklet.item_embd.weight", n, vectors.cols));
    if (reader.has_tensor("ranklet.item_out.weight")) {
        RANKLET_ASSIGN(const TensorView out, reader.tensor("ranklet.item_out.weight"));
        RANKLET_ASSIGN(table.outputs_, reader.matrix("ranklet.item_out.weight", n, out.cols));
    }
    RANKLET_ASSIGN(table.bias_, reader.vector_or_none("ranklet.item_bias", n));
    const ModelReader items = reader.scope("ranklet.items");
    const auto strings = [&](const char* key, std::vector<std::string>& out) -> Result<void> {
        if (!items.has(key)) return {};
        RANKLET_ASSIGN(const auto values, items.strings_of(key, n, "items"));
        out.assign(values.begin(), values.end());
        return {};
    };
    RANKLET_TRY(strings("ids", table.ids_));
    RANKLET_TRY(strings("texts", table.texts_));
    if (table.ids_.empty())
        for (std::size_t i = 0; i < n; ++i) table.ids_.push_back(std::to_string(i));
    return table;
}

RANKLET_FUNC Result<EncodedItems> ItemTable::encode_items(std::span<const Item>, ItemForm, const BatchOptions&) const {
    return make_error(ErrorCode::unsupported, {"this model has no text encoder: its items are its own (items())"});
}

RANKLET_FUNC Result<CatalogData> ItemTable::own_items() const {
    if (ids_.empty()) return detail::empty_object("the table of items");
    CatalogData data;
    data.ids = ids_;
    RANKLET_ASSIGN(data.vectors, vectors_.copy());
    if (!outputs_.empty()) {
        RANKLET_ASSIGN(data.outputs, outputs_.copy());
    }
    data.bias = bias_;
    return data;
}

RANKLET_NAMESPACE_END
#endif
