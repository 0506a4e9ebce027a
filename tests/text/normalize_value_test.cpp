// One spelling for texts that differ in case, in the form of their accents or in white space.
#include "ranklet/text/normalize_value.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace ranklet;

namespace {

std::string normal(std::string_view text) {
    const auto value = normalize_value(text);
    REQUIRE(value.ok());
    return *value;
}

void append(std::string& out, std::uint32_t code) {
    char bytes[4];
    out.append(bytes, utf8::encode(code, bytes));
}

}  // namespace

TEST_CASE("case, accents' form and white space make no difference, all else does") {
    CHECK(normal("Caf\u0065\u0301") == "caf\u00E9");
    CHECK(normal("CAF\u00C9") == "caf\u00E9");
    CHECK(normal("\u039F\u0394\u039F\u03A3") == "\u03BF\u03B4\u03BF\u03C2");  // a final sigma
    CHECK(normal("\u03BF\u03B4\u03CC\u03C2") == normal("\u039F\u0394\u039F\u0301\u03A3"));
    CHECK(normal("\u212B") == "\u00E5");                // the angstrom sign is a letter with a ring
    CHECK(normal("q\u0307\u0323") == "q\u0323\u0307");  // marks in their order
    CHECK(normal("s\u0307\u0323") == "\u1E69");         // and joined one after the other
    CHECK(normal("\u1112\u1161\u11AB") == "\uD55C");    // jamo
    CHECK(normal("\uD558\u11AB") == "\uD55C");          // a syllable and a jamo
    CHECK(normal("\u0958") == "\u0915\u093C");          // excluded from composition
    CHECK(normal("\u2009red\u00A0\t shoes\u3000") == "red shoes");
    CHECK(normal("cafe") != normal("caf\u00E9"));
    CHECK(normal("\uFF37i-Fi") == "\uFF57i-fi");  // full-width forms stay
    CHECK(normal("\u0301") == "\u0301");          // a mark without a letter
    CHECK_FALSE(normalize_value("\xFF").ok());
}

TEST_CASE("every code point and its decomposition have one spelling, which is its own") {
    std::size_t wrong = 0, apart = 0;
    for (std::uint32_t code = 0; code < 0x110000; ++code) {
        if (code >= 0xD800 && code < 0xE000) continue;
        const unicode::Expansion parts = unicode::decompose(code);
        std::string whole = "a", decomposed = "a";
        append(whole, code);
        for (std::uint32_t i = 0; i < parts.size; ++i) append(decomposed, parts.codes[i]);
        const std::string value = normal(whole);
        if (value != normal(decomposed) || value != normal(value)) ++wrong;
        apart += whole != decomposed;
    }
    CHECK(wrong == 0);
    CHECK(apart == 11172 + 2060);
}
