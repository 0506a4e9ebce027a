// Threads for tests: they share work however small it is, so that tiny models are computed by several threads too.
// In: a number. Out: Threads: two are OpenMP's (where there is OpenMP), more are those of a pool that tests keep.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "ranklet/core/thread_pool.hpp"

namespace ranklet_test {

inline ranklet::Threads finely(std::size_t count) {
    static std::mutex mutex;
    static std::map<std::size_t, std::unique_ptr<ranklet::ThreadPool>> pools;
    ranklet::Threads threads(count);
    if (count > (RANKLET_HAS_OPENMP ? 2u : 1u)) {
        const std::lock_guard lock(mutex);
        auto& pool = pools[count];
        if (pool == nullptr) pool = std::make_unique<ranklet::ThreadPool>(count);
        threads = *pool;
    }
    threads.grain = 1;
    return threads;
}

}  // namespace ranklet_test
