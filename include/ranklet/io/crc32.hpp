// CRC-32, the checksum of zlib, gzip and PNG.
// In: bytes. Out: the 32-bit checksum.
// Formula: reflected polynomial 0xEDB88320 (ISO 3309, RFC 1952), eight bytes a step through eight tables.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

namespace detail {
using Crc32Tables = std::array<std::array<std::uint32_t, 256>, 8>;

/// tables[n][b]: the remainder of byte b followed by n zero bytes.
constexpr Crc32Tables make_crc32_tables() noexcept {
    Crc32Tables tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t remainder = byte;
        for (int bit = 0; bit < 8; ++bit) remainder = remainder >> 1 ^ ((remainder & 1u) != 0 ? 0xEDB88320u : 0u);
        tables[0][byte] = remainder;
    }
    for (std::size_t n = 1; n < tables.size(); ++n)
        for (std::size_t byte = 0; byte < 256; ++byte) {
            const std::uint32_t previous = tables[n - 1][byte];
            tables[n][byte] = previous >> 8 ^ tables[0][previous & 0xFFu];
        }
    return tables;
}
inline constexpr Crc32Tables crc32_tables = make_crc32_tables();
}  // namespace detail

/// zlib's `crc32(before, bytes)`: the checksum of all that led to `before` with these bytes behind it.
constexpr std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before = 0) noexcept {
    const auto& tables = detail::crc32_tables;
    const auto word = [](const std::byte* at) noexcept {
        std::uint32_t value = 0;
        for (std::uint32_t i = 0; i < 4; ++i) value |= std::to_integer<std::uint32_t>(at[i]) << 8 * i;
        return value;
    };
    std::uint32_t crc = ~before;
    std::size_t i = 0;
    for (; bytes.size() - i >= 8; i += 8) {
        const std::uint32_t low = crc ^ word(bytes.data() + i), high = word(bytes.data() + i + 4);
        crc = tables[7][low & 0xFFu] ^ tables[6][low >> 8 & 0xFFu] ^ tables[5][low >> 16 & 0xFFu] ^
              tables[4][low >> 24] ^ tables[3][high & 0xFFu] ^ tables[2][high >> 8 & 0xFFu] ^
              tables[1][high >> 16 & 0xFFu] ^ tables[0][high >> 24];
    }
    for (; i < bytes.size(); ++i) crc = crc >> 8 ^ tables[0][(crc ^ std::to_integer<std::uint32_t>(bytes[i])) & 0xFFu];
    return ~crc;
}

RANKLET_NAMESPACE_END
