// TensorType: how a model file stores a tensor's numbers.
// Numbers: GGML's (GGUF specification, enum ggml_type).
#pragma once

#include <cstdint>
#include <string>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// How a tensor's numbers are stored; the values are those of the file. Files may hold numbers not named here.
enum class TensorType : std::uint32_t {
    f32 = 0,
    f16 = 1,
    q4_0 = 2,   ///< blocks of 32 along a row: a scale, 4 bits a number
    q4_1 = 3,   ///< the same with a least value
    q5_0 = 6,   ///< 5 bits a number
    q5_1 = 7,
    q8_0 = 8,   ///< blocks of 32 along a row: one f16 scale, then 32 signed bytes
    q4_k = 12,  ///< blocks of 256 along a row: 4 bits a number, scales and least values of 6 bits
    q5_k = 13,  ///< 5 bits a number
    q6_k = 14,  ///< 6 bits a number, scales of 8 bits
    i8 = 24,
    i32 = 26,  ///< whole numbers, no weights: GgufFile::i32_tensor gives them
    bf16 = 30,
};

/// GGML's name of a type, for example "Q4_K"; "type 77" for a number without one.
std::string to_string(TensorType type);

RANKLET_NAMESPACE_END
