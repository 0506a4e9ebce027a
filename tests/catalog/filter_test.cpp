// Conditions against the same question asked item by item, and filters that do not fit.
#include "ranklet/catalog/filter.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Attribute;
using ranklet::AttributeBuilder;
using ranklet::Bitset;
using ranklet::Catalog;
using ranklet::Condition;
using ranklet::ErrorCode;
using ranklet::Filter;
using Set = std::vector<std::string_view>;

/// a: phone, 100, {red, new}; b: phone, 250, {red}; c: tent, no price, {}; d: nothing; e: tent, 250, {new}.
Catalog five_items() {
    const Set red_new{"red", "new"}, red{"red"}, only_new{"new"};
    AttributeBuilder builder;
    succeed(builder.add(std::vector<Attribute>{{"category", "phone"}, {"price", 100.0}, {"tags", red_new}}));
    succeed(builder.add(std::vector<Attribute>{{"category", "phone"}, {"price", 250.0}, {"tags", red}}));
    succeed(builder.add(std::vector<Attribute>{{"category", "tent"}}));
    succeed(builder.add({}));
    succeed(builder.add(std::vector<Attribute>{{"category", "tent"}, {"price", 250.0}, {"tags", only_new}}));
    ranklet::CatalogData data;
    data.ids = {"a", "b", "c", "d", "e"};
    data.attributes = std::move(builder).finish();
    return take(Catalog::create(std::move(data)));
}

std::string items_of(const Filter& filter) {
    std::string letters;
    for (std::size_t i = 0; i < filter.bits().size(); ++i)
        if (filter.bits().test(i)) letters += static_cast<char>('a' + i);
    return letters;
}
std::string left_by(const Condition& condition) { return items_of(take(Filter::create(five_items(), condition))); }

const Set none, both{"red", "new"}, with_stranger{"tent", "boat"};
const Condition phone = Condition::equals("category", "phone"), red = Condition::contains("tags", "red"),
                dear = Condition::at_least("price", 200.0);

}  // namespace

TEST_CASE("equals, any of, ranges and membership leave the items they say") {
    CHECK(left_by(phone) == "ab");
    CHECK(left_by(Condition::equals("category", "boat")).empty());
    CHECK(left_by(Condition::equals("category", "phon")).empty());
    CHECK(left_by(Condition::any_of("category", with_stranger)) == "ce");
    CHECK(left_by(Condition::any_of("category", none)).empty());
    CHECK(left_by(Condition::in_range("price", 100.0, 249.99)) == "a");
    CHECK(left_by(Condition::in_range("price", 100.0, 250.0)) == "abe");
    CHECK(left_by(Condition::equals("price", 250.0)) == "be");
    CHECK(left_by(dear) == "be");
    CHECK(left_by(Condition::at_most("price", 100.0)) == "a");
    CHECK(left_by(red) == "ab");
    CHECK(left_by(Condition::contains_any("tags", both)) == "abe");
    CHECK(left_by(Condition::contains_all("tags", both)) == "a");
    CHECK(left_by(Condition::contains_any("tags", none)).empty());
    CHECK(left_by(Condition::contains_all("tags", none)) == "abcde");
}

TEST_CASE("an item without a value fulfils no comparison, its negation holds it, and is_missing finds it") {
    CHECK(left_by(!phone) == "cde");
    CHECK(left_by(!dear) == "acd");
    CHECK(left_by(Condition::is_missing("price")) == "cd");
    CHECK(left_by(Condition::is_missing("tags")) == "cd");
    CHECK(left_by(!Condition::is_missing("category") && !dear) == "ac");
}

TEST_CASE("and, or and not compose as on single items") {
    CHECK(left_by(phone && dear) == "b");
    CHECK(left_by(phone || dear) == "abe");
    CHECK(left_by(!(phone || dear)) == "cd");
    CHECK(left_by(!phone && !dear) == "cd");
    CHECK(left_by(!!phone) == "ab");
    CHECK(left_by((phone && red && dear) || Condition::is_missing("category")) == "bd");
    CHECK(left_by(phone && (red || dear) && !(red && dear)) == "a");
}

TEST_CASE("long chains are no deep ones, and a condition that is too deep is refused") {
    Condition chain = phone, deep = phone;
    for (int i = 0; i < 5000; ++i) chain = std::move(chain) || phone;
    CHECK(left_by(chain) == "ab");
    for (int i = 0; i < 300; ++i) deep = (std::move(deep) || phone) && dear;
    check_error(Filter::create(five_items(), deep), ErrorCode::invalid_argument, "levels");
    Condition allowed = phone;
    for (int i = 0; i < 249; ++i) allowed = (std::move(allowed) || phone) && phone;
    CHECK(left_by(allowed) == "ab");
    // However deep it gets: neither building, copying nor destroying it overflows the stack, and it stays an error.
    for (int i = 0; i < 1'000'000; ++i) deep = (std::move(deep) || phone) && dear;
    const Condition copy = deep;
    check_error(Filter::create(five_items(), copy), ErrorCode::invalid_argument, "levels");
    check_error(Filter::create(five_items(), phone || !deep), ErrorCode::invalid_argument, "levels");
    Condition denied = phone;
    for (int i = 0; i < 1'000'000; ++i) denied = !(std::move(denied) && phone);
    check_error(Filter::create(five_items(), denied), ErrorCode::invalid_argument, "levels");
}

TEST_CASE("an unknown attribute, a wrong type and a range that is none are errors naming the attribute") {
    const Catalog catalog = five_items();
    const auto refused = [&](const Condition& condition, ErrorCode code, std::string_view part) {
        check_error(Filter::create(catalog, condition), code, part);
        check_error(Filter::create(catalog, phone && !condition), code, part);
    };
    refused(Condition::equals("colour", "red"), ErrorCode::missing, "\"colour\"");
    refused(Condition::is_missing("colour"), ErrorCode::missing, "\"colour\"");
    refused(Condition::contains_all("colour", none), ErrorCode::missing, "\"colour\"");
    refused(Condition::contains_all("price", none), ErrorCode::invalid_argument, "contains is of tags");
    refused(Condition::equals("price", "250"), ErrorCode::invalid_argument, "\"price\" is of type number");
    refused(Condition::equals("category", 1.0), ErrorCode::invalid_argument, "\"category\" is of type category");
    refused(Condition::equals("tags", "red"), ErrorCode::invalid_argument, "\"tags\" is of type tags");
    refused(Condition::contains("category", "phone"), ErrorCode::invalid_argument, "contains is of tags");
    refused(Condition::in_range("price", 2.0, 1.0), ErrorCode::invalid_argument, "is not a range");
    refused(Condition::equals("price", static_cast<double>(quiet_nan)), ErrorCode::invalid_argument, "\"price\"");
    check_error(Filter::create(Catalog(), phone), ErrorCode::missing, "there are none");
}

TEST_CASE("filters of one snapshot combine; of two snapshots they do not, and they know their own") {
    const Catalog catalog = five_items(), copy = catalog, twin = five_items();
    const Filter phones = take(Filter::create(catalog, phone)), dears = take(Filter::create(copy, dear));
    CHECK(items_of(take(phones & dears)) == "b");
    CHECK(items_of(take(phones | dears)) == "abe");
    CHECK(items_of(~phones) == "cde");
    CHECK(phones.count() == 2);
    CHECK(phones.fits(copy));
    CHECK_FALSE(phones.fits(twin));
    const Filter others = take(Filter::create(twin, dear));
    check_error(phones & others, ErrorCode::mismatch, "two catalog snapshots");
    check_error(phones | others, ErrorCode::mismatch);
    const Set ids{"e", "b", "unknown", "b"};
    CHECK(items_of(Filter::from_ids(catalog, ids)) == "be");
    CHECK(items_of(take(Filter::from_bits(catalog, Bitset(5, true)))) == "abcde");
    check_error(Filter::from_bits(catalog, Bitset(6)), ErrorCode::mismatch, "6 bits for a catalog of 5");
}

TEST_CASE("a filter whose catalog is gone fits no later one") {
    Filter filter = Filter::from_ids(five_items(), none);
    for (int i = 0; i < 100; ++i) CHECK_FALSE(filter.fits(five_items()));
}
