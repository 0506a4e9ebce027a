// Charsmap: the normalisation rules that a SentencePiece model brings along, byte strings to what replaces them.
// In: the blob of its `precompiled_charsmap`. Out: what becomes of a text. From SentencePiece's normalizer.cc (the blob: the
// size of a Darts double array, the array, the replacements, each ended by a zero byte) and `Precompiled` of Hugging Face's
// tokenizers 0.23.2, which applies it to whole grapheme clusters of up to five bytes, then to characters.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/text/aligned_text.hpp"
#include "ranklet/text/unicode_properties.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

class Charsmap {
public:
    /// Error `invalid_argument` for a blob whose parts do not fit together; `invalid_text` for replacements that are no
    /// UTF-8.
    RANKLET_COLD static Result<Charsmap> create(std::string_view blob) {
        Charsmap out;
        const auto* bytes = reinterpret_cast<const unsigned char*>(blob.data());
        const auto word = [&](std::size_t at) {
            return std::uint32_t{bytes[at]} | std::uint32_t{bytes[at + 1]} << 8 | std::uint32_t{bytes[at + 2]} << 16 |
                   std::uint32_t{bytes[at + 3]} << 24;
        };
        const std::size_t size = blob.size() < 4 ? 0 : word(0);
        if (size == 0 || size % 4 != 0 || size > blob.size() - 4)
            return make_error(ErrorCode::invalid_argument,
                              {"a charsmap of ", blob.size(), " bytes with a trie of ", size});
        out.units_.reserve(size / 4);
        for (std::size_t i = 0; i < size; i += 4) out.units_.push_back(word(4 + i));
        out.replacements_ = blob.substr(4 + size);
        if (const std::size_t valid = utf8::valid_prefix(out.replacements_); valid < out.replacements_.size())
            return make_error(ErrorCode::invalid_text, {"a charsmap's replacements are not UTF-8 at byte ", valid});
        for (std::uint32_t code = 0; code < 128; ++code) {
            const char byte = static_cast<char>(code);
            out.plain_[code] = code != '\r' && !out.replacement({&byte, 1});
        }
        return out;
    }

    /// What replaces `key`: the replacement of the shortest of its beginnings that has one, as tokenizers takes it.
    std::optional<std::string_view> replacement(std::string_view key) const noexcept {
        std::uint32_t node = 0, unit = units_[0];
        node ^= offset(unit);
        for (const char c : key) {
            const std::uint32_t byte = static_cast<unsigned char>(c);
            if (byte == 0) break;
            node ^= byte;
            if (node >= units_.size()) return std::nullopt;
            unit = units_[node];
            if ((unit & 0x800000FFu) != byte) return std::nullopt;
            node ^= offset(unit);
            if (node >= units_.size()) return std::nullopt;
            if ((unit >> 8 & 1u) != 0) return text_at(units_[node] & 0x7FFFFFFFu);
        }
        return std::nullopt;
    }
    /// The same of the longest beginning, and how long that is: as SentencePiece takes it.
    std::optional<std::string_view> longest(std::string_view text, std::size_t& length) const noexcept {
        std::optional<std::string_view> found;
        std::uint32_t node = 0, unit = units_[0];
        node ^= offset(unit);
        for (std::size_t i = 0; i < text.size(); ++i) {
            const std::uint32_t byte = static_cast<unsigned char>(text[i]);
            node ^= byte;
            if (byte == 0 || node >= units_.size()) break;
            unit = units_[node];
            if ((unit & 0x800000FFu) != byte) break;
            node ^= offset(unit);
            if (node >= units_.size()) break;
            if ((unit >> 8 & 1u) == 0) continue;
            found = text_at(units_[node] & 0x7FFFFFFFu);
            length = i + 1;
        }
        return found;
    }

    /// What becomes of the text after its first `kept` bytes, into `changes`. False: all of it stays as it is.
    bool apply(std::string_view text, std::vector<CharChange>& changes, std::size_t& kept) const {
        changes.clear();
        kept = 0;
        bool changed = false;
        const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
        std::size_t before = 0;  // where the character before begins
        std::uint32_t length = 0;
        for (std::size_t at = 0; at < text.size();) {
            if (bytes[at] < 0x80 && plain_[bytes[at]] && (at + 1 == text.size() || bytes[at + 1] < 0x80)) {
                if (changed) changes.push_back({bytes[at], 0});
                before = at++;
                continue;
            }
            const std::size_t end = unicode::grapheme_end(text, at);
            if (end - at < 6) {
                if (const auto found = replacement(text.substr(at, end - at))) {
                    start(changed, text, before, at, changes, kept);
                    replace(changes, utf8::count(text.substr(at, end - at)), *found);
                    before = at;
                    at = end;
                    continue;
                }
            }
            for (; at < end; at += length) {
                const std::uint32_t code = utf8::decode(bytes + at, length);
                if (const auto found = replacement(text.substr(at, length))) {
                    start(changed, text, before, at, changes, kept);
                    replace(changes, 1, *found);
                } else if (changed) {
                    changes.push_back({code, 0});
                }
                before = at;
            }
        }
        return changed;
    }

    std::size_t memory() const noexcept { return units_.capacity() * sizeof(units_[0]) + replacements_.capacity(); }

private:
    static std::uint32_t offset(std::uint32_t unit) noexcept { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }

    std::optional<std::string_view> text_at(std::uint32_t at) const noexcept {
        const std::string_view all = replacements_;
        if (at > all.size()) return std::string_view{};
        const std::string_view rest = all.substr(at);
        const std::string_view text = rest.substr(0, std::min(rest.find('\0'), rest.size()));
        // A blob may point into the middle of a character.
        return !text.empty() && (static_cast<unsigned char>(text[0]) & 0xC0u) == 0x80 ? std::string_view{} : text;
    }

    /// The first change. The character before it goes into the list: it may have to tell of what is gone after it.
    static void start(bool& changed, std::string_view text, std::size_t before, std::size_t at,
                      std::vector<CharChange>& changes, std::size_t& kept) {
        if (changed) return;
        changed = true;
        kept = before;
        if (before == at) return;
        std::uint32_t length = 0;
        const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
        for (std::size_t i = before; i < at; i += length) changes.push_back({utf8::decode(bytes + i, length), 0});
    }

    /// `count` characters become `text`.
    static void replace(std::vector<CharChange>& changes, std::size_t count, std::string_view text) {
        const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
        std::size_t fresh = 0;
        std::uint32_t length = 0;
        for (std::size_t i = 0; i < text.size(); i += length, ++fresh)
            changes.push_back({utf8::decode(bytes + i, length), fresh < count ? 0 : 1});
        if (fresh < count && !changes.empty()) changes.back().change -= static_cast<std::int32_t>(count - fresh);
    }

    std::vector<std::uint32_t> units_;
    std::string replacements_;
    std::array<bool, 128> plain_{};  // ASCII that stays as it is
};

}  // namespace detail
RANKLET_NAMESPACE_END
