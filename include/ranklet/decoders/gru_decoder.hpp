// GruDecoder: what the decoders of a GRU share: the recurrence over events, the way ratings enter it, the GRU's input
// part of a catalog's rows.
// In: an event's vector, a state [layers * hidden]. Out: the state one step on.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/function_view.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/decoders/decoder.hpp"
#include "ranklet/decoders/rating_input.hpp"
#include "ranklet/layers/gru.hpp"
#include "ranklet/model_file/layers.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN

class GruDecoder : public Decoder {
public:
    const GruStack<>& gru() const noexcept { return gru_; }

    void begin_user(UserState& state) const override {
        state.hidden.assign(gru_.state_size(), 0.0f);
        state.memory.clear();
        state.memory_width = 0;
    }
    RANKLET_COLD Result<void> check(const UserState& state) const override {
        RANKLET_TRY(detail::check_state_size(state, gru_.state_size(), 0, 0));
        return detail::check_gru_state(state.hidden, {});
    }
    using Decoder::check;

    /// One GRU step with the item's vector.
    Result<void> observe(UserState& state, const CatalogData& items, std::size_t index, float rating,
                         Scratch& scratch) const override {
        const std::size_t in = gru_.in(), width = 3 * gru_.hidden();
        return step(state, scratch_bytes<float>(in) + scratch_bytes<float>(width) + gru_.step_scratch_size(1), scratch,
                    [&](std::span<float> hidden) {
                        float* input = scratch.take<float>(in);
                        float* projected = scratch.take<float>(width);
                        rating_.apply(items.vectors.row(index).data(), rating, input, in);
                        gru_.layers().front().project_input({input, 1, in}, {projected, 1, width}, scratch);
                        gru_.step(&projected, {hidden.data(), 1, hidden.size()}, scratch);
                    });
    }

protected:
    const detail::RatingInput& rating() const noexcept { return rating_; }

    /// `fed`: elements of what the encoder gives for an event.
    RANKLET_COLD Result<void> read_gru_of(const ModelReader& reader, std::size_t fed) {
        const ModelReader keys = reader.scope("ranklet.gru");
        RANKLET_ASSIGN(const GruForm form, read_gru_form(keys));
        if (form.reset_before)
            return keys.wrong("reset", {" \"before\" is read in news models alone"}, ErrorCode::unsupported);
        RANKLET_ASSIGN(gru_, read_gru(keys, form.gates));
        RANKLET_ASSIGN(rating_, detail::RatingInput::read(reader, gru_.in()));
        if (gru_.in() == fed) return {};
        return keys.wrong("input_size", {" is ", gru_.in(), ", the encoder gives ", fed});
    }

    /// function(hidden) changes the state's numbers in memory of `scratch`, of which it has `bytes`. A NaN in the state
    /// would stay there and empty every later ranking: such a step is taken back.
    static Result<void> step(UserState& state, std::size_t bytes, Scratch& scratch,
                             FunctionView<void(std::span<float>)> function) {
        auto& hidden = state.hidden;
        RANKLET_TRY(scratch.reserve(bytes + scratch_bytes<float>(hidden.size())));
        const ScratchFrame frame(scratch);
        float* before = scratch.take<float>(hidden.size());
        std::copy(hidden.begin(), hidden.end(), before);
        function(std::span<float>(hidden));
        if (std::all_of(hidden.begin(), hidden.end(), [](float h) { return std::isfinite(h); })) return {};
        std::copy_n(before, hidden.size(), hidden.begin());
        return detail::event_not_finite();
    }

    /// The bottom layer's input part [rows, 3 * hidden] of each row.
    Result<Matrix> project(MatrixView<const float> rows, Threads threads) const {
        const Gru<>& bottom = gru_.layers().front();
        RANKLET_ASSIGN(Matrix projected, Matrix::zeroed(rows.rows, 3 * bottom.hidden()));
        constexpr std::size_t piece = 256;
        const std::size_t pieces = (rows.rows + piece - 1) / piece;
        threads = detail::worth(threads, rows.rows * rows.cols * projected.cols());
        std::vector<Scratch> scratch(std::clamp<std::size_t>(pieces, 1, threads.count));
        for (Scratch& each : scratch) RANKLET_TRY(each.reserve(bottom.input_scratch_size(std::min(piece, rows.rows))));
        parallel_for(pieces, threads, [&](std::size_t p, std::size_t thread) {
            const std::size_t first = p * piece, count = std::min(piece, rows.rows - first);
            bottom.project_input(rows.middle_rows(first, count), projected.view().middle_rows(first, count),
                                 scratch[thread]);
        });
        return projected;
    }

private:
    GruStack<> gru_;
    detail::RatingInput rating_;
};

RANKLET_NAMESPACE_END
