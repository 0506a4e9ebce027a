// TextList: one view of texts, whatever string they are.
#include "ranklet/core/text_list.hpp"

#include <doctest/doctest.h>

#include <array>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace {

using ranklet::TextList;

std::vector<std::string> texts_of(TextList list) { return {list.begin(), list.end()}; }

const std::vector<std::string> expected{"red phone", "", "手机壳"};

}  // namespace

TEST_CASE("strings, views and C strings are read where they lie, in whatever holds them") {
    const std::vector<std::string> strings = expected;
    const std::vector<std::string_view> views(strings.begin(), strings.end());
    const std::array<std::string, 3> array{"red phone", "", "手机壳"};
    const std::array literals{"red phone", "", "手机壳"};
    const char* const c_array[]{"red phone", nullptr, "手机壳"};  // a null pointer is the empty text
    const std::initializer_list<std::string_view> list{"red phone", "", "手机壳"};
    CHECK(texts_of(strings) == expected);
    CHECK(texts_of(views) == expected);
    CHECK(texts_of(array) == expected);
    CHECK(texts_of(literals) == expected);
    CHECK(texts_of(c_array) == expected);
    CHECK(texts_of(list) == expected);
    CHECK(texts_of(std::span<const std::string>(strings)) == expected);
    CHECK(TextList(strings)[0].data() == strings[0].data());  // nothing is copied
    CHECK(TextList(views)[2].data() == strings[2].data());
    CHECK(TextList().empty());
    CHECK(texts_of({}).empty());
    CHECK(texts_of(std::vector<std::string>()).empty());
}

TEST_CASE("a part of a list is a list") {
    const std::vector<std::string> strings = expected;
    const std::vector<std::string_view> views(strings.begin(), strings.end());
    const std::array literals{"red phone", "", "手机壳"};
    for (const TextList list : {TextList(strings), TextList(views), TextList(literals)}) {
        CHECK(list.size() == 3);
        const TextList part = list.subspan(1, 2);
        CHECK(part.size() == 2);
        CHECK(part[0].empty());
        CHECK(part[1] == "手机壳");
        CHECK(list.subspan(3, 0).empty());
    }
}

TEST_CASE("one string is no list of texts") {
    CHECK_FALSE(std::is_convertible_v<std::string, TextList>);
    CHECK_FALSE(std::is_convertible_v<std::string_view, TextList>);
    CHECK_FALSE(std::is_convertible_v<const char*, TextList>);
    CHECK_FALSE(std::is_convertible_v<std::vector<int>, TextList>);
    // What an option could keep would end before it: a braced list is for functions' parameters.
    CHECK_FALSE(std::is_constructible_v<TextList, const char*, const char*>);
}
