// Transitions: what follows what. An immutable snapshot; copies share it.
// In: for each of n items its strongest followers (rows of the same table), their strengths and how often each was seen.
// Out: rows as spans. Counted by TransitionCounts, saved and mapped by counting/transitions_file.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/name_index.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN

namespace detail {
class TransitionsReader;
}

/// What a table is made of; rows stand one after the other in `followers`, `strengths` and `times`.
struct TransitionsData {
    std::vector<std::string> ids;          ///< [n], none empty, none twice
    std::vector<std::uint32_t> seen;       ///< [n] events of each item
    std::vector<std::uint32_t> row_sizes;  ///< [n] followers of each item, 0 or more
    std::vector<std::uint32_t> followers;  ///< [pairs] row numbers, in each row the strongest first, none twice
    std::vector<float> strengths;          ///< [pairs] finite; in a row equal ones stand by row number
    std::vector<std::uint32_t> times;      ///< [pairs] how often the pair was seen, at most 2^31 - 1
};

/// A row's followers, strongest first; the three spans have one size.
struct Followers {
    std::span<const std::uint32_t> rows;
    std::span<const float> strengths;
    std::span<const std::uint32_t> times;
    std::size_t size() const noexcept { return rows.size(); }
};

/// Cheap to copy, safe to use from several threads. What it gives out is valid as long as any copy lives.
/// One made by default, or moved from, is empty.
class Transitions {
public:
    Transitions() = default;

    /// Error invalid_argument, naming the place, when the data is not as TransitionsData says.
    RANKLET_COLD static Result<Transitions> create(TransitionsData data);

    /// Items; rows are numbered from 0.
    std::size_t size() const noexcept { return table_ != nullptr ? table_->ids.size() : 0; }
    bool empty() const noexcept { return size() == 0; }
    /// Followers of all rows.
    std::size_t pairs() const noexcept { return table_ != nullptr ? table_->all.size() : 0; }

    std::span<const std::string> ids() const noexcept {
        return table_ != nullptr ? std::span<const std::string>(table_->ids) : std::span<const std::string>();
    }
    /// Precondition: row < size().
    const std::string& id(std::size_t row) const noexcept { return table_->ids[row]; }
    /// The row of an item; size() when it is not there.
    std::size_t find(std::string_view id) const noexcept;

    /// Precondition: row < size().
    Followers row(std::size_t row) const noexcept {
        const std::size_t first = table_->starts[row], count = table_->starts[row + 1] - first;
        const Followers& all = table_->all;
        return {all.rows.subspan(first, count), all.strengths.subspan(first, count), all.times.subspan(first, count)};
    }
    /// The followers of all rows, one row behind the other.
    Followers all() const noexcept { return table_ != nullptr ? table_->all : Followers(); }
    /// How many events were of this item. Precondition: row < size().
    std::uint32_t seen(std::size_t row) const noexcept { return table_->seen[row]; }

private:
    friend class detail::TransitionsReader;
    struct Table {
        std::vector<std::string> ids;
        detail::NameIndex index;
        std::vector<std::size_t> starts;  // [n + 1]
        std::vector<std::uint32_t> seen;
        Followers all;
        std::shared_ptr<const void> owner;  // of the numbers that `all` looks at
    };
    // `all` lies in `owner`, which the table keeps.
    RANKLET_COLD static Result<Transitions> create(std::vector<std::string> ids, std::vector<std::uint32_t> seen,
                                                   std::span<const std::uint32_t> row_sizes, const Followers& all,
                                                   std::shared_ptr<const void> owner);
    RANKLET_COLD static Result<void> check_rows(const Table& table);

    std::shared_ptr<const Table> table_;
};

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <cmath>
#include <utility>

RANKLET_NAMESPACE_BEGIN

RANKLET_FUNC Result<Transitions> Transitions::create(TransitionsData data) RANKLET_MEMORY_TRY {
    const auto owner = std::make_shared<TransitionsData>(std::move(data));
    return create(std::move(owner->ids), std::move(owner->seen), owner->row_sizes,
                  {owner->followers, owner->strengths, owner->times}, owner);
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Transitions> Transitions::create(std::vector<std::string> ids, std::vector<std::uint32_t> seen,
                                                     std::span<const std::uint32_t> row_sizes, const Followers& all,
                                                     std::shared_ptr<const void> owner) {
    const auto wrong = [](std::initializer_list<ErrorPart> what) {
        return make_error(ErrorCode::invalid_argument, {"transitions: "}, what);
    };
    const std::size_t n = ids.size();
    if (n > INT32_MAX) return wrong({n, " items, expected at most ", INT32_MAX});
    if (seen.size() != n) return wrong({seen.size(), " counts of events for ", n, " items"});
    if (row_sizes.size() != n) return wrong({row_sizes.size(), " row sizes for ", n, " items"});
    if (all.strengths.size() != all.size() || all.times.size() != all.size())
        return wrong({all.size(), " followers, ", all.strengths.size(), " strengths, ", all.times.size(), " times"});
    for (std::size_t i = 0; i < n; ++i)
        if (ids[i].empty()) return wrong({"item ", i, " has no id"});
    auto table = std::make_shared<Table>();
    table->ids = std::move(ids);
    if (const std::size_t twice = table->index.add_all(table->ids); twice != detail::NameIndex::none)
        return wrong({"item ", twice, " (\"", table->ids[twice], "\") is there twice"});
    table->seen = std::move(seen);
    table->starts.reserve(n + 1);
    table->starts.push_back(0);
    for (const std::uint32_t size : row_sizes) table->starts.push_back(table->starts.back() + size);
    if (table->starts.back() != all.size())
        return wrong(
            {"the rows' sizes add up to ", table->starts.back(), ", but there are ", all.size(), " followers"});
    table->all = all;
    table->owner = std::move(owner);
    RANKLET_TRY(check_rows(*table));
    Transitions made;
    made.table_ = std::move(table);
    return made;
}

RANKLET_FUNC Result<void> Transitions::check_rows(const Table& table) {
    const std::size_t n = table.ids.size();
    std::vector<std::uint32_t> last_row(n, static_cast<std::uint32_t>(-1));  // that an item was found in as a follower
    for (std::size_t r = 0; r < n; ++r) {
        for (std::size_t i = table.starts[r]; i < table.starts[r + 1]; ++i) {
            const auto wrong = [&](std::initializer_list<ErrorPart> what) {
                return make_error(
                    ErrorCode::invalid_argument,
                    {"transitions: row ", r, " (\"", table.ids[r], "\"), follower ", i - table.starts[r], ": "}, what);
            };
            const std::uint32_t follower = table.all.rows[i];
            const float strength = table.all.strengths[i];
            if (follower >= n) return wrong({"row number ", follower, ", expected less than ", n});
            if (last_row[follower] == r) return wrong({"row number ", follower, " is there twice"});
            last_row[follower] = static_cast<std::uint32_t>(r);
            if (!std::isfinite(strength)) return wrong({"its strength is not finite"});
            if (table.all.times[i] > INT32_MAX)
                return wrong({"seen ", table.all.times[i], " times, expected at most ", INT32_MAX});
            if (i == table.starts[r]) continue;
            const float before = table.all.strengths[i - 1];
            if (before < strength || (before == strength && table.all.rows[i - 1] > follower))
                return wrong({"expected the stronger first, and equal ones by row number"});
        }
    }
    return {};
}

RANKLET_FUNC std::size_t Transitions::find(std::string_view id) const noexcept {
    if (table_ == nullptr) return 0;
    const std::size_t place = table_->index.find(id, table_->ids);
    return place == detail::NameIndex::none ? size() : place;
}

RANKLET_NAMESPACE_END
#endif
