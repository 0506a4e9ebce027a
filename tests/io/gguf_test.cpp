// What a well-formed GGUF file says, read back exactly.
#include "ranklet/io/gguf.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "io/gguf_builder.hpp"
#include "io/gguf_exercise.hpp"
#include "io/temporary_folder.hpp"
#include "ranklet/core/half.hpp"

namespace {

using namespace ranklet;
using ranklet_test::Bytes;
using ranklet_test::GgufBuilder;

/// A file over `bytes`; an empty one, and a failed test, when it cannot be opened.
GgufFile opened(const Bytes& bytes) {
    auto file = GgufFile::from_memory(bytes, "m.gguf");
    CHECK_MESSAGE(file.ok(), (file.ok() ? "" : file.error().message));
    return file.ok() ? *file : GgufFile();
}

template <class T>
void check_value(const Result<T>& result, const T& expected) {
    CHECK_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message));
    if (result.ok()) CHECK(*result == expected);
}

template <class T>
void check_error(const Result<T>& result, ErrorCode code, const std::string& message) {
    CHECK_FALSE(result.ok());
    if (result.ok()) return;
    CHECK(result.error().code == code);
    CHECK(result.error().message == message);
}

constexpr std::uint32_t type_q8_0 = 8, type_f16 = 1, type_bf16 = 30, type_i8 = 24, type_q3_k = 11;

}  // namespace

TEST_CASE("integers of every type are read when their value fits") {
    const Bytes bytes = GgufBuilder()
                            .key("u8", std::uint8_t{255})
                            .key("i8", std::int8_t{127})
                            .key("u16", std::uint16_t{65535})
                            .key("i16", std::int16_t{32767})
                            .key("u32", std::numeric_limits<std::uint32_t>::max())
                            .key("i32", std::int32_t{7})
                            .key("u64", std::uint64_t{0xFFFFFFFFu})
                            .key("i64", std::int64_t{5})
                            .key("negative", std::int8_t{-1})
                            .key("large", std::uint64_t{1} << 32)
                            .key("real", 1.0f)
                            .build();
    const GgufFile file = opened(bytes);
    check_value(file.u32("u8"), 255u);
    check_value(file.u32("i8"), 127u);
    check_value(file.u32("u16"), 65535u);
    check_value(file.u32("i16"), 32767u);
    check_value(file.u32("u32"), 4294967295u);
    check_value(file.u32("i32"), 7u);
    check_value(file.u32("u64"), 4294967295u);
    check_value(file.u32("i64"), 5u);
    check_error(file.u32("negative"), ErrorCode::format, "m.gguf: key \"negative\": its value does not fit u32");
    check_error(file.u32("large"), ErrorCode::format, "m.gguf: key \"large\": its value does not fit u32");
    check_error(file.u32("real"), ErrorCode::format, "m.gguf: key \"real\": expected u32, found f32");
    check_error(file.u32("none"), ErrorCode::missing, "m.gguf: key \"none\": it is not in the file, expected u32");
}

TEST_CASE("floats, bools and strings are read exactly and only as what they are") {
    const Bytes bytes = GgufBuilder()
                            .key("single", 0.1f)
                            .key("double", 1e-12)
                            .key("huge", 1e300)
                            .key("infinite", std::numeric_limits<double>::infinity())
                            .key("yes", true)
                            .key("no", false)
                            .key("text", "手机 \xFF")
                            .key("empty", "")
                            .key("number", std::uint32_t{1})
                            .build();
    const GgufFile file = opened(bytes);
    check_value(file.f32("single"), 0.1f);
    check_value(file.f32("double"), 1e-12f);
    check_value(file.f32("infinite"), std::numeric_limits<float>::infinity());
    check_error(file.f32("huge"), ErrorCode::format, "m.gguf: key \"huge\": its value does not fit f32");
    check_error(file.f32("number"), ErrorCode::format, "m.gguf: key \"number\": expected f32, found u32");
    check_value(file.boolean("yes"), true);
    check_value(file.boolean("no"), false);
    check_error(file.boolean("number"), ErrorCode::format, "m.gguf: key \"number\": expected bool, found u32");
    check_error(file.u32("yes"), ErrorCode::format, "m.gguf: key \"yes\": expected u32, found bool");
    check_value(file.string("text"), std::string_view("手机 \xFF"));
    check_value(file.string("empty"), std::string_view());
    check_error(file.string("single"), ErrorCode::format, "m.gguf: key \"single\": expected string, found f32");
    CHECK(file.has("yes"));
    CHECK_FALSE(file.has("ye"));
    CHECK_FALSE(file.has("yes2"));
}

TEST_CASE("arrays are read element by element, of any size") {
    const std::vector<std::string> words{"", "a", std::string("b\0c", 3), "手机"};
    const Bytes bytes = GgufBuilder()
                            .array("words", words)
                            .array("no words", std::vector<std::string>{})
                            .array("bytes", std::vector<std::uint8_t>{0, 255})
                            .array("longs", std::vector<std::int64_t>{-2147483648, 2147483647, 0})
                            .array("too long", std::vector<std::int64_t>{1, 2147483648})
                            .array("singles", std::vector<float>{0.5f, -3.0f})
                            .array("doubles", std::vector<double>{0.25})
                            .array("none", std::vector<float>{})
                            .key("scalar", std::int32_t{1})
                            .build();
    const GgufFile file = opened(bytes);
    check_value(file.strings("words"), std::vector<std::string_view>(words.begin(), words.end()));
    check_value(file.strings("no words"), std::vector<std::string_view>{});
    check_value(file.u32s("bytes"), std::vector<std::uint32_t>{0, 255});
    check_value(file.i32s("bytes"), std::vector<std::int32_t>{0, 255});
    check_value(file.i32s("longs"), std::vector<std::int32_t>{std::numeric_limits<std::int32_t>::min(), 2147483647, 0});
    check_error(file.u32s("longs"), ErrorCode::format, "m.gguf: key \"longs\": element 0 does not fit u32");
    check_error(file.i32s("too long"), ErrorCode::format, "m.gguf: key \"too long\": element 1 does not fit i32");
    check_value(file.floats("singles"), std::vector<float>{0.5f, -3.0f});
    check_value(file.floats("doubles"), std::vector<float>{0.25f});
    check_value(file.floats("none"), std::vector<float>{});
    check_error(file.floats("bytes"), ErrorCode::format,
                "m.gguf: key \"bytes\": expected array of f32, found array of u8");
    check_error(file.strings("bytes"), ErrorCode::format,
                "m.gguf: key \"bytes\": expected array of string, found array of u8");
    check_error(file.u32s("words"), ErrorCode::format,
                "m.gguf: key \"words\": expected array of u32, found array of string");
    check_error(file.i32s("scalar"), ErrorCode::format, "m.gguf: key \"scalar\": expected array of i32, found i32");
    check_error(file.u32("longs"), ErrorCode::format, "m.gguf: key \"longs\": expected u32, found array of i64");
    check_error(file.strings("missing"), ErrorCode::missing,
                "m.gguf: key \"missing\": it is not in the file, expected array of string");
}

TEST_CASE("tensors have PyTorch's shape, their own type and their own numbers") {
    Bytes q8;
    ranklet_test::append(q8, f32_to_f16(0.5f));
    for (int i = 0; i < 32; ++i) ranklet_test::append(q8, static_cast<std::int8_t>(i - 16));
    const Bytes bytes =
        GgufBuilder()
            .tensor("matrix", {2, 3}, {1, 2, 3, 4, 5, 6})
            .tensor("vector", {4}, {7, 8, 9, 10})
            .tensor("half", type_f16, {1, 2}, ranklet_test::bytes_of(std::vector{f32_to_f16(1.5f), f32_to_f16(-2.0f)}))
            .tensor("brain", type_bf16, {2, 1}, ranklet_test::bytes_of(std::vector{f32_to_bf16(3), f32_to_bf16(4)}))
            .tensor("quantised", type_q8_0, {1, 32}, q8)
            .tensor("deep", {2, 1, 3, 2}, std::vector<float>(12, 0.5f))
            .build();
    const GgufFile file = opened(bytes);
    CHECK(file.tensors().size() == 6);
    const auto numbers = [&](std::string_view name, std::size_t rows, std::size_t cols) {
        const auto tensor = file.tensor(name, rows, cols);
        CHECK_MESSAGE(tensor.ok(), (tensor.ok() ? "" : tensor.error().message));
        std::vector<float> values(rows * cols, -99.0f);
        if (tensor.ok())
            for (std::size_t r = 0; r < rows; ++r) dequantize_row(*tensor, r, values.data() + r * cols);
        return values;
    };
    CHECK(numbers("matrix", 2, 3) == std::vector<float>{1, 2, 3, 4, 5, 6});
    CHECK(numbers("vector", 1, 4) == std::vector<float>{7, 8, 9, 10});
    CHECK(numbers("half", 1, 2) == std::vector<float>{1.5f, -2.0f});
    CHECK(numbers("brain", 2, 1) == std::vector<float>{3, 4});
    CHECK(numbers("quantised", 1, 32)[0] == -8.0f);
    CHECK(numbers("quantised", 1, 32)[31] == 7.5f);
    CHECK(numbers("deep", 6, 2) == std::vector<float>(12, 0.5f));

    const auto deep = file.tensor("deep");
    REQUIRE(deep.ok());
    CHECK(deep->rank == 4);
    CHECK(deep->dims == std::array<std::uint64_t, 4>{2, 1, 3, 2});
    const auto vector = file.tensor("vector");
    REQUIRE(vector.ok());
    CHECK(vector->rank == 1);
    CHECK(vector->dims == std::array<std::uint64_t, 4>{4, 1, 1, 1});
    CHECK(vector->bytes == 16);
    CHECK(vector->name == "vector");

    check_error(file.tensor("matrix", 3, 2), ErrorCode::format,
                "m.gguf: tensor \"matrix\": expected the shape [3, 2], found [2, 3]");
    check_error(file.tensor("deep", 1, 5), ErrorCode::format,
                "m.gguf: tensor \"deep\": expected the shape [5], found [2, 1, 3, 2]");
    check_error(file.tensor("other"), ErrorCode::missing, "m.gguf: tensor \"other\": it is not in the file");
    CHECK(file.has_tensor("half"));
    CHECK_FALSE(file.has_tensor("hal"));
}

TEST_CASE("tensors of types that are not read are listed, and refused by name of type when used") {
    const Bytes bytes = GgufBuilder()
                            .tensor("k", type_q3_k, {2, 256}, Bytes(288))
                            .tensor("new", 999, {3}, Bytes(5))
                            .tensor("int8", type_i8, {2, 2}, Bytes(4))
                            .tensor("whole", 26, {2}, ranklet_test::bytes_of(std::vector<std::int32_t>{-1, 7}))
                            .tensor("plain", {1}, {2.5f})
                            .build();
    const GgufFile file = opened(bytes);
    REQUIRE(file.tensors().size() == 5);
    CHECK(file.tensors()[0].name == "k");
    CHECK(file.tensors()[0].rows == 2);
    CHECK(file.tensors()[0].bytes == 0);
    CHECK(file.tensors()[2].bytes == 4);
    check_error(file.tensor("k"), ErrorCode::unsupported,
                "m.gguf: tensor \"k\": expected F32, F16, BF16, I8, Q8_0, Q4_0 to Q5_1 or Q4_K to Q6_K, found Q3_K");
    check_error(file.tensor("new", 1, 3), ErrorCode::unsupported,
                "m.gguf: tensor \"new\": expected F32, F16, BF16, I8, Q8_0, Q4_0 to Q5_1 or Q4_K to Q6_K, found type 999");
    check_error(file.tensor("int8"), ErrorCode::missing,
                "m.gguf: tensor \"int8_scale\": it is not in the file, expected the scales of an I8 tensor");
    CHECK(file.tensor("plain").ok());
    // Whole numbers are no weights, and weights no whole numbers.
    check_error(file.tensor("whole"), ErrorCode::unsupported,
                "m.gguf: tensor \"whole\": expected F32, F16, BF16, I8, Q8_0, Q4_0 to Q5_1 or Q4_K to Q6_K, found I32");
    check_error(file.i32_tensor("plain"), ErrorCode::unsupported, "m.gguf: tensor \"plain\": expected I32, found F32");
    check_error(file.i32_tensor("none"), ErrorCode::missing, "m.gguf: tensor \"none\": it is not in the file");
    REQUIRE(file.i32_tensor("whole").ok());
    const TensorView whole = *file.i32_tensor("whole");
    CHECK(whole.cols == 2);
    CHECK(whole.bytes == 8);
    CHECK(detail::load_unaligned<std::int32_t>(whole.data) == -1);
}

TEST_CASE("an 8-bit tensor is read with its scales, one a row, and refused with scales of another shape") {
    const Bytes values{std::byte{1}, std::byte{0xFF}, std::byte{127}, std::byte{0x81}};
    const Bytes bytes = GgufBuilder()
                            .tensor("w", type_i8, {2, 2}, values)
                            .tensor("w_scale", {2}, {0.5f, 2.0f})
                            .tensor("bad", type_i8, {2, 2}, values)
                            .tensor("bad_scale", {3}, {0.5f, 2.0f, 1.0f})
                            .build();
    const GgufFile file = opened(bytes);
    const auto tensor = file.tensor("w", 2, 2);
    REQUIRE(tensor.ok());
    float row[2];
    dequantize_row(*tensor, 0, row);
    CHECK(row[0] == 0.5f);
    CHECK(row[1] == -0.5f);
    dequantize_row(*tensor, 1, row);
    CHECK(row[0] == 254.0f);
    CHECK(row[1] == -254.0f);
    check_error(file.tensor("bad"), ErrorCode::format,
                "m.gguf: tensor \"bad_scale\": expected 2 values in F32, one for each row");
}

TEST_CASE("keys are listed in the file's order with type and count") {
    const Bytes bytes = GgufBuilder()
                            .key("z", std::uint16_t{1})
                            .array("a", std::vector<std::string>{"x", "y"})
                            .key("m", "text")
                            .build();
    const GgufFile file = opened(bytes);
    REQUIRE(file.keys().size() == 3);
    CHECK(file.keys()[0].name == "z");
    CHECK(file.keys()[0].type == GgufType::u16);
    CHECK(file.keys()[1].name == "a");
    CHECK(file.keys()[1].type == GgufType::array);
    CHECK(file.keys()[1].element == GgufType::string);
    CHECK(file.keys()[1].count == 2);
    CHECK(file.keys()[2].bytes == 4);
}

TEST_CASE("the alignment that the file states is the one its data has") {
    for (const std::uint32_t stated : {8u, 32u, 64u, 4096u}) {
        GgufBuilder builder;
        builder.alignment = stated;
        const Bytes bytes =
            builder.key("general.alignment", stated).tensor("a", {1}, {1.5f}).tensor("b", {1}, {2.5f}).build();
        const GgufFile file = opened(bytes);
        const auto a = file.tensor("a", 1, 1), b = file.tensor("b", 1, 1);
        REQUIRE(a.ok());
        REQUIRE(b.ok());
        float first = 0, second = 0;
        dequantize_row(*a, 0, &first);
        dequantize_row(*b, 0, &second);
        CHECK(first == 1.5f);
        CHECK(second == 2.5f);
        CHECK(b->data - a->data == static_cast<std::ptrdiff_t>(stated));
    }
}

TEST_CASE("a file with nothing in it is a file, and so is a default-constructed one") {
    const Bytes bytes = GgufBuilder().build();
    const GgufFile file = opened(bytes);
    CHECK(file.keys().empty());
    CHECK(file.tensors().empty());
    CHECK(file.name() == "m.gguf");
    const GgufFile none;
    CHECK(none.keys().empty());
    CHECK(none.name().empty());
    check_error(none.tensor("t"), ErrorCode::missing, ": tensor \"t\": it is not in the file");
}

TEST_CASE("the checksum notices every changed byte of the tensor data, padding included") {
    Bytes bytes = GgufBuilder().tensor("a", {3}, {1, 2, 3}).tensor("b", {2, 2}, {4, 5, 6, 7}).checksum().build();
    CHECK(opened(bytes).verify_checksum().ok());
    for (std::size_t i = bytes.size() - 64; i < bytes.size(); ++i) {
        bytes[i] ^= std::byte{0x10};
        const auto status = opened(bytes).verify_checksum();
        REQUIRE_FALSE(status.ok());
        CHECK(status.error().code == ErrorCode::format);
        CHECK(status.error().message.rfind("m.gguf: key \"ranklet.checksum.crc32\": the file is damaged", 0) == 0);
        bytes[i] ^= std::byte{0x10};
    }
    bytes.push_back(std::byte{0});
    CHECK_FALSE(opened(bytes).verify_checksum().ok());
}

TEST_CASE("a file without a checksum says so when asked to verify it") {
    const Bytes bytes = GgufBuilder().tensor("a", {3}, {1, 2, 3}).build();
    check_error(opened(bytes).verify_checksum(), ErrorCode::missing,
                "m.gguf: key \"ranklet.checksum.crc32\": it is not in the file, expected u32");
}

TEST_CASE("the fingerprint is FNV-1a of the header: it follows keys and shapes, not the tensor data") {
    const auto fingerprint = [](const Bytes& bytes) { return opened(bytes).fingerprint(); };
    const Bytes bytes = GgufBuilder().key("k", "v").tensor("a", {2}, {1, 2}).build();
    std::uint64_t expected = 14695981039346656037u;
    for (std::size_t i = 0; i < bytes.size() - 32; ++i)
        expected = (expected ^ std::to_integer<std::uint64_t>(bytes[i])) * 1099511628211u;
    CHECK(fingerprint(bytes) == expected);
    CHECK(fingerprint(GgufBuilder().key("k", "v").tensor("a", {2}, {3, 4}).build()) == expected);
    CHECK(fingerprint(GgufBuilder().key("k", "w").tensor("a", {2}, {1, 2}).build()) != expected);
    CHECK(fingerprint(GgufBuilder().key("k", "v").tensor("a", {2, 1}, {1, 2}).build()) != expected);
}

TEST_CASE("a file on disk is the same as its bytes, and its views outlive all but the last copy") {
    const ranklet_test::TemporaryFolder folder;
    const Bytes bytes = GgufBuilder().key("text", "hello").tensor("a", {2}, {1, 2}).checksum().build();
    const std::string path =
        folder.write("model.gguf", std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    GgufFile copy;
    std::string_view text;
    {
        const auto file = GgufFile::open(path);
        REQUIRE(file.ok());
        CHECK(file->name() == path);
        CHECK(file->verify_checksum().ok());
        const auto value = file->string("text");
        REQUIRE(value.ok());
        text = *value;
        copy = *file;
    }
    CHECK(text == "hello");
    const auto tensor = copy.tensor("a", 1, 2);
    REQUIRE(tensor.ok());
    float values[2];
    dequantize_row(*tensor, 0, values);
    CHECK(values[1] == 2.0f);
    CHECK(reinterpret_cast<std::uintptr_t>(tensor->data) % 32 == 0);
}

TEST_CASE("files that cannot be opened are errors with their path") {
    const ranklet_test::TemporaryFolder folder;
    check_error(GgufFile::open(folder.path() + "/no.gguf"), ErrorCode::io,
                folder.path() + "/no.gguf: cannot be opened (No such file or directory)");
    check_error(GgufFile::open(folder.path()), ErrorCode::io, folder.path() + ": a directory, expected a regular file");
    const std::string empty = folder.write("empty.gguf", "");
    check_error(GgufFile::open(empty), ErrorCode::format, empty + ": the file is empty, expected a GGUF file");
}
