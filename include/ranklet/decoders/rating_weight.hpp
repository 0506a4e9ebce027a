// What a rating weighs in the decoders that nobody trained.
// In: a rating, and the weight that stands for it. Out: a factor; 1 for an event without a rating.
#pragma once

#include <cmath>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/model_file/load.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

inline float weight_of(const RatingWeight& weight, float rating) noexcept {
    return std::isnan(rating) || weight.scale == 0.0f ? 1.0f : weight.scale * (rating - weight.neutral);
}

/// From `rating_neutral` and `rating_scale`; `otherwise` for what is not there.
RANKLET_COLD inline Result<RatingWeight> read_rating_weight(const ModelReader& keys, RatingWeight otherwise) {
    if (keys.has("rating_neutral")) {
        RANKLET_ASSIGN(otherwise.neutral, keys.f32("rating_neutral"));
    }
    if (keys.has("rating_scale")) {
        RANKLET_ASSIGN(otherwise.scale, keys.f32("rating_scale"));
    }
    return otherwise;
}
RANKLET_COLD inline Result<void> check_rating_weight(const ModelReader& keys, const RatingWeight& weight) {
    if (!std::isfinite(weight.neutral)) return keys.wrong("rating_neutral", {" is not finite"});
    if (!std::isfinite(weight.scale)) return keys.wrong("rating_scale", {" is not finite"});
    return {};
}

}  // namespace detail
RANKLET_NAMESPACE_END
