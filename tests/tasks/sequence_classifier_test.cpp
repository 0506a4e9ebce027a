// Sequence classifiers: invariance of the numbers, wrong files, hostile texts.
#include "ranklet/tasks/sequence_classifier.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/model_file/reader.hpp"
#include "ranklet/tasks/token_classifier.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Bert;
using ranklet::ErrorCode;
using ranklet::Matrix;
using ranklet::ScoreFunction;
using ranklet::SequenceClassifier;
using ranklet::TextPair;

SequenceClassifier load(const std::string& name) { return take(SequenceClassifier::load(model_path(name))); }

}  // namespace

TEST_CASE("labels and what makes scores of logits are the file's") {
    const auto topics = load("tiny-multi-label"), sentiment = load("tiny-sequence");
    CHECK(sentiment.labels() == std::vector<std::string>{"NEG", "NEU", "POS", "好"});
    CHECK(sentiment.function() == ScoreFunction::softmax);
    CHECK(topics.function() == ScoreFunction::sigmoid);
    CHECK(sentiment.label_index("好") == 3u);
    CHECK_FALSE(sentiment.label_index("pos").has_value());
    const auto row = take(sentiment.classify("a new phone"));
    CHECK(std::accumulate(row.begin(), row.end(), 0.0f) == doctest::Approx(1.0));
    for (const float score : take(topics.classify("a new phone"))) CHECK((score > 0.0f && score < 1.0f));
}

TEST_CASE("scores of texts and pairs have the same bits alone, in any batch, and with any number of threads") {
    for (const std::string name : {"tiny-sequence", "tiny-sequence-i8", "tiny-multi-label", "tiny-cross-encoder"}) {
        const auto model = load(name);
        Random random(5);
        std::vector<std::string> texts;
        for (std::size_t i = 0; i < 150; ++i) texts.push_back(make_text(random));
        const std::vector<std::string_view> views(texts.begin(), texts.end());
        std::vector<TextPair> pairs;
        for (std::size_t i = 0; i < views.size(); ++i) pairs.push_back({views[i], views[(i * 7 + 3) % views.size()]});
        const Matrix of_texts = take(model.classify(std::span<const std::string_view>(views)));
        const Matrix of_pairs = take(model.classify(std::span<const TextPair>(pairs)));
        for (const std::size_t threads : {2u, 3u}) {
            ranklet::BatchOptions options;
            options.threads = finely(threads);
            const Matrix other_texts = take(model.classify(std::span<const std::string_view>(views), options));
            const Matrix other_pairs = take(model.classify(std::span<const TextPair>(pairs), options));
            CHECK(std::ranges::equal(flat(of_texts), flat(other_texts)));
            CHECK(std::ranges::equal(flat(of_pairs), flat(other_pairs)));
        }
        for (std::size_t i = 0; i < views.size(); i += 13) {
            CHECK(std::ranges::equal(take(model.classify(views[i])), of_texts.row(i)));
            CHECK(std::ranges::equal(take(model.classify(pairs[i])), of_pairs.row(i)));
        }
    }
}

TEST_CASE("which text of a pair comes first counts, and so does its token type") {
    const auto model = load("tiny-cross-encoder");
    const auto score = [&](std::string_view a, std::string_view b) { return take(model.classify(TextPair{a, b}))[0]; };
    CHECK(score("new phone", "red tent") != score("red tent", "new phone"));
    // The same tokens in one text: [SEP] is a token of its own there, but of type 0.
    CHECK(score("new phone", "red tent") != take(model.classify("new phone [SEP] red tent"))[0]);
}

TEST_CASE("a prompt of the file is not put before classified texts, and what is cut off has no influence") {
    const auto model = load("tiny-sequence");  // 16 tokens
    std::string words;
    while (words.size() < 1000) words += "the red phone ";
    CHECK(take(model.classify(words)) == take(model.classify(words + "boat")));
    CHECK(take(model.classify(TextPair{"tent", words})) == take(model.classify(TextPair{"tent", words + "boat"})));
    CHECK(take(model.classify(TextPair{words, "tent"})) == take(model.classify(TextPair{words + "boat", "tent"})));
    CHECK(take(model.classify(TextPair{words, "tent"})) != take(model.classify(TextPair{words, "shoe"})));
    ranklet::BatchOptions options;
    options.prompt = "there is no such prompt";
    CHECK(take(model.classify("phone", options)) == take(model.classify("phone")));
}

TEST_CASE("no texts are no rows, an empty one is the special tokens, one that is not UTF-8 an error naming it") {
    const auto model = load("tiny-sequence");
    CHECK(take(model.classify(std::span<const std::string_view>())).rows() == 0);
    CHECK(take(model.classify(std::span<const TextPair>())).rows() == 0);
    CHECK(take(model.classify("")).size() == 4);
    CHECK(take(model.classify(TextPair{})).size() == 4);
    check_error(model.classify("caf\xE9"), ErrorCode::invalid_text, "text 0");
    std::vector<TextPair> pairs(50, TextPair{"a", "b"});
    pairs[41].second = "\xFF";
    check_error(model.classify(std::span<const TextPair>(pairs)), ErrorCode::invalid_text, "text 41");
}

TEST_CASE("a file without a classifier, or with the other kind, is refused by name") {
    check_error(SequenceClassifier::load(model_path("tiny-minilm")), ErrorCode::missing, "ranklet.classifier.kind");
    check_error(SequenceClassifier::load(model_path("tiny-tokens")), ErrorCode::unsupported, "TokenClassifier");
    check_error(ranklet::TokenClassifier::load(model_path("tiny-sequence")), ErrorCode::unsupported,
                "SequenceClassifier");
    check_error(SequenceClassifier::load(model_path("tiny-items")), ErrorCode::unsupported);
    check_error(SequenceClassifier::load("no such file"), ErrorCode::io, "no such file");
}

TEST_CASE("the encoder of a classifier's file is an encoder still") {
    const auto bert = take(Bert::load(model_path("tiny-sequence")));
    CHECK(take(bert.encode("phone")).size() == 24);
}

TEST_CASE("a changed weight of the head, and every truncation of its file, is an error") {
    for (const std::string name : {"tiny-sequence", "tiny-tokens"}) {
        auto bytes = read_bytes(model_path(name));
        const auto whole = take(ranklet::GgufFile::from_memory(bytes, "m"));
        const auto out = take(whole.tensor("ranklet.classifier.out.weight"));
        const auto offset = static_cast<std::size_t>(reinterpret_cast<const std::byte*>(out.data) - bytes.data());
        const auto test = [&](std::span<const std::byte> file) -> ranklet::Result<void> {
            RANKLET_ASSIGN(const auto gguf, ranklet::GgufFile::from_memory(file, "m"));
            if (name == "tiny-sequence") {
                RANKLET_ASSIGN(const auto model, SequenceClassifier::from_file(gguf, {.self_test = false}));
                return model.self_test(ranklet::ModelReader(gguf));
            }
            RANKLET_ASSIGN(const auto model, ranklet::TokenClassifier::from_file(gguf, {.self_test = false}));
            return model.self_test(ranklet::ModelReader(gguf));
        };
        succeed(test(bytes));
        // The sign of a weight: the highest bit of its last byte (f16 and f32 alike)
        bytes[offset + (out.type == ranklet::TensorType::f16 ? 1 : 3)] ^= std::byte{0x80};
        check_error(test(bytes), ErrorCode::self_test, "ranklet.selftest.logits");
        for (std::size_t size = 0; size < bytes.size(); size += 211)
            CHECK_FALSE(test(std::span<const std::byte>(bytes).first(size)).ok());
    }
}
