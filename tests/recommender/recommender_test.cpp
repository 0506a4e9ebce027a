// The recommender's behaviour: filters, users that go on, models that are not mixed, texts of every kind.
#include "ranklet/recommender.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "ranklet/decoders/next_event.hpp"
#include "ranklet/decoders/text_gru.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/encoders/item_table.hpp"
#include "ranklet/ranking/vector_index.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::BatchOptions;
using ranklet::Catalog;
using ranklet::ErrorCode;
using ranklet::InitialState;
using ranklet::Item;
using ranklet::Ranking;
using ranklet::Recommender;
using ranklet::RecommendOptions;
using Ids = std::vector<std::string_view>;

double total_probability(const Ranking& ranking) {
    double sum = 0.0;
    for (const auto& r : ranking) sum += static_cast<double>(r.probability);
    return sum;
}

std::set<std::string> ids_of(const Ranking& ranking) {
    std::set<std::string> ids;
    for (const auto& r : ranking) ids.emplace(r.id);
    return ids;
}

Ranking recommend(const Recommender& model, const Recommender::User& user, const Catalog& catalog,
                  const RecommendOptions& options) {
    return take(model.recommend(user, catalog, options));
}

}  // namespace

TEST_CASE("a ranking is the scores sorted, each with its id, and probabilities over all candidates sum to one") {
    for (const std::string name : model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model);
        const auto user = make_user(model, catalog);
        const auto scores = take(model.scores(user, catalog));
        REQUIRE(scores.size() == catalog.size());
        RecommendOptions options;
        options.k = catalog.size() + 10;
        const Ranking all = recommend(model, user, catalog, options);
        REQUIRE(all.size() == catalog.size());
        CHECK(total_probability(all) == doctest::Approx(1.0).epsilon(1e-5));
        for (std::size_t i = 0; i < all.size(); ++i) {
            CHECK(all[i].id == catalog[all[i].index].id());
            CHECK(bits(all[i].score) == bits(scores[all[i].index]));
            if (i > 0)
                CHECK((all[i - 1].score > all[i].score ||
                       (all[i - 1].score == all[i].score && all[i - 1].index < all[i].index)));
        }
        options.k = 3;
        const Ranking best = recommend(model, user, catalog, options);
        REQUIRE(best.size() == 3);
        for (std::size_t i = 0; i < 3; ++i) {
            CHECK(best[i].id == all[i].id);
            CHECK(bits(best[i].probability) == bits(all[i].probability));
        }
        options.k = 0;
        CHECK(recommend(model, user, catalog, options).empty());
    }
}

TEST_CASE("filters leave what they say, k is cut afterwards, and probabilities are over what is left") {
    for (const std::string name : model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model);
        const auto user = make_user(model, catalog);
        std::set<std::string> seen;
        for (const auto& event : user.events()) seen.insert(event.id);

        RecommendOptions options;
        options.k = 1000;
        options.exclude_seen = true;
        const Ranking unseen = recommend(model, user, catalog, options);
        CHECK(unseen.size() == catalog.size() - seen.size());
        for (const std::string& id : ids_of(unseen)) CHECK(seen.count(id) == 0);
        CHECK(total_probability(unseen) == doctest::Approx(1.0).epsilon(1e-5));

        const std::string first(catalog[0].id()), second(catalog[1].id()), third(catalog[2].id());
        const Ids allow{first, "no such item", third, second}, deny{second, "nor this"};
        options.exclude_seen = false;
        options.allow = allow;
        CHECK(ids_of(recommend(model, user, catalog, options)) == std::set<std::string>{first, second, third});
        options.deny = deny;
        const Ranking both = recommend(model, user, catalog, options);
        CHECK(ids_of(both) == std::set<std::string>{first, third});
        CHECK(total_probability(both) == doctest::Approx(1.0).epsilon(1e-5));
        options.k = 1;
        CHECK(recommend(model, user, catalog, options)[0].id == both[0].id);

        const Ids nothing;
        options.k = 5;
        options.allow = nothing;
        CHECK(recommend(model, user, catalog, options).empty());
        Ids everything;
        for (std::size_t i = 0; i < catalog.size(); ++i) everything.push_back(catalog[i].id());
        options.allow.reset();
        options.deny = everything;
        CHECK(recommend(model, user, catalog, options).empty());
    }
}

TEST_CASE("recommendations change with what the user met, and reset forgets it all") {
    for (const std::string name : model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model);
        auto user = model.new_user();
        const auto cold = take(model.scores(user, catalog));
        observe_some(user, catalog, 4, 3);
        CHECK_FALSE(same_bits(take(model.scores(user, catalog)), cold));
        user.reset();
        CHECK(user.events().empty());
        CHECK(same_bits(take(model.scores(user, catalog)), cold));
        for (const float h : user.state().hidden) CHECK(h == 0.0f);
    }
}

TEST_CASE("a user that is saved and continued has the bits of one that was never interrupted") {
    for (const std::string name : model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model);
        auto whole = make_user(model, catalog, 4);
        auto part = take(load_model(name).load_user(whole.save()));  // another process's copy of the model
        auto copy = whole;
        observe_some(whole, catalog, 5, 11);
        observe_some(part, catalog, 5, 11);
        CHECK(part.save() == whole.save());
        CHECK(same_bits(take(model.scores(part, catalog)), take(model.scores(whole, catalog))));
        CHECK(copy.events().size() == 4);
        observe_some(copy, catalog, 5, 11);
        CHECK(copy.save() == whole.save());
        copy = model.new_user();
        CHECK(copy.events().empty());
        CHECK(whole.events().size() == 9);
    }
}

TEST_CASE("a state whose events were dropped to save room still scores with what it remembers") {
    for (const std::string name : model_names) {
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model);
        const auto user = make_user(model, catalog);
        ranklet::UserState state = user.state();
        state.events.clear();
        const auto lean = take(model.load_user(state));
        CHECK(same_bits(take(model.scores(lean, catalog)), take(model.scores(user, catalog))));
    }
}

TEST_CASE("every truncation and every flipped byte of a saved user is an error") {
    const Recommender model = load_model("tiny-items");
    const auto bytes = make_user(model, make_catalog(model)).save();
    for (std::size_t n = 0; n < bytes.size(); ++n) REQUIRE_FALSE(model.load_user(std::span(bytes).first(n)).ok());
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        auto damaged = bytes;
        damaged[i] ^= std::byte{0x40};
        REQUIRE_FALSE(model.load_user(damaged).ok());
    }
    CHECK(model.load_user(bytes).ok());
}

TEST_CASE("another model's user, catalog or item is a mismatch, the same file loaded twice is not") {
    for (const std::string name : model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name), twin = load_model(name);
        const Recommender other = load_model(name == "tiny-items" ? "tiny-next-event" : "tiny-items");
        const Catalog catalog = make_catalog(model), other_catalog = make_catalog(other);
        auto user = make_user(model, catalog);
        const auto other_user = make_user(other, other_catalog);

        check_error(model.recommend(other_user, catalog), ErrorCode::mismatch, "user");
        check_error(model.scores(other_user, catalog), ErrorCode::mismatch, "user");
        check_error(model.recommend(user, other_catalog), ErrorCode::mismatch, "catalog");
        check_error(model.load_user(other_user.save()), ErrorCode::mismatch, "another model");
        const auto before = user.save();
        check_error(user.observe(other_catalog[0]), ErrorCode::mismatch, std::string(other_catalog[0].id()));
        CHECK(user.save() == before);
        CHECK(model.fingerprint() != other.fingerprint());
        check_error(model.recommend(user, Catalog()), ErrorCode::invalid_argument, "the catalog is empty");

        CHECK(twin.fingerprint() == model.fingerprint());
        CHECK(same_bits(take(twin.scores(user, catalog)), take(model.scores(user, catalog))));
        ranklet::UserState wrong_size = user.state();
        wrong_size.hidden.push_back(0.0f);
        check_error(model.load_user(wrong_size), ErrorCode::format, "values");
    }
}

TEST_CASE("an id that is missing comes back from observe as at()'s error, and changes nothing") {
    const Recommender model = load_model("tiny-items");
    const Catalog catalog = make_catalog(model);
    auto user = make_user(model, catalog);
    const auto before = user.save();
    check_error(user.observe(catalog.at("never heard of")), ErrorCode::missing, "never heard of");
    for (const float rating : {infinity, -infinity})
        check_error(user.observe(catalog[0], rating), ErrorCode::invalid_argument, "rating");
    CHECK(user.save() == before);
    CHECK(user.observe(catalog.at("i3"), 2.0f).ok());
    CHECK(user.events().back().id == "i3");
    CHECK(user.events().back().rating == 2.0f);
}

TEST_CASE("ratings count where the model has them: nearest value, the lower at a tie, and nothing without one") {
    const Recommender model = load_model("tiny-next-event");  // an embedding for 1, 2, 3, 4, 5
    const Catalog catalog = make_catalog(model);
    const auto state_after = [&](float rating) {
        auto user = model.new_user();
        succeed(user.observe(catalog[2], rating));
        return user.state().hidden;
    };
    CHECK_FALSE(same_bits(state_after(1.0f), state_after(5.0f)));
    CHECK_FALSE(same_bits(state_after(1.0f), state_after(ranklet::no_rating)));
    CHECK(same_bits(state_after(4.4f), state_after(4.0f)));
    CHECK(same_bits(state_after(4.6f), state_after(5.0f)));
    CHECK(same_bits(state_after(2.5f), state_after(2.0f)));
    CHECK(same_bits(state_after(-1e30f), state_after(1.0f)));
    CHECK(same_bits(state_after(1e30f), state_after(5.0f)));

    const Recommender unrated = load_model("tiny-text-gru");
    const Catalog texts = make_catalog(unrated);
    auto with = unrated.new_user(), without = unrated.new_user();
    succeed(with.observe(texts[2], 5.0f));
    succeed(without.observe(texts[2]));
    CHECK(same_bits(with.state().hidden, without.state().hidden));
    CHECK(with.events()[0].rating == 5.0f);
}

TEST_CASE("a text that is observed counts as an item with that text") {
    for (const std::string name : text_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Items items(30);
        const Catalog catalog = take(model.encode_catalog(items.items));
        for (std::size_t i = 0; i < items.items.size(); ++i) {
            auto by_item = make_user(model, catalog, 2), by_text = by_item;
            succeed(by_item.observe(catalog[i], 4.0f));
            succeed(by_text.observe_text(items.texts[i], 4.0f));
            REQUIRE(same_bits(by_item.state().hidden, by_text.state().hidden));
            CHECK(by_text.events().back().id.empty());
            CHECK(by_text.events().back().rating == 4.0f);
        }
        auto user = model.new_user();
        check_error(user.observe_text("a\xFF"), ErrorCode::invalid_text);
        check_error(user.observe_text("a", infinity), ErrorCode::invalid_argument, "rating");
        CHECK(user.events().empty());
        for (const float h : user.state().hidden) CHECK(h == 0.0f);
    }
}

TEST_CASE("text_gru starts candidates from the user's state or from zero, as asked") {
    for (const std::string name : {"tiny-text-gru", "tiny-text-gru-wide"}) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Items items(30);
        const Catalog catalog = take(model.encode_catalog(items.items));
        const auto user = make_user(model, catalog), cold = model.new_user();
        const ranklet::TextGru& decoder = *model.as<ranklet::TextGru>();
        const ranklet::ScoreOptions from_zero{.initial_state = InitialState::zero};
        const auto user_scores = take(model.scores(user, catalog));
        const auto zero_scores = take(model.scores(user, catalog, from_zero));
        CHECK_FALSE(same_bits(user_scores, zero_scores));
        CHECK(same_bits(zero_scores, take(model.scores(cold, catalog))));
        for (std::size_t i = 0; i < items.items.size(); ++i) {
            const auto position_scores = [&](const Recommender::User& who) {
                return take(decoder.position_scores(model.encoder(), who.state(), items.texts[i]));
            };
            const auto warm = position_scores(user);
            CHECK(bits(warm.back()) == bits(user_scores[i]));
            CHECK(bits(position_scores(cold).back()) == bits(zero_scores[i]));
            CHECK(warm.size() == take(model.as<ranklet::Bert>()->encode_tokens(items.texts[i])).rows());
        }
    }
}

TEST_CASE("the initial state makes no difference to the other decoders, which have no scores per position") {
    for (const std::string name : {"tiny-next-event", "tiny-dot-product", "tiny-items"}) {
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model);
        const auto user = make_user(model, catalog);
        const ranklet::ScoreOptions from_zero{.initial_state = InitialState::zero};
        CHECK(same_bits(take(model.scores(user, catalog, from_zero)), take(model.scores(user, catalog))));
        CHECK(model.as<ranklet::TextGru>() == nullptr);
    }
}

TEST_CASE("a model of items has no texts, and a model of texts no items, and both say so") {
    const Recommender items = load_model("tiny-items"), texts = load_model("tiny-next-event");
    const Item item{"a", "phone"};
    check_error(items.encode("phone"), ErrorCode::unsupported, "items()");
    check_error(items.encode_catalog(std::span(&item, 1)), ErrorCode::unsupported, "items()");
    auto user = items.new_user();
    check_error(user.observe_text("phone"), ErrorCode::unsupported, "items()");
    check_error(texts.items(), ErrorCode::unsupported, "encode_catalog");
    CHECK(items.as<ranklet::Bert>() == nullptr);
    REQUIRE(items.as<ranklet::ItemTable>() != nullptr);
    CHECK(items.as<ranklet::ItemTable>()->size() == 31);
    CHECK(items.as<ranklet::ItemTable>()->texts()[4] == "Title number 4");
    CHECK(texts.as<ranklet::ItemTable>() == nullptr);
    CHECK(texts.as<ranklet::Bert>() != nullptr);
}

TEST_CASE("no items, one item and thousands of items make catalogs that can be ranked") {
    for (const std::string name : text_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        for (const std::size_t n : {0u, 1u, 3000u}) {
            const Items items(n);
            const Catalog catalog = take(model.encode_catalog(items.items, {.threads = finely(2)}));
            CHECK(catalog.size() == n);
            auto user = model.new_user();
            if (n > 0) observe_some(user, catalog, 3, 1);
            RecommendOptions options;
            options.k = 7;
            options.threads = finely(2);
            const Ranking ranking = recommend(model, user, catalog, options);
            CHECK(ranking.size() == std::min<std::size_t>(n, 7));
            for (const auto& r : ranking) CHECK(std::isfinite(r.score));
        }
    }
}

TEST_CASE("ids that are empty or stand twice, and texts that are not UTF-8, are errors that name the item") {
    for (const std::string name : text_model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        std::vector<Item> items{{"a", "phone"}, {"b", "case"}, {"a", "charger"}};
        check_error(model.encode_catalog(items), ErrorCode::invalid_argument, "\"a\"");
        items[2].id = "";
        check_error(model.encode_catalog(items), ErrorCode::invalid_argument, "item 2");
        items[2] = {"c", "charger"};
        for (const std::string_view broken :
             {"\xFF", "a\xC3", "\xED\xA0\x80", "\xC0\x80", "\xF4\x90\x80\x80", "ok \x80"}) {
            items[1].text = broken;
            check_error(model.encode_catalog(items), ErrorCode::invalid_text, "item \"b\": ");
        }
    }
}

TEST_CASE("the first of several broken texts is the one that is named, with any number of threads") {
    const Recommender model = load_model("tiny-next-event");
    Items items(500);
    for (const std::size_t broken : {499u, 401u, 133u, 300u}) items.items[broken].text = "\xFF";
    for (const std::size_t threads : {1u, 2u, 8u})
        check_error(model.encode_catalog(items.items, {.threads = finely(threads)}), ErrorCode::invalid_text,
                    "item-133");
}

TEST_CASE("the empty text, blanks and unknown characters are items like others") {
    for (const std::string name : text_model_names) {
        const Recommender model = load_model(name);
        const std::vector<Item> items{{"empty", ""}, {"blanks", " \t\n "}, {"unknown", "ᚠᚢᚦ"}, {"zero", {"\0", 1}}};
        const Catalog catalog = take(model.encode_catalog(items));
        auto user = model.new_user();
        for (std::size_t i = 0; i < items.size(); ++i) succeed(user.observe(catalog[i]));
        const auto scores = take(model.scores(user, catalog));
        for (const float score : scores) CHECK(std::isfinite(score));
        CHECK(bits(scores[0]) == bits(scores[1]));  // both are [CLS] [SEP]
        CHECK(bits(scores[0]) == bits(scores[3]));
    }
}

TEST_CASE("progress is told up to the end, never backwards") {
    const Recommender model = load_model("tiny-text-gru");
    const Items items(300);
    for (const std::size_t threads : {1u, 3u}) {
        std::vector<std::size_t> told;
        BatchOptions options;
        options.threads = finely(threads);
        options.progress = [&](std::size_t done, std::size_t all) {
            CHECK(all == 300);
            told.push_back(done);
        };
        CHECK(model.encode_catalog(items.items, options).ok());
        REQUIRE_FALSE(told.empty());
        CHECK(told.back() == 300);
        CHECK(std::is_sorted(told.begin(), told.end()));
    }
}

TEST_CASE("a recommender of the kinds that a program names gives the same, and refuses other kinds of file") {
    const auto load_fixed = [](const char* name) {
        return Recommender::load<ranklet::Bert, ranklet::NextEvent>(model_path(name));
    };
    const Recommender model = load_model("tiny-next-event"), fixed = take(load_fixed("tiny-next-event"));
    const Items items(20);
    const Catalog catalog = take(model.encode_catalog(items.items));
    auto user = model.new_user();
    auto fixed_user = fixed.new_user();
    for (const std::size_t i : {3u, 5u, 3u}) {
        succeed(user.observe(catalog[i], 2.0f));
        succeed(fixed_user.observe(catalog[i], 2.0f));
    }
    CHECK(fixed_user.save() == user.save());
    CHECK(same_bits(take(fixed.scores(fixed_user, catalog)), take(model.scores(user, catalog))));
    check_error(load_fixed("tiny-dot-product"), ErrorCode::unsupported, "dot_product");
    check_error(load_fixed("tiny-items"), ErrorCode::unsupported, "items");
}

TEST_CASE("a user that was moved from is an error, not a read of what is gone") {
    for (const std::string name : model_names) {
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model, 4);
        auto user = make_user(model, catalog);
        const auto taken = std::move(user);
        CHECK(model.recommend(taken, catalog).ok());
        const ranklet::Result<Ranking> gone = model.recommend(user, catalog);  // NOLINT: what it says is tested
        CHECK_FALSE(gone.ok());
    }
}

TEST_CASE("a catalog put together by hand without what the model reads is a mismatch") {
    for (const std::string name : model_names) {
        const Recommender model = load_model(name);
        auto user = model.new_user();
        for (const std::size_t width : {0u, 1u, 7u}) {
            ranklet::CatalogData data;
            data.ids = {"a", "b"};
            data.model = model.fingerprint();
            data.vectors = take(ranklet::Matrix::zeroed(2, width));
            data.set_part("projected", ranklet::PartRows::item, take(ranklet::Matrix::zeroed(2, width)));
            const Catalog catalog = take(Catalog::create(std::move(data)));
            check_error(model.recommend(user, catalog), ErrorCode::mismatch, "parts");
            check_error(user.observe(catalog[0]), ErrorCode::mismatch, "parts");
        }
    }
}

TEST_CASE("an event whose numbers overflow is refused and changes nothing: a NaN would empty every later ranking") {
    std::vector<std::byte> bytes = read_bytes(model_path("tiny-dot-product"));  // ratings are weights
    const std::string key = "ranklet.rating.scale";
    const auto at = std::search(bytes.begin(), bytes.end(), key.begin(), key.end(),
                                [](std::byte a, char b) { return a == static_cast<std::byte>(b); });
    REQUIRE(at != bytes.end());
    const float huge = 1e30f;
    std::memcpy(&*at + key.size() + 4, &huge, sizeof huge);  // after the key: the value's type, then the value
    const auto file = take(ranklet::GgufFile::from_memory(bytes, "huge.gguf"));
    const Recommender model = take(Recommender::from_file(file, {.self_test = false}));
    const Catalog catalog = make_catalog(model);
    auto user = make_user(model, catalog, 0);
    succeed(user.observe(catalog[1]));
    const auto before = user.state().hidden;
    check_error(user.observe(catalog[2], 3e38f), ErrorCode::invalid_argument, "not finite");
    CHECK(same_bits(user.state().hidden, before));
    CHECK(user.events().size() == 1);
    CHECK(take(model.recommend(user, catalog)).size() == 10);
    ranklet::UserState state = user.state();
    state.hidden[0] = quiet_nan;
    check_error(model.load_user(state), ErrorCode::format, "not finite");
}

TEST_CASE("a user's vector searches an index for what recommend would rank, and says where there is none") {
    const auto model = load_model("tiny-dot-product");
    const Items items(40, 9);
    const auto catalog = take(model.encode_catalog(items.items));
    auto user = model.new_user();
    succeed(user.observe(catalog[3], 4.0f));
    const auto vector = take(model.user_vector(user));
    const auto index =
        take(ranklet::VectorIndex::create(catalog.output_vectors(), ranklet::RowType::i8_exact, catalog.data().bias));
    ranklet::VectorIndex::Workspace workspace;
    const auto found = take(index.search({vector.data(), 1, vector.size()}, {.k = 7}, workspace));
    const auto ranking = take(model.recommend(user, catalog, {.k = 7}));
    REQUIRE(found[0].size() == ranking.size());
    for (std::size_t i = 0; i < ranking.size(); ++i) {
        CHECK(found[0][i].index == ranking[i].index);
        CHECK(bits(found[0][i].score) == bits(ranking[i].score));
    }
    for (const std::string name : {"tiny-text-gru", "tiny-next-event"}) {
        const auto other = load_model(name);
        check_error(other.user_vector(other.new_user()), ranklet::ErrorCode::unsupported, "dot products");
    }
}

TEST_CASE("scores from the zero state do not depend on whether a catalog brings them, and never stand in for others") {
    const auto founding = load_model("tiny-text-gru");
    const Items items(8, 3);
    const auto catalog = take(founding.encode_catalog(items.items));
    auto user = founding.new_user();
    succeed(user.observe(catalog[2]));
    ranklet::CatalogData data;
    data.ids = catalog.data().ids;
    data.set_part("projected", ranklet::PartRows::token,
                  take(ranklet::Matrix::copy_of(catalog.data().part("projected"))));
    data.token_offsets = catalog.data().token_offsets;
    data.model = founding.fingerprint();
    const auto bare = take(Catalog::create(std::move(data)));
    const ranklet::ScoreOptions zero{.initial_state = InitialState::zero};
    CHECK(same_bits(take(founding.scores(user, bare, zero)), take(founding.scores(user, catalog, zero))));
    CHECK(same_bits(take(founding.scores(user, bare)), take(founding.scores(user, catalog))));

    const auto dot = load_model("tiny-dot-product");
    const auto plain = take(dot.encode_catalog(items.items));
    ranklet::CatalogData other;
    other.ids = plain.data().ids;
    other.vectors = take(ranklet::Matrix::zeroed(plain.data().vectors.rows(), plain.data().vectors.cols()));
    std::copy_n(plain.data().vectors.view().data, other.vectors.rows() * other.vectors.cols(),
                other.vectors.view().data);
    const std::vector<float> sevens(other.ids.size(), 7.0f);
    other.set_part("initial_scores", ranklet::PartRows::item,
                   take(ranklet::Matrix::copy_of({sevens.data(), sevens.size(), 1})));
    other.model = dot.fingerprint();
    const auto stale = take(Catalog::create(std::move(other)));
    CHECK(same_bits(take(dot.scores(dot.new_user(), stale)), take(dot.scores(dot.new_user(), plain))));
}

TEST_CASE("a catalog part with columns but no rows, and a user that was moved from, are errors") {
    const auto model = load_model("tiny-dot-product");
    ranklet::CatalogData data;
    data.ids = {"a"};
    data.model = model.fingerprint();
    data.vectors = take(ranklet::Matrix::zeroed(0, 4));
    check_error(Catalog::create(std::move(data)), ErrorCode::invalid_argument, "one row for each item");
    const Items items(3);
    const auto catalog = take(model.encode_catalog(items.items));
    auto user = model.new_user();
    const auto kept = std::move(user);
    check_error(model.recommend(user, catalog), ErrorCode::invalid_argument, "moved from");
    CHECK(model.recommend(kept, catalog).ok());
}
