// RunningComparison: a new model against the one that runs, on events that neither has met; and what a fitted file says of
// how it was made, which the next one goes on from.
// In: ranks of the same cases by both. Out: what the difference is, and whether the new one is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/fit/evaluate.hpp"
#include "ranklet/io/gguf_writer.hpp"
#include "ranklet/model_file/self_test.hpp"
#include "ranklet/recommender.hpp"

RANKLET_NAMESPACE_BEGIN

struct RunningComparison {
    RankingQuality running, fitted;
    QualityDifference difference;  ///< fitted minus running
    /// Refused: the 95 % interval of the difference in NDCG@10 (paired bootstrap over users) lies below 0, so the new one is
    /// worse by more than chance. Where there is no case nothing is refused.
    bool worse = false;
};

namespace detail {

inline RunningComparison compare_with_running(std::span<const std::uint32_t> fitted,
                                              std::span<const std::uint32_t> running, std::uint64_t seed) {
    RunningComparison result;
    result.running = quality_of(running);
    result.fitted = quality_of(fitted);
    result.difference = compare_quality(fitted, running, seed);
    result.worse = !fitted.empty() && result.difference.ndcg_high < 0.0;
    return result;
}

/// A model file's bytes with a self-test of the whole: `write(scores)` gives bytes that expect these scores. It is called
/// once without any, to compute them, and the outcome is loaded once more.
template <class Write>
RANKLET_COLD Result<std::vector<std::byte>> write_tested(const Write& write) {
    RANKLET_ASSIGN(const std::vector<std::byte> draft, write(std::span<const float>()));
    LoadOptions untested;
    untested.self_test = false;
    RANKLET_ASSIGN(const GgufFile file, GgufFile::from_memory(draft, "the new model"));
    RANKLET_ASSIGN(const Recommender model, Recommender::from_file(file, untested));
    RANKLET_ASSIGN(const std::vector<float> scores, model.self_test_scores(ModelReader(file)));
    RANKLET_ASSIGN(std::vector<std::byte> bytes, write(std::span<const float>(scores)));
    RANKLET_TRY(Recommender::from_memory(bytes, {}, "the new model"));
    return bytes;
}

}  // namespace detail

RANKLET_NAMESPACE_END
