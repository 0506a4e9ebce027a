// How texts are encoded and how model files are loaded: the options that all encoders share.
// In: nothing. Out: aggregates with defaults, passed per call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

enum class Activation;  // kernels/elementwise.hpp

/// What a BERT file of another engine leaves unsaid. A value given here is used only where the file has none; what is
/// in neither is an error.
struct BertDefaults {
    std::optional<bool> lowercase;
    std::optional<bool> strip_accents;  ///< follows lowercase when not given
    std::optional<Activation> activation;
    std::optional<bool> normalize;
    std::optional<std::uint32_t> max_length;
};

/// How a batch of texts is encoded.
struct BatchOptions {
    /// Threads to use; 0: as many as the machine offers. Has no influence on the numbers. Each takes texts of its own;
    /// where there are fewer texts than threads, a transformer shares the work on each among all of them.
    std::size_t threads = 1;
    /// Called with (texts done, texts in all), now and then and at the end, from the calling thread. Must not throw.
    std::function<void(std::size_t, std::size_t)> progress = {};
    /// Name of a prompt of the model file that is put before each text; "": none; not given: the model's default, if
    /// any.
    std::optional<std::string_view> prompt = {};
};

/// How a model file is loaded.
struct LoadOptions {
    bool self_test = true;         ///< run the file's self-test and refuse the file when its numbers differ
    bool verify_checksum = false;  ///< read all tensor data and compare its checksum
    BertDefaults bert = {};        ///< what a BERT file of another engine leaves unsaid
};

RANKLET_NAMESPACE_END
