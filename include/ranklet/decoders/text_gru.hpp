// TextGru: score = out . GRU(h, item's token states), the founding model: the GRU goes on over a candidate's tokens.
// In: token states of the events' and the candidates' texts. Out: one logit a candidate.
// A catalog's parts: "projected" [tokens, 3 * hidden], the GRU's input part of each token; "initial_scores" [n, 1], each
// item's score from the zero state.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/sort.hpp"
#include "ranklet/decoders/gru_decoder.hpp"
#include "ranklet/layers/linear.hpp"

RANKLET_NAMESPACE_BEGIN

class TextGru final : public GruDecoder {
public:
    static constexpr std::string_view type_name = "text_gru";  ///< `ranklet.recommender.scoring`
    RANKLET_COLD static Result<TextGru> read(const ModelReader& reader, const ItemEncoder& encoder) {
        if (encoder.token_dim() == 0)
            return reader.wrong("ranklet.recommender.scoring", {": text_gru needs an encoder's token states"});
        TextGru decoder;
        RANKLET_TRY(decoder.read_gru_of(reader, encoder.token_dim()));
        if (decoder.rating().used())
            return reader.wrong("ranklet.rating.mode", {" has no meaning with text_gru"}, ErrorCode::unsupported);
        RANKLET_ASSIGN(decoder.out_, read_linear(reader, "ranklet.out", decoder.gru().hidden(), 1));
        return decoder;
    }

    KindId kind() const noexcept override { return kind_id<TextGru>; }
    ItemForm form() const noexcept override { return ItemForm::token_states; }

    Result<void> prepare(CatalogData& items, ItemUse use, Threads threads) const override {
        if (const CatalogPart* states = items.find_part("token_states")) {
            RANKLET_ASSIGN(Matrix projected, project(std::as_const(states->values).view(), threads));
            std::erase_if(items.parts, [](const CatalogPart& part) { return part.name == "token_states"; });
            items.set_part(projected_part, PartRows::token, std::move(projected));
        }
        if (use == ItemUse::event || items.find_part(scores_part) != nullptr || items.ids.empty()) return {};
        RANKLET_TRY(check(items));
        UserState zero;
        begin_user(zero);
        const std::size_t n = items.ids.size(), pieces = (n + most - 1) / most;
        RANKLET_ASSIGN(Matrix scores, Matrix::zeroed(n, 1));
        threads = detail::worth(threads, n * work());
        std::vector<Scratch> scratch(std::clamp<std::size_t>(pieces, 1, threads.count));
        for (Scratch& each : scratch) RANKLET_TRY(each.reserve(scratch_size()));
        parallel_for(pieces, threads, [&](std::size_t p, std::size_t thread) {
            const IndexRange range{p * most, std::min(n, (p + 1) * most)};
            run_candidates(zero.hidden.data(), items, range, scores.view().data + range.first, scratch[thread]);
        });
        items.set_part(scores_part, PartRows::item, std::move(scores));
        return {};
    }
    using GruDecoder::check;
    Result<void> check(const CatalogData& items) const override {
        const MatrixView<const float> projected = items.part(projected_part);
        const bool none = projected.rows == 0;  // no item has a token: a file has no tensor then
        if ((none || projected.cols == 3 * gru().hidden()) && !items.token_offsets.empty() &&
            items.part(scores_part).cols <= 1)
            return {};
        return detail::other_columns();
    }

    /// The GRU goes on over the item's tokens. A rating is remembered, not computed with.
    Result<void> observe(UserState& state, const CatalogData& items, std::size_t index, float,
                         Scratch& scratch) const override {
        const std::size_t first = items.token_offsets[index], last = items.token_offsets[index + 1];
        return step(state, gru().step_scratch_size(1), scratch, [&](std::span<float> hidden) {
            if (first < last)
                run(hidden, items.part(projected_part).middle_rows(first, last - first), nullptr, scratch);
        });
    }

    std::size_t piece() const noexcept override { return most; }
    std::size_t work() const noexcept override {
        return 8 * 6 * gru().state_size() * gru().hidden();
    }  // of eight tokens
    /// Whether the state is that of a user without events, then the state.
    std::size_t query_size() const noexcept override { return 1 + gru().state_size(); }
    std::size_t scratch_size() const noexcept override {
        return scratch_bytes<float>(most * gru().state_size()) + scratch_bytes<float>(most) +
               gru().step_scratch_size(most);
    }
    void begin(const ScoreRequest& request, float* query, Scratch&) const noexcept override {
        const auto& hidden = request.state.hidden;
        const bool zero = request.initial_state == InitialState::zero ||
                          std::all_of(hidden.begin(), hidden.end(), [](float h) { return h == 0.0f; });
        query[0] = zero ? 1.0f : 0.0f;
        if (zero)
            std::fill_n(query + 1, gru().state_size(), 0.0f);
        else
            std::copy(hidden.begin(), hidden.end(), query + 1);
    }
    void score(const ScoreRequest& request, const float* query, IndexRange range, float* scores,
               Scratch& scratch) const noexcept override {
        // A catalog that the caller put together may lack the scores from the zero state.
        const MatrixView<const float> known = request.items.part(scores_part);
        if (query[0] != 0.0f && known.rows > 0)
            std::copy_n(known.data + range.first, range.last - range.first, scores);
        else
            run_candidates(query + 1, request.items, range, scores, scratch);
    }

    /// The score after each token of a text [length], from the user's state. `encoder`: the model's.
    /// Errors as ItemEncoder::encode_items.
    Result<std::vector<float>> position_scores(const ItemEncoder& encoder, const UserState& state,
                                               std::string_view text,
                                               const BatchOptions& options = {}) const RANKLET_MEMORY_TRY {
        RANKLET_TRY(check(state));
        const Item item{{}, text};
        auto encoded = detail::encode_checked(encoder, std::span(&item, 1), ItemForm::token_states, options);
        if (!encoded.ok()) return about_input(encoded.error(), 0, {"text 0"});
        RANKLET_ASSIGN(const Matrix projected, project(std::as_const(encoded->rows).view(), options.threads));
        std::vector<float> hidden = state.hidden, result(projected.rows());
        Scratch scratch;
        RANKLET_TRY(scratch.reserve(gru().step_scratch_size(1)));
        run(hidden, projected.view(), result.data(), scratch);
        return result;
    }
    RANKLET_MEMORY_CATCH

private:
    static constexpr std::size_t most = 16;  // candidates at a time
    static constexpr const char* projected_part = "projected";
    static constexpr const char* scores_part = "initial_scores";

    // `state` goes on over one text's tokens, projected [length, 3 * hidden]; scores [length], if wanted, become `out`
    // at each position.
    void run(std::span<float> state, MatrixView<const float> projected, float* scores,
             Scratch& scratch) const noexcept {
        for (std::size_t t = 0; t < projected.rows; ++t) {
            const float* input = projected.row(t).data();
            gru().step(&input, {state.data(), 1, state.size()}, scratch);
            if (scores != nullptr) out_.forward({gru().top(state).data(), 1, gru().hidden()}, {scores + t, 1, 1});
        }
    }

    // The items step together, the longest first, so that those still running are always the first rows.
    void run_candidates(const float* state, const CatalogData& items, IndexRange range, float* scores,
                        Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        const std::size_t rows = range.last - range.first;
        const MatrixView<const float> projected = items.part(projected_part);
        const MatrixView<float> states(scratch.take<float>(most * gru().state_size()), rows, gru().state_size());
        float* results = scratch.take<float>(most);
        const auto length = [&](std::size_t item) { return items.token_offsets[item + 1] - items.token_offsets[item]; };
        std::array<std::size_t, most> order, spare;
        for (std::size_t r = 0; r < rows; ++r) {
            order[r] = range.first + r;
            std::copy_n(state, gru().state_size(), states.row(r).begin());
        }
        detail::sort_indices(std::span(order).first(rows), spare,
                             [&](std::size_t a, std::size_t b) { return length(a) > length(b); });
        std::size_t running = rows;
        for (std::size_t t = 0;; ++t) {
            while (running > 0 && length(order[running - 1]) <= t) --running;
            if (running == 0) break;
            std::array<const float*, most> inputs;
            for (std::size_t r = 0; r < running; ++r)
                inputs[r] = projected.row(items.token_offsets[order[r]] + t).data();
            gru().step(inputs.data(), states.middle_rows(0, running), scratch);
        }
        const std::size_t hidden = gru().hidden();
        out_.forward({states.data + states.cols - hidden, rows, hidden, states.stride}, {results, rows, 1});
        for (std::size_t r = 0; r < rows; ++r) scores[order[r] - range.first] = results[r];
    }

    Linear<> out_;
};

RANKLET_NAMESPACE_END
