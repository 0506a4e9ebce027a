// SplitMix64 (Steele, Lea and Flood 2014): numbers drawn from a seed, the same on every machine.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

struct SplitMix {
    std::uint64_t state;
    std::uint64_t next() noexcept {
        std::uint64_t z = state += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        return z ^ z >> 31;
    }
    /// Below `end`, which is far below 2^64: the bias is beyond notice.
    std::size_t below(std::size_t end) noexcept { return static_cast<std::size_t>(next() % end); }
};

}  // namespace detail
RANKLET_NAMESPACE_END
