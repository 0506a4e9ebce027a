// SelfAttention: multi-head scaled dot-product attention with an output projection (Vaswani et al. 2017), as in BERT.
// In: x [tokens, dim], texts one after the other without padding. Out: y = attention(x) W_o^T + b_o + residual.
// Products run over all tokens; attention runs over each text by itself.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>

#include "ranklet/core/config.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/linear.hpp"

RANKLET_NAMESPACE_BEGIN

template <class T = float>
class SelfAttention {
public:
    RANKLET_LAYER(SelfAttention);
    /// `qkv` [3 * dim, dim]: query, key and value projections one above the other. Error when the sizes do not fit.
    Result<void> assign(Linear<T> qkv, Linear<T> output, std::size_t heads) {
        if (heads == 0 || qkv.in() % heads != 0)
            return make_error(ErrorCode::invalid_argument,
                              {"a width of ", qkv.in(), " does not split into ", heads, " heads"});
        if (qkv.out() != 3 * qkv.in() || output.in() != qkv.in() || output.out() != qkv.in())
            return make_error(ErrorCode::invalid_argument, {"the attention's projections do not fit together"});
        qkv_ = std::move(qkv);
        output_ = std::move(output);
        heads_ = heads;
        return {};
    }

    std::size_t dim() const noexcept { return qkv_.in(); }
    std::size_t heads() const noexcept { return heads_; }

    /// Scratch bytes for `tokens` tokens in texts of at most `longest`.
    std::size_t scratch_size(std::size_t tokens, std::size_t longest, Threads threads = 1) const noexcept {
        return scratch_matrix_bytes<T>(tokens, 3 * dim()) + scratch_matrix_bytes<T>(tokens, dim()) +
               std::max(
                   {std::min(resolve_threads(threads), heads_) * scratch_bytes<std::byte>(head_scratch_size(longest)),
                    qkv_.scratch_size(tokens), output_.scratch_size(tokens)});
    }

    /// y = attention(x) + residual. Text t has tokens [offsets[t], offsets[t + 1]). y must be neither x nor residual
    /// (which may be x). Products and heads are shared among `threads`.
    void forward(MatrixView<const T> x, std::span<const std::size_t> offsets, MatrixView<const T> residual,
                 MatrixView<T> y, Scratch& scratch, Threads threads = 1) const noexcept {
        const ScratchFrame frame(scratch);
        const std::size_t width = dim();
        const MatrixView<T> qkv = scratch_matrix<T>(scratch, x.rows, 3 * width);
        const MatrixView<T> context = scratch_matrix<T>(scratch, x.rows, width);
        qkv_.forward(x, qkv, scratch, Activation::identity, threads);
        attend(qkv, offsets, context, scratch, threads);
        output_.forward_residual(context, residual, y, scratch, threads);
    }

private:
    static constexpr std::size_t work_a_pair = 7;  // of tokens, an element: two products and a share of the softmax

    std::size_t head_scratch_size(std::size_t longest) const noexcept {
        return kernels::Ops<T>::attention_scratch_size(longest, dim() / heads_);
    }

    // context = softmax(q k^T / sqrt(head)) v of each text and head.
    void attend(MatrixView<const T> qkv, std::span<const std::size_t> offsets, MatrixView<T> context, Scratch& scratch,
                Threads threads) const noexcept {
        std::size_t longest = 0, pairs = 0;
        for (std::size_t t = 0; t + 1 < offsets.size(); ++t) {
            const std::size_t length = offsets[t + 1] - offsets[t];
            longest = std::max(longest, length);
            pairs += length * length;
        }
        const std::size_t width = dim(), head = width / heads_;
        const std::size_t work = pairs * width * work_a_pair;
        threads = detail::worth(threads, work);
        threads.count = std::min(threads.count, heads_);
        const std::size_t parts = std::min(detail::pieces_of(work, threads), heads_);
        const std::size_t bytes = head_scratch_size(longest);
        const ScratchFrame frame(scratch);
        std::byte* memory = scratch.take<std::byte>(threads.count * scratch_bytes<std::byte>(bytes));
        parallel_for(parts, threads, [&](std::size_t p, std::size_t thread) {
            Scratch own = Scratch::over(memory + thread * scratch_bytes<std::byte>(bytes), bytes);
            const IndexRange range = detail::partition(heads_, parts, p);
            for (std::size_t t = 0; t + 1 < offsets.size(); ++t) {
                const T* text = qkv.data + offsets[t] * qkv.stride;
                for (std::size_t h = range.first; h < range.last; ++h)
                    kernels::Ops<T>::attention_head(offsets[t + 1] - offsets[t], head, text + h * head,
                                                    text + width + h * head, text + 2 * width + h * head, qkv.stride,
                                                    context.data + offsets[t] * context.stride + h * head,
                                                    context.stride, own);
            }
        });
    }

    Linear<T> qkv_, output_;
    std::size_t heads_ = 1;
};

RANKLET_NAMESPACE_END
