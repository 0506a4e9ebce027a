// Catalog scans: every score has the bits of the row's own dot product, for any number of rows and users.
#include "ranklet/kernels/scan.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "kernels/reference.hpp"
#include "ranklet/core/half.hpp"
#include "ranklet/kernels/elementwise.hpp"
#include "ranklet/kernels/reduce.hpp"
#include "ranklet/kernels/scan_i8.hpp"
#include "ranklet/kernels/scan_many.hpp"

namespace {

using namespace ranklet_test;
namespace kernels = ranklet::kernels;
using Dot = kernels::DotI8<Arch>;

}  // namespace

TEST_CASE("scores of f32 and f16 rows have dot's bits, for every number of rows and users and whatever lies between") {
    Random random(41);
    for (const std::size_t n : {1u, 7u, 15u, 16u, 17u, 48u, 100u})
        for (const std::size_t rows : {0u, 1u, 3u, 4u, 7u, 16u, 21u, 29u})
            for (const std::size_t users : {1u, 2u, 4u, 5u, 9u, 22u, 32u, 39u, 75u}) {
                CAPTURE(n);
                CAPTURE(rows);
                CAPTURE(users);
                const std::size_t stride = n + 3, out_stride = rows + 1;
                std::vector<float> wide(rows * stride, quiet_nan), rounded(rows * stride, quiet_nan);
                std::vector<std::uint16_t> half(rows * stride, 0x7E00);
                for (std::size_t r = 0; r < rows; ++r)
                    for (std::size_t i = 0; i < n; ++i) {
                        float& x = wide[r * stride + i] = random.between(-2.0f, 2.0f);
                        if (random.below(20) == 0) x *= 1e-6f;  // subnormal in f16
                        if (r == 2) x = -1e-30f;                // products that round to -0
                        half[r * stride + i] = ranklet::f32_to_f16(x);
                        rounded[r * stride + i] = ranklet::f16_to_f32(half[r * stride + i]);
                    }
                std::vector<float> user = random.row(users * n);
                if (users > 1) std::fill_n(user.data() + n, n, 1e-30f);
                std::vector<float> packed(kernels::packed_users_size<Arch>(users, n), quiet_nan);
                kernels::pack_users<Arch>(user.data(), users, n, packed.data());
                std::vector<float> widened(kernels::scan_many_wide_size<Arch>(n), quiet_nan);
                const auto expected = [&](const std::vector<float>& row) {
                    std::vector<float> scores(users * out_stride, -7.0f);
                    for (std::size_t u = 0; u < users; ++u)
                        for (std::size_t r = 0; r < rows; ++r)
                            scores[u * out_stride + r] =
                                kernels::dot<Arch>(row.data() + r * stride, user.data() + u * n, n);
                    return scores;
                };
                std::vector<float> out(users * out_stride, -7.0f);
                kernels::scan_rows<Arch, kernels::RowF32<Arch>>(wide.data(), rows, stride, user.data(), users, n,
                                                                out.data(), out_stride);
                REQUIRE(same_bits(out, expected(wide)));
                out.assign(out.size(), -7.0f);
                kernels::scan_many<Arch, kernels::RowF32<Arch>>(wide.data(), rows, stride, user.data(), packed.data(),
                                                                users, n, nullptr, out.data(), out_stride);
                REQUIRE(same_bits(out, expected(wide)));
                out.assign(out.size(), -7.0f);
                kernels::scan_rows<Arch, kernels::RowF16<Arch>>(half.data(), rows, stride, user.data(), users, n,
                                                                out.data(), out_stride);
                REQUIRE(same_bits(out, expected(rounded)));
                out.assign(out.size(), -7.0f);
                kernels::scan_many<Arch, kernels::RowF16<Arch>>(half.data(), rows, stride, user.data(), packed.data(),
                                                                users, n, widened.data(), out.data(), out_stride);
                REQUIRE(same_bits(out, expected(rounded)));
            }
}

TEST_CASE("every dot product of dot_rows has dot's bits, however many rows and whatever lies between them") {
    Random random(2);
    for (std::size_t count = 0; count <= 11; ++count)
        for (const std::size_t n : {1u, 7u, 15u, 16u, 17u, 48u, 100u}) {
            const std::size_t stride = n + count % 3;
            std::vector<float> rows(count * stride, quiet_nan), out(count), each(count);
            const std::vector<float> x = random.row(n);
            for (std::size_t r = 0; r < count; ++r) {
                for (std::size_t i = 0; i < n; ++i) rows[r * stride + i] = random.between(-1.0f, 1.0f);
                each[r] = kernels::dot<Arch>(rows.data() + r * stride, x.data(), n);
            }
            kernels::dot_rows<Arch>(rows.data(), count, stride, x.data(), n, out.data());
            REQUIRE(same_bits(out, each));
        }
}

TEST_CASE("scores of 8-bit rows are exact integers times the scales, at the ends of the range too") {
    Random random(42);
    for (const std::size_t n : {1u, 7u, 63u, 64u, 65u, 200u})
        for (const std::size_t rows : {0u, 1u, 3u, 16u, 70u})
            for (const std::size_t users : {1u, 2u, 4u, 9u, 22u, 32u, 39u, 75u}) {
                const std::size_t stride = kernels::scan_i8_stride(n);
                std::vector<std::int8_t> row(rows * stride);
                std::vector<float> scale(rows), user_scale(kernels::padded_columns<Arch>(users)), out(users * rows);
                std::vector<std::int32_t> sum(rows);
                for (std::size_t r = 0; r < rows; ++r) {
                    scale[r] = random.between(0.001f, 0.1f);
                    for (std::size_t i = 0; i < n; ++i) {
                        const auto draw = random.below(6);
                        const int value = draw == 0   ? 127
                                          : draw == 1 ? -127
                                                      : static_cast<int>(random.below(255)) - 127;
                        row[r * stride + i] = static_cast<std::int8_t>(value);
                        sum[r] += value;
                    }
                }
                std::vector<typename Dot::Input> user(users * stride);
                for (std::size_t u = 0; u < users; ++u)
                    user_scale[u] = kernels::quantize_user<Arch>(random.row(n).data(), n, user.data() + u * stride);
                kernels::scan_rows_i8<Arch>({row.data(), scale.data(), sum.data()}, rows, user.data(),
                                            user_scale.data(), users, n, out.data(), rows);
                std::vector<typename Dot::Input> packed(kernels::packed_users_i8_size<Arch>(users, n), 77);
                kernels::pack_users_i8<Arch>(user.data(), users, n, packed.data());
                std::vector<float> many(out.size());
                kernels::scan_many_i8<Arch>({row.data(), scale.data(), sum.data()}, rows, user.data(), packed.data(),
                                            user_scale.data(), users, n, many.data(), rows);
                REQUIRE(same_bits(many, out));
                std::size_t wrong = 0;
                for (std::size_t u = 0; u < users; ++u)
                    for (std::size_t r = 0; r < rows; ++r) {
                        double exact = 0.0;  // not an int32: g++ 12 makes the loop a wrong dot product with VNNI
                        for (std::size_t i = 0; i < n; ++i)
                            exact += (static_cast<double>(user[u * stride + i]) - Dot::offset) * row[r * stride + i];
                        const float score = static_cast<float>(exact) * scale[r] * user_scale[u];
                        wrong += bits(out[u * rows + r]) != bits(score);
                    }
                CAPTURE(n);
                CAPTURE(rows);
                CAPTURE(users);
                REQUIRE(wrong == 0);
            }
}

TEST_CASE("not_less_than finds what a plain loop finds, NaN included") {
    Random random(43);
    for (std::size_t n = 0; n < 70; ++n) {
        std::vector<float> x = random.row(n);
        for (float& v : x)
            if (random.below(9) == 0) v = random.below(2) == 0 ? quiet_nan : 0.25f;
        std::vector<std::uint32_t> places(n), expected;
        for (const float threshold : {-infinity, -2.0f, 0.25f, 2.0f, infinity}) {
            expected.clear();
            for (std::size_t i = 0; i < n; ++i)
                if (!(x[i] < threshold)) expected.push_back(static_cast<std::uint32_t>(i));
            places.resize(n);
            places.resize(kernels::not_less_than<Arch>(x.data(), n, threshold, places.data()));
            REQUIRE(places == expected);
        }
    }
}

TEST_CASE("sums_not_less_than finds what a plain loop finds and writes the sums that it returns") {
    Random random(44);
    for (std::size_t n = 0; n < 70; ++n) {
        std::vector<float> x = random.row(n);
        const std::vector<float> a = random.row(n, 0.0f, 1.0f), b = random.row(n, 0.0f, 1.0f);
        for (float& v : x)
            if (random.below(9) == 0) v = random.below(2) == 0 ? quiet_nan : infinity;
        std::vector<float> each(n);
        kernels::multiply_add<Arch>(0.3f, a.data(), x.data(), each.data(), n);
        kernels::multiply_add<Arch>(0.7f, b.data(), each.data(), each.data(), n);
        for (const float threshold : {-infinity, -2.0f, 0.5f, 0.9f, infinity}) {
            std::vector<std::uint32_t> places(n), expected;
            for (std::size_t i = 0; i < n; ++i)
                if (!(each[i] < threshold)) expected.push_back(static_cast<std::uint32_t>(i));
            std::vector<float> upper(n + 1, -7.0f);
            places.resize(kernels::sums_not_less_than<Arch>(x.data(), 0.3f, a.data(), 0.7f, b.data(), n, threshold,
                                                            upper.data(), places.data()));
            REQUIRE(places == expected);
            for (const std::uint32_t i : places) REQUIRE(bits(upper[i]) == bits(each[i]));
            REQUIRE(upper[n] == -7.0f);
        }
    }
}
