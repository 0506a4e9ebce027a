// Vectors that leave the library and come back: .npy export and import, and catalogs of given vectors.
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "io/temporary_folder.hpp"
#include "ranklet/catalog/gather.hpp"
#include "ranklet/io/npy.hpp"
#include "ranklet/recommender.hpp"
#include "recommender/catalogs.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Catalog;
using ranklet::CatalogData;
using ranklet::ErrorCode;
using ranklet::Matrix;
using ranklet::Recommender;

}  // namespace

TEST_CASE("a catalog of exported and imported vectors is the one that was encoded, bit for bit") {
    const TemporaryFolder folder;
    const std::string vectors = folder.path() + "/v.npy", ids = folder.path() + "/ids.txt";
    for (const std::string name : {"tiny-next-event", "tiny-dot-product"}) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model);
        succeed(ranklet::write_npy(vectors, catalog.data().vectors.view()));
        succeed(ranklet::write_ids(ids, catalog.data().ids));
        CatalogData data;
        data.ids = take(ranklet::read_ids(ids));
        data.vectors = take(ranklet::read_npy(vectors));
        check_same(take(model.make_catalog(std::move(data))).data(), catalog.data());
    }
}

TEST_CASE("vectors that are not the model's are refused: size, number, not finite, ids") {
    for (const std::string name : {"tiny-next-event", "tiny-dot-product"}) {
        const Recommender model = load_model(name);
        const std::size_t dim = model.as<ranklet::Bert>()->dim();
        const auto with = [&](auto&& change) {
            CatalogData data;
            data.ids = {"a", "b"};
            data.vectors = take(Matrix::zeroed(2, dim));
            change(data);
            return model.make_catalog(std::move(data));
        };
        CHECK(with([](CatalogData&) {}).ok());
        const auto refused = [&](auto&& change, std::string_view part) {
            check_error(with(change), ErrorCode::invalid_argument, part);
        };
        refused([&](CatalogData& d) { d.vectors = take(Matrix::zeroed(2, dim + 1)); }, "expected 2 x ");
        refused([&](CatalogData& d) { d.vectors = take(Matrix::zeroed(3, dim)); }, "vectors of 3 x ");
        refused([&](CatalogData& d) { d.vectors = Matrix(); }, "vectors of 0 x 0");
        refused([&](CatalogData& d) { d.vectors.row(1)[2] = quiet_nan; }, "row 1 ");
        refused([&](CatalogData& d) { d.vectors.row(0)[0] = infinity; }, "row 0 ");
        refused([&](CatalogData& d) { d.ids = {"a", "a"}; }, "same id");
    }
    const Recommender model = load_model("tiny-dot-product");
    CatalogData data;
    data.ids = {"a"};
    data.vectors = take(Matrix::zeroed(1, model.as<ranklet::Bert>()->dim()));
    data.outputs = take(Matrix::zeroed(1, 99));
    check_error(model.make_catalog(std::move(data)), ErrorCode::mismatch);
}

TEST_CASE("a text_gru catalog is made of its tokens' projections, whose offsets must fit") {
    const Recommender model = load_model("tiny-text-gru");
    const Catalog catalog = make_catalog(model, 5);
    const auto with = [&](auto&& change) {
        const CatalogData* source = &catalog.data();
        std::vector<ranklet::detail::ItemPick> all;
        for (std::size_t i = 0; i < catalog.size(); ++i) all.push_back({0, i});
        CatalogData data = take(ranklet::detail::gather_items(std::span(&source, 1), all));
        data.ids = source->ids;
        change(data);
        return model.make_catalog(std::move(data));
    };
    check_same(take(with([](CatalogData&) {})).data(), catalog.data());
    check_error(with([](CatalogData& d) { d.token_offsets.pop_back(); }), ErrorCode::invalid_argument, "offsets");
    check_error(with([](CatalogData& d) { d.token_offsets.clear(); }), ErrorCode::invalid_argument, "offsets");
    check_error(with([](CatalogData& d) { d.token_offsets.back() += 1; }), ErrorCode::invalid_argument, "expected");
    check_error(with([](CatalogData& d) { d.token_offsets[1] = 9999; }), ErrorCode::invalid_argument, "offsets");
}
