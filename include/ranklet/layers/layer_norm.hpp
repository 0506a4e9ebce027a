// LayerNorm: y = (x - mean) / sqrt(variance + epsilon) * weight + bias, torch.nn.LayerNorm.
// In: x [m, size]. Out: y [m, size], may be x.
#pragma once

#include <algorithm>
#include <span>
#include <string>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/storage.hpp"

RANKLET_NAMESPACE_BEGIN

template <class T = float, std::ptrdiff_t Size = dynamic>
class LayerNorm {
public:
    RANKLET_LAYER(LayerNorm);
    /// Takes copies of `weight` and `bias` [size]. Error when their sizes differ or epsilon is negative or NaN.
    Result<void> assign(std::span<const T> weight, std::span<const T> bias, T epsilon) {
        if (weight.empty() || weight.size() != bias.size())
            return make_error(ErrorCode::invalid_argument,
                              {"layer norm got ", weight.size(), " weights and ", bias.size(), " biases"});
        if (!(epsilon >= T(0)))
            return make_error(ErrorCode::invalid_argument, {"layer norm needs an epsilon that is not negative"});
        RANKLET_TRY(size_.set(weight.size(), "a layer norm's size"));
        RANKLET_TRY(weight_.resize(weight.size()));
        RANKLET_TRY(bias_.resize(bias.size()));
        std::copy(weight.begin(), weight.end(), weight_.data());
        std::copy(bias.begin(), bias.end(), bias_.data());
        epsilon_ = epsilon;
        return {};
    }

    std::size_t size() const noexcept { return size_.get(); }

    void forward(MatrixView<const T> x, MatrixView<T> y) const noexcept {
        kernels::Ops<T>::layer_norm(x.rows, x.data, x.stride, weight_.data(), bias_.data(), epsilon_, y.data, y.stride,
                                    size());
    }

private:
    detail::Extent<Size> size_;
    detail::Storage<T, Size> weight_, bias_;
    T epsilon_{};
};

RANKLET_NAMESPACE_END
