// Classifiers of every form against PyTorch: goldens/NAME.gguf is the model, NAME.golden.gguf what PyTorch says.
#include "parity/golden.hpp"
#include "ranklet/tasks/sequence_classifier.hpp"
#include "ranklet/tasks/token_classifier.hpp"
#include "ranklet/text/utf8.hpp"

namespace {

using namespace parity;

std::string model_path(const std::string& name) { return "tests/parity/goldens/" + name + ".gguf"; }

constexpr std::array strategies{"none", "simple", "first", "average", "max"};

/// The golden's spans of one strategy, those of `case_index` from `at` on, which moves behind them.
void check_spans(const std::vector<ranklet::TaggedSpan>& found, const Golden& golden, const std::string& prefix,
                 std::size_t case_index, std::size_t& at, std::string_view text, double limit = tolerance) {
    const auto counts = take(golden.file().i32s(prefix + ".counts"));
    const auto labels = take(golden.file().strings(prefix + ".labels"));
    const auto scores = take(golden.file().floats(prefix + ".scores"));
    const auto starts = take(golden.file().i32s(prefix + ".starts"));
    const auto ends = take(golden.file().i32s(prefix + ".ends"));
    CAPTURE(prefix);
    CAPTURE(case_index);
    REQUIRE(found.size() == static_cast<std::size_t>(counts[case_index]));
    for (std::size_t s = 0; s < found.size(); ++s, ++at) {
        CHECK(found[s].label == labels[at]);
        CHECK(static_cast<double>(found[s].score) == doctest::Approx(static_cast<double>(scores[at])).epsilon(limit));
        CHECK(found[s].code_points.begin == static_cast<std::uint32_t>(starts[at]));
        CHECK(found[s].code_points.end == static_cast<std::uint32_t>(ends[at]));
        const auto before = text.substr(0, found[s].bytes.begin), inside = text.substr(0, found[s].bytes.end);
        CHECK(ranklet::utf8::count(before) == found[s].code_points.begin);
        CHECK(ranklet::utf8::count(inside) == found[s].code_points.end);
    }
}

}  // namespace

TEST_CASE("sequence classifiers agree with PyTorch: BERT, DistilBERT and a cross-encoder, texts and pairs") {
    for (const std::string name : {"tiny-sequence", "tiny-multi-label", "tiny-cross-encoder"}) {
        CAPTURE(name);
        const Golden golden(name + ".golden.gguf");
        const auto model = take(ranklet::SequenceClassifier::load(model_path(name)));
        const auto texts = take(golden.file().strings("golden.texts"));
        const std::span<const std::string_view> views(texts);
        check_close(flat(take(model.logits(views))), golden.vector("golden.logits"), name + " logits");
        check_close(flat(take(model.classify(views))), golden.vector("golden.scores"), name + " scores");
        const auto indices = take(golden.file().i32s("golden.pairs"));
        std::vector<ranklet::TextPair> pairs;
        for (std::size_t p = 0; p < indices.size(); p += 2)
            pairs.push_back(
                {texts[static_cast<std::size_t>(indices[p])], texts[static_cast<std::size_t>(indices[p + 1])]});
        const std::span<const ranklet::TextPair> both(pairs);
        check_close(flat(take(model.logits(both))), golden.vector("golden.pair_logits"), name + " pair logits");
        check_close(flat(take(model.classify(both))), golden.vector("golden.pair_scores"), name + " pair scores");
        for (const auto& pair : pairs) CHECK(take(model.classify(pair)).size() == model.labels().size());
    }
}

TEST_CASE("token classifiers agree with PyTorch, and their spans with the reference, aggregation by aggregation") {
    for (const std::string name : {"tiny-tokens", "tiny-tokens-distilbert"}) {
        CAPTURE(name);
        const Golden golden(name + ".golden.gguf");
        const auto model = take(ranklet::TokenClassifier::load(model_path(name)));
        const CloseTo close(model_path(name));
        const ranklet::Matrix expected = golden.matrix("golden.logits");
        std::size_t row = 0;
        for (const std::string_view text : take(golden.file().strings("golden.texts"))) {
            const ranklet::Matrix logits = take(model.logits(text));
            for (std::size_t i = 0; i < logits.rows(); ++i) close.check(logits.row(i), expected.row(row++), name);
        }
        CHECK(row == expected.rows());
        const auto texts = take(golden.file().strings("golden.tag_texts"));
        for (std::size_t a = 0; a < strategies.size(); ++a) {
            ranklet::TagOptions options;
            options.aggregation = static_cast<ranklet::TagAggregation>(a);
            const auto found = take(model.tag(std::span<const std::string_view>(texts), options));
            std::size_t at = 0;
            for (std::size_t t = 0; t < texts.size(); ++t)
                check_spans(found[t], golden, std::string("golden.spans.") + strategies[a], t, at, texts[t],
                            close.tolerance_of_one());
        }
    }
}

TEST_CASE("spans of random and awkward probabilities are the reference's, for every strategy") {
    const Golden golden("tagged_spans.gguf");
    const auto texts = take(golden.file().strings("texts"));
    const auto sets = take(golden.file().i32s("label_sets")), counts = take(golden.file().i32s("counts"));
    const auto begins = take(golden.file().u32s("begins")), ends = take(golden.file().u32s("ends"));
    const auto continues = take(golden.file().u32s("continues"));
    const auto scores = take(golden.file().floats("scores"));
    for (std::size_t a = 0; a < strategies.size(); ++a) {
        std::size_t token = 0, score = 0, at = 0;
        for (std::size_t c = 0; c < texts.size(); ++c) {
            const auto views = take(golden.file().strings("labels." + std::to_string(sets[c])));
            const std::vector<std::string> labels(views.begin(), views.end());
            const auto n = static_cast<std::size_t>(counts[c]);
            std::vector<ranklet::TagToken> tokens;
            for (std::size_t i = 0; i < n; ++i)
                tokens.push_back({{begins[token + i], ends[token + i]}, continues[token + i] != 0, i + 1});
            ranklet::TagOptions options;
            options.aggregation = static_cast<ranklet::TagAggregation>(a);
            const auto found =
                take(ranklet::merge_tags(texts[c], tokens, {scores.data() + score, n, labels.size()}, labels, options));
            check_spans(found, golden, std::string("spans.") + strategies[a], c, at, texts[c]);
            token += n;
            score += n * labels.size();
        }
        CHECK(token == begins.size());
        CHECK(score == scores.size());
        CHECK(at == take(golden.file().floats(std::string("spans.") + strategies[a] + ".scores")).size());
    }
}
