// Published<T>: a snapshot that one thread replaces while others read it.
// In: snapshots whose copies share what they hold (a Catalog, Transitions). Out: copies of the newest one.
// A mutex is held for a copy or a swap alone: nobody waits for who computes the next snapshot, or destroys the last one.
#pragma once

#include <mutex>
#include <utility>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// Safe to use from any number of threads. A reader keeps the copy that it got for as long as it needs one state of
/// things (a request, say); what it replaced lives until the last copy is gone.
template <class T>
class Published {
public:
    Published() = default;
    explicit Published(T first) : value_(std::move(first)) {}
    Published(const Published&) = delete;
    Published& operator=(const Published&) = delete;

    /// A copy of the newest snapshot; T's default before the first.
    T get() const {
        const std::lock_guard lock(mutex_);
        return value_;
    }
    /// Every get() that begins after this returns gives `next`.
    void set(T next) {
        const std::lock_guard lock(mutex_);
        std::swap(value_, next);
    }  // the lock is given back first, then what was replaced, a parameter, is destroyed

private:
    mutable std::mutex mutex_;
    T value_{};
};

RANKLET_NAMESPACE_END
