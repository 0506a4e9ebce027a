// Popularity against its formula: half-lives, orders, merged counts, saved ones.
#include "ranklet/counting/popularity.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "counting/helpers.hpp"
#include "io/temporary_folder.hpp"
#include "ranklet/io/crc32.hpp"

namespace {

using namespace ranklet;
using namespace ranklet_test;

Popularity popularity_of(const Log& log, const PopularityOptions& options) {
    Popularity counts = take(Popularity::create(options));
    for (const LogEvent& event : log) succeed(counts.observe(event.item, event.time));
    return counts;
}

}  // namespace

TEST_CASE("an item's value is the sum of what is left of its events") {
    const Log log = make_log(3, 10, 30, 2000, 2e5);
    for (const double half_life : {0.0, 1000.0, 50000.0}) {
        PopularityOptions options;
        options.half_life = half_life;
        Log backwards(log.rbegin(), log.rend());
        const Popularity counts = popularity_of(log, options), other = popularity_of(backwards, options);
        for (const double later : {0.0, 777.0, 1e5}) {
            const double now = log.back().time + later;
            std::map<std::string, double> expected;
            for (const LogEvent& event : log)
                expected[event.item] += half_life == 0 ? 1 : std::exp2((event.time - now) / half_life);
            std::vector<std::string> ids{"none"};
            for (const auto& [item, value] : expected) {
                CHECK(counts.value(item, now) == doctest::Approx(value).epsilon(1e-9));
                CHECK(other.value(item, now) == doctest::Approx(value).epsilon(1e-9));
                ids.push_back(item);
            }
            const std::vector<float> logs = take(counts.log_popularity(ids, now));
            REQUIRE(logs.size() == ids.size());
            CHECK(logs[0] == 0);
            for (std::size_t i = 1; i < ids.size(); ++i)
                CHECK(logs[i] == doctest::Approx(std::log1p(expected[ids[i]])).epsilon(1e-6));
        }
        CHECK(counts.newest() == log.back().time);
        CHECK(counts.value("item 0", 0) == counts.value("item 0", -1e9));  // not before its newest event
    }
}

TEST_CASE("counts are merged, taken back, saved and loaded") {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/p";
    PopularityOptions options;
    options.half_life = 5000;
    const Log log = make_log(4, 10, 20, 600, 1e5);
    Popularity left = take(Popularity::create(options)), right = left;
    const Popularity whole = popularity_of(log, options);
    for (std::size_t e = 0; e < log.size(); ++e) succeed((e % 3 == 0 ? left : right).observe(log[e].item, log[e].time));
    succeed(left.merge(right));
    const double now = log.back().time;
    CHECK(left.items() == whole.items());
    for (std::size_t i = 0; i < 20; ++i) {
        const std::string item = "item " + std::to_string(i);
        CHECK(left.value(item, now) == doctest::Approx(whole.value(item, now)).epsilon(1e-12));
    }
    succeed(left.save(path));
    Popularity loaded = take(Popularity::load(path));
    succeed(loaded.observe("item 1", now + 10, 2.5));
    succeed(left.observe("item 1", now + 10, 2.5));
    for (std::size_t i = 0; i < 20; ++i)
        CHECK(loaded.value("item " + std::to_string(i), now + 20) == left.value("item " + std::to_string(i), now + 20));
    succeed(loaded.take_back("item 1", now + 10, 2.5));
    CHECK(loaded.value("item 1", now + 20) == doctest::Approx(whole.value("item 1", now + 20)).epsilon(1e-9));
    succeed(loaded.take_back("none", now));
    succeed(loaded.take_back("item 1", now, 1e9));
    CHECK(loaded.value("item 1", now) == 0);
    check_error(left.merge(Popularity()), ErrorCode::mismatch, "half-lives");
    check_damage(bytes_of_file(path), path, [](const std::string& p) { return Popularity::load(p); });
    check_error(Popularity::load(folder.path() + "/none"), ErrorCode::io);
    check_error(left.save(folder.path() + "/no/where"), ErrorCode::io);
    // What a file says is checked beyond its checksum.
    const std::string bytes = bytes_of_file(path);
    for (std::size_t i = 8; i + 4 < bytes.size(); ++i) {
        std::string changed = bytes;
        changed[i] = static_cast<char>(~changed[i]);
        const std::uint32_t sum = crc32(std::as_bytes(std::span(changed)).first(changed.size() - 4));
        std::memcpy(changed.data() + changed.size() - 4, &sum, 4);
        std::remove((folder.path() + "/made up").c_str());
        auto made_up = Popularity::load(folder.write("made up", changed));
        if (made_up.ok()) CHECK(std::isfinite(made_up->value("item 1", now)));
    }
}

TEST_CASE("the least popular are forgotten where there are too many, and nonsense is refused") {
    PopularityOptions options;
    options.half_life = 100;
    options.max_items = 16;
    Popularity counts = take(Popularity::create(options));
    for (int i = 0; i < 16; ++i) succeed(counts.observe("i" + std::to_string(i), i));
    succeed(counts.observe("i0", 20));
    succeed(counts.observe("new", 21));
    CHECK(counts.items() == 15);
    CHECK(counts.value("i1", 21) == 0);
    CHECK(counts.value("i2", 21) == 0);
    CHECK(counts.value("i0", 21) > 1);
    CHECK(counts.value("i3", 21) > 0);
    const ErrorCode invalid = ErrorCode::invalid_argument;
    check_error(counts.observe("", 1), invalid, "without an item's id");
    check_error(counts.observe(std::string(1025, 'x'), 1), invalid, "1025 bytes");
    check_error(counts.observe("a", 1.7e12), invalid, "seconds since 1970");
    check_error(counts.observe("a", std::numeric_limits<double>::quiet_NaN()), invalid, "seconds since 1970");
    check_error(counts.observe("a", 1, 0), invalid, "weight");
    check_error(counts.take_back("a", 1, -1), invalid, "weight");
    CHECK(counts.items() == 15);
    check_error(Popularity::create({.half_life = 0.5}), invalid, "half_life");
    check_error(Popularity::create({.half_life = 0, .max_items = 0}), invalid, "max_items");
}
