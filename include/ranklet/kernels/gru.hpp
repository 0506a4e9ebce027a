// The element-wise part of a gated recurrent unit's step (Cho et al. 2014, in PyTorch's form):
//   r = sigmoid(x_r + h_r), z = sigmoid(x_z + h_z), n = tanh(x_n + r * h_n), h' = n + z * (h - n)
// In: the input's and the state's projections [3 * hidden] (gates r, z, n; biases added), the state; what makes the
// gates r and z, where it is not the logistic sigmoid.
// Out: the new state.
#pragma once

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/bundle.hpp"
#include "ranklet/kernels/math.hpp"

RANKLET_NAMESPACE_BEGIN

/// What makes the gates r and z of a GRU: the logistic sigmoid, or what Keras calls hard_sigmoid: clip(x / 5 + 1/2, 0, 1)
/// up to version 2 and in tf.keras, clip(x / 6 + 1/2, 0, 1) from version 3 on and in PyTorch.
enum class GateActivation { sigmoid, hard_sigmoid_keras2, hard_sigmoid_keras3 };

namespace kernels {

/// clip(slope * x + 1/2, 0, 1); NaN stays NaN.
template <class V>
inline RANKLET_INLINE V hard_sigmoid(float slope, const V& x) noexcept {
    const V zero(0.0f), one(1.0f), y = mul_add(V(slope), x, V(0.5f));
    return select(y < zero, zero, select(y > one, one, y));
}

/// body(f) with the function that `gates` names.
template <class Body>
inline RANKLET_INLINE void with_gates(GateActivation gates, const Body& body) noexcept {
    if (gates == GateActivation::sigmoid)
        return body([](const auto& v) RANKLET_INLINE { return kernels::sigmoid(v); });
    const float slope = gates == GateActivation::hard_sigmoid_keras2 ? 1.0f / 5.0f : 1.0f / 6.0f;
    body([slope](const auto& v) RANKLET_INLINE { return kernels::hard_sigmoid(slope, v); });
}

/// `next` may be `state`.
template <class Arch>
inline void gru_gates(const float* from_input, const float* from_state, const float* state, float* next,
                      std::size_t hidden, GateActivation gates = GateActivation::sigmoid) noexcept {
    with_gates(gates, [&](const auto& gate) {
        for_each_bundle<Arch>(hidden, [&](const auto& at) RANKLET_INLINE {
            const auto reset = gate(at.load(from_input) + at.load(from_state));
            const auto update = gate(at.load(from_input + hidden) + at.load(from_state + hidden));
            const auto candidate =
                kernels::tanh(mul_add(reset, at.load(from_state + 2 * hidden), at.load(from_input + 2 * hidden)));
            at.store(mul_add(update, at.load(state) - candidate, candidate), next);
        });
    });
}

/// The form whose reset gate acts on the state before its product (Cho et al. 2014 as printed, Keras's
/// reset_after=False): out = sigmoid(x_r + h_r) * h. `from_input` and `from_state` begin with the gate r.
template <class Arch>
inline void gru_reset(const float* from_input, const float* from_state, const float* state, float* out,
                      std::size_t hidden, GateActivation gates = GateActivation::sigmoid) noexcept {
    with_gates(gates, [&](const auto& gate) {
        for_each_bundle<Arch>(hidden, [&](const auto& at) RANKLET_INLINE {
            at.store(gate(at.load(from_input) + at.load(from_state)) * at.load(state), out);
        });
    });
}

/// The rest of that form's step: z = sigmoid(x_z + h_z), n = tanh(x_n + c), h' = n + z * (h - n). `from_input`
/// [3 * hidden], `from_state` [2 * hidden] (gates r, z), `candidate` [hidden] = W_hn (r * h). `next` may be `state`.
template <class Arch>
inline void gru_update(const float* from_input, const float* from_state, const float* candidate, const float* state,
                       float* next, std::size_t hidden, GateActivation gates = GateActivation::sigmoid) noexcept {
    with_gates(gates, [&](const auto& gate) {
        for_each_bundle<Arch>(hidden, [&](const auto& at) RANKLET_INLINE {
            const auto update = gate(at.load(from_input + hidden) + at.load(from_state + hidden));
            const auto fresh = kernels::tanh(at.load(from_input + 2 * hidden) + at.load(candidate));
            at.store(mul_add(update, at.load(state) - fresh, fresh), next);
        });
    });
}

}  // namespace kernels
RANKLET_NAMESPACE_END
