// How good is a recommender on sessions that it has not seen, and does a smaller file of it (--dtype i8, say) recommend
// the same? Every item of a session but its first event is predicted from the events before it, among all items that
// the shopper has not met: HR@10, NDCG@10, and how many of the other model's ten best are the same.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iomanip>
#include <iostream>
#include <optional>
#include <ranklet/ranklet.hpp>
#include <string>
#include <vector>

#include "shop.hpp"

namespace {

constexpr std::size_t best = 10;

struct Event {
    bool query;         ///< else an item
    std::string value;  ///< what was typed, or the item's id
    float rating;
};
using Session = std::vector<Event>;

float rating_of(const std::string& text) { return text.empty() ? ranklet::no_rating : std::stof(text); }

/// Test sessions that examples.training.make_demo_data --sessions has written: a line holds a number, "train"
/// or "test", a language, and events: query:TEXT, item:ID or item:ID=RATING.
std::vector<Session> read_sessions(const std::string& path) {
    std::vector<Session> sessions;
    const auto lines = shop::read_lines(path);
    for (std::size_t n = 0; n < lines.size(); ++n) {
        const auto fields = shop::split(lines[n]);
        const auto wrong = [&](const std::string& what) {
            return std::runtime_error(path + ":" + std::to_string(n + 1) + ": " + what);
        };
        if (fields.size() < 3) throw wrong("expected a number, a split, a language and events, separated by tabs");
        if (fields[1] != "test") continue;
        Session session;
        for (std::size_t i = 3; i < fields.size(); ++i) {
            const std::string& field = fields[i];
            if (field.starts_with("query:")) {
                session.push_back({true, field.substr(6), ranklet::no_rating});
            } else if (field.starts_with("item:")) {
                const std::size_t mark = field.find('=');
                session.push_back({false, field.substr(5, mark == std::string::npos ? mark : mark - 5),
                                   rating_of(mark == std::string::npos ? "" : field.substr(mark + 1))});
            } else {
                throw wrong("\"" + field + "\" is neither query: nor item:");
            }
        }
        sessions.push_back(std::move(session));
    }
    return sessions;
}

/// The demo's shoppers as sessions.
std::vector<Session> read_shoppers(const std::string& path) {
    std::vector<Session> sessions;
    for (const auto& shopper : shop::read_shoppers(path)) {
        Session session;
        for (const auto& event : shopper.events) session.push_back({event.query, event.value, rating_of(event.rating)});
        sessions.push_back(std::move(session));
    }
    return sessions;
}

/// A model with the catalog, and the user of the session that is being replayed.
struct Contender {
    ranklet::Recommender model;
    ranklet::Catalog catalog;
    ranklet::Recommender::Workspace workspace;
    std::optional<ranklet::Recommender::User> user;
    std::size_t hits = 0;
    double gain = 0.0;

    Contender(const std::string& path, const std::vector<shop::Product>& products)
        : model(ranklet::Recommender::load(path).value()) {
        std::vector<ranklet::Item> items;
        for (const auto& p : products) items.push_back({p.id, p.text});
        catalog = model.encode_catalog(items, {.threads = 0}).value();
    }
    /// The ten best items for the user, as places in the catalog.
    std::vector<std::size_t> ten_best() {
        std::vector<std::size_t> places;
        for (const auto& r : model.recommend(*user, catalog, {.k = best, .exclude_seen = true}, workspace).value())
            places.push_back(r.index);
        return places;
    }
    void count(const std::vector<std::size_t>& places, std::size_t target) {
        const auto found = std::find(places.begin(), places.end(), target);
        if (found == places.end()) return;
        ++hits;
        gain += 1.0 / std::log2(static_cast<double>(found - places.begin()) + 2.0);
    }
    void observe(const Event& event) {
        if (event.query)
            user->observe_text(event.value).value();
        else
            user->observe(catalog.at(event.value), event.rating).value();
    }
};

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Measures a recommender on held-out sessions"};
    std::string model = "examples/models/demo-shop.gguf", against, sessions_file;
    app.add_option("--model", model, "a model file")->capture_default_str();
    app.add_option("--against", against, "another model file, to compare the ten best with");
    app.add_option("--sessions", sessions_file,
                   "sessions of make_demo_data --sessions (default: the few shoppers of examples/data)");
    CLI11_PARSE(app, argc, argv);
    try {
        const auto products = shop::read_catalog("examples/data/catalog.tsv");
        const std::vector<Session> sessions =
            sessions_file.empty() ? read_shoppers("examples/data/shoppers.tsv") : read_sessions(sessions_file);
        std::vector<Contender> contenders;
        contenders.emplace_back(model, products);
        if (!against.empty()) contenders.emplace_back(against, products);

        std::size_t cases = 0, same = 0, compared = 0;
        for (const Session& session : sessions) {
            for (Contender& c : contenders) c.user = c.model.new_user();
            for (std::size_t e = 0; e < session.size(); ++e) {
                if (e > 0 && !session[e].query) {
                    ++cases;
                    const std::size_t target = contenders[0].catalog.find(session[e].value);
                    std::vector<std::vector<std::size_t>> places;
                    for (Contender& c : contenders) {
                        places.push_back(c.ten_best());
                        c.count(places.back(), target);
                    }
                    if (places.size() == 2) {
                        compared += places[0].size();
                        for (const std::size_t place : places[0])
                            same += std::find(places[1].begin(), places[1].end(), place) != places[1].end();
                    }
                }
                for (Contender& c : contenders) c.observe(session[e]);
            }
        }
        std::cout << cases << " items to predict in " << sessions.size() << " sessions, among " << products.size()
                  << " items\n"
                  << std::fixed << std::setprecision(4);
        const std::string paths[] = {model, against};
        for (std::size_t i = 0; i < contenders.size(); ++i)
            std::cout << paths[i] << ": HR@10 " << static_cast<double>(contenders[i].hits) / static_cast<double>(cases)
                      << ", NDCG@10 " << contenders[i].gain / static_cast<double>(cases) << '\n';
        if (compared > 0)
            std::cout << "of the ten best the same: " << std::setprecision(1)
                      << 100.0 * static_cast<double>(same) / static_cast<double>(compared) << " %\n";
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
