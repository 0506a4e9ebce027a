// GgufIndex: what a GGUF file contains and where, every count, length and offset checked.
// In: the file's bytes. Out: its keys and tensors as views into those bytes.
// Format: GGUF version 3, little-endian (GGUF specification of the ggml project; this project's docs/model-file.md).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/sort.hpp"
#include "ranklet/core/tensor.hpp"
#include "ranklet/core/tensor_blocks.hpp"

static_assert(std::endian::native == std::endian::little,
              "ranklet reads little-endian model files in place; big-endian machines are not supported");

RANKLET_NAMESPACE_BEGIN

/// Types of a key's value; the numbers are those of the file.
enum class GgufType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

/// The type's name, for example "u32".
constexpr const char* to_string(GgufType type) noexcept {
    constexpr const char* names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                     "bool", "string", "array", "u64", "i64", "f64"};
    return type <= GgufType::f64 ? names[static_cast<std::uint32_t>(type)] : "unknown";
}

namespace detail {

/// Bytes of a value; 0 for strings, arrays and unknown types, whose size their content says.
constexpr std::size_t size_of(GgufType type) noexcept {
    constexpr std::size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type <= GgufType::f64 ? sizes[static_cast<std::uint32_t>(type)] : 0;
}

}  // namespace detail

/// A key and where its value lies. Views into the file.
struct GgufKey {
    std::string_view name;
    GgufType type = GgufType::u8;     ///< an array's is `array`
    GgufType element = GgufType::u8;  ///< of an array: its elements'; otherwise the same as `type`
    std::uint64_t count = 1;          ///< of an array: its elements; otherwise 1
    const std::byte* data = nullptr;  ///< the value: a string's characters, an array's first element; not aligned
    std::size_t bytes = 0;
};

namespace detail {

/// Keys and tensors in the file's order, with the orders by name for finding them.
struct GgufIndex {
    std::vector<GgufKey> keys;
    std::vector<TensorView> tensors;
    std::vector<std::size_t> keys_by_name;
    std::vector<std::size_t> tensors_by_name;
    std::size_t data_start = 0;  ///< where the tensor data begins; at most the file's size

    const GgufKey* find_key(std::string_view name) const noexcept { return find(keys, keys_by_name, name); }
    const TensorView* find_tensor(std::string_view name) const noexcept { return find(tensors, tensors_by_name, name); }
    /// The entries of another index, each of a name of its own, in place of those of the same names.
    RANKLET_COLD void put(const GgufIndex& other) {
        put_all(keys, other.keys);
        put_all(tensors, other.tensors);
        const auto by_name = [](const auto& entries) {
            return sorted_indices(entries.size(),
                                  [&](std::size_t a, std::size_t b) { return entries[a].name < entries[b].name; });
        };
        keys_by_name = by_name(keys);
        tensors_by_name = by_name(tensors);
    }

private:
    template <class Entry>
    static void put_all(std::vector<Entry>& entries, const std::vector<Entry>& more) {
        std::vector<std::string_view> names;
        for (const Entry& entry : more) names.push_back(entry.name);
        std::sort(names.begin(), names.end());
        std::erase_if(entries, [&](const Entry& entry) {
            return std::binary_search(names.begin(), names.end(), entry.name);
        });
        entries.insert(entries.end(), more.begin(), more.end());
    }
    template <class Entry>
    static const Entry* find(const std::vector<Entry>& entries, const std::vector<std::size_t>& order,
                             std::string_view name) noexcept {
        const auto place = std::lower_bound(order.begin(), order.end(), name,
                                            [&](std::size_t i, std::string_view n) { return entries[i].name < n; });
        return place != order.end() && entries[*place].name == name ? &entries[*place] : nullptr;
    }
};

/// A number at any address.
template <class T>
T load_unaligned(const std::byte* at) noexcept {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

/// A name from a file for an error message: in quotes, unprintable bytes as '?', long ones cut.
inline std::string quoted(std::string_view name) {
    constexpr std::size_t longest = 100;
    std::string text = "\"";
    for (const char c : name.substr(0, longest)) text += c >= ' ' && c <= '~' ? c : '?';
    return text + (name.size() > longest ? "...\"" : "\"");
}

/// Reads a header from front to back. Every step either stays inside the bytes or ends with an Error.
class GgufParser {
public:
    GgufParser(std::span<const std::byte> bytes, std::string_view file) : bytes_(bytes), file_(file) {}

    Result<GgufIndex> parse() {
        RANKLET_TRY(read_magic_and_version());
        RANKLET_ASSIGN(const auto tensor_count, number<std::uint64_t>("the number of tensors"));
        RANKLET_ASSIGN(const auto key_count, number<std::uint64_t>("the number of keys"));
        RANKLET_TRY(check_count(tensor_count, smallest_tensor, "tensors"));
        RANKLET_TRY(check_count(key_count, smallest_key, "keys"));
        for (std::uint64_t i = 0; i < key_count; ++i) {
            place_ = {"key", {}, i};
            RANKLET_TRY(read_key());
        }
        for (std::uint64_t i = 0; i < tensor_count; ++i) {
            place_ = {"tensor", {}, i};
            RANKLET_TRY(read_tensor());
        }
        place_ = {};
        RANKLET_TRY(sort_by_name(index_.keys, index_.keys_by_name, "key"));
        RANKLET_TRY(sort_by_name(index_.tensors, index_.tensors_by_name, "tensor"));
        RANKLET_TRY(locate_data());
        return std::move(index_);
    }

private:
    // The specification's limits, and the fewest bytes an entry can take (a name of one byte, a value of one).
    static constexpr std::size_t longest_key = 65535, longest_tensor_name = 64, most_dims = 4;
    static constexpr std::size_t smallest_key = 8 + 1 + 4 + 1, smallest_tensor = 8 + 1 + 4 + 8 + 4 + 8;
    static constexpr std::uint64_t most_elements = PTRDIFF_MAX / 8;  // so that no size in bytes overflows
    static constexpr std::uint32_t smallest_alignment = 8, largest_alignment = 1u << 21;

    /// What is being read, for messages.
    struct Place {
        const char* kind = nullptr;
        std::string_view name{};
        std::uint64_t number = 0;
    };

    RANKLET_OUT_OF_LINE detail::SharedError error(std::initializer_list<ErrorPart> what,
                                                  ErrorCode code = ErrorCode::format) const {
        if (place_.kind == nullptr) return make_error(code, {file_, ": "}, what);
        if (place_.name.empty())
            return make_error(code, {file_, ": ", place_.kind, " number ", place_.number, ": "}, what);
        return make_error(code, {file_, ": ", place_.kind, " ", quoted(place_.name), ": "}, what);
    }
    std::size_t rest() const noexcept { return bytes_.size() - at_; }
    const std::byte* here() const noexcept { return bytes_.data() + at_; }

    RANKLET_OUT_OF_LINE detail::SharedError ends_early(std::initializer_list<ErrorPart> what) const {
        return error({"expected ", (*make_error(ErrorCode::format, what)).message, " at byte ", at_,
                      ", but the file ends at byte ", bytes_.size()});
    }

    template <class T>
    Result<T> number(const char* what) {
        if (rest() < sizeof(T)) return ends_early({what});
        const T value = load_unaligned<T>(here());
        at_ += sizeof(T);
        return value;
    }

    Result<std::string_view> string(const char* what, std::size_t longest) {
        const std::size_t start = at_;
        RANKLET_ASSIGN(const auto length, number<std::uint64_t>(what));
        if (length > longest)
            return error({what, " at byte ", start, " has ", length, " bytes, expected at most ", longest});
        if (length > rest()) return ends_early({what, " of ", length, " bytes"});
        const std::string_view text(reinterpret_cast<const char*>(here()), static_cast<std::size_t>(length));
        at_ += text.size();
        return text;
    }

    Result<std::string_view> entry_name(const char* what, std::size_t longest) {
        const std::size_t start = at_;
        RANKLET_ASSIGN(const auto name, string(what, longest));
        if (name.empty()) return error({what, " at byte ", start, " is empty"});
        place_.name = name;
        return name;
    }

    Result<void> check_count(std::uint64_t count, std::size_t smallest, const char* what) const {
        if (count <= rest() / smallest) return {};
        return error({"the header states ", count, " ", what, ", but only ", rest(), " bytes follow"});
    }

    Result<void> read_magic_and_version() {
        if (bytes_.empty()) return error({"the file is empty, expected a GGUF file"});
        if (bytes_.size() < 4 || std::memcmp(bytes_.data(), "GGUF", 4) != 0)
            return error({"not a GGUF file: it does not start with \"GGUF\""});
        at_ = 4;
        RANKLET_ASSIGN(const auto version, number<std::uint32_t>("the GGUF version"));
        if (version == 3) return {};
        if (version != 0 && (version & 0xFFFFu) == 0)
            return error({"a big-endian GGUF file, expected a little-endian one"}, ErrorCode::unsupported);
        return error({"GGUF version ", version, ", expected 3"}, ErrorCode::unsupported);
    }

    Result<GgufType> value_type(const char* what) {
        const std::size_t start = at_;
        RANKLET_ASSIGN(const auto value, number<std::uint32_t>(what));
        if (value > static_cast<std::uint32_t>(GgufType::f64))
            return error({what, " at byte ", start, " is ", value, ", expected 0 to 12"});
        return static_cast<GgufType>(value);
    }

    Result<void> read_key() {
        GgufKey key;
        RANKLET_ASSIGN(key.name, entry_name("a key", longest_key));
        RANKLET_ASSIGN(key.type, value_type("the value's type"));
        key.element = key.type;
        if (key.type == GgufType::string) {
            RANKLET_ASSIGN(const auto text, string("a string", std::numeric_limits<std::size_t>::max()));
            key.data = reinterpret_cast<const std::byte*>(text.data());
            key.bytes = text.size();
        } else if (key.type == GgufType::array) {
            RANKLET_TRY(read_array(key));
        } else {
            key.data = here();
            key.bytes = size_of(key.type);
            if (rest() < key.bytes) return ends_early({"a ", to_string(key.type)});
            if (key.type == GgufType::boolean && std::to_integer<unsigned>(*key.data) > 1)
                return error(
                    {"the bool at byte ", at_, " is ", std::to_integer<unsigned>(*key.data), ", expected 0 or 1"});
            at_ += key.bytes;
        }
        index_.keys.push_back(key);
        return {};
    }

    Result<void> read_array(GgufKey& key) {
        RANKLET_ASSIGN(key.element, value_type("the elements' type"));
        RANKLET_ASSIGN(key.count, number<std::uint64_t>("the number of elements"));
        if (key.element == GgufType::array) return error({"arrays of arrays are not read"}, ErrorCode::unsupported);
        const bool strings = key.element == GgufType::string;
        if (key.count > rest() / (strings ? sizeof(std::uint64_t) : size_of(key.element)))
            return ends_early({key.count, " elements of type ", to_string(key.element)});
        key.data = here();
        if (strings) {
            for (std::uint64_t i = 0; i < key.count; ++i) {
                const std::size_t start = at_;
                if (rest() < sizeof(std::uint64_t)) return ends_early({"string ", i, " of the array"});
                const auto length = load_unaligned<std::uint64_t>(here());
                at_ += sizeof length;
                if (length > rest()) {
                    at_ = start;
                    return ends_early({"string ", i, " of the array, of ", length, " bytes,"});
                }
                at_ += static_cast<std::size_t>(length);
            }
        } else {
            at_ += static_cast<std::size_t>(key.count) * size_of(key.element);
        }
        key.bytes = static_cast<std::size_t>(here() - key.data);
        return {};
    }

    Result<void> read_tensor() {
        TensorView tensor;
        RANKLET_ASSIGN(tensor.name, entry_name("a tensor's name", longest_tensor_name));
        RANKLET_ASSIGN(const auto rank, number<std::uint32_t>("the number of dimensions"));
        if (rank == 0 || rank > most_dims) return error({rank, " dimensions, expected 1 to ", most_dims});
        tensor.rank = rank;
        tensor.dims.fill(1);
        std::uint64_t elements = 1;
        for (std::size_t d = tensor.rank; d-- > 0;) {  // the file has the innermost dimension first
            RANKLET_ASSIGN(tensor.dims[d], number<std::uint64_t>("a dimension"));
            if (tensor.dims[d] == 0) return error({"dimension ", d, " is 0"});
            if (tensor.dims[d] > most_elements / elements) return error({"its dimensions' product is too large"});
            elements *= tensor.dims[d];
        }
        tensor.cols = static_cast<std::size_t>(tensor.dims[tensor.rank - 1]);
        tensor.rows = static_cast<std::size_t>(elements) / tensor.cols;
        RANKLET_ASSIGN(const auto type, number<std::uint32_t>("the tensor's type"));
        tensor.type = static_cast<TensorType>(type);
        const BlockSize block = block_size(tensor.type);
        if (tensor.cols % block.columns != 0)
            return error({to_string(tensor.type), " rows of ", tensor.cols, " columns, expected a multiple of ",
                          block.columns});
        tensor.bytes = static_cast<std::size_t>(elements) / block.columns * block.bytes;
        RANKLET_ASSIGN(const auto offset, number<std::uint64_t>("the tensor's offset"));
        index_.tensors.push_back(tensor);
        offsets_.push_back(offset);
        return {};
    }

    template <class Entry>
    Result<void> sort_by_name(const std::vector<Entry>& entries, std::vector<std::size_t>& order,
                              const char* kind) const {
        order = sorted_indices(entries.size(),
                               [&](std::size_t a, std::size_t b) { return entries[a].name < entries[b].name; });
        for (std::size_t i = 1; i < order.size(); ++i)
            if (entries[order[i]].name == entries[order[i - 1]].name)
                return error({kind, " ", quoted(entries[order[i]].name), " is there twice"});
        return {};
    }

    Result<std::size_t> alignment_of_data() const {
        const GgufKey* key = index_.find_key("general.alignment");
        if (key == nullptr) return std::size_t{32};
        if (key->type != GgufType::u32)
            return error({"key \"general.alignment\": expected u32, found ", to_string(key->type)});
        const auto value = load_unaligned<std::uint32_t>(key->data);
        if (!std::has_single_bit(value) || value < smallest_alignment || value > largest_alignment)
            return error({"key \"general.alignment\": ", value, ", expected a power of two from ", smallest_alignment,
                          " to ", largest_alignment});
        return std::size_t{value};
    }

    /// Tensor data lies between the aligned end of the header and the end of the file, each tensor for itself.
    Result<void> locate_data() {
        RANKLET_ASSIGN(const std::size_t data_alignment, alignment_of_data());
        const std::size_t padding = (data_alignment - at_ % data_alignment) % data_alignment;
        if (padding > rest() && !index_.tensors.empty())
            return ends_early({padding, " bytes of padding before the tensor data"});
        index_.data_start = at_ + std::min(padding, rest());
        const std::uint64_t available = bytes_.size() - index_.data_start;
        for (std::size_t i = 0; i < index_.tensors.size(); ++i) {
            TensorView& tensor = index_.tensors[i];
            place_ = {"tensor", tensor.name, i};
            if (offsets_[i] % data_alignment != 0)
                return error({"its offset ", offsets_[i], " is not a multiple of the alignment ", data_alignment});
            if (offsets_[i] >= available || tensor.bytes > available - offsets_[i])
                return error({"its ", tensor.bytes, " bytes at offset ", offsets_[i], " of the tensor data (byte ",
                              index_.data_start, " of the file) reach over the file's end at byte ", bytes_.size()});
            tensor.data = bytes_.data() + index_.data_start + static_cast<std::size_t>(offsets_[i]);
        }
        const auto order = sorted_indices(index_.tensors.size(),
                                          [&](std::size_t a, std::size_t b) { return offsets_[a] < offsets_[b]; });
        for (std::size_t i = 1; i < order.size(); ++i) {
            const TensorView &before = index_.tensors[order[i - 1]], &tensor = index_.tensors[order[i]];
            place_ = {"tensor", tensor.name, order[i]};
            if (offsets_[order[i]] - offsets_[order[i - 1]] < std::max<std::size_t>(before.bytes, 1))
                return error(
                    {"its data at offset ", offsets_[order[i]], " overlaps that of tensor ", quoted(before.name)});
        }
        return {};
    }

    std::span<const std::byte> bytes_;
    std::string_view file_;
    std::size_t at_ = 0;
    Place place_{};
    GgufIndex index_{};
    std::vector<std::uint64_t> offsets_{};
};

/// Reads a GGUF file's header. The index's views are valid as long as `bytes`; `file` is named in errors only.
/// Error (format or unsupported) names the file, the byte, key or tensor, and what was expected. Allocates no more than
/// a few times the header's size, whatever counts the file states. Not checked: that strings are UTF-8, that padding is
/// zero, and that the padding after the last tensor is there.
inline Result<GgufIndex> parse_gguf(std::span<const std::byte> bytes, std::string_view file) {
    return GgufParser(bytes, file).parse();
}

}  // namespace detail

RANKLET_NAMESPACE_END
