// SentenceHead: token states of a text to its vector, as sentence-transformers' modules: pooling, dense, normalise.
// In: states [length, hidden] of one text. Out: vector [dim].
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/layers/linear.hpp"
#include "ranklet/model_file/layers.hpp"
#include "ranklet/model_file/reader.hpp"

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

/// Poolings as model files name them.
inline constexpr std::array<Choice<Pooling>, 6> pooling_names{{{"cls", Pooling::cls},
                                                               {"mean", Pooling::mean},
                                                               {"max", Pooling::max},
                                                               {"mean_sqrt_len", Pooling::mean_sqrt_len},
                                                               {"weighted_mean", Pooling::weighted_mean},
                                                               {"last", Pooling::last}}};

/// out [hidden] from states [length, hidden], length >= 1.
inline void pool(Pooling pooling, MatrixView<const float> states, float* out) noexcept {
    using Ops = kernels::Ops<float>;
    const std::size_t n = states.cols, length = states.rows;
    const auto first = states.row(pooling == Pooling::last ? length - 1 : 0);
    std::copy(first.begin(), first.end(), out);
    switch (pooling) {
        case Pooling::cls:
        case Pooling::last:
            return;
        case Pooling::max:
            for (std::size_t i = 1; i < length; ++i) Ops::maximum(out, states.row(i).data(), out, n);
            return;
        case Pooling::mean:
        case Pooling::mean_sqrt_len:
            for (std::size_t i = 1; i < length; ++i) Ops::add(out, states.row(i).data(), out, n);
            Ops::scale(
                1.0f / (pooling == Pooling::mean ? static_cast<float>(length) : std::sqrt(static_cast<float>(length))),
                out, n);
            return;
        case Pooling::weighted_mean:
            for (std::size_t i = 1; i < length; ++i)
                Ops::multiply_add(static_cast<float>(i + 1), states.row(i).data(), out, out, n);
            Ops::scale(1.0f / (0.5f * static_cast<float>(length) * static_cast<float>(length + 1)), out, n);
            return;
    }
}

class SentenceHead {
public:
    RANKLET_MOVES_OUT_OF_LINE(SentenceHead);
    /// From `ranklet.encoder.pooling`, `.modules` and `.dense.*`.
    RANKLET_COLD static Result<SentenceHead> read(const ModelReader& reader, std::size_t hidden) {
        const ModelReader encoder = reader.scope("ranklet.encoder");
        RANKLET_ASSIGN(const auto poolings, encoder.strings("pooling"));
        RANKLET_ASSIGN(const auto modules, encoder.strings("modules"));
        if (poolings.empty() || modules.empty() || modules.front() != "pooling")
            return encoder.wrong("modules", {" must start with \"pooling\""});
        if (modules.size() > most_modules)  // each is work for every text, and costs the file a few bytes
            return encoder.wrong("modules", {" has ", modules.size(), " entries, expected at most ", most_modules});
        SentenceHead head;
        head.hidden_ = hidden;
        for (const std::string_view name : poolings) {
            RANKLET_ASSIGN(const Pooling pooling, encoder.choose("pooling", name, pooling_names));
            if (std::find(head.poolings_.begin(), head.poolings_.end(), pooling) != head.poolings_.end())
                return encoder.wrong("pooling", {" has \"", name, "\" twice"});
            head.poolings_.push_back(pooling);
        }
        head.dim_ = head.widest_ = hidden * poolings.size();
        for (std::size_t m = 1; m < modules.size(); ++m) {
            const std::string name(modules[m]);
            if (name == "normalize") {
                head.steps_.push_back({});
                continue;
            }
            if (!name.starts_with("dense."))
                return encoder.wrong("modules", {": unknown module \"", name, "\""}, ErrorCode::unsupported);
            if (std::find(modules.begin(), modules.begin() + static_cast<std::ptrdiff_t>(m), name) !=
                modules.begin() + static_cast<std::ptrdiff_t>(m))
                return encoder.wrong("modules", {" has \"", name, "\" twice"});
            Step step;
            RANKLET_ASSIGN(step.activation, read_activation(encoder, name + ".activation"));
            RANKLET_ASSIGN(step.dense, read_linear(reader, "ranklet." + name, head.dim_));
            step.normalize = false;
            head.dim_ = step.dense.out();
            head.widest_ = std::max(head.widest_, head.dim_);
            head.steps_.push_back(std::move(step));
        }
        return head;
    }
    /// Pooling and, if wanted, normalisation alone.
    static SentenceHead simple(std::size_t hidden, Pooling pooling, bool normalize) {
        SentenceHead head;
        head.hidden_ = head.dim_ = head.widest_ = hidden;
        head.poolings_ = {pooling};
        if (normalize) head.steps_.push_back({});
        return head;
    }

    std::size_t dim() const noexcept { return dim_; }
    /// Elements of what the poolings give, one beside the other.
    std::size_t pooled_dim() const noexcept { return hidden_ * poolings_.size(); }
    std::size_t scratch_size() const noexcept { return 3 * scratch_bytes<float>(widest_); }

    /// vector [dim] from states [length, hidden], length >= 1.
    void forward(MatrixView<const float> states, float* vector, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        float* pooled = scratch.take<float>(widest_);
        pool_states(states, pooled);
        finish(pooled, vector, scratch);
    }
    /// Its two halves, for a text that is read in windows. pooled [pooled_dim()] from states [length, hidden].
    void pool_states(MatrixView<const float> states, float* pooled) const noexcept {
        for (std::size_t p = 0; p < poolings_.size(); ++p) pool(poolings_[p], states, pooled + p * hidden_);
    }
    /// vector [dim] from pooled [pooled_dim()].
    void finish(const float* pooled, float* vector, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        float* current = scratch.take<float>(widest_);
        float* next = scratch.take<float>(widest_);
        std::size_t width = pooled_dim();
        std::copy_n(pooled, width, current);
        for (const Step& step : steps_) {
            if (step.normalize) {
                kernels::Ops<float>::normalize(current, width);
                continue;
            }
            step.dense.forward({current, 1, width}, {next, 1, step.dense.out()}, step.activation);
            width = step.dense.out();
            std::swap(current, next);
        }
        std::copy_n(current, dim_, vector);
    }

private:
    struct Step {
        bool normalize = true;
        Linear<> dense;
        Activation activation = Activation::identity;
    };
    static constexpr std::size_t most_modules = 32;
    std::size_t hidden_ = 0, dim_ = 0, widest_ = 0;
    std::vector<Pooling> poolings_;
    std::vector<Step> steps_;
};

RANKLET_NAMESPACE_END
