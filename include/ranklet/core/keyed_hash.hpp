// KeyedHash: a hash of strings that outsiders choose (ids, attributes' values), under a key of this process.
// In: bytes. Out: 64 bits. Who does not know the key cannot make strings that collide; no result depends on it.
// SipHash with one round a word and three at the end (Aumasson and Bernstein 2012), as hash tables use it.
#pragma once

#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__unix__)
#include <unistd.h>
#elif defined(__APPLE__)
#include <sys/random.h>
#endif

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

struct HashKey {
    std::uint64_t first, second;
};

/// The key of this process: from the operating system, or from an address and the time where it gives none.
const HashKey& process_hash_key() noexcept;
/// SipHash-1-3 of the bytes.
std::uint64_t siphash(std::string_view bytes, const HashKey& key) noexcept;

/// For the standard library's hash tables.
struct KeyedHash {
    std::size_t operator()(std::string_view text) const noexcept {
        return static_cast<std::size_t>(siphash(text, process_hash_key()));
    }
};

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

RANKLET_NAMESPACE_BEGIN
namespace detail {

RANKLET_COLD RANKLET_FUNC HashKey make_hash_key() noexcept {
    HashKey key{};
#if defined(__unix__) || defined(__APPLE__)
    if (::getentropy(&key, sizeof key) == 0) return key;
#endif
    key.first = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&key)) * 0x9E3779B97F4A7C15u;
    key.second = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    return key;
}

RANKLET_FUNC const HashKey& process_hash_key() noexcept {
    static const HashKey key = make_hash_key();
    return key;
}

RANKLET_FUNC std::uint64_t siphash(std::string_view bytes, const HashKey& key) noexcept {
    std::uint64_t a = key.first ^ 0x736F6D6570736575u, b = key.second ^ 0x646F72616E646F6Du;
    std::uint64_t c = key.first ^ 0x6C7967656E657261u, d = key.second ^ 0x7465646279746573u;
    const auto round = [&]() {
        a += b, b = std::rotl(b, 13) ^ a, a = std::rotl(a, 32);
        c += d, d = std::rotl(d, 16) ^ c;
        a += d, d = std::rotl(d, 21) ^ a;
        c += b, b = std::rotl(b, 17) ^ c, c = std::rotl(c, 32);
    };
    const auto take = [&](std::uint64_t word) {
        d ^= word;
        round();
        a ^= word;
    };
    std::uint64_t word = 0;
    std::size_t at = 0;
    for (; bytes.size() - at >= sizeof word; at += sizeof word) {
        std::memcpy(&word, bytes.data() + at, sizeof word);
        take(word);
    }
    word = static_cast<std::uint64_t>(bytes.size()) << 56;  // the last bytes, and how many there were
    for (std::size_t i = 0; at + i < bytes.size(); ++i)
        word |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at + i])) << 8 * i;
    take(word);
    c ^= 0xFF;
    for (int i = 0; i < 3; ++i) round();
    return a ^ b ^ c ^ d;
}

}  // namespace detail
RANKLET_NAMESPACE_END
#endif
