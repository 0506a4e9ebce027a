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
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN

/// An item of one of several catalogs.
struct ItemPick {
    std::size_t source = 0;  ///< which catalog
    std::size_t index = 0;   ///< of its items
};

namespace detail {

/// `rows(data)` is a matrix whose rows [first(pick), last(pick)) are a pick's.
template <class Part, class Rows>
Result<Matrix> gather_rows(std::span<const CatalogData* const> sources, std::span<const ItemPick> picks,
                           const Part& part, const Rows& rows) {
    std::size_t total = 0, cols = 0;
    bool first_pick = true;
    for (const ItemPick& pick : picks) {
        const CatalogData& data = *sources[pick.source];
        const std::size_t width = part(data).cols();
        if (!first_pick && width != cols)
            return Error{ErrorCode::mismatch, "the catalogs do not hold the same parts of their items"};
        first_pick = false;
        cols = width;
        if (width > 0) total += rows(data, pick.index).second;
    }
    if (cols == 0) return Matrix();
    RANKLET_ASSIGN(Matrix result, Matrix::zeroed(total, cols));
    float* out = result.view().data;
    for (const ItemPick& pick : picks) {
        const CatalogData& data = *sources[pick.source];
        const auto [first, count] = rows(data, pick.index);
        const MatrixView<const float> from = std::as_const(part(data)).view();
        out = std::copy_n(from.data + first * cols, count * cols, out);
    }
    return result;
}

}  // namespace detail

/// The numbers that the decoder reads (all of CatalogData but ids and attributes), for each pick; an item may be picked
/// more than once. A catalog's items without a bias count as bias 0 beside those of one that has it.
/// Error mismatch when the catalogs are of different models or do not hold the same parts.
/// Precondition: each pick's source and index exist.
inline Result<CatalogData> gather_items(std::span<const CatalogData* const> sources, std::span<const ItemPick> picks) {
    CatalogData result;
    if (sources.empty()) return result;
    result.model = sources.front()->model;
    bool per_token = false, bias = false, initial = !picks.empty();
    for (const CatalogData* data : sources)
        if (data->model != result.model) return Error{ErrorCode::mismatch, "the catalogs are of different models"};
    for (const ItemPick& pick : picks) {
        const CatalogData& data = *sources[pick.source];
        per_token |= !data.token_offsets.empty();
        bias |= !data.bias.empty();
        initial &= !data.initial_scores.empty();
    }
    const auto one_row = [](const CatalogData&, std::size_t i) { return std::pair<std::size_t, std::size_t>(i, 1); };
    const auto token_rows = [](const CatalogData& data, std::size_t i) {
        return std::pair<std::size_t, std::size_t>(data.token_offsets[i],
                                                   data.token_offsets[i + 1] - data.token_offsets[i]);
    };
    const auto vectors = [](const CatalogData& d) -> const Matrix& { return d.vectors; };
    const auto outputs = [](const CatalogData& d) -> const Matrix& { return d.outputs; };
    const auto projected = [](const CatalogData& d) -> const Matrix& { return d.projected; };
    RANKLET_ASSIGN(result.vectors, detail::gather_rows(sources, picks, vectors, one_row));
    RANKLET_ASSIGN(result.outputs, detail::gather_rows(sources, picks, outputs, one_row));
    if (per_token) {
        for (const ItemPick& pick : picks)
            if (sources[pick.source]->token_offsets.empty())
                return Error{ErrorCode::mismatch, "the catalogs do not hold the same parts of their items"};
        RANKLET_ASSIGN(result.projected, detail::gather_rows(sources, picks, projected, token_rows));
        result.token_offsets.assign(1, 0);
        for (const ItemPick& pick : picks)
            result.token_offsets.push_back(result.token_offsets.back() +
                                           token_rows(*sources[pick.source], pick.index).second);
    } else {
        RANKLET_ASSIGN(result.projected, detail::gather_rows(sources, picks, projected, one_row));
    }
    for (const ItemPick& pick : picks) {
        const CatalogData& data = *sources[pick.source];
        if (bias) result.bias.push_back(data.bias.empty() ? 0.0f : data.bias[pick.index]);
        if (initial) result.initial_scores.push_back(data.initial_scores[pick.index]);
    }
    return result;
}

RANKLET_NAMESPACE_END
