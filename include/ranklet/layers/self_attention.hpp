// SelfAttention: multi-head scaled dot-product attention with an output projection (Vaswani et al. 2017), as in BERT; with fewer
// heads of keys and values (Ainslie et al. 2023), norms of queries and keys, rotary positions, biases by distance and scores of
// content and distance where a model has them.
// In: x [tokens, dim], texts one after the other without padding. Out: y = attention(x) W_o^T + b_o + residual.
// Products run over all tokens; attention runs over each text by itself.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/distance_bias.hpp"
#include "ranklet/layers/linear.hpp"
#include "ranklet/layers/norm.hpp"
#include "ranklet/layers/position_scores.hpp"
#include "ranklet/layers/rotary.hpp"

RANKLET_NAMESPACE_BEGIN

/// What attention is made of beside its projections.
template <class T = float>
struct AttentionForm {
    std::size_t heads = 1;
    std::size_t key_heads = 0;  ///< heads of keys and values, each for heads / key_heads heads of queries; 0: as many
    std::size_t head_size = 0;  ///< 0: the output's width by the heads
    T scale = 0;                ///< of q . k; 0: 1 / sqrt(head_size)
    Norm<T> query_norm = {}, key_norm = {};  ///< [head_size], of each head by itself; empty: none
    std::shared_ptr<const Rotary<T>> rotary = {};
    std::shared_ptr<const DistanceBias<T>> bias = {};
    std::shared_ptr<const PositionScores<T>> positions = {};  ///< in place of a bias
};

template <class T = float>
class SelfAttention {
public:
    RANKLET_MOVES_OUT_OF_LINE(SelfAttention);
    SelfAttention(const SelfAttention&) = delete;
    SelfAttention& operator=(const SelfAttention&) = delete;
    /// `qkv` [3 * dim, dim]: query, key and value projections one above the other. Error when the sizes do not fit.
    Result<void> assign(Linear<T> qkv, Linear<T> output, std::size_t heads) {
        if (heads == 0 || qkv.in() % heads != 0)
            return make_error(ErrorCode::invalid_argument,
                              {"a width of ", qkv.in(), " does not split into ", heads, " heads"});
        if (output.in() != qkv.in())
            return make_error(ErrorCode::invalid_argument, {"the attention's projections do not fit together"});
        AttentionForm<T> form;
        form.heads = heads;
        return assign(std::move(qkv), std::move(output), std::move(form));
    }
    /// `qkv` [(heads + 2 * key_heads) * head_size, dim], `output` [dim, heads * head_size].
    Result<void> assign(Linear<T> qkv, Linear<T> output, AttentionForm<T> form) {
        const std::size_t heads = form.heads, keys = form.key_heads == 0 ? heads : form.key_heads;
        if (heads == 0 || output.in() % heads != 0)
            return make_error(ErrorCode::invalid_argument,
                              {"a width of ", output.in(), " does not split into ", heads, " heads"});
        const std::size_t head = form.head_size == 0 ? output.in() / heads : form.head_size;
        if (heads % keys != 0 || qkv.out() != (heads + 2 * keys) * head || output.in() != heads * head ||
            output.out() != qkv.in())
            return make_error(ErrorCode::invalid_argument, {"the attention's projections do not fit together"});
        if ((!form.query_norm.empty() && form.query_norm.size() != head) ||
            (!form.key_norm.empty() && form.key_norm.size() != head) ||
            (form.rotary != nullptr && 2 * form.rotary->pairs() > head) ||
            (form.bias != nullptr && form.bias->heads() != 1 && form.bias->heads() != heads))
            return make_error(
                ErrorCode::invalid_argument,
                {"the attention's norms, rotary positions or biases are not of ", heads, " heads of ", head});
        if (form.positions != nullptr &&
            (form.bias != nullptr || form.positions->heads() != heads || form.positions->head_size() != head))
            return make_error(ErrorCode::invalid_argument,
                              {"scores of positions need ", heads, " heads of ", head, ", and no bias by distance"});
        qkv_ = std::move(qkv);
        output_ = std::move(output);
        form_ = std::move(form);
        form_.key_heads = keys;
        form_.head_size = head;
        if (form_.scale == T(0)) form_.scale = T(1) / std::sqrt(static_cast<T>(head));
        return {};
    }

    std::size_t dim() const noexcept { return qkv_.in(); }
    std::size_t heads() const noexcept { return form_.heads; }
    /// Products of each row of x, without those of the tokens with one another.
    std::size_t row_work() const noexcept { return qkv_.in() * qkv_.out() + output_.in() * output_.out(); }

    /// Scratch bytes for `tokens` tokens in texts of at most `longest`.
    std::size_t scratch_size(std::size_t tokens, std::size_t longest, Threads threads = 1) const noexcept {
        return scratch_matrix_bytes<T>(tokens, qkv_.out()) + scratch_matrix_bytes<T>(tokens, output_.in()) +
               std::max(
                   {std::min(resolve_threads(threads), heads()) * scratch_bytes<std::byte>(head_scratch_size(longest)),
                    qkv_.scratch_size(tokens), output_.scratch_size(tokens)});
    }

    /// y = attention(x) + residual. Text t has tokens [offsets[t], offsets[t + 1]). y must be neither x nor residual
    /// (which may be x). Products and heads are shared among `threads`.
    void forward(MatrixView<const T> x, std::span<const std::size_t> offsets, MatrixView<const T> residual,
                 MatrixView<T> y, Scratch& scratch, Threads threads = 1) const noexcept {
        forward_to(x, offsets, scratch, threads, [&](MatrixView<const T> context) {
            output_.forward_residual(context, residual, y, scratch, threads);
        });
    }
    /// The same without a residual.
    void forward(MatrixView<const T> x, std::span<const std::size_t> offsets, MatrixView<T> y, Scratch& scratch,
                 Threads threads = 1) const noexcept {
        forward_to(x, offsets, scratch, threads, [&](MatrixView<const T> context) {
            output_.forward(context, y, scratch, Activation::identity, threads);
        });
    }

private:
    static constexpr std::size_t work_a_pair = 7;  // of tokens, an element: two products and a share of the softmax

    std::size_t head_scratch_size(std::size_t longest) const noexcept {
        return kernels::Ops<T>::attention_scratch_size(longest, form_.head_size,
                                                       form_.positions == nullptr ? 0 : form_.positions->rows());
    }

    template <class Project>
    void forward_to(MatrixView<const T> x, std::span<const std::size_t> offsets, Scratch& scratch, Threads threads,
                    const Project& project) const noexcept {
        const ScratchFrame frame(scratch);
        const MatrixView<T> qkv = scratch_matrix<T>(scratch, x.rows, qkv_.out());
        const MatrixView<T> context = scratch_matrix<T>(scratch, x.rows, output_.in());
        qkv_.forward(x, qkv, scratch, Activation::identity, threads);
        place(qkv, offsets);
        attend(qkv, offsets, context, scratch, threads);
        project(context);
    }

    // Norms and rotary positions of queries and keys, in place.
    void place(MatrixView<T> qkv, std::span<const std::size_t> offsets) const noexcept {
        const std::size_t head = form_.head_size;
        const auto normalise = [&](const Norm<T>& norm, std::size_t first, std::size_t count) {
            if (norm.empty()) return;
            for (std::size_t h = first; h < first + count; ++h) {
                const MatrixView<T> rows(qkv.data + h * head, qkv.rows, head, qkv.stride);
                norm.forward(rows, rows);
            }
        };
        normalise(form_.query_norm, 0, form_.heads);
        normalise(form_.key_norm, form_.heads, form_.key_heads);
        if (form_.rotary == nullptr) return;
        for (std::size_t t = 0; t + 1 < offsets.size(); ++t)
            for (std::size_t i = offsets[t]; i < offsets[t + 1]; ++i) {
                T* row = qkv.data + i * qkv.stride;
                for (std::size_t h = 0; h < form_.heads + form_.key_heads; ++h)
                    form_.rotary->forward(i - offsets[t], row + h * head);
            }
    }

    kernels::ScoreMap<T> score_map(std::size_t head) const noexcept {
        kernels::ScoreMap<T> map{form_.scale};
        if (form_.bias == nullptr) return map;
        map.by_distance = form_.bias->of(head);
        const AttentionMask& mask = form_.bias->mask();
        if (mask.reach) map.before = map.behind = *mask.reach;
        if (mask.causal) map.behind = 0;
        return map;
    }

    // context = softmax(scale q k^T + bias) v of each text and head.
    void attend(MatrixView<const T> qkv, std::span<const std::size_t> offsets, MatrixView<T> context, Scratch& scratch,
                Threads threads) const noexcept {
        std::size_t longest = 0, pairs = 0;
        for (std::size_t t = 0; t + 1 < offsets.size(); ++t) {
            const std::size_t length = offsets[t + 1] - offsets[t];
            longest = std::max(longest, length);
            pairs += length * length;
        }
        const std::size_t heads = form_.heads, head = form_.head_size, shared = heads / form_.key_heads;
        const std::size_t work = pairs * heads * head * work_a_pair;
        threads = detail::worth(threads, work);
        threads.count = std::min(threads.count, heads);
        const std::size_t parts = std::min(detail::pieces_of(work, threads), heads);
        const std::size_t bytes = head_scratch_size(longest);
        const ScratchFrame frame(scratch);
        std::byte* memory = scratch.take<std::byte>(threads.count * scratch_bytes<std::byte>(bytes));
        parallel_for(parts, threads, [&](std::size_t p, std::size_t thread) {
            Scratch own = Scratch::over(memory + thread * scratch_bytes<std::byte>(bytes), bytes);
            const IndexRange range = detail::partition(heads, parts, p);
            for (std::size_t t = 0; t + 1 < offsets.size(); ++t) {
                const T* text = qkv.data + offsets[t] * qkv.stride;
                for (std::size_t h = range.first; h < range.last; ++h) {
                    const T* keys = text + (heads + h / shared) * head;
                    kernels::ScoreMap<T> map = score_map(h);
                    kernels::PositionTerms<T> terms;
                    if (form_.positions != nullptr) {
                        terms = form_.positions->of(h);
                        map.positions = &terms;
                    }
                    kernels::Ops<T>::attention_head(
                        offsets[t + 1] - offsets[t], head, text + h * head, keys, keys + form_.key_heads * head,
                        qkv.stride, context.data + offsets[t] * context.stride + h * head, context.stride,
                        map, own);
                }
            }
        });
    }

    Linear<T> qkv_, output_;
    AttentionForm<T> form_;
};

RANKLET_NAMESPACE_END
