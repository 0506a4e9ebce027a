// refit: counts that go on night after night give the file that counting everything at once gives, and a file that would be
// worse is refused.
#include "ranklet/fit/refit.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "fit/fit_log.hpp"
#include "ranklet/catalog/file.hpp"
#include "ranklet/fit/fit.hpp"
#include "ranklet/recommender.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Catalog;
using ranklet::ErrorCode;
using ranklet::FitOptions;
using ranklet::FitResult;
using ranklet::GgufFile;
using ranklet::Recommender;
using ranklet::RefitResult;

GgufFile encoder() { return take(GgufFile::open(model_path("tiny-minilm"))); }
GgufFile file_of(const std::vector<std::byte>& model) { return take(GgufFile::from_memory(model, "the running file")); }

// The log's events number `from` to `to` of each user.
WalkLog part_of(const WalkLog& whole, std::size_t from, std::size_t to) {
    WalkLog part(0, whole.ids.size());
    part.users = whole.users;
    for (std::size_t u = 0; u < whole.users.size(); ++u) {
        for (std::size_t e = whole.offsets[u] + from; e < std::min(whole.offsets[u] + to, whole.offsets[u + 1]); ++e) {
            part.item.push_back(whole.item[e]);
            part.time.push_back(whole.time[e]);
            if (!whole.rating.empty()) part.rating.push_back(whole.rating[e]);
        }
        part.offsets.push_back(part.item.size());
    }
    return part;
}
// Times that rise with the place in the history, so that a part of it is a day.
WalkLog by_days(WalkLog log) {
    for (std::size_t u = 0; u < log.users.size(); ++u)
        for (std::size_t e = log.offsets[u]; e < log.offsets[u + 1]; ++e)
            log.time[e] = 1e9 + 86400.0 * static_cast<double>(e - log.offsets[u]) + static_cast<double>(u);
    return log;
}
FitOptions as_it_is() {
    FitOptions options;
    options.choose = false;
    options.most_solved = 0;
    return options;
}
// A day that misleads: everybody jumps about, and goes on around the ring with the last event alone.
WalkLog misleading(const WalkLog& before) {
    WalkLog day(0, before.ids.size());
    day.users = before.users;
    std::uint32_t random = 99;
    const auto n = static_cast<std::uint32_t>(before.ids.size());
    for (std::size_t u = 0; u < day.users.size(); ++u) {
        for (int e = 0; e < 40; ++e) {
            random = random * 1664525u + 1013904223u;
            day.item.push_back((random >> 16) % n);
            day.time.push_back(2e9 + static_cast<double>(e));
        }
        day.item.push_back((day.item.back() + 1) % n);
        day.time.push_back(2e9 + 41);
        day.offsets.push_back(day.item.size());
    }
    return day;
}

}  // namespace

TEST_CASE("two nights of counting are one: the same transitions, the same prior, the same scores") {
    const WalkLog whole = by_days(WalkLog(120, 30)), first = part_of(whole, 0, 3), second = part_of(whole, 3, 7),
                  third = part_of(whole, 7, 8);
    FitResult fitted = take(ranklet::fit(encoder(), whole.items, first.view(), as_it_is()));
    const FitResult at_once = take(ranklet::fit(encoder(), whole.items, whole.view(), as_it_is()));
    std::vector<std::byte> running = fitted.model;
    for (const WalkLog* day : {&second, &third}) {
        const GgufFile file = file_of(running);
        const Recommender model = take(Recommender::from_file(file));
        std::vector<ranklet::Item> all = whole.items;
        all.emplace_back("i29", "");
        const Catalog catalog = take(model.encode_catalog(all));
        std::vector<std::string> stages;
        ranklet::RefitOptions options;
        options.progress = [&](std::string_view stage, std::size_t, std::size_t) { stages.emplace_back(stage); };
        const RefitResult next =
            take(ranklet::refit(file, catalog, day->view(), fitted.counts, fitted.popularity, options));
        CHECK(next.report.events == day->item.size());
        CHECK(next.report.passed_over == 0);
        CHECK(next.report.unknown_items == 0);
        CHECK(next.report.over_running.fitted.cases == 120);
        CHECK(next.report.over_running.fitted.hit_rate > 0.9);
        CHECK(next.report.over_running.fitted.ndcg >= next.report.over_running.running.ndcg);
        if (day == &second) CHECK(next.report.over_running.difference.ndcg > 0.0);
        CHECK(!next.report.over_running.worse);
        CHECK(stages.front() == "counting");
        CHECK(stages.back() == "writing");
        REQUIRE(!next.model.empty());
        running = next.model;
    }
    const Recommender model = take(Recommender::from_memory(running));
    const Recommender expected = take(Recommender::from_memory(at_once.model));
    const ranklet::Signals& found = *model.decoder().signals();
    const ranklet::Signals& wanted = *expected.decoder().signals();
    REQUIRE(found.transitions.size() == 1);
    REQUIRE(found.transitions[0].size() == wanted.transitions[0].size());
    CHECK(std::ranges::equal(found.transitions[0].ids(), wanted.transitions[0].ids()));
    for (std::size_t row = 0; row < found.transitions[0].size(); ++row) {
        CHECK(std::ranges::equal(found.transitions[0].row(row).rows, wanted.transitions[0].row(row).rows));
        CHECK(same_bits(found.transitions[0].row(row).strengths, wanted.transitions[0].row(row).strengths));
    }
    const Catalog catalog = take(model.encode_catalog(whole.items)), other = take(expected.encode_catalog(whole.items));
    auto user = model.new_user(), same = expected.new_user();
    for (const char* id : {"i3", "i4", "i5"}) {
        succeed(user.observe(catalog.at(id)));
        succeed(same.observe(other.at(id)));
    }
    CHECK(same_bits(take(model.scores(user, catalog)), take(expected.scores(same, other))));
    CHECK(fitted.counts.events() == at_once.counts.events());
    CHECK(fitted.popularity.value("i3", 2e9) == at_once.popularity.value("i3", 2e9));
}

TEST_CASE("a file that would rank worse than the one that runs is refused; what was met is counted all the same") {
    const WalkLog log = by_days(WalkLog(200, 30));
    FitResult fitted = take(ranklet::fit(encoder(), log.items, log.view(), as_it_is()));
    const GgufFile file = file_of(fitted.model);
    const Recommender model = take(Recommender::from_file(file));
    const Catalog catalog = take(model.encode_catalog(log.items));
    const WalkLog bad = misleading(log);
    const std::uint64_t before = fitted.counts.events();
    const RefitResult refused = take(ranklet::refit(file, catalog, bad.view(), fitted.counts, fitted.popularity));
    CHECK(refused.report.over_running.worse);
    CHECK(refused.report.over_running.difference.ndcg_high < 0.0);
    CHECK(refused.report.over_running.running.ndcg > refused.report.over_running.fitted.ndcg);
    CHECK(refused.model.empty());
    CHECK(fitted.counts.events() > before + 200 * 30);
    CHECK(fitted.counts.newest() == 2e9 + 41);

    // The same day through fit, beside the file that runs.
    WalkLog whole(0, 30);
    whole.users = log.users;
    whole.items = log.items;
    for (std::size_t u = 0; u < log.users.size(); ++u) {
        for (const WalkLog* part : {&log, &bad})
            for (std::size_t e = part->offsets[u]; e < part->offsets[u + 1]; ++e) {
                whole.item.push_back(part->item[e]);
                whole.time.push_back(part->time[e]);
            }
        whole.offsets.push_back(whole.item.size());
    }
    FitOptions options = as_it_is();
    options.running = &file;
    const FitResult anew = take(ranklet::fit(encoder(), log.items, whole.view(), options));
    CHECK(anew.report.over_running.worse);
    CHECK(anew.report.over_running.fitted.cases == 200);
    CHECK(anew.model.empty());
    CHECK(anew.counts.events() == fitted.counts.events());
    // Nothing of its own log is newer than what a file was counted from: nothing to compare, nothing refused.
    const FitResult again = take(ranklet::fit(encoder(), log.items, log.view(), options));
    CHECK(again.report.over_running.fitted.cases == 0);
    CHECK(!again.report.over_running.worse);
    CHECK(!again.model.empty());
    // Another encoder's file is one to compare with, too, and a decoder that was trained.
    const GgufFile other = take(GgufFile::open(model_path("tiny-dot-product")));
    options.running = &other;
    const FitResult beside = take(ranklet::fit(encoder(), log.items, log.view(), options));
    CHECK(beside.report.over_running.running.cases == 200);
    CHECK(beside.report.over_running.difference.ndcg > 0.3);
    CHECK(!beside.report.over_running.worse);
}

TEST_CASE("what was counted is passed over, dislikes are not counted, items that the catalog lacks are not judged") {
    WalkLog log = by_days(WalkLog(60, 30));
    log.rate([](std::size_t e) { return e % 9 == 8 ? 1.0f : 5.0f; });
    FitOptions options = as_it_is();
    options.dislike_below = 3.0f;
    const WalkLog first = part_of(log, 0, 6);
    FitResult fitted = take(ranklet::fit(encoder(), log.items, first.view(), options));
    const GgufFile file = file_of(fitted.model);
    const Recommender model = take(Recommender::from_file(file));
    const std::vector<ranklet::Item> some(log.items.begin(), log.items.begin() + 25);
    const Catalog catalog = take(model.encode_catalog(some));
    const RefitResult next = take(ranklet::refit(file, catalog, log.view(), fitted.counts, fitted.popularity));
    const WalkLog second = part_of(log, 6, 8);
    const auto dislikes = static_cast<std::size_t>(std::ranges::count(second.rating, 1.0f));
    CHECK(next.report.disliked == dislikes);
    CHECK(next.report.events == second.item.size() - dislikes);
    CHECK(next.report.passed_over == first.item.size());
    CHECK(next.report.unknown_items == 5);
    CHECK(next.report.over_running.fitted.cases < 60);
    CHECK(next.report.over_running.fitted.cases > 30);
    const FitResult at_once = take(ranklet::fit(encoder(), log.items, log.view(), options));
    CHECK(fitted.counts.events() == at_once.counts.events());
    check_error(ranklet::refit(file, catalog, log.view(), fitted.counts, fitted.popularity),
                ErrorCode::invalid_argument, "no event that is newer");
}

TEST_CASE("counters, catalogs and files that do not fit each other are refused, and the counters stay as they were") {
    const WalkLog log = by_days(WalkLog(60, 30)), first = part_of(log, 0, 6), day = part_of(log, 6, 8);
    FitResult fitted = take(ranklet::fit(encoder(), log.items, first.view(), as_it_is()));
    const GgufFile file = file_of(fitted.model);
    const Recommender model = take(Recommender::from_file(file));
    const Catalog catalog = take(model.encode_catalog(log.items));
    ranklet::Popularity& popular = fitted.popularity;
    auto others = take(ranklet::TransitionCounts::create({.window = 3}));
    check_error(ranklet::refit(file, catalog, day.view(), others, popular), ErrorCode::mismatch, "window 10");
    const Recommender stranger = load_model("tiny-dot-product");
    const Catalog strange = take(stranger.encode_catalog(log.items));
    check_error(ranklet::refit(file, strange, day.view(), fitted.counts, popular), ErrorCode::mismatch,
                "another model");
    check_error(ranklet::refit(encoder(), catalog, day.view(), fitted.counts, popular), ErrorCode::unsupported,
                "not made by fit");
    WalkLog back = day;
    std::swap(back.time[0], back.time[1]);
    check_error(ranklet::refit(file, catalog, back.view(), fitted.counts, popular), ErrorCode::invalid_argument,
                "order of time");
    ranklet::FitLog cut = day.view();
    cut.time = cut.time.first(3);
    check_error(ranklet::refit(file, catalog, cut, fitted.counts, popular), ErrorCode::invalid_argument, "3 times");
    ranklet::RefitOptions stopped;
    std::atomic<bool> stop = true;
    stopped.stop = stop;
    check_error(ranklet::refit(file, catalog, day.view(), fitted.counts, popular, stopped), ErrorCode::stopped);
    CHECK(fitted.counts.events() == first.item.size());
    CHECK(fitted.counts.newest() < day.time[0]);
    // Nobody to judge by: counted, and not refused.
    const Catalog nothing = take(model.encode_catalog({}));
    const RefitResult unjudged = take(ranklet::refit(file, nothing, day.view(), fitted.counts, popular));
    CHECK(unjudged.report.over_running.fitted.cases == 0);
    CHECK(!unjudged.model.empty());
}
