// What touches no heap: rankings from the second call on, users whose scratch is sized, forward passes.
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "counting_heap.hpp"
#include "ranklet/decoders/dot_product.hpp"
#include "ranklet/encoders/sentence_head.hpp"
#include "ranklet/encoders/word_vectors.hpp"
#include "ranklet/kernels/ops_eigen.hpp"
#include "ranklet/layers/attention_pooling.hpp"
#include "ranklet/layers/conv1d.hpp"
#include "ranklet/layers/gru.hpp"
#include "ranklet/layers/head_attention.hpp"
#include "ranklet/text/word_tokenizer.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Catalog;
using ranklet::Recommender;
using ranklet::RecommendOptions;
using Ids = std::vector<std::string_view>;

/// Requests for heap memory while f runs.
template <class Function>
std::size_t requests_of(const Function& f) {
    const std::size_t before = heap_requests;
    f();
    return heap_requests - before;
}

}  // namespace

TEST_CASE("the counter counts: vectors, strings and aligned buffers are heap_requests") {
    CHECK(requests_of([] { std::vector<int>(10).back() = 1; }) == 1);
    CHECK(requests_of([] { std::string(100, 'x').back() = 'y'; }) == 1);
    CHECK(requests_of([] { CHECK_FALSE(ranklet::AlignedBuffer<float>::zeroed(10)->empty()); }) >= 1);
    CHECK(requests_of([] {}) == 0);
}

TEST_CASE("a ranking in its own workspace touches no heap from the second call on, in every scoring, with filters") {
    for (const std::string name : any_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model, 300);
        auto user = make_user(model, catalog), cold = model.new_user();
        Ids allow, deny;
        for (std::size_t i = 0; i < catalog.size(); i += 2) allow.push_back(catalog[i].id());
        for (std::size_t i = 0; i < catalog.size(); i += 3) deny.push_back(catalog[i].id());

        for (const std::size_t threads : {1u, 2u})
            for (const bool filtered : {false, true}) {
                CAPTURE(threads);
                CAPTURE(filtered);
                RecommendOptions options;
                options.threads = finely(threads);
                options.exclude_seen = filtered;
                if (filtered) {
                    options.allow = allow;
                    options.deny = deny;
                }
                Recommender::Workspace workspace;
                std::size_t ranked = 0;
                const auto call = [&](const Recommender::User& who) {
                    const auto result = model.recommend(who, catalog, options, workspace);
                    ranked += result.ok() ? result->size() : 0;
                };
                CHECK(requests_of([&] { call(user); }) > 0);
                CHECK(requests_of([&] { call(user); }) == 0);
                CHECK(requests_of([&] { call(cold); }) == 0);  // another user
                observe_some(user, catalog, 1, 9);
                CHECK(requests_of([&] { call(user); }) == 0);  // and a longer history
                options.k = 3;
                options.initial_state = ranklet::InitialState::zero;
                CHECK(requests_of([&] { call(user); }) == 0);  // fewer results need no more memory
                CHECK(ranked > 3 * 4);
            }
    }
}

TEST_CASE("filters, caps and diversity touch no heap from the second call on") {
    const Recommender model = load_model("tiny-dot-product");
    const Items given(300);
    std::vector<ranklet::Item> items = given.items;
    const std::vector<ranklet::Attribute> red{{"colour", "red"}}, blue{{"colour", "blue"}};
    for (std::size_t i = 0; i < items.size(); ++i)
        if (i % 5 != 0) items[i].attributes = i % 2 == 0 ? red : blue;
    const Catalog catalog = take(model.encode_catalog(items, {.keep_texts = true}));
    const auto user = make_user(model, catalog), cold = model.new_user();
    const auto filter = take(ranklet::Filter::create(
        catalog, ranklet::Condition::is_missing("colour") || ranklet::Condition::equals("colour", "red")));
    const std::vector<ranklet::GroupCap> caps{{"colour", 3}};
    RecommendOptions options;
    options.filter = &filter;
    options.caps = caps;
    options.diversity.lambda = 0.5f;
    options.temperature = 2.0f;
    Recommender::Workspace workspace;
    std::size_t ranked = 0;
    const auto call = [&](const Recommender::User& who) {
        const auto result = model.recommend(who, catalog, options, workspace);
        ranked += result.ok() ? result->size() : 0;
    };
    CHECK(requests_of([&] { call(cold); }) > 0);
    CHECK(requests_of([&] { call(user); }) == 0);
    options.filter = nullptr;  // more candidates need no more memory
    CHECK(requests_of([&] { call(user); }) == 0);
    CHECK(ranked == 3 * 10);
}

TEST_CASE("places for new items touch no heap from the second call on") {
    const Recommender model = load_model("tiny-dot-product");
    const Catalog catalog = make_catalog(model, 300);
    const auto user = make_user(model, catalog), cold = model.new_user();
    ranklet::Bitset all(catalog.size()), some(catalog.size());
    for (std::size_t i = 0; i < catalog.size(); ++i) {
        all.set(i);
        if (i % 3 == 0) some.set(i);
    }
    const auto every = take(ranklet::Filter::from_bits(catalog, all)),
               third = take(ranklet::Filter::from_bits(catalog, some));
    RecommendOptions options;
    options.new_items = {.share = 0.5f, .seed = 1, .items = &every};  // all of the list is new: nothing is put in
    Recommender::Workspace workspace;
    const auto call = [&](const Recommender::User& who) {
        CHECK(model.recommend(who, catalog, options, workspace).ok());
    };
    call(cold);
    options.new_items = {.share = 1.0f, .seed = 2, .items = &third};
    CHECK(requests_of([&] { (void)model.recommend(user, catalog, options, workspace).ok(); }) == 0);
}

TEST_CASE("a workspace that a new user has sized serves every other user") {
    for (const std::string name : any_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model, 300);
        const auto user = make_user(model, catalog), cold = model.new_user();
        Recommender::Workspace workspace;
        CHECK(requests_of([&] { (void)model.recommend(cold, catalog, {}, workspace).ok(); }) > 0);
        CHECK(requests_of([&] { (void)model.recommend(user, catalog, {}, workspace).ok(); }) == 0);
    }
}

// After its first event (which sizes the user's scratch) an event costs only its own record: the event's place in the
// list of events, which grows by doubling, and the id's text where it is longer than std::string keeps in place.
TEST_CASE("observing an item asks for the event's record alone once the user's scratch is sized") {
    for (const std::string name : any_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model, 50);  // ids of up to 7 characters: kept in place
        auto user = model.new_user();
        succeed(user.observe(catalog[0]));
        std::size_t growths = 0, others = 0;
        for (std::size_t e = 1; e < 200; ++e) {
            const std::size_t capacity_shown_by = user.events().size();
            const std::size_t asked = requests_of([&] { (void)user.observe(catalog[e % catalog.size()], 3.0f).ok(); });
            // A list that begins with room for 8 and doubles asks when it holds 8, 16 ... 128 events.
            const bool grows = capacity_shown_by >= 8 && (capacity_shown_by & (capacity_shown_by - 1)) == 0;
            growths += grows && asked == 1;
            others += grows ? asked > 1 : asked > 0;
        }
        CHECK(user.events().size() == 200);
        CHECK(growths == 5);
        CHECK(others == 0);
    }
}

TEST_CASE("texts to word vectors: tokens and sums touch no heap from the second time on, and more texts need no more") {
    for (const std::string name : {"tiny-words", "tiny-words-i8", "tiny-static", "tiny-static-embedding"}) {
        CAPTURE(name);
        const auto words = take(ranklet::WordVectors::load(model_path(name)));
        const std::vector<std::string_view> texts{"the fast phone charger 手机壳 and zebra's well-known cases", "",
                                                  "红 T恤", "ᚠ a book, don't!"};
        ranklet::Encoding tokens;
        std::vector<float> out(words.dim()), row(words.dim());
        const auto encode_all = [&] {
            std::size_t failed = 0;
            for (const auto text : texts) {
                failed += !words.tokenize(text, tokens).ok();
                words.pool(tokens.ids, out.data(), row.data());
            }
            return failed;
        };
        CHECK(requests_of([&] { (void)encode_all(); }) > 0);
        CHECK(requests_of([&] { (void)encode_all(); }) == 0);
        CHECK(encode_all() == 0);
        const std::vector<std::string_view> few(64, texts[0]), many(640, texts[0]);
        const auto asked = [&](const std::vector<std::string_view>& of) {
            return requests_of([&] { (void)words.encode(of).ok(); });
        };
        CHECK(asked(few) == asked(many));
    }
}

TEST_CASE("forward passes of BertModel, GruStack and a text's head touch no heap") {
    const std::vector<std::int32_t> ids{3, 10, 20, 30, 4, 3, 50, 4};
    const std::vector<std::size_t> offsets{0, 5, 8};
    const ranklet::TokenBatch batch{ids, {}, offsets};
    for (const std::string name : {"tiny-minilm", "tiny-minilm-i8", "tiny-minilm-fitted", "tiny-distilbert"}) {
        const auto bert = take(ranklet::Bert::load(model_path(name)));
        ranklet::Scratch scratch;
        succeed(scratch.reserve(std::max(bert.model().scratch_size(8, 5), bert.head().scratch_size())));
        auto states = take(ranklet::Matrix::zeroed(8, bert.hidden()));
        std::vector<float> vector(bert.dim());
        CHECK(requests_of([&] {
                  bert.model().forward(batch, states.view(), scratch);
                  bert.head().forward(states.view().middle_rows(0, 5), vector.data(), scratch);
              }) == 0);
        CHECK(states.row(0)[0] != 0.0f);
        CHECK(vector[0] != 0.0f);
    }
    const auto shared = take(ranklet::Bert::load("examples/models/demo-shop.gguf"));
    const LargeBatch large(shared);
    for (const std::size_t threads : {1u, 2u, 5u}) {
        CAPTURE(threads);
        ranklet::Scratch scratch;
        succeed(
            scratch.reserve(shared.model().scratch_size(large.batch.tokens(), large.batch.longest(), finely(threads))));
        auto states = take(ranklet::Matrix::zeroed(large.batch.tokens(), shared.hidden()));
        const ranklet::Threads used = finely(threads);
        const auto run = [&] { shared.model().forward(large.batch, states.view(), scratch, used); };
        if (threads > 1) run();  // the threads themselves start once in a program
        CHECK(requests_of(run) == 0);
        CHECK(states.row(0)[0] != 0.0f);
    }
    ranklet::Scratch scratch;

    const Recommender model = load_model("tiny-dot-product");
    const ranklet::GruStack<>& gru = model.as<ranklet::DotProduct>()->gru();
    succeed(scratch.reserve(std::max(gru.scratch_size(6), gru.step_scratch_size(1))));
    auto inputs = take(ranklet::Matrix::zeroed(6, gru.in())), outputs = take(ranklet::Matrix::zeroed(6, gru.hidden()));
    std::vector<float> state(gru.state_size(), 0.5f), projected(3 * gru.hidden(), 0.1f);
    CHECK(requests_of([&] {
              gru.forward(inputs.view(), state, outputs.view(), scratch);
              const float* input = projected.data();
              gru.step(&input, {state.data(), 1, state.size()}, scratch);
          }) == 0);
    CHECK(outputs.row(5)[0] != 0.0f);
}

TEST_CASE("layers of fixed sizes never touch the heap, not even for their weights") {
    static ranklet::Linear<float, 4, 8> linear;
    static ranklet::Gru<float, 4, 8> gru;
    static ranklet::LayerNorm<float, 8> norm;
    alignas(64) static float numbers[24 * 8];
    alignas(64) static float out[24];
    for (std::size_t i = 0; i < std::size(numbers); ++i) numbers[i] = 0.01f * static_cast<float>(i % 17);
    const std::span<const float> eight(numbers, 8);
    ranklet::Scratch none;  // f32 products take no scratch
    bool fine = false;
    CHECK(requests_of([&] {
              fine = linear.assign({numbers, 8, 4}, eight).ok() &&
                     gru.assign({numbers, 24, 4}, {numbers, 24, 8}).ok() && norm.assign(eight, eight, 1e-5f).ok();
              linear.forward({numbers, 1, 4}, {out, 1, 8});
              norm.forward({out, 1, 8}, {out, 1, 8});
              gru.project_input({numbers, 1, 4}, {out, 1, 24}, none);
          }) == 0);
    CHECK(fine);
    CHECK(out[0] != 0.0f);
}

TEST_CASE("look-ups in a catalog touch no heap") {
    const Recommender model = load_model("tiny-items");
    const Catalog catalog = make_catalog(model);
    std::size_t found = 0;
    CHECK(requests_of([&] {
              found += catalog.find("i7");
              found += catalog.contains("none") ? 100 : 0;
              const Catalog copy = catalog;
              found += copy[3].index();
              found += catalog.at("i1")->index();
          }) == 0);
    CHECK(found == 7 + 3 + 1);
}

TEST_CASE("news recommenders: rankings and events touch no heap once sized, also with attention over events") {
    for (const std::string name : {"news-lstur-ini", "news-lstur-con", "news-naml", "news-nrms", "news-narm-kim"}) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Items given(60);
        const Catalog catalog = take(model.encode_catalog(given.items));
        auto user = model.new_user("U1");
        Recommender::Workspace workspace;
        std::size_t ranked = 0;
        const auto call = [&](const Recommender::User& who) {
            const auto result = model.recommend(who, catalog, {}, workspace);
            ranked += result.ok() ? result->size() : 0;
        };
        CHECK(requests_of([&] { call(user); }) > 0);
        succeed(user.observe(catalog[0]));
        CHECK(requests_of([&] { call(user); }) == 0);
        std::size_t others = 0;
        for (std::size_t e = 1; e < 100; ++e) {
            const std::size_t held = user.events().size();
            const std::size_t asked = requests_of([&] { (void)user.observe(catalog[e % catalog.size()]).ok(); });
            others += (held & (held - 1)) == 0 ? asked > 1 : asked > 0;  // the list of events doubles
        }
        CHECK(others == 0);  // at most 4 events are remembered here: their room was made by the first
        CHECK(requests_of([&] { call(user); }) == 0);
        CHECK(ranked == 3 * 10);
    }
}

TEST_CASE("forward passes of convolution, attention pooling and self-attention without output touch no heap") {
    auto numbers = take(ranklet::Matrix::zeroed(24, 12));
    for (std::size_t i = 0; i < 24 * 12; ++i) numbers.view().data[i] = 0.01f * static_cast<float>(i % 17);
    const auto linear = [&](std::size_t out, std::size_t in) {
        ranklet::Linear<> layer;
        succeed(layer.assign({numbers.view().data, out, in}));
        return layer;
    };
    ranklet::Conv1d<> conv;
    succeed(conv.assign(linear(8, 12), 3, ranklet::ConvPadding::same(3)));
    ranklet::HeadAttention<> attention;
    succeed(attention.assign(linear(18, 4), 2));
    const auto pool = take(ranklet::AttentionPooling<>::additive(linear(5, 6), std::nullopt, numbers.row(0).first(5)));
    ranklet::Scratch scratch;
    succeed(scratch.reserve(conv.scratch_size(7) + attention.scratch_size(7, 7) + pool.scratch_size(7)));
    auto a = take(ranklet::Matrix::zeroed(7, 8)), b = take(ranklet::Matrix::zeroed(7, 6));
    std::vector<float> out(6);
    const std::vector<std::size_t> offsets{0, 7};
    CHECK(requests_of([&] {
              conv.forward({numbers.view().data, 7, 4}, a.view(), scratch, ranklet::Activation::relu);
              attention.forward({numbers.view().data, 7, 4}, offsets, b.view(), scratch);
              pool.forward(b.view(), nullptr, {}, out.data(), nullptr, scratch);
          }) == 0);
    CHECK(a.row(6)[0] != 0.0f);
    CHECK(out[0] != 0.0f);
}
