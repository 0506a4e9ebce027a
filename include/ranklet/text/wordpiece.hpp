// WordPiece: BERT's tokenizer, text to token ids.
// In: UTF-8 text (or a pair). Out: ids with segments, byte offsets and word indices; and back to text.
// From Hugging Face's tokenizers 0.23.2: BertNormalizer, BertPreTokenizer, WordPiece, BertProcessing; id for id.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/groups.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/sort.hpp"
#include "ranklet/core/text_list.hpp"
#include "ranklet/text/added_tokens.hpp"
#include "ranklet/text/bert_normalizer.hpp"
#include "ranklet/text/byte_trie.hpp"
#include "ranklet/text/encoding.hpp"
#include "ranklet/text/tokenizer.hpp"
#include "ranklet/text/utf8.hpp"
#include "ranklet/text/wordpiece_decoder.hpp"

RANKLET_NAMESPACE_BEGIN

/// What a WordPiece tokenizer needs besides its vocabulary. The switches' defaults are bert-base-uncased's.
struct WordPieceConfig {
    bool lowercase = true;
    bool strip_accents = true;
    bool clean_text = true;
    bool handle_chinese_chars = true;
    bool lower_text =
        false;  ///< a text is lower-cased as a whole before all else (Python's str.lower), also "[SEP]" in it
    std::uint32_t max_input_chars_per_word = 100;  ///< a longer word is unknown
    std::int32_t unk_id = -1;                      ///< required, as are cls_id and sep_id
    std::int32_t cls_id = -1;
    std::int32_t sep_id = -1;
    std::int32_t pad_id = -1;   ///< -1: the vocabulary has none
    std::int32_t mask_id = -1;  ///< -1: the vocabulary has none
    /// Whether a pair of texts is [CLS] a [SEP] b [SEP]; otherwise encode_pair is an Error (MPNet's has two [SEP] between).
    bool pairs = true;
    std::vector<AddedToken> added_tokens;
};

/// Immutable once made, so any number of threads may use one; move-only, since it holds the vocabulary.
class WordPiece final : public Tokenizer {
public:
    /// `tokens` by id, continuations with "##"; they are copied. Added tokens at the vocabulary's very end are taken
    /// as Hugging Face numbers them: beyond the model's own vocabulary, so that no word's piece can become one.
    /// Errors: `invalid_argument` for an empty vocabulary, a duplicate token, an id out of range, an added token whose
    /// content is not its id's; `missing` for no unk, cls or sep; `invalid_text` for a token that is not UTF-8;
    /// `unsupported` for a token of more than `max_token_bytes`.
    static Result<WordPiece> create(TextList tokens, WordPieceConfig config) RANKLET_MEMORY_TRY {
        WordPiece out(std::move(config));
        RANKLET_TRY(out.check_ids(tokens.size()));
        RANKLET_TRY(out.take_vocabulary(tokens));
        RANKLET_TRY(out.take_added_tokens());
        RANKLET_TRY(out.build_trie());
        return out;
    }
    RANKLET_MEMORY_CATCH

    /// Without a vocabulary: encoding is an Error invalid_argument, as it is for one that was moved from.
    WordPiece() : WordPiece(WordPieceConfig()) {}
    RANKLET_OUT_OF_LINE WordPiece(WordPiece&&) noexcept = default;
    RANKLET_OUT_OF_LINE WordPiece& operator=(WordPiece&&) noexcept = default;
    RANKLET_OUT_OF_LINE ~WordPiece() override = default;
    WordPiece(const WordPiece&) = delete;
    WordPiece& operator=(const WordPiece&) = delete;

    /// [CLS] text [SEP] into `out`, which is cleared first; an empty text gives [CLS] [SEP]. A longer text than
    /// `options.max_length` loses its end but keeps its [SEP]. No heap once `out` has grown to what the texts need.
    /// Errors, with `out` left empty: `invalid_text` with the offset of the first byte that is not UTF-8;
    /// `invalid_argument` for 4 GiB or more, or a max_length with no room for the special tokens.
    Result<void> encode(std::string_view text, const EncodeOptions& options,
                        Encoding& out) const override RANKLET_MEMORY_TRY {
        detail::Unfinished encoding{out};
        out.clear();
        RANKLET_TRY(check_text(text));
        RANKLET_TRY(detail::check_max_length(options, 2));
        const bool special = options.add_special_tokens;
        const std::size_t limit = special ? options.max_length - 1 : options.max_length;
        if (special) out.push(config_.cls_id, 0, {}, -1);
        tokenize(text, 0, limit, out);
        if (out.size() > limit) out.erase(limit, out.size());
        if (special) out.push(config_.sep_id, 0, {}, -1);
        encoding.finished = true;
        return {};
    }
    RANKLET_MEMORY_CATCH

    using Tokenizer::encode;

    /// [CLS] a [SEP] b [SEP] into `out`; type ids are 1 from b on. Offsets and word indices are each text's own.
    /// What exceeds `options.max_length` is cut from the longer text's end, then from both (`longest_first`). As in
    /// Hugging Face's, a text counts as no longer than its words up to the one that reaches max_length: of two that
    /// both do, the second may keep the odd token although the first is longer.
    /// Errors as encode's.
    Result<void> encode_pair(std::string_view a, std::string_view b, const EncodeOptions& options,
                             Encoding& out) const override RANKLET_MEMORY_TRY {
        detail::Unfinished encoding{out};
        out.clear();
        if (!config_.pairs)
            return make_error(ErrorCode::unsupported,
                              {"this tokenizer's pairs of texts have another form than BERT's"});
        RANKLET_TRY(check_text(a));
        RANKLET_TRY(check_text(b));
        RANKLET_TRY(detail::check_max_length(options, 3));
        const bool special = options.add_special_tokens;
        if (special) out.push(config_.cls_id, 0, {}, -1);
        const std::size_t a_first = out.size();
        tokenize(a, 0, detail::saturating_sum(a_first, options.max_length), out);
        const std::size_t a_last = out.size();
        if (special) out.push(config_.sep_id, 0, {}, -1);
        const std::size_t b_first = out.size();
        tokenize(b, 1, detail::saturating_sum(b_first, options.max_length), out);
        const std::size_t b_last = out.size();
        const auto [a_keep, b_keep] = detail::longest_first(a_last - a_first, b_last - b_first,
                                                            special ? options.max_length - 3 : options.max_length);
        out.erase(b_first + b_keep, b_last);
        out.erase(a_first + a_keep, a_last);
        if (special) out.push(config_.sep_id, 1, {}, -1);
        encoding.finished = true;
        return {};
    }
    RANKLET_MEMORY_CATCH

    SpecialTokens special_tokens() const noexcept override { return {}; }
    std::int32_t unknown_id() const noexcept override { return config_.unk_id; }
    bool marks_continuations() const noexcept override { return true; }
    /// Tokens, added ones included.
    std::size_t vocabulary_size() const noexcept override { return starts_.empty() ? 0 : starts_.size() - 1; }
    /// The token of an id, with its "##"; empty for an id that is out of range. Lives as long as this object.
    std::string_view token(std::int32_t id) const noexcept override {
        if (id < 0 || static_cast<std::size_t>(id) >= vocabulary_size()) return {};
        const auto i = static_cast<std::size_t>(id);
        return std::string_view(text_).substr(starts_[i], starts_[i + 1] - starts_[i]);
    }
    /// The id of a token, written as in the vocabulary.
    std::optional<std::int32_t> id_of(std::string_view token_text) const noexcept override {
        const auto found = std::lower_bound(sorted_.begin(), sorted_.end(), token_text,
                                            [&](std::int32_t id, std::string_view with) { return token(id) < with; });
        if (found == sorted_.end() || token(*found) != token_text) return std::nullopt;
        return *found;
    }
    const WordPieceConfig& config() const noexcept { return config_; }
    /// Bytes of memory that the vocabulary takes.
    std::size_t memory() const noexcept override {
        return text_.capacity() + starts_.capacity() * sizeof(starts_[0]) + sorted_.capacity() * sizeof(sorted_[0]) +
               pieces_.memory();
    }

    /// Text from ids, as Hugging Face's WordPiece decoder writes it (with its clean-up of spaces before punctuation).
    /// `skip_special` leaves special tokens out. Added tokens that match normalised text are written normalised. Error
    /// `invalid_argument` naming the first id that is out of range.
    Result<std::string> decode(std::span<const std::int32_t> ids, bool skip_special) const override RANKLET_MEMORY_TRY {
        detail::WordPieceDecoder decoder;
        for (std::size_t i = 0; i < ids.size(); ++i) {
            if (ids[i] < 0 || static_cast<std::size_t>(ids[i]) >= vocabulary_size())
                return make_error(
                    ErrorCode::invalid_argument,
                    {"id ", ids[i], " at position ", i, " is not in a vocabulary of ", vocabulary_size(), " tokens"});
            const auto normalized = std::find_if(normalized_forms_.begin(), normalized_forms_.end(),
                                                 [&](const auto& form) { return form.first == ids[i]; });
            const bool as_is = normalized == normalized_forms_.end();
            const std::string_view written = as_is ? token(ids[i]) : std::string_view(normalized->second);
            // What is special is the text: a special token whose normalised form is another text stays.
            const std::optional<std::int32_t> id = as_is ? ids[i] : id_of(written);
            if (skip_special && id && std::binary_search(special_ids_.begin(), special_ids_.end(), *id)) continue;
            decoder.add(written);
        }
        return std::move(decoder).text();
    }
    RANKLET_MEMORY_CATCH

private:
    using AddedTokens = detail::AddedTokens;
    using BertNormalizer = detail::BertNormalizer;
    using ByteTrie = detail::ByteTrie;
    using EncodeScratch = detail::EncodeScratch;
    using NormalizedChar = detail::NormalizedChar;
    using Kind = BertNormalizer::Kind;
    using Node = ByteTrie::Node;

    explicit WordPiece(WordPieceConfig config)
        : config_(std::move(config)),
          normalizer_({config_.lowercase, config_.strip_accents, config_.clean_text, config_.handle_chinese_chars}) {}

    // --- making ---

    Result<void> check_ids(std::size_t count) const {
        if (count == 0) return make_error(ErrorCode::invalid_argument, {"the vocabulary is empty"});
        if (count > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
            return make_error(ErrorCode::unsupported, {"the vocabulary has ", count, " tokens"});
        const struct {
            const char* name;
            std::int32_t id;
            bool required;
        } specials[] = {{"unk", config_.unk_id, true},
                        {"cls", config_.cls_id, true},
                        {"sep", config_.sep_id, true},
                        {"pad", config_.pad_id, false},
                        {"mask", config_.mask_id, false}};
        for (const auto& special : specials) {
            if (special.id == -1 && special.required)
                return make_error(ErrorCode::missing, {"the tokenizer has no ", special.name, " id"});
            if (special.id != -1) RANKLET_TRY(check_id(special.id, count, special.name));
        }
        for (const AddedToken& added : config_.added_tokens) RANKLET_TRY(check_id(added.id, count, "added token's"));
        return {};
    }

    static Result<void> check_id(std::int32_t id, std::size_t count, const char* name) {
        if (id >= 0 && static_cast<std::size_t>(id) < count) return {};
        return make_error(ErrorCode::invalid_argument,
                          {"the ", name, " id ", id, " is not in a vocabulary of ", count, " tokens"});
    }

    /// A token's first eight bytes as a number in their order; zero bytes follow a shorter one.
    struct Prefix {
        std::uint64_t bytes;
        std::int32_t id;

        Prefix() = default;
        Prefix(std::string_view text, std::size_t i) : bytes(0), id(static_cast<std::int32_t>(i)) {
            unsigned char first[8] = {};
            std::copy_n(text.data(), std::min(text.size(), sizeof first), first);
            for (const unsigned char byte : first) bytes = bytes << 8 | byte;
        }
    };

    /// By their bytes, of equal ones the first stays first: a pass for each byte, the last first. (Comparing takes four
    /// times as long, a tenth of a small model's loading.)
    static void sort(std::vector<Prefix>& prefixes) {
        std::vector<Prefix> sorted(prefixes.size());
        for (unsigned shift = 0; shift < 64; shift += 8) {
            std::array<std::size_t, 257> place{};
            for (const Prefix& prefix : prefixes) ++place[(prefix.bytes >> shift & 0xFF) + 1];
            std::partial_sum(place.begin(), place.end(), place.begin());
            for (const Prefix& prefix : prefixes) sorted[place[prefix.bytes >> shift & 0xFF]++] = prefix;
            prefixes.swap(sorted);
        }
    }

    Result<void> take_vocabulary(TextList tokens) {
        std::size_t bytes = 0;
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            if (const std::size_t valid = utf8::valid_prefix(tokens[i]); valid < tokens[i].size())
                return make_error(ErrorCode::invalid_text, {"token ", i, " is not UTF-8 at its byte ", valid});
            if (tokens[i].size() > max_token_bytes)
                return make_error(ErrorCode::unsupported, {"token ", i, " has ", tokens[i].size(),
                                                           " bytes, a token may have ", max_token_bytes});
            bytes += tokens[i].size();
        }
        if (bytes > std::numeric_limits<std::uint32_t>::max())
            return make_error(ErrorCode::unsupported, {"the vocabulary's text has ", bytes, " bytes"});
        text_.reserve(bytes);
        starts_.reserve(tokens.size() + 1);
        for (const std::string_view token_text : tokens) {
            starts_.push_back(static_cast<std::uint32_t>(text_.size()));
            text_ += token_text;
        }
        starts_.push_back(static_cast<std::uint32_t>(text_.size()));
        std::vector<Prefix> prefixes;
        prefixes.reserve(tokens.size());
        for (std::size_t i = 0; i < tokens.size(); ++i) prefixes.emplace_back(tokens[i], i);
        sort(prefixes);
        sorted_.reserve(tokens.size());
        for (const Prefix& prefix : prefixes) sorted_.push_back(prefix.id);
        std::vector<std::size_t> alike, spare;
        for (std::size_t i = 0, end = 0; i < prefixes.size(); i = end) {  // what begins alike, by the rest
            end = i + 1;
            while (end < prefixes.size() && prefixes[end].bytes == prefixes[i].bytes) ++end;
            if (end - i == 1) continue;
            alike.resize(end - i);
            spare.resize(end - i);
            for (std::size_t t = i; t < end; ++t) alike[t - i] = static_cast<std::size_t>(sorted_[t]);
            detail::sort_indices(alike, spare, [&](std::size_t x, std::size_t y) { return tokens[x] < tokens[y]; });
            for (std::size_t t = i; t < end; ++t) {
                const std::size_t id = alike[t - i];
                sorted_[t] = static_cast<std::int32_t>(id);
                if (t > i && tokens[id] == tokens[alike[t - i - 1]])
                    return make_error(ErrorCode::invalid_argument,
                                      {"tokens ", alike[t - i - 1], " and ", id, " are both '", tokens[id], "'"});
            }
        }
        return {};
    }

    RANKLET_COLD Result<void> take_added_tokens() {
        model_size_ = vocabulary_size();
        std::vector<bool> is_added(vocabulary_size());
        std::vector<const AddedToken*> raw, normalized;
        std::vector<std::string> raw_patterns, normalized_patterns;
        EncodeScratch scratch;
        for (const bool special : {true, false}) {  // of equal patterns, a special token's comes first
            for (const AddedToken& added : config_.added_tokens) {
                if (added.special != special) continue;
                const std::string name = "added token " + std::to_string(added.id) + " ('" + added.content + "')";
                if (added.content.empty() || token(added.id) != added.content)
                    return make_error(ErrorCode::invalid_argument,
                                      {name, " is '", token(added.id), "' in the vocabulary"});
                if (is_added[static_cast<std::size_t>(added.id)])
                    return make_error(ErrorCode::invalid_argument, {name, " is listed twice"});
                is_added[static_cast<std::size_t>(added.id)] = true;
                if (!added.normalized) {
                    raw.push_back(&added);
                    raw_patterns.push_back(added.content);
                    continue;
                }
                normalizer_.normalize(added.content, 0, scratch);
                write_normalized_text(scratch);
                if (scratch.normalized_text.empty())
                    return make_error(ErrorCode::invalid_argument, {name, " normalises to nothing"});
                normalized.push_back(&added);
                normalized_patterns.push_back(scratch.normalized_text);
                normalized_forms_.emplace_back(added.id, scratch.normalized_text);
            }
        }
        const auto& added = config_.added_tokens;
        for (const std::size_t i : detail::sorted_indices(
                 added.size(), [&](std::size_t a, std::size_t b) { return added[a].id < added[b].id; }))
            if (added[i].special) special_ids_.push_back(added[i].id);
        while (model_size_ > 0 && is_added[model_size_ - 1]) --model_size_;
        RANKLET_ASSIGN(raw_tokens_, AddedTokens::create(raw, raw_patterns));
        RANKLET_ASSIGN(normalized_tokens_, AddedTokens::create(normalized, normalized_patterns));
        return {};
    }

    Result<void> build_trie() {
        std::vector<std::string_view> keys;
        std::vector<std::int32_t> values;
        keys.reserve(sorted_.size());
        values.reserve(sorted_.size());
        for (const std::int32_t id : sorted_) {
            if (static_cast<std::size_t>(id) >= model_size_) continue;
            keys.push_back(token(id));
            values.push_back(id);
        }
        RANKLET_ASSIGN(pieces_, ByteTrie::create(keys, values));
        continuation_ = pieces_.walk(ByteTrie::root, "##");
        return {};
    }

    // --- encoding ---

    Result<void> check_text(std::string_view text) const {
        if (starts_.empty()) return detail::empty_object("the tokenizer");
        // A lower case takes at most three bytes for two.
        const std::size_t gib = config_.lower_text ? 2 : 4;
        if (text.size() >= gib << 30)
            return make_error(ErrorCode::invalid_argument,
                              {"a text of ", text.size(), " bytes: ", gib, " GiB or more is too long"});
        if (const std::size_t valid = utf8::valid_prefix(text); valid < text.size())
            return make_error(ErrorCode::invalid_text, {"the text is not UTF-8 at byte ", valid});
        return {};
    }

    /// One text on its way into an Encoding.
    struct Run {
        Encoding& out;
        std::string_view text;
        std::size_t enough;  // tokens in `out` after which nothing more is wanted
        std::int32_t type;
        bool full = false;           // a word (not an added token) has brought them to `enough`
        std::int32_t word = 0;       // index of the next word
        std::uint32_t chars = 0;     // of the word that is being gathered in scratch.word
        std::uint32_t bytes = 0;     // of them stored
        std::uint32_t last_end = 0;  // where its last character ended in the text
    };

    /// Appends the text's tokens, up to the word with which `out` holds `enough` or more.
    void tokenize(std::string_view text, std::int32_t type, std::size_t enough, Encoding& out) const {
        if (!config_.lower_text) return tokenize_as_is(text, type, enough, out);
        detail::LoweredText& lowered = out.scratch.lowered;
        const std::size_t first = out.size();
        lowered.assign(text);
        tokenize_as_is(lowered.text(), type, enough, out);
        for (std::size_t i = first; i < out.size(); ++i) out.offsets[i] = lowered.original(out.offsets[i]);
    }

    void tokenize_as_is(std::string_view text, std::int32_t type, std::size_t enough, Encoding& out) const {
        Run run{out, text, enough, type};
        raw_tokens_.split(
            text,
            [&](std::size_t begin, std::size_t end) {
                return stretch(run, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end));
            },
            [&](std::size_t begin, std::size_t end, std::int32_t id) {
                out.push(id, type, {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)}, run.word++);
                return true;
            });
    }

    /// Tokens of the text's bytes [begin, end), which hold no added token. Says whether there is room for more.
    bool stretch(Run& run, std::uint32_t begin, std::uint32_t end) const {
        if (!normalized_tokens_.empty()) return stretch_in_steps(run, begin, end);
        const std::size_t tokens_before = run.out.size();
        const std::int32_t word_before = run.word;
        if (stretch_at_once(run, begin, end)) return !run.full;
        run.out.erase(tokens_before, run.out.size());
        run.word = word_before;
        run.chars = run.bytes = 0;
        return stretch_in_steps(run, begin, end);
    }

    /// Character by character through BertNormalizer::fate. False: met a character whose fate depends on others.
    bool stretch_at_once(Run& run, std::uint32_t begin, std::uint32_t end) const {
        const auto* bytes = reinterpret_cast<const unsigned char*>(run.text.data());
        std::uint32_t at = begin;
        while (at < end) {
            if (bytes[at] < 0x80) {
                const Kind kind = normalizer_.ascii_kind(bytes[at]);
                if (kind == Kind::letter && run.chars == 0) {
                    std::uint32_t stop = at + 1;
                    while (stop < end && bytes[stop] < 0x80 && normalizer_.ascii_kind(bytes[stop]) == Kind::letter)
                        ++stop;
                    if (stop == end || (bytes[stop] < 0x80 && normalizer_.ascii_kind(bytes[stop]) != Kind::dropped)) {
                        ascii_word(run, at, stop);
                        if (run.full) return true;
                    } else {
                        for (std::uint32_t i = at; i < stop; ++i) gather(run, normalizer_.ascii(bytes[i]), {i, i + 1});
                    }
                    at = stop;
                    continue;
                }
                const TokenSpan span{at, at + 1};
                ++at;
                if (kind == Kind::dropped) continue;
                if (kind == Kind::letter) {
                    gather(run, normalizer_.ascii(bytes[span.begin]), span);
                    continue;
                }
                finish_word(run);
                if (kind == Kind::punctuation) lone(run, bytes[span.begin], span);
                if (run.full) return true;
                continue;
            }
            std::uint32_t length = 0;
            const std::uint32_t code = utf8::decode(bytes + at, length);
            const BertNormalizer::Fate& fate = normalizer_.fate(code);
            const TokenSpan span{at, at + length};
            at += length;
            switch (fate.kind) {
                case Kind::letter:
                    gather(run, BertNormalizer::result(fate, code), span);
                    break;
                case Kind::space:
                    finish_word(run);
                    break;
                case Kind::punctuation:
                case Kind::chinese:
                    finish_word(run);
                    lone(run, BertNormalizer::result(fate, code), span);
                    break;
                case Kind::dropped:
                    break;
                case Kind::several:
                    for (std::uint32_t i = 0; i < fate.size; ++i) classed(run, {normalizer_.results(fate)[i], span});
                    break;
                case Kind::hangul: {
                    const unicode::Expansion jamo = unicode::decompose(code);
                    for (std::uint32_t i = 0; i < jamo.size; ++i) gather(run, jamo.codes[i], span);
                    break;
                }
                case Kind::reordered:
                    return false;
            }
            if (run.full) return true;
        }
        finish_word(run);
        return true;
    }

    /// Normalises the stretch as a whole, then takes out added tokens that match normalised text, then the words.
    bool stretch_in_steps(Run& run, std::uint32_t begin, std::uint32_t end) const {
        EncodeScratch& scratch = run.out.scratch;
        normalizer_.normalize(run.text.substr(begin, end - begin), begin, scratch);
        const std::vector<NormalizedChar>& chars = scratch.normalized;
        if (normalized_tokens_.empty()) return words_of(run, chars);
        write_normalized_text(scratch);
        const auto chars_of = [&](std::size_t first, std::size_t last) {
            return std::span(chars).subspan(scratch.char_index[first],
                                            scratch.char_index[last] - scratch.char_index[first]);
        };
        normalized_tokens_.split(
            scratch.normalized_text,
            [&](std::size_t first, std::size_t last) { return words_of(run, chars_of(first, last)); },
            [&](std::size_t first, std::size_t last, std::int32_t id) {
                const auto matched = chars_of(first, last);
                run.out.push(id, run.type, {matched.front().span.begin, matched.back().span.end}, run.word++);
                return true;
            });
        return !run.full;
    }

    bool words_of(Run& run, std::span<const NormalizedChar> chars) const {
        for (const NormalizedChar& character : chars) {
            classed(run, character);
            if (run.full) return false;
        }
        finish_word(run);
        return !run.full;
    }

    static void write_normalized_text(EncodeScratch& scratch) {
        scratch.normalized_text.clear();
        scratch.char_index.clear();
        std::uint32_t index = 0;
        for (const NormalizedChar& character : scratch.normalized) {
            char bytes[4];
            const std::uint32_t length = utf8::encode(character.code, bytes);
            scratch.normalized_text.append(bytes, length);
            scratch.char_index.insert(scratch.char_index.end(), length, index++);
        }
        scratch.char_index.push_back(index);
    }

    /// A normalised character: into the word, or its end, or a word of its own.
    void classed(Run& run, const NormalizedChar& character) const {
        const std::uint8_t flags = unicode::record(character.code).flags;
        if ((flags & unicode::space_flag) != 0) {
            finish_word(run);
        } else if ((flags & unicode::punctuation_flag) != 0) {
            finish_word(run);
            lone(run, character.code, character.span);
        } else {
            gather(run, character.code, character.span);
        }
    }

    /// Adds a character to the word. Of a word that is too long only the length is kept, for it is unknown anyway.
    void gather(Run& run, std::uint32_t code, TokenSpan span) const {
        EncodeScratch& scratch = run.out.scratch;
        run.last_end = span.end;
        if (run.chars > config_.max_input_chars_per_word) return;
        ++run.chars;
        if (run.bytes + 4 > scratch.word_spans.size()) {  // the one that grows last, if its memory can be had
            scratch.word.resize(std::size_t{run.bytes} * 2 + 512);
            scratch.word_spans.resize(scratch.word.size());
        }
        const std::uint32_t length = utf8::encode(code, scratch.word.data() + run.bytes);
        for (std::uint32_t i = 0; i < length; ++i) scratch.word_spans[run.bytes + i] = span;
        run.bytes += length;
    }

    void finish_word(Run& run) const {
        if (run.chars == 0) return;
        const EncodeScratch& scratch = run.out.scratch;
        const auto* word = reinterpret_cast<const unsigned char*>(scratch.word.data());
        const TokenSpan* spans = scratch.word_spans.data();
        const std::uint32_t end = run.last_end;
        pieces(
            run, run.bytes, run.chars, [=](std::uint32_t i) { return word[i]; },
            [=](std::uint32_t first, std::uint32_t last) { return TokenSpan{spans[first].begin, spans[last - 1].end}; },
            TokenSpan{spans[0].begin, end});
        run.chars = run.bytes = 0;
    }

    void ascii_word(Run& run, std::uint32_t begin, std::uint32_t end) const {
        const auto* bytes = reinterpret_cast<const unsigned char*>(run.text.data()) + begin;
        pieces(
            run, end - begin, end - begin, [=, this](std::uint32_t i) { return normalizer_.ascii(bytes[i]); },
            [=](std::uint32_t first, std::uint32_t last) { return TokenSpan{begin + first, begin + last}; },
            TokenSpan{begin, end});
    }

    /// A word of one character.
    void lone(Run& run, std::uint32_t code, TokenSpan span) const {
        char word[4];
        const std::uint32_t length = utf8::encode(code, word);
        pieces(
            run, length, 1, [&](std::uint32_t i) { return static_cast<unsigned char>(word[i]); },
            [=](std::uint32_t, std::uint32_t) { return span; }, span);
    }

    /// The word's pieces, each the longest the vocabulary has; the word as unknown when one fails or it is too long.
    /// `byte(i)` is the normalised word's i-th byte of `size`, `span(first, last)` where such bytes come from.
    template <class Byte, class Span>
    void pieces(Run& run, std::uint32_t size, std::uint32_t chars, const Byte& byte, const Span& span,
                TokenSpan whole) const {
        if (run.full) return;
        const std::int32_t word = run.word++;
        const std::size_t before = run.out.size();
        bool known = chars <= config_.max_input_chars_per_word;
        Node start = ByteTrie::root;
        for (std::uint32_t at = 0; known && at < size;) {
            std::int32_t best = ByteTrie::no_value;
            std::uint32_t best_end = at;
            Node node = start;
            for (std::uint32_t i = at; i < size && node != ByteTrie::none;) {
                node = pieces_.child(node, byte(i));
                if (node == ByteTrie::none) break;
                ++i;
                if (pieces_.value(node) >= 0) {
                    best = pieces_.value(node);
                    best_end = i;
                }
            }
            known = best >= 0;
            if (known) run.out.push(best, run.type, span(at, best_end), word);
            at = best_end;
            start = continuation_;
        }
        if (!known) {
            run.out.erase(before, run.out.size());
            run.out.push(config_.unk_id, run.type, whole, word);
        }
        run.full = run.out.size() >= run.enough;
    }

    WordPieceConfig config_;
    BertNormalizer normalizer_;
    std::string text_;                   // all tokens, joined
    std::vector<std::uint32_t> starts_;  // of each token in it, and its end
    std::vector<std::int32_t> sorted_;   // ids in byte order of their tokens
    std::vector<std::int32_t> special_ids_;
    std::vector<std::pair<std::int32_t, std::string>> normalized_forms_;  // of added tokens that match normalised text
    std::size_t model_size_ = 0;                                          // ids below are WordPiece's own
    AddedTokens raw_tokens_;
    AddedTokens normalized_tokens_;
    ByteTrie pieces_;
    Node continuation_ = ByteTrie::none;  // where "##" leads
};

RANKLET_NAMESPACE_END
