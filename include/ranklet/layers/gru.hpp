// Gru: one layer of a gated recurrent unit, torch.nn.GRU's form (the hidden bias inside the reset gate's product):
//   r = s(W_ir x + b_ir + W_hr h + b_hr), z likewise
//   n = tanh(W_in x + b_in + r * (W_hn h + b_hn)), h' = (1 - z) n + z h
// In: x [steps, in], a state [hidden]. Out: states [steps, hidden]. Gates are stacked in the order r, z, n; s is the
// logistic sigmoid, unless set_gates() says otherwise.
// The weights are T or, for f32, bf16 or 8-bit (see Linear): where that rounds inputs, each event's input and each
// step's state are rounded by themselves, so a step's bits do not depend on what is computed beside it; gates and
// states stay f32.
#pragma once

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/linear.hpp"

RANKLET_NAMESPACE_BEGIN

template <class T = float, std::ptrdiff_t In = dynamic, std::ptrdiff_t Hidden = dynamic>
class Gru {
    static constexpr std::ptrdiff_t gates = detail::size_product(3, Hidden);

public:
    RANKLET_LAYER(Gru);
    /// weight_ih [3 * hidden, in], weight_hh [3 * hidden, hidden], biases [3 * hidden] or empty, each by itself.
    Result<void> assign(MatrixView<const T> weight_ih, MatrixView<const T> weight_hh, std::span<const T> bias_ih = {},
                        std::span<const T> bias_hh = {}) {
        if (weight_hh.rows != 3 * weight_hh.cols || weight_ih.rows != weight_hh.rows)
            return make_error(ErrorCode::invalid_argument,
                              {"a GRU needs weights [3 * hidden, in] and [3 * hidden, hidden], got [", weight_ih.rows,
                               ", ", weight_ih.cols, "] and [", weight_hh.rows, ", ", weight_hh.cols, "]"});
        RANKLET_TRY(from_input_.assign(weight_ih, bias_ih));
        return from_state_.assign(weight_hh, bias_hh);
    }

    /// From the two linear maps, [in -> 3 * hidden] and [hidden -> 3 * hidden], whatever the kind of their weights.
    Result<void> assign(Linear<T, In, gates> from_input, Linear<T, Hidden, gates> from_state) {
        if (from_state.in() == 0 || from_state.out() != 3 * from_state.in() || from_input.out() != from_state.out())
            return make_error(ErrorCode::invalid_argument, {"the GRU's two linear maps do not fit together"});
        from_input_ = std::move(from_input);
        from_state_ = std::move(from_state);
        return {};
    }

    /// What makes the gates r and z: the logistic sigmoid until it is called.
    void set_gates(GateActivation activation) noexcept { activation_ = activation; }

    std::size_t in() const noexcept { return from_input_.in(); }
    std::size_t hidden() const noexcept { return from_state_.in(); }

    /// Scratch bytes of project_input() and project_state() over `rows` rows: 0 unless they round their inputs.
    std::size_t input_scratch_size(std::size_t rows) const noexcept { return from_input_.scratch_size(rows); }
    std::size_t state_scratch_size(std::size_t rows) const noexcept { return from_state_.scratch_size(rows); }
    /// The input's part of the gates, all steps in one product: out [steps, 3 * hidden] = x W_ih^T + b_ih.
    void project_input(MatrixView<const T> x, MatrixView<T> out, Scratch& scratch, Threads threads = 1) const noexcept {
        from_input_.forward(x, out, scratch, Activation::identity, threads);
    }
    /// The state's part of the gates: out [rows, 3 * hidden] = h W_hh^T + b_hh.
    void project_state(MatrixView<const T> h, MatrixView<T> out, Scratch& scratch, Threads threads = 1) const noexcept {
        from_state_.forward(h, out, scratch, Activation::identity, threads);
    }

    /// The element-wise rest of a step: `from_input` and `from_state` [3 * hidden] as the two projections give them.
    /// `next` may be `state`.
    void update(const T* from_input, const T* from_state, const T* state, T* next) const noexcept {
        kernels::Ops<T>::gru_gates(from_input, from_state, state, next, hidden(), activation_);
    }

    /// Scratch bytes of step().
    std::size_t step_scratch_size() const noexcept { return scratch_bytes<T>(3 * hidden()) + state_scratch_size(1); }
    /// One step: `projected` [3 * hidden] from project_input; `next` may be `state`.
    void step(const T* projected, const T* state, T* next, Scratch& scratch, Threads threads = 1) const noexcept {
        const ScratchFrame frame(scratch);
        T* from_state = scratch.take<T>(3 * hidden());
        project_state({state, 1, hidden()}, {from_state, 1, 3 * hidden()}, scratch, threads);
        update(projected, from_state, state, next);
    }

    /// Scratch bytes of forward() over `steps` steps.
    std::size_t scratch_size(std::size_t steps) const noexcept {
        return scratch_bytes<T>(steps * 3 * hidden()) + std::max(input_scratch_size(steps), step_scratch_size());
    }
    /// states[i] follows x[i]; `initial` [hidden] comes before the first. Each product is shared among `threads`.
    void forward(MatrixView<const T> x, const T* initial, MatrixView<T> states, Scratch& scratch,
                 Threads threads = 1) const noexcept {
        const ScratchFrame frame(scratch);
        const MatrixView<T> projected(scratch.take<T>(x.rows * 3 * hidden()), x.rows, 3 * hidden());
        run_together(detail::worth(threads, x.rows * gates_work()), [&](Threads together) {
            project_input(x, projected, scratch, together);
            const T* state = initial;
            for (std::size_t i = 0; i < x.rows; ++i) {
                step(projected.row(i).data(), state, states.row(i).data(), scratch, together);
                state = states.row(i).data();
            }
        });
    }

private:
    // Of one step, in products (detail::piece_work): weights that are read for one row cost five.
    std::size_t gates_work() const noexcept { return 3 * hidden() * (in() + 5 * hidden()); }

    Linear<T, In, gates> from_input_;
    Linear<T, Hidden, gates> from_state_;
    GateActivation activation_ = GateActivation::sigmoid;
};

/// Several Gru layers, each fed with the states of the one below, as torch.nn.GRU(num_layers=...).
/// A state is [layers * hidden], the bottom layer first.
template <class T = float>
class GruStack {
public:
    RANKLET_LAYER(GruStack);
    /// Error when there is no layer or the sizes do not chain.
    Result<void> assign(std::vector<Gru<T>> layers) {
        if (layers.empty()) return make_error(ErrorCode::invalid_argument, {"a GRU needs at least one layer"});
        for (std::size_t l = 1; l < layers.size(); ++l)
            if (layers[l].in() != layers[0].hidden() || layers[l].hidden() != layers[0].hidden())
                return make_error(ErrorCode::invalid_argument, {"GRU layer ", l, " does not fit on the layer below"});
        layers_ = std::move(layers);
        return {};
    }

    std::size_t in() const noexcept { return layers_.front().in(); }
    std::size_t hidden() const noexcept { return layers_.front().hidden(); }
    std::size_t layer_count() const noexcept { return layers_.size(); }
    std::size_t state_size() const noexcept { return layers_.size() * hidden(); }
    std::span<const Gru<T>> layers() const noexcept { return layers_; }

    /// The top layer's part of a state.
    std::span<const T> top(std::span<const T> state) const noexcept { return state.last(hidden()); }

    std::size_t scratch_size(std::size_t steps) const noexcept {
        std::size_t largest = 0;
        for (const auto& layer : layers_) largest = std::max(largest, layer.scratch_size(steps));
        return largest + scratch_bytes<T>(steps * hidden());
    }
    /// Runs over x [steps, in] (steps >= 1) from `state`, which becomes the state after the last step.
    /// outputs [steps, hidden], the top layer's states, must not overlap x. Each product is shared among `threads`.
    void forward(MatrixView<const T> x, std::span<T> state, MatrixView<T> outputs, Scratch& scratch,
                 Threads threads = 1) const noexcept {
        const ScratchFrame frame(scratch);
        const MatrixView<T> spare(scratch.take<T>(x.rows * hidden()), x.rows, hidden());
        MatrixView<const T> input = x;
        for (std::size_t l = 0; l < layers_.size(); ++l) {
            // Layers write to the two places in turn so that the top layer's end in `outputs`.
            const MatrixView<T> target = (layers_.size() - l) % 2 == 1 ? outputs : spare;
            T* layer_state = state.data() + l * hidden();
            layers_[l].forward(input, layer_state, target, scratch, threads);
            const std::span<T> last = target.row(x.rows - 1);
            std::copy(last.begin(), last.end(), layer_state);
            input = target;
        }
    }

    /// Scratch bytes that any layer's project_input() or project_state() over `rows` rows takes.
    std::size_t project_scratch_size(std::size_t rows) const noexcept {
        std::size_t largest = 0;
        for (const auto& layer : layers_)
            largest = std::max({largest, layer.input_scratch_size(rows), layer.state_scratch_size(rows)});
        return largest;
    }
    /// Scratch bytes of step().
    std::size_t step_scratch_size(std::size_t rows) const noexcept {
        return 2 * scratch_bytes<T>(rows * 3 * hidden()) + project_scratch_size(rows);
    }
    /// One step of `states.rows` independent sequences: states [rows, layers * hidden] in place, `projected[r]`
    /// [3 * hidden] the bottom layer's input part for row r (Gru::project_input).
    /// Each product is shared among `threads`.
    [[gnu::noinline]] void step(const T* const* projected, MatrixView<T> states, Scratch& scratch,
                                Threads threads = 1) const noexcept {
        const ScratchFrame frame(scratch);
        const std::size_t rows = states.rows, width = 3 * hidden();
        const MatrixView<T> from_state(scratch.take<T>(rows * width), rows, width);
        const MatrixView<T> from_below(scratch.take<T>(rows * width), rows, width);
        for (std::size_t l = 0; l < layers_.size(); ++l) {
            const MatrixView<T> layer_states(states.data + l * hidden(), rows, hidden(), states.stride);
            layers_[l].project_state(layer_states, from_state, scratch, threads);
            for (std::size_t r = 0; r < rows; ++r) {
                T* state = layer_states.row(r).data();
                layers_[l].update(l == 0 ? projected[r] : from_below.row(r).data(), from_state.row(r).data(), state,
                                  state);
            }
            if (l + 1 < layers_.size()) layers_[l + 1].project_input(layer_states, from_below, scratch, threads);
        }
    }

private:
    std::vector<Gru<T>> layers_;
};

RANKLET_NAMESPACE_END
