// UserWindows: what a counter remembers of each user: the items of the last events, and when the last one was.
// In: 64-bit hashes of users' ids (the ids themselves are not kept). Out: a record and a window of item numbers for each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

struct UserRecord {
    std::uint64_t hash = 0;
    double last = 0;           // seconds since 1970
    std::uint32_t events = 0;  // counted ones
    std::uint16_t size = 0;    // items in the window
    std::uint16_t recent = 0;  // of these, at its end, with the time `last`
};

/// Users are numbered from 0; a removal gives the last one the number of the one removed.
class UserWindows {
public:
    static constexpr std::size_t none = static_cast<std::size_t>(-1);
    explicit UserWindows(std::size_t window) noexcept : window_(window) {}

    std::size_t size() const noexcept { return records_.size(); }
    std::size_t find(std::uint64_t hash) const noexcept;
    UserRecord& operator[](std::size_t user) noexcept { return records_[user]; }
    const UserRecord& operator[](std::size_t user) const noexcept { return records_[user]; }
    /// Item numbers, oldest first.
    std::span<const std::uint32_t> items(std::size_t user) const noexcept {
        return {items_.data() + user * window_, records_[user].size};
    }

    /// Makes room for one more; if there is no memory for it, nothing has changed.
    void reserve_one();
    /// A user who is not there, without events. Precondition: there is room.
    std::size_t add(std::uint64_t hash) noexcept;
    void remove(std::size_t user) noexcept;
    /// Precondition: `hash` is nobody's.
    void rename(std::size_t user, std::uint64_t hash) noexcept;

    /// Puts an item at the window's end, and counts the event.
    void push(std::size_t user, std::uint32_t item, double time) noexcept;
    /// The window's items anew: the last of these, `recent` of them at the time `last`.
    void set_items(std::size_t user, std::span<const std::uint32_t> items, std::size_t recent) noexcept;
    /// Takes items out of all windows: those of which `gone[item]` is true.
    void drop_items(const std::vector<bool>& gone) noexcept;

    std::size_t bytes() const noexcept {
        return records_.capacity() * sizeof(UserRecord) +
               (items_.capacity() + slots_.capacity()) * sizeof(std::uint32_t);
    }

private:
    static constexpr std::uint32_t free_slot = static_cast<std::uint32_t>(-1);
    std::size_t home(std::uint64_t hash) const noexcept;
    std::size_t slot_of(std::uint64_t hash) const noexcept;
    void free(std::size_t slot) noexcept;

    std::size_t window_;
    std::vector<UserRecord> records_;
    std::vector<std::uint32_t> items_;  // [users, window]
    std::vector<std::uint32_t> slots_;  // open addressing, a power of two, at most half full
};

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <bit>

#include "ranklet/core/keyed_hash.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

// Under a key of this process: whoever knows the salt cannot choose ids that share a slot.
RANKLET_FUNC std::size_t UserWindows::home(std::uint64_t hash) const noexcept {
    const int bits = std::countr_zero(slots_.size());
    return static_cast<std::size_t>((hash ^ process_hash_key().second) * (process_hash_key().first | 1u) >>
                                    (64 - bits));
}
RANKLET_FUNC std::size_t UserWindows::slot_of(std::uint64_t hash) const noexcept {
    std::size_t slot = home(hash);
    while (slots_[slot] != free_slot && records_[slots_[slot]].hash != hash) slot = (slot + 1) & (slots_.size() - 1);
    return slot;
}
RANKLET_FUNC std::size_t UserWindows::find(std::uint64_t hash) const noexcept {
    if (slots_.empty()) return none;
    const std::uint32_t user = slots_[slot_of(hash)];
    return user == free_slot ? none : user;
}

RANKLET_FUNC void UserWindows::reserve_one() {
    const std::size_t needed = records_.size() + 1;
    if (needed > records_.capacity()) records_.reserve(std::max<std::size_t>(16, 2 * records_.size()));
    if (needed * window_ > items_.capacity()) items_.reserve(records_.capacity() * window_);
    if (2 * needed <= slots_.size()) return;
    std::vector<std::uint32_t> slots(std::max<std::size_t>(32, 2 * slots_.size()), free_slot);
    slots.swap(slots_);
    for (std::size_t user = 0; user < records_.size(); ++user)
        slots_[slot_of(records_[user].hash)] = static_cast<std::uint32_t>(user);
}

RANKLET_FUNC std::size_t UserWindows::add(std::uint64_t hash) noexcept {
    const std::size_t user = records_.size();
    slots_[slot_of(hash)] = static_cast<std::uint32_t>(user);
    records_.emplace_back().hash = hash;
    items_.resize(items_.size() + window_);
    return user;
}

RANKLET_FUNC void UserWindows::free(std::size_t slot) noexcept {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = (slot + 1) & mask; slots_[i] != free_slot; i = (i + 1) & mask) {
        if (((i - home(records_[slots_[i]].hash)) & mask) < ((i - slot) & mask)) continue;
        slots_[slot] = slots_[i];
        slot = i;
    }
    slots_[slot] = free_slot;
}

RANKLET_FUNC void UserWindows::remove(std::size_t user) noexcept {
    const std::size_t last = records_.size() - 1;
    free(slot_of(records_[user].hash));
    if (user != last) {
        slots_[slot_of(records_[last].hash)] = static_cast<std::uint32_t>(user);
        records_[user] = records_[last];
        std::copy_n(items_.data() + last * window_, window_, items_.data() + user * window_);
    }
    records_.pop_back();
    items_.resize(last * window_);
}

RANKLET_FUNC void UserWindows::rename(std::size_t user, std::uint64_t hash) noexcept {
    free(slot_of(records_[user].hash));
    slots_[slot_of(hash)] = static_cast<std::uint32_t>(user);
    records_[user].hash = hash;
}

RANKLET_FUNC void UserWindows::push(std::size_t user, std::uint32_t item, double time) noexcept {
    UserRecord& record = records_[user];
    std::uint32_t* items = items_.data() + user * window_;
    if (record.size == window_)
        std::copy(items + 1, items + window_, items);
    else
        ++record.size;
    items[record.size - 1u] = item;
    const std::uint16_t more = time == record.last && record.events > 0 ? record.recent : std::uint16_t{0};
    record.recent = static_cast<std::uint16_t>(std::min<std::size_t>(more + std::size_t{1}, record.size));
    record.last = time;
    ++record.events;
}

RANKLET_FUNC void UserWindows::set_items(std::size_t user, std::span<const std::uint32_t> items,
                                         std::size_t recent) noexcept {
    UserRecord& record = records_[user];
    items = items.last(std::min(items.size(), window_));
    std::copy(items.begin(), items.end(), items_.data() + user * window_);
    record.size = static_cast<std::uint16_t>(items.size());
    record.recent = static_cast<std::uint16_t>(std::min(recent, items.size()));
}

RANKLET_FUNC void UserWindows::drop_items(const std::vector<bool>& gone) noexcept {
    for (std::size_t user = 0; user < records_.size(); ++user) {
        UserRecord& record = records_[user];
        std::uint32_t* items = items_.data() + user * window_;
        std::uint16_t kept = 0, recent = 0;
        for (std::size_t i = 0; i < record.size; ++i) {
            if (gone[items[i]]) continue;
            if (i + record.recent >= record.size) ++recent;
            items[kept++] = items[i];
        }
        record.size = kept;
        record.recent = recent;
    }
}

}  // namespace detail
RANKLET_NAMESPACE_END
#endif
