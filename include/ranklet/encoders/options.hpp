// How a batch of texts or items is encoded: the options that all encoders share.
// In: nothing. Out: an aggregate with defaults, passed per call.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/text/windows.hpp"

RANKLET_NAMESPACE_BEGIN

struct BatchOptions {
    /// Each thread takes texts of its own; where there are fewer texts than threads, a transformer shares the work on
    /// each among all of them.
    Threads threads = 1;
    /// Called with (inputs done, inputs in all), now and then and at the end, from the calling thread, or with an Executor of
    /// the host's from one of its threads. Must not throw.
    std::function<void(std::size_t, std::size_t)> progress = {};
    /// Name of a prompt of the model file that is put before each text; "": none; not given: the model's default, where
    /// it has one.
    std::optional<std::string_view> prompt = {};
    StopToken stop = {};     ///< ends the call with Error stopped; nothing half done comes back
    Deadline deadline = {};  ///< ends the call with Error deadline
    /// Reads all of texts that are longer than the model takes; not given: they are truncated.
    std::optional<Windows> windows = {};
    /// Where how much was read is written: an entry for each text or item; for each pair two, its first text's and its
    /// second's. Empty: it is not asked for. Error invalid_argument for another size.
    std::span<TextRead> read = {};
    /// Of encode_catalog alone: the catalog keeps the items' texts, and recommendations then have them. Updates of such a
    /// catalog keep those of their items too.
    bool keep_texts = false;
};

RANKLET_NAMESPACE_END
