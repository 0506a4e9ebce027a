// 8-bit matrix product: C = (scale_a * scale_w) * (A8 W8^T) + bias, exact integer sums on every instruction set.
// In: activations quantised row by row (one scale a row of A), weights with one scale a row of W. Out: f32.
// Both are in [-127, 127]; int32 sums hold k up to 132,000 without overflow. A row of A whose values are
// scale * q + middle adds middle * (the sum of the row of W), which the epilogue does.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/dot_i8.hpp"
#include "ranklet/kernels/epilogue.hpp"
#include "ranklet/kernels/gemm.hpp"
#include "ranklet/kernels/panels.hpp"
#include "ranklet/kernels/quantize.hpp"

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
    static inline RANKLET_INLINE F32<Arch> finish(const Sum& sum) noexcept { return Dot::to_f32(sum); }

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

/// Bytes of W[n, k] in panels.
template <class Arch>
constexpr std::size_t i8_packed_size(std::size_t n, std::size_t k) noexcept {
    return padded_columns<Arch>(n) * i8_row_size<Arch>(k);
}

/// W[n, k], row r at w + r * k, into panels; `start` [padded_columns(n)] gets what the sums begin with.
/// `first` as of pack_rows.
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

/// C = A8 W8^T with an epilogue. a: [m, i8_row_size(k)], packed and start: pack_rows_i8 of W[n, k].
template <class Arch, class Epilogue>
inline void gemm_i8(std::size_t m, std::size_t n, std::size_t k, const typename MacI8<Arch>::Input* a,
                    const std::int8_t* packed, const std::int32_t* start, float* c, std::size_t c_stride,
                    const Epilogue& epilogue) noexcept {
    detail::gemm<MacI8<Arch>>(m, {n, i8_steps<Arch>(k), a, i8_row_size<Arch>(k), packed, start, c, c_stride},
                              AnyEpilogue(epilogue));
}

}  // namespace kernels
RANKLET_NAMESPACE_END
