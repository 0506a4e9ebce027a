// Recommender: an encoder and a decoder from one model file; the composition that applications use.
// In: items (id, text) and a user's events. Out: ranked items with scores and probabilities.
// BasicRecommender<Encoder, Decoder> fixes the kinds at compile time; Recommender chooses by what the file says.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ranklet/catalog/catalog.hpp"
#include "ranklet/catalog/gather.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/decoders/gru_scorer.hpp"
#include "ranklet/decoders/user_state.hpp"
#include "ranklet/decoders/user_tower.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/encoders/item_table.hpp"
#include "ranklet/encoders/news_encoder.hpp"
#include "ranklet/encoders/options.hpp"
#include "ranklet/encoders/self_test.hpp"
#include "ranklet/encoders/text_encoder.hpp"
#include "ranklet/encoders/word_vectors.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/ranking/recommendation.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN

/// A vector of an item that was computed elsewhere, of an image or a sound, say. The numbers belong to the caller.
struct ItemVector {
    std::string_view name;  ///< of a view of the model (NewsEncoder)
    std::span<const float> values;
};

/// An item to be encoded. The strings belong to the caller.
struct Item {
    std::string_view id;
    std::string_view text;
    /// For filters and caps; no part of the item's vector, but for a NewsEncoder with views of their names: then the
    /// strings "body", "category" ... are what those views read.
    std::span<const Attribute> attributes = {};
    std::span<const ItemVector> vectors = {};  ///< of the model's vector views; those that are not given are missing
};

/// An encoder that is one of the library's, chosen at run time.
using AnyEncoder = std::variant<Bert, WordVectors, NewsEncoder, ItemTable>;
/// A decoder that is one of the library's, chosen at run time.
using AnyDecoder = std::variant<DotProduct, NextEvent, TextGru, UserTower>;

namespace detail {
template <class T, class Variant>
inline constexpr bool is_alternative = false;
template <class T, class... Ts>
inline constexpr bool is_alternative<T, std::variant<Ts...>> = (std::is_same_v<T, Ts> || ...);
}  // namespace detail

/// `Encoder` and `Decoder`: one of the library's each, or a std::variant of some of them: a program compiles only the
/// kinds that it names, and a file of another kind is an Error.
template <class Encoder, class Decoder>
class BasicRecommender {
    struct Model {
        Encoder encoder;
        Decoder decoder;
        std::uint64_t fingerprint = 0;
        bool text_gru = false;
    };
    using ModelPointer = std::shared_ptr<const Model>;

public:
    class User;

    /// Memory of recommend(), reused by the next call of the same thread.
    class Workspace {
        friend class BasicRecommender;
        RankingBuffers buffers_;
        std::vector<float> shared_;
        std::vector<Scratch> scratch_;
    };

    /// Maps the file and builds the model. Error when it is not a recommender of this kind, is damaged, or its
    /// self-test gives other numbers than the file states.
    RANKLET_COLD static Result<BasicRecommender> load(const std::string& path, const LoadOptions& options = {});
    RANKLET_COLD static Result<BasicRecommender> from_file(const GgufFile& file, const LoadOptions& options = {});

    const Encoder& encoder() const noexcept { return model_->encoder; }
    const Decoder& decoder() const noexcept { return model_->decoder; }
    /// Identifies the model file; catalogs and user states carry it.
    std::uint64_t fingerprint() const noexcept { return model_->fingerprint; }
    /// Whether items are texts (of any encoder); otherwise they are the model's own.
    bool encodes_text() const noexcept {
        return with_text_encoder(model_->encoder, [](const auto&) {});
    }
    /// The text encoder when it is a Bert (whoever needs token states); null when it is another or there is none.
    const Bert* bert() const noexcept { return as<Bert>(model_->encoder); }
    /// The text encoder when it is WordVectors; null otherwise.
    const WordVectors* word_vectors() const noexcept { return as<WordVectors>(model_->encoder); }
    /// The model's own items; null when it encodes text.
    const ItemTable* item_table() const noexcept { return as<ItemTable>(model_->encoder); }
    /// The news encoder; null when the encoder is another.
    const NewsEncoder* news_encoder() const noexcept { return as<NewsEncoder>(model_->encoder); }
    /// The user tower; null in the scorings of a GRU alone.
    const UserTower* user_tower() const noexcept { return as<UserTower>(model_->decoder); }
    /// The text_gru decoder; null in the other scorings.
    const TextGru* text_gru() const noexcept { return as<TextGru>(model_->decoder); }

    /// The vector [dim] of a text. Error unsupported when the model has no text encoder.
    Result<std::vector<float>> encode(std::string_view text, const BatchOptions& options = {}) const;

    /// Items to a catalog: their texts through the encoder and all of the decoder that depends on the item alone.
    /// Error when an id is empty or stands twice, a text is not UTF-8, or an attribute is not as AttributeBuilder wants
    /// it (naming the item).
    Result<Catalog> encode_catalog(std::span<const Item> items, const BatchOptions& options = {}) const;
    /// A catalog of vectors that were made before, by this model's encoder: `ids` and `vectors` (text_gru: `projected`
    /// with `token_offsets`), and whatever else there is; the decoder's own parts are computed here.
    /// Error invalid_argument when the vectors are not of the model's size, not one an item, or not finite.
    Result<Catalog> make_catalog(CatalogData data, std::size_t threads = 1) const;
    /// The model's own items. Error unsupported when it encodes text instead.
    Result<Catalog> items() const;

    /// A user without events. `id`: the user's own in a model file that knows users (LSTUR); one that it does not know
    /// starts from the zero vector, as everybody does in other models.
    User new_user(std::string_view id = {}) const;
    /// A user from a saved state. Error format when the bytes are damaged, mismatch when another model made them.
    Result<User> load_user(std::span<const std::byte> bytes) const;
    Result<User> load_user(UserState state) const;

    /// The k best items for a user. Error mismatch when the catalog or the user belongs to another model.
    Result<Ranking> recommend(const User& user, const Catalog& catalog, const RecommendOptions& options = {}) const;
    /// The same in memory that the caller keeps: the first call sizes it, later ones with the same kind of options
    /// allocate nothing. The result lives in `workspace` until its next use.
    Result<std::span<const Recommendation>> recommend(const User& user, const Catalog& catalog,
                                                      const RecommendOptions& options, Workspace& workspace) const;

    /// The logits of all items of a catalog, in its order.
    Result<std::vector<float>> scores(const User& user, const Catalog& catalog,
                                      const RecommendOptions& options = {}) const;
    /// The logits of these items only, in the order given, the same bits as in scores(); an index may stand twice.
    /// Costs what these candidates cost, whatever the catalog's size. Filters and k have no meaning here. Error
    /// invalid_argument for an index that the catalog lacks.
    Result<std::vector<float>> scores_of(const User& user, const Catalog& catalog, std::span<const std::size_t> indices,
                                         const RecommendOptions& options = {}) const;
    /// The same by id. Error missing naming an id that the catalog lacks.
    Result<std::vector<float>> scores_of(const User& user, const Catalog& catalog,
                                         std::span<const std::string_view> ids,
                                         const RecommendOptions& options = {}) const;
    /// The user's vector [dim], whose dot product with a row of `catalog.output_vectors()`, plus the item's bias, is
    /// the item's score: what a VectorIndex over a large catalog is searched with. Error unsupported when the model's
    /// scoring is not a dot product (next_event, text_gru).
    Result<std::vector<float>> user_vector(const User& user) const;
    /// text_gru: the score after each token of a text [length], from the user's state.
    Result<std::vector<float>> position_scores(const User& user, std::string_view text,
                                               const BatchOptions& options = {}) const;

private:
    template <class D>
    static constexpr bool is_text_gru = std::is_same_v<std::remove_cvref_t<D>, TextGru>;

    // The chosen alternative of a variant, or the thing itself.
    template <class T, class Function>
    static decltype(auto) visit(const T& value, const Function& f) {
        return f(value);
    }
    template <class... Ts, class Function>
    static decltype(auto) visit(const std::variant<Ts...>& value, const Function& f) {
        return std::visit(f, value);
    }
    template <class T, class V>
    static const T* as(const V& value) noexcept {
        if constexpr (std::is_same_v<T, V>)
            return &value;
        else if constexpr (detail::is_alternative<T, V>)
            return std::get_if<T>(&value);
        else
            return nullptr;
    }

    template <class D>
    static constexpr bool is_tower = std::is_same_v<std::remove_cvref_t<D>, UserTower>;

    static std::size_t state_size(const Model& model) {
        return visit(model.decoder, [](const auto& d) {
            if constexpr (is_tower<decltype(d)>)
                return d.state_size();
            else
                return d.decoder().gru().state_size();
        });
    }
    // Elements of what an event feeds to the decoder.
    static std::size_t event_size(const Model& model) {
        return visit(model.decoder, [](const auto& d) {
            if constexpr (is_tower<decltype(d)>)
                return d.in();
            else
                return d.decoder().gru().in();
        });
    }
    // Elements of a row of what make_catalog is given.
    static std::size_t catalog_width(const Model& model) {
        const TextGru* scorer = as<TextGru>(model.decoder);
        return scorer != nullptr ? 3 * scorer->decoder().gru().hidden() : event_size(model);
    }
    static Error no_text() {
        return Error{ErrorCode::unsupported, "this model has no text encoder: its items are its own (items())"};
    }
    RANKLET_COLD static Result<Matrix> copy(const Matrix& source);

    RANKLET_COLD static Result<Encoder> load_encoder(const GgufFile& file, const BertDefaults& defaults);
    RANKLET_COLD static Result<Decoder> load_decoder(const GgufFile& file, const Encoder& encoder);
    template <TextEncoder E>
    static std::size_t output_dim(const E& encoder) noexcept {
        return encoder.dim();
    }
    static std::size_t output_dim(const ItemTable& table) noexcept {
        return table.outputs.empty() ? table.vectors.cols() : table.outputs.cols();
    }

    Result<void> check_sizes(const GgufFile& file) const;

    Result<void> check(const User& user) const;
    Result<void> check(const CatalogData& catalog) const;
    // A catalog that the caller put together (Catalog::create) may lack what this model's decoder reads.
    static Result<void> check_shapes(const Model& model, const CatalogData& data);

    // Everything of the decoder that depends on the item alone.
    Result<Catalog> finish_catalog(CatalogData data, std::size_t threads) const;

    template <class Scorer>
    static Result<Matrix> project(const Scorer& scorer, MatrixView<const float> vectors, std::size_t threads);

    static Result<Matrix> project_tokens(const Bert& encoder, const TextGru& scorer, std::string_view text,
                                         const BatchOptions& options);

    Result<void> encode_items(std::span<const std::string_view> texts, const BatchOptions& options,
                              CatalogData& data) const;
    // A news encoder's views: the item's text as "title", string attributes and vectors by their names.
    RANKLET_COLD Result<void> encode_news(std::span<const Item> items, const BatchOptions& options,
                                          CatalogData& data) const;
    // The vectors [texts, dim]. Error unsupported when the model has no text encoder.
    static Result<Matrix> encode_texts(const Model& model, std::span<const std::string_view> texts,
                                       const BatchOptions& options);

    // The encoder counts texts; who gave items wants the id.
    RANKLET_COLD static Error name_item(std::span<const Item> items, const Error& error);

    // text_gru keeps the GRU's input part of every token of every item.
    Result<void> encode_tokens(std::span<const std::string_view> texts, const BatchOptions& options,
                               CatalogData& data) const;

    Result<void> score(const User& user, const Catalog& catalog, const RecommendOptions& options,
                       Workspace& workspace) const;
    // `n` items, which need no ids. Precondition: check() of both.
    Result<void> score(const User& user, const CatalogData& data, std::size_t n, const RecommendOptions& options,
                       Workspace& workspace) const;

    // `known`: the scores, where they are known already; the workspace is sized all the same, for the next call.
    Result<void> score_from(const UserState& state, const CatalogData& data, std::size_t n, std::size_t max_threads,
                            Workspace& workspace, std::span<const float> known = {}) const;

    // The file's own texts, events and expected numbers against what this build computes.
    RANKLET_COLD Result<void> self_test(const GgufFile& file) const;

    ModelPointer model_;
};

/// A user of a model: a state that goes on with each event. A value: copies go on independently. Holds its model.
template <class Encoder, class Decoder>
class BasicRecommender<Encoder, Decoder>::User {
public:
    User(const User& other) : model_(other.model_), state_(other.state_) {}
    User& operator=(const User& other) {
        model_ = other.model_;
        state_ = other.state_;
        return *this;
    }
    User(User&&) noexcept = default;
    User& operator=(User&&) noexcept = default;
    ~User() = default;

    const UserState& state() const noexcept { return state_; }
    std::span<const Event> events() const noexcept { return state_.events; }
    std::vector<std::byte> save() const { return state_.save(); }

    /// Forgets all events, not who the user is (new_user's id).
    void reset();

    /// The user met an item: one GRU step (text_gru: one a token), whatever the history's length. A model without
    /// ratings remembers the rating and computes without it. Error mismatch when the item is of another model's
    /// catalog, invalid_argument when the rating is infinite (no_rating, the default, is fine) or so large that the
    /// state would not be finite. With an error the user stays as before.
    Result<void> observe(const ItemRef& item, float rating = no_rating);
    /// Straight from `catalog.at(id)`: its error, if it is one, comes back.
    Result<void> observe(const Result<ItemRef>& item, float rating = no_rating);
    /// The user met a text from outside any catalog: a query, say. Recorded as an event without an id.
    Result<void> observe_text(std::string_view text, float rating = no_rating, const BatchOptions& options = {});

private:
    friend class BasicRecommender;
    explicit User(ModelPointer model) : model_(std::move(model)) {}

    RANKLET_COLD static Result<void> check_rating(float rating) {
        if (std::isinf(rating)) return Error{ErrorCode::invalid_argument, "a rating must not be infinite"};
        return {};
    }
    Result<void> advance(std::span<const float> vector, float rating);
    RANKLET_COLD static Error not_finite() {
        return Error{ErrorCode::invalid_argument,
                     "the event's numbers are not finite: a rating that is too large, or a damaged model"};
    }
    Result<void> run(const TextGru& scorer, MatrixView<const float> projected);
    // A NaN in the state would stay there and empty every later ranking: such a step is taken back.
    template <class Function>
    Result<void> step(std::size_t scratch_size, const Function& function);

    ModelPointer model_;
    UserState state_;
    Scratch scratch_;
};

/// A recommender of whatever kind the model file is.
using Recommender = BasicRecommender<AnyEncoder, AnyDecoder>;

RANKLET_NAMESPACE_END

#include "ranklet/recommender/catalog.hpp"
#include "ranklet/recommender/load.hpp"
#include "ranklet/recommender/rank.hpp"
#include "ranklet/recommender/user.hpp"

// A program of several translation units compiles Recommender once: it defines RANKLET_EXTERN_RECOMMENDER for all of
// them, and one of them says `template class ranklet::BasicRecommender<ranklet::AnyEncoder, ranklet::AnyDecoder>;`.
#ifdef RANKLET_EXTERN_RECOMMENDER
RANKLET_NAMESPACE_BEGIN
extern template class BasicRecommender<AnyEncoder, AnyDecoder>;
RANKLET_NAMESPACE_END
#endif
