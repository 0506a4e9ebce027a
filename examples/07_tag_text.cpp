// What a text names: brands, models, products, colours and amounts, in English and Chinese, as an item's attributes.
// The model is a BertForTokenClassification, converted by python3 -m weights_converter; any other of that kind will do.
#include <iomanip>
#include <iostream>
#include <map>
#include <ranklet/encoders/token_classifier.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

int main(int argc, char** argv) {
    const auto loaded = ranklet::TokenClassifier::load(argc > 1 ? argv[1] : "examples/models/shop-tagger.gguf");
    if (!loaded.ok()) {
        std::cerr << loaded.error().message << '\n';
        return 1;
    }
    std::vector<std::string_view> texts{"I bought the dark blue Nordfell rain jacket last week.",
                                        "Orvik N7 Pro, 256 GB, silver",
                                        "Tavko makes the best power bank, better than Keelo.",
                                        "我想买伊卡拉的头戴耳机，红色的有货吗？", "奥维克 N7 智能手机 128GB 白色"};
    if (argc > 2) texts.assign(argv + 2, argv + argc);

    // A word's label is its first piece's; B- and I- join words to spans (Hugging Face's "first").
    const ranklet::TagOptions options{.aggregation = ranklet::TagAggregation::first, .threads = 2};
    const auto tagged = loaded->tag(texts, options).value();
    for (std::size_t t = 0; t < texts.size(); ++t) {
        std::cout << texts[t] << '\n';
        std::map<std::string, std::set<std::string>> attributes;  // what an item's filters would use
        for (const auto& span : tagged[t]) {
            const std::string named(texts[t].substr(span.bytes.begin, span.bytes.end - span.bytes.begin));
            std::cout << "    " << std::left << std::setw(8) << span.label << std::fixed << std::setprecision(2)
                      << span.score << "  characters " << span.code_points.begin << " to " << span.code_points.end
                      << ": " << named << '\n';
            attributes[span.label].insert(named);
        }
        std::cout << "    attributes:";
        for (const auto& [name, values] : attributes) {
            std::cout << ' ' << name << '=';
            for (const auto& value : values) std::cout << (value == *values.begin() ? "" : "|") << value;
        }
        std::cout << '\n';
    }
}
