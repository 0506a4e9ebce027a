// Item: what a host says of an item that is to be encoded.
// In: an id, a text, attributes and vectors of the host's. Out: what encoders and catalogs read.
#pragma once

#include <span>
#include <string_view>

#include "ranklet/catalog/attributes.hpp"
#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// A vector of an item that was computed elsewhere, of an image or a sound, say. The numbers belong to the caller.
struct ItemVector {
    std::string_view name;  ///< of an input of the encoder
    std::span<const float> values;
};

/// An item to be encoded. The strings belong to the caller.
struct Item {
    std::string_view id;
    std::string_view text;
    /// For filters and caps. Part of the item's vector only where the encoder reads attributes of these names ("body",
    /// "category"); then they are strings.
    std::span<const Attribute> attributes = {};
    std::span<const ItemVector> vectors =
        {};  ///< where the encoder reads vectors; those that are not given are missing
};

RANKLET_NAMESPACE_END
