// SequenceClassifier: texts, or pairs of texts, to scores of labels (sentiment, topics, relevance).
// In: UTF-8 texts or pairs. Out: scores [texts, labels]: probabilities, or raw outputs of a regression.
// Hugging Face's BertForSequenceClassification and DistilBertForSequenceClassification, cross-encoders among them.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/text_list.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/model_file/load.hpp"
#include "ranklet/tasks/score_function.hpp"

RANKLET_NAMESPACE_BEGIN

namespace detail {
class ClassifierHead;
}

/// Immutable once loaded; any number of threads may use one; copies share the weights. A text's scores have the same
/// bits in any batch, with any number of threads. Prompts of the file are not put before texts. Texts that are too long
/// are truncated, or read in windows whose logits are joined, before they become scores, as Windows::scores says;
/// BatchOptions::read tells how far each was read.
/// One that was made by default or moved from is empty: what returns a Result is an Error invalid_argument.
class SequenceClassifier : public Loadable<SequenceClassifier> {
public:
    // load, from_file, from_memory: errors as Bert's; missing when the file has no classifier.
    RANKLET_COLD static Result<SequenceClassifier> read(const ModelReader& reader, const LoadOptions& options);

    /// The labels' names, by column of the scores.
    const std::vector<std::string>& labels() const noexcept;
    /// The first column of this name.
    std::optional<std::size_t> label_index(std::string_view name) const noexcept;
    /// What makes the model's logits scores.
    ScoreFunction function() const noexcept;
    const Bert& bert() const noexcept { return bert_; }

    /// Scores [labels] of one text.
    Result<std::vector<float>> classify(std::string_view text, const BatchOptions& options = {}) const;
    /// Scores [labels] of one pair.
    Result<std::vector<float>> classify(const TextPair& pair, const BatchOptions& options = {}) const;
    /// Scores [texts, labels]. Error invalid_text naming the first text that is not UTF-8. (Two strings in braces are a
    /// pair.)
    Result<Matrix> classify(TextList texts, const BatchOptions& options = {}) const;
    Result<Matrix> classify(std::span<const TextPair> pairs, const BatchOptions& options = {}) const;
    /// The same before softmax or sigmoid.
    Result<Matrix> logits(TextList texts, const BatchOptions& options = {}) const;
    Result<Matrix> logits(std::span<const TextPair> pairs, const BatchOptions& options = {}) const;

    /// A row of logits [labels] to scores, in place.
    void score(float* row) const noexcept;

    /// The file's texts and pairs against its token ids, vectors and logits. Error self_test saying what differs.
    RANKLET_COLD Result<void> self_test(const ModelReader& reader) const;

private:
    template <class Inputs>
    Result<Matrix> rows(Inputs inputs, BatchOptions options, bool score) const;

    Bert bert_;
    std::shared_ptr<const detail::ClassifierHead> head_;
};

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <utility>

#include "ranklet/core/scratch.hpp"
#include "ranklet/model_file/reader.hpp"
#include "ranklet/model_file/self_test.hpp"
#include "ranklet/tasks/classifier_head.hpp"

RANKLET_NAMESPACE_BEGIN

RANKLET_FUNC Result<SequenceClassifier> SequenceClassifier::read(const ModelReader& reader,
                                                                 const LoadOptions& options) {
    SequenceClassifier model;
    RANKLET_ASSIGN(model.bert_, Bert::read(reader, options));
    RANKLET_ASSIGN(auto head,
                   detail::ClassifierHead::read(reader, model.bert_.hidden(), detail::ClassifierHead::Kind::sequence));
    model.head_ = std::make_shared<const detail::ClassifierHead>(std::move(head));
    return model;
}

RANKLET_FUNC const std::vector<std::string>& SequenceClassifier::labels() const noexcept {
    return detail::head_or_none(head_).labels();
}
RANKLET_FUNC std::optional<std::size_t> SequenceClassifier::label_index(std::string_view name) const noexcept {
    for (std::size_t i = 0; i < labels().size(); ++i)
        if (labels()[i] == name) return i;
    return std::nullopt;
}
RANKLET_FUNC ScoreFunction SequenceClassifier::function() const noexcept {
    return detail::head_or_none(head_).function();
}
RANKLET_FUNC void SequenceClassifier::score(float* row) const noexcept { detail::head_or_none(head_).score(row); }

template <class Inputs>
Result<Matrix> SequenceClassifier::rows(Inputs inputs, BatchOptions options, bool score) const RANKLET_MEMORY_TRY {
    options.prompt = "";
    RANKLET_ASSIGN(Matrix rows, Matrix::zeroed(inputs.size(), labels().size()));
    const std::size_t n = labels().size();
    const WindowScores join = options.windows ? options.windows->scores : WindowScores::mean;
    RANKLET_TRY(bert_.for_each_window(
        inputs, options,
        [&](const TextWindow& window, MatrixView<const float> states, Scratch& scratch) noexcept {
            using Ops = kernels::Ops<float>;
            float* row = rows.row(window.text).data();
            if (window.index == 0) {
                head_->classify_text(states, row, scratch);
            } else {
                const ScratchFrame frame(scratch);
                float* logits = scratch.take<float>(n);
                head_->classify_text(states, logits, scratch);
                join == WindowScores::max ? Ops::maximum(row, logits, row, n) : Ops::add(row, logits, row, n);
            }
            if (window.index + 1 < window.count) return;
            if (window.count > 1 && join == WindowScores::mean)
                Ops::scale(1.0f / static_cast<float>(window.count), row, n);
            if (score) head_->score(row);
        },
        scratch_bytes<float>(n) + detail::head_or_none(head_).scratch_size()));
    return rows;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Matrix> SequenceClassifier::classify(TextList texts,
                                                         const BatchOptions& options) const RANKLET_MEMORY_TRY {
    return rows(texts, options, true);
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<Matrix> SequenceClassifier::classify(std::span<const TextPair> pairs,
                                                         const BatchOptions& options) const RANKLET_MEMORY_TRY {
    return rows(pairs, options, true);
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<Matrix> SequenceClassifier::logits(TextList texts, const BatchOptions& options) const {
    return rows(texts, options, false);
}
RANKLET_FUNC Result<Matrix> SequenceClassifier::logits(std::span<const TextPair> pairs,
                                                       const BatchOptions& options) const {
    return rows(pairs, options, false);
}
RANKLET_FUNC Result<std::vector<float>> SequenceClassifier::classify(
    std::string_view text, const BatchOptions& options) const RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(const Matrix scores, classify(std::span(&text, 1), options));
    return std::vector<float>(scores.row(0).begin(), scores.row(0).end());
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<std::vector<float>> SequenceClassifier::classify(
    const TextPair& pair, const BatchOptions& options) const RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(const Matrix scores, classify(std::span(&pair, 1), options));
    return std::vector<float>(scores.row(0).begin(), scores.row(0).end());
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<void> SequenceClassifier::self_test(const ModelReader& reader) const {
    const ModelReader test = reader.scope("ranklet.selftest");
    RANKLET_TRY(bert_.self_test(reader));
    RANKLET_ASSIGN(const auto texts, test.strings("texts"));
    RANKLET_ASSIGN(const Matrix of_texts, logits(texts));
    RANKLET_TRY(compare_self_test(test, "logits", of_texts));
    if (!test.has("pairs")) return {};
    RANKLET_ASSIGN(const auto indices, test.u32s("pairs"));
    if (indices.size() / 2 > most_self_test_inputs)
        return test.wrong("pairs", {" has ", indices.size() / 2, " pairs, expected at most ", most_self_test_inputs});
    std::vector<TextPair> pairs;
    for (std::size_t i = 0; i + 1 < indices.size(); i += 2) {
        if (indices[i] >= texts.size() || indices[i + 1] >= texts.size())
            return test.wrong("pairs", {" names text ", std::max(indices[i], indices[i + 1]), " of ", texts.size()});
        pairs.push_back({texts[indices[i]], texts[indices[i + 1]]});
    }
    RANKLET_ASSIGN(const Matrix of_pairs, logits(pairs));
    return compare_self_test(test, "pair_logits", of_pairs);
}

RANKLET_NAMESPACE_END
#endif
