// Blocks of quantised numbers, as GGML stores them: a few scales, then numbers of 4 to 8 bits.
// In: a block's bytes. Out: its values in f32, exactly what the format says (every product of a scale is exact in f32, so there
// is one rounding, of a sum, on every machine).
// Formats: GGML's block_q4_0 to block_q6_K (GGUF specification of the ggml project and its documentation of the types).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ranklet/core/config.hpp"
#include "ranklet/core/half.hpp"
#include "ranklet/core/tensor_type.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// Values that lie in blocks of so many columns and bytes; one value a block where the type has none.
struct BlockSize {
    std::size_t columns = 1, bytes = 0;  ///< 0 bytes: a type that is not read
};
constexpr BlockSize block_size(TensorType type) noexcept {
    switch (type) {
        case TensorType::f32:
        case TensorType::i32:
            return {1, 4};
        case TensorType::f16:
        case TensorType::bf16:
            return {1, 2};
        case TensorType::i8:
            return {1, 1};
        case TensorType::q4_0:
            return {32, 2 + 16};
        case TensorType::q4_1:
            return {32, 2 + 2 + 16};
        case TensorType::q5_0:
            return {32, 2 + 4 + 16};
        case TensorType::q5_1:
            return {32, 2 + 2 + 4 + 16};
        case TensorType::q8_0:
            return {32, 2 + 32};
        case TensorType::q4_k:
            return {256, 2 + 2 + 12 + 128};
        case TensorType::q5_k:
            return {256, 2 + 2 + 12 + 32 + 128};
        case TensorType::q6_k:
            return {256, 128 + 64 + 16 + 2};
    }
    return {};
}
inline constexpr std::size_t most_block_columns = 256;

/// A block's bytes, read one after the other.
class BlockReader {
public:
    explicit BlockReader(const std::byte* at) noexcept : at_(at) {}
    float f16() noexcept {
        std::uint16_t bits;
        std::memcpy(&bits, at_, sizeof bits);
        at_ += sizeof bits;
        return f16_to_f32(bits);
    }
    const std::byte* bytes(std::size_t count) noexcept {
        const std::byte* start = at_;
        at_ += count;
        return start;
    }

private:
    const std::byte* at_;
};
inline std::uint32_t bits_of(std::byte byte) noexcept { return std::to_integer<std::uint32_t>(byte); }

/// 32 numbers of 4 bits, or 5: low halves of 16 bytes first; the fifth bits are those of a number of 32.
inline void read_block_32(const std::byte* block, bool fifth, bool has_least, float* out) noexcept {
    BlockReader reader(block);
    const float scale = reader.f16();
    const float least = has_least ? reader.f16() : 0.0f, zero = has_least ? 0.0f : fifth ? 16.0f : 8.0f;
    std::uint32_t high = 0;
    if (fifth) std::memcpy(&high, reader.bytes(sizeof high), sizeof high);
    const std::byte* halves = reader.bytes(16);
    for (std::size_t i = 0; i < 16; ++i) {
        const std::uint32_t byte = bits_of(halves[i]);
        const std::uint32_t low = (byte & 15u) | (high >> i & 1u) << 4, top = byte >> 4 | (high >> (i + 16) & 1u) << 4;
        out[i] = scale * (static_cast<float>(low) - zero);
        out[i + 16] = scale * (static_cast<float>(top) - zero);
        if (has_least) out[i] += least, out[i + 16] += least;
    }
}

/// 256 numbers of 4 bits, or 5, in eights of 32 with a scale and a least value of 6 bits each.
inline void read_block_256(const std::byte* block, bool fifth, float* out) noexcept {
    BlockReader reader(block);
    const float scale = reader.f16(), least = reader.f16();
    const std::byte* packed = reader.bytes(12);
    const std::byte* high = fifth ? reader.bytes(32) : nullptr;
    const std::byte* halves = reader.bytes(128);
    for (std::size_t part = 0; part < 8; ++part) {
        // Of the first four the lower six bits of bytes 0 to 7; of the last four halves of bytes 8 to 11 and the upper two of those.
        const std::size_t p = part % 4;
        std::uint32_t of_scale = bits_of(packed[p]) & 63u, of_least = bits_of(packed[p + 4]) & 63u;
        if (part >= 4) {
            of_scale = (bits_of(packed[p + 8]) & 15u) | bits_of(packed[p]) >> 6 << 4;
            of_least = bits_of(packed[p + 8]) >> 4 | bits_of(packed[p + 4]) >> 6 << 4;
        }
        const float own = scale * static_cast<float>(of_scale), below = least * static_cast<float>(of_least);
        for (std::size_t i = 0; i < 32; ++i) {
            std::uint32_t value = bits_of(halves[part / 2 * 32 + i]) >> (part % 2 * 4) & 15u;
            if (fifth) value |= (bits_of(high[i]) >> part & 1u) << 4;
            out[part * 32 + i] = own * static_cast<float>(value) - below;
        }
    }
}

/// 256 numbers of 6 bits, in sixteens with a scale of 8 bits each.
inline void read_block_q6_k(const std::byte* block, float* out) noexcept {
    BlockReader reader(block);
    const std::byte *low = reader.bytes(128), *high = reader.bytes(64), *scales = reader.bytes(16);
    const float scale = reader.f16();
    for (std::size_t i = 0; i < 256; ++i) {
        const std::size_t half = i / 128, quarter = i % 128 / 32, place = i % 32;
        const std::uint32_t lower = bits_of(low[half * 64 + quarter % 2 * 32 + place]) >> (quarter / 2 * 4) & 15u;
        const std::uint32_t upper = bits_of(high[half * 32 + place]) >> (quarter * 2) & 3u;
        const float own = scale * static_cast<float>(static_cast<std::int8_t>(scales[i / 16]));
        out[i] = own * (static_cast<float>(lower | upper << 4) - 32.0f);
    }
}

/// A block's values, as many as it has. Precondition: a type with blocks of several columns.
inline void read_block(TensorType type, const std::byte* block, float* out) noexcept {
    switch (type) {
        case TensorType::q4_0:
            return read_block_32(block, false, false, out);
        case TensorType::q4_1:
            return read_block_32(block, false, true, out);
        case TensorType::q5_0:
            return read_block_32(block, true, false, out);
        case TensorType::q5_1:
            return read_block_32(block, true, true, out);
        case TensorType::q4_k:
            return read_block_256(block, false, out);
        case TensorType::q5_k:
            return read_block_256(block, true, out);
        case TensorType::q6_k:
            return read_block_q6_k(block, out);
        case TensorType::q8_0: {
            BlockReader reader(block);
            const float scale = reader.f16();
            const std::byte* values = reader.bytes(32);
            for (std::size_t i = 0; i < 32; ++i)
                out[i] = scale * static_cast<float>(static_cast<std::int8_t>(values[i]));
            return;
        }
        case TensorType::f32:
        case TensorType::f16:
        case TensorType::bf16:
        case TensorType::i8:
        case TensorType::i32:
            return;  // the precondition excludes them
    }
}

}  // namespace detail
RANKLET_NAMESPACE_END
