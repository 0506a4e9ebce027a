// A recommender of a Router's two routes, for test_layouts.py: what it makes of texts on either side.
// In: DOCUMENTS.gguf QUERIES.gguf TEXTS OUT; each text ends with a zero byte. Out: OUT, f32: the texts' vectors as queries
// [texts, dim], as items [texts, dim], and the items' scores for a user who said each text [texts, texts]; on stdout dim.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <ranklet/recommender.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace {

// The result's value; without one its error ends the program.
template <class T>
T take(ranklet::Result<T> result) {
    if (result.ok()) return std::move(*result);
    std::cerr << result.error().message << '\n';
    std::exit(1);
}

void write(std::ostream& out, std::span<const float> numbers) {
    out.write(reinterpret_cast<const char*>(numbers.data()), static_cast<std::streamsize>(numbers.size_bytes()));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::cerr << "usage: pair DOCUMENTS.gguf QUERIES.gguf TEXTS OUT\n";
        return 2;
    }
    ranklet::LoadOptions options;
    options.history = ranklet::HistoryOptions{.centre = false};  // a score is then the product of the two vectors
    const auto documents = take(ranklet::Recommender::load(argv[1], options));
    const auto model = take(documents.with_queries(take(ranklet::Recommender::load(argv[2]))));
    std::ifstream file(argv[3], std::ios::binary);
    std::vector<ranklet::Item> items;
    for (std::string text; std::getline(file, text, '\0');) items.emplace_back(std::to_string(items.size()), text);

    std::ofstream out(argv[4], std::ios::binary);
    for (const ranklet::Item& item : items) write(out, take(model.encode_query(item.text)));
    const auto catalog = take(model.encode_catalog(items));
    for (std::size_t i = 0; i < items.size(); ++i) write(out, catalog.data().vectors.row(i));
    for (const ranklet::Item& item : items) {
        auto user = model.new_user();
        if (const auto met = user.observe_text(item.text); !met.ok()) {
            std::cerr << met.error().message << '\n';
            return 1;
        }
        write(out, take(model.scores(user, catalog)));
    }
    std::cout << model.encoder().dim() << '\n';
    return out.flush() ? 0 : 1;
}
