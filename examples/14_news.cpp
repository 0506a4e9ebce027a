// News: an LSTUR reads titles and categories; readers it knows start from their own embedding, others from zero, and
// what was read today changes both. (The model is trained on made news: examples/training/train_news.py.)
#include <array>
#include <iomanip>
#include <iostream>
#include <ranklet/ranklet.hpp>
#include <string_view>
#include <vector>

namespace {

struct News {
    std::string_view title, category, subcategory;
};
// None of these titles was in the model's training as it stands here.
constexpr std::array<News, 10> today{{
    {"athletic beat rovers in the league final after rain", "sports", "football"},
    {"coach happy as striker signs", "sports", "football"},
    {"young champion reaches the final in winter", "sports", "tennis"},
    {"shares rise again as oil prices fall", "finance", "markets"},
    {"bank surprises investors", "finance", "economy"},
    {"heavy storm floods the west coast", "weather", "storms"},
    {"drought and warmest year expected", "weather", "climate"},
    {"camera of the new phone surprises", "technology", "phones"},
    {"researchers grow a robot on the moon", "technology", "science"},
    {"telescope on the moon finds a planet", "technology", "science"},
}};

}  // namespace

int main() {
    const auto model = ranklet::Recommender::load("examples/models/news.gguf").value();
    std::vector<ranklet::Item> items;
    for (const News& n : today)
        items.push_back({n.title, n.title, {{"category", n.category}, {"subcategory", n.subcategory}}});
    const auto catalog = model.encode_catalog(items).value();

    const auto show = [&](const char* who, const ranklet::Recommender::User& user) {
        std::cout << who << '\n';
        for (const auto& r : model.recommend(user, catalog, {.k = 3, .exclude_seen = true}).value())
            std::cout << "    " << today[r.index].category << ": " << r.id << "  (" << r.probability << ")\n";
    };
    auto known = model.new_user("reader-sports-0");
    auto unknown = model.new_user("somebody new");
    show("A reader of sports, whom the model knows:", known);
    show("Somebody it does not know:", unknown);
    for (const std::size_t read : {9u, 8u}) {
        known.observe(catalog[read]).value();
        unknown.observe(catalog[read]).value();
    }
    show("The reader of sports, after reading of the moon twice today:", known);
    show("Somebody new, after the same:", unknown);

    // A condition on the same attributes that the model reads.
    const auto weather = ranklet::Filter::create(catalog, ranklet::Condition::equals("category", "weather")).value();
    const auto only = model.recommend(unknown, catalog, {.k = 1, .filter = &weather}).value();
    std::cout << "The best of the weather for somebody new: " << only[0].id << '\n';

    // Why the first of the list is there: what each event and each word added, and where the title's attention lies.
    const auto best = model.recommend(unknown, catalog, {.k = 1, .exclude_seen = true}).value()[0];
    ranklet::ExplainOptions options;
    options.text = today[best.index].title;
    const auto why = ranklet::explain(model, unknown, catalog, best.id, options).value();
    std::cout << "Why somebody new gets \"" << best.id << "\":\n" << std::fixed << std::setprecision(2);
    for (const auto& e : why.events)
        std::cout << std::showpos << std::setw(9) << e.contribution << std::noshowpos << "  having read: " << e.id
                  << '\n';
    for (const auto& word : why.text)
        std::cout << std::showpos << std::setw(9) << word.contribution << std::noshowpos << "  " << word.text
                  << " (attention " << word.attention << ")\n";
    for (const auto& shared : why.shared)
        std::cout << "           the same " << shared.name << ", " << shared.value << '\n';
}
