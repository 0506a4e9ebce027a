// Bert: text to vector with a transformer of the BERT family: WordPiece, BertModel, SentenceHead.
// In: UTF-8 texts. Out: vectors [texts, dim], or each text's token states [length, hidden].
// A text's numbers do not depend on the batch, the number of threads, or the texts around it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/encoders/bert_model.hpp"
#include "ranklet/encoders/load_wordpiece.hpp"
#include "ranklet/encoders/options.hpp"
#include "ranklet/encoders/self_test.hpp"
#include "ranklet/encoders/sentence_head.hpp"
#include "ranklet/encoders/text_groups.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/text/wordpiece.hpp"

RANKLET_NAMESPACE_BEGIN

/// Two texts that are read together: [CLS] first [SEP] second [SEP], token types 0 and 1.
struct TextPair {
    std::string_view first, second;
};

class Bert {
public:
    /// Maps the file and builds the encoder. Error when it is not of the BERT family, is damaged, or its self-test (a
    /// file of another engine has none) gives other numbers than the file states.
    RANKLET_COLD static Result<Bert> load(const std::string& path, const LoadOptions& options = {}) {
        RANKLET_ASSIGN(const GgufFile file, GgufFile::open(path));
        if (options.verify_checksum) RANKLET_TRY(file.verify_checksum());
        RANKLET_ASSIGN(Bert bert, from_file(file, options.bert));
        if (options.self_test && file.has("ranklet.version")) RANKLET_TRY(bert.self_test(file));
        return bert;
    }
    /// Builds the encoder from an open file, without the self-test.
    RANKLET_COLD static Result<Bert> from_file(const GgufFile& file, const BertDefaults& defaults = {}) {
        RANKLET_TRY(check_version(file));
        RANKLET_TRY(check_kind(file));
        Bert bert;
        RANKLET_ASSIGN(bert.tokenizer_, load_wordpiece(file, defaults));
        RANKLET_ASSIGN(const Activation activation, load_activation(file, defaults));
        std::size_t position_offset = 0;
        if (file.has("ranklet.encoder.position_offset")) {
            RANKLET_ASSIGN(position_offset, file.u32("ranklet.encoder.position_offset"));
        }
        RANKLET_ASSIGN(bert.model_, BertModel::load(file, activation, position_offset));
        RANKLET_ASSIGN(bert.head_, load_head(file, bert.model_.hidden(), defaults));
        if (bert.tokenizer_->vocabulary_size() > bert.model_.vocabulary_size())
            return make_error(ErrorCode::format,
                              {file.name(), ": ", bert.tokenizer_->vocabulary_size(),
                               " tokens, but token_embd.weight has ", bert.model_.vocabulary_size(), " rows"});
        if (file.has("ranklet.encoder.max_length")) {
            RANKLET_ASSIGN(bert.max_length_, file.u32("ranklet.encoder.max_length"));
        } else if (defaults.max_length) {
            bert.max_length_ = *defaults.max_length;
        } else {
            return missing_default(file, "ranklet.encoder.max_length", "max_length");
        }
        if (bert.max_length_ < 2 || bert.max_length_ > bert.model_.max_tokens())
            return make_error(ErrorCode::format, {file.name(), ": ranklet.encoder.max_length ", bert.max_length_,
                                                  " is not 2 to ", bert.model_.max_tokens()});
        RANKLET_TRY(bert.load_prompts(file));
        return bert;
    }

    /// Elements of a text's vector.
    std::size_t dim() const noexcept { return head_.dim(); }
    /// Elements of a token's state.
    std::size_t hidden() const noexcept { return model_.hidden(); }
    /// Tokens of a text beyond which it is truncated, special ones included.
    std::size_t max_length() const noexcept { return max_length_; }
    const WordPiece& tokenizer() const noexcept { return *tokenizer_; }
    const BertModel& model() const noexcept { return model_; }
    const SentenceHead& head() const noexcept { return head_; }
    /// What BatchOptions::prompt puts before a text: the named prompt, or the default one. Error missing naming it.
    Result<std::string_view> prompt_text(std::optional<std::string_view> name = {}) const { return find_prompt(name); }

    /// The vector [dim] of one text. Error invalid_text when it is not UTF-8.
    Result<std::vector<float>> encode(std::string_view text, const BatchOptions& options = {}) const {
        RANKLET_ASSIGN(const Matrix vectors, encode(std::span<const std::string_view>(&text, 1), options));
        const auto row = vectors.row(0);
        return std::vector<float>(row.begin(), row.end());
    }
    /// The vectors [texts, dim]. Error invalid_text naming the first text that is not UTF-8.
    Result<Matrix> encode(std::span<const std::string_view> texts, const BatchOptions& options = {}) const {
        RANKLET_ASSIGN(Matrix vectors, Matrix::zeroed(texts.size(), dim()));
        RANKLET_TRY(for_each_text(
            texts, options,
            [&](std::size_t text, MatrixView<const float> states, Scratch& scratch) noexcept {
                head_.forward(states, vectors.row(text).data(), scratch);
            },
            head_.scratch_size()));
        return vectors;
    }
    /// One text's token states [length, hidden], special tokens included.
    Result<Matrix> encode_tokens(std::string_view text, const BatchOptions& options = {}) const {
        Matrix result;
        std::optional<Error> failure;
        RANKLET_TRY(for_each_text(std::span<const std::string_view>(&text, 1), options,
                                  [&](std::size_t, MatrixView<const float> states, Scratch&) {
                                      auto copy = Matrix::zeroed(states.rows, states.cols);
                                      if (!copy.ok()) {
                                          failure = copy.error();
                                          return;
                                      }
                                      std::copy_n(states.data, states.rows * states.cols, copy->view().data);
                                      result = std::move(*copy);
                                  }));
        if (failure) return *failure;
        return result;
    }

    /// The file's texts against its token ids and vectors. Error self_test saying what differs.
    RANKLET_COLD Result<void> self_test(const GgufFile& file) const {
        RANKLET_ASSIGN(const auto texts, file.strings("ranklet.selftest.texts"));
        RANKLET_ASSIGN(const auto expected, file.floats("ranklet.selftest.vectors"));
        EncodeOptions options;
        options.max_length = max_length_;
        Encoding encoding;
        const auto ids_of = [&](std::string_view text) -> Result<std::span<const std::int32_t>> {
            RANKLET_TRY(tokenizer_->encode(text, options, encoding));
            return std::span<const std::int32_t>(encoding.ids);
        };
        RANKLET_TRY(compare_token_ids(file, texts, ids_of));
        BatchOptions batch;
        batch.prompt = "";
        RANKLET_ASSIGN(const Matrix vectors, encode(texts, batch));
        return compare_self_test(file, "ranklet.selftest.vectors", expected,
                                 {vectors.view().data, vectors.rows() * vectors.cols()});
    }

    /// Runs the transformer over all texts and calls `sink(text, states [length, hidden], scratch)` once for each, from
    /// any of the threads, in any order; `states` is valid during the call, `scratch` has `sink_scratch` bytes.
    /// With an Error (of the first text that has one) some texts may not have been seen.
    template <class Sink>
    Result<void> for_each_text(std::span<const std::string_view> texts, const BatchOptions& options, const Sink& sink,
                               std::size_t sink_scratch = 0) const {
        RANKLET_ASSIGN(const std::string_view prompt, find_prompt(options.prompt));
        return for_each_input(texts, prompt, options, sink, sink_scratch);
    }
    /// The same for pairs of texts, which get no prompt. A pair that is too long is cut as WordPiece::encode_pair says.
    /// Error unsupported when the model has one token type: the two texts would be one. (A model without token types,
    /// as DistilBERT, tells them apart by the [SEP] between them.)
    template <class Sink>
    Result<void> for_each_pair(std::span<const TextPair> pairs, const BatchOptions& options, const Sink& sink,
                               std::size_t sink_scratch = 0) const {
        if (model_.type_count() == 1)
            return Error{ErrorCode::unsupported, "the model has one token type, pairs of texts need two"};
        return for_each_input(pairs, {}, options, sink, sink_scratch);
    }

private:
    // Texts handed to a thread at a time, and tokens that go through the layers together: enough rows to keep the
    // matrix product busy, few enough that activations stay in cache.
    static constexpr std::size_t max_group_texts = 32;
    static constexpr std::size_t pack_tokens = 256;

    struct Worker {
        Encoding encoding;
        Scratch scratch;
        std::string prompted;
        std::vector<std::int32_t> ids, type_ids;
        std::vector<std::size_t> offsets;
        AlignedBuffer<float> states;
        std::size_t threads = 1;  // that share one pack's work
    };

    template <class Input, class Sink>
    Result<void> for_each_input(std::span<const Input> inputs, std::string_view prompt, const BatchOptions& options,
                                const Sink& sink, std::size_t sink_scratch) const {
        // A short list is cut finer, so that every thread gets a share; fewer texts than threads go one pack after
        // another, and the threads share the work of each.
        const std::size_t wanted = resolve_threads(options.threads);
        const bool share = inputs.size() < wanted;
        const std::size_t group_texts =
            share ? std::max<std::size_t>(inputs.size(), 1)
                  : std::clamp<std::size_t>((inputs.size() + wanted - 1) / wanted, 1, max_group_texts);
        std::vector<Worker> workers(group_threads(inputs.size(), group_texts, options));
        for (Worker& worker : workers) worker.threads = share ? wanted : 1;
        return for_each_group(inputs.size(), group_texts, options,
                              [&](std::size_t first, std::size_t last, std::size_t thread) {
                                  return run_group(inputs, first, last, prompt, workers[thread], sink, sink_scratch);
                              });
    }

    Result<void> tokenize(std::string_view text, std::string_view prompt, const EncodeOptions& options,
                          Worker& worker) const {
        if (prompt.empty()) return tokenizer_->encode(text, options, worker.encoding);
        worker.prompted.assign(prompt);
        worker.prompted.append(text);
        return tokenizer_->encode(worker.prompted, options, worker.encoding);
    }
    Result<void> tokenize(const TextPair& pair, std::string_view, const EncodeOptions& options, Worker& worker) const {
        return tokenizer_->encode_pair(pair.first, pair.second, options, worker.encoding);
    }

    template <class Input, class Sink>
    Result<void> run_group(std::span<const Input> inputs, std::size_t first, std::size_t last, std::string_view prompt,
                           Worker& worker, const Sink& sink, std::size_t sink_scratch) const {
        EncodeOptions options;
        options.max_length = max_length_;
        std::size_t pack_first = first;
        worker.ids.clear();
        worker.type_ids.clear();
        worker.offsets.assign(1, 0);
        for (std::size_t text = first; text < last; ++text) {
            const auto status = tokenize(inputs[text], prompt, options, worker);
            if (!status.ok()) return make_error(status.error().code, {"text ", text, ": ", status.error().message});
            const auto& ids = worker.encoding.ids;
            if (worker.offsets.size() > 1 && worker.ids.size() + ids.size() > pack_tokens) {
                RANKLET_TRY(run_pack(pack_first, worker, sink, sink_scratch));
                pack_first = text;
            }
            worker.ids.insert(worker.ids.end(), ids.begin(), ids.end());
            if constexpr (std::is_same_v<Input, TextPair>)  // single texts have type 0 throughout
                worker.type_ids.insert(worker.type_ids.end(), worker.encoding.type_ids.begin(),
                                       worker.encoding.type_ids.end());
            worker.offsets.push_back(worker.ids.size());
        }
        return run_pack(pack_first, worker, sink, sink_scratch);
    }

    template <class Sink>
    Result<void> run_pack(std::size_t first_text, Worker& worker, const Sink& sink, std::size_t sink_scratch) const {
        const PackedBatch batch{worker.ids, worker.type_ids, worker.offsets};
        if (batch.offsets.size() < 2) return {};
        const std::size_t tokens = batch.tokens();
        RANKLET_TRY(worker.scratch.reserve(
            std::max(model_.scratch_size(tokens, batch.longest(), worker.threads), sink_scratch)));
        if (worker.states.size() < tokens * hidden()) {
            RANKLET_ASSIGN(worker.states, AlignedBuffer<float>::zeroed(std::max(tokens, pack_tokens) * hidden()));
        }
        const MatrixView<float> states(worker.states.data(), tokens, hidden());
        model_.forward(batch, states, worker.scratch, worker.threads);
        for (std::size_t t = 0; t + 1 < batch.offsets.size(); ++t)
            sink(first_text + t,
                 MatrixView<const float>(states.middle_rows(batch.offsets[t], batch.offsets[t + 1] - batch.offsets[t])),
                 worker.scratch);
        worker.ids.clear();
        worker.type_ids.clear();
        worker.offsets.assign(1, 0);
        return {};
    }

    // Says what a file is, rather than which key of a BERT file it lacks.
    RANKLET_COLD static Result<void> check_kind(const GgufFile& file) {
        if (file.has("ranklet.encoder.type")) {
            RANKLET_ASSIGN(const auto type, file.string("ranklet.encoder.type"));
            if (type != "bert")
                return make_error(ErrorCode::unsupported,
                                  {file.name(), ": ranklet.encoder.type is \"", type, "\", not \"bert\": ",
                                   type == "items" ? "the model has items of its own and no text encoder"
                                                   : "another encoder reads it"});
        }
        if (file.has("general.architecture")) {
            RANKLET_ASSIGN(const auto architecture, file.string("general.architecture"));
            if (architecture != "bert" && architecture != "ranklet")
                return make_error(ErrorCode::unsupported,
                                  {file.name(), ": general.architecture is \"", architecture, "\", not \"bert\""});
        }
        return {};
    }

    RANKLET_COLD static Result<Activation> load_activation(const GgufFile& file, const BertDefaults& defaults) {
        if (file.has("ranklet.encoder.activation")) {
            RANKLET_ASSIGN(const auto name, file.string("ranklet.encoder.activation"));
            return in_file(file, "ranklet.encoder.activation", parse_activation(name));
        }
        if (defaults.activation) return *defaults.activation;
        return missing_default(file, "ranklet.encoder.activation", "activation");
    }

    RANKLET_COLD static Result<SentenceHead> load_head(const GgufFile& file, std::size_t hidden,
                                                       const BertDefaults& defaults) {
        if (file.has("ranklet.encoder.pooling")) return SentenceHead::load(file, hidden);
        if (!defaults.normalize) return missing_default(file, "ranklet.encoder.pooling", "normalize");
        RANKLET_ASSIGN(const std::uint32_t type, file.u32("bert.pooling_type"));
        if (type < 1 || type > 3)
            return make_error(ErrorCode::unsupported,
                              {file.name(), ": bert.pooling_type ", type, " is not 1 (mean), 2 (cls) or 3 (last)"});
        constexpr std::array poolings{Pooling::mean, Pooling::cls, Pooling::last};
        return SentenceHead::simple(hidden, poolings[type - 1], *defaults.normalize);
    }

    RANKLET_COLD Result<void> load_prompts(const GgufFile& file) {
        if (!file.has("ranklet.prompts.names") && !file.has("ranklet.prompts.texts") &&
            !file.has("ranklet.prompts.default"))
            return {};
        RANKLET_ASSIGN(const auto names, file.strings("ranklet.prompts.names"));
        RANKLET_ASSIGN(const auto texts, file.strings("ranklet.prompts.texts"));
        if (names.size() != texts.size())
            return make_error(ErrorCode::format, {file.name(), ": ranklet.prompts.names and .texts differ in length"});
        for (std::size_t i = 0; i < names.size(); ++i)
            prompts_.push_back({std::string(names[i]), std::string(texts[i])});
        if (file.has("ranklet.prompts.default")) {
            RANKLET_ASSIGN(default_prompt_, file.string("ranklet.prompts.default"));
            const auto found = find_prompt(default_prompt_);
            if (!found.ok())
                return make_error(ErrorCode::format,
                                  {file.name(), ": ranklet.prompts.default: ", found.error().message});
        }
        return {};
    }

    Result<std::string_view> find_prompt(std::optional<std::string_view> name) const {
        const std::string_view wanted = name.value_or(default_prompt_);
        if (wanted.empty()) return std::string_view{};
        for (const Prompt& prompt : prompts_)
            if (prompt.name == wanted) return std::string_view(prompt.text);
        return make_error(ErrorCode::missing, {"the model has no prompt named \"", wanted, "\""});
    }

    struct Prompt {
        std::string name, text;
    };
    std::shared_ptr<const WordPiece> tokenizer_;
    BertModel model_;
    SentenceHead head_;
    std::uint32_t max_length_ = 0;
    std::vector<Prompt> prompts_;
    std::string default_prompt_;
};

RANKLET_NAMESPACE_END
