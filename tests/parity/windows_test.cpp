// Long texts read in windows against transformers and sentence-transformers: goldens/windows.golden.gguf.
#include "parity/golden.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/tasks/sequence_classifier.hpp"
#include "ranklet/tasks/token_classifier.hpp"

namespace {

using namespace parity;

std::string model_path(const std::string& name) { return "tests/parity/goldens/" + name + ".gguf"; }

ranklet::Windows windows_of(const Golden& golden, const char* task,
                            ranklet::WindowScores scores = ranklet::WindowScores::mean) {
    return {take(golden.file().u32(std::string(task) + ".overlap")), scores};
}

}  // namespace

TEST_CASE("a tagger's tokens have the labels of the windows with the most context") {
    const Golden golden("windows.golden.gguf");
    const auto texts = take(golden.file().strings("golden.texts"));
    const auto model = take(ranklet::TokenClassifier::load(model_path("tiny-tokens")));
    ranklet::TagOptions options;
    options.aggregation = ranklet::TagAggregation::none;
    options.ignore = {};
    options.windows = windows_of(golden, "tagger");
    std::vector<ranklet::TextRead> read(texts.size());
    options.read = read;
    const auto found = take(model.tag(std::span<const std::string_view>(texts), options));
    for (std::size_t t = 0; t < texts.size(); ++t) {
        CAPTURE(t);
        const std::string name = "tagger.scores." + std::to_string(t);
        const auto scores = golden.vector(name);  // of [CLS], the tokens and [SEP]
        const std::size_t labels = model.labels().size(), tokens = scores.size() / labels - 2;
        CHECK(read[t].whole);
        CHECK(read[t].bytes == texts[t].size());
        CHECK(read[t].tokens == tokens);
        CHECK(read[t].windows == take(golden.file().u32("tagger.windows." + std::to_string(t))));
        REQUIRE(found[t].size() == tokens);
        for (std::size_t i = 0; i < tokens; ++i) {
            const auto row = std::span(scores).subspan((i + 1) * labels, labels);
            const auto best = static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
            CHECK(found[t][i].label == model.labels()[best]);
            CHECK(static_cast<double>(found[t][i].score) ==
                  doctest::Approx(static_cast<double>(row[best])).epsilon(1e-5));
            CHECK(found[t][i].token == i + 1);
        }
    }
    CHECK(read.back().windows > 4);
}

TEST_CASE("a classifier's logits are the mean or the greatest of the windows', of texts and of pairs") {
    const Golden golden("windows.golden.gguf");
    const auto texts = take(golden.file().strings("golden.texts"));
    const auto indices = take(golden.file().i32s("golden.pairs"));
    std::vector<ranklet::TextPair> pairs;
    for (std::size_t p = 0; p < indices.size(); p += 2)
        pairs.push_back({texts[static_cast<std::size_t>(indices[p])], texts[static_cast<std::size_t>(indices[p + 1])]});
    const auto model = take(ranklet::SequenceClassifier::load(model_path("tiny-cross-encoder")));
    for (const bool max : {false, true}) {
        ranklet::BatchOptions options;
        options.windows =
            windows_of(golden, "classifier", max ? ranklet::WindowScores::max : ranklet::WindowScores::mean);
        const std::string rule = max ? ".max" : ".mean";
        check_close(flat(take(model.logits(std::span<const std::string_view>(texts), options))),
                    golden.vector("classifier.texts" + rule), "texts" + rule);
        check_close(flat(take(model.logits(std::span<const ranklet::TextPair>(pairs), options))),
                    golden.vector("classifier.pairs" + rule), "pairs" + rule);
    }
}

TEST_CASE("a text's vector is made of the windows' pooled states by their numbers of tokens") {
    const Golden golden("windows.golden.gguf");
    const auto texts = take(golden.file().strings("golden.texts"));
    const auto model = take(ranklet::Bert::load(model_path("tiny-dense")));
    ranklet::BatchOptions options;
    options.windows = windows_of(golden, "encoder");
    options.prompt = "";
    check_close(flat(take(model.encode(std::span<const std::string_view>(texts), options))),
                golden.vector("encoder.vectors"), "vectors");
}
