// What the writer writes, the reader reads; files are there as a whole or not at all.
#include "ranklet/io/gguf_writer.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "io/gguf_builder.hpp"
#include "io/temporary_folder.hpp"
#include "ranklet/io/gguf.hpp"

namespace {

using namespace ranklet;
using ranklet_test::Bytes;
using ranklet_test::TemporaryFolder;

std::size_t files_in(const std::string& folder) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) count += entry.exists() ? 1 : 0;
    return count;
}

const std::vector<float> cube{1, 2, 3, 4, 5, 6}, one{0.5f};
const std::vector<std::int32_t> whole{-5, 0, 2147483647};
GgufWriter sample() {
    GgufWriter writer;
    writer.key("number", 7);
    writer.key("text", "手机");
    writer.array("numbers", std::vector<std::uint32_t>{1, 2, 4000000000u});
    writer.array("none", std::vector<std::uint32_t>{});
    writer.array("reals", std::vector<double>{0.1, -1e300});
    writer.array("texts", std::vector<std::string>{"a", "", std::string("z\0z", 3)});
    writer.tensor("matrix", 2, 3, cube);
    writer.tensor("scalar", 1, 1, one);
    writer.tensor("whole", 1, 3, whole);
    return writer;
}

}  // namespace

TEST_CASE("keys and tensors come back as they were written, aligned, with the right checksums") {
    const Bytes bytes = sample().bytes().value();
    CHECK(bytes.size() % 64 == 0);
    const GgufFile file = GgufFile::from_memory(bytes, "w.gguf").value();
    CHECK(file.verify_checksum().ok());
    CHECK(file.verify_header_checksum().ok());
    CHECK(file.u32("number").value() == 7);
    CHECK(file.u32("general.alignment").value() == 64);
    CHECK(file.string("text").value() == "手机");
    CHECK(file.u32s("numbers").value() == std::vector<std::uint32_t>{1, 2, 4000000000u});
    CHECK(file.u32s("none").value().empty());
    CHECK(file.doubles("reals").value() == std::vector<double>{0.1, -1e300});
    CHECK(file.strings("texts").value() == std::vector<std::string_view>{"a", "", std::string_view("z\0z", 3)});
    const TensorView matrix = file.tensor("matrix", 2, 3).value();
    CHECK(static_cast<std::size_t>(matrix.data - bytes.data()) % 64 == 0);
    CHECK(std::memcmp(matrix.data, cube.data(), sizeof(float) * 6) == 0);
    CHECK(file.tensor("scalar", 1, 1).ok());
    CHECK(std::memcmp(file.i32_tensor("whole").value().data, whole.data(), sizeof(std::int32_t) * 3) == 0);
    CHECK(GgufFile::from_memory(GgufWriter().bytes().value(), "empty").value().verify_header_checksum().ok());
}

TEST_CASE("every changed byte shows in one of the two checksums, or the file does not open") {
    const Bytes bytes = sample().bytes().value();
    for (std::size_t at = 0; at < bytes.size(); ++at)
        for (const auto flip : {std::byte{1}, std::byte{0x80}, std::byte{0xFF}}) {
            Bytes changed = bytes;
            changed[at] ^= flip;
            const auto file = GgufFile::from_memory(changed, "w.gguf");
            if (file.ok() && file->verify_checksum().ok() && file->verify_header_checksum().ok())
                FAIL_CHECK("byte ", at, " was changed and nothing said so");
        }
}

TEST_CASE("a tensor that is not of its stated shape is an error naming it, and no file is left") {
    const TemporaryFolder folder;
    GgufWriter writer = sample();
    writer.tensor("wrong", 2, 2, cube);
    const auto status = writer.write(folder.path() + "/w.gguf");
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().message == "tensor \"wrong\" has 6 numbers for 2 x 2");
    CHECK(files_in(folder.path()) == 0);
}

TEST_CASE("a file is replaced as a whole, whoever has the old one mapped keeps it, and no temporary file stays") {
    const TemporaryFolder folder;
    const std::string path = folder.write("w.gguf", "what was there before");
    CHECK(sample().write(path).ok());
    const GgufFile first = GgufFile::open(path).value();
    GgufWriter other;
    other.key("number", 8);
    CHECK(other.write(path).ok());
    CHECK(first.verify_checksum().ok());
    CHECK(first.u32("number").value() == 7);
    CHECK(GgufFile::open(path).value().u32("number").value() == 8);
    CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("a place that cannot be written is an error naming it") {
    const TemporaryFolder folder;
    for (const std::string& path : {std::string(), folder.path() + "/no/folder.gguf", folder.path(),
                                    std::string("a\0b", 3), std::string("/proc/none/x")}) {
        const auto status = sample().write(path);
        REQUIRE_FALSE(status.ok());
        CHECK(status.error().code == ErrorCode::io);
        if (!path.empty()) CHECK(status.error().message.rfind(path.c_str(), 0) == 0);
    }
    CHECK(files_in(folder.path()) == 0);
    // The temporary file of the folder's own name is made beside it.
    std::filesystem::path beside = folder.path();
    for (const auto& entry : std::filesystem::directory_iterator(beside.parent_path()))
        CHECK(entry.path().string().rfind(folder.path() + ".tmp", 0) != 0);
}

TEST_CASE("a file that is not committed leaves the old one as it was") {
    const TemporaryFolder folder;
    const std::string path = folder.write("x", "old");
    {
        detail::AtomicFile file = detail::AtomicFile::create(path).value();
        CHECK(file.write(std::as_bytes(std::span("new", 3))).ok());
        detail::AtomicFile moved = std::move(file);
        CHECK(files_in(folder.path()) == 2);
    }
    CHECK(files_in(folder.path()) == 1);
    CHECK(std::filesystem::file_size(path) == 3);
}

TEST_CASE("a file's keys and tensors are copied as they are, but for what is left out, and others join them") {
    const Bytes bytes = sample().bytes().value();
    const GgufFile file = GgufFile::from_memory(bytes, "w.gguf").value();
    GgufWriter writer;
    CHECK(writer.copy(file, [](std::string_view name) { return name == "text" || name == "scalar"; }).ok());
    writer.key("text", "other");
    writer.key_f32("third", 1.0f / 3.0f);
    writer.key_bool("yes", true);
    writer.array("floats", std::vector<float>{0.5f});
    writer.array("signed", std::vector<std::int32_t>{-1});
    writer.tensor("more", 1, 1, one);
    const Bytes again = writer.bytes().value();
    const GgufFile copy = GgufFile::from_memory(again, "copy.gguf").value();
    CHECK(copy.verify_checksum().ok());
    CHECK(copy.verify_header_checksum().ok());
    CHECK(copy.u32("number").value() == 7);
    CHECK(copy.string("text").value() == "other");
    CHECK(copy.f32("third").value() == 1.0f / 3.0f);
    CHECK(copy.boolean("yes").value());
    CHECK(copy.u32s("numbers").value() == std::vector<std::uint32_t>{1, 2, 4000000000u});
    CHECK(copy.doubles("reals").value() == std::vector<double>{0.1, -1e300});
    CHECK(copy.strings("texts").value() == file.strings("texts").value());
    CHECK(copy.floats("floats").value() == std::vector<float>{0.5f});
    CHECK(copy.i32s("signed").value() == std::vector<std::int32_t>{-1});
    CHECK(std::memcmp(copy.tensor("matrix", 2, 3).value().data, cube.data(), sizeof(float) * 6) == 0);
    CHECK_FALSE(copy.has_tensor("scalar"));
    CHECK(copy.tensor("more", 1, 1).ok());
    // A whole model, with three dimensions and 8-bit rows in it, byte for byte but for the header's order.
    for (const char* path : {"tests/parity/goldens/tiny-minilm-i8.gguf", "tests/parity/goldens/news-nrms.gguf"}) {
        const GgufFile model = GgufFile::open(path).value();
        GgufWriter whole;
        CHECK(whole.copy(model, [](std::string_view) { return false; }).ok());
        const Bytes copied = whole.bytes().value();
        const GgufFile same = GgufFile::from_memory(copied, "same").value();
        CHECK(same.verify_checksum().ok());
        REQUIRE(same.tensors().size() == model.tensors().size());
        for (std::size_t t = 0; t < same.tensors().size(); ++t) {
            const TensorView &a = model.tensors()[t], &b = same.tensors()[t];
            CHECK(a.name == b.name);
            CHECK(a.dims == b.dims);
            CHECK(a.type == b.type);
            CHECK(a.bytes == b.bytes);
            CHECK(std::memcmp(a.data, b.data, a.bytes) == 0);
        }
        for (const GgufKey& key : model.keys()) CHECK(same.has(key.name));
    }
}
