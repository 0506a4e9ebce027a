// Result<T>: a value or an Error. The one way this library reports failure.
// In: a value or an Error{code, message}. Out: ok(), error(), value().
// `value()` on an error throws ranklet::Exception where exceptions exist, and traps where they do not.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#include <exception>
#endif

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// What kind of failure it was; the message says where and what was expected.
enum class ErrorCode {
    invalid_argument,  ///< a call's argument is out of its stated range
    invalid_text,      ///< text that is not UTF-8
    io,                ///< the operating system refused (open, map, read, write)
    format,            ///< a file is malformed, truncated or hostile
    unsupported,       ///< well-formed, but not something this version does
    missing,           ///< a key, a tensor or an id that had to be there is not
    mismatch,          ///< two things that belong to different models were combined
    self_test,         ///< the model file's self-test gave other numbers than the file states
    out_of_memory,     ///< an allocation failed or would have been absurd
};

/// The code's name, as in the enumeration.
[[nodiscard]] constexpr const char* to_string(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::invalid_argument:
            return "invalid_argument";
        case ErrorCode::invalid_text:
            return "invalid_text";
        case ErrorCode::io:
            return "io";
        case ErrorCode::format:
            return "format";
        case ErrorCode::unsupported:
            return "unsupported";
        case ErrorCode::missing:
            return "missing";
        case ErrorCode::mismatch:
            return "mismatch";
        case ErrorCode::self_test:
            return "self_test";
        case ErrorCode::out_of_memory:
            return "out_of_memory";
    }
    return "unknown";
}

/// A failure: its kind, and a sentence that names the place (file, offset, tensor, item) and what was expected.
struct Error {
    ErrorCode code = ErrorCode::invalid_argument;
    std::string message;
};

/// A piece of an error message: text or a number.
class ErrorPart {
public:
    ErrorPart(const char* text) : text_(text) {}
    ErrorPart(std::string_view text) : text_(text) {}
    ErrorPart(const std::string& text) : text_(text) {}
    template <class Number>
    requires(std::is_arithmetic_v<Number>) ErrorPart(Number number) : number_(std::to_string(number)), text_(number_) {}
    ErrorPart(const ErrorPart&) = delete;
    ErrorPart& operator=(const ErrorPart&) = delete;
    [[nodiscard]] std::string_view text() const noexcept { return text_; }

private:
    std::string number_;
    std::string_view text_;
};

/// An Error whose message is the parts joined. Out of line on purpose: errors are rare, and spelling messages out with
/// operator+ at every check costs compile time and code size.
[[nodiscard]] __attribute__((noinline, cold)) inline Error make_error(ErrorCode code,
                                                                      std::initializer_list<ErrorPart> parts) {
    Error error{code, {}};
    for (const ErrorPart& part : parts) error.message.append(part.text());
    return error;
}

#if RANKLET_HAS_EXCEPTIONS
/// Thrown by `Result::value()` only.
class Exception : public std::exception {
public:
    explicit Exception(Error error) : error_(std::move(error)) {}
    [[nodiscard]] const char* what() const noexcept override { return error_.message.c_str(); }
    [[nodiscard]] const Error& error() const noexcept { return error_; }

private:
    Error error_;
};
#endif

namespace detail {
[[noreturn]] inline void raise(const Error& error) {
#if RANKLET_HAS_EXCEPTIONS
    throw Exception(error);
#else
    (void)error;
    __builtin_trap();  // asked for a value that is not there, with no way to say so
#endif
}
}  // namespace detail

/// A value of type T, or an Error.
template <class T>
class [[nodiscard]] Result {
public:
    using value_type = T;

    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return ok(); }

    /// The error. Precondition: !ok().
    [[nodiscard]] const Error& error() const noexcept { return *std::get_if<1>(&state_); }

    /// The value, or throws Exception (traps where there are no exceptions).
    [[nodiscard]] T& value() & { return check(), *std::get_if<0>(&state_); }
    [[nodiscard]] const T& value() const& { return check(), *std::get_if<0>(&state_); }
    /// By value, so that `for (auto& x : f().value())` keeps what it iterates over alive.
    [[nodiscard]] T value() && { return check(), std::move(*std::get_if<0>(&state_)); }

    /// Precondition: ok().
    [[nodiscard]] T& operator*() & noexcept { return *std::get_if<0>(&state_); }
    [[nodiscard]] const T& operator*() const& noexcept { return *std::get_if<0>(&state_); }
    /// By value, as value() is.
    [[nodiscard]] T operator*() && { return std::move(*std::get_if<0>(&state_)); }
    [[nodiscard]] T* operator->() noexcept { return std::get_if<0>(&state_); }
    [[nodiscard]] const T* operator->() const noexcept { return std::get_if<0>(&state_); }

private:
    void check() const {
        if (!ok()) detail::raise(error());
    }
    std::variant<T, Error> state_;
};

/// Success, or an Error.
template <>
class [[nodiscard]] Result<void> {
public:
    using value_type = void;

    Result() = default;
    Result(Error error) : error_(std::move(error)), ok_(false) {}

    [[nodiscard]] bool ok() const noexcept { return ok_; }
    explicit operator bool() const noexcept { return ok_; }
    [[nodiscard]] const Error& error() const noexcept { return error_; }
    void value() const {
        if (!ok_) detail::raise(error_);
    }

private:
    Error error_;
    bool ok_ = true;
};

RANKLET_NAMESPACE_END

#define RANKLET_UNIQUE_NAME_IMPL(a, b) a##b
#define RANKLET_UNIQUE_NAME(a, b) RANKLET_UNIQUE_NAME_IMPL(a, b)

/// `RANKLET_TRY(f());` returns f's error from the enclosing function.
#define RANKLET_TRY(expression)                                         \
    do {                                                                \
        if (auto&& ranklet_status = (expression); !ranklet_status.ok()) \
            return ::ranklet::Error{ranklet_status.error()};            \
    } while (false)

/// `RANKLET_ASSIGN(auto x, f());` binds f's value to x, or returns f's error from the enclosing function.
#define RANKLET_ASSIGN(declaration, expression) \
    RANKLET_ASSIGN_IMPL(RANKLET_UNIQUE_NAME(ranklet_result_, __LINE__), declaration, expression)
#define RANKLET_ASSIGN_IMPL(result, declaration, expression)   \
    auto result = (expression);                                \
    if (!result.ok()) return ::ranklet::Error{result.error()}; \
    declaration = std::move(*result)
