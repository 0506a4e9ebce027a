// ClassifierHead: token states to logits of labels, as the heads of Hugging Face's classifiers.
// In: states [length, hidden] of one text. Out: logits [labels] of the text, or [length, labels] of its tokens.
// A text: its states pooled (BERT: the first), then out(norm(f(dense(x)))), of which out alone is always there; a token: the
// same of its state; BERT's is out(state).
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/encoders/sentence_head.hpp"
#include "ranklet/layers/linear.hpp"
#include "ranklet/layers/norm.hpp"
#include "ranklet/model_file/layers.hpp"
#include "ranklet/model_file/reader.hpp"
#include "ranklet/tasks/score_function.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

class ClassifierHead {
public:
    enum class Kind { sequence, token };

    /// From `ranklet.classifier.*`. Error missing when the file has no head, unsupported when it has the other kind.
    RANKLET_COLD static Result<ClassifierHead> read(const ModelReader& reader, std::size_t hidden, Kind kind) {
        const ModelReader keys = reader.scope("ranklet.classifier");
        if (!keys.has("kind"))
            return make_error(ErrorCode::missing,
                              {reader.file().name(), ": no key ranklet.classifier.kind: the model has no classifier"});
        RANKLET_ASSIGN(const Kind found,
                       keys.choice<Kind>("kind", {{"sequence", Kind::sequence}, {"token", Kind::token}}));
        if (found != kind)
            return make_error(ErrorCode::unsupported,
                              {reader.file().name(), ": classifies ", found == Kind::token ? "tokens" : "whole texts",
                               ", load it as a ", found == Kind::token ? "TokenClassifier" : "SequenceClassifier"});
        ClassifierHead head;
        RANKLET_ASSIGN(const auto labels, keys.strings("labels"));
        if (labels.empty()) return keys.wrong("labels", {" is empty"});
        for (std::size_t i = 0; i < labels.size(); ++i)
            if (utf8::valid_prefix(labels[i]) != labels[i].size())
                return keys.wrong("labels", {": label ", i, " is not UTF-8"}, ErrorCode::invalid_text);
        head.labels_.assign(labels.begin(), labels.end());
        RANKLET_ASSIGN(head.function_,
                       keys.choice<ScoreFunction>("activation", {{"softmax", ScoreFunction::softmax},
                                                                 {"sigmoid", ScoreFunction::sigmoid},
                                                                 {"identity", ScoreFunction::identity}}));
        if (keys.has_tensor("dense.weight")) {
            RANKLET_ASSIGN(head.dense_, read_linear(keys, "dense", hidden, hidden));
            RANKLET_ASSIGN(head.activation_, read_activation(keys, "dense.activation"));
        }
        if (keys.has_tensor("norm.weight")) {
            RANKLET_ASSIGN(const float epsilon, keys.f32("norm.epsilon"));
            RANKLET_ASSIGN(head.norm_, read_norm(keys, "norm", hidden, epsilon, false));
        }
        if (kind == Kind::sequence && keys.has("pooling")) {
            RANKLET_ASSIGN(const auto pooling, keys.string("pooling"));
            head.late_ = pooling == "late";
            if (!head.late_) {
                RANKLET_ASSIGN(head.pooling_, keys.choose("pooling", pooling, pooling_names));
            }
        } else if (kind == Kind::sequence && head.dense_.in() == 0) {  // of files of before, BERT's alone
            return keys.wrong("dense.weight", {" is missing"}, ErrorCode::missing);
        }
        RANKLET_ASSIGN(head.out_, read_linear(keys, "out", hidden, labels.size()));
        return head;
    }

    const std::vector<std::string>& labels() const noexcept { return labels_; }
    ScoreFunction function() const noexcept { return function_; }

    /// Scratch bytes of classify_text and classify_tokens.
    std::size_t scratch_size() const noexcept { return 3 * scratch_bytes<float>(out_.in()) + scratch_bytes<float>(out_.out()); }
    /// logits [labels] of a text. Precondition: a head of kind sequence; states [length, hidden], length >= 1.
    void classify_text(MatrixView<const float> states, float* logits, Scratch& scratch) const noexcept {
        using Ops = kernels::Ops<float>;
        const ScratchFrame frame(scratch);
        const std::size_t labels = out_.out();
        if (!late_) {
            float* pooled = scratch.take<float>(out_.in());
            pool(pooling_, states, pooled);
            return classify(pooled, logits, scratch);
        }
        float* one = scratch.take<float>(labels);
        classify(states.row(0).data(), logits, scratch);
        for (std::size_t r = 1; r < states.rows; ++r) {
            classify(states.row(r).data(), one, scratch);
            Ops::add(logits, one, logits, labels);
        }
        Ops::scale(1.0f / static_cast<float>(states.rows), logits, labels);
    }
    /// logits [length, labels] of a text's tokens.
    void classify_tokens(MatrixView<const float> states, MatrixView<float> logits, Scratch& scratch) const noexcept {
        if (dense_.in() == 0 && norm_.empty()) return out_.forward(states, logits);
        for (std::size_t r = 0; r < states.rows; ++r) classify(states.row(r).data(), logits.row(r).data(), scratch);
    }
    /// Logits to scores, in place: a row [labels].
    void score(float* row) const noexcept {
        switch (function_) {
            case ScoreFunction::softmax:
                return kernels::Ops<float>::softmax(row, labels_.size());
            case ScoreFunction::sigmoid:
                return kernels::Ops<float>::activate(Activation::sigmoid, row, labels_.size());
            case ScoreFunction::identity:
                return;
        }
    }

private:
    // logits [labels] of a state [hidden].
    void classify(const float* state, float* logits, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        const std::size_t hidden = out_.in();
        MatrixView<const float> x(state, 1, hidden);
        if (dense_.in() > 0) {
            const MatrixView<float> y(scratch.take<float>(hidden), 1, hidden);
            dense_.forward(x, y, activation_);
            x = y;
        }
        if (!norm_.empty()) {
            const MatrixView<float> y(scratch.take<float>(hidden), 1, hidden);
            norm_.forward(x, y);
            x = y;
        }
        out_.forward(x, {logits, 1, out_.out()});
    }

    std::vector<std::string> labels_;
    ScoreFunction function_ = ScoreFunction::softmax;
    Pooling pooling_ = Pooling::cls;
    bool late_ = false;  // the mean is of the tokens' logits
    Linear<> dense_, out_;
    Activation activation_ = Activation::tanh;
    Norm<> norm_;
};

/// The head of a model, or of one that is empty: without labels.
inline const ClassifierHead& head_or_none(const std::shared_ptr<const ClassifierHead>& head) noexcept {
    if (head != nullptr) return *head;
    static const ClassifierHead none;
    return none;
}

}  // namespace detail
RANKLET_NAMESPACE_END
