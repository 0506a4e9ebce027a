// Matrix product with packed weights: C[m, n] = A[m, k] * W[n, k]^T, then an epilogue on each finished tile.
// In: A row-major with a stride, W packed once into panels. Out: C row-major with a stride.
// Every output is one chain of fused multiply-adds in the order of k, from zero: its bits depend on its row of A and
// its row of W alone, not on m, the tile it falls in, the thread, or the vector width.
#pragma once

#include <algorithm>
#include <cstddef>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/elementwise.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// The register tile of an instruction set: `rows` of A by `panel` columns of C (two vectors).
template <class Arch>
struct GemmTile {
    static constexpr std::size_t width = F32<Arch>::size;
    static constexpr std::size_t panel = 2 * width;
#if defined(__aarch64__)
    static constexpr std::size_t rows = 12;  // 24 sums of 32 registers
#else
    static constexpr std::size_t rows = width == 16 ? 14 : 6;  // 28 of 32 registers, 12 of 16
#endif
};

/// Columns rounded up to whole panels: what a packed matrix and a packed bias hold.
template <class Arch>
[[nodiscard]] constexpr std::size_t padded_columns(std::size_t n) noexcept {
    constexpr std::size_t panel = GemmTile<Arch>::panel;
    return (n + panel - 1) / panel * panel;
}

/// Floats of W[n, k] in panels.
template <class Arch>
[[nodiscard]] constexpr std::size_t packed_size(std::size_t n, std::size_t k) noexcept {
    return padded_columns<Arch>(n) * k;
}

/// W[n, k], row r at w + r * stride, into panels: packed[p][i][j] = W[p * panel + j, i], zero beyond n.
template <class Arch>
inline void pack_rows(const float* w, std::size_t n, std::size_t k, std::size_t stride, float* packed) noexcept {
    constexpr std::size_t panel = GemmTile<Arch>::panel;
    for (std::size_t p = 0; p < n; p += panel, packed += panel * k) {
        const std::size_t columns = std::min(panel, n - p);
        if (columns < panel) std::fill_n(packed, panel * k, 0.0f);
        for (std::size_t j = 0; j < columns; ++j)
            for (std::size_t i = 0; i < k; ++i) packed[i * panel + j] = w[(p + j) * stride + i];
    }
}

/// The same from the transpose: W^T[k, n], row i at wt + i * stride.
template <class Arch>
inline void pack_columns(const float* wt, std::size_t n, std::size_t k, std::size_t stride, float* packed) noexcept {
    constexpr std::size_t panel = GemmTile<Arch>::panel;
    for (std::size_t p = 0; p < n; p += panel, packed += panel * k) {
        const std::size_t columns = std::min(panel, n - p);
        for (std::size_t i = 0; i < k; ++i) {
            std::copy_n(wt + i * stride + p, columns, packed + i * panel);
            std::fill_n(packed + i * panel + columns, panel - columns, 0.0f);
        }
    }
}

/// One rectangle of C whose sums are finished and still in cache.
struct Tile {
    float* c;            ///< C[row, column]
    std::size_t stride;  ///< of C
    std::size_t row, rows;
    std::size_t column, columns;
};

/// Epilogue: nothing.
struct StoreOnly {
    RANKLET_INLINE void operator()(const Tile&) const noexcept {}
};

/// Epilogue: c = activation(c + bias [+ residual]). `bias` has n values or is null; `residual` is [m, n] or null.
template <class Arch>
struct BiasActivation {
    const float* bias = nullptr;
    Activation activation = Activation::identity;
    const float* residual = nullptr;
    std::size_t residual_stride = 0;

    void operator()(const Tile& tile) const noexcept {
        for (std::size_t r = 0; r < tile.rows; ++r) {
            float* c = tile.c + r * tile.stride;
            if (bias != nullptr) add<Arch>(c, bias + tile.column, c, tile.columns);
            if (residual != nullptr)
                add<Arch>(c, residual + (tile.row + r) * residual_stride + tile.column, c, tile.columns);
            activate<Arch>(activation, c, tile.columns);
        }
    }
};

namespace detail {

// Rows x Panels register tile. Panels > 1 only for few rows: enough independent sums to hide the latency of each.
template <class Arch, std::size_t Rows, std::size_t Panels>
inline void gemm_tile(std::size_t k, const float* a, std::size_t a_stride, const float* packed, float* c,
                      std::size_t c_stride, std::size_t columns) noexcept {
    using V = F32<Arch>;
    constexpr std::size_t width = GemmTile<Arch>::width;
    constexpr std::size_t panel = GemmTile<Arch>::panel;
    constexpr std::size_t vectors = 2 * Panels;
    V sum[Rows * vectors];
    unroll<Rows * vectors>([&](auto i) __attribute__((always_inline)) { sum[i] = V(0.0f); });
    for (std::size_t i = 0; i < k; ++i) {
        V w[vectors];
        unroll<vectors>([&](auto v) __attribute__((always_inline)) {
            w[v] = V::load_unaligned(packed + (v / 2) * panel * k + i * panel + (v % 2) * width);
        });
        unroll<Rows>([&](auto r) __attribute__((always_inline)) {
            const V x(a[r * a_stride + i]);
            unroll<vectors>([&](auto v) __attribute__((always_inline)) {
                sum[r * vectors + v] = fma<Arch>(x, w[v], sum[r * vectors + v]);
            });
        });
    }
    if (columns == vectors * width) {
        unroll<Rows * vectors>([&](auto i) __attribute__((always_inline)) {
            sum[i].store_unaligned(c + (i / vectors) * c_stride + (i % vectors) * width);
        });
    } else {  // the last panel sticks out of C
        alignas(64) float edge[Rows * vectors * width];
        unroll<Rows * vectors>([&](auto i)
                                   __attribute__((always_inline)) { sum[i].store_unaligned(edge + i * width); });
        for (std::size_t r = 0; r < Rows; ++r) std::copy_n(edge + r * vectors * width, columns, c + r * c_stride);
    }
}

template <class Arch, std::size_t Rows, std::size_t Panels, class Epilogue>
RANKLET_INLINE void gemm_strip(std::size_t n, std::size_t k, const float* a, std::size_t a_stride, const float* packed,
                               float* c, std::size_t c_stride, std::size_t row, std::size_t column,
                               const Epilogue& epilogue) noexcept {
    constexpr std::size_t span = Panels * GemmTile<Arch>::panel;
    const std::size_t columns = std::min(span, n - column);
    float* target = c + row * c_stride + column;
    gemm_tile<Arch, Rows, Panels>(k, a + row * a_stride, a_stride, packed + column * k, target, c_stride, columns);
    epilogue(Tile{target, c_stride, row, Rows, column, columns});
}

}  // namespace detail

/// C = A * W^T and the epilogue. a: [m, k], packed: pack_rows or pack_columns of W[n, k], c: [m, n].
template <class Arch, class Epilogue>
inline void gemm_f32(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t a_stride,
                     const float* packed, float* c, std::size_t c_stride, const Epilogue& epilogue) noexcept {
    using Shape = GemmTile<Arch>;
    constexpr std::size_t block = 18 * Shape::rows;  // rows of A that stay in the second-level cache with a panel
    for (std::size_t first = 0; first < m; first += block) {
        const std::size_t last = std::min(m, first + block);
        std::size_t column = 0;
        // Few rows left over: take several panels at once.
        for (; column < n; column += Shape::panel) {
            std::size_t row = first;
            for (; row + Shape::rows <= last; row += Shape::rows)
                detail::gemm_strip<Arch, Shape::rows, 1>(n, k, a, a_stride, packed, c, c_stride, row, column, epilogue);
            if constexpr (Shape::rows > 8)
                for (; row + 8 <= last; row += 8)
                    detail::gemm_strip<Arch, 8, 1>(n, k, a, a_stride, packed, c, c_stride, row, column, epilogue);
            for (; row + 4 <= last; row += 4)
                detail::gemm_strip<Arch, 4, 1>(n, k, a, a_stride, packed, c, c_stride, row, column, epilogue);
        }
        const std::size_t rest = last - (last - first) % Shape::rows % (Shape::rows > 8 ? 8 : 4) % 4;
        for (std::size_t row = rest; row < last; ++row) {
            column = 0;
            if (n >= 2 * Shape::panel)
                for (; column + 2 * Shape::panel <= n; column += 2 * Shape::panel)
                    detail::gemm_strip<Arch, 1, 2>(n, k, a, a_stride, packed, c, c_stride, row, column, epilogue);
            for (; column < n; column += Shape::panel)
                detail::gemm_strip<Arch, 1, 1>(n, k, a, a_stride, packed, c, c_stride, row, column, epilogue);
        }
    }
}

}  // namespace kernels
RANKLET_NAMESPACE_END
