// What an item's attributes have in common with those of the items that a user met.
#include "ranklet/explain/shared_attributes.hpp"

#include <doctest/doctest.h>

#include <string_view>
#include <vector>

#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Attribute;
using ranklet::Event;
using ranklet::shared_attributes;

ranklet::Catalog make() {
    const std::vector<std::string_view> ab{"a", "b"}, b{"b"}, c{"c"};
    const std::vector<std::vector<Attribute>> items{
        {{"kind", "tent"}, {"tag", std::span<const std::string_view>(ab)}, {"price", 5.0}},
        {{"kind", "tent"}, {"tag", std::span<const std::string_view>(b)}, {"price", 5.0}},
        {{"kind", "lamp"}, {"tag", std::span<const std::string_view>(b)}},
        {{"tag", std::span<const std::string_view>(c)}},
        {}};
    ranklet::AttributeBuilder builder;
    for (const auto& item : items) succeed(builder.add(item));
    ranklet::CatalogData data;
    for (const char* id : {"0", "1", "2", "3", "4"}) data.ids.emplace_back(id);
    data.attributes = std::move(builder).finish();
    return take(ranklet::Catalog::create(std::move(data)));
}

}  // namespace

TEST_CASE(
    "values shared with most events come first, then the catalog's order; numbers, texts and strangers do not count") {
    const auto catalog = make();
    const std::vector<Event> events{{"1", 5.0f}, {"", 4.0f}, {"2"}, {"gone"}, {"3"}, {"4"}};
    const auto shared = take(shared_attributes(catalog, events, "0"));
    REQUIRE(shared.size() == 2);
    CHECK(shared[0].name == "tag");
    CHECK(shared[0].value == "b");
    CHECK(shared[0].events == std::vector<std::size_t>{0, 2});
    CHECK(shared[1].name == "kind");
    CHECK(shared[1].value == "tent");
    CHECK(shared[1].events == std::vector<std::size_t>{0});
    CHECK(take(shared_attributes(catalog, events, "4")).empty());
    CHECK(take(shared_attributes(catalog, {}, "0")).empty());
    const std::vector<Event> itself{{"0"}};
    CHECK(take(shared_attributes(catalog, itself, "0")).size() == 3);
    check_error(shared_attributes(catalog, events, "5"), ranklet::ErrorCode::missing, "\"5\"");
}
