// ClassifierHead: token states to logits of labels, as the heads of Hugging Face's BERT and DistilBERT classifiers.
// In: states [length, hidden] of one text. Out: logits [labels] of the text, or [length, labels] of its tokens.
// A text: out(f(dense(first state))), f tanh (BERT's pooler) or ReLU (DistilBERT); a token: out(state).
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
#include "ranklet/layers/linear.hpp"
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
        if (kind == Kind::sequence) {
            RANKLET_ASSIGN(head.dense_, read_linear(keys, "dense", hidden, hidden));
            RANKLET_ASSIGN(head.activation_, read_activation(keys, "dense.activation"));
        }
        RANKLET_ASSIGN(head.out_, read_linear(keys, "out", hidden, labels.size()));
        return head;
    }

    const std::vector<std::string>& labels() const noexcept { return labels_; }
    ScoreFunction function() const noexcept { return function_; }

    /// Scratch bytes of classify_text.
    std::size_t scratch_size() const noexcept { return scratch_bytes<float>(out_.in()); }
    /// logits [labels] of a text. Precondition: a head of kind sequence; states [length, hidden], length >= 1.
    void classify_text(MatrixView<const float> states, float* logits, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        float* pooled = scratch.take<float>(out_.in());
        dense_.forward(states.middle_rows(0, 1), {pooled, 1, out_.in()}, activation_);
        out_.forward(MatrixView<float>(pooled, 1, out_.in()), {logits, 1, out_.out()});
    }
    /// logits [length, labels] of a text's tokens.
    void classify_tokens(MatrixView<const float> states, MatrixView<float> logits) const noexcept {
        out_.forward(states, logits);
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
    std::vector<std::string> labels_;
    ScoreFunction function_ = ScoreFunction::softmax;
    Linear<> dense_, out_;
    Activation activation_ = Activation::tanh;
};

/// The head of a model, or of one that is empty: without labels.
inline const ClassifierHead& head_or_none(const std::shared_ptr<const ClassifierHead>& head) noexcept {
    if (head != nullptr) return *head;
    static const ClassifierHead none;
    return none;
}

}  // namespace detail
RANKLET_NAMESPACE_END
