// The real configurations (MiniLM, bge, BERT-base, DistilBERT) through the converter and the library, against Hugging
// Face's tokenizers, ONNX Runtime and PyTorch on the same weights. Needs the material of onnx/run.sh; skips without it.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "parity/golden.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/text/wordpiece.hpp"
#include "threads.hpp"

namespace {

using namespace parity;

std::vector<std::string> read_lines(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
}

std::vector<float> read_floats(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<float> values(static_cast<std::size_t>(std::filesystem::file_size(path)) / sizeof(float));
    file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(float)));
    return values;
}

/// Both oracles' answers: `tolerance` for PyTorch, which ran in float64; token states of ONNX Runtime carry its own
/// float32 rounding as well, up to as much again. Pooled vectors average that away.
struct Oracle {
    std::string name;
    double state_limit;
};
const std::vector<Oracle> oracles{{"onnx", 2 * tolerance}, {"torch", tolerance}};

void check_configuration(const std::string& name) {
    const std::string root = material_folder(), oracle = root + "/oracle/" + name + "/",
                      path = root + "/models/" + name + ".gguf";
    if (!std::filesystem::exists(path) || !std::filesystem::exists(oracle + "ids.txt")) {
        MESSAGE("skipped: no " << path << " (tests/parity/onnx/run.sh makes it)");
        return;
    }
    const auto bert = take(ranklet::Bert::load(path));
    const auto texts = read_lines(oracle + "texts.txt"), ids = read_lines(oracle + "ids.txt");
    REQUIRE(texts.size() == ids.size());
    REQUIRE(texts.size() >= 12);
    const std::vector<std::string_view> views(texts.begin(), texts.end());

    ranklet::EncodeOptions options;
    options.max_length = bert.max_length();
    ranklet::Encoding encoding;
    for (std::size_t t = 0; t < texts.size(); ++t) {
        REQUIRE(bert.tokenizer().encode(texts[t], options, encoding).ok());
        std::ostringstream found;
        for (std::size_t i = 0; i < encoding.ids.size(); ++i) found << (i == 0 ? "" : " ") << encoding.ids[i];
        CHECK_MESSAGE(found.str() == ids[t], name << ": token ids of text " << t);
    }

    ranklet::BatchOptions batch;
    batch.threads = ranklet_test::finely(2);
    const ranklet::Matrix vectors = take(bert.encode(std::span<const std::string_view>(views), batch));
    for (const Oracle& other : oracles) {
        if (!std::filesystem::exists(oracle + other.name + ".vectors.f32")) {
            MESSAGE("skipped: no answers of " << other.name << " for " << name);
            continue;
        }
        const auto expected = read_floats(oracle + other.name + ".vectors.f32");
        check_close(flat(vectors), expected, name + " vectors, " + other.name);
        double lowest = 1.0;
        for (std::size_t t = 0; t < texts.size(); ++t)
            lowest = std::min(lowest, cosine(vectors.row(t), {expected.data() + t * bert.dim(), bert.dim()}));
        CHECK_MESSAGE(lowest >= 0.99999, name << " cosine, " << other.name);

        const auto states = read_floats(oracle + other.name + ".states.f32");
        double worst = 0.0;
        std::size_t at = 0, t = 0;
        for (; at < states.size(); ++t) {
            const ranklet::Matrix own = take(bert.encode_tokens(texts[t]));
            REQUIRE(at + flat(own).size() <= states.size());
            worst = std::max(worst, worst_difference(flat(own), {states.data() + at, flat(own).size()}));
            at += flat(own).size();
        }
        CHECK_MESSAGE(worst <= other.state_limit, name << " token states, " << other.name << ": differ by " << worst);
        MESSAGE(name << " against " << other.name << ": vectors differ by " << worst_difference(flat(vectors), expected)
                     << ", token states by " << worst << ", lowest cosine 1 - " << 1.0 - lowest);
    }
}

}  // namespace

TEST_CASE("all-MiniLM-L6-v2 agrees with ONNX Runtime and PyTorch") { check_configuration("all-MiniLM-L6-v2"); }
TEST_CASE("bge-small-zh-v1.5 agrees with ONNX Runtime and PyTorch") { check_configuration("bge-small-zh-v1.5"); }
TEST_CASE("bert-base-uncased agrees with ONNX Runtime and PyTorch") { check_configuration("bert-base-uncased"); }
TEST_CASE("bert-base-chinese agrees with ONNX Runtime and PyTorch") { check_configuration("bert-base-chinese"); }
TEST_CASE("distilbert-base-uncased agrees with ONNX Runtime and PyTorch") {
    check_configuration("distilbert-base-uncased");
}
TEST_CASE("the tiny encoders agree with ONNX Runtime and PyTorch") {
    check_configuration("tiny-minilm");
    check_configuration("tiny-distilbert");
}
