// ByteTrie: byte strings to integers, for walking one byte at a time (a double array).
// In: distinct, sorted keys and their values. Out: a node a byte, and the value of the key that ends there.
// From J. Aoe, "An Efficient Digital Search Algorithm by Using a Double-Array Structure", 1989.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// A unit holds its children's base (upper 24 bits), the byte that leads to it (lower 8 bits) and a value. The child by
/// byte b of a node is unit base + b, if that unit's byte is b: every base belongs to one node only, so the byte alone
/// tells whose child a unit is. Byte 0 marks units that are free; a key's own byte 0 walks as 0xFF, which UTF-8 lacks.
class ByteTrie {
public:
    using Node = std::uint32_t;
    static constexpr Node root = 0;
    static constexpr Node none = 0xFFFFFFFF;
    static constexpr std::int32_t no_value = -1;

    ByteTrie() : units_(257) {}

    /// `keys` in ascending byte order, without duplicates and without 0xFF; values are not negative. An empty key is
    /// left out. Error `unsupported` when the keys need more than 2^24 units.
    static Result<ByteTrie> create(std::span<const std::string_view> keys, std::span<const std::int32_t> values) {
        ByteTrie trie;
        Builder builder(trie.units_);
        struct Range {
            std::uint32_t first, last;  // keys that begin as `node` says
            Node node;
        };
        std::vector<Range> level, next_level;
        std::size_t start = 0;
        while (start < keys.size() && keys[start].empty()) ++start;
        if (keys.size() > none) return too_large();
        if (start < keys.size())
            level.push_back({static_cast<std::uint32_t>(start), static_cast<std::uint32_t>(keys.size()), root});
        std::vector<unsigned> labels;
        std::vector<std::uint32_t> bounds;
        for (std::size_t depth = 0; !level.empty(); ++depth) {  // breadth first: the hot, upper nodes lie together
            next_level.clear();
            for (const Range range : level) {
                labels.clear();
                bounds.clear();
                std::uint32_t i = range.first;
                if (keys[i].size() == depth) {
                    trie.units_[range.node].value = values[i];
                    ++i;
                }
                for (; i < range.last; ++i) {
                    const unsigned label = label_of(keys[i][depth]);
                    if (!labels.empty() && labels.back() == label) continue;
                    labels.push_back(label);
                    bounds.push_back(i);
                }
                if (labels.empty()) continue;
                bounds.push_back(range.last);
                const std::uint32_t base = builder.place(labels);
                if (base == 0) return too_large();
                trie.units_[range.node].base_and_byte |= base << 8;
                for (std::size_t k = 0; k < labels.size(); ++k) {
                    trie.units_[base + labels[k]].base_and_byte = labels[k];
                    next_level.push_back({bounds[k], bounds[k + 1], base + labels[k]});
                }
            }
            level.swap(next_level);
        }
        std::size_t last = trie.units_.size() - 1;
        while (last > 0 && trie.units_[last].base_and_byte == 0) --last;
        trie.units_.resize(last + 257);  // any unit's base + 255 stays inside
        trie.units_.shrink_to_fit();
        return trie;
    }

    /// The child of `node` by `byte`, or `none`. `node` is not `none`.
    Node child(Node node, unsigned char byte) const noexcept {
        const unsigned label = byte == 0 ? 0xFFu : byte;
        const Node next = (units_[node].base_and_byte >> 8) + label;
        return (units_[next].base_and_byte & 0xFFu) == label ? next : none;
    }

    /// The value of the key that ends at `node`, or `no_value`. `node` is not `none`.
    std::int32_t value(Node node) const noexcept { return units_[node].value; }

    /// The node that `key` leads to from `node`, or `none`.
    Node walk(Node node, std::string_view key) const noexcept {
        for (std::size_t i = 0; i < key.size() && node != none; ++i)
            node = child(node, static_cast<unsigned char>(key[i]));
        return node;
    }

    /// Bytes of memory held.
    std::size_t memory() const noexcept { return units_.capacity() * sizeof(Unit); }

private:
    struct Unit {
        std::uint32_t base_and_byte = 0;
        std::int32_t value = no_value;
    };

    static unsigned label_of(char byte) noexcept {
        const auto label = static_cast<unsigned char>(byte);
        return label == 0 ? 0xFFu : label;
    }

    static detail::SharedError too_large() {
        return make_error(ErrorCode::unsupported, {"the vocabulary's tokens need more than 2^24 trie units"});
    }

    /// Finds room for each node's children, 64 bases at a time.
    class Builder {
    public:
        explicit Builder(std::vector<Unit>& units) : units_(units) {
            grow();
            bases_[0] = 1;  // base 0 says that a node has no children
        }

        /// The first base, from where the search starts, under which all `labels` are free; it is taken with them.
        /// 0 when there is no room.
        std::uint32_t place(const std::vector<unsigned>& labels) {
            constexpr std::size_t limit = 1u << 24;
            constexpr std::size_t patience = 4;  // words without room after which those so far are given up
            for (std::size_t word = first_, tried = 0;; ++word) {
                if (64 * word + 512 > limit) return 0;
                if (word + reach > bases_.size()) grow();
                std::uint64_t free = ~bases_[word];  // bit i: base 64 * word + i
                for (std::size_t k = 0; k < labels.size() && free != 0; ++k) free &= ~used_from(64 * word + labels[k]);
                if (free != 0) {
                    const std::size_t base = 64 * word + static_cast<std::size_t>(std::countr_zero(free));
                    set(bases_, base);
                    for (const unsigned label : labels) set(used_, base + label);
                    return static_cast<std::uint32_t>(base);
                }
                if (++tried % patience == 0) first_ = word + 1;
            }
        }

    private:
        static constexpr std::size_t reach = 6;  // words that the children of a word's bases lie in, and one more

        static void set(std::vector<std::uint64_t>& bits, std::size_t i) { bits[i / 64] |= std::uint64_t{1} << i % 64; }

        /// Of 64 units from `unit` on, which are used.
        std::uint64_t used_from(std::size_t unit) const noexcept {
            const std::size_t word = unit / 64, shift = unit % 64;
            return shift == 0 ? used_[word] : used_[word] >> shift | used_[word + 1] << (64 - shift);
        }

        void grow() {
            bases_.resize(bases_.size() + bases_.size() / 2 + 64);
            used_.resize(bases_.size());
            units_.resize(64 * bases_.size());
        }

        std::vector<Unit>& units_;
        std::vector<std::uint64_t> bases_, used_;  // a bit for each base, and for each unit: taken
        std::size_t first_ = 0;                    // words below are not worth trying
    };

    std::vector<Unit> units_;
};

}  // namespace detail
RANKLET_NAMESPACE_END
