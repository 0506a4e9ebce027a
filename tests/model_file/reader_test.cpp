// ModelReader: keys and tensors under a prefix, defaults, ranges, choices, shapes; each error is a whole sentence: the
// file, the key or tensor, what is there, what was expected.
#include "ranklet/model_file/reader.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/gguf_builder.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Choice;
using ranklet::Error;
using ranklet::ErrorCode;
using ranklet::GgufFile;
using ranklet::ModelReader;
using ranklet::Result;
using ranklet::TensorType;

ModelReader reader_of(const Bytes& bytes) { return ModelReader(GgufFile::from_memory(bytes, "m.gguf").value()); }

/// "code: message", or "" for a value.
template <class T>
std::string message(const Result<T>& result) {
    return result.ok() ? std::string() : std::string(to_string(result.error().code)) + ": " + result.error().message;
}

enum class Shade { dark, light };
constexpr std::array<Choice<Shade>, 2> shades{{{"dark", Shade::dark}, {"light", Shade::light}}};

Bytes keys() {
    return GgufBuilder()
        .key("top", std::uint32_t{1})
        .key("a.number", std::uint32_t{7})
        .key("a.large", std::uint64_t{1} << 40)
        .key("a.half", 0.5f)
        .key("a.flag", true)
        .key("a.name", "dark")
        .key("a.b.number", std::uint32_t{8})
        .array("a.names", std::vector<std::string>{"x", "y"})
        .array("a.floats", std::vector<float>{1.5f, -2.0f})
        .array("a.doubles", std::vector<double>{0.25, 1e300})
        .array("a.integers", std::vector<std::int32_t>{-1, 2})
        .array("a.naturals", std::vector<std::uint32_t>{3, 4})
        .build();
}
Bytes tensors() {
    return GgufBuilder()
        .tensor("a.rows", {2, 3}, {1, 2, 3, 4, 5, 6})
        .tensor("a.row", {3}, {7, 8, 9})
        .tensor("a.half", static_cast<std::uint32_t>(TensorType::f16), {1, 2},
                bytes_of(std::vector<std::uint16_t>{0x3C00, 0xC000}))
        .tensor("a.other", 11, {1, 256}, Bytes(110))  // Q3_K
        .build();
}

}  // namespace

TEST_CASE("values are read by type, under the reader's prefix") {
    const Bytes bytes = keys();
    const ModelReader all = reader_of(bytes), a = all.scope("a");
    CHECK(all.full("a.number") == "a.number");
    CHECK(a.full("number") == "a.number");
    CHECK(a.scope("b").full("number") == "a.b.number");
    CHECK(all.file().name() == "m.gguf");
    CHECK(all.has("a.number"));
    CHECK(a.has("number"));
    CHECK_FALSE(a.has("top"));
    CHECK_FALSE(a.has("a.number"));
    CHECK_FALSE(all.has("a"));
    CHECK(all.u32("top").value() == 1);
    CHECK(a.u32("number").value() == 7);
    CHECK(a.scope("b").u32("number").value() == 8);
    CHECK(all.scope("a.b").u32("number").value() == 8);
    CHECK(a.f32("half").value() == 0.5f);
    CHECK(a.boolean("flag").value());
    CHECK(a.string("name").value() == "dark");
    CHECK(a.strings("names").value() == std::vector<std::string_view>{"x", "y"});
    CHECK(a.floats("floats").value() == std::vector<float>{1.5f, -2.0f});
    CHECK(a.i32s("integers").value() == std::vector<std::int32_t>{-1, 2});
    CHECK(a.u32s("naturals").value() == std::vector<std::uint32_t>{3, 4});
    const ModelReader copy = a;
    CHECK(copy.u32("number").value() == 7);
}

TEST_CASE("a reader keeps its file open") {
    const Bytes bytes = keys();
    ModelReader inner = reader_of(bytes).scope("a").scope("b");
    CHECK(inner.u32("number").value() == 8);
    CHECK(inner.file().name() == "m.gguf");
}

TEST_CASE("an error of a value names file, full key, what is there and what was expected") {
    const Bytes bytes = keys();
    const ModelReader a = reader_of(bytes).scope("a");
    CHECK(message(a.u32("none")) == "missing: m.gguf: key \"a.none\": it is not in the file, expected u32");
    CHECK(message(a.strings("none")) ==
          "missing: m.gguf: key \"a.none\": it is not in the file, expected array of string");
    CHECK(message(a.u32("name")) == "format: m.gguf: key \"a.name\": expected u32, found string");
    CHECK(message(a.u32("half")) == "format: m.gguf: key \"a.half\": expected u32, found f32");
    CHECK(message(a.u32("large")) == "format: m.gguf: key \"a.large\": its value does not fit u32");
    CHECK(message(a.f32("number")) == "format: m.gguf: key \"a.number\": expected f32, found u32");
    CHECK(message(a.string("flag")) == "format: m.gguf: key \"a.flag\": expected string, found bool");
    CHECK(message(a.boolean("number")) == "format: m.gguf: key \"a.number\": expected bool, found u32");
    CHECK(message(a.strings("floats")) ==
          "format: m.gguf: key \"a.floats\": expected array of string, found array of f32");
    CHECK(message(a.floats("doubles")) == "format: m.gguf: key \"a.doubles\": element 1 does not fit f32");
    CHECK(message(a.u32s("integers")) == "format: m.gguf: key \"a.integers\": element 0 does not fit u32");
}

TEST_CASE("a default stands for a key that is not there, not for one that is wrong") {
    const Bytes bytes = keys();
    const ModelReader a = reader_of(bytes).scope("a");
    CHECK(a.u32_or("number", 3).value() == 7);
    CHECK(a.u32_or("none", 3).value() == 3);
    CHECK(message(a.u32_or("name", 3)) == "format: m.gguf: key \"a.name\": expected u32, found string");
    CHECK(a.boolean_or("flag", false).value());
    CHECK(a.boolean_or("none", true).value());
    CHECK(message(a.boolean_or("name", true)) == "format: m.gguf: key \"a.name\": expected bool, found string");
    CHECK(a.string_or("name", "light").value() == "dark");
    CHECK(a.string_or("none", "light").value() == "light");
    CHECK(message(a.string_or("flag", "light")) == "format: m.gguf: key \"a.flag\": expected string, found bool");
    CHECK(a.strings_or_none("names").value().size() == 2);
    CHECK(a.strings_or_none("none").value().empty());
    CHECK(message(a.strings_or_none("name")) ==
          "format: m.gguf: key \"a.name\": expected array of string, found string");
}

TEST_CASE("ranges and lengths hold with their ends, and say what they are") {
    const Bytes bytes = keys();
    const ModelReader a = reader_of(bytes).scope("a");
    CHECK(a.u32_in("number", 7, 7).value() == 7);
    CHECK(a.u32_in("number", 0, 7).value() == 7);
    CHECK(message(a.u32_in("number", 8, 9)) == "format: m.gguf: a.number is 7, expected 8 to 9");
    CHECK(message(a.u32_in("number", 1, 6)) == "format: m.gguf: a.number is 7, expected 1 to 6");
    CHECK(message(a.u32_in("none", 1, 6)) == "missing: m.gguf: key \"a.none\": it is not in the file, expected u32");
    CHECK(a.strings_of("names", 2, "labels").value() == std::vector<std::string_view>{"x", "y"});
    CHECK(message(a.strings_of("names", 3, "labels")) == "format: m.gguf: a.names has 2 entries for 3 labels");
}

TEST_CASE("a choice is one of the names, and an error lists them") {
    const Bytes bytes = keys();
    const ModelReader a = reader_of(bytes).scope("a");
    CHECK(a.choice("name", shades).value() == Shade::dark);
    CHECK(a.choice<int>("name", {{"light", 1}, {"dark", 2}}).value() == 2);
    CHECK(message(a.choice<int>("name", {{"red", 1}})) == "unsupported: m.gguf: a.name is \"dark\", expected red");
    CHECK(message(a.choice<int>("name", {{"red", 1}, {"blue", 2}})) ==
          "unsupported: m.gguf: a.name is \"dark\", expected red or blue");
    CHECK(message(a.choice<int>("name", {{"red", 1}, {"green", 2}, {"blue", 3}})) ==
          "unsupported: m.gguf: a.name is \"dark\", expected red, green or blue");
    CHECK(message(a.choice("none", shades)) ==
          "missing: m.gguf: key \"a.none\": it is not in the file, expected string");
    CHECK(message(a.choice("flag", shades)) == "format: m.gguf: key \"a.flag\": expected string, found bool");
    CHECK(a.choose("names", "light", shades).value() == Shade::light);
    CHECK(message(a.choose("names", "x", shades)) == "unsupported: m.gguf: a.names is \"x\", expected dark or light");
}

TEST_CASE("matrices and vectors are f32 copies of a stated shape") {
    const Bytes bytes = tensors();
    const ModelReader a = reader_of(bytes).scope("a");
    CHECK(a.has_tensor("rows"));
    CHECK_FALSE(a.has_tensor("none"));
    CHECK_FALSE(a.has("rows"));
    const ranklet::TensorView view = a.tensor("rows").value();
    CHECK(view.rows == 2);
    CHECK(view.cols == 3);
    CHECK(view.data >= bytes.data());
    CHECK(view.data + view.bytes <= bytes.data() + bytes.size());
    const ranklet::Matrix matrix = a.matrix("rows", 2, 3).value();
    CHECK(std::vector<float>(matrix.view().data, matrix.view().data + 6) == std::vector<float>{1, 2, 3, 4, 5, 6});
    CHECK_FALSE(matrix.is_borrowed());
    CHECK(a.vector("row", 3).value() == std::vector<float>{7, 8, 9});
    CHECK(a.vector("half", 2).value() == std::vector<float>{1, -2});
    CHECK(a.vector_or_none("row", 3).value().size() == 3);
    CHECK(a.vector_or_none("none", 3).value().empty());
    const ranklet::Matrix of_vector = a.matrix("row", 1, 3).value();
    CHECK(of_vector.view()(0, 2) == 9.0f);
}

TEST_CASE("a tensor that is missing, of another shape or of a type that is not read is an error that says so") {
    const Bytes bytes = tensors();
    const ModelReader a = reader_of(bytes).scope("a");
    CHECK(message(a.tensor("none")) == "missing: m.gguf: tensor \"a.none\": it is not in the file");
    CHECK(message(a.matrix("none", 2, 3)) == "missing: m.gguf: tensor \"a.none\": it is not in the file");
    CHECK(message(a.vector("none", 3)) == "missing: m.gguf: tensor \"a.none\": it is not in the file");
    CHECK(message(a.matrix("rows", 3, 2)) ==
          "format: m.gguf: tensor \"a.rows\": expected the shape [3, 2], found [2, 3]");
    CHECK(message(a.tensor("rows", 2, 4)) ==
          "format: m.gguf: tensor \"a.rows\": expected the shape [2, 4], found [2, 3]");
    CHECK(message(a.vector("rows", 6)) == "format: m.gguf: tensor \"a.rows\": expected the shape [6], found [2, 3]");
    CHECK(message(a.vector("row", 4)) == "format: m.gguf: tensor \"a.row\": expected the shape [4], found [3]");
    CHECK(message(a.vector_or_none("row", 4)) == "format: m.gguf: tensor \"a.row\": expected the shape [4], found [3]");
    CHECK(message(a.tensor("other")).starts_with("unsupported: m.gguf: tensor \"a.other\": expected F32, F16, BF16, "));
    CHECK(message(a.matrix("other", 1, 256)).starts_with("unsupported: m.gguf: tensor \"a.other\": "));
}

TEST_CASE("what only the caller can check is worded with file and key in front") {
    const Bytes bytes = keys();
    const ModelReader a = reader_of(bytes).scope("a");
    const Error error = a.wrong("number", {" is ", 7u, ", which is odd"});
    CHECK(error.code == ErrorCode::format);
    CHECK(error.message == "m.gguf: a.number is 7, which is odd");
    const Error other = a.wrong("name", {" is unknown"}, ErrorCode::unsupported);
    CHECK(other.code == ErrorCode::unsupported);
    CHECK(a.at("number", Result<int>(3)).value() == 3);
    CHECK(message(a.at("number", Result<int>(Error{ErrorCode::invalid_argument, "it is odd"}))) ==
          "format: m.gguf: a.number: it is odd");
    CHECK(message(a.at("number", Result<void>(Error{ErrorCode::out_of_memory, "too large"}))) ==
          "out_of_memory: m.gguf: a.number: too large");
}
