// Stored tensors as rows of f32.
#include "ranklet/core/tensor.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/reference.hpp"
#include "ranklet/core/half.hpp"
#include "ranklet/io/gguf.hpp"
#include "results.hpp"

namespace {

using namespace ranklet;
using namespace ranklet_test;

/// A tensor over `bytes`, which begin one byte after the vector's start, so that no number is aligned.
TensorView unaligned_view(const std::vector<std::byte>& bytes, TensorType type, std::size_t rows, std::size_t cols) {
    TensorView tensor;
    tensor.name = "t";
    tensor.type = type;
    tensor.rows = rows;
    tensor.cols = cols;
    tensor.dims = {rows, cols, 1, 1};
    tensor.rank = 2;
    tensor.data = bytes.data() + 1;
    tensor.bytes = bytes.size() - 1;
    return tensor;
}

template <class T>
void append(std::vector<std::byte>& bytes, T value) {
    bytes.resize(bytes.size() + sizeof value);
    std::memcpy(bytes.data() + bytes.size() - sizeof value, &value, sizeof value);
}

std::vector<float> row(const TensorView& tensor, std::size_t r) {
    std::vector<float> values(tensor.cols, -1.0f);
    dequantize_row(tensor, r, values.data());
    return values;
}

}  // namespace

TEST_CASE("rows of f32, f16 and bf16 come out as their numbers, at any address") {
    std::vector<std::byte> f32(1), f16(1), bf16(1);
    for (const float value : {0.5f, -1.25f, 65504.0f, 0.0f, 3.0f, -0.125f}) {
        append(f32, value);
        append(f16, f32_to_f16(value));
        append(bf16, f32_to_bf16(value));
    }
    CHECK(row(unaligned_view(f32, TensorType::f32, 2, 3), 0) == std::vector<float>{0.5f, -1.25f, 65504.0f});
    CHECK(row(unaligned_view(f32, TensorType::f32, 2, 3), 1) == std::vector<float>{0.0f, 3.0f, -0.125f});
    CHECK(row(unaligned_view(f32, TensorType::f32, 3, 2), 1) == std::vector<float>{65504.0f, 0.0f});
    CHECK(row(unaligned_view(f16, TensorType::f16, 2, 3), 0) == std::vector<float>{0.5f, -1.25f, 65504.0f});
    CHECK(row(unaligned_view(f16, TensorType::f16, 2, 3), 1) == std::vector<float>{0.0f, 3.0f, -0.125f});
    CHECK(row(unaligned_view(bf16, TensorType::bf16, 2, 3), 0) == std::vector<float>{0.5f, -1.25f, 65536.0f});
}

TEST_CASE("blocks of every type hold what the gguf package reads of them, whole rows and rows that are cut") {
    const GgufFile file = take(GgufFile::open("tests/parity/goldens/blocks.gguf"));
    for (const std::string name : {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"}) {
        CAPTURE(name);
        TensorView stored = take(file.tensor(name));
        const TensorView values = take(file.tensor(name + ".values"));
        CHECK(to_string(stored.type) == name);
        REQUIRE(stored.cols == 512);
        std::vector<float> found(512), expected(512);
        for (std::size_t r = 0; r < stored.rows; ++r) {
            dequantize_row(values, r, expected.data());
            dequantize_row(stored, r, found.data());
            CHECK(same_bits(found, expected));
        }
        stored.cols = 300;
        std::vector<float> cut(301, 99.0f);
        dequantize_row(stored, 2, cut.data());
        CHECK(std::equal(cut.begin(), cut.end() - 1, expected.begin()));
        CHECK(cut.back() == 99.0f);
    }
}

TEST_CASE("a q8_0 row is its blocks' scales times their bytes") {
    std::vector<std::byte> bytes(1);
    std::array<std::vector<float>, 2> expected;
    for (std::size_t r = 0; r < 2; ++r)
        for (std::size_t block = 0; block < 3; ++block) {
            const float scale = 0.25f * static_cast<float>(1 + r * 3 + block);
            append(bytes, f32_to_f16(scale));
            for (int i = 0; i < 32; ++i) {
                const auto value = static_cast<std::int8_t>(i == 0 ? -128 : i == 1 ? 127 : i * 5 - 80);
                append(bytes, value);
                expected[r].push_back(scale * static_cast<float>(value));
            }
        }
    const TensorView tensor = unaligned_view(bytes, TensorType::q8_0, 2, 96);
    CHECK(tensor.row_bytes() == 102);
    CHECK(row(tensor, 0) == expected[0]);
    CHECK(row(tensor, 1) == expected[1]);
}

TEST_CASE("tensor types have GGML's names") {
    CHECK(to_string(TensorType::f32) == "F32");
    CHECK(to_string(TensorType::q8_0) == "Q8_0");
    CHECK(to_string(TensorType::i8) == "I8");
    CHECK(to_string(TensorType::bf16) == "BF16");
    CHECK(to_string(static_cast<TensorType>(12)) == "Q4_K");
    CHECK(to_string(static_cast<TensorType>(4)) == "type 4");
    CHECK(to_string(static_cast<TensorType>(4000000000u)) == "type 4000000000");
}
