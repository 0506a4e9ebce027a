// Word vectors against PyTorch: goldens/NAME.gguf is the model, NAME.golden.gguf what torch.nn.EmbeddingBag and
// torch.nn.GRU say. Made by make_word_goldens.py, where the words of each text are written by hand.
#include "ranklet/encoders/word_vectors.hpp"

#include "parity/golden.hpp"
#include "ranklet/decoders/dot_product.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/recommender.hpp"
#include "ranklet/text/word_tokenizer.hpp"

namespace {

using namespace parity;

std::string model_path(const std::string& name) { return "tests/parity/goldens/" + name + ".gguf"; }

void check_words(const ranklet::WordVectors& words, const std::string& name) {
    const Golden golden(name + ".golden.gguf");
    const auto texts = take(golden.file().strings("golden.texts"));
    const auto ids = take(golden.file().i32s("golden.token_ids"));
    const auto offsets = take(golden.file().i32s("golden.token_offsets"));
    const ranklet::Matrix vectors = golden.matrix("golden.vectors");
    REQUIRE(vectors.cols() == words.dim());
    const ranklet::Matrix batch = take(words.encode(std::span<const std::string_view>(texts)));
    ranklet::Encoding tokens;
    for (std::size_t t = 0; t < texts.size(); ++t) {
        const std::string what = name + ", text " + std::to_string(t);
        CAPTURE(what);
        REQUIRE(words.tokenize(texts[t], tokens).ok());
        CHECK(tokens.ids == std::vector<std::int32_t>(ids.begin() + offsets[t], ids.begin() + offsets[t + 1]));
        check_close(batch.row(t), vectors.row(t), what);
    }
}

void check_recommender(const std::string& name) {
    const Golden golden(name + ".golden.gguf");
    const auto model = take(ranklet::Recommender::load(model_path(name)));
    CHECK(model.as<ranklet::Bert>() == nullptr);
    CHECK(model.encodes_text());
    REQUIRE(model.as<ranklet::WordVectors>() != nullptr);
    check_words(*model.as<ranklet::WordVectors>(), name);
    const auto texts = take(golden.file().strings("golden.texts"));
    std::vector<std::string> ids;
    for (std::size_t t = 0; t < texts.size(); ++t) ids.push_back("text " + std::to_string(t));
    std::vector<ranklet::Item> items;
    for (std::size_t t = 0; t < texts.size(); ++t) items.push_back({ids[t], texts[t]});
    const ranklet::Catalog catalog = take(model.encode_catalog(items));
    for (const std::string history : {"cold", "one", "unrated", "rated"}) {
        const auto events = take(golden.file().i32s("golden.history." + history));
        const auto ratings = take(golden.file().floats("golden.ratings." + history));
        const std::string what = name + ", history " + history;
        auto user = model.new_user(), of_texts = model.new_user();
        for (std::size_t e = 0; e < events.size(); ++e) {
            const auto item = static_cast<std::size_t>(events[e]);
            REQUIRE(user.observe(catalog[item], ratings[e]).ok());
            REQUIRE(of_texts.observe_text(texts[item], ratings[e]).ok());
        }
        CHECK(user.state().hidden == of_texts.state().hidden);
        check_close(user.state().hidden, golden.vector("golden.state." + history), what + " state");
        check_close(take(model.scores(user, catalog)), golden.vector("golden.scores." + history), what + " scores");
    }
}

}  // namespace

TEST_CASE("means of word vectors agree with PyTorch: words as f32; as i8 with an unknown word's row, normalised") {
    for (const std::string name : {"tiny-words", "tiny-words-i8", "tiny-words-cut"})
        check_words(take(ranklet::WordVectors::load(model_path(name))), name);
}

TEST_CASE(
    "static embeddings agree with PyTorch: unknown tokens dropped, per-token weights, mapping, zero-length text") {
    check_words(take(ranklet::WordVectors::load(model_path("tiny-static"))), "tiny-static");
}

TEST_CASE("static embeddings of 8 bits agree with PyTorch, and what the tokenizer stops at counts unknown tokens too") {
    check_words(take(ranklet::WordVectors::load(model_path("tiny-static-short"))), "tiny-static-short");
}

TEST_CASE("sentence-transformers' StaticEmbedding agrees with PyTorch and keeps the unknown token's row") {
    check_words(take(ranklet::WordVectors::load(model_path("tiny-static-embedding"))), "tiny-static-embedding");
}

TEST_CASE("dot_product over word vectors agrees with PyTorch, with and without ratings") {
    check_recommender("tiny-words-dot");
}

TEST_CASE("next_event over word vectors agrees with PyTorch, with and without ratings") {
    check_recommender("tiny-words-next");
}

TEST_CASE("kinds that a program names give the numbers of the choice at run time, and refuse other encoders") {
    const auto load_fixed = [](const char* name) {
        return ranklet::Recommender::load<ranklet::WordVectors, ranklet::DotProduct>(model_path(name));
    };
    const auto fixed = take(load_fixed("tiny-words-dot"));
    const auto chosen = take(ranklet::Recommender::load(model_path("tiny-words-dot")));
    const std::vector<ranklet::Item> items{{"a", "red phone"}, {"b", "手机壳"}, {"c", ""}};
    auto one = fixed.new_user();
    auto other = chosen.new_user();
    REQUIRE(one.observe_text("camera").ok());
    REQUIRE(other.observe_text("camera").ok());
    CHECK(take(fixed.scores(one, take(fixed.encode_catalog(items)))) ==
          take(chosen.scores(other, take(chosen.encode_catalog(items)))));
    CHECK(fixed.as<ranklet::WordVectors>() == &fixed.encoder());
    CHECK_FALSE(load_fixed("tiny-dot-product").ok());
}

namespace {

/// The ids of random texts are those of weights_converter's reference, which shares no method with the library.
void check_cuts(const std::string& file, ranklet::WordCut cut) {
    const Golden golden(file);
    const auto texts = take(golden.file().strings("golden.texts"));
    const auto words = take(golden.file().strings("golden.words"));
    std::vector<std::string_view> stop_words;
    if (golden.file().has("golden.stop_words")) stop_words = take(golden.file().strings("golden.stop_words"));
    using ranklet::UnknownWord;
    const std::pair<std::string, UnknownWord> rules[]{
        {"skip", UnknownWord::skip}, {"row", UnknownWord::row}, {"characters", UnknownWord::characters}};
    for (const auto& [rule, unknown] : rules)
        for (const bool lowercase : {true, false}) {
            const std::string name = "golden." + rule + (lowercase ? ".lower" : ".cased");
            if (cut == ranklet::WordCut::whitespace && unknown != UnknownWord::skip) continue;
            const auto ids = take(golden.file().i32s(name + ".ids"));
            const auto offsets = take(golden.file().i32s(name + ".offsets"));
            const auto tokenizer =
                take(ranklet::WordTokenizer::create(words, {lowercase, unknown, 0, stop_words, cut}));
            for (std::size_t t = 0; t < texts.size(); ++t) {
                CAPTURE(name);
                CAPTURE(texts[t]);
                CHECK(take(tokenizer.encode(texts[t])).ids ==
                      std::vector<std::int32_t>(ids.begin() + offsets[t], ids.begin() + offsets[t + 1]));
            }
        }
}

}  // namespace

TEST_CASE("random texts are cut as the converter's reference cuts them, for every rule of unknown words and casing") {
    check_cuts("word-fuzz.golden.gguf", ranklet::WordCut::rules);
    check_cuts("word-cut-fuzz.golden.gguf", ranklet::WordCut::vocabulary);
    check_cuts("word-split-fuzz.golden.gguf", ranklet::WordCut::whitespace);
}
