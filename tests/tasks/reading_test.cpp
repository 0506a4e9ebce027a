// How much of a text classifiers, taggers, re-ranking and keywords read, and all of it in windows.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "endless_text.hpp"
#include "ranklet/tasks/keywords.hpp"
#include "ranklet/tasks/rerank.hpp"
#include "ranklet/tasks/token_classifier.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::BatchOptions;
using ranklet::Bert;
using ranklet::ErrorCode;
using ranklet::Matrix;
using ranklet::SequenceClassifier;
using ranklet::TagOptions;
using ranklet::TextPair;
using ranklet::TextRead;
using ranklet::TokenClassifier;
using ranklet::Windows;
using ranklet::WindowScores;

}  // namespace

TEST_CASE("a tagger says how far it read, and reads all when asked") {
    const auto model = take(TokenClassifier::load(model_path("tiny-tokens")));
    const std::size_t room = model.bert().max_length() - 2;
    TagOptions options;
    options.aggregation = ranklet::TagAggregation::none;
    options.ignore = {};
    const std::string fits = text_of(0, room), longer = text_of(0, room + 1), much = text_of(0, 5 * room);
    const std::vector<std::string_view> texts{fits, longer, much};
    std::vector<TextRead> read(3);
    options.read = read;
    const auto cut = take(model.tag(texts, options));
    for (const auto& spans : cut) CHECK(spans.size() == room);
    CHECK((read[0].whole && read[0].tokens == room && read[0].bytes == fits.size()));
    for (const std::size_t t : {1u, 2u})
        CHECK((!read[t].whole && read[t].tokens == room && read[t].bytes == fits.size()));
    options.windows = Windows{};  // a quarter of a window is shared
    const auto all = take(model.tag(texts, options));
    CHECK((all[0].size() == room && all[1].size() == room + 1 && all[2].size() == 5 * room));
    CHECK((read[0].windows == 1 && read[1].windows == 2 && read[2].whole && read[2].tokens == 5 * room));
    for (std::size_t i = 0; i < room; ++i)
        CHECK((all[0][i].label == cut[0][i].label && all[0][i].score == cut[0][i].score));
    for (std::size_t i = 0; i < all[2].size(); ++i) {
        CHECK(all[2][i].token == i + 1);
        CHECK(all[2][i].bytes.end <= much.size());
        if (i > 0) CHECK(all[2][i].bytes.begin > all[2][i - 1].bytes.begin);
    }
    // Spans go on over a cut: a text of one label is one span.
    options.aggregation = ranklet::TagAggregation::simple;
    const auto joined = take(model.tag(std::string_view(much), [&] {
        TagOptions one = options;
        one.read = {};
        return one;
    }()));
    std::size_t tokens = 0;
    for (const auto& span : joined) tokens += span.tokens;
    CHECK(tokens == 5 * room);
    options.read = std::span(read).first(2);
    check_error(model.tag(texts, options), ErrorCode::invalid_argument, "2 entries for 3 texts");
}

TEST_CASE("a classifier's logits of a long text are the mean of its parts', or the greatest") {
    const auto model = take(SequenceClassifier::load(model_path("tiny-cross-encoder")));
    const std::size_t room = model.bert().max_length() - 2;
    const std::string text = text_of(0, room + 10), first = text_of(0, room), rest = text_of(room - 5, room + 10);
    const std::vector<std::string_view> parts{first, rest}, whole{text, first};
    const Matrix of_parts = take(model.logits(parts));
    std::vector<TextRead> read(2);
    for (const auto scores : {WindowScores::mean, WindowScores::max}) {
        const Matrix found = take(model.logits(whole, {.windows = Windows{5, scores}, .read = read}));
        for (std::size_t label = 0; label < found.cols(); ++label) {
            const float a = of_parts.row(0)[label], b = of_parts.row(1)[label];
            const float expected = scores == WindowScores::mean ? 0.5f * (a + b) : std::max(a, b);
            CHECK(static_cast<double>(found.row(0)[label]) ==
                  doctest::Approx(static_cast<double>(expected)).epsilon(1e-6));
        }
        CHECK(same_bits(found.row(1), of_parts.row(0)));
        CHECK((read[0].windows == 2 && read[0].tokens == room + 10 && read[0].whole && read[1].windows == 1));
        std::vector<float> row(found.row(0).begin(), found.row(0).end());
        model.score(row.data());
        CHECK(same_bits(row, take(model.classify(whole, {.windows = Windows{5, scores}})).row(0)));
    }
    (void)take(model.logits(whole, {.read = read}));
    CHECK((!read[0].whole && read[0].tokens == room && read[1].whole));
}

TEST_CASE("a long first text of a pair is cut to half of a window, which is told") {
    const auto model = take(SequenceClassifier::load(model_path("tiny-cross-encoder")));
    const std::size_t half = (model.bert().max_length() - 3) / 2;
    const std::string query = text_of(0, half + 4), text = text_of(3, 60), kept = text_of(0, half);
    const std::vector<TextPair> pairs{{query, text}, {kept, text}};
    std::vector<TextRead> read(4);
    const Matrix found = take(model.logits(pairs, {.windows = Windows{2}, .read = read}));
    CHECK(same_bits(found.row(0), found.row(1)));
    CHECK((!read[0].whole && read[0].tokens == half && read[0].bytes == kept.size()));
    CHECK((read[1].whole && read[1].tokens == 57 && read[1].windows == read[0].windows && read[1].windows > 2));
    CHECK((read[2].whole && read[3].whole));
}

TEST_CASE(
    "a long first text keeps what a short second one leaves: windows take nothing from it that truncation does not") {
    const auto model = take(SequenceClassifier::load(model_path("tiny-cross-encoder")));
    const std::size_t room = model.bert().max_length() - 3;
    const std::string query = text_of(0, room + 9);
    for (const std::size_t tokens : {std::size_t{1}, std::size_t{3}, room / 2 - 1}) {
        CAPTURE(tokens);
        const std::string passage = text_of(1, 1 + tokens);
        const std::vector<TextPair> pairs{{query, passage}};
        std::vector<TextRead> read(2);
        const Matrix found = take(model.logits(pairs, {.windows = Windows{2}, .read = read}));
        CHECK(same_bits(found.row(0), take(model.logits(pairs)).row(0)));
        CHECK((!read[0].whole && read[0].tokens == room - tokens && read[0].windows == 1));
        CHECK((read[1].whole && read[1].tokens == tokens && read[1].windows == 1));
    }
}

TEST_CASE("re-ranking finds the passage that a truncated candidate loses, and tells what was read") {
    const auto model = take(SequenceClassifier::load(model_path("tiny-cross-encoder")));
    const std::string long_one = text_of(0, 70);
    const std::vector<std::string_view> candidates{"red phone", long_one};
    std::vector<TextRead> read(4);
    ranklet::RerankOptions options;
    options.read = read;
    if (model.labels().size() > 1) options.label = model.labels()[0];
    (void)take(rerank(model, "the case", candidates, options));
    CHECK((read[0].whole && read[1].whole && read[2].whole && !read[3].whole));
    options.windows = Windows{4, WindowScores::max};
    const auto ranking = take(rerank(model, "the case", candidates, options));
    CHECK((read[3].whole && read[3].windows > 1));
    const std::vector<TextPair> pairs{{"the case", candidates[0]}, {"the case", candidates[1]}};
    const Matrix scores = take(model.classify(pairs, {.windows = options.windows}));
    for (const auto& each : ranking) CHECK(each.probability == scores.row(each.index)[0]);
}

TEST_CASE("keywords tell how much of the text they were compared with") {
    const Bert bert = take(Bert::load(model_path("tiny-minilm")));
    const std::string text = text_of(0, 40);
    TextRead read;
    ranklet::KeywordOptions options;
    options.read = std::span(&read, 1);
    const auto beginning = take(extract_keywords(bert, text, options));
    CHECK((!read.whole && read.tokens == bert.max_length() - 2));
    options.windows = Windows{4};
    const auto all = take(extract_keywords(bert, text, options));
    CHECK((read.whole && read.tokens == 40 && read.windows > 2));
    REQUIRE(all.size() == beginning.size());
    BatchOptions windows;
    windows.windows = options.windows;
    const auto whole = take(bert.encode(text, windows)), own = take(bert.encode(all[0].text));
    double dot = 0.0;
    for (std::size_t i = 0; i < whole.size(); ++i) dot += static_cast<double>(whole[i]) * static_cast<double>(own[i]);
    CHECK(static_cast<double>(all[0].score) == doctest::Approx(dot).epsilon(1e-5));  // normalised vectors
    CHECK(all[0].score != beginning[0].score);
}

TEST_CASE("a catalog tells which items were cut, of every kind of model") {
    for (const std::string name : text_model_names) {
        CAPTURE(name);
        const auto model = load_model(name);
        const std::string much = text_of(0, 300);
        const std::vector<ranklet::Item> items{{"short", "red phone"}, {"long", much}, {"empty", ""}};
        std::vector<TextRead> read(3);
        const auto catalog = take(model.encode_catalog(items, {.read = read}));
        const bool words_alone = name.starts_with("tiny-words");  // they have no limit
        CHECK((read[0].whole && read[0].bytes == 9 && read[0].windows == 1 && read[2].whole));
        CHECK(read[1].whole == words_alone);
        if (!words_alone) CHECK(read[1].bytes < much.size());
        const auto plain = take(model.encode_catalog(items));
        CHECK(same_bits(flat(plain.data().vectors), flat(catalog.data().vectors)));
        CHECK(same_parts(plain.data(), catalog.data()));
        const auto all = take(model.encode_catalog(items, {.windows = Windows{3}, .read = read}));
        CHECK((read[1].whole && read[1].bytes == much.size()));
        if (!words_alone) CHECK(read[1].windows > 3);
        check_error(model.encode_catalog(items, {.read = std::span(read).first(2)}), ErrorCode::invalid_argument,
                    "2 entries for 3 texts");
        // Updates: the replaced ones, then the new ones.
        const std::vector<ranklet::Item> fresh{{"new", much}}, replaced{{"long", "red"}};
        (void)take(
            update_catalog(model, catalog, {.add = fresh, .replace = replaced}, {.read = std::span(read).first(2)}));
        CHECK((read[0].bytes == 3 && read[0].whole && read[1].whole == words_alone));
    }
}

TEST_CASE("many items are told each in its place, in whatever pieces they are encoded") {
    const auto model = load_model("tiny-text-gru");
    const Items some(600);
    std::vector<TextRead> read(600);
    (void)take(model.encode_catalog(some.items, {.threads = finely(2), .read = read}));
    std::size_t cut = 0;
    for (std::size_t i = 0; i < 600; ++i) {
        TextRead own;
        (void)take(model.encode_catalog(std::span(some.items).subspan(i, 1), {.read = std::span(&own, 1)}));
        CHECK((own.bytes == read[i].bytes && own.tokens == read[i].tokens && own.whole == read[i].whole));
        cut += !own.whole;
    }
    CHECK((cut > 20 && cut < 580));
}
