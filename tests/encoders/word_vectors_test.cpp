// WordVectors: means by hand, what unknown and empty texts give, batches and threads, no heap, hostile files.
#include "ranklet/encoders/word_vectors.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "io/gguf_builder.hpp"
#include "ranklet/tasks/keywords.hpp"
#include "ranklet/text/word_tokenizer.hpp"
#include "ranklet/text/wordpiece.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Encoding;
using ranklet::ErrorCode;
using ranklet::GgufFile;
using ranklet::Matrix;
using ranklet::WordVectors;

static_assert(ranklet::TextEncoder<WordVectors>);

constexpr const char* words_path = "tests/parity/goldens/tiny-words.gguf";
constexpr const char* static_path = "tests/parity/goldens/tiny-static.gguf";

/// A file of three words in two dimensions; each part can be left out or replaced.
struct Parts {
    const char* type = "word_vectors";
    const char* tokenizer = "words";
    const char* unknown = "skip";
    const char* pooling = "mean";
    std::vector<std::string> tokens{"a", "b", "手机"};
    std::vector<std::uint64_t> shape{3, 2};
    std::vector<float> table{1, 2, 3, 4, -5, 6};
    std::vector<float> weights{}, component{};
    std::vector<std::uint32_t> mapping{};
    std::vector<std::string> stop_words{};
    std::uint32_t unknown_id = 0, max_length = 100;
    bool normalize = false;
    const char* left_out = "";
    const char* cut = "";  // none

    Bytes build() const {
        GgufBuilder file;
        const auto keep = [&](const char* name) { return std::string(name) != left_out; };
        file.key("general.architecture", "ranklet");
        if (keep("type")) file.key("ranklet.encoder.type", type);
        if (keep("tokenizer")) file.key("ranklet.words.tokenizer", tokenizer);
        if (keep("unknown")) file.key("ranklet.words.unknown", unknown);
        if (keep("pooling")) file.key("ranklet.words.pooling", pooling);
        if (keep("normalize")) file.key("ranklet.words.normalize", normalize);
        if (keep("lowercase")) file.key("ranklet.words.lowercase", true);
        if (keep("unknown_id")) file.key("ranklet.words.unknown_id", unknown_id);
        if (keep("tokens")) file.array("ranklet.words.tokens", tokens);
        if (*cut != '\0') file.key("ranklet.words.cut", cut);
        if (!stop_words.empty()) file.array("ranklet.words.stop_words", stop_words);
        if (!mapping.empty()) file.array("ranklet.words.mapping", mapping);
        file.key("ranklet.encoder.max_length", max_length);
        if (keep("weight")) file.tensor("ranklet.words.weight", shape, table);
        if (!weights.empty()) file.tensor("ranklet.words.token_weight", {weights.size()}, weights);
        if (!component.empty()) file.tensor("ranklet.words.component", {1, component.size()}, component);
        return file.build();
    }
};
ranklet::Result<WordVectors> load(const Bytes& bytes) {
    auto file = GgufFile::from_memory(bytes, "words.gguf");
    if (!file.ok()) return file.error();
    return WordVectors::from_file(*file, {.self_test = false});
}
std::vector<float> encode(const Parts& parts, std::string_view text) {
    const Bytes bytes = parts.build();
    return take(take(load(bytes)).encode(text));
}
using Floats = std::vector<float>;

void refused(const Parts& parts, ErrorCode code, std::string_view part) {
    const Bytes bytes = parts.build();
    check_error(load(bytes), code, part);
    check_error(load(bytes), code, "words.gguf");
}

}  // namespace

TEST_CASE("the stop words that a file names are no part of a text's vector") {
    Parts parts;
    CHECK(encode(parts, "A b 手机") == Floats{-1.0f / 3.0f, 4.0f});
    parts.stop_words = {"a", "的"};
    CHECK(encode(parts, "A b的手机") == Floats{-1.0f, 5.0f});
    CHECK(encode(parts, "a 的") == Floats{0.0f, 0.0f});
    parts.stop_words = {""};
    refused(parts, ErrorCode::format, "stop word 0 is empty");
    parts.stop_words = {"\xff"};
    refused(parts, ErrorCode::invalid_text, "stop word 0");
}

TEST_CASE("a text's vector is the sum of its words' vectors over their number, over the weights' sum, or the sum") {
    CHECK(encode({}, "A 手机 b a") == Floats{(1 - 5 + 3 + 1) / 4.0f, (2 + 6 + 4 + 2) / 4.0f});
    const Floats weights{0.5f, 2.0f, 0.0f};
    CHECK(encode({.weights = weights}, "a b") == Floats{(0.5f + 6) / 2, (1 + 8) / 2.0f});
    CHECK(encode({.pooling = "weighted_mean", .weights = weights}, "a b") == Floats{6.5f / 2.5f, 9 / 2.5f});
    CHECK(encode({.pooling = "sum", .weights = weights}, "a b a") == Floats{7, 10});
    CHECK(encode({.pooling = "weighted_mean"}, "a b") == Floats{2, 3});
    CHECK(encode({.mapping = {2, 2, 0}}, "手机") == Floats{1, 2});
    CHECK(encode({.unknown = "row", .unknown_id = 1}, "zebra") == Floats{3, 4});
    CHECK(encode({.max_length = 1}, "b a 手机") == Floats{3, 4});
}

TEST_CASE("what a limit leaves out is told, and counts when all is to be read") {
    for (const char* unknown : {"skip", "row"}) {
        const Bytes bytes = Parts{.unknown = unknown, .max_length = 2}.build();
        const WordVectors words = take(load(bytes));
        const std::vector<std::string_view> texts{"a b a", "a b ", "b"};
        std::vector<ranklet::TextRead> read(3);
        const Matrix cut = take(words.encode(texts, {.read = read}));
        CHECK((cut.row(0)[0] == 2.0f && cut.row(0)[1] == 3.0f));
        CHECK((read[0].bytes == 3 && read[0].tokens == 2 && !read[0].whole && read[0].windows == 1));
        CHECK((read[1].bytes == 4 && read[1].tokens == 2 && read[1].whole));
        CHECK((read[2].bytes == 1 && read[2].tokens == 1 && read[2].whole));
        const Matrix all = take(words.encode(texts, {.windows = ranklet::Windows{}, .read = read}));
        CHECK((all.row(0)[0] == 5.0f / 3.0f && all.row(0)[1] == 8.0f / 3.0f));
        CHECK((read[0].bytes == 5 && read[0].tokens == 3 && read[0].whole));
    }
}

TEST_CASE("normalised vectors have length 1, and removed components are gone before") {
    const Floats v = encode({.normalize = true}, "b");
    CHECK(v[0] == doctest::Approx(0.6));
    CHECK(v[1] == doctest::Approx(0.8));
    CHECK(encode({.component = {0, 1}}, "b") == Floats{3, 0});
    CHECK(encode({.component = {0, 1}, .normalize = true}, "b") == Floats{1, 0});
}

TEST_CASE("of a text's vector the first numbers alone, of length 1 again where the whole one is") {
    for (const char* path : {words_path, static_path}) {
        CAPTURE(std::string(path));
        const WordVectors whole = take(WordVectors::load(path));
        ranklet::LoadOptions options;
        options.truncate_dim = 3;
        const WordVectors cut = take(WordVectors::load(path, options));
        CHECK(cut.dim() == 3);
        for (const std::string_view text : {"", "phone", "red phone case"}) {
            auto expected = take(whole.encode(text));
            expected.resize(3);
            double length = 0.0;
            for (const float v : expected) length += static_cast<double>(v) * static_cast<double>(v);
            length = whole.normalizes() && length > 0.0 ? std::sqrt(length) : 1.0;
            const auto found = take(cut.encode(text));
            REQUIRE(found.size() == 3);
            for (std::size_t i = 0; i < 3; ++i)
                CHECK(static_cast<double>(found[i]) ==
                      doctest::Approx(static_cast<double>(expected[i]) / length).epsilon(1e-5));
        }
        options.truncate_dim = whole.dim() + 1;
        check_error(WordVectors::load(path, options), ErrorCode::invalid_argument, "is not 1 to");
    }
    Parts parts;
    parts.component = {1, 0};
    const Bytes bytes = parts.build();
    check_error(WordVectors::from_file(take(GgufFile::from_memory(bytes, "words.gguf")),
                                       {.self_test = false, .truncate_dim = 1}),
                ErrorCode::unsupported, "takes components out");
}

TEST_CASE("empty texts, unknown words and weights of zero give the zero vector, in every pooling, never NaN") {
    for (const char* pooling : {"mean", "weighted_mean", "sum"})
        for (const bool normalize : {false, true})
            for (const std::string_view text : {"", "  ", "zebra", "!?", "手机 手机"}) {
                CAPTURE(text);
                const Floats v = encode(
                    {.pooling = pooling, .weights = {1, 1, 0}, .component = {0.6f, 0.8f}, .normalize = normalize},
                    text);
                CHECK(v == Floats{0, 0});
            }
}

TEST_CASE("a text's vector has the same bits alone, in any batch, with any number of threads") {
    for (const std::string name : {"tiny-words", "tiny-words-i8", "tiny-static", "tiny-static-embedding"}) {
        CAPTURE(name);
        const auto words = take(WordVectors::load(model_path(name)));
        Random random(5);
        std::vector<std::string> texts(700);
        for (auto& text : texts) text = make_text(random);
        const std::vector<std::string_view> views(texts.begin(), texts.end());
        const Matrix one = take(words.encode(views));
        for (const std::size_t threads : {2u, 3u, 0u}) {
            const Matrix many = take(words.encode(views, {.threads = finely(threads)}));
            CHECK(std::memcmp(one.view().data, many.view().data, 700 * words.dim() * sizeof(float)) == 0);
        }
        for (std::size_t t = 0; t < texts.size(); t += 13) {
            const auto alone = take(words.encode(views[t]));
            CHECK(std::memcmp(alone.data(), one.row(t).data(), words.dim() * sizeof(float)) == 0);
        }
        CHECK(take(words.encode(std::span<const std::string_view>())).rows() == 0);
    }
}

TEST_CASE("progress ends with all texts; a prompt does not exist; the first broken text is named") {
    const auto words = take(WordVectors::load(words_path));
    std::vector<std::string_view> texts(300, "phone");
    std::size_t calls = 0, last = 0;
    ranklet::BatchOptions options;
    options.progress = [&](std::size_t done, std::size_t all) {
        CHECK(all == 300);
        last = done;
        ++calls;
    };
    CHECK(take(words.encode(texts, options)).rows() == 300);
    CHECK(calls == 5);
    CHECK(last == 300);
    check_error(words.encode("a", {.prompt = "query"}), ErrorCode::missing, "\"query\"");
    CHECK(words.encode("a", {.prompt = ""}).ok());
    texts[299] = texts[133] = "\xFF";
    for (const std::size_t threads : {1u, 4u})
        check_error(words.encode(texts, {.threads = finely(threads)}), ErrorCode::invalid_text, "text 133: ");
}

TEST_CASE("model2vec's unknown tokens do not count, not for the mean and not for max_length") {
    const auto words = take(WordVectors::load(static_path));
    REQUIRE(words.tokenizer() != nullptr);
    CHECK(words.word_tokenizer() == nullptr);
    CHECK(words.max_length() == 512);
    CHECK(take(words.encode("phone case")) == take(words.encode("ᚠ phone ᚢᚦ case ᚠ")));
    std::string unknown, known;
    for (int i = 0; i < 600; ++i) {
        unknown += "ᚠ ";
        known += "red ";
    }
    CHECK(take(words.encode(unknown + "phone")) == take(words.encode("phone")));
    Encoding tokens;
    succeed(words.tokenize(known, tokens));
    CHECK(tokens.size() == 512);
}

TEST_CASE("weights and components of the caller's own: checked, shared with no other value") {
    const auto words = take(WordVectors::load(words_path));
    const Floats before = take(words.encode("phone case"));
    check_error(words.with_weights(Floats(3, 1.0f)), ErrorCode::invalid_argument, "3 weights for 48 tokens");
    Floats weights(words.vocabulary_size(), 1.0f);
    CHECK(take(take(words.with_weights(weights)).encode("phone case")) == before);
    for (const float bad : {-1.0f, quiet_nan, infinity}) {
        weights[7] = bad;
        check_error(words.with_weights(weights), ErrorCode::invalid_argument, "token 7");
    }
    weights.assign(words.vocabulary_size(), 2.0f);
    const auto doubled = take(words.with_weights(weights));
    const Floats twice = take(doubled.encode("phone case"));
    for (std::size_t i = 0; i < twice.size(); ++i) CHECK(twice[i] == doctest::Approx(2 * before[i]));
    CHECK(take(words.encode("phone case")) == before);
    CHECK(words.weights().empty());
    CHECK(take(take(doubled.with_weights({})).encode("phone case")) == before);

    Matrix component = take(Matrix::zeroed(1, words.dim()));
    component.row(0)[3] = 1.0f;
    CHECK(take(take(words.with_components(std::move(component))).encode("phone case"))[3] == 0.0f);
    check_error(words.with_components(take(Matrix::zeroed(1, words.dim()))), ErrorCode::invalid_argument, "length 0");
    check_error(words.with_components(take(Matrix::zeroed(1, 3))), ErrorCode::invalid_argument, "3 elements");
}

TEST_CASE("a file says by which rule its texts are cut; without the key it is the rule of before") {
    Parts parts{.tokens = {"c", "c++", "new york"}};
    CHECK(encode(parts, "C++ new york") == Floats{1, 2});
    parts.tokenizer = "cut_words";
    refused(parts, ErrorCode::missing, "ranklet.words.cut");
    parts.cut = "vocabulary";
    CHECK(encode(parts, "C++ new york") == Floats{-1, 5});
    parts.cut = "whitespace";
    CHECK(encode(parts, "(C++) New c. york") == Floats{1, 2});
    parts.cut = "rules";
    CHECK(encode(parts, "C++ new york") == Floats{1, 2});
    parts.cut = "otherwise";
    refused(parts, ErrorCode::unsupported, "ranklet.words.cut");
    parts = {.tokens = {"a", "b", std::string(60000, 'c')}};
    refused(parts, ErrorCode::unsupported, "word 2 has 60000 bytes");
}

TEST_CASE("hostile files are errors that name the file and the key") {
    refused({.type = "bert"}, ErrorCode::unsupported, "\"bert\"");
    refused({.tokenizer = "bpe"}, ErrorCode::unsupported, "ranklet.words.tokenizer");
    refused({.tokenizer = "wordpiece"}, ErrorCode::missing, "tokenizer.ggml.model");
    refused({.tokenizer = "wordpiece", .unknown = "characters"}, ErrorCode::unsupported, "ranklet.words.unknown");
    refused({.unknown = "guess"}, ErrorCode::unsupported, "ranklet.words.unknown");
    refused({.unknown = "row", .unknown_id = 3}, ErrorCode::format, "unknown word's id");
    refused({.unknown = "row", .unknown_id = 0xFFFFFFFF}, ErrorCode::format, "unknown word's id");
    refused({.unknown = "row", .left_out = "unknown_id"}, ErrorCode::missing, "ranklet.words.unknown_id");
    refused({.pooling = "max"}, ErrorCode::unsupported, "ranklet.words.pooling");
    refused({.tokens = {"a", "b"}}, ErrorCode::format, "2 tokens, but ranklet.words.weight has 3 rows");
    refused({.tokens = {"a", "b", "a"}}, ErrorCode::format, "stands twice");
    refused({.tokens = {"a", "", "c"}}, ErrorCode::format, "word 1 is empty");
    refused({.tokens = {"a", "\xFF", "c"}}, ErrorCode::invalid_text, "word 1");
    refused({.tokens = {}}, ErrorCode::format, "empty");
    refused({.mapping = {0, 1}}, ErrorCode::format, "2 entries for 3 tokens");
    refused({.mapping = {0, 1, 3}}, ErrorCode::format, "ranklet.words.mapping[2] is row 3 of 3");
    refused({.max_length = 0}, ErrorCode::format, "ranklet.encoder.max_length");
    refused({.weights = {1, 2}}, ErrorCode::format, "ranklet.words.token_weight");
    refused({.weights = {1, 2, quiet_nan}}, ErrorCode::format, "token 2");
    refused({.weights = {1, -2, 1}}, ErrorCode::format, "token 1");
    refused({.component = {3, 4}}, ErrorCode::format, "squared length 25");
    refused({.component = {quiet_nan, 0}}, ErrorCode::format, "squared length");
    refused({.component = {1}}, ErrorCode::format, "ranklet.words.component");
    for (const char* key : {"type", "tokenizer", "unknown", "pooling", "normalize", "lowercase", "tokens", "weight"})
        refused({.left_out = key}, ErrorCode::missing, key);
    CHECK(ranklet::Recommender::load(words_path).ok());  // ranks by the history
    check_error(WordVectors::load("tests/parity/goldens/tiny-minilm.gguf"), ErrorCode::unsupported, "\"bert\"");
    check_error(ranklet::Bert::load(words_path), ErrorCode::unsupported, "\"word_vectors\"");
}

TEST_CASE("every truncation of a model file is an error, and no flipped bit does worse") {
    for (const char* path : {words_path, static_path}) {
        const auto bytes = read_bytes(path);
        for (std::size_t size = 0; size < bytes.size(); size += size < 2000 ? 7 : 61) {
            const std::vector<std::byte> part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
            CHECK_FALSE(load(part).ok());
        }
        Random random(3);
        for (int round = 0; round < 300; ++round) {  // whatever comes of it, it is no crash
            auto broken = bytes;
            broken[random.below(broken.size())] ^= static_cast<std::byte>(1u << random.below(8));
            const auto words = load(broken);
            if (words.ok()) CHECK(words->encode("red phone 手机壳 [MASK]").ok());
        }
    }
}

TEST_CASE("Tencent's character vectors (CC BY 3.0), where they are: a text is the mean of its characters") {
    const char* given = std::getenv("RANKLET_ASSETS");
    const std::string folder = std::string(given != nullptr ? given : "../shared/assets") + "/vectors/";
    std::ifstream table(folder + "tencent-char-4762x200.safetensors", std::ios::binary);
    std::ifstream vocabulary(folder + "tencent-char-vocab.txt");
    if (!table || !vocabulary) {
        MESSAGE("skipped: no " << folder);
        return;
    }
    constexpr std::size_t count = 4762, dim = 200;
    Parts parts{.unknown = "characters", .shape = {count, dim}, .normalize = true};
    parts.tokens.clear();
    for (std::string line; parts.tokens.size() < count && std::getline(vocabulary, line);)
        parts.tokens.push_back(line.empty() ? "blank " + std::to_string(parts.tokens.size()) : line);
    std::uint64_t header = 0;  // one tensor behind it, "embeddings"
    table.read(reinterpret_cast<char*>(&header), sizeof header);
    table.seekg(static_cast<std::streamoff>(sizeof header + header));
    parts.table.resize(count * dim);
    table.read(reinterpret_cast<char*>(parts.table.data()), static_cast<std::streamsize>(count * dim * sizeof(float)));
    REQUIRE(table.good());
    const Bytes bytes = parts.build();
    const auto words = take(load(bytes));
    const auto cosine = [&](std::string_view a, std::string_view b) {
        const Floats x = take(words.encode(a)), y = take(words.encode(b));
        float sum = 0.0f;
        for (std::size_t i = 0; i < dim; ++i) sum += x[i] * y[i];
        return sum;
    };
    CHECK(cosine("手机，2", "手机，2") == doctest::Approx(1.0));
    CHECK(cosine("男", "女") > cosine("男", "路"));
    CHECK(cosine("上海人", "北京人") > cosine("上海人", "吃鱼"));
    Encoding tokens;
    succeed(words.tokenize("手机iPhone壳", tokens));
    CHECK(tokens.ids.size() >= 3);
    std::vector<double> sum(dim);
    for (const auto id : tokens.ids)
        for (std::size_t i = 0; i < dim; ++i)
            sum[i] += static_cast<double>(parts.table[static_cast<std::size_t>(id) * dim + i]);
    double squares = 0.0;
    for (const double x : sum) squares += x * x;
    const Floats found = take(words.encode("手机iPhone壳"));
    for (std::size_t i = 0; i < dim; ++i)
        CHECK(static_cast<double>(found[i]) == doctest::Approx(sum[i] / std::sqrt(squares)).epsilon(1e-4));
}

TEST_CASE("the self-test finds a changed word vector and a changed vocabulary") {
    auto bytes = read_bytes(words_path);
    const auto file = take(GgufFile::from_memory(bytes, "damaged.gguf"));
    const auto ids = take(file.i32s("ranklet.selftest.token_ids"));
    const auto table = take(file.tensor("ranklet.words.weight"));
    REQUIRE_FALSE(ids.empty());
    const auto at =
        static_cast<std::size_t>(table.data - bytes.data()) + static_cast<std::size_t>(ids[0]) * table.row_bytes();
    float value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    value += 1.0f;
    std::memcpy(bytes.data() + at, &value, sizeof value);
    const auto damaged = take(GgufFile::from_memory(bytes, "damaged.gguf"));
    check_error(WordVectors::from_file(damaged), ErrorCode::self_test, "selftest.vectors");

    auto other = read_bytes(words_path);
    const std::string_view all(reinterpret_cast<const char*>(other.data()), other.size());
    const std::size_t word = all.find("the", all.find("ranklet.words.tokens"));
    other[word] = std::byte{'z'};
    const auto renamed = take(GgufFile::from_memory(other, "renamed.gguf"));
    check_error(WordVectors::from_file(renamed), ErrorCode::self_test, "token ids");
}
