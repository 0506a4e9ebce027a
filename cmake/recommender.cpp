// ranklet::Recommender, compiled once for all programs of a build that define RANKLET_EXTERN_RECOMMENDER.
#include <ranklet/recommender.hpp>

template class ranklet::BasicRecommender<ranklet::AnyEncoder, ranklet::AnyDecoder>;
