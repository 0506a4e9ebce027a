// Tagged spans: labels of a text's tokens to labelled stretches of the text (named entities, parts of speech).
// In: of each token its place in the text and its labels' probabilities. Out: spans with label, score and offsets.
// TagScheme::hugging_face gives what transformers' TokenClassificationPipeline gives, aggregation by aggregation.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/text/encoding.hpp"
#include "ranklet/text/windows.hpp"

RANKLET_NAMESPACE_BEGIN

/// What is given a label, before labels are joined to spans.
enum class TagAggregation {
    none,     ///< tokens, and nothing is joined: a span for each token
    simple,   ///< tokens
    first,    ///< words, by their first token's probabilities
    average,  ///< words, by the mean of their tokens' probabilities
    max,      ///< words, by the token that has the greatest probability of all
};

/// How labels are read when neighbours are joined.
enum class TagScheme {
    /// As transformers does: "B-" starts a span, "I-" and any other label goes on with a span of the same label. Other
    /// prefixes mean nothing to it: B-NAME, M-NAME, E-NAME become three spans, each called NAME.
    hugging_face,
    /// B begins, I is inside, E (or L) ends, S (or U) is a span by itself: IOBES, BILOU.
    bioes,
    /// B begins, M is in the middle, E ends, S (or W) is a span by itself: common for Chinese.
    bmes,
    /// Labels have no prefix, and each token or word is a span of its own: parts of speech.
    plain,
};

struct TagOptions {
    TagAggregation aggregation = TagAggregation::simple;
    TagScheme scheme = TagScheme::hugging_face;
    /// Spans with these labels are left out.
    std::vector<std::string_view> ignore = {"O"};
    /// Threads to use for several texts; 0: as many as the machine offers. Has no influence on the numbers.
    Threads threads = 1;
    /// Of TokenClassifier::tag: reads all of texts that are longer than the model takes, each token in the window in which
    /// it has the most context; not given: they are truncated.
    std::optional<Windows> windows = {};
    /// Of TokenClassifier::tag: where how much was read is written, an entry for each text; or empty.
    std::span<TextRead> read = {};
};

/// A labelled stretch of a text.
struct TaggedSpan {
    std::string label;       ///< without its prefix, but for TagAggregation::none, which keeps it
    float score = 0.0f;      ///< the mean of its tokens' (or words') probabilities of their labels
    TokenSpan bytes;         ///< [begin, end) in bytes of the UTF-8 text
    TokenSpan code_points;   ///< the same in code points: transformers' `start` and `end`
    std::size_t token = 0;   ///< position of its first token among all tokens, special ones included: `index`
    std::size_t tokens = 0;  ///< how many
};

/// A token as it enters: its place in the text, and whether it goes on with the word of the token before.
struct TagToken {
    TokenSpan bytes;
    bool continues_word = false;
    std::size_t position = 0;  ///< among all tokens of the text, special ones included
};

namespace detail {

/// A token or a word with its label.
struct TagUnit {
    std::size_t label;
    float score;
    std::size_t first, last;  // tokens [first, last)
};

enum class TagRole { begin, inside, end, single, none };

inline std::size_t largest(std::span<const float> row) noexcept {
    return static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

/// What a label's prefix says, and the label without it.
inline std::pair<TagRole, std::string_view> read_tag(std::string_view label, TagScheme scheme) noexcept {
    if (scheme == TagScheme::plain || label.size() < 2 || label[1] != '-') return {TagRole::none, label};
    const std::string_view rest = label.substr(2);
    const char prefix = label[0];
    if (prefix == 'B') return {TagRole::begin, rest};
    if (scheme == TagScheme::bmes ? prefix == 'M' : prefix == 'I') return {TagRole::inside, rest};
    if (scheme != TagScheme::hugging_face) {
        if (prefix == 'E' || (prefix == 'L' && scheme == TagScheme::bioes)) return {TagRole::end, rest};
        if (prefix == 'S' || prefix == (scheme == TagScheme::bmes ? 'W' : 'U')) return {TagRole::single, rest};
    }
    return {TagRole::none, label};
}

/// Tokens, or words with one label for all their tokens.
inline std::vector<TagUnit> tag_units(std::span<const TagToken> tokens, MatrixView<const float> scores,
                                      TagAggregation aggregation) {
    std::vector<TagUnit> units;
    std::vector<float> mean(scores.cols);
    for (std::size_t first = 0, last = 0; first < tokens.size(); first = last) {
        last = first + 1;
        if (aggregation == TagAggregation::none || aggregation == TagAggregation::simple) {
            const std::size_t label = largest(scores.row(first));
            units.push_back({label, scores(first, label), first, last});
            continue;
        }
        while (last < tokens.size() && tokens[last].continues_word) ++last;
        std::span<const float> row = scores.row(first);
        if (aggregation == TagAggregation::average) {
            std::copy(row.begin(), row.end(), mean.begin());
            for (std::size_t t = first + 1; t < last; ++t)
                for (std::size_t j = 0; j < mean.size(); ++j) mean[j] += scores(t, j);
            for (float& value : mean) value /= static_cast<float>(last - first);
            row = mean;
        } else if (aggregation == TagAggregation::max) {
            for (std::size_t t = first + 1; t < last; ++t) {
                const std::span<const float> other = scores.row(t);
                if (other[largest(other)] > row[largest(row)]) row = other;
            }
        }
        const std::size_t label = largest(row);
        units.push_back({label, row[label], first, last});
    }
    return units;
}

/// Whether `next` goes on with a span whose last unit had `before`.
inline bool continues_span(std::pair<TagRole, std::string_view> before, std::pair<TagRole, std::string_view> next,
                           TagScheme scheme) noexcept {
    if (scheme == TagScheme::plain || next.second != before.second || next.first == TagRole::begin) return false;
    if (scheme == TagScheme::hugging_face) return true;
    if (next.first == TagRole::none || before.first == TagRole::none) return next.first == before.first;
    return next.first != TagRole::single && before.first != TagRole::end && before.first != TagRole::single;
}

}  // namespace detail

/// Spans in the order of the text. `scores` [tokens, labels] are probabilities. Sequences that the scheme does not
/// allow are read as far as they go: an inside or an end without a beginning begins a span.
/// Error invalid_argument when the sizes do not fit, a score is not finite, or a token is not inside the text.
RANKLET_COLD inline Result<std::vector<TaggedSpan>> merge_tags(std::string_view text, std::span<const TagToken> tokens,
                                                               MatrixView<const float> scores,
                                                               std::span<const std::string> labels,
                                                               const TagOptions& options = {}) RANKLET_MEMORY_TRY {
    if (scores.rows != tokens.size() || scores.cols != labels.size() || labels.empty())
        return make_error(ErrorCode::invalid_argument,
                          {"scores of ", scores.rows, " tokens and ", scores.cols, " labels came with ", tokens.size(),
                           " tokens and ", labels.size(), " labels"});
    for (std::size_t t = 0; t < tokens.size(); ++t)
        for (const float score : scores.row(t))
            if (!std::isfinite(score))
                return make_error(ErrorCode::invalid_argument, {"a score of token ", t, " is not finite"});
    for (std::size_t t = 0; t < tokens.size(); ++t)  // all of them, also those of labels that are left out
        if (tokens[t].bytes.begin > tokens[t].bytes.end || tokens[t].bytes.end > text.size())
            return make_error(ErrorCode::invalid_argument,
                              {"token ", t, ", [", tokens[t].bytes.begin, ", ", tokens[t].bytes.end,
                               "), is not inside a text of ", text.size(), " bytes"});

    std::vector<TaggedSpan> spans;
    std::pair<detail::TagRole, std::string_view> before{};
    std::vector<std::size_t> units_of;  // of each span
    std::vector<double> sums;
    for (const detail::TagUnit& unit : detail::tag_units(tokens, scores, options.aggregation)) {
        const std::string_view label = labels[unit.label];
        const auto tag = detail::read_tag(label, options.scheme);
        const std::uint32_t end = tokens[unit.last - 1].bytes.end;
        if (!spans.empty() && options.aggregation != TagAggregation::none &&
            detail::continues_span(before, tag, options.scheme)) {
            spans.back().bytes.end = end;
            spans.back().tokens += unit.last - unit.first;
            ++units_of.back();
            sums.back() += static_cast<double>(unit.score);
        } else {
            TaggedSpan span;
            span.label = options.aggregation == TagAggregation::none ? label : tag.second;
            // transformers names a span by what follows the first hyphen, whatever stands before it
            if (options.scheme == TagScheme::hugging_face && options.aggregation != TagAggregation::none)
                span.label = label.substr(label.find('-') + 1);
            span.bytes = {tokens[unit.first].bytes.begin, end};
            span.token = tokens[unit.first].position;
            span.tokens = unit.last - unit.first;
            spans.push_back(std::move(span));
            units_of.push_back(1);
            sums.push_back(static_cast<double>(unit.score));
        }
        before = tag;
    }
    for (std::size_t s = 0; s < spans.size(); ++s)
        spans[s].score = static_cast<float>(sums[s] / static_cast<double>(units_of[s]));
    const auto ignored = [&](const TaggedSpan& span) {
        return std::find(options.ignore.begin(), options.ignore.end(), span.label) != options.ignore.end();
    };
    spans.erase(std::remove_if(spans.begin(), spans.end(), ignored), spans.end());

    std::vector<TokenSpan> places;
    for (const TaggedSpan& span : spans) places.push_back(span.bytes);
    RANKLET_TRY(to_code_point_offsets(text, places));
    for (std::size_t s = 0; s < spans.size(); ++s) spans[s].code_points = places[s];
    return spans;
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
