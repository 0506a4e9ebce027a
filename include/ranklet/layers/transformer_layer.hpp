// TransformerLayer: one block of a transformer. Post-norm as in BERT (Devlin et al. 2019):
//   a = LayerNorm(x + SelfAttention(x)),  y = LayerNorm(a + W_down f(W_up a))
// or with norms before its two halves (Xiong et al. 2020), behind them, or both; the second half plain, or gated (Shazeer 2020):
//   W_down (f(W_gate a) * W_up a)
// In and out: x [tokens, dim], in place; texts one after the other without padding.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/layers/linear.hpp"
#include "ranklet/layers/norm.hpp"
#include "ranklet/layers/self_attention.hpp"

RANKLET_NAMESPACE_BEGIN

/// What a half of a layer is normalised by; empty: not there.
template <class T = float>
struct HalfNorms {
    Norm<T> before;  ///< what the half reads
    Norm<T> behind;  ///< what it gives, before it is added to what it was given
    Norm<T> sum;     ///< the sum of both
};

template <class T = float>
struct TransformerParts {
    SelfAttention<T> attention;
    HalfNorms<T> attention_norms;
    Linear<T> up, down;
    std::optional<Linear<T>> gate = {};  ///< as wide as `up`; `activation` is then of the gate
    Activation activation = Activation::gelu;
    HalfNorms<T> output_norms;
};

template <class T = float>
class TransformerLayer {
public:
    RANKLET_MOVES_OUT_OF_LINE(TransformerLayer);
    TransformerLayer(const TransformerLayer&) = delete;
    TransformerLayer& operator=(const TransformerLayer&) = delete;
    /// BERT's form. Error when the parts' sizes do not fit together.
    Result<void> assign(SelfAttention<T> attention, LayerNorm<T> attention_norm, Linear<T> up, Linear<T> down,
                        LayerNorm<T> output_norm, Activation activation) {
        TransformerParts<T> parts;
        parts.attention = std::move(attention);
        parts.attention_norms.sum = std::move(attention_norm);
        parts.up = std::move(up);
        parts.down = std::move(down);
        parts.output_norms.sum = std::move(output_norm);
        parts.activation = activation;
        return assign(std::move(parts));
    }
    Result<void> assign(TransformerParts<T> parts) {
        const std::size_t dim = parts.attention.dim();
        const auto fits = [&](const HalfNorms<T>& norms) {
            for (const Norm<T>* norm : {&norms.before, &norms.behind, &norms.sum})
                if (!norm->empty() && norm->size() != dim) return false;
            return true;
        };
        if (!fits(parts.attention_norms) || !fits(parts.output_norms) || parts.up.in() != dim ||
            parts.down.in() != parts.up.out() || parts.down.out() != dim ||
            (parts.gate && (parts.gate->in() != dim || parts.gate->out() != parts.up.out())))
            return make_error(ErrorCode::invalid_argument, {"the transformer layer's parts do not fit together"});
        parts_ = std::move(parts);
        return {};
    }

    /// Scratch bytes for `tokens` tokens in texts of at most `longest`.
    std::size_t scratch_size(std::size_t tokens, std::size_t longest, Threads threads = 1) const noexcept {
        const Linear<T>&up = parts_.up, &down = parts_.down;
        const std::size_t inner = scratch_matrix_bytes<T>(tokens, up.out());
        const std::size_t products = std::max(
            {up.scratch_size(tokens), down.scratch_size(tokens), parts_.gate ? parts_.gate->scratch_size(tokens) : 0});
        const bool normed = !parts_.attention_norms.before.empty() || !parts_.output_norms.before.empty();
        return (normed ? 2 : 1) * scratch_matrix_bytes<T>(tokens, dim()) +
               std::max(parts_.attention.scratch_size(tokens, longest, threads),
                        (parts_.gate ? 2 : 1) * inner + products);
    }

    /// The work of each step is shared among `threads`; the bits do not depend on how many there are.
    void forward(MatrixView<T> x, std::span<const std::size_t> offsets, Scratch& scratch,
                 Threads threads = 1) const noexcept {
        half(
            x, parts_.attention_norms, scratch,
            [&](MatrixView<const T> in, MatrixView<T> out) {
                parts_.attention.forward(in, offsets, out, scratch, threads);
            },
            [&](MatrixView<const T> in, MatrixView<T> out) {
                parts_.attention.forward(in, offsets, x, out, scratch, threads);
            });
        half(
            x, parts_.output_norms, scratch,
            [&](MatrixView<const T> in, MatrixView<T> out) {
                const ScratchFrame inner(scratch);
                parts_.down.forward(widen(in, scratch, threads), out, scratch, Activation::identity, threads);
            },
            [&](MatrixView<const T> in, MatrixView<T> out) {
                const ScratchFrame inner(scratch);
                parts_.down.forward_residual(widen(in, scratch, threads), x, out, scratch, threads);
            });
    }

    /// Products of each row of x, without attention.
    std::size_t row_work() const noexcept {
        return parts_.attention.row_work() + (parts_.gate ? 3 : 2) * parts_.up.in() * parts_.up.out();
    }

private:
    std::size_t dim() const noexcept { return parts_.attention.dim(); }

    // x = a half of the layer. `alone(in, out)`; `added(in, out)` with x added.
    template <class Alone, class Added>
    void half(MatrixView<T> x, const HalfNorms<T>& norms, Scratch& scratch, const Alone& alone,
              const Added& added) const noexcept {
        using Ops = kernels::Ops<T>;
        const ScratchFrame frame(scratch);
        const MatrixView<T> out = scratch_matrix<T>(scratch, x.rows, x.cols);
        MatrixView<const T> in = x;
        if (!norms.before.empty()) {
            const MatrixView<T> normed = scratch_matrix<T>(scratch, x.rows, x.cols);
            norms.before.forward(x, normed);
            in = normed;
        }
        if (norms.behind.empty()) {
            added(in, out);
        } else {
            alone(in, out);
            norms.behind.forward(out, out);
            for (std::size_t r = 0; r < x.rows; ++r)
                Ops::add(x.row(r).data(), out.row(r).data(), out.row(r).data(), x.cols);
        }
        if (!norms.sum.empty()) return norms.sum.forward(out, x);
        for (std::size_t r = 0; r < x.rows; ++r) std::copy_n(out.row(r).data(), x.cols, x.row(r).data());
    }

    // f(W_up x), or f(W_gate x) * W_up x, in the scratch.
    MatrixView<const T> widen(MatrixView<const T> x, Scratch& scratch, Threads threads) const noexcept {
        const MatrixView<T> inner = scratch_matrix<T>(scratch, x.rows, parts_.up.out());
        if (!parts_.gate) {
            parts_.up.forward(x, inner, scratch, parts_.activation, threads);
            return inner;
        }
        const MatrixView<T> gate = scratch_matrix<T>(scratch, x.rows, parts_.up.out());
        parts_.up.forward(x, inner, scratch, Activation::identity, threads);
        parts_.gate->forward(x, gate, scratch, parts_.activation, threads);
        for (std::size_t r = 0; r < x.rows; ++r)
            kernels::Ops<T>::multiply(gate.row(r).data(), inner.row(r).data(), inner.row(r).data(), inner.cols);
        return inner;
    }

    TransformerParts<T> parts_;
};

RANKLET_NAMESPACE_END
