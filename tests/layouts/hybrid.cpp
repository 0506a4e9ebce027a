// What a HybridEncoder makes of texts, for test_hybrid.py.
// In: MODEL TEXTS OUT; each text ends with a zero byte. Out: OUT, f32: the dense vectors [texts, dim], then of each text its
// token vectors, then all pairs' late interaction and lexical scores [texts, texts]; on stdout a line a text: how many token
// vectors, then id:weight of its sparse weights.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <ranklet/tasks/hybrid_encoder.hpp>
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
    if (argc != 4) {
        std::cerr << "usage: hybrid MODEL TEXTS OUT\n";
        return 2;
    }
    const auto model = take(ranklet::HybridEncoder::load(argv[1]));
    std::ifstream file(argv[2], std::ios::binary);
    std::vector<std::string> texts;
    for (std::string text; std::getline(file, text, '\0');) texts.push_back(text);
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    const auto vectors = take(model.encode(views, {.token_vectors = model.has_token_vectors()}));

    std::ofstream out(argv[3], std::ios::binary);
    std::cout.precision(9);
    for (std::size_t t = 0; t < texts.size(); ++t) write(out, vectors.dense.row(t));
    for (std::size_t t = 0; t < texts.size(); ++t) {
        const auto rows = model.has_token_vectors() ? vectors.tokens_of(t) : ranklet::MatrixView<const float>();
        for (std::size_t r = 0; r < rows.rows; ++r) write(out, rows.row(r));
        std::cout << rows.rows;
        for (const auto& [id, weight] : vectors.sparse[t]) std::cout << ' ' << id << ':' << weight;
        std::cout << '\n';
    }
    for (std::size_t a = 0; a < texts.size(); ++a)
        for (std::size_t b = 0; b < texts.size(); ++b) {
            const float scores[] = {
                model.has_token_vectors() ? ranklet::late_interaction_score(vectors.tokens_of(a), vectors.tokens_of(b)) : 0,
                ranklet::lexical_score(vectors.sparse[a], vectors.sparse[b])};
            write(out, scores);
        }
    return out.flush() ? 0 : 1;
}
