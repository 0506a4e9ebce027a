// BERT files of other engines: what they leave unsaid the caller states; their control and user-defined tokens.
#include <doctest/doctest.h>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/gguf_builder.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/encoders/sentence_head.hpp"
#include "ranklet/io/gguf_writer.hpp"
#include "ranklet/text/wordpiece.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Bert;
using ranklet::ErrorCode;
using ranklet::LoadOptions;
using ranklet::Pooling;

constexpr std::int32_t normal = 1, control = 3, user_defined = 4;

struct Token {
    std::string stored;
    std::int32_t type = normal;
};

const std::vector<Token> plain{{"[PAD]", control},  {"[UNK]", control}, {"[CLS]", control}, {"[SEP]", control},
                               {"[MASK]", control}, {"\u2581name"},     {"\u2581paris"},    {"q"},
                               {"\u2581@"}};

/// As llama.cpp writes a BERT, with embeddings and no layer. `pooling`: bert.pooling_type; -1: none.
std::vector<std::byte> foreign(std::vector<Token> tokens, int pooling, bool types = true) {
    constexpr std::size_t dim = 4;
    Random random(3);
    std::vector<std::string> stored;
    std::vector<std::int32_t> kinds;
    for (const Token& token : tokens) {
        stored.push_back(token.stored);
        kinds.push_back(token.type);
    }
    GgufBuilder builder;
    builder.key("general.architecture", "bert")
        .key("bert.embedding_length", std::uint32_t{dim})
        .key("bert.feed_forward_length", std::uint32_t{8})
        .key("bert.block_count", std::uint32_t{0})
        .key("bert.attention.head_count", std::uint32_t{2})
        .key("bert.context_length", std::uint32_t{16})
        .key("bert.attention.layer_norm_epsilon", 1e-5f)
        .key("tokenizer.ggml.model", "bert")
        .array("tokenizer.ggml.tokens", stored)
        .key("tokenizer.ggml.padding_token_id", std::uint32_t{0})
        .key("tokenizer.ggml.unknown_token_id", std::uint32_t{1})
        .key("tokenizer.ggml.cls_token_id", std::uint32_t{2})
        .key("tokenizer.ggml.seperator_token_id", std::uint32_t{3})
        .key("tokenizer.ggml.mask_token_id", std::uint32_t{4});
    if (types) builder.array("tokenizer.ggml.token_type", kinds);
    if (pooling >= 0) builder.key("bert.pooling_type", static_cast<std::uint32_t>(pooling));
    builder.tensor("token_embd.weight", {tokens.size(), dim}, random.row(tokens.size() * dim))
        .tensor("position_embd.weight", {16, dim}, random.row(16 * dim))
        .tensor("token_embd_norm.weight", {dim}, random.row(dim))
        .tensor("token_embd_norm.bias", {dim}, random.row(dim));
    return builder.build();
}

LoadOptions stated() {
    LoadOptions options;
    options.defaults.lowercase = true;
    options.defaults.activation = ranklet::Activation::gelu;
    options.defaults.normalize = false;
    options.defaults.max_length = 16;
    return options;
}

std::vector<std::int32_t> ids(const std::vector<Token>& tokens, std::string_view text, bool types = true) {
    const auto bytes = foreign(tokens, 1, types);
    const Bert bert = take(Bert::from_memory(bytes, stated(), "foreign.gguf"));
    return take(bert.tokenizer().encode(text)).ids;
}

std::vector<Token> with(Token token) {
    std::vector<Token> tokens = plain;
    tokens.push_back(std::move(token));
    return tokens;
}

}  // namespace

TEST_CASE("a file that does not say how it pools, or says that it does not, pools as the caller states") {
    for (const int type : {-1, 0}) {
        const auto bytes = foreign(plain, type);
        LoadOptions options = stated();
        check_error(Bert::from_memory(bytes, options, "foreign.gguf"), ErrorCode::missing, "EncoderDefaults::pooling");
        options.defaults.pooling = Pooling::mean;
        const Bert bert = take(Bert::from_memory(bytes, options, "foreign.gguf"));
        const auto states = take(bert.encode_tokens("name paris"));
        const auto vector = take(bert.encode("name paris"));
        REQUIRE(states.rows() == 4);
        for (std::size_t i = 0; i < vector.size(); ++i) {
            double sum = 0.0;
            for (std::size_t t = 0; t < 4; ++t) sum += static_cast<double>(states.row(t)[i]);
            CHECK(static_cast<double>(vector[i]) == doctest::Approx(sum / 4).epsilon(1e-6));
        }
        options.defaults.pooling = Pooling::cls;
        const auto first = take(take(Bert::from_memory(bytes, options, "foreign.gguf")).encode("name paris"));
        CHECK(same_bits(first, states.row(0)));
    }
}

TEST_CASE("the file's pooling holds where the caller states none, and an unknown number is refused") {
    LoadOptions options = stated();
    const auto cls = foreign(plain, 2), rank = foreign(plain, 4);
    const Bert bert = take(Bert::from_memory(cls, options, "foreign.gguf"));
    CHECK(same_bits(take(bert.encode("name paris")), take(bert.encode_tokens("name paris")).row(0)));
    check_error(Bert::from_memory(rank, options, "foreign.gguf"), ErrorCode::unsupported, "bert.pooling_type 4");
    options.defaults.pooling = Pooling::last;
    const Bert last = take(Bert::from_memory(cls, options, "foreign.gguf"));
    CHECK(same_bits(take(last.encode("name paris")), take(last.encode_tokens("name paris")).row(3)));
}

TEST_CASE("a file of llama.cpp's needs no options: what that engine does is taken, and told") {
    const auto bytes = foreign(plain, 1);
    const Bert bert = take(Bert::from_memory(bytes, {}, "foreign.gguf"));
    CHECK(take(bert.tokenizer().encode("N\u00c1ME Paris")).ids == std::vector<std::int32_t>{2, 5, 6, 3});
    CHECK(bert.max_length() == 16);
    double length = 0.0;
    for (const float v : take(bert.encode("name paris"))) length += static_cast<double>(v) * static_cast<double>(v);
    CHECK(length == doctest::Approx(1.0).epsilon(1e-6));
    const auto said = bert.assumptions();
    for (const char* line :
         {"ranklet.tokenizer.lowercase = true", "ranklet.tokenizer.strip_accents = true", "ranklet.encoder.activation = gelu",
          "ranklet.encoder.max_length = 16", "bert.attention.causal = false"})
        CHECK_MESSAGE(std::find(said.begin(), said.end(), line) != said.end(), line);
    LoadOptions cased;
    cased.defaults.lowercase = false;
    CHECK(take(take(Bert::from_memory(bytes, cased, "foreign.gguf")).tokenizer().encode("Paris")).ids ==
          std::vector<std::int32_t>{2, 1, 3});
    CHECK(take(Bert::load(model_path("tiny-minilm"))).assumptions().empty());
}

TEST_CASE("what a file of llama.cpp's has and nothing here reads is refused and named") {
    const auto refused = [](const std::string& name, std::string_view part) {
        const auto bytes = foreign(plain, 1);
        const auto file = take(ranklet::GgufFile::from_memory(bytes, "foreign.gguf"));
        ranklet::GgufWriter writer;
        succeed(writer.copy(file, [](std::string_view) { return false; }));
        const std::vector<float> numbers(4, 1.0f);
        writer.tensor(name, 1, 4, std::span<const float>(numbers));
        const auto more = take(writer.bytes());
        check_error(Bert::from_memory(more, {}, "foreign.gguf"), ErrorCode::unsupported, part);
    };
    refused("blk.0.attn_norm_2.weight", "blk.0.attn_norm_2.weight");
    refused("blk.3.ffn_up_exps.weight", "no part of a transformer");
    refused("rope_freqs.weight", "scaled rotary positions");
}

TEST_CASE("an option of the caller's that does not fit is named as such, not as a key of the file") {
    const auto bytes = foreign(plain, 1);
    for (const std::uint32_t length : {0u, 1u, 17u}) {
        LoadOptions options = stated();
        options.defaults.max_length = length;
        const auto result = Bert::from_memory(bytes, options, "foreign.gguf");
        check_error(result, ErrorCode::invalid_argument, "EncoderDefaults::max_length " + std::to_string(length));
        CHECK(result.error().message.find("ranklet.encoder") == std::string::npos);
    }
}

TEST_CASE("control and user-defined tokens are found in texts as Hugging Face's added tokens are") {
    using Ids = std::vector<std::int32_t>;
    CHECK(ids(with({"[Q]", control}), "[Q] name") == Ids{2, 9, 5, 3});
    CHECK(ids(with({"[Q]", control}), "[q] name") == Ids{2, 1, 1, 1, 5, 3});         // matched as it is written
    CHECK(ids(with({"[Q]", normal}), "[Q] name") == Ids{2, 1, 1, 1, 5, 3});          // a word, which no text gives
    CHECK(ids(with({"<q>", control}), "name<q>paris") == Ids{2, 5, 9, 6, 3});        // as it stands, no "##<q>"
    CHECK(ids(with({"\u2581<q>", control}), "name<q>paris") == Ids{2, 5, 9, 6, 3});  // as older files have it
    CHECK(ids(with({"\u2581@User", user_defined}), "name @user @USER") == Ids{2, 5, 9, 9, 3});  // in normalised text
    CHECK(ids(with({"\u2581@user"}), "name @user") == Ids{2, 5, 8, 1, 3});
    // Special tokens that are not in brackets, with types and without.
    std::vector<Token> angles = plain;
    const char* names[] = {"<pad>", "<unk>", "<s>", "</s>", "<mask>"};
    for (std::size_t i = 0; i < 5; ++i) angles[i].stored = names[i];
    for (const bool types : {true, false}) CHECK(ids(angles, "name <mask> paris", types) == Ids{2, 5, 4, 6, 3});
    CHECK(ids(plain, "name [MASK] paris", false) == Ids{2, 5, 4, 6, 3});
}

TEST_CASE("token types that do not fit the tokens are an error") {
    GgufBuilder builder;
    auto bytes = builder.key("tokenizer.ggml.model", "bert")
                     .array("tokenizer.ggml.tokens", std::vector<std::string>{"[UNK]", "\u2581a"})
                     .array("tokenizer.ggml.token_type", std::vector<std::int32_t>{3})
                     .build();
    check_error(Bert::from_memory(bytes, stated(), "foreign.gguf"), ErrorCode::format,
                "tokenizer.ggml.token_type has 1 entries for 2 tokens");
}
