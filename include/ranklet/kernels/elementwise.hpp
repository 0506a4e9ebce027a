// Row operations without a sum: activations, scaled additions, maxima, fills.
// In and out: f32 rows. Every element by itself, so bits depend on nothing around it.
#pragma once

#include <type_traits>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/math.hpp"
#include "ranklet/kernels/pack.hpp"

RANKLET_NAMESPACE_BEGIN

/// The activation functions a model file may name.
enum class Activation { identity, gelu, gelu_tanh, relu, silu, sigmoid, tanh };

namespace kernels {

/// y[i] = f(x[i]); x may be y. `f` takes a vector or a pack of vectors.
template <class Arch, class Function>
RANKLET_INLINE void transform(const float* x, float* y, std::size_t n, const Function& f) noexcept {
    constexpr std::size_t width = F32<Arch>::size, step = side_by_side<Arch> * width;
    const std::size_t whole = n / step * step;
    for (std::size_t first = 0; first < whole; first += step) {
        Pack<F32<Arch>, side_by_side<Arch>> pack;
        unroll<side_by_side<Arch>>([&](auto v) __attribute__((always_inline)) {
            pack.v[v] = F32<Arch>::load_unaligned(x + first + v * width);
        });
        pack = f(pack);
        unroll<side_by_side<Arch>>([&](auto v) __attribute__((always_inline)) {
            pack.v[v].store_unaligned(y + first + v * width);
        });
    }
    for_each_lane_block(
        n - whole, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
            store_block<Arch>(Lanes<Arch>::map(load_block<Arch>(x + whole + i, count, 0.0f), f), y + whole + i, count);
        });
}

/// z[i] = f(x[i], y[i]); z may be x or y.
template <class Arch, class Function>
RANKLET_INLINE void transform(const float* x, const float* y, float* z, std::size_t n, const Function& f) noexcept {
    for_each_lane_block(
        n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
            store_block<Arch>(
                Lanes<Arch>::map(load_block<Arch>(x + i, count, 0.0f), load_block<Arch>(y + i, count, 0.0f), f), z + i,
                count);
        });
}

/// body(f) with the function that `activation` names, of vectors and of packs.
template <class Arch, class Body>
RANKLET_INLINE void with_activation(Activation activation, const Body& body) noexcept {
    switch (activation) {
        case Activation::identity:
            return body([](const auto& v) { return v; });
        case Activation::gelu:
            return body([](const auto& v) __attribute__((always_inline)) { return kernels::gelu(v); });
        case Activation::gelu_tanh:
            return body([](const auto& v) __attribute__((always_inline)) { return kernels::gelu_tanh(v); });
        case Activation::relu:
            return body([](const auto& v) __attribute__((always_inline)) { return kernels::relu(v); });
        case Activation::silu:
            return body([](const auto& v) __attribute__((always_inline)) { return kernels::silu(v); });
        case Activation::sigmoid:
            return body([](const auto& v) __attribute__((always_inline)) { return kernels::sigmoid(v); });
        case Activation::tanh:
            return body([](const auto& v) __attribute__((always_inline)) { return kernels::tanh(v); });
    }
}

/// x[i] = activation(x[i])
template <class Arch>
inline void activate(Activation activation, float* x, std::size_t n) noexcept {
    if (activation == Activation::identity) return;
    with_activation<Arch>(activation, [&](const auto& f) { transform<Arch>(x, x, n, f); });
}

/// z = x + y
template <class Arch>
inline void add(const float* x, const float* y, float* z, std::size_t n) noexcept {
    transform<Arch>(x, y, z, n, [](auto a, auto b) { return a + b; });
}

/// z = s * x + y, rounded once
template <class Arch>
inline void multiply_add(float s, const float* x, const float* y, float* z, std::size_t n) noexcept {
    const F32<Arch> factor(s);
    transform<Arch>(x, y, z, n, [&](auto a, auto b) { return fma<Arch>(factor, a, b); });
}

/// z = x * y + z, element by element, rounded once
template <class Arch>
inline void add_product(const float* x, const float* y, float* z, std::size_t n) noexcept {
    for_each_lane_block(
        n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
            store_block<Arch>(
                Lanes<Arch>::map(load_block<Arch>(x + i, count, 0.0f), load_block<Arch>(y + i, count, 0.0f),
                                 load_block<Arch>(z + i, count, 0.0f),
                                 [](auto a, auto b, auto c) { return fma<Arch>(a, b, c); }),
                z + i, count);
        });
}

/// x = s * x
template <class Arch>
inline void scale(float s, float* x, std::size_t n) noexcept {
    transform<Arch>(x, x, n, [&](const auto& a) { return std::decay_t<decltype(a)>(s) * a; });
}

/// z = the larger of x and y, element by element
template <class Arch>
inline void maximum(const float* x, const float* y, float* z, std::size_t n) noexcept {
    transform<Arch>(x, y, z, n, [](auto a, auto b) { return xsimd::select(b > a, b, a); });
}

}  // namespace kernels
RANKLET_NAMESPACE_END
