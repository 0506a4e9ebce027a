// WordPiece's behaviour, trap by trap, on a small vocabulary.
#include "ranklet/text/wordpiece.hpp"

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

#include "threads.hpp"

using namespace ranklet;

namespace {

const std::vector<std::string_view> vocabulary = {
    "[PAD]", "[UNK]", "[CLS]",    "[SEP]", "[MASK]", "hello",    "world",    "kanto",  "un",      "##aff", "##able",
    "a",     "##a",   "b",        "##b",   "!",      ",",        "手",       "机",     "的",      "s",     "σ",
    "##σ",   "##ς",   "i",        "##i",   "\u1112", "##\u1161", "##\u11AB", "kant",   "Kant",    "é",     "##é",
    "😀",    "cafe",  "##\u0307", "é́",     "x",      "##x",      "豈",       "\u302E", "##\u302E"};

AddedToken special_token(std::int32_t id) { return {id, std::string(vocabulary[static_cast<std::size_t>(id)]), true}; }

WordPieceConfig plain_config() {
    WordPieceConfig config;
    config.pad_id = 0;
    config.unk_id = 1;
    config.cls_id = 2;
    config.sep_id = 3;
    config.mask_id = 4;
    for (std::int32_t id = 0; id < 5; ++id) config.added_tokens.push_back(special_token(id));
    return config;
}

WordPiece make(WordPieceConfig config = plain_config()) {
    auto made = WordPiece::create(vocabulary, std::move(config));
    REQUIRE_MESSAGE(made.ok(), made.error().message);
    return std::move(*made);
}

/// The tokens with spaces between. By append: g++ 12 warns of `"x" + std::string` when it optimises.
std::string joined(const WordPiece& tokenizer, const Encoding& encoding) {
    std::string out;
    for (const std::int32_t id : encoding.ids) {
        if (!out.empty()) out += ' ';
        out += tokenizer.token(id);
    }
    return out;
}

/// The tokens of a text, without [CLS] and [SEP], with spaces between.
std::string tokens(const WordPiece& tokenizer, std::string_view text, EncodeOptions options = {}) {
    options.add_special_tokens = false;
    Encoding encoding;
    const auto done = tokenizer.encode(text, options, encoding);
    return done.ok() ? joined(tokenizer, encoding) : done.error().message;
}

std::string tokens(std::string_view text) { return tokens(make(), text); }

WordPieceConfig cased_config() {
    WordPieceConfig config = plain_config();
    config.lowercase = config.strip_accents = false;
    return config;
}

Error error_of(const std::vector<std::string_view>& words, WordPieceConfig config) {
    auto made = WordPiece::create(words, std::move(config));
    REQUIRE(!made.ok());
    return made.error();
}

}  // namespace

TEST_CASE("an empty text gives [CLS] [SEP], and an empty pair [CLS] [SEP] [SEP]") {
    const WordPiece tokenizer = make();
    Encoding out;
    tokenizer.encode("", {}, out).value();
    CHECK(out.ids == std::vector<std::int32_t>{2, 3});
    CHECK(out.offsets == std::vector<TokenSpan>{{0, 0}, {0, 0}});
    CHECK(out.words == std::vector<std::int32_t>{-1, -1});
    tokenizer.encode_pair("", "", {}, out).value();
    CHECK(out.ids == std::vector<std::int32_t>{2, 3, 3});
    CHECK(out.type_ids == std::vector<std::int32_t>{0, 0, 1});
    CHECK(tokens("") == "");
    CHECK(tokens(" \t\r\n\u00A0\u3000") == "");
}

TEST_CASE("encode gives a value too, with default options") {
    const auto tokenizer = make();
    Encoding encoding;
    REQUIRE(tokenizer.encode("hello world", {}, encoding).ok());
    CHECK(tokenizer.encode("hello world")->ids == encoding.ids);
    CHECK(tokenizer.encode("\xFF").error().code == ranklet::ErrorCode::invalid_text);
}

TEST_CASE("every token says which bytes and which word of the text it came from") {
    const WordPiece tokenizer = make();
    Encoding out;
    tokenizer.encode("Hello, unaffable 手机!", {}, out).value();
    CHECK(out.ids == std::vector<std::int32_t>{2, 5, 16, 8, 9, 10, 17, 18, 15, 3});
    CHECK(out.offsets == std::vector<TokenSpan>{
                             {0, 0}, {0, 5}, {5, 6}, {7, 9}, {9, 12}, {12, 16}, {17, 20}, {20, 23}, {23, 24}, {0, 0}});
    CHECK(out.words == std::vector<std::int32_t>{-1, 0, 1, 2, 2, 2, 3, 4, 5, -1});
    CHECK(out.type_ids == std::vector<std::int32_t>(10, 0));
    to_code_point_offsets("Hello, unaffable 手机!", out.offsets).value();
    CHECK(out.offsets[6] == TokenSpan{17, 18});
    CHECK(out.offsets[8] == TokenSpan{19, 20});
}

TEST_CASE("Kantō is kanto: accents are decomposed before they are stripped") {
    CHECK(tokens("Kantō") == "kanto");
    CHECK(tokens("KANTO\u0304") == "kanto");
    CHECK(tokens("Café") == "cafe");
}

TEST_CASE("a cased vocabulary keeps case and accents") {
    const WordPiece tokenizer = make(cased_config());
    CHECK(tokenizer.config().strip_accents == false);
    CHECK(tokens(tokenizer, "Kant") == "Kant");
    CHECK(tokens(tokenizer, "kant") == "kant");
    CHECK(tokens(tokenizer, "aé") == "a ##é");
    CHECK(tokens(tokenizer, "ae\u0301") == "[UNK]");
}

TEST_CASE("lower case without stripping keeps accents") {
    WordPieceConfig config = plain_config();
    config.strip_accents = false;
    CHECK(tokens(make(std::move(config)), "AÉ") == "a ##é");
}

TEST_CASE("Chinese characters are words of their own, unless told otherwise") {
    CHECK(tokens("手机") == "手 机");
    CHECK(tokens("a手b") == "a 手 b");
    CHECK(tokens("豈") == "豈");
    CHECK(tokens("\uF900") == "豈");
    WordPieceConfig config = plain_config();
    config.handle_chinese_chars = false;
    CHECK(tokens(make(std::move(config)), "手机") == "[UNK]");
}

TEST_CASE("control characters, NUL, U+FFFD and zero-width joiners vanish without ending a word") {
    CHECK(tokens("a\u0001b") == "a ##b");
    CHECK(tokens(std::string_view("a\0b", 3)) == "a ##b");
    CHECK(tokens("a\uFFFDb") == "a ##b");
    CHECK(tokens("a\u200Db\u200C") == "a ##b");
    CHECK(tokens("a\u00ADb") == "a ##b");
    CHECK(tokens("a\tb\nb\rb") == "a b b b");
    CHECK(tokens("a\u0085b") == "a ##b");
    CHECK(tokens("a\u2028b") == "a b");
}

TEST_CASE("without cleaning, control characters stay in the word and NUL is a character") {
    WordPieceConfig config = plain_config();
    config.clean_text = false;
    const WordPiece tokenizer = make(std::move(config));
    CHECK(tokens(tokenizer, std::string_view("a\0b", 3)) == "[UNK]");
    CHECK(tokens(tokenizer, "a\u200Db") == "[UNK]");
    CHECK(tokens(tokenizer, "a\u0085b") == "a b");
}

TEST_CASE("[MASK] inside text is one token, and only when written exactly") {
    CHECK(tokens("hello [MASK] world") == "hello [MASK] world");
    CHECK(tokens("hello[MASK]world") == "hello [MASK] world");
    CHECK(tokens("[MASK][MASK]") == "[MASK] [MASK]");
    CHECK(tokens("[mask]") == "[UNK] [UNK] [UNK]");
    CHECK(tokens("[MASK") == "[UNK] [UNK]");
    Encoding out;
    make().encode("a [MASK] b", {}, out).value();
    CHECK(out.offsets[2] == TokenSpan{2, 8});
    CHECK(out.words == std::vector<std::int32_t>{-1, 0, 1, 2, -1});
}

TEST_CASE("a word of 100 characters has pieces, one of 101 is unknown") {
    const std::string hundred(100, 'a');
    CHECK(tokens(hundred).starts_with("a ##a ##a"));
    CHECK(tokens(hundred + "a") == "[UNK]");
    CHECK(tokens("b " + hundred + "a b") == "b [UNK] b");
    std::string accents;
    for (int i = 0; i < 100; ++i) accents += "á";
    CHECK(tokens(accents).starts_with("a ##a"));
    CHECK(tokens(accents + "á") == "[UNK]");
    Encoding out;
    make().encode(hundred + "aa!", {}, out).value();
    CHECK(out.offsets[1] == TokenSpan{0, 102});
}

TEST_CASE("the limit on a word's length counts normalised characters") {
    std::string with_marks, syllables;
    for (int i = 0; i < 100; ++i) with_marks += "a\u0301\u200D";
    CHECK(tokens(with_marks).starts_with("a ##a"));
    for (int i = 0; i < 34; ++i) syllables += "한";  // 102 jamo
    CHECK(tokens(syllables) == "[UNK]");
    WordPieceConfig config = plain_config();
    config.max_input_chars_per_word = 2;
    CHECK(tokens(make(std::move(config)), "ab abb 手") == "a ##b [UNK] 手");
}

TEST_CASE("a word with a piece that is not in the vocabulary is unknown as a whole") {
    CHECK(tokens("unaffablez") == "[UNK]");
    CHECK(tokens("zhello") == "[UNK]");
    CHECK(tokens("hellob") == "hello ##b");
    CHECK(tokens("unaff") == "un ##aff");
}

TEST_CASE("truncation keeps the final [SEP]") {
    const WordPiece tokenizer = make();
    Encoding out;
    tokenizer.encode("hello unaffable world", {.max_length = 5}, out).value();
    CHECK(out.ids == std::vector<std::int32_t>{2, 5, 8, 9, 3});
    tokenizer.encode("hello unaffable world", {.max_length = 2}, out).value();
    CHECK(out.ids == std::vector<std::int32_t>{2, 3});
    tokenizer.encode("hello unaffable world", {.max_length = 7}, out).value();
    CHECK(out.ids == std::vector<std::int32_t>{2, 5, 8, 9, 10, 6, 3});
    tokenizer.encode("hello [MASK] [MASK]", {.max_length = 4}, out).value();
    CHECK(out.ids == std::vector<std::int32_t>{2, 5, 4, 3});
    tokenizer.encode("hello world", {.max_length = 1, .add_special_tokens = false}, out).value();
    CHECK(out.ids == std::vector<std::int32_t>{5});
}

TEST_CASE("a max_length without room for the special tokens is an error that says so") {
    const WordPiece tokenizer = make();
    Encoding out;
    out.push(7, 0, {}, 0);
    const auto single = tokenizer.encode("a", {.max_length = 1}, out);
    REQUIRE(!single.ok());
    CHECK(single.error().code == ErrorCode::invalid_argument);
    CHECK(single.error().message == "max_length 1 has no room for 2 special tokens");
    CHECK(out.size() == 0);
    CHECK(!tokenizer.encode_pair("a", "b", {.max_length = 2}, out).ok());
    CHECK(tokenizer.encode_pair("a", "b", {.max_length = 0, .add_special_tokens = false}, out).ok());
    CHECK(out.size() == 0);
}

TEST_CASE("a pair is [CLS] a [SEP] b [SEP], each text with offsets and words of its own") {
    const WordPiece tokenizer = make();
    Encoding out;
    tokenizer.encode_pair("hello", "手 world", {}, out).value();
    CHECK(out.ids == std::vector<std::int32_t>{2, 5, 3, 17, 6, 3});
    CHECK(out.type_ids == std::vector<std::int32_t>{0, 0, 0, 1, 1, 1});
    CHECK(out.offsets == std::vector<TokenSpan>{{0, 0}, {0, 5}, {0, 0}, {0, 3}, {4, 9}, {0, 0}});
    CHECK(out.words == std::vector<std::int32_t>{-1, 0, -1, 0, 1, -1});
    tokenizer.encode_pair("hello", "手 world", {.add_special_tokens = false}, out).value();
    CHECK(out.ids == std::vector<std::int32_t>{5, 17, 6});
    CHECK(out.type_ids == std::vector<std::int32_t>{0, 1, 1});
}

TEST_CASE("a pair that is too long loses the longer text's end first") {
    const WordPiece tokenizer = make();
    Encoding out;
    tokenizer.encode_pair("a a a a", "b", {.max_length = 6}, out).value();
    CHECK(out.ids == std::vector<std::int32_t>{2, 11, 11, 3, 13, 3});
    tokenizer.encode_pair("a", "b b b b", {.max_length = 6}, out).value();
    CHECK(out.ids == std::vector<std::int32_t>{2, 11, 3, 13, 13, 3});
    tokenizer.encode_pair("a a a a", "b b b", {.max_length = 6}, out).value();
    CHECK(out.ids == std::vector<std::int32_t>{2, 11, 11, 3, 13, 3});
    tokenizer.encode_pair("a a", "b b b b", {.max_length = 3}, out).value();
    CHECK(out.ids == std::vector<std::int32_t>{2, 3, 3});
}

TEST_CASE("a capital sigma becomes the inner sigma, also at a word's end") {
    CHECK(tokens("ΣΣ") == "σ ##σ");
    CHECK(tokens("σς") == "σ ##ς");
}

TEST_CASE("a dotted capital I is i, with its dot where accents stay") {
    CHECK(tokens("İ") == "i");
    WordPieceConfig config = plain_config();
    config.strip_accents = false;
    Encoding out;
    const WordPiece tokenizer = make(std::move(config));
    tokenizer.encode("İ", {.add_special_tokens = false}, out).value();
    CHECK(out.ids == std::vector<std::int32_t>{24, 35});
    CHECK(out.offsets == std::vector<TokenSpan>{{0, 2}, {0, 2}});
}

TEST_CASE("Hangul syllables are split into jamo where accents are stripped, and keep their offsets") {
    Encoding out;
    make().encode("한", {}, out).value();
    CHECK(out.ids == std::vector<std::int32_t>{2, 26, 27, 28, 3});
    CHECK(out.offsets[1] == TokenSpan{0, 3});
    CHECK(out.offsets[3] == TokenSpan{0, 3});
    CHECK(tokens(make(cased_config()), "한") == "[UNK]");
}

TEST_CASE("combining marks vanish with the accents, and those that stay are put in canonical order") {
    CHECK(tokens("a\u0301\u0302b") == "a ##b");
    CHECK(tokens("\u0301") == "");
    CHECK(tokens("a\u0301\u302Eb") == "a ##\u302E ##b");
    Encoding out;  // the tone mark (class 224) moves before the acute (230), and takes its place in the offsets
    make().encode("a\u0301\u302Eb", {.add_special_tokens = false}, out).value();
    CHECK(out.offsets == std::vector<TokenSpan>{{0, 1}, {1, 3}, {6, 7}});
}

TEST_CASE("emoji are ordinary characters") {
    CHECK(tokens("😀") == "😀");
    CHECK(tokens("a 😀 b") == "a 😀 b");
    CHECK(tokens("a😀") == "[UNK]");
    CHECK(tokens("👨‍👩‍👧") == "[UNK]");
}

TEST_CASE("text that is not UTF-8 is an error that names the byte, and leaves the result empty") {
    const WordPiece tokenizer = make();
    const struct {
        std::string_view text;
        const char* byte;
    } cases[] = {
        {"ab\xFF", "2"},             // no lead byte
        {"\x80", "0"},               // a trail byte first
        {"手\xC0\x80", "3"},         // NUL, overlong
        {"a\xE0\x80\xAF", "1"},      // slash, overlong
        {"a\xF0\x80\x80\xAF", "1"},  // slash, overlong in four bytes
        {"\xED\xA0\x80", "0"},       // a surrogate
        {"ok\xED\xBF\xBF", "2"},     // the last surrogate
        {"\xF4\x90\x80\x80", "0"},   // above U+10FFFF
        {"a\xE6\x89", "1"},          // cut off
        {"a\xF0\x9F\x98", "1"},      // cut off
        {"12345678\xC3", "8"},       // after whole words of ASCII
        {"a\xE6\x89z", "1"},         // a trail byte missing
    };
    Encoding out;
    for (const auto& bad : cases) {
        CAPTURE(bad.byte);
        const auto done = tokenizer.encode(bad.text, {}, out);
        REQUIRE(!done.ok());
        CHECK(done.error().code == ErrorCode::invalid_text);
        CHECK(done.error().message == std::string("the text is not UTF-8 at byte ") + bad.byte);
        CHECK(out.size() == 0);
        CHECK(!tokenizer.encode_pair("a", bad.text, {}, out).ok());
        CHECK(out.size() == 0);
    }
    CHECK(tokens("\xF4\x8F\xBF\xBD \xEE\x80\x80") == "");  // private use: dropped
    CHECK(tokens("\xED\x9F\xBB") == "[UNK]");
}

TEST_CASE("a text of 4 GiB is refused before it is read") {
    // Nothing of the view may be read, so its memory need not exist.
    static const char byte = 'a';
    Encoding out;
    const auto done = make().encode(std::string_view(&byte, std::size_t{1} << 32), {}, out);
    REQUIRE(!done.ok());
    CHECK(done.error().code == ErrorCode::invalid_argument);
}

TEST_CASE("long texts and long words take time in proportion, not more") {
    const WordPiece tokenizer = make();
    std::string text;
    for (int i = 0; i < 200000; ++i) text += "hello 手[MASK] ";
    text += std::string(1000000, 'a');
    for (int i = 0; i < 300000; ++i) text += i % 2 == 0 ? "\u0301" : "\u0316";
    text += "\u302E";
    Encoding out;
    tokenizer.encode(text, {}, out).value();
    CHECK(out.size() == 2 + 600000 + 1);
    CHECK(out.ids[out.size() - 2] == 1);
    tokenizer.encode(text, {.max_length = 16}, out).value();
    CHECK(out.size() == 16);
    CHECK(out.ids.back() == 3);
}

TEST_CASE("the same Encoding serves any texts, and many threads share a tokenizer") {
    const WordPiece tokenizer = make();
    const std::vector<std::string> texts = {"hello 手机", "unaffable", "", "a\u302E\u0301", "Kantō [MASK]", "한"};
    std::vector<std::string> expected;
    for (const std::string& text : texts) expected.push_back(tokens(tokenizer, text));
    std::vector<int> wrong(4, 0);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < wrong.size(); ++t)
        threads.emplace_back([&, t] {
            Encoding out;
            for (std::size_t i = 0; i < 2000; ++i) {
                const std::size_t which = (i + t) % texts.size();
                if (!tokenizer.encode(texts[which], {.add_special_tokens = false}, out).ok()) ++wrong[t];
                if (joined(tokenizer, out) != expected[which]) ++wrong[t];
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == std::vector<int>(4, 0));
}

TEST_CASE(
    "a batch of texts gets what each gets alone, with any number of threads; its error names the first bad text") {
    const WordPiece tokenizer = make();
    const std::vector<std::string_view> kinds = {"hello 手机", "unaffable", "", "Kantō [MASK]", "world! hello"};
    for (const std::size_t count : {0u, 1u, 63u, 64u, 65u, 300u}) {
        std::vector<std::string_view> texts;
        for (std::size_t i = 0; i < count; ++i) texts.push_back(kinds[i % kinds.size()]);
        for (const std::size_t threads : {0u, 1u, 3u}) {
            std::vector<Encoding> out(count);
            REQUIRE(tokenizer.encode_batch(texts, {.max_length = 5}, out, ranklet_test::finely(threads)).ok());
            for (std::size_t i = 0; i < count; ++i) {
                const Encoding alone = tokenizer.encode(texts[i], {.max_length = 5}).value();
                REQUIRE(out[i].ids == alone.ids);
                REQUIRE(out[i].offsets == alone.offsets);
            }
        }
        std::vector<Encoding> other(count + 1);
        const auto refused = tokenizer.encode_batch(texts, {}, other);
        REQUIRE(!refused.ok());
        CHECK(refused.error().code == ErrorCode::invalid_argument);
        if (count < 64) continue;
        texts[63] = "a\xFF";
        texts[count - 1] = "\xFF";
        std::vector<Encoding> out(count);
        const auto status = tokenizer.encode_batch(texts, {}, out, 3);
        REQUIRE(!status.ok());
        CHECK(status.error().code == ErrorCode::invalid_text);
        CHECK(status.error().message.rfind("text 63: ", 0) == 0);
    }
}

TEST_CASE("tokens and ids translate both ways") {
    const WordPiece tokenizer = make();
    CHECK(tokenizer.vocabulary_size() == vocabulary.size());
    for (std::size_t i = 0; i < vocabulary.size(); ++i) {
        CHECK(tokenizer.token(static_cast<std::int32_t>(i)) == vocabulary[i]);
        CHECK(tokenizer.id_of(vocabulary[i]) == static_cast<std::int32_t>(i));
    }
    CHECK(tokenizer.id_of("hell") == std::nullopt);
    CHECK(tokenizer.id_of("") == std::nullopt);
    CHECK(tokenizer.token(-1) == "");
    CHECK(tokenizer.token(1000) == "");
}

TEST_CASE("decoding joins pieces, repairs spaces before punctuation and can skip special tokens") {
    const WordPiece tokenizer = make();
    const std::vector<std::int32_t> ids = {2, 5, 16, 8, 9, 10, 6, 15, 4, 3};
    CHECK(tokenizer.decode(ids, false).value() == "[CLS] hello, unaffable world! [MASK] [SEP]");
    CHECK(tokenizer.decode(ids, true).value() == "hello, unaffable world!");
    CHECK(tokenizer.decode({}, true).value() == "");
    const auto bad = tokenizer.decode(std::vector<std::int32_t>{5, 99}, true);
    REQUIRE(!bad.ok());
    CHECK(bad.error().message == "id 99 at position 1 is not in a vocabulary of 42 tokens");
    CHECK(!tokenizer.decode(std::vector<std::int32_t>{-1}, true).ok());
}

TEST_CASE("an added token can take the white space around it, ask for word boundaries or match normalised text") {
    std::vector<std::string_view> words = vocabulary;
    WordPieceConfig config = plain_config();
    const auto add = [&](std::string_view content, bool lstrip, bool rstrip, bool single_word, bool normalized) {
        config.added_tokens.push_back({static_cast<std::int32_t>(words.size()), std::string(content), false, lstrip,
                                       rstrip, single_word, normalized});
        words.push_back(content);
    };
    add("<both>", true, true, false, false);
    add("new", false, false, true, false);
    add("Été a", false, false, false, true);
    const WordPiece tokenizer = WordPiece::create(words, config).value();
    CHECK(tokens(tokenizer, "a <both> b") == "a <both> b");
    Encoding out;
    tokenizer.encode("a <both>\u3000b", {.add_special_tokens = false}, out).value();
    CHECK(out.offsets == std::vector<TokenSpan>{{0, 1}, {1, 11}, {11, 12}});
    CHECK(tokens(tokenizer, "a new b") == "a new b");
    CHECK(tokens(tokenizer, "anew") == "[UNK]");
    CHECK(tokens(tokenizer, "new_ 手new") == "[UNK] [UNK] 手 [UNK]");
    CHECK(tokens(tokenizer, "x ETE A b") == "x Été a b");
    tokenizer.encode("x ÉTÉ a", {.add_special_tokens = false}, out).value();
    CHECK(out.offsets[1] == TokenSpan{2, 9});
    // An added token is no word's piece: as a word with another case it is unknown.
    CHECK(tokens(tokenizer, "NEW") == "[UNK]");
    CHECK(tokenizer.id_of("new").has_value());
}

TEST_CASE(
    "added tokens at the vocabulary's end are no words; those that others come after are (the converter tells so)") {
    std::vector<std::string_view> words = vocabulary;
    WordPieceConfig config = plain_config();
    config.added_tokens.push_back({static_cast<std::int32_t>(words.size()), "shop"});
    words.push_back("shop");
    const WordPiece at_the_end = WordPiece::create(words, config).value();
    CHECK(tokens(at_the_end, "shop SHOP") == "shop [UNK]");
    words.push_back("[unused_row]");
    const WordPiece in_front = WordPiece::create(words, config).value();
    CHECK(tokens(in_front, "shop SHOP") == "shop shop");
}

TEST_CASE("a vocabulary or configuration that cannot work is refused with the place named") {
    CHECK(error_of({}, plain_config()).message == "the vocabulary is empty");
    std::vector<std::string_view> words = vocabulary;
    words[10] = "hello";
    CHECK(error_of(words, plain_config()).message == "tokens 5 and 10 are both 'hello'");
    words[10] = "\xC0";
    CHECK(error_of(words, plain_config()).code == ErrorCode::invalid_text);
    CHECK(error_of(words, plain_config()).message == "token 10 is not UTF-8 at its byte 0");
    const std::string longer(ranklet::max_token_bytes + 1, 'a');  // longest match would take so long at every byte
    words[10] = longer;
    CHECK(error_of(words, plain_config()).code == ErrorCode::unsupported);
    CHECK(error_of(words, plain_config()).message == "token 10 has 1025 bytes, a token may have 1024");

    WordPieceConfig config = plain_config();
    config.unk_id = -1;
    CHECK(error_of(vocabulary, config).code == ErrorCode::missing);
    CHECK(error_of(vocabulary, config).message == "the tokenizer has no unk id");
    config = plain_config();
    config.cls_id = -1;
    CHECK(error_of(vocabulary, config).message == "the tokenizer has no cls id");
    config = plain_config();
    config.sep_id = 42;
    CHECK(error_of(vocabulary, config).message == "the sep id 42 is not in a vocabulary of 42 tokens");
    config = plain_config();
    config.mask_id = -2;
    CHECK(error_of(vocabulary, config).code == ErrorCode::invalid_argument);
    config = plain_config();
    config.added_tokens[0].id = 77;
    CHECK(error_of(vocabulary, config).message == "the added token's id 77 is not in a vocabulary of 42 tokens");
    config = plain_config();
    config.added_tokens[4].content = "[MUSK]";
    CHECK(error_of(vocabulary, config).message == "added token 4 ('[MUSK]') is '[MASK]' in the vocabulary");
    config = plain_config();
    config.added_tokens.push_back(config.added_tokens[3]);
    CHECK(error_of(vocabulary, config).message == "added token 3 ('[SEP]') is listed twice");
}

TEST_CASE("tokens that begin alike, far into them or with zero bytes, are told apart, and their twins found") {
    const std::string zero("prefixed\0", 9), zeros("prefixed\0\0", 10);
    std::vector<std::string_view> words(vocabulary.begin(), vocabulary.end());
    const auto first = words.size();
    for (const std::string_view word : {std::string_view("prefixedzz"), std::string_view("prefixed"),
                                        std::string_view(zeros), std::string_view("prefixeda"), std::string_view(zero),
                                        std::string_view("prefixe"), std::string_view("prefixedz")})
        words.push_back(word);
    WordPieceConfig config = plain_config();
    config.clean_text = false;
    const WordPiece tokenizer = WordPiece::create(words, config).value();
    for (std::size_t id = first; id < words.size(); ++id) {
        CHECK(tokenizer.id_of(words[id]) == static_cast<std::int32_t>(id));
        CHECK(tokenizer.token(static_cast<std::int32_t>(id)) == words[id]);
    }
    CHECK(!tokenizer.id_of("prefixedy"));
    CHECK(tokens(tokenizer, "prefixeda prefixedzz prefixe") == "prefixeda prefixedzz prefixe");
    words.push_back("prefixeda");
    CHECK(error_of(words, config).message ==
          "tokens " + std::to_string(first + 3) + " and " + std::to_string(words.size() - 1) + " are both 'prefixeda'");
}

TEST_CASE("pad and mask may be absent, and a vocabulary without continuations works") {
    WordPieceConfig config;
    config.unk_id = 0;
    config.cls_id = 1;
    config.sep_id = 2;
    const std::vector<std::string_view> words = {"[UNK]", "[CLS]", "[SEP]", "ab", ""};
    const WordPiece tokenizer = WordPiece::create(words, config).value();
    CHECK(tokens(tokenizer, "ab abab") == "ab [UNK]");
    CHECK(tokens(tokenizer, "[CLS]") == "[UNK] [UNK] [UNK]");  // not an added token here
}

TEST_CASE("the lower case of a whole text is read where the tokenizer says so, and places are those of the text") {
    WordPieceConfig config = plain_config();
    config.lower_text = true;
    for (const bool own : {true, false}) {  // also over a tokenizer that lower-cases by itself
        config.lowercase = own;
        config.strip_accents = false;
        const WordPiece tokenizer = make(config);
        CHECK(tokens(tokenizer, "HELLO A\u03A3 A\u03A3a") == "hello a ##\u03C2 a ##\u03C3 ##a");
        CHECK(tokens(tokenizer, "A[MASK] [sep]") == "a [UNK] [UNK] [UNK] [UNK] [UNK] [UNK]");  // no special tokens
        Encoding out;
        const std::string text = "a \u0130B HELLO";
        REQUIRE(tokenizer.encode(text, {}, out).ok());
        CHECK(joined(tokenizer, out) == "[CLS] a i ##\u0307 ##b hello [SEP]");
        CHECK(out.offsets == std::vector<TokenSpan>{{0, 0}, {0, 1}, {2, 4}, {2, 4}, {4, 5}, {6, 11}, {0, 0}});
        REQUIRE(tokenizer.encode_pair("\u0130", "B A\u03A3", {}, out).ok());
        CHECK(joined(tokenizer, out) == "[CLS] i ##\u0307 [SEP] b a ##\u03C2 [SEP]");
        CHECK(out.offsets == std::vector<TokenSpan>{{0, 0}, {0, 2}, {0, 2}, {0, 0}, {0, 1}, {2, 3}, {3, 5}, {0, 0}});
    }
    CHECK(tokens(make(), "A\u03A3") == "a ##\u03C3");  // as before where it does not
    CHECK(tokens(make(), "a[MASK]") == "a [MASK]");
}
