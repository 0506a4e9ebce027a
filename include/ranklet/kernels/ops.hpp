// Ops<T>: the operations that layers are written in, for one scalar type.
// In and out: plain pointers and sizes. Ops<float> is the SIMD kernels; any other scalar type goes through
// Eigen (ops_eigen.hpp).
// Layers name no instruction set and no SIMD type: this is the one place that chooses.
#pragma once

#include <cmath>
#include <limits>

#include "ranklet/core/config.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/kernels/attention.hpp"
#include "ranklet/kernels/epilogue.hpp"
#include "ranklet/kernels/gemm_bf16.hpp"
#include "ranklet/kernels/gemm_f32.hpp"
#include "ranklet/kernels/gemm_i8.hpp"
#include "ranklet/kernels/gru.hpp"
#include "ranklet/kernels/layer_norm.hpp"
#include "ranklet/kernels/panels.hpp"
#include "ranklet/kernels/quantize.hpp"
#include "ranklet/kernels/rotate.hpp"
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

/// Rows of inputs as a product with small weights reads them, in a Scratch: bf16, or 8-bit values with a scale a row,
/// and a middle where they have a zero point (RowMap).
struct RoundedRows {
    const void* values = nullptr;
    std::size_t stride = 0;  ///< elements from one row to the next
    const float* scale = nullptr;
    const float* middle = nullptr;
};

/// 8-bit weights of some outputs, packed (pack_rows_i8).
struct PackedI8 {
    const std::int8_t* values;
    const std::int32_t* start;  ///< what each output's sum begins with
    const float* scale;         ///< of each output
    const float* sum;           ///< of each output's weights, scaled; null: inputs have no zero point
};

/// Scalar types without a kernel: Eigen's products and the standard library's functions, defined in
/// kernels/ops_eigen.hpp (ranklet/layers/layers.hpp includes it). Programs that use f32 alone do not pay for Eigen.
template <class T>
struct Ops;

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
        gemm_f32<Arch>(m, n, k, a, a_stride, packed, c, c_stride, finish(epilogue));
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
        gemm_bf16<Arch>(m, n, k, a, a_stride, packed, c, c_stride, finish(epilogue));
    }
    static constexpr std::size_t linear_bf16_scratch_size(std::size_t m, std::size_t k) noexcept {
        return rounds_bf16 ? scratch_matrix_bytes<std::uint16_t>(m, k) : 0;
    }
    static RoundedRows round_bf16(std::size_t m, std::size_t k, const float* a, std::size_t a_stride,
                                  Scratch& scratch) noexcept {
        const MatrixView<std::uint16_t> rounded = scratch_matrix<std::uint16_t>(scratch, m, k);
        for (std::size_t r = 0; r < m; ++r) round_to_bf16<Arch>(a + r * a_stride, k, rounded.row(r).data());
        return {rounded.data, rounded.stride};
    }
    static void linear_bf16(std::size_t m, std::size_t n, std::size_t k, const RoundedRows& a,
                            const std::uint16_t* packed, float* c, std::size_t c_stride,
                            const Epilogue<float>& epilogue) noexcept {
        gemm_bf16_dot<Arch>(m, n, k, static_cast<const std::uint16_t*>(a.values), a.stride, packed, c, c_stride,
                            finish(epilogue));
    }
    // The same with 8-bit weights, one scale a row; inputs are quantised row by row, symmetrically or with a zero point.
    static constexpr std::size_t packed_size_i8(std::size_t n, std::size_t k) noexcept {
        return i8_packed_size<Arch>(n, k);
    }
    static constexpr std::size_t padded_outputs(std::size_t n) noexcept { return padded_columns<Arch>(n); }
    static void pack_i8(const std::int8_t* w, std::size_t n, std::size_t k, std::int8_t* packed, std::int32_t* start,
                        std::size_t first) noexcept {
        pack_rows_i8<Arch>(w, n, k, packed, start, first);
    }
    static constexpr std::size_t linear_i8_scratch_size(std::size_t m, std::size_t k) noexcept {
        return scratch_bytes<typename DotI8<Arch>::Input>(m * i8_row_size<Arch>(k)) + 2 * scratch_bytes<float>(m);
    }
    static RoundedRows quantize(std::size_t m, std::size_t k, const float* a, std::size_t a_stride,
                                Scratch& scratch) noexcept {
        const std::size_t stride = i8_row_size<Arch>(k);
        auto* values = scratch.take<typename DotI8<Arch>::Input>(m * stride);
        float* scale = scratch.take<float>(m);
        for (std::size_t r = 0; r < m; ++r) scale[r] = quantize_row<Arch>(a + r * a_stride, k, values + r * stride);
        return {values, stride, scale};
    }
    static RoundedRows quantize_with_zero(std::size_t m, std::size_t k, const float* a, std::size_t a_stride,
                                          const float* factor, Scratch& scratch) noexcept {
        const std::size_t stride = i8_row_size<Arch>(k);
        auto* values = scratch.take<typename DotI8<Arch>::Input>(m * stride);
        float *scale = scratch.take<float>(m), *middle = scratch.take<float>(m);
        for (std::size_t r = 0; r < m; ++r) {
            const RowMap map = quantize_row_with_zero<Arch>(a + r * a_stride, k, factor, values + r * stride);
            scale[r] = map.scale;
            middle[r] = map.middle;
        }
        return {values, stride, scale, middle};
    }
    static void linear_i8(std::size_t m, std::size_t n, std::size_t k, const RoundedRows& a, const PackedI8& w,
                          float* c, std::size_t c_stride, const Epilogue<float>& epilogue) noexcept {
        BiasActivation<Arch> rest = finish(epilogue);
        rest.column_scale = w.scale;
        rest.row_scale = a.scale;
        rest.column_sum = w.sum;
        rest.row_middle = a.middle;
        gemm_i8<Arch>(m, n, k, static_cast<const typename DotI8<Arch>::Input*>(a.values), w.values, w.start, c,
                      c_stride, rest);
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
    static void add_power(const float* x, float shift, const float* scale, std::uint32_t power, float w, float* z,
                          std::size_t n) noexcept {
        kernels::add_power<Arch>(x, shift, scale, power, w, z, n);
    }
    static float sum(const float* x, std::size_t n) noexcept { return kernels::sum<Arch>(x, n); }
    static void log_above(float floor, float* x, std::size_t n) noexcept { kernels::log_above<Arch>(floor, x, n); }
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
    static void rms_norm(std::size_t rows, const float* x, std::size_t x_stride, const float* weight, float epsilon,
                         float* y, std::size_t y_stride, std::size_t n) noexcept {
        kernels::rms_norm<Arch>(rows, x, x_stride, weight, epsilon, y, y_stride, n);
    }
    static void rotate(float* x, const float* cos, const float* sin, std::size_t half) noexcept {
        kernels::rotate<Arch>(x, cos, sin, half);
    }
    static void multiply(const float* x, const float* y, float* z, std::size_t n) noexcept {
        kernels::multiply<Arch>(x, y, z, n);
    }
    static void softmax(float* x, std::size_t n, float scale = 1.0f) noexcept { kernels::softmax<Arch>(x, n, scale); }
    static void gru_gates(const float* from_input, const float* from_state, const float* state, float* next,
                          std::size_t hidden, GateActivation gates = GateActivation::sigmoid) noexcept {
        kernels::gru_gates<Arch>(from_input, from_state, state, next, hidden, gates);
    }
    static void gru_reset(const float* from_input, const float* from_state, const float* state, float* out,
                          std::size_t hidden, GateActivation gates = GateActivation::sigmoid) noexcept {
        kernels::gru_reset<Arch>(from_input, from_state, state, out, hidden, gates);
    }
    static void gru_update(const float* from_input, const float* from_state, const float* candidate, const float* state,
                           float* next, std::size_t hidden, GateActivation gates = GateActivation::sigmoid) noexcept {
        kernels::gru_update<Arch>(from_input, from_state, candidate, state, next, hidden, gates);
    }
    static constexpr std::size_t attention_scratch_size(std::size_t length, std::size_t d,
                                                        std::size_t position_rows = 0) noexcept {
        return kernels::attention_scratch_size<Arch>(length, d, position_rows);
    }
    static void attention_head(std::size_t length, std::size_t d, const float* q, const float* k, const float* v,
                               std::size_t stride, float* out, std::size_t out_stride, const ScoreMap<float>& map,
                               Scratch& scratch) noexcept {
        kernels::attention_head<Arch>(length, d, q, k, v, stride, out, out_stride, map, scratch);
    }

private:
    static BiasActivation<Arch> finish(const Epilogue<float>& epilogue) noexcept {
        return {epilogue.bias, epilogue.activation, epilogue.residual, epilogue.residual_stride};
    }
};

/// For the instruction set of the including translation unit.
template <>
struct Ops<float> : SimdOps<default_arch> {};

}  // namespace kernels
RANKLET_NAMESPACE_END
