// PackedWeights: a matrix W [out, in], packed once for products, in one of three kinds, and the product itself.
// In: W in T or, for f32, as bf16 bits or as 8-bit values with one scale an output; then inputs x [m, in].
// Out: y [m, out] = epilogue(x W^T). What the kinds do to inputs and results:
//   bf16: half the memory, the results of f32; with AVX512-BF16 inputs are rounded to bf16 for its dot product (see
//   RANKLET_BF16_DOT), and results differ from other machines';
//   8 bits: inputs are quantised row by row (InputQuantization), products are exact integers on every machine.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <type_traits>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/core/weight_block.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/storage.hpp"

RANKLET_NAMESPACE_BEGIN

/// How weights are kept: in the layer's own scalar type, or smaller.
enum class WeightKind { plain, bf16, i8 };

/// How products with 8-bit weights quantise a row of inputs.
struct InputQuantization {
    /// In steps of its own range, zero included; false: symmetrically, in steps of its largest magnitude / 127.
    bool zero_point = false;
    /// [in]: inputs are multiplied with it beforehand, and the weights are of such inputs; empty: they are not. With a
    /// zero point alone.
    std::span<const float> factor = {};
};

template <class T = float, std::ptrdiff_t In = dynamic, std::ptrdiff_t Out = dynamic>
class PackedWeights {
    using Ops = kernels::Ops<T>;

public:
    RANKLET_LAYER(PackedWeights);
    /// Whether weights of this type may be bf16 or 8-bit.
    static constexpr bool may_be_small = std::is_same_v<T, float> && In == dynamic && Out == dynamic;

    /// A matrix in parts that lie one above the other: of each some of the outputs, all of the inputs.
    template <class Weight>
    using Parts = std::span<const MatrixView<const Weight>>;

    /// Packs weights into memory of `block`. Error when the parts contradict each other or the fixed sizes, or when the
    /// memory cannot be had.
    Result<void> pack(Parts<T> parts, WeightBlock& block) {
        RANKLET_TRY(begin(shape_of(parts), WeightKind::plain));
        RANKLET_TRY(plain_.resize_uninitialized(Ops::packed_size(out(), in()), block));
        for_each_part(parts, [&](const auto& part, std::size_t first) {
            Ops::pack(part.data, part.rows, in(), part.stride, plain_.data(), first);
        });
        return {};
    }
    /// The same with the bits of bf16 weights, rows without gaps, `in` even.
    Result<void> pack(Parts<std::uint16_t> parts, WeightBlock& block) requires(may_be_small)
    {
        const Shape shape = shape_of(parts);
        if (shape.has_gaps || shape.in % 2 != 0)
            return make_error(ErrorCode::invalid_argument, {"bf16 weights need rows without gaps and an even input"});
        RANKLET_TRY(begin(shape, WeightKind::bf16));
        RANKLET_ASSIGN(small_.bf16, block.take<std::uint16_t>(Ops::packed_size(out(), in())));
        for_each_part(parts, [&](const auto& part, std::size_t first) {
            Ops::pack_bf16(part.data, part.rows, in(), small_.bf16.data(), first);
        });
        return {};
    }
    /// The same with 8-bit weights: W[o, i] = scale[o] * part[o, i], values in [-127, 127], rows without gaps.
    Result<void> pack(Parts<std::int8_t> parts, std::span<const float> scale, WeightBlock& block,
                      const InputQuantization& inputs = {}) requires(may_be_small)
    {
        const Shape shape = shape_of(parts);
        if (shape.has_gaps || scale.size() != shape.out)
            return make_error(ErrorCode::invalid_argument, {"8-bit weights need rows without gaps and one scale each"});
        if (!inputs.factor.empty() && (!inputs.zero_point || inputs.factor.size() != shape.in))
            return make_error(ErrorCode::invalid_argument,
                              {"inputs of 8-bit weights need a zero point and one factor each, or no factors"});
        RANKLET_TRY(begin(shape, WeightKind::i8));
        RANKLET_ASSIGN(small_.i8, block.take<std::int8_t>(Ops::packed_size_i8(out(), in())));
        RANKLET_ASSIGN(small_.start, AlignedBuffer<std::int32_t>::uninitialized(Ops::padded_outputs(out())));
        RANKLET_ASSIGN(small_.scale, AlignedBuffer<float>::uninitialized(out()));
        for_each_part(parts, [&](const auto& part, std::size_t first) {
            Ops::pack_i8(part.data, part.rows, in(), small_.i8.data(), small_.start.data(), first);
        });
        std::copy(scale.begin(), scale.end(), small_.scale.begin());
        if (!inputs.zero_point) return {};
        RANKLET_ASSIGN(small_.sum, AlignedBuffer<float>::uninitialized(out()));
        for_each_part(parts, [&](const auto& part, std::size_t first) {
            for (std::size_t r = 0; r < part.rows; ++r) {
                const auto row = part.row(r);
                small_.sum[first + r] =
                    scale[first + r] * static_cast<float>(std::accumulate(row.begin(), row.end(), std::int32_t{0}));
            }
        });
        RANKLET_ASSIGN(small_.factor, AlignedBuffer<float>::uninitialized(inputs.factor.size()));
        std::copy(inputs.factor.begin(), inputs.factor.end(), small_.factor.begin());
        return {};
    }

    std::size_t in() const noexcept { return in_.get(); }
    std::size_t out() const noexcept { return out_.get(); }
    WeightKind kind() const noexcept { return kind_; }

    /// Whether products round their inputs, row by row, to what weights of this kind are multiplied with: 8-bit weights
    /// do everywhere, bf16 weights where `uses_bf16_dot`. Such products need a Scratch.
    bool rounds_inputs() const noexcept {
        if constexpr (may_be_small)
            return kind_ == WeightKind::i8 || (kind_ == WeightKind::bf16 && Ops::rounds_bf16);
        else
            return false;
    }
    /// Scratch bytes of a product with `rows` rows of inputs.
    std::size_t scratch_size(std::size_t rows) const noexcept {
        if constexpr (may_be_small) {
            if (kind_ == WeightKind::i8) return Ops::linear_i8_scratch_size(rows, in());
            if (kind_ == WeightKind::bf16) return Ops::linear_bf16_scratch_size(rows, in());
        }
        return 0;
    }

    /// y = epilogue(x W^T). y must not overlap x. Precondition: rounds_inputs() is false.
    void multiply(MatrixView<const T> x, const kernels::Epilogue<T>& epilogue, MatrixView<T> y) const noexcept {
        assert(!rounds_inputs());
        multiply_outputs({0, out()}, x, {}, epilogue, y);
    }
    /// The same with weights of any kind. Several `threads` each compute some of the outputs.
    void multiply(MatrixView<const T> x, const kernels::Epilogue<T>& epilogue, MatrixView<T> y, Scratch& scratch,
                  Threads threads = 1) const noexcept {
        const ScratchFrame frame(scratch);
        const kernels::RoundedRows rounded = round(x, scratch);
        // Few rows wait for the weights. Small numbers are multiplied faster, and read faster.
        const std::size_t faster = kind_ == WeightKind::i8 ? 4 : rounds_inputs() ? 2 : 1;
        const std::size_t work = (x.rows + 4) * in() * out() / faster;
        const Threads used = detail::worth(threads, work);
        const std::size_t parts = detail::pieces_of(work, used);
        parallel_for(parts, used, [&](std::size_t part, std::size_t) {
            const IndexRange outputs = detail::partition(out(), parts, part, Ops::output_grain);
            if (outputs.first < outputs.last) multiply_outputs(outputs, x, rounded, epilogue, y);
        });
    }

private:
    static constexpr std::ptrdiff_t packed_extent =
        In == dynamic || Out == dynamic ? dynamic
                                        : static_cast<std::ptrdiff_t>(Ops::packed_size(static_cast<std::size_t>(Out),
                                                                                       static_cast<std::size_t>(In)));
    struct Small {
        AlignedBuffer<std::uint16_t> bf16;
        AlignedBuffer<std::int8_t> i8;
        AlignedBuffer<std::int32_t> start;  // 8-bit: what each output's sum begins with
        AlignedBuffer<float> scale;         // 8-bit: of each output
        AlignedBuffer<float> sum;           // 8-bit, inputs with a zero point: of each output's weights, scaled
        AlignedBuffer<float> factor;        // 8-bit: of each input, or empty
    };
    struct Nothing {};

    struct Shape {
        std::size_t out = 0, in = 0;
        bool fits = true;       // every part has all inputs
        bool has_gaps = false;  // between rows
    };
    template <class Weight>
    static Shape shape_of(Parts<Weight> parts) noexcept {
        Shape shape;
        if (!parts.empty()) shape.in = parts[0].cols;
        for (const auto& part : parts) {
            shape.out += part.rows;
            shape.fits = shape.fits && part.cols == shape.in;
            shape.has_gaps = shape.has_gaps || part.stride != part.cols;
        }
        return shape;
    }
    // Takes the sizes and forgets weights of an earlier call.
    Result<void> begin(const Shape& shape, WeightKind kind) {
        if (!shape.fits)
            return make_error(ErrorCode::invalid_argument, {"a weight matrix's parts differ in their inputs"});
        if (shape.out == 0 || shape.in == 0)
            return make_error(ErrorCode::invalid_argument, {"a weight matrix needs at least one input and one output"});
        RANKLET_TRY(in_.set(shape.in, "a weight matrix's input"));
        RANKLET_TRY(out_.set(shape.out, "a weight matrix's output"));
        if constexpr (may_be_small) plain_ = {};
        small_ = {};
        kind_ = kind;
        return {};
    }
    template <class Weight, class Pack>
    static void for_each_part(Parts<Weight> parts, const Pack& pack_part) {
        std::size_t first = 0;
        for (const auto& part : parts) {
            pack_part(part, first);
            first += part.rows;
        }
    }
    // x as it is multiplied, where that is not x itself.
    kernels::RoundedRows round(MatrixView<const T> x, Scratch& scratch) const noexcept {
        if constexpr (may_be_small) {
            if (kind_ == WeightKind::i8 && small_.sum.size() > 0)
                return Ops::quantize_with_zero(x.rows, in(), x.data, x.stride,
                                               small_.factor.size() > 0 ? small_.factor.data() : nullptr, scratch);
            if (kind_ == WeightKind::i8) return Ops::quantize(x.rows, in(), x.data, x.stride, scratch);
            if constexpr (Ops::rounds_bf16)
                if (kind_ == WeightKind::bf16) return Ops::round_bf16(x.rows, in(), x.data, x.stride, scratch);
        }
        return {};
    }
    // Outputs [first, last), `first` a multiple of Ops::output_grain.
    void multiply_outputs(IndexRange outputs, MatrixView<const T> x, const kernels::RoundedRows& rounded,
                          const kernels::Epilogue<T>& epilogue, MatrixView<T> y) const noexcept {
        const std::size_t first = outputs.first, count = outputs.last - first, packed = Ops::packed_size(first, in());
        T* c = y.data + first;
        if constexpr (may_be_small) {
            if (kind_ == WeightKind::i8)
                return Ops::linear_i8(
                    x.rows, count, in(), rounded,
                    {small_.i8.data() + Ops::packed_size_i8(first, in()), small_.start.data() + first,
                     small_.scale.data() + first, small_.sum.size() > 0 ? small_.sum.data() + first : nullptr},
                    c, y.stride, epilogue.from(first));
            if (kind_ == WeightKind::bf16) {
                if constexpr (Ops::rounds_bf16)
                    return Ops::linear_bf16(x.rows, count, in(), rounded, small_.bf16.data() + packed, c, y.stride,
                                            epilogue.from(first));
                else
                    return Ops::linear_bf16(x.rows, count, in(), x.data, x.stride, small_.bf16.data() + packed, c,
                                            y.stride, epilogue.from(first));
            }
        }
        Ops::linear(x.rows, count, in(), x.data, x.stride, plain_.data() + packed, c, y.stride, epilogue.from(first));
    }

    detail::Extent<In> in_;
    detail::Extent<Out> out_;
    WeightKind kind_ = WeightKind::plain;
    detail::Storage<T, packed_extent> plain_;  // empty when the weights are smaller
    [[no_unique_address]] std::conditional_t<may_be_small, Small, Nothing> small_;
};

RANKLET_NAMESPACE_END
