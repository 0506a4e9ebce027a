// Texts to vectors: how alike are they? The encoder alone, on two threads.
#include <cmath>
#include <iomanip>
#include <iostream>
#include <ranklet/encoders/bert.hpp>
#include <string_view>
#include <vector>

int main(int argc, char** argv) {
    const auto loaded = ranklet::Bert::load(argc > 1 ? argv[1] : "examples/models/demo-shop.gguf");
    if (!loaded.ok()) {  // or ask for value() and catch ranklet::Exception
        std::cerr << loaded.error().message << '\n';
        return 1;
    }
    const auto& encoder = *loaded;
    const std::vector<std::string_view> texts{"wireless headphones with noise cancelling", "bluetooth earphones",
                                              "无线蓝牙耳机", "espresso machine with milk frother", "全自动咖啡机"};
    const auto vectors = encoder.encode(texts, {.threads = 2}).value();

    const auto dot = [&](std::size_t a, std::size_t b) {
        float sum = 0.0f;
        for (std::size_t i = 0; i < vectors.cols(); ++i) sum += vectors.row(a)[i] * vectors.row(b)[i];
        return sum;
    };
    std::cout << texts.size() << " texts, " << vectors.cols() << " numbers each; cosines:\n" << std::fixed;
    for (std::size_t a = 0; a < texts.size(); ++a) {
        for (std::size_t b = 0; b < texts.size(); ++b)
            std::cout << std::setw(7) << std::setprecision(2) << dot(a, b) / std::sqrt(dot(a, a) * dot(b, b));
        std::cout << "   " << texts[a] << '\n';
    }
}
