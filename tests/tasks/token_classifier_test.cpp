// Token classifiers: offsets into the text as given, invariance, hostile texts.
#include "ranklet/tasks/token_classifier.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "ranklet/text/utf8.hpp"
#include "ranklet/text/wordpiece.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::ErrorCode;
using ranklet::TagAggregation;
using ranklet::TaggedSpan;
using ranklet::TagOptions;
using ranklet::TagScheme;
using ranklet::TokenClassifier;

TokenClassifier load(const std::string& name) { return take(TokenClassifier::load(model_path(name))); }
std::string_view piece(std::string_view text, const TaggedSpan& span) {
    return text.substr(span.bytes.begin, span.bytes.end - span.bytes.begin);
}
bool same(const std::vector<TaggedSpan>& a, const std::vector<TaggedSpan>& b) {
    return std::ranges::equal(a, b, [](const TaggedSpan& x, const TaggedSpan& y) {
        return x.label == y.label && x.score == y.score && x.bytes == y.bytes && x.code_points == y.code_points &&
               x.token == y.token && x.tokens == y.tokens;
    });
}

}  // namespace

TEST_CASE("every word's place is that in the text as it was given: case, accents, Chinese, emoji") {
    const auto model = load("tiny-tokens-distilbert");
    TagOptions options;
    options.aggregation = TagAggregation::first;
    options.scheme = TagScheme::plain;
    const std::string_view text = "  A NEW Phones,红手机壳 caf\xC3\xA9 \xF0\x9F\x98\x80 cases";
    std::vector<std::string> pieces;
    for (const TaggedSpan& span : take(model.tag(text, options))) {
        pieces.emplace_back(piece(text, span));
        CHECK(span.code_points.begin == ranklet::utf8::count(text.substr(0, span.bytes.begin)));
    }
    CHECK(pieces == std::vector<std::string>{"A", "NEW", "Phones", ",", "红", "手", "机", "壳", "caf\xC3\xA9",
                                             "\xF0\x9F\x98\x80", "cases"});
}

TEST_CASE("as in transformers, a token goes on with a word when its spelling and its text differ in length") {
    const auto model = load("tiny-tokens-distilbert");
    TagOptions options;
    options.aggregation = TagAggregation::first;
    options.scheme = TagScheme::plain;
    const auto words = [&](std::string_view text) {
        std::vector<std::string> pieces;
        for (const TaggedSpan& span : take(model.tag(text, options))) pieces.emplace_back(piece(text, span));
        return pieces;
    };
    CHECK(words("phones booking") == std::vector<std::string>{"phones", "booking"});
    // An accent that is a character of its own makes "phone" longer than its token: it joins the word before.
    CHECK(words("red pho\xCC\x81ne tent") == std::vector<std::string>{"red pho\xCC\x81ne", "tent"});
    CHECK(words("red ph\xC3\xB6ne tent").size() == 3);
}

TEST_CASE("a text's spans are the same alone, in any batch, and with any number of threads") {
    for (const std::string name : {"tiny-tokens", "tiny-tokens-i8", "tiny-tokens-distilbert"}) {
        const auto model = load(name);
        Random random(3);
        std::vector<std::string> texts;
        for (std::size_t i = 0; i < 120; ++i) texts.push_back(make_text(random));
        const std::vector<std::string_view> views(texts.begin(), texts.end());
        for (const auto aggregation : {TagAggregation::simple, TagAggregation::average}) {
            TagOptions options;
            options.aggregation = aggregation;
            const auto all = take(model.tag(std::span<const std::string_view>(views), options));
            options.threads = finely(3);
            const auto threaded = take(model.tag(std::span<const std::string_view>(views), options));
            options.threads = 1;
            for (std::size_t i = 0; i < views.size(); ++i) {
                CHECK(same(all[i], threaded[i]));
                if (i % 9 == 0) CHECK(same(all[i], take(model.tag(views[i], options))));
            }
        }
    }
}

TEST_CASE("spans lie in order, inside the text, on character boundaries, and have scores of probabilities") {
    const auto model = load("tiny-tokens");
    Random random(8);
    for (std::size_t n = 0; n < 60; ++n) {
        const std::string text = make_text(random);
        for (const auto aggregation : {TagAggregation::none, TagAggregation::simple, TagAggregation::first,
                                       TagAggregation::average, TagAggregation::max}) {
            TagOptions options;
            options.aggregation = aggregation;
            std::uint32_t end = 0;
            for (const TaggedSpan& span : take(model.tag(text, options))) {
                CHECK(span.bytes.begin >= end);
                CHECK(span.bytes.begin < span.bytes.end);
                end = span.bytes.end;
                REQUIRE(end <= text.size());
                CHECK(ranklet::utf8::valid_prefix(piece(text, span)) == piece(text, span).size());
                CHECK((span.score > 0.0f && span.score <= 1.0f));
                CHECK(span.label != "O");
                CHECK(span.token >= 1);
                CHECK(span.tokens >= 1);
            }
        }
    }
}

TEST_CASE("nothing to tag gives no spans, a text that is not UTF-8 an error naming it") {
    const auto model = load("tiny-tokens");
    for (const std::string_view text : {"", "   ", "\n"}) CHECK(take(model.tag(text)).empty());
    CHECK(take(model.tag(std::span<const std::string_view>())).empty());
    check_error(model.tag("caf\xE9"), ErrorCode::invalid_text, "text 0");
    const std::vector<std::string_view> texts{"a", "b", "\xFF"};
    check_error(model.tag(std::span<const std::string_view>(texts)), ErrorCode::invalid_text, "text 2");
    std::string words;
    while (words.size() < 100000) words += "the red phone ";
    TagOptions all;
    all.aggregation = TagAggregation::none;
    all.ignore = {};
    CHECK(take(model.tag(words, all)).size() == model.bert().max_length() - 2);
    CHECK(take(model.logits("")).rows() == 2);
}
