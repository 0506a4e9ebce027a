// Signals: what the world says of items beside their texts, by id: what follows what, and a number an item (how popular
// it is, what it earns, whether it is in stock). They change while catalogs stay.
// In: tables of transitions, numbers by id. Out: the same by a catalog's indices, as decoders read them.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/function_view.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/counting/transitions.hpp"

RANKLET_NAMESPACE_BEGIN

/// A number an item, by id: log(1 + popularity), a margin, a penalty for what is out of stock. An item without one has 0.
struct Prior {
    std::vector<std::string> ids;  ///< [n]
    std::vector<float> values;     ///< [n] finite
};

/// Cheap to copy: copies share the tables.
struct Signals {
    std::vector<Transitions> transitions;  ///< in the order in which the decoder's tables stand
    std::shared_ptr<const Prior> prior;    ///< null: none
};

/// Signals by a catalog's indices. Immutable.
struct BoundSignals {
    static constexpr std::uint32_t no_row = static_cast<std::uint32_t>(-1);
    Signals signals;                               ///< what they were made of
    std::vector<std::vector<std::uint32_t>> rows;  ///< [tables][n] the item's row of the table, or no_row
    std::vector<float> prior;                      ///< [n]; empty: none
};

namespace detail {

/// `find(id)`: the catalog's index of an id, `ids.size()` where it has none.
/// Error invalid_argument naming the id whose number is not finite or that has two.
RANKLET_COLD Result<BoundSignals> bind_signals(const Signals& signals, std::span<const std::string> ids,
                                               FunctionView<std::size_t(std::string_view)> find);
/// Of the items at these indices, in this order.
RANKLET_COLD BoundSignals pick_signals(const BoundSignals& bound, std::span<const std::size_t> indices);

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS
RANKLET_NAMESPACE_BEGIN
namespace detail {

RANKLET_FUNC Result<BoundSignals> bind_signals(const Signals& signals, std::span<const std::string> ids,
                                               FunctionView<std::size_t(std::string_view)> find) {
    BoundSignals bound;
    bound.signals = signals;
    for (const Transitions& table : signals.transitions) {
        std::vector<std::uint32_t>& rows = bound.rows.emplace_back();
        rows.reserve(ids.size());
        for (const std::string& id : ids) {
            const std::size_t row = table.find(id);
            rows.push_back(row < table.size() ? static_cast<std::uint32_t>(row) : BoundSignals::no_row);
        }
    }
    if (signals.prior == nullptr) return bound;
    const Prior& prior = *signals.prior;
    if (prior.ids.size() != prior.values.size())
        return make_error(ErrorCode::invalid_argument,
                          {"the prior has ", prior.values.size(), " numbers for ", prior.ids.size(), " ids"});
    bound.prior.assign(ids.size(), 0.0f);
    std::vector<bool> given(ids.size());
    for (std::size_t p = 0; p < prior.ids.size(); ++p) {
        if (!std::isfinite(prior.values[p]))
            return make_error(ErrorCode::invalid_argument, {"the prior of \"", prior.ids[p], "\" is not finite"});
        const std::size_t index = find(prior.ids[p]);
        if (index >= ids.size()) continue;
        if (given[index])
            return make_error(ErrorCode::invalid_argument, {"the prior has two numbers for \"", prior.ids[p], "\""});
        given[index] = true;
        bound.prior[index] = prior.values[p];
    }
    return bound;
}

RANKLET_FUNC BoundSignals pick_signals(const BoundSignals& bound, std::span<const std::size_t> indices) {
    BoundSignals picked;
    picked.signals = bound.signals;
    for (const auto& rows : bound.rows) {
        std::vector<std::uint32_t>& some = picked.rows.emplace_back();
        some.reserve(indices.size());
        for (const std::size_t index : indices) some.push_back(rows[index]);
    }
    if (!bound.prior.empty())
        for (const std::size_t index : indices) picked.prior.push_back(bound.prior[index]);
    return picked;
}

}  // namespace detail
RANKLET_NAMESPACE_END
#endif
