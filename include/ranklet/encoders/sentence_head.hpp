// SentenceHead: token states of a text to its vector, as sentence-transformers' modules: pooling, and dense, layer norm and
// normalisation before it (on each token's state) or behind it; the first numbers of the result alone (`truncate_dim`).
// In: states [length, hidden] of one text. Out: vector [dim].
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/layer_norm.hpp"
#include "ranklet/layers/linear.hpp"
#include "ranklet/layers/pooling.hpp"
#include "ranklet/model_file/layers.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN

class SentenceHead {
public:
    RANKLET_MOVES_OUT_OF_LINE(SentenceHead);
    /// From `ranklet.encoder.pooling`, `.modules` and what they name. `max_tokens`: rows that states have at most.
    RANKLET_COLD static Result<SentenceHead> read(const ModelReader& reader, std::size_t hidden,
                                                  std::size_t max_tokens) {
        const ModelReader encoder = reader.scope("ranklet.encoder");
        RANKLET_ASSIGN(const auto poolings, encoder.strings("pooling"));
        RANKLET_ASSIGN(const auto modules, encoder.strings("modules"));
        if (modules.size() > most_modules)  // each is work for every text, and costs the file a few bytes
            return encoder.wrong("modules", {" has ", modules.size(), " entries, expected at most ", most_modules});
        const auto is_pooling = [](std::string_view name) { return name == "pooling" || name == without_prompt; };
        const auto pooling_at = std::find_if(modules.begin(), modules.end(), is_pooling);
        if (poolings.empty() || pooling_at == modules.end())
            return encoder.wrong("modules", {" must have \"pooling\" or \"", without_prompt, "\""});
        if (std::any_of(pooling_at + 1, modules.end(), is_pooling))
            return encoder.wrong("modules", {" has two poolings"});
        SentenceHead head;
        for (const std::string_view name : poolings) {
            RANKLET_ASSIGN(const Pooling pooling, encoder.choose("pooling", name, pooling_names));
            if (std::find(head.poolings_.begin(), head.poolings_.end(), pooling) != head.poolings_.end())
                return encoder.wrong("pooling", {" has \"", name, "\" twice"});
            head.poolings_.push_back(pooling);
        }
        head.leaves_prompt_out_ = *pooling_at == without_prompt;
        head.dim_ = head.widest_ = hidden;
        for (auto module = modules.begin(); module != modules.end(); ++module) {
            if (module == pooling_at) {
                head.pooled_from_ = head.dim_;
                head.dim_ *= poolings.size();
            } else {
                if (*module != "normalize" && std::find(modules.begin(), module, *module) != module)
                    return encoder.wrong("modules", {" has \"", *module, "\" twice"});
                RANKLET_ASSIGN(Step step, read_step(reader, *module, head.dim_));
                head.dim_ = step.out;
                (module < pooling_at ? head.token_steps_ : head.steps_).push_back(std::move(step));
            }
            head.widest_ = std::max(head.widest_, head.dim_);
        }
        if (!head.token_steps_.empty()) head.token_rows_ = max_tokens;
        return head;
    }
    /// Pooling and, if wanted, normalisation alone.
    static SentenceHead simple(std::size_t hidden, Pooling pooling, bool normalize) {
        SentenceHead head;
        head.pooled_from_ = head.dim_ = head.widest_ = hidden;
        head.poolings_ = {pooling};
        if (normalize) {
            head.steps_.emplace_back();
            head.steps_.back().out = hidden;
        }
        return head;
    }

    /// The vector's first `size` numbers alone, of length 1 again where the whole one is. Precondition: 1 <= size <= dim().
    RANKLET_COLD void truncate(std::size_t size) {
        if (size == dim_) return;
        const bool normalizes = this->normalizes();
        Step cut;
        cut.form = Step::Form::truncate;
        cut.out = dim_ = size;
        steps_.push_back(std::move(cut));
        if (!normalizes) return;
        steps_.emplace_back();
        steps_.back().out = size;
    }

    std::size_t dim() const noexcept { return dim_; }
    /// Whether a vector has length 1.
    bool normalizes() const noexcept { return !steps_.empty() && steps_.back().form == Step::Form::normalize; }
    /// Elements of what the poolings give, one beside the other.
    std::size_t pooled_dim() const noexcept { return pooled_from_ * poolings_.size(); }
    /// Whether [CLS] and a prompt's tokens do not count where a prompt stands before a text (`include_prompt: false`).
    bool leaves_prompt_out() const noexcept { return leaves_prompt_out_; }
    std::size_t scratch_size() const noexcept {
        return 4 * scratch_bytes<float>(widest_) + 3 * scratch_bytes<float>(token_rows_ * widest_);
    }

    /// vector [dim] from states [length, hidden], length >= 1, of which the first `prompt` rows do not count; the last
    /// one always does.
    void forward(MatrixView<const float> states, float* vector, Scratch& scratch,
                 std::size_t prompt = 0) const noexcept {
        const ScratchFrame frame(scratch);
        float* pooled = scratch.take<float>(widest_);
        pool_states(states, pooled, scratch, prompt);
        finish(pooled, vector, scratch);
    }
    /// Its two halves, for a text that is read in windows. pooled [pooled_dim()] from states [length, hidden].
    void pool_states(MatrixView<const float> states, float* pooled, Scratch& scratch,
                     std::size_t prompt = 0) const noexcept {
        const ScratchFrame frame(scratch);
        const std::size_t first = std::min(prompt, states.rows - 1);
        if (!token_steps_.empty()) {
            Rows rows(scratch, token_rows_, widest_, states.rows, states.cols);
            for (std::size_t r = 0; r < states.rows; ++r)
                std::copy_n(states.row(r).data(), states.cols, rows.view().row(r).data());
            for (const Step& step : token_steps_) step.forward(rows);
            states = rows.view();
        }
        for (std::size_t p = 0; p < poolings_.size(); ++p) pool(poolings_[p], states, pooled + p * pooled_from_, first);
    }
    /// vector [dim] from pooled [pooled_dim()].
    void finish(const float* pooled, float* vector, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        Rows row(scratch, 1, widest_, 1, pooled_dim());
        std::copy_n(pooled, row.width, row.current);
        for (const Step& step : steps_) step.forward(row);
        std::copy_n(row.current, dim_, vector);
    }

private:
    /// Rows on their way through the steps, with room for those of the next.
    struct Rows {
        float *current, *next, *spare;
        std::size_t count, width, stride;
        Rows(Scratch& scratch, std::size_t room, std::size_t widest, std::size_t rows, std::size_t cols) noexcept
            : current(scratch.take<float>(room * widest)),
              next(scratch.take<float>(room * widest)),
              spare(scratch.take<float>(room * widest)),
              count(rows),
              width(cols),
              stride(widest) {}
        MatrixView<float> view() const noexcept { return {current, count, width, stride}; }
    };
    /// A module: rows [*, in] to rows [*, out].
    struct Step {
        enum class Form { normalize, dense, residual_dense, layer_norm, truncate };
        Form form = Form::normalize;
        std::size_t out = 0;
        Linear<> dense;
        Activation activation = Activation::identity;
        std::optional<Linear<>> residual;  ///< of residual_dense: what the input goes through before it is added
        LayerNorm<> norm;

        void forward(Rows& rows) const noexcept {
            using Ops = kernels::Ops<float>;
            const MatrixView<float> x = rows.view();
            switch (form) {
                case Form::normalize:
                    for (std::size_t r = 0; r < x.rows; ++r) Ops::normalize(x.row(r).data(), x.cols);
                    return;
                case Form::layer_norm:
                    norm.forward(x, x);
                    return;
                case Form::truncate:
                    rows.width = out;
                    return;
                case Form::dense:
                case Form::residual_dense:
                    break;
            }
            const MatrixView<float> y(rows.next, x.rows, out, rows.stride);
            dense.forward(x, y, activation);
            if (form == Form::residual_dense) {
                MatrixView<float> added = x;
                if (residual) residual->forward(x, added = {rows.spare, x.rows, out, rows.stride});
                for (std::size_t r = 0; r < y.rows; ++r)
                    Ops::add(y.row(r).data(), added.row(r).data(), y.row(r).data(), out);
            }
            std::swap(rows.current, rows.next);
            rows.width = out;
        }
    };
    static constexpr std::string_view without_prompt = "pooling_without_prompt";
    static constexpr std::size_t most_modules = 32;

    /// The module of this name, which reads `in` numbers a row.
    RANKLET_COLD static Result<Step> read_step(const ModelReader& reader, std::string_view module, std::size_t in) {
        using Form = typename Step::Form;
        const ModelReader encoder = reader.scope("ranklet.encoder");
        const std::string name(module), tensors = "ranklet." + name;
        Step step;
        step.out = in;
        if (module == "normalize") return step;
        if (module == "truncate") {
            step.form = Form::truncate;
            RANKLET_ASSIGN(step.out, encoder.u32("truncate.size"));
            if (step.out == 0 || step.out > in)
                return encoder.wrong("truncate.size", {" ", step.out, " is not 1 to ", in});
        } else if (module.starts_with("layer_norm.")) {
            step.form = Form::layer_norm;
            RANKLET_ASSIGN(const float epsilon, encoder.f32(name + ".epsilon"));
            RANKLET_ASSIGN(step.norm, read_layer_norm(reader, tensors, in, epsilon));
        } else if (module.starts_with("dense.") || module.starts_with("residual_dense.")) {
            RANKLET_ASSIGN(step.activation, read_activation(encoder, name + ".activation"));
            RANKLET_ASSIGN(step.dense, read_linear(reader, tensors, in));
            step.form = Form::dense;
            step.out = step.dense.out();
            if (!module.starts_with("residual_dense.")) return step;
            step.form = Form::residual_dense;
            RANKLET_ASSIGN(step.residual, read_linear_if_any(reader, tensors + ".residual", in, step.out));
            if (!step.residual && step.out != in)
                return encoder.wrong("modules", {": \"", name, "\" makes ", step.out, " numbers of ", in,
                                                 " and has no ", tensors, ".residual.weight"});
        } else {
            return encoder.wrong("modules", {": unknown module \"", name, "\""}, ErrorCode::unsupported);
        }
        return step;
    }

    std::size_t pooled_from_ = 0, dim_ = 0, widest_ = 0;  // widest_: the most numbers a row has on its way
    std::size_t token_rows_ = 0;                          // that have to have room on their way; 0 without token_steps_
    bool leaves_prompt_out_ = false;
    std::vector<Step> token_steps_;  // of each token's state, before the poolings
    std::vector<Pooling> poolings_;
    std::vector<Step> steps_;
};

RANKLET_NAMESPACE_END
