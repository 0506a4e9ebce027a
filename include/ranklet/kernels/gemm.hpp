// Matrix product with packed weights: C[m, n] = A[m, k] * W[n, k]^T, then an epilogue on each finished tile.
// One loop nest for all number types; a Mac says what one multiply-accumulate is (here f32; others in headers of their
// own). In: A row-major with a stride, W packed once into panels. Out: C row-major with a stride. Every output is a sum
// of blocks of 128 values of k, added in order; each block is one chain of fused multiply-adds in the order of k, from
// zero. Its bits depend on its row of A and its row of W alone, not on m, the tile it falls in, the thread, or the
// vector width. (One chain over a long k loses a digit: blocks keep the 1e-5 to PyTorch.)
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/elementwise.hpp"
#include "ranklet/kernels/pack.hpp"

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

/// Rows of one panel: row r's two vectors are v[2 r] and v[2 r + 1]. `columns` of them are in memory.
template <class Arch, std::size_t Rows>
using PanelRows = Pack<F32<Arch>, 2 * Rows>;

template <class Arch, std::size_t Rows>
inline RANKLET_INLINE PanelRows<Arch, Rows> load_rows(const float* x, std::size_t stride,
                                                      std::size_t columns) noexcept {
    constexpr std::size_t width = GemmTile<Arch>::width, panel = GemmTile<Arch>::panel;
    PanelRows<Arch, Rows> result;
    const auto load = [&](const float* from, std::size_t row_stride) RANKLET_INLINE {
        unroll<2 * Rows>([&](auto i) RANKLET_INLINE {
            result.v[i] = F32<Arch>::load_unaligned(from + i / 2 * row_stride + i % 2 * width);
        });
    };
    if (columns == panel) {
        load(x, stride);
    } else {
        float padded[Rows * panel] = {};
        for (std::size_t r = 0; r < Rows; ++r) std::copy_n(x + r * stride, columns, padded + r * panel);
        load(padded, panel);
    }
    return result;
}
template <class Arch, std::size_t Rows>
inline RANKLET_INLINE void store_rows(const PanelRows<Arch, Rows>& rows, float* x, std::size_t stride,
                                      std::size_t columns) noexcept {
    constexpr std::size_t width = GemmTile<Arch>::width, panel = GemmTile<Arch>::panel;
    const auto store = [&](float* to, std::size_t row_stride) RANKLET_INLINE {
        unroll<2 * Rows>([&](auto i)
                             RANKLET_INLINE { rows.v[i].store_unaligned(to + i / 2 * row_stride + i % 2 * width); });
    };
    if (columns == panel) return store(x, stride);
    float padded[Rows * panel];
    store(padded, panel);
    for (std::size_t r = 0; r < Rows; ++r) std::copy_n(padded + r * panel, columns, x + r * stride);
}
/// One value a row, for all of its columns.
template <class Arch, std::size_t Rows>
inline RANKLET_INLINE PanelRows<Arch, Rows> spread_rows(const float* x) noexcept {
    PanelRows<Arch, Rows> result;
    unroll<2 * Rows>([&](auto i) RANKLET_INLINE { result.v[i] = F32<Arch>(x[i / 2]); });
    return result;
}

}  // namespace detail

/// Epilogue: row r of c times factor[r].
template <class Arch>
struct ScaleRows {
    const float* factor;  ///< [m]

    void operator()(const Tile& tile) const noexcept {
        constexpr std::size_t panel = GemmTile<Arch>::panel;
        for (std::size_t r = 0; r < tile.rows; ++r)
            for (std::size_t i = 0; i < tile.columns; i += panel) {
                const std::size_t columns = std::min(panel, tile.columns - i);
                float* c = tile.c + r * tile.stride + i;
                detail::store_rows<Arch, 1>(
                    detail::load_rows<Arch, 1>(c, 0, columns) * detail::spread_rows<Arch, 1>(factor + tile.row + r), c,
                    0, columns);
            }
    }
};

/// Epilogue: c = activation(c + bias [+ residual]). `bias` has n values or is null; `residual` is [m, n] or null.
template <class Arch>
struct BiasActivation {
    const float* bias = nullptr;
    Activation activation = Activation::identity;
    const float* residual = nullptr;
    std::size_t residual_stride = 0;

    void operator()(const Tile& tile) const noexcept {
        apply(tile, [](const auto& sums, std::size_t, std::size_t, std::size_t) { return sums; });
    }
    /// `begin(sums, row, column, columns)` makes of detail::PanelRows of finished sums what the bias is added to.
    template <class Begin>
    inline RANKLET_INLINE void apply(const Tile& tile, const Begin& begin) const noexcept {
        constexpr std::size_t panel = GemmTile<Arch>::panel, together = side_by_side<Arch> / 2;
        with_activation<Arch>(activation, [&](const auto& f) {
            for (std::size_t i = 0; i < tile.columns; i += panel) {
                const std::size_t column = tile.column + i, columns = std::min(panel, tile.columns - i);
                const auto finish = [&](std::size_t r, auto count) RANKLET_INLINE {
                    constexpr std::size_t rows = decltype(count)::value;
                    float* c = tile.c + r * tile.stride + i;
                    const std::size_t row = tile.row + r;
                    auto x = begin(detail::load_rows<Arch, rows>(c, tile.stride, columns), row, column, columns);
                    if (bias != nullptr) x = x + detail::load_rows<Arch, rows>(bias + column, 0, columns);
                    if (residual != nullptr)
                        x = x + detail::load_rows<Arch, rows>(residual + row * residual_stride + column,
                                                              residual_stride, columns);
                    detail::store_rows<Arch, rows>(f(x), c, tile.stride, columns);
                };
                const std::size_t whole = tile.rows / together * together;
                for (std::size_t r = 0; r < whole; r += together)
                    finish(r, std::integral_constant<std::size_t, together>{});
                if constexpr (together > 1)
                    for (std::size_t r = whole; r < tile.rows; ++r) finish(r, std::integral_constant<std::size_t, 1>{});
            }
        });
    }
};

/// f32: one value of k a step.
template <class Arch>
struct MacF32 {
    using Tile = GemmTile<Arch>;
    using Input = float;
    using Weight = float;
    using Start = float;
    using Sum = F32<Arch>;
    static constexpr std::size_t step = 1;
    static constexpr std::size_t block = 128;  ///< steps summed from zero before they are added to C

    static inline RANKLET_INLINE Sum start(const Start*, std::size_t) noexcept { return Sum(0.0f); }
    static inline RANKLET_INLINE F32<Arch> weights(const Weight* w) noexcept { return F32<Arch>::load_unaligned(w); }
    static inline RANKLET_INLINE F32<Arch> input(const Input* a) noexcept { return F32<Arch>(*a); }
    static inline RANKLET_INLINE Sum accumulate(const F32<Arch>& a, const F32<Arch>& w, const Sum& sum) noexcept {
        return fma<Arch>(a, w, sum);
    }
    static inline RANKLET_INLINE F32<Arch> finish(const Sum& sum) noexcept { return sum; }
};

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
};

inline constexpr std::size_t cache_line = 64;

/// Steps [first, last) of k; a block after the first is added to what C holds.
struct GemmBlock {
    std::size_t first, last;
    const char* ahead = nullptr;  ///< what a tile asks for, Ahead cache lines a step, while it works on others
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
    const std::size_t a_stride = g.a_stride, panel_size = panel * g.steps * Mac::step;
    const typename Mac::Weight* packed = g.packed + column * g.steps * Mac::step;
    const typename Mac::Start* start = g.start == nullptr ? nullptr : g.start + column;
    Sum sum[Rows * vectors];
    unroll<Rows * vectors>([&](auto i) RANKLET_INLINE { sum[i] = Mac::start(start, (i % vectors) * width); });
    const char* ahead = block.ahead;
    for (std::size_t i = block.first; i < block.last; ++i) {
        unroll<Ahead>([&](auto line) RANKLET_INLINE { __builtin_prefetch(ahead + line * cache_line); });
        ahead += Ahead * cache_line;
        decltype(Mac::weights(packed)) w[vectors];
        unroll<vectors>([&](auto v) RANKLET_INLINE {
            w[v] = Mac::weights(packed + (v / 2) * panel_size + (i * panel + (v % 2) * width) * Mac::step);
        });
        unroll<Rows>([&](auto r) RANKLET_INLINE {
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

template <class Mac, std::size_t Rows, std::size_t Panels, std::size_t Ahead = 0, class Epilogue>
inline RANKLET_INLINE void gemm_strip(const GemmOperands<Mac>& g, GemmBlock block, std::size_t row, std::size_t column,
                                      const Epilogue& epilogue) noexcept {
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
template <class Mac, std::size_t Rows, std::size_t Panels, class Epilogue>
inline void gemm_few_rows(const GemmOperands<Mac>& g, std::size_t row, const Epilogue& epilogue) noexcept {
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
    template <class Epilogue>
    inline RANKLET_INLINE void run(const GemmOperands<Mac>& g, GemmBlock block, std::size_t column, std::size_t lines,
                                   const Epilogue& epilogue) const noexcept {
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

template <class Mac, class Epilogue>
inline void gemm(std::size_t m, const GemmOperands<Mac>& g, const Epilogue& epilogue) noexcept {
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
                    return reinterpret_cast<const char*>(g.packed + j * g.steps * Mac::step) + i * step_bytes;
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

/// C = A * W^T and the epilogue. a: [m, k], packed: pack_rows or pack_columns of W[n, k], c: [m, n], k >= 1.
template <class Arch, class Epilogue>
inline void gemm_f32(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t a_stride,
                     const float* packed, float* c, std::size_t c_stride, const Epilogue& epilogue) noexcept {
    detail::gemm<MacF32<Arch>>(m, {n, k, a, a_stride, packed, nullptr, c, c_stride}, epilogue);
}

}  // namespace kernels
RANKLET_NAMESPACE_END
