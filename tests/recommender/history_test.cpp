// Recommending without a trained decoder: an encoder alone, and its history decoder against plain loops.
#include "ranklet/decoders/history.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

#include "io/temporary_folder.hpp"
#include "ranklet/catalog/file.hpp"
#include "ranklet/explain/explain.hpp"
#include "ranklet/ranking/vector_index.hpp"
#include "recommender/catalogs.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Catalog;
using ranklet::ErrorCode;
using ranklet::HistoryOptions;
using ranklet::Item;
using ranklet::LoadOptions;
using ranklet::Recommender;

Recommender load_with(const std::string& name, const HistoryOptions& history) {
    LoadOptions options;
    options.history = history;
    return take(Recommender::load(model_path(name), options));
}

const std::vector<Item> items{{"phone", "a red phone"},     {"case", "case for a phone"}, {"hose", "green garden hose"},
                              {"can", "watering can"},      {"mower", "lawn mower"},      {"book", "a book of poems"},
                              {"red", "red paint, 1 litre"}};

struct Met {
    std::size_t item;
    float rating = ranklet::no_rating;
};
const std::vector<Met> history{{0}, {2}, {4, -1.5f}, {2}, {5, 2.0f}};

Recommender::User user_of(const Recommender& model, const Catalog& catalog, const std::vector<Met>& met = history) {
    auto user = model.new_user();
    for (const Met& each : met) succeed(user.observe(catalog[each.item], each.rating));
    return user;
}

using Vector = std::vector<double>;
double dot(const Vector& a, const Vector& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

/// What the decoder should give, in double precision.
double expected(const Catalog& catalog, const HistoryOptions& options, const std::vector<Met>& met, std::size_t item,
                std::vector<double>* terms = nullptr) {
    const std::size_t dim = catalog[0].vector().size();
    Vector mean(dim);
    std::vector<Vector> rows;
    for (std::size_t i = 0; i < catalog.size(); ++i) {
        rows.emplace_back(catalog[i].vector().begin(), catalog[i].vector().end());
        for (std::size_t d = 0; d < dim; ++d) mean[d] += rows.back()[d] / static_cast<double>(catalog.size());
    }
    if (!options.centre) mean.assign(dim, 0.0);
    const auto centred = [&](std::size_t i) {
        Vector v = rows[i];
        for (std::size_t d = 0; d < dim; ++d) v[d] -= mean[d];
        return v;
    };
    double sum = 0.0, size = 0.0, decayed = 1.0;
    std::vector<double> parts;
    for (std::size_t age = 0; age < met.size(); ++age, decayed *= static_cast<double>(options.decay)) {
        if (options.power > 0 && age >= options.events) break;
        const Met& event = met[met.size() - 1 - age];
        const double weight =
            decayed * (std::isnan(event.rating)
                           ? 1.0
                           : static_cast<double>(options.rating.scale * (event.rating - options.rating.neutral)));
        const Vector v = centred(event.item), c = centred(item);
        const double match = options.power == 0
                                 ? dot(v, rows[item])
                                 : std::pow(std::max(dot(v, c) / std::sqrt(dot(v, v) * dot(c, c)), 0.0), options.power);
        parts.push_back(weight * match);
        sum += weight * match;
        size += std::abs(weight);
    }
    if (terms != nullptr) {
        terms->assign(met.size(), 0.0);
        for (std::size_t age = 0; age < parts.size(); ++age) (*terms)[met.size() - 1 - age] = parts[age] / size;
    }
    return size > 0.0 ? sum / size : 0.0;
}

/// Every form that the options have.
std::vector<HistoryOptions> forms() {
    std::vector<HistoryOptions> all;
    for (const std::uint32_t power : {0u, 1u, 2u, 5u})
        for (const bool centre : {true, false})
            all.push_back({.decay = 0.8f, .centre = centre, .power = power, .events = 4, .rating = {0.5f, 2.0f}});
    return all;
}

}  // namespace

TEST_CASE("an encoder's file ranks by the history: words, BERT, another engine's file") {
    for (const std::string name : {"tiny-minilm", "tiny-words"}) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        REQUIRE(model.as<ranklet::History>() != nullptr);
        CHECK(model.encodes_text());
        const Catalog catalog = take(model.encode_catalog(items));
        const auto user = user_of(model, catalog);
        const auto ranked = take(model.recommend(user, catalog, {.k = 3, .exclude_seen = true}));
        REQUIRE(ranked.size() == 3);
        for (const auto& each : ranked)
            CHECK(each.score ==
                  doctest::Approx(expected(catalog, HistoryOptions(), history, each.index)).epsilon(1e-4));
        CHECK(ranked[0].score >= ranked[1].score);
    }
}

TEST_CASE("scores are the formula's, for the mean and for powers, with ratings, with and without the catalog's mean") {
    for (const HistoryOptions& options : forms()) {
        CAPTURE(options.power);
        CAPTURE(options.centre);
        const Recommender model = load_with("tiny-minilm", options);
        const Catalog catalog = take(model.encode_catalog(items));
        const auto user = user_of(model, catalog);
        const auto scores = take(model.scores(user, catalog));
        for (std::size_t i = 0; i < catalog.size(); ++i)
            CHECK(std::abs(static_cast<double>(scores[i]) - expected(catalog, options, history, i)) < 2e-6);
        CHECK(same_bits(take(model.scores(user, catalog, {finely(3)})), scores));
        const std::vector<std::size_t> some{5, 1, 1};
        const auto of_some = take(model.scores_of(user, catalog, some));
        for (std::size_t s = 0; s < some.size(); ++s) CHECK(of_some[s] == scores[some[s]]);
        const auto again = take(model.load_user(user.save()));
        CHECK(same_bits(take(model.scores(again, catalog)), scores));
        const auto nobody = take(model.scores(model.new_user(), catalog));
        for (const float score : nobody) CHECK(score == 0.0f);
    }
}

TEST_CASE("a dislike pushes away") {
    const Recommender model = load_model("tiny-minilm");
    const Catalog catalog = take(model.encode_catalog(items));
    const auto liked = take(model.scores(user_of(model, catalog, {{2, 1.0f}}), catalog));
    const auto disliked = take(model.scores(user_of(model, catalog, {{2, -1.0f}}), catalog));
    for (std::size_t i = 0; i < liked.size(); ++i) CHECK(disliked[i] == -liked[i]);
    CHECK(liked[2] > 0.0f);
}

TEST_CASE("the explanation of a history adds up to the score, each event its own term") {
    for (const HistoryOptions& options : forms()) {
        CAPTURE(options.power);
        const Recommender model = load_with("tiny-minilm", options);
        const Catalog catalog = take(model.encode_catalog(items));
        const auto user = user_of(model, catalog);
        for (const std::size_t item : {1u, 6u}) {
            const auto explanation = take(ranklet::explain(model, user, catalog, items[item].id));
            std::vector<double> terms;
            (void)expected(catalog, options, history, item, &terms);
            REQUIRE(explanation.events.size() == terms.size());
            double sum = 0.0;
            for (std::size_t e = 0; e < terms.size(); ++e) {
                CHECK(std::abs(static_cast<double>(explanation.events[e].contribution) - terms[e]) < 2e-6);
                sum += static_cast<double>(explanation.events[e].contribution);
            }
            CHECK(std::abs(sum - static_cast<double>(explanation.score)) < 2e-6);
        }
    }
}

TEST_CASE("the user's vector of a catalog searches an index to the recommender's own scores") {
    const Recommender model = load_model("tiny-minilm");
    const Catalog catalog = take(model.encode_catalog(items));
    const auto user = user_of(model, catalog);
    const auto vector = take(model.user_vector(user, catalog));
    const auto index = take(ranklet::VectorIndex::create(catalog.output_vectors(), ranklet::RowType::f32));
    ranklet::VectorIndex::Workspace workspace;
    const auto hits = take(index.search({vector.data(), 1, vector.size()}, {.k = 4}, workspace))[0];
    const auto ranked = take(model.recommend(user, catalog, {.k = 4}));
    REQUIRE(hits.size() == ranked.size());
    for (std::size_t i = 0; i < hits.size(); ++i) {
        CHECK(hits[i].index == ranked[i].index);
        CHECK(hits[i].score == ranked[i].score);
    }
    check_error(model.user_vector(user), ErrorCode::unsupported, "user_vector(user, catalog)");
    const Recommender plain = load_with("tiny-minilm", {.centre = false});
    const Catalog same = take(plain.encode_catalog(items));
    const auto plain_user = user_of(plain, same);
    CHECK(same_bits(take(plain.user_vector(plain_user)), take(plain.user_vector(plain_user, same))));
    const Recommender power = load_with("tiny-minilm", {.power = 2});
    const Catalog of_power = take(power.encode_catalog(items));
    check_error(power.user_vector(power.new_user(), of_power), ErrorCode::unsupported, "not dot products");
}

TEST_CASE("an updated catalog, and one from a file, have the mean of their own items") {
    const TemporaryFolder folder;
    for (const std::uint32_t power : {0u, 2u}) {
        const Recommender model = load_with("tiny-minilm", {.power = power});
        const Catalog whole = take(model.encode_catalog(items));
        const Catalog part = take(model.encode_catalog(std::span(items).first(4)));
        const Catalog grown = take(ranklet::update_catalog(model, part, {.add = std::span(items).subspan(4)}));
        check_same(grown.data(), whole.data());
        const std::string path = folder.path() + "/catalog.gguf";
        succeed(ranklet::save_catalog(whole, path));
        const Catalog loaded = take(model.load_catalog(path));
        const auto user = user_of(model, whole);
        CHECK(same_bits(take(model.scores(user, loaded)), take(model.scores(user, whole))));
    }
}

TEST_CASE("of shorter vectors a recommender has catalogs and states of its own, and other kinds keep theirs whole") {
    LoadOptions options;
    options.truncate_dim = 8;
    const Recommender whole = load_model("tiny-minilm"),
                      cut = take(Recommender::load(model_path("tiny-minilm"), options));
    const Catalog of_whole = take(whole.encode_catalog(items)), of_cut = take(cut.encode_catalog(items));
    CHECK(of_cut[0].vector().size() == 8);
    const auto user = user_of(cut, of_cut);
    const auto found = take(cut.scores(user, of_cut));
    for (std::size_t i = 0; i < items.size(); ++i)
        CHECK(static_cast<double>(found[i]) ==
              doctest::Approx(expected(of_cut, HistoryOptions(), history, i)).epsilon(1e-5));
    check_error(cut.recommend(user, of_whole), ErrorCode::mismatch);
    check_error(whole.load_user(user.save()), ErrorCode::mismatch);
    check_error(Recommender::load(model_path("tiny-items"), options), ErrorCode::unsupported, "stay whole");
    CHECK_FALSE(Recommender::load(model_path("tiny-dot-product"), options).ok());  // its GRU reads whole ones
}

TEST_CASE("options out of range, states of another form and events without end are refused") {
    const auto refused = [&](const HistoryOptions& options, std::string_view part) {
        LoadOptions load;
        load.history = options;
        check_error(Recommender::load(model_path("tiny-minilm"), load), ErrorCode::format, part);
    };
    refused({.decay = 0.0f}, "ranklet.history.decay");
    refused({.decay = 1.5f}, "ranklet.history.decay");
    refused({.decay = quiet_nan}, "ranklet.history.decay");
    refused({.power = 9}, "ranklet.history.power");
    refused({.events = 0}, "ranklet.history.events");
    refused({.events = 5000}, "ranklet.history.events");
    refused({.rating = {quiet_nan, 1.0f}}, "rating_neutral");
    refused({.rating = {0.0f, infinity}}, "rating_scale");

    const Recommender mean = load_model("tiny-minilm"), power = load_with("tiny-minilm", {.power = 2});
    const Catalog catalog = take(mean.encode_catalog(items));
    auto user = user_of(mean, catalog);
    check_error(power.load_user(user.save()), ErrorCode::mismatch);
    check_error(load_with("tiny-minilm", {.decay = 0.9f}).load_user(user.save()), ErrorCode::mismatch);
    ranklet::UserState other_sizes = user.state();
    other_sizes.model = power.fingerprint();
    check_error(power.load_user(other_sizes), ErrorCode::format);
    check_error(power.recommend(user_of(power, take(power.encode_catalog(items))), catalog), ErrorCode::mismatch);
    succeed(user.observe(catalog[0], 3e38f));
    const auto before = user.save();
    check_error(user.observe(catalog[0], 3e38f), ErrorCode::invalid_argument, "not finite");
    check_error(user.observe(catalog[0], infinity), ErrorCode::invalid_argument);
    CHECK(user.save() == before);
    ranklet::UserState state = user.state();
    state.hidden.back() = -1.0f;
    check_error(mean.load_user(state), ErrorCode::format, "weights");
    auto many = power.new_user();
    for (int e = 0; e < 200; ++e) succeed(many.observe(take(power.encode_catalog(items))[0]));
    CHECK(many.state().memory_rows() == 50);
}

TEST_CASE("an item that no text tells apart, and a catalog of one, have a score of zero and no division by it") {
    for (const std::uint32_t power : {0u, 3u}) {
        const Recommender model = load_with("tiny-minilm", {.power = power});
        const Catalog one = take(model.encode_catalog(std::span(items).first(1)));
        auto user = model.new_user();
        succeed(user.observe(one[0]));
        CHECK(std::abs(take(model.scores(user, one))[0]) < 1e-6f);
        CHECK(take(model.recommend(user, take(model.encode_catalog({})))).empty());
    }
}
