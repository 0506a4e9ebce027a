// TransitionCounts: counts what follows what, from a log or live, in bounded memory.
// In: events (user, item, time). Out: Transitions, as often as wanted; files to go on from; the sum of two counters.
// Formula: an event of item b adds d^-exponent to C[a, b] for the item a that the same user met d events before, for d up
// to `window`; with a half-life h everything counted is worth half of it after h seconds. A snapshot's strength is
// C[a, b] / ((R[a] + s)^source_power (K[b] + s)^target_power), R and K the sums of C's rows and columns.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/name_index.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/counting/pair_row.hpp"
#include "ranklet/counting/transitions.hpp"
#include "ranklet/counting/user_windows.hpp"

RANKLET_NAMESPACE_BEGIN

namespace detail {
class StateReader;
}

struct TransitionOptions {
    std::size_t window = 10;  ///< events that an event looks back on, 1 to 64
    double exponent = 0.7;    ///< of the distance, 0 to 16
    /// From so many different users, 1 to 5, a pair must come before any snapshot shows it: what one person did does not
    /// appear in another's list. Until then it keeps hashed marks of all but one of them, 16 bits each, and drops them
    /// then. Users whose marks collide are taken for one, which can only delay a pair.
    std::size_t users = 2;
    double half_life = 0;  ///< seconds, at least 1; 0: what was counted keeps its worth
    /// Users are known by a hash of their id under this text, in memory and in files. Counters that shall be merged have
    /// the same; a secret one keeps whoever gets hold of a file from trying ids out. It is not saved.
    std::string salt = {};
    std::size_t max_events_per_user = 10'000;  ///< a robot's further events count nothing; at most 2^32 - 1
    // Bounds on memory; above them is forgotten, an eighth of what may be there at a time, what is least worth keeping.
    std::size_t max_pairs = std::size_t{1} << 24;  ///< at least 8 * window; at most 48 bytes each, 36 as a rule
    std::size_t max_users = std::size_t{1} << 20;  ///< at least 1; 80 bytes and 8 for each place of the window at most
    std::size_t max_items = std::size_t{1}
                            << 20;  ///< more than window, less than 2^31; 300 bytes and twice the id at most
};

struct SnapshotOptions {
    std::size_t followers = 200;  ///< the strongest of each item, at least 1
    double source_power = 0.8;    ///< 0 to 2
    double target_power = 0.2;    ///< 0 to 2
    double smoothing = 20;        ///< added to both sums, 0 to 1e9
    /// The time, in seconds since 1970, at which counts are valued where they have a half-life: not before the newest
    /// event's, which it is where nothing else is said.
    double now = std::numeric_limits<double>::quiet_NaN();
};

/// What became of an event.
enum class Observed {
    counted,
    repeated,    ///< the user had the same item at the same time, in the window: one event
    over_limit,  ///< the user has max_events_per_user
};

/// An event of a user's.
struct TimedItem {
    std::string_view id;
    double time = 0;  ///< seconds since 1970
};

/// One writer: not safe to use from several threads at once, not even where one of them only takes snapshots.
/// (Transitions, which a snapshot gives, are.) One made by default has the default options.
///
/// An event costs work in the window's length, some nanoseconds a pair, and now and then a pass over everything: where a
/// bound is reached, and every 128 half-lives.
///
/// Without a half-life sums are exact (distance weights are multiples of 2^-20; up to 2^33 of them in a sum), so that no
/// order and no division of the work changes a bit: counters of two machines that each had all events of half of the
/// users, merged, give the snapshot of one that had them all, as long as no bound was reached. With one, sums are
/// rounded as they grow. All results are the same bits on every machine.
///
/// Bounds. Above max_pairs the lightest pairs are forgotten that have not come from enough users, then the lightest that
/// have. Above max_users or max_items, those whose last event is the oldest: a forgotten user's next event has nothing
/// before it, a forgotten item's pairs are gone. With a half-life, a pair that weighs less than 2^-64 of an event of now
/// is forgotten too.
class TransitionCounts {
public:
    TransitionCounts() noexcept : TransitionCounts(TransitionOptions()) {}
    /// Error invalid_argument for an option out of its range.
    RANKLET_COLD static Result<TransitionCounts> create(const TransitionOptions& options = {});
    TransitionCounts(const TransitionCounts&) = default;
    TransitionCounts(TransitionCounts&& other) noexcept : TransitionCounts() { swap(other); }
    TransitionCounts& operator=(TransitionCounts other) noexcept {
        swap(other);
        return *this;
    }
    ~TransitionCounts() = default;

    /// Counts an event. The events of one user come in the order of their times: one that is older than the user's last
    /// is counted as if it came right now, at the last one's time. The same item at the same time is one event. An item
    /// does not follow itself.
    /// Error invalid_argument for an empty id, an item's id of more than 1024 bytes, or a time that is not finite or
    /// beyond the year 4147 (milliseconds, say); out_of_memory. After either nothing of it is counted (what had faded, or
    /// was forgotten to make room, stays forgotten).
    Result<Observed> observe(std::string_view user, std::string_view item, double time);

    /// The pairs that come from enough users, the strongest of each item; items that have none, in neither place, are left
    /// out. Rows stand in the order of the items' ids, byte by byte.
    /// Error invalid_argument for an option out of its range; out_of_memory.
    RANKLET_COLD Result<Transitions> snapshot(const SnapshotOptions& options = {}) const;

    /// Adds what another counter has: counts and events add up, marks are joined; a user of both keeps the window whose
    /// last event is the newer. Error mismatch when the two do not count alike (window, exponent, users, half-life,
    /// salt); out_of_memory, and nothing has changed. Needs memory for a copy of this counter meanwhile.
    RANKLET_COLD Result<void> merge(const TransitionCounts& other);

    /// As if the user had never been here. `events`: all that observe was given of this user, in that order.
    /// What they added is subtracted. A pair that others have too, and that had come from enough users, must come from so
    /// many again before it is shown: nobody can tell any more whose the rest is.
    /// Error invalid_argument for an empty id, or a time that observe refuses; out_of_memory, and nothing has changed.
    RANKLET_COLD Result<void> erase_user(std::string_view user, std::span<const TimedItem> events);
    /// As if the event at `place` had not been. `events`: all of the user's, in order, that one included.
    /// What changes by it is changed, distances of the events around it included; the rule of erase_user holds for pairs
    /// that the user has no part in any more. Errors as there, and invalid_argument when there is no such place.
    RANKLET_COLD Result<void> take_back(std::string_view user, std::span<const TimedItem> events, std::size_t place);
    /// An anonymous user turns out to be another (a session joins an account): the window of `from` goes behind that of
    /// `to`, and `from` is not there any more. With `events`, all of those of `from` in order, the marks that they left
    /// become those of `to`, so that the two are one where a pair has not come from enough users yet. To erase `to` later,
    /// erase each with its own events. Errors as for erase_user.
    RANKLET_COLD Result<void> join_users(std::string_view from, std::string_view to,
                                         std::span<const TimedItem> events = {});

    /// Writes all there is (counts, marks, windows, options but the salt) to a file, whole or not at all. Error io.
    RANKLET_COLD Result<void> save(const std::string& path) const;
    /// A counter that goes on where the saved one was, with the same results to the bit. Error mismatch for another salt;
    /// io, format or unsupported, naming the place, when the file is damaged or something else.
    RANKLET_COLD static Result<TransitionCounts> load(const std::string& path, const std::string& salt = {});

    /// The ids of a user's last events, at most the window's, oldest first; none for somebody who is not known. Error
    /// out_of_memory.
    RANKLET_COLD Result<std::vector<std::string>> recent_items(std::string_view user) const;

    const TransitionOptions& options() const noexcept { return options_; }
    std::size_t items() const noexcept { return items_.size() - free_.size(); }
    std::size_t users() const noexcept { return users_.size(); }
    /// Pairs, shown or not.
    std::size_t pairs() const noexcept { return pairs_; }
    /// Counted events.
    std::uint64_t events() const noexcept { return events_; }
    /// The newest event's time; minus infinity before the first.
    double newest() const noexcept { return newest_; }
    /// What it holds of the heap, ids' own memory left out.
    RANKLET_COLD std::size_t memory_bytes() const noexcept;

private:
    static constexpr std::size_t longest_id = 1024, largest_window = 64;
    static constexpr double last_time = 68719476736.0;  // 2^36 seconds
    static constexpr std::uint32_t no_item = static_cast<std::uint32_t>(-1);
    static constexpr int epochs_between_scalings = 128, forgotten_epochs = 64;
    static constexpr double heaviest_pair = 0x1p200;  // 2^64 events, up to 128 epochs after the unit's

    struct Counted {
        std::uint32_t seen = 0;  // events
        double last = 0;         // the newest one's time
        detail::PairRow row{};
    };
    // What a user's events add to a pair, or take away.
    struct Change {
        std::uint32_t source, target;
        double weight;
        std::int64_t times;
        std::int64_t left;  // of the user's events, in this pair, after all
    };
    struct Replayed {
        std::vector<Change> changes{};
        std::vector<std::pair<std::uint32_t, std::int64_t>> seen{};  // items and events
        std::vector<std::uint32_t> window{};
        std::size_t recent = 0;
        std::uint32_t events = 0;
        double last = 0;
    };

    explicit TransitionCounts(TransitionOptions&& options) noexcept;
    void swap(TransitionCounts& other) noexcept;

    std::uint64_t hash_of(std::string_view user) const noexcept;
    static std::uint16_t mark_of(std::uint64_t hash) noexcept {
        return static_cast<std::uint16_t>(1 + (hash >> 32) % 0xFFFEu);
    }
    // What an event of that time is worth in the counts' own unit, an event of the start of epoch `epoch_`; its bits are
    // few enough for an exact product with a distance weight.
    double worth(double time) const noexcept;
    void enter_epoch(double time) noexcept;
    void scale_to(std::int64_t epoch) noexcept;

    std::uint32_t find_item(std::string_view id) const noexcept;
    std::uint32_t add_item(std::string_view id);
    void remove_pair(std::uint32_t source, const detail::PairEntry* entry) noexcept;

    RANKLET_COLD void forget_pairs(std::size_t most);
    RANKLET_COLD void forget_users(std::size_t most);
    RANKLET_COLD void forget_items(std::size_t most);
    static std::size_t after_forgetting(std::size_t most) noexcept { return most - (most + 7) / 8; }

    RANKLET_COLD void replay(std::span<const TimedItem> events, std::size_t without, int sign, Replayed& out) const;
    RANKLET_COLD static Result<void> check_times(std::span<const TimedItem> events);
    RANKLET_COLD Result<void> change_user(std::string_view user, std::span<const TimedItem> events, std::size_t without,
                                          bool keeps_user);
    RANKLET_COLD Result<void> read(detail::StateReader& reader);

    TransitionOptions options_;
    std::array<double, largest_window + 1> weights_{};  // by distance
    std::uint64_t salt_first_ = 0, salt_second_ = 0;    // the hash's key
    std::vector<std::string> ids_;                      // of items; empty where one was forgotten
    detail::NameIndex index_;
    std::vector<Counted> items_;
    std::vector<std::uint32_t> free_;  // numbers of forgotten items, descending
    detail::UserWindows users_;
    std::size_t pairs_ = 0;
    std::uint64_t events_ = 0;
    std::int64_t epoch_ = 0;  // whole half-lives since 1970
    double newest_ = -std::numeric_limits<double>::infinity();
};

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ranklet/core/keyed_hash.hpp"
#include "ranklet/core/power.hpp"
#include "ranklet/counting/state_file.hpp"

RANKLET_NAMESPACE_BEGIN

namespace detail {

RANKLET_COLD RANKLET_FUNC Result<void> check(const TransitionOptions& o) {
    const auto wrong = [](std::initializer_list<ErrorPart> what) {
        return make_error(ErrorCode::invalid_argument, {"TransitionOptions::"}, what);
    };
    if (o.window < 1 || o.window > 64) return wrong({"window is ", o.window, ", expected 1 to 64"});
    if (!(o.exponent >= 0 && o.exponent <= 16)) return wrong({"exponent is ", o.exponent, ", expected 0 to 16"});
    if (o.users < 1 || o.users > most_pair_users)
        return wrong({"users is ", o.users, ", expected 1 to ", most_pair_users});
    if (!(o.half_life == 0 || (o.half_life >= 1 && o.half_life <= 1e12)))
        return wrong({"half_life is ", o.half_life, " seconds, expected 0 or 1 to 1e12"});
    if (o.max_events_per_user < 1 || o.max_events_per_user > UINT32_MAX)
        return wrong({"max_events_per_user is ", o.max_events_per_user, ", expected 1 to ", UINT32_MAX});
    if (o.max_pairs < 8 * o.window)
        return wrong({"max_pairs is ", o.max_pairs, ", expected at least ", 8 * o.window, ", 8 windows"});
    if (o.max_users < 1 || o.max_users > INT32_MAX)
        return wrong({"max_users is ", o.max_users, ", expected 1 to ", INT32_MAX});
    if (o.max_items <= o.window || o.max_items > INT32_MAX)
        return wrong({"max_items is ", o.max_items, ", expected ", o.window + 1, " to ", INT32_MAX});
    return {};
}

// Adds, and stays at the largest number where the sum is beyond it.
RANKLET_FUNC std::uint32_t add_times(std::uint32_t a, std::uint32_t b) noexcept {
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/// In which order pairs are forgotten: by whether they come from enough users, by weight, and then by chance, the same
/// on every machine. 96 bits, in digits of 16.
struct ForgettingOrder {
    static constexpr std::size_t digits = 6;
    using Key = std::array<std::uint16_t, digits>;

    static Key key(std::uint32_t source, const PairEntry& entry) noexcept {
        std::uint64_t bits = 0;  // of weights, which are not negative, these are in the numbers' order
        std::memcpy(&bits, &entry.weight, sizeof bits);
        bits |= std::uint64_t{entry.passed()} << 63;
        std::uint64_t chance = (std::uint64_t{source} << 32 | entry.follower) * 0x9E3779B97F4A7C15u;
        chance = (chance ^ chance >> 31) * 0xBF58476D1CE4E5B9u;
        return {static_cast<std::uint16_t>(bits >> 48),   static_cast<std::uint16_t>(bits >> 32),
                static_cast<std::uint16_t>(bits >> 16),   static_cast<std::uint16_t>(bits),
                static_cast<std::uint16_t>(chance >> 48), static_cast<std::uint16_t>(chance >> 32)};
    }
};

}  // namespace detail

RANKLET_FUNC TransitionCounts::TransitionCounts(TransitionOptions&& options) noexcept
    : options_(std::move(options)), users_(options_.window) {
    for (std::size_t d = 1; d <= options_.window; ++d) {
        const double weight = detail::portable_pow(static_cast<double>(d), -options_.exponent);
        weights_[d] = std::max(1.0, std::floor(std::ldexp(weight, 20) + 0.5)) / 1048576.0;
    }
    salt_first_ = detail::siphash(options_.salt, {0x72616E6B6C657431u, 0});
    salt_second_ = detail::siphash(options_.salt, {0x72616E6B6C657432u, 0});
}
RANKLET_FUNC Result<TransitionCounts> TransitionCounts::create(const TransitionOptions& options) RANKLET_MEMORY_TRY {
    RANKLET_TRY(detail::check(options));
    TransitionOptions copy = options;
    return TransitionCounts(std::move(copy));
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC void TransitionCounts::swap(TransitionCounts& other) noexcept {
    std::swap(options_, other.options_);
    std::swap(weights_, other.weights_);
    std::swap(salt_first_, other.salt_first_);
    std::swap(salt_second_, other.salt_second_);
    ids_.swap(other.ids_);
    std::swap(index_, other.index_);
    items_.swap(other.items_);
    free_.swap(other.free_);
    std::swap(users_, other.users_);
    std::swap(pairs_, other.pairs_);
    std::swap(events_, other.events_);
    std::swap(epoch_, other.epoch_);
    std::swap(newest_, other.newest_);
}

RANKLET_FUNC std::uint64_t TransitionCounts::hash_of(std::string_view user) const noexcept {
    return detail::siphash(user, {salt_first_, salt_second_});
}

RANKLET_FUNC double TransitionCounts::worth(double time) const noexcept {
    if (options_.half_life == 0) return 1;
    const double age = time / options_.half_life, whole = std::floor(age);
    const double part = std::floor(std::ldexp(detail::portable_exp2(age - whole), 30) + 0.5);
    const double epochs = whole - static_cast<double>(epoch_);
    return std::ldexp(part, static_cast<int>(std::clamp(epochs, -4000.0, 4000.0)) - 30);
}

// Before events of a later time would outgrow what a double holds, everything is brought to their unit.
RANKLET_FUNC void TransitionCounts::enter_epoch(double time) noexcept {
    if (options_.half_life == 0) return;
    const auto epoch = static_cast<std::int64_t>(std::floor(time / options_.half_life));
    if (events_ == 0 && pairs_ == 0)
        epoch_ = epoch;
    else if (epoch - epoch_ >= epochs_between_scalings)
        scale_to(epoch);
}
RANKLET_FUNC void TransitionCounts::scale_to(std::int64_t epoch) noexcept {
    const int down = static_cast<int>(std::clamp<std::int64_t>(epoch - epoch_, -4000, 4000));
    epoch_ = epoch;
    for (Counted& item : items_) {
        item.row.for_each([&](detail::PairEntry& entry) { entry.weight = std::ldexp(entry.weight, -down); });
        pairs_ -= item.row.erase_if(
            [](const detail::PairEntry& entry) { return entry.weight < std::ldexp(1.0, -forgotten_epochs); });
        item.row.shrink();
    }
}

RANKLET_FUNC std::uint32_t TransitionCounts::find_item(std::string_view id) const noexcept {
    const std::size_t place = index_.find(id, ids_);
    return place == detail::NameIndex::none ? no_item : static_cast<std::uint32_t>(place);
}

// If there is no memory for it, nothing has changed.
RANKLET_FUNC std::uint32_t TransitionCounts::add_item(std::string_view id) {
    const std::size_t place = free_.empty() ? ids_.size() : free_.back();
    std::string kept(id);
    if (free_.empty()) {
        const auto grow = [&](auto& list) {
            if (list.size() == list.capacity()) list.reserve(std::max<std::size_t>(16, 2 * list.size()));
        };
        grow(ids_);
        grow(items_);
        ids_.emplace_back();
    }
    struct Undo {
        std::vector<std::string>& ids;
        std::size_t place;
        bool is_new, needed = true;
        ~Undo() {
            if (needed && is_new) ids.pop_back();
            if (needed && !is_new) ids[place].clear();
        }
    } undo{ids_, place, free_.empty()};
    ids_[place].swap(kept);
    index_.add(place, ids_);
    undo.needed = false;
    if (undo.is_new)
        items_.emplace_back();
    else
        free_.pop_back();
    return static_cast<std::uint32_t>(place);
}

RANKLET_FUNC void TransitionCounts::remove_pair(std::uint32_t source, const detail::PairEntry* entry) noexcept {
    items_[source].row.erase(entry);
    --pairs_;
}

RANKLET_FUNC Result<Observed> TransitionCounts::observe(std::string_view user, std::string_view item,
                                                        double time) RANKLET_MEMORY_TRY {
    const auto wrong = [](std::initializer_list<ErrorPart> what) {
        return make_error(ErrorCode::invalid_argument, what);
    };
    if (user.empty()) return wrong({"an event without a user's id"});
    if (item.empty()) return wrong({"an event without an item's id"});
    if (item.size() > longest_id)
        return wrong({"an item's id of ", item.size(), " bytes, expected at most ", longest_id});
    if (!(time > -last_time && time < last_time))
        return wrong({"an event's time is ", time, ", expected seconds since 1970, less than ", last_time});
    const std::uint64_t hash = hash_of(user);
    std::size_t number = users_.find(hash);
    std::uint32_t target = find_item(item);
    if (number != detail::UserWindows::none) {
        const detail::UserRecord& record = users_[number];
        if (record.events >= options_.max_events_per_user) return Observed::over_limit;
        time = std::max(time, record.last);
        if (time == record.last) {
            const auto recent = users_.items(number).last(record.recent);
            if (std::find(recent.begin(), recent.end(), target) != recent.end()) return Observed::repeated;
        }
    }

    // Room for everything, so that what follows cannot fail.
    enter_epoch(time);
    if (pairs_ + options_.window > options_.max_pairs) forget_pairs(options_.max_pairs);
    if (target == no_item && items() == options_.max_items) forget_items(options_.max_items);
    if (number == detail::UserWindows::none) {
        if (users_.size() == options_.max_users) forget_users(options_.max_users);
        users_.reserve_one();
    }
    std::array<std::uint32_t, largest_window + 1> sources{};  // by distance
    std::size_t distances = 0;
    if (number != detail::UserWindows::none)
        for (const auto items = users_.items(number); distances < items.size(); ++distances)
            sources[distances + 1] = items[items.size() - 1 - distances];
    if (target != no_item)
        for (std::size_t d = 1; d <= distances; ++d) items_[sources[d]].row.prefetch(target);
    for (std::size_t d = 1; d <= distances; ++d)
        if (sources[d] != target) items_[sources[d]].row.reserve_more(1);
    if (target == no_item) target = add_item(item);
    if (number == detail::UserWindows::none) number = users_.add(hash);

    const double unit = worth(time);
    const std::uint16_t mark = mark_of(hash);
    for (std::size_t d = 1; d <= distances; ++d) {
        if (sources[d] == target) continue;
        detail::PairEntry& entry = items_[sources[d]].row.at(target);
        if (entry.times == 0) ++pairs_;
        entry.weight += weights_[d] * unit;
        entry.times = detail::add_times(entry.times, 1);
        entry.add_mark(mark, options_.users);
    }
    Counted& counted = items_[target];
    counted.last = counted.seen == 0 ? time : std::max(counted.last, time);
    counted.seen = detail::add_times(counted.seen, 1);
    users_.push(number, target, time);
    newest_ = std::max(newest_, time);
    ++events_;
    return Observed::counted;
}
RANKLET_MEMORY_CATCH

// The threshold is found digit by digit from counts of the pairs that have each: between an eighth and a quarter of what
// may be there goes, so that the counting is seldom.
RANKLET_FUNC void TransitionCounts::forget_pairs(std::size_t most) {
    using Order = detail::ForgettingOrder;
    const std::size_t kept = after_forgetting(most) - options_.window;
    const std::size_t fewest_gone = pairs_ - std::min(pairs_, kept), most_gone = fewest_gone + most / 8;
    if (fewest_gone == 0) return;
    std::vector<std::size_t> counts;
    Order::Key threshold{};  // what is below it goes
    std::size_t gone = 0;
    const auto has_prefix = [&](const Order::Key& key, std::size_t digits) {
        return std::equal(key.begin(), key.begin() + static_cast<std::ptrdiff_t>(digits), threshold.begin());
    };
    std::size_t known = 0;  // digits of the threshold
    for (bool found = false; !found && known < Order::digits; ++known) {
        counts.assign(std::size_t{1} << 16, 0);
        for (std::uint32_t source = 0; source < items_.size(); ++source)
            std::as_const(items_[source].row).for_each([&](const detail::PairEntry& entry) {
                const Order::Key key = Order::key(source, entry);
                if (has_prefix(key, known)) ++counts[key[known]];
            });
        std::size_t digit = 0;
        while (gone + counts[digit] < fewest_gone) gone += counts[digit++];
        threshold[known] = static_cast<std::uint16_t>(digit);
        found = gone + counts[digit] <= most_gone;
    }
    for (std::uint32_t source = 0; source < items_.size(); ++source) {
        detail::PairRow& row = items_[source].row;
        pairs_ -= row.erase_if([&](const detail::PairEntry& entry) {
            const Order::Key key = Order::key(source, entry);
            return std::lexicographical_compare(key.begin(), key.begin() + static_cast<std::ptrdiff_t>(known),
                                                threshold.begin(),
                                                threshold.begin() + static_cast<std::ptrdiff_t>(known)) ||
                   has_prefix(key, known);
        });
        row.shrink();
    }
}

RANKLET_FUNC void TransitionCounts::forget_users(std::size_t most) {
    const std::size_t kept = after_forgetting(most);
    if (users_.size() <= kept) return;
    std::vector<std::pair<double, std::uint64_t>> order;
    order.reserve(users_.size());
    for (std::size_t u = 0; u < users_.size(); ++u) order.emplace_back(users_[u].last, users_[u].hash);
    const auto first_kept = order.begin() + static_cast<std::ptrdiff_t>(users_.size() - kept);
    std::nth_element(order.begin(), first_kept, order.end());
    std::sort(order.begin(), first_kept);  // removals renumber users: in one order, whatever nth_element left
    for (auto user = order.begin(); user != first_kept; ++user) users_.remove(users_.find(user->second));
}

RANKLET_FUNC void TransitionCounts::forget_items(std::size_t most) {
    const std::size_t kept = after_forgetting(most);
    if (items() <= kept) return;
    std::vector<std::uint32_t> order;
    order.reserve(items());
    for (std::uint32_t i = 0; i < items_.size(); ++i)
        if (!ids_[i].empty()) order.push_back(i);
    const auto first_kept = order.begin() + static_cast<std::ptrdiff_t>(items() - kept);
    std::nth_element(order.begin(), first_kept, order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return items_[a].last != items_[b].last ? items_[a].last < items_[b].last : ids_[a] < ids_[b];
    });
    std::vector<bool> gone(items_.size());
    detail::NameIndex index;
    for (auto item = order.begin(); item != first_kept; ++item) gone[*item] = true;
    for (std::size_t i = 0; i < ids_.size(); ++i)
        if (!gone[i] && !ids_[i].empty()) index.add(i, ids_);
    free_.reserve(ids_.size());
    // No memory is needed from here on.
    index_ = std::move(index);
    free_.clear();
    for (std::uint32_t i = static_cast<std::uint32_t>(items_.size()); i-- > 0;) {
        detail::PairRow& row = items_[i].row;
        if (gone[i]) {
            pairs_ -= row.size();
            items_[i] = Counted();
            std::string().swap(ids_[i]);
        } else {
            pairs_ -= row.erase_if([&](const detail::PairEntry& entry) { return gone[entry.follower]; });
            row.shrink();
        }
        if (ids_[i].empty()) free_.push_back(i);
    }
    users_.drop_items(gone);
}

RANKLET_FUNC Result<std::vector<std::string>> TransitionCounts::recent_items(std::string_view user) const
    RANKLET_MEMORY_TRY {
    std::vector<std::string> ids;
    const std::size_t found = users_.find(hash_of(user));
    if (found == detail::UserWindows::none) return ids;
    for (const std::uint32_t item : users_.items(found)) ids.push_back(ids_[item]);
    return ids;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Transitions> TransitionCounts::snapshot(const SnapshotOptions& options) const RANKLET_MEMORY_TRY {
    const auto wrong = [](std::initializer_list<ErrorPart> what) {
        return make_error(ErrorCode::invalid_argument, {"SnapshotOptions::"}, what);
    };
    if (options.followers < 1) return wrong({"followers is 0, expected at least 1"});
    for (const auto& [name, power] :
         {std::pair("source_power", options.source_power), std::pair("target_power", options.target_power)})
        if (!(power >= 0 && power <= 2)) return wrong({name, " is ", power, ", expected 0 to 2"});
    if (!(options.smoothing >= 0 && options.smoothing <= 1e9))
        return wrong({"smoothing is ", options.smoothing, ", expected 0 to 1e9"});
    const double now = std::isnan(options.now) ? newest_ : options.now;
    if (pairs_ > 0 && !(now >= newest_ && now < last_time))
        return wrong({"now is ", now, ", before the newest event's time ", newest_, " or too late for a time"});
    const double unit = options_.half_life == 0 || pairs_ == 0 ? 1 : 1 / worth(now);

    // Which items have a pair to show, in the order of their ids.
    const auto is_shown = [](const detail::PairEntry& entry) { return entry.passed() && entry.weight > 0; };
    std::vector<bool> shown(items_.size());
    for (std::size_t a = 0; a < items_.size(); ++a)
        items_[a].row.for_each([&](const detail::PairEntry& entry) {
            if (is_shown(entry)) shown[a] = shown[entry.follower] = true;
        });
    std::vector<std::uint32_t> order, number(items_.size());
    for (std::uint32_t i = 0; i < items_.size(); ++i)
        if (shown[i]) order.push_back(i);
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return ids_[a] < ids_[b]; });
    for (std::uint32_t n = 0; n < order.size(); ++n) number[order[n]] = n;

    struct Follower {
        double weight;
        float strength;
        std::uint32_t row, times;
    };
    std::vector<Follower> row;
    // A row's pairs in the order of their ids: sums that are rounded are added up in one order.
    const auto gather = [&](std::uint32_t item, bool ordered) {
        row.clear();
        items_[item].row.for_each([&](const detail::PairEntry& entry) {
            if (is_shown(entry)) row.push_back({entry.weight, 0, number[entry.follower], entry.times});
        });
        if (ordered)
            std::sort(row.begin(), row.end(), [](const Follower& a, const Follower& b) { return a.row < b.row; });
    };
    std::vector<double> sources(order.size()), targets(order.size());
    std::size_t total = 0;
    for (std::size_t a = 0; a < order.size(); ++a) {
        gather(order[a], options_.half_life > 0);
        total += std::min(row.size(), options.followers);
        for (const Follower& follower : row) {
            sources[a] += follower.weight;
            targets[follower.row] += follower.weight;
        }
    }
    constexpr double most = std::numeric_limits<double>::max();
    constexpr auto strongest = static_cast<double>(std::numeric_limits<float>::max());
    const auto share = [&](double sum, double power) {
        const double smoothed = std::fma(sum, unit, options.smoothing);
        // Without smoothing a sum of faded counts may be next to nothing.
        return sum > 0 && smoothed > 0 ? std::min(detail::portable_pow(smoothed, -power), most) : 0;
    };
    for (double& sum : sources) sum = share(sum, options.source_power);
    for (double& sum : targets) sum = share(sum, options.target_power);

    TransitionsData data;
    data.ids.reserve(order.size());
    data.seen.reserve(order.size());
    data.row_sizes.reserve(order.size());
    data.followers.reserve(total);
    data.strengths.reserve(total);
    data.times.reserve(total);
    const auto comes_before = [](const Follower& a, const Follower& b) {
        return a.strength != b.strength ? a.strength > b.strength : a.row < b.row;
    };
    for (std::size_t a = 0; a < order.size(); ++a) {
        gather(order[a], false);
        for (Follower& follower : row)
            follower.strength =
                static_cast<float>(std::min(follower.weight * unit * sources[a] * targets[follower.row], strongest));
        if (row.size() > options.followers) {
            const auto end = row.begin() + static_cast<std::ptrdiff_t>(options.followers);
            std::nth_element(row.begin(), end, row.end(), comes_before);
            row.resize(options.followers);
        }
        std::sort(row.begin(), row.end(), comes_before);
        data.ids.push_back(ids_[order[a]]);
        data.seen.push_back(items_[order[a]].seen);
        data.row_sizes.push_back(static_cast<std::uint32_t>(row.size()));
        for (const Follower& follower : row) {
            data.followers.push_back(follower.row);
            data.strengths.push_back(follower.strength);
            data.times.push_back(std::min<std::uint32_t>(follower.times, INT32_MAX));
        }
    }
    return Transitions::create(std::move(data));
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<void> TransitionCounts::merge(const TransitionCounts& other) RANKLET_MEMORY_TRY {
    const TransitionOptions &mine = options_, &theirs = other.options_;
    const auto differs = [](const char* what) {
        return make_error(ErrorCode::mismatch, {"transition counts do not add up: they have different ", what});
    };
    if (mine.window != theirs.window) return differs("windows");
    if (mine.exponent != theirs.exponent) return differs("exponents");
    if (mine.users != theirs.users) return differs("numbers of users");
    if (mine.half_life != theirs.half_life) return differs("half-lives");
    if (salt_first_ != other.salt_first_ || salt_second_ != other.salt_second_) return differs("salts");

    TransitionCounts sum = *this;
    const bool is_new = sum.events_ == 0 && sum.pairs_ == 0;
    if (is_new || (other.epoch_ > sum.epoch_ && other.pairs_ > 0)) sum.scale_to(other.epoch_);
    const int up = static_cast<int>(std::clamp<std::int64_t>(other.epoch_ - sum.epoch_, -4000, 0));
    std::vector<std::uint32_t> number(other.items_.size(), no_item);
    for (std::uint32_t i = 0; i < other.items_.size(); ++i) {
        if (other.ids_[i].empty()) continue;
        number[i] = sum.find_item(other.ids_[i]);
        if (number[i] == no_item) number[i] = sum.add_item(other.ids_[i]);
        Counted& counted = sum.items_[number[i]];
        const Counted& more = other.items_[i];
        counted.last = counted.seen == 0 ? more.last
                       : more.seen == 0  ? counted.last
                                         : std::max(counted.last, more.last);
        counted.seen = detail::add_times(counted.seen, more.seen);
    }
    for (std::uint32_t i = 0; i < other.items_.size(); ++i) {
        if (number[i] == no_item) continue;
        detail::PairRow& row = sum.items_[number[i]].row;
        other.items_[i].row.for_each([&](const detail::PairEntry& more) {
            row.reserve_more(1);
            detail::PairEntry& entry = row.at(number[more.follower]);
            if (entry.times == 0) ++sum.pairs_;
            entry.weight += std::ldexp(more.weight, up);
            entry.times = detail::add_times(entry.times, more.times);
            if (more.passed()) entry.pass();
            for (const std::uint16_t mark : more.marks)
                if (mark != detail::PairEntry::no_mark && !more.passed()) entry.add_mark(mark, options_.users);
        });
    }
    std::vector<std::uint32_t> window;
    for (std::size_t u = 0; u < other.users_.size(); ++u) {
        const detail::UserRecord& more = other.users_[u];
        std::size_t user = sum.users_.find(more.hash);
        const bool is_theirs = user == detail::UserWindows::none || sum.users_[user].last < more.last;
        if (user == detail::UserWindows::none) {
            sum.users_.reserve_one();
            user = sum.users_.add(more.hash);
        }
        detail::UserRecord& record = sum.users_[user];
        record.events = detail::add_times(record.events, more.events);
        if (!is_theirs) continue;
        record.last = more.last;
        window.clear();
        for (const std::uint32_t item : other.users_.items(u)) window.push_back(number[item]);
        sum.users_.set_items(user, window, more.recent);
    }
    sum.events_ += other.events_;
    sum.newest_ = std::max(sum.newest_, other.newest_);
    if (sum.items() > mine.max_items) sum.forget_items(mine.max_items);
    if (sum.users() > mine.max_users) sum.forget_users(mine.max_users);
    if (sum.pairs() > mine.max_pairs) sum.forget_pairs(mine.max_pairs);
    swap(sum);
    return {};
}
RANKLET_MEMORY_CATCH

// What observe would have done with these events, the one at `without` left out, as changes with that sign.
RANKLET_FUNC void TransitionCounts::replay(std::span<const TimedItem> events, std::size_t without, int sign,
                                           Replayed& out) const {
    std::vector<std::size_t> kept;  // places of the events that count
    std::vector<std::uint32_t> items;
    std::size_t recent = 0;
    double last = 0;
    for (std::size_t e = 0; e < events.size(); ++e) {
        if (e == without || events[e].id.empty()) continue;
        if (kept.size() >= options_.max_events_per_user) break;
        const double time = kept.empty() ? events[e].time : std::max(events[e].time, last);
        if (kept.empty() || time != last) recent = 0;
        bool is_repeated = false;
        for (std::size_t i = kept.size() - recent; i < kept.size(); ++i)
            is_repeated = is_repeated || events[kept[i]].id == events[e].id;
        if (is_repeated) continue;
        const std::uint32_t target = find_item(events[e].id);
        const double unit = worth(time);
        for (std::size_t d = 1; d <= std::min(options_.window, items.size()) && target != no_item; ++d) {
            const std::uint32_t source = items[items.size() - d];
            if (source != no_item && source != target)
                out.changes.push_back({source, target, sign * (weights_[d] * unit), sign, sign > 0 ? 1 : 0});
        }
        if (target != no_item) out.seen.emplace_back(target, sign);
        kept.push_back(e);
        items.push_back(target);
        recent = std::min(recent + 1, options_.window);
        last = time;
    }
    out.events = static_cast<std::uint32_t>(kept.size());
    out.last = last;
    out.recent = 0;
    out.window.clear();
    for (std::size_t i = items.size() - std::min(items.size(), options_.window); i < items.size(); ++i) {
        if (items[i] == no_item) continue;
        out.window.push_back(items[i]);
        if (i + recent >= items.size()) ++out.recent;
    }
}

RANKLET_FUNC Result<void> TransitionCounts::check_times(std::span<const TimedItem> events) {
    for (std::size_t e = 0; e < events.size(); ++e)
        if (!(events[e].time > -last_time && events[e].time < last_time))
            return make_error(ErrorCode::invalid_argument, {"event ", e, " has the time ", events[e].time});
    return {};
}

RANKLET_FUNC Result<void> TransitionCounts::change_user(std::string_view user, std::span<const TimedItem> events,
                                                        std::size_t without, bool keeps_user) {
    if (user.empty()) return make_error(ErrorCode::invalid_argument, {"a user without an id"});
    RANKLET_TRY(check_times(events));
    Replayed replayed;
    replay(events, events.size(), -1, replayed);
    const std::uint32_t events_before = replayed.events;
    if (keeps_user)
        replay(events, without, 1, replayed);
    else
        replayed.events = 0;
    std::vector<Change>& changes = replayed.changes;
    const auto pair_of = [](const Change& c) { return std::pair(c.source, c.target); };
    std::stable_sort(changes.begin(), changes.end(),
                     [&](const Change& a, const Change& b) { return pair_of(a) < pair_of(b); });
    std::size_t count = 0;  // changes of one pair become one
    for (std::size_t i = 0; i < changes.size(); ++i) {
        if (count > 0 && pair_of(changes[count - 1]) == pair_of(changes[i])) {
            changes[count - 1].weight += changes[i].weight;
            changes[count - 1].times += changes[i].times;
            changes[count - 1].left += changes[i].left;
        } else {
            changes[count++] = changes[i];
        }
    }
    changes.resize(count);
    std::erase_if(changes, [](const Change& c) { return c.times == 0 && c.weight == 0; });
    std::size_t more = 0;  // pairs that are not there yet
    for (const Change& change : changes)
        if (change.times > 0 && items_[change.source].row.find(change.target) == nullptr) ++more;
    if (pairs_ + more > options_.max_pairs) forget_pairs(options_.max_pairs);
    for (const Change& change : changes)
        if (change.times > 0) items_[change.source].row.reserve_more(more);
    // Nothing fails from here on.
    const std::uint64_t hash = hash_of(user);
    const std::uint16_t mark = mark_of(hash);
    for (const Change& change : changes) {
        detail::PairRow& row = items_[change.source].row;
        if (row.find(change.target) == nullptr) {
            if (change.times <= 0) continue;  // it was forgotten, and what is to be subtracted with it
            ++pairs_;
        }
        detail::PairEntry& entry = row.at(change.target);
        const std::int64_t times = std::int64_t{entry.times} + change.times;
        entry.times = static_cast<std::uint32_t>(std::clamp<std::int64_t>(times, 0, UINT32_MAX));
        entry.weight = std::max(0.0, entry.weight + change.weight);
        if (entry.times == 0)
            remove_pair(change.source, &entry);
        else if (change.left > 0)
            entry.add_mark(mark, options_.users);
        else if (entry.passed() && options_.users > 1)
            entry.clear_marks();
        else
            entry.remove_mark(mark);
    }
    for (const Change& change : changes) items_[change.source].row.shrink();
    for (const auto& [item, times] : replayed.seen)
        items_[item].seen = static_cast<std::uint32_t>(
            std::clamp<std::int64_t>(std::int64_t{items_[item].seen} + times, 0, UINT32_MAX));
    events_ -= std::min<std::uint64_t>(events_, events_before - replayed.events);
    const std::size_t number = users_.find(hash);
    if (number == detail::UserWindows::none) return {};
    if (replayed.events == 0) {
        users_.remove(number);
        return {};
    }
    users_[number].events = replayed.events;
    users_[number].last = replayed.last;
    users_.set_items(number, replayed.window, replayed.recent);
    return {};
}

RANKLET_FUNC Result<void> TransitionCounts::erase_user(std::string_view user,
                                                       std::span<const TimedItem> events) RANKLET_MEMORY_TRY {
    return change_user(user, events, events.size(), false);
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<void> TransitionCounts::take_back(std::string_view user, std::span<const TimedItem> events,
                                                      std::size_t place) RANKLET_MEMORY_TRY {
    if (place >= events.size())
        return make_error(ErrorCode::invalid_argument, {"event ", place, " is to be taken back, of ", events.size()});
    return change_user(user, events, place, true);
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<void> TransitionCounts::join_users(std::string_view from, std::string_view to,
                                                       std::span<const TimedItem> events) RANKLET_MEMORY_TRY {
    if (from.empty() || to.empty()) return make_error(ErrorCode::invalid_argument, {"a user without an id"});
    RANKLET_TRY(check_times(events));
    const std::uint64_t hash = hash_of(from), new_hash = hash_of(to);
    if (hash == new_hash) return {};
    Replayed replayed;
    replay(events, events.size(), 1, replayed);
    const std::size_t source = users_.find(hash), target = users_.find(new_hash);
    std::vector<std::uint32_t> window;
    if (source != detail::UserWindows::none && target != detail::UserWindows::none)
        for (const std::size_t user : {target, source})
            window.insert(window.end(), users_.items(user).begin(), users_.items(user).end());
    // Nothing fails from here on.
    const std::uint16_t mark = mark_of(hash), new_mark = mark_of(new_hash);
    for (const Change& change : replayed.changes)
        if (detail::PairEntry* entry = items_[change.source].row.find(change.target))
            if (entry->remove_mark(mark)) entry->add_mark(new_mark, options_.users);
    if (source == detail::UserWindows::none) return {};
    if (target == detail::UserWindows::none) {
        users_.rename(source, new_hash);
        return {};
    }
    const detail::UserRecord& session = users_[source];
    detail::UserRecord& account = users_[target];
    std::size_t recent = session.last < account.last ? 0 : session.recent;
    if (session.last == account.last && session.recent == session.size) recent += account.recent;
    account.events = detail::add_times(account.events, session.events);
    account.last = std::max(account.last, session.last);
    users_.set_items(target, window, recent);
    users_.remove(source);
    return {};
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC std::size_t TransitionCounts::memory_bytes() const noexcept {
    std::size_t bytes = ids_.capacity() * sizeof(std::string) + items_.capacity() * sizeof(Counted) +
                        free_.capacity() * sizeof(std::uint32_t) + users_.bytes();
    for (const Counted& item : items_) bytes += item.row.capacity() * sizeof(detail::PairEntry);
    return bytes;
}

RANKLET_FUNC Result<void> TransitionCounts::save(const std::string& path) const RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(detail::StateWriter file, detail::StateWriter::create(path, "RKTC", 1));
    for (const std::size_t number : {options_.window, options_.users, options_.max_events_per_user, options_.max_pairs,
                                     options_.max_users, options_.max_items})
        file.put(std::uint64_t{number});
    file.put(options_.exponent);
    file.put(options_.half_life);
    file.put(detail::siphash("salt", {salt_first_, salt_second_}));  // whether it is the same, not what it is
    file.put(events_);
    file.put(epoch_);
    file.put(newest_);
    file.put(std::uint64_t{items_.size()});
    for (std::size_t i = 0; i < items_.size(); ++i) {
        file.text(ids_[i]);
        file.put(items_[i].seen);
        file.put(items_[i].last);
        RANKLET_TRY(file.flush());
    }
    for (const Counted& item : items_) {
        file.put(std::uint64_t{item.row.size()});
        detail::SharedError failed;
        item.row.for_each([&](const detail::PairEntry& entry) {
            if (failed) return;
            file.put(entry.follower);
            file.put(entry.times);
            file.put(entry.weight);
            for (const std::uint16_t mark : entry.marks) file.put(mark);
            failed = file.flush().shared_error();
        });
        if (failed) return failed;
    }
    file.put(std::uint64_t{users_.size()});
    for (std::size_t u = 0; u < users_.size(); ++u) {
        const detail::UserRecord& user = users_[u];
        file.put(user.hash);
        file.put(user.last);
        file.put(user.events);
        file.put(user.recent);
        file.put(user.size);
        for (const std::uint32_t item : users_.items(u)) file.put(item);
        RANKLET_TRY(file.flush());
    }
    return file.commit();
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<TransitionCounts> TransitionCounts::load(const std::string& path,
                                                             const std::string& salt) RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(detail::StateReader file, detail::StateReader::open(path, "RKTC", 1, "transition counts"));
    TransitionOptions options;
    for (std::size_t* number : {&options.window, &options.users, &options.max_events_per_user, &options.max_pairs,
                                &options.max_users, &options.max_items})
        *number = static_cast<std::size_t>(std::min<std::uint64_t>(file.get<std::uint64_t>(), SIZE_MAX));
    options.exponent = file.get<double>();
    options.half_life = file.get<double>();
    options.salt = salt;
    RANKLET_TRY(file.check());
    if (const auto valid = detail::check(options); !valid.ok()) return file.wrong({valid.error().message});
    TransitionCounts counts(std::move(options));
    if (file.get<std::uint64_t>() != detail::siphash("salt", {counts.salt_first_, counts.salt_second_}))
        return make_error(ErrorCode::mismatch, {path, ": the counts were made with another salt"});
    RANKLET_TRY(counts.read(file));
    return counts;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<void> TransitionCounts::read(detail::StateReader& file) {
    const auto is_time = [](double time) { return time > -last_time && time < last_time; };
    events_ = file.get<std::uint64_t>();
    epoch_ = file.get<std::int64_t>();
    newest_ = file.get<double>();
    if (!is_time(newest_) && !(newest_ < 0 && std::isinf(newest_))) return file.wrong({"the newest time is no time"});
    if (epoch_ < -(std::int64_t{1} << 37) || epoch_ > (std::int64_t{1} << 37))
        return file.wrong({"the counts' epoch is ", epoch_});
    const bool met = newest_ > -last_time;
    if (met && options_.half_life > 0 && static_cast<double>(epoch_) > std::floor(newest_ / options_.half_life))
        return file.wrong({"the counts' epoch is ", epoch_, ", after the newest time ", newest_});
    // No event weighs more than one of the newest time, of which fewer than 2^64 were counted.
    const double heaviest = met ? std::min(std::ldexp(worth(newest_), 64), heaviest_pair) : 0;
    const std::size_t item_count = file.count(sizeof(std::uint32_t) * 2 + sizeof(double) + sizeof(std::uint64_t));
    for (std::size_t i = 0; i < item_count; ++i) {
        const std::string_view id = file.text();
        if (id.size() > longest_id) return file.wrong({"an item's id of ", id.size(), " bytes"});
        Counted& item = items_.emplace_back();
        item.seen = file.get<std::uint32_t>();
        item.last = file.get<double>();
        ids_.emplace_back(id);
        RANKLET_TRY(file.check());
        if (!is_time(item.last)) return file.wrong({"an item's time is no time"});
        if (!id.empty() && index_.add(i, ids_) != i) return file.wrong({"item ", i, " is there twice"});
    }
    for (std::uint32_t i = static_cast<std::uint32_t>(item_count); i-- > 0;)
        if (ids_[i].empty()) free_.push_back(i);
    if (items() > options_.max_items) return file.wrong({items(), " items, more than its own limit"});
    const auto is_item = [&](std::uint32_t item) { return item < ids_.size() && !ids_[item].empty(); };
    for (std::uint32_t a = 0; a < item_count; ++a) {
        const std::size_t pair_count = file.count(sizeof(detail::PairEntry));
        RANKLET_TRY(file.check());
        if (pair_count > 0 && !is_item(a)) return file.wrong({"pairs of item ", a, ", which is not there"});
        detail::PairRow& row = items_[a].row;
        row.reserve_more(pair_count);
        for (std::size_t p = 0; p < pair_count; ++p) {
            detail::PairEntry read;
            read.follower = file.get<std::uint32_t>();
            read.times = file.get<std::uint32_t>();
            read.weight = file.get<double>();
            for (std::uint16_t& mark : read.marks) mark = file.get<std::uint16_t>();
            RANKLET_TRY(file.check());
            if (!is_item(read.follower) || read.follower == a)
                return file.wrong({"item ", a, " is followed by ", read.follower, ", which it cannot be"});
            if (read.times == 0) return file.wrong({"a pair that was seen 0 times"});
            if (!(read.weight >= 0 && read.weight <= heaviest))
                return file.wrong({"a pair's weight is ", read.weight, ", which no events lead to"});
            if (!met) return file.wrong({"a pair without an event"});
            detail::PairEntry expected;  // the same marks, put in one by one
            for (const std::uint16_t mark : read.marks)
                if (mark != detail::PairEntry::no_mark) expected.add_mark(mark, options_.users);
            if (read.passed()) expected.pass();
            if (expected.marks != read.marks) return file.wrong({"a pair's marks are none"});
            detail::PairEntry& entry = row.at(read.follower);
            if (entry.times != 0) return file.wrong({"item ", a, " is followed by ", read.follower, " twice"});
            entry = read;
        }
        pairs_ += pair_count;
    }
    if (pairs_ > options_.max_pairs) return file.wrong({pairs_, " pairs, more than its own limit"});
    const std::size_t user_count = file.count(2 * sizeof(std::uint64_t) + 2 * sizeof(std::uint32_t));
    if (user_count > options_.max_users) return file.wrong({user_count, " users, more than its own limit"});
    std::vector<std::uint32_t> window;
    for (std::size_t u = 0; u < user_count; ++u) {
        const auto hash = file.get<std::uint64_t>();
        const auto last = file.get<double>();
        const auto events = file.get<std::uint32_t>();
        const auto recent = file.get<std::uint16_t>();
        const auto size = file.get<std::uint16_t>();
        RANKLET_TRY(file.check());
        if (users_.find(hash) != detail::UserWindows::none) return file.wrong({"user ", u, " is there twice"});
        if (!is_time(last)) return file.wrong({"a user's time is no time"});
        if (size > options_.window || recent > size)
            return file.wrong({"a window of ", size, " items, ", recent, " new"});
        window.clear();
        for (std::size_t i = 0; i < size; ++i) window.push_back(file.get<std::uint32_t>());
        RANKLET_TRY(file.check());
        for (const std::uint32_t item : window)
            if (!is_item(item)) return file.wrong({"a window has item ", item, ", which is not there"});
        users_.reserve_one();
        const std::size_t user = users_.add(hash);
        users_[user].last = last;
        users_[user].events = events;
        users_.set_items(user, window, recent);
    }
    return file.check_end();
}

RANKLET_NAMESPACE_END
#endif
