// Keywords of a text: the candidate phrases whose vectors are nearest to the whole text's.
// In: a text encoder and UTF-8 text. Out: phrases with their places and cosines, best first.
// KeyBERT (Grootendorst 2020); diversity by maximal marginal relevance (Carbonell and Goldstein 1998).
#pragma once

#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/function_view.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/encoders/options.hpp"
#include "ranklet/text/phrases.hpp"

RANKLET_NAMESPACE_BEGIN

struct KeywordOptions {
    std::size_t k = 5;  ///< how many at most; 0: none
    /// 0: the nearest phrases, however alike; towards 1: phrases unlike those chosen before. KeyBERT's `diversity`.
    float diversity = 0.0f;
    Threads threads = 1;
    PhraseOptions phrases = {};
    /// Compares phrases with all of a text that is longer than the model takes; not given: with its beginning.
    std::optional<Windows> windows = {};
    std::span<TextRead> read = {};  ///< where how much of the text was read is written: one entry, or empty
};

/// A phrase of the text and the cosine of its vector with the text's.
struct Keyword {
    std::string text;
    TokenSpan bytes;  ///< its first occurrence, into the text as it was given
    float score = 0.0f;
};

/// What encodes texts: `dim()` and `encode(texts, options)`. The library's encoders of texts do; a host's own may.
template <class Encoder>
concept TextEncoder =
    requires(const Encoder& encoder, std::span<const std::string_view> texts, const BatchOptions& options) {
        { encoder.dim() } -> std::convertible_to<std::size_t>;
        { encoder.encode(texts, options) } -> std::same_as<Result<Matrix>>;
    };

namespace detail {

using EncodeTexts = FunctionView<Result<Matrix>(std::span<const std::string_view>, const BatchOptions&)>;
Result<std::vector<Keyword>> extract_keywords(EncodeTexts encode, std::string_view text, const KeywordOptions& options);

}  // namespace detail

/// Up to k keywords. Without diversity by cosine, equal ones by place; with it, in the order in which they are chosen:
/// the nearest first, then whatever has the largest (1 - diversity) * cosine - diversity * largest cosine with a chosen
/// one. Texts longer than the model's max_length are compared by their beginning, which KeywordOptions::read tells, or in
/// windows. Candidates come from the whole text in any case. No prompts are used.
/// Errors: invalid_text; invalid_argument for a diversity outside [0, 1] or options that allow no phrase.
template <TextEncoder Encoder>
Result<std::vector<Keyword>> extract_keywords(const Encoder& encoder, std::string_view text,
                                              const KeywordOptions& options = {}) RANKLET_MEMORY_TRY {
    return detail::extract_keywords([&](std::span<const std::string_view> texts,
                                        const BatchOptions& batch) { return encoder.encode(texts, batch); },
                                    text, options);
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <cmath>

#include "ranklet/kernels/ops.hpp"

RANKLET_NAMESPACE_BEGIN

RANKLET_FUNC Result<std::vector<Keyword>> detail::extract_keywords(EncodeTexts encode, std::string_view text,
                                                                   const KeywordOptions& options) RANKLET_MEMORY_TRY {
    if (options.read.size() > 1) return wrong_read_size(options.read.size(), 1);
    if (!(options.diversity >= 0.0f && options.diversity <= 1.0f))
        return make_error(ErrorCode::invalid_argument, {"diversity ", options.diversity, " is not between 0 and 1"});
    RANKLET_ASSIGN(std::vector<Phrase> phrases, candidate_phrases(text, options.phrases));
    std::vector<std::string_view> texts{text};
    for (const Phrase& phrase : phrases) texts.push_back(phrase.text);
    BatchOptions batch;
    batch.threads = options.threads;
    batch.prompt = "";
    batch.windows = options.windows;
    std::vector<TextRead> read(options.read.empty() ? 0 : texts.size());
    batch.read = read;
    RANKLET_ASSIGN(Matrix vectors, encode(texts, batch));
    if (!options.read.empty()) options.read[0] = read[0];
    using Ops = kernels::Ops<float>;
    for (std::size_t i = 0; i < vectors.rows(); ++i) Ops::normalize(vectors.row(i).data(), vectors.cols());
    const auto cosine = [&](std::size_t a, std::size_t b) {
        return Ops::dot(vectors.row(a).data(), vectors.row(b).data(), vectors.cols());
    };
    const std::size_t n = phrases.size();
    std::vector<float> to_text(n), to_chosen(n, -2.0f);
    for (std::size_t i = 0; i < n; ++i) to_text[i] = cosine(i + 1, 0);
    std::vector<bool> chosen(n);
    std::vector<Keyword> keywords;
    while (keywords.size() < std::min(options.k, n)) {
        std::size_t best = n;
        float best_value = 0.0f;
        for (std::size_t i = 0; i < n; ++i) {
            if (chosen[i]) continue;
            const float value = keywords.empty() || options.diversity == 0.0f
                                    ? to_text[i]
                                    : (1.0f - options.diversity) * to_text[i] - options.diversity * to_chosen[i];
            if (best == n || value > best_value) {
                best = i;
                best_value = value;
            }
        }
        chosen[best] = true;
        keywords.push_back({phrases[best].text, phrases[best].bytes, to_text[best]});
        if (options.diversity > 0.0f)
            for (std::size_t i = 0; i < n; ++i) to_chosen[i] = std::max(to_chosen[i], cosine(i + 1, best + 1));
    }
    return keywords;
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
#endif
