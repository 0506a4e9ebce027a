// What is found in texts becomes attributes that filters and explanations use.
#include "ranklet/tasks/text_attributes.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/explain/explain.hpp"
#include "ranklet/tasks/token_classifier.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Condition;
using ranklet::ErrorCode;
using ranklet::Keyword;
using ranklet::normalize_value;
using ranklet::Recommender;
using ranklet::SpanAttributeOptions;
using ranklet::TaggedSpan;
using ranklet::TextAttributes;
using Strings = std::vector<std::string>;

/// A span over the n-th occurrence of `part`.
TaggedSpan span_of(std::string_view text, std::string_view part, const char* label, float score = 0.9f) {
    TaggedSpan span;
    const std::size_t begin = text.find(part);
    REQUIRE(begin != std::string_view::npos);
    span.label = label;
    span.score = score;
    span.bytes = {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(begin + part.size())};
    return span;
}
Strings values_of(const TextAttributes& attributes, std::string_view name) {
    const auto values = attributes.values(name);
    return {values.begin(), values.end()};
}

}  // namespace

TEST_CASE("a value is in lower case, with one space for each run of white space") {
    CHECK(take(normalize_value("  Nordfell \t Rain\n\nJacket ")) == "nordfell rain jacket");
    CHECK(take(normalize_value("\xC3\x89TUI \xE3\x80\x80 \xE4\xBC\x8A\xE5\x8D\xA1\xE6\x8B\x89")) ==
          "\xC3\xA9tui \xE4\xBC\x8A\xE5\x8D\xA1\xE6\x8B\x89");  // É, an ideographic space, 伊卡拉
    CHECK(take(normalize_value("C++")) == "c++");
    CHECK(take(normalize_value("")).empty());
    CHECK(take(normalize_value(" \n")).empty());
    check_error(normalize_value("a\xFF"), ErrorCode::invalid_text, "byte 1");
}

TEST_CASE("spans become sets of strings by label, each value once, in the order in which they appear") {
    const std::string text = "Orvik N7, then ORVIK  again: dark Blue, 伊卡拉";
    const std::vector<TaggedSpan> spans{span_of(text, "Orvik", "BRAND"),  span_of(text, "N7", "MODEL"),
                                        span_of(text, "ORVIK", "BRAND"),  span_of(text, "dark Blue", "COLOR", 0.49f),
                                        span_of(text, "伊卡拉", "BRAND"), span_of(text, ": ", "BRAND")};
    TextAttributes attributes;
    CHECK(attributes.empty());
    succeed(attributes.add(text, spans));
    CHECK(values_of(attributes, "brand") == Strings{"orvik", "伊卡拉"});
    CHECK(values_of(attributes, "model") == Strings{"n7"});
    CHECK(attributes.values("color").empty());  // below the minimum score
    const auto listed = attributes.attributes();
    REQUIRE(listed.size() == 2);
    CHECK(listed[0].name == "brand");
    CHECK(listed[0].tags == std::vector<std::string>{"orvik", "伊卡拉"});

    SpanAttributeOptions options;  // only some labels, by other names, with another bound
    const std::vector<std::pair<std::string_view, std::string_view>> names{{"COLOR", "looks"}, {"MODEL", "looks"}};
    options.names = names;
    options.minimum_score = 0.1f;
    TextAttributes other;
    succeed(other.add(text, spans, options));
    CHECK(values_of(other, "looks") == Strings{"n7", "dark blue"});
    CHECK(other.attributes().size() == 1);
}

TEST_CASE("keywords join what spans gave, and attributes outlive the move of their owner") {
    TextAttributes first;
    const std::vector<Keyword> keywords{{"Rain  Jacket", {}, 0.8f}, {"rain jacket", {}, 0.7f}, {"zip", {}, 0.1f}};
    succeed(first.add(keywords, {.minimum_score = 0.5f}));
    succeed(first.add(keywords, {.name = "term"}));
    CHECK(values_of(first, "keyword") == Strings{"rain jacket"});
    CHECK(values_of(first, "term") == Strings{"rain jacket", "zip"});
    const auto listed = first.attributes();
    const std::vector<TextAttributes> moved = [&] {
        std::vector<TextAttributes> all;
        for (int i = 0; i < 3; ++i) all.emplace_back();
        all.push_back(std::move(first));
        return all;
    }();
    CHECK(listed[1].name == "term");
    CHECK(listed[1].tags == std::vector<std::string>{"rain jacket", "zip"});
}

TEST_CASE("what cannot be a value is an error that names it, and adds nothing") {
    const std::string text = "é Orvik";
    const auto good = span_of(text, "Orvik", "BRAND");
    TextAttributes attributes;
    const auto refused = [&](TaggedSpan bad, std::string_view part) {
        const std::vector<TaggedSpan> spans{good, std::move(bad)};
        check_error(attributes.add(text, spans), ErrorCode::invalid_argument, part);
        CHECK(attributes.empty());
    };
    TaggedSpan bad = good;
    bad.bytes = {1, 3};
    refused(bad, "span 1 does not lie between characters");
    bad.bytes = {3, 99};
    refused(bad, "span 1 does not lie");
    bad.bytes = {4, 3};
    refused(bad, "span 1 does not lie");
    bad = good;
    bad.label = "";
    refused(bad, "span 1 has no label");
    bad.label = " ";
    refused(bad, "without a name");
    bad = good;
    bad.score = std::numeric_limits<float>::quiet_NaN();
    refused(bad, "span 1 has a score that is not a number");
    const std::vector<TaggedSpan> spans{good};
    check_error(attributes.add("\xFF", spans), ErrorCode::invalid_text);
    SpanAttributeOptions options;
    options.minimum_score = std::numeric_limits<float>::quiet_NaN();
    check_error(attributes.add(text, spans, options), ErrorCode::invalid_argument, "minimum");
    const std::vector<Keyword> keywords{{"fine", {}, 1.0f}, {"\xFF", {}, 1.0f}};
    check_error(attributes.add(keywords), ErrorCode::invalid_text, "keyword 1");
    check_error(attributes.add(std::span(keywords).first(1), {.name = ""}), ErrorCode::invalid_argument, "name");
    check_error(attributes.add(std::span(keywords).first(1), {.name = "\xFF"}), ErrorCode::invalid_text, "name");
    const std::vector<TaggedSpan> one(spans.begin(), spans.begin() + 1);
    const std::vector<std::pair<std::string_view, std::string_view>> names{{one[0].label, "\xFF"}};
    check_error(attributes.add(text, one, {.minimum_score = 0.0f, .names = names}), ErrorCode::invalid_argument,
                "span 0");
    const std::vector<Keyword> nan{{"x", {}, std::numeric_limits<float>::quiet_NaN()}};
    check_error(attributes.add(nan), ErrorCode::invalid_argument, "keyword 0");
    CHECK(attributes.empty());
    succeed(attributes.add(text, {}));
    succeed(attributes.add("", {}));
    CHECK(attributes.empty());
}

TEST_CASE("entities of items' texts filter a catalog and say what an item shares with the user's events") {
    const auto tagger = take(ranklet::TokenClassifier::load("examples/models/shop-tagger.gguf"));
    const Recommender model = load_model("tiny-dot-product");
    const Strings texts{"Nordfell rain jacket in red", "The red Nordfell tent", "奥维克 N7 智能手机 128GB 白色",
                        "Tavko makes the best power bank, better than Keelo.", "nothing of the kind"};
    Items strings(texts.size());
    std::vector<TextAttributes> found(texts.size());
    std::vector<std::vector<ranklet::Attribute>> attributes;
    std::vector<ranklet::Item> items;
    ranklet::TagOptions tags;
    tags.aggregation = ranklet::TagAggregation::first;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        succeed(found[i].add(texts[i], take(tagger.tag(texts[i], tags))));
        attributes.push_back(found[i].attributes());
    }
    for (std::size_t i = 0; i < texts.size(); ++i) items.push_back({strings.ids[i], texts[i], attributes[i]});
    const auto catalog = take(model.encode_catalog(items));
    const auto held = [&](const Condition& condition) {
        std::vector<std::size_t> indices;
        const auto filter = take(ranklet::Filter::create(catalog, condition));
        for (std::size_t i = 0; i < catalog.size(); ++i)
            if (filter.bits().test(i)) indices.push_back(i);
        return indices;
    };
    CHECK(held(Condition::contains("brand", take(normalize_value("Nordfell")))) == std::vector<std::size_t>{0, 1});
    const std::vector<std::string_view> brands{"奥维克", "keelo"};
    CHECK(held(Condition::contains_any("brand", brands)) == std::vector<std::size_t>{2, 3});
    CHECK(held(Condition::is_missing("brand")) == std::vector<std::size_t>{4});

    auto user = model.new_user();
    succeed(user.observe_text("red"));
    succeed(user.observe(catalog[1]));
    succeed(user.observe(catalog[3]));
    ranklet::ExplainOptions options;
    const std::vector<std::string_view> typed{"red"};
    options.event_texts = typed;
    const auto why = take(explain(model, user, catalog, "item-0", options));
    Strings shared;
    for (const auto& s : why.shared) {
        shared.push_back(s.name + "=" + s.value);
        CHECK(s.events == std::vector<std::size_t>{1});
    }
    std::sort(shared.begin(), shared.end());
    CHECK(shared == Strings{"brand=nordfell", "color=red"});
}
