// Unigram: a word's most probable cut into pieces of a vocabulary, each with its log probability.
// In: UTF-8. Out: piece ids and the bytes each covers. From Kudo, "Subword Regularization", 2018, and `Unigram` of Hugging
// Face's tokenizers 0.23.2: what counts where scores are equal, unknown characters, and bytes in their place.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/text/byte_trie.hpp"
#include "ranklet/text/pipeline_scratch.hpp"
#include "ranklet/text/vocabulary.hpp"

RANKLET_NAMESPACE_BEGIN

struct UnigramConfig {
    std::vector<double> scores = {};           ///< by id
    std::int32_t unk_id = -1;                  ///< required
    bool byte_fallback = false;                ///< what is unknown becomes its bytes, <0xNN>
    bool single_precision = false;             ///< sums are rounded to f32, as SentencePiece's are
    std::vector<std::int32_t> unmatched = {};  ///< ids that no text gives: SentencePiece's control and byte pieces
};

namespace detail {

class Unigram {
public:
    RANKLET_MOVES_OUT_OF_LINE(Unigram);

    /// `scores` by id. Of a piece that stands twice the later counts. Errors: `invalid_argument` for another number of
    /// scores than pieces, one that is not finite, an unk id that is none; ByteTrie's.
    RANKLET_COLD static Result<Unigram> create(const Vocabulary& pieces, UnigramConfig config) {
        Unigram out;
        std::vector<double>& scores = config.scores;
        const std::int32_t unk_id = config.unk_id;
        std::vector<bool> matched(pieces.size(), true);
        for (const std::int32_t id : config.unmatched)
            if (id >= 0 && static_cast<std::size_t>(id) < pieces.size()) matched[static_cast<std::size_t>(id)] = false;
        if (scores.size() != pieces.size())
            return make_error(ErrorCode::invalid_argument, {scores.size(), " scores for ", pieces.size(), " pieces"});
        if (unk_id < 0 || static_cast<std::size_t>(unk_id) >= pieces.size())
            return make_error(ErrorCode::invalid_argument,
                              {"the unk id ", unk_id, " is not in a vocabulary of ", pieces.size(), " pieces"});
        double least = std::numeric_limits<double>::infinity();
        for (std::size_t i = 0; i < scores.size(); ++i) {
            if (!(std::abs(scores[i]) <= std::numeric_limits<float>::max()))
                return make_error(ErrorCode::invalid_argument, {"the score of piece ", i, " is ", scores[i]});
            if (matched[i]) least = std::min(least, scores[i]);
        }
        out.unk_id_ = unk_id;
        out.unk_score_ = config.single_precision ? static_cast<double>(static_cast<float>(least - 10.0)) : least - 10.0;
        out.scores_ = std::move(scores);
        out.single_precision_ = config.single_precision;
        RANKLET_ASSIGN(out.trie_, pieces.trie([&](std::size_t id) { return matched[id]; }));
        if (config.byte_fallback) out.bytes_ = pieces.byte_pieces();
        return out;
    }

    /// Calls `piece(id, first, last)` for each piece of `text`, in order.
    template <class Piece>
    void cut(std::string_view text, PipelineScratch& scratch, const Piece& piece) const {
        const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
        const std::size_t size = text.size();
        auto& nodes = scratch.nodes;
        if (nodes.size() < size + 1) nodes.resize(2 * size + 64);
        constexpr std::uint32_t none = 0xFFFFFFFF;
        for (std::size_t i = 0; i <= size; ++i) nodes[i].start = none;
        nodes[0] = {0.0, 0, 0};
        for (std::size_t at = 0; at < size;) {
            const double here = nodes[at].score;
            const unsigned lead = bytes[at];
            const std::size_t character = at + (lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4);
            bool single = false;
            const auto reach = [&](std::size_t end, double score, std::int32_t id) {
                if (single_precision_) score = static_cast<double>(static_cast<float>(score));
                UnigramNode& node = nodes[end];
                if (node.start == none || score > node.score) node = {score, static_cast<std::uint32_t>(at), id};
            };
            ByteTrie::Node node = ByteTrie::root;
            for (std::size_t i = at; i < size;) {
                node = trie_.child(node, bytes[i]);
                if (node == ByteTrie::none) break;
                ++i;
                const std::int32_t id = trie_.value(node);
                if (id < 0) continue;
                reach(i, scores_[static_cast<std::size_t>(id)] + here, id);
                single = single || i == character;
            }
            if (!single) reach(character, unk_score_ + here, unk_id_);
            at = character;
        }
        auto& path = scratch.path;  // ends of pieces, from the last one on
        path.clear();
        for (std::size_t end = size; end > 0; end = nodes[end].start) path.push_back(static_cast<std::uint32_t>(end));
        std::size_t first = 0;
        for (std::size_t p = path.size(); p-- > 0;) {
            const std::int32_t id = nodes[path[p]].id;
            if (id == unk_id_)  // unknown ones side by side are one
                while (p > 0 && nodes[path[p - 1]].id == unk_id_) --p;
            if (id == unk_id_)
                unknown(text, first, path[p], piece);
            else
                piece(id, first, std::size_t{path[p]});
            first = path[p];
        }
    }

    std::size_t memory() const noexcept { return trie_.memory() + scores_.capacity() * sizeof(double); }

private:
    template <class Piece>
    void unknown(std::string_view text, std::size_t first, std::size_t last, const Piece& piece) const {
        const ByteTrie::Node node = trie_.walk(ByteTrie::root, text.substr(first, last - first));
        if (node != ByteTrie::none && trie_.value(node) >= 0) return piece(trie_.value(node), first, last);
        bool all = !bytes_.empty();
        for (std::size_t i = first; all && i < last; ++i) all = byte_piece(text[i]) >= 0;
        if (!all) return piece(unk_id_, first, last);
        for (std::size_t i = first; i < last; ++i) piece(byte_piece(text[i]), first, last);
    }
    std::int32_t byte_piece(char byte) const noexcept { return bytes_[static_cast<unsigned char>(byte)]; }

    ByteTrie trie_;
    std::vector<double> scores_;
    std::vector<std::int32_t> bytes_;  // the piece <0xNN> of each byte, -1: none; empty: no byte fallback
    double unk_score_ = 0.0;
    std::int32_t unk_id_ = 0;
    bool single_precision_ = false;
};

}  // namespace detail
RANKLET_NAMESPACE_END
