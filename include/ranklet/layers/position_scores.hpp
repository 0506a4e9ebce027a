// PositionScores: what DeBERTa's disentangled attention (He et al. 2021) adds to a layer's scores: of a query and a row of keys,
// and of a row of queries and a key, the row by the bucket of their distance.
// In: tables of keys and of queries [rows, heads * head size], buckets of distances. Out: each head's terms.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/storage.hpp"

RANKLET_NAMESPACE_BEGIN

template <class T = float>
class PositionScores {
    using Ops = kernels::Ops<T>;

public:
    RANKLET_MOVES_OUT_OF_LINE(PositionScores);
    /// `keys`, `queries` [2 * span, heads * head size], one of them or both (the other has no rows), copied. `buckets`: of the
    /// distances 0, 1, 2 ..., none below the one before it, none above `span`; as many as a text may have tokens. A query b
    /// buckets behind a key has row span + b (the last, where that is one too far), one before it row span - b.
    RANKLET_COLD Result<void> assign(MatrixView<const T> keys, MatrixView<const T> queries, std::size_t heads,
                        std::span<const std::uint32_t> buckets) {
        const MatrixView<const T>& any = keys.rows > 0 ? keys : queries;
        const std::size_t span = any.rows / 2;
        if (span == 0 || any.rows % 2 != 0 || heads == 0 || any.cols == 0 || any.cols % heads != 0)
            return make_error(ErrorCode::invalid_argument, {"a table of positions of ", any.rows, " x ", any.cols,
                                                            " is not of an even number of rows for ", heads, " heads"});
        if (keys.rows > 0 && queries.rows > 0 && (keys.rows != queries.rows || keys.cols != queries.cols))
            return make_error(ErrorCode::invalid_argument, {"tables of positions of different sizes"});
        if (buckets.empty() || buckets[0] != 0)
            return make_error(ErrorCode::invalid_argument, {"buckets of distances must begin with 0"});
        for (std::size_t d = 1; d < buckets.size(); ++d)
            if (buckets[d] < buckets[d - 1] || buckets[d] > span)
                return make_error(ErrorCode::invalid_argument, {"the bucket of distance ", d, " is ", buckets[d],
                                                                ", expected ", buckets[d - 1], " to ", span});
        heads_ = heads;
        head_ = any.cols / heads;
        rows_ = any.rows;
        RANKLET_TRY(pack(keys, keys_));
        RANKLET_TRY(pack(queries, queries_));
        center_ = buckets.size() - 1;
        RANKLET_ASSIGN(by_distance_, AlignedBuffer<std::uint32_t>::zeroed(2 * buckets.size() - 1));
        for (std::size_t d = 0; d < buckets.size(); ++d) {
            by_distance_.data()[center_ + d] = static_cast<std::uint32_t>(std::min(span + buckets[d], rows_ - 1));
            by_distance_.data()[center_ - d] = static_cast<std::uint32_t>(span - buckets[d]);
        }
        by_distance_.data()[center_] = static_cast<std::uint32_t>(span);
        return {};
    }

    std::size_t rows() const noexcept { return rows_; }
    std::size_t heads() const noexcept { return heads_; }
    std::size_t head_size() const noexcept { return head_; }
    /// The terms of a head. Precondition: it was assigned.
    kernels::PositionTerms<T> of(std::size_t head) const noexcept {
        const std::size_t first = head * Ops::packed_size(rows_, head_);
        return {keys_.size() > 0 ? keys_.data() + first : nullptr, queries_.size() > 0 ? queries_.data() + first : nullptr,
                by_distance_.data() + center_};
    }

private:
    RANKLET_COLD Result<void> pack(MatrixView<const T> table, AlignedBuffer<T>& to) const {
        if (table.rows == 0) return {};
        const std::size_t size = Ops::packed_size(rows_, head_);
        RANKLET_ASSIGN(to, AlignedBuffer<T>::zeroed(heads_ * size));
        for (std::size_t h = 0; h < heads_; ++h)
            Ops::pack(table.data + h * head_, rows_, head_, table.stride, to.data() + h * size, 0);
        return {};
    }

    AlignedBuffer<T> keys_, queries_;            // [heads] of packed [rows, head size]
    AlignedBuffer<std::uint32_t> by_distance_;   // of query - key from -center to center
    std::size_t heads_ = 0, head_ = 0, rows_ = 0, center_ = 0;
};

RANKLET_NAMESPACE_END
