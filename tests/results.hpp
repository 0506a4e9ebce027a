// What the tests ask of a Result.
// In: results. Out: values; failed tests naming the error, or the missing one.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>

#include "ranklet/core/result.hpp"

namespace ranklet_test {

/// The value; a failed test naming the error where there is none.
template <class T>
T take(ranklet::Result<T> result) {
    REQUIRE_MESSAGE(result.ok(), (result.ok() ? std::string() : result.error().message));
    return std::move(*result);
}
inline void succeed(const ranklet::Result<void>& result) {
    REQUIRE_MESSAGE(result.ok(), (result.ok() ? std::string() : result.error().message));
}

/// A failed test unless `result` is an error of this code whose message has this in it.
template <class T>
void check_error(const ranklet::Result<T>& result, ranklet::ErrorCode code, std::string_view part = {}) {
    CHECK_FALSE(result.ok());
    if (result.ok()) return;
    const std::string found = std::string(to_string(result.error().code)) + ": " + result.error().message;
    CHECK_MESSAGE(result.error().code == code, found);
    CHECK_MESSAGE(result.error().message.find(part) != std::string::npos, found << " should have: " << part);
}

}  // namespace ranklet_test
