// A host's own kinds of encoders and decoders, handed over in the load options, do all that the library's do.
// Expected numbers come from plain loops over the words.
#include "host_kinds.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/gguf_builder.hpp"
#include "io/temporary_folder.hpp"
#include "ranklet/catalog/file.hpp"
#include "ranklet/decoders/dot_product.hpp"
#include "ranklet/encoders/word_vectors.hpp"
#include "ranklet/explain/explain.hpp"
#include "recommender/catalogs.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Catalog;
using ranklet::ErrorCode;
using ranklet::Item;
using ranklet::LoadOptions;
using ranklet::Recommender;

constexpr std::size_t rows = 11, dim = 4;
constexpr float decay = 0.75f;
using Vector = std::vector<double>;

std::vector<float> table() {
    Random random(3);
    std::vector<float> values;
    for (std::size_t i = 0; i < rows * dim; ++i) values.push_back(static_cast<float>(random.below(2001)) / 1000 - 1);
    return values;
}

const std::vector<Item> items{{"tent", "small red tent"},      {"boat", "red boat"},
                              {"book", "the  old  book"},      {"none", ""},
                              {"cafe", "caf\xC3\xA9 au lait"}, {"lamp", "small lamp"}};

// What the kinds should give, in plain loops.

Vector vector_of(std::string_view text) {
    const std::vector<float> weights = table();
    Vector sum(dim);
    int words = 0;
    std::string word;
    for (const char c : std::string(text) + " ") {
        if (c != ' ') {
            word += c;
            continue;
        }
        if (word.empty()) continue;
        std::uint64_t hash = 14695981039346656037ull;
        for (const char each : word) hash = (hash ^ static_cast<unsigned char>(each)) * 1099511628211ull;
        for (std::size_t d = 0; d < dim; ++d) sum[d] += static_cast<double>(weights[hash % rows * dim + d]);
        ++words;
        word.clear();
    }
    if (words > 0)
        for (double& x : sum) x /= words;
    return sum;
}
Vector mean_of(const std::vector<Item>& all) {
    Vector mean(dim);
    for (const Item& item : all)
        for (std::size_t d = 0; d < dim; ++d) mean[d] += vector_of(item.text)[d] / static_cast<double>(all.size());
    return mean;
}
double score_of(std::string_view text, const std::vector<std::string_view>& history, const Vector& mean) {
    if (history.empty()) return 0.0;
    Vector sum(dim);
    double weight = 0.0;
    for (const std::string_view event : history) {
        weight = weight * double{decay} + 1.0;
        for (std::size_t d = 0; d < dim; ++d) sum[d] = sum[d] * double{decay} + vector_of(event)[d];
    }
    const Vector vector = vector_of(text);
    double product = 0.0, square = 0.0;
    for (std::size_t d = 0; d < dim; ++d) {
        product += (sum[d] / weight - mean[d]) * vector[d];
        square += vector[d] * vector[d];
    }
    return square > 0.0 ? product / std::sqrt(square) : 0.0;
}
bool close(float found, double expected) { return std::abs(static_cast<double>(found) - expected) < 1e-5; }

/// A model file of the two kinds, or of others with these names.
GgufBuilder model_builder(const char* encoder = "shop.hashed_words", const char* decoder = "shop.taste",
                          float wrong_by = 0.0f) {
    std::vector<std::string> texts;
    std::vector<float> vectors, scores;
    const std::vector<std::string_view> history{items[0].text, items[2].text};
    for (const Item& item : items) {
        texts.emplace_back(item.text);
        for (const double x : vector_of(item.text)) vectors.push_back(static_cast<float>(x));
        scores.push_back(static_cast<float>(score_of(item.text, history, mean_of(items))));
    }
    scores.back() += wrong_by;
    GgufBuilder file;
    file.key("ranklet.version", std::uint32_t{1});
    file.key("ranklet.encoder.type", encoder).key("ranklet.recommender.scoring", decoder);
    file.key("shop.hashed_words.rows", static_cast<std::uint32_t>(rows));
    file.key("shop.hashed_words.dim", static_cast<std::uint32_t>(dim));
    file.tensor("shop.hashed_words.weight", {rows, dim}, table());
    file.key("shop.taste.decay", decay);
    file.key("ranklet.selftest.tolerance", 1e-5f).array("ranklet.selftest.texts", texts);
    file.array("ranklet.selftest.vectors", vectors);
    file.array("ranklet.selftest.history", std::vector<std::int32_t>{0, 2}).array("ranklet.selftest.scores", scores);
    return file;
}
LoadOptions with(std::span<const ranklet::Kind* const> kinds) {
    LoadOptions options;
    options.kinds = kinds;
    return options;
}
Recommender load_shop() {
    static const Bytes bytes = model_builder().build();
    return take(Recommender::from_memory(bytes, with(shop::kinds), "shop.gguf"));
}

/// A kind of the host's that has a name of the library's.
class OtherWords final : public shop::HashedWords {
public:
    static constexpr std::string_view type_name = ranklet::WordVectors::type_name;
    static ranklet::Result<OtherWords> read(const ranklet::ModelReader& reader, const LoadOptions& options) {
        RANKLET_ASSIGN(auto words, HashedWords::read(reader, options));
        return OtherWords(std::move(words));
    }
    ranklet::KindId kind() const noexcept override { return ranklet::kind_id<OtherWords>; }

private:
    explicit OtherWords(HashedWords words) : HashedWords(std::move(words)) {}
};

/// Hashed words with a prompt for queries.
class Asked final : public shop::HashedWords {
public:
    static constexpr std::string_view type_name = "shop.asked";
    static ranklet::Result<Asked> read(const ranklet::ModelReader& reader, const LoadOptions& options) {
        RANKLET_ASSIGN(auto words, HashedWords::read(reader, options));
        return Asked(std::move(words));
    }
    ranklet::KindId kind() const noexcept override { return ranklet::kind_id<Asked>; }
    bool has_prompt(std::string_view name) const noexcept override { return name == "query"; }
    ranklet::Result<ranklet::EncodedItems> encode_items(std::span<const Item> given, ranklet::ItemForm form,
                                                        const ranklet::BatchOptions& options) const override {
        ranklet::BatchOptions rest = options;
        rest.prompt.reset();
        std::vector<Item> prompted(given.begin(), given.end());
        if (options.prompt == "query")
            for (Item& item : prompted) item.text = "want " + item.text;
        return HashedWords::encode_items(prompted, form, rest);
    }

private:
    explicit Asked(HashedWords words) : HashedWords(std::move(words)) {}
};

/// The least that a decoder can be: an item's score is its vector's product with that of the last event.
class Latest : public ranklet::Decoder {
public:
    static constexpr std::string_view type_name = "shop.latest";
    static ranklet::Result<Latest> read(const ranklet::ModelReader&, const ranklet::ItemEncoder& encoder) {
        Latest decoder;
        decoder.dim_ = encoder.dim();
        return decoder;
    }
    ranklet::KindId kind() const noexcept override { return ranklet::kind_id<Latest>; }
    ranklet::Result<void> prepare(ranklet::CatalogData&, ranklet::ItemUse, ranklet::Threads) const override {
        return {};
    }
    ranklet::Result<void> check(const ranklet::CatalogData&) const override { return {}; }
    ranklet::Result<void> check(const ranklet::UserState&) const override { return {}; }
    void begin_user(ranklet::UserState& state) const override { state.hidden.assign(dim_, 0.0f); }
    ranklet::Result<void> observe(ranklet::UserState& state, const ranklet::CatalogData& data, std::size_t index, float,
                                  ranklet::Scratch&) const override {
        state.hidden.assign(data.vectors.row(index).begin(), data.vectors.row(index).end());
        return {};
    }
    std::size_t piece() const noexcept override { return 1; }
    std::size_t query_size() const noexcept override { return dim_; }
    std::size_t scratch_size() const noexcept override { return 0; }
    bool has_user_vector() const noexcept override { return true; }
    void begin(const ranklet::ScoreRequest& request, float* query, ranklet::Scratch&) const noexcept override {
        std::copy(request.state.hidden.begin(), request.state.hidden.end(), query);
    }
    void score(const ranklet::ScoreRequest& request, const float* query, ranklet::IndexRange range, float* scores,
               ranklet::Scratch&) const noexcept override {
        for (std::size_t i = range.first; i < range.last; ++i) {
            scores[i - range.first] = 0.0f;
            for (std::size_t d = 0; d < dim_; ++d)
                scores[i - range.first] += query[d] * request.items.vectors.row(i)[d];
        }
    }

protected:
    std::size_t dim_ = 0;
};

/// An item's score is how often the user met it, told by its id.
class Again final : public Latest {
public:
    static constexpr std::string_view type_name = "shop.again";
    static ranklet::Result<Again> read(const ranklet::ModelReader&, const ranklet::ItemEncoder& encoder) {
        Again decoder;
        decoder.dim_ = encoder.dim();
        return decoder;
    }
    ranklet::KindId kind() const noexcept override { return ranklet::kind_id<Again>; }
    bool has_user_vector() const noexcept override { return false; }
    void score(const ranklet::ScoreRequest& request, const float*, ranklet::IndexRange range, float* scores,
               ranklet::Scratch&) const noexcept override {
        for (std::size_t i = range.first; i < range.last; ++i)
            scores[i - range.first] =
                static_cast<float>(std::ranges::count(request.state.events, request.items.ids[i], &ranklet::Event::id));
    }
};

/// An encoder that gives sizes other than it has to, or for the text "odd" a number that is none.
class Wrong final : public shop::HashedWords {
public:
    enum Fault { none, one_row, wide_rows, other_offsets, token_missing, input_beyond };
    static inline Fault fault = none;
    static inline float odd = 0.0f;
    static inline std::size_t at_once = 64;  // variants of an explained text

    static constexpr std::string_view type_name = "shop.wrong";
    static ranklet::Result<Wrong> read(const ranklet::ModelReader& reader, const LoadOptions& options) {
        RANKLET_ASSIGN(auto words, HashedWords::read(reader, options));
        return Wrong(std::move(words));
    }
    ranklet::KindId kind() const noexcept override { return ranklet::kind_id<Wrong>; }
    std::size_t token_dim() const noexcept override { return dim(); }
    ranklet::Result<ranklet::EncodedItems> encode_items(std::span<const Item> some, ranklet::ItemForm form,
                                                        const ranklet::BatchOptions&) const override {
        if (fault == input_beyond)
            return about_input(ranklet::Error{ErrorCode::invalid_text, "an item that there is not"}, some.size() + 7);
        ranklet::EncodedItems encoded;  // a token an item
        const std::size_t count = fault == one_row ? 1 : some.size() - (fault == token_missing ? 1 : 0);
        RANKLET_ASSIGN(encoded.rows, ranklet::Matrix::zeroed(count, dim() + (fault == wide_rows ? 1 : 0)));
        if (form == ranklet::ItemForm::token_states)
            for (std::size_t i = 0; i + (fault == other_offsets ? 1 : 0) <= some.size(); ++i)
                encoded.offsets.push_back(i);
        for (std::size_t i = 0; i < std::min(count, some.size()); ++i)
            if (some[i].text == "odd") encoded.rows.row(i).back() = odd;
        return encoded;
    }
    ranklet::Result<std::unique_ptr<const ranklet::ItemParts>> take_apart(
        const Item& item, ranklet::TextUnit unit, const ranklet::BatchOptions& options) const override {
        class Variants final : public ranklet::ItemParts {
        public:
            explicit Variants(std::unique_ptr<const ranklet::ItemParts> parts) : parts_(std::move(parts)) {}
            std::span<const ranklet::TextPart> parts() const noexcept override { return parts_->parts(); }
            std::size_t at_once() const noexcept override { return Wrong::at_once; }
            ranklet::Result<ranklet::EncodedItems> encode(std::size_t first, std::size_t count, ranklet::ItemForm form,
                                                          const ranklet::BatchOptions& batch) const override {
                RANKLET_ASSIGN(auto encoded, parts_->encode(first, fault == one_row ? 1 : count, form, batch));
                for (std::size_t v = 0; v < encoded.rows.rows(); ++v)
                    for (float& x : encoded.rows.row(v)) x = first + v == 2 ? odd : 0.0f;
                return encoded;
            }

        private:
            std::unique_ptr<const ranklet::ItemParts> parts_;
        };
        RANKLET_ASSIGN(auto parts, HashedWords::take_apart(item, unit, options));
        return std::unique_ptr<const ranklet::ItemParts>(std::make_unique<const Variants>(std::move(parts)));
    }

private:
    explicit Wrong(HashedWords words) : HashedWords(std::move(words)) {}
};

/// A decoder that scores as many candidates at a time as a test says.
class Pieces final : public Latest {
public:
    static inline std::size_t at_once = 1;

    static constexpr std::string_view type_name = "shop.pieces";
    static ranklet::Result<Pieces> read(const ranklet::ModelReader&, const ranklet::ItemEncoder& encoder) {
        Pieces decoder;
        decoder.dim_ = encoder.dim();
        return decoder;
    }
    ranklet::KindId kind() const noexcept override { return ranklet::kind_id<Pieces>; }
    std::size_t piece() const noexcept override { return at_once; }
};

/// A decoder that wants states of tokens.
class Tokens final : public Latest {
public:
    static constexpr std::string_view type_name = "shop.tokens";
    static ranklet::Result<Tokens> read(const ranklet::ModelReader&, const ranklet::ItemEncoder& encoder) {
        Tokens decoder;
        decoder.dim_ = encoder.token_dim();
        return decoder;
    }
    ranklet::KindId kind() const noexcept override { return ranklet::kind_id<Tokens>; }
    ranklet::ItemForm form() const noexcept override { return ranklet::ItemForm::token_states; }
};

}  // namespace

TEST_CASE("a host's encoder that gives other sizes than it states is an error, and nothing reads beyond them") {
    const ranklet::Kind* kinds[] = {&ranklet::kind<Wrong>, &ranklet::kind<Latest>, &ranklet::kind<Tokens>};
    LoadOptions options = with(kinds);
    options.self_test = false;  // of the encoder that is right
    const Bytes vectors = model_builder("shop.wrong", "shop.latest").build();
    const Bytes tokens = model_builder("shop.wrong", "shop.tokens").build();
    Wrong::fault = Wrong::none;
    const Recommender by_vectors = take(Recommender::from_memory(vectors, options));
    const Recommender by_tokens = take(Recommender::from_memory(tokens, options));
    std::vector<Item> many;  // more than are encoded at a time
    for (std::size_t i = 0; i < 300; ++i) many.push_back({std::to_string(i), "red tent"});
    CHECK(take(by_vectors.encode_catalog(many)).size() == many.size());
    CHECK(take(by_tokens.encode_catalog(many)).data().part("token_states").rows == many.size());
    CHECK(take(by_vectors.encode("red")).size() == dim);
    auto user = by_vectors.new_user();
    const auto before = user.save();

    const std::string wide = std::to_string(dim + 1), right = std::to_string(dim);
    Wrong::fault = Wrong::one_row;
    check_error(by_vectors.encode_catalog(many), ErrorCode::mismatch,
                "the encoder gave 1 rows of " + right + " numbers for 300 items, expected 300 rows of " + right);
    check_error(by_tokens.encode_catalog(many), ErrorCode::mismatch,
                "the encoder gave 1 rows of " + right + " numbers for 256 tokens, expected 256 rows of " + right);
    Wrong::fault = Wrong::wide_rows;
    const std::string message =
        "the encoder gave 1 rows of " + wide + " numbers for 1 items, expected 1 rows of " + right;
    check_error(by_vectors.encode("red"), ErrorCode::mismatch, message);
    check_error(user.observe_text("red"), ErrorCode::mismatch, message);
    CHECK(user.save() == before);
    check_error(by_tokens.encode_catalog(many), ErrorCode::mismatch, "the encoder gave 256 rows of " + wide);
    Wrong::fault = Wrong::other_offsets;
    check_error(by_tokens.encode_catalog(many), ErrorCode::mismatch,
                "the encoder's offsets of tokens are not those of 256");
    Wrong::fault = Wrong::token_missing;
    check_error(by_tokens.encode_catalog(many), ErrorCode::mismatch, "the encoder gave 255 rows of ");
    Wrong::fault = Wrong::input_beyond;
    for (const Recommender* model : {&by_vectors, &by_tokens}) {
        const auto result = model->encode_catalog(many);
        check_error(result, ErrorCode::invalid_text);
        CHECK(result.error().message == "an item that there is not");
        CHECK(result.error().input == ranklet::Error::no_input);
    }

    Wrong::fault = Wrong::none;
    const Catalog catalog = take(by_vectors.encode_catalog(many));
    Wrong::fault = Wrong::one_row;
    ranklet::ExplainOptions words;
    words.text = "red tent";
    check_error(ranklet::explain_text(by_vectors, user, catalog, "0", words), ErrorCode::mismatch,
                "the encoder gave 1 rows of " + right + " numbers for 3 items");
    Wrong::fault = Wrong::none;
}

TEST_CASE("a file of a host's kinds is loaded by path, open or from memory, through the options or by naming them") {
    const TemporaryFolder folder;
    const Bytes bytes = model_builder().build();
    const std::string path = folder.write("shop.gguf", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    const LoadOptions options = with(shop::kinds);
    const Recommender models[] = {take(Recommender::load(path, options)),
                                  take(Recommender::from_file(take(ranklet::GgufFile::open(path)), options)),
                                  take(Recommender::from_memory(bytes, options)),
                                  take(Recommender::load<shop::HashedWords, shop::Taste>(path))};
    for (const Recommender& model : models) {
        CHECK(model.fingerprint() == models[0].fingerprint());
        const auto* encoder = model.as<shop::HashedWords>();
        REQUIRE(encoder != nullptr);
        CHECK(static_cast<const ranklet::ItemEncoder*>(encoder) == &model.encoder());
        CHECK(model.as<shop::Taste>() != nullptr);
        CHECK(model.as<ranklet::Bert>() == nullptr);
        CHECK(model.as<ranklet::DotProduct>() == nullptr);
        const auto vector = take(model.encode("small red tent"));
        REQUIRE(vector.size() == dim);
        for (std::size_t d = 0; d < dim; ++d) CHECK(close(vector[d], vector_of("small red tent")[d]));
    }
}

TEST_CASE("without the options a program does not know a host's kinds, and says which name it met") {
    const Bytes bytes = model_builder().build();
    const auto message = [&](std::span<const ranklet::Kind* const> kinds) {
        const auto result = Recommender::from_memory(bytes, with(kinds), "shop.gguf");
        check_error(result, ErrorCode::unsupported);
        return result.ok() ? std::string() : result.error().message;
    };
    CHECK(message({}) == "shop.gguf: ranklet.encoder.type \"shop.hashed_words\" is not one this program reads");
    CHECK(message(std::span(shop::kinds).first(1)) ==
          "shop.gguf: ranklet.recommender.scoring \"shop.taste\" is not one this program reads");
    const ranklet::Kind* swapped[] = {&ranklet::kind<shop::Taste>};
    CHECK(message(swapped) == message({}));
}

TEST_CASE("a file whose numbers differ from its self-test, or whose keys are wrong, is refused") {
    const auto load = [](const Bytes& bytes) {
        return Recommender::from_memory(bytes, with(shop::kinds), "shop.gguf");
    };
    check_error(load(model_builder("shop.hashed_words", "shop.taste", 0.01f).build()), ErrorCode::self_test,
                "shop.gguf: self-test failed: ranklet.selftest.scores[5] should be ");
    GgufBuilder other = model_builder();
    CHECK(load(other.build()).ok());
    GgufBuilder words;
    words.key("ranklet.encoder.type", "shop.hashed_words").key("ranklet.recommender.scoring", "shop.taste");
    words.key("shop.hashed_words.rows", std::uint32_t{0});
    const auto result = load(words.build());
    check_error(result, ErrorCode::format);
    CHECK(result.error().message == "shop.gguf: shop.hashed_words.rows is 0, expected 1 to 16777216");
    Bytes bytes = model_builder().build();
    const float changed = 0.5f;  // the table's first number
    const auto file = take(ranklet::GgufFile::from_memory(bytes, "shop.gguf"));
    const auto place = take(file.tensor("shop.hashed_words.weight")).data - bytes.data();
    for (std::size_t row = 0; row < rows; ++row)
        std::memcpy(bytes.data() + place + row * dim * sizeof changed, &changed, sizeof changed);
    check_error(load(bytes), ErrorCode::self_test, "shop.gguf: self-test failed: ranklet.selftest.vectors[");
    LoadOptions unchecked = with(shop::kinds);
    unchecked.self_test = false;
    CHECK(Recommender::from_memory(bytes, unchecked).ok());
}

TEST_CASE("a catalog of a host's kinds has the encoder's vectors and the decoder's parts") {
    const Recommender model = load_shop();
    std::size_t last = 0;
    ranklet::BatchOptions options;
    options.progress = [&](std::size_t done, std::size_t all) {
        CHECK(all == items.size());
        last = done;
    };
    const Catalog catalog = take(model.encode_catalog(items, options));
    CHECK(last == items.size());
    const ranklet::CatalogData& data = catalog.data();
    REQUIRE(data.parts.size() == 2);
    CHECK(data.find_part("shop.scale")->rows == ranklet::PartRows::item);
    CHECK(data.find_part("shop.mean")->rows == ranklet::PartRows::catalog);
    const auto scale = data.part("shop.scale"), mean = data.part("shop.mean");
    REQUIRE(scale.rows == items.size());
    REQUIRE(mean.rows == 1);
    for (std::size_t i = 0; i < items.size(); ++i) {
        const Vector expected = vector_of(items[i].text);
        double square = 0.0;
        for (std::size_t d = 0; d < dim; ++d) {
            CHECK(close(catalog[i].vector()[d], expected[d]));
            square += expected[d] * expected[d];
        }
        CHECK(close(scale(i, 0), square > 0.0 ? 1.0 / std::sqrt(square) : 0.0));
    }
    for (std::size_t d = 0; d < dim; ++d) CHECK(close(mean(0, d), mean_of(items)[d]));

    ranklet::CatalogData vectors;  // from vectors that were kept elsewhere: the parts are computed
    vectors.ids = data.ids;
    vectors.vectors = take(data.vectors.copy());
    check_same(take(model.make_catalog(std::move(vectors))).data(), data);
    CHECK(take(model.encode_catalog({})).empty());
}

TEST_CASE("a host encoder's errors name the item by its id, and a stop ends it") {
    const Recommender model = load_shop();
    const std::vector<Item> wrong{{"good", "red"}, {"bad", "r\xFF"}};
    const auto result = model.encode_catalog(wrong);
    check_error(result, ErrorCode::invalid_text);
    CHECK(result.error().message == "item \"bad\": the text is not UTF-8 at byte 1");
    CHECK(result.error().input == 1);
    ranklet::BatchOptions options;
    options.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
    check_error(model.encode_catalog(items, options), ErrorCode::deadline);
    options = {};
    options.prompt = "query";
    check_error(model.encode_catalog(items, options), ErrorCode::missing, "hashed words have no prompts");
    bool stop = false;
    options = {};
    options.stop = std::function<bool()>([&] { return stop; });
    options.progress = [&](std::size_t, std::size_t) { stop = true; };
    check_error(model.encode_catalog(items, options), ErrorCode::stopped);
}

TEST_CASE("a host's kinds rank: recommend, scores and scores_of are the decoder's formula, on any threads") {
    const Recommender model = load_shop();
    const Catalog catalog = take(model.encode_catalog(items));
    auto user = model.new_user();
    for (const float score : take(model.scores(user, catalog))) CHECK(score == 0.0f);
    succeed(user.observe(catalog.at("tent")));
    succeed(user.observe_text("red lamp"));
    succeed(user.observe(catalog.at("cafe"), 3.0f));
    const std::vector<std::string_view> history{items[0].text, "red lamp", items[4].text};
    const auto scores = take(model.scores(user, catalog));
    std::size_t best = items.size();
    for (std::size_t i = 0; i < items.size(); ++i) {
        CHECK(close(scores[i], score_of(items[i].text, history, mean_of(items))));
        const bool seen = items[i].id == "tent" || items[i].id == "cafe";
        if (!seen && (best == items.size() || scores[i] > scores[best])) best = i;
    }
    for (const std::size_t threads : {std::size_t{1}, std::size_t{3}}) {
        ranklet::RecommendOptions options;
        options.k = 3;
        options.exclude_seen = true;
        options.threads = finely(threads);
        const auto ranking = take(model.recommend(user, catalog, options));
        REQUIRE(ranking.size() == 3);
        CHECK(ranking[0].id == items[best].id);
        CHECK(bits(ranking[0].score) == bits(scores[best]));
    }
    const std::vector<std::string_view> some{"lamp", "none", "lamp"};
    CHECK(same_bits(take(model.scores_of(user, catalog, some)), std::vector<float>{scores[5], scores[3], scores[5]}));
    check_error(model.user_vector(user), ErrorCode::unsupported);
    CHECK(take(model.scores(user, Catalog(take(model.encode_catalog({}))))).empty());
    user.reset();
    CHECK(user.events().empty());
    for (const float score : take(model.scores(user, catalog))) CHECK(score == 0.0f);
}

TEST_CASE("explain says what each event and each word adds, leaving one out at a time") {
    const Recommender model = load_shop();
    const Catalog catalog = take(model.encode_catalog(items));
    auto user = model.new_user();
    for (const char* id : {"tent", "boat", "book"}) succeed(user.observe(catalog.at(id)));
    const std::vector<std::string_view> history{items[0].text, items[1].text, items[2].text};
    const Vector mean = mean_of(items);
    ranklet::ExplainOptions options;
    options.text = "small lamp";
    const auto explanation = take(explain(model, user, catalog, "lamp", options));
    const double whole = score_of("small lamp", history, mean);
    CHECK(close(explanation.score, whole));
    REQUIRE(explanation.events.size() == 3);
    for (std::size_t e = 0; e < 3; ++e) {
        std::vector<std::string_view> rest = history;
        rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(e));
        CHECK(explanation.events[e].event == e);
        CHECK(explanation.events[e].id == user.events()[e].id);
        CHECK(close(explanation.events[e].contribution, whole - score_of("small lamp", rest, mean)));
        CHECK(std::isnan(explanation.events[e].attention));
    }
    REQUIRE(explanation.text.size() == 2);
    CHECK(explanation.text[0].text == "small");
    CHECK(explanation.text[1].text == "lamp");
    CHECK(explanation.text[1].span.begin == 6);
    CHECK(explanation.text[1].span.end == 10);
    CHECK(close(explanation.text[0].contribution, whole - score_of("lamp", history, mean)));
    CHECK(close(explanation.text[1].contribution, whole - score_of("small", history, mean)));
    options.text = "another lamp";
    check_error(explain(model, user, catalog, "lamp", options), ErrorCode::mismatch, "item \"lamp\"");
    options.text = "\xFF";
    check_error(explain(model, user, catalog, "lamp", options), ErrorCode::invalid_text,
                "item \"lamp\": the text is not UTF-8 at byte 0");
}

TEST_CASE("catalogs and users of a host's kinds come back from disk bit for bit") {
    const TemporaryFolder folder;
    const Recommender model = load_shop();
    const Catalog saved = take(model.encode_catalog(items));
    const std::string path = folder.path() + "/shop.catalog";
    succeed(save_catalog(saved, path));
    const Catalog catalog = take(ranklet::load_catalog(path, model.fingerprint()));
    check_same(catalog.data(), saved.data());
    CHECK(catalog.data().find_part("shop.mean")->values.is_borrowed());
    CHECK(catalog.data().find_part("shop.scale")->values.is_borrowed());
    auto user = model.new_user();
    succeed(user.observe(catalog.at("tent"), 5.0f));
    succeed(user.observe_text("old boat"));
    auto again = take(model.load_user(user.save()));
    CHECK(same_bits(again.state().hidden, user.state().hidden));
    REQUIRE(again.events().size() == 2);
    succeed(user.observe(catalog.at("lamp")));
    succeed(again.observe(saved.at("lamp")));
    CHECK(same_bits(take(model.scores(again, catalog)), take(model.scores(user, saved))));

    ranklet::UserState state = user.state();
    state.hidden.pop_back();
    check_error(model.load_user(state), ErrorCode::format, "the user state's sizes are not those of shop.taste");
    ranklet::CatalogData lacking;
    lacking.ids = {"a"};
    lacking.vectors = take(ranklet::Matrix::zeroed(1, dim));
    lacking.model = model.fingerprint();
    check_error(model.scores(user, take(Catalog::create(std::move(lacking)))), ErrorCode::mismatch, "shop.taste");
}

TEST_CASE("an updated catalog is what encoding it from scratch gives: the catalog's mean is computed anew") {
    const Recommender model = load_shop();
    const Catalog before = take(model.encode_catalog(items));
    const std::vector<Item> add{{"kite", "red kite"}}, replace{{"book", "new book"}};
    const std::vector<std::string_view> remove{"tent"};
    const Catalog after = take(update_catalog(model, before, {.add = add, .replace = replace, .remove = remove}));
    std::vector<Item> now(items.begin() + 1, items.end());
    now[1] = replace[0];
    now.push_back(add[0]);
    check_same(after.data(), take(model.encode_catalog(now)).data());
    const auto mean = after.data().part("shop.mean");
    for (std::size_t d = 0; d < dim; ++d) CHECK(close(mean(0, d), mean_of(now)[d]));
    CHECK(std::abs(mean_of(now)[0] - mean_of(items)[0]) > 1e-3);

    const Catalog fewer = take(update_catalog(model, before, {.remove = remove}));
    check_same(fewer.data(), take(model.encode_catalog(std::vector<Item>(items.begin() + 1, items.end()))).data());
    auto user = model.new_user();
    succeed(user.observe(before.at("tent")));
    const auto scores = take(model.scores(user, after));
    for (std::size_t i = 0; i < now.size(); ++i)
        CHECK(close(scores[i], score_of(now[i].text, {items[0].text}, mean_of(now))));
}

TEST_CASE("a host's kind with a name of the library's is looked at first; elsewhere the library's own still is") {
    const ranklet::Kind* kinds[] = {&ranklet::kind<OtherWords>, &ranklet::kind<shop::Taste>};
    const Bytes bytes = model_builder("word_vectors").build();
    const Recommender model = take(Recommender::from_memory(bytes, with(kinds)));
    CHECK(model.as<OtherWords>() != nullptr);
    CHECK(model.as<shop::HashedWords>() == nullptr);
    CHECK(model.as<ranklet::WordVectors>() == nullptr);
    const auto without = Recommender::from_memory(bytes, with(shop::kinds), "shop.gguf");
    check_error(without, ErrorCode::missing, "shop.gguf: tensor \"ranklet.words.weight\": it is not in the file");
    for (const char* name : model_names) {
        CAPTURE(name);
        const Recommender given = take(Recommender::load(model_path(name), with(shop::kinds)));
        const Recommender own = load_model(name);
        CHECK(given.encoder().kind() == own.encoder().kind());
        CHECK(given.as<shop::HashedWords>() == nullptr);
        const Catalog catalog = make_catalog(given, 10);
        CHECK(same_bits(take(given.scores(make_user(given, catalog), catalog)),
                        take(own.scores(make_user(own, catalog), catalog))));
    }
}

TEST_CASE("a decoder that goes by ids sees them, for a whole catalog and for given candidates") {
    const ranklet::Kind* kinds[] = {&ranklet::kind<shop::HashedWords>, &ranklet::kind<Again>};
    LoadOptions options = with(kinds);
    options.self_test = false;
    const Bytes bytes = model_builder("shop.hashed_words", "shop.again").build();
    const Recommender model = take(Recommender::from_memory(bytes, options));
    const Catalog catalog = take(model.encode_catalog(items));
    auto user = model.new_user();
    for (const char* id : {"boat", "lamp", "boat"}) succeed(user.observe(catalog.at(id)));
    succeed(user.observe_text("boat"));
    CHECK(take(model.scores(user, catalog)) == std::vector<float>{0, 2, 0, 0, 0, 1});
    const std::vector<std::string_view> some{"lamp", "tent", "boat", "boat"};
    CHECK(take(model.scores_of(user, catalog, some)) == std::vector<float>{1, 0, 2, 2});
    CHECK(take(explain_events(model, user, catalog, "boat", {.event_texts = std::span(some).subspan(2, 1)}))[0]
              .contribution == 1.0f);
}

TEST_CASE("a host's encoder reads the queries of another model, with the prompt that it says it has") {
    const Recommender documents = load_shop();
    std::vector<float> weights = table();
    std::reverse(weights.begin(), weights.end());
    const auto file_with = [&](const char* encoder) {
        GgufBuilder file;
        file.key("ranklet.version", std::uint32_t{1}).key("ranklet.encoder.type", encoder);
        file.key("shop.hashed_words.rows", static_cast<std::uint32_t>(rows));
        file.key("shop.hashed_words.dim", static_cast<std::uint32_t>(dim));
        file.tensor("shop.hashed_words.weight", {rows, dim}, weights);
        return file.build();
    };
    static constexpr const ranklet::Kind* kinds[] = {&ranklet::kind<shop::HashedWords>, &ranklet::kind<Asked>};
    LoadOptions options = with(kinds);
    const Bytes bytes = file_with("shop.hashed_words"), asked_bytes = file_with("shop.asked");
    check_error(Recommender::from_memory(bytes, options), ErrorCode::missing, "no self-test");  // of queries too
    options.self_test = false;
    const Recommender queries = take(Recommender::from_memory(bytes, options));
    const Recommender model = take(documents.with_queries(queries));
    const auto row = [&](std::string_view word) {
        std::uint64_t hash = 14695981039346656037ull;
        for (const char each : word) hash = (hash ^ static_cast<unsigned char>(each)) * 1099511628211ull;
        return std::span(weights).subspan(hash % rows * dim, dim);
    };
    const auto vector = take(model.encode_query("boat"));
    CHECK(std::equal(vector.begin(), vector.end(), row("boat").begin()));
    CHECK(model.as<shop::HashedWords>() == documents.as<shop::HashedWords>());
    CHECK(&model.query_encoder() == &queries.encoder());

    // By what the file says about prompts: "query" stands before the text.
    const Recommender asked = take(Recommender::from_memory(asked_bytes, options));
    const Recommender prompted = take(documents.with_queries(asked));
    for (const Recommender& each : {asked, prompted}) {
        const auto found = take(each.encode_query("boat"));
        for (std::size_t d = 0; d < dim; ++d)
            CHECK(close(found[d], (double{row("want")[d]} + double{row("boat")[d]}) / 2));
        const auto plain = take(each.encode_query("boat", {.prompt = ""}));
        CHECK(std::equal(plain.begin(), plain.end(), row("boat").begin()));
    }
    const Catalog catalog = take(documents.encode_catalog(items));
    auto user = prompted.new_user(), same = model.new_user();
    succeed(user.observe_text("boat"));
    succeed(same.observe_text("want boat"));
    CHECK(same_bits(take(prompted.scores(user, catalog)), take(model.scores(same, catalog))));
}

TEST_CASE("one program has several kinds of a host's, beside and mixed with the library's") {
    const ranklet::Kind* kinds[] = {&ranklet::kind<shop::HashedWords>, &ranklet::kind<shop::Taste>,
                                    &ranklet::kind<Latest>};
    LoadOptions options = with(kinds);
    const Bytes taste_bytes = model_builder().build();
    const Recommender taste = take(Recommender::from_memory(taste_bytes, options));
    options.self_test = false;  // the file's scores are of the other decoder
    const Bytes latest_bytes = model_builder("shop.hashed_words", "shop.latest").build();
    const Recommender latest = take(Recommender::from_memory(latest_bytes, options));
    CHECK(taste.as<shop::Taste>() != nullptr);
    CHECK(taste.as<Latest>() == nullptr);
    CHECK(latest.as<shop::Taste>() == nullptr);
    CHECK(latest.as<Latest>() != nullptr);
    const Catalog catalog = take(latest.encode_catalog(items));
    auto user = latest.new_user();
    succeed(user.observe(catalog.at("book")));
    succeed(user.observe(catalog.at("boat")));
    const auto scores = take(latest.scores(user, catalog));
    const auto vector = take(latest.user_vector(user));
    for (std::size_t i = 0; i < items.size(); ++i) {
        double product = 0.0;
        for (std::size_t d = 0; d < dim; ++d) product += vector_of("red boat")[d] * vector_of(items[i].text)[d];
        CHECK(close(scores[i], product));
    }
    for (std::size_t d = 0; d < dim; ++d) CHECK(close(vector[d], vector_of("red boat")[d]));
    check_error(taste.scores(taste.new_user(), catalog), ErrorCode::mismatch);

    // The library's table of items, ranked by the host's decoder.
    GgufBuilder file;
    file.key("ranklet.encoder.type", "items").key("ranklet.recommender.scoring", "shop.taste");
    file.key("shop.taste.decay", 1.0f).tensor("ranklet.item_embd.weight", {3, 2}, {3, 4, 1, 0, 0, 2});
    file.key("ranklet.selftest.tolerance", 1e-6f).array("ranklet.selftest.history", std::vector<std::int32_t>{0});
    // mean (4/3, 2), taste (5/3, 2)
    file.array("ranklet.selftest.scores", std::vector<float>{2.6f, 5.0f / 3.0f, 2.0f});
    const Bytes table_bytes = file.build();
    const Recommender own = take(Recommender::from_memory(table_bytes, with(kinds)));
    CHECK(own.as<ranklet::ItemTable>() != nullptr);
    CHECK(take(own.items()).size() == 3);
    check_error(own.encode_catalog(items), ErrorCode::unsupported);
}

TEST_CASE("a number that is none, from a host's encoder, is an error about its item, wherever the item stands") {
    const ranklet::Kind* kinds[] = {&ranklet::kind<Wrong>, &ranklet::kind<Latest>, &ranklet::kind<Tokens>};
    LoadOptions options = with(kinds);
    options.self_test = false;
    const Bytes vectors = model_builder("shop.wrong", "shop.latest").build();
    const Bytes tokens = model_builder("shop.wrong", "shop.tokens").build();
    const Recommender by_vectors = take(Recommender::from_memory(vectors, options));
    const Recommender by_tokens = take(Recommender::from_memory(tokens, options));
    options.blend = {{"history", 1.0f}};  // whose mean of all vectors one of them would spoil
    const Recommender by_history = take(Recommender::from_memory(vectors, options));
    std::vector<Item> many;  // more than are encoded at a time
    for (std::size_t i = 0; i < 300; ++i) many.push_back({std::to_string(i), i == 270 ? "odd" : "red tent"});
    for (const float odd : {quiet_nan, infinity, -infinity}) {
        CAPTURE(odd);
        Wrong::odd = 0.0f;
        const Catalog catalog = take(by_vectors.encode_catalog(many));
        auto user = by_vectors.new_user();
        succeed(user.observe(catalog[0]));
        const auto before = user.save();
        Wrong::odd = odd;
        for (const Recommender* model : {&by_vectors, &by_tokens, &by_history}) {
            const auto result = model->encode_catalog(many);
            check_error(result, ErrorCode::invalid_argument,
                        "item \"270\": the encoder gave numbers that are not finite");
            CHECK(result.error().input == 270);
        }
        for (const auto& result : {by_vectors.encode("odd"), by_vectors.encode_query("odd")}) {
            check_error(result, ErrorCode::invalid_argument, "not finite");
            CHECK(result.error().input == 0);
        }
        check_error(user.observe_text("odd"), ErrorCode::invalid_argument, "not finite");
        CHECK(user.save() == before);
        const std::vector<Item> added{{"one more", "odd"}};
        check_error(update_catalog(by_vectors, catalog, {.add = added}), ErrorCode::invalid_argument,
                    "item \"one more\"");
        ranklet::ExplainOptions words;
        words.text = "red tent";
        const auto why = ranklet::explain_text(by_vectors, user, catalog, "0", words);
        check_error(why, ErrorCode::invalid_argument, "not finite");
        CHECK(why.error().input == ranklet::Error::no_input);
    }
    Wrong::odd = 0.0f;
}

TEST_CASE("how much a host's kinds take at a time may be any number, and changes nothing") {
    const ranklet::Kind* kinds[] = {&ranklet::kind<shop::HashedWords>, &ranklet::kind<Pieces>, &ranklet::kind<Wrong>,
                                    &ranklet::kind<Latest>};
    constexpr auto endless = static_cast<std::size_t>(-1);
    LoadOptions options = with(kinds);
    options.self_test = false;
    const Bytes bytes = model_builder("shop.hashed_words", "shop.pieces").build();
    std::vector<Item> many;
    for (std::size_t i = 0; i < 5000; ++i) many.push_back({std::to_string(i), i % 3 == 0 ? "red tent" : "green boat"});
    for (const bool blended : {false, true}) {
        CAPTURE(blended);
        options.blend.clear();
        if (blended) options.blend = {{"shop.pieces", 1.0f}, {"history", 0.5f}};
        std::vector<float> expected;
        for (const std::size_t at_once : {std::size_t{100}, std::size_t{0}, std::size_t{1}, many.size(), endless}) {
            CAPTURE(at_once);
            Pieces::at_once = at_once;
            const Recommender model = take(Recommender::from_memory(bytes, options));
            const Catalog catalog = take(model.encode_catalog(many));
            auto user = model.new_user();
            succeed(user.observe(catalog[1]));
            for (const std::size_t threads : {1u, 3u}) {
                const auto scores = take(model.scores(user, catalog, {finely(threads)}));
                if (expected.empty()) expected = scores;
                CHECK(same_bits(scores, expected));
            }
            const Catalog none = take(model.encode_catalog({}));
            CHECK(take(model.scores(user, none)).empty());
        }
        CHECK(std::any_of(expected.begin(), expected.end(), [](float x) { return x != 0.0f; }));
    }
    const Bytes wrong = model_builder("shop.wrong", "shop.latest").build();
    options.blend.clear();
    const Recommender model = take(Recommender::from_memory(wrong, options));
    const Catalog catalog = take(model.encode_catalog(std::span(many).first(3)));
    const auto user = model.new_user();
    ranklet::ExplainOptions words;
    words.text = "a tent that has room for two";
    for (const std::size_t at_once : {std::size_t{0}, std::size_t{1}, std::size_t{3}, endless}) {
        CAPTURE(at_once);
        Wrong::at_once = at_once;
        CHECK(take(ranklet::explain_text(model, user, catalog, "0", words)).size() == 7);
    }
    Wrong::at_once = 64;
}
