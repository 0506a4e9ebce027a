// Explanations of news models against a direct recomputation: other texts, and attention worked out from the file's
// tensors.
#include "ranklet/explain/explain_text.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/decoders/user_tower.hpp"
#include "ranklet/encoders/news_encoder.hpp"
#include "ranklet/explain/explain.hpp"
#include "ranklet/model_file/reader.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Attribute;
using ranklet::ErrorCode;
using ranklet::ExplainOptions;
using ranklet::GgufFile;
using ranklet::Item;
using ranklet::Matrix;
using ranklet::NewsEncoder;
using ranklet::Recommender;
using Words = std::vector<std::string>;

const std::vector<std::string> names{"naml",        "nrms",     "nrms-padded", "lstur-ini", "lstur-con",
                                     "lstur-keras", "narm-kim", "bilinear",    "modalities"};
const Words title{"storm", "hits", "the", "coast"}, body{"city", "plans", "new", "park", "vote"};

std::string join(const Words& words, std::size_t without = 99) {
    std::string text;
    for (std::size_t w = 0; w < words.size(); ++w)
        if (w != without) text += (text.empty() ? "" : " ") + words[w];
    return text;
}
/// sum over j of v_j tanh(b_j + K_j x), for every row of x, as weights by softmax: additive attention, in double.
std::vector<double> additive(const GgufFile& file, const std::string& pool, const std::vector<std::vector<double>>& x) {
    const auto keys = take(file.tensor(pool + ".keys.weight"));
    const Matrix k = take(ranklet::ModelReader(file).matrix(pool + ".keys.weight", keys.rows, keys.cols));
    const auto bias = take(ranklet::ModelReader(file).vector(pool + ".keys.bias", keys.rows));
    const auto v = take(ranklet::ModelReader(file).vector(pool + ".v", keys.rows));
    std::vector<double> weights;
    double sum = 0.0;
    for (const auto& row : x) {
        double score = 0.0;
        for (std::size_t j = 0; j < keys.rows; ++j) {
            double inner = static_cast<double>(bias[j]);
            for (std::size_t d = 0; d < keys.cols; ++d) inner += static_cast<double>(k.row(j)[d]) * row[d];
            score += static_cast<double>(v[j]) * std::tanh(inner);
        }
        weights.push_back(std::exp(score));
        sum += weights.back();
    }
    for (double& w : weights) w /= sum;
    return weights;
}

}  // namespace

TEST_CASE("a word's contribution to a news item is its score minus that of the item without the word, view by view") {
    for (const std::string& name : names) {
        CAPTURE(name);
        const Recommender model = load_model("news-" + name);
        const NewsEncoder& encoder = *model.as<ranklet::NewsEncoder>();
        // The item, the item without each word of its title, then of its body; categories and vectors stay.
        Words titles, bodies;
        const bool has_body = encoder.find_view("body") < encoder.view_count();
        for (std::size_t w = 0; w <= title.size(); ++w) {
            titles.push_back(join(title, w == 0 ? 99 : w - 1));
            bodies.push_back(join(body));
        }
        for (std::size_t w = 0; has_body && w < body.size(); ++w) {
            titles.push_back(join(title));
            bodies.push_back(join(body, w));
        }
        const std::vector<float> image{0.5f, -1.0f, 2.0f, 0.1f, 0.3f, -0.7f, 1.0f, 1.0f, 1.0f};
        std::vector<ranklet::ItemVector> vectors;
        for (std::size_t v = 0; v < encoder.view_count(); ++v)
            if (encoder.view_kind(v) == NewsEncoder::ViewKind::vector)
                vectors.push_back({encoder.view_name(v), std::span(image).first(encoder.view_size(v))});
        std::vector<std::vector<Attribute>> attributes;
        std::vector<Item> items;
        Items ids(titles.size());
        for (const std::string& text : bodies) attributes.push_back({{"body", text}, {"category", "sports"}});
        for (std::size_t i = 0; i < titles.size(); ++i)
            items.push_back({ids.ids[i], titles[i], attributes[i], vectors});
        const auto catalog = take(model.encode_catalog(items));
        auto user = model.new_user("U1");
        succeed(user.observe(catalog[2]));
        succeed(user.observe(catalog[4]));
        const auto scores = take(model.scores(user, catalog));

        ExplainOptions options;
        options.text = titles[0];
        options.vectors = vectors;
        for (const std::size_t threads : {1u, 2u}) {
            options.threads = finely(threads);
            const auto found = take(explain_text(model, user, catalog, "item-0", options));
            REQUIRE(found.size() == items.size() - 1);
            for (std::size_t p = 0; p < found.size(); ++p) {
                const bool in_title = p < title.size();
                CHECK(found[p].text == (in_title ? title[p] : body[p - title.size()]));
                CHECK(found[p].view == (in_title ? "title" : "body"));
                CHECK((in_title ? titles[0] : bodies[0]).substr(found[p].span.begin, found[p].text.size()) ==
                      found[p].text);
                CHECK(bits(found[p].contribution) == bits(scores[0] - scores[p + 1]));
            }
        }
        options.text = "storm hits";
        check_error(explain_text(model, user, catalog, "item-0", options), ErrorCode::mismatch, "not the item's");
        options.text = "\xFF";
        const auto refused = explain_text(model, user, catalog, "item-0", options);
        check_error(refused, ErrorCode::invalid_text, "\"item-0\"");
        CHECK_MESSAGE(refused.error().message.find("text 0") == std::string::npos, refused.error().message);
    }
}

TEST_CASE("attention on a title's words, on views and on events is that of the formula") {
    const auto file = take(GgufFile::open(model_path("news-naml")));
    const Recommender model = load_model("news-naml");
    const NewsEncoder& encoder = *model.as<ranklet::NewsEncoder>();
    const std::string text = join(title), other = join(body);
    const std::vector<Attribute> attributes{{"body", std::string_view(other)}};
    const std::vector<Item> items{{"a", text, attributes}, {"b", other}, {"c", "team wins"}};
    const auto catalog = take(model.encode_catalog(items));

    // Words to convolution ("same") to ReLU to additive attention.
    ranklet::Encoding encoding;
    succeed(encoder.tokenize(encoder.find_view("title"), text, encoding));
    REQUIRE(encoding.size() == title.size());
    const auto table = take(file.tensor("ranklet.words.weight"));
    const Matrix words = take(ranklet::ModelReader(file).matrix("ranklet.words.weight", table.rows, table.cols));
    const auto taps = take(file.tensor("ranklet.news.title.conv.0.weight"));
    const Matrix conv =
        take(ranklet::ModelReader(file).matrix("ranklet.news.title.conv.0.weight", taps.rows, taps.cols));
    const auto bias = take(ranklet::ModelReader(file).vector("ranklet.news.title.conv.0.bias", taps.rows));
    const std::size_t width = taps.cols / table.cols, edge = (width - 1) / 2;
    std::vector<std::vector<double>> states;
    for (std::size_t w = 0; w < title.size(); ++w) {
        auto& state = states.emplace_back();
        for (std::size_t f = 0; f < taps.rows; ++f) {
            double sum = static_cast<double>(bias[f]);
            for (std::size_t k = 0; k < width; ++k) {
                if (w + k < edge || w + k - edge >= title.size()) continue;
                const auto row = words.row(static_cast<std::size_t>(encoding.ids[w + k - edge]));
                for (std::size_t d = 0; d < table.cols; ++d)
                    sum += static_cast<double>(conv.row(f)[k * table.cols + d]) * static_cast<double>(row[d]);
            }
            state.push_back(std::max(0.0, sum));
        }
    }
    const auto expected = additive(file, "ranklet.news.title.pool", states);
    ExplainOptions options;
    options.text = text;
    auto user = model.new_user();
    for (std::size_t i = 0; i < 3; ++i) succeed(user.observe(catalog[i]));
    const auto why = take(explain(model, user, catalog, "a", options));
    float on_body = 0.0f;
    for (std::size_t p = 0; p < why.text.size(); ++p) {
        if (p < title.size())
            CHECK(why.text[p].attention == doctest::Approx(expected[p]).epsilon(1e-5));
        else
            on_body += why.text[p].attention;
    }
    CHECK(on_body == doctest::Approx(1.0f));

    // Events: additive attention over the items' vectors.
    std::vector<std::vector<double>> events;
    for (std::size_t i = 0; i < 3; ++i) events.emplace_back(catalog[i].vector().begin(), catalog[i].vector().end());
    const auto on_events = additive(file, "ranklet.user.pool", events);
    REQUIRE(why.events.size() == 3);
    for (std::size_t e = 0; e < 3; ++e) CHECK(why.events[e].attention == doctest::Approx(on_events[e]).epsilon(1e-5));

    // Views: the weights add up, whatever is missing.
    std::vector<ranklet::ViewInput> inputs(encoder.view_count());
    inputs[encoder.find_view("title")].text = text;
    const auto attention = take(encoder.attention(inputs));
    float sum = 0.0f;
    for (const auto& view : attention) sum += view.weight;
    CHECK(sum == doctest::Approx(1.0f));
    CHECK(attention[encoder.find_view("category")].words.empty());
    CHECK(attention[encoder.find_view("title")].words.size() == title.size());
}

TEST_CASE("a model without attention has none to tell: maximum over time, concatenated views, a GRU alone") {
    const Recommender kim = load_model("news-narm-kim"), lstur = load_model("news-lstur-ini");
    for (const Recommender* model : {&kim, &lstur}) {
        const std::string text = join(title);
        const std::vector<Item> items{{"a", text}};
        const auto catalog = take(model->encode_catalog(items));
        auto user = model->new_user();
        succeed(user.observe(catalog[0]));
        ExplainOptions options;
        options.text = text;
        const auto why = take(explain(*model, user, catalog, "a", options));
        CHECK(std::isnan(why.text[0].attention) == (model == &kim));
        CHECK(std::isnan(why.events[0].attention) == (model == &lstur));
        std::vector<ranklet::ViewInput> inputs(model->as<ranklet::NewsEncoder>()->view_count());
        for (const auto& view : take(model->as<ranklet::NewsEncoder>()->attention(inputs)))
            CHECK(std::isnan(view.weight));
    }
}

TEST_CASE("attention on events counts the last that the tower remembers, and passes over those that it skips") {
    const Recommender model = load_model("news-naml");
    const std::vector<Item> items{{"a", "storm hits"}, {"b", "team wins"}, {"c", "markets fall"}};
    const auto catalog = take(model.encode_catalog(items));
    auto user = model.new_user();
    const std::size_t most = model.as<ranklet::UserTower>()->max_events();
    for (std::size_t e = 0; e < most + 2; ++e) succeed(user.observe(catalog[e % 3]));
    const auto found = take(explain_events(model, user, catalog, "a"));
    REQUIRE(found.size() == most + 2);
    float sum = 0.0f;
    for (std::size_t e = 0; e < found.size(); ++e) {
        CHECK(std::isnan(found[e].attention) == (e < 2));
        if (e >= 2) sum += found[e].attention;
    }
    CHECK(sum == doctest::Approx(1.0f));
}

TEST_CASE("ids in the place of a text are checked") {
    const Recommender model = load_model("news-naml");
    const NewsEncoder& encoder = *model.as<ranklet::NewsEncoder>();
    std::vector<ranklet::ViewInput> inputs(encoder.view_count());
    const std::vector<std::int32_t> negative{-1}, beyond{1000000}, many(5000, 1);
    for (const auto* ids : {&negative, &beyond, &many}) {
        inputs[0].word_ids = std::span<const std::int32_t>(*ids);
        check_error(encoder.encode_inputs(inputs), ErrorCode::invalid_argument, "title");
    }
    check_error(encoder.attention(std::span(inputs).first(1)), ErrorCode::invalid_argument, "views");
}

TEST_CASE("attention is on the events that the model still sees, also where one item was met again and again") {
    for (const std::string name : {"naml", "nrms", "bilinear"}) {
        CAPTURE(name);
        const Recommender model = load_model("news-" + name);
        const std::vector<Attribute> attributes{{"body", "city plans"}, {"category", "sports"}};
        const std::vector<Item> items{{"a", "storm hits the coast", attributes}, {"b", "new park", attributes}};
        const auto catalog = take(model.encode_catalog(items));
        const std::size_t seen = model.as<ranklet::UserTower>()->max_events();
        auto user = model.new_user();
        for (std::size_t e = 0; e < seen + 2; ++e) succeed(user.observe(catalog[0]));
        succeed(user.observe(catalog[1]));
        ExplainOptions options;
        options.most_events = seen + 3;
        const auto found = take(explain_events(model, user, catalog, "b", options));
        REQUIRE(found.size() == seen + 3);
        double sum = 0.0;
        for (std::size_t e = 0; e < found.size(); ++e) {
            CHECK(std::isnan(found[e].attention) == (e < 3));
            if (e >= 3) sum += static_cast<double>(found[e].attention);
        }
        CHECK(sum == doctest::Approx(1.0));
        // Of a user without events every text has the same score: it is still another text.
        options.text = "new coast";
        check_error(explain_text(model, model.new_user(), catalog, "b", options), ErrorCode::mismatch,
                    "not the item's");
        options.text = "new park";
        CHECK(explain_text(model, model.new_user(), catalog, "b", options).ok());
        options.prompt = "query";
        check_error(explain_text(model, user, catalog, "b", options), ErrorCode::missing, "query");
    }
}

TEST_CASE("vectors for a model that reads none are an error, where they are encoded and where they are explained") {
    const Recommender model = load_model("tiny-dot-product");
    const std::vector<float> image{1.0f};
    const std::vector<ranklet::ItemVector> vectors{{"image", image}};
    check_error(model.encode_catalog(std::vector<Item>{{"a", "text", {}, vectors}}), ErrorCode::invalid_argument,
                "item \"a\": \"image\"");
    const auto catalog = take(model.encode_catalog(std::vector<Item>{{"a", "text"}}));
    ExplainOptions options;
    options.text = "text";
    options.vectors = vectors;
    check_error(explain_text(model, model.new_user(), catalog, "a", options), ErrorCode::invalid_argument, "image");
    auto user = model.new_user();
    succeed(user.observe_text("text"));
    const std::vector<std::string_view> broken{"\xff"};
    options.event_texts = broken;
    check_error(explain_events(model, user, catalog, "a", options), ErrorCode::invalid_text, "event text 0");
}
