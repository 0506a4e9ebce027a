// The WordPiece tokenizer of a model file.
// In: an open file's `tokenizer.ggml.*` and `ranklet.tokenizer.*` keys (see ARCHITECTURE.md). Out: a WordPiece.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/encoders/options.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/text/wordpiece.hpp"

RANKLET_NAMESPACE_BEGIN

/// A key that is not in the file and has no default either.
RANKLET_COLD inline Error missing_default(const GgufFile& file, const char* key, const char* option) {
    return make_error(ErrorCode::missing,
                      {file.name(), ": no key ", key, "; a file of another engine needs BertDefaults::", option});
}

RANKLET_COLD inline Result<bool> load_flag(const GgufFile& file, const char* key, std::optional<bool> fallback,
                                           const char* option) {
    if (file.has(key)) return file.boolean(key);
    if (fallback) return *fallback;
    return missing_default(file, key, option);
}

/// Turns the vocabulary as GGUF's bert files write it back to WordPiece's own form. `special_tokens`: whether the
/// encoder puts [CLS] and [SEP] around a text; otherwise the file may lack them.
RANKLET_COLD inline Result<std::shared_ptr<const WordPiece>> load_wordpiece(const GgufFile& file,
                                                                            const BertDefaults& defaults,
                                                                            bool special_tokens = true) {
    RANKLET_ASSIGN(const auto model, file.string("tokenizer.ggml.model"));
    if (model != "bert")
        return make_error(ErrorCode::unsupported,
                          {file.name(), ": tokenizer.ggml.model is \"", model, "\", not \"bert\""});
    RANKLET_ASSIGN(const auto stored, file.strings("tokenizer.ggml.tokens"));
    // Each is a part of the file, but for continuations, to which `joined` gives their "##".
    constexpr std::string_view mark = "\xE2\x96\x81", continuation = "##";
    std::string joined;
    std::size_t bytes = 0;
    for (const std::string_view token : stored) bytes += continuation.size() + token.size();
    joined.reserve(bytes);  // so that it stays where it is
    std::vector<std::string_view> tokens;
    tokens.reserve(stored.size());
    for (const std::string_view token : stored) {
        if (token.substr(0, mark.size()) == mark) {
            tokens.push_back(token.substr(mark.size()));
        } else if (token.size() > 1 && token.front() == '[' && token.back() == ']') {
            tokens.push_back(token);
        } else {
            const std::size_t start = joined.size();
            joined.append(continuation).append(token);
            tokens.push_back(std::string_view(joined).substr(start));
        }
    }
    if (file.has("ranklet.tokenizer.exact_ids")) {
        RANKLET_ASSIGN(const auto ids, file.u32s("ranklet.tokenizer.exact_ids"));
        RANKLET_ASSIGN(const auto exact, file.strings("ranklet.tokenizer.exact_tokens"));
        if (ids.size() != exact.size())
            return make_error(ErrorCode::format,
                              {file.name(), ": ranklet.tokenizer.exact_ids and .exact_tokens differ in length"});
        for (std::size_t i = 0; i < ids.size(); ++i) {
            if (ids[i] >= tokens.size())
                return make_error(ErrorCode::format, {file.name(), ": ranklet.tokenizer.exact_ids names token ", ids[i],
                                                      " of ", tokens.size()});
            tokens[ids[i]] = exact[i];
        }
    }
    WordPieceConfig config;
    RANKLET_ASSIGN(config.lowercase, load_flag(file, "ranklet.tokenizer.lowercase", defaults.lowercase, "lowercase"));
    RANKLET_ASSIGN(config.strip_accents,
                   load_flag(file, "ranklet.tokenizer.strip_accents",
                             defaults.strip_accents ? defaults.strip_accents : defaults.lowercase, "strip_accents"));
    // BERT's normaliser always cleans and splits unless a file says otherwise.
    RANKLET_ASSIGN(config.clean_text, load_flag(file, "ranklet.tokenizer.clean_text", true, "clean_text"));
    RANKLET_ASSIGN(config.handle_chinese_chars,
                   load_flag(file, "ranklet.tokenizer.handle_chinese_chars", true, "handle_chinese_chars"));
    if (file.has("ranklet.tokenizer.max_input_chars_per_word")) {
        RANKLET_ASSIGN(config.max_input_chars_per_word, file.u32("ranklet.tokenizer.max_input_chars_per_word"));
    }
    const auto special = [&](const char* key, const char* other, std::int32_t& id) -> Result<void> {
        const char* found = file.has(key) || other == nullptr ? key : other;
        RANKLET_ASSIGN(const std::uint32_t value, file.u32(found));
        if (value >= tokens.size())
            return make_error(ErrorCode::format,
                              {file.name(), ": ", found, " is ", value, " of ", tokens.size(), " tokens"});
        id = static_cast<std::int32_t>(value);
        return {};
    };
    RANKLET_TRY(special("tokenizer.ggml.unknown_token_id", nullptr, config.unk_id));
    if (special_tokens || file.has("tokenizer.ggml.cls_token_id")) {
        RANKLET_TRY(special("tokenizer.ggml.cls_token_id", "tokenizer.ggml.bos_token_id", config.cls_id));
    } else {
        config.cls_id = config.unk_id;  // never asked for
    }
    if (special_tokens || file.has("tokenizer.ggml.seperator_token_id")) {
        RANKLET_TRY(special("tokenizer.ggml.seperator_token_id", "tokenizer.ggml.eos_token_id", config.sep_id));
    } else {
        config.sep_id = config.unk_id;
    }
    config.pad_id = config.mask_id = -1;
    if (file.has("tokenizer.ggml.padding_token_id"))
        RANKLET_TRY(special("tokenizer.ggml.padding_token_id", nullptr, config.pad_id));
    if (file.has("tokenizer.ggml.mask_token_id"))
        RANKLET_TRY(special("tokenizer.ggml.mask_token_id", nullptr, config.mask_id));
    config.added_tokens.clear();
    if (file.has("ranklet.tokenizer.added_ids")) {
        RANKLET_ASSIGN(const auto ids, file.u32s("ranklet.tokenizer.added_ids"));
        RANKLET_ASSIGN(const auto flags, file.u32s("ranklet.tokenizer.added_flags"));
        if (ids.size() != flags.size())
            return make_error(ErrorCode::format,
                              {file.name(), ": ranklet.tokenizer.added_ids and .added_flags differ in length"});
        for (std::size_t i = 0; i < ids.size(); ++i) {
            if (ids[i] >= tokens.size())
                return make_error(ErrorCode::format, {file.name(), ": ranklet.tokenizer.added_ids names token ", ids[i],
                                                      " of ", tokens.size()});
            config.added_tokens.push_back({static_cast<std::int32_t>(ids[i]), std::string(tokens[ids[i]]),
                                           (flags[i] & 1u) != 0, (flags[i] & 2u) != 0, (flags[i] & 4u) != 0,
                                           (flags[i] & 8u) != 0, (flags[i] & 16u) != 0});
        }
    } else {  // a file of another engine: the five special tokens, as Hugging Face's BERT tokenizers have them
        for (const std::int32_t id : {config.pad_id, config.unk_id, config.cls_id, config.sep_id, config.mask_id})
            if (id >= 0)
                config.added_tokens.push_back(
                    {id, std::string(tokens[static_cast<std::size_t>(id)]), true, false, false, false, false});
    }
    auto tokenizer = WordPiece::create(tokens, std::move(config));
    if (!tokenizer.ok()) return make_error(tokenizer.error().code, {file.name(), ": ", tokenizer.error().message});
    return std::shared_ptr<const WordPiece>(std::make_shared<WordPiece>(std::move(*tokenizer)));
}

RANKLET_NAMESPACE_END
