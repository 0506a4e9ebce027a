// Uses everything that a GgufFile gives out, so that a sanitizer sees every byte it would let a program read.
// In: the bytes and the file that was opened over them. Out: an empty text, or what is wrong.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/io/gguf.hpp"

namespace ranklet_test {

inline std::string exercise(std::span<const std::byte> bytes, const ranklet::GgufFile& file) {
    using ranklet::TensorType;
    const auto inside = [&](const void* data, std::size_t size) {
        const auto* begin = static_cast<const std::byte*>(data);
        return begin >= bytes.data() && size <= bytes.size() && begin <= bytes.data() + (bytes.size() - size);
    };
    unsigned sum = 0;  // reads, so that the optimiser keeps them
    const auto read = [&](std::string_view text) {
        for (const char c : text) sum += static_cast<unsigned char>(c);
        return inside(text.data(), text.size());
    };
    for (const ranklet::GgufKey& key : file.keys()) {
        if (!read(key.name) || !inside(key.data, key.bytes)) return "a key's view leaves the file";
        if (!file.has(key.name)) return "a listed key is not found";
        (void)file.u32(key.name);
        (void)file.f32(key.name);
        (void)file.boolean(key.name);
        (void)file.floats(key.name);
        (void)file.i32s(key.name);
        (void)file.u32s(key.name);
        if (const auto text = file.string(key.name); text.ok() && !read(*text)) return "a string leaves the file";
        if (const auto texts = file.strings(key.name); texts.ok()) {
            if (texts->size() != key.count) return "an array's size is not its count";
            for (const std::string_view text : *texts)
                if (!read(text)) return "an array's string leaves the file";
        }
    }
    std::vector<float> row;
    for (const ranklet::TensorView& listed : file.tensors()) {
        if (!read(listed.name) || !inside(listed.data, listed.bytes)) return "a tensor's view leaves the file";
        if (listed.rows == 0 || listed.cols == 0) return "a tensor is empty";
        if (const auto whole = file.i32_tensor(listed.name); whole.ok())
            for (std::size_t i = 0; i < whole->rows * whole->cols; ++i)
                sum += ranklet::detail::load_unaligned<std::uint32_t>(whole->data + 4 * i) & 1u;
        const auto tensor = file.tensor(listed.name);
        if (!tensor.ok()) continue;
        if (!file.tensor(listed.name, listed.rows, listed.cols).ok()) return "a tensor has not its own shape";
        row.resize(tensor->cols);
        for (std::size_t r = 0; r < tensor->rows; ++r) {
            dequantize_row(*tensor, r, row.data());
            sum += row[0] > 0 ? 1u : 0u;
        }
    }
    (void)file.verify_checksum();
    (void)file.fingerprint();
    return sum == 0xFFFFFFFFu ? " " : "";
}

}  // namespace ranklet_test
