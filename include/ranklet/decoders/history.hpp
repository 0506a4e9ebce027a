// History: what a user likes is what they met, so a recommender needs no trained decoder: an encoder's file is enough.
// In: item vectors of the events, one at a time. Out: one logit a candidate. Nothing of it is trained.
//   mean:  score = (1/A) sum over events e of w_e (v_e - m) . v_candidate
//   power: score = (1/A) sum over events e of w_e max(cos(v_e - m, v_candidate - m), 0)^power
// w_e = weight of the event's rating * decay^(events after it), A the sum of |w_e|, m the catalog's mean (zero where it is
// not to be taken off). With the mean a user is a vector of constant size; with a power, the vectors of the last events.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/decoders/decoder.hpp"
#include "ranklet/decoders/dot_product.hpp"
#include "ranklet/decoders/rating_weight.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/model_file/load.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN

class History final : public Decoder {
public:
    static constexpr std::string_view type_name = "history";  ///< `ranklet.recommender.scoring`
    /// From `ranklet.history.*`; `options.history`, where it is given, in place of them.
    RANKLET_COLD static Result<History> read(const ModelReader& reader, const ItemEncoder& encoder,
                                             const LoadOptions& options);

    const HistoryOptions& options() const noexcept { return options_; }

    KindId kind() const noexcept override { return kind_id<History>; }
    Result<void> prepare(CatalogData& items, ItemUse use, Threads threads) const override;
    RANKLET_COLD Result<void> check(const CatalogData& items) const override;

    void begin_user(UserState& state) const override {
        state.hidden.assign(by_mean() ? dim_ + 2 : 0, 0.0f);  // sum of w_e v_e, of w_e, of |w_e|
        state.memory.clear();
        state.memory_width = by_mean() ? 0 : dim_ + 1;  // v_e and its rating's weight
    }
    RANKLET_COLD Result<void> check(const UserState& state) const override;
    Result<void> observe(UserState& state, const CatalogData& items, std::size_t index, float rating,
                         Scratch& scratch) const override;

    std::size_t piece() const noexcept override { return detail::dot_product_piece; }
    std::size_t work() const noexcept override { return by_mean() ? 16 * dim_ : 2 * options_.events * dim_; }
    std::size_t query_size() const noexcept override {
        return by_mean() ? dim_ : options_.events * (dim_ + 2) + dim_ + 1;
    }
    std::size_t scratch_size() const noexcept override {
        return by_mean() ? 0 : 2 * scratch_bytes<float>(detail::dot_product_piece);
    }
    bool has_user_vector() const noexcept override { return by_mean(); }
    bool query_reads_items() const noexcept override { return options_.centre; }
    void begin(const ScoreRequest& request, float* query, Scratch& scratch) const noexcept override;
    void score(const ScoreRequest& request, const float* query, IndexRange range, float* scores,
               Scratch& scratch) const noexcept override;

    /// The score's own terms: they add up to it, but for rounding.
    RANKLET_COLD Result<std::vector<EventTerm>> event_terms(const ScoreRequest& request,
                                                            std::span<const ItemRef> events,
                                                            std::size_t index) const override;

private:
    static constexpr const char *mean_part = "history.mean", *square_part = "history.squares";
    using Ops = kernels::Ops<float>;

    bool by_mean() const noexcept { return options_.power == 0; }
    /// The catalog's mean [dim]; null where it is not taken off.
    const float* mean_of(const CatalogData& items) const noexcept {
        const auto mean = items.part(mean_part);
        return options_.centre && mean.rows > 0 ? mean.data : nullptr;
    }

    // A power's query: centred events of length 1 [events, dim], w_e / A [events], their products with the mean [events],
    // the mean [dim] and its square.
    template <class Float>
    struct PowerQuery {
        Float *events, *weights, *shifts, *mean, *square;
    };
    template <class Float>
    PowerQuery<Float> power_query(Float* query) const noexcept {
        Float* weights = query + options_.events * dim_;
        Float* mean = weights + 2 * options_.events;
        return {query, weights, weights + options_.events, mean, mean + dim_};
    }

    HistoryOptions options_;
    std::size_t dim_ = 0;
};

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS
RANKLET_NAMESPACE_BEGIN

RANKLET_FUNC Result<History> History::read(const ModelReader& reader, const ItemEncoder& encoder,
                                           const LoadOptions& options) {
    History decoder;
    decoder.dim_ = encoder.dim();
    const ModelReader keys = reader.scope("ranklet.history");
    HistoryOptions& own = decoder.options_;
    if (options.history) {
        own = *options.history;
    } else {
        if (keys.has("decay")) {
            RANKLET_ASSIGN(own.decay, keys.f32("decay"));
        }
        RANKLET_ASSIGN(own.centre, keys.boolean_or("centre", own.centre));
        RANKLET_ASSIGN(own.power, keys.u32_or("power", own.power));
        RANKLET_ASSIGN(own.events, keys.u32_or("events", own.events));
        RANKLET_ASSIGN(own.rating, detail::read_rating_weight(keys, own.rating));
    }
    if (!(own.decay > 0.0f && own.decay <= 1.0f))
        return keys.wrong("decay", {" is ", own.decay, ", expected above 0, at most 1"});
    if (own.power > 8) return keys.wrong("power", {" is ", own.power, ", expected 0 to 8"});
    if (own.events < 1 || own.events > 1000) return keys.wrong("events", {" is ", own.events, ", expected 1 to 1000"});
    RANKLET_TRY(detail::check_rating_weight(keys, own.rating));
    if (encoder.output_dim() != encoder.dim())
        return make_error(ErrorCode::unsupported,
                          {reader.file().name(), ": items have vectors of ", encoder.dim(), " elements and outputs of ",
                           encoder.output_dim(), ": scoring by the history wants both alike"});
    return decoder;
}

// The mean is summed in double precision in the catalog's order, the squares by the dot product's own tree.
RANKLET_FUNC Result<void> History::prepare(CatalogData& items, ItemUse use, Threads) const {
    const MatrixView<const float> vectors = std::as_const(items.vectors).view();
    if (use == ItemUse::event || vectors.rows == 0) return {};
    if (options_.centre && items.find_part(mean_part) == nullptr) {
        std::vector<double> sums(dim_);
        for (std::size_t i = 0; i < vectors.rows; ++i)
            for (std::size_t d = 0; d < dim_; ++d) sums[d] += static_cast<double>(vectors(i, d));
        RANKLET_ASSIGN(Matrix mean, Matrix::zeroed(1, dim_));
        for (std::size_t d = 0; d < dim_; ++d)
            mean.row(0)[d] = static_cast<float>(sums[d] / static_cast<double>(vectors.rows));
        items.set_part(mean_part, PartRows::catalog, std::move(mean));
    }
    if (!by_mean() && items.find_part(square_part) == nullptr) {
        RANKLET_ASSIGN(Matrix squares, Matrix::zeroed(vectors.rows, 1));
        for (std::size_t i = 0; i < vectors.rows; ++i)
            squares.row(i)[0] = Ops::dot(vectors.row(i).data(), vectors.row(i).data(), dim_);
        items.set_part(square_part, PartRows::item, std::move(squares));
    }
    return {};
}

RANKLET_FUNC Result<void> History::check(const CatalogData& items) const {
    RANKLET_TRY(detail::check_dot_product(items, dim_, dim_));
    const auto mean = items.part(mean_part), squares = items.part(square_part);
    if (options_.centre && (mean.rows != 1 || mean.cols != dim_)) return detail::other_columns();
    if (!by_mean() && (squares.rows != items.vectors.rows() || squares.cols != 1)) return detail::other_columns();
    return {};
}

RANKLET_FUNC Result<void> History::check(const UserState& state) const {
    if (!by_mean()) return detail::check_state_size(state, 0, dim_ + 1, options_.events);
    RANKLET_TRY(detail::check_state_size(state, dim_ + 2, 0, 0));
    const float sum = state.hidden[dim_], size = state.hidden[dim_ + 1];
    if (size >= 0.0f && std::abs(sum) <= size * 1.001f) return {};
    return make_error(ErrorCode::format, {"the user state's weights add up to ", sum, ", their sizes to ", size});
}

RANKLET_FUNC Result<void> History::observe(UserState& state, const CatalogData& items, std::size_t index, float rating,
                                           Scratch& scratch) const {
    const float weight = detail::weight_of(options_.rating, rating);
    const auto vector = std::as_const(items.vectors).row(index);
    const auto finite = [](float x) { return std::isfinite(x); };
    if (!by_mean()) {
        if (!finite(weight) || !std::all_of(vector.begin(), vector.end(), finite)) return detail::event_not_finite();
        const std::size_t width = dim_ + 1, full = options_.events * width;
        state.memory.reserve(std::min(full, state.memory.size() + width));  // first what may fail
        if (state.memory.size() >= full)
            state.memory.erase(state.memory.begin(), state.memory.begin() + static_cast<std::ptrdiff_t>(width));
        state.memory.insert(state.memory.end(), vector.begin(), vector.end());
        state.memory.push_back(weight);
        return {};
    }
    RANKLET_TRY(scratch.reserve(scratch_bytes<float>(dim_ + 2)));
    const ScratchFrame frame(scratch);
    float* next = scratch.take<float>(dim_ + 2);
    std::copy_n(state.hidden.data(), dim_ + 2, next);
    Ops::scale(options_.decay, next, dim_ + 2);
    Ops::multiply_add(weight, vector.data(), next, next, dim_);
    next[dim_] += weight;
    next[dim_ + 1] += std::abs(weight);
    if (!std::all_of(next, next + dim_ + 2, finite)) return detail::event_not_finite();
    std::copy_n(next, dim_ + 2, state.hidden.data());
    return {};
}

RANKLET_FUNC void History::begin(const ScoreRequest& request, float* query, Scratch&) const noexcept {
    const float* mean = mean_of(request.items);
    if (by_mean()) {
        const float* sums = request.state.hidden.data();
        std::copy_n(sums, dim_, query);
        if (mean != nullptr) Ops::multiply_add(-sums[dim_], mean, query, query, dim_);
        Ops::scale(sums[dim_ + 1] > 0.0f ? 1.0f / sums[dim_ + 1] : 0.0f, query, dim_);
        return;
    }
    std::fill_n(query, query_size(), 0.0f);
    const auto q = power_query(query);
    if (mean != nullptr) std::copy_n(mean, dim_, q.mean);
    *q.square = Ops::dot(q.mean, q.mean, dim_);
    const std::size_t rows = request.state.memory_rows();
    float decayed = 1.0f, total = 0.0f;
    for (std::size_t age = 0; age < rows; ++age, decayed *= options_.decay) {
        const float* row = request.state.memory.data() + (rows - 1 - age) * (dim_ + 1);
        float* event = q.events + age * dim_;
        Ops::multiply_add(-1.0f, q.mean, row, event, dim_);
        Ops::normalize(event, dim_);
        q.weights[age] = decayed * row[dim_];
        q.shifts[age] = Ops::dot(event, q.mean, dim_);
        total += std::abs(q.weights[age]);
    }
    Ops::scale(total > 0.0f ? 1.0f / total : 0.0f, q.weights, rows);
}

RANKLET_FUNC void History::score(const ScoreRequest& request, const float* query, IndexRange range, float* scores,
                                 Scratch& scratch) const noexcept {
    if (by_mean()) return detail::score_dot_products(query, request.items, range, scores);
    const ScratchFrame frame(scratch);
    const std::size_t count = range.last - range.first;
    const auto q = power_query(query);
    const MatrixView<const float> vectors = std::as_const(request.items.vectors).view().middle_rows(range.first, count);
    const MatrixView<const float> squares = request.items.part(square_part);
    float* products = scratch.take<float>(detail::dot_product_piece);
    float* scale = scratch.take<float>(detail::dot_product_piece);
    Ops::dot_rows(vectors.data, count, vectors.stride, q.mean, dim_, products);
    for (std::size_t i = 0; i < count; ++i) {  // 1 / |v - m|
        const float square = std::fma(-2.0f, products[i], squares(range.first + i, 0)) + *q.square;
        scale[i] = square > 1e-12f ? 1.0f / std::sqrt(square) : 0.0f;
    }
    std::fill_n(scores, count, 0.0f);
    for (std::size_t e = 0; e < request.state.memory_rows(); ++e) {
        Ops::dot_rows(vectors.data, count, vectors.stride, q.events + e * dim_, dim_, products);
        Ops::add_power(products, q.shifts[e], scale, options_.power, q.weights[e], scores, count);
    }
}

RANKLET_FUNC Result<std::vector<EventTerm>> History::event_terms(const ScoreRequest& request,
                                                                 std::span<const ItemRef> events,
                                                                 std::size_t index) const {
    std::vector<EventTerm> terms(events.size());
    // Each event alone, at the age that it has: a user whose other events weigh nothing.
    const CatalogData& items = request.items;
    UserState alone;
    begin_user(alone);
    Scratch scratch;
    RANKLET_TRY(scratch.reserve(std::max(scratch_size(), scratch_bytes<float>(dim_ + 2))));
    std::vector<float> query(query_size());
    std::vector<float> weights(events.size());  // |w_e|
    double total = 0.0, decayed = 1.0;
    for (std::size_t age = 0; age < events.size(); ++age, decayed *= static_cast<double>(options_.decay)) {
        const std::size_t e = events.size() - 1 - age;
        if (!by_mean() && age >= options_.events) break;
        const float weight = detail::weight_of(options_.rating, request.events[e].rating);
        weights[e] = static_cast<float>(decayed * static_cast<double>(std::abs(weight)));
        total += static_cast<double>(weights[e]);
        begin_user(alone);
        RANKLET_TRY(observe(alone, events[e].data(), events[e].index(), request.events[e].rating, scratch));
        begin({alone, items, request.initial_state}, query.data(), scratch);
        score({alone, items, request.initial_state}, query.data(), {index, index + 1}, &terms[e].contribution, scratch);
    }
    for (std::size_t e = 0; e < terms.size(); ++e)  // alone, an event's weight is 1 or -1
        terms[e].contribution = total > 0.0 ? static_cast<float>(static_cast<double>(terms[e].contribution) *
                                                                 static_cast<double>(weights[e]) / total)
                                            : 0.0f;
    return terms;
}

RANKLET_NAMESPACE_END
#endif
