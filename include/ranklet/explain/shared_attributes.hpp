// shared_attributes: what an item has in common with the items that a user met, in the words of their attributes.
// In: a catalog, a user's events, an item's id. Out: attribute values, each with the events whose items have it too.
// It says what the items' attributes say: no model's score depends on it.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/catalog/catalog.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/decoders/user_state.hpp"

RANKLET_NAMESPACE_BEGIN

/// A value of the item's that items of the user's events have as well.
struct SharedAttribute {
    std::string name;                 ///< "brand"
    std::string value;                ///< "nordfell"
    std::vector<std::size_t> events;  ///< places in the user's history, ascending
};

/// The values that the item `id` shares with events' items: those of most events first, then as the catalog and the
/// item have them. Categories and tags count; numbers do not, since two equal prices mean nothing. Events from text,
/// and of items that the catalog does not have, share nothing. The item itself, when it was met, shares everything.
/// Error missing when the catalog lacks the item.
RANKLET_COLD inline Result<std::vector<SharedAttribute>> shared_attributes(const Catalog& catalog,
                                                                           std::span<const Event> events,
                                                                           std::string_view id) RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(const ItemRef item, catalog.at(id));
    std::vector<std::size_t> met;
    for (const Event& event : events) met.push_back(catalog.find(event.id));
    std::vector<SharedAttribute> result;
    for (const AttributeColumn& column : catalog.data().attributes.columns)
        for (const std::uint32_t code : column.codes_of_item(item.index())) {
            SharedAttribute shared{column.name, column.values[code], {}};
            for (std::size_t e = 0; e < met.size(); ++e) {
                if (met[e] >= catalog.size()) continue;
                const auto codes = column.codes_of_item(met[e]);
                if (std::find(codes.begin(), codes.end(), code) != codes.end()) shared.events.push_back(e);
            }
            if (!shared.events.empty()) result.push_back(std::move(shared));
        }
    std::stable_sort(result.begin(), result.end(), [](const SharedAttribute& a, const SharedAttribute& b) {
        return a.events.size() > b.events.size();
    });
    return result;
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
