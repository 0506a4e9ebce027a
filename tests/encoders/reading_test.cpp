// How much of a text an encoder read, and reading all of it: values against the same texts cut by hand.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "endless_text.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/encoders/news_encoder.hpp"
#include "ranklet/encoders/sentence_head.hpp"
#include "ranklet/encoders/word_vectors.hpp"
#include "ranklet/text/windows.hpp"
#include "ranklet/text/wordpiece.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::BatchOptions;
using ranklet::Bert;
using ranklet::ErrorCode;
using ranklet::Matrix;
using ranklet::TextPair;
using ranklet::TextRead;
using ranklet::Windows;

Bert load_bert(const std::string& name) { return take(Bert::load(model_path(name))); }

void check_read(const TextRead& read, std::size_t bytes, std::size_t tokens, std::size_t windows, bool whole) {
    CHECK(read.bytes == bytes);
    CHECK(read.tokens == tokens);
    CHECK(read.windows == windows);
    CHECK(read.whole == whole);
}

TextRead read_of(const Bert& bert, std::string_view text, BatchOptions options = {}) {
    TextRead read;
    options.read = std::span(&read, 1);
    (void)take(bert.encode(text, options));
    return read;
}

}  // namespace

TEST_CASE("a text that fits is told to be whole, one token more is not, and what was read is a place in the text") {
    const Bert bert = load_bert("tiny-minilm");
    const std::size_t room = bert.max_length() - 2;
    const std::string fits = text_of(0, room), cut = text_of(0, room + 1);
    check_read(read_of(bert, ""), 0, 0, 1, true);
    check_read(read_of(bert, fits), fits.size(), room, 1, true);
    check_read(read_of(bert, fits + "  \n"), fits.size() + 3, room, 1, true);  // nothing but blanks behind it
    check_read(read_of(bert, cut), fits.size(), room, 1, false);
    // Of a word of several tokens the first may be the last that is read.
    const std::string pieces = text_of(0, room - 1) + " unwatchable";
    const auto tokens = take(bert.tokenizer().encode(pieces));
    REQUIRE(tokens.size() > room + 2);
    check_read(read_of(bert, pieces), tokens.offsets[room].end, room, 1, false);
    // It costs no bit of the vector.
    std::vector<TextRead> read(2);
    const std::vector<std::string_view> texts{cut, fits};
    const Matrix plain = take(bert.encode(texts)), told = take(bert.encode(texts, {.read = read}));
    CHECK(same_bits(flat(plain), flat(told)));
    check_error(bert.encode(texts, {.read = std::span(read).first(1)}), ErrorCode::invalid_argument,
                "1 entries for 2 texts");
}

TEST_CASE("a prompt's tokens and bytes are not the text's") {
    const Bert bert = load_bert("tiny-dense");  // "query": "the new "
    BatchOptions options;
    options.prompt = "query";
    const std::size_t room = bert.max_length() - 2 - 2;
    const std::string fits = text_of(0, room), cut = text_of(0, room + 5);
    check_read(read_of(bert, fits, options), fits.size(), room, 1, true);
    check_read(read_of(bert, cut, options), fits.size(), room, 1, false);
    options.prompt = "";
    check_read(read_of(bert, fits, options), fits.size(), room, 1, true);
}

TEST_CASE("each text of a pair is told by itself") {
    const Bert bert = load_bert("tiny-minilm");
    const std::size_t room = bert.max_length() - 3;
    const std::string three = text_of(0, 3), fits = text_of(0, room - 3), cut = text_of(0, room + 9);
    const std::vector<TextPair> pairs{{three, fits}, {three, cut}, {cut, three}, {cut, cut}};
    std::vector<TextRead> read(8);
    const auto nothing = [](std::size_t, ranklet::MatrixView<const float>, ranklet::Scratch&) {};
    succeed(bert.for_each_pair(pairs, {.read = read}, nothing));
    check_read(read[0], three.size(), 3, 1, true);
    check_read(read[1], fits.size(), room - 3, 1, true);
    check_read(read[2], three.size(), 3, 1, true);
    check_read(read[3], fits.size(), room - 3, 1, false);
    check_read(read[4], fits.size(), room - 3, 1, false);
    check_read(read[5], three.size(), 3, 1, true);
    CHECK(read[6].tokens + read[7].tokens == room);
    CHECK((!read[6].whole && !read[7].whole));
    check_error(bert.for_each_pair(pairs, {.read = std::span(read).first(4)}, nothing), ErrorCode::invalid_argument,
                "4 entries for 8 texts");
}

TEST_CASE("in windows a text's token states are those of its parts, each token's with the most context") {
    const Bert bert = load_bert("tiny-minilm");
    const std::size_t room = bert.max_length() - 2, overlap = 6, step = room - overlap, tokens = 2 * step + room - 3;
    const std::string text = text_of(0, tokens);
    BatchOptions options;
    options.windows = Windows{overlap};
    const Matrix states = take(bert.encode_tokens(text, options));
    REQUIRE(states.rows() == tokens + 2);
    std::vector<Matrix> parts;
    for (std::size_t first = 0;; first += step) {
        const std::size_t last = std::min(first + room, tokens);
        parts.push_back(take(bert.encode_tokens(text_of(first, last))));
        if (last == tokens) break;
    }
    REQUIRE(parts.size() == 3);
    CHECK(same_bits(states.row(0), parts[0].row(0)));                             // [CLS]
    CHECK(same_bits(states.row(tokens + 1), parts[2].row(parts[2].rows() - 1)));  // [SEP]
    for (std::size_t t = 0; t < tokens; ++t) {
        const std::size_t part = t < room - overlap / 2 ? 0 : t < step + room - overlap / 2 ? 1 : 2;
        CAPTURE(t);
        CHECK(same_bits(states.row(t + 1), parts[part].row(1 + t - part * step)));
    }
    const TextRead read = read_of(bert, text, options);
    check_read(read, text.size(), tokens, 3, true);
    // A text that fits is as without, bit for bit; so are others beside it, with any number of threads.
    const std::vector<std::string_view> texts{"red phone", text, "", text};
    options.threads = finely(3);
    const Matrix several = take(bert.encode(texts, options));
    options.threads = 1;
    for (std::size_t i = 0; i < texts.size(); ++i)
        CHECK(same_bits(take(bert.encode(texts[i], options)), several.row(i)));
    CHECK(same_bits(take(bert.encode("red phone")), several.row(0)));
    CHECK_FALSE(same_bits(take(bert.encode(text)), several.row(1)));
}

TEST_CASE("in windows a text's vector is its parts' pooled states, weighted by tokens, with the prompt before each") {
    const Bert bert = load_bert("tiny-dense");
    BatchOptions options;
    options.prompt = "query";  // "the new "
    options.windows = Windows{4};
    const std::size_t room = bert.max_length() - 2 - 2, tokens = room + 7;
    const std::string text = text_of(0, tokens);
    const std::vector<std::string> parts{text_of(0, room), text_of(room - 4, tokens)};
    const ranklet::SentenceHead& head = bert.head();
    std::vector<float> sum(head.pooled_dim()), pooled(head.pooled_dim()), expected(bert.dim());
    ranklet::Scratch scratch;
    succeed(scratch.reserve(head.scratch_size()));
    float weights = 0.0f;
    BatchOptions plain;
    plain.prompt = "query";
    for (const std::string& part : parts) {
        const Matrix states = take(bert.encode_tokens(part, plain));
        head.pool_states(states.view(), pooled.data(), scratch);
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += static_cast<float>(states.rows()) * pooled[i];
        weights += static_cast<float>(states.rows());
    }
    for (float& x : sum) x /= weights;
    head.finish(sum.data(), expected.data(), scratch);
    const auto found = take(bert.encode(text, options));
    for (std::size_t i = 0; i < found.size(); ++i)
        CHECK(static_cast<double>(found[i]) == doctest::Approx(static_cast<double>(expected[i])).epsilon(1e-5));
    check_read(read_of(bert, text, options), text.size(), tokens, 2, true);
}

TEST_CASE("a prompt that pooling leaves out stands before each window and counts in none") {
    const Bert bert = load_bert("tiny-modules");
    BatchOptions options;
    options.prompt = "query";  // "the new ", with [CLS] three tokens
    options.windows = Windows{4};
    const std::size_t room = bert.max_length() - 2 - 2, tokens = room + 7;
    const std::string text = text_of(0, tokens);
    const ranklet::SentenceHead& head = bert.head();
    std::vector<float> sum(head.pooled_dim()), pooled(head.pooled_dim()), expected(bert.dim());
    ranklet::Scratch scratch;
    succeed(scratch.reserve(head.scratch_size()));
    float weights = 0.0f;
    BatchOptions plain;
    plain.prompt = "query";
    for (const std::string& part : {text_of(0, room), text_of(room - 4, tokens)}) {
        const Matrix states = take(bert.encode_tokens(part, plain));
        head.pool_states(states.view(), pooled.data(), scratch, 3);
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += static_cast<float>(states.rows() - 3) * pooled[i];
        weights += static_cast<float>(states.rows() - 3);
    }
    for (float& x : sum) x /= weights;
    head.finish(sum.data(), expected.data(), scratch);
    const auto found = take(bert.encode(text, options));
    for (std::size_t i = 0; i < found.size(); ++i)
        CHECK(static_cast<double>(found[i]) == doctest::Approx(static_cast<double>(expected[i])).epsilon(1e-5));
}

TEST_CASE("windows that hold no more than their overlap are refused, and a sink of whole texts takes none") {
    const Bert bert = load_bert("tiny-minilm");
    BatchOptions options;
    options.windows = Windows{bert.max_length() - 2};
    check_error(bert.encode("red", options), ErrorCode::invalid_argument, "too few to overlap by");
    options.windows = Windows{bert.max_length() - 3};  // the most there can be: each window one token further
    const std::string text = text_of(0, bert.max_length() + 1);
    CHECK(read_of(bert, text, options).windows == 4);
    options.windows = Windows{};
    const auto nothing = [](std::size_t, ranklet::MatrixView<const float>, ranklet::Scratch&) {};
    const std::string_view one = text;
    check_error(bert.for_each_text(std::span(&one, 1), options, nothing), ErrorCode::invalid_argument,
                "for_each_window");
    // A stop is asked for between a text's windows too, and is no error about the text.
    std::size_t asked = 0;
    options.stop = ranklet::StopToken([&] { return ++asked > 2; });
    const std::string much = text_of(0, 4000);
    const auto stopped = bert.encode(much, options);
    check_error(stopped, ErrorCode::stopped);
    CHECK(stopped.error().input == ranklet::Error::no_input);
    CHECK(asked == 3);
    // A prompt that leaves no room for the text is an error about it.
    const Bert prompted = load_bert("tiny-dense");
    BatchOptions narrow;
    narrow.prompt = "query";
    narrow.windows = Windows{prompted.max_length() - 4};
    const std::vector<std::string_view> two{"red", much};
    const auto no_room = prompted.encode(two, narrow);
    check_error(no_room, ErrorCode::invalid_argument, "text 1: windows have room for");
    CHECK(no_room.error().input == 1);
}

TEST_CASE("word vectors tell how many words counted, and count all of them when windows are asked for") {
    const auto model = take(ranklet::Recommender::load(model_path("tiny-words-dot")));
    const auto* words_of = model.as<ranklet::WordVectors>();
    REQUIRE(words_of != nullptr);
    std::vector<TextRead> read(2);
    const std::vector<std::string_view> texts{"red phone", ""};
    (void)take(words_of->encode(texts, {.read = read}));
    CHECK((read[0].whole && read[0].bytes == 9 && read[0].windows == 1 && read[1].whole));
    check_error(words_of->encode(texts, {.read = std::span(read).first(1)}), ErrorCode::invalid_argument, "2 texts");
}

TEST_CASE("news models tell of an item's texts together, and refuse windows") {
    const auto model = take(ranklet::NewsEncoder::load(model_path("news-nrms")));
    std::string title;
    for (std::size_t i = 0; i < 400; ++i) title += "the red phone ";
    std::vector<TextRead> read(2);
    const std::vector<std::string_view> texts{title, "red"};
    (void)take(model.encode(texts, {.read = read}));
    CHECK_FALSE(read[0].whole);
    CHECK(read[0].bytes < title.size());
    ranklet::Encoding encoding;
    succeed(model.tokenize(model.find_view("title"), title, encoding));
    CHECK((read[0].tokens == encoding.size() && read[0].bytes == encoding.offsets.back().end));
    CHECK((read[1].whole && read[1].bytes == 3));
    check_error(model.encode(texts, {.windows = Windows{}}), ErrorCode::unsupported, "windows");
}
