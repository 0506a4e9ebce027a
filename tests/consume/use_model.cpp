// The second file of a program that links ranklet::compiled: it refuses a model file that is none.
#include "ranklet/ranklet.hpp"

bool refuses_what_is_no_model() {
    const auto model = ranklet::Recommender::load("no/such/file.gguf");
    return !model.ok() && model.error().code == ranklet::ErrorCode::io;
}
