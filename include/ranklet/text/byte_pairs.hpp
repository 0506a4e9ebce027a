// BytePairs: a word's pieces by merging neighbours, the earliest learned first (Sennrich et al. 2016).
// In: a word as its smallest pieces. Out: pieces, as ids and lengths. Of equal ranks the leftmost comes first, as in Hugging Face's
// `tokenizers` 0.23.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/text/unigram.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

class BytePairs {
public:
    struct Merge {
        std::int32_t left, right, merged;
    };
    BytePairs() = default;
    /// In the order of their ranks. A pair that stands twice has the rank that it stood with last.
    RANKLET_COLD static Result<BytePairs> create(std::span<const Merge> merges) {
        BytePairs made;
        std::size_t size = 16;
        while (size < 2 * merges.size()) size *= 2;
        made.slots_.resize(size);
        for (std::size_t rank = 0; rank < merges.size(); ++rank) {
            Slot& slot = made.slots_[made.place(merges[rank].left, merges[rank].right)];
            slot = {merges[rank].left, merges[rank].right, merges[rank].merged, static_cast<std::uint32_t>(rank)};
        }
        return made;
    }

    struct Memory {
        struct Symbol {
            std::int32_t id;
            std::uint32_t bytes;
            std::uint32_t previous, next;
        };
        struct Candidate {
            std::uint32_t rank, left;
            std::int32_t merged, left_id, right_id;
        };
        std::vector<Symbol> symbols;
        std::vector<Candidate> heap;
    };

    /// Merges what `memory.symbols` begins with (ids and lengths), and appends what is left.
    void merge(Memory& memory, std::vector<Piece>& out) const {
        auto& symbols = memory.symbols;
        auto& heap = memory.heap;
        heap.clear();
        const auto count = static_cast<std::uint32_t>(symbols.size());
        for (std::uint32_t i = 0; i < count; ++i) {
            symbols[i].previous = i - 1;
            symbols[i].next = i + 1 < count ? i + 1 : none;
        }
        const auto later = [](const Memory::Candidate& a, const Memory::Candidate& b) {
            return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
        };
        const auto offer = [&](std::uint32_t left) {
            if (left == none || symbols[left].next == none) return;
            const std::int32_t a = symbols[left].id, b = symbols[symbols[left].next].id;
            const Slot& slot = slots_[place(a, b)];
            if (slot.merged < 0) return;
            heap.push_back({slot.rank, left, slot.merged, a, b});
            std::push_heap(heap.begin(), heap.end(), later);
        };
        if (!slots_.empty())
            for (std::uint32_t i = 0; i + 1 < count; ++i) offer(i);
        while (!heap.empty()) {
            std::pop_heap(heap.begin(), heap.end(), later);
            const Memory::Candidate best = heap.back();
            heap.pop_back();
            Memory::Symbol& left = symbols[best.left];
            if (left.bytes == 0 || left.next == none || left.id != best.left_id ||
                symbols[left.next].id != best.right_id)
                continue;  // one of them has been merged since
            Memory::Symbol& right = symbols[left.next];
            left.id = best.merged;
            left.bytes += right.bytes;
            right.bytes = 0;
            left.next = right.next;
            if (left.next != none) symbols[left.next].previous = best.left;
            offer(left.previous == static_cast<std::uint32_t>(-1) ? none : left.previous);
            offer(best.left);
        }
        for (std::uint32_t i = count == 0 ? none : 0; i != none; i = symbols[i].next)
            out.push_back({symbols[i].id, symbols[i].bytes});
    }

private:
    static constexpr std::uint32_t none = static_cast<std::uint32_t>(-1);
    struct Slot {
        std::int32_t left = -1, right = -1, merged = -1;
        std::uint32_t rank = 0;
    };
    // Where the pair is, or would be: there is always an empty slot.
    std::size_t place(std::int32_t left, std::int32_t right) const noexcept {
        std::uint64_t hash =
            (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right)) *
            0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
        std::size_t slot = static_cast<std::size_t>(hash) & (slots_.size() - 1);
        while (slots_[slot].merged >= 0 && !(slots_[slot].left == left && slots_[slot].right == right))
            slot = (slot + 1) & (slots_.size() - 1);
        return slot;
    }

    std::vector<Slot> slots_;
};

}  // namespace detail
RANKLET_NAMESPACE_END
