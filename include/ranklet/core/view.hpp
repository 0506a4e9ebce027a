// MatrixView<T>: rows x cols over foreign memory, row-major with a row stride. Nothing is owned.
#pragma once

#include <span>
#include <type_traits>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// Indices [first, last).
struct IndexRange {
    std::size_t first = 0;
    std::size_t last = 0;
};

template <class T>
struct MatrixView {
    T* data = nullptr;
    std::size_t rows = 0;
    std::size_t cols = 0;
    std::size_t stride = 0;  ///< elements from one row's start to the next; >= cols

    MatrixView() = default;
    MatrixView(T* data_, std::size_t rows_, std::size_t cols_) noexcept : MatrixView(data_, rows_, cols_, cols_) {}
    MatrixView(T* data_, std::size_t rows_, std::size_t cols_, std::size_t stride_) noexcept
        : data(data_), rows(rows_), cols(cols_), stride(stride_) {}
    /// A view of mutable numbers converts to a view of constant ones.
    template <class U>
    requires(std::is_same_v<T, const U>)
    MatrixView(const MatrixView<U>& other) noexcept : MatrixView(other.data, other.rows, other.cols, other.stride) {}

    std::span<T> row(std::size_t r) const noexcept { return {data + r * stride, cols}; }
    MatrixView middle_rows(std::size_t first, std::size_t count) const noexcept {
        return {data + first * stride, count, cols, stride};
    }
    T& operator()(std::size_t r, std::size_t c) const noexcept { return data[r * stride + c]; }
};

RANKLET_NAMESPACE_END
