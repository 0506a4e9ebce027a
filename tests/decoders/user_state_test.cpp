// User states as bytes: the way there and back, and bytes that are not what save() made.
#include "ranklet/decoders/user_state.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::ErrorCode;
using ranklet::UserState;
using Bytes = std::vector<std::byte>;

UserState example() {
    UserState state;
    state.hidden = {0.5f, -0.25f, 1e-30f, 0.0f, -0.0f};
    state.events = {{"phone", 5.0f}, {"", ranklet::no_rating}, {"手机壳", -1.5f}};
    state.model = 0x123456789ABCDEF0u;
    return state;
}

/// FNV-1a over all but the last eight bytes, put there: for bytes that are wrong in another way.
Bytes with_checksum(Bytes bytes) {
    std::uint64_t hash = 14695981039346656037ull;
    for (const std::byte b : bytes) hash = (hash ^ std::to_integer<std::uint64_t>(b)) * 1099511628211ull;
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<std::byte>(hash >> (8 * i)));
    return bytes;
}
Bytes without_checksum(const Bytes& bytes) { return {bytes.begin(), bytes.end() - 8}; }

}  // namespace

TEST_CASE("a state that is saved and loaded is the same state") {
    const UserState state = example();
    const Bytes bytes = state.save();
    const UserState loaded = take(UserState::load(bytes));
    CHECK(same_bits(loaded.hidden, state.hidden));
    CHECK(loaded.model == state.model);
    REQUIRE(loaded.events.size() == 3);
    CHECK(loaded.events[0].id == "phone");
    CHECK(loaded.events[0].rating == 5.0f);
    CHECK(loaded.events[1].id.empty());
    CHECK(std::isnan(loaded.events[1].rating));
    CHECK(loaded.events[2].id == "手机壳");
    CHECK(loaded.save() == bytes);
    CHECK(take(UserState::load(UserState().save())).hidden.empty());
}

TEST_CASE("every truncation and every longer file is an error") {
    Bytes bytes = example().save();
    for (std::size_t n = 0; n < bytes.size(); ++n)
        check_error(UserState::load(std::span(bytes).first(n)), ErrorCode::format, "user state");
    bytes.push_back(std::byte{0});
    check_error(UserState::load(bytes), ErrorCode::format, "user state");
}

TEST_CASE("every flipped bit is an error") {
    const Bytes bytes = example().save();
    for (std::size_t i = 0; i < bytes.size(); ++i)
        for (int bit = 0; bit < 8; ++bit) {
            Bytes damaged = bytes;
            damaged[i] ^= static_cast<std::byte>(1 << bit);
            const auto loaded = UserState::load(damaged);
            REQUIRE_FALSE(loaded.ok());
            REQUIRE((loaded.error().code == ErrorCode::format || loaded.error().code == ErrorCode::unsupported));
        }
}

TEST_CASE("another version and another kind of file are named as such") {
    Bytes bytes = without_checksum(example().save());
    bytes[4] = std::byte{6};
    check_error(UserState::load(with_checksum(bytes)), ErrorCode::unsupported, "version 6");
    bytes[4] = std::byte{0};
    check_error(UserState::load(with_checksum(bytes)), ErrorCode::unsupported, "version 0");
    bytes[0] = std::byte{'G'};
    check_error(UserState::load(with_checksum(bytes)), ErrorCode::format, "RKUS");
    check_error(UserState::load({}), ErrorCode::format, "RKUS");
}

TEST_CASE("lengths that lie, and hidden values that are no numbers, are errors though the checksum is right") {
    const Bytes good = without_checksum(example().save());
    for (std::size_t field : {16u, 20u, 24u + 5u * 4u}) {  // hidden count, event count, the first id's length
        for (const unsigned wrong : {0xFFu, 0x7Fu}) {
            Bytes bytes = good;
            for (std::size_t i = 0; i < 4; ++i) bytes[field + i] = static_cast<std::byte>(wrong);
            check_error(UserState::load(with_checksum(bytes)), ErrorCode::format, "user state");
        }
        Bytes bytes = good;
        bytes[field] = static_cast<std::byte>(std::to_integer<int>(bytes[field]) + 1);
        CHECK_FALSE(UserState::load(with_checksum(bytes)).ok());
        bytes[field] = static_cast<std::byte>(std::to_integer<int>(good[field]) - 1);
        CHECK_FALSE(UserState::load(with_checksum(bytes)).ok());
    }
    UserState state = example();
    for (const float broken : {quiet_nan, infinity, -infinity}) {
        state.hidden[3] = broken;
        check_error(UserState::load(state.save()), ErrorCode::format, "not finite");
    }
    Bytes longer = good;
    longer.push_back(std::byte{0});
    check_error(UserState::load(with_checksum(longer)), ErrorCode::format, "more bytes");
}

TEST_CASE("a state with events' vectors or a user's id is version 2; one without is version 1, as it always was") {
    UserState state = example();
    CHECK(state.save()[4] == std::byte{1});
    state.memory = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f};
    state.memory_width = 3;
    state.user = "用户 7";
    const Bytes bytes = state.save();
    CHECK(bytes[4] == std::byte{2});
    const UserState loaded = take(UserState::load(bytes));
    CHECK(same_bits(loaded.memory, state.memory));
    CHECK(loaded.memory_width == 3);
    CHECK(loaded.memory_rows() == 2);
    CHECK(loaded.user == "用户 7");
    CHECK(loaded.events.size() == 3);
    CHECK(loaded.save() == bytes);
    for (std::size_t n = 0; n < bytes.size(); ++n)
        check_error(UserState::load(std::span(bytes).first(n)), ErrorCode::format, "user state");
    for (std::size_t n = 1; n + 8 < bytes.size(); ++n) {  // truncated, with a checksum that is right
        const auto cut =
            UserState::load(with_checksum({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n)}));
        REQUIRE_FALSE(cut.ok());
    }
    state.memory[1] = std::numeric_limits<float>::infinity();
    check_error(UserState::load(state.save()), ErrorCode::format, "not finite");
    state.memory.clear();
    state.user.clear();
    CHECK(take(UserState::load(state.save())).memory_width == 3);  // no event yet
}

TEST_CASE("a claimed memory that is larger than the bytes is an error before anything is allocated") {
    UserState state;
    state.memory = {1.0f};
    state.memory_width = 1;
    Bytes bytes = without_checksum(state.save());
    const std::size_t width = 4 + 4 + 8 + 4 + 4;
    for (int i = 0; i < 8; ++i) bytes[width + static_cast<std::size_t>(i)] = std::byte{0xFF};
    check_error(UserState::load(with_checksum(bytes)), ErrorCode::format, "truncated");
    for (int i = 0; i < 4; ++i) bytes[width + static_cast<std::size_t>(i)] = std::byte{0};
    check_error(UserState::load(with_checksum(bytes)), ErrorCode::format, "truncated");
}

TEST_CASE(
    "a state with a limit of events is version 3: truncated, or with more events than the limit, it is an error") {
    UserState state = example();
    state.max_events = 2;
    state.forget_oldest();
    CHECK(state.forgotten == 1);
    REQUIRE(state.events.size() == 2);
    CHECK(state.events[1].id == "手机壳");
    const Bytes bytes = state.save();
    CHECK(bytes[4] == std::byte{3});
    const UserState loaded = take(UserState::load(bytes));
    CHECK(loaded.max_events == 2);
    CHECK(loaded.forgotten == 1);
    CHECK(loaded.memory_width == 0);
    CHECK(loaded.save() == bytes);
    for (std::size_t n = 0; n < bytes.size(); ++n) CHECK_FALSE(UserState::load(std::span(bytes).first(n)).ok());
    Bytes fewer = without_checksum(bytes);
    fewer[fewer.size() - 16] = std::byte{1};  // the low byte of max_events
    check_error(UserState::load(with_checksum(fewer)), ErrorCode::format, "more events than its own limit");
    fewer.resize(fewer.size() - 8);
    check_error(UserState::load(with_checksum(fewer)), ErrorCode::format, "truncated");
}

TEST_CASE("a state with parts is version 4: it comes back whole, and truncated or not finite it is an error") {
    UserState state;
    state.model = 7;
    state.events.push_back({"a", 2.0f});
    state.parts.resize(3);
    state.parts[0].hidden = {1.0f, -2.0f};
    state.parts[2].memory_width = 2;
    state.parts[2].memory = {1.0f, 2.0f, 3.0f, 4.0f};
    const std::vector<std::byte> bytes = state.save();
    CHECK(bytes[4] == std::byte{4});
    const UserState again = take(UserState::load(bytes));
    REQUIRE(again.parts.size() == 3);
    CHECK(again.parts[0].hidden == state.parts[0].hidden);
    CHECK(again.parts[1].hidden.empty());
    CHECK(again.parts[2].memory == state.parts[2].memory);
    CHECK(again.parts[2].memory_width == 2);
    CHECK(again.save() == bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size)
        CHECK_FALSE(UserState::load(std::span(bytes).first(size)).ok());
    state.parts[0].hidden[1] = std::numeric_limits<float>::infinity();
    check_error(UserState::load(state.save()), ErrorCode::format, "not finite");
    // Numbers that promise more than there is: each of the part's three counts.
    for (std::size_t place = bytes.size() - 9; place + 90 > bytes.size(); --place) {
        std::vector<std::byte> damaged = bytes;
        damaged[place] = std::byte{0xFF};
        damaged.resize(damaged.size() - 8);
        (void)UserState::load(with_checksum(damaged));
    }
}

TEST_CASE(
    "a state whose events have times is version 5: it comes back whole, and truncated or infinite it is an error") {
    UserState state = example();
    state.events[1].time = 1.7e9;
    for (const std::size_t parts : {0u, 2u}) {
        CAPTURE(parts);
        state.parts.resize(parts);
        const Bytes bytes = state.save();
        CHECK(bytes[4] == std::byte{5});
        const UserState again = take(UserState::load(bytes));
        REQUIRE(again.events.size() == state.events.size());
        CHECK(again.events[1].time == 1.7e9);
        CHECK(std::isnan(again.events[0].time));
        CHECK(again.parts.size() == parts);
        CHECK(again.save() == bytes);
        for (std::size_t size = 0; size < bytes.size(); ++size)
            CHECK_FALSE(UserState::load(std::span(bytes).first(size)).ok());
    }
    state.events[1].time = std::numeric_limits<double>::infinity();
    check_error(UserState::load(state.save()), ErrorCode::format, "infinite");
    state.events[1].time = ranklet::no_time;
    CHECK(state.save()[4] == std::byte{4});
}
