// Encoding asks for no memory once its Encoding has grown.
#include <doctest/doctest.h>

#include <filesystem>

#include "counting_heap.hpp"
#include "oracle_cases.hpp"

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
