// Closed forms: what follows what, solved from a log's Gram matrices instead of counted.
// In: users' sequences of item numbers, oldest first. Out: Transitions, whose strengths a history's events add up.
// Formulas: ridge regression of the next item on the last w, x_t = sum_{j=1..w} d^(j-1) onehot(item t-j), y_t =
// onehot(item t): B = (G + diag(G) + ridge I)^-1 R with G = sum x x^T, R = sum x y^T; and EASE (Steck 2019, "Embarrassingly
// Shallow Autoencoders for Sparse Data"): P = (H^T H + lambda I)^-1 of the users' histories H [users, n] in zeros and
// ones, B = -P / diag(P) by columns, with a diagonal of zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/counting/transitions.hpp"

RANKLET_NAMESPACE_BEGIN

struct ClosedFormOptions {
    /// Pairs that come from fewer different users are not used: their entries of R, and of G beside the diagonal, are 0.
    std::size_t users = 2;
    std::size_t followers = 200;  ///< of each row the entries of the largest absolute values, at least 1
    /// More items are refused: the solve takes n^3 time and 8 n^2 bytes, 3.2 GB here.
    std::size_t max_items = 20'000;
    Threads threads = {};
    /// (steps done, steps), from the caller's thread.
    std::function<void(std::uint64_t, std::uint64_t)> progress = {};
    StopToken stop = {};
    Deadline deadline = {};
};

struct RidgeOptions : ClosedFormOptions {
    std::size_t window = 10;  ///< events that the next one is explained by, 1 to 64
    double decay = 0.8;       ///< an event's worth, for each that came after it; above 0, at most 1
    double diagonal = 1;      ///< how much of its own diagonal G gets added, 0 or more
    double ridge = 100;       ///< above 0
};

struct EaseOptions : ClosedFormOptions {
    double lambda = 500;  ///< above 0
};

struct ClosedForm {
    /// Row a: the entries B[a, b], the largest (not the largest in absolute value) first. `times`: from how many users the
    /// pair came; 0 where it came from fewer than were asked for, or from none: its entry comes from other pairs alone.
    /// `seen`: events of the item.
    Transitions transitions;
    /// Whether leaving pairs out had left a matrix that is not positive definite, so that what they had beside the diagonal
    /// was added to it, which always is.
    bool compensated = false;
};

/// The next item from the last `window`: a history scores b with sum over its last w events of decay^age B[event, b], age
/// 0 for the last one.
/// `sequences`: for each user item numbers below ids.size(), oldest first. `ids`: none empty, none twice.
/// Error invalid_argument for what is out of range; unsupported for more items than max_items; out_of_memory, stopped,
/// deadline. Takes ids.size()^2 * 8 bytes, and 8 for each event. The same bits for any number of threads, and on all
/// machines with one instruction set.
RANKLET_COLD Result<ClosedForm> ridge_next_item(std::span<const std::span<const std::uint32_t>> sequences,
                                                std::vector<std::string> ids, const RidgeOptions& options = {});

/// The whole history at once: it scores b with the sum over its different items of B[item, b]. Arguments, errors, memory
/// and bits as for ridge_next_item.
RANKLET_COLD Result<ClosedForm> ease(std::span<const std::span<const std::uint32_t>> sequences,
                                     std::vector<std::string> ids, const EaseOptions& options = {});

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <utility>

#include "ranklet/core/parallel.hpp"
#include "ranklet/fit/cholesky.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// Where each item stands in the sequences, users in order and a user's events in order.
class Occurrences {
public:
    struct Place {
        std::uint32_t user, position;
    };
    Result<void> find(std::span<const std::span<const std::uint32_t>> sequences, std::size_t n) {
        if (sequences.size() > UINT32_MAX)
            return make_error(ErrorCode::invalid_argument, {sequences.size(), " sequences are too many"});
        starts_.assign(n + 1, 0);
        for (std::size_t u = 0; u < sequences.size(); ++u) {
            if (sequences[u].size() > UINT32_MAX)
                return make_error(ErrorCode::invalid_argument, {"sequence ", u, " is too long"});
            for (std::size_t i = 0; i < sequences[u].size(); ++i) {
                if (sequences[u][i] >= n)
                    return make_error(ErrorCode::invalid_argument, {"sequence ", u, ", event ", i, ": item number ",
                                                                    sequences[u][i], ", expected less than ", n});
                ++starts_[sequences[u][i] + 1];
            }
        }
        for (std::size_t a = 0; a < n; ++a) starts_[a + 1] += starts_[a];
        places_.resize(starts_.back());
        std::vector<std::size_t> next(starts_.begin(), starts_.end() - 1);
        for (std::size_t u = 0; u < sequences.size(); ++u)
            for (std::size_t i = 0; i < sequences[u].size(); ++i)
                places_[next[sequences[u][i]]++] = {static_cast<std::uint32_t>(u), static_cast<std::uint32_t>(i)};
        return {};
    }
    std::span<const Place> of(std::size_t item) const noexcept {
        return {places_.data() + starts_[item], starts_[item + 1] - starts_[item]};
    }

private:
    std::vector<std::size_t> starts_;
    std::vector<Place> places_;
};

/// A row of sums over pairs with one item, and from how many users each came. Users come one after the other.
class PairSums {
public:
    explicit PairSums(std::size_t n) : sums_(n), users_(n), last_user_(n) {}
    void clear() noexcept {
        std::fill(sums_.begin(), sums_.end(), 0.0);
        std::fill(users_.begin(), users_.end(), 0u);
    }
    void add(std::size_t other, double value, std::uint32_t user) noexcept {
        if (users_[other] == 0 || last_user_[other] != user) ++users_[other], last_user_[other] = user;
        sums_[other] += value;
    }
    double sum(std::size_t other) const noexcept { return sums_[other]; }
    std::uint32_t users(std::size_t other) const noexcept { return users_[other]; }

private:
    std::vector<double> sums_;
    std::vector<std::uint32_t> users_, last_user_;
};

/// The sums of the ridge regression.
class RidgeSums {
public:
    RidgeSums(std::span<const std::span<const std::uint32_t>> sequences, const Occurrences& places,
              const RidgeOptions& options)
        : sequences_(sequences),
          places_(places),
          window_(options.window),
          diagonal_(options.diagonal),
          ridge_(options.ridge),
          worth_(options.window),
          together_(options.window * (options.window + 1)) {
        worth_[0] = 1;
        for (std::size_t j = 1; j < window_; ++j) worth_[j] = worth_[j - 1] * options.decay;
        // Two events d apart stand together in the windows of the next min(window - d, what is left) targets: the sum of
        // their products of worths over the first `targets` of these.
        for (std::size_t d = 0; d < window_; ++d)
            for (std::size_t targets = 1; d + targets <= window_; ++targets)
                together(d, targets) = together(d, targets - 1) + worth_[targets - 1] * worth_[d + targets - 1];
    }
    double diagonal(double own) const noexcept { return own + diagonal_ * own + ridge_; }
    /// Row a of G.
    void gram(std::size_t a, PairSums& row) const noexcept {
        for (const Occurrences::Place place : places_.of(a)) {
            const auto items = sequences_[place.user];
            const std::size_t p = place.position, last = items.size() - 1;
            for (std::size_t q = p - std::min(p, window_ - 1); q <= std::min(last, p + window_ - 1); ++q) {
                const std::size_t later = std::max(p, q), d = later - std::min(p, q);
                if (const std::size_t targets = std::min(window_ - d, last - later); targets > 0)
                    row.add(items[q], together(d, targets), place.user);
            }
        }
    }
    /// Column b of R: what comes before b.
    void target(std::size_t b, PairSums& column) const noexcept {
        for (const Occurrences::Place place : places_.of(b)) {
            const auto items = sequences_[place.user];
            for (std::size_t j = 1; j <= std::min<std::size_t>(window_, place.position); ++j)
                column.add(items[place.position - j], worth_[j - 1], place.user);
        }
    }
    /// Row a of R.
    void source(std::size_t a, PairSums& row) const noexcept {
        for (const Occurrences::Place place : places_.of(a)) {
            const auto items = sequences_[place.user];
            for (std::size_t j = 1; j <= window_ && place.position + j < items.size(); ++j)
                row.add(items[place.position + j], worth_[j - 1], place.user);
        }
    }

private:
    double& together(std::size_t d, std::size_t targets) noexcept { return together_[d * (window_ + 1) + targets]; }
    double together(std::size_t d, std::size_t targets) const noexcept {
        return together_[d * (window_ + 1) + targets];
    }

    std::span<const std::span<const std::uint32_t>> sequences_;
    const Occurrences& places_;
    std::size_t window_;
    double diagonal_, ridge_;
    std::vector<double> worth_, together_;
};

/// The sums of EASE: users who had both items.
class EaseSums {
public:
    EaseSums(std::span<const std::span<const std::uint32_t>> histories, const Occurrences& places, double lambda)
        : histories_(histories), places_(places), lambda_(lambda) {}
    double diagonal(double own) const noexcept { return own + lambda_; }
    void gram(std::size_t a, PairSums& row) const noexcept {
        for (const Occurrences::Place place : places_.of(a))
            for (const std::uint32_t b : histories_[place.user]) row.add(b, 1, place.user);
    }

private:
    std::span<const std::span<const std::uint32_t>> histories_;  // no item twice
    const Occurrences& places_;
    double lambda_;
};

/// The entries of each row of B that have the largest absolute values, collected from blocks of columns.
class StrongestEntries {
public:
    struct Entry {
        float value;
        std::uint32_t column;
    };
    StrongestEntries(std::size_t n, std::size_t count) : count_(count), rows_(n) {}
    std::size_t size() const noexcept { return rows_.size(); }
    void add(std::size_t row, std::size_t column, double value) {
        const auto rounded = static_cast<float>(value);
        if (rounded == 0) return;
        std::vector<Entry>& entries = rows_[row];
        entries.push_back({rounded, static_cast<std::uint32_t>(column)});
        if (entries.size() == 2 * count_ + 512) cut(entries);
    }
    /// A row's entries as Transitions have them.
    std::span<const Entry> finish(std::size_t row) {
        std::vector<Entry>& entries = rows_[row];
        cut(entries);
        std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
            return a.value != b.value ? a.value > b.value : a.column < b.column;
        });
        return entries;
    }
    void drop(std::size_t row) noexcept { std::vector<Entry>().swap(rows_[row]); }

private:
    void cut(std::vector<Entry>& entries) const {
        if (entries.size() <= count_) return;
        std::nth_element(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(count_), entries.end(),
                         [](const Entry& a, const Entry& b) {
                             const float x = std::abs(a.value), y = std::abs(b.value);
                             return x != y ? x > y : a.column < b.column;
                         });
        entries.resize(count_);
    }

    std::size_t count_;
    std::vector<std::vector<Entry>> rows_;
};

/// Gram matrix, factors, solutions block by block, the strongest entries, Transitions.
class ClosedFormSolver {
public:
    ClosedFormSolver(std::size_t n, const ClosedFormOptions& options)
        : n_(n), options_(options), threads_(resolve_threads(options.threads)) {}

    static Result<void> check(std::size_t n, const ClosedFormOptions& options) {
        if (options.followers == 0)
            return make_error(ErrorCode::invalid_argument, {"followers is 0, expected at least 1"});
        if (n > options.max_items)
            return make_error(ErrorCode::unsupported,
                              {n, " items, more than max_items, ", options.max_items,
                               ": solving takes the cube of their number in time, and the square in memory"});
        return {};
    }

    /// The factors of G, made positive definite if leaving pairs out has left it otherwise.
    template <class Sums>
    Result<bool> factor(const Sums& sums) {
        for (const bool compensated : {false, true}) {
            RANKLET_TRY(fill(sums, compensated));
            RANKLET_ASSIGN(const bool definite, factors_.factor(options_.threads, options_.stop, options_.deadline));
            if (definite) return compensated;
        }
        return make_error(ErrorCode::invalid_argument,
                          {"the matrix is not positive definite: a larger ridge is needed"});
    }

    /// Solves for blocks of columns. `right(first, count, block)`: the right side, into n rows of zeros with
    /// Cholesky::columns columns each; `entry(row, column, block)`: B's, of a solved block.
    template <class Right, class EntryOf>
    Result<void> solve(bool from_diagonal, const Right& right, const EntryOf& entry) {
        constexpr std::size_t columns = Cholesky::columns;
        const std::size_t blocks = (n_ + columns - 1) / columns;
        std::vector<AlignedBuffer<double>> solved(std::min(blocks, threads_));
        for (auto& block : solved)
            RANKLET_ASSIGN(block, AlignedBuffer<double>::uninitialized(factors_.rows() * columns));
        StrongestEntries& strongest = strongest_;
        for (std::size_t first = 0; first < blocks; first += solved.size()) {
            RANKLET_TRY(check_stop(options_.stop, options_.deadline));
            if (options_.progress) options_.progress(first, blocks);
            const std::size_t count = std::min(solved.size(), blocks - first);
            RANKLET_TRY(each(count, [&](std::size_t i) -> Result<void> {
                AlignedBuffer<double>& block = solved[i];
                std::fill(block.begin(), block.end(), 0.0);
                const std::size_t from = (first + i) * columns;
                right(from, std::min(columns, n_ - from), block.data());
                return factors_.solve(block.data(), from_diagonal ? from : 0, options_.stop, options_.deadline);
            }));
            RANKLET_TRY(each((n_ + row_piece - 1) / row_piece, [&](std::size_t piece) -> Result<void> {
                for (std::size_t r = piece * row_piece; r < std::min(n_, (piece + 1) * row_piece); ++r)
                    for (std::size_t i = 0; i < count; ++i) {
                        const std::size_t from = (first + i) * columns;
                        for (std::size_t c = 0; c < std::min(columns, n_ - from); ++c)
                            strongest.add(r, from + c, entry(r, from + c, c, solved[i].data()));
                    }
                return {};
            }));
        }
        if (options_.progress) options_.progress(blocks, blocks);
        return {};
    }

    /// `pairs(a, row)`: of item a, from how many users its pairs came.
    template <class Pairs>
    Result<Transitions> finish(std::vector<std::string> ids, const Occurrences& places, const Pairs& pairs) {
        TransitionsData data;
        data.ids = std::move(ids);
        PairSums row(n_);
        for (std::size_t a = 0; a < n_; ++a) {
            row.clear();
            pairs(a, row);
            data.seen.push_back(static_cast<std::uint32_t>(std::min<std::size_t>(places.of(a).size(), INT32_MAX)));
            const auto entries = strongest_.finish(a);
            data.row_sizes.push_back(static_cast<std::uint32_t>(entries.size()));
            for (const auto& entry : entries) {
                if (!std::isfinite(entry.value))
                    return make_error(ErrorCode::invalid_argument,
                                      {"what was solved for item \"", data.ids[a], "\" is not finite"});
                data.followers.push_back(entry.column);
                data.strengths.push_back(entry.value);
                const std::uint32_t users = row.users(entry.column);
                data.times.push_back(users >= options_.users ? users : 0);
            }
            strongest_.drop(a);
        }
        return Transitions::create(std::move(data));
    }

    /// Runs `work(piece)` for all pieces over the threads; the first piece's Error.
    template <class Work>
    Result<void> each(std::size_t pieces, const Work& work) {
        std::vector<SharedError> errors(pieces);
        parallel_for(pieces, options_.threads, [&](std::size_t piece, std::size_t) {
            errors[piece] = catch_out_of_memory([&]() -> Result<void> { return work(piece); }).shared_error();
        });
        for (SharedError& error : errors)
            if (error) return std::move(error);
        return {};
    }

private:
    static constexpr std::size_t row_piece = 64;

    template <class Sums>
    Result<void> fill(const Sums& sums, bool compensated) {
        RANKLET_TRY(factors_.resize(n_));
        return each((n_ + row_piece - 1) / row_piece, [&](std::size_t piece) -> Result<void> {
            RANKLET_TRY(check_stop(options_.stop, options_.deadline));
            PairSums row(n_);
            for (std::size_t a = piece * row_piece; a < std::min(n_, (piece + 1) * row_piece); ++a) {
                row.clear();
                sums.gram(a, row);
                double* out = factors_.row(a);
                double left_out = 0;
                for (std::size_t b = 0; b < n_; ++b) {
                    if (b == a) continue;
                    const bool passes = row.users(b) >= options_.users;
                    if (!passes) left_out += row.sum(b);
                    if (b < a) out[b] = passes ? row.sum(b) : 0;
                }
                out[a] = sums.diagonal(row.sum(a)) + (compensated ? left_out : 0);
            }
            return {};
        });
    }

    std::size_t n_;
    const ClosedFormOptions& options_;
    std::size_t threads_;
    Cholesky factors_;

public:
    StrongestEntries strongest_{n_, options_.followers};
};

}  // namespace detail

RANKLET_FUNC Result<ClosedForm> ridge_next_item(std::span<const std::span<const std::uint32_t>> sequences,
                                                std::vector<std::string> ids,
                                                const RidgeOptions& options) RANKLET_MEMORY_TRY {
    const std::size_t n = ids.size();
    if (options.window < 1 || options.window > 64)
        return make_error(ErrorCode::invalid_argument, {"window is ", options.window, ", expected 1 to 64"});
    if (!(options.decay > 0 && options.decay <= 1))
        return make_error(ErrorCode::invalid_argument, {"decay is ", options.decay, ", expected above 0, at most 1"});
    if (!(options.diagonal >= 0 && options.diagonal <= 1e9))
        return make_error(ErrorCode::invalid_argument, {"diagonal is ", options.diagonal, ", expected 0 or more"});
    if (!(options.ridge > 0 && options.ridge <= 1e15))
        return make_error(ErrorCode::invalid_argument, {"ridge is ", options.ridge, ", expected above 0"});
    RANKLET_TRY(detail::ClosedFormSolver::check(n, options));
    detail::Occurrences places;
    RANKLET_TRY(places.find(sequences, n));
    const detail::RidgeSums sums(sequences, places, options);
    detail::ClosedFormSolver solver(n, options);
    ClosedForm form;
    RANKLET_ASSIGN(form.compensated, solver.factor(sums));
    RANKLET_TRY(solver.solve(
        false,
        [&](std::size_t first, std::size_t count, double* block) {
            detail::PairSums column(n);
            for (std::size_t c = 0; c < count; ++c) {
                column.clear();
                sums.target(first + c, column);
                for (std::size_t a = 0; a < n; ++a)
                    if (column.users(a) >= options.users) block[a * detail::Cholesky::columns + c] = column.sum(a);
            }
        },
        [](std::size_t row, std::size_t, std::size_t c, const double* block) {
            return block[row * detail::Cholesky::columns + c];
        }));
    RANKLET_ASSIGN(form.transitions, solver.finish(std::move(ids), places,
                                                   [&](std::size_t a, detail::PairSums& row) { sums.source(a, row); }));
    return form;
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<ClosedForm> ease(std::span<const std::span<const std::uint32_t>> sequences,
                                     std::vector<std::string> ids, const EaseOptions& options) RANKLET_MEMORY_TRY {
    const std::size_t n = ids.size();
    if (!(options.lambda > 0 && options.lambda <= 1e15))
        return make_error(ErrorCode::invalid_argument, {"lambda is ", options.lambda, ", expected above 0"});
    RANKLET_TRY(detail::ClosedFormSolver::check(n, options));
    detail::Occurrences all;
    RANKLET_TRY(all.find(sequences, n));
    // A history is a set.
    std::vector<std::uint32_t> items;
    std::vector<std::size_t> starts{0};
    for (const auto& sequence : sequences) {
        const auto first = static_cast<std::ptrdiff_t>(items.size());
        items.insert(items.end(), sequence.begin(), sequence.end());
        std::sort(items.begin() + first, items.end());
        items.erase(std::unique(items.begin() + first, items.end()), items.end());
        starts.push_back(items.size());
    }
    std::vector<std::span<const std::uint32_t>> histories;
    histories.reserve(sequences.size());
    for (std::size_t u = 0; u < sequences.size(); ++u)
        histories.emplace_back(items.data() + starts[u], starts[u + 1] - starts[u]);
    detail::Occurrences places;
    RANKLET_TRY(places.find(histories, n));
    const detail::EaseSums sums(histories, places, options.lambda);
    detail::ClosedFormSolver solver(n, options);
    ClosedForm form;
    RANKLET_ASSIGN(form.compensated, solver.factor(sums));
    constexpr std::size_t columns = detail::Cholesky::columns;
    RANKLET_TRY(solver.solve(
        true,
        [&](std::size_t first, std::size_t count, double* block) {
            for (std::size_t c = 0; c < count; ++c) block[(first + c) * columns + c] = 1;
        },
        [](std::size_t row, std::size_t column, std::size_t c, const double* block) {
            return row == column ? 0 : -block[row * columns + c] / block[column * columns + c];
        }));
    RANKLET_ASSIGN(form.transitions, solver.finish(std::move(ids), all,
                                                   [&](std::size_t a, detail::PairSums& row) { sums.gram(a, row); }));
    return form;
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
#endif
