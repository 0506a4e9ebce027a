// softmax: logits of candidates to probabilities.
// In: n logits, -infinity for a candidate that was filtered out. Out: n probabilities that sum to one.
#pragma once

#include <span>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// x[i] = exp(scale * (x[i] - max)) / sum; zero for -infinity; scale > 0 is one over the temperature. A row without any
/// finite logit has no distribution: its elements come out NaN, and an empty row is left alone.
void softmax(std::span<float> x, float scale = 1.0f) noexcept;

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include "ranklet/kernels/softmax.hpp"

RANKLET_NAMESPACE_BEGIN

RANKLET_FUNC void softmax(std::span<float> x, float scale) noexcept {
    kernels::softmax<kernels::default_arch>(x.data(), x.size(), scale);
}

RANKLET_NAMESPACE_END

#endif
