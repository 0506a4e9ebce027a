// The tokenizers of a model file: WordPiece and those that are described step by step (`tokenizer.ggml.*`,
// `ranklet.tokenizer.*`), whole words (`ranklet.words.*`).
// In: a ModelReader. Out: a tokenizer, shared by the models that use it. Keys: docs/model-file.md.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/model_file/load.hpp"
#include "ranklet/model_file/reader.hpp"
#include "ranklet/model_file/subword_tokenizers.hpp"
#include "ranklet/text/tokenizer.hpp"
#include "ranklet/text/word_tokenizer.hpp"
#include "ranklet/text/wordpiece.hpp"

RANKLET_NAMESPACE_BEGIN

namespace detail {

/// What a file says a token is: `tokenizer.ggml.token_type`'s numbers.
enum class TokenType : std::int32_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

/// Of a file of another engine: what each token is. Its control tokens and those that its users defined are found in
/// texts as Hugging Face's added tokens are. A file of ours lists those (`ranklet.tokenizer.added_ids`): none.
RANKLET_COLD inline Result<std::vector<TokenType>> read_token_types(const ModelReader& reader, std::size_t tokens) {
    const ModelReader ggml = reader.scope("tokenizer.ggml");
    if (reader.has("ranklet.tokenizer.added_ids")) return std::vector<TokenType>();
    std::vector<TokenType> types(tokens, TokenType::normal);
    if (ggml.has("token_type")) {
        RANKLET_ASSIGN(const auto stored, ggml.i32s("token_type"));
        if (stored.size() != tokens)
            return ggml.wrong("token_type", {" has ", stored.size(), " entries for ", tokens, " tokens"});
        for (std::size_t i = 0; i < tokens; ++i) types[i] = static_cast<TokenType>(stored[i]);
    }
    for (const char* name : {"unknown", "cls", "bos", "seperator", "eos", "padding", "mask"}) {
        const std::string key = std::string(name) + "_token_id";
        if (!ggml.has(key)) continue;
        RANKLET_ASSIGN(const std::uint32_t id, ggml.u32(key));
        if (id < tokens) types[id] = TokenType::control;  // whoever reads it says where it is not
    }
    return types;
}
inline bool is_added(TokenType type) noexcept { return type == TokenType::control || type == TokenType::user_defined; }

/// The vocabulary in WordPiece's own form. GGUF's bert files write "##x" as "x" and a word "x" as "▁x"; a token in
/// brackets, and one that `types` says is added to the vocabulary, as it is.
/// Each is a part of the file, but for continuations, to which `joined` gives their "##".
RANKLET_COLD inline Result<std::vector<std::string_view>> read_wordpiece_tokens(
    const ModelReader& reader, std::span<const std::string_view> stored, std::span<const TokenType> types,
    std::string& joined) {
    constexpr std::string_view mark = "\xE2\x96\x81", continuation = "##";
    std::size_t bytes = 0;
    for (const std::string_view token : stored) bytes += continuation.size() + token.size();
    joined.reserve(bytes);  // so that it stays where it is
    std::vector<std::string_view> tokens;
    tokens.reserve(stored.size());
    for (std::size_t i = 0; i < stored.size(); ++i) {
        const std::string_view token = stored[i];
        if (token.starts_with(mark)) {
            tokens.push_back(token.substr(mark.size()));
        } else if ((token.size() > 1 && token.front() == '[' && token.back() == ']') ||
                   (i < types.size() && is_added(types[i]))) {
            tokens.push_back(token);
        } else {
            const std::size_t start = joined.size();
            joined.append(continuation).append(token);
            tokens.push_back(std::string_view(joined).substr(start));
        }
    }
    const ModelReader own = reader.scope("ranklet.tokenizer");
    if (!own.has("exact_ids")) return tokens;
    RANKLET_ASSIGN(const auto ids, own.u32s("exact_ids"));
    RANKLET_ASSIGN(const auto exact, own.strings_of("exact_tokens", ids.size(), "ids"));
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (ids[i] >= tokens.size()) return own.wrong("exact_ids", {" names token ", ids[i], " of ", tokens.size()});
        tokens[ids[i]] = exact[i];
    }
    return tokens;
}

/// The id of a special token, by the first of the keys that is there.
RANKLET_COLD inline Result<std::int32_t> read_special(const ModelReader& reader, const char* key, const char* other,
                                                      std::size_t tokens) {
    const char* found = reader.has(key) || other == nullptr ? key : other;
    RANKLET_ASSIGN(const std::uint32_t value, reader.u32(found));
    if (value >= tokens) return reader.wrong(found, {" is ", value, " of ", tokens, " tokens"});
    return static_cast<std::int32_t>(value);
}

RANKLET_COLD inline Result<std::vector<AddedToken>> read_added_tokens(const ModelReader& reader,
                                                                      const std::vector<std::string_view>& tokens,
                                                                      std::span<const TokenType> types) {
    std::vector<AddedToken> added;
    const ModelReader own = reader.scope("ranklet.tokenizer");
    // Of another engine's file: special tokens are matched as they are, others in normalised text (the defaults of
    // Hugging Face's AddedToken).
    for (std::size_t i = 0; i < types.size(); ++i)
        if (is_added(types[i]) && !tokens[i].empty()) {
            const bool special = types[i] == TokenType::control;
            added.push_back(
                {static_cast<std::int32_t>(i), std::string(tokens[i]), special, false, false, false, !special});
        }
    if (!own.has("added_ids")) return added;
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

/// `special_tokens`: whether the encoder puts [CLS] and [SEP] around a text; otherwise the file may lack them.
RANKLET_COLD inline Result<std::shared_ptr<const WordPiece>> read_wordpiece(const ModelReader& reader,
                                                                            bool special_tokens = true) {
    RANKLET_TRY(reader.choice<bool>("tokenizer.ggml.model", {{"bert", true}}));
    RANKLET_ASSIGN(const auto stored, reader.strings("tokenizer.ggml.tokens"));
    RANKLET_ASSIGN(const auto types, detail::read_token_types(reader, stored.size()));
    std::string joined;
    RANKLET_ASSIGN(const auto tokens, detail::read_wordpiece_tokens(reader, stored, types, joined));
    const ModelReader own = reader.scope("ranklet.tokenizer"), ggml = reader.scope("tokenizer.ggml");
    WordPieceConfig config;
    RANKLET_ASSIGN(config.lowercase, own.boolean("lowercase"));
    RANKLET_ASSIGN(config.strip_accents, own.boolean("strip_accents"));
    // BERT's normaliser always cleans and splits unless a file says otherwise.
    RANKLET_ASSIGN(config.clean_text, own.boolean_or("clean_text", true));
    RANKLET_ASSIGN(config.handle_chinese_chars, own.boolean_or("handle_chinese_chars", true));
    RANKLET_ASSIGN(config.lower_text, own.boolean_or("lower_text", false));
    RANKLET_ASSIGN(config.pairs, own.boolean_or("pairs", true));
    RANKLET_ASSIGN(config.max_input_chars_per_word,
                   own.u32_or("max_input_chars_per_word", static_cast<std::uint32_t>(config.max_input_chars_per_word)));
    RANKLET_ASSIGN(config.unk_id, detail::read_special(ggml, "unknown_token_id", nullptr, tokens.size()));
    config.cls_id = config.sep_id = config.unk_id;  // never asked for where there are none
    config.pad_id = config.mask_id = -1;
    if (special_tokens || ggml.has("cls_token_id")) {
        RANKLET_ASSIGN(config.cls_id, detail::read_special(ggml, "cls_token_id", "bos_token_id", tokens.size()));
    }
    if (special_tokens || ggml.has("seperator_token_id")) {
        RANKLET_ASSIGN(config.sep_id, detail::read_special(ggml, "seperator_token_id", "eos_token_id", tokens.size()));
    }
    if (ggml.has("padding_token_id")) {
        RANKLET_ASSIGN(config.pad_id, detail::read_special(ggml, "padding_token_id", nullptr, tokens.size()));
    }
    if (ggml.has("mask_token_id")) {
        RANKLET_ASSIGN(config.mask_id, detail::read_special(ggml, "mask_token_id", nullptr, tokens.size()));
    }
    RANKLET_ASSIGN(config.added_tokens, detail::read_added_tokens(reader, tokens, types));
    auto tokenizer = WordPiece::create(tokens, std::move(config));
    if (!tokenizer.ok())
        return make_error(tokenizer.error().code, {reader.file().name(), ": ", tokenizer.error().message});
    return std::shared_ptr<const WordPiece>(std::make_shared<WordPiece>(std::move(*tokenizer)));
}

/// The file's tokenizer, of whatever kind. Parameters as read_wordpiece's.
RANKLET_COLD inline Result<std::shared_ptr<const Tokenizer>> read_tokenizer(const ModelReader& reader,
                                                                            bool special_tokens = true) {
    if (reader.has("ranklet.tokenizer.model")) {
        RANKLET_ASSIGN(auto subword, read_subword_tokenizer(reader));
        return std::shared_ptr<const Tokenizer>(std::move(subword));
    }
    RANKLET_ASSIGN(auto wordpiece, read_wordpiece(reader, special_tokens));
    return std::shared_ptr<const Tokenizer>(std::move(wordpiece));
}

/// What a word that has no row is: `ranklet.words.unknown`.
inline constexpr std::array<Choice<UnknownWord>, 3> unknown_word_names{
    {{"skip", UnknownWord::skip}, {"row", UnknownWord::row}, {"characters", UnknownWord::characters}}};

/// How texts are cut into whole words: `ranklet.words.cut`. Files without it are older than the key.
inline constexpr std::array<Choice<WordCut>, 3> word_cut_names{
    {{"rules", WordCut::rules}, {"vocabulary", WordCut::vocabulary}, {"whitespace", WordCut::whitespace}}};

/// The tokenizer of whole words: `ranklet.words.tokens`, `.lowercase`, `.unknown`, `.unknown_id`, `.stop_words`, `.cut`.
RANKLET_COLD inline Result<std::shared_ptr<const WordTokenizer>> read_word_tokenizer(const ModelReader& reader) {
    const ModelReader words = reader.scope("ranklet.words");
    WordTokenizerConfig config;
    RANKLET_ASSIGN(config.lowercase, words.boolean("lowercase"));
    RANKLET_ASSIGN(config.unknown, words.choice("unknown", unknown_word_names));
    if (config.unknown == UnknownWord::row) {
        RANKLET_ASSIGN(const std::uint32_t id, words.u32("unknown_id"));
        config.unknown_id = static_cast<std::int32_t>(std::min<std::uint32_t>(id, 0x7FFFFFFF));  // create() checks it
    }
    if (words.has("cut")) {
        RANKLET_ASSIGN(config.cut, words.choice("cut", word_cut_names));
    }
    RANKLET_ASSIGN(const auto stop_words, words.strings_or_none("stop_words"));
    config.stop_words = stop_words;
    RANKLET_ASSIGN(const auto tokens, words.strings("tokens"));
    RANKLET_ASSIGN(auto tokenizer, words.at("tokens", WordTokenizer::create(tokens, config)));
    return std::shared_ptr<const WordTokenizer>(std::make_shared<WordTokenizer>(std::move(tokenizer)));
}

RANKLET_NAMESPACE_END
