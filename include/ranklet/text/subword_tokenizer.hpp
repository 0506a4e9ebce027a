// SubwordTokenizer: a tokenizer of steps: normalizers, pre-tokenizers, a model (Unigram or BPE), a post-processor.
// In: UTF-8 text (or a pair). Out: ids with segments, byte offsets and word indices.
// From Hugging Face's tokenizers 0.23.2, id for id: what a tokenizer.json says, step for step.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/text_list.hpp"
#include "ranklet/text/added_tokens.hpp"
#include "ranklet/text/aligned_text.hpp"
#include "ranklet/text/bpe.hpp"
#include "ranklet/text/encoding.hpp"
#include "ranklet/text/normalizers.hpp"
#include "ranklet/text/pre_tokenizers.hpp"
#include "ranklet/text/tokenizer.hpp"
#include "ranklet/text/unigram.hpp"
#include "ranklet/text/utf8.hpp"
#include "ranklet/text/vocabulary.hpp"

RANKLET_NAMESPACE_BEGIN

/// A part of what is put together in the end: a text, or a special token.
struct TemplatePart {
    static constexpr std::int32_t first_text = -1, second_text = -2;
    std::int32_t id = first_text;  ///< of a special token; or one of these
    std::int32_t type = 0;
};

/// What a tokenizer.json says, but for the vocabulary.
struct SubwordConfig {
    std::vector<NormalizerStep> normalizers = {};
    std::vector<PreTokenizerStep> pre_tokenizers = {};
    std::variant<UnigramConfig, BpeConfig> model = {};
    /// The text, once; of a pair both, once each.
    std::vector<TemplatePart> single = {{TemplatePart::first_text, 0}};
    std::vector<TemplatePart> pair = {{TemplatePart::first_text, 0}, {TemplatePart::second_text, 1}};
    bool trim_offsets = false;            ///< white space at a token's ends is left out of its offsets
    bool trim_keeps_added_space = false;  ///< but for one space at the text's beginning: ByteLevel's add_prefix_space
    std::vector<AddedToken> added_tokens = {};
    /// Ids below are the model's own; not given: all but the added tokens at the vocabulary's very end.
    std::optional<std::size_t> model_tokens = {};
};

/// Move-only, since it holds the vocabulary.
class SubwordTokenizer final : public Tokenizer {
public:
    /// `tokens` by id, added ones included; they are copied.
    /// Errors: `invalid_argument` for an id out of range, an added token whose content is not its id's, a template
    /// without its texts; what the steps and the model do not take: `unsupported`, showing it.
    RANKLET_COLD static Result<SubwordTokenizer> create(TextList tokens, SubwordConfig config) RANKLET_MEMORY_TRY {
        SubwordTokenizer out;
        RANKLET_ASSIGN(out.vocabulary_, detail::Vocabulary::create(tokens));
        out.config_ = std::move(config);
        SubwordConfig& own = out.config_;
        RANKLET_TRY(out.check_template(own.single, false));
        RANKLET_TRY(out.check_template(own.pair, true));
        RANKLET_ASSIGN(out.normalizers_, detail::Normalizers::create(std::move(own.normalizers)));
        RANKLET_TRY(out.take_added_tokens());
        const auto* bpe = std::get_if<BpeConfig>(&own.model);
        const bool bytes = bpe != nullptr && !own.pre_tokenizers.empty() &&
                           own.pre_tokenizers.back().kind == PreTokenizerStep::Kind::byte_level;
        RANKLET_ASSIGN(out.pre_tokenizers_, detail::PreTokenizers::create(std::move(own.pre_tokenizers), bytes));
        // The model knows its own tokens alone.
        std::vector<std::string_view> known;
        known.reserve(out.model_size_);
        for (std::size_t id = 0; id < out.model_size_; ++id) known.push_back(tokens[id]);
        if (known.empty()) return make_error(ErrorCode::invalid_argument, {"the model has no tokens"});
        RANKLET_ASSIGN(const auto vocabulary, detail::Vocabulary::create(known));
        if (bpe != nullptr) {
            RANKLET_ASSIGN(out.model_, detail::Bpe::create(vocabulary, *bpe, bytes));
            out.unknown_id_ = bpe->unk_id;
        } else {
            auto& unigram = std::get<UnigramConfig>(own.model);
            unigram.scores.resize(std::min(unigram.scores.size(), out.model_size_));
            out.unknown_id_ = unigram.unk_id;
            RANKLET_ASSIGN(out.model_, detail::Unigram::create(vocabulary, std::move(unigram)));
        }
        own.model = {};
        return out;
    }
    RANKLET_MEMORY_CATCH

    /// Without a vocabulary: encoding is an Error invalid_argument, as it is for one that was moved from.
    SubwordTokenizer() = default;
    RANKLET_OUT_OF_LINE SubwordTokenizer(SubwordTokenizer&&) noexcept = default;
    RANKLET_OUT_OF_LINE SubwordTokenizer& operator=(SubwordTokenizer&&) noexcept = default;
    RANKLET_OUT_OF_LINE ~SubwordTokenizer() override = default;
    SubwordTokenizer(const SubwordTokenizer&) = delete;
    SubwordTokenizer& operator=(const SubwordTokenizer&) = delete;

    using Tokenizer::encode;
    Result<void> encode(std::string_view text, const EncodeOptions& options, Encoding& out) const override {
        return put_together(config_.single, text, {}, options, out);
    }
    Result<void> encode_pair(std::string_view a, std::string_view b, const EncodeOptions& options,
                             Encoding& out) const override {
        return put_together(config_.pair, a, b, options, out);
    }

    SpecialTokens special_tokens() const noexcept override {
        SpecialTokens out{0, 0, 0, 0, 0, 0};
        bool text = false;
        for (const TemplatePart& part : config_.single) {
            if (part.id < 0)
                text = true;
            else
                ++(text ? out.after : out.before);
        }
        int texts = 0;
        for (const TemplatePart& part : config_.pair) {
            if (part.id == TemplatePart::second_text) out.second_type = part.type;
            if (part.id < 0)
                ++texts;
            else
                ++(texts == 0 ? out.pair_before : texts == 1 ? out.pair_between : out.pair_after);
        }
        return out;
    }
    std::int32_t unknown_id() const noexcept override { return unknown_id_; }
    bool marks_continuations() const noexcept override { return false; }
    Result<std::string> decode(std::span<const std::int32_t>, bool) const override {
        return make_error(ErrorCode::unsupported, {"a tokenizer of steps does not say how ids become text"});
    }
    std::size_t vocabulary_size() const noexcept override { return vocabulary_.size(); }
    std::string_view token(std::int32_t id) const noexcept override {
        return id < 0 ? std::string_view{} : vocabulary_.token(static_cast<std::size_t>(id));
    }
    std::optional<std::int32_t> id_of(std::string_view token) const noexcept override {
        return vocabulary_.id_of(token);
    }
    std::size_t memory() const noexcept override {
        return vocabulary_.memory() + std::visit([](const auto& model) { return model.memory(); }, model_);
    }

private:
    Result<void> check_template(std::span<const TemplatePart> parts, bool pair) const {
        std::size_t first = 0, second = 0;
        for (const TemplatePart& part : parts) {
            first += part.id == TemplatePart::first_text;
            second += part.id == TemplatePart::second_text;
            if (part.id < TemplatePart::second_text ||
                (part.id >= 0 && static_cast<std::size_t>(part.id) >= vocabulary_.size()))
                return make_error(
                    ErrorCode::invalid_argument,
                    {"the template's id ", part.id, " is not in a vocabulary of ", vocabulary_.size(), " tokens"});
        }
        if (first == 1 && second == (pair ? 1u : 0u)) return {};
        return make_error(ErrorCode::invalid_argument,
                          {"the template of ", pair ? "a pair" : "a text", " has the first text ", first,
                           " times and the second ", second, " times"});
    }

    RANKLET_COLD Result<void> take_added_tokens() {
        model_size_ = vocabulary_.size();
        std::vector<bool> is_added(vocabulary_.size());
        std::vector<const AddedToken*> raw, normalized;
        std::vector<std::string> raw_patterns, normalized_patterns;
        Encoding scratch;
        for (const bool special : {true, false}) {  // of equal patterns, a special token's comes first
            for (const AddedToken& added : config_.added_tokens) {
                if (added.special != special) continue;
                const std::string name = "added token " + std::to_string(added.id) + " ('" + added.content + "')";
                if (added.id < 0 || static_cast<std::size_t>(added.id) >= vocabulary_.size())
                    return make_error(ErrorCode::invalid_argument,
                                      {name, " is not in a vocabulary of ", vocabulary_.size(), " tokens"});
                if (added.content.empty() || token(added.id) != added.content)
                    return make_error(ErrorCode::invalid_argument,
                                      {name, " is '", token(added.id), "' in the vocabulary"});
                if (is_added[static_cast<std::size_t>(added.id)])
                    return make_error(ErrorCode::invalid_argument, {name, " is listed twice"});
                is_added[static_cast<std::size_t>(added.id)] = true;
                if (!added.normalized) {
                    raw.push_back(&added);
                    raw_patterns.push_back(added.content);
                    continue;
                }
                const auto form =
                    normalizers_.apply({added.content, nullptr, 0}, scratch.scratch.pipeline, scratch.scratch);
                if (form.text.empty()) return make_error(ErrorCode::invalid_argument, {name, " normalises to nothing"});
                normalized.push_back(&added);
                normalized_patterns.emplace_back(form.text);
            }
        }
        while (model_size_ > 0 && is_added[model_size_ - 1]) --model_size_;
        if (config_.model_tokens && *config_.model_tokens > vocabulary_.size())
            return make_error(ErrorCode::invalid_argument,
                              {"the model has ", *config_.model_tokens, " of ", vocabulary_.size(), " tokens"});
        model_size_ = config_.model_tokens.value_or(model_size_);
        RANKLET_ASSIGN(raw_tokens_, detail::AddedTokens::create(raw, raw_patterns));
        RANKLET_ASSIGN(normalized_tokens_, detail::AddedTokens::create(normalized, normalized_patterns));
        return {};
    }

    Result<void> check_text(std::string_view text) const {
        if (vocabulary_.size() == 0) return detail::empty_object("the tokenizer");
        // A normalised text is addressed in 32 bits too: no character becomes more than 32 times as long.
        constexpr std::size_t limit = std::size_t{1} << 27;
        if (text.size() >= limit)
            return make_error(ErrorCode::invalid_argument,
                              {"a text of ", text.size(), " bytes: 128 MiB or more is too long"});
        if (const std::size_t valid = utf8::valid_prefix(text); valid < text.size())
            return make_error(ErrorCode::invalid_text, {"the text is not UTF-8 at byte ", valid});
        return {};
    }

    Result<void> put_together(std::span<const TemplatePart> parts, std::string_view a, std::string_view b,
                              const EncodeOptions& options, Encoding& out) const RANKLET_MEMORY_TRY {
        detail::Unfinished encoding{out};
        out.clear();
        RANKLET_TRY(check_text(a));
        RANKLET_TRY(check_text(b));
        std::size_t special = 0, first[2] = {}, last[2] = {};
        bool texts[2] = {};
        if (options.add_special_tokens)
            for (const TemplatePart& part : parts) special += part.id >= 0;
        RANKLET_TRY(detail::check_max_length(options, special));
        for (const TemplatePart& part : parts) {
            if (part.id >= 0) {
                if (options.add_special_tokens) out.push(part.id, part.type, {}, -1);
                continue;
            }
            const std::size_t which = part.id == TemplatePart::first_text ? 0 : 1;
            texts[which] = true;
            first[which] = out.size();
            tokenize(which == 0 ? a : b, part.type, detail::saturating_sum(out.size(), options.max_length), out);
            last[which] = out.size();
        }
        const std::size_t room = options.max_length - special;
        std::size_t keep[2] = {std::min(last[0] - first[0], room), 0};
        if (texts[1]) std::tie(keep[0], keep[1]) = detail::longest_first(last[0] - first[0], last[1] - first[1], room);
        const std::size_t later = first[1] > first[0] ? 1 : 0;
        for (const std::size_t which : {later, 1 - later}) out.erase(first[which] + keep[which], last[which]);
        encoding.finished = true;
        return {};
    }
    RANKLET_MEMORY_CATCH

    /// One text on its way into an Encoding.
    struct Run {
        Encoding& out;
        std::string_view text;
        std::int32_t type;
        std::size_t enough;  // tokens in `out` after which nothing more is wanted
        std::size_t first;   // of its tokens in `out`
        std::int32_t word = 0;
        bool full = false;
    };

    /// Appends the text's tokens, up to the word with which `out` holds `enough` or more.
    void tokenize(std::string_view text, std::int32_t type, std::size_t enough, Encoding& out) const {
        Run run{out, text, type, enough, out.size()};
        const detail::AlignedView whole{text, nullptr, 0};
        if (raw_tokens_.empty()) {
            stretch(run, whole);
            return;
        }
        raw_tokens_.split(
            text, [&](std::size_t begin, std::size_t end) { return stretch(run, whole.part(begin, end)); },
            [&](std::size_t begin, std::size_t end, std::int32_t id) {
                return added(run, whole.part(begin, end), id);
            });
    }

    /// Text that holds no added token that is matched as it is. Says whether there is room for more.
    bool stretch(Run& run, const detail::AlignedView& raw) const {
        detail::EncodeScratch& scratch = run.out.scratch;
        const detail::AlignedView text = normalizers_.apply(raw, scratch.pipeline, scratch);
        if (normalized_tokens_.empty()) return words(run, text);
        bool go_on = true;
        normalized_tokens_.split(
            text.text, [&](std::size_t begin, std::size_t end) { return go_on = words(run, text.part(begin, end)); },
            [&](std::size_t begin, std::size_t end, std::int32_t id) { return added(run, text.part(begin, end), id); });
        return go_on;
    }

    bool added(Run& run, const detail::AlignedView& match, std::int32_t id) const {
        TokenSpan span = match.span(0, match.text.size());
        if (config_.trim_offsets) span = trimmed(run, span, match.text);
        run.out.push(id, run.type, span, run.word++);
        return true;
    }

    bool words(Run& run, const detail::AlignedView& text) const {
        detail::PipelineScratch& scratch = run.out.scratch.pipeline;
        return std::visit(
            [&](const auto& model) {
                return pre_tokenizers_.split(text, scratch, [&](const detail::AlignedView& word) {
                    const auto token = [&](std::int32_t id, std::size_t first, std::size_t last) {
                        TokenSpan span = word.span(first, last);
                        if (config_.trim_offsets)
                            span = trimmed(run, span, vocabulary_.token(static_cast<std::size_t>(id)));
                        run.out.push(id, run.type, span, run.word);
                    };
                    model.cut(word.text, scratch, token);
                    ++run.word;
                    run.full = run.out.size() >= run.enough;
                    return !run.full;
                });
            },
            model_);
    }

    /// A token's place without the white space at its ends; `token` as the vocabulary or the text has it.
    TokenSpan trimmed(const Run& run, TokenSpan span, std::string_view token) const {
        constexpr std::uint32_t space = 0x120;  // a space in the byte alphabet
        const auto* bytes = reinterpret_cast<const unsigned char*>(token.data());
        const auto blank = [](std::uint32_t code) { return code == space || unicode::is_space(code); };
        std::size_t before = 0, after = 0, end = token.size();
        std::uint32_t length = 0;
        for (std::size_t i = 0; i < token.size() && blank(utf8::decode(bytes + i, length)); i += length) ++before;
        while (end > 0 && blank(utf8::last_before(token, end))) {
            ++after;
            --end;
            while ((bytes[end] & 0xC0u) == 0x80) --end;
        }
        const bool first = run.out.size() == run.first || span.begin == 0;
        if (first && config_.trim_keeps_added_space && before == 1) before = 0;
        const auto inside = [&](std::uint32_t at) {
            return (static_cast<unsigned char>(run.text[at]) & 0xC0u) == 0x80;
        };
        for (; before > 0 && span.begin < span.end; --before) {  // by characters, which may have been others
            ++span.begin;
            while (span.begin < span.end && inside(span.begin)) ++span.begin;
        }
        if (after > 0 && utf8::count(run.text.substr(0, span.end)) >= after)
            for (; after > 0 && span.end > span.begin; --after) {
                --span.end;
                while (span.end > span.begin && inside(span.end)) --span.end;
            }
        return span;
    }

    SubwordConfig config_;
    detail::Vocabulary vocabulary_;
    detail::Normalizers normalizers_;
    detail::AddedTokens raw_tokens_, normalized_tokens_;
    detail::PreTokenizers pre_tokenizers_;
    std::variant<detail::Unigram, detail::Bpe> model_;
    std::size_t model_size_ = 0;  // ids below are the model's own
    std::int32_t unknown_id_ = -1;
};

RANKLET_NAMESPACE_END
