// WordTokenizer: text to the words of a vocabulary (word2vec's, GloVe's): one id a word, Chinese by longest match.
// In: UTF-8 text. Out: ids with byte offsets and word indices. No Unicode normalisation but, where stated, lower case.
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
#include "ranklet/text/byte_trie.hpp"
#include "ranklet/text/encoding.hpp"
#include "ranklet/text/unicode.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN

/// What becomes of a word that the vocabulary lacks. (Punctuation and symbols that it lacks are always left out.)
enum class UnknownWord {
    skip,        ///< it is left out
    row,         ///< one token, the unknown one
    characters,  ///< its characters, those that the vocabulary has
};

struct WordTokenizerConfig {
    /// Text is lower-cased, character by character, before it is looked up: for vocabularies without capitals.
    bool lowercase = false;
    UnknownWord unknown = UnknownWord::skip;
    std::int32_t unknown_id = -1;  ///< for UnknownWord::row
    /// Words that are left out of every text, known or not (read by create() alone; in lower case where `lowercase`).
    /// Longest match knows them as it knows the vocabulary's: 的 is left out, 的士 stays where the vocabulary has it.
    std::span<const std::string_view> stop_words = {};
};

/// How a text is cut. A word is a run of word characters (letters, digits, marks, underscore); an apostrophe or a
/// hyphen between two of them belongs to it, and a full stop or comma between two digits ("don't", "well-made",
/// "1,299.00"). A word with such joints that the vocabulary lacks is looked up part by part. Any other character that
/// is not a space is a word of its own. Chinese characters (and the words that touch them, "T恤") are cut by longest
/// match: of all vocabulary words that start here and end between two characters or words, the longest; then on from
/// its end. Immutable once made, so any number of threads may use one.
class WordTokenizer {
public:
    WordTokenizer() = default;

    /// `words` by id; they are not kept. Errors: `invalid_argument` for an empty vocabulary, a word that stands twice
    /// or is empty, an unknown id out of range; `invalid_text` for a word that is not UTF-8; `unsupported` when the
    /// words need more than ByteTrie holds.
    RANKLET_COLD static Result<WordTokenizer> create(std::span<const std::string_view> words,
                                                     const WordTokenizerConfig& config) {
        if (words.empty()) return Error{ErrorCode::invalid_argument, "the vocabulary is empty"};
        if (words.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
            return make_error(ErrorCode::unsupported, {"the vocabulary has ", words.size(), " words"});
        if (config.unknown == UnknownWord::row &&
            (config.unknown_id < 0 || static_cast<std::size_t>(config.unknown_id) >= words.size()))
            return make_error(ErrorCode::invalid_argument, {"the unknown word's id ", config.unknown_id,
                                                            " is not in a vocabulary of ", words.size(), " words"});
        for (std::size_t w = 0; w < words.size(); ++w) {
            if (words[w].empty()) return make_error(ErrorCode::invalid_argument, {"word ", w, " is empty"});
            if (utf8::valid_prefix(words[w]) < words[w].size())
                return make_error(ErrorCode::invalid_text, {"word ", w, " is not UTF-8"});
        }
        std::vector<std::int32_t> ids(words.size());
        std::iota(ids.begin(), ids.end(), 0);
        const auto word = [&](std::int32_t id) { return words[static_cast<std::size_t>(id)]; };
        std::sort(ids.begin(), ids.end(), [&](std::int32_t a, std::int32_t b) { return word(a) < word(b); });
        std::vector<std::string_view> sorted;
        sorted.reserve(ids.size());
        for (const std::int32_t id : ids) {
            if (!sorted.empty() && sorted.back() == word(id))
                return make_error(ErrorCode::invalid_argument, {"the word \"", word(id), "\" stands twice"});
            sorted.push_back(word(id));
        }
        WordTokenizer tokenizer;
        tokenizer.config_ = config;
        tokenizer.config_.stop_words = {};
        tokenizer.size_ = words.size();
        RANKLET_ASSIGN(tokenizer.trie_, ByteTrie::create(sorted, ids));
        if (config.stop_words.empty()) return tokenizer;
        sorted.assign(config.stop_words.begin(), config.stop_words.end());
        for (std::size_t w = 0; w < sorted.size(); ++w) {
            if (sorted[w].empty()) return make_error(ErrorCode::invalid_argument, {"stop word ", w, " is empty"});
            if (utf8::valid_prefix(sorted[w]) < sorted[w].size())
                return make_error(ErrorCode::invalid_text, {"stop word ", w, " is not UTF-8"});
        }
        std::sort(sorted.begin(), sorted.end());
        sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
        ids.assign(sorted.size(), 0);
        RANKLET_ASSIGN(tokenizer.stop_words_, ByteTrie::create(sorted, ids));
        tokenizer.stops_ = true;
        return tokenizer;
    }

    std::size_t vocabulary_size() const noexcept { return size_; }
    const WordTokenizerConfig& config() const noexcept { return config_; }
    /// The id of a word, looked up as a word of a text is (lower-cased where the vocabulary is).
    std::optional<std::int32_t> id_of(std::string_view word) const noexcept {
        if (word.empty() || utf8::valid_prefix(word) < word.size()) return std::nullopt;
        const std::int32_t id = value(walk(ByteTrie::root, word, 0, word.size()));
        if (id == ByteTrie::no_value) return std::nullopt;
        return id;
    }
    /// Bytes of memory that the vocabulary takes.
    std::size_t memory() const noexcept { return trie_.memory(); }

    /// The text's tokens into `out`, which is cleared first; no special tokens. Stops after options.max_length of them.
    /// No heap once `out` has grown to what the texts need. Errors, with `out` left empty: `invalid_text` with the
    /// offset of the first byte that is not UTF-8; `invalid_argument` for 4 GiB or more.
    Result<void> encode(std::string_view text, const EncodeOptions& options, Encoding& out) const {
        out.clear();
        if (text.size() > std::numeric_limits<std::uint32_t>::max())
            return make_error(ErrorCode::invalid_argument,
                              {"a text of ", text.size(), " bytes: 4 GiB or more is too long"});
        if (const std::size_t valid = utf8::valid_prefix(text); valid < text.size())
            return make_error(ErrorCode::invalid_text, {"the text is not UTF-8 at byte ", valid});
        std::int32_t word = 0;
        for (std::size_t at = 0; at < text.size() && out.size() < options.max_length;) {
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
        if (out.size() > options.max_length) out.erase(options.max_length, out.size());
        return {};
    }
    /// The same as a value of its own.
    Result<Encoding> encode(std::string_view text, const EncodeOptions& options = {}) const {
        Encoding encoding;
        RANKLET_TRY(encode(text, options, encoding));
        return encoding;
    }

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

    WordTokenizerConfig config_;
    std::size_t size_ = 0;
    ByteTrie trie_, stop_words_;
    bool stops_ = false;
};

RANKLET_NAMESPACE_END
