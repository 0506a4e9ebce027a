// Bpe: a word's characters or bytes, joined pair by pair as a list of merges says, the earliest of the list first.
// In: UTF-8. Out: token ids and the bytes each covers. From Sennrich et al., "Neural Machine Translation of Rare Words with
// Subword Units", 2016, and `BPE` of Hugging Face's tokenizers 0.23.2.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/text/byte_alphabet.hpp"
#include "ranklet/text/byte_trie.hpp"
#include "ranklet/text/pipeline_scratch.hpp"
#include "ranklet/text/utf8.hpp"
#include "ranklet/text/vocabulary.hpp"

RANKLET_NAMESPACE_BEGIN

struct BpeConfig {
    std::vector<std::pair<std::int32_t, std::int32_t>> merges = {};  ///< ids of the two, by rank
    std::int32_t unk_id = -1;                                        ///< -1: what is unknown is left out
    bool fuse_unk = false;                                           ///< unknown characters side by side are one token
    bool byte_fallback = false;                                      ///< an unknown character becomes its bytes, <0xNN>
    bool equal_ranks = false;    ///< merges with the same result have one rank, the first's: SentencePiece's
    bool ignore_merges = false;  ///< a word that is a token is that token, however it would be merged
};

namespace detail {

class Bpe {
public:
    RANKLET_MOVES_OUT_OF_LINE(Bpe);

    /// `bytes`: words come as bytes, and the vocabulary spells them in the byte alphabet. Errors: `invalid_argument` for an
    /// id that is none, a merge whose result is no token; ByteTrie's.
    RANKLET_COLD static Result<Bpe> create(const Vocabulary& tokens, const BpeConfig& config, bool bytes) {
        Bpe out;
        out.unk_id_ = config.unk_id;
        out.fuse_unk_ = config.fuse_unk;
        out.ignore_merges_ = config.ignore_merges;
        out.raw_ = bytes;
        const auto known = [&](std::int32_t id) { return id >= 0 && static_cast<std::size_t>(id) < tokens.size(); };
        if (config.unk_id != -1 && !known(config.unk_id))
            return make_error(ErrorCode::invalid_argument,
                              {"the unk id ", config.unk_id, " is not in a vocabulary of ", tokens.size(), " tokens"});
        RANKLET_TRY(out.take_merges(tokens, config.merges, config.equal_ranks, known));
        if (config.byte_fallback) out.byte_pieces_ = tokens.byte_pieces();
        if (!bytes) {
            RANKLET_ASSIGN(out.trie_, tokens.trie());
            out.take_neighbours(tokens, config.merges);
        } else {
            RANKLET_TRY(out.take_bytes(tokens));
        }
        out.whole_ = std::make_unique<std::atomic<std::uint8_t>[]>(tokens.size());
        out.size_ = tokens.size();
        return out;
    }

    /// Calls `token(id, first, last)` for each token of `text`, in order.
    template <class Token>
    void cut(std::string_view text, PipelineScratch& scratch, const Token& token) const {
        if (ignore_merges_) {
            const std::int32_t id = whole_token(text);
            if (id >= 0) return token(id, std::size_t{0}, text.size());
        }
        if (!splits_) return cut_at_once(text, 0, scratch, token);
        std::size_t first = 0;
        std::uint32_t length = 0, before = 0;
        const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
        for (std::size_t i = 0, start = 0; i < text.size(); start = i, i += length) {
            const std::uint32_t code = utf8::decode(bytes + i, length);
            if (i > first && !(neighbours_[bit_of(before, code) / 64] >> bit_of(before, code) % 64 & 1) &&
                whole_token(text.substr(start, i - start)) >= 0) {
                cut_at_once(text.substr(first, i - first), first, scratch, token);
                first = i;
            }
            before = code;
        }
        cut_at_once(text.substr(first), first, scratch, token);
    }

    std::size_t memory() const noexcept { return trie_.memory() + merges_.capacity() * sizeof(Merge) + size_; }

private:
    struct Merge {
        std::uint64_t pair = empty;  // of the two ids
        std::uint32_t rank = 0;
        std::int32_t id = -1;
    };
    static constexpr std::uint64_t empty = ~std::uint64_t{0};
    static std::uint64_t pair_of(std::int32_t a, std::int32_t b) noexcept {
        return std::uint64_t{static_cast<std::uint32_t>(a)} << 32 | static_cast<std::uint32_t>(b);
    }
    std::size_t slot(std::uint64_t pair) const noexcept {
        return static_cast<std::size_t>((pair * 0x9E3779B97F4A7C15u) >> shift_);
    }

    bool lacks(char byte) const noexcept { return unk_id_ < 0 && bytes_[static_cast<unsigned char>(byte)] < 0; }

    /// Tokens of a text of which bytes are left out. As tokenizers has it, each begins where the one before ended, counted in
    /// the bytes of the text's spelling in the byte alphabet: what follows a gap moves up.
    template <class Token>
    void with_gaps(std::string_view text, std::span<const BpeSymbol> symbols, const Token& token) const {
        const auto spelt = [&](std::size_t i) {
            return byte_characters[static_cast<unsigned char>(text[i])] < 0x80 ? std::size_t{1} : std::size_t{2};
        };
        std::size_t kept = 0, done = 0;          // the next byte that is kept; bytes spelt by the tokens so far
        std::size_t place = 0, place_start = 0;  // a byte of the text, and where its spelling begins
        const auto find = [&](std::size_t at) {
            while (place_start + spelt(place) <= at) place_start += spelt(place++);
            return place;
        };
        for (const BpeSymbol& symbol : symbols) {
            if (symbol.size == 0) continue;
            const std::size_t first = find(done);
            for (std::uint32_t left = symbol.size; left > 0; ++kept) {
                if (lacks(text[kept])) continue;
                done += spelt(kept);
                --left;
            }
            token(symbol.id, first, find(done - 1) + 1);
        }
    }

    /// The token that `text` is as it stands, -1: none.
    std::int32_t whole_token(std::string_view text) const noexcept {
        const ByteTrie::Node node = trie_.walk(ByteTrie::root, text);
        return node == ByteTrie::none ? -1 : trie_.value(node);
    }

    /// The tokens of a text, or of a part that nothing is merged across the ends of, from byte `base` on.
    template <class Token>
    void cut_at_once(std::string_view text, std::size_t base, PipelineScratch& scratch, const Token& token) const {
        const std::int32_t id = ignore_merges_ ? -1 : whole_token(text);
        if (id >= 0 && is_whole(id, text, scratch)) return token(id, base, base + text.size());
        merge(text, scratch);
        if (raw_ && lacks_bytes_ && std::any_of(text.begin(), text.end(), [&](char c) { return lacks(c); }))
            return with_gaps(text, scratch.symbols, token);
        std::size_t at = base;
        for (const BpeSymbol& symbol : scratch.symbols) {
            if (symbol.size == 0) continue;
            token(symbol.id, at, at + symbol.size);
            at += symbol.size;
        }
    }

    static std::size_t bit_of(std::uint32_t first, std::uint32_t second) noexcept {
        return static_cast<std::size_t>((std::uint64_t{first} << 32 | second) * 0x9E3779B97F4A7C15u >> (64 - 20));
    }

    /// Which characters stand side by side in a token. What does not is never merged, so a long text, which has a word's
    /// length where no pre-tokenizer cuts it, falls into parts that are merged each alone. A bit that two pairs share costs time alone. Where tokens of bytes or the unknown one are
    /// merged, or unknown characters left out, parts would not be alone.
    void take_neighbours(const Vocabulary& tokens, std::span<const std::pair<std::int32_t, std::int32_t>> merges) {
        splits_ = !raw_ && unk_id_ >= 0;
        std::vector<bool> apart(tokens.size());
        for (const std::int32_t id : byte_pieces_)
            if (id >= 0) apart[static_cast<std::size_t>(id)] = true;
        if (unk_id_ >= 0) apart[static_cast<std::size_t>(unk_id_)] = true;
        for (const auto& [a, b] : merges)
            splits_ = splits_ && !apart[static_cast<std::size_t>(a)] && !apart[static_cast<std::size_t>(b)];
        if (!splits_) return;
        neighbours_.assign((std::size_t{1} << 20) / 64, 0);
        std::uint32_t length = 0;
        for (std::size_t id = 0; id < tokens.size(); ++id) {
            const std::string_view token = tokens.token(id);
            std::uint32_t before = 0;
            for (std::size_t i = 0; i < token.size(); i += length) {
                const std::uint32_t code =
                    utf8::decode(reinterpret_cast<const unsigned char*>(token.data()) + i, length);
                if (i > 0) neighbours_[bit_of(before, code) / 64] |= std::uint64_t{1} << bit_of(before, code) % 64;
                before = code;
            }
        }
    }

    template <class Known>
    Result<void> take_merges(const Vocabulary& tokens, std::span<const std::pair<std::int32_t, std::int32_t>> merges,
                             bool equal_ranks, const Known& known) {
        const std::size_t slots = std::bit_ceil(2 * merges.size() + 2);
        shift_ = 64 - static_cast<unsigned>(std::countr_zero(slots));
        merges_.resize(slots);
        std::string joined;
        constexpr std::uint32_t none = 0xFFFFFFFF;
        std::vector<std::uint32_t> first(equal_ranks ? tokens.size() : 0,
                                         none);  // of each token: rank of its first merge
        for (std::size_t rank = 0; rank < merges.size(); ++rank) {
            const auto [a, b] = merges[rank];
            if (!known(a) || !known(b))
                return make_error(ErrorCode::invalid_argument,
                                  {"merge ", rank, " is of tokens ", a, " and ", b, " of ", tokens.size()});
            joined.assign(tokens.token(static_cast<std::size_t>(a))).append(tokens.token(static_cast<std::size_t>(b)));
            const auto id = tokens.id_of(joined);
            if (!id)
                return make_error(ErrorCode::invalid_argument,
                                  {"merge ", rank, " gives '", joined, "', which is no token"});
            std::size_t at = slot(pair_of(a, b));
            while (merges_[at].pair != empty && merges_[at].pair != pair_of(a, b)) at = (at + 1) & (slots - 1);
            auto own = static_cast<std::uint32_t>(rank);
            if (equal_ranks)
                own = first[static_cast<std::size_t>(*id)] = std::min(first[static_cast<std::size_t>(*id)], own);
            merges_[at] = {pair_of(a, b), own, *id};  // of equal pairs the last counts
        }
        return {};
    }

    RANKLET_COLD Result<void> take_bytes(const Vocabulary& tokens) {
        std::vector<std::string> spelt;
        spelt.reserve(tokens.size());
        bytes_.fill(-1);
        for (std::size_t id = 0; id < tokens.size(); ++id) {
            auto bytes = from_byte_alphabet(tokens.token(id));
            const bool found = bytes && tokens.id_of(tokens.token(id)) == static_cast<std::int32_t>(id);
            // No text has these bytes, and ByteTrie takes 0xFF for another: such tokens come from merges alone.
            const bool in_text =
                found &&
                bytes->find_first_of("\xC0\xC1\xF5\xF6\xF7\xF8\xF9\xFA\xFB\xFC\xFD\xFE\xFF") == std::string::npos;
            if (found && bytes->size() == 1)
                bytes_[static_cast<unsigned char>((*bytes)[0])] = static_cast<std::int32_t>(id);
            spelt.push_back(in_text ? std::move(*bytes) : std::string());
        }
        lacks_bytes_ = std::find(bytes_.begin(), bytes_.end(), -1) != bytes_.end();
        const auto order =
            sorted_indices(spelt.size(), [&](std::size_t a, std::size_t b) { return spelt[a] < spelt[b]; });
        std::vector<std::string_view> keys;
        std::vector<std::int32_t> values;
        for (const std::size_t id : order) {
            if (spelt[id].empty()) continue;
            keys.push_back(spelt[id]);
            values.push_back(static_cast<std::int32_t>(id));
        }
        RANKLET_ASSIGN(trie_, ByteTrie::create(keys, values));
        return {};
    }

    const Merge* find(std::int32_t a, std::int32_t b) const noexcept {
        const std::uint64_t pair = pair_of(a, b);
        for (std::size_t at = slot(pair);; at = (at + 1) & (merges_.size() - 1)) {
            if (merges_[at].pair == pair) return &merges_[at];
            if (merges_[at].pair == empty) return nullptr;
        }
    }

    /// Whether `text`, which is this token, is merged into it. What was found out is kept, a byte a token.
    bool is_whole(std::int32_t id, std::string_view text, PipelineScratch& scratch) const {
        std::atomic<std::uint8_t>& known = whole_[static_cast<std::size_t>(id)];
        std::uint8_t state = known.load(std::memory_order_relaxed);
        if (state == 0) {
            merge(text, scratch);
            const auto& symbols = scratch.symbols;
            const bool whole = !symbols.empty() && symbols[0].id == id && symbols[0].size == text.size();
            state = whole ? 2 : 1;
            known.store(state, std::memory_order_relaxed);
        }
        return state == 2;
    }

    void start(std::string_view text, std::vector<BpeSymbol>& symbols) const {
        symbols.clear();
        const auto add = [&](std::int32_t id, std::uint32_t size) {
            const auto index = static_cast<std::int32_t>(symbols.size());
            if (index > 0) symbols.back().next = index;
            symbols.push_back({id, index - 1, -1, size});
        };
        // Tokens without a row for their bytes, and no unk: nothing, and what follows moves up, as tokenizers has it.
        std::uint32_t unknown = 0;  // bytes of the unknown characters that wait
        const auto take_unknown = [&](std::uint32_t size) {
            if (unk_id_ < 0) return;
            if (unknown != 0 && !fuse_unk_) {
                add(unk_id_, unknown);
                unknown = 0;
            }
            unknown += size;
        };
        const auto take_known = [&](std::int32_t id, std::uint32_t size) {
            if (unknown != 0) add(unk_id_, unknown);
            unknown = 0;
            add(id, size);
        };
        if (raw_) {
            for (const char c : text) {
                const std::int32_t id = bytes_[static_cast<unsigned char>(c)];
                if (id >= 0)
                    take_known(id, 1);
                else
                    take_unknown(1);
            }
        } else {
            std::uint32_t length = 0;
            for (std::size_t i = 0; i < text.size(); i += length) {
                utf8::decode(reinterpret_cast<const unsigned char*>(text.data()) + i, length);
                const std::string_view character = text.substr(i, length);
                const ByteTrie::Node node = trie_.walk(ByteTrie::root, character);
                if (node != ByteTrie::none && trie_.value(node) >= 0) {
                    take_known(trie_.value(node), length);
                    continue;
                }
                bool all = !byte_pieces_.empty();
                for (const char c : character) all = all && byte_pieces_[static_cast<unsigned char>(c)] >= 0;
                if (all)  // an unknown one that waits goes on waiting
                    for (const char c : character) add(byte_pieces_[static_cast<unsigned char>(c)], 1);
                else
                    take_unknown(length);
            }
        }
        if (unknown != 0) add(unk_id_, unknown);
    }

    /// The word's symbols, merged, into scratch.symbols; those of size 0 are gone.
    void merge(std::string_view text, PipelineScratch& scratch) const {
        auto& symbols = scratch.symbols;
        start(text, symbols);
        constexpr std::size_t few = 24;
        if (symbols.size() <= few)
            merge_few(symbols);
        else
            merge_many(symbols, scratch.pairs);
    }

    /// The pair of the lowest rank, of equal ones the first, is looked for in all of them each time.
    void merge_few(std::vector<BpeSymbol>& symbols) const {
        constexpr std::uint32_t none = 0xFFFFFFFF;
        struct Pair {
            std::uint32_t rank;
            std::int32_t id;
        } pairs[24];
        std::size_t size = symbols.size();
        const auto look = [&](std::size_t i) {
            const Merge* found = find(symbols[i].id, symbols[i + 1].id);
            pairs[i] = found == nullptr ? Pair{none, -1} : Pair{found->rank, found->id};
        };
        for (std::size_t i = 0; i + 1 < size; ++i) look(i);
        while (size > 1) {
            std::size_t best = 0;
            for (std::size_t i = 1; i + 1 < size; ++i)
                if (pairs[i].rank < pairs[best].rank) best = i;
            if (pairs[best].rank == none) break;
            symbols[best].id = pairs[best].id;
            symbols[best].size += symbols[best + 1].size;
            for (std::size_t i = best + 1; i + 1 < size; ++i) symbols[i] = symbols[i + 1];
            for (std::size_t i = best + 1; i + 2 < size; ++i) pairs[i] = pairs[i + 1];
            --size;
            if (best > 0) look(best - 1);
            if (best + 1 < size) look(best);
        }
        symbols.resize(size);
    }

    /// The same with a heap, for long words: n log n.
    void merge_many(std::vector<BpeSymbol>& symbols, std::vector<BpePair>& pairs) const {
        pairs.clear();
        const auto later = [](const BpePair& a, const BpePair& b) {
            return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
        };
        const auto offer = [&](std::int32_t at) {
            const BpeSymbol& left = symbols[static_cast<std::size_t>(at)];
            if (const Merge* found = find(left.id, symbols[static_cast<std::size_t>(left.next)].id)) {
                pairs.push_back({found->rank, static_cast<std::uint32_t>(at), found->id});
                std::push_heap(pairs.begin(), pairs.end(), later);
            }
        };
        for (std::size_t i = 0; i + 1 < symbols.size(); ++i)
            if (const Merge* found = find(symbols[i].id, symbols[i + 1].id))
                pairs.push_back({found->rank, static_cast<std::uint32_t>(i), found->id});
        std::make_heap(pairs.begin(), pairs.end(), later);
        while (!pairs.empty()) {
            std::pop_heap(pairs.begin(), pairs.end(), later);
            const BpePair pair = pairs.back();
            pairs.pop_back();
            BpeSymbol& left = symbols[pair.at];
            if (left.size == 0 || left.next < 0) continue;
            BpeSymbol& right = symbols[static_cast<std::size_t>(left.next)];
            const Merge* found = find(left.id, right.id);
            if (found == nullptr || found->id != pair.id) continue;  // of symbols that are others by now
            left.id = pair.id;
            left.size += right.size;
            left.next = right.next;
            right.size = 0;
            if (left.next >= 0)
                symbols[static_cast<std::size_t>(left.next)].previous = static_cast<std::int32_t>(pair.at);
            if (left.previous >= 0) offer(left.previous);
            if (left.next >= 0) offer(static_cast<std::int32_t>(pair.at));
        }
    }

    ByteTrie trie_;
    std::array<std::int32_t, 256> bytes_{};               // the token of each byte, -1: none
    std::vector<std::int32_t> byte_pieces_;               // <0xNN>, -1: none; empty: no byte fallback
    std::vector<Merge> merges_;                           // a hash table
    std::unique_ptr<std::atomic<std::uint8_t>[]> whole_;  // of each token: 0 not known, 1 no, 2 yes
    std::vector<std::uint64_t> neighbours_;               // a bit for each pair of characters, by a hash
    std::size_t size_ = 0;
    unsigned shift_ = 0;
    std::int32_t unk_id_ = -1;
    bool fuse_unk_ = false, ignore_merges_ = false, raw_ = false, lacks_bytes_ = false, splits_ = false;
};

}  // namespace detail
RANKLET_NAMESPACE_END
