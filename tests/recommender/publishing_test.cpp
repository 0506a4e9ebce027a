// A catalog whose signals one thread renews while others rank by it: each ranking is of one snapshot, none of an older one
// after a newer.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ranklet/core/published.hpp"
#include "ranklet/counting/transition_counts.hpp"
#include "ranklet/explain/explain.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Catalog;
using ranklet::Prior;
using ranklet::Recommender;

}  // namespace

TEST_CASE("rankings by a catalog whose signals and items are renewed meanwhile are each of one snapshot") {
    ranklet::LoadOptions options;
    options.blend = {{"transitions", 1.0f}, {"prior", 1.0f}, {"history", 1.0f}};
    const Recommender model = take(Recommender::load(model_path("tiny-minilm"), options));
    const Items items(12);
    const Catalog encoded = take(model.encode_catalog(items.items));
    ranklet::TransitionCounts counts;
    // Every item of version v has the prior v, and nobody's events: a user without any gives all items one score.
    const auto version = [&](const Catalog& catalog, int v) {
        auto prior = std::make_shared<Prior>();
        prior->ids = catalog.data().ids;
        prior->values.assign(prior->ids.size(), static_cast<float>(v));
        return take(catalog.with({{take(counts.snapshot())}, std::move(prior)}));
    };
    ranklet::Published<Catalog> published(version(encoded, 0));
    constexpr int last = 60;
    std::atomic<int> wrong{0};
    std::vector<std::thread> readers;
    for (int r = 0; r < 3; ++r)
        readers.emplace_back([&, r] {
            Recommender::Workspace workspace;
            float newest = -1e9f;
            for (bool seen_last = false; !seen_last;) {
                const Catalog catalog = published.get();
                auto user = model.new_user();
                const auto ranked = model.recommend(user, catalog, {.k = 100}, workspace);
                if (!ranked.ok()) {
                    ++wrong;
                    return;
                }
                wrong += ranked->size() != catalog.size() || ranked->front().score != ranked->back().score ||
                         ranked->front().score < newest;
                newest = ranked->front().score;
                seen_last = catalog.signals()->prior[0] == static_cast<float>(last);
                // And with events, explained, each of them alone.
                const auto index = static_cast<std::size_t>(r) % catalog.size();
                wrong += !user.observe(catalog[index]).ok();
                const auto scores = model.scores(user, catalog);
                const auto why = explain(model, user, catalog, catalog[index].id());
                wrong += !scores.ok() || !why.ok() || why->score != (*scores)[index];
            }
        });
    Catalog current = encoded;
    for (int v = 1; v <= last; ++v) {
        for (int u = 0; u < 3; ++u)
            for (int e = 0; e < 4; ++e)
                take(counts.observe("user " + std::to_string(u), items.ids[static_cast<std::size_t>(v * e) % 12], v));
        if (v % 10 == 0) {
            const std::vector<ranklet::Item> added{{"new " + std::to_string(v), "red phone"}};
            current = take(ranklet::update_catalog(model, current, {.add = added}));
        }
        published.set(version(current, v));
    }
    for (std::thread& reader : readers) reader.join();
    CHECK(wrong == 0);
    CHECK(published.get().size() == 18);
}
