// The three GRU decoders: they fold events into a user's state and score candidates with it.
//   DotProduct  score = (P h or h) . item + bias                      GRU4Rec's form (Hidasi et al. 2016)
//   NextEvent   score = out . GRU(h, item), the candidate as the next event
//   TextGru     score = out . GRU(h, item's token states), the founding model
// In: a state [layers * hidden] and views of the candidates. Out: one logit a candidate.
// What depends on the user alone is computed once (begin), what depends on an item once a catalog (CandidateView).
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>

#include "ranklet/core/config.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/decoders/rating_input.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/layers/gru.hpp"
#include "ranklet/layers/linear.hpp"
#include "ranklet/layers/load.hpp"

RANKLET_NAMESPACE_BEGIN

/// Views of what a catalog keeps of its n items; each decoder reads its own part.
struct CandidateView {
    MatrixView<const float> outputs;             ///< [n, dim]: DotProduct
    std::span<const float> bias;                 ///< [n] or empty: DotProduct
    MatrixView<const float> projected;           ///< [n, 3 * hidden]: NextEvent; [tokens, 3 * hidden]: TextGru
    std::span<const std::size_t> token_offsets;  ///< [n + 1]: TextGru
};

/// scores[i - range.first] = user [dim] . outputs[i] (+ bias[i]) for the candidates of `range`.
inline void score_dot_products(const float* user, const CandidateView& candidates, IndexRange range,
                               float* scores) noexcept {
    const std::size_t count = range.last - range.first;
    kernels::Ops<float>::dot_rows(candidates.outputs.row(range.first).data(), count, candidates.outputs.stride, user,
                                  candidates.outputs.cols, scores);
    if (!candidates.bias.empty()) kernels::Ops<float>::add(scores, candidates.bias.data() + range.first, scores, count);
}

/// What all three share: the GRU and the way ratings enter it.
class GruDecoder {
public:
    RANKLET_COLD static Result<GruDecoder> load(const GgufFile& file) {
        GruDecoder decoder;
        if (file.has("ranklet.gru.reset")) {
            RANKLET_ASSIGN(const auto reset, file.string("ranklet.gru.reset"));
            if (reset != "after")
                return make_error(ErrorCode::unsupported,
                                  {file.name(), ": ranklet.gru.reset \"", reset, "\" is read in news models alone"});
        }
        RANKLET_ASSIGN(decoder.gru_, load_gru(file));
        RANKLET_ASSIGN(decoder.rating_, RatingInput::load(file, decoder.gru_.in()));
        return decoder;
    }
    const GruStack<>& gru() const noexcept { return gru_; }
    const RatingInput& rating() const noexcept { return rating_; }

    std::size_t advance_scratch_size() const noexcept {
        return scratch_bytes<float>(gru_.in()) + scratch_bytes<float>(3 * gru_.hidden()) + gru_.step_scratch_size(1);
    }
    /// One event: `state` [layers * hidden] goes one step on with `vector` [in] and its rating.
    void advance(std::span<float> state, const float* vector, float rating, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        float* input = scratch.take<float>(gru_.in());
        float* projected = scratch.take<float>(3 * gru_.hidden());
        rating_.apply(vector, rating, input, gru_.in());
        gru_.layers().front().project_input({input, 1, gru_.in()}, {projected, 1, 3 * gru_.hidden()}, scratch);
        gru_.step(&projected, {state.data(), 1, state.size()}, scratch);
    }

private:
    GruStack<> gru_;
    RatingInput rating_;
};

class DotProduct {
public:
    /// `dim`: elements of an item's output vector.
    RANKLET_COLD static Result<DotProduct> load(const GgufFile& file, std::size_t dim) {
        DotProduct scorer;
        RANKLET_ASSIGN(scorer.decoder_, GruDecoder::load(file));
        const std::size_t hidden = scorer.decoder_.gru().hidden();
        if (file.has_tensor("ranklet.user_proj.weight")) {
            RANKLET_ASSIGN(scorer.projection_, load_linear(file, "ranklet.user_proj", hidden, dim));
        } else if (hidden != dim) {
            return make_error(ErrorCode::format,
                              {file.name(), ": item vectors have ", dim, " elements, the user state ", hidden,
                               ", and there is no ranklet.user_proj.weight"});
        }
        scorer.dim_ = dim;
        return scorer;
    }
    const GruDecoder& decoder() const noexcept { return decoder_; }

    /// Candidates to score in one call of score().
    static constexpr std::size_t piece = 4096;
    /// Floats that begin() writes.
    std::size_t shared_size() const noexcept { return dim_; }
    std::size_t begin_scratch_size() const noexcept { return 0; }
    std::size_t score_scratch_size() const noexcept { return 0; }

    /// The user's vector [dim] from the state.
    void begin(std::span<const float> state, float* shared, Scratch&) const noexcept {
        const auto top = decoder_.gru().top(state);
        if (projection_)
            projection_->forward({top.data(), 1, top.size()}, {shared, 1, dim_});
        else
            std::copy(top.begin(), top.end(), shared);
    }
    /// scores[i - range.first] for the candidates of `range`.
    void score(std::span<const float>, const float* shared, const CandidateView& candidates, IndexRange range,
               float* scores, Scratch&) const noexcept {
        score_dot_products(shared, candidates, range, scores);
    }

private:
    GruDecoder decoder_;
    std::optional<Linear<>> projection_;
    std::size_t dim_ = 0;
};

class NextEvent {
public:
    RANKLET_COLD static Result<NextEvent> load(const GgufFile& file) {
        NextEvent scorer;
        RANKLET_ASSIGN(scorer.decoder_, GruDecoder::load(file));
        RANKLET_ASSIGN(scorer.out_, load_linear(file, "ranklet.out", scorer.decoder_.gru().hidden(), 1));
        return scorer;
    }
    const GruDecoder& decoder() const noexcept { return decoder_; }

    static constexpr std::size_t piece = 64;
    std::size_t shared_size() const noexcept { return decoder_.gru().layer_count() * 3 * decoder_.gru().hidden(); }
    std::size_t begin_scratch_size() const noexcept { return decoder_.gru().project_scratch_size(1); }
    std::size_t score_scratch_size() const noexcept {
        return scratch_bytes<float>(piece * decoder_.gru().hidden()) +
               scratch_bytes<float>(piece * 3 * decoder_.gru().hidden()) + decoder_.gru().project_scratch_size(piece);
    }

    /// The state's part of each layer's gates [layers, 3 * hidden]: the same for every candidate.
    void begin(std::span<const float> state, float* shared, Scratch& scratch) const noexcept {
        const std::size_t hidden = decoder_.gru().hidden();
        for (const Gru<>& layer : decoder_.gru().layers()) {
            layer.project_state({state.data(), 1, hidden}, {shared, 1, 3 * hidden}, scratch);
            state = state.subspan(hidden);
            shared += 3 * hidden;
        }
    }
    void score(std::span<const float> state, const float* shared, const CandidateView& candidates, IndexRange range,
               float* scores, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        const GruStack<>& gru = decoder_.gru();
        const std::size_t hidden = gru.hidden(), rows = range.last - range.first;
        const MatrixView<float> next(scratch.take<float>(piece * hidden), rows, hidden);
        const MatrixView<float> from_below(scratch.take<float>(piece * 3 * hidden), rows, 3 * hidden);
        MatrixView<const float> input = candidates.projected.middle_rows(range.first, rows);
        for (std::size_t l = 0; l < gru.layer_count(); ++l) {
            if (l > 0) {
                gru.layers()[l].project_input(next, from_below, scratch);
                input = from_below;
            }
            for (std::size_t r = 0; r < rows; ++r)
                kernels::Ops<float>::gru_gates(input.row(r).data(), shared + l * 3 * hidden, state.data() + l * hidden,
                                               next.row(r).data(), hidden);
        }
        out_.forward(next, {scores, rows, 1});
    }

private:
    GruDecoder decoder_;
    Linear<> out_;
};

class TextGru {
public:
    RANKLET_COLD static Result<TextGru> load(const GgufFile& file) {
        TextGru scorer;
        RANKLET_ASSIGN(scorer.decoder_, GruDecoder::load(file));
        if (scorer.decoder_.rating().used())
            return make_error(ErrorCode::unsupported,
                              {file.name(), ": ranklet.rating.mode has no meaning with text_gru"});
        RANKLET_ASSIGN(scorer.out_, load_linear(file, "ranklet.out", scorer.decoder_.gru().hidden(), 1));
        return scorer;
    }
    const GruDecoder& decoder() const noexcept { return decoder_; }

    static constexpr std::size_t piece = 16;
    std::size_t shared_size() const noexcept { return 0; }
    std::size_t begin_scratch_size() const noexcept { return 0; }
    std::size_t score_scratch_size() const noexcept {
        return scratch_bytes<float>(piece * decoder_.gru().state_size()) + scratch_bytes<float>(piece) +
               decoder_.gru().step_scratch_size(piece);
    }
    void begin(std::span<const float>, float*, Scratch&) const noexcept {}

    /// The items of a piece step together, the longest first, so that those still running are always the first rows.
    void score(std::span<const float> state, const float*, const CandidateView& candidates, IndexRange range,
               float* scores, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        const GruStack<>& gru = decoder_.gru();
        const std::size_t rows = range.last - range.first;
        const MatrixView<float> states(scratch.take<float>(piece * gru.state_size()), rows, gru.state_size());
        float* results = scratch.take<float>(piece);
        const auto length = [&](std::size_t item) {
            return candidates.token_offsets[item + 1] - candidates.token_offsets[item];
        };
        std::array<std::size_t, piece> order;
        for (std::size_t r = 0; r < rows; ++r) {
            order[r] = range.first + r;
            std::copy(state.begin(), state.end(), states.row(r).begin());
        }
        std::sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(rows), [&](std::size_t a, std::size_t b) {
            return length(a) > length(b) || (length(a) == length(b) && a < b);
        });
        std::size_t running = rows;
        for (std::size_t t = 0;; ++t) {
            while (running > 0 && length(order[running - 1]) <= t) --running;
            if (running == 0) break;
            std::array<const float*, piece> inputs;
            for (std::size_t r = 0; r < running; ++r)
                inputs[r] = candidates.projected.row(candidates.token_offsets[order[r]] + t).data();
            gru.step(inputs.data(), states.middle_rows(0, running), scratch);
        }
        const std::size_t hidden = gru.hidden();
        out_.forward({states.data + states.cols - hidden, rows, hidden, states.stride}, {results, rows, 1});
        for (std::size_t r = 0; r < rows; ++r) scores[order[r] - range.first] = results[r];
    }

    /// Scratch bytes of run().
    std::size_t run_scratch_size() const noexcept { return decoder_.gru().step_scratch_size(1); }
    /// `state` goes on over one text's tokens, projected [length, 3 * hidden]; scores [length], if wanted, become `out`
    /// at each position.
    void run(std::span<float> state, MatrixView<const float> projected, float* scores,
             Scratch& scratch) const noexcept {
        const GruStack<>& gru = decoder_.gru();
        for (std::size_t t = 0; t < projected.rows; ++t) {
            const float* input = projected.row(t).data();
            gru.step(&input, {state.data(), 1, state.size()}, scratch);
            if (scores != nullptr) out_.forward({gru.top(state).data(), 1, gru.hidden()}, {scores + t, 1, 1});
        }
    }

private:
    GruDecoder decoder_;
    Linear<> out_;
};

RANKLET_NAMESPACE_END
