// ScoreFunction: what makes a classifier's logits scores.
// In: nothing. Out: the choice that a model file states.
#pragma once

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// What makes a row of logits scores.
enum class ScoreFunction {
    softmax,   ///< one label of several: probabilities that sum to one
    sigmoid,   ///< each label by itself: probabilities
    identity,  ///< the logits themselves (regression)
};

RANKLET_NAMESPACE_END
