// How a recommender makes catalogs: texts through the encoder, and the decoder's part that depends on the item alone.
// Definitions of BasicRecommender's members; included by recommender.hpp.
#pragma once

#include "ranklet/recommender.hpp"

RANKLET_NAMESPACE_BEGIN

template <class Encoder, class Decoder>
Result<std::vector<float>> BasicRecommender<Encoder, Decoder>::encode(std::string_view text,
                                                                      const BatchOptions& options) const {
    RANKLET_ASSIGN(const Matrix vectors, encode_texts(*model_, std::span(&text, 1), options));
    const auto row = vectors.row(0);
    return std::vector<float>(row.begin(), row.end());
}

template <class Encoder, class Decoder>
Result<Catalog> BasicRecommender<Encoder, Decoder>::encode_catalog(std::span<const Item> items,
                                                                   const BatchOptions& options) const {
    if (!encodes_text()) return no_text();
    CatalogData data;
    std::vector<std::string_view> texts;
    AttributeBuilder attributes;
    for (const Item& item : items) {
        data.ids.emplace_back(item.id);
        texts.push_back(item.text);
        if (news_encoder() == nullptr && !item.vectors.empty())
            return make_error(ErrorCode::invalid_argument, {"item \"", item.id, "\": \"", item.vectors.front().name,
                                                            "\" is no vector that the model reads"});
        if (const auto status = attributes.add(item.attributes); !status.ok())
            return make_error(status.error().code, {"item \"", item.id, "\": ", status.error().message});
    }
    data.attributes = std::move(attributes).finish();
    const auto status =
        news_encoder() != nullptr ? encode_news(items, options, data) : encode_items(texts, options, data);
    if (!status.ok()) return news_encoder() != nullptr ? status.error() : name_item(items, status.error());
    return finish_catalog(std::move(data), options.threads);
}

template <class Encoder, class Decoder>
Result<Catalog> BasicRecommender<Encoder, Decoder>::make_catalog(CatalogData data, std::size_t threads) const {
    const Matrix& given = model_->text_gru ? data.projected : data.vectors;
    const std::size_t n = data.ids.size(), cols = catalog_width(*model_);
    if (model_->text_gru && (data.token_offsets.size() != n + 1 || data.token_offsets.front() != 0 ||
                             !std::is_sorted(data.token_offsets.begin(), data.token_offsets.end())))
        return Error{ErrorCode::invalid_argument, "the token offsets do not fit the items"};
    const std::size_t rows = model_->text_gru ? data.token_offsets.back() : n;
    if (given.rows() != rows || (rows > 0 && given.cols() != cols))
        return make_error(ErrorCode::invalid_argument,
                          {"vectors of ", given.rows(), " x ", given.cols(), ", expected ", rows, " x ", cols});
    for (std::size_t r = 0; r < rows; ++r)
        for (const float x : given.row(r))
            if (!std::isfinite(x))
                return make_error(ErrorCode::invalid_argument, {"row ", r, " of the vectors is not finite"});
    if (!model_->text_gru) data.projected = Matrix();
    RANKLET_ASSIGN(Catalog catalog, finish_catalog(std::move(data), threads));
    RANKLET_TRY(check_shapes(*model_, catalog.data()));
    return catalog;
}

template <class Encoder, class Decoder>
Result<Catalog> BasicRecommender<Encoder, Decoder>::items() const {
    const ItemTable* table = item_table();
    if (table == nullptr)
        return Error{ErrorCode::unsupported, "this model has no items of its own: give it texts (encode_catalog)"};
    CatalogData data;
    data.ids = table->ids;
    RANKLET_ASSIGN(data.vectors, copy(table->vectors));
    if (!table->outputs.empty()) {
        RANKLET_ASSIGN(data.outputs, copy(table->outputs));
    }
    data.bias = table->bias;
    return finish_catalog(std::move(data), 1);
}

template <class Encoder, class Decoder>
Result<Matrix> BasicRecommender<Encoder, Decoder>::copy(const Matrix& source) {
    RANKLET_ASSIGN(Matrix result, Matrix::zeroed(source.rows(), source.cols()));
    std::copy_n(source.view().data, source.rows() * source.cols(), result.view().data);
    return result;
}

template <class Encoder, class Decoder>
Result<void> BasicRecommender<Encoder, Decoder>::check_shapes(const Model& model, const CatalogData& data) {
    const bool fit =
        data.ids.empty() || visit(model.decoder, [&](const auto& scorer) {
            using Scorer = std::remove_cvref_t<decltype(scorer)>;
            if constexpr (std::is_same_v<Scorer, TextGru>) {
                const bool none = data.projected.rows() == 0;  // no item has a token: a file has no tensor then
                return (none || data.projected.cols() == catalog_width(model)) && !data.token_offsets.empty();
            } else {
                if (data.vectors.cols() != event_size(model) || !data.token_offsets.empty()) return false;
                if constexpr (std::is_same_v<Scorer, DotProduct> || is_tower<Scorer>)
                    return (data.outputs.empty() ? data.vectors : data.outputs).cols() == scorer.shared_size();
                else
                    return data.projected.cols() == 3 * scorer.decoder().gru().hidden();
            }
        });
    if (fit) return {};
    return Error{ErrorCode::mismatch, "the catalog's parts are not those that the model's scoring reads"};
}

template <class Encoder, class Decoder>
Result<Catalog> BasicRecommender<Encoder, Decoder>::finish_catalog(CatalogData data, std::size_t threads) const {
    data.model = fingerprint();
    if (const auto* scorer = as<NextEvent>(model_->decoder)) {
        RANKLET_ASSIGN(data.projected, project(*scorer, data.vectors.view(), threads));
    }
    if (model_->text_gru) {  // from the zero state, an item's score is its own
        Workspace workspace;
        UserState zero;
        zero.hidden.assign(state_size(*model_), 0.0f);
        RANKLET_TRY(score_from(zero, data, data.ids.size(), threads, workspace));
        data.initial_scores = std::move(workspace.buffers_.scores);
    }
    return Catalog::create(std::move(data));
}

template <class Encoder, class Decoder>
template <class Scorer>
Result<Matrix> BasicRecommender<Encoder, Decoder>::project(const Scorer& scorer, MatrixView<const float> vectors,
                                                           std::size_t threads) {
    const Gru<>& bottom = scorer.decoder().gru().layers().front();
    RANKLET_ASSIGN(Matrix projected, Matrix::zeroed(vectors.rows, 3 * bottom.hidden()));
    constexpr std::size_t rows = 256;
    const std::size_t pieces = (vectors.rows + rows - 1) / rows;
    std::vector<Scratch> scratch(std::min(resolve_threads(threads), std::max<std::size_t>(pieces, 1)));
    for (Scratch& each : scratch) RANKLET_TRY(each.reserve(bottom.input_scratch_size(std::min(rows, vectors.rows))));
    parallel_for(pieces, scratch.size(), [&](std::size_t piece, std::size_t thread) {
        const std::size_t first = piece * rows, count = std::min(rows, vectors.rows - first);
        bottom.project_input(vectors.middle_rows(first, count), projected.view().middle_rows(first, count),
                             scratch[thread]);
    });
    return projected;
}

template <class Encoder, class Decoder>
Result<Matrix> BasicRecommender<Encoder, Decoder>::project_tokens(const Bert& encoder, const TextGru& scorer,
                                                                  std::string_view text, const BatchOptions& options) {
    RANKLET_ASSIGN(const Matrix states, encoder.encode_tokens(text, options));
    return project(scorer, states.view(), 1);
}

template <class Encoder, class Decoder>
Result<void> BasicRecommender<Encoder, Decoder>::encode_items(std::span<const std::string_view> texts,
                                                              const BatchOptions& options, CatalogData& data) const {
    if constexpr (std::is_constructible_v<Encoder, Bert> && std::is_constructible_v<Decoder, TextGru>)
        if (model_->text_gru) return encode_tokens(texts, options, data);
    RANKLET_ASSIGN(data.vectors, encode_texts(*model_, texts, options));
    return {};
}

template <class Encoder, class Decoder>
Result<void> BasicRecommender<Encoder, Decoder>::encode_news(std::span<const Item> items, const BatchOptions& options,
                                                             CatalogData& data) const {
    const NewsEncoder& encoder = *news_encoder();
    const std::size_t views = encoder.view_count();
    std::vector<ViewInput> inputs(items.size() * views);
    for (std::size_t i = 0; i < items.size(); ++i) {
        const auto wrong = [&](std::string_view name, const char* what) {
            return make_error(ErrorCode::invalid_argument, {"item \"", items[i].id, "\": \"", name, "\" ", what});
        };
        ViewInput* own = inputs.data() + i * views;
        const std::size_t title = encoder.find_view("title");
        if (title < views) own[title].text = items[i].text;
        for (const Attribute& attribute : items[i].attributes) {
            const std::size_t v = encoder.find_view(attribute.name);
            if (v == views || v == title || encoder.view_kind(v) == NewsEncoder::ViewKind::vector) continue;
            const auto* text = std::get_if<std::string_view>(&attribute.value);
            if (text == nullptr) return wrong(attribute.name, "is read by the model and has to be one string");
            own[v].text = *text;
        }
        for (const ItemVector& vector : items[i].vectors) {
            const std::size_t v = encoder.find_view(vector.name);
            if (v == views || encoder.view_kind(v) != NewsEncoder::ViewKind::vector)
                return wrong(vector.name, "is no vector that the model reads");
            if (vector.values.size() != encoder.view_size(v))
                return wrong(vector.name, "is a vector of another size than the model's");
            own[v].vector = vector.values;
        }
    }
    RANKLET_ASSIGN(data.vectors, encoder.encode_inputs(inputs, options, data.ids));
    return {};
}

template <class Encoder, class Decoder>
Result<Matrix> BasicRecommender<Encoder, Decoder>::encode_texts(const Model& model,
                                                                std::span<const std::string_view> texts,
                                                                const BatchOptions& options) {
    Result<Matrix> vectors = no_text();
    with_text_encoder(model.encoder, [&](const auto& encoder) { vectors = encoder.encode(texts, options); });
    return vectors;
}

template <class Encoder, class Decoder>
Error BasicRecommender<Encoder, Decoder>::name_item(std::span<const Item> items, const Error& error) {
    for (const Item& item : items)
        if (error.code == ErrorCode::invalid_text && utf8::valid_prefix(item.text) < item.text.size())
            return make_error(error.code, {"item \"", item.id, "\": ", error.message});
    return error;
}

template <class Encoder, class Decoder>
Result<void> BasicRecommender<Encoder, Decoder>::encode_tokens(std::span<const std::string_view> texts,
                                                               const BatchOptions& options, CatalogData& data) const {
    const TextGru& scorer = *as<TextGru>(model_->decoder);
    std::vector<Matrix> parts(texts.size());
    std::vector<std::optional<Error>> errors(texts.size());
    RANKLET_TRY(bert()->for_each_text(texts, options, [&](std::size_t t, MatrixView<const float> states, Scratch&) {
        auto part = project(scorer, states, 1);
        if (part.ok())
            parts[t] = std::move(*part);
        else
            errors[t] = part.error();
    }));
    data.token_offsets.assign(1, 0);
    for (std::size_t t = 0; t < parts.size(); ++t) {
        if (errors[t]) return *errors[t];
        data.token_offsets.push_back(data.token_offsets.back() + parts[t].rows());
    }
    const std::size_t width = 3 * scorer.decoder().gru().hidden();
    RANKLET_ASSIGN(data.projected, Matrix::zeroed(data.token_offsets.back(), width));
    for (std::size_t t = 0; t < parts.size(); ++t)
        std::copy_n(parts[t].view().data, parts[t].rows() * width,
                    data.projected.view().data + data.token_offsets[t] * width);
    return {};
}

RANKLET_NAMESPACE_END
