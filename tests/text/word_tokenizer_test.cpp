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

TEST_CASE("every word of a vocabulary of whole words is found again, byte 0 and spaces inside included") {
    const Words words{"a", "ab", "abc", "手", "手机", "c++", {"z\0z", 3}, "New_York"};
    const auto tokenizer = make(words);
    for (std::size_t w = 0; w < words.size(); ++w) CHECK(tokenizer.id_of(words[w]) == static_cast<std::int32_t>(w));
    CHECK(cut(tokenizer, "New_York abc 手机 ab") == Strings{"New_York", "abc", "手机", "ab"});
    CHECK(tokenizer.vocabulary_size() == words.size());
    CHECK(tokenizer.memory() > 0);
}
