// Explanation: what explain says of a recommended item, and what it wants to know.
// Contributions are leave-one-out: the score minus the score without that part, recomputed from the beginning; a GRU and
// a transformer are not linear, so theirs do not add up. A decoder that scores by the history or by transitions tells
// what each event adds by itself: its own term of the sum, or what the score would lose without the event's evidence, the
// others' ages and weights as they are. Attention says where the model looks, not what it adds.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/catalog/item.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/decoders/user_state.hpp"
#include "ranklet/encoders/item_encoder.hpp"
#include "ranklet/explain/shared_attributes.hpp"
#include "ranklet/text/encoding.hpp"

RANKLET_NAMESPACE_BEGIN

/// What an event added to the item's score.
struct EventContribution {
    std::size_t event = 0;  ///< its place in the user's history
    std::string id;         ///< empty for a text
    float rating = no_rating;
    float contribution = 0.0f;  ///< the score minus the score of a user who never met this event
    /// How often the item was seen to follow the event's, where the model counts; 0: never, or not counted.
    std::uint32_t times = 0;
    /// The decoder's attention on the event; NaN where it has none or sees the event no more.
    float attention = std::numeric_limits<float>::quiet_NaN();
};

/// What a word or token of the item's text added to its score.
struct TextContribution {
    std::string text;           ///< as it stands in the text
    TokenSpan span;             ///< its bytes [begin, end) of the text
    float contribution = 0.0f;  ///< the score minus the score of the item with these tokens taken out
    std::string view = {};      ///< which of the item's texts, where the encoder reads several: "title", "body"
    /// The encoder's attention on the word within its text (the sum over its tokens); NaN where there is none.
    float attention = std::numeric_limits<float>::quiet_NaN();
};

/// What a decoder that is one of several in a model adds to the item's score.
struct PartContribution {
    std::string name;           ///< its type: "history" for the text, "transitions", "prior", ...
    float contribution = 0.0f;  ///< with its weight; all of them add up to the score, but for rounding
};

struct Explanation {
    float score = 0.0f;                     ///< the item's logit
    std::vector<PartContribution> parts;    ///< where the model is a blend
    std::vector<EventContribution> events;  ///< in the order of the history
    std::vector<TextContribution> text;     ///< in the order of the text; empty when no text was given
    /// Words (or tokens) of the text that the model reads: more than text.size() where most_words left the rest out.
    std::size_t words = 0;
    std::vector<SharedAttribute> shared;  ///< the attributes that the item shares with events' items
};

struct ExplainOptions {
    /// The item's text, as it was given to encode_catalog (catalogs that keep texts have it: ItemRef::text). Not given: events alone. What
    /// else an encoder reads of an item (its body, its category) is in the catalog's attributes.
    std::optional<std::string_view> text = {};
    TextUnit unit = TextUnit::word;
    /// Only the first so many words (or tokens) of the text are explained: each costs as much as encoding the text.
    std::size_t most_words = 512;
    std::size_t most_events = 100;  ///< only the last so many are explained; each costs as many steps as events follow
    /// The texts of the user's events without an id (observe_text), in order: a user's state does not keep them.
    std::span<const std::string_view> event_texts = {};
    std::optional<std::string_view> event_prompt = {};  ///< the prompt that observe_text was called with
    std::optional<std::string_view> prompt = {};        ///< the prompt that encode_catalog was called with
    std::span<const ItemVector> vectors = {};           ///< the item's vectors, for an encoder that reads some
    Threads threads = 1;
    InitialState initial_state = InitialState::user;
};

RANKLET_NAMESPACE_END
