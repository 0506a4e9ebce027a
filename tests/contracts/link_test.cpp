// Translation units that include all of the library link into one program, whatever flags each was compiled with.
#include <doctest/doctest.h>

#include "answers_of_this_unit.hpp"

namespace {

void check(const Answers& answers) {
    CHECK(answers.product == std::array<float, 5>{8.0f, 14.0f, 20.0f, 26.0f, 32.0f});
    REQUIRE(answers.probabilities.size() == 4);
    CHECK(answers.probabilities[0] == doctest::Approx(0.125).epsilon(1e-6));
    CHECK(answers.probabilities[1] == doctest::Approx(0.25).epsilon(1e-6));
    CHECK(answers.probabilities[2] == doctest::Approx(0.625).epsilon(1e-6));
    CHECK(answers.probabilities[3] == 0.0f);
    CHECK(answers.best == std::vector<std::uint32_t>{1, 2, 4});
#if __has_include("ranklet/text/wordpiece.hpp")
    CHECK(answers.tokens == std::vector<std::int32_t>{2, 4, 5, 6, 7, 3});
#endif
#if __has_include("ranklet/io/gguf.hpp")
    CHECK(answers.error.find("none.gguf") != std::string::npos);
#endif
}

bool runs_x86_64_v3() {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
#else
    return true;
#endif
}

}  // namespace

TEST_CASE("two units with the same flags share one library in one program") {
    const Answers here = answers_of_this_unit();
    const Answers there = answers_of_second_unit();
    check(here);
    check(there);
    CHECK(here.abi_tag == there.abi_tag);
    CHECK(here.abi_tag_address == there.abi_tag_address);
}

TEST_CASE("units with different instruction sets and without exceptions each have a library of their own") {
    const Answers narrow = answers_of_narrow_unit();
    check(narrow);
    CHECK(narrow.has_exceptions == answers_of_this_unit().has_exceptions);
    if (!runs_x86_64_v3()) {
        MESSAGE("skipping the wide unit: this processor has no AVX2");
        return;
    }
    const Answers wide = answers_of_wide_unit();
    check(wide);
    CHECK_FALSE(wide.has_exceptions);
    CHECK(wide.abi_tag != narrow.abi_tag);
    CHECK(wide.abi_tag_address != narrow.abi_tag_address);
    CHECK(wide.abi_tag.find("_noexcept") != std::string::npos);
#if defined(__x86_64__)
    CHECK(narrow.abi_tag.find("_sse2") != std::string::npos);
    CHECK(wide.abi_tag.find("_avx2fma") != std::string::npos);
#endif
}
