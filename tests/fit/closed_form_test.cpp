// Closed forms beside plain dense references: sums as the formulas have them, systems by elimination.
#include "ranklet/fit/closed_form.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "threads.hpp"

using ranklet::ClosedForm;
using ranklet::EaseOptions;
using ranklet::ErrorCode;
using ranklet::RidgeOptions;
using ranklet::Transitions;

namespace {

using Sequences = std::vector<std::vector<std::uint32_t>>;
using Dense = std::vector<std::vector<double>>;

std::vector<std::string> ids_of(std::size_t n) {
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < n; ++i) ids.push_back("i" + std::to_string(i));
    return ids;
}
std::vector<std::span<const std::uint32_t>> spans(const Sequences& sequences) {
    return {sequences.begin(), sequences.end()};
}
Sequences random_log(std::size_t users, std::size_t n, std::size_t longest) {
    std::uint64_t state = 11;
    const auto random = [&](std::uint64_t below) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::uint32_t>((state >> 33) % below);
    };
    Sequences log(users);
    for (auto& sequence : log)
        for (std::uint32_t i = random(longest + 1); i > 0; --i) sequence.push_back(random(random(n) + 1));
    return log;
}
// A X = B by elimination with pivots.
Dense solve(Dense a, Dense b) {
    const std::size_t n = a.size();
    for (std::size_t k = 0; k < n; ++k) {
        std::size_t pivot = k;
        for (std::size_t r = k; r < n; ++r)
            if (std::abs(a[r][k]) > std::abs(a[pivot][k])) pivot = r;
        std::swap(a[k], a[pivot]);
        std::swap(b[k], b[pivot]);
        for (std::size_t r = 0; r < n; ++r) {
            const double factor = a[r][k] / a[k][k];
            if (r == k || factor == 0) continue;
            for (std::size_t c = k; c < n; ++c) a[r][c] -= factor * a[k][c];
            for (std::size_t c = 0; c < b[r].size(); ++c) b[r][c] -= factor * b[k][c];
        }
    }
    for (std::size_t k = 0; k < n; ++k)
        for (double& x : b[k]) x /= a[k][k];
    return b;
}
Dense square(std::size_t n) { return Dense(n, std::vector<double>(n)); }
using Users = std::vector<std::vector<std::set<std::size_t>>>;

struct Reference {
    Dense b;
    Users users;  // of each pair that the table tells of
};
Reference ridge_reference(const Sequences& log, std::size_t n, const RidgeOptions& options, bool compensated = false) {
    Dense g = square(n), r = square(n);
    Users together(n, std::vector<std::set<std::size_t>>(n)), after = together;
    for (std::size_t u = 0; u < log.size(); ++u)
        for (std::size_t t = 1; t < log[u].size(); ++t) {
            std::vector<double> x(n);
            std::set<std::uint32_t> in;
            for (std::size_t j = 1; j <= std::min(options.window, t); ++j) {
                x[log[u][t - j]] += std::pow(options.decay, static_cast<double>(j - 1));
                in.insert(log[u][t - j]);
            }
            for (const auto a : in) {
                r[a][log[u][t]] += x[a];
                after[a][log[u][t]].insert(u);
                for (const auto b : in) g[a][b] += x[a] * x[b], together[a][b].insert(u);
            }
        }
    std::vector<double> left_out(n);
    for (std::size_t a = 0; a < n; ++a)
        for (std::size_t b = 0; b < n; ++b) {
            if (a != b && together[a][b].size() < options.users) left_out[a] += std::exchange(g[a][b], 0);
            if (after[a][b].size() < options.users) r[a][b] = 0, after[a][b].clear();
        }
    for (std::size_t a = 0; a < n; ++a)
        g[a][a] += options.diagonal * g[a][a] + options.ridge + (compensated ? left_out[a] : 0);
    return {solve(g, r), after};
}
Reference ease_reference(const Sequences& log, std::size_t n, const EaseOptions& options, bool compensated = false) {
    Dense g = square(n), one = square(n);
    Users together(n, std::vector<std::set<std::size_t>>(n));
    for (std::size_t u = 0; u < log.size(); ++u) {
        const std::set<std::uint32_t> items(log[u].begin(), log[u].end());
        for (const auto a : items)
            for (const auto b : items) g[a][b] += 1, together[a][b].insert(u);
    }
    const Dense all = g;
    for (std::size_t a = 0; a < n; ++a) {
        one[a][a] = 1;
        g[a][a] += options.lambda;
        for (std::size_t b = 0; b < n; ++b)
            if (together[a][b].size() < options.users) {
                if (a != b && compensated) g[a][a] += all[a][b];
                if (a != b) g[a][b] = 0;
                together[a][b].clear();
            }
    }
    const Dense p = solve(g, one);
    Dense b = square(n);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j) b[i][j] = i == j ? 0 : -p[i][j] / p[j][j];
    return {b, together};
}

// Every row's entries are the reference's, its largest in absolute value, in order.
void check_rows(const Transitions& table, const Reference& reference, std::size_t followers) {
    const std::size_t n = reference.b.size();
    REQUIRE(table.size() == n);
    for (std::size_t a = 0; a < n; ++a) {
        const auto row = table.row(a);
        double scale = 0, weakest = 1e300;
        for (const double x : reference.b[a]) scale = std::max(scale, std::abs(x));
        std::vector<bool> there(n);
        bool same = true;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::uint32_t b = row.rows[i];
            there[b] = true;
            same = same && std::abs(row.strengths[i] - reference.b[a][b]) <= 1e-6 * scale;
            same = same && row.times[i] == reference.users[a][b].size();
            weakest = std::min(weakest, static_cast<double>(std::abs(row.strengths[i])));
        }
        CHECK_MESSAGE(same, "row ", a);
        std::size_t left_out = 0;
        for (std::size_t b = 0; b < n; ++b)
            if (!there[b] && std::abs(reference.b[a][b]) > 1e-12 * scale) {
                ++left_out;
                same = same && std::abs(reference.b[a][b]) <= weakest + 1e-6 * scale;
            }
        CHECK_MESSAGE(same, "what is left out of row ", a);
        CHECK(row.size() <= followers);
        if (left_out > 0) CHECK(row.size() == followers);
    }
}

bool same_bits(const Transitions& a, const Transitions& b) {
    const auto x = a.all(), y = b.all();
    return x.size() == y.size() && std::equal(x.rows.begin(), x.rows.end(), y.rows.begin()) &&
           std::equal(x.times.begin(), x.times.end(), y.times.begin()) &&
           std::memcmp(x.strengths.data(), y.strengths.data(), x.size() * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("the ridge regression of the next item is that of the formula") {
    const std::size_t n = 40;
    const Sequences log = random_log(60, n, 25);
    for (const std::size_t users : {1u, 2u, 4u})
        for (const std::size_t window : {1u, 3u, 10u}) {
            RidgeOptions options;
            options.users = users;
            options.window = window;
            options.ridge = 3;
            const auto form = ranklet::ridge_next_item(spans(log), ids_of(n), options);
            REQUIRE(form.ok());
            check_rows(form->transitions, ridge_reference(log, n, options, form->compensated), 200);
        }
    // By hand: 0 before 1, twice; x = onehot(0), so B[0, 1] = 2 / (2 + 2 * diagonal + ridge).
    RidgeOptions options;
    options.ridge = 6;
    const auto form = ranklet::ridge_next_item(spans({{0, 1}, {0, 1}, {}, {2}}), ids_of(3), options);
    REQUIRE(form.ok());
    REQUIRE(form->transitions.pairs() == 1);
    CHECK(form->transitions.row(0).rows[0] == 1);
    CHECK(form->transitions.row(0).strengths[0] == doctest::Approx(0.2));
    CHECK(form->transitions.row(0).times[0] == 2);
    CHECK(form->transitions.seen(1) == 2);
    CHECK(form->transitions.seen(2) == 1);
    CHECK(form->transitions.id(2) == "i2");
}

TEST_CASE("EASE is that of the paper's formula") {
    const std::size_t n = 40;
    const Sequences log = random_log(60, n, 25);
    for (const std::size_t users : {1u, 2u, 4u}) {
        EaseOptions options;
        options.users = users;
        options.lambda = 20;
        const auto form = ranklet::ease(spans(log), ids_of(n), options);
        REQUIRE(form.ok());
        check_rows(form->transitions, ease_reference(log, n, options, form->compensated), 200);
    }
}

TEST_CASE("what one person did is not solved from") {
    RidgeOptions ridge;
    const auto form = ranklet::ridge_next_item(spans({{0, 1, 0, 1, 0, 1}, {2, 3}, {2, 3}}), ids_of(4), ridge);
    REQUIRE(form.ok());
    CHECK(form->transitions.row(0).size() == 0);
    CHECK(form->transitions.row(1).size() == 0);
    CHECK(form->transitions.row(2).size() == 1);
    EaseOptions ease;
    const auto other = ranklet::ease(spans({{0, 1}, {2, 3}, {2, 3}}), ids_of(4), ease);
    REQUIRE(other.ok());
    CHECK(other->transitions.row(0).size() == 0);
    CHECK(other->transitions.row(2).size() == 1);
    CHECK(other->transitions.row(2).times[0] == 2);
}

TEST_CASE("a matrix that is not definite without its rare pairs is made so") {
    const Sequences log{{0, 1, 2}, {0, 1}, {0, 2}};
    EaseOptions options;
    options.lambda = 0.1;
    const auto form = ranklet::ease(spans(log), ids_of(3), options);
    REQUIRE(form.ok());
    CHECK(form->compensated);
    check_rows(form->transitions, ease_reference(log, 3, options, true), 200);
    options.users = 1;
    CHECK(!ranklet::ease(spans(log), ids_of(3), options)->compensated);
}

TEST_CASE("many blocks: the strongest entries, and the same bits for any number of threads") {
    const std::size_t n = 301;  // three blocks of the factors, two of right sides, rows that fill the last
    const Sequences log = random_log(400, n, 40);
    RidgeOptions ridge;
    ridge.followers = 20;
    const auto form = ranklet::ridge_next_item(spans(log), ids_of(n), ridge);
    REQUIRE(form.ok());
    check_rows(form->transitions, ridge_reference(log, n, ridge, form->compensated), 20);
    EaseOptions ease;
    ease.followers = 20;
    ease.lambda = 50;
    const auto other = ranklet::ease(spans(log), ids_of(n), ease);
    REQUIRE(other.ok());
    check_rows(other->transitions, ease_reference(log, n, ease, other->compensated), 20);
    for (const std::size_t threads : {2u, 3u}) {
        ridge.threads = ranklet_test::finely(threads);
        ease.threads = ridge.threads;
        CHECK(same_bits(ranklet::ridge_next_item(spans(log), ids_of(n), ridge)->transitions, form->transitions));
        CHECK(same_bits(ranklet::ease(spans(log), ids_of(n), ease)->transitions, other->transitions));
    }
    std::uint64_t last = 0, of = 1;
    ridge.progress = [&](std::uint64_t done, std::uint64_t all) { last = done, of = all; };
    CHECK(ranklet::ridge_next_item(spans(log), ids_of(n), ridge).ok());
    CHECK(last == of);
    const std::atomic<bool> stop{true};
    ridge.stop = stop;
    CHECK(ranklet::ridge_next_item(spans(log), ids_of(n), ridge).error().code == ErrorCode::stopped);
}

TEST_CASE("what cannot be solved is refused") {
    const Sequences log{{0, 1}, {0, 5}};
    const auto code = [&](const RidgeOptions& options, std::size_t n) {
        const auto form = ranklet::ridge_next_item(spans(log), ids_of(n), options);
        return form.ok() ? ErrorCode::io : form.error().code;
    };
    RidgeOptions options;
    const auto refused = ranklet::ridge_next_item(spans(log), ids_of(3), options);
    REQUIRE(!refused.ok());
    CHECK(refused.error().message == "sequence 1, event 1: item number 5, expected less than 3");
    CHECK(code(options, 6) == ErrorCode::io);  // is fine
    options.max_items = 5;
    CHECK(code(options, 6) == ErrorCode::unsupported);
    for (const std::size_t window : {0u, 65u}) {
        options = {};
        options.window = window;
        CHECK(code(options, 6) == ErrorCode::invalid_argument);
    }
    for (const double wrong : {0.0, -1.0, 1.5, std::nan("")}) {
        options = {};
        options.decay = wrong;
        CHECK(code(options, 6) == ErrorCode::invalid_argument);
    }
    for (const double wrong : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
        options = {};
        options.ridge = wrong;
        CHECK(code(options, 6) == ErrorCode::invalid_argument);
        EaseOptions ease;
        ease.lambda = wrong;
        CHECK(ranklet::ease(spans(log), ids_of(6), ease).error().code == ErrorCode::invalid_argument);
    }
    options = {};
    options.followers = 0;
    CHECK(code(options, 6) == ErrorCode::invalid_argument);
    CHECK(ranklet::ridge_next_item(spans(log), {"a", "b", "c", "d", "e", "a"}, {}).error().code ==
          ErrorCode::invalid_argument);
    CHECK(ranklet::ridge_next_item({}, {}, {})->transitions.empty());
    CHECK(ranklet::ease({}, ids_of(2), {})->transitions.pairs() == 0);
}
