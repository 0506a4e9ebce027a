// Result<T>: a value or an Error. The one way this library reports failure.
// In: a value or an Error{code, message}. Out: ok(), error(), value().
// `value()` on an error throws ranklet::Exception where exceptions exist, and traps where they do not.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#include <exception>
#include <stdexcept>
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
    stopped,           ///< the caller's stop token asked a long call to end
    deadline,          ///< a long call was not done at the caller's deadline
};

/// The code's name, as in the enumeration.
constexpr const char* to_string(ErrorCode code) noexcept {
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
        case ErrorCode::stopped:
            return "stopped";
        case ErrorCode::deadline:
            return "deadline";
    }
    return "unknown";
}

/// A failure: its kind, and a sentence that names the place (file, offset, tensor, item) and what was expected.
struct Error {
    static constexpr std::size_t no_input = static_cast<std::size_t>(-1);

    ErrorCode code = ErrorCode::invalid_argument;
    std::string message;
    /// Which of a call's inputs it is about (the text, pair or item at this index), where it is about one.
    std::size_t input = no_input;
};

/// A piece of an error message: text or a number. Nothing is copied or formatted before make_error runs.
class ErrorPart {
public:
    ErrorPart(const char* text) noexcept : text_(text) {}
    ErrorPart(std::string_view text) noexcept : text_(text) {}
    ErrorPart(const std::string& text) noexcept : text_(text) {}
    template <class Number>
    requires(std::is_arithmetic_v<Number>)
    ErrorPart(Number number) noexcept {
        if constexpr (std::is_floating_point_v<Number>) {
            kind_ = Kind::real;
            real_ = static_cast<double>(number);
        } else if constexpr (std::is_signed_v<Number>) {
            kind_ = Kind::integer;
            integer_ = static_cast<std::int64_t>(number);
        } else {
            kind_ = Kind::natural;
            natural_ = static_cast<std::uint64_t>(number);
        }
    }

    void append_to(std::string& message) const;

private:
    enum class Kind { text, integer, natural, real };
    Kind kind_ = Kind::text;
    union {
        std::string_view text_;
        std::int64_t integer_;
        std::uint64_t natural_;
        double real_;
    };
};

#if RANKLET_HAS_EXCEPTIONS
/// Thrown by `Result::value()` only.
class Exception : public std::exception {
public:
    explicit Exception(Error error) : error_(std::move(error)) {}
    const char* what() const noexcept override { return error_.message.c_str(); }
    const Error& error() const noexcept { return error_; }

private:
    Error error_;
};
#endif

namespace detail {
// The exception, where there are exceptions; otherwise a trap.
[[noreturn]] void raise(const Error& error);

// An error that results share: a failing call hands a pointer on, not a string. Null: no error.
class SharedError {
public:
    SharedError() = default;
    explicit SharedError(Error error) noexcept : node_(make(std::move(error))) {}
    SharedError(const SharedError& other) noexcept : node_(other.node_) {
        if (is_owner()) retain(node_);
    }
    SharedError(SharedError&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
    SharedError& operator=(SharedError other) noexcept {
        std::swap(node_, other.node_);
        return *this;
    }
    ~SharedError() {
        if (is_owner()) release(node_);
    }
    explicit operator bool() const noexcept { return node_ != nullptr; }
    const Error& operator*() const noexcept { return node_->error; }
    operator const Error&() const noexcept { return node_->error; }

    // Gives the error away; afterwards this one is of nobody, and not null: its result still has no value.
    SharedError take() noexcept {
        SharedError taken(std::move(*this));
        if (taken) node_ = given_away();
        return taken;
    }

    // An error that needs no memory: its node is made once and never given back.
    static SharedError out_of_memory() noexcept;

private:
    struct Node {
        Error error;
        std::atomic<std::size_t> owners{1};
    };
    static Node* given_away() noexcept { return reinterpret_cast<Node*>(alignof(Node)); }
    bool is_owner() const noexcept { return node_ != nullptr && node_ != given_away(); }
    static Node* make(Error&& error) noexcept;
    static Node* shared_node() noexcept;
    static void retain(Node* node) noexcept;
    static void release(Node* node) noexcept;
    Node* node_ = nullptr;
};
}  // namespace detail

/// An Error whose message is the parts joined, to be returned as any Result; out_of_memory where there is none for the
/// message. Out of line on purpose: errors are rare, and spelling messages out with operator+ at every check costs compile
/// time and code size.
detail::SharedError make_error(ErrorCode code, std::initializer_list<ErrorPart> parts,
                               std::initializer_list<ErrorPart> more = {}) noexcept;

/// The same error, about the input at this index, its message after the input's name. Whoever hands out inputs (a loop
/// over texts) says which one it was, once; whoever knows it by a better name (an item's id) names it again.
detail::SharedError about_input(const Error& error, std::size_t input,
                                std::initializer_list<ErrorPart> name = {}) noexcept;

/// A value of type T, or an Error. Moves, and does not copy.
template <class T>
class [[nodiscard]] Result {
public:
    using value_type = T;

    Result(T value) : value_(std::move(value)) {}
    Result(Error error) : error_(std::move(error)) {}
    Result(detail::SharedError error) noexcept : error_(std::move(error)) {}
    Result(Result&& other) : error_(other.error_) {
        if (ok()) new (static_cast<void*>(&value_)) T(std::move(other.value_));
    }
    Result& operator=(Result&& other) {
        if (this != &other) {
            this->~Result();
            new (static_cast<void*>(this)) Result(std::move(other));
        }
        return *this;
    }
    ~Result() {
        if (ok()) value_.~T();
    }

    bool ok() const noexcept { return !error_; }
    explicit operator bool() const noexcept { return ok(); }

    /// The error. Precondition: !ok().
    const Error& error() const noexcept { return *error_; }

    /// The value, or throws Exception (traps where there are no exceptions).
    T& value() & { return check(), value_; }
    const T& value() const& { return check(), value_; }
    /// By value, so that `for (auto& x : f().value())` keeps what it iterates over alive.
    T value() && { return check(), std::move(value_); }

    /// Precondition: ok().
    T& operator*() & noexcept { return value_; }
    const T& operator*() const& noexcept { return value_; }
    /// By value, as value() is.
    T operator*() && { return std::move(value_); }
    T* operator->() noexcept { return &value_; }
    const T* operator->() const noexcept { return &value_; }

    /// For the macros below: the error, to be handed on.
    detail::SharedError shared_error() const& noexcept { return error_; }
    detail::SharedError shared_error() && noexcept { return error_.take(); }

private:
    void check() const {
        if (!ok()) detail::raise(error());
    }
    // A union and not std::optional, which would be a fifth of all functions that a program with a recommender compiles.
    union {
        T value_;  // alive while there is no error
    };
    detail::SharedError error_;
};

/// Success, or an Error.
template <>
class [[nodiscard]] Result<void> {
public:
    using value_type = void;

    Result() = default;
    Result(Error error) : error_(std::move(error)) {}
    Result(detail::SharedError error) noexcept : error_(std::move(error)) {}

    bool ok() const noexcept { return !error_; }
    explicit operator bool() const noexcept { return ok(); }
    const Error& error() const noexcept { return *error_; }
    void value() const {
        if (!ok()) detail::raise(error());
    }

    detail::SharedError shared_error() const& noexcept { return error_; }
    detail::SharedError shared_error() && noexcept { return std::move(error_); }

private:
    detail::SharedError error_;
};

namespace detail {

/// The code of an error that is told as one of another kind: what there was no memory for stays that.
constexpr ErrorCode told_as(ErrorCode code, const Error& error) noexcept {
    return error.code == ErrorCode::out_of_memory ? error.code : code;
}

/// Error invalid_argument of an object that has nothing to work with: made by default, or moved from.
RANKLET_OUT_OF_LINE inline SharedError empty_object(const char* what) noexcept {
    return make_error(ErrorCode::invalid_argument, {what, " is empty: it was not loaded, or was moved from"});
}

#if RANKLET_HAS_EXCEPTIONS
/// Error out_of_memory for the exception that is being handled, if it says that there is no memory (or asked for more
/// than there can be); any other goes on its way.
SharedError allocation_error();
#endif

/// function(), or Error out_of_memory where an allocation fails in it: for work on other threads, which no exception may
/// leave.
template <class Function>
auto catch_out_of_memory(const Function& function) -> decltype(function()) {
#if RANKLET_HAS_EXCEPTIONS
    try {
        return function();
    } catch (...) {
        return allocation_error();
    }
#else
    return function();
#endif
}

}  // namespace detail

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

RANKLET_NAMESPACE_BEGIN

RANKLET_OUT_OF_LINE RANKLET_FUNC void ErrorPart::append_to(std::string& message) const {
    switch (kind_) {
        case Kind::text:
            message.append(text_);
            return;
        case Kind::integer:
            message.append(std::to_string(integer_));
            return;
        case Kind::natural:
            message.append(std::to_string(natural_));
            return;
        case Kind::real:
            message.append(std::to_string(real_));
            return;
    }
}

namespace detail {
// The error that `fill` writes the message of; out_of_memory where there is none for it.
template <class Fill>
SharedError error_of(ErrorCode code, std::size_t input, const Fill& fill) noexcept {
#if RANKLET_HAS_EXCEPTIONS
    try {
#endif
        Error error{code, {}, input};
        fill(error.message);
        return SharedError(std::move(error));
#if RANKLET_HAS_EXCEPTIONS
    } catch (...) {
        return SharedError::out_of_memory();
    }
#endif
}
}  // namespace detail

RANKLET_OUT_OF_LINE RANKLET_FUNC detail::SharedError make_error(ErrorCode code, std::initializer_list<ErrorPart> parts,
                                                                std::initializer_list<ErrorPart> more) noexcept {
    return detail::error_of(code, Error::no_input, [&](std::string& message) {
        for (const ErrorPart& part : parts) part.append_to(message);
        for (const ErrorPart& part : more) part.append_to(message);
    });
}

RANKLET_OUT_OF_LINE RANKLET_FUNC detail::SharedError about_input(const Error& error, std::size_t input,
                                                                 std::initializer_list<ErrorPart> name) noexcept {
    return detail::error_of(error.code, input, [&](std::string& message) {
        for (const ErrorPart& part : name) part.append_to(message);
        if (!message.empty()) message.append(": ");
        message.append(error.message);
    });
}

namespace detail {

[[noreturn]] RANKLET_FUNC void raise(const Error& error) {
#if RANKLET_HAS_EXCEPTIONS
    throw Exception(error);
#else
    (void)error;
    __builtin_trap();  // asked for a value that is not there, with no way to say so
#endif
}

#if RANKLET_HAS_EXCEPTIONS
RANKLET_OUT_OF_LINE RANKLET_FUNC SharedError allocation_error() {
    try {
        throw;
    } catch (const std::bad_alloc&) {
    } catch (const std::length_error&) {
    }
    return SharedError::out_of_memory();
}
#endif

RANKLET_OUT_OF_LINE RANKLET_FUNC SharedError SharedError::out_of_memory() noexcept {
    SharedError error;
    error.node_ = shared_node();
    return error;
}
RANKLET_OUT_OF_LINE RANKLET_FUNC SharedError::Node* SharedError::shared_node() noexcept {
    static Node node{Error{ErrorCode::out_of_memory, "out of memory"}};
    retain(&node);
    return &node;
}
RANKLET_OUT_OF_LINE RANKLET_FUNC SharedError::Node* SharedError::make(Error&& error) noexcept {
    Node* node = new (std::nothrow) Node{std::move(error)};
    return node != nullptr ? node : shared_node();
}
RANKLET_OUT_OF_LINE RANKLET_FUNC void SharedError::retain(Node* node) noexcept {
    node->owners.fetch_add(1, std::memory_order_relaxed);
}
RANKLET_OUT_OF_LINE RANKLET_FUNC void SharedError::release(Node* node) noexcept {
    if (node->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) delete node;
}

}  // namespace detail

RANKLET_NAMESPACE_END

#endif

/// Around the body of a function that returns a Result: an allocation that fails in it comes back as Error out_of_memory
/// (docs/decisions.md, "Memory").
///     Result<int> f() RANKLET_MEMORY_TRY { ... } RANKLET_MEMORY_CATCH
#if RANKLET_HAS_EXCEPTIONS
#define RANKLET_MEMORY_TRY try
#define RANKLET_MEMORY_CATCH                          \
    catch (...) {                                     \
        return ::ranklet::detail::allocation_error(); \
    }
#else
#define RANKLET_MEMORY_TRY
#define RANKLET_MEMORY_CATCH
#endif

#define RANKLET_UNIQUE_NAME_IMPL(a, b) a##b
#define RANKLET_UNIQUE_NAME(a, b) RANKLET_UNIQUE_NAME_IMPL(a, b)

/// `RANKLET_TRY(f());` returns f's error from the enclosing function.
#define RANKLET_TRY(expression)                                                                    \
    do {                                                                                           \
        if (auto ranklet_error = (expression).shared_error(); ranklet_error) return ranklet_error; \
    } while (false)

/// `RANKLET_ASSIGN(auto x, f());` binds f's value to x, or returns f's error from the enclosing function.
#define RANKLET_ASSIGN(declaration, expression) \
    RANKLET_ASSIGN_IMPL(RANKLET_UNIQUE_NAME(ranklet_result_, __LINE__), declaration, expression)
// A statement as an expression (of GNU C, which Clang has too): the result ends there, and with its value moved out and
// its error given away nothing is left to destroy. One that lived on would be destroyed at every way out of a function.
#define RANKLET_ASSIGN_IMPL(result, declaration, expression)       \
    declaration = __extension__({                                  \
        auto result = (expression);                                \
        if (!result.ok()) return std::move(result).shared_error(); \
        std::move(*result);                                        \
    })
