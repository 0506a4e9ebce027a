// Normalizers: the steps that a text goes through before it is cut, in a tokenizer's order.
// In: a stretch of text. Out: the changed one, with the original's bytes beside it; or the same, where nothing changes.
// From the normalizers of Hugging Face's tokenizers 0.23.2, step for step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/text/aligned_text.hpp"
#include "ranklet/text/bert_normalizer.hpp"
#include "ranklet/text/byte_alphabet.hpp"
#include "ranklet/text/charsmap.hpp"
#include "ranklet/text/encoding.hpp"
#include "ranklet/text/patterns.hpp"
#include "ranklet/text/pipeline_scratch.hpp"
#include "ranklet/text/unicode.hpp"
#include "ranklet/text/unicode_normalization.hpp"
#include "ranklet/text/unicode_properties.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN

/// One step. What it is made of beside its kind: the comments.
struct NormalizerStep {
    enum class Kind : std::uint8_t {
        nfc,
        nfd,
        nfkc,
        nfkd,
        lowercase,
        strip_accents,
        strip,          ///< left, right
        replace,        ///< pattern, content: each occurrence of a string
        replace_regex,  ///< the same of a regular expression, one of those that `Pattern` knows
        prepend,        ///< content: before a text that is not empty
        nmt,
        precompiled,    ///< content: the charsmap's blob
        bert,           ///< bert
        sentencepiece,  ///< content: a charsmap's blob or nothing; left: a mark before a text, right: no spaces in excess
        byte_level,     ///< each byte becomes its character of the byte alphabet
    };
    Kind kind = Kind::nfc;
    std::string pattern, content;
    bool left = true, right = true;
    struct {
        bool lowercase = true, strip_accents = true, clean_text = true, handle_chinese_chars = true;
    } bert = {};
};

namespace detail {

/// The steps of one tokenizer.
class Normalizers {
public:
    RANKLET_MOVES_OUT_OF_LINE(Normalizers);

    /// Errors: `unsupported` for a regular expression that is not known, which it shows; `invalid_argument` for an empty
    /// pattern; Charsmap's.
    RANKLET_COLD static Result<Normalizers> create(std::vector<NormalizerStep> steps) {
        Normalizers out;
        for (NormalizerStep& step : steps) {
            Step made{step, {}, {}, {}};
            if (step.kind == NormalizerStep::Kind::precompiled ||
                (step.kind == NormalizerStep::Kind::sentencepiece && !step.content.empty())) {
                RANKLET_ASSIGN(auto charsmap, Charsmap::create(step.content));
                made.charsmap = std::make_shared<const Charsmap>(std::move(charsmap));
                made.step.content.clear();
            } else if (step.kind == NormalizerStep::Kind::bert) {
                made.bert = std::make_shared<const BertNormalizer>(
                    BertNormalizerOptions{step.bert.lowercase, step.bert.strip_accents, step.bert.clean_text,
                                          step.bert.handle_chinese_chars});
            } else if (step.kind == NormalizerStep::Kind::replace || step.kind == NormalizerStep::Kind::replace_regex) {
                RANKLET_ASSIGN(made.pattern,
                               Pattern::create(step.pattern, step.kind == NormalizerStep::Kind::replace_regex));
            }
            for (const std::string_view text : {std::string_view(made.step.content), std::string_view(step.pattern)})
                if (const std::size_t valid = utf8::valid_prefix(text); valid < text.size())
                    return make_error(ErrorCode::invalid_text, {"a normalizer's text is not UTF-8 at byte ", valid});
            out.steps_.push_back(std::move(made));
        }
        return out;
    }

    bool empty() const noexcept { return steps_.empty(); }

    /// `text` after all steps. It lies in `scratch` or is what it was.
    AlignedView apply(AlignedView text, PipelineScratch& scratch, EncodeScratch& bert) const {
        for (const Step& step : steps_) {
            AlignedText& to =
                text.text.data() == scratch.normalized[0].text.data() ? scratch.normalized[1] : scratch.normalized[0];
            if (apply(step, text, to, scratch, bert)) text = to.view();
        }
        return text;
    }

private:
    using Kind = NormalizerStep::Kind;
    struct Step {
        NormalizerStep step;
        Pattern pattern;
        std::shared_ptr<const Charsmap> charsmap;
        std::shared_ptr<const BertNormalizer> bert;
    };

    /// False: nothing changes.
    static bool apply(const Step& step, const AlignedView& from, AlignedText& to, PipelineScratch& scratch,
                      EncodeScratch& bert) {
        switch (step.step.kind) {
            case Kind::nfc:
                return normal(NormalForm::nfc, from, to, scratch);
            case Kind::nfd:
                return normal(NormalForm::nfd, from, to, scratch);
            case Kind::nfkc:
                return normal(NormalForm::nfkc, from, to, scratch);
            case Kind::nfkd:
                return normal(NormalForm::nfkd, from, to, scratch);
            case Kind::lowercase:
                return lowercase(from, to);
            case Kind::strip_accents:
                return map(from, to, [](std::uint32_t code) { return unicode::is_accent(code) ? nothing : code; });
            case Kind::strip:
                return strip(step.step, from, to);
            case Kind::replace:
            case Kind::replace_regex:
                return replace(step.pattern, step.step.content, from, to);
            case Kind::prepend:
                return prepend(step.step.content, from, to);
            case Kind::nmt:
                return map(from, to, nmt);
            case Kind::precompiled: {
                std::size_t kept = 0;
                if (!step.charsmap->apply(from.text, scratch.changes, kept)) return false;
                transform(from, kept, scratch.changes, to);
                return true;
            }
            case Kind::sentencepiece:
                sentencepiece(step, from, to);
                return true;
            case Kind::bert:
                return clean(*step.bert, from, to, bert);
            case Kind::byte_level:
                to_byte_alphabet(from, to);
                return true;
        }
        return false;
    }

    static bool normal(NormalForm form, const AlignedView& from, AlignedText& to, PipelineScratch& scratch) {
        if (!may_change(from.text, form)) return false;
        scratch.changes.clear();
        normal_form(from.text, form, scratch.normal_form, scratch.changes);
        transform(from, 0, scratch.changes, to);
        return true;
    }

    static constexpr std::uint32_t nothing = 0xFFFFFFFF;
    /// Each character becomes what `of` says, or nothing.
    template <class Of>
    static bool map(const AlignedView& from, AlignedText& to, const Of& of) {
        const auto* bytes = reinterpret_cast<const unsigned char*>(from.text.data());
        bool changed = false;
        std::uint32_t length = 0;
        for (std::size_t i = 0; i < from.text.size(); i += length) {
            const std::uint32_t code = utf8::decode(bytes + i, length), becomes = of(code);
            if (!changed && becomes == code) continue;
            if (!changed) {
                to.clear();
                to.append(from.part(0, i));
                changed = true;
            }
            if (becomes != nothing) to.push(becomes, from.span(i, i + length));
        }
        return changed;
    }

    static bool lowercase(const AlignedView& from, AlignedText& to) {
        const auto* bytes = reinterpret_cast<const unsigned char*>(from.text.data());
        bool changed = false;
        std::uint32_t length = 0;
        for (std::size_t i = 0; i < from.text.size(); i += length) {
            const std::uint32_t code = utf8::decode(bytes + i, length);
            const unicode::Expansion lower = unicode::lower(code);
            if (!changed && lower.codes[0] == code) continue;
            if (!changed) {
                to.clear();
                to.append(from.part(0, i));
                changed = true;
            }
            for (std::uint32_t p = 0; p < lower.size; ++p) to.push(lower.codes[p], from.span(i, i + length));
        }
        return changed;
    }

    static bool strip(const NormalizerStep& step, const AlignedView& from, AlignedText& to) {
        const auto* bytes = reinterpret_cast<const unsigned char*>(from.text.data());
        std::size_t begin = 0, end = from.text.size();
        std::uint32_t length = 0;
        while (step.left && begin < end && unicode::is_space(utf8::decode(bytes + begin, length))) begin += length;
        while (step.right && end > begin && unicode::is_space(utf8::last_before(from.text, end))) {
            --end;
            while ((bytes[end] & 0xC0u) == 0x80) --end;
        }
        if (end - begin == from.text.size()) return false;
        to.clear();
        to.append(from.part(begin, end));
        return true;
    }

    static bool prepend(std::string_view content, const AlignedView& from, AlignedText& to) {
        if (from.text.empty()) return false;
        to.clear();
        to.append(content, from.span(0, 1));
        to.append(from);
        return true;
    }

    static std::uint32_t nmt(std::uint32_t code) noexcept {
        const auto within = [code](std::uint32_t first, std::uint32_t last) { return code >= first && code <= last; };
        if (within(0x1, 0x8) || code == 0xB || within(0xE, 0x1F) || code == 0x7F || code == 0x8F || code == 0x9F)
            return nothing;
        if (within(0x9, 0xA) || within(0xC, 0xD) || code == 0x1680 || within(0x200B, 0x200F) ||
            within(0x2028, 0x2029) || code == 0x2581 || code == 0xFEFF || code == 0xFFFD)
            return ' ';
        return code;
    }

    /// SentencePiece's Normalizer::Normalize: the longest rule at each place, spaces as marks, those in excess left out.
    static void sentencepiece(const Step& step, const AlignedView& from, AlignedText& to) {
        constexpr std::string_view mark = "\xE2\x96\x81";
        to.clear();
        const std::string_view text = from.text;
        const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
        const auto next = [&](std::size_t at, std::size_t& size) {
            std::uint32_t length = 0;
            utf8::decode(bytes + at, length);
            size = length;
            const auto found =
                step.charsmap ? step.charsmap->longest(text.substr(at), size) : std::optional<std::string_view>();
            return found.value_or(text.substr(at, size));
        };
        const bool strict = step.step.right;
        std::size_t at = 0, size = 0;
        while (strict && at < text.size() && next(at, size) == " ") at += size;
        if (at == text.size()) return;
        if (step.step.left) to.append(mark, from.span(at, at + 1));
        for (bool after_space = strict; at < text.size(); at += size) {
            std::string_view piece = next(at, size);
            while (after_space && piece.starts_with(' ')) piece.remove_prefix(1);
            const TokenSpan span{from.span(at, at + 1).begin, from.span(at + size - 1, at + size).end};
            for (const char c : piece) to.append(c == ' ' ? mark : std::string_view(&c, 1), span);
            if (!piece.empty()) after_space = strict && piece.ends_with(' ');
        }
        while (strict && to.text.ends_with(mark)) {
            to.text.resize(to.text.size() - mark.size());
            to.spans.resize(to.text.size());
        }
    }

    static bool clean(const BertNormalizer& normalizer, const AlignedView& from, AlignedText& to, EncodeScratch& bert) {
        normalizer.normalize(from.text, 0, bert);
        to.clear();
        for (const NormalizedChar& each : bert.normalized)
            to.push(each.code, from.span(each.span.begin, each.span.end));
        return true;
    }

public:
    /// Each match of the pattern becomes `content`, all of it from where the match's last character came from.
    static bool replace(const Pattern& pattern, std::string_view content, const AlignedView& from, AlignedText& to) {
        std::size_t begin = 0, end = 0;
        if (!pattern.find(from.text, 0, begin, end)) return false;
        to.clear();
        std::size_t done = 0;
        do {
            to.append(from.part(done, begin));
            to.append(content, from.span(end - 1, end));
            done = end;
        } while (pattern.find(from.text, done, begin, end));
        to.append(from.part(done, from.text.size()));
        return true;
    }

private:
    std::vector<Step> steps_;
};

}  // namespace detail
RANKLET_NAMESPACE_END
