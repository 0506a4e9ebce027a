// Layers from a file's tensors: bf16 weights stay small and give the numbers of f32, or those of bf16 inputs; what does
// not fit is named.
#include "ranklet/model_file/layers.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/gguf_builder.hpp"
#include "io/temporary_folder.hpp"
#include "kernels/reference.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::GgufFile;
using ranklet::MatrixView;
using ranklet::TensorType;

constexpr std::uint32_t bf16 = static_cast<std::uint32_t>(TensorType::bf16);

struct Stored {
    std::vector<std::uint16_t> bits;
    std::vector<float> values;
    Stored(Random& random, std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) {
            bits.push_back(ranklet::f32_to_bf16(random.between(-1.0f, 1.0f)));
            values.push_back(ranklet::bf16_to_f32(bits.back()));
        }
    }
};

ranklet::ModelReader reader_of(const Bytes& bytes, std::string name) {
    return ranklet::ModelReader(GgufFile::from_memory(bytes, std::move(name)).value());
}

}  // namespace

TEST_CASE("a linear map of a bf16 file keeps bf16 and has the bits of its f32 twin; an odd width is widened") {
    Random random(71);
    for (const std::size_t in : {6u, 7u}) {
        const std::size_t out = 37;
        const Stored weight(random, out * in);
        const std::vector<float> bias = random.row(out);
        const Bytes small = GgufBuilder()
                                .tensor("a.weight", bf16, {out, in}, bytes_of(weight.bits))
                                .tensor("a.bias", {out}, bias)
                                .build();
        const Bytes wide =
            GgufBuilder().tensor("a.weight", {out, in}, weight.values).tensor("a.bias", {out}, bias).build();
        const auto one = ranklet::read_linear(reader_of(small, "small"), "a", in, out).value();
        const auto two = ranklet::read_linear(reader_of(wide, "wide"), "a", in, out).value();
        // Where a product of bf16 weights would round the inputs, a layer without a Scratch gets them in f32.
        CHECK(one.is_bf16() == (in % 2 == 0 && !ranklet::uses_bf16_dot));
        CHECK_FALSE(one.rounds_inputs());
        CHECK_FALSE(two.is_bf16());
        const std::vector<float> x = random.row(5 * in);
        std::vector<float> y(5 * out), z(5 * out);
        one.forward({x.data(), 5, in}, {y.data(), 5, out});
        two.forward({x.data(), 5, in}, {z.data(), 5, out});
        CHECK(same_bits(y, z));
    }
}

TEST_CASE("linear maps of F16 and Q8_0 files have the bits of f32 twins, together in one product too") {
    Random random(72);
    constexpr std::size_t in = 96, out = 37;
    constexpr auto f16 = static_cast<std::uint32_t>(TensorType::f16),
                   q8_0 = static_cast<std::uint32_t>(TensorType::q8_0);
    Bytes half, blocks;
    std::vector<float> half_values, block_values;
    for (std::size_t i = 0; i < out * in; ++i) {
        const std::uint16_t bits = ranklet::f32_to_f16(random.between(-1.0f, 1.0f));
        const Bytes bytes = bytes_of(std::vector{bits});
        half.insert(half.end(), bytes.begin(), bytes.end());
        half_values.push_back(ranklet::f16_to_f32(bits));
    }
    for (std::size_t block = 0; block < out * in / 32; ++block) {
        const std::uint16_t scale = ranklet::f32_to_f16(random.between(0.001f, 0.01f));
        const Bytes bytes = bytes_of(std::vector{scale});
        blocks.insert(blocks.end(), bytes.begin(), bytes.end());
        for (std::size_t i = 0; i < 32; ++i) {
            const auto value = static_cast<std::int8_t>(static_cast<int>(random.below(256)) - 128);
            blocks.push_back(static_cast<std::byte>(value));
            block_values.push_back(ranklet::f16_to_f32(scale) * static_cast<float>(value));
        }
    }
    const std::vector<float> bias = random.row(out);
    const Bytes small_bytes = GgufBuilder()
                                  .tensor("a.weight", f16, {out, in}, half)
                                  .tensor("a.bias", {out}, bias)
                                  .tensor("b.weight", q8_0, {out, in}, blocks)
                                  .tensor("b.bias", {out}, bias)
                                  .build();
    const Bytes wide_bytes = GgufBuilder()
                                 .tensor("a.weight", {out, in}, half_values)
                                 .tensor("a.bias", {out}, bias)
                                 .tensor("b.weight", {out, in}, block_values)
                                 .tensor("b.bias", {out}, bias)
                                 .build();
    const GgufFile small = GgufFile::from_memory(small_bytes, "small").value();
    const GgufFile wide = GgufFile::from_memory(wide_bytes, "wide").value();
    const std::vector<float> x = random.row(5 * in);
    const auto run = [&](const ranklet::Linear<>& linear) {
        std::vector<float> y(5 * linear.out());
        linear.forward({x.data(), 5, in}, {y.data(), 5, linear.out()});
        return y;
    };
    for (const char* name : {"a", "b"})
        CHECK(same_bits(run(ranklet::read_linear(ranklet::ModelReader(small), name, in, out).value()),
                        run(ranklet::read_linear(ranklet::ModelReader(wide), name, in, out).value())));
    const std::vector<ranklet::LinearNames> both{{"a.weight", "a.bias"}, {"b.weight", "b.bias"}};
    CHECK(same_bits(run(ranklet::read_linear(ranklet::ModelReader(small), both, in, out).value()),
                    run(ranklet::read_linear(ranklet::ModelReader(wide), both, in, out).value())));
}

TEST_CASE(
    "with a Scratch, a bf16 map's rows are its f32 twin's, of inputs in bf16 where it rounds them, alone as in a "
    "batch") {
    Random random(73);
    constexpr std::size_t in = 130, out = 37, rows = 33;
    const Stored weight(random, out * in);
    const std::vector<float> bias = random.row(out), residual = random.row(rows * out);
    ranklet::Linear<> small, wide;
    small.assign_bf16({weight.bits.data(), out, in}, bias).value();
    wide.assign({weight.values.data(), out, in}, bias).value();
    CHECK(small.is_bf16());
    CHECK(small.rounds_inputs() == ranklet::uses_bf16_dot);
    CHECK((small.scratch_size(rows) > 0) == ranklet::uses_bf16_dot);
    const std::vector<float> x = random.row(rows * (in + 5));  // rows with gaps
    std::vector<float> inputs = x;
    if (ranklet::uses_bf16_dot)
        for (float& value : inputs) value = ranklet::bf16_to_f32(ranklet::f32_to_bf16(value));
    std::vector<float> found(rows * out), expected(rows * out), alone(out);
    ranklet::Scratch scratch;
    scratch.reserve(small.scratch_size(rows)).value();
    const auto y = [&](std::vector<float>& values) { return MatrixView<float>(values.data(), rows, out); };
    small.forward({x.data(), rows, in, in + 5}, y(found), scratch, ranklet::Activation::gelu);
    wide.forward({inputs.data(), rows, in, in + 5}, y(expected), ranklet::Activation::gelu);
    if (ranklet::uses_bf16_dot) {  // sums in another order: what f32 rounds, no more
        for (std::size_t i = 0; i < rows * out; ++i) REQUIRE(std::abs(found[i] - expected[i]) < 2e-5f);
    } else {
        CHECK(same_bits(found, expected));
    }
    small.forward_residual({x.data(), rows, in, in + 5}, {residual.data(), rows, out}, y(found), scratch);
    for (std::size_t r = 0; r < rows; ++r) {
        small.forward_residual({x.data() + r * (in + 5), 1, in, in + 5}, {residual.data() + r * out, 1, out},
                               {alone.data(), 1, out}, scratch);
        REQUIRE(same_bits(alone, std::span(found).subspan(r * out, out)));
    }
}

TEST_CASE(
    "a GRU of a bf16 file has the numbers of its f32 twin, with one bias, two or none, and a step those of a run") {
    Random random(72);
    constexpr std::size_t in = 10, hidden = 12, steps = 4;
    const Stored ih(random, 3 * hidden * in), hh(random, 3 * hidden * hidden);
    const std::vector<float> bias = random.row(3 * hidden);
    const auto build = [&](bool small, std::size_t biases) {
        GgufBuilder builder;
        builder.key("ranklet.gru.input_size", std::uint32_t{in})
            .key("ranklet.gru.hidden_size", std::uint32_t{hidden})
            .key("ranklet.gru.layer_count", std::uint32_t{1});
        if (small)
            builder.tensor("ranklet.gru.0.weight_ih", bf16, {3 * hidden, in}, bytes_of(ih.bits))
                .tensor("ranklet.gru.0.weight_hh", bf16, {3 * hidden, hidden}, bytes_of(hh.bits));
        else
            builder.tensor("ranklet.gru.0.weight_ih", {3 * hidden, in}, ih.values)
                .tensor("ranklet.gru.0.weight_hh", {3 * hidden, hidden}, hh.values);
        if (biases > 0) builder.tensor("ranklet.gru.0.bias_ih", {3 * hidden}, bias);
        if (biases > 1) builder.tensor("ranklet.gru.0.bias_hh", {3 * hidden}, bias);
        const Bytes bytes = builder.build();
        return ranklet::read_gru(reader_of(bytes, "gru").scope("ranklet.gru")).value();
    };
    const std::vector<float> x = random.row(steps * in);
    for (const std::size_t biases : {0u, 1u, 2u}) {
        std::vector<std::vector<float>> results;
        for (const bool small : {false, true}) {
            const auto gru = build(small, biases);
            ranklet::Scratch scratch;
            scratch.reserve(std::max(gru.scratch_size(steps), gru.step_scratch_size(1))).value();
            std::vector<float> state(hidden, 0.25f), outputs(steps * hidden);
            gru.forward({x.data(), steps, in}, state, {outputs.data(), steps, hidden}, scratch);
            results.push_back(outputs);

            std::vector<float> live(hidden, 0.25f), projected(3 * hidden);
            for (std::size_t t = 0; t < steps; ++t) {
                gru.layers().front().project_input({x.data() + t * in, 1, in}, {projected.data(), 1, 3 * hidden},
                                                   scratch);
                const float* input = projected.data();
                gru.step(&input, {live.data(), 1, hidden}, scratch);
                CHECK(same_bits(live, std::span(outputs).subspan(t * hidden, hidden)));
            }
        }
        if (!ranklet::uses_bf16_dot) {
            CHECK(same_bits(results[0], results[1]));
            continue;
        }
        // Inputs and states rounded to bf16, by at most 2^-9 of their size: ten or twelve of them below 1 meet weights
        // below 1, gates lower what is left of it.
        for (std::size_t i = 0; i < steps * hidden; ++i) CHECK(std::abs(results[0][i] - results[1][i]) < 2e-2f);
        CHECK_FALSE(same_bits(results[0], results[1]));
    }
}

TEST_CASE("threads share the outputs of a bf16 map, with the same bits") {
    Random random(74);
    constexpr std::size_t in = 256, out = 203, rows = 40;
    const Stored weight(random, out * in);
    ranklet::Linear<> linear;
    linear.assign_bf16({weight.bits.data(), out, in}, random.row(out)).value();
    const std::vector<float> x = random.row(rows * in);
    std::vector<float> one(rows * out), several(rows * out);
    ranklet::Scratch scratch;
    scratch.reserve(linear.scratch_size(rows)).value();
    linear.forward({x.data(), rows, in}, {one.data(), rows, out}, scratch);
    for (const std::size_t threads : {2u, 3u, 8u}) {
        std::fill(several.begin(), several.end(), 0.0f);
        linear.forward({x.data(), rows, in}, {several.data(), rows, out}, scratch, ranklet::Activation::identity,
                       finely(threads));
        CHECK(same_bits(several, one));
    }
}

TEST_CASE("several tensors make one layer with the bits of one tensor, of any type, and the file still has them") {
    Random random(73);
    constexpr std::size_t in = 8, out = 21, n = 3;
    const Stored stored(random, n * out * in);
    const std::vector<float> scale = random.row(n * out, 0.1f, 1.0f), x = random.row(2 * in);
    const auto cut = [](const auto& values, std::size_t p, std::size_t size) {
        return std::remove_cvref_t<decltype(values)>(values.begin() + static_cast<std::ptrdiff_t>(p * size),
                                                     values.begin() + static_cast<std::ptrdiff_t>((p + 1) * size));
    };
    for (const TensorType type : {TensorType::f32, TensorType::f16, TensorType::bf16, TensorType::i8}) {
        const auto stored_as = [&](const Stored& all, std::size_t p, std::size_t size) {
            if (type == TensorType::f32) return bytes_of(cut(all.values, p, size));
            if (type == TensorType::bf16) return bytes_of(cut(all.bits, p, size));
            Bytes bytes;
            for (std::size_t i = p * size; i < (p + 1) * size; ++i)
                if (type == TensorType::i8)
                    append(bytes, static_cast<std::int8_t>(all.values[i] * 127.0f));
                else
                    append(bytes, ranklet::f32_to_f16(all.values[i]));
            return bytes;
        };
        const auto number = static_cast<std::uint32_t>(type);
        GgufBuilder parts, whole;
        std::vector<ranklet::LinearNames> names;
        for (std::size_t p = 0; p < n; ++p) {
            const std::string name = "part" + std::to_string(p);
            parts.tensor(name, number, {out, in}, stored_as(stored, p, out * in));
            if (type == TensorType::i8) parts.tensor(name + "_scale", {out}, cut(scale, p, out));
            names.push_back({name, "none"});
        }
        whole.tensor("whole", number, {n * out, in}, stored_as(stored, 0, n * out * in));
        if (type == TensorType::i8) whole.tensor("whole_scale", {n * out}, scale);
        const std::vector<ranklet::LinearNames> whole_name{{"whole", "none"}};
        const TemporaryFolder folder;
        const Bytes bytes = parts.build(), whole_bytes = whole.build();
        const std::string path = folder.write("parts", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        const GgufFile file = GgufFile::open(path).value();
        const GgufFile whole_file = GgufFile::from_memory(whole_bytes, "whole").value();
        std::vector<std::vector<float>> results;
        for (int time = 0; time < 3; ++time) {  // the second time the tensors' pages come back
            const auto layer =
                time == 0
                    ? ranklet::read_linear(ranklet::ModelReader(whole_file), whole_name, in, n * out,
                                           {.with_scratch = true})
                          .value()
                    : ranklet::read_linear(ranklet::ModelReader(file), names, in, out, {.with_scratch = true}).value();
            CHECK(layer.is_i8() == (type == TensorType::i8));
            CHECK(layer.is_bf16() == (type == TensorType::bf16));
            ranklet::Scratch scratch;
            scratch.reserve(layer.scratch_size(2)).value();
            results.emplace_back(2 * n * out);
            layer.forward({x.data(), 2, in}, {results.back().data(), 2, n * out}, scratch);
        }
        CHECK(same_bits(results[0], results[1]));
        CHECK(same_bits(results[0], results[2]));
    }
}

TEST_CASE("an 8-bit weight of -128 or a scale that is no number is an error that names the tensor") {
    const std::vector<float> ones(2, 1.0f), wrong{1.0f, quiet_nan};
    const auto build = [](std::int8_t last, const std::vector<float>& scale) {
        const auto type = static_cast<std::uint32_t>(TensorType::i8);
        return GgufBuilder()
            .tensor("a", type, {2, 3}, bytes_of(std::vector<std::int8_t>{1, 2, 3, 4, 5, 6}))
            .tensor("a_scale", {2}, std::vector<float>(2, 1.0f))
            .tensor("b", type, {2, 3}, bytes_of(std::vector<std::int8_t>{1, 2, 3, 4, 5, last}))
            .tensor("b_scale", {2}, scale)
            .build();
    };
    const std::vector<ranklet::LinearNames> names{{"a", "none"}, {"b", "none"}};
    const auto message = [&](const Bytes& bytes) {
        const auto linear = ranklet::read_linear(reader_of(bytes, "file"), names, 3, 2, {.with_scratch = true});
        return linear.ok() ? "" : linear.error().message;
    };
    CHECK(message(build(-127, ones)) == "");
    CHECK(message(build(-128, ones)) == "file: b: an 8-bit weight is -128");
    CHECK(message(build(1, wrong)).find("b_scale[1]") != std::string::npos);
}

TEST_CASE("factors of 8-bit weights' inputs are read where the model says so; such that are none are refused by name") {
    const auto type = static_cast<std::uint32_t>(TensorType::i8);
    const auto build = [&](const std::vector<float>& factor) {
        return GgufBuilder()
            .tensor("a", type, {2, 3}, bytes_of(std::vector<std::int8_t>{1, 2, 3, 4, 5, 6}))
            .tensor("a_scale", {2}, std::vector<float>(2, 1.0f))
            .tensor("a_factor", {factor.size()}, factor)
            .tensor("b", {2, 3}, std::vector<float>(6, 1.0f))
            .tensor("b_factor", {3}, std::vector<float>(3, 1.0f))
            .build();
    };
    const auto read = [](const Bytes& bytes, const char* name, bool zero_point) {
        const std::vector<ranklet::LinearNames> names{{name, "none"}};
        return ranklet::read_linear(reader_of(bytes, "file"), names, 3, 2,
                                    {.with_scratch = true, .zero_point = zero_point});
    };
    const auto outputs = [&](const Bytes& bytes, bool zero_point) {
        const auto layer = read(bytes, "a", zero_point).value();
        ranklet::Scratch scratch;
        scratch.reserve(layer.scratch_size(1)).value();
        const std::vector<float> x{1.0f, 2.0f, 3.0f};
        std::vector<float> y(2);
        layer.forward({x.data(), 1, 3}, {y.data(), 1, 2}, scratch);
        return y;
    };
    const Bytes bytes = build({1.0f, 2.0f, 0.5f});
    const auto with = outputs(bytes, true), without = outputs(bytes, false);
    CHECK(std::abs(with[0] - (1.0f + 8.0f + 4.5f)) < 0.1f);
    CHECK(std::abs(with[1] - (4.0f + 20.0f + 9.0f)) < 0.1f);
    CHECK(std::abs(without[0] - 14.0f) < 0.1f);
    const auto message = [&](const Bytes& file, const char* name) {
        const auto linear = read(file, name, true);
        return linear.ok() ? "" : linear.error().message;
    };
    CHECK(message(build({1.0f, 0.0f, 1.0f}), "a") == "file: a_factor[1] is 0.000000, expected a finite number above 0");
    CHECK(message(build({1.0f, 1.0f, infinity}), "a").find("a_factor[2]") != std::string::npos);
    CHECK(message(build({quiet_nan, 1.0f, 1.0f}), "a").find("a_factor[0]") != std::string::npos);
    CHECK(message(build({1.0f, 1.0f}), "a").find("a_factor") != std::string::npos);
    CHECK(message(bytes, "b") == "file: b_factor is for 8-bit weights, these have another type");
}

TEST_CASE("a block for a file's matrices has room for what they take when packed, by the type they stay in") {
    const auto bytes_for = [](TensorType type, std::size_t element) {
        const Bytes bytes =
            GgufBuilder()
                .tensor("blk.0.w", static_cast<std::uint32_t>(type), {2048, 1024}, Bytes(2048 * 1024 * element))
                .tensor("other.w", {2048, 1024}, std::vector<float>(2048 * 1024))
                .tensor("blk.0.b", {1024}, std::vector<float>(1024))
                .build();
        return ranklet::detail::make_block(GgufFile::from_memory(bytes, "file").value(), "blk.").rest();
    };
    CHECK(bytes_for(TensorType::f32, 4) == 2048 * 1024 * 4);
    CHECK(bytes_for(TensorType::f16, 2) == 2048 * 1024 * 4);
    CHECK(bytes_for(TensorType::bf16, 2) == 2048 * 1024 * 2);
    CHECK(bytes_for(TensorType::i8, 1) == 0);  // too small for large pages
}

TEST_CASE("a tensor of another shape, or a GRU whose parts do not fit, is an error that names file and tensor") {
    const Bytes bytes = GgufBuilder().tensor("a.weight", {2, 3}, std::vector<float>(6, 1.0f)).build();
    const auto linear = ranklet::read_linear(reader_of(bytes, "small.gguf"), "a", 4, 2);
    REQUIRE_FALSE(linear.ok());
    CHECK(linear.error().message.find("small.gguf") != std::string::npos);
    CHECK(linear.error().message.find("a.weight") != std::string::npos);
    ranklet::Linear<> one, two;
    const std::vector<float> weight(12, 1.0f);
    one.assign({weight.data(), 6, 2}).value();
    two.assign({weight.data(), 4, 2}).value();
    ranklet::Gru<> gru;
    CHECK_FALSE(gru.assign(std::move(one), std::move(two)).ok());
}
