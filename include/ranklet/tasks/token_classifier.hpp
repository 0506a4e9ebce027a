// TokenClassifier: a text to labelled spans of it (named entities, parts of speech).
// In: UTF-8 text. Out: spans with label, score and offsets (bytes and code points) into the text as it was given.
// Hugging Face's BertForTokenClassification and DistilBertForTokenClassification; tokens are joined by merge_tags.
#pragma once

#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/tasks/classifier_head.hpp"
#include "ranklet/text/tagged_spans.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN

/// Immutable once loaded; any number of threads may use one. A text's spans do not depend on the batch or the number of
/// threads. Prompts of the file are not put before texts.
class TokenClassifier {
public:
    /// Maps the file and builds the model. Errors as Bert::load's; missing when the file has no classifier.
    RANKLET_COLD static Result<TokenClassifier> load(const std::string& path, const LoadOptions& options = {}) {
        RANKLET_ASSIGN(const GgufFile file, GgufFile::open(path));
        if (options.verify_checksum) RANKLET_TRY(file.verify_checksum());
        RANKLET_ASSIGN(TokenClassifier model, from_file(file, options.bert));
        if (options.self_test) RANKLET_TRY(model.self_test(file));
        return model;
    }
    /// The same from an open file, without the self-test.
    RANKLET_COLD static Result<TokenClassifier> from_file(const GgufFile& file, const BertDefaults& defaults = {}) {
        TokenClassifier model;
        RANKLET_ASSIGN(model.bert_, Bert::from_file(file, defaults));
        RANKLET_ASSIGN(model.head_, ClassifierHead::load(file, model.bert_.hidden(), ClassifierHead::Kind::token));
        if (model.head_.function() != ScoreFunction::softmax)
            return make_error(ErrorCode::unsupported,
                              {file.name(), ": ranklet.classifier.activation must be softmax for tokens"});
        return model;
    }

    /// The labels' names, by column of the logits, with their prefixes.
    const std::vector<std::string>& labels() const noexcept { return head_.labels(); }
    const Bert& bert() const noexcept { return bert_; }

    /// The text's spans, in its order. Tokens beyond the model's max_length are not seen.
    /// Error invalid_text when it is not UTF-8.
    Result<std::vector<TaggedSpan>> tag(std::string_view text, const TagOptions& options = {}) const {
        RANKLET_ASSIGN(auto spans, tag(std::span<const std::string_view>(&text, 1), options));
        return std::move(spans.front());
    }
    /// The spans of each text. Error invalid_text naming the first text that is not UTF-8.
    Result<std::vector<std::vector<TaggedSpan>>> tag(std::span<const std::string_view> texts,
                                                     const TagOptions& options = {}) const {
        RANKLET_ASSIGN(const Tokens tokens, tokenize(texts));
        RANKLET_ASSIGN(Matrix scores, run(texts, tokens.offsets, options.threads));
        for (std::size_t i = 0; i < scores.rows(); ++i) head_.score(scores.row(i).data());
        std::vector<std::vector<TaggedSpan>> spans(texts.size());
        for (std::size_t t = 0; t < texts.size(); ++t) {
            // Without the special tokens around the text, which are its first and last.
            const std::size_t first = tokens.offsets[t] + 1, count = tokens.offsets[t + 1] - first - 1;
            RANKLET_ASSIGN(spans[t], merge_tags(texts[t], std::span(tokens.tokens).subspan(first, count),
                                                scores.view().middle_rows(first, count), labels(), options));
        }
        return spans;
    }
    /// Logits [tokens, labels] of one text, special tokens included.
    Result<Matrix> logits(std::string_view text) const {
        const std::span<const std::string_view> texts(&text, 1);
        RANKLET_ASSIGN(const Tokens tokens, tokenize(texts));
        return run(texts, tokens.offsets, 1);
    }

    /// The file's texts against its token ids, vectors and logits. Error self_test saying what differs.
    RANKLET_COLD Result<void> self_test(const GgufFile& file) const {
        RANKLET_TRY(bert_.self_test(file));
        RANKLET_ASSIGN(const auto texts, file.strings("ranklet.selftest.texts"));
        RANKLET_ASSIGN(const auto expected, file.floats("ranklet.selftest.logits"));
        RANKLET_ASSIGN(const Tokens tokens, tokenize(texts));
        RANKLET_ASSIGN(const Matrix found, run(texts, tokens.offsets, 1));
        return compare_self_test(file, "ranklet.selftest.logits", expected,
                                 {found.view().data, found.rows() * found.cols()});
    }

private:
    struct Tokens {
        std::vector<TagToken> tokens;         // of all texts
        std::vector<std::size_t> offsets{0};  // texts + 1
    };

    /// Places in the text are known to the tokenizer alone, so it runs here, and again with the encoder: it costs
    /// little.
    Result<Tokens> tokenize(std::span<const std::string_view> texts) const {
        const WordPiece& tokenizer = bert_.tokenizer();
        EncodeOptions options;
        options.max_length = bert_.max_length();
        Encoding encoding;
        Tokens out;
        for (std::size_t t = 0; t < texts.size(); ++t) {
            const auto status = tokenizer.encode(texts[t], options, encoding);
            if (!status.ok()) return make_error(status.error().code, {"text ", t, ": ", status.error().message});
            for (std::size_t i = 0; i < encoding.size(); ++i) {
                const TokenSpan place = encoding.offsets[i];
                // As transformers has it: a token that is written otherwise than the text it stands for by its length
                // ("##s" for "s") goes on with a word, an unknown one does not.
                const std::size_t written = utf8::count(tokenizer.token(encoding.ids[i]));
                const bool continues = encoding.ids[i] != tokenizer.config().unk_id &&
                                       written != utf8::count(texts[t].substr(place.begin, place.end - place.begin));
                out.tokens.push_back({place, continues, i});
            }
            out.offsets.push_back(out.tokens.size());
        }
        return out;
    }
    Result<Matrix> run(std::span<const std::string_view> texts, std::span<const std::size_t> offsets,
                       std::size_t threads) const {
        BatchOptions options;
        options.threads = threads;
        options.prompt = "";
        RANKLET_ASSIGN(Matrix rows, Matrix::zeroed(offsets.back(), labels().size()));
        RANKLET_TRY(bert_.for_each_text(
            texts, options, [&](std::size_t text, MatrixView<const float> states, Scratch&) noexcept {
                head_.classify_tokens(states, rows.view().middle_rows(offsets[text], states.rows));
            }));
        return rows;
    }

    Bert bert_;
    ClassifierHead head_;
};

RANKLET_NAMESPACE_END
