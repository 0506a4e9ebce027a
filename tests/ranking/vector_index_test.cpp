// Searches of a vector index against plain scores and a full ranking; the exact 8-bit search on data made to break it.
#include "ranklet/ranking/vector_index.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "counting_heap.hpp"
#include "kernels/reference.hpp"
#include "ranklet/core/half.hpp"
#include "ranklet/kernels/reduce.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::ErrorCode;
using ranklet::Hit;
using ranklet::MatrixView;
using ranklet::RowType;
using ranklet::VectorIndex;
using Hits = std::vector<Hit>;

/// Rows [n, dim], queries [m, dim] and biases of a kind.
struct Case {
    std::size_t n, dim, m;
    std::vector<float> rows, queries, bias;
    MatrixView<const float> row_view() const { return {rows.data(), n, dim}; }
    MatrixView<const float> query_view() const { return {queries.data(), m, dim}; }
};

/// The k best by the plain f32 scores of `rows`.
Hits plain(const Case& c, const std::vector<float>& rows, std::size_t query, std::size_t k) {
    std::vector<float> scores(c.n);
    for (std::size_t r = 0; r < c.n; ++r) {
        scores[r] = ranklet::kernels::dot<Arch>(rows.data() + r * c.dim, c.queries.data() + query * c.dim, c.dim);
        if (!c.bias.empty()) scores[r] += c.bias[r];
    }
    std::vector<std::uint32_t> best(k);
    best.resize(ranklet::top_k(scores, best));
    Hits hits;
    for (const std::uint32_t i : best) hits.push_back({i, scores[i]});
    return hits;
}

bool equal(std::span<const Hit> found, const Hits& expected) {
    if (found.size() != expected.size()) return false;
    for (std::size_t i = 0; i < found.size(); ++i)
        if (found[i].index != expected[i].index || bits(found[i].score) != bits(expected[i].score)) return false;
    return true;
}

}  // namespace

TEST_CASE("an exact 8-bit search is the f32 search: ties, near-ties, tiny and huge norms, every k and thread count") {
    Random random(51);
    VectorIndex::Workspace workspace;  // one for all: what an earlier search left must not matter
    for (std::size_t trial = 0; trial < 600; ++trial) {
        const std::size_t kind = trial % 10;
        Case c{random.below(900), 1 + random.below(80), 1 + random.below(40), {}, {}, {}};
        const auto draw = [&]() -> float {
            const float x = random.between(-1.0f, 1.0f);
            switch (kind) {
                case 1:
                    return static_cast<float>(random.below(3)) - 1.0f;  // many ties
                case 2:
                    return 1.0f + 0x1p-23f * static_cast<float>(random.below(4));  // near-ties: the last bits decide
                case 3:
                    return x * 1e-30f;  // products are subnormal
                case 4:
                    return x * 1e-42f;  // all numbers are
                case 5:
                    return x * 1e17f;
                case 6:
                    return x * 3e38f;  // products overflow, sums become infinite or NaN
                case 7:
                    return x * std::pow(10.0f, static_cast<float>(random.below(21)) - 10.0f);
                case 8:
                    return random.below(30) == 0 ? 100.0f * x : 1e-3f * x;  // outliers: coarse steps
                default:
                    return x;
            }
        };
        for (std::size_t i = 0; i < c.n * c.dim; ++i) c.rows.push_back(draw());
        for (std::size_t i = 0; i < c.m * c.dim; ++i) c.queries.push_back(draw());
        if (trial % 3 == 0)
            for (std::size_t i = 0; i < c.n; ++i) c.bias.push_back(draw());
        if (kind == 9 && c.n > 0)  // all rows the same
            for (std::size_t i = 0; i < c.rows.size(); ++i) c.rows[i] = c.rows[i % c.dim];
        const std::size_t k = random.below(60);
        CAPTURE(trial);
        for (const RowType type : {RowType::f32, RowType::i8_exact}) {
            const auto index = VectorIndex::create(c.row_view(), type, c.bias);
            REQUIRE(index.ok());
            for (const std::size_t threads : {1u, 3u}) {
                const auto found = index->search(c.query_view(), {.k = k, .threads = finely(threads)}, workspace);
                REQUIRE(found.ok());
                REQUIRE(found->size() == c.m);
                for (std::size_t q = 0; q < c.m; ++q) REQUIRE(equal((*found)[q], plain(c, c.rows, q, k)));
            }
        }
    }
}

TEST_CASE("f16 and i8 searches score the rounded rows, and a query's result does not depend on its neighbours") {
    Random random(52);
    Case c{500, 70, 35, random.row(500 * 70), random.row(35 * 70), random.row(500)};
    std::vector<float> half = c.rows;
    for (float& x : half) x = ranklet::f16_to_f32(ranklet::f32_to_f16(x));
    VectorIndex::Workspace workspace;
    const auto f16 = VectorIndex::create(c.row_view(), RowType::f16, c.bias).value();
    const auto found = f16.search(c.query_view(), {.k = 20}, workspace).value();
    for (std::size_t q = 0; q < c.m; ++q) CHECK(equal(found[q], plain(c, half, q, 20)));
    CHECK(f16.memory() == 500 * 70 * 2);

    const auto i8 = VectorIndex::create(c.row_view(), RowType::i8).value();
    const auto together = i8.search(c.query_view(), {.k = 20, .threads = finely(2)}, workspace).value();
    c.bias.clear();
    std::size_t same = 0;
    for (std::size_t q = 0; q < c.m; ++q) {
        VectorIndex::Workspace other;
        const MatrixView<const float> query = c.query_view().middle_rows(q, 1);
        const auto alone = i8.search(query, {.k = 20}, other).value();
        CHECK(equal(together[q], {alone[0].begin(), alone[0].end()}));
        for (const Hit& hit : plain(c, c.rows, q, 20))
            for (const Hit& near : together[q])
                if (near.index == hit.index) {
                    ++same;
                    CHECK(near.score == doctest::Approx(hit.score).epsilon(0.05));
                }
    }
    CHECK(same >= c.m * 18);  // of twenty; 8 bits blur the order a little
}

TEST_CASE("an exact 8-bit search is the f32 search where bytes times a scale overflow, and among subnormal numbers") {
    VectorIndex::Workspace workspace;
    const auto same = [&](const Case& c) {
        const auto index = VectorIndex::create(c.row_view(), RowType::i8_exact, c.bias).value();
        for (std::size_t k = 1; k <= c.n; ++k) {
            const auto found = index.search(c.query_view(), {.k = k}, workspace).value();
            for (std::size_t q = 0; q < c.m; ++q) REQUIRE(equal(found[q], plain(c, c.rows, q, k)));
        }
    };
    same({2, 1, 1, {-1e38f, 0.0f}, {1e-3f}, {0.0f, -2e35f}});
    same({2, 2, 1, {0x1p-149f, 0x1p-149f, 0.0f, 0.0f}, {0x1p100f, 0x1p100f}, {0.0f, 0.8f * 0x1p-48f}});
    same({2, 2, 1, {0x1p100f, 0x1p100f, 0.0f, 0.0f}, {0x1p-149f, 0x1p-149f}, {0.0f, 0.8f * 0x1p-48f}});
    Random random(54);
    for (const float row : {1e37f, 1e33f, 1e-37f, 1e-42f})
        for (const float query : {1e-5f, 1e-37f, 1.0f, 1e30f}) {
            Case c{50, 7, 3, random.row(50 * 7), random.row(3 * 7), random.row(50)};
            for (float& x : c.rows) x *= row;
            for (float& x : c.queries) x *= query;
            for (float& x : c.bias) x *= row * query < 1e38f ? row * query : 1.0f;
            same(c);
        }
    const float large = 1e38f;
    CHECK(VectorIndex::create({&large, 1, 1}, RowType::i8).error().message ==
          "vector 0 is too long for 8 bits (1e33 and more)");
}

TEST_CASE("bad input to an index is an error that names the place") {
    std::vector<float> rows{1, 2, 3, 4, 5, 6};
    const MatrixView<const float> view(rows.data(), 3, 2);
    const auto message = [&](const auto& result) { return result.ok() ? std::string("fine") : result.error().message; };
    VectorIndex::Workspace workspace;
    for (const RowType type : {RowType::f32, RowType::f16, RowType::i8, RowType::i8_exact}) {
        for (const float bad : {quiet_nan, infinity, -infinity}) {
            rows[3] = bad;
            CHECK(message(VectorIndex::create(view, type)) == "vector 1 has an element that is not finite");
        }
        rows[3] = 4.0f;
        const std::vector<float> bias{1, 2};
        CHECK(message(VectorIndex::create(view, type, bias)) == "an index of 3 rows got 2 biases");
        const std::vector<float> nan_bias{1, 2, quiet_nan};
        CHECK(message(VectorIndex::create(view, type, nan_bias)) == "the bias of row 2 is not finite");
        CHECK(message(VectorIndex::create({rows.data(), 3, 0}, type)) ==
              "an index of vectors with 0 elements, expected 1 to 65536");
        const auto index = VectorIndex::create(view, type).value();
        std::vector<float> query{1, 2, 3};
        CHECK(message(index.search({query.data(), 1, 3}, {}, workspace)) == "queries of 3 elements for an index of 2");
        query[1] = quiet_nan;
        CHECK(message(index.search({query.data(), 1, 2}, {}, workspace)) ==
              "query 0 has an element that is not finite");
        CHECK(index.search({query.data(), 0, 2}, {}, workspace)->empty());
    }
    rows[5] = 70000.0f;
    CHECK(message(VectorIndex::create(view, RowType::f16)) == "vector 2 has an element beyond the largest f16");
    CHECK(VectorIndex::create(view, RowType::i8_exact).ok());

    const VectorIndex nothing;
    const std::vector<float> query{1, 2};
    const auto found = nothing.search({query.data(), 1, 2}, {}, workspace).value();
    REQUIRE(found.size() == 1);
    CHECK(found[0].empty());
    const auto index = VectorIndex::create(view, RowType::f32).value();
    CHECK(index.search({query.data(), 1, 2}, {.k = 0}, workspace).value()[0].empty());
    CHECK(index.search({query.data(), 1, 2}, {.k = 9}, workspace).value()[0].size() == 3);
}

TEST_CASE("a search allocates nothing once its workspace has seen the like") {
    Random random(53);
    const Case c{3000, 32, 70, random.row(3000 * 32), random.row(70 * 32), {}};  // three groups of queries
    for (const RowType type : {RowType::f32, RowType::f16, RowType::i8, RowType::i8_exact}) {
        const auto index = VectorIndex::create(c.row_view(), type).value();
        VectorIndex::Workspace workspace;
        (void)index.search(c.query_view(), {.k = 10}, workspace).value();
        const auto before = heap_requests.load();
        const auto found = index.search(c.query_view(), {.k = 10}, workspace);
        CHECK(found.ok());
        CHECK(heap_requests.load() - before == 0);
    }
}
