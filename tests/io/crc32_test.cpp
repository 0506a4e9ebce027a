// CRC-32 against published values and its definition, bit by bit.
#include "ranklet/io/crc32.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <string_view>
#include <vector>

namespace {

std::uint32_t of_text(std::string_view text) {
    return ranklet::crc32(std::as_bytes(std::span<const char>(text.data(), text.size())));
}

/// The definition: divide by the polynomial, one bit at a time.
std::uint32_t by_definition(std::span<const std::byte> bytes) {
    std::uint32_t remainder = 0xFFFFFFFFu;
    for (const std::byte byte : bytes)
        for (int bit = 0; bit < 8; ++bit) {
            const bool odd = ((remainder ^ std::to_integer<std::uint32_t>(byte) >> bit) & 1u) != 0;
            remainder = remainder >> 1 ^ (odd ? 0xEDB88320u : 0u);
        }
    return ~remainder;
}

}  // namespace

TEST_CASE("CRC-32 has the published check values") {
    CHECK(of_text("") == 0u);
    CHECK(of_text("123456789") == 0xCBF43926u);
    CHECK(of_text("The quick brown fox jumps over the lazy dog") == 0x414FA339u);
}

TEST_CASE("CRC-32 is the polynomial's remainder for every length and alignment") {
    std::mt19937 random(7);
    std::vector<std::byte> bytes(300);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    for (std::size_t start = 0; start < 9; ++start)
        for (std::size_t length = 0; start + length <= bytes.size(); ++length) {
            const std::span<const std::byte> part = std::span<const std::byte>(bytes).subspan(start, length);
            if (ranklet::crc32(part) != by_definition(part)) FAIL_CHECK("start ", start, ", length ", length);
        }
}
