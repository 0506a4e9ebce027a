// Cholesky: a symmetric positive definite matrix, factored in place, and systems with it solved.
// In: the lower triangle of A [n, n], right sides of 256 columns. Out: L with A = L L^T, solutions of A X = B.
// Block by block, by products of 32 rows with at most 96 summands, which Eigen computes with the processor's fused
// multiply-add if it has one: such a product is one block for Eigen too, whatever the caches' sizes, and is never split
// among threads by it, so the bits are the same on all machines with one instruction set, and for any number of threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

// clang-format off: the order matters
#include "ranklet/core/macros_aside.hpp"
#include <Eigen/Core>
#include "ranklet/core/macros_back.hpp"
// clang-format on

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

class Cholesky {
public:
    /// Of a right side.
    static constexpr std::size_t columns = 256;

    /// The lower triangle of zeros; rows behind the n-th are those of the identity, so that every block is whole.
    Result<void> resize(std::size_t n) {
        size_ = (n + strip - 1) / strip * strip;
        if (size_ > 0 && size_ > static_cast<std::size_t>(-1) / 16 / size_)
            return make_error(ErrorCode::out_of_memory, {"a matrix of ", n, " rows is too large"});
        a_ = AlignedBuffer<double>();
        RANKLET_ASSIGN(a_, AlignedBuffer<double>::zeroed(size_ * size_));
        for (std::size_t r = n; r < size_; ++r) row(r)[r] = 1;
        return {};
    }
    /// Rows with those that fill the last block.
    std::size_t rows() const noexcept { return size_; }
    /// To be written up to the diagonal.
    double* row(std::size_t r) noexcept { return a_.data() + r * size_; }
    const double* row(std::size_t r) const noexcept { return a_.data() + r * size_; }

    /// A becomes L, with the inverses of its blocks on the diagonal. False when A is not positive definite; then it is
    /// spoilt. Error stopped, deadline, out_of_memory.
    Result<bool> factor(const Threads& threads, const StopToken& stop, const Deadline& deadline) {
        for (std::size_t k = 0; k < size_; k += depth) {
            RANKLET_TRY(check_stop(stop, deadline));
            const std::size_t count = std::min(depth, size_ - k), after = k + count;
            if (!factor_block(k, count)) return false;
            // Below the block: L = A L_kk^-T; then what it takes from the rest.
            const std::size_t strips = (size_ - after) / strip;
            RANKLET_TRY(each(strips, threads, [&](std::size_t i) {
                double* const left = row(after + i * strip) + k;
                Strip<depth> copy(strip, index(count));
                copy = map(left, strip, count, size_);
                out(left, count, size_).noalias() = copy * map(row(k) + k, count, count, size_).transpose();
            }));
            RANKLET_TRY(each(strips, threads, [&](std::size_t i) {
                const std::size_t r = after + i * strip;
                // In pieces: what is read again and again stays in the cache.
                for (std::size_t c = after; c <= r; c += columns) {
                    const std::size_t width = std::min(columns, r + strip - c);
                    out(row(r) + c, width, size_).noalias() -=
                        map(row(r) + k, strip, count, size_) * map(row(c) + k, width, count, size_).transpose();
                }
            }));
        }
        return true;
    }

    /// Solves A X = B in place. `b`: [rows(), columns] row-major, whose rows before `first` are zeros.
    Result<void> solve(double* b, std::size_t first, const StopToken& stop, const Deadline& deadline) const {
        const std::size_t start = first / depth * depth;
        AlignedBuffer<double> copy;
        RANKLET_ASSIGN(copy, AlignedBuffer<double>::uninitialized(depth * columns));
        // Y = L^-1 B: each block's rows, then what they take from those below.
        for (std::size_t k = start; k < size_; k += depth) {
            RANKLET_TRY(check_stop(stop, deadline));
            const std::size_t count = std::min(depth, size_ - k);
            std::copy_n(b + k * columns, count * columns, copy.data());
            for (std::size_t r = 0; r < count; r += strip)
                out(b + (k + r) * columns, columns, columns).noalias() =
                    map(row(k + r) + k, strip, count, size_) * map(copy.data(), count, columns, columns);
            for (std::size_t r = k + count; r < size_; r += strip)
                out(b + r * columns, columns, columns).noalias() -=
                    map(row(r) + k, strip, count, size_) * map(b + k * columns, count, columns, columns);
        }
        // X = L^-T Y: from the last block up.
        for (std::size_t k = (size_ - 1) / depth * depth;; k -= depth) {
            RANKLET_TRY(check_stop(stop, deadline));
            const std::size_t count = std::min(depth, size_ - k);
            std::copy_n(b + k * columns, count * columns, copy.data());
            for (std::size_t r = 0; r < count; r += strip)
                out(b + (k + r) * columns, columns, columns).noalias() =
                    map(row(k) + k + r, count, strip, size_).transpose() * map(copy.data(), count, columns, columns);
            for (std::size_t r = 0; r < k; r += strip)
                out(b + r * columns, columns, columns).noalias() -=
                    map(row(k) + r, count, strip, size_).transpose() * map(b + k * columns, count, columns, columns);
            if (k == 0) return {};
        }
    }

private:
    static constexpr std::size_t strip = 32, depth = 96;

    using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    // At most 32 rows, as the type says: Eigen computes such products on the thread that asks for them.
    template <std::size_t most>
    using Strip = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor, static_cast<int>(strip),
                                static_cast<int>(most)>;
    using StripRows =
        Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor, static_cast<int>(strip), Eigen::Dynamic>;
    using Stride = Eigen::OuterStride<Eigen::Dynamic>;

    static Eigen::Index index(std::size_t n) noexcept { return static_cast<Eigen::Index>(n); }
    static Eigen::Map<const RowMajor, Eigen::Unaligned, Stride> map(const double* data, std::size_t rows,
                                                                    std::size_t cols, std::size_t stride) noexcept {
        return {data, index(rows), index(cols), Stride(index(stride))};
    }
    static Eigen::Map<StripRows, Eigen::Unaligned, Stride> out(double* data, std::size_t cols,
                                                               std::size_t stride) noexcept {
        return {data, index(strip), index(cols), Stride(index(stride))};
    }

    // s - a b, rounded once where the processor can, as in Eigen's products: nothing is left for a compiler to choose.
    static double without_product(double s, double a, double b) noexcept {
#if defined(__FMA__) || defined(__aarch64__)
        return std::fma(-a, b, s);
#else
        return s - a * b;
#endif
    }

    // The block on the diagonal becomes L_kk, and then its inverse, with zeros above.
    bool factor_block(std::size_t k, std::size_t count) {
        const auto at = [&](std::size_t r, std::size_t c) -> double& { return row(k + r)[k + c]; };
        for (std::size_t j = 0; j < count; ++j) {
            for (std::size_t i = j; i < count; ++i) {
                double sum = at(i, j);
                for (std::size_t c = 0; c < j; ++c) sum = without_product(sum, at(i, c), at(j, c));
                if (i > j) {
                    at(i, j) = sum / at(j, j);
                } else {
                    if (!(sum > 0) || !std::isfinite(sum)) return false;
                    at(j, j) = std::sqrt(sum);
                }
            }
        }
        std::vector<double> inverse(count * count, 0.0);
        for (std::size_t i = 0; i < count; ++i) {
            double* const own = inverse.data() + i * count;
            own[i] = 1;
            for (std::size_t c = 0; c < i; ++c) {
                const double* const other = inverse.data() + c * count;
                for (std::size_t j = 0; j <= c; ++j) own[j] = without_product(own[j], at(i, c), other[j]);
            }
            for (std::size_t j = 0; j <= i; ++j) own[j] /= at(i, i);
        }
        for (std::size_t i = 0; i < count; ++i) std::copy_n(inverse.data() + i * count, count, row(k + i) + k);
        return true;
    }

    // Strips over threads. What Eigen packs needs memory.
    template <class Work>
    static Result<void> each(std::size_t strips, const Threads& threads, const Work& work) {
        std::vector<SharedError> errors(strips);
        parallel_for(strips, threads, [&](std::size_t i, std::size_t) {
            errors[i] = catch_out_of_memory([&]() -> Result<void> {
                            work(i);
                            return {};
                        }).shared_error();
        });
        for (SharedError& error : errors)
            if (error) return std::move(error);
        return {};
    }

    std::size_t size_ = 0;
    AlignedBuffer<double> a_;
};

}  // namespace detail
RANKLET_NAMESPACE_END
