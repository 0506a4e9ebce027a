// Scores of catalog rows for many users at once, as a matrix product: out[u, r] = users[u] . rows[r].
// In: rows as scan.hpp and scan_i8.hpp read them; users packed once into panels, as wide as two vectors. Out: f32, with
// the bits that those headers give: a step multiplies one element of each of a few rows with that of a whole panel of
// users, one virtual lane after another, and a lane's sums are added to their neighbour's in dot()'s tree as soon as
// both are there. So nothing is added across a vector, which is what takes the time when users are few.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/dot_i8.hpp"
#include "ranklet/kernels/panels.hpp"
#include "ranklet/kernels/scan.hpp"
#include "ranklet/kernels/scan_i8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// Elements of one virtual lane in a row of n, in the lanes that have most.
constexpr std::size_t lane_steps(std::size_t n) noexcept { return (n + lane_count - 1) / lane_count; }

/// Floats of `user_count` packed users of n elements.
template <class Arch>
constexpr std::size_t packed_users_size(std::size_t user_count, std::size_t n) noexcept {
    return padded_columns<Arch>(user_count) * lane_steps(n) * lane_count;
}

/// Users [user_count, n] into panels, lane by lane, zero beyond:
/// packed[p][lane][i][j] = users[p * panel + j][i * 16 + lane].
template <class Arch>
inline void pack_users(const float* users, std::size_t user_count, std::size_t n, float* packed) noexcept {
    constexpr std::size_t panel = GemmTile<Arch>::panel;
    std::fill_n(packed, packed_users_size<Arch>(user_count, n), 0.0f);
    for (std::size_t u = 0; u < user_count; ++u) {
        float* to = packed + u / panel * packed_users_size<Arch>(panel, n) + u % panel;
        for (std::size_t i = 0; i < n; ++i)
            to[(i % lane_count * lane_steps(n) + i / lane_count) * panel] = users[u * n + i];
    }
}

namespace detail {

// out[u * out_stride + r] = c[r * panel + u] for `Rows` rows (at least 4) and the first `users` columns.
template <class Arch, std::size_t Rows>
inline RANKLET_INLINE void store_turned(const float* c, std::size_t users, float* out,
                                        std::size_t out_stride) noexcept {
    constexpr std::size_t panel = GemmTile<Arch>::panel, four = 4;
    const std::size_t whole = users / four * four;
    for (std::size_t u = 0; u < whole; u += four)
        unroll<(Rows + four - 1) / four>([&](auto i) RANKLET_INLINE {
            const std::size_t r = std::min(i * four, Rows - four);  // the last four may overlap
            transpose_4x4(c + r * panel + u, panel, out + u * out_stride + r, out_stride);
        });
    for (std::size_t u = whole; u < users; ++u)
        for (std::size_t r = 0; r < Rows; ++r) out[u * out_stride + r] = c[r * panel + u];
}

// One row as f32.
template <class Arch, class Row>
inline RANKLET_INLINE void widen(const typename Row::Element* row, std::size_t n, float* wide) noexcept {
    std::size_t i = 0;
    for (; i + lane_count <= n; i += lane_count) Row::load(row + i).store(wide + i);
    for (; i < n; ++i) wide[i] = Row::widen(row[i]);
}

// `Rows` rows and one panel of users. Asks for the next rows, whose elements take `Bytes`, from `ahead` on: as much
// each step as comes out even.
template <class Arch, std::size_t Rows, std::size_t Bytes>
inline void scan_panel(const float* rows, std::size_t stride, const float* panel_users, std::size_t n,
                       std::uintptr_t ahead, std::size_t users, float* out, std::size_t out_stride) noexcept {
    constexpr std::size_t width = GemmTile<Arch>::width, panel = GemmTile<Arch>::panel, count = 2 * Rows, levels = 4;
    static_assert(lane_count == std::size_t{1} << levels);
    alignas(64) float open[levels + 1][count * width];  // sums that wait for their neighbour; the last: all lanes'
    for (std::size_t t = 0; t < lane_count; ++t) {
        // In this order neighbours in the tree follow each other: 0, 8, 4, 12, 2, 10, ...
        const std::size_t lane = (t & 1) << 3 | (t & 2) << 1 | (t & 4) >> 1 | (t & 8) >> 3;
        const std::size_t steps = n / lane_count + (lane < n % lane_count);
        const float* user = panel_users + lane * lane_steps(n) * panel;
        const float* row = rows + lane;
        F32<Arch> sum[count];
        unroll<count>([&](auto i) RANKLET_INLINE { sum[i] = F32<Arch>(0.0f); });
        for (std::size_t i = 0; i < steps; ++i) {
            prefetch(ahead);
            ahead += Rows * Bytes;
            const F32<Arch> u0 = F32<Arch>::load_unaligned(user), u1 = F32<Arch>::load_unaligned(user + width);
            unroll<Rows>([&](auto r) RANKLET_INLINE {
                const F32<Arch> x(row[r * stride]);
                sum[2 * r] = fma<Arch>(x, u0, sum[2 * r]);
                sum[2 * r + 1] = fma<Arch>(x, u1, sum[2 * r + 1]);
            });
            user += panel;
            row += lane_count;
        }
        if (steps < lane_steps(n))  // dot() adds 0 * 0 there
            unroll<count>([&](auto i) RANKLET_INLINE { sum[i] = sum[i] + F32<Arch>(0.0f); });
        std::size_t level = 0;
        for (; (t >> level & 1) != 0; ++level)
            unroll<count>([&](auto i)
                              RANKLET_INLINE { sum[i] = F32<Arch>::load_aligned(open[level] + i * width) + sum[i]; });
        unroll<count>([&](auto i) RANKLET_INLINE { sum[i].store_aligned(open[level] + i * width); });
    }
    store_turned<Arch, Rows>(open[levels], users, out, out_stride);
}

// The same with 8-bit rows, whose sums are integers: no order matters. (Inlined, g++ 12 reads the rows' places from
// memory at each step.)
template <class Arch, std::size_t Rows>
[[gnu::noinline]] inline void scan_panel_i8(const RowsI8& rows, std::size_t stride,
                                            const typename DotI8<Arch>::Input* panel_users, const float* user_scale,
                                            std::uintptr_t ahead, std::size_t users, float* out,
                                            std::size_t out_stride) noexcept {
    using Dot = DotI8<Arch>;
    using Sum = typename Dot::Sum;
    constexpr std::size_t width = GemmTile<Arch>::width, panel = GemmTile<Arch>::panel, count = 2 * Rows;
    Sum sum[count] = {};
    const std::int8_t* row = rows.values;
    for (std::size_t i = 0; i < stride; i += Dot::step) {
        prefetch(ahead);
        ahead += Rows * Dot::step;
        const Sum u0 = Dot::load(panel_users + i * panel), u1 = Dot::load(panel_users + i * panel + Dot::values);
        unroll<Rows>([&](auto r) RANKLET_INLINE {
            std::int32_t values;
            std::memcpy(&values, row + r * stride + i, sizeof values);
            const Sum x = Dot::broadcast(values);
            sum[2 * r] = Dot::multiply_add(u0, x, sum[2 * r]);
            sum[2 * r + 1] = Dot::multiply_add(u1, x, sum[2 * r + 1]);
        });
    }
    alignas(64) float scores[count * width];
    const F32<Arch> scale[2] = {F32<Arch>::load_unaligned(user_scale), F32<Arch>::load_unaligned(user_scale + width)};
    unroll<count>([&](auto i) RANKLET_INLINE {
        const Sum exact = sum[i] - Dot::offset * rows.sum[i / 2];
        (Dot::to_f32(exact) * F32<Arch>(rows.scale[i / 2]) * scale[i % 2]).store_aligned(scores + i * width);
    });
    store_turned<Arch, Rows>(scores, users, out, out_stride);
}

// How many of the users are worth a panel: whole ones, and a last one that is two thirds full.
template <class Arch>
constexpr std::size_t users_in_panels(std::size_t user_count) noexcept {
    constexpr std::size_t panel = GemmTile<Arch>::panel;
    return 3 * (user_count % panel) >= 2 * panel ? user_count : user_count / panel * panel;
}

// body(first row) for tiles of `Rows` of `count` rows (at least one tile); the last may overlap the one before.
template <std::size_t Rows, class Body>
inline RANKLET_INLINE void for_each_row_tile(std::size_t count, const Body& body) noexcept {
    for (std::size_t r = 0; r < count; r += Rows) body(std::min(r, count - Rows));
}

}  // namespace detail

/// Whether scan_many gains anything from packed users.
template <class Arch>
constexpr bool wants_packed_users(std::size_t user_count) noexcept {
    return detail::users_in_panels<Arch>(user_count) > 0;
}
/// Floats that scan_many widens rows of f16 into.
template <class Arch>
constexpr std::size_t scan_many_wide_size(std::size_t n) noexcept {
    return GemmTile<Arch>::rows * n;
}

/// scan_rows, and its bits, with users that are packed besides. `wide`: scan_many_wide_size(n), for rows of f16 alone.
template <class Arch, class Row>
inline void scan_many(const typename Row::Element* rows, std::size_t count, std::size_t stride, const float* users,
                      const float* packed, std::size_t user_count, std::size_t n, float* wide, float* out,
                      std::size_t out_stride) noexcept {
    constexpr std::size_t tile = GemmTile<Arch>::rows, panel = GemmTile<Arch>::panel;
    const std::size_t in_panels = count < tile ? 0 : detail::users_in_panels<Arch>(user_count);
    if (in_panels > 0)
        detail::for_each_row_tile<tile>(count, [&](std::size_t r) RANKLET_INLINE {
            const auto* first = rows + r * stride;
            const std::uintptr_t ahead = address_of(first) + tile * stride * sizeof *rows;
            const float* f32_rows;
            std::size_t f32_stride = stride;
            if constexpr (std::is_same_v<typename Row::Element, float>) {
                f32_rows = first;
            } else {
                f32_rows = wide, f32_stride = n;
                for (std::size_t i = 0; i < tile; ++i) detail::widen<Arch, Row>(first + i * stride, n, wide + i * n);
            }
            for (std::size_t u = 0; u < in_panels; u += panel)
                detail::scan_panel<Arch, tile, sizeof(*rows)>(
                    f32_rows, f32_stride, packed + u * lane_steps(n) * lane_count, n, ahead,
                    std::min(panel, in_panels - u), out + u * out_stride + r, out_stride);
        });
    if (in_panels < user_count)
        scan_rows<Arch, Row>(rows, count, stride, users + in_panels * n, user_count - in_panels, n,
                             out + in_panels * out_stride, out_stride);
}

/// Bytes of `user_count` packed users; 0 where there is no kernel for them.
template <class Arch>
constexpr std::size_t packed_users_i8_size(std::size_t user_count, std::size_t n) noexcept {
    return DotI8<Arch>::step == 4 ? padded_columns<Arch>(user_count) * scan_i8_stride(n) : 0;
}
/// Users [user_count, scan_i8_stride(n)] as quantize_user writes them into panels, zero beyond: `step` elements of each
/// in turn.
template <class Arch>
inline void pack_users_i8(const typename DotI8<Arch>::Input* users, std::size_t user_count, std::size_t n,
                          typename DotI8<Arch>::Input* packed) noexcept {
    constexpr std::size_t panel = GemmTile<Arch>::panel, step = DotI8<Arch>::step;
    const std::size_t stride = scan_i8_stride(n);
    if (packed_users_i8_size<Arch>(user_count, n) == 0) return;
    std::fill_n(packed, packed_users_i8_size<Arch>(user_count, n), typename DotI8<Arch>::Input{});
    for (std::size_t u = 0; u < user_count; ++u)
        for (std::size_t i = 0; i < stride; i += step)
            std::memcpy(packed + (u - u % panel) * stride + i * panel + u % panel * step, users + u * stride + i, step);
}

/// scan_rows_i8, and its bits, with users that are packed besides. `user_scale` has padded_columns(user_count) values.
template <class Arch>
inline void scan_many_i8(const RowsI8& rows, std::size_t count, const typename DotI8<Arch>::Input* users,
                         const typename DotI8<Arch>::Input* packed, const float* user_scale, std::size_t user_count,
                         std::size_t n, float* out, std::size_t out_stride) noexcept {
    constexpr std::size_t tile = GemmTile<Arch>::rows, panel = GemmTile<Arch>::panel;
    const std::size_t stride = scan_i8_stride(n);
    std::size_t in_panels = 0;
    if constexpr (DotI8<Arch>::step == 4) {
        in_panels = count < tile ? 0 : detail::users_in_panels<Arch>(user_count);
        if (in_panels > 0)
            detail::for_each_row_tile<tile>(count, [&](std::size_t r) RANKLET_INLINE {
                const RowsI8 first{rows.values + r * stride, rows.scale + r, rows.sum + r};
                for (std::size_t u = 0; u < in_panels; u += panel)
                    detail::scan_panel_i8<Arch, tile>(
                        first, stride, packed + u * stride, user_scale + u, address_of(first.values) + tile * stride,
                        std::min(panel, in_panels - u), out + u * out_stride + r, out_stride);
            });
    }
    if (in_panels < user_count)
        scan_rows_i8<Arch>(rows, count, users + in_panels * stride, user_scale + in_panels, user_count - in_panels, n,
                           out + in_panels * out_stride, out_stride);
}

}  // namespace kernels
RANKLET_NAMESPACE_END
