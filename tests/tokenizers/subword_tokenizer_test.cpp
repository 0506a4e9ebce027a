// SubwordTokenizer's own behaviour: what it is made of, what it refuses, and the few rules that have no other test.
#include "ranklet/text/subword_tokenizer.hpp"

#include <doctest/doctest.h>

#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

using namespace ranklet;

namespace {

using Normalizer = NormalizerStep::Kind;
using PreTokenizer = PreTokenizerStep::Kind;

UnigramConfig unigram(std::size_t tokens) {
    UnigramConfig model;
    model.unk_id = 0;
    for (std::size_t i = 0; i < tokens; ++i) model.scores.push_back(i == 0 ? 0.0 : -1.0 - static_cast<double>(i));
    return model;
}

SubwordConfig config_of(std::size_t tokens) {
    SubwordConfig config;
    config.model = unigram(tokens);
    return config;
}

Result<SubwordTokenizer> make(std::initializer_list<std::string_view> tokens, SubwordConfig config) {
    return SubwordTokenizer::create(tokens, std::move(config));
}

std::string error_of(std::initializer_list<std::string_view> tokens, SubwordConfig config) {
    const auto made = make(tokens, std::move(config));
    return made.ok() ? "none" : made.error().message;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string charsmap(const std::vector<std::uint32_t>& units, std::string_view replacements) {
    std::string out;
    const auto put = [&](std::size_t word) {
        for (unsigned shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(word >> shift & 0xFF));
    };
    put(units.size() * 4);
    for (const std::uint32_t unit : units) put(unit);
    return out.append(replacements);
}

}  // namespace

TEST_CASE("a pattern that has no scanner is refused, and shown") {
    SubwordConfig config = config_of(2);
    config.pre_tokenizers = {{.kind = PreTokenizer::split_regex, .pattern = R"([a-z]+\d)"}};
    CHECK(has(error_of({"<unk>", "a"}, config), R"([a-z]+\d)"));
    config = config_of(2);
    NormalizerStep step;
    step.kind = Normalizer::replace_regex;
    step.pattern = "(?<!x)y";
    config.normalizers = {step};
    CHECK(has(error_of({"<unk>", "a"}, config), "(?<!x)y"));
}

TEST_CASE("what a tokenizer is made of has to fit together") {
    CHECK(has(error_of({}, config_of(0)), "empty"));
    CHECK(has(error_of({"<unk>", "a"}, config_of(1)), "1 scores for 2"));
    SubwordConfig config = config_of(2);
    std::get<UnigramConfig>(config.model).unk_id = 2;
    CHECK(has(error_of({"<unk>", "a"}, config), "unk id 2"));
    config = config_of(2);
    std::get<UnigramConfig>(config.model).scores[1] = std::numeric_limits<double>::quiet_NaN();
    CHECK(has(error_of({"<unk>", "a"}, config), "score of piece 1"));
    config = config_of(2);
    config.single = {{5, 0}, {TemplatePart::first_text, 0}};
    CHECK(has(error_of({"<unk>", "a"}, config), "id 5"));
    config.single = {{1, 0}};
    CHECK(has(error_of({"<unk>", "a"}, config), "first text 0 times"));
    config.single = {{TemplatePart::first_text, 0}, {TemplatePart::second_text, 0}};
    CHECK(has(error_of({"<unk>", "a"}, config), "second 1 times"));
    config = config_of(2);
    config.added_tokens = {{1, "b", false, false, false, false, false}};
    CHECK(has(error_of({"<unk>", "a"}, config), "is 'a' in the vocabulary"));
    config.added_tokens = {{7, "b", false, false, false, false, false}};
    CHECK(has(error_of({"<unk>", "a"}, config), "not in a vocabulary of 2"));
    config = config_of(2);
    config.model_tokens = 3;
    CHECK(has(error_of({"<unk>", "a"}, config), "3 of 2"));
    config = config_of(2);
    config.model = BpeConfig{.merges = {{0, 1}}};
    CHECK(has(error_of({"a", "b"}, config), "'ab', which is no token"));
    config.model = BpeConfig{.merges = {{0, 2}}};
    CHECK(has(error_of({"a", "b"}, config), "tokens 0 and 2 of 2"));
    CHECK(has(error_of({"\xFF", "b"}, config_of(2)), "token 0 is not UTF-8"));
}

TEST_CASE("a damaged charsmap is refused or does nothing, but is never read beyond its end") {
    const auto with = [](std::string blob) {
        SubwordConfig config = config_of(2);
        NormalizerStep step;
        step.kind = Normalizer::precompiled;
        step.content = std::move(blob);
        config.normalizers = {step};
        return make({"<unk>", "a"}, std::move(config));
    };
    for (const std::string& blob :
         {std::string(), std::string("\1\0\0\0x", 5), charsmap({}, "x"), std::string("\xFC\xFF\xFF\xFF", 4)})
        CHECK(with(blob).error().code == ErrorCode::invalid_argument);
    CHECK(with(charsmap({0}, "\xC3")).error().code == ErrorCode::invalid_text);
    std::uint32_t state = 1;
    for (int round = 0; round < 2000; ++round) {  // any units at all
        std::vector<std::uint32_t> units;
        for (int i = 0; i < 40; ++i) {
            state = state * 1664525u + 1013904223u;
            units.push_back(i % 3 == 0 ? state : (state >> 8 & 0x1FF) | (state >> 20) << 10);
        }
        const auto made = with(charsmap(units, "\xC3\xA9"));
        REQUIRE(made.ok());
        Encoding out;
        CHECK(made->encode("a\x01\x02 b\xC3\xA9 \xE6\x89\x8B\r\n\x03", {}, out).ok());
    }
}

TEST_CASE("an unknown word is one token, and its bytes where there are pieces for them") {
    std::vector<std::string> tokens{"<unk>", "a"};
    SubwordConfig config = config_of(2);
    const auto whole = SubwordTokenizer::create(tokens, config).value();
    const auto encoding = whole.encode("xya\xE6\x89\x8B").value();
    CHECK(encoding.ids == std::vector<std::int32_t>{0, 1, 0});
    CHECK(encoding.offsets[0] == TokenSpan{0, 2});
    CHECK(encoding.offsets[2] == TokenSpan{3, 6});
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (unsigned byte = 0; byte < 256; ++byte)
        tokens.push_back(std::string("<0x") + digits[byte >> 4] + digits[byte & 15] + ">");
    config = config_of(tokens.size());
    std::get<UnigramConfig>(config.model).byte_fallback = true;
    const auto bytes = SubwordTokenizer::create(tokens, config).value().encode("x\xE6\x89\x8B").value();
    CHECK(bytes.ids == std::vector<std::int32_t>{2 + 'x', 2 + 0xE6, 2 + 0x89, 2 + 0x8B});
    CHECK(bytes.offsets[3] == TokenSpan{0, 4});  // all of what is unknown, as tokenizers has it
}

TEST_CASE("of cuts with the same score the one whose last piece begins first is taken") {
    SubwordConfig config;
    config.model = UnigramConfig{{-9.0, -1.0, -1.0, -2.0, -1.0}, 0, false};
    const auto tokenizer = make({"<unk>", "a", "b", "ab", "c"}, config).value();
    CHECK(tokenizer.encode("ab")->ids == std::vector<std::int32_t>{3});
    CHECK(tokenizer.encode("abc")->ids == std::vector<std::int32_t>{3, 4});
}

TEST_CASE("long words are merged as short ones are, in time in proportion to n log n") {
    SubwordConfig config;
    config.model = BpeConfig{.merges = {{0, 0}, {2, 2}, {0, 1}}};
    const auto tokenizer = make({"a", "b", "aa", "aaaa", "ab"}, config).value();
    CHECK(tokenizer.encode("aaaaab")->ids == std::vector<std::int32_t>{3, 4});
    CHECK(tokenizer.encode("aaab")->ids == std::vector<std::int32_t>{2, 4});
    const std::string many(400001, 'a');
    const auto encoding = tokenizer.encode(many + "b").value();
    CHECK(encoding.size() == 100001);
    CHECK(encoding.ids.front() == 3);
    CHECK(encoding.ids.back() == 4);
    CHECK(encoding.offsets.back() == TokenSpan{400000, 400002});
}

TEST_CASE("a text that is not UTF-8 or too long, and a limit without room, are errors that leave nothing behind") {
    SubwordConfig config = config_of(2);
    config.single = {{1, 0}, {TemplatePart::first_text, 0}, {1, 0}};
    const auto tokenizer = make({"<unk>", "a"}, config).value();
    Encoding out;
    REQUIRE(tokenizer.encode("a", {}, out).ok());
    CHECK(out.size() == 3);
    const auto wrong = tokenizer.encode("a\xFF", {}, out);
    CHECK(wrong.error().code == ErrorCode::invalid_text);
    CHECK(has(wrong.error().message, "byte 1"));
    CHECK(out.size() == 0);
    CHECK(tokenizer.encode("a", {.max_length = 1}, out).error().code == ErrorCode::invalid_argument);
    CHECK(SubwordTokenizer().encode("a", {}, out).error().code == ErrorCode::invalid_argument);
    CHECK(tokenizer.encode("aaaa", {.max_length = 4}, out).ok());
    CHECK(out.ids == std::vector<std::int32_t>{1, 1, 1, 1});
    const SpecialTokens special = tokenizer.special_tokens();
    CHECK(special.before == 1);
    CHECK(special.after == 1);
    CHECK(special.pair() == 0);
}
