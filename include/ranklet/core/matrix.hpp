// Matrix: an owned, row-major [rows, cols] of f32, aligned.
// In: sizes. Out: rows and views.
#pragma once

#include <span>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/view.hpp"

RANKLET_NAMESPACE_BEGIN

class Matrix {
public:
    Matrix() = default;

    /// All zero. Error when the memory cannot be had.
    [[nodiscard]] static Result<Matrix> zeroed(std::size_t rows, std::size_t cols) {
        if (cols != 0 && rows > static_cast<std::size_t>(-1) / cols)
            return make_error(ErrorCode::out_of_memory, {"a matrix of ", rows, " x ", cols, " is too large"});
        Matrix matrix;
        RANKLET_ASSIGN(matrix.buffer_, AlignedBuffer<float>::zeroed(rows * cols));
        matrix.rows_ = rows;
        matrix.cols_ = cols;
        return matrix;
    }

    [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
    [[nodiscard]] std::size_t cols() const noexcept { return cols_; }
    [[nodiscard]] bool empty() const noexcept { return buffer_.empty(); }
    [[nodiscard]] std::span<float> row(std::size_t r) noexcept { return {buffer_.data() + r * cols_, cols_}; }
    [[nodiscard]] std::span<const float> row(std::size_t r) const noexcept {
        return {buffer_.data() + r * cols_, cols_};
    }
    [[nodiscard]] MatrixView<float> view() noexcept { return {buffer_.data(), rows_, cols_}; }
    [[nodiscard]] MatrixView<const float> view() const noexcept { return {buffer_.data(), rows_, cols_}; }

private:
    AlignedBuffer<float> buffer_;
    std::size_t rows_ = 0, cols_ = 0;
};

RANKLET_NAMESPACE_END
