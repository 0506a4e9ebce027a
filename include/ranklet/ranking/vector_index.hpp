// VectorIndex: the best rows of a matrix of vectors for one or many users, by dot product, found by reading every row.
// In: vectors [n, dim], stored as f32, f16 or i8. Out: for each query the k best rows in the ranking's total order.
// Rows of i8 can serve as a filter: the error of their scores is bounded, and what could still be among the best is
// scored again with the f32 vectors. The result is then that of f32, ties and all, at the price of i8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/ranking/score_bounds.hpp"
#include "ranklet/ranking/search_queries.hpp"
#include "ranklet/ranking/stored_rows.hpp"
#include "ranklet/ranking/top_k.hpp"

RANKLET_NAMESPACE_BEGIN

struct SearchOptions {
    std::size_t k = 10;  ///< how many; fewer come back when there are fewer rows
    Threads threads = 1;
    StopToken stop = {};     ///< ends the call with Error stopped; asked between blocks of queries
    Deadline deadline = {};  ///< ends the call with Error deadline
};

class VectorIndex {
public:
    /// Memory of search(), reused by the next call of the same thread.
    class Workspace {
        friend class VectorIndex;
        struct Candidate {
            std::uint32_t index;
            float upper;  // the score is surely not more
        };
        struct Thread {
            AlignedBuffer<float> scores;  // [group + 1, block]
            AlignedBuffer<float> wide;    // f16, many queries: rows as f32
            std::vector<Hit> heaps;       // [queries, k]
            // [queries] direct: of scores; exact: of what scores surely are not less than
            std::vector<detail::BestHits> best;
            std::vector<std::vector<Candidate>> candidates;  // [queries] exact
            Result<void> status;
        };
        detail::SearchQueries queries;
        std::vector<detail::ScoreBounds::Query> bounds;  // [m] exact
        std::vector<Thread> threads;
        std::vector<Hit> hits;                    // [m, k]
        std::vector<std::span<const Hit>> found;  // [m]
    };

    /// An empty index, as one that was moved from is: a search finds nothing.
    VectorIndex() = default;

    /// Looks into `vectors` [n, dim] (f32 and i8_exact: they must outlive the index and stay as they are) or copies
    /// them (f16, i8). `bias` [n] or empty, added to each row's score, is never copied: it must outlive the index
    /// whatever the type. Error invalid_argument naming the first row that has an element that is not finite (f16: or
    /// is beyond 65504; i8: or whose length is 1e33 or more), out_of_memory.
    static Result<VectorIndex> create(MatrixView<const float> vectors, RowType type, std::span<const float> bias = {});

    std::size_t size() const noexcept { return rows_.size(); }
    std::size_t dim() const noexcept { return rows_.dim(); }
    RowType type() const noexcept { return rows_.type(); }
    /// Bytes that the index itself holds, without the caller's vectors.
    std::size_t memory() const noexcept { return rows_.memory() + bounds_.memory(); }

    /// The best rows for each of `queries` [m, dim]: one list a query, best first, at most k long, that lives in
    /// `workspace` until its next use. Score: the f32 dot product with the bits of `kernels::dot` (of the rounded row
    /// for f16; i8: of the rounded row and the rounded query) plus the bias. Each query's result is what it is alone,
    /// with any number of threads. Error invalid_argument naming a query that is not finite, or when `dim` differs.
    Result<std::span<const std::span<const Hit>>> search(MatrixView<const float> queries, const SearchOptions& options,
                                                         Workspace& workspace) const;

private:
    static constexpr std::size_t block = 336;  // rows scored at a time: whole vectors, and whole tiles of 14, 12, 6
    static constexpr std::size_t group = 32;   // queries scored at a time

    // Scores of a block of rows for a group of queries, and what of them may be among the best.
    void score_block(std::size_t row, std::size_t count, std::size_t first, std::size_t queries, bool exact,
                     const Workspace& workspace, Workspace::Thread& thread) const;
    void rescore(std::size_t q, std::size_t threads, const Workspace& workspace, detail::BestHits& best) const noexcept;

    detail::StoredRows rows_;
    detail::ScoreBounds bounds_;  // i8_exact
    std::span<const float> bias_;
};

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <array>
#include <cmath>

#include "ranklet/core/parallel.hpp"
#include "ranklet/kernels/elementwise.hpp"
#include "ranklet/kernels/reduce.hpp"
#include "ranklet/kernels/scan.hpp"

RANKLET_NAMESPACE_BEGIN

RANKLET_COLD RANKLET_FUNC Result<VectorIndex> VectorIndex::create(MatrixView<const float> vectors, RowType type,
                                                                  std::span<const float> bias) RANKLET_MEMORY_TRY {
    if (!bias.empty() && bias.size() != vectors.rows)
        return make_error(ErrorCode::invalid_argument,
                          {"an index of ", vectors.rows, " rows got ", bias.size(), " biases"});
    for (std::size_t r = 0; r < bias.size(); ++r)
        if (!std::isfinite(bias[r]))
            return make_error(ErrorCode::invalid_argument, {"the bias of row ", r, " is not finite"});
    VectorIndex index;
    RANKLET_ASSIGN(index.rows_, detail::StoredRows::create(vectors, type));
    if (type == RowType::i8_exact) {
        RANKLET_ASSIGN(index.bounds_, detail::ScoreBounds::create(index.rows_, bias));
    }
    index.bias_ = bias;
    return index;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<std::span<const std::span<const Hit>>> VectorIndex::search(
    MatrixView<const float> queries, const SearchOptions& options, Workspace& workspace) const RANKLET_MEMORY_TRY {
    const std::size_t m = queries.rows, k = std::min(options.k, size());
    bool exact = false;
    if (size() > 0) {
        RANKLET_TRY(workspace.queries.take(queries, dim(), rows_.has_i8()));
        workspace.bounds.resize(m);
        if (type() == RowType::i8_exact) {
            for (std::size_t q = 0; q < m; ++q) workspace.bounds[q] = bounds_.of_query(workspace.queries, q);
            exact = bounds_.hold(workspace.bounds);
        }
        if (detail::StoredRows::wants_packed(m)) RANKLET_TRY(workspace.queries.pack(exact || type() == RowType::i8));
    }
    const std::size_t blocks = (size() + block - 1) / block;
    // A row comes from memory, once for all queries of a group; a piece of the scan is some blocks.
    const std::size_t work = size() * dim() * (m + 16);
    Threads lent = detail::worth(options.threads, work);
    const std::size_t threads = lent.count = std::clamp<std::size_t>(blocks, 1, lent.count);
    const std::size_t piece = lent.grain > 0 ? lent.grain : 16 * detail::piece_work;
    const std::size_t pieces = std::clamp<std::size_t>(work / piece, 1, std::max<std::size_t>(blocks, 1));
    if (workspace.threads.size() < threads) workspace.threads.resize(threads);
    for (std::size_t t = 0; t < threads; ++t) {
        auto& thread = workspace.threads[t];
        RANKLET_TRY(detail::reserve(thread.scores, (group + 1) * block));
        RANKLET_TRY(detail::reserve(thread.wide, rows_.wide_size(std::min(m, group))));
        thread.heaps.resize(m * k);
        thread.best.resize(m);
        thread.candidates.resize(m);
        thread.status = {};
        for (std::size_t q = 0; q < m; ++q) {
            thread.best[q] = detail::BestHits(std::span(thread.heaps).subspan(q * k, k));
            thread.candidates[q].clear();
        }
    }
    workspace.hits.resize(m * k);
    workspace.found.resize(m);
    const auto scan = [&](std::size_t p, std::size_t t) {
        auto& thread = workspace.threads[t];
        if (!thread.status.ok()) return;
        thread.status = detail::catch_out_of_memory([&]() -> Result<void> {
            const IndexRange rows = detail::partition(size(), pieces, p, block);
            for (std::size_t first = 0; first < m; first += group) {
                RANKLET_TRY(check_stop(options.stop, options.deadline));
                for (std::size_t row = rows.first; row < rows.last; row += block)
                    score_block(row, std::min(block, rows.last - row), first, std::min(group, m - first), exact,
                                workspace, thread);
            }
            return {};
        });
    };
    const auto collect = [&](std::size_t q, std::size_t) {
        detail::BestHits best(std::span(workspace.hits).subspan(q * k, k));
        if (exact)
            rescore(q, threads, workspace, best);
        else
            for (std::size_t t = 0; t < threads; ++t)
                for (const Hit& hit : workspace.threads[t].best[q].hits()) best.push(hit);
        workspace.found[q] = best.sorted();
    };
    const auto status = [&]() -> Result<void> {
        for (std::size_t t = 0; t < threads; ++t) RANKLET_TRY(workspace.threads[t].status);
        return {};
    };
    run_together(lent, [&](Threads together) {
        parallel_for(pieces, together, scan);
        if (status().ok()) parallel_for(m, together, collect);
    });
    RANKLET_TRY(status());
    return std::span<const std::span<const Hit>>(workspace.found);
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC void VectorIndex::score_block(std::size_t row, std::size_t count, std::size_t first, std::size_t queries,
                                           bool exact, const Workspace& workspace, Workspace::Thread& thread) const {
    using Arch = kernels::default_arch;
    float* scores = thread.scores.data();
    rows_.score(exact || type() == RowType::i8, row, count, workspace.queries, first, queries, thread.wide.data(),
                scores, block);
    float* upper = scores + group * block;
    std::array<std::uint32_t, block> places;
    for (std::size_t q = 0; q < queries; ++q) {
        float* score = scores + q * block;
        detail::BestHits& best = thread.best[first + q];
        if (!bias_.empty()) kernels::add<Arch>(score, bias_.data() + row, score, count);
        if (!exact) {
            const std::size_t found = kernels::not_less_than<Arch>(score, count, best.threshold(), places.data());
            for (const std::uint32_t i : std::span(places).first(found))
                best.push({static_cast<std::uint32_t>(row) + i, score[i]});
            continue;
        }
        const auto& query = workspace.bounds[first + q];
        auto& candidates = thread.candidates[first + q];
        const auto enough = [&] { return detail::below(best.threshold() - query.least); };
        const std::size_t found =
            kernels::sums_not_less_than<Arch>(score, query.of_norm, bounds_.norms() + row, query.of_error,
                                              bounds_.errors() + row, count, enough(), upper, places.data());
        for (const std::uint32_t i : std::span(places).first(found)) {
            const auto index = static_cast<std::uint32_t>(row) + i;
            candidates.push_back({index, upper[i]});
            best.push({index, detail::below(score[i] - (upper[i] - score[i]) - query.least)});
        }
        if (candidates.size() == candidates.capacity())  // about to grow: drop what has fallen out
            std::erase_if(candidates, [&](const auto& candidate) { return candidate.upper < enough(); });
    }
}

// The f32 scores of the rows that could be among the k best: k rows surely have `threshold` or more.
RANKLET_FUNC void VectorIndex::rescore(std::size_t q, std::size_t threads, const Workspace& workspace,
                                       detail::BestHits& best) const noexcept {
    for (std::size_t t = 0; t < threads; ++t)
        for (const Hit& hit : workspace.threads[t].best[q].hits()) best.push(hit);
    const float threshold = detail::below(best.threshold() - workspace.bounds[q].least);
    best.clear();
    for (std::size_t t = 0; t < threads; ++t) {
        const auto& candidates = workspace.threads[t].candidates[q];
        constexpr std::size_t ahead = 4;  // rows lie anywhere in memory
        for (std::size_t c = 0; c < candidates.size(); ++c) {
            if (c + ahead < candidates.size() && candidates[c + ahead].upper >= threshold)
                kernels::prefetch_row(rows_.vector(candidates[c + ahead].index).data(), dim());
            const auto& candidate = candidates[c];
            if (candidate.upper < threshold) continue;
            float score = kernels::dot<kernels::default_arch>(rows_.vector(candidate.index).data(),
                                                              workspace.queries.f32(q), dim());
            if (!bias_.empty()) score += bias_[candidate.index];
            best.push({candidate.index, score});
        }
    }
}

RANKLET_NAMESPACE_END

#endif
