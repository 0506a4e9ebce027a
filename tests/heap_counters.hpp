// What counting_heap.hpp counts, for any file of an executable that one file of includes it.
#pragma once

#include <atomic>
#include <cstddef>

namespace ranklet_test {

inline std::atomic<std::size_t> heap_requests{0};
inline std::atomic<std::size_t> largest_heap_request{0};
/// Bytes that are in use, and the most that were since whoever asks set it; as the allocator rounds them. On Linux.
inline std::atomic<std::size_t> heap_bytes{0};
inline std::atomic<std::size_t> most_heap_bytes{0};
/// Requests that are still granted before one, and only one, is refused; negative: all are granted.
inline std::atomic<long> heap_requests_until_refusal{-1};
inline std::atomic<std::size_t> refused_heap_requests{0};

}  // namespace ranklet_test
