// RatingInput: how an event's rating enters the decoder (`ranklet.rating.*` of the model file).
// In: an item vector and a rating. Out: the vector that the GRU is fed with.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/decoders/user_state.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

class RatingInput {
    enum class Mode { none, embedding, weight };

public:
    /// From `ranklet.rating.*`; `dim`: elements of an event's vector.
    RANKLET_COLD static Result<RatingInput> read(const ModelReader& reader, std::size_t dim) {
        const ModelReader keys = reader.scope("ranklet.rating");
        RatingInput input;
        if (!keys.has("mode")) return input;
        RANKLET_ASSIGN(input.mode_,
                       keys.choice<Mode>(
                           "mode", {{"none", Mode::none}, {"embedding", Mode::embedding}, {"weight", Mode::weight}}));
        if (input.mode_ == Mode::weight) {
            RANKLET_ASSIGN(input.scale_, keys.f32("scale"));
        }
        if (input.mode_ != Mode::embedding) return input;
        RANKLET_ASSIGN(input.values_, keys.floats("values"));
        if (input.values_.empty()) return keys.wrong("values", {" is empty"});
        for (std::size_t i = 1; i < input.values_.size(); ++i)
            if (!(input.values_[i - 1] < input.values_[i])) return keys.wrong("values", {" must ascend"});
        RANKLET_ASSIGN(input.embedding_, keys.matrix("weight", input.values_.size(), dim));
        return input;
    }

    bool used() const noexcept { return mode_ != Mode::none; }

    /// out = vector, changed by the rating: the embedding of the nearest value is added (beyond the values: of the first or
    /// last), or all is multiplied by it
    /// (no_rating: unchanged); `out` may be `vector`.
    void apply(const float* vector, float rating, float* out, std::size_t dim) const noexcept {
        std::copy_n(vector, dim, out);
        if (std::isnan(rating) || mode_ == Mode::none) return;
        if (mode_ == Mode::weight) return kernels::Ops<float>::scale(rating * scale_, out, dim);
        kernels::Ops<float>::add(out, embedding_.row(nearest(rating)).data(), out, dim);
    }

private:
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

}  // namespace detail
RANKLET_NAMESPACE_END
