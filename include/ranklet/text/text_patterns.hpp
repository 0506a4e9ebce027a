// TextPattern: the regular expressions by which byte-level BPE cuts texts, as scanners of exactly these patterns.
//   gpt2    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//   llama3  (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//   qwen2   the same with \p{N} in place of \p{N}{1,3}
// In: a valid text and a place in it. Out: where the match that begins there ends. Every text is matched from end to end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ranklet/core/config.hpp"
#include "ranklet/text/unicode.hpp"
#include "ranklet/text/unicode_classes.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN

enum class TextPattern { gpt2, llama3, qwen2 };

namespace detail {

class PatternScanner {
public:
    PatternScanner(TextPattern pattern, std::string_view text) noexcept : pattern_(pattern), text_(text) {}

    /// Precondition: at < the text's size.
    std::size_t end_of(std::size_t at) const noexcept {
        if (const std::size_t end = contraction(at); end > at) return end;
        return pattern_ == TextPattern::gpt2 ? gpt2(at) : modern(at);
    }

private:
    enum class Kind { letter, number, space, other };
    struct Char {
        std::uint32_t code;
        std::size_t end;
        Kind kind;
    };
    Char read(std::size_t at) const noexcept {
        std::uint32_t length = 0;
        const std::uint32_t code = utf8::decode(reinterpret_cast<const unsigned char*>(text_.data()) + at, length);
        return {code, at + length, kind_of(code)};
    }
    static Kind kind_of(std::uint32_t code) noexcept {
        if (code < 0x80) {
            if ((code | 0x20) - 'a' < 26) return Kind::letter;
            if (code - '0' < 10) return Kind::number;
            return code == ' ' || code - '\t' < 5 ? Kind::space : Kind::other;
        }
        if (unicode::in_runs(unicode::letter_bounds, code)) return Kind::letter;
        if (unicode::in_runs(unicode::number_bounds, code)) return Kind::number;
        return unicode::is_space(code) ? Kind::space : Kind::other;
    }
    // The end of a run of a kind from `at` on; `most`: characters at most.
    std::size_t run(std::size_t at, Kind kind, std::size_t most = static_cast<std::size_t>(-1)) const noexcept {
        for (; at < text_.size() && most > 0; --most) {
            const Char next = read(at);
            if (next.kind != kind) break;
            at = next.end;
        }
        return at;
    }
    static bool is_line_end(std::uint32_t code) noexcept { return code == '\r' || code == '\n'; }

    std::size_t contraction(std::size_t at) const noexcept {
        if (text_[at] != '\'' || at + 1 >= text_.size()) return at;
        const bool any_case = pattern_ != TextPattern::gpt2;
        const auto lower = [&](std::size_t place) -> char {
            if (place >= text_.size()) return '\0';
            const char c = text_[place];
            return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        };
        const char a = lower(at + 1), b = lower(at + 2);
        if (a == 's' || a == 't' || a == 'm' || a == 'd') return at + 2;
        if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return at + 3;
        if (any_case && text_.substr(at + 1, 2) == "\xC5\xBF") return at + 3;  // a long s is an s in another case
        return at;
    }

    // White space: all of it at the text's end; else without its last character, which goes with what comes.
    std::size_t space(std::size_t at) const noexcept {
        std::size_t end = at, last = at;
        while (end < text_.size()) {
            const Char next = read(end);
            if (next.kind != Kind::space) break;
            last = end;
            end = next.end;
        }
        return end == text_.size() || last == at ? end : last;
    }

    std::size_t gpt2(std::size_t at) const noexcept {
        const Char first = read(at);
        const std::size_t start = first.code == ' ' ? first.end : at;
        if (start < text_.size()) {
            const Kind kind = read(start).kind;
            if (kind != Kind::space) return run(start, kind);
        }
        return space(at);
    }

    std::size_t modern(std::size_t at) const noexcept {
        const Char first = read(at);
        if (first.kind == Kind::letter) return run(at, Kind::letter);
        const bool followed = first.end < text_.size();
        if (first.kind != Kind::number && !is_line_end(first.code) && followed && read(first.end).kind == Kind::letter)
            return run(first.end, Kind::letter);
        if (first.kind == Kind::number) return run(at, Kind::number, pattern_ == TextPattern::llama3 ? 3 : 1);
        const std::size_t start = first.code == ' ' ? first.end : at;
        if (start < text_.size() && read(start).kind == Kind::other) {
            std::size_t end = run(start, Kind::other);
            while (end < text_.size() && is_line_end(static_cast<unsigned char>(text_[end]))) ++end;
            return end;
        }
        std::size_t line = at;  // behind the last line end of the white space
        for (std::size_t end = at; end < text_.size();) {
            const Char next = read(end);
            if (next.kind != Kind::space) break;
            end = next.end;
            if (is_line_end(next.code)) line = end;
        }
        return line > at ? line : space(at);
    }

    TextPattern pattern_;
    std::string_view text_;
};

}  // namespace detail
RANKLET_NAMESPACE_END
