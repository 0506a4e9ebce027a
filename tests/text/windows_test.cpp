// Windows over a long text: where they are cut, against Hugging Face's tokenizers, and whose each token is.
#include "ranklet/text/windows.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

using namespace ranklet;
using detail::cut_windows;
using detail::TokenWindow;

TEST_CASE("windows are cut as Hugging Face's tokenizers truncate with a stride") {
    std::ifstream file(std::filesystem::path(__FILE__).parent_path() / "goldens" / "windows.txt");
    REQUIRE(file.good());
    std::size_t cases = 0;
    std::vector<TokenWindow> windows;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("#")) continue;
        std::istringstream numbers(line);
        std::size_t tokens = 0, room = 0, overlap = 0;
        numbers >> tokens >> room >> overlap;
        cut_windows(tokens, room, overlap, windows);
        std::size_t at = 0, first = 0, last = 0;
        bool same = true;
        for (; numbers >> first >> last; ++at)
            same = same && at < windows.size() && windows[at].first == first && windows[at].last == last;
        CHECK_MESSAGE((same && at == windows.size()), line);
        ++cases;
    }
    CHECK(cases == 530);
}

TEST_CASE("each token is of the window in which a cut is furthest, of equal ones of the earlier") {
    std::vector<TokenWindow> windows;
    for (std::size_t tokens = 1; tokens < 60; ++tokens)
        for (const std::size_t room : {1u, 2u, 3u, 7u, 12u})
            for (std::size_t overlap = 0; overlap < room; ++overlap) {
                cut_windows(tokens, room, overlap, windows);
                std::vector<std::size_t> owners(tokens, windows.size());
                for (std::size_t w = 0; w < windows.size(); ++w)
                    for (std::size_t t = windows[w].own_first; t < windows[w].own_last; ++t) {
                        CHECK(owners[t] == windows.size());  // no other's
                        owners[t] = w;
                    }
                for (std::size_t t = 0; t < tokens; ++t) {
                    std::size_t best = windows.size(), most = 0;
                    for (std::size_t w = 0; w < windows.size(); ++w) {
                        const auto& window = windows[w];
                        if (t < window.first || t >= window.last) continue;
                        const std::size_t before = window.first == 0 ? 1000 : t - window.first;
                        const std::size_t after = window.last == tokens ? 1000 : window.last - 1 - t;
                        const std::size_t context = before < after ? before : after;
                        if (best == windows.size() || context > most) {
                            best = w;
                            most = context;
                        }
                    }
                    if (owners[t] != best) FAIL(tokens << ' ' << room << ' ' << overlap << ": token " << t);
                }
            }
}

TEST_CASE("what is told of a text that was read to its end, or not") {
    const std::vector<TokenSpan> spans{{0, 3}, {4, 9}};
    const TextRead cut = detail::text_read("red phone case ", spans, true);
    CHECK((cut.bytes == 9 && cut.tokens == 2 && cut.windows == 1 && !cut.whole));
    const TextRead whole = detail::text_read("red phone ", spans, false);
    CHECK((whole.bytes == 10 && whole.tokens == 2 && whole.whole));
    const TextRead nothing = detail::text_read("red", {}, true);
    CHECK((nothing.bytes == 0 && nothing.tokens == 0 && !nothing.whole));
    CHECK(TextRead().windows == 0);  // who does not tell
}
