// What an item is about, in its own words: the phrases nearest to its whole text, without and with diversity.
// Any encoder will do; one trained for sentence similarity does best.
#include <iomanip>
#include <iostream>
#include <ranklet/encoders/bert.hpp>
#include <ranklet/tasks/keywords.hpp>
#include <string_view>

int main(int argc, char** argv) {
    const auto loaded = ranklet::Bert::load(argc > 1 ? argv[1] : "examples/models/demo-shop.gguf");
    if (!loaded.ok()) {
        std::cerr << loaded.error().message << '\n';
        return 1;
    }
    const std::string_view items[]{
        "Nordfell Four-Season Mountain Tent. The aluminium poles stand up to strong wind, and the floor is waterproof.",
        "Moccaro Espresso Machine with a milk frother: it heats up in half a minute and is easy to clean.",
        "索纳维 主动降噪蓝牙耳机，单次听歌八小时，风中通话也清晰。"};
    for (const std::string_view item : items) {
        std::cout << item << '\n' << std::fixed << std::setprecision(2);
        for (const float diversity : {0.0f, 0.6f}) {
            std::cout << (diversity == 0.0f ? "    nearest: " : "    diverse: ");
            const ranklet::KeywordOptions options{.k = 4, .diversity = diversity, .threads = 2};
            for (const auto& keyword : ranklet::extract_keywords(*loaded, item, options).value())
                std::cout << "  " << keyword.text << ' ' << keyword.score;
            std::cout << '\n';
        }
    }
}
