// Matrix product with packed weights: C[m, n] = A[m, k] * W[n, k]^T, then an epilogue on each finished tile.
// In: A row-major with a stride, W packed once into panels, and a Mac, which says what one multiply-accumulate is (of
// f32, bf16, 8 bits: headers of their own). Out: C row-major with a stride. Every output is a sum of blocks of
// Mac::block steps of k, added in order; each block is one chain of multiply-adds in the order of k, from zero. Its
// bits depend on its row of A and its row of W alone, not on m, the tile it falls in, the thread, or the vector width.
// (One chain over a long k loses a digit: blocks of 128 values keep the 1e-5 to PyTorch.)
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/epilogue.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// Values of k that are summed from zero before they are added to C, where sums are f32.
inline constexpr std::size_t gemm_block = 128;

namespace detail {

/// The operands of one product; `steps` is k in Mac steps.
template <class Mac>
struct GemmOperands {
    std::size_t n, steps;
    const typename Mac::Input* a;
    std::size_t a_stride;
    const typename Mac::Weight* packed;
    const typename Mac::Start* start;
    float* c;
    std::size_t c_stride;
    std::size_t packed_steps = steps;  ///< of all of k, where the product is of a part of it
};

inline constexpr std::size_t cache_line = 64;

/// Steps [first, last) of k; a block after the first is added to what C holds.
struct GemmBlock {
    std::size_t first, last;
    std::uintptr_t ahead = 0;  ///< what a tile asks for, Ahead cache lines a step, while it works on others
};

// Rows x Panels register tile. Panels > 1 only for few rows: enough independent sums to hide the latency of each.
template <class Mac, std::size_t Rows, std::size_t Panels, std::size_t Ahead>
inline void gemm_tile(const GemmOperands<Mac>& g, GemmBlock block, std::size_t row, std::size_t column,
                      std::size_t columns) noexcept {
    using Sum = typename Mac::Sum;
    constexpr std::size_t width = Mac::Tile::width;
    constexpr std::size_t panel = Mac::Tile::panel;
    constexpr std::size_t vectors = 2 * Panels;
    const typename Mac::Input* a = g.a + row * g.a_stride;
    const std::size_t a_stride = g.a_stride, panel_size = panel * g.packed_steps * Mac::step;
    const typename Mac::Weight* packed = g.packed + column * g.packed_steps * Mac::step;
    const typename Mac::Start* start = g.start == nullptr ? nullptr : g.start + column;
    Sum sum[Rows * vectors];
    unroll<Rows * vectors>([&](auto i) RANKLET_INLINE { sum[i] = Mac::start(start, (i % vectors) * width); });
    std::uintptr_t ahead = block.ahead;
    for (std::size_t i = block.first; i < block.last; ++i) {
        unroll<Ahead>([&](auto line) RANKLET_INLINE { prefetch(ahead + line * cache_line); });
        ahead += Ahead * cache_line;
        decltype(Mac::weights(packed)) w[vectors];
        unroll<vectors>([&](auto v) RANKLET_INLINE {
            w[v] = Mac::weights(packed + (v / 2) * panel_size + (i * panel + (v % 2) * width) * Mac::step);
        });
        unroll_typed<Rows>([&](auto r) RANKLET_INLINE {
            const auto x = Mac::input(a + r * a_stride + i * Mac::step);
            unroll<vectors>(
                [&](auto v) RANKLET_INLINE { sum[r * vectors + v] = Mac::accumulate(x, w[v], sum[r * vectors + v]); });
        });
    }
    const std::size_t c_stride = g.c_stride;
    float* c = g.c + row * c_stride + column;
    if (columns == vectors * width) {
        const auto place = [&](auto i) RANKLET_INLINE { return c + (i / vectors) * c_stride + (i % vectors) * width; };
        if (block.first == 0)
            unroll<Rows * vectors>([&](auto i) RANKLET_INLINE { Mac::finish(sum[i]).store_unaligned(place(i)); });
        else
            unroll<Rows * vectors>([&](auto i) RANKLET_INLINE {
                (decltype(Mac::finish(sum[i]))::load_unaligned(place(i)) + Mac::finish(sum[i]))
                    .store_unaligned(place(i));
            });
        return;
    }
    alignas(64) float edge[Rows * vectors * width];  // the last panel sticks out of C
    unroll<Rows * vectors>([&](auto i) RANKLET_INLINE { Mac::finish(sum[i]).store_unaligned(edge + i * width); });
    for (std::size_t r = 0; r < Rows; ++r)
        for (std::size_t j = 0; j < columns; ++j) {
            const float value = edge[r * vectors * width + j];
            c[r * c_stride + j] = block.first == 0 ? value : c[r * c_stride + j] + value;
        }
}

template <class Mac, std::size_t Rows, std::size_t Panels, std::size_t Ahead = 0>
inline RANKLET_INLINE void gemm_strip(const GemmOperands<Mac>& g, GemmBlock block, std::size_t row, std::size_t column,
                                      const AnyEpilogue& epilogue) noexcept {
    const std::size_t columns = std::min(Panels * Mac::Tile::panel, g.n - column);
    gemm_tile<Mac, Rows, Panels, Ahead>(g, block, row, column, columns);
    if (block.last == g.steps) epilogue(Tile{g.c + row * g.c_stride + column, g.c_stride, row, Rows, column, columns});
}

/// The blocks of steps [first, last) of k; `first` begins a block.
template <class Mac, class Body>
inline RANKLET_INLINE void for_each_block(std::size_t first, std::size_t last, const Body& body) noexcept {
    for (std::size_t i = first; i < last; i += Mac::block) body(GemmBlock{i, std::min(last - i, Mac::block) + i});
}

// All columns of a few rows, several panels at a time.
template <class Mac, std::size_t Rows, std::size_t Panels>
inline void gemm_few_rows(const GemmOperands<Mac>& g, std::size_t row, const AnyEpilogue& epilogue) noexcept {
    std::size_t column = 0;
    for (; column + Panels * Mac::Tile::panel <= g.n; column += Panels * Mac::Tile::panel)
        for_each_block<Mac>(0, g.steps,
                            [&](GemmBlock block) { gemm_strip<Mac, Rows, Panels>(g, block, row, column, epilogue); });
    for (; column < g.n; column += Mac::Tile::panel)
        for_each_block<Mac>(0, g.steps,
                            [&](GemmBlock block) { gemm_strip<Mac, Rows, 1>(g, block, row, column, epilogue); });
}

// Rows of A in tall tiles, eights and fours. A tile of two rows takes as long as one of four: where two or three would
// be left over, one tall tile less leaves eights instead.
template <class Mac>
struct RowTiles {
    static constexpr std::size_t tall = Mac::Tile::rows;
    std::size_t first, tall_end, last;

    RowTiles(std::size_t from, std::size_t to) noexcept : first(from), last(to) {
        std::size_t tiles = (last - first) / tall;
        if (tall > 8 && tiles > 0 && (last - first) % tall % 4 >= 2) --tiles;
        tall_end = first + tiles * tall;
    }
    /// One panel's block. The first tall tiles and eights ask for `lines` (at most 2) cache lines a step from
    /// block.ahead on: a single one for all of them, several for one each.
    inline RANKLET_INLINE void run(const GemmOperands<Mac>& g, GemmBlock block, std::size_t column, std::size_t lines,
                                   const AnyEpilogue& epilogue) const noexcept {
        std::size_t row = first;
        const std::size_t asking = (tall_end - first) / tall + (tall > 8 ? (last - tall_end) / 8 : 0);
        const bool one_asks = lines == 2 && asking == 1;
        const auto tiles = [&](auto rows, std::size_t end) RANKLET_INLINE {
            constexpr std::size_t height = decltype(rows)::value;
            for (; row + height <= end && lines > 0; row += height) {
                if (one_asks)
                    gemm_strip<Mac, height, 1, 2>(g, block, row, column, epilogue);
                else
                    gemm_strip<Mac, height, 1, 1>(g, block, row, column, epilogue);
                block.ahead += cache_line * (block.last - block.first);
                lines = one_asks ? 0 : lines - 1;
            }
            for (; row + height <= end; row += height) gemm_strip<Mac, height, 1>(g, block, row, column, epilogue);
        };
        tiles(std::integral_constant<std::size_t, tall>{}, tall_end);
        if constexpr (tall > 8) tiles(std::integral_constant<std::size_t, 8>{}, last);
        for (; row + 4 <= last; row += 4) gemm_strip<Mac, 4, 1>(g, block, row, column, epilogue);
        if (row + 2 <= last) {
            gemm_strip<Mac, 2, 1>(g, block, row, column, epilogue);
            row += 2;
        }
        if (row < last) gemm_strip<Mac, 1, 1>(g, block, row, column, epilogue);
    }
};

// What stays in the second-level cache: a slice of A [rows, steps], beside the weights that pass through.
template <class Mac>
struct Slice {
    std::size_t rows, steps;

    Slice(std::size_t m, std::size_t k_steps) noexcept {
        constexpr std::size_t cached_bytes = 704 * 1024, tile = Mac::Tile::rows, tall = 18;
        constexpr std::size_t step_bytes = Mac::step * sizeof(typename Mac::Input);
        std::size_t tiles = tall;
        steps = k_steps;
        if (Mac::block < k_steps) {  // sums may be continued: many rows, and of k as much as fits
            const std::size_t blocks = (k_steps + Mac::block - 1) / Mac::block;
            const std::size_t fit = std::max<std::size_t>(cached_bytes / (tall * tile * Mac::block * step_bytes), 1);
            const std::size_t slices = (blocks + fit - 1) / fit;
            steps = (blocks + slices - 1) / slices * Mac::block;
        } else {
            tiles = std::clamp<std::size_t>(cached_bytes / (tile * k_steps * step_bytes), 4, tall);
        }
        const std::size_t slices = std::max<std::size_t>((m + tile - 1) / (tiles * tile), 1);
        rows = slices == 1 ? m : (m / slices + tile - 1) / tile * tile;
    }
};

template <class Mac>
inline void gemm(std::size_t m, const GemmOperands<Mac>& g, const AnyEpilogue& epilogue) noexcept {
    constexpr std::size_t panel = Mac::Tile::panel;
    if (m == 1) return gemm_few_rows<Mac, 1, 4>(g, 0, epilogue);
    if (m == 2) return gemm_few_rows<Mac, 2, 2>(g, 0, epilogue);
    constexpr std::size_t step_bytes = panel * Mac::step * sizeof(typename Mac::Weight);  // of one panel
    // A small matrix stays in the second-level cache: nothing to ask for.
    const bool streamed = g.n / panel * g.steps * step_bytes > 256 * 1024;
    const Slice<Mac> slice(m, g.steps);
    for (std::size_t row = 0; row < m; row += slice.rows) {
        const RowTiles<Mac> tiles(row, std::min(m, row + slice.rows));
        for (std::size_t step = 0; step < g.steps; step += slice.steps) {
            const std::size_t last_step = std::min(g.steps, step + slice.steps);
            for (std::size_t column = 0; column < g.n; column += panel) {
                const auto weights = [&](std::size_t i, std::size_t j) {
                    return address_of(g.packed) + j / panel * g.packed_steps * step_bytes + i * step_bytes;
                };
                for_each_block<Mac>(step, last_step, [&](GemmBlock block) {  // stays in the first-level cache
                    block.ahead = block.last < last_step ? weights(block.last, column) : weights(step, column + panel);
                    tiles.run(g, block, column, streamed ? step_bytes / cache_line : 0, epilogue);
                });
            }
        }
    }
}

}  // namespace detail

}  // namespace kernels
RANKLET_NAMESPACE_END
