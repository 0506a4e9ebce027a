// Filters on attributes, caps a group, and a list that is not ten times the same: all before the cut, so that k items
// come back.
#include <iomanip>
#include <iostream>
#include <ranklet/ranklet.hpp>
#include <string>
#include <vector>

#include "shop.hpp"

int main() {
    using ranklet::Condition;
    const auto model = ranklet::Recommender::load("examples/models/demo-shop.gguf").value();
    const auto products = shop::read_catalog("examples/data/catalog.tsv");
    std::vector<ranklet::Item> items;
    for (const auto& p : products) {
        items.push_back({p.id,
                         p.text,
                         {{"language", p.language},
                          {"category", p.category},
                          {"brand", p.title.substr(0, p.title.find(' '))},
                          {"price", std::stod(p.price)}}});  // "222.99 USD"
    }
    const auto catalog = model.encode_catalog(items, {.threads = 2}).value();

    auto user = model.new_user();
    user.observe(catalog.at("en-phone-9"), 5.0f).value();
    user.observe(catalog.at("en-tent-1"), 4.0f).value();
    const auto print = [&](const char* title, const ranklet::RecommendOptions& options) {
        std::cout << title << '\n' << std::fixed << std::setprecision(1);
        for (const auto& r : model.recommend(user, catalog, options).value())
            std::cout << std::setw(7) << 100.0f * r.probability << " %  " << shop::fit(products[r.index].category, 18)
                      << shop::fit(products[r.index].title, 60) << products[r.index].price << '\n';
    };

    print("As the model ranks them:", {.k = 5, .exclude_seen = true});

    // A condition belongs to no catalog; a filter is a condition on one snapshot, made once and used again.
    const Condition english = Condition::equals("language", "en"), cheap = Condition::at_most("price", 150.0);
    const auto filter = ranklet::Filter::create(catalog, english && cheap && !Condition::equals("category", "Phones"));
    print("English, at most 150, no phones:", {.k = 5, .exclude_seen = true, .filter = &filter.value()});

    const std::vector<ranklet::GroupCap> caps{{"brand", 1}, {"category", 2}};
    print("One of a brand and two of a category at most:", {.k = 5, .exclude_seen = true, .caps = caps});

    print("Diverse (maximal marginal relevance, lambda 0.8):",
          {.k = 5, .exclude_seen = true, .diversity = {.lambda = 0.8f, .pool = 50}});

    print("The same list as at first, with a temperature of 3:", {.k = 5, .exclude_seen = true, .temperature = 3.0f});

    const std::vector<std::string_view> two{"en-tent-2", "en-phone-10"};  // without a look at any other item
    const auto scores = model.scores_of(user, catalog, two).value();
    std::cout << "Scores of two candidates only: " << std::setprecision(3) << two[0] << ' ' << scores[0] << ", "
              << two[1] << ' ' << scores[1] << '\n';
}
