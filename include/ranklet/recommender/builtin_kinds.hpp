// The library's kinds of encoders and decoders: the one place that names them all.
// In: nothing. Out: the table that Recommender::load looks a file's types up in.
#pragma once

#include <array>

#include "ranklet/core/config.hpp"
#include "ranklet/decoders/blend.hpp"
#include "ranklet/decoders/dot_product.hpp"
#include "ranklet/decoders/followers.hpp"
#include "ranklet/decoders/history.hpp"
#include "ranklet/decoders/next_event.hpp"
#include "ranklet/decoders/prior.hpp"
#include "ranklet/decoders/text_gru.hpp"
#include "ranklet/decoders/user_tower.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/encoders/item_table.hpp"
#include "ranklet/encoders/news_encoder.hpp"
#include "ranklet/encoders/word_vectors.hpp"
#include "ranklet/recommender/kind.hpp"

RANKLET_NAMESPACE_BEGIN

inline constexpr std::array<const Kind*, 12> builtin_kinds{
    &kind<Bert>,       &kind<WordVectors>,      &kind<NewsEncoder>,  &kind<ItemTable>,
    &kind<DotProduct>, &kind<NextEvent>,        &kind<TextGru>,      &kind<UserTower>,
    &kind<History>,    &kind<FollowersDecoder>, &kind<PriorDecoder>, &kind<Blend>,
};

RANKLET_NAMESPACE_END
