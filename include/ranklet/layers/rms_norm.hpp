// RmsNorm: y = x / sqrt(mean of x^2 + epsilon) * weight (Zhang & Sennrich 2019), torch.nn.RMSNorm.
// In: x [m, size]. Out: y [m, size], may be x.
#pragma once

#include <algorithm>
#include <span>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/storage.hpp"

RANKLET_NAMESPACE_BEGIN

template <class T = float, std::ptrdiff_t Size = dynamic>
class RmsNorm {
public:
    RANKLET_LAYER(RmsNorm);
    /// Takes a copy of `weight` [size]. Error when it is empty or epsilon is negative or NaN.
    Result<void> assign(std::span<const T> weight, T epsilon) {
        if (weight.empty()) return make_error(ErrorCode::invalid_argument, {"an RMS norm got no weights"});
        if (!(epsilon >= T(0)))
            return make_error(ErrorCode::invalid_argument, {"an RMS norm needs an epsilon that is not negative"});
        RANKLET_TRY(size_.set(weight.size(), "an RMS norm's size"));
        RANKLET_TRY(weight_.resize(weight.size()));
        std::copy(weight.begin(), weight.end(), weight_.data());
        epsilon_ = epsilon;
        return {};
    }

    std::size_t size() const noexcept { return size_.get(); }

    void forward(MatrixView<const T> x, MatrixView<T> y) const noexcept {
        kernels::Ops<T>::rms_norm(x.rows, x.data, x.stride, weight_.data(), epsilon_, y.data, y.stride, size());
    }

private:
    detail::Extent<Size> size_;
    detail::Storage<T, Size> weight_;
    T epsilon_{};
};

RANKLET_NAMESPACE_END
