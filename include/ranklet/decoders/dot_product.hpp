// DotProduct: score = (P h or h) . item + bias, h the GRU's top state, GRU4Rec's form (Hidasi et al. 2016); and what all
// decoders share that meet an item in a dot product.
// In: item vectors of the events, one at a time. Out: the user's vector [dim]; one logit a candidate.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/decoders/gru_decoder.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/linear.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// Candidates to score in one call.
inline constexpr std::size_t dot_product_piece = 4096;

/// scores[i - range.first] = user [dim] . output of item i (+ its bias) for the items of `range`.
inline void score_dot_products(const float* user, const CatalogData& items, IndexRange range, float* scores) noexcept {
    const MatrixView<const float> outputs = items.outputs.empty() ? items.vectors.view() : items.outputs.view();
    const std::size_t count = range.last - range.first;
    kernels::Ops<float>::dot_rows(outputs.row(range.first).data(), count, outputs.stride, user, outputs.cols, scores);
    if (!items.bias.empty()) kernels::Ops<float>::add(scores, items.bias.data() + range.first, scores, count);
}

/// `in`: elements of what an event feeds to the decoder; `dim`: of the user's vector.
RANKLET_COLD inline Result<void> check_dot_product(const CatalogData& items, std::size_t in, std::size_t dim) {
    if (items.vectors.cols() == in && items.token_offsets.empty() &&
        (items.outputs.empty() ? items.vectors : items.outputs).cols() == dim)
        return {};
    return other_columns();
}

}  // namespace detail

class DotProduct final : public GruDecoder {
public:
    static constexpr std::string_view type_name = "dot_product";  ///< `ranklet.recommender.scoring`
    RANKLET_COLD static Result<DotProduct> read(const ModelReader& reader, const ItemEncoder& encoder) {
        DotProduct decoder;
        RANKLET_TRY(decoder.read_gru_of(reader, encoder.dim()));
        decoder.dim_ = encoder.output_dim();
        const std::size_t hidden = decoder.gru().hidden();
        RANKLET_ASSIGN(decoder.projection_, read_linear_if_any(reader, "ranklet.user_proj", hidden, decoder.dim_));
        if (!decoder.projection_ && hidden != decoder.dim_)
            return reader.wrong("ranklet.user_proj.weight", {" is not there: item vectors have ", decoder.dim_,
                                                             " elements, the user state ", hidden});
        return decoder;
    }

    KindId kind() const noexcept override { return kind_id<DotProduct>; }
    Result<void> prepare(CatalogData&, ItemUse, Threads) const override { return {}; }
    using GruDecoder::check;
    Result<void> check(const CatalogData& items) const override {
        return detail::check_dot_product(items, gru().in(), dim_);
    }

    std::size_t piece() const noexcept override { return detail::dot_product_piece; }
    std::size_t query_size() const noexcept override { return dim_; }
    std::size_t scratch_size() const noexcept override { return 0; }
    bool has_user_vector() const noexcept override { return true; }
    /// The user's vector [dim] from the state.
    void begin(const ScoreRequest& request, float* query, Scratch&) const noexcept override {
        const auto top = gru().top(request.state.hidden);
        if (projection_)
            projection_->forward({top.data(), 1, top.size()}, {query, 1, dim_});
        else
            std::copy(top.begin(), top.end(), query);
    }
    void score(const ScoreRequest& request, const float* query, IndexRange range, float* scores,
               Scratch&) const noexcept override {
        detail::score_dot_products(query, request.items, range, scores);
    }

private:
    std::optional<Linear<>> projection_;
    std::size_t dim_ = 0;
};

RANKLET_NAMESPACE_END
