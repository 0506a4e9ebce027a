// Scratch: blocks that do not overlap, frames that give back, memory that grows only on request.
#include "ranklet/core/scratch.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace {

using ranklet::Scratch;
using ranklet::scratch_bytes;
using ranklet::ScratchFrame;

}  // namespace

TEST_CASE("blocks are aligned, do not overlap and fill exactly what scratch_bytes says") {
    Scratch scratch;
    REQUIRE(scratch.reserve(scratch_bytes<float>(3) + scratch_bytes<char>(1) + scratch_bytes<double>(9)).ok());
    const ScratchFrame frame(scratch);
    float* a = scratch.take<float>(3);
    char* b = scratch.take<char>(1);
    double* c = scratch.take<double>(9);
    for (const void* p : {static_cast<void*>(a), static_cast<void*>(b), static_cast<void*>(c)})
        CHECK(reinterpret_cast<std::uintptr_t>(p) % ranklet::alignment == 0);
    CHECK(reinterpret_cast<char*>(a) + scratch_bytes<float>(3) == b);
    CHECK(b + scratch_bytes<char>(1) == reinterpret_cast<char*>(c));
    CHECK(reinterpret_cast<char*>(c + 9) <= reinterpret_cast<char*>(a) + scratch.capacity());
}

TEST_CASE("a frame gives back what was taken in it and nothing else") {
    Scratch scratch;
    REQUIRE(scratch.reserve(10 * ranklet::alignment).ok());
    const ScratchFrame outer(scratch);
    int* kept = scratch.take<int>(1);
    *kept = 42;
    int* first = nullptr;
    for (int round = 0; round < 100; ++round) {  // would run out many times over
        const ScratchFrame inner(scratch);
        int* taken = scratch.take<int>(16 * 8);
        if (first == nullptr) first = taken;
        CHECK(taken == first);
        taken[0] = round;
    }
    CHECK(*kept == 42);
    CHECK(scratch.take<int>(1) == first);
}

TEST_CASE("reserve grows, never shrinks, and keeps its memory when that suffices") {
    Scratch scratch;
    REQUIRE(scratch.reserve(100).ok());
    const auto place = [&] {
        const ScratchFrame frame(scratch);
        return scratch.take<char>(1);
    };
    char* before = place();
    REQUIRE(scratch.reserve(10).ok());
    REQUIRE(scratch.reserve(100).ok());
    CHECK(scratch.capacity() == 100);
    CHECK(place() == before);
    REQUIRE(scratch.reserve(100000).ok());
    CHECK(scratch.capacity() == 100000);
    const auto refused = scratch.reserve(static_cast<std::size_t>(-1));
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == ranklet::ErrorCode::out_of_memory);
}

TEST_CASE("scratch_bytes rounds up to whole cache lines") {
    CHECK(scratch_bytes<float>(0) == 0);
    CHECK(scratch_bytes<float>(1) == 64);
    CHECK(scratch_bytes<float>(16) == 64);
    CHECK(scratch_bytes<float>(17) == 128);
    CHECK(scratch_bytes<double>(8) == 64);
}

TEST_CASE("a Scratch over foreign memory gives blocks of it and owns nothing") {
    Scratch whole;
    REQUIRE(whole.reserve(4 * ranklet::alignment).ok());
    const ScratchFrame frame(whole);
    std::byte* memory = whole.take<std::byte>(2 * ranklet::alignment);
    {
        Scratch part = Scratch::over(memory, 2 * ranklet::alignment);
        CHECK(part.capacity() == 2 * ranklet::alignment);
        const ScratchFrame inner(part);
        CHECK(part.take<std::byte>(1) == memory);
        CHECK(part.take<std::byte>(1) == memory + ranklet::alignment);
        Scratch moved = std::move(part);
        CHECK(moved.capacity() == 2 * ranklet::alignment);
    }
    CHECK(whole.take<std::byte>(1) == memory + 2 * ranklet::alignment);
}

TEST_CASE(
    "rows of a temporary matrix are an odd number of cache lines apart where they are long, and close where not") {
    CHECK(ranklet::scratch_stride<float>(1) == 1);
    CHECK(ranklet::scratch_stride<float>(239) == 239);
    CHECK(ranklet::scratch_stride<float>(241) == 17 * 16);
    CHECK(ranklet::scratch_stride<float>(272) == 17 * 16);
    CHECK(ranklet::scratch_stride<float>(3072) == 193 * 16);
    CHECK(ranklet::scratch_stride<double>(3072) == 385 * 8);
    Scratch scratch;
    REQUIRE(scratch.reserve(ranklet::scratch_matrix_bytes<float>(3, 1024)).ok());
    const ScratchFrame frame(scratch);
    const auto matrix = ranklet::scratch_matrix<float>(scratch, 3, 1024);
    CHECK(matrix.rows == 3);
    CHECK(matrix.cols == 1024);
    CHECK(matrix.stride == 65 * 16);
}
