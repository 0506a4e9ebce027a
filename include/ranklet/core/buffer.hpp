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

namespace detail {

// What an AlignedBuffer holds, whatever its elements are: its own memory, or a part of a block that others share.
// Out of line: every class with weights is made of these, and moves and destroys them.
class BufferMemory {
public:
    BufferMemory() = default;
    BufferMemory(void* data, std::shared_ptr<void> block) noexcept : data_(data), block_(std::move(block)) {}
    BufferMemory(BufferMemory&& other) noexcept;
    BufferMemory& operator=(BufferMemory&& other) noexcept;
    ~BufferMemory();

    static Result<BufferMemory> allocate(std::size_t count, std::size_t element_bytes);
    void* data() const noexcept { return data_; }

private:
    void* data_ = nullptr;
    std::shared_ptr<void> block_;  // null: the memory is this buffer's alone
};

}  // namespace detail

template <class T>
class AlignedBuffer {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    AlignedBuffer() = default;
    AlignedBuffer(AlignedBuffer&& other) noexcept
        : memory_(std::move(other.memory_)), size_(std::exchange(other.size_, 0)) {}
    AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
        memory_ = std::move(other.memory_);
        size_ = std::exchange(other.size_, 0);
        return *this;
    }

    /// `count` elements, all bits zero.
    static Result<AlignedBuffer> zeroed(std::size_t count) {
        RANKLET_ASSIGN(AlignedBuffer buffer, uninitialized(count));
        for (T& element : buffer) element = T{};
        return buffer;
    }
    /// `count` elements that the caller writes before it reads them.
    static Result<AlignedBuffer> uninitialized(std::size_t count) {
        AlignedBuffer buffer;
        RANKLET_ASSIGN(buffer.memory_, detail::BufferMemory::allocate(count, sizeof(T)));
        buffer.size_ = count;
        return buffer;
    }

    /// `count` elements at `data`, uninitialised and nobody else's, inside `block`, which they keep alive.
    static AlignedBuffer part_of(std::shared_ptr<void> block, T* data, std::size_t count) noexcept {
        AlignedBuffer buffer;
        buffer.memory_ = detail::BufferMemory(data, std::move(block));
        buffer.size_ = count;
        return buffer;
    }

    T* data() noexcept { return static_cast<T*>(memory_.data()); }
    const T* data() const noexcept { return static_cast<const T*>(memory_.data()); }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    T& operator[](std::size_t i) noexcept { return data()[i]; }
    const T& operator[](std::size_t i) const noexcept { return data()[i]; }
    T* begin() noexcept { return data(); }
    T* end() noexcept { return data() + size_; }
    const T* begin() const noexcept { return data(); }
    const T* end() const noexcept { return data() + size_; }
    operator std::span<T>() noexcept { return {data(), size_}; }
    operator std::span<const T>() const noexcept { return {data(), size_}; }

private:
    detail::BufferMemory memory_;
    std::size_t size_ = 0;
};

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

RANKLET_NAMESPACE_BEGIN
namespace detail {

RANKLET_OUT_OF_LINE RANKLET_FUNC BufferMemory::BufferMemory(BufferMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), block_(std::move(other.block_)) {}

RANKLET_OUT_OF_LINE RANKLET_FUNC BufferMemory& BufferMemory::operator=(BufferMemory&& other) noexcept {
    BufferMemory taken(std::move(other));
    std::swap(data_, taken.data_);
    block_.swap(taken.block_);
    return *this;
}

RANKLET_OUT_OF_LINE RANKLET_FUNC BufferMemory::~BufferMemory() {
    if (data_ != nullptr && block_ == nullptr) ::operator delete(data_, std::align_val_t{alignment});
}

RANKLET_OUT_OF_LINE RANKLET_FUNC Result<BufferMemory> BufferMemory::allocate(std::size_t count,
                                                                             std::size_t element_bytes) {
    if (count == 0) return BufferMemory();
    if (count > static_cast<std::size_t>(-1) / 2 / element_bytes)
        return make_error(ErrorCode::out_of_memory, {"a buffer of ", count, " elements is too large"});
    void* memory = ::operator new(count * element_bytes, std::align_val_t{alignment}, std::nothrow);
    if (memory == nullptr)
        return make_error(ErrorCode::out_of_memory, {"could not allocate ", count * element_bytes, " bytes"});
    return BufferMemory(memory, nullptr);
}

}  // namespace detail
RANKLET_NAMESPACE_END

#endif
