// The founding model: an item's text goes through BERT, a GRU runs over its token states, a linear layer at the last
// token gives the score, softmax over the candidates. Converted from a PyTorch state_dict (model.pth) by
//   python3 -m weights_converter CHECKPOINT examples/models/founding.gguf
#include <iomanip>
#include <iostream>
#include <ranklet/ranklet.hpp>
#include <vector>

int main(int argc, char** argv) {
    const auto model = ranklet::Recommender::load(argc > 1 ? argv[1] : "examples/models/founding.gguf").value();
    const std::vector<ranklet::Item> candidates{{"手机壳", "手机保护壳 防摔 透明"},
                                                {"充电器", "手机快速充电器 65W"},
                                                {"帐篷", "双人帐篷 防雨 露营"},
                                                {"coffee", "Espresso coffee beans, dark roast, 1 kg"},
                                                {"case", "Slim phone case with a soft lining"}};
    const auto catalog = model.encode_catalog(candidates).value();

    auto user = model.new_user();
    user.observe_text("手机").value();  // the GRU ran over 手机: its state is where each candidate starts
    std::cout << "After \"手机\":\n" << std::fixed << std::setprecision(3);
    for (const auto& r : model.recommend(user, catalog, {.k = 5}).value())
        std::cout << "  " << std::setw(7) << r.score << "  p " << r.probability << "  " << r.id << '\n';

    std::cout << "From the zero state (nobody's history):\n";
    for (const auto& r : model.recommend(user, catalog, {.k = 5, .initial_state = ranklet::InitialState::zero}).value())
        std::cout << "  " << std::setw(7) << r.score << "  p " << r.probability << "  " << r.id << '\n';

    std::cout << "The score of 手机保护壳 after each of its tokens:";
    for (const float score : model.position_scores(user, "手机保护壳").value()) std::cout << ' ' << score;
    std::cout << '\n';
}
