// update_catalog: items added, replaced and removed, in a new snapshot. Whoever reads the old one keeps it as it was.
// In: a catalog and the changes. Out: the catalog that encoding all its items from scratch would give, bit for bit;
// only new and replaced items are encoded.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/catalog/attributes.hpp"
#include "ranklet/catalog/catalog.hpp"
#include "ranklet/catalog/gather.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/recommender.hpp"

RANKLET_NAMESPACE_BEGIN

/// The strings belong to the caller.
struct CatalogChanges {
    std::span<const Item> add = {};                 ///< new ids, put behind the others in this order
    std::span<const Item> replace = {};             ///< known ids: new text and attributes in the old place
    std::span<const std::string_view> remove = {};  ///< known ids; the others close up
};

/// A new snapshot. `options` (prompt, threads) as for encode_catalog; the prompt should be that of the rest.
/// Filters of the old snapshot do not fit the new one; users go on, their events are remembered by id.
/// Error invalid_argument naming an id that is to be added and is there already, or that stands twice in the changes;
/// missing naming one that is to be replaced or removed and is not there; mismatch when the catalog is of another
/// model; unsupported when items are to be encoded and the model has no text encoder; otherwise as encode_catalog.
template <class Encoder, class Decoder>
Result<Catalog> update_catalog(const BasicRecommender<Encoder, Decoder>& model, const Catalog& catalog,
                               const CatalogChanges& changes, const BatchOptions& options = {}) {
    if (catalog.data().model != model.fingerprint())
        return Error{ErrorCode::mismatch, "the catalog was made by another model"};
    constexpr std::size_t kept = static_cast<std::size_t>(-1), removed = kept - 1;
    std::vector<std::size_t> fate(catalog.size(), kept);  // of each old item; a place in `fresh` when replaced
    std::vector<Item> fresh(changes.replace.begin(), changes.replace.end());
    fresh.insert(fresh.end(), changes.add.begin(), changes.add.end());
    const auto change = [&](std::string_view id, std::size_t what, const char* verb) -> Result<void> {
        const std::size_t index = catalog.find(id);
        if (index >= catalog.size())
            return make_error(ErrorCode::missing, {"the item \"", id, "\" is to be ", verb, ", but is not there"});
        if (fate[index] != kept)
            return make_error(ErrorCode::invalid_argument, {"the item \"", id, "\" stands twice in the changes"});
        fate[index] = what;
        return {};
    };
    for (std::size_t r = 0; r < changes.replace.size(); ++r) RANKLET_TRY(change(changes.replace[r].id, r, "replaced"));
    for (const std::string_view id : changes.remove) RANKLET_TRY(change(id, removed, "removed"));
    for (const Item& item : changes.add)
        if (catalog.contains(item.id))
            return make_error(ErrorCode::invalid_argument,
                              {"the item \"", item.id, "\" is to be added, but is there already: replace it"});

    Catalog encoded;  // an id that is added twice is found here
    if (!fresh.empty()) {
        RANKLET_ASSIGN(encoded, model.encode_catalog(fresh, options));
    }
    std::vector<ItemPick> picks;
    for (std::size_t i = 0; i < catalog.size(); ++i)
        if (fate[i] != removed) picks.push_back(fate[i] == kept ? ItemPick{0, i} : ItemPick{1, fate[i]});
    for (std::size_t a = changes.replace.size(); a < fresh.size(); ++a) picks.push_back({1, a});

    std::vector<const CatalogData*> sources{&catalog.data()};
    if (!fresh.empty()) sources.push_back(&encoded.data());
    RANKLET_ASSIGN(CatalogData data, gather_items(sources, picks));
    // Strings are interned anew, so that the order of first appearance is that of the new snapshot.
    AttributeBuilder attributes;
    std::vector<std::vector<std::string_view>> memory;
    for (const ItemPick& pick : picks) {
        const CatalogData& source = *sources[pick.source];
        data.ids.push_back(source.ids[pick.index]);
        const auto status = attributes.add(source.attributes.item(pick.index, memory));
        if (!status.ok())
            return make_error(status.error().code, {"item \"", data.ids.back(), "\": ", status.error().message});
    }
    data.attributes = std::move(attributes).finish();
    return Catalog::create(std::move(data));
}

RANKLET_NAMESPACE_END
