// How a host adds kinds of encoders and decoders of its own: written outside the library, in the order in which one
// would write them. host_kinds_test.cpp loads files with them; docs/extending.md follows them.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/model_file/self_test.hpp"
#include "ranklet/recommender/kind.hpp"
#include "ranklet/text/utf8.hpp"

namespace shop {

using ranklet::Error;
using ranklet::ErrorCode;
using ranklet::ModelReader;
using ranklet::Result;

// 1. The encoder. A text's vector is the mean of its words' rows in a table of the file; a word's row is found by its
// hash, so there is no vocabulary.

class HashedWords : public ranklet::ItemEncoder {
public:
    /// The file's `ranklet.encoder.type`. With a prefix of the host's, no later kind of the library has the same.
    static constexpr std::string_view type_name = "shop.hashed_words";

    /// Everything comes from the file. The reader's errors name file and key by themselves.
    static Result<HashedWords> read(const ModelReader& reader, const ranklet::LoadOptions&) {
        const ModelReader own = reader.scope("shop.hashed_words");
        RANKLET_ASSIGN(const std::uint32_t rows, own.u32_in("rows", 1, 1u << 24));
        RANKLET_ASSIGN(const std::uint32_t dim, own.u32_in("dim", 1, 4096));
        HashedWords encoder;
        RANKLET_ASSIGN(encoder.table_, own.matrix("weight", rows, dim));
        return encoder;
    }

    ranklet::KindId kind() const noexcept override { return ranklet::kind_id<HashedWords>; }
    std::size_t dim() const noexcept override { return table_.cols(); }

    Result<ranklet::EncodedItems> encode_items(std::span<const ranklet::Item> items, ranklet::ItemForm form,
                                               const ranklet::BatchOptions& options) const override {
        if (form != ranklet::ItemForm::vector)
            return Error{ErrorCode::unsupported, "hashed words have no token states"};
        RANKLET_TRY(check_prompt(options));
        ranklet::EncodedItems encoded;
        RANKLET_ASSIGN(encoded.rows, ranklet::Matrix::zeroed(items.size(), dim()));
        for (std::size_t i = 0; i < items.size(); ++i) {
            RANKLET_TRY(check_stop(options.stop, options.deadline));
            const auto words = words_of(items[i]);
            if (!words.ok()) return about_input(words.error(), i);  // whoever called knows it by a better name
            average(*words, none, encoded.rows.row(i));
            if (options.progress) options.progress(i + 1, items.size());
        }
        return encoded;
    }

    /// For explanations of an item's words; an encoder may leave it out.
    Result<std::unique_ptr<const ranklet::ItemParts>> take_apart(const ranklet::Item& item, ranklet::TextUnit,
                                                                 const ranklet::BatchOptions& options) const override {
        RANKLET_TRY(check_prompt(options));
        RANKLET_ASSIGN(auto words, words_of(item));
        return std::unique_ptr<const ranklet::ItemParts>(std::make_unique<const Parts>(*this, std::move(words)));
    }

    /// The file brings texts and the vectors that they had where it was made.
    Result<void> self_test(const ModelReader& reader) const override {
        const ModelReader test = reader.scope("ranklet.selftest");
        RANKLET_ASSIGN(const ranklet::SelfTestItems texts, self_test_items(reader));
        RANKLET_ASSIGN(const auto encoded, encode_items(texts.items, ranklet::ItemForm::vector, {}));
        return compare_self_test(test, "vectors", encoded.rows);
    }
    Result<ranklet::SelfTestItems> self_test_items(const ModelReader& reader) const override {
        RANKLET_ASSIGN(const auto texts, reader.strings("ranklet.selftest.texts"));
        ranklet::SelfTestItems result;
        for (const std::string_view text : texts) result.items.push_back({{}, text});
        return result;
    }

private:
    static constexpr std::size_t none = static_cast<std::size_t>(-1);

    static Result<void> check_prompt(const ranklet::BatchOptions& options) {
        if (!options.prompt || options.prompt->empty()) return {};
        return Error{ErrorCode::missing, "hashed words have no prompts"};
    }
    // The words between spaces.
    static Result<std::vector<ranklet::TextPart>> words_of(const ranklet::Item& item) {
        if (!item.vectors.empty()) return Error{ErrorCode::invalid_argument, "hashed words read texts alone"};
        const std::string_view text = item.text;
        const std::size_t valid = ranklet::utf8::valid_prefix(text);
        if (valid != text.size()) return make_error(ErrorCode::invalid_text, {"the text is not UTF-8 at byte ", valid});
        std::vector<ranklet::TextPart> words;
        for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
            end = std::min(text.find(' ', begin), text.size());
            if (end == begin) continue;
            words.push_back({text.substr(begin, end - begin),
                             {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)},
                             {}});
        }
        return words;
    }
    // The mean of the words' rows without one of them. Sums go in the order of the text: an item has the same bits in
    // any batch.
    void average(std::span<const ranklet::TextPart> words, std::size_t left_out, std::span<float> out) const {
        std::size_t count = 0;
        for (std::size_t w = 0; w < words.size(); ++w) {
            if (w == left_out) continue;
            std::uint64_t hash = 14695981039346656037ull;  // FNV-1a
            for (const char c : words[w].text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
            const auto row = table_.row(static_cast<std::size_t>(hash % table_.rows()));
            for (std::size_t d = 0; d < out.size(); ++d) out[d] += row[d];
            ++count;
        }
        if (count > 0)
            for (float& x : out) x /= static_cast<float>(count);
    }

    class Parts final : public ranklet::ItemParts {
    public:
        Parts(const HashedWords& encoder, std::vector<ranklet::TextPart> words)
            : encoder_(encoder), words_(std::move(words)) {}
        std::span<const ranklet::TextPart> parts() const noexcept override { return words_; }
        std::size_t at_once() const noexcept override { return 64; }
        Result<ranklet::EncodedItems> encode(std::size_t first, std::size_t count, ranklet::ItemForm,
                                             const ranklet::BatchOptions&) const override {
            ranklet::EncodedItems encoded;
            RANKLET_ASSIGN(encoded.rows, ranklet::Matrix::zeroed(count, encoder_.dim()));
            for (std::size_t v = 0; v < count; ++v)  // variant 0 is the whole item
                encoder_.average(words_, first + v == 0 ? none : first + v - 1, encoded.rows.row(v));
            return encoded;
        }

    private:
        const HashedWords& encoder_;
        std::vector<ranklet::TextPart> words_;
    };

    ranklet::Matrix table_;
};

// 2. The decoder. It has no weights: a user's taste is the decayed mean of the vectors that they met, less the
// catalog's mean; an item's score is the taste's product with the item's vector, divided by the vector's length.

class Taste final : public ranklet::Decoder {
public:
    static constexpr std::string_view type_name = "shop.taste";  ///< the file's `ranklet.recommender.scoring`

    static Result<Taste> read(const ModelReader& reader, const ranklet::ItemEncoder& encoder) {
        const ModelReader own = reader.scope("shop.taste");
        Taste decoder;
        decoder.dim_ = encoder.dim();
        RANKLET_ASSIGN(decoder.decay_, own.f32("decay"));
        if (decoder.decay_ >= 0.0f && decoder.decay_ <= 1.0f) return decoder;
        return own.wrong("decay", {" is ", decoder.decay_, ", expected 0 to 1"});
    }

    ranklet::KindId kind() const noexcept override { return ranklet::kind_id<Taste>; }

    /// What depends on the items alone is computed once, and saved with the catalog: a number an item, and numbers of
    /// the catalog as a whole, which the library takes away when items change. An event needs neither.
    Result<void> prepare(ranklet::CatalogData& items, ranklet::ItemUse use, ranklet::Threads) const override {
        const std::size_t n = items.vectors.rows();
        if (use == ranklet::ItemUse::event || n == 0) return {};
        if (items.find_part(scale_part) == nullptr) {
            RANKLET_ASSIGN(ranklet::Matrix scale, ranklet::Matrix::zeroed(n, 1));
            for (std::size_t i = 0; i < n; ++i) {
                float square = 0.0f;
                for (const float x : std::as_const(items.vectors).row(i)) square += x * x;
                scale.row(i)[0] = square > 0.0f ? 1.0f / std::sqrt(square) : 0.0f;
            }
            items.set_part(scale_part, ranklet::PartRows::item, std::move(scale));
        }
        if (items.find_part(mean_part) == nullptr) {
            RANKLET_ASSIGN(ranklet::Matrix mean, ranklet::Matrix::zeroed(1, dim_));
            for (std::size_t i = 0; i < n; ++i)
                for (std::size_t d = 0; d < dim_; ++d) mean.row(0)[d] += std::as_const(items.vectors).row(i)[d];
            for (float& x : mean.row(0)) x /= static_cast<float>(n);
            items.set_part(mean_part, ranklet::PartRows::catalog, std::move(mean));
        }
        return {};
    }
    /// A host may put catalogs together by hand.
    Result<void> check(const ranklet::CatalogData& items) const override {
        const auto scale = items.part(scale_part), mean = items.part(mean_part);
        if (items.vectors.cols() == dim_ && scale.rows == items.vectors.rows() && scale.cols == 1 && mean.rows == 1 &&
            mean.cols == dim_)
            return {};
        return Error{ErrorCode::mismatch, "the catalog's parts are not those of shop.taste"};
    }

    /// The state is the decayed sum of vectors, and of their number behind it. It is saved and loaded as it is.
    void begin_user(ranklet::UserState& state) const override {
        state.hidden.assign(dim_ + 1, 0.0f);
        state.memory.clear();
        state.memory_width = 0;
    }
    Result<void> check(const ranklet::UserState& state) const override {
        if (state.hidden.size() == dim_ + 1 && state.memory.empty() && state.memory_width == 0) return {};
        return Error{ErrorCode::format, "the user state's sizes are not those of shop.taste"};
    }
    /// It may read of the items what prepare() makes for events: the vectors.
    Result<void> observe(ranklet::UserState& state, const ranklet::CatalogData& items, std::size_t index, float,
                         ranklet::Scratch&) const override {
        std::vector<float> next = state.hidden;
        for (std::size_t d = 0; d < dim_; ++d) next[d] = decay_ * next[d] + items.vectors.row(index)[d];
        next[dim_] = decay_ * next[dim_] + 1.0f;
        for (const float x : next)  // one such number would stay, and empty every later ranking
            if (!std::isfinite(x)) return Error{ErrorCode::invalid_argument, "the event's numbers are not finite"};
        state.hidden = std::move(next);
        return {};
    }

    /// Items that one thread scores at a time.
    std::size_t piece() const noexcept override { return 1024; }
    std::size_t query_size() const noexcept override { return dim_; }
    std::size_t scratch_size() const noexcept override { return 0; }
    /// Once for all candidates: the taste. The catalog may be empty, and then has no mean.
    void begin(const ranklet::ScoreRequest& request, float* query, ranklet::Scratch&) const noexcept override {
        const auto& sum = request.state.hidden;
        const auto mean = request.items.part(mean_part);
        for (std::size_t d = 0; d < dim_; ++d)
            query[d] = sum[dim_] > 0.0f && mean.rows > 0 ? sum[d] / sum[dim_] - mean(0, d) : 0.0f;
    }
    void score(const ranklet::ScoreRequest& request, const float* query, ranklet::IndexRange range, float* scores,
               ranklet::Scratch&) const noexcept override {
        const auto scale = request.items.part(scale_part);
        for (std::size_t i = range.first; i < range.last; ++i) {
            float product = 0.0f;
            for (std::size_t d = 0; d < dim_; ++d) product += query[d] * request.items.vectors.row(i)[d];
            scores[i - range.first] = product * scale(i, 0);
        }
    }

private:
    static constexpr const char *scale_part = "shop.scale", *mean_part = "shop.mean";

    std::size_t dim_ = 0;
    float decay_ = 0.0f;
};

// 3. The list that LoadOptions::kinds gets.

inline constexpr std::array<const ranklet::Kind*, 2> kinds{&ranklet::kind<HashedWords>, &ranklet::kind<Taste>};

}  // namespace shop
