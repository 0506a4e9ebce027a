// Norm: a LayerNorm, an RmsNorm, or none, as a model file has it.
// In: x [m, size]. Out: y [m, size], may be x.
#pragma once

#include <cstddef>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/layers/layer_norm.hpp"
#include "ranklet/layers/rms_norm.hpp"

RANKLET_NAMESPACE_BEGIN

template <class T = float>
class Norm {
public:
    RANKLET_LAYER(Norm);
    Norm(LayerNorm<T> norm) : layer_(std::move(norm)) {}
    Norm(RmsNorm<T> norm) : rms_(std::move(norm)) {}

    bool empty() const noexcept { return size() == 0; }
    /// 0: none.
    std::size_t size() const noexcept { return rms_.size() > 0 ? rms_.size() : layer_.size(); }

    /// Precondition: it is not empty.
    void forward(MatrixView<const T> x, MatrixView<T> y) const noexcept {
        if (rms_.size() > 0) return rms_.forward(x, y);
        layer_.forward(x, y);
    }

private:
    LayerNorm<T> layer_;
    RmsNorm<T> rms_;
};

RANKLET_NAMESPACE_END
