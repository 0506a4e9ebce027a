// Team: hands the pieces of a call's work to the threads that help it.
// In: rounds of pieces from the thread that owns the team. Out: every piece done once; pieces write to places of their own.
// A round waits for no thread but those that hold a piece: who comes late, or was put aside by the system between two
// pieces, finds the work done by the others. Who waits looks for some 100 microseconds, then sleeps.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ranklet/core/config.hpp"
#include "ranklet/core/function_view.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// One piece of work: (piece, thread).
using PieceFunction = FunctionView<void(std::size_t, std::size_t)>;

/// Lives as long as any thread is in help(). Several threads may own it: one round is shared at a time.
class Team {
public:
    static constexpr std::size_t most_threads = 0xffff;

    /// `threads`: those that take part, the owner's included.
    explicit Team(std::size_t threads) noexcept : size_(threads) {}
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    /// One round, from an owner's thread, which takes part as thread 0: calls `function(piece, thread)` once for each
    /// of the pieces, in ascending order as they are taken; helpers below `threads` may take them. During a
    /// round (of another owner, or within a piece) a further one is done by its caller alone.
    void share(std::size_t pieces, std::size_t threads, const PieceFunction& function) noexcept;
    /// Takes part in the rounds as thread `thread` (> 0, another for each helper) until end().
    void help(std::size_t thread) noexcept;
    /// No more rounds: helpers leave.
    void end() noexcept;

private:
    void take(std::size_t thread) noexcept;
    static std::uint64_t state(std::uint64_t pieces, std::size_t threads) noexcept { return pieces << 16 | threads; }

    const std::size_t size_;
    // What a helper reads after it has taken a piece: the round cannot end before that piece is done.
    const PieceFunction* function_ = nullptr;
    std::uint64_t pieces_ = 0;
    alignas(64) std::atomic<std::uint64_t> left_{0};  // pieces nobody has taken, and the threads that may take them
    alignas(64) std::atomic<std::uint64_t> done_{0};  // pieces
    std::atomic<std::uint32_t> finished_{0};          // 1 when all are
    std::atomic<std::uint32_t> rounds_{0};            // changes when there is something to do: helpers sleep on it
    std::atomic<bool> sharing_{false}, ended_{false};
};

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// Waits until `word` is no longer `old`: some 100 microseconds awake, as waking a thread takes about that long and the
/// next round of a call comes sooner, and then asleep, so that a thread with nothing to do leaves its core to others.
/// Who changes the word does so with sequential consistency: standard libraries wake nobody where they see nobody
/// asleep, and must not look before the change can be seen.
RANKLET_FUNC void wait_for_change(const std::atomic<std::uint32_t>& word, std::uint32_t old) noexcept {
    for (int look = 0; look < 2500; ++look) {
        if (word.load(std::memory_order_acquire) != old) return;
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("isb");
#endif
    }
    word.wait(old, std::memory_order_acquire);
}

RANKLET_FUNC void Team::share(std::size_t pieces, std::size_t threads, const PieceFunction& function) noexcept {
    if (pieces < 2 || threads < 2 || sharing_.exchange(true, std::memory_order_acquire)) {
        for (std::size_t piece = 0; piece < pieces; ++piece) function(piece, 0);
        return;
    }
    function_ = &function;
    pieces_ = pieces;
    done_.store(0, std::memory_order_relaxed);
    finished_.store(0, std::memory_order_relaxed);
    left_.store(state(pieces, std::min(threads, most_threads)), std::memory_order_release);
    rounds_.fetch_add(1);
    // As many as there is work for; where some may not take part, nobody knows which one would wake.
    if (threads < size_ || pieces >= size_)
        rounds_.notify_all();
    else
        for (std::size_t piece = 1; piece < pieces; ++piece) rounds_.notify_one();
    take(0);
    wait_for_change(finished_, 0);
    sharing_.store(false, std::memory_order_release);
}

RANKLET_FUNC void Team::take(std::size_t thread) noexcept {
    std::uint64_t left = left_.load(std::memory_order_acquire);
    while (left >> 16 != 0 && thread < (left & 0xffff)) {
        if (!left_.compare_exchange_weak(left, left - state(1, 0), std::memory_order_acq_rel,
                                         std::memory_order_acquire))
            continue;
        const std::uint64_t pieces = pieces_;
        (*function_)(static_cast<std::size_t>(pieces - (left >> 16)), thread);
        if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == pieces) {
            finished_.store(1);
            finished_.notify_one();
        }
        left = left_.load(std::memory_order_acquire);
    }
}

RANKLET_FUNC void Team::help(std::size_t thread) noexcept {
    while (true) {
        const std::uint32_t seen = rounds_.load(std::memory_order_acquire);
        if (ended_.load(std::memory_order_acquire)) return;
        take(thread);
        wait_for_change(rounds_, seen);
    }
}

RANKLET_FUNC void Team::end() noexcept {
    ended_.store(true, std::memory_order_release);
    rounds_.fetch_add(1);
    rounds_.notify_all();
}

}  // namespace detail
RANKLET_NAMESPACE_END

#endif
