// How a recommender scores and ranks: the decoder over a catalog's items for one user, in pieces on several threads.
// Definitions of BasicRecommender's members; included by recommender.hpp.
#pragma once

#include "ranklet/recommender.hpp"

RANKLET_NAMESPACE_BEGIN

template <class Encoder, class Decoder>
Result<Ranking> BasicRecommender<Encoder, Decoder>::recommend(const User& user, const Catalog& catalog,
                                                              const RecommendOptions& options) const {
    Workspace workspace;
    RANKLET_ASSIGN(const auto ranked, recommend(user, catalog, options, workspace));
    return Ranking{catalog, {ranked.begin(), ranked.end()}};
}

template <class Encoder, class Decoder>
Result<std::span<const Recommendation>> BasicRecommender<Encoder, Decoder>::recommend(const User& user,
                                                                                      const Catalog& catalog,
                                                                                      const RecommendOptions& options,
                                                                                      Workspace& workspace) const {
    RANKLET_TRY(options.check(catalog));
    RANKLET_TRY(score(user, catalog, options, workspace));
    RankingBuffers& buffers = workspace.buffers_;
    buffers.filter(catalog, options);
    if (options.exclude_seen)
        for (const Event& event : user.state().events) buffers.remove(catalog.find(event.id));
    buffers.rank(catalog, options);
    return std::span<const Recommendation>(buffers.ranked);
}

template <class Encoder, class Decoder>
Result<std::vector<float>> BasicRecommender<Encoder, Decoder>::scores(const User& user, const Catalog& catalog,
                                                                      const RecommendOptions& options) const {
    Workspace workspace;
    RANKLET_TRY(score(user, catalog, options, workspace));
    return std::move(workspace.buffers_.scores);
}

template <class Encoder, class Decoder>
Result<std::vector<float>> BasicRecommender<Encoder, Decoder>::scores_of(const User& user, const Catalog& catalog,
                                                                         std::span<const std::size_t> indices,
                                                                         const RecommendOptions& options) const {
    RANKLET_TRY(check(user));
    RANKLET_TRY(check(catalog.data()));
    std::vector<ItemPick> picks;
    for (const std::size_t index : indices) {
        if (index >= catalog.size())
            return make_error(ErrorCode::invalid_argument,
                              {"candidate ", picks.size(), " is item ", index, " of ", catalog.size()});
        picks.push_back({0, index});
    }
    const CatalogData* source = &catalog.data();
    RANKLET_ASSIGN(CatalogData candidates, gather_items(std::span(&source, 1), picks));
    Workspace workspace;
    RANKLET_TRY(score(user, candidates, picks.size(), options, workspace));
    return std::move(workspace.buffers_.scores);
}

template <class Encoder, class Decoder>
Result<std::vector<float>> BasicRecommender<Encoder, Decoder>::scores_of(const User& user, const Catalog& catalog,
                                                                         std::span<const std::string_view> ids,
                                                                         const RecommendOptions& options) const {
    std::vector<std::size_t> indices;
    for (const std::string_view id : ids) {
        RANKLET_ASSIGN(const ItemRef item, catalog.at(id));
        indices.push_back(item.index());
    }
    return scores_of(user, catalog, indices, options);
}

template <class Encoder, class Decoder>
Result<std::vector<float>> BasicRecommender<Encoder, Decoder>::user_vector(const User& user) const {
    RANKLET_TRY(check(user));
    return visit(model_->decoder, [&](const auto& scorer) -> Result<std::vector<float>> {
        using Scorer = std::remove_cvref_t<decltype(scorer)>;
        if constexpr (std::is_same_v<Scorer, DotProduct> || is_tower<Scorer>) {
            std::vector<float> vector(scorer.shared_size());
            Scratch scratch;
            RANKLET_TRY(scratch.reserve(scorer.begin_scratch_size()));
            if constexpr (is_tower<Scorer>)
                scorer.begin(user.state(), vector.data(), scratch);
            else
                scorer.begin(std::span<const float>(user.state().hidden), vector.data(), scratch);
            return vector;
        } else {
            return Error{ErrorCode::unsupported, "this model's scores are not dot products with a user's vector"};
        }
    });
}

template <class Encoder, class Decoder>
Result<std::vector<float>> BasicRecommender<Encoder, Decoder>::position_scores(const User& user, std::string_view text,
                                                                               const BatchOptions& options) const {
    RANKLET_TRY(check(user));
    const TextGru* scorer = as<TextGru>(model_->decoder);
    if (scorer == nullptr || bert() == nullptr)
        return Error{ErrorCode::unsupported, "scores per position exist in text_gru models only"};
    RANKLET_ASSIGN(const Matrix projected, project_tokens(*bert(), *scorer, text, options));
    std::vector<float> state = user.state().hidden, result(projected.rows());
    Scratch scratch;
    RANKLET_TRY(scratch.reserve(scorer->run_scratch_size()));
    scorer->run(state, projected.view(), result.data(), scratch);
    return result;
}

template <class Encoder, class Decoder>
Result<void> BasicRecommender<Encoder, Decoder>::check(const User& user) const {
    if (user.model_ == nullptr) return Error{ErrorCode::invalid_argument, "the user has no state: it was moved from"};
    if (user.model_ != model_ && user.state().model != fingerprint())
        return Error{ErrorCode::mismatch, "the user belongs to another model"};
    if (user.state().hidden.size() != state_size(*model_))
        return Error{ErrorCode::invalid_argument, "the user has no state: it was moved from"};
    return {};
}

template <class Encoder, class Decoder>
Result<void> BasicRecommender<Encoder, Decoder>::check(const CatalogData& catalog) const {
    if (catalog.model != fingerprint()) return Error{ErrorCode::mismatch, "the catalog was made by another model"};
    return check_shapes(*model_, catalog);
}

template <class Encoder, class Decoder>
Result<void> BasicRecommender<Encoder, Decoder>::score(const User& user, const Catalog& catalog,
                                                       const RecommendOptions& options, Workspace& workspace) const {
    RANKLET_TRY(check(user));
    RANKLET_TRY(check(catalog.data()));
    return score(user, catalog.data(), catalog.size(), options, workspace);
}

template <class Encoder, class Decoder>
Result<void> BasicRecommender<Encoder, Decoder>::score(const User& user, const CatalogData& data, std::size_t n,
                                                       const RecommendOptions& options, Workspace& workspace) const {
    const UserState& state = user.state();
    const bool from_zero = options.initial_state == InitialState::zero ||
                           std::all_of(state.hidden.begin(), state.hidden.end(), [](float h) { return h == 0.0f; });
    if (!model_->text_gru || !from_zero) return score_from(state, data, n, options.threads, workspace);
    if (data.initial_scores.size() == n && n > 0)
        return score_from(state, data, n, options.threads, workspace, data.initial_scores);
    UserState zero;  // a catalog that the caller put together may lack these scores
    zero.hidden.assign(state_size(*model_), 0.0f);
    return score_from(zero, data, n, options.threads, workspace);
}

template <class Encoder, class Decoder>
Result<void> BasicRecommender<Encoder, Decoder>::score_from(const UserState& state, const CatalogData& data,
                                                            std::size_t n, std::size_t max_threads,
                                                            Workspace& workspace, std::span<const float> known) const {
    return visit(model_->decoder, [&](const auto& scorer) -> Result<void> {
        const CandidateView candidates{data.outputs.empty() ? data.vectors.view() : data.outputs.view(), data.bias,
                                       data.projected.view(), data.token_offsets};
        const std::size_t piece = scorer.piece, pieces = (n + piece - 1) / piece;
        const std::size_t threads = std::min(resolve_threads(max_threads), std::max<std::size_t>(pieces, 1));
        workspace.buffers_.scores.resize(n);
        workspace.shared_.resize(scorer.shared_size());
        if (workspace.scratch_.size() < threads) workspace.scratch_.resize(threads);
        for (Scratch& scratch : workspace.scratch_)
            RANKLET_TRY(scratch.reserve(std::max(scorer.begin_scratch_size(), scorer.score_scratch_size())));
        if (!known.empty()) {
            std::copy(known.begin(), known.end(), workspace.buffers_.scores.begin());
            return {};
        }
        if constexpr (is_tower<decltype(scorer)>)
            scorer.begin(state, workspace.shared_.data(), workspace.scratch_[0]);
        else
            scorer.begin(std::span<const float>(state.hidden), workspace.shared_.data(), workspace.scratch_[0]);
        parallel_for(pieces, threads, [&](std::size_t p, std::size_t thread) {
            const IndexRange range{p * piece, std::min(n, (p + 1) * piece)};
            scorer.score(std::span<const float>(state.hidden), workspace.shared_.data(), candidates, range,
                         workspace.buffers_.scores.data() + range.first, workspace.scratch_[thread]);
        });
        return {};
    });
}

RANKLET_NAMESPACE_END
