// HeadAttention: multi-head scaled dot-product self-attention without output projection, NRMS's form (Wu et al. 2019);
// heads * head size need not be the input's width. Each head: softmax(Q K^T / sqrt(head size)) V, heads side by side.
// In: x [tokens, in], texts one after the other without padding. Out: y [tokens, heads * head size].
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/linear.hpp"

RANKLET_NAMESPACE_BEGIN

template <class T = float>
class HeadAttention {
public:
    RANKLET_LAYER(HeadAttention);
    /// `qkv` [3 * heads * head size, in]: query, key and value projections one above the other, each with its heads one
    /// after the other; biases as the linear map has them. Its inputs are not rounded.
    Result<void> assign(Linear<T> qkv, std::size_t heads) {
        if (heads == 0 || qkv.out() == 0 || qkv.out() % 3 != 0 || qkv.out() / 3 % heads != 0 || qkv.rounds_inputs())
            return make_error(
                ErrorCode::invalid_argument,
                {"projections of ", qkv.out(), " outputs are not query, key and value of ", heads, " heads"});
        qkv_ = std::move(qkv);
        heads_ = heads;
        return {};
    }

    std::size_t in() const noexcept { return qkv_.in(); }
    std::size_t out() const noexcept { return qkv_.out() / 3; }
    std::size_t heads() const noexcept { return heads_; }

    /// Scratch bytes for `tokens` tokens in texts of at most `longest`.
    std::size_t scratch_size(std::size_t tokens, std::size_t longest) const noexcept {
        return scratch_bytes<T>(tokens * 3 * out()) + kernels::Ops<T>::attention_scratch_size(longest, out() / heads_);
    }
    /// Text t has tokens [offsets[t], offsets[t + 1]) and attends to itself alone.
    void forward(MatrixView<const T> x, std::span<const std::size_t> offsets, MatrixView<T> y,
                 Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        const std::size_t width = out(), head = width / heads_;
        const MatrixView<T> qkv(scratch.take<T>(x.rows * 3 * width), x.rows, 3 * width);
        qkv_.forward(x, qkv);
        for (std::size_t t = 0; t + 1 < offsets.size(); ++t) {
            const std::size_t length = offsets[t + 1] - offsets[t];
            if (length == 0) continue;
            const T* text = qkv.data + offsets[t] * qkv.stride;
            for (std::size_t h = 0; h < heads_; ++h)
                kernels::Ops<T>::attention_head(length, head, text + h * head, text + width + h * head,
                                                text + 2 * width + h * head, qkv.stride,
                                                y.data + offsets[t] * y.stride + h * head, y.stride,
                                                {T(1) / std::sqrt(static_cast<T>(head)), nullptr}, scratch);
        }
    }

private:
    Linear<T> qkv_;
    std::size_t heads_ = 1;
};

RANKLET_NAMESPACE_END
