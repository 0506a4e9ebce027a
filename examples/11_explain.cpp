// Why an item is recommended: what each past event and each word of its text added to its score, found by leaving it
// out.
#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <ranklet/ranklet.hpp>
#include <string>
#include <vector>

#include "shop.hpp"

int main() {
    const auto model = ranklet::Recommender::load("examples/models/demo-shop.gguf").value();
    const auto products = shop::read_catalog("examples/data/catalog.tsv");
    std::vector<ranklet::Item> items;
    for (const auto& p : products) items.push_back({p.id, p.text});
    const auto catalog = model.encode_catalog(items, {.threads = 2}).value();

    auto user = model.new_user();
    user.observe_text("coffee").value();
    user.observe(catalog.at("en-phone-9"), 5.0f).value();
    user.observe(catalog.at("en-tent-1"), 1.0f).value();
    user.observe(catalog.at("en-espresso-3"), 5.0f).value();

    const auto best = model.recommend(user, catalog, {.k = 1, .exclude_seen = true}).value()[0];
    const std::vector<std::string_view> typed{"coffee"};  // a user's state keeps no texts: we do
    ranklet::ExplainOptions options;
    options.text = products[best.index].text;
    options.event_texts = typed;
    const auto why = ranklet::explain(model, user, catalog, best.id, options).value();

    std::cout << products[best.index].title << "\n\nIts score, " << std::fixed << std::setprecision(3) << why.score
              << ", would change without the event:\n";
    for (const auto& e : why.events) {
        const std::string what = e.id.empty() ? "typed \"coffee\"" : products[catalog.find(e.id)].title;
        std::cout << "  " << std::showpos << std::setw(7) << e.contribution << std::noshowpos << "  " << what;
        if (e.rating == e.rating) std::cout << ", rated " << std::setprecision(0) << e.rating << std::setprecision(3);
        std::cout << '\n';
    }
    std::cout << "\nand without the word:\n";
    for (const auto& word : why.text) {
        const auto bar = static_cast<std::size_t>(std::min(30.0f, std::abs(word.contribution) * 40.0f));
        std::cout << "  " << std::showpos << std::setw(7) << word.contribution << std::noshowpos << "  "
                  << shop::fit(word.text, 14) << std::string(bar, word.contribution < 0.0f ? '-' : '+') << '\n';
    }
    std::cout << "\nContributions do not add up to the score: neither the GRU nor the encoder is linear.\n";
}
