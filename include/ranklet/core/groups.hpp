// for_each_group: the outer loop over many inputs: groups over threads, with progress, a stop, and the first error.
// In: a number of inputs and a function of a range of them. Out: nothing, or the Error of the first group that has one.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/core/function_view.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/text_list.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// What for_each_group reads of a call's options, where a call has fewer of its own.
struct GroupOptions {
    Threads threads = 1;
    std::function<void(std::size_t, std::size_t)> progress = {};
    StopToken stop = {};
    Deadline deadline = {};
};

/// The result; an error about one of its inputs says which: "text 3: ...".
template <class T>
Result<T> name_input(Result<T> result, const char* what) {
    if (result.ok() || result.error().input == Error::no_input) return result;
    const std::size_t input = result.error().input;
    return about_input(result.error(), input, {what, " ", input});
}

/// Threads that for_each_group uses, so that each can have memory of its own.
inline std::size_t group_threads(std::size_t inputs, std::size_t group, Threads threads) noexcept {
    return std::min(resolve_threads(threads), std::max<std::size_t>((inputs + group - 1) / group, 1));
}

/// Where a call's options are.
struct GroupCall {
    Threads threads;  // 1 where the work is not worth more
    const std::function<void(std::size_t, std::size_t)>& progress;
    const StopToken& stop;
    const Deadline& deadline;
};
Result<void> run_groups(std::size_t inputs, std::size_t group, const GroupCall& call,
                        FunctionView<Result<void>(std::size_t, std::size_t, std::size_t)> run);

/// Calls `run(first, last, thread)` -> Result<void> once for each group of at most `group` inputs, from any of
/// group_threads() threads, in any order. With an Error some groups may not have been run. `options` has `threads`,
/// `stop` and `deadline` (asked before each group), and `progress`: (inputs done, inputs), from one thread, the caller's
/// unless an executor has others. `work`: of all groups, as detail::piece_work counts it.
template <class Options, class Run>
Result<void> for_each_group(std::size_t inputs, std::size_t group, const Options& options, std::size_t work,
                            const Run& run) {
    return run_groups(inputs, group, {worth(options.threads, work), options.progress, options.stop, options.deadline},
                      run);
}

/// What cutting texts into tokens costs, some 1000 products a byte.
inline std::size_t text_work(TextList texts) {
    std::size_t bytes = 0;
    for (const std::string_view text : texts) bytes += text.size();
    return 1000 * bytes;
}

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

RANKLET_NAMESPACE_BEGIN
namespace detail {

RANKLET_FUNC Result<void> run_groups(std::size_t inputs, std::size_t group, const GroupCall& call,
                                     FunctionView<Result<void>(std::size_t, std::size_t, std::size_t)> run) {
    std::vector<Result<void>> results((inputs + group - 1) / group);
    std::atomic<std::size_t> done{0};
    std::atomic<bool> ended{false};  // by the caller's wish: the groups that are left end at once
    Threads threads = call.threads;
    threads.count = group_threads(inputs, group, threads);
    parallel_for(results.size(), threads, [&](std::size_t g, std::size_t thread) {
        if (ended.load(std::memory_order_relaxed)) return;
        const std::size_t first = g * group, last = std::min(inputs, first + group);
        results[g] = catch_out_of_memory([&]() -> Result<void> {
            auto status = check_stop(call.stop, call.deadline);
            if (status.ok()) return run(first, last, thread);
            ended = true;
            return status;
        });
        if (!results[g].ok()) return;
        const std::size_t finished = done += last - first;
        if (thread == 0 && call.progress && finished < inputs) call.progress(finished, inputs);
    });
    for (const auto& result : results) RANKLET_TRY(result);
    if (call.progress) call.progress(inputs, inputs);
    return {};
}

}  // namespace detail
RANKLET_NAMESPACE_END

#endif
