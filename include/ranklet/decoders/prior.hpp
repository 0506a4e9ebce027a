// PriorDecoder: a number an item, whoever the user is: how popular it is, what it earns, whether it is in stock.
// In: a catalog's signals. Out: the item's number as its logit.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/name_index.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/decoders/signal_decoder.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN

class PriorDecoder final : public detail::SignalDecoder {
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
        detail::NameIndex places;
        if (const std::size_t twice = places.add_all(prior->ids); twice != detail::NameIndex::none)
            return keys.wrong("ids", {" holds \"", ids[twice], "\" twice"});
        RANKLET_ASSIGN(prior->values, keys.vector("values", ids.size()));
        for (std::size_t i = 0; i < ids.size(); ++i)
            if (!std::isfinite(prior->values[i])) return keys.wrong("values", {"[", i, "] is not finite"});
        decoder.own_.prior = std::move(prior);
        return decoder;
    }

    KindId kind() const noexcept override { return kind_id<PriorDecoder>; }
    const Signals* signals() const noexcept override { return own_.prior == nullptr ? nullptr : &own_; }
    RANKLET_COLD Result<void> check_signals(const BoundSignals* signals) const override {
        if (signals != nullptr && signals->signals.prior != nullptr) return {};
        return make_error(ErrorCode::mismatch, {"the catalog has no prior, which the model reads: give it one "
                                                "(Catalog::with)"});
    }

    Result<void> observe(UserState&, const CatalogData&, std::size_t, float, Scratch&) const override { return {}; }

    std::size_t work() const noexcept override { return 1; }
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
