// Two encoders in one recommender: one for items, one for what users say.
#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/catalog/update.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/explain/explain.hpp"
#include "ranklet/ranking/vector_index.hpp"
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

TEST_CASE("a search in words: a query's vector among those of the items") {
    const Recommender documents = load_model("tiny-minilm"), queries = load_model("tiny-minilm-fitted");
    const Recommender model = take(documents.with_queries(queries));
    const Catalog catalog = take(model.encode_catalog(items));
    const auto query = take(model.encode_query("a new phone"));
    const auto index = take(ranklet::VectorIndex::create(catalog.data().vectors.view(), ranklet::RowType::f32));
    ranklet::VectorIndex::Workspace workspace;
    const auto hits = take(index.search({query.data(), 1, query.size()}, {.k = 3}, workspace))[0];
    REQUIRE(hits.size() == 3);
    for (const ranklet::Hit& hit : hits) {
        double product = 0.0;
        const auto item = take(documents.encode(items[hit.index].text));
        const auto asked = take(queries.encode("a new phone"));
        for (std::size_t d = 0; d < asked.size(); ++d) product += double{item[d]} * double{asked[d]};
        CHECK(hit.score == doctest::Approx(product).epsilon(1e-5));
    }
    CHECK(hits[0].score >= hits[1].score);
}

TEST_CASE("with itself a model reads users' texts with its prompt for queries, and explains them so") {
    const Recommender plain = load_model("tiny-modules");
    const Recommender model = take(plain.with_queries(plain));
    CHECK(!plain.has_queries());
    CHECK(model.has_queries());
    CHECK(model.fingerprint() != plain.fingerprint());
    const Catalog catalog = take(plain.encode_catalog(items));
    const std::vector<std::string_view> texts{"a phone"};
    for (const auto prompt : {std::optional<std::string_view>(), std::optional<std::string_view>("")}) {
        auto user = model.new_user(), same = plain.new_user();
        succeed(user.observe_text(texts[0], 2.0f, {.prompt = prompt}));
        succeed(same.observe_text(texts[0], 2.0f, {.prompt = prompt.value_or("query")}));
        CHECK(user.state().hidden == same.state().hidden);
        ranklet::ExplainOptions options;
        options.event_texts = texts;
        options.event_prompt = prompt;
        CHECK(take(ranklet::explain_events(model, user, catalog, "a", options)).size() == 1);
        options.event_prompt = prompt ? std::optional<std::string_view>() : std::optional<std::string_view>("");
        check_error(ranklet::explain_events(model, user, catalog, "a", options), ErrorCode::mismatch);
    }
}

TEST_CASE("whatever the decoder, a user's text is an event of the query's vector, and counts as such") {
    std::vector<std::string> tried;
    for (const std::string name :
         {"tiny-minilm", "tiny-distilbert", "tiny-dot-plain", "tiny-dot-product", "tiny-next-event", "tiny-words-dot",
          "tiny-words-next", "news-lstur-ini", "news-nrms-padded"}) {
        const Recommender documents = load_model(name);
        for (const std::string other :
             {"tiny-minilm-fitted", "tiny-static", "tiny-distilbert", "tiny-words-cut", "tiny-text-gru"}) {
            if (name == other) continue;
            const Recommender queries = load_model(other);
            CAPTURE(name);
            CAPTURE(other);
            const auto pair = documents.with_queries(queries);
            if (queries.encoder().dim() != documents.encoder().dim()) {
                check_error(pair, ErrorCode::mismatch, "not trained together");
                continue;
            }
            tried.push_back(name + " " + other);
            const Recommender model = *pair;
            Items some(40);
            some.items.push_back({"red", "red phone case"});
            const Catalog catalog = take(model.encode_catalog(some.items));
            const std::string text = "red phone case, fast charger";
            ranklet::CatalogData data;
            data.ids = {"query"};
            const auto vector = take(queries.encode_query(text));
            data.vectors = take(ranklet::Matrix::copy_of({vector.data(), 1, vector.size()}));
            const Catalog query = take(model.make_catalog(std::move(data)));
            auto user = make_user(model, catalog), by_vector = user, by_item = make_user(documents, catalog);
            succeed(user.observe_text(text, 3.0f));
            succeed(by_vector.observe(query[0], 3.0f));
            succeed(by_item.observe_text(text, 3.0f));
            const auto scores = take(model.scores(user, catalog));
            CHECK(same_bits(scores, take(model.scores(by_vector, catalog))));
            CHECK(!same_bits(scores, take(documents.scores(by_item, catalog))));
            CHECK(take(model.recommend(user, catalog, {.k = 5})).size() == 5);
            // The user comes back, and is explained.
            CHECK(same_bits(take(model.scores(take(model.load_user(user.save())), catalog)), scores));
            const std::vector<std::string_view> texts{text};
            ranklet::ExplainOptions options;
            options.event_texts = texts;
            options.text = "red phone case";
            const auto why = take(ranklet::explain(model, user, catalog, "red", options));
            REQUIRE(why.events.size() == 6);
            CHECK(why.events.back().contribution != 0.0f);
        }
    }
    CHECK(tried.size() == 12);
}

TEST_CASE("an encoder of queries is the pair's last; a file that was fitted takes it as its encoder does") {
    const Recommender documents = load_model("tiny-minilm"), queries = load_model("tiny-minilm-fitted");
    const Recommender twice = take(take(documents.with_queries(documents)).with_queries(queries));
    const Recommender once = take(documents.with_queries(queries));
    CHECK(twice.fingerprint() == once.fingerprint());
    CHECK(same_bits(take(twice.encode_query("phone")), take(queries.encode("phone"))));

    const Recommender fitted = take(load_model("tiny-fitted").with_queries(queries));
    CHECK(fitted.items_fingerprint() == load_model("tiny-fitted").items_fingerprint());
    CHECK(fitted.fingerprint() != load_model("tiny-fitted").fingerprint());
    CHECK(same_bits(take(fitted.encode_query("phone")), take(queries.encode("phone"))));
    // Of the two models that one loads for the queries, the encoder's file and what was fitted to it, either will do.
    CHECK(take(queries.with_queries(fitted)).fingerprint() ==
          take(queries.with_queries(load_model("tiny-fitted"))).fingerprint());
}

TEST_CASE("a text that the queries' encoder cannot read leaves the user as before, and one that is cut is told") {
    const Recommender model = take(load_model("tiny-minilm").with_queries(load_model("tiny-minilm-fitted")));
    auto user = model.new_user();
    succeed(user.observe_text("phone"));
    const auto before = user.save();
    const auto broken = user.observe_text("a\xFF");
    check_error(broken, ErrorCode::invalid_text);
    CHECK(broken.error().input == 0);
    check_error(user.observe_text("phone", infinity), ErrorCode::invalid_argument, "rating");
    check_error(user.observe_text("phone", 1.0f, {.prompt = "no such prompt"}), ErrorCode::missing, "no such prompt");
    check_error(model.encode_query("a\xFF"), ErrorCode::invalid_text);
    std::vector<ranklet::TextRead> read(2);
    check_error(user.observe_text("phone", 1.0f, {.read = read}), ErrorCode::invalid_argument);
    CHECK(user.save() == before);
    std::string text;
    for (int i = 0; i < 200; ++i) text += "phone ";
    succeed(user.observe_text(text, 1.0f, {.read = std::span(read).first(1)}));
    CHECK(!read[0].whole);
    CHECK(read[0].tokens > 0);
}

TEST_CASE("encoders that do not belong together are refused, naming both files") {
    const Recommender documents = load_model("tiny-minilm");
    check_error(
        documents.with_queries(load_model("tiny-dense")), ErrorCode::mismatch,
        "goldens/tiny-dense.gguf for the queries of tests/parity/goldens/tiny-minilm.gguf: vectors of 17, those of "
        "items have 48: the two were not trained together");
    const char* no_texts = "tiny-items.gguf reads no texts, its items are its own";
    check_error(documents.with_queries(load_model("tiny-items")), ErrorCode::unsupported, no_texts);
    check_error(load_model("tiny-items").with_queries(documents), ErrorCode::unsupported, no_texts);
    check_error(load_model("tiny-text-gru").with_queries(documents), ErrorCode::unsupported,
                "the decoder of tests/parity/goldens/tiny-text-gru.gguf reads the states of tokens");
    CHECK(load_model("tiny-distilbert")
              .with_queries(load_model("tiny-next-event"))
              .ok());  // another's decoder is not used
    check_error(documents.with_queries(Recommender()), ErrorCode::invalid_argument);
    check_error(Recommender().with_queries(documents), ErrorCode::invalid_argument);
}
