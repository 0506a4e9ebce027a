// refuse_each: a call with each of its allocations refused, one after the other.
// In: a call and what it should give, as bytes. Out: failed tests where it does anything but say out_of_memory.
// One file of the executable includes counting_heap.hpp.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "heap_counters.hpp"
#include "ranklet/catalog/catalog.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"

namespace ranklet_test {

// What a call gave, as bytes: equal bytes, equal values. Whatever makes them asks for memory that is granted.
class ResultBytes {
public:
    ResultBytes() { ranklet_test::heap_requests_until_refusal = -1; }
    ResultBytes& operator<<(std::string_view text) {
        text_.append(text).push_back('\n');
        return *this;
    }
    template <class T>
    requires(std::is_arithmetic_v<T>)
    ResultBytes& operator<<(T number) {
        text_.append(reinterpret_cast<const char*>(&number), sizeof number);
        return *this;
    }
    template <class T>
    ResultBytes& operator<<(const std::vector<T>& values) {
        for (const T& value : values) *this << value;
        return *this;
    }
    ResultBytes& operator<<(const ranklet::Matrix& matrix) {
        for (std::size_t r = 0; r < matrix.rows(); ++r)
            for (const float x : matrix.row(r)) *this << x;
        return *this;
    }
    ResultBytes& operator<<(const ranklet::Catalog& catalog) {
        *this << catalog.data().ids << catalog.data().vectors << catalog.data().outputs << catalog.data().bias;
        for (const ranklet::CatalogPart& part : catalog.data().parts) *this << part.name << part.values;
        for (const ranklet::AttributeColumn& column : catalog.data().attributes.columns)
            *this << column.name << column.values << column.codes;
        return *this;
    }
    operator ranklet::Result<std::string>() const { return text_; }

private:
    std::string text_;
};

// prepare(), then call() with its n-th allocation refused, for n = first, first + 1, ... until none is left to refuse;
// beyond the first 100 not every one. After each the same is done again, and gives what it gave before. `unharmed` is
// asked between the two.
inline void refuse_each(
    const std::string& name, const std::function<ranklet::Result<std::string>()>& call,
    const std::function<void()>& prepare = [] {}, const std::function<bool()>& unharmed = [] { return true; },
    long first = 0) {
    CAPTURE(name);
#if RANKLET_HAS_EXCEPTIONS
    const auto once = [&](long refusal) {
        prepare();
        ranklet_test::heap_requests_until_refusal = refusal;
        auto result = call();
        ranklet_test::heap_requests_until_refusal = -1;
        return result;
    };
    const auto expected = once(-1);
    REQUIRE_MESSAGE(expected.ok(), (expected.ok() ? std::string() : expected.error().message));
    for (long n = first;; n += 1 + std::max(0L, n - 100) / 5) {
        CAPTURE(n);
        const std::size_t refused = ranklet_test::refused_heap_requests;
        try {
            const auto result = once(n);
            if (!result.ok())
                REQUIRE_MESSAGE(result.error().code == ranklet::ErrorCode::out_of_memory, result.error().message);
            if (result.ok()) REQUIRE(*result == *expected);  // it could do without
            REQUIRE((result.ok() || unharmed()));
        } catch (const std::bad_alloc&) {
            ranklet_test::heap_requests_until_refusal = -1;
            FAIL("threw");
        }
        if (ranklet_test::refused_heap_requests == refused) break;
        const auto again = once(-1);
        REQUIRE_MESSAGE(again.ok(), (again.ok() ? std::string() : again.error().message));
        REQUIRE(*again == *expected);
    }
#else
    (void)call, (void)prepare, (void)unharmed, (void)first;
#endif
}

}  // namespace ranklet_test
