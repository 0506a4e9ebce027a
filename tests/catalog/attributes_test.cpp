// Columns of attributes: types, missing values, interning, and what is refused.
#include "ranklet/catalog/attributes.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string_view>
#include <vector>

#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Attribute;
using ranklet::AttributeBuilder;
using ranklet::AttributeColumn;
using ranklet::AttributeTable;
using ranklet::AttributeType;
using ranklet::ErrorCode;
using Set = std::vector<std::string_view>;

AttributeTable three_items() {
    const Set red_new{"red", "new", "red"}, none, blue{"blue"};
    AttributeBuilder builder;
    succeed(builder.add(std::vector<Attribute>{{"category", "phone"}, {"tags", red_new}}));
    succeed(builder.add(std::vector<Attribute>{{"price", 9.5}, {"tags", none}}));
    succeed(builder.add(std::vector<Attribute>{{"tags", blue}, {"category", "phone"}, {"price", -0.0}}));
    succeed(builder.add({}));
    return std::move(builder).finish();
}

}  // namespace

TEST_CASE("each name is a typed column over all items, with missing values where it was left out") {
    const AttributeTable table = three_items();
    succeed(table.check(4));
    REQUIRE(table.columns.size() == 3);
    const AttributeColumn &category = *take(table.at("category")), &price = *take(table.at("price")),
                          &tags = *take(table.at("tags"));
    CHECK(category.type == AttributeType::category);
    CHECK(category.values == std::vector<std::string>{"phone"});
    CHECK(category.codes == std::vector<std::uint32_t>{0, AttributeColumn::no_value, 0, AttributeColumn::no_value});
    CHECK(price.type == AttributeType::number);
    CHECK(std::isnan(price.numbers[0]));
    CHECK(price.numbers[1] == 9.5);
    CHECK(price.missing(3));
    CHECK_FALSE(price.missing(2));
    CHECK(tags.type == AttributeType::tags);
    CHECK(tags.values == std::vector<std::string>{"red", "new", "blue"});
    CHECK(tags.tag_offsets == std::vector<std::size_t>{0, 2, 2, 3, 3});
    CHECK(tags.codes == std::vector<std::uint32_t>{0, 1, 2});
    CHECK(tags.missing(1));
    check_error(table.at("colour"), ErrorCode::missing, "\"colour\"; there are \"category\", \"tags\", \"price\"");
    check_error(AttributeTable().at("x"), ErrorCode::missing, "there are none");
}

TEST_CASE("an item's attributes come out as they went in, and build the same table again") {
    const AttributeTable table = three_items();
    AttributeBuilder builder;
    for (std::size_t i = 0; i < 4; ++i) succeed(builder.add(table.item(i)));
    const AttributeTable again = std::move(builder).finish();
    REQUIRE(again.columns.size() == table.columns.size());
    for (const AttributeColumn& column : table.columns) {
        const AttributeColumn& other = *take(again.at(column.name));
        CHECK(other.type == column.type);
        CHECK(other.values == column.values);
        CHECK(other.codes == column.codes);
        CHECK(other.tag_offsets == column.tag_offsets);
        for (std::size_t i = 0; i < column.numbers.size(); ++i)
            CHECK((other.numbers[i] == column.numbers[i] || column.missing(i)));
    }
}

TEST_CASE("an attribute that does not fit is an error naming it") {
    const auto refused = [](const std::vector<Attribute>& second, std::string_view part) {
        AttributeBuilder builder;
        succeed(builder.add(std::vector<Attribute>{{"price", 1.0}}));
        check_error(builder.add(second), ErrorCode::invalid_argument, part);
    };
    refused({{"", 1.0}}, "no name");
    refused({{"price", "1.0"}}, "\"price\" was given before as number");
    refused({{"price", 1.0}, {"price", 2.0}}, "\"price\" stands twice");
    refused({{"price", std::nan("")}}, "\"price\" is not a finite number");
    refused({{"weight", static_cast<double>(infinity)}}, "\"weight\" is not a finite number");
}

TEST_CASE("a table put together by hand is checked part by part") {
    const auto refused = [](auto&& change, std::string_view part) {
        AttributeTable table = three_items();
        change(table);
        check_error(table.check(4), ErrorCode::invalid_argument, part);
    };
    refused([](AttributeTable& t) { t.columns[0].codes[0] = 1; }, "\"category\": has a code beyond");
    refused([](AttributeTable& t) { t.columns[0].codes.pop_back(); }, "one entry for each item");
    refused([](AttributeTable& t) { t.columns[0].type = static_cast<AttributeType>(7); }, "unknown type");
    refused([](AttributeTable& t) { t.columns[0].name = "tags"; }, "stands twice");
    refused([](AttributeTable& t) { t.columns[0].name = ""; }, "attribute 0 has no name");
    refused([](AttributeTable& t) { t.columns[1].tag_offsets[1] = 4; }, "\"tags\": its tags' offsets");
    refused([](AttributeTable& t) { t.columns[1].codes[0] = AttributeColumn::no_value; }, "has a code beyond");
    refused([](AttributeTable& t) { t.columns[1].values[1] = t.columns[1].values[0]; }, "\"tags\": has a value twice");
    refused([](AttributeTable& t) { t.columns[0].values.push_back(t.columns[0].values[0]); }, "has a value twice");
    refused([](AttributeTable& t) { t.columns[1].codes[1] = t.columns[1].codes[0]; }, "\"tags\": has a tag of an item");
    refused([](AttributeTable& t) { t.columns[2].numbers[0] = static_cast<double>(infinity); }, "infinite");
}
