// WordTokenizer: how texts are cut, longest match, casing, unknown words, bad vocabularies and texts.
#include "ranklet/text/word_tokenizer.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using namespace ranklet;
using Words = std::vector<std::string_view>;
using Strings = std::vector<std::string>;

namespace {

WordTokenizer make(const Words& words, WordTokenizerConfig config = {}) {
    auto tokenizer = WordTokenizer::create(words, config);
    REQUIRE_MESSAGE(tokenizer.ok(), (tokenizer.ok() ? std::string() : tokenizer.error().message));
    return std::move(*tokenizer);
}

/// What each token stands for in the text.
Strings cut(const WordTokenizer& tokenizer, std::string_view text) {
    const auto encoding = tokenizer.encode(text);
    REQUIRE(encoding.ok());
    Strings found;
    for (const TokenSpan span : encoding->offsets) found.emplace_back(text.substr(span.begin, span.end - span.begin));
    return found;
}
Strings words_of(const Words& words, const WordTokenizer& tokenizer, std::string_view text) {
    const auto encoding = tokenizer.encode(text);
    REQUIRE(encoding.ok());
    Strings found;
    for (const std::int32_t id : encoding->ids) found.emplace_back(words[static_cast<std::size_t>(id)]);
    return found;
}

template <class T>
void check_error(const Result<T>& result, ErrorCode code, std::string_view part) {
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().code == code);
    CHECK_MESSAGE(result.error().message.find(part) != std::string::npos, result.error().message);
}

}  // namespace

TEST_CASE("English is cut at spaces and punctuation; apostrophes, hyphens and decimal points stay inside words") {
    const Words words{"well-made", "don't", "1.5", "1,299.00", "it", "s", "x", "a", "b", ".", ",", "-", "'", "128gb"};
    const auto tokenizer = make(words);
    CHECK(cut(tokenizer, "don't a,b. well-made") == Strings{"don't", "a", ",", "b", ".", "well-made"});
    CHECK(cut(tokenizer, "1.5 1,299.00. 128gb") == Strings{"1.5", "1,299.00", ".", "128gb"});
    CHECK(cut(tokenizer, "'a' a- -a a--b") == Strings{"'", "a", "'", "a", "-", "-", "a", "a", "-", "-", "b"});
    CHECK(cut(tokenizer, "\ta\r\nb\xC2\xA0x\xE2\x80\x8B") == Strings{"a", "b", "x"});
}

TEST_CASE("a joined word that the vocabulary lacks is looked up in parts, and its parts share a word index") {
    const Words words{"it", "s", "a", "b"};
    const auto tokenizer = make(words);
    const auto encoding = tokenizer.encode("a it's b-x-a");
    REQUIRE(encoding.ok());
    CHECK(encoding->ids == std::vector<std::int32_t>{2, 0, 1, 3, 2});
    CHECK(encoding->words == std::vector<std::int32_t>{0, 1, 1, 2, 2});
    CHECK(encoding->offsets[2] == TokenSpan{5, 6});
    CHECK(encoding->type_ids == std::vector<std::int32_t>(5, 0));
}

TEST_CASE("Chinese is cut by the longest match from the left, which may be wrong, and on from its end") {
    const Words words{"人民", "人民共和国", "共和国", "共和", "国", "研究", "研究生", "生命", "命", "起源", "的"};
    const auto tokenizer = make(words);
    CHECK(cut(tokenizer, "人民共和国") == Strings{"人民共和国"});
    CHECK(cut(tokenizer, "人民共和的国") == Strings{"人民", "共和", "的", "国"});
    CHECK(cut(tokenizer, "研究生命的起源") == Strings{"研究生", "命", "的", "起源"});
    CHECK(cut(tokenizer, "人 民国") == Strings{"国"});
    CHECK(cut(tokenizer, "人民，人民") == Strings{"人民", "人民"});
}

TEST_CASE("words of both scripts are matched where they touch, and only whole Latin words") {
    const Words words{"t恤", "恤", "卡拉ok", "手机", "iphone", "ok"};
    const auto tokenizer = make(words, {.lowercase = true});
    CHECK(cut(tokenizer, "T恤 T 恤 At恤") == Strings{"T恤", "恤", "恤"});
    CHECK(cut(tokenizer, "卡拉OK 卡拉OKAY iPhone手机OK") == Strings{"卡拉OK", "iPhone", "手机", "OK"});
}

TEST_CASE("casing is the vocabulary's: as it stands, or lower-cased before the look-up, offsets in the text as given") {
    const Words cased{"Apple", "apple", "ÉTÉ"}, lower{"apple", "été", "σας", "i\xCC\x87stanbul"};
    CHECK(words_of(cased, make(cased), "Apple apple APPLE ÉTÉ été") == Strings{"Apple", "apple", "ÉTÉ"});
    const auto tokenizer = make(lower, {.lowercase = true});
    CHECK(words_of(lower, tokenizer, "APPLE Été") == Strings{"apple", "été"});
    CHECK(cut(tokenizer, "APPLE Été") == Strings{"APPLE", "Été"});
    CHECK(cut(tokenizer, "İSTANBUL") == Strings{"İSTANBUL"});  // one character of two bytes becomes two of three
    CHECK(tokenizer.id_of("Apple") == 0);
    CHECK(make(cased).id_of("APPLE") == std::nullopt);
    CHECK(tokenizer.id_of("") == std::nullopt);
    CHECK(tokenizer.id_of("\xFF") == std::nullopt);
}

TEST_CASE("an unknown word is left out, one unknown token, or its known characters; unknown punctuation is left out") {
    const Words words{"<unk>", "a", "b", "c", "手", "é"};
    const std::string_view text = "abé! x a 手纸, b-zz";
    CHECK(cut(make(words), text) == Strings{"a", "手", "b"});
    const auto row = make(words, {.unknown = UnknownWord::row, .unknown_id = 0});
    CHECK(words_of(words, row, text) == Strings{"<unk>", "<unk>", "a", "手", "<unk>", "b", "<unk>"});
    CHECK(cut(make(words, {.unknown = UnknownWord::characters}), text) == Strings{"a", "b", "é", "a", "手", "b"});
}

TEST_CASE("stop words are left out, known or not, and longest match knows them; offsets and word indices stay") {
    const Words words{"the", "phone", "case", "的士", "手机", "我", "x", "The"};
    const Words stop{"the", "of", "的", "我们", "of"};
    const auto tokenizer =
        make(words, {.lowercase = true, .unknown = UnknownWord::row, .unknown_id = 6, .stop_words = stop});
    CHECK(cut(tokenizer, "The case OF the phone") == Strings{"case", "phone"});
    CHECK(tokenizer.encode("The case OF the phone")->offsets[1].begin == 16);
    CHECK(tokenizer.encode("The case OF the phone")->words[1] == 4);
    CHECK(cut(tokenizer, "我们的手机 我的士") == Strings{"手机", "我", "的士"});
    CHECK(cut(tokenizer, "off") == Strings{"off"});  // unknown, and no stop word
    CHECK(cut(make(words, {.stop_words = stop}), "The the phone") == Strings{"The", "phone"});  // as it stands
    check_error(WordTokenizer::create(words, {.stop_words = Words{"a", ""}}), ErrorCode::invalid_argument,
                "stop word 1");
    check_error(WordTokenizer::create(words, {.stop_words = Words{"\xFF"}}), ErrorCode::invalid_text, "stop word 0");
}

TEST_CASE("empty texts and texts without known words have no tokens, and max_length cuts") {
    const Words words{"a", "b"};
    const auto tokenizer = make(words);
    for (const std::string_view text : {"", " ", "\n\t", "x y z", "!?"}) CHECK(cut(tokenizer, text).empty());
    Encoding out;
    REQUIRE(tokenizer.encode("a b a b-a-b", {.max_length = 4}, out).ok());
    CHECK(out.size() == 4);
    REQUIRE(tokenizer.encode("a b", {.max_length = 0}, out).ok());
    CHECK(out.size() == 0);
}

TEST_CASE("a text that is not UTF-8 is an error with the byte's offset, and leaves nothing behind") {
    const Words words{"a"};
    const auto tokenizer = make(words);
    Encoding out;
    REQUIRE(tokenizer.encode("a", {}, out).ok());
    check_error(tokenizer.encode("a \xFF", {}, out), ErrorCode::invalid_text, "byte 2");
    CHECK(out.size() == 0);
    for (const std::string_view broken : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE6\x89", "a\x80"})
        CHECK_FALSE(tokenizer.encode(broken, {}, out).ok());
}

TEST_CASE("vocabularies that are empty, ambiguous or broken are errors that name the word") {
    check_error(WordTokenizer::create(Words{}, {}), ErrorCode::invalid_argument, "empty");
    check_error(WordTokenizer::create(Words{"a", "b", "a"}, {}), ErrorCode::invalid_argument, "\"a\" stands twice");
    check_error(WordTokenizer::create(Words{"a", ""}, {}), ErrorCode::invalid_argument, "word 1 is empty");
    check_error(WordTokenizer::create(Words{"a", "\xFF"}, {}), ErrorCode::invalid_text, "word 1");
    check_error(WordTokenizer::create(Words{"a"}, {.unknown = UnknownWord::row, .unknown_id = 1}),
                ErrorCode::invalid_argument, "id 1");
    check_error(WordTokenizer::create(Words{"a"}, {.unknown = UnknownWord::row}), ErrorCode::invalid_argument, "-1");
}

TEST_CASE("a vocabulary of the cut is found whatever its words look like: punctuation, spaces, another normal form") {
    const Words words{"οδος",   "café", "it's", "u.s.",     "node.js", "<user>",
                      "and/or", "20%",  "c++",  "new york", "c",       "new"};
    const auto tokenizer = make(words, {.lowercase = true, .cut = WordCut::vocabulary});
    const std::string_view texts[]{"ΟΔΟΣ", "cafe\xCC\x81", "it\xE2\x80\x99s", "U.S.", "Node.js", "<User>", "and/or",
                                   "20%",  "C++",          "New \n York"};
    for (std::size_t t = 0; t < std::size(texts); ++t) {
        CAPTURE(texts[t]);
        CHECK(tokenizer.encode(texts[t])->ids == std::vector<std::int32_t>{static_cast<std::int32_t>(t)});
        CHECK(cut(tokenizer, texts[t]) == Strings{std::string(texts[t])});
    }
    CHECK(words_of(words, tokenizer, "(C++, c) in New York: 20%.") == Strings{"c++", "c", "new york", "20%"});
    CHECK(words_of(words, tokenizer, "new u.s.-made, xc++") == Strings{"new", "u.s."});
    CHECK(tokenizer.id_of("CAFÉ") == 1);
    CHECK(tokenizer.id_of(" New  York") == 9);
    CHECK(cut(make(words, {.lowercase = true}), "U.S. C++") == Strings{"C"});  // the rules of before
}

TEST_CASE(
    "by the vocabulary the longest word wins, no word ends within another or at a joint, and the rest is by rules") {
    const Words words{"a",  "a b", "a b c", "b", "well", "well-", "made",  "'s", "dog",
                      "it", "1.5", "1",     "5", "手机", "手",    "机 壳", "-"};
    const auto tokenizer = make(words, {.cut = WordCut::vocabulary});
    CHECK(cut(tokenizer, "a b cc a b c") == Strings{"a b", "a b c"});
    CHECK(cut(tokenizer, "well-made well- a-b") == Strings{"well", "made", "well-", "a", "b"});
    CHECK(cut(tokenizer, "- dog's it'x 1.5 1.55 1,5") == Strings{"-", "dog", "'s", "it", "1.5", "1", "1", "5"});
    CHECK(cut(tokenizer, "手机手 机 壳") == Strings{"手机", "手", "机 壳"});
    const auto encoding = tokenizer.encode("x well-made dog's b");
    REQUIRE(encoding.ok());
    CHECK(encoding->words == std::vector<std::int32_t>{1, 1, 2, 2, 3});
    CHECK(encoding->offsets[3] == TokenSpan{15, 17});
    const auto row = make(words, {.unknown = UnknownWord::row, .unknown_id = 0, .cut = WordCut::vocabulary});
    CHECK(cut(row, "xx-yy 无!") == Strings{"xx", "yy", "无"});
    const auto characters = make(words, {.unknown = UnknownWord::characters, .cut = WordCut::vocabulary});
    CHECK(cut(characters, "axb 机") == Strings{"a", "b"});
}

TEST_CASE("of words that differ in their form alone the one that stands there is meant, else the first") {
    const Words words{"caf\u00E9", "cafe\u0301", "it\u2019s", "it's", "e\u0301", "new\u00A0york", "\u200B"};
    const auto tokenizer = make(words, {.cut = WordCut::vocabulary});
    for (std::size_t w = 0; w < 5; ++w)
        CHECK(tokenizer.encode(words[w])->ids == std::vector<std::int32_t>{static_cast<std::int32_t>(w)});
    CHECK(tokenizer.encode("\u00E9 new york")->ids == std::vector<std::int32_t>{4, 5});
    CHECK(tokenizer.encode(" \u200B ")->ids.empty());  // nothing but what separates words
    const Words marks{"a\u0323\u0307"};                // in either order the same
    CHECK(cut(make(marks, {.cut = WordCut::vocabulary}), "a\u0307\u0323 b") == Strings{"a\u0307\u0323"});
    const auto characters = make({"e", "é"}, {.unknown = UnknownWord::characters, .cut = WordCut::vocabulary});
    CHECK(characters.encode("xe\u0301e\u0300x")->ids == std::vector<std::int32_t>{1, 0});
}

TEST_CASE("by the vocabulary stop words are words of the longest match, folded too") {
    const Words words{"the who", "who", "phone", "it\u2019s", "u.s.", "of"};
    const auto tokenizer = make(
        words, {.lowercase = true, .stop_words = Words{"the", "who", "it's", "the u.s."}, .cut = WordCut::vocabulary});
    CHECK(cut(tokenizer, "The phone of THE  WHO, who IT\u2019S. The U.S. u.s.") ==
          Strings{"phone", "of", "THE  WHO", "u.s."});
}

TEST_CASE(
    "cut at white space as sentence-transformers' WhitespaceTokenizer: as it is, without punctuation, lower-cased") {
    const Words words{"phone", "Phone", "(x)", "x", "a.b", "οδος", "the-red"};
    const auto tokenizer = make(words, {.stop_words = Words{"The", "stop", "!"}, .cut = WordCut::whitespace});
    CHECK(words_of(words, tokenizer, "Phone PHONE \"phone\", (x) (x. a.b! ! The STOP stop-phone The-Red\x1Fx") ==
          Strings{"Phone", "phone", "phone", "(x)", "x", "a.b", "the-red", "x"});
    CHECK(cut(tokenizer, " «phone» (PHONE).") == Strings{"PHONE"});  // ASCII punctuation alone
    CHECK(tokenizer.encode("a.b b phone")->words == std::vector<std::int32_t>{0, 2});
    CHECK(words_of(words, tokenizer, "ΟΔΟΣ") == Strings{"οδος"});
    const auto lower = make(words, {.lowercase = true, .cut = WordCut::whitespace});
    CHECK(words_of(words, lower, "PHONE ΟΔΟΣ, The-RED") == Strings{"phone", "οδος", "the-red"});
    check_error(WordTokenizer::create(words, {.unknown = UnknownWord::characters, .cut = WordCut::whitespace}),
                ErrorCode::invalid_argument, "left out");
}

TEST_CASE("a word has at most max_token_bytes, so that no vocabulary makes long texts slow") {
    const std::string longest(max_token_bytes, 'a'), longer = longest + 'a';
    for (const WordCut rule : {WordCut::rules, WordCut::vocabulary, WordCut::whitespace}) {
        CHECK(cut(make({longest}, {.cut = rule}), longest) == Strings{longest});
        check_error(WordTokenizer::create(Words{"a", longer}, {.cut = rule}), ErrorCode::unsupported,
                    "word 1 has 1025 bytes");
        check_error(WordTokenizer::create(Words{"a"}, {.stop_words = Words{longer}, .cut = rule}),
                    ErrorCode::unsupported, "stop word 0 has 1025 bytes");
    }
}

TEST_CASE("every word of a vocabulary of whole words is found again, byte 0 and spaces inside included") {
    const Words words{"a", "ab", "abc", "手", "手机", "c++", {"z\0z", 3}, "New_York"};
    const auto tokenizer = make(words);
    for (std::size_t w = 0; w < words.size(); ++w) CHECK(tokenizer.id_of(words[w]) == static_cast<std::int32_t>(w));
    CHECK(cut(tokenizer, "New_York abc 手机 ab") == Strings{"New_York", "abc", "手机", "ab"});
    CHECK(tokenizer.vocabulary_size() == words.size());
    CHECK(tokenizer.memory() > 0);
}
