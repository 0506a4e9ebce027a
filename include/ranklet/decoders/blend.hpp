// Blend: the weighted sum of other decoders' scores: text, transitions, a prior, and what was trained, where there is one.
// In: what its parts want of items and signals. Out: one logit a candidate, sum of weight * score in the parts' order.
// Each part has a state of its own in UserState::parts and its piece of the query.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/decoders/decoder.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/model_file/load.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN

class Blend final : public Decoder {
public:
    static constexpr std::string_view type_name = "blend";  ///< `ranklet.recommender.scoring`
    /// A decoder of the sum.
    struct Part {
        std::string type;
        float weight = 1.0f;
        std::shared_ptr<const Decoder> decoder;
    };
    /// `options.blend`, or the file's `ranklet.blend.parts` and `ranklet.blend.weights`. `source` is kind.hpp's
    /// DecoderSource, which knows the kinds.
    template <class Source>
    RANKLET_COLD static Result<Blend> read(const Source& source) {
        std::vector<BlendPart> named = source.options.blend;
        const ModelReader keys = source.reader.scope("ranklet.blend");
        if (named.empty()) {
            RANKLET_ASSIGN(const auto types, keys.strings("parts"));
            RANKLET_ASSIGN(const auto weights, keys.floats("weights"));
            if (weights.size() != types.size())
                return keys.wrong("weights", {" has ", weights.size(), " numbers for ", types.size(), " parts"});
            for (std::size_t p = 0; p < types.size(); ++p) named.push_back({std::string(types[p]), weights[p]});
        }
        std::vector<Part> parts;
        for (const BlendPart& each : named) {
            if (each.type == type_name) return keys.wrong("parts", {" holds a blend itself"});
            RANKLET_ASSIGN(auto decoder, source.read_other(each.type));
            parts.push_back({each.type, each.weight, std::move(decoder)});
        }
        return create(keys, std::move(parts));
    }

    std::span<const Part> parts() const noexcept { return parts_; }

    KindId kind() const noexcept override { return kind_id<Blend>; }
    ItemForm form() const noexcept override { return parts_.front().decoder->form(); }
    Result<void> prepare(CatalogData& items, ItemUse use, Threads threads) const override {
        for (const Part& part : parts_) RANKLET_TRY(part.decoder->prepare(items, use, threads));
        return {};
    }
    Result<void> check(const CatalogData& items) const override {
        for (const Part& part : parts_) RANKLET_TRY(part.decoder->check(items));
        return {};
    }
    const Signals* signals() const noexcept override { return has_signals_ ? &own_ : nullptr; }
    Result<void> check_signals(const BoundSignals* signals) const override {
        for (const Part& part : parts_) RANKLET_TRY(part.decoder->check_signals(signals));
        return {};
    }

    void begin_user(UserState& state) const override {
        state.hidden.clear();
        state.memory.clear();
        state.memory_width = 0;
        state.parts.resize(parts_.size());
        for (std::size_t p = 0; p < parts_.size(); ++p) {
            state.parts[p].user = state.user;
            parts_[p].decoder->begin_user(state.parts[p]);
        }
    }
    RANKLET_COLD Result<void> check(const UserState& state) const override;
    Result<void> observe(UserState& state, const CatalogData& items, std::size_t index, float rating,
                         Scratch& scratch) const override;

    std::size_t piece() const noexcept override { return piece_; }
    std::size_t work() const noexcept override;
    std::size_t query_size() const noexcept override;
    std::size_t query_size_of(const ScoreRequest& request) const noexcept override;
    std::size_t scratch_size() const noexcept override;
    bool query_reads_items() const noexcept override { return true; }
    void begin(const ScoreRequest& request, float* query, Scratch& scratch) const noexcept override;
    void score(const ScoreRequest& request, const float* query, IndexRange range, float* scores,
               Scratch& scratch) const noexcept override;

    /// A term for each part.
    RANKLET_COLD void score_parts(const ScoreRequest& request, const float* query, std::size_t index, Scratch& scratch,
                                  std::vector<ScorePart>& parts) const override;
    /// The sum of the parts' terms; empty when one of them has none.
    RANKLET_COLD Result<std::vector<EventTerm>> event_terms(const ScoreRequest& request,
                                                            std::span<const ItemRef> events,
                                                            std::size_t index) const override;

private:
    using Ops = kernels::Ops<float>;
    static constexpr float most_weight = 1e6f;
    static constexpr std::size_t most_at_once = 4096;  // of which each thread has a part's scores

    RANKLET_COLD static Result<Blend> create(const ModelReader& keys, std::vector<Part> parts);
    // What part p sees of a request.
    static ScoreRequest of_part(const ScoreRequest& request, std::size_t p) noexcept {
        return {request.state.parts[p], request.items, request.initial_state, request.events, request.signals};
    }

    std::vector<Part> parts_;
    Signals own_;  // of all parts
    bool has_signals_ = false;
    std::size_t piece_ = 1;
};

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS
RANKLET_NAMESPACE_BEGIN

RANKLET_FUNC Result<Blend> Blend::create(const ModelReader& keys, std::vector<Part> parts) {
    if (parts.empty()) return keys.wrong("parts", {" is empty"});
    if (parts.size() > 64) return keys.wrong("parts", {" has ", parts.size(), " entries, expected at most 64"});
    Blend blend;
    blend.piece_ = most_at_once;
    for (const Part& part : parts) {
        if (!(std::abs(part.weight) <=
              most_weight))  // beyond it scores overflow, and what does is no candidate any more
            return keys.wrong("weights", {" holds ", part.weight, ", expected -1e6 to 1e6"});
        if (&part != std::find_if(std::as_const(parts).data(), &part,
                                  [&](const Part& other) { return other.type == part.type; }))
            return keys.wrong("parts", {" holds \"", part.type, "\" twice"});
        if (part.decoder->form() != parts.front().decoder->form())
            return keys.wrong(
                "parts",
                {" holds \"", part.type, "\" and \"", parts.front().type, "\", which do not read the same of items"},
                ErrorCode::unsupported);
        blend.piece_ = detail::piece_of(*part.decoder, blend.piece_);
        const Signals* own = part.decoder->signals();
        if (own == nullptr) continue;
        blend.has_signals_ = true;
        if (!own->transitions.empty()) blend.own_.transitions = own->transitions;
        if (own->prior != nullptr) blend.own_.prior = own->prior;
    }
    blend.parts_ = std::move(parts);
    return blend;
}

RANKLET_FUNC Result<void> Blend::check(const UserState& state) const {
    RANKLET_TRY(detail::check_state_size(state, 0, 0, 0));
    if (state.parts.size() != parts_.size())
        return make_error(ErrorCode::format,
                          {"the user state has ", state.parts.size(), " parts, the model ", parts_.size()});
    for (std::size_t p = 0; p < parts_.size(); ++p) RANKLET_TRY(parts_[p].decoder->check(state.parts[p]));
    return {};
}

// With an error in one part, the parts before it go back to where they were.
RANKLET_FUNC Result<void> Blend::observe(UserState& state, const CatalogData& items, std::size_t index, float rating,
                                         Scratch& scratch) const {
    std::vector<UserState> next = state.parts;
    for (std::size_t p = 0; p < parts_.size(); ++p)
        RANKLET_TRY(parts_[p].decoder->observe(next[p], items, index, rating, scratch));
    state.parts.swap(next);
    return {};
}

RANKLET_FUNC std::size_t Blend::work() const noexcept {
    std::size_t work = 0;
    for (const Part& part : parts_) work += part.decoder->work();
    return work;
}
RANKLET_FUNC std::size_t Blend::query_size() const noexcept {
    std::size_t size = 0;
    for (const Part& part : parts_) size += part.decoder->query_size();
    return size;
}
RANKLET_FUNC std::size_t Blend::query_size_of(const ScoreRequest& request) const noexcept {
    std::size_t size = 0;
    for (std::size_t p = 0; p < parts_.size(); ++p) size += parts_[p].decoder->query_size_of(of_part(request, p));
    return size;
}
RANKLET_FUNC std::size_t Blend::scratch_size() const noexcept {
    std::size_t most = 0;
    for (const Part& part : parts_) most = std::max(most, part.decoder->scratch_size());
    return most + scratch_bytes<float>(piece_);
}

RANKLET_FUNC void Blend::begin(const ScoreRequest& request, float* query, Scratch& scratch) const noexcept {
    for (std::size_t p = 0; p < parts_.size(); ++p) {
        const ScoreRequest own = of_part(request, p);
        parts_[p].decoder->begin(own, query, scratch);
        query += parts_[p].decoder->query_size_of(own);
    }
}

RANKLET_FUNC void Blend::score(const ScoreRequest& request, const float* query, IndexRange range, float* scores,
                               Scratch& scratch) const noexcept {
    const ScratchFrame frame(scratch);
    const std::size_t count = range.last - range.first;
    float* term = scratch.take<float>(piece_);
    std::fill_n(scores, count, 0.0f);
    for (std::size_t p = 0; p < parts_.size(); ++p) {
        const ScoreRequest own = of_part(request, p);
        parts_[p].decoder->score(own, query, range, term, scratch);
        Ops::multiply_add(parts_[p].weight, term, scores, scores, count);
        query += parts_[p].decoder->query_size_of(own);
    }
}

RANKLET_FUNC void Blend::score_parts(const ScoreRequest& request, const float* query, std::size_t index,
                                     Scratch& scratch, std::vector<ScorePart>& parts) const {
    for (std::size_t p = 0; p < parts_.size(); ++p) {
        const ScoreRequest own = of_part(request, p);
        float term = 0.0f;
        parts_[p].decoder->score(own, query, {index, index + 1}, &term, scratch);
        parts.push_back({parts_[p].type, parts_[p].weight * term});
        query += parts_[p].decoder->query_size_of(own);
    }
}

RANKLET_FUNC Result<std::vector<EventTerm>> Blend::event_terms(const ScoreRequest& request,
                                                               std::span<const ItemRef> events,
                                                               std::size_t index) const {
    std::vector<EventTerm> sums(events.size());
    for (std::size_t p = 0; p < parts_.size(); ++p) {
        RANKLET_ASSIGN(const auto terms, parts_[p].decoder->event_terms(of_part(request, p), events, index));
        if (terms.size() != sums.size()) return std::vector<EventTerm>();
        for (std::size_t e = 0; e < sums.size(); ++e) {
            sums[e].contribution = std::fma(parts_[p].weight, terms[e].contribution, sums[e].contribution);
            sums[e].times = std::max(sums[e].times, terms[e].times);
        }
    }
    return sums;
}

RANKLET_NAMESPACE_END
#endif
