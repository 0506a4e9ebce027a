// Writes small GGUF files into memory for tests, broken ones too.
// In: keys and tensors, and what the header shall state wrongly. Out: the file's bytes.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ranklet/io/crc32.hpp"
#include "ranklet/io/gguf_index.hpp"

namespace ranklet_test {

using Bytes = std::vector<std::byte>;

template <class T>
void append(Bytes& bytes, T value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes.resize(bytes.size() + sizeof value);
    std::memcpy(bytes.data() + bytes.size() - sizeof value, &value, sizeof value);
}
inline void append_string(Bytes& bytes, std::string_view text) {
    append(bytes, std::uint64_t{text.size()});
    for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
}
template <class T>
Bytes bytes_of(const std::vector<T>& values) {
    Bytes bytes;
    for (const T value : values) append(bytes, value);
    return bytes;
}

template <class T>
constexpr ranklet::GgufType type_of() {
    using ranklet::GgufType;
    if constexpr (std::is_same_v<T, bool>) return GgufType::boolean;
    if constexpr (std::is_same_v<T, float>) return GgufType::f32;
    if constexpr (std::is_same_v<T, double>) return GgufType::f64;
    if constexpr (std::is_same_v<T, std::uint8_t>) return GgufType::u8;
    if constexpr (std::is_same_v<T, std::int8_t>) return GgufType::i8;
    if constexpr (std::is_same_v<T, std::uint16_t>) return GgufType::u16;
    if constexpr (std::is_same_v<T, std::int16_t>) return GgufType::i16;
    if constexpr (std::is_same_v<T, std::uint32_t>) return GgufType::u32;
    if constexpr (std::is_same_v<T, std::int32_t>) return GgufType::i32;
    if constexpr (std::is_same_v<T, std::uint64_t>) return GgufType::u64;
    if constexpr (std::is_same_v<T, std::int64_t>) return GgufType::i64;
}

class GgufBuilder {
public:
    // What the header states when it shall not be the truth.
    std::string magic = "GGUF";
    std::uint32_t version = 3;
    std::size_t alignment = 32;  ///< used for layout; to state it, add the key
    std::optional<std::uint64_t> stated_tensors, stated_keys;
    bool pad_end = true;  ///< padding after the last tensor

    /// A key whose value is `value` as it stands in the file.
    GgufBuilder& raw_key(std::string_view name, std::uint32_t type, const Bytes& value) {
        append_string(keys_, name);
        append(keys_, type);
        keys_.insert(keys_.end(), value.begin(), value.end());
        ++key_count_;
        return *this;
    }
    template <class T>
    GgufBuilder& key(std::string_view name, T value) {
        return raw_key(name, static_cast<std::uint32_t>(type_of<T>()), bytes_of(std::vector<T>{value}));
    }
    GgufBuilder& key(std::string_view name, bool value) {
        return raw_key(name, static_cast<std::uint32_t>(ranklet::GgufType::boolean),
                       {static_cast<std::byte>(value ? 1 : 0)});
    }
    GgufBuilder& key(std::string_view name, const char* value) {
        Bytes bytes;
        append_string(bytes, value);
        return raw_key(name, static_cast<std::uint32_t>(ranklet::GgufType::string), bytes);
    }
    template <class T>
    GgufBuilder& array(std::string_view name, const std::vector<T>& values) {
        return raw_array(name, static_cast<std::uint32_t>(type_of<T>()), values.size(), bytes_of(values));
    }
    GgufBuilder& array(std::string_view name, const std::vector<std::string>& values) {
        Bytes bytes;
        for (const std::string& value : values) append_string(bytes, value);
        return raw_array(name, static_cast<std::uint32_t>(ranklet::GgufType::string), values.size(), bytes);
    }
    GgufBuilder& raw_array(std::string_view name, std::uint32_t element, std::uint64_t count, const Bytes& elements) {
        Bytes bytes;
        append(bytes, element);
        append(bytes, count);
        bytes.insert(bytes.end(), elements.begin(), elements.end());
        return raw_key(name, static_cast<std::uint32_t>(ranklet::GgufType::array), bytes);
    }

    /// `dims` in PyTorch's order. The data goes to the next aligned place, or is said to lie at `offset`.
    GgufBuilder& tensor(std::string_view name, std::uint32_t type, const std::vector<std::uint64_t>& dims,
                        const Bytes& data, std::optional<std::uint64_t> offset = {}) {
        append_string(tensors_, name);
        append(tensors_, static_cast<std::uint32_t>(dims.size()));
        for (std::size_t d = dims.size(); d-- > 0;) append(tensors_, dims[d]);
        append(tensors_, type);
        pad(data_, alignment);
        append(tensors_, offset.value_or(data_.size()));
        data_.insert(data_.end(), data.begin(), data.end());
        ++tensor_count_;
        return *this;
    }
    GgufBuilder& tensor(std::string_view name, const std::vector<std::uint64_t>& dims,
                        const std::vector<float>& values) {
        return tensor(name, static_cast<std::uint32_t>(ranklet::TensorType::f32), dims, bytes_of(values));
    }

    /// Adds the right `ranklet.checksum.crc32`. Call it after the last tensor.
    GgufBuilder& checksum() {
        if (pad_end) pad(data_, alignment);
        return key("ranklet.checksum.crc32", ranklet::crc32(data_));
    }

    /// Everything up to the tensor data, without padding.
    Bytes header() const {
        Bytes bytes;
        for (const char c : magic) bytes.push_back(static_cast<std::byte>(c));
        append(bytes, version);
        append(bytes, stated_tensors.value_or(tensor_count_));
        append(bytes, stated_keys.value_or(key_count_));
        bytes.insert(bytes.end(), keys_.begin(), keys_.end());
        bytes.insert(bytes.end(), tensors_.begin(), tensors_.end());
        return bytes;
    }
    Bytes build() const {
        Bytes bytes = header();
        pad(bytes, alignment);
        bytes.insert(bytes.end(), data_.begin(), data_.end());
        if (pad_end) pad(bytes, alignment);
        return bytes;
    }

private:
    static void pad(Bytes& bytes, std::size_t to) { bytes.resize((bytes.size() + to - 1) / to * to); }

    Bytes keys_, tensors_, data_;
    std::uint64_t key_count_ = 0, tensor_count_ = 0;
};

}  // namespace ranklet_test
