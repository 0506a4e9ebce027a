// UTF-8 validation, and byte offsets as code point offsets.
#include "ranklet/text/utf8.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "ranklet/text/encoding.hpp"

using namespace ranklet;

TEST_CASE("every code point survives encoding, validation and decoding, and surrogates do not validate") {
    for (std::uint32_t code = 0; code < 0x110000; ++code) {
        char bytes[5] = {};
        const std::uint32_t length = utf8::encode(code, bytes);
        const std::string_view text(bytes, length);
        const bool surrogate = code >= 0xD800 && code < 0xE000;
        std::uint32_t read = 0;
        const std::uint32_t decoded = utf8::decode(reinterpret_cast<const unsigned char*>(bytes), read);
        const bool right = surrogate ? utf8::valid_prefix(text) == 0
                                     : utf8::valid_prefix(text) == length && decoded == code && read == length &&
                                           utf8::last_before(text, length) == code;
        if (!right) FAIL("code point " << code);
    }
}

TEST_CASE("validation finds the first bad byte wherever it lies among the eight that are read at once") {
    for (std::size_t size = 1; size < 40; ++size)
        for (std::size_t bad = 0; bad < size; ++bad) {
            std::string text(size, 'x');
            CHECK(utf8::valid_prefix(text) == size);
            text[bad] = '\xFE';
            CHECK(utf8::valid_prefix(text) == bad);
            text[bad] = '\xC3';  // a lead byte whose trail is missing
            CHECK(utf8::valid_prefix(text) == bad);
        }
}

TEST_CASE("two-byte sequences validate exactly when the lead and the trail byte allow it") {
    std::size_t valid = 0;
    for (int lead = 0x80; lead < 0x100; ++lead)
        for (int trail = 0; trail < 0x100; ++trail) {
            const char bytes[] = {static_cast<char>(lead), static_cast<char>(trail)};
            if (utf8::valid_prefix({bytes, 2}) == 2) ++valid;
        }
    CHECK(valid == 30 * 64);  // C2 to DF, 80 to BF: U+0080 to U+07FF
}

TEST_CASE("byte offsets become code point offsets, also where spans repeat, overlap or go back") {
    const std::string text = "a手é😀b";
    std::vector<TokenSpan> spans = {{0, 1}, {1, 4}, {1, 4}, {4, 6}, {4, 10}, {10, 11}, {0, 0}, {0, 11}};
    to_code_point_offsets(text, spans).value();
    CHECK(spans == std::vector<TokenSpan>{{0, 1}, {1, 2}, {1, 2}, {2, 3}, {2, 4}, {4, 5}, {0, 0}, {0, 5}});
    std::vector<TokenSpan> outside = {{0, 1}, {4, 12}};
    const auto done = to_code_point_offsets(text, outside);
    REQUIRE(!done.ok());
    CHECK(done.error().message == "span 1, [4, 12), is not inside a text of 11 bytes");
    std::vector<TokenSpan> backwards = {{3, 1}};
    CHECK(!to_code_point_offsets(text, backwards).ok());
}
