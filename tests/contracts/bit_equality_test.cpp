// A text's and a user's numbers have the same bits in any batch, in any order and with any number of threads.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::BatchOptions;
using ranklet::Bert;
using ranklet::Catalog;
using ranklet::Matrix;
using ranklet::Recommender;
using ranklet::RecommendOptions;
using Texts = std::vector<std::string_view>;

constexpr std::array<std::size_t, 4> thread_counts{1, 2, 3, 8};

std::vector<std::size_t> shuffled(std::size_t n, std::uint64_t seed) {
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    Random random(seed);
    for (std::size_t i = n; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    return order;
}

bool same_data(const Catalog& a, const Catalog& b) {
    return same_bits(flat(a.data().vectors), flat(b.data().vectors)) && same_parts(a.data(), b.data()) &&
           a.data().token_offsets == b.data().token_offsets;
}

}  // namespace

TEST_CASE("a text's vector has the same bits alone and in batches of every size, order and number of threads") {
    for (const std::string name :
         {"tiny-minilm", "tiny-dense", "tiny-distilbert", "tiny-minilm-i8", "tiny-minilm-fitted"}) {
        CAPTURE(name);
        const Bert bert = take(Bert::load(model_path(name)));
        const std::size_t n = 70;
        const Items items(n, 5);
        const Texts texts(items.texts.begin(), items.texts.end());
        std::vector<std::vector<float>> alone;
        std::size_t shortest = 1000, longest = 0;
        for (const std::string_view text : texts) {
            alone.push_back(take(bert.encode(text)));
            const std::size_t tokens = take(bert.encode_tokens(text)).rows();
            shortest = std::min(shortest, tokens);
            longest = std::max(longest, tokens);
        }
        CHECK(shortest == 2);
        CHECK(longest == bert.max_length());

        for (std::size_t size = 1; size <= n; ++size) {
            std::size_t different = 0;
            for (std::size_t first = 0; first < n; first += size) {
                const std::size_t count = std::min(size, n - first);
                const Matrix batch = take(bert.encode(std::span<const std::string_view>(texts).subspan(first, count)));
                for (std::size_t t = 0; t < count; ++t) different += !same_bits(batch.row(t), alone[first + t]);
            }
            CAPTURE(size);
            REQUIRE(different == 0);
        }
        for (std::size_t count = 1; count <= 3; ++count) {  // fewer texts than threads: they share each text's work
            const Matrix few =
                take(bert.encode(std::span<const std::string_view>(texts).first(count), {.threads = finely(4)}));
            for (std::size_t t = 0; t < count; ++t) CHECK(same_bits(few.row(t), alone[t]));
        }
        for (const std::size_t threads : thread_counts)
            for (std::uint64_t seed = 0; seed < 5; ++seed) {
                const std::vector<std::size_t> order = shuffled(n, seed);
                Texts mixed;
                for (const std::size_t t : order) mixed.push_back(texts[t]);
                const Matrix batch =
                    take(bert.encode(std::span<const std::string_view>(mixed), {.threads = finely(threads)}));
                std::size_t different = 0;
                for (std::size_t t = 0; t < n; ++t) different += !same_bits(batch.row(t), alone[order[t]]);
                REQUIRE(different == 0);
            }
    }
}

TEST_CASE("token states have the same bits alone and among other texts") {
    const Bert bert = take(Bert::load(model_path("tiny-text-gru")));
    const Items items(40, 6);
    const Texts texts(items.texts.begin(), items.texts.end());
    for (const std::size_t threads : thread_counts) {
        std::vector<char> same(texts.size(), 0);
        succeed(bert.for_each_text(texts, {.threads = finely(threads)},
                                   [&](std::size_t t, ranklet::MatrixView<const float> states, ranklet::Scratch&) {
                                       const Matrix alone = take(bert.encode_tokens(texts[t]));
                                       same[t] = same_bits(flat(alone), {states.data, states.rows * states.cols});
                                   }));
        CHECK(std::count(same.begin(), same.end(), 1) == 40);
    }
}

TEST_CASE(
    "texts that go through a model together, large enough to share, have the same bits with any number of threads") {
    const Bert bert = take(Bert::load("examples/models/demo-shop.gguf"));  // the tiny models' products are not shared
    const LargeBatch large(bert);
    std::vector<float> expected;
    for (const std::size_t threads : thread_counts) {
        CAPTURE(threads);
        ranklet::Scratch scratch;
        succeed(
            scratch.reserve(bert.model().scratch_size(large.batch.tokens(), large.batch.longest(), finely(threads))));
        Matrix states = take(Matrix::zeroed(large.batch.tokens(), bert.hidden()));
        bert.model().forward(large.batch, states.view(), scratch, finely(threads));
        if (threads == 1) expected.assign(flat(states).begin(), flat(states).end());
        CHECK(same_bits(flat(states), expected));
    }
}

TEST_CASE("a catalog has the same bits with any number of threads, and an item's in any catalog") {
    for (const std::string name : any_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        if (!model.encodes_text()) continue;
        const Items items(300, 8);
        const Catalog catalog = take(model.encode_catalog(items.items));
        for (const std::size_t threads : thread_counts)
            CHECK(same_data(take(model.encode_catalog(items.items, {.threads = finely(threads)})), catalog));

        const auto user = make_user(model, catalog);
        const auto scores = take(model.scores(user, catalog));
        const std::vector<std::size_t> order = shuffled(items.items.size(), 3);
        std::vector<ranklet::Item> part;
        for (std::size_t i = 0; i < 37; ++i) part.push_back(items.items[order[i]]);
        const auto part_scores = take(model.scores(user, take(model.encode_catalog(part))));
        std::size_t different = 0;
        for (std::size_t i = 0; i < part.size(); ++i) different += bits(part_scores[i]) != bits(scores[order[i]]);
        CHECK(different == 0);
    }
}

TEST_CASE("scores and recommendations have the same bits with any number of threads, in every scoring") {
    for (const std::string name : any_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model, 300);
        const auto user = make_user(model, catalog);
        const auto scores = take(model.scores(user, catalog));
        RecommendOptions options;
        options.k = 25;
        options.exclude_seen = true;
        const auto ranking = take(model.recommend(user, catalog, options));
        Recommender::Workspace workspace;
        for (const std::size_t threads : thread_counts) {
            options.threads = finely(threads);
            CHECK(same_bits(take(model.scores(user, catalog, {.threads = finely(threads)})), scores));
            for (int call = 0; call < 2; ++call) {
                const auto again = take(model.recommend(user, catalog, options, workspace));
                REQUIRE(again.size() == ranking.size());
                for (std::size_t i = 0; i < again.size(); ++i) {
                    CHECK(again[i].index == ranking[i].index);
                    CHECK(bits(again[i].score) == bits(ranking[i].score));
                    CHECK(bits(again[i].probability) == bits(ranking[i].probability));
                }
            }
        }
    }
}

TEST_CASE("news models: catalogs and scores have the same bits with any number of threads") {
    for (const std::string name :
         {"news-lstur-con", "news-naml", "news-nrms-padded", "news-narm-kim", "news-modalities"}) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Items items(120, 9);
        const Catalog catalog = take(model.encode_catalog(items.items));
        const auto user = make_user(model, catalog);
        const auto scores = take(model.scores(user, catalog));
        for (const std::size_t threads : thread_counts) {
            const Catalog other = take(model.encode_catalog(items.items, {.threads = finely(threads)}));
            CHECK(same_data(other, catalog));
            CHECK(same_bits(take(model.scores(make_user(model, other), other, {.threads = finely(threads)})), scores));
        }
    }
}
