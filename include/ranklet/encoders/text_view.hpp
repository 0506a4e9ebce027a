// TextView: a text's word vectors to one vector, in the forms of news and sentence encoders:
//   cnn_max         convolutions of several widths, ReLU, maximum over time, side by side   Kim 2014
//   cnn_attention   one convolution, ReLU, additive attention                               NAML (Wu et al. 2019),
//                                                                                           LSTUR (An et al. 2019)
//   self_attention  multi-head self-attention, additive attention                           NRMS (Wu et al. 2019)
// In: word ids and their table. Out: [dim]. A text without words (and without pad_to) is the zero vector.
// A model trained on texts padded to a fixed length without a mask says so (pad_to): its padding words are then part of
// every text. Under a maximum only as many are computed as differ.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/layers/embedding.hpp"
#include "ranklet/model_file/layers.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

class TextView {
    enum class Form { cnn_max, cnn_attention, self_attention };

public:
    RANKLET_MOVES_OUT_OF_LINE(TextView);
    /// Keys and tensors under the reader's prefix; `words`: elements of a word's vector.
    RANKLET_COLD static Result<TextView> read(const ModelReader& reader, std::size_t words) {
        TextView view;
        view.words_ = words;
        RANKLET_ASSIGN(view.form_, reader.choice<Form>("form", {{"cnn_max", Form::cnn_max},
                                                                {"cnn_attention", Form::cnn_attention},
                                                                {"self_attention", Form::self_attention}}));
        RANKLET_ASSIGN(view.max_length_, reader.u32_in("max_length", 1, 4096));
        RANKLET_ASSIGN(view.pad_to_, reader.u32_in("pad_to", 0, static_cast<std::uint32_t>(view.max_length_)));
        RANKLET_ASSIGN(view.mask_padding_, reader.boolean("mask_padding"));
        if (view.form_ == Form::self_attention) {
            RANKLET_ASSIGN(view.attention_, read_head_attention(reader.scope("self_attention"), words));
            view.dim_ = view.attention_.out();
        } else {
            RANKLET_ASSIGN(view.convolutions_, read_convolutions(reader.scope("conv"), words));
            for (const Conv1d<>& conv : view.convolutions_) view.dim_ += conv.out();
        }
        if (view.form_ == Form::cnn_attention && view.convolutions_.size() != 1)
            return reader.wrong("form", {": cnn_attention has one width"});
        if (view.form_ != Form::cnn_max) {
            RANKLET_ASSIGN(view.pool_, read_attention_pooling(reader.scope("pool"), view.dim_, 0));
        }
        return view;
    }

    std::size_t dim() const noexcept { return dim_; }
    /// Words of a text beyond which it is cut.
    std::size_t max_length() const noexcept { return max_length_; }

    /// Scratch bytes for a text of `length` words.
    std::size_t scratch_size(std::size_t length) const noexcept {
        const std::size_t rows = length + padding(length);
        std::size_t inner = 0, outputs = rows;
        for (const Conv1d<>& conv : convolutions_) {
            outputs = std::max(outputs, conv.outputs(rows));
            inner = std::max(inner, conv.scratch_size(rows));
        }
        if (form_ == Form::self_attention) inner = attention_.scratch_size(rows, rows);
        if (form_ != Form::cnn_max) inner = std::max(inner, pool_.scratch_size(outputs));
        return scratch_bytes<float>(rows * words_) + scratch_bytes<float>(outputs * dim_) +
               scratch_bytes<std::uint8_t>(outputs) + scratch_bytes<float>(outputs) + inner;
    }

    /// Whether the words are weighted by attention.
    bool has_attention() const noexcept { return form_ != Form::cnn_max; }

    /// out [dim] of the text with these ids (at most max_length). `pad`: the padding word's id. `weights` [ids], if
    /// wanted and there is attention: that on each word (with convolutions: on the window around it); what is missing
    /// to 1 lies on padding. Precondition: all ids are rows of `table`.
    void forward(const Embedding& table, std::span<const std::int32_t> ids, std::int32_t pad, float* out,
                 float* weights, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        const std::size_t length = ids.size(), rows = length + padding(length);
        std::fill_n(out, dim_, 0.0f);
        if (rows == 0) return;
        const MatrixView<float> x(scratch.take<float>(rows * words_), rows, words_);
        for (std::size_t r = 0; r < rows; ++r)
            table.row(static_cast<std::size_t>(r < length ? ids[r] : pad), x.row(r).data());
        if (form_ == Form::cnn_max) return max_over_time(x, out, scratch);

        const std::size_t outputs = form_ == Form::self_attention ? rows : convolutions_.front().outputs(rows);
        const MatrixView<float> states(scratch.take<float>(outputs * dim_), outputs, dim_);
        if (form_ == Form::self_attention) {
            const std::size_t offsets[2]{0, rows};
            attention_.forward(x, offsets, states, scratch);
        } else {
            convolutions_.front().forward(x, states, scratch, Activation::relu);
        }
        std::span<const std::uint8_t> mask;
        if (mask_padding_ && outputs > length) {
            auto* entries = scratch.take<std::uint8_t>(outputs);
            for (std::size_t r = 0; r < outputs; ++r) entries[r] = r < length;
            mask = {entries, outputs};
        }
        float* all = weights == nullptr ? nullptr : scratch.take<float>(outputs);
        pool_.forward(states, nullptr, mask, out, all, scratch);
        if (weights == nullptr) return;
        // Window r begins `padding` words before word r; its middle is what it is said to be about.
        std::size_t before = 0, middle = 0;
        if (form_ == Form::cnn_attention) {
            before = convolutions_.front().padding().left;
            middle = (convolutions_.front().width() - 1) / 2;
        }
        for (std::size_t w = 0; w < length; ++w) {
            const std::size_t r = w + before - middle;  // wraps where no window has this word in its middle
            weights[w] = r < outputs ? all[r] : 0.0f;
        }
    }

private:
    /// Padding words that stand behind a text's own.
    std::size_t padding(std::size_t length) const noexcept {
        const std::size_t all = pad_to_ > length ? pad_to_ - length : 0;
        if (form_ == Form::self_attention) return mask_padding_ ? 0 : all;  // masked words are as if not there
        if (form_ == Form::cnn_attention && !mask_padding_) return all;
        // A maximum over equal windows is one of them, and masked places are not seen: once there are as many padding
        // words as the widest window has, more of them add no new window.
        std::size_t widest = 0;
        for (const Conv1d<>& conv : convolutions_) widest = std::max(widest, conv.width());
        return std::min(all, widest);
    }

    void max_over_time(MatrixView<const float> x, float* out, Scratch& scratch) const noexcept {
        for (const Conv1d<>& conv : convolutions_) {
            const ScratchFrame frame(scratch);
            const std::size_t rows = conv.outputs(x.rows), width = conv.out();
            const MatrixView<float> y(scratch.take<float>(rows * width), rows, width);
            conv.forward(x, y, scratch, Activation::relu);
            for (std::size_t r = 0; r < rows; ++r)  // from zero: no ReLU is below it
                kernels::Ops<float>::maximum(out, y.row(r).data(), out, width);
            out += width;
        }
    }

    Form form_ = Form::cnn_max;
    std::size_t words_ = 0, dim_ = 0, max_length_ = 0, pad_to_ = 0;
    bool mask_padding_ = false;
    std::vector<Conv1d<>> convolutions_;
    HeadAttention<> attention_;
    AttentionPooling<> pool_;
};

}  // namespace detail
RANKLET_NAMESPACE_END
