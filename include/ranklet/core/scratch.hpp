// Scratch: a bump allocator for the temporaries of a forward pass.
// In: a size, asked for once by reserve(). Out: aligned blocks that live until the enclosing ScratchFrame ends.
// One Scratch per thread. After reserve(), a forward pass allocates nothing.
#pragma once

#include <cassert>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/view.hpp"

RANKLET_NAMESPACE_BEGIN

/// Bytes that `count` elements of T take in a Scratch: rounded up to whole cache lines.
template <class T>
constexpr std::size_t scratch_bytes(std::size_t count) noexcept {
    return (count * sizeof(T) + alignment - 1) / alignment * alignment;
}

class Scratch {
public:
    Scratch() = default;
    Scratch(Scratch&& other) noexcept
        : buffer_(std::move(other.buffer_)),
          data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          used_(std::exchange(other.used_, 0)) {}
    Scratch& operator=(Scratch&& other) noexcept {
        buffer_ = std::move(other.buffer_);
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
        used_ = std::exchange(other.used_, 0);
        return *this;
    }

    /// Makes at least `bytes` available. Keeps what it has when that suffices; must not be called inside a frame.
    Result<void> reserve(std::size_t bytes) {
        assert(used_ == 0);
        if (bytes <= size_) return {};
        size_ = 0;
        buffer_ = AlignedBuffer<std::byte>();  // give the old block back before asking for the larger one
        RANKLET_ASSIGN(buffer_, AlignedBuffer<std::byte>::uninitialized(bytes));
        data_ = buffer_.data();
        size_ = buffer_.size();
        return {};
    }

    /// `count` uninitialised elements. Precondition: reserve() covered them (see each forward pass's scratch_size).
    template <class T>
    T* take(std::size_t count) noexcept {
        static_assert(std::is_trivially_copyable_v<T>);
        std::byte* block = data_ + used_;
        used_ += scratch_bytes<T>(count);
        assert(used_ <= size_);
        return reinterpret_cast<T*>(block);
    }

    /// A Scratch in foreign memory, aligned as a block is (part of another Scratch's, for another thread).
    static Scratch over(std::byte* memory, std::size_t bytes) noexcept {
        Scratch result;
        result.data_ = memory;
        result.size_ = bytes;
        return result;
    }

    /// Bytes reserved so far.
    std::size_t capacity() const noexcept { return size_; }

private:
    friend class ScratchFrame;
    AlignedBuffer<std::byte> buffer_;  // empty over foreign memory
    std::byte* data_ = nullptr;
    std::size_t size_ = 0, used_ = 0;
};

/// Gives back, at its end, all that was taken since its start.
class ScratchFrame {
public:
    explicit ScratchFrame(Scratch& scratch) noexcept : scratch_(scratch), mark_(scratch.used_) {}
    ~ScratchFrame() { scratch_.used_ = mark_; }
    ScratchFrame(const ScratchFrame&) = delete;
    ScratchFrame& operator=(const ScratchFrame&) = delete;

private:
    Scratch& scratch_;
    std::size_t mark_;
};

/// Elements from one row to the next of a temporary matrix: an odd number of cache lines where rows are long. (With
/// even ones, as of 3072 floats, the same places of many rows compete for the same few lines of the first-level cache.)
template <class T>
constexpr std::size_t scratch_stride(std::size_t cols) noexcept {
    const std::size_t lines = scratch_bytes<T>(cols) / alignment;
    return lines < 16 ? cols : (lines | 1) * (alignment / sizeof(T));
}
/// Bytes that scratch_matrix() takes.
template <class T>
constexpr std::size_t scratch_matrix_bytes(std::size_t rows, std::size_t cols) noexcept {
    return scratch_bytes<T>(rows * scratch_stride<T>(cols));
}
/// An uninitialised temporary matrix.
template <class T>
MatrixView<T> scratch_matrix(Scratch& scratch, std::size_t rows, std::size_t cols) noexcept {
    const std::size_t stride = scratch_stride<T>(cols);
    return {scratch.take<T>(rows * stride), rows, cols, stride};
}

RANKLET_NAMESPACE_END
