// Conv1d: a convolution over the tokens of a text (stride and dilation 1), torch.nn.Conv1d on [in, length]:
//   y[t, o] = b[o] + sum over k, i of W[o, k, i] * x[t - left + k, i], zero outside of the text.
// In: x [length, in], one text. Out: y [outputs(length), out]. Products run over windows: rows of width * in numbers
// that overlap in memory, so nothing is copied but the zero edges.
// Source: Kim 2014 (no padding); "same" pads (width - 1) / 2 in front and the rest behind, as PyTorch and Keras do.
#pragma once

#include <algorithm>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/linear.hpp"

RANKLET_NAMESPACE_BEGIN

/// Zero rows before a text's first and after its last token.
struct ConvPadding {
    std::size_t left = 0, right = 0;

    static constexpr ConvPadding valid() noexcept { return {}; }
    /// As many outputs as tokens; an even width has its odd zero behind the text.
    static constexpr ConvPadding same(std::size_t width) noexcept {
        return {(width - 1) / 2, width - 1 - (width - 1) / 2};
    }
};

template <class T = float>
class Conv1d {
public:
    RANKLET_LAYER(Conv1d);
    /// `taps` [out, width * in]: for each output the weights of the first token of a window, then of the second ...
    /// (torch.nn.Conv1d's weight [out, in, width] with its last two dimensions exchanged). Its inputs are not rounded.
    Result<void> assign(Linear<T> taps, std::size_t width, ConvPadding padding) {
        if (width == 0 || taps.in() == 0 || taps.in() % width != 0 || taps.rounds_inputs())
            return make_error(ErrorCode::invalid_argument,
                              {"a convolution of width ", width, " got weights for ", taps.in(), " inputs"});
        if (padding.left >= width || padding.right >= width)
            return make_error(ErrorCode::invalid_argument, {"a convolution of width ", width, " is padded with ",
                                                            padding.left, " and ", padding.right, " zeros"});
        taps_ = std::move(taps);
        width_ = width;
        padding_ = padding;
        return {};
    }

    std::size_t in() const noexcept { return taps_.in() / width_; }
    std::size_t out() const noexcept { return taps_.out(); }
    std::size_t width() const noexcept { return width_; }
    ConvPadding padding() const noexcept { return padding_; }

    /// Rows of y for a text of `length` tokens; 0 when it and its padding are shorter than a window.
    std::size_t outputs(std::size_t length) const noexcept {
        const std::size_t padded = length + padding_.left + padding_.right;
        return padded < width_ ? 0 : padded - width_ + 1;
    }
    /// Scratch bytes for a text of `length` tokens.
    std::size_t scratch_size(std::size_t length) const noexcept {
        return scratch_bytes<T>((length + padding_.left + padding_.right) * in());
    }

    /// y [outputs(x.rows), out] = activation(convolution of x).
    void forward(MatrixView<const T> x, MatrixView<T> y, Scratch& scratch,
                 Activation activation = Activation::identity) const noexcept {
        if (y.rows == 0) return;
        const ScratchFrame frame(scratch);
        const std::size_t size = in(), rows = x.rows + padding_.left + padding_.right;
        const T* padded = x.data;
        if (rows != x.rows || x.stride != size) {
            T* copy = scratch.take<T>(rows * size);
            std::fill_n(copy, padding_.left * size, T(0));
            for (std::size_t r = 0; r < x.rows; ++r)
                std::copy_n(x.row(r).data(), size, copy + (padding_.left + r) * size);
            std::fill_n(copy + (padding_.left + x.rows) * size, padding_.right * size, T(0));
            padded = copy;
        }
        // Window t begins at row t: rows of width * in numbers, one token apart.
        taps_.forward(MatrixView<const T>(padded, y.rows, width_ * size, size), y, activation);
    }

private:
    Linear<T> taps_;
    std::size_t width_ = 1;
    ConvPadding padding_;
};

RANKLET_NAMESPACE_END
