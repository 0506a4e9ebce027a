// Answers stay what they were: catalog files and user states of an earlier release are read, rank and explain with the
// bits that were recorded, and are written again byte for byte. goldens/ is what make.cpp wrote then.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "answers.hpp"
#include "io/temporary_folder.hpp"

void unchanged::fail(const std::string& what) {
    FAIL(what);
    std::abort();  // doctest goes on: it is built to do without exceptions
}

namespace {

using namespace unchanged;

constexpr std::string_view goldens = "tests/unchanged/goldens";

/// Bits are the same wherever there is fused multiply-add; elsewhere numbers agree to 1e-5, and those of 8-bit models
/// to what a step of quantisation is worth: where an activation lies between two steps, a last bit decides.
#if defined(__FMA__) || defined(__aarch64__)
constexpr bool same_bits_expected = true;
#else
constexpr bool same_bits_expected = false;
#endif
float tolerance(const Case& c) { return c.name.ends_with("-i8") ? 2e-2f : 1e-5f; }

std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    REQUIRE_MESSAGE(file.is_open(), path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}
std::string to_string(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts(1);
    for (const char c : text)
        if (c == separator)
            parts.emplace_back();
        else
            parts.back() += c;
    return parts;
}

/// Words are the same; numbers have the same bits, or differ by no more than the tolerance. (The second of two
/// attentions or contributions, say, may be "nan".)
bool same_line(const std::string& found, const std::string& golden, float allowed) {
    const auto a = split(found, '\t'), b = split(golden, '\t');
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (a[i] == b[i]) continue;
        char *end_a = nullptr, *end_b = nullptr;
        const float x = std::strtof(a[i].c_str(), &end_a), y = std::strtof(b[i].c_str(), &end_b);
        if (a[i].empty() || b[i].empty() || *end_a != '\0' || *end_b != '\0') return false;
        if (std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y)) continue;
        if (same_bits_expected || !(std::abs(x - y) <= allowed * std::max(1.0f, std::abs(y)))) return false;
    }
    return true;
}

void check_answers(const Case& c, const std::vector<std::string>& found) {
    auto golden = split(read(answers_path(goldens, c)), '\n');
    REQUIRE(golden.back().empty());
    golden.pop_back();
    REQUIRE(found.size() == golden.size());
    for (std::size_t i = 0; i < golden.size(); ++i)
        CHECK_MESSAGE(same_line(found[i], golden[i], tolerance(c)), "found\n"
                                                                        << found[i] << "\nexpected\n"
                                                                        << golden[i]);
}

}  // namespace

TEST_CASE("catalog files and user states of before are read and answer with the same bits") {
    for (const Case& c : cases) {
        CAPTURE(c.name);
        const auto model = take(ranklet::Recommender::load(std::string(c.model)));
        const auto catalog = take(model.load_catalog(catalog_path(goldens, c)));
        std::vector<std::string> found;
        for (const std::string_view name : user_names(c)) {
            const std::string state = read(state_path(goldens, c, name));
            const auto user = take(model.load_user(std::as_bytes(std::span(state))));
            for (std::string& line : answers(model, catalog, c, name, user)) found.push_back(std::move(line));
        }
        check_answers(c, found);
    }
}

TEST_CASE("catalog files and user states of before are written again byte for byte") {
    const ranklet_test::TemporaryFolder folder;
    for (const Case& c : cases) {
        CAPTURE(c.name);
        const auto model = take(ranklet::Recommender::load(std::string(c.model)));
        const auto catalog = take(model.load_catalog(catalog_path(goldens, c)));
        succeed(ranklet::save_catalog(catalog, catalog_path(folder.path(), c)));
        CHECK(read(catalog_path(folder.path(), c)) == read(catalog_path(goldens, c)));
        for (const std::string_view name : user_names(c)) {
            const std::string state = read(state_path(goldens, c, name));
            const auto user = take(model.load_user(std::as_bytes(std::span(state))));
            CHECK_MESSAGE(to_string(user.save()) == state, name);
        }
    }
}

TEST_CASE("the same items and events give the same catalog files, user states and answers as before") {
    const ranklet_test::TemporaryFolder folder;
    for (const Case& c : cases) {
        CAPTURE(c.name);
        const auto model = take(ranklet::Recommender::load(std::string(c.model)));
        const auto catalog = make_catalog(model, c);
        succeed(ranklet::save_catalog(catalog, catalog_path(folder.path(), c)));
        if (same_bits_expected) CHECK(read(catalog_path(folder.path(), c)) == read(catalog_path(goldens, c)));
        std::vector<std::string> found;
        for (const std::string_view name : user_names(c)) {
            const auto user = make_user(model, catalog, c, name);
            if (same_bits_expected) CHECK_MESSAGE(to_string(user.save()) == read(state_path(goldens, c, name)), name);
            for (std::string& line : answers(model, catalog, c, name, user)) found.push_back(std::move(line));
        }
        check_answers(c, found);
    }
}
