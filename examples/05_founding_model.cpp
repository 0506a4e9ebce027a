// The founding model: an item's text goes through BERT, a GRU runs over its token states, a linear layer at the last
// token gives the score, softmax over the candidates. Converted from a PyTorch state_dict (model.pth) by
//   python3 -m weights_converter CHECKPOINT examples/models/founding.gguf
#include <iomanip>
#include <iostream>
#include <ranklet/decoders/text_gru.hpp>
#include <ranklet/ranklet.hpp>
#include <vector>

int main(int argc, char** argv) {
    const auto model = ranklet::Recommender::load(argc > 1 ? argv[1] : "examples/models/founding.gguf").value();
    const std::vector<ranklet::Item> candidates{{"手机", "路美诺 Aria 3 智能手机 256GB 冰川蓝"},
                                                {"phone", "Tavko P20 Smartphone, 256 GB, Ice Blue"},
                                                {"tent", "Nordfell Four-Season Mountain Tent"},
                                                {"stove", "Campelo Portable Gas Stove"},
                                                {"coffee", "Torrefa Decaf Coffee Beans, 250 g"}};
    const auto catalog = model.encode_catalog(candidates).value();
    const auto print = [&](const auto& user, const ranklet::RecommendOptions& options) {
        std::cout << std::fixed << std::setprecision(3);
        for (const auto& r : model.recommend(user, catalog, options).value())
            std::cout << "  " << std::setw(7) << r.score << "  p " << r.probability << "  " << r.id << '\n';
    };

    for (const char* query : {"phone", "手机", "camping"}) {
        auto user = model.new_user();
        user.observe_text(query).value();  // the GRU ran over the query: its state is where each candidate starts
        std::cout << "After \"" << query << "\":\n";
        print(user, {.k = 5});
    }
    const auto nobody = model.new_user();
    std::cout << "From the zero state (no history):\n";
    print(nobody, {.k = 5, .initial_state = ranklet::InitialState::zero});

    std::cout << "The score of 手机 after each of its tokens ([CLS] ... [SEP]):";
    for (const float score :
         model.as<ranklet::TextGru>()->position_scores(model.encoder(), nobody.state(), "手机").value())
        std::cout << ' ' << score;
    std::cout << '\n';
}
