// GgufFile: a model file's keys and tensors, read in place.
// In: a path, or bytes in memory. Out: typed values and tensor views.
// Format: GGUF version 3; the keys that ranklet gives a meaning to are listed in docs/model-file.md.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/tensor.hpp"
#include "ranklet/io/crc32.hpp"
#include "ranklet/io/gguf_index.hpp"
#include "ranklet/io/mapped_file.hpp"

RANKLET_NAMESPACE_BEGIN

/// Some rows of a file's tensor, under another name or its own.
struct TensorAlias {
    std::string name, of;
    std::size_t first = 0, rows = 0;  ///< 0 rows: all of them, in the tensor's own shape
};

/// Cheap to copy: copies share the map. All views that it gives out stay valid as long as any copy lives.
/// Safe to use from several threads. A default-constructed file has no keys and no tensors.
class GgufFile {
public:
    GgufFile() = default;

    /// Maps and checks a file. Errors name the file, the place and what was expected.
    static Result<GgufFile> open(const std::string& path) RANKLET_MEMORY_TRY {
        RANKLET_ASSIGN(detail::MappedFile map, detail::MappedFile::open(path));
        const std::span<const std::byte> bytes = map.bytes();
        RANKLET_ASSIGN(detail::GgufIndex index, detail::parse_gguf(bytes, path));
        return GgufFile(State{std::move(map), bytes, path, std::move(index)});
    }
    RANKLET_MEMORY_CATCH

    /// The same over bytes in memory, which are not copied: they must outlive the file. `name` is for error messages.
    static Result<GgufFile> from_memory(std::span<const std::byte> bytes, std::string name) RANKLET_MEMORY_TRY {
        RANKLET_ASSIGN(detail::GgufIndex index, detail::parse_gguf(bytes, name));
        return GgufFile(State{detail::MappedFile(), bytes, std::move(name), std::move(index)});
    }
    RANKLET_MEMORY_CATCH

    /// The file with the keys and tensors of `more`, a small file's bytes, and tensors under other names; they stand in place
    /// of what has the same name. Nothing is copied. Errors as from_memory's of `more`; format for an alias that its tensor does
    /// not hold.
    RANKLET_COLD Result<GgufFile> with(std::vector<std::byte> more, std::vector<TensorAlias> aliases) const
        RANKLET_MEMORY_TRY {
        State made;
        made.under = state_;
        made.own = std::move(more);
        made.aliases = std::move(aliases);
        made.bytes = state().bytes;
        made.name = state().name;
        RANKLET_ASSIGN(detail::GgufIndex added, detail::parse_gguf(made.own, made.name));
        made.index = state().index;
        for (const TensorAlias& alias : made.aliases) {
            const TensorView* found = state().index.find_tensor(alias.of);
            if (found == nullptr) return failure(ErrorCode::missing, "tensor", alias.of, {"it is not in the file"});
            if (alias.first > found->rows || alias.rows > found->rows - alias.first)
                return failure(ErrorCode::format, "tensor", alias.of,
                               {"has ", found->rows, " rows, expected ", alias.first + alias.rows});
            TensorView view = *found;
            view.name = alias.name;
            if (alias.rows > 0) {
                view.data += alias.first * view.row_bytes();
                view.bytes = alias.rows * view.row_bytes();
                view.rows = alias.rows;
                view.dims = {alias.rows, view.cols, 1, 1};
                view.rank = 2;
            }
            added.tensors.push_back(view);
        }
        made.added = added.keys.size();
        made.index.put(added);
        return GgufFile(std::move(made));
    }
    RANKLET_MEMORY_CATCH

    bool has(std::string_view key) const noexcept { return state().index.find_key(key) != nullptr; }
    bool has_tensor(std::string_view name) const noexcept { return state().index.find_tensor(name) != nullptr; }

    // Typed values. Error when the key is missing (`missing`), of another type, or does not fit (`format`).

    /// An integer of any of the file's types.
    Result<std::uint32_t> u32(std::string_view key) const { return scalar<std::uint32_t>(key); }
    /// From f32 or f64.
    Result<float> f32(std::string_view key) const { return scalar<float>(key); }
    Result<bool> boolean(std::string_view key) const RANKLET_MEMORY_TRY {
        RANKLET_ASSIGN(const GgufKey* found, find(key, "bool"));
        if (found->type != GgufType::boolean) return wrong_type(*found, "bool");
        return std::to_integer<unsigned>(*found->data) != 0;
    }
    RANKLET_MEMORY_CATCH
    /// A view into the file; any bytes, UTF-8 is not checked.
    Result<std::string_view> string(std::string_view key) const RANKLET_MEMORY_TRY {
        RANKLET_ASSIGN(const GgufKey* found, find(key, "string"));
        if (found->type != GgufType::string) return wrong_type(*found, "string");
        return std::string_view(reinterpret_cast<const char*>(found->data), found->bytes);
    }
    RANKLET_MEMORY_CATCH
    /// Views into the file.
    Result<std::vector<std::string_view>> strings(std::string_view key) const RANKLET_MEMORY_TRY {
        RANKLET_ASSIGN(const GgufKey* found, find(key, "array of string"));
        if (found->type != GgufType::array || found->element != GgufType::string)
            return wrong_type(*found, "array of string");
        std::vector<std::string_view> values;
        values.reserve(static_cast<std::size_t>(found->count));
        std::size_t at = 0;
        for (std::uint64_t i = 0; i < found->count; ++i) {
            // Checked again: another program may have written to the mapped file since it was opened.
            std::uint64_t length = found->bytes;
            if (found->bytes - at >= sizeof length) length = detail::load_unaligned<std::uint64_t>(found->data + at);
            if (found->bytes - at < sizeof length || length > found->bytes - at - sizeof length)
                return failure(ErrorCode::format, "key", key, {"the file changed while it was open"});
            at += sizeof length;
            values.emplace_back(reinterpret_cast<const char*>(found->data + at), static_cast<std::size_t>(length));
            at += static_cast<std::size_t>(length);
        }
        return values;
    }
    RANKLET_MEMORY_CATCH
    /// An array of f32 or f64.
    Result<std::vector<float>> floats(std::string_view key) const { return array<float>(key); }
    /// The same in full precision.
    Result<std::vector<double>> doubles(std::string_view key) const { return array<double>(key); }
    /// An array of any of the file's integer types.
    Result<std::vector<std::int32_t>> i32s(std::string_view key) const { return array<std::int32_t>(key); }
    /// An array of any of the file's integer types.
    Result<std::vector<std::uint32_t>> u32s(std::string_view key) const { return array<std::uint32_t>(key); }

    /// A tensor that dequantize_row reads. Error when it is missing, or stored in another type (`unsupported`).
    Result<TensorView> tensor(std::string_view name) const RANKLET_MEMORY_TRY {
        const TensorView* found = state().index.find_tensor(name);
        if (found == nullptr) return failure(ErrorCode::missing, "tensor", name, {"it is not in the file"});
        switch (found->type) {
            case TensorType::f32:
            case TensorType::f16:
            case TensorType::bf16:
            case TensorType::q4_0:
            case TensorType::q4_1:
            case TensorType::q5_0:
            case TensorType::q5_1:
            case TensorType::q8_0:
            case TensorType::q4_k:
            case TensorType::q5_k:
            case TensorType::q6_k:
                return *found;
            case TensorType::i8:
                return with_scales(*found);
            case TensorType::i32:
                break;
        }
        return failure(ErrorCode::unsupported, "tensor", name,
                       {"expected F32, F16, BF16, I8, Q8_0, Q4_0 to Q5_1 or Q4_K to Q6_K, found ", to_string(found->type)});
    }
    RANKLET_MEMORY_CATCH
    /// A tensor of whole numbers, TensorType::i32, which no weights are stored as. Error when it is missing, or stored in
    /// another type (`unsupported`).
    Result<TensorView> i32_tensor(std::string_view name) const RANKLET_MEMORY_TRY {
        const TensorView* found = state().index.find_tensor(name);
        if (found == nullptr) return failure(ErrorCode::missing, "tensor", name, {"it is not in the file"});
        if (found->type == TensorType::i32) return *found;
        return failure(ErrorCode::unsupported, "tensor", name, {"expected I32, found ", to_string(found->type)});
    }
    RANKLET_MEMORY_CATCH
    /// A tensor that dequantize_row reads, of this shape. A vector of n values is [1, n].
    Result<TensorView> tensor(std::string_view name, std::size_t rows, std::size_t cols) const RANKLET_MEMORY_TRY {
        RANKLET_ASSIGN(const TensorView found, tensor(name));
        if (found.rows == rows && found.cols == cols) return found;
        std::string shape;
        for (std::size_t d = 0; d < found.rank; ++d) shape += (d == 0 ? "" : ", ") + std::to_string(found.dims[d]);
        return failure(ErrorCode::format, "tensor", name,
                       {"expected the shape [", std::string(rows == 1 ? "" : std::to_string(rows) + ", "), cols,
                        "], found [", shape, "]"});
    }
    RANKLET_MEMORY_CATCH

    /// Takes a tensor of this file that is not needed in place any more out of the process's resident memory. It may
    /// be read again all the same. Does nothing to bytes of from_memory().
    void release_pages(const TensorView& tensor) const noexcept {
        const State* from = &state();
        while (from->under != nullptr) from = from->under.get();
        from->map.release_pages({tensor.data, tensor.bytes});
    }

    /// In the file's order, those of unknown types included (`bytes` 0).
    std::span<const TensorView> tensors() const noexcept { return state().index.tensors; }
    /// In the file's order.
    std::span<const GgufKey> keys() const noexcept { return state().index.keys; }

    /// Those that with() added last.
    std::span<const GgufKey> added_keys() const noexcept { return std::span(state().index.keys).last(state().added); }

    /// Compares the tensor data with `ranklet.checksum.crc32`. Reads the whole file.
    /// Error `missing` when there is no checksum, `format` when it differs.
    Result<void> verify_checksum() const {
        constexpr std::string_view key = "ranklet.checksum.crc32";
        RANKLET_ASSIGN(const std::uint32_t expected, u32(key));
        const std::uint32_t found = crc32(state().bytes.subspan(state().index.data_start));
        if (found == expected) return {};
        return failure(ErrorCode::format, "key", key,
                       {"the file is damaged: the tensor data's checksum is ", found, ", expected ", expected});
    }

    /// Compares everything before the tensor data with `ranklet.checksum.header_crc32`, a u32 whose own four bytes
    /// count as zero. Errors as verify_checksum().
    Result<void> verify_header_checksum() const {
        constexpr std::string_view key = "ranklet.checksum.header_crc32";
        RANKLET_ASSIGN(const std::uint32_t expected, u32(key));
        const GgufKey& stored = *state().index.find_key(key);
        if (stored.type != GgufType::u32) return wrong_type(stored, "u32");
        const auto header = state().bytes.first(state().index.data_start);
        const auto place = static_cast<std::size_t>(stored.data - header.data());
        constexpr std::byte zeros[sizeof expected] = {};
        const std::uint32_t found =
            crc32(header.subspan(place + sizeof expected), crc32(zeros, crc32(header.first(place))));
        if (found == expected) return {};
        return failure(ErrorCode::format, "key", key,
                       {"the file is damaged: the header's checksum is ", found, ", expected ", expected});
    }

    /// FNV-1a (64 bits) of everything before the tensor data: the same for two files with the same keys, shapes and
    /// checksum. Not proof against forgery.
    std::uint64_t fingerprint() const noexcept {
        std::uint64_t hash = 0xCBF29CE484222325u;
        const auto add = [&](std::span<const std::byte> bytes) {
            for (const std::byte byte : bytes)
                hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001B3u;
        };
        add(state().bytes.first(state().index.data_start));
        for (const State* each = &state(); each->under != nullptr; each = each->under.get()) add(each->own);
        return hash;
    }

    /// The path, or the name given to from_memory.
    const std::string& name() const noexcept { return state().name; }

private:
    struct State {
        detail::MappedFile map{};
        std::span<const std::byte> bytes{};
        std::string name{};
        detail::GgufIndex index{};
        // Of with(): what is under it, and what was added.
        std::shared_ptr<const State> under{};
        std::vector<std::byte> own{};
        std::vector<TensorAlias> aliases{};  // whose names the index looks at
        std::size_t added = 0;               // keys, the last of the index
    };
    explicit GgufFile(State state) : state_(std::make_shared<const State>(std::move(state))) {}

    const State& state() const noexcept {
        static const State none;
        return state_ != nullptr ? *state_ : none;
    }

    /// An i8 tensor NAME with its scales, NAME_scale [rows] in f32.
    Result<TensorView> with_scales(TensorView tensor) const RANKLET_MEMORY_TRY {
        const std::string name = std::string(tensor.name) + "_scale";
        const TensorView* scales = state().index.find_tensor(name);
        if (scales == nullptr)
            return failure(ErrorCode::missing, "tensor", name,
                           {"it is not in the file, expected the scales of an I8 tensor"});
        if (scales->type != TensorType::f32 || scales->rows != 1 || scales->cols != tensor.rows)
            return failure(ErrorCode::format, "tensor", name,
                           {"expected ", tensor.rows, " values in F32, one for each row"});
        tensor.scales = scales->data;
        return tensor;
    }
    RANKLET_MEMORY_CATCH

    RANKLET_OUT_OF_LINE detail::SharedError failure(ErrorCode code, const char* kind, std::string_view name,
                                                    std::initializer_list<ErrorPart> what) const {
        return make_error(code, {state().name, ": ", kind, " ", detail::quoted(name), ": "}, what);
    }
    RANKLET_OUT_OF_LINE detail::SharedError wrong_type(const GgufKey& key, const char* expected) const {
        const std::string found =
            key.type == GgufType::array ? std::string("array of ") + to_string(key.element) : to_string(key.type);
        return failure(ErrorCode::format, "key", key.name, {"expected ", expected, ", found ", found});
    }
    RANKLET_OUT_OF_LINE Result<const GgufKey*> find(std::string_view key, const char* expected) const {
        const GgufKey* found = state().index.find_key(key);
        if (found == nullptr)
            return failure(ErrorCode::missing, "key", key, {"it is not in the file, expected ", expected});
        return found;
    }

    enum class Conversion { done, wrong_type, does_not_fit };

    /// A stored integer of any type; what no 64 bits with a sign hold as the largest that they do. False for a type of
    /// another family.
    RANKLET_OUT_OF_LINE static bool load(GgufType type, const std::byte* at, std::int64_t& value) noexcept {
        switch (type) {
            case GgufType::u8:
                value = detail::load_unaligned<std::uint8_t>(at);
                return true;
            case GgufType::i8:
                value = detail::load_unaligned<std::int8_t>(at);
                return true;
            case GgufType::u16:
                value = detail::load_unaligned<std::uint16_t>(at);
                return true;
            case GgufType::i16:
                value = detail::load_unaligned<std::int16_t>(at);
                return true;
            case GgufType::u32:
                value = detail::load_unaligned<std::uint32_t>(at);
                return true;
            case GgufType::i32:
                value = detail::load_unaligned<std::int32_t>(at);
                return true;
            case GgufType::u64:
                value = static_cast<std::int64_t>(
                    std::min<std::uint64_t>(detail::load_unaligned<std::uint64_t>(at), INT64_MAX));
                return true;
            case GgufType::i64:
                value = detail::load_unaligned<std::int64_t>(at);
                return true;
            default:
                return false;
        }
    }
    /// A stored f32 or f64.
    RANKLET_OUT_OF_LINE static bool load(GgufType type, const std::byte* at, double& value) noexcept {
        if (type == GgufType::f32)
            value = static_cast<double>(detail::load_unaligned<float>(at));
        else if (type == GgufType::f64)
            value = detail::load_unaligned<double>(at);
        return type == GgufType::f32 || type == GgufType::f64;
    }

    /// A stored number of any type of the same family (integers, floating point) as a Target.
    template <class Target>
    static Conversion convert(GgufType type, const std::byte* at, Target& value) noexcept {
        constexpr bool is_real = std::is_floating_point_v<Target>;
        std::conditional_t<is_real, double, std::int64_t> stored{};
        if (!load(type, at, stored)) return Conversion::wrong_type;
        if constexpr (is_real) {
            if (std::isfinite(stored) && std::abs(stored) > double{std::numeric_limits<Target>::max()})
                return Conversion::does_not_fit;
        } else {
            if (!std::in_range<Target>(stored)) return Conversion::does_not_fit;
        }
        value = static_cast<Target>(stored);
        return Conversion::done;
    }

    template <class Target>
    static constexpr const char* target_name() noexcept {
        if constexpr (std::is_floating_point_v<Target>) return sizeof(Target) == 4 ? "f32" : "f64";
        return std::is_signed_v<Target> ? "i32" : "u32";
    }

    template <class Target>
    Result<Target> scalar(std::string_view key) const RANKLET_MEMORY_TRY {
        RANKLET_ASSIGN(const GgufKey* found, find(key, target_name<Target>()));
        Target value{};
        switch (convert(found->type, found->data, value)) {
            case Conversion::done:
                return value;
            case Conversion::does_not_fit:
                return failure(ErrorCode::format, "key", key, {"its value does not fit ", target_name<Target>()});
            case Conversion::wrong_type:
                break;
        }
        return wrong_type(*found, target_name<Target>());
    }
    RANKLET_MEMORY_CATCH

    RANKLET_OUT_OF_LINE Result<const GgufKey*> find_array(std::string_view key, const char* element) const {
        const std::string expected = std::string("array of ") + element;
        RANKLET_ASSIGN(const GgufKey* found, find(key, expected.c_str()));
        if (found->type != GgufType::array) return wrong_type(*found, expected.c_str());
        return found;
    }
    RANKLET_OUT_OF_LINE detail::SharedError wrong_element(const GgufKey& key, std::size_t i, Conversion conversion,
                                                          const char* expected) const {
        if (conversion == Conversion::wrong_type) return wrong_type(key, (std::string("array of ") + expected).c_str());
        return failure(ErrorCode::format, "key", key.name, {"element ", i, " does not fit ", expected});
    }

    template <class Target>
    Result<std::vector<Target>> array(std::string_view key) const RANKLET_MEMORY_TRY {
        RANKLET_ASSIGN(const GgufKey* found, find_array(key, target_name<Target>()));
        std::vector<Target> values(static_cast<std::size_t>(found->count));
        const std::size_t bytes = detail::size_of(found->element);
        for (std::size_t i = 0; i < values.size(); ++i)
            if (const auto done = convert(found->element, found->data + i * bytes, values[i]); done != Conversion::done)
                return wrong_element(*found, i, done, target_name<Target>());
        return values;
    }
    RANKLET_MEMORY_CATCH

    std::shared_ptr<const State> state_;
};

RANKLET_NAMESPACE_END
