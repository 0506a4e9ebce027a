// What was made by default or moved from: an Error wherever a Result is returned, a harmless value elsewhere.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/catalog/file.hpp"
#include "ranklet/decoders/dot_product.hpp"
#include "ranklet/ranklet.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet;
using ranklet_test::check_error;
using ranklet_test::take;

constexpr std::string_view text = "red phone";
const std::vector<std::string_view> texts{text};
const std::vector<TextPair> pairs{{text, text}};
constexpr ErrorCode invalid = ErrorCode::invalid_argument;

// An object made by default, and one that was moved from.
template <class Class>
std::vector<Class> empty_ones(Class whole) {
    std::vector<Class> result(2);
    Class taken = std::move(whole);
    result[1] = std::move(whole);  // NOLINT: what is left of it is what this is about
    return result;
}

void check_empty(const Recommender& model, const Catalog& catalog, const Recommender::User& user) {
    const Item item{"a", text};
    check_error(model.encode(text), invalid, "the model is empty");
    check_error(model.encode_catalog(std::span(&item, 1)), invalid);
    check_error(model.encode_catalog({}), invalid);
    check_error(model.make_catalog(CatalogData()), invalid);
    check_error(model.items(), invalid);
    check_error(model.load_user(UserState()), invalid);
    check_error(model.load_user(user.save()), invalid);
    check_error(model.recommend(user, catalog), invalid);
    check_error(model.recommend(model.new_user(), Catalog()), invalid);
    check_error(model.scores(user, catalog), invalid);
    check_error(model.scores_of(user, catalog, std::vector<std::size_t>{0}), invalid);
    check_error(model.user_vector(user), invalid);
    check_error(update_catalog(model, Catalog(), {}), invalid);
    check_error(update_catalog(model, Catalog(), {.add = std::span(&item, 1)}), invalid);
    check_error(explain(model, user, catalog, catalog[0].id()), invalid);
    check_error(model.encode_query(text), invalid);
    check_error(model.with_queries(model), invalid);
    CHECK(model.fingerprint() == 0);
    CHECK_FALSE(model.has_queries());
    CHECK(model.query_encoder().dim() == 0);
    CHECK_FALSE(model.encodes_text());
    CHECK(model.encoder().dim() == 0);
    CHECK(model.as<Bert>() == nullptr);
    CHECK(model.as<DotProduct>() == nullptr);
}
void check_empty(Recommender::User user, const Recommender& model, const Catalog& catalog) {
    check_error(user.observe(catalog[0]), invalid, "the user is empty");
    check_error(user.observe(catalog.at(catalog[0].id())), invalid);
    check_error(user.observe_text(text), invalid);
    check_error(model.recommend(user, catalog), invalid, "the user is empty");
    check_error(model.user_vector(user), invalid);
    user.reset();
    CHECK(user.events().empty());
    CHECK_FALSE(user.save().empty());
    user = model.new_user();
    CHECK(user.observe(catalog[0]).ok());
}

}  // namespace

TEST_CASE("an empty model, and a user that is none, are Errors and not crashes") {
    for (const std::string name : {"tiny-dot-product", "tiny-items", "news-nrms", "tiny-text-gru"}) {
        CAPTURE(name);
        const Recommender model = ranklet_test::load_model(name);
        const Catalog catalog = ranklet_test::make_catalog(model);
        auto user = ranklet_test::make_user(model, catalog);
        for (const Recommender& empty : empty_ones(Recommender(model))) check_empty(empty, catalog, user);
        const Recommender::User taken = std::move(user);
        check_empty(user, model, catalog);  // NOLINT
        check_empty(Recommender().new_user("somebody"), model, catalog);
        CHECK(taken.events().size() == 5);
    }
}

TEST_CASE("an empty catalog has no items, and its filters and rankings are empty") {
    const Recommender model = ranklet_test::load_model("tiny-dot-product");
    for (const Catalog& empty : empty_ones(ranklet_test::make_catalog(model))) {
        CHECK(empty.size() == 0);
        CHECK(empty.empty());
        CHECK(empty.find("item-0") == 0);
        CHECK_FALSE(empty.contains("item-0"));
        CHECK(empty.output_vectors().rows == 0);
        check_error(empty.at("item-0"), ErrorCode::missing);
        check_error(model.recommend(model.new_user(), empty), invalid, "the catalog is empty");
        check_error(update_catalog(model, empty, {}), invalid, "the catalog is empty");
        check_error(Filter::create(empty, Condition::at_least("price", 1.0)), ErrorCode::missing);
        CHECK(Filter::from_ids(empty, texts).count() == 0);
        CHECK(catalog_bytes(empty.data()).ok());
    }
}

TEST_CASE("empty encoders, classifiers, tables and tokenizers") {
    const auto path = ranklet_test::model_path;
    Encoding encoding;
    for (const Bert& bert : empty_ones(take(Bert::load(path("tiny-minilm"))))) {
        check_error(bert.encode(text), invalid, "the encoder is empty");
        check_error(bert.encode(texts), invalid);
        check_error(bert.encode(std::span<const std::string_view>()), invalid);
        check_error(bert.encode_tokens(text), invalid);
        check_error(bert.prompt_text(), invalid);
        check_error(bert.for_each_pair(pairs, {}, [](std::size_t, MatrixView<const float>, Scratch&) {}), invalid);
        check_error(extract_keywords(bert, text), invalid);
        CHECK(bert.dim() + bert.hidden() + bert.max_length() == 0);
        check_error(bert.tokenizer().encode(text), invalid, "the tokenizer is empty");
        CHECK(bert.tokenizer().vocabulary_size() == 0);
    }
    for (const WordVectors& words : empty_ones(take(WordVectors::load(path("tiny-words"))))) {
        check_error(words.encode(text), invalid, "the encoder is empty");
        check_error(words.encode(std::span<const std::string_view>()), invalid);
        check_error(words.tokenize(text, encoding), invalid);
        check_error(words.with_weights({1.0f}), invalid);
        check_error(words.with_components(Matrix()), invalid);
        CHECK(words.vocabulary_size() == 0);
        (void)words.with_normalize(true);
    }
    for (const NewsEncoder& news : empty_ones(take(NewsEncoder::load(path("news-nrms"))))) {
        check_error(news.encode(texts), invalid, "the encoder is empty");
        check_error(news.encode_inputs({}), invalid);
        check_error(news.attention({}), invalid);
        check_error(news.inputs_of({"a", text}), invalid);
        check_error(news.tokenize(0, text, encoding), invalid);
        CHECK(news.dim() + news.view_count() + news.find_view("title") == 0);
        CHECK(news.tokenizer().vocabulary_size() == 0);
    }
    for (const ItemTable& table : empty_ones(take(ItemTable::load(path("tiny-items"))))) {
        check_error(table.own_items(), invalid, "the table of items is empty");
        CHECK(table.size() == 0);
    }
    for (const SequenceClassifier& model : empty_ones(take(SequenceClassifier::load(path("tiny-sequence"))))) {
        check_error(model.classify(text), invalid, "the encoder is empty");
        check_error(model.classify(texts), invalid);
        check_error(model.classify(pairs), invalid);
        check_error(rerank(model, text, texts), invalid);
        CHECK(model.labels().empty());
        CHECK_FALSE(model.label_index("good").has_value());
        float row = 1.0f;
        model.score(&row);
        CHECK(row == 1.0f);
    }
    for (const TokenClassifier& model : empty_ones(take(TokenClassifier::load(path("tiny-tokens"))))) {
        check_error(model.tag(text), invalid, "the encoder is empty");
        check_error(model.logits(text), invalid);
        CHECK(model.labels().empty());
    }
    const std::string_view words[]{"red", "phone"};
    for (const WordTokenizer& tokenizer : empty_ones(take(WordTokenizer::create(words, {})))) {
        check_error(tokenizer.encode(text), invalid, "the tokenizer is empty");
        CHECK_FALSE(tokenizer.id_of("red").has_value());
        CHECK(tokenizer.vocabulary_size() == 0);
    }
    const std::string_view pieces[]{"[UNK]", "[CLS]", "[SEP]", "red"};
    WordPieceConfig config;
    config.unk_id = 0, config.cls_id = 1, config.sep_id = 2;
    for (const WordPiece& tokenizer : empty_ones(take(WordPiece::create(pieces, config)))) {
        check_error(tokenizer.encode(text), invalid, "the tokenizer is empty");
        check_error(tokenizer.encode_pair(text, text, {}, encoding), invalid);
        check_error(tokenizer.decode(std::vector<std::int32_t>{0}, false), invalid);
        CHECK_FALSE(tokenizer.id_of("red").has_value());
        CHECK(tokenizer.token(0).empty());
    }
}

TEST_CASE("empty indexes and files") {
    const std::vector<float> numbers(64, 0.5f);
    const MatrixView<const float> vectors(numbers.data(), 8, 8);
    for (const RowType type : {RowType::f32, RowType::f16, RowType::i8, RowType::i8_exact})
        for (const VectorIndex& index : empty_ones(take(VectorIndex::create(vectors, type)))) {
            VectorIndex::Workspace workspace;
            const auto found = index.search(vectors, {}, workspace);
            REQUIRE(found.ok());
            CHECK(found->size() == 8);
            CHECK((*found)[0].empty());
            CHECK(index.size() == 0);
        }
    for (const GgufFile& file : empty_ones(take(GgufFile::open(ranklet_test::model_path("tiny-words"))))) {
        CHECK_FALSE(file.has("ranklet.version"));
        check_error(file.u32("ranklet.version"), ErrorCode::missing);
        check_error(file.tensor("ranklet.words.weight"), ErrorCode::missing);
        check_error(file.verify_checksum(), ErrorCode::missing);
        CHECK_FALSE(Recommender::from_file(file).ok());
        CHECK_FALSE(Bert::from_file(file).ok());
        CHECK_FALSE(load_catalog(file, 0).ok());
    }
}
