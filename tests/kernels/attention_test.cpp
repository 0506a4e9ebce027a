// One head of attention against double precision, and against scalar code with the same bits.
#include "ranklet/kernels/attention.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/reference.hpp"

namespace {

using namespace ranklet_test;
namespace kernels = ranklet::kernels;

struct Head {
    std::size_t length, d, stride;
    std::vector<float> q, k, v;
    Head(Random& random, std::size_t length_, std::size_t d_, std::size_t extra)
        : length(length_),
          d(d_),
          stride(d_ + extra),
          q(random.row(length * stride, -2.0f, 2.0f)),
          k(random.row(length * stride, -2.0f, 2.0f)),
          v(random.row(length * stride)) {}

    /// [length, d]; everything else of the output's rows must stay as it was.
    std::vector<float> run(std::size_t out_extra = 0) const {
        ranklet::Scratch scratch;
        REQUIRE(scratch.reserve(kernels::attention_scratch_size<Arch>(length, d)).ok());
        const std::size_t out_stride = d + out_extra;
        std::vector<float> wide(length * out_stride, 99.0f), out;
        kernels::attention_head<Arch>(length, d, q.data(), k.data(), v.data(), stride, wide.data(), out_stride,
                                      {1.0f / std::sqrt(static_cast<float>(d)), nullptr}, scratch);
        for (std::size_t i = 0; i < length; ++i)
            for (std::size_t c = 0; c < out_stride; ++c) {
                if (c < d)
                    out.push_back(wide[i * out_stride + c]);
                else
                    REQUIRE(wide[i * out_stride + c] == 99.0f);
            }
        return out;
    }
};

}  // namespace

TEST_CASE("attention of one head agrees with double precision, shorter and longer than a block of queries") {
    Random random(1);
    for (const std::size_t length : {1u, 2u, 3u, 7u, 16u, 23u, 24u, 47u, 48u, 55u, 56u, 57u, 113u, 130u})
        for (const std::size_t d : {1u, 8u, 12u, 32u, 33u, 64u}) {
            const Head head(random, length, d, length % 3);
            const std::vector<float> out = head.run(2);
            double worst = 0.0;
            for (std::size_t i = 0; i < length; ++i) {
                std::vector<double> weights(length);
                double total = 0.0;
                for (std::size_t j = 0; j < length; ++j) {
                    double score = 0.0;
                    for (std::size_t c = 0; c < d; ++c)
                        score += static_cast<double>(head.q[i * head.stride + c]) *
                                 static_cast<double>(head.k[j * head.stride + c]);
                    total += weights[j] = std::exp(score / std::sqrt(static_cast<double>(d)));
                }
                for (std::size_t c = 0; c < d; ++c) {
                    double expected = 0.0;
                    for (std::size_t j = 0; j < length; ++j)
                        expected += weights[j] / total * static_cast<double>(head.v[j * head.stride + c]);
                    worst = std::max(worst, std::abs(static_cast<double>(out[i * d + c]) - expected));
                }
            }
            CAPTURE(length);
            CAPTURE(d);
            REQUIRE(worst <= 3e-6);
        }
}

TEST_CASE("a query's result has the same bits in any block, and those of the product and softmax kernels") {
    Random random(2);
    constexpr std::size_t block = kernels::attention_block<Arch>;
    for (const std::size_t length : {std::size_t{5}, block - 1, block, block + 1, 2 * block + 3, std::size_t{260}}) {
        const std::size_t d = 12;
        Head head(random, length, d, 0);
        const std::vector<float> out = head.run();
        if (has_fma)
            for (std::size_t i = 0; i < length; ++i) {
                std::vector<float> scores(length);
                for (std::size_t j = 0; j < length; ++j)
                    scores[j] = fma_chain(head.q.data() + i * d, head.k.data() + j * d, d);
                float inverse = 0.0f;
                kernels::softmax_numerators<Arch>(1, scores.data(), length, length, 1.0f / std::sqrt(12.0f), &inverse);
                for (std::size_t c = 0; c < d; ++c)
                    REQUIRE(bits(out[i * d + c]) ==
                            bits(fma_chain(scores.data(), head.v.data() + c, length, d) * inverse));
            }
        // The same queries in reverse order meet other blocks.
        const std::vector<float> q = head.q;
        for (std::size_t i = 0; i < length; ++i)
            std::copy_n(q.begin() + static_cast<std::ptrdiff_t>((length - 1 - i) * d), d,
                        head.q.begin() + static_cast<std::ptrdiff_t>(i * d));
        const std::vector<float> reversed = head.run();
        for (std::size_t i = 0; i < length; ++i)
            REQUIRE(same_bits(std::span(out).subspan(i * d, d), std::span(reversed).subspan((length - 1 - i) * d, d)));
    }
}

TEST_CASE("keys that nobody looks at are left out of the products, and the bits stay") {
    Random random(4);
    constexpr float infinity = std::numeric_limits<float>::infinity();
    constexpr std::size_t all = kernels::ScoreMap<float>::all;
    const std::size_t d = 12;
    for (const std::size_t length : {1u, 7u, 130u, 257u, 600u})
        for (const auto& [before, behind] : {std::pair<std::size_t, std::size_t>{all, 0}, {3, 3}, {64, 64}, {200, 0}, {0, 0}}) {
            CAPTURE(length);
            CAPTURE(before);
            const Head head(random, length, d, 0);
            std::vector<float> bias(2 * length - 1);  // of key - query from -(length - 1)
            for (std::size_t i = 0; i < bias.size(); ++i) {
                const std::size_t away = i < length - 1 ? length - 1 - i : i - (length - 1);
                bias[i] = away > (i < length - 1 ? before : behind) ? -infinity : 0.01f * static_cast<float>(away);
            }
            kernels::ScoreMap<float> map{0.3f, bias.data() + length - 1};
            std::vector<float> outs[2];
            for (std::vector<float>& out : outs) {
                ranklet::Scratch scratch;
                REQUIRE(scratch.reserve(kernels::attention_scratch_size<Arch>(length, d)).ok());
                out.assign(length * d, 99.0f);
                kernels::attention_head<Arch>(length, d, head.q.data(), head.k.data(), head.v.data(), d, out.data(), d,
                                              map, scratch);
                map.before = before;
                map.behind = behind;
            }
            REQUIRE(same_bits(outs[0], outs[1]));
            if (before == 0 && behind == 0) CHECK(same_bits(outs[1], head.v));
        }
}

TEST_CASE("terms of content and distance in the scores agree with double precision, each alone and both") {
    Random random(5);
    for (const std::size_t length : {1u, 2u, 9u, 70u, 130u})
        for (const std::size_t span : {3u, 20u, 100u}) {
            const std::size_t d = 8, rows = 2 * span;
            const Head head(random, length, d, 5);
            const auto keys = random.row(rows * d, -1.0f, 1.0f), queries = random.row(rows * d, -1.0f, 1.0f);
            std::vector<float> packed[2];
            for (std::size_t t = 0; t < 2; ++t) {
                packed[t].assign(kernels::packed_size<Arch>(rows, d), 0.0f);
                kernels::pack_rows<Arch>((t == 0 ? keys : queries).data(), rows, d, d, packed[t].data());
            }
            std::vector<std::uint32_t> row(2 * length - 1);  // of query - key
            for (std::size_t i = 0; i < row.size(); ++i) {
                const auto distance = static_cast<std::ptrdiff_t>(i) - static_cast<std::ptrdiff_t>(length - 1);
                const auto s = static_cast<std::ptrdiff_t>(span);
                row[i] = static_cast<std::uint32_t>(std::min(std::clamp(distance, -s, s) + s, 2 * s - 1));
            }
            for (const auto& [with_keys, with_queries] : {std::pair{true, true}, {true, false}, {false, true}}) {
                const kernels::PositionTerms<float> terms{with_keys ? packed[0].data() : nullptr,
                                                          with_queries ? packed[1].data() : nullptr,
                                                          row.data() + length - 1};
                kernels::ScoreMap<float> map{0.4f};
                map.positions = &terms;
                ranklet::Scratch scratch;
                REQUIRE(scratch.reserve(kernels::attention_scratch_size<Arch>(length, d, rows)).ok());
                std::vector<float> out(length * d);
                kernels::attention_head<Arch>(length, d, head.q.data(), head.k.data(), head.v.data(), head.stride,
                                              out.data(), d, map, scratch);
                double worst = 0.0;
                const auto product = [d](const float* x, const float* y) {
                    double sum = 0.0;
                    for (std::size_t c = 0; c < d; ++c) sum += static_cast<double>(x[c]) * static_cast<double>(y[c]);
                    return sum;
                };
                for (std::size_t i = 0; i < length; ++i) {
                    std::vector<double> weights(length);
                    double total = 0.0;
                    for (std::size_t j = 0; j < length; ++j) {
                        const float *q = head.q.data() + i * head.stride, *k = head.k.data() + j * head.stride;
                        const std::size_t r = row[length - 1 + i - j];
                        double score = product(q, k);
                        if (with_keys) score += product(q, keys.data() + r * d);
                        if (with_queries) score += product(k, queries.data() + r * d);
                        total += weights[j] = std::exp(score * static_cast<double>(0.4f));
                    }
                    for (std::size_t c = 0; c < d; ++c) {
                        double expected = 0.0;
                        for (std::size_t j = 0; j < length; ++j)
                            expected += weights[j] / total * static_cast<double>(head.v[j * head.stride + c]);
                        worst = std::max(worst, std::abs(static_cast<double>(out[i * d + c]) - expected));
                    }
                }
                REQUIRE(worst <= 5e-6);
            }
        }
}

TEST_CASE("attention gives all of its scratch back") {
    Random random(3);
    const Head head(random, 60, 16, 0);
    ranklet::Scratch scratch;
    REQUIRE(scratch.reserve(kernels::attention_scratch_size<Arch>(60, 16)).ok());
    std::vector<float> first(60 * 16), second(60 * 16);
    for (std::vector<float>* out : {&first, &second})
        kernels::attention_head<Arch>(60, 16, head.q.data(), head.k.data(), head.v.data(), 16, out->data(), 16,
                                      {0.25f, nullptr}, scratch);
    CHECK(same_bits(first, second));
}
