// TransformerLayer: one post-norm encoder block, as in BERT (Devlin et al. 2019):
//   a = LayerNorm(x + SelfAttention(x)),  y = LayerNorm(a + W_down f(W_up a))
// In and out: x [tokens, dim], in place; texts one after the other without padding.
#pragma once

#include <algorithm>
#include <span>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/layers/layer_norm.hpp"
#include "ranklet/layers/linear.hpp"
#include "ranklet/layers/self_attention.hpp"

RANKLET_NAMESPACE_BEGIN

template <class T = float>
class TransformerLayer {
public:
    RANKLET_LAYER(TransformerLayer);
    /// Error when the parts' sizes do not fit together.
    Result<void> assign(SelfAttention<T> attention, LayerNorm<T> attention_norm, Linear<T> up, Linear<T> down,
                        LayerNorm<T> output_norm, Activation activation) {
        const std::size_t dim = attention.dim();
        if (attention_norm.size() != dim || up.in() != dim || down.in() != up.out() || down.out() != dim ||
            output_norm.size() != dim)
            return make_error(ErrorCode::invalid_argument, {"the transformer layer's parts do not fit together"});
        attention_ = std::move(attention);
        attention_norm_ = std::move(attention_norm);
        up_ = std::move(up);
        down_ = std::move(down);
        output_norm_ = std::move(output_norm);
        activation_ = activation;
        return {};
    }

    /// Scratch bytes for `tokens` tokens in texts of at most `longest`.
    std::size_t scratch_size(std::size_t tokens, std::size_t longest, Threads threads = 1) const noexcept {
        return scratch_matrix_bytes<T>(tokens, attention_.dim()) +
               std::max(attention_.scratch_size(tokens, longest, threads),
                        scratch_matrix_bytes<T>(tokens, up_.out()) +
                            std::max(up_.scratch_size(tokens), down_.scratch_size(tokens)));
    }

    /// The work of each step is shared among `threads`; the bits do not depend on how many there are.
    void forward(MatrixView<T> x, std::span<const std::size_t> offsets, Scratch& scratch,
                 Threads threads = 1) const noexcept {
        const ScratchFrame frame(scratch);
        const MatrixView<T> sum = scratch_matrix<T>(scratch, x.rows, x.cols);
        attention_.forward(x, offsets, x, sum, scratch, threads);
        attention_norm_.forward(sum, x);
        const MatrixView<T> inner = scratch_matrix<T>(scratch, x.rows, up_.out());
        up_.forward(x, inner, scratch, activation_, threads);
        down_.forward_residual(inner, x, sum, scratch, threads);
        output_norm_.forward(sum, x);
    }

    /// Products of each row of x, without attention.
    std::size_t row_work() const noexcept { return 4 * attention_.dim() * attention_.dim() + 2 * up_.in() * up_.out(); }

private:
    SelfAttention<T> attention_;
    LayerNorm<T> attention_norm_;
    Linear<T> up_, down_;
    LayerNorm<T> output_norm_;
    Activation activation_ = Activation::gelu;
};

RANKLET_NAMESPACE_END
