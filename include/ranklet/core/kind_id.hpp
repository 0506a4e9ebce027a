// Which class an object behind an interface is, without run-time type information.
// In: a class. Out: an identity that is equal for objects of that class alone.
#pragma once

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// The address of a byte that belongs to T.
using KindId = const char*;

namespace detail {
template <class T>
inline constexpr char kind_byte = 0;
}
template <class T>
inline constexpr KindId kind_id = &detail::kind_byte<T>;

RANKLET_NAMESPACE_END
