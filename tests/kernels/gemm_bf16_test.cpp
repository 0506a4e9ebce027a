// The product with bf16 weights: the bits of the f32 product with the same weights widened, for every shape.
#include "ranklet/kernels/gemm_bf16.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "kernels/reference.hpp"
#include "ranklet/core/half.hpp"

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
