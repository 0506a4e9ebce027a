// WordTokenizer: text to the words of a vocabulary (word2vec's, GloVe's): one id a word, Chinese by longest match.
// In: UTF-8 text. Out: ids with byte offsets and word indices.
// Forward maximum matching: C. Liang, "书面汉语自动分词系统", 1984.
// The longest word from the left, then on from its end.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/sort.hpp"
#include "ranklet/core/text_list.hpp"
#include "ranklet/text/byte_trie.hpp"
#include "ranklet/text/encoding.hpp"
#include "ranklet/text/folded_text.hpp"
#include "ranklet/text/unicode.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN

/// What becomes of a word that the vocabulary lacks. (Punctuation and symbols that it lacks are always left out.)
enum class UnknownWord {
    skip,        ///< it is left out
    row,         ///< one token, the unknown one
    characters,  ///< its characters, those that the vocabulary has
};

/// How a text is cut into words.
enum class WordCut {
    rules,       ///< by its characters first: only what these rules give is looked up
    vocabulary,  ///< by what the vocabulary has, then by rules for the rest
    whitespace,  ///< as sentence-transformers' WhitespaceTokenizer
};

struct WordTokenizerConfig {
    /// Text is lower-cased, character by character, before it is looked up: for vocabularies without capitals.
    bool lowercase = false;
    UnknownWord unknown = UnknownWord::skip;
    std::int32_t unknown_id = -1;  ///< for UnknownWord::row
    /// Words that are left out of every text, known or not (read by create() alone; in lower case where `lowercase`).
    /// Longest match knows them as it knows the vocabulary's: 的 is left out, 的士 stays where the vocabulary has it.
    std::span<const std::string_view> stop_words = {};
    WordCut cut = WordCut::rules;
};

/// How a text is cut.
///
/// `rules`: a word is a run of word characters (letters, digits, marks, underscore); an apostrophe or a hyphen between
/// two of them belongs to it, and a full stop or comma between two digits ("don't", "well-made", "1,299.00"). A word
/// with such joints that the vocabulary lacks is looked up part by part. Any other character that is not a space is a
/// word of its own. Chinese characters (and the words that touch them, "T恤") are cut by longest match: of all
/// vocabulary words that start here and end between two characters or words, the longest; then on from its end.
///
/// `vocabulary`: longest match from every place, in whatever script, over punctuation and white space as well: "c++",
/// "u.s.", "node.js", "new york". A match begins and ends where no word characters touch, never within a run of them;
/// of joints as above the last character is never one ("well-" is no word of "well-made"), and a joint by itself is
/// passed over. Where nothing matches, a run of word characters, or a Chinese character, is an unknown word. Words and
/// texts are compared folded (folded_text.hpp): composed or decomposed, any apostrophe, any white space. Of words that
/// are alike then, the one that the text has as it stands, else the first, is meant.
///
/// `whitespace`: Python's str.split(); each piece as it is, else without ASCII punctuation at its ends, else that in
/// lower case; what the vocabulary then lacks is left out. `unknown` must be `skip`. `lowercase`: Python's str.lower().
///
/// Immutable once made, so any number of threads may use one.
class WordTokenizer {
public:
    /// Without a vocabulary: encoding is an Error invalid_argument, as it is for one that was moved from.
    RANKLET_MOVES_OUT_OF_LINE(WordTokenizer);

    /// `words` by id; they are not kept. Errors: `invalid_argument` for an empty vocabulary, a word that stands twice
    /// or is empty, an unknown id out of range; `invalid_text` for a word that is not UTF-8; `unsupported` for a word of
    /// more than `max_token_bytes` and when the words need more than ByteTrie holds.
    RANKLET_COLD static Result<WordTokenizer> create(TextList words,
                                                     const WordTokenizerConfig& config) RANKLET_MEMORY_TRY {
        if (words.empty()) return make_error(ErrorCode::invalid_argument, {"the vocabulary is empty"});
        if (words.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
            return make_error(ErrorCode::unsupported, {"the vocabulary has ", words.size(), " words"});
        if (config.unknown == UnknownWord::row &&
            (config.unknown_id < 0 || static_cast<std::size_t>(config.unknown_id) >= words.size()))
            return make_error(ErrorCode::invalid_argument, {"the unknown word's id ", config.unknown_id,
                                                            " is not in a vocabulary of ", words.size(), " words"});
        if (config.cut == WordCut::whitespace && config.unknown != UnknownWord::skip)
            return make_error(ErrorCode::invalid_argument, {"words cut at white space alone are known or left out"});
        RANKLET_TRY(check_words(words, "word "));
        RANKLET_TRY(check_words(config.stop_words, "stop word "));
        WordTokenizer tokenizer;
        tokenizer.config_ = config;
        tokenizer.config_.stop_words = {};
        tokenizer.size_ = words.size();
        RANKLET_TRY(tokenizer.take_words(words));
        if (!config.stop_words.empty()) RANKLET_TRY(tokenizer.take_stop_words(config.stop_words));
        return tokenizer;
    }
    RANKLET_MEMORY_CATCH

    std::size_t vocabulary_size() const noexcept { return trie_.memory() == 0 ? 0 : size_; }
    const WordTokenizerConfig& config() const noexcept { return config_; }
    /// The id of a word, looked up as a word of a text is (lower-cased where the vocabulary is).
    std::optional<std::int32_t> id_of(std::string_view word) const {
        if (vocabulary_size() == 0 || word.empty() || utf8::valid_prefix(word) < word.size()) return std::nullopt;
        std::int32_t id = ByteTrie::no_value;
        if (config_.cut == WordCut::vocabulary) {
            detail::EncodeScratch scratch;
            id = of_twins(value(trie_.walk(ByteTrie::root, detail::folded(word, config_.lowercase, scratch))), word);
        } else {
            id = value(walk(ByteTrie::root, word, 0, word.size()));
        }
        if (id == ByteTrie::no_value) return std::nullopt;
        return id;
    }
    /// Bytes of memory that the vocabulary takes.
    std::size_t memory() const noexcept { return trie_.memory(); }

    /// The text's tokens into `out`, which is cleared first; no special tokens. Stops after options.max_length of them.
    /// No heap once `out` has grown to what the texts need. Errors, with `out` left empty: `invalid_text` with the
    /// offset of the first byte that is not UTF-8; `invalid_argument` for 4 GiB or more.
    Result<void> encode(std::string_view text, const EncodeOptions& options, Encoding& out) const RANKLET_MEMORY_TRY {
        detail::Unfinished encoding{out};
        out.clear();
        if (vocabulary_size() == 0) return detail::empty_object("the tokenizer");
        if (text.size() > std::numeric_limits<std::uint32_t>::max())
            return make_error(ErrorCode::invalid_argument,
                              {"a text of ", text.size(), " bytes: 4 GiB or more is too long"});
        if (const std::size_t valid = utf8::valid_prefix(text); valid < text.size())
            return make_error(ErrorCode::invalid_text, {"the text is not UTF-8 at byte ", valid});
        switch (config_.cut) {
            case WordCut::rules:
                cut_by_rules(text, options.max_length, out);
                break;
            case WordCut::vocabulary:
                cut_by_vocabulary(text, options.max_length, out);
                break;
            case WordCut::whitespace:
                cut_at_white_space(text, options.max_length, out);
                break;
        }
        if (out.size() > options.max_length) out.erase(options.max_length, out.size());
        encoding.finished = true;
        return {};
    }
    RANKLET_MEMORY_CATCH
    /// The same as a value of its own.
    Result<Encoding> encode(std::string_view text, const EncodeOptions& options = {}) const RANKLET_MEMORY_TRY {
        Encoding encoding;
        RANKLET_TRY(encode(text, options, encoding));
        return encoding;
    }
    RANKLET_MEMORY_CATCH

private:
    using ByteTrie = detail::ByteTrie;

    enum class Kind { space, word, chinese, other };
    struct Unit {
        std::size_t begin, end;
        Kind kind;
        bool joined;  // has an apostrophe or the like inside
    };
    struct Match {
        std::size_t end;
        std::int32_t id;
    };

    // --- making ---

    static Result<void> check_words(TextList words, std::string_view what) {
        for (std::size_t w = 0; w < words.size(); ++w) {
            if (words[w].empty()) return make_error(ErrorCode::invalid_argument, {what, w, " is empty"});
            if (utf8::valid_prefix(words[w]) < words[w].size())
                return make_error(ErrorCode::invalid_text, {what, w, " is not UTF-8"});
            if (words[w].size() > max_token_bytes)
                return make_error(ErrorCode::unsupported,
                                  {what, w, " has ", words[w].size(), " bytes, a word may have ", max_token_bytes});
        }
        return {};
    }

    RANKLET_COLD Result<void> take_words(TextList words) {
        const auto by_word =
            detail::sorted_indices(words.size(), [&](std::size_t a, std::size_t b) { return words[a] < words[b]; });
        for (std::size_t i = 1; i < by_word.size(); ++i)
            if (words[by_word[i]] == words[by_word[i - 1]])
                return make_error(ErrorCode::invalid_argument, {"the word \"", words[by_word[i]], "\" stands twice"});
        std::vector<std::string_view> keys;
        std::vector<std::int32_t> values;
        const auto add = [&](std::string_view key, std::size_t id) {
            keys.push_back(key);
            values.push_back(static_cast<std::int32_t>(id));
        };
        if (config_.cut != WordCut::vocabulary) {
            for (const std::size_t w : by_word) add(words[w], w);
            RANKLET_ASSIGN(trie_, ByteTrie::create(keys, values));
            return {};
        }
        std::vector<std::string> folded(words.size());
        detail::EncodeScratch scratch;
        for (std::size_t w = 0; w < words.size(); ++w) folded[w] = detail::folded(words[w], false, scratch);
        if (config_.lowercase)
            for (std::string& each : folded) fold_sigma(each);
        const auto by_form =
            detail::sorted_indices(words.size(), [&](std::size_t a, std::size_t b) { return folded[a] < folded[b]; });
        std::vector<Twin> twins;
        for (std::size_t i = 0, end = 0; i < by_form.size(); i = end) {
            const std::size_t first = by_form[i];
            for (end = i + 1; end < by_form.size() && folded[by_form[end]] == folded[first];) ++end;
            add(folded[first], first);
            for (std::size_t k = i; end - i > 1 && k < end; ++k)
                twins.push_back({static_cast<std::int32_t>(first), static_cast<std::int32_t>(by_form[k]),
                                 std::string(words[by_form[k]])});
        }
        for (const std::size_t t : detail::sorted_indices(
                 twins.size(), [&](std::size_t a, std::size_t b) { return twins[a].first < twins[b].first; }))
            twins_.push_back(std::move(twins[t]));
        RANKLET_ASSIGN(trie_, ByteTrie::create(keys, values));
        return {};
    }

    RANKLET_COLD Result<void> take_stop_words(TextList words) {
        std::vector<std::string> forms(words.begin(), words.end());
        detail::EncodeScratch scratch;
        if (config_.cut == WordCut::vocabulary)
            for (std::string& each : forms) {
                each = detail::folded(each, false, scratch);
                if (config_.lowercase) fold_sigma(each);
            }
        std::vector<std::string_view> keys;
        for (const std::size_t f :
             detail::sorted_indices(forms.size(), [&](std::size_t a, std::size_t b) { return forms[a] < forms[b]; }))
            if (keys.empty() || keys.back() != forms[f]) keys.push_back(forms[f]);
        RANKLET_ASSIGN(stop_words_, ByteTrie::create(keys, std::vector<std::int32_t>(keys.size())));
        stops_ = true;
        return {};
    }

    // A final sigma as an inner one: what folding a lower-cased text gives. (The words' capitals stay: no such text
    // has them.)
    static void fold_sigma(std::string& word) {
        for (std::size_t at = 0; (at = word.find("\xCF\x82", at)) != std::string::npos;) word[at + 1] = '\x83';
    }

    // --- cutting by rules ---

    void cut_by_rules(std::string_view text, std::size_t max_length, Encoding& out) const {
        std::int32_t word = 0;
        for (std::size_t at = 0; at < text.size() && out.size() < max_length;) {
            const Unit unit = next_unit(text, at);
            at = unit.end;
            if (unit.kind == Kind::space) continue;
            Match match{unit.end, value(walk(ByteTrie::root, text, unit.begin, unit.end))};
            if (unit.kind == Kind::chinese || (unit.kind == Kind::word && is_chinese_at(text, unit.end)))
                match = longest_match(text, unit, match);
            at = match.end;
            if (is_stop_word(text, unit.begin, match.end)) {
                // left out, but a word of the text all the same
            } else if (match.id != ByteTrie::no_value) {
                push(match.id, unit.begin, match.end, word, out);
            } else if (unit.kind != Kind::other) {
                look_up_parts(text, unit, word, out);
            }
            ++word;
        }
    }

    static std::uint32_t code_at(std::string_view text, std::size_t at, std::uint32_t& length) noexcept {
        return utf8::decode(reinterpret_cast<const unsigned char*>(text.data()) + at, length);
    }
    static Kind kind_of(std::uint32_t code) noexcept {
        const std::uint8_t flags = unicode::record(code).flags;
        if ((flags & unicode::chinese_flag) != 0) return Kind::chinese;
        if ((flags & unicode::word_flag) != 0) return Kind::word;
        return (flags & (unicode::space_flag | unicode::control_flag)) != 0 || code < 0x20 ? Kind::space : Kind::other;
    }
    static bool is_chinese_at(std::string_view text, std::size_t at) noexcept {
        std::uint32_t length = 0;
        return at < text.size() && kind_of(code_at(text, at, length)) == Kind::chinese;
    }
    static bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

    // Whether the character at `at`, of `length` bytes, joins what stands before and after it to one word.
    static bool is_joint(std::string_view text, std::size_t at, std::uint32_t code, std::uint32_t length) noexcept {
        const std::size_t after = at + length;
        if (after >= text.size()) return false;
        if (code == '.' || code == ',') return is_digit(text[at - 1]) && is_digit(text[after]);
        std::uint32_t ignored = 0;
        return (code == '\'' || code == '-' || code == 0x2019) && kind_of(code_at(text, after, ignored)) == Kind::word;
    }

    // A word, a Chinese character, or another character. Precondition: at < text.size().
    static Unit next_unit(std::string_view text, std::size_t at) noexcept {
        std::uint32_t length = 0;
        const Kind kind = kind_of(code_at(text, at, length));
        Unit unit{at, at + length, kind, false};
        while (kind == Kind::word && unit.end < text.size()) {
            const std::uint32_t code = code_at(text, unit.end, length);
            if (kind_of(code) != Kind::word) {
                if (!is_joint(text, unit.end, code, length)) break;
                unit.joined = true;
            }
            unit.end += length;
        }
        return unit;
    }

    // The node that text[begin, end), in the vocabulary's case, leads to from `node`, or none.
    ByteTrie::Node walk(ByteTrie::Node node, std::string_view text, std::size_t begin, std::size_t end) const noexcept {
        return walk(trie_, node, text, begin, end);
    }
    ByteTrie::Node walk(const ByteTrie& trie, ByteTrie::Node node, std::string_view text, std::size_t begin,
                        std::size_t end) const noexcept {
        if (!config_.lowercase) return trie.walk(node, text.substr(begin, end - begin));
        while (begin < end && node != ByteTrie::none) {
            std::uint32_t length = 0;
            const unicode::Expansion lower = unicode::lower(code_at(text, begin, length));
            for (std::uint32_t i = 0; i < lower.size && node != ByteTrie::none; ++i) {
                char bytes[4];
                node = trie.walk(node, {bytes, utf8::encode(lower.codes[i], bytes)});
            }
            begin += length;
        }
        return node;
    }
    std::int32_t value(ByteTrie::Node node) const noexcept {
        return node == ByteTrie::none ? ByteTrie::no_value : trie_.value(node);
    }
    bool is_stop_word(std::string_view text, std::size_t begin, std::size_t end) const noexcept {
        if (!stops_) return false;
        const ByteTrie::Node node = walk(stop_words_, ByteTrie::root, text, begin, end);
        return node != ByteTrie::none && stop_words_.value(node) != ByteTrie::no_value;
    }

    // The longest vocabulary or stop word that starts with `unit` and goes on over units that touch it.
    // `match` if none does.
    Match longest_match(std::string_view text, Unit unit, Match match) const noexcept {
        ByteTrie::Node node = walk(ByteTrie::root, text, unit.begin, unit.end);
        ByteTrie::Node stop = stops_ ? walk(stop_words_, ByteTrie::root, text, unit.begin, unit.end) : ByteTrie::none;
        while ((node != ByteTrie::none || stop != ByteTrie::none) && unit.end < text.size()) {
            unit = next_unit(text, unit.end);
            if (unit.kind != Kind::word && unit.kind != Kind::chinese) break;
            if (node != ByteTrie::none) node = walk(node, text, unit.begin, unit.end);
            if (stop != ByteTrie::none) stop = walk(stop_words_, stop, text, unit.begin, unit.end);
            if (value(node) != ByteTrie::no_value ||
                (stop != ByteTrie::none && stop_words_.value(stop) != ByteTrie::no_value))
                match = {unit.end, value(node)};
        }
        return match;
    }

    void look_up_parts(std::string_view text, const Unit& unit, std::int32_t word, Encoding& out) const {
        if (!unit.joined) return push_unknown(text, unit.begin, unit.end, word, out);
        std::size_t begin = unit.begin;
        for (std::size_t at = begin; at <= unit.end;) {
            std::uint32_t length = 1;
            if (at < unit.end && kind_of(code_at(text, at, length)) == Kind::word) {
                at += length;
                continue;
            }
            const std::int32_t id = value(walk(ByteTrie::root, text, begin, at));
            if (id != ByteTrie::no_value)
                push(id, begin, at, word, out);
            else
                push_unknown(text, begin, at, word, out);
            begin = at += length;
        }
    }
    void push_unknown(std::string_view text, std::size_t begin, std::size_t end, std::int32_t word,
                      Encoding& out) const {
        if (config_.unknown == UnknownWord::row) push(config_.unknown_id, begin, end, word, out);
        if (config_.unknown != UnknownWord::characters) return;
        for (std::uint32_t length = 0; begin < end; begin += length) {
            code_at(text, begin, length);
            const std::int32_t id = value(walk(ByteTrie::root, text, begin, begin + length));
            if (id != ByteTrie::no_value) push(id, begin, begin + length, word, out);
        }
    }
    static void push(std::int32_t id, std::size_t begin, std::size_t end, std::int32_t word, Encoding& out) {
        out.push(id, 0, {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)}, word);
    }

    // --- cutting by the vocabulary ---

    using NormalizedChar = detail::NormalizedChar;
    using Chars = std::span<const NormalizedChar>;

    static bool is_word(const NormalizedChar& character) noexcept { return kind_of(character.code) == Kind::word; }
    // Whether the character joins the word characters at both its sides to one word.
    static bool is_joint(Chars chars, std::size_t at) noexcept {
        const std::uint32_t code = chars[at].code;
        if ((code != '\'' && code != '-' && code != '.' && code != ',') || at == 0 || at + 1 == chars.size())
            return false;
        const std::uint32_t before = chars[at - 1].code, after = chars[at + 1].code;
        if (code == '.' || code == ',') return before >= '0' && before <= '9' && after >= '0' && after <= '9';
        return is_word(chars[at - 1]) && is_word(chars[at + 1]);
    }
    // Whether a match may end before chars[end].
    static bool may_end(Chars chars, std::size_t end) noexcept {
        if (chars[end - 1].code == ' ' || is_joint(chars, end - 1)) return false;
        return end == chars.size() || !is_word(chars[end - 1]) || !is_word(chars[end]);
    }
    static std::size_t end_of_word(Chars chars, std::size_t at) noexcept {
        const bool word = is_word(chars[at]);
        do ++at;
        while (word && at < chars.size() && is_word(chars[at]));
        return at;
    }
    static ByteTrie::Node step(const ByteTrie& trie, ByteTrie::Node node, const NormalizedChar& character) noexcept {
        if (node == ByteTrie::none) return node;
        char bytes[4];
        return trie.walk(node, {bytes, utf8::encode(character.code, bytes)});
    }

    struct Found {
        std::size_t end;  // where it starts, if nothing was found
        std::int32_t id;  // no_value: a stop word, if something was
    };
    // The longest vocabulary or stop word that starts at chars[at]; of equal ones the stop word.
    Found longest(Chars chars, std::size_t at) const noexcept {
        Found found{at, ByteTrie::no_value};
        ByteTrie::Node node = ByteTrie::root, stop = stops_ ? ByteTrie::root : ByteTrie::none;
        for (std::size_t i = at; i < chars.size(); ++i) {
            node = step(trie_, node, chars[i]);
            stop = step(stop_words_, stop, chars[i]);
            if (node == ByteTrie::none && stop == ByteTrie::none) break;
            const bool is_stop = stop != ByteTrie::none && stop_words_.value(stop) != ByteTrie::no_value;
            if ((is_stop || value(node) != ByteTrie::no_value) && may_end(chars, i + 1))
                found = {i + 1, is_stop ? ByteTrie::no_value : value(node)};
        }
        return found;
    }

    void cut_by_vocabulary(std::string_view text, std::size_t max_length, Encoding& out) const {
        detail::fold(text, config_.lowercase, out.scratch);
        const Chars chars = out.scratch.normalized;
        std::int32_t word = 0;
        for (std::size_t at = 0; at < chars.size() && out.size() < max_length;) {
            if (chars[at].code == ' ') {
                ++at;
                continue;
            }
            const Found found = longest(chars, at);
            std::size_t end = found.end;
            if (end == at) {  // nothing starts here
                end = end_of_word(chars, at);
                if (kind_of(chars[at].code) != Kind::other) push_unknown(text, chars.subspan(at, end - at), word, out);
            } else if (found.id != ByteTrie::no_value) {
                const TokenSpan span = span_of(chars.subspan(at, end - at));
                push(of_twins(found.id, text.substr(span.begin, span.end - span.begin)), span.begin, span.end, word,
                     out);
            }
            const bool passed_over = end == at + 1 && is_joint(chars, at);
            if (!passed_over && !(end < chars.size() && is_joint(chars, end))) ++word;
            at = end;
        }
    }

    // Marks may have changed places, so the first and last bytes are not always the first and last character's.
    static TokenSpan span_of(Chars chars) noexcept {
        TokenSpan span = chars.front().span;
        for (const NormalizedChar& each : chars)
            span = {std::min(span.begin, each.span.begin), std::max(span.end, each.span.end)};
        return span;
    }

    void push_unknown(std::string_view text, Chars chars, std::int32_t word, Encoding& out) const {
        const TokenSpan whole = span_of(chars);
        if (config_.unknown == UnknownWord::row) push(config_.unknown_id, whole.begin, whole.end, word, out);
        if (config_.unknown != UnknownWord::characters) return;
        for (std::size_t at = 0; at < chars.size();) {  // a character with its marks; without them where it is unknown
            std::size_t end = at + 1;
            while (end < chars.size() &&
                   (chars[end].span == chars[at].span || unicode::record(chars[end].code).combining != 0))
                ++end;
            for (const std::size_t stop : {end, at + 1}) {
                ByteTrie::Node node = ByteTrie::root;
                for (std::size_t i = at; i < stop; ++i) node = step(trie_, node, chars[i]);
                if (value(node) == ByteTrie::no_value) continue;
                const TokenSpan span = span_of(chars.subspan(at, stop - at));
                push(of_twins(value(node), text.substr(span.begin, span.end - span.begin)), span.begin, span.end, word,
                     out);
                break;
            }
            at = end;
        }
    }

    // Of the words that fold to the same as word `first`: the one that the text has as it stands, else the first.
    std::int32_t of_twins(std::int32_t first, std::string_view text) const noexcept {
        const auto [begin, end] = std::equal_range(twins_.begin(), twins_.end(), Twin{first, 0, {}},
                                                   [](const Twin& a, const Twin& b) { return a.first < b.first; });
        for (auto twin = begin; twin != end; ++twin)
            if (same(twin->text, text)) return twin->id;
        return first;
    }
    // Whether the text is the word, once it is in lower case where the vocabulary is.
    bool same(std::string_view word, std::string_view text) const noexcept {
        if (!config_.lowercase) return word == text;
        std::uint32_t length = 0;
        for (std::size_t at = 0; at < text.size(); at += length) {
            const unicode::Expansion lower = unicode::lower(code_at(text, at, length));
            for (std::uint32_t i = 0; i < lower.size; ++i) {
                char bytes[4];
                const std::string_view code(bytes, utf8::encode(lower.codes[i], bytes));
                if (!word.starts_with(code)) return false;
                word.remove_prefix(code.size());
            }
        }
        return word.empty();
    }

    // --- cutting at white space ---

    static bool is_python_space(std::uint32_t code) noexcept {
        return unicode::is_space(code) || (code >= 0x1C && code <= 0x1F);
    }
    static bool is_ascii_punctuation(char c) noexcept {
        return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
    }
    static bool is_mark_or_apostrophe(std::uint32_t code) noexcept {
        return code == '\'' || code == '.' || code == ':' || code == 0x2019 || code == 0xB7 ||
               (unicode::record(code).flags & unicode::nonspacing_flag) != 0;
    }
    static bool is_letter(std::uint32_t code) noexcept {
        return kind_of(code) == Kind::word && code != '_' && !(code >= '0' && code <= '9');
    }
    // Whether a capital sigma at `at` ends its word: a letter before it and none after it, marks and apostrophes aside.
    static bool is_final_sigma(std::string_view piece, std::size_t at) noexcept {
        std::uint32_t length = 0, code = 0;
        std::size_t next = at + 2;  // its bytes
        while (next < piece.size() && is_mark_or_apostrophe(code = code_at(piece, next, length))) next += length;
        if (next < piece.size() && is_letter(code)) return false;
        while (at > 0) {
            code = utf8::last_before(piece, at);
            if (!is_mark_or_apostrophe(code)) return is_letter(code);
            do --at;
            while ((static_cast<unsigned char>(piece[at]) & 0xC0u) == 0x80);
        }
        return false;
    }
    // Python's str.lower() of a piece without white space.
    static void lower_to(std::string_view piece, std::string& out) {
        out.clear();
        std::uint32_t length = 0;
        for (std::size_t at = 0; at < piece.size(); at += length) {
            const std::uint32_t code = code_at(piece, at, length);
            unicode::Expansion lower = unicode::lower(code);
            if (code == 0x3A3 && is_final_sigma(piece, at)) lower.codes[0] = 0x3C2;
            for (std::uint32_t i = 0; i < lower.size; ++i) {
                char bytes[4];
                out.append(bytes, utf8::encode(lower.codes[i], bytes));
            }
        }
    }

    void cut_at_white_space(std::string_view text, std::size_t max_length, Encoding& out) const {
        std::int32_t word = 0;
        std::uint32_t length = 0;
        for (std::size_t at = 0; at < text.size() && out.size() < max_length; at += length) {
            if (is_python_space(code_at(text, at, length))) continue;
            std::size_t end = at;
            while (end < text.size() && !is_python_space(code_at(text, end, length))) end += length;
            piece_of_text(text, at, end, word++, out);
            at = end;
            length = 0;
        }
    }
    void piece_of_text(std::string_view text, std::size_t begin, std::size_t end, std::int32_t word,
                       Encoding& out) const {
        std::string& lowered = out.scratch.normalized_text;
        std::string_view piece = text.substr(begin, end - begin);
        if (config_.lowercase) {
            lower_to(piece, lowered);
            piece = lowered;
        }
        // true: the piece is a word to leave out, or one of the vocabulary, which is now in `out`
        const auto known = [&] {
            if (const ByteTrie::Node stop = stop_words_.walk(ByteTrie::root, piece);
                stops_ && stop != ByteTrie::none && stop_words_.value(stop) != ByteTrie::no_value)
                return true;
            const std::int32_t id = value(trie_.walk(ByteTrie::root, piece));
            if (id != ByteTrie::no_value) push(id, begin, end, word, out);
            return id != ByteTrie::no_value;
        };
        if (known()) return;
        while (!piece.empty() && is_ascii_punctuation(piece.front())) piece.remove_prefix(1), ++begin;
        while (!piece.empty() && is_ascii_punctuation(piece.back())) piece.remove_suffix(1), --end;
        if (piece.empty() || known() || config_.lowercase) return;
        lower_to(piece, lowered);
        piece = lowered;
        known();
    }

    struct Twin {
        std::int32_t first, id;  // the first word that folds so, and one of them
        std::string text;
    };

    WordTokenizerConfig config_;
    std::size_t size_ = 0;
    ByteTrie trie_, stop_words_;  // by WordCut::vocabulary of folded words
    std::vector<Twin> twins_;     // words that fold alike, by the first
    bool stops_ = false;
};

RANKLET_NAMESPACE_END
