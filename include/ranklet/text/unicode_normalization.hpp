// NFC, NFD, NFKC, NFKD, each character with what it replaces.
// In: UTF-8. Out: CharChanges. The Unicode Standard, section 3.11; the changes as `unicode-normalization-alignments` has
// them, which Hugging Face's tokenizers deal out spans by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/sort.hpp"
#include "ranklet/text/aligned_text.hpp"
#include "ranklet/text/pipeline_scratch.hpp"
#include "ranklet/text/unicode.hpp"
#include "ranklet/text/unicode_properties.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN

enum class NormalForm : std::uint8_t { nfc, nfd, nfkc, nfkd };

namespace detail {

/// False: the text has this form already, and none of its characters had to be looked at closely.
inline bool may_change(std::string_view text, NormalForm form) noexcept {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    const bool composed = form == NormalForm::nfc || form == NormalForm::nfkc;
    std::uint32_t length = 0;
    for (std::size_t i = 0; i < text.size(); i += length) {
        const std::uint32_t code = utf8::decode(bytes + i, length);
        if (code < 0x80 || (form == NormalForm::nfc && code < 0x300)) continue;
        if (code >= 0x4E00 && code <= 0x9FFF) continue;
        const unicode::CharRecord& record = unicode::record(code);
        const bool hangul = (record.flags & unicode::hangul_flag) != 0;
        if (hangul ? !composed : record.length != 0 || record.combining != 0) return true;
        if ((unicode::properties(code) & unicode::mark_flag) != 0) return true;  // what may join its predecessor
        if (code >= 0x1100 && code <= 0x11FF) return true;
        if ((form == NormalForm::nfkc || form == NormalForm::nfkd) && !unicode::compatible(code).empty()) return true;
    }
    return false;
}

/// The text's characters in that form, appended to `out`.
inline void normal_form(std::string_view text, NormalForm form, NormalFormScratch& scratch,
                        std::vector<CharChange>& out) {
    auto& marks = scratch.marks;
    marks.clear();
    const std::size_t first = out.size();
    const auto put_marks = [&] {  // in order of combining class, equals as they came
        for (const std::size_t m : sorted_indices(
                 marks.size(), [&](std::size_t a, std::size_t b) { return marks[a].combining < marks[b].combining; },
                 scratch.order, scratch.spare))
            out.push_back(marks[m].change);
        marks.clear();
    };
    const auto put = [&](std::uint32_t code, bool added) {
        const std::uint8_t combining = unicode::record(code).combining;
        if (combining != 0) {
            marks.push_back({{code, added}, combining});
            return;
        }
        if (!marks.empty()) put_marks();
        out.push_back({code, added});
    };
    const bool compatible = form == NormalForm::nfkc || form == NormalForm::nfkd;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    std::uint32_t length = 0;
    for (std::size_t i = 0; i < text.size(); i += length) {
        const std::uint32_t code = utf8::decode(bytes + i, length);
        if (compatible && code >= 0x80) {
            if (const auto parts = unicode::compatible(code); !parts.empty()) {
                for (std::size_t p = 0; p < parts.size(); ++p) put(parts[p], p > 0);
                continue;
            }
        }
        const unicode::Expansion parts = unicode::decompose(code);
        for (std::uint32_t p = 0; p < parts.size; ++p) put(parts.codes[p], p > 0);
    }
    put_marks();
    if (form == NormalForm::nfd || form == NormalForm::nfkd) return;
    // Composition in place: `base` is what marks may join, `last` the combining class of the mark before, 0: none.
    constexpr std::size_t none = static_cast<std::size_t>(-1);
    std::size_t base = none, to = first;
    std::uint8_t last = 0;
    for (std::size_t i = first; i < out.size(); ++i) {
        const CharChange next = out[i];
        const std::uint8_t combining = unicode::record(next.code).combining;
        if (base != none && (last == 0 ? to == base + 1 : last < combining)) {
            if (const std::uint32_t joined = unicode::compose(out[base].code, next.code); joined != 0) {
                out[base] = {joined, out[base].change + next.change - 1};
                continue;
            }
        }
        if (combining == 0) {
            base = to;
            last = 0;
        } else if (base != none) {
            last = combining;
        }
        out[to++] = next;
    }
    out.resize(to);
}

}  // namespace detail
RANKLET_NAMESPACE_END
