// From text to attributes: what a tagger finds in each item's text (brand, product, colour) and the item's keywords
// become attributes, in English and Chinese, to filter by and to say what a recommendation has in common with the past.
#include <iomanip>
#include <iostream>
#include <ranklet/ranklet.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "shop.hpp"

int main() {
    using ranklet::Condition;
    const auto model = ranklet::Recommender::load("examples/models/demo-shop.gguf").value();
    const auto tagger = ranklet::TokenClassifier::load("examples/models/shop-tagger.gguf").value();
    const auto products = shop::read_catalog("examples/data/catalog.tsv");

    // The titles say what a product is; nothing here knows the shop's own columns.
    std::vector<std::string_view> titles;
    for (const auto& p : products) titles.push_back(p.title);
    const auto tagged = tagger.tag(titles, {.aggregation = ranklet::TagAggregation::first, .threads = 2}).value();
    std::vector<ranklet::TextAttributes> found(products.size());
    for (std::size_t i = 0; i < products.size(); ++i) {
        found[i].add(titles[i], tagged[i], {.minimum_score = 0.6f}).value();
        const auto keywords = ranklet::extract_keywords(*model.as<ranklet::Bert>(), products[i].text, {.k = 2}).value();
        found[i].add(keywords, {.minimum_score = 0.3f}).value();
    }
    std::vector<ranklet::Item> items;
    for (std::size_t i = 0; i < products.size(); ++i)
        items.push_back({products[i].id, products[i].text, found[i].attributes()});
    const auto catalog = model.encode_catalog(items, {.threads = 2}).value();

    for (const std::string_view id : {"en-tent-4", "zh-phone-2"}) {
        const std::size_t i = catalog.find(id);
        std::cout << products[i].title << '\n';
        for (const auto& attribute : items[i].attributes) {
            std::cout << "    " << attribute.name << ':';
            const char* before = " ";
            for (const auto& value : found[i].values(attribute.name)) {
                std::cout << before << value;
                before = " | ";
            }
            std::cout << '\n';
        }
    }

    struct Case {
        const char* title;
        std::vector<std::string_view> met;
        Condition condition;
    };
    const auto value = [](std::string_view text) { return ranklet::normalize_value(text).value(); };
    const std::vector<std::string_view> brands{"奥维克", "塔夫可"};
    const std::vector<Case> cases{
        {"Nordfell, and no tent:",
         {"en-tent-4", "en-sleeping_bag-3"},
         Condition::contains("brand", value("Nordfell")) && !Condition::contains("product", value("Tent"))},
        {"黑色, 奥维克 or 塔夫可:",
         {"zh-phone-8", "zh-phone_case-9"},
         Condition::contains("color", value("黑色")) && Condition::contains_any("brand", brands)},
    };
    for (const Case& c : cases) {
        auto user = model.new_user();
        for (const std::string_view id : c.met) {
            user.observe(catalog.at(id), 5.0f).value();
            std::cout << (id == c.met.front() ? "\nMet: " : "     ") << products[catalog.find(id)].title << '\n';
        }
        const auto filter = ranklet::Filter::create(catalog, c.condition).value();
        std::cout << c.title << "  (" << filter.count() << " items)\n" << std::fixed << std::setprecision(1);
        for (const auto& r :
             model.recommend(user, catalog, {.k = 3, .exclude_seen = true, .filter = &filter}).value()) {
            std::cout << std::setw(7) << 100.0f * r.probability << " %  " << products[r.index].title << '\n';
            for (const auto& shared : ranklet::shared_attributes(catalog, user.events(), r.id).value())
                if (shared.name != "keyword")
                    std::cout << "             " << shared.name << ' ' << shared.value << ": as "
                              << shared.events.size() << " of the " << c.met.size() << " that were met\n";
        }
    }
}
