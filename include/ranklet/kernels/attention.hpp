// Scaled dot-product attention of one head of one text (Vaswani et al. 2017): softmax(s Q K^T + b) V, s = 1 / sqrt(d) as a
// rule, b of the distance of key and query alone: a relative bias, ALiBi, or a mask; or with terms of content and distance
// in the scores (He et al. 2021).
// In: Q, K, V as [length, d] with one row stride. Out: [length, d] with its own stride.
// Queries go in blocks, so the scores never take length^2 floats; the products are gemm_f32's. Keys that no query of a block
// looks at are left out of its products, in whole blocks of the sums: what they would add is 0.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

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

/// Scratch bytes of attention_head for texts of up to `length` tokens, with PositionTerms of so many rows.
template <class Arch>
constexpr std::size_t attention_scratch_size(std::size_t length, std::size_t d,
                                             std::size_t position_rows = 0) noexcept {
    const std::size_t block = std::min(length, attention_block<Arch>), terms = padded_columns<Arch>(position_rows);
    return scratch_bytes<float>(packed_size<Arch>(length, d)) + scratch_bytes<float>(packed_size<Arch>(d, length)) +
           scratch_bytes<float>(block * padded_columns<Arch>(length)) +
           (position_rows == 0 ? 0 : scratch_bytes<float>(block * terms) + scratch_bytes<float>(length * terms));
}

/// What a score has beside q_i . k_j: q_i . keys[r] + queries[r] . k_j, r the row of the distance i - j.
template <class T>
struct PositionTerms {
    const T* keys = nullptr;     ///< [rows, d], packed; null: there is no such term
    const T* queries = nullptr;  ///< the same
    const std::uint32_t* row = nullptr;  ///< by query - key, points to that of 0; never falls
};

/// How scores become weights.
template <class T>
struct ScoreMap {
    static constexpr std::size_t all = std::numeric_limits<std::size_t>::max();

    T scale;
    /// What is added to a score, by key - query from -(length - 1) to length - 1: points to that of 0. -infinity: the key is
    /// not looked at (each query looks at itself). Null: nothing.
    const T* by_distance = nullptr;
    /// How far before the query keys are looked at, and how far behind it; those further away have -infinity by distance.
    std::size_t before = all, behind = all;
    const PositionTerms<T>* positions = nullptr;
};

namespace detail {

// Adds the terms of content and distance to scores [rows, length] of the queries from `first` on.
template <class Arch>
class PositionScores {
    static constexpr std::size_t panel = GemmTile<Arch>::panel;

public:
    PositionScores(const PositionTerms<float>& terms, std::size_t length, std::size_t d, const float* k,
                   std::size_t stride, Scratch& scratch) noexcept
        : terms_(terms), length_(length), d_(d) {
        const std::ptrdiff_t furthest = static_cast<std::ptrdiff_t>(length) - 1;
        base_ = terms.row[-furthest] / panel * panel;
        columns_ = padded_columns<Arch>(terms.row[furthest] + 1 - base_);
        of_queries_ = scratch.take<float>(std::min(length, attention_block<Arch>) * columns_);
        of_keys_ = scratch.take<float>(length * columns_);
        if (terms.queries != nullptr)
            gemm_f32<Arch>(length, columns_, d, k, stride, terms.queries + base_ * d, of_keys_, columns_, StoreOnly{});
    }
    void add(const float* q, std::size_t stride, std::size_t first, std::size_t rows, float* scores,
             std::size_t scores_stride) const noexcept {
        if (terms_.keys != nullptr)
            gemm_f32<Arch>(rows, columns_, d_, q, stride, terms_.keys + base_ * d_, of_queries_, columns_, StoreOnly{});
        for (std::size_t r = 0; r < rows; ++r) {
            const std::uint32_t* row = terms_.row + first + r;
            float* score = scores + r * scores_stride;
            if (terms_.keys != nullptr)
                for (std::size_t j = 0; j < length_; ++j)
                    score[j] += of_queries_[r * columns_ + *(row - j) - base_];
            if (terms_.queries != nullptr)
                for (std::size_t j = 0; j < length_; ++j) score[j] += of_keys_[j * columns_ + *(row - j) - base_];
        }
    }

private:
    const PositionTerms<float>& terms_;
    std::size_t length_, d_, base_, columns_;  // of the terms: the rows that the text's distances have
    float *of_queries_, *of_keys_;
};

}  // namespace detail

template <class Arch>
inline void attention_head(std::size_t length, std::size_t d, const float* q, const float* k, const float* v,
                           std::size_t stride, float* out, std::size_t out_stride, const ScoreMap<float>& map,
                           Scratch& scratch) noexcept {
    const ScratchFrame frame(scratch);
    float* keys = scratch.take<float>(packed_size<Arch>(length, d));
    float* values = scratch.take<float>(packed_size<Arch>(d, length));
    const std::size_t stride_of_scores = padded_columns<Arch>(length);  // whole panels: keys beyond `length` are zero
    float* scores = scratch.take<float>(std::min(length, attention_block<Arch>) * stride_of_scores);
    pack_rows<Arch>(k, length, d, stride, keys);
    pack_columns<Arch>(v, d, length, stride, values);
    std::optional<detail::PositionScores<Arch>> positions;
    if (map.positions != nullptr) positions.emplace(*map.positions, length, d, k, stride, scratch);
    for (std::size_t first = 0; first < length; first += attention_block<Arch>) {
        const std::size_t rows = std::min(attention_block<Arch>, length - first), last = first + rows - 1;
        // The keys [from, to) that these queries look at; from where a block of the sums over keys begins.
        const std::size_t from = map.before < first ? (first - map.before) / gemm_block * gemm_block : 0;
        const std::size_t to = map.behind < length - 1 - last ? last + map.behind + 1 : length;
        gemm_f32<Arch>(rows, padded_columns<Arch>(to - from), d, q + first * stride, stride, keys + from * d, scores,
                       stride_of_scores, StoreOnly{});
        if (positions) positions->add(q + first * stride, stride, first, rows, scores, stride_of_scores);
        float inverse[attention_block<Arch>];
        if (map.by_distance != nullptr)
            for (std::size_t r = 0; r < rows; ++r) {
                float* row = scores + r * stride_of_scores;
                multiply_add<Arch>(map.scale, row, map.by_distance + from - (first + r), row, to - from);
            }
        softmax_numerators<Arch>(rows, scores, stride_of_scores, to - from,
                                 map.by_distance != nullptr ? 1.0f : map.scale, inverse);
        gemm_f32_part<Arch>(rows, d, from, to, length, scores, stride_of_scores, values, out + first * out_stride,
                            out_stride, ScaleRows<Arch>{inverse});
    }
}

}  // namespace kernels
RANKLET_NAMESPACE_END
