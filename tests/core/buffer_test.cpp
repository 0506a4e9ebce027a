// AlignedBuffer and Matrix: zeroed, aligned, moved, and refused when absurd.
#include "ranklet/core/buffer.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <utility>

#include "ranklet/core/matrix.hpp"

namespace {

using ranklet::AlignedBuffer;
using ranklet::ErrorCode;
using ranklet::Matrix;

bool aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % ranklet::alignment == 0; }

}  // namespace

TEST_CASE("a buffer is zero and starts on a cache line, whatever its size") {
    for (std::size_t n : {1u, 2u, 3u, 15u, 16u, 17u, 1000u}) {
        auto buffer = AlignedBuffer<float>::zeroed(n);
        REQUIRE(buffer.ok());
        CHECK(buffer->size() == n);
        CHECK(aligned(buffer->data()));
        for (const float x : *buffer) CHECK(x == 0.0f);
    }
}

TEST_CASE("an uninitialised buffer is as large and aligned, and its memory is its own") {
    for (std::size_t n : {1u, 17u, 1000u, 3000000u}) {
        auto buffer = AlignedBuffer<float>::uninitialized(n);
        REQUIRE(buffer.ok());
        CHECK(buffer->size() == n);
        CHECK(aligned(buffer->data()));
        for (float& x : *buffer) x = 1.0f;
        CHECK((*buffer)[n - 1] == 1.0f);
    }
    CHECK(AlignedBuffer<float>::uninitialized(0)->empty());
    CHECK_FALSE(AlignedBuffer<float>::uninitialized(std::numeric_limits<std::size_t>::max()).ok());
}

TEST_CASE("moving a buffer hands its memory over and leaves nothing behind") {
    auto first = AlignedBuffer<int>::zeroed(4);
    REQUIRE(first.ok());
    (*first)[2] = 7;
    const int* memory = first->data();
    AlignedBuffer<int> second(std::move(*first));
    CHECK(second.data() == memory);
    CHECK(second[2] == 7);
    CHECK(first->empty());
    AlignedBuffer<int> third = *AlignedBuffer<int>::zeroed(9);
    third = std::move(second);
    CHECK(third.data() == memory);
    CHECK(third.size() == 4);
    AlignedBuffer<int>& same = third;
    third = std::move(same);
    CHECK(third.data() == memory);
}

TEST_CASE("an absurd size is an out_of_memory error, not an overflow") {
    const std::size_t most = std::numeric_limits<std::size_t>::max();
    for (const std::size_t n : {most, most / 2, most / 4, most / 8 + 1}) {
        const auto buffer = AlignedBuffer<double>::zeroed(n);
        REQUIRE_FALSE(buffer.ok());
        CHECK(buffer.error().code == ErrorCode::out_of_memory);
        CHECK(buffer.error().message.find(std::to_string(n)) != std::string::npos);
    }
    for (const auto& [rows, cols] :
         {std::pair{most, std::size_t{2}}, std::pair{std::size_t{1} << 33, std::size_t{1} << 33},
          std::pair{std::size_t{2}, most}}) {
        const auto matrix = Matrix::zeroed(rows, cols);
        REQUIRE_FALSE(matrix.ok());
        CHECK(matrix.error().code == ErrorCode::out_of_memory);
    }
}

TEST_CASE("an empty buffer and an empty matrix hold nothing") {
    const auto buffer = AlignedBuffer<float>::zeroed(0);
    REQUIRE(buffer.ok());
    CHECK(buffer->empty());
    CHECK(buffer->begin() == buffer->end());
    for (const auto& [rows, cols] : {std::pair{0, 5}, std::pair{5, 0}, std::pair{0, 0}}) {
        const auto matrix = Matrix::zeroed(static_cast<std::size_t>(rows), static_cast<std::size_t>(cols));
        REQUIRE(matrix.ok());
        CHECK(matrix->empty());
        CHECK(matrix->rows() == static_cast<std::size_t>(rows));
    }
}

TEST_CASE("a matrix's rows lie one after the other, and its views see the same numbers") {
    auto matrix = Matrix::zeroed(3, 5);
    REQUIRE(matrix.ok());
    for (std::size_t r = 0; r < 3; ++r)
        for (std::size_t c = 0; c < 5; ++c) matrix->row(r)[c] = static_cast<float>(10 * r + c);
    const ranklet::MatrixView<const float> view = matrix->view();
    CHECK(view(2, 4) == 24.0f);
    CHECK(view.data[7] == 12.0f);
    const auto middle = view.middle_rows(1, 2);
    CHECK(middle.rows == 2);
    CHECK(middle(0, 0) == 10.0f);
    CHECK(middle(1, 3) == 23.0f);
}
