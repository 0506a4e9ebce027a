// sort_indices: order, ties, and sizes that are no powers of two.
#include "ranklet/core/sort.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

using ranklet::detail::sort_indices;
using ranklet::detail::sorted_indices;

TEST_CASE("indices are sorted by what they stand for, equals in their order") {
    const std::vector<std::string> names{"pear", "apple", "fig", "apple", "pear", "date"};
    const auto order = sorted_indices(names.size(), [&](std::size_t a, std::size_t b) { return names[a] < names[b]; });
    CHECK(order == std::vector<std::size_t>{1, 3, 5, 2, 0, 4});
    CHECK(sorted_indices(0, [](std::size_t, std::size_t) { return true; }).empty());
}

TEST_CASE("any number of indices is sorted, equals in the order that they came in") {
    for (std::size_t n = 1; n < 70; ++n) {
        std::vector<unsigned> keys(n);
        for (std::size_t i = 0; i < n; ++i) keys[i] = static_cast<unsigned>(i * 2654435761u >> 7) % 11;
        std::vector<std::size_t> expected(n), found(n), spare(n);
        std::iota(expected.begin(), expected.end(), std::size_t{0});
        std::reverse(expected.begin(), expected.end());
        found = expected;
        std::sort(expected.begin(), expected.end(), [&](std::size_t a, std::size_t b) {  // they come in falling
            return keys[a] != keys[b] ? keys[a] < keys[b] : a > b;
        });
        sort_indices(found, spare, [&](std::size_t a, std::size_t b) { return keys[a] < keys[b]; });
        CHECK(found == expected);
    }
}
