// Explanations against a direct recomputation: another user, another text.
#include "ranklet/explain/explain.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Catalog;
using ranklet::ErrorCode;
using ranklet::explain_events;
using ranklet::explain_text;
using ranklet::ExplainOptions;
using ranklet::Item;
using ranklet::Recommender;
using ranklet::TextUnit;
using Texts = std::vector<std::string_view>;

struct Step {
    std::size_t item;
    float rating;
};
const std::vector<Step> history{{3, 5.0f}, {9, ranklet::no_rating}, {3, 1.0f}, {17, 4.0f}};

float score_of(const Recommender& model, const Recommender::User& user, const Catalog& catalog, std::size_t item) {
    return take(model.scores(user, catalog))[item];
}

}  // namespace

TEST_CASE("an event's contribution is the score minus that of a user who never met it, in every scoring") {
    for (const std::string name : model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model);
        auto user = model.new_user();
        for (const Step& step : history) succeed(user.observe(catalog[step.item], step.rating));
        const auto found = take(explain_events(model, user, catalog, catalog[5].id()));
        REQUIRE(found.size() == history.size());
        const float whole = score_of(model, user, catalog, 5);
        for (std::size_t e = 0; e < history.size(); ++e) {
            auto without = model.new_user();
            for (std::size_t f = 0; f < history.size(); ++f)
                if (f != e) succeed(without.observe(catalog[history[f].item], history[f].rating));
            CHECK(found[e].event == e);
            CHECK(found[e].id == catalog[history[e].item].id());
            CHECK(bits(found[e].contribution) == bits(whole - score_of(model, without, catalog, 5)));
            CHECK(found[e].contribution != 0.0f);
        }
        ExplainOptions options;
        options.most_events = 2;
        const auto last = take(explain_events(model, user, catalog, catalog[5].id(), options));
        REQUIRE(last.size() == 2);
        CHECK(last[0].event == 2);
        CHECK(bits(last[1].contribution) == bits(found[3].contribution));
        CHECK(take(explain_events(model, model.new_user(), catalog, catalog[0].id())).empty());
    }
}

TEST_CASE("events from text are explained when their texts are given, and refused when not") {
    for (const std::string name : text_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model);
        auto user = model.new_user(), without = model.new_user();
        succeed(user.observe_text("red phone"));
        for (auto* who : {&user, &without}) succeed(who->observe(catalog[3], 5.0f));
        succeed(user.observe_text("tent", 2.0f));
        succeed(without.observe_text("tent", 2.0f));
        check_error(explain_events(model, user, catalog, "item-5"), ErrorCode::unsupported, "2 events from text");
        const Texts texts{"red phone", "tent"}, wrong{"red phone", "camera"};
        ExplainOptions options;
        options.event_texts = texts;
        const auto found = take(explain_events(model, user, catalog, "item-5", options));
        REQUIRE(found.size() == 3);
        CHECK(found[0].id.empty());
        CHECK(bits(found[0].contribution) ==
              bits(score_of(model, user, catalog, 5) - score_of(model, without, catalog, 5)));
        options.event_texts = wrong;
        check_error(explain_events(model, user, catalog, "item-5", options), ErrorCode::mismatch, "does not lead");
    }
}

TEST_CASE("a word's contribution is the score minus that of the text without it, in every scoring of text") {
    // Words that are tokens of their own: cutting them out of the text cuts out just their tokens.
    const std::vector<std::string> words{"red", "phone", "fast", "book"};
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
    for (const std::string name : text_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        std::vector<std::string> texts{text};
        for (std::size_t w = 0; w < words.size(); ++w) {
            texts.emplace_back();
            for (std::size_t v = 0; v < words.size(); ++v)
                if (v != w) texts.back() += words[v] + " ";
        }
        Items strings(texts.size());
        std::vector<Item> items;
        for (std::size_t i = 0; i < texts.size(); ++i) items.push_back({strings.ids[i], texts[i]});
        const Catalog catalog = take(model.encode_catalog(items));
        auto user = model.new_user();
        succeed(user.observe(catalog[2], 4.0f));
        const auto scores = take(model.scores(user, catalog));
        ExplainOptions options;
        options.text = text;
        const auto found = take(explain_text(model, user, catalog, "item-0", options));
        REQUIRE(found.size() == words.size());
        std::size_t begin = 0;
        for (std::size_t w = 0; w < words.size(); ++w) {
            CHECK(found[w].text == words[w]);
            CHECK(found[w].span.begin == begin);
            CHECK(found[w].span.end == begin + words[w].size());
            CHECK(bits(found[w].contribution) == bits(scores[0] - scores[w + 1]));
            begin += words[w].size() + 1;
        }
        const auto both = take(explain(model, user, catalog, "item-0", options));
        CHECK(bits(both.score) == bits(scores[0]));
        CHECK(both.text.size() == words.size());
        CHECK(both.events.size() == 1);
        CHECK(bits(both.text[1].contribution) == bits(found[1].contribution));
    }
}

TEST_CASE("a word's pieces are taken out together as words, one by one as tokens, with the bytes they came from") {
    const Recommender model = load_model("tiny-dot-product");
    const std::string text = "Unwatchable  手机, café!";
    const std::vector<Item> items{{"a", text}, {"empty", ""}};
    const Catalog catalog = take(model.encode_catalog(items));
    const auto user = model.new_user();
    ExplainOptions options;
    options.text = text;
    const auto words = take(explain_text(model, user, catalog, "a", options));
    std::vector<std::string> found;
    for (const auto& w : words) {
        found.push_back(w.text);
        CHECK(text.substr(w.span.begin, w.span.end - w.span.begin) == w.text);
    }
    CHECK(found == std::vector<std::string>{"Unwatchable", "手", "机", ",", "café", "!"});
    options.unit = TextUnit::token;
    const auto tokens = take(explain_text(model, user, catalog, "a", options));
    ranklet::Encoding encoding;
    succeed(model.as<ranklet::Bert>()->tokenizer().encode(text, {}, encoding));
    REQUIRE(tokens.size() == encoding.size() - 2);
    REQUIRE(tokens.size() > words.size());
    for (std::size_t t = 0; t < tokens.size(); ++t) CHECK(tokens[t].span == encoding.offsets[t + 1]);
    options.text = "";
    CHECK(take(explain_text(model, user, catalog, "empty", options)).empty());
}

TEST_CASE("a truncated text is explained as far as the model reads it, and a prompt stays out of the list") {
    const Recommender model = load_model("tiny-dot-product");
    std::string text;
    for (int i = 0; i < 300; ++i) text += "red ";
    const std::vector<Item> items{{"a", text}};
    ranklet::BatchOptions batch;
    batch.prompt = "";
    const Catalog catalog = take(model.encode_catalog(items, batch));
    ExplainOptions options;
    options.text = text;
    options.prompt = "";
    const auto found = take(explain_text(model, model.new_user(), catalog, "a", options));
    CHECK(found.size() == model.as<ranklet::Bert>()->max_length() - 2);
    CHECK(found.back().span.begin == 4 * (found.size() - 1));
}

TEST_CASE("what cannot be explained is an error: no text, another text, unknown items, another model") {
    const Recommender model = load_model("tiny-dot-product"), items = load_model("tiny-items");
    const Catalog catalog = make_catalog(model), own = make_catalog(items);
    auto user = make_user(model, catalog);
    ExplainOptions options;
    check_error(explain_text(model, user, catalog, "item-0", options), ErrorCode::invalid_argument, "text");
    options.text = "surely another text";
    check_error(explain_text(model, user, catalog, "item-0", options), ErrorCode::mismatch, "it is not the item's");
    options.text = "\xFF";
    check_error(explain_text(model, user, catalog, "item-0", options), ErrorCode::invalid_text, "\"item-0\"");
    options.text = "red";
    options.prompt = "no such prompt";
    check_error(explain_text(model, user, catalog, "item-0", options), ErrorCode::missing, "no such prompt");
    check_error(explain(model, user, catalog, "stranger"), ErrorCode::missing, "\"stranger\"");
    check_error(explain_text(items, items.new_user(), own, own[0].id(), options), ErrorCode::unsupported);
    check_error(explain_events(model, user, own, own[0].id()), ErrorCode::mismatch);
    // An event's item that is gone from the catalog.
    const Items few(3);
    const Catalog smaller = take(model.encode_catalog(few.items));
    auto met = model.new_user();
    succeed(met.observe(catalog[0]));
    succeed(met.observe(catalog[30]));
    check_error(explain_events(model, met, smaller, "item-1"), ErrorCode::missing, "event 1: ");
}
