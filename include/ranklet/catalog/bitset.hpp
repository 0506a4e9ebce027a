// Bitset: which of n items are meant, one bit an item.
// In: a size, single places, other bitsets of the same size. Out: membership, counts, words to walk over.
#pragma once

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdint>
#include <span>
#include <vector>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// A value of n bits, in words of 64, the lowest bit first. Bits beyond n are always zero.
class Bitset {
public:
    static constexpr std::size_t word_bits = 64;

    Bitset() = default;
    /// `size` bits, all of this value.
    explicit Bitset(std::size_t size, bool value = false)
        : words_((size + word_bits - 1) / word_bits, value ? ~std::uint64_t{0} : 0), size_(size) {
        clear_tail();
    }

    std::size_t size() const noexcept { return size_; }
    /// Precondition of the three: place < size().
    bool test(std::size_t place) const noexcept {
        assert(place < size_);
        return (words_[place / word_bits] >> place % word_bits & 1u) != 0;
    }
    void set(std::size_t place) noexcept {
        assert(place < size_);
        words_[place / word_bits] |= std::uint64_t{1} << place % word_bits;
    }
    void reset(std::size_t place) noexcept {
        assert(place < size_);
        words_[place / word_bits] &= ~(std::uint64_t{1} << place % word_bits);
    }
    /// Bits that are set.
    std::size_t count() const noexcept {
        std::size_t total = 0;
        for (const std::uint64_t word : words_) total += static_cast<std::size_t>(std::popcount(word));
        return total;
    }

    /// Precondition of both: the sizes are the same.
    Bitset& operator&=(const Bitset& other) noexcept {
        assert(size_ == other.size_);
        for (std::size_t w = 0; w < words_.size(); ++w) words_[w] &= other.words_[w];
        return *this;
    }
    Bitset& operator|=(const Bitset& other) noexcept {
        assert(size_ == other.size_);
        for (std::size_t w = 0; w < words_.size(); ++w) words_[w] |= other.words_[w];
        return *this;
    }
    /// Every bit becomes the other.
    Bitset& flip() noexcept {
        for (std::uint64_t& word : words_) word = ~word;
        clear_tail();
        return *this;
    }
    friend bool operator==(const Bitset&, const Bitset&) = default;

    std::span<const std::uint64_t> words() const noexcept { return words_; }

    /// Calls `function(place)` for each bit that is not set, in order.
    template <class Function>
    void for_each_clear(const Function& function) const {
        for (std::size_t w = 0; w < words_.size(); ++w) {
            const std::size_t first = w * word_bits, bits = std::min(word_bits, size_ - first);
            std::uint64_t clear = ~words_[w];
            if (bits < word_bits) clear &= (std::uint64_t{1} << bits) - 1;
            for (; clear != 0; clear &= clear - 1) function(first + static_cast<std::size_t>(std::countr_zero(clear)));
        }
    }

private:
    void clear_tail() noexcept {
        if (size_ % word_bits != 0) words_.back() &= (std::uint64_t{1} << size_ % word_bits) - 1;
    }
    std::vector<std::uint64_t> words_;
    std::size_t size_ = 0;
};

RANKLET_NAMESPACE_END
