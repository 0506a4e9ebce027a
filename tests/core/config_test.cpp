// The ABI tag: what changes the code changes the name of everything, so that differently compiled units share nothing.
#include "ranklet/core/config.hpp"

#include <doctest/doctest.h>

#include <string_view>

TEST_CASE("the ABI tag names how products with bf16 weights are made, where that is not the only way") {
    constexpr std::string_view tag = ranklet::abi_tag;
    constexpr bool emulated = tag.find("_bf16emulated") != tag.npos, widened = tag.find("_bf16widened") != tag.npos;
    constexpr bool named = tag.find("_bf16") != tag.npos;
#if defined(__AVX512BF16__)
    CHECK(named);
    CHECK(widened == !ranklet::uses_bf16_dot);
#else
    CHECK(named == ranklet::uses_bf16_dot);
    CHECK(emulated == ranklet::uses_bf16_dot);
    CHECK_FALSE(widened);
#endif
    CHECK((named && !widened) == ranklet::uses_bf16_dot);
    CHECK_FALSE((emulated && widened));
    CHECK(tag.substr(0, 5) == "v0_1_");
}
