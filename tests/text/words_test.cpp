// Runs of words and of Chinese characters.
#include "ranklet/text/words.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace {

std::vector<std::string> runs(std::string_view text) {
    std::vector<std::string> out;
    std::uint32_t end = 0;
    ranklet::detail::for_each_run(text, [&](const ranklet::detail::WordRun& run) {
        CHECK(run.bytes.begin >= end);
        CHECK(run.bytes.end > run.bytes.begin);
        end = run.bytes.end;
        out.push_back((run.chinese ? "zh:" : "") + std::string(text.substr(run.bytes.begin, end - run.bytes.begin)));
    });
    return out;
}
using Runs = std::vector<std::string>;

}  // namespace

TEST_CASE("words and Chinese runs, each by itself, in order") {
    CHECK(runs("Two tents, 3 cups") == Runs{"Two", "tents", "3", "cups"});
    CHECK(runs("红色iPhone手机壳。新") == Runs{"zh:红色", "iPhone", "zh:手机壳", "zh:新"});
    CHECK(runs("Kantō naïve Ωmega") == Runs{"Kantō", "naïve", "Ωmega"});
    CHECK(runs("").empty());
    CHECK(runs(" \t,.!😀").empty());
}

TEST_CASE("an apostrophe or a hyphen inside a word belongs to it, elsewhere it does not") {
    CHECK(runs("don't rock-solid 'quoted' end- -start a--b x-") ==
          Runs{"don't", "rock-solid", "quoted", "end", "start", "a", "b", "x"});
    CHECK(runs("it\xE2\x80\x99s") == Runs{"it\xE2\x80\x99s"});
    CHECK(runs("USB-手机") == Runs{"USB", "zh:手机"});
    CHECK(runs("-") == Runs{});
}
