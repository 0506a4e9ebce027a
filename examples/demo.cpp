// The demo: a bilingual shop, some shoppers replayed, then your own history and queries.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <ranklet/ranklet.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "shop.hpp"

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// ASCII letters only: enough to find titles by a word.
std::string lower_case(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

class Demo {
public:
    Demo(const std::string& model_path, const std::string& catalog_path, std::size_t threads, std::size_t k)
        : options_{.k = k, .exclude_seen = true, .threads = threads} {
        const auto start = Clock::now();
        model_ = ranklet::Recommender::load(model_path).value();
        std::cout << "Model     " << model_path << ", loaded and self-tested in " << std::fixed << std::setprecision(0)
                  << milliseconds_since(start) << " ms\n";
        products_ = shop::read_catalog(catalog_path);
        encode(threads);
    }

    ranklet::Recommender::User new_user() const { return model_.new_user(); }

    void replay(const shop::Shopper& shopper) {
        std::cout << "\n=== " << shopper.name << ": " << shopper.about << '\n';
        auto user = model_.new_user();
        for (const auto& event : shopper.events) observe(user, event);
        recommend(user);
    }

    /// An unknown item or a bad rating is told, and changes nothing. Whether the event counted.
    bool observe(ranklet::Recommender::User& user, const shop::ShopperEvent& event) const {
        float rating = ranklet::no_rating;
        if (!event.rating.empty()) {
            char* end = nullptr;
            rating = std::strtof(event.rating.c_str(), &end);
            if (*end != '\0' || !(rating >= 1.0f && rating <= 5.0f)) {
                std::cout << "  ! a rating is a number from 1 to 5, not \"" << event.rating << "\"\n";
                return false;
            }
        }
        const auto status =
            event.query ? user.observe_text(event.value, rating) : user.observe(catalog_.at(event.value), rating);
        if (!status.ok()) {
            std::cout << "  ! " << status.error().message << '\n';
            return false;
        }
        std::cout << (event.query ? "  typed     " : "  looked at ")
                  << (event.query ? '"' + event.value + '"' : products_[catalog_.find(event.value)].title);
        if (!event.rating.empty()) std::cout << "  (rated " << event.rating << ")";
        std::cout << '\n';
        return true;
    }

    void recommend(const ranklet::Recommender::User& user) {
        const auto start = Clock::now();
        const auto ranking = model_.recommend(user, catalog_, options_, workspace_).value();
        const double took = milliseconds_since(start);
        std::cout << "   #  probability  " << shop::fit("id", 20) << shop::fit("category", 22) << shop::fit("price", 13)
                  << "title\n";
        for (std::size_t i = 0; i < ranking.size(); ++i) {
            const auto& product = products_[ranking[i].index];
            std::cout << std::setw(4) << i + 1 << std::setw(10) << std::setprecision(1)
                      << 100.0f * ranking[i].probability << " %   " << shop::fit(product.id, 20)
                      << shop::fit(product.category, 22) << shop::fit(product.price, 13) << shop::fit(product.title, 48)
                      << '\n';
        }
        std::cout << "      (" << catalog_.size() << " items ranked in " << std::setprecision(2) << took << " ms)\n";
    }

    void search(const std::string& word) const {
        std::size_t shown = 0;
        for (const auto& p : products_)
            if (lower_case(p.title).find(lower_case(word)) != std::string::npos && shown++ < 10)
                std::cout << "  " << shop::fit(p.id, 20) << p.title << '\n';
        std::cout << "  " << shown << " titles contain \"" << word << "\""
                  << (shown > 10 ? ", the first ten shown" : "") << '\n';
    }

private:
    void encode(std::size_t threads) {
        std::vector<ranklet::Item> items;
        for (const auto& p : products_) items.push_back({p.id, p.text});
        const bool terminal = isatty(STDOUT_FILENO) != 0;
        const auto start = Clock::now();
        const auto progress = [&](std::size_t done, std::size_t total) {
            const double seconds = milliseconds_since(start) / 1000.0;
            if (!terminal && done < total) return;
            std::cout << (terminal ? "\r" : "") << "Catalog   " << done << " of " << total << " items encoded, "
                      << std::setprecision(0) << static_cast<double>(done) / std::max(seconds, 1e-9) << " a second"
                      << (done == total ? "\n" : "") << std::flush;
        };
        catalog_ = model_.encode_catalog(items, {.threads = threads, .progress = progress}).value();
    }

    ranklet::RecommendOptions options_;
    ranklet::Recommender model_;
    std::vector<shop::Product> products_;
    ranklet::Catalog catalog_;
    ranklet::Recommender::Workspace workspace_;
};

constexpr const char* commands =
    "  any words           a query: what you look for, English or Chinese\n"
    "  + ID [RATING]       you looked at an item; a rating is 1 to 5\n"
    "  ? WORD              lists items whose title contains a word\n"
    "  new                 forgets the history\n"
    "  help, quit";

void interactive(Demo& demo) {
    std::cout << "\nNow you. Type\n" << commands << '\n';
    auto user = demo.new_user();
    for (std::string line; std::cout << "> " << std::flush, std::getline(std::cin, line);) {
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        if (line == "quit" || line == "exit") return;
        if (line == "help") {
            std::cout << commands << '\n';
        } else if (line == "new") {
            user.reset();
        } else if (line[0] == '?') {
            const auto word = line.find_first_not_of(" ?");
            if (word != std::string::npos) demo.search(line.substr(word));
        } else if (line[0] == '+') {
            std::istringstream words(line.substr(1));
            std::string id, rating, more;
            if (!(words >> id) || (words >> rating && words >> more))
                std::cout << "  ! + ID [RATING], for example: + en-phone-9 5\n";
            else if (demo.observe(user, {false, id, rating}))
                demo.recommend(user);
        } else if (demo.observe(user, {true, line, ""})) {
            demo.recommend(user);
        }
    }
    std::cout << '\n';
}

}  // namespace

int main(int argc, char** argv) {
    std::string model = "examples/models/demo-shop.gguf", catalog = "examples/data/catalog.tsv",
                shoppers = "examples/data/shoppers.tsv";
    std::size_t threads = 0, k = 10;
    bool no_replay = false;
    CLI::App app(
        "Ranks the items of a bilingual shop for a few recorded shoppers, then for you.\n"
        "When standard input is not a terminal, it ends after the shoppers.");
    app.add_option("--model", model, "model file of a text recommender")->capture_default_str();
    app.add_option("--catalog", catalog, "items, tab-separated (see examples/data/README.md)")->capture_default_str();
    app.add_option("--shoppers", shoppers, "shoppers to replay, tab-separated")->capture_default_str();
    app.add_option("--threads", threads, "threads; 0: all")->capture_default_str();
    app.add_option("-k", k, "items to show")->capture_default_str();
    app.add_flag("--no-replay", no_replay, "go straight to your own session");
    CLI11_PARSE(app, argc, argv);
    try {
        Demo demo(model, catalog, threads, k);
        if (!no_replay)
            for (const auto& shopper : shop::read_shoppers(shoppers)) demo.replay(shopper);
        if (isatty(STDIN_FILENO) != 0) interactive(demo);
    } catch (const std::exception& error) {
        std::cerr << "demo: " << error.what() << '\n';
        return 1;
    }
}
