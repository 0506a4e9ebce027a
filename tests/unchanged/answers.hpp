// What the library answers for one model of each kind: its catalogs, user states, scores, lists and explanations.
// In: a case (a committed model file). Out: the catalog, the users, and everything that is asked of them as text, one
// answer a line, floats as hexadecimal numbers with all their bits.
// Shared by make.cpp, which wrote goldens/, and unchanged_test.cpp, which compares with them. Public API alone: it has
// to compile with every release whose answers are to be the same.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ranklet/ranklet.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace unchanged {

/// Each program's own: tells that something is an Error, and ends the test or the program.
void fail(const std::string& what);

template <class T>
T take(ranklet::Result<T> result) {
    if (!result.ok()) fail(result.error().message);
    return std::move(*result);
}
inline void succeed(const ranklet::Result<void>& result) {
    if (!result.ok()) fail(result.error().message);
}

enum class Items {
    texts,  ///< the shop's products
    news,   ///< the same, as news with the views of every news model
    own     ///< the model's own
};
struct Case {
    std::string_view name, model;
    Items items;
    std::string_view user = {};    ///< a user that the model file knows
    bool vectors_of_items = true;  ///< catalogs keep item vectors, so that MMR has something to compare
};

inline constexpr std::array cases{
    Case{"dot-product", "tests/parity/goldens/tiny-dot-product.gguf", Items::texts},
    Case{"dot-plain", "tests/parity/goldens/tiny-dot-plain.gguf", Items::texts},
    Case{"next-event", "tests/parity/goldens/tiny-next-event.gguf", Items::texts},
    Case{"next-event-i8", "tests/parity/goldens/tiny-next-event-i8.gguf", Items::texts},
    Case{"text-gru", "tests/parity/goldens/tiny-text-gru.gguf", Items::texts, {}, false},
    Case{"text-gru-i8", "tests/parity/goldens/tiny-text-gru-i8.gguf", Items::texts, {}, false},
    Case{"words-dot", "tests/parity/goldens/tiny-words-dot.gguf", Items::texts},
    Case{"words-next", "tests/parity/goldens/tiny-words-next.gguf", Items::texts},
    Case{"items", "tests/parity/goldens/tiny-items.gguf", Items::own},
    Case{"items-i8", "tests/parity/goldens/tiny-items-i8.gguf", Items::own},
    Case{"news-lstur-con", "tests/parity/goldens/news-lstur-con.gguf", Items::news, "U2"},
    Case{"news-lstur-ini", "tests/parity/goldens/news-lstur-ini.gguf", Items::news, "用户3"},
    Case{"news-lstur-keras", "tests/parity/goldens/news-lstur-keras.gguf", Items::news},
    Case{"news-naml", "tests/parity/goldens/news-naml.gguf", Items::news},
    Case{"news-nrms", "tests/parity/goldens/news-nrms.gguf", Items::news},
    Case{"news-narm-kim", "tests/parity/goldens/news-narm-kim.gguf", Items::news},
    Case{"news-modalities", "tests/parity/goldens/news-modalities.gguf", Items::news},
    Case{"demo-shop", "examples/models/demo-shop.gguf", Items::texts},
    Case{"history", "tests/parity/goldens/tiny-minilm.gguf", Items::texts},
    Case{"fitted", "tests/parity/goldens/tiny-fitted.gguf", Items::texts},
};

inline constexpr std::size_t item_count = 10;
inline constexpr std::array<std::string_view, item_count> product_texts{"Red phone case with stand",
                                                                        "手机壳 透明",
                                                                        "Wireless phone charger",
                                                                        "双人帐篷",
                                                                        "A café's NEW machine",
                                                                        "camera",
                                                                        "the small red boat",
                                                                        "红色 iPhone 手机壳",
                                                                        "128 GB phone",
                                                                        "coffee"};
inline constexpr std::array<std::string_view, item_count> news_texts{"storm hits the coast",
                                                                     "team wins the final",
                                                                     "markets fall today.",
                                                                     "new phone review",
                                                                     "city plans park",
                                                                     "vote today",
                                                                     "红色手机 2024",
                                                                     "storm storm team qqzzqqzz coast phone review",
                                                                     "",
                                                                     "the city votes: new park, new team, final plans"};
inline constexpr std::array<std::string_view, 4> categories{"news", "sports", "finance", "no such section"},
    subcategories{"weather", "football", "stocks", "phones"}, brands{"nordfell", "aria", "红星", "nera"};

/// The items of a case, with everything that they look into.
class CaseItems {
public:
    explicit CaseItems(Items kind) {
        const auto& texts = kind == Items::news ? news_texts : product_texts;
        std::uint32_t state = 7;
        const auto next = [&state] {  // Numerical Recipes' generator; the numbers are exact on every machine
            state = state * 1664525u + 1013904223u;
            return static_cast<float>(state >> 20) * 0x1p-10f - 2.0f;
        };
        for (std::size_t i = 0; i < item_count; ++i) {
            ids_[i] = (i % 3 == 0 ? "商品-" : "item-") + std::to_string(i);
            for (float& value : image_[i]) value = next();
            for (float& value : sound_[i]) value = next();
        }
        for (std::size_t i = 0; i < item_count; ++i) {
            auto& attributes = attributes_[i];
            if (i != 5) attributes.push_back({"price", 4.75 + 3.25 * static_cast<double>(i)});
            if (i != 2) attributes.push_back({"category", categories[i % categories.size()]});
            tags_[i] = {brands[i % brands.size()], brands[(i / 2 + 1) % brands.size()]};
            const std::size_t tags = tags_[i][0] == tags_[i][1] ? 1 : 2;
            if (i != 7) attributes.push_back({"brand", std::span(std::as_const(tags_[i])).first(tags)});
            auto& vectors = vectors_[i];
            if (kind == Items::news) {
                if (i != 4) attributes.push_back({"subcategory", subcategories[i * 3 % subcategories.size()]});
                if (i != 3) attributes.push_back({"body", news_texts[(i + 3) % item_count]});
                if (i % 4 != 1) vectors.push_back({"image", image_[i]});
                if (i % 3 != 2) vectors.push_back({"sound", sound_[i]});
            }
            items_.push_back({ids_[i], texts[i], attributes});
        }
    }
    CaseItems(const CaseItems&) = delete;
    CaseItems& operator=(const CaseItems&) = delete;

    /// `with_vectors`: for a model that reads some; others refuse them.
    std::span<const ranklet::Item> items(bool with_vectors) {
        for (std::size_t i = 0; i < item_count; ++i)
            items_[i].vectors = with_vectors ? vectors_[i] : std::vector<ranklet::ItemVector>();
        return items_;
    }

private:
    std::array<std::string, item_count> ids_;
    std::array<std::array<float, 6>, item_count> image_;
    std::array<std::array<float, 5>, item_count> sound_;
    std::array<std::array<std::string_view, 2>, item_count> tags_;
    std::array<std::vector<ranklet::Attribute>, item_count> attributes_;
    std::array<std::vector<ranklet::ItemVector>, item_count> vectors_;
    std::vector<ranklet::Item> items_;
};
inline bool reads_vectors(const Case& c) { return c.name == "news-modalities"; }

inline ranklet::Catalog make_catalog(const ranklet::Recommender& model, const Case& c) {
    if (c.items == Items::own) return take(model.items());
    CaseItems items(c.items);
    return take(model.encode_catalog(items.items(reads_vectors(c))));
}

/// The users of a case: nobody's history; rated and unrated items, more than attention over events remembers; texts
/// between items; and a user whom the model file knows.
inline std::vector<std::string_view> user_names(const Case& c) {
    std::vector<std::string_view> names{"new", "rated"};
    if (c.items == Items::texts) names.push_back("texts");
    if (!c.user.empty()) names.push_back("known");
    return names;
}
inline constexpr std::array<std::string_view, 2> queries{"red phone 手机", "帐篷"};

inline ranklet::Recommender::User make_user(const ranklet::Recommender& model, const ranklet::Catalog& catalog,
                                            const Case& c, std::string_view name) {
    auto user = name == "known" ? model.new_user(c.user) : model.new_user();
    if (name == "new") return user;
    const std::size_t events = name == "rated" ? 7 : 3;
    for (std::size_t e = 0; e < events; ++e) {
        const float rating = e % 3 == 1 ? ranklet::no_rating : static_cast<float>(1 + e * 2 % 5);
        succeed(user.observe(catalog[(e * 3 + 1) % catalog.size()], rating));
        if (name == "texts" && e < queries.size())
            succeed(user.observe_text(queries[e], e == 0 ? 4.0f : ranklet::no_rating));
    }
    return user;
}

/// One line: a label, then words and numbers, separated by tabs.
class Line {
public:
    explicit Line(std::string label) : text_(std::move(label)) {}
    Line& operator<<(std::string_view word) {
        text_ += '\t';
        text_ += word;
        return *this;
    }
    Line& operator<<(float value) {
        std::array<char, 64> number;
        const int size = std::snprintf(number.data(), number.size(), "%a", static_cast<double>(value));
        return *this << std::string_view(number.data(), static_cast<std::size_t>(size));
    }
    Line& operator<<(std::span<const float> values) {
        for (const float value : values) *this << value;
        return *this;
    }
    const std::string& text() const { return text_; }

private:
    std::string text_;
};

/// Everything asked of one user.
inline std::vector<std::string> answers(const ranklet::Recommender& model, const ranklet::Catalog& catalog,
                                        const Case& c, std::string_view name, const ranklet::Recommender::User& user) {
    std::vector<std::string> lines;
    const auto line = [&](std::string_view what) { return Line(std::string(name) + ' ' + std::string(what)); };
    lines.push_back((line("scores") << take(model.scores(user, catalog))).text());
    const auto vector = model.user_vector(user);
    lines.push_back(
        (vector.ok() ? line("vector") << *vector : line("vector") << to_string(vector.error().code)).text());

    const auto list = [&](std::string_view what, const ranklet::RecommendOptions& options) {
        Line out = line(what);
        for (const auto& r : take(model.recommend(user, catalog, options))) out << r.id << r.score << r.probability;
        lines.push_back(out.text());
    };
    list("recommend all", {.k = 100});
    list("recommend unseen", {.k = 4, .exclude_seen = true, .threads = 2});
    list("recommend from zero", {.k = 3, .initial_state = ranklet::InitialState::zero, .temperature = 0.5f});
    if (c.vectors_of_items) list("recommend varied", {.k = 5, .diversity = {.lambda = 0.6f}});
    if (c.items != Items::own) {
        const auto cheap = take(ranklet::Filter::create(catalog, ranklet::Condition::at_most("price", 20.0)));
        list("recommend cheap", {.k = 100, .filter = &cheap});
        const ranklet::GroupCap cap{"brand", 1};
        list("recommend one of a brand", {.k = 100, .caps = std::span(&cap, 1)});
    }

    CaseItems items(c.items);
    for (const std::size_t i : {std::size_t{0}, std::size_t{7}}) {
        ranklet::ExplainOptions options;
        if (c.items != Items::own) options.text = items.items(false)[i].text;
        if (reads_vectors(c)) options.vectors = items.items(true)[i].vectors;
        if (name == "texts") options.event_texts = queries;
        const auto why = take(ranklet::explain(model, user, catalog, catalog[i].id(), options));
        lines.push_back((line("explain") << catalog[i].id() << why.score).text());
        for (const auto& e : why.events)
            lines.push_back((line("explain event") << e.id << e.rating << e.contribution << e.attention).text());
        for (const auto& t : why.text)
            lines.push_back((line("explain text") << t.view << t.text << t.contribution << t.attention).text());
        for (const auto& s : why.shared) {
            Line out = line("explain shared");
            out << s.name << s.value;
            for (const std::size_t event : s.events) out << std::to_string(event);
            lines.push_back(out.text());
        }
    }
    return lines;
}

inline std::string golden_path(std::string_view folder, const Case& c, std::string_view what) {
    return std::string(folder) + '/' + std::string(c.name) + '.' + std::string(what);
}
inline std::string catalog_path(std::string_view folder, const Case& c) {
    return golden_path(folder, c, "catalog.gguf");
}
inline std::string state_path(std::string_view folder, const Case& c, std::string_view user) {
    return golden_path(folder, c, std::string(user) + ".state");
}
inline std::string answers_path(std::string_view folder, const Case& c) { return golden_path(folder, c, "answers"); }

}  // namespace unchanged
