// explain_text: what each word of an item's text added to its score for a user.
// In: a user, a catalog, an item's id and its text. Out: words in the order of the text, each with the score minus the
// score without it. A text is taken apart after it was cut into tokens: the word's tokens leave the sequence.
#pragma once

#include <string_view>
#include <vector>

#include "ranklet/catalog/catalog.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/explain/explanation.hpp"
#include "ranklet/recommender.hpp"

RANKLET_NAMESPACE_BEGIN

/// What each word (or token) of the text of the item `id` added to its score: the score minus that of the same token
/// sequence without it. Tokens beyond the model's maximum length are not seen by the model and not listed, nor are words
/// beyond options.most_words; the prompt's and the special tokens stay in.
/// Error invalid_argument when options.text is not given, unsupported when the items' vectors are not made of text or
/// the encoder does not take texts apart, mismatch when the text does not give the item's vector.
RANKLET_COLD Result<std::vector<TextContribution>> explain_text(const Recommender& model, const Recommender::User& user,
                                                                const Catalog& catalog, std::string_view id,
                                                                const ExplainOptions& options);

namespace detail {

/// Whether a recomputed number is the same but for the last bits (another instruction set, say).
inline bool recomputed(float again, float before) noexcept {
    const float size = before < 0.0f ? -before : before, off = again < before ? before - again : again - before;
    return off <= 1e-4f * (size > 1.0f ? size : 1.0f);
}

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "ranklet/core/matrix.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// Error unless item 0 of `made` is `item`: a user without events gives every text the same score.
RANKLET_COLD RANKLET_FUNC Result<void> check_same_item(const ItemRef& item, const CatalogData& made) {
    const auto same = [](MatrixView<const float> a, MatrixView<const float> b) {
        if (a.rows != b.rows || a.cols != b.cols) return false;
        for (std::size_t r = 0; r < a.rows; ++r)
            if (!std::equal(a.row(r).begin(), a.row(r).end(), b.row(r).begin(), recomputed)) return false;
        return true;
    };
    const CatalogData& data = item.data();
    const std::size_t i = item.index();
    bool equal = true;
    if (made.token_offsets.empty()) {
        equal = same(made.vectors.view().middle_rows(0, 1), data.vectors.view().middle_rows(i, 1));
    } else {
        const auto& offsets = data.token_offsets;
        for (const CatalogPart& part : made.parts)
            if (part.rows == PartRows::token)
                equal = equal && same(part.values.view().middle_rows(0, made.token_offsets[1]),
                                      data.part(part.name).middle_rows(offsets[i], offsets[i + 1] - offsets[i]));
    }
    if (equal) return {};
    return make_error(ErrorCode::mismatch, {"item \"", item.id(),
                                            "\" has another vector than the text given: it is not "
                                            "the item's text"});
}

/// Encoded variants of an item as the catalog of a model that has this decoder.
RANKLET_COLD RANKLET_FUNC Result<CatalogData> variants_of(EncodedItems encoded, ItemForm form, const ItemRef& item,
                                                          std::size_t count) {
    CatalogData data;
    for (std::size_t v = 0; v < count; ++v) data.ids.push_back(std::to_string(v));
    if (form == ItemForm::vector) {
        data.vectors = std::move(encoded.rows);
    } else {
        data.token_offsets = std::move(encoded.offsets);
        data.set_part("token_states", PartRows::token, std::move(encoded.rows));
    }
    const CatalogData& like = item.data();
    if (!like.bias.empty()) data.bias.assign(count, like.bias[item.index()]);
    for (const CatalogPart& part : like.parts)
        if (part.rows == PartRows::catalog) {
            RANKLET_ASSIGN(Matrix values, part.values.copy());
            data.set_part(part.name, part.rows, std::move(values));
        }
    data.model = like.model;
    return data;
}

/// The scores of so many variants: of the item whole, then without each of its parts; a few at a time, so that memory
/// stays small.
RANKLET_COLD RANKLET_FUNC Result<std::vector<float>> score_variants(const Recommender& model,
                                                                    const Recommender::User& user, const ItemRef& item,
                                                                    const BoundSignals* signals, const ItemParts& parts,
                                                                    std::size_t variants,
                                                                    const ExplainOptions& options) {
    BatchOptions batch;
    batch.threads = options.threads;
    batch.prompt = options.prompt;
    const Decoder& decoder = model.decoder();
    std::vector<float> scores;
    const std::size_t at_once = std::max<std::size_t>(parts.at_once(), 1);
    for (std::size_t first = 0; first < variants; first += at_once) {
        const std::size_t count = std::min(at_once, variants - first);
        RANKLET_ASSIGN(EncodedItems encoded, parts.encode(first, count, decoder.form(), batch));
        if (const auto status = check_encoded(model.encoder(), encoded, count, decoder.form()); !status.ok())
            return Error{status.error().code, status.error().message};  // a variant is no input of the caller's
        RANKLET_ASSIGN(CatalogData data, variants_of(std::move(encoded), decoder.form(), item, count));
        RANKLET_TRY(decoder.prepare(data, ItemUse::candidate, options.threads));
        if (first == 0) RANKLET_TRY(check_same_item(item, data));
        RANKLET_ASSIGN(Catalog catalog, Catalog::create(std::move(data)));
        if (signals != nullptr) {  // what is known of the item is known of its variants
            const std::vector<std::size_t> same_item(count, item.index());
            RANKLET_ASSIGN(catalog, catalog.with(detail::pick_signals(*signals, same_item)));
        }
        RANKLET_ASSIGN(const auto some, model.scores(user, catalog, {options.threads, options.initial_state}));
        scores.insert(scores.end(), some.begin(), some.end());
    }
    return scores;
}

/// explain_text, and how many words (or tokens) the model reads of the text.
RANKLET_COLD RANKLET_FUNC Result<std::vector<TextContribution>> explain_words(
    const Recommender& model, const Recommender::User& user, const Catalog& catalog, std::string_view id,
    const ExplainOptions& options, std::size_t& words) {
    RANKLET_ASSIGN(const ItemRef item, catalog.at(id));
    if (!model.encodes_text() || !catalog.data().outputs.empty())
        return make_error(ErrorCode::unsupported,
                          {"the items' vectors are not made of their text: there is none to explain"});
    if (!options.text)
        return make_error(ErrorCode::invalid_argument, {"no text to explain: give ExplainOptions::text"});
    const Item given{id, *options.text, item.data().attributes.item(item.index()), options.vectors};
    BatchOptions batch;
    batch.prompt = options.prompt;
    const auto parts = model.encoder().take_apart(given, options.unit, batch);
    if (!parts.ok()) return about_input(parts.error(), 0, {"item \"", item.id(), "\""});
    words = (*parts)->parts().size();
    const auto explained = (*parts)->parts().first(std::min(words, options.most_words));
    RANKLET_ASSIGN(const std::vector<float> scores,
                   score_variants(model, user, item, catalog.signals(), **parts, explained.size() + 1, options));
    std::vector<TextContribution> result;
    for (const TextPart& each : explained) {
        TextContribution& part = result.emplace_back();
        part.text = each.text;
        part.span = each.span;
        part.view = each.view;
        part.attention = each.attention;
        part.contribution = scores[0] - scores[result.size()];
    }
    return result;
}

}  // namespace detail

RANKLET_FUNC Result<std::vector<TextContribution>> explain_text(const Recommender& model, const Recommender::User& user,
                                                                const Catalog& catalog, std::string_view id,
                                                                const ExplainOptions& options) RANKLET_MEMORY_TRY {
    std::size_t words = 0;
    return detail::explain_words(model, user, catalog, id, options, words);
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
#endif
