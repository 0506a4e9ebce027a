// Caps and maximal marginal relevance against a plain reading of their definitions.
#include "ranklet/ranking/diversity.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "ranklet/ranking/recommendation.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Attribute;
using ranklet::AttributeBuilder;
using ranklet::Catalog;
using ranklet::Diversity;
using ranklet::ErrorCode;
using ranklet::GroupCap;
using ranklet::RecommendOptions;
using Indices = std::vector<std::size_t>;
using Set = std::vector<std::string_view>;

constexpr std::size_t dim = 5;

/// n items of 4 brands (every 7th of none), tags, vectors that come in near-copies.
Catalog shop(std::size_t n) {
    Random random(5);
    AttributeBuilder builder;
    ranklet::CatalogData data;
    data.vectors = take(ranklet::Matrix::zeroed(n, dim));
    static constexpr std::string_view brands[] = {"Tavko", "Orvik", "Lumeno", "Nordfell"};
    for (std::size_t i = 0; i < n; ++i) {
        data.ids.push_back("i" + std::to_string(i));
        std::vector<Attribute> attributes;
        if (i % 7 != 0) attributes.push_back({"brand", brands[random.below(4)]});
        const Set tags = random.below(2) == 0 ? Set{"new", "red"} : random.below(2) == 0 ? Set{"red"} : Set{"blue"};
        attributes.push_back({"tags", std::span<const std::string_view>(tags)});
        attributes.push_back({"price", static_cast<double>(i)});
        succeed(builder.add(attributes));
        const auto row = random.row(dim);
        for (std::size_t d = 0; d < dim; ++d)
            data.vectors.row(i)[d] = i % 3 == 2 ? data.vectors.row(i - 1)[d] + 0.01f * row[d] : row[d];
    }
    if (n > 11) std::fill_n(data.vectors.row(11).begin(), dim, 0.0f);  // a zero vector is like nothing
    data.attributes = std::move(builder).finish();
    return take(Catalog::create(std::move(data)));
}

std::vector<float> make_scores(std::size_t n, std::uint64_t seed) {
    Random random(seed);
    std::vector<float> scores(n);
    for (float& score : scores) score = static_cast<float>(random.below(40)) / 8.0f;  // ties abound
    for (std::size_t i = 4; i < n; i += 9) scores[i] = -infinity;
    return scores;
}

Indices order_of(const std::vector<float>& scores) {
    Indices order;
    for (std::size_t i = 0; i < scores.size(); ++i)
        if (scores[i] > -infinity) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    return order;
}

/// What caps allow, kept by name.
struct Caps {
    const Catalog& catalog;
    const std::vector<GroupCap>& caps;
    std::map<std::string, std::size_t> counts{};
    std::vector<std::string> groups(std::size_t item, const GroupCap& cap) const {
        std::vector<std::string> names;
        const auto& column = *take(catalog.data().attributes.at(cap.attribute));
        for (const std::uint32_t code : column.codes_of_item(item))
            names.push_back(std::string(cap.attribute) + "=" + column.values[code]);
        return names;
    }
    bool room(std::size_t item) {
        for (const GroupCap& cap : caps)
            for (const std::string& name : groups(item, cap))
                if (counts[name] >= cap.most) return false;
        return true;
    }
    void take_item(std::size_t item) {
        for (const GroupCap& cap : caps)
            for (const std::string& name : groups(item, cap)) ++counts[name];
    }
};

double cosine(const Catalog& catalog, std::size_t a, std::size_t b) {
    double product = 0.0, aa = 0.0, bb = 0.0;
    for (std::size_t d = 0; d < dim; ++d) {
        const double x = static_cast<double>(catalog[a].vector()[d]), y = static_cast<double>(catalog[b].vector()[d]);
        product += x * y, aa += x * x, bb += y * y;
    }
    return aa > 0.0 && bb > 0.0 ? product / std::sqrt(aa * bb) : 0.0;
}

/// The definition, in double precision.
Indices expected(const Catalog& catalog, const std::vector<float>& scores, const RecommendOptions& options,
                 const std::vector<GroupCap>& given) {
    Caps caps{catalog, given};
    Indices order = order_of(scores), chosen;
    const double lambda = static_cast<double>(options.diversity.lambda);
    Indices rest;
    if (lambda < 1.0) {
        const std::size_t size = std::min(order.size(), std::max(options.k, options.diversity.pool));
        const Indices pool(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(size));
        rest.assign(order.begin() + static_cast<std::ptrdiff_t>(size), order.end());
        const double high = pool.empty() ? 0.0 : static_cast<double>(scores[pool.front()]);
        const double low = pool.empty() ? 0.0 : static_cast<double>(scores[pool.back()]);
        while (chosen.size() < options.k) {
            std::size_t best = catalog.size();
            double largest = -1e9;
            for (const std::size_t item : pool) {
                if (std::find(chosen.begin(), chosen.end(), item) != chosen.end() || !caps.room(item)) continue;
                double nearest = chosen.empty() ? 0.0 : -2.0;
                for (const std::size_t other : chosen) nearest = std::max(nearest, cosine(catalog, item, other));
                const double relevance = high == low ? 1.0 : (static_cast<double>(scores[item]) - low) / (high - low);
                const double value = lambda * relevance - (1.0 - lambda) * nearest;
                if (value > largest + 1e-9) largest = value, best = item;
            }
            if (best == catalog.size()) break;
            caps.take_item(best);
            chosen.push_back(best);
        }
    } else {
        rest = order;
    }
    for (const std::size_t item : rest)
        if (chosen.size() < options.k && caps.room(item)) caps.take_item(item), chosen.push_back(item);
    return chosen;
}

Indices found(const Catalog& catalog, const std::vector<float>& scores, const RecommendOptions& options) {
    ranklet::detail::RankingBuffers buffers;
    Indices items;
    for (int call = 0; call < 2; ++call) {  // the buffers' second use must not see the first
        succeed(options.check(catalog));
        buffers.scores = scores;
        succeed(buffers.rank(catalog, options));
    }
    for (const auto& r : buffers.ranked) items.push_back(r.index);
    return items;
}

}  // namespace

TEST_CASE("caps and diversity choose what their definitions say, for every k, pool and lambda") {
    const std::vector<std::vector<GroupCap>> cap_lists{{}, {{"brand", 2}}, {{"tags", 3}}, {{"brand", 1}, {"tags", 5}}};
    for (const std::size_t n : {0u, 1u, 12u, 60u}) {
        const Catalog catalog = shop(n);
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
            const auto scores = make_scores(n, seed);
            for (const auto& caps : cap_lists) {
                if (n < 2 && !caps.empty()) continue;  // too small to have every attribute
                for (const float lambda : {1.0f, 0.7f, 0.3f, 0.0f})
                    for (const std::size_t k : {0u, 1u, 5u, 20u, 100u})
                        for (const std::size_t pool : {1u, 10u, 1000u}) {
                            RecommendOptions options;
                            options.k = k;
                            options.caps = caps;
                            options.diversity.lambda = lambda;
                            options.diversity.pool = pool;
                            REQUIRE(found(catalog, scores, options) == expected(catalog, scores, options, caps));
                        }
            }
        }
    }
}

TEST_CASE("with diversity, a near-copy of what is shown gives way to something else") {
    ranklet::CatalogData data;
    data.ids = {"phone", "the same phone", "tent"};
    data.vectors = take(ranklet::Matrix::zeroed(3, 2));
    data.vectors.row(0)[0] = data.vectors.row(1)[0] = 1.0f;
    data.vectors.row(2)[1] = 1.0f;
    const Catalog catalog = take(Catalog::create(std::move(data)));
    RecommendOptions options;
    const std::vector<float> scores{3.0f, 2.9f, 1.0f};
    CHECK(found(catalog, scores, options) == Indices{0, 1, 2});
    options.diversity.lambda = 0.4f;
    CHECK(found(catalog, scores, options) == Indices{0, 2, 1});
    const std::vector<float> other_way{0.0f, 1.0f, 0.0f, 0.0f, 0.0f, 1.0f};  // given vectors: now the tent is the copy
    options.diversity.vectors = ranklet::MatrixView<const float>(other_way.data(), 3, 2);
    CHECK(found(catalog, {3.0f, 1.0f, 2.9f}, options) == Indices{0, 1, 2});
}

TEST_CASE("diversity is the same whatever the vectors' length, and without a word about those that have none") {
    // The second item points as the first does, the third elsewhere: the third comes second, at every scale.
    for (const float scale : {1.0f, 1e-12f, 1e-24f, 1e-38f, 1e15f, 1e19f, 1e38f})
        for (const float other : {1.0f, 1e-25f, 1e25f}) {
            CAPTURE(scale);
            CAPTURE(other);
            const std::vector<float> vectors{scale, scale, 0.9f * other, other, 3.0f * other, -0.1f * other};
            RecommendOptions options;
            options.diversity = {0.3f, 10, ranklet::MatrixView<const float>(vectors.data(), 3, 2)};
            ranklet::CatalogData data;
            data.ids = {"a", "b", "c"};
            CHECK(found(take(Catalog::create(std::move(data))), {3.0f, 2.9f, 2.8f}, options) == Indices{0, 2, 1});
        }
    const std::vector<float> broken{quiet_nan, 1.0f, infinity, 1.0f, 1.0f, 1.0f};  // like nothing: by score
    RecommendOptions options;
    options.diversity = {0.3f, 10, ranklet::MatrixView<const float>(broken.data(), 3, 2)};
    ranklet::CatalogData data;
    data.ids = {"a", "b", "c"};
    CHECK(found(take(Catalog::create(std::move(data))), {3.0f, 2.9f, 2.8f}, options) == Indices{0, 1, 2});
}

TEST_CASE("caps hold however many candidates they skip, and leave probabilities as they are") {
    const Catalog catalog = shop(60);
    const auto scores = make_scores(60, 9);
    const std::vector<GroupCap> caps{{"brand", 1}};
    RecommendOptions options;
    options.k = 60;
    ranklet::detail::RankingBuffers all, capped;
    all.scores = capped.scores = scores;
    succeed(all.rank(catalog, options));
    options.caps = caps;
    succeed(capped.rank(catalog, options));
    CHECK(capped.ranked.size() < all.ranked.size());
    for (const auto& r : capped.ranked) {
        const auto same =
            std::find_if(all.ranked.begin(), all.ranked.end(), [&](auto& a) { return a.index == r.index; });
        REQUIRE(same != all.ranked.end());
        CHECK(bits(same->probability) == bits(r.probability));
        CHECK(bits(same->score) == bits(scores[r.index]));
    }
}

TEST_CASE("caps and diversity that do not fit the catalog are errors naming what does not") {
    const Catalog catalog = shop(20);
    const auto refused = [&](auto&& change, ErrorCode code, std::string_view part, const Catalog& of) {
        RecommendOptions options;
        change(options);
        check_error(options.check(of), code, part);
    };
    const std::vector<GroupCap> unknown{{"colour", 1}}, number{{"price", 1}}, zero{{"brand", 1}, {"tags", 0}};
    refused([&](auto& o) { o.caps = unknown; }, ErrorCode::missing, "\"colour\"", catalog);
    refused([&](auto& o) { o.caps = number; }, ErrorCode::invalid_argument, "\"price\"", catalog);
    refused([&](auto& o) { o.caps = zero; }, ErrorCode::invalid_argument, "cap of 0 on attribute \"tags\"", catalog);
    for (const float lambda : {-0.1f, 1.1f, quiet_nan})
        refused([&](auto& o) { o.diversity.lambda = lambda; }, ErrorCode::invalid_argument, "lambda", catalog);
    const std::vector<float> few(19 * 2);
    refused([&](auto& o) { o.diversity = {0.5f, 10, ranklet::MatrixView<const float>(few.data(), 19, 2)}; },
            ErrorCode::invalid_argument, "19 x 2 for 20 items", catalog);
    ranklet::CatalogData bare;
    bare.ids = {"a"};
    refused([&](auto& o) { o.diversity.lambda = 0.5f; }, ErrorCode::unsupported, "Diversity::vectors",
            take(Catalog::create(std::move(bare))));
    for (const float temperature : {0.0f, -1.0f, quiet_nan, infinity, 1e-42f})
        refused([&](auto& o) { o.temperature = temperature; }, ErrorCode::invalid_argument, "temperature", catalog);
}

TEST_CASE("temperature changes probabilities as softmax(logit / temperature) and nothing else") {
    const Catalog catalog = shop(5);
    const std::vector<float> scores{1.0f, 3.0f, -infinity, 2.0f, 0.5f};
    for (const float temperature : {0.25f, 1.0f, 7.0f}) {
        ranklet::detail::RankingBuffers buffers;
        buffers.scores = scores;
        RecommendOptions options;
        options.temperature = temperature;
        succeed(buffers.rank(catalog, options));
        double sum = 0.0;
        for (const float score : scores) sum += std::exp(static_cast<double>(score) / static_cast<double>(temperature));
        REQUIRE(buffers.ranked.size() == 4);
        CHECK(buffers.ranked[0].index == 1);
        for (const auto& r : buffers.ranked) {
            CHECK(r.score == scores[r.index]);
            const double logit = static_cast<double>(r.score) / static_cast<double>(temperature);
            CHECK(static_cast<double>(r.probability) == doctest::Approx(std::exp(logit) / sum).epsilon(1e-5));
        }
    }
}
