// The library's answers to small questions whose results are known, and the identity of the code that gave them.
// Each unit of the link tests makes them from the library as that unit was compiled.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

struct Answers {
    std::string abi_tag;
    const void* abi_tag_address = nullptr;
    bool has_exceptions = false;
    std::array<float, 5> product{};    // [1 2 3] times the transpose of W[5, 3], W[i, j] = i + j
    std::vector<float> probabilities;  // softmax of {log 1, log 2, log 5, -infinity}
    std::vector<std::uint32_t> best;   // the best 3 of {1, 7, 7, NaN, 3}
    std::vector<std::int32_t> tokens;  // "Hello, worlds" by WordPiece
    std::string error;                 // how a model file that is none is refused
};

Answers answers_of_second_unit();
Answers answers_of_narrow_unit();
Answers answers_of_wide_unit();
