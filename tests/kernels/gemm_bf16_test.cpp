// The products with bf16 weights: with weights widened, the bits of the f32 product for every shape; as dot products,
// the bits of each row's own chain of steps (emulated, and in the processor's instruction where this is compiled for
// it).
#include "ranklet/kernels/gemm_bf16.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "kernels/reference.hpp"
#include "ranklet/core/half.hpp"
#include "ranklet/kernels/gemm_f32.hpp"

namespace {

using namespace ranklet_test;
namespace kernels = ranklet::kernels;

}  // namespace

TEST_CASE("a product with bf16 weights has the bits of the f32 product with the weights widened") {
    Random random(61);
    for (const std::size_t m : {1u, 2u, 3u, 4u, 5u, 12u, 13u, 31u})
        for (const std::size_t n : {1u, 7u, 16u, 31u, 32u, 33u, 65u, 130u})
            for (const std::size_t k : {2u, 4u, 6u, 126u, 128u, 130u, 258u}) {
                std::vector<std::uint16_t> stored(n * k);
                std::vector<float> wide(n * k);
                for (std::size_t i = 0; i < n * k; ++i) {
                    stored[i] = ranklet::f32_to_bf16(random.between(-2.0f, 2.0f));
                    wide[i] = ranklet::bf16_to_f32(stored[i]);
                }
                const std::size_t stride = k + 3;
                const std::vector<float> a = random.row(m * stride);
                std::vector<float> packed(kernels::packed_size<Arch>(n, k)), expected(m * n), found(m * n);
                std::vector<std::uint16_t> packed_bf16(packed.size());
                kernels::pack_rows<Arch>(wide.data(), n, k, k, packed.data());
                kernels::pack_rows_bf16<Arch>(stored.data(), n, k, packed_bf16.data());
                kernels::gemm_f32<Arch>(m, n, k, a.data(), stride, packed.data(), expected.data(), n,
                                        kernels::StoreOnly{});
                kernels::gemm_bf16<Arch>(m, n, k, a.data(), stride, packed_bf16.data(), found.data(), n,
                                         kernels::StoreOnly{});
                CAPTURE(m);
                CAPTURE(n);
                CAPTURE(k);
                REQUIRE(same_bits(found, expected));
            }
}

namespace {

/// Weights, and rows rounded to bf16, packed for the dot product.
struct Rounded {
    std::size_t n, k;
    std::vector<std::uint16_t> stored, packed;
    Rounded(Random& random, std::size_t outputs, std::size_t inputs)
        : n(outputs), k(inputs), stored(n * k), packed(kernels::packed_size<Arch>(n, k)) {
        for (auto& w : stored) w = ranklet::f32_to_bf16(random.between(-2.0f, 2.0f));
        kernels::pack_rows_bf16<Arch>(stored.data(), n, k, packed.data());
    }
    template <class Dot>
    std::vector<float> apply(const std::vector<float>& a, std::size_t m) const {
        std::vector<std::uint16_t> rounded(m * k);
        kernels::round_to_bf16<Arch>(a.data(), m * k, rounded.data());
        std::vector<float> c(m * n);
        kernels::gemm_bf16_dot<Arch, Dot>(m, n, k, rounded.data(), k, packed.data(), c.data(), n, kernels::StoreOnly{});
        return c;
    }
    float input(float a) const { return ranklet::bf16_to_f32(ranklet::f32_to_bf16(a)); }
    float weight(std::size_t j, std::size_t i) const { return ranklet::bf16_to_f32(stored[j * k + i]); }
    /// One output: blocks of 128 values of k added in order; in a block each pair's second product comes first.
    float chain(const float* a, std::size_t j) const {
        float total = 0.0f;
        for (std::size_t first = 0; first < k; first += 128) {
            float block = 0.0f;
            for (std::size_t i = first; i < k && i < first + 128; i += 2) {
                block = std::fma(input(a[i + 1]), weight(j, i + 1), block);
                block = std::fma(input(a[i]), weight(j, i), block);
            }
            total = first == 0 ? block : total + block;
        }
        return total;
    }
};

using Emulated = kernels::EmulatedDotBf16<Arch>;
using InUse = kernels::DotBf16<Arch>;

}  // namespace

TEST_CASE("a bf16 dot product's outputs are those of their row alone, for every number of rows, columns and of k") {
    Random random(62);
    for (const std::size_t k : {2u, 6u, 62u, 128u, 130u, 256u, 300u})
        for (const std::size_t n : {1u, 37u, 64u, 130u}) {
            const Rounded product(random, n, k);
            const std::vector<float> a = random.row(40 * k);
            std::vector<float> expected(40 * n);
            double worst = 0.0;
            for (std::size_t r = 0; r < 40; ++r)
                for (std::size_t j = 0; j < n; ++j) {
                    expected[r * n + j] = product.chain(a.data() + r * k, j);
                    double exact = 0.0;
                    for (std::size_t i = 0; i < k; ++i)
                        exact += static_cast<double>(product.input(a[r * k + i])) *
                                 static_cast<double>(product.weight(j, i));
                    worst = std::max(worst, std::abs(static_cast<double>(expected[r * n + j]) - exact));
                }
            CAPTURE(k);
            CAPTURE(n);
            CHECK(worst < 1e-6 * static_cast<double>(k));  // f32 roundings of the sum alone: inputs are rounded in both
            for (std::size_t m = 1; m <= 40; ++m) {
                const std::vector<float> found = product.apply<Emulated>(a, m);
                CAPTURE(m);
                if (has_fma) {
                    REQUIRE(same_bits(found, std::span(expected).first(m * n)));
                } else {
                    for (std::size_t i = 0; i < m * n; ++i)
                        REQUIRE(std::abs(found[i] - expected[i]) < 1e-6f * static_cast<float>(k));
                }
                REQUIRE(same_bits(product.apply<InUse>(a, m), found));
            }
        }
}

TEST_CASE("a bf16 dot product keeps NaN and infinity in the rows that have them, and out of the others") {
    Random random(63);
    const std::size_t m = 17, n = 35, k = 132;
    const Rounded product(random, n, k);
    std::vector<float> a = random.row(m * k);
    const std::vector<float> before = product.apply<InUse>(a, m);
    a[3 * k + 131] = quiet_nan;
    a[7 * k] = std::bit_cast<float>(0x7F800001u);  // a NaN that is in its lower half alone
    a[11 * k + 64] = -infinity;
    a[12 * k + 5] = 3.4e38f;  // rounds to infinity
    const std::vector<float> after = product.apply<InUse>(a, m);
    for (std::size_t r = 0; r < m; ++r)
        for (std::size_t j = 0; j < n; ++j) {
            const float value = after[r * n + j];
            if (r == 3 || r == 7)
                REQUIRE(std::isnan(value));
            else if (r == 11 || r == 12)
                REQUIRE_FALSE(std::isfinite(value));
            else
                REQUIRE(bits(value) == bits(before[r * n + j]));
        }
}
