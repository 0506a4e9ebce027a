// BertNormalizer: cleaning, spaces around Chinese characters, accent stripping, lower case.
// In: UTF-8. Out: normalised characters, each with the bytes it came from; or, a character at a time, what becomes of
// it. From `BertNormalizer` and `NormalizedString` of Hugging Face's tokenizers 0.23.2, step for step.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/sort.hpp"
#include "ranklet/text/encoding.hpp"
#include "ranklet/text/unicode.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// The four switches of BERT's normaliser, resolved (`strip_accents: null` follows `lowercase`).
struct BertNormalizerOptions {
    bool lowercase = true;
    bool strip_accents = true;
    bool clean_text = true;
    bool handle_chinese_chars = true;
};

class BertNormalizer {
public:
    /// What the whole pipeline makes of one character, where that does not depend on its neighbours.
    enum class Kind : std::uint8_t {
        letter,       ///< one character of a word
        space,        ///< ends a word
        punctuation,  ///< one character, a word of its own
        chinese,      ///< the same, because of the spaces around it
        dropped,      ///< nothing
        several,      ///< `size` characters, each to be classed by itself
        hangul,       ///< a syllable: its jamo, all letters
        reordered,    ///< a mark that stays and that NFD may move: only `normalize` tells
    };
    struct Fate {
        std::uint32_t value;  ///< letter, punctuation, chinese: added to the code point; several: index of the first
        std::uint32_t keep;   ///< ~0 where the code point itself is added, 0 where `value` alone is the result
        Kind kind;
        std::uint8_t size;
    };

    explicit BertNormalizer(const BertNormalizerOptions& options = {}) : options_(options) {
        fates_.reserve(unicode::record_count);
        for (std::uint32_t i = 0; i < unicode::record_count; ++i) fates_.push_back(fate_of(unicode::records[i]));
        for (std::uint32_t code = 0; code < 128; ++code) {
            const Fate& fate = fates_[unicode::record_index(code)];
            ascii_kind_[code] = fate.kind;
            ascii_[code] = static_cast<unsigned char>(result(fate, code));
        }
    }

    const Fate& fate(std::uint32_t code) const noexcept { return fates_[unicode::record_index(code)]; }
    /// The character that a letter, punctuation or chinese becomes.
    static std::uint32_t result(const Fate& fate, std::uint32_t code) noexcept {
        return fate.value + (code & fate.keep);
    }
    /// The characters that `several` becomes.
    const std::uint32_t* results(const Fate& fate) const noexcept { return several_.data() + fate.value; }
    Kind ascii_kind(unsigned char byte) const noexcept { return ascii_kind_[byte]; }
    unsigned char ascii(unsigned char byte) const noexcept { return ascii_[byte]; }

    /// The normalised form of `text` (valid UTF-8, bytes [shift, shift + size) of the original) into
    /// `scratch.normalized`. The way that holds for every text; slower than fate().
    void normalize(std::string_view text, std::uint32_t shift, EncodeScratch& scratch) const {
        std::vector<NormalizedChar>& cleaned = scratch.cleaned;
        std::vector<NormalizedChar>& out = scratch.normalized;
        clean(text, shift, cleaned);
        out.clear();
        if (options_.strip_accents) {
            strip_accents(cleaned, scratch, out);
        } else {
            out.swap(cleaned);
        }
        if (!options_.lowercase) return;
        cleaned.swap(out);
        out.clear();
        for (const NormalizedChar& from : cleaned) {
            const unicode::Expansion lower = unicode::lower(from.code);
            for (std::uint32_t i = 0; i < lower.size; ++i) out.push_back({lower.codes[i], from.span});
        }
    }

private:
    bool drops(std::uint8_t flags) const noexcept {
        return options_.clean_text && (flags & unicode::control_flag) != 0;
    }
    bool is_chinese(std::uint8_t flags) const noexcept {
        return options_.handle_chinese_chars && (flags & unicode::chinese_flag) != 0;
    }

    void clean(std::string_view text, std::uint32_t shift, std::vector<NormalizedChar>& out) const {
        out.clear();
        const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
        std::uint32_t length = 0;
        for (std::uint32_t i = 0; i < text.size(); i += length) {
            const std::uint32_t code = utf8::decode(bytes + i, length);
            const std::uint8_t flags = unicode::record(code).flags;
            const TokenSpan span{shift + i, shift + i + length};
            if (drops(flags)) continue;
            if (options_.clean_text && (flags & unicode::space_flag) != 0) {
                out.push_back({' ', span});
            } else if (is_chinese(flags)) {
                out.push_back({' ', span});
                out.push_back({code, span});
                out.push_back({' ', span});
            } else {
                out.push_back({code, span});
            }
        }
    }

    /// NFD, then without nonspacing marks. Spans are dealt out as the original does it: the n-th character that is
    /// not an addition takes the n-th source's, an addition its predecessor's, also where marks have changed places.
    static void strip_accents(const std::vector<NormalizedChar>& in, EncodeScratch& scratch,
                              std::vector<NormalizedChar>& out) {
        std::vector<EncodeScratch::Mark>& marks = scratch.marks;
        std::size_t taken = 0;
        const auto put = [&](std::uint32_t code, bool added) {
            if (!added) ++taken;
            if ((unicode::record(code).flags & unicode::nonspacing_flag) == 0)
                out.push_back({code, in[taken - 1].span});
        };
        const auto put_marks = [&] {  // in order of combining class, equals as they came
            for (const std::size_t m : detail::sorted_indices(
                     marks.size(),
                     [&](std::size_t a, std::size_t b) { return marks[a].combining < marks[b].combining; },
                     scratch.order, scratch.spare))
                put(marks[m].code, marks[m].added);
            marks.clear();
        };
        marks.clear();
        for (const NormalizedChar& from : in) {
            const unicode::Expansion parts = unicode::decompose(from.code);
            for (std::uint32_t i = 0; i < parts.size; ++i) {
                const std::uint8_t combining = unicode::record(parts.codes[i]).combining;
                if (combining != 0) {
                    marks.push_back({parts.codes[i], combining, i > 0});
                    continue;
                }
                put_marks();
                put(parts.codes[i], i > 0);
            }
        }
        put_marks();
    }

    static Kind kind_of(std::uint8_t flags) noexcept {
        if ((flags & unicode::space_flag) != 0) return Kind::space;
        return (flags & unicode::punctuation_flag) != 0 ? Kind::punctuation : Kind::letter;
    }

    Fate fate_of(const unicode::CharRecord& of) {
        constexpr std::uint32_t all = 0xFFFFFFFF;
        if (drops(of.flags)) return {0, 0, Kind::dropped, 0};
        const Kind alone = is_chinese(of.flags) ? Kind::chinese : kind_of(of.flags);
        if (options_.strip_accents) {
            if ((of.flags & unicode::hangul_flag) != 0) return {0, all, Kind::hangul, 0};
            if (of.length != 0) return fate_of_parts(of, alone);
            if ((of.flags & unicode::nonspacing_flag) != 0) return {0, 0, Kind::dropped, 0};
            if (of.combining != 0) return {0, 0, Kind::reordered, 0};
        }
        if (!options_.lowercase) return {0, all, alone, 1};
        if (&of == &unicode::record(0x130)) return several({0x69, 0x307});  // the one lower case of two characters
        return {static_cast<std::uint32_t>(of.lower), all, alone, 1};
    }

    Fate fate_of_parts(const unicode::CharRecord& of, Kind alone) {
        std::vector<std::uint32_t> parts;
        for (std::uint32_t i = 0; i < of.length; ++i) {
            const std::uint32_t part = unicode::decompositions[of.decomposition + i];
            const unicode::CharRecord& record = unicode::record(part);
            if ((record.flags & unicode::nonspacing_flag) != 0) continue;
            if (record.combining != 0) return {0, 0, Kind::reordered, 0};
            parts.push_back(part);
        }
        if (options_.lowercase)
            for (std::uint32_t& part : parts) part = unicode::lower(part).codes[0];  // no part is U+0130
        if (parts.empty()) return {0, 0, Kind::dropped, 0};
        if (parts.size() > 1) return several(parts);
        if (alone != Kind::chinese) alone = kind_of(unicode::record(parts[0]).flags);
        return {parts[0], 0, alone, 1};
    }

    Fate several(const std::vector<std::uint32_t>& codes) {
        const Fate fate{static_cast<std::uint32_t>(several_.size()), 0, Kind::several,
                        static_cast<std::uint8_t>(codes.size())};
        several_.insert(several_.end(), codes.begin(), codes.end());
        return fate;
    }

    BertNormalizerOptions options_;
    std::vector<Fate> fates_;             // of each record of unicode::records
    std::vector<std::uint32_t> several_;  // results of Kind::several, joined
    Kind ascii_kind_[128] = {};
    unsigned char ascii_[128] = {};
};

}  // namespace detail
RANKLET_NAMESPACE_END
