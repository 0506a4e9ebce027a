// Row operations without a sum: scaled additions, products, maxima; and the choice of an activation function.
// In and out: f32 rows. Every element by itself, so bits depend on nothing around it.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/bundle.hpp"
#include "ranklet/kernels/math.hpp"

RANKLET_NAMESPACE_BEGIN

/// The activation functions a model file may name.
enum class Activation { identity, gelu, gelu_tanh, relu, silu, sigmoid, tanh };

namespace kernels {

/// y[i] = f(x[i]); x may be y. `f` is of bundles.
template <class Arch, class Function>
inline RANKLET_INLINE void transform(const float* x, float* y, std::size_t n, const Function& f) noexcept {
    for_each_bundle<Arch>(n, [&](const auto& at) RANKLET_INLINE { at.store(f(at.load(x)), y); });
}

/// z[i] = f(x[i], y[i]); z may be x or y.
template <class Arch, class Function>
inline RANKLET_INLINE void transform(const float* x, const float* y, float* z, std::size_t n,
                                     const Function& f) noexcept {
    for_each_bundle<Arch>(n, [&](const auto& at) RANKLET_INLINE { at.store(f(at.load(x), at.load(y)), z); });
}

/// body(f) with the function that `activation` names.
template <class Arch, class Body>
inline RANKLET_INLINE void with_activation(Activation activation, const Body& body) noexcept {
    switch (activation) {
        case Activation::identity:
            return body([](const auto& v) { return v; });
        case Activation::gelu:
            return body([](const auto& v) RANKLET_INLINE { return kernels::gelu(v); });
        case Activation::gelu_tanh:
            return body([](const auto& v) RANKLET_INLINE { return kernels::gelu_tanh(v); });
        case Activation::relu:
            return body([](const auto& v) RANKLET_INLINE { return kernels::relu(v); });
        case Activation::silu:
            return body([](const auto& v) RANKLET_INLINE { return kernels::silu(v); });
        case Activation::sigmoid:
            return body([](const auto& v) RANKLET_INLINE { return kernels::sigmoid(v); });
        case Activation::tanh:
            return body([](const auto& v) RANKLET_INLINE { return kernels::tanh(v); });
    }
}

/// z = x + y
template <class Arch>
inline void add(const float* x, const float* y, float* z, std::size_t n) noexcept {
    transform<Arch>(x, y, z, n, [](const auto& a, const auto& b) { return a + b; });
}

/// z = x * y, element by element
template <class Arch>
inline void multiply(const float* x, const float* y, float* z, std::size_t n) noexcept {
    transform<Arch>(x, y, z, n, [](const auto& a, const auto& b) { return a * b; });
}

/// z = s * x + y, rounded once
template <class Arch>
inline void multiply_add(float s, const float* x, const float* y, float* z, std::size_t n) noexcept {
    transform<Arch>(x, y, z, n,
                    [&](const auto& a, const auto& b) { return mul_add(std::decay_t<decltype(a)>(s), a, b); });
}

/// z = x * y + z, element by element, rounded once
template <class Arch>
inline void add_product(const float* x, const float* y, float* z, std::size_t n) noexcept {
    for_each_bundle<Arch>(
        n, [&](const auto& at) RANKLET_INLINE { at.store(mul_add(at.load(x), at.load(y), at.load(z)), z); });
}

/// x = s * x
template <class Arch>
inline void scale(float s, float* x, std::size_t n) noexcept {
    transform<Arch>(x, x, n, [&](const auto& a) { return std::decay_t<decltype(a)>(s) * a; });
}

/// x = ln(max(x, 0) + floor), NaN for NaN; `floor` is a normal number above 0
template <class Arch>
inline void log_above(float floor, float* x, std::size_t n) noexcept {
    transform<Arch>(x, x, n, [&](const auto& a) RANKLET_INLINE {
        using V = std::decay_t<decltype(a)>;
        const V sum = select(a < V(0.0f), V(0.0f), a) + V(floor);
        return select(sum < V(std::numeric_limits<float>::infinity()), kernels::log(sum), sum);
    });
}

/// z = w * max((x - shift) * scale, 0)^power + z, element by element; power is at least 1
template <class Arch>
inline void add_power(const float* x, float shift, const float* scale, std::uint32_t power, float w, float* z,
                      std::size_t n) noexcept {
    for_each_bundle<Arch>(n, [&](const auto& at) RANKLET_INLINE {
        using V = std::decay_t<decltype(at.load(x))>;
        const V base = relu((at.load(x) - V(shift)) * at.load(scale));
        V product = base;
        for (std::uint32_t p = 1; p < power; ++p) product = product * base;
        at.store(mul_add(V(w), product, at.load(z)), z);
    });
}

/// z = the larger of x and y, element by element
template <class Arch>
inline void maximum(const float* x, const float* y, float* z, std::size_t n) noexcept {
    transform<Arch>(x, y, z, n, [](const auto& a, const auto& b) { return select(b > a, b, a); });
}

}  // namespace kernels
RANKLET_NAMESPACE_END
