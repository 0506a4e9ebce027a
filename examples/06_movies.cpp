// A recommender without text: learned item embeddings, GRU, a score for every item (GRU4Rec's form), on movies.
// Convert a checkpoint first: python3 -m weights_converter FOLDER/model.safetensors movies.gguf --items items.tsv
#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <ranklet/ranklet.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "shop.hpp"

int main(int argc, char** argv) try {
    std::string path = "build/gru-movielens.gguf", test;
    std::vector<std::string> history;
    CLI::App app("Movies for a history of movies, by a GRU over learned item embeddings.");
    app.add_option("--model", path, "the converted model file")->capture_default_str();
    app.add_option(
        "--test", test,
        "lines of ids, the next movie's first, then the history's: prints each top ten with its scores, and HR@10");
    app.add_option("ids", history, "the movies that the user saw, oldest first");
    CLI11_PARSE(app, argc, argv);
    if (!std::ifstream(path)) {
        std::cout << "skipped: there is no " << path << " (see --help)\n";
        return 77;
    }
    const auto model = ranklet::Recommender::load(path).value();
    const auto catalog = model.items().value();
    const auto& titles = model.as<ranklet::ItemTable>()->texts();
    const auto title = [&](std::size_t i) { return titles.empty() ? std::string(catalog[i].id()) : titles[i]; };

    if (history.empty()) history = {"0", "120", "203", "180", "171"};
    auto user = model.new_user();
    for (const auto& id : history) {
        user.observe(catalog.at(id)).value();
        std::cout << "saw        " << title(catalog.find(id)) << '\n';
    }
    for (const auto& r : model.recommend(user, catalog, {.k = 10, .exclude_seen = true}).value())
        std::cout << "next " << std::to_string(100.0f * r.probability).substr(0, 4) << "% " << title(r.index) << '\n';

    if (test.empty()) return 0;
    const auto lines = shop::read_lines(test);
    std::size_t hits = 0;
    for (const std::string& line : lines) {
        std::istringstream ids(line);
        std::string next, id;
        ids >> next;
        auto viewer = model.new_user();
        while (ids >> id) viewer.observe(catalog.at(id)).value();
        const auto ranking = model.recommend(viewer, catalog, {.k = 10}).value();
        hits += std::any_of(ranking.begin(), ranking.end(), [&](const auto& r) { return r.id == next; });
        for (const auto& r : ranking)
            std::cout << r.id << ':' << std::setprecision(9) << r.score << (&r == &ranking.items.back() ? '\n' : ' ');
    }
    std::cout << "HR@10: " << hits << " of " << lines.size() << '\n';
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
