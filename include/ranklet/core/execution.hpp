// How a call runs: on how many threads, and when it has to end early.
// In: what the caller says in a call's options. Out: Threads, StopToken, a deadline, and the Error of a call that ended.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN

/// Threads that a call may use, written as a number: `{.threads = 2}`; 0: as many as the machine offers. It has no
/// influence on any number that the library computes. Without OpenMP every call runs on the caller's thread.
struct Threads {
    std::size_t count = 1;

    constexpr Threads(std::size_t threads = 1) noexcept : count(threads) {}
};

/// Asks a long call to end: made of a std::stop_token (or whatever has `stop_requested()`), of a std::atomic<bool> that
/// outlives the call, or of a function. Default-made: nothing asks. Asked from the threads that do the work.
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
