// The self-test that travels in a model file: inputs, and the reference's outputs from the time of conversion.
// In: a file and what this build computed. Out: nothing, or an Error that says what differs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/function_view.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/text_list.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN

/// The least tolerance where products round their inputs to bf16, whatever the file says: its expected values are of f32
/// activations.
inline constexpr float bf16_self_test_tolerance = 2e-2f;

/// Texts, items, pairs and events that a self-test may have, each: every one is work at each load, and may cost the file
/// but a few bytes.
inline constexpr std::size_t most_self_test_inputs = 1000;

namespace detail {

/// Whether the file has matrices whose products round their inputs to bf16 here: its expected outputs know nothing of
/// that.
RANKLET_COLD inline bool rounds_bf16_inputs(const GgufFile& file) {
    return uses_bf16_dot && std::any_of(file.tensors().begin(), file.tensors().end(), [](const TensorView& tensor) {
               return tensor.type == TensorType::bf16 &&
                      (tensor.name.starts_with("blk.") || tensor.name.starts_with("ranklet.gru."));
           });
}

}  // namespace detail

namespace detail {

/// As compare_self_test, with what is to be found.
RANKLET_COLD inline Result<void> compare_with(std::span<const float> expected, const ModelReader& reader,
                                              std::string_view key, std::span<const float> found) {
    const GgufFile& file = reader.file();
    RANKLET_ASSIGN(float tolerance, file.f32("ranklet.selftest.tolerance"));
    if (!(tolerance >= 0.0f && tolerance < 1.0f))  // a test that nothing fails is none
        return make_error(ErrorCode::format,
                          {file.name(), ": ranklet.selftest.tolerance is ", tolerance, ", expected 0 to 1"});
    if (expected.size() != found.size())
        return reader.wrong(key, {" has ", expected.size(), " values, the model gives ", found.size()},
                            ErrorCode::self_test);
    if (detail::rounds_bf16_inputs(file)) tolerance = std::max(tolerance, bf16_self_test_tolerance);
    float largest = 1.0f;
    for (const float e : expected) {
        // A share of infinity would allow every difference.
        if (!std::isfinite(e)) return reader.wrong(key, {" has ", e, ", expected finite numbers"});
        largest = std::max(largest, std::abs(e));
    }
    for (std::size_t i = 0; i < expected.size(); ++i)
        if (!(std::abs(expected[i] - found[i]) <= tolerance * largest))
            return make_error(ErrorCode::self_test, {file.name(), ": self-test failed: ", reader.full(key), "[", i,
                                                     "] should be ", expected[i], ", is ", found[i]});
    return {};
}

}  // namespace detail

/// `found` against the file's floats `key`. Error self_test when an element differs by more than tolerance * max(1,
/// largest |expected|), or is NaN; format when one of the file's is not finite. The tolerance is the file's; at least
/// bf16_self_test_tolerance where the products round their inputs to bf16.
RANKLET_COLD inline Result<void> compare_self_test(const ModelReader& reader, std::string_view key,
                                                   std::span<const float> found) {
    RANKLET_ASSIGN(const auto expected, reader.floats(key));
    return detail::compare_with(expected, reader, key, found);
}
inline Result<void> compare_self_test(const ModelReader& reader, std::string_view key, const Matrix& found) {
    return compare_self_test(reader, key, {found.view().data, found.rows() * found.cols()});
}
/// Vectors of texts (at least one), of which `found` has the first numbers alone, of length 1 where `normalized`.
RANKLET_COLD inline Result<void> compare_truncated_self_test(const ModelReader& reader, std::string_view key,
                                                             const Matrix& found, bool normalized) {
    RANKLET_ASSIGN(const auto whole, reader.floats(key));
    const std::size_t dim = whole.size() / found.rows();
    if (dim < found.cols()) return compare_self_test(reader, key, found);  // which says that it cannot be
    std::vector<float> expected(found.rows() * found.cols());
    for (std::size_t r = 0; r < found.rows(); ++r) {
        float* const row = expected.data() + r * found.cols();
        std::copy_n(whole.data() + r * dim, found.cols(), row);
        if (normalized) kernels::Ops<float>::normalize(row, found.cols());
    }
    return detail::compare_with(expected, reader, key, {found.view().data, expected.size()});
}

/// The file's texts (at least one) against its token ids: `tokenize(text)` gives the ids, valid until the next call.
/// Error self_test naming the first text whose ids differ.
RANKLET_COLD inline Result<void> compare_token_ids(
    const ModelReader& reader, TextList texts,
    FunctionView<Result<std::span<const std::int32_t>>(std::string_view)> tokenize) {
    const ModelReader test = reader.scope("ranklet.selftest");
    RANKLET_ASSIGN(const auto ids, test.i32s("token_ids"));
    RANKLET_ASSIGN(const auto offsets, test.i32s("token_offsets"));
    if (texts.empty()) return test.wrong("texts", {" is empty"});
    if (texts.size() > most_self_test_inputs)
        return test.wrong("texts", {" has ", texts.size(), " entries, expected at most ", most_self_test_inputs});
    if (offsets.size() != texts.size() + 1 || offsets.front() != 0 ||
        static_cast<std::size_t>(offsets.back()) != ids.size() || !std::is_sorted(offsets.begin(), offsets.end()))
        return test.wrong("token_offsets", {" do not fit the texts and token ids"});
    for (std::size_t t = 0; t < texts.size(); ++t) {
        RANKLET_ASSIGN(const auto found, tokenize(texts[t]));
        if (!std::equal(found.begin(), found.end(), ids.begin() + offsets[t], ids.begin() + offsets[t + 1]))
            return make_error(ErrorCode::self_test,
                              {test.file().name(), ": self-test failed: text ", t, " has other token ids"});
    }
    return {};
}

RANKLET_NAMESPACE_END
