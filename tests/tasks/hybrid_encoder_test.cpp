// Dense, sparse and token vectors of one pass: against transformers' class in double precision, in batches, windows and
// threads; files that lack what they should have. goldens/hybrid is made by tests/parity/make_hybrid.py.
#include "ranklet/tasks/hybrid_encoder.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "parity/golden.hpp"
#include "ranklet/io/gguf_writer.hpp"
#include "results.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet;
using parity::check_close;
using parity::flat;
using parity::Golden;
using parity::take;
using ranklet_test::check_error;

const std::string path = "tests/parity/goldens/hybrid/tiny-m3.gguf";
constexpr HybridForms all{.sparse = true, .token_vectors = true};

std::span<const float> rows(MatrixView<const float> view) { return {view.data, view.rows * view.cols}; }

/// The file without these keys and tensors, with what `add` puts into it.
template <class Add>
Result<HybridEncoder> changed(const std::vector<std::string>& without, const Add& add) {
    RANKLET_ASSIGN(const GgufFile file, GgufFile::open(path));
    GgufWriter writer;
    RANKLET_TRY(writer.copy(file, [&](std::string_view name) {
        return std::find(without.begin(), without.end(), name) != without.end();
    }));
    add(writer);
    RANKLET_ASSIGN(const auto bytes, writer.bytes());
    return HybridEncoder::from_memory(bytes, {});
}
const auto nothing = [](GgufWriter&) {};

}  // namespace

TEST_CASE("one pass gives the dense vectors, sparse weights and token vectors of transformers' class") {
    const Golden golden("hybrid/tiny-m3.golden.gguf");
    const auto model = take(HybridEncoder::load(path));
    CHECK(model.has_sparse());
    CHECK(model.token_dim() == 6);
    const auto texts = take(golden.file().strings("golden.texts"));
    const auto found = take(model.encode(std::span<const std::string_view>(texts), all));
    check_close(flat(found.dense), take(golden.file().floats("golden.dense")), "dense");
    check_close(flat(found.token_vectors), take(golden.file().floats("golden.token_vectors")), "token vectors");
    const auto counts = take(golden.file().i32s("golden.counts")), ids = take(golden.file().i32s("golden.ids"));
    const auto row_counts = take(golden.file().i32s("golden.rows"));
    const auto weights = take(golden.file().floats("golden.weights"));
    const auto lexical = take(golden.file().floats("golden.lexical")), late = take(golden.file().floats("golden.late"));
    REQUIRE(found.sparse.size() == texts.size());
    std::size_t at = 0;
    for (std::size_t t = 0; t < texts.size(); ++t) {
        CAPTURE(texts[t]);
        CHECK(found.tokens_of(t).rows == static_cast<std::size_t>(row_counts[t]));
        REQUIRE(found.sparse[t].size() == static_cast<std::size_t>(counts[t]));
        for (const TokenWeight& each : found.sparse[t]) {
            CHECK(each.id == ids[at]);
            CHECK(std::abs(each.weight - weights[at]) < 1e-5f);
            ++at;
        }
        for (std::size_t u = 0; u < texts.size(); ++u) {
            const std::size_t pair = t * texts.size() + u;
            CHECK(std::abs(lexical_score(found.sparse[t], found.sparse[u]) - lexical[pair]) <
                  1e-5f * std::max(1.0f, lexical[pair]));
            CHECK(std::abs(late_interaction_score(found.tokens_of(t), found.tokens_of(u)) - late[pair]) < 1e-5f);
        }
    }
    CHECK(at == ids.size());
    CHECK(at > 12);
}

TEST_CASE("the dense vector is the Bert's; a text has the same bits alone, in a batch, and with threads") {
    const auto model = take(HybridEncoder::load(path));
    const auto bert = take(Bert::load(path));
    std::vector<std::string> texts;
    for (int i = 0; i < 40; ++i) texts.push_back(i % 3 == 0 ? "red phone case" : "a new camera " + std::to_string(i));
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    BatchOptions threads;
    threads.threads = ranklet_test::finely(2);
    const auto together = take(model.encode(views, all, threads));
    CHECK(std::ranges::equal(flat(together.dense), flat(take(bert.encode(views)))));
    for (std::size_t t = 0; t < texts.size(); ++t) {
        const auto alone = take(model.encode({views[t]}, all));
        CHECK(std::ranges::equal(alone.dense.row(0), together.dense.row(t)));
        CHECK(alone.sparse[0] == together.sparse[t]);
        CHECK(std::ranges::equal(rows(alone.tokens_of(0)), rows(together.tokens_of(t))));
    }
    const auto sparse = take(model.encode(views));
    CHECK(sparse.sparse == together.sparse);
    CHECK(sparse.token_offsets.empty());
    CHECK(take(model.encode(views, {.sparse = false})).sparse.empty());
}

TEST_CASE("a token weighs the most that it weighs anywhere in the text; in windows all of the text is read") {
    const auto model = take(HybridEncoder::load(path));
    std::string text;
    for (int i = 0; i < 30; ++i) text += "red phone case new camera ";
    const std::string whole = text + "coffee";
    const auto cut = take(model.encode({whole}, all));
    CHECK(cut.tokens_of(0).rows == model.bert().max_length() - 1);
    BatchOptions options;
    options.windows = Windows{};
    const auto read = take(model.encode({whole, "coffee"}, all, options));
    CHECK(read.tokens_of(0).rows == 30 * 5 + 2);
    CHECK(read.tokens_of(1).rows == 2);
    // Every row of the text is there: none is zero, all have length 1.
    for (std::size_t r = 0; r < read.tokens_of(0).rows; ++r) {
        const auto row = read.tokens_of(0).row(r);
        CHECK(std::abs(kernels::Ops<float>::dot(row.data(), row.data(), row.size()) - 1.0f) < 1e-5f);
    }
    std::map<std::int32_t, int> seen;
    for (const TokenWeight& each : read.sparse[0]) CHECK(++seen[each.id] == 1);
    CHECK(!read.sparse[0].empty());
    CHECK(std::ranges::is_sorted(read.sparse[0], {}, &TokenWeight::id));
}

TEST_CASE("scores of pairs by hand") {
    const std::vector<TokenWeight> a{{2, 0.5f}, {5, 2.0f}, {9, 1.0f}}, b{{1, 7.0f}, {5, 0.25f}, {9, 3.0f}, {11, 4.0f}};
    CHECK(lexical_score(a, b) == 3.5f);
    CHECK(lexical_score(b, a) == 3.5f);
    CHECK(lexical_score(a, {}) == 0.0f);
    const std::vector<float> query{1, 0, 0, 1}, document{0.5f, 0, 0, 0.25f, 1, -1};
    CHECK(late_interaction_score({query.data(), 2, 2}, {document.data(), 3, 2}) == 0.625f);
    CHECK(late_interaction_score({query.data(), 2, 2}, {document.data(), 0, 2}) == 0.0f);
}

TEST_CASE("what a file lacks, and what is no text") {
    check_error(HybridEncoder::load("tests/parity/goldens/tiny-dense.gguf"), ErrorCode::missing,
                "no tensor ranklet.sparse.weight");
    check_error(changed({"ranklet.sparse.skipped_ids"}, nothing), ErrorCode::missing, "ranklet.sparse.skipped_ids");
    check_error(changed({"ranklet.sparse.skipped_ids"},
                        [](GgufWriter& writer) {
                            const std::vector<std::int32_t> ids{0, 4000};
                            writer.array("ranklet.sparse.skipped_ids", std::span<const std::int32_t>(ids));
                        }),
                ErrorCode::format, "has 4000, which is no token");
    check_error(changed({"ranklet.token_vectors.normalize"}, nothing), ErrorCode::missing, "normalize");
    check_error(changed({"ranklet.selftest.token_weights"}, nothing), ErrorCode::missing, "token_weights");
    check_error(changed({"ranklet.sparse.bias"}, nothing), ErrorCode::self_test, "token_weights");
    const auto dense_and_tokens = take(changed({"ranklet.sparse.weight"}, nothing));
    check_error(dense_and_tokens.encode({"a"}), ErrorCode::unsupported, "no sparse weights");
    const auto sparse = take(changed({"ranklet.token_vectors.weight"}, nothing));
    check_error(sparse.encode({"a"}, all), ErrorCode::unsupported, "no token vectors");
    check_error(sparse.encode({"a", "\xFF"}), ErrorCode::invalid_text, "text 1");
    check_error(HybridEncoder().encode({"a"}), ErrorCode::invalid_argument, "empty");
}
