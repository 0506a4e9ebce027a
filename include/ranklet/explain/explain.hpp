// explain: why an item has its score for a user: what each past event and each word of its text added to it, and which
// attributes it shares with what the user met.
// In: a user, a catalog, an item's id (and its text). Out: contributions, each the score minus the score without that
// part (explanation.hpp says what they are worth).
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/explain/explain_text.hpp"
#include "ranklet/explain/explanation.hpp"
#include "ranklet/explain/shared_attributes.hpp"
#include "ranklet/recommender.hpp"

RANKLET_NAMESPACE_BEGIN

namespace detail {

/// The user tower's attention on the events that it remembers, oldest first; empty where the model has none.
template <class Encoder, class Decoder>
Result<std::vector<float>> event_attention(const BasicRecommender<Encoder, Decoder>& model, const UserState& state) {
    const UserTower* tower = model.user_tower();
    std::vector<float> weights(tower == nullptr ? 0 : state.memory_rows());
    if (weights.empty()) return weights;
    std::vector<float> vector(tower->shared_size());
    Scratch scratch;
    RANKLET_TRY(scratch.reserve(tower->begin_scratch_size()));
    tower->user_vector(state, vector.data(), weights.data(), scratch);
    return weights;
}

}  // namespace detail

/// What each of the user's last events added to the score of the item `id`: its score minus that of a user with the
/// same history but for this event. The events are replayed from the catalog. Error missing naming an event whose item
/// the catalog no longer has; unsupported when the user has events from text and options.event_texts does not hold just
/// their texts; mismatch when the replay does not lead to the user's state (another text, another prompt, an item that
/// was replaced since). With a user tower that attends to events, each has its weight in the user's vector beside it.
template <class Encoder, class Decoder>
Result<std::vector<EventContribution>> explain_events(const BasicRecommender<Encoder, Decoder>& model,
                                                      const typename BasicRecommender<Encoder, Decoder>::User& user,
                                                      const Catalog& catalog, std::string_view id,
                                                      const ExplainOptions& options = {}) {
    RANKLET_ASSIGN(const ItemRef item, catalog.at(id));
    const std::size_t index = item.index();
    RecommendOptions scoring;
    scoring.initial_state = options.initial_state;
    const auto score = [&](const auto& who) { return model.scores_of(who, catalog, std::span(&index, 1), scoring); };
    RANKLET_ASSIGN(const std::vector<float> whole, score(user));

    const std::span<const Event> events = user.events();
    const auto texts = static_cast<std::size_t>(
        std::count_if(events.begin(), events.end(), [](const Event& event) { return event.id.empty(); }));
    if (texts != options.event_texts.size())
        return make_error(ErrorCode::unsupported,
                          {"the user has ", texts, " events from text, which a user's state does not keep: give their ",
                           "texts (ExplainOptions::event_texts), ", options.event_texts.size(), " are given"});
    Catalog text_items;
    if (texts > 0) {
        std::vector<std::string> ids;
        std::vector<Item> items;
        for (std::size_t t = 0; t < texts; ++t) ids.push_back("event text " + std::to_string(t));  // what errors name
        for (std::size_t t = 0; t < texts; ++t) items.push_back({ids[t], options.event_texts[t]});
        BatchOptions batch;
        batch.threads = options.threads;
        batch.prompt = options.event_prompt;
        RANKLET_ASSIGN(text_items, model.encode_catalog(items, batch));
    }
    std::vector<ItemRef> steps;
    std::size_t text = 0;
    for (std::size_t e = 0; e < events.size(); ++e) {
        if (events[e].id.empty()) {
            steps.push_back(text_items[text++]);
            continue;
        }
        const auto met = catalog.at(events[e].id);
        if (!met.ok()) return make_error(met.error().code, {"event ", e, ": ", met.error().message});
        steps.push_back(*met);
    }

    const UserTower* tower = model.user_tower();
    Scratch scratch;
    if (tower != nullptr) RANKLET_TRY(scratch.reserve(tower->advance_scratch_size()));
    std::vector<EventContribution> result;
    std::vector<std::size_t> remembered;              // the events behind the rows that attention sees, oldest first
    auto before = model.new_user(user.state().user);  // the user as it was before event e
    for (std::size_t e = 0; e < events.size(); ++e) {
        if (events.size() - e <= options.most_events) {
            auto without = before;
            for (std::size_t later = e + 1; later < events.size(); ++later)
                RANKLET_TRY(without.observe(steps[later], events[later].rating));
            RANKLET_ASSIGN(const std::vector<float> rest, score(without));
            EventContribution& part = result.emplace_back();
            part.event = e;
            part.id = events[e].id;
            part.rating = events[e].rating;
            part.contribution = whole[0] - rest[0];
        }
        RANKLET_TRY(before.observe(steps[e], events[e].rating));
        if (tower != nullptr && !tower->skips(steps[e].vector().data(), events[e].rating, scratch))
            remembered.push_back(e);
    }
    const auto same = [](const std::vector<float>& again, const std::vector<float>& before_) {
        return std::equal(again.begin(), again.end(), before_.begin(), before_.end(), detail::recomputed);
    };
    if (!same(before.state().hidden, user.state().hidden) || !same(before.state().memory, user.state().memory))
        return Error{ErrorCode::mismatch,
                     "replaying the user's events does not lead to the user's state: an item or a text is another"};
    RANKLET_ASSIGN(const std::vector<float> weights, detail::event_attention(model, user.state()));
    for (std::size_t r = 0; r < std::min(weights.size(), remembered.size()); ++r) {
        const std::size_t event = remembered[remembered.size() - 1 - r];
        for (EventContribution& part : result)
            if (part.event == event) part.attention = weights[weights.size() - 1 - r];
    }
    return result;
}

/// All of it: the item's score, what each event added, where options.text is given what each word of it added, and the
/// attributes that the item shares with events' items.
template <class Encoder, class Decoder>
Result<Explanation> explain(const BasicRecommender<Encoder, Decoder>& model,
                            const typename BasicRecommender<Encoder, Decoder>::User& user, const Catalog& catalog,
                            std::string_view id, const ExplainOptions& options = {}) {
    Explanation explanation;
    RecommendOptions scoring;
    scoring.initial_state = options.initial_state;
    RANKLET_ASSIGN(const std::vector<float> score, model.scores_of(user, catalog, std::span(&id, 1), scoring));
    explanation.score = score[0];
    RANKLET_ASSIGN(explanation.events, explain_events(model, user, catalog, id, options));
    if (options.text) {
        RANKLET_ASSIGN(explanation.text, explain_text(model, user, catalog, id, options));
    }
    RANKLET_ASSIGN(explanation.shared, shared_attributes(catalog, user.events(), id));
    return explanation;
}

RANKLET_NAMESPACE_END
