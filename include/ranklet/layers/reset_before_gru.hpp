// ResetBeforeGru: a GRU whose reset gate acts on the state before its product, Keras's GRU(reset_after=False):
//   r = s(W_r x + b_r + U_r h), z likewise, n = tanh(W_n x + b_n + U_n (r * h)), h' = (1 - z) n + z h
// torch.nn.GRU's form (reset_after=True) is Gru. In: x [steps, in], a state [hidden]. Out: the state after them.
// Gates are stacked in the order r, z, n, as Gru's (Keras has z, r, n: the converter exchanges them); s is the logistic
// sigmoid, unless set_gates() says otherwise.
#pragma once

#include <span>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/linear.hpp"

RANKLET_NAMESPACE_BEGIN

template <class T = float>
class ResetBeforeGru {
public:
    RANKLET_LAYER(ResetBeforeGru);
    /// weight_ih [3 * hidden, in], weight_hh [3 * hidden, hidden], bias [3 * hidden] or empty.
    Result<void> assign(MatrixView<const T> weight_ih, MatrixView<const T> weight_hh, std::span<const T> bias = {}) {
        const std::size_t hidden = weight_hh.cols;
        if (hidden == 0 || weight_hh.rows != 3 * hidden || weight_ih.rows != weight_hh.rows)
            return make_error(ErrorCode::invalid_argument,
                              {"a GRU needs weights [3 * hidden, in] and [3 * hidden, hidden], got [", weight_ih.rows,
                               ", ", weight_ih.cols, "] and [", weight_hh.rows, ", ", weight_hh.cols, "]"});
        RANKLET_TRY(from_input_.assign(weight_ih, bias));
        RANKLET_TRY(gates_.assign(weight_hh.middle_rows(0, 2 * hidden)));
        return candidate_.assign(weight_hh.middle_rows(2 * hidden, hidden));
    }

    /// What makes the gates r and z: the logistic sigmoid until it is called.
    void set_gates(GateActivation activation) noexcept { activation_ = activation; }

    std::size_t in() const noexcept { return from_input_.in(); }
    std::size_t hidden() const noexcept { return candidate_.in(); }

    std::size_t step_scratch_size() const noexcept {
        return scratch_bytes<T>(3 * hidden()) + scratch_bytes<T>(2 * hidden()) + 2 * scratch_bytes<T>(hidden());
    }
    /// One step with x [in]; `next` may be `state`.
    void step(const T* x, const T* state, T* next, Scratch& scratch) const noexcept {
        using Ops = kernels::Ops<T>;
        const ScratchFrame frame(scratch);
        const std::size_t size = hidden();
        T* from_input = scratch.take<T>(3 * size);
        T* from_state = scratch.take<T>(2 * size);
        T* kept = scratch.take<T>(size);
        T* candidate = scratch.take<T>(size);
        from_input_.forward({x, 1, in()}, {from_input, 1, 3 * size});
        gates_.forward({state, 1, size}, {from_state, 1, 2 * size});
        Ops::gru_reset(from_input, from_state, state, kept, size, activation_);
        candidate_.forward({kept, 1, size}, {candidate, 1, size});
        Ops::gru_update(from_input, from_state, candidate, state, next, size, activation_);
    }

private:
    Linear<T> from_input_, gates_, candidate_;
    GateActivation activation_ = GateActivation::sigmoid;
};

RANKLET_NAMESPACE_END
