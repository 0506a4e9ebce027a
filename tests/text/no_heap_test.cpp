// Encoding asks for no memory once its Encoding has grown. This file's operator new is the whole program's.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <new>

#include "oracle_cases.hpp"

// Not inlined: g++ takes an inlined `free` in a `delete` for a mistake.
static std::atomic<std::size_t> requests = 0;
[[gnu::noinline]] void* operator new(std::size_t size) {
    ++requests;
    if (void* memory = std::malloc(size != 0 ? size : 1)) return memory;
    std::abort();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using namespace ranklet;

TEST_CASE("encoding touches no heap from the second time on: fast text, reordered marks, added tokens, pairs, cuts") {
    const std::filesystem::path folder = std::filesystem::path(__FILE__).parent_path() / "goldens";
    const char* texts[] = {"hello <s> New York é手机 \u302E\u0301 [MASK]", "unaffable", "한", "", "a\u0301\u302Eb NEW"};
    for (const char* name : {"tiny-15.tokenizer", "tiny-added.tokenizer"}) {
        CAPTURE(name);
        const WordPiece tokenizer = oracle::read_tokenizer(folder / name).value();
        Encoding out;
        const auto encode_all = [&] {
            const std::size_t before = requests;
            std::size_t failed = 0;
            for (const char* a : texts) {
                failed += !tokenizer.encode(a, {}, out).ok();
                for (const char* b : texts) {
                    failed += !tokenizer.encode_pair(a, b, {.max_length = 8}, out).ok();
                    failed += !tokenizer.encode_pair(a, b, {.add_special_tokens = false}, out).ok();
                }
            }
            const std::size_t asked = requests - before;
            CHECK(failed == 0);
            return asked;
        };
        CHECK(encode_all() > 0);
        CHECK(encode_all() == 0);
    }
}
