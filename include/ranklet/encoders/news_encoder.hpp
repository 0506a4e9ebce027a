// NewsEncoder: an item's views (title, body, category, subcategory, vectors of other modalities) to one vector.
//   each view: a text (TextView), a category (a row of a table), or a given vector; then, if stated, a dense layer
//   joined by: concatenation (LSTUR, An et al. 2019), attention over the views (NAML, Wu et al. 2019), or a gated sum
//              sum over v of sigmoid(G_v [x_1 ... x_n] + g_v) * tanh(P_v x_v + p_v)   (GMU, Arevalo et al. 2017)
//   then, if stated, a projection.
// In: inputs of each view. Out: vectors [items, dim]; an item's does not depend on its batch or the number of threads.
// What is missing has a meaning: a text is empty; a category that is unknown or not given is row 0; a vector that is
// not given is the model's `missing` vector, zero where it has none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/text_list.hpp"
#include "ranklet/encoders/item_encoder.hpp"
#include "ranklet/encoders/options.hpp"
#include "ranklet/model_file/load.hpp"
#include "ranklet/text/encoding.hpp"

RANKLET_NAMESPACE_BEGIN

class WordTokenizer;

/// What one view of one item is given. The memory belongs to the caller.
struct ViewInput {
    std::string_view text;          ///< a text, or a category's name; empty: missing
    std::span<const float> vector;  ///< of a vector view; empty: missing
    /// Of a text view: its words' ids, instead of `text`; at most the view's max_length. To leave words out of a text.
    std::optional<std::span<const std::int32_t>> word_ids = {};
};

/// Where attention lies inside an item's vector.
struct ViewAttention {
    std::string_view view;  ///< its name; lives as long as the encoder
    /// On the view, among all of them; NaN where views are not joined by attention.
    float weight = std::numeric_limits<float>::quiet_NaN();
    /// On each word that the view reads, in its order; what is missing to 1 lies on padding. Empty where there is no
    /// attention over words (a maximum over time, categories, vectors).
    std::vector<float> words;
};

/// Copies share the weights; tables stay in the file. One that was made by default or moved from is empty: what returns
/// a Result is an Error invalid_argument, sizes are 0.
class NewsEncoder final : public ItemEncoder, public Loadable<NewsEncoder> {
public:
    static constexpr std::string_view type_name = "news";  ///< `ranklet.encoder.type`
    RANKLET_COLD static Result<NewsEncoder> read(const ModelReader& reader, const LoadOptions& options);

    enum class ViewKind { text, category, vector };

    KindId kind() const noexcept override { return kind_id<NewsEncoder>; }
    /// Elements of an item's vector.
    RANKLET_FUNC std::size_t dim() const noexcept override;
    std::size_t view_count() const noexcept;
    /// Precondition: view < view_count().
    std::string_view view_name(std::size_t view) const noexcept;
    ViewKind view_kind(std::size_t view) const noexcept;
    /// Elements of what a vector view is given; 0 for other kinds.
    std::size_t view_size(std::size_t view) const noexcept;
    /// The view of this name, view_count() when there is none.
    std::size_t find_view(std::string_view name) const noexcept;
    const WordTokenizer& tokenizer() const noexcept;

    /// Vectors of texts that are the view "title" and nothing else (every other view is missing). Error invalid_text
    /// naming the first that is not UTF-8, missing for a prompt, which news models do not have, unsupported when no
    /// view is "title".
    Result<Matrix> encode(TextList texts, const BatchOptions& options = {}) const;
    Result<Matrix> encode(std::initializer_list<std::string_view> texts,
                          const BatchOptions& options = {}) const RANKLET_MEMORY_TRY {
        return encode(TextList(texts), options);
    }
    RANKLET_MEMORY_CATCH
    /// Vectors of items: `inputs` [items * view_count()], each item's views in the model's order. Errors: invalid_text
    /// for a text that is not UTF-8, invalid_argument for a vector of another size or that is not finite; they name the
    /// view, and the item as `text N`; unsupported for BatchOptions::windows: a view reads as many words as its layers were
    /// trained on. BatchOptions::read has an entry for each item, about all of its texts together (what is given as word
    /// ids has no bytes).
    Result<Matrix> encode_inputs(std::span<const ViewInput> inputs, const BatchOptions& options = {}) const;
    /// Where attention lies in one item's vector, view by view. `inputs` [view_count()]. Errors as encode_inputs has.
    RANKLET_COLD Result<std::vector<ViewAttention>> attention(std::span<const ViewInput> inputs) const;
    /// The words of a text as the view reads them. Precondition: view < view_count(), and it is a text.
    Result<void> tokenize(std::size_t view, std::string_view text, Encoding& out) const;
    /// What the views are given of an item: its text is the view "title", string attributes and vectors are the views of
    /// their names. [view_count()]; it looks into the item. Error invalid_argument for an attribute of a view's name
    /// that is no string, a vector that no view reads or of another size than the view's.
    Result<std::vector<ViewInput>> inputs_of(const Item& item) const;

    RANKLET_FUNC Result<EncodedItems> encode_items(std::span<const Item> items, ItemForm form,
                                                   const BatchOptions& options) const override;
    RANKLET_COLD RANKLET_FUNC Result<std::unique_ptr<const ItemParts>> take_apart(
        const Item& item, TextUnit unit, const BatchOptions& options) const override;
    /// The file's inputs against its vectors.
    RANKLET_COLD RANKLET_FUNC Result<void> self_test(const ModelReader& reader) const override;
    /// `ranklet.selftest.view.NAME`: strings, or floats [items * size] where NaN stands for missing.
    RANKLET_COLD RANKLET_FUNC Result<SelfTestItems> self_test_items(const ModelReader& reader) const override;

private:
    struct State;
    class Parts;
    const State& state() const noexcept;  // of no views, where it is empty
    std::shared_ptr<const State> state_;
};

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <utility>

#include "ranklet/core/groups.hpp"
#include "ranklet/core/name_index.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/encoders/text_view.hpp"
#include "ranklet/encoders/token_parts.hpp"
#include "ranklet/layers/embedding.hpp"
#include "ranklet/model_file/layers.hpp"
#include "ranklet/model_file/reader.hpp"
#include "ranklet/model_file/self_test.hpp"
#include "ranklet/model_file/tokenizers.hpp"
#include "ranklet/text/word_tokenizer.hpp"

RANKLET_NAMESPACE_BEGIN

struct NewsEncoder::State {
    static constexpr std::size_t item_work = 5'000'000;        // of a convolution over some words, in products
    static constexpr std::size_t group = 16;                   // items handed to a thread at a time
    static constexpr std::uint32_t most_elements = 1'000'000;  // of all views: an item's share of a thread's scratch

    struct View {
        RANKLET_MOVES_OUT_OF_LINE(View);
        std::string name;
        ViewKind kind = ViewKind::text;
        detail::TextView text;
        std::vector<std::string> values;  // of a category: the table has a row for each, after that of unknown ones
        detail::NameIndex places;         // of the values
        Embedding table;
        std::size_t size = 0;        // of a given vector
        std::vector<float> missing;  // [size], or empty: zeros
        std::optional<Linear<>> dense;
        Activation activation = Activation::identity;
        std::size_t raw = 0;  // elements before the dense layer
        Linear<> value, gate;

        std::size_t dim() const noexcept { return dense ? dense->out() : raw; }
    };
    enum class Join { concatenate, attention, gated };
    struct Worker {
        std::vector<Encoding> words;  // of each view that is a text
        Encoding probe;               // whether a text has more words than were read
        Scratch scratch;
    };

    RANKLET_COLD Result<void> read_words(const ModelReader& reader) {
        const ModelReader keys = reader.scope("ranklet.words");
        RANKLET_ASSIGN(tokenizer, read_word_tokenizer(reader));
        RANKLET_ASSIGN(const TensorView table, keys.tensor("weight"));
        if (table.rows != tokenizer->vocabulary_size())
            return keys.wrong("weight", {" has ", table.rows, " rows for ", tokenizer->vocabulary_size(), " words"});
        RANKLET_ASSIGN(const std::uint32_t pad, keys.u32("padding_id"));
        if (pad >= table.rows) return keys.wrong("padding_id", {" is ", pad, " of ", table.rows});
        padding_id = static_cast<std::int32_t>(pad);
        words = Embedding(table);
        return {};
    }

    RANKLET_COLD Result<void> read_view(const ModelReader& reader, std::string_view name) {
        const ModelReader keys = reader.scope("ranklet.news").scope(name);
        View view;
        view.name = name;
        RANKLET_ASSIGN(view.kind, keys.choice<ViewKind>("kind", {{"text", ViewKind::text},
                                                                 {"category", ViewKind::category},
                                                                 {"vector", ViewKind::vector}}));
        if (view.kind == ViewKind::text) {
            RANKLET_ASSIGN(view.text, detail::TextView::read(keys, words.dim()));
            view.raw = view.text.dim();
        } else if (view.kind == ViewKind::category) {
            RANKLET_ASSIGN(const auto values, keys.strings("values"));
            RANKLET_ASSIGN(const TensorView table, keys.tensor("embd.weight"));
            if (table.rows != values.size() + 1)
                return keys.wrong("embd.weight", {" has ", table.rows, " rows, expected one for each of ",
                                                  values.size(), " values after that of unknown ones"});
            view.values.assign(values.begin(), values.end());
            const std::size_t twice = view.places.add_all(view.values);
            if (twice != detail::NameIndex::none) return keys.wrong("values", {" has \"", values[twice], "\" twice"});
            view.table = Embedding(table);
            view.raw = table.cols;
        } else {
            RANKLET_ASSIGN(view.size, keys.u32_in("size", 1, most_elements));
            RANKLET_ASSIGN(view.missing, keys.vector_or_none("missing", view.size));
            view.raw = view.size;
        }
        RANKLET_ASSIGN(view.dense, read_linear_if_any(keys, "dense", view.raw));
        if (view.dense) {
            RANKLET_ASSIGN(view.activation, read_activation(keys, "dense.activation"));
        }
        total += view.dim();
        if (total > most_elements)
            return keys.wrong(
                "kind", {": the views up to this one have ", total, " elements, expected at most ", most_elements});
        views.push_back(std::move(view));
        return {};
    }

    RANKLET_COLD Result<void> read_join(const ModelReader& reader) {
        const ModelReader news = reader.scope("ranklet.news"), keys = news.scope("join");
        RANKLET_ASSIGN(join, news.choice<Join>("join", {{"concatenate", Join::concatenate},
                                                        {"attention", Join::attention},
                                                        {"gated", Join::gated}}));
        joined = total;
        if (join == Join::attention) {
            joined = views.front().dim();
            for (const View& view : views)
                if (view.dim() != joined)
                    return news.wrong("join", {": views of ", joined, " and of ", view.dim(), " elements (", view.name,
                                               ") cannot be joined by attention"});
            RANKLET_ASSIGN(pool, read_attention_pooling(keys.scope("pool"), joined, 0));
        } else if (join == Join::gated) {
            RANKLET_ASSIGN(const TensorView first, keys.tensor(views.front().name + ".value.weight"));
            joined = first.rows;
            for (View& view : views) {
                RANKLET_ASSIGN(view.value, read_linear(keys, view.name + ".value", view.dim(), joined));
                RANKLET_ASSIGN(view.gate, read_linear(keys, view.name + ".gate", total, joined));
            }
        }
        RANKLET_ASSIGN(projection, read_linear_if_any(news, "proj", joined));
        return {};
    }

    std::size_t dim() const noexcept { return projection ? projection->out() : joined; }
    std::size_t find_view(std::string_view name) const noexcept {
        std::size_t v = 0;
        while (v < views.size() && views[v].name != name) ++v;
        return v;
    }
    Result<void> tokenize(std::size_t view, std::string_view text, Encoding& out) const RANKLET_MEMORY_TRY {
        if (view >= views.size() || views[view].kind != ViewKind::text)
            return make_error(ErrorCode::invalid_argument, {"view ", view, " is no text of the encoder's"});
        EncodeOptions options;
        options.max_length = views[view].text.max_length();
        const auto status = tokenizer->encode(text, options, out);
        if (!status.ok()) return make_error(status.error().code, {views[view].name, ": ", status.error().message});
        return {};
    }
    RANKLET_MEMORY_CATCH

    // Vectors of items, with errors that do not name the item.
    Result<Matrix> vectors_of(std::span<const ViewInput> inputs, const BatchOptions& options) const {
        if (options.prompt && !options.prompt->empty())
            return make_error(ErrorCode::missing, {"the model has no prompt \"", *options.prompt, "\""});
        if (views.empty()) return detail::empty_object("the encoder");
        if (inputs.size() % views.size() != 0)
            return make_error(ErrorCode::invalid_argument,
                              {inputs.size(), " inputs are not those of items with ", views.size(), " views"});
        if (options.windows)
            return make_error(ErrorCode::unsupported, {"news models read texts of a fixed length, not in windows"});
        const std::size_t n = inputs.size() / views.size();
        if (!options.read.empty() && options.read.size() != n) return detail::wrong_read_size(options.read.size(), n);
        RANKLET_ASSIGN(Matrix vectors, Matrix::zeroed(n, dim()));
        std::vector<Worker> workers(detail::group_threads(n, group, options.threads));
        RANKLET_TRY(detail::for_each_group(
            n, group, options, n * item_work,
            [&](std::size_t first, std::size_t last, std::size_t thread) -> Result<void> {
                for (std::size_t i = first; i < last; ++i)
                    if (const auto status =
                            encode_item(inputs.subspan(i * views.size(), views.size()), vectors.row(i).data(),
                                        workers[thread], {}, options.read.empty() ? nullptr : &options.read[i]);
                        !status.ok())
                        return about_input(status.error(), i);
                return {};
            }));
        return vectors;
    }

    // Scratch is for the words that the item has, not for those that a file says it could have.
    // `attention` [views] or empty: not wanted. `read`: null where it is not.
    Result<void> encode_item(std::span<const ViewInput> inputs, float* out, Worker& worker,
                             std::span<ViewAttention> attention = {}, TextRead* read = nullptr) const {
        worker.words.resize(views.size());
        if (read != nullptr) *read = {0, 0, 1, true};
        std::size_t inner = 0;
        for (const View& view : views) {
            const std::size_t i = static_cast<std::size_t>(&view - views.data());
            std::size_t needed = scratch_bytes<float>(view.raw);
            if (view.kind == ViewKind::text) {
                if (inputs[i].word_ids) {
                    RANKLET_TRY(check_ids(view, *inputs[i].word_ids));
                    worker.words[i].ids.assign(inputs[i].word_ids->begin(), inputs[i].word_ids->end());
                    if (read != nullptr) read->tokens += inputs[i].word_ids->size();
                } else {
                    RANKLET_TRY(tokenize(i, inputs[i].text, worker.words[i]));
                    if (read != nullptr) RANKLET_TRY(tell(i, inputs[i].text, worker, *read));
                }
                needed += view.text.scratch_size(worker.words[i].size());
            }
            inner = std::max(inner, needed);
            if (view.kind != ViewKind::vector || inputs[i].vector.empty()) continue;
            if (inputs[i].vector.size() != view.size)
                return make_error(ErrorCode::invalid_argument,
                                  {"the vector \"", view.name, "\" has ", inputs[i].vector.size(),
                                   " elements, expected ", view.size});
            if (!std::all_of(inputs[i].vector.begin(), inputs[i].vector.end(),
                             [](float x) { return std::isfinite(x); }))
                return make_error(ErrorCode::invalid_argument, {"the vector \"", view.name, "\" is not finite"});
        }
        inner = std::max(inner,
                         join == Join::attention ? pool.scratch_size(views.size()) : 2 * scratch_bytes<float>(joined));
        RANKLET_TRY(worker.scratch.reserve(scratch_bytes<float>(total) + scratch_bytes<float>(joined) + inner));
        const ScratchFrame frame(worker.scratch);
        float* all = worker.scratch.take<float>(total);
        float* next = all;
        for (std::size_t v = 0; v < views.size(); ++v) {
            const View& view = views[v];
            const std::vector<std::int32_t>& ids = worker.words[v].ids;
            float* weights = nullptr;
            if (!attention.empty()) {
                attention[v].view = view.name;
                if (view.kind == ViewKind::text && view.text.has_attention()) attention[v].words.assign(ids.size(), 0);
                if (!attention[v].words.empty()) weights = attention[v].words.data();
            }
            forward_view(view, inputs[v], ids, next, weights, worker.scratch);
            next += view.dim();
        }
        std::vector<float> weights;
        if (!attention.empty() && join == Join::attention) weights.resize(views.size());
        join_views(all, out, weights.empty() ? nullptr : weights.data(), worker.scratch);
        for (std::size_t v = 0; v < weights.size(); ++v) attention[v].weight = weights[v];
        return {};
    }
    // Adds how much of a view's text was read.
    Result<void> tell(std::size_t view, std::string_view text, Worker& worker, TextRead& read) const {
        const Encoding& found = worker.words[view];
        bool more = false;
        if (found.size() >= views[view].text.max_length()) {
            EncodeOptions longer;
            longer.max_length = found.size() + 1;
            RANKLET_TRY(tokenizer->encode(text, longer, worker.probe));
            more = worker.probe.size() > found.size();
        }
        const TextRead own = detail::text_read(text, found.offsets, more);
        read.bytes += own.bytes;
        read.tokens += own.tokens;
        read.whole = read.whole && own.whole;
        return {};
    }
    Result<void> check_ids(const View& view, std::span<const std::int32_t> ids) const {
        if (ids.size() > view.text.max_length())
            return make_error(ErrorCode::invalid_argument,
                              {view.name, ": ", ids.size(), " words, it reads ", view.text.max_length()});
        for (const std::int32_t id : ids)
            if (id < 0 || static_cast<std::size_t>(id) >= tokenizer->vocabulary_size())
                return make_error(ErrorCode::invalid_argument, {view.name, ": there is no word ", id});
        return {};
    }

    /// `weights` [ids]: null where they are not wanted or the view has none.
    void forward_view(const View& view, const ViewInput& input, std::span<const std::int32_t> ids, float* out,
                      float* weights, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        float* raw = view.dense ? scratch.take<float>(view.raw) : out;
        if (view.kind == ViewKind::text) {
            view.text.forward(words, ids, padding_id, raw, weights, scratch);
        } else if (view.kind == ViewKind::category) {
            view.table.row(row_of(view, input.text), raw);
        } else {
            const std::span<const float> given = input.vector.empty() ? view.missing : input.vector;
            std::fill(std::copy(given.begin(), given.end(), raw), raw + view.raw, 0.0f);
        }
        if (view.dense) view.dense->forward({raw, 1, view.raw}, {out, 1, view.dense->out()}, view.activation);
    }
    static std::size_t row_of(const View& view, std::string_view value) noexcept {
        return view.places.find(value, view.values) + 1;  // 0 where there is none
    }

    /// `weights` [views]: null where they are not wanted; written where views are joined by attention.
    void join_views(const float* all, float* out, float* weights, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        float* sum = projection ? scratch.take<float>(joined) : out;
        if (join == Join::concatenate) {
            std::copy_n(all, total, sum);
        } else if (join == Join::attention) {
            pool.forward({all, views.size(), joined}, nullptr, {}, sum, weights, scratch);
        } else {
            float* value = scratch.take<float>(joined);
            float* gate = scratch.take<float>(joined);
            std::fill_n(sum, joined, 0.0f);
            const float* own = all;
            for (const View& view : views) {
                view.value.forward({own, 1, view.dim()}, {value, 1, joined}, Activation::tanh);
                view.gate.forward({all, 1, total}, {gate, 1, joined}, Activation::sigmoid);
                kernels::Ops<float>::add_product(value, gate, sum, joined);
                own += view.dim();
            }
        }
        if (projection) projection->forward({sum, 1, joined}, {out, 1, projection->out()});
    }

    GgufFile file;  // keeps the tables' memory
    std::shared_ptr<const WordTokenizer> tokenizer;
    Embedding words;
    std::int32_t padding_id = 0;
    std::vector<View> views;
    Join join = Join::concatenate;
    AttentionPooling<> pool;
    std::size_t total = 0, joined = 0;  // elements of all views; of what they are joined to
    std::optional<Linear<>> projection;
};

RANKLET_FUNC Result<NewsEncoder> NewsEncoder::read(const ModelReader& reader, const LoadOptions&) {
    RANKLET_TRY(detail::check_encoder_type(reader, type_name));
    auto state = std::make_shared<State>();
    state->file = reader.file();
    RANKLET_TRY(state->read_words(reader));
    RANKLET_ASSIGN(const auto names, reader.strings("ranklet.news.views"));
    if (names.empty() || names.size() > 64)
        return reader.wrong("ranklet.news.views", {" has ", names.size(), " views, expected 1 to 64"});
    for (const std::string_view name : names) {
        if (state->find_view(name) < state->views.size())
            return reader.wrong("ranklet.news.views", {" has \"", name, "\" twice"});
        RANKLET_TRY(state->read_view(reader, name));
    }
    RANKLET_TRY(state->read_join(reader));
    NewsEncoder encoder;
    encoder.state_ = std::move(state);
    return encoder;
}

RANKLET_FUNC const NewsEncoder::State& NewsEncoder::state() const noexcept {
    if (state_ != nullptr) return *state_;
    static const State none = [] {
        State state;
        state.tokenizer = std::make_shared<const WordTokenizer>();
        return state;
    }();
    return none;
}
RANKLET_FUNC std::size_t NewsEncoder::dim() const noexcept { return state().dim(); }
RANKLET_FUNC std::size_t NewsEncoder::view_count() const noexcept { return state().views.size(); }
RANKLET_FUNC std::string_view NewsEncoder::view_name(std::size_t view) const noexcept {
    return state().views[view].name;
}
RANKLET_FUNC NewsEncoder::ViewKind NewsEncoder::view_kind(std::size_t view) const noexcept {
    return state().views[view].kind;
}
RANKLET_FUNC std::size_t NewsEncoder::view_size(std::size_t view) const noexcept { return state().views[view].size; }
RANKLET_FUNC std::size_t NewsEncoder::find_view(std::string_view name) const noexcept {
    return state().find_view(name);
}
RANKLET_FUNC const WordTokenizer& NewsEncoder::tokenizer() const noexcept { return *state().tokenizer; }
RANKLET_FUNC Result<void> NewsEncoder::tokenize(std::size_t view, std::string_view text,
                                                Encoding& out) const RANKLET_MEMORY_TRY {
    return state().tokenize(view, text, out);
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Matrix> NewsEncoder::encode(TextList texts, const BatchOptions& options) const RANKLET_MEMORY_TRY {
    const std::size_t title = find_view("title"), views = view_count();
    if (views == 0) return detail::empty_object("the encoder");
    if (title == views || view_kind(title) != ViewKind::text)
        return make_error(ErrorCode::unsupported, {"the model reads no title: a text alone is no item to it"});
    std::vector<ViewInput> inputs(texts.size() * views);
    for (std::size_t t = 0; t < texts.size(); ++t) inputs[t * views + title].text = texts[t];
    return encode_inputs(inputs, options);
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<Matrix> NewsEncoder::encode_inputs(std::span<const ViewInput> inputs,
                                                       const BatchOptions& options) const RANKLET_MEMORY_TRY {
    return detail::name_input(state().vectors_of(inputs, options), "text");
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<std::vector<ViewAttention>> NewsEncoder::attention(std::span<const ViewInput> inputs) const
    RANKLET_MEMORY_TRY {
    if (view_count() == 0) return detail::empty_object("the encoder");
    if (inputs.size() != view_count())
        return make_error(ErrorCode::invalid_argument,
                          {inputs.size(), " inputs are not those of an item with ", view_count(), " views"});
    std::vector<ViewAttention> result(view_count());
    std::vector<float> vector(dim());
    State::Worker worker;
    RANKLET_TRY(state().encode_item(inputs, vector.data(), worker, result));
    return result;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<std::vector<ViewInput>> NewsEncoder::inputs_of(const Item& item) const RANKLET_MEMORY_TRY {
    const std::size_t views = view_count(), title = find_view("title");
    if (views == 0) return detail::empty_object("the encoder");
    const auto wrong = [&](std::string_view name, const char* what) {
        return make_error(ErrorCode::invalid_argument, {"\"", name, "\" ", what});
    };
    std::vector<ViewInput> inputs(views);
    if (title < views) inputs[title].text = item.text;
    for (const Attribute& attribute : item.attributes) {
        const std::size_t v = find_view(attribute.name);
        if (v == views || v == title || view_kind(v) == ViewKind::vector) continue;
        if (attribute.type != AttributeType::category)
            return wrong(attribute.name, "is read by the model and has to be one string");
        inputs[v].text = attribute.text;
    }
    for (const ItemVector& vector : item.vectors) {
        const std::size_t v = find_view(vector.name);
        if (v == views || view_kind(v) != ViewKind::vector)
            return wrong(vector.name, "is no vector that the model reads");
        if (vector.values.size() != view_size(v))
            return wrong(vector.name, "is a vector of another size than the model's");
        inputs[v].vector = vector.values;
    }
    return inputs;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<EncodedItems> NewsEncoder::encode_items(std::span<const Item> items, ItemForm form,
                                                            const BatchOptions& options) const {
    if (form != ItemForm::vector) return make_error(ErrorCode::unsupported, {"a news encoder has no states of tokens"});
    std::vector<ViewInput> inputs;
    inputs.reserve(items.size() * view_count());
    for (std::size_t i = 0; i < items.size(); ++i) {
        const auto own = inputs_of(items[i]);
        if (!own.ok()) return about_input(own.error(), i);
        inputs.insert(inputs.end(), own->begin(), own->end());
    }
    EncodedItems encoded;
    RANKLET_ASSIGN(encoded.rows, state().vectors_of(inputs, options));
    return encoded;
}

/// The words of all of an item's texts, for explanations.
class NewsEncoder::Parts final : public ItemParts {
public:
    Parts(NewsEncoder encoder, std::vector<ViewInput> inputs)
        : encoder_(std::move(encoder)), inputs_(std::move(inputs)), ids_(inputs_.size()) {}

    Result<void> take_apart(TextUnit unit) {
        RANKLET_ASSIGN(const auto attention, encoder_.attention(inputs_));
        Encoding encoding;
        for (std::size_t v = 0; v < inputs_.size(); ++v) {
            if (encoder_.view_kind(v) != ViewKind::text) continue;
            const std::string_view text = inputs_[v].text;
            RANKLET_TRY(encoder_.tokenize(v, text, encoding));
            ids_[v] = encoding.ids;
            const std::vector<float>& weights = attention[v].words;
            for (const detail::TokenGroup& group : detail::group_tokens(encoding, 0, unit)) {
                groups_.emplace_back(v, group);
                TextPart& part = parts_.emplace_back();
                part.text = text.substr(group.span.begin, group.span.end - group.span.begin);
                part.span = group.span;
                part.view = encoder_.view_name(v);
                if (weights.empty()) continue;
                part.attention = 0.0f;
                for (std::size_t t = group.first; t < group.last; ++t) part.attention += weights[t];
            }
        }
        return {};
    }

    std::span<const TextPart> parts() const noexcept override { return parts_; }
    std::size_t at_once() const noexcept override { return 64; }
    Result<EncodedItems> encode(std::size_t first, std::size_t count, ItemForm,
                                const BatchOptions& options) const override RANKLET_MEMORY_TRY {
        std::vector<ViewInput> variants;
        std::vector<std::vector<std::int32_t>> left(count);
        for (std::size_t i = 0; i < count; ++i) {
            variants.insert(variants.end(), inputs_.begin(), inputs_.end());
            if (first + i == 0) continue;
            const auto& [view, group] = groups_[first + i - 1];
            left[i] = detail::without(ids_[view], group);
            variants[i * inputs_.size() + view].word_ids = std::span<const std::int32_t>(left[i]);
        }
        EncodedItems encoded;
        RANKLET_ASSIGN(encoded.rows, encoder_.state().vectors_of(variants, options));
        return encoded;
    }
    RANKLET_MEMORY_CATCH

private:
    NewsEncoder encoder_;
    std::vector<ViewInput> inputs_;
    std::vector<std::vector<std::int32_t>> ids_;                      // of each view that is a text
    std::vector<std::pair<std::size_t, detail::TokenGroup>> groups_;  // of each part: its view and tokens
    std::vector<TextPart> parts_;
};

RANKLET_FUNC Result<std::unique_ptr<const ItemParts>> NewsEncoder::take_apart(const Item& item, TextUnit unit,
                                                                              const BatchOptions&) const {
    RANKLET_ASSIGN(auto inputs, inputs_of(item));
    auto parts = std::make_unique<Parts>(*this, std::move(inputs));
    RANKLET_TRY(parts->take_apart(unit));
    return std::unique_ptr<const ItemParts>(std::move(parts));
}

RANKLET_FUNC Result<void> NewsEncoder::self_test(const ModelReader& reader) const {
    RANKLET_ASSIGN(const SelfTestItems test, self_test_items(reader));
    RANKLET_ASSIGN(const EncodedItems found, encode_items(test.items, ItemForm::vector, {}));
    return compare_self_test(reader, "ranklet.selftest.vectors", found.rows);
}

RANKLET_COLD RANKLET_FUNC Result<SelfTestItems> NewsEncoder::self_test_items(const ModelReader& reader) const {
    const ModelReader keys = reader.scope("ranklet.selftest.view");
    // All are counted before there is memory for them: a file that says "many" must hold many.
    const std::size_t views = view_count();
    SelfTestItems result;
    std::vector<std::vector<float>> numbers(views);
    std::vector<std::vector<std::string_view>> texts(views);
    std::size_t n = 0;
    for (std::size_t v = 0; v < views; ++v) {
        std::size_t found = 0;
        if (view_kind(v) == ViewKind::vector) {
            RANKLET_ASSIGN(numbers[v], keys.floats(view_name(v)));
            found = numbers[v].size() / view_size(v);
        } else {
            RANKLET_ASSIGN(texts[v], keys.strings(view_name(v)));
            found = texts[v].size();
        }
        if (v == 0) n = found;
        if (found != n || n == 0) return keys.wrong(view_name(v), {" is of ", found, " items, others of ", n});
        if (n > most_self_test_inputs)
            return keys.wrong(view_name(v), {" is of ", n, " items, expected at most ", most_self_test_inputs});
    }
    result.items.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t v = 0; v < views; ++v) {
            const std::string_view name = view_name(v);
            if (view_kind(v) != ViewKind::vector) {
                if (name == "title")
                    result.items[i].text = texts[v][i];
                else
                    result.items[i].attributes.emplace_back(name, texts[v][i]);
            } else if (const float* x = numbers[v].data() + i * view_size(v); !std::isnan(*x)) {
                result.items[i].vectors.emplace_back(name, std::span(x, view_size(v)));
            }
        }
    }
    return result;
}

RANKLET_NAMESPACE_END
#endif
