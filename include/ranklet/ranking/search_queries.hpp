// SearchQueries: the queries of one search as the rows' scans read them.
// In: queries [m, dim] of f32. Out: the same without gaps, quantised where rows are 8-bit, packed where they are many.
// Memory is kept for the next search.
#pragma once

#include <cstddef>
#include <vector>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/view.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// A buffer of at least `count` elements; what it held is lost where it grows.
template <class T>
Result<void> reserve(AlignedBuffer<T>& buffer, std::size_t count) {
    if (buffer.size() < count) {
        RANKLET_ASSIGN(buffer, AlignedBuffer<T>::zeroed(count));
    }
    return {};
}

class SearchQueries {
public:
    /// Takes queries for rows of `dim` elements, quantised besides if `with_i8`. Error invalid_argument naming a query
    /// that is not finite, or when the sizes differ.
    Result<void> take(MatrixView<const float> queries, std::size_t dim, bool with_i8);
    /// Packs the queries, or the quantised ones, as a scan of many reads them.
    Result<void> pack(bool as_i8);

    std::size_t size() const noexcept { return size_; }
    std::size_t dim() const noexcept { return dim_; }
    const float* f32(std::size_t query) const noexcept { return f32_.data() + query * dim_; }
    float scale(std::size_t query) const noexcept { return scales_[query]; }
    const float* scales() const noexcept { return scales_.data(); }
    /// From a query on: its quantised elements, kernels::DotI8::Input of the instruction set.
    const std::byte* i8(std::size_t query) const noexcept { return i8_.data() + query * i8_bytes_; }
    /// From the panel on that begins with a query.
    const float* packed(std::size_t query) const noexcept;
    const std::byte* packed_i8(std::size_t query) const noexcept;

private:
    std::size_t size_ = 0, dim_ = 0, i8_bytes_ = 0;
    AlignedBuffer<float> f32_;     // [m, dim]
    AlignedBuffer<float> packed_;  // the same in panels
    AlignedBuffer<std::byte> i8_, packed_i8_;
    std::vector<float> scales_;  // [m], zero beyond up to a whole panel
};

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <cmath>

#include "ranklet/kernels/dot_i8.hpp"
#include "ranklet/kernels/panels.hpp"
#include "ranklet/kernels/scan_i8.hpp"
#include "ranklet/kernels/scan_many.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

RANKLET_FUNC Result<void> SearchQueries::take(MatrixView<const float> queries, std::size_t dim, bool with_i8) {
    using Arch = kernels::default_arch;
    using Input = typename kernels::DotI8<Arch>::Input;
    if (queries.rows > 0 && queries.cols != dim)
        return make_error(ErrorCode::invalid_argument,
                          {"queries of ", queries.cols, " elements for an index of ", dim});
    size_ = queries.rows;
    dim_ = dim;
    RANKLET_TRY(reserve(f32_, size_ * dim));
    for (std::size_t q = 0; q < size_; ++q) {
        const auto query = queries.row(q);
        for (const float x : query)
            if (!std::isfinite(x))
                return make_error(ErrorCode::invalid_argument, {"query ", q, " has an element that is not finite"});
        std::copy(query.begin(), query.end(), f32_.data() + q * dim);
    }
    if (!with_i8) return {};
    i8_bytes_ = kernels::scan_i8_stride(dim) * sizeof(Input);
    RANKLET_TRY(reserve(i8_, size_ * i8_bytes_));
    scales_.assign(kernels::padded_columns<Arch>(size_), 0.0f);
    for (std::size_t q = 0; q < size_; ++q)
        scales_[q] = kernels::quantize_user<Arch>(f32(q), dim, reinterpret_cast<Input*>(i8_.data() + q * i8_bytes_));
    return {};
}

RANKLET_FUNC Result<void> SearchQueries::pack(bool as_i8) {
    using Arch = kernels::default_arch;
    using Input = typename kernels::DotI8<Arch>::Input;
    if (as_i8) {
        RANKLET_TRY(reserve(packed_i8_, kernels::packed_users_i8_size<Arch>(size_, dim_) * sizeof(Input)));
        kernels::pack_users_i8<Arch>(reinterpret_cast<const Input*>(i8_.data()), size_, dim_,
                                     reinterpret_cast<Input*>(packed_i8_.data()));
    } else {
        RANKLET_TRY(reserve(packed_, kernels::packed_users_size<Arch>(size_, dim_)));
        kernels::pack_users<Arch>(f32_.data(), size_, dim_, packed_.data());
    }
    return {};
}

RANKLET_FUNC const float* SearchQueries::packed(std::size_t query) const noexcept {
    return packed_.data() + kernels::packed_users_size<kernels::default_arch>(query, dim_);
}
RANKLET_FUNC const std::byte* SearchQueries::packed_i8(std::size_t query) const noexcept {
    using Arch = kernels::default_arch;
    return packed_i8_.data() +
           kernels::packed_users_i8_size<Arch>(query, dim_) * sizeof(typename kernels::DotI8<Arch>::Input);
}

}  // namespace detail
RANKLET_NAMESPACE_END

#endif
