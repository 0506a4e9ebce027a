// Every count in a model file is paid for by the file's own bytes: whatever it says, loading it and encoding a short text
// take no more memory than 16 times its size and a little. Files that are changed at random places.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "heap_counters.hpp"
#include "kernels/reference.hpp"
#include "ranklet/ranklet.hpp"
#include "recommender/models.hpp"

#if defined(__linux__)

namespace {

using namespace ranklet;
using Bytes = std::vector<std::byte>;
using ranklet_test::Random;

/// Numbers that are too large, too small, or almost right, somewhere in what stands before the tensors.
void change(Bytes& bytes, std::size_t header, Random& random) {
    for (std::size_t edits = 1 + random.below(3); edits-- > 0;) {
        const std::size_t width = std::size_t{1} << random.below(4);  // 1, 2, 4 or 8 bytes
        const std::size_t at = random.below(header - width);
        std::uint64_t value = 0;
        std::memcpy(&value, bytes.data() + at, width);
        switch (random.below(6)) {
            case 0:
                value = random.below(1u << 31);
                break;
            case 1:
                value = std::uint64_t{1} << random.below(64);
                break;
            case 2:
                value = ~value;
                break;
            case 3:
                value = value * (2 + random.below(1000));
                break;
            case 4:
                ++value;
                break;
            default:
                value = random.below(256);
                break;
        }
        std::memcpy(bytes.data() + at, &value, width);
    }
    if (random.below(20) == 0) bytes.resize(random.below(bytes.size()) + 1);
}

template <class Model>
bool load_and_encode(const Bytes& bytes) {
    LoadOptions options;
    options.self_test = false;  // which most changes would not pass
    const auto model = Model::from_memory(bytes, options);
    if (!model.ok()) return false;
    if constexpr (std::is_same_v<Model, Recommender>) {
        const std::vector<Item> items{{"a", "a red phone case"}, {"b", "手机"}};
        const auto catalog = model->encode_catalog(items);
        if (!catalog.ok()) return true;
        auto user = model->new_user();
        (void)user.observe((*catalog)[0], 4.0f);
        (void)model->recommend(user, *catalog, {.k = 2});
    } else {
        (void)model->encode("a red phone case");
    }
    return true;
}

}  // namespace

TEST_CASE("no model file takes more memory than 16 times its size, whatever its numbers say") {
    constexpr std::size_t times = 16, little = 1u << 18;
    // News models state how many events and words they read, 10,000 and 4,096 at most, and have room for so many.
    constexpr std::size_t longest_history = 8u << 20;
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator("tests/parity/goldens"))
        if (entry.path().extension() == ".gguf" && entry.path().stem().extension() != ".golden")
            paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    REQUIRE(paths.size() > 20);
    std::size_t loaded = 0, refused = 0;
    for (const auto& path : paths) {
        const Bytes whole = ranklet_test::read_bytes(path.string());
        const auto file = GgufFile::from_memory(whole, "whole");
        REQUIRE(file.ok());
        std::size_t header = whole.size();
        for (const TensorView& tensor : file->tensors())
            header = std::min(header, static_cast<std::size_t>(tensor.data - whole.data()));
        const bool news = path.stem().string().rfind("news-", 0) == 0;
        for (std::size_t seed = 0; seed < 1000; ++seed) {
            Bytes bytes = whole;
            Random random(seed + 1000 * whole.size());
            if (seed > 0) change(bytes, header, random);
            CAPTURE(path.string());
            CAPTURE(seed);
            const std::size_t before = ranklet_test::heap_bytes;
            ranklet_test::most_heap_bytes = before;
            const bool any = load_and_encode<Recommender>(bytes) + load_and_encode<Bert>(bytes) +
                                 load_and_encode<WordVectors>(bytes) >
                             0;
            ++(any ? loaded : refused);
            CHECK(ranklet_test::most_heap_bytes - before <=
                  times * bytes.size() + little + (news ? longest_history : 0));
        }
    }
    CHECK(loaded > 5000);
    CHECK(refused > 5000);
}

#endif
