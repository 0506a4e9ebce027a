// Ratings from labels: stars, words, ranges, what is refused.
#include "ranklet/tasks/label_rating.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::ErrorCode;
using ranklet::expected_rating;
using ranklet::label_ratings;
using Ratings = std::vector<float>;

Ratings of(const std::vector<std::string>& labels, ranklet::RatingRange range = {}) {
    return take(label_ratings(labels, range));
}

}  // namespace

TEST_CASE("stars stand for their ratings, stretched to the range") {
    CHECK(of({"1 star", "2 stars", "3 stars", "4 stars", "5 stars"}) == Ratings{1, 2, 3, 4, 5});
    CHECK(of({"5 stars", "1 star"}) == Ratings{5, 1});
    CHECK(of({"1星", "3星", "5星"}) == Ratings{1, 3, 5});
    CHECK(of({"0", "1", "2", "3", "4"}) == Ratings{1, 2, 3, 4, 5});
    CHECK(of({"1", "6", "11"}, {0.0f, 10.0f}) == Ratings{0, 5, 10});
    CHECK(of({"1 star", "2 stars", "5 stars"}) == Ratings{1, 2, 5});
}

TEST_CASE("words of sentiment stand for the range's ends and what lies between") {
    CHECK(of({"NEGATIVE", "POSITIVE"}) == Ratings{1, 5});
    CHECK(of({"POS", "NEU", "NEG"}) == Ratings{5, 3, 1});
    CHECK(of({"Very_Negative", "Negative", "Neutral", "Positive", "Very Positive"}) == Ratings{1, 2, 3, 4, 5});
    CHECK(of({"负面", "中性", "正面"}, {-1.0f, 1.0f}) == Ratings{-1, 0, 1});
}

TEST_CASE("labels that say nothing of a rating are refused by name") {
    const auto refuse = [](const std::vector<std::string>& labels, std::string_view part,
                           ranklet::RatingRange range = {}) {
        check_error(label_ratings(labels, range), ErrorCode::invalid_argument, part);
    };
    refuse({"LABEL_0", "LABEL_1"}, "LABEL_0");
    refuse({"positive", "tent"}, "tent");
    refuse({"1234 stars", "1 star"}, "1234 stars");
    refuse({"positive", "1 star"}, "mix");
    refuse({"positive"}, "1 labels");
    refuse({}, "0 labels");
    refuse({"neg", "pos"}, "range", {5.0f, 1.0f});
    refuse({"neg", "pos"}, "range", {1.0f, std::numeric_limits<float>::quiet_NaN()});
}

TEST_CASE("the expected rating is the mean under the probabilities, inside the labels' ratings") {
    const Ratings stars{1, 2, 3, 4, 5};
    const auto mean = [&](const Ratings& p) { return take(expected_rating(p, stars)); };
    CHECK(mean({0, 0, 0, 0, 1}) == 5.0f);
    CHECK(mean({0.5f, 0, 0, 0, 0.5f}) == 3.0f);
    CHECK(mean({0, 0, 0.2f, 0.6f, 0.2f}) == doctest::Approx(4.0));
    CHECK(mean({0, 0, 0, 0.25f, 0.25f}) == doctest::Approx(4.5));  // need not sum to one
    Random random(1);
    for (int n = 0; n < 200; ++n) {
        Ratings p(5);
        for (float& x : p) x = static_cast<float>(random.below(1000));
        p[2] += 1.0f;
        const float rating = mean(p);
        CHECK((rating >= 1.0f && rating <= 5.0f));
    }
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const Ratings& bad : {Ratings{1, 0}, Ratings{}, Ratings{nan, 0, 0, 0, 1}, Ratings{-1, 0, 0, 0, 1},
                               Ratings{0, 0, 0, 0, 0}, Ratings{HUGE_VALF, 0, 0, 0, 0}})
        check_error(expected_rating(bad, stars), ErrorCode::invalid_argument);
    check_error(expected_rating(Ratings{0.5f, 0.5f}, Ratings{1, nan}), ErrorCode::invalid_argument, "label 1");
}
