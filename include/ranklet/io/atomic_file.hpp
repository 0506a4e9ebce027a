// AtomicFile: a file that is there as a whole or not at all.
// In: a path and bytes. Out: after commit(), the file; before it, or after an Error, whatever was at the path before.
// Bytes go to a temporary file in the same folder, which is flushed to the disk and renamed at the end.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <unistd.h>
#define RANKLET_HAS_POSIX_FILES 1
#else
#include <filesystem>
#define RANKLET_HAS_POSIX_FILES 0
#endif

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// Without commit() the destructor removes the temporary file. A symbolic link at the path is replaced, not followed.
class AtomicFile {
public:
    AtomicFile(AtomicFile&& other) noexcept
        : path_(std::move(other.path_)),
          temporary_(std::exchange(other.temporary_, {})),
          file_(std::exchange(other.file_, none)) {}
    AtomicFile& operator=(AtomicFile&& other) noexcept {
        std::swap(path_, other.path_);
        std::swap(temporary_, other.temporary_);
        std::swap(file_, other.file_);
        return *this;
    }
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;
    ~AtomicFile() { discard(); }

    /// Error io when no file can be made beside `path`.
    RANKLET_COLD static Result<AtomicFile> create(const std::string& path) {
        if (path.empty()) return make_error(ErrorCode::io, {"an empty path names no file"});
        if (path.find('\0') != std::string::npos)
            return make_error(ErrorCode::io, {path.c_str(), ": the path contains a zero byte"});
        AtomicFile file;
        file.path_ = path;
        int number = 0;
        for (int attempt = 0; attempt < most_attempts; ++attempt) {  // names may be taken by others that write here
            std::string temporary = path + ".tmp" + process() + "-" + std::to_string(attempt);
            if (file.open(temporary)) {
                file.temporary_ = std::move(temporary);
                return file;
            }
            number = errno;
            if (number != EEXIST) break;
        }
        return failure(path, "no file can be made beside it", number);
    }

    /// Error io when the disk is full, say.
    RANKLET_COLD Result<void> write(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
#if RANKLET_HAS_POSIX_FILES
            const auto written = ::write(file_, bytes.data(), std::min<std::size_t>(bytes.size(), 1u << 30));
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) return failure(path_, "cannot be written", errno);
            bytes = bytes.subspan(static_cast<std::size_t>(written));
#else
            if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size())
                return failure(path_, "cannot be written", errno);
            bytes = {};
#endif
        }
        return {};
    }

    /// Puts the file in its place. Error io; then nothing has changed there.
    RANKLET_COLD Result<void> commit() {
#if RANKLET_HAS_POSIX_FILES
        if (::fsync(file_) != 0) return failure(path_, "cannot be written", errno);
        if (::close(std::exchange(file_, none)) != 0) return failure(path_, "cannot be written", errno);
        if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return failure(path_, "cannot be replaced", errno);
#else
        if (std::fclose(std::exchange(file_, none)) != 0) return failure(path_, "cannot be written", errno);
        std::error_code error;
        std::filesystem::rename(temporary_, path_, error);
        if (error) return failure(path_, "cannot be replaced", error.value());
#endif
        temporary_.clear();
        return {};
    }

private:
    static constexpr int most_attempts = 100;
#if RANKLET_HAS_POSIX_FILES
    using Handle = int;
    static constexpr Handle none = -1;
    static std::string process() { return std::to_string(::getpid()); }
    bool open(const std::string& path) noexcept {
        file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        return file_ != none;
    }
    void close() noexcept { (void)::close(file_); }
#else
    using Handle = std::FILE*;
    static constexpr Handle none = nullptr;
    static std::string process() { return {}; }
    bool open(const std::string& path) noexcept {
        file_ = std::fopen(path.c_str(), "wbx");
        return file_ != none;
    }
    void close() noexcept { (void)std::fclose(file_); }
#endif

    AtomicFile() = default;
    void discard() noexcept {
        if (file_ != none) close();
        if (!temporary_.empty()) (void)std::remove(temporary_.c_str());
    }
    static detail::SharedError failure(const std::string& path, const char* what, int number) {
        return make_error(ErrorCode::io, {path, ": ", what, " (", std::generic_category().message(number), ")"});
    }

    std::string path_, temporary_;
    Handle file_ = none;
};

}  // namespace detail
RANKLET_NAMESPACE_END
