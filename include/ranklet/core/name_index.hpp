// NameIndex: where a name stands in a list of names.
// In: names, kept by whoever has the list. Out: places, found by hashing under a key of the process: names may be an
// outsider's choice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/keyed_hash.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// `names` of each call are the same list, which may have grown; fewer than 2^32 - 1 names.
class NameIndex {
public:
    static constexpr std::size_t none = static_cast<std::size_t>(-1);

    /// The place of a name that was added; none otherwise.
    std::size_t find(std::string_view name, std::span<const std::string> names) const noexcept;
    /// Adds names[place]. When an equal name was added before, its place comes back and nothing changes; else `place`.
    std::size_t add(std::size_t place, std::span<const std::string> names);
    /// Adds all names. The first place whose name stands before it already; none when no name stands twice.
    std::size_t add_all(std::span<const std::string> names);

private:
    static constexpr std::uint32_t free_slot = static_cast<std::uint32_t>(-1);
    std::size_t slot_of(std::string_view name, std::span<const std::string> names) const noexcept;
    void reserve(std::size_t count, std::span<const std::string> names);

    std::vector<std::uint32_t> slots_;  // open addressing, a power of two, at most half full
    std::size_t count_ = 0;
};

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS
RANKLET_NAMESPACE_BEGIN
namespace detail {

[[gnu::noinline]] RANKLET_FUNC std::size_t NameIndex::slot_of(std::string_view name,
                                                              std::span<const std::string> names) const noexcept {
    std::size_t slot = KeyedHash()(name) & (slots_.size() - 1);
    while (slots_[slot] != free_slot && names[slots_[slot]] != name) slot = (slot + 1) & (slots_.size() - 1);
    return slot;
}

RANKLET_FUNC std::size_t NameIndex::find(std::string_view name, std::span<const std::string> names) const noexcept {
    if (slots_.empty()) return none;
    const std::uint32_t place = slots_[slot_of(name, names)];
    return place == free_slot ? none : place;
}

RANKLET_FUNC void NameIndex::reserve(std::size_t count, std::span<const std::string> names) {
    if (2 * count <= slots_.size()) return;
    std::size_t size = 16;
    while (size < 2 * count) size *= 2;
    std::vector<std::uint32_t> before(size, free_slot);
    before.swap(slots_);
    for (const std::uint32_t place : before)
        if (place != free_slot) slots_[slot_of(names[place], names)] = place;
}

[[gnu::noinline]] RANKLET_FUNC std::size_t NameIndex::add(std::size_t place, std::span<const std::string> names) {
    reserve(count_ + 1, names);
    std::uint32_t& slot = slots_[slot_of(names[place], names)];
    if (slot != free_slot) return slot;
    slot = static_cast<std::uint32_t>(place);
    ++count_;
    return place;
}

RANKLET_FUNC std::size_t NameIndex::add_all(std::span<const std::string> names) {
    reserve(names.size(), names);
    for (std::size_t i = 0; i < names.size(); ++i)
        if (add(i, names) != i) return i;
    return none;
}

}  // namespace detail
RANKLET_NAMESPACE_END
#endif
