// Scaled dot-product attention of one head of one text (Vaswani et al. 2017): softmax(s Q K^T + b) V, s = 1 / sqrt(d) as a
// rule, b of the distance of key and query alone: a relative bias, ALiBi, or a mask.
// In: Q, K, V as [length, d] with one row stride. Out: [length, d] with its own stride.
// Queries go in blocks, so the scores never take length^2 floats; both products are gemm_f32's.
#pragma once

#include <algorithm>
#include <cmath>

#include "ranklet/core/config.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/kernels/elementwise.hpp"
#include "ranklet/kernels/epilogue.hpp"
#include "ranklet/kernels/gemm_f32.hpp"
#include "ranklet/kernels/panels.hpp"
#include "ranklet/kernels/softmax.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// Queries whose scores are in memory at a time.
template <class Arch>
inline constexpr std::size_t attention_block = 4 * GemmTile<Arch>::rows;

/// Scratch bytes of attention_head for texts of up to `length` tokens.
template <class Arch>
constexpr std::size_t attention_scratch_size(std::size_t length, std::size_t d) noexcept {
    return scratch_bytes<float>(packed_size<Arch>(length, d)) + scratch_bytes<float>(packed_size<Arch>(d, length)) +
           scratch_bytes<float>(std::min(length, attention_block<Arch>) * padded_columns<Arch>(length));
}

/// How scores become weights.
template <class T>
struct ScoreMap {
    T scale;
    /// What is added to a score, by key - query from -(length - 1) to length - 1: points to that of 0. -infinity: the key is
    /// not looked at (each query looks at itself). Null: nothing.
    const T* by_distance = nullptr;
};

template <class Arch>
inline void attention_head(std::size_t length, std::size_t d, const float* q, const float* k, const float* v,
                           std::size_t stride, float* out, std::size_t out_stride, const ScoreMap<float>& map,
                           Scratch& scratch) noexcept {
    const ScratchFrame frame(scratch);
    float* keys = scratch.take<float>(packed_size<Arch>(length, d));
    float* values = scratch.take<float>(packed_size<Arch>(d, length));
    const std::size_t columns = padded_columns<Arch>(length);  // whole panels: keys beyond `length` are zero
    float* scores = scratch.take<float>(std::min(length, attention_block<Arch>) * columns);
    pack_rows<Arch>(k, length, d, stride, keys);
    pack_columns<Arch>(v, d, length, stride, values);
    for (std::size_t first = 0; first < length; first += attention_block<Arch>) {
        const std::size_t rows = std::min(attention_block<Arch>, length - first);
        gemm_f32<Arch>(rows, columns, d, q + first * stride, stride, keys, scores, columns, StoreOnly{});
        float inverse[attention_block<Arch>];
        if (map.by_distance != nullptr)
            for (std::size_t r = 0; r < rows; ++r) {
                float* row = scores + r * columns;
                multiply_add<Arch>(map.scale, row, map.by_distance - (first + r), row, length);
            }
        softmax_numerators<Arch>(rows, scores, columns, length, map.by_distance != nullptr ? 1.0f : map.scale, inverse);
        gemm_f32<Arch>(rows, d, length, scores, columns, values, out + first * out_stride, out_stride,
                       ScaleRows<Arch>{inverse});
    }
}

}  // namespace kernels
RANKLET_NAMESPACE_END
