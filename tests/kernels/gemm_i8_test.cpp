// The 8-bit matrix product: exact integers, whatever the shape, and quantisation to the nearest step.
#include "ranklet/kernels/gemm_i8.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "kernels/reference.hpp"

namespace {

using namespace ranklet_test;
namespace kernels = ranklet::kernels;
using Mac = kernels::MacI8<Arch>;

int stored(typename Mac::Input q) { return static_cast<int>(q) - Mac::offset; }

}  // namespace

TEST_CASE("8-bit products are exact integers for every shape, at the ends of the range too") {
    Random random(21);
    for (const std::size_t m : {1u, 2u, 3u, 4u, 5u, 13u, 14u, 15u, 31u})
        for (const std::size_t n : {1u, 7u, 16u, 31u, 32u, 33u, 65u, 130u})
            for (const std::size_t k : {1u, 2u, 3u, 4u, 5u, 31u, 64u, 257u}) {
                std::vector<std::int8_t> w(n * k);
                for (auto& v : w) {
                    const auto draw = random.below(6);
                    v = static_cast<std::int8_t>(draw == 0   ? 127
                                                 : draw == 1 ? -127
                                                             : static_cast<int>(random.below(255)) - 127);
                }
                std::vector<float> x(m * k);
                for (std::size_t i = 0; i < x.size(); ++i)
                    x[i] = i % k == 0 ? (i % 2 == 0 ? 127.0f : -127.0f)
                                      : static_cast<float>(static_cast<int>(random.below(255)) - 127);
                const std::size_t row = kernels::i8_row_size<Arch>(k);
                std::vector<typename Mac::Input> q(m * row);
                for (std::size_t r = 0; r < m; ++r)
                    REQUIRE(kernels::quantize_row<Arch>(x.data() + r * k, k, q.data() + r * row) == 1.0f);
                std::vector<std::int8_t> packed(kernels::i8_packed_size<Arch>(n, k));
                std::vector<std::int32_t> start(kernels::padded_columns<Arch>(n));
                kernels::pack_rows_i8<Arch>(w.data(), n, k, packed.data(), start.data());
                std::vector<float> c(m * n);
                kernels::gemm_i8<Arch>(m, n, k, q.data(), packed.data(), start.data(), c.data(), n,
                                       kernels::StoreOnly{});
                std::size_t wrong = 0;
                for (std::size_t r = 0; r < m; ++r)
                    for (std::size_t j = 0; j < n; ++j) {
                        std::int32_t sum = 0;
                        for (std::size_t i = 0; i < k; ++i)
                            sum += static_cast<std::int32_t>(x[r * k + i]) * w[j * k + i];
                        wrong += c[r * n + j] != static_cast<float>(sum);
                    }
                CAPTURE(m);
                CAPTURE(n);
                CAPTURE(k);
                REQUIRE(wrong == 0);
            }
}

TEST_CASE("8-bit weights lie in panels as documented, zero beyond the end, the same when packed in parts") {
    Random random(52);
    constexpr std::size_t panel = Mac::Tile::panel, step = Mac::step;
    for (const std::size_t n : {std::size_t{1}, panel, panel + 5, 2 * panel + 1})
        for (const std::size_t k : {1u, 3u, 4u, 7u, 64u}) {
            std::vector<std::int8_t> w(n * k);
            for (auto& v : w) v = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
            const std::size_t row = kernels::i8_row_size<Arch>(k), padded = kernels::padded_columns<Arch>(n);
            std::vector<std::int8_t> whole(kernels::i8_packed_size<Arch>(n, k), std::int8_t{99});
            std::vector<std::int32_t> start(padded, 99);
            kernels::pack_rows_i8<Arch>(w.data(), n, k, whole.data(), start.data());
            for (std::size_t j = 0; j < padded; ++j) {
                std::int32_t sum = 0;
                for (std::size_t i = 0; i < row; ++i) {
                    const int expected = j < n && i < k ? w[j * k + i] : 0;
                    const std::size_t place = j / panel * panel * row + (i / step * panel + j % panel) * step;
                    REQUIRE(whole[place + i % step] == expected);
                    sum += expected;
                }
                REQUIRE(start[j] == -Mac::offset * sum);
            }
            for (std::size_t cut = 0; cut <= n; ++cut) {
                std::vector<std::int8_t> parts(whole.size(), std::int8_t{99});
                std::vector<std::int32_t> starts(padded, 99);
                kernels::pack_rows_i8<Arch>(w.data(), cut, k, parts.data(), starts.data());
                kernels::pack_rows_i8<Arch>(w.data() + cut * k, n - cut, k, parts.data(), starts.data(), cut);
                REQUIRE(parts == whole);
                REQUIRE(starts == start);
            }
        }
}

TEST_CASE("a row is quantised to the nearest multiple of its largest magnitude / 127; zeros stay zero") {
    Random random(22);
    for (const std::size_t k : {1u, 3u, 15u, 16u, 17u, 100u}) {
        const std::vector<float> x = random.row(k, -3.0f, 3.0f);
        std::vector<typename Mac::Input> q(kernels::i8_row_size<Arch>(k));
        const float scale = kernels::quantize_row<Arch>(x.data(), k, q.data());
        for (std::size_t i = 0; i < k; ++i) {
            CHECK(std::abs(stored(q[i])) <= 127);
            CHECK(std::abs(static_cast<float>(stored(q[i])) * scale - x[i]) <= 0.5001f * scale);
        }
        const std::vector<float> zero(k, 0.0f);
        CHECK(kernels::quantize_row<Arch>(zero.data(), k, q.data()) == 0.0f);
        for (const auto v : q) CHECK(stored(v) == 0);
    }
}

TEST_CASE("a row with a NaN anywhere has the scale NaN, so that its products are NaN and not a wrong number") {
    for (const std::size_t k : {1u, 15u, 16u, 17u, 100u})
        for (std::size_t at = 0; at < k; ++at) {
            std::vector<float> x(k, 2.0f);
            x[at] = quiet_nan;
            std::vector<typename Mac::Input> q(kernels::i8_row_size<Arch>(k));
            CHECK(std::isnan(kernels::quantize_row<Arch>(x.data(), k, q.data())));
        }
}
