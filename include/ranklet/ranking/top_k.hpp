// top_k: the k best of a row of scores, and the heap behind it.
// In: n scores. Out: indices, best first. A total order: score descending, then index ascending. NaN and -infinity
// never enter, so a caller removes a candidate by giving it -infinity.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// A scored row of a matrix of vectors, or a scored item of a catalog.
struct Hit {
    std::uint32_t index = 0;
    float score = 0.0f;
};

namespace detail {

/// The total order of ranking: the higher score, of equals the lower index.
constexpr bool ranks_before(const Hit& a, const Hit& b) noexcept {
    return a.score > b.score || (a.score == b.score && a.index < b.index);
}

// heap[0, size) has its worst element on top, but for the place `at`. (Not the standard library's heap: g++ 12 warns
// about it, in the host's own build, where k is a small constant.)
template <class T, class Better>
void sift_down(std::span<T> heap, std::size_t at, std::size_t size, const Better& better) noexcept {
    const T moving = heap[at];
    for (std::size_t child; (child = 2 * at + 1) < size; at = child) {
        if (child + 1 < size && better(heap[child], heap[child + 1])) ++child;
        if (!better(moving, heap[child])) break;
        heap[at] = heap[child];
    }
    heap[at] = moving;
}
template <class T, class Better>
void make_heap(std::span<T> heap, const Better& better) noexcept {
    for (std::size_t at = heap.size() / 2; at-- > 0;) sift_down(heap, at, heap.size(), better);
}
// A heap to a row, best first.
template <class T, class Better>
void sort_heap(std::span<T> heap, const Better& better) noexcept {
    for (std::size_t size = heap.size(); size > 1;) {
        std::swap(heap[0], heap[--size]);
        sift_down(heap, 0, size, better);
    }
}

}  // namespace detail

/// Writes the indices of the best min(k, candidates) scores to `best`, whose size is k, and returns how many they are.
/// One pass, a heap of k in place, no allocation. Scores may number up to 2^32 - 1.
std::size_t top_k(std::span<const float> scores, std::span<std::uint32_t> best) noexcept;

namespace detail {

/// The k best of hits that come one at a time, in any order, in memory of the caller's.
class BestHits {
public:
    BestHits() = default;
    /// `memory`: k hits.
    explicit BestHits(std::span<Hit> memory) noexcept : heap_(memory) {}

    /// The score that a hit has to reach; -infinity as long as there is room.
    float threshold() const noexcept {
        return heap_.empty() ? std::numeric_limits<float>::infinity() : full() ? heap_[0].score : lowest;
    }
    /// Takes a hit if it is among the k best so far. NaN and -infinity never are.
    void push(const Hit& hit) noexcept {
        if (heap_.empty() || !(hit.score > lowest)) return;
        if (!full()) {
            heap_[count_++] = hit;
            if (full()) make_heap(heap_, ranks_before);
        } else if (ranks_before(hit, heap_[0])) {
            heap_[0] = hit;
            sift_down(heap_, 0, count_, ranks_before);
        }
    }
    void clear() noexcept { count_ = 0; }
    /// The hits so far, in no order.
    std::span<const Hit> hits() const noexcept { return heap_.first(count_); }
    /// Sorts the hits, best first; the heap is used up.
    std::span<const Hit> sorted() noexcept {
        const std::span<Hit> found = heap_.first(count_);
        make_heap(found, ranks_before);
        sort_heap(found, ranks_before);
        return found;
    }

private:
    static constexpr float lowest = -std::numeric_limits<float>::infinity();
    bool full() const noexcept { return count_ == heap_.size(); }
    std::span<Hit> heap_{};
    std::size_t count_ = 0;
};

}  // namespace detail

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

RANKLET_NAMESPACE_BEGIN

RANKLET_FUNC std::size_t top_k(std::span<const float> scores, std::span<std::uint32_t> best) noexcept {
    const auto better = [&](std::uint32_t a, std::uint32_t b) noexcept {
        return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
    };
    std::size_t count = 0;
    if (best.empty()) return 0;
    for (std::uint32_t i = 0; i < scores.size(); ++i) {
        if (!(scores[i] > -std::numeric_limits<float>::infinity())) continue;
        if (count < best.size()) {
            best[count++] = i;
            if (count == best.size()) detail::make_heap(best, better);
        } else if (scores[i] > scores[best[0]]) {  // an equal score comes later: it loses the tie
            best[0] = i;
            detail::sift_down(best, 0, count, better);
        }
    }
    best = best.first(count);
    detail::make_heap(best, better);
    detail::sort_heap(best, better);
    return count;
}

RANKLET_NAMESPACE_END

#endif
