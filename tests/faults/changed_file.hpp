// ChangedFile: a model file taken apart, to be put together again with other values in it and checksums that are right.
// In: a file. Out: its bytes, with whatever a test has made of its keys and tensors.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/gguf_builder.hpp"
#include "ranklet/io/gguf.hpp"
#include "results.hpp"

namespace ranklet_test {

class ChangedFile {
public:
    /// A key or a tensor, its value as it stands in the file: of an array the elements alone.
    struct Part {
        std::string name;
        bool is_tensor = false;
        std::uint32_t type = 0;  ///< GgufType or TensorType; of an array that of its elements
        bool is_array = false;
        std::uint64_t count = 1;
        std::vector<std::uint64_t> dims = {};  ///< as PyTorch has them
        Bytes bytes = {};
    };

    explicit ChangedFile(const std::string& path) {
        const ranklet::GgufFile file = take(ranklet::GgufFile::open(path));
        for (const ranklet::GgufKey& key : file.keys()) {
            const std::string name(key.name);
            if (name.rfind("ranklet.checksum.", 0) == 0) continue;  // build() has its own
            const bool is_array = key.type == ranklet::GgufType::array;
            Part& part = parts.emplace_back(
                Part{name, false, static_cast<std::uint32_t>(is_array ? key.element : key.type), is_array, key.count});
            if (key.type == ranklet::GgufType::string)
                append_string(part.bytes, {reinterpret_cast<const char*>(key.data), key.bytes});
            else
                part.bytes.assign(key.data, key.data + key.bytes);
        }
        for (const ranklet::TensorView& tensor : file.tensors())
            parts.push_back({std::string(tensor.name),
                             true,
                             static_cast<std::uint32_t>(tensor.type),
                             false,
                             1,
                             {tensor.dims.begin(), tensor.dims.begin() + static_cast<std::ptrdiff_t>(tensor.rank)},
                             {tensor.data, tensor.data + tensor.bytes}});
    }

    /// Precondition: it is there.
    Part& at(std::string_view name) {
        const auto found =
            std::find_if(parts.begin(), parts.end(), [&](const Part& part) { return part.name == name; });
        REQUIRE_MESSAGE(found != parts.end(), std::string(name));
        return *found;
    }
    void remove(std::string_view name) {
        Part& part = at(name);
        parts.erase(parts.begin() + (&part - parts.data()));
    }
    /// A number, in place of one of its type.
    template <class T>
    void set(std::string_view name, T value) {
        at(name).bytes = bytes_of(std::vector<T>{value});
    }
    void set(std::string_view name, std::string_view value) {
        at(name).bytes.clear();
        append_string(at(name).bytes, value);
    }
    /// An array, in place of one of its type; or a tensor of one row.
    template <class T>
    void set(std::string_view name, const std::vector<T>& values) {
        Part& part = at(name);
        part.count = values.size();
        part.bytes = bytes_of(values);
        if (part.is_tensor) part.dims = {values.size()};
    }
    void set(std::string_view name, const std::vector<std::string>& values) {
        Part& part = at(name);
        part.count = values.size();
        part.bytes.clear();
        for (const std::string& value : values) append_string(part.bytes, value);
    }

    Bytes build() const {
        GgufBuilder builder;
        for (const Part& part : parts) {
            if (part.name == "general.alignment")
                builder.alignment = ranklet::detail::load_unaligned<std::uint32_t>(part.bytes.data());
            if (part.is_tensor)
                builder.tensor(part.name, part.type, part.dims, part.bytes);
            else if (part.is_array)
                builder.raw_array(part.name, part.type, part.count, part.bytes);
            else
                builder.raw_key(part.name, part.type, part.bytes);
        }
        return builder.checksum().build();
    }

    std::vector<Part> parts;
};

}  // namespace ranklet_test
