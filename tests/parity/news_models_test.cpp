// News recommenders (LSTUR, NAML, NRMS, NARM-like, several modalities) against PyTorch: goldens/news-NAME.gguf is the
// model, news-NAME.golden.gguf what reference/news.py says of it. Made by make_news_goldens.py.
#include <array>
#include <optional>

#include "parity/golden.hpp"
#include "ranklet/decoders/decoder.hpp"
#include "ranklet/encoders/news_encoder.hpp"
#include "ranklet/recommender.hpp"
#include "threads.hpp"

namespace {

using namespace parity;
using ranklet::Matrix;

constexpr std::array names{"lstur-ini",   "lstur-con",    "lstur-keras",  "naml",           "nrms",
                           "nrms-padded", "narm-kim",     "modalities",   "bilinear",       "lstur-hard",
                           "narm-hard",   "nrms-history", "naml-history", "learned-history"};

/// A golden's items, with the strings and numbers that they look into.
struct NewsItems {
    std::vector<std::string> ids;
    std::vector<std::vector<ranklet::Attribute>> attributes;
    std::vector<std::vector<ranklet::ItemVector>> vectors;
    std::vector<std::vector<float>> numbers;
    std::vector<ranklet::Item> items;

    NewsItems(const ranklet::NewsEncoder& encoder, const Golden& golden) {
        const auto titles = take(golden.file().strings("golden.view.title"));
        const std::size_t n = titles.size();
        attributes.resize(n);
        vectors.resize(n);
        numbers.reserve(encoder.view_count());
        for (std::size_t v = 0; v < encoder.view_count(); ++v) {
            const auto name = encoder.view_name(v);
            if (name == "title") continue;
            if (encoder.view_kind(v) == ranklet::NewsEncoder::ViewKind::vector) {
                numbers.push_back(take(golden.file().floats("golden.view." + std::string(name))));
                for (std::size_t i = 0; i < n; ++i) {
                    const auto part =
                        std::span<const float>(numbers.back()).subspan(i * encoder.view_size(v), encoder.view_size(v));
                    if (!std::isnan(part[0])) vectors[i].push_back({name, part});
                }
                continue;
            }
            const auto values = take(golden.file().strings("golden.view." + std::string(name)));
            for (std::size_t i = 0; i < n; ++i)
                if (!values[i].empty()) attributes[i].push_back({name, values[i]});
        }
        for (std::size_t i = 0; i < n; ++i) ids.push_back("item " + std::to_string(i));
        for (std::size_t i = 0; i < n; ++i) items.push_back({ids[i], titles[i], attributes[i], vectors[i]});
    }
};

ranklet::Recommender load(const std::string& name) {
    return take(ranklet::Recommender::load("tests/parity/goldens/news-" + name + ".gguf"));
}

}  // namespace

TEST_CASE("items' vectors and every user's scores agree with PyTorch, in every named model and form") {
    for (const std::string name : names) {
        CAPTURE(name);
        const Golden golden("news-" + name + ".golden.gguf");
        const auto model = load(name);
        REQUIRE(model.as<ranklet::NewsEncoder>() != nullptr);
        const NewsItems items(*model.as<ranklet::NewsEncoder>(), golden);
        const auto catalog = take(model.encode_catalog(items.items));
        const Matrix expected = golden.matrix("golden.vectors");
        for (std::size_t i = 0; i < catalog.size(); ++i)
            check_close(catalog[i].vector(), expected.row(i), name + ", item " + std::to_string(i));
        const auto users = take(golden.file().strings("golden.users"));
        for (const std::string history : {"cold", "one", "some", "many"})
            for (std::size_t u = 0; u < users.size(); ++u) {
                auto user = model.new_user(users[u]);
                for (const std::int32_t event : take(golden.file().i32s("golden.history." + history)))
                    REQUIRE(user.observe(catalog[static_cast<std::size_t>(event)]).ok());
                check_close(take(model.scores(user, catalog)),
                            golden.vector("golden.scores." + history + "." + std::to_string(u)),
                            name + ", " + history + ", user " + std::to_string(u));
            }
    }
}

TEST_CASE("an item's vector has the same bits alone, in any order, and with any number of threads") {
    for (const std::string name : names) {
        CAPTURE(name);
        const Golden golden("news-" + name + ".golden.gguf");
        const auto model = load(name);
        NewsItems items(*model.as<ranklet::NewsEncoder>(), golden);
        const auto catalog = take(model.encode_catalog(items.items));
        std::vector<ranklet::Item> reversed(items.items.rbegin(), items.items.rend());
        for (const std::size_t threads : {1u, 2u, 3u}) {
            const auto other = take(model.encode_catalog(reversed, {.threads = ranklet_test::finely(threads)}));
            for (std::size_t i = 0; i < catalog.size(); ++i) {
                const auto a = catalog[i].vector(), b = other[catalog.size() - 1 - i].vector();
                CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()));
            }
        }
        const auto alone = take(model.encode_catalog(std::span(items.items).subspan(4, 1)));
        const auto a = catalog[4].vector(), b = alone[0].vector();
        CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()));
    }
}

TEST_CASE("a user's state is saved and loaded with its events' vectors and its id, and goes on as before") {
    for (const std::string name : names) {
        CAPTURE(name);
        const Golden golden("news-" + name + ".golden.gguf");
        const auto model = load(name);
        const NewsItems items(*model.as<ranklet::NewsEncoder>(), golden);
        const auto catalog = take(model.encode_catalog(items.items));
        auto user = model.new_user(take(golden.file().strings("golden.users")).back());
        for (const std::size_t item : {0u, 2u, 4u, 6u, 0u, 2u}) REQUIRE(user.observe(catalog[item]).ok());
        auto loaded = take(model.load_user(user.save()));
        CHECK(loaded.save() == user.save());
        REQUIRE(user.observe(catalog[5]).ok());
        REQUIRE(loaded.observe(catalog[5]).ok());
        CHECK(take(model.scores(user, catalog)) == take(model.scores(loaded, catalog)));
        CHECK(user.state().memory_rows() <= (user.state().memory_width == 0 ? 0u : 50u));
        // Forgetting events keeps who the user is.
        user.reset();
        const auto fresh = model.new_user(take(golden.file().strings("golden.users")).back());
        CHECK(take(model.scores(user, catalog)) == take(model.scores(fresh, catalog)));
        // A state of another shape is refused.
        auto state = fresh.state();
        state.memory_width += 1;
        CHECK_FALSE(model.load_user(state).ok());
    }
}

TEST_CASE("attention sees the last max_events events only: older ones change nothing") {
    const Golden golden("news-naml.golden.gguf");
    const auto model = load("naml");
    const NewsItems items(*model.as<ranklet::NewsEncoder>(), golden);
    const auto catalog = take(model.encode_catalog(items.items));
    auto longer = model.new_user(), shorter = model.new_user();
    for (const std::size_t item : {5u, 7u, 1u, 3u}) REQUIRE(longer.observe(catalog[item]).ok());
    for (const std::size_t item : {0u, 2u, 4u, 6u}) {
        REQUIRE(longer.observe(catalog[item]).ok());
        REQUIRE(shorter.observe(catalog[item]).ok());
    }
    CHECK(take(model.scores(longer, catalog)) == take(model.scores(shorter, catalog)));
}

TEST_CASE("padded tokens that were part of training: under a maximum over time a few stand for all of them") {
    // narm-kim pads to 12 words; the golden has titles of 0, 1, 2 and more words, so both ends are in it. Here: the
    // padded empty text is not the zero vector that an unpadded model gives it.
    const auto model = load("narm-kim");
    const auto vector = take(model.encode(""));
    CHECK(std::any_of(vector.begin(), vector.end(), [](float x) { return x > 0.0f; }));
    const auto unpadded = load("lstur-keras");
    const auto zero = take(unpadded.encode(""));
    CHECK(std::all_of(zero.begin(), zero.end(), [](float x) { return x == 0.0f; }));
}

TEST_CASE("Keras's Masking: an event of all zeros is skipped") {
    const auto model = load("lstur-keras");
    const std::vector<ranklet::Item> items{{"empty", ""}, {"storm", "storm hits the coast"}};
    const auto catalog = take(model.encode_catalog(items));
    auto with = model.new_user(), without = model.new_user();
    REQUIRE(with.observe(catalog[1]).ok());
    REQUIRE(without.observe(catalog[1]).ok());
    REQUIRE(with.observe(catalog[0]).ok());
    CHECK(with.state().hidden == without.state().hidden);
    CHECK(with.events().size() == 2);
}

TEST_CASE("what is missing has a meaning: a category unknown or not given is row 0, a user unknown or not given zero") {
    const auto model = load("lstur-ini");
    const std::vector<ranklet::Attribute> unknown{{"category", std::string_view("of no such name")}};
    const std::vector<ranklet::Item> items{{"a", "storm hits"}, {"b", "storm hits", unknown}};
    const auto catalog = take(model.encode_catalog(items));
    CHECK(std::equal(catalog[0].vector().begin(), catalog[0].vector().end(), catalog[1].vector().begin()));
    CHECK(model.new_user("nobody").state().hidden == model.new_user().state().hidden);
    CHECK(model.new_user("U1").state().hidden != model.new_user().state().hidden);
}

TEST_CASE("what cannot be read is an error that names the item and the view") {
    const auto model = load("modalities");
    const std::vector<float> short_one(3), six{1, 2, 3, std::numeric_limits<float>::quiet_NaN(), 5, 6};
    const auto error_of = [&](const ranklet::ItemVector& vector) {
        const std::vector<ranklet::Item> items{{"first", "a"}, {"second", "b", {}, std::span(&vector, 1)}};
        const auto result = model.encode_catalog(items);
        REQUIRE_FALSE(result.ok());
        return result.error().message;
    };
    CHECK(error_of({"image", short_one}).find("second") != std::string::npos);
    CHECK(error_of({"image", six}).find("image") != std::string::npos);
    CHECK(error_of({"smell", six}).find("smell") != std::string::npos);
    const std::vector<ranklet::Item> items{{"bad", "storm \xFF"}};
    const auto result = model.encode_catalog(items);
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().code == ranklet::ErrorCode::invalid_text);
    CHECK(result.error().message.find("bad") != std::string::npos);
    const auto naml = load("naml");
    // The item whose body it is, though the texts of others cannot be read as titles either or are of no view.
    const std::vector<ranklet::Attribute> body{{"body", std::string_view("storm \xFF")}},
        unread{{"colour", std::string_view("\xFF")}};
    const std::vector<ranklet::Item> bodies{{"first", "storm", unread}, {"second", "coast", body}, {"last", "\xFF"}};
    const auto of_body = naml.encode_catalog(bodies);
    REQUIRE_FALSE(of_body.ok());
    CHECK(of_body.error().code == ranklet::ErrorCode::invalid_text);
    CHECK(of_body.error().message.rfind("item \"second\": body: ", 0) == 0);
    const std::vector<ranklet::ItemVector> images{{"image", six}};
    const std::vector<ranklet::Item> pictured{{"plain", "a"}, {"pictured", "b", {}, images}};
    CHECK(model.encode_catalog(pictured).error().message.rfind("item \"pictured\": the vector \"image\"", 0) == 0);
    const std::vector<ranklet::Attribute> number{{"category", 5.0}};
    const std::vector<ranklet::Item> numbered{{"bad", "storm", number}};
    CHECK_FALSE(naml.encode_catalog(numbered).ok());
    CHECK_FALSE(model.encode("storm", {.prompt = "query"}).ok());
}

TEST_CASE("an event with numbers that are not finite leaves the user as before") {
    const auto model = load("naml");
    ranklet::UserState state;
    model.decoder().begin_user(state);
    ranklet::CatalogData items;
    items.vectors = take(ranklet::Matrix::zeroed(1, model.encoder().dim()));
    items.vectors.row(0).back() = std::numeric_limits<float>::infinity();
    ranklet::Scratch scratch;
    CHECK_FALSE(model.decoder().observe(state, items, 0, ranklet::no_rating, scratch).ok());
    CHECK(state.memory.empty());
}

TEST_CASE("the user tower tells its attention on each remembered event; the weights sum to one") {
    const Golden golden("news-naml.golden.gguf");
    const auto model = load("naml");
    const NewsItems items(*model.as<ranklet::NewsEncoder>(), golden);
    const auto catalog = take(model.encode_catalog(items.items));
    auto user = model.new_user();
    for (const std::size_t item : {0u, 2u, 4u}) REQUIRE(user.observe(catalog[item]).ok());
    const auto weights = take(model.decoder().event_attention(user.state()));
    REQUIRE(weights.size() == 3);
    CHECK(weights[0] + weights[1] + weights[2] == doctest::Approx(1.0f));
}

TEST_CASE(
    "where training filled histories up, missing events are seen as items without a text, until there are enough") {
    const std::vector<ranklet::Item> items{{"storm", "storm hits the coast"}, {"team", "team wins"}, {"empty", ""}};
    for (const std::string name : {"nrms-history", "naml-history"}) {
        CAPTURE(name);
        const std::size_t pad_to = name == "nrms-history" ? 6 : 5;
        const auto model = load(name);
        const auto catalog = take(model.encode_catalog(items));
        auto user = model.new_user(), filled = model.new_user();
        const bool in_front = name == "nrms-history";
        if (in_front)
            for (std::size_t n = 0; n + 2 < pad_to; ++n) REQUIRE(filled.observe(catalog[2]).ok());
        for (const std::size_t item : {0u, 1u}) {
            REQUIRE(user.observe(catalog[item]).ok());
            REQUIRE(filled.observe(catalog[item]).ok());
        }
        if (!in_front)
            for (std::size_t n = 0; n + 2 < pad_to; ++n) REQUIRE(filled.observe(catalog[2]).ok());
        check_close(take(model.scores(user, catalog)), take(model.scores(filled, catalog)), name);
        // The weights are those of the events that there are; the rest of the attention is the padding's.
        const auto weights = take(model.decoder().event_attention(user.state()));
        const auto all = take(model.decoder().event_attention(filled.state()));
        REQUIRE((weights.size() == 2 && all.size() == pad_to));
        const std::size_t first = in_front ? pad_to - 2 : 0;
        CHECK(weights[0] == doctest::Approx(all[first]));
        CHECK(weights[1] == doctest::Approx(all[first + 1]));
        CHECK(weights[0] + weights[1] < 0.99f);
        // A user without any event is not the zero vector.
        const auto cold = take(model.scores(model.new_user(), catalog));
        CHECK(std::any_of(cold.begin(), cold.end(), [](float x) { return x != 0.0f; }));
    }
}
