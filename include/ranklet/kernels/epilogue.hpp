// Epilogues: what is done to a finished tile of a matrix product while it is still in the cache.
// In: a Tile, a rectangle of C. Out: the same, scaled by row, or with bias, residual and activation.
// Every element by itself: bits do not depend on the tile that it lies in.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/bundle.hpp"
#include "ranklet/kernels/elementwise.hpp"
#include "ranklet/kernels/panels.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// One rectangle of C whose sums are finished and still in cache.
struct Tile {
    float* c;            ///< C[row, column]
    std::size_t stride;  ///< of C
    std::size_t row, rows;
    std::size_t column, columns;
};

/// Epilogue: nothing.
struct StoreOnly {
    inline RANKLET_INLINE void operator()(const Tile&) const noexcept {}
};

namespace detail {

/// Rows of one whole panel: row r's two vectors are v[2 r] and v[2 r + 1].
template <class Arch, std::size_t Rows>
using PanelRows = Bundle<F32<Arch>, 2 * Rows>;

template <class Arch, std::size_t Rows>
inline RANKLET_INLINE PanelRows<Arch, Rows> load_rows(const float* x, std::size_t stride) noexcept {
    PanelRows<Arch, Rows> result;
    unroll<2 * Rows>([&](auto i) RANKLET_INLINE {
        result.v[i] = F32<Arch>::load_unaligned(x + i / 2 * stride + i % 2 * F32<Arch>::size);
    });
    return result;
}
template <class Arch, std::size_t Rows>
inline RANKLET_INLINE void store_rows(const PanelRows<Arch, Rows>& rows, float* x, std::size_t stride) noexcept {
    unroll<2 * Rows>([&](auto i)
                         RANKLET_INLINE { rows.v[i].store_unaligned(x + i / 2 * stride + i % 2 * F32<Arch>::size); });
}
/// One value a row, for all of its columns.
template <class Arch, std::size_t Rows>
inline RANKLET_INLINE PanelRows<Arch, Rows> spread_rows(const float* x) noexcept {
    PanelRows<Arch, Rows> result;
    unroll<2 * Rows>([&](auto i) RANKLET_INLINE { result.v[i] = F32<Arch>(x[i / 2]); });
    return result;
}

/// body(row, count) for rows in bundles: `count` of them, a constant, are worked on side by side.
template <class Arch, class Body>
inline RANKLET_INLINE void for_each_row_bundle(std::size_t rows, const Body& body) noexcept {
    constexpr std::size_t together = side_by_side<Arch> / 2;
    std::size_t r = 0;
    for (; r + together <= rows; r += together) body(r, std::integral_constant<std::size_t, together>{});
    if constexpr (together > 1)
        for (; r < rows; ++r) body(r, std::integral_constant<std::size_t, 1>{});
}

}  // namespace detail

/// Epilogue: row r of c times factor[r].
template <class Arch>
struct ScaleRows {
    const float* factor;  ///< [m]

    void operator()(const Tile& tile) const noexcept {
        constexpr std::size_t panel = GemmTile<Arch>::panel;
        for (std::size_t r = 0; r < tile.rows; ++r) {
            float* c = tile.c + r * tile.stride;
            const float of_row = factor[tile.row + r];
            const auto spread = detail::spread_rows<Arch, 1>(&of_row);
            std::size_t i = 0;
            for (; i + panel <= tile.columns; i += panel)
                detail::store_rows<Arch, 1>(detail::load_rows<Arch, 1>(c + i, 0) * spread, c + i, 0);
            for (; i < tile.columns; ++i) c[i] *= of_row;
        }
    }
};

/// Epilogue: c = activation(c + bias [+ residual]); of 8-bit products c is (c * column_scale) * row_scale first, where
/// rows of inputs have a middle with row_middle * column_sum added.
template <class Arch>
struct BiasActivation {
    const float* bias = nullptr;  ///< [n], or null
    Activation activation = Activation::identity;
    const float* residual = nullptr;  ///< [m, n], or null
    std::size_t residual_stride = 0;
    const float* column_scale = nullptr;  ///< [n] and [m], or both null
    const float* row_scale = nullptr;
    const float* column_sum = nullptr;  ///< [n] and [m], or both null: with the scales alone
    const float* row_middle = nullptr;

    void operator()(const Tile& tile) const noexcept {
        constexpr std::size_t panel = GemmTile<Arch>::panel;
        const std::size_t whole = tile.columns / panel * panel;
        if (whole > 0) panels(tile, whole);
        if (whole < tile.columns) edge(tile, whole);
    }

private:
    /// The first `columns` of a tile, whole panels.
    void panels(const Tile& tile, std::size_t columns) const noexcept {
        with_activation<Arch>(activation, [&](const auto& f) {
            for (std::size_t i = 0; i < columns; i += GemmTile<Arch>::panel) {
                const std::size_t column = tile.column + i;
                detail::for_each_row_bundle<Arch>(tile.rows, [&](std::size_t r, auto count) RANKLET_INLINE {
                    constexpr std::size_t rows = decltype(count)::value;
                    float* c = tile.c + r * tile.stride + i;
                    const std::size_t row = tile.row + r;
                    auto x = detail::load_rows<Arch, rows>(c, tile.stride);
                    if (row_middle != nullptr) {
                        const auto more = mul_add(detail::spread_rows<Arch, rows>(row_middle + row),
                                                  detail::load_rows<Arch, rows>(column_sum + column, 0),
                                                  bias == nullptr ? detail::PanelRows<Arch, rows>(0.0f)
                                                                  : detail::load_rows<Arch, rows>(bias + column, 0));
                        x = mul_add(x * detail::load_rows<Arch, rows>(column_scale + column, 0),
                                    detail::spread_rows<Arch, rows>(row_scale + row), more);
                    } else {
                        if (row_scale != nullptr)
                            x = (x * detail::load_rows<Arch, rows>(column_scale + column, 0)) *
                                detail::spread_rows<Arch, rows>(row_scale + row);
                        if (bias != nullptr) x = x + detail::load_rows<Arch, rows>(bias + column, 0);
                    }
                    if (residual != nullptr)
                        x = x +
                            detail::load_rows<Arch, rows>(residual + row * residual_stride + column, residual_stride);
                    detail::store_rows<Arch, rows>(f(x), c, tile.stride);
                });
            }
        });
    }
    /// The columns of a tile from `first` on, fewer than a panel: in copies that are filled up with zeros.
    void edge(const Tile& tile, std::size_t first) const noexcept {
        constexpr std::size_t panel = GemmTile<Arch>::panel, most_rows = GemmTile<Arch>::rows;
        const std::size_t columns = tile.columns - first, column = tile.column + first;
        const auto fill_up = [&](const float* from, float* to) {
            std::fill_n(std::copy_n(from, columns, to), panel - columns, 0.0f);
            return to;
        };
        float sums[most_rows * panel], residuals[most_rows * panel], biases[panel], scales[panel], of_columns[panel];
        for (std::size_t r = 0; r < tile.rows; ++r) {
            fill_up(tile.c + r * tile.stride + first, sums + r * panel);
            if (residual != nullptr)
                fill_up(residual + (tile.row + r) * residual_stride + column, residuals + r * panel);
        }
        const BiasActivation padded{bias == nullptr ? nullptr : fill_up(bias + column, biases),
                                    activation,
                                    residual == nullptr ? nullptr : residuals,
                                    panel,
                                    row_scale == nullptr ? nullptr : fill_up(column_scale + column, scales),
                                    row_scale == nullptr ? nullptr : row_scale + tile.row,
                                    row_middle == nullptr ? nullptr : fill_up(column_sum + column, of_columns),
                                    row_middle == nullptr ? nullptr : row_middle + tile.row};
        padded.panels({sums, panel, 0, tile.rows, 0, panel}, panel);
        for (std::size_t r = 0; r < tile.rows; ++r)
            std::copy_n(sums + r * panel, columns, tile.c + r * tile.stride + first);
    }
};

/// x[i] = activation(x[i])
template <class Arch>
inline void activate(Activation activation, float* x, std::size_t n) noexcept {
    constexpr std::size_t panel = GemmTile<Arch>::panel;
    const std::size_t rows = n / panel, rest = n - rows * panel;
    if (activation == Activation::identity) return;
    const BiasActivation<Arch> epilogue{nullptr, activation};
    if (rows > 0) epilogue({x, panel, 0, rows, 0, panel});
    if (rest > 0) epilogue({x + rows * panel, panel, 0, 1, 0, rest});
}

/// Any of these, for the loop nest, which is then compiled once for all of them: a call a tile costs nothing beside it.
class AnyEpilogue {
public:
    template <class Epilogue>
    explicit AnyEpilogue(const Epilogue& epilogue) noexcept
        : self_(&epilogue),
          run_([](const void* self, const Tile& tile) noexcept { (*static_cast<const Epilogue*>(self))(tile); }) {}
    explicit AnyEpilogue(const StoreOnly&) noexcept {}

    inline RANKLET_INLINE void operator()(const Tile& tile) const noexcept {
        if (run_ != nullptr) run_(self_, tile);
    }

private:
    const void* self_ = nullptr;
    void (*run_)(const void*, const Tile&) noexcept = nullptr;
};

}  // namespace kernels
RANKLET_NAMESPACE_END
