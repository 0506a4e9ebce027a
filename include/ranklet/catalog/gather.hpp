// gather_items: some items of some catalogs, as the parts of a new one.
// In: catalogs and a list of (which catalog, which item). Out: their rows, in the list's order, copied.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ranklet/catalog/catalog.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/function_view.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// An item of one of several catalogs.
struct ItemPick {
    std::size_t source = 0;  ///< which catalog
    std::size_t index = 0;   ///< of its items
};

/// Everything but ids, texts and attributes, for each pick; an item may be picked more than once. A catalog's items without a
/// bias count as bias 0 beside those of one that has it. Parts of a whole catalog are taken over from a single source;
/// of several they are left out, to be computed anew, as are parts that not every picked item has.
/// Error mismatch when the catalogs are of different models or do not hold the same parts.
/// Precondition: each pick's source and index exist.
Result<CatalogData> gather_items(std::span<const CatalogData* const> sources, std::span<const ItemPick> picks);

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS
RANKLET_NAMESPACE_BEGIN
namespace detail {

RANKLET_FUNC detail::SharedError other_parts() {
    return make_error(ErrorCode::mismatch, {"the catalogs do not hold the same parts of their items"});
}

/// `matrix(data)`: the one whose rows, one an item (or, by_token, one a token), are gathered.
RANKLET_FUNC Result<Matrix> gather_rows(std::span<const CatalogData* const> sources, std::span<const ItemPick> picks,
                                        bool by_token,
                                        FunctionView<MatrixView<const float>(const CatalogData&)> matrix) {
    const auto rows = [&](const ItemPick& pick) {
        const auto& offsets = sources[pick.source]->token_offsets;
        return by_token ? IndexRange{offsets[pick.index], offsets[pick.index + 1]}
                        : IndexRange{pick.index, pick.index + 1};
    };
    std::size_t total = 0, cols = 0;
    for (const ItemPick& pick : picks) {
        const std::size_t width = matrix(*sources[pick.source]).cols;
        if (&pick != picks.data() && width != cols) return other_parts();
        cols = width;
        if (by_token && sources[pick.source]->token_offsets.empty()) return other_parts();
        total += rows(pick).last - rows(pick).first;
    }
    if (cols == 0) return Matrix();
    RANKLET_ASSIGN(Matrix result, Matrix::zeroed(total, cols));
    float* out = result.view().data;
    for (const ItemPick& pick : picks) {
        const IndexRange range = rows(pick);
        out = std::copy_n(matrix(*sources[pick.source]).data + range.first * cols, (range.last - range.first) * cols,
                          out);
    }
    return result;
}

RANKLET_FUNC Result<CatalogData> gather_items(std::span<const CatalogData* const> sources,
                                              std::span<const ItemPick> picks) {
    CatalogData result;
    if (sources.empty()) return result;
    result.model = sources.front()->model;
    bool by_token = false, bias = false;
    for (const CatalogData* data : sources) {
        if (data->model != result.model)
            return make_error(ErrorCode::mismatch, {"the catalogs are of different models"});
        by_token |= !data->token_offsets.empty();
    }
    for (const ItemPick& pick : picks) bias |= !sources[pick.source]->bias.empty();
    RANKLET_ASSIGN(result.vectors, gather_rows(sources, picks, false, [](const auto& d) { return d.vectors.view(); }));
    RANKLET_ASSIGN(result.outputs, gather_rows(sources, picks, false, [](const auto& d) { return d.outputs.view(); }));
    if (by_token) result.token_offsets.assign(1, 0);
    for (const ItemPick& pick : picks) {
        const CatalogData& data = *sources[pick.source];
        if (bias) result.bias.push_back(data.bias.empty() ? 0.0f : data.bias[pick.index]);
        if (!by_token) continue;
        if (data.token_offsets.empty()) return other_parts();
        result.token_offsets.push_back(result.token_offsets.back() + data.token_offsets[pick.index + 1] -
                                       data.token_offsets[pick.index]);
    }
    for (const CatalogPart& part : sources.front()->parts) {
        if (part.rows == PartRows::catalog) {
            if (sources.size() > 1) continue;
            RANKLET_ASSIGN(Matrix copy, part.values.copy());
            result.set_part(part.name, part.rows, std::move(copy));
            continue;
        }
        const bool everywhere = std::all_of(picks.begin(), picks.end(), [&](const ItemPick& pick) {
            const CatalogPart* found = sources[pick.source]->find_part(part.name);
            return found != nullptr && found->rows == part.rows;
        });
        if (!everywhere) continue;
        RANKLET_ASSIGN(Matrix values, gather_rows(sources, picks, part.rows == PartRows::token,
                                                  [&](const auto& data) { return data.part(part.name); }));
        result.set_part(part.name, part.rows, std::move(values));
    }
    return result;
}

}  // namespace detail
RANKLET_NAMESPACE_END
#endif
