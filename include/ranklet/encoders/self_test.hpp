// The self-test that travels in a model file: inputs, and the reference's outputs from the time of conversion.
// In: a file and what this build computed. Out: nothing, or an Error that says what differs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/io/gguf.hpp"

RANKLET_NAMESPACE_BEGIN

/// Error unsupported when a file with keys of ours is of a version that this program does not know.
RANKLET_COLD inline Result<void> check_version(const GgufFile& file) {
    if (!file.has("ranklet.version")) return {};
    RANKLET_ASSIGN(const std::uint32_t version, file.u32("ranklet.version"));
    if (version == 1) return {};
    return make_error(ErrorCode::unsupported,
                      {file.name(), ": ranklet.version is ", version, ", this program reads 1"});
}

/// Whether the file has matrices whose products round their inputs to bf16 here, which its expected outputs know
/// nothing of.
RANKLET_COLD inline bool rounds_bf16_inputs(const GgufFile& file) {
    return uses_bf16_dot && std::any_of(file.tensors().begin(), file.tensors().end(), [](const TensorView& tensor) {
               return tensor.type == TensorType::bf16 &&
                      (tensor.name.starts_with("blk.") || tensor.name.starts_with("ranklet.gru."));
           });
}

/// The least that is allowed then, whatever the file says (it was made with f32 activations).
inline constexpr float bf16_self_test_tolerance = 2e-2f;

/// Error self_test when an element differs by more than tolerance * max(1, largest |expected|), or is NaN. The
/// tolerance is the file's; at least bf16_self_test_tolerance where the products round their inputs to bf16.
RANKLET_COLD inline Result<void> compare_self_test(const GgufFile& file, const std::string& what,
                                                   std::span<const float> expected, std::span<const float> found) {
    RANKLET_ASSIGN(float tolerance, file.f32("ranklet.selftest.tolerance"));
    if (!(tolerance >= 0.0f && tolerance < 1.0f))  // a test that nothing fails is none
        return make_error(ErrorCode::format,
                          {file.name(), ": ranklet.selftest.tolerance is ", tolerance, ", expected 0 to 1"});
    if (expected.size() != found.size())
        return make_error(ErrorCode::self_test, {file.name(), ": ", what, " has ", expected.size(),
                                                 " values, the model gives ", found.size()});
    if (rounds_bf16_inputs(file)) tolerance = std::max(tolerance, bf16_self_test_tolerance);
    float largest = 1.0f;
    for (const float e : expected) largest = std::max(largest, std::abs(e));
    for (std::size_t i = 0; i < expected.size(); ++i)
        if (!(std::abs(expected[i] - found[i]) <= tolerance * largest))
            return make_error(ErrorCode::self_test, {file.name(), ": self-test failed: ", what, "[", i, "] should be ",
                                                     expected[i], ", is ", found[i]});
    return {};
}

/// The file's texts (at least one) against its token ids: `tokenize(text)` gives a Result whose value has the ids.
/// Error self_test naming the first text whose ids differ.
template <class Tokenize>
RANKLET_COLD Result<void> compare_token_ids(const GgufFile& file, std::span<const std::string_view> texts,
                                            const Tokenize& tokenize) {
    RANKLET_ASSIGN(const auto ids, file.i32s("ranklet.selftest.token_ids"));
    RANKLET_ASSIGN(const auto offsets, file.i32s("ranklet.selftest.token_offsets"));
    if (texts.empty()) return make_error(ErrorCode::format, {file.name(), ": ranklet.selftest.texts is empty"});
    if (offsets.size() != texts.size() + 1 || offsets.front() != 0 ||
        static_cast<std::size_t>(offsets.back()) != ids.size() || !std::is_sorted(offsets.begin(), offsets.end()))
        return make_error(ErrorCode::format,
                          {file.name(), ": ranklet.selftest.token_offsets do not fit the texts and token ids"});
    for (std::size_t t = 0; t < texts.size(); ++t) {
        RANKLET_ASSIGN(const auto found, tokenize(texts[t]));
        if (!std::equal(found.begin(), found.end(), ids.begin() + offsets[t], ids.begin() + offsets[t + 1]))
            return make_error(ErrorCode::self_test,
                              {file.name(), ": self-test failed: text ", t, " has other token ids"});
    }
    return {};
}

RANKLET_NAMESPACE_END
