// .npy files against those that numpy wrote, ids files, and whatever is neither.
#include "ranklet/io/npy.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "io/temporary_folder.hpp"

namespace {

using namespace ranklet;
using ranklet_test::TemporaryFolder;

std::string golden(const std::string& name) { return "tests/io/goldens/" + name + ".npy"; }
std::string content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
Result<Matrix> parse(const std::string& bytes) {
    const std::vector<char> exact(bytes.begin(), bytes.end());  // a sanitizer sees any read beyond it
    return detail::parse_npy(std::as_bytes(std::span(exact)), "v.npy");
}
template <class T>
std::string message(const Result<T>& result) {
    return result.ok() ? "read" : result.error().message;
}
void check_golden(const Matrix& matrix) {
    REQUIRE(matrix.rows() == 5);
    REQUIRE(matrix.cols() == 3);
    for (std::size_t r = 0; r < 5; ++r)
        for (std::size_t c = 0; c < 3; ++c)
            CHECK(matrix.row(r)[c] == static_cast<float>(r) + static_cast<float>(c) / 8.0f);
}
/// A file of version 1.0 with this header and `numbers` times four bytes.
std::string with_header(const std::string& dictionary, std::size_t numbers = 6) {
    std::string file("\x93NUMPY\x01\x00", 8);
    file += static_cast<char>(dictionary.size() & 0xFFu);
    file += static_cast<char>(dictionary.size() >> 8);
    return file + dictionary + std::string(numbers * 4, '\0');
}

}  // namespace

TEST_CASE("numpy's files of versions 1.0 and 2.0 give their numbers") {
    check_golden(read_npy(golden("f4")).value());
    check_golden(read_npy(golden("f4_version2")).value());
    const Matrix empty = read_npy(golden("f4_empty")).value();
    CHECK(empty.rows() == 0);
    CHECK(empty.cols() == 3);
}

TEST_CASE("what is written is, byte for byte, what numpy.save writes") {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/v.npy";
    const Matrix matrix = read_npy(golden("f4")).value();
    CHECK(write_npy(path, matrix.view()).ok());
    CHECK(content(path) == content(golden("f4")));
    CHECK(write_npy(path, read_npy(golden("f4_empty"))->view()).ok());
    CHECK(content(path) == content(golden("f4_empty")));
    // Columns of a wider matrix: rows lie apart.
    std::vector<float> wide(5 * 8, -1.0f);
    for (std::size_t r = 0; r < 5; ++r)
        for (std::size_t c = 0; c < 3; ++c) wide[r * 8 + c] = matrix.row(r)[c];
    CHECK(write_npy(path, MatrixView<const float>(wide.data(), 5, 3, 8)).ok());
    CHECK(content(path) == content(golden("f4")));
    CHECK_FALSE(write_npy(folder.path() + "/no/v.npy", matrix.view()).ok());
}

TEST_CASE("numpy's other arrays are refused by what they are") {
    const auto refused = [](const std::string& name, const std::string& what) {
        const auto result = read_npy(golden(name));
        REQUIRE_FALSE(result.ok());
        CHECK(result.error().code == ErrorCode::unsupported);
        CHECK(result.error().message == golden(name) + ": " + what);
    };
    refused("f4_fortran", "Fortran order, expected C order (numpy.ascontiguousarray)");
    refused("f4_big_endian", "numbers that are not '<f4' (numpy.float32): '>f4'");
    refused("f4_vector", "an array of 1 dimensions, expected 2: [items, dim]");
    refused("f4_cube", "an array of 3 dimensions, expected 2: [items, dim]");
    refused("f8", "numbers that are not '<f4' (numpy.float32): '<f8'");
    refused("i4", "numbers that are not '<f4' (numpy.float32): '<i4'");
    refused("record", "an array of records, expected '<f4'");
    refused("f4_version3", ".npy version 3.0, expected 1.0 or 2.0");
    CHECK(read_npy("no such file").error().code == ErrorCode::io);
}

TEST_CASE("every truncation is an error, and so is a longer file") {
    for (const char* name : {"f4", "f4_version2", "f4_empty"}) {
        const std::string whole = content(golden(name));
        REQUIRE(parse(whole).ok());
        for (std::size_t size = 0; size < whole.size(); ++size) {
            const auto result = parse(whole.substr(0, size));
            if (result.ok()) FAIL_CHECK("a prefix of ", size, " bytes was read");
            if (message(result).rfind("v.npy: ", 0) != 0) FAIL_CHECK("the file is not named: ", message(result));
        }
        CHECK_FALSE(parse(whole + '\0').ok());
        CHECK_FALSE(parse(whole + std::string(12, '\0')).ok());
    }
}

TEST_CASE("random changes never make the reader leave the file or allocate what the file cannot hold") {
    std::mt19937 random(11);
    const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random()) % limit; };
    const std::string whole = content(golden("f4"));
    int read = 0;
    for (int round = 0; round < 20000; ++round) {
        std::string changed = whole;
        for (std::size_t changes = 1 + below(3); changes > 0; --changes)
            changed[below(below(2) == 0 ? 80 : whole.size())] =
                below(2) == 0 ? "0123456789(){}',: \n<f"[below(21)] : static_cast<char>(random());
        const auto result = parse(changed);
        read += result.ok() ? 1 : 0;
        if (result.ok() && result->rows() * result->cols() != 15) FAIL_CHECK("round ", round, ": another shape");
    }
    CHECK(read > 1000);
    CHECK(read < 19000);
}

TEST_CASE("headers that no numpy wrote are read by the rules of a Python dictionary, or refused with the place") {
    const auto read = [](const std::string& dictionary) { return message(parse(with_header(dictionary))); };
    CHECK(read("{'descr':'<f4','fortran_order':False,'shape':(2,3)}") == "read");
    CHECK(read("{ \"shape\" : ( 3 , 2 , ) , \"descr\" : \"<f4\", 'fortran_order': False , }   \n") == "read");
    CHECK(read("") == "v.npy: expected \"{\" (byte 10)");
    CHECK(read("{}") == "v.npy: the header lacks descr, fortran_order or shape (byte 12)");
    CHECK(read("{'descr':'<f4','fortran_order':False}").find("lacks") != std::string::npos);
    CHECK(read("{'descr':'<f4','descr':'<f4'}").find("twice") != std::string::npos);
    CHECK(read("{'colour':'red'}").find("a key that is not") != std::string::npos);
    CHECK(read("{'descr'}").find("expected \":\"") != std::string::npos);
    CHECK(read("{'descr':'<f4").find("does not end") != std::string::npos);
    CHECK(read("{'descr':4}").find("expected a string") != std::string::npos);
    CHECK(read("{'fortran_order':0}").find("True or False") != std::string::npos);
    CHECK(read("{'shape':3}").find("expected \"(\"") != std::string::npos);
    CHECK(read("{'shape':(2 3)}").find("expected \",\" or \")\"") != std::string::npos);
    CHECK(read("{'shape':(-2,3)}").find("expected a dimension") != std::string::npos);
    CHECK(read("{'shape':(2,99999999999999999999)}").find("too large") != std::string::npos);
    CHECK(read("{'shape':()}").find("0 dimensions") != std::string::npos);
    CHECK(read("{'descr':'<f4','fortran_order':False,'shape':(2,3)} x").find("behind") != std::string::npos);
    CHECK(read("{'descr':'<f4' 'shape':(2,3)}").find("expected \",\" or \"}\"") != std::string::npos);
    // Sizes whose product overflows, and none at all.
    CHECK(read("{'descr':'<f4','fortran_order':False,'shape':(1152921504606846977,4)}").find("24 bytes of numbers") !=
          std::string::npos);
    CHECK(read("{'descr':'<f4','fortran_order':False,'shape':(4,1152921504606846975)}").find("24 bytes") !=
          std::string::npos);
    CHECK(message(parse(with_header("{'descr':'<f4','fortran_order':False,'shape':(7,0)}", 0))) ==
          "v.npy: an array of rows without columns (byte 60)");
    std::string many = "{'shape':(";
    for (int i = 0; i < 1000; ++i) many += "1,";
    CHECK(read(many + ")}").find("more than 32") != std::string::npos);
}

TEST_CASE("ids come back line by line, and what is no line is refused") {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/ids.txt";
    const std::vector<std::string> ids{"a", "手机 1", "b c\td", "\xFF", "a", "\xEF\xBB\xBFx"};
    CHECK(write_ids(path, ids).ok());
    CHECK(read_ids(path).value() == ids);
    CHECK(write_ids(path, {}).ok());
    CHECK(read_ids(path).value().empty());
    for (const std::string& bad : {std::string(), std::string("a\nb"), std::string("a\r"), std::string("a\0", 2),
                                   std::string(" a"), std::string("a "), std::string("a\t"), std::string(" ")}) {
        const std::vector<std::string> two{"fine", bad};
        CHECK(message(write_ids(path, two)) == "id 1 cannot be a line of a text file");
    }
    CHECK(read_ids(folder.write("dos", "a\r\nb\r\n")).value() == std::vector<std::string>{"a", "b"});
    CHECK(read_ids(folder.write("no end", "a\nb")).value() == std::vector<std::string>{"a", "b"});
    CHECK(read_ids(folder.write("mark", "\xEF\xBB\xBF\x61 \n\t b c \r\n")).value() ==
          std::vector<std::string>{"a", "b c"});
    CHECK(read_ids(folder.write("mark alone", "\xEF\xBB\xBF")).value().empty());
    CHECK(message(write_ids(path, std::vector<std::string>{"\xEF\xBB\xBFx"})) ==
          "id 0 cannot be a line of a text file");
    CHECK(message(read_ids(folder.write("blank", "a\n \t\r\n"))).find("line 2 is empty") != std::string::npos);
    CHECK(message(read_ids(folder.write("return", "a\nb\rc\n"))).find("line 2 has a carriage return inside") !=
          std::string::npos);
    CHECK(message(read_ids(folder.write("gap", "a\n\nb\n"))).find("line 2 is empty") != std::string::npos);
    CHECK(message(read_ids(folder.write("zero", std::string("a\nb\0c\n", 6)))).find("line 2 has a zero") !=
          std::string::npos);
    CHECK(read_ids("no such file").error().code == ErrorCode::io);
}
