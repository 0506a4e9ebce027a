// What somebody new tries first: items of temporary strings, texts as they come, a bounded history, odd numbers.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/catalog/file.hpp"
#include "ranklet/explain/explain.hpp"
#include "ranklet/recommender.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Catalog;
using ranklet::ErrorCode;
using ranklet::Item;
using ranklet::Recommender;
using ranklet::UserOptions;

std::string text_of(std::size_t i) { return "a red phone and " + std::to_string(i) + " small books of the boat"; }

std::vector<Item> temporary_items(std::size_t n) {
    std::vector<Item> items;
    for (std::size_t i = 0; i < n; ++i) {
        const std::string brand = "a brand whose name is on the heap " + std::to_string(i % 3);
        items.push_back({"an id that is on the heap: " + std::to_string(i),
                         text_of(i),
                         {{"brand", brand + "!"}, {"price", static_cast<int>(i)}, {"tags", {brand, "new"}}}});
    }
    return items;
}

std::vector<std::string> ids_of(const ranklet::Ranking& ranking) {
    std::vector<std::string> ids;
    for (const auto& r : ranking) ids.emplace_back(r.id);
    return ids;
}

}  // namespace

TEST_CASE("items keep what they are made of: temporary strings, attributes and vectors") {
    const std::vector<Item> items = temporary_items(5);
    CHECK(items[3].id == "an id that is on the heap: 3");
    CHECK(items[3].text == text_of(3));
    REQUIRE(items[3].attributes.size() == 3);
    CHECK(items[3].attributes[0].text == "a brand whose name is on the heap 0!");
    CHECK(items[3].attributes[1].type == ranklet::AttributeType::number);
    CHECK(items[3].attributes[1].number == 3.0);
    CHECK(items[3].attributes[2].tags == std::vector<std::string>{"a brand whose name is on the heap 0", "new"});
    const Item pictured{"a", "b", {}, std::vector<ranklet::ItemVector>{{"image", std::vector<float>{1.0f, 2.0f}}}};
    REQUIRE(pictured.vectors.size() == 1);
    CHECK(pictured.vectors[0].name == "image");
    CHECK(pictured.vectors[0].values == std::vector<float>{1.0f, 2.0f});

    const Recommender model = load_model("tiny-dot-product");
    const Catalog catalog = take(model.encode_catalog(items));
    CHECK(catalog[4].id() == "an id that is on the heap: 4");
    CHECK(take(ranklet::Filter::create(catalog, ranklet::Condition::at_least("price", 3.0))).count() == 2);
    const auto vector = take(model.encode(text_of(4)));
    CHECK(std::equal(vector.begin(), vector.end(), catalog[4].vector().begin()));
}

TEST_CASE("an encoder takes texts as strings, views, C strings and braced lists, with the same bits") {
    const Recommender model = load_model("tiny-dot-product");
    const auto& bert = *model.as<ranklet::Bert>();
    const std::vector<std::string> strings{"red phone", "手机壳", "", "small boat"};
    const std::vector<std::string_view> views(strings.begin(), strings.end());
    const std::array literals{"red phone", "手机壳", "", "small boat"};
    const ranklet::Matrix of_views = take(bert.encode(views));
    REQUIRE(of_views.rows() == 4);
    const auto same = [&](const ranklet::Matrix& other) {
        for (std::size_t r = 0; r < 4; ++r)
            if (!std::equal(of_views.row(r).begin(), of_views.row(r).end(), other.row(r).begin())) return false;
        return other.rows() == 4;
    };
    CHECK(same(take(bert.encode(strings))));
    CHECK(same(take(bert.encode(literals))));
    CHECK(same(take(bert.encode({"red phone", "手机壳", "", "small boat"}))));
    const auto one = take(bert.encode("手机壳"));
    CHECK(std::equal(one.begin(), one.end(), of_views.row(1).begin()));
    std::vector<ranklet::Encoding> encodings(4), again(4);
    succeed(bert.tokenizer().encode_batch(strings, {}, encodings));
    succeed(bert.tokenizer().encode_batch(literals, {}, again));
    for (std::size_t i = 0; i < 4; ++i) CHECK(encodings[i].ids == again[i].ids);
    check_error(bert.encode(std::vector<std::string>{"good", "\xFF"}), ErrorCode::invalid_text, "text 1");
}

TEST_CASE("a catalog that keeps texts gives them with recommendations, through files and updates") {
    for (const std::string name : text_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const std::vector<Item> items = temporary_items(12);
        const Catalog plain = take(model.encode_catalog(items)),
                      catalog = take(model.encode_catalog(items, {.keep_texts = true}));
        const auto user = model.new_user();
        const auto ranked = take(model.recommend(user, catalog));
        REQUIRE(ranked.size() == 10);
        for (const auto& r : ranked) CHECK(r.text == items[r.index].text);
        CHECK(ranked[0].text.data() == catalog.data().texts[ranked[0].index].data());  // a view into the catalog
        const auto without = take(model.recommend(user, plain));
        CHECK(ids_of(without) == ids_of(ranked));
        for (const auto& r : without) CHECK(r.text.empty());
        CHECK(plain[2].text().empty());

        const auto bytes = take(ranklet::catalog_bytes(catalog.data()));
        const auto file = take(ranklet::GgufFile::from_memory(bytes, "catalog"));
        const Catalog loaded = take(ranklet::load_catalog(file, model.fingerprint()));
        CHECK(loaded.data().texts == catalog.data().texts);
        CHECK(take(ranklet::catalog_bytes(loaded.data())) == bytes);
        CHECK(take(ranklet::catalog_bytes(plain.data())).size() < bytes.size());

        const std::vector<Item> add{{"new", "a new boat"}}, replace{{items[1].id, "another phone"}};
        const std::vector<std::string_view> remove{items[0].id};
        const Catalog updated = take(update_catalog(model, loaded, {.add = add, .replace = replace, .remove = remove}));
        REQUIRE(updated.size() == 12);
        CHECK(updated[0].text() == "another phone");
        CHECK(updated[1].text() == text_of(2));
        CHECK(updated[11].text() == "a new boat");
        const Catalog fewer = take(update_catalog(model, catalog, {.remove = remove}));
        CHECK(fewer[10].text() == text_of(11));
        CHECK(take(update_catalog(model, plain, {.add = add}, {.keep_texts = true})).data().texts.empty());
        CHECK(
            take(update_catalog(model, take(model.encode_catalog({})), {.add = add}, {.keep_texts = true}))[0].text() ==
            "a new boat");
    }
}

TEST_CASE("texts that do not fit a catalog's items are refused") {
    ranklet::CatalogData data;
    data.ids = {"a", "b"};
    data.texts = {"one"};
    check_error(Catalog::create(std::move(data)), ErrorCode::invalid_argument, "one row for each item");
}

TEST_CASE("a limit on remembered events leaves scores as they are; what looks at ids sees the last ones") {
    for (const std::string name : any_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model);
        auto all = model.new_user(), some = model.new_user({}, {.max_events = 3}),
             none = model.new_user({}, {.max_events = 0});
        for (std::size_t e = 0; e < 8; ++e)
            for (auto* user : {&all, &some, &none}) succeed(user->observe(catalog[e]));
        CHECK(all.events().size() == 8);
        REQUIRE(some.events().size() == 3);
        CHECK(none.events().empty());
        for (std::size_t e = 0; e < 3; ++e) CHECK(some.events()[e].id == catalog[5 + e].id());
        CHECK(some.state().forgotten == 5);
        CHECK(none.state().forgotten == 8);
        const auto scores = take(model.scores(all, catalog));
        CHECK(take(model.scores(some, catalog)) == scores);
        CHECK(take(model.scores(none, catalog)) == scores);

        const ranklet::RecommendOptions unseen{.k = 1000, .exclude_seen = true};
        CHECK(take(model.recommend(all, catalog, unseen)).size() == catalog.size() - 8);
        CHECK(take(model.recommend(some, catalog, unseen)).size() == catalog.size() - 3);
        CHECK(take(model.recommend(none, catalog, unseen)).size() == catalog.size());

        // The limit is saved, goes on after loading, and explaining says why it cannot.
        const auto bytes = some.save();
        CHECK(bytes[4] == std::byte{3});
        auto loaded = take(model.load_user(bytes));
        CHECK(loaded.save() == bytes);
        succeed(loaded.observe(catalog[9]));
        REQUIRE(loaded.events().size() == 3);
        CHECK(loaded.events()[0].id == catalog[6].id());
        CHECK(loaded.state().forgotten == 6);
        auto replayed = model.new_user();
        for (std::size_t e = 5; e < 8; ++e) succeed(replayed.observe(catalog[e]));
        float apart = 0.0f;
        for (std::size_t h = 0; h < replayed.state().hidden.size(); ++h)
            apart = std::max(apart, std::abs(replayed.state().hidden[h] - some.state().hidden[h]));
        const auto explained = explain_events(model, some, catalog, catalog[0].id());
        if (apart > 1e-3f || !explained.ok())
            check_error(explained, ErrorCode::unsupported, "has met 5 events that it does not remember");
        else  // a GRU over all tokens of texts: what it has forgotten itself is missed by nobody
            CHECK((name.starts_with("tiny-text-gru") && explained->size() == 3));
        auto fits = model.new_user({}, {.max_events = 3});
        for (std::size_t e = 0; e < 3; ++e) succeed(fits.observe(catalog[e]));
        CHECK(take(explain_events(model, fits, catalog, catalog[0].id())).size() == 3);  // nothing forgotten yet
        some.reset();
        CHECK(some.state().forgotten == 0);
        CHECK(some.state().max_events == 3);
        CHECK(all.save()[4] < std::byte{3});  // without a limit the bytes are those of before

        // A limit for a user of before: on the state, before it is loaded.
        auto state = take(ranklet::UserState::load(all.save()));
        state.max_events = 2;
        const auto cut = take(model.load_user(state));
        REQUIRE(cut.events().size() == 2);
        CHECK(cut.events()[1].id == catalog[7].id());
        CHECK(take(model.scores(cut, catalog)) == scores);
    }
}

TEST_CASE("k = 0 is an empty list, and absurd ratings have a value or are an error that leaves the user as before") {
    const Recommender model = take(Recommender::load("examples/models/demo-shop.gguf"));  // embeddings of 1 to 5
    const std::vector<Item> items{{"phone", "red phone"}, {"boat", "small boat"}};
    const Catalog catalog = take(model.encode_catalog(items));
    auto user = model.new_user();
    CHECK(take(model.recommend(user, catalog, {.k = 0})).empty());
    CHECK(take(model.recommend(user, catalog, {.k = std::numeric_limits<std::size_t>::max()})).size() == 2);
    succeed(user.observe(catalog.at("phone"), 4.0f));
    const auto before = user.save();
    for (const float rating : {infinity, -infinity})
        check_error(user.observe(catalog.at("boat"), rating), ErrorCode::invalid_argument, "must not be infinite");
    check_error(user.observe_text("boat", infinity), ErrorCode::invalid_argument, "must not be infinite");
    CHECK(user.save() == before);
    // The nearest value counts, beyond the range its end; NaN is an event without a rating.
    const auto state_after = [&](float rating) {
        auto next = take(model.load_user(before));
        succeed(next.observe(catalog.at("boat"), rating));
        CHECK(next.events().size() == 2);
        return next.state().hidden;
    };
    const auto five = state_after(5.0f), one = state_after(1.0f), unrated = state_after(ranklet::no_rating);
    for (const float rating : {4.8f, 5.5f, 80.0f, 1e30f}) CHECK(state_after(rating) == five);
    for (const float rating : {1.2f, 0.0f, -7.0f, -1e30f}) CHECK(state_after(rating) == one);
    CHECK(state_after(std::numeric_limits<float>::quiet_NaN()) == unrated);
    CHECK(five != one);
    CHECK(five != unrated);
}
