// Ops<T>: the operations that layers are written in, for one scalar type.
// In and out: plain pointers and sizes. Ops<float> is the SIMD kernels; any other scalar type goes through Eigen.
// Layers name no instruction set and no SIMD type: this is the one place that chooses.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <limits>

#include "ranklet/core/config.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/kernels/attention.hpp"
#include "ranklet/kernels/gemm.hpp"
#include "ranklet/kernels/gemm_bf16.hpp"
#include "ranklet/kernels/gemm_i8.hpp"
#include "ranklet/kernels/gru.hpp"
#include "ranklet/kernels/layer_norm.hpp"
#include "ranklet/kernels/scan.hpp"
#include "ranklet/kernels/softmax.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// What follows a matrix product: c = activation(c + bias [+ residual]).
template <class T>
struct Epilogue {
    const T* bias = nullptr;  ///< n values, or null
    Activation activation = Activation::identity;
    const T* residual = nullptr;  ///< [m, n], or null
    std::size_t residual_stride = 0;

    /// The same for the columns from `first` on.
    Epilogue from(std::size_t first) const noexcept {
        return {bias == nullptr ? nullptr : bias + first, activation, residual == nullptr ? nullptr : residual + first,
                residual_stride};
    }
};

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
    static void softmax(T* x, std::size_t n, T scale = T(1)) noexcept {
        if (n == 0) return;
        auto row = map(x, 1, n, n).array();
        const T largest = row.maxCoeff();
        row = ((row - largest) * scale).exp();
        row *= T(1) / row.sum();
    }
    static void gru_gates(const T* from_input, const T* from_state, const T* state, T* next,
                          std::size_t hidden) noexcept {
        for (std::size_t i = 0; i < hidden; ++i) {
            const T reset = sigmoid(from_input[i] + from_state[i]);
            const T update = sigmoid(from_input[hidden + i] + from_state[hidden + i]);
            const T candidate = std::tanh(from_input[2 * hidden + i] + reset * from_state[2 * hidden + i]);
            next[i] = candidate + update * (state[i] - candidate);
        }
    }
    static void gru_reset(const T* from_input, const T* from_state, const T* state, T* out,
                          std::size_t hidden) noexcept {
        for (std::size_t i = 0; i < hidden; ++i) out[i] = sigmoid(from_input[i] + from_state[i]) * state[i];
    }
    static void gru_update(const T* from_input, const T* from_state, const T* candidate, const T* state, T* next,
                           std::size_t hidden) noexcept {
        for (std::size_t i = 0; i < hidden; ++i) {
            const T update = sigmoid(from_input[hidden + i] + from_state[hidden + i]);
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
    static constexpr std::size_t attention_scratch_size(std::size_t length, std::size_t) noexcept {
        return scratch_bytes<T>(length);
    }
    static void attention_head(std::size_t length, std::size_t d, const T* q, const T* k, const T* v,
                               std::size_t stride, T* out, std::size_t out_stride, Scratch& scratch) noexcept {
        const ScratchFrame frame(scratch);
        T* scores = scratch.take<T>(length);
        const auto keys = map(k, length, d, stride);
        const auto values = map(v, length, d, stride);
        for (std::size_t i = 0; i < length; ++i) {
            map(scores, 1, length, length) = map(q + i * stride, 1, d, d).lazyProduct(keys.transpose());
            softmax(scores, length, T(1) / std::sqrt(static_cast<T>(d)));
            map(out + i * out_stride, 1, d, d) = map(scores, 1, length, length).lazyProduct(values);
        }
    }

private:
    static Eigen::Index index(std::size_t n) noexcept { return static_cast<Eigen::Index>(n); }
    static T sigmoid(T x) noexcept { return T(1) / (T(1) + std::exp(-x)); }
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

/// f32: the SIMD kernels of one instruction set. (A template, so that a program compiles those alone that it uses.)
template <class Arch>
struct SimdOps {
    static constexpr std::size_t output_grain = GemmTile<Arch>::panel;
    static constexpr std::size_t packed_size(std::size_t n, std::size_t k) noexcept {
        return kernels::packed_size<Arch>(n, k);
    }
    static void pack(const float* w, std::size_t n, std::size_t k, std::size_t stride, float* packed,
                     std::size_t first) noexcept {
        pack_rows<Arch>(w, n, k, stride, packed, first);
    }
    static void linear(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t a_stride,
                       const float* packed, float* c, std::size_t c_stride, const Epilogue<float>& epilogue) noexcept {
        gemm_f32<Arch>(
            m, n, k, a, a_stride, packed, c, c_stride,
            BiasActivation<Arch>{epilogue.bias, epilogue.activation, epilogue.residual, epilogue.residual_stride});
    }
    // The same with bf16 weights (k even), on inputs in f32 or, where `rounds_bf16` (then they must be), in bf16.
    static constexpr bool rounds_bf16 = kernels::rounds_bf16<Arch>;
    static void pack_bf16(const std::uint16_t* w, std::size_t n, std::size_t k, std::uint16_t* packed,
                          std::size_t first) noexcept {
        pack_rows_bf16<Arch>(w, n, k, packed, first);
    }
    static void linear_bf16(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t a_stride,
                            const std::uint16_t* packed, float* c, std::size_t c_stride,
                            const Epilogue<float>& epilogue) noexcept {
        gemm_bf16<Arch>(
            m, n, k, a, a_stride, packed, c, c_stride,
            BiasActivation<Arch>{epilogue.bias, epilogue.activation, epilogue.residual, epilogue.residual_stride});
    }
    static constexpr std::size_t linear_bf16_scratch_size(std::size_t m, std::size_t k) noexcept {
        return rounds_bf16 ? scratch_matrix_bytes<std::uint16_t>(m, k) : 0;
    }
    /// Rows of inputs in bf16, in `scratch`.
    static MatrixView<const std::uint16_t> round_bf16(std::size_t m, std::size_t k, const float* a,
                                                      std::size_t a_stride, Scratch& scratch) noexcept {
        const MatrixView<std::uint16_t> rounded = scratch_matrix<std::uint16_t>(scratch, m, k);
        for (std::size_t r = 0; r < m; ++r) round_to_bf16<Arch>(a + r * a_stride, k, rounded.row(r).data());
        return rounded;
    }
    static void linear_bf16(std::size_t m, std::size_t n, std::size_t k, const std::uint16_t* a, std::size_t a_stride,
                            const std::uint16_t* packed, float* c, std::size_t c_stride,
                            const Epilogue<float>& epilogue) noexcept {
        gemm_bf16_dot<Arch>(
            m, n, k, a, a_stride, packed, c, c_stride,
            BiasActivation<Arch>{epilogue.bias, epilogue.activation, epilogue.residual, epilogue.residual_stride});
    }
    // The same with 8-bit weights, one scale a row; inputs are quantised row by row.
    static constexpr std::size_t packed_size_i8(std::size_t n, std::size_t k) noexcept {
        return i8_packed_size<Arch>(n, k);
    }
    static constexpr std::size_t padded_outputs(std::size_t n) noexcept { return padded_columns<Arch>(n); }
    static void pack_i8(const std::int8_t* w, std::size_t n, std::size_t k, std::int8_t* packed, std::int32_t* start,
                        std::size_t first) noexcept {
        pack_rows_i8<Arch>(w, n, k, packed, start, first);
    }
    static constexpr std::size_t linear_i8_scratch_size(std::size_t m, std::size_t k) noexcept {
        return scratch_bytes<typename MacI8<Arch>::Input>(m * i8_row_size<Arch>(k)) + scratch_bytes<float>(m);
    }
    /// Rows of inputs and their scales, in `scratch`.
    struct QuantizedRows {
        const typename MacI8<Arch>::Input* values;
        const float* scale;
    };
    static QuantizedRows quantize(std::size_t m, std::size_t k, const float* a, std::size_t a_stride,
                                  Scratch& scratch) noexcept {
        auto* values = scratch.take<typename MacI8<Arch>::Input>(m * i8_row_size<Arch>(k));
        float* scale = scratch.take<float>(m);
        for (std::size_t r = 0; r < m; ++r)
            scale[r] = quantize_row<Arch>(a + r * a_stride, k, values + r * i8_row_size<Arch>(k));
        return {values, scale};
    }
    static void linear_i8(std::size_t m, std::size_t n, std::size_t k, const QuantizedRows& a,
                          const std::int8_t* packed, const std::int32_t* start, const float* weight_scale, float* c,
                          std::size_t c_stride, const Epilogue<float>& epilogue) noexcept {
        gemm_i8<Arch>(m, n, k, a.values, packed, start, c, c_stride,
                      DequantizeBiasActivation<Arch>{
                          weight_scale,
                          a.scale,
                          {epilogue.bias, epilogue.activation, epilogue.residual, epilogue.residual_stride}});
    }
    static void activate(Activation activation, float* x, std::size_t n) noexcept {
        kernels::activate<Arch>(activation, x, n);
    }
    static void add(const float* x, const float* y, float* z, std::size_t n) noexcept {
        kernels::add<Arch>(x, y, z, n);
    }
    static void maximum(const float* x, const float* y, float* z, std::size_t n) noexcept {
        kernels::maximum<Arch>(x, y, z, n);
    }
    static void multiply_add(float s, const float* x, const float* y, float* z, std::size_t n) noexcept {
        kernels::multiply_add<Arch>(s, x, y, z, n);
    }
    static void add_product(const float* x, const float* y, float* z, std::size_t n) noexcept {
        kernels::add_product<Arch>(x, y, z, n);
    }
    static void scale(float s, float* x, std::size_t n) noexcept { kernels::scale<Arch>(s, x, n); }
    static void normalize(float* x, std::size_t n) noexcept { kernels::normalize<Arch>(x, n); }
    static float dot(const float* x, const float* y, std::size_t n) noexcept { return kernels::dot<Arch>(x, y, n); }
    static void dot_rows(const float* rows, std::size_t count, std::size_t stride, const float* x, std::size_t n,
                         float* out) noexcept {
        kernels::dot_rows<Arch>(rows, count, stride, x, n, out);
    }
    static void layer_norm(std::size_t rows, const float* x, std::size_t x_stride, const float* weight,
                           const float* bias, float epsilon, float* y, std::size_t y_stride, std::size_t n) noexcept {
        kernels::layer_norm<Arch>(rows, x, x_stride, weight, bias, epsilon, y, y_stride, n);
    }
    static void softmax(float* x, std::size_t n, float scale = 1.0f) noexcept { kernels::softmax<Arch>(x, n, scale); }
    static void gru_gates(const float* from_input, const float* from_state, const float* state, float* next,
                          std::size_t hidden) noexcept {
        kernels::gru_gates<Arch>(from_input, from_state, state, next, hidden);
    }
    static void gru_reset(const float* from_input, const float* from_state, const float* state, float* out,
                          std::size_t hidden) noexcept {
        kernels::gru_reset<Arch>(from_input, from_state, state, out, hidden);
    }
    static void gru_update(const float* from_input, const float* from_state, const float* candidate, const float* state,
                           float* next, std::size_t hidden) noexcept {
        kernels::gru_update<Arch>(from_input, from_state, candidate, state, next, hidden);
    }
    static constexpr std::size_t attention_scratch_size(std::size_t length, std::size_t d) noexcept {
        return kernels::attention_scratch_size<Arch>(length, d);
    }
    static void attention_head(std::size_t length, std::size_t d, const float* q, const float* k, const float* v,
                               std::size_t stride, float* out, std::size_t out_stride, Scratch& scratch) noexcept {
        kernels::attention_head<Arch>(length, d, q, k, v, stride, out, out_stride, scratch);
    }
};

/// For the instruction set of the including translation unit.
template <>
struct Ops<float> : SimdOps<default_arch> {};

}  // namespace kernels
RANKLET_NAMESPACE_END
