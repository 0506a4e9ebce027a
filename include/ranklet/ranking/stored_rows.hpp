// StoredRows: the rows of an index as a search reads them.
// In: vectors [n, dim] of f32, looked into or copied as f16 or 8 bits. Out: their scores for a group of queries.
// A score has the bits of `kernels::dot` of the stored row and the query, whatever is scored beside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/view.hpp"

RANKLET_NAMESPACE_BEGIN

/// How an index stores its rows.
enum class RowType {
    f32,       ///< as they are: 4 bytes an element, nothing is copied
    f16,       ///< rounded to IEEE binary16: 2 bytes
    i8,        ///< symmetric, one scale a row: 1 byte; scores are approximate
    i8_exact,  ///< i8 in front of the f32 vectors: 1 byte more, and exactly the f32 result
};

namespace detail {

class SearchQueries;

class StoredRows {
public:
    static constexpr std::size_t max_dim = 65536;    // int32 sums hold that many products of two bytes
    static constexpr double largest_i8_norm = 1e33;  // times 127 sqrt(max_dim), the most a sum adds: finite in f32

    StoredRows() = default;
    StoredRows(StoredRows&& other) noexcept { *this = std::move(other); }
    /// The other is without rows then.
    StoredRows& operator=(StoredRows&& other) noexcept {
        vectors_ = std::exchange(other.vectors_, {});
        type_ = other.type_;
        f16_ = std::move(other.f16_);
        i8_stride_ = other.i8_stride_;
        i8_ = std::move(other.i8_);
        scale_ = std::move(other.scale_);
        sum_ = std::move(other.sum_);
        return *this;
    }
    /// Error invalid_argument as VectorIndex::create's, out_of_memory.
    static Result<StoredRows> create(MatrixView<const float> vectors, RowType type);

    std::size_t size() const noexcept { return vectors_.rows; }
    std::size_t dim() const noexcept { return vectors_.cols; }
    RowType type() const noexcept { return type_; }
    bool has_i8() const noexcept { return type_ == RowType::i8 || type_ == RowType::i8_exact; }
    /// Bytes of the copies.
    std::size_t memory() const noexcept {
        return f16_.size() * sizeof(f16_[0]) + i8_.size() + (scale_.size() + sum_.size()) * 4;
    }

    /// A row of the caller's vectors. Precondition: type() is f32 or i8_exact.
    std::span<const float> vector(std::size_t row) const noexcept { return vectors_.row(row); }
    /// An 8-bit row [dim] and its scale. Precondition: has_i8().
    const std::int8_t* i8(std::size_t row) const noexcept { return i8_.data() + row * i8_stride_; }
    float scale(std::size_t row) const noexcept { return scale_[row]; }

    /// Whether so many queries should be packed for score().
    static bool wants_packed(std::size_t queries) noexcept;
    /// Floats of `wide` that score() takes for so many queries.
    std::size_t wide_size(std::size_t queries) const noexcept;
    /// scores[q * stride + r] of rows [row, row + count) for queries [first, first + query_count); `as_i8`: of the
    /// 8-bit rows. `first` begins a whole panel: a multiple of 32.
    void score(bool as_i8, std::size_t row, std::size_t count, const SearchQueries& queries, std::size_t first,
               std::size_t query_count, float* wide, float* scores, std::size_t stride) const noexcept;

private:
    Result<void> store_f16();
    Result<void> store_i8();

    MatrixView<const float> vectors_;  // the caller's; without data when the copies below serve alone
    RowType type_ = RowType::f32;
    AlignedBuffer<std::uint16_t> f16_;  // [n, dim]
    std::size_t i8_stride_ = 0;
    AlignedBuffer<std::int8_t> i8_;    // [n, i8_stride_], zero beyond dim
    AlignedBuffer<float> scale_;       // [n]
    AlignedBuffer<std::int32_t> sum_;  // [n] of the row's bytes
};

}  // namespace detail

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <cmath>
#include <utility>
#include <vector>

#include "ranklet/core/half.hpp"
#include "ranklet/kernels/dot_i8.hpp"
#include "ranklet/kernels/scan.hpp"
#include "ranklet/kernels/scan_i8.hpp"
#include "ranklet/kernels/scan_many.hpp"
#include "ranklet/ranking/search_queries.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

RANKLET_COLD RANKLET_FUNC Result<StoredRows> StoredRows::create(MatrixView<const float> vectors, RowType type) {
    if (vectors.rows >= static_cast<std::size_t>(static_cast<std::uint32_t>(-1)))
        return make_error(ErrorCode::invalid_argument, {"an index holds fewer than 2^32 - 1 rows"});
    if (vectors.stride < vectors.cols)
        return make_error(ErrorCode::invalid_argument,
                          {"vectors of ", vectors.cols, " elements that lie ", vectors.stride, " apart"});
    if (vectors.rows > 0 && (vectors.cols == 0 || vectors.cols > max_dim))
        return make_error(ErrorCode::invalid_argument,
                          {"an index of vectors with ", vectors.cols, " elements, expected 1 to ", max_dim});
    for (std::size_t r = 0; r < vectors.rows; ++r)
        for (const float x : vectors.row(r))
            if (!std::isfinite(x))
                return make_error(ErrorCode::invalid_argument, {"vector ", r, " has an element that is not finite"});
    StoredRows rows;
    rows.vectors_ = vectors;
    rows.type_ = type;
    if (type == RowType::f16) RANKLET_TRY(rows.store_f16());
    if (rows.has_i8()) RANKLET_TRY(rows.store_i8());
    if (type == RowType::f16 || type == RowType::i8) rows.vectors_.data = nullptr;  // the copies serve alone
    return rows;
}

RANKLET_COLD RANKLET_FUNC Result<void> StoredRows::store_f16() {
    RANKLET_ASSIGN(f16_, AlignedBuffer<std::uint16_t>::zeroed(size() * dim()));
    for (std::size_t r = 0; r < size(); ++r)
        for (std::size_t i = 0; i < dim(); ++i) {
            const std::uint16_t half = f32_to_f16(vectors_(r, i));
            if ((half & 0x7FFFu) >= 0x7C00u)
                return make_error(ErrorCode::invalid_argument,
                                  {"vector ", r, " has an element beyond the largest f16"});
            f16_[r * dim() + i] = half;
        }
    return {};
}

RANKLET_COLD RANKLET_FUNC Result<void> StoredRows::store_i8() {
    using Arch = kernels::default_arch;
    using Dot = kernels::DotI8<Arch>;
    i8_stride_ = kernels::scan_i8_stride(dim());
    RANKLET_ASSIGN(i8_, AlignedBuffer<std::int8_t>::zeroed(size() * i8_stride_));
    RANKLET_ASSIGN(scale_, AlignedBuffer<float>::zeroed(size()));
    RANKLET_ASSIGN(sum_, AlignedBuffer<std::int32_t>::zeroed(size()));
    std::vector<typename Dot::Input> row(i8_stride_);
    for (std::size_t r = 0; r < size(); ++r) {
        scale_[r] = kernels::quantize_user<Arch>(vectors_.row(r).data(), dim(), row.data());
        for (std::size_t i = 0; i < dim(); ++i) {
            const auto value = static_cast<std::int8_t>(row[i] - Dot::offset);
            i8_[r * i8_stride_ + i] = value;
            sum_[r] += value;
        }
        if (type_ == RowType::i8_exact) continue;  // its bounds say which searches the 8-bit rows are good for
        double square = 0.0;
        for (const float x : vectors_.row(r)) square += static_cast<double>(x) * static_cast<double>(x);
        if (!(std::sqrt(square) < largest_i8_norm))
            return make_error(ErrorCode::invalid_argument, {"vector ", r, " is too long for 8 bits (1e33 and more)"});
    }
    return {};
}

RANKLET_FUNC bool StoredRows::wants_packed(std::size_t queries) noexcept {
    return kernels::wants_packed_users<kernels::default_arch>(queries);
}
RANKLET_FUNC std::size_t StoredRows::wide_size(std::size_t queries) const noexcept {
    const bool widens = type_ == RowType::f16 && wants_packed(queries);
    return widens ? kernels::scan_many_wide_size<kernels::default_arch>(dim()) : 0;
}

RANKLET_FUNC void StoredRows::score(bool as_i8, std::size_t row, std::size_t count, const SearchQueries& queries,
                                    std::size_t first, std::size_t query_count, float* wide, float* scores,
                                    std::size_t stride) const noexcept {
    using Arch = kernels::default_arch;
    if (as_i8) {
        const auto* users = reinterpret_cast<const typename kernels::DotI8<Arch>::Input*>(queries.i8(first));
        const auto* packed = reinterpret_cast<const typename kernels::DotI8<Arch>::Input*>(queries.packed_i8(first));
        kernels::scan_many_i8<Arch>({i8(row), scale_.data() + row, sum_.data() + row}, count, users, packed,
                                    queries.scales() + first, query_count, dim(), scores, stride);
    } else if (type_ == RowType::f16) {
        kernels::scan_many<Arch, kernels::RowF16<Arch>>(f16_.data() + row * dim(), count, dim(), queries.f32(first),
                                                        queries.packed(first), query_count, dim(), wide, scores,
                                                        stride);
    } else {
        kernels::scan_many<Arch, kernels::RowF32<Arch>>(vectors_.row(row).data(), count, vectors_.stride,
                                                        queries.f32(first), queries.packed(first), query_count, dim(),
                                                        nullptr, scores, stride);
    }
}

}  // namespace detail
RANKLET_NAMESPACE_END

#endif
