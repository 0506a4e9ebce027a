// Users of a recommender: made, loaded, and carried on by events.
// Definitions of BasicRecommender's members; included by recommender.hpp.
#pragma once

#include "ranklet/recommender.hpp"

RANKLET_NAMESPACE_BEGIN

template <class Encoder, class Decoder>
typename BasicRecommender<Encoder, Decoder>::User BasicRecommender<Encoder, Decoder>::new_user(
    std::string_view id) const {
    User user(model_);
    user.state_.user = id;
    user.reset();
    return user;
}

template <class Encoder, class Decoder>
Result<typename BasicRecommender<Encoder, Decoder>::User> BasicRecommender<Encoder, Decoder>::load_user(
    std::span<const std::byte> bytes) const {
    RANKLET_ASSIGN(UserState state, UserState::load(bytes));
    return load_user(std::move(state));
}

template <class Encoder, class Decoder>
Result<typename BasicRecommender<Encoder, Decoder>::User> BasicRecommender<Encoder, Decoder>::load_user(
    UserState state) const {
    if (state.model != fingerprint()) return Error{ErrorCode::mismatch, "the user state was made by another model"};
    if (state.hidden.size() != state_size(*model_))
        return make_error(ErrorCode::format, {"the user state has ", state.hidden.size(), " values, the model's have ",
                                              state_size(*model_)});
    if (!std::all_of(state.hidden.begin(), state.hidden.end(), [](float h) { return std::isfinite(h); }))
        return Error{ErrorCode::format, "the user state has a hidden value that is not finite"};
    const UserTower* tower = user_tower();
    const std::size_t width = tower == nullptr ? 0 : tower->memory_width();
    if (!std::all_of(state.memory.begin(), state.memory.end(), [](float x) { return std::isfinite(x); }))
        return Error{ErrorCode::format, "the user state remembers a value that is not finite"};
    if (state.memory_width != width || state.memory.size() != state.memory_rows() * width ||
        (width > 0 && state.memory_rows() > tower->max_events()))
        return make_error(ErrorCode::format, {"the user state remembers ", state.memory_rows(), " events of ",
                                              state.memory_width, " values, which is not what the model's does"});
    User user(model_);
    user.state_ = std::move(state);
    return user;
}

template <class Encoder, class Decoder>
void BasicRecommender<Encoder, Decoder>::User::reset() {
    if (const UserTower* tower = as<UserTower>(model_->decoder))
        tower->begin_user(state_);
    else
        state_.hidden.assign(state_size(*model_), 0.0f);
    state_.events.clear();
    state_.model = model_->fingerprint;
}

template <class Encoder, class Decoder>
Result<void> BasicRecommender<Encoder, Decoder>::User::observe(const ItemRef& item, float rating) {
    if (item.data().model != model_->fingerprint)
        return make_error(ErrorCode::mismatch, {"item \"", item.id(), "\" is of another model's catalog"});
    RANKLET_TRY(check_shapes(*model_, item.data()));
    RANKLET_TRY(check_rating(rating));
    const std::size_t i = item.index();
    if (const TextGru* scorer = as<TextGru>(model_->decoder)) {
        const auto& offsets = item.data().token_offsets;
        RANKLET_TRY(run(*scorer, item.data().projected.view().middle_rows(offsets[i], offsets[i + 1] - offsets[i])));
    } else {
        RANKLET_TRY(advance(item.vector(), rating));
    }
    state_.events.push_back({std::string(item.id()), rating});
    return {};
}

template <class Encoder, class Decoder>
Result<void> BasicRecommender<Encoder, Decoder>::User::observe(const Result<ItemRef>& item, float rating) {
    if (!item.ok()) return item.error();
    return observe(*item, rating);
}

template <class Encoder, class Decoder>
Result<void> BasicRecommender<Encoder, Decoder>::User::observe_text(std::string_view text, float rating,
                                                                    const BatchOptions& options) {
    RANKLET_TRY(check_rating(rating));
    if (const TextGru* scorer = as<TextGru>(model_->decoder)) {
        const Bert* encoder = as<Bert>(model_->encoder);
        if (encoder == nullptr) return no_text();
        RANKLET_ASSIGN(const Matrix projected, project_tokens(*encoder, *scorer, text, options));
        RANKLET_TRY(run(*scorer, projected.view()));
    } else {
        RANKLET_ASSIGN(const Matrix vector, encode_texts(*model_, std::span(&text, 1), options));
        RANKLET_TRY(advance(vector.row(0), rating));
    }
    state_.events.push_back({std::string(), rating});
    return {};
}

template <class Encoder, class Decoder>
Result<void> BasicRecommender<Encoder, Decoder>::User::advance(std::span<const float> vector, float rating) {
    return visit(model_->decoder, [&](const auto& scorer) -> Result<void> {
        if constexpr (is_tower<decltype(scorer)>) {
            scorer.make_room(state_);
            RANKLET_TRY(scratch_.reserve(scorer.advance_scratch_size()));
            if (scorer.advance(state_, vector.data(), rating, scratch_)) return {};
            return not_finite();
        } else {
            const GruDecoder& decoder = scorer.decoder();
            return step(decoder.advance_scratch_size(),
                        [&] { decoder.advance(state_.hidden, vector.data(), rating, scratch_); });
        }
    });
}

template <class Encoder, class Decoder>
Result<void> BasicRecommender<Encoder, Decoder>::User::run(const TextGru& scorer, MatrixView<const float> projected) {
    return step(scorer.run_scratch_size(), [&] { scorer.run(state_.hidden, projected, nullptr, scratch_); });
}

template <class Encoder, class Decoder>
template <class Function>
Result<void> BasicRecommender<Encoder, Decoder>::User::step(std::size_t scratch_size, const Function& function) {
    auto& hidden = state_.hidden;
    RANKLET_TRY(scratch_.reserve(scratch_size + scratch_bytes<float>(hidden.size())));
    const ScratchFrame frame(scratch_);
    float* before = scratch_.take<float>(hidden.size());
    std::copy(hidden.begin(), hidden.end(), before);
    function();
    if (std::all_of(hidden.begin(), hidden.end(), [](float h) { return std::isfinite(h); })) return {};
    std::copy_n(before, hidden.size(), hidden.begin());
    return not_finite();
}

RANKLET_NAMESPACE_END
