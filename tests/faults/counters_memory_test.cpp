// Counters where memory is refused: an event counts wholly or not at all, and what fails changes nothing.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "counting/helpers.hpp"
#include "faults/refuse_each.hpp"
#include "io/temporary_folder.hpp"
#include "ranklet/counting/popularity.hpp"
#include "ranklet/counting/transition_counts.hpp"
#include "ranklet/counting/transitions_file.hpp"

namespace {

using namespace ranklet;
using ranklet_test::refuse_each;
using ranklet_test::take;
using Bytes = ranklet_test::ResultBytes;

}  // namespace

TEST_CASE("counters whose memory is refused say so and have what they had") {
    const ranklet_test::TemporaryFolder folder;
    const std::string path = folder.path() + "/a state's file with a name of some length";
    const std::string table_path = path + ".gguf", popularity_path = path + ".popularity";
    const auto user = [](int n) { return "user " + std::to_string(n); };
    const auto item = [](int n) { return "an item's id, longer than a string's own memory: " + std::to_string(n); };
    TransitionOptions options;
    options.max_pairs = 200;
    options.max_items = 24;
    options.max_users = 12;
    options.half_life = 1000;
    const auto filled = [&](int events) {
        auto counts = take(TransitionCounts::create(options));
        for (int e = 0; e < events; ++e) take(counts.observe(user(e * 7 % 11), item(e * e % 23), e));
        return counts;
    };
    const auto told = [](const TransitionCounts& counts) {
        Bytes bytes;
        const auto table = take(counts.snapshot());
        for (std::size_t r = 0; r < table.size(); ++r) {
            bytes << table.id(r) << table.seen(r);
            for (const float strength : table.row(r).strengths) bytes << strength;
        }
        bytes << counts.events() << counts.pairs() << counts.items() << counts.users();
        return bytes;
    };
    const auto text = [&](const TransitionCounts& counts) { return *Result<std::string>(told(counts)); };
    for (const int events : {0, 3, 60, 400}) {
        CAPTURE(events);
        const TransitionCounts before = filled(events);
        const std::string whole = text(before);
        TransitionCounts counts;
        const auto prepare = [&] { counts = before; };
        // Where a bound is reached, what was forgotten to make room stays forgotten; so does what has faded.
        bool forgets = events == 400;
        const auto unharmed = [&] { return forgets || text(counts) == whole; };
        const std::string new_user = user(100), new_item = item(100), old_user = user(1), other_user = user(2);
        std::vector<std::string> ids;
        std::vector<TimedItem> own;
        for (int e = 0; e < events; ++e)
            if (user(e * 7 % 11) == old_user) ids.push_back(item(e * e % 23));
        for (std::size_t i = 0; i < ids.size(); ++i) own.push_back({ids[i], static_cast<double>(i)});
        const auto change = [&](const char* name, const auto& call) {
            refuse_each(
                name,
                [&]() -> Result<std::string> {
                    RANKLET_TRY(call());
                    return told(counts);
                },
                prepare, unharmed);
        };
        change("observe", [&] { return counts.observe(new_user, new_item, 500); });
        change("observe of someone known", [&] { return counts.observe(old_user, new_item, 500); });
        change("erase_user", [&] { return counts.erase_user(old_user, own); });
        if (!own.empty()) change("take_back", [&] { return counts.take_back(old_user, own, own.size() / 2); });
        change("join_users", [&] { return counts.join_users(old_user, other_user, own); });
        change("join_users with somebody new", [&] { return counts.join_users(old_user, new_user); });
        refuse_each("recent_items", [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const auto recent, before.recent_items(old_user));
            return Bytes() << recent;
        });
        const TransitionCounts more = filled(100);
        change("merge", [&] { return counts.merge(more); });
        forgets = true;
        change("observe much later", [&] { return counts.observe(old_user, new_item, 500000); });
        refuse_each("snapshot", [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const auto table, before.snapshot());
            return Bytes() << table.size() << table.pairs();
        });
        refuse_each("save", [&]() -> Result<std::string> {
            RANKLET_TRY(before.save(path));
            return Bytes();
        });
        refuse_each("load", [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const auto loaded, TransitionCounts::load(path));
            return told(loaded);
        });
        const auto table = take(before.snapshot());
        refuse_each("save_transitions", [&]() -> Result<std::string> {
            RANKLET_TRY(save_transitions(table, table_path));
            return Bytes();
        });
        refuse_each("load_transitions", [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const auto loaded, load_transitions(table_path));
            return Bytes() << loaded.size() << loaded.pairs();
        });
    }
    options.salt = "a salt that is longer than a string's own memory";
    refuse_each("create", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const auto made, TransitionCounts::create(options));
        return Bytes() << made.options().salt;
    });
    PopularityOptions few;
    few.max_items = 30;
    Popularity before = take(Popularity::create(few));
    for (int e = 0; e < 20; ++e) ranklet_test::succeed(before.observe(item(e), e));
    const auto values = [&](const Popularity& counts) {
        Bytes bytes;
        for (int e = 0; e < 21; ++e) bytes << counts.value(item(e), 30);
        return bytes;
    };
    Popularity counts, more = before;
    ranklet_test::succeed(more.observe(item(3), 40));
    const std::string fresh = item(20), old = item(2), whole = *Result<std::string>(values(before));
    const auto change = [&](const char* name, const auto& call) {
        refuse_each(
            name,
            [&]() -> Result<std::string> {
                RANKLET_TRY(call());
                return values(counts);
            },
            [&] { counts = before; },
            [&] { return *Result<std::string>(values(counts)) == whole && counts.newest() == before.newest(); });
    };
    change("observe an item's first event", [&] { return counts.observe(fresh, 20); });
    change("observe", [&] { return counts.observe(old, 20); });
    change("take_back", [&] { return counts.take_back(old, 2); });
    change("merge", [&] { return counts.merge(more); });
    ranklet_test::succeed(before.save(popularity_path));
    refuse_each("save", [&]() -> Result<std::string> {
        RANKLET_TRY(before.save(popularity_path));
        return Bytes();
    });
    refuse_each("load", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const Popularity loaded, Popularity::load(popularity_path));
        return values(loaded);
    });
    refuse_each("log_popularity", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const auto logs, before.log_popularity({&fresh, 1}, 30));
        return Bytes() << logs;
    });
    // Where there are too many, what was forgotten to make room stays forgotten.
    few.max_items = 20;
    before = take(Popularity::create(few));
    for (int e = 0; e < 20; ++e) ranklet_test::succeed(before.observe(item(e), e));
    refuse_each(
        "observe one too many",
        [&]() -> Result<std::string> {
            RANKLET_TRY(counts.observe(fresh, 20));
            return values(counts);
        },
        [&] { counts = before; }, [&] { return counts.value(fresh, 30) == 0 && counts.items() >= 17; });
}
