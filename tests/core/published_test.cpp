// Published: readers get whole snapshots, in the order in which they were set, and what they got stays.
#include "ranklet/core/published.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

TEST_CASE("the newest snapshot is given out, and an old one lives as long as its copies") {
    ranklet::Published<std::shared_ptr<const int>> published;
    CHECK(published.get() == nullptr);
    published.set(std::make_shared<const int>(1));
    const std::shared_ptr<const int> first = published.get();
    const std::weak_ptr<const int> watched = first;
    published.set(std::make_shared<const int>(2));
    CHECK(*first == 1);
    CHECK(*published.get() == 2);
    CHECK(watched.use_count() == 1);
    const ranklet::Published<int> begun(7);
    CHECK(begun.get() == 7);
}

TEST_CASE("threads that read while another publishes see whole snapshots, never an older one after a newer") {
    constexpr int last = 2000;
    ranklet::Published<std::shared_ptr<const std::vector<int>>> published(
        std::make_shared<const std::vector<int>>(3, 0));
    std::atomic<int> wrong{0};
    std::vector<std::thread> readers;
    for (int r = 0; r < 3; ++r)
        readers.emplace_back([&] {
            for (int seen = 0; seen < last;) {
                const auto snapshot = published.get();
                if (snapshot->front() != snapshot->back() || snapshot->front() < seen) ++wrong;
                seen = snapshot->front();
            }
        });
    for (int version = 1; version <= last; ++version)
        published.set(std::make_shared<const std::vector<int>>(3, version));
    for (std::thread& reader : readers) reader.join();
    CHECK(wrong == 0);
}
