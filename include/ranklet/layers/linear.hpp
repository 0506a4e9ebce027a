// Linear: y = activation(x W^T + b), torch.nn.Linear.
// In: x [m, in]. Out: y [m, out]. W is [out, in], packed once when assigned, in T or, for f32, in bf16 or 8 bits (see
// PackedWeights: such weights may round the inputs).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/core/weight_block.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/packed_weights.hpp"
#include "ranklet/layers/storage.hpp"

RANKLET_NAMESPACE_BEGIN

template <class T = float, std::ptrdiff_t In = dynamic, std::ptrdiff_t Out = dynamic>
class Linear {
public:
    RANKLET_LAYER(Linear);
    using Weights = PackedWeights<T, In, Out>;
    template <class Weight>
    using Parts = typename Weights::template Parts<Weight>;

    /// Takes copies of `weight` [out, in] and `bias` [out] (empty: none). Error when the shapes contradict each other
    /// or the fixed sizes.
    Result<void> assign(MatrixView<const T> weight, std::span<const T> bias = {}) {
        WeightBlock none;
        return assign_parts({&weight, 1}, bias, none);
    }
    /// The same with the bits of bf16 weights [out, in], `in` even.
    Result<void> assign_bf16(MatrixView<const std::uint16_t> weight, std::span<const float> bias = {})
        requires(Weights::may_be_small)
    {
        WeightBlock none;
        return assign_bf16_parts({&weight, 1}, bias, none);
    }
    /// The same with 8-bit weights: W[o, i] = scale[o] * weight[o, i], `weight` [out, in] in [-127, 127].
    Result<void> assign(MatrixView<const std::int8_t> weight, std::span<const float> scale,
                        std::span<const float> bias = {}, const InputQuantization& inputs = {})
        requires(Weights::may_be_small)
    {
        WeightBlock none;
        return assign_parts({&weight, 1}, scale, bias, none, inputs);
    }
    /// From weights that are packed already.
    Result<void> assign(Weights weights, std::span<const T> bias = {}) {
        weights_ = std::move(weights);
        return set_bias(bias);
    }

    /// The same, the weight in parts that lie one above the other, packed into memory of `block`; `bias` (and `scale`)
    /// of all outputs.
    Result<void> assign_parts(Parts<T> parts, std::span<const T> bias, WeightBlock& block) {
        RANKLET_TRY(weights_.pack(parts, block));
        return set_bias(bias);
    }
    Result<void> assign_bf16_parts(Parts<std::uint16_t> parts, std::span<const float> bias, WeightBlock& block)
        requires(Weights::may_be_small)
    {
        RANKLET_TRY(weights_.pack(parts, block));
        return set_bias(bias);
    }
    Result<void> assign_parts(Parts<std::int8_t> parts, std::span<const float> scale, std::span<const float> bias,
                              WeightBlock& block, const InputQuantization& inputs = {}) requires(Weights::may_be_small)
    {
        RANKLET_TRY(weights_.pack(parts, scale, block, inputs));
        return set_bias(bias);
    }

    std::size_t in() const noexcept { return weights_.in(); }
    std::size_t out() const noexcept { return weights_.out(); }
    bool has_bias() const noexcept { return has_bias_; }
    bool is_i8() const noexcept { return weights_.kind() == WeightKind::i8; }
    bool is_bf16() const noexcept { return weights_.kind() == WeightKind::bf16; }

    /// Whether the forward passes round their inputs (PackedWeights::rounds_inputs). Such passes need a Scratch.
    bool rounds_inputs() const noexcept { return weights_.rounds_inputs(); }
    /// Scratch bytes of the forward passes over `rows` rows that take a Scratch.
    std::size_t scratch_size(std::size_t rows) const noexcept { return weights_.scratch_size(rows); }

    /// y = activation(x W^T + b). y must not overlap x. Precondition: rounds_inputs() is false.
    void forward(MatrixView<const T> x, MatrixView<T> y, Activation activation = Activation::identity) const noexcept {
        weights_.multiply(x, {bias(), activation}, y);
    }
    /// The same with weights of any kind. Several `threads` each compute some of the outputs.
    void forward(MatrixView<const T> x, MatrixView<T> y, Scratch& scratch, Activation activation = Activation::identity,
                 Threads threads = 1) const noexcept {
        weights_.multiply(x, {bias(), activation}, y, scratch, threads);
    }
    /// y = x W^T + b + residual. y must overlap neither x nor residual.
    void forward_residual(MatrixView<const T> x, MatrixView<const T> residual, MatrixView<T> y, Scratch& scratch,
                          Threads threads = 1) const noexcept {
        weights_.multiply(x, {bias(), Activation::identity, residual.data, residual.stride}, y, scratch, threads);
    }

private:
    const T* bias() const noexcept { return has_bias_ ? bias_.data() : nullptr; }
    Result<void> set_bias(std::span<const T> bias) {
        if (!bias.empty() && bias.size() != out())
            return make_error(ErrorCode::invalid_argument,
                              {"a linear layer with ", out(), " outputs got a bias of ", bias.size()});
        has_bias_ = !bias.empty();
        RANKLET_TRY(bias_.resize(out()));
        for (std::size_t i = 0; i < bias.size(); ++i) bias_.data()[i] = bias[i];
        return {};
    }

    Weights weights_;
    detail::Storage<T, Out> bias_;
    bool has_bias_ = false;
};

RANKLET_NAMESPACE_END
