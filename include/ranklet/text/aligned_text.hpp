// AlignedText: a text on its way through a tokenizer's steps, each byte with the bytes of the original that it stands for.
// In: UTF-8, and what the steps of a tokenizer's description do to it. Out: the text changed.
// Steps as Hugging Face's `tokenizers` has them; the character map of SentencePiece (Darts' double array) as it applies it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/text/token_span.hpp"
#include "ranklet/text/unicode.hpp"
#include "ranklet/text/unicode_classes.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

struct AlignedText {
    std::string bytes;
    std::vector<TokenSpan> spans;  ///< of each byte: [begin, end) of the original

    void clear() noexcept {
        bytes.clear();
        spans.clear();
    }
    void push(std::string_view text, TokenSpan span) {
        bytes.append(text);
        spans.insert(spans.end(), text.size(), span);
    }
    void push_code(std::uint32_t code, TokenSpan span) {
        char buffer[4];
        push({buffer, utf8::encode(code, buffer)}, span);
    }
    /// The original's bytes that [first, last) stand for. Precondition: first < last.
    TokenSpan span_of(std::size_t first, std::size_t last) const noexcept {
        return {spans[first].begin, std::max(spans[first].begin, spans[last - 1].end)};
    }
};

/// body(code point, its place, its length) for each of a valid text.
template <class Body>
void for_each_code(std::string_view text, const Body& body) {
    for (std::size_t at = 0; at < text.size();) {
        std::uint32_t length = 0;
        const std::uint32_t code = utf8::decode(reinterpret_cast<const unsigned char*>(text.data()) + at, length);
        body(code, at, length);
        at += length;
    }
}

/// A character map as SentencePiece precompiles it: a double array of prefixes, and what they turn into.
class CharacterMap {
public:
    /// `bytes`: the array's size u32, the array, texts that end in a zero byte. Error format when they are not that.
    RANKLET_COLD static Result<CharacterMap> create(std::span<const std::byte> bytes) {
        CharacterMap map;
        std::uint32_t size = 0;
        if (bytes.size() < sizeof size)
            return make_error(ErrorCode::format, {"a character map of ", bytes.size(), " bytes"});
        std::memcpy(&size, bytes.data(), sizeof size);
        if (size % 4 != 0 || bytes.size() - sizeof size < size)
            return make_error(ErrorCode::format, {"a character map whose array of ", size, " bytes is not all there"});
        map.units_.resize(size / 4);
        if (size > 0) std::memcpy(map.units_.data(), bytes.data() + sizeof size, size);
        const auto rest = bytes.subspan(sizeof size + size);
        map.texts_.assign(reinterpret_cast<const char*>(rest.data()), rest.size());
        if (utf8::valid_prefix(map.texts_) < map.texts_.size() || (!map.texts_.empty() && map.texts_.back() != '\0'))
            return make_error(ErrorCode::format, {"a character map whose texts are not UTF-8"});
        return map;
    }
    bool empty() const noexcept { return units_.empty(); }

    /// What a text turns into: of its beginnings that the map has, the shortest one's. False: it has none.
    bool find(std::string_view text, std::string_view& replacement) const noexcept {
        if (units_.empty()) return false;
        std::uint32_t at = offset(units_[0]);
        for (const char c : text) {
            const auto byte = static_cast<unsigned char>(c);
            if (byte == 0) return false;
            at ^= byte;
            if (at >= units_.size() || label(units_[at]) != byte) return false;
            const bool leaf = (units_[at] >> 8 & 1) != 0;
            at ^= offset(units_[at]);
            if (!leaf) continue;
            const std::uint32_t value = at < units_.size() ? units_[at] & 0x7FFFFFFFu : static_cast<std::uint32_t>(-1);
            if (value >= texts_.size()) return false;
            replacement = std::string_view(texts_).substr(value, texts_.find('\0', value) - value);
            return true;
        }
        return false;
    }

private:
    static std::uint32_t offset(std::uint32_t unit) noexcept { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
    static std::uint32_t label(std::uint32_t unit) noexcept { return unit & ((1u << 31) | 0xFF); }

    std::vector<std::uint32_t> units_;
    std::string texts_;
};

/// Where the grapheme that begins at `at` ends, as far as shorter ones than six bytes are asked for.
inline std::size_t grapheme_end(std::string_view text, std::size_t at) noexcept {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    std::uint32_t length = 0;
    std::uint32_t code = utf8::decode(bytes + at, length);
    std::size_t end = at + length;
    if (code == '\r' && end < text.size() && text[end] == '\n') return end + 1;
    bool is_control = unicode::in_runs(unicode::control_break_bounds, code);
    while (end < text.size() && !is_control && end - at < 8) {
        const std::uint32_t next = utf8::decode(bytes + end, length);
        const bool joins =
            unicode::in_runs(unicode::joining_bounds, next) ||
            (unicode::in_runs(unicode::prepend_bounds, code) && !unicode::in_runs(unicode::control_break_bounds, next));
        if (!joins) break;
        end += length;
        code = next;
    }
    return end;
}

inline std::size_t character_length(char first) noexcept {
    const auto byte = static_cast<unsigned char>(first);
    return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// `with` in place of in[at, end): character by character; what is more than there was stands for the last.
inline void put_in_place(const AlignedText& in, std::size_t at, std::size_t end, std::string_view with,
                         AlignedText& out) {
    std::size_t length = character_length(in.bytes[at]);
    for_each_code(with, [&](std::uint32_t, std::size_t place, std::uint32_t size) {
        out.push(with.substr(place, size), in.span_of(at, at + length));
        if (at + length >= end) return;
        at += length;
        length = character_length(in.bytes[at]);
    });
}

inline void map_characters(const CharacterMap& map, const AlignedText& in, AlignedText& out) {
    out.clear();
    const std::string_view text = in.bytes;
    std::string_view replacement;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = grapheme_end(text, at);
        if (end - at < 6 && map.find(text.substr(at, end - at), replacement)) {
            put_in_place(in, at, end, replacement, out);
            at = end;
            continue;
        }
        for_each_code(text.substr(at, end - at), [&](std::uint32_t, std::size_t place, std::uint32_t length) {
            const std::string_view character = text.substr(at + place, length);
            const TokenSpan span = in.span_of(at + place, at + place + length);
            out.push(map.find(character, replacement) ? replacement : character, span);
        });
        at = end;
    }
}

/// Canonical decomposition, in canonical order; `composed`: and composition after it.
inline void normalize_canonically(const AlignedText& in, AlignedText& out, bool composed) {
    struct Part {
        std::uint32_t code;
        std::uint8_t combining;
        TokenSpan span;
    };
    std::vector<Part> parts;
    for_each_code(in.bytes, [&](std::uint32_t code, std::size_t at, std::uint32_t length) {
        const unicode::Expansion expansion = unicode::decompose(code);
        for (std::uint32_t i = 0; i < expansion.size; ++i)
            parts.push_back(
                {expansion.codes[i], unicode::record(expansion.codes[i]).combining, in.span_of(at, at + length)});
    });
    for (std::size_t i = 0; i < parts.size();) {  // runs of marks
        std::size_t end = i + 1;
        if (parts[i].combining != 0) {
            while (end < parts.size() && parts[end].combining != 0) ++end;
            std::stable_sort(parts.begin() + static_cast<std::ptrdiff_t>(i),
                             parts.begin() + static_cast<std::ptrdiff_t>(end),
                             [](const Part& a, const Part& b) { return a.combining < b.combining; });
        }
        i = end;
    }
    if (composed) {
        std::size_t kept = 0, starter = parts.size();
        std::uint8_t last = 0;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            const Part part = parts[i];
            if (starter < kept && (starter + 1 == kept || (last < part.combining && last != 0))) {
                if (const std::uint32_t code = unicode::compose(parts[starter].code, part.code); code != 0) {
                    parts[starter].code = code;
                    continue;
                }
            }
            if (part.combining == 0) starter = kept;
            last = part.combining;
            parts[kept++] = part;
        }
        parts.resize(kept);
    }
    out.clear();
    for (const Part& part : parts) out.push_code(part.code, part.span);
}

inline void replace_all(std::string_view what, std::string_view with, const AlignedText& in, AlignedText& out) {
    out.clear();
    const std::string_view text = in.bytes;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t found = text.find(what, at);
        const std::size_t end = std::min(found, text.size());
        out.bytes.append(text.substr(at, end - at));
        out.spans.insert(out.spans.end(), in.spans.begin() + static_cast<std::ptrdiff_t>(at),
                         in.spans.begin() + static_cast<std::ptrdiff_t>(end));
        if (end == text.size()) break;
        out.push(with, in.spans[end + what.size() - 1]);  // all of it stands for the last character
        at = end + what.size();
    }
}

}  // namespace detail
RANKLET_NAMESPACE_END
