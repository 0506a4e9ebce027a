// NextEvent: score = out . GRU(h, item), the candidate as the event that follows the user's history.
// In: item vectors of the events, one at a time. Out: one logit a candidate (which carries no rating).
// A catalog's part "projected" [n, 3 * hidden] is the GRU's input part of each item.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/decoders/gru_decoder.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/linear.hpp"

RANKLET_NAMESPACE_BEGIN

class NextEvent final : public GruDecoder {
public:
    static constexpr std::string_view type_name = "next_event";  ///< `ranklet.recommender.scoring`
    RANKLET_COLD static Result<NextEvent> read(const ModelReader& reader, const ItemEncoder& encoder) {
        NextEvent decoder;
        RANKLET_TRY(decoder.read_gru_of(reader, encoder.dim()));
        RANKLET_ASSIGN(decoder.out_, read_linear(reader, "ranklet.out", decoder.gru().hidden(), 1));
        return decoder;
    }

    KindId kind() const noexcept override { return kind_id<NextEvent>; }
    Result<void> prepare(CatalogData& items, ItemUse use, Threads threads) const override {
        if (use == ItemUse::event || items.find_part(part) != nullptr) return {};
        RANKLET_ASSIGN(Matrix projected, project(items.vectors.view(), threads));
        items.set_part(part, PartRows::item, std::move(projected));
        return {};
    }
    using GruDecoder::check;
    Result<void> check(const CatalogData& items) const override {
        if (items.vectors.cols() == gru().in() && items.token_offsets.empty() &&
            items.part(part).cols == 3 * gru().hidden())
            return {};
        return detail::other_columns();
    }

    std::size_t piece() const noexcept override { return most; }
    std::size_t work() const noexcept override { return 6 * gru().state_size() * gru().hidden(); }
    std::size_t query_size() const noexcept override { return gru().layer_count() * 3 * gru().hidden(); }
    std::size_t scratch_size() const noexcept override {
        return scratch_bytes<float>(most * gru().hidden()) + scratch_bytes<float>(most * 3 * gru().hidden()) +
               gru().project_scratch_size(most);
    }
    /// The state's part of each layer's gates [layers, 3 * hidden]: the same for every candidate.
    void begin(const ScoreRequest& request, float* query, Scratch& scratch) const noexcept override {
        const std::size_t hidden = gru().hidden();
        const float* state = request.state.hidden.data();
        for (const Gru<>& layer : gru().layers()) {
            layer.project_state({state, 1, hidden}, {query, 1, 3 * hidden}, scratch);
            state += hidden;
            query += 3 * hidden;
        }
    }
    void score(const ScoreRequest& request, const float* query, IndexRange range, float* scores,
               Scratch& scratch) const noexcept override {
        const ScratchFrame frame(scratch);
        const std::size_t hidden = gru().hidden(), rows = range.last - range.first;
        const float* state = request.state.hidden.data();
        const MatrixView<float> next(scratch.take<float>(most * hidden), rows, hidden);
        const MatrixView<float> from_below(scratch.take<float>(most * 3 * hidden), rows, 3 * hidden);
        MatrixView<const float> input = request.items.part(part).middle_rows(range.first, rows);
        for (std::size_t l = 0; l < gru().layer_count(); ++l) {
            if (l > 0) {
                gru().layers()[l].project_input(next, from_below, scratch);
                input = from_below;
            }
            for (std::size_t r = 0; r < rows; ++r)
                gru().layers()[l].update(input.row(r).data(), query + l * 3 * hidden, state + l * hidden,
                                         next.row(r).data());
        }
        out_.forward(next, {scores, rows, 1});
    }

private:
    static constexpr std::size_t most = 64;  // candidates at a time
    static constexpr const char* part = "projected";

    Linear<> out_;
};

RANKLET_NAMESPACE_END
