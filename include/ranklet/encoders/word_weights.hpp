// Weights of words from the texts they are used on: tf-idf, and SIF (Arora, Liang, Ma 2017).
// In: WordVectors and a catalog's texts. Out: the same WordVectors with weights, and with the texts' common component.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/text_list.hpp"
#include "ranklet/encoders/word_vectors.hpp"

RANKLET_NAMESPACE_BEGIN

/// How often tokens are used in a set of texts.
struct TokenCounts {
    std::vector<std::uint64_t> tokens;     ///< [vocabulary]: occurrences
    std::vector<std::uint64_t> documents;  ///< [vocabulary]: texts that it occurs in
    std::uint64_t total = 0;               ///< occurrences of all
    std::size_t texts = 0;
};

/// Error invalid_text naming the first text that is not UTF-8.
inline Result<TokenCounts> count_tokens(const WordVectors& words, TextList texts) RANKLET_MEMORY_TRY {
    TokenCounts counts;
    counts.tokens.assign(words.vocabulary_size(), 0);
    counts.documents.assign(words.vocabulary_size(), 0);
    counts.texts = texts.size();
    std::vector<std::size_t> last_seen(words.vocabulary_size(), texts.size());
    RANKLET_TRY(words.for_each_text(texts, {}, [&](std::size_t text, const Encoding& encoding, std::size_t) {
        for (const std::int32_t id : encoding.ids) {
            const auto token = static_cast<std::size_t>(id);
            ++counts.tokens[token];
            ++counts.total;
            if (last_seen[token] != text) ++counts.documents[token];
            last_seen[token] = text;
        }
    }));
    return counts;
}
RANKLET_MEMORY_CATCH

/// ln((1 + texts) / (1 + document frequency)) + 1, as scikit-learn's smoothed idf; the tf of tf-idf is the sum over a
/// text's tokens. A token that no text has gets the largest weight.
inline std::vector<float> idf_weights(const TokenCounts& counts) {
    std::vector<float> weights;
    for (const std::uint64_t df : counts.documents)
        weights.push_back(static_cast<float>(
            std::log((1.0 + static_cast<double>(counts.texts)) / (1.0 + static_cast<double>(df))) + 1.0));
    return weights;
}

/// a / (a + p), p the token's share of all occurrences. Error invalid_argument for an a that is not above 0.
inline Result<std::vector<float>> sif_weights(const TokenCounts& counts, float a = 1e-3f) RANKLET_MEMORY_TRY {
    if (!(a > 0.0f && std::isfinite(a)))
        return make_error(ErrorCode::invalid_argument, {"SIF's a is ", a, ", expected a number above 0"});
    const double total = static_cast<double>(std::max<std::uint64_t>(counts.total, 1));
    std::vector<float> weights;
    for (const std::uint64_t n : counts.tokens)
        weights.push_back(
            static_cast<float>(static_cast<double>(a) / (static_cast<double>(a) + static_cast<double>(n) / total)));
    return weights;
}
RANKLET_MEMORY_CATCH

/// The first right singular vector [1, dim] of vectors [n, dim] (not centred), by power iteration: up to 300 passes
/// over the vectors, few where they have a component in common; no rows when the vectors are all zero. Its sign is
/// arbitrary, but the same on every machine. Error invalid_argument when a value is not finite.
inline Result<Matrix> common_component(MatrixView<const float> vectors) RANKLET_MEMORY_TRY {
    const std::size_t n = vectors.cols;
    // A product of two floats is exact in double, so that fused and unfused sums have the same bits.
    std::vector<double> sum(n, 0.0);
    const auto add_row = [&](std::size_t r, float factor) {
        for (std::size_t c = 0; c < n; ++c)
            sum[c] += static_cast<double>(factor) * static_cast<double>(vectors.row(r)[c]);
    };
    std::vector<float> direction(n, 0.0f);
    const auto take_direction = [&] {  // sum, normalised; false when it has no length
        double largest = 0.0;
        for (const double x : sum) largest = std::max(largest, std::abs(x));
        if (!(largest > 0.0)) return false;
        double squares = 0.0;
        for (std::size_t c = 0; c < n; ++c) {
            direction[c] = static_cast<float>(sum[c] / largest);
            squares += static_cast<double>(direction[c]) * static_cast<double>(direction[c]);
        }
        for (float& x : direction) x = static_cast<float>(static_cast<double>(x) / std::sqrt(squares));
        return true;
    };
    // It starts from the longest row, which cannot be orthogonal to all that the vectors have in common.
    std::size_t longest = 0;
    double most = 0.0;
    for (std::size_t r = 0; r < vectors.rows; ++r) {
        double squares = 0.0;
        for (const float x : vectors.row(r)) squares += static_cast<double>(x) * static_cast<double>(x);
        if (!std::isfinite(squares))
            return make_error(ErrorCode::invalid_argument, {"row ", r, " of the vectors is not finite"});
        if (squares > most) {
            most = squares;
            longest = r;
        }
    }
    if (!(most > 0.0)) return Matrix();
    // Parts along the direction are scaled by a power of two, which takes no bit from them: as floats they neither
    // overflow nor vanish, whatever the vectors' length.
    int exponent = 0;
    (void)std::frexp(std::sqrt(most), &exponent);
    const double scale = std::ldexp(1.0, -exponent);
    add_row(longest, 1.0f);
    if (!take_direction()) return Matrix();
    constexpr int most_steps = 300;
    for (int step = 0; step < most_steps; ++step) {
        const std::vector<float> before = direction;
        std::fill(sum.begin(), sum.end(), 0.0);
        for (std::size_t r = 0; r < vectors.rows; ++r) {
            double along = 0.0;
            for (std::size_t c = 0; c < n; ++c)
                along += static_cast<double>(before[c]) * static_cast<double>(vectors.row(r)[c]);
            add_row(r, static_cast<float>(along * scale));
        }
        if (!take_direction()) break;
        float moved = 0.0f;
        for (std::size_t c = 0; c < n; ++c) moved = std::max(moved, std::abs(direction[c] - before[c]));
        if (moved < 3e-7f) break;
    }
    RANKLET_ASSIGN(Matrix component, Matrix::zeroed(1, n));
    std::copy(direction.begin(), direction.end(), component.row(0).begin());
    return component;
}
RANKLET_MEMORY_CATCH

/// `words` weighted by idf in these texts.
inline Result<WordVectors> with_tf_idf(const WordVectors& words, TextList texts) RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(const TokenCounts counts, count_tokens(words, texts));
    return words.with_weights(idf_weights(counts));
}
RANKLET_MEMORY_CATCH

struct SifOptions {
    float a = 1e-3f;
    bool remove_component = true;  ///< the first singular vector of the texts' vectors is taken out of every vector
    Threads threads = 1;
};

/// `words` with SIF weights of these texts. The component is that of their vectors before they are normalised.
inline Result<WordVectors> with_sif(const WordVectors& words, TextList texts,
                                    const SifOptions& options = {}) RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(const TokenCounts counts, count_tokens(words, texts));
    RANKLET_ASSIGN(std::vector<float> weights, sif_weights(counts, options.a));
    RANKLET_ASSIGN(const WordVectors weighted, words.with_weights(std::move(weights)));
    RANKLET_ASSIGN(const WordVectors plain, weighted.with_components(Matrix()));
    if (!options.remove_component) return plain;
    BatchOptions batch;
    batch.threads = options.threads;
    RANKLET_ASSIGN(const Matrix vectors, plain.with_normalize(false).encode(texts, batch));
    RANKLET_ASSIGN(Matrix component, common_component(vectors.view()));
    return plain.with_components(std::move(component));
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
