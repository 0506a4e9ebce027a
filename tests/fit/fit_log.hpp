// A log that only the order of events explains: users walk around a ring of items.
// In: how many users and items. Out: a FitLog over memory of its own, and the items with their texts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ranklet/catalog/item.hpp"
#include "ranklet/decoders/user_state.hpp"
#include "ranklet/fit/fit.hpp"

namespace ranklet_test {

struct WalkLog {
    std::vector<std::string> users, ids;
    std::vector<std::size_t> offsets{0};
    std::vector<std::uint32_t> item;
    std::vector<float> rating;
    std::vector<double> time;
    std::vector<ranklet::Item> items;  ///< the last of the log's has no text here; one more has no events

    WalkLog(std::size_t user_count, std::size_t item_count) {
        for (std::size_t i = 0; i < item_count; ++i) ids.push_back("i" + std::to_string(i));
        for (std::size_t i = 0; i + 1 < item_count; ++i)
            items.emplace_back(ids[i], "number " + std::to_string(i) + (i % 2 == 0 ? " red phone" : " green hose"));
        items.emplace_back("unseen", "a lamp that nobody has met");
        std::uint32_t random = 7;
        const auto draw = [&] { return (random = random * 1664525u + 1013904223u) >> 16; };
        for (std::size_t u = 0; u < user_count; ++u) {
            users.push_back("u" + std::to_string(u));
            std::size_t place = draw() % item_count;
            for (int e = 0; e < 8; ++e) {
                item.push_back(static_cast<std::uint32_t>(place));
                time.push_back(1e9 + 1000.0 * static_cast<double>(u) + e);
                place = (place + 1 + (draw() % 8 == 0 ? 1 : 0)) % item_count;
            }
            offsets.push_back(item.size());
        }
    }
    template <class Rating>
    void rate(const Rating& of) {
        for (std::size_t e = 0; e < item.size(); ++e) rating.push_back(of(e));
    }
    ranklet::FitLog view() const { return {users, ids, offsets, item, rating, time}; }
};

}  // namespace ranklet_test
