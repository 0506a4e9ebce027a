// Tokenizers of Unigram and byte pairs against Hugging Face's, by goldens that layouts/make_subword_goldens.py made; refusals.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/io/gguf.hpp"
#include "ranklet/io/gguf_writer.hpp"
#include "ranklet/model_file/tokenizers.hpp"
#include "ranklet/text/subword_tokenizer.hpp"
#include "results.hpp"

namespace {

using namespace ranklet;
using ranklet_test::check_error;
using ranklet_test::take;
using Tokens = std::shared_ptr<const Tokenizer>;

GgufFile file_of(const std::string& name) {
    return take(GgufFile::open("tests/text/goldens/subword-" + name + ".gguf"));
}
Result<Tokens> read(const GgufFile& file) { return read_tokenizer(ModelReader(file), {}); }
template <class Change>
Result<Tokens> changed(const std::string& name, std::string_view without, const Change& change) {
    const GgufFile file = file_of(name);
    GgufWriter writer;
    RANKLET_TRY(writer.copy(file, [&](std::string_view key) { return key == without; }));
    change(writer);
    RANKLET_ASSIGN(const auto bytes, writer.bytes());
    RANKLET_ASSIGN(const GgufFile copy, GgufFile::from_memory(bytes, "changed"));
    auto tokens = read(copy);
    if (!tokens.ok()) return tokens.error();
    return Tokens();
}

}  // namespace

TEST_CASE("ids and offsets are those of Hugging Face's tokenizers; ids stand for their texts again") {
    for (const char* name : {"roberta", "llama3", "qwen", "unigram", "first", "llama2"}) {
        CAPTURE(name);
        const GgufFile file = file_of(name);
        const Tokens tokens = take(read(file));
        const auto texts = take(file.strings("golden.texts"));
        const auto ids = take(file.i32s("golden.ids")), counts = take(file.i32s("golden.counts")),
                   offsets = take(file.i32s("golden.offsets"));
        std::size_t at = 0;
        Encoding encoding;
        for (std::size_t t = 0; t < texts.size(); ++t) {
            CAPTURE(texts[t]);
            REQUIRE(tokens->encode(texts[t], {}, encoding).ok());
            const auto count = static_cast<std::size_t>(counts[t]);
            REQUIRE(encoding.ids == std::vector<std::int32_t>(ids.begin() + static_cast<std::ptrdiff_t>(at),
                                                              ids.begin() + static_cast<std::ptrdiff_t>(at + count)));
            std::size_t differ = 0;
            for (std::size_t i = 0; i < count; ++i)
                differ += encoding.offsets[i].begin != static_cast<std::uint32_t>(offsets[2 * (at + i)]) ||
                          encoding.offsets[i].end != static_cast<std::uint32_t>(offsets[2 * (at + i) + 1]);
            CHECK(differ == 0);
            at += count;
            // Cut, with the special tokens kept; nothing is left over from the text before.
            const std::size_t special = tokens->special_before() + tokens->special_after();
            EncodeOptions shorter;
            shorter.max_length = special + 2;
            Encoding cut = take(tokens->encode(texts[t], shorter));
            CHECK(cut.size() == std::min(count, special + 2));
            CHECK(std::equal(cut.ids.begin(), cut.ids.end() - static_cast<std::ptrdiff_t>(tokens->special_after()),
                             encoding.ids.begin()));
        }
        CHECK(at == ids.size());
        const auto hello = take(tokens->encode("hello  world, don't"));
        CHECK(take(tokens->decode(hello.ids, true)) ==
              (std::string_view(name) == "unigram" ? "hello world, don't" : "hello  world, don't"));
        CHECK(tokens->vocabulary_size() > 500);
        CHECK(tokens->id_of(tokens->token(100)) == 100);
        CHECK(tokens->token(-1).empty());
        CHECK_FALSE(tokens->id_of("no such token at all").has_value());
        check_error(tokens->encode("a\xff"), ErrorCode::invalid_text, "byte 1");
        check_error(tokens->decode(std::vector<std::int32_t>{1 << 20}, true), ErrorCode::invalid_argument, "1048576");
    }
}

TEST_CASE("pairs have the special tokens between them that the description says, or are refused") {
    const Tokens roberta = take(read(file_of("roberta"))), qwen = take(read(file_of("qwen")));
    Encoding a = take(roberta->encode("a red")), b = take(roberta->encode("phone")), pair;
    REQUIRE(roberta->encode_pair("a red", "phone", {}, pair).ok());
    std::vector<std::int32_t> expected = a.ids;
    expected.push_back(b.ids.back());
    expected.insert(expected.end(), b.ids.begin() + 1, b.ids.end());
    CHECK(pair.ids == expected);
    EncodeOptions options;
    options.max_length = 6;
    REQUIRE(roberta->encode_pair("a red phone and more", "phone", options, pair).ok());
    CHECK(pair.size() == 6);
    options.max_length = 3;
    check_error(roberta->encode_pair("a", "b", options, pair), ErrorCode::invalid_argument, "no room");
    check_error(qwen->encode_pair("a", "b", {}, pair), ErrorCode::unsupported, "no form for pairs");
}

TEST_CASE("descriptions that contradict themselves are refused, naming the key") {
    const auto steps = [](std::vector<std::string> words) {
        return [words](GgufWriter& writer) { writer.array("ranklet.tokenizer.words", words); };
    };
    check_error(changed("qwen", "ranklet.tokenizer.words", steps({"pattern", "other"})), ErrorCode::format, "other");
    check_error(changed("qwen", "ranklet.tokenizer.words", steps({"pattern"})), ErrorCode::format, "ends inside");
    check_error(changed("qwen", "ranklet.tokenizer.words", steps({"nfkc"})), ErrorCode::unsupported, "nfkc");
    check_error(changed("unigram", "ranklet.tokenizer.words", steps({"metaspace", "", "always", "split"})),
                ErrorCode::format, "metaspace");
    const std::vector<std::int32_t> merges{1, 2, 1 << 20}, two{1, 2};
    check_error(changed("qwen", "ranklet.tokenizer.merges",
                        [&](GgufWriter& writer) {
                            writer.array("ranklet.tokenizer.merges", std::span<const std::int32_t>(merges));
                        }),
                ErrorCode::invalid_argument, "merge's id 1048576");
    check_error(changed("qwen", "ranklet.tokenizer.merges",
                        [&](GgufWriter& writer) {
                            writer.array("ranklet.tokenizer.merges", std::span<const std::int32_t>(two));
                        }),
                ErrorCode::format, "three a merge");
    const std::vector<double> scores(10'000, -1.0), unordered{-1.0, std::nan("")};
    check_error(
        changed("unigram", "ranklet.tokenizer.scores",
                [&](GgufWriter& writer) { writer.array("ranklet.tokenizer.scores", std::span<const double>(scores)); }),
        ErrorCode::invalid_argument, "10000 scores");
    check_error(changed("unigram", "ranklet.tokenizer.scores",
                        [&](GgufWriter& writer) {
                            writer.array("ranklet.tokenizer.scores", std::span<const double>(unordered));
                        }),
                ErrorCode::format, "not finite");
    const std::vector<std::int32_t> map{1000, 1};
    check_error(changed("unigram", "",
                        [&](GgufWriter& writer) {
                            writer.array("ranklet.tokenizer.character_map", std::span<const std::int32_t>(map));
                        }),
                ErrorCode::format, "not all there");
    check_error(changed("llama2", "ranklet.tokenizer.byte_ids",
                        [&](GgufWriter& writer) {
                            writer.array("ranklet.tokenizer.byte_ids", std::span<const std::int32_t>(two));
                        }),
                ErrorCode::invalid_argument, "256 bytes");
    check_error(changed("llama2", "ranklet.tokenizer.before",
                        [&](GgufWriter& writer) {
                            writer.array("ranklet.tokenizer.before", std::span<const std::int32_t>(merges));
                        }),
                ErrorCode::invalid_argument, "1048576");
}
