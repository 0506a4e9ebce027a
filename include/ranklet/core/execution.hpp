// How a call runs: on how many threads, and when it has to end early.
// In: what the caller says in a call's options. Out: Threads, StopToken, a deadline, and the Error of a call that ended.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/function_view.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN

namespace detail {
class Team;
}
struct Threads;
void run_together(Threads threads, FunctionView<void(Threads)> call) noexcept;

/// Lends a call the threads that it runs on beside the caller's own, where OpenMP shall not: a ThreadPool
/// (core/thread_pool.hpp), or a host's own threads by a class derived from this one. Handed over in a call's options,
/// `{.threads = pool}`, it has to outlive the call.
class Executor {
public:
    /// Threads that work at the same time, the caller's included. Asked when Threads are made of the executor: a call
    /// goes by what was said then.
    virtual std::size_t threads() const noexcept = 0;
    /// Calls `job(0)` to `job(jobs - 1)`, each at most once and at least one of them, from any threads, together or one
    /// after the other, and returns when all that it called have returned. (Each job takes pieces of the call's work
    /// until none is left, so the first can do all of it, and who comes late finds nothing to do: where jobs wait in a
    /// queue, job(0) belongs to the calling thread, and what is queued when it returns is best left out.) May be called from
    /// several threads at once, and from within a job. An exception that it throws is not passed on: what was not done
    /// by then is done on the caller's thread. It too comes when all that was called has returned, and nothing is called
    /// after it.
    virtual void run(std::size_t jobs, FunctionView<void(std::size_t)> job) = 0;

protected:
    ~Executor() = default;

private:
    friend void run_together(Threads threads, FunctionView<void(Threads)> call) noexcept;
    // Calls `call(threads)` once; what it shares among `threads` runs on at most `most` of them. Over run(); a ThreadPool
    // has a team that is ready.
    virtual void lend(std::size_t most, FunctionView<void(Threads)> call) noexcept;
};

/// Threads that a call may use, the caller's included: a number, `{.threads = 2}` (0: as many as the machine offers; they
/// are OpenMP's, and never more than the processors; without OpenMP the caller's alone), or those of an Executor,
/// `{.threads = pool}`. It has no influence on any number that the library computes, and it is a limit: work too small to
/// be worth another thread is done by the caller.
struct Threads {
    std::size_t count = 1;
    Executor* executor = nullptr;  // not owned; none: OpenMP
    detail::Team* team = nullptr;  // of a call that runs already
    /// The least work to hand to a thread, in products of a matrix multiplication (a core does some 30 in a nanosecond);
    /// 0: what pays for a thread that has to be woken, and may share its core with a busy process.
    std::size_t grain = 0;

    constexpr Threads(std::size_t threads = 1) noexcept : count(threads) {}
    /// At most `most` threads of the executor's; 0: all.
    Threads(Executor& lends, std::size_t most = 0) noexcept
        : count(std::max<std::size_t>(most == 0 ? lends.threads() : std::min(most, lends.threads()), 1)),
          executor(&lends) {}
};

/// Asks a long call to end: made of a std::stop_token (or whatever has `stop_requested()`), of a std::atomic<bool> that
/// outlives the call, or of a function. Default-made: nothing asks. Asked from the threads that do the work, from several at
/// once: a function must stand that, and must not throw.
class StopToken {
public:
    StopToken() = default;
    StopToken(const std::atomic<bool>& flag) : requested_([&flag] { return flag.load(std::memory_order_relaxed); }) {}
    template <class Function>
    requires(std::is_invocable_r_v<bool, Function&>)
    StopToken(Function requested) : requested_(std::move(requested)) {}
    template <class Token>
    requires(!std::is_same_v<std::remove_cvref_t<Token>, StopToken> &&
             requires(const Token& token) { static_cast<bool>(token.stop_requested()); })
    StopToken(Token token)
        : requested_([token = std::move(token)] { return static_cast<bool>(token.stop_requested()); }) {}

    bool stop_requested() const { return requested_ && requested_(); }

private:
    std::function<bool()> requested_;
};

/// A moment after which a long call gives up; none by default.
using Deadline = std::optional<std::chrono::steady_clock::time_point>;

/// Error stopped or deadline when the call has to end, asked between pieces of its work.
RANKLET_COLD inline Result<void> check_stop(const StopToken& stop, const Deadline& deadline) {
    if (stop.stop_requested()) return make_error(ErrorCode::stopped, {"the call was stopped before it was done"});
    if (deadline && std::chrono::steady_clock::now() >= *deadline)
        return make_error(ErrorCode::deadline, {"the call was not done at its deadline"});
    return {};
}

RANKLET_NAMESPACE_END
