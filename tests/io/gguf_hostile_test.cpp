// Malformed, truncated and hostile files: each is an Error that names the place, none crashes or allocates without
// bound. Run under the address and undefined-behaviour sanitizers, these tests also show that nothing outside is read.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "io/gguf_builder.hpp"
#include "io/gguf_exercise.hpp"
#include "ranklet/io/gguf.hpp"

// The largest single allocation of this program since it was last set to 0. Not inlined: g++ takes an inlined `free` in
// a `delete` for a mistake.
static std::size_t largest_allocation = 0;
[[gnu::noinline]] void* operator new(std::size_t size) {
    largest_allocation = std::max(largest_allocation, size);
    if (void* memory = std::malloc(size != 0 ? size : 1)) return memory;
    std::abort();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return ::operator new(size); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace ranklet;
using ranklet_test::append;
using ranklet_test::append_string;
using ranklet_test::Bytes;
using ranklet_test::GgufBuilder;

constexpr std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint32_t type_f32 = 0, type_q8_0 = 8, type_string = 8, type_array = 9;

/// Opens a copy in a block of exactly that size, so that a sanitizer sees any read beyond it.
class Opened {
public:
    explicit Opened(std::span<const std::byte> bytes)
        : block_(new std::byte[bytes.size()]),
          size_(bytes.size()),
          file_((std::copy(bytes.begin(), bytes.end(), block_.get()),
                 GgufFile::from_memory({block_.get(), bytes.size()}, "m.gguf"))) {}
    bool ok() const { return file_.ok(); }
    std::string message() const { return file_.ok() ? "opened" : file_.error().message; }
    ErrorCode code() const { return file_.ok() ? ErrorCode::invalid_argument : file_.error().code; }
    /// Empty, or what is wrong with an opened file or with an error.
    std::string complaint() const {
        if (file_.ok()) return ranklet_test::exercise({block_.get(), size_}, *file_);
        if (code() != ErrorCode::format && code() != ErrorCode::unsupported) return "an unexpected code: " + message();
        return message().rfind("m.gguf: ", 0) == 0 ? "" : "the file is not named: " + message();
    }
    const GgufFile& file() const { return *file_; }

private:
    std::unique_ptr<std::byte[]> block_;
    std::size_t size_;
    Result<GgufFile> file_;
};

void check_refused(const Bytes& bytes, const std::string& message, ErrorCode code = ErrorCode::format) {
    const Opened opened(bytes);
    CHECK(opened.message() == message);
    CHECK(opened.code() == code);
}
void check_refused(const GgufBuilder& builder, const std::string& message, ErrorCode code = ErrorCode::format) {
    check_refused(builder.build(), message, code);
}

/// Everything a file can have: each value type, arrays, and tensors of which the last fills its padding.
Bytes small_file() {
    Bytes q8(34);
    q8[0] = std::byte{0x3C};
    return GgufBuilder()
        .key("general.architecture", "bert")
        .key("general.alignment", std::uint32_t{32})
        .key("u8", std::uint8_t{1})
        .key("i16", std::int16_t{-2})
        .key("u64", std::uint64_t{3})
        .key("f32", 0.5f)
        .key("f64", 0.25)
        .key("flag", true)
        .array("words", std::vector<std::string>{"a", "", "手机"})
        .array("ids", std::vector<std::int32_t>{1, -1})
        .array("reals", std::vector<float>{0.5f})
        .tensor("vector", {3}, {1, 2, 3})
        .tensor("q", type_q8_0, {1, 32}, q8)
        .tensor("cube", {2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8})
        .checksum()
        .build();
}

}  // namespace

TEST_CASE("every truncation of a file is an error") {
    const Bytes bytes = small_file();
    REQUIRE(Opened(bytes).ok());
    CHECK(Opened(bytes).complaint().empty());
    CHECK(Opened(bytes).file().verify_checksum().ok());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const Opened opened(std::span<const std::byte>(bytes).first(size));
        if (opened.ok()) FAIL_CHECK("a prefix of ", size, " bytes was opened");
        const std::string complaint = opened.complaint();
        if (!complaint.empty()) FAIL_CHECK("a prefix of ", size, " bytes: ", complaint);
    }
}

TEST_CASE("a file that lacks only the padding after its last tensor opens, but its checksum differs") {
    // Nothing that is used is missing then, and some writers leave that padding out.
    const Bytes bytes = GgufBuilder().tensor("a", {5}, {1, 2, 3, 4, 5}).checksum().build();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const Opened opened(std::span<const std::byte>(bytes).first(size));
        const bool complete = size >= bytes.size() - 12;
        if (opened.ok() != complete) FAIL_CHECK("a prefix of ", size, " bytes: ", opened.message());
        if (opened.ok()) CHECK_FALSE(opened.file().verify_checksum().ok());
    }
    GgufBuilder unpadded;
    unpadded.pad_end = false;
    const Opened opened(unpadded.tensor("a", {5}, {1, 2, 3, 4, 5}).checksum().build());
    REQUIRE(opened.ok());
    CHECK(opened.file().verify_checksum().ok());
}

TEST_CASE("random changes of bytes never make the reader leave the file") {
    const Bytes original = small_file();
    std::mt19937 random(20240601);
    const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random()) % limit; };
    int opened_files = 0;
    const int rounds = 20'000;
    for (int round = 0; round < rounds; ++round) {
        Bytes bytes = original;
        for (std::size_t changes = 1 + below(4); changes > 0; --changes) {
            std::byte& byte = bytes[below(bytes.size())];
            switch (below(3)) {
                case 0:
                    byte ^= static_cast<std::byte>(1u << below(8));
                    break;
                case 1:
                    byte = static_cast<std::byte>(random());
                    break;
                default:
                    byte = below(2) == 0 ? std::byte{0xFF} : std::byte{0};
                    break;
            }
        }
        if (below(8) == 0) bytes.resize(below(bytes.size() + 1));
        const Opened opened(bytes);
        opened_files += opened.ok() ? 1 : 0;
        const std::string complaint = opened.complaint();
        if (!complaint.empty()) FAIL_CHECK("round ", round, ": ", complaint);
    }
    // Both ways were taken often: many changes hit only a value.
    CHECK(opened_files > rounds / 10);
    CHECK(opened_files < rounds * 9 / 10);
}

TEST_CASE("every 64-bit number in a header may be absurd, and nothing large is allocated") {
    const Bytes original = small_file();
    const Opened whole(original);
    REQUIRE(whole.ok());
    for (const std::uint64_t absurd : {huge, huge / 2, huge / 8 + 1, std::uint64_t{1} << 40, std::uint64_t{1} << 32})
        for (std::size_t at = 4; at + 8 <= original.size(); ++at) {
            Bytes bytes = original;
            std::memcpy(bytes.data() + at, &absurd, sizeof absurd);
            largest_allocation = 0;
            const Opened opened(bytes);
            const std::string complaint = opened.complaint();
            if (!complaint.empty()) FAIL_CHECK(absurd, " at byte ", at, ": ", complaint);
            if (largest_allocation > 64 * original.size()) FAIL_CHECK(absurd, " at byte ", at, ": a large allocation");
        }
}

TEST_CASE("what is no GGUF v3 file is refused by what it is") {
    check_refused(Bytes{}, "m.gguf: the file is empty, expected a GGUF file");
    GgufBuilder builder;
    builder.magic = "GGML";
    check_refused(builder, "m.gguf: not a GGUF file: it does not start with \"GGUF\"");
    builder.magic = "GGU";
    check_refused(builder, "m.gguf: not a GGUF file: it does not start with \"GGUF\"");
    check_refused(Bytes(3, std::byte{'G'}), "m.gguf: not a GGUF file: it does not start with \"GGUF\"");
    builder.magic = "GGUF";
    for (const std::uint32_t version : {0u, 1u, 2u, 4u}) {
        builder.version = version;
        check_refused(builder, "m.gguf: GGUF version " + std::to_string(version) + ", expected 3",
                      ErrorCode::unsupported);
    }
    builder.version = 0x03000000;
    check_refused(builder, "m.gguf: a big-endian GGUF file, expected a little-endian one", ErrorCode::unsupported);
}

TEST_CASE("counts that the file cannot hold are refused before anything is allocated") {
    GgufBuilder builder;
    builder.stated_keys = huge;
    check_refused(builder, "m.gguf: the header states 18446744073709551615 keys, but only 8 bytes follow");
    builder.stated_keys = 1;
    check_refused(builder, "m.gguf: the header states 1 keys, but only 8 bytes follow");
    builder.stated_keys.reset();
    builder.stated_tensors = std::uint64_t{1} << 40;
    check_refused(builder, "m.gguf: the header states 1099511627776 tensors, but only 8 bytes follow");
}

TEST_CASE("malformed keys are refused with their name or number, and the byte") {
    check_refused(GgufBuilder().key("", std::uint32_t{1}), "m.gguf: key number 0: a key at byte 24 is empty");
    check_refused(GgufBuilder().key(std::string(65536, 'k'), std::uint32_t{1}),
                  "m.gguf: key number 0: a key at byte 24 has 65536 bytes, expected at most 65535");
    CHECK(Opened(GgufBuilder().key(std::string(65535, 'k'), std::uint32_t{1}).build()).ok());
    check_refused(GgufBuilder().raw_key("a", 13, Bytes(8)),
                  "m.gguf: key \"a\": the value's type at byte 33 is 13, expected 0 to 12");
    check_refused(GgufBuilder().key("b", "x").key("a", "x").key("b", true), "m.gguf: key \"b\" is there twice");
    check_refused(GgufBuilder().raw_key("a", 7, {std::byte{2}}),
                  "m.gguf: key \"a\": the bool at byte 37 is 2, expected 0 or 1");
    Bytes length;
    append(length, huge);
    check_refused(GgufBuilder().raw_key("a", type_string, length),
                  "m.gguf: key \"a\": expected a string of 18446744073709551615 bytes at byte 45, but the file ends at "
                  "byte 64");
    check_refused(GgufBuilder().raw_key("a\n\xE6", type_string, length),
                  "m.gguf: key \"a??\": expected a string of 18446744073709551615 bytes at byte 47, but the file ends "
                  "at byte 64");
}

TEST_CASE("malformed arrays are refused") {
    check_refused(GgufBuilder().raw_array("a", 4, huge, Bytes(8)),
                  "m.gguf: key \"a\": expected 18446744073709551615 elements of type u32 at byte 49, but the file ends "
                  "at byte 64");
    check_refused(GgufBuilder().raw_array("a", 10, (std::uint64_t{1} << 61) + 1, Bytes(8)),  // times 8 is 8
                  "m.gguf: key \"a\": expected 2305843009213693953 elements of type u64 at byte 49, but the file ends "
                  "at byte 64");
    check_refused(GgufBuilder().raw_array("a", 77, 1, Bytes(8)),
                  "m.gguf: key \"a\": the elements' type at byte 37 is 77, expected 0 to 12");
    check_refused(GgufBuilder().raw_array("a", type_array, 1, Bytes(24)),
                  "m.gguf: key \"a\": arrays of arrays are not read", ErrorCode::unsupported);
    Bytes strings;
    append_string(strings, "x");
    append(strings, huge - 7);
    check_refused(GgufBuilder().raw_array("a", type_string, 2, strings),
                  "m.gguf: key \"a\": expected string 1 of the array, of 18446744073709551608 bytes, at byte 58, but "
                  "the file ends at byte 96");
    check_refused(GgufBuilder().raw_array("a", type_string, huge / 8, strings),
                  "m.gguf: key \"a\": expected 2305843009213693951 elements of type string at byte 49, but the file "
                  "ends at byte 96");
}

TEST_CASE("alignments that are no alignment are refused") {
    for (const std::uint32_t wrong : {0u, 1u, 4u, 24u, 33u, 1u << 22, 1u << 31, 0xFFFFFFFFu})
        check_refused(GgufBuilder().key("general.alignment", wrong).tensor("a", {1}, {1}),
                      "m.gguf: key \"general.alignment\": " + std::to_string(wrong) +
                          ", expected a power of two from 8 to 2097152");
    check_refused(GgufBuilder().key("general.alignment", std::uint64_t{32}),
                  "m.gguf: key \"general.alignment\": expected u32, found u64");
    check_refused(GgufBuilder().array("general.alignment", std::vector<std::uint32_t>{32}),
                  "m.gguf: key \"general.alignment\": expected u32, found array");
}

TEST_CASE("malformed tensors are refused with their name") {
    const Bytes data(128);
    check_refused(GgufBuilder().tensor("", type_f32, {1}, data),
                  "m.gguf: tensor number 0: a tensor's name at byte 24 is empty");
    check_refused(GgufBuilder().tensor(std::string(65, 't'), type_f32, {1}, data),
                  "m.gguf: tensor number 0: a tensor's name at byte 24 has 65 bytes, expected at most 64");
    CHECK(Opened(GgufBuilder().tensor(std::string(64, 't'), type_f32, {1}, data).build()).ok());
    check_refused(GgufBuilder()
                      .tensor("a", type_f32, {1}, data)
                      .tensor("b", type_f32, {1}, data)
                      .tensor("a", type_f32, {1}, data),
                  "m.gguf: tensor \"a\" is there twice");
    check_refused(GgufBuilder().tensor("a", type_f32, {}, data), "m.gguf: tensor \"a\": 0 dimensions, expected 1 to 4");
    check_refused(GgufBuilder().tensor("a", type_f32, {1, 1, 1, 1, 1}, data),
                  "m.gguf: tensor \"a\": 5 dimensions, expected 1 to 4");
    check_refused(GgufBuilder().tensor("a", type_f32, {2, 0}, data), "m.gguf: tensor \"a\": dimension 1 is 0");
    check_refused(GgufBuilder().tensor("a", type_q8_0, {2, 33}, data),
                  "m.gguf: tensor \"a\": Q8_0 rows of 33 columns, expected a multiple of 32");
}

TEST_CASE("dimensions whose product overflows are refused") {
    const std::uint64_t half = std::uint64_t{1} << 32;
    const std::vector<std::vector<std::uint64_t>> absurd{
        {half, half}, {huge}, {half, half, half, half}, {3, huge / 3 + 1}, {std::uint64_t{1} << 62, 4}};
    for (const auto& dims : absurd)
        for (const std::uint32_t type : {0u, 1u, 8u, 12u, 24u, 30u})
            check_refused(GgufBuilder().tensor("a", type, dims, Bytes(32)),
                          "m.gguf: tensor \"a\": its dimensions' product is too large");
}

TEST_CASE("tensor data outside the file, unaligned or shared is refused") {
    const Bytes data(64);
    const auto two = [&](std::uint64_t first, std::uint64_t second) {
        return GgufBuilder().tensor("a", type_f32, {16}, data, first).tensor("b", type_f32, {16}, data, second);
    };
    CHECK(Opened(two(0, 64).build()).ok());
    CHECK(Opened(two(64, 0).build()).ok());
    check_refused(two(0, 33), "m.gguf: tensor \"b\": its offset 33 is not a multiple of the alignment 32");
    check_refused(two(0, 96),
                  "m.gguf: tensor \"b\": its 64 bytes at offset 96 of the tensor data (byte 96 of the file) reach over "
                  "the file's end at byte 224");
    check_refused(
        two(0, 128),
        "m.gguf: tensor \"b\": its 64 bytes at offset 128 of the tensor data (byte 96 of the file) reach over "
        "the file's end at byte 224");
    check_refused(
        two(huge - 31, 0),
        "m.gguf: tensor \"a\": its 64 bytes at offset 18446744073709551584 of the tensor data (byte 96 of the "
        "file) reach over the file's end at byte 224");
    check_refused(two(0, 32), "m.gguf: tensor \"b\": its data at offset 32 overlaps that of tensor \"a\"");
    check_refused(two(32, 0), "m.gguf: tensor \"a\": its data at offset 32 overlaps that of tensor \"b\"");
    const Opened same(two(0, 0).build());
    CHECK(same.message().find("overlaps that of tensor") != std::string::npos);
    check_refused(GgufBuilder().tensor("a", type_f32, {17}, data),
                  "m.gguf: tensor \"a\": its 68 bytes at offset 0 of the tensor data (byte 64 of the file) reach over "
                  "the file's end at byte 128");
    // A type of unknown size takes at least its place.
    CHECK_FALSE(Opened(GgufBuilder().tensor("a", 12, {256}, data, 0).tensor("b", 12, {256}, data, 0).build()).ok());
    CHECK_FALSE(Opened(GgufBuilder().tensor("a", 12, {256}, data, 64).build()).ok());
}

TEST_CASE("a header without the padding and data that its tensors need is refused") {
    const Bytes header = GgufBuilder().tensor("a", {1}, {1}).header();
    check_refused(header,
                  "m.gguf: expected 7 bytes of padding before the tensor data at byte 57, but the file ends at "
                  "byte 57");
    CHECK(Opened(GgufBuilder().key("only", "keys").header()).ok());
}
