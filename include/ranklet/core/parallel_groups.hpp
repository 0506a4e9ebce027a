// parallel_groups: inputs in groups over threads, where a group can fail.
// In: a number of inputs and a function of a range of them. Out: nothing, or the Error of the first group that has one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN

/// Calls `run(first, last, thread)` -> Result<void> once for each group of at most `group` inputs, from any of
/// `threads` (resolved) threads, in any order. With an Error some groups may not have been run to their end.
template <class Run>
Result<void> parallel_groups(std::size_t inputs, std::size_t group, std::size_t threads, const Run& run) {
    std::vector<Result<void>> results((inputs + group - 1) / group);
    parallel_for(results.size(), threads, [&](std::size_t g, std::size_t thread) {
        results[g] = catch_out_of_memory(
            [&]() -> Result<void> { return run(g * group, std::min(inputs, (g + 1) * group), thread); });
    });
    for (const auto& result : results)
        if (!result.ok()) return result;
    return {};
}

RANKLET_NAMESPACE_END
