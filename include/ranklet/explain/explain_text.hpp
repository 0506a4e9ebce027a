// explain_text: what each word of an item's text added to its score for a user.
// In: a user, a catalog, an item's id and its text. Out: words in the order of the text, each with the score minus the
// score without it. A text is taken apart after it was cut into tokens: the word's tokens leave the sequence.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/explain/explanation.hpp"
#include "ranklet/recommender.hpp"

RANKLET_NAMESPACE_BEGIN

namespace detail {

/// Whether a recomputed number is the same but for the last bits (another instruction set, say).
inline bool recomputed(float again, float before) noexcept {
    return std::abs(again - before) <= 1e-4f * std::max(1.0f, std::abs(before));
}

/// An encoded text's tokens in the groups that are taken out together: [first, last) of the tokens.
struct TokenGroup {
    std::size_t first, last;
    TokenSpan span;  // in the text, without the prompt
};
inline std::vector<TokenGroup> group_tokens(const Encoding& encoding, std::size_t prompt, TextUnit unit) {
    std::vector<TokenGroup> groups;
    for (std::size_t t = 0; t < encoding.size(); ++t) {
        const TokenSpan span = encoding.offsets[t];
        if (encoding.words[t] < 0 || span.end <= prompt) continue;  // special, or the prompt's
        const auto begin = static_cast<std::uint32_t>(std::max<std::size_t>(span.begin, prompt) - prompt);
        const auto end = static_cast<std::uint32_t>(span.end - prompt);
        if (unit == TextUnit::word && !groups.empty() && groups.back().last == t &&
            encoding.words[t - 1] == encoding.words[t]) {
            groups.back().last = t + 1;
            groups.back().span.end = end;
        } else {
            groups.push_back({t, t + 1, {begin, end}});
        }
    }
    return groups;
}

/// The scores of items made here, each with the bias of `like`'s item at `index`.
template <class Encoder, class Decoder>
Result<std::vector<float>> score_like(const BasicRecommender<Encoder, Decoder>& model,
                                      const typename BasicRecommender<Encoder, Decoder>::User& user,
                                      const CatalogData& like, std::size_t index, CatalogData data,
                                      const RecommendOptions& options) {
    if (!like.bias.empty()) data.bias.assign(data.ids.size(), like.bias[index]);
    RANKLET_ASSIGN(const Catalog catalog, model.make_catalog(std::move(data)));
    return model.scores(user, catalog, options);
}

/// A text's tokens as encode_catalog saw them, behind a prompt of so many bytes.
template <class Encoder, class Decoder>
Result<std::size_t> encode_tokens(const BasicRecommender<Encoder, Decoder>& model, std::string_view text,
                                  std::optional<std::string_view> prompt_name, Encoding& encoding) {
    if (const WordVectors* words = model.word_vectors()) {
        if (prompt_name && !prompt_name->empty())
            return make_error(ErrorCode::missing, {"the model has no prompt named \"", *prompt_name, "\""});
        RANKLET_TRY(words->tokenize(text, encoding));
        return std::size_t{0};
    }
    const Bert& bert = *model.bert();
    RANKLET_ASSIGN(const std::string_view prompt, bert.prompt_text(prompt_name));
    EncodeOptions options;
    options.max_length = bert.max_length();
    RANKLET_TRY(bert.tokenizer().encode(std::string(prompt).append(text), options, encoding));
    return prompt.size();
}

/// Error unless the first item of `made` is `item`: a user without events gives every text the same score.
RANKLET_COLD inline Result<void> check_same_item(const ItemRef& item, const CatalogData& made) {
    const auto same = [](MatrixView<const float> a, MatrixView<const float> b) {
        if (a.rows != b.rows || a.cols != b.cols) return false;
        for (std::size_t r = 0; r < a.rows; ++r)
            if (!std::equal(a.row(r).begin(), a.row(r).end(), b.row(r).begin(), recomputed)) return false;
        return true;
    };
    const CatalogData& data = item.data();
    const std::size_t i = item.index();
    bool equal = false;
    if (made.token_offsets.empty()) {
        equal = same(made.vectors.view().middle_rows(0, 1), data.vectors.view().middle_rows(i, 1));
    } else {
        const auto& offsets = data.token_offsets;
        equal = same(made.projected.view().middle_rows(0, made.token_offsets[1]),
                     data.projected.view().middle_rows(offsets[i], offsets[i + 1] - offsets[i]));
    }
    if (equal) return {};
    return make_error(ErrorCode::mismatch, {"item \"", item.id(),
                                            "\" has another vector than the text given: it is not "
                                            "the item's text"});
}

/// The scores of texts given as token ids, each as if it were the item `like`; `whole`: the first is the item's own.
template <class Encoder, class Decoder>
Result<std::vector<float>> score_sequences(const BasicRecommender<Encoder, Decoder>& model,
                                           const typename BasicRecommender<Encoder, Decoder>::User& user,
                                           const ItemRef& like, bool whole,
                                           std::span<const std::vector<std::int32_t>> sequences,
                                           const RecommendOptions& options) {
    CatalogData data;
    if (const WordVectors* words = model.word_vectors()) {
        RANKLET_ASSIGN(data.vectors, Matrix::zeroed(sequences.size(), words->dim()));
        std::vector<float> row(words->dim());
        for (std::size_t s = 0; s < sequences.size(); ++s) {
            data.ids.push_back(std::to_string(s));
            words->pool(sequences[s], data.vectors.row(s).data(), row.data());
        }
        if (whole) RANKLET_TRY(check_same_item(like, data));
        return score_like(model, user, like.data(), like.index(), std::move(data), options);
    }
    const Bert& bert = *model.bert();
    const TextGru* text_gru = model.text_gru();
    std::vector<std::int32_t> ids;
    data.token_offsets.assign(1, 0);
    for (const auto& sequence : sequences) {
        data.ids.push_back(std::to_string(data.ids.size()));
        ids.insert(ids.end(), sequence.begin(), sequence.end());
        data.token_offsets.push_back(ids.size());
    }
    const PackedBatch batch{ids, {}, data.token_offsets};
    Scratch scratch;
    const Gru<>* bottom = text_gru != nullptr ? &text_gru->decoder().gru().layers().front() : nullptr;
    RANKLET_TRY(scratch.reserve(
        std::max({bert.model().scratch_size(batch.tokens(), batch.longest()), bert.head().scratch_size(),
                  bottom != nullptr ? bottom->input_scratch_size(batch.tokens()) : 0})));
    RANKLET_ASSIGN(Matrix states, Matrix::zeroed(ids.size(), bert.hidden()));
    bert.model().forward(batch, states.view(), scratch);
    const MatrixView<const float> tokens = states.view();
    if (bottom != nullptr) {
        RANKLET_ASSIGN(data.projected, Matrix::zeroed(ids.size(), 3 * bottom->hidden()));
        bottom->project_input(tokens, data.projected.view(), scratch);
    } else {
        RANKLET_ASSIGN(data.vectors, Matrix::zeroed(sequences.size(), bert.dim()));
        for (std::size_t s = 0; s < sequences.size(); ++s)
            bert.head().forward(tokens.middle_rows(data.token_offsets[s], sequences[s].size()),
                                data.vectors.row(s).data(), scratch);
        data.token_offsets.clear();
    }
    if (whole) RANKLET_TRY(check_same_item(like, data));
    return score_like(model, user, like.data(), like.index(), std::move(data), options);
}

/// What a NewsEncoder reads of an item, from the text given, the catalog's attributes and the vectors given.
RANKLET_COLD inline Result<std::vector<ViewInput>> view_inputs(const NewsEncoder& encoder, const ItemRef& item,
                                                               const ExplainOptions& options) {
    std::vector<ViewInput> inputs(encoder.view_count());
    for (std::size_t v = 0; v < inputs.size(); ++v) {
        const std::string_view name = encoder.view_name(v);
        if (encoder.view_kind(v) == NewsEncoder::ViewKind::vector) continue;
        if (name == "title") {
            inputs[v].text = *options.text;
        } else if (const AttributeColumn* column = item.data().attributes.find(name);
                   column != nullptr && column->type == AttributeType::category && !column->missing(item.index())) {
            inputs[v].text = column->values[column->codes[item.index()]];
        }
    }
    for (const ItemVector& vector : options.vectors) {
        const std::size_t v = encoder.find_view(vector.name);
        if (v == inputs.size() || encoder.view_kind(v) != NewsEncoder::ViewKind::vector)
            return make_error(ErrorCode::invalid_argument, {"\"", vector.name, "\" is no vector that the model reads"});
        inputs[v].vector = vector.values;
    }
    return inputs;
}

/// explain_text for a NewsEncoder: every text view's words, in the model's order of views.
template <class Encoder, class Decoder>
Result<std::vector<TextContribution>> explain_views(const BasicRecommender<Encoder, Decoder>& model,
                                                    const typename BasicRecommender<Encoder, Decoder>::User& user,
                                                    const Catalog& catalog, const ItemRef& item,
                                                    const ExplainOptions& options, const RecommendOptions& scoring) {
    const NewsEncoder& encoder = *model.news_encoder();
    const auto named = [&](const Error& error) {
        return make_error(error.code, {"item \"", item.id(), "\": ", error.message});
    };
    auto inputs = view_inputs(encoder, item, options);
    if (!inputs.ok()) return named(inputs.error());
    const auto attention = encoder.attention(*inputs);
    if (!attention.ok()) return named(attention.error());

    std::vector<TextContribution> result;
    std::vector<std::pair<std::size_t, TokenGroup>> groups;  // of each: its view and tokens
    std::vector<Encoding> encodings(inputs->size());
    for (std::size_t v = 0; v < inputs->size(); ++v) {
        if (encoder.view_kind(v) != NewsEncoder::ViewKind::text) continue;
        const std::string_view text = (*inputs)[v].text;
        RANKLET_TRY(encoder.tokenize(v, text, encodings[v]));
        const std::vector<float>& weights = (*attention)[v].words;
        for (const TokenGroup& group : group_tokens(encodings[v], 0, options.unit)) {
            groups.emplace_back(v, group);
            TextContribution& part = result.emplace_back();
            part.text = text.substr(group.span.begin, group.span.end - group.span.begin);
            part.span = group.span;
            part.view = encoder.view_name(v);
            if (weights.empty()) continue;
            part.attention = 0.0f;
            for (std::size_t t = group.first; t < group.last; ++t) part.attention += weights[t];
        }
    }

    // The whole item first, then without each word; a few at a time, so that memory stays small.
    constexpr std::size_t at_once = 64;
    std::vector<float> scores;
    BatchOptions batch;
    batch.threads = options.threads;
    batch.prompt = options.prompt;
    for (std::size_t first = 0; first <= groups.size(); first += at_once) {
        const std::size_t count = std::min(at_once, groups.size() + 1 - first);
        std::vector<ViewInput> variants;
        std::vector<std::vector<std::int32_t>> left(count);
        for (std::size_t i = 0; i < count; ++i) {
            variants.insert(variants.end(), inputs->begin(), inputs->end());
            if (first + i == 0) continue;
            const auto& [view, group] = groups[first + i - 1];
            left[i].assign(encodings[view].ids.begin(), encodings[view].ids.end());
            left[i].erase(left[i].begin() + static_cast<std::ptrdiff_t>(group.first),
                          left[i].begin() + static_cast<std::ptrdiff_t>(group.last));
            variants[i * inputs->size() + view].word_ids = std::span<const std::int32_t>(left[i]);
        }
        CatalogData data;
        RANKLET_ASSIGN(data.vectors, encoder.encode_inputs(variants, batch));
        for (std::size_t i = 0; i < count; ++i) data.ids.push_back(std::to_string(i));
        if (first == 0) RANKLET_TRY(check_same_item(item, data));
        RANKLET_ASSIGN(const auto some,
                       score_like(model, user, catalog.data(), item.index(), std::move(data), scoring));
        scores.insert(scores.end(), some.begin(), some.end());
    }
    for (std::size_t p = 0; p < result.size(); ++p) result[p].contribution = scores[0] - scores[p + 1];
    return result;
}

}  // namespace detail

/// What each word (or token) of the text of the item `id` added to its score: the score minus that of the same token
/// sequence without it. Tokens beyond the model's maximum length are not seen by the model and not listed; the prompt's
/// and the special tokens stay in.
/// Error invalid_argument when options.text is not given, unsupported when the encoder is none of the library's or
/// the items' vectors are not made of text, mismatch when the text does not give the item's vector.
template <class Encoder, class Decoder>
Result<std::vector<TextContribution>> explain_text(const BasicRecommender<Encoder, Decoder>& model,
                                                   const typename BasicRecommender<Encoder, Decoder>::User& user,
                                                   const Catalog& catalog, std::string_view id,
                                                   const ExplainOptions& options) {
    RANKLET_ASSIGN(const ItemRef item, catalog.at(id));
    if (!model.encodes_text() || !catalog.data().outputs.empty())
        return Error{ErrorCode::unsupported, "the items' vectors are not made of their text: there is none to explain"};
    if (model.news_encoder() == nullptr && !options.vectors.empty())
        return make_error(ErrorCode::invalid_argument,
                          {"\"", options.vectors.front().name, "\" is no vector that the model reads"});
    if (!options.text) return Error{ErrorCode::invalid_argument, "no text to explain: give ExplainOptions::text"};
    RecommendOptions scoring;
    scoring.threads = options.threads;
    scoring.initial_state = options.initial_state;

    if (model.news_encoder() != nullptr) return detail::explain_views(model, user, catalog, item, options, scoring);
    if (model.bert() == nullptr && model.word_vectors() == nullptr)
        return Error{ErrorCode::unsupported, "texts are explained for the library's own encoders, not for this one"};

    Encoding encoding;
    const auto prompt = detail::encode_tokens(model, *options.text, options.prompt, encoding);
    if (!prompt.ok()) return make_error(prompt.error().code, {"item \"", item.id(), "\": ", prompt.error().message});
    const auto groups = detail::group_tokens(encoding, *prompt, options.unit);

    // The whole text first, then without each group; a few at a time, so that memory stays small.
    constexpr std::size_t pack_tokens = 512;
    const std::size_t at_once = std::max<std::size_t>(1, pack_tokens / std::max<std::size_t>(1, encoding.size()));
    std::vector<float> scores;
    std::vector<std::vector<std::int32_t>> sequences;
    for (std::size_t s = 0; s <= groups.size(); ++s) {
        auto& sequence = sequences.emplace_back(encoding.ids.begin(), encoding.ids.end());
        if (s > 0)
            sequence.erase(sequence.begin() + static_cast<std::ptrdiff_t>(groups[s - 1].first),
                           sequence.begin() + static_cast<std::ptrdiff_t>(groups[s - 1].last));
        if (sequences.size() < at_once && s < groups.size()) continue;
        RANKLET_ASSIGN(const std::vector<float> some,
                       detail::score_sequences(model, user, item, scores.empty(), sequences, scoring));
        scores.insert(scores.end(), some.begin(), some.end());
        sequences.clear();
    }
    std::vector<TextContribution> result;
    for (std::size_t g = 0; g < groups.size(); ++g) {
        TextContribution part;
        part.span = groups[g].span;
        part.text = options.text->substr(part.span.begin, part.span.end - part.span.begin);
        part.contribution = scores[0] - scores[g + 1];
        result.push_back(std::move(part));
    }
    return result;
}

RANKLET_NAMESPACE_END
