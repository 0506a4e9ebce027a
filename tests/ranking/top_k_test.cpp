// The k best scores against a full sort by the same total order.
#include "ranklet/ranking/top_k.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/reference.hpp"

namespace {

using namespace ranklet_test;
using Indices = std::vector<std::uint32_t>;

Indices top(const std::vector<float>& scores, std::size_t k) {
    Indices best(k, 77777);
    const std::size_t found = ranklet::top_k(scores, best);
    REQUIRE(found <= k);
    best.resize(found);
    return best;
}

/// Score descending, then index ascending; NaN and -infinity are no candidates.
Indices sorted(const std::vector<float>& scores, std::size_t k) {
    Indices all;
    for (std::uint32_t i = 0; i < scores.size(); ++i)
        if (scores[i] > -infinity) all.push_back(i);
    std::stable_sort(all.begin(), all.end(), [&](std::uint32_t a, std::uint32_t b) { return scores[a] > scores[b]; });
    all.resize(std::min(k, all.size()));
    return all;
}

}  // namespace

TEST_CASE("top_k is a full sort's beginning: ties, NaN, infinities, every k") {
    Random random(1);
    for (std::size_t n = 0; n <= 120; ++n)
        for (const std::size_t distinct : {1u, 2u, 7u, 1000000u}) {
            std::vector<float> scores(n);
            for (float& score : scores) {
                score = static_cast<float>(random.below(distinct)) - 3.0f;
                const std::size_t special = random.below(12);
                if (special == 0) score = quiet_nan;
                if (special == 1) score = -infinity;
                if (special == 2) score = infinity;
                if (special == 3) score = -0.0f;
            }
            for (const std::size_t k : {std::size_t{0}, std::size_t{1}, std::size_t{2}, n / 2, n, n + 1, n + 50})
                REQUIRE(top(scores, k) == sorted(scores, k));
        }
}

TEST_CASE("ties are won by the lower index, and both zeros tie") {
    CHECK(top({1.0f, 2.0f, 2.0f, 1.0f, 2.0f}, 2) == Indices{1, 2});
    CHECK(top({-0.0f, 0.0f, -0.0f}, 3) == Indices{0, 1, 2});
    CHECK(top(std::vector<float>(1000, 3.0f), 5) == Indices{0, 1, 2, 3, 4});
}

TEST_CASE("NaN and -infinity never enter, even when nothing else is left") {
    CHECK(top({quiet_nan, 1.0f, -infinity, infinity, -quiet_nan}, 5) == Indices{3, 1});
    CHECK(top(std::vector<float>(10, quiet_nan), 3).empty());
    CHECK(top(std::vector<float>(10, -infinity), 3).empty());
    CHECK(top({std::numeric_limits<float>::lowest()}, 1) == Indices{0});
}

TEST_CASE("no place or no scores give nothing, and places that stay free are left alone") {
    CHECK(top({1.0f, 2.0f}, 0).empty());
    CHECK(top({}, 3).empty());
    Indices best(4, 99);
    REQUIRE(ranklet::top_k(std::vector<float>{1.0f, quiet_nan}, best) == 1);
    CHECK(best == Indices{0, 99, 99, 99});
}

TEST_CASE("sorted input in either direction, and a large one, agree with the sort") {
    std::vector<float> rising(5000), falling(5000);
    std::iota(rising.begin(), rising.end(), 0.0f);
    std::reverse_copy(rising.begin(), rising.end(), falling.begin());
    Random random(2);
    const std::vector<float> large = random.row(200000);
    for (const std::size_t k : {1u, 10u, 100u, 4999u}) {
        CHECK(top(rising, k) == sorted(rising, k));
        CHECK(top(falling, k) == sorted(falling, k));
        CHECK(top(large, k) == sorted(large, k));
    }
}
