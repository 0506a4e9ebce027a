// explain: why an item has its score for a user: what each past event and each word of its text added to it, and which
// attributes it shares with what the user met.
// In: a user, a catalog, an item's id (and its text). Out: contributions, each the score minus the score without that
// part (explanation.hpp says what they are worth).
#pragma once

#include <string_view>
#include <vector>

#include "ranklet/catalog/catalog.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/explain/explain_text.hpp"
#include "ranklet/explain/explanation.hpp"
#include "ranklet/recommender.hpp"

RANKLET_NAMESPACE_BEGIN

/// What each of the user's last events added to the score of the item `id`: its score minus that of a user with the
/// same history but for this event. The events are replayed from the catalog. Error missing naming an event whose item
/// the catalog no longer has; unsupported when the user has events from text and options.event_texts does not hold just
/// their texts; mismatch when the replay does not lead to the user's state (another text, another prompt, an item that
/// was replaced since); unsupported when the user has forgotten events (UserOptions::max_events) that the state still
/// depends on. With a decoder that attends to events, each has its weight in the user's vector beside it.
RANKLET_COLD Result<std::vector<EventContribution>> explain_events(const Recommender& model,
                                                                   const Recommender::User& user,
                                                                   const Catalog& catalog, std::string_view id,
                                                                   const ExplainOptions& options = {});

/// All of it: the item's score, what each event added, where options.text is given what each word of it added, and the
/// attributes that the item shares with events' items.
RANKLET_COLD Result<Explanation> explain(const Recommender& model, const Recommender::User& user,
                                         const Catalog& catalog, std::string_view id,
                                         const ExplainOptions& options = {});

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "ranklet/explain/shared_attributes.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// A user's events as items, in order: those of the catalog, and `texts`, encoded, for those from text.
RANKLET_COLD RANKLET_FUNC Result<std::vector<ItemRef>> replayed_items(const Recommender& model,
                                                                      std::span<const Event> events,
                                                                      const Catalog& catalog,
                                                                      const ExplainOptions& options, Catalog& texts) {
    const auto from_text = static_cast<std::size_t>(
        std::count_if(events.begin(), events.end(), [](const Event& event) { return event.id.empty(); }));
    if (from_text != options.event_texts.size())
        return make_error(ErrorCode::unsupported,
                          {"the user has ", from_text,
                           " events from text, which a user's state does not keep: give their texts "
                           "(ExplainOptions::event_texts), ",
                           options.event_texts.size(), " are given"});
    if (from_text > 0) {
        std::vector<Item> items;
        for (std::size_t t = 0; t < from_text; ++t)
            items.push_back({"event text " + std::to_string(t), options.event_texts[t]});
        BatchOptions batch;
        batch.threads = options.threads;
        batch.prompt = options.event_prompt;
        if (!model.has_queries()) {
            RANKLET_ASSIGN(texts, model.encode_catalog(items, batch));
        } else {
            const ItemEncoder& encoder = model.query_encoder();
            RANKLET_ASSIGN(EncodedItems encoded,
                           encode_checked(encoder, items, ItemForm::vector, options_of_queries(encoder, batch)));
            CatalogData data;
            for (const Item& item : items) data.ids.push_back(item.id);
            data.vectors = std::move(encoded.rows);
            RANKLET_ASSIGN(texts, model.make_catalog(std::move(data)));
        }
    }
    std::vector<ItemRef> items;
    std::size_t text = 0;
    for (std::size_t e = 0; e < events.size(); ++e) {
        if (events[e].id.empty()) {
            items.push_back(texts[text++]);
            continue;
        }
        const auto met = catalog.at(events[e].id);
        if (!met.ok()) return make_error(met.error().code, {"event ", e, ": ", met.error().message});
        items.push_back(*met);
    }
    return items;
}

/// The terms of an item's score, where the model is a blend.
RANKLET_COLD RANKLET_FUNC Result<std::vector<PartContribution>> explain_parts(const Recommender& model,
                                                                              const Recommender::User& user,
                                                                              const Catalog& catalog,
                                                                              std::string_view id,
                                                                              InitialState initial_state) {
    RANKLET_ASSIGN(const ItemRef item, catalog.at(id));
    const Decoder& decoder = model.decoder();
    const ScoreRequest request{user.state(), catalog.data(), initial_state, user.events(), catalog.signals()};
    std::vector<float> query(decoder.query_size_of(request));
    Scratch scratch;
    RANKLET_TRY(scratch.reserve(decoder.scratch_size()));
    decoder.begin(request, query.data(), scratch);
    std::vector<ScorePart> parts;
    decoder.score_parts(request, query.data(), item.index(), scratch, parts);
    std::vector<PartContribution> result;
    for (const ScorePart& part : parts) result.push_back({std::string(part.name), part.score});
    return result;
}

}  // namespace detail

RANKLET_FUNC Result<std::vector<EventContribution>> explain_events(const Recommender& model,
                                                                   const Recommender::User& user,
                                                                   const Catalog& catalog, std::string_view id,
                                                                   const ExplainOptions& options) RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(const ItemRef item, catalog.at(id));
    const std::size_t index = item.index();
    const ScoreOptions scoring{1, options.initial_state};
    const auto score = [&](const auto& who) { return model.scores_of(who, catalog, std::span(&index, 1), scoring); };
    RANKLET_ASSIGN(const std::vector<float> whole, score(user));
    const std::span<const Event> events = user.events();
    Catalog texts;
    RANKLET_ASSIGN(const std::vector<ItemRef> steps, detail::replayed_items(model, events, catalog, options, texts));

    const ScoreRequest request{user.state(), catalog.data(), options.initial_state, events, catalog.signals()};
    RANKLET_ASSIGN(const std::vector<EventTerm> terms, model.decoder().event_terms(request, steps, index));

    std::vector<EventContribution> result;
    std::vector<std::size_t> remembered;              // the events behind the rows that attention sees, oldest first
    auto before = model.new_user(user.state().user);  // the user as it was before event e
    for (std::size_t e = 0; e < events.size(); ++e) {
        if (events.size() - e <= options.most_events) {
            EventTerm term;
            if (!terms.empty()) {
                term = terms[e];
            } else {
                auto without = before;
                for (std::size_t later = e + 1; later < events.size(); ++later)
                    RANKLET_TRY(without.observe(steps[later], events[later].rating));
                RANKLET_ASSIGN(const std::vector<float> rest, score(without));
                term.contribution = whole[0] - rest[0];
            }
            EventContribution& part = result.emplace_back();
            part.event = e;
            part.id = events[e].id;
            part.rating = events[e].rating;
            part.contribution = term.contribution;
            part.times = term.times;
        }
        RANKLET_TRY(before.observe(steps[e], events[e].rating));
        if (!model.decoder().passes_over(steps[e].data(), steps[e].index(), events[e].rating)) remembered.push_back(e);
    }
    const auto same = [](const std::vector<float>& again, const std::vector<float>& before_) {
        return std::equal(again.begin(), again.end(), before_.begin(), before_.end(), detail::recomputed);
    };
    const auto same_state = [&](const UserState& a, const UserState& b) {
        return same(a.hidden, b.hidden) && same(a.memory, b.memory);
    };
    const auto &again = before.state().parts, &found = user.state().parts;
    const bool led_there = same_state(before.state(), user.state()) &&
                           std::equal(again.begin(), again.end(), found.begin(), found.end(), same_state);
    if (!led_there && user.state().forgotten > 0)
        return make_error(ErrorCode::unsupported,
                          {"the user's state has met ", user.state().forgotten,
                           " events that it does not remember (UserOptions::max_events): nothing can be replayed"});
    if (!led_there)
        return make_error(
            ErrorCode::mismatch,
            {"replaying the user's events does not lead to the user's state: an item or a text is another"});
    RANKLET_ASSIGN(const std::vector<float> weights, model.decoder().event_attention(user.state()));
    for (std::size_t r = 0; r < std::min(weights.size(), remembered.size()); ++r) {
        const std::size_t event = remembered[remembered.size() - 1 - r];
        for (EventContribution& part : result)
            if (part.event == event) part.attention = weights[weights.size() - 1 - r];
    }
    return result;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Explanation> explain(const Recommender& model, const Recommender::User& user,
                                         const Catalog& catalog, std::string_view id,
                                         const ExplainOptions& options) RANKLET_MEMORY_TRY {
    Explanation explanation;
    RANKLET_ASSIGN(const std::vector<float> score,
                   model.scores_of(user, catalog, std::span(&id, 1), {1, options.initial_state}));
    explanation.score = score[0];
    RANKLET_ASSIGN(explanation.parts, detail::explain_parts(model, user, catalog, id, options.initial_state));
    RANKLET_ASSIGN(explanation.events, explain_events(model, user, catalog, id, options));
    if (options.text) {
        RANKLET_ASSIGN(explanation.text, detail::explain_words(model, user, catalog, id, options, explanation.words));
    }
    RANKLET_ASSIGN(explanation.shared, shared_attributes(catalog, user.events(), id));
    return explanation;
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
#endif
