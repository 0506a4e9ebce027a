// rerank: candidates in a better order, by a model that reads the query and each candidate together (a cross-encoder).
// In: a query and the candidates' texts, usually the top-k of a cheaper ranking. Out: candidates, best first.
// Nogueira and Cho 2019 (passage re-ranking with BERT); sentence-transformers' CrossEncoder.rank.
#pragma once

#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/text_list.hpp"
#include "ranklet/tasks/sequence_classifier.hpp"

RANKLET_NAMESPACE_BEGIN

struct RerankOptions {
    /// How many to return; all by default.
    std::size_t k = std::numeric_limits<std::size_t>::max();
    /// The label whose score counts; may be left out where the model has one label.
    std::string_view label = {};
    Threads threads = 1;
    /// Reads all of each candidate, window by window beside the query; not given: pairs are truncated. The best passage
    /// of each candidate decides with WindowScores::max (Dai and Callan 2019).
    std::optional<Windows> windows = {};
    /// Where how much was read is written, of each candidate two entries: the query's beside it, and its own; or empty.
    std::span<TextRead> read = {};
};

/// A candidate after re-ranking.
struct Reranked {
    std::size_t index = 0;  ///< into the candidates as they were given
    /// What the order is by: the label's logit, which does not run into a sigmoid's ends; its probability where the
    /// model's labels exclude each other (softmax).
    float score = 0.0f;
    float probability = 0.0f;  ///< the model's score of the label: SequenceClassifier::classify's
};

/// The best k candidates in the library's total order: score descending, then index ascending; NaN comes last.
/// Errors: missing for a label that the model does not have, invalid_argument when several labels leave open which one,
/// invalid_text naming the query or the candidate (its index) that is not UTF-8.
Result<std::vector<Reranked>> rerank(const SequenceClassifier& model, std::string_view query, TextList candidates,
                                     const RerankOptions& options = {});
inline Result<std::vector<Reranked>> rerank(const SequenceClassifier& model, std::string_view query,
                                            std::initializer_list<std::string_view> candidates,
                                            const RerankOptions& options = {}) RANKLET_MEMORY_TRY {
    return rerank(model, query, TextList(candidates), options);
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>

#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN

RANKLET_FUNC Result<std::vector<Reranked>> rerank(const SequenceClassifier& model, std::string_view query,
                                                  TextList candidates,
                                                  const RerankOptions& options) RANKLET_MEMORY_TRY {
    std::size_t label = 0;
    if (model.labels().empty()) return detail::empty_object("the classifier");
    if (options.label.empty()) {
        if (model.labels().size() != 1)
            return make_error(ErrorCode::invalid_argument,
                              {"the model has ", model.labels().size(), " labels: RerankOptions::label must name one"});
    } else {
        const auto found = model.label_index(options.label);
        if (!found) return make_error(ErrorCode::missing, {"the model has no label \"", options.label, "\""});
        label = *found;
    }
    if (const std::size_t valid = utf8::valid_prefix(query); valid < query.size())
        return make_error(ErrorCode::invalid_text, {"the query is not UTF-8 at byte ", valid});
    for (std::size_t i = 0; i < candidates.size(); ++i)
        if (const std::size_t valid = utf8::valid_prefix(candidates[i]); valid < candidates[i].size())
            return about_input(make_error(ErrorCode::invalid_text, {"candidate ", i, " is not UTF-8 at byte ", valid}),
                               i);
    std::vector<TextPair> pairs;
    pairs.reserve(candidates.size());
    for (const std::string_view candidate : candidates) pairs.push_back({query, candidate});
    BatchOptions batch;
    batch.threads = options.threads;
    batch.windows = options.windows;
    batch.read = options.read;
    RANKLET_ASSIGN(Matrix logits, model.logits(std::span<const TextPair>(pairs), batch));
    std::vector<Reranked> ranking(candidates.size());
    for (std::size_t i = 0; i < ranking.size(); ++i) {
        const auto row = logits.row(i);
        ranking[i] = {i, row[label], 0.0f};
        model.score(row.data());
        ranking[i].probability = row[label];
        if (model.function() == ScoreFunction::softmax) ranking[i].score = row[label];
    }
    std::sort(ranking.begin(), ranking.end(), [](const Reranked& a, const Reranked& b) {
        const bool a_number = a.score == a.score, b_number = b.score == b.score;
        if (a_number != b_number) return a_number;
        return a_number && a.score != b.score ? a.score > b.score : a.index < b.index;
    });
    ranking.resize(std::min(options.k, ranking.size()));
    return ranking;
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
#endif
