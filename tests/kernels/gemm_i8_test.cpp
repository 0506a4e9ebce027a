// The 8-bit matrix product: exact integers, whatever the shape, and quantisation to the nearest step.
#include "ranklet/kernels/gemm_i8.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <utility>
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

namespace {

/// quantize_row_with_zero in scalar code, in the same order.
struct ScalarRow {
    std::vector<int> q;
    kernels::RowMap map;

    ScalarRow(const std::vector<float>& x, const std::vector<float>& factor) {
        std::vector<float> values = x;
        float low = 0.0f, high = 0.0f;
        for (std::size_t i = 0; i < x.size(); ++i) {
            if (!factor.empty()) values[i] *= factor[i];
            low = std::min(low, values[i]);
            high = std::max(high, values[i]);
        }
        const float range = high - low, inverse = range < 1e-36f ? 0.0f : 253.0f / range;
        const float sum = high + low, zero = std::nearbyint(0.5f * sum * inverse);
        map = {range / 253.0f, range / 253.0f * zero};
        // As the kernel does: rounded once with fused multiply-add, else after the product, then after the sum.
        for (const float value : values) {
            const volatile float product = value * inverse;
            const double exact = has_fma ? static_cast<double>(value) * static_cast<double>(inverse) : product;
            const double moved = exact - static_cast<double>(zero);
            q.push_back(
                static_cast<int>(has_fma ? std::nearbyint(moved)
                                         : static_cast<double>(static_cast<float>(moved + 12582912.0)) - 12582912.0));
        }
    }
};

}  // namespace

TEST_CASE("a row is quantised with a zero point as scalar code does it, to the bit; zero stays zero") {
    Random random(91);
    for (const std::size_t k : {1u, 3u, 15u, 16u, 17u, 100u, 384u})
        for (const auto& [low, high] : std::initializer_list<std::pair<float, float>>{
                 {-3.0f, 3.0f}, {-0.17f, 6.0f}, {1.0f, 2.0f}, {-5.0f, -4.0f}, {-1e-20f, 1e-21f}, {-1e30f, 1e35f}})
            for (const bool with_factor : {false, true}) {
                std::vector<float> x = random.row(k, low, high);
                x[random.below(k)] = 0.0f;
                const std::vector<float> factor = with_factor ? random.row(k, 0.1f, 4.0f) : std::vector<float>();
                std::vector<typename Mac::Input> q(kernels::i8_row_size<Arch>(k));
                const auto map =
                    kernels::quantize_row_with_zero<Arch>(x.data(), k, with_factor ? factor.data() : nullptr, q.data());
                const ScalarRow expected(x, factor);
                CAPTURE(k);
                CAPTURE(low);
                CHECK(bits(map.scale) == bits(expected.map.scale));
                CHECK(bits(map.middle) == bits(expected.map.middle));
                std::size_t wrong = 0;
                for (std::size_t i = 0; i < q.size(); ++i) wrong += stored(q[i]) != (i < k ? expected.q[i] : 0);
                CHECK(wrong == 0);
                for (std::size_t i = 0; i < k; ++i) {
                    const float value = with_factor ? x[i] * factor[i] : x[i];
                    CHECK(std::abs(stored(q[i])) <= 127);
                    const double back = static_cast<double>(stored(q[i])) * static_cast<double>(map.scale) +
                                        static_cast<double>(map.middle);
                    CHECK(std::abs(back - static_cast<double>(value)) <= 0.501 * static_cast<double>(map.scale));
                    if (value == 0.0f) CHECK(static_cast<float>(stored(q[i])) * map.scale == -map.middle);
                }
            }
}

TEST_CASE("with a zero point, one-sided rows use all steps, and rows of zeros and near it are zero") {
    for (const float side : {1.0f, -1.0f}) {
        std::vector<float> x(40);
        for (std::size_t i = 0; i < x.size(); ++i) x[i] = side * static_cast<float>(i);
        std::vector<typename Mac::Input> q(kernels::i8_row_size<Arch>(x.size()));
        const auto map = kernels::quantize_row_with_zero<Arch>(x.data(), x.size(), nullptr, q.data());
        CHECK(map.scale == 39.0f / 253.0f);
        CHECK(std::abs(stored(q[39]) - stored(q[0])) == 253);
    }
    for (const float tiny : {0.0f, -0.0f, 1e-37f, -1e-40f}) {
        const std::vector<float> x(20, tiny);
        std::vector<typename Mac::Input> q(kernels::i8_row_size<Arch>(x.size()));
        const auto map = kernels::quantize_row_with_zero<Arch>(x.data(), x.size(), nullptr, q.data());
        CHECK(map.scale <= 1e-37f);
        CHECK(map.middle == 0.0f);
        for (const auto v : q) CHECK(stored(v) == 0);
    }
}

TEST_CASE("with a zero point too a NaN of either sign, or an infinity, is not a wrong number") {
    for (const std::size_t k : {1u, 15u, 16u, 17u, 100u})
        for (std::size_t at = 0; at < k; ++at)
            for (const float bad : {quiet_nan, -quiet_nan, infinity, -infinity})
                for (const float other : {2.0f, -2.0f}) {
                    std::vector<float> x(k, other);
                    x[at] = bad;
                    std::vector<typename Mac::Input> q(kernels::i8_row_size<Arch>(k));
                    const auto map = kernels::quantize_row_with_zero<Arch>(x.data(), k, nullptr, q.data());
                    CHECK(std::isnan(static_cast<float>(stored(q[0])) * map.scale + map.middle));
                }
}

TEST_CASE("products of inputs with a zero point, and what follows them, are those of scalar code to the bit") {
    Random random(92);
    for (const std::size_t m : {1u, 5u, 14u, 31u})
        for (const std::size_t n : {1u, 16u, 33u, 130u})
            for (const std::size_t k : {1u, 5u, 64u, 257u})
                for (const int with : {0, 1, 2, 3}) {  // bias, residual
                    const std::vector<float> x = random.row(m * k, -0.3f, 2.0f), factor = random.row(k, 0.5f, 2.0f);
                    const std::vector<float> bias = random.row(n), residual = random.row(m * n);
                    std::vector<float> scale = random.row(n, 0.01f, 0.02f), sums(n), c(m * n);
                    std::vector<std::int8_t> w(n * k), packed(kernels::i8_packed_size<Arch>(n, k));
                    for (auto& v : w) v = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
                    for (std::size_t j = 0; j < n; ++j) {
                        std::int32_t sum = 0;
                        for (std::size_t i = 0; i < k; ++i) sum += w[j * k + i];
                        sums[j] = scale[j] * static_cast<float>(sum);
                    }
                    std::vector<std::int32_t> start(kernels::padded_columns<Arch>(n));
                    kernels::pack_rows_i8<Arch>(w.data(), n, k, packed.data(), start.data());
                    const std::size_t row = kernels::i8_row_size<Arch>(k);
                    std::vector<typename Mac::Input> q(m * row);
                    std::vector<float> row_scale(m), middle(m);
                    for (std::size_t r = 0; r < m; ++r) {
                        const auto map = kernels::quantize_row_with_zero<Arch>(x.data() + r * k, k, factor.data(),
                                                                               q.data() + r * row);
                        row_scale[r] = map.scale;
                        middle[r] = map.middle;
                    }
                    const bool with_bias = (with & 1) != 0, with_residual = (with & 2) != 0;
                    kernels::gemm_i8<Arch>(
                        m, n, k, q.data(), packed.data(), start.data(), c.data(), n,
                        kernels::BiasActivation<Arch>{with_bias ? bias.data() : nullptr, ranklet::Activation::relu,
                                                      with_residual ? residual.data() : nullptr, n, scale.data(),
                                                      row_scale.data(), sums.data(), middle.data()});
                    std::size_t wrong = 0;
                    for (std::size_t r = 0; r < m; ++r)
                        for (std::size_t j = 0; j < n; ++j) {
                            std::int32_t sum = 0;
                            double exact = 0.0;
                            for (std::size_t i = 0; i < k; ++i) {
                                sum += stored(q[r * row + i]) * w[j * k + i];
                                exact += static_cast<double>(x[r * k + i]) * static_cast<double>(factor[i]) *
                                         static_cast<double>(w[j * k + i]) * static_cast<double>(scale[j]);
                            }
                            const float start_at = with_bias ? bias[j] : 0.0f;
                            float y;
                            if constexpr (has_fma) {
                                y = std::fma(static_cast<float>(sum) * scale[j], row_scale[r],
                                             std::fma(middle[r], sums[j], start_at));
                            } else {
                                const volatile float more = middle[r] * sums[j];
                                const volatile float first = more + start_at,
                                                     scaled = static_cast<float>(sum) * scale[j];
                                const volatile float product = scaled * row_scale[r];
                                y = product + first;
                            }
                            if (with_residual) y = y + residual[r * n + j];
                            wrong += c[r * n + j] != std::max(y, 0.0f);
                            exact += static_cast<double>(start_at);
                            if (with_residual) exact += static_cast<double>(residual[r * n + j]);
                            const double most = 0.51 * static_cast<double>(row_scale[r]) *
                                                    static_cast<double>(scale[j]) * 127.0 * static_cast<double>(k) +
                                                1e-4 * (1.0 + std::abs(exact));
                            wrong += std::abs(static_cast<double>(c[r * n + j]) - std::max(exact, 0.0)) > most;
                        }
                    CAPTURE(m);
                    CAPTURE(n);
                    CAPTURE(k);
                    REQUIRE(wrong == 0);
                }
}
