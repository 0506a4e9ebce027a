// SubwordTokenizer: tokenizers that are described step by step: normalisation, words, pieces (Unigram or byte pairs), special tokens
// around them. XLM-RoBERTa's, T5's, RoBERTa's, ModernBERT's, Qwen's, Llama's, Gemma's.
// In: a description (docs/model-file.md), texts. Out: Encodings with the ids of Hugging Face's `tokenizers`.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/sort.hpp"
#include "ranklet/text/added_tokens.hpp"
#include "ranklet/text/aligned_text.hpp"
#include "ranklet/text/byte_pairs.hpp"
#include "ranklet/text/encoding.hpp"
#include "ranklet/text/text_patterns.hpp"
#include "ranklet/text/tokenizer.hpp"
#include "ranklet/text/unigram.hpp"

RANKLET_NAMESPACE_BEGIN

/// What is done to a text, or to each of its words.
struct TextStep {
    enum class Kind {
        character_map,    ///< SentencePiece's (SubwordConfig::map)
        nfc,              ///< canonical composition
        nfd,              ///< canonical decomposition
        lowercase,        ///< character by character
        strip_accents,    ///< marks go
        strip_left,       ///< white space at the beginning goes
        strip_right,      ///< and at the end
        replace,          ///< every `what` by `with`
        collapse_spaces,  ///< every two spaces or more by `with`
        prepend,          ///< `with` before a text that is not empty
        split_spaces,     ///< words are what white space, which goes, stands between
        metaspace,  ///< spaces become `with`, which is put before each word that does not begin with it as `scheme` says
        prefix_space,  ///< a space before each word that does not begin with one
        pattern,       ///< words are a pattern's matches
        digits,        ///< each digit is a word
    };
    enum class Scheme { never, first, always };
    Kind kind;
    std::string what = {}, with = {};
    Scheme scheme = Scheme::always;
    bool split = true;  ///< metaspace: each `with` begins a word
    TextPattern pattern = TextPattern::gpt2;
};

struct SubwordConfig {
    enum class Model { unigram, byte_pairs, character_pairs };
    Model model = Model::unigram;
    std::vector<TextStep> normalizers, words;
    detail::CharacterMap map;
    std::vector<double> scores;                    ///< unigram: by id; tokens without one are no pieces
    std::vector<detail::BytePairs::Merge> merges;  ///< the others: by rank
    bool whole_words_first = false;                ///< a word that is a token is that token, whatever the merges say
    bool byte_level = false;   ///< tokens are bytes, each written as the character that GPT-2's alphabet has for it
    std::int32_t unk_id = -1;  ///< -1: there is none
    std::vector<std::int32_t> byte_ids;  ///< [256] what stands for a byte of an unknown character; empty: unk_id
    std::vector<std::int32_t> before, between, after;  ///< special tokens around a text, and between those of a pair
    std::int32_t second_type = 0;                      ///< of a pair's second text
    bool pairs = false;                                ///< whether there is a form for pairs
    bool trim_offsets = false;                         ///< spaces around a piece are no part of its offsets
    bool keeps_first_space = false;                    ///< but for a single one before the first piece
    std::vector<AddedToken> added_tokens;
};

class SubwordTokenizer final : public Tokenizer {
public:
    /// `tokens` by id; they are copied. Errors: `invalid_argument` for ids out of range and contradictions; `format` for scores
    /// and merges that do not fit; `invalid_text` for a token that is not UTF-8.
    RANKLET_COLD static Result<SubwordTokenizer> create(TextList tokens, SubwordConfig config);
    SubwordTokenizer(SubwordTokenizer&&) noexcept = default;
    SubwordTokenizer& operator=(SubwordTokenizer&&) noexcept = default;
    SubwordTokenizer(const SubwordTokenizer&) = delete;
    SubwordTokenizer& operator=(const SubwordTokenizer&) = delete;
    ~SubwordTokenizer() override = default;

    using Tokenizer::encode;
    Result<void> encode(std::string_view text, const EncodeOptions& options, Encoding& out) const override;
    Result<void> encode_pair(std::string_view a, std::string_view b, const EncodeOptions& options,
                             Encoding& out) const override;
    RANKLET_COLD Result<std::string> decode(std::span<const std::int32_t> ids, bool skip_special) const override;

    std::size_t vocabulary_size() const noexcept override { return starts_.empty() ? 0 : starts_.size() - 1; }
    std::string_view token(std::int32_t id) const noexcept override {
        if (id < 0 || static_cast<std::size_t>(id) >= vocabulary_size()) return {};
        const auto i = static_cast<std::size_t>(id);
        return std::string_view(text_).substr(starts_[i], starts_[i + 1] - starts_[i]);
    }
    std::optional<std::int32_t> id_of(std::string_view token) const noexcept override;
    std::int32_t unknown_id() const noexcept override { return config_.unk_id; }
    std::size_t special_before() const noexcept override { return config_.before.size(); }
    std::size_t special_after() const noexcept override { return config_.after.size(); }
    const SubwordConfig& config() const noexcept { return config_; }

private:
    using Kind = TextStep::Kind;
    // Working memory of a call.
    struct Run {
        Encoding& out;
        std::string_view text;
        std::int32_t type;
        std::int32_t word = 0;
        bool first = true;  // no token is there yet
        detail::AlignedText now{}, spare{};
        std::vector<detail::AlignedText> pieces{}, next{};
        std::size_t count = 0;
        std::vector<detail::Piece> found{};
        detail::Unigram::Memory unigram{};
        detail::BytePairs::Memory pairs{};
        std::string bytes{};

        detail::AlignedText& add(std::vector<detail::AlignedText>& to, std::size_t& size) const {
            if (size == to.size()) to.emplace_back();
            to[size].clear();
            return to[size++];
        }
    };

    SubwordTokenizer() = default;
    Result<void> check_text(std::string_view text) const;
    void tokenize(std::string_view text, std::int32_t type, Encoding& out) const;
    void stretch(Run& run, std::size_t begin, std::size_t end) const;
    void normalize(const TextStep& step, Run& run) const;
    void words(Run& run, std::size_t first, std::size_t last) const;
    void cut(const TextStep& step, Run& run, const detail::AlignedText& piece, std::size_t& size) const;
    void word(Run& run, const detail::AlignedText& piece) const;
    static void copy(const detail::AlignedText& from, std::size_t first, std::size_t last, detail::AlignedText& to);

    SubwordConfig config_;
    std::string text_;                   // the tokens, one after the other
    std::vector<std::uint32_t> starts_;  // [tokens + 1]
    std::vector<std::int32_t> sorted_;   // ids by their tokens
    std::vector<std::int32_t> special_ids_;
    detail::AddedTokens raw_tokens_, normalized_tokens_;
    detail::Unigram unigram_;
    detail::BytePairs pairs_;
    std::array<std::string, 256> alphabet_;  // of byte_level: each byte's character
};

namespace detail {

/// GPT-2's alphabet: printable characters stand for themselves, the other bytes for those from U+0100 on, in order.
inline std::array<std::uint32_t, 256> byte_alphabet() noexcept {
    std::array<std::uint32_t, 256> codes{};
    std::uint32_t next = 0x100;
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        const bool itself = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
        codes[byte] = itself ? byte : next++;
    }
    return codes;
}

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS
RANKLET_NAMESPACE_BEGIN

RANKLET_FUNC Result<SubwordTokenizer> SubwordTokenizer::create(TextList tokens,
                                                               SubwordConfig config) RANKLET_MEMORY_TRY {
    SubwordTokenizer made;
    made.config_ = std::move(config);
    const SubwordConfig& own = made.config_;
    const std::size_t count = tokens.size();
    const auto wrong = [](std::initializer_list<ErrorPart> what) {
        return make_error(ErrorCode::invalid_argument, what);
    };
    if (count == 0 || count > (std::size_t{1} << 24)) return wrong({"a vocabulary of ", count, " tokens"});
    const auto check_id = [&](std::int32_t id, const char* name) -> Result<void> {
        if (id >= 0 && static_cast<std::size_t>(id) < count) return {};
        return wrong({"the ", name, " id ", id, " is not in a vocabulary of ", count, " tokens"});
    };
    for (const auto* ids : {&own.before, &own.between, &own.after})
        for (const std::int32_t id : *ids) RANKLET_TRY(check_id(id, "special token's"));
    if (own.unk_id != -1) RANKLET_TRY(check_id(own.unk_id, "unknown token's"));
    for (const std::int32_t id : own.byte_ids) RANKLET_TRY(check_id(id, "byte's"));
    if (!own.byte_ids.empty() && own.byte_ids.size() != 256) return wrong({own.byte_ids.size(), " ids for 256 bytes"});
    made.starts_.push_back(0);
    for (std::size_t i = 0; i < count; ++i) {
        if (const std::size_t valid = utf8::valid_prefix(tokens[i]); valid < tokens[i].size())
            return make_error(ErrorCode::invalid_text, {"token ", i, " is not UTF-8 at its byte ", valid});
        if (tokens[i].size() > max_token_bytes)
            return make_error(ErrorCode::unsupported,
                              {"token ", i, " has ", tokens[i].size(), " bytes, a token may have ", max_token_bytes});
        made.text_ += tokens[i];
        made.starts_.push_back(static_cast<std::uint32_t>(made.text_.size()));
    }
    const auto order =
        detail::sorted_indices(count, [&](std::size_t a, std::size_t b) { return tokens[a] < tokens[b]; });
    for (const std::size_t i : order) made.sorted_.push_back(static_cast<std::int32_t>(i));
    if (own.model == SubwordConfig::Model::unigram) {
        if (own.scores.empty() || own.scores.size() > count)
            return wrong({own.scores.size(), " scores for ", count, " tokens"});
        RANKLET_TRY(check_id(own.unk_id, "unknown token's"));
        std::vector<std::string_view> views(own.scores.size());  // what is behind them is no word's piece
        for (std::size_t i = 0; i < views.size(); ++i) views[i] = tokens[i];
        RANKLET_ASSIGN(made.unigram_, detail::Unigram::create(views, own.scores, own.unk_id));
    } else {
        for (const auto& merge : own.merges) {
            RANKLET_TRY(check_id(merge.left, "merge's"));
            RANKLET_TRY(check_id(merge.right, "merge's"));
            RANKLET_TRY(check_id(merge.merged, "merge's"));
        }
        RANKLET_ASSIGN(made.pairs_, detail::BytePairs::create(own.merges));
    }
    if (own.byte_level) {
        const auto codes = detail::byte_alphabet();
        for (std::size_t byte = 0; byte < 256; ++byte) {
            char buffer[4];
            made.alphabet_[byte].assign(buffer, utf8::encode(codes[byte], buffer));
            if (own.unk_id == -1 && !made.id_of(made.alphabet_[byte]))
                return wrong({"no token stands for the byte ", byte});
        }
    }
    std::vector<const AddedToken*> raw, normalized;
    std::vector<std::string> raw_patterns, normalized_patterns;
    Encoding unused;
    for (const bool special : {true, false})
        for (const AddedToken& added : own.added_tokens) {
            if (added.special != special) continue;
            RANKLET_TRY(check_id(added.id, "added token's"));
            if (added.content.empty() || made.token(added.id) != added.content)
                return wrong({"added token ", added.id, " ('", added.content, "') is '", made.token(added.id),
                              "' in the vocabulary"});
            if (added.special) made.special_ids_.push_back(added.id);
            if (!added.normalized) {
                raw.push_back(&added);
                raw_patterns.push_back(added.content);
                continue;
            }
            Run run{unused, added.content, 0};
            run.now.push(added.content, {0, 0});
            for (const TextStep& step : own.normalizers) made.normalize(step, run);
            if (run.now.bytes.empty()) continue;  // nothing is matched by it
            normalized.push_back(&added);
            normalized_patterns.push_back(run.now.bytes);
        }
    std::sort(made.special_ids_.begin(), made.special_ids_.end());
    RANKLET_ASSIGN(made.raw_tokens_, detail::AddedTokens::create(raw, raw_patterns));
    RANKLET_ASSIGN(made.normalized_tokens_, detail::AddedTokens::create(normalized, normalized_patterns));
    return made;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC std::optional<std::int32_t> SubwordTokenizer::id_of(std::string_view wanted) const noexcept {
    const auto found = std::lower_bound(sorted_.begin(), sorted_.end(), wanted,
                                        [&](std::int32_t id, std::string_view with) { return token(id) < with; });
    if (found == sorted_.end() || token(*found) != wanted) return std::nullopt;
    return *found;
}

RANKLET_FUNC Result<void> SubwordTokenizer::check_text(std::string_view text) const {
    if (starts_.empty()) return detail::empty_object("the tokenizer");
    if (text.size() >= std::size_t{1} << 31)
        return make_error(ErrorCode::invalid_argument,
                          {"a text of ", text.size(), " bytes: 2 GiB or more is too long"});
    if (const std::size_t valid = utf8::valid_prefix(text); valid < text.size())
        return make_error(ErrorCode::invalid_text, {"the text is not UTF-8 at byte ", valid});
    return {};
}

RANKLET_FUNC Result<void> SubwordTokenizer::encode(std::string_view text, const EncodeOptions& options,
                                                   Encoding& out) const RANKLET_MEMORY_TRY {
    detail::Unfinished encoding{out};
    out.clear();
    RANKLET_TRY(check_text(text));
    const bool special = options.add_special_tokens;
    const std::size_t around = special ? config_.before.size() + config_.after.size() : 0;
    if (options.max_length < around)
        return make_error(ErrorCode::invalid_argument,
                          {"max_length ", options.max_length, " has no room for ", around, " special tokens"});
    if (special)
        for (const std::int32_t id : config_.before) out.push(id, 0, {}, -1);
    const std::size_t first = out.size();
    tokenize(text, 0, out);
    if (out.size() - first > options.max_length - around) out.erase(first + options.max_length - around, out.size());
    if (special)
        for (const std::int32_t id : config_.after) out.push(id, 0, {}, -1);
    encoding.finished = true;
    return {};
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<void> SubwordTokenizer::encode_pair(std::string_view a, std::string_view b,
                                                        const EncodeOptions& options,
                                                        Encoding& out) const RANKLET_MEMORY_TRY {
    detail::Unfinished encoding{out};
    out.clear();
    if (!config_.pairs) return make_error(ErrorCode::unsupported, {"this tokenizer has no form for pairs of texts"});
    RANKLET_TRY(check_text(a));
    RANKLET_TRY(check_text(b));
    const bool special = options.add_special_tokens;
    const std::size_t around = special ? config_.before.size() + config_.between.size() + config_.after.size() : 0;
    if (options.max_length < around)
        return make_error(ErrorCode::invalid_argument,
                          {"max_length ", options.max_length, " has no room for ", around, " special tokens"});
    const auto put = [&](const std::vector<std::int32_t>& ids, std::int32_t type) {
        if (special)
            for (const std::int32_t id : ids) out.push(id, type, {}, -1);
    };
    put(config_.before, 0);
    const std::size_t a_first = out.size();
    tokenize(a, 0, out);
    const std::size_t a_last = out.size();
    put(config_.between, 0);
    const std::size_t b_first = out.size();
    tokenize(b, config_.second_type, out);
    const std::size_t b_last = out.size(), room = options.max_length - around;
    std::size_t keep_a = a_last - a_first, keep_b = b_last - b_first;
    if (keep_a + keep_b > room) {  // the longer first
        std::size_t shorter = std::min(keep_a, keep_b);
        std::size_t longer = shorter > room ? shorter : std::max(shorter, room - shorter);
        if (shorter + longer > room) {
            shorter = room / 2;
            longer = shorter + room % 2;
        }
        const bool a_longer = keep_a > keep_b;
        keep_a = a_longer ? longer : shorter;
        keep_b = a_longer ? shorter : longer;
    }
    out.erase(b_first + keep_b, b_last);
    out.erase(a_first + keep_a, a_last);
    put(config_.after, config_.second_type);
    encoding.finished = true;
    return {};
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC void SubwordTokenizer::tokenize(std::string_view text, std::int32_t type, Encoding& out) const {
    Run run{out, text, type};
    raw_tokens_.split(
        text,
        [&](std::size_t begin, std::size_t end) {
            stretch(run, begin, end);
            return true;
        },
        [&](std::size_t begin, std::size_t end, std::int32_t id) {
            out.push(id, type, {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)}, run.word++);
            run.first = false;
            return true;
        });
}

RANKLET_FUNC void SubwordTokenizer::stretch(Run& run, std::size_t begin, std::size_t end) const {
    run.now.clear();
    detail::for_each_code(run.text.substr(begin, end - begin),
                          [&](std::uint32_t, std::size_t at, std::uint32_t length) {
                              const auto from = static_cast<std::uint32_t>(begin + at);
                              run.now.push(run.text.substr(begin + at, length), {from, from + length});
                          });
    for (const TextStep& step : config_.normalizers) normalize(step, run);
    if (normalized_tokens_.empty()) return words(run, 0, run.now.bytes.size());
    const std::string whole = run.now.bytes;
    normalized_tokens_.split(
        whole,
        [&](std::size_t first, std::size_t last) {
            words(run, first, last);
            return true;
        },
        [&](std::size_t first, std::size_t last, std::int32_t id) {
            run.out.push(id, run.type, run.now.span_of(first, last), run.word++);
            run.first = false;
            return true;
        });
}

RANKLET_FUNC void SubwordTokenizer::copy(const detail::AlignedText& from, std::size_t first, std::size_t last,
                                         detail::AlignedText& to) {
    to.bytes.append(from.bytes, first, last - first);
    to.spans.insert(to.spans.end(), from.spans.begin() + static_cast<std::ptrdiff_t>(first),
                    from.spans.begin() + static_cast<std::ptrdiff_t>(last));
}

RANKLET_FUNC void SubwordTokenizer::normalize(const TextStep& step, Run& run) const {
    detail::AlignedText &now = run.now, &out = run.spare;
    const auto each = [&](const auto& body) {
        out.clear();
        detail::for_each_code(now.bytes, [&](std::uint32_t code, std::size_t at, std::uint32_t length) {
            body(code, std::string_view(now.bytes).substr(at, length), now.span_of(at, at + length));
        });
    };
    switch (step.kind) {
        case Kind::character_map:
            detail::map_characters(config_.map, now, out);
            break;
        case Kind::nfc:
        case Kind::nfd:
            detail::normalize_canonically(now, out, step.kind == Kind::nfc);
            break;
        case Kind::lowercase:
            each([&](std::uint32_t code, std::string_view, TokenSpan span) {
                const unicode::Expansion lower = unicode::lower(code);
                for (std::uint32_t i = 0; i < lower.size; ++i) out.push_code(lower.codes[i], span);
            });
            break;
        case Kind::strip_accents:
            each([&](std::uint32_t code, std::string_view bytes, TokenSpan span) {
                if (!unicode::in_runs(unicode::mark_bounds, code)) out.push(bytes, span);
            });
            break;
        case Kind::strip_left:
        case Kind::strip_right: {
            std::size_t first = now.bytes.size(), last = 0;
            detail::for_each_code(now.bytes, [&](std::uint32_t code, std::size_t at, std::uint32_t length) {
                if (unicode::is_space(code)) return;
                first = std::min(first, at);
                last = at + length;
            });
            out.clear();
            if (step.kind == Kind::strip_left)
                copy(now, first, now.bytes.size(), out);
            else
                copy(now, 0, last, out);
            break;
        }
        case Kind::replace:
            detail::replace_all(step.what, step.with, now, out);
            break;
        case Kind::collapse_spaces: {
            out.clear();
            for (std::size_t at = 0; at < now.bytes.size();) {
                const std::size_t end = std::min(now.bytes.find_first_not_of(' ', at), now.bytes.size());
                if (end - at >= 2) {
                    out.push(step.with, now.spans[end - 1]);
                    at = end;
                } else {
                    copy(now, at, at + 1, out);
                    ++at;
                }
            }
            break;
        }
        case Kind::prepend:
            out.clear();
            if (!now.bytes.empty()) out.push(step.with, now.spans[0]);
            copy(now, 0, now.bytes.size(), out);
            break;
        default:
            return;  // not of a whole text
    }
    std::swap(run.now, run.spare);
}

RANKLET_FUNC void SubwordTokenizer::words(Run& run, std::size_t first, std::size_t last) const {
    if (first == last) return;
    run.count = 0;
    copy(run.now, first, last, run.add(run.pieces, run.count));
    for (const TextStep& step : config_.words) {
        std::size_t size = 0;
        for (std::size_t p = 0; p < run.count; ++p) cut(step, run, run.pieces[p], size);
        run.pieces.swap(run.next);
        run.count = size;
    }
    for (std::size_t p = 0; p < run.count; ++p) word(run, run.pieces[p]);
}

// The piece's words behind the first `size` of run.next.
RANKLET_FUNC void SubwordTokenizer::cut(const TextStep& step, Run& run, const detail::AlignedText& piece,
                                        std::size_t& size) const {
    const std::string_view text = piece.bytes;
    if (text.empty()) return;
    const auto add = [&](std::size_t first, std::size_t last) {
        if (first < last) copy(piece, first, last, run.add(run.next, size));
    };
    switch (step.kind) {
        case Kind::split_spaces: {
            std::size_t first = 0;
            detail::for_each_code(text, [&](std::uint32_t code, std::size_t at, std::uint32_t length) {
                if (!unicode::is_space(code)) return;
                add(first, at);
                first = at + length;
            });
            return add(first, text.size());
        }
        case Kind::digits: {
            std::size_t first = 0;
            detail::for_each_code(text, [&](std::uint32_t code, std::size_t at, std::uint32_t length) {
                if (!unicode::in_runs(unicode::number_bounds, code)) return;
                add(first, at);
                add(at, at + length);
                first = at + length;
            });
            return add(first, text.size());
        }
        case Kind::pattern: {
            const detail::PatternScanner scanner(step.pattern, text);
            for (std::size_t at = 0; at < text.size();) {
                const std::size_t end = scanner.end_of(at);
                add(at, end);
                at = end;
            }
            return;
        }
        case Kind::prefix_space: {
            detail::AlignedText& out = run.add(run.next, size);
            if (!text.starts_with(' ')) out.push(" ", piece.spans[0]);
            return copy(piece, 0, text.size(), out);
        }
        case Kind::metaspace: {
            detail::AlignedText whole;
            const bool begins = text.starts_with(' ') || text.starts_with(step.with);
            const bool wanted = step.scheme == TextStep::Scheme::always ||
                                (step.scheme == TextStep::Scheme::first && piece.spans[0].begin == 0);
            if (wanted && !begins) whole.push(step.with, piece.spans[0]);
            for (std::size_t at = 0; at < text.size(); ++at) {
                if (text[at] == ' ')
                    whole.push(step.with, piece.spans[at]);
                else
                    copy(piece, at, at + 1, whole);
            }
            const std::string_view marked = whole.bytes;
            if (!step.split) return copy(whole, 0, marked.size(), run.add(run.next, size));
            for (std::size_t at = 0; at < marked.size();) {
                const std::size_t end = std::min(marked.find(step.with, at + 1), marked.size());
                copy(whole, at, end, run.add(run.next, size));
                at = end;
            }
            return;
        }
        default:
            return add(0, text.size());  // not of words
    }
}

RANKLET_FUNC void SubwordTokenizer::word(Run& run, const detail::AlignedText& piece) const {
    run.found.clear();
    const std::string_view text = piece.bytes;
    const auto whole = [&](std::string_view written) {
        if (!config_.whole_words_first) return false;
        const auto id = id_of(written);
        if (id) run.found.push_back({*id, static_cast<std::uint32_t>(text.size())});
        return id.has_value();
    };
    auto& symbols = run.pairs.symbols;
    symbols.clear();
    if (config_.model == SubwordConfig::Model::unigram) {
        unigram_.encode(text, run.unigram, run.found);
    } else if (config_.byte_level) {
        run.bytes.clear();
        for (const char c : text) run.bytes += alphabet_[static_cast<unsigned char>(c)];
        if (!whole(run.bytes)) {
            for (const char c : text)
                symbols.push_back({id_of(alphabet_[static_cast<unsigned char>(c)]).value_or(config_.unk_id), 1, 0, 0});
            pairs_.merge(run.pairs, run.found);
        }
    } else if (!whole(text)) {
        bool unknown = false;
        detail::for_each_code(text, [&](std::uint32_t, std::size_t at, std::uint32_t length) {
            const auto id = id_of(text.substr(at, length));
            if (id) {
                symbols.push_back({*id, length, 0, 0});
                unknown = false;
            } else if (!config_.byte_ids.empty()) {
                for (std::uint32_t i = 0; i < length; ++i)
                    symbols.push_back({config_.byte_ids[static_cast<unsigned char>(text[at + i])], 1, 0, 0});
                unknown = false;
            } else if (config_.unk_id >= 0) {
                if (unknown)
                    symbols.back().bytes += length;
                else
                    symbols.push_back({config_.unk_id, length, 0, 0});
                unknown = true;
            }
        });
        pairs_.merge(run.pairs, run.found);
    }
    std::size_t at = 0;
    for (const detail::Piece& found : run.found) {
        const std::size_t end = at + found.bytes;
        if (found.id == config_.unk_id && config_.model == SubwordConfig::Model::unigram && !config_.byte_ids.empty()) {
            for (std::size_t i = at; i < end; ++i)
                run.out.push(config_.byte_ids[static_cast<unsigned char>(text[i])], run.type, piece.span_of(i, i + 1),
                             run.word);
        } else {
            TokenSpan span = piece.span_of(at, end);
            if (config_.trim_offsets) {
                const std::string_view own = text.substr(at, end - at);
                std::size_t left = std::min(own.find_first_not_of(' '), own.size());
                // One space before the first may have been put there: none of the text's.
                if (left == 1 && config_.keeps_first_space && (run.first || span.begin == 0)) left = 0;
                span.begin = std::min(span.begin + static_cast<std::uint32_t>(left), span.end);
                const std::size_t last = own.find_last_not_of(' ');
                if (last == own.npos)
                    span.end = span.begin;  // spaces alone
                else
                    span.end = std::max(span.end - static_cast<std::uint32_t>(own.size() - 1 - last), span.begin);
            }
            run.out.push(found.id, run.type, span, run.word);
        }
        run.first = false;
        at = end;
    }
    ++run.word;
}

RANKLET_FUNC Result<std::string> SubwordTokenizer::decode(std::span<const std::int32_t> ids,
                                                          bool skip_special) const RANKLET_MEMORY_TRY {
    constexpr std::string_view mark = "\xE2\x96\x81";
    std::string text;
    const auto codes = detail::byte_alphabet();
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (ids[i] < 0 || static_cast<std::size_t>(ids[i]) >= vocabulary_size())
            return make_error(
                ErrorCode::invalid_argument,
                {"id ", ids[i], " at position ", i, " is not in a vocabulary of ", vocabulary_size(), " tokens"});
        const bool special = std::binary_search(special_ids_.begin(), special_ids_.end(), ids[i]);
        if (special && skip_special) continue;
        const std::string_view written = token(ids[i]);
        const auto byte = std::find(config_.byte_ids.begin(), config_.byte_ids.end(), ids[i]);
        if (byte != config_.byte_ids.end()) {
            text += static_cast<char>(byte - config_.byte_ids.begin());
        } else if (special || !config_.byte_level) {
            for (std::size_t at = 0; at < written.size();) {
                const bool space = !special && written.substr(at).starts_with(mark);
                text += space ? ' ' : written[at];
                at += space ? mark.size() : 1;
            }
        } else {
            detail::for_each_code(written, [&](std::uint32_t code, std::size_t, std::uint32_t) {
                const auto found = std::find(codes.begin(), codes.end(), code);
                if (found != codes.end()) text += static_cast<char>(found - codes.begin());
            });
        }
    }
    if (!config_.byte_level && text.starts_with(' ')) text.erase(0, 1);
    return text;
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
#endif
