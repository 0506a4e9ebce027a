// A bilingual catalog, searched by one multilingual encoder: what is typed in one language finds items of the other too.
//   21_bilingual_search [MODEL.gguf [ITEMS [QUERY ...]]]
// MODEL: whatever multilingual encoder you have (multilingual-e5, bge-m3, gte-multilingual, a static table ...), as
// weights_converter writes it; its prompts for queries and for items are used. Without one: the demo shop's own small one.
// ITEMS: a table of ids, languages, titles and descriptions.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <map>
#include <ranklet/fit/item_file.hpp>
#include <ranklet/ranklet.hpp>
#include <string>
#include <utility>
#include <vector>

#include "shop.hpp"

namespace {

constexpr std::size_t most = 2;  // of each language

struct Part {
    std::string language;
    std::vector<std::size_t> items;  // where they are in the file
    ranklet::Matrix vectors;         // which the index reads in place
    ranklet::VectorIndex index;
};

int run(const std::string& model_path, const std::string& items_path, const std::vector<std::string>& queries) {
    const auto model = ranklet::Recommender::load(model_path).value();
    ranklet::ItemFileOptions columns;
    columns.texts = {"title", "description"};
    columns.attributes = {{.column = "language"}};
    const auto file = ranklet::ItemFile::read(items_path, columns).value();
    std::vector<ranklet::Item> items;
    for (std::size_t i = 0; i < file.size(); ++i) items.emplace_back(file.ids()[i], file.rows()[i].text);

    // Encoders of retrieval are trained with a prompt before what is searched in: of the names that models have for it, the first.
    ranklet::BatchOptions as_items{.threads = 2};
    for (const char* name : {"passage", "document"})
        if (!as_items.prompt && model.encoder().has_prompt(name)) as_items.prompt = name;
    const auto catalog = model.encode_catalog(items, as_items).value();

    std::map<std::string, std::vector<std::size_t>> languages;
    for (std::size_t i = 0; i < file.size(); ++i)
        for (const ranklet::ItemAttribute& language : file.rows()[i].attributes) languages[language.text].push_back(i);
    std::vector<Part> parts;  // an index a language, so that each has its say
    for (const auto& [language, places] : languages) {
        auto rows = ranklet::Matrix::zeroed(places.size(), model.encoder().dim()).value();
        for (std::size_t r = 0; r < places.size(); ++r)
            std::ranges::copy(catalog[places[r]].vector(), rows.row(r).begin());
        auto index = ranklet::VectorIndex::create(rows.view(), ranklet::RowType::f32).value();
        parts.push_back({language, places, std::move(rows), std::move(index)});
    }

    ranklet::VectorIndex::Workspace workspace;
    for (const std::string& words : queries) {
        const auto query = model.encode_query(words).value();
        std::cout << words << '\n';
        for (const Part& part : parts) {
            const auto found = part.index.search({query.data(), 1, query.size()}, {.k = most}, workspace).value();
            for (const ranklet::Hit& hit : found[0]) {
                const std::size_t item = part.items[hit.index];
                std::cout << "  " << part.language << std::fixed << std::setprecision(4) << std::setw(9) << hit.score
                          << "  " << shop::fit(file.ids()[item], 22) << file.rows()[item].text << '\n';
            }
        }
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::string> queries(argv + std::min(argc, 3), argv + argc);
    if (queries.empty()) queries = {"noise cancelling headphones", "降噪耳机", "咖啡机", "a tent for two"};
    try {
        return run(argc > 1 ? argv[1] : "examples/models/demo-shop.gguf",
                   argc > 2 ? argv[2] : "examples/data/catalog.tsv", queries);
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
