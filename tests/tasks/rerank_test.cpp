// Re-ranking with a cross-encoder: the order, ties, labels, wrong arguments.
#include "ranklet/tasks/rerank.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::ErrorCode;
using ranklet::rerank;
using ranklet::RerankOptions;
using ranklet::SequenceClassifier;
using ranklet::TextPair;

}  // namespace

TEST_CASE("candidates come by score, equal ones as they were given, each with the score of its own pair") {
    const auto model = take(SequenceClassifier::load(model_path("tiny-cross-encoder")));
    Random random(2);
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < 40; ++i) texts.push_back(make_text(random));
    texts[31] = texts[7];  // a tie
    const std::vector<std::string_view> candidates(texts.begin(), texts.end());
    const auto ranking = take(rerank(model, "new phone", candidates));
    REQUIRE(ranking.size() == candidates.size());
    for (std::size_t r = 0; r < ranking.size(); ++r) {
        const auto pair = take(model.classify(TextPair{"new phone", candidates[ranking[r].index]}));
        CHECK(ranking[r].probability == pair[0]);
        if (r == 0) continue;
        CHECK((ranking[r - 1].score > ranking[r].score ||
               (ranking[r - 1].score == ranking[r].score && ranking[r - 1].index < ranking[r].index)));
        CHECK(ranking[r - 1].probability >= ranking[r].probability);
    }
    RerankOptions options;
    options.k = 5;
    options.threads = finely(3);
    const auto top = take(rerank(model, "new phone", candidates, options));
    REQUIRE(top.size() == 5);
    for (std::size_t r = 0; r < top.size(); ++r) {
        CHECK(top[r].index == ranking[r].index);
        CHECK(top[r].score == ranking[r].score);
    }
    CHECK(take(rerank(model, "new phone", {})).empty());
    CHECK(take(rerank(model, "", candidates)).size() == 40);
}

TEST_CASE("of several labels one must be chosen, and it must be the model's") {
    const auto model = take(SequenceClassifier::load(model_path("tiny-sequence")));
    const std::vector<std::string_view> candidates{"a phone", "a tent", "\xE5\x92\x96\xE5\x95\xA1"};
    check_error(rerank(model, "phone", candidates), ErrorCode::invalid_argument, "4 labels");
    RerankOptions options;
    options.label = "positive";
    check_error(rerank(model, "phone", candidates, options), ErrorCode::missing, "\"positive\"");
    options.label = "POS";
    for (const auto& each : take(rerank(model, "phone", candidates, options))) {
        CHECK(each.score == each.probability);  // labels exclude each other: the order is by probability
        CHECK(each.probability == take(model.classify(TextPair{"phone", candidates[each.index]}))[2]);
    }
}

TEST_CASE("a query or a candidate that is not UTF-8 is an error") {
    const auto model = take(SequenceClassifier::load(model_path("tiny-cross-encoder")));
    const std::vector<std::string_view> candidates{"a phone", "\xFF"};
    check_error(rerank(model, "phone", candidates), ErrorCode::invalid_text, "candidate 1");
    check_error(rerank(model, "\xFF", {}), ErrorCode::invalid_text, "the query");
}
