// Two encoders in one recommender: one for items, one for what users say.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "ranklet/catalog/update.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/explain/explain.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Catalog;
using ranklet::ErrorCode;
using ranklet::Item;
using ranklet::Recommender;

const std::vector<Item> items{{"a", "a red phone"}, {"b", "case for a phone"}, {"c", "green garden hose"}};

}  // namespace

TEST_CASE("items are read by the one encoder, queries and a user's texts by the other") {
    const Recommender documents = load_model("tiny-minilm"), queries = load_model("tiny-minilm-fitted");
    const Recommender model = take(documents.with_queries(queries));
    const std::string text = "a new phone";
    const auto as_item = take(model.encode(text)), as_query = take(model.encode_query(text));
    CHECK(same_bits(as_item, take(documents.encode(text))));
    CHECK(same_bits(as_query, take(queries.encode(text))));
    CHECK(!same_bits(as_item, as_query));
    CHECK(same_bits(take(documents.encode_query(text)), as_item));  // without another encoder it is the own one
    CHECK(model.as<ranklet::Bert>() == documents.as<ranklet::Bert>());

    // Catalogs are those of the items' encoder; users are of the pair.
    CHECK(model.items_fingerprint() == documents.items_fingerprint());
    CHECK(model.fingerprint() != documents.fingerprint());
    CHECK(model.fingerprint() != take(documents.with_queries(documents)).fingerprint());
    CHECK(model.fingerprint() == take(documents.with_queries(queries)).fingerprint());
    const Catalog catalog = take(documents.encode_catalog(items));
    CHECK(same_bits(catalog.data().vectors.row(0), take(model.encode_catalog(items)).data().vectors.row(0)));

    // A user's text is the query's vector, an event by id the item's.
    auto user = model.new_user();
    succeed(user.observe_text(text));
    auto by_vector = model.new_user();
    ranklet::CatalogData data;
    data.ids = {"query"};
    data.vectors = take(ranklet::Matrix::copy_of({as_query.data(), 1, as_query.size()}));
    succeed(by_vector.observe(take(model.make_catalog(std::move(data)))[0]));
    CHECK(same_bits(take(model.scores(user, catalog)), take(model.scores(by_vector, catalog))));
    auto plain = documents.new_user();
    succeed(plain.observe_text(text));
    CHECK(!same_bits(take(model.scores(user, catalog)), take(documents.scores(plain, catalog))));
    check_error(model.load_user(plain.save()), ErrorCode::mismatch);
    check_error(model.recommend(plain, catalog), ErrorCode::mismatch);
    const auto again = take(model.load_user(user.save()));
    CHECK(same_bits(take(model.scores(again, catalog)), take(model.scores(user, catalog))));

    // An explanation reads the text as the event did.
    succeed(user.observe(catalog.at("c")));
    const std::vector<std::string_view> texts{text};
    ranklet::ExplainOptions options;
    options.event_texts = texts;
    const auto explained = take(ranklet::explain_events(model, user, catalog, "a", options));
    CHECK(explained.size() == 2);
    const std::vector<std::string_view> other{"another text"};
    options.event_texts = other;
    check_error(ranklet::explain_events(model, user, catalog, "a", options), ErrorCode::mismatch);
}

TEST_CASE("a query has the prompt that its file calls \"query\", unless another is named") {
    const Recommender model = load_model("tiny-modules");
    REQUIRE(model.as<ranklet::Bert>() != nullptr);
    if (model.encoder().has_prompt("query")) {
        CHECK(same_bits(take(model.encode_query("phone")), take(model.encode("phone", {.prompt = "query"}))));
        CHECK(
            same_bits(take(model.encode_query("phone", {.prompt = ""})), take(model.encode("phone", {.prompt = ""}))));
    } else {
        FAIL("the model has no prompt for queries");
    }
    CHECK(!model.encoder().has_prompt("no such prompt"));
    CHECK(!load_model("tiny-words-dot").encoder().has_prompt("query"));
}

TEST_CASE("encoders that do not belong together are refused") {
    const Recommender documents = load_model("tiny-minilm");
    check_error(documents.with_queries(load_model("tiny-words-dot")), ErrorCode::mismatch, "not trained together");
    check_error(documents.with_queries(load_model("tiny-items")), ErrorCode::unsupported, "encodes no texts");
    check_error(load_model("tiny-items").with_queries(documents), ErrorCode::unsupported, "encodes no texts");
    check_error(load_model("tiny-text-gru").with_queries(documents), ErrorCode::unsupported, "states of tokens");
    check_error(documents.with_queries(Recommender()), ErrorCode::invalid_argument);
    check_error(Recommender().with_queries(documents), ErrorCode::invalid_argument);
    check_error(Recommender().encode_query("phone"), ErrorCode::invalid_argument);
}
