// What counting_heap.hpp counts, for any file of an executable that one file of includes it.
#pragma once

#include <atomic>
#include <cstddef>

namespace ranklet_test {

inline std::atomic<std::size_t> heap_requests{0};
inline std::atomic<std::size_t> largest_heap_request{0};

}  // namespace ranklet_test
