// Counts what the program asks of the heap: a replacement of every operator new and delete.
// In: nothing; include it in one file of an executable. Out: heap_requests, which std::vector, std::string,
// AlignedBuffer, standard algorithms' buffers and whatever else C++ code allocates with make grow, and the size of the
// largest request; other files of the executable find both in heap_counters.hpp, and with them a way to have a request
// refused.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#if defined(__linux__)
#include <malloc.h>
#endif

#include "heap_counters.hpp"
#include "ranklet/core/config.hpp"

namespace {

using ranklet_test::heap_requests;

void* in_use(void* memory) noexcept {
#if defined(__linux__)
    if (memory == nullptr) return memory;
    const std::size_t size = malloc_usable_size(memory);
    const std::size_t now = ranklet_test::heap_bytes.fetch_add(size) + size;
    std::size_t most = ranklet_test::most_heap_bytes;
    while (now > most && !ranklet_test::most_heap_bytes.compare_exchange_weak(most, now)) {
    }
#endif
    return memory;
}
void give_back(void* memory) noexcept {
#if defined(__linux__)
    if (memory != nullptr) ranklet_test::heap_bytes -= malloc_usable_size(memory);
#endif
    std::free(memory);
}
void* allocate(std::size_t size, std::size_t align) noexcept {
    ++heap_requests;
    if (ranklet_test::heap_requests_until_refusal.load() >= 0 &&
        ranklet_test::heap_requests_until_refusal.fetch_sub(1) == 0) {
        ++ranklet_test::refused_heap_requests;
        return nullptr;
    }
    std::size_t largest = ranklet_test::largest_heap_request;
    while (size > largest && !ranklet_test::largest_heap_request.compare_exchange_weak(largest, size)) {
    }
    size = size == 0 ? 1 : size;
    return in_use(align <= alignof(std::max_align_t) ? std::malloc(size)
                                                     : std::aligned_alloc(align, (size + align - 1) / align * align));
}
void* allocate_or_fail(std::size_t size, std::size_t align) {
    void* memory = allocate(size, align);
    if (memory == nullptr) {
#if RANKLET_HAS_EXCEPTIONS
        throw std::bad_alloc();
#else
        std::abort();
#endif
    }
    return memory;
}
constexpr std::size_t usual = alignof(std::max_align_t);

}  // namespace

// Where one of a pair is inlined and the other is not, g++ warns of a mismatch.
#define RANKLET_APART __attribute__((noinline))

RANKLET_APART void* operator new(std::size_t size) { return allocate_or_fail(size, usual); }
RANKLET_APART void* operator new[](std::size_t size) { return allocate_or_fail(size, usual); }
RANKLET_APART void* operator new(std::size_t size, std::align_val_t align) {
    return allocate_or_fail(size, static_cast<std::size_t>(align));
}
RANKLET_APART void* operator new[](std::size_t size, std::align_val_t align) {
    return allocate_or_fail(size, static_cast<std::size_t>(align));
}
RANKLET_APART void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, usual); }
RANKLET_APART void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, usual); }
RANKLET_APART void* operator new(std::size_t size, std::align_val_t align, const std::nothrow_t&) noexcept {
    return allocate(size, static_cast<std::size_t>(align));
}
RANKLET_APART void* operator new[](std::size_t size, std::align_val_t align, const std::nothrow_t&) noexcept {
    return allocate(size, static_cast<std::size_t>(align));
}
RANKLET_APART void operator delete(void* memory) noexcept { give_back(memory); }
RANKLET_APART void operator delete[](void* memory) noexcept { give_back(memory); }
RANKLET_APART void operator delete(void* memory, std::size_t) noexcept { give_back(memory); }
RANKLET_APART void operator delete[](void* memory, std::size_t) noexcept { give_back(memory); }
RANKLET_APART void operator delete(void* memory, std::align_val_t) noexcept { give_back(memory); }
RANKLET_APART void operator delete[](void* memory, std::align_val_t) noexcept { give_back(memory); }
RANKLET_APART void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { give_back(memory); }
RANKLET_APART void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { give_back(memory); }
RANKLET_APART void operator delete(void* memory, const std::nothrow_t&) noexcept { give_back(memory); }
RANKLET_APART void operator delete[](void* memory, const std::nothrow_t&) noexcept { give_back(memory); }
RANKLET_APART void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
    give_back(memory);
}
RANKLET_APART void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
    give_back(memory);
}
