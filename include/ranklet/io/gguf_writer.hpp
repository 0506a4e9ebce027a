// GgufWriter: keys, and tensors of f32 or i32, to a file, whole or not at all.
// In: typed values, and views of numbers that live until write(). Out: a GGUF file with checksums of its header and its
// tensor data (`ranklet.checksum.header_crc32`, `ranklet.checksum.crc32`).
// Format: GGUF version 3, little-endian, aligned to 64 bytes, as GgufFile reads it.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/function_view.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/tensor.hpp"
#include "ranklet/io/atomic_file.hpp"
#include "ranklet/io/crc32.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/io/gguf_index.hpp"

RANKLET_NAMESPACE_BEGIN

class GgufWriter {
public:
    // Keys. Each name may be given once; the two checksums and general.alignment are the writer's own.
    void key(std::string_view name, std::uint32_t value) {
        begin_key(name, GgufType::u32);
        put(value);
    }
    void key_f32(std::string_view name, float value) {
        begin_key(name, GgufType::f32);
        put(value);
    }
    void key_bool(std::string_view name, bool value) {
        begin_key(name, GgufType::boolean);
        put(static_cast<std::uint8_t>(value));
    }
    void key(std::string_view name, std::string_view value) {
        begin_key(name, GgufType::string);
        put_string(value);
    }
    void array(std::string_view name, std::span<const std::uint32_t> values) { numbers(name, GgufType::u32, values); }
    void array(std::string_view name, std::span<const std::int32_t> values) { numbers(name, GgufType::i32, values); }
    void array(std::string_view name, std::span<const float> values) { numbers(name, GgufType::f32, values); }
    void array(std::string_view name, std::span<const double> values) { numbers(name, GgufType::f64, values); }
    void array(std::string_view name, std::span<const std::string> values) {
        begin_array(name, GgufType::string, values.size());
        for (const std::string& value : values) put_string(value);
    }

    /// Row-major [rows, cols], both above 0. The numbers must live until write() or bytes() is done.
    void tensor(std::string_view name, std::size_t rows, std::size_t cols, std::span<const float> values) {
        tensors_.push_back({std::string(name), TensorType::f32, {rows, cols}, std::as_bytes(values), sizeof(float)});
    }
    void tensor(std::string_view name, std::size_t rows, std::size_t cols, std::span<const std::int32_t> values) {
        tensors_.push_back(
            {std::string(name), TensorType::i32, {rows, cols}, std::as_bytes(values), sizeof(std::int32_t)});
    }

    /// All keys and tensors of a file that is open, as they are, but for those that `leave_out(name)` says. The file's bytes
    /// must live until write() or bytes() is done. Error unsupported naming a tensor of a type that this program does not
    /// know the size of.
    RANKLET_COLD Result<void> copy(const GgufFile& file,
                                   FunctionView<bool(std::string_view)> leave_out) RANKLET_MEMORY_TRY {
        for (const GgufKey& key : file.keys()) {
            if (leave_out(key.name) || key.name == "general.alignment" || key.name.starts_with("ranklet.checksum."))
                continue;
            begin_key(key.name, key.type);
            if (key.type == GgufType::array) {
                put(static_cast<std::uint32_t>(key.element));
                put(key.count);
            } else if (key.type == GgufType::string) {
                put(std::uint64_t{key.bytes});
            }
            put_raw(key.data, key.bytes);
        }
        for (const TensorView& tensor : file.tensors()) {
            if (leave_out(tensor.name)) continue;
            if (tensor.bytes == 0)
                return make_error(ErrorCode::unsupported, {file.name(), ": tensor \"", tensor.name, "\" is of type ",
                                                           to_string(tensor.type), ", which is not copied"});
            const auto dims = std::span(tensor.dims).first(tensor.rank);
            tensors_.push_back(
                {std::string(tensor.name), tensor.type, {dims.begin(), dims.end()}, {tensor.data, tensor.bytes}, 0});
        }
        return {};
    }
    RANKLET_MEMORY_CATCH

    /// Writes the file, whole or not at all. A symbolic link at the path is replaced, not followed.
    /// Error io when that fails, invalid_argument naming a tensor that is not of its stated shape.
    RANKLET_COLD Result<void> write(const std::string& path) const RANKLET_MEMORY_TRY {
        RANKLET_ASSIGN(detail::AtomicFile file, detail::AtomicFile::create(path));
        RANKLET_TRY(emit([&](std::span<const std::byte> bytes) { return file.write(bytes); }));
        return file.commit();
    }
    RANKLET_MEMORY_CATCH
    /// The same into memory.
    RANKLET_COLD Result<std::vector<std::byte>> bytes() const RANKLET_MEMORY_TRY {
        std::vector<std::byte> result;
        RANKLET_TRY(emit([&](std::span<const std::byte> bytes) -> Result<void> {
            result.insert(result.end(), bytes.begin(), bytes.end());
            return {};
        }));
        return result;
    }
    RANKLET_MEMORY_CATCH

private:
    static constexpr std::uint32_t file_alignment = 64;
    struct Tensor {
        std::string name;
        TensorType type;
        std::vector<std::uint64_t> dims;  // the outermost first
        std::span<const std::byte> data;
        std::size_t number_size;  // 0: of a file, whose sizes were checked
    };
    static bool fits(const Tensor& tensor) noexcept {
        std::size_t left = tensor.data.size();
        for (const std::uint64_t dim : tensor.dims) {
            if (dim == 0 || left % dim != 0) return false;
            left /= static_cast<std::size_t>(dim);
        }
        return left == tensor.number_size;
    }

    static std::size_t padding(std::size_t size) noexcept {
        return (file_alignment - size % file_alignment) % file_alignment;
    }

    template <class Sink>
    Result<void> emit(const Sink& sink) const {
        const std::vector<std::byte> zeros(file_alignment);
        const std::span<const std::byte> zero(zeros);
        std::uint32_t sum = 0;
        for (const Tensor& tensor : tensors_) {
            if (tensor.number_size != 0 && !fits(tensor))
                return make_error(ErrorCode::invalid_argument,
                                  {"tensor \"", tensor.name, "\" has ", tensor.data.size() / tensor.number_size,
                                   " numbers for ", tensor.dims[0], " x ", tensor.dims[1]});
            sum = crc32(zero.first(padding(tensor.data.size())), crc32(tensor.data, sum));
        }
        GgufWriter head;
        head.put_raw("GGUF", 4);
        head.put(std::uint32_t{3});
        head.put(std::uint64_t{tensors_.size()});
        head.put(std::uint64_t{key_count_ + 3});
        head.bytes_.insert(head.bytes_.end(), bytes_.begin(), bytes_.end());
        head.key("general.alignment", file_alignment);
        head.key("ranklet.checksum.crc32", sum);
        head.key("ranklet.checksum.header_crc32", std::uint32_t{0});
        const std::size_t place = head.bytes_.size() - sizeof(std::uint32_t);
        std::uint64_t offset = 0;
        for (const Tensor& tensor : tensors_) {
            head.put_string(tensor.name);
            head.put(static_cast<std::uint32_t>(tensor.dims.size()));
            for (std::size_t d = tensor.dims.size(); d-- > 0;) head.put(tensor.dims[d]);  // innermost first
            head.put(static_cast<std::uint32_t>(tensor.type));
            head.put(offset);
            offset += tensor.data.size() + padding(tensor.data.size());
        }
        head.bytes_.resize(head.bytes_.size() + padding(head.bytes_.size()));
        const std::uint32_t header_sum = crc32(head.bytes_);  // its own bytes are zero
        std::memcpy(head.bytes_.data() + place, &header_sum, sizeof header_sum);
        RANKLET_TRY(sink(std::span<const std::byte>(head.bytes_)));
        for (const Tensor& tensor : tensors_) {
            RANKLET_TRY(sink(tensor.data));
            RANKLET_TRY(sink(zero.first(padding(tensor.data.size()))));
        }
        return {};
    }

    void put_raw(const void* data, std::size_t size) {
        const auto* from = static_cast<const std::byte*>(data);
        bytes_.insert(bytes_.end(), from, from + size);
    }
    template <class T>
    void put(T value) {
        static_assert(std::is_arithmetic_v<T>);
        put_raw(&value, sizeof value);
    }
    void put_string(std::string_view text) {
        put(std::uint64_t{text.size()});
        put_raw(text.data(), text.size());
    }
    void begin_key(std::string_view name, GgufType type) {
        ++key_count_;
        put_string(name);
        put(static_cast<std::uint32_t>(type));
    }
    void begin_array(std::string_view name, GgufType element, std::size_t count) {
        begin_key(name, GgufType::array);
        put(static_cast<std::uint32_t>(element));
        put(std::uint64_t{count});
    }
    template <class T>
    void numbers(std::string_view name, GgufType element, std::span<const T> values) {
        begin_array(name, element, values.size());
        put_raw(values.data(), values.size_bytes());
    }

    std::vector<std::byte> bytes_;  // the keys
    std::uint64_t key_count_ = 0;
    std::vector<Tensor> tensors_;
};

RANKLET_NAMESPACE_END
