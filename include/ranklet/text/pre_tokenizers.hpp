// PreTokenizers: the steps that cut a normalised text into words, in a tokenizer's order.
// In: a stretch of text. Out: its words, one by one, to a sink. From the pre-tokenizers of Hugging Face's tokenizers 0.23.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/text/aligned_text.hpp"
#include "ranklet/text/byte_alphabet.hpp"
#include "ranklet/text/normalizers.hpp"
#include "ranklet/text/patterns.hpp"
#include "ranklet/text/pipeline_scratch.hpp"
#include "ranklet/text/unicode.hpp"
#include "ranklet/text/unicode_properties.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN

/// What becomes of the matches of a pattern at which a text is split.
enum class SplitBehavior : std::uint8_t { removed, isolated, merged_with_previous, merged_with_next, contiguous };
/// Where Metaspace puts its mark before a text: always, before the text's first word alone, never.
enum class PrependScheme : std::uint8_t { always, first, never };

/// One step. What it is made of beside its kind: the comments.
struct PreTokenizerStep {
    enum class Kind : std::uint8_t {
        bert,              ///< at white space, and each punctuation mark alone
        whitespace,        ///< \w+|[^\w\s]+
        whitespace_split,  ///< at white space
        punctuation,       ///< behavior
        digits,            ///< behavior: isolated (each alone) or contiguous
        metaspace,         ///< pattern: the mark; prepend, split
        byte_level,        ///< add_prefix_space, split: by GPT-2's pattern
        split,             ///< pattern: a string; behavior, invert
        split_regex,       ///< the same of a regular expression, one of those that `Pattern` knows
    };
    Kind kind = Kind::whitespace_split;
    std::string pattern = {};
    SplitBehavior behavior = SplitBehavior::isolated;
    PrependScheme prepend = PrependScheme::always;
    bool invert = false;  ///< what is between the matches takes their place
    bool split = true;
    bool add_prefix_space = false;  ///< a space before a stretch that begins with none
};

namespace detail {

class PreTokenizers {
public:
    RANKLET_MOVES_OUT_OF_LINE(PreTokenizers);

    /// `bytes`: the last step is a ByteLevel, and words are handed out as their bytes, without the byte alphabet.
    /// Errors as Pattern's; `invalid_text`.
    RANKLET_COLD static Result<PreTokenizers> create(std::vector<PreTokenizerStep> steps, bool bytes) {
        PreTokenizers out;
        out.bytes_ = bytes;
        for (PreTokenizerStep& step : steps) {
            if (const std::size_t valid = utf8::valid_prefix(step.pattern); valid < step.pattern.size())
                return make_error(ErrorCode::invalid_text, {"a pre-tokenizer's pattern is not UTF-8 at byte ", valid});
            Step made{step, {}};
            if (step.kind == Kind::byte_level)
                made.pattern = Pattern::gpt2();
            else if (step.kind == Kind::whitespace)
                made.pattern = Pattern::words();
            else if (step.kind == Kind::metaspace || step.kind == Kind::split || step.kind == Kind::split_regex) {
                RANKLET_ASSIGN(made.pattern, Pattern::create(step.pattern, step.kind == Kind::split_regex));
            }
            out.steps_.push_back(std::move(made));
        }
        return out;
    }

    std::size_t size() const noexcept { return steps_.size(); }

    /// Calls `word(view)` for each word of `text`, none of them empty, until one call says false.
    template <class Word>
    bool split(const AlignedView& text, PipelineScratch& scratch, const Word& word) const {
        if (scratch.steps.size() < 2 * steps_.size()) scratch.steps.resize(2 * steps_.size());
        return step(0, text, scratch, word);
    }

private:
    using Kind = PreTokenizerStep::Kind;
    struct Step {
        PreTokenizerStep step;
        Pattern pattern;
    };

    template <class Word>
    bool step(std::size_t index, const AlignedView& text, PipelineScratch& scratch, const Word& word) const {
        if (text.text.empty()) return true;
        if (index == steps_.size()) return word(text);
        const Step& each = steps_[index];
        const auto next = [&](std::size_t begin, std::size_t end) {
            return step(index + 1, text.part(begin, end), scratch, word);
        };
        switch (each.step.kind) {
            case Kind::bert:
                return by_class(
                    text.text, [](std::uint32_t code) { return unicode::is_space(code); }, SplitBehavior::removed,
                    [&](std::size_t begin, std::size_t end) {
                        return by_class(
                            text.text.substr(begin, end - begin), is_punctuation, SplitBehavior::isolated,
                            [&](std::size_t first, std::size_t last) { return next(begin + first, begin + last); });
                    });
            case Kind::whitespace:
                return by_pattern(each.pattern, text.text, SplitBehavior::removed, true, next);
            case Kind::whitespace_split:
                return by_class(
                    text.text, [](std::uint32_t code) { return unicode::is_space(code); }, SplitBehavior::removed,
                    next);
            case Kind::punctuation:
                return by_class(text.text, is_punctuation, each.step.behavior, next);
            case Kind::digits:
                return by_class(text.text, unicode::is_numeric, each.step.behavior, next);
            case Kind::metaspace:
                return metaspace(index, text, scratch, word);
            case Kind::byte_level:
                return byte_level(index, text, scratch, word);
            case Kind::split:
            case Kind::split_regex:
                return by_pattern(each.pattern, text.text, each.step.behavior, each.step.invert, next);
        }
        return true;
    }

    template <class Word>
    bool metaspace(std::size_t index, const AlignedView& text, PipelineScratch& scratch, const Word& word) const {
        const Step& each = steps_[index];
        const std::string_view mark = each.step.pattern;
        AlignedText& to = scratch.steps[2 * index];
        const bool marked = text.text.starts_with(mark) || text.text[0] == ' ';
        const bool prepend = !marked && (each.step.prepend == PrependScheme::always ||
                                         (each.step.prepend == PrependScheme::first && text.span(0, 1).begin == 0));
        AlignedView view = text;
        if (prepend || text.text.find(' ') != std::string_view::npos) {
            to.clear();
            if (prepend) to.append(mark, text.span(0, 1));
            for (std::size_t done = 0; done < text.text.size();) {
                const std::size_t space = std::min(text.text.find(' ', done), text.text.size());
                to.append(text.part(done, space));
                if (space < text.text.size()) to.append(mark, text.span(space, space + 1));
                done = space + 1;
            }
            view = to.view();
        }
        const auto next = [&](std::size_t begin, std::size_t end) {
            return step(index + 1, view.part(begin, end), scratch, word);
        };
        if (!each.step.split) return next(0, view.text.size());
        return by_pattern(each.pattern, view.text, SplitBehavior::merged_with_next, false, next);
    }

    template <class Word>
    bool byte_level(std::size_t index, const AlignedView& text, PipelineScratch& scratch, const Word& word) const {
        const Step& each = steps_[index];
        AlignedView view = text;
        const bool last = bytes_ && index + 1 == steps_.size();
        AlignedText &to = scratch.steps[2 * index], &seen = scratch.steps[2 * index + 1];
        if (each.step.add_prefix_space && text.text[0] != ' ') {
            to.clear();
            to.append(" ", text.span(0, 1));
            to.append(text);
            view = to.view();
        }
        const auto next = [&](std::size_t begin, std::size_t end) {
            if (last) return word(view.part(begin, end));
            to_byte_alphabet(view.part(begin, end), seen);
            return step(index + 1, seen.view(), scratch, word);
        };
        if (!each.step.split) return next(0, view.text.size());
        return by_pattern(each.pattern, view.text, SplitBehavior::isolated, false, next);
    }

    static bool is_punctuation(std::uint32_t code) noexcept {
        return (unicode::record(code).flags & unicode::punctuation_flag) != 0;
    }

    /// Puts pieces of a text that match and those between them together, as the behavior says.
    template <class Next>
    class Joiner {
    public:
        Joiner(SplitBehavior behavior, const Next& next) : behavior_(behavior), next_(next) {}
        bool piece(std::size_t begin, std::size_t end, bool match) {
            if (begin == end) return true;
            bool joins = false, go_on = true;
            switch (behavior_) {
                case SplitBehavior::removed:
                    return match || next_(begin, end);
                case SplitBehavior::isolated:
                    return next_(begin, end);
                case SplitBehavior::contiguous:
                    joins = match == match_;
                    break;
                case SplitBehavior::merged_with_previous:
                    joins = match && !match_;
                    break;
                case SplitBehavior::merged_with_next:
                    joins = !match && match_;
                    break;
            }
            if (held_ && joins) {
                end_ = end;
            } else {
                go_on = flush();
                begin_ = begin;
                end_ = end;
                held_ = true;
            }
            match_ = match;
            return go_on;
        }
        bool flush() {
            const bool go_on = !held_ || next_(begin_, end_);
            held_ = false;
            return go_on;
        }

    private:
        SplitBehavior behavior_;
        const Next& next_;
        std::size_t begin_ = 0, end_ = 0;
        bool held_ = false, match_ = false;
    };

    template <class Next>
    static bool by_pattern(const Pattern& pattern, std::string_view text, SplitBehavior behavior, bool invert,
                           const Next& next) {
        Joiner<Next> joiner(behavior, next);
        std::size_t done = 0, begin = 0, end = 0;
        while (pattern.find(text, done, begin, end)) {
            if (!joiner.piece(done, begin, invert) || !joiner.piece(begin, end, !invert)) return false;
            done = end;
        }
        return joiner.piece(done, text.size(), invert) && joiner.flush();
    }

    /// Each character for which `of` holds is a match.
    template <class Of, class Next>
    static bool by_class(std::string_view text, const Of& of, SplitBehavior behavior, const Next& next) {
        Joiner<Next> joiner(behavior, next);
        const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
        std::size_t done = 0;
        std::uint32_t length = 0;
        for (std::size_t i = 0; i < text.size(); i += length) {
            if (!of(utf8::decode(bytes + i, length))) continue;
            if (!joiner.piece(done, i, false) || !joiner.piece(i, i + length, true)) return false;
            done = i + length;
        }
        return joiner.piece(done, text.size(), false) && joiner.flush();
    }

    std::vector<Step> steps_;
    bool bytes_ = false;
};

}  // namespace detail
RANKLET_NAMESPACE_END
