// FitLog: users' events as fit and refit read them.
// In: what an EventLog has, or a host's own arrays. Out: a view of it, checked.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN

/// Users' events, user by user, each user's in the order of time. Looks into the caller's memory (an EventLog's, say).
struct FitLog {
    std::span<const std::string> users = {};    ///< [users] ids
    std::span<const std::string> items = {};    ///< [items] ids, which `item` counts in
    std::span<const std::size_t> offsets = {};  ///< [users + 1] user u has events offsets[u] to offsets[u + 1]
    std::span<const std::uint32_t> item = {};   ///< [events]
    std::span<const float> rating = {};         ///< [events], no_rating where there is none; or empty
    std::span<const double> time = {};          ///< [events] seconds since 1970, before the year 4147
};

namespace detail {

/// Error invalid_argument when the parts contradict each other, or what is counted (TransitionCounts) has no place for an
/// id or a time.
RANKLET_COLD inline Result<void> check(const FitLog& log) {
    const std::size_t users = log.users.size(), events = log.item.size();
    const auto wrong = [](std::initializer_list<ErrorPart> what) {
        return make_error(ErrorCode::invalid_argument, {"the log: "}, what);
    };
    if (log.offsets.size() != users + 1 || log.offsets.front() != 0 || log.offsets.back() != events ||
        !std::is_sorted(log.offsets.begin(), log.offsets.end()))
        return wrong({"the users' offsets do not fit ", users, " users and ", events, " events"});
    if (log.time.size() != events) return wrong({log.time.size(), " times for ", events, " events"});
    if (!log.rating.empty() && log.rating.size() != events)
        return wrong({log.rating.size(), " ratings for ", events, " events"});
    for (std::size_t e = 0; e < events; ++e)
        if (log.item[e] >= log.items.size())
            return wrong({"event ", e, " is of item ", log.item[e], " of ", log.items.size()});
    constexpr std::size_t longest_id = 1024;
    constexpr double last_time = 68719476736.0;
    for (std::size_t i = 0; i < log.items.size(); ++i)
        if (log.items[i].empty() || log.items[i].size() > longest_id)
            return wrong({"item ", i, " has an id of ", log.items[i].size(), " bytes, expected 1 to ", longest_id});
    for (std::size_t u = 0; u < users; ++u) {
        if (log.users[u].empty()) return wrong({"user ", u, " has no id"});
        for (std::size_t e = log.offsets[u]; e < log.offsets[u + 1]; ++e) {
            if (!(std::abs(log.time[e]) < last_time))
                return wrong({"event ", e, " of user \"", log.users[u], "\" has the time ", log.time[e],
                              ", expected seconds since 1970, less than ", last_time});
            if (e > log.offsets[u] && log.time[e] < log.time[e - 1])
                return wrong({"event ", e, " of user \"", log.users[u], "\" is not in the order of time"});
        }
    }
    return {};
}

}  // namespace detail

RANKLET_NAMESPACE_END
