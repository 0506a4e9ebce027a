// Transitions, a prior and blends: decoders that read a catalog's signals, against plain loops over the tables.
#include "ranklet/decoders/blend.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ranklet/catalog/signals.hpp"
#include "ranklet/counting/transition_counts.hpp"
#include "ranklet/counting/transitions_file.hpp"
#include "ranklet/decoders/followers.hpp"
#include "ranklet/decoders/history.hpp"
#include "ranklet/decoders/prior.hpp"
#include "ranklet/explain/explain.hpp"
#include "ranklet/io/gguf_writer.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Catalog;
using ranklet::ErrorCode;
using ranklet::Item;
using ranklet::LoadOptions;
using ranklet::Prior;
using ranklet::Recommender;
using ranklet::Signals;
using ranklet::Transitions;

const std::vector<Item> items{{"a", "a red phone"},   {"b", "case for a phone"}, {"c", "green garden hose"},
                              {"d", "watering can"},  {"e", "lawn mower"},       {"f", "a book of poems"},
                              {"new", "a blue phone"}};

/// A few users' sessions, counted. Item "gone" is in no catalog, item "new" in no session.
Transitions counted(std::size_t users = 1, double smoothing = 20) {
    auto counts = take(ranklet::TransitionCounts::create({.users = users}));
    const std::vector<std::vector<const char*>> sessions{{"a", "b", "c"}, {"a", "b", "gone"}, {"c", "d", "e", "c"},
                                                         {"a", "c", "d"}, {"gone", "b"},      {"f", "a"}};
    for (std::size_t s = 0; s < sessions.size(); ++s)
        for (std::size_t e = 0; e < sessions[s].size(); ++e)
            take(counts.observe("user " + std::to_string(s), sessions[s][e], static_cast<double>(e)));
    return take(counts.snapshot({.smoothing = smoothing}));
}

Signals signals_of(std::vector<Transitions> tables, bool prior = true) {
    Signals signals;
    signals.transitions = std::move(tables);
    if (prior)
        signals.prior = std::make_shared<const Prior>(Prior{{"b", "d", "gone", "new"}, {0.25f, -1.0f, 9.0f, 3.0f}});
    return signals;
}

Recommender load(std::vector<ranklet::BlendPart> parts, const ranklet::FollowersOptions& transitions = {},
                 const std::string& name = "tiny-minilm") {
    LoadOptions options;
    options.blend = std::move(parts);
    options.transitions = transitions;
    return take(Recommender::load(model_path(name), options));
}

struct Met {
    const char* id;
    float rating = ranklet::no_rating;
};
const std::vector<Met> history{{"f"}, {"a"}, {"c", 0.5f}, {"b"}};

Recommender::User user_of(const Recommender& model, const Catalog& catalog, const std::vector<Met>& met = history) {
    auto user = model.new_user();
    for (const Met& each : met) succeed(user.observe(catalog.at(each.id), each.rating));
    return user;
}

/// Evidence for an item, by the formula.
double evidence(const std::vector<Transitions>& tables, const ranklet::FollowersOptions& options,
                const std::vector<Met>& met, const std::string& item) {
    double sum = 0.0;
    for (std::size_t t = 0; t < tables.size(); ++t) {
        std::map<std::string, double> of;
        double total = 0.0, decayed = 1.0;
        for (std::size_t age = 0; age < std::min<std::size_t>(met.size(), options.tables[t].events); ++age) {
            const Met& event = met[met.size() - 1 - age];
            const double weight =
                decayed * static_cast<double>(std::isnan(event.rating)
                                                  ? 1.0f
                                                  : options.rating.scale * (event.rating - options.rating.neutral));
            decayed *= static_cast<double>(options.tables[t].decay);
            const std::size_t row = tables[t].find(event.id);
            if (row == tables[t].size()) continue;
            const auto followers = tables[t].row(row);
            for (std::size_t f = 0; f < followers.size(); ++f) {
                const double part = weight * static_cast<double>(followers.strengths[f]);
                of[tables[t].id(followers.rows[f])] += part;
                total += part;
            }
        }
        if (!options.tables[t].share) total = 1.0;
        if (total > 0.0) sum += static_cast<double>(options.tables[t].weight) * of[item] / total;
    }
    return sum;
}
double followers_score(const std::vector<Transitions>& tables, const ranklet::FollowersOptions& options,
                       const std::vector<Met>& met, const std::string& item) {
    return std::log(std::max(evidence(tables, options, met, item), 0.0) + static_cast<double>(options.floor));
}

}  // namespace

TEST_CASE("transitions score by the formula: one table and two, with shares and without, ratings as weights") {
    const Transitions one = counted(1), two = counted(2, 1.0);
    std::vector<ranklet::FollowersOptions> forms(3);
    forms[1].tables = {{0.5f, 0.7f, 2, true}, {2.0f, 1.0f, 50, false}};
    forms[1].rating = {0.25f, 4.0f};
    forms[2].tables = {{1.0f, 0.9f, 3, false}};
    forms[2].floor = 0.01f;
    for (const auto& options : forms) {
        std::vector<Transitions> tables{one};
        if (options.tables.size() == 2) tables.push_back(two);
        const Recommender model = load({{"transitions", 1.0f}}, options);
        const Catalog catalog = take(take(model.encode_catalog(items)).with(signals_of(tables, false)));
        const auto user = user_of(model, catalog);
        const auto scores = take(model.scores(user, catalog));
        for (std::size_t i = 0; i < items.size(); ++i)
            CHECK(std::abs(static_cast<double>(scores[i]) - followers_score(tables, options, history, items[i].id)) <
                  1e-5);
        CHECK(same_bits(take(model.scores(user, catalog, {finely(3)})), scores));
        const std::vector<std::size_t> some{6, 2, 2, 0};
        const auto of_some = take(model.scores_of(user, catalog, some));
        for (std::size_t s = 0; s < some.size(); ++s) CHECK(of_some[s] == scores[some[s]]);
    }
}

TEST_CASE("with shares, probabilities are the shares again") {
    ranklet::FollowersOptions options;
    options.floor = 1e-12f;
    const Recommender model = load({{"transitions", 1.0f}}, options);
    const std::vector<Transitions> tables{counted()};
    const Catalog catalog = take(take(model.encode_catalog(items)).with(signals_of(tables, false)));
    const auto ranked = take(model.recommend(user_of(model, catalog, {{"a"}}), catalog));
    double all = 0.0;
    for (const Item& item : items) all += evidence(tables, options, {{"a"}}, item.id);
    REQUIRE(all > 0.5);  // the rest is of the item that left the catalog
    CHECK(ranked[0].id == "b");
    for (const auto& each : ranked)
        CHECK(static_cast<double>(each.probability) ==
              doctest::Approx(evidence(tables, options, {{"a"}}, std::string(each.id)) / all).epsilon(1e-5));
}

TEST_CASE("a blend is the weighted sum of its parts, and the explanation takes it apart") {
    const std::vector<Transitions> tables{counted()};
    const Recommender text = take(Recommender::load(model_path("tiny-minilm")));
    const Recommender model = load({{"history", 2.0f}, {"transitions", 0.75f}, {"prior", 0.5f}});
    const Catalog catalog = take(take(model.encode_catalog(items)).with(signals_of(tables)));
    const Catalog text_catalog = take(text.encode_catalog(items));
    const auto user = user_of(model, catalog);
    const auto scores = take(model.scores(user, catalog));
    const auto text_scores = take(text.scores(user_of(text, text_catalog), text_catalog));
    const std::map<std::string, double> prior{{"b", 0.25}, {"d", -1.0}, {"new", 3.0}};
    for (std::size_t i = 0; i < items.size(); ++i) {
        const auto own = prior.find(items[i].id);
        const double follow = followers_score(tables, {}, history, items[i].id);
        const double expected =
            2.0 * static_cast<double>(text_scores[i]) + 0.75 * follow + 0.5 * (own == prior.end() ? 0.0 : own->second);
        CHECK(std::abs(static_cast<double>(scores[i]) - expected) < 1e-5);

        const auto explanation = take(ranklet::explain(model, user, catalog, items[i].id, {.text = items[i].text}));
        REQUIRE(explanation.parts.size() == 3);
        CHECK(explanation.parts[0].name == "history");
        CHECK(explanation.parts[0].contribution == 2.0f * text_scores[i]);
        CHECK(explanation.parts[1].name == "transitions");
        CHECK(std::abs(static_cast<double>(explanation.parts[1].contribution) - 0.75 * follow) < 1e-5);
        CHECK(explanation.parts[2].contribution == static_cast<float>(own == prior.end() ? 0.0 : 0.5 * own->second));
        REQUIRE(explanation.events.size() == history.size());
        CHECK(!explanation.text.empty());
    }
    // What the last event adds to "c": its text's term, and the evidence that goes without it.
    const auto explanation = take(ranklet::explain(model, user, catalog, "c"));
    std::vector<Met> only{history.back()};
    const double whole = evidence(tables, {}, history, "c");
    double total = 0.0, part = 0.0;
    for (const std::string id : {"a", "b", "c", "d", "e", "f", "gone"}) {
        const double all = evidence(tables, {.tables = {{1.0f, 0.8f, 50, false}}}, history, id);
        total += all;
        if (id == "c") part = evidence(tables, {.tables = {{1.0f, 0.8f, 50, false}}}, only, id);
    }
    const auto text_explained = take(ranklet::explain(text, user_of(text, text_catalog), text_catalog, "c"));
    const double expected = 2.0 * static_cast<double>(text_explained.events.back().contribution) +
                            0.75 * (std::log(whole + 1e-5) - std::log(std::max(whole - part / total, 0.0) + 1e-5));
    CHECK(static_cast<double>(explanation.events.back().contribution) == doctest::Approx(expected).epsilon(1e-4));
    CHECK(explanation.events.back().times == 1);  // b was followed by c once
    CHECK(explanation.events[0].times == 0);
}

TEST_CASE("what a trained decoder says joins a blend, its state beside the others'") {
    for (const std::string name : {"tiny-dot-product", "tiny-next-event", "tiny-words-dot"}) {
        CAPTURE(name);
        const std::string trained_type = name == "tiny-next-event" ? "next_event" : "dot_product";
        const Recommender trained = load_model(name);
        LoadOptions options;
        options.blend = {{trained_type, 1.5f}, {"history", 0.5f}};
        const Recommender model = take(Recommender::load(model_path(name), options));
        LoadOptions history_only;
        history_only.blend = {{"history", 1.0f}};
        const Recommender text = take(Recommender::load(model_path(name), history_only));
        const Catalog catalog = take(model.encode_catalog(items)), of_trained = take(trained.encode_catalog(items)),
                      of_text = take(text.encode_catalog(items));
        auto user = user_of(model, catalog);
        const auto scores = take(model.scores(user, catalog));
        const auto a = take(trained.scores(user_of(trained, of_trained), of_trained));
        const auto b = take(text.scores(user_of(text, of_text), of_text));
        for (std::size_t i = 0; i < scores.size(); ++i)
            CHECK(static_cast<double>(scores[i]) ==
                  doctest::Approx(1.5 * static_cast<double>(a[i]) + 0.5 * static_cast<double>(b[i])).epsilon(1e-5));
        const auto saved = user.save();
        const auto again = take(model.load_user(saved));
        CHECK(again.save() == saved);
        CHECK(same_bits(take(model.scores(again, catalog)), scores));
        for (std::size_t size = 0; size < saved.size(); ++size)
            CHECK_FALSE(model.load_user(std::span(saved).first(size)).ok());
        // An event that one part refuses leaves both as they were.
        (void)user.observe(catalog[0], 3e38f);
        const auto before = user.save();
        check_error(user.observe(catalog[0], 3e38f), ErrorCode::invalid_argument);
        CHECK(user.save() == before);
        user.reset();
        CHECK(user.save() == model.new_user().save());
        // A GRU's part has no terms: leave one out, for the blend as a whole.
        const auto explanation = take(ranklet::explain(model, again, catalog, "b"));
        const auto without_last = user_of(model, catalog, {history.begin(), history.end() - 1});
        const auto rest = take(model.scores(without_last, catalog));
        CHECK(explanation.events.back().contribution == scores[1] - rest[1]);
    }
}

TEST_CASE("signals change while the catalog stays: what is encoded is shared, filters fit, updates keep them") {
    const Recommender model = load({{"prior", 1.0f}});
    const Catalog bare = take(model.encode_catalog(items));
    const auto user = model.new_user();
    check_error(model.recommend(user, bare), ErrorCode::mismatch, "no prior");
    const Catalog first = take(bare.with(signals_of({})));
    const Catalog second = take(first.with({{}, std::make_shared<const Prior>(Prior{{"f", "zzz"}, {1.0f, 5.0f}})}));
    CHECK(&first.data() == &bare.data());
    CHECK(second.snapshot() == first.snapshot());
    CHECK(take(model.recommend(user, first, {.k = 1}))[0].id == "new");
    CHECK(take(model.recommend(user, second, {.k = 1}))[0].id == "f");
    CHECK(take(model.recommend(user, first, {.k = 1}))[0].id == "new");
    const std::vector<std::string_view> removed{"a"};
    const std::vector<Item> added{{"x", "something else"}};
    const Catalog updated = take(ranklet::update_catalog(model, first, {.add = added, .remove = removed}));
    const auto scores = take(model.scores(user, updated));
    CHECK(scores == std::vector<float>{0.25f, 0.0f, -1.0f, 0.0f, 0.0f, 3.0f, 0.0f});

    check_error(bare.with({{}, std::make_shared<const Prior>(Prior{{"a"}, {quiet_nan}})}), ErrorCode::invalid_argument,
                "\"a\" is not finite");
    check_error(bare.with({{}, std::make_shared<const Prior>(Prior{{"a", "a"}, {1.0f, 1.0f}})}),
                ErrorCode::invalid_argument, "two numbers for \"a\"");
    check_error(bare.with({{}, std::make_shared<const Prior>(Prior{{"a"}, {}})}), ErrorCode::invalid_argument,
                "0 numbers for 1");
}

TEST_CASE("signals that are bound to another catalog, and a file's numbers that are none, are refused") {
    const Recommender model = load({{"transitions", 1.0f}, {"prior", 1.0f}});
    const Catalog catalog = take(take(model.encode_catalog(items)).with(signals_of({counted()})));
    const Catalog smaller = take(model.encode_catalog(std::span(items).first(3)));
    check_error(smaller.with(*catalog.signals()), ErrorCode::invalid_argument, "3 items");
    ranklet::BoundSignals beyond = *catalog.signals();
    beyond.rows[0][2] = static_cast<std::uint32_t>(beyond.signals.transitions[0].size());
    check_error(catalog.with(beyond), ErrorCode::invalid_argument);
    CHECK(catalog.with(*catalog.signals()).ok());

    const auto file = take(ranklet::GgufFile::open(model_path("tiny-minilm")));
    const std::vector<std::string> ids{"a", "b"};
    for (const float second : {2.0f, quiet_nan}) {
        const std::vector<float> values{1.0f, second};
        ranklet::GgufWriter writer;
        succeed(writer.copy(file, [](std::string_view) { return false; }));
        writer.key("ranklet.recommender.scoring", "prior");
        writer.array("ranklet.prior.ids", ids);
        writer.tensor("ranklet.prior.values", 1, 2, std::span<const float>(values));
        const auto bytes = take(writer.bytes());
        LoadOptions untested;
        untested.self_test = false;
        const auto loaded = Recommender::from_memory(bytes, untested);
        if (std::isnan(second)) {
            check_error(loaded, ErrorCode::format, "ranklet.prior.values[1] is not finite");
            continue;
        }
        const auto own = take(take(Recommender::from_memory(bytes, untested)).encode_catalog(items));
        CHECK(take(loaded->scores(loaded->new_user(), own)) ==
              std::vector<float>{1.0f, 2.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f});
    }
}

TEST_CASE("a blend that does not fit is refused, saying why") {
    const auto refused = [](std::vector<ranklet::BlendPart> parts, ErrorCode code, std::string_view part,
                            const std::string& name = "tiny-minilm") {
        LoadOptions options;
        options.self_test = false;
        options.blend = std::move(parts);
        check_error(Recommender::load(model_path(name), options), code, part);
    };
    refused({{"history", 1.0f}, {"history", 2.0f}}, ErrorCode::format, "\"history\" twice");
    refused({{"blend", 1.0f}}, ErrorCode::format, "a blend itself");
    refused({{"astrology", 1.0f}}, ErrorCode::unsupported, "\"astrology\"");
    for (const float weight : {quiet_nan, infinity, -1e7f})
        refused({{"history", weight}}, ErrorCode::format, "expected -1e6 to 1e6");
    refused({{"text_gru", 1.0f}, {"history", 1.0f}}, ErrorCode::unsupported, "do not read the same", "tiny-text-gru");
    refused({{"dot_product", 1.0f}}, ErrorCode::missing, "ranklet.gru");
    const auto bad = [](const ranklet::FollowersOptions& transitions, std::string_view part) {
        LoadOptions options;
        options.blend = {{"transitions", 1.0f}};
        options.transitions = transitions;
        check_error(Recommender::load(model_path("tiny-minilm"), options), ErrorCode::format, part);
    };
    bad({.tables = {}}, "ranklet.transitions.tables");
    bad({.tables = {{0.0f}}}, "ranklet.transitions.weights");
    bad({.tables = {{1.0f, 0.0f}}}, "ranklet.transitions.decays");
    bad({.tables = {{1.0f, 0.5f, 0}}}, "ranklet.transitions.events");
    bad({.floor = 0.0f}, "ranklet.transitions.floor");
    bad({.rating = {infinity, 1.0f}}, "rating_neutral");

    const Recommender model = load({{"transitions", 1.0f}});
    const Catalog catalog = take(model.encode_catalog(items));
    check_error(model.scores(model.new_user(), catalog), ErrorCode::mismatch, "0 tables of transitions");
    check_error(model.scores(model.new_user(), take(catalog.with(signals_of({counted(), counted()})))),
                ErrorCode::mismatch, "2 tables of transitions, the model reads 1");
    CHECK(take(model.recommend(model.new_user(), take(model.encode_catalog({})))).empty());
}

TEST_CASE("a user who remembers few events is scored by those, and events whose items are gone count still") {
    const std::vector<Transitions> tables{counted()};
    const Recommender model = load({{"transitions", 1.0f}});
    const Catalog catalog = take(take(model.encode_catalog(items)).with(signals_of(tables)));
    auto user = model.new_user({}, {.max_events = 2});
    for (const Met& each : history) succeed(user.observe(catalog.at(each.id), each.rating));
    const std::vector<Met> last(history.end() - 2, history.end());
    const auto scores = take(model.scores(user, catalog));
    for (std::size_t i = 0; i < items.size(); ++i)
        CHECK(std::abs(static_cast<double>(scores[i]) - followers_score(tables, {}, last, items[i].id)) < 1e-5);
    const std::vector<std::string_view> removed{"b"};
    const Catalog without = take(ranklet::update_catalog(model, catalog, {.remove = removed}));
    const auto rest = take(model.scores(user, without));
    CHECK(rest[0] == scores[0]);
    CHECK(rest[1] == scores[2]);
}

TEST_CASE("what goes with items: the best for somebody who has met them alone, without them") {
    const std::vector<Transitions> tables{counted()};
    const Recommender model = load({{"history", 1.0f}, {"transitions", 1.0f}});
    const Catalog catalog = take(take(model.encode_catalog(items)).with(signals_of(tables, false)));
    const std::vector<std::string_view> basket{"a", "f"};
    const auto found = take(model.similar(basket, catalog, {.k = 3}));
    const auto expected =
        take(model.recommend(user_of(model, catalog, {{"a"}, {"f"}}), catalog, {.k = 3, .exclude_seen = true}));
    REQUIRE(found.size() == 3);
    for (std::size_t i = 0; i < found.size(); ++i) {
        CHECK(found[i].id == expected[i].id);
        CHECK(found[i].score == expected[i].score);
        CHECK(found[i].id != "a");
    }
    CHECK(take(model.similar("a", catalog, {.k = 1}))[0].id == "b");
    check_error(model.similar("nowhere", catalog), ErrorCode::missing, "\"nowhere\"");
    check_error(model.similar(ranklet::TextList(), catalog), ErrorCode::invalid_argument, "no item");
    check_error(Recommender().similar("a", catalog), ErrorCode::invalid_argument, "the model");
}
