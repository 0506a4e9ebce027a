// Lower case of whole texts against Python's str.lower, over every code point, and the way back to the text's bytes.
#include "ranklet/text/lower.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

using namespace ranklet;
using detail::LoweredText;

namespace {

std::string utf8_of(const std::vector<std::uint32_t>& codes) {
    std::string out;
    for (const std::uint32_t code : codes) {
        char bytes[4];
        out.append(bytes, utf8::encode(code, bytes));
    }
    return out;
}

std::string lower(const std::string& text) {
    LoweredText lowered;
    lowered.assign(text);
    return std::string(lowered.text());
}

std::uint32_t context_of(std::uint32_t code) {
    const std::string sigma = "\xCE\xA3", final_sigma = "\xCF\x82", c = utf8_of({code});
    const auto ends = [&](const std::string& text) { return lower(text).ends_with(final_sigma); };
    const auto second = [&](const std::string& text) { return lower(text).substr(1, 2) == final_sigma; };
    return (ends(c + sigma) ? 1u : 0u) | (ends("a" + c + sigma) ? 2u : 0u) | (second("a" + sigma + c) ? 4u : 0u) |
           (second("a" + sigma + c + "a") ? 8u : 0u);
}

}  // namespace

TEST_CASE("every code point, alone and around a capital sigma, and random texts are as Python's str.lower has them") {
    std::ifstream file(std::filesystem::path(__FILE__).parent_path() / "goldens" / "lower.txt");
    REQUIRE(file.good());
    std::vector<std::uint32_t> known;
    std::vector<std::string> lowered(0x110000);
    std::size_t texts = 0, wrong = 0;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string kind;
        words >> kind >> std::hex;
        if (kind == "context") {
            std::uint32_t first = 0, last = 0, bits = 0;
            words >> first >> last >> bits;
            for (std::uint32_t code = first; code <= last; ++code) {
                known.push_back(code);
                if (context_of(code) != bits && wrong++ == 0) MESSAGE("context of code point " << code);
            }
        } else if (kind == "lower") {
            std::uint32_t code = 0;
            words >> code;
            std::vector<std::uint32_t> codes;
            for (std::uint32_t next = 0; words >> next;) codes.push_back(next);
            lowered[code] = utf8_of(codes);
        } else if (kind == "text") {
            std::vector<std::uint32_t> sides[2];
            std::size_t side = 0;
            for (std::string word; words >> word;) {
                if (word == "/")
                    ++side;
                else
                    sides[side].push_back(static_cast<std::uint32_t>(std::stoul(word, nullptr, 16)));
            }
            ++texts;
            CHECK(lower(utf8_of(sides[0])) == utf8_of(sides[1]));
        }
    }
    for (const std::uint32_t code : known) {
        const std::string own = utf8_of({code});
        if (lower(own) != (lowered[code].empty() ? own : lowered[code]) && wrong++ == 0)
            MESSAGE("lower case of code point " << code);
    }
    CHECK(wrong == 0);
    CHECK(known.size() > 280000);
    CHECK(texts == 500);
}

TEST_CASE("bytes of the lower case lead back to the text's, where characters change their length as well") {
    LoweredText lowered;
    //                   0      2       4  5           8  9
    const std::string text =
        "\xC4\xB0\xC8\xBA"
        "B"
        "\xE2\x84\xAA"
        "Z"
        "\xCE\xA3";  // İ, Ⱥ, B, Kelvin sign, Z, Σ
    lowered.assign(text);
    REQUIRE(lowered.text() ==
            "i\xCC\x87"
            "\xE2\xB1\xA5"
            "b"
            "k"
            "z"
            "\xCF\x82");
    CHECK(lowered.original({0, 3}) == TokenSpan{0, 2});
    CHECK(lowered.original({0, 1}) == TokenSpan{0, 2});  // a part of İ is all of it
    CHECK(lowered.original({1, 3}) == TokenSpan{0, 2});
    CHECK(lowered.original({3, 6}) == TokenSpan{2, 4});
    CHECK(lowered.original({6, 7}) == TokenSpan{4, 5});
    CHECK(lowered.original({7, 8}) == TokenSpan{5, 8});
    CHECK(lowered.original({8, 9}) == TokenSpan{8, 9});
    CHECK(lowered.original({9, 11}) == TokenSpan{9, 11});
    CHECK(lowered.original({0, 11}) == TokenSpan{0, 11});
    CHECK(lowered.original({0, 0}) == TokenSpan{0, 0});
    lowered.assign("PLAIN");
    CHECK(lowered.text() == "plain");
    CHECK(lowered.original({1, 5}) == TokenSpan{1, 5});
}
