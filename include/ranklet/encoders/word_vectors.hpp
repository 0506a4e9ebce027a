// WordVectors: text to vector by a table of word vectors (word2vec, GloVe, model2vec, StaticEmbedding): a weighted
// mean. In: UTF-8 texts. Out: vectors [texts, dim]. v = sum_i w_i e_i, divided by the number of tokens or by sum_i w_i
// (as the model file says), less its part along the removed components, normalised if the model says so. A text without
// known words has the zero vector. A text's numbers do not depend on the batch or the number of threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/encoders/load_wordpiece.hpp"
#include "ranklet/encoders/options.hpp"
#include "ranklet/encoders/self_test.hpp"
#include "ranklet/encoders/text_groups.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/embedding.hpp"
#include "ranklet/layers/load.hpp"
#include "ranklet/text/word_tokenizer.hpp"

RANKLET_NAMESPACE_BEGIN

/// What the weighted sum of a text's word vectors is divided by.
enum class WordPooling {
    mean,           ///< the number of tokens, as model2vec and torch.nn.EmbeddingBag do
    weighted_mean,  ///< the sum of the weights
    sum,            ///< nothing
};

/// A value that shares table and vocabulary with its copies.
class WordVectors {
public:
    /// Maps the file; the table stays in it. Error when it holds no word vectors, is damaged, or its self-test gives
    /// other numbers than the file states.
    RANKLET_COLD static Result<WordVectors> load(const std::string& path, const LoadOptions& options = {}) {
        RANKLET_ASSIGN(const GgufFile file, GgufFile::open(path));
        if (options.verify_checksum) RANKLET_TRY(file.verify_checksum());
        RANKLET_ASSIGN(WordVectors words, from_file(file));
        if (options.self_test) RANKLET_TRY(words.self_test(file));
        return words;
    }
    /// Builds the encoder from an open file, without the self-test.
    RANKLET_COLD static Result<WordVectors> from_file(const GgufFile& file) {
        RANKLET_TRY(check_version(file));
        RANKLET_ASSIGN(const auto type, file.string("ranklet.encoder.type"));
        if (type != "word_vectors")
            return make_error(ErrorCode::unsupported,
                              {file.name(), ": ranklet.encoder.type is \"", type, "\", not \"word_vectors\""});
        WordVectors words;
        words.file_ = file;
        RANKLET_TRY(words.load_table(file));
        RANKLET_TRY(words.load_tokenizer(file));
        RANKLET_TRY(words.load_mapping(file));
        RANKLET_TRY(words.load_pooling(file));
        if (file.has_tensor("ranklet.words.token_weight")) {
            RANKLET_ASSIGN(auto weights, load_vector(file, "ranklet.words.token_weight", words.vocabulary_size()));
            RANKLET_TRY(in_file(file, "ranklet.words.token_weight", words.set_weights(std::move(weights))));
        }
        if (file.has_tensor("ranklet.words.component")) {
            RANKLET_ASSIGN(const TensorView tensor, file.tensor("ranklet.words.component"));
            RANKLET_ASSIGN(Matrix rows, load_matrix(file, "ranklet.words.component", tensor.rows, words.dim()));
            RANKLET_TRY(in_file(file, "ranklet.words.component", words.set_components(std::move(rows))));
        }
        return words;
    }

    /// Elements of a text's vector.
    std::size_t dim() const noexcept { return table_.dim(); }
    /// Tokens that the tokenizer knows.
    std::size_t vocabulary_size() const noexcept {
        return wordpiece_ ? wordpiece_->vocabulary_size() : words_->vocabulary_size();
    }
    /// Tokens of a text that count; what follows is not read.
    std::size_t max_length() const noexcept { return max_length_; }
    bool normalizes() const noexcept { return normalize_; }
    WordPooling pooling() const noexcept { return pooling_; }
    /// The weight of each token [vocabulary_size()]; empty: all 1.
    std::span<const float> weights() const noexcept {
        return weights_ ? std::span<const float>(*weights_) : std::span<const float>();
    }
    /// The word-level tokenizer; null when the tokens are WordPiece's.
    const WordTokenizer* word_tokenizer() const noexcept { return words_.get(); }
    /// The WordPiece tokenizer; null when the tokens are whole words.
    const WordPiece* wordpiece() const noexcept { return wordpiece_.get(); }

    /// The same with other weights, one a token, finite and not negative (none: all 1). See encoders/word_weights.hpp.
    RANKLET_COLD Result<WordVectors> with_weights(std::vector<float> weights) const {
        WordVectors result = *this;
        RANKLET_TRY(result.set_weights(std::move(weights)));
        return result;
    }
    /// The same with other components [count, dim] to remove from each vector, each of length 1 (none: nothing is).
    RANKLET_COLD Result<WordVectors> with_components(Matrix components) const {
        WordVectors result = *this;
        RANKLET_TRY(result.set_components(std::move(components)));
        return result;
    }
    /// The same, its vectors normalised or not.
    WordVectors with_normalize(bool normalize) const {
        WordVectors result = *this;
        result.normalize_ = normalize;
        return result;
    }

    /// The tokens whose vectors make up the text's, with their offsets; `out` keeps its memory. Error invalid_text when
    /// the text is not UTF-8.
    Result<void> tokenize(std::string_view text, Encoding& out) const {
        EncodeOptions options;
        options.add_special_tokens = false;
        if (!wordpiece_) {
            options.max_length = max_length_;
            return words_->encode(text, options, out);
        }
        if (!drop_unknown_) options.max_length = max_length_;
        RANKLET_TRY(wordpiece_->encode(text, options, out));
        if (drop_unknown_) {  // then the limit counts the others, as in model2vec
            std::size_t kept = 0;
            for (std::size_t t = 0; t < out.size(); ++t) {
                if (out.ids[t] == wordpiece_->config().unk_id) continue;
                out.ids[kept] = out.ids[t];
                out.type_ids[kept] = out.type_ids[t];
                out.offsets[kept] = out.offsets[t];
                out.words[kept++] = out.words[t];
            }
            out.erase(std::min<std::size_t>(kept, max_length_), out.size());
        }
        return {};
    }

    /// The vector [dim] of tokens (ids below vocabulary_size()) into `out`, which must not be `row`, working memory
    /// [dim]. The zero vector for none.
    void pool(std::span<const std::int32_t> ids, float* out, float* row) const noexcept {
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

    /// The vector [dim] of one text. Error invalid_text when it is not UTF-8.
    Result<std::vector<float>> encode(std::string_view text, const BatchOptions& options = {}) const {
        RANKLET_ASSIGN(const Matrix vectors, encode(std::span<const std::string_view>(&text, 1), options));
        const auto row = vectors.row(0);
        return std::vector<float>(row.begin(), row.end());
    }
    /// The vectors [texts, dim]. Error invalid_text naming the first text that is not UTF-8; missing for a prompt: word
    /// vectors have none.
    Result<Matrix> encode(std::span<const std::string_view> texts, const BatchOptions& options = {}) const {
        RANKLET_ASSIGN(Matrix vectors, Matrix::zeroed(texts.size(), dim()));
        std::vector<AlignedBuffer<float>> rows(resolve_threads(options.threads));
        for (auto& row : rows) {
            RANKLET_ASSIGN(row, AlignedBuffer<float>::zeroed(dim()));
        }
        RANKLET_TRY(for_each_text(texts, options, [&](std::size_t text, const Encoding& tokens, std::size_t thread) {
            pool(tokens.ids, vectors.row(text).data(), rows[thread].data());
        }));
        return vectors;
    }

    /// Calls `sink(text, tokens, thread)` once for each text, from any of the threads, in any order; `tokens` is an
    /// Encoding that is valid during the call. Errors as encode's; with one, some texts may not have been seen.
    template <class Sink>
    Result<void> for_each_text(std::span<const std::string_view> texts, const BatchOptions& options,
                               const Sink& sink) const {
        if (options.prompt && !options.prompt->empty())
            return make_error(ErrorCode::missing, {"the model has no prompt named \"", *options.prompt, "\""});
        constexpr std::size_t group_texts = 64;
        std::vector<Encoding> tokens(group_threads(texts.size(), group_texts, options));
        return for_each_group(texts.size(), group_texts, options,
                              [&](std::size_t first, std::size_t last, std::size_t thread) -> Result<void> {
                                  for (std::size_t text = first; text < last; ++text) {
                                      const auto found = tokenize(texts[text], tokens[thread]);
                                      if (!found.ok())
                                          return make_error(found.error().code,
                                                            {"text ", text, ": ", found.error().message});
                                      sink(text, tokens[thread], thread);
                                  }
                                  return {};
                              });
    }

    /// The file's texts against its token ids and vectors. Error self_test saying what differs.
    RANKLET_COLD Result<void> self_test(const GgufFile& file) const {
        RANKLET_ASSIGN(const auto texts, file.strings("ranklet.selftest.texts"));
        RANKLET_ASSIGN(const auto expected, file.floats("ranklet.selftest.vectors"));
        Encoding tokens;
        const auto ids_of = [&](std::string_view text) -> Result<std::span<const std::int32_t>> {
            RANKLET_TRY(tokenize(text, tokens));
            return std::span<const std::int32_t>(tokens.ids);
        };
        RANKLET_TRY(compare_token_ids(file, texts, ids_of));
        RANKLET_ASSIGN(const Matrix vectors, encode(texts));
        return compare_self_test(file, "ranklet.selftest.vectors", expected,
                                 {vectors.view().data, vectors.rows() * vectors.cols()});
    }

private:
    RANKLET_COLD Result<void> load_table(const GgufFile& file) {
        RANKLET_ASSIGN(const TensorView found, file.tensor("ranklet.words.weight"));
        RANKLET_ASSIGN(const TensorView table, file.tensor("ranklet.words.weight", found.rows, found.cols));
        if (table.rows == 0 || table.cols == 0)
            return make_error(ErrorCode::format, {file.name(), ": ranklet.words.weight is empty"});
        if (table.type == TensorType::i8)
            for (std::size_t r = 0; r < table.rows; ++r)
                if (!(table.scale(r) >= 0.0f && std::isfinite(table.scale(r))))
                    return make_error(ErrorCode::format, {file.name(), ": ranklet.words.weight_scale[", r, "] is ",
                                                          table.scale(r), ", expected a finite number from 0 on"});
        table_ = Embedding(table);
        return {};
    }

    RANKLET_COLD Result<void> load_tokenizer(const GgufFile& file) {
        RANKLET_ASSIGN(const auto kind, file.string("ranklet.words.tokenizer"));
        RANKLET_ASSIGN(const auto unknown, file.string("ranklet.words.unknown"));
        if (kind == "wordpiece") {
            if (unknown != "skip" && unknown != "row")
                return make_error(ErrorCode::unsupported,
                                  {file.name(), ": ranklet.words.unknown is \"", unknown, "\", not skip or row"});
            if (file.has("ranklet.words.stop_words"))
                return make_error(
                    ErrorCode::unsupported,
                    {file.name(), ": ranklet.words.stop_words goes with whole words, not with wordpiece"});
            drop_unknown_ = unknown == "skip";
            RANKLET_ASSIGN(wordpiece_, load_wordpiece(file, {}, false));
            return {};
        }
        if (kind != "words")
            return make_error(ErrorCode::unsupported,
                              {file.name(), ": ranklet.words.tokenizer is \"", kind, "\", not words or wordpiece"});
        WordTokenizerConfig config;
        RANKLET_ASSIGN(config.lowercase, file.boolean("ranklet.words.lowercase"));
        if (unknown == "row") {
            config.unknown = UnknownWord::row;
            RANKLET_ASSIGN(const std::uint32_t id, file.u32("ranklet.words.unknown_id"));
            config.unknown_id =
                static_cast<std::int32_t>(std::min<std::uint32_t>(id, 0x7FFFFFFF));  // create() checks it
        } else if (unknown == "characters") {
            config.unknown = UnknownWord::characters;
        } else if (unknown != "skip") {
            return make_error(ErrorCode::unsupported, {file.name(), ": ranklet.words.unknown is \"", unknown,
                                                       "\", not skip, row or characters"});
        }
        std::vector<std::string_view> stop_words;
        if (file.has("ranklet.words.stop_words")) {
            RANKLET_ASSIGN(stop_words, file.strings("ranklet.words.stop_words"));
        }
        config.stop_words = stop_words;
        RANKLET_ASSIGN(const auto tokens, file.strings("ranklet.words.tokens"));
        RANKLET_ASSIGN(auto tokenizer, in_file(file, "ranklet.words.tokens", WordTokenizer::create(tokens, config)));
        words_ = std::make_shared<const WordTokenizer>(std::move(tokenizer));
        return {};
    }

    // Without a mapping, token i has row i.
    RANKLET_COLD Result<void> load_mapping(const GgufFile& file) {
        const std::size_t tokens = vocabulary_size();
        if (!file.has("ranklet.words.mapping")) {
            if (tokens == table_.count()) return {};
            return make_error(ErrorCode::format, {file.name(), ": ", tokens, " tokens, but ranklet.words.weight has ",
                                                  table_.count(), " rows"});
        }
        RANKLET_ASSIGN(auto mapping, file.u32s("ranklet.words.mapping"));
        if (mapping.size() != tokens)
            return make_error(ErrorCode::format, {file.name(), ": ranklet.words.mapping has ", mapping.size(),
                                                  " entries for ", tokens, " tokens"});
        for (std::size_t t = 0; t < tokens; ++t)
            if (mapping[t] >= table_.count())
                return make_error(ErrorCode::format, {file.name(), ": ranklet.words.mapping[", t, "] is row ",
                                                      mapping[t], " of ", table_.count()});
        mapping_ = std::make_shared<const std::vector<std::uint32_t>>(std::move(mapping));
        return {};
    }

    RANKLET_COLD Result<void> load_pooling(const GgufFile& file) {
        RANKLET_ASSIGN(const auto pooling, file.string("ranklet.words.pooling"));
        if (pooling == "mean")
            pooling_ = WordPooling::mean;
        else if (pooling == "weighted_mean")
            pooling_ = WordPooling::weighted_mean;
        else if (pooling == "sum")
            pooling_ = WordPooling::sum;
        else
            return make_error(ErrorCode::unsupported, {file.name(), ": ranklet.words.pooling is \"", pooling,
                                                       "\", not mean, weighted_mean or sum"});
        RANKLET_ASSIGN(normalize_, file.boolean("ranklet.words.normalize"));
        if (!file.has("ranklet.encoder.max_length")) return {};
        RANKLET_ASSIGN(max_length_, file.u32("ranklet.encoder.max_length"));
        if (max_length_ > 0) return {};
        return make_error(ErrorCode::format, {file.name(), ": ranklet.encoder.max_length is 0"});
    }

    RANKLET_COLD Result<void> set_weights(std::vector<float> weights) {
        if (weights.empty()) {
            weights_ = nullptr;
            return {};
        }
        if (weights.size() != vocabulary_size())
            return make_error(ErrorCode::invalid_argument,
                              {weights.size(), " weights for ", vocabulary_size(), " tokens"});
        for (std::size_t t = 0; t < weights.size(); ++t)
            if (!(weights[t] >= 0.0f && std::isfinite(weights[t])))
                return make_error(ErrorCode::invalid_argument, {"the weight of token ", t, " is ", weights[t],
                                                                ", expected a finite number from 0 on"});
        weights_ = std::make_shared<const std::vector<float>>(std::move(weights));
        return {};
    }

    RANKLET_COLD Result<void> set_components(Matrix components) {
        if (components.rows() == 0) {
            components_ = nullptr;
            return {};
        }
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

    GgufFile file_;  // keeps the table's memory
    Embedding table_;
    std::shared_ptr<const WordTokenizer> words_;  // one of these two
    std::shared_ptr<const WordPiece> wordpiece_;
    std::shared_ptr<const std::vector<std::uint32_t>> mapping_;  // token -> row; null: the same
    std::shared_ptr<const std::vector<float>> weights_;          // null: all 1
    std::shared_ptr<const Matrix> components_;                   // [count, dim]; null: none
    std::size_t max_length_ = std::numeric_limits<std::size_t>::max();
    WordPooling pooling_ = WordPooling::mean;
    bool normalize_ = false;
    bool drop_unknown_ = false;  // WordPiece's [UNK]
};

RANKLET_NAMESPACE_END
