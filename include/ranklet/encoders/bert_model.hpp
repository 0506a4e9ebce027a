// BertModel: token ids to token states, by a transformer of BERT's (Devlin et al. 2019) or one of its successors' make: learned,
// rotary or relative positions, norms before or behind, gates, windows: what the file has.
// In: a token batch of token ids. Out: states [tokens, hidden].
// Texts lie one after the other without padding, so a text's states have the same bits in any batch.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/encoders/token_batch.hpp"
#include "ranklet/layers/distance_bias.hpp"
#include "ranklet/layers/embedding.hpp"
#include "ranklet/layers/norm.hpp"
#include "ranklet/layers/rotary.hpp"
#include "ranklet/layers/transformer_layer.hpp"
#include "ranklet/model_file/layers.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN

class BertModel {
public:
    RANKLET_MOVES_OUT_OF_LINE(BertModel);
    /// From a file's keys under its architecture's name, `bert.*` say, and its tensors: what a model has of positions, norms,
    /// gates and biases is what the file has (docs/model-file.md). The embedding tables are used in place: the file is kept
    /// open. `longest`: tokens that a text has at most; 0: as many as the model takes.
    RANKLET_COLD static Result<BertModel> read(const ModelReader& reader, Activation activation,
                                               std::size_t position_offset, std::size_t longest = 0);

    std::size_t hidden() const noexcept { return hidden_; }
    std::size_t vocabulary_size() const noexcept { return words_.count(); }
    std::size_t layer_count() const noexcept { return layers_.size(); }
    /// What a token of a text costs, without attention, in products.
    std::size_t token_work() const noexcept {
        std::size_t work = 0;
        for (const auto& layer : layers_) work += layer.row_work();
        return work;
    }
    /// The most tokens a text may have.
    std::size_t max_tokens() const noexcept { return max_tokens_; }
    /// Kinds of token types; 0 when the model has none.
    std::size_t type_count() const noexcept { return types_.count(); }

    /// Error when an id, a type or a length is out of the model's range, or the offsets do not cover the ids.
    Result<void> check(const TokenBatch& batch) const {
        if (batch.offsets.empty() || batch.offsets.front() != 0 || batch.offsets.back() != batch.ids.size())
            return make_error(ErrorCode::invalid_argument,
                              {"a token batch's offsets must run from 0 to its token count"});
        for (std::size_t t = 0; t + 1 < batch.offsets.size(); ++t)
            if (batch.offsets[t + 1] <= batch.offsets[t] || batch.offsets[t + 1] - batch.offsets[t] > max_tokens())
                return make_error(ErrorCode::invalid_argument,
                                  {"text ", t, " must have 1 to ", max_tokens(), " tokens"});
        if (!batch.type_ids.empty() && batch.type_ids.size() != batch.ids.size())
            return make_error(ErrorCode::invalid_argument, {"a token batch needs a type for each token, or none"});
        for (std::size_t i = 0; i < batch.ids.size(); ++i) {
            if (batch.ids[i] < 0 || static_cast<std::size_t>(batch.ids[i]) >= vocabulary_size())
                return make_error(ErrorCode::invalid_argument,
                                  {"token ", i, " has the id ", batch.ids[i], ", not 0 to ", vocabulary_size() - 1});
            if (!batch.type_ids.empty() && types_.count() > 0 &&
                (batch.type_ids[i] < 0 || static_cast<std::size_t>(batch.type_ids[i]) >= types_.count()))
                return make_error(ErrorCode::invalid_argument, {"token ", i, " has the type ", batch.type_ids[i]});
        }
        return {};
    }

    /// Scratch bytes of forward().
    std::size_t scratch_size(std::size_t tokens, std::size_t longest, Threads threads = 1) const noexcept {
        std::size_t largest = scratch_bytes<float>(hidden());  // the embedding's
        if (projection_)
            largest = scratch_matrix_bytes<float>(tokens, words_.dim()) +
                      std::max(projection_->scratch_size(tokens), scratch_bytes<float>(words_.dim()));
        for (const auto& layer : layers_) largest = std::max(largest, layer.scratch_size(tokens, longest, threads));
        return largest;  // a file's layers may have weights of different kinds
    }

    /// states [tokens, hidden]. Each step is shared among `threads` (best in run_together): for a text that is waited
    /// for; many texts are better shared text by text. Precondition: check(batch) is fine and `scratch` has scratch_size().
    void forward(const TokenBatch& batch, MatrixView<float> states, Scratch& scratch,
                 Threads threads = 1) const noexcept {
        if (projection_) {
            const ScratchFrame frame(scratch);
            const MatrixView<float> narrow = scratch_matrix<float>(scratch, batch.tokens(), words_.dim());
            embed(batch, narrow, scratch);
            projection_->forward(narrow, states, scratch, Activation::identity, threads);
        } else {
            embed(batch, states, scratch);
        }
        for (const auto& layer : layers_) layer.forward(states, batch.offsets, scratch, threads);
        if (!output_norm_.empty()) output_norm_.forward(states, states);
    }

private:
    // A table [?, dim], used where it lies.
    RANKLET_COLD static Result<Embedding> read_table(const ModelReader& reader, const char* name, std::size_t dim) {
        RANKLET_ASSIGN(const TensorView found, reader.tensor(name));
        RANKLET_ASSIGN(const TensorView table, reader.tensor(name, found.rows, dim));
        return Embedding(table);
    }

    void embed(const TokenBatch& batch, MatrixView<float> states, Scratch& scratch) const noexcept {
        using Ops = kernels::Ops<float>;
        const ScratchFrame frame(scratch);
        const std::size_t dim = words_.dim();
        float* part = scratch.take<float>(dim);
        for (std::size_t t = 0; t + 1 < batch.offsets.size(); ++t)
            for (std::size_t i = batch.offsets[t]; i < batch.offsets[t + 1]; ++i) {
                float* state = states.row(i).data();
                words_.row(static_cast<std::size_t>(batch.ids[i]), state);
                if (types_.count() > 0) {
                    types_.row(batch.type_ids.empty() ? 0 : static_cast<std::size_t>(batch.type_ids[i]), part);
                    Ops::add(state, part, state, dim);
                }
                if (embedding_scale_ != 1.0f) Ops::scale(embedding_scale_, state, dim);
                if (positions_.count() == 0) continue;
                positions_.row(i - batch.offsets[t] + position_offset_, part);
                Ops::add(state, part, state, dim);
            }
        if (!norm_.empty()) norm_.forward(states, states);
    }

    GgufFile file_;  // keeps the map that the embeddings look into
    Embedding words_, positions_, types_;
    std::size_t position_offset_ = 0, hidden_ = 0, max_tokens_ = 0;
    float embedding_scale_ = 1.0f;
    Norm<> norm_;                         // of the embeddings
    std::optional<Linear<>> projection_;  // of the embeddings to the layers' width
    std::vector<TransformerLayer<>> layers_;
    Norm<> output_norm_;
};

namespace detail {

/// What the layers of a file share, and how each reads its own.
class LayerReader {
public:
    RANKLET_COLD static Result<LayerReader> create(const ModelReader& reader, const ModelReader& keys, std::size_t dim,
                                                   Activation activation, std::size_t positions);
    RANKLET_COLD Result<TransformerLayer<>> read(std::size_t index);

    std::size_t count() const noexcept { return blocks_; }
    float epsilon() const noexcept { return epsilon_; }
    bool rms() const noexcept { return rms_; }
    bool is_bert() const noexcept { return is_bert_; }

private:
    explicit LayerReader(const ModelReader& reader) : reader_(reader) {}
    static constexpr std::size_t most_positions = std::size_t{1} << 17;
    Result<void> read_rotary(std::size_t positions);
    Result<void> read_biases(const ModelReader& keys, std::size_t positions);
    Result<std::shared_ptr<const PositionScores<>>> read_position_scores(const ModelReader& block);

    ModelReader reader_;
    WeightBlock weights_;
    std::size_t dim_ = 0, inner_ = 0, blocks_ = 0, heads_ = 0, key_heads_ = 0, head_ = 0;
    float epsilon_ = 0.0f, scale_ = 0.0f;
    bool is_bert_ = false, rms_ = false, zero_point_ = false;
    Activation activation_ = Activation::gelu;
    // Of layers that see all of a text, and of those that see a window of it.
    struct Sight {
        std::shared_ptr<const Rotary<>> rotary;
        std::shared_ptr<const DistanceBias<>> bias;
    };
    Sight whole_, window_;
    std::vector<std::uint32_t> is_window_;  // of each layer; empty: none is
    std::vector<std::uint32_t> buckets_;    // of distances, of layers with tables of positions
};

RANKLET_COLD inline Result<LayerReader> LayerReader::create(const ModelReader& reader, const ModelReader& keys,
                                                            std::size_t dim, Activation activation,
                                                            std::size_t positions) {
    LayerReader made(reader);
    made.is_bert_ = keys.full("") == "bert.";
    made.dim_ = dim;
    made.activation_ = activation;
    RANKLET_ASSIGN(made.inner_, keys.u32("feed_forward_length"));
    RANKLET_ASSIGN(made.blocks_, keys.u32("block_count"));
    RANKLET_ASSIGN(made.heads_, keys.u32("attention.head_count"));
    RANKLET_ASSIGN(const std::uint32_t key_heads,
                   keys.u32_or("attention.head_count_kv", static_cast<std::uint32_t>(made.heads_)));
    made.key_heads_ = key_heads;
    RANKLET_ASSIGN(made.rms_, reader.scope("ranklet.encoder")
                                  .boolean_or("rms_norm", keys.has("attention.layer_norm_rms_epsilon")));
    RANKLET_ASSIGN(made.epsilon_,
                   keys.f32(made.rms_ ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon"));
    if (dim == 0 || made.heads_ == 0 || (!keys.has("attention.key_length") && dim % made.heads_ != 0))
        return keys.wrong("embedding_length",
                          {" ", dim, " does not split into ", keys.full("attention.head_count"), " ", made.heads_});
    RANKLET_ASSIGN(const std::uint32_t head,
                   keys.u32_or("attention.key_length", static_cast<std::uint32_t>(dim / made.heads_)));
    made.head_ = head;
    if (head == 0 || head > 4096 || key_heads == 0 || made.heads_ % key_heads != 0)
        return keys.wrong("attention.head_count_kv", {" ", key_heads, " does not divide ", made.heads_, " heads"});
    const ModelReader encoder = reader.scope("ranklet.encoder");
    if (encoder.has("attention_scale")) {
        RANKLET_ASSIGN(made.scale_, encoder.f32("attention_scale"));
        if (!(made.scale_ > 0.0f && std::isfinite(made.scale_)))
            return encoder.wrong("attention_scale", {" is ", made.scale_, ", expected above 0"});
    }
    if (encoder.has("quantization")) {
        RANKLET_ASSIGN(made.zero_point_,
                       encoder.choice<bool>("quantization", {{"symmetric", false}, {"zero_point", true}}));
    }
    if (encoder.has("window_layers")) {
        RANKLET_ASSIGN(made.is_window_, encoder.u32s("window_layers"));
        if (made.is_window_.size() != made.blocks_)
            return encoder.wrong("window_layers",
                                 {" has ", made.is_window_.size(), " numbers for ", made.blocks_, " layers"});
    }
    // What is kept for each position is not in the file: whoever states a length far beyond any model's is refused.
    if (positions > most_positions)
        return keys.wrong("context_length",
                          {" leaves texts of ", positions, " tokens, expected at most ", most_positions},
                          ErrorCode::unsupported);
    RANKLET_TRY(made.read_rotary(positions));
    RANKLET_TRY(made.read_biases(keys, positions));
    if (encoder.has("position_buckets")) {
        RANKLET_ASSIGN(made.buckets_, encoder.u32s("position_buckets"));
        if (made.buckets_.size() < positions)
            return encoder.wrong("position_buckets",
                                 {" has ", made.buckets_.size(), " numbers for texts of ", positions, " tokens"});
        made.buckets_.resize(positions);
    }
    made.weights_ = make_block(reader.file(), "blk.");
    return made;
}

// Tensors rope_frequencies.weight [1, pairs] and, for layers with a window, rope_frequencies_window.weight.
RANKLET_COLD inline Result<void> LayerReader::read_rotary(std::size_t positions) {
    const ModelReader encoder = reader_.scope("ranklet.encoder");
    float factor = 1.0f;
    if (encoder.has("rope_factor")) {
        RANKLET_ASSIGN(factor, encoder.f32("rope_factor"));
    }
    const auto read = [&](const char* name) -> Result<std::shared_ptr<const Rotary<>>> {
        RANKLET_ASSIGN(const TensorView tensor, reader_.tensor(name));
        if (tensor.rows != 1 || 2 * tensor.cols > head_)
            return reader_.wrong(name, {" is ", tensor.rows, " x ", tensor.cols, ", expected 1 x at most ", head_ / 2});
        RANKLET_ASSIGN(const auto frequencies, reader_.vector(name, tensor.cols));
        auto rotary = std::make_shared<Rotary<>>();
        RANKLET_TRY(reader_.at(name, rotary->assign(frequencies, positions, factor)));
        return std::shared_ptr<const Rotary<>>(std::move(rotary));
    };
    if (!reader_.has_tensor("rope_frequencies.weight")) return {};
    RANKLET_ASSIGN(whole_.rotary, read("rope_frequencies.weight"));
    window_.rotary = whole_.rotary;
    if (reader_.has_tensor("rope_frequencies_window.weight")) {
        RANKLET_ASSIGN(window_.rotary, read("rope_frequencies_window.weight"));
    }
    return {};
}

// attention_bias.weight [heads, distances] or attention_slopes.weight [1, heads]; masks by keys.
RANKLET_COLD inline Result<void> LayerReader::read_biases(const ModelReader& keys, std::size_t positions) {
    RANKLET_ASSIGN(const bool causal, keys.boolean_or("attention.causal", false));
    if (causal && is_bert_)
        return keys.wrong("attention.causal", {" is true, BERT's is not"}, ErrorCode::unsupported);
    std::vector<float> slopes;
    Matrix values;
    if (reader_.has_tensor("attention_bias.weight")) {
        RANKLET_ASSIGN(const TensorView found, reader_.tensor("attention_bias.weight"));
        RANKLET_ASSIGN(const TensorView tensor, reader_.tensor("attention_bias.weight", heads_, found.cols));
        RANKLET_ASSIGN(values, Matrix::zeroed(tensor.rows, tensor.cols));
        for (std::size_t h = 0; h < heads_; ++h) dequantize_row(tensor, h, values.row(h).data());
    }
    if (reader_.has_tensor("attention_slopes.weight")) {
        RANKLET_ASSIGN(slopes, reader_.vector("attention_slopes.weight", heads_));
    }
    const auto make = [&](std::optional<std::size_t> reach) -> Result<std::shared_ptr<const DistanceBias<>>> {
        if (!causal && !reach && slopes.empty() && values.rows() == 0) return std::shared_ptr<const DistanceBias<>>();
        auto bias = std::make_shared<DistanceBias<>>();
        RANKLET_TRY(
            reader_.at("attention_bias.weight", bias->assign(values.view(), slopes, {causal, reach}, positions)));
        return std::shared_ptr<const DistanceBias<>>(std::move(bias));
    };
    RANKLET_ASSIGN(whole_.bias, make({}));
    window_.bias = whole_.bias;
    if (is_window_.empty()) return {};
    RANKLET_ASSIGN(const std::uint32_t reach, reader_.scope("ranklet.encoder").u32("window_reach"));
    RANKLET_ASSIGN(window_.bias, make(reach));
    return {};
}

// Tensors attn_position_k.weight and attn_position_q.weight [rows, heads * head size]; nothing where there is neither.
RANKLET_COLD inline Result<std::shared_ptr<const PositionScores<>>> LayerReader::read_position_scores(
    const ModelReader& block) {
    std::array<Matrix, 2> tables;
    constexpr std::array names{"attn_position_k.weight", "attn_position_q.weight"};
    for (std::size_t t = 0; t < names.size(); ++t) {
        if (!block.has_tensor(names[t])) continue;
        RANKLET_ASSIGN(const TensorView found, block.tensor(names[t]));
        RANKLET_ASSIGN(tables[t], block.matrix(names[t], found.rows, heads_ * head_));
    }
    if (tables[0].rows() == 0 && tables[1].rows() == 0) return std::shared_ptr<const PositionScores<>>();
    auto scores = std::make_shared<PositionScores<>>();
    RANKLET_TRY(block.at("attn_position_k.weight",
                         scores->assign(std::as_const(tables[0]).view(), std::as_const(tables[1]).view(), heads_, buckets_)));
    return std::shared_ptr<const PositionScores<>>(std::move(scores));
}

RANKLET_COLD inline Result<TransformerLayer<>> LayerReader::read(std::size_t index) {
    const ModelReader block = reader_.scope("blk." + std::to_string(index));
    const LinearUse use{.with_scratch = true, .block = &weights_, .zero_point = zero_point_};
    const auto read = [&](const char* name, std::size_t from, std::size_t to) {
        const LinearNames names{std::string(name)};
        return read_linear(block, std::span(&names, 1), from, to, use);
    };
    const auto norm = [&](const char* name, std::size_t size) { return read_norm(block, name, size, epsilon_, rms_); };
    AttentionForm<> form;
    form.heads = heads_;
    form.key_heads = key_heads_;
    form.head_size = head_;
    form.scale = scale_;
    RANKLET_ASSIGN(form.query_norm, norm("attn_q_norm", head_));
    RANKLET_ASSIGN(form.key_norm, norm("attn_k_norm", head_));
    const Sight& sight = !is_window_.empty() && is_window_[index] != 0 ? window_ : whole_;
    form.rotary = sight.rotary;
    form.bias = sight.bias;
    RANKLET_ASSIGN(form.positions, read_position_scores(block));
    const std::vector<LinearNames> projections{LinearNames("attn_q"), LinearNames("attn_k"), LinearNames("attn_v")};
    const std::vector<std::size_t> widths{heads_ * head_, key_heads_ * head_, key_heads_ * head_};
    RANKLET_ASSIGN(auto qkv, read_linear(block, projections, dim_, widths, use));
    RANKLET_ASSIGN(auto output, read("attn_output", heads_ * head_, dim_));
    TransformerParts<> parts;
    RANKLET_TRY(block.at("attn_q", parts.attention.assign(std::move(qkv), std::move(output), std::move(form))));
    RANKLET_ASSIGN(parts.attention_norms.before, norm("attn_norm", dim_));
    RANKLET_ASSIGN(parts.attention_norms.behind, norm("post_attention_norm", dim_));
    RANKLET_ASSIGN(parts.attention_norms.sum, norm("attn_output_norm", dim_));
    RANKLET_ASSIGN(parts.up, read("ffn_up", dim_, inner_));
    if (block.has_tensor("ffn_gate.weight")) {
        RANKLET_ASSIGN(parts.gate, read("ffn_gate", dim_, inner_));
    }
    RANKLET_ASSIGN(parts.down, read("ffn_down", inner_, dim_));
    RANKLET_ASSIGN(parts.output_norms.before, norm("ffn_norm", dim_));
    RANKLET_ASSIGN(parts.output_norms.behind, norm("post_ffw_norm", dim_));
    RANKLET_ASSIGN(parts.output_norms.sum, norm("layer_output_norm", dim_));
    for (const char* name : {"attn_output_norm", "layer_output_norm"})
        for (const char* part : {".weight", ".bias"})
            if (is_bert_) RANKLET_TRY(block.tensor(std::string(name) + part));
    parts.activation = activation_;
    TransformerLayer<> layer;
    RANKLET_TRY(block.at("ffn_up", layer.assign(std::move(parts))));
    return layer;
}

}  // namespace detail

RANKLET_COLD inline Result<BertModel> BertModel::read(const ModelReader& reader, Activation activation,
                                                      std::size_t position_offset, std::size_t longest) {
    RANKLET_ASSIGN(const auto architecture, reader.string_or("general.architecture", "bert"));
    const ModelReader keys = reader.scope(architecture == "ranklet" ? "bert" : std::string(architecture));
    BertModel model;
    model.file_ = reader.file();
    RANKLET_ASSIGN(model.hidden_, keys.u32("embedding_length"));
    RANKLET_ASSIGN(const std::size_t context, keys.u32("context_length"));
    RANKLET_ASSIGN(const TensorView words, reader.tensor("token_embd.weight"));
    const bool projected = reader.has_tensor("embd_projection.weight");
    const std::size_t dim = projected ? words.cols : model.hidden_;
    RANKLET_ASSIGN(model.words_, read_table(reader, "token_embd.weight", dim));
    model.max_tokens_ = context;
    if (reader.has_tensor("position_embd.weight")) {
        RANKLET_ASSIGN(const TensorView places, reader.tensor("position_embd.weight", context, dim));
        model.positions_ = Embedding(places);
        model.position_offset_ = position_offset;
        if (position_offset >= context)
            return reader.wrong("ranklet.encoder.position_offset", {" ", position_offset, " leaves no position"});
        model.max_tokens_ -= position_offset;
    }
    if (longest > 0 && model.positions_.count() == 0) model.max_tokens_ = std::min(model.max_tokens_, longest);
    if (reader.has_tensor("token_types.weight")) {
        RANKLET_ASSIGN(model.types_, read_table(reader, "token_types.weight", dim));
    }
    const ModelReader encoder = reader.scope("ranklet.encoder");
    if (encoder.has("embedding_scale")) {
        RANKLET_ASSIGN(model.embedding_scale_, encoder.f32("embedding_scale"));
    }
    RANKLET_ASSIGN(auto layers,
                   detail::LayerReader::create(reader, keys, model.hidden_, activation, model.max_tokens_));
    RANKLET_ASSIGN(model.norm_, read_norm(reader, "token_embd_norm", dim, layers.epsilon(), layers.rms()));
    if (layers.is_bert()) {  // which has all of these
        RANKLET_TRY(reader.tensor("position_embd.weight"));
        RANKLET_TRY(reader.tensor("token_embd_norm.weight"));
        RANKLET_TRY(reader.tensor("token_embd_norm.bias"));
    }
    if (projected) {
        const LinearNames names("embd_projection");
        RANKLET_ASSIGN(model.projection_,
                       read_linear(reader, std::span(&names, 1), dim, model.hidden_, {.with_scratch = true}));
    }
    for (std::size_t b = 0; b < layers.count(); ++b) {
        RANKLET_ASSIGN(auto layer, layers.read(b));
        model.layers_.push_back(std::move(layer));
    }
    RANKLET_ASSIGN(model.output_norm_, read_norm(reader, "output_norm", model.hidden_, layers.epsilon(), layers.rms()));
    return model;
}

RANKLET_NAMESPACE_END
