// A trained encoder and a real catalog, nothing trained here: films searched in words, and recommended from a history by
// their titles and genres.
//   20_movies_by_text MODEL.gguf ITEMS.csv [QUERIES.gguf]
// MODEL: all-MiniLM-L6-v2, say, as weights_converter writes it. ITEMS: MovieLens's movies.csv, or any table of ids, titles and
// genres. QUERIES: the encoder of what is searched for, where the model has another one for that (a Router's route).
#include <iomanip>
#include <iostream>
#include <ranklet/fit/item_file.hpp>
#include <ranklet/ranklet.hpp>
#include <string>
#include <vector>

namespace {

void print(const char* what, const ranklet::Ranking& ranking) {
    std::cout << what << '\n';
    for (const auto& each : ranking)
        std::cout << "  " << std::fixed << std::setprecision(3) << std::setw(6) << each.score << "  " << each.text
                  << '\n';
}

int run(const std::string& model_path, const std::string& items_path, const std::string& queries_path) {
    const auto documents = ranklet::Recommender::load(model_path).value();
    const auto queries = queries_path.empty() ? documents : ranklet::Recommender::load(queries_path).value();
    const auto model =
        documents.with_queries(queries).value();  // what users say is read as queries, with the prompt for them
    ranklet::ItemFileOptions columns;
    columns.texts = {"title", "genres"};
    const auto file = ranklet::ItemFile::read(items_path, columns).value();
    std::vector<ranklet::Item> items;
    for (std::size_t i = 0; i < file.size(); ++i) items.emplace_back(file.ids()[i], file.rows()[i].text);
    const auto catalog = model.encode_catalog(items, {.threads = 2, .keep_texts = true}).value();
    std::cout << catalog.size() << " films\n";

    for (const char* words : {"pirates looking for treasure", "a documentary about food"}) {
        auto query = model.new_user();  // a text is an event like any other
        query.observe_text(words).value();
        print((std::string("\nsearched: ") + words).c_str(), model.recommend(query, catalog, {.k = 3}).value());
    }
    auto user = model.new_user();
    std::cout << "\nmet:\n";
    for (std::size_t i = 0, met = 0; i < catalog.size() && met < 3; ++i) {
        const std::string_view text = catalog[i].text();
        if (text.find("Toy Story (") != 0 && text.find("Aladdin (") != 0 && text.find("Lion King, The") != 0) continue;
        std::cout << "          " << text << '\n';
        user.observe(catalog[i]).value();
        ++met;
    }
    print("recommended:", model.recommend(user, catalog, {.k = 4, .exclude_seen = true}).value());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::cout
            << "usage: 20_movies_by_text MODEL.gguf ITEMS.csv [QUERIES.gguf]; skipped: none is in the repository\n";
        return 77;
    }
    try {
        return run(argv[1], argv[2], argc > 3 ? argv[3] : "");
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
