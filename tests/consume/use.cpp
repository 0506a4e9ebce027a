// A program outside the project that uses a little of each part: text to tokens, scores to a ranked list.
#include <array>
#include <iostream>
#include <string_view>
#include <vector>

#include "ranklet/ranklet.hpp"

#ifdef RANKLET_COMPILED
bool refuses_what_is_no_model();  // in the other file
#else
static bool refuses_what_is_no_model() { return true; }
#endif

int main() {
    if (!refuses_what_is_no_model()) return 1;
    const std::vector<std::string_view> vocabulary{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "phone", "case", "##s"};
    ranklet::WordPieceConfig config;
    config.unk_id = 1;
    config.cls_id = 2;
    config.sep_id = 3;
    const auto tokenizer = ranklet::WordPiece::create(vocabulary, config).value();
    ranklet::Encoding encoding;
    tokenizer.encode("Phone cases", {}, encoding).value();
    std::cout << "tokens";
    for (const auto id : encoding.ids) std::cout << ' ' << id;

    std::array<float, 4> scores{0.0f, 2.0f, 2.0f, 1.0f};
    std::vector<std::uint32_t> best(3);
    ranklet::top_k(scores, best);
    ranklet::softmax(scores);
    std::cout << " best " << best[0] << ' ' << best[1] << ' ' << best[2] << " sum "
              << scores[0] + scores[1] + scores[2] + scores[3] << '\n';
}
