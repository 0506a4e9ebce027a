// What the tests of counting share: logs made by chance, and the plain way to count them.
// In: seeds. Out: events; what is counted of them by looking at every pair of events of a user.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/counting/transition_counts.hpp"
#include "ranklet/counting/transitions.hpp"
#include "results.hpp"

namespace ranklet_test {

struct LogEvent {
    std::string user, item;
    double time;
};
using Log = std::vector<LogEvent>;

/// Users' events in the order of time, mixed; popular items are met often, some events come twice, some at one time.
inline Log make_log(unsigned seed, std::size_t users, std::size_t items, std::size_t events, double span = 1e6) {
    std::mt19937 random(seed);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
    Log log;
    double time = 1.6e9;
    for (std::size_t e = 0; e < events; ++e) {
        time += below(4) == 0 ? 0 : std::floor(span / static_cast<double>(events) * static_cast<double>(below(3)));
        if (!log.empty() && below(20) == 0)
            log.push_back(log.back());
        else
            log.push_back(
                {"user " + std::to_string(below(users)), "item " + std::to_string(below(1 + below(items))), time});
    }
    return log;
}

inline void observe_all(ranklet::TransitionCounts& counts, const Log& log) {
    for (const LogEvent& event : log) (void)take(counts.observe(event.user, event.item, event.time));
}
inline ranklet::TransitionCounts counted(const Log& log, const ranklet::TransitionOptions& options = {}) {
    auto counts = take(ranklet::TransitionCounts::create(options));
    observe_all(counts, log);
    return counts;
}
inline std::vector<ranklet::TimedItem> events_of(const Log& log, std::string_view user) {
    std::vector<ranklet::TimedItem> events;
    for (const LogEvent& event : log)
        if (event.user == user) events.push_back({event.item, event.time});
    return events;
}
inline Log without(const Log& log, std::string_view user) {
    Log rest;
    for (const LogEvent& event : log)
        if (event.user != user) rest.push_back(event);
    return rest;
}

/// Counted as the formula is written, in floating point, with users by name.
struct PlainPair {
    double weight = 0;
    std::uint32_t times = 0;
    std::set<std::string> users{};
};
using PlainPairs = std::map<std::pair<std::string, std::string>, PlainPair>;
inline PlainPairs count_plainly(const Log& log, const ranklet::TransitionOptions& options, double now = 0) {
    PlainPairs pairs;
    std::map<std::string, Log> by_user;
    for (const LogEvent& event : log) {
        Log& before = by_user[event.user];
        if (before.size() >= options.max_events_per_user) continue;
        LogEvent counted = event;
        if (!before.empty()) counted.time = std::max(counted.time, before.back().time);
        const bool repeated = std::any_of(before.begin(), before.end(), [&](const LogEvent& e) {
            return e.item == counted.item && e.time == counted.time;
        });
        if (repeated) continue;
        for (std::size_t d = 1; d <= std::min(options.window, before.size()); ++d) {
            const LogEvent& source = before[before.size() - d];
            if (source.item == counted.item) continue;
            PlainPair& pair = pairs[{source.item, counted.item}];
            double weight = std::pow(static_cast<double>(d), -options.exponent);
            if (options.half_life > 0) weight *= std::pow(0.5, (now - counted.time) / options.half_life);
            pair.weight += weight;
            ++pair.times;
            pair.users.insert(counted.user);
        }
        before.push_back(counted);
    }
    return pairs;
}

/// All that a table says, as text: equal texts, equal bits.
inline std::string told(const ranklet::Transitions& table) {
    std::string text;
    for (std::size_t r = 0; r < table.size(); ++r) {
        text += table.id(r) + " (" + std::to_string(table.seen(r)) + "):";
        const ranklet::Followers row = table.row(r);
        for (std::size_t i = 0; i < row.size(); ++i) {
            std::uint32_t bits = 0;
            std::memcpy(&bits, &row.strengths[i], sizeof bits);
            text += " " + table.id(row.rows[i]) + "/" + std::to_string(bits) + "/" + std::to_string(row.times[i]);
        }
        text += "\n";
    }
    return text;
}
/// The pairs that a table shows, with their strengths.
inline std::map<std::pair<std::string, std::string>, std::pair<float, std::uint32_t>> pairs_of(
    const ranklet::Transitions& table) {
    std::map<std::pair<std::string, std::string>, std::pair<float, std::uint32_t>> pairs;
    for (std::size_t r = 0; r < table.size(); ++r) {
        const ranklet::Followers row = table.row(r);
        for (std::size_t i = 0; i < row.size(); ++i)
            pairs[{table.id(r), table.id(row.rows[i])}] = {row.strengths[i], row.times[i]};
    }
    return pairs;
}

/// A file's bytes.
inline std::string bytes_of_file(const std::string& path) {
    std::string bytes;
    std::FILE* file = std::fopen(path.c_str(), "rb");
    REQUIRE_MESSAGE(file != nullptr, path);
    char block[4096];
    for (std::size_t n; (n = std::fread(block, 1, sizeof block, file)) > 0;) bytes.append(block, n);
    std::fclose(file);
    return bytes;
}

/// `load(path)` is an error for every truncation of a file and every byte with a bit changed, and names the file.
template <class Load>
void check_damage(const std::string& bytes, const std::string& path, const Load& load) {
    const auto write = [&](const std::string& content) {
        std::remove(path.c_str());  // some file systems wait for the disk where a file is written over
        std::FILE* file = std::fopen(path.c_str(), "wb");
        REQUIRE(file != nullptr);
        REQUIRE(std::fwrite(content.data(), 1, content.size(), file) == content.size());
        std::fclose(file);
    };
    const auto refused = [&] {
        const auto result = load(path);
        return !result.ok() && result.error().message.rfind(path + ": ", 0) == 0;
    };
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        write(bytes.substr(0, size));
        if (!refused()) FAIL_CHECK("a prefix of ", size, " bytes of ", bytes.size());
    }
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        std::string changed = bytes;
        changed[i] = static_cast<char>(changed[i] ^ 1 << i % 8);
        write(changed);
        if (!refused()) FAIL_CHECK("byte ", i, " of ", bytes.size(), " changed");
    }
    write(bytes);
    REQUIRE(load(path).ok());
}

}  // namespace ranklet_test
