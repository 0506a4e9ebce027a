// One model and one catalog, many threads at once: everyone gets the bits of a program with one thread.
#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Catalog;
using ranklet::Recommender;
using ranklet::RecommendOptions;

/// Runs work(0) ... work(n - 1), each in a thread of its own, started together.
template <class Work>
void at_once(std::size_t n, const Work& work) {
    std::atomic<std::size_t> ready{0};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < n; ++t)
        threads.emplace_back([&, t] {
            ++ready;
            while (ready < n) std::this_thread::yield();
            work(t);
        });
    for (std::thread& thread : threads) thread.join();
}

constexpr std::size_t thread_count = 8;

}  // namespace

TEST_CASE("threads that rank, encode and observe on one shared model get the single-threaded bits") {
    for (const std::string name : model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model, 60);
        const Items items(12, 77);

        // What each thread shall find, computed before any of them starts.
        std::vector<std::vector<std::byte>> expected_users;
        std::vector<std::vector<float>> expected_scores;
        std::vector<std::vector<float>> expected_vectors;
        for (std::size_t t = 0; t < thread_count; ++t) {
            const auto user = make_user(model, catalog, 6, t);
            expected_users.push_back(user.save());
            expected_scores.push_back(take(model.scores(user, catalog)));
        }
        if (model.encodes_text())
            for (const std::string& text : items.texts) expected_vectors.push_back(take(model.encode(text)));

        std::atomic<std::size_t> wrong{0};
        at_once(thread_count, [&](std::size_t t) {
            Recommender::Workspace workspace;
            RecommendOptions options;
            options.k = 1000;
            for (int round = 0; round < 10; ++round) {
                auto user = model.new_user();
                Random random(t);
                for (std::size_t e = 0; e < 6; ++e) {
                    const std::size_t item = random.below(catalog.size());
                    const auto rating = static_cast<float>(1 + random.below(5));
                    wrong += !user.observe(catalog[item], e % 2 == 0 ? ranklet::no_rating : rating).ok();
                }
                wrong += user.save() != expected_users[t];
                const auto ranked = model.recommend(user, catalog, options, workspace);
                wrong += !ranked.ok() || ranked->size() != catalog.size();
                if (ranked.ok())
                    for (const auto& r : *ranked) wrong += bits(r.score) != bits(expected_scores[t][r.index]);
                if (!expected_vectors.empty()) {
                    const std::size_t text = (t + static_cast<std::size_t>(round)) % items.texts.size();
                    const auto vector = model.encode(items.texts[text]);
                    wrong += !vector.ok() || !same_bits(*vector, expected_vectors[text]);
                }
            }
        });
        CHECK(wrong == 0);
    }
}

TEST_CASE("threads that each encode a catalog with threads of their own get the single-threaded bits") {
    const Recommender model = load_model("tiny-text-gru");
    const Items items(80, 5);
    const Catalog expected = take(model.encode_catalog(items.items));
    std::atomic<std::size_t> wrong{0};
    at_once(4, [&](std::size_t t) {
        const auto catalog = model.encode_catalog(items.items, {.threads = finely(1 + t % 3)});
        wrong += !catalog.ok() || !same_parts(catalog->data(), expected.data());
    });
    CHECK(wrong == 0);
}

TEST_CASE("models, catalogs and users that are copied, dropped and loaded by many threads at once stay whole") {
    const auto first = load_model("tiny-items");
    const Catalog catalog = make_catalog(first);
    const auto user = make_user(first, catalog);
    const auto expected = take(first.scores(user, catalog));
    const auto saved = user.save();
    std::atomic<std::size_t> wrong{0};
    at_once(thread_count, [&](std::size_t t) {
        for (int round = 0; round < 20; ++round) {
            const Recommender model = first;
            const Catalog items = catalog;
            auto copy = user;
            if (t % 2 == 0) {
                auto loaded = model.load_user(saved);
                wrong += !loaded.ok();
                if (loaded.ok()) copy = *loaded;
            }
            const auto scores = model.scores(copy, items);
            wrong += !scores.ok() || !same_bits(*scores, expected);
        }
    });
    CHECK(wrong == 0);
}
