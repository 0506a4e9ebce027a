// What a text names (brands, models, products, colours and amounts) and what its words are (parts of speech), in
// English and Chinese. The models are BertForTokenClassification, converted by python3 -m weights_converter; others of
// that kind will do:  07_tag_text [ENTITIES.gguf [PARTS_OF_SPEECH.gguf [TEXT ...]]]
#include <iomanip>
#include <iostream>
#include <ranklet/tasks/token_classifier.hpp>
#include <string_view>
#include <vector>

int main(int argc, char** argv) {
    const auto entities = ranklet::TokenClassifier::load(argc > 1 ? argv[1] : "examples/models/shop-tagger.gguf");
    const auto words = ranklet::TokenClassifier::load(argc > 2 ? argv[2] : "examples/models/parts-of-speech.gguf");
    for (const auto* loaded : {&entities, &words})
        if (!loaded->ok()) {
            std::cerr << loaded->error().message << '\n';
            return 1;
        }
    std::vector<std::string_view> texts{"I bought the dark blue Nordfell rain jacket last week.",
                                        "Orvik N7 Pro, 256 GB, silver",
                                        "Tavko makes the best power bank, better than Keelo.",
                                        "我想买伊卡拉的头戴耳机，红色的有货吗？", "奥维克 N7 智能手机 128GB 白色"};
    if (argc > 3) texts.assign(argv + 3, argv + argc);

    // A word's label is its first piece's; B- and I- join words to spans (Hugging Face's "first"). Chinese is written
    // without spaces: there B- and I- are also what cuts it into words.
    const ranklet::TagOptions options{.aggregation = ranklet::TagAggregation::first, .threads = 2};
    const auto named = entities->tag(texts, options).value();
    const auto spoken = words->tag(texts, options).value();
    for (std::size_t t = 0; t < texts.size(); ++t) {
        const auto piece = [&](const ranklet::TaggedSpan& span) {
            return texts[t].substr(span.bytes.begin, span.bytes.end - span.bytes.begin);
        };
        std::cout << texts[t] << "\n   ";
        for (const auto& word : spoken[t]) std::cout << ' ' << piece(word) << '/' << word.label;
        std::cout << '\n';
        for (const auto& span : named[t])
            std::cout << "    " << std::left << std::setw(8) << span.label << std::fixed << std::setprecision(2)
                      << span.score << "  characters " << span.code_points.begin << " to " << span.code_points.end
                      << ": " << piece(span) << '\n';
    }
}
