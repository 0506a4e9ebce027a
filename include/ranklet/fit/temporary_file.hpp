// TemporaryFile, Column: numbers that do not fit into memory, in a file without a name.
// In: numbers, one after the other. Out: the same, as one span, from memory or from the mapped file. Nothing is left
// behind, whatever ends the process.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#define RANKLET_HAS_TEMPORARY_FILES 1
#else
#define RANKLET_HAS_TEMPORARY_FILES 0
#endif

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// Move-only; one made by default is no file.
class TemporaryFile {
public:
    TemporaryFile() = default;
    TemporaryFile(TemporaryFile&& other) noexcept
        : folder_(std::move(other.folder_)),
          file_(std::exchange(other.file_, -1)),
          size_(std::exchange(other.size_, 0)),
          map_(std::exchange(other.map_, nullptr)) {}
    TemporaryFile& operator=(TemporaryFile&& other) noexcept {
        std::swap(folder_, other.folder_);
        std::swap(file_, other.file_);
        std::swap(size_, other.size_);
        std::swap(map_, other.map_);
        return *this;
    }
    std::uint64_t size() const noexcept { return size_; }

#if RANKLET_HAS_TEMPORARY_FILES
    ~TemporaryFile() {
        if (map_ != nullptr) (void)::munmap(map_, static_cast<std::size_t>(size_));
        if (file_ >= 0) (void)::close(file_);
    }
    /// In `folder`, or where it is empty in $TMPDIR, or in /tmp. Error io.
    RANKLET_COLD static Result<TemporaryFile> create(const std::string& folder) {
        TemporaryFile made;
        made.folder_ = folder;
        const char* usual = ::getenv("TMPDIR");
        if (folder.empty()) made.folder_ = usual != nullptr && *usual != '\0' ? usual : "/tmp";
        std::string name = made.folder_ + "/ranklet-XXXXXX";
        made.file_ = ::mkstemp(name.data());
        if (made.file_ < 0) return made.failure("no temporary file can be made there");
        (void)::fcntl(made.file_, F_SETFD, FD_CLOEXEC);
        (void)::unlink(name.c_str());
        return made;
    }
    /// Error io: the disk is full, say.
    RANKLET_COLD Result<void> append(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const auto written = ::write(file_, bytes.data(), std::min<std::size_t>(bytes.size(), 1u << 30));
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) return failure("a temporary file there cannot be written");
            size_ += static_cast<std::uint64_t>(written);
            bytes = bytes.subspan(static_cast<std::size_t>(written));
        }
        return {};
    }
    RANKLET_COLD Result<void> read_at(std::uint64_t place, std::span<std::byte> bytes) const {
        while (!bytes.empty()) {
            const auto read =
                ::pread(file_, bytes.data(), std::min<std::size_t>(bytes.size(), 1u << 30), static_cast<off_t>(place));
            if (read < 0 && errno == EINTR) continue;
            if (read <= 0) return failure("a temporary file there cannot be read");
            place += static_cast<std::uint64_t>(read);
            bytes = bytes.subspan(static_cast<std::size_t>(read));
        }
        return {};
    }
    /// All bytes, as long as this file, or the one it is moved to, lives. Precondition: nothing is appended after.
    RANKLET_COLD Result<std::span<const std::byte>> map() {
        if (size_ == 0) return std::span<const std::byte>();
        if (map_ == nullptr) {
            void* const data = ::mmap(nullptr, static_cast<std::size_t>(size_), PROT_READ, MAP_SHARED, file_, 0);
            if (data == MAP_FAILED) return failure("a temporary file there cannot be mapped");
            map_ = data;
        }
        return std::span<const std::byte>(static_cast<const std::byte*>(map_), static_cast<std::size_t>(size_));
    }
#else
    RANKLET_COLD static Result<TemporaryFile> create(const std::string&) {
        return make_error(ErrorCode::unsupported, {"more events than memory_bytes allows: on this system they are not "
                                                   "sorted on the disk"});
    }
    RANKLET_COLD Result<void> append(std::span<const std::byte>) { return {}; }
    RANKLET_COLD Result<void> read_at(std::uint64_t, std::span<std::byte>) const { return {}; }
    RANKLET_COLD Result<std::span<const std::byte>> map() { return std::span<const std::byte>(); }
#endif

private:
    detail::SharedError failure(const char* what) const {
        const int number = errno;
        return make_error(ErrorCode::io, {folder_, ": ", what, " (", std::generic_category().message(number), ")"});
    }

    std::string folder_;
    int file_ = -1;
    std::uint64_t size_ = 0;
    void* map_ = nullptr;
};

/// Numbers in memory, or once use_file was called in a file.
template <class T>
class Column {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    void reserve(std::size_t count) { numbers_.reserve(count); }
    Result<void> use_file(const std::string& folder) {
        RANKLET_ASSIGN(file_, TemporaryFile::create(folder));
        in_file_ = true;
        numbers_.reserve(pending);
        return {};
    }
    Result<void> push(T number) {
        numbers_.push_back(number);
        return in_file_ && numbers_.size() == pending ? flush() : Result<void>();
    }
    /// All of them. Precondition: nothing is pushed after.
    Result<std::span<const T>> view() {
        if (!in_file_) return std::span<const T>(numbers_);
        RANKLET_TRY(flush());
        RANKLET_ASSIGN(const std::span<const std::byte> bytes, file_.map());
        return std::span<const T>(reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T));
    }

private:
    static constexpr std::size_t pending = 8192;
    Result<void> flush() {
        RANKLET_TRY(file_.append(std::as_bytes(std::span<const T>(numbers_))));
        numbers_.clear();
        return {};
    }

    std::vector<T> numbers_;
    TemporaryFile file_;
    bool in_file_ = false;
};

}  // namespace detail
RANKLET_NAMESPACE_END
