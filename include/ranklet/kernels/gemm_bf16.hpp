// Matrix products with bfloat16 weights: half the memory to read of f32, where reading is what takes the time (one
// text, one step of a GRU). W is packed once as bf16, C is f32, sums are f32. Two forms:
//   gemm_bf16: A is f32, weights are widened as they are read: the bits of gemm_f32 on the widened weights;
//   gemm_bf16_dot: A is rounded to bf16 beforehand, row by row, and a step is the processors' bf16 dot product.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/dot_bf16.hpp"
#include "ranklet/kernels/gemm.hpp"
#include "ranklet/kernels/panels.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// f32 inputs, bf16 weights: two values of k a step, side by side in 32 bits, so that widening is a shift or a mask.
template <class Arch>
struct MacBf16 {
    struct Tile {
        static constexpr std::size_t width = GemmTile<Arch>::width;
        static constexpr std::size_t panel = GemmTile<Arch>::panel;
        // Four vectors of weights are held where gemm_f32 holds two.
        static constexpr std::size_t rows = GemmTile<Arch>::rows > 8 ? 12 : 4;
    };
    using Input = float;
    using Weight = std::uint16_t;
    using Start = float;
    using Sum = F32<Arch>;
    static constexpr std::size_t step = 2;
    static constexpr std::size_t block = gemm_block / step;

    struct Pair {
        F32<Arch> even, odd;
    };
    static inline RANKLET_INLINE Sum start(const Start*, std::size_t) noexcept { return Sum(0.0f); }
    static inline RANKLET_INLINE Pair weights(const Weight* w) noexcept {
        const I32<Arch> both = I32<Arch>::load_unaligned(reinterpret_cast<const std::int32_t*>(w));
        return {from_bits<Arch>(shift_left<16, Arch>(both)),
                from_bits<Arch>(both & I32<Arch>(static_cast<std::int32_t>(0xFFFF0000u)))};
    }
    static inline RANKLET_INLINE Pair input(const Input* a) noexcept { return {F32<Arch>(a[0]), F32<Arch>(a[1])}; }
    static inline RANKLET_INLINE Sum accumulate(const Pair& a, const Pair& w, const Sum& sum) noexcept {
        return fma<Arch>(a.odd, w.odd, fma<Arch>(a.even, w.even, sum));
    }
    static inline RANKLET_INLINE F32<Arch> finish(const Sum& sum) noexcept { return sum; }
};

/// bf16 on both sides, two values of k a step. Blocks hold as many values of k as f32's.
template <class Arch, class Dot = DotBf16<Arch>>
struct MacBf16Dot {
    using Tile = GemmTile<Arch>;
    using Input = std::uint16_t;
    using Weight = std::uint16_t;
    using Start = float;
    using Sum = typename Dot::Sum;
    using Pairs = typename Dot::Pairs;
    static constexpr std::size_t step = Dot::step;
    static constexpr std::size_t block = gemm_block / step;

    static inline RANKLET_INLINE Sum start(const Start*, std::size_t) noexcept { return Sum(0.0f); }
    static inline RANKLET_INLINE Pairs weights(const Weight* w) noexcept { return Dot::load(w); }
    static inline RANKLET_INLINE Pairs input(const Input* a) noexcept { return Dot::broadcast(a); }
    static inline RANKLET_INLINE Sum accumulate(const Pairs& a, const Pairs& w, const Sum& sum) noexcept {
        return Dot::accumulate(a, w, sum);
    }
    static inline RANKLET_INLINE F32<Arch> finish(const Sum& sum) noexcept { return sum; }
};

/// W[n, k] of bf16, row r at w + r * k, into panels: packed[p][i / 2][j][i % 2] = W[p * panel + j, i], zero beyond n.
/// `packed` has packed_size(n, k) elements. k is even. `first` as of pack_rows.
template <class Arch>
inline void pack_rows_bf16(const std::uint16_t* w, std::size_t n, std::size_t k, std::uint16_t* packed,
                           std::size_t first = 0) noexcept {
    constexpr std::size_t panel = GemmTile<Arch>::panel, pair = 2;
    for (std::size_t r = 0; r < n;) {
        const std::size_t column = (first + r) % panel, columns = std::min(panel - column, n - r);
        std::uint16_t* to = packed + (first + r - column) * k + column * pair;
        if (column == 0 && columns < panel) std::fill_n(to, panel * k, std::uint16_t{0});
        for (std::size_t i = 0; i < k; i += pair)
            for (std::size_t j = 0; j < columns; ++j)
                std::memcpy(to + i * panel + j * pair, w + (r + j) * k + i, pair * sizeof *w);
        r += columns;
    }
}

/// C = A * W^T and the epilogue, as gemm_f32; packed: pack_rows_bf16. k is even.
template <class Arch, class Epilogue>
inline void gemm_bf16(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t a_stride,
                      const std::uint16_t* packed, float* c, std::size_t c_stride, const Epilogue& epilogue) noexcept {
    detail::gemm<MacBf16<Arch>>(m, {n, k / 2, a, a_stride, packed, nullptr, c, c_stride}, AnyEpilogue(epilogue));
}

/// The same with A in bf16 (round_to_bf16) and sums as Dot makes them. k is even.
template <class Arch, class Dot = DotBf16<Arch>, class Epilogue>
inline void gemm_bf16_dot(std::size_t m, std::size_t n, std::size_t k, const std::uint16_t* a, std::size_t a_stride,
                          const std::uint16_t* packed, float* c, std::size_t c_stride,
                          const Epilogue& epilogue) noexcept {
    detail::gemm<MacBf16Dot<Arch, Dot>>(m, {n, k / 2, a, a_stride, packed, nullptr, c, c_stride},
                                        AnyEpilogue(epilogue));
}

}  // namespace kernels
RANKLET_NAMESPACE_END
