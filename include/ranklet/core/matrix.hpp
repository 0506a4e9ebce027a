// Matrix: a row-major [rows, cols] of f32: owned and aligned, or looking into memory that it keeps alive (a mapped
// file). In: sizes, or a view and its owner. Out: rows and views.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/view.hpp"

RANKLET_NAMESPACE_BEGIN

class Matrix {
public:
    Matrix() = default;

    /// All zero. Error when the memory cannot be had.
    RANKLET_OUT_OF_LINE static Result<Matrix> zeroed(std::size_t rows, std::size_t cols) {
        if (cols != 0 && rows > static_cast<std::size_t>(-1) / cols)
            return make_error(ErrorCode::out_of_memory, {"a matrix of ", rows, " x ", cols, " is too large"});
        Matrix matrix;
        RANKLET_ASSIGN(matrix.buffer_, AlignedBuffer<float>::zeroed(rows * cols));
        matrix.data_ = matrix.buffer_.data();
        matrix.rows_ = rows;
        matrix.cols_ = cols;
        return matrix;
    }

    /// Looks at `rows` x `cols` numbers in memory of `owner`, which lives as long as this matrix. They are read only:
    /// no number may be written through this matrix's mutable views. `data` is aligned to a float at least.
    static Matrix borrowed(const float* data, std::size_t rows, std::size_t cols,
                           std::shared_ptr<const void> owner) noexcept {
        Matrix matrix;
        matrix.owner_ = std::move(owner);
        matrix.data_ = const_cast<float*>(data);
        matrix.rows_ = rows;
        matrix.cols_ = cols;
        return matrix;
    }

    /// The numbers of a view in memory of its own. Error when it cannot be had.
    RANKLET_OUT_OF_LINE static Result<Matrix> copy_of(MatrixView<const float> view) {
        RANKLET_ASSIGN(Matrix result, zeroed(view.rows, view.cols));
        for (std::size_t r = 0; r < view.rows; ++r) std::copy_n(view.row(r).data(), view.cols, result.row(r).data());
        return result;
    }
    Result<Matrix> copy() const { return copy_of(view()); }

    RANKLET_OUT_OF_LINE Matrix(Matrix&& other) noexcept { swap(other); }
    RANKLET_OUT_OF_LINE Matrix& operator=(Matrix&& other) noexcept {
        Matrix taken(std::move(other));
        swap(taken);
        return *this;
    }
    Matrix(const Matrix&) = delete;
    Matrix& operator=(const Matrix&) = delete;
    RANKLET_OUT_OF_LINE ~Matrix() = default;

    std::size_t rows() const noexcept { return rows_; }
    std::size_t cols() const noexcept { return cols_; }
    bool empty() const noexcept { return data_ == nullptr; }
    /// Whether the numbers are another's (see borrowed()).
    bool is_borrowed() const noexcept { return owner_ != nullptr; }
    std::span<float> row(std::size_t r) noexcept { return {data_ + r * cols_, cols_}; }
    std::span<const float> row(std::size_t r) const noexcept { return {data_ + r * cols_, cols_}; }
    MatrixView<float> view() noexcept { return {data_, rows_, cols_}; }
    MatrixView<const float> view() const noexcept { return {data_, rows_, cols_}; }

private:
    void swap(Matrix& other) noexcept {
        std::swap(buffer_, other.buffer_);
        std::swap(owner_, other.owner_);
        std::swap(data_, other.data_);
        std::swap(rows_, other.rows_);
        std::swap(cols_, other.cols_);
    }

    AlignedBuffer<float> buffer_;
    std::shared_ptr<const void> owner_;  // when borrowed; the buffer is empty then
    float* data_ = nullptr;
    std::size_t rows_ = 0, cols_ = 0;
};

RANKLET_NAMESPACE_END
