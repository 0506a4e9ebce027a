// TensorView: a tensor as a model file stores it, and its conversion to f32.
// In: stored bytes with a type and a shape [rows, cols]. Out: rows of f32. Nothing is owned.
// Formats: GGML's tensor types and their numbers (GGUF specification, enum ggml_type).
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "ranklet/core/config.hpp"
#include "ranklet/core/tensor_type.hpp"

RANKLET_NAMESPACE_BEGIN

/// A tensor in foreign memory (a mapped file), row-major. `data` need not be aligned to the element's size.
struct TensorView {
    std::string_view name{};
    TensorType type = TensorType::f32;
    std::size_t rows = 0;                 ///< 1 for a vector; the product of all dimensions but the last
    std::size_t cols = 0;                 ///< the last dimension
    std::array<std::uint64_t, 4> dims{};  ///< in PyTorch's order, [0, rank) used, the rest 1
    std::size_t rank = 0;
    const std::byte* data = nullptr;
    std::size_t bytes = 0;              ///< of all rows; 0 when the type is not one of TensorType's
    const std::byte* scales = nullptr;  ///< i8: one f32 a row, a tensor of their own in the file

    /// Bytes from one row to the next.
    std::size_t row_bytes() const noexcept { return rows == 0 ? 0 : bytes / rows; }
    /// i8: the scale of a row.
    float scale(std::size_t row) const noexcept {
        float value;
        std::memcpy(&value, scales + row * sizeof value, sizeof value);
        return value;
    }
};

/// Writes row `row` of a tensor as `tensor.cols` f32 to `out`.
/// Precondition: row < rows; the type is one of TensorType's but i32, i8 with its scales (GgufFile::tensor makes sure of
/// it).
void dequantize_row(const TensorView& tensor, std::size_t row, float* out) noexcept;

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include "ranklet/core/half.hpp"
#include "ranklet/core/tensor_blocks.hpp"

RANKLET_NAMESPACE_BEGIN

RANKLET_FUNC std::string to_string(TensorType type) {
    constexpr std::array<std::string_view, 31> names{
        "F32",   "F16",    "Q4_0", "Q4_1", "",     "",        "Q5_0",   "Q5_1",    "Q8_0",  "Q8_1",   "Q2_K",
        "Q3_K",  "Q4_K",   "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S",
        "IQ2_S", "IQ4_XS", "I8",   "I16",  "I32",  "I64",     "F64",    "IQ1_M",   "BF16"};
    const auto number = static_cast<std::uint32_t>(type);
    if (number < names.size() && !names[number].empty()) return std::string(names[number]);
    return "type " + std::to_string(number);
}

RANKLET_FUNC void dequantize_row(const TensorView& tensor, std::size_t row, float* out) noexcept {
    const std::byte* source = tensor.data + row * tensor.row_bytes();
    const std::size_t cols = tensor.cols;
    const auto bits16 = [](const std::byte* at) noexcept {
        std::uint16_t bits;
        std::memcpy(&bits, at, sizeof bits);
        return bits;
    };
    switch (tensor.type) {
        case TensorType::f32:
            std::memcpy(out, source, cols * sizeof(float));
            break;
        case TensorType::f16:
            for (std::size_t c = 0; c < cols; ++c) out[c] = f16_to_f32(bits16(source + 2 * c));
            break;
        case TensorType::bf16:
            for (std::size_t c = 0; c < cols; ++c) out[c] = bf16_to_f32(bits16(source + 2 * c));
            break;
        case TensorType::q4_0:
        case TensorType::q4_1:
        case TensorType::q5_0:
        case TensorType::q5_1:
        case TensorType::q8_0:
        case TensorType::q4_k:
        case TensorType::q5_k:
        case TensorType::q6_k: {
            const detail::BlockSize block = detail::block_size(tensor.type);
            std::size_t c = 0;
            for (; c + block.columns <= cols; c += block.columns, source += block.bytes)
                detail::read_block(tensor.type, source, out + c);
            if (c == cols) break;
            float values[detail::most_block_columns];  // a row that is cut
            detail::read_block(tensor.type, source, values);
            std::memcpy(out + c, values, (cols - c) * sizeof(float));
            break;
        }
        case TensorType::i8: {
            const float scale = tensor.scale(row);
            for (std::size_t c = 0; c < cols; ++c)
                out[c] = scale * static_cast<float>(static_cast<std::int8_t>(source[c]));
            break;
        }
        case TensorType::i32:
            break;  // the precondition excludes it
    }
}

RANKLET_NAMESPACE_END

#endif
