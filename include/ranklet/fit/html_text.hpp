// without_html: a text without HTML's tags and entities.
// In: UTF-8 as shops have it in their tables. Out: UTF-8 as a browser would show it, on one line.
// Rules: HTML's (tags, comments, character references; numeric ones of 128 to 159 are Windows-1252's). A '<' that begins no
// tag, and an '&' that begins no known entity, are letters.
#pragma once

#include <string>
#include <string_view>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN

/// Tags and comments go, a blank in the place of those that are not within words (all but <b>, <i> and their like);
/// scripts and style sheets go with what is in them; entities become their characters, once ("&amp;lt;" becomes "&lt;");
/// white space becomes single blanks, none at the ends. Named entities: those of HTML 2 to 4 that stand for characters of
/// Latin-1, and for punctuation and signs. Work grows with the text's size, whatever it is. Precondition: valid UTF-8.
std::string without_html(std::string_view text);

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// 160 to 255, in their order.
inline constexpr std::array<std::string_view, 96> latin_entities{
    "nbsp",   "iexcl",  "cent",   "pound",  "curren", "yen",    "brvbar", "sect",   "uml",    "copy",   "ordf",
    "laquo",  "not",    "shy",    "reg",    "macr",   "deg",    "plusmn", "sup2",   "sup3",   "acute",  "micro",
    "para",   "middot", "cedil",  "sup1",   "ordm",   "raquo",  "frac14", "frac12", "frac34", "iquest", "Agrave",
    "Aacute", "Acirc",  "Atilde", "Auml",   "Aring",  "AElig",  "Ccedil", "Egrave", "Eacute", "Ecirc",  "Euml",
    "Igrave", "Iacute", "Icirc",  "Iuml",   "ETH",    "Ntilde", "Ograve", "Oacute", "Ocirc",  "Otilde", "Ouml",
    "times",  "Oslash", "Ugrave", "Uacute", "Ucirc",  "Uuml",   "Yacute", "THORN",  "szlig",  "agrave", "aacute",
    "acirc",  "atilde", "auml",   "aring",  "aelig",  "ccedil", "egrave", "eacute", "ecirc",  "euml",   "igrave",
    "iacute", "icirc",  "iuml",   "eth",    "ntilde", "ograve", "oacute", "ocirc",  "otilde", "ouml",   "divide",
    "oslash", "ugrave", "uacute", "ucirc",  "uuml",   "yacute", "thorn",  "yuml"};
inline constexpr std::array<std::pair<std::string_view, std::uint32_t>, 40> other_entities{
    {{"amp", '&'},       {"lt", '<'},        {"gt", '>'},        {"quot", '"'},     {"apos", '\''},
     {"OElig", 0x152},   {"oelig", 0x153},   {"Scaron", 0x160},  {"scaron", 0x161}, {"Yuml", 0x178},
     {"fnof", 0x192},    {"circ", 0x2C6},    {"tilde", 0x2DC},   {"ensp", 0x2002},  {"emsp", 0x2003},
     {"thinsp", 0x2009}, {"zwnj", 0x200C},   {"zwj", 0x200D},    {"ndash", 0x2013}, {"mdash", 0x2014},
     {"lsquo", 0x2018},  {"rsquo", 0x2019},  {"sbquo", 0x201A},  {"ldquo", 0x201C}, {"rdquo", 0x201D},
     {"bdquo", 0x201E},  {"dagger", 0x2020}, {"Dagger", 0x2021}, {"bull", 0x2022},  {"hellip", 0x2026},
     {"permil", 0x2030}, {"lsaquo", 0x2039}, {"rsaquo", 0x203A}, {"euro", 0x20AC},  {"trade", 0x2122},
     {"larr", 0x2190},   {"rarr", 0x2192},   {"minus", 0x2212},  {"le", 0x2264},    {"ge", 0x2265}}};
/// What pages that say Latin-1 mean by 128 to 159.
inline constexpr std::array<std::uint16_t, 32> windows_1252{
    0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6,  0x2030, 0x160,
    0x2039, 0x152,  0x8D,   0x17D,  0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178};

class HtmlRemover {
public:
    explicit HtmlRemover(std::string_view text) : text_(text) { out_.reserve(text.size()); }

    std::string run() {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '<' && tag()) continue;
            if (c == '&' && entity()) continue;
            put(static_cast<unsigned char>(c));
            ++at_;
        }
        return std::move(out_);
    }

private:
    static bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
    static bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
    static bool is_space(unsigned c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }
    static std::string lower(std::string_view name) {
        std::string lowered(name);
        for (char& c : lowered)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        return lowered;
    }

    // A byte of the text, or a character: a blank is written once something follows it.
    void put(unsigned byte) {
        if (is_space(byte)) return static_cast<void>(blank_ = true);
        if (blank_ && !out_.empty()) out_ += ' ';
        blank_ = false;
        out_ += static_cast<char>(byte);
    }
    void put_character(std::uint32_t code) {
        if (code == 0xA0 || code == 0x2002 || code == 0x2003 || code == 0x2009) code = ' ';
        if (code == 0xAD) return;  // a hyphen that is shown at a line's end only
        char bytes[4];
        const std::uint32_t size = utf8::encode(code, bytes);
        for (std::uint32_t i = 0; i < size; ++i) put(static_cast<unsigned char>(bytes[i]));
    }

    bool tag() {
        const std::string_view rest = text_.substr(at_);
        if (rest.starts_with("<!--")) {
            const std::size_t end = open_comment_ ? std::string_view::npos : rest.find("-->", 4);
            open_comment_ = end == std::string_view::npos;  // then so are all that begin later
            if (open_comment_) return false;
            at_ += end + 3;
            blank_ = true;
            return true;
        }
        const bool closes = rest.size() > 1 && rest[1] == '/';
        const std::size_t first = closes ? 2 : 1;
        const bool declares = rest.size() > 1 && (rest[1] == '!' || rest[1] == '?');
        if (!declares && (rest.size() <= first || !is_letter(rest[first]))) return false;
        std::size_t end = first;
        while (end < rest.size() && (is_letter(rest[end]) || is_digit(rest[end]))) ++end;
        const std::string name = lower(rest.substr(first, end - first));
        if (!closes_.empty() && !closes_[at_ + end]) return false;
        // To the '>' that is in no quotes, which follow a '='.
        char quote = 0;
        for (; end < rest.size(); ++end) {
            if (quote != 0) {
                if (rest[end] == quote) quote = 0;
            } else if ((rest[end] == '"' || rest[end] == '\'') && rest[end - 1] == '=') {
                quote = rest[end];
            } else if (rest[end] == '>') {
                break;
            }
        }
        if (end == rest.size()) {
            find_closes();
            return false;
        }
        at_ += end + 1;
        constexpr std::array<std::string_view, 18> within_words{"a",      "b",    "i",    "u",     "s",    "em",
                                                                "strong", "span", "font", "small", "big",  "sub",
                                                                "sup",    "tt",   "code", "mark",  "abbr", "wbr"};
        if (std::find(within_words.begin(), within_words.end(), name) == within_words.end()) blank_ = true;
        if (!closes && (name == "script" || name == "style")) skip_element(name);
        return true;
    }
    // One beginning of a tag that nothing ends may be followed by a million: which have an end is found for all at once,
    // from the text's end.
    void find_closes() {
        closes_.assign(text_.size() + 1, false);
        bool outside = false, in_double = false,
             in_single = false;  // whether a '>' follows, read from here in this state
        for (std::size_t i = text_.size(); i-- > at_;) {
            const char c = text_[i];
            const bool opens = i > 0 && text_[i - 1] == '=', after = outside;
            if (c == '>')
                outside = true;
            else if (c == '"' && opens)
                outside = in_double;
            else if (c == '\'' && opens)
                outside = in_single;
            if (c == '"') in_double = after;
            if (c == '\'') in_single = after;
            closes_[i] = outside;
        }
    }
    void skip_element(const std::string& name) {
        for (std::size_t place = text_.find("</", at_); place != std::string_view::npos;
             place = text_.find("</", place + 2))
            if (lower(text_.substr(place + 2, name.size())) == name) return static_cast<void>(at_ = place);
        at_ = text_.size();
    }

    bool entity() {
        std::size_t end = at_ + 1;
        if (end < text_.size() && text_[end] == '#') return number(end + 1);
        while (end < text_.size() && end - at_ <= 8 && (is_letter(text_[end]) || is_digit(text_[end]))) ++end;
        if (end == text_.size() || text_[end] != ';') return false;
        const std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
        std::uint32_t code = 0;
        for (std::size_t i = 0; i < latin_entities.size(); ++i)
            if (latin_entities[i] == name) code = static_cast<std::uint32_t>(160 + i);
        for (const auto& [other, is] : other_entities)
            if (other == name) code = is;
        if (code == 0) return false;
        put_character(code);
        at_ = end + 1;
        return true;
    }
    bool number(std::size_t end) {
        const bool hexadecimal = end < text_.size() && (text_[end] == 'x' || text_[end] == 'X');
        if (hexadecimal) ++end;
        const std::size_t first = end;
        std::uint32_t code = 0;
        for (; end < text_.size(); ++end) {
            const char c = text_[end];
            std::uint32_t digit = 0;
            if (is_digit(c))
                digit = static_cast<std::uint32_t>(c - '0');
            else if (hexadecimal && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
                digit = static_cast<std::uint32_t>((c | 0x20) - 'a' + 10);
            else
                break;
            code = std::min<std::uint32_t>(code * (hexadecimal ? 16 : 10) + digit, 0x110000);
        }
        if (end == first || end == text_.size() || text_[end] != ';') return false;
        if (code >= 128 && code < 160) code = windows_1252[code - 128];
        if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) code = 0xFFFD;
        put_character(code);
        at_ = end + 1;
        return true;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    bool blank_ = false, open_comment_ = false;
    std::vector<bool>
        closes_;  // of each byte: whether a tag's rest from there on has a '>'; empty: every tag so far had
    std::string out_;
};

}  // namespace detail

RANKLET_FUNC std::string without_html(std::string_view text) { return detail::HtmlRemover(text).run(); }

RANKLET_NAMESPACE_END
#endif
