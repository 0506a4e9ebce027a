// RatingInput: how an event's rating enters the decoder (`ranklet.rating.*` of the model file).
// In: an item vector and a rating. Out: the vector that the GRU is fed with.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/decoders/user_state.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/layers/load.hpp"

RANKLET_NAMESPACE_BEGIN

class RatingInput {
public:
    RANKLET_COLD static Result<RatingInput> load(const GgufFile& file, std::size_t dim) {
        RatingInput input;
        if (!file.has("ranklet.rating.mode")) return input;
        RANKLET_ASSIGN(const auto mode, file.string("ranklet.rating.mode"));
        if (mode == "none") return input;
        if (mode == "weight") {
            input.mode_ = Mode::weight;
            RANKLET_ASSIGN(input.scale_, file.f32("ranklet.rating.scale"));
            return input;
        }
        if (mode != "embedding")
            return make_error(ErrorCode::unsupported, {file.name(), ": unknown ranklet.rating.mode \"", mode, "\""});
        input.mode_ = Mode::embedding;
        RANKLET_ASSIGN(input.values_, file.floats("ranklet.rating.values"));
        for (std::size_t i = 1; i < input.values_.size(); ++i)
            if (!(input.values_[i - 1] < input.values_[i]))
                return make_error(ErrorCode::format, {file.name(), ": ranklet.rating.values must ascend"});
        if (input.values_.empty())
            return make_error(ErrorCode::format, {file.name(), ": ranklet.rating.values is empty"});
        RANKLET_ASSIGN(input.embedding_, load_matrix(file, "ranklet.rating.weight", input.values_.size(), dim));
        return input;
    }

    bool used() const noexcept { return mode_ != Mode::none; }

    /// out = vector, changed by the rating (no_rating: unchanged); `out` may be `vector`.
    void apply(const float* vector, float rating, float* out, std::size_t dim) const noexcept {
        std::copy_n(vector, dim, out);
        if (std::isnan(rating) || mode_ == Mode::none) return;
        if (mode_ == Mode::weight) return kernels::Ops<float>::scale(rating * scale_, out, dim);
        kernels::Ops<float>::add(out, embedding_.row(nearest(rating)).data(), out, dim);
    }

private:
    enum class Mode { none, embedding, weight };

    std::size_t nearest(float rating) const noexcept {
        std::size_t i = 0;
        while (i + 1 < values_.size() && rating - values_[i] > values_[i + 1] - rating) ++i;
        return i;
    }

    Mode mode_ = Mode::none;
    float scale_ = 1.0f;
    std::vector<float> values_;
    Matrix embedding_;  // [values, dim]
};

RANKLET_NAMESPACE_END
