// Recommender: an encoder and a decoder from one model file; the composition that applications use.
// In: items (id, text) and a user's events. Out: ranked items with scores and probabilities.
// Which kinds of encoder and decoder they are, the file says; this class knows their interfaces alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ranklet/catalog/catalog.hpp"
#include "ranklet/catalog/file.hpp"
#include "ranklet/catalog/item.hpp"
#include "ranklet/catalog/update.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/text_list.hpp"
#include "ranklet/decoders/decoder.hpp"
#include "ranklet/decoders/user_state.hpp"
#include "ranklet/encoders/item_encoder.hpp"
#include "ranklet/encoders/options.hpp"
#include "ranklet/model_file/load.hpp"
#include "ranklet/ranking/recommendation.hpp"
#include "ranklet/recommender/kind.hpp"

RANKLET_NAMESPACE_BEGIN

/// How items are scored.
struct ScoreOptions {
    Threads threads = 1;
    InitialState initial_state = InitialState::user;
};

/// Immutable once loaded; any number of threads may use one. Copies share the model. One that was made by default or
/// moved from is empty: what returns a Result is an Error invalid_argument, sizes are 0, and nothing encodes text.
class Recommender : public Loadable<Recommender> {
    struct Model {
        std::shared_ptr<const ItemEncoder> encoder;
        std::shared_ptr<const ItemEncoder> queries;  // of texts from the user's side; null: `encoder`
        std::shared_ptr<const Decoder> decoder;
        std::uint64_t fingerprint = 0;
        std::uint64_t items_fingerprint = 0;
        std::uint64_t without_queries = 0;  // the fingerprint without with_queries()
        std::string name = {};              // the file's, for errors
        bool ranks_as_file_says = true;     // otherwise as the load options say
    };
    using ModelPointer = std::shared_ptr<const Model>;

public:
    class User;

    /// Memory of recommend(), reused by the next call of the same thread.
    class Workspace {
        friend class Recommender;
        detail::RankingBuffers buffers_;
        std::vector<float> query_;
        std::vector<Scratch> scratch_;
    };

    // load(path), from_file(file), from_memory(bytes) are Loadable's: any of the library's kinds, and of options.kinds.
    using Loadable<Recommender>::load;
    /// The same for a program that names its kinds: `Recommender::load<Bert, DotProduct>(path)` links those alone. Error
    /// unsupported when the file is of another kind.
    template <class First, class... Rest>
    RANKLET_COLD static Result<Recommender> load(const std::string& path,
                                                 const LoadOptions& options = {}) RANKLET_MEMORY_TRY {
        static constexpr const Kind* kinds[] = {&kind<First>, &kind<Rest>...};
        RANKLET_ASSIGN(const GgufFile file, GgufFile::open(path));
        return detail::load_model<Recommender>(
            file, options, [&](const ModelReader& reader) { return read_as(reader, options, kinds); });
    }
    RANKLET_MEMORY_CATCH
    RANKLET_COLD static Result<Recommender> read(const ModelReader& reader, const LoadOptions& options);
    /// The file's texts, events and expected numbers against what this build computes.
    RANKLET_COLD Result<void> self_test(const ModelReader& reader) const;
    /// What this build gives for the file's self-test events: what `ranklet.selftest.scores` should hold, for who writes
    /// a model file.
    RANKLET_COLD Result<std::vector<float>> self_test_scores(const ModelReader& reader) const;

    const ItemEncoder& encoder() const noexcept { return *model().encoder; }
    const Decoder& decoder() const noexcept { return *model().decoder; }
    /// The encoder or decoder as its own class, for what only that class offers: `model.as<Bert>()->tokenizer()`. Null
    /// when it is of another.
    template <class Class>
    const Class* as() const noexcept {
        if constexpr (std::is_base_of_v<ItemEncoder, Class>)
            return encoder().kind() == kind_id<Class> ? static_cast<const Class*>(&encoder()) : nullptr;
        else
            return decoder().kind() == kind_id<Class> ? static_cast<const Class*>(&decoder()) : nullptr;
    }
    /// Identifies the model file and what LoadOptions put in place of its numbers; user states carry it.
    std::uint64_t fingerprint() const noexcept { return model().fingerprint; }
    /// Identifies what makes the items' vectors; catalogs carry it. The file's own, unless the file says that it was made of
    /// an encoder's (`fit` writes so): then that one's, and catalogs of both, and of all made of it, fit each other.
    std::uint64_t items_fingerprint() const noexcept { return model().items_fingerprint; }
    /// A copy whose users' texts (encode_query, User::observe_text) are read by the encoder of `queries`, while items stay with
    /// its own: two models that were trained together, the routes of a Router. A decoder of `queries` is not used. Catalogs
    /// stay good; users' states belong to the pair. `queries` may be the model itself: users' texts then get its prompt for
    /// queries. In a copy that has another already, this one takes its place. Errors name the files: mismatch when the two give
    /// vectors of different sizes; unsupported when one of them reads no texts, or the decoder reads the states of tokens.
    RANKLET_COLD Result<Recommender> with_queries(const Recommender& queries) const;
    /// Whether with_queries() made it.
    bool has_queries() const noexcept { return model().queries != nullptr; }
    /// What reads texts of the user's side: encoder(), or that of with_queries().
    const ItemEncoder& query_encoder() const noexcept { return has_queries() ? *model().queries : encoder(); }
    /// Whether items are the host's, with texts (of any encoder); otherwise they are the model's own.
    bool encodes_text() const noexcept { return encoder().encodes_items(); }

    /// The vector [dim] of a text. Error unsupported when the model has no text encoder.
    Result<std::vector<float>> encode(std::string_view text, const BatchOptions& options = {}) const;
    /// The vector [dim] of what somebody searches for, to compare with items' vectors: by query_encoder(), and with the
    /// prompt "query" where its file has one and the options name none; otherwise as encode() does.
    Result<std::vector<float>> encode_query(std::string_view text, const BatchOptions& options = {}) const;

    /// Items to a catalog: their texts through the encoder and all of the decoder that depends on the item alone.
    /// Error when an id is empty or stands twice, a text is not UTF-8, or an attribute is not as AttributeBuilder wants
    /// it (naming the item; Error::input is its place in `items`); stopped or deadline, when the options say so.
    /// BatchOptions::read tells which items were cut, an entry for each.
    Result<Catalog> encode_catalog(std::span<const Item> items, const BatchOptions& options = {}) const;
    /// A catalog of what was encoded before, by this model's encoder: `ids` and `vectors` (or the decoder's parts, for a
    /// model that reads token states), and whatever else there is; the parts that are missing are computed here.
    /// Error invalid_argument when there is not a row for each item, or a number is not finite; mismatch when the rows
    /// are not of the model's size.
    Result<Catalog> make_catalog(CatalogData data, Threads threads = 1) const;
    /// A catalog that save_catalog wrote, of this model or of one with the same encoder, with the model file's own signals.
    /// Errors as load_catalog's; mismatch when it lacks what this model's decoder reads.
    RANKLET_COLD Result<Catalog> load_catalog(const std::string& path, const CatalogLoadOptions& options = {}) const;
    /// The model's own items. Error unsupported when it encodes the host's instead.
    Result<Catalog> items() const;

    /// A user without events. `id`: the user's own in a model file that knows users; one that it does not know starts
    /// from the zero vector, as everybody does in other models.
    User new_user(std::string_view id = {}, const UserOptions& options = {}) const;
    /// A user from a saved state, UserOptions included. Error format when the bytes are damaged or hold numbers that no
    /// events lead to (a GRU's state beyond 1, say), mismatch when another model made them.
    Result<User> load_user(std::span<const std::byte> bytes) const;
    Result<User> load_user(UserState state) const;
    /// A user of another model, of last night's, say: the events that the state remembers, met again in this model, with the
    /// same id and limit. Events from texts, and those whose items the catalog lacks, are passed over; `passed_over`, where
    /// it is given, is told how many, those that the state itself had forgotten included.
    RANKLET_COLD Result<User> replay_user(const UserState& state, const Catalog& catalog,
                                          std::uint64_t* passed_over = nullptr) const;

    /// The k best items for a user. Error mismatch when the catalog or the user belongs to another model,
    /// invalid_argument when numbers are so large that the user has no vector or no candidate a score.
    Result<Ranking> recommend(const User& user, const Catalog& catalog, const RecommendOptions& options = {}) const;
    /// The same in memory that the caller keeps: the first call sizes it, later ones with the same kind of options
    /// allocate nothing. The result lives in `workspace` until its next use.
    Result<std::span<const Recommendation>> recommend(const User& user, const Catalog& catalog,
                                                      const RecommendOptions& options, Workspace& workspace) const;

    /// What goes with these items, for an item's page or a basket: the best for somebody who has met them alone, in this
    /// order, the last one counting most. They are left out themselves. What likeness means is the model's affair: by text
    /// (an encoder alone), by what follows what, or both (LoadOptions::blend). Error missing naming an id that the catalog
    /// lacks, invalid_argument for none at all; otherwise as recommend.
    Result<Ranking> similar(TextList ids, const Catalog& catalog, const RecommendOptions& options = {}) const;
    Result<Ranking> similar(std::string_view id, const Catalog& catalog, const RecommendOptions& options = {}) const {
        return similar(TextList(&id, 1), catalog, options);
    }

    /// The logits of all items of a catalog, in its order.
    Result<std::vector<float>> scores(const User& user, const Catalog& catalog, const ScoreOptions& options = {}) const;
    /// The logits of these items only, in the order given, the same bits as in scores(); an index may stand twice.
    /// Costs what these candidates cost, whatever the catalog's size.
    /// Error invalid_argument for an index that the catalog lacks.
    Result<std::vector<float>> scores_of(const User& user, const Catalog& catalog, std::span<const std::size_t> indices,
                                         const ScoreOptions& options = {}) const;
    /// The same by id. Error missing naming an id that the catalog lacks.
    Result<std::vector<float>> scores_of(const User& user, const Catalog& catalog, TextList ids,
                                         const ScoreOptions& options = {}) const;
    /// The user's vector [dim], whose dot product with a row of `catalog.output_vectors()`, plus the item's bias, is
    /// the item's score: what a VectorIndex over a large catalog is searched with. Error unsupported when the model's
    /// scores are no dot products.
    Result<std::vector<float>> user_vector(const User& user) const;
    /// The same for a catalog whose items the vector depends on (a history less the catalog's mean): a score is its dot
    /// product with a row of that catalog.
    Result<std::vector<float>> user_vector(const User& user, const Catalog& catalog) const;

private:
    const Model& model() const noexcept { return model_ != nullptr ? *model_ : no_model(); }
    RANKLET_COLD static const Model& no_model() noexcept;
    RANKLET_COLD static Result<Recommender> read_as(const ModelReader& reader, const LoadOptions& options,
                                                    std::span<const Kind* const> kinds);
    RANKLET_COLD static Result<void> check_rating(float rating);
    static Result<void> check_query(std::span<const float> query);
    Result<void> check(const User& user) const;
    Result<void> check(const CatalogData& catalog, const BoundSignals* signals) const;
    static Result<void> check_items(const Model& model, const CatalogData& data);

    // Rows of items by one of the model's encoders, in the decoder's form, prepared for `use`. An error says which item by
    // Error::input.
    static Result<CatalogData> encode(const Model& model, const ItemEncoder& encoder, std::span<const Item> items,
                                      ItemUse use, const BatchOptions& options);
    Result<Catalog> finish_catalog(CatalogData data, Threads threads) const;

    Result<std::vector<float>> vector_for(const User& user, const CatalogData& items) const;
    // The scores of all of `data` into the workspace. Precondition: both were checked.
    Result<void> score(const User& user, const CatalogData& data, const BoundSignals* signals,
                       const ScoreOptions& options, Workspace& workspace) const;

    ModelPointer model_;
};

/// A user of a model: a state that goes on with each event. A value: copies go on independently. Holds its model.
/// One that was moved from, or made by an empty model, meets nothing: what returns a Result is an Error.
class Recommender::User {
public:
    User(const User& other) : model_(other.model_), state_(other.state_) {}
    User& operator=(const User& other) {
        User copy(other);  // whole, before anything here changes
        model_ = std::move(copy.model_);
        state_ = std::move(copy.state_);
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

    /// The user met an item: one step of the decoder, whatever the history's length. A model without ratings remembers
    /// the rating and computes without it. NaN is no_rating, the default. Error mismatch when the item is of another
    /// model's catalog, invalid_argument when the rating is infinite or so large that the state would not be finite (where
    /// the model multiplies by it). Where the model has an embedding for each rating the nearest counts, beyond its range
    /// that of the lowest or highest rating.
    /// `time`, in seconds since 1970, is remembered with the event, for RecommendOptions::seen_again_after; it has no
    /// influence on scores. Error invalid_argument when it is infinite.
    /// With an error the user stays as before.
    Result<void> observe(const ItemRef& item, float rating = no_rating, double time = no_time);
    /// Straight from `catalog.at(id)`: its error, if it is one, comes back.
    Result<void> observe(const Result<ItemRef>& item, float rating = no_rating, double time = no_time);
    /// The user met a text from outside any catalog: a query, say. Recorded as an event without an id. It is read as an item
    /// would be, in a model with_queries() as encode_query does.
    Result<void> observe_text(std::string_view text, float rating = no_rating, const BatchOptions& options = {});

private:
    friend class Recommender;
    explicit User(ModelPointer model) : model_(std::move(model)) {}
    Result<void> step(const CatalogData& items, std::size_t index, std::string_view id, float rating,
                      double time = no_time);

    ModelPointer model_;
    UserState state_;
    Scratch scratch_;
};

/// The catalog with the changes, as a new snapshot: what encoding all its items from scratch would give, bit for bit;
/// only new and replaced items are encoded. Signals go over to it. `options` (prompt, threads, windows) as for
/// encode_catalog; prompt and windows should be those of the rest; `read` has an entry for each item that is encoded: the replaced ones, then the new ones.
/// Texts are kept where `catalog` keeps them (keep_texts counts for an empty one). Filters of the old snapshot do not fit
/// the new one; users go on, their events are remembered by id.
/// Error invalid_argument naming an id that is to be added and is there already, or that stands twice in the changes;
/// missing naming one that is to be replaced or removed and is not there; mismatch when the catalog is of another
/// model; unsupported when items are to be encoded and the model has no text encoder; otherwise as encode_catalog.
Result<Catalog> update_catalog(const Recommender& model, const Catalog& catalog, const CatalogChanges& changes,
                               const BatchOptions& options = {});

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <system_error>

#include "ranklet/catalog/gather.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/model_file/self_test.hpp"
#include "ranklet/recommender/builtin_kinds.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

RANKLET_FUNC Error empty_recommender() noexcept { return empty_object("the model"); }

/// What is wrong with a catalog that has another fingerprint than the model: one that no model made is empty.
RANKLET_FUNC SharedError not_of_model(const CatalogData& catalog) noexcept {
    if (catalog.model == 0 && catalog.ids.empty()) return empty_object("the catalog");
    return make_error(ErrorCode::mismatch, {"the catalog was made by another model"});
}

/// FNV-1a over eight bytes more.
constexpr std::uint64_t hash_on(std::uint64_t hash, std::uint64_t value) noexcept {
    for (int shift = 0; shift < 64; shift += 8) hash = (hash ^ (value >> shift & 0xFF)) * 1099511628211ull;
    return hash;
}

/// How texts of the user's side are encoded: with the prompt for them, where there is one and the options name none.
RANKLET_COLD RANKLET_FUNC BatchOptions options_of_queries(const ItemEncoder& encoder, const BatchOptions& options) {
    BatchOptions batch = options;
    if (!batch.prompt && encoder.has_prompt("query")) batch.prompt = "query";
    return batch;
}
/// The vector of a text.
RANKLET_COLD RANKLET_FUNC Result<std::vector<float>> encode_text(const ItemEncoder& encoder, std::string_view text,
                                                                 const BatchOptions& options) {
    const Item item{{}, text};
    const auto encoded = encode_checked(encoder, std::span(&item, 1), ItemForm::vector, options);
    if (!encoded.ok()) return encoded.shared_error();
    const auto row = encoded->rows.row(0);
    return std::vector<float>(row.begin(), row.end());
}

/// A file's fingerprint changed by what the options put in place of its numbers: a state of one is none of the other.
RANKLET_COLD RANKLET_FUNC std::uint64_t fingerprint_with(std::uint64_t hash, const LoadOptions& options) {
    const auto add = [&](std::uint64_t value) { hash = hash_on(hash, value); };
    const auto add_number = [&](float value) { add(std::bit_cast<std::uint32_t>(value)); };
    const auto add_rating = [&](const RatingWeight& rating) {
        add_number(rating.neutral);
        add_number(rating.scale);
    };
    add(options.blend.size());
    for (const BlendPart& part : options.blend) {
        add(part.type.size());
        for (const char c : part.type) add(static_cast<unsigned char>(c));
        add_number(part.weight);
    }
    add(options.history ? 1 : 0);
    if (const auto& history = options.history) {
        add_number(history->decay);
        add(history->centre ? 1 : 0);
        add(history->power);
        add(history->events);
        add_rating(history->rating);
    }
    add(options.transitions ? options.transitions->tables.size() + 1 : 0);
    if (const auto& transitions = options.transitions) {
        for (const FollowersTable& table : transitions->tables) {
            add_number(table.weight);
            add_number(table.decay);
            add(table.events);
            add(table.share ? 1 : 0);
        }
        add_number(transitions->floor);
        add_rating(transitions->rating);
    }
    return hash;
}

/// The parts of a recommender that has none.
class NoEncoder final : public ItemEncoder {
public:
    KindId kind() const noexcept override { return kind_id<NoEncoder>; }
    std::size_t dim() const noexcept override { return 0; }
    bool encodes_items() const noexcept override { return false; }
    Result<EncodedItems> encode_items(std::span<const Item>, ItemForm, const BatchOptions&) const override {
        return empty_recommender();
    }
    Result<CatalogData> own_items() const override { return empty_recommender(); }
    Result<void> self_test(const ModelReader&) const override { return empty_recommender(); }
    Result<SelfTestItems> self_test_items(const ModelReader&) const override { return empty_recommender(); }
};
class NoDecoder final : public Decoder {
public:
    KindId kind() const noexcept override { return kind_id<NoDecoder>; }
    Result<void> prepare(CatalogData&, ItemUse, Threads) const override { return empty_recommender(); }
    Result<void> check(const CatalogData&) const override { return empty_recommender(); }
    Result<void> check(const UserState&) const override { return empty_recommender(); }
    void begin_user(UserState&) const override {}
    Result<void> observe(UserState&, const CatalogData&, std::size_t, float, Scratch&) const override {
        return empty_recommender();
    }
    std::size_t piece() const noexcept override { return 1; }
    std::size_t query_size() const noexcept override { return 0; }
    std::size_t scratch_size() const noexcept override { return 0; }
    void begin(const ScoreRequest&, float*, Scratch&) const noexcept override {}
    void score(const ScoreRequest&, const float*, IndexRange, float*, Scratch&) const noexcept override {}
};

}  // namespace detail

RANKLET_FUNC const Recommender::Model& Recommender::no_model() noexcept {
    static const detail::NoEncoder encoder;
    static const detail::NoDecoder decoder;
    static const Model none{
        {std::shared_ptr<const void>(), &encoder}, nullptr, {std::shared_ptr<const void>(), &decoder}};
    return none;
}

RANKLET_FUNC Result<Recommender> Recommender::read(const ModelReader& reader,
                                                   const LoadOptions& options) RANKLET_MEMORY_TRY {
    std::vector<const Kind*> kinds(options.kinds.begin(), options.kinds.end());
    kinds.insert(kinds.end(), builtin_kinds.begin(), builtin_kinds.end());
    return read_as(reader, options, kinds);
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Recommender> Recommender::read_as(const ModelReader& reader, const LoadOptions& options,
                                                      std::span<const Kind* const> kinds) {
    constexpr const char *encoder_key = "ranklet.encoder.type", *decoder_key = "ranklet.recommender.scoring",
                         *encoder_file_key = "ranklet.recommender.encoder_file";
    // An encoder alone ranks by what the user met.
    constexpr std::string_view without_decoder = "history";
    RANKLET_ASSIGN(const auto architecture, reader.string_or("general.architecture", ""));
    RANKLET_ASSIGN(const auto encoder_type, reader.string_or(encoder_key, architecture));
    RANKLET_ASSIGN(auto decoder_type, reader.string_or(decoder_key, without_decoder));
    if (!options.blend.empty()) decoder_type = "blend";
    const auto find = [&](std::string_view type, bool encoder) -> const Kind* {
        for (const Kind* each : kinds)
            if (each->type == type && (encoder ? each->read_encoder != nullptr : each->read_decoder != nullptr))
                return each;
        return nullptr;
    };
    const auto unknown = [&](const char* key, std::string_view type) {
        return reader.wrong(key, {" \"", type, "\" is not one this program reads"}, ErrorCode::unsupported);
    };
    const Kind* encoder_kind = find(encoder_type, true);
    if (encoder_kind == nullptr && !reader.has(encoder_key))
        return make_error(ErrorCode::missing, {reader.file().name(), ": no key ", encoder_key,
                                               ": not an encoder that this program reads, nor a recommender"});
    if (encoder_kind == nullptr) return unknown(encoder_key, encoder_type);
    auto model = std::make_shared<Model>();
    if (find(decoder_type, false) == nullptr && decoder_type == without_decoder && !reader.has(decoder_key))
        return make_error(ErrorCode::missing, {reader.file().name(), ": no key ", decoder_key, ": an encoder alone"});
    if (find(decoder_type, false) == nullptr) return unknown(decoder_key, decoder_type);
    using Read = Result<std::shared_ptr<const Decoder>>;
    const auto no_other = [&](std::string_view type) -> Read { return unknown(decoder_key, type); };
    const auto read_part = [&](std::string_view type) -> Read {
        const Kind* found = find(type, false);
        if (found == nullptr) return unknown("ranklet.blend.parts", type);
        return found->read_decoder({reader, *model->encoder, options, no_other});
    };
    RANKLET_ASSIGN(model->encoder, encoder_kind->read_encoder(reader, options));
    RANKLET_ASSIGN(model->decoder,
                   find(decoder_type, false)->read_decoder({reader, *model->encoder, options, read_part}));
    if (options.truncate_dim && model->encoder->dim() != *options.truncate_dim)  // a kind that knows nothing of it
        return make_error(ErrorCode::unsupported,
                          {reader.file().name(), ": LoadOptions::truncate_dim ", *options.truncate_dim,
                           ": vectors of ", encoder_type, " stay whole (", model->encoder->dim(), ")"});
    model->name = reader.file().name();
    model->fingerprint = model->items_fingerprint = reader.file().fingerprint();
    if (!options.blend.empty() || options.history || options.transitions) {
        model->ranks_as_file_says = false;
        model->fingerprint = detail::fingerprint_with(model->fingerprint, options);
    }
    model->without_queries = model->fingerprint;
    if (reader.has(encoder_file_key)) {
        RANKLET_ASSIGN(const auto text, reader.string(encoder_file_key));
        const auto [end, status] =
            std::from_chars(text.data(), text.data() + text.size(), model->items_fingerprint, 16);
        if (text.size() != 16 || status != std::errc() || end != text.data() + text.size())
            return reader.wrong(encoder_file_key, {" is no fingerprint of 16 hexadecimal digits"});
    }
    if (options.truncate_dim) {  // other catalogs, and other states of users
        model->ranks_as_file_says = false;
        for (std::uint64_t* hash : {&model->fingerprint, &model->without_queries, &model->items_fingerprint})
            *hash = detail::hash_on(*hash, *options.truncate_dim);
    }
    Recommender recommender;
    recommender.model_ = std::move(model);
    return recommender;
}

RANKLET_FUNC Result<void> Recommender::self_test(const ModelReader& reader) const RANKLET_MEMORY_TRY {
    const ModelReader test = reader.scope("ranklet.selftest");
    const bool ranks = reader.has("ranklet.recommender.scoring");
    if (!ranks && !reader.has("ranklet.version")) return {};  // an encoder's file of another engine has none
    if (!test.has("tolerance"))
        return make_error(ErrorCode::missing,
                          {reader.file().name(), ": no self-test (LoadOptions::self_test = false loads it)"});
    RANKLET_TRY(encoder().self_test(reader));
    // Of an encoder alone, whose decoder has no weights, and of another decoder than its own the file knows no scores.
    if (!ranks || !model().ranks_as_file_says) return {};
    RANKLET_ASSIGN(const auto found, self_test_scores(reader));
    return compare_self_test(test, "scores", found);
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<std::vector<float>> Recommender::self_test_scores(const ModelReader& reader) const
    RANKLET_MEMORY_TRY {
    const ModelReader test = reader.scope("ranklet.selftest");
    Catalog catalog;
    if (encodes_text()) {
        RANKLET_ASSIGN(const SelfTestItems inputs, encoder().self_test_items(reader));
        BatchOptions batch;
        batch.prompt = "";
        RANKLET_ASSIGN(CatalogData data, encode(model(), encoder(), inputs.items, ItemUse::candidate, batch));
        for (std::size_t i = 0; i < inputs.items.size(); ++i) data.ids[i] = std::to_string(i);
        RANKLET_ASSIGN(catalog, finish_catalog(std::move(data), 1));
    } else {
        RANKLET_ASSIGN(catalog, items());
    }
    RANKLET_ASSIGN(const auto history, test.i32s("history"));
    if (history.size() > most_self_test_inputs)
        return test.wrong("history", {" has ", history.size(), " events, expected at most ", most_self_test_inputs});
    std::vector<float> ratings(history.size(), no_rating);
    if (test.has("ratings")) {
        RANKLET_ASSIGN(ratings, test.floats("ratings"));
    }
    if (ratings.size() != history.size())
        return test.wrong("ratings", {" has ", ratings.size(), " entries for ", history.size(), " events"});
    RANKLET_ASSIGN(const auto id, test.string_or("user", ""));
    User user = new_user(id);
    for (std::size_t e = 0; e < history.size(); ++e) {
        if (history[e] < 0 || static_cast<std::size_t>(history[e]) >= catalog.size())
            return test.wrong("history", {" names item ", history[e], " of ", catalog.size()});
        const auto status = user.observe(catalog[static_cast<std::size_t>(history[e])], ratings[e]);
        if (!status.ok())
            return make_error(detail::told_as(ErrorCode::self_test, status.error()),
                              {reader.file().name(), ": self-test failed: ", test.full("history"), "[", e,
                               "]: ", status.error().message});
    }
    auto found = scores(user, catalog);
    if (found.ok()) return found;
    return make_error(detail::told_as(ErrorCode::self_test, found.error()),
                      {reader.file().name(), ": self-test failed: ", test.full("scores"), ": ", found.error().message});
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<std::vector<float>> Recommender::encode(std::string_view text,
                                                            const BatchOptions& options) const RANKLET_MEMORY_TRY {
    return detail::encode_text(encoder(), text, options);
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<std::vector<float>> Recommender::encode_query(
    std::string_view text, const BatchOptions& options) const RANKLET_MEMORY_TRY {
    return detail::encode_text(query_encoder(), text, detail::options_of_queries(query_encoder(), options));
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Recommender> Recommender::with_queries(const Recommender& queries) const RANKLET_MEMORY_TRY {
    if (model_ == nullptr || queries.model_ == nullptr) return detail::empty_recommender();
    const auto wrong = [&](ErrorCode code, std::initializer_list<ErrorPart> what) {
        return make_error(code, {queries.model_->name, " for the queries of ", model_->name, ": "}, what);
    };
    for (const Recommender* each : {this, &queries})
        if (!each->encodes_text())
            return wrong(ErrorCode::unsupported, {each->model_->name, " reads no texts, its items are its own"});
    if (decoder().form() != ItemForm::vector)
        return wrong(ErrorCode::unsupported,
                     {"the decoder of ", model_->name, " reads the states of tokens, and of no other encoder's"});
    if (queries.encoder().dim() != encoder().dim())
        return wrong(ErrorCode::mismatch, {"vectors of ", queries.encoder().dim(), ", those of items have ",
                                           encoder().dim(), ": the two were not trained together"});
    auto both = std::make_shared<Model>(*model_);
    both->queries = queries.model_->encoder;
    both->fingerprint = detail::hash_on(both->without_queries, queries.items_fingerprint());
    Recommender recommender;
    recommender.model_ = std::move(both);
    return recommender;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<CatalogData> Recommender::encode(const Model& model, const ItemEncoder& encoder,
                                                     std::span<const Item> items, ItemUse use,
                                                     const BatchOptions& options) RANKLET_MEMORY_TRY {
    if (!options.read.empty() && options.read.size() != items.size())
        return detail::wrong_read_size(options.read.size(), items.size());
    std::fill(options.read.begin(), options.read.end(), TextRead());  // an encoder of the host's may not tell
    const auto encode_some = [&](std::span<const Item> some, const BatchOptions& batch) -> Result<CatalogData> {
        RANKLET_ASSIGN(EncodedItems encoded, detail::encode_checked(encoder, some, model.decoder->form(), batch));
        CatalogData data;
        data.ids.resize(some.size());
        if (model.decoder->form() == ItemForm::vector) {
            data.vectors = std::move(encoded.rows);
        } else {
            data.token_offsets = std::move(encoded.offsets);
            data.set_part("token_states", PartRows::token, std::move(encoded.rows));
        }
        RANKLET_TRY(model.decoder->prepare(data, use, batch.threads));
        return data;
    };
    // Token states are many numbers an item, of which the decoder keeps what it makes of them: a piece at a time.
    constexpr std::size_t most = 256;
    if (model.decoder->form() == ItemForm::vector || items.size() <= most) return encode_some(items, options);
    std::vector<CatalogData> pieces;
    std::vector<detail::ItemPick> picks;
    for (std::size_t first = 0; first < items.size(); first += most) {
        BatchOptions batch = options;
        if (options.progress)
            batch.progress = [&, first](std::size_t done, std::size_t) {
                options.progress(first + done, items.size());
            };
        const std::size_t count = std::min(most, items.size() - first);
        if (!options.read.empty()) batch.read = options.read.subspan(first, count);
        auto piece = encode_some(items.subspan(first, count), batch);
        if (!piece.ok()) {
            const Error& error = piece.error();
            return error.input == Error::no_input ? error : about_input(error, first + error.input);
        }
        for (std::size_t i = 0; i < count; ++i) picks.push_back({pieces.size(), i});
        pieces.push_back(std::move(*piece));
    }
    std::vector<const CatalogData*> sources;
    for (const CatalogData& piece : pieces) sources.push_back(&piece);
    RANKLET_ASSIGN(CatalogData data, detail::gather_items(sources, picks));
    data.ids.resize(items.size());
    return data;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Catalog> Recommender::encode_catalog(std::span<const Item> items,
                                                         const BatchOptions& options) const RANKLET_MEMORY_TRY {
    const auto named = [&](const Error& error, std::size_t item) {
        return about_input(error, item, {"item \"", items[item].id, "\""});
    };
    AttributeBuilder attributes;
    if (encodes_text())  // otherwise the encoder says that it encodes none
        for (std::size_t i = 0; i < items.size(); ++i)
            if (const auto status = attributes.add(items[i].attributes); !status.ok()) return named(status.error(), i);
    auto encoded = encode(model(), encoder(), items, ItemUse::candidate, options);
    if (!encoded.ok()) {
        const Error& error = encoded.error();
        return error.input == Error::no_input ? error : named(error, error.input);
    }
    CatalogData data = std::move(*encoded);
    for (std::size_t i = 0; i < items.size(); ++i) data.ids[i] = items[i].id;
    if (options.keep_texts)
        for (const Item& item : items) data.texts.push_back(item.text);
    data.attributes = std::move(attributes).finish();
    return finish_catalog(std::move(data), options.threads);
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Catalog> Recommender::make_catalog(CatalogData data, Threads threads) const RANKLET_MEMORY_TRY {
    const std::size_t n = data.ids.size();
    const auto check_given = [](const Matrix& given, std::size_t rows, std::size_t cols) -> Result<void> {
        if (given.rows() != rows || (rows > 0 && given.cols() != cols))
            return make_error(ErrorCode::invalid_argument,
                              {"vectors of ", given.rows(), " x ", given.cols(), ", expected ", rows, " x ", cols});
        for (std::size_t r = 0; r < rows; ++r)
            for (const float x : given.row(r))
                if (!std::isfinite(x))
                    return make_error(ErrorCode::invalid_argument, {"row ", r, " of the vectors is not finite"});
        return {};
    };
    if (decoder().form() == ItemForm::vector) {
        RANKLET_TRY(check_given(data.vectors, n, encoder().dim()));
        data.parts.clear();
    } else {
        const auto& offsets = data.token_offsets;
        if (offsets.size() != n + 1 || offsets.front() != 0 || !std::is_sorted(offsets.begin(), offsets.end()))
            return make_error(ErrorCode::invalid_argument, {"the token offsets do not fit the items"});
        for (const CatalogPart& part : data.parts)
            RANKLET_TRY(check_given(part.values, data.rows_of(part.rows, part.values.rows()), part.values.cols()));
    }
    RANKLET_ASSIGN(Catalog catalog, finish_catalog(std::move(data), threads));
    RANKLET_TRY(check_items(model(), catalog.data()));
    return catalog;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Catalog> Recommender::load_catalog(const std::string& path,
                                                       const CatalogLoadOptions& options) const RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(Catalog catalog, ranklet::load_catalog(path, items_fingerprint(), options));
    RANKLET_TRY(check_items(model(), catalog.data()));
    if (const Signals* signals = decoder().signals()) return catalog.with(*signals);
    return catalog;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Catalog> Recommender::items() const RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(CatalogData data, encoder().own_items());
    return finish_catalog(std::move(data), 1);
}
RANKLET_MEMORY_CATCH

// What a catalog's items need beside what they were encoded to: the decoder's parts that are missing.
RANKLET_FUNC Result<Catalog> Recommender::finish_catalog(CatalogData data, Threads threads) const {
    RANKLET_TRY(decoder().prepare(data, ItemUse::candidate, threads));
    data.model = items_fingerprint();
    RANKLET_ASSIGN(Catalog catalog, Catalog::create(std::move(data)));
    if (const Signals* signals = decoder().signals()) return catalog.with(*signals);
    return catalog;
}

RANKLET_FUNC Result<Catalog> update_catalog(const Recommender& model, const Catalog& catalog,
                                            const CatalogChanges& changes,
                                            const BatchOptions& options) RANKLET_MEMORY_TRY {
    if (catalog.data().model != model.items_fingerprint()) return detail::not_of_model(catalog.data());
    RANKLET_ASSIGN(const detail::CatalogPlan plan, detail::plan_changes(catalog, changes));
    Catalog encoded;  // an id that is added twice is found here
    if (!plan.fresh.empty()) {
        BatchOptions batch = options;
        batch.keep_texts = catalog.empty() ? options.keep_texts : !catalog.data().texts.empty();
        RANKLET_ASSIGN(encoded, model.encode_catalog(plan.fresh, batch));
    }
    RANKLET_ASSIGN(CatalogData data, detail::apply_changes(catalog, encoded, plan));
    RANKLET_TRY(model.decoder().prepare(data, ItemUse::candidate, options.threads));
    RANKLET_ASSIGN(Catalog changed, Catalog::create(std::move(data)));
    if (const BoundSignals* bound = catalog.signals()) return changed.with(bound->signals);
    return changed;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Recommender::User Recommender::new_user(std::string_view id, const UserOptions& options) const {
    User user(model_);
    user.state_.user = id;
    user.state_.max_events = options.max_events;
    user.reset();
    return user;
}
RANKLET_FUNC Result<Recommender::User> Recommender::load_user(std::span<const std::byte> bytes) const
    RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(UserState state, UserState::load(bytes));
    return load_user(std::move(state));
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<Recommender::User> Recommender::load_user(UserState state) const RANKLET_MEMORY_TRY {
    if (model_ == nullptr) return detail::empty_recommender();
    if (state.model != fingerprint())
        return make_error(ErrorCode::mismatch, {"the user state was made by another model"});
    RANKLET_TRY(decoder().check(state));
    for (std::size_t e = 0; e < state.events.size(); ++e)
        if (std::isinf(state.events[e].rating))
            return make_error(ErrorCode::format, {"the user state's event ", e, " has an infinite rating"});
    User user(model_);
    user.state_ = std::move(state);
    user.state_.forget_oldest();
    return user;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Recommender::User> Recommender::replay_user(const UserState& state, const Catalog& catalog,
                                                                std::uint64_t* passed_over) const RANKLET_MEMORY_TRY {
    if (model_ == nullptr) return detail::empty_recommender();
    User user = new_user(state.user, {.max_events = state.max_events});
    std::uint64_t missing = state.forgotten;
    for (const Event& event : state.events) {
        const std::size_t index = event.id.empty() ? catalog.size() : catalog.find(event.id);
        if (index >= catalog.size()) {
            ++missing;
            continue;
        }
        RANKLET_TRY(user.observe(catalog[index], event.rating, event.time));
    }
    if (passed_over != nullptr) *passed_over = missing;
    return user;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Ranking> Recommender::recommend(const User& user, const Catalog& catalog,
                                                    const RecommendOptions& options) const RANKLET_MEMORY_TRY {
    Workspace workspace;
    RANKLET_ASSIGN(const auto ranked, recommend(user, catalog, options, workspace));
    return Ranking{catalog, {ranked.begin(), ranked.end()}};
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<std::span<const Recommendation>> Recommender::recommend(
    const User& user, const Catalog& catalog, const RecommendOptions& options,
    Workspace& workspace) const RANKLET_MEMORY_TRY {
    RANKLET_TRY(options.check(catalog));
    RANKLET_TRY(check(user));
    RANKLET_TRY(check(catalog.data(), catalog.signals()));
    RANKLET_TRY(score(user, catalog.data(), catalog.signals(), {options.threads, options.initial_state}, workspace));
    detail::RankingBuffers& buffers = workspace.buffers_;
    buffers.filter(catalog, options);
    if (options.exclude_seen)
        for (const Event& event : user.state().events)
            if (!(options.now - event.time > options.seen_again_after)) buffers.remove(catalog.find(event.id));
    RANKLET_TRY(buffers.rank(catalog, options));
    return std::span<const Recommendation>(buffers.ranked);
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Ranking> Recommender::similar(TextList ids, const Catalog& catalog,
                                                  const RecommendOptions& options) const RANKLET_MEMORY_TRY {
    if (model_ == nullptr) return detail::empty_recommender();
    if (ids.empty()) return make_error(ErrorCode::invalid_argument, {"no item is given that others should go with"});
    User visitor = new_user();
    for (const std::string_view id : ids) RANKLET_TRY(visitor.observe(catalog.at(id)));
    RecommendOptions others = options;
    others.exclude_seen = true;
    return recommend(visitor, catalog, others);
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<std::vector<float>> Recommender::scores(const User& user, const Catalog& catalog,
                                                            const ScoreOptions& options) const RANKLET_MEMORY_TRY {
    RANKLET_TRY(check(user));
    RANKLET_TRY(check(catalog.data(), catalog.signals()));
    Workspace workspace;
    RANKLET_TRY(score(user, catalog.data(), catalog.signals(), options, workspace));
    return std::move(workspace.buffers_.scores);
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<std::vector<float>> Recommender::scores_of(const User& user, const Catalog& catalog,
                                                               std::span<const std::size_t> indices,
                                                               const ScoreOptions& options) const RANKLET_MEMORY_TRY {
    RANKLET_TRY(check(user));
    RANKLET_TRY(check(catalog.data(), catalog.signals()));
    std::vector<detail::ItemPick> picks;
    for (const std::size_t index : indices) {
        if (index >= catalog.size())
            return make_error(ErrorCode::invalid_argument,
                              {"candidate ", picks.size(), " is item ", index, " of ", catalog.size()});
        picks.push_back({0, index});
    }
    const CatalogData* source = &catalog.data();
    RANKLET_ASSIGN(CatalogData candidates, detail::gather_items(std::span(&source, 1), picks));
    for (const detail::ItemPick& pick : picks) candidates.ids.push_back(source->ids[pick.index]);
    BoundSignals signals;
    if (catalog.signals() != nullptr) signals = detail::pick_signals(*catalog.signals(), indices);
    Workspace workspace;
    RANKLET_TRY(score(user, candidates, catalog.signals() != nullptr ? &signals : nullptr, options, workspace));
    return std::move(workspace.buffers_.scores);
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<std::vector<float>> Recommender::scores_of(const User& user, const Catalog& catalog, TextList ids,
                                                               const ScoreOptions& options) const RANKLET_MEMORY_TRY {
    std::vector<std::size_t> indices;
    for (const std::string_view id : ids) {
        RANKLET_ASSIGN(const ItemRef item, catalog.at(id));
        indices.push_back(item.index());
    }
    return scores_of(user, catalog, indices, options);
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<std::vector<float>> Recommender::user_vector(const User& user) const RANKLET_MEMORY_TRY {
    RANKLET_TRY(check(user));
    if (decoder().has_user_vector() && decoder().query_reads_items())
        return make_error(ErrorCode::unsupported,
                          {"this model's user vectors depend on the catalog: give it (user_vector(user, catalog))"});
    return vector_for(user, CatalogData());
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<std::vector<float>> Recommender::user_vector(const User& user,
                                                                 const Catalog& catalog) const RANKLET_MEMORY_TRY {
    RANKLET_TRY(check(user));
    RANKLET_TRY(check(catalog.data(), catalog.signals()));
    return vector_for(user, catalog.data());
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<std::vector<float>> Recommender::vector_for(const User& user, const CatalogData& items) const {
    if (!decoder().has_user_vector())
        return make_error(ErrorCode::unsupported, {"this model's scores are not dot products with a user's vector"});
    std::vector<float> vector(decoder().query_size());
    Scratch scratch;
    RANKLET_TRY(scratch.reserve(decoder().scratch_size()));
    decoder().begin({user.state(), items}, vector.data(), scratch);
    RANKLET_TRY(check_query(vector));
    return vector;
}

RANKLET_FUNC Result<void> Recommender::check(const User& user) const {
    if (model_ == nullptr) return detail::empty_recommender();
    if (user.model_ == nullptr) return detail::empty_object("the user");
    if (user.model_ != model_ && user.state().model != fingerprint())
        return make_error(ErrorCode::mismatch, {"the user belongs to another model"});
    return {};
}
RANKLET_FUNC Result<void> Recommender::check(const CatalogData& catalog, const BoundSignals* signals) const {
    if (catalog.model != items_fingerprint()) return detail::not_of_model(catalog);
    RANKLET_TRY(check_items(model(), catalog));
    if (catalog.ids.empty()) return {};
    return decoder().check_signals(signals);
}
// A catalog that the caller put together (Catalog::create) may lack what this model's decoder reads.
RANKLET_FUNC Result<void> Recommender::check_items(const Model& model, const CatalogData& data) {
    if (data.ids.empty()) return {};
    return model.decoder->check(data);
}
RANKLET_FUNC Result<void> Recommender::check_query(std::span<const float> query) {
    if (std::all_of(query.begin(), query.end(), [](float x) { return std::isfinite(x); })) return {};
    return make_error(ErrorCode::invalid_argument,
                      {"the user's numbers are not finite: a damaged model, or events that are too large"});
}
RANKLET_FUNC Result<void> Recommender::check_rating(float rating) {
    if (std::isinf(rating)) return make_error(ErrorCode::invalid_argument, {"a rating must not be infinite"});
    return {};
}

RANKLET_FUNC Result<void> Recommender::score(const User& user, const CatalogData& data, const BoundSignals* signals,
                                             const ScoreOptions& options, Workspace& workspace) const {
    const Decoder& scorer = decoder();
    const std::size_t n = data.ids.size(), piece = detail::piece_of(scorer, n), pieces = (n + piece - 1) / piece;
    Threads threads = detail::worth(options.threads, n * scorer.work());
    threads.count = std::min(threads.count, std::max<std::size_t>(pieces, 1));
    workspace.buffers_.scores.resize(n);
    const ScoreRequest request{user.state(), data, options.initial_state, user.events(), signals};
    workspace.query_.resize(scorer.query_size_of(request));
    if (workspace.scratch_.size() < threads.count) workspace.scratch_.resize(threads.count);
    for (Scratch& scratch : workspace.scratch_) RANKLET_TRY(scratch.reserve(scorer.scratch_size()));
    scorer.begin(request, workspace.query_.data(), workspace.scratch_[0]);
    RANKLET_TRY(check_query(workspace.query_));
    parallel_for(pieces, threads, [&](std::size_t p, std::size_t thread) {
        const IndexRange range{p * piece, std::min(n, (p + 1) * piece)};
        scorer.score(request, workspace.query_.data(), range, workspace.buffers_.scores.data() + range.first,
                     workspace.scratch_[thread]);
    });
    return {};
}

RANKLET_FUNC void Recommender::User::reset() {
    if (model_ == nullptr) return;
    model_->decoder->begin_user(state_);
    state_.events.clear();
    state_.forgotten = 0;
    state_.model = model_->fingerprint;
}

// The event's memory is there before the decoder moves on: an event counts wholly or not at all.
RANKLET_FUNC Result<void> Recommender::User::step(const CatalogData& items, std::size_t index, std::string_view id,
                                                  float rating, double time) {
    Event event{std::string(id), rating, time};
    std::vector<Event>& events = state_.events;
    if (events.size() == events.capacity()) events.reserve(std::max<std::size_t>(8, 2 * events.size()));
    RANKLET_TRY(model_->decoder->observe(state_, items, index, rating, scratch_));
    events.push_back(std::move(event));
    state_.forget_oldest();
    return {};
}
RANKLET_FUNC Result<void> Recommender::User::observe(const ItemRef& item, float rating,
                                                     double time) RANKLET_MEMORY_TRY {
    if (model_ == nullptr) return detail::empty_object("the user");
    if (item.data().model != model_->items_fingerprint)
        return make_error(ErrorCode::mismatch, {"item \"", item.id(), "\" is of another model's catalog"});
    RANKLET_TRY(check_items(*model_, item.data()));
    RANKLET_TRY(check_rating(rating));
    if (std::isinf(time)) return make_error(ErrorCode::invalid_argument, {"an event's time must not be infinite"});
    return step(item.data(), item.index(), item.id(), rating, time);
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<void> Recommender::User::observe(const Result<ItemRef>& item, float rating, double time) {
    if (!item.ok()) return item.shared_error();
    return observe(*item, rating, time);
}
RANKLET_FUNC Result<void> Recommender::User::observe_text(std::string_view text, float rating,
                                                          const BatchOptions& options) RANKLET_MEMORY_TRY {
    if (model_ == nullptr) return detail::empty_object("the user");
    RANKLET_TRY(check_rating(rating));
    const Item item{{}, text};
    const std::shared_ptr<const ItemEncoder>& queries = model_->queries;
    const auto encoded =
        queries != nullptr
            ? Recommender::encode(*model_, *queries, std::span(&item, 1), ItemUse::event,
                                  detail::options_of_queries(*queries, options))
            : Recommender::encode(*model_, *model_->encoder, std::span(&item, 1), ItemUse::event, options);
    if (!encoded.ok()) return encoded.shared_error();
    return step(*encoded, 0, {}, rating);
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
#endif
