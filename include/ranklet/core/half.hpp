// The two 16-bit floating-point formats, one number at a time.
// In: f16 or bf16 bits, or a f32. Out: the f32 (exact), or the nearest 16-bit number (ties to even).
// Formats: IEEE 754 binary16; bfloat16 is the upper half of IEEE 754 binary32.
// NaN stays NaN and becomes quiet, as in F16C.
#pragma once

#include <bit>
#include <cstdint>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// The value of binary16 bits. Uses no denormal f32, so a caller's flush-to-zero mode does not change it.
constexpr float f16_to_f32(std::uint16_t bits) noexcept {
    constexpr std::uint32_t one_exponent = 1u << 23;
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
    const std::uint32_t magnitude = static_cast<std::uint32_t>(bits & 0x7FFFu) << 13;
    const std::uint32_t normal = magnitude + 112 * one_exponent;   // bias 15 -> bias 127
    const std::uint32_t special = magnitude + 224 * one_exponent;  // exponent 31 -> 255
    const std::uint32_t quiet = (bits & 0x03FFu) != 0 ? 1u << 22 : 0u;
    // A subnormal m * 2^-24 is (2^-14 + m * 2^-24) - 2^-14, exactly.
    const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude + 113 * one_exponent) -
                                                                 std::bit_cast<float>(113 * one_exponent));
    const std::uint32_t exponent = bits & 0x7C00u;
    const std::uint32_t value = exponent == 0 ? subnormal : exponent == 0x7C00u ? special | quiet : normal;
    return std::bit_cast<float>(sign | value);
}

/// The nearest binary16, ties to even. 65520 and more become infinity, 2^-25 and less become zero of the same sign.
constexpr std::uint16_t f32_to_f16(float value) noexcept {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = bits >> 16 & 0x8000u;
    const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
    std::uint32_t half = 0;
    if (magnitude > 0x7F800000u) {
        half = 0x7E00u | (magnitude >> 13 & 0x03FFu);
    } else if (magnitude >= 0x477FF000u) {  // 65520: half way from the largest finite number to 2^16
        half = 0x7C00u;
    } else if (magnitude >= 0x38800000u) {  // 2^-14: the smallest normal number
        const std::uint32_t rebiased = magnitude - (112u << 23);
        half = (rebiased + 0x0FFFu + (rebiased >> 13 & 1u)) >> 13;
    } else if (magnitude > 0x33000000u) {  // 2^-25: half of the smallest subnormal number
        const std::uint32_t mantissa = (magnitude & 0x007FFFFFu) | 0x00800000u;
        const std::uint32_t shift = 126 - (magnitude >> 23);  // 14 to 24: the unit is 2^-24
        const std::uint32_t rest = mantissa & ((1u << shift) - 1), tie = 1u << (shift - 1);
        half = mantissa >> shift;
        if (rest > tie || (rest == tie && (half & 1u) != 0)) ++half;
    }
    return static_cast<std::uint16_t>(sign | half);
}

/// The value of bfloat16 bits.
constexpr float bf16_to_f32(std::uint16_t bits) noexcept {
    const bool is_nan = (bits & 0x7FFFu) > 0x7F80u;
    return std::bit_cast<float>(static_cast<std::uint32_t>(is_nan ? bits | 0x0040u : bits) << 16);
}

/// The nearest bfloat16, ties to even; values that round past the largest finite number become infinity.
constexpr std::uint16_t f32_to_bf16(float value) noexcept {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    const bool is_nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
    const std::uint32_t rounded = is_nan ? bits >> 16 | 0x0040u : (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
    return static_cast<std::uint16_t>(rounded);
}

RANKLET_NAMESPACE_END
