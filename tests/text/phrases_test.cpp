// Candidate phrases: what is one, its place, limits.
#include "ranklet/text/phrases.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace {

using ranklet::PhraseOptions;
using Phrases = std::vector<std::string>;

Phrases phrases(std::string_view text, const PhraseOptions& options = {}) {
    const auto found = ranklet::candidate_phrases(text, options);
    REQUIRE(found.ok());
    Phrases out;
    for (const auto& phrase : *found) {
        CHECK(phrase.text == text.substr(phrase.bytes.begin, phrase.bytes.end - phrase.bytes.begin));
        out.push_back(phrase.text);
    }
    return out;
}

}  // namespace

TEST_CASE("English phrases are n-grams that no stop word and no punctuation breaks, each once in any case") {
    CHECK(phrases("The red phone of Red, phone case") == Phrases{"red", "red phone", "phone", "phone case", "case"});
    CHECK(phrases("fast USB-C charger cable, 65 W", {.max_words = 2}) ==
          Phrases{"fast", "fast USB-C", "USB-C", "USB-C charger", "charger", "charger cable", "cable", "65 W", "W"});
    CHECK(phrases("2 10 300").empty());  // numbers alone name nothing
    CHECK(phrases("").empty());
}

TEST_CASE("a phrase is the same in any case, any form of its accents and with any white space between its words") {
    CHECK(phrases("\u00DCbergang, \u00FCbergang, U\u0308BERGANG") == Phrases{"\u00DCbergang"});
    CHECK(phrases("\u041A\u043D\u0438\u0433\u0430; \u043A\u043D\u0438\u0433\u0430") ==
          Phrases{"\u041A\u043D\u0438\u0433\u0430"});
    CHECK(phrases("\u039F\u0394\u039F\u03A3, \u03BF\u03B4\u03BF\u03C2") == Phrases{"\u039F\u0394\u039F\u03A3"});
    CHECK(phrases("red  phone, red\nphone, Red\u00A0Phone") == Phrases{"red", "red  phone", "phone"});
    CHECK(phrases("cafe, caf\u00E9") == Phrases{"cafe", "caf\u00E9"});
}

TEST_CASE("Chinese phrases are pieces of two to four characters between stop words") {
    CHECK(phrases("手机的充电器") == Phrases{"手机", "充电", "充电器", "电器"});
    CHECK(phrases("双人帐篷", {.min_characters = 2, .max_characters = 2}) == Phrases{"双人", "人帐", "帐篷"});
    CHECK(phrases("红phone壳子") == Phrases{"phone", "壳子"});
}

TEST_CASE("a long text gives no more candidates than are allowed, and wrong options are refused") {
    std::string text;
    for (int i = 0; i < 5000; ++i) text += "word" + std::to_string(i) + " 手机壳";
    CHECK(phrases(text).size() == 1000);
    CHECK(phrases(text, {.max_candidates = 7}).size() == 7);
    CHECK(phrases(text, {.max_candidates = 0}).empty());
    for (const PhraseOptions& bad : {PhraseOptions{.max_words = 0}, PhraseOptions{.min_characters = 0},
                                     PhraseOptions{.min_characters = 5, .max_characters = 4}})
        CHECK_FALSE(ranklet::candidate_phrases("a phone", bad).ok());
    const auto broken = ranklet::candidate_phrases("\xFF");
    REQUIRE_FALSE(broken.ok());
    CHECK(broken.error().code == ranklet::ErrorCode::invalid_text);
}
