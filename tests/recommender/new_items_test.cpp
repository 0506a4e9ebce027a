// Places that are kept for new items, and items that come back after a time.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/catalog/signals.hpp"
#include "ranklet/catalog/update.hpp"
#include "ranklet/counting/transition_counts.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Catalog;
using ranklet::ErrorCode;
using ranklet::Filter;
using ranklet::Item;
using ranklet::Recommender;
using ranklet::RecommendOptions;

std::string known(int i) { return "known " + std::to_string(i); }
bool is_new(std::string_view id) { return id.starts_with("new"); }

struct Shop {
    Recommender model;
    std::vector<Item> items;
    Catalog catalog;

    // 30 items that people met, one after the other, and 10 that nobody did.
    Shop() {
        ranklet::LoadOptions options;
        options.blend = {{"history", 1.0f}, {"transitions", 1.0f}, {"prior", 0.1f}};
        model = take(Recommender::load(model_path("tiny-minilm"), options));
        auto counts = take(ranklet::TransitionCounts::create());
        ranklet::Prior prior;
        for (int i = 0; i < 30; ++i) {
            items.emplace_back(known(i), "a lamp of kind " + std::to_string(i),
                               std::vector<ranklet::Attribute>{{"brand", i % 2 == 0 ? "odd" : "even"}});
            prior.ids.push_back(known(i));
            prior.values.push_back(std::log(31.0f - static_cast<float>(i)));
        }
        for (int i = 0; i < 10; ++i)
            items.emplace_back("new " + std::to_string(i), "a chair of kind " + std::to_string(i),
                               std::vector<ranklet::Attribute>{{"brand", "young"}});
        for (const char* user : {"one", "two", "three"})
            for (int i = 0; i < 30; ++i) take(counts.observe(user, known(i), i));
        ranklet::Signals signals;
        signals.transitions = {take(counts.snapshot())};
        signals.prior = std::make_shared<const ranklet::Prior>(prior);
        catalog = take(take(model.encode_catalog(items)).with(signals));
    }
    Recommender::User user(std::vector<int> met = {3, 4, 5}) const {
        auto made = model.new_user();
        for (const int i : met) succeed(made.observe(catalog.at(known(i))));
        return made;
    }
    std::vector<std::string> list(const Recommender::User& of, const RecommendOptions& options) const {
        std::vector<std::string> ids;
        for (const auto& each : take(model.recommend(of, catalog, options))) ids.emplace_back(each.id);
        return ids;
    }
};
std::vector<std::string> those(const std::vector<std::string>& ids, bool young) {
    std::vector<std::string> some;
    std::copy_if(ids.begin(), ids.end(), std::back_inserter(some), [&](const auto& id) { return is_new(id) == young; });
    return some;
}
RecommendOptions with_share(float share, std::uint64_t seed = 1, std::size_t k = 10) {
    RecommendOptions options;
    options.k = k;
    options.new_items.share = share;
    options.new_items.seed = seed;
    return options;
}

}  // namespace

TEST_CASE("new items have their share of places, the best of them; the others stay in order, the last make room") {
    const Shop shop;
    const auto user = shop.user();
    const auto plain = shop.list(user, with_share(0.0f));
    CHECK(those(plain, true).empty());  // they live from their text alone, and it is of something else
    // The new ones by score.
    RecommendOptions all = with_share(0.0f, 1, 40);
    const auto young = those(shop.list(user, all), true);
    REQUIRE(young.size() == 10);
    for (const float share : {0.1f, 0.3f, 0.5f, 1.0f}) {
        const auto found = shop.list(user, with_share(share));
        const auto count = static_cast<std::size_t>(std::lround(share * 10));
        REQUIRE(found.size() == 10);
        CHECK(those(found, true) == std::vector<std::string>(young.begin(), young.begin() + static_cast<long>(count)));
        CHECK(those(found, false) == std::vector<std::string>(plain.begin(), plain.end() - static_cast<long>(count)));
        CHECK(shop.list(user, with_share(share)) == found);
    }
    // Scores and probabilities are what they were.
    const auto mixed = take(shop.model.recommend(user, shop.catalog, with_share(0.3f)));
    const auto whole = take(shop.model.recommend(user, shop.catalog, all));
    for (const auto& each : mixed) {
        const auto same = std::find_if(whole.begin(), whole.end(), [&](const auto& r) { return r.id == each.id; });
        REQUIRE(same != whole.end());
        CHECK(same->score == each.score);
        CHECK(same->probability == each.probability);
    }
    // The seed draws the places: over many, each is met.
    std::set<std::size_t> places;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        const auto found = shop.list(user, with_share(0.1f, seed));
        places.insert(static_cast<std::size_t>(std::find_if(found.begin(), found.end(), is_new) - found.begin()));
    }
    CHECK(places.size() == 10);
}

TEST_CASE("for somebody without events the seed draws which new items: over many all of them are shown") {
    const Shop shop;
    const auto nobody = shop.model.new_user();
    CHECK(those(shop.list(nobody, with_share(0.0f)), false).size() == 10);
    std::set<std::string> shown;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        const auto found = shop.list(nobody, with_share(0.2f, seed));
        REQUIRE(found.size() == 10);
        const auto young = those(found, true);
        REQUIRE(young.size() == 2);
        shown.insert(young.begin(), young.end());
        CHECK(those(found, false)[0] == known(0));  // the prior's best
    }
    CHECK(shown.size() == 10);
}

TEST_CASE("somebody without events gets a list from every way of ranking: by the prior, else in the catalog's order") {
    const Shop shop;
    std::vector<std::string> in_order,
        by_prior;  // those with a prior stand first in the catalog, the best of them first
    for (std::size_t i = 0; i < shop.catalog.size(); ++i) in_order.emplace_back(shop.catalog[i].id());
    by_prior = in_order;
    std::reverse(by_prior.begin(), by_prior.begin() + 30);
    ranklet::Prior prior = *shop.catalog.signals()->signals.prior;
    std::reverse(prior.ids.begin(), prior.ids.end());
    for (int i = 0; i < 30; ++i) prior.ids[static_cast<std::size_t>(i)] = known(29 - i);
    ranklet::Signals signals = shop.catalog.signals()->signals;
    signals.prior = std::make_shared<const ranklet::Prior>(prior);

    using Blend = std::vector<ranklet::BlendPart>;
    for (const Blend& blend :
         {Blend{}, Blend{{"history", 1.0f}}, Blend{{"transitions", 1.0f}}, Blend{{"prior", 1.0f}},
          Blend{{"history", 1.0f}, {"transitions", 1.0f}}, Blend{{"history", 1.0f}, {"prior", 0.1f}},
          Blend{{"history", 1.0f}, {"transitions", 1.0f}, {"prior", 0.1f}}}) {
        std::string parts;
        for (const auto& part : blend) parts += part.type + " ";
        CAPTURE(parts);
        const bool popular = !blend.empty() && blend.back().type == "prior";
        for (const std::uint32_t power : {0u, 3u}) {
            ranklet::LoadOptions load;
            load.blend = blend;
            load.history = ranklet::HistoryOptions{.power = power};
            const Recommender model = take(Recommender::load(model_path("tiny-minilm"), load));
            const Catalog catalog = take(take(model.encode_catalog(shop.items)).with(signals));
            for (const bool seen : {false, true}) {
                const auto list = take(model.recommend(model.new_user(), catalog, {.k = 40, .exclude_seen = seen}));
                std::vector<std::string> ids;
                float sum = 0.0f;
                for (const auto& each : list) {
                    ids.emplace_back(each.id);
                    CHECK(std::isfinite(each.score));
                    CHECK(each.probability > 0.0f);
                    sum += each.probability;
                }
                CHECK(ids == (popular ? by_prior : in_order));
                CHECK(std::abs(sum - 1.0f) < 1e-5f);
            }
        }
    }
}

TEST_CASE("an item has neighbours from its text the moment it is added, by text alone and in a blend") {
    const Shop shop;
    const Recommender alone = load_model("tiny-minilm");
    const std::vector<Item> fresh{{"fresh", "a lamp of kind 7"}};
    for (const Recommender& model : {shop.model, alone}) {
        const Catalog grown = take(ranklet::update_catalog(model, shop.catalog, {.add = fresh}));
        CHECK(grown.signals()->rows[0].back() == ranklet::BoundSignals::no_row);  // nobody has met it
        const auto beside = take(model.similar("fresh", grown, {.k = 3}));
        REQUIRE(beside.size() == 3);
        CHECK(beside[0].id == known(7));
        CHECK(beside[0].score > beside[1].score);
        // And it is a neighbour itself.
        const auto back = take(alone.similar(known(7), grown, {.k = 1}));
        CHECK(back.items[0].id == "fresh");
    }
}

TEST_CASE("fewer new items than places, filters, caps and lists that are not full") {
    const Shop shop;
    const auto user = shop.user();
    RecommendOptions options = with_share(1.0f, 3, 20);
    CHECK(those(shop.list(user, options), true).size() == 10);
    CHECK(those(shop.list(user, options), false).size() == 10);
    // What the filters leave out is not put in.
    const std::vector<std::string_view> deny{"new 0", "new 1", "new 2", "new 3", "new 4", "new 5", "new 6", "new 7"};
    options.deny = deny;
    CHECK(those(shop.list(user, options), true).size() == 2);
    CHECK(shop.list(user, options).size() == 20);
    options.deny = {};
    // Caps hold for them, and for what comes back in their place.
    const std::vector<ranklet::GroupCap> caps{{"brand", 3}};
    options = with_share(0.5f, 3, 9);
    options.caps = caps;
    const auto capped = shop.list(user, options);
    CHECK(capped.size() == 9);
    CHECK(those(capped, true).size() == 3);
    // A list longer than there are candidates has room without anybody leaving.
    options = with_share(0.5f, 3, 1000);
    CHECK(shop.list(user, options).size() == 40);
    // New is what the caller says.
    const std::string_view last[] = {"known 29", "known 28"};
    const Filter filter = Filter::from_ids(shop.catalog, last);
    options = with_share(0.2f);
    options.new_items.items = &filter;
    const auto found = shop.list(user, options);
    CHECK(std::count_if(found.begin(), found.end(),
                        [](const auto& id) { return id == known(29) || id == known(28); }) == 2);
    CHECK(those(found, true).empty());
    // With diversity the list is the chosen one's.
    options = with_share(0.2f);
    options.diversity.lambda = 0.5f;
    CHECK(those(shop.list(user, options), true).size() >= 2);
}

TEST_CASE("shares out of range, and new items that nothing tells apart, are errors") {
    const Shop shop;
    const auto user = shop.user();
    for (const float share : {-0.1f, 1.1f, quiet_nan})
        check_error(shop.model.recommend(user, shop.catalog, with_share(share)), ErrorCode::invalid_argument, "share");
    const Recommender alone = load_model("tiny-minilm");
    const std::vector<Item> items{{"a", "a lamp"}, {"b", "a chair"}};
    const Catalog plain = take(alone.encode_catalog(items));
    check_error(alone.recommend(alone.new_user(), plain, with_share(0.5f)), ErrorCode::unsupported, "Catalog::with");
    const std::string_view b[] = {"b"};
    const Filter of_other = Filter::from_ids(plain, b);
    RecommendOptions options = with_share(0.5f);
    options.new_items.items = &of_other;
    check_error(shop.model.recommend(user, shop.catalog, options), ErrorCode::mismatch, "another catalog");
    options.k = 2;
    CHECK(take(alone.recommend(alone.new_user(), plain, options)).size() == 2);
    CHECK(take(alone.recommend(alone.new_user(), take(alone.encode_catalog({})), with_share(0.5f))).empty());
}

TEST_CASE("what was met comes back after a stated time; without times, or when it was met again, it does not") {
    const Shop shop;
    auto user = shop.model.new_user();
    constexpr double day = 86400.0, now = 1.7e9;
    succeed(user.observe(shop.catalog.at(known(3)), ranklet::no_rating, now - 40 * day));
    succeed(user.observe(shop.catalog.at(known(4)), ranklet::no_rating, now - 40 * day));
    succeed(user.observe(shop.catalog.at(known(4)), ranklet::no_rating, now - 2 * day));
    succeed(user.observe(shop.catalog.at(known(5))));
    RecommendOptions options;
    options.k = 40;
    options.exclude_seen = true;
    const auto has = [&](const Recommender::User& of, int i) {
        const auto found = shop.list(of, options);
        return std::find(found.begin(), found.end(), known(i)) != found.end();
    };
    CHECK(!has(user, 3));
    options.seen_again_after = 30 * day;
    check_error(shop.model.recommend(user, shop.catalog, options), ErrorCode::invalid_argument, "now");
    options.now = now;
    CHECK(has(user, 3));
    CHECK(!has(user, 4));
    CHECK(!has(user, 5));
    options.now = now + 40 * day;
    CHECK(has(user, 4));
    CHECK(!has(user, 5));
    // Times are part of what is saved, and of what is replayed; they do not move a score.
    const auto loaded = take(shop.model.load_user(user.save()));
    CHECK(has(loaded, 4));
    CHECK(!has(loaded, 5));
    CHECK(loaded.save() == user.save());
    const auto replayed = take(shop.model.replay_user(user.state(), shop.catalog));
    CHECK(replayed.events()[0].time == now - 40 * day);
    CHECK(same_bits(take(shop.model.scores(user, shop.catalog)),
                    take(shop.model.scores(shop.user({3, 4, 4, 5}), shop.catalog))));
    options.seen_again_after = quiet_nan;
    check_error(shop.model.recommend(user, shop.catalog, options), ErrorCode::invalid_argument, "seen_again_after");
    const auto before = user.save();
    check_error(user.observe(shop.catalog.at(known(6)), 1.0f, std::numeric_limits<double>::infinity()),
                ErrorCode::invalid_argument, "time");
    CHECK(user.save() == before);
}
