// Bert: text to vector with a transformer of BERT's or one of its successors' make: Tokenizer, BertModel, SentenceHead.
// In: UTF-8 texts. Out: vectors [texts, dim], or each text's token states [length, hidden].
// A text's numbers do not depend on the batch, the number of threads, or the texts around it.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/function_view.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/text_list.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/encoders/item_encoder.hpp"
#include "ranklet/encoders/options.hpp"
#include "ranklet/encoders/text_window.hpp"
#include "ranklet/model_file/load.hpp"

RANKLET_NAMESPACE_BEGIN

class BertModel;
class Scratch;
class SentenceHead;
class Tokenizer;

/// What is done with one text's states: (text, states [length, hidden], scratch). Called once for each text, from any of
/// the threads, in any order; the states are valid during the call. Must not throw, but for an allocation that fails.
using TokenStateSink = FunctionView<void(std::size_t, MatrixView<const float>, Scratch&)>;

/// Copies share the weights. One that was made by default or moved from is empty: what returns a Result is an Error
/// invalid_argument, sizes are 0.
class Bert final : public ItemEncoder, public Loadable<Bert> {
public:
    static constexpr std::string_view type_name = "bert";  ///< `ranklet.encoder.type`
    static constexpr bool may_lack_self_test = true;       ///< a file of another engine has none
    RANKLET_COLD static Result<Bert> read(const ModelReader& reader, const LoadOptions& options);

    KindId kind() const noexcept override { return kind_id<Bert>; }
    /// Elements of a text's vector.
    RANKLET_FUNC std::size_t dim() const noexcept override;
    /// Elements of a token's state.
    std::size_t hidden() const noexcept;
    std::size_t token_dim() const noexcept override { return hidden(); }
    /// Tokens of a text beyond which it is truncated, special ones included.
    std::size_t max_length() const noexcept;
    const Tokenizer& tokenizer() const noexcept;  ///< ranklet/text/tokenizer.hpp
    const BertModel& model() const noexcept;      ///< ranklet/encoders/bert_model.hpp
    const SentenceHead& head() const noexcept;    ///< ranklet/encoders/sentence_head.hpp
    /// Of a file of llama.cpp's: what it does not say itself and was taken from that engine or the caller's options, as keys of
    /// ours with their values ("ranklet.tokenizer.lowercase = true"). Empty for a file of ours.
    std::span<const std::string> assumptions() const noexcept;
    /// What BatchOptions::prompt puts before a text: the named prompt, or the default one. Error missing naming it.
    Result<std::string_view> prompt_text(std::optional<std::string_view> name = {}) const;
    bool has_prompt(std::string_view name) const noexcept override { return prompt_text(name).ok(); }

    /// The vector [dim] of one text. Error invalid_text when it is not UTF-8.
    Result<std::vector<float>> encode(std::string_view text, const BatchOptions& options = {}) const;
    /// The vectors [texts, dim]. Error invalid_text naming the first text that is not UTF-8.
    Result<Matrix> encode(TextList texts, const BatchOptions& options = {}) const;
    Result<Matrix> encode(std::initializer_list<std::string_view> texts,
                          const BatchOptions& options = {}) const RANKLET_MEMORY_TRY {
        return encode(TextList(texts), options);
    }
    RANKLET_MEMORY_CATCH
    /// One text's token states [length, hidden], special tokens included; in windows: of all of its tokens.
    Result<Matrix> encode_tokens(std::string_view text, const BatchOptions& options = {}) const;

    /// Runs the transformer over all texts; `scratch` of the sink has `sink_scratch` bytes. With an Error (of the first
    /// text that has one) some texts may not have been seen.
    /// Error invalid_argument with BatchOptions::windows: for_each_window reads in windows.
    Result<void> for_each_text(TextList texts, const BatchOptions& options, TokenStateSink sink,
                               std::size_t sink_scratch = 0) const;
    /// The same for pairs of texts, which get no prompt. A pair that is too long is cut as Tokenizer::encode_pair says.
    /// Error unsupported when the model has one token type: the two texts would be one. (A model without token types,
    /// as DistilBERT, tells them apart by the [SEP] between them.)
    Result<void> for_each_pair(std::span<const TextPair> pairs, const BatchOptions& options, TokenStateSink sink,
                               std::size_t sink_scratch = 0) const;
    /// The same window by window, where the options say so; otherwise each text (or pair) is one window.
    /// Error invalid_argument for windows that hold no more than their overlap.
    Result<void> for_each_window(TextList texts, const BatchOptions& options, WindowSink sink,
                                 std::size_t sink_scratch = 0) const;
    Result<void> for_each_window(std::span<const TextPair> pairs, const BatchOptions& options, WindowSink sink,
                                 std::size_t sink_scratch = 0) const;

    RANKLET_FUNC Result<EncodedItems> encode_items(std::span<const Item> items, ItemForm form,
                                                   const BatchOptions& options) const override;
    RANKLET_COLD RANKLET_FUNC Result<std::unique_ptr<const ItemParts>> take_apart(
        const Item& item, TextUnit unit, const BatchOptions& options) const override;
    /// The file's texts against its token ids and vectors.
    RANKLET_COLD RANKLET_FUNC Result<void> self_test(const ModelReader& reader) const override;
    RANKLET_COLD RANKLET_FUNC Result<SelfTestItems> self_test_items(const ModelReader& reader) const override;

private:
    struct State;
    class Parts;
    const State& state() const noexcept;  // of no tokens, where it is empty
    RANKLET_COLD Result<void> check_loaded() const;
    std::shared_ptr<const State> state_;
};

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "ranklet/core/groups.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/encoders/bert_model.hpp"
#include "ranklet/encoders/sentence_head.hpp"
#include "ranklet/encoders/text_items.hpp"
#include "ranklet/encoders/token_batch.hpp"
#include "ranklet/encoders/token_parts.hpp"
#include "ranklet/encoders/window_run.hpp"
#include "ranklet/model_file/layers.hpp"
#include "ranklet/model_file/self_test.hpp"
#include "ranklet/model_file/tokenizers.hpp"
#include "ranklet/text/wordpiece.hpp"

RANKLET_NAMESPACE_BEGIN

struct Bert::State {
    struct Prompt {
        std::string name, text;
    };
    std::shared_ptr<const Tokenizer> tokenizer;
    BertModel model;
    SentenceHead head;
    std::uint32_t max_length = 0;
    std::vector<Prompt> prompts;
    std::string default_prompt;
    std::vector<std::string> assumptions;
    bool truncated = false;  // to fewer numbers than the file's vectors have

    Result<std::string_view> prompt(std::optional<std::string_view> name) const {
        const std::string_view wanted = name.value_or(default_prompt);
        if (wanted.empty()) return std::string_view{};
        for (const Prompt& each : prompts)
            if (each.name == wanted) return std::string_view(each.text);
        return make_error(ErrorCode::missing, {"the model has no prompt named \"", wanted, "\""});
    }
    detail::WindowRun run(const BatchOptions& options, const WindowSink& sink, std::size_t sink_scratch,
                          std::string_view before) const {
        return {*tokenizer, model, max_length, options, sink, sink_scratch, before};
    }
    /// Rows of token states in front of a text that do not count for its vector: of [CLS] and the prompt, where the model
    /// leaves them out, as many as the prompt alone has.
    Result<std::size_t> rows_left_out(std::string_view before) const {
        if (before.empty() || !head.leaves_prompt_out()) return std::size_t{0};
        EncodeOptions limit;
        limit.max_length = max_length;
        Encoding encoding;
        RANKLET_TRY(tokenizer->encode(before, limit, encoding));
        return encoding.size() - tokenizer->special_tokens().after;
    }
    RANKLET_COLD Result<void> read_prompts(const ModelReader& reader) {
        const ModelReader keys = reader.scope("ranklet.prompts");
        if (!keys.has("names") && !keys.has("texts") && !keys.has("default")) return {};
        RANKLET_ASSIGN(const auto names, keys.strings("names"));
        RANKLET_ASSIGN(const auto texts, keys.strings_of("texts", names.size(), "names"));
        for (std::size_t i = 0; i < names.size(); ++i)
            prompts.push_back({std::string(names[i]), std::string(texts[i])});
        RANKLET_ASSIGN(default_prompt, keys.string_or("default", ""));
        const auto found = prompt(default_prompt);
        if (!found.ok())
            return keys.wrong("default", {": ", found.error().message},
                              detail::told_as(ErrorCode::format, found.error()));
        return {};
    }
};

/// A text's words, for explanations.
class Bert::Parts final : public detail::TokenParts {
public:
    Parts(Bert bert, std::string_view text, const Encoding& encoding, std::size_t prompt, std::size_t left_out,
          TextUnit unit)
        : TokenParts(text, encoding, prompt, unit), bert_(std::move(bert)), left_out_(left_out) {}

private:
    Result<EncodedItems> encode_sequences(std::span<const std::vector<std::int32_t>> sequences, ItemForm form,
                                          const BatchOptions& options) const override {
        const State& bert = *bert_.state_;
        EncodedItems encoded;
        std::vector<std::int32_t> ids;
        encoded.offsets.assign(1, 0);
        for (const auto& sequence : sequences) {
            ids.insert(ids.end(), sequence.begin(), sequence.end());
            encoded.offsets.push_back(ids.size());
        }
        const TokenBatch batch{ids, {}, encoded.offsets};
        const Threads threads = detail::worth(options.threads, batch.tokens() * bert.model.token_work());
        Scratch scratch;
        RANKLET_TRY(scratch.reserve(
            std::max(bert.model.scratch_size(batch.tokens(), batch.longest(), threads), bert.head.scratch_size())));
        RANKLET_ASSIGN(Matrix states, Matrix::zeroed(ids.size(), bert.model.hidden()));
        run_together(threads, [&](Threads together) { bert.model.forward(batch, states.view(), scratch, together); });
        if (form == ItemForm::token_states) {
            encoded.rows = std::move(states);
            return encoded;
        }
        RANKLET_ASSIGN(encoded.rows, Matrix::zeroed(sequences.size(), bert.head.dim()));
        for (std::size_t s = 0; s < sequences.size(); ++s)
            bert.head.forward(states.view().middle_rows(encoded.offsets[s], sequences[s].size()),
                              encoded.rows.row(s).data(), scratch, left_out_);
        encoded.offsets.clear();
        return encoded;
    }
    Bert bert_;
    std::size_t left_out_;
};

namespace detail {

// Says what a file is, rather than which key of a BERT file it lacks.
RANKLET_COLD RANKLET_FUNC Result<void> check_bert_file(const ModelReader& reader) {
    const auto other = [&](const char* key, std::string_view found, const char* what) {
        return reader.wrong(key, {" is \"", found, "\", not \"bert\"", what}, ErrorCode::unsupported);
    };
    RANKLET_ASSIGN(const auto type, reader.string_or("ranklet.encoder.type", "bert"));
    if (type == "items")
        return other("ranklet.encoder.type", type, ": the model has items of its own and no text encoder");
    if (type != "bert") return other("ranklet.encoder.type", type, ": another encoder reads it");
    RANKLET_ASSIGN(const auto architecture, reader.string_or("general.architecture", "bert"));
    if (architecture == "bert" || architecture == "ranklet") return {};
    // Files of other makes are read where they say themselves that this class is to read them.
    static constexpr std::string_view makes[] = {"deberta-v2", "electra",      "eurobert",   "gemma-embedding",
                                                 "gte",        "jina-bert-v2", "jina-bert-v3", "llama",
                                                 "modern-bert", "mpnet",       "nomic-bert", "qwen3",
                                                 "t5encoder"};
    if (std::find(std::begin(makes), std::end(makes), architecture) == std::end(makes) ||
        !reader.has("ranklet.encoder.type"))
        return other("general.architecture", architecture, "");
    return {};
}

RANKLET_COLD RANKLET_FUNC std::vector<std::string> assumptions_of(const GgufFile& file) {
    std::vector<std::string> lines;
    for (const GgufKey& key : file.added_keys()) {
        if (key.name.starts_with("ranklet.checksum.") || key.name == "general.alignment") continue;
        std::string line(key.name);
        if (key.type == GgufType::boolean) line += file.boolean(key.name).value() ? " = true" : " = false";
        if (key.type == GgufType::u32) line += " = " + std::to_string(file.u32(key.name).value());
        if (key.type == GgufType::string) line.append(" = ").append(file.string(key.name).value());
        lines.push_back(std::move(line));
    }
    return lines;
}

}  // namespace detail

RANKLET_FUNC Result<Bert> Bert::read(const ModelReader& reader, const LoadOptions& options) {
    const ModelReader encoder = reader.scope("ranklet.encoder");
    RANKLET_TRY(detail::check_bert_file(reader));
    auto state = std::make_shared<State>();
    RANKLET_ASSIGN(state->tokenizer, read_tokenizer(reader));
    RANKLET_ASSIGN(const Activation activation, read_activation(encoder, "activation"));
    RANKLET_ASSIGN(const std::size_t position_offset, encoder.u32_or("position_offset", 0));
    RANKLET_ASSIGN(const std::uint32_t stated_length, encoder.u32("max_length"));
    RANKLET_ASSIGN(state->model, BertModel::read(reader, activation, position_offset, stated_length));
    RANKLET_ASSIGN(state->head, SentenceHead::read(reader, state->model.hidden(), state->model.max_tokens()));
    RANKLET_TRY(detail::check_truncate_dim(options, state->head.dim()));
    if (options.truncate_dim) {
        state->truncated = *options.truncate_dim < state->head.dim();
        state->head.truncate(*options.truncate_dim);
    }
    if (state->tokenizer->vocabulary_size() > state->model.vocabulary_size())
        return reader.wrong("", {state->tokenizer->vocabulary_size(), " tokens, but token_embd.weight has ",
                                 state->model.vocabulary_size(), " rows"});
    state->max_length = stated_length;
    if (state->max_length < 2 || state->max_length > state->model.max_tokens())
        return encoder.wrong("max_length", {" ", state->max_length, " is not 2 to ", state->model.max_tokens()});
    state->assumptions = detail::assumptions_of(reader.file());
    RANKLET_TRY(state->read_prompts(reader));
    Bert bert;
    bert.state_ = std::move(state);
    return bert;
}

RANKLET_FUNC const Bert::State& Bert::state() const noexcept {
    if (state_ != nullptr) return *state_;
    static const State none{std::make_shared<const WordPiece>(), {}, {}, 0, {}, {}, {}, false};
    return none;
}
RANKLET_FUNC Result<void> Bert::check_loaded() const {
    if (state_ != nullptr) return {};
    return detail::empty_object("the encoder");
}
RANKLET_FUNC std::size_t Bert::dim() const noexcept { return state().head.dim(); }
RANKLET_FUNC std::size_t Bert::hidden() const noexcept { return state().model.hidden(); }
RANKLET_FUNC std::size_t Bert::max_length() const noexcept { return state().max_length; }
RANKLET_FUNC const Tokenizer& Bert::tokenizer() const noexcept { return *state().tokenizer; }
RANKLET_FUNC const BertModel& Bert::model() const noexcept { return state().model; }
RANKLET_FUNC const SentenceHead& Bert::head() const noexcept { return state().head; }
RANKLET_FUNC std::span<const std::string> Bert::assumptions() const noexcept { return state().assumptions; }
RANKLET_FUNC Result<std::string_view> Bert::prompt_text(std::optional<std::string_view> name) const {
    RANKLET_TRY(check_loaded());
    return state_->prompt(name);
}

namespace detail {

// A window's own rows to their place among the text's.
RANKLET_FUNC void gather_states(const TextWindow& window, MatrixView<const float> states, Result<Matrix>& text) {
    if (window.index == 0) text = Matrix::zeroed(window.rows, states.cols);
    if (!text.ok()) return;
    for (std::size_t row = window.begin; row < window.end; ++row)
        std::copy_n(states.row(row).data(), states.cols, text->row(window.to + row - window.begin).data());
}
RANKLET_FUNC Result<void> check_one_window(const BatchOptions& options) {
    if (!options.windows) return {};
    return make_error(ErrorCode::invalid_argument, {"windows come one by one: for_each_window gives them"});
}

}  // namespace detail

RANKLET_FUNC Result<std::vector<float>> Bert::encode(std::string_view text,
                                                     const BatchOptions& options) const RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(const Matrix vectors, encode(std::span(&text, 1), options));
    const auto row = vectors.row(0);
    return std::vector<float>(row.begin(), row.end());
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Matrix> Bert::encode(TextList texts, const BatchOptions& options) const RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(Matrix vectors, Matrix::zeroed(texts.size(), dim()));
    RANKLET_ASSIGN(const std::string_view prompt, prompt_text(options.prompt));
    RANKLET_ASSIGN(const std::size_t left_out, state_->rows_left_out(prompt));
    const SentenceHead& head = this->head();
    RANKLET_ASSIGN(auto sums, detail::WindowVectors::of(head, vectors, left_out, options));
    RANKLET_TRY(for_each_window(
        texts, options,
        [&](const TextWindow& window, MatrixView<const float> states, Scratch& scratch) noexcept {
            sums.add(window, states, scratch);
        },
        detail::WindowVectors::scratch_size(head)));
    return vectors;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Matrix> Bert::encode_tokens(std::string_view text,
                                                const BatchOptions& options) const RANKLET_MEMORY_TRY {
    Result<Matrix> result = Matrix();
    RANKLET_TRY(for_each_window(std::span(&text, 1), options,
                                [&](const TextWindow& window, MatrixView<const float> states, Scratch&) {
                                    detail::gather_states(window, states, result);
                                }));
    return result;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<void> Bert::for_each_text(TextList texts, const BatchOptions& options, TokenStateSink sink,
                                              std::size_t sink_scratch) const RANKLET_MEMORY_TRY {
    RANKLET_TRY(detail::check_one_window(options));
    return for_each_window(
        texts, options,
        [&](const TextWindow& window, MatrixView<const float> states, Scratch& scratch) {
            sink(window.text, states, scratch);
        },
        sink_scratch);
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<void> Bert::for_each_window(TextList texts, const BatchOptions& options, WindowSink sink,
                                                std::size_t sink_scratch) const RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(const std::string_view prompt, prompt_text(options.prompt));
    return detail::name_input(state_->run(options, sink, sink_scratch, prompt).over(texts), "text");
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<void> Bert::for_each_pair(std::span<const TextPair> pairs, const BatchOptions& options,
                                              TokenStateSink sink, std::size_t sink_scratch) const RANKLET_MEMORY_TRY {
    RANKLET_TRY(detail::check_one_window(options));
    return for_each_window(
        pairs, options,
        [&](const TextWindow& window, MatrixView<const float> states, Scratch& scratch) {
            sink(window.text, states, scratch);
        },
        sink_scratch);
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<void> Bert::for_each_window(std::span<const TextPair> pairs, const BatchOptions& options,
                                                WindowSink sink, std::size_t sink_scratch) const RANKLET_MEMORY_TRY {
    RANKLET_TRY(check_loaded());
    if (state_->model.type_count() == 1 && state_->tokenizer->special_tokens().second_type > 0)
        return make_error(ErrorCode::unsupported, {"the model has one token type, pairs of texts need two"});
    return detail::name_input(state_->run(options, sink, sink_scratch, {}).over(pairs), "text");
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<EncodedItems> Bert::encode_items(std::span<const Item> items, ItemForm form,
                                                     const BatchOptions& options) const {
    RANKLET_TRY(detail::check_no_vectors(items));
    const std::vector<std::string_view> texts = detail::texts_of(items);
    RANKLET_ASSIGN(const std::string_view prompt, prompt_text(options.prompt));
    const State& bert = *state_;
    EncodedItems encoded;
    if (form == ItemForm::vector) {
        RANKLET_ASSIGN(encoded.rows, Matrix::zeroed(items.size(), dim()));
        RANKLET_ASSIGN(const std::size_t left_out, bert.rows_left_out(prompt));
        RANKLET_ASSIGN(auto sums, detail::WindowVectors::of(bert.head, encoded.rows, left_out, options));
        const auto sink = [&](const TextWindow& window, MatrixView<const float> states, Scratch& scratch) noexcept {
            sums.add(window, states, scratch);
        };
        RANKLET_TRY(
            bert.run(options, sink, detail::WindowVectors::scratch_size(bert.head), prompt).over(TextList(texts)));
        return encoded;
    }
    std::vector<Result<Matrix>> states;
    states.reserve(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) states.emplace_back(Matrix());
    const auto sink = [&](const TextWindow& window, MatrixView<const float> rows, Scratch&) {
        detail::gather_states(window, rows, states[window.text]);
    };
    RANKLET_TRY(bert.run(options, sink, 0, prompt).over(TextList(texts)));
    encoded.offsets.assign(1, 0);
    for (const auto& each : states) {
        if (!each.ok()) return each.shared_error();
        encoded.offsets.push_back(encoded.offsets.back() + each->rows());
    }
    RANKLET_ASSIGN(encoded.rows, Matrix::zeroed(encoded.offsets.back(), hidden()));
    for (std::size_t i = 0; i < items.size(); ++i)
        std::copy_n(std::as_const(*states[i]).view().data, states[i]->rows() * hidden(),
                    encoded.rows.view().data + encoded.offsets[i] * hidden());
    return encoded;
}

RANKLET_FUNC Result<std::unique_ptr<const ItemParts>> Bert::take_apart(const Item& item, TextUnit unit,
                                                                       const BatchOptions& options) const {
    RANKLET_TRY(detail::check_no_vectors(std::span(&item, 1)));
    RANKLET_ASSIGN(const std::string_view prompt, prompt_text(options.prompt));
    EncodeOptions limit;
    limit.max_length = max_length();
    Encoding encoding;
    RANKLET_TRY(tokenizer().encode(std::string(prompt).append(item.text), limit, encoding));
    RANKLET_ASSIGN(const std::size_t left_out, state_->rows_left_out(prompt));
    return std::unique_ptr<const ItemParts>(
        std::make_unique<const Parts>(*this, item.text, encoding, prompt.size(), left_out, unit));
}

RANKLET_FUNC Result<void> Bert::self_test(const ModelReader& reader) const {
    RANKLET_ASSIGN(const auto texts, reader.strings("ranklet.selftest.texts"));
    EncodeOptions limit;
    limit.max_length = max_length();
    Encoding encoding;
    const auto ids_of = [&](std::string_view text) -> Result<std::span<const std::int32_t>> {
        RANKLET_TRY(tokenizer().encode(text, limit, encoding));
        return std::span<const std::int32_t>(encoding.ids);
    };
    RANKLET_TRY(compare_token_ids(reader, texts, ids_of));
    BatchOptions batch;
    batch.prompt = "";
    RANKLET_ASSIGN(const Matrix vectors, encode(texts, batch));
    if (state_->truncated)
        return compare_truncated_self_test(reader, "ranklet.selftest.vectors", vectors, head().normalizes());
    return compare_self_test(reader, "ranklet.selftest.vectors", vectors);
}

RANKLET_COLD RANKLET_FUNC Result<SelfTestItems> Bert::self_test_items(const ModelReader& reader) const {
    return detail::self_test_texts(reader);
}

RANKLET_NAMESPACE_END
#endif
