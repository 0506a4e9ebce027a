// WeightBlock: buffers in one block, which they keep alive; memory of their own when there is none left.
#include "ranklet/core/weight_block.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace {

using ranklet::AlignedBuffer;
using ranklet::WeightBlock;

constexpr std::size_t megabyte = std::size_t{1} << 20;

template <class T>
AlignedBuffer<T> take(WeightBlock& block, std::size_t count) {
    auto buffer = block.take<T>(count);
    REQUIRE(buffer.ok());
    REQUIRE(buffer->size() == count);
    CHECK(reinterpret_cast<std::uintptr_t>(buffer->data()) % ranklet::alignment == 0);
    return std::move(*buffer);
}

}  // namespace

TEST_CASE("buffers of a block lie one after the other, share no byte, and outlive it and their moves") {
    std::vector<AlignedBuffer<float>> floats;
    AlignedBuffer<std::int8_t> bytes;
    {
        WeightBlock block(5 * megabyte + 3);
        for (const std::size_t count : {1u, 17u, 1000u, 500000u}) {
            floats.push_back(take<float>(block, count));
            for (float& x : floats.back()) x = static_cast<float>(count);
        }
        bytes = take<std::int8_t>(block, 100);
        for (auto& x : bytes) x = 7;
        CHECK(block.rest() < 5 * megabyte - 2000000);
        const auto* first = reinterpret_cast<const char*>(floats.front().data());
        CHECK(reinterpret_cast<const char*>(bytes.data()) - first < static_cast<std::ptrdiff_t>(5 * megabyte));
    }
    AlignedBuffer<float> moved = std::move(floats[2]);
    floats[0] = {};
    floats[1] = std::move(moved);
    for (const float x : floats[1]) REQUIRE(x == 1000.0f);
    for (const float x : floats[3]) REQUIRE(x == 500000.0f);
    for (const auto x : bytes) REQUIRE(x == 7);
}

TEST_CASE("what does not fit into a block gets memory of its own; what nobody can hold is an error") {
    WeightBlock block(4 * megabyte), small(1000), none, absurd(std::numeric_limits<std::size_t>::max());
    CHECK(small.rest() == 0);
    CHECK(absurd.rest() == 0);
    auto whole = take<std::uint16_t>(block, 2 * megabyte), more = take<std::uint16_t>(block, 3);
    CHECK(block.rest() == 0);
    whole[2 * megabyte - 1] = 1;
    more[2] = 2;
    for (WeightBlock* each : {&block, &small, &none, &absurd}) {
        for (float& x : take<float>(*each, 2 * megabyte)) x = 1.0f;
        CHECK(take<float>(*each, 0).empty());
        CHECK_FALSE(each->take<double>(std::numeric_limits<std::size_t>::max() / 8).ok());
    }
    CHECK(whole[2 * megabyte - 1] == 1);
    CHECK(more[2] == 2);
}
