// Linear: y = x W^T + b, torch.nn.Linear.
// In: x [m, in]. Out: y [m, out]. W is [out, in], packed once when assigned, in T or, for f32, in
//   bf16: half the memory, the results of f32; with AVX512-BF16 inputs are rounded to bf16 for its dot product (see
//   RANKLET_BF16_DOT), and results differ from other machines';
//   8 bits with one scale an output: inputs are quantised token by token, products are exact integers on every machine.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <span>
#include <string>

#include "ranklet/core/config.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/core/weight_block.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/storage.hpp"

RANKLET_NAMESPACE_BEGIN

template <class T = float, std::ptrdiff_t In = dynamic, std::ptrdiff_t Out = dynamic>
class Linear {
    using Ops = kernels::Ops<T>;
    static constexpr bool may_be_small = std::is_same_v<T, float> && In == dynamic && Out == dynamic;

public:
    /// Takes copies of `weight` [out, in] and `bias` [out] (empty: none). Error when the shapes contradict each other
    /// or the fixed sizes.
    Result<void> assign(MatrixView<const T> weight, std::span<const T> bias = {}) {
        WeightBlock none;
        return assign_parts(std::span(&weight, 1), bias, none);
    }
    /// The same, the weight in parts that lie one above the other (of each some of the outputs, all of the inputs),
    /// packed into memory of `block`.
    Result<void> assign_parts(std::span<const MatrixView<const T>> parts, std::span<const T> bias, WeightBlock& block) {
        RANKLET_ASSIGN(const std::size_t out, outputs_of(parts));
        const std::size_t in = parts[0].cols;
        RANKLET_TRY(set_sizes(out, in, bias));
        RANKLET_TRY(packed_.resize_uninitialized(Ops::packed_size(out, in), block));
        std::size_t first = 0;
        for (const auto& part : parts) {
            Ops::pack(part.data, part.rows, in, part.stride, packed_.data(), first);
            first += part.rows;
        }
        return {};
    }
    /// The same with bf16 weights [out, in], `in` even.
    Result<void> assign_bf16(MatrixView<const std::uint16_t> weight, std::span<const float> bias = {})
        requires(may_be_small)
    {
        WeightBlock none;
        return assign_bf16_parts(std::span(&weight, 1), bias, none);
    }
    /// The same with the weight in parts, one above the other, packed into memory of `block`.
    Result<void> assign_bf16_parts(std::span<const MatrixView<const std::uint16_t>> parts, std::span<const float> bias,
                                   WeightBlock& block) requires(may_be_small)
    {
        RANKLET_ASSIGN(const std::size_t out, outputs_of(parts));
        const std::size_t in = parts[0].cols;
        for (const auto& part : parts)
            if (in % 2 != 0 || part.stride != in)
                return Error{ErrorCode::invalid_argument, "bf16 weights need rows without gaps and an even input"};
        RANKLET_TRY(set_sizes(out, in, bias));
        RANKLET_ASSIGN(bf16_, block.take<std::uint16_t>(Ops::packed_size(out, in)));
        std::size_t first = 0;
        for (const auto& part : parts) {
            Ops::pack_bf16(part.data, part.rows, in, bf16_.data(), first);
            first += part.rows;
        }
        return {};
    }
    /// The same with 8-bit weights: W[o, i] = scale[o] * weight[o, i], `weight` [out, in] in [-127, 127].
    Result<void> assign(MatrixView<const std::int8_t> weight, std::span<const float> scale,
                        std::span<const float> bias = {}) requires(may_be_small)
    {
        WeightBlock none;
        return assign_parts(std::span(&weight, 1), scale, bias, none);
    }
    /// The same with the weight in parts, one above the other, packed into memory of `block`; `scale` and `bias` are of
    /// all outputs.
    Result<void> assign_parts(std::span<const MatrixView<const std::int8_t>> parts, std::span<const float> scale,
                              std::span<const float> bias, WeightBlock& block) requires(may_be_small)
    {
        RANKLET_ASSIGN(const std::size_t out, outputs_of(parts));
        const std::size_t in = parts[0].cols;
        for (const auto& part : parts)
            if (scale.size() != out || part.stride != in)
                return Error{ErrorCode::invalid_argument, "8-bit weights need rows without gaps and one scale each"};
        RANKLET_TRY(set_sizes(out, in, bias));
        RANKLET_ASSIGN(i8_.packed, block.take<std::int8_t>(Ops::packed_size_i8(out, in)));
        RANKLET_ASSIGN(i8_.start, AlignedBuffer<std::int32_t>::uninitialized(Ops::padded_outputs(out)));
        RANKLET_ASSIGN(i8_.scale, AlignedBuffer<float>::uninitialized(out));
        std::size_t first = 0;
        for (const auto& part : parts) {
            Ops::pack_i8(part.data, part.rows, in, i8_.packed.data(), i8_.start.data(), first);
            first += part.rows;
        }
        std::copy(scale.begin(), scale.end(), i8_.scale.begin());
        return {};
    }

    std::size_t in() const noexcept { return in_.get(); }
    std::size_t out() const noexcept { return out_.get(); }
    bool has_bias() const noexcept { return has_bias_; }

    bool is_i8() const noexcept { return !i8_.packed.empty(); }
    bool is_bf16() const noexcept { return !bf16_.empty(); }

    /// Whether the forward passes round their inputs, row by row, to what weights of this kind are multiplied with:
    /// 8-bit weights do everywhere, bf16 weights where `uses_bf16_dot`. Such passes need a Scratch.
    bool rounds_inputs() const noexcept {
        if constexpr (may_be_small) return is_i8() || (is_bf16() && Ops::rounds_bf16);
        return false;
    }

    /// Scratch bytes of the forward passes over `rows` rows that take a Scratch.
    std::size_t scratch_size(std::size_t rows) const noexcept {
        if constexpr (may_be_small) {
            if (is_i8()) return Ops::linear_i8_scratch_size(rows, in());
            if (is_bf16()) return Ops::linear_bf16_scratch_size(rows, in());
        }
        return 0;
    }
    /// y = activation(x W^T + b). y must not overlap x. Precondition: rounds_inputs() is false.
    void forward(MatrixView<const T> x, MatrixView<T> y, Activation activation = Activation::identity) const noexcept {
        assert(!rounds_inputs());
        run_float(x, y, {bias(), activation, nullptr, 0}, 0, out());
    }
    /// The same with weights of any kind. With several `threads` (resolved) each computes some of the outputs.
    void forward(MatrixView<const T> x, MatrixView<T> y, Scratch& scratch, Activation activation = Activation::identity,
                 std::size_t threads = 1) const noexcept {
        run(x, y, {bias(), activation, nullptr, 0}, scratch, threads);
    }
    /// y = x W^T + b + residual. y must overlap neither x nor residual.
    void forward_residual(MatrixView<const T> x, MatrixView<const T> residual, MatrixView<T> y, Scratch& scratch,
                          std::size_t threads = 1) const noexcept {
        run(x, y, {bias(), Activation::identity, residual.data, residual.stride}, scratch, threads);
    }

private:
    static constexpr std::ptrdiff_t packed_extent =
        In == dynamic || Out == dynamic ? dynamic
                                        : static_cast<std::ptrdiff_t>(Ops::packed_size(static_cast<std::size_t>(Out),
                                                                                       static_cast<std::size_t>(In)));

    const T* bias() const noexcept { return has_bias_ ? bias_.data() : nullptr; }
    template <class Weight>
    static Result<std::size_t> outputs_of(std::span<const MatrixView<const Weight>> parts) {
        if (parts.empty()) return Error{ErrorCode::invalid_argument, "a linear layer got no weights"};
        std::size_t out = 0;
        for (const auto& part : parts) {
            if (part.cols != parts[0].cols)
                return Error{ErrorCode::invalid_argument, "a linear layer's parts differ in their inputs"};
            out += part.rows;
        }
        return out;
    }
    Result<void> set_sizes(std::size_t out, std::size_t in, std::span<const T> bias) {
        if (out == 0 || in == 0)
            return Error{ErrorCode::invalid_argument, "a linear layer needs at least one input and one output"};
        if (!bias.empty() && bias.size() != out)
            return make_error(ErrorCode::invalid_argument,
                              {"a linear layer with ", out, " outputs got a bias of ", bias.size()});
        RANKLET_TRY(in_.set(in, "a linear layer's input"));
        RANKLET_TRY(out_.set(out, "a linear layer's output"));
        RANKLET_TRY(bias_.resize(out));
        for (std::size_t i = 0; i < bias.size(); ++i) bias_.data()[i] = bias[i];
        has_bias_ = !bias.empty();
        if constexpr (may_be_small) {  // of an earlier assignment only one kind shall stay
            i8_ = {};
            bf16_ = {};
            packed_ = {};
        }
        return {};
    }
    // Outputs [first, last), `first` a multiple of Ops::output_grain.
    void run_float(MatrixView<const T> x, MatrixView<T> y, const kernels::Epilogue<T>& epilogue, std::size_t first,
                   std::size_t last) const noexcept {
        if constexpr (may_be_small)
            if constexpr (!Ops::rounds_bf16)
                if (is_bf16())
                    return Ops::linear_bf16(x.rows, last - first, in(), x.data, x.stride,
                                            bf16_.data() + Ops::packed_size(first, in()), y.data + first, y.stride,
                                            epilogue.from(first));
        Ops::linear(x.rows, last - first, in(), x.data, x.stride, packed_.data() + Ops::packed_size(first, in()),
                    y.data + first, y.stride, epilogue.from(first));
    }
    void run(MatrixView<const T> x, MatrixView<T> y, const kernels::Epilogue<T>& epilogue, Scratch& scratch,
             std::size_t threads) const noexcept {
        // Few rows wait for the weights. Small numbers are multiplied faster, and read faster.
        const std::size_t work = (x.rows + 4) * in() * out() / (is_i8() ? 4 : rounds_inputs() ? 2 : 1);
        const std::size_t parts = std::clamp<std::size_t>(work / work_a_thread, 1, threads);
        const auto split = [&](const auto& part) {
            parallel_for(parts, parts, [&](std::size_t p, std::size_t) {
                const IndexRange range = partition(out(), parts, p, Ops::output_grain);
                if (range.first < range.last) part(range.first, range.last);
            });
        };
        if constexpr (may_be_small) {
            if (is_i8()) {
                const ScratchFrame frame(scratch);
                const auto inputs = Ops::quantize(x.rows, in(), x.data, x.stride, scratch);
                return split([&](std::size_t first, std::size_t last) {
                    Ops::linear_i8(x.rows, last - first, in(), inputs,
                                   i8_.packed.data() + Ops::packed_size_i8(first, in()), i8_.start.data() + first,
                                   i8_.scale.data() + first, y.data + first, y.stride, epilogue.from(first));
                });
            }
            if constexpr (Ops::rounds_bf16)
                if (is_bf16()) {
                    const ScratchFrame frame(scratch);
                    const MatrixView<const std::uint16_t> inputs =
                        Ops::round_bf16(x.rows, in(), x.data, x.stride, scratch);
                    return split([&](std::size_t first, std::size_t last) {
                        Ops::linear_bf16(x.rows, last - first, in(), inputs.data, inputs.stride,
                                         bf16_.data() + Ops::packed_size(first, in()), y.data + first, y.stride,
                                         epilogue.from(first));
                    });
                }
        }
        split([&](std::size_t first, std::size_t last) { run_float(x, y, epilogue, first, last); });
    }

    static constexpr std::size_t work_a_thread = 400'000;  // multiplications in f32 that are worth waking a thread for

    Extent<In> in_;
    Extent<Out> out_;
    Storage<T, packed_extent> packed_;  // empty when one of the two below is not
    Storage<T, Out> bias_;
    bool has_bias_ = false;
    struct {
        AlignedBuffer<std::int8_t> packed;
        AlignedBuffer<std::int32_t> start;
        AlignedBuffer<float> scale;
    } i8_;
    AlignedBuffer<std::uint16_t> bf16_;
};

RANKLET_NAMESPACE_END
