// parallel_for: independent pieces of work over a call's threads, or one after the other.
// In: a number of pieces and a function of (piece, thread). Out: nothing; pieces write to places of their own.
// Work is split over outputs, never over a sum, so results have the same bits with any number of threads.
#pragma once

#include <algorithm>
#include <cstddef>

#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/core/function_view.hpp"
#include "ranklet/core/team.hpp"
#include "ranklet/core/view.hpp"

RANKLET_NAMESPACE_BEGIN

/// Threads that a request gets at most: an executor's, or with OpenMP as many as were asked for (0: as many as it
/// offers) but no more than the processors; else 1. For the memory that each needs.
std::size_t resolve_threads(Threads threads) noexcept;

/// Calls `function(piece, thread)` for every piece in [0, pieces), each exactly once, on at most
/// resolve_threads(threads) threads, `thread` below that number. Pieces are handed out as threads become free, so a few
/// more of them than threads keep one that is put aside from holding up the others. `function` must not throw.
void parallel_for(std::size_t pieces, Threads threads, detail::PieceFunction function) noexcept;

/// Calls `call(threads)` once, on the caller's thread unless `threads` are an executor's own; parallel_for over the
/// threads that it is given costs a microsecond or two, as they are waiting. For calls that share work many times.
void run_together(Threads threads, FunctionView<void(Threads)> call) noexcept;

namespace detail {

/// Work is counted in products of a matrix multiplication, of which a core does 30 to 70 in a nanosecond: what a piece
/// needs so that its handing over, a microsecond among threads that wait, is not felt.
inline constexpr std::size_t piece_work = 500'000;

/// Pieces for so much work over resolved threads: 1 when it is too little to be shared. Two for each thread: who is slow
/// takes fewer, and wide ones are multiplied faster.
inline std::size_t pieces_of(std::size_t work, const Threads& threads) noexcept {
    const std::size_t piece = threads.grain > 0 ? threads.grain : piece_work;
    return threads.count < 2 ? 1 : std::clamp<std::size_t>(work / piece, 1, 2 * threads.count);
}

/// `threads`, resolved, or 1 where so much work is not worth another: with an executor, where it would be done before a
/// thread is awake. OpenMP's regions end when every thread has come by, which beside a busy process takes some 5 ms more,
/// so there it is some 30 ms of work.
inline Threads worth(Threads threads, std::size_t work) noexcept {
    if (threads.count == 1) return threads;
    const std::size_t pieces = threads.grain > 0 || threads.team != nullptr ? 2
                               : threads.executor != nullptr                ? 16
                                                                            : 4000;
    if (work / pieces < (threads.grain > 0 ? threads.grain : piece_work)) return 1;
    threads.count = resolve_threads(threads);
    return threads;
}

/// One part of `count` outputs: [first, last), multiples of `grain` but for the end.
constexpr IndexRange partition(std::size_t count, std::size_t parts, std::size_t part, std::size_t grain = 1) noexcept {
    const std::size_t blocks = (count + grain - 1) / grain;
    const std::size_t first = blocks * part / parts * grain;
    const std::size_t last = blocks * (part + 1) / parts * grain;
    return {first < count ? first : count, last < count ? last : count};
}

}  // namespace detail

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <atomic>

#if RANKLET_HAS_OPENMP
#include <omp.h>
#if __has_include(<unistd.h>)
#include <unistd.h>
#endif
#endif

RANKLET_NAMESPACE_BEGIN

#if RANKLET_HAS_OPENMP
namespace detail {

/// False in a process that was forked after OpenMP was used here: GCC's runtime would wait for threads that the child
/// does not have.
RANKLET_FUNC bool openmp_is_whole() noexcept {
#if __has_include(<unistd.h>)
    static std::atomic<long> process{0};
    long first = 0;
    const long now = getpid();
    return process.compare_exchange_strong(first, now, std::memory_order_relaxed) || first == now;
#else
    return true;
#endif
}

}  // namespace detail
#endif

RANKLET_FUNC std::size_t resolve_threads(Threads threads) noexcept {
    if (threads.team != nullptr || threads.count == 1) return std::max<std::size_t>(threads.count, 1);
    if (threads.executor != nullptr) return std::clamp<std::size_t>(threads.count, 1, detail::Team::most_threads);
#if RANKLET_HAS_OPENMP
    static const auto processors = static_cast<std::size_t>(std::max(1, omp_get_num_procs()));  // that never changes
    const auto offered = static_cast<std::size_t>(std::max(1, omp_get_max_threads()));
    return std::min(threads.count == 0 ? offered : threads.count, processors);
#else
    return 1;
#endif
}

RANKLET_FUNC void parallel_for(std::size_t pieces, Threads threads, detail::PieceFunction function) noexcept {
    if (pieces < 2 || threads.count == 1) {
        for (std::size_t piece = 0; piece < pieces; ++piece) function(piece, 0);
    } else if (threads.team != nullptr) {
        threads.team->share(pieces, threads.count, function);
    } else {
        threads.count = std::min(resolve_threads(threads), pieces);
        run_together(threads, [&](Threads together) {
            together.count = std::min(together.count, pieces);
            parallel_for(pieces, together, function);
        });
    }
}

RANKLET_FUNC void run_together(Threads threads, FunctionView<void(Threads)> call) noexcept {
    if (threads.team != nullptr || threads.count == 1) return call(threads);
    const std::size_t count = resolve_threads(threads);
    if (count < 2) return call(1);
    if (threads.executor != nullptr)
        return threads.executor->lend(count, [&](Threads together) {
            together.grain = threads.grain;
            call(together);
        });
#if RANKLET_HAS_OPENMP
    if (!detail::openmp_is_whole()) return call(1);
    detail::Team team(count);
#pragma omp parallel num_threads(static_cast<int>(count))
    {
        if (omp_get_thread_num() > 0) {
            team.help(static_cast<std::size_t>(omp_get_thread_num()));
        } else {
            Threads together(static_cast<std::size_t>(omp_get_num_threads()));  // may be fewer
            together.team = &team;
            together.grain = threads.grain;
            call(together);
            team.end();
        }
    }
#endif
}

RANKLET_FUNC void Executor::lend(std::size_t most, FunctionView<void(Threads)> call) noexcept {
    detail::Team team(most);
    std::atomic<std::size_t> came{0};
    const auto job = [&](std::size_t) {
        const std::size_t thread = came.fetch_add(1, std::memory_order_relaxed);
        if (thread > 0) return team.help(thread);
        Threads together(most);
        together.team = &team;
        call(together);
        team.end();
    };
#if RANKLET_HAS_EXCEPTIONS
    try {
        run(most, job);
    } catch (...) {  // the caller's thread does what is left
    }
#else
    run(most, job);
#endif
    if (came.load(std::memory_order_relaxed) == 0) call(1);
}

RANKLET_NAMESPACE_END

#endif
