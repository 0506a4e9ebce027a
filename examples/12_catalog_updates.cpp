// A shop that goes on: items come, change and go in new snapshots while readers keep theirs; the catalog is saved,
// mapped when loaded, and its vectors leave as a .npy file.
#include <filesystem>
#include <iostream>
#include <random>
#include <ranklet/ranklet.hpp>
#include <string>
#include <utility>
#include <vector>

#include "shop.hpp"

int main() {
    const auto model = ranklet::Recommender::load("examples/models/demo-shop.gguf").value();
    const auto products = shop::read_catalog("examples/data/catalog.tsv");
    std::vector<ranklet::Item> items;
    for (const auto& p : products) items.push_back({p.id, p.text});
    const auto monday = model.encode_catalog(items, {.threads = 2}).value();

    auto user = model.new_user();
    user.observe(monday.at("en-espresso-3"), 5.0f).value();
    const auto show = [&](const char* title, const ranklet::Catalog& catalog) {
        std::cout << title << " (" << catalog.size() << " items)\n";
        for (const auto& r : model.recommend(user, catalog, {.k = 3, .exclude_seen = true}).value())
            std::cout << "    " << r.id << '\n';
    };
    show("Monday:", monday);

    // Tuesday: a new machine, of which nothing is known but its text; the best of Monday is sold out.
    const std::vector<ranklet::Item> add{
        {"new-espresso", "Bruvio Espresso Machine, 15 bar, Black. Steam wand for milk foam, pressurised filter."}};
    const std::string sold_out(model.recommend(user, monday, {.k = 1, .exclude_seen = true}).value()[0].id);
    const std::vector<std::string_view> remove{sold_out};
    const auto tuesday = ranklet::update_catalog(model, monday, {.add = add, .remove = remove}).value();
    show("Tuesday:", tuesday);
    show("Monday's readers still have:", monday);

    const auto twice = ranklet::update_catalog(model, tuesday, {.add = add});
    std::cout << "Adding it again: " << twice.error().message << '\n';

    // One file, whole or not at all; loading maps it.
    const auto folder = std::filesystem::temp_directory_path() / ("ranklet_" + std::to_string(std::random_device()()));
    std::filesystem::create_directory(folder);
    const std::string path = (folder / "shop.catalog").string();
    ranklet::save_catalog(tuesday, path).value();
    const auto loaded = model.load_catalog(path).value();
    std::cout << "Saved: " << std::filesystem::file_size(path) / 1024 << " KiB. ";
    show("Loaded:", loaded);
    const auto founding = ranklet::Recommender::load("examples/models/founding.gguf").value();
    const auto refused = founding.load_catalog(path);
    std::cout << "For another model: " << (refused.ok() ? "loaded" : to_string(refused.error().code)) << '\n';

    // numpy.load reads the vectors; the ids are a text file beside them.
    const std::string vectors = (folder / "shop.npy").string(), ids = vectors + ".ids";
    ranklet::write_npy(vectors, tuesday.data().vectors.view()).value();
    ranklet::write_ids(ids, tuesday.data().ids).value();
    ranklet::CatalogData data;
    data.ids = ranklet::read_ids(ids).value();
    data.vectors = ranklet::read_npy(vectors).value();
    show("Exported and imported:", model.make_catalog(std::move(data)).value());
    std::filesystem::remove_all(folder);
}
