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
#include "ranklet/kernels/gemm_i8.hpp"
#include "ranklet/kernels/scan.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// Bytes from one 8-bit row to the next: n rounded up, so that every instruction set reads whole vectors.
[[nodiscard]] constexpr std::size_t scan_i8_stride(std::size_t n) noexcept { return (n + 63) / 64 * 64; }

/// A vector of products of a row (signed bytes) and a user (MacI8's Input), added to int32 sums.
template <class Arch>
struct DotI8 {
    using User = typename MacI8<Arch>::Input;
    static constexpr std::size_t width = F32<Arch>::size;
    using Sum = typename detail::IntVector<width>::type;
    static constexpr std::size_t values = width * MacI8<Arch>::step;  ///< of a row that one step takes

    static RANKLET_INLINE Sum accumulate(const User* user, const std::int8_t* row, const Sum& sum) noexcept {
#if defined(__AVX512F__) && defined(__AVX512BW__)
        if constexpr (width == 16) {
#if defined(__AVX512VNNI__)
            return (Sum)_mm512_dpbusd_epi32((__m512i)sum, _mm512_loadu_si512(user), _mm512_loadu_si512(row));
#else
            const __m512i wide = _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(row)));
            return sum + (Sum)_mm512_madd_epi16(_mm512_loadu_si512(user), wide);
#endif
        }
#endif
#if defined(__AVX2__)
        if constexpr (width == 8) {
            const __m256i y = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(user));
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
            return (Sum)_mm256_dpbusd_epi32((__m256i)sum, y, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row)));
#elif defined(__AVXVNNI__)
            return (Sum)_mm256_dpbusd_avx_epi32((__m256i)sum, y,
                                                _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row)));
#else
            const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row)));
            return sum + (Sum)_mm256_madd_epi16(y, wide);
#endif
        }
#endif
#if defined(__SSE2__)
        if constexpr (width == 4) {
            const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row));
            const __m128i wide = _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);  // sign-extends
            return sum + (Sum)_mm_madd_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(user)), wide);
        }
#elif defined(__ARM_NEON) && defined(__ARM_FEATURE_DOTPROD)
        return (Sum)vdotq_s32((int32x4_t)sum, vld1q_s8(row), vld1q_s8(user));
#elif defined(__aarch64__)
        const int16x8_t wide = vmovl_s8(vld1_s8(row)), y = vld1q_s16(user);
        const int32x4_t low = vmull_s16(vget_low_s16(y), vget_low_s16(wide));
        return sum + (Sum)vpaddq_s32(low, vmull_high_s16(y, wide));
#endif
        Sum result = sum;
        for (std::size_t i = 0; i < values; ++i) result[i / MacI8<Arch>::step] += user[i] * row[i];
        return result;
    }
};

/// One user's vector as scan_rows_i8 reads it: scan_i8_stride(n) elements; returns its scale.
template <class Arch>
inline float quantize_user(const float* x, std::size_t n, typename DotI8<Arch>::User* user) noexcept {
    const float scale = quantize_row<Arch>(x, n, user);
    for (std::size_t i = n; i < scan_i8_stride(n); ++i)
        user[i] = static_cast<typename DotI8<Arch>::User>(MacI8<Arch>::offset);
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
RANKLET_INLINE void scan_tile_i8(const std::int8_t* rows, const typename DotI8<Arch>::User* users, std::size_t stride,
                                 PrefetchAhead& ahead, std::int32_t* sums) noexcept {
    using Dot = DotI8<Arch>;
    using Sum = typename Dot::Sum;
    Sum total[Rows * Users] = {};
    for (std::size_t i = 0; i < stride; i += Dot::values) {
        ahead.step();
        unroll<Rows * Users>([&](auto j) __attribute__((always_inline)) {
            total[j] = Dot::accumulate(users + (j / Rows) * stride + i, rows + (j % Rows) * stride + i, total[j]);
        });
    }
    reduce_each<Dot::width>(total, sums);
}

}  // namespace detail

/// out[u * out_stride + r] for `count` rows and `user_count` users [user_count, scan_i8_stride(n)].
template <class Arch>
inline void scan_rows_i8(const RowsI8& rows, std::size_t count, const typename DotI8<Arch>::User* users,
                         const float* user_scale, std::size_t user_count, std::size_t n, float* out,
                         std::size_t out_stride) noexcept {
    constexpr std::size_t width = F32<Arch>::size;
    constexpr std::size_t tile = width == 16 ? 4 : 2;
    constexpr std::size_t block = 64;  // rows that stay in the first-level cache for all users
    const std::size_t stride = scan_i8_stride(n);
    const auto run = [&]<std::size_t Rows, std::size_t Users>(std::size_t r, std::size_t u, PrefetchAhead & ahead)
        __attribute__((always_inline)) {
        std::int32_t sums[std::max(Rows * Users, width)];
        detail::scan_tile_i8<Arch, Rows, Users>(rows.values + r * stride, users + u * stride, stride, ahead, sums);
        for (std::size_t i = 0; i < Users; ++i)
            std::memcpy(out + (u + i) * out_stride + r, sums + i * Rows, Rows * sizeof(float));
    };
    for (std::size_t first = 0; first < count; first += block) {
        const std::size_t last = std::min(count, first + block);
        const std::size_t tiles = (user_count / tile + user_count % tile) * ((last - first + tile - 1) / tile);
        PrefetchAhead ahead(rows.values + last * stride, std::min(count - last, block) * stride,
                            tiles * (stride / DotI8<Arch>::values), user_count >= tile);
        std::size_t u = 0;
        for (; u + tile <= user_count; u += tile) {
            std::size_t r = first;
            for (; r + tile <= last; r += tile) run.template operator()<tile, tile>(r, u, ahead);
            for (; r < last; ++r) run.template operator()<1, tile>(r, u, ahead);
        }
        for (; u < user_count; ++u) {
            std::size_t r = first;
            for (; r + width <= last; r += width) run.template operator()<width, 1>(r, u, ahead);
            for (; r < last; ++r) run.template operator()<1, 1>(r, u, ahead);
        }
        // The integers, where the scores will be, to scores.
        const I32<Arch> offset(MacI8<Arch>::offset);
        for (u = 0; u < user_count; ++u) {
            float* scores = out + u * out_stride + first;
            const F32<Arch> scale(user_scale[u]);
            std::size_t r = 0;
            for (; r + width <= last - first; r += width) {
                const I32<Arch> exact = bits_of<Arch>(F32<Arch>::load_unaligned(scores + r)) -
                                        offset * I32<Arch>::load_unaligned(rows.sum + first + r);
                const auto sum = (typename DotI8<Arch>::Sum)(typename I32<Arch>::register_type)exact;
                const auto row_scale = F32<Arch>::load_unaligned(rows.scale + first + r);
                (MacI8<Arch>::finish(sum) * row_scale * scale).store_unaligned(scores + r);
            }
            for (; r < last - first; ++r) {
                std::int32_t exact;
                std::memcpy(&exact, scores + r, sizeof exact);
                exact -= MacI8<Arch>::offset * rows.sum[first + r];
                scores[r] = static_cast<float>(exact) * rows.scale[first + r] * user_scale[u];
            }
        }
    }
}

}  // namespace kernels
RANKLET_NAMESPACE_END
