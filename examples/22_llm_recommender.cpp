// A language model as the encoder of items and of what users say, twice: as it comes, ranking by what a user met (nothing is
// trained), and under a GRU that was trained over its vectors.
//   22_llm_recommender [MODEL.gguf [ITEMS]]
// MODEL: Qwen3-Embedding, say, as weights_converter writes it, or with a GRU what examples/training/train_over_encoder.py
// makes of it. The model's instruction is its prompt for queries. Without one: the demo shop's own small encoder and GRU.
#include <iomanip>
#include <iostream>
#include <ranklet/decoders/dot_product.hpp>
#include <ranklet/fit/item_file.hpp>
#include <ranklet/ranklet.hpp>
#include <string>
#include <vector>

#include "shop.hpp"

namespace {

void recommend(const char* how, const ranklet::Recommender& loaded, const ranklet::ItemFile& file) {
    const auto model = loaded.with_queries(loaded).value();  // what a user says is read as a query: with the instruction
    std::vector<ranklet::Item> items;
    for (std::size_t i = 0; i < file.size(); ++i) items.emplace_back(file.ids()[i], file.rows()[i].text);
    const auto catalog = model.encode_catalog(items, {.threads = 2}).value();

    auto user = model.new_user();
    user.observe(catalog.at(file.ids()[0])).value();
    user.observe(catalog.at(file.ids()[file.size() / 2])).value();
    user.observe_text("something warm for a night in a tent").value();
    std::cout << how << '\n' << std::fixed << std::setprecision(4);
    for (const auto& each : model.recommend(user, catalog, {.k = 5, .exclude_seen = true}).value())
        std::cout << std::setw(9) << each.score << std::setw(8) << each.probability << "  " << shop::fit(each.id, 22)
                  << shop::fit(file.rows()[each.index].text, 60) << '\n';
}

}  // namespace

int main(int argc, char** argv) {
    const std::string path = argc > 1 ? argv[1] : "examples/models/demo-shop.gguf";
    try {
        ranklet::ItemFileOptions columns;
        columns.texts = {"title", "description"};
        const auto file =
            ranklet::ItemFile::read(argc > 2 ? argv[2] : "examples/data/catalog.tsv", columns).value();
        ranklet::LoadOptions day_one;
        day_one.blend = {{"history"}};  // in place of what the file ranks with
        recommend("by what the user met:", ranklet::Recommender::load(path, day_one).value(), file);
        const auto model = ranklet::Recommender::load(path).value();
        if (model.as<ranklet::DotProduct>() != nullptr)
            recommend("by the GRU:", model, file);
        else
            std::cout << "no GRU in it: examples/training/train_over_encoder.py trains one\n";
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
