// WeightBlock: one block of memory for a model's weights, in large pages where the system has them.
// In: the bytes that will be needed. Out: buffers inside the block, which live as long as they like.
// Reading weights is what a forward pass over one short text does: 40 MB in pages of 4 KiB are more pages than a
// processor keeps addresses of, and asking the system for each of them takes longer than packing what is put there.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN

/// Default-constructed: no memory, and what is taken from it gets memory of its own.
class WeightBlock {
public:
    WeightBlock() = default;
    /// Room for `bytes`; what is not taken is never touched. No block for less than two large pages, nor where the
    /// memory cannot be had.
    explicit WeightBlock(std::size_t bytes);

    /// `count` elements, uninitialised, that keep the block alive; with memory of their own when the block has too
    /// little left. Error as AlignedBuffer's.
    template <class T>
    Result<AlignedBuffer<T>> take(std::size_t count) {
        if (count == 0 || count > rest_ / sizeof(T)) return AlignedBuffer<T>::uninitialized(count);
        auto buffer = AlignedBuffer<T>::part_of(block_, reinterpret_cast<T*>(free_), count);
        const std::size_t bytes = (count * sizeof(T) + alignment - 1) / alignment * alignment;
        free_ += bytes < rest_ ? bytes : rest_;
        rest_ -= bytes < rest_ ? bytes : rest_;
        return buffer;
    }

    /// Bytes that are left.
    std::size_t rest() const noexcept { return rest_; }

private:
    static constexpr std::size_t page = std::size_t{2} << 20;

    std::shared_ptr<void> block_;
    char* free_ = nullptr;
    std::size_t rest_ = 0;
};

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

RANKLET_NAMESPACE_BEGIN

RANKLET_FUNC WeightBlock::WeightBlock(std::size_t bytes) {
    if (bytes < 2 * page || bytes > static_cast<std::size_t>(-1) / 2) return;
    void* memory = ::operator new(bytes, std::align_val_t{page}, std::nothrow);
    if (memory == nullptr) return;
#if defined(__linux__)
    // Whole pages only, so that no memory is taken beyond the end.
    // A wish: where it is not granted, nothing changes.
    (void)::madvise(memory, bytes / page * page, MADV_HUGEPAGE);
#endif
    block_ = std::shared_ptr<void>(memory, [](void* p) { ::operator delete(p, std::align_val_t{page}); });
    free_ = static_cast<char*>(memory);
    rest_ = bytes;
}

RANKLET_NAMESPACE_END

#endif
