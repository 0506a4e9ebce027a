// AtomicFile: a file that is there as a whole or not at all.
// In: a path and bytes. Out: after commit(), the file; before it, or after an Error, whatever was at the path before.
// Bytes go to a temporary file in the same folder, PATH.tmp-0123456789abcdef with a number of its own, which is flushed
// to the disk and renamed at the end. Whoever writes one holds a lock on it; one that nobody holds was left behind by a
// process that ended in the midst of it, and is removed by the next that writes to the same path. (POSIX; elsewhere such
// files stay.)
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "ranklet/core/config.hpp"
#include "ranklet/core/keyed_hash.hpp"
#include "ranklet/core/result.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
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
        remove_left_behind(path);
        AtomicFile file;
        file.path_ = path;
        int number = 0;
        for (int attempt = 0; attempt < most_attempts; ++attempt) {  // no name but this call's is likely to be taken
            std::string temporary = path + std::string(mark) + unused_number();
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
        // Closed after it has its name: it is locked as long as it could be taken for one that was left behind.
        if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return failure(path_, "cannot be replaced", errno);
        (void)::close(std::exchange(file_, none));
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
    static constexpr std::string_view mark = ".tmp-";
    static constexpr std::size_t digits = 16;

    // A number that no other call has, in any process: of its digits.
    static std::string unused_number() {
        static std::atomic<std::uint64_t> calls{0};
        const std::uint64_t input[2]{calls.fetch_add(1, std::memory_order_relaxed), process()};
        std::uint64_t number = siphash({reinterpret_cast<const char*>(input), sizeof input}, process_hash_key());
        std::string text(digits, '0');
        for (std::size_t i = digits; i-- > 0; number >>= 4) text[i] = "0123456789abcdef"[number & 15u];
        return text;
    }
#if RANKLET_HAS_POSIX_FILES
    using Handle = int;
    static constexpr Handle none = -1;
    static std::uint64_t process() noexcept { return static_cast<std::uint64_t>(::getpid()); }
    // Opened and locked. (Where files cannot be locked nobody removes what others have left.)
    bool open(const std::string& path) noexcept {
        file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file_ == none) return false;
        struct stat status{};
        if ((::flock(file_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) && ::fstat(file_, &status) == 0 &&
            status.st_nlink > 0)
            return true;
        close();  // another took it for one left behind, between the two calls: it removes it
        file_ = none;
        errno = EEXIST;
        return false;
    }
    static void remove_left_behind(const std::string& path) {
        const std::size_t slash = path.rfind('/'), name = slash == std::string::npos ? 0 : slash + 1;
        const std::string folder = name == 0 ? "./" : path.substr(0, name);
        const std::string start = path.substr(name) + std::string(mark);
        struct Folder {
            DIR* entries;
            ~Folder() {
                if (entries != nullptr) (void)::closedir(entries);
            }
        };
        const Folder opened{::opendir(folder.c_str())};
        while (const dirent* entry = opened.entries != nullptr ? ::readdir(opened.entries) : nullptr) {
            const std::string_view found = entry->d_name;
            if (found.size() != start.size() + digits || !found.starts_with(start) ||
                found.find_first_not_of("0123456789abcdef", start.size()) != std::string_view::npos)
                continue;
            const std::string whole = folder + std::string(found);
            const int file = ::open(whole.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
            if (file < 0) continue;
            struct stat status{};
            if (::fstat(file, &status) == 0 && S_ISREG(status.st_mode) && ::flock(file, LOCK_EX | LOCK_NB) == 0)
                (void)::unlink(whole.c_str());
            (void)::close(file);
        }
    }
    void close() noexcept { (void)::close(file_); }
#else
    using Handle = std::FILE*;
    static constexpr Handle none = nullptr;
    static std::uint64_t process() noexcept { return 0; }
    static void remove_left_behind(const std::string&) noexcept {}
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
