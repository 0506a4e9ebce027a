// Changes of a catalog: items added, replaced and removed, in a new snapshot; the old one stays as it was.
// In: a catalog, the changes, and what the new items are encoded to. Out: the new snapshot's items in their order.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "ranklet/catalog/catalog.hpp"
#include "ranklet/catalog/gather.hpp"
#include "ranklet/catalog/item.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN

/// Looks at items and ids of the caller's: for the time of one call.
struct CatalogChanges {
    std::span<const Item> add = {};                 ///< new ids, put behind the others in this order
    std::span<const Item> replace = {};             ///< known ids: new text and attributes in the old place
    std::span<const std::string_view> remove = {};  ///< known ids; the others close up
};

namespace detail {

/// What changes amount to: the items to encode, and the new snapshot's items, each of the old catalog (source 0) or of
/// the encoded ones (source 1).
struct CatalogPlan {
    std::span<const Item> fresh;
    std::vector<Item> joined;  // what `fresh` looks at where there are items of both kinds
    std::vector<ItemPick> picks;
};
/// Error invalid_argument naming an id that is to be added and is there already, or that stands twice in the changes;
/// missing naming one that is to be replaced or removed and is not there.
RANKLET_COLD Result<CatalogPlan> plan_changes(const Catalog& catalog, const CatalogChanges& changes);
/// The new snapshot's data; `encoded` are the plan's fresh items.
RANKLET_COLD Result<CatalogData> apply_changes(const Catalog& catalog, const Catalog& encoded, const CatalogPlan& plan);

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <utility>

RANKLET_NAMESPACE_BEGIN
namespace detail {

RANKLET_FUNC Result<CatalogPlan> plan_changes(const Catalog& catalog, const CatalogChanges& changes) {
    constexpr std::size_t kept = static_cast<std::size_t>(-1), removed = kept - 1;
    std::vector<std::size_t> fate(catalog.size(), kept);  // of each old item; a place in `fresh` when replaced
    CatalogPlan plan;
    plan.fresh = changes.add.empty() ? changes.replace : changes.add;
    if (!changes.add.empty() && !changes.replace.empty()) {
        plan.joined.assign(changes.replace.begin(), changes.replace.end());
        plan.joined.insert(plan.joined.end(), changes.add.begin(), changes.add.end());
        plan.fresh = plan.joined;
    }
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
    for (std::size_t i = 0; i < catalog.size(); ++i)
        if (fate[i] != removed) plan.picks.push_back(fate[i] == kept ? ItemPick{0, i} : ItemPick{1, fate[i]});
    for (std::size_t a = changes.replace.size(); a < plan.fresh.size(); ++a) plan.picks.push_back({1, a});
    return plan;
}

RANKLET_FUNC Result<CatalogData> apply_changes(const Catalog& catalog, const Catalog& encoded,
                                               const CatalogPlan& plan) {
    std::vector<const CatalogData*> sources{&catalog.data()};
    if (!plan.fresh.empty()) sources.push_back(&encoded.data());
    RANKLET_ASSIGN(CatalogData data, gather_items(sources, plan.picks));
    std::erase_if(data.parts, [](const CatalogPart& part) { return part.rows == PartRows::catalog; });
    // Strings are interned anew, so that the order of first appearance is that of the new snapshot.
    AttributeBuilder attributes;
    const bool texts = !(plan.fresh.empty() ? catalog : encoded).data().texts.empty();
    for (const ItemPick& pick : plan.picks) {
        const CatalogData& source = *sources[pick.source];
        data.ids.push_back(source.ids[pick.index]);
        if (texts) data.texts.push_back(source.texts[pick.index]);
        const auto status = attributes.add(source.attributes.item(pick.index));
        if (!status.ok())
            return make_error(status.error().code, {"item \"", data.ids.back(), "\": ", status.error().message});
    }
    data.attributes = std::move(attributes).finish();
    return data;
}

}  // namespace detail
RANKLET_NAMESPACE_END
#endif
