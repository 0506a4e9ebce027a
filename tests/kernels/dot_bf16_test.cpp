// One step of the bf16 dot product: its emulation against the instruction's definition, one number at a time; the
// instruction against its emulation, where this is compiled for it; and rounding to bf16.
#include "ranklet/kernels/dot_bf16.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "kernels/reference.hpp"

namespace {

using namespace ranklet_test;
namespace kernels = ranklet::kernels;
using Emulated = kernels::EmulatedDotBf16<Arch>;
constexpr std::size_t width = kernels::F32<Arch>::size;

float flush(float x) { return std::abs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; }

/// sum + a * b in one rounding, zero where it is less than 2^-126 after rounding to 24 bits whatever the exponent. In
/// double: the product is exact there; where the sum is not, it is far from 2^-126.
float add_product(float a, float b, float sum) {
    const float result = std::fma(a, b, sum);
    if (!(std::abs(result) <= 0x1p-126f)) return result;
    const double exact = static_cast<double>(a) * b + sum;
    return std::abs(exact) < 0x1p-126 - 0x1p-151 ? std::copysign(0.0f, result) : result;
}

/// VDPBF16PS for one sum: the upper product is added before the lower one, each in one rounding.
float step(std::uint32_t a, std::uint32_t b, float sum) {
    const auto upper = [](std::uint32_t pair) { return flush(std::bit_cast<float>(pair & 0xFFFF0000u)); };
    const auto lower = [](std::uint32_t pair) { return flush(std::bit_cast<float>(pair << 16)); };
    return add_product(lower(a), lower(b), add_product(upper(a), upper(b), flush(sum)));
}

/// A vector of steps by Dot.
template <class Dot>
std::vector<float> steps(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b,
                         const std::vector<float>& sums) {
    const auto pairs = [](const std::vector<std::uint32_t>& values) {
        return Dot::load(reinterpret_cast<const std::uint16_t*>(values.data()));
    };
    std::vector<float> result(width);
    Dot::accumulate(pairs(a), pairs(b), kernels::F32<Arch>::load_unaligned(sums.data())).store_unaligned(result.data());
    return result;
}

/// A bf16 number of the sizes that models have.
std::uint32_t ordinary(Random& random) {
    const auto magnitude = static_cast<std::uint32_t>(random.below(24 << 7)) + (115u << 7);  // 2^-12 to 2^12
    return magnitude | (random.below(2) == 0 ? 0x8000u : 0u);
}
/// One whose products are about the smallest normal number, or as much smaller as matters to them.
std::uint32_t small(Random& random) {
    const auto magnitude = static_cast<std::uint32_t>(random.below(10 << 7)) + (48u << 7);  // 2^-79 to 2^-69
    return magnitude | (random.below(2) == 0 ? 0x8000u : 0u);
}
std::uint32_t ordinary_pair(Random& random) { return ordinary(random) << 16 | ordinary(random); }

}  // namespace

TEST_CASE("a step adds the upper product, then the lower one, each in one rounding") {
    if (!has_fma) return;
    Random random(81);
    std::size_t different = 0, order_matters = 0, fusing_matters = 0;
    for (int round = 0; round < 20000; ++round) {
        std::vector<std::uint32_t> a(width), b(width);
        std::vector<float> sums(width), expected(width);
        for (std::size_t j = 0; j < width; ++j) {
            a[j] = ordinary_pair(random);
            b[j] = ordinary_pair(random);
            sums[j] = random.between(-100.0f, 100.0f);
            expected[j] = step(a[j], b[j], sums[j]);
            order_matters += bits(step(a[j] << 16 | a[j] >> 16, b[j] << 16 | b[j] >> 16, sums[j])) != bits(expected[j]);
            const auto exact = [&](std::uint32_t x, std::uint32_t y) {  // a product of two bf16 is exact in f32
                return std::bit_cast<float>(x) * std::bit_cast<float>(y);
            };
            volatile float sum = exact(a[j] & 0xFFFF0000u, b[j] & 0xFFFF0000u) + exact(a[j] << 16, b[j] << 16);
            fusing_matters += bits(sum + sums[j]) != bits(expected[j]);
        }
        different += !same_bits(steps<Emulated>(a, b, sums), expected);
    }
    CHECK(different == 0);
    CHECK(order_matters > 1000);  // so the test sees both
    CHECK(fusing_matters > 1000);
}

TEST_CASE("denormals count as zero and become zero, NaN and infinity stay, zeros keep their sign") {
    if (!has_fma) return;
    const std::vector<std::uint32_t> numbers{0x0000, 0x8000, 0x0001, 0x8001, 0x007F, 0x807F, 0x0080,
                                             0x8080, 0x1F80, 0x2000, 0x3F80, 0xBF80, 0x7F7F, 0xFF7F,
                                             0x7F80, 0xFF80, 0x7FC0, 0xFFC0, 0x7F81};
    const std::vector<float> sums{0.0f,       -0.0f,     1.0f,    -1.0f,    0x1p-126f, -0x1p-126f, 0x1p-127f,
                                  -0x1p-149f, 0x1p-130f, 3.0e38f, infinity, -infinity, quiet_nan};
    std::size_t wrong = 0;
    for (const std::uint32_t upper : numbers)
        for (const std::uint32_t lower : numbers)
            for (const std::uint32_t factor : numbers)
                for (const float sum : sums) {
                    const std::uint32_t a = upper << 16 | lower, b = factor << 16 | 0x3F80u;
                    const float expected = step(a, b, sum);
                    const float found =
                        steps<Emulated>(std::vector<std::uint32_t>(width, a), std::vector<std::uint32_t>(width, b),
                                        std::vector<float>(width, sum))[width - 1];
                    // Which NaN it is, the instruction chooses by a table of its own.
                    wrong += std::isnan(expected) ? !std::isnan(found) : bits(found) != bits(expected);
                }
    CHECK(wrong == 0);
}

TEST_CASE("a sum about the smallest normal number is zero if it is less after rounding to 24 bits") {
    if (!has_fma) return;
    // The second product hides what became of the first sum: 0 or 2^-126.
    CHECK(bits(step(0xA3F7204Au, 0x807F144Du, -0x1.000002p-126f)) == 0x80000000u);
    CHECK(bits(step(0x19A7A553u, 0x1B0F1FE2u, -0x1.000002p-126f)) == 0x85BA4600u);
    Random random(84);
    std::size_t wrong = 0, wrong_instruction = 0, zeros = 0, smallest = 0;
    for (int round = 0; round < 200000; ++round) {
        std::vector<std::uint32_t> a(width), b(width);
        std::vector<float> sums(width), expected(width);
        for (std::size_t j = 0; j < width; ++j) {
            a[j] = small(random) << 16 | small(random);
            b[j] = small(random) << 16 | small(random);
            sums[j] = std::bit_cast<float>((random.below(2) == 0 ? 0x80000000u : 0u) |
                                           (0x00800000u + static_cast<std::uint32_t>(random.below(3))));
            expected[j] = step(a[j], b[j], sums[j]);
            zeros += expected[j] == 0.0f;
            smallest += std::abs(expected[j]) == 0x1p-126f;
        }
        wrong += !same_bits(steps<Emulated>(a, b, sums), expected);
        wrong_instruction += !same_bits(steps<kernels::DotBf16<Arch>>(a, b, sums), expected);
    }
    CHECK(wrong == 0);
    CHECK(wrong_instruction == 0);
    CHECK(zeros > 1000);  // so the test sees both
    CHECK(smallest > 1000);
}

TEST_CASE("the processor's dot product has the bits of its emulation, where this is compiled for it") {
    Random random(82);
    std::size_t different = 0;
    for (int round = 0; round < 20000; ++round) {
        std::vector<std::uint32_t> a(width), b(width);
        for (std::size_t j = 0; j < width; ++j) a[j] = ordinary_pair(random), b[j] = ordinary_pair(random);
        const std::vector<float> sums = random.row(width, -100.0f, 100.0f);
        different += !same_bits(steps<kernels::DotBf16<Arch>>(a, b, sums), steps<Emulated>(a, b, sums));
    }
    CHECK(different == 0);
    const std::vector<std::uint32_t> ones(width, 0x3F803F80u);
    for (const std::uint32_t odd : {0x00010001u, 0x807F3F80u, 0x3F800001u}) {  // denormals
        const std::vector<std::uint32_t> a(width, odd);
        for (const float sum : {0.0f, 1.0f, 0x1p-127f}) {
            const std::vector<float> sums(width, sum);
            CHECK(same_bits(steps<kernels::DotBf16<Arch>>(a, ones, sums), steps<Emulated>(a, ones, sums)));
        }
    }
    for (const std::uint32_t special : {0x7FC03F80u, 0x3F807FC0u, 0x7F80FF80u})  // infinity - infinity the last
        CHECK(std::isnan(steps<kernels::DotBf16<Arch>>(std::vector<std::uint32_t>(width, special), ones,
                                                       std::vector<float>(width, 0.0f))[0]));
    CHECK(steps<kernels::DotBf16<Arch>>(std::vector<std::uint32_t>(width, 0x7F803F80u), ones,
                                        std::vector<float>(width, 0.0f))[0] == infinity);
}

TEST_CASE("rows are rounded to bf16 as one number is: to nearest even, denormals kept, NaN kept; nothing beyond them") {
    std::vector<float> x;
    for (std::uint32_t upper = 0; upper < 0x10000u; ++upper)
        for (const std::uint32_t lower : {0x0000u, 0x0001u, 0x1234u, 0x7FFFu, 0x8000u, 0x8001u, 0xC000u, 0xFFFFu})
            x.push_back(std::bit_cast<float>(upper << 16 | lower));
    std::vector<std::uint16_t> y(x.size());
    kernels::round_to_bf16<Arch>(x.data(), x.size(), y.data());
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < x.size(); ++i) wrong += y[i] != ranklet::f32_to_bf16(x[i]);
    CHECK(wrong == 0);

    Random random(83);
    for (std::size_t n = 0; n < 70; ++n) {
        const std::vector<float> row = random.row(n);
        std::vector<std::uint16_t> rounded(n + 3, std::uint16_t{0xABCD});
        kernels::round_to_bf16<Arch>(row.data(), n, rounded.data());
        for (std::size_t i = 0; i < n; ++i) REQUIRE(rounded[i] == ranklet::f32_to_bf16(row[i]));
        for (std::size_t i = n; i < n + 3; ++i) REQUIRE(rounded[i] == 0xABCD);
    }
}
