// ByteTrie against a plain map.
#include "ranklet/text/byte_trie.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

using ranklet::detail::ByteTrie;

namespace {

ByteTrie make(const std::map<std::string, std::int32_t>& entries) {
    std::vector<std::string_view> keys;
    std::vector<std::int32_t> values;
    for (const auto& [key, value] : entries) {
        keys.push_back(key);
        values.push_back(value);
    }
    return ByteTrie::create(keys, values).value();
}

std::int32_t find(const ByteTrie& trie, std::string_view key) {
    const ByteTrie::Node node = trie.walk(ByteTrie::root, key);
    return node == ByteTrie::none ? ByteTrie::no_value : trie.value(node);
}

}  // namespace

TEST_CASE("a trie finds its keys, all of them and nothing else") {
    std::map<std::string, std::int32_t> entries;
    std::uint32_t state = 1;
    const auto random = [&](std::uint32_t n) {
        state = state * 1664525 + 1013904223;
        return (state >> 8) % n;
    };
    const auto word = [&] {
        std::string out;
        for (std::uint32_t i = 1 + random(6); i > 0; --i)
            out += static_cast<char>(random(5) == 0 ? 128 + random(100) : 'a' + random(6));
        return out;
    };
    while (entries.size() < 20000) entries.emplace(word(), static_cast<std::int32_t>(entries.size()));
    const ByteTrie trie = make(entries);
    std::size_t wrong = 0;
    for (const auto& [key, value] : entries) wrong += find(trie, key) != value;
    for (int i = 0; i < 100000; ++i) {
        const std::string key = word();
        const auto entry = entries.find(key);
        wrong += find(trie, key) != (entry == entries.end() ? ByteTrie::no_value : entry->second);
    }
    CHECK(wrong == 0);
    CHECK(trie.memory() < 64 * entries.size());
}

TEST_CASE("no byte leads anywhere from a leaf or from an empty trie") {
    const ByteTrie empty;
    const ByteTrie one = make({{"a", 7}});
    CHECK(find(one, "a") == 7);
    const ByteTrie::Node leaf = one.child(ByteTrie::root, 'a');
    for (unsigned byte = 0; byte < 256; ++byte) {
        CHECK(empty.child(ByteTrie::root, static_cast<unsigned char>(byte)) == ByteTrie::none);
        CHECK(one.child(leaf, static_cast<unsigned char>(byte)) == ByteTrie::none);
        if (byte != 'a') CHECK(one.child(ByteTrie::root, static_cast<unsigned char>(byte)) == ByteTrie::none);
    }
}

TEST_CASE("keys may share beginnings, hold a zero byte, or be empty, which none finds") {
    const ByteTrie trie = make({{"", 0}, {std::string("a\0b", 3), 1}, {"a", 2}, {"ab", 3}, {"abc", 4}});
    CHECK(find(trie, "") == ByteTrie::no_value);
    CHECK(find(trie, std::string("a\0b", 3)) == 1);
    CHECK(find(trie, std::string("a\0", 2)) == ByteTrie::no_value);
    CHECK(find(trie, "a") == 2);
    CHECK(find(trie, "ab") == 3);
    CHECK(find(trie, "abc") == 4);
    CHECK(find(trie, "abcd") == ByteTrie::no_value);
    CHECK(find(trie, "b") == ByteTrie::no_value);
}
