// A program of one unit that checks the library's answers without any test framework. Exit code 0: all are right.
#include <cstdio>

#include "answers_of_this_unit.hpp"

int main() {
    const Answers answers = answers_of_this_unit();
    int wrong = 0;
    const auto check = [&](bool right, const char* what) {
        if (!right) std::fprintf(stderr, "%s is wrong in %s\n", what, answers.abi_tag.c_str());
        wrong += right ? 0 : 1;
    };
    check(answers.product == std::array<float, 5>{8.0f, 14.0f, 20.0f, 26.0f, 32.0f}, "the product");
    check(answers.probabilities.size() == 4 && std::abs(answers.probabilities[2] - 0.625f) < 1e-6f, "softmax");
    check(answers.best == std::vector<std::uint32_t>{1, 2, 4}, "top-k");
#if __has_include("ranklet/text/wordpiece.hpp")
    check(answers.tokens == std::vector<std::int32_t>{2, 4, 5, 6, 7, 3}, "WordPiece");
#endif
#if __has_include("ranklet/io/gguf.hpp")
    check(answers.error.find("none.gguf") != std::string::npos, "the refusal of a broken file");
#endif
    return wrong;
}
