// Pattern: what tokenizers look for in a text: a string, or one of the published regular expressions.
// In: a text. Out: the next match. Each expression is a scanner of its own, written here; there is no engine for others.
// The expressions are those of GPT-2's, Llama 3's (cl100k), Qwen2's and CLIP's tokenizers and a few that normalizers use, with
// Oniguruma's classes: \p{L}, \p{N}, \p{M} of Unicode 16, \s White_Space.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/text/unicode.hpp"
#include "ranklet/text/unicode_properties.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// What the scanners tell characters by.
enum class CharClass : std::uint8_t { letter, number, mark, newline, space, other };

inline CharClass char_class(std::uint32_t code) noexcept {
    constexpr auto ascii = [] {
        std::array<CharClass, 128> out{};
        for (unsigned c = 0; c < 128; ++c) {
            const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            out[c] = letter                                          ? CharClass::letter
                     : c >= '0' && c <= '9'                          ? CharClass::number
                     : c == '\n' || c == '\r'                        ? CharClass::newline
                     : c == ' ' || c == '\t' || c == 0xB || c == 0xC ? CharClass::space
                                                                     : CharClass::other;
        }
        return out;
    }();
    if (code < 128) return ascii[code];
    const std::uint8_t of = unicode::properties(code);
    if ((of & unicode::letter_flag) != 0) return CharClass::letter;
    if ((of & unicode::number_flag) != 0) return CharClass::number;
    if ((of & unicode::mark_flag) != 0) return CharClass::mark;
    return unicode::is_space(code) ? CharClass::space : CharClass::other;
}

class Pattern {
public:
    enum class Kind : std::uint8_t {
        string,
        gpt2,
        llama3,
        qwen2,
        qwen35,
        clip,
        spaces,       // \s+
        two_spaces,   // \s{2,}
        blanks,       // " +"
        two_blanks,   // " {2,}"
        words,        // \w+|[^\w\s]+
        newline,      // [\r\n]
        digit_groups  // \p{N}{1,3}
    };

    /// Errors: `unsupported`, showing it, for a regular expression that is none of those above; `invalid_argument` for one
    /// that matches nothing.
    RANKLET_COLD static Result<Pattern> create(std::string_view text, bool regex) {
        if (text.empty()) return make_error(ErrorCode::invalid_argument, {"a pattern is empty"});
        Pattern out;
        out.text_ = text;
        if (!regex) return out;
        static constexpr struct {
            Kind kind;
            std::string_view text;
        } known[] = {
            {Kind::gpt2, R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
            {Kind::gpt2, R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
            {Kind::llama3,
             R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
            {Kind::qwen2,
             R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
            {Kind::qwen35,
             R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
            {Kind::clip, R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)"},
            {Kind::spaces, R"(\s+)"},
            {Kind::spaces, R"([\s]+)"},
            {Kind::two_spaces, R"(\s{2,})"},
            {Kind::blanks, " +"},
            {Kind::two_blanks, " {2,}"},
            {Kind::words, R"(\w+|[^\w\s]+)"},
            {Kind::newline, R"([\r\n])"},
            {Kind::digit_groups, R"(\p{N}{1,3})"},
        };
        for (const auto& each : known)
            if (each.text == text) {
                out.kind_ = each.kind;
                return out;
            }
        return make_error(ErrorCode::unsupported, {"the pattern ", text, " is not one of those that are read"});
    }
    static Pattern gpt2() {
        Pattern out;
        out.kind_ = Kind::gpt2;
        return out;
    }
    static Pattern words() {
        Pattern out;
        out.kind_ = Kind::words;
        return out;
    }

    /// The first match from byte `from` on, [begin, end), not empty. False: there is none.
    bool find(std::string_view text, std::size_t from, std::size_t& begin, std::size_t& end) const noexcept {
        if (kind_ == Kind::string) {
            begin = text.find(text_, from);
            end = begin + text_.size();
            return begin != std::string_view::npos;
        }
        for (std::size_t at = from; at < text.size();) {
            end = match(text, at);
            if (end > at) {
                begin = at;
                return true;
            }
            at = after(text, at);
        }
        return false;
    }

private:
    struct Char {
        CharClass of;
        std::uint32_t code;
        std::size_t end;  // of the character
    };
    static Char look(std::string_view text, std::size_t at) noexcept {
        std::uint32_t length = 0;
        const std::uint32_t code = utf8::decode(reinterpret_cast<const unsigned char*>(text.data()) + at, length);
        return {char_class(code), code, at + length};
    }
    static std::size_t after(std::string_view text, std::size_t at) noexcept {
        ++at;
        while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80) ++at;
        return at;
    }
    /// The end of the run from `at` on of characters for which `of` holds; at most `most` of them.
    template <class Of>
    static std::size_t run(std::string_view text, std::size_t at, const Of& of,
                           std::size_t most = static_cast<std::size_t>(-1)) noexcept {
        while (at < text.size() && most-- > 0) {
            const Char next = look(text, at);
            if (!of(next)) break;
            at = next.end;
        }
        return at;
    }
    static bool is(const Char& c, CharClass of) noexcept { return c.of == of; }
    static bool is_letter(const Char& c) noexcept { return c.of == CharClass::letter; }
    static bool is_number(const Char& c) noexcept { return c.of == CharClass::number; }
    static bool is_newline(const Char& c) noexcept { return c.of == CharClass::newline; }
    static bool is_space(const Char& c) noexcept { return c.of == CharClass::space || c.of == CharClass::newline; }
    /// Neither space nor letter nor number.
    static bool is_sign(const Char& c) noexcept { return c.of == CharClass::other || c.of == CharClass::mark; }

    /// The end of 's 't 're 've 'm 'll 'd at `at`, or `at`.
    static std::size_t contraction(std::string_view text, std::size_t at, bool any_case) noexcept {
        if (text[at] != '\'' || at + 1 == text.size()) return at;
        const auto letter = [&](std::size_t i) -> char {
            if (i >= text.size()) return '\0';
            const char c = text[i];
            return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
        };
        switch (letter(at + 1)) {
            case 's':
            case 't':
            case 'm':
            case 'd':
                return at + 2;
            case 'r':
            case 'v':
                return letter(at + 2) == 'e' ? at + 3 : at;
            case 'l':
                return letter(at + 2) == 'l' ? at + 3 : at;
            default:  // a long s is an s in lower case
                return any_case && text.substr(at + 1, 2) == "\xC5\xBF" ? at + 3 : at;
        }
    }

    /// \s+(?!\S)|\s+ at a space: all but the last of a run before something else, all of one at the end.
    static std::size_t spaces_at(std::string_view text, std::size_t at) noexcept {
        std::size_t last = at, end = at;
        while (end < text.size()) {
            const Char next = look(text, end);
            if (!is_space(next)) return last > at ? last : end;
            last = end;
            end = next.end;
        }
        return end;
    }

    /// The end of the match at `at`, or `at`.
    std::size_t match(std::string_view text, std::size_t at) const noexcept {
        switch (kind_) {
            case Kind::gpt2:
                return gpt2_at(text, at);
            case Kind::llama3:
                return cl100k_at(text, at, 3, false);
            case Kind::qwen2:
                return cl100k_at(text, at, 1, false);
            case Kind::qwen35:
                return cl100k_at(text, at, 1, true);
            case Kind::clip: {
                if (const std::size_t end = contraction(text, at, false); end > at) return end;
                const Char first = look(text, at);
                if (is_letter(first)) return run(text, at, is_letter);
                if (is_number(first)) return first.end;
                return run(text, at, is_sign);
            }
            case Kind::spaces:
                return run(text, at, is_space);
            case Kind::two_spaces: {
                const std::size_t end = run(text, at, is_space);
                return end > look(text, at).end ? end : at;
            }
            case Kind::blanks:
                return run(text, at, [](const Char& c) { return c.code == ' '; });
            case Kind::two_blanks: {
                const std::size_t end = run(text, at, [](const Char& c) { return c.code == ' '; });
                return end > at + 1 ? end : at;
            }
            case Kind::words: {
                const std::size_t end = run(text, at, [](const Char& c) { return unicode::is_word(c.code); });
                if (end > at) return end;
                return run(text, at,
                           [](const Char& c) { return !unicode::is_word(c.code) && !unicode::is_space(c.code); });
            }
            case Kind::newline:
                return run(text, at, is_newline, 1);
            case Kind::digit_groups:
                return run(text, at, is_number, 3);
            case Kind::string:
                break;
        }
        return at;
    }

    static std::size_t gpt2_at(std::string_view text, std::size_t at) noexcept {
        if (const std::size_t end = contraction(text, at, false); end > at) return end;
        const Char first = look(text, at);
        const bool blank = first.code == ' ' && first.end < text.size();
        const Char head = blank ? look(text, first.end) : first;
        if (is_letter(head)) return run(text, head.end, is_letter);
        if (is_number(head)) return run(text, head.end, is_number);
        if (is_sign(head)) return run(text, head.end, is_sign);
        return spaces_at(text, at);
    }

    /// `digits`: at most so many in a piece; `marks`: they are parts of words.
    static std::size_t cl100k_at(std::string_view text, std::size_t at, std::size_t digits, bool marks) noexcept {
        if (const std::size_t end = contraction(text, at, true); end > at) return end;
        const auto in_word = [marks](const Char& c) {
            return c.of == CharClass::letter || (marks && c.of == CharClass::mark);
        };
        const Char first = look(text, at);
        const bool joins = !is_newline(first) && !is_letter(first) && !is_number(first);
        if (joins && first.end < text.size()) {  // [^\r\n\p{L}\p{N}]?\p{L}+
            const Char next = look(text, first.end);
            if (in_word(next)) return run(text, next.end, in_word);
        }
        if (in_word(first)) return run(text, first.end, in_word);
        if (is_number(first)) return run(text, at, is_number, digits);
        const auto sign = [&](const Char& c) { return is_sign(c) && !in_word(c); };
        std::size_t signs = first.code == ' ' ? first.end : at;  // " ?[^\s\p{L}\p{N}]+[\r\n]*"
        if (const std::size_t end = run(text, signs, sign); end > signs) return run(text, end, is_newline);
        // \s*[\r\n]+: to the last newline of the run of spaces
        std::size_t newline = at, end = at;
        while (end < text.size()) {
            const Char next = look(text, end);
            if (!is_space(next)) break;
            end = next.end;
            if (is_newline(next)) newline = end;
        }
        if (newline > at) return newline;
        return spaces_at(text, at);
    }

    Kind kind_ = Kind::string;
    std::string text_;
};

}  // namespace detail
RANKLET_NAMESPACE_END
