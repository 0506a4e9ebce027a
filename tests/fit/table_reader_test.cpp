// Tables as programs write them, and as nobody should.
#include "ranklet/fit/table_reader.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "io/temporary_folder.hpp"

using ranklet::ErrorCode;
using ranklet::TableOptions;
using ranklet::detail::TableReader;

namespace {

using Rows = std::vector<std::vector<std::string>>;

struct Read {
    std::vector<std::string> names{};
    Rows rows{};
    std::vector<std::uint64_t> lines{};
    std::string separator{}, error{};
};

Read read_all(const std::string& path, const TableOptions& options = {}, bool names_expected = true) {
    Read read;
    auto reader = TableReader::open(path, options, names_expected, [](std::string_view) { return false; });
    if (!reader.ok()) return read.error = reader.error().message, read;
    read.names.assign(reader->names().begin(), reader->names().end());
    read.separator = reader->separator();
    for (;;) {
        const auto more = reader->next();
        if (!more.ok()) return read.error = more.error().message, read;
        if (!*more) return read;
        read.rows.emplace_back(reader->fields().begin(), reader->fields().end());
        read.lines.push_back(reader->line());
    }
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the separator comes from the first line") {
    const ranklet_test::TemporaryFolder folder;
    CHECK(read_all(folder.write("a", "user\titem,x;y\n1\t2\n")).rows == Rows{{"1", "2"}});
    CHECK(read_all(folder.write("b", "user,item\n1,2\n")).separator == ",");
    CHECK(read_all(folder.write("c", "user;item;a,b\n1;2,5;3\n")).rows == Rows{{"1", "2,5", "3"}});
    CHECK(read_all(folder.write("d", "user::item\n1::2:3\n")).rows == Rows{{"1", "2:3"}});
    CHECK(read_all(folder.write("e", "user\n1\n")).rows == Rows{{"1"}});
    TableOptions stated;
    stated.separator = "|";
    CHECK(read_all(folder.write("f", "user|item\n1|2\n"), stated).rows == Rows{{"1", "2"}});
    stated.separator = "\n";
    CHECK(!read_all(folder.write("g", "user|item\n1|2\n"), stated).error.empty());
}

TEST_CASE("quotes enclose separators, line ends and doubled quotes, and lines keep their numbers") {
    const ranklet_test::TemporaryFolder folder;
    const auto read = read_all(folder.write(
        "a.csv",
        "id,title\r\n1,\"Say \"\"hi\"\", twice\"\r\n\r\n2,\"two\nlines\r\n\n\"\r\n3,5\" disk\r\n4,\"\"\n\"5\",x"));
    CHECK(read.error == "");
    CHECK(read.names == std::vector<std::string>{"id", "title"});
    CHECK(read.rows ==
          Rows{{"1", "Say \"hi\", twice"}, {"2", "two\nlines\r\n\n"}, {"3", "5\" disk"}, {"4", ""}, {"5", "x"}});
    CHECK(read.lines == std::vector<std::uint64_t>{2, 4, 8, 9, 10});
    // With tabs a quote is a letter, unless it is said otherwise.
    const std::string tabs = folder.write("a.tsv", "id\ttitle\n1\t\"Great\" Movie\n2\t\"x\"\n");
    CHECK(read_all(tabs).rows == Rows{{"1", "\"Great\" Movie"}, {"2", "\"x\""}});
    TableOptions quoted;
    quoted.quotes = TableOptions::Choice::yes;
    CHECK(holds(read_all(tabs, quoted).error, "line 2, column 2 (\"title\"): text behind a closing quote"));
    quoted.quotes = TableOptions::Choice::no;
    CHECK(read_all(folder.write("b.csv", "id,title\n1,\"x\"\n"), quoted).rows == Rows{{"1", "\"x\""}});
}

TEST_CASE("a quote that is not closed is an error that names its line") {
    const ranklet_test::TemporaryFolder folder;
    for (const std::string end : {"", "\n", "\"\"", "\nmore,x\n", "\r\n\r\n"})
        CHECK(holds(read_all(folder.write("a.csv", "id,title\n1,a\n2,\"open" + end)).error,
                    "line 3, column 2 (\"title\"): a quote that opens on line 3 and is never closed"));
    CHECK(holds(read_all(folder.write("b.csv", "id,title\n\"x\ny\",\"")).error, "opens on line 3"));
    TableOptions bounded;
    bounded.max_record_bytes = 100;
    CHECK(holds(read_all(folder.write("c.csv", "id,title\n1,\"" + std::string(200, '\n')), bounded).error,
                "a record of more than 100 bytes"));
    CHECK(holds(read_all(folder.write("d.csv", "id,title\n1," + std::string(3'000'000, 'x')), bounded).error,
                "line 2: a record of more than 100 bytes"));
}

TEST_CASE("marks, blank lines, ends without a line feed, no lines at all") {
    const ranklet_test::TemporaryFolder folder;
    CHECK(read_all(folder.write("a", "\xEF\xBB\xBF\n\r\nuser,item\n\n1,2")).rows == Rows{{"1", "2"}});
    CHECK(read_all(folder.write("b", "user,item\n1,\n,\n")).rows == Rows{{"1", ""}, {"", ""}});
    for (const char* nothing : {"", "\n", "\r\n\n", "\xEF\xBB\xBF", "user,item", "user,item\n"}) {
        const auto read = read_all(folder.write("c", nothing));
        CHECK(read.rows.empty());
        CHECK(read.error == "");
    }
    CHECK(holds(read_all(folder.write("d", std::string("\xFF\xFEu\0s\0", 6))).error, "UTF-16"));
    CHECK(holds(read_all(folder.write("e", "\x1F\x8B\x08")).error, "unpack"));
    CHECK(holds(read_all(folder.write("f", "a,b\r1,2\r")).error, "carriage returns"));
    CHECK(
        holds(read_all(folder.write("g", "a,\xE9\n1,2\n")).error, "line 1, column 2: byte 0 of the name is not UTF-8"));
    CHECK(holds(read_all(folder.path()).error, folder.path()));
    CHECK(holds(read_all(folder.path() + "/none").error, "cannot be opened"));
    CHECK(!read_all("").error.empty());
    CHECK(!read_all(std::string("a\0b", 3)).error.empty());
}

TEST_CASE("a record may lie anywhere in the pieces that are read") {
    const ranklet_test::TemporaryFolder folder;
    std::string text = "id,title\n";
    Rows expected;
    for (int i = 0; i < 40; ++i) {  // some 3 MB: records of all sizes, across the ends of pieces
        const std::string body(static_cast<std::size_t>(i * i * 97 % 150'000), static_cast<char>('a' + i % 26));
        text += std::to_string(i) + ",\"" + body + "\n\"\"" + body.substr(0, 5) + "\"\r\n";
        expected.push_back({std::to_string(i), body + "\n\"" + body.substr(0, 5)});
    }
    const auto read = read_all(folder.write("a.csv", text));
    CHECK(read.error == "");
    CHECK((read.rows == expected));
    CHECK(read.lines.back() == 2 + 2 * 39);
}

TEST_CASE("every beginning of a file is read, or refused with a line") {
    const ranklet_test::TemporaryFolder folder;
    const std::string whole = "\xEF\xBB\xBFid,\"ti\"\"tle\"\r\n1,\"a\r\nb\"\n\n2,x\"y\n";
    for (std::size_t size = 0; size <= whole.size(); ++size) {
        const auto read = read_all(folder.write("a", whole.substr(0, size)));
        CHECK(read.rows.size() <= 2);
        if (!read.error.empty()) CHECK((holds(read.error, "line ") || holds(read.error, "text")));
    }
}

TEST_CASE("columns are found by name, with a type and without, and by number") {
    const ranklet_test::TemporaryFolder folder;
    auto reader = TableReader::open(folder.write("a.inter", "user_id:token\titem_id:token\t7\n1\t2\t3\n"), {}, false,
                                    [](std::string_view) { return false; });
    REQUIRE(reader.ok());
    CHECK(reader->has_header());  // a type says so
    CHECK(*reader->column("user_id", "users") == 0);
    CHECK(*reader->column("item_id:token", "items") == 1);
    CHECK(*reader->column("2", "items") == 1);
    CHECK(*reader->column("7", "times") == 2);  // a name
    for (const char* wrong : {"0", "4", "item", "", "99999999999999999999"}) {
        const auto found = reader->column(wrong, "items");
        REQUIRE(!found.ok());
        CHECK(found.error().code == ErrorCode::missing);
        CHECK(holds(found.error().message, "there are: \"user_id:token\", \"item_id:token\", \"7\""));
    }
    CHECK(read_all(folder.write("b", "1::2\n3::4\n"), {}, false).rows == Rows{{"1", "2"}, {"3", "4"}});
}
