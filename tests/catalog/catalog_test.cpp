// The catalog: look-up by id, and parts that do not fit together.
#include "ranklet/catalog/catalog.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Catalog;
using ranklet::CatalogData;
using ranklet::ErrorCode;
using ranklet::Matrix;
using ranklet::PartRows;

CatalogData data_of(std::vector<std::string> ids) {
    CatalogData data;
    data.ids = std::move(ids);
    return data;
}

Matrix rows(std::size_t n) { return take(Matrix::zeroed(n, 3)); }

}  // namespace

TEST_CASE("an id that stands twice is refused, naming it and both places") {
    check_error(Catalog::create(data_of({"a", "b", "c", "b"})), ErrorCode::invalid_argument, "items 1 and 3");
    check_error(Catalog::create(data_of({"a", "b", "c", "b"})), ErrorCode::invalid_argument, "\"b\"");
    CHECK(Catalog::create(data_of({"a", "A", "a ", "á", "aa"})).ok());
}

TEST_CASE("an empty id is refused, naming the item") {
    check_error(Catalog::create(data_of({"a", "", "c"})), ErrorCode::invalid_argument, "item 1 has no id");
}

TEST_CASE("an empty catalog has no items, by whatever id") {
    for (const Catalog& catalog : {Catalog(), take(Catalog::create({}))}) {
        CHECK(catalog.empty());
        CHECK(catalog.size() == 0);
        CHECK_FALSE(catalog.contains("a"));
        CHECK_FALSE(catalog.contains(""));
        CHECK(catalog.find("a") == 0);
        check_error(catalog.at("a"), ErrorCode::missing, "\"a\"");
    }
}

TEST_CASE("an id that is not there is an error naming it") {
    const Catalog catalog = take(Catalog::create(data_of({"phone", "case"})));
    check_error(catalog.at("charger"), ErrorCode::missing, "\"charger\"");
    check_error(catalog.at(""), ErrorCode::missing);
    CHECK(catalog.find("phon") == 2);
    CHECK(catalog.find(std::string_view("phone\0", 6)) == 2);
}

TEST_CASE("100,000 items are found by id, and as many others are not") {
    const std::size_t n = 100000;
    CatalogData data;
    for (std::size_t i = 0; i < n; ++i) data.ids.push_back("SKU-" + std::to_string(i * 7919 % 1000003));
    const std::vector<std::string> ids = data.ids;
    const Catalog catalog = take(Catalog::create(std::move(data)));
    REQUIRE(catalog.size() == n);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < n; ++i) {
        wrong += catalog.find(ids[i]) != i || catalog[i].id() != ids[i] || catalog[i].index() != i;
        wrong += catalog.contains("sku-" + std::to_string(i));
    }
    CHECK(wrong == 0);
}

TEST_CASE("ids that differ in one byte, and long ones, are different items") {
    std::vector<std::string> ids;
    for (int c = 0; c < 256; ++c) ids.push_back(std::string("x") + static_cast<char>(c));
    ids.push_back(std::string(100000, 'y'));
    ids.push_back(std::string(100000, 'y') + "z");
    const Catalog catalog = take(Catalog::create(data_of(ids)));
    for (std::size_t i = 0; i < ids.size(); ++i) CHECK(catalog.find(ids[i]) == i);
}

TEST_CASE("copies share their items, and a handle lives as long as any of them") {
    Catalog copy;
    {
        CatalogData data = data_of({"a", "b"});
        data.vectors = rows(2);
        data.vectors.row(1)[2] = 5.0f;
        const Catalog original = take(Catalog::create(std::move(data)));
        copy = original;
        CHECK(&copy.data() == &original.data());
    }
    const ranklet::ItemRef item = take(copy.at("b"));
    CHECK(item.id() == "b");
    REQUIRE(item.vector().size() == 3);
    CHECK(item.vector()[2] == 5.0f);
    const Catalog without_vectors = take(Catalog::create(data_of({"a"})));
    CHECK(without_vectors[0].vector().empty());
}

TEST_CASE("parts that do not have one row for each item are refused") {
    const auto with = [](auto&& change) {
        CatalogData data = data_of({"a", "b"});
        change(data);
        return Catalog::create(std::move(data));
    };
    CHECK(with([](CatalogData& d) {
              d.vectors = rows(2), d.outputs = rows(2), d.set_part("projected", PartRows::item, rows(2)),
              d.bias = {1, 2};
          }).ok());
    CHECK(with([](CatalogData& d) {
              d.set_part("projected", PartRows::token, rows(7)), d.token_offsets = {0, 3, 7};
          }).ok());
    const auto refused = [&](auto&& change) { check_error(with(change), ErrorCode::invalid_argument, "each item"); };
    refused([](CatalogData& d) { d.vectors = rows(3); });
    refused([](CatalogData& d) { d.outputs = rows(1); });
    refused([](CatalogData& d) { d.bias = {1.0f}; });
    refused([](CatalogData& d) { d.set_part("", PartRows::item, rows(2)); });
    refused([](CatalogData& d) {
        for (int i = 0; i < 2; ++i) d.parts.push_back({"twice", PartRows::item, rows(2)});
    });
    CHECK(with([](CatalogData& d) { d.set_part("mean", PartRows::catalog, rows(5)); }).ok());
    refused([](CatalogData& d) { d.set_part("projected", PartRows::item, rows(3)); });
    refused([](CatalogData& d) { d.set_part("projected", PartRows::token, rows(7)), d.token_offsets = {0, 7}; });
    refused([](CatalogData& d) { d.set_part("projected", PartRows::token, rows(7)), d.token_offsets = {0, 3, 8}; });
    refused([](CatalogData& d) { d.set_part("projected", PartRows::token, rows(7)), d.token_offsets = {0, 9, 7}; });
    refused([](CatalogData& d) { d.set_part("projected", PartRows::token, rows(7)), d.token_offsets = {1, 3, 7}; });
}
