// ScoreBounds: how far an 8-bit score can be from the f32 score, for the exact search.
// In: the f32 rows and what they are stored as; a query and what it was rounded to. Out: a bound, rounded up.
// With u the query and v the row, u' and v' as stored,
//   |u.v - u'.v'| <= |u - u'| |v| + |u'| |v - v'|                                    (Cauchy and Schwarz, twice)
// the f32 product is off by at most (terms in a lane, rounded twice without fused multiply-add, and the tree) half
// units of |u| |v|, the i8 score by four of |u'| |v'|. All of it is linear in the row's norm and error.
#pragma once

#include <cstddef>
#include <span>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/ranking/search_queries.hpp"
#include "ranklet/ranking/stored_rows.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// The next f32 below.
float below(float x) noexcept;

class ScoreBounds {
public:
    /// A query's: a score of row r is off by at most of_norm * norms()[r] + of_error * errors()[r] + least.
    struct Query {
        float of_norm = 0.0f, of_error = 0.0f;
        float least = 0.0f;
        double norm = 0.0;
    };

    /// Precondition: rows of i8_exact; a finite bias a row, or none.
    static Result<ScoreBounds> create(const StoredRows& rows, std::span<const float> bias);

    Query of_query(const SearchQueries& queries, std::size_t query) const noexcept;
    /// Whether the bounds say anything of such queries: not where sums of f32 products or of bytes times a row's scale
    /// could overflow.
    bool hold(std::span<const Query> queries) const noexcept;

    const float* norms() const noexcept { return norm_.data(); }
    const float* errors() const noexcept { return error_.data(); }
    std::size_t memory() const noexcept { return (norm_.size() + error_.size()) * sizeof(float); }

private:
    AlignedBuffer<float> norm_;   // [n] of the f32 row
    AlignedBuffer<float> error_;  // [n] of the f32 row less the stored one
    double largest_norm_ = 0.0, largest_bias_ = 0.0;
};

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "ranklet/kernels/dot_i8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

RANKLET_FUNC float below(float x) noexcept { return std::nextafter(x, -std::numeric_limits<float>::infinity()); }

/// A f32 that is surely not less, among the subnormal ones too.
RANKLET_FUNC float round_up(double x) noexcept {
    return std::nextafter(static_cast<float>(std::min(x * (1.0 + 1e-6), 3e38)), std::numeric_limits<float>::infinity());
}

RANKLET_COLD RANKLET_FUNC Result<ScoreBounds> ScoreBounds::create(const StoredRows& rows, std::span<const float> bias) {
    ScoreBounds bounds;
    RANKLET_ASSIGN(bounds.norm_, AlignedBuffer<float>::zeroed(rows.size()));
    RANKLET_ASSIGN(bounds.error_, AlignedBuffer<float>::zeroed(rows.size()));
    for (std::size_t r = 0; r < rows.size(); ++r) {
        const std::span<const float> vector = rows.vector(r);
        const std::int8_t* values = rows.i8(r);
        const auto scale = static_cast<double>(rows.scale(r));
        double norm = 0.0, error = 0.0;
        for (std::size_t i = 0; i < vector.size(); ++i) {
            const double exact = vector[i], stored = values[i] * scale;
            norm += exact * exact;
            error += (exact - stored) * (exact - stored);
        }
        bounds.norm_[r] = round_up(std::sqrt(norm));
        bounds.error_[r] = round_up(std::sqrt(error));
        bounds.largest_norm_ = std::max(bounds.largest_norm_, static_cast<double>(bounds.norm_[r]));
    }
    for (const float x : bias) bounds.largest_bias_ = std::max(bounds.largest_bias_, std::abs(static_cast<double>(x)));
    return bounds;
}

RANKLET_FUNC ScoreBounds::Query ScoreBounds::of_query(const SearchQueries& queries, std::size_t query) const noexcept {
    using Dot = kernels::DotI8<kernels::default_arch>;
    const float* exact = queries.f32(query);
    const auto* stored = reinterpret_cast<const typename Dot::Input*>(queries.i8(query));
    const auto scale = static_cast<double>(queries.scale(query));
    double norm = 0.0, stored_norm = 0.0, error = 0.0;
    for (std::size_t i = 0; i < queries.dim(); ++i) {
        const double x = exact[i], y = (stored[i] - Dot::offset) * scale;
        norm += x * x;
        stored_norm += y * y;
        error += (x - y) * (x - y);
    }
    norm = std::sqrt(norm), stored_norm = std::sqrt(stored_norm), error = std::sqrt(error);
    const auto dim = static_cast<double>(queries.dim());
    const double f32_error = (dim / 8 + 16) * 0x1p-24;
    Query result;
    result.of_norm = round_up(error + f32_error * norm + 0x1p-19 * stored_norm);
    result.of_error = round_up(stored_norm * (1.0 + 0x1p-19));
    result.least = round_up(dim * 0x1p-120 + 0x1p-20 * largest_bias_);
    result.norm = norm;
    return result;
}

RANKLET_FUNC bool ScoreBounds::hold(std::span<const Query> queries) const noexcept {
    return largest_norm_ < StoredRows::largest_i8_norm &&
           std::all_of(
               queries.begin(), queries.end(),
               [&](const auto& query) { return query.norm * largest_norm_ + largest_bias_ < 1e37; });
}

}  // namespace detail
RANKLET_NAMESPACE_END

#endif
