// WordVectors: text to vector by a table of word vectors (word2vec, GloVe, model2vec, StaticEmbedding).
// In: UTF-8 texts. Out: vectors [texts, dim]: v = sum_i w_i e_i, divided by the number of tokens or by sum_i w_i (as the
// model file says), less its part along the removed components, normalised if the model says so. A text without known
// words has the zero vector. A text's numbers do not depend on the batch or the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/function_view.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/text_list.hpp"
#include "ranklet/encoders/item_encoder.hpp"
#include "ranklet/encoders/options.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/layers/embedding.hpp"
#include "ranklet/model_file/load.hpp"
#include "ranklet/text/encoding.hpp"

RANKLET_NAMESPACE_BEGIN

class Tokenizer;
class WordTokenizer;

/// What the weighted sum of a text's word vectors is divided by.
enum class WordPooling {
    mean,           ///< the number of tokens, as model2vec and torch.nn.EmbeddingBag do
    weighted_mean,  ///< the sum of the weights
    sum,            ///< nothing
};

/// A value that shares table and vocabulary with its copies. The table stays in the file. One that was made by default
/// or moved from is empty: what returns a Result is an Error invalid_argument, sizes are 0.
class WordVectors final : public ItemEncoder, public Loadable<WordVectors> {
public:
    static constexpr std::string_view type_name = "word_vectors";  ///< `ranklet.encoder.type`
    RANKLET_COLD static Result<WordVectors> read(const ModelReader& reader, const LoadOptions& options);

    KindId kind() const noexcept override { return kind_id<WordVectors>; }
    /// Elements of a text's vector.
    std::size_t dim() const noexcept override { return table_.dim(); }
    /// Tokens that the tokenizer knows.
    std::size_t vocabulary_size() const noexcept;
    /// Tokens of a text that count; what follows is not read.
    std::size_t max_length() const noexcept { return max_length_; }
    bool normalizes() const noexcept { return normalize_; }
    WordPooling pooling() const noexcept { return pooling_; }
    /// The weight of each token [vocabulary_size()]; empty: all 1.
    std::span<const float> weights() const noexcept {
        return weights_ ? std::span<const float>(*weights_) : std::span<const float>();
    }
    /// The word-level tokenizer; null when the tokens are a Tokenizer's.
    const WordTokenizer* word_tokenizer() const noexcept { return words_.get(); }
    /// The tokenizer of pieces; null when the tokens are whole words.
    const Tokenizer* tokenizer() const noexcept { return pieces_.get(); }

    /// The same with other weights, one a token, finite and not negative (none: all 1). See encoders/word_weights.hpp.
    RANKLET_COLD Result<WordVectors> with_weights(std::vector<float> weights) const;
    /// The same with other components [count, dim] to remove from each vector, each of length 1 (none: nothing is).
    RANKLET_COLD Result<WordVectors> with_components(Matrix components) const;
    /// The same, its vectors normalised or not.
    WordVectors with_normalize(bool normalize) const;

    /// The tokens whose vectors make up the text's, with their offsets; `out` keeps its memory. Error invalid_text when
    /// the text is not UTF-8.
    Result<void> tokenize(std::string_view text, Encoding& out) const;
    /// The vector [dim] of tokens (ids below vocabulary_size()) into `out`, which must not be `row`, working memory
    /// [dim]. The zero vector for none.
    void pool(std::span<const std::int32_t> ids, float* out, float* row) const noexcept;

    /// The vector [dim] of one text. Error invalid_text when it is not UTF-8.
    Result<std::vector<float>> encode(std::string_view text, const BatchOptions& options = {}) const;
    /// The vectors [texts, dim]. With BatchOptions::windows all tokens of a text count, however many: word vectors know no
    /// context, so windows would change nothing. Error invalid_text naming the first text that is not UTF-8; missing for a
    /// prompt: word vectors have none.
    Result<Matrix> encode(TextList texts, const BatchOptions& options = {}) const;
    Result<Matrix> encode(std::initializer_list<std::string_view> texts,
                          const BatchOptions& options = {}) const RANKLET_MEMORY_TRY {
        return encode(TextList(texts), options);
    }
    RANKLET_MEMORY_CATCH
    /// Calls `sink(text, tokens, thread)` once for each text, from any of the threads, in any order, `thread` below
    /// resolve_threads(options.threads); `tokens` is valid during the call. It must not throw, but for an allocation that
    /// fails. Errors as encode's; with one, some texts may not have been seen.
    Result<void> for_each_text(TextList texts, const BatchOptions& options,
                               FunctionView<void(std::size_t, const Encoding&, std::size_t)> sink) const;

    RANKLET_FUNC Result<EncodedItems> encode_items(std::span<const Item> items, ItemForm form,
                                                   const BatchOptions& options) const override;
    RANKLET_COLD RANKLET_FUNC Result<std::unique_ptr<const ItemParts>> take_apart(
        const Item& item, TextUnit unit, const BatchOptions& options) const override;
    /// The file's texts against its token ids and vectors.
    RANKLET_COLD RANKLET_FUNC Result<void> self_test(const ModelReader& reader) const override;
    RANKLET_COLD RANKLET_FUNC Result<SelfTestItems> self_test_items(const ModelReader& reader) const override;

private:
    class Parts;
    static constexpr std::size_t group = 64;  // texts handed to a thread at a time
    // As for_each_text and encode, with errors that do not name the text.
    Result<void> run(TextList texts, const BatchOptions& options,
                     FunctionView<void(std::size_t, const Encoding&, std::size_t)> sink) const;
    // `all`: without a limit. `more`: whether there are others behind it; null where it is not asked for.
    Result<void> tokenize(std::string_view text, bool all, Encoding& out, bool* more) const;
    Result<Matrix> vectors_of(TextList texts, const BatchOptions& options) const;
    RANKLET_COLD Result<void> check_loaded() const;
    Result<void> check_prompt(const BatchOptions& options) const;  // and that it is loaded
    RANKLET_COLD Result<void> read_table(const ModelReader& words);
    RANKLET_COLD Result<void> read_tokenizer(const ModelReader& reader, const ModelReader& words);
    RANKLET_COLD Result<void> read_mapping(const ModelReader& words);
    RANKLET_COLD Result<void> read_pooling(const ModelReader& words, const ModelReader& encoder);
    RANKLET_COLD Result<void> set_weights(std::vector<float> weights);
    RANKLET_COLD Result<void> set_components(Matrix components);

    GgufFile file_;  // keeps the table's memory
    Embedding table_;
    std::shared_ptr<const WordTokenizer> words_;  // one of these two
    std::shared_ptr<const Tokenizer> pieces_;
    std::shared_ptr<const std::vector<std::uint32_t>> mapping_;  // token -> row; null: the same
    std::shared_ptr<const std::vector<float>> weights_;          // null: all 1
    std::shared_ptr<const Matrix> components_;                   // [count, dim]; null: none
    std::size_t max_length_ = std::numeric_limits<std::size_t>::max();
    std::size_t max_tokens_ = std::numeric_limits<std::size_t>::max();  // unknown tokens that are left out included
    WordPooling pooling_ = WordPooling::mean;
    bool normalize_ = false;
    bool drop_unknown_ = false;  // the tokenizer's unknown token
    bool truncated_ = false;     // to fewer numbers than the file's vectors have
};

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <utility>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/groups.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/encoders/text_items.hpp"
#include "ranklet/encoders/token_parts.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/model_file/reader.hpp"
#include "ranklet/model_file/self_test.hpp"
#include "ranklet/model_file/tokenizers.hpp"
#include "ranklet/text/word_tokenizer.hpp"

RANKLET_NAMESPACE_BEGIN

RANKLET_FUNC Result<WordVectors> WordVectors::read(const ModelReader& reader, const LoadOptions& options) {
    RANKLET_TRY(detail::check_encoder_type(reader, type_name));
    const ModelReader words = reader.scope("ranklet.words");
    WordVectors model;
    model.file_ = reader.file();
    RANKLET_TRY(model.read_table(words));
    RANKLET_TRY(model.read_tokenizer(reader, words));
    RANKLET_TRY(model.read_mapping(words));
    RANKLET_TRY(model.read_pooling(words, reader.scope("ranklet.encoder")));
    RANKLET_ASSIGN(auto weights, words.vector_or_none("token_weight", model.vocabulary_size()));
    RANKLET_TRY(words.at("token_weight", model.set_weights(std::move(weights))));
    if (words.has_tensor("component")) {
        RANKLET_ASSIGN(const TensorView tensor, words.tensor("component"));
        RANKLET_ASSIGN(Matrix rows, words.matrix("component", tensor.rows, model.dim()));
        RANKLET_TRY(words.at("component", model.set_components(std::move(rows))));
    }
    RANKLET_TRY(detail::check_truncate_dim(options, model.dim()));
    if (!options.truncate_dim || *options.truncate_dim == model.dim()) return model;
    if (model.components_)  // they are taken out of whole vectors
        return make_error(ErrorCode::unsupported,
                          {reader.file().name(), ": LoadOptions::truncate_dim ", *options.truncate_dim,
                           ": the file takes components out of its vectors, which are of all ", model.dim(), " numbers"});
    // A text's vector is a sum of rows: what is cut off the rows is cut off the sum.
    model.table_ = model.table_.first_columns(*options.truncate_dim);
    model.truncated_ = true;
    return model;
}

RANKLET_FUNC Result<void> WordVectors::read_table(const ModelReader& words) {
    RANKLET_ASSIGN(const TensorView found, words.tensor("weight"));
    RANKLET_ASSIGN(const TensorView table, words.tensor("weight", found.rows, found.cols));
    if (table.rows == 0 || table.cols == 0) return words.wrong("weight", {" is empty"});
    if (table.type == TensorType::i8)
        for (std::size_t r = 0; r < table.rows; ++r)
            if (!(table.scale(r) >= 0.0f && std::isfinite(table.scale(r))))
                return words.wrong("weight_scale",
                                   {"[", r, "] is ", table.scale(r), ", expected a finite number from 0 on"});
    table_ = Embedding(table);
    return {};
}

RANKLET_FUNC Result<void> WordVectors::read_tokenizer(const ModelReader& reader, const ModelReader& words) {
    enum class Form { whole, whole_cut, wordpiece, pieces };  // `whole`: of files that do not say how texts are cut
    RANKLET_ASSIGN(const Form form, words.choice<Form>("tokenizer", {{"words", Form::whole},
                                                                     {"cut_words", Form::whole_cut},
                                                                     {"wordpiece", Form::wordpiece},
                                                                     {"subword", Form::pieces}}));
    if (form == Form::whole || form == Form::whole_cut) {
        if (form == Form::whole_cut) RANKLET_TRY(words.choice("cut", word_cut_names));
        RANKLET_ASSIGN(words_, read_word_tokenizer(reader));
        return {};
    }
    RANKLET_ASSIGN(drop_unknown_, words.choice<bool>("unknown", {{"skip", true}, {"row", false}}));
    if (words.has("stop_words"))
        return words.wrong("stop_words", {" goes with whole words, not with a tokenizer's pieces"},
                           ErrorCode::unsupported);
    if (form == Form::wordpiece) {
        RANKLET_ASSIGN(pieces_, read_wordpiece(reader, false));
    } else {
        RANKLET_ASSIGN(pieces_, read_subword_tokenizer(reader));
    }
    return {};
}

// Without a mapping, token i has row i.
RANKLET_FUNC Result<void> WordVectors::read_mapping(const ModelReader& words) {
    const std::size_t tokens = vocabulary_size();
    if (!words.has("mapping")) {
        if (tokens == table_.count()) return {};
        return make_error(ErrorCode::format, {words.file().name(), ": ", tokens, " tokens, but ", words.full("weight"),
                                              " has ", table_.count(), " rows"});
    }
    RANKLET_ASSIGN(auto mapping, words.u32s("mapping"));
    if (mapping.size() != tokens)
        return words.wrong("mapping", {" has ", mapping.size(), " entries for ", tokens, " tokens"});
    for (std::size_t t = 0; t < tokens; ++t)
        if (mapping[t] >= table_.count())
            return words.wrong("mapping", {"[", t, "] is row ", mapping[t], " of ", table_.count()});
    mapping_ = std::make_shared<const std::vector<std::uint32_t>>(std::move(mapping));
    return {};
}

RANKLET_FUNC Result<void> WordVectors::read_pooling(const ModelReader& words, const ModelReader& encoder) {
    RANKLET_ASSIGN(pooling_, words.choice<WordPooling>("pooling", {{"mean", WordPooling::mean},
                                                                   {"weighted_mean", WordPooling::weighted_mean},
                                                                   {"sum", WordPooling::sum}}));
    RANKLET_ASSIGN(normalize_, words.boolean("normalize"));
    if (words.has("max_tokens")) {
        RANKLET_ASSIGN(max_tokens_, words.u32_in("max_tokens", 1, static_cast<std::uint32_t>(-1)));
    }
    if (!encoder.has("max_length")) return {};
    RANKLET_ASSIGN(max_length_, encoder.u32_in("max_length", 1, static_cast<std::uint32_t>(-1)));
    return {};
}

RANKLET_FUNC Result<void> WordVectors::set_weights(std::vector<float> weights) {
    weights_ = nullptr;
    if (weights.empty()) return {};
    if (weights.size() != vocabulary_size())
        return make_error(ErrorCode::invalid_argument, {weights.size(), " weights for ", vocabulary_size(), " tokens"});
    for (std::size_t t = 0; t < weights.size(); ++t)
        if (!(weights[t] >= 0.0f && std::isfinite(weights[t])))
            return make_error(ErrorCode::invalid_argument,
                              {"the weight of token ", t, " is ", weights[t], ", expected a finite number from 0 on"});
    weights_ = std::make_shared<const std::vector<float>>(std::move(weights));
    return {};
}

RANKLET_FUNC Result<void> WordVectors::set_components(Matrix components) {
    components_ = nullptr;
    if (components.rows() == 0) return {};
    if (components.cols() != dim())
        return make_error(ErrorCode::invalid_argument,
                          {"components of ", components.cols(), " elements, the vectors have ", dim()});
    for (std::size_t c = 0; c < components.rows(); ++c) {
        const float* row = components.row(c).data();
        const float length = kernels::Ops<float>::dot(row, row, dim());
        if (!(std::abs(length - 1.0f) < 1e-3f))  // removing a longer one would not be a projection
            return make_error(ErrorCode::invalid_argument,
                              {"component ", c, " has the squared length ", length, ", expected 1"});
    }
    components_ = std::make_shared<const Matrix>(std::move(components));
    return {};
}

RANKLET_FUNC std::size_t WordVectors::vocabulary_size() const noexcept {
    return pieces_ ? pieces_->vocabulary_size() : words_ ? words_->vocabulary_size() : 0;
}
RANKLET_FUNC Result<WordVectors> WordVectors::with_weights(std::vector<float> weights) const RANKLET_MEMORY_TRY {
    RANKLET_TRY(check_loaded());
    WordVectors result = *this;
    RANKLET_TRY(result.set_weights(std::move(weights)));
    return result;
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<WordVectors> WordVectors::with_components(Matrix components) const RANKLET_MEMORY_TRY {
    RANKLET_TRY(check_loaded());
    WordVectors result = *this;
    RANKLET_TRY(result.set_components(std::move(components)));
    return result;
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC WordVectors WordVectors::with_normalize(bool normalize) const {
    WordVectors result = *this;
    result.normalize_ = normalize;
    return result;
}

RANKLET_FUNC Result<void> WordVectors::tokenize(std::string_view text, Encoding& out) const RANKLET_MEMORY_TRY {
    return tokenize(text, false, out, nullptr);
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<void> WordVectors::tokenize(std::string_view text, bool all, Encoding& out,
                                                bool* more) const RANKLET_MEMORY_TRY {
    RANKLET_TRY(check_loaded());
    constexpr std::size_t no_limit = EncodeOptions().max_length;
    const std::size_t limit = all ? no_limit : drop_unknown_ ? max_tokens_ : max_length_;
    EncodeOptions options;
    options.add_special_tokens = false;
    options.max_length =
        more != nullptr && limit < no_limit ? limit + 1 : limit;  // one more shows whether there are others
    RANKLET_TRY(pieces_ ? pieces_->encode(text, options, out) : words_->encode(text, options, out));
    if (more != nullptr) *more = out.size() > limit;
    if (out.size() > limit) out.erase(limit, out.size());
    if (!drop_unknown_) return {};
    const std::size_t most = all ? no_limit : max_length_;
    const std::int32_t unknown = pieces_->unknown_id();
    std::size_t kept = 0;  // the limit counts the others, as in model2vec
    for (std::size_t t = 0; t < out.size(); ++t) {
        if (out.ids[t] == unknown) continue;
        out.ids[kept] = out.ids[t];
        out.type_ids[kept] = out.type_ids[t];
        out.offsets[kept] = out.offsets[t];
        out.words[kept++] = out.words[t];
    }
    if (more != nullptr) *more = *more || kept > most;
    out.erase(std::min<std::size_t>(kept, most), out.size());
    return {};
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC void WordVectors::pool(std::span<const std::int32_t> ids, float* out, float* row) const noexcept {
    using Ops = kernels::Ops<float>;
    const std::size_t n = dim();
    std::fill_n(out, n, 0.0f);
    float total = 0.0f;
    for (const std::int32_t id : ids) {
        const auto token = static_cast<std::size_t>(id);
        const float weight = weights_ ? (*weights_)[token] : 1.0f;
        table_.row(mapping_ ? (*mapping_)[token] : token, row);
        Ops::multiply_add(weight, row, out, out, n);
        total += weight;
    }
    if (pooling_ == WordPooling::mean) total = static_cast<float>(ids.size());
    if (pooling_ != WordPooling::sum && total > 0.0f)
        for (std::size_t i = 0; i < n; ++i) out[i] /= total;
    if (components_)
        for (std::size_t c = 0; c < components_->rows(); ++c) {
            const float* component = components_->row(c).data();
            Ops::multiply_add(-Ops::dot(out, component, n), component, out, out, n);
        }
    if (normalize_) Ops::normalize(out, n);
}

RANKLET_FUNC Result<std::vector<float>> WordVectors::encode(std::string_view text,
                                                            const BatchOptions& options) const RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(const Matrix vectors, encode(std::span(&text, 1), options));
    const auto row = vectors.row(0);
    return std::vector<float>(row.begin(), row.end());
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<Matrix> WordVectors::encode(TextList texts, const BatchOptions& options) const RANKLET_MEMORY_TRY {
    return detail::name_input(vectors_of(texts, options), "text");
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<void> WordVectors::for_each_text(
    TextList texts, const BatchOptions& options,
    FunctionView<void(std::size_t, const Encoding&, std::size_t)> sink) const RANKLET_MEMORY_TRY {
    return detail::name_input(run(texts, options, sink), "text");
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<void> WordVectors::check_loaded() const {
    if (words_ || pieces_) return {};
    return detail::empty_object("the encoder");
}
RANKLET_FUNC Result<void> WordVectors::check_prompt(const BatchOptions& options) const {
    RANKLET_TRY(check_loaded());
    if (!options.prompt || options.prompt->empty()) return {};
    return make_error(ErrorCode::missing, {"the model has no prompt named \"", *options.prompt, "\""});
}
RANKLET_FUNC Result<void> WordVectors::run(TextList texts, const BatchOptions& options,
                                           FunctionView<void(std::size_t, const Encoding&, std::size_t)> sink) const {
    RANKLET_TRY(check_prompt(options));
    if (!options.read.empty() && options.read.size() != texts.size())
        return detail::wrong_read_size(options.read.size(), texts.size());
    const bool all = options.windows.has_value();
    std::vector<Encoding> tokens(detail::group_threads(texts.size(), group, options.threads));
    return detail::for_each_group(
        texts.size(), group, options, detail::text_work(texts),
        [&](std::size_t first, std::size_t last, std::size_t thread) -> Result<void> {
            for (std::size_t text = first; text < last; ++text) {
                bool more = false;
                const auto found = tokenize(texts[text], all, tokens[thread], options.read.empty() ? nullptr : &more);
                if (!found.ok()) return about_input(found.error(), text);
                if (!options.read.empty())
                    options.read[text] = detail::text_read(texts[text], tokens[thread].offsets, more);
                sink(text, tokens[thread], thread);
            }
            return {};
        });
}
RANKLET_FUNC Result<Matrix> WordVectors::vectors_of(TextList texts, const BatchOptions& options) const {
    RANKLET_ASSIGN(Matrix vectors, Matrix::zeroed(texts.size(), dim()));
    std::vector<AlignedBuffer<float>> rows(detail::group_threads(texts.size(), group, options.threads));
    for (auto& row : rows) {
        RANKLET_ASSIGN(row, AlignedBuffer<float>::zeroed(dim()));
    }
    RANKLET_TRY(run(texts, options, [&](std::size_t text, const Encoding& tokens, std::size_t thread) {
        pool(tokens.ids, vectors.row(text).data(), rows[thread].data());
    }));
    return vectors;
}

RANKLET_FUNC Result<EncodedItems> WordVectors::encode_items(std::span<const Item> items, ItemForm form,
                                                            const BatchOptions& options) const {
    if (form != ItemForm::vector) return make_error(ErrorCode::unsupported, {"word vectors have no states of tokens"});
    RANKLET_TRY(detail::check_no_vectors(items));
    EncodedItems encoded;
    RANKLET_ASSIGN(encoded.rows, vectors_of(detail::texts_of(items), options));
    return encoded;
}

class WordVectors::Parts final : public detail::TokenParts {
public:
    Parts(WordVectors words, std::string_view text, const Encoding& encoding, TextUnit unit)
        : TokenParts(text, encoding, 0, unit), words_(std::move(words)) {}

private:
    Result<EncodedItems> encode_sequences(std::span<const std::vector<std::int32_t>> sequences, ItemForm,
                                          const BatchOptions&) const override {
        EncodedItems encoded;
        RANKLET_ASSIGN(encoded.rows, Matrix::zeroed(sequences.size(), words_.dim()));
        std::vector<float> row(words_.dim());
        for (std::size_t s = 0; s < sequences.size(); ++s)
            words_.pool(sequences[s], encoded.rows.row(s).data(), row.data());
        return encoded;
    }
    WordVectors words_;
};

RANKLET_FUNC Result<std::unique_ptr<const ItemParts>> WordVectors::take_apart(const Item& item, TextUnit unit,
                                                                              const BatchOptions& options) const {
    RANKLET_TRY(detail::check_no_vectors(std::span(&item, 1)));
    RANKLET_TRY(check_prompt(options));
    Encoding encoding;
    RANKLET_TRY(tokenize(item.text, encoding));
    return std::unique_ptr<const ItemParts>(std::make_unique<const Parts>(*this, item.text, encoding, unit));
}

RANKLET_FUNC Result<void> WordVectors::self_test(const ModelReader& reader) const {
    RANKLET_ASSIGN(const auto texts, reader.strings("ranklet.selftest.texts"));
    Encoding tokens;
    const auto ids_of = [&](std::string_view text) -> Result<std::span<const std::int32_t>> {
        RANKLET_TRY(tokenize(text, tokens));
        return std::span<const std::int32_t>(tokens.ids);
    };
    RANKLET_TRY(compare_token_ids(reader, texts, ids_of));
    RANKLET_ASSIGN(const Matrix vectors, encode(texts));
    if (truncated_) return compare_truncated_self_test(reader, "ranklet.selftest.vectors", vectors, normalize_);
    return compare_self_test(reader, "ranklet.selftest.vectors", vectors);
}
RANKLET_COLD RANKLET_FUNC Result<SelfTestItems> WordVectors::self_test_items(const ModelReader& reader) const {
    return detail::self_test_texts(reader);
}

RANKLET_NAMESPACE_END
#endif
