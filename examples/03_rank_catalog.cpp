// A whole catalog ranked for one user: ratings, filters, probabilities.
#include <iomanip>
#include <iostream>
#include <ranklet/ranklet.hpp>
#include <string_view>
#include <vector>

#include "shop.hpp"

int main() {
    const auto model = ranklet::Recommender::load("examples/models/demo-shop.gguf").value();
    const auto products = shop::read_catalog("examples/data/catalog.tsv");
    std::vector<ranklet::Item> items;
    for (const auto& p : products) items.push_back({p.id, p.text});
    const auto catalog = model.encode_catalog(items, {.threads = 2}).value();

    auto user = model.new_user();
    user.observe(catalog.at("en-tent-1"), 1.0f).value();      // not at all
    user.observe(catalog.at("en-espresso-3"), 5.0f).value();  // liked

    const auto print = [&](const char* title, const ranklet::RecommendOptions& options) {
        std::cout << title << '\n' << std::fixed << std::setprecision(1);
        for (const auto& r : model.recommend(user, catalog, options).value())
            std::cout << std::setw(7) << 100.0f * r.probability << " %  " << shop::fit(products[r.index].category, 20)
                      << products[r.index].title << '\n';
    };
    print("The five best of all:", {.k = 5, .exclude_seen = true});

    // Only what this caller allows: the Chinese part of the shop, without one item.
    std::vector<std::string_view> chinese;
    for (const auto& p : products)
        if (p.language == "zh") chinese.push_back(p.id);
    const std::vector<std::string_view> sold_out{"zh-beans-1"};
    print("The five best Chinese items:", {.k = 5, .allow = chinese, .deny = sold_out});
}
