// parallel_for: independent pieces of work over threads (OpenMP) or one after the other.
// In: a number of pieces and a function of (piece, thread). Out: nothing; pieces write to places of their own.
// Work is split over outputs, never over a sum, so results have the same bits with any number of threads.
#pragma once

#include <algorithm>
#include <cstddef>

#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/core/view.hpp"

#if RANKLET_HAS_OPENMP
#include <omp.h>
#endif

RANKLET_NAMESPACE_BEGIN

/// Threads that a request for `threads` gets: 0 means as many as the machine offers; 1 without OpenMP.
inline std::size_t resolve_threads(Threads threads) noexcept {
#if RANKLET_HAS_OPENMP
    if (threads.count == 0) return static_cast<std::size_t>(std::max(1, omp_get_max_threads()));
    return std::min<std::size_t>(threads.count, 1024);
#else
    (void)threads;
    return 1;
#endif
}

/// Calls `function(piece, thread)` for every piece in [0, pieces), each exactly once, on at most `threads` threads
/// (already resolved), `thread` in [0, threads). Pieces are handed out as threads become free.
/// `function` must not throw.
template <class Function>
void parallel_for(std::size_t pieces, std::size_t threads, const Function& function) noexcept {
#if RANKLET_HAS_OPENMP
    const std::size_t team = std::min(threads, pieces);
    if (team > 1) {
        const auto count = static_cast<std::ptrdiff_t>(pieces);
#pragma omp parallel for schedule(dynamic, 1) num_threads(static_cast<int>(team))
        for (std::ptrdiff_t piece = 0; piece < count; ++piece)
            function(static_cast<std::size_t>(piece), static_cast<std::size_t>(omp_get_thread_num()));
        return;
    }
#else
    (void)threads;
#endif
    for (std::size_t piece = 0; piece < pieces; ++piece) function(piece, std::size_t{0});
}

namespace detail {

/// One thread's share of `count` outputs: [first, last), multiples of `grain` but for the end.
constexpr IndexRange partition(std::size_t count, std::size_t parts, std::size_t part, std::size_t grain = 1) noexcept {
    const std::size_t blocks = (count + grain - 1) / grain;
    const std::size_t first = blocks * part / parts * grain;
    const std::size_t last = blocks * (part + 1) / parts * grain;
    return {first < count ? first : count, last < count ? last : count};
}

}  // namespace detail

RANKLET_NAMESPACE_END
