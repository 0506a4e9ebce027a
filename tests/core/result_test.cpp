// Result and Error: values, failures, and what the two macros pass on.
#include "ranklet/core/result.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

namespace {

using ranklet::Error;
using ranklet::ErrorCode;
using ranklet::Result;

Result<int> half(int x) {
    if (x % 2 != 0) return Error{ErrorCode::invalid_argument, std::to_string(x) + " is odd"};
    return x / 2;
}
Result<std::string> quarter(int x) {
    RANKLET_ASSIGN(const int once, half(x));
    RANKLET_ASSIGN(int twice, half(once));
    return std::to_string(twice);
}
Result<void> check_even(int x, bool& reached_end) {
    RANKLET_TRY(half(x));
    reached_end = true;
    return {};
}

}  // namespace

TEST_CASE("a result is its value or its error") {
    const Result<int> good = half(6), bad = half(7);
    REQUIRE(good.ok());
    CHECK(static_cast<bool>(good));
    CHECK(*good == 3);
    CHECK(good.value() == 3);
    REQUIRE_FALSE(bad.ok());
    CHECK_FALSE(static_cast<bool>(bad));
    CHECK(bad.error().code == ErrorCode::invalid_argument);
    CHECK(bad.error().message == "7 is odd");
}

TEST_CASE("the macros hand the first error on and give the value otherwise") {
    CHECK(*quarter(12) == "3");
    CHECK(quarter(5).error().message == "5 is odd");
    CHECK(quarter(6).error().message == "3 is odd");
    bool reached_end = false;
    CHECK(check_even(2, reached_end).ok());
    CHECK(reached_end);
    reached_end = false;
    CHECK(check_even(3, reached_end).error().message == "3 is odd");
    CHECK_FALSE(reached_end);
}

TEST_CASE("an error is handed on and not copied, and its result keeps no value") {
    Result<std::string> bad(Error{ErrorCode::missing, "a message too long for the small string buffer"});
    const Result<std::string>& seen = bad;
    const ranklet::Error* first = &bad.error();
    const Result<int> copied(seen.shared_error());  // of one that stays
    CHECK(&copied.error() == first);
    const Result<void> moved(std::move(bad).shared_error());
    CHECK(&moved.error() == first);
    CHECK_FALSE(bad.ok());
    bad = Result<std::string>(std::string("a value"));
    CHECK(*bad == "a value");
    CHECK(moved.error().message == "a message too long for the small string buffer");
    CHECK_FALSE(static_cast<bool>(Result<std::string>(std::string("fine")).shared_error()));
}

TEST_CASE("a value is moved out of its result, which is gone with the statement") {
    struct Counted {
        explicit Counted(int& alive) : alive_(&alive) { ++*alive_; }
        Counted(Counted&& other) noexcept : alive_(other.alive_) { ++*alive_; }
        Counted& operator=(Counted&&) = delete;
        ~Counted() { --*alive_; }
        int* alive_;
    };
    int alive = 0;
    const auto use = [&]() -> Result<int> {
        RANKLET_ASSIGN(const Counted counted, Result<Counted>(Counted(alive)));
        return *counted.alive_;
    };
    CHECK(*use() == 1);
    CHECK(alive == 0);
}

TEST_CASE("a result carries values that can only be moved") {
    Result<std::unique_ptr<int>> result(std::make_unique<int>(5));
    REQUIRE(result.ok());
    const std::unique_ptr<int> taken = std::move(result).value();
    CHECK(*taken == 5);
}

TEST_CASE("a temporary result's value outlives it in a loop over it") {
    std::string seen;
    for (const char c : Result<std::string>(std::string("a text too long for the small string buffer")).value())
        seen += c;
    CHECK(seen == "a text too long for the small string buffer");
}

TEST_CASE("make_error joins text and numbers, and every code has a name") {
    const Error error = ranklet::make_error(
        ErrorCode::format, {"file ", std::string("a.gguf"), ": row ", 3, " of ", std::string_view("tensor")});
    CHECK(error.code == ErrorCode::format);
    CHECK(error.message == "file a.gguf: row 3 of tensor");
    for (const ErrorCode code : {ErrorCode::invalid_argument, ErrorCode::invalid_text, ErrorCode::io, ErrorCode::format,
                                 ErrorCode::unsupported, ErrorCode::missing, ErrorCode::mismatch, ErrorCode::self_test,
                                 ErrorCode::out_of_memory})
        CHECK(std::string(ranklet::to_string(code)) != "unknown");
}

TEST_CASE("what * of a temporary gives outlives it") {
    const auto list = [] { return Result<std::vector<int>>(std::vector<int>{1, 2, 3}); };
    int sum = 0;
    for (const int x : *list()) sum += x;
    CHECK(sum == 6);
    static_assert(!std::is_reference_v<decltype(*list())>);
}

#if RANKLET_HAS_EXCEPTIONS
TEST_CASE("out of memory is an error where it is caught, as often as it happens, and other results pass") {
    const auto run = [](int what) -> Result<int> {
        return ranklet::detail::catch_out_of_memory([&]() -> Result<int> {
            if (what == 0) throw std::bad_alloc();
            return half(what);
        });
    };
    std::vector<Result<int>> kept;
    for (int i = 0; i < 3; ++i) kept.push_back(run(0));
    kept.erase(kept.begin());
    for (const auto& result : kept) {
        REQUIRE_FALSE(result.ok());
        CHECK(result.error().code == ErrorCode::out_of_memory);
        CHECK(result.error().message == "out of memory");
    }
    CHECK(*run(6) == 3);
    CHECK(run(7).error().message == "7 is odd");
}

TEST_CASE("value() of an error throws it, where exceptions exist") {
    const auto message_of = [](auto&& call) -> std::string {
        try {
            call();
        } catch (const ranklet::Exception& exception) {
            CHECK(std::string(exception.what()) == exception.error().message);
            return exception.what();
        }
        return "nothing thrown";
    };
    CHECK(message_of([] { (void)half(3).value(); }) == "3 is odd");
    CHECK(message_of([] { Result<void>(Error{ErrorCode::io, "no disk"}).value(); }) == "no disk");
    CHECK(message_of([] { Result<void>().value(); }) == "nothing thrown");
}
#endif
