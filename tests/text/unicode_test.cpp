// The Unicode tables: properties that hold whatever their version, and the versions themselves where they differ.
#include "ranklet/text/unicode.hpp"

#include <doctest/doctest.h>

using namespace ranklet;

TEST_CASE("white space is the 25 characters of the Unicode property White_Space") {
    std::size_t count = 0;
    for (std::uint32_t code = 0; code < 0x110000; ++code) count += unicode::is_space(code);
    CHECK(count == 25);
    CHECK(unicode::is_space(0x3000));
    CHECK(!unicode::is_space(0x200B));
    CHECK(!unicode::is_space(0x180E));
}

TEST_CASE("decompositions are full: no part decomposes further") {
    std::size_t decomposed = 0;
    for (std::uint32_t code = 0; code < 0x110000; ++code) {
        const unicode::Expansion parts = unicode::decompose(code);
        if (parts.size == 1 && parts.codes[0] == code) continue;
        ++decomposed;
        for (std::uint32_t i = 0; i < parts.size; ++i) {
            const unicode::Expansion again = unicode::decompose(parts.codes[i]);
            if (again.size != 1 || again.codes[0] != parts.codes[i]) FAIL("code point " << code);
        }
    }
    CHECK(decomposed == 11172 + 2060);  // Hangul syllables, and Unicode 9.0's others
}

TEST_CASE("decomposition knows singletons, long ones and Hangul") {
    CHECK(unicode::decompose(0x212B).size == 2);  // angstrom: A, ring
    CHECK(unicode::decompose(0x212B).codes[0] == 'A');
    CHECK(unicode::decompose(0x1F82).size == 4);
    CHECK(unicode::decompose(0xD55C).codes[2] == 0x11AB);
    CHECK(unicode::decompose(0xAC00).size == 2);
    CHECK(unicode::decompose(0x37E).codes[0] == ';');
}

TEST_CASE("lower case is context-free and of the newest version, categories are of version 8") {
    CHECK(unicode::lower('A').codes[0] == 'a');
    CHECK(unicode::lower(0x3A3).codes[0] == 0x3C3);
    CHECK(unicode::lower(0x130).size == 2);
    CHECK(unicode::lower(0x1E9E).codes[0] == 0xDF);
    CHECK(unicode::lower(0xA7CE).codes[0] == 0xA7CF);                         // Unicode 17
    CHECK(unicode::lower(0x16EA0).codes[0] == 0x16EBB);                       // Unicode 17
    CHECK((unicode::record(0x2E4F).flags & unicode::punctuation_flag) == 0);  // punctuation since 12
    CHECK((unicode::record(0x166D).flags & unicode::punctuation_flag) != 0);  // until 11
    CHECK((unicode::record(0x1E000).flags & unicode::nonspacing_flag) == 0);  // nonspacing since 9
    CHECK(unicode::record(0x1E000).combining == 230);                         // combining in 9
    CHECK(unicode::is_word(0x2EBF0));                                         // Unicode 15.1
}
