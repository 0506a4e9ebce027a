// EventLog: who met what, when: a log as it is, read, sorted by user and time.
// In: a table (fit/table_reader.hpp) with columns for user and item, and for time and rating where there are. Out: each
// user's events as spans of item numbers, times and ratings, and a report of what was found. What does not fit into a
// stated memory is sorted in runs on the disk, merged into one file without a name, and mapped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/name_index.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/fit/table_reader.hpp"
#include "ranklet/fit/temporary_file.hpp"

RANKLET_NAMESPACE_BEGIN

/// What a log's times are.
enum class TimeUnit {
    automatic,  ///< for options: found from the times
    none,       ///< there are none: the order in the file is that of time, and times are the events' numbers in it
    seconds,    ///< since 1970, or since whenever
    milliseconds,
    microseconds,
    iso8601,  ///< "2019-11-12T02:14:46.5+08:00", with a blank for the T, without a zone (UTC), or a date alone
};

constexpr const char* to_string(TimeUnit unit) noexcept {
    switch (unit) {
        case TimeUnit::automatic:
            return "automatic";
        case TimeUnit::none:
            return "none";
        case TimeUnit::seconds:
            return "seconds";
        case TimeUnit::milliseconds:
            return "milliseconds";
        case TimeUnit::microseconds:
            return "microseconds";
        case TimeUnit::iso8601:
            return "ISO 8601";
    }
    return "unknown";
}

namespace detail {
class EventLogBuilder;
}

struct EventLogOptions {
    TableOptions table = {};
    /// Columns, by name or by number from 1; empty: guessed from usual names ("user_id", "userId", "reviewerID"; "item_id",
    /// "movieId", "asin"; "timestamp", "unixReviewTime"; "rating", "overall"). "-": there is none, for time and rating.
    std::string user = {}, item = {}, time = {}, rating = {};
    /// Automatic: from the largest time: from 1e11 on milliseconds, from 1e14 on microseconds. (Seconds reach 1e11 in the
    /// year 5138; milliseconds below it are of before 1973.)
    TimeUnit time_unit = TimeUnit::automatic;
    /// Lines with a column too few or too many, an empty id, an id that is not UTF-8 or has more than 1024 bytes, or an
    /// unreadable time or rating are counted and left out, instead of an Error. (Quotes that are not closed are always
    /// an Error: nobody knows where the next line begins.)
    bool skip_bad_lines = false;
    /// Of each user the newest so many events are kept, at least 1.
    std::size_t max_events_per_user = 10'000;
    /// What events may take, at least a mebibyte: 40 bytes each while they are read, after that 12 (16 with ratings). Above
    /// it they are sorted on the disk, with 24 bytes each, and as many as after that again. Ids come on top: some 80 bytes
    /// for each user and item.
    std::size_t memory_bytes = std::size_t{1} << 31;
    /// Where files without a name are made for that; empty: the system's folder for them.
    std::string temporary_folder = {};
    ReadOptions reading = {};
};

/// What was found in a log, and what was made of it.
struct EventLogReport {
    std::string user_column, item_column;    ///< names, or "column 2" where there is no header
    std::string time_column, rating_column;  ///< empty where there is none
    std::string separator;
    bool header = false, quotes = false;
    TimeUnit unit = TimeUnit::none;
    std::uint64_t bytes = 0, lines = 0;  ///< of the file, all lines counted
    std::uint64_t records = 0;           ///< events in the file: events + duplicates + over_limit + bad lines
    std::uint64_t events = 0;            ///< that are in the log
    std::uint64_t duplicates = 0;        ///< the same user, item and time again
    std::uint64_t over_limit = 0;        ///< events that users had above max_events_per_user, the oldest
    std::uint64_t users_over_limit = 0;  ///< who had them
    std::uint64_t out_of_order = 0;      ///< events older than the user's event before them in the file
    std::uint64_t equal_times = 0;       ///< events at the time of the user's event before them (after sorting)
    std::uint64_t rated = 0;             ///< events with a rating
    std::uint64_t single_event_users = 0;
    double first_time = 0, last_time = 0;  ///< of the log's events, in seconds
    std::size_t runs = 0;                  ///< sorted on the disk; 0: in memory
    // With skip_bad_lines:
    std::uint64_t bad_lines = 0;
    std::string first_bad_line;  ///< the Error that the first of them would have been
};

/// A user's events, oldest first; those of equal times as they stand in the file.
struct UserEvents {
    std::span<const std::uint32_t> items;
    std::span<const double> times;   ///< seconds since 1970; where there are no times, the events' numbers in the file
    std::span<const float> ratings;  ///< NaN: none; empty where the log has no column for them
    std::size_t size() const noexcept { return items.size(); }
};

/// Move-only; what it gives out lives as long as it does. Users and items are numbered as they first come in the file.
class EventLog {
public:
    /// Error io, format, missing (a column) or invalid_argument, with file, line and column; stopped, deadline.
    RANKLET_COLD static Result<EventLog> read(const std::string& path, const EventLogOptions& options = {});

    std::span<const std::string> users() const noexcept { return users_; }
    std::span<const std::string> items() const noexcept { return items_; }
    /// Events of all users.
    std::size_t size() const noexcept { return starts_.empty() ? 0 : starts_.back(); }
    /// Precondition: user < users().size(). At least one event.
    UserEvents events(std::size_t user) const noexcept {
        const std::size_t first = starts_[user], count = starts_[user + 1] - first;
        return {all_.items.subspan(first, count), all_.times.subspan(first, count),
                all_.ratings.empty() ? all_.ratings : all_.ratings.subspan(first, count)};
    }
    /// Events of all users, one user behind the other: user u has starts()[u] to starts()[u + 1].
    UserEvents all() const noexcept { return all_; }
    std::span<const std::size_t> starts() const noexcept { return starts_; }
    /// The number of an id; items().size() when no event has it.
    std::size_t find_item(std::string_view id) const noexcept;
    /// The number of an id; users().size() when no event has it.
    std::size_t find_user(std::string_view id) const noexcept;
    const EventLogReport& report() const noexcept { return report_; }

private:
    friend class detail::EventLogBuilder;
    EventLog() = default;

    std::vector<std::string> users_, items_;
    detail::NameIndex user_index_, item_index_;
    std::vector<std::size_t> starts_;  // [users + 1]
    UserEvents all_;
    detail::Column<std::uint32_t> item_column_;
    detail::Column<double> time_column_;
    detail::Column<float> rating_column_;
    EventLogReport report_;
};

namespace detail {

/// A moment as ISO 8601 has it, in seconds since 1970. False when it is none, or no day of the calendar.
bool parse_iso8601(std::string_view text, double& seconds) noexcept;

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <queue>
#include <utility>

RANKLET_NAMESPACE_BEGIN
namespace detail {

RANKLET_FUNC bool parse_iso8601(std::string_view text, double& seconds) noexcept {
    std::size_t at = 0;
    bool fine = true;
    const auto digits = [&](int count) {
        int number = 0;
        for (int i = 0; i < count; ++i, ++at) {
            if (at >= text.size() || text[at] < '0' || text[at] > '9') return fine = false, 0;
            number = 10 * number + (text[at] - '0');
        }
        return number;
    };
    const auto take = [&](char c) { return at < text.size() && text[at] == c ? (++at, true) : false; };
    const int year = digits(4);
    fine = fine && take('-');
    const int month = digits(2);
    fine = fine && take('-');
    const int day = digits(2);
    if (!fine || month < 1 || month > 12 || day < 1) return false;
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    constexpr std::array<int, 12> month_days{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (day > month_days[static_cast<std::size_t>(month - 1)] + (month == 2 && leap ? 1 : 0)) return false;
    // Days since 1970: years begin in March, so that the leap day is their last.
    const int y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;
    const int days = 365 * y + (y >= 0 ? y / 4 - y / 100 + y / 400 : -1) + (153 * m + 2) / 5 + day - 1 - 719468;
    double time = 86400.0 * days;
    if (at < text.size()) {
        if (!take('T') && !take('t') && !take(' ')) return false;
        const int hour = digits(2);
        fine = fine && take(':');
        const int minute = digits(2);
        int second = 0;
        double fraction = 0;
        if (fine && take(':')) {
            second = digits(2);
            if (fine && (take('.') || take(','))) {
                const std::size_t first = at;
                double scale = 1;
                for (; at < text.size() && text[at] >= '0' && text[at] <= '9' && at - first < 15; ++at) {
                    fraction = 10 * fraction + (text[at] - '0');
                    scale *= 10;
                }
                if (at == first) return false;
                fraction /= scale;
            }
        }
        if (!fine || hour > 23 || minute > 59 || second > 60) return false;
        time += 3600.0 * hour + 60.0 * minute + second;
        if (at < text.size() && !take('Z') && !take('z')) {
            const bool plus = take('+');
            if (!plus && !take('-')) return false;
            const int hours = digits(2);
            int minutes = 0;
            if (at < text.size()) {
                (void)take(':');
                minutes = digits(2);
            }
            if (!fine || hours > 23 || minutes > 59) return false;
            time -= (plus ? 1 : -1) * (3600.0 * hours + 60.0 * minutes);
        }
        time += fraction;
    }
    if (!fine || at != text.size()) return false;
    seconds = time;
    return true;
}

/// An event as it is sorted; `order`: its place in its run.
struct LoggedEvent {
    double time;
    std::uint32_t user, item, order;
    float rating;

    friend bool operator<(const LoggedEvent& a, const LoggedEvent& b) noexcept {
        if (a.user != b.user) return a.user < b.user;
        if (a.time != b.time) return a.time < b.time;
        return a.order < b.order;
    }
};
static_assert(sizeof(LoggedEvent) == 24);

/// Sorted runs on the disk, given out as one sorted sequence.
class LoggedRuns {
public:
    std::size_t size() const noexcept { return runs_.size(); }
    /// Appends a sorted run.
    Result<void> add(std::span<const LoggedEvent> events, const std::string& folder) {
        if (runs_.empty()) RANKLET_ASSIGN(file_, TemporaryFile::create(folder));
        runs_.push_back({file_.size(), events.size(), {}, 0});
        return file_.append(std::as_bytes(events));
    }
    /// Calls `each(event)` for all events in order. Of runs with equal ones the earlier goes first.
    template <class Each>
    Result<void> merge(std::size_t memory_bytes, const Each& each) {
        const std::size_t room = std::max<std::size_t>(256, memory_bytes / sizeof(LoggedEvent) / runs_.size());
        const auto later = [this](std::size_t a, std::size_t b) {
            const LoggedEvent &x = runs_[a].front(), &y = runs_[b].front();
            if (x.user != y.user) return x.user > y.user;
            if (x.time != y.time) return x.time > y.time;
            return a > b;  // within a run they are in order
        };
        std::vector<std::size_t> heap;
        for (std::size_t r = 0; r < runs_.size(); ++r) {
            RANKLET_ASSIGN(const bool more, fill(runs_[r], room));
            if (more) heap.push_back(r);
        }
        std::make_heap(heap.begin(), heap.end(), later);
        while (!heap.empty()) {
            std::pop_heap(heap.begin(), heap.end(), later);
            Run& run = runs_[heap.back()];
            RANKLET_TRY(each(run.front()));
            bool more = ++run.at < run.events.size();
            if (!more) RANKLET_ASSIGN(more, fill(run, room));
            if (more)
                std::push_heap(heap.begin(), heap.end(), later);
            else
                heap.pop_back();
        }
        return {};
    }

private:
    struct Run {
        std::uint64_t place;
        std::size_t left;
        std::vector<LoggedEvent> events;
        std::size_t at;
        const LoggedEvent& front() const noexcept { return events[at]; }
    };
    Result<bool> fill(Run& run, std::size_t room) {
        run.at = 0;
        run.events.resize(std::min(room, run.left));
        if (run.events.empty()) return false;
        const std::span<std::byte> bytes = std::as_writable_bytes(std::span(run.events));
        RANKLET_TRY(file_.read_at(run.place, bytes));
        run.place += bytes.size();
        run.left -= run.events.size();
        return true;
    }

    TemporaryFile file_;
    std::vector<Run> runs_;
};

/// Makes an EventLog: reads lines, sorts, takes out what counts once or is above the cap.
class EventLogBuilder {
public:
    explicit EventLogBuilder(const EventLogOptions& options) : options_(options) {}

    RANKLET_COLD Result<EventLog> read(const std::string& path) {
        RANKLET_TRY(check_options());
        const bool numbered = is_number(options_.user) && is_number(options_.item);
        RANKLET_ASSIGN(TableReader table, TableReader::open(
                                              path, options_.table, !numbered,
                                              [](std::string_view name) { return is_known(name); }, options_.reading));
        RANKLET_TRY(find_columns(table));
        if (!line_end_) RANKLET_TRY(read_lines(table));
        EventLogReport& report = log_.report_;
        report.bytes = table.bytes();
        report.lines = table.lines();
        if (pending_.empty() && runs_.size() == 0)
            return make_error(ErrorCode::format,
                              {path, ": no events", report.bad_lines > 0 ? "; the first line that was left out: " : "",
                               report.first_bad_line});
        RANKLET_TRY(find_unit(path));
        RANKLET_TRY(sort());
        return std::move(log_);
    }

private:
    using Event = LoggedEvent;
    static constexpr std::size_t bytes_an_event = 40, longest_id = 1024, no_column = static_cast<std::size_t>(-1);
    static constexpr std::array<std::string_view, 15> user_names{
        "userid",  "user",     "reviewerid", "uid",       "username", "customerid", "customer", "visitorid",
        "visitor", "memberid", "accountid",  "sessionid", "session",  "reviewer",   "profileid"};
    static constexpr std::array<std::string_view, 22> item_names{
        "itemid", "item",      "movieid",   "asin",    "productid", "product",  "parentasin", "bookid",
        "isbn",   "articleid", "newsid",    "trackid", "songid",    "artistid", "gameid",     "businessid",
        "iid",    "sku",       "contentid", "videoid", "movie",     "book"};
    static constexpr std::array<std::string_view, 12> time_names{
        "timestamp", "time",      "unixreviewtime", "datetime", "eventtime", "date",
        "ts",        "createdat", "timestampms",    "unixtime", "eventdate", "reviewdate"};
    static constexpr std::array<std::string_view, 6> rating_names{"rating", "overall",    "score",
                                                                  "stars",  "bookrating", "ratingscore"};

    template <std::size_t n>
    static bool is_one_of(const std::string& plain, const std::array<std::string_view, n>& names) {
        return std::find(names.begin(), names.end(), plain) != names.end();
    }
    static bool is_known(std::string_view name) {
        const std::string plain = plain_name(name);
        return is_one_of(plain, user_names) || is_one_of(plain, item_names) || is_one_of(plain, time_names) ||
               is_one_of(plain, rating_names);
    }
    static bool is_number(std::string_view column) noexcept {
        return !column.empty() && column.find_first_not_of("0123456789") == std::string_view::npos;
    }

    Result<void> check_options() const {
        if (options_.max_events_per_user == 0)
            return make_error(ErrorCode::invalid_argument, {"max_events_per_user is 0, expected at least 1"});
        if (options_.memory_bytes < (std::size_t{1} << 20))
            return make_error(ErrorCode::invalid_argument, {"memory_bytes is ", options_.memory_bytes,
                                                            ", expected at least ", std::size_t{1} << 20});
        if (options_.time_unit == TimeUnit::none)
            return make_error(ErrorCode::invalid_argument, {"a log without times has no column for them: \"-\""});
        return {};
    }

    std::string name_of(const TableReader& table, std::size_t column) const {
        if (column == no_column) return {};
        return table.has_header() ? table.names()[column] : "column " + std::to_string(column + 1);
    }

    template <std::size_t n>
    Result<std::size_t> find_column(const TableReader& table, const std::string& wanted, const char* what,
                                    const std::array<std::string_view, n>& likely, bool needed) const {
        if (!needed && wanted == "-") return no_column;
        if (!wanted.empty()) return table.column(wanted, what);
        const std::size_t guess = guess_column(table.names(), likely);
        if (guess < table.names().size()) return guess;
        if (!needed) return no_column;
        return make_error(ErrorCode::missing,
                          {table.path(), ": no column is known to have the ", what, ": state one of ",
                           table.columns_there(), ", or that there is no header"});
    }

    Result<void> find_columns(const TableReader& table) {
        if (table.width() == 0) return line_end_ = true, Result<void>();
        RANKLET_ASSIGN(user_, find_column(table, options_.user, "users", user_names, true));
        RANKLET_ASSIGN(item_, find_column(table, options_.item, "items", item_names, true));
        RANKLET_ASSIGN(time_, find_column(table, options_.time, "times", time_names, false));
        RANKLET_ASSIGN(rating_, find_column(table, options_.rating, "ratings", rating_names, false));
        const std::array<std::size_t, 4> columns{user_, item_, time_, rating_};
        for (std::size_t a = 0; a < 4; ++a)
            for (std::size_t b = 0; b < a; ++b)
                if (columns[a] == columns[b] && columns[a] != no_column)
                    return make_error(ErrorCode::invalid_argument,
                                      {table.path(), ": column ", columns[a] + 1, " (", name_of(table, columns[a]),
                                       ") cannot be two of user, item, time and rating"});
        EventLogReport& report = log_.report_;
        report.user_column = name_of(table, user_);
        report.item_column = name_of(table, item_);
        report.time_column = name_of(table, time_);
        report.rating_column = name_of(table, rating_);
        report.separator = table.separator();
        report.header = table.has_header();
        report.quotes = table.quotes();
        return {};
    }

    Result<void> read_lines(TableReader& table) {
        for (;;) {
            RANKLET_ASSIGN(const bool more, table.next());
            if (!more) return {};
            ++log_.report_.records;
            const Result<void> read = read_line(table);
            if (read.ok()) continue;
            if (!options_.skip_bad_lines || read.error().code != ErrorCode::format) return read.shared_error();
            if (++log_.report_.bad_lines == 1) log_.report_.first_bad_line = read.error().message;
        }
    }

    Result<void> read_line(TableReader& table) {
        const auto fields = table.fields();
        RANKLET_TRY(table.check_width());
        RANKLET_TRY(check_id(table, user_));
        RANKLET_TRY(check_id(table, item_));
        Event event{};
        event.time = static_cast<double>(log_.report_.records - 1);
        if (time_ != no_column) RANKLET_TRY(read_time(table, event.time));
        event.rating = std::numeric_limits<float>::quiet_NaN();
        if (rating_ != no_column && !fields[rating_].empty()) {
            double rating = 0;
            if (!parse_number(fields[rating_], rating) || std::abs(rating) > 1e30)
                return table.wrong(rating_, {"\"", shown(fields[rating_]), "\" is no rating, expected a number"});
            event.rating = static_cast<float>(rating);
        }
        RANKLET_TRY(add(event, fields[user_], fields[item_], table));
        if (time_ != no_column) note_time(event.time, table.line());
        return {};
    }

    Result<void> check_id(const TableReader& table, std::size_t column) const {
        const std::string_view id = table.fields()[column];
        if (id.empty()) return table.wrong(column, {"an empty id"});
        if (id.size() > longest_id)
            return table.wrong(column, {"an id of ", id.size(), " bytes, expected at most ", longest_id});
        if (const std::size_t valid = valid_text(id); valid != id.size())
            return table.wrong(column, {"byte ", valid, " of the id is not UTF-8"});
        return {};
    }

    Result<void> read_time(const TableReader& table, double& time) {
        const std::string_view field = table.fields()[time_];
        if (kind_ == Kind::unknown) {  // the first one says what all are
            if (options_.time_unit == TimeUnit::iso8601)
                kind_ = Kind::iso8601;
            else if (options_.time_unit != TimeUnit::automatic || parse_number(field, time))
                kind_ = Kind::number;
            else if (parse_iso8601(field, time))
                kind_ = Kind::iso8601;
            else
                return table.wrong(time_, {"\"", shown(field),
                                           "\" is no time, expected a number of seconds, milliseconds or microseconds, "
                                           "or ISO 8601"});
        }
        if (kind_ == Kind::number && !parse_number(field, time))
            return table.wrong(time_, {"\"", shown(field), "\" is no time, expected a number",
                                       options_.time_unit == TimeUnit::automatic ? ", as the first line has" : ""});
        if (kind_ == Kind::iso8601 && !parse_iso8601(field, time))
            return table.wrong(time_, {"\"", shown(field), "\" is no time, expected ISO 8601",
                                       options_.time_unit == TimeUnit::automatic ? ", as the first line has" : ""});
        return {};
    }

    // Which of the units a number looks like: seconds of 1973 to 5138, milliseconds of these years, microseconds, less.
    void note_time(double time, std::uint64_t line) {
        const double size = std::abs(time);
        const std::size_t unit = size < 1e8 ? 0 : size < 1e11 ? 1 : size < 1e14 ? 2 : size < 1e17 ? 3 : 4;
        if (units_[unit].count++ == 0) units_[unit] = {1, line, time};
        const double date = std::floor(time);
        if (date == time && date >= 19000101 && date <= 21001231) {
            const auto whole = static_cast<std::int64_t>(date);
            if (whole / 100 % 100 >= 1 && whole / 100 % 100 <= 12 && whole % 100 >= 1 && whole % 100 <= 31) ++dates_;
        }
    }

    Result<void> find_unit(const std::string& path) {
        TimeUnit& unit = log_.report_.unit;
        if (time_ == no_column) return {};
        if (kind_ == Kind::iso8601) return unit = TimeUnit::iso8601, Result<void>();
        unit = options_.time_unit;
        if (unit == TimeUnit::automatic) {
            if (units_[4].count > 0)
                return make_error(ErrorCode::unsupported, {path, ": line ", units_[4].line, ": the time ",
                                                           units_[4].time, " is beyond microseconds since 1970"});
            std::size_t largest = 3, other = 0;
            while (largest > 0 && units_[largest].count == 0) --largest;
            for (std::size_t u = 1; u < largest; ++u)
                if (units_[u].count > 0) other = u;
            constexpr std::array<TimeUnit, 4> names{TimeUnit::seconds, TimeUnit::seconds, TimeUnit::milliseconds,
                                                    TimeUnit::microseconds};
            if (other > 0)
                return make_error(
                    ErrorCode::format,
                    {path, ": line ", units_[other].line, ": the time ", units_[other].time, " looks like ",
                     to_string(names[other]), ", but that of line ", units_[largest].line, ", ", units_[largest].time,
                     ", like ", to_string(names[largest]), ": state the unit if they are one"});
            if (largest == 0 && dates_ == units_[0].count && dates_ > 0)
                return make_error(
                    ErrorCode::format,
                    {path, ": line ", units_[0].line, ": the time ", units_[0].time,
                     " looks like a date, expected ISO 8601 with hyphens; state the unit if it is a number"});
            unit = names[largest];
        }
        if (unit == TimeUnit::milliseconds) per_second_ = 1e3;
        if (unit == TimeUnit::microseconds) per_second_ = 1e6;
        return {};
    }

    static Result<std::uint32_t> number_of(std::string_view id, std::vector<std::string>& ids, NameIndex& index,
                                           const TableReader& table) {
        if (const std::size_t found = index.find(id, ids); found != NameIndex::none)
            return static_cast<std::uint32_t>(found);
        if (ids.size() >= INT32_MAX)
            return make_error(ErrorCode::unsupported, {table.path(), ": line ", table.line(), ": more than ", INT32_MAX,
                                                       " different ids in a column"});
        ids.emplace_back(id);
        return static_cast<std::uint32_t>(index.add(ids.size() - 1, ids));
    }

    Result<void> add(Event& event, std::string_view user, std::string_view item, const TableReader& table) {
        if (!log_.users_.empty() && log_.users_[last_user_] == user) {
            event.user = last_user_;
        } else {
            RANKLET_ASSIGN(event.user, number_of(user, log_.users_, log_.user_index_, table));
            last_user_ = event.user;
        }
        RANKLET_ASSIGN(event.item, number_of(item, log_.items_, log_.item_index_, table));
        if (event.user == last_times_.size())
            last_times_.push_back(event.time);
        else if (event.time < last_times_[event.user])
            ++log_.report_.out_of_order;
        last_times_[event.user] = event.time;
        if (pending_.size() == pending_.capacity()) RANKLET_TRY(make_room());
        event.order = static_cast<std::uint32_t>(pending_.size());
        pending_.push_back(event);
        return {};
    }
    Result<void> make_room() {
        const std::size_t most = std::min<std::size_t>(options_.memory_bytes / bytes_an_event, UINT32_MAX);
        if (pending_.size() >= most) return spill();
        pending_.reserve(std::min(most, std::max<std::size_t>(4096, 2 * pending_.size())));
        return {};
    }
    Result<void> spill() {
        std::sort(pending_.begin(), pending_.end());
        RANKLET_TRY(runs_.add(pending_, options_.temporary_folder));
        pending_.clear();
        return check_stop(options_.reading.stop, options_.reading.deadline);
    }

    Result<void> sort() {
        log_.report_.runs = 0;
        stamps_.assign(log_.items_.size(), 0);
        log_.starts_.reserve(log_.users_.size() + 1);
        log_.starts_.push_back(0);
        const bool rated = rating_ != no_column;
        if (runs_.size() == 0) {
            std::sort(pending_.begin(), pending_.end());
            log_.item_column_.reserve(pending_.size());
            log_.time_column_.reserve(pending_.size());
            if (rated) log_.rating_column_.reserve(pending_.size());
            for (const Event& event : pending_) RANKLET_TRY(take(event));
            std::vector<Event>().swap(pending_);
        } else {
            if (!pending_.empty()) RANKLET_TRY(spill());
            std::vector<Event>().swap(pending_);
            log_.report_.runs = runs_.size();
            RANKLET_TRY(log_.item_column_.use_file(options_.temporary_folder));
            RANKLET_TRY(log_.time_column_.use_file(options_.temporary_folder));
            if (rated) RANKLET_TRY(log_.rating_column_.use_file(options_.temporary_folder));
            std::uint64_t events = 0;
            const auto take_one = [&](const Event& event) -> Result<void> {
                if (++events % 65536 == 0) RANKLET_TRY(check_stop(options_.reading.stop, options_.reading.deadline));
                return take(event);
            };
            RANKLET_TRY(runs_.merge(options_.memory_bytes / 2, take_one));
        }
        RANKLET_TRY(end_user());
        RANKLET_ASSIGN(log_.all_.items, log_.item_column_.view());
        RANKLET_ASSIGN(log_.all_.times, log_.time_column_.view());
        if (rated) RANKLET_ASSIGN(log_.all_.ratings, log_.rating_column_.view());
        log_.report_.events = log_.size();
        return {};
    }

    // Events come sorted. One user's are kept until they are all there; twice the cap is the most that has to be.
    Result<void> take(const Event& event) {
        if (!of_user_.empty() && of_user_.back().user != event.user) RANKLET_TRY(end_user());
        if (of_user_.empty() || of_user_.back().time != event.time) ++stamp_;
        if (stamps_[event.item] == stamp_) return ++log_.report_.duplicates, Result<void>();
        stamps_[event.item] = stamp_;
        of_user_.push_back(event);
        const std::size_t most = options_.max_events_per_user;
        if (of_user_.size() - std::min(most, of_user_.size()) >= std::max<std::size_t>(most, 4096)) drop_oldest();
        return {};
    }
    void drop_oldest() {
        const std::size_t over = of_user_.size() - options_.max_events_per_user;
        of_user_.erase(of_user_.begin(), of_user_.begin() + static_cast<std::ptrdiff_t>(over));
        dropped_ += over;
    }
    Result<void> end_user() {
        EventLogReport& report = log_.report_;
        if (of_user_.size() > options_.max_events_per_user) drop_oldest();
        report.over_limit += dropped_;
        report.users_over_limit += dropped_ > 0 ? 1u : 0u;
        dropped_ = 0;
        double before = 0;
        for (std::size_t i = 0; i < of_user_.size(); ++i) {
            const Event& event = of_user_[i];
            const double time = event.time / per_second_;
            RANKLET_TRY(log_.item_column_.push(event.item));
            RANKLET_TRY(log_.time_column_.push(time));
            if (rating_ != no_column) RANKLET_TRY(log_.rating_column_.push(event.rating));
            report.rated += std::isnan(event.rating) ? 0u : 1u;
            report.equal_times += i > 0 && time == before ? 1u : 0u;
            before = time;
            const bool first = report.events++ == 0;
            if (first || time < report.first_time) report.first_time = time;
            if (first || time > report.last_time) report.last_time = time;
        }
        report.single_event_users += of_user_.size() == 1 ? 1u : 0u;
        log_.starts_.push_back(log_.starts_.back() + of_user_.size());
        of_user_.clear();
        return {};
    }

    enum class Kind { unknown, number, iso8601 };
    struct Unit {
        std::uint64_t count = 0, line = 0;
        double time = 0;
    };

    const EventLogOptions& options_;
    EventLog log_;
    std::size_t user_ = no_column, item_ = no_column, time_ = no_column, rating_ = no_column;
    bool line_end_ = false;  // the file is empty
    Kind kind_ = Kind::unknown;
    std::array<Unit, 5> units_{};
    std::uint64_t dates_ = 0;
    double per_second_ = 1;
    std::uint32_t last_user_ = 0;
    std::vector<double> last_times_;  // of each user, in the file's order
    std::vector<Event> pending_;
    LoggedRuns runs_;
    std::vector<std::uint64_t> stamps_;  // of each item: the user and time that it was found at
    std::uint64_t stamp_ = 0;
    std::vector<Event> of_user_;
    std::uint64_t dropped_ = 0;
};

}  // namespace detail

RANKLET_FUNC Result<EventLog> EventLog::read(const std::string& path,
                                             const EventLogOptions& options) RANKLET_MEMORY_TRY {
    return detail::EventLogBuilder(options).read(path);
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC std::size_t EventLog::find_item(std::string_view id) const noexcept {
    const std::size_t place = item_index_.find(id, items_);
    return place == detail::NameIndex::none ? items_.size() : place;
}
RANKLET_FUNC std::size_t EventLog::find_user(std::string_view id) const noexcept {
    const std::size_t place = user_index_.find(id, users_);
    return place == detail::NameIndex::none ? users_.size() : place;
}

RANKLET_NAMESPACE_END
#endif
