// All layers: for programs that build models of them. ranklet.hpp leaves them out: with RANKLET_COMPILED they are what a
// program would pay for that only uses models.
#pragma once

// Macros of other headers stay outside of all of it: first and last.
// clang-format off
#include "ranklet/core/macros_aside.hpp"
// clang-format on

#include "ranklet/kernels/ops_eigen.hpp"         // scalar types other than float
#include "ranklet/layers/attention_pooling.hpp"  // AttentionPooling
#include "ranklet/layers/conv1d.hpp"             // Conv1d
#include "ranklet/layers/embedding.hpp"          // Embedding
#include "ranklet/layers/gru.hpp"                // Gru, GruStack
#include "ranklet/layers/head_attention.hpp"     // HeadAttention
#include "ranklet/layers/layer_norm.hpp"         // LayerNorm
#include "ranklet/layers/linear.hpp"             // Linear
#include "ranklet/layers/reset_before_gru.hpp"   // ResetBeforeGru
#include "ranklet/layers/transformer_layer.hpp"  // TransformerLayer, SelfAttention

// clang-format off
#include "ranklet/core/macros_back.hpp"
// clang-format on
