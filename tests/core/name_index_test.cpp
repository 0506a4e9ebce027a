// NameIndex: names found, names twice, and a list that grows.
#include "ranklet/core/name_index.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using ranklet::detail::NameIndex;

TEST_CASE("an index without names finds none") {
    const NameIndex index;
    CHECK(index.find("a", {}) == NameIndex::none);
    CHECK(NameIndex().add_all({}) == NameIndex::none);
}

TEST_CASE("every name of a growing list is found at its place, and no other") {
    NameIndex index;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < 1000; ++i) {
        names.push_back("name " + std::to_string(i));
        CHECK(index.add(i, names) == i);
    }
    for (std::size_t i = 0; i < names.size(); ++i) CHECK(index.find("name " + std::to_string(i), names) == i);
    CHECK(index.find("name 1000", names) == NameIndex::none);
    CHECK(index.find("", names) == NameIndex::none);
}

TEST_CASE("a name that stands twice is found out, at the first place") {
    const std::vector<std::string> names{"a", "", "b", "", "a"};
    NameIndex index;
    CHECK(index.add_all(names) == 3);
    CHECK(index.find("", names) == 1);
    NameIndex again;
    CHECK(again.add(0, names) == 0);
    CHECK(again.add(4, names) == 0);
}
