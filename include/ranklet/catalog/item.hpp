// Item: what a host says of an item that is to be encoded.
// In: an id, a text, attributes and vectors of the host's. Out: what encoders and catalogs read.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/catalog/attributes.hpp"
#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// A vector of an item that was computed elsewhere, of an image or a sound, say. The numbers are copied.
struct ItemVector {
    ItemVector(std::string_view name_, std::span<const float> values_)
        : name(name_), values(values_.begin(), values_.end()) {}
    ItemVector(std::string_view name_, std::initializer_list<float> values_) : name(name_), values(values_) {}

    std::string name;  ///< of an input of the encoder
    std::vector<float> values;
};

/// An item to be encoded. It holds all that it was given: strings may be temporary.
struct Item {
    Item() = default;
    Item(std::string_view id_, std::string_view text_, std::span<const Attribute> attributes_ = {},
         std::span<const ItemVector> vectors_ = {})
        : id(id_),
          text(text_),
          attributes(attributes_.begin(), attributes_.end()),
          vectors(vectors_.begin(), vectors_.end()) {}
    /// `{"sku-1", "Red phone", {{"brand", "Nera"}, {"price", 9.5}}}`
    Item(std::string_view id_, std::string_view text_, std::initializer_list<Attribute> attributes_,
         std::span<const ItemVector> vectors_ = {})
        : Item(id_, text_, std::span(attributes_.begin(), attributes_.size()), vectors_) {}

    std::string id;
    std::string text;
    /// For filters and caps. Part of the item's vector only where the encoder reads attributes of these names ("body",
    /// "category"); then they are strings.
    std::vector<Attribute> attributes;
    std::vector<ItemVector> vectors;  ///< where the encoder reads vectors; those that are not given are missing
};

RANKLET_NAMESPACE_END
