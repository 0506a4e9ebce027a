// How a recommender is made from a model file: encoder, decoder, their sizes, and the file's self-test.
// Definitions of BasicRecommender's members; included by recommender.hpp.
#pragma once

#include "ranklet/recommender.hpp"

RANKLET_NAMESPACE_BEGIN

template <class Encoder, class Decoder>
Result<BasicRecommender<Encoder, Decoder>> BasicRecommender<Encoder, Decoder>::load(const std::string& path,
                                                                                    const LoadOptions& options) {
    RANKLET_ASSIGN(const GgufFile file, GgufFile::open(path));
    return from_file(file, options);
}

template <class Encoder, class Decoder>
Result<BasicRecommender<Encoder, Decoder>> BasicRecommender<Encoder, Decoder>::from_file(const GgufFile& file,
                                                                                         const LoadOptions& options) {
    if (options.verify_checksum) RANKLET_TRY(file.verify_checksum());
    RANKLET_TRY(check_version(file));
    if (!file.has("ranklet.recommender.scoring"))
        return make_error(ErrorCode::missing, {file.name(),
                                               ": no key ranklet.recommender.scoring: an encoder alone, or "
                                               "not a model of this library"});
    auto model = std::make_shared<Model>();
    RANKLET_ASSIGN(model->encoder, load_encoder(file, options.bert));
    RANKLET_ASSIGN(model->decoder, load_decoder(file, model->encoder));
    model->fingerprint = file.fingerprint();
    model->text_gru = visit(model->decoder, [](const auto& d) { return is_text_gru<decltype(d)>; });
    BasicRecommender recommender;
    recommender.model_ = std::move(model);
    RANKLET_TRY(recommender.check_sizes(file));
    if (options.self_test) RANKLET_TRY(recommender.self_test(file));
    return recommender;
}

template <class Encoder, class Decoder>
Result<Encoder> BasicRecommender<Encoder, Decoder>::load_encoder(const GgufFile& file, const BertDefaults& defaults) {
    RANKLET_ASSIGN(const auto type, file.string("ranklet.encoder.type"));
    if constexpr (std::is_constructible_v<Encoder, Bert>)
        if (type == "bert") {
            RANKLET_ASSIGN(auto encoder, Bert::from_file(file, defaults));
            return Encoder(std::move(encoder));
        }
    if constexpr (std::is_constructible_v<Encoder, WordVectors>)
        if (type == "word_vectors") {
            RANKLET_ASSIGN(auto encoder, WordVectors::from_file(file));
            return Encoder(std::move(encoder));
        }
    if constexpr (std::is_constructible_v<Encoder, NewsEncoder>)
        if (type == "news") {
            RANKLET_ASSIGN(auto encoder, NewsEncoder::from_file(file));
            return Encoder(std::move(encoder));
        }
    if constexpr (std::is_constructible_v<Encoder, ItemTable>)
        if (type == "items") {
            RANKLET_ASSIGN(auto encoder, ItemTable::load(file));
            return Encoder(std::move(encoder));
        }
    return make_error(ErrorCode::unsupported,
                      {file.name(), ": ranklet.encoder.type \"", type, "\" is not one this program reads"});
}

template <class Encoder, class Decoder>
Result<Decoder> BasicRecommender<Encoder, Decoder>::load_decoder(const GgufFile& file, const Encoder& encoder) {
    RANKLET_ASSIGN(const auto scoring, file.string("ranklet.recommender.scoring"));
    const std::size_t dim = visit(encoder, [](const auto& e) { return output_dim(e); });
    if constexpr (std::is_constructible_v<Decoder, DotProduct>)
        if (scoring == "dot_product") {
            RANKLET_ASSIGN(auto decoder, DotProduct::load(file, dim));
            return Decoder(std::move(decoder));
        }
    if constexpr (std::is_constructible_v<Decoder, NextEvent>)
        if (scoring == "next_event") {
            RANKLET_ASSIGN(auto decoder, NextEvent::load(file));
            return Decoder(std::move(decoder));
        }
    if constexpr (std::is_constructible_v<Decoder, TextGru>)
        if (scoring == "text_gru") {
            RANKLET_ASSIGN(auto decoder, TextGru::load(file));
            return Decoder(std::move(decoder));
        }
    if constexpr (std::is_constructible_v<Decoder, UserTower>)
        if (scoring == "user_tower") {
            const std::size_t in = visit(encoder, [](const auto& e) { return e.dim(); });
            RANKLET_ASSIGN(auto decoder, UserTower::load(file, in, dim));
            return Decoder(std::move(decoder));
        }
    return make_error(ErrorCode::unsupported,
                      {file.name(), ": ranklet.recommender.scoring \"", scoring, "\" is not one this program reads"});
}

template <class Encoder, class Decoder>
Result<void> BasicRecommender<Encoder, Decoder>::check_sizes(const GgufFile& file) const {
    const std::size_t in = event_size(*model_);
    if (model_->text_gru && bert() == nullptr)
        return make_error(ErrorCode::format, {file.name(), ": text_gru needs BERT's token states"});
    const std::size_t fed =
        model_->text_gru ? bert()->hidden() : visit(model_->encoder, [](const auto& e) { return e.dim(); });
    if (in != fed)
        return make_error(ErrorCode::format,
                          {file.name(), ": ranklet.gru.input_size is ", in, ", the encoder gives ", fed});
    return {};
}

template <class Encoder, class Decoder>
Result<void> BasicRecommender<Encoder, Decoder>::self_test(const GgufFile& file) const {
    if (!file.has("ranklet.selftest.tolerance"))
        return make_error(ErrorCode::missing,
                          {file.name(), ": no self-test (LoadOptions::self_test = false loads it)"});
    Catalog catalog;
    Result<void> encoder_test;
    const bool encodes = with_text_encoder(model_->encoder, [&](const auto& encoder) {
        if constexpr (requires { encoder.self_test(file); }) encoder_test = encoder.self_test(file);
    });
    RANKLET_TRY(encoder_test);
    if (const NewsEncoder* news = news_encoder()) {
        RANKLET_ASSIGN(const auto inputs, news->self_test_inputs(file));
        CatalogData data;
        RANKLET_ASSIGN(data.vectors, news->encode_inputs(inputs));
        for (std::size_t i = 0; i < data.vectors.rows(); ++i) data.ids.push_back(std::to_string(i));
        RANKLET_ASSIGN(catalog, finish_catalog(std::move(data), 1));
    } else if (encodes) {
        RANKLET_ASSIGN(const auto texts, file.strings("ranklet.selftest.texts"));
        std::vector<std::string> ids;
        for (std::size_t i = 0; i < texts.size(); ++i) ids.push_back(std::to_string(i));
        std::vector<Item> items;
        for (std::size_t i = 0; i < texts.size(); ++i) items.push_back({ids[i], texts[i]});
        BatchOptions batch;
        batch.prompt = "";
        RANKLET_ASSIGN(catalog, encode_catalog(items, batch));
    } else {
        RANKLET_ASSIGN(catalog, this->items());
    }
    RANKLET_ASSIGN(const auto history, file.i32s("ranklet.selftest.history"));
    std::vector<float> ratings(history.size(), no_rating);
    if (file.has("ranklet.selftest.ratings")) {
        RANKLET_ASSIGN(ratings, file.floats("ranklet.selftest.ratings"));
    }
    if (ratings.size() != history.size())
        return make_error(ErrorCode::format, {file.name(), ": ranklet.selftest.ratings and .history differ in length"});
    std::string_view id;
    if (file.has("ranklet.selftest.user")) {
        RANKLET_ASSIGN(id, file.string("ranklet.selftest.user"));
    }
    User user = new_user(id);
    for (std::size_t e = 0; e < history.size(); ++e) {
        if (history[e] < 0 || static_cast<std::size_t>(history[e]) >= catalog.size())
            return make_error(ErrorCode::format, {file.name(), ": ranklet.selftest.history names item ", history[e],
                                                  " of ", catalog.size()});
        const auto status = user.observe(catalog[static_cast<std::size_t>(history[e])], ratings[e]);
        if (!status.ok())
            return make_error(ErrorCode::self_test, {file.name(), ": self-test failed: ranklet.selftest.history[", e,
                                                     "]: ", status.error().message});
    }
    RANKLET_ASSIGN(const auto expected, file.floats("ranklet.selftest.scores"));
    RANKLET_ASSIGN(const auto found, scores(user, catalog));
    return compare_self_test(file, "ranklet.selftest.scores", expected, found);
}

RANKLET_NAMESPACE_END
