// Labels to spans: schemes with ends, sequences that a scheme does not allow, wrong arguments. What Hugging Face's own
// reading gives is compared with a reference in tests/parity/classifiers_test.cpp.
#include "ranklet/text/tagged_spans.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using ranklet::TagAggregation;
using ranklet::TagOptions;
using ranklet::TagScheme;

/// One character a token with these labels, all probabilities 1: spans as "LABEL[begin,end)".
std::string read(const std::vector<std::string>& tags, TagScheme scheme,
                 TagAggregation aggregation = TagAggregation::simple) {
    std::vector<float> scores(tags.size() * tags.size(), 0.0f);
    std::vector<ranklet::TagToken> tokens;
    for (std::size_t i = 0; i < tags.size(); ++i) {
        scores[i * tags.size() + i] = 1.0f;
        const auto at = static_cast<std::uint32_t>(i);
        tokens.push_back({{at, at + 1}, false, i});
    }
    TagOptions options;
    options.scheme = scheme;
    options.aggregation = aggregation;
    const auto spans = ranklet::merge_tags(std::string(tags.size(), 'x'), tokens,
                                           {scores.data(), tags.size(), tags.size()}, tags, options);
    REQUIRE(spans.ok());
    std::string out;
    for (const auto& span : *spans)
        out += (out.empty() ? "" : " ") + span.label + "[" + std::to_string(span.bytes.begin) + "," +
               std::to_string(span.bytes.end) + ")";
    return out;
}

}  // namespace

TEST_CASE("BIOES: begin, inside, end, single; BILOU's letters too") {
    CHECK(read({"B-A", "I-A", "E-A", "O", "S-B", "S-B"}, TagScheme::bioes) == "A[0,3) B[4,5) B[5,6)");
    CHECK(read({"B-A", "I-A", "L-A", "O", "U-B", "U-B"}, TagScheme::bioes) == "A[0,3) B[4,5) B[5,6)");
    CHECK(read({"B-A", "E-A", "B-A", "E-A"}, TagScheme::bioes) == "A[0,2) A[2,4)");
    CHECK(read({"B-A", "I-A", "B-A"}, TagScheme::bioes) == "A[0,2) A[2,3)");
}

TEST_CASE("BMES: begin, middle, end, single, as Chinese corpora have it") {
    CHECK(read({"B-NAME", "M-NAME", "E-NAME", "O", "S-RACE", "B-ORG", "E-ORG"}, TagScheme::bmes) ==
          "NAME[0,3) RACE[4,5) ORG[5,7)");
    CHECK(read({"W-A", "B-A", "E-A"}, TagScheme::bmes) == "A[0,1) A[1,3)");
}

TEST_CASE("a sequence that its scheme does not allow is read as far as it goes") {
    CHECK(read({"I-A", "E-A", "O"}, TagScheme::bioes) == "A[0,2)");         // no beginning
    CHECK(read({"O", "E-A", "I-A"}, TagScheme::bioes) == "A[1,2) A[2,3)");  // an end alone, then a new one
    CHECK(read({"B-A", "I-B", "E-A"}, TagScheme::bioes) == "A[0,1) B[1,2) A[2,3)");
    CHECK(read({"B-A", "O", "E-A"}, TagScheme::bioes) == "A[0,1) A[2,3)");
    CHECK(read({"B-A", "S-A", "E-A"}, TagScheme::bioes) == "A[0,1) A[1,2) A[2,3)");
    CHECK(read({"A", "A", "B-A", "A"}, TagScheme::bioes) == "A[0,2) A[2,3) A[3,4)");  // a label without prefix
}

TEST_CASE("Hugging Face's own reading knows B- and I- alone: other prefixes are cut off, not understood") {
    CHECK(read({"B-A", "M-A", "E-A"}, TagScheme::hugging_face) == "A[0,1) A[1,2) A[2,3)");
    CHECK(read({"E-A", "E-A", "S-A"}, TagScheme::hugging_face) == "A[0,2) A[2,3)");
    CHECK(read({"I-A", "I-A", "B-A", "A"}, TagScheme::hugging_face) == "A[0,2) A[2,4)");
    CHECK(read({"B-A-B", "I-A-B", "x-ray"}, TagScheme::hugging_face) == "A-B[0,2) ray[2,3)");
    CHECK(read({"B-A", "I-A"}, TagScheme::hugging_face, TagAggregation::none) == "B-A[0,1) I-A[1,2)");
}

TEST_CASE("plain labels stay whole and each its own span") {
    CHECK(read({"NOUN", "NOUN", "B-X"}, TagScheme::plain) == "NOUN[0,1) NOUN[1,2) B-X[2,3)");
    CHECK(read({"NOUN", "NOUN", "VERB"}, TagScheme::hugging_face) == "NOUN[0,2) VERB[2,3)");
}

TEST_CASE("spans written as BIOES, BMES or BIO tags are read back") {
    std::mt19937 random(4);
    const auto below = [&](std::size_t n) { return random() % n; };
    for (const TagScheme scheme : {TagScheme::bioes, TagScheme::bmes, TagScheme::hugging_face}) {
        const std::string inside = scheme == TagScheme::bmes ? "M-" : "I-";
        const bool with_ends = scheme != TagScheme::hugging_face;
        for (int n = 0; n < 200; ++n) {
            std::vector<std::string> tags;
            std::string expected;
            for (std::size_t s = below(6); s > 0; --s) {
                tags.insert(tags.end(), below(3), "O");
                const std::string type(1, static_cast<char>('P' + static_cast<char>(below(3))));
                const std::size_t length = 1 + below(4), begin = tags.size();
                for (std::size_t i = 0; i < length; ++i) {
                    const bool first = i == 0, last = i + 1 == length;
                    tags.push_back((with_ends && first && last ? "S-"
                                    : first                    ? "B-"
                                    : with_ends && last        ? "E-"
                                                               : inside) +
                                   type);
                }
                expected += (expected.empty() ? "" : " ") + type + "[" + std::to_string(begin) + "," +
                            std::to_string(begin + length) + ")";
            }
            if (tags.empty()) tags.emplace_back("O");
            CHECK(read(tags, scheme) == expected);
        }
    }
}

TEST_CASE("sizes that do not fit, scores that are no numbers and places outside the text are errors") {
    const std::vector<std::string> labels{"O", "A"};
    const std::vector<float> scores{0.5f, 0.5f, 0.1f, 0.9f};
    const std::vector<ranklet::TagToken> tokens{{{0, 1}, false, 1}, {{2, 9}, false, 2}};
    const auto code = [](const auto& result) {
        return result.ok() ? std::string("fine") : std::string(to_string(result.error().code));
    };
    CHECK(code(ranklet::merge_tags("a b", tokens, {scores.data(), 1, 2}, labels)) == "invalid_argument");
    CHECK(code(ranklet::merge_tags("a b", tokens, {scores.data(), 2, 1}, labels)) == "invalid_argument");
    CHECK(code(ranklet::merge_tags("a b", tokens, {scores.data(), 2, 0}, {})) == "invalid_argument");
    CHECK(code(ranklet::merge_tags("a b", tokens, {scores.data(), 2, 2}, labels)) == "invalid_argument");
    CHECK(code(ranklet::merge_tags("a bcdefghi", tokens, {scores.data(), 2, 2}, labels)) == "fine");
    // Places of tokens whose label is left out, or that stand inside a span, are looked at as well.
    const std::vector<float> outside{0.1f, 0.9f, 0.9f, 0.1f}, all{0.1f, 0.9f, 0.1f, 0.9f, 0.1f, 0.9f};
    CHECK(code(ranklet::merge_tags("a b", tokens, {outside.data(), 2, 2}, labels)) == "invalid_argument");
    const std::vector<ranklet::TagToken> middle{{{0, 1}, false, 1}, {{9, 2}, false, 2}, {{2, 3}, false, 3}};
    CHECK(code(ranklet::merge_tags("a b", middle, {all.data(), 3, 2}, labels)) == "invalid_argument");
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        std::vector<float> broken = scores;
        broken[2] = bad;
        const auto result = ranklet::merge_tags("a bcdefghi", tokens, {broken.data(), 2, 2}, labels);
        CHECK(code(result) == "invalid_argument");
        if (!result.ok()) CHECK(result.error().message.find("token 1") != std::string::npos);
    }
}
