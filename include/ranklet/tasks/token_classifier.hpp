// TokenClassifier: a text to labelled spans of it (named entities, parts of speech).
// In: UTF-8 text. Out: spans with label, score and offsets (bytes and code points) into the text as it was given.
// Hugging Face's classes ...ForTokenClassification; tokens are joined by merge_tags.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/text_list.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/model_file/load.hpp"
#include "ranklet/text/tagged_spans.hpp"

RANKLET_NAMESPACE_BEGIN

namespace detail {
class ClassifierHead;
}

/// Immutable once loaded; any number of threads may use one; copies share the weights. A text's spans do not depend on
/// the batch or the number of threads. Prompts of the file are not put before texts.
/// One that was made by default or moved from is empty: what returns a Result is an Error invalid_argument.
class TokenClassifier : public Loadable<TokenClassifier> {
public:
    // load, from_file, from_memory: errors as Bert's; missing when the file has no classifier.
    RANKLET_COLD static Result<TokenClassifier> read(const ModelReader& reader, const LoadOptions& options);

    /// The labels' names, by column of the logits, with their prefixes.
    const std::vector<std::string>& labels() const noexcept;
    const Bert& bert() const noexcept { return bert_; }

    /// The text's spans, in its order. Tokens beyond the model's max_length are not seen, which TagOptions::read tells,
    /// unless TagOptions::windows says that all are read. Error invalid_text when it is not UTF-8.
    Result<std::vector<TaggedSpan>> tag(std::string_view text, const TagOptions& options = {}) const;
    /// The spans of each text. Error invalid_text naming the first text that is not UTF-8.
    Result<std::vector<std::vector<TaggedSpan>>> tag(TextList texts, const TagOptions& options = {}) const;
    Result<std::vector<std::vector<TaggedSpan>>> tag(std::initializer_list<std::string_view> texts,
                                                     const TagOptions& options = {}) const RANKLET_MEMORY_TRY {
        return tag(TextList(texts), options);
    }
    RANKLET_MEMORY_CATCH
    /// Logits [tokens, labels] of one text, special tokens included.
    Result<Matrix> logits(std::string_view text) const;

    /// The file's texts against its token ids, vectors and logits. Error self_test saying what differs.
    RANKLET_COLD Result<void> self_test(const ModelReader& reader) const;

private:
    struct Tokens;
    Result<Tokens> tokenize(TextList texts, std::size_t max_length) const;
    Result<Matrix> run(TextList texts, std::span<const std::size_t> offsets, BatchOptions options) const;

    Bert bert_;
    std::shared_ptr<const detail::ClassifierHead> head_;
};

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <utility>

#include "ranklet/core/scratch.hpp"
#include "ranklet/model_file/reader.hpp"
#include "ranklet/model_file/self_test.hpp"
#include "ranklet/tasks/classifier_head.hpp"
#include "ranklet/text/tokenizer.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN

struct TokenClassifier::Tokens {
    std::vector<TagToken> tokens;         // of all texts
    std::vector<std::size_t> offsets{0};  // texts + 1
};

RANKLET_FUNC Result<TokenClassifier> TokenClassifier::read(const ModelReader& reader, const LoadOptions& options) {
    TokenClassifier model;
    RANKLET_ASSIGN(model.bert_, Bert::read(reader, options));
    RANKLET_ASSIGN(auto head,
                   detail::ClassifierHead::read(reader, model.bert_.hidden(), detail::ClassifierHead::Kind::token));
    if (head.function() != ScoreFunction::softmax)
        return reader.wrong("ranklet.classifier.activation", {" must be softmax for tokens"}, ErrorCode::unsupported);
    model.head_ = std::make_shared<const detail::ClassifierHead>(std::move(head));
    return model;
}

RANKLET_FUNC const std::vector<std::string>& TokenClassifier::labels() const noexcept {
    return detail::head_or_none(head_).labels();
}

RANKLET_FUNC Result<std::vector<TaggedSpan>> TokenClassifier::tag(std::string_view text,
                                                                  const TagOptions& options) const RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(auto spans, tag(std::span(&text, 1), options));
    return std::move(spans.front());
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<std::vector<std::vector<TaggedSpan>>> TokenClassifier::tag(
    TextList texts, const TagOptions& options) const RANKLET_MEMORY_TRY {
    BatchOptions batch;
    batch.threads = options.threads;
    batch.windows = options.windows;
    batch.read = options.read;
    RANKLET_ASSIGN(const Tokens tokens,
                   tokenize(texts, options.windows ? EncodeOptions().max_length : bert_.max_length()));
    RANKLET_ASSIGN(Matrix scores, run(texts, tokens.offsets, batch));
    for (std::size_t i = 0; i < scores.rows(); ++i) head_->score(scores.row(i).data());
    std::vector<std::vector<TaggedSpan>> spans(texts.size());
    const SpecialTokens special = bert_.tokenizer().special_tokens();
    for (std::size_t t = 0; t < texts.size(); ++t) {
        // Without the special tokens around the text.
        const std::size_t first = tokens.offsets[t] + special.before;
        const std::size_t count = tokens.offsets[t + 1] - first - special.after;
        RANKLET_ASSIGN(spans[t], merge_tags(texts[t], std::span(tokens.tokens).subspan(first, count),
                                            scores.view().middle_rows(first, count), labels(), options));
    }
    return spans;
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<Matrix> TokenClassifier::logits(std::string_view text) const RANKLET_MEMORY_TRY {
    const TextList texts(&text, 1);
    RANKLET_ASSIGN(const Tokens tokens, tokenize(texts, bert_.max_length()));
    return run(texts, tokens.offsets, {});
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<void> TokenClassifier::self_test(const ModelReader& reader) const {
    RANKLET_TRY(bert_.self_test(reader));
    RANKLET_ASSIGN(const auto texts, reader.strings("ranklet.selftest.texts"));
    RANKLET_ASSIGN(const Tokens tokens, tokenize(texts, bert_.max_length()));
    RANKLET_ASSIGN(const Matrix found, run(texts, tokens.offsets, {}));
    return compare_self_test(reader, "ranklet.selftest.logits", found);
}

namespace detail {

// Whether a token goes on with a word, as transformers has it: one that is written otherwise than the text it stands for by
// its length ("##s" for "s"); where the tokenizer writes none so, one that has no space at its beginning or before it.
RANKLET_FUNC bool goes_on(const Tokenizer& tokenizer, std::string_view text, const Encoding& encoding, std::size_t i) {
    const TokenSpan place = encoding.offsets[i];
    if (tokenizer.marks_continuations())
        return utf8::count(tokenizer.token(encoding.ids[i])) !=
               utf8::count(text.substr(place.begin, place.end - place.begin));
    return place.begin > 0 && text.substr(place.begin - 1, 2).find(' ') == std::string_view::npos;
}

}  // namespace detail

// Places in the text are known to the tokenizer alone, so it runs here, and again with the encoder: it costs little.
RANKLET_FUNC Result<TokenClassifier::Tokens> TokenClassifier::tokenize(TextList texts, std::size_t max_length) const {
    RANKLET_TRY(bert_.prompt_text(""));  // an empty model's Error
    const Tokenizer& tokenizer = bert_.tokenizer();
    EncodeOptions options;
    options.max_length = max_length;
    Encoding encoding;
    Tokens out;
    for (std::size_t t = 0; t < texts.size(); ++t) {
        if (const auto status = tokenizer.encode(texts[t], options, encoding); !status.ok())
            return about_input(status.error(), t, {"text ", t});
        for (std::size_t i = 0; i < encoding.size(); ++i) {
            const TokenSpan place = encoding.offsets[i];
            out.tokens.push_back(
                {place, encoding.ids[i] != tokenizer.unknown_id() && detail::goes_on(tokenizer, texts[t], encoding, i),
                 i});
        }
        out.offsets.push_back(out.tokens.size());
    }
    return out;
}
RANKLET_FUNC Result<Matrix> TokenClassifier::run(TextList texts, std::span<const std::size_t> offsets,
                                                 BatchOptions options) const {
    options.prompt = "";
    RANKLET_ASSIGN(Matrix rows, Matrix::zeroed(offsets.back(), labels().size()));
    RANKLET_TRY(bert_.for_each_window(
        texts, options, [&](const TextWindow& window, MatrixView<const float> states, Scratch& scratch) noexcept {
            const std::size_t count = window.end - window.begin;
            head_->classify_tokens(states.middle_rows(window.begin, count),
                                   rows.view().middle_rows(offsets[window.text] + window.to, count), scratch);
        },
        head_->scratch_size()));
    return rows;
}

RANKLET_NAMESPACE_END
#endif
