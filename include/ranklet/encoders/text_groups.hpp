// for_each_group: the outer loop of every encoder: inputs in groups over threads, with progress and the first error.
// In: a number of inputs and a function of a range of them. Out: nothing, or the Error of the first group that has one.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "ranklet/core/config.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/parallel_groups.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/encoders/options.hpp"

RANKLET_NAMESPACE_BEGIN

/// Threads that for_each_group uses, so that each can have memory of its own.
inline std::size_t group_threads(std::size_t inputs, std::size_t group, const BatchOptions& options) noexcept {
    const std::size_t groups = (inputs + group - 1) / group;
    return std::min(resolve_threads(options.threads), std::max<std::size_t>(groups, 1));
}

/// Calls `run(first, last, thread)` -> Result<void> once for each group of at most `group` inputs, from any of
/// group_threads() threads, in any order. With an Error some groups may not have been run to their end.
template <class Run>
Result<void> for_each_group(std::size_t inputs, std::size_t group, const BatchOptions& options, const Run& run) {
    std::atomic<std::size_t> done{0};
    const auto with_progress = [&](std::size_t first, std::size_t last, std::size_t thread) {
        const Result<void> result = run(first, last, thread);
        const std::size_t finished = done += last - first;
        if (thread == 0 && options.progress && finished < inputs) options.progress(finished, inputs);
        return result;
    };
    RANKLET_TRY(parallel_groups(inputs, group, group_threads(inputs, group, options), with_progress));
    if (options.progress) options.progress(inputs, inputs);
    return {};
}

RANKLET_NAMESPACE_END
