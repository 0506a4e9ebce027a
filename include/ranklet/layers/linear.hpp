// Linear: y = x W^T + b, torch.nn.Linear.
// In: x [m, in]. Out: y [m, out]. W is [out, in], packed once when assigned.
#pragma once

#include <span>
#include <string>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/storage.hpp"

RANKLET_NAMESPACE_BEGIN

template <class T = float, std::ptrdiff_t In = dynamic, std::ptrdiff_t Out = dynamic>
class Linear {
    using Ops = kernels::Ops<T>;

public:
    /// Takes copies of `weight` [out, in] and `bias` [out] (empty: none). Error when the shapes contradict each other
    /// or the fixed sizes.
    [[nodiscard]] Result<void> assign(MatrixView<const T> weight, std::span<const T> bias = {}) {
        if (weight.rows == 0 || weight.cols == 0)
            return Error{ErrorCode::invalid_argument, "a linear layer needs at least one input and one output"};
        if (!bias.empty() && bias.size() != weight.rows)
            return make_error(ErrorCode::invalid_argument,
                              {"a linear layer with ", weight.rows, " outputs got a bias of ", bias.size()});
        RANKLET_TRY(in_.set(weight.cols, "a linear layer's input"));
        RANKLET_TRY(out_.set(weight.rows, "a linear layer's output"));
        RANKLET_TRY(packed_.resize(Ops::packed_size(weight.rows, weight.cols)));
        RANKLET_TRY(bias_.resize(weight.rows));
        Ops::pack(weight.data, weight.rows, weight.cols, weight.stride, packed_.data());
        for (std::size_t i = 0; i < bias.size(); ++i) bias_.data()[i] = bias[i];
        has_bias_ = !bias.empty();
        return {};
    }

    [[nodiscard]] std::size_t in() const noexcept { return in_.get(); }
    [[nodiscard]] std::size_t out() const noexcept { return out_.get(); }
    [[nodiscard]] bool has_bias() const noexcept { return has_bias_; }

    /// y = activation(x W^T + b). y must not overlap x.
    void forward(MatrixView<const T> x, MatrixView<T> y, Activation activation = Activation::identity) const noexcept {
        run(x, y, {bias(), activation, nullptr, 0});
    }
    /// y = x W^T + b + residual. y must not overlap x; it may be residual.
    void forward_residual(MatrixView<const T> x, MatrixView<const T> residual, MatrixView<T> y) const noexcept {
        run(x, y, {bias(), Activation::identity, residual.data, residual.stride});
    }

private:
    static constexpr std::ptrdiff_t packed_extent =
        In == dynamic || Out == dynamic ? dynamic
                                        : static_cast<std::ptrdiff_t>(Ops::packed_size(static_cast<std::size_t>(Out),
                                                                                       static_cast<std::size_t>(In)));

    [[nodiscard]] const T* bias() const noexcept { return has_bias_ ? bias_.data() : nullptr; }
    void run(MatrixView<const T> x, MatrixView<T> y, const kernels::Epilogue<T>& epilogue) const noexcept {
        Ops::linear(x.rows, out(), in(), x.data, x.stride, packed_.data(), y.data, y.stride, epilogue);
    }

    Extent<In> in_;
    Extent<Out> out_;
    Storage<T, packed_extent> packed_;
    Storage<T, Out> bias_;
    bool has_bias_ = false;
};

RANKLET_NAMESPACE_END
