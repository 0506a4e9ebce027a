// PairRow: all that is counted of the pairs (a, b) of one item a.
// In: row numbers b. Out: an entry for each, found by open addressing in one array.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// The most users that a pair may have to come from.
inline constexpr std::size_t most_pair_users = 5;

/// What is counted of a pair. Where it has not come from enough users it has their marks, ascending, zeros behind them;
/// where it has, they are dropped, and it is told by a mark that no user has.
struct PairEntry {
    static constexpr std::uint16_t no_mark = 0, passed_mark = 0xFFFF;

    double weight = 0;
    std::uint32_t follower = 0;
    std::uint32_t times = 0;  // 0: a free slot
    std::array<std::uint16_t, most_pair_users - 1> marks{};

    bool passed() const noexcept { return marks[0] == passed_mark; }
    void pass() noexcept { marks = {passed_mark}; }
    void clear_marks() noexcept { marks = {}; }

    /// One more user, or the same again; `users`: how many different ones it takes.
    void add_mark(std::uint16_t mark, std::size_t users) noexcept {
        if (passed()) return;
        std::size_t place = 0, count = 0;
        for (const std::uint16_t m : marks) {
            if (m == mark) return;
            if (m != no_mark) ++count, place += m < mark ? 1u : 0u;
        }
        if (count + 1 >= users) return pass();
        for (std::size_t i = count; i > place; --i) marks[i] = marks[i - 1];
        marks[place] = mark;
    }
    /// Whether the mark was there.
    bool remove_mark(std::uint16_t mark) noexcept {
        if (passed()) return false;
        const auto place = std::find(marks.begin(), marks.end(), mark);
        if (place == marks.end()) return false;
        std::move(place + 1, marks.end(), place);
        marks.back() = no_mark;
        return true;
    }
};
static_assert(sizeof(PairEntry) == 24);

/// From a half to three quarters of the slots are taken, once there are a few: 32 to 48 bytes a pair, at least 96 a row.
class PairRow {
public:
    std::size_t size() const noexcept { return count_; }
    std::size_t capacity() const noexcept { return slots_.size(); }

    /// Fetches the line where an entry would be.
    void prefetch(std::uint32_t follower) const noexcept {
        if (!slots_.empty()) __builtin_prefetch(&slots_[home(follower)], 1);
    }
    PairEntry* find(std::uint32_t follower) noexcept {
        if (slots_.empty()) return nullptr;
        PairEntry& slot = slots_[slot_of(follower)];
        return slot.times != 0 ? &slot : nullptr;
    }
    /// Makes room for so many pairs more; if there is no memory for it, nothing has changed.
    void reserve_more(std::size_t count) {
        if (fits(count_ + count, slots_.size())) return;
        move_to(capacity_for(count_ + count, slots_.size()));
    }
    /// The entry of a pair, which is a new one when its `times` is 0: it must not stay so. Precondition: there is room.
    PairEntry& at(std::uint32_t follower) noexcept {
        PairEntry& slot = slots_[slot_of(follower)];
        if (slot.times == 0) {
            slot = PairEntry();
            slot.follower = follower;
            ++count_;
        }
        return slot;
    }
    /// Precondition: an entry of this row.
    void erase(const PairEntry* entry) noexcept { close_gap(static_cast<std::size_t>(entry - slots_.data())); }
    /// Erases in place; returns how many.
    template <class Condition>
    std::size_t erase_if(const Condition& condition) noexcept {
        const std::size_t before = count_;
        for (std::size_t i = 0; i < slots_.size();)
            if (slots_[i].times != 0 && condition(slots_[i]))
                close_gap(i);  // another entry may have come to stand here
            else
                ++i;
        return before - count_;
    }
    /// Gives back what is not needed for what is there. (Where there is no memory to move to, another time.)
    void shrink() noexcept {
        const std::size_t enough = capacity_for(count_, 0);
        if (enough >= slots_.size()) return;
        (void)catch_out_of_memory([&]() -> Result<void> {
            move_to(enough);
            return {};
        });
    }
    void clear() noexcept {
        std::vector<PairEntry>().swap(slots_);
        count_ = 0;
    }

    /// In no order that means anything.
    template <class Function>
    void for_each(const Function& function) const {
        for (const PairEntry& entry : slots_)
            if (entry.times != 0) function(entry);
    }
    template <class Function>
    void for_each(const Function& function) {
        for (PairEntry& entry : slots_)
            if (entry.times != 0) function(entry);
    }

private:
    static bool fits(std::size_t count, std::size_t capacity) noexcept { return count <= capacity - capacity / 4; }
    static std::size_t capacity_for(std::size_t count, std::size_t capacity) noexcept {
        if (count > 0) capacity = std::max<std::size_t>(capacity, 4);
        while (!fits(count, capacity)) capacity += capacity / 2;
        return capacity;
    }
    // Scrambled row numbers, spread over the slots in their order.
    std::size_t home(std::uint32_t follower) const noexcept {
        return static_cast<std::size_t>(std::uint64_t{follower * 0x9E3779B1u} * slots_.size() >> 32);
    }
    std::size_t next(std::size_t slot) const noexcept { return slot + 1 == slots_.size() ? 0 : slot + 1; }
    std::size_t slot_of(std::uint32_t follower) const noexcept {
        std::size_t slot = home(follower);
        while (slots_[slot].times != 0 && slots_[slot].follower != follower) slot = next(slot);
        return slot;
    }
    void move_to(std::size_t capacity) {
        std::vector<PairEntry> before(capacity);
        before.swap(slots_);
        for (const PairEntry& entry : before)
            if (entry.times != 0) slots_[slot_of(entry.follower)] = entry;
    }
    // What stands behind a gap and could not have its place because of it moves up.
    void close_gap(std::size_t gap) noexcept {
        const std::size_t size = slots_.size();
        const auto distance = [&](std::size_t from, std::size_t to) {
            return to >= from ? to - from : to + size - from;
        };
        for (std::size_t i = next(gap); slots_[i].times != 0; i = next(i)) {
            if (distance(home(slots_[i].follower), i) < distance(gap, i)) continue;
            slots_[gap] = slots_[i];
            gap = i;
        }
        slots_[gap] = PairEntry();
        --count_;
    }

    std::vector<PairEntry> slots_;
    std::size_t count_ = 0;
};

}  // namespace detail
RANKLET_NAMESPACE_END
