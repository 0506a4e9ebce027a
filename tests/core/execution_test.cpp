// How a call runs: threads, stop tokens and deadlines as a caller writes them, and the loop over groups that heeds them.
#include "ranklet/core/execution.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "ranklet/core/groups.hpp"
#include "threads.hpp"

namespace {

using ranklet::check_stop;
using ranklet::Deadline;
using ranklet::Error;
using ranklet::ErrorCode;
using ranklet::Result;
using ranklet::StopToken;
using ranklet::Threads;
using ranklet::detail::for_each_group;
using ranklet::detail::GroupOptions;
using std::chrono::hours;
using std::chrono::steady_clock;

/// A host's own token.
struct HostToken {
    const bool* flag;
    bool stop_requested() const { return *flag; }
};
/// One that says it in a type of its own.
struct Answer {
    int value;
    explicit operator bool() const { return value != 0; }
};
struct OtherToken {
    int value;
    Answer stop_requested() const noexcept { return {value}; }
};

bool asks(const StopToken& token) { return token.stop_requested(); }

}  // namespace

static_assert(!std::is_convertible_v<int, StopToken>);
static_assert(!std::is_convertible_v<const char*, StopToken>);
static_assert(std::is_convertible_v<int, Threads>);

TEST_CASE("threads are written as a number, in designated initialisers too, and are one by default") {
    const std::size_t count = 5;
    CHECK(GroupOptions{}.threads.count == 1);
    CHECK(GroupOptions{.threads = 2}.threads.count == 2);
    CHECK(GroupOptions{.threads = 0}.threads.count == 0);
    CHECK(GroupOptions{.threads = count}.threads.count == 5);
    CHECK(GroupOptions{.threads = {}}.threads.count == 1);
    GroupOptions options;
    options.threads = 7;
    CHECK(options.threads.count == 7);
    const auto of_call = [](Threads threads) { return threads.count; };
    CHECK(of_call(3) == 3);
}

TEST_CASE("a default-made stop token never asks") {
    CHECK_FALSE(asks({}));
    CHECK_FALSE(asks(StopToken()));
    CHECK_FALSE(asks(GroupOptions{}.stop));
    CHECK_FALSE(asks(std::function<bool()>()));
}

TEST_CASE("a stop token is made of a std::stop_token, of a flag, of a function, of a host's own token") {
    std::stop_source source;
    const StopToken of_token = source.get_token();
    CHECK_FALSE(asks(of_token));
    source.request_stop();
    CHECK(asks(of_token));

    std::atomic<bool> flag{false};
    const StopToken of_flag = flag;
    CHECK_FALSE(asks(of_flag));
    flag = true;
    CHECK(asks(of_flag));
    flag = false;
    CHECK_FALSE(asks(of_flag));

    int asked = 0;
    const StopToken of_lambda = [&asked] { return ++asked > 1; };
    CHECK_FALSE(asks(of_lambda));
    CHECK(asks(of_lambda));
    const std::function<bool()> function = [] { return true; };
    CHECK(asks(function));
    CHECK(asks(+[] { return true; }));

    bool host = false;
    const StopToken of_host = HostToken{&host};
    CHECK_FALSE(asks(of_host));
    host = true;
    CHECK(asks(of_host));
    CHECK_FALSE(asks(OtherToken{0}));
    CHECK(asks(OtherToken{1}));
}

TEST_CASE("options take a stop in a designated initialiser, and copies of a token ask the same") {
    std::atomic<bool> flag{false};
    std::stop_source source;
    const GroupOptions options[] = {
        {.stop = flag}, {.stop = source.get_token()}, {.stop = [&] { return flag.load(); }}};
    for (const GroupOptions& each : options) CHECK_FALSE(asks(each.stop));
    flag = true;
    source.request_stop();
    for (const GroupOptions& each : options) {
        const GroupOptions copy = each;
        CHECK(asks(copy.stop));
        const StopToken moved = GroupOptions(copy).stop;
        CHECK(asks(moved));
    }
}

TEST_CASE("a call ends at its stop or its deadline, and says which; the stop comes first") {
    const StopToken stop = [] { return true; };
    const Deadline past = steady_clock::now() - hours(1), later = steady_clock::now() + hours(1);
    CHECK(check_stop({}, {}).ok());
    CHECK(check_stop({}, later).ok());
    CHECK(check_stop({}, past).error().code == ErrorCode::deadline);
    CHECK(check_stop({}, past).error().message == "the call was not done at its deadline");
    CHECK(check_stop({}, steady_clock::now()).error().code == ErrorCode::deadline);
    CHECK(check_stop(stop, later).error().code == ErrorCode::stopped);
    CHECK(check_stop(stop, past).error().code == ErrorCode::stopped);
    CHECK(check_stop(stop, {}).error().message == "the call was stopped before it was done");
    CHECK(check_stop(stop, {}).error().input == Error::no_input);
}

TEST_CASE("every input is in one group, from any number of threads, and the end is told last") {
    for (const std::size_t threads : {1u, 3u})
        for (const std::size_t inputs : {0u, 1u, 10u, 64u, 100u}) {
            std::vector<std::atomic<int>> seen(inputs);
            std::vector<std::size_t> told;
            GroupOptions options{.threads = ranklet_test::finely(threads)};
            options.progress = [&](std::size_t done, std::size_t all) {
                CHECK(all == inputs);
                told.push_back(done);
            };
            const auto run = [&](std::size_t first, std::size_t last, std::size_t thread) -> Result<void> {
                if (last - first > 10 || thread >= threads) return Error{ErrorCode::format, "a wrong group"};
                for (std::size_t i = first; i < last; ++i) ++seen[i];
                return {};
            };
            CHECK(for_each_group(inputs, 10, options, 100, run).ok());
            for (const auto& times : seen) CHECK(times == 1);
            REQUIRE_FALSE(told.empty());
            CHECK(told.back() == inputs);
            CHECK(std::is_sorted(told.begin(), told.end()));
        }
}

TEST_CASE("the first input's error is the one that comes back, whatever is done first") {
    for (const std::size_t threads : {1u, 3u}) {
        bool ended = false;
        GroupOptions options{.threads = ranklet_test::finely(threads)};
        options.progress = [&](std::size_t done, std::size_t all) { ended = ended || done == all; };
        const auto result =
            for_each_group(100, 10, options, 100, [&](std::size_t first, std::size_t, std::size_t) -> Result<void> {
                if (first == 30) std::this_thread::sleep_for(std::chrono::milliseconds(5));
                if (first < 30) return {};
                return about_input(Error{ErrorCode::invalid_text, "it is broken"}, first + 3);
            });
        REQUIRE_FALSE(result.ok());
        CHECK(result.error().input == 33);
        CHECK(result.error().message == "it is broken");
        CHECK_FALSE(ended);
        const auto named = ranklet::detail::name_input(
            for_each_group(1, 1, options, 100,
                           [](std::size_t, std::size_t, std::size_t) {
                               return Result<void>(about_input(Error{ErrorCode::format, "odd"}, 0));
                           }),
            "pair");
        CHECK(named.error().message == "pair 0: odd");
        CHECK(named.error().input == 0);
        CHECK(named.error().code == ErrorCode::format);
    }
    const auto unnamed = ranklet::detail::name_input(Result<void>(Error{ErrorCode::io, "no file"}), "text");
    CHECK(unnamed.error().message == "no file");
    CHECK(unnamed.error().input == Error::no_input);
}

TEST_CASE("a loop over groups ends at a stop or a deadline: no group begins after it") {
    for (const std::size_t threads : {1u, 3u}) {
        CAPTURE(threads);
        std::atomic<int> begun{0};
        const auto run = [&](std::size_t, std::size_t, std::size_t) -> Result<void> {
            ++begun;
            return {};
        };
        GroupOptions options{.threads = ranklet_test::finely(threads), .stop = [] { return true; }};
        CHECK(for_each_group(100, 10, options, 100, run).error().code == ErrorCode::stopped);
        CHECK(begun == 0);
        options = {.threads = ranklet_test::finely(threads), .deadline = steady_clock::now() - hours(1)};
        CHECK(for_each_group(100, 10, options, 100, run).error().code == ErrorCode::deadline);
        CHECK(begun == 0);
        options = {.threads = ranklet_test::finely(threads), .deadline = steady_clock::now() + hours(1)};
        CHECK(for_each_group(100, 10, options, 100, run).ok());
        CHECK(begun == 10);
        // Asked by what is done: the groups of other threads may be on their way, no more.
        begun = 0;
        std::atomic<bool> stop{false};
        options = {.threads = ranklet_test::finely(threads), .stop = stop};
        options.progress = [&](std::size_t done, std::size_t) {
            CHECK(done <= 10 * static_cast<std::size_t>(begun));  // what was not begun is not done
        };
        const auto stopping = [&](std::size_t, std::size_t, std::size_t) -> Result<void> {
            ++begun;
            stop = true;
            return {};
        };
        CHECK(for_each_group(100, 10, options, 100, stopping).error().code == ErrorCode::stopped);
        CHECK(begun >= 1);
        CHECK(static_cast<std::size_t>(begun) <= threads);
    }
}
