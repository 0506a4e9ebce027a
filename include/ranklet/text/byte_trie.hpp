// ByteTrie: byte strings to integers, for walking one byte at a time (a double array).
// In: distinct, sorted keys and their values. Out: a node a byte, and the value of the key that ends there.
// From J. Aoe, "An Efficient Digital Search Algorithm by Using a Double-Array Structure", 1989.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN

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
    [[nodiscard]] static Result<ByteTrie> create(std::span<const std::string_view> keys,
                                                 std::span<const std::int32_t> values) {
        ByteTrie trie;
        Builder builder{trie.units_, {}, {}, 1};  // unit 0 is the root
        struct Range {
            std::size_t first, last, depth;
            Node node;
        };
        std::vector<Range> pending;
        std::size_t start = 0;
        while (start < keys.size() && keys[start].empty()) ++start;
        if (start < keys.size()) pending.push_back({start, keys.size(), 0, root});
        std::vector<unsigned> labels;
        std::vector<std::size_t> bounds;
        for (std::size_t next = 0; next < pending.size(); ++next) {  // breadth first: the hot, upper nodes lie together
            const Range range = pending[next];
            labels.clear();
            bounds.clear();
            std::size_t i = range.first;
            if (keys[i].size() == range.depth) {
                trie.units_[range.node].value = values[i];
                ++i;
            }
            for (; i < range.last; ++i) {
                const unsigned label = label_of(keys[i][range.depth]);
                if (!labels.empty() && labels.back() == label) continue;
                labels.push_back(label);
                bounds.push_back(i);
            }
            if (labels.empty()) continue;
            bounds.push_back(range.last);
            const std::uint32_t base = builder.place(labels);
            if (base == 0)
                return Error{ErrorCode::unsupported, "the vocabulary's tokens need more than 2^24 trie units"};
            trie.units_[range.node].base_and_byte |= base << 8;
            for (std::size_t k = 0; k < labels.size(); ++k) {
                trie.units_[base + labels[k]].base_and_byte = labels[k];
                pending.push_back({bounds[k], bounds[k + 1], range.depth + 1, base + labels[k]});
            }
        }
        std::size_t last = trie.units_.size() - 1;
        while (last > 0 && trie.units_[last].base_and_byte == 0) --last;
        trie.units_.resize(last + 257);  // any unit's base + 255 stays inside
        trie.units_.shrink_to_fit();
        return trie;
    }

    /// The child of `node` by `byte`, or `none`. `node` is not `none`.
    [[nodiscard]] Node child(Node node, unsigned char byte) const noexcept {
        const unsigned label = byte == 0 ? 0xFFu : byte;
        const Node next = (units_[node].base_and_byte >> 8) + label;
        return (units_[next].base_and_byte & 0xFFu) == label ? next : none;
    }

    /// The value of the key that ends at `node`, or `no_value`. `node` is not `none`.
    [[nodiscard]] std::int32_t value(Node node) const noexcept { return units_[node].value; }

    /// The node that `key` leads to from `node`, or `none`.
    [[nodiscard]] Node walk(Node node, std::string_view key) const noexcept {
        for (std::size_t i = 0; i < key.size() && node != none; ++i)
            node = child(node, static_cast<unsigned char>(key[i]));
        return node;
    }

    /// Bytes of memory held.
    [[nodiscard]] std::size_t memory() const noexcept { return units_.capacity() * sizeof(Unit); }

private:
    struct Unit {
        std::uint32_t base_and_byte = 0;
        std::int32_t value = no_value;
    };

    static unsigned label_of(char byte) noexcept {
        const auto label = static_cast<unsigned char>(byte);
        return label == 0 ? 0xFFu : label;
    }

    /// Finds room for each node's children.
    struct Builder {
        std::vector<Unit>& units;
        std::vector<bool> base_taken;
        std::vector<std::uint32_t> next_free;  // of each unit: itself when it is free, else a later one to ask
        std::uint32_t start;                   // units below are not worth trying

        /// A base under which all `labels` are free, which it takes; 0 when there is no room.
        std::uint32_t place(const std::vector<unsigned>& labels) {
            constexpr std::uint32_t limit = 1u << 24;
            constexpr std::uint32_t patience = 64;  // failures after which the units so far are given up as too full
            std::uint32_t failures = 0;
            for (std::uint32_t unit = free_from(start);; unit = free_from(unit + 1)) {
                if (unit + 256 >= limit) return 0;
                if (unit <= labels[0]) continue;
                const std::uint32_t base = unit - labels[0];
                bool fits = !base_taken[base];
                for (std::size_t k = 1; fits && k < labels.size(); ++k)
                    fits = next_free[base + labels[k]] == base + labels[k];
                if (!fits) {
                    if (++failures % patience == 0) start = unit;
                    continue;
                }
                base_taken[base] = true;
                for (const unsigned label : labels) next_free[base + label] = base + label + 1;
                return base;
            }
        }

        /// The first free unit at or after `unit`; makes sure that 512 more exist.
        std::uint32_t free_from(std::uint32_t unit) {
            for (;;) {
                if (unit + 512 > next_free.size()) grow(unit + 512);
                if (next_free[unit] == unit) return unit;
                next_free[unit] = next_free[next_free[unit]];  // halve the way for whoever asks next
                unit = next_free[unit];
            }
        }

        void grow(std::size_t size) {
            const auto old = static_cast<std::uint32_t>(next_free.size());
            units.resize(size + size / 2);
            base_taken.resize(units.size());
            next_free.resize(units.size());
            for (std::uint32_t unit = old; unit < next_free.size(); ++unit) next_free[unit] = unit;
        }
    };

    std::vector<Unit> units_;
};

RANKLET_NAMESPACE_END
