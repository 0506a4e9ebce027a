// explain: why an item has its score for a user: what each past event and each word of its text added to it.
// In: a user, a catalog, an item's id (and its text). Out: contributions, each the score minus the score without that
// part (leave-one-out), recomputed from the beginning: a GRU is not linear in its events, nor a transformer in its
// tokens, so contributions do not add up to the score.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/recommender.hpp"
#include "ranklet/shared_attributes.hpp"

RANKLET_NAMESPACE_BEGIN

/// What an event added to the item's score.
struct EventContribution {
    std::size_t event = 0;  ///< its place in the user's history
    std::string id;         ///< empty for a text
    float rating = no_rating;
    float contribution = 0.0f;  ///< the score minus the score of a user who never met this event
};

/// What a word or token of the item's text added to its score.
struct TextContribution {
    std::string text;           ///< as it stands in the text
    TokenSpan span;             ///< its bytes [begin, end) of the text
    float contribution = 0.0f;  ///< the score minus the score of the item with these tokens taken out
};

struct Explanation {
    float score = 0.0f;                     ///< the item's logit
    std::vector<EventContribution> events;  ///< in the order of the history
    std::vector<TextContribution> text;     ///< in the order of the text; empty when no text was given
    std::vector<SharedAttribute> shared;    ///< the attributes that the item shares with events' items
};

/// What is taken out of a text at a time: a whole word (all its pieces; a Chinese character is a word), or one token.
enum class TextUnit { word, token };

struct ExplainOptions {
    /// The item's text, as it was given to encode_catalog (catalogs do not keep texts). Not given: events alone.
    std::optional<std::string_view> text = {};
    TextUnit unit = TextUnit::word;
    std::size_t most_events = 100;  ///< only the last so many are explained; each costs as many steps as events follow
    /// The texts of the user's events without an id (observe_text), in order: a user's state does not keep them.
    std::span<const std::string_view> event_texts = {};
    std::optional<std::string_view> event_prompt = {};  ///< the prompt that observe_text was called with
    std::optional<std::string_view> prompt = {};        ///< the prompt that encode_catalog was called with
    std::size_t threads = 1;
    InitialState initial_state = InitialState::user;
};

namespace detail {

/// Whether a recomputed number is the same but for the last bits (another instruction set, say).
[[nodiscard]] inline bool recomputed(float again, float before) noexcept {
    return std::abs(again - before) <= 1e-4f * std::max(1.0f, std::abs(before));
}

/// An encoded text's tokens in the groups that are taken out together: [first, last) of the tokens.
struct TokenGroup {
    std::size_t first, last;
    TokenSpan span;  // in the text, without the prompt
};
[[nodiscard]] inline std::vector<TokenGroup> group_tokens(const Encoding& encoding, std::size_t prompt, TextUnit unit) {
    std::vector<TokenGroup> groups;
    for (std::size_t t = 0; t < encoding.size(); ++t) {
        const TokenSpan span = encoding.offsets[t];
        if (encoding.words[t] < 0 || span.end <= prompt) continue;  // special, or the prompt's
        const auto begin = static_cast<std::uint32_t>(std::max<std::size_t>(span.begin, prompt) - prompt);
        const auto end = static_cast<std::uint32_t>(span.end - prompt);
        if (unit == TextUnit::word && !groups.empty() && groups.back().last == t &&
            encoding.words[t - 1] == encoding.words[t]) {
            groups.back().last = t + 1;
            groups.back().span.end = end;
        } else {
            groups.push_back({t, t + 1, {begin, end}});
        }
    }
    return groups;
}

/// The scores of items made here, each with the bias of `like`'s item at `index`.
template <class Encoder, class Decoder>
[[nodiscard]] Result<std::vector<float>> score_like(const BasicRecommender<Encoder, Decoder>& model,
                                                    const typename BasicRecommender<Encoder, Decoder>::User& user,
                                                    const CatalogData& like, std::size_t index, CatalogData data,
                                                    const RecommendOptions& options) {
    if (!like.bias.empty()) data.bias.assign(data.ids.size(), like.bias[index]);
    RANKLET_ASSIGN(const Catalog catalog, model.make_catalog(std::move(data)));
    return model.scores(user, catalog, options);
}

/// A text's tokens as encode_catalog saw them, behind a prompt of so many bytes.
template <class Encoder, class Decoder>
[[nodiscard]] Result<std::size_t> encode_tokens(const BasicRecommender<Encoder, Decoder>& model, std::string_view text,
                                                std::optional<std::string_view> prompt_name, Encoding& encoding) {
    if (const WordVectors* words = model.word_vectors()) {
        if (prompt_name && !prompt_name->empty())
            return make_error(ErrorCode::missing, {"the model has no prompt named \"", *prompt_name, "\""});
        RANKLET_TRY(words->tokenize(text, encoding));
        return std::size_t{0};
    }
    const Bert& bert = *model.bert();
    RANKLET_ASSIGN(const std::string_view prompt, bert.prompt_text(prompt_name));
    EncodeOptions options;
    options.max_length = bert.max_length();
    RANKLET_TRY(bert.tokenizer().encode(std::string(prompt).append(text), options, encoding));
    return prompt.size();
}

/// The scores of texts given as token ids, each as if it were an item of `like` at `index`.
template <class Encoder, class Decoder>
[[nodiscard]] Result<std::vector<float>> score_sequences(const BasicRecommender<Encoder, Decoder>& model,
                                                         const typename BasicRecommender<Encoder, Decoder>::User& user,
                                                         const CatalogData& like, std::size_t index,
                                                         std::span<const std::vector<std::int32_t>> sequences,
                                                         const RecommendOptions& options) {
    CatalogData data;
    if (const WordVectors* words = model.word_vectors()) {
        RANKLET_ASSIGN(data.vectors, Matrix::zeroed(sequences.size(), words->dim()));
        std::vector<float> row(words->dim());
        for (std::size_t s = 0; s < sequences.size(); ++s) {
            data.ids.push_back(std::to_string(s));
            words->pool(sequences[s], data.vectors.row(s).data(), row.data());
        }
        return score_like(model, user, like, index, std::move(data), options);
    }
    const Bert& bert = *model.bert();
    const TextGru* text_gru = model.text_gru();
    std::vector<std::int32_t> ids;
    data.token_offsets.assign(1, 0);
    for (const auto& sequence : sequences) {
        data.ids.push_back(std::to_string(data.ids.size()));
        ids.insert(ids.end(), sequence.begin(), sequence.end());
        data.token_offsets.push_back(ids.size());
    }
    const PackedBatch batch{ids, {}, data.token_offsets};
    Scratch scratch;
    const Gru<>* bottom = text_gru != nullptr ? &text_gru->decoder().gru().layers().front() : nullptr;
    RANKLET_TRY(scratch.reserve(
        std::max({bert.model().scratch_size(batch.tokens(), batch.longest()), bert.head().scratch_size(),
                  bottom != nullptr ? bottom->input_scratch_size(batch.tokens()) : 0})));
    RANKLET_ASSIGN(Matrix states, Matrix::zeroed(ids.size(), bert.hidden()));
    bert.model().forward(batch, states.view(), scratch);
    const MatrixView<const float> tokens = states.view();
    if (bottom != nullptr) {
        RANKLET_ASSIGN(data.projected, Matrix::zeroed(ids.size(), 3 * bottom->hidden()));
        bottom->project_input(tokens, data.projected.view(), scratch);
    } else {
        RANKLET_ASSIGN(data.vectors, Matrix::zeroed(sequences.size(), bert.dim()));
        for (std::size_t s = 0; s < sequences.size(); ++s)
            bert.head().forward(tokens.middle_rows(data.token_offsets[s], sequences[s].size()),
                                data.vectors.row(s).data(), scratch);
        data.token_offsets.clear();
    }
    return score_like(model, user, like, index, std::move(data), options);
}

}  // namespace detail

/// What each of the user's last events added to the score of the item `id`: its score minus that of a user with the
/// same history but for this event. The events are replayed from the catalog. Error missing naming an event whose item
/// the catalog no longer has; unsupported when the user has events from text and options.event_texts does not hold just
/// their texts; mismatch when the replay does not lead to the user's state (another text, another prompt, an item that
/// was replaced since).
template <class Encoder, class Decoder>
[[nodiscard]] Result<std::vector<EventContribution>> explain_events(
    const BasicRecommender<Encoder, Decoder>& model, const typename BasicRecommender<Encoder, Decoder>::User& user,
    const Catalog& catalog, std::string_view id, const ExplainOptions& options = {}) {
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
        for (std::size_t t = 0; t < texts; ++t) ids.push_back(std::to_string(t));
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

    std::vector<EventContribution> result;
    auto before = model.new_user(user.state().user);  // the user as it was before event e
    for (std::size_t e = 0; e < events.size(); ++e) {
        if (events.size() - e <= options.most_events) {
            auto without = before;
            for (std::size_t later = e + 1; later < events.size(); ++later)
                RANKLET_TRY(without.observe(steps[later], events[later].rating));
            RANKLET_ASSIGN(const std::vector<float> rest, score(without));
            result.push_back({e, events[e].id, events[e].rating, whole[0] - rest[0]});
        }
        RANKLET_TRY(before.observe(steps[e], events[e].rating));
    }
    const auto same = [](const std::vector<float>& again, const std::vector<float>& before_) {
        return std::equal(again.begin(), again.end(), before_.begin(), before_.end(), detail::recomputed);
    };
    if (!same(before.state().hidden, user.state().hidden) || !same(before.state().memory, user.state().memory))
        return Error{ErrorCode::mismatch,
                     "replaying the user's events does not lead to the user's state: an item or a text is another"};
    return result;
}

/// What each word (or token) of the text of the item `id` added to its score: the score minus that of the same token
/// sequence without it. Tokens beyond the model's maximum length are not seen by the model and not listed; the prompt's
/// and the special tokens stay in.
/// Error invalid_argument when options.text is not given, unsupported when the model's encoder is neither Bert nor
/// WordVectors or the catalog's vectors are not made of text alone, mismatch when the text does not give the item's
/// score.
template <class Encoder, class Decoder>
[[nodiscard]] Result<std::vector<TextContribution>> explain_text(
    const BasicRecommender<Encoder, Decoder>& model, const typename BasicRecommender<Encoder, Decoder>::User& user,
    const Catalog& catalog, std::string_view id, const ExplainOptions& options) {
    RANKLET_ASSIGN(const ItemRef item, catalog.at(id));
    const std::size_t index = item.index();
    if (model.encodes_text() && model.bert() == nullptr && model.word_vectors() == nullptr)
        return Error{ErrorCode::unsupported, "texts are explained for Bert and WordVectors, not for this encoder"};
    if (!model.encodes_text() || !catalog.data().outputs.empty())
        return Error{ErrorCode::unsupported, "the items' vectors are not made of their text: there is none to explain"};
    if (!options.text) return Error{ErrorCode::invalid_argument, "no text to explain: give ExplainOptions::text"};
    RecommendOptions scoring;
    scoring.threads = options.threads;
    scoring.initial_state = options.initial_state;
    RANKLET_ASSIGN(const std::vector<float> whole, model.scores_of(user, catalog, std::span(&index, 1), scoring));

    Encoding encoding;
    const auto prompt = detail::encode_tokens(model, *options.text, options.prompt, encoding);
    if (!prompt.ok()) return make_error(prompt.error().code, {"item \"", item.id(), "\": ", prompt.error().message});
    const auto groups = detail::group_tokens(encoding, *prompt, options.unit);

    // The whole text first, then without each group; a few at a time, so that memory stays small.
    constexpr std::size_t pack_tokens = 512;
    const std::size_t at_once = std::max<std::size_t>(1, pack_tokens / std::max<std::size_t>(1, encoding.size()));
    std::vector<float> scores;
    std::vector<std::vector<std::int32_t>> sequences;
    for (std::size_t s = 0; s <= groups.size(); ++s) {
        auto& sequence = sequences.emplace_back(encoding.ids.begin(), encoding.ids.end());
        if (s > 0)
            sequence.erase(sequence.begin() + static_cast<std::ptrdiff_t>(groups[s - 1].first),
                           sequence.begin() + static_cast<std::ptrdiff_t>(groups[s - 1].last));
        if (sequences.size() < at_once && s < groups.size()) continue;
        RANKLET_ASSIGN(const std::vector<float> some,
                       detail::score_sequences(model, user, catalog.data(), index, sequences, scoring));
        scores.insert(scores.end(), some.begin(), some.end());
        sequences.clear();
    }
    if (!detail::recomputed(scores[0], whole[0]))
        return make_error(ErrorCode::mismatch, {"item \"", item.id(), "\" has the score ", whole[0],
                                                ", the text given has ", scores[0], ": it is not the item's"});
    std::vector<TextContribution> result;
    for (std::size_t g = 0; g < groups.size(); ++g) {
        const TokenSpan span = groups[g].span;
        result.push_back(
            {std::string(options.text->substr(span.begin, span.end - span.begin)), span, scores[0] - scores[g + 1]});
    }
    return result;
}

/// All of it: the item's score, what each event added, where options.text is given what each word of it added, and the
/// attributes that the item shares with events' items.
template <class Encoder, class Decoder>
[[nodiscard]] Result<Explanation> explain(const BasicRecommender<Encoder, Decoder>& model,
                                          const typename BasicRecommender<Encoder, Decoder>::User& user,
                                          const Catalog& catalog, std::string_view id,
                                          const ExplainOptions& options = {}) {
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
