// Stop words: the lists, membership, and texts without them with places into the text as it was given.
#include "ranklet/text/stop_words.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace {

/// What is left, in the original's own letters.
std::vector<std::string> left(std::string_view text) {
    const auto stripped = ranklet::remove_stop_words(text);
    REQUIRE(stripped.ok());
    std::vector<std::string> parts;
    REQUIRE(stripped->stripped.size() == stripped->original.size());
    for (std::size_t i = 0; i < stripped->original.size(); ++i) {
        const auto [begin, end] = stripped->original[i];
        const auto [new_begin, new_end] = stripped->stripped[i];
        parts.emplace_back(text.substr(begin, end - begin));
        CHECK(stripped->text.substr(new_begin, new_end - new_begin) == parts.back());
    }
    return parts;
}
using Parts = std::vector<std::string>;

}  // namespace

TEST_CASE("the lists are sorted, without doubles, and every word of them is a stop word") {
    for (const auto list : {ranklet::english_stop_words(), ranklet::chinese_stop_words()}) {
        CHECK(list.size() > 150);
        CHECK(std::is_sorted(list.begin(), list.end()));
        CHECK(std::adjacent_find(list.begin(), list.end()) == list.end());
        for (const std::string_view word : list) CHECK_MESSAGE(ranklet::is_stop_word(word), word);
    }
    for (const std::string_view word : {"The", "AND", "Don't", "don\xE2\x80\x99t", "的", "我们", "因为"})
        CHECK(ranklet::is_stop_word(word));
    for (const std::string_view word :
         {"", "phone", "the phone", "手机", "的士", "don", "\xE2\x80\x99", "aaaaaaaaaaaaaaaaaaaaaaaaaa"})
        CHECK_FALSE(ranklet::is_stop_word(word));
}

TEST_CASE("what is left of a text keeps its letters and its places") {
    CHECK(left("The best phone, and the cheapest charger!") == Parts{"best", "phone", "cheapest", "charger"});
    CHECK(left("I don't like well-made cafés' doors") == Parts{"well-made", "cafés", "doors"});
    CHECK(left("我们的手机和充电器，但是很贵") == Parts{"手机", "充电器", "贵"});
    CHECK(left("买了iPhone的手机壳") == Parts{"买", "iPhone", "手机壳"});
    CHECK(left("").empty());
    CHECK(left("of the and, 的了吗 !!!").empty());
    CHECK(ranklet::remove_stop_words("the phone of 手机的壳")->text == "phone 手机 壳");
}

TEST_CASE("the longest Chinese stop word wins at each place") {
    CHECK(left("因为因此书") == Parts{"书"});
    CHECK(left("还是书") == Parts{"书"});
}

TEST_CASE("a text that is not UTF-8 is an error naming the byte") {
    const auto result = ranklet::remove_stop_words("caf\xE9");
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().code == ranklet::ErrorCode::invalid_text);
    CHECK(result.error().message.find("byte 3") != std::string::npos);
}
