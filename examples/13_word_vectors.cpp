// Word vectors without a decoder: the shop's items by similarity to a query and to each other, plain and with SIF.
// The vectors were made from the shop's own texts in seconds: examples/training/train_word_vectors.py.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <ranklet/encoders/word_vectors.hpp>
#include <ranklet/encoders/word_weights.hpp>
#include <ranklet/ranking/vector_index.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "shop.hpp"

int main(int argc, char** argv) {
    const auto loaded = ranklet::WordVectors::load(argc > 1 ? argv[1] : "examples/models/shop-words.gguf");
    if (!loaded.ok()) {
        std::cerr << loaded.error().message << '\n';
        return 1;
    }
    const auto products = shop::read_catalog("examples/data/catalog.tsv");
    std::vector<std::string_view> texts;
    for (const auto& product : products) texts.push_back(product.text);

    // How a text is cut: Chinese by the longest words that the vocabulary has.
    const std::string_view title = "塔夫可 P20 智能手机 128GB";
    ranklet::Encoding tokens;
    loaded->tokenize(title, tokens).value();
    std::cout << title << " =";
    for (const auto span : tokens.offsets) std::cout << " [" << title.substr(span.begin, span.end - span.begin) << ']';
    std::cout << "\n\n";

    const auto sif = ranklet::with_sif(*loaded, texts, {.threads = 2}).value();
    for (const auto* words : {&*loaded, &sif}) {
        std::cout << (words == &sif ? "Frequent words weigh little (SIF):\n" : "All words weigh the same:\n");
        const auto vectors =
            words->encode(texts, {.threads = 2}).value();  // of length 1: their dot product is the cosine
        const auto index = ranklet::VectorIndex::create(vectors.view(), ranklet::RowType::f32).value();
        ranklet::VectorIndex::Workspace workspace;
        const std::vector<std::string_view> queries{"a camera for the night", "适合露营的帐篷", "zxqv"};
        const auto found = words->encode(queries).value();
        const auto hits = index.search(found.view(), {.k = 3}, workspace).value();
        for (std::size_t q = 0; q < queries.size(); ++q) {
            const auto vector = found.row(q);
            const bool known = std::any_of(vector.begin(), vector.end(), [](float x) { return x != 0.0f; });
            std::cout << "  " << queries[q] << (known ? "\n" : ": no word of it is known\n");
            for (std::size_t h = 0; known && h < hits[q].size(); ++h)
                std::cout << "    " << std::fixed << std::setprecision(3) << hits[q][h].score << "  "
                          << shop::fit(products[hits[q][h].index].category, 20) << products[hits[q][h].index].title
                          << '\n';
        }
    }
}
