// Scores of 8-bit catalog rows for one or many users: out[u, r] = (users[u] . rows[r]) * row_scale[r] * user_scale[u].
// In: rows and users quantised by quantize_row's rule, one scale each, rows padded with zeros to whole vectors.
// Out: f32. The sums are exact integers, the same on every machine.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/dot_i8.hpp"
#include "ranklet/kernels/quantize.hpp"
#include "ranklet/kernels/scan.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// Bytes from one 8-bit row to the next: n rounded up, so that every instruction set reads whole vectors.
constexpr std::size_t scan_i8_stride(std::size_t n) noexcept { return (n + 63) / 64 * 64; }

/// One user's vector as scan_rows_i8 reads it: scan_i8_stride(n) elements; returns its scale.
template <class Arch>
inline float quantize_user(const float* x, std::size_t n, typename DotI8<Arch>::Input* user) noexcept {
    const float scale = quantize_row<Arch>(x, n, user);
    for (std::size_t i = n; i < scan_i8_stride(n); ++i)
        user[i] = static_cast<typename DotI8<Arch>::Input>(DotI8<Arch>::offset);
    return scale;
}

/// 8-bit rows, `scan_i8_stride(n)` bytes apart.
struct RowsI8 {
    const std::int8_t* values;
    const float* scale;       ///< [count]
    const std::int32_t* sum;  ///< [count] of each row's values: takes the users' offset out
};

namespace detail {

template <class Arch, std::size_t Rows, std::size_t Users>
inline RANKLET_INLINE void scan_tile_i8(const std::int8_t* rows, const typename DotI8<Arch>::Input* users,
                                        std::size_t stride, std::size_t ahead, std::int32_t* sums) noexcept {
    using Dot = DotI8<Arch>;
    using Sum = typename Dot::Sum;
    Sum total[Rows * Users] = {};
    for (std::size_t i = 0; i < stride; i += Dot::values) {
        if constexpr (Users > 1)  // asks for what comes `ahead` bytes later; one user's stream the processor foresees
            unroll<Rows>([&](auto r) RANKLET_INLINE { prefetch(address_of(rows) + r * stride + i + ahead); });
        if constexpr (Dot::step == 4 && Users > 1) {
            Sum row[Rows];
            unroll<Rows>([&](auto r) RANKLET_INLINE { row[r] = kept(Dot::load_weights(rows + r * stride + i)); });
            unroll<Rows * Users>([&](auto j) RANKLET_INLINE {
                total[j] = Dot::multiply_add(Dot::load(users + (j / Rows) * stride + i), row[j % Rows], total[j]);
            });
        } else {
            unroll<Rows * Users>([&](auto j) RANKLET_INLINE {
                total[j] = Dot::accumulate(Dot::load(users + (j / Rows) * stride + i), rows + (j % Rows) * stride + i,
                                           total[j]);
            });
        }
    }
    reduce_each<Dot::width>(total, sums);
}

}  // namespace detail

/// out[u * out_stride + r] for `count` rows and `user_count` users [user_count, scan_i8_stride(n)].
template <class Arch>
inline void scan_rows_i8(const RowsI8& rows, std::size_t count, const typename DotI8<Arch>::Input* users,
                         const float* user_scale, std::size_t user_count, std::size_t n, float* out,
                         std::size_t out_stride) noexcept {
    constexpr std::size_t width = F32<Arch>::size;
    constexpr std::size_t tile = width == 16 ? 4 : 2;
    constexpr std::size_t block = 32;  // rows that stay in the first-level cache for all users
    const std::size_t stride = scan_i8_stride(n), ahead = block * stride;
    const auto run = [&]<std::size_t Rows, std::size_t Users>(std::size_t r, std::size_t u) RANKLET_INLINE {
        std::int32_t sums[std::max(Rows * Users, width)];
        detail::scan_tile_i8<Arch, Rows, Users>(rows.values + r * stride, users + u * stride, stride, ahead, sums);
        for (std::size_t i = 0; i < Users; ++i)
            std::memcpy(out + (u + i) * out_stride + r, sums + i * Rows, Rows * sizeof(float));
    };
    for (std::size_t first = 0; first < count; first += block) {
        const std::size_t last = std::min(count, first + block);
        const std::size_t whole_users = user_count / tile * tile;
        const auto rows_for = [&]<std::size_t Rows, std::size_t Users>(std::size_t u) RANKLET_INLINE {
            const std::size_t whole = first + (last - first) / Rows * Rows;
            for (std::size_t r = first; r < whole; r += Rows) run.template operator()<Rows, Users>(r, u);
            for (std::size_t r = whole; r < last; ++r) run.template operator()<1, Users>(r, u);
        };
        for (std::size_t u = 0; u < whole_users; u += tile) rows_for.template operator()<tile, tile>(u);
        for (std::size_t u = whole_users; u < user_count; ++u) rows_for.template operator()<width, 1>(u);
        // The integers, where the scores will be, to scores.
        const I32<Arch> offset(DotI8<Arch>::offset);
        for (std::size_t u = 0; u < user_count; ++u) {
            float* scores = out + u * out_stride + first;
            const F32<Arch> scale(user_scale[u]);
            std::size_t r = 0;
            for (; r + width <= last - first; r += width) {
                const I32<Arch> exact = bits_of<Arch>(F32<Arch>::load_unaligned(scores + r)) -
                                        offset * I32<Arch>::load_unaligned(rows.sum + first + r);
                const auto sum = (typename DotI8<Arch>::Sum)(typename I32<Arch>::register_type)exact;
                const auto row_scale = F32<Arch>::load_unaligned(rows.scale + first + r);
                (DotI8<Arch>::to_f32(sum) * row_scale * scale).store_unaligned(scores + r);
            }
            for (; r < last - first; ++r) {
                std::int32_t exact;
                std::memcpy(&exact, scores + r, sizeof exact);
                exact -= DotI8<Arch>::offset * rows.sum[first + r];
                scores[r] = static_cast<float>(exact) * rows.scale[first + r] * user_scale[u];
            }
        }
    }
}

}  // namespace kernels
RANKLET_NAMESPACE_END
