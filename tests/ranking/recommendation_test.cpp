// Filters, probabilities and the cut, on scores given by hand.
#include "ranklet/ranking/recommendation.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Catalog;
using ranklet::Recommendation;
using ranklet::RecommendOptions;
using ranklet::detail::RankingBuffers;
using Ids = std::vector<std::string_view>;

Catalog letters() {
    ranklet::CatalogData data;
    data.ids = {"a", "b", "c", "d", "e"};
    return take(Catalog::create(std::move(data)));
}

std::vector<Recommendation> rank(const std::vector<float>& scores, std::size_t k, const Ids* allow = nullptr,
                                 const Ids& deny = {}) {
    RankingBuffers buffers;
    RecommendOptions options;
    options.k = k;
    if (allow != nullptr) options.allow = *allow;
    options.deny = deny;
    const Catalog catalog = letters();
    for (int call = 0; call < 2; ++call) {  // the buffers' second use must not see the first
        buffers.scores = scores;
        buffers.filter(catalog, options);
        succeed(buffers.rank(catalog, options));
    }
    std::vector<Recommendation> ranked = buffers.ranked;
    for (Recommendation& r : ranked) r.id = {};  // the catalog ends here
    return ranked;
}

std::string order(const std::vector<Recommendation>& ranked) {
    std::string letters_in_order;
    for (const Recommendation& r : ranked) letters_in_order += static_cast<char>('a' + r.index);
    return letters_in_order;
}

double total(const std::vector<Recommendation>& ranked) {
    double sum = 0.0;
    for (const Recommendation& r : ranked) sum += static_cast<double>(r.probability);
    return sum;
}

const std::vector<float> scores{1.0f, 3.0f, 2.0f, 3.0f, -1.0f};

}  // namespace

TEST_CASE("the best come first, ties by their place in the catalog, each with its score and probability") {
    const auto ranked = rank(scores, 10);
    CHECK(order(ranked) == "bdcae");
    CHECK(ranked[0].score == 3.0f);
    CHECK(ranked[4].score == -1.0f);
    double sum = 0.0;
    for (const float score : scores) sum += std::exp(static_cast<double>(score));
    for (const Recommendation& r : ranked)
        CHECK(static_cast<double>(r.probability) ==
              doctest::Approx(std::exp(static_cast<double>(r.score)) / sum).epsilon(1e-6));
    CHECK(total(ranked) == doctest::Approx(1.0).epsilon(1e-6));
}

TEST_CASE("probabilities are over all candidates, however few are shown") {
    const auto all = rank(scores, 5), two = rank(scores, 2);
    REQUIRE(two.size() == 2);
    CHECK(bits(two[0].probability) == bits(all[0].probability));
    CHECK(bits(two[1].probability) == bits(all[1].probability));
    CHECK(rank(scores, 0).empty());
}

TEST_CASE("filtered items are not shown, take no probability, and do not shorten the list") {
    const Ids allow{"a", "c", "e", "unknown"};
    const auto allowed = rank(scores, 2, &allow);
    CHECK(order(allowed) == "ca");
    CHECK(total(rank(scores, 5, &allow)) == doctest::Approx(1.0).epsilon(1e-6));
    CHECK(order(rank(scores, 2, nullptr, {"b", "unknown"})) == "dc");
    CHECK(order(rank(scores, 5, &allow, {"c"})) == "ae");
    CHECK(rank(scores, 5, &allow, {"c"})[0].probability == doctest::Approx(1.0 / (1.0 + std::exp(-2.0))).epsilon(1e-6));
}

TEST_CASE("an empty allow list, one of strangers, and a deny list of everything give nothing") {
    const Ids nothing, strangers{"x", "y", ""};
    CHECK(rank(scores, 5, &nothing).empty());
    CHECK(rank(scores, 5, &strangers).empty());
    CHECK(rank(scores, 5, nullptr, {"a", "b", "c", "d", "e"}).empty());
}

TEST_CASE("an id that stands several times in a list counts once") {
    const Ids allow{"a", "a", "b", "a"};
    CHECK(order(rank(scores, 5, &allow, {"c", "c"})) == "ba");
}

TEST_CASE("a NaN score removes its item alone; an infinite one, or none but NaN, is an error that names the item") {
    const auto with_nan = rank({1.0f, quiet_nan, 2.0f, 0.0f, quiet_nan}, 5);
    CHECK(order(with_nan) == "cad");
    CHECK(total(with_nan) == doctest::Approx(1.0).epsilon(1e-6));
    const auto refused = [](const std::vector<float>& scores, std::string_view part) {
        RankingBuffers buffers;
        buffers.scores = scores;
        check_error(buffers.rank(letters(), {}), ranklet::ErrorCode::invalid_argument, part);
    };
    refused({1.0f, infinity, 2.0f, -infinity, quiet_nan}, "the score of item \"b\" is infinite");
    refused(std::vector<float>(5, quiet_nan), "no candidate has a score that is a number");
}

TEST_CASE("softmax gives each logit its share and leaves an empty row alone") {
    std::vector<float> x{0.0f, std::log(3.0f), -infinity};
    ranklet::softmax(x);
    CHECK(x[0] == doctest::Approx(0.25));
    CHECK(x[1] == doctest::Approx(0.75));
    CHECK(x[2] == 0.0f);
    ranklet::softmax({});
}
