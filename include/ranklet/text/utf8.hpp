// UTF-8: strict validation, decoding of valid text, encoding.
// In: bytes. Out: code points, or the offset of the first byte that is not UTF-8.
// From the Unicode Standard, section 3.9, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

namespace utf8 {

/// Byte offset of the first ill-formed sequence of `text`, or `text.size()` when all of it is UTF-8.
inline std::size_t valid_prefix(std::string_view text) noexcept {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    const std::size_t size = text.size();
    std::size_t i = 0;
    while (i < size) {
        if (bytes[i] < 0x80) {
            ++i;
            while (i + 8 <= size) {
                std::uint64_t word;
                std::memcpy(&word, bytes + i, 8);
                if ((word & 0x8080808080808080u) != 0) break;
                i += 8;
            }
            continue;
        }
        const unsigned lead = bytes[i];
        std::size_t length = 0;
        unsigned low = 0x80;
        unsigned high = 0xBF;
        if (lead >= 0xC2 && lead <= 0xDF) {
            length = 2;
        } else if (lead >= 0xE0 && lead <= 0xEF) {
            length = 3;
            if (lead == 0xE0) low = 0xA0;
            if (lead == 0xED) high = 0x9F;
        } else if (lead >= 0xF0 && lead <= 0xF4) {
            length = 4;
            if (lead == 0xF0) low = 0x90;
            if (lead == 0xF4) high = 0x8F;
        } else {
            return i;
        }
        if (size - i < length || bytes[i + 1] < low || bytes[i + 1] > high) return i;
        for (std::size_t k = 2; k < length; ++k)
            if ((bytes[i + k] & 0xC0u) != 0x80) return i;
        i += length;
    }
    return size;
}

/// The code point that starts at `p`, and its length in bytes. Precondition: `p` starts a valid sequence.
inline std::uint32_t decode(const unsigned char* p, std::uint32_t& length) noexcept {
    if (p[0] < 0x80) return length = 1, p[0];
    if (p[0] < 0xE0) return length = 2, (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
    if (p[0] < 0xF0) return length = 3, (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    return length = 4, (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
}

/// Writes `code` to `p` (room for 4 bytes) and returns its length. Precondition: `code` is a Unicode scalar value.
inline std::uint32_t encode(std::uint32_t code, char* p) noexcept {
    if (code < 0x80) {
        p[0] = static_cast<char>(code);
        return 1;
    }
    const auto trail = [code](unsigned shift) { return static_cast<char>(0x80u | ((code >> shift) & 0x3Fu)); };
    if (code < 0x800) {
        p[0] = static_cast<char>(0xC0u | code >> 6);
        p[1] = trail(0);
        return 2;
    }
    if (code < 0x10000) {
        p[0] = static_cast<char>(0xE0u | code >> 12);
        p[1] = trail(6);
        p[2] = trail(0);
        return 3;
    }
    p[0] = static_cast<char>(0xF0u | code >> 18);
    p[1] = trail(12);
    p[2] = trail(6);
    p[3] = trail(0);
    return 4;
}

/// Code points of valid text.
inline std::size_t count(std::string_view text) noexcept {
    std::size_t code_points = 0;
    for (const char c : text) code_points += (static_cast<unsigned char>(c) & 0xC0u) != 0x80;
    return code_points;
}

/// The code point that ends right before byte `end` of valid, non-empty text.
inline std::uint32_t last_before(std::string_view text, std::size_t end) noexcept {
    std::size_t start = end - 1;
    while ((static_cast<unsigned char>(text[start]) & 0xC0u) == 0x80) --start;
    std::uint32_t length = 0;
    return decode(reinterpret_cast<const unsigned char*>(text.data()) + start, length);
}

}  // namespace utf8

RANKLET_NAMESPACE_END
