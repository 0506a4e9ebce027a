// Bitsets against a vector of flags, at sizes around whole words.
#include "ranklet/catalog/bitset.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "kernels/reference.hpp"

using namespace ranklet_test;
using ranklet::Bitset;

TEST_CASE("a bitset says what a vector of flags says: and, or, not, counts, walks, at every size") {
    Random random(3);
    for (const std::size_t n : {0u, 1u, 63u, 64u, 65u, 127u, 128u, 200u, 1000u}) {
        std::vector<bool> a(n), b(n);
        Bitset x(n), y(n);
        for (std::size_t i = 0; i < n; ++i) {
            if ((a[i] = random.below(3) == 0)) x.set(i);
            if ((b[i] = random.below(2) == 0)) y.set(i);
        }
        Bitset both = x, either = x, not_x = x;
        both &= y;
        either |= y;
        not_x.flip();
        std::size_t count = 0, wrong = 0;
        std::vector<std::size_t> clear, walked;
        for (std::size_t i = 0; i < n; ++i) {
            count += a[i];
            wrong += x.test(i) != a[i] || both.test(i) != (a[i] && b[i]) || either.test(i) != (a[i] || b[i]) ||
                     not_x.test(i) == a[i];
            if (!a[i]) clear.push_back(i);
        }
        x.for_each_clear([&](std::size_t i) { walked.push_back(i); });
        CHECK(wrong == 0);
        CHECK(walked == clear);
        CHECK(x.count() == count);
        CHECK(not_x.count() == n - count);  // no bit beyond the end
        CHECK(not_x.flip() == x);
        CHECK(Bitset(n, true).count() == n);
        CHECK(Bitset(n).flip() == Bitset(n, true));
        for (std::size_t i = 0; i < n; ++i) x.reset(i);
        CHECK(x == Bitset(n));
    }
}
