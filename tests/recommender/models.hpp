// What the tests of whole models share: the tiny model files, texts, catalogs and users.
// In: names and seeds. Out: loaded models and what goes into them. Tests start at the project's root.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/reference.hpp"
#include "ranklet/decoders/text_gru.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/encoders/bert_model.hpp"
#include "ranklet/encoders/item_table.hpp"
#include "ranklet/encoders/token_batch.hpp"
#include "ranklet/recommender.hpp"
#include "ranklet/text/wordpiece.hpp"
#include "results.hpp"

namespace ranklet_test {

/// One model of each scoring and form. Those that encode text come first.
inline constexpr std::array model_names{"tiny-text-gru",  "tiny-text-gru-wide", "tiny-next-event", "tiny-dot-product",
                                        "tiny-words-dot", "tiny-words-next",    "tiny-items"};
inline constexpr std::array text_model_names{"tiny-text-gru",    "tiny-text-gru-wide", "tiny-next-event",
                                             "tiny-dot-product", "tiny-words-dot",     "tiny-words-next"};

/// The same scorings with GRUs (and encoders) in 8 bits, beside those in f32.
inline constexpr std::array any_model_names{
    "tiny-text-gru",   "tiny-text-gru-wide", "tiny-next-event",  "tiny-dot-product",   "tiny-words-dot",
    "tiny-words-next", "tiny-items",         "tiny-text-gru-i8", "tiny-next-event-i8", "tiny-items-i8"};

inline std::string model_path(const std::string& name) { return "tests/parity/goldens/" + name + ".gguf"; }
inline ranklet::Recommender load_model(const std::string& name) {
    return take(ranklet::Recommender::load(model_path(name)));
}

/// Some 300 tokens in a few texts: with the demo's model enough for products that threads share, as the tiny models'
/// are not.
struct LargeBatch {
    std::vector<std::int32_t> ids;
    std::vector<std::size_t> offsets{0};
    ranklet::TokenBatch batch;

    explicit LargeBatch(const ranklet::Bert& bert) {
        const std::size_t length = std::min<std::size_t>(bert.model().max_tokens(), 60);
        while (ids.size() < 300) {
            for (std::size_t i = 0; i < length; ++i)
                ids.push_back(static_cast<std::int32_t>((ids.size() * 37 + 11) % bert.model().vocabulary_size()));
            offsets.push_back(ids.size());
        }
        batch = {ids, {}, offsets};
    }
    LargeBatch(const LargeBatch&) = delete;
    LargeBatch& operator=(const LargeBatch&) = delete;
};

inline std::vector<std::byte> read_bytes(const std::string& path) {
    std::vector<std::byte> bytes;
    std::FILE* file = std::fopen(path.c_str(), "rb");
    REQUIRE_MESSAGE(file != nullptr, path);
    std::array<std::byte, 65536> block;
    for (std::size_t n; (n = std::fread(block.data(), 1, block.size(), file)) > 0;)
        bytes.insert(bytes.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(n));
    std::fclose(file);
    return bytes;
}

/// English and Chinese words, 0 to 60 of them: from the empty text to texts that are truncated.
inline std::string make_text(Random& random) {
    static constexpr std::array<std::string_view, 16> words{
        "wireless", "phone", "red", "book",        "the",    "手机",  "红色", "帐篷",
        "espresso", "café",  "2",   "unwatchable", "充电器", "small", "new",  "boat"};
    std::string text;
    for (std::size_t n = random.below(3) == 0 ? random.below(61) : random.below(9); n > 0; --n) {
        if (!text.empty() && random.below(4) != 0) text += random.below(6) == 0 ? ", " : " ";
        text += words[random.below(words.size())];
    }
    return text;
}

/// Items to encode, with their strings.
struct Items {
    std::vector<std::string> ids, texts;
    std::vector<ranklet::Item> items;
    explicit Items(std::size_t n, std::uint64_t seed = 1) {
        Random random(seed);
        for (std::size_t i = 0; i < n; ++i) {
            ids.push_back("item-" + std::to_string(i));
            texts.push_back(make_text(random));
        }
        for (std::size_t i = 0; i < n; ++i) items.push_back({ids[i], texts[i]});
    }
};

/// A catalog of n items, or the model's own items where it does not encode text.
inline ranklet::Catalog make_catalog(const ranklet::Recommender& model, std::size_t n = 40) {
    if (!model.encodes_text()) return take(model.items());
    const Items items(n);
    return take(model.encode_catalog(items.items));
}

/// Some events of a seeded user, every second one rated.
inline void observe_some(ranklet::Recommender::User& user, const ranklet::Catalog& catalog, std::size_t events,
                         std::uint64_t seed) {
    Random random(seed);
    for (std::size_t e = 0; e < events; ++e) {
        const std::size_t item = random.below(catalog.size());
        const auto rating = static_cast<float>(1 + random.below(5));
        succeed(user.observe(catalog[item], e % 2 == 0 ? ranklet::no_rating : rating));
    }
}
inline ranklet::Recommender::User make_user(const ranklet::Recommender& model, const ranklet::Catalog& catalog,
                                            std::size_t events = 5, std::uint64_t seed = 7) {
    auto user = model.new_user();
    observe_some(user, catalog, events, seed);
    return user;
}

inline std::span<const float> flat(const ranklet::Matrix& matrix) {
    return {matrix.view().data, matrix.rows() * matrix.cols()};
}

/// Whether the decoder's parts of two catalogs are the same, bit for bit.
inline bool same_parts(const ranklet::CatalogData& a, const ranklet::CatalogData& b) {
    if (a.parts.size() != b.parts.size()) return false;
    return std::all_of(a.parts.begin(), a.parts.end(), [&](const ranklet::CatalogPart& part) {
        const ranklet::CatalogPart* other = b.find_part(part.name);
        return other != nullptr && other->rows == part.rows && same_bits(flat(part.values), flat(other->values));
    });
}

}  // namespace ranklet_test
