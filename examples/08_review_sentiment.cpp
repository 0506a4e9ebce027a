// A user profile from reviews without stars: a classifier says how many stars a review would have, the expected number
// becomes the event's rating, and the recommender goes on from there.
#include <iomanip>
#include <iostream>
#include <ranklet/ranklet.hpp>
#include <ranklet/tasks/label_rating.hpp>
#include <ranklet/tasks/sequence_classifier.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "shop.hpp"

namespace {

/// What one person wrote about what they bought, oldest first.
struct UserProfile {
    struct Review {
        std::string_view item, text;
    };
    std::string_view name;
    std::vector<Review> reviews;
};

const std::vector<UserProfile> profiles{
    {"Ada",
     {{"en-tent-1", "Terrible zip! I want my money back."},
      {"en-espresso-3", "The handle is wonderful, and the taste is excellent."}}},
    {"Ben",
     {{"en-tent-1", "The fabric is fantastic. I would buy it again!"},
      {"en-espresso-3", "The lid is awful, a complete waste of money."}}},
    {"小林", {{"zh-tent-1", "面料太棒了，强烈推荐！"}, {"zh-espresso-3", "把手一般，味道不太好。"}}},
};

}  // namespace

int main() {
    const auto stars = ranklet::SequenceClassifier::load("examples/models/review-stars.gguf").value();
    const auto model = ranklet::Recommender::load("examples/models/demo-shop.gguf").value();
    const auto products = shop::read_catalog("examples/data/catalog.tsv");
    std::vector<ranklet::Item> items;
    for (const auto& p : products) items.push_back({p.id, p.text});
    const auto catalog = model.encode_catalog(items, {.threads = 2}).value();

    const auto ratings = ranklet::label_ratings(stars.labels(), {.lowest = 1.0f, .highest = 5.0f}).value();
    for (const UserProfile& profile : profiles) {
        std::cout << profile.name << '\n' << std::fixed << std::setprecision(1);
        auto user = model.new_user();
        for (const auto& review : profile.reviews) {
            const float rating = ranklet::expected_rating(stars.classify(review.text).value(), ratings).value();
            std::cout << "    " << rating << " stars  " << shop::fit(products[catalog.find(review.item)].title, 40)
                      << "  \"" << review.text << "\"\n";
            user.observe(catalog.at(review.item), rating).value();
        }
        for (const auto& r : model.recommend(user, catalog, {.k = 3, .exclude_seen = true}).value())
            std::cout << "    next " << std::setw(5) << 100.0f * r.probability << " %  " << products[r.index].title
                      << '\n';
    }
}
