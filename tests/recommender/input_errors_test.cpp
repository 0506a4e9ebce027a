// Which input a failing call is about is said once: by Error::input, and by one name in the message. The first of several
// broken inputs is it, with any number of threads.
#include <doctest/doctest.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/encoders/news_encoder.hpp"
#include "ranklet/encoders/word_vectors.hpp"
#include "ranklet/tasks/rerank.hpp"
#include "ranklet/tasks/sequence_classifier.hpp"
#include "ranklet/tasks/token_classifier.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::BatchOptions;
using ranklet::Error;
using ranklet::ErrorCode;
using ranklet::Recommender;
using ranklet::Result;
using ranklet::TextPair;
using Texts = std::span<const std::string_view>;

template <class T>
void check_input(const Result<T>& result, ErrorCode code, std::size_t input, std::string_view message) {
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().code == code);
    CHECK(result.error().input == input);
    CHECK(result.error().message == message);
}

constexpr std::size_t count = 620;
constexpr std::string_view broken = "ok \xFF";
constexpr std::string_view not_utf8 = "not UTF-8";

/// `call(texts, threads)` names the first broken text as "text N: ...", once.
template <class Call>
void check_texts(const Call& call) {
    for (const std::size_t threads : {1u, 3u})
        for (const std::size_t first : {0u, 63u, 64u, 300u, 619u}) {
            CAPTURE(threads);
            CAPTURE(first);
            std::vector<std::string_view> texts(count, "a red phone");
            for (std::size_t i = first; i < count; i += 101) texts[i] = broken;
            texts[count - 1] = broken;
            const Error error = call(Texts(texts), threads);
            CHECK(error.code == ErrorCode::invalid_text);
            CHECK(error.input == first);
            const std::string name = "text " + std::to_string(first) + ": ";
            CHECK_MESSAGE(error.message.starts_with(name), error.message);
            CHECK_MESSAGE(error.message.find("text ", 5) == error.message.find("text is not"), error.message);
        }
}
template <class T>
Error error_of(const Result<T>& result) {
    return result.ok() ? Error{} : result.error();
}

}  // namespace

TEST_CASE("encoders name a broken text once, whichever thread met it") {
    const auto check_encoder = [](const auto& encoder) {
        check_texts([&](Texts texts, std::size_t threads) {
            return error_of(encoder.encode(texts, {.threads = finely(threads)}));
        });
        check_input(encoder.encode(broken), ErrorCode::invalid_text, 0,
                    error_of(encoder.encode(Texts(&broken, 1))).message);
    };
    check_encoder(take(ranklet::Bert::load(model_path("tiny-minilm"))));
    check_encoder(take(ranklet::WordVectors::load(model_path("tiny-words"))));
    const auto news = take(ranklet::NewsEncoder::load(model_path("news-nrms")));
    check_texts(
        [&](Texts texts, std::size_t threads) { return error_of(news.encode(texts, {.threads = finely(threads)})); });
}

TEST_CASE("classifiers, pairs and the tokenizer's batches name a broken text once") {
    const auto classifier = take(ranklet::SequenceClassifier::load(model_path("tiny-cross-encoder")));
    check_texts([&](Texts texts, std::size_t threads) {
        return error_of(classifier.classify(texts, {.threads = finely(threads)}));
    });
    check_texts([&](Texts texts, std::size_t threads) {
        std::vector<TextPair> pairs;
        for (const std::string_view text : texts) pairs.push_back({"query", text});
        return error_of(classifier.classify(std::span<const TextPair>(pairs), {.threads = finely(threads)}));
    });
    const auto tagger = take(ranklet::TokenClassifier::load(model_path("tiny-tokens")));
    check_texts(
        [&](Texts texts, std::size_t threads) { return error_of(tagger.tag(texts, {.threads = finely(threads)})); });
    check_texts([&](Texts texts, std::size_t threads) {
        std::vector<ranklet::Encoding> out(texts.size());
        return error_of(classifier.bert().tokenizer().encode_batch(texts, {}, out, finely(threads)));
    });
    const std::vector<std::string_view> candidates{"a", "b", broken, broken};
    check_input(rerank(classifier, "a", candidates), ErrorCode::invalid_text, 2, "candidate 2 is not UTF-8 at byte 3");
    CHECK(error_of(rerank(classifier, broken, candidates)).input == Error::no_input);
}

TEST_CASE("encode_catalog names the item by its id, once, and its place: vectors, and token states beyond one piece") {
    for (const std::string name :
         {"tiny-dot-product", "tiny-next-event", "tiny-words-dot", "news-nrms", "tiny-text-gru"}) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        for (const std::size_t threads : {1u, 3u})
            for (const std::size_t first : {0u, 255u, 256u, 300u, 511u, 512u, 619u}) {
                CAPTURE(threads);
                CAPTURE(first);
                Items items(count);
                for (ranklet::Item& item : items.items) item.text = "a red phone";
                for (std::size_t i = first; i < count; i += 77) items.items[i].text = broken;
                const Error error = error_of(model.encode_catalog(items.items, {.threads = finely(threads)}));
                CHECK(error.code == ErrorCode::invalid_text);
                CHECK(error.input == first);
                const std::string id = "item-" + std::to_string(first);
                CHECK_MESSAGE(error.message.starts_with("item \"" + id + "\": "), error.message);
                CHECK_MESSAGE(error.message.find(id, 7) == std::string::npos, error.message);
                CHECK_MESSAGE(error.message.find("text " + std::to_string(first)) == std::string::npos, error.message);
                CHECK_MESSAGE(error.message.find("text 0") == std::string::npos, error.message);
                CHECK_MESSAGE(error.message.find(not_utf8) != std::string::npos, error.message);
            }
    }
}

TEST_CASE("update_catalog names the item by its id, once") {
    for (const std::string name :
         {"tiny-dot-product", "tiny-next-event", "tiny-words-dot", "news-nrms", "tiny-text-gru"}) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Items items(3);
        const auto catalog = take(model.encode_catalog(items.items));
        for (const bool adds : {true, false}) {
            const ranklet::Item changed{adds ? "new" : "item-1", broken};
            ranklet::CatalogChanges changes;
            (adds ? changes.add : changes.replace) = std::span(&changed, 1);
            const Error error = error_of(update_catalog(model, catalog, changes));
            CHECK(error.code == ErrorCode::invalid_text);
            CHECK_MESSAGE(error.message.starts_with(adds ? "item \"new\": " : "item \"item-1\": "), error.message);
            CHECK_MESSAGE(error.message.find("text 0") == std::string::npos, error.message);
        }
    }
}

TEST_CASE("vectors and attributes that an item must not have are errors about that item") {
    const std::vector<float> values{1.0f};
    const std::vector<ranklet::ItemVector> vectors{{"image", values}};
    const std::vector<ranklet::Attribute> twice{{"colour", "red"}, {"colour", "blue"}};
    for (const std::string name : {"tiny-dot-product", "tiny-words-dot", "news-nrms", "tiny-text-gru"}) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        Items items(count);
        items.items[400].vectors = vectors;
        check_input(model.encode_catalog(items.items), ErrorCode::invalid_argument, 400,
                    "item \"item-400\": \"image\" is no vector that the model reads");
        items.items[401].attributes = twice;
        const Error error = error_of(model.encode_catalog(items.items));
        CHECK(error.input == 401);
        CHECK(error.code == ErrorCode::invalid_argument);
        CHECK_MESSAGE(error.message.starts_with("item \"item-401\": "), error.message);
    }
}

TEST_CASE("an error that is about no input says so") {
    const Recommender model = load_model("tiny-dot-product"), own = load_model("tiny-items");
    const Items items(3);
    CHECK(error_of(model.encode_catalog(items.items, {.prompt = "no such prompt"})).input == Error::no_input);
    CHECK(error_of(model.encode_catalog(items.items, {.prompt = "no such prompt"})).code == ErrorCode::missing);
    CHECK(error_of(own.encode_catalog(items.items)).input == Error::no_input);
    CHECK(error_of(model.items()).input == Error::no_input);
    CHECK(error_of(Recommender::load("no/such/file")).input == Error::no_input);
}

TEST_CASE("one text of a recommender is input 0, of encode and of observe_text") {
    for (const std::string name : text_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Error error = error_of(model.encode(broken));
        CHECK(error.code == ErrorCode::invalid_text);
        CHECK(error.input == 0);
        CHECK_MESSAGE(error.message.find("text 0") == std::string::npos, error.message);
        auto user = model.new_user();
        const Error of_event = error_of(user.observe_text(broken));
        CHECK(of_event.input == 0);
        CHECK(of_event.message == error.message);
        CHECK(user.events().empty());
    }
}
