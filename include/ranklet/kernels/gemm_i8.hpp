// 8-bit matrix product: C = (scale_a * scale_w) * (A8 W8^T) + bias, exact integer sums on every instruction set.
// In: activations quantised row by row (one scale a row of A), weights with one scale a row of W. Out: f32.
// Both are symmetric, in [-127, 127]; int32 sums hold k up to 132,000 without overflow.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/dot_i8.hpp"
#include "ranklet/kernels/gemm.hpp"
#include "ranklet/kernels/reduce.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

template <class Arch>
struct MacI8 {
    using Tile = GemmTile<Arch>;
    using Weight = std::int8_t;
    using Start = std::int32_t;
    static constexpr std::size_t width = Tile::width;
    using Sum = typename DotI8<Arch>::Sum;
    static constexpr std::size_t block = static_cast<std::size_t>(-1);  ///< integers: one exact sum
    using Register = typename I32<Arch>::register_type;

    using Dot = DotI8<Arch>;
    using Input = typename Dot::Input;
    static constexpr std::size_t step = Dot::step;
    static constexpr std::int32_t offset = Dot::offset;  ///< taken out again by what the sums begin with

    static inline RANKLET_INLINE Sum start(const Start* sums, std::size_t column) noexcept {
        return sums == nullptr ? Sum{} : (Sum)(Register)I32<Arch>::load_unaligned(sums + column);
    }
    static inline RANKLET_INLINE F32<Arch> finish(const Sum& sum) noexcept {
        return (typename F32<Arch>::register_type) __builtin_convertvector(sum, typename detail::IntVector<width>::f32);
    }

    /// `step` values of A, as they are multiplied with each column.
    static inline RANKLET_INLINE std::int32_t input(const Input* a) noexcept {
        std::int32_t bits;
        static_assert(step * sizeof(Input) == sizeof bits);
        std::memcpy(&bits, a, sizeof bits);
        return bits;
    }
    /// `step` values of each of `width` columns of W, column by column.
    static inline RANKLET_INLINE const Weight* weights(const Weight* w) noexcept { return w; }

    static inline RANKLET_INLINE Sum accumulate(std::int32_t a, const Weight* w, const Sum& sum) noexcept {
        return Dot::accumulate(Dot::broadcast(a), w, sum);
    }
};

/// k in whole steps.
template <class Arch>
constexpr std::size_t i8_steps(std::size_t k) noexcept {
    return (k + MacI8<Arch>::step - 1) / MacI8<Arch>::step;
}
/// Elements of a quantised row of A with k values.
template <class Arch>
constexpr std::size_t i8_row_size(std::size_t k) noexcept {
    return i8_steps<Arch>(k) * MacI8<Arch>::step;
}
/// Bytes of W[n, k] in panels.
template <class Arch>
constexpr std::size_t i8_packed_size(std::size_t n, std::size_t k) noexcept {
    return padded_columns<Arch>(n) * i8_row_size<Arch>(k);
}

/// W[n, k], row r at w + r * k, into panels; `start` [padded_columns(n)] gets what the sums begin with. `first` as of
/// pack_rows.
template <class Arch>
inline void pack_rows_i8(const std::int8_t* w, std::size_t n, std::size_t k, std::int8_t* packed, std::int32_t* start,
                         std::size_t first = 0) noexcept {
    using Mac = MacI8<Arch>;
    constexpr std::size_t panel = Mac::Tile::panel, step = Mac::step;
    const std::size_t row_size = i8_row_size<Arch>(k), whole_k = k / step * step;
    for (std::size_t r = 0; r < n;) {
        const std::size_t column = (first + r) % panel, columns = std::min(panel - column, n - r);
        std::int8_t* to = packed + (first + r - column) * row_size + column * step;
        if (column == 0 && columns < panel) {
            std::memset(to, 0, panel * row_size);
            std::fill_n(start + first + r, panel, 0);
        }
        for (std::size_t i = 0; i < whole_k; i += step)
            for (std::size_t j = 0; j < columns; ++j) std::memcpy(to + i * panel + j * step, w + (r + j) * k + i, step);
        for (std::size_t j = 0; whole_k < k && j < columns; ++j) {
            std::int8_t last[step] = {};
            std::memcpy(last, w + (r + j) * k + whole_k, k - whole_k);
            std::memcpy(to + whole_k * panel + j * step, last, step);
        }
        for (std::size_t j = 0; j < columns; ++j) {
            std::int32_t sum = 0;
            for (std::size_t i = 0; i < k; ++i) sum += w[(r + j) * k + i];
            start[first + r + j] = -Mac::offset * sum;
        }
        r += columns;
    }
}

/// q[i] = round(x[i] * 127 / max|x|), ties to even; returns max|x| / 127. `q` has i8_row_size(k) elements. A NaN in x
/// gives NaN, so that the product's row is NaN as in f32.
template <class Arch>
inline float quantize_row(const float* x, std::size_t k, typename MacI8<Arch>::Input* q) noexcept {
    using Mac = MacI8<Arch>;
    // Magnitudes are ordered as their bits are; a NaN is above all.
    I32<Arch> largest[Lanes<Arch>::count];
    unroll<Lanes<Arch>::count>([&](auto v) RANKLET_INLINE { largest[v] = I32<Arch>(0); });
    for_each_lane_block(k, [&](std::size_t i, std::size_t count) RANKLET_INLINE {
        const auto lanes = load_block<Arch>(x + i, count, 0.0f);
        unroll<Lanes<Arch>::count>([&](auto v) RANKLET_INLINE {
            largest[v] = larger<Arch>(largest[v], bits_of<Arch>(xsimd::abs(lanes.v[v])));
        });
    });
    Lanes<Arch> bounds;
    unroll<Lanes<Arch>::count>([&](auto v) RANKLET_INLINE { bounds.v[v] = from_bits<Arch>(largest[v]); });
    const float bound = bounds.reduce(
        [](const auto& a, const auto& b) { return from_bits<Arch>(larger<Arch>(bits_of<Arch>(a), bits_of<Arch>(b))); });
    // A row that is all but zero becomes zero: 127 / bound would be infinite.
    // 1.5 * 2^23 rounds to an integer, whose last bits are those of the sum.
    const F32<Arch> inverse(bound < 1e-36f ? 0.0f : 127.0f / bound),
        magic(12582912.0f + static_cast<float>(Mac::offset));
    for_each_lane_block(k, [&](std::size_t i, std::size_t count) RANKLET_INLINE {
        const auto lanes = load_block<Arch>(x + i, count, 0.0f);
        std::int32_t rounded[lane_count];
        unroll<Lanes<Arch>::count>([&](auto v) RANKLET_INLINE {
            bits_of<Arch>(fma<Arch>(lanes.v[v], inverse, magic)).store_unaligned(rounded + v * F32<Arch>::size);
        });
        typename Mac::Input narrow[lane_count];
        for (std::size_t j = 0; j < lane_count; ++j) narrow[j] = static_cast<typename Mac::Input>(rounded[j]);
        std::memcpy(q + i, narrow, count * sizeof *q);
    });
    for (std::size_t i = k; i < i8_row_size<Arch>(k); ++i) q[i] = static_cast<typename Mac::Input>(Mac::offset);
    return bound / 127.0f;
}

/// Epilogue: c = activation((c * weight_scale[column]) * input_scale[row] + bias [+ residual]).
template <class Arch>
struct DequantizeBiasActivation {
    const float* weight_scale;  ///< [n]
    const float* input_scale;   ///< [m]
    BiasActivation<Arch> rest;

    void operator()(const kernels::Tile& tile) const noexcept {
        rest.apply(tile, [&]<std::size_t N>(const Pack<F32<Arch>, N>& sums, std::size_t row, std::size_t column,
                                            std::size_t columns) RANKLET_INLINE {
            const auto weight = detail::load_rows<Arch, N / 2>(weight_scale + column, 0, columns);
            return (sums * weight) * detail::spread_rows<Arch, N / 2>(input_scale + row);
        });
    }
};

/// C = A8 W8^T with an epilogue. a: [m, i8_row_size(k)], packed and start: pack_rows_i8 of W[n, k].
template <class Arch, class Epilogue>
inline void gemm_i8(std::size_t m, std::size_t n, std::size_t k, const typename MacI8<Arch>::Input* a,
                    const std::int8_t* packed, const std::int32_t* start, float* c, std::size_t c_stride,
                    const Epilogue& epilogue) noexcept {
    detail::gemm<MacI8<Arch>>(m, {n, i8_steps<Arch>(k), a, i8_row_size<Arch>(k), packed, start, c, c_stride}, epilogue);
}

}  // namespace kernels
RANKLET_NAMESPACE_END
