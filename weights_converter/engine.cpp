// The library behind weights_converter --check: what a model file makes of texts.
// In: MODEL TEXTS OUT, and a prompt's name if one is wanted. TEXTS: each text ends with a zero byte; of a pair the first ends
// with the byte 30. Out: OUT, f32, row after row; on stdout what the rows are, how many they are, their size, and of a tagger
// the tokens of each text.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <ranklet/core/thread_pool.hpp>
#include <ranklet/encoders/bert.hpp>
#include <ranklet/encoders/word_vectors.hpp>
#include <ranklet/io/gguf.hpp>
#include <ranklet/model_file/reader.hpp>
#include <ranklet/tasks/sequence_classifier.hpp>
#include <ranklet/tasks/token_classifier.hpp>
#include <string>
#include <string_view>
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

void write(std::ostream& out, const ranklet::Matrix& rows) {
    const auto view = rows.view();
    for (std::size_t r = 0; r < view.rows; ++r)
        out.write(reinterpret_cast<const char*>(view.row(r).data()),
                  static_cast<std::streamsize>(view.cols * sizeof(float)));
}

std::vector<std::string_view> split(std::string_view text, char end) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const std::size_t size = std::min(text.find(end), text.size());
        parts.push_back(text.substr(0, size));
        text.remove_prefix(std::min(size + 1, text.size()));
    }
    return parts;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::cerr << "usage: engine MODEL TEXTS OUT [PROMPT]\n";
        return 2;
    }
    std::ifstream file(argv[2], std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(file), {}};
    const std::vector<std::string_view> texts = split(content, '\0');
    std::vector<ranklet::TextPair> pairs;
    for (const std::string_view text : texts)
        if (const std::size_t middle = text.find('\x1e'); middle != text.npos)
            pairs.push_back({text.substr(0, middle), text.substr(middle + 1)});
    std::ofstream out(argv[3], std::ios::binary);

    const ranklet::ModelReader model(take(ranklet::GgufFile::open(argv[1])));
    const std::string_view encoder = take(model.string_or("ranklet.encoder.type", "bert"));
    const std::string_view classifier = take(model.string_or("ranklet.classifier.kind", ""));
    ranklet::ThreadPool pool;
    ranklet::BatchOptions options;
    options.threads = pool;
    if (argc > 4) options.prompt = argv[4];
    ranklet::Matrix rows;
    std::vector<std::size_t> tokens;
    const char* what = "vectors";
    if (classifier == "sequence") {
        what = "scores";
        const auto loaded = take(ranklet::SequenceClassifier::load(argv[1]));
        rows = pairs.empty() ? take(loaded.classify(texts, options)) : take(loaded.classify(pairs, options));
    } else if (classifier == "token") {
        what = "tokens";
        const auto loaded = take(ranklet::TokenClassifier::load(argv[1]));
        std::size_t total = 0;
        for (const std::string_view text : texts) {
            const ranklet::Matrix logits = take(loaded.logits(text));
            tokens.push_back(logits.rows());
            total += logits.rows();
            write(out, logits);
        }
        std::cout << what << ' ' << total << ' ' << loaded.labels().size() << '\n';
        for (const std::size_t count : tokens) std::cout << count << '\n';
    } else if (encoder == "word_vectors") {
        rows = take(take(ranklet::WordVectors::load(argv[1])).encode(texts, options));
    } else {
        rows = take(take(ranklet::Bert::load(argv[1])).encode(texts, options));
    }
    if (tokens.empty()) {
        write(out, rows);
        std::cout << what << ' ' << rows.rows() << ' ' << rows.cols() << '\n';
    }
    return out.flush() ? 0 : 1;
}
