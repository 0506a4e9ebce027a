// Popularity: how often each item is met, where what is long ago counts less.
// In: events (item, time). Out: a number an item, and its logarithm for lists of items (a prior of a ranking).
// Formula: value(now) = sum over an item's events of weight 2^(-(now - time) / half_life).
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/name_index.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/text_list.hpp"

RANKLET_NAMESPACE_BEGIN

struct PopularityOptions {
    double half_life = 0;  ///< seconds, at least 1; 0: all events count alike
    /// Where one more would be too many, an eighth of the items are forgotten, those of the least value. 200 bytes an item
    /// at most, and twice its id. At least 1, less than 2^31.
    std::size_t max_items = std::size_t{1} << 20;
};

/// One writer: not safe to use from several threads at once. Results are the same bits on every machine; without a
/// half-life they do not depend on the order of events, with one they do by rounding.
class Popularity {
public:
    Popularity() noexcept = default;
    /// Error invalid_argument for an option out of its range.
    RANKLET_COLD static Result<Popularity> create(const PopularityOptions& options = {});

    /// Counts an event, in constant time; events may come in any order. `time` in seconds since 1970; `weight` is finite
    /// and above 0. Error invalid_argument for anything else, an empty id, or one of more than 1024 bytes; out_of_memory,
    /// and nothing of it is counted.
    Result<void> observe(std::string_view item, double time, double weight = 1);
    /// Subtracts what that event added. Of an item that is not there, or has less, nothing is left. Error as observe.
    RANKLET_COLD Result<void> take_back(std::string_view item, double time, double weight = 1);

    /// 0 for an item without events. A time before the item's newest event stands for that event's.
    double value(std::string_view item, double now) const noexcept;
    /// log(1 + value) of each of these items, [ids]. Error out_of_memory.
    Result<std::vector<float>> log_popularity(TextList ids, double now) const;

    /// Adds what another has. Error mismatch for another half-life; out_of_memory, and nothing has changed.
    RANKLET_COLD Result<void> merge(const Popularity& other);
    /// Writes all of it, whole or not at all. Error io.
    RANKLET_COLD Result<void> save(const std::string& path) const;
    /// Error io, format or unsupported, naming the place, when the file is damaged or something else.
    RANKLET_COLD static Result<Popularity> load(const std::string& path);

    const PopularityOptions& options() const noexcept { return options_; }
    std::size_t items() const noexcept { return counts_.size(); }
    /// The newest event's time; minus infinity before the first.
    double newest() const noexcept { return newest_; }

private:
    static constexpr std::size_t longest_id = 1024;
    static constexpr double last_time = 68719476736.0;  // 2^36 seconds, in the year 4147
    static constexpr double largest_value = 1e50;       // events of the largest weight, 2^64 of them, come to 2e49
    struct Count {
        double value = 0;  // at the time `last`
        double last = 0;   // of the newest event
    };
    RANKLET_COLD static Result<void> check(const PopularityOptions& options);
    double decay(double seconds) const noexcept;
    void add(Count& count, double value, double time) const noexcept;
    Result<void> check_event(std::string_view item, double time, double weight) const;
    // A count at its own time, and what is left of one now.
    std::pair<double, double> find(std::string_view item, double now) const noexcept;
    std::size_t add_item(std::string_view id);
    RANKLET_COLD void forget();

    PopularityOptions options_;
    std::vector<std::string> ids_;
    detail::NameIndex index_;
    std::vector<Count> counts_;
    double newest_ = -std::numeric_limits<double>::infinity();
};

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "ranklet/core/power.hpp"
#include "ranklet/counting/state_file.hpp"

RANKLET_NAMESPACE_BEGIN

RANKLET_FUNC Result<void> Popularity::check(const PopularityOptions& o) {
    if (!(o.half_life == 0 || (o.half_life >= 1 && o.half_life <= 1e12)))
        return make_error(ErrorCode::invalid_argument,
                          {"PopularityOptions::half_life is ", o.half_life, " seconds, expected 0 or 1 to 1e12"});
    if (o.max_items < 1 || o.max_items > INT32_MAX)
        return make_error(ErrorCode::invalid_argument,
                          {"PopularityOptions::max_items is ", o.max_items, ", expected 1 to ", INT32_MAX});
    return {};
}
RANKLET_FUNC Result<Popularity> Popularity::create(const PopularityOptions& options) {
    RANKLET_TRY(check(options));
    Popularity made;
    made.options_ = options;
    return made;
}

RANKLET_FUNC double Popularity::decay(double seconds) const noexcept {
    if (options_.half_life == 0) return 1;
    return detail::portable_exp2(-std::min(seconds / options_.half_life, 4000.0));
}
// The later of the two times becomes the count's.
RANKLET_FUNC void Popularity::add(Count& count, double value, double time) const noexcept {
    if (time >= count.last) {
        count.value = std::fma(count.value, decay(time - count.last), value);
        count.last = time;
    } else {
        count.value = std::fma(value, decay(count.last - time), count.value);
    }
}

RANKLET_FUNC Result<void> Popularity::check_event(std::string_view item, double time, double weight) const {
    const auto wrong = [](std::initializer_list<ErrorPart> what) {
        return make_error(ErrorCode::invalid_argument, what);
    };
    if (item.empty()) return wrong({"an event without an item's id"});
    if (item.size() > longest_id)
        return wrong({"an item's id of ", item.size(), " bytes, expected at most ", longest_id});
    if (!(time > -last_time && time < last_time))
        return wrong({"an event's time is ", time, ", expected seconds since 1970, less than ", last_time});
    if (!(weight > 0 && weight <= 1e30)) return wrong({"an event's weight is ", weight, ", expected more than 0"});
    return {};
}

RANKLET_FUNC std::size_t Popularity::add_item(std::string_view id) {
    const std::size_t place = ids_.size();
    if (counts_.size() == counts_.capacity()) counts_.reserve(std::max<std::size_t>(16, 2 * counts_.size()));
    ids_.emplace_back(id);
    struct Undo {
        std::vector<std::string>& ids;
        bool needed = true;
        ~Undo() {
            if (needed) ids.pop_back();
        }
    } undo{ids_};
    index_.add(place, ids_);
    undo.needed = false;
    counts_.emplace_back();
    return place;
}

RANKLET_FUNC void Popularity::forget() {
    const std::size_t kept = options_.max_items - (options_.max_items + 7) / 8;
    if (counts_.size() <= kept) return;
    std::vector<std::pair<double, std::size_t>> order;
    order.reserve(counts_.size());
    for (std::size_t i = 0; i < counts_.size(); ++i)
        order.emplace_back(counts_[i].value * decay(newest_ - counts_[i].last), i);
    const auto first_kept = order.begin() + static_cast<std::ptrdiff_t>(order.size() - kept);
    std::nth_element(order.begin(), first_kept, order.end(), [&](const auto& a, const auto& b) {
        return a.first != b.first ? a.first < b.first : ids_[a.second] < ids_[b.second];
    });
    std::vector<bool> gone(counts_.size());
    for (auto item = order.begin(); item != first_kept; ++item) gone[item->second] = true;
    Popularity rest;
    for (std::size_t i = 0; i < counts_.size(); ++i)
        if (!gone[i]) rest.counts_[rest.add_item(ids_[i])] = counts_[i];
    ids_.swap(rest.ids_);
    counts_.swap(rest.counts_);
    std::swap(index_, rest.index_);
}

RANKLET_FUNC Result<void> Popularity::observe(std::string_view item, double time, double weight) RANKLET_MEMORY_TRY {
    RANKLET_TRY(check_event(item, time, weight));
    std::size_t place = index_.find(item, ids_);
    if (place == detail::NameIndex::none) {
        if (counts_.size() >= options_.max_items) forget();
        place = add_item(item);
        counts_[place].last = time;
    }
    add(counts_[place], weight, time);
    newest_ = std::max(newest_, time);
    return {};
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<void> Popularity::take_back(std::string_view item, double time, double weight) RANKLET_MEMORY_TRY {
    RANKLET_TRY(check_event(item, time, weight));
    const std::size_t place = index_.find(item, ids_);
    if (place == detail::NameIndex::none) return {};
    Count& count = counts_[place];
    count.value = std::max(0.0, std::fma(-weight, decay(std::max(0.0, count.last - time)), count.value));
    return {};
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC std::pair<double, double> Popularity::find(std::string_view item, double now) const noexcept {
    const std::size_t place = index_.find(item, ids_);
    if (place == detail::NameIndex::none) return {0, 1};
    const Count& count = counts_[place];
    return {count.value, decay(now > count.last ? now - count.last : 0.0)};
}
RANKLET_FUNC double Popularity::value(std::string_view item, double now) const noexcept {
    const auto [value, factor] = find(item, now);
    return value * factor;
}
RANKLET_FUNC Result<std::vector<float>> Popularity::log_popularity(TextList ids, double now) const RANKLET_MEMORY_TRY {
    constexpr double log_2 = 0.69314718055994531;
    std::vector<float> values;
    values.reserve(ids.size());
    for (const std::string_view id : ids) {
        const auto [value, factor] = find(id, now);
        values.push_back(static_cast<float>(detail::portable_log2(std::fma(value, factor, 1.0)) * log_2));
    }
    return values;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<void> Popularity::merge(const Popularity& other) RANKLET_MEMORY_TRY {
    if (options_.half_life != other.options_.half_life)
        return make_error(ErrorCode::mismatch, {"popularities do not add up: they have different half-lives"});
    Popularity sum = *this;
    sum.newest_ = std::max(newest_, other.newest_);
    for (std::size_t i = 0; i < other.counts_.size(); ++i) {
        const Count& more = other.counts_[i];
        std::size_t place = sum.index_.find(other.ids_[i], sum.ids_);
        if (place == detail::NameIndex::none) {
            place = sum.add_item(other.ids_[i]);
            sum.counts_[place].last = more.last;
        }
        sum.add(sum.counts_[place], more.value, more.last);
    }
    if (sum.counts_.size() > options_.max_items) sum.forget();
    *this = std::move(sum);
    return {};
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<void> Popularity::save(const std::string& path) const RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(detail::StateWriter file, detail::StateWriter::create(path, "RKPC", 1));
    file.put(options_.half_life);
    file.put(std::uint64_t{options_.max_items});
    file.put(newest_);
    file.put(std::uint64_t{counts_.size()});
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        file.text(ids_[i]);
        file.put(counts_[i].value);
        file.put(counts_[i].last);
        RANKLET_TRY(file.flush());
    }
    return file.commit();
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Popularity> Popularity::load(const std::string& path) RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(detail::StateReader file, detail::StateReader::open(path, "RKPC", 1, "popularities"));
    const auto is_time = [](double time) { return time > -last_time && time < last_time; };
    Popularity read;
    read.options_.half_life = file.get<double>();
    read.options_.max_items = static_cast<std::size_t>(std::min<std::uint64_t>(file.get<std::uint64_t>(), SIZE_MAX));
    read.newest_ = file.get<double>();
    RANKLET_TRY(file.check());
    if (const auto valid = check(read.options_); !valid.ok()) return file.wrong({valid.error().message});
    if (!is_time(read.newest_) && !(read.newest_ < 0 && std::isinf(read.newest_)))
        return file.wrong({"the newest time is no time"});
    const std::size_t count = file.count(sizeof(std::uint32_t) + 2 * sizeof(double));
    if (count > read.options_.max_items) return file.wrong({count, " items, more than its own limit"});
    for (std::size_t i = 0; i < count; ++i) {
        const std::string_view id = file.text();
        const auto value = file.get<double>(), last = file.get<double>();
        RANKLET_TRY(file.check());
        if (id.empty() || id.size() > longest_id) return file.wrong({"an item's id of ", id.size(), " bytes"});
        if (read.index_.find(id, read.ids_) != detail::NameIndex::none)
            return file.wrong({"item ", i, " is there twice"});
        if (!(value >= 0 && value <= largest_value)) return file.wrong({"an item's value is ", value});
        if (!is_time(last)) return file.wrong({"an item's time is no time"});
        read.counts_[read.add_item(id)] = {value, last};
    }
    RANKLET_TRY(file.check_end());
    return read;
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
#endif
