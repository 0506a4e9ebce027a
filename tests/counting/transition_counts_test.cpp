// TransitionCounts against the formula written out, and against itself: other orders, halves that are merged, users that
// are taken out again, states that were saved.
#include "ranklet/counting/transition_counts.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "counting/helpers.hpp"
#include "io/temporary_folder.hpp"
#include "ranklet/io/crc32.hpp"

namespace {

using namespace ranklet;
using namespace ranklet_test;

std::string shown(const TransitionCounts& counts, const SnapshotOptions& options = {}) {
    return told(take(counts.snapshot(options)));
}

// The same log, users' events interleaved otherwise; each user's stay in order.
Log interleaved(const Log& log, unsigned seed) {
    std::map<std::string, Log> by_user;
    for (const LogEvent& event : log) by_user[event.user].push_back(event);
    std::vector<std::string> turns;
    for (const LogEvent& event : log) turns.push_back(event.user);
    std::shuffle(turns.begin(), turns.end(), std::mt19937(seed));
    std::map<std::string, std::size_t> next;
    Log other;
    for (const std::string& user : turns) other.push_back(by_user[user][next[user]++]);
    return other;
}

// A snapshot against the formula. Marks of the few users here do not collide, so that all pairs of enough users show.
void check_against_formula(const TransitionCounts& counts, const Log& log, const TransitionOptions& options,
                           const SnapshotOptions& how, double now) {
    PlainPairs expected = count_plainly(log, options, now);
    std::erase_if(expected, [&](const auto& pair) { return pair.second.users.size() < options.users; });
    std::map<std::string, double> rows, columns;
    for (const auto& [pair, counted] : expected) {
        rows[pair.first] += counted.weight;
        columns[pair.second] += counted.weight;
    }
    SnapshotOptions all = how;
    all.followers = 1000000;
    const Transitions table = take(counts.snapshot(all));
    const auto found = pairs_of(table);
    CHECK(found.size() == expected.size());
    for (const auto& [pair, counted] : expected) {
        const auto place = found.find(pair);
        const std::string name = pair.first + " -> " + pair.second;
        const bool is_shown = place != found.end();
        REQUIRE_MESSAGE(is_shown, name);
        const double strength = counted.weight / (std::pow(rows[pair.first] + how.smoothing, how.source_power) *
                                                  std::pow(columns[pair.second] + how.smoothing, how.target_power));
        CHECK(place->second.first == doctest::Approx(strength).epsilon(3e-6));
        CHECK(place->second.second == counted.times);
    }
    CHECK(std::is_sorted(table.ids().begin(), table.ids().end()));
    // The strongest alone are the beginning of all.
    const Transitions few = take(counts.snapshot(how));
    REQUIRE(few.size() == table.size());
    for (std::size_t r = 0; r < few.size(); ++r) {
        const Followers row = few.row(r), whole = table.row(r);
        REQUIRE(row.size() == std::min(whole.size(), how.followers));
        CHECK(std::equal(row.rows.begin(), row.rows.end(), whole.rows.begin()));
        CHECK(std::equal(row.strengths.begin(), row.strengths.end(), whole.strengths.begin()));
    }
}

}  // namespace

TEST_CASE("pairs are counted by distance, seen from both sides and never an item after itself") {
    TransitionOptions options;
    options.users = 1;
    options.exponent = 1;
    options.window = 2;
    auto counts = take(TransitionCounts::create(options));
    double time = 0;
    for (const char* item : {"a", "b", "a", "c"}) CHECK(take(counts.observe("u", item, ++time)) == Observed::counted);
    // a-b 1, b-a 1, a-c 1, b-c 1/2; a-a is none.
    CHECK(counts.pairs() == 4);
    CHECK(counts.events() == 4);
    CHECK(counts.items() == 3);
    CHECK(counts.users() == 1);
    CHECK(counts.newest() == 4);
    SnapshotOptions plain;
    plain.source_power = 0;
    plain.target_power = 0;
    const Transitions table = take(counts.snapshot(plain));
    const auto pairs = pairs_of(table);
    using Found = std::pair<float, std::uint32_t>;
    CHECK(pairs.size() == 4);
    CHECK(pairs.at({"a", "b"}) == Found(1.0f, 1));
    CHECK(pairs.at({"a", "c"}) == Found(1.0f, 1));
    CHECK(pairs.at({"b", "a"}) == Found(1.0f, 1));
    CHECK(pairs.at({"b", "c"}) == Found(0.5f, 1));
    CHECK(table.seen(table.find("a")) == 2);
    // Rows: a 2, b 1.5. Columns: a 1, b 1, c 1.5.
    SnapshotOptions normalised;
    normalised.source_power = 1;
    normalised.target_power = 1;
    normalised.smoothing = 1;
    CHECK(pairs_of(take(counts.snapshot(normalised))).at({"b", "c"}).first ==
          doctest::Approx(0.5 / (2.5 * 2.5)).epsilon(1e-7));
}

TEST_CASE("a snapshot is the formula, whatever the options") {
    const Log log = make_log(5, 25, 40, 2500);
    struct Case {
        std::size_t window, users, cap;
        double exponent, half_life;
    };
    for (const Case& c : {Case{10, 1, 10000, 0.7, 0}, Case{10, 2, 10000, 0.7, 0}, Case{3, 3, 10000, 1.5, 0},
                          Case{64, 5, 10000, 0, 0}, Case{1, 4, 10000, 16, 0}, Case{10, 2, 30, 0.7, 0},
                          Case{10, 2, 10000, 0.7, 1e5}, Case{5, 1, 10000, 0.5, 1e4}}) {
        CAPTURE(c.window);
        CAPTURE(c.users);
        CAPTURE(c.half_life);
        TransitionOptions options;
        options.window = c.window;
        options.users = c.users;
        options.max_events_per_user = c.cap;
        options.exponent = c.exponent;
        options.half_life = c.half_life;
        const TransitionCounts counts = counted(log, options);
        SnapshotOptions how;
        how.followers = 6;
        how.smoothing = c.half_life > 0 ? 0.25 : 20;
        check_against_formula(counts, log, options, how, counts.newest());
        if (c.half_life == 0) continue;
        how.now = counts.newest() + 2.5 * c.half_life;
        check_against_formula(counts, log, options, how, how.now);
    }
}

TEST_CASE("with a half-life counts fade for as long as one likes, and what weighs nothing any more is forgotten") {
    TransitionOptions options;
    options.half_life = 1000;
    options.users = 1;
    const Log log = make_log(6, 5, 8, 1500, 600000);  // 600 half-lives
    const TransitionCounts counts = counted(log, options);
    REQUIRE(log.back().time - log.front().time > 300 * options.half_life);
    SnapshotOptions how;
    how.smoothing = 1e-6;
    const PlainPairs expected = count_plainly(log, options, counts.newest());
    const auto found = pairs_of(take(counts.snapshot(how)));
    REQUIRE(found.size() > 20);
    double total = 0;
    for (const auto& [pair, value] : found) {
        CHECK(value.second <= expected.at(pair).times);
        total += expected.at(pair).weight;
    }
    for (const auto& [pair, counted] : expected)
        if (!found.contains(pair)) CHECK(counted.weight < 1e-15);
    CHECK(total > 1);
    // One pair alone is worth a half after each half-life.
    auto single = take(TransitionCounts::create(options));
    take(single.observe("u", "a", 5000));
    take(single.observe("u", "b", 5000));
    SnapshotOptions plain;
    plain.source_power = plain.target_power = 0;
    for (const double lives : {0.0, 1.0, 2.5, 40.0}) {
        plain.now = 5000 + lives * 1000;
        CHECK(take(single.snapshot(plain)).row(0).strengths[0] == doctest::Approx(std::exp2(-lives)).epsilon(1e-7));
    }
    plain.now = 4999;
    check_error(single.snapshot(plain), ErrorCode::invalid_argument, "now is");
    // What events long before the newest one left is next to nothing, and its powers are nearly everything: a strength is a
    // number all the same, the largest at most.
    SnapshotOptions steep;
    steep.smoothing = 0;
    steep.source_power = steep.target_power = 2;
    for (const double lives : {999.0, 60.0, 30.0}) {
        CAPTURE(lives);
        auto old = take(TransitionCounts::create(options));
        observe_all(old, {{"now", "x", 1e6}, {"then", "a", 1e6 - 1000 * lives}, {"then", "b", 1e6 - 1000 * lives}});
        const Transitions strong = take(old.snapshot(steep));
        REQUIRE(strong.pairs() == 1);
        CHECK(strong.row(0).strengths[0] ==
              (lives > 40 ? std::numeric_limits<float>::max() : std::exp2(90.0f)));  // C / (C^2 C^2)
    }
}

TEST_CASE("the same event twice is one, a late one counts at the end, a robot's count up to the limit") {
    TransitionOptions options;
    options.users = 1;
    options.exponent = 0;
    options.max_events_per_user = 5;
    auto counts = take(TransitionCounts::create(options));
    CHECK(take(counts.observe("u", "a", 10)) == Observed::counted);
    CHECK(take(counts.observe("u", "b", 10)) == Observed::counted);
    CHECK(take(counts.observe("u", "a", 10)) == Observed::repeated);
    CHECK(take(counts.observe("u", "b", 10)) == Observed::repeated);
    CHECK(take(counts.observe("v", "a", 10)) == Observed::counted);
    CHECK(take(counts.observe("u", "c", 5)) == Observed::counted);  // late: as if at 10
    CHECK(take(counts.observe("u", "c", 7)) == Observed::repeated);
    CHECK(take(counts.observe("u", "a", 11)) == Observed::counted);
    CHECK(take(counts.observe("u", "a", 12)) == Observed::counted);
    CHECK(take(counts.observe("u", "d", 13)) == Observed::over_limit);
    CHECK(counts.events() == 6);
    CHECK(counts.newest() == 12);
    const auto pairs = pairs_of(take(counts.snapshot()));
    CHECK(pairs.at({"a", "b"}).second == 1);
    CHECK(pairs.at({"a", "c"}).second == 1);
    CHECK(pairs.at({"b", "c"}).second == 1);
    CHECK(pairs.at({"b", "a"}).second == 2);
    CHECK(pairs.at({"c", "a"}).second == 2);
    CHECK(pairs.size() == 5);
    CHECK(counts.items() == 3);
}

TEST_CASE("what is no event, and options that mean nothing, are errors that change nothing") {
    auto counts = take(TransitionCounts::create());
    constexpr double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
    const ErrorCode invalid = ErrorCode::invalid_argument;
    check_error(counts.observe("", "a", 1), invalid, "without a user's id");
    check_error(counts.observe("u", "", 1), invalid, "without an item's id");
    check_error(counts.observe("u", std::string(1025, 'x'), 1), invalid, "1025 bytes, expected at most 1024");
    for (const double time : {nan, inf, -inf, 1.7e12, -1e12})
        check_error(counts.observe("u", "a", time), invalid, "expected seconds since 1970");
    CHECK(take(counts.observe("u", std::string(1024, 'x'), -1e9)) == Observed::counted);
    CHECK(counts.events() == 1);
    const auto refused = [&](auto change, const char* message) {
        TransitionOptions options;
        change(options);
        check_error(TransitionCounts::create(options), invalid, message);
    };
    refused([](auto& o) { o.window = 0; }, "window is 0, expected 1 to 64");
    refused([](auto& o) { o.window = 65; }, "window is 65");
    refused([](auto& o) { o.exponent = -0.1; }, "exponent");
    refused([](auto& o) { o.exponent = nan; }, "exponent");
    refused([](auto& o) { o.users = 0; }, "users is 0, expected 1 to 5");
    refused([](auto& o) { o.users = 6; }, "users is 6");
    refused([](auto& o) { o.half_life = 0.5; }, "half_life");
    refused([](auto& o) { o.half_life = nan; }, "half_life");
    refused([](auto& o) { o.max_events_per_user = 0; }, "max_events_per_user");
    refused([](auto& o) { o.max_pairs = 79; }, "max_pairs is 79, expected at least 80");
    refused([](auto& o) { o.max_users = 0; }, "max_users");
    refused([](auto& o) { o.max_items = 10; }, "max_items is 10, expected 11");
    const auto no_snapshot = [&](auto change, const char* message) {
        SnapshotOptions options;
        change(options);
        check_error(counts.snapshot(options), invalid, message);
    };
    no_snapshot([](auto& o) { o.followers = 0; }, "followers");
    no_snapshot([](auto& o) { o.source_power = 2.1; }, "source_power");
    no_snapshot([](auto& o) { o.target_power = nan; }, "target_power");
    no_snapshot([](auto& o) { o.smoothing = -1; }, "smoothing");
    CHECK(take(TransitionCounts().snapshot()).empty());
    check_error(counts.take_back("u", {}, 0), invalid, "event 0 is to be taken back, of 0");
    check_error(counts.erase_user("", {}), invalid, "without an id");
    check_error(counts.join_users("u", ""), invalid, "without an id");
    for (const double time : {nan, inf, -inf, 1.7e12}) {
        const std::vector<TimedItem> events{{"a", 1}, {"b", time}};
        check_error(counts.join_users("u", "v", events), invalid, "event 1 has the time");
        check_error(counts.erase_user("u", events), invalid, "event 1 has the time");
        check_error(counts.take_back("u", events, 0), invalid, "event 1 has the time");
    }
    CHECK(counts.users() == 1);
}

TEST_CASE("no order of the users' events changes a bit") {
    for (const std::size_t users : {1u, 2u, 3u, 5u}) {
        TransitionOptions options;
        options.users = users;
        const Log log = make_log(7 + static_cast<unsigned>(users), 30, 50, 3000);
        const std::string expected = shown(counted(log, options));
        REQUIRE(expected.size() > 5000);
        for (unsigned seed = 0; seed < 3; ++seed) CHECK(shown(counted(interleaved(log, seed), options)) == expected);
    }
}

TEST_CASE("two machines' counts, merged, are those of one that had all events, bit for bit") {
    for (const std::size_t users : {1u, 2u, 4u}) {
        CAPTURE(users);
        TransitionOptions options;
        options.users = users;
        options.salt = "a secret";
        const Log log = make_log(20 + static_cast<unsigned>(users), 30, 50, 3000), later = make_log(9, 30, 60, 500);
        TransitionCounts whole = counted(log, options);
        Log halves[2];
        for (const LogEvent& event : log) halves[event.user.back() % 2].push_back(event);
        TransitionCounts left = counted(halves[0], options);
        const TransitionCounts right = counted(halves[1], options);
        CHECK(shown(left) != shown(whole));
        succeed(left.merge(right));
        CHECK(shown(left) == shown(whole));
        CHECK(left.events() == whole.events());
        CHECK(left.users() == whole.users());
        CHECK(left.pairs() == whole.pairs());
        TransitionCounts empty = take(TransitionCounts::create(options));
        succeed(empty.merge(left));
        // They go on alike: marks and windows are joined too.
        Log late = later;
        for (LogEvent& event : late) event.time += 1e8;
        observe_all(whole, late);
        observe_all(left, late);
        observe_all(empty, late);
        CHECK(shown(left) == shown(whole));
        CHECK(shown(empty) == shown(whole));
    }
}

TEST_CASE("merged counts fade together") {
    TransitionOptions options;
    options.half_life = 2000;
    options.users = 1;
    const Log log = make_log(31, 10, 20, 1500, 400000);
    Log halves[2];
    for (const LogEvent& event : log) halves[event.time > log[log.size() / 2].time].push_back(event);
    for (const std::size_t first : {0u, 1u}) {
        for (LogEvent& event : halves[1]) event.user = "other " + event.user;
        TransitionCounts sum = counted(halves[first], options);
        succeed(sum.merge(counted(halves[1 - first], options)));
        Log both = halves[0];
        both.insert(both.end(), halves[1].begin(), halves[1].end());
        const auto found = pairs_of(take(sum.snapshot())), expected = pairs_of(take(counted(both, options).snapshot()));
        REQUIRE(expected.size() > 100);
        for (const auto& [pair, value] : expected) {
            if (value.first < 1e-12f) continue;
            REQUIRE(found.contains(pair));
            CHECK(found.at(pair).first == doctest::Approx(value.first).epsilon(1e-6));
        }
    }
}

TEST_CASE("counters that count otherwise do not add up") {
    TransitionCounts counts = counted(make_log(1, 5, 10, 200));
    const std::string before = shown(counts);
    const auto refused = [&](auto change, const char* what) {
        TransitionOptions options;
        change(options);
        check_error(counts.merge(take(TransitionCounts::create(options))), ErrorCode::mismatch, what);
        CHECK(shown(counts) == before);
    };
    refused([](auto& o) { o.window = 9; }, "windows");
    refused([](auto& o) { o.exponent = 0.8; }, "exponents");
    refused([](auto& o) { o.users = 3; }, "numbers of users");
    refused([](auto& o) { o.half_life = 10; }, "half-lives");
    refused([](auto& o) { o.salt = "other"; }, "salts");
    TransitionCounts twice = counts;
    succeed(twice.merge(twice));
    CHECK(twice.events() == 2 * counts.events());
    CHECK(twice.pairs() == counts.pairs());
}

TEST_CASE("an erased user was never here") {
    const Log log = make_log(41, 12, 30, 1500);
    for (const double half_life : {0.0, 1e5}) {
        TransitionOptions options;
        options.users = 1;
        options.half_life = half_life;
        TransitionCounts counts = counted(log, options);
        succeed(counts.erase_user("user 3", events_of(log, "user 3")));
        const TransitionCounts expected = counted(without(log, "user 3"), options);
        if (half_life == 0) CHECK(shown(counts) == shown(expected));
        const auto found = pairs_of(take(counts.snapshot())), wanted = pairs_of(take(expected.snapshot()));
        CHECK(found.size() == wanted.size());
        for (const auto& [pair, value] : wanted) {
            REQUIRE(found.contains(pair));
            CHECK(found.at(pair).first == doctest::Approx(value.first).epsilon(1e-6));
            CHECK(found.at(pair).second == value.second);
        }
        CHECK(counts.users() == expected.users());
        CHECK(counts.events() == expected.events());
        CHECK(counts.pairs() == expected.pairs());
        // The user's id may come back, and has nothing before it.
        take(counts.observe("user 3", "fresh", 2e9));
        CHECK_FALSE(pairs_of(take(counts.snapshot())).contains({"item 0", "fresh"}));
    }
    // All of them: nothing is left.
    TransitionCounts counts = counted(log);
    for (std::size_t u = 0; u < 12; ++u) {
        const std::string user = "user " + std::to_string(u);
        succeed(counts.erase_user(user, events_of(log, user)));
    }
    CHECK(counts.pairs() == 0);
    CHECK(counts.events() == 0);
    CHECK(counts.users() == 0);
    CHECK(take(counts.snapshot()).empty());
    // Of someone who was never counted, or whose pairs were forgotten, nothing is there to subtract.
    succeed(counts.erase_user("user 1", events_of(log, "user 1")));
    CHECK(counts.pairs() == 0);
}

TEST_CASE("after a user is erased no pair shows that fewer than k others are known to have") {
    TransitionOptions options;
    options.users = 2;
    auto counts = take(TransitionCounts::create(options));
    const Log log{{"u", "a", 1}, {"u", "b", 2}, {"v", "a", 1}, {"v", "b", 2}, {"v", "c", 3}};
    observe_all(counts, log);
    CHECK(pairs_of(take(counts.snapshot())).size() == 1);
    succeed(counts.erase_user("u", events_of(log, "u")));
    CHECK(take(counts.snapshot()).empty());  // v's alone
    CHECK(counts.pairs() == 3);
    observe_all(counts, {{"w", "a", 5}, {"w", "b", 6}});
    CHECK(take(counts.snapshot()).empty());  // w's, as far as anybody can tell
    observe_all(counts, {{"x", "a", 5}, {"x", "b", 6}});
    const auto pairs = pairs_of(take(counts.snapshot()));
    CHECK(pairs.size() == 1);
    CHECK(pairs.at({"a", "b"}).second == 3);
    // A user whose pair has not come from enough users takes the mark along.
    succeed(counts.erase_user("v", events_of(log, "v")));
    CHECK(counts.pairs() == 1);
}

TEST_CASE("an event that is taken back had not been") {
    for (const std::size_t users : {1u, 2u}) {
        TransitionOptions options;
        options.users = users;
        options.window = 4;
        const Log log = make_log(51, 6, 12, 400);
        std::mt19937 random(5);
        for (int round = 0; round < 20; ++round) {
            const std::size_t place = random() % log.size();
            Log rest = log;
            rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(place));
            std::size_t own = 0;
            for (std::size_t e = 0; e < place; ++e) own += log[e].user == log[place].user ? 1 : 0;
            TransitionCounts counts = counted(log, options), expected = counted(rest, options);
            succeed(counts.take_back(log[place].user, events_of(log, log[place].user), own));
            CHECK(counts.events() == expected.events());
            CHECK(counts.pairs() == expected.pairs());
            // What follows has the window that it would have had.
            const Log more{{log[place].user, "new", 2e9}, {"someone", "item 1", 2e9}};
            observe_all(counts, more);
            observe_all(expected, more);
            if (users == 1) {
                CHECK(shown(counts) == shown(expected));
                continue;
            }
            // Pairs that the user has no part in any more may be hidden, and others' shares with them; nothing else.
            SnapshotOptions plain;
            plain.source_power = plain.target_power = 0;
            const auto found = pairs_of(take(counts.snapshot(plain))),
                       wanted = pairs_of(take(expected.snapshot(plain)));
            CHECK(found.size() + 2 * options.window >= wanted.size());
            for (const auto& [pair, value] : found) {
                REQUIRE(wanted.contains(pair));
                CHECK(wanted.at(pair) == value);
            }
        }
    }
    auto counts = take(TransitionCounts::create());
    const Log one{{"u", "a", 1}};
    observe_all(counts, one);
    succeed(counts.take_back("u", events_of(one, "u"), 0));
    CHECK(counts.users() == 0);
    CHECK(counts.events() == 0);
}

TEST_CASE("a session that joins an account goes on from both, and is one user with it") {
    TransitionOptions options;
    options.users = 1;
    options.exponent = 0;
    options.window = 3;
    auto counts = take(TransitionCounts::create(options));
    observe_all(counts, {{"account", "a", 1}, {"account", "b", 2}, {"session", "c", 3}, {"session", "d", 4}});
    succeed(counts.join_users("session", "account"));
    CHECK(counts.users() == 1);
    observe_all(counts, {{"account", "e", 5}});
    const auto pairs = pairs_of(take(counts.snapshot()));
    CHECK(pairs.contains({"b", "e"}));
    CHECK(pairs.contains({"c", "e"}));
    CHECK(pairs.contains({"d", "e"}));
    CHECK_FALSE(pairs.contains({"a", "e"}));
    CHECK_FALSE(pairs.contains({"b", "c"}));
    CHECK(take(counts.observe("account", "e", 5)) == Observed::repeated);
    // To nobody known: the session becomes the account.
    observe_all(counts, {{"second", "x", 1}});
    succeed(counts.join_users("second", "third"));
    succeed(counts.join_users("nobody", "third"));
    succeed(counts.join_users("third", "third"));
    CHECK(counts.users() == 2);
    observe_all(counts, {{"third", "y", 2}});
    CHECK(pairs_of(take(counts.snapshot())).contains({"x", "y"}));

    // With its events the session's marks become the account's: what both did is one user's.
    options.users = 2;
    const Log session{{"session", "a", 1}, {"session", "b", 2}};
    for (const bool told_events : {false, true}) {
        auto marked = take(TransitionCounts::create(options));
        observe_all(marked, session);
        succeed(marked.join_users("session", "account",
                                  told_events ? events_of(session, "session") : std::vector<TimedItem>()));
        observe_all(marked, {{"account", "z", 3}, {"account", "z2", 4}, {"account", "z3", 5}});
        observe_all(marked, {{"account", "a", 6}, {"account", "b", 7}});
        CHECK(pairs_of(take(marked.snapshot())).contains({"a", "b"}) == !told_events);
        observe_all(marked, {{"other", "a", 6}, {"other", "b", 7}});
        CHECK(pairs_of(take(marked.snapshot())).contains({"a", "b"}));
    }
}

TEST_CASE("what fewer than k users did shows in no snapshot, whatever else happens") {
    for (const std::size_t users : {2u, 3u, 5u})
        for (unsigned seed = 0; seed < 4; ++seed) {
            TransitionOptions options;
            options.users = users;
            options.window = 5;
            options.max_pairs = seed % 2 == 0 ? 1u << 20 : 600;
            options.max_users = seed % 2 == 0 ? 1000 : 12;
            Log log = make_log(100 + seed, 20, 40, 1500);
            auto counts = take(TransitionCounts::create(options));
            std::mt19937 random(seed);
            Log kept;
            for (std::size_t e = 0; e < log.size(); ++e) {
                take(counts.observe(log[e].user, log[e].item, log[e].time));
                kept.push_back(log[e]);
                if (random() % 100 == 0) {
                    const std::string user = log[e].user;
                    succeed(counts.erase_user(user, events_of(kept, user)));
                    kept = without(kept, user);
                }
                if (e % 150 != 149) continue;
                const PlainPairs plain = count_plainly(kept, options);
                for (const auto& [pair, value] : pairs_of(take(counts.snapshot()))) {
                    const auto place = plain.find(pair);
                    REQUIRE(place != plain.end());
                    CHECK(place->second.users.size() >= users);
                    CHECK(value.second <= place->second.times);
                }
            }
        }
}

TEST_CASE("a thousand users alone show nothing, and pairs of two users nearly all show") {
    auto counts = take(TransitionCounts::create());
    for (int u = 0; u < 1000; ++u)
        for (int e = 0; e < 4; ++e)
            take(counts.observe("user " + std::to_string(u), std::to_string(u) + "/" + std::to_string(e), e));
    CHECK(counts.pairs() == 6000);
    CHECK(take(counts.snapshot()).empty());
    for (int u = 0; u < 1000; ++u)
        for (int e = 0; e < 4; ++e)
            take(counts.observe("friend " + std::to_string(u), std::to_string(u) + "/" + std::to_string(e), e));
    CHECK(take(counts.snapshot()).pairs() >= 5990);  // two users' marks collide once in 65,534
}

TEST_CASE("a saved state goes on as if nothing had been") {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/state";
    for (const double half_life : {0.0, 5000.0})
        for (const bool tight : {false, true}) {
            TransitionOptions options;
            options.users = 3;
            options.half_life = half_life;
            options.salt = "pepper";
            if (tight) {
                options.max_pairs = 300;
                options.max_users = 20;
                options.max_items = 40;
            }
            const Log log = make_log(61, 40, 80, 4000);
            TransitionCounts counts = take(TransitionCounts::create(options));
            for (std::size_t e = 0; e < log.size(); ++e) {
                take(counts.observe(log[e].user, log[e].item, log[e].time));
                if (e % 500 != 250) continue;
                succeed(counts.save(path));
                TransitionCounts loaded = take(TransitionCounts::load(path, "pepper"));
                CHECK(shown(loaded) == shown(counts));
                CHECK(loaded.events() == counts.events());
                CHECK(loaded.users() == counts.users());
                CHECK(loaded.items() == counts.items());
                CHECK(loaded.newest() == counts.newest());
                const Log rest(log.begin() + static_cast<std::ptrdiff_t>(e) + 1,
                               log.begin() + static_cast<std::ptrdiff_t>(std::min(e + 1500, log.size())));
                TransitionCounts copy = counts;
                observe_all(copy, rest);
                observe_all(loaded, rest);
                CHECK(shown(loaded) == shown(copy));
                CHECK(loaded.pairs() == copy.pairs());
            }
        }
    check_error(TransitionCounts::load(path, "salt"), ErrorCode::mismatch, "another salt");
    check_error(TransitionCounts::load(folder.path() + "/none"), ErrorCode::io);
    check_error(TransitionCounts::load(folder.write("text", "user\titem\n")), ErrorCode::format, "no \"RKTC\" mark");
    check_error(TransitionCounts().save(folder.path() + "/no/where"), ErrorCode::io);
    succeed(TransitionCounts().save(path));
    CHECK(take(TransitionCounts::load(path)).events() == 0);
}

TEST_CASE("a damaged state is refused, and one that was made up is refused or can be used") {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/state";
    TransitionOptions options;
    options.users = 3;
    TransitionCounts counts = counted(make_log(71, 4, 6, 30), options);
    succeed(counts.save(path));
    const std::string bytes = bytes_of_file(path);
    check_damage(bytes, path, [](const std::string& p) { return TransitionCounts::load(p); });
    std::mt19937 random(8);
    const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random()) % limit; };
    int loaded = 0, refused = 0;
    for (int round = 0; round < 6000; ++round) {
        std::string changed = bytes;
        for (std::size_t changes = 1 + below(3); changes > 0; --changes)
            changed[8 + below(bytes.size() - 12)] = static_cast<char>(below(2) == 0 ? random() : 0);
        const std::uint32_t sum = crc32(std::as_bytes(std::span(changed)).first(changed.size() - 4));
        std::memcpy(changed.data() + changed.size() - 4, &sum, 4);
        std::remove(path.c_str());
        auto made_up = TransitionCounts::load(folder.write("state", changed));
        if (!made_up.ok()) {
            ++refused;
            CHECK(made_up.error().message.rfind(path + ": ", 0) == 0);
            continue;
        }
        ++loaded;
        (void)take(made_up->snapshot());
        (void)take(made_up->snapshot({.source_power = 0, .target_power = 0, .smoothing = 0}));
        (void)take(made_up->observe("someone", "something", 2e9));
        (void)take(made_up->observe("user 1", "item 1", 2e9));
        (void)made_up->merge(counts);
        succeed(made_up->erase_user("user 1", {}));
        CHECK(made_up->memory_bytes() < 1000000);
    }
    CHECK(loaded > 100);
    CHECK(refused > 100);
}

TEST_CASE("memory stays below what is stated, whatever comes") {
    TransitionOptions options;
    options.max_pairs = 4000;
    options.max_users = 100;
    options.max_items = 300;
    auto counts = take(TransitionCounts::create(options));
    std::mt19937 random(4);
    std::size_t most = 0;
    for (int e = 0; e < 60000; ++e) {
        // New users and new items all the time.
        const std::string user = "u" + std::to_string(e / 20 + static_cast<int>(random() % 50));
        const std::string item = "i" + std::to_string(e / 50 + static_cast<int>(random() % 200));
        take(counts.observe(user, item, e));
        REQUIRE(counts.pairs() <= options.max_pairs);
        REQUIRE(counts.users() <= options.max_users);
        REQUIRE(counts.items() <= options.max_items);
        if (e % 100 == 0) most = std::max(most, counts.memory_bytes());
    }
    CHECK(counts.pairs() > options.max_pairs / 2);
    CHECK(counts.users() > options.max_users / 2);
    CHECK(counts.items() > options.max_items / 2);
    CHECK(most <= 48 * options.max_pairs + (80 + 8 * options.window) * options.max_users + 300 * options.max_items);
}

TEST_CASE("forgotten are light pairs of too few users first, then light ones; items and users that were idle longest") {
    TransitionOptions options;
    options.max_pairs = 80;
    options.exponent = 0;
    auto counts = take(TransitionCounts::create(options));
    double time = 0;
    // 20 pairs of two users, then a stream of pairs that one user alone has.
    for (int p = 0; p < 20; ++p)
        for (const char* user : {"one", "two"})
            for (const char* item : {"a", "b"})
                take(counts.observe(user + std::to_string(p), item + std::to_string(p), ++time));
    const std::string before = shown(counts);
    CHECK(take(counts.snapshot()).pairs() == 20);
    for (int e = 0; e < 500; ++e) take(counts.observe("robot", "r" + std::to_string(e), ++time));
    CHECK(shown(counts) == before);
    CHECK(counts.pairs() <= 80);
    // Of pairs that show, the light ones go first: these weigh 3, those of before 2.
    for (int p = 0; p < 70; ++p)
        for (const char* user : {"one", "two", "three"})
            for (const char* item : {"x", "y"})
                take(counts.observe(user + std::string("/") + std::to_string(p), item + std::to_string(p), ++time));
    const auto pairs = pairs_of(take(counts.snapshot()));
    CHECK(pairs.size() > 55);
    CHECK_FALSE(pairs.contains({"a0", "b0"}));
    CHECK(pairs.contains({"x69", "y69"}));

    TransitionOptions few;
    few.users = 1;
    few.max_items = 16;
    few.max_users = 8;
    auto idle = take(TransitionCounts::create(few));
    for (int i = 0; i < 16; ++i) take(idle.observe("u" + std::to_string(i % 8), "i" + std::to_string(i), i));
    CHECK(idle.items() == 16);
    take(idle.observe("u0", "i0", 100));   // i0 is met again: i1 and i2 are the oldest now
    take(idle.observe("u0", "new", 101));  // two items go
    CHECK(idle.items() == 15);
    const auto left = pairs_of(take(idle.snapshot()));
    CHECK(left.contains({"i0", "i8"}));
    CHECK_FALSE(left.contains({"i1", "i9"}));
    CHECK_FALSE(left.contains({"i2", "i10"}));
    CHECK(left.contains({"i3", "i11"}));
    CHECK(idle.users() == 8);
    take(idle.observe("fresh", "new", 102));  // of the users u1 was idle longest
    CHECK(idle.users() == 8);
    take(idle.observe("u1", "last", 103));
    CHECK_FALSE(pairs_of(take(idle.snapshot())).contains({"i9", "last"}));
}

TEST_CASE("snapshots have the same bits on every machine") {
    TransitionOptions options;
    options.half_life = 1e5;
    for (const auto& [half_life, expected] : {std::pair(0.0, 339358178u), std::pair(1e5, 1247961841u)}) {
        options.half_life = half_life;
        const std::string text = shown(counted(make_log(81, 30, 50, 5000), options));
        CHECK(crc32(std::as_bytes(std::span(text))) == expected);
    }
}
