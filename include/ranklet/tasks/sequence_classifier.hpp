// SequenceClassifier: texts, or pairs of texts, to scores of labels (sentiment, topics, relevance).
// In: UTF-8 texts or pairs. Out: scores [texts, labels]: probabilities, or raw outputs of a regression.
// Hugging Face's BertForSequenceClassification and DistilBertForSequenceClassification, cross-encoders among them.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/tasks/classifier_head.hpp"

RANKLET_NAMESPACE_BEGIN

/// Immutable once loaded; any number of threads may use one. A text's scores have the same bits in any batch, with any
/// number of threads. Prompts of the file are not put before texts.
class SequenceClassifier {
public:
    /// Maps the file and builds the model. Errors as Bert::load's; missing when the file has no classifier.
    RANKLET_COLD static Result<SequenceClassifier> load(const std::string& path, const LoadOptions& options = {}) {
        RANKLET_ASSIGN(const GgufFile file, GgufFile::open(path));
        if (options.verify_checksum) RANKLET_TRY(file.verify_checksum());
        RANKLET_ASSIGN(SequenceClassifier model, from_file(file, options.bert));
        if (options.self_test) RANKLET_TRY(model.self_test(file));
        return model;
    }
    /// The same from an open file, without the self-test.
    RANKLET_COLD static Result<SequenceClassifier> from_file(const GgufFile& file, const BertDefaults& defaults = {}) {
        SequenceClassifier model;
        RANKLET_ASSIGN(model.bert_, Bert::from_file(file, defaults));
        RANKLET_ASSIGN(model.head_, ClassifierHead::load(file, model.bert_.hidden(), ClassifierHead::Kind::sequence));
        return model;
    }

    /// The labels' names, by column of the scores.
    const std::vector<std::string>& labels() const noexcept { return head_.labels(); }
    /// The first column of this name.
    std::optional<std::size_t> label_index(std::string_view name) const noexcept {
        for (std::size_t i = 0; i < labels().size(); ++i)
            if (labels()[i] == name) return i;
        return std::nullopt;
    }
    /// What makes the model's logits scores.
    ScoreFunction function() const noexcept { return head_.function(); }
    const Bert& bert() const noexcept { return bert_; }

    /// Scores [labels] of one text.
    Result<std::vector<float>> classify(std::string_view text, const BatchOptions& options = {}) const {
        RANKLET_ASSIGN(const Matrix scores, classify(std::span<const std::string_view>(&text, 1), options));
        const auto row = scores.row(0);
        return std::vector<float>(row.begin(), row.end());
    }
    /// Scores [labels] of one pair.
    Result<std::vector<float>> classify(const TextPair& pair, const BatchOptions& options = {}) const {
        RANKLET_ASSIGN(const Matrix scores, classify(std::span<const TextPair>(&pair, 1), options));
        const auto row = scores.row(0);
        return std::vector<float>(row.begin(), row.end());
    }
    /// Scores [texts, labels]. Error invalid_text naming the first text that is not UTF-8.
    Result<Matrix> classify(std::span<const std::string_view> texts, const BatchOptions& options = {}) const {
        return run(texts, options, true);
    }
    Result<Matrix> classify(std::span<const TextPair> pairs, const BatchOptions& options = {}) const {
        return run(pairs, options, true);
    }
    /// The same before softmax or sigmoid.
    Result<Matrix> logits(std::span<const std::string_view> texts, const BatchOptions& options = {}) const {
        return run(texts, options, false);
    }
    Result<Matrix> logits(std::span<const TextPair> pairs, const BatchOptions& options = {}) const {
        return run(pairs, options, false);
    }

    /// A row of logits [labels] to scores, in place.
    void score(float* row) const noexcept { head_.score(row); }

    /// The file's texts and pairs against its token ids, vectors and logits. Error self_test saying what differs.
    RANKLET_COLD Result<void> self_test(const GgufFile& file) const {
        RANKLET_TRY(bert_.self_test(file));
        RANKLET_ASSIGN(const auto texts, file.strings("ranklet.selftest.texts"));
        RANKLET_TRY(compare(file, "ranklet.selftest.logits", std::span<const std::string_view>(texts)));
        if (!file.has("ranklet.selftest.pairs")) return {};
        RANKLET_ASSIGN(const auto indices, file.u32s("ranklet.selftest.pairs"));
        std::vector<TextPair> pairs;
        for (std::size_t i = 0; i + 1 < indices.size(); i += 2) {
            if (indices[i] >= texts.size() || indices[i + 1] >= texts.size())
                return make_error(ErrorCode::format, {file.name(), ": ranklet.selftest.pairs names text ",
                                                      std::max(indices[i], indices[i + 1]), " of ", texts.size()});
            pairs.push_back({texts[indices[i]], texts[indices[i + 1]]});
        }
        return compare(file, "ranklet.selftest.pair_logits", std::span<const TextPair>(pairs));
    }

private:
    template <class Input>
    Result<Matrix> run(std::span<const Input> inputs, BatchOptions options, bool score) const {
        options.prompt = "";
        RANKLET_ASSIGN(Matrix rows, Matrix::zeroed(inputs.size(), labels().size()));
        const auto sink = [&](std::size_t input, MatrixView<const float> states, Scratch& scratch) noexcept {
            float* row = rows.row(input).data();
            head_.classify_text(states, row, scratch);
            if (score) head_.score(row);
        };
        if constexpr (std::is_same_v<Input, TextPair>)
            RANKLET_TRY(bert_.for_each_pair(inputs, options, sink, head_.scratch_size()));
        else
            RANKLET_TRY(bert_.for_each_text(inputs, options, sink, head_.scratch_size()));
        return rows;
    }
    template <class Input>
    RANKLET_COLD Result<void> compare(const GgufFile& file, const char* key, std::span<const Input> inputs) const {
        RANKLET_ASSIGN(const auto expected, file.floats(key));
        RANKLET_ASSIGN(const Matrix found, logits(inputs));
        return compare_self_test(file, key, expected, {found.view().data, found.rows() * found.cols()});
    }

    Bert bert_;
    ClassifierHead head_;
};

RANKLET_NAMESPACE_END
