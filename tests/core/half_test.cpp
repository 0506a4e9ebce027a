// f16 and bf16 against their definitions, computed in double precision, and against the compiler's own f16.
#include "ranklet/core/half.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

namespace {

using ranklet::bf16_to_f32;
using ranklet::f16_to_f32;
using ranklet::f32_to_bf16;
using ranklet::f32_to_f16;

/// The definition: sign, 5 bits of exponent (bias 15), 10 bits of mantissa.
double f16_by_definition(std::uint32_t bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31), mantissa = static_cast<int>(bits & 1023);
    double value = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    if (exponent == 31) value = mantissa == 0 ? HUGE_VAL : std::nan("");
    return (bits & 0x8000) != 0 ? -value : value;
}

std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

/// The next float in the direction of `to`.
float toward(float value, double to) { return std::nextafterf(value, static_cast<float>(to)); }

}  // namespace

TEST_CASE("every f16 has the value that its definition says, bit for bit") {
    int nans = 0;
    for (std::uint32_t bits = 0; bits < 65536; ++bits) {
        const float value = f16_to_f32(static_cast<std::uint16_t>(bits));
        const double expected = f16_by_definition(bits);
        if (std::isnan(expected)) {
            ++nans;
            CHECK(std::isnan(value));
            CHECK(std::signbit(value) == ((bits & 0x8000) != 0));
            CHECK((bits_of(value) >> 13 & 0x03FF) == (bits & 0x03FF) + ((bits & 0x0200) == 0 ? 0x0200 : 0));
        } else if (bits_of(value) != bits_of(static_cast<float>(expected))) {
            FAIL_CHECK("f16 bits ", bits, ": ", value, " is not ", expected);
        }
    }
    CHECK(nans == 2 * 1023);
}

TEST_CASE("every f16 comes back from f32 with the same bits, NaN made quiet") {
    for (std::uint32_t bits = 0; bits < 65536; ++bits) {
        const bool is_nan = (bits & 0x7FFF) > 0x7C00;
        const std::uint32_t expected = is_nan ? bits | 0x0200 : bits;
        if (f32_to_f16(f16_to_f32(static_cast<std::uint16_t>(bits))) != expected) FAIL_CHECK("f16 bits ", bits);
    }
}

TEST_CASE("f32 between two f16 go to the nearer one, and half way to the even one") {
    for (std::uint32_t low = 0; low < 0x7C00; ++low) {  // the pair's upper one may be infinity, at 2^16's place
        const double below = f16_by_definition(low), above = low == 0x7BFF ? 65536.0 : f16_by_definition(low + 1);
        const auto middle = static_cast<float>((below + above) / 2);  // exact: f32 has 13 more bits
        const std::uint32_t even = (low & 1) == 0 ? low : low + 1;
        bool right = f32_to_f16(middle) == even;
        right = right && f32_to_f16(toward(middle, 0)) == low && f32_to_f16(toward(middle, HUGE_VAL)) == low + 1;
        right = right && f32_to_f16(-middle) == (even | 0x8000) && f32_to_f16(-toward(middle, 0)) == (low | 0x8000);
        right = right && f32_to_f16(-toward(middle, HUGE_VAL)) == ((low + 1) | 0x8000);
        if (!right) FAIL_CHECK("around the f16 bits ", low);
    }
}

TEST_CASE("f32 outside of f16's range become zero or infinity of their sign") {
    CHECK(f32_to_f16(std::numeric_limits<float>::denorm_min()) == 0x0000);
    CHECK(f32_to_f16(-std::numeric_limits<float>::min()) == 0x8000);
    CHECK(f32_to_f16(65519.996f) == 0x7BFF);
    CHECK(f32_to_f16(65520.0f) == 0x7C00);
    CHECK(f32_to_f16(std::numeric_limits<float>::max()) == 0x7C00);
    CHECK(f32_to_f16(-std::numeric_limits<float>::infinity()) == 0xFC00);
    CHECK((f32_to_f16(std::numeric_limits<float>::quiet_NaN()) & 0x7FFF) == 0x7E00);
    CHECK(f32_to_f16(std::bit_cast<float>(0xFF800001u)) == 0xFE00);  // a NaN whose upper payload is empty
}

#if defined(__FLT16_MAX__)
TEST_CASE("conversions agree with the compiler's own f16 on random f32 bits") {
    std::mt19937 random(1);
    for (int i = 0; i < 1'000'000; ++i) {
        // Half of them with an exponent near f16's range, where rounding happens.
        std::uint32_t bits = static_cast<std::uint32_t>(random());
        if (i % 2 == 0) bits = (bits & 0x807FFFFFu) | (100 + bits % 44) << 23;
        const auto value = std::bit_cast<float>(bits);
        const auto expected = std::bit_cast<std::uint16_t>(static_cast<_Float16>(value));
        const bool same = std::isnan(value) ? (f32_to_f16(value) & 0x7FFF) > 0x7C00 : f32_to_f16(value) == expected;
        if (!same) FAIL_CHECK("f32 bits ", bits, " gave ", f32_to_f16(value), ", expected ", expected);
    }
}
#endif

TEST_CASE("every bf16 is the upper half of its f32 and comes back") {
    for (std::uint32_t bits = 0; bits < 65536; ++bits) {
        const bool is_nan = (bits & 0x7FFF) > 0x7F80;
        const std::uint32_t expected = is_nan ? bits | 0x0040 : bits;
        const float value = bf16_to_f32(static_cast<std::uint16_t>(bits));
        if (bits_of(value) != expected << 16 || f32_to_bf16(value) != expected || std::isnan(value) != is_nan)
            FAIL_CHECK("bf16 bits ", bits);
    }
}

TEST_CASE("f32 between two bf16 go to the nearer one, and half way to the even one") {
    for (std::uint32_t low = 0; low < 0x7F80; ++low) {
        const std::uint32_t middle = low << 16 | 0x8000, even = (low & 1) == 0 ? low : low + 1;
        bool right = f32_to_bf16(std::bit_cast<float>(middle)) == even;
        right = right && f32_to_bf16(std::bit_cast<float>(middle - 1)) == low;
        right = right && f32_to_bf16(std::bit_cast<float>(middle + 1)) == low + 1;
        right = right && f32_to_bf16(std::bit_cast<float>(middle | 0x80000000u)) == (even | 0x8000);
        if (!right) FAIL_CHECK("around the bf16 bits ", low);
    }
    CHECK(f32_to_bf16(std::numeric_limits<float>::max()) == 0x7F80);
    CHECK(f32_to_bf16(std::bit_cast<float>(0x7F800001u)) == 0x7FC0);  // a NaN whose upper payload is empty
}

static_assert(f32_to_f16(1.0f) == 0x3C00 && f16_to_f32(0x3C00) == 1.0f && f32_to_bf16(1.0f) == 0x3F80,
              "conversions work at compile time");
