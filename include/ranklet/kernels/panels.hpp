// Panels: the columns of a weight matrix side by side, in the order in which the matrix product reads them.
// In: W[n, k] of f32, or its transpose. Out: packed[p][i][j] = W[p * panel + j, i], zero beyond n.
// A panel is as wide as the product's register tile, two vectors.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"

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
constexpr std::size_t padded_columns(std::size_t n) noexcept {
    constexpr std::size_t panel = GemmTile<Arch>::panel;
    return (n + panel - 1) / panel * panel;
}

/// Floats of W[n, k] in panels.
template <class Arch>
constexpr std::size_t packed_size(std::size_t n, std::size_t k) noexcept {
    return padded_columns<Arch>(n) * k;
}

namespace detail {

// Four rows of four, turned: to[i * to_stride + j] = from[j * from_stride + i].
inline RANKLET_INLINE void transpose_4x4(const float* from, std::size_t from_stride, float* to,
                                         std::size_t to_stride) noexcept {
    typedef float Four __attribute__((vector_size(16)));
    Four row[4];
    for (std::size_t j = 0; j < 4; ++j) std::memcpy(&row[j], from + j * from_stride, sizeof row[j]);
    const Four low01 = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
    const Four high01 = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
    const Four low23 = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
    const Four high23 = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
    const Four column[4] = {
        __builtin_shufflevector(low01, low23, 0, 1, 4, 5), __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
        __builtin_shufflevector(high01, high23, 0, 1, 4, 5), __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
    for (std::size_t i = 0; i < 4; ++i) std::memcpy(to + i * to_stride, &column[i], sizeof column[i]);
}

}  // namespace detail

/// W[n, k], row r at w + r * stride, into panels: packed[p][i][j] = W[p * panel + j, i], zero beyond n.
/// A matrix in parts, one above the other, is packed part by part, in order: `first` rows lie above this one.
template <class Arch>
inline void pack_rows(const float* w, std::size_t n, std::size_t k, std::size_t stride, float* packed,
                      std::size_t first = 0) noexcept {
    constexpr std::size_t panel = GemmTile<Arch>::panel, four = 4;
    const std::size_t whole_k = k / four * four;
    for (std::size_t r = 0; r < n;) {
        const std::size_t column = (first + r) % panel, columns = std::min(panel - column, n - r);
        float* to = packed + (first + r - column) * k + column;
        if (column == 0 && columns < panel) std::fill_n(to, panel * k, 0.0f);
        const std::size_t whole_columns = columns / four * four;
        for (std::size_t i = 0; i < whole_k; i += four)
            for (std::size_t j = 0; j < whole_columns; j += four)
                detail::transpose_4x4(w + (r + j) * stride + i, stride, to + i * panel + j, panel);
        for (std::size_t j = 0; j < columns; ++j)
            for (std::size_t i = j < whole_columns ? whole_k : 0; i < k; ++i)
                to[i * panel + j] = w[(r + j) * stride + i];
        r += columns;
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

}  // namespace kernels
RANKLET_NAMESPACE_END
