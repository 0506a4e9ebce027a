// A session that goes on: each event is one step, whatever the history's length; the user is saved and comes back.
#include <cstddef>
#include <iostream>
#include <ranklet/ranklet.hpp>
#include <vector>

#include "shop.hpp"

int main() {
    const auto model = ranklet::Recommender::load("examples/models/demo-shop.gguf").value();
    const auto products = shop::read_catalog("examples/data/catalog.tsv");
    std::vector<ranklet::Item> items;
    for (const auto& p : products) items.push_back({p.id, p.text});
    const auto catalog = model.encode_catalog(items, {.threads = 2}).value();

    ranklet::Recommender::Workspace workspace;  // kept by the caller: after the first call no heap is touched
    const auto show = [&](const char* after, const ranklet::Recommender::User& user) {
        std::cout << after << '\n';
        for (const auto& r : model.recommend(user, catalog, {.k = 3, .exclude_seen = true}, workspace).value())
            std::cout << "    " << products[r.index].title << '\n';
    };

    auto user = model.new_user();
    show("A new user, nothing known:", user);
    user.observe_text("phone").value();
    show("typed \"phone\":", user);
    user.observe(catalog.at("en-phone-9"), 5.0f).value();
    show("looked at a phone and liked it:", user);

    const std::vector<std::byte> saved = user.save();  // into your own storage
    auto later = model.load_user(saved).value();
    later.observe_text("camping").value();
    show("came back another day, typed \"camping\":", later);
    std::cout << "The saved state takes " << saved.size() << " bytes.\n";
}
