// parallel_for and partition: every piece once, threads within bounds.
#include "ranklet/core/parallel.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "ranklet/core/thread_pool.hpp"

TEST_CASE("every piece is done exactly once, by a thread of a number below the limit") {
    for (const std::size_t threads : {1u, 2u, 3u, 8u, 100u})
        for (const std::size_t pieces : {0u, 1u, 2u, 7u, 100u, 1000u}) {
            std::vector<std::atomic<int>> done(pieces);
            std::atomic<std::size_t> outside{0};
            ranklet::parallel_for(pieces, threads, [&](std::size_t piece, std::size_t thread) {
                ++done[piece];
                outside += thread >= threads;
            });
            for (const auto& count : done) CHECK(count == 1);
            CHECK(outside == 0);
        }
}

TEST_CASE("a parallel_for inside of another one works") {
    std::vector<std::atomic<int>> done(64);
    ranklet::parallel_for(8, 2, [&](std::size_t outer, std::size_t) {
        ranklet::parallel_for(8, 2, [&](std::size_t inner, std::size_t thread) {
            if (thread < 2) ++done[outer * 8 + inner];
        });
    });
    for (const auto& count : done) CHECK(count == 1);
}

TEST_CASE("a request for threads is resolved to at least one, and zero to what the machine offers") {
    CHECK(ranklet::resolve_threads(1) == 1);
    CHECK(ranklet::resolve_threads(0) >= 1);
    const std::size_t processors = std::max(1u, std::thread::hardware_concurrency());
#if RANKLET_HAS_OPENMP
    CHECK(ranklet::resolve_threads(64) <= processors);
    CHECK(ranklet::resolve_threads(2) == std::min<std::size_t>(2, ranklet::resolve_threads(64)));
    CHECK(ranklet::resolve_threads(static_cast<std::size_t>(-1)) == ranklet::resolve_threads(64));
#else
    CHECK(ranklet::resolve_threads(3) == 1);
#endif
    ranklet::ThreadPool pool(5);
    CHECK(pool.threads() == 5);
    CHECK(ranklet::resolve_threads(pool) == 5);
    CHECK(ranklet::resolve_threads({pool, 3}) == 3);
    CHECK(ranklet::resolve_threads({pool, 9}) == 5);
    CHECK(ranklet::ThreadPool().threads() == processors);
    CHECK(ranklet::ThreadPool(1).threads() == 1);
}

TEST_CASE("work is cut into pieces that pay, and is not shared where it would be done before a late thread came") {
    using ranklet::Threads;
    using ranklet::detail::piece_work;
    using ranklet::detail::pieces_of;
    using ranklet::detail::worth;
    CHECK(pieces_of(100 * piece_work, 1) == 1);
    CHECK(pieces_of(piece_work, 2) == 1);
    CHECK(pieces_of(3 * piece_work, 2) == 3);
    CHECK(pieces_of(100 * piece_work, 2) == 4);  // a few more than threads
    ranklet::ThreadPool pool(3);
    CHECK(worth(pool, 15 * piece_work).count == 1);
    CHECK(worth(pool, 16 * piece_work).count == 3);
    CHECK(worth({pool, 2}, 16 * piece_work).count == 2);
    CHECK(worth(1, 100000 * piece_work).count == 1);
    CHECK(worth(2, 3999 * piece_work).count == 1);
    CHECK(worth(2, 4000 * piece_work).count == ranklet::resolve_threads(2));
    ranklet::run_together(pool, [&](Threads together) {  // threads that are awake already
        CHECK(worth(together, piece_work).count == 1);
        CHECK(worth(together, 2 * piece_work).count == 3);
    });
    Threads fine(pool);
    fine.grain = 10;
    CHECK(worth(fine, 19).count == 1);
    CHECK(worth(fine, 20).count == 3);
    CHECK(pieces_of(50, worth(fine, 50)) == 5);
}

TEST_CASE("a partition covers all outputs once, in multiples of the grain but for the end") {
    for (const std::size_t count : {0u, 1u, 5u, 16u, 17u, 100u, 1001u})
        for (const std::size_t parts : {1u, 2u, 3u, 8u, 200u})
            for (const std::size_t grain : {1u, 4u, 16u}) {
                std::size_t next = 0;
                for (std::size_t part = 0; part < parts; ++part) {
                    const ranklet::IndexRange range = ranklet::detail::partition(count, parts, part, grain);
                    REQUIRE(range.first == next);
                    REQUIRE(range.last >= range.first);
                    REQUIRE((range.last % grain == 0 || range.last == count));
                    next = range.last;
                }
                REQUIRE(next == count);
            }
}
