// Threads that are lent: a ThreadPool, a host's executor; late threads, nested calls, several callers, a fork.
#include "ranklet/core/thread_pool.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "ranklet/core/parallel.hpp"

#if defined(__has_feature)
#define RANKLET_TEST_THREAD_SANITIZER __has_feature(thread_sanitizer)
#elif defined(__SANITIZE_THREAD__)
#define RANKLET_TEST_THREAD_SANITIZER 1
#else
#define RANKLET_TEST_THREAD_SANITIZER 0
#endif

namespace {

using ranklet::Executor;
using ranklet::FunctionView;
using ranklet::parallel_for;
using ranklet::run_together;
using ranklet::ThreadPool;
using ranklet::Threads;

/// Whether parallel_for does each of the pieces once, with thread numbers below the limit.
bool does_all(std::size_t pieces, Threads threads) {
    std::vector<std::atomic<int>> done(pieces);
    std::atomic<bool> inside{true};
    const std::size_t most = ranklet::resolve_threads(threads);
    parallel_for(pieces, threads, [&](std::size_t piece, std::size_t thread) {
        ++done[piece];
        if (thread >= most) inside = false;
    });
    for (const auto& count : done)
        if (count != 1) return false;
    return inside;
}

/// A host's executor, made of the function that runs the jobs.
template <class Run>
class Host final : public Executor {
public:
    Host(std::size_t threads, Run run) : threads_(threads), run_(run) {}
    std::size_t threads() const noexcept override { return threads_; }
    void run(std::size_t jobs, FunctionView<void(std::size_t)> job) override { run_(jobs, job); }

private:
    std::size_t threads_;
    Run run_;
};

}  // namespace

TEST_CASE("a pool does every piece once, call after call, with any number of threads") {
    for (const std::size_t threads : {1u, 2u, 3u, 8u, 64u}) {
        CAPTURE(threads);
        ThreadPool pool(threads);
        CHECK(pool.threads() == threads);
        for (int round = 0; round < 20; ++round)
            for (const std::size_t pieces : {0u, 1u, 2u, 7u, 100u, 1000u}) {
                CHECK(does_all(pieces, pool));
                CHECK(does_all(pieces, {pool, 2}));
            }
        std::vector<std::atomic<int>> jobs(9);
        pool.run(9, [&](std::size_t job) { ++jobs[job]; });
        for (const auto& count : jobs) CHECK(count == 1);
    }
}

TEST_CASE("what is no number of threads means as many as the machine has, and never thousands") {
    const std::size_t processors = std::max<std::size_t>(std::thread::hardware_concurrency(), 1);
    constexpr std::size_t most = ranklet::detail::Team::most_threads;
    for (const std::size_t threads :
         {std::size_t{0}, static_cast<std::size_t>(-1), std::size_t{0xFFFFFFFF}, most + 1}) {
        CAPTURE(threads);
        ThreadPool pool(threads);
        CHECK(pool.threads() == processors);
        CHECK(does_all(100, pool));
        CHECK(ranklet::resolve_threads(threads) <= processors);
        CHECK(does_all(100, threads));
        ThreadPool few(3);
        CHECK(ranklet::resolve_threads({few, threads}) == 3);
    }
}

TEST_CASE("rounds of one call follow each other: what one wrote the next reads") {
    ThreadPool pool(4);
    std::vector<int> values(97, 0);
    run_together(pool, [&](Threads together) {
        CHECK(together.count == 4);
        for (int round = 1; round <= 500; ++round) {
            const std::vector<int> before = values;
            parallel_for(values.size(), together,
                         [&](std::size_t i, std::size_t) { values[i] = before[(i + 1) % before.size()] + 1; });
        }
    });
    for (const int value : values) CHECK(value == 500);
}

TEST_CASE("a thread that is put aside with a piece in hand leaves the others to the caller") {
    ThreadPool pool(2);
    std::atomic<int> others{0};
    std::atomic<bool> held{false};
    parallel_for(50, pool, [&](std::size_t, std::size_t thread) {
        if (thread > 0 && !held.exchange(true)) {
            while (others < 49) std::this_thread::yield();
        } else {
            while (!held && others < 48) std::this_thread::yield();  // the other thread shall get one
            ++others;
        }
    });
    CHECK(others >= 49);
}

TEST_CASE("several threads may use one pool at once, and a call within a call is done by its thread") {
    ThreadPool pool(3);
    std::vector<std::thread> callers;
    std::atomic<int> right{0};
    for (int caller = 0; caller < 4; ++caller)
        callers.emplace_back([&] {
            for (int round = 0; round < 200; ++round) right += does_all(20, pool);
        });
    for (std::thread& caller : callers) caller.join();
    CHECK(right == 800);

    std::vector<std::atomic<int>> done(64);
    std::atomic<bool> alone{true};
    parallel_for(8, pool, [&](std::size_t outer, std::size_t) {
        parallel_for(8, pool, [&](std::size_t inner, std::size_t thread) {
            if (thread != 0) alone = false;
            ++done[outer * 8 + inner];
        });
    });
    for (const auto& count : done) CHECK(count == 1);
    CHECK(alone);

    std::atomic<int> nested{0};
    run_together(pool, [&](Threads together) {
        parallel_for(6, together, [&](std::size_t, std::size_t) {
            parallel_for(5, together, [&](std::size_t, std::size_t thread) { nested += thread == 0; });
        });
        parallel_for(7, together, [&](std::size_t, std::size_t) { ++nested; });  // the team is as before
    });
    CHECK(nested == 37);
}

TEST_CASE("a host's executor may run the jobs in any way that its contract allows") {
    const auto check = [](auto run) {
        Host host(4, run);
        for (int round = 0; round < 10; ++round) {
            CHECK(does_all(1, host));
            CHECK(does_all(2, host));
            CHECK(does_all(100, host));
            CHECK(does_all(100, {host, 2}));
            std::vector<int> values(10, 0);
            run_together(host, [&](Threads together) {
                for (int step = 0; step < 20; ++step)
                    parallel_for(values.size(), together, [&](std::size_t i, std::size_t) { ++values[i]; });
            });
            for (const int value : values) CHECK(value == 20);
        }
    };
    using Job = FunctionView<void(std::size_t)>;
    SUBCASE("threads of its own") {
        check([](std::size_t jobs, Job job) {
            std::vector<std::thread> threads;
            for (std::size_t j = 0; j < jobs; ++j) threads.emplace_back([=] { job(j); });
            for (std::thread& thread : threads) thread.join();
        });
    }
    SUBCASE("one after the other") {
        check([](std::size_t jobs, Job job) {
            for (std::size_t j = 0; j < jobs; ++j) job(j);
        });
    }
    SUBCASE("the last first") {
        check([](std::size_t jobs, Job job) {
            for (std::size_t j = jobs; j-- > 0;) job(j);
        });
    }
    SUBCASE("only one of them") {
        check([](std::size_t, Job job) { job(1); });
    }
    SUBCASE("one that comes late") {
        check([](std::size_t jobs, Job job) {
            std::thread late([=] {
                std::this_thread::sleep_for(std::chrono::milliseconds(2));
                for (std::size_t j = 1; j < jobs; ++j) job(j);
            });
            job(0);
            late.join();
        });
    }
    SUBCASE("none: it was stopped") {
        check([](std::size_t, Job) {});
    }
#if RANKLET_HAS_EXCEPTIONS
    SUBCASE("it throws") {
        check([](std::size_t, Job) { throw std::runtime_error("no threads today"); });
        check([](std::size_t, Job job) {
            job(0);
            throw std::runtime_error("no more threads today");
        });
    }
#endif
}

TEST_CASE(
    "a host's executor may grow and shrink while calls run: each goes by what was said when its Threads were made") {
    class Changing final : public Executor {
    public:
        std::size_t threads() const noexcept override { return size; }
        void run(std::size_t jobs, FunctionView<void(std::size_t)> job) override {
            most = std::max(most, jobs);
            for (std::size_t j = 0; j < jobs; ++j) job(j);
        }
        std::size_t size = 2, most = 0;
    };
    Changing host;
    const Threads threads(host), few(host, 1), many(host, 9);
    CHECK(threads.count == 2);
    CHECK(few.count == 1);
    CHECK(many.count == 2);
    for (const std::size_t size : {5u, 1u, 0u}) {
        host.size = size;
        CHECK(ranklet::resolve_threads(threads) == 2);
        CHECK(ranklet::resolve_threads(few) == 1);
        CHECK(does_all(100, threads));
        run_together(threads, [&](Threads together) { CHECK(together.count == 2); });
    }
    CHECK(host.most == 2);
    CHECK(Threads(host).count == 1);
    host.size = static_cast<std::size_t>(-1);
    CHECK(ranklet::resolve_threads(host) == ranklet::detail::Team::most_threads);
    CHECK(ranklet::resolve_threads({host, 3}) == 3);
}

#if defined(__linux__)
TEST_CASE("a process that was forked after threads were used goes on with its own thread") {
    ThreadPool pool(3);
    Threads openmp(2);
    REQUIRE(does_all(100, pool));
    REQUIRE(does_all(100, openmp));
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        alarm(20);  // rather than for ever
        bool right = does_all(100, pool) && does_all(100, openmp);
        run_together(pool, [&](Threads together) { right = right && together.count == 1; });
#if !RANKLET_TEST_THREAD_SANITIZER  // which allows no threads after a fork
        ThreadPool own(3);
        right = right && does_all(100, own);
        run_together(own, [&](Threads together) { right = right && together.count == 3; });
#endif
        pool.~ThreadPool();  // waits for no thread that the child does not have
        _exit(right ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(does_all(100, pool));  // and the parent as before
    CHECK(does_all(100, openmp));
}
#endif
