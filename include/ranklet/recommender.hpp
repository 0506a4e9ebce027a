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
#include "ranklet/ranking/catalog.hpp"
#include "ranklet/ranking/gather.hpp"
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
    [[nodiscard]] RANKLET_COLD static Result<BasicRecommender> load(const std::string& path,
                                                                    const LoadOptions& options = {}) {
        RANKLET_ASSIGN(const GgufFile file, GgufFile::open(path));
        return from_file(file, options);
    }
    [[nodiscard]] RANKLET_COLD static Result<BasicRecommender> from_file(const GgufFile& file,
                                                                         const LoadOptions& options = {}) {
        if (options.verify_checksum) RANKLET_TRY(file.verify_checksum());
        RANKLET_TRY(check_version(file));
        if (!file.has("ranklet.recommender.scoring"))
            return make_error(ErrorCode::missing, {file.name(),
                                                   ": no key ranklet.recommender.scoring: an encoder alone, or "
                                                   "not a model of this library"});
        auto model = std::make_shared<Model>();
        RANKLET_ASSIGN(model->encoder, load_encoder(file, options.bert));
        RANKLET_ASSIGN(model->decoder, load_decoder(file, model->encoder));
        model->fingerprint = file.fingerprint();
        model->text_gru = visit(model->decoder, [](const auto& d) { return is_text_gru<decltype(d)>; });
        BasicRecommender recommender;
        recommender.model_ = std::move(model);
        RANKLET_TRY(recommender.check_sizes(file));
        if (options.self_test) RANKLET_TRY(recommender.self_test(file));
        return recommender;
    }

    [[nodiscard]] const Encoder& encoder() const noexcept { return model_->encoder; }
    [[nodiscard]] const Decoder& decoder() const noexcept { return model_->decoder; }
    /// Identifies the model file; catalogs and user states carry it.
    [[nodiscard]] std::uint64_t fingerprint() const noexcept { return model_->fingerprint; }
    /// Whether items are texts (of any encoder); otherwise they are the model's own.
    [[nodiscard]] bool encodes_text() const noexcept {
        return with_text_encoder(model_->encoder, [](const auto&) {});
    }
    /// The text encoder when it is a Bert (whoever needs token states); null when it is another or there is none.
    [[nodiscard]] const Bert* bert() const noexcept { return as<Bert>(model_->encoder); }
    /// The text encoder when it is WordVectors; null otherwise.
    [[nodiscard]] const WordVectors* word_vectors() const noexcept { return as<WordVectors>(model_->encoder); }
    /// The model's own items; null when it encodes text.
    [[nodiscard]] const ItemTable* item_table() const noexcept { return as<ItemTable>(model_->encoder); }
    /// The news encoder; null when the encoder is another.
    [[nodiscard]] const NewsEncoder* news_encoder() const noexcept { return as<NewsEncoder>(model_->encoder); }
    /// The user tower; null in the scorings of a GRU alone.
    [[nodiscard]] const UserTower* user_tower() const noexcept { return as<UserTower>(model_->decoder); }
    /// The text_gru decoder; null in the other scorings.
    [[nodiscard]] const TextGru* text_gru() const noexcept { return as<TextGru>(model_->decoder); }

    /// The vector [dim] of a text. Error unsupported when the model has no text encoder.
    [[nodiscard]] Result<std::vector<float>> encode(std::string_view text, const BatchOptions& options = {}) const {
        RANKLET_ASSIGN(const Matrix vectors, encode_texts(*model_, std::span(&text, 1), options));
        const auto row = vectors.row(0);
        return std::vector<float>(row.begin(), row.end());
    }

    /// Items to a catalog: their texts through the encoder and all of the decoder that depends on the item alone.
    /// Error when an id is empty or stands twice, a text is not UTF-8, or an attribute is not as AttributeBuilder wants
    /// it (naming the item).
    [[nodiscard]] Result<Catalog> encode_catalog(std::span<const Item> items, const BatchOptions& options = {}) const {
        if (!encodes_text()) return no_text();
        CatalogData data;
        std::vector<std::string_view> texts;
        AttributeBuilder attributes;
        for (const Item& item : items) {
            data.ids.emplace_back(item.id);
            texts.push_back(item.text);
            if (const auto status = attributes.add(item.attributes); !status.ok())
                return make_error(status.error().code, {"item \"", item.id, "\": ", status.error().message});
        }
        data.attributes = std::move(attributes).finish();
        const auto status =
            news_encoder() != nullptr ? encode_news(items, options, data) : encode_items(texts, options, data);
        if (!status.ok()) return name_item(items, status.error());
        return finish_catalog(std::move(data), options.threads);
    }
    /// A catalog of vectors that were made before, by this model's encoder: `ids` and `vectors` (text_gru: `projected`
    /// with `token_offsets`), and whatever else there is; the decoder's own parts are computed here.
    /// Error invalid_argument when the vectors are not of the model's size, not one an item, or not finite.
    [[nodiscard]] Result<Catalog> make_catalog(CatalogData data, std::size_t threads = 1) const {
        const Matrix& given = model_->text_gru ? data.projected : data.vectors;
        const std::size_t n = data.ids.size(), cols = catalog_width(*model_);
        if (model_->text_gru && (data.token_offsets.size() != n + 1 || data.token_offsets.front() != 0 ||
                                 !std::is_sorted(data.token_offsets.begin(), data.token_offsets.end())))
            return Error{ErrorCode::invalid_argument, "the token offsets do not fit the items"};
        const std::size_t rows = model_->text_gru ? data.token_offsets.back() : n;
        if (given.rows() != rows || (rows > 0 && given.cols() != cols))
            return make_error(ErrorCode::invalid_argument,
                              {"vectors of ", given.rows(), " x ", given.cols(), ", expected ", rows, " x ", cols});
        for (std::size_t r = 0; r < rows; ++r)
            for (const float x : given.row(r))
                if (!std::isfinite(x))
                    return make_error(ErrorCode::invalid_argument, {"row ", r, " of the vectors is not finite"});
        if (!model_->text_gru) data.projected = Matrix();
        RANKLET_ASSIGN(Catalog catalog, finish_catalog(std::move(data), threads));
        RANKLET_TRY(check_shapes(*model_, catalog.data()));
        return catalog;
    }
    /// The model's own items. Error unsupported when it encodes text instead.
    [[nodiscard]] Result<Catalog> items() const {
        const ItemTable* table = item_table();
        if (table == nullptr)
            return Error{ErrorCode::unsupported, "this model has no items of its own: give it texts (encode_catalog)"};
        CatalogData data;
        data.ids = table->ids;
        RANKLET_ASSIGN(data.vectors, copy(table->vectors));
        if (!table->outputs.empty()) {
            RANKLET_ASSIGN(data.outputs, copy(table->outputs));
        }
        data.bias = table->bias;
        return finish_catalog(std::move(data), 1);
    }

    /// A user without events. `id`: the user's own in a model file that knows users (LSTUR); one that it does not know
    /// starts from the zero vector, as everybody does in other models.
    [[nodiscard]] User new_user(std::string_view id = {}) const {
        User user(model_);
        user.state_.user = id;
        user.reset();
        return user;
    }
    /// A user from a saved state. Error format when the bytes are damaged, mismatch when another model made them.
    [[nodiscard]] Result<User> load_user(std::span<const std::byte> bytes) const {
        RANKLET_ASSIGN(UserState state, UserState::load(bytes));
        return load_user(std::move(state));
    }
    [[nodiscard]] Result<User> load_user(UserState state) const {
        if (state.model != fingerprint()) return Error{ErrorCode::mismatch, "the user state was made by another model"};
        if (state.hidden.size() != state_size(*model_))
            return make_error(ErrorCode::format, {"the user state has ", state.hidden.size(),
                                                  " values, the model's have ", state_size(*model_)});
        if (!std::all_of(state.hidden.begin(), state.hidden.end(), [](float h) { return std::isfinite(h); }))
            return Error{ErrorCode::format, "the user state has a hidden value that is not finite"};
        const UserTower* tower = user_tower();
        const std::size_t width = tower == nullptr ? 0 : tower->memory_width();
        if (!std::all_of(state.memory.begin(), state.memory.end(), [](float x) { return std::isfinite(x); }))
            return Error{ErrorCode::format, "the user state remembers a value that is not finite"};
        if (state.memory_width != width || state.memory.size() != state.memory_rows() * width ||
            (width > 0 && state.memory_rows() > tower->max_events()))
            return make_error(ErrorCode::format, {"the user state remembers ", state.memory_rows(), " events of ",
                                                  state.memory_width, " values, which is not what the model's does"});
        User user(model_);
        user.state_ = std::move(state);
        return user;
    }

    /// The k best items for a user. Error mismatch when the catalog or the user belongs to another model.
    [[nodiscard]] Result<Ranking> recommend(const User& user, const Catalog& catalog,
                                            const RecommendOptions& options = {}) const {
        Workspace workspace;
        RANKLET_ASSIGN(const auto ranked, recommend(user, catalog, options, workspace));
        return Ranking{catalog, {ranked.begin(), ranked.end()}};
    }
    /// The same in memory that the caller keeps: the first call sizes it, later ones with the same kind of options
    /// allocate nothing. The result lives in `workspace` until its next use.
    [[nodiscard]] Result<std::span<const Recommendation>> recommend(const User& user, const Catalog& catalog,
                                                                    const RecommendOptions& options,
                                                                    Workspace& workspace) const {
        RANKLET_TRY(options.check(catalog));
        RANKLET_TRY(score(user, catalog, options, workspace));
        RankingBuffers& buffers = workspace.buffers_;
        buffers.filter(catalog, options);
        if (options.exclude_seen)
            for (const Event& event : user.state().events) buffers.remove(catalog.find(event.id));
        buffers.rank(catalog, options);
        return std::span<const Recommendation>(buffers.ranked);
    }

    /// The logits of all items of a catalog, in its order.
    [[nodiscard]] Result<std::vector<float>> scores(const User& user, const Catalog& catalog,
                                                    const RecommendOptions& options = {}) const {
        Workspace workspace;
        RANKLET_TRY(score(user, catalog, options, workspace));
        return std::move(workspace.buffers_.scores);
    }
    /// The logits of these items only, in the order given, the same bits as in scores(); an index may stand twice.
    /// Costs what these candidates cost, whatever the catalog's size. Filters and k have no meaning here. Error
    /// invalid_argument for an index that the catalog lacks.
    [[nodiscard]] Result<std::vector<float>> scores_of(const User& user, const Catalog& catalog,
                                                       std::span<const std::size_t> indices,
                                                       const RecommendOptions& options = {}) const {
        RANKLET_TRY(check(user));
        RANKLET_TRY(check(catalog.data()));
        std::vector<ItemPick> picks;
        for (const std::size_t index : indices) {
            if (index >= catalog.size())
                return make_error(ErrorCode::invalid_argument,
                                  {"candidate ", picks.size(), " is item ", index, " of ", catalog.size()});
            picks.push_back({0, index});
        }
        const CatalogData* source = &catalog.data();
        RANKLET_ASSIGN(CatalogData candidates, gather_items(std::span(&source, 1), picks));
        Workspace workspace;
        RANKLET_TRY(score(user, candidates, picks.size(), options, workspace));
        return std::move(workspace.buffers_.scores);
    }
    /// The same by id. Error missing naming an id that the catalog lacks.
    [[nodiscard]] Result<std::vector<float>> scores_of(const User& user, const Catalog& catalog,
                                                       std::span<const std::string_view> ids,
                                                       const RecommendOptions& options = {}) const {
        std::vector<std::size_t> indices;
        for (const std::string_view id : ids) {
            RANKLET_ASSIGN(const ItemRef item, catalog.at(id));
            indices.push_back(item.index());
        }
        return scores_of(user, catalog, indices, options);
    }
    /// The user's vector [dim], whose dot product with a row of `catalog.output_vectors()`, plus the item's bias, is
    /// the item's score: what a VectorIndex over a large catalog is searched with. Error unsupported when the model's
    /// scoring is not a dot product (next_event, text_gru).
    [[nodiscard]] Result<std::vector<float>> user_vector(const User& user) const {
        RANKLET_TRY(check(user));
        return visit(model_->decoder, [&](const auto& scorer) -> Result<std::vector<float>> {
            using Scorer = std::remove_cvref_t<decltype(scorer)>;
            if constexpr (std::is_same_v<Scorer, DotProduct> || is_tower<Scorer>) {
                std::vector<float> vector(scorer.shared_size());
                Scratch scratch;
                RANKLET_TRY(scratch.reserve(scorer.begin_scratch_size()));
                if constexpr (is_tower<Scorer>)
                    scorer.begin(user.state(), vector.data(), scratch);
                else
                    scorer.begin(std::span<const float>(user.state().hidden), vector.data(), scratch);
                return vector;
            } else {
                return Error{ErrorCode::unsupported, "this model's scores are not dot products with a user's vector"};
            }
        });
    }
    /// text_gru: the score after each token of a text [length], from the user's state.
    [[nodiscard]] Result<std::vector<float>> position_scores(const User& user, std::string_view text,
                                                             const BatchOptions& options = {}) const {
        RANKLET_TRY(check(user));
        const TextGru* scorer = as<TextGru>(model_->decoder);
        if (scorer == nullptr || bert() == nullptr)
            return Error{ErrorCode::unsupported, "scores per position exist in text_gru models only"};
        RANKLET_ASSIGN(const Matrix projected, project_tokens(*bert(), *scorer, text, options));
        std::vector<float> state = user.state().hidden, result(projected.rows());
        Scratch scratch;
        RANKLET_TRY(scratch.reserve(scorer->run_scratch_size()));
        scorer->run(state, projected.view(), result.data(), scratch);
        return result;
    }

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
    RANKLET_COLD static Result<Matrix> copy(const Matrix& source) {
        RANKLET_ASSIGN(Matrix result, Matrix::zeroed(source.rows(), source.cols()));
        std::copy_n(source.view().data, source.rows() * source.cols(), result.view().data);
        return result;
    }

    RANKLET_COLD static Result<Encoder> load_encoder(const GgufFile& file, const BertDefaults& defaults) {
        RANKLET_ASSIGN(const auto type, file.string("ranklet.encoder.type"));
        if constexpr (std::is_constructible_v<Encoder, Bert>)
            if (type == "bert") {
                RANKLET_ASSIGN(auto encoder, Bert::from_file(file, defaults));
                return Encoder(std::move(encoder));
            }
        if constexpr (std::is_constructible_v<Encoder, WordVectors>)
            if (type == "word_vectors") {
                RANKLET_ASSIGN(auto encoder, WordVectors::from_file(file));
                return Encoder(std::move(encoder));
            }
        if constexpr (std::is_constructible_v<Encoder, NewsEncoder>)
            if (type == "news") {
                RANKLET_ASSIGN(auto encoder, NewsEncoder::from_file(file));
                return Encoder(std::move(encoder));
            }
        if constexpr (std::is_constructible_v<Encoder, ItemTable>)
            if (type == "items") {
                RANKLET_ASSIGN(auto encoder, ItemTable::load(file));
                return Encoder(std::move(encoder));
            }
        return make_error(ErrorCode::unsupported,
                          {file.name(), ": ranklet.encoder.type \"", type, "\" is not one this program reads"});
    }
    RANKLET_COLD static Result<Decoder> load_decoder(const GgufFile& file, const Encoder& encoder) {
        RANKLET_ASSIGN(const auto scoring, file.string("ranklet.recommender.scoring"));
        const std::size_t dim = visit(encoder, [](const auto& e) { return output_dim(e); });
        if constexpr (std::is_constructible_v<Decoder, DotProduct>)
            if (scoring == "dot_product") {
                RANKLET_ASSIGN(auto decoder, DotProduct::load(file, dim));
                return Decoder(std::move(decoder));
            }
        if constexpr (std::is_constructible_v<Decoder, NextEvent>)
            if (scoring == "next_event") {
                RANKLET_ASSIGN(auto decoder, NextEvent::load(file));
                return Decoder(std::move(decoder));
            }
        if constexpr (std::is_constructible_v<Decoder, TextGru>)
            if (scoring == "text_gru") {
                RANKLET_ASSIGN(auto decoder, TextGru::load(file));
                return Decoder(std::move(decoder));
            }
        if constexpr (std::is_constructible_v<Decoder, UserTower>)
            if (scoring == "user_tower") {
                const std::size_t in = visit(encoder, [](const auto& e) { return e.dim(); });
                RANKLET_ASSIGN(auto decoder, UserTower::load(file, in, dim));
                return Decoder(std::move(decoder));
            }
        return make_error(ErrorCode::unsupported, {file.name(), ": ranklet.recommender.scoring \"", scoring,
                                                   "\" is not one this program reads"});
    }
    template <TextEncoder E>
    static std::size_t output_dim(const E& encoder) noexcept {
        return encoder.dim();
    }
    static std::size_t output_dim(const ItemTable& table) noexcept {
        return table.outputs.empty() ? table.vectors.cols() : table.outputs.cols();
    }

    Result<void> check_sizes(const GgufFile& file) const {
        const std::size_t in = event_size(*model_);
        if (model_->text_gru && bert() == nullptr)
            return make_error(ErrorCode::format, {file.name(), ": text_gru needs BERT's token states"});
        const std::size_t fed =
            model_->text_gru ? bert()->hidden() : visit(model_->encoder, [](const auto& e) { return e.dim(); });
        if (in != fed)
            return make_error(ErrorCode::format,
                              {file.name(), ": ranklet.gru.input_size is ", in, ", the encoder gives ", fed});
        return {};
    }

    Result<void> check(const User& user) const {
        if (user.model_ == nullptr)
            return Error{ErrorCode::invalid_argument, "the user has no state: it was moved from"};
        if (user.model_ != model_ && user.state().model != fingerprint())
            return Error{ErrorCode::mismatch, "the user belongs to another model"};
        if (user.state().hidden.size() != state_size(*model_))
            return Error{ErrorCode::invalid_argument, "the user has no state: it was moved from"};
        return {};
    }
    Result<void> check(const CatalogData& catalog) const {
        if (catalog.model != fingerprint()) return Error{ErrorCode::mismatch, "the catalog was made by another model"};
        return check_shapes(*model_, catalog);
    }
    // A catalog that the caller put together (Catalog::create) may lack what this model's decoder reads.
    static Result<void> check_shapes(const Model& model, const CatalogData& data) {
        const bool fit =
            data.ids.empty() || visit(model.decoder, [&](const auto& scorer) {
                using Scorer = std::remove_cvref_t<decltype(scorer)>;
                if constexpr (std::is_same_v<Scorer, TextGru>) {
                    return data.projected.cols() == catalog_width(model) && !data.token_offsets.empty();
                } else {
                    if (data.vectors.cols() != event_size(model) || !data.token_offsets.empty()) return false;
                    if constexpr (std::is_same_v<Scorer, DotProduct> || is_tower<Scorer>)
                        return (data.outputs.empty() ? data.vectors : data.outputs).cols() == scorer.shared_size();
                    else
                        return data.projected.cols() == 3 * scorer.decoder().gru().hidden();
                }
            });
        if (fit) return {};
        return Error{ErrorCode::mismatch, "the catalog's parts are not those that the model's scoring reads"};
    }

    // Everything of the decoder that depends on the item alone.
    Result<Catalog> finish_catalog(CatalogData data, std::size_t threads) const {
        data.model = fingerprint();
        if (const auto* scorer = as<NextEvent>(model_->decoder)) {
            RANKLET_ASSIGN(data.projected, project(*scorer, data.vectors.view(), threads));
        }
        if (model_->text_gru) {  // from the zero state, an item's score is its own
            Workspace workspace;
            UserState zero;
            zero.hidden.assign(state_size(*model_), 0.0f);
            RANKLET_TRY(score_from(zero, data, data.ids.size(), threads, workspace));
            data.initial_scores = std::move(workspace.buffers_.scores);
        }
        return Catalog::create(std::move(data));
    }

    template <class Scorer>
    static Result<Matrix> project(const Scorer& scorer, MatrixView<const float> vectors, std::size_t threads) {
        const Gru<>& bottom = scorer.decoder().gru().layers().front();
        RANKLET_ASSIGN(Matrix projected, Matrix::zeroed(vectors.rows, 3 * bottom.hidden()));
        constexpr std::size_t rows = 256;
        parallel_for((vectors.rows + rows - 1) / rows, resolve_threads(threads), [&](std::size_t piece, std::size_t) {
            const std::size_t first = piece * rows, count = std::min(rows, vectors.rows - first);
            bottom.project_input(vectors.middle_rows(first, count), projected.view().middle_rows(first, count));
        });
        return projected;
    }

    static Result<Matrix> project_tokens(const Bert& encoder, const TextGru& scorer, std::string_view text,
                                         const BatchOptions& options) {
        RANKLET_ASSIGN(const Matrix states, encoder.encode_tokens(text, options));
        return project(scorer, states.view(), 1);
    }

    Result<void> encode_items(std::span<const std::string_view> texts, const BatchOptions& options,
                              CatalogData& data) const {
        if constexpr (std::is_constructible_v<Encoder, Bert> && std::is_constructible_v<Decoder, TextGru>)
            if (model_->text_gru) return encode_tokens(texts, options, data);
        RANKLET_ASSIGN(data.vectors, encode_texts(*model_, texts, options));
        return {};
    }
    // A news encoder's views: the item's text as "title", string attributes and vectors by their names.
    RANKLET_COLD Result<void> encode_news(std::span<const Item> items, const BatchOptions& options,
                                          CatalogData& data) const {
        const NewsEncoder& encoder = *news_encoder();
        const std::size_t views = encoder.view_count();
        std::vector<ViewInput> inputs(items.size() * views);
        for (std::size_t i = 0; i < items.size(); ++i) {
            const auto wrong = [&](std::string_view name, const char* what) {
                return make_error(ErrorCode::invalid_argument, {"item \"", items[i].id, "\": \"", name, "\" ", what});
            };
            ViewInput* own = inputs.data() + i * views;
            const std::size_t title = encoder.find_view("title");
            if (title < views) own[title].text = items[i].text;
            for (const Attribute& attribute : items[i].attributes) {
                const std::size_t v = encoder.find_view(attribute.name);
                if (v == views || v == title || encoder.view_kind(v) == NewsEncoder::ViewKind::vector) continue;
                const auto* text = std::get_if<std::string_view>(&attribute.value);
                if (text == nullptr) return wrong(attribute.name, "is read by the model and has to be one string");
                own[v].text = *text;
            }
            for (const ItemVector& vector : items[i].vectors) {
                const std::size_t v = encoder.find_view(vector.name);
                if (v == views || encoder.view_kind(v) != NewsEncoder::ViewKind::vector)
                    return wrong(vector.name, "is no vector that the model reads");
                if (vector.values.size() != encoder.view_size(v))
                    return wrong(vector.name, "is a vector of another size than the model's");
                own[v].vector = vector.values;
            }
        }
        RANKLET_ASSIGN(data.vectors, encoder.encode_inputs(inputs, options));
        return {};
    }
    // The vectors [texts, dim]. Error unsupported when the model has no text encoder.
    static Result<Matrix> encode_texts(const Model& model, std::span<const std::string_view> texts,
                                       const BatchOptions& options) {
        Result<Matrix> vectors = no_text();
        with_text_encoder(model.encoder, [&](const auto& encoder) { vectors = encoder.encode(texts, options); });
        return vectors;
    }

    // The encoder counts texts; who gave items wants the id.
    [[nodiscard]] RANKLET_COLD static Error name_item(std::span<const Item> items, const Error& error) {
        for (const Item& item : items)
            if (error.code == ErrorCode::invalid_text && utf8::valid_prefix(item.text) < item.text.size())
                return make_error(error.code, {"item \"", item.id, "\": ", error.message});
        return error;
    }

    // text_gru keeps the GRU's input part of every token of every item.
    Result<void> encode_tokens(std::span<const std::string_view> texts, const BatchOptions& options,
                               CatalogData& data) const {
        const TextGru& scorer = *as<TextGru>(model_->decoder);
        std::vector<Matrix> parts(texts.size());
        std::vector<std::optional<Error>> errors(texts.size());
        RANKLET_TRY(bert()->for_each_text(texts, options, [&](std::size_t t, MatrixView<const float> states, Scratch&) {
            auto part = project(scorer, states, 1);
            if (part.ok())
                parts[t] = std::move(*part);
            else
                errors[t] = part.error();
        }));
        data.token_offsets.assign(1, 0);
        for (std::size_t t = 0; t < parts.size(); ++t) {
            if (errors[t]) return *errors[t];
            data.token_offsets.push_back(data.token_offsets.back() + parts[t].rows());
        }
        const std::size_t width = 3 * scorer.decoder().gru().hidden();
        RANKLET_ASSIGN(data.projected, Matrix::zeroed(data.token_offsets.back(), width));
        for (std::size_t t = 0; t < parts.size(); ++t)
            std::copy_n(parts[t].view().data, parts[t].rows() * width,
                        data.projected.view().data + data.token_offsets[t] * width);
        return {};
    }

    Result<void> score(const User& user, const Catalog& catalog, const RecommendOptions& options,
                       Workspace& workspace) const {
        RANKLET_TRY(check(user));
        RANKLET_TRY(check(catalog.data()));
        return score(user, catalog.data(), catalog.size(), options, workspace);
    }
    // `n` items, which need no ids. Precondition: check() of both.
    Result<void> score(const User& user, const CatalogData& data, std::size_t n, const RecommendOptions& options,
                       Workspace& workspace) const {
        const UserState& state = user.state();
        const bool from_zero = options.initial_state == InitialState::zero ||
                               std::all_of(state.hidden.begin(), state.hidden.end(), [](float h) { return h == 0.0f; });
        if (!model_->text_gru || !from_zero) return score_from(state, data, n, options.threads, workspace);
        if (data.initial_scores.size() == n && n > 0)
            return score_from(state, data, n, options.threads, workspace, data.initial_scores);
        UserState zero;  // a catalog that the caller put together may lack these scores
        zero.hidden.assign(state_size(*model_), 0.0f);
        return score_from(zero, data, n, options.threads, workspace);
    }

    // `known`: the scores, where they are known already; the workspace is sized all the same, for the next call.
    Result<void> score_from(const UserState& state, const CatalogData& data, std::size_t n, std::size_t max_threads,
                            Workspace& workspace, std::span<const float> known = {}) const {
        return visit(model_->decoder, [&](const auto& scorer) -> Result<void> {
            const CandidateView candidates{data.outputs.empty() ? data.vectors.view() : data.outputs.view(), data.bias,
                                           data.projected.view(), data.token_offsets};
            const std::size_t piece = scorer.piece, pieces = (n + piece - 1) / piece;
            const std::size_t threads = std::min(resolve_threads(max_threads), std::max<std::size_t>(pieces, 1));
            workspace.buffers_.scores.resize(n);
            workspace.shared_.resize(scorer.shared_size());
            if (workspace.scratch_.size() < threads) workspace.scratch_.resize(threads);
            for (Scratch& scratch : workspace.scratch_)
                RANKLET_TRY(scratch.reserve(std::max(scorer.begin_scratch_size(), scorer.score_scratch_size())));
            if (!known.empty()) {
                std::copy(known.begin(), known.end(), workspace.buffers_.scores.begin());
                return {};
            }
            if constexpr (is_tower<decltype(scorer)>)
                scorer.begin(state, workspace.shared_.data(), workspace.scratch_[0]);
            else
                scorer.begin(std::span<const float>(state.hidden), workspace.shared_.data(), workspace.scratch_[0]);
            parallel_for(pieces, threads, [&](std::size_t p, std::size_t thread) {
                const IndexRange range{p * piece, std::min(n, (p + 1) * piece)};
                scorer.score(std::span<const float>(state.hidden), workspace.shared_.data(), candidates, range,
                             workspace.buffers_.scores.data() + range.first, workspace.scratch_[thread]);
            });
            return {};
        });
    }

    // The file's own texts, events and expected numbers against what this build computes.
    RANKLET_COLD Result<void> self_test(const GgufFile& file) const {
        if (!file.has("ranklet.selftest.tolerance"))
            return make_error(ErrorCode::missing,
                              {file.name(), ": no self-test (LoadOptions::self_test = false loads it)"});
        Catalog catalog;
        Result<void> encoder_test;
        const bool encodes = with_text_encoder(model_->encoder, [&](const auto& encoder) {
            if constexpr (requires { encoder.self_test(file); }) encoder_test = encoder.self_test(file);
        });
        RANKLET_TRY(encoder_test);
        if (const NewsEncoder* news = news_encoder()) {
            RANKLET_ASSIGN(const auto inputs, news->self_test_inputs(file));
            CatalogData data;
            RANKLET_ASSIGN(data.vectors, news->encode_inputs(inputs));
            for (std::size_t i = 0; i < data.vectors.rows(); ++i) data.ids.push_back(std::to_string(i));
            RANKLET_ASSIGN(catalog, finish_catalog(std::move(data), 1));
        } else if (encodes) {
            RANKLET_ASSIGN(const auto texts, file.strings("ranklet.selftest.texts"));
            std::vector<std::string> ids;
            for (std::size_t i = 0; i < texts.size(); ++i) ids.push_back(std::to_string(i));
            std::vector<Item> items;
            for (std::size_t i = 0; i < texts.size(); ++i) items.push_back({ids[i], texts[i]});
            BatchOptions batch;
            batch.prompt = "";
            RANKLET_ASSIGN(catalog, encode_catalog(items, batch));
        } else {
            RANKLET_ASSIGN(catalog, this->items());
        }
        RANKLET_ASSIGN(const auto history, file.i32s("ranklet.selftest.history"));
        std::vector<float> ratings(history.size(), no_rating);
        if (file.has("ranklet.selftest.ratings")) {
            RANKLET_ASSIGN(ratings, file.floats("ranklet.selftest.ratings"));
        }
        if (ratings.size() != history.size())
            return make_error(ErrorCode::format,
                              {file.name(), ": ranklet.selftest.ratings and .history differ in length"});
        std::string_view id;
        if (file.has("ranklet.selftest.user")) {
            RANKLET_ASSIGN(id, file.string("ranklet.selftest.user"));
        }
        User user = new_user(id);
        for (std::size_t e = 0; e < history.size(); ++e) {
            if (history[e] < 0 || static_cast<std::size_t>(history[e]) >= catalog.size())
                return make_error(ErrorCode::format, {file.name(), ": ranklet.selftest.history names item ", history[e],
                                                      " of ", catalog.size()});
            const auto status = user.observe(catalog[static_cast<std::size_t>(history[e])], ratings[e]);
            if (!status.ok())
                return make_error(ErrorCode::self_test, {file.name(), ": self-test failed: ranklet.selftest.history[",
                                                         e, "]: ", status.error().message});
        }
        RANKLET_ASSIGN(const auto expected, file.floats("ranklet.selftest.scores"));
        RANKLET_ASSIGN(const auto found, scores(user, catalog));
        return compare_self_test(file, "ranklet.selftest.scores", expected, found);
    }

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

    [[nodiscard]] const UserState& state() const noexcept { return state_; }
    [[nodiscard]] std::span<const Event> events() const noexcept { return state_.events; }
    [[nodiscard]] std::vector<std::byte> save() const { return state_.save(); }

    /// Forgets all events, not who the user is (new_user's id).
    void reset() {
        if (const UserTower* tower = as<UserTower>(model_->decoder))
            tower->begin_user(state_);
        else
            state_.hidden.assign(state_size(*model_), 0.0f);
        state_.events.clear();
        state_.model = model_->fingerprint;
    }

    /// The user met an item: one GRU step (text_gru: one a token), whatever the history's length. A model without
    /// ratings remembers the rating and computes without it. Error mismatch when the item is of another model's
    /// catalog, invalid_argument when the rating is infinite (no_rating, the default, is fine) or so large that the
    /// state would not be finite. With an error the user stays as before.
    [[nodiscard]] Result<void> observe(const ItemRef& item, float rating = no_rating) {
        if (item.data().model != model_->fingerprint)
            return make_error(ErrorCode::mismatch, {"item \"", item.id(), "\" is of another model's catalog"});
        RANKLET_TRY(check_shapes(*model_, item.data()));
        RANKLET_TRY(check_rating(rating));
        const std::size_t i = item.index();
        if (const TextGru* scorer = as<TextGru>(model_->decoder)) {
            const auto& offsets = item.data().token_offsets;
            RANKLET_TRY(
                run(*scorer, item.data().projected.view().middle_rows(offsets[i], offsets[i + 1] - offsets[i])));
        } else {
            RANKLET_TRY(advance(item.vector(), rating));
        }
        state_.events.push_back({std::string(item.id()), rating});
        return {};
    }
    /// Straight from `catalog.at(id)`: its error, if it is one, comes back.
    [[nodiscard]] Result<void> observe(const Result<ItemRef>& item, float rating = no_rating) {
        if (!item.ok()) return item.error();
        return observe(*item, rating);
    }
    /// The user met a text from outside any catalog: a query, say. Recorded as an event without an id.
    [[nodiscard]] Result<void> observe_text(std::string_view text, float rating = no_rating,
                                            const BatchOptions& options = {}) {
        RANKLET_TRY(check_rating(rating));
        if (const TextGru* scorer = as<TextGru>(model_->decoder)) {
            const Bert* encoder = as<Bert>(model_->encoder);
            if (encoder == nullptr) return no_text();
            RANKLET_ASSIGN(const Matrix projected, project_tokens(*encoder, *scorer, text, options));
            RANKLET_TRY(run(*scorer, projected.view()));
        } else {
            RANKLET_ASSIGN(const Matrix vector, encode_texts(*model_, std::span(&text, 1), options));
            RANKLET_TRY(advance(vector.row(0), rating));
        }
        state_.events.push_back({std::string(), rating});
        return {};
    }

private:
    friend class BasicRecommender;
    explicit User(ModelPointer model) : model_(std::move(model)) {}

    RANKLET_COLD static Result<void> check_rating(float rating) {
        if (std::isinf(rating)) return Error{ErrorCode::invalid_argument, "a rating must not be infinite"};
        return {};
    }
    Result<void> advance(std::span<const float> vector, float rating) {
        return visit(model_->decoder, [&](const auto& scorer) -> Result<void> {
            if constexpr (is_tower<decltype(scorer)>) {
                scorer.make_room(state_);
                RANKLET_TRY(scratch_.reserve(scorer.advance_scratch_size()));
                if (scorer.advance(state_, vector.data(), rating, scratch_)) return {};
                return not_finite();
            } else {
                const GruDecoder& decoder = scorer.decoder();
                return step(decoder.advance_scratch_size(),
                            [&] { decoder.advance(state_.hidden, vector.data(), rating, scratch_); });
            }
        });
    }
    RANKLET_COLD static Error not_finite() {
        return Error{ErrorCode::invalid_argument,
                     "the event's numbers are not finite: a rating that is too large, or a damaged model"};
    }
    Result<void> run(const TextGru& scorer, MatrixView<const float> projected) {
        return step(scorer.run_scratch_size(), [&] { scorer.run(state_.hidden, projected, nullptr, scratch_); });
    }
    // A NaN in the state would stay there and empty every later ranking: such a step is taken back.
    template <class Function>
    Result<void> step(std::size_t scratch_size, const Function& function) {
        auto& hidden = state_.hidden;
        RANKLET_TRY(scratch_.reserve(scratch_size + scratch_bytes<float>(hidden.size())));
        const ScratchFrame frame(scratch_);
        float* before = scratch_.take<float>(hidden.size());
        std::copy(hidden.begin(), hidden.end(), before);
        function();
        if (std::all_of(hidden.begin(), hidden.end(), [](float h) { return std::isfinite(h); })) return {};
        std::copy_n(before, hidden.size(), hidden.begin());
        return not_finite();
    }

    ModelPointer model_;
    UserState state_;
    Scratch scratch_;
};

/// A recommender of whatever kind the model file is.
using Recommender = BasicRecommender<AnyEncoder, AnyDecoder>;

RANKLET_NAMESPACE_END
