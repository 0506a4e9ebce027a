// fit: a small log to a recommender's file, and the measures of a ranking against sums by hand.
#include "ranklet/fit/fit.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "fit/fit_log.hpp"
#include "io/temporary_folder.hpp"
#include "ranklet/catalog/file.hpp"
#include "ranklet/decoders/blend.hpp"
#include "ranklet/recommender.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::ErrorCode;
using ranklet::FitOptions;
using ranklet::FitResult;
using ranklet::GgufFile;
using ranklet::Recommender;

GgufFile encoder(const std::string& name = "tiny-minilm") { return take(GgufFile::open(model_path(name))); }
const ranklet::FitRow& row(const FitResult& result, const std::string& name) {
    const auto found = std::find_if(result.report.rows.begin(), result.report.rows.end(),
                                    [&](const auto& each) { return each.name == name; });
    REQUIRE(found != result.report.rows.end());
    return *found;
}

}  // namespace

TEST_CASE("hit rate, NDCG and ranks are what a sum by hand gives") {
    const std::vector<std::uint32_t> ranks{1, 2, 10, 11, ranklet::no_rank};
    const auto quality = ranklet::quality_of(ranks);
    CHECK(quality.cases == 5);
    CHECK(quality.hit_rate == doctest::Approx(0.6));
    CHECK(quality.ndcg == doctest::Approx((1.0 + 1.0 / std::log2(3.0) + 1.0 / std::log2(11.0)) / 5));
    CHECK(ranklet::quality_of({}).hit_rate == 0.0);
    const std::vector<float> scores{0.5f, 2.0f, 0.5f, -infinity, 1.0f};
    CHECK(ranklet::rank_of(scores, 1) == 1);
    CHECK(ranklet::rank_of(scores, 0) == 3);  // of equal scores the first comes first
    CHECK(ranklet::rank_of(scores, 2) == 4);
    CHECK(ranklet::rank_of(scores, 3) == ranklet::no_rank);
    const std::vector<std::uint32_t> better(200, 1), worse(200, 5);
    const auto difference = ranklet::compare_quality(better, worse);
    CHECK(difference.hit_rate == 0.0);
    CHECK(difference.ndcg == doctest::Approx(1.0 - 1.0 / std::log2(6.0)));
    CHECK(difference.ndcg_low == doctest::Approx(difference.ndcg));
    std::vector<std::uint32_t> mixed(200, 1);
    for (std::size_t i = 0; i < 100; ++i) mixed[i] = 20;
    const auto half = ranklet::compare_quality(better, mixed);
    CHECK(half.hit_rate == doctest::Approx(0.5));
    CHECK(half.hit_rate_low > 0.4);  // 1.96 standard errors are .069
    CHECK(half.hit_rate_low < 0.46);
    CHECK(half.hit_rate_high < 0.6);
    CHECK(half.hit_rate_high > 0.54);
}

TEST_CASE("a log becomes a recommender: by far better than popularity, the same bytes again, catalogs shared") {
    const TemporaryFolder folder;
    const WalkLog log(120, 30);
    FitOptions options;
    options.choose = false;
    const FitResult result = take(ranklet::fit(encoder(), log.items, log.view(), options));
    CHECK(result.report.users == 120);
    CHECK(result.report.items == 31);
    CHECK(result.report.items_without_text == 1);
    CHECK(result.report.items_without_events == 1);
    CHECK(row(result, "transitions").quality.hit_rate > 0.9);
    CHECK(row(result, "blend").quality.cases == 120);
    CHECK(row(result, "random").quality.hit_rate == doctest::Approx(10.0 / 24).epsilon(0.1));
    CHECK(row(result, "blend").different_items > 0.9);
    CHECK(row(result, "popularity").different_items < 0.7);
    options.threads = finely(3);
    CHECK(take(ranklet::fit(encoder(), log.items, log.view(), options)).model == result.model);

    const GgufFile file = take(GgufFile::from_memory(result.model, "fitted"));
    CHECK(file.verify_checksum().ok());
    const Recommender model = take(Recommender::from_file(file));
    REQUIRE(model.as<ranklet::Blend>() != nullptr);
    const Recommender alone = take(Recommender::from_file(encoder()));
    CHECK(model.items_fingerprint() == alone.fingerprint());
    CHECK(model.fingerprint() != alone.fingerprint());

    // What the encoder alone encoded is a catalog of the new model, with the signals of its file.
    const std::string path = folder.path() + "/catalog.gguf";
    succeed(ranklet::save_catalog(take(alone.encode_catalog(log.items)), path));
    const auto loaded = take(model.load_catalog(path));
    const auto encoded = take(model.encode_catalog(log.items));
    auto user = model.new_user("somebody", {.max_events = 4});
    for (const char* id : {"i3", "i4", "i5", "i6", "i7", "i8"}) succeed(user.observe(encoded.at(id)));
    CHECK(same_bits(take(model.scores(user, loaded)), take(model.scores(user, encoded))));
    CHECK(take(model.recommend(user, loaded, {.k = 1, .exclude_seen = true}))[0].id == "i9");
    check_error(load_model("tiny-dot-product").load_catalog(path), ErrorCode::mismatch);

    // The next night's file: another model, and the user goes on.
    const WalkLog more(150, 30);
    const FitResult next = take(ranklet::fit(file, more.items, more.view(), options));
    const Recommender later = take(Recommender::from_memory(next.model));
    CHECK(later.items_fingerprint() == alone.fingerprint());
    check_error(later.load_user(user.save()), ErrorCode::mismatch);
    std::uint64_t passed_over = 0;
    const auto again = take(later.replay_user(user.state(), take(later.load_catalog(path)), &passed_over));
    CHECK(passed_over == 2);
    CHECK(again.state().user == "somebody");
    CHECK(again.state().max_events == 4);
    REQUIRE(again.events().size() == 4);
    CHECK(again.events()[0].id == "i5");
    CHECK(take(later.recommend(again, loaded, {.k = 1, .exclude_seen = true})).size() == 1);
    check_error(Recommender().replay_user(user.state(), loaded), ErrorCode::invalid_argument);
}

TEST_CASE("dislikes are not counted and not predicted, and push away") {
    WalkLog log(100, 20);
    log.rate([](std::size_t event) { return event % 4 == 1 ? 1.0f : 5.0f; });
    FitOptions options;
    options.choose = false;
    options.most_solved = 0;
    options.dislike_below = 3.0f;
    const FitResult result = take(ranklet::fit(encoder(), log.items, log.view(), options));
    const Recommender model = take(Recommender::from_memory(result.model));
    const auto catalog = take(model.encode_catalog(log.items));
    auto liked = model.new_user(), disliked = model.new_user();
    succeed(liked.observe(catalog.at("i3"), 5.0f));
    succeed(disliked.observe(catalog.at("i3"), 1.0f));
    CHECK(take(model.recommend(liked, catalog, {.k = 1, .exclude_seen = true}))[0].id == "i4");
    const auto a = take(model.scores(liked, catalog)), b = take(model.scores(disliked, catalog));
    CHECK(a[3] > b[3]);
    CHECK(a[4] > b[4]);
    CHECK(result.report.transitions.rating.neutral == 3.0f);
    CHECK(result.report.transitions.rating.scale == 0.5f);
}

TEST_CASE(
    "what is judged has been neither counted nor chosen by: an item that only test events have is never foretold") {
    // Everybody's last event is of the item that the test is about, the one before it of the one that is chosen by.
    for (const bool test : {true, false}) {
        CAPTURE(test);
        WalkLog log(100, 40);
        const auto last = static_cast<std::uint32_t>(log.ids.size());
        log.ids.push_back("only the last");
        std::vector<std::uint32_t> item;
        std::vector<std::size_t> offsets{0};
        std::vector<double> time;
        for (std::size_t u = 0; u < log.users.size(); ++u) {
            for (std::size_t e = log.offsets[u]; e < log.offsets[u + 1]; ++e) {
                const bool held = e + (test ? 1 : 2) == log.offsets[u + 1];
                item.push_back(held ? last : log.item[e]);
                time.push_back(log.time[e]);
            }
            offsets.push_back(item.size());
        }
        log.item = item;
        log.offsets = offsets;
        log.time = time;
        FitOptions options;
        options.choose = false;
        const FitResult result = take(ranklet::fit(encoder(), log.items, log.view(), options));
        if (test) {  // nothing that precedes the test events has the item: it is ranked behind what follows anything
            CHECK(row(result, "transitions").quality.hit_rate == 0.0);
            CHECK(row(result, "popularity").quality.hit_rate == 0.0);
            CHECK(row(result, "last item's company").quality.hit_rate == 0.0);
        } else {  // the validation event is one that the test events may know
            CHECK(row(result, "transitions").quality.hit_rate > 0.5);
        }
    }
}

TEST_CASE("choosing tells how far it is, ends when asked, and never does worse than it started on what it chose by") {
    const WalkLog log(80, 25);
    FitOptions options;
    std::size_t told = 0;
    options.progress = [&](std::string_view, std::size_t, std::size_t) { ++told; };
    const FitResult result = take(ranklet::fit(encoder(), log.items, log.view(), options));
    CHECK(told > 20);
    CHECK(row(result, "blend").quality.hit_rate > 0.85);
    CHECK(!result.report.blend.empty());
    options.stop = ranklet::StopToken([] { return true; });
    check_error(ranklet::fit(encoder(), log.items, log.view(), options), ErrorCode::stopped);
    options.stop = {};
    options.deadline = std::chrono::steady_clock::now();
    check_error(ranklet::fit(encoder(), log.items, log.view(), options), ErrorCode::deadline);
}

TEST_CASE("logs that contradict themselves, nobody to judge by, and files without an encoder of texts are refused") {
    const WalkLog log(20, 15);
    const auto refused = [&](const ranklet::FitLog& view, std::string_view part) {
        check_error(ranklet::fit(encoder(), log.items, view), ErrorCode::invalid_argument, part);
    };
    auto view = log.view();
    view.time = view.time.first(3);
    refused(view, "3 times for");
    view = log.view();
    view.offsets = view.offsets.first(2);
    refused(view, "offsets");
    view = log.view();
    view.items = view.items.first(1);
    refused(view, "of item");
    const std::vector<float> few{1.0f};
    view = log.view();
    view.rating = few;
    refused(view, "1 ratings for");
    refused({}, "offsets");
    const std::vector<std::size_t> none{0};
    view = {};
    view.offsets = none;
    refused(view, "three events");
    std::vector<ranklet::Item> twice = log.items;
    twice.push_back(twice.front());
    check_error(ranklet::fit(encoder(), twice, log.view()), ErrorCode::invalid_argument, "is there twice");
    check_error(ranklet::fit(encoder("tiny-items"), log.items, log.view()), ErrorCode::unsupported);
    ranklet::FitOptions options;
    options.dislike_below = 5.0f;
    WalkLog rated(20, 15);
    rated.rate([](std::size_t) { return 5.0f; });
    check_error(ranklet::fit(encoder(), rated.items, rated.view(), options), ErrorCode::invalid_argument,
                "best_rating");
    options = {};
    options.counting.window = 0;
    check_error(ranklet::fit(encoder(), log.items, log.view(), options), ErrorCode::invalid_argument, "window");
}
