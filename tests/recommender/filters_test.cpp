// Filters, caps, diversity and single candidates through whole models.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/recommender.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Attribute;
using ranklet::Catalog;
using ranklet::Condition;
using ranklet::ErrorCode;
using ranklet::Filter;
using ranklet::GroupCap;
using ranklet::Recommender;
using ranklet::RecommendOptions;
using Ids = std::vector<std::string_view>;

/// The catalog's items with a colour (every third has none) and a price.
Catalog with_attributes(const Recommender& model, std::size_t n) {
    Items given(n);
    std::vector<std::vector<Attribute>> attributes(n);
    static constexpr std::string_view colours[] = {"red", "blue", "green", "black"};
    for (std::size_t i = 0; i < n; ++i) {
        if (i % 3 != 0) attributes[i].push_back({"colour", colours[i * 7 % 4]});
        attributes[i].push_back({"price", static_cast<double>(i)});
        given.items[i].attributes = attributes[i];
    }
    return take(model.encode_catalog(given.items));
}

}  // namespace

TEST_CASE(
    "a filter leaves what an allow list of the same items leaves, bit for bit, also together with other filters") {
    for (const std::string name : text_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = with_attributes(model, 50);
        const auto user = make_user(model, catalog);
        const Filter filter = take(
            Filter::create(catalog, Condition::equals("colour", "blue") || Condition::in_range("price", 10.0, 20.0)));
        Ids allow;
        for (std::size_t i = 0; i < 50; ++i)
            if ((i % 3 != 0 && i * 7 % 4 == 1) || (i >= 10 && i <= 20)) allow.push_back(catalog[i].id());
        REQUIRE(filter.count() == allow.size());
        const Ids deny{catalog[1].id(), catalog[12].id()};
        for (const bool more : {false, true}) {
            RecommendOptions by_filter, by_list;
            by_filter.k = by_list.k = 100;
            by_filter.filter = &filter;
            by_list.allow = allow;
            if (more) {
                by_filter.deny = by_list.deny = deny;
                by_filter.exclude_seen = by_list.exclude_seen = true;
            }
            const auto a = take(model.recommend(user, catalog, by_filter));
            const auto b = take(model.recommend(user, catalog, by_list));
            CHECK((more || a.size() == allow.size()));
            REQUIRE(a.size() == b.size());
            for (std::size_t i = 0; i < a.size(); ++i) {
                CHECK(a[i].index == b[i].index);
                CHECK(bits(a[i].score) == bits(b[i].score));
                CHECK(bits(a[i].probability) == bits(b[i].probability));
            }
        }
    }
}

TEST_CASE("a filter of another snapshot is refused, even of the same items") {
    const Recommender model = load_model("tiny-dot-product");
    const Catalog catalog = with_attributes(model, 20), twin = with_attributes(model, 20);
    const Filter filter = Filter::from_ids(twin, {});
    RecommendOptions options;
    options.filter = &filter;
    check_error(model.recommend(model.new_user(), catalog, options), ErrorCode::mismatch, "another catalog snapshot");
    CHECK(take(model.recommend(model.new_user(), twin, options)).empty());
}

TEST_CASE("an attribute that does not fit is an error naming the item") {
    const Recommender model = load_model("tiny-dot-product");
    const std::vector<Attribute> number{{"price", 1.0}}, text{{"price", "cheap"}};
    const std::vector<ranklet::Item> items{{"a", "x", number}, {"b", "y", text}};
    check_error(model.encode_catalog(items), ErrorCode::invalid_argument,
                "item \"b\": attribute \"price\" was given before as number");
}

TEST_CASE("caps hold in every scoring; diversity needs item vectors, which text_gru does not keep") {
    for (const std::string name : text_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = with_attributes(model, 50);
        const auto user = make_user(model, catalog);
        const std::vector<GroupCap> caps{{"colour", 1}};
        RecommendOptions options;
        options.k = 50;
        options.caps = caps;
        const auto ranked = take(model.recommend(user, catalog, options));
        CHECK(ranked.size() == 17 + 4);  // those without a colour, and one of each colour
        for (std::size_t i = 1; i < ranked.size(); ++i) CHECK(ranked[i - 1].score >= ranked[i].score);
        options.diversity.lambda = 0.5f;
        auto diverse = model.recommend(user, catalog, options);
        if (catalog.data().vectors.empty())
            check_error(diverse, ErrorCode::unsupported, "text_gru");
        else
            CHECK(take(std::move(diverse)).size() == ranked.size());
        options.temperature = -1.0f;
        check_error(model.recommend(user, catalog, options), ErrorCode::invalid_argument, "temperature");
    }
}

TEST_CASE("scores of given candidates have the bits that they have among all others, in every scoring") {
    for (const std::string name : model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model, 70);
        for (const std::size_t events : {0u, 4u})
            for (const auto initial : {ranklet::InitialState::user, ranklet::InitialState::zero}) {
                const auto user = make_user(model, catalog, events);
                const ranklet::ScoreOptions options{.initial_state = initial};
                const auto all = take(model.scores(user, catalog, options));
                const std::size_t last = catalog.size() - 1;
                const std::vector<std::size_t> some{last, 3, 0, 3, 7};
                const auto found = take(model.scores_of(user, catalog, some, options));
                REQUIRE(found.size() == some.size());
                for (std::size_t c = 0; c < some.size(); ++c) CHECK(bits(found[c]) == bits(all[some[c]]));
                const Ids ids{catalog[5].id(), catalog[last].id()};
                const auto by_id = take(model.scores_of(user, catalog, ids, options));
                REQUIRE(by_id.size() == 2);
                CHECK(bits(by_id[0]) == bits(all[5]));
                CHECK(bits(by_id[1]) == bits(all[last]));
                CHECK(take(model.scores_of(user, catalog, Ids{}, options)).empty());
                std::vector<std::size_t> every(catalog.size());
                for (std::size_t i = 0; i < every.size(); ++i) every[i] = i;
                const auto again = take(model.scores_of(user, catalog, every, options));
                CHECK(std::equal(again.begin(), again.end(), all.begin(), all.end(),
                                 [](float a, float b) { return bits(a) == bits(b); }));
            }
        const auto user = model.new_user();
        check_error(model.scores_of(user, catalog, std::vector<std::size_t>{0, catalog.size()}),
                    ErrorCode::invalid_argument, "candidate 1 is item");
        check_error(model.scores_of(user, catalog, Ids{"stranger"}), ErrorCode::missing, "\"stranger\"");
        check_error(model.scores_of(load_model("tiny-dot-plain").new_user(), catalog, Ids{}), ErrorCode::mismatch);
    }
}
