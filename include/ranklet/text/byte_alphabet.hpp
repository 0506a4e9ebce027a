// The byte alphabet of byte-level BPE: each of the 256 bytes as a character that can be seen.
// In: bytes. Out: characters; and back. From GPT-2's `bytes_to_unicode`.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ranklet/core/config.hpp"
#include "ranklet/text/aligned_text.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// The character of each byte: itself where it can be seen, else the next one from U+0100 on.
inline constexpr std::array<std::uint16_t, 256> byte_characters = [] {
    std::array<std::uint16_t, 256> out{};
    std::uint16_t next = 256;
    for (unsigned byte = 0; byte < 256; ++byte) {
        const bool seen = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
        out[byte] = seen ? static_cast<std::uint16_t>(byte) : next++;
    }
    return out;
}();
/// The byte of each character below U+0144; 256: none.
inline constexpr std::array<std::uint16_t, 0x144> character_bytes = [] {
    std::array<std::uint16_t, 0x144> out{};
    for (auto& byte : out) byte = 256;
    for (std::uint16_t byte = 0; byte < 256; ++byte) out[byte_characters[byte]] = byte;
    return out;
}();

/// The bytes that `text` (valid UTF-8) spells in the alphabet; none where it has another character.
inline std::optional<std::string> from_byte_alphabet(std::string_view text) {
    std::string out;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    std::uint32_t length = 0;
    for (std::size_t i = 0; i < text.size(); i += length) {
        const std::uint32_t code = utf8::decode(bytes + i, length);
        if (code >= character_bytes.size() || character_bytes[code] > 255) return std::nullopt;
        out.push_back(static_cast<char>(character_bytes[code]));
    }
    return out;
}

/// Each byte as its character, which comes from where the byte's character came from.
inline void to_byte_alphabet(const AlignedView& from, AlignedText& to) {
    to.clear();
    for (std::size_t i = 0; i < from.text.size(); ++i)
        to.push(byte_characters[static_cast<unsigned char>(from.text[i])], from.span(i, i + 1));
}

}  // namespace detail
RANKLET_NAMESPACE_END
