// The element-wise part of a gated recurrent unit's step (Cho et al. 2014, in PyTorch's form):
//   r = sigmoid(x_r + h_r), z = sigmoid(x_z + h_z), n = tanh(x_n + r * h_n), h' = n + z * (h - n)
// In: the input's and the state's projections [3 * hidden] (gates r, z, n; biases added), the state. Out: the new
// state.
#pragma once

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/math.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// `next` may be `state`.
template <class Arch>
inline void gru_gates(const float* from_input, const float* from_state, const float* state, float* next,
                      std::size_t hidden) noexcept {
    using L = Lanes<Arch>;
    const auto gate = [](auto x, auto h) __attribute__((always_inline)) { return kernels::sigmoid(x + h); };
    for_each_lane_block(
        hidden, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
            const auto load = [&](const float* x) __attribute__((always_inline)) {
                return load_block<Arch>(x + i, count, 0.0f);
            };
            const L reset = L::map(load(from_input), load(from_state), gate);
            const L update = L::map(load(from_input + hidden), load(from_state + hidden), gate);
            const L candidate = L::map(load(from_input + 2 * hidden), load(from_state + 2 * hidden), reset,
                                       [](auto x, auto h, auto r) { return kernels::tanh(fma<Arch>(r, h, x)); });
            const L result =
                L::map(candidate, update, load(state), [](auto n, auto z, auto h) { return fma<Arch>(z, h - n, n); });
            store_block<Arch>(result, next + i, count);
        });
}

/// The form whose reset gate acts on the state before its product (Cho et al. 2014 as printed, Keras's
/// reset_after=False): out = sigmoid(x_r + h_r) * h. `from_input` and `from_state` begin with the gate r.
template <class Arch>
inline void gru_reset(const float* from_input, const float* from_state, const float* state, float* out,
                      std::size_t hidden) noexcept {
    using L = Lanes<Arch>;
    for_each_lane_block(
        hidden, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
            const auto load = [&](const float* x) __attribute__((always_inline)) {
                return load_block<Arch>(x + i, count, 0.0f);
            };
            store_block<Arch>(L::map(load(from_input), load(from_state), load(state),
                                     [](auto x, auto h, auto s) { return kernels::sigmoid(x + h) * s; }),
                              out + i, count);
        });
}

/// The rest of that form's step: z = sigmoid(x_z + h_z), n = tanh(x_n + c), h' = n + z * (h - n). `from_input`
/// [3 * hidden], `from_state` [2 * hidden] (gates r, z), `candidate` [hidden] = W_hn (r * h). `next` may be `state`.
template <class Arch>
inline void gru_update(const float* from_input, const float* from_state, const float* candidate, const float* state,
                       float* next, std::size_t hidden) noexcept {
    using L = Lanes<Arch>;
    for_each_lane_block(
        hidden, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
            const auto load = [&](const float* x) __attribute__((always_inline)) {
                return load_block<Arch>(x + i, count, 0.0f);
            };
            const L update = L::map(load(from_input + hidden), load(from_state + hidden),
                                    [](auto x, auto h) { return kernels::sigmoid(x + h); });
            const L fresh = L::map(load(from_input + 2 * hidden), load(candidate),
                                   [](auto x, auto c) { return kernels::tanh(x + c); });
            store_block<Arch>(
                L::map(fresh, update, load(state), [](auto n, auto z, auto h) { return fma<Arch>(z, h - n, n); }),
                next + i, count);
        });
}

}  // namespace kernels
RANKLET_NAMESPACE_END
