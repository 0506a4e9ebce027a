// Encoding asks for no memory once its Encoding has grown.
#include <doctest/doctest.h>

#include <filesystem>

#include "counting_heap.hpp"
#include "oracle_cases.hpp"
#include "ranklet/text/word_tokenizer.hpp"

using namespace ranklet;

TEST_CASE("encoding touches no heap from the second time on: fast text, reordered marks, added tokens, pairs, cuts") {
    const std::filesystem::path folder = std::filesystem::path(__FILE__).parent_path() / "goldens";
    const char* texts[] = {"hello <s> New York é手机 \u302E\u0301 [MASK]", "unaffable", "한", "", "a\u0301\u302Eb NEW"};
    for (const char* name : {"tiny-15.tokenizer", "tiny-added.tokenizer"}) {
        CAPTURE(name);
        const WordPiece tokenizer = oracle::read_tokenizer(folder / name).value();
        Encoding out;
        const auto encode_all = [&] {
            const std::size_t before = heap_requests;
            std::size_t failed = 0;
            for (const char* a : texts) {
                failed += !tokenizer.encode(a, {}, out).ok();
                for (const char* b : texts) {
                    failed += !tokenizer.encode_pair(a, b, {.max_length = 8}, out).ok();
                    failed += !tokenizer.encode_pair(a, b, {.add_special_tokens = false}, out).ok();
                }
            }
            const std::size_t asked = heap_requests - before;
            CHECK(failed == 0);
            return asked;
        };
        CHECK(encode_all() > 0);
        CHECK(encode_all() == 0);
    }
}

TEST_CASE("cutting into words touches no heap from the second time on, by any rule") {
    const std::string_view words[]{"new york", "café", "c++", "手机", "it's", "x", "e"};
    const char* texts[] = {"New  York cafe\u0301 C++ 手机壳", "", "IT\u2019S \"x\" xe\u0323\u0301\u0302x ΟΔΟΣ",
                           "a-b's"};
    for (const WordCut cut : {WordCut::rules, WordCut::vocabulary, WordCut::whitespace}) {
        const auto unknown = cut == WordCut::whitespace ? UnknownWord::skip : UnknownWord::characters;
        const auto tokenizer =
            WordTokenizer::create(words, {.lowercase = true, .unknown = unknown, .cut = cut}).value();
        Encoding out;
        const auto encode_all = [&] {
            const std::size_t before = heap_requests;
            for (const char* text : texts)
                if (!tokenizer.encode(text, {}, out).ok()) return before + 1;
            return heap_requests - before;
        };
        CHECK(encode_all() > 0);
        CHECK(encode_all() == 0);
    }
}
