// The text encoder's behaviour: hostile and extreme texts, prompts, packed batches that do not fit the model.
#include "ranklet/encoders/bert.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "io/gguf_builder.hpp"
#include "ranklet/core/half.hpp"
#include "ranklet/encoders/bert_model.hpp"
#include "ranklet/encoders/sentence_head.hpp"
#include "ranklet/encoders/token_batch.hpp"
#include "ranklet/model_file/layers.hpp"
#include "ranklet/model_file/reader.hpp"
#include "ranklet/model_file/self_test.hpp"
#include "ranklet/text/wordpiece.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::BatchOptions;
using ranklet::Bert;
using ranklet::ErrorCode;
using ranklet::GgufFile;
using ranklet::Matrix;
using ranklet::TokenBatch;

Bert load_bert(const std::string& name) { return take(Bert::load(model_path(name))); }

double length_of(std::span<const float> x) {
    double sum = 0.0;
    for (const float v : x) sum += static_cast<double>(v) * static_cast<double>(v);
    return std::sqrt(sum);
}

}  // namespace

TEST_CASE("a text's vector has the model's size, is finite, and is normalised where the model says so") {
    for (const std::string name : {"tiny-minilm", "tiny-dense", "tiny-distilbert"}) {
        const Bert bert = load_bert(name);
        for (const std::string_view text : {"", "phone", "红色手机", "the small red boat and the small red phone"}) {
            const auto vector = take(bert.encode(text));
            REQUIRE(vector.size() == bert.dim());
            for (const float v : vector) CHECK(std::isfinite(v));
            if (name != std::string("tiny-dense")) CHECK(length_of(vector) == doctest::Approx(1.0).epsilon(1e-5));
        }
    }
    CHECK(load_bert("tiny-dense").dim() == 17);
    CHECK(load_bert("tiny-dense").hidden() == 20);
}

TEST_CASE("a shorter vector is the whole one's first numbers, of length 1 again where that is; its self-test runs") {
    for (const std::string name : {"tiny-minilm", "tiny-dense", "tiny-modules"}) {
        CAPTURE(name);
        const Bert whole = load_bert(name);
        const bool unit = whole.head().normalizes();
        CHECK(unit == (name == "tiny-minilm"));
        ranklet::LoadOptions options;
        options.truncate_dim = 7;
        const Bert cut = take(Bert::load(model_path(name), options));
        CHECK(cut.dim() == 7);
        CHECK(cut.hidden() == whole.hidden());
        for (const std::string_view text : {"", "phone", "the small red boat and the small red phone"}) {
            auto expected = take(whole.encode(text));
            expected.resize(7);
            const double length = unit ? length_of(expected) : 1.0;
            const auto found = take(cut.encode(text));
            REQUIRE(found.size() == 7);
            for (std::size_t i = 0; i < 7; ++i)
                CHECK(static_cast<double>(found[i]) ==
                      doctest::Approx(static_cast<double>(expected[i]) / length).epsilon(1e-6));
        }
        options.truncate_dim = whole.dim();
        CHECK(take(Bert::load(model_path(name), options)).encode("phone")->size() == whole.dim());
        for (const std::size_t wrong : {std::size_t{0}, whole.dim() + 1}) {
            options.truncate_dim = wrong;
            check_error(Bert::load(model_path(name), options), ErrorCode::invalid_argument, "is not 1 to");
        }
    }
}

TEST_CASE("texts that differ have vectors that differ, and equal ones the same bits") {
    const Bert bert = load_bert("tiny-minilm");
    const auto a = take(bert.encode("red phone")), b = take(bert.encode("phone red")),
               c = take(bert.encode("Red PHONE"));
    CHECK_FALSE(same_bits(a, b));
    CHECK(same_bits(a, c));  // an uncased model
}

TEST_CASE("the empty text and blanks are the two special tokens") {
    const Bert bert = load_bert("tiny-minilm");
    for (const std::string_view text : {"", "   ", "\t\r\n"}) {
        CHECK(take(bert.encode_tokens(text)).rows() == 2);
        CHECK(same_bits(take(bert.encode(text)), take(bert.encode(""))));
    }
    CHECK(take(bert.encode(std::span<const std::string_view>())).rows() == 0);
}

TEST_CASE("a text of 100 KB is truncated to the model's length") {
    for (const std::string name : {"tiny-minilm", "tiny-dense"}) {
        const Bert bert = load_bert(name);
        std::string words, one_word(100000, 'a'), chinese;
        while (words.size() < 100000) words += "the red phone ";
        while (chinese.size() < 100000) chinese += "手机";
        CHECK(take(bert.encode_tokens(words)).rows() == bert.max_length());
        CHECK(take(bert.encode_tokens(chinese)).rows() == bert.max_length());
        CHECK(take(bert.encode_tokens(one_word)).rows() == 3);  // an unknown word
        // What is cut off has no influence.
        CHECK(same_bits(take(bert.encode(words)), take(bert.encode(words + " boat"))));
        CHECK_FALSE(same_bits(take(bert.encode(words)), take(bert.encode("boat " + words))));
    }
}

TEST_CASE("text that is not UTF-8 is an error that names the text, wherever it stands") {
    const Bert bert = load_bert("tiny-minilm");
    check_error(bert.encode("\xFF"), ErrorCode::invalid_text, "text 0");
    check_error(bert.encode_tokens("caf\xE9"), ErrorCode::invalid_text, "text 0");
    for (const std::size_t place : {0u, 31u, 32u, 99u}) {
        std::vector<std::string_view> texts(100, "phone");
        texts[place] = "the \xF0\x9F\x98";
        for (const std::size_t threads : {1u, 2u})
            check_error(bert.encode(std::span<const std::string_view>(texts), {.threads = finely(threads)}),
                        ErrorCode::invalid_text, "text " + std::to_string(place) + ":");
    }
}

TEST_CASE("a prompt is put before each text, and an unknown one is an error naming it") {
    const Bert bert = load_bert("tiny-dense");  // prompts "query" and "passage", no default
    BatchOptions options;
    const auto plain = take(bert.encode("phone"));
    options.prompt = "query";
    CHECK(same_bits(take(bert.encode("phone", options)), take(bert.encode("the new phone"))));
    options.prompt = "passage";
    CHECK(same_bits(take(bert.encode("phone", options)), take(bert.encode("book: phone"))));
    options.prompt = "";
    CHECK(same_bits(take(bert.encode("phone", options)), plain));
    options.prompt = "question";
    check_error(bert.encode("phone", options), ErrorCode::missing, "\"question\"");
}

TEST_CASE("a prompt that pooling leaves out changes a text's vector by what the tokens see of it alone") {
    const Bert bert =
        load_bert("tiny-modules");  // "query": "the new ", "none": ""; pooling leaves [CLS] and prompt out
    REQUIRE(bert.head().leaves_prompt_out());
    BatchOptions options;
    const auto plain = take(bert.encode("red phone"));
    options.prompt = "none";
    CHECK(same_bits(take(bert.encode("red phone", options)), plain));
    options.prompt = "query";
    const auto found = take(bert.encode("red phone", options));
    // What counts are the states behind [CLS] the new, of "[CLS] the new red phone [SEP]".
    const Matrix states = take(bert.encode_tokens("red phone", options));
    ranklet::Scratch scratch;
    succeed(scratch.reserve(bert.head().scratch_size()));
    std::vector<float> expected(bert.dim());
    bert.head().forward(states.view(), expected.data(), scratch, 3);
    CHECK(same_bits(found, expected));
    bert.head().forward(states.view(), expected.data(), scratch);
    CHECK_FALSE(same_bits(found, expected));
    CHECK(same_bits(take(bert.encode("the new red phone")), expected));
    // The same wherever a vector is made: in a batch, of an item, when a text is taken apart.
    const std::vector<std::string_view> texts{"a", "red phone", "", "手机"};
    CHECK(same_bits(take(bert.encode(texts, options)).row(1), found));
    const std::vector<ranklet::Item> items{{"1", "red phone"}};
    CHECK(same_bits(take(bert.encode_items(items, ranklet::ItemForm::vector, options)).rows.row(0), found));
    const auto parts = take(bert.take_apart(items[0], ranklet::TextUnit::word, options));
    CHECK(same_bits(take(parts->encode(0, 1, ranklet::ItemForm::vector, options)).rows.row(0), found));
    // Where a prompt fills the model, the last token still counts.
    std::string much;
    for (std::size_t i = 0; i < 60; ++i) much += "phone ";
    bert.head().forward(take(bert.encode_tokens(much)).view(), expected.data(), scratch, 1000);
    for (const float x : expected) CHECK(std::isfinite(x));
}

TEST_CASE("progress of an encoder is told from the first texts to the last") {
    const Bert bert = load_bert("tiny-minilm");
    const std::vector<std::string_view> texts(200, "phone");
    std::vector<std::size_t> told;
    BatchOptions options;
    options.progress = [&](std::size_t done, std::size_t all) {
        CHECK(all == 200);
        told.push_back(done);
    };
    CHECK(bert.encode(std::span<const std::string_view>(texts), options).ok());
    CHECK(told.size() > 2);
    CHECK(told.back() == 200);
    CHECK(std::is_sorted(told.begin(), told.end()));
}

TEST_CASE("a packed batch that does not fit the model is an error naming the place") {
    const Bert bert = load_bert("tiny-minilm");  // 146 tokens, 40 positions, 2 token types
    const ranklet::BertModel& model = bert.model();
    const auto check = [&](const std::vector<std::int32_t>& ids, const std::vector<std::int32_t>& types,
                           const std::vector<std::size_t>& offsets) {
        return model.check(TokenBatch{ids, types, offsets});
    };
    CHECK(check({3, 10, 4, 3, 4}, {}, {0, 3, 5}).ok());
    CHECK(check({3, 10, 4, 3, 4}, {0, 0, 1, 1, 0}, {0, 3, 5}).ok());
    CHECK(check({}, {}, {0}).ok());
    const auto refused = [&](const ranklet::Result<void>& result, std::string_view part) {
        check_error(result, ErrorCode::invalid_argument, part);
    };
    refused(check({3, 146, 4}, {}, {0, 3}), "token 1 has the id 146, not 0 to 145");
    refused(check({3, -1, 4}, {}, {0, 3}), "token 1 has the id -1");
    refused(check({3, 2147483647, 4}, {}, {0, 3}), "2147483647");
    refused(check({3, 10, 4}, {0, 2, 0}, {0, 3}), "token 1 has the type 2");
    refused(check({3, 10, 4}, {0, -1, 0}, {0, 3}), "token 1 has the type -1");
    refused(check({3, 10, 4}, {0, 0}, {0, 3}), "a type for each token");
    refused(check({3, 10, 4}, {}, {}), "offsets");
    refused(check({3, 10, 4}, {}, {0, 2}), "offsets");
    refused(check({3, 10, 4}, {}, {1, 3}), "offsets");
    refused(check({3, 10, 4}, {}, {0, 0, 3}), "text 0 must have 1 to 40 tokens");
    refused(check({3, 10, 4}, {}, {0, 2, 1, 3}), "text 1");
    refused(check(std::vector<std::int32_t>(41, 3), {}, {0, 41}), "1 to 40");
    refused(check({3, 10, 4}, {}, {0, static_cast<std::size_t>(-1), 3}), "text");
}

TEST_CASE("token types that are given count, and zeros are what is used without them") {
    const Bert bert = load_bert("tiny-minilm");
    const std::vector<std::int32_t> ids{3, 10, 20, 4};
    const std::vector<std::size_t> offsets{0, 4};
    const auto states = [&](const std::vector<std::int32_t>& types) {
        const TokenBatch batch{ids, types, offsets};
        ranklet::Scratch scratch;
        succeed(bert.model().check(batch));
        succeed(scratch.reserve(bert.model().scratch_size(4, 4)));
        Matrix result = take(Matrix::zeroed(4, bert.hidden()));
        bert.model().forward(batch, result.view(), scratch);
        return std::vector<float>(flat(result).begin(), flat(result).end());
    };
    CHECK(same_bits(states({}), states({0, 0, 0, 0})));
    CHECK_FALSE(same_bits(states({}), states({0, 0, 1, 1})));
}

TEST_CASE("pooling of one token is that token, whatever the mode, and of several what the mode says") {
    using ranklet::Pooling;
    const std::vector<float> states{1.0f, -2.0f, 3.0f, 5.0f, 2.0f, -6.0f};  // three tokens of two elements
    const auto pooled = [&](Pooling mode, std::size_t length) {
        std::vector<float> out(2);
        ranklet::pool(mode, {states.data(), length, 2}, out.data());
        return out;
    };
    for (const Pooling mode :
         {Pooling::cls, Pooling::mean, Pooling::max, Pooling::mean_sqrt_len, Pooling::weighted_mean, Pooling::last})
        CHECK(pooled(mode, 1) == std::vector<float>{1.0f, -2.0f});
    CHECK(pooled(Pooling::cls, 3) == std::vector<float>{1.0f, -2.0f});
    CHECK(pooled(Pooling::last, 3) == std::vector<float>{2.0f, -6.0f});
    CHECK(pooled(Pooling::max, 3) == std::vector<float>{3.0f, 5.0f});
    const auto close = [](const std::vector<float>& found, double x, double y) {
        CHECK(static_cast<double>(found[0]) == doctest::Approx(x).epsilon(1e-6));
        CHECK(static_cast<double>(found[1]) == doctest::Approx(y).epsilon(1e-6));
    };
    close(pooled(Pooling::mean, 3), 2.0, -1.0);
    close(pooled(Pooling::mean_sqrt_len, 3), 6.0 / std::sqrt(3.0), -3.0 / std::sqrt(3.0));
    close(pooled(Pooling::weighted_mean, 3), (1.0 + 6.0 + 6.0) / 6.0, (-2.0 + 10.0 - 18.0) / 6.0);
    // Rows in front that do not count; the weights of weighted_mean stay those of the whole text.
    const auto behind = [&](Pooling mode, std::size_t first) {
        std::vector<float> out(2);
        ranklet::pool(mode, {states.data(), 3, 2}, out.data(), first);
        return out;
    };
    CHECK(behind(Pooling::cls, 1) == std::vector<float>{3.0f, 5.0f});
    CHECK(behind(Pooling::last, 1) == std::vector<float>{2.0f, -6.0f});
    CHECK(behind(Pooling::max, 2) == std::vector<float>{2.0f, -6.0f});
    close(behind(Pooling::mean, 1), 2.5, -0.5);
    close(behind(Pooling::mean_sqrt_len, 1), 5.0 / std::sqrt(2.0), -1.0 / std::sqrt(2.0));
    close(behind(Pooling::weighted_mean, 1), (6.0 + 6.0) / 5.0, (10.0 - 18.0) / 5.0);
    const ranklet::ModelReader reader{ranklet::GgufFile()};
    check_error(reader.choose("pooling", "median", ranklet::pooling_names), ErrorCode::unsupported,
                "pooling is \"median\", expected cls, mean, max, mean_sqrt_len, weighted_mean or last");
    check_error(reader.choose("activation", "swish2", ranklet::activation_names), ErrorCode::unsupported, "\"swish2\"");
}

TEST_CASE(
    "an 8-bit model passes its self-test, stays close to the model it was made from, and keeps batch invariance") {
    const Bert exact = load_bert("tiny-minilm"), small = load_bert("tiny-minilm-i8");
    const std::vector<std::string_view> texts{"phone", "the small red boat and the small red phone", "红色手机", ""};
    const Matrix a = take(exact.encode(texts)), b = take(small.encode(texts));
    for (std::size_t t = 0; t < texts.size(); ++t) {
        double dot = 0.0;
        for (std::size_t i = 0; i < a.cols(); ++i)
            dot += static_cast<double>(a.row(t)[i]) * static_cast<double>(b.row(t)[i]);
        CHECK(dot / (length_of(a.row(t)) * length_of(b.row(t))) >= 0.995);
        const auto alone = take(small.encode(texts[t]));
        CHECK(std::equal(alone.begin(), alone.end(), b.row(t).begin()));
    }
    CHECK_FALSE(std::equal(a.row(1).begin(), a.row(1).end(), b.row(1).begin()));
}

TEST_CASE("a model fitted to 8 bits is closer to its original than a plain one; other quantizations are refused") {
    const Bert exact = load_bert("tiny-minilm"), plain = load_bert("tiny-minilm-i8"),
               fitted = load_bert("tiny-minilm-fitted");
    const std::vector<std::string_view> texts{"phone", "the small red boat and the small red phone", "红色手机",
                                              "a book"};
    const Matrix a = take(exact.encode(texts)), b = take(plain.encode(texts)), c = take(fitted.encode(texts));
    const auto distance = [&](const Matrix& other) {
        double sum = 0.0;
        for (std::size_t t = 0; t < texts.size(); ++t)
            for (std::size_t i = 0; i < a.cols(); ++i) {
                const double difference = static_cast<double>(a.row(t)[i]) - static_cast<double>(other.row(t)[i]);
                sum += difference * difference;
            }
        return sum;
    };
    CHECK(distance(c) > 0.0);
    CHECK(distance(c) < 0.7 * distance(b));
    auto bytes = read_bytes(model_path("tiny-minilm-fitted"));
    const std::string_view known = "zero_point";
    const auto at = std::search(bytes.begin(), bytes.end(), known.begin(), known.end(),
                                [](std::byte x, char y) { return x == static_cast<std::byte>(y); });
    REQUIRE(at != bytes.end());
    *at = std::byte{'y'};
    const auto file = take(GgufFile::from_memory(bytes, "other.gguf"));
    check_error(Bert::from_file(file), ErrorCode::unsupported,
                "ranklet.encoder.quantization is \"yero_point\", expected symmetric or zero_point");
}

TEST_CASE("a bf16 model's self-test finds a damaged weight, whether or not its products round their inputs") {
    const auto bytes = read_bytes(model_path("tiny-distilbert"));
    const GgufFile file = take(GgufFile::from_memory(bytes, "small.gguf"));
    CHECK(ranklet::detail::rounds_bf16_inputs(file) == ranklet::uses_bf16_dot);
    CHECK_FALSE(ranklet::detail::rounds_bf16_inputs(take(GgufFile::open(model_path("tiny-minilm")))));
    // Of a table of bf16 vectors no product is made.
    CHECK_FALSE(ranklet::detail::rounds_bf16_inputs(take(GgufFile::open(model_path("tiny-static-embedding")))));
    std::size_t tried = 0, missed = 0;
    for (const auto& tensor : file.tensors())
        for (std::size_t at = 1; at < tensor.rows * tensor.cols; at += tensor.rows * tensor.cols / 3 + 1) {
            if (tensor.type != ranklet::TensorType::bf16 || !tensor.name.starts_with("blk.")) continue;
            auto damaged = bytes;
            damaged[static_cast<std::size_t>(tensor.data - bytes.data()) + 2 * at + 1] ^= std::byte{0x40};  // exponent
            const GgufFile changed = take(GgufFile::from_memory(damaged, "damaged.gguf"));
            const Bert bert = take(Bert::from_file(changed, {.self_test = false}));
            missed += bert.self_test(ranklet::ModelReader(changed)).ok();
            ++tried;
        }
    CHECK(tried == 36);
    CHECK(missed == 0);
}

TEST_CASE("a model's scratch holds each of its layers, whatever the kinds of their weights and their order") {
    constexpr std::size_t dim = 8, inner = 16, tokens = 21;
    const auto build = [&](const std::vector<ranklet::TensorType>& kinds) {
        Random random(9);
        GgufBuilder builder;
        builder.key("bert.embedding_length", std::uint32_t{dim})
            .key("bert.feed_forward_length", std::uint32_t{inner})
            .key("bert.block_count", static_cast<std::uint32_t>(kinds.size()))
            .key("bert.attention.head_count", std::uint32_t{2})
            .key("bert.context_length", std::uint32_t{32})
            .key("bert.attention.layer_norm_epsilon", 1e-5f)
            .tensor("token_embd.weight", {10, dim}, random.row(10 * dim))
            .tensor("position_embd.weight", {32, dim}, random.row(32 * dim))
            .tensor("token_embd_norm.weight", {dim}, random.row(dim))
            .tensor("token_embd_norm.bias", {dim}, random.row(dim));
        for (std::size_t b = 0; b < kinds.size(); ++b) {
            const std::string prefix = "blk." + std::to_string(b) + ".";
            const auto matrix = [&](const char* name, std::size_t out, std::size_t in) {
                const std::string full = prefix + name + ".weight";
                const auto type = static_cast<std::uint32_t>(kinds[b]);
                if (kinds[b] == ranklet::TensorType::i8) {
                    std::vector<std::int8_t> weight(out * in);
                    for (auto& w : weight) w = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
                    builder.tensor(full, type, {out, in}, bytes_of(weight))
                        .tensor(full + "_scale", {out}, std::vector<float>(out, 0.01f));
                } else if (kinds[b] == ranklet::TensorType::bf16) {
                    std::vector<std::uint16_t> weight(out * in);
                    for (auto& w : weight) w = ranklet::f32_to_bf16(random.between(-1.0f, 1.0f));
                    builder.tensor(full, type, {out, in}, bytes_of(weight));
                } else {
                    builder.tensor(full, {out, in}, random.row(out * in));
                }
            };
            for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output"}) matrix(name, dim, dim);
            matrix("ffn_up", inner, dim);
            matrix("ffn_down", dim, inner);
            for (const char* name : {"attn_output_norm", "layer_output_norm"})
                builder.tensor(prefix + name + ".weight", {dim}, random.row(dim))
                    .tensor(prefix + name + ".bias", {dim}, random.row(dim));
        }
        return builder.build();
    };
    std::vector<std::int32_t> ids;
    for (std::size_t i = 0; i < tokens; ++i) ids.push_back(static_cast<std::int32_t>(i % 10));
    const std::vector<std::size_t> offsets{0, 4, tokens};
    const TokenBatch batch{ids, {}, offsets};
    using enum ranklet::TensorType;
    for (const auto kind : {i8, bf16}) {
        std::vector<std::size_t> sizes;
        for (const auto& kinds : {std::vector{kind, f32}, std::vector{f32, kind}}) {
            const auto bytes = build(kinds);
            const auto file = take(GgufFile::from_memory(bytes, "mixed.gguf"));
            const auto model = take(ranklet::BertModel::read(ranklet::ModelReader(file), ranklet::Activation::gelu, 0));
            sizes.push_back(model.scratch_size(tokens, tokens));
            ranklet::Scratch scratch;
            succeed(scratch.reserve(model.scratch_size(tokens, batch.longest())));
            Matrix states = take(Matrix::zeroed(tokens, dim)), alone = take(Matrix::zeroed(4, dim));
            model.forward(batch, states.view(), scratch);
            const std::vector<std::size_t> first{0, 4};
            model.forward({std::span(ids).first(4), {}, first}, alone.view(), scratch);
            for (std::size_t t = 0; t < 4; ++t) CHECK(same_bits(alone.row(t), states.row(t)));
        }
        CHECK(sizes[0] == sizes[1]);
    }
}
