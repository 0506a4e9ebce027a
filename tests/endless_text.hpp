// An endless text of words that are one token each in the tiny models' vocabularies.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace ranklet_test {

/// Words [first, last) of it.
inline std::string text_of(std::size_t first, std::size_t last) {
    constexpr std::array<std::string_view, 4> words{"red", "phone", "the", "case"};
    std::string text;
    for (std::size_t i = first; i < last; ++i) {
        if (i > first) text += ' ';
        text += words[(i * i + i / 3) % words.size()];
    }
    return text;
}

}  // namespace ranklet_test
