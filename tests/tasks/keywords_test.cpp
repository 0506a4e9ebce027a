// Keywords: order, diversity by a plain recomputation, wrong arguments.
#include "ranklet/tasks/keywords.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/encoders/bert.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Bert;
using ranklet::ErrorCode;
using ranklet::extract_keywords;
using ranklet::KeywordOptions;

double cosine(std::span<const float> a, std::span<const float> b) {
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        ab += static_cast<double>(a[i]) * static_cast<double>(b[i]);
        aa += static_cast<double>(a[i]) * static_cast<double>(a[i]);
        bb += static_cast<double>(b[i]) * static_cast<double>(b[i]);
    }
    return ab / std::sqrt(aa * bb);
}

constexpr std::string_view text =
    "A waterproof tent for running shoes, the red phone case and coffee beans. 防水手机壳的充电线";

}  // namespace

TEST_CASE("keywords come by their cosine with the whole text, the same with any number of threads") {
    for (const std::string name : {"tiny-minilm", "tiny-dense"}) {  // normalised vectors, and others
        const Bert bert = take(Bert::load(model_path(name)));
        KeywordOptions options;
        options.k = 100;
        const auto keywords = take(extract_keywords(bert, text, options));
        CHECK(keywords.size() == take(ranklet::candidate_phrases(text)).size());
        const auto whole = take(bert.encode(text));
        for (std::size_t i = 0; i < keywords.size(); ++i) {
            const auto own = take(bert.encode(keywords[i].text));
            CHECK(static_cast<double>(keywords[i].score) == doctest::Approx(cosine(own, whole)).epsilon(1e-5));
            if (i > 0) CHECK(keywords[i - 1].score >= keywords[i].score);
            CHECK(text.substr(keywords[i].bytes.begin, keywords[i].bytes.end - keywords[i].bytes.begin) ==
                  keywords[i].text);
        }
        options.k = 3;
        options.threads = finely(3);
        const auto three = take(extract_keywords(bert, text, options));
        REQUIRE(three.size() == 3);
        for (std::size_t i = 0; i < 3; ++i)
            CHECK((three[i].text == keywords[i].text && three[i].score == keywords[i].score));
    }
}

TEST_CASE("with diversity each choice is that of maximal marginal relevance") {
    const Bert bert = take(Bert::load(model_path("tiny-minilm")));
    KeywordOptions options;
    options.k = 6;
    options.diversity = 0.6f;
    const auto found = take(extract_keywords(bert, text, options));
    const auto phrases = take(ranklet::candidate_phrases(text));
    const auto whole = take(bert.encode(text));
    std::vector<std::vector<float>> vectors;
    for (const auto& phrase : phrases) vectors.push_back(take(bert.encode(phrase.text)));
    std::vector<std::size_t> chosen;
    while (chosen.size() < 6) {
        std::size_t best = phrases.size();
        double best_value = 0;
        for (std::size_t i = 0; i < phrases.size(); ++i) {
            if (std::find(chosen.begin(), chosen.end(), i) != chosen.end()) continue;
            double nearest = -2;
            for (const std::size_t c : chosen) nearest = std::max(nearest, cosine(vectors[i], vectors[c]));
            const double to_text = cosine(vectors[i], whole);
            const double value = chosen.empty() ? to_text : 0.4 * to_text - 0.6 * nearest;
            if (best == phrases.size() || value > best_value) {
                best = i;
                best_value = value;
            }
        }
        chosen.push_back(best);
    }
    REQUIRE(found.size() == 6);
    for (std::size_t i = 0; i < 6; ++i) CHECK(found[i].text == phrases[chosen[i]].text);
    options.diversity = 0.0f;
    CHECK(take(extract_keywords(bert, text, options)).front().text == found.front().text);
}

TEST_CASE("a text without phrases has no keywords, wrong arguments are refused") {
    const Bert bert = take(Bert::load(model_path("tiny-minilm")));
    CHECK(take(extract_keywords(bert, "")).empty());
    CHECK(take(extract_keywords(bert, "of the and 12")).empty());
    CHECK(take(extract_keywords(bert, "phone", {.k = 0})).empty());
    check_error(extract_keywords(bert, "caf\xE9"), ErrorCode::invalid_text);
    for (const float bad : {-0.1f, 1.5f, NAN})
        check_error(extract_keywords(bert, "phone", {.diversity = bad}), ErrorCode::invalid_argument, "diversity");
}
