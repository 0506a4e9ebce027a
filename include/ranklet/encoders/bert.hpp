// Bert: text to vector with a transformer of the BERT family: WordPiece, BertModel, SentenceHead.
// In: UTF-8 texts. Out: vectors [texts, dim], or each text's token states [length, hidden].
// A text's numbers do not depend on the batch, the number of threads, or the texts around it.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/function_view.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/encoders/item_encoder.hpp"
#include "ranklet/encoders/options.hpp"
#include "ranklet/model_file/load.hpp"

RANKLET_NAMESPACE_BEGIN

class BertModel;
class Scratch;
class SentenceHead;
class WordPiece;

/// Two texts that are read together: [CLS] first [SEP] second [SEP], token types 0 and 1.
struct TextPair {
    std::string_view first, second;
};

/// What is done with one text's states: (text, states [length, hidden], scratch). Called once for each text, from any of
/// the threads, in any order; the states are valid during the call.
using TokenStateSink = FunctionView<void(std::size_t, MatrixView<const float>, Scratch&)>;

/// Which states of which text a window's are.
struct TextWindow {
    std::size_t text = 0;              ///< of the texts or pairs
    std::size_t index = 0, count = 1;  ///< which window of the text's
    // The text's states put together are [rows, hidden], special tokens at both ends included. Of them this window gives
    // those from `to` on: its own rows [begin, end), which no other window has more context for.
    std::size_t rows = 0, to = 0, begin = 0, end = 0;
};
/// What is done with the states [length, hidden] of one window. A text's windows come one after the other in the order of
/// the text; different texts from any of the threads, in any order.
using WindowSink = FunctionView<void(const TextWindow&, MatrixView<const float>, Scratch&)>;

/// Copies share the weights.
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
    const WordPiece& tokenizer() const noexcept;  ///< ranklet/text/wordpiece.hpp
    const BertModel& model() const noexcept;      ///< ranklet/encoders/bert_model.hpp
    const SentenceHead& head() const noexcept;    ///< ranklet/encoders/sentence_head.hpp
    /// What BatchOptions::prompt puts before a text: the named prompt, or the default one. Error missing naming it.
    Result<std::string_view> prompt_text(std::optional<std::string_view> name = {}) const;

    /// The vector [dim] of one text. Error invalid_text when it is not UTF-8.
    Result<std::vector<float>> encode(std::string_view text, const BatchOptions& options = {}) const;
    /// The vectors [texts, dim]. Error invalid_text naming the first text that is not UTF-8.
    Result<Matrix> encode(std::span<const std::string_view> texts, const BatchOptions& options = {}) const;
    /// One text's token states [length, hidden], special tokens included; in windows: of all of its tokens.
    Result<Matrix> encode_tokens(std::string_view text, const BatchOptions& options = {}) const;

    /// Runs the transformer over all texts; `scratch` of the sink has `sink_scratch` bytes. With an Error (of the first
    /// text that has one) some texts may not have been seen.
    /// Error invalid_argument with BatchOptions::windows: for_each_window reads in windows.
    Result<void> for_each_text(std::span<const std::string_view> texts, const BatchOptions& options,
                               TokenStateSink sink, std::size_t sink_scratch = 0) const;
    /// The same for pairs of texts, which get no prompt. A pair that is too long is cut as WordPiece::encode_pair says.
    /// Error unsupported when the model has one token type: the two texts would be one. (A model without token types,
    /// as DistilBERT, tells them apart by the [SEP] between them.)
    Result<void> for_each_pair(std::span<const TextPair> pairs, const BatchOptions& options, TokenStateSink sink,
                               std::size_t sink_scratch = 0) const;
    /// The same window by window, where the options say so; otherwise each text (or pair) is one window.
    /// Error invalid_argument for windows that hold no more than their overlap.
    Result<void> for_each_window(std::span<const std::string_view> texts, const BatchOptions& options, WindowSink sink,
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
    struct Worker;
    class Run;
    class Vectors;
    class Parts;
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
#include "ranklet/model_file/layers.hpp"
#include "ranklet/model_file/self_test.hpp"
#include "ranklet/model_file/tokenizers.hpp"
#include "ranklet/text/wordpiece.hpp"

RANKLET_NAMESPACE_BEGIN

struct Bert::State {
    struct Prompt {
        std::string name, text;
    };
    std::shared_ptr<const WordPiece> tokenizer;
    BertModel model;
    SentenceHead head;
    std::uint32_t max_length = 0;
    std::vector<Prompt> prompts;
    std::string default_prompt;

    Result<std::string_view> prompt(std::optional<std::string_view> name) const {
        const std::string_view wanted = name.value_or(default_prompt);
        if (wanted.empty()) return std::string_view{};
        for (const Prompt& each : prompts)
            if (each.name == wanted) return std::string_view(each.text);
        return make_error(ErrorCode::missing, {"the model has no prompt named \"", wanted, "\""});
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
        if (!found.ok()) return keys.wrong("default", {": ", found.error().message});
        return {};
    }
};

/// One call of for_each_window.
class Bert::Run {
public:
    Run(const State& bert, const BatchOptions& options, const WindowSink& sink, std::size_t sink_scratch,
        std::string_view prompt)
        : bert_(bert), options_(options), sink_(sink), sink_scratch_(sink_scratch), prompt_(prompt) {
        if (!options.windows) limit_.max_length = bert.max_length;
    }

    template <class Input>
    Result<void> over(std::span<const Input> inputs) const {
        RANKLET_TRY(check<Input>(inputs.size()));
        // A short list is cut finer, so that every thread gets a share; fewer texts than threads go one batch after
        // another, and the threads share the work of each.
        const std::size_t wanted = resolve_threads(options_.threads);
        const bool share = inputs.size() < wanted;
        const std::size_t group_texts =
            share ? std::max<std::size_t>(inputs.size(), 1)
                  : std::clamp<std::size_t>((inputs.size() + wanted - 1) / wanted, 1, max_group_texts);
        std::vector<Worker> workers(detail::group_threads(inputs.size(), group_texts, options_.threads));
        for (Worker& worker : workers) worker.threads = share ? wanted : 1;
        return detail::for_each_group(inputs.size(), group_texts, options_,
                                      [&](std::size_t first, std::size_t last, std::size_t thread) {
                                          return group(inputs, first, last, workers[thread]);
                                      });
    }

private:
    template <class Input>
    static constexpr bool is_pair = std::is_same_v<Input, TextPair>;

    struct Worker {
        Encoding encoding;
        Encoding probe;  // whether a text has more tokens than were read
        std::vector<detail::TokenWindow> cuts;
        bool first_is_cut = false;  // of a pair in windows
        Scratch scratch;
        std::string prompted;
        std::vector<std::int32_t> ids, type_ids;  // of the windows that wait for run_batch
        std::vector<std::size_t> offsets;
        std::vector<TextWindow> windows;
        AlignedBuffer<float> states;
        std::size_t threads = 1;  // that share one batch's work

        void clear() {
            ids.clear();
            type_ids.clear();
            offsets.assign(1, 0);
            windows.clear();
        }
    };
    // Texts handed to a thread at a time, and tokens that go through the layers together: enough rows to keep the
    // matrix product busy, few enough that activations stay in cache.
    static constexpr std::size_t max_group_texts = 32;
    static constexpr std::size_t batch_tokens = 256;

    template <class Input>
    Result<void> check(std::size_t inputs) const {
        const std::size_t texts = is_pair<Input> ? 2 * inputs : inputs;
        if (!options_.read.empty() && options_.read.size() != texts)
            return detail::wrong_read_size(options_.read.size(), texts);
        if (!options_.windows) return {};
        RANKLET_TRY(overlap(room_beside(is_pair<Input> ? 3 : 2)));  // a prompt leaves less
        return {};
    }
    // Tokens of a text in a window with so many others.
    std::size_t room_beside(std::size_t others) const noexcept {
        return bert_.max_length - std::min<std::size_t>(bert_.max_length, others);
    }
    // Tokens that windows of this room share.
    Result<std::size_t> overlap(std::size_t room) const {
        const std::size_t tokens = options_.windows->overlap.value_or(room / 4);
        if (tokens < room) return tokens;
        return make_error(ErrorCode::invalid_argument,
                          {"windows of ", room, " tokens of a text cannot overlap by ", tokens});
    }

    Result<void> tokenize(std::string_view text, const EncodeOptions& limit, Worker& worker, Encoding& out) const {
        if (prompt_.empty()) return bert_.tokenizer->encode(text, limit, out);
        worker.prompted.assign(prompt_).append(text);
        return bert_.tokenizer->encode(worker.prompted, limit, out);
    }
    Result<void> tokenize(const TextPair& pair, const EncodeOptions& limit, Worker&, Encoding& out) const {
        return bert_.tokenizer->encode_pair(pair.first, pair.second, limit, out);
    }

    template <class Input>
    Result<void> group(std::span<const Input> inputs, std::size_t first, std::size_t last, Worker& worker) const {
        worker.clear();
        for (std::size_t text = first; text < last; ++text) {
            auto status = tokenize(inputs[text], limit_, worker, worker.encoding);
            if (status.ok()) status = read(inputs[text], text, worker);
            if (!status.ok()) return about_input(status.error(), text);
        }
        return run_batch(worker);
    }

    // The text's windows, one where it fits, on their way into batches.
    template <class Input>
    Result<void> read(const Input& input, std::size_t text, Worker& worker) const {
        const std::size_t size = worker.encoding.size();
        if (!options_.windows || size <= bert_.max_length) {
            if (!options_.read.empty()) RANKLET_TRY(tell(input, text, worker));
            return append<Input>({text, 0, 1, size, 0, 0, size}, 1, 1, size - 1, worker);
        }
        const std::size_t before = fixed_part(input, worker), tokens = worker.encoding.size() - before - 1;
        RANKLET_ASSIGN(const std::size_t shared, overlap(room_beside(before + 1)));
        detail::cut_windows(tokens, room_beside(before + 1), shared, worker.cuts);
        const std::size_t count = worker.cuts.size();
        if (!options_.read.empty()) tell_windows(input, text, before, worker);
        for (std::size_t w = 0; w < count; ++w) {
            const detail::TokenWindow& cut = worker.cuts[w];
            TextWindow window{text, w, count, before + tokens + 1, before + cut.own_first, 0, 0};
            window.begin = before + cut.own_first - cut.first;
            window.end = before + cut.own_last - cut.first;
            if (w == 0) window.to = window.begin = 0;  // with what stands before the text
            if (w + 1 == count) ++window.end;          // with the [SEP] behind it
            RANKLET_TRY(append<Input>(window, before, before + cut.first, before + cut.last, worker));
        }
        return {};
    }

    // Rows [0, before) of the encoding, [first, last) and the last one, as one sequence.
    template <class Input>
    Result<void> append(const TextWindow& window, std::size_t before, std::size_t first, std::size_t last,
                        Worker& worker) const {
        const std::size_t size = before + (last - first) + 1;
        if (worker.offsets.size() > 1 && worker.ids.size() + size > batch_tokens) RANKLET_TRY(run_batch(worker));
        const auto copy = [&](const std::vector<std::int32_t>& from, std::vector<std::int32_t>& to) {
            to.insert(to.end(), from.begin(), from.begin() + static_cast<std::ptrdiff_t>(before));
            to.insert(to.end(), from.begin() + static_cast<std::ptrdiff_t>(first),
                      from.begin() + static_cast<std::ptrdiff_t>(last));
            to.push_back(from.back());
        };
        copy(worker.encoding.ids, worker.ids);
        if constexpr (is_pair<Input>)
            copy(worker.encoding.type_ids, worker.type_ids);  // single texts have 0 throughout
        worker.offsets.push_back(worker.ids.size());
        worker.windows.push_back(window);
        return {};
    }

    // How many tokens stand before the text in each window: [CLS] and the prompt.
    std::size_t fixed_part(std::string_view, const Worker& worker) const {
        const Encoding& encoding = worker.encoding;
        std::size_t before = 1;
        while (before + 1 < encoding.size() && encoding.offsets[before].begin < prompt_.size()) ++before;
        return before;
    }
    // [CLS], the first text and [SEP]; what of that text half of a window does not hold is taken out.
    std::size_t fixed_part(const TextPair&, Worker& worker) const {
        const std::size_t before = second_text(worker.encoding), most = room_beside(3) / 2;
        worker.first_is_cut = before - 2 > most;
        if (!worker.first_is_cut) return before;
        worker.encoding.erase(1 + most, before - 1);
        return most + 2;
    }
    // Where a pair's second text begins.
    static std::size_t second_text(const Encoding& encoding) {
        const auto& types = encoding.type_ids;
        return static_cast<std::size_t>(std::find(types.begin(), types.end(), 1) - types.begin());
    }

    // How much of a text that was read at once.
    Result<void> tell(std::string_view text, std::size_t index, Worker& worker) const {
        const Encoding& encoding = worker.encoding;
        bool more = false;
        if (!options_.windows && encoding.size() >= bert_.max_length) {
            EncodeOptions longer;
            longer.max_length = std::size_t{bert_.max_length} + 1;
            RANKLET_TRY(tokenize(text, longer, worker, worker.probe));
            more = worker.probe.size() > encoding.size();
        }
        TextRead& read = options_.read[index];
        read = detail::text_read(text, tokens_of(encoding, fixed_part(text, worker), encoding.size() - 1), more);
        if (more) read.bytes -= std::min(read.bytes, prompt_.size());
        return {};
    }
    Result<void> tell(const TextPair& pair, std::size_t index, Worker& worker) const {
        const Encoding& encoding = worker.encoding;
        const std::size_t second = second_text(encoding);
        RANKLET_TRY(tell_part(pair.first, tokens_of(encoding, 1, second - 1), options_.read[2 * index], worker));
        return tell_part(pair.second, tokens_of(encoding, second, encoding.size() - 1), options_.read[2 * index + 1],
                         worker);
    }
    Result<void> tell_part(std::string_view text, std::span<const TokenSpan> tokens, TextRead& read,
                           Worker& worker) const {
        bool more = false;
        if (!options_.windows && worker.encoding.size() >= bert_.max_length) {
            EncodeOptions longer;
            longer.add_special_tokens = false;
            longer.max_length = tokens.size() + 1;
            RANKLET_TRY(bert_.tokenizer->encode(text, longer, worker.probe));
            more = worker.probe.size() > tokens.size();
        }
        read = detail::text_read(text, tokens, more);
        return {};
    }
    void tell_windows(std::string_view text, std::size_t index, std::size_t before, const Worker& worker) const {
        TextRead& read = options_.read[index];
        read = detail::text_read(text, tokens_of(worker.encoding, before, worker.encoding.size() - 1), false);
        read.windows = worker.cuts.size();
    }
    void tell_windows(const TextPair& pair, std::size_t index, std::size_t before, const Worker& worker) const {
        TextRead &first = options_.read[2 * index], &second = options_.read[2 * index + 1];
        first = detail::text_read(pair.first, tokens_of(worker.encoding, 1, before - 1), worker.first_is_cut);
        second = detail::text_read(pair.second, tokens_of(worker.encoding, before, worker.encoding.size() - 1), false);
        first.windows = second.windows = worker.cuts.size();
    }
    static std::span<const TokenSpan> tokens_of(const Encoding& encoding, std::size_t first, std::size_t last) {
        return std::span(encoding.offsets).subspan(first, last - first);
    }

    Result<void> run_batch(Worker& worker) const {
        const TokenBatch batch{worker.ids, worker.type_ids, worker.offsets};
        if (batch.offsets.size() < 2) return {};
        if (options_.windows) RANKLET_TRY(check_stop(options_.stop, options_.deadline));  // one text may have many
        const std::size_t tokens = batch.tokens(), hidden = bert_.model.hidden();
        RANKLET_TRY(worker.scratch.reserve(
            std::max(bert_.model.scratch_size(tokens, batch.longest(), worker.threads), sink_scratch_)));
        if (worker.states.size() < tokens * hidden) {
            RANKLET_ASSIGN(worker.states, AlignedBuffer<float>::zeroed(std::max(tokens, batch_tokens) * hidden));
        }
        const MatrixView<float> states(worker.states.data(), tokens, hidden);
        bert_.model.forward(batch, states, worker.scratch, worker.threads);
        for (std::size_t t = 0; t + 1 < batch.offsets.size(); ++t)
            sink_(worker.windows[t], states.middle_rows(batch.offsets[t], batch.offsets[t + 1] - batch.offsets[t]),
                  worker.scratch);
        worker.clear();
        return {};
    }

    const State& bert_;
    const BatchOptions& options_;
    WindowSink sink_;
    std::size_t sink_scratch_;
    std::string_view prompt_;
    EncodeOptions limit_;
};

/// Texts' vectors from their windows.
class Bert::Vectors {
public:
    /// `out` [texts, dim].
    static Result<Vectors> of(const SentenceHead& head, Matrix& out, const BatchOptions& options) {
        Vectors vectors(head, out);
        if (options.windows) {
            RANKLET_ASSIGN(vectors.sums_, Matrix::zeroed(out.rows(), head.pooled_dim() + 1));
        }
        return vectors;
    }
    static std::size_t scratch_size(const SentenceHead& head) noexcept {
        return scratch_bytes<float>(head.pooled_dim()) + head.scratch_size();
    }
    void add(const TextWindow& window, MatrixView<const float> states, Scratch& scratch) noexcept {
        float* vector = out_->row(window.text).data();
        if (window.count == 1) return head_->forward(states, vector, scratch);
        using Ops = kernels::Ops<float>;
        const ScratchFrame frame(scratch);
        const std::size_t n = head_->pooled_dim();
        float* pooled = scratch.take<float>(n);
        float* sum = sums_.row(window.text).data();  // of tokens * pooled, and of tokens
        const auto tokens = static_cast<float>(states.rows);
        head_->pool_states(states, pooled);
        Ops::multiply_add(tokens, pooled, sum, sum, n);
        sum[n] += tokens;
        if (window.index + 1 < window.count) return;
        Ops::scale(1.0f / sum[n], sum, n);
        head_->finish(sum, vector, scratch);
    }

private:
    Vectors(const SentenceHead& head, Matrix& out) : head_(&head), out_(&out) {}

    const SentenceHead* head_;
    Matrix* out_;
    Matrix sums_;  // [texts, pooled_dim + 1], where there are windows
};

/// A text's words, for explanations.
class Bert::Parts final : public detail::TokenParts {
public:
    Parts(Bert bert, std::string_view text, const Encoding& encoding, std::size_t prompt, TextUnit unit)
        : TokenParts(text, encoding, prompt, unit), bert_(std::move(bert)) {}

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
        const std::size_t threads = resolve_threads(options.threads);
        Scratch scratch;
        RANKLET_TRY(scratch.reserve(
            std::max(bert.model.scratch_size(batch.tokens(), batch.longest(), threads), bert.head.scratch_size())));
        RANKLET_ASSIGN(Matrix states, Matrix::zeroed(ids.size(), bert.model.hidden()));
        bert.model.forward(batch, states.view(), scratch, threads);
        if (form == ItemForm::token_states) {
            encoded.rows = std::move(states);
            return encoded;
        }
        RANKLET_ASSIGN(encoded.rows, Matrix::zeroed(sequences.size(), bert.head.dim()));
        for (std::size_t s = 0; s < sequences.size(); ++s)
            bert.head.forward(states.view().middle_rows(encoded.offsets[s], sequences[s].size()),
                              encoded.rows.row(s).data(), scratch);
        encoded.offsets.clear();
        return encoded;
    }
    Bert bert_;
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
    if (architecture != "bert" && architecture != "ranklet") return other("general.architecture", architecture, "");
    return {};
}

RANKLET_COLD RANKLET_FUNC Result<SentenceHead> read_sentence_head(const ModelReader& reader, std::size_t hidden,
                                                                  const EncoderDefaults& defaults) {
    if (reader.has("ranklet.encoder.pooling")) return SentenceHead::read(reader, hidden);
    if (!defaults.normalize) return missing_default(reader, "ranklet.encoder.pooling", "normalize");
    RANKLET_ASSIGN(const std::uint32_t type, reader.u32_or("bert.pooling_type", 0));
    if (type > 3)
        return reader.wrong("bert.pooling_type", {" ", type, " is not 0 (none), 1 (mean), 2 (cls) or 3 (last)"},
                            ErrorCode::unsupported);
    if (type == 0) {  // token states alone: the file does not say how they become a text's vector
        if (!defaults.pooling && reader.has("bert.pooling_type"))
            return reader.wrong("bert.pooling_type", {" is 0 (none): EncoderDefaults::pooling must say how it is done"},
                                ErrorCode::missing);
        if (!defaults.pooling) return missing_default(reader, "bert.pooling_type", "pooling");
        return SentenceHead::simple(hidden, *defaults.pooling, *defaults.normalize);
    }
    constexpr std::array poolings{Pooling::mean, Pooling::cls, Pooling::last};
    return SentenceHead::simple(hidden, poolings[type - 1], *defaults.normalize);
}

}  // namespace detail

RANKLET_FUNC Result<Bert> Bert::read(const ModelReader& reader, const LoadOptions& options) {
    const EncoderDefaults& defaults = options.defaults;
    const ModelReader encoder = reader.scope("ranklet.encoder");
    RANKLET_TRY(detail::check_bert_file(reader));
    auto state = std::make_shared<State>();
    RANKLET_ASSIGN(state->tokenizer, read_wordpiece(reader, defaults));
    Activation activation = Activation::gelu;
    if (encoder.has("activation") || !defaults.activation) {
        if (!encoder.has("activation")) return detail::missing_default(encoder, "activation", "activation");
        RANKLET_ASSIGN(activation, read_activation(encoder, "activation"));
    } else {
        activation = *defaults.activation;
    }
    RANKLET_ASSIGN(const std::size_t position_offset, encoder.u32_or("position_offset", 0));
    RANKLET_ASSIGN(state->model, BertModel::read(reader, activation, position_offset));
    RANKLET_ASSIGN(state->head, detail::read_sentence_head(reader, state->model.hidden(), defaults));
    if (state->tokenizer->vocabulary_size() > state->model.vocabulary_size())
        return reader.wrong("", {state->tokenizer->vocabulary_size(), " tokens, but token_embd.weight has ",
                                 state->model.vocabulary_size(), " rows"});
    if (!encoder.has("max_length") && !defaults.max_length)
        return detail::missing_default(encoder, "max_length", "max_length");
    RANKLET_ASSIGN(state->max_length, encoder.u32_or("max_length", defaults.max_length.value_or(0)));
    if (state->max_length < 2 || state->max_length > state->model.max_tokens()) {
        if (!encoder.has("max_length"))  // the caller's, not the file's
            return make_error(ErrorCode::invalid_argument,
                              {reader.file().name(), ": EncoderDefaults::max_length ", state->max_length,
                               " is not 2 to ", state->model.max_tokens()});
        return encoder.wrong("max_length", {" ", state->max_length, " is not 2 to ", state->model.max_tokens()});
    }
    RANKLET_TRY(state->read_prompts(reader));
    Bert bert;
    bert.state_ = std::move(state);
    return bert;
}

RANKLET_FUNC std::size_t Bert::dim() const noexcept { return state_->head.dim(); }
RANKLET_FUNC std::size_t Bert::hidden() const noexcept { return state_->model.hidden(); }
RANKLET_FUNC std::size_t Bert::max_length() const noexcept { return state_->max_length; }
RANKLET_FUNC const WordPiece& Bert::tokenizer() const noexcept { return *state_->tokenizer; }
RANKLET_FUNC const BertModel& Bert::model() const noexcept { return state_->model; }
RANKLET_FUNC const SentenceHead& Bert::head() const noexcept { return state_->head; }
RANKLET_FUNC Result<std::string_view> Bert::prompt_text(std::optional<std::string_view> name) const {
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
    return Error{ErrorCode::invalid_argument, "windows come one by one: for_each_window gives them"};
}

}  // namespace detail

RANKLET_FUNC Result<std::vector<float>> Bert::encode(std::string_view text, const BatchOptions& options) const {
    RANKLET_ASSIGN(const Matrix vectors, encode(std::span(&text, 1), options));
    const auto row = vectors.row(0);
    return std::vector<float>(row.begin(), row.end());
}

RANKLET_FUNC Result<Matrix> Bert::encode(std::span<const std::string_view> texts, const BatchOptions& options) const {
    RANKLET_ASSIGN(Matrix vectors, Matrix::zeroed(texts.size(), dim()));
    const SentenceHead& head = state_->head;
    RANKLET_ASSIGN(Vectors sums, Vectors::of(head, vectors, options));
    RANKLET_TRY(for_each_window(
        texts, options,
        [&](const TextWindow& window, MatrixView<const float> states, Scratch& scratch) noexcept {
            sums.add(window, states, scratch);
        },
        Vectors::scratch_size(head)));
    return vectors;
}

RANKLET_FUNC Result<Matrix> Bert::encode_tokens(std::string_view text, const BatchOptions& options) const {
    Result<Matrix> result = Matrix();
    RANKLET_TRY(for_each_window(std::span(&text, 1), options,
                                [&](const TextWindow& window, MatrixView<const float> states, Scratch&) {
                                    detail::gather_states(window, states, result);
                                }));
    return result;
}

RANKLET_FUNC Result<void> Bert::for_each_text(std::span<const std::string_view> texts, const BatchOptions& options,
                                              TokenStateSink sink, std::size_t sink_scratch) const {
    RANKLET_TRY(detail::check_one_window(options));
    return for_each_window(
        texts, options,
        [&](const TextWindow& window, MatrixView<const float> states, Scratch& scratch) {
            sink(window.text, states, scratch);
        },
        sink_scratch);
}
RANKLET_FUNC Result<void> Bert::for_each_window(std::span<const std::string_view> texts, const BatchOptions& options,
                                                WindowSink sink, std::size_t sink_scratch) const {
    RANKLET_ASSIGN(const std::string_view prompt, state_->prompt(options.prompt));
    return detail::name_input(Run(*state_, options, sink, sink_scratch, prompt).over(texts), "text");
}

RANKLET_FUNC Result<void> Bert::for_each_pair(std::span<const TextPair> pairs, const BatchOptions& options,
                                              TokenStateSink sink, std::size_t sink_scratch) const {
    RANKLET_TRY(detail::check_one_window(options));
    return for_each_window(
        pairs, options,
        [&](const TextWindow& window, MatrixView<const float> states, Scratch& scratch) {
            sink(window.text, states, scratch);
        },
        sink_scratch);
}
RANKLET_FUNC Result<void> Bert::for_each_window(std::span<const TextPair> pairs, const BatchOptions& options,
                                                WindowSink sink, std::size_t sink_scratch) const {
    if (state_->model.type_count() == 1)
        return Error{ErrorCode::unsupported, "the model has one token type, pairs of texts need two"};
    return detail::name_input(Run(*state_, options, sink, sink_scratch, {}).over(pairs), "text");
}

RANKLET_FUNC Result<EncodedItems> Bert::encode_items(std::span<const Item> items, ItemForm form,
                                                     const BatchOptions& options) const {
    RANKLET_TRY(detail::check_no_vectors(items));
    const std::vector<std::string_view> texts = detail::texts_of(items);
    RANKLET_ASSIGN(const std::string_view prompt, state_->prompt(options.prompt));
    const State& bert = *state_;
    EncodedItems encoded;
    if (form == ItemForm::vector) {
        RANKLET_ASSIGN(encoded.rows, Matrix::zeroed(items.size(), dim()));
        RANKLET_ASSIGN(Vectors sums, Vectors::of(bert.head, encoded.rows, options));
        const auto sink = [&](const TextWindow& window, MatrixView<const float> states, Scratch& scratch) noexcept {
            sums.add(window, states, scratch);
        };
        RANKLET_TRY(Run(bert, options, sink, Vectors::scratch_size(bert.head), prompt).over(std::span(texts)));
        return encoded;
    }
    std::vector<Result<Matrix>> states;
    states.reserve(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) states.emplace_back(Matrix());
    const auto sink = [&](const TextWindow& window, MatrixView<const float> rows, Scratch&) {
        detail::gather_states(window, rows, states[window.text]);
    };
    RANKLET_TRY(Run(bert, options, sink, 0, prompt).over(std::span(texts)));
    encoded.offsets.assign(1, 0);
    for (const auto& each : states) {
        if (!each.ok()) return each.error();
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
    RANKLET_ASSIGN(const std::string_view prompt, state_->prompt(options.prompt));
    EncodeOptions limit;
    limit.max_length = max_length();
    Encoding encoding;
    RANKLET_TRY(tokenizer().encode(std::string(prompt).append(item.text), limit, encoding));
    return std::unique_ptr<const ItemParts>(
        std::make_unique<const Parts>(*this, item.text, encoding, prompt.size(), unit));
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
    return compare_self_test(reader, "ranklet.selftest.vectors", vectors);
}

RANKLET_FUNC Result<SelfTestItems> Bert::self_test_items(const ModelReader& reader) const {
    return detail::self_test_texts(reader);
}

RANKLET_NAMESPACE_END
#endif
