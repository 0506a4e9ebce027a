// ThreadPool: threads that a caller owns and lends to calls, with or without OpenMP.
// In: a number of threads. Out: an Executor: `{.threads = pool}` in a call's options.
// A call beside a busy neighbour: OpenMP's regions end only when every thread has come by, a pool's calls do not wait for
// one that was put aside unless it holds a piece of the work.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/team.hpp"

RANKLET_NAMESPACE_BEGIN

/// Threads for calls. They sleep while there is nothing to do. One piece of shared work at a time uses them: a call that
/// finds them busy with another thread's, or is made in a process that was forked after the pool was made, goes on with its
/// own thread alone, to the same numbers. Outlives the calls that use it; neither copied nor moved.
class ThreadPool final : public Executor {
public:
    /// `threads`: those that work at the same time, the caller's included, so one less is started; 0, and what is no number
    /// of threads, more than 65,535 (-1, say): as many as the machine has processors. Where the system gives fewer,
    /// threads() says so.
    explicit ThreadPool(std::size_t threads = 0) : team_(wanted(threads)) {
        threads = wanted(threads);
#if RANKLET_HAS_EXCEPTIONS
        try {
            start(threads);
        } catch (...) {  // no memory or no more threads: those that were started are the pool
        }
#else
        start(threads);
#endif
    }
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    ~ThreadPool() {
        if (forked()) {
            (void)helpers_.release();  // the child has none of these threads: they can be neither joined nor detached
            return;
        }
        team_.end();
        if (helpers_ != nullptr)
            for (std::thread& helper : *helpers_) helper.join();
    }

    std::size_t threads() const noexcept override { return helpers_ == nullptr ? 1 : helpers_->size() + 1; }

    void run(std::size_t jobs, FunctionView<void(std::size_t)> job) override {
        parallel_for(jobs, *this, [&](std::size_t j, std::size_t) { job(j); });
    }

private:
    void lend(std::size_t most, FunctionView<void(Threads)> call) noexcept override {
        if (forked()) return call(1);
        Threads together(std::min(most, threads()));
        together.team = &team_;
        call(together);
    }

    static std::size_t wanted(std::size_t threads) noexcept {
        if (threads > 0 && threads <= detail::Team::most_threads) return threads;
        return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, detail::Team::most_threads);
    }
    void start(std::size_t threads) {
        helpers_ = std::make_unique<std::vector<std::thread>>();
        helpers_->reserve(threads - 1);
        while (helpers_->size() + 1 < threads)
            helpers_->emplace_back([this, thread = helpers_->size() + 1] { team_.help(thread); });
    }
#if __has_include(<unistd.h>)
    bool forked() const noexcept { return getpid() != process_; }
    const long process_ = getpid();
#else
    static constexpr bool forked() noexcept { return false; }
#endif

    detail::Team team_;
    std::unique_ptr<std::vector<std::thread>> helpers_;
};

RANKLET_NAMESPACE_END
