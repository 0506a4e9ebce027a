// HybridEncoder: a text's dense vector, its sparse (lexical) weights and a vector for each token, of one forward pass.
// In: UTF-8 texts. Out: HybridVectors. BGE-M3 (Chen et al. 2024), as FlagEmbedding computes it: a token weighs
// relu(w . state + b), a text has of each token the largest weight that it has there.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/text_list.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/encoders/options.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/model_file/load.hpp"

RANKLET_NAMESPACE_BEGIN

/// How much a token of the vocabulary weighs in a text.
struct TokenWeight {
    std::int32_t id = 0;
    float weight = 0.0f;  ///< above 0
    friend bool operator==(const TokenWeight&, const TokenWeight&) = default;
};

/// Which vectors are made beside the dense one.
struct HybridForms {
    bool sparse = true;
    bool token_vectors = false;
};

/// What a HybridEncoder makes of texts.
struct HybridVectors {
    Matrix dense;                                  ///< [texts, Bert::dim()]
    std::vector<std::vector<TokenWeight>> sparse;  ///< of each text, by ascending id; empty if not asked for
    /// Of each text's tokens but the first, one text after the other [tokens, token_dim()]: text t has the rows from
    /// token_offsets[t] to token_offsets[t + 1]. Empty if not asked for.
    Matrix token_vectors;
    std::vector<std::size_t> token_offsets;

    /// One text's token vectors. Precondition: they were asked for.
    MatrixView<const float> tokens_of(std::size_t text) const noexcept {
        return token_vectors.view().middle_rows(token_offsets[text], token_offsets[text + 1] - token_offsets[text]);
    }
};

/// The lexical score of two texts: the sum over the tokens that both have of the weights' products. Precondition: ids ascend.
inline float lexical_score(std::span<const TokenWeight> a, std::span<const TokenWeight> b) noexcept {
    double sum = 0.0;  // a product of two floats is exact in it: the same with fused multiply-add and without
    for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
        if (a[i].id == b[j].id) sum += static_cast<double>(a[i++].weight) * static_cast<double>(b[j++].weight);
        else if (a[i].id < b[j].id) ++i;
        else ++j;
    }
    return static_cast<float>(sum);
}

/// The score of late interaction (Khattab and Zaharia 2020), divided by the query's tokens: the mean over them of the largest
/// product with a token of the document. 0 where either has no token. Precondition: as many columns.
inline float late_interaction_score(MatrixView<const float> query, MatrixView<const float> document) noexcept {
    if (query.rows == 0 || document.rows == 0) return 0.0f;
    double sum = 0.0;
    for (std::size_t q = 0; q < query.rows; ++q) {
        float best = kernels::Ops<float>::dot(query.row(q).data(), document.row(0).data(), query.cols);
        for (std::size_t d = 1; d < document.rows; ++d)
            best = std::max(best, kernels::Ops<float>::dot(query.row(q).data(), document.row(d).data(), query.cols));
        sum += static_cast<double>(best);
    }
    return static_cast<float>(sum / static_cast<double>(query.rows));
}

/// Immutable once loaded; any number of threads may use one; copies share the weights. A text's vectors do not depend on the
/// batch or the number of threads. The same file loads as a Bert, which makes the dense vector alone.
/// One that was made by default or moved from is empty: what returns a Result is an Error invalid_argument.
class HybridEncoder : public Loadable<HybridEncoder> {
public:
    // load, from_file, from_memory: errors as Bert's; missing when the file has neither sparse weights nor token vectors,
    // unsupported when its pooling leaves prompts out.
    RANKLET_COLD static Result<HybridEncoder> read(const ModelReader& reader, const LoadOptions& options);

    const Bert& bert() const noexcept { return bert_; }
    bool has_sparse() const noexcept;
    bool has_token_vectors() const noexcept { return token_dim() > 0; }
    /// Elements of a token's vector; 0 without them.
    std::size_t token_dim() const noexcept;

    /// Error unsupported for a form that the file does not have, invalid_text naming the first text that is not UTF-8. In
    /// windows (BatchOptions::windows) a token weighs what it weighs in the window that it is read in.
    Result<HybridVectors> encode(TextList texts, const HybridForms& forms = {}, const BatchOptions& options = {}) const;
    Result<HybridVectors> encode(std::initializer_list<std::string_view> texts, const HybridForms& forms = {},
                                 const BatchOptions& options = {}) const RANKLET_MEMORY_TRY {
        return encode(TextList(texts), forms, options);
    }
    RANKLET_MEMORY_CATCH

    /// The file's texts against its token ids, vectors, tokens' weights and the first text's token vectors. Error self_test
    /// saying what differs.
    RANKLET_COLD Result<void> self_test(const ModelReader& reader) const;

private:
    struct Heads;
    struct States;
    Result<States> run(TextList texts, const HybridForms& forms, const BatchOptions& options) const;

    Bert bert_;
    std::shared_ptr<const Heads> heads_;
};

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <optional>
#include <string>
#include <utility>

#include "ranklet/core/scratch.hpp"
#include "ranklet/encoders/bert_model.hpp"
#include "ranklet/encoders/sentence_head.hpp"
#include "ranklet/encoders/window_run.hpp"
#include "ranklet/layers/linear.hpp"
#include "ranklet/model_file/layers.hpp"
#include "ranklet/model_file/reader.hpp"
#include "ranklet/model_file/self_test.hpp"
#include "ranklet/text/tokenizer.hpp"

RANKLET_NAMESPACE_BEGIN

struct HybridEncoder::Heads {
    std::optional<Linear<>> sparse;          // hidden -> 1
    std::optional<Linear<>> token_vectors;   // hidden -> token_dim
    bool normalizes_tokens = false;
    std::vector<std::int32_t> skipped;  // ids that have no weight, ascending
};

/// What one pass gives: all tokens' weights, and the rest as it goes out.
struct HybridEncoder::States {
    std::vector<std::size_t> offsets{0};  // of texts among the tokens
    std::vector<std::int32_t> ids;        // of all tokens
    std::vector<float> weights;           // of all tokens
    HybridVectors vectors;
};

RANKLET_FUNC Result<HybridEncoder> HybridEncoder::read(const ModelReader& reader, const LoadOptions& options) {
    HybridEncoder model;
    RANKLET_ASSIGN(model.bert_, Bert::read(reader, options));
    if (model.bert_.head().leaves_prompt_out())
        return reader.wrong("ranklet.encoder.modules", {": sparse weights beside a pooling that leaves prompts out"},
                            ErrorCode::unsupported);
    auto heads = std::make_shared<Heads>();
    const std::size_t hidden = model.bert_.hidden();
    RANKLET_ASSIGN(heads->sparse, read_linear_if_any(reader, "ranklet.sparse", hidden, 1));
    RANKLET_ASSIGN(heads->token_vectors, read_linear_if_any(reader, "ranklet.token_vectors", hidden));
    if (!heads->sparse && !heads->token_vectors)
        return make_error(ErrorCode::missing, {reader.file().name(),
                                               ": no tensor ranklet.sparse.weight or ranklet.token_vectors.weight: the "
                                               "model has a dense vector alone, load it as a Bert"});
    if (heads->token_vectors) {
        RANKLET_ASSIGN(heads->normalizes_tokens, reader.boolean("ranklet.token_vectors.normalize"));
    }
    if (heads->sparse) {
        RANKLET_ASSIGN(const auto skipped, reader.i32s("ranklet.sparse.skipped_ids"));
        for (const std::int32_t id : skipped)
            if (id < 0 || static_cast<std::size_t>(id) >= model.bert_.tokenizer().vocabulary_size())
                return reader.wrong("ranklet.sparse.skipped_ids", {" has ", id, ", which is no token"});
        heads->skipped.assign(skipped.begin(), skipped.end());
        std::sort(heads->skipped.begin(), heads->skipped.end());
    }
    model.heads_ = std::move(heads);
    return model;
}

RANKLET_FUNC bool HybridEncoder::has_sparse() const noexcept { return heads_ != nullptr && heads_->sparse; }
RANKLET_FUNC std::size_t HybridEncoder::token_dim() const noexcept {
    return heads_ != nullptr && heads_->token_vectors ? heads_->token_vectors->out() : 0;
}

RANKLET_FUNC Result<HybridVectors> HybridEncoder::encode(TextList texts, const HybridForms& forms,
                                                         const BatchOptions& options) const RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(States states, run(texts, forms, options));
    if (!forms.sparse) return std::move(states.vectors);
    const auto is_skipped = [&](std::int32_t id) {
        return std::binary_search(heads_->skipped.begin(), heads_->skipped.end(), id);
    };
    for (std::size_t t = 0; t < texts.size(); ++t) {
        std::vector<TokenWeight> weights;
        for (std::size_t i = states.offsets[t]; i < states.offsets[t + 1]; ++i)
            if (states.weights[i] > 0.0f && !is_skipped(states.ids[i]))
                weights.push_back({states.ids[i], states.weights[i]});
        std::sort(weights.begin(), weights.end(), [](const TokenWeight& a, const TokenWeight& b) {
            return a.id != b.id ? a.id < b.id : a.weight > b.weight;  // of a token the largest first
        });
        const auto same = [](const TokenWeight& a, const TokenWeight& b) { return a.id == b.id; };
        weights.erase(std::unique(weights.begin(), weights.end(), same), weights.end());
        states.vectors.sparse.push_back(std::move(weights));
    }
    return std::move(states.vectors);
}
RANKLET_MEMORY_CATCH

// A row's token is known to the tokenizer alone, so it runs here, and again with the encoder: it costs little.
RANKLET_FUNC Result<HybridEncoder::States> HybridEncoder::run(TextList texts, const HybridForms& forms,
                                                              const BatchOptions& options) const {
    RANKLET_ASSIGN(const std::string_view prompt, bert_.prompt_text(options.prompt));  // or an empty model's Error
    if (forms.sparse && !has_sparse())
        return make_error(ErrorCode::unsupported, {"the model has no sparse weights"});
    if (forms.token_vectors && !has_token_vectors())
        return make_error(ErrorCode::unsupported, {"the model has no token vectors"});
    States out;
    HybridVectors& vectors = out.vectors;
    if (forms.token_vectors) vectors.token_offsets.push_back(0);
    EncodeOptions limit;
    if (!options.windows) limit.max_length = bert_.max_length();
    Encoding encoding;
    std::string prompted;
    for (std::size_t t = 0; t < texts.size(); ++t) {
        prompted.assign(prompt).append(texts[t]);
        if (const auto status = bert_.tokenizer().encode(prompted, limit, encoding); !status.ok())
            return about_input(status.error(), t, {"text ", t});
        out.ids.insert(out.ids.end(), encoding.ids.begin(), encoding.ids.end());
        out.offsets.push_back(out.ids.size());
        if (forms.token_vectors)
            vectors.token_offsets.push_back(vectors.token_offsets.back() + std::max<std::size_t>(encoding.size(), 1) -
                                            1);
    }
    if (forms.sparse) out.weights.resize(out.ids.size());
    if (forms.token_vectors) {
        RANKLET_ASSIGN(vectors.token_vectors, Matrix::zeroed(vectors.token_offsets.back(), token_dim()));
    }
    RANKLET_ASSIGN(vectors.dense, Matrix::zeroed(texts.size(), bert_.dim()));
    const SentenceHead& head = bert_.head();
    RANKLET_ASSIGN(auto dense, detail::WindowVectors::of(head, vectors.dense, 0, options));
    RANKLET_TRY(bert_.for_each_window(
        texts, options,
        [&](const TextWindow& window, MatrixView<const float> states, Scratch& scratch) noexcept {
            dense.add(window, states, scratch);
            const std::size_t count = window.end - window.begin;
            const MatrixView<const float> own = states.middle_rows(window.begin, count);
            if (forms.sparse)
                heads_->sparse->forward(
                    own, {out.weights.data() + out.offsets[window.text] + window.to, count, 1}, Activation::relu);
            if (!forms.token_vectors) return;
            const std::size_t left_out = window.to == 0 ? 1 : 0;  // the first token's state is the dense vector's
            if (count == left_out) return;
            const MatrixView<float> rows = vectors.token_vectors.view().middle_rows(
                vectors.token_offsets[window.text] + window.to + left_out - 1, count - left_out);
            heads_->token_vectors->forward(own.middle_rows(left_out, count - left_out), rows);
            if (!heads_->normalizes_tokens) return;
            for (std::size_t r = 0; r < rows.rows; ++r) kernels::Ops<float>::normalize(rows.row(r).data(), rows.cols);
        },
        detail::WindowVectors::scratch_size(head)));
    return out;
}

RANKLET_FUNC Result<void> HybridEncoder::self_test(const ModelReader& reader) const {
    RANKLET_TRY(bert_.self_test(reader));
    RANKLET_ASSIGN(const auto texts, reader.strings("ranklet.selftest.texts"));
    BatchOptions options;
    options.prompt = "";
    RANKLET_ASSIGN(const States found, run(texts, {has_sparse(), has_token_vectors()}, options));
    if (has_sparse()) RANKLET_TRY(compare_self_test(reader, "ranklet.selftest.token_weights", found.weights));
    if (!has_token_vectors()) return {};
    const MatrixView<const float> first = found.vectors.tokens_of(0);
    return compare_self_test(reader, "ranklet.selftest.token_vectors", {first.data, first.rows * first.cols});
}

RANKLET_NAMESPACE_END
#endif
