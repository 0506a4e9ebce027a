// Catalog updates against encoding everything from scratch.
#include "ranklet/catalog/update.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "recommender/catalogs.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Attribute;
using ranklet::Catalog;
using ranklet::CatalogChanges;
using ranklet::ErrorCode;
using ranklet::Item;
using ranklet::Recommender;
using ranklet::update_catalog;
using Ids = std::vector<std::string_view>;

}  // namespace

TEST_CASE("an updated catalog is, bit for bit, the one encoded from scratch in the same order") {
    const Items old_items(30, 1), new_items(12, 2);
    const std::vector<std::vector<Attribute>> looks{
        {{"colour", "red"}}, {{"colour", "blue"}, {"price", 3.0}}, {}, {{"price", 4.0}, {"size", "L"}}};
    for (const std::string name : text_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        std::vector<Item> before = old_items.items, add, replace;
        for (std::size_t i = 0; i < before.size(); ++i) before[i].attributes = looks[i % 4];
        for (std::size_t i = 0; i < new_items.items.size(); ++i) {
            Item item = new_items.items[i];
            item.attributes = looks[(i + 1) % 4];
            item.id = i < 4 ? before[i * 7 + 1].id : item.id;
            (i < 4 ? replace : add).push_back(item);
        }
        std::vector<std::string> names;  // ids of their own for what is added
        for (std::size_t i = 0; i < add.size(); ++i) names.push_back("new-" + std::to_string(i));
        for (std::size_t i = 0; i < add.size(); ++i) add[i].id = names[i];
        const Ids remove{before[0].id, before[29].id, before[10].id};
        std::vector<Item> after;
        for (const Item& item : before) {
            if (std::find(remove.begin(), remove.end(), item.id) != remove.end()) continue;
            const auto other = std::find_if(replace.begin(), replace.end(), [&](auto& r) { return r.id == item.id; });
            after.push_back(other == replace.end() ? item : *other);
        }
        after.insert(after.end(), add.begin(), add.end());

        const Catalog old = take(model.encode_catalog(before));
        const auto user = make_user(model, old);
        const auto old_scores = take(model.scores(user, old));
        CatalogChanges changes;
        changes.add = add;
        changes.replace = replace;
        changes.remove = remove;
        const Catalog updated = take(update_catalog(model, old, changes));
        check_same(updated.data(), take(model.encode_catalog(after)).data());
        check_same(old.data(), take(model.encode_catalog(before)).data());  // its readers keep it
        CHECK(take(model.scores(user, old)) == old_scores);
        CHECK_FALSE(old.snapshot() == updated.snapshot());
        // And again, one change at a time.
        CatalogChanges first, second, third;
        first.remove = remove;
        second.replace = replace;
        third.add = add;
        const Catalog a = take(update_catalog(model, old, first)), b = take(update_catalog(model, a, second));
        check_same(take(update_catalog(model, b, third)).data(), updated.data());
    }
}

TEST_CASE("nothing changed gives an equal snapshot, all removed an empty one, and an empty one can be filled") {
    for (const std::string name : text_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Items items(8);
        const Catalog catalog = take(model.encode_catalog(items.items));
        check_same(take(update_catalog(model, catalog, {})).data(), catalog.data());
        CatalogChanges all, back;
        const Ids ids(items.ids.begin(), items.ids.end());
        all.remove = ids;
        const Catalog empty = take(update_catalog(model, catalog, all));
        CHECK(empty.empty());
        CHECK(take(model.recommend(model.new_user(), empty)).empty());
        back.add = items.items;
        check_same(take(update_catalog(model, empty, back)).data(), catalog.data());
    }
}

TEST_CASE("a model with items of its own can remove some, and cannot encode others") {
    const Recommender model = load_model("tiny-items");
    const Catalog catalog = take(model.items());
    const auto user = make_user(model, catalog);
    const Ids remove{catalog[0].id(), catalog[4].id()};
    CatalogChanges changes;
    changes.remove = remove;
    const Catalog smaller = take(update_catalog(model, catalog, changes));
    REQUIRE(smaller.size() == catalog.size() - 2);
    const auto before = take(model.scores(user, catalog)), after = take(model.scores(user, smaller));
    for (std::size_t i = 0; i < smaller.size(); ++i)
        CHECK(bits(after[i]) == bits(before[catalog.find(smaller[i].id())]));
    const std::vector<Item> add{{"new", "text"}};
    changes.add = add;
    check_error(update_catalog(model, catalog, changes), ErrorCode::unsupported);
}

TEST_CASE("ids that are there already, are not there, or stand twice are errors naming them") {
    const Recommender model = load_model("tiny-dot-product");
    const Items items(8);
    const Catalog catalog = take(model.encode_catalog(items.items));
    const std::vector<Item> known{{"item-3", "x"}}, stranger{{"x", "x"}}, twice{{"x", "x"}, {"y", ""}, {"x", "z"}},
        nameless{{"", "x"}}, broken{{"x", "\xFF"}}, known_twice{{"item-3", "x"}, {"item-3", "y"}};
    const Ids three{"item-3"}, no{"no"}, three_twice{"item-3", "item-1", "item-3"};
    const std::vector<Attribute> number{{"size", 3.0}}, text{{"size", "L"}};
    const auto refused = [&](auto&& set, ErrorCode code, std::string_view part) {
        CatalogChanges changes;
        set(changes);
        check_error(update_catalog(model, catalog, changes), code, part);
    };
    refused([&](auto& c) { c.add = known; }, ErrorCode::invalid_argument, "\"item-3\" is to be added");
    refused([&](auto& c) { c.add = twice; }, ErrorCode::invalid_argument, "\"x\"");
    refused([&](auto& c) { c.add = nameless; }, ErrorCode::invalid_argument, "no id");
    refused([&](auto& c) { c.add = broken; }, ErrorCode::invalid_text, "item \"x\"");
    refused([&](auto& c) { c.replace = stranger; }, ErrorCode::missing, "\"x\" is to be replaced");
    refused([&](auto& c) { c.replace = known_twice; }, ErrorCode::invalid_argument, "\"item-3\" stands twice");
    refused([&](auto& c) { c.remove = no; }, ErrorCode::missing, "\"no\" is to be removed");
    refused([&](auto& c) { c.remove = three_twice; }, ErrorCode::invalid_argument, "\"item-3\" stands twice");
    refused([&](auto& c) { c.replace = known, c.remove = three; }, ErrorCode::invalid_argument, "stands twice");
    refused([&](auto& c) { c.add = known, c.remove = three; }, ErrorCode::invalid_argument, "replace it");
    check_error(update_catalog(load_model("tiny-next-event"), catalog, {}), ErrorCode::mismatch);
    // An attribute that changes its type while others keep theirs.
    std::vector<Item> sized{{"a", "x", number}, {"b", "y", number}};
    const Catalog with_sizes = take(model.encode_catalog(sized));
    const std::vector<Item> other{{"b", "y", text}};
    CatalogChanges changes;
    changes.replace = other;
    check_error(update_catalog(model, with_sizes, changes), ErrorCode::invalid_argument, "item \"b\"");
}

TEST_CASE("a filter of the old snapshot is refused by the new one") {
    const Recommender model = load_model("tiny-dot-product");
    const Catalog catalog = make_catalog(model, 8), updated = take(update_catalog(model, catalog, {}));
    const auto filter = ranklet::Filter::from_ids(catalog, {});
    ranklet::RecommendOptions options;
    options.filter = &filter;
    check_error(model.recommend(model.new_user(), updated, options), ErrorCode::mismatch, "another catalog snapshot");
}
