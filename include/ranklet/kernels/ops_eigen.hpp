// Ops<T> of scalar types that have no kernels of their own: double, say.
// In and out: plain pointers and sizes. Products by Eigen, functions of the standard library.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

// clang-format off: the order matters
#include "ranklet/core/macros_aside.hpp"
#include <Eigen/Core>
#include "ranklet/core/macros_back.hpp"
// clang-format on

#include "ranklet/core/config.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/kernels/ops.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// Scalar types without a kernel: Eigen's products and the standard library's functions.
template <class T>
struct Ops {
    using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using Strided = Eigen::OuterStride<Eigen::Dynamic>;
    using ConstMap = Eigen::Map<const Matrix, Eigen::Unaligned, Strided>;
    using Map = Eigen::Map<Matrix, Eigen::Unaligned, Strided>;

    static ConstMap map(const T* x, std::size_t rows, std::size_t cols, std::size_t stride) noexcept {
        return {x, index(rows), index(cols), Strided(index(stride))};
    }
    static Map map(T* x, std::size_t rows, std::size_t cols, std::size_t stride) noexcept {
        return {x, index(rows), index(cols), Strided(index(stride))};
    }

    /// Outputs of a product may be computed by themselves from any multiple of this on.
    static constexpr std::size_t output_grain = 1;
    static constexpr std::size_t packed_size(std::size_t n, std::size_t k) noexcept { return n * k; }
    static void pack(const T* w, std::size_t n, std::size_t k, std::size_t stride, T* packed,
                     std::size_t first) noexcept {
        map(packed + first * k, n, k, k) = map(w, n, k, stride);
    }

    static void linear(std::size_t m, std::size_t n, std::size_t k, const T* a, std::size_t a_stride, const T* packed,
                       T* c, std::size_t c_stride, const Epilogue<T>& epilogue) noexcept {
        // Coefficient by coefficient: no temporary, and a row's bits do not depend on its neighbours.
        map(c, m, n, c_stride) = map(a, m, k, a_stride).lazyProduct(map(packed, n, k, k).transpose());
        for (std::size_t r = 0; r < m; ++r) {
            T* row = c + r * c_stride;
            for (std::size_t j = 0; j < n; ++j) {
                if (epilogue.bias != nullptr) row[j] += epilogue.bias[j];
                if (epilogue.residual != nullptr) row[j] += epilogue.residual[r * epilogue.residual_stride + j];
                row[j] = activate_scalar(epilogue.activation, row[j]);
            }
        }
    }
    static void activate(Activation activation, T* x, std::size_t n) noexcept {
        for (std::size_t i = 0; i < n; ++i) x[i] = activate_scalar(activation, x[i]);
    }
    static void add(const T* x, const T* y, T* z, std::size_t n) noexcept {
        for (std::size_t i = 0; i < n; ++i) z[i] = x[i] + y[i];
    }
    static void layer_norm(std::size_t rows, const T* x, std::size_t x_stride, const T* weight, const T* bias,
                           T epsilon, T* y, std::size_t y_stride, std::size_t n) noexcept {
        for (std::size_t r = 0; r < rows; ++r, x += x_stride, y += y_stride) {
            const auto row = map(x, 1, n, n).array();
            const T mean = row.mean();
            const T inverse = T(1) / std::sqrt((row - mean).square().mean() + epsilon);
            for (std::size_t i = 0; i < n; ++i) y[i] = (x[i] - mean) * inverse * weight[i] + bias[i];
        }
    }
    static void rms_norm(std::size_t rows, const T* x, std::size_t x_stride, const T* weight, T epsilon, T* y,
                         std::size_t y_stride, std::size_t n) noexcept {
        for (std::size_t r = 0; r < rows; ++r, x += x_stride, y += y_stride) {
            const T inverse = T(1) / std::sqrt(map(x, 1, n, n).array().square().mean() + epsilon);
            for (std::size_t i = 0; i < n; ++i) y[i] = x[i] * inverse * weight[i];
        }
    }
    static void rotate(T* x, const T* cos, const T* sin, std::size_t half) noexcept {
        for (std::size_t i = 0; i < half; ++i) {
            const T a = x[i], b = x[i + half];
            x[i] = a * cos[i] - b * sin[i];
            x[i + half] = b * cos[i] + a * sin[i];
        }
    }
    static void multiply(const T* x, const T* y, T* z, std::size_t n) noexcept {
        for (std::size_t i = 0; i < n; ++i) z[i] = x[i] * y[i];
    }
    static void softmax(T* x, std::size_t n, T scale = T(1)) noexcept {
        if (n == 0) return;
        auto row = map(x, 1, n, n).array();
        const T largest = row.maxCoeff();
        row = ((row - largest) * scale).exp();
        row *= T(1) / row.sum();
    }
    static void gru_gates(const T* from_input, const T* from_state, const T* state, T* next, std::size_t hidden,
                          GateActivation gates = GateActivation::sigmoid) noexcept {
        for (std::size_t i = 0; i < hidden; ++i) {
            const T reset = gate(gates, from_input[i] + from_state[i]);
            const T update = gate(gates, from_input[hidden + i] + from_state[hidden + i]);
            const T candidate = std::tanh(from_input[2 * hidden + i] + reset * from_state[2 * hidden + i]);
            next[i] = candidate + update * (state[i] - candidate);
        }
    }
    static void gru_reset(const T* from_input, const T* from_state, const T* state, T* out, std::size_t hidden,
                          GateActivation gates = GateActivation::sigmoid) noexcept {
        for (std::size_t i = 0; i < hidden; ++i) out[i] = gate(gates, from_input[i] + from_state[i]) * state[i];
    }
    static void gru_update(const T* from_input, const T* from_state, const T* candidate, const T* state, T* next,
                           std::size_t hidden, GateActivation gates = GateActivation::sigmoid) noexcept {
        for (std::size_t i = 0; i < hidden; ++i) {
            const T update = gate(gates, from_input[hidden + i] + from_state[hidden + i]);
            const T fresh = std::tanh(from_input[2 * hidden + i] + candidate[i]);
            next[i] = fresh + update * (state[i] - fresh);
        }
    }
    static void maximum(const T* x, const T* y, T* z, std::size_t n) noexcept {
        for (std::size_t i = 0; i < n; ++i) z[i] = y[i] > x[i] ? y[i] : x[i];
    }
    static void multiply_add(T s, const T* x, const T* y, T* z, std::size_t n) noexcept {
        for (std::size_t i = 0; i < n; ++i) z[i] = s * x[i] + y[i];
    }
    static void add_product(const T* x, const T* y, T* z, std::size_t n) noexcept {
        for (std::size_t i = 0; i < n; ++i) z[i] += x[i] * y[i];
    }
    static void scale(T s, T* x, std::size_t n) noexcept {
        for (std::size_t i = 0; i < n; ++i) x[i] *= s;
    }
    static void dot_rows(const T* rows, std::size_t count, std::size_t stride, const T* x, std::size_t n,
                         T* out) noexcept {
        for (std::size_t r = 0; r < count; ++r) {
            out[r] = T(0);
            for (std::size_t i = 0; i < n; ++i) out[r] += rows[r * stride + i] * x[i];
        }
    }
    static constexpr std::size_t attention_scratch_size(std::size_t length, std::size_t, std::size_t = 0) noexcept {
        return scratch_bytes<T>(length);
    }
    static void attention_head(std::size_t length, std::size_t d, const T* q, const T* k, const T* v,
                               std::size_t stride, T* out, std::size_t out_stride, const ScoreMap<T>& score,
                               Scratch& scratch) noexcept {
        const ScratchFrame frame(scratch);
        T* scores = scratch.take<T>(length);
        T term;
        const auto keys = map(k, length, d, stride);
        const auto values = map(v, length, d, stride);
        for (std::size_t i = 0; i < length; ++i) {
            map(scores, 1, length, length) = map(q + i * stride, 1, d, d).lazyProduct(keys.transpose());
            for (std::size_t j = 0; j < length; ++j) {
                if (const PositionTerms<T>* terms = score.positions) {
                    const std::size_t r = *(terms->row + i - j);
                    if (terms->keys != nullptr) dot_rows(terms->keys + r * d, 1, d, q + i * stride, d, &term);
                    if (terms->keys != nullptr) scores[j] += term;
                    if (terms->queries != nullptr) dot_rows(terms->queries + r * d, 1, d, k + j * stride, d, &term);
                    if (terms->queries != nullptr) scores[j] += term;
                }
                scores[j] *= score.scale;
                if (score.by_distance != nullptr)
                    scores[j] += score.by_distance[static_cast<std::ptrdiff_t>(j) - static_cast<std::ptrdiff_t>(i)];
            }
            softmax(scores, length);
            map(out + i * out_stride, 1, d, d) = map(scores, 1, length, length).lazyProduct(values);
        }
    }

private:
    static Eigen::Index index(std::size_t n) noexcept { return static_cast<Eigen::Index>(n); }
    static T sigmoid(T x) noexcept { return T(1) / (T(1) + std::exp(-x)); }
    static T gate(GateActivation gates, T x) noexcept {
        if (gates == GateActivation::sigmoid) return sigmoid(x);
        const T y = x / T(gates == GateActivation::hard_sigmoid_keras2 ? 5 : 6) + T(0.5);
        return y < T(0) ? T(0) : y > T(1) ? T(1) : y;
    }
    static T activate_scalar(Activation activation, T x) noexcept {
        switch (activation) {
            case Activation::identity:
                return x;
            case Activation::gelu:
                return x * T(0.5) * std::erfc(-x * T(0.70710678118654752440));
            case Activation::gelu_tanh:
                return x * sigmoid(T(1.5957691216057308) * (x + T(0.044715) * x * x * x));
            case Activation::relu:
                return x < T(0) ? T(0) : x;
            case Activation::silu:
                return x * sigmoid(x);
            case Activation::sigmoid:
                return sigmoid(x);
            case Activation::tanh:
                return std::tanh(x);
        }
        return x;
    }
};

}  // namespace kernels
RANKLET_NAMESPACE_END
