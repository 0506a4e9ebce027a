// FollowersDecoder: scores by what was seen to follow the items that a user met (counting/transitions.hpp).
// In: the ids of the last events, and a catalog's tables of transitions. Out: one logit a candidate. No vectors.
//   evidence(candidate) = sum over tables t of weight_t * sum over events e of w_e strength_t(e, candidate)
// w_e = weight of the event's rating * decay_t^(events after it); where a table has `share`, its sum is divided by that over
// all its items. score = ln(max(evidence, 0) + floor): of shares, softmax makes the shares again.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/power.hpp"
#include "ranklet/counting/transitions_file.hpp"
#include "ranklet/decoders/decoder.hpp"
#include "ranklet/decoders/rating_weight.hpp"
#include "ranklet/decoders/signal_decoder.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/model_file/load.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN

/// Looks at the events that the user remembers (UserOptions::max_events), by id: also at those whose items have left the
/// catalog. It keeps nothing of its own in a user's state.
class FollowersDecoder final : public detail::SignalDecoder {
public:
    static constexpr std::string_view type_name = "transitions";  ///< `ranklet.recommender.scoring`
    /// From `ranklet.transitions.*`; `options.transitions`, where they are given, in place of the numbers there. A file
    /// without tables, or with another number of them than the options describe, leaves them to the catalog's signals.
    RANKLET_COLD static Result<FollowersDecoder> read(const ModelReader& reader, const ItemEncoder& encoder,
                                                      const LoadOptions& options);

    const FollowersOptions& options() const noexcept { return options_; }

    KindId kind() const noexcept override { return kind_id<FollowersDecoder>; }
    const Signals* signals() const noexcept override { return own_.transitions.empty() ? nullptr : &own_; }
    RANKLET_COLD Result<void> check_signals(const BoundSignals* signals) const override;

    Result<void> observe(UserState&, const CatalogData&, std::size_t, float rating, Scratch&) const override {
        if (std::isfinite(detail::weight_of(options_.rating, rating))) return {};
        return detail::event_not_finite();
    }

    std::size_t work() const noexcept override { return 16; }
    /// Evidence for each row of each table.
    std::size_t query_size_of(const ScoreRequest& request) const noexcept override {
        std::size_t size = 0;
        if (request.signals != nullptr)
            for (const Transitions& table : request.signals->signals.transitions) size += table.size();
        return size;
    }
    void begin(const ScoreRequest& request, float* query, Scratch& scratch) const noexcept override;
    void score(const ScoreRequest& request, const float* query, IndexRange range, float* scores,
               Scratch& scratch) const noexcept override;

    /// What the score would lose without the evidence of each event.
    RANKLET_COLD Result<std::vector<EventTerm>> event_terms(const ScoreRequest& request,
                                                            std::span<const ItemRef> events,
                                                            std::size_t index) const override;

private:
    using Ops = kernels::Ops<float>;

    // body(event, row of its item, w_e) for the last events that the table knows, the newest first.
    template <class Body>
    void for_each_event(std::span<const Event> events, const Transitions& table, const FollowersTable& options,
                        const Body& body) const {
        float decayed = 1.0f;
        for (std::size_t age = 0; age < std::min<std::size_t>(events.size(), options.events); ++age) {
            const std::size_t e = events.size() - 1 - age;
            const std::size_t row = events[e].id.empty() ? table.size() : table.find(events[e].id);
            if (row < table.size()) body(e, row, decayed * detail::weight_of(options_.rating, events[e].rating));
            decayed *= options.decay;
        }
    }

    FollowersOptions options_;
    Signals own_;  // the file's tables
};

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS
RANKLET_NAMESPACE_BEGIN

RANKLET_FUNC Result<FollowersDecoder> FollowersDecoder::read(const ModelReader& reader, const ItemEncoder&,
                                                             const LoadOptions& options) {
    FollowersDecoder decoder;
    FollowersOptions& own = decoder.options_;
    const ModelReader keys = reader.scope("ranklet.transitions");
    RANKLET_ASSIGN(std::uint32_t stored, keys.u32_or("tables", 0));
    if (stored > 64) return keys.wrong("tables", {" is ", stored, ", expected at most 64"});
    if (options.transitions) {
        own = *options.transitions;
        if (own.tables.size() != stored) stored = 0;  // they are of the catalog's
    } else {
        RANKLET_ASSIGN(own.rating, detail::read_rating_weight(keys, own.rating));
        if (keys.has("floor")) {
            RANKLET_ASSIGN(own.floor, keys.f32("floor"));
        }
        if (stored > 0) {
            RANKLET_ASSIGN(const auto weights, keys.floats("weights"));
            RANKLET_ASSIGN(const auto decays, keys.floats("decays"));
            RANKLET_ASSIGN(const auto events, keys.u32s("events"));
            RANKLET_ASSIGN(const auto shares, keys.u32s("shares"));
            if (weights.size() != stored || decays.size() != stored || events.size() != stored ||
                shares.size() != stored)
                return keys.wrong("weights", {", decays, events and shares do not have ", stored, " numbers each"});
            own.tables.clear();
            for (std::size_t t = 0; t < stored; ++t)
                own.tables.push_back({weights[t], decays[t], events[t], shares[t] != 0});
        }
    }
    RANKLET_TRY(detail::check_rating_weight(keys, own.rating));
    if (!(own.floor >= 1e-20f && own.floor <= 1.0f))
        return keys.wrong("floor", {" is ", own.floor, ", expected 1e-20 to 1"});
    if (own.tables.empty() || (stored > 0 && own.tables.size() != stored))
        return keys.wrong("tables", {" is ", stored, ", but ", own.tables.size(), " are described"});
    for (const FollowersTable& table : own.tables) {
        if (!(table.weight > 0.0f && std::isfinite(table.weight)))
            return keys.wrong("weights", {" holds ", table.weight, ", expected numbers above 0"});
        if (!(table.decay > 0.0f && table.decay <= 1.0f))
            return keys.wrong("decays", {" holds ", table.decay, ", expected above 0, at most 1"});
        if (table.events < 1 || table.events > 100'000)
            return keys.wrong("events", {" holds ", table.events, ", expected 1 to 100000"});
    }
    for (std::size_t t = 0; t < stored; ++t) {
        const std::string prefix = keys.full(std::to_string(t)) + ".";
        RANKLET_ASSIGN(Transitions table, read_transitions(reader.file(), prefix));
        decoder.own_.transitions.push_back(std::move(table));
    }
    return decoder;
}

RANKLET_FUNC Result<void> FollowersDecoder::check_signals(const BoundSignals* signals) const {
    const std::size_t found = signals == nullptr ? 0 : signals->signals.transitions.size();
    if (found == options_.tables.size()) return {};
    return make_error(ErrorCode::mismatch, {"the catalog has ", found, " tables of transitions, the model reads ",
                                            options_.tables.size(), ": give them to it (Catalog::with)"});
}

RANKLET_FUNC void FollowersDecoder::begin(const ScoreRequest& request, float* query, Scratch&) const noexcept {
    std::fill_n(query, query_size_of(request), 0.0f);
    if (request.signals == nullptr) return;  // an empty catalog
    for (std::size_t t = 0; t < options_.tables.size(); ++t) {
        const Transitions& table = request.signals->signals.transitions[t];
        const FollowersTable& options = options_.tables[t];
        for_each_event(request.events, table, options, [&](std::size_t, std::size_t row, float weight) {
            const Followers followers = table.row(row);
            for (std::size_t f = 0; f < followers.size(); ++f) {
                float& sum = query[followers.rows[f]];
                sum = std::fma(weight, followers.strengths[f], sum);
            }
        });
        const float total = options.share ? Ops::sum(query, table.size()) : 1.0f;
        Ops::scale(total > 0.0f ? options.weight / total : 0.0f, query, table.size());
        query += table.size();
    }
}

RANKLET_FUNC void FollowersDecoder::score(const ScoreRequest& request, const float* query, IndexRange range,
                                          float* scores, Scratch&) const noexcept {
    const std::size_t count = range.last - range.first;
    for (std::size_t t = 0; t < options_.tables.size(); ++t) {
        const std::uint32_t* rows = request.signals->rows[t].data() + range.first;
        if (t == 0) std::fill_n(scores, count, 0.0f);
        for (std::size_t i = 0; i < count; ++i)
            if (rows[i] != BoundSignals::no_row) scores[i] += query[rows[i]];
        query += request.signals->signals.transitions[t].size();
    }
    Ops::log_above(options_.floor, scores, count);
}

RANKLET_FUNC Result<std::vector<EventTerm>> FollowersDecoder::event_terms(const ScoreRequest& request,
                                                                          std::span<const ItemRef> items,
                                                                          std::size_t index) const {
    std::vector<EventTerm> terms(items.size());
    std::vector<float> query(query_size_of(request));
    Scratch scratch;
    begin(request, query.data(), scratch);
    double evidence = 0.0;
    std::vector<double> parts(items.size());
    const float* sums = query.data();
    for (std::size_t t = 0; t < options_.tables.size(); ++t) {
        const Transitions& table = request.signals->signals.transitions[t];
        const FollowersTable& options = options_.tables[t];
        const std::uint32_t wanted = request.signals->rows[t][index];
        double total = 1.0;
        if (options.share) {  // begin() has divided by it
            total = 0.0;
            for_each_event(request.events, table, options, [&](std::size_t, std::size_t row, float weight) {
                for (const float strength : table.row(row).strengths)
                    total += static_cast<double>(weight) * static_cast<double>(strength);
            });
        }
        if (wanted != BoundSignals::no_row && total > 0.0) {
            evidence += static_cast<double>(sums[wanted]);
            for_each_event(request.events, table, options, [&](std::size_t e, std::size_t row, float weight) {
                const Followers followers = table.row(row);
                const auto found = std::find(followers.rows.begin(), followers.rows.end(), wanted);
                if (found == followers.rows.end()) return;
                const auto place = static_cast<std::size_t>(found - followers.rows.begin());
                parts[e] += static_cast<double>(options.weight) * static_cast<double>(weight) *
                            static_cast<double>(followers.strengths[place]) / total;
                if (t == 0) terms[e].times = followers.times[place];
            });
        }
        sums += table.size();
    }
    const auto score_of = [&](double sum) {
        constexpr double ln2 = 0.69314718055994531;
        return ln2 * detail::portable_log2(std::max(sum, 0.0) + static_cast<double>(options_.floor));
    };
    for (std::size_t e = 0; e < terms.size(); ++e)
        terms[e].contribution = static_cast<float>(score_of(evidence) - score_of(evidence - parts[e]));
    return terms;
}

RANKLET_NAMESPACE_END
#endif
