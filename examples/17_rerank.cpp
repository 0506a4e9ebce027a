// Re-ranking: the recommender picks the twenty best of the whole shop in one pass; a cross-encoder, which reads the
// query and a title together, puts these twenty in a better order. It knows what the vectors blur: brands, models,
// properties.
#include <iomanip>
#include <iostream>
#include <ranklet/ranklet.hpp>
#include <ranklet/tasks/rerank.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "shop.hpp"

int main() {
    const auto model = ranklet::Recommender::load("examples/models/demo-shop.gguf").value();
    const auto reranker = ranklet::SequenceClassifier::load("examples/models/shop-reranker.gguf").value();
    const auto products = shop::read_catalog("examples/data/catalog.tsv");
    std::vector<ranklet::Item> items;
    for (const auto& p : products) items.push_back({p.id, p.text});
    const auto catalog = model.encode_catalog(items, {.threads = 2}).value();

    constexpr std::size_t k = 20;
    struct Answer {
        ranklet::Ranking first;                   // as the recommender ranks
        std::vector<ranklet::Reranked> reranked;  // index: into `first`
    };
    const auto answer = [&](ranklet::Recommender::User user, std::string_view query) {
        user.observe_text(query).value();
        Answer a{model.recommend(user, catalog, {.k = k, .exclude_seen = true}).value(), {}};
        std::vector<std::string_view> titles;
        for (const auto& r : a.first) titles.push_back(products[r.index].title);
        a.reranked = ranklet::rerank(reranker, query, titles, {.threads = 2}).value();
        return a;
    };

    struct Case {
        std::vector<std::string_view> met;
        std::string_view query;
    };
    for (const Case& c : {Case{{"en-tent-4"}, "nordfell sleeping mat"}, Case{{"en-espresso-3"}, "ceramic coffee cup"},
                          Case{{"en-phone-9"}, "lumeno aria 4 phone case"}, Case{{"zh-tent-1"}, "北岭登山包"},
                          Case{{"zh-espresso-2"}, "陶瓷咖啡杯"}}) {
        auto user = model.new_user();
        for (const std::string_view id : c.met) user.observe(catalog.at(id), 5.0f).value();
        const auto a = answer(user, c.query);
        std::cout << '"' << c.query << "\"\n" << std::fixed << std::setprecision(2);
        for (std::size_t i = 0; i < 4; ++i) {
            const auto& best = a.reranked[i];
            std::cout << "    " << shop::fit(products[a.first[i].index].title, 46) << "  ->  " << best.probability
                      << "  " << products[a.first[best.index].index].title << "  (was " << best.index + 1 << ")\n";
        }
    }

    // Every brand with every category that it sells: is the first of the list of that brand and category?
    struct Count {
        int asked = 0, first = 0, reranked = 0;
    };
    Count english, chinese;
    std::set<std::string> asked;
    for (const auto& p : products) {
        const std::string brand = p.title.substr(0, p.title.find(' '));
        const std::string query = brand + (p.language == "en" ? " " : "") + p.category;
        if (!asked.insert(query).second) continue;
        const auto right = [&](std::size_t index) {
            const auto& found = products[index];
            return found.category == p.category && found.title.starts_with(brand + " ");
        };
        const auto a = answer(model.new_user(), query);
        Count& count = p.language == "en" ? english : chinese;
        ++count.asked;
        count.first += right(a.first[0].index);
        count.reranked += right(a.first[a.reranked[0].index].index);
    }
    for (const auto& [name, count] : {std::pair("English", english), std::pair("Chinese", chinese)})
        std::cout << name << ", \"brand category\", " << count.asked << " queries: the first is right "
                  << 100 * count.first / count.asked << " % of the time, re-ranked "
                  << 100 * count.reranked / count.asked << " %\n";
}
