// The packed matrix product against plain loops: values, bits, and what a row's bits may depend on.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/reference.hpp"
#include "ranklet/kernels/gemm_f32.hpp"

namespace {

using namespace ranklet_test;
namespace kernels = ranklet::kernels;

constexpr float untouched = 12345.0f;

ranklet::AlignedBuffer<float> packed(const std::vector<float>& w, std::size_t n, std::size_t k, std::size_t stride) {
    auto buffer = ranklet::AlignedBuffer<float>::zeroed(kernels::packed_size<Arch>(n, k));
    REQUIRE(buffer.ok());
    kernels::pack_rows<Arch>(w.data(), n, k, stride, buffer->data());
    return std::move(*buffer);
}

}  // namespace

TEST_CASE(
    "every product is a sum of chains of 128 fused multiply-adds in the order of k, whatever the shape and the "
    "strides") {
    Random random(1);
    for (const std::size_t m : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 11u, 12u, 13u, 14u, 15u, 23u, 28u, 29u, 71u})
        for (const std::size_t n : {1u, 2u, 7u, 8u, 15u, 16u, 17u, 31u, 32u, 33u, 64u, 65u, 97u})
            for (const std::size_t k : {1u, 2u, 3u, 5u, 17u, 61u, 127u, 128u, 129u, 300u}) {
                const std::size_t a_stride = k + m % 3, w_stride = k + n % 4, c_stride = n + k % 5;
                const std::vector<float> a = random.row(m * a_stride), w = random.row(n * w_stride);
                std::vector<float> c(m * c_stride, untouched);
                kernels::gemm_f32<Arch>(m, n, k, a.data(), a_stride, packed(w, n, k, w_stride).data(), c.data(),
                                        c_stride, kernels::StoreOnly{});
                std::size_t wrong_bits = 0, wrong_values = 0, written_outside = 0;
                for (std::size_t i = 0; i < m; ++i)
                    for (std::size_t j = 0; j < c_stride; ++j) {
                        const float found = c[i * c_stride + j];
                        if (j >= n) {
                            written_outside += found != untouched;
                            continue;
                        }
                        const float *row = a.data() + i * a_stride, *column = w.data() + j * w_stride;
                        double expected = 0.0;
                        for (std::size_t q = 0; q < k; ++q)
                            expected += static_cast<double>(row[q]) * static_cast<double>(column[q]);
                        wrong_values +=
                            !(std::abs(static_cast<double>(found) - expected) <= 1e-6 * static_cast<double>(k));
                        if (has_fma) wrong_bits += bits(found) != bits(fma_chain(row, column, k));
                    }
                CAPTURE(m);
                CAPTURE(n);
                CAPTURE(k);
                REQUIRE(wrong_values == 0);
                REQUIRE(wrong_bits == 0);
                REQUIRE(written_outside == 0);
            }
}

TEST_CASE("large products, of several row blocks or of weights that are streamed, have the same bits too") {
    Random random(2);
    struct Shape {
        std::size_t m, n, k;
    };
    std::vector<Shape> shapes;
    for (const std::size_t m : {18u * 14u - 1u, 18u * 14u + 1u, 300u, 523u}) shapes.push_back({m, 70, 290});
    // Slices of k, one after the other.
    for (const std::size_t m : {4u, 45u, 266u}) shapes.push_back({m, 70, 1500});
    // Weights that are streamed: tiles of either height ask for them ahead.
    for (const std::size_t m : {3u, 5u, 8u, 16u, 17u, 24u, 28u, 45u}) shapes.push_back({m, 1990, 300});
    for (const auto& [m, n, k] : shapes) {
        const std::vector<float> a = random.row(m * k), w = random.row(n * k);
        const auto weights = packed(w, n, k, k);
        std::vector<float> c(m * n), alone(n);
        kernels::gemm_f32<Arch>(m, n, k, a.data(), k, weights.data(), c.data(), n, kernels::StoreOnly{});
        for (std::size_t i = 0; i < m; ++i) {
            kernels::gemm_f32<Arch>(1, n, k, a.data() + i * k, k, weights.data(), alone.data(), n,
                                    kernels::StoreOnly{});
            REQUIRE(same_bits(alone, std::span(c).subspan(i * n, n)));
        }
    }
}

TEST_CASE("a row's bits do not depend on how many rows there are or where it stands") {
    Random random(3);
    const std::size_t n = 45, k = 137, most = 40;
    const std::vector<float> w = random.row(n * k), row = random.row(k), others = random.row(most * k, -100.0f, 100.0f);
    const auto weights = packed(w, n, k, k);
    std::vector<float> alone(n);
    kernels::gemm_f32<Arch>(1, n, k, row.data(), k, weights.data(), alone.data(), n, kernels::StoreOnly{});
    for (std::size_t m = 1; m <= most; ++m)
        for (std::size_t place = 0; place < m; ++place) {
            std::vector<float> a(others.begin(), others.begin() + static_cast<std::ptrdiff_t>(m * k)), c(m * n);
            std::copy(row.begin(), row.end(), a.begin() + static_cast<std::ptrdiff_t>(place * k));
            kernels::gemm_f32<Arch>(m, n, k, a.data(), k, weights.data(), c.data(), n, kernels::StoreOnly{});
            REQUIRE(same_bits(alone, std::span(c).subspan(place * n, n)));
        }
}

TEST_CASE("a column's bits do not depend on the other columns") {
    Random random(4);
    const std::size_t m = 17, k = 29, most = 70;
    const std::vector<float> a = random.row(m * k), w = random.row(most * k);
    std::vector<float> whole(m * most);
    kernels::gemm_f32<Arch>(m, most, k, a.data(), k, packed(w, most, k, k).data(), whole.data(), most,
                            kernels::StoreOnly{});
    for (std::size_t n = 1; n < most; ++n) {
        std::vector<float> c(m * n);
        kernels::gemm_f32<Arch>(m, n, k, a.data(), k, packed(w, n, k, k).data(), c.data(), n, kernels::StoreOnly{});
        for (std::size_t i = 0; i < m; ++i)
            REQUIRE(same_bits(std::span(c).subspan(i * n, n), std::span(whole).subspan(i * most, n)));
    }
}

TEST_CASE("a neighbour that is NaN or infinite stays in its own row and column") {
    const std::size_t m = 9, n = 20, k = 8;
    std::vector<float> a(m * k, 1.0f), w(n * k, 1.0f), c(m * n);
    a[4 * k + 3] = quiet_nan;
    w[7 * k + 2] = infinity;
    kernels::gemm_f32<Arch>(m, n, k, a.data(), k, packed(w, n, k, k).data(), c.data(), n, kernels::StoreOnly{});
    for (std::size_t i = 0; i < m; ++i)
        for (std::size_t j = 0; j < n; ++j) {
            if (i == 4)
                CHECK(std::isnan(c[i * n + j]));
            else
                CHECK(c[i * n + j] == (j == 7 ? infinity : 8.0f));
        }
}

TEST_CASE("no rows or no columns write nothing") {
    std::vector<float> c(6, untouched);
    const std::vector<float> w(32, 1.0f);
    kernels::gemm_f32<Arch>(0, 4, 8, w.data(), 8, packed(w, 4, 8, 8).data(), c.data(), 4, kernels::StoreOnly{});
    kernels::gemm_f32<Arch>(4, 0, 8, w.data(), 8, w.data(), c.data(), 1, kernels::StoreOnly{});
    CHECK(c == std::vector<float>(6, untouched));
}

TEST_CASE("packing lays panels out as documented, the same from rows and from columns, and zero beyond the end") {
    Random random(5);
    constexpr std::size_t panel = kernels::GemmTile<Arch>::panel;
    for (const std::size_t n : {std::size_t{1}, panel - 1, panel, panel + 1, 2 * panel, 2 * panel + 3})
        for (const std::size_t k : {std::size_t{1}, std::size_t{2}, std::size_t{19}}) {
            const std::size_t stride = k + 2, transposed_stride = n + 3;
            const std::vector<float> w = random.row(n * stride);
            std::vector<float> transposed(k * transposed_stride, quiet_nan);
            for (std::size_t j = 0; j < n; ++j)
                for (std::size_t i = 0; i < k; ++i) transposed[i * transposed_stride + j] = w[j * stride + i];
            const std::size_t size = kernels::packed_size<Arch>(n, k);
            REQUIRE(size == (n + panel - 1) / panel * panel * k);
            std::vector<float> rows(size, quiet_nan), columns(size, quiet_nan);
            kernels::pack_rows<Arch>(w.data(), n, k, stride, rows.data());
            kernels::pack_columns<Arch>(transposed.data(), n, k, transposed_stride, columns.data());
            CHECK(same_bits(rows, columns));
            for (std::size_t p = 0; p * panel < n; ++p)
                for (std::size_t i = 0; i < k; ++i)
                    for (std::size_t j = 0; j < panel; ++j) {
                        const std::size_t column = p * panel + j;
                        REQUIRE(rows[(p * k + i) * panel + j] == (column < n ? w[column * stride + i] : 0.0f));
                    }
        }
}

TEST_CASE("a matrix packed in parts, wherever they are cut, is the whole one's panels, every place written") {
    Random random(51);
    constexpr std::size_t panel = kernels::GemmTile<Arch>::panel;
    for (const std::size_t n : {panel, panel + 5, 3 * panel + 1})
        for (const std::size_t k : {std::size_t{1}, std::size_t{6}, std::size_t{16}}) {
            const std::vector<float> w = random.row(n * k);
            const std::size_t size = kernels::packed_size<Arch>(n, k);
            std::vector<float> whole(size, quiet_nan);
            kernels::pack_rows<Arch>(w.data(), n, k, k, whole.data());
            for (std::size_t cut = 0; cut <= n; ++cut) {
                const std::size_t next_cut = cut + (n - cut) / 3;
                std::vector<float> parts(size, quiet_nan);
                kernels::pack_rows<Arch>(w.data(), cut, k, k, parts.data());
                kernels::pack_rows<Arch>(w.data() + cut * k, next_cut - cut, k, k, parts.data(), cut);
                kernels::pack_rows<Arch>(w.data() + next_cut * k, n - next_cut, k, k, parts.data(), next_cut);
                REQUIRE(same_bits(parts, whole));
            }
        }
}

TEST_CASE("bias, residual and activation of the epilogue equal the same steps one after the other, bit for bit") {
    using ranklet::Activation;
    Random random(6);
    for (const std::size_t m : {1u, 5u, 14u, 31u})
        for (const std::size_t n : {3u, 32u, 67u}) {
            const std::size_t k = 11, residual_stride = n + 2;
            const std::vector<float> a = random.row(m * k), w = random.row(n * k), bias = random.row(n),
                                     residual = random.row(m * residual_stride);
            const auto weights = packed(w, n, k, k);
            for (const bool with_bias : {false, true})
                for (const bool with_residual : {false, true})
                    for (const Activation activation :
                         {Activation::identity, Activation::gelu, Activation::relu, Activation::tanh}) {
                        std::vector<float> fused(m * n), steps(m * n);
                        kernels::gemm_f32<Arch>(
                            m, n, k, a.data(), k, weights.data(), fused.data(), n,
                            kernels::BiasActivation<Arch>{with_bias ? bias.data() : nullptr, activation,
                                                          with_residual ? residual.data() : nullptr, residual_stride});
                        kernels::gemm_f32<Arch>(m, n, k, a.data(), k, weights.data(), steps.data(), n,
                                                kernels::StoreOnly{});
                        for (std::size_t i = 0; i < m; ++i)
                            for (std::size_t j = 0; j < n; ++j) {
                                float& value = steps[i * n + j];
                                if (with_bias) value += bias[j];
                                if (with_residual) value += residual[i * residual_stride + j];
                                kernels::activate<Arch>(activation, &value, 1);
                            }
                        REQUIRE(same_bits(fused, steps));
                    }
        }
}
