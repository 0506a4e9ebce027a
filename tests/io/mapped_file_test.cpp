// MappedFile on real files, and on what is no file.
#include "ranklet/io/mapped_file.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>

#include "io/temporary_folder.hpp"

namespace {

using ranklet::ErrorCode;
using ranklet::detail::MappedFile;
using ranklet_test::TemporaryFolder;

std::string text_of(const MappedFile& file) {
    return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
}

void check_error(const std::string& path, const std::string& expected) {
    const auto file = MappedFile::open(path);
    REQUIRE_FALSE(file.ok());
    CHECK(file.error().code == ErrorCode::io);
    CHECK(file.error().message == expected);
}

}  // namespace

TEST_CASE("a mapped file has the file's bytes, and keeps them when moved") {
    const TemporaryFolder folder;
    const std::string text(10'000, 'x');
    auto opened = MappedFile::open(folder.write("a.bin", text + "end"));
    REQUIRE(opened.ok());
    MappedFile first = std::move(*opened);
    const std::byte* address = first.bytes().data();
    MappedFile second(std::move(first));
    CHECK(text_of(second) == text + "end");
    CHECK(second.bytes().data() == address);
    auto other = MappedFile::open(folder.write("b.bin", "other"));
    REQUIRE(other.ok());
    second = std::move(*other);
    CHECK(text_of(second) == "other");
}

TEST_CASE("a mapped file stays readable after its name is gone") {
    const TemporaryFolder folder;
    const std::string path = folder.write("a.bin", "still here");
    const auto file = MappedFile::open(path);
    REQUIRE(file.ok());
    std::filesystem::remove(path);
    CHECK(text_of(*file) == "still here");
}

TEST_CASE("pages that were given back come back with the file's bytes; memory outside the map is left alone") {
    const TemporaryFolder folder;
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += static_cast<char>('a' + i % 23);
    const auto file = MappedFile::open(folder.write("a.bin", text)).value();
    CHECK(text_of(file) == text);
    const auto bytes = file.bytes();
    std::string other = text;
    file.release_pages({reinterpret_cast<const std::byte*>(other.data()), other.size()});
    file.release_pages({bytes.data() + 1, bytes.size() + 4096});
    file.release_pages({});
    for (const auto& [first, size] :
         {std::pair{0, 100'000}, std::pair{1, 3}, std::pair{5000, 0}, std::pair{4095, 8194}}) {
        file.release_pages(bytes.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(size)));
        CHECK(text_of(file) == text);
    }
    CHECK(other == text);
    MappedFile().release_pages(bytes);
}

TEST_CASE("an empty file has no bytes") {
    const TemporaryFolder folder;
    const auto file = MappedFile::open(folder.write("empty", ""));
    REQUIRE(file.ok());
    CHECK(file->bytes().empty());
}

TEST_CASE("what cannot be opened is an error with path and reason") {
    const TemporaryFolder folder;
    const std::string missing = folder.path() + "/missing";
    check_error(missing, missing + ": cannot be opened (No such file or directory)");
    check_error(folder.path(), folder.path() + ": a directory, expected a regular file");
    check_error("", "an empty path names no file");
    check_error(std::string("a\0b", 3), "a: the path contains a zero byte");
    const std::string pipe = folder.path() + "/pipe";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    check_error(pipe, pipe + ": a pipe or device, expected a regular file");
    check_error("/dev/null", "/dev/null: a pipe or device, expected a regular file");
}

TEST_CASE("a file without read permission is an error") {
    if (::geteuid() == 0) {
        MESSAGE("skipped: the superuser may read every file");
        return;
    }
    const TemporaryFolder folder;
    const std::string path = folder.write("secret", "x");
    REQUIRE(::chmod(path.c_str(), 0) == 0);
    check_error(path, path + ": cannot be opened (Permission denied)");
}
