// Decoder: what a recommender asks of a decoder, whatever it is made of.
// In: what a catalog holds of items, events of a user, one at a time. Out: a user's state, and scores of candidates.
// A kind of decoder is a class of its own header that implements this; docs/extending.md says how.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "ranklet/catalog/catalog.hpp"
#include "ranklet/catalog/signals.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/core/kind_id.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/decoders/user_state.hpp"
#include "ranklet/encoders/item_encoder.hpp"

RANKLET_NAMESPACE_BEGIN

/// Whose score of which items is wanted. Looks into the caller's memory.
struct ScoreRequest {
    const UserState& state;
    const CatalogData& items;  ///< a catalog, or a segment of one
    InitialState initial_state = InitialState::user;
    std::span<const Event> events = {};     ///< the user's, oldest first, as far as the user remembers them
    const BoundSignals* signals = nullptr;  ///< the catalog's, by the indices of `items`; null: none
};

/// A term of a score.
struct ScorePart {
    std::string_view name;  ///< the decoder's type_name
    float score = 0.0f;     ///< with its weight
};
/// What an event adds to a score.
struct EventTerm {
    float contribution = 0.0f;
    std::uint32_t times = 0;  ///< how often the item was seen to follow the event's; 0: not counted
};

/// What prepare() is to compute.
enum class ItemUse {
    event,      ///< what observe() reads
    candidate,  ///< that, and what begin() and score() read
};

/// Immutable once read from a file; any number of threads may use one. Scores have the same bits in any piece, with any
/// number of threads.
class Decoder {
public:
    virtual ~Decoder() = default;
    virtual KindId kind() const noexcept = 0;

    /// What it wants of items.
    virtual ItemForm form() const noexcept { return ItemForm::vector; }
    /// Computes, of encoded items, what depends on the item alone: the parts of `items` that are not there yet. What the
    /// form wants is there: `vectors`, or the part "token_states", which it replaces by what it makes of them.
    virtual Result<void> prepare(CatalogData& items, ItemUse use, Threads threads) const = 0;
    /// Error mismatch when the items (one at least) lack what observe(), begin() and score() read.
    virtual Result<void> check(const CatalogData& items) const = 0;

    /// `state` as before any event; `state.user` says who it is.
    virtual void begin_user(UserState& state) const = 0;
    /// Error format when numbers of the state are not of this model's sizes, or none that observe() could leave there.
    virtual Result<void> check(const UserState& state) const = 0;
    /// The user met item `index` of `items`; no_rating: without a rating. The event is not yet in `state.events`.
    /// Error invalid_argument, with the state as it was, when a number of the new state would not be finite.
    virtual Result<void> observe(UserState& state, const CatalogData& items, std::size_t index, float rating,
                                 Scratch& scratch) const = 0;

    // Scoring: begin() once a user, then score() for pieces of the candidates, from several threads.

    /// Candidates to score in one call of score(), at most; 0 counts as 1.
    virtual std::size_t piece() const noexcept = 0;
    /// What scoring one costs, roughly, in products as detail::piece_work counts them: whether threads share it.
    virtual std::size_t work() const noexcept { return 16 * query_size(); }  // a row comes from memory
    /// Floats that begin() writes.
    virtual std::size_t query_size() const noexcept = 0;
    /// The same of a decoder whose query depends on the catalog's signals.
    virtual std::size_t query_size_of(const ScoreRequest&) const noexcept { return query_size(); }
    /// Scratch bytes of begin() and of score().
    virtual std::size_t scratch_size() const noexcept = 0;
    /// What depends on the user alone: query [query_size()].
    virtual void begin(const ScoreRequest& request, float* query, Scratch& scratch) const noexcept = 0;
    /// scores[i - range.first], a logit each, of the items of `range` (at most piece()).
    virtual void score(const ScoreRequest& request, const float* query, IndexRange range, float* scores,
                       Scratch& scratch) const noexcept = 0;
    /// Whether the query is the user's vector [output_dim]: a score is its dot product with the item's row of outputs
    /// (of vectors where there are none), plus the item's bias.
    virtual bool has_user_vector() const noexcept { return false; }
    /// Whether begin() reads the catalog, so that the user's vector is one for this catalog.
    virtual bool query_reads_items() const noexcept { return false; }

    // Signals: what does not depend on the items' texts, and changes while catalogs stay.

    /// Those of the model file, which catalogs have from the beginning; null: it reads none.
    virtual const Signals* signals() const noexcept { return nullptr; }
    /// Error mismatch when a catalog's signals are not those that begin() and score() read.
    virtual Result<void> check_signals(const BoundSignals*) const { return {}; }

    // Explanations.

    /// The attention in the user's vector on each row of `state.memory`; empty where there is none.
    RANKLET_COLD virtual Result<std::vector<float>> event_attention(const UserState&) const {
        return std::vector<float>();
    }
    /// The terms that the score of item `index` is the sum of, with the query that begin() wrote; one term otherwise.
    RANKLET_COLD virtual void score_parts(const ScoreRequest&, const float*, std::size_t, Scratch&,
                                          std::vector<ScorePart>&) const {}
    /// What each event added to the score of item `index`, where the decoder can tell: `events` are the items met, in the
    /// order of request.events. Empty: the score has to be computed anew without each.
    RANKLET_COLD virtual Result<std::vector<EventTerm>> event_terms(const ScoreRequest&, std::span<const ItemRef>,
                                                                    std::size_t) const {
        return std::vector<EventTerm>();
    }
    /// Whether observe() passes over this event, which then leaves nothing in the state.
    RANKLET_COLD virtual bool passes_over(const CatalogData&, std::size_t, float) const { return false; }

protected:
    Decoder() = default;
    Decoder(const Decoder&) = default;
    Decoder& operator=(const Decoder&) = default;
};

namespace detail {

/// Candidates to score at a time, of so many: a decoder may be a host's, and say any number.
inline std::size_t piece_of(const Decoder& decoder, std::size_t candidates) noexcept {
    return std::clamp<std::size_t>(decoder.piece(), 1, std::max<std::size_t>(candidates, 1));
}

RANKLET_COLD inline detail::SharedError event_not_finite() {
    return make_error(ErrorCode::invalid_argument,
                      {"the event's numbers are not finite: a rating that is too large, or a damaged model"});
}
RANKLET_COLD inline detail::SharedError other_columns() {
    return make_error(ErrorCode::mismatch, {"the catalog's parts are not those that the model's decoder reads"});
}

/// Error format unless the state has `hidden` numbers and remembers at most `most` rows of `width`, all finite.
RANKLET_COLD inline Result<void> check_state_size(const UserState& state, std::size_t hidden, std::size_t width,
                                                  std::size_t most) {
    if (state.hidden.size() != hidden)
        return make_error(ErrorCode::format,
                          {"the user state has ", state.hidden.size(), " values, the model's have ", hidden});
    for (const float h : state.hidden)
        if (!std::isfinite(h))
            return make_error(ErrorCode::format, {"the user state has a hidden value that is not finite"});
    for (const float x : state.memory)
        if (!std::isfinite(x))
            return make_error(ErrorCode::format, {"the user state remembers a value that is not finite"});
    if (state.memory_width == width && state.memory.size() == state.memory_rows() * width &&
        (width == 0 || state.memory_rows() <= most))
        return {};
    return make_error(ErrorCode::format, {"the user state remembers ", state.memory_rows(), " events of ",
                                          state.memory_width, " values, which is not what the model's does"});
}

/// Error format unless each number of a GRU's state is one that observe() can lead to from `first` (zero where that is
/// shorter): a step lies between the state before it and a tanh, so none is beyond 1 and what it began with.
RANKLET_COLD inline Result<void> check_gru_state(std::span<const float> state, std::span<const float> first) {
    constexpr float rounding = 1.001f;
    for (std::size_t i = 0; i < state.size(); ++i)
        if (const float most = i < first.size() ? std::max(1.0f, std::abs(first[i])) : 1.0f;
            !(std::abs(state[i]) <= most * rounding))
            return make_error(ErrorCode::format, {"the user state's number ", i, " is ", state[i],
                                                  ", which no events lead to: at most ", most});
    return {};
}

}  // namespace detail
RANKLET_NAMESPACE_END
