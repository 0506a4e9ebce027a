// sort_indices: indices in order, by a function that compares what they stand for.
// In: indices, and whether one comes before another. Out: the same indices sorted; equals stay in their order.
// Compiled once for all of the library: std::sort is compiled anew for each kind of element and each comparison.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/function_view.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

using ComesBefore = FunctionView<bool(std::size_t, std::size_t)>;

/// `spare`: memory of the indices' size.
void sort_indices(std::span<std::size_t> indices, std::span<std::size_t> spare, ComesBefore before) noexcept;
/// [0, count) sorted, in memory that the caller keeps; `spare` is memory too.
std::span<const std::size_t> sorted_indices(std::size_t count, ComesBefore before, std::vector<std::size_t>& indices,
                                            std::vector<std::size_t>& spare);
/// [0, count) sorted.
std::vector<std::size_t> sorted_indices(std::size_t count, ComesBefore before);

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <numeric>

RANKLET_NAMESPACE_BEGIN
namespace detail {

// Runs of 1, 2, 4, ... are merged in pairs.
RANKLET_FUNC void sort_indices(std::span<std::size_t> indices, std::span<std::size_t> spare,
                               ComesBefore before) noexcept {
    const std::size_t n = indices.size();
    for (std::size_t run = 1; run < n; run *= 2) {
        for (std::size_t first = 0; first < n; first += 2 * run) {
            const std::size_t middle = std::min(first + run, n), last = std::min(first + 2 * run, n);
            std::size_t a = first, b = middle;
            for (std::size_t at = first; at < last; ++at)
                spare[at] = b == last || (a < middle && !before(indices[b], indices[a])) ? indices[a++] : indices[b++];
        }
        std::copy_n(spare.data(), n, indices.data());
    }
}

RANKLET_FUNC std::span<const std::size_t> sorted_indices(std::size_t count, ComesBefore before,
                                                         std::vector<std::size_t>& indices,
                                                         std::vector<std::size_t>& spare) {
    indices.resize(count);
    spare.resize(count);
    std::iota(indices.begin(), indices.end(), std::size_t{0});
    sort_indices(indices, spare, before);
    return indices;
}

RANKLET_FUNC std::vector<std::size_t> sorted_indices(std::size_t count, ComesBefore before) {
    std::vector<std::size_t> indices, spare;
    sorted_indices(count, before, indices, spare);
    return indices;
}

}  // namespace detail
RANKLET_NAMESPACE_END
#endif
