// tf-idf and SIF: weights by hand, the common component against a closed form, and both put together.
#include "ranklet/encoders/word_weights.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/text/word_tokenizer.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::ErrorCode;
using ranklet::Matrix;
using ranklet::WordVectors;

const std::vector<std::string_view> texts{"the red phone", "the phone case, the case", "a book", "", "zebra 手机壳"};

WordVectors load() { return take(WordVectors::load("tests/parity/goldens/tiny-words.gguf")); }
std::size_t id(const WordVectors& words, std::string_view word) {
    return static_cast<std::size_t>(words.word_tokenizer()->id_of(word).value());
}
Matrix matrix(std::size_t rows, const std::vector<float>& values) {
    Matrix result = take(Matrix::zeroed(rows, values.size() / rows));
    std::copy(values.begin(), values.end(), result.view().data);
    return result;
}

}  // namespace

TEST_CASE("tokens are counted by occurrence and by text") {
    const auto words = load();
    const auto counts = take(count_tokens(words, texts));
    CHECK(counts.texts == 5);
    CHECK(counts.total == 12);  // the red phone, the phone case , the case, a book, 手机壳
    CHECK(counts.tokens[id(words, "the")] == 3);
    CHECK(counts.documents[id(words, "the")] == 2);
    CHECK(counts.documents[id(words, "case")] == 1);
    CHECK(counts.tokens[id(words, "camera")] == 0);
    const std::vector<std::string_view> broken{"a", "\xFF"};
    check_error(count_tokens(words, broken), ErrorCode::invalid_text, "text 1");
    CHECK(take(count_tokens(words, {})).total == 0);
}

TEST_CASE("idf is scikit-learn's smoothed one, and a text's vector the sum of tf times idf over its length") {
    const auto words = load();
    const auto weighted = take(with_tf_idf(words, texts));
    const auto weights = weighted.weights();
    CHECK(weights[id(words, "the")] == doctest::Approx(std::log(6.0 / 3.0) + 1));
    CHECK(weights[id(words, "case")] == doctest::Approx(std::log(6.0 / 2.0) + 1));
    CHECK(weights[id(words, "camera")] == doctest::Approx(std::log(6.0) + 1));
    const auto the = take(words.encode("the")), phone = take(words.encode("phone")),
               found = take(weighted.encode("the phone the"));
    for (std::size_t i = 0; i < words.dim(); ++i)
        CHECK(found[i] == doctest::Approx((2 * (std::log(2.0) + 1) * the[i] + (std::log(2.0) + 1) * phone[i]) / 3));
}

TEST_CASE("SIF weighs a word by a / (a + its share of all words)") {
    const auto words = load();
    const auto weights = take(sif_weights(take(count_tokens(words, texts)), 0.01f));
    CHECK(weights[id(words, "the")] == doctest::Approx(0.01 / (0.01 + 3.0 / 12.0)));
    CHECK(weights[id(words, "camera")] == 1.0f);
    for (const float a : {0.0f, -1.0f, quiet_nan, infinity})
        check_error(sif_weights(take(count_tokens(words, texts)), a), ErrorCode::invalid_argument, "SIF");
    for (const float weight : take(sif_weights(take(count_tokens(words, {})), 0.01f))) CHECK(weight == 1.0f);
}

TEST_CASE("the common component is the first right singular vector, whatever the scale, and none of zeros") {
    // X^T X = [[29, 2], [2, 26]]: its larger eigenvalue is 30, of the vector (2, 1) / sqrt(5).
    for (const float scale : {1.0f, 1e-18f, 1e15f, 8e37f, 1e-38f}) {
        const Matrix x = matrix(3, {3 * scale, 4 * scale, -2 * scale, 3 * scale, 4 * scale, -1 * scale});
        const Matrix found = take(ranklet::common_component(x.view()));
        REQUIRE(found.rows() == 1);
        CHECK(std::abs(found.row(0)[0]) == doctest::Approx(2 / std::sqrt(5.0)).epsilon(1e-5));
        CHECK(found.row(0)[0] / found.row(0)[1] == doctest::Approx(2.0).epsilon(1e-5));
    }
    const Matrix only = matrix(1, {3, 0, -4});
    CHECK(take(ranklet::common_component(only.view())).row(0)[2] == doctest::Approx(-0.8));
    CHECK(take(ranklet::common_component(take(Matrix::zeroed(3, 2)).view())).rows() == 0);
    CHECK(take(ranklet::common_component(Matrix().view())).rows() == 0);
    check_error(ranklet::common_component(matrix(2, {1, 2, quiet_nan, 1}).view()), ErrorCode::invalid_argument,
                "row 1");
}

TEST_CASE("with SIF the catalog's texts have nothing along their common component; empty texts stay zero") {
    const auto words = load();
    const auto sif = take(with_sif(words, texts, {.a = 0.01f}));
    const auto plain = take(with_sif(words, texts, {.a = 0.01f, .remove_component = false}));
    const Matrix before = take(plain.encode(texts)), after = take(sif.encode(texts));
    const Matrix component = take(ranklet::common_component(before.view()));
    for (std::size_t t = 0; t < texts.size(); ++t) {
        double along = 0.0, was = 0.0;
        for (std::size_t i = 0; i < words.dim(); ++i) {
            along += static_cast<double>(after.row(t)[i]) * static_cast<double>(component.row(0)[i]);
            was += static_cast<double>(before.row(t)[i]) * static_cast<double>(component.row(0)[i]);
            CHECK(std::isfinite(after.row(t)[i]));
        }
        CHECK(std::abs(along) < 1e-6);
        if (t < 3) CHECK(std::abs(was) > 1e-4);
    }
    for (const float x : after.row(3)) CHECK(x == 0.0f);
    // Applied again, it starts from the words, not from what was taken away.
    CHECK(take(take(with_sif(sif, texts, {.a = 0.01f})).encode(texts[0])) == take(sif.encode(texts[0])));
    CHECK(take(take(with_sif(words, {})).encode("the phone")).size() == words.dim());
}
