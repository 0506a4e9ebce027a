// StateWriter, StateReader: a counter's state as one file, written whole or not at all, read with every place checked.
// In: numbers and texts, one after the other. Out: the same, or an Error that names the byte.
// Format: four letters, a version (u32), the values little-endian, and the CRC-32 of all of that at the end.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/io/atomic_file.hpp"
#include "ranklet/io/crc32.hpp"
#include "ranklet/io/mapped_file.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// What has been put goes to the disk piece by piece: no copy of the state is made.
class StateWriter {
public:
    RANKLET_COLD static Result<StateWriter> create(const std::string& path, std::string_view letters,
                                                   std::uint32_t version) {
        RANKLET_ASSIGN(AtomicFile file, AtomicFile::create(path));
        StateWriter writer(std::move(file));
        writer.pending_.reserve(piece + 4096);
        writer.put_bytes(letters);
        writer.put(version);
        return writer;
    }

    template <class T>
    void put(T value) {
        static_assert(std::is_arithmetic_v<T>);
        put_bytes({reinterpret_cast<const char*>(&value), sizeof value});
    }
    void text(std::string_view value) {
        put(static_cast<std::uint32_t>(value.size()));
        put_bytes(value);
    }
    /// To be called now and then: sends what is pending to the file once it is a piece. Error io.
    Result<void> flush() { return pending_.size() < piece ? Result<void>() : send(); }
    RANKLET_COLD Result<void> commit() {
        RANKLET_TRY(send());
        const std::uint32_t sum = sum_;
        put(sum);
        RANKLET_TRY(send());
        return file_.commit();
    }

private:
    static_assert(std::endian::native == std::endian::little, "states are stored little-endian");
    static constexpr std::size_t piece = std::size_t{1} << 16;
    explicit StateWriter(AtomicFile file) : file_(std::move(file)) {}
    void put_bytes(std::string_view bytes) {
        const auto* from = reinterpret_cast<const std::byte*>(bytes.data());
        pending_.insert(pending_.end(), from, from + bytes.size());
    }
    RANKLET_COLD Result<void> send() {
        sum_ = crc32(pending_, sum_);
        RANKLET_TRY(file_.write(pending_));
        pending_.clear();
        return {};
    }

    AtomicFile file_;
    std::vector<std::byte> pending_;
    std::uint32_t sum_ = 0;
};

/// Once anything was wrong every further value is zero or empty, and check() says what it was.
class StateReader {
public:
    /// Error format when the file is another's, truncated or changed; unsupported for a version of later.
    RANKLET_COLD static Result<StateReader> open(const std::string& path, std::string_view letters,
                                                 std::uint32_t version, const char* what) {
        RANKLET_ASSIGN(MappedFile map, MappedFile::open(path));
        const std::span<const std::byte> bytes = map.bytes();
        StateReader reader(std::move(map), path);
        std::uint32_t found = 0, sum = 0;
        if (bytes.size() < letters.size() + sizeof found + sizeof sum ||
            std::memcmp(bytes.data(), letters.data(), letters.size()) != 0)
            return make_error(ErrorCode::format, {path, ": no \"", letters, "\" mark: not ", what});
        std::memcpy(&found, bytes.data() + letters.size(), sizeof found);
        if (found != version)
            return make_error(ErrorCode::unsupported,
                              {path, ": ", what, " of version ", found, ", this program reads ", version});
        reader.bytes_ = bytes.first(bytes.size() - sizeof sum);
        std::memcpy(&sum, bytes.data() + reader.bytes_.size(), sizeof sum);
        if (const std::uint32_t is = crc32(reader.bytes_); is != sum)
            return make_error(ErrorCode::format,
                              {path, ": truncated or changed: the checksum is ", is, ", expected ", sum});
        reader.at_ = letters.size() + sizeof found;
        return reader;
    }

    template <class T>
    T get() noexcept {
        static_assert(std::is_arithmetic_v<T>);
        T value{};
        if (take(sizeof value)) std::memcpy(&value, bytes_.data() + at_ - sizeof value, sizeof value);
        return value;
    }
    std::string_view text() noexcept {
        const auto size = get<std::uint32_t>();
        if (!take(size)) return {};
        return {reinterpret_cast<const char*>(bytes_.data() + at_ - size), size};
    }
    /// A number of entries of at least so many bytes each: never more than the file has room for.
    std::size_t count(std::size_t smallest_entry) noexcept {
        const auto stated = get<std::uint64_t>();
        if (stated > (bytes_.size() - at_) / smallest_entry) {
            ended_ = true;
            return 0;
        }
        return static_cast<std::size_t>(stated);
    }

    bool ended() const noexcept { return ended_; }
    /// Error format at the place that was read last.
    RANKLET_OUT_OF_LINE SharedError wrong(std::initializer_list<ErrorPart> what) const {
        return make_error(ErrorCode::format, {path_, ": byte ", at_, ": "}, what);
    }
    /// Error format when values were asked for that the file does not have.
    Result<void> check() const {
        if (ended_) return wrong({"the state ends early"});
        return {};
    }
    /// The same, and when there is more than was asked for.
    Result<void> check_end() const {
        RANKLET_TRY(check());
        if (at_ != bytes_.size()) return wrong({bytes_.size() - at_, " bytes more than the state has"});
        return {};
    }

private:
    StateReader(MappedFile map, std::string path) : map_(std::move(map)), path_(std::move(path)) {}
    bool take(std::size_t size) noexcept {
        if (ended_ || bytes_.size() - at_ < size) {
            ended_ = true;
            return false;
        }
        at_ += size;
        return true;
    }

    MappedFile map_;
    std::string path_;
    std::span<const std::byte> bytes_{};
    std::size_t at_ = 0;
    bool ended_ = false;
};

}  // namespace detail
RANKLET_NAMESPACE_END
