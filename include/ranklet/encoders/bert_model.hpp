// BertModel: token ids to token states (Devlin et al. 2019; DistilBERT: Sanh et al. 2019, without token types).
// In: a token batch of token ids. Out: states [tokens, hidden].
// Texts lie one after the other without padding, so a text's states have the same bits in any batch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/encoders/token_batch.hpp"
#include "ranklet/layers/embedding.hpp"
#include "ranklet/layers/transformer_layer.hpp"
#include "ranklet/model_file/layers.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN

class BertModel {
public:
    RANKLET_MOVES_OUT_OF_LINE(BertModel);
    /// From a file's `bert.*` keys and tensors. The embedding tables are used in place: the file is kept open.
    RANKLET_COLD static Result<BertModel> read(const ModelReader& reader, Activation activation,
                                               std::size_t position_offset) {
        const ModelReader keys = reader.scope("bert");
        BertModel model;
        model.file_ = reader.file();
        RANKLET_ASSIGN(const std::size_t dim, keys.u32("embedding_length"));
        RANKLET_ASSIGN(const std::size_t inner, keys.u32("feed_forward_length"));
        RANKLET_ASSIGN(const std::size_t blocks, keys.u32("block_count"));
        RANKLET_ASSIGN(const std::size_t heads, keys.u32("attention.head_count"));
        RANKLET_ASSIGN(const std::size_t positions, keys.u32("context_length"));
        RANKLET_ASSIGN(const float epsilon, keys.f32("attention.layer_norm_epsilon"));
        RANKLET_ASSIGN(const bool causal, keys.boolean_or("attention.causal", false));
        if (causal) return keys.wrong("attention.causal", {" is true, only encoders are read"}, ErrorCode::unsupported);
        if (dim == 0 || heads == 0 || dim % heads != 0)
            return keys.wrong("embedding_length", {" ", dim, " does not split into bert.attention.head_count ", heads});
        RANKLET_ASSIGN(model.words_, read_table(reader, "token_embd.weight", dim));
        RANKLET_ASSIGN(const TensorView places, reader.tensor("position_embd.weight", positions, dim));
        model.positions_ = Embedding(places);
        model.position_offset_ = position_offset;
        if (position_offset >= positions)
            return reader.wrong("ranklet.encoder.position_offset", {" ", position_offset, " leaves no position"});
        if (reader.has_tensor("token_types.weight")) {
            RANKLET_ASSIGN(model.types_, read_table(reader, "token_types.weight", dim));
        }
        RANKLET_ASSIGN(model.norm_, read_layer_norm(reader, "token_embd_norm", dim, epsilon));
        RANKLET_ASSIGN(const bool zero_point, read_zero_point(reader));
        WeightBlock weights = detail::make_block(reader.file(), "blk.");
        for (std::size_t b = 0; b < blocks; ++b) {
            RANKLET_ASSIGN(auto layer,
                           read_layer(reader.scope("blk." + std::to_string(b)), dim, inner, heads, epsilon, activation,
                                      {.with_scratch = true, .block = &weights, .zero_point = zero_point}));
            model.layers_.push_back(std::move(layer));
        }
        return model;
    }

    std::size_t hidden() const noexcept { return words_.dim(); }
    std::size_t vocabulary_size() const noexcept { return words_.count(); }
    std::size_t layer_count() const noexcept { return layers_.size(); }
    /// What a token of a text costs, without attention, in products.
    std::size_t token_work() const noexcept {
        std::size_t work = 0;
        for (const auto& layer : layers_) work += layer.row_work();
        return work;
    }
    /// The most tokens a text may have.
    std::size_t max_tokens() const noexcept { return positions_.count() - position_offset_; }
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
        for (const auto& layer : layers_) largest = std::max(largest, layer.scratch_size(tokens, longest, threads));
        return largest;  // a file's layers may have weights of different kinds
    }

    /// states [tokens, hidden]. Each step is shared among `threads` (best in run_together): for a text that is waited
    /// for; many texts are better shared text by text. Precondition: check(batch) is fine and `scratch` has scratch_size().
    void forward(const TokenBatch& batch, MatrixView<float> states, Scratch& scratch,
                 Threads threads = 1) const noexcept {
        embed(batch, states, scratch);
        norm_.forward(states, states);
        for (const auto& layer : layers_) layer.forward(states, batch.offsets, scratch, threads);
    }

private:
    // A table [?, dim], used where it lies.
    RANKLET_COLD static Result<Embedding> read_table(const ModelReader& reader, const char* name, std::size_t dim) {
        RANKLET_ASSIGN(const TensorView found, reader.tensor(name));
        RANKLET_ASSIGN(const TensorView table, reader.tensor(name, found.rows, dim));
        return Embedding(table);
    }

    // Whether 8-bit products quantise their inputs with a zero point.
    RANKLET_COLD static Result<bool> read_zero_point(const ModelReader& reader) {
        if (!reader.has("ranklet.encoder.quantization")) return false;
        return reader.choice<bool>("ranklet.encoder.quantization", {{"symmetric", false}, {"zero_point", true}});
    }

    RANKLET_COLD static Result<TransformerLayer<>> read_layer(const ModelReader& block, std::size_t dim,
                                                              std::size_t inner, std::size_t heads, float epsilon,
                                                              Activation activation, const LinearUse& use) {
        const auto read = [&](std::initializer_list<const char*> names, std::size_t from, std::size_t to) {
            const std::vector<LinearNames> tensors(names.begin(), names.end());
            return read_linear(block, tensors, from, to, use);
        };
        RANKLET_ASSIGN(auto qkv, read({"attn_q", "attn_k", "attn_v"}, dim, dim));
        RANKLET_ASSIGN(auto output, read({"attn_output"}, dim, dim));
        SelfAttention<> attention;
        RANKLET_TRY(attention.assign(std::move(qkv), std::move(output), heads));
        RANKLET_ASSIGN(auto attention_norm, read_layer_norm(block, "attn_output_norm", dim, epsilon));
        RANKLET_ASSIGN(auto up, read({"ffn_up"}, dim, inner));
        RANKLET_ASSIGN(auto down, read({"ffn_down"}, inner, dim));
        RANKLET_ASSIGN(auto output_norm, read_layer_norm(block, "layer_output_norm", dim, epsilon));
        TransformerLayer<> layer;
        RANKLET_TRY(layer.assign(std::move(attention), std::move(attention_norm), std::move(up), std::move(down),
                                 std::move(output_norm), activation));
        return layer;
    }

    void embed(const TokenBatch& batch, MatrixView<float> states, Scratch& scratch) const noexcept {
        using Ops = kernels::Ops<float>;
        const ScratchFrame frame(scratch);
        float* part = scratch.take<float>(hidden());
        for (std::size_t t = 0; t + 1 < batch.offsets.size(); ++t)
            for (std::size_t i = batch.offsets[t]; i < batch.offsets[t + 1]; ++i) {
                float* state = states.row(i).data();
                words_.row(static_cast<std::size_t>(batch.ids[i]), state);
                if (types_.count() > 0) {
                    types_.row(batch.type_ids.empty() ? 0 : static_cast<std::size_t>(batch.type_ids[i]), part);
                    Ops::add(state, part, state, hidden());
                }
                positions_.row(i - batch.offsets[t] + position_offset_, part);
                Ops::add(state, part, state, hidden());
            }
    }

    GgufFile file_;  // keeps the map that the embeddings look into
    Embedding words_, positions_, types_;
    std::size_t position_offset_ = 0;
    LayerNorm<> norm_;
    std::vector<TransformerLayer<>> layers_;
};

RANKLET_NAMESPACE_END
