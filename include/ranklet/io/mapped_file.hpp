// MappedFile: a file's bytes, read-only.
// In: a path. Out: a span over the whole file. Processes that map the same file share its pages.
// POSIX mmap; where it is missing, or RANKLET_NO_MMAP is defined, the file is read into memory instead.
#pragma once

#include <cerrno>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"

#if !defined(RANKLET_NO_MMAP) && (defined(__unix__) || defined(__APPLE__))
#define RANKLET_HAS_MMAP 1
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#else
#define RANKLET_HAS_MMAP 0
#include <cstdio>
#include <filesystem>

#include "ranklet/core/buffer.hpp"
#endif

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// Owns the map; bytes() are valid as long as this object, or the one it was moved to, lives.
/// RANKLET_NO_MMAP must be the same in all translation units of a program.
/// A mapped file must not be shortened while in use: replace files by writing a new one and renaming it.
class MappedFile {
public:
    MappedFile() = default;
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

    /// Takes the pages that lie wholly in `part` out of this process's resident memory. They stay in the system's cache
    /// of the file and come back when they are read again. For what is needed only once; does nothing to other memory.
    void release_pages(std::span<const std::byte> part) const noexcept {
#if RANKLET_HAS_MMAP && defined(MADV_DONTNEED)
        const auto map = reinterpret_cast<std::uintptr_t>(data_), from = reinterpret_cast<std::uintptr_t>(part.data());
        if (data_ == nullptr || from < map || part.size() > size_ || from - map > size_ - part.size()) return;
        const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
        const std::uintptr_t first = (from + page - 1) / page * page, last = (from + part.size()) / page * page;
        if (first < last) (void)::madvise(const_cast<std::byte*>(data_) + (first - map), last - first, MADV_DONTNEED);
#else
        (void)part;
#endif
    }

#if RANKLET_HAS_MMAP
    MappedFile(MappedFile&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    MappedFile& operator=(MappedFile&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~MappedFile() {
        if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
    }

    /// Error when `path` is missing, unreadable, or not a regular file. An empty file gives no bytes.
    static Result<MappedFile> open(const std::string& path) {
        RANKLET_TRY(check_path(path));
        // O_NONBLOCK: opening a pipe must not wait for its other end, it is refused below.
        const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
        if (file.number < 0) return failure(path, "cannot be opened", errno);
        struct stat status{};
        if (::fstat(file.number, &status) != 0) return failure(path, "has no readable status", errno);
        if (S_ISDIR(status.st_mode)) return not_regular(path, "a directory");
        if (!S_ISREG(status.st_mode)) return not_regular(path, "a pipe or device");
        MappedFile map;
        const auto size = static_cast<std::uintmax_t>(status.st_size);
        if (size == 0) return map;
        if (size > PTRDIFF_MAX) return make_error(ErrorCode::out_of_memory, {path, ": too large to map"});
        void* data = ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ, MAP_PRIVATE, file.number, 0);
        if (data == MAP_FAILED) return failure(path, "cannot be mapped", errno);
        map.data_ = static_cast<const std::byte*>(data);
        map.size_ = static_cast<std::size_t>(size);
        return map;
    }
#else
    MappedFile(MappedFile&& other) noexcept
        : buffer_(std::move(other.buffer_)),
          data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)) {}
    MappedFile& operator=(MappedFile&& other) noexcept {
        buffer_ = std::move(other.buffer_);
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
        return *this;
    }

    /// Error when `path` is missing, unreadable, or not a regular file. An empty file gives no bytes.
    static Result<MappedFile> open(const std::string& path) {
        RANKLET_TRY(check_path(path));
        std::error_code error;
        const std::filesystem::file_status status = std::filesystem::status(path, error);
        if (!std::filesystem::exists(status)) return failure(path, "cannot be opened", error ? error.value() : ENOENT);
        if (std::filesystem::is_directory(status)) return not_regular(path, "a directory");
        if (!std::filesystem::is_regular_file(status)) return not_regular(path, "a pipe or device");
        const std::uintmax_t size = std::filesystem::file_size(path, error);
        if (error) return failure(path, "has no readable size", error.value());
        if (size > PTRDIFF_MAX) return make_error(ErrorCode::out_of_memory, {path, ": too large to read"});
        MappedFile map;
        RANKLET_ASSIGN(map.buffer_, AlignedBuffer<std::byte>::zeroed(static_cast<std::size_t>(size)));
        std::FILE* file = std::fopen(path.c_str(), "rb");
        if (file == nullptr) return failure(path, "cannot be opened", errno);
        const std::size_t read = std::fread(map.buffer_.data(), 1, map.buffer_.size(), file);
        std::fclose(file);
        if (read != map.buffer_.size())
            return make_error(ErrorCode::io, {path, ": reading stopped after ", read, " of ", size, " bytes"});
        map.data_ = map.buffer_.data();
        map.size_ = map.buffer_.size();
        return map;
    }
#endif

private:
    static Result<void> check_path(const std::string& path) {
        if (path.empty()) return make_error(ErrorCode::io, {"an empty path names no file"});
        if (path.find('\0') != std::string::npos)
            return make_error(ErrorCode::io, {path.c_str(), ": the path contains a zero byte"});
        return {};
    }
    static detail::SharedError failure(const std::string& path, const char* what, int number) {
        return make_error(ErrorCode::io, {path, ": ", what, " (", std::generic_category().message(number), ")"});
    }
    static detail::SharedError not_regular(const std::string& path, const char* what) {
        return make_error(ErrorCode::io, {path, ": ", what, ", expected a regular file"});
    }

#if RANKLET_HAS_MMAP
    struct Descriptor {
        int number;
        ~Descriptor() {
            if (number >= 0) ::close(number);
        }
    };
#else
    AlignedBuffer<std::byte> buffer_;
#endif
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace detail
RANKLET_NAMESPACE_END
