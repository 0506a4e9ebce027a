// Storage<T, Size>: a layer's weights, owned. On the heap when the size is dynamic, inside the layer when it is fixed,
// so that one layer class serves a model loaded at run time and a model in a device's static memory.
// In: a size. Out: aligned, zeroed elements.
#pragma once

#include <string>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/weight_block.hpp"

/// What every layer is beside its formula: default-made, moved, and copied where its size is fixed.
#define RANKLET_LAYER(Class)          \
    RANKLET_MOVES_OUT_OF_LINE(Class); \
    Class(const Class&) = default;    \
    Class& operator=(const Class&) = default

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// Fixed size.
template <class T, std::ptrdiff_t Size = dynamic>
class Storage {
    static_assert(Size >= 0);

public:
    Result<void> resize(std::size_t size) {
        if (size != static_cast<std::size_t>(Size))
            return make_error(ErrorCode::invalid_argument, {"storage holds ", Size, " elements, not ", size});
        return {};
    }
    /// The same for elements that are all written next.
    Result<void> resize_uninitialized(std::size_t size, WeightBlock&) { return resize(size); }
    T* data() noexcept { return data_; }
    const T* data() const noexcept { return data_; }

private:
    alignas(alignment) T data_[Size > 0 ? Size : 1] = {};
};

/// Size known at run time.
template <class T>
class Storage<T, dynamic> {
public:
    Result<void> resize(std::size_t size) {
        RANKLET_ASSIGN(buffer_, AlignedBuffer<T>::zeroed(size));
        return {};
    }
    Result<void> resize_uninitialized(std::size_t size, WeightBlock& block) {
        RANKLET_ASSIGN(buffer_, block.take<T>(size));
        return {};
    }
    T* data() noexcept { return buffer_.data(); }
    const T* data() const noexcept { return buffer_.data(); }

private:
    AlignedBuffer<T> buffer_;
};

/// A size that is fixed by a template parameter, or kept in a variable when that is `dynamic`.
template <std::ptrdiff_t Size>
class Extent {
public:
    static constexpr std::size_t get() noexcept { return static_cast<std::size_t>(Size); }
    Result<void> set(std::size_t size, const char* what) noexcept(false) {
        if (size != get())
            return make_error(ErrorCode::invalid_argument, {what, " is fixed at ", get(), ", not ", size});
        return {};
    }
};
template <>
class Extent<dynamic> {
public:
    std::size_t get() const noexcept { return size_; }
    Result<void> set(std::size_t size, const char*) {
        size_ = size;
        return {};
    }

private:
    std::size_t size_ = 0;
};

/// a * b, or dynamic when either is.
constexpr std::ptrdiff_t size_product(std::ptrdiff_t a, std::ptrdiff_t b) noexcept {
    return a == dynamic || b == dynamic ? dynamic : a * b;
}

}  // namespace detail
RANKLET_NAMESPACE_END
