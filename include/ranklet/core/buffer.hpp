// AlignedBuffer<T>: owned, 64-byte aligned, uninitialised-or-zeroed storage for numbers; or a part of a shared block.
// In: a count. Out: a span. Move-only; allocation failure is an Error, never an abort.
#pragma once

#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN

/// Every buffer and scratch block starts on a cache line, which also satisfies every vector width.
inline constexpr std::size_t alignment = 64;

template <class T>
class AlignedBuffer {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    AlignedBuffer() = default;
    AlignedBuffer(AlignedBuffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          block_(std::move(other.block_)) {}
    AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
        if (this != &other) {
            release();
            data_ = std::exchange(other.data_, nullptr);
            size_ = std::exchange(other.size_, 0);
            block_ = std::move(other.block_);
        }
        return *this;
    }
    AlignedBuffer(const AlignedBuffer&) = delete;
    AlignedBuffer& operator=(const AlignedBuffer&) = delete;
    ~AlignedBuffer() { release(); }

    /// `count` elements, all bits zero.
    static Result<AlignedBuffer> zeroed(std::size_t count) {
        auto buffer = uninitialized(count);
        if (buffer.ok())
            for (T& element : *buffer) element = T{};
        return buffer;
    }
    /// `count` elements that the caller writes before it reads them.
    static Result<AlignedBuffer> uninitialized(std::size_t count) {
        AlignedBuffer buffer;
        if (count == 0) return buffer;
        if (count > static_cast<std::size_t>(-1) / 2 / sizeof(T))
            return make_error(ErrorCode::out_of_memory, {"a buffer of ", count, " elements is too large"});
        void* memory = ::operator new(count * sizeof(T), std::align_val_t{alignment}, std::nothrow);
        if (memory == nullptr)
            return make_error(ErrorCode::out_of_memory, {"could not allocate ", count * sizeof(T), " bytes"});
        buffer.data_ = static_cast<T*>(memory);
        buffer.size_ = count;
        return buffer;
    }

    /// `count` elements at `data`, uninitialised and nobody else's, inside `block`, which they keep alive.
    static AlignedBuffer part_of(std::shared_ptr<void> block, T* data, std::size_t count) noexcept {
        AlignedBuffer buffer;
        buffer.data_ = data;
        buffer.size_ = count;
        buffer.block_ = std::move(block);
        return buffer;
    }

    T* data() noexcept { return data_; }
    const T* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    T& operator[](std::size_t i) noexcept { return data_[i]; }
    const T& operator[](std::size_t i) const noexcept { return data_[i]; }
    T* begin() noexcept { return data_; }
    T* end() noexcept { return data_ + size_; }
    const T* begin() const noexcept { return data_; }
    const T* end() const noexcept { return data_ + size_; }
    operator std::span<T>() noexcept { return {data_, size_}; }
    operator std::span<const T>() const noexcept { return {data_, size_}; }

private:
    void release() noexcept {
        if (data_ != nullptr && block_ == nullptr) ::operator delete(data_, std::align_val_t{alignment});
    }
    T* data_ = nullptr;
    std::size_t size_ = 0;
    std::shared_ptr<void> block_;  // null: the memory is this buffer's alone
};

RANKLET_NAMESPACE_END
