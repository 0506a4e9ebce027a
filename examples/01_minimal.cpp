// The smallest program: items from what they say, a user from what was looked at, the best next items.
#include <iostream>
#include <ranklet/ranklet.hpp>
#include <vector>

int main() {
    const auto model = ranklet::Recommender::load("examples/models/demo-shop.gguf").value();
    const std::vector<ranklet::Item> items{{"phone", "Nera One Smartphone, 128 GB, dual SIM"},
                                           {"case", "Slim phone case with a soft lining"},
                                           {"charger", "Fast USB-C phone charger, 65 W"},
                                           {"tent", "Two-person tent for light hiking"},
                                           {"手机壳", "手机保护壳 防摔 透明"}};
    const auto catalog = model.encode_catalog(items).value();
    auto user = model.new_user();
    user.observe(catalog.at("phone"), 5.0f).value();
    for (const auto& r : model.recommend(user, catalog, {.k = 3, .exclude_seen = true}).value())
        std::cout << r.id << ' ' << r.probability << '\n';
}
