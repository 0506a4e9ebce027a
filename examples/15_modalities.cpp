// Several modalities: an item brings a vector that was computed elsewhere, of its picture, say; the model joins it to
// the title's by a gated sum. A picture that is missing has a meaning: the vector that the model learned for it. (The
// model is trained on made news and made pictures: examples/training/train_news.py --images.)
#include <array>
#include <iostream>
#include <ranklet/ranklet.hpp>
#include <vector>

int main() {
    const auto model = ranklet::Recommender::load("examples/models/news-pictures.gguf").value();
    // What an image model might give: here two of eight numbers are high for each section.
    const std::array<float, 8> stadium{1.1f, 0.9f, 0.1f, -0.2f, 0.0f, 0.2f, -0.1f, 0.1f};
    const std::array<float, 8> chart{0.1f, -0.1f, 0.9f, 1.2f, 0.1f, 0.0f, 0.2f, -0.2f};
    const std::array<float, 8> clouds{-0.2f, 0.1f, 0.0f, 0.1f, 1.0f, 1.1f, 0.0f, 0.2f};
    const ranklet::ItemVector of_stadium{"image", stadium}, of_chart{"image", chart}, of_clouds{"image", clouds};

    const std::vector<ranklet::Item> items{
        {"final", "rovers beat united in the cup final"},
        {"signing", "striker signs for athletic"},
        {"watch-stadium", "watch this!", {}, std::span(&of_stadium, 1)},  // the title says nothing, the picture does
        {"watch-chart", "watch this!", {}, std::span(&of_chart, 1)},
        {"watch-clouds", "watch this!", {}, std::span(&of_clouds, 1)},
        {"watch", "watch this!"},
    };
    const auto catalog = model.encode_catalog(items).value();

    auto user = model.new_user();
    user.observe(catalog.at("final")).value();
    user.observe(catalog.at("signing")).value();
    std::cout << "After two titles about football, among items whose title says nothing:\n";
    for (const auto& r : model.recommend(user, catalog, {.exclude_seen = true}).value())
        std::cout << "    " << r.id << "  " << r.score << '\n';

    // The user tower weighs events by attention: what each added to the best item's score, and its weight.
    const auto best = model.recommend(user, catalog, {.k = 1, .exclude_seen = true}).value()[0];
    std::cout << "Why " << best.id << ":\n";
    for (const auto& e : ranklet::explain_events(model, user, catalog, best.id).value())
        std::cout << "    " << e.id << " added " << e.contribution << ", attention " << e.attention << '\n';
}
