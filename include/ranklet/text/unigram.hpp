// Unigram: a word's most likely pieces (Kudo 2018), by Viterbi over the pieces' logarithms of probabilities.
// In: a word. Out: pieces, as ids and lengths. Ties and unknown characters as Hugging Face's `tokenizers` 0.23 has them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/sort.hpp"
#include "ranklet/text/byte_trie.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// A piece of a word.
struct Piece {
    std::int32_t id;
    std::uint32_t bytes;
};

class Unigram {
public:
    RANKLET_MOVES_OUT_OF_LINE(Unigram);
    /// `tokens` and `scores` by id, finite. Unknown characters are `unk`.
    RANKLET_COLD static Result<Unigram> create(std::span<const std::string_view> tokens, std::span<const double> scores,
                                               std::int32_t unk) {
        Unigram made;
        made.scores_.assign(scores.begin(), scores.end());
        made.unk_ = unk;
        double least = std::numeric_limits<double>::infinity();
        for (std::size_t i = 0; i < scores.size(); ++i) {
            if (!std::isfinite(scores[i]))
                return make_error(ErrorCode::format, {"the score of token ", i, " is not finite"});
            least = std::min(least, scores[i]);
        }
        made.unk_score_ = least - 10.0;
        const auto order =
            sorted_indices(tokens.size(), [&](std::size_t a, std::size_t b) { return tokens[a] < tokens[b]; });
        std::vector<std::string_view> keys;
        std::vector<std::int32_t> values;
        for (const std::size_t i : order) {
            if (!keys.empty() && keys.back() == tokens[i])
                return make_error(ErrorCode::format, {"two tokens are \"", tokens[i], "\""});
            keys.push_back(tokens[i]);
            values.push_back(static_cast<std::int32_t>(i));
        }
        RANKLET_ASSIGN(made.pieces_, ByteTrie::create(keys, values));
        return made;
    }

    struct Memory {
        struct Best {
            double score;
            std::uint32_t start;
            std::int32_t id;
        };
        std::vector<Best> best;
    };

    /// Appends the word's pieces; neighbouring unknown characters are one.
    void encode(std::string_view word, Memory& memory, std::vector<Piece>& out) const {
        constexpr std::uint32_t nowhere = static_cast<std::uint32_t>(-1);
        auto& best = memory.best;
        best.assign(word.size() + 1, {0.0, nowhere, unk_});
        const auto* bytes = reinterpret_cast<const unsigned char*>(word.data());
        for (std::size_t start = 0; start < word.size();) {
            std::uint32_t length = 0;
            (void)utf8::decode(bytes + start, length);
            const double here = best[start].score;
            bool single = false;
            const auto offer = [&](std::size_t end, double score, std::int32_t id) {
                Memory::Best& target = best[end];
                if (target.start != nowhere && !(score > target.score)) return;
                target = {score, static_cast<std::uint32_t>(start), id};
            };
            ByteTrie::Node node = ByteTrie::root;
            for (std::size_t end = start; end < word.size();) {
                node = pieces_.child(node, bytes[end]);
                if (node == ByteTrie::none) break;
                ++end;
                const std::int32_t id = pieces_.value(node);
                if (id < 0) continue;
                offer(end, here + scores_[static_cast<std::size_t>(id)], id);
                single = single || end - start == length;
            }
            if (!single) offer(start + length, here + unk_score_, unk_);
            start += length;
        }
        const std::size_t first = out.size();
        for (std::size_t end = word.size(); end > 0; end = best[end].start) {
            const auto count = static_cast<std::uint32_t>(end - best[end].start);
            if (best[end].id == unk_ && out.size() > first && out.back().id == unk_)
                out.back().bytes += count;
            else
                out.push_back({best[end].id, count});
        }
        std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
    }

private:
    ByteTrie pieces_;
    std::vector<double> scores_;
    double unk_score_ = 0.0;
    std::int32_t unk_ = 0;
};

}  // namespace detail
RANKLET_NAMESPACE_END
