// Transitions: what is not as it must be is refused, what is saved comes back bit for bit, where it lies.
#include "ranklet/counting/transitions.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "counting/helpers.hpp"
#include "io/gguf_builder.hpp"
#include "io/temporary_folder.hpp"
#include "ranklet/counting/transitions_file.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/io/gguf_writer.hpp"
#include "ranklet/model_file/reader.hpp"

namespace {

using namespace ranklet;
using namespace ranklet_test;

// c is followed by a (twice as strong) and b, a by c and b equally, b by nothing.
TransitionsData sample() {
    TransitionsData data;
    data.ids = {"a", "b", "c"};
    data.seen = {5, 0, 4000000000u};
    data.row_sizes = {2, 0, 2};
    data.followers = {1, 2, 0, 1};
    data.strengths = {0.5f, 0.5f, 0.25f, -1.5f};
    data.times = {3, 1, 212, 2147483647u};
    return data;
}
template <class Change>
void check_refused(const Change& change, const std::string& message) {
    TransitionsData data = sample();
    change(data);
    const auto result = Transitions::create(std::move(data));
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().message == message);
    CHECK(result.error().code == ErrorCode::invalid_argument);
}

}  // namespace

TEST_CASE("a table gives its rows, and finds them by id") {
    const Transitions table = take(Transitions::create(sample()));
    CHECK(table.size() == 3);
    CHECK(table.pairs() == 4);
    CHECK(table.find("c") == 2);
    CHECK(table.find("none") == 3);
    CHECK(table.id(1) == "b");
    CHECK(table.seen(2) == 4000000000u);
    CHECK(table.row(1).size() == 0);
    const Followers row = table.row(2);
    REQUIRE(row.size() == 2);
    CHECK(row.rows[0] == 0);
    CHECK(row.strengths[1] == -1.5f);
    CHECK(row.times[0] == 212);
    const Transitions copy = table;
    CHECK(copy.row(2).rows.data() == row.rows.data());  // copies share
    const Transitions none;
    CHECK(none.empty());
    CHECK(none.find("a") == 0);
    CHECK(none.all().size() == 0);
    CHECK(none.ids().empty());
    CHECK(take(Transitions::create({})).empty());
}

TEST_CASE("data that is not as it must be is an error that names the place") {
    check_refused([](auto& d) { d.ids[1] = ""; }, "transitions: item 1 has no id");
    check_refused([](auto& d) { d.ids[2] = "a"; }, "transitions: item 2 (\"a\") is there twice");
    check_refused([](auto& d) { d.seen.pop_back(); }, "transitions: 2 counts of events for 3 items");
    check_refused([](auto& d) { d.row_sizes.push_back(0); }, "transitions: 4 row sizes for 3 items");
    check_refused([](auto& d) { d.row_sizes[1] = 1; },
                  "transitions: the rows' sizes add up to 5, but there are 4 followers");
    check_refused([](auto& d) { d.row_sizes[1] = 4294967295u; },
                  "transitions: the rows' sizes add up to 4294967299, but there are 4 followers");
    check_refused([](auto& d) { d.times.pop_back(); }, "transitions: 4 followers, 4 strengths, 3 times");
    check_refused([](auto& d) { d.followers[1] = 3; },
                  "transitions: row 0 (\"a\"), follower 1: row number 3, expected less than 3");
    check_refused([](auto& d) { d.followers[3] = 0; },
                  "transitions: row 2 (\"c\"), follower 1: row number 0 is there twice");
    check_refused([](auto& d) { d.strengths[2] = std::numeric_limits<float>::quiet_NaN(); },
                  "transitions: row 2 (\"c\"), follower 0: its strength is not finite");
    check_refused([](auto& d) { d.strengths[0] = std::numeric_limits<float>::infinity(); },
                  "transitions: row 0 (\"a\"), follower 0: its strength is not finite");
    check_refused([](auto& d) { d.strengths[3] = 0.5f; },
                  "transitions: row 2 (\"c\"), follower 1: expected the stronger first, and equal ones by row number");
    check_refused([](auto& d) { std::swap(d.followers[0], d.followers[1]); },
                  "transitions: row 0 (\"a\"), follower 1: expected the stronger first, and equal ones by row number");
    check_refused([](auto& d) { d.times[3] = 2147483648u; },
                  "transitions: row 2 (\"c\"), follower 1: seen 2147483648 times, expected at most 2147483647");
}

TEST_CASE("a saved table comes back bit for bit, used where it lies, and outlives its file's name") {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/t.gguf";
    const Transitions saved = take(counted(make_log(1, 40, 30, 3000)).snapshot({.followers = 7}));
    REQUIRE(saved.pairs() > 150);
    succeed(save_transitions(saved, path));
    for (const bool verify : {true, false}) {
        TransitionsLoadOptions options;
        options.verify_checksum = verify;
        const Transitions loaded = take(load_transitions(path, options));
        CHECK(told(loaded) == told(saved));
    }
    const Transitions loaded = take(load_transitions(path));
    CHECK(std::filesystem::remove(path));
    CHECK(told(loaded) == told(saved));
    const Transitions fixed = take(Transitions::create(sample()));
    succeed(save_transitions(fixed, path));
    CHECK(told(take(load_transitions(path))) == told(fixed));
    succeed(save_transitions(Transitions(), path));
    CHECK(take(load_transitions(path)).empty());
    check_error(save_transitions(fixed, folder.path() + "/no/where"), ErrorCode::io);
    check_error(load_transitions(folder.path() + "/none"), ErrorCode::io);
    check_error(load_transitions(folder.path()), ErrorCode::io);
    check_error(load_transitions(folder.write("text", "a\tb\n")), ErrorCode::format);
    check_error(load_transitions("examples/models/demo-shop.gguf"), ErrorCode::missing,
                "no key ranklet.transitions.version");
}

TEST_CASE("a table lies in a model file beside everything else, at any address") {
    const Transitions saved = take(Transitions::create(sample()));
    GgufWriter writer;
    writer.key("general.architecture", "ranklet");
    const std::vector<float> weights{1, 2};
    writer.tensor("weights", 1, 2, weights);
    write_transitions(writer, saved);
    const Transitions none;
    write_transitions(writer, none, "other.");
    const std::vector<std::byte> bytes = take(writer.bytes());
    for (const std::size_t shift : {0u, 1u, 2u}) {
        std::vector<std::byte> moved(bytes.size() + 64);
        const std::size_t from = (64 - reinterpret_cast<std::uintptr_t>(moved.data()) % 64) % 64 + shift;
        moved.resize(bytes.size() + from);
        std::copy(bytes.begin(), bytes.end(), moved.begin() + static_cast<std::ptrdiff_t>(from));
        const GgufFile file = take(GgufFile::from_memory(std::span(moved).subspan(from), "m.gguf"));
        const Transitions read = take(read_transitions(file));
        CHECK(told(read) == told(saved));
        const auto address = reinterpret_cast<const std::byte*>(read.all().rows.data());
        CHECK((address >= moved.data() && address < moved.data() + moved.size()) == (shift == 0));
        CHECK(take(read_transitions(file, "other.")).empty());
        check_error(read_transitions(file, "third."), ErrorCode::missing, "m.gguf: no key third.version");
        const ModelReader reader(file);
        CHECK(take(reader.tensor("weights")).cols == 2);
        check_error(reader.tensor("ranklet.transitions.followers"), ErrorCode::unsupported, "found I32");
    }
}

TEST_CASE("every truncation and every changed byte of a file is an error naming the file") {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/t.gguf";
    succeed(save_transitions(take(Transitions::create(sample())), path));
    check_damage(bytes_of_file(path), path, [](const std::string& p) { return load_transitions(p); });
}

TEST_CASE("what a file says of its table is checked, whoever wrote it") {
    using ranklet_test::GgufBuilder;
    constexpr std::uint32_t i32 = 26, f32 = 0;
    struct Parts {
        std::uint32_t version = 1, type = i32, strengths_type = f32;
        std::vector<std::string> ids{"a", "b"};
        std::vector<std::uint32_t> seen{1, 2}, sizes{1, 1};
        std::vector<std::int32_t> followers{1, 0}, times{1, 1};
        std::vector<float> strengths{1, 2};
    };
    const auto read = [](const Parts& p) {
        const auto bytes =
            GgufBuilder()
                .key("ranklet.transitions.version", p.version)
                .array("ranklet.transitions.ids", p.ids)
                .array("ranklet.transitions.seen", p.seen)
                .array("ranklet.transitions.row_sizes", p.sizes)
                .tensor("ranklet.transitions.followers", p.type, {p.followers.size()},
                        ranklet_test::bytes_of(p.followers))
                .tensor("ranklet.transitions.strengths", p.strengths_type, {p.strengths.size()},
                        ranklet_test::bytes_of(p.strengths))
                .tensor("ranklet.transitions.times", i32, {p.times.size()}, ranklet_test::bytes_of(p.times))
                .build();
        const auto table = read_transitions(take(GgufFile::from_memory(bytes, "t.gguf")));
        return table.ok() ? std::string() : std::string(to_string(table.error().code)) + ", " + table.error().message;
    };
    CHECK(read({}).empty());
    CHECK(read({.version = 2}) == "unsupported, t.gguf: ranklet.transitions.version is 2, this program reads 1");
    CHECK(read({.type = f32}) ==
          "unsupported, t.gguf: tensor \"ranklet.transitions.followers\": expected I32, found F32");
    CHECK(read({.strengths_type = i32}) ==
          "unsupported, t.gguf: tensor \"ranklet.transitions.strengths\": expected F32, F16, BF16, I8, Q8_0, Q4_0 to Q5_1 or Q4_K to Q6_K, found "
          "I32");
    CHECK(read({.ids = {"a", "a"}}) == "format, t.gguf: transitions: item 1 (\"a\") is there twice");
    CHECK(read({.ids = {"a"}}) == "format, t.gguf: transitions: 2 counts of events for 1 items");
    CHECK(read({.followers = {-1, 0}}) ==
          "format, t.gguf: transitions: row 0 (\"a\"), follower 0: row number 4294967295, expected less than 2");
    CHECK(read({.times = {1, -1}}) ==
          "format, t.gguf: transitions: row 1 (\"b\"), follower 0: seen 4294967295 times, expected at most 2147483647");
    CHECK(read({.times = {1}}) == "format, t.gguf: transitions: 2 followers, 2 strengths, 1 times");
    CHECK(read({.sizes = {1, 2}}) ==
          "format, t.gguf: transitions: the rows' sizes add up to 3, but there are 2 followers");
}

TEST_CASE("whatever bytes a file has, it is an error or a table that can be used") {
    GgufWriter writer;
    const Transitions saved = take(Transitions::create(sample()));
    write_transitions(writer, saved);
    const std::vector<std::byte> original = take(writer.bytes());
    std::mt19937 random(3);
    const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random()) % limit; };
    int loaded = 0, refused = 0;
    for (int round = 0; round < 20000; ++round) {
        std::vector<std::byte> bytes = original;
        for (std::size_t changes = 1 + below(3); changes > 0; --changes)
            bytes[below(bytes.size())] = below(2) == 0 ? static_cast<std::byte>(random()) : std::byte{0};
        const auto file = GgufFile::from_memory(bytes, "t.gguf");
        if (!file.ok()) continue;
        const auto table = read_transitions(*file);
        if (!table.ok()) {
            ++refused;
            CHECK(table.error().message.rfind("t.gguf: ", 0) == 0);
            continue;
        }
        ++loaded;
        CHECK(told(*table).size() > 0);
    }
    CHECK(loaded > 100);
    CHECK(refused > 100);
}
