// Scores of catalog rows for one or many users: out[u, r] = users[u] . rows[r], rows in f32 or f16.
// In: row-major rows and users. Out: f32, each with the bits of dot() of the row widened to f32.
// Every row is read once for all users of a call: for one user it is a stream from memory, for many a matrix product.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/half.hpp"
#include "ranklet/kernels/arch.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

namespace detail {

// Vectors a and b hold Width / Part sums each, spread over Part neighbouring elements: the result holds those of a,
// then those of b, each spread over half as many, element i added to element i + Part / 2 as Lanes::reduce does.
template <std::size_t Width, std::size_t Part, class Vector>
inline RANKLET_INLINE Vector fold(const Vector& a, const Vector& b) noexcept {
    constexpr auto from = [](std::size_t i, std::size_t offset) {
        const std::size_t half = Part / 2, sum = i / half, sums = Width / Part;
        return static_cast<int>((sum < sums ? sum * Part : Width + (sum - sums) * Part) + i % half + offset);
    };
    return [&]<std::size_t... Index>(std::index_sequence<Index...>) RANKLET_INLINE {
        return __builtin_shufflevector(a, b, from(Index, 0)...) +
               __builtin_shufflevector(a, b, from(Index, Part / 2)...);
    }(std::make_index_sequence<Width>{});
}

/// Each of the Count (a power of two) vectors to one sum by the fixed tree; sums[i] is that of v[i].
/// `sums` has room for at least Width elements.
template <std::size_t Width, std::size_t Part = Width, std::size_t Count, class Vector, class Number>
inline RANKLET_INLINE void reduce_each(const Vector (&v)[Count], Number* sums) noexcept {
    if constexpr (Part == 1) {
        std::memcpy(sums, v, sizeof v);
    } else {
        Vector folded[(Count + 1) / 2];
        unroll<(Count + 1) / 2>(
            [&](auto i) RANKLET_INLINE { folded[i] = fold<Width, Part>(v[2 * i], v[Count == 1 ? 0 : 2 * i + 1]); });
        reduce_each<Width, Part / 2>(folded, sums);
    }
}

/// The first steps of the tree: sixteen lanes to one vector.
template <class Arch>
inline RANKLET_INLINE F32<Arch> add_vectors(const Lanes<Arch>& lanes) noexcept {
    if constexpr (Lanes<Arch>::count == 1)
        return lanes.v[0];
    else if constexpr (Lanes<Arch>::count == 2)
        return lanes.v[0] + lanes.v[1];
    else
        return (lanes.v[0] + lanes.v[2]) + (lanes.v[1] + lanes.v[3]);
}

}  // namespace detail

/// Rows of f32.
template <class Arch>
struct RowF32 {
    using Element = float;
    static inline RANKLET_INLINE Lanes<Arch> load(const Element* x) noexcept { return Lanes<Arch>::load(x); }
    static inline RANKLET_INLINE float widen(Element x) noexcept { return x; }
};

/// Rows of finite IEEE binary16, widened as they are read.
template <class Arch>
struct RowF16 {
    using Element = std::uint16_t;
    static inline RANKLET_INLINE Lanes<Arch> load(const Element* x) noexcept {
#if defined(__AVX512F__)
        // The masked form of the same instruction: g++ 12 warns falsely inside its own header of the other.
        if constexpr (F32<Arch>::size == 16)
            return {_mm512_maskz_cvtph_ps(__mmask16(0xFFFF), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)))};
#endif
#if defined(__F16C__) && defined(__AVX2__) && defined(__FMA__)  // as the ABI tag says
        if constexpr (F32<Arch>::size == 8)
            return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x))),
                    _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + 8)))};
#endif
#if defined(__aarch64__)
        const auto four = [&](std::size_t i) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x + i))); };
        if constexpr (F32<Arch>::size == 4) return {four(0), four(4), four(8), four(12)};
#endif
        float wide[lane_count];
        for (std::size_t i = 0; i < lane_count; ++i) wide[i] = f16_to_f32(x[i]);
        return Lanes<Arch>::load(wide);
    }
    static inline RANKLET_INLINE float widen(Element x) noexcept { return f16_to_f32(x); }
};

namespace detail {

// sums[u * Rows + r] = users[u] . rows[r]; `sums` has room for at least a vector. Asks for what lies `ahead` elements
// further: memory is busy while the registers are, and rows that lie side by side are too short a stretch for the
// processor to see where it leads.
template <class Arch, class Row, std::size_t Rows, std::size_t Users>
inline RANKLET_INLINE void scan_tile(const typename Row::Element* rows, std::size_t stride, const float* users,
                                     std::size_t n, std::size_t ahead, float* sums) noexcept {
    using Vector = typename F32<Arch>::register_type;
    constexpr std::size_t count = Rows * Users;
    Lanes<Arch> total[count];
    unroll<count>([&](auto i) RANKLET_INLINE { total[i] = Lanes<Arch>::broadcast(0.0f); });
    std::size_t i = 0;
    const auto step = [&](const auto& row, const auto& user) RANKLET_INLINE {
        Lanes<Arch> x[Rows];
        unroll<Rows>([&](auto r) RANKLET_INLINE {
            prefetch(address_of(rows) + (r * stride + i + ahead) * sizeof *rows);
            x[r] = row(r);
            if constexpr (Users > 1)
                unroll<Lanes<Arch>::count>(
                    [&](auto v) RANKLET_INLINE { x[r].v[v] = kept<typename F32<Arch>::register_type>(x[r].v[v]); });
        });
        unroll<Users>([&](auto u) RANKLET_INLINE {
            const Lanes<Arch> y = user(u);
            unroll<Rows>([&](auto r) RANKLET_INLINE {
                auto& sum = total[u * Rows + r];
                sum = Lanes<Arch>::map(x[r], y, sum,
                                       [](auto a, auto b, auto c) RANKLET_INLINE { return fma<Arch>(a, b, c); });
            });
        });
    };
    for (; i + lane_count <= n; i += lane_count)
        step([&](std::size_t r) RANKLET_INLINE { return Row::load(rows + r * stride + i); },
             [&](std::size_t u) RANKLET_INLINE { return Lanes<Arch>::load(users + u * n + i); });
    if (i < n) {
        const std::size_t rest = n - i;
        step(
            [&](std::size_t r) {
                float end[lane_count];
                for (std::size_t j = 0; j < lane_count; ++j)
                    end[j] = j < rest ? Row::widen(rows[r * stride + i + j]) : 0.0f;
                return Lanes<Arch>::load(end);
            },
            [&](std::size_t u) { return Lanes<Arch>::load_partial(users + u * n + i, rest, 0.0f); });
    }
    Vector v[count];
    unroll<count>([&](auto j) RANKLET_INLINE { v[j] = add_vectors<Arch>(total[j]); });
    reduce_each<F32<Arch>::size>(v, sums);
}

// One user: several rows at a time, so that their sums do not wait for each other.
template <class Arch, class Row>
inline RANKLET_INLINE void scan_for_one(const typename Row::Element* rows, std::size_t count, std::size_t stride,
                                        const float* user, std::size_t n, float* out) noexcept {
    constexpr std::size_t together = F32<Arch>::size == 16 ? 8 : 4;
    const auto run = [&]<std::size_t Rows>(std::size_t r) RANKLET_INLINE {
        float sums[std::max(Rows, F32<Arch>::size)];
        scan_tile<Arch, Row, Rows, 1>(rows + r * stride, stride, user, n, Rows * stride, sums);
        std::memcpy(out + r, sums, Rows * sizeof(float));
    };
    const std::size_t whole = count / together * together;
    for (std::size_t r = 0; r < whole; r += together) run.template operator()<together>(r);
    for (std::size_t r = whole; r < count; ++r) run.template operator()<1>(r);
}

}  // namespace detail

/// out[r] = rows[r] . x for `count` rows of length n that lie `stride` apart: scan_rows for one user. Each equals dot()
/// bit for bit.
template <class Arch>
inline void dot_rows(const float* rows, std::size_t count, std::size_t stride, const float* x, std::size_t n,
                     float* out) noexcept {
    detail::scan_for_one<Arch, RowF32<Arch>>(rows, count, stride, x, n, out);
}

/// out[u * out_stride + r] = users[u] . rows[r] for `count` rows of n that lie `stride` apart and `user_count` users,
/// [user_count, n] without gaps.
template <class Arch, class Row>
inline void scan_rows(const typename Row::Element* rows, std::size_t count, std::size_t stride, const float* users,
                      std::size_t user_count, std::size_t n, float* out, std::size_t out_stride) noexcept {
    constexpr std::size_t width = F32<Arch>::size;
    constexpr std::size_t tile = width == 16 ? 4 : 2;  // rows and users whose sums fit into the registers
    constexpr std::size_t block = 8;                   // rows that stay in the first-level cache for all users
    if (user_count < tile) {
        for (std::size_t u = 0; u < user_count; ++u)
            detail::scan_for_one<Arch, Row>(rows, count, stride, users + u * n, n, out + u * out_stride);
        return;
    }
    const std::size_t ahead = block * stride;
    const auto run = [&]<std::size_t Rows, std::size_t Users>(std::size_t r, std::size_t u) RANKLET_INLINE {
        float sums[std::max(Rows * Users, width)];
        detail::scan_tile<Arch, Row, Rows, Users>(rows + r * stride, stride, users + u * n, n, ahead, sums);
        for (std::size_t i = 0; i < Users; ++i)
            std::memcpy(out + (u + i) * out_stride + r, sums + i * Rows, Rows * sizeof(float));
    };
    for (std::size_t first = 0; first < count; first += block) {
        const std::size_t last = std::min(count, first + block);
        const std::size_t whole_users = user_count / tile * tile, whole_rows = first + (last - first) / tile * tile;
        for (std::size_t u = 0; u < whole_users; u += tile) {
            for (std::size_t r = first; r < whole_rows; r += tile) run.template operator()<tile, tile>(r, u);
            for (std::size_t r = whole_rows; r < last; ++r) run.template operator()<1, tile>(r, u);
        }
        for (std::size_t u = whole_users; u < user_count; ++u)
            detail::scan_for_one<Arch, Row>(rows + first * stride, last - first, stride, users + u * n, n,
                                            out + u * out_stride + first);
    }
}

/// Asks for a row that will be read soon.
inline void prefetch_row(const float* row, std::size_t n) noexcept {
    for (std::size_t i = 0; i < n; i += lane_count) __builtin_prefetch(row + i);
}

/// Writes the positions of the elements of x that are not less than `threshold` (NaN is not) and returns how many.
template <class Arch>
inline std::size_t not_less_than(const float* x, std::size_t n, float threshold, std::uint32_t* positions) noexcept {
    std::size_t found = 0, i = 0;
    const F32<Arch> limit(threshold);
    for (; i + lane_count <= n; i += lane_count) {
        const Lanes<Arch> lanes = Lanes<Arch>::load(x + i);
        bool all_less = true;
        unroll<Lanes<Arch>::count>([&](auto v)
                                       RANKLET_INLINE { all_less = all_less && xsimd::all(lanes.v[v] < limit); });
        if (all_less) continue;
        for (std::size_t j = i; j < i + lane_count; ++j)
            if (!(x[j] < threshold)) positions[found++] = static_cast<std::uint32_t>(j);
    }
    for (; i < n; ++i)
        if (!(x[i] < threshold)) positions[found++] = static_cast<std::uint32_t>(i);
    return found;
}

/// The same for upper[i] = x[i] + a_factor * a[i] + b_factor * b[i] (each product and sum rounded once), which is
/// written where it counts: at every position that is returned, and at some beside.
template <class Arch>
inline std::size_t sums_not_less_than(const float* x, float a_factor, const float* a, float b_factor, const float* b,
                                      std::size_t n, float threshold, float* upper, std::uint32_t* positions) noexcept {
    std::size_t found = 0;
    const F32<Arch> of_a(a_factor), of_b(b_factor), limit(threshold);
    for_each_lane_block(n, [&](std::size_t i, std::size_t count) RANKLET_INLINE {
        const auto lanes = Lanes<Arch>::map(load_block<Arch>(x + i, count, 0.0f), load_block<Arch>(a + i, count, 0.0f),
                                            load_block<Arch>(b + i, count, 0.0f),
                                            [&](const auto& score, const auto& first, const auto& second) {
                                                return fma<Arch>(of_b, second, fma<Arch>(of_a, first, score));
                                            });
        bool all_less = true;
        unroll<Lanes<Arch>::count>([&](auto v)
                                       RANKLET_INLINE { all_less = all_less && xsimd::all(lanes.v[v] < limit); });
        if (all_less) return;
        store_block<Arch>(lanes, upper + i, count);
        for (std::size_t j = i; j < i + count; ++j)
            if (!(upper[j] < threshold)) positions[found++] = static_cast<std::uint32_t>(j);
    });
    return found;
}

}  // namespace kernels
RANKLET_NAMESPACE_END
