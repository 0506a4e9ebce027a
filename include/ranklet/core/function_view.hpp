// FunctionView: a function that a call takes, looked at and not kept, so that the callee need not be a template.
// In: anything callable that outlives the call. Out: calls of it.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

template <class Signature>
class FunctionView;

template <class R, class... Args>
class FunctionView<R(Args...)> {
public:
    template <class Function>
    requires(!std::is_same_v<std::remove_cvref_t<Function>, FunctionView> &&
             std::is_invocable_r_v<R, const Function&, Args...>)
    FunctionView(const Function& f) noexcept
        : object_(std::addressof(f)), call_([](const void* object, Args... args) -> R {
              return (*static_cast<const Function*>(object))(std::forward<Args>(args)...);
          }) {}

    R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

private:
    const void* object_;
    R (*call_)(const void*, Args...);
};

RANKLET_NAMESPACE_END
