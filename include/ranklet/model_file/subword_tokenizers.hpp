// The tokenizers of steps of a model file: `tokenizer.ggml.*` and `ranklet.tokenizer.*` (docs/model-file.md).
// In: a ModelReader. Out: a SubwordTokenizer.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/model_file/reader.hpp"
#include "ranklet/text/subword_tokenizer.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

inline constexpr std::array<Choice<SplitBehavior>, 5> split_behavior_names{
    {{"removed", SplitBehavior::removed},
     {"isolated", SplitBehavior::isolated},
     {"merged_with_previous", SplitBehavior::merged_with_previous},
     {"merged_with_next", SplitBehavior::merged_with_next},
     {"contiguous", SplitBehavior::contiguous}}};

/// A list of steps: each is a name and what it is made of, one string behind the other.
class StepList {
public:
    StepList(const ModelReader& reader, const char* key, std::vector<std::string_view> parts)
        : reader_(reader), key_(key), parts_(std::move(parts)) {}

    bool done() const noexcept { return at_ == parts_.size(); }
    Result<std::string_view> next(std::string_view what) {
        if (!done()) return parts_[at_++];
        return reader_.wrong(key_, {" ends where ", what, " was expected"});
    }
    /// What the next part stands for.
    template <class Choices>
    auto choice(std::string_view what, const Choices& choices)
        -> Result<std::remove_cvref_t<decltype(choices.begin()->value)>> {
        RANKLET_ASSIGN(const std::string_view name, next(what));
        return reader_.choose(key_, name, choices);
    }
    /// Which of `names` are in the next part, words with a space between them.
    template <std::size_t N>
    Result<std::array<bool, N>> flags(std::string_view what, const std::array<std::string_view, N>& names) {
        RANKLET_ASSIGN(std::string_view words, next(what));
        std::array<bool, N> out{};
        while (!words.empty()) {
            const std::string_view word = words.substr(0, words.find(' '));
            words.remove_prefix(std::min(word.size() + 1, words.size()));
            std::size_t i = 0;
            while (i < N && names[i] != word) ++i;
            if (i == N) return reader_.wrong(key_, {" has \"", word, "\" in ", what}, ErrorCode::unsupported);
            out[i] = true;
        }
        return out;
    }

private:
    const ModelReader& reader_;
    const char* key_;
    std::vector<std::string_view> parts_;
    std::size_t at_ = 0;
};

RANKLET_COLD inline Result<std::vector<NormalizerStep>> read_normalizers(const ModelReader& own,
                                                                         const ModelReader& ggml) {
    using Kind = NormalizerStep::Kind;
    static constexpr std::array<Choice<Kind>, 15> names{{{"nfc", Kind::nfc},
                                                         {"nfd", Kind::nfd},
                                                         {"nfkc", Kind::nfkc},
                                                         {"nfkd", Kind::nfkd},
                                                         {"lowercase", Kind::lowercase},
                                                         {"strip_accents", Kind::strip_accents},
                                                         {"strip", Kind::strip},
                                                         {"replace", Kind::replace},
                                                         {"replace_regex", Kind::replace_regex},
                                                         {"prepend", Kind::prepend},
                                                         {"nmt", Kind::nmt},
                                                         {"precompiled", Kind::precompiled},
                                                         {"sentencepiece", Kind::sentencepiece},
                                                         {"bert", Kind::bert},
                                                         {"byte_level", Kind::byte_level}}};
    RANKLET_ASSIGN(auto parts, own.strings_or_none("normalizers"));
    StepList list(own, "normalizers", std::move(parts));
    std::vector<NormalizerStep> steps;
    while (!list.done()) {
        NormalizerStep step;
        RANKLET_ASSIGN(step.kind, list.choice("a normalizer", names));
        if (step.kind == Kind::strip) {
            RANKLET_ASSIGN(const auto sides, list.flags("strip", std::array<std::string_view, 2>{"left", "right"}));
            step.left = sides[0];
            step.right = sides[1];
        } else if (step.kind == Kind::replace || step.kind == Kind::replace_regex) {
            RANKLET_ASSIGN(step.pattern, list.next("a pattern"));
            RANKLET_ASSIGN(step.content, list.next("what replaces it"));
        } else if (step.kind == Kind::prepend) {
            RANKLET_ASSIGN(step.content, list.next("what is put before a text"));
        } else if (step.kind == Kind::bert) {
            RANKLET_ASSIGN(const auto on,
                           list.flags("bert", std::array<std::string_view, 4>{"lowercase", "strip_accents",
                                                                              "clean_text", "handle_chinese_chars"}));
            step.bert = {on[0], on[1], on[2], on[3]};
        } else if (step.kind == Kind::sentencepiece) {
            RANKLET_ASSIGN(const auto on, list.flags("sentencepiece", std::array<std::string_view, 2>{
                                                                          "dummy_prefix", "remove_extra_whitespaces"}));
            step.left = on[0];
            step.right = on[1];
        }
        if (step.kind == Kind::precompiled || (step.kind == Kind::sentencepiece && ggml.has("precompiled_charsmap"))) {
            RANKLET_ASSIGN(const auto bytes, ggml.u32s("precompiled_charsmap"));
            step.content.reserve(bytes.size());
            for (const std::uint32_t byte : bytes) step.content.push_back(static_cast<char>(byte & 0xFFu));
        }
        steps.push_back(std::move(step));
    }
    return steps;
}

RANKLET_COLD inline Result<std::vector<PreTokenizerStep>> read_pre_tokenizers(const ModelReader& own) {
    using Kind = PreTokenizerStep::Kind;
    static constexpr std::array<Choice<Kind>, 9> names{{{"bert", Kind::bert},
                                                        {"whitespace", Kind::whitespace},
                                                        {"whitespace_split", Kind::whitespace_split},
                                                        {"punctuation", Kind::punctuation},
                                                        {"digits", Kind::digits},
                                                        {"metaspace", Kind::metaspace},
                                                        {"byte_level", Kind::byte_level},
                                                        {"split", Kind::split},
                                                        {"split_regex", Kind::split_regex}}};
    static constexpr std::array<Choice<PrependScheme>, 3> schemes{
        {{"always", PrependScheme::always}, {"first", PrependScheme::first}, {"never", PrependScheme::never}}};
    static constexpr std::array<Choice<bool>, 2> inverted{{{"matches", false}, {"between", true}}};
    static constexpr std::array<Choice<bool>, 2> splitting{{{"split", true}, {"whole", false}}};
    RANKLET_ASSIGN(auto parts, own.strings_or_none("pre_tokenizers"));
    StepList list(own, "pre_tokenizers", std::move(parts));
    std::vector<PreTokenizerStep> steps;
    while (!list.done()) {
        PreTokenizerStep step;
        RANKLET_ASSIGN(step.kind, list.choice("a pre-tokenizer", names));
        if (step.kind == Kind::punctuation || step.kind == Kind::digits) {
            RANKLET_ASSIGN(step.behavior, list.choice("a behavior", split_behavior_names));
        } else if (step.kind == Kind::metaspace) {
            RANKLET_ASSIGN(step.pattern, list.next("a mark"));
            RANKLET_ASSIGN(step.prepend, list.choice("where the mark is put", schemes));
            RANKLET_ASSIGN(step.split, list.choice("whether it splits", splitting));
        } else if (step.kind == Kind::byte_level) {
            RANKLET_ASSIGN(const auto on,
                           list.flags("byte_level", std::array<std::string_view, 2>{"add_prefix_space", "split"}));
            step.add_prefix_space = on[0];
            step.split = on[1];
        } else if (step.kind == Kind::split || step.kind == Kind::split_regex) {
            RANKLET_ASSIGN(step.pattern, list.next("a pattern"));
            RANKLET_ASSIGN(step.behavior, list.choice("a behavior", split_behavior_names));
            RANKLET_ASSIGN(step.invert, list.choice("what is split at", inverted));
        }
        steps.push_back(std::move(step));
    }
    return steps;
}

RANKLET_COLD inline Result<std::vector<TemplatePart>> read_template(const ModelReader& own, const char* key) {
    RANKLET_ASSIGN(const auto numbers, own.i32s(key));
    if (numbers.size() % 2 != 0) return own.wrong(key, {" has ", numbers.size(), " entries, expected pairs"});
    std::vector<TemplatePart> parts;
    for (std::size_t i = 0; i < numbers.size(); i += 2) parts.push_back({numbers[i], numbers[i + 1]});
    return parts;
}

/// `tokenizer.ggml.merges`: two tokens with a space between them.
RANKLET_COLD inline Result<std::vector<std::pair<std::int32_t, std::int32_t>>> read_merges(
    const ModelReader& ggml, std::span<const std::string_view> tokens) {
    RANKLET_ASSIGN(const auto merges, ggml.strings("merges"));
    RANKLET_ASSIGN(const Vocabulary vocabulary, Vocabulary::create(tokens));
    std::vector<std::pair<std::int32_t, std::int32_t>> out;
    out.reserve(merges.size());
    for (std::size_t i = 0; i < merges.size(); ++i) {
        const std::size_t space = merges[i].find(' ', 1);
        if (space == std::string_view::npos)
            return ggml.wrong("merges", {"[", i, "] is \"", merges[i], "\", expected two tokens"});
        const std::string_view parts[] = {merges[i].substr(0, space), merges[i].substr(space + 1)};
        std::int32_t ids[2];
        for (std::size_t p = 0; p < 2; ++p) {
            const auto id = vocabulary.id_of(parts[p]);
            if (!id) return ggml.wrong("merges", {"[", i, "] has \"", parts[p], "\", which is no token"});
            ids[p] = *id;
        }
        out.emplace_back(ids[0], ids[1]);
    }
    return out;
}

RANKLET_COLD inline Result<std::vector<AddedToken>> read_stated_added_tokens(const ModelReader& own,
                                                                             std::span<const std::string_view> tokens) {
    std::vector<AddedToken> added;
    RANKLET_ASSIGN(const auto ids, own.u32s("added_ids"));
    RANKLET_ASSIGN(const auto flags, own.u32s("added_flags"));
    if (ids.size() != flags.size())
        return own.wrong("added_flags", {" has ", flags.size(), " entries for ", ids.size(), " ids"});
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (ids[i] >= tokens.size()) return own.wrong("added_ids", {" names token ", ids[i], " of ", tokens.size()});
        added.push_back({static_cast<std::int32_t>(ids[i]), std::string(tokens[ids[i]]), (flags[i] & 1u) != 0,
                         (flags[i] & 2u) != 0, (flags[i] & 4u) != 0, (flags[i] & 8u) != 0, (flags[i] & 16u) != 0});
    }
    return added;
}

}  // namespace detail

/// The tokenizer of a file that has `ranklet.tokenizer.model`.
RANKLET_COLD inline Result<std::shared_ptr<const SubwordTokenizer>> read_subword_tokenizer(const ModelReader& reader) {
    const ModelReader own = reader.scope("ranklet.tokenizer"), ggml = reader.scope("tokenizer.ggml");
    RANKLET_ASSIGN(const bool unigram, own.choice<bool>("model", {{"unigram", true}, {"bpe", false}}));
    RANKLET_ASSIGN(const auto tokens, ggml.strings("tokens"));
    SubwordConfig config;
    RANKLET_ASSIGN(config.normalizers, detail::read_normalizers(own, ggml));
    RANKLET_ASSIGN(config.pre_tokenizers, detail::read_pre_tokenizers(own));
    RANKLET_ASSIGN(config.single, detail::read_template(own, "single"));
    RANKLET_ASSIGN(config.pair, detail::read_template(own, "pair"));
    RANKLET_ASSIGN(config.trim_offsets, own.boolean_or("trim_offsets", false));
    RANKLET_ASSIGN(config.trim_keeps_added_space, own.boolean_or("trim_keeps_added_space", false));
    RANKLET_ASSIGN(config.added_tokens, detail::read_stated_added_tokens(own, tokens));
    RANKLET_ASSIGN(config.model_tokens, own.u32_in("model_tokens", 1, static_cast<std::uint32_t>(tokens.size())));
    RANKLET_ASSIGN(const bool byte_fallback, own.boolean_or("byte_fallback", false));
    std::int32_t unk_id = -1;
    if (ggml.has("unknown_token_id")) {
        RANKLET_ASSIGN(const std::uint32_t id,
                       ggml.u32_in("unknown_token_id", 0, static_cast<std::uint32_t>(tokens.size() - 1)));
        unk_id = static_cast<std::int32_t>(id);
    }
    if (unigram) {
        UnigramConfig model;
        const ModelReader& scores = own.has("scores") ? own : ggml;
        RANKLET_ASSIGN(model.scores, scores.doubles("scores"));
        if (model.scores.size() != tokens.size())
            return scores.wrong("scores", {" has ", model.scores.size(), " entries for ", tokens.size(), " tokens"});
        model.unk_id = unk_id;
        model.byte_fallback = byte_fallback;
        RANKLET_ASSIGN(model.single_precision, own.boolean_or("single_precision", false));
        if (own.has("unmatched_ids")) {
            RANKLET_ASSIGN(model.unmatched, own.i32s("unmatched_ids"));
        }
        config.model = std::move(model);
    } else {
        BpeConfig model;
        RANKLET_ASSIGN(model.merges, detail::read_merges(ggml, std::span(tokens).first(*config.model_tokens)));
        model.unk_id = unk_id;
        model.byte_fallback = byte_fallback;
        RANKLET_ASSIGN(model.fuse_unk, own.boolean_or("fuse_unk", false));
        RANKLET_ASSIGN(model.equal_ranks, own.boolean_or("equal_ranks", false));
        RANKLET_ASSIGN(model.ignore_merges, own.boolean_or("ignore_merges", false));
        config.model = std::move(model);
    }
    auto tokenizer = SubwordTokenizer::create(tokens, std::move(config));
    if (!tokenizer.ok())
        return make_error(tokenizer.error().code, {reader.file().name(), ": ", tokenizer.error().message});
    return std::shared_ptr<const SubwordTokenizer>(std::make_shared<SubwordTokenizer>(std::move(*tokenizer)));
}

RANKLET_NAMESPACE_END
