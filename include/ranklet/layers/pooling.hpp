// Pooling: token states of a text to one row, as sentence-transformers' modes.
// In: states [length, hidden]. Out: a row [hidden].
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "ranklet/core/config.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/kernels/ops.hpp"

RANKLET_NAMESPACE_BEGIN

/// How token states become one vector; over all tokens of a text, special ones included.
enum class Pooling {
    cls,            ///< the first token's state
    mean,           ///< the mean
    max,            ///< the maximum of each element
    mean_sqrt_len,  ///< the sum divided by sqrt(length)
    weighted_mean,  ///< the mean with weights 1, 2, 3 ...
    last,           ///< the last token's state
};

/// out [hidden] from states [length, hidden], of which the rows before `first` (< length) do not count; the weights of
/// weighted_mean stay those of the whole text.
inline void pool(Pooling pooling, MatrixView<const float> states, float* out, std::size_t first = 0) noexcept {
    using Ops = kernels::Ops<float>;
    const std::size_t n = states.cols, length = states.rows, count = length - first;
    const auto from = states.row(pooling == Pooling::last ? length - 1 : first);
    std::copy(from.begin(), from.end(), out);
    switch (pooling) {
        case Pooling::cls:
        case Pooling::last:
            return;
        case Pooling::max:
            for (std::size_t i = first + 1; i < length; ++i) Ops::maximum(out, states.row(i).data(), out, n);
            return;
        case Pooling::mean:
        case Pooling::mean_sqrt_len:
            for (std::size_t i = first + 1; i < length; ++i) Ops::add(out, states.row(i).data(), out, n);
            Ops::scale(
                1.0f / (pooling == Pooling::mean ? static_cast<float>(count) : std::sqrt(static_cast<float>(count))),
                out, n);
            return;
        case Pooling::weighted_mean:
            if (first > 0) Ops::scale(static_cast<float>(first + 1), out, n);
            for (std::size_t i = first + 1; i < length; ++i)
                Ops::multiply_add(static_cast<float>(i + 1), states.row(i).data(), out, out, n);
            const auto sum = [](std::size_t k) { return 0.5f * static_cast<float>(k) * static_cast<float>(k + 1); };
            Ops::scale(1.0f / (sum(length) - sum(first)), out, n);
            return;
    }
}

RANKLET_NAMESPACE_END
