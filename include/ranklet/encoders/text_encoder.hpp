// TextEncoder: what every encoder of texts offers, whatever it is made of; for code that needs nothing more.
// In: UTF-8 texts. Out: vectors [texts, dim] that do not depend on the batch or the number of threads.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>
#include <variant>

#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/encoders/options.hpp"

RANKLET_NAMESPACE_BEGIN

/// `dim()` and `encode(texts, options)`. Errors: invalid_text naming the first text that is not UTF-8 as "text N: ...",
/// missing for a prompt that the model does not have.
template <class Encoder>
concept TextEncoder =
    requires(const Encoder& encoder, std::span<const std::string_view> texts, const BatchOptions& options) {
        { encoder.dim() } -> std::convertible_to<std::size_t>;
        { encoder.encode(texts, options) } -> std::same_as<Result<Matrix>>;
    };

/// Calls f with the text encoder that `encoder` is, or, of a variant, holds. False when it encodes no text.
template <class Encoder, class Function>
bool with_text_encoder(const Encoder& encoder, const Function& f) {
    if constexpr (TextEncoder<Encoder>) {
        f(encoder);
        return true;
    } else {
        return false;
    }
}
template <class... Encoders, class Function>
bool with_text_encoder(const std::variant<Encoders...>& encoder, const Function& f) {
    return std::visit([&](const auto& chosen) { return with_text_encoder(chosen, f); }, encoder);
}

RANKLET_NAMESPACE_END
