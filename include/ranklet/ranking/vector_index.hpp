// VectorIndex: the best rows of a matrix of vectors for one or many users, by dot product, found by reading every row.
// In: vectors [n, dim], stored as f32, f16 or i8. Out: for each query the k best rows in the ranking's total order.
// Rows of i8 can serve as a filter: the error of their scores is bounded, and what could still be among the best is
// scored again with the f32 vectors. The result is then that of f32, ties and all, at the price of i8.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/half.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/kernels/elementwise.hpp"
#include "ranklet/kernels/reduce.hpp"
#include "ranklet/kernels/scan.hpp"
#include "ranklet/kernels/scan_i8.hpp"
#include "ranklet/kernels/scan_many.hpp"
#include "ranklet/ranking/top_k.hpp"

RANKLET_NAMESPACE_BEGIN

/// How an index stores its rows.
enum class RowType {
    f32,       ///< as they are: 4 bytes an element, nothing is copied
    f16,       ///< rounded to IEEE binary16: 2 bytes
    i8,        ///< symmetric, one scale a row: 1 byte; scores are approximate
    i8_exact,  ///< i8 in front of the f32 vectors: 1 byte more, and exactly the f32 result
};

struct SearchOptions {
    std::size_t k = 10;       ///< how many; fewer come back when there are fewer rows
    std::size_t threads = 1;  ///< 0: as many as the machine offers; no influence on the result
};

class VectorIndex {
    using Arch = kernels::default_arch;
    using UserI8 = typename kernels::DotI8<Arch>::Input;
    static constexpr std::int32_t user_offset = kernels::DotI8<Arch>::offset;

public:
    /// Memory of search(), reused by the next call of the same thread.
    class Workspace {
        friend class VectorIndex;
        struct Query {
            float of_norm = 0.0f, of_error = 0.0f;  // what a row's norm and error are multiplied with
            float least = 0.0f;                     // and what is added
            double norm = 0.0;
        };
        struct Candidate {
            std::uint32_t index;
            float upper;  // the score is surely not more
        };
        struct Thread {
            AlignedBuffer<float> scores;  // [group, block]
            AlignedBuffer<float> wide;    // f16, many queries: rows as f32
            std::vector<Hit> heaps;       // [queries, k]
            std::vector<BestHits> best;   // [queries] direct: of scores; exact: of what scores surely are not less than
            std::vector<std::vector<Candidate>> candidates;  // [queries] exact
            Result<void> status;
        };
        AlignedBuffer<float> queries;            // [m, dim]
        AlignedBuffer<float> packed;             // [m, dim] for scan_many, where that gains anything
        AlignedBuffer<UserI8> quantized;         // [m, scan_i8_stride(dim)]
        AlignedBuffer<UserI8> packed_quantized;  // [m, scan_i8_stride(dim)] for scan_many_i8
        std::vector<float> scales;               // [m], zero beyond up to a whole panel
        std::vector<Query> bounds;               // [m]
        std::vector<Thread> threads;
        std::vector<Hit> hits;                    // [m, k]
        std::vector<std::span<const Hit>> found;  // [m]
    };

    /// An empty index.
    VectorIndex() = default;

    /// Looks into `vectors` [n, dim] (f32 and i8_exact: they must outlive the index and stay as they are) or copies
    /// them (f16, i8). `bias` [n] or empty, added to each row's score, is never copied: it must outlive the index
    /// whatever the type. Error invalid_argument naming the first row that has an element that is not finite (f16: or
    /// is beyond 65504; i8: or whose length is 1e33 or more), out_of_memory.
    RANKLET_COLD static Result<VectorIndex> create(MatrixView<const float> vectors, RowType type,
                                                   std::span<const float> bias = {}) {
        if (vectors.rows >= static_cast<std::size_t>(static_cast<std::uint32_t>(-1)))
            return Error{ErrorCode::invalid_argument, "an index holds fewer than 2^32 - 1 rows"};
        if (vectors.stride < vectors.cols)
            return make_error(ErrorCode::invalid_argument,
                              {"vectors of ", vectors.cols, " elements that lie ", vectors.stride, " apart"});
        if (vectors.rows > 0 && (vectors.cols == 0 || vectors.cols > max_dim))
            return make_error(ErrorCode::invalid_argument,
                              {"an index of vectors with ", vectors.cols, " elements, expected 1 to ", max_dim});
        if (!bias.empty() && bias.size() != vectors.rows)
            return make_error(ErrorCode::invalid_argument,
                              {"an index of ", vectors.rows, " rows got ", bias.size(), " biases"});
        VectorIndex index;
        index.vectors_ = vectors;
        index.bias_ = bias;
        index.type_ = type;
        RANKLET_TRY(index.check_finite());
        if (type == RowType::f16) RANKLET_TRY(index.store_f16());
        if (type == RowType::i8 || type == RowType::i8_exact) RANKLET_TRY(index.store_i8());
        if (type == RowType::f16 || type == RowType::i8) index.vectors_.data = nullptr;  // the copies serve alone
        return index;
    }

    std::size_t size() const noexcept { return vectors_.rows; }
    std::size_t dim() const noexcept { return vectors_.cols; }
    RowType type() const noexcept { return type_; }
    /// Bytes that the index itself holds, without the caller's vectors.
    std::size_t memory() const noexcept {
        return f16_.size() * sizeof(f16_[0]) + i8_.size() + (scale_.size() + norm_.size() + error_.size()) * 4 +
               sum_.size() * 4;
    }

    /// The best rows for each of `queries` [m, dim]: one list a query, best first, at most k long, that lives in
    /// `workspace` until its next use. Score: the f32 dot product with the bits of `kernels::dot` (of the
    /// rounded row for f16; i8: of the rounded row and the rounded query) plus the bias. Each query's result is what it
    /// is alone, with any number of threads. Error invalid_argument naming a query that is not finite, or when `dim`
    /// differs.
    Result<std::span<const std::span<const Hit>>> search(MatrixView<const float> queries, const SearchOptions& options,
                                                         Workspace& workspace) const {
        const std::size_t m = queries.rows, k = std::min(options.k, size());
        RANKLET_TRY(take_queries(queries, workspace));
        const bool exact = type_ == RowType::i8_exact && bounds_hold(workspace);
        RANKLET_TRY(pack_queries(m, exact || type_ == RowType::i8, workspace));
        const std::size_t blocks = (size() + block - 1) / block;
        const std::size_t threads = std::clamp<std::size_t>(blocks, 1, resolve_threads(options.threads));
        if (workspace.threads.size() < threads) workspace.threads.resize(threads);
        for (std::size_t t = 0; t < threads; ++t) {
            auto& thread = workspace.threads[t];
            if (thread.scores.empty()) {
                RANKLET_ASSIGN(thread.scores, AlignedBuffer<float>::zeroed((group + 1) * block));
            }
            const std::size_t wide = type_ == RowType::f16 ? kernels::scan_many_wide_size<Arch>(dim()) : 0;
            RANKLET_TRY(reserve(thread.wide, many(std::min(m, group)) ? wide : 0));
            thread.heaps.resize(m * k);
            thread.best.resize(m);
            thread.candidates.resize(m);
            for (std::size_t q = 0; q < m; ++q) {
                thread.best[q] = BestHits(std::span(thread.heaps).subspan(q * k, k));
                thread.candidates[q].clear();
            }
        }
        parallel_for(threads, threads, [&](std::size_t t, std::size_t) {
            workspace.threads[t].status = catch_out_of_memory([&]() -> Result<void> {
                const IndexRange rows = partition(size(), threads, t, block);
                for (std::size_t first = 0; first < m; first += group)
                    for (std::size_t row = rows.first; row < rows.last; row += block)
                        score_block(row, std::min(block, rows.last - row), first, std::min(group, m - first), exact,
                                    workspace, workspace.threads[t]);
                return {};
            });
        });
        for (std::size_t t = 0; t < threads; ++t) RANKLET_TRY(workspace.threads[t].status);
        workspace.hits.resize(m * k);
        workspace.found.resize(m);
        parallel_for(m, threads, [&](std::size_t q, std::size_t) {
            BestHits best(std::span(workspace.hits).subspan(q * k, k));
            if (exact)
                rescore(q, threads, workspace, best);
            else
                for (std::size_t t = 0; t < threads; ++t)
                    for (const Hit& hit : workspace.threads[t].best[q].hits()) best.push(hit);
            workspace.found[q] = best.sorted();
        });
        return std::span<const std::span<const Hit>>(workspace.found);
    }

private:
    static constexpr std::size_t max_dim = 65536;    // int32 sums hold that many products of two bytes
    static constexpr double largest_i8_norm = 1e33;  // times 127 sqrt(max_dim), the most a sum adds: finite in f32
    static constexpr std::size_t block = 336;  // rows scored at a time: whole vectors, and whole tiles of 14, 12, 6
    static constexpr std::size_t group = 32;   // queries scored at a time

    RANKLET_COLD Result<void> check_finite() {
        for (std::size_t r = 0; r < size(); ++r)
            for (const float x : vectors_.row(r))
                if (!std::isfinite(x))
                    return make_error(ErrorCode::invalid_argument,
                                      {"vector ", r, " has an element that is not finite"});
        for (std::size_t r = 0; r < bias_.size(); ++r) {
            if (!std::isfinite(bias_[r]))
                return make_error(ErrorCode::invalid_argument, {"the bias of row ", r, " is not finite"});
            largest_bias_ = std::max(largest_bias_, std::abs(static_cast<double>(bias_[r])));
        }
        return {};
    }
    RANKLET_COLD Result<void> store_f16() {
        RANKLET_ASSIGN(f16_, AlignedBuffer<std::uint16_t>::zeroed(size() * dim()));
        for (std::size_t r = 0; r < size(); ++r)
            for (std::size_t i = 0; i < dim(); ++i) {
                const std::uint16_t half = f32_to_f16(vectors_(r, i));
                if ((half & 0x7FFFu) >= 0x7C00u)
                    return make_error(ErrorCode::invalid_argument,
                                      {"vector ", r, " has an element beyond the largest f16"});
                f16_[r * dim() + i] = half;
            }
        return {};
    }
    RANKLET_COLD Result<void> store_i8() {
        const std::size_t stride = kernels::scan_i8_stride(dim());
        RANKLET_ASSIGN(i8_, AlignedBuffer<std::int8_t>::zeroed(size() * stride));
        RANKLET_ASSIGN(scale_, AlignedBuffer<float>::zeroed(size()));
        RANKLET_ASSIGN(sum_, AlignedBuffer<std::int32_t>::zeroed(size()));
        if (type_ == RowType::i8_exact) {
            RANKLET_ASSIGN(norm_, AlignedBuffer<float>::zeroed(size()));
            RANKLET_ASSIGN(error_, AlignedBuffer<float>::zeroed(size()));
        }
        std::vector<UserI8> row(stride);
        for (std::size_t r = 0; r < size(); ++r) {
            scale_[r] = kernels::quantize_user<Arch>(vectors_.row(r).data(), dim(), row.data());
            double norm = 0.0, error = 0.0;
            for (std::size_t i = 0; i < dim(); ++i) {
                const auto value = static_cast<std::int8_t>(row[i] - user_offset);
                i8_[r * stride + i] = value;
                sum_[r] += value;
                const double exact = vectors_(r, i), stored = value * static_cast<double>(scale_[r]);
                norm += exact * exact;
                error += (exact - stored) * (exact - stored);
            }
            if (type_ == RowType::i8 && !(std::sqrt(norm) < largest_i8_norm))
                return make_error(ErrorCode::invalid_argument,
                                  {"vector ", r, " is too long for 8 bits (1e33 and more)"});
            if (type_ != RowType::i8_exact) continue;
            norm_[r] = round_up(std::sqrt(norm));
            error_[r] = round_up(std::sqrt(error));
            largest_norm_ = std::max(largest_norm_, static_cast<double>(norm_[r]));
        }
        return {};
    }
    // A f32 that is surely not less, among the subnormal ones too.
    static float round_up(double x) noexcept {
        return std::nextafter(static_cast<float>(std::min(x * (1.0 + 1e-6), 3e38)),
                              std::numeric_limits<float>::infinity());
    }

    // Queries side by side, and quantised where the rows are.
    Result<void> take_queries(MatrixView<const float> queries, Workspace& workspace) const {
        const std::size_t m = queries.rows, stride = kernels::scan_i8_stride(dim());
        if (m > 0 && size() > 0 && queries.cols != dim())
            return make_error(ErrorCode::invalid_argument,
                              {"queries of ", queries.cols, " elements for an index of ", dim()});
        RANKLET_TRY(reserve(workspace.queries, m * dim()));
        for (std::size_t q = 0; q < m && size() > 0; ++q) {
            const auto query = queries.row(q);
            for (const float x : query)
                if (!std::isfinite(x))
                    return make_error(ErrorCode::invalid_argument, {"query ", q, " has an element that is not finite"});
            std::copy(query.begin(), query.end(), workspace.queries.data() + q * dim());
        }
        if (type_ != RowType::i8 && type_ != RowType::i8_exact) return {};
        RANKLET_TRY(reserve(workspace.quantized, m * stride));
        workspace.scales.assign(kernels::padded_columns<Arch>(m), 0.0f);
        workspace.bounds.resize(m);
        for (std::size_t q = 0; q < m && size() > 0; ++q) {
            workspace.scales[q] = kernels::quantize_user<Arch>(workspace.queries.data() + q * dim(), dim(),
                                                               workspace.quantized.data() + q * stride);
            workspace.bounds[q] = bound(q, workspace);
        }
        return {};
    }
    // Many queries as scan_many reads them, of the kind that `score_block` will multiply.
    Result<void> pack_queries(std::size_t m, bool quantized, Workspace& workspace) const {
        if (!many(m)) return {};
        if (quantized) {
            RANKLET_TRY(reserve(workspace.packed_quantized, kernels::packed_users_i8_size<Arch>(m, dim())));
            kernels::pack_users_i8<Arch>(workspace.quantized.data(), m, dim(), workspace.packed_quantized.data());
        } else {
            RANKLET_TRY(reserve(workspace.packed, kernels::packed_users_size<Arch>(m, dim())));
            kernels::pack_users<Arch>(workspace.queries.data(), m, dim(), workspace.packed.data());
        }
        return {};
    }
    bool many(std::size_t queries) const noexcept { return size() > 0 && kernels::wants_packed_users<Arch>(queries); }
    template <class T>
    static Result<void> reserve(AlignedBuffer<T>& buffer, std::size_t count) {
        if (buffer.size() < count) {
            RANKLET_ASSIGN(buffer, AlignedBuffer<T>::zeroed(count));
        }
        return {};
    }

    // How far the i8 score of a row can be from its f32 score. With u the query and v the row, u' and v' as stored,
    //   |u.v - u'.v'| <= |u - u'| |v| + |u'| |v - v'|                                    (Cauchy and Schwarz, twice)
    // the f32 product is off by at most (terms in a lane, rounded twice without fused multiply-add, and the tree) half
    // units of |u| |v|, the i8 score by four of |u'| |v'|. All of it is linear in the row's norm and error. Amounts are
    // rounded up.
    typename Workspace::Query bound(std::size_t q, const Workspace& workspace) const noexcept {
        const float* query = workspace.queries.data() + q * dim();
        const UserI8* stored = workspace.quantized.data() + q * kernels::scan_i8_stride(dim());
        double norm = 0.0, stored_norm = 0.0, error = 0.0;
        for (std::size_t i = 0; i < dim(); ++i) {
            const double x = query[i], y = (stored[i] - user_offset) * static_cast<double>(workspace.scales[q]);
            norm += x * x;
            stored_norm += y * y;
            error += (x - y) * (x - y);
        }
        norm = std::sqrt(norm), stored_norm = std::sqrt(stored_norm), error = std::sqrt(error);
        const double f32_error = (static_cast<double>(dim()) / 8 + 16) * 0x1p-24;
        typename Workspace::Query result;
        result.of_norm = round_up(error + f32_error * norm + 0x1p-19 * stored_norm);
        result.of_error = round_up(stored_norm * (1.0 + 0x1p-19));
        result.least = round_up(static_cast<double>(dim()) * 0x1p-120 + 0x1p-20 * largest_bias_);
        result.norm = norm;
        return result;
    }
    // Beyond this, sums of f32 products or of bytes times a row's scale could overflow, and the bounds say nothing
    // about infinity.
    bool bounds_hold(const Workspace& workspace) const noexcept {
        return largest_norm_ < largest_i8_norm &&
               std::all_of(
                   workspace.bounds.begin(), workspace.bounds.end(),
                   [&](const auto& query) { return query.norm * largest_norm_ + largest_bias_ < 1e37; });
    }

    void score_block(std::size_t row, std::size_t count, std::size_t first, std::size_t queries, bool exact,
                     const Workspace& workspace, typename Workspace::Thread& thread) const {
        float* scores = thread.scores.data();
        const float* users = workspace.queries.data() + first * dim();
        const std::size_t stride = kernels::scan_i8_stride(dim());
        // A group begins with a whole panel.
        const auto packed = [&] { return workspace.packed.data() + kernels::packed_users_size<Arch>(first, dim()); };
        if (type_ == RowType::f16)
            kernels::scan_many<Arch, kernels::RowF16<Arch>>(f16_.data() + row * dim(), count, dim(), users, packed(),
                                                            queries, dim(), thread.wide.data(), scores, block);
        else if (type_ == RowType::i8 || exact)
            kernels::scan_many_i8<Arch>(
                {i8_.data() + row * stride, scale_.data() + row, sum_.data() + row}, count,
                workspace.quantized.data() + first * stride,
                workspace.packed_quantized.data() + kernels::packed_users_i8_size<Arch>(first, dim()),
                workspace.scales.data() + first, queries, dim(), scores, block);
        else
            kernels::scan_many<Arch, kernels::RowF32<Arch>>(vectors_.row(row).data(), count, vectors_.stride, users,
                                                            packed(), queries, dim(), nullptr, scores, block);
        float* upper = scores + group * block;
        std::array<std::uint32_t, block> places;
        for (std::size_t q = 0; q < queries; ++q) {
            float* score = scores + q * block;
            BestHits& best = thread.best[first + q];
            if (!bias_.empty()) kernels::add<Arch>(score, bias_.data() + row, score, count);
            if (!exact) {
                const std::size_t found = kernels::not_less_than<Arch>(score, count, best.threshold(), places.data());
                for (const std::uint32_t i : std::span(places).first(found))
                    best.push({static_cast<std::uint32_t>(row) + i, score[i]});
                continue;
            }
            const auto& query = workspace.bounds[first + q];
            auto& candidates = thread.candidates[first + q];
            const auto enough = [&] { return below(best.threshold() - query.least); };
            const std::size_t found =
                kernels::sums_not_less_than<Arch>(score, query.of_norm, norm_.data() + row, query.of_error,
                                                  error_.data() + row, count, enough(), upper, places.data());
            for (const std::uint32_t i : std::span(places).first(found)) {
                const auto index = static_cast<std::uint32_t>(row) + i;
                candidates.push_back({index, upper[i]});
                best.push({index, below(score[i] - (upper[i] - score[i]) - query.least)});
            }
            if (candidates.size() == candidates.capacity())  // about to grow: drop what has fallen out
                std::erase_if(candidates, [&](const auto& candidate) { return candidate.upper < enough(); });
        }
    }
    static float below(float x) noexcept { return std::nextafter(x, -std::numeric_limits<float>::infinity()); }

    // The f32 scores of the rows that could be among the k best: k rows surely have `threshold` or more.
    void rescore(std::size_t q, std::size_t threads, const Workspace& workspace, BestHits& best) const noexcept {
        for (std::size_t t = 0; t < threads; ++t)
            for (const Hit& hit : workspace.threads[t].best[q].hits()) best.push(hit);
        const float threshold = below(best.threshold() - workspace.bounds[q].least);
        best.clear();
        for (std::size_t t = 0; t < threads; ++t) {
            const auto& candidates = workspace.threads[t].candidates[q];
            constexpr std::size_t ahead = 4;  // rows lie anywhere in memory
            for (std::size_t c = 0; c < candidates.size(); ++c) {
                if (c + ahead < candidates.size() && candidates[c + ahead].upper >= threshold)
                    kernels::prefetch_row(vectors_.row(candidates[c + ahead].index).data(), dim());
                const auto& candidate = candidates[c];
                if (candidate.upper < threshold) continue;
                float score = kernels::dot<Arch>(vectors_.row(candidate.index).data(),
                                                 workspace.queries.data() + q * dim(), dim());
                if (!bias_.empty()) score += bias_[candidate.index];
                best.push({candidate.index, score});
            }
        }
    }

    MatrixView<const float> vectors_;  // the caller's; without data when the copies below serve alone
    std::span<const float> bias_;
    RowType type_ = RowType::f32;
    AlignedBuffer<std::uint16_t> f16_;  // [n, dim]
    AlignedBuffer<std::int8_t> i8_;     // [n, scan_i8_stride(dim)]
    AlignedBuffer<float> scale_;        // [n]
    AlignedBuffer<std::int32_t> sum_;   // [n] of the row's bytes
    AlignedBuffer<float> norm_;         // [n] i8_exact: of the f32 row
    AlignedBuffer<float> error_;        // [n] i8_exact: of the f32 row less the stored one
    double largest_norm_ = 0.0, largest_bias_ = 0.0;
};

RANKLET_NAMESPACE_END
