// Row operations without a sum: activations, scaled additions, maxima, fills.
// In and out: f32 rows. Every element by itself, so bits depend on nothing around it.
#pragma once

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/math.hpp"

RANKLET_NAMESPACE_BEGIN

/// The activation functions a model file may name.
enum class Activation { identity, gelu, gelu_tanh, relu, silu, sigmoid, tanh };

namespace kernels {

/// y[i] = f(x[i]); x may be y.
template <class Arch, class Function>
RANKLET_INLINE void transform(const float* x, float* y, std::size_t n, const Function& f) noexcept {
    for_each_lane_block(
        n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
            store_block<Arch>(Lanes<Arch>::map(load_block<Arch>(x + i, count, 0.0f), f), y + i, count);
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

/// body(f) with the function of vectors that `activation` names.
template <class Arch, class Body>
RANKLET_INLINE void with_activation(Activation activation, const Body& body) noexcept {
    using V = F32<Arch>;
    switch (activation) {
        case Activation::identity:
            return body([](const V& v) { return v; });
        case Activation::gelu:
            return body([](const V& v) { return gelu<Arch>(v); });
        case Activation::gelu_tanh:
            return body([](const V& v) { return gelu_tanh<Arch>(v); });
        case Activation::relu:
            return body([](const V& v) { return relu<Arch>(v); });
        case Activation::silu:
            return body([](const V& v) { return silu<Arch>(v); });
        case Activation::sigmoid:
            return body([](const V& v) { return sigmoid<Arch>(v); });
        case Activation::tanh:
            return body([](const V& v) { return tanh<Arch>(v); });
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
    const F32<Arch> factor(s);
    transform<Arch>(x, x, n, [&](auto a) { return factor * a; });
}

/// z = the larger of x and y, element by element
template <class Arch>
inline void maximum(const float* x, const float* y, float* z, std::size_t n) noexcept {
    transform<Arch>(x, y, z, n, [](auto a, auto b) { return xsimd::select(b > a, b, a); });
}

}  // namespace kernels
RANKLET_NAMESPACE_END
