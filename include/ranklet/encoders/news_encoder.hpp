// NewsEncoder: an item's views (title, body, category, subcategory, vectors of other modalities) to one vector.
//   each view: a text (TextView), a category (a row of a table), or a given vector; then, if stated, a dense layer
//   joined by: concatenation (LSTUR, An et al. 2019), attention over the views (NAML, Wu et al. 2019), or a gated sum
//              sum over v of sigmoid(G_v [x_1 ... x_n] + g_v) * tanh(P_v x_v + p_v)   (GMU, Arevalo et al. 2017)
//   then, if stated, a projection.
// In: inputs of each view. Out: vectors [items, dim]; an item's does not depend on its batch or the number of threads.
// What is missing has a meaning: a text is empty; a category that is unknown or not given is row 0; a vector that is
// not given is the model's `missing` vector, zero where it has none.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/encoders/options.hpp"
#include "ranklet/encoders/self_test.hpp"
#include "ranklet/encoders/text_groups.hpp"
#include "ranklet/encoders/text_view.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/layers/load_attention.hpp"
#include "ranklet/text/word_tokenizer.hpp"

RANKLET_NAMESPACE_BEGIN

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

class NewsEncoder {
public:
    enum class ViewKind { text, category, vector };

    RANKLET_COLD static Result<NewsEncoder> from_file(const GgufFile& file) {
        RANKLET_TRY(check_version(file));
        NewsEncoder encoder;
        encoder.file_ = file;
        RANKLET_TRY(encoder.load_words(file));
        RANKLET_ASSIGN(const auto names, file.strings("ranklet.news.views"));
        if (names.empty() || names.size() > 64)
            return make_error(ErrorCode::format,
                              {file.name(), ": ranklet.news.views has ", names.size(), " views, expected 1 to 64"});
        for (const std::string_view name : names) {
            if (encoder.find_view(name) < encoder.views_.size())
                return make_error(ErrorCode::format, {file.name(), ": ranklet.news.views has \"", name, "\" twice"});
            RANKLET_TRY(encoder.load_view(file, std::string(name)));
        }
        RANKLET_TRY(encoder.load_join(file));
        return encoder;
    }

    /// Elements of an item's vector.
    std::size_t dim() const noexcept { return projection_ ? projection_->out() : joined_; }
    std::size_t view_count() const noexcept { return views_.size(); }
    /// Precondition: view < view_count().
    std::string_view view_name(std::size_t view) const noexcept { return views_[view].name; }
    ViewKind view_kind(std::size_t view) const noexcept { return views_[view].kind; }
    /// Elements of what a vector view is given; 0 for other kinds.
    std::size_t view_size(std::size_t view) const noexcept { return views_[view].size; }
    /// The view of this name, view_count() when there is none.
    std::size_t find_view(std::string_view name) const noexcept {
        std::size_t v = 0;
        while (v < views_.size() && views_[v].name != name) ++v;
        return v;
    }
    const WordTokenizer& tokenizer() const noexcept { return *tokenizer_; }

    /// Vectors of texts that are the view "title" and nothing else (every other view is missing). Error invalid_text
    /// naming the first that is not UTF-8, missing for a prompt, which news models do not have, unsupported when no
    /// view is "title".
    Result<Matrix> encode(std::span<const std::string_view> texts, const BatchOptions& options = {}) const {
        const std::size_t title = find_view("title");
        if (title == views_.size() || views_[title].kind != ViewKind::text)
            return Error{ErrorCode::unsupported, "the model reads no title: a text alone is no item to it"};
        std::vector<ViewInput> inputs(texts.size() * views_.size());
        for (std::size_t t = 0; t < texts.size(); ++t) inputs[t * views_.size() + title].text = texts[t];
        return encode_inputs(inputs, options);
    }
    /// Vectors of items: `inputs` [items * view_count()], each item's views in the model's order. Errors: invalid_text
    /// for a text that is not UTF-8, invalid_argument for a vector of another size or that is not finite; they name the
    /// view and the item: as `item "ID"` by `ids` [items], as `text N` without.
    Result<Matrix> encode_inputs(std::span<const ViewInput> inputs, const BatchOptions& options = {},
                                 std::span<const std::string> ids = {}) const {
        if (options.prompt && !options.prompt->empty())
            return make_error(ErrorCode::missing, {"the model has no prompt \"", *options.prompt, "\""});
        if (inputs.size() % views_.size() != 0)
            return make_error(ErrorCode::invalid_argument,
                              {inputs.size(), " inputs are not those of items with ", views_.size(), " views"});
        const std::size_t n = inputs.size() / views_.size();
        if (!ids.empty() && ids.size() != n)
            return make_error(ErrorCode::invalid_argument, {ids.size(), " ids came with ", n, " items"});
        RANKLET_ASSIGN(Matrix vectors, Matrix::zeroed(n, dim()));
        std::vector<Worker> workers(group_threads(n, group, options));
        RANKLET_TRY(for_each_group(
            n, group, options, [&](std::size_t first, std::size_t last, std::size_t thread) -> Result<void> {
                for (std::size_t i = first; i < last; ++i) {
                    const auto status = encode_item(inputs.subspan(i * views_.size(), views_.size()),
                                                    vectors.row(i).data(), workers[thread]);
                    if (status.ok()) continue;
                    if (ids.empty()) return make_error(status.error().code, {"text ", i, ": ", status.error().message});
                    return make_error(status.error().code, {"item \"", ids[i], "\": ", status.error().message});
                }
                return {};
            }));
        return vectors;
    }

    /// Where attention lies in one item's vector, view by view. `inputs` [view_count()]. Errors as encode_inputs has.
    RANKLET_COLD Result<std::vector<ViewAttention>> attention(std::span<const ViewInput> inputs) const {
        if (inputs.size() != views_.size())
            return make_error(ErrorCode::invalid_argument,
                              {inputs.size(), " inputs are not those of an item with ", views_.size(), " views"});
        std::vector<ViewAttention> result(views_.size());
        std::vector<float> vector(dim());
        Worker worker;
        RANKLET_TRY(encode_item(inputs, vector.data(), worker, result));
        return result;
    }
    /// The words of a text as the view reads them. Precondition: view < view_count(), and it is a text.
    Result<void> tokenize(std::size_t view, std::string_view text, Encoding& out) const {
        EncodeOptions options;
        options.max_length = views_[view].text.max_length();
        const auto status = tokenizer_->encode(text, options, out);
        if (!status.ok()) return make_error(status.error().code, {views_[view].name, ": ", status.error().message});
        return {};
    }

    /// The file's inputs against its token ids and vectors. Error self_test saying what differs.
    RANKLET_COLD Result<void> self_test(const GgufFile& file) const {
        RANKLET_ASSIGN(const auto inputs, self_test_inputs(file));
        RANKLET_ASSIGN(const auto expected, file.floats("ranklet.selftest.vectors"));
        RANKLET_ASSIGN(const Matrix vectors, encode_inputs(inputs));
        return compare_self_test(file, "ranklet.selftest.vectors", expected,
                                 {vectors.view().data, vectors.rows() * vectors.cols()});
    }
    /// The inputs of the file's self-test: `ranklet.selftest.view.NAME` strings, or floats [items * size] where NaN
    /// stands for missing. They look into the file and into this encoder.
    RANKLET_COLD Result<std::vector<ViewInput>> self_test_inputs(const GgufFile& file) const {
        // All are counted before there is memory for them: a file that says "many" must hold many.
        std::vector<std::vector<std::string_view>> texts(views_.size());
        std::size_t n = 0;
        for (std::size_t v = 0; v < views_.size(); ++v) {
            const View& view = views_[v];
            const std::string key = "ranklet.selftest.view." + view.name;
            std::size_t found = 0;
            if (view.kind == ViewKind::vector) {
                found = view.self_test.size() / view.size;
            } else {
                RANKLET_ASSIGN(texts[v], file.strings(key));
                found = texts[v].size();
            }
            if (v == 0) n = found;
            if (found != n || n == 0)
                return make_error(ErrorCode::format,
                                  {file.name(), ": ", key, " is of ", found, " items, others of ", n});
        }
        std::vector<ViewInput> inputs(n * views_.size());
        for (std::size_t v = 0; v < views_.size(); ++v) {
            const View& view = views_[v];
            for (std::size_t i = 0; i < n; ++i) {
                ViewInput& input = inputs[i * views_.size() + v];
                if (view.kind != ViewKind::vector)
                    input.text = texts[v][i];
                else if (!std::isnan(view.self_test[i * view.size]))
                    input.vector = std::span<const float>(view.self_test).subspan(i * view.size, view.size);
            }
        }
        return inputs;
    }

private:
    static constexpr std::size_t group = 16;                 // items handed to a thread at a time
    static constexpr std::size_t most_elements = 1'000'000;  // of all views: an item's share of a thread's scratch

    struct View {
        std::string name;
        ViewKind kind = ViewKind::text;
        TextView text;
        std::map<std::string, std::size_t, std::less<>> rows;  // of a category's table
        Embedding table;
        std::size_t size = 0;        // of a given vector
        std::vector<float> missing;  // [size], or empty: zeros
        std::vector<float> self_test;
        std::optional<Linear<>> dense;
        Activation activation = Activation::identity;
        std::size_t raw = 0;  // elements before the dense layer
        Linear<> value, gate;

        std::size_t dim() const noexcept { return dense ? dense->out() : raw; }
    };
    enum class Join { concatenate, attention, gated };
    struct Worker {
        std::vector<Encoding> words;  // of each view that is a text
        Scratch scratch;
    };

    RANKLET_COLD Result<void> load_words(const GgufFile& file) {
        RANKLET_ASSIGN(const auto tokens, file.strings("ranklet.words.tokens"));
        WordTokenizerConfig config;
        RANKLET_ASSIGN(config.lowercase, file.boolean("ranklet.words.lowercase"));
        RANKLET_ASSIGN(const auto unknown, file.string("ranklet.words.unknown"));
        if (unknown == "row") {
            config.unknown = UnknownWord::row;
            RANKLET_ASSIGN(const std::uint32_t id, file.u32("ranklet.words.unknown_id"));
            config.unknown_id = static_cast<std::int32_t>(std::min(id, std::uint32_t{0x7FFFFFFF}));
        } else if (unknown == "characters") {
            config.unknown = UnknownWord::characters;
        } else if (unknown != "skip") {
            return make_error(ErrorCode::unsupported, {file.name(), ": ranklet.words.unknown is \"", unknown,
                                                       "\", expected skip, row or characters"});
        }
        RANKLET_ASSIGN(auto tokenizer, in_file(file, "ranklet.words.tokens", WordTokenizer::create(tokens, config)));
        tokenizer_ = std::make_shared<const WordTokenizer>(std::move(tokenizer));
        RANKLET_ASSIGN(const TensorView table, file.tensor("ranklet.words.weight"));
        if (table.rows != tokens.size())
            return make_error(ErrorCode::format, {file.name(), ": ", tokens.size(), " words, ranklet.words.weight has ",
                                                  table.rows, " rows"});
        RANKLET_ASSIGN(const std::uint32_t pad, file.u32("ranklet.words.padding_id"));
        if (pad >= table.rows)
            return make_error(ErrorCode::format,
                              {file.name(), ": ranklet.words.padding_id is ", pad, " of ", table.rows});
        padding_id_ = static_cast<std::int32_t>(pad);
        words_ = Embedding(table);
        return {};
    }

    RANKLET_COLD Result<void> load_view(const GgufFile& file, const std::string& name) {
        View view;
        view.name = name;
        const std::string prefix = "ranklet.news." + name;
        RANKLET_ASSIGN(const auto kind, file.string(prefix + ".kind"));
        if (kind == "text") {
            RANKLET_ASSIGN(view.text, TextView::load(file, prefix, words_.dim()));
            view.raw = view.text.dim();
        } else if (kind == "category") {
            view.kind = ViewKind::category;
            RANKLET_ASSIGN(const auto values, file.strings(prefix + ".values"));
            RANKLET_ASSIGN(const TensorView table, file.tensor(prefix + ".embd.weight"));
            if (table.rows != values.size() + 1)
                return make_error(ErrorCode::format, {file.name(), ": ", prefix, ".embd.weight has ", table.rows,
                                                      " rows, expected one for each of ", values.size(),
                                                      " values after that of unknown ones"});
            for (std::size_t i = 0; i < values.size(); ++i)
                if (!view.rows.emplace(values[i], i + 1).second)
                    return make_error(ErrorCode::format,
                                      {file.name(), ": ", prefix, ".values has \"", values[i], "\" twice"});
            view.table = Embedding(table);
            view.raw = table.cols;
        } else if (kind == "vector") {
            view.kind = ViewKind::vector;
            RANKLET_ASSIGN(view.size, file.u32(prefix + ".size"));
            if (view.size == 0 || view.size > most_elements)
                return make_error(ErrorCode::format, {file.name(), ": ", prefix, ".size is ", view.size,
                                                      ", expected 1 to ", most_elements});
            if (file.has_tensor(prefix + ".missing")) {
                RANKLET_ASSIGN(view.missing, load_vector(file, prefix + ".missing", view.size));
            }
            const std::string key = "ranklet.selftest.view." + name;
            if (file.has(key)) {
                RANKLET_ASSIGN(view.self_test, file.floats(key));
            }
            view.raw = view.size;
        } else {
            return make_error(ErrorCode::unsupported, {file.name(), ": ", prefix, ".kind is \"", kind,
                                                       "\", expected text, category or vector"});
        }
        if (file.has_tensor(prefix + ".dense.weight")) {
            RANKLET_ASSIGN(view.dense, load_linear_any(file, prefix + ".dense", view.raw));
            RANKLET_ASSIGN(const auto activation, file.string(prefix + ".dense.activation"));
            RANKLET_ASSIGN(view.activation, in_file(file, prefix, parse_activation(activation)));
        }
        total_ += view.dim();
        if (total_ > most_elements)
            return make_error(ErrorCode::format, {file.name(), ": ", prefix, ": the views up to this one have ", total_,
                                                  " elements, expected at most ", most_elements});
        views_.push_back(std::move(view));
        return {};
    }

    RANKLET_COLD Result<void> load_join(const GgufFile& file) {
        RANKLET_ASSIGN(const auto join, file.string("ranklet.news.join"));
        joined_ = total_;
        if (join == "attention") {
            join_ = Join::attention;
            joined_ = views_.front().dim();
            for (const View& view : views_)
                if (view.dim() != joined_)
                    return make_error(ErrorCode::format, {file.name(), ": views of ", joined_, " and of ", view.dim(),
                                                          " elements (", view.name, ") cannot be joined by attention"});
            RANKLET_ASSIGN(pool_, load_attention_pooling(file, "ranklet.news.join.pool", joined_, 0));
        } else if (join == "gated") {
            join_ = Join::gated;
            RANKLET_ASSIGN(joined_, tensor_rows(file, "ranklet.news.join." + views_.front().name + ".value.weight"));
            for (View& view : views_) {
                const std::string prefix = "ranklet.news.join." + view.name;
                RANKLET_ASSIGN(view.value, load_linear(file, prefix + ".value", view.dim(), joined_));
                RANKLET_ASSIGN(view.gate, load_linear(file, prefix + ".gate", total_, joined_));
            }
        } else if (join != "concatenate") {
            return make_error(ErrorCode::unsupported, {file.name(), ": ranklet.news.join is \"", join,
                                                       "\", expected concatenate, attention or gated"});
        }
        if (file.has_tensor("ranklet.news.proj.weight")) {
            RANKLET_ASSIGN(projection_, load_linear_any(file, "ranklet.news.proj", joined_));
        }
        return {};
    }

    // Scratch is for the words that the item has, not for those that a file says it could have.
    // `attention` [views] or empty: not wanted.
    Result<void> encode_item(std::span<const ViewInput> inputs, float* out, Worker& worker,
                             std::span<ViewAttention> attention = {}) const {
        worker.words.resize(views_.size());
        std::size_t inner = 0;
        for (const View& view : views_) {
            const std::size_t i = static_cast<std::size_t>(&view - views_.data());
            std::size_t needed = scratch_bytes<float>(view.raw);
            if (view.kind == ViewKind::text) {
                if (inputs[i].word_ids) {
                    RANKLET_TRY(check_ids(view, *inputs[i].word_ids));
                    worker.words[i].ids.assign(inputs[i].word_ids->begin(), inputs[i].word_ids->end());
                } else {
                    RANKLET_TRY(tokenize(i, inputs[i].text, worker.words[i]));
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
        inner = std::max(
            inner, join_ == Join::attention ? pool_.scratch_size(views_.size()) : 2 * scratch_bytes<float>(joined_));
        RANKLET_TRY(worker.scratch.reserve(scratch_bytes<float>(total_) + scratch_bytes<float>(joined_) + inner));
        const ScratchFrame frame(worker.scratch);
        float* all = worker.scratch.take<float>(total_);
        float* next = all;
        for (std::size_t v = 0; v < views_.size(); ++v) {
            const View& view = views_[v];
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
        if (!attention.empty() && join_ == Join::attention) weights.resize(views_.size());
        join(all, out, weights.empty() ? nullptr : weights.data(), worker.scratch);
        for (std::size_t v = 0; v < weights.size(); ++v) attention[v].weight = weights[v];
        return {};
    }
    Result<void> check_ids(const View& view, std::span<const std::int32_t> ids) const {
        if (ids.size() > view.text.max_length())
            return make_error(ErrorCode::invalid_argument,
                              {view.name, ": ", ids.size(), " words, it reads ", view.text.max_length()});
        for (const std::int32_t id : ids)
            if (id < 0 || static_cast<std::size_t>(id) >= tokenizer_->vocabulary_size())
                return make_error(ErrorCode::invalid_argument, {view.name, ": there is no word ", id});
        return {};
    }

    /// `weights` [ids]: null where they are not wanted or the view has none.
    void forward_view(const View& view, const ViewInput& input, std::span<const std::int32_t> ids, float* out,
                      float* weights, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        float* raw = view.dense ? scratch.take<float>(view.raw) : out;
        if (view.kind == ViewKind::text) {
            view.text.forward(words_, ids, padding_id_, raw, weights, scratch);
        } else if (view.kind == ViewKind::category) {
            view.table.row(row_of(view, input.text), raw);
        } else {
            const std::span<const float> given = input.vector.empty() ? view.missing : input.vector;
            std::fill(std::copy(given.begin(), given.end(), raw), raw + view.raw, 0.0f);
        }
        if (view.dense) view.dense->forward({raw, 1, view.raw}, {out, 1, view.dense->out()}, view.activation);
    }
    static std::size_t row_of(const View& view, std::string_view value) noexcept {
        const auto found = view.rows.find(value);
        return found == view.rows.end() ? 0 : found->second;
    }

    /// `weights` [views]: null where they are not wanted; written where views are joined by attention.
    void join(const float* all, float* out, float* weights, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        float* joined = projection_ ? scratch.take<float>(joined_) : out;
        if (join_ == Join::concatenate) {
            std::copy_n(all, total_, joined);
        } else if (join_ == Join::attention) {
            pool_.forward({all, views_.size(), joined_}, nullptr, {}, joined, weights, scratch);
        } else {
            float* value = scratch.take<float>(joined_);
            float* gate = scratch.take<float>(joined_);
            std::fill_n(joined, joined_, 0.0f);
            const float* own = all;
            for (const View& view : views_) {
                view.value.forward({own, 1, view.dim()}, {value, 1, joined_}, Activation::tanh);
                view.gate.forward({all, 1, total_}, {gate, 1, joined_}, Activation::sigmoid);
                kernels::Ops<float>::add_product(value, gate, joined, joined_);
                own += view.dim();
            }
        }
        if (projection_) projection_->forward({joined, 1, joined_}, {out, 1, projection_->out()});
    }

    GgufFile file_;  // keeps the tables' memory
    std::shared_ptr<const WordTokenizer> tokenizer_;
    Embedding words_;
    std::int32_t padding_id_ = 0;
    std::vector<View> views_;
    Join join_ = Join::concatenate;
    AttentionPooling<> pool_;
    std::size_t total_ = 0, joined_ = 0;  // elements of all views; of what they are joined to
    std::optional<Linear<>> projection_;
};

RANKLET_NAMESPACE_END
