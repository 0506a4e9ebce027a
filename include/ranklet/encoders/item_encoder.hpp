// ItemEncoder: what a recommender asks of an encoder, whatever it is made of.
// In: items, as a host says them. Out: rows of the catalog: one vector an item, or the states of its tokens.
// A kind of encoder is a class of its own header that implements this; docs/extending.md says how.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/catalog/catalog.hpp"
#include "ranklet/catalog/item.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/kind_id.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/encoders/options.hpp"
#include "ranklet/text/encoding.hpp"

RANKLET_NAMESPACE_BEGIN

class ModelReader;

/// What a decoder wants of an item.
enum class ItemForm {
    vector,        ///< one row, the item vector
    token_states,  ///< a row for each token of its text
};

/// Encoded items, in the order given.
struct EncodedItems {
    Matrix rows;                       ///< [items, dim], or [tokens, token_dim]
    std::vector<std::size_t> offsets;  ///< token_states: [items + 1], item i has rows offsets[i] to offsets[i + 1]
};

/// What is taken out of a text at a time: a whole word (all its pieces; a Chinese character is a word), or one token.
enum class TextUnit { word, token };

/// A word or token of an item's text.
struct TextPart {
    std::string_view text;  ///< as it stands in the item's text
    TokenSpan span;         ///< its bytes [begin, end) of that text
    std::string_view view;  ///< which of the item's texts, where the encoder reads several: "title", "body"
    /// The encoder's attention on it within its text; NaN where there is none.
    float attention = std::numeric_limits<float>::quiet_NaN();
};

/// An item taken apart after it was cut into tokens: what the encoder makes of it whole, and without each part.
/// Looks into the item's strings and the encoder.
class ItemParts {
public:
    virtual ~ItemParts() = default;
    /// In the order of the texts. What the model does not read is no part.
    virtual std::span<const TextPart> parts() const noexcept = 0;
    /// How many variants may be encoded at a time so that memory stays small; 0 counts as 1.
    virtual std::size_t at_once() const noexcept = 0;
    /// Variants [first, first + count) of parts().size() + 1: 0 is the whole item, v the item without part v - 1.
    virtual Result<EncodedItems> encode(std::size_t first, std::size_t count, ItemForm form,
                                        const BatchOptions& options) const = 0;
};

/// Items that a model file brings for its self-test.
struct SelfTestItems {
    std::vector<Item> items;
};

/// Immutable once read from a file; any number of threads may use one. An item's rows have the same bits alone or in
/// any batch, with any number of threads.
class ItemEncoder {
public:
    virtual ~ItemEncoder() = default;
    virtual KindId kind() const noexcept = 0;

    /// Elements of an item vector: what an event feeds to the decoder.
    virtual std::size_t dim() const noexcept = 0;
    /// Elements of what a user's vector meets in a dot product.
    virtual std::size_t output_dim() const noexcept { return dim(); }
    /// Elements of a token's state; 0 when the encoder has none to give.
    virtual std::size_t token_dim() const noexcept { return 0; }

    /// Whether the model file has a prompt of this name (BatchOptions::prompt).
    virtual bool has_prompt(std::string_view) const noexcept { return false; }

    /// Whether it encodes items of the host's; otherwise the items are the model's own.
    virtual bool encodes_items() const noexcept { return true; }
    /// Error about one of the items (Error::input): invalid_text when a text is not UTF-8, invalid_argument for a
    /// vector or an attribute that it cannot read; unsupported for a form that it does not have; missing for a prompt.
    /// `options.read`, where it is given, has an entry for each item: an encoder that tells fills it in.
    /// What it gives is checked: other sizes than these are the caller's Error mismatch, numbers that are not finite
    /// invalid_argument about that item.
    virtual Result<EncodedItems> encode_items(std::span<const Item> items, ItemForm form,
                                              const BatchOptions& options) const = 0;
    /// The model's own items: ids, vectors and what else a catalog holds of them.
    RANKLET_COLD virtual Result<CatalogData> own_items() const {
        return make_error(ErrorCode::unsupported,
                          {"this model has no items of its own: give it texts (encode_catalog)"});
    }
    /// The item's texts in parts, for explanations. Errors as encode_items, with unsupported by default.
    RANKLET_COLD virtual Result<std::unique_ptr<const ItemParts>> take_apart(const Item&, TextUnit,
                                                                             const BatchOptions&) const {
        return make_error(ErrorCode::unsupported, {"this encoder does not take texts apart: there is none to explain"});
    }

    /// The file's inputs against its expected outputs. Error self_test saying what differs.
    RANKLET_COLD virtual Result<void> self_test(const ModelReader& file) const = 0;
    /// The items that the file's expected scores are of; own_items() where items are the model's own.
    RANKLET_COLD virtual Result<SelfTestItems> self_test_items(const ModelReader& file) const = 0;

protected:
    ItemEncoder() = default;
    ItemEncoder(const ItemEncoder&) = default;
    ItemEncoder& operator=(const ItemEncoder&) = default;
};

namespace detail {

/// Error mismatch unless `encoded` is what an encoder has to give of so many items, invalid_argument about the first item
/// whose numbers are not finite: what reads it trusts the sizes, a mean of all vectors would spread a NaN to every score,
/// and an encoder may be a host's.
RANKLET_COLD inline Result<void> check_encoded(const ItemEncoder& encoder, const EncodedItems& encoded,
                                               std::size_t items, ItemForm form) {
    const bool tokens = form == ItemForm::token_states;
    const std::size_t dim = tokens ? encoder.token_dim() : encoder.dim();
    std::size_t rows = items;
    if (tokens) {
        const auto& offsets = encoded.offsets;
        if (offsets.size() != items + 1 || offsets.front() != 0 || !std::is_sorted(offsets.begin(), offsets.end()))
            return make_error(ErrorCode::mismatch, {"the encoder's offsets of tokens are not those of ", items,
                                                    " items: 0 first, ascending, ", items + 1, " in all"});
        rows = offsets.back();
    }
    if (encoded.rows.rows() != rows || (rows > 0 && encoded.rows.cols() != dim))
        return make_error(ErrorCode::mismatch,
                          {"the encoder gave ", encoded.rows.rows(), " rows of ", encoded.rows.cols(), " numbers for ",
                           rows, tokens ? " tokens" : " items", ", expected ", rows, " rows of ", dim});
    for (std::size_t r = 0; r < rows; ++r) {
        const auto row = encoded.rows.row(r);
        if (std::all_of(row.begin(), row.end(), [](float x) { return std::isfinite(x); })) continue;
        const auto& offsets = encoded.offsets;
        const auto next = std::upper_bound(offsets.begin(), offsets.end(), r);
        return about_input(make_error(ErrorCode::invalid_argument,
                                      {"the encoder gave numbers that are not finite: a damaged model, or numbers "
                                       "that are too large"}),
                           tokens ? static_cast<std::size_t>(next - offsets.begin()) - 1 : r);
    }
    return {};
}
/// `encoder.encode_items`, checked.
RANKLET_COLD inline Result<EncodedItems> encode_checked(const ItemEncoder& encoder, std::span<const Item> items,
                                                        ItemForm form, const BatchOptions& options) {
    auto encoded = encoder.encode_items(items, form, options);
    if (encoded.ok()) {
        RANKLET_TRY(check_encoded(encoder, *encoded, items.size(), form));
    } else if (const Error& error = encoded.error(); error.input != Error::no_input && error.input >= items.size()) {
        return Error{error.code, error.message};  // about none of these
    }
    return encoded;
}

/// Of an encoder that reads texts alone: Error about the first item that brings a vector.
RANKLET_COLD inline Result<void> check_no_vectors(std::span<const Item> items) {
    for (std::size_t i = 0; i < items.size(); ++i)
        if (!items[i].vectors.empty())
            return about_input(make_error(ErrorCode::invalid_argument, {"\"", items[i].vectors.front().name,
                                                                        "\" is no vector that the model reads"}),
                               i);
    return {};
}
inline std::vector<std::string_view> texts_of(std::span<const Item> items) {
    std::vector<std::string_view> texts;
    texts.reserve(items.size());
    for (const Item& item : items) texts.push_back(item.text);
    return texts;
}

}  // namespace detail
RANKLET_NAMESPACE_END
