// PriorDecoder: a number an item, whoever the user is: how popular it is, what it earns, whether it is in stock.
// In: a catalog's signals. Out: the item's number as its logit.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/decoders/decoder.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN

class PriorDecoder final : public Decoder {
public:
    static constexpr std::string_view type_name = "prior";  ///< `ranklet.recommender.scoring`
    /// The file's own numbers, where it has them: strings `ranklet.prior.ids`, tensor `ranklet.prior.values` [n].
    RANKLET_COLD static Result<PriorDecoder> read(const ModelReader& reader, const ItemEncoder&) {
        PriorDecoder decoder;
        const ModelReader keys = reader.scope("ranklet.prior");
        if (!keys.has("ids")) return decoder;
        RANKLET_ASSIGN(const auto ids, keys.strings("ids"));
        auto prior = std::make_shared<Prior>();
        prior->ids.assign(ids.begin(), ids.end());
        RANKLET_ASSIGN(prior->values, keys.vector("values", ids.size()));
        decoder.own_.prior = std::move(prior);
        return decoder;
    }

    KindId kind() const noexcept override { return kind_id<PriorDecoder>; }
    Result<void> prepare(CatalogData&, ItemUse, Threads) const override { return {}; }
    Result<void> check(const CatalogData&) const override { return {}; }
    const Signals* signals() const noexcept override { return own_.prior == nullptr ? nullptr : &own_; }
    RANKLET_COLD Result<void> check_signals(const BoundSignals* signals) const override {
        if (signals != nullptr && signals->signals.prior != nullptr) return {};
        return make_error(ErrorCode::mismatch, {"the catalog has no prior, which the model reads: give it one "
                                                "(Catalog::with)"});
    }

    void begin_user(UserState& state) const override {
        state.hidden.clear();
        state.memory.clear();
        state.memory_width = 0;
    }
    RANKLET_COLD Result<void> check(const UserState& state) const override {
        return detail::check_state_size(state, 0, 0, 0);
    }
    Result<void> observe(UserState&, const CatalogData&, std::size_t, float, Scratch&) const override { return {}; }

    std::size_t piece() const noexcept override { return 4096; }
    std::size_t work() const noexcept override { return 1; }
    std::size_t query_size() const noexcept override { return 0; }
    std::size_t scratch_size() const noexcept override { return 0; }
    void begin(const ScoreRequest&, float*, Scratch&) const noexcept override {}
    void score(const ScoreRequest& request, const float*, IndexRange range, float* scores,
               Scratch&) const noexcept override {
        std::copy_n(request.signals->prior.data() + range.first, range.last - range.first, scores);
    }
    /// No event adds anything.
    RANKLET_COLD Result<std::vector<EventTerm>> event_terms(const ScoreRequest&, std::span<const ItemRef> events,
                                                            std::size_t) const override {
        return std::vector<EventTerm>(events.size());
    }

private:
    Signals own_;
};

RANKLET_NAMESPACE_END
