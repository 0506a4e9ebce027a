// Condition and Filter: which items of a catalog may be recommended, by their attributes.
// In: a condition (a value, of no catalog) and a catalog. Out: a bitset over that catalog's items, made once and used
// in any number of rankings. Filters act before the cut: k results come back as long as k items are left.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/catalog/attributes.hpp"
#include "ranklet/catalog/bitset.hpp"
#include "ranklet/catalog/catalog.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/text_list.hpp"

RANKLET_NAMESPACE_BEGIN

/// A condition on attributes, composed with &&, || and !.
/// An item without the attribute fulfils none of the comparisons; `!c` holds exactly the items that c does not, those
/// included. A string that no item has matches nothing; an attribute that no item has is an Error of Filter::create.
class Condition {
public:
    /// A category is this string.
    static Condition equals(std::string_view attribute, std::string_view value) {
        return {Kind::any_of, attribute, {std::string(value)}};
    }
    /// A number is this one.
    static Condition equals(std::string_view attribute, double value) { return in_range(attribute, value, value); }
    /// A category is one of these strings; of none: no item.
    static Condition any_of(std::string_view attribute, TextList values) {
        return {Kind::any_of, attribute, {values.begin(), values.end()}};
    }
    /// A number lies in [low, high], both included; infinities leave an end open.
    static Condition in_range(std::string_view attribute, double low, double high) {
        Condition condition{Kind::in_range, attribute, {}};
        condition.low_ = low;
        condition.high_ = high;
        return condition;
    }
    static Condition at_least(std::string_view attribute, double low) {
        return in_range(attribute, low, std::numeric_limits<double>::infinity());
    }
    static Condition at_most(std::string_view attribute, double high) {
        return in_range(attribute, -std::numeric_limits<double>::infinity(), high);
    }
    /// The tags contain this string.
    static Condition contains(std::string_view attribute, std::string_view tag) {
        return {Kind::contains_any, attribute, {std::string(tag)}};
    }
    /// The tags contain one of these strings at least; of none: no item.
    static Condition contains_any(std::string_view attribute, TextList tags) {
        return {Kind::contains_any, attribute, {tags.begin(), tags.end()}};
    }
    /// The tags contain all of these strings; of none: every item.
    static Condition contains_all(std::string_view attribute, TextList tags) {
        Condition all{Kind::all, {}, {}};
        for (const std::string_view tag : tags) all.append(contains(attribute, tag));
        if (tags.empty()) return !contains_any(attribute, {});
        return all;
    }
    /// The item has no value (tags: the empty set).
    static Condition is_missing(std::string_view attribute) { return {Kind::is_missing, attribute, {}}; }

    /// In a loop write `c = std::move(c) && next`: `c = c && next` copies all that has been joined so far.
    friend Condition operator&&(Condition a, Condition b) { return join(Kind::all, std::move(a), std::move(b)); }
    friend Condition operator||(Condition a, Condition b) { return join(Kind::any, std::move(a), std::move(b)); }
    friend Condition operator!(Condition a) {
        if (a.kind_ == Kind::no && !a.parts_.empty()) return std::move(a.parts_.front());
        Condition no{Kind::no, {}, {}};
        no.append(std::move(a));
        return no;
    }

    /// The items of a table of n that fulfil it. Error missing for an attribute that the table lacks, invalid_argument
    /// for a comparison that its type does not have, a range that is none, or more than 500 levels of operators (a
    /// chain of one operator is one level).
    Result<Bitset> evaluate(const AttributeTable& table, std::size_t n) const RANKLET_MEMORY_TRY {
        if (kind_ == Kind::too_deep)
            return make_error(ErrorCode::invalid_argument, {"a condition of more than ", most_levels, " levels"});
        if (kind_ == Kind::all || kind_ == Kind::any || kind_ == Kind::no) {
            Bitset result(n, kind_ == Kind::all);
            for (const Condition& part : parts_) {
                RANKLET_ASSIGN(const Bitset bits, part.evaluate(table, n));
                if (kind_ == Kind::all)
                    result &= bits;
                else
                    result |= bits;
            }
            if (kind_ == Kind::no) result.flip();
            return result;
        }
        return evaluate_leaf(table, n);
    }
    RANKLET_MEMORY_CATCH

private:
    enum class Kind { any_of, in_range, contains_any, is_missing, all, any, no, too_deep };
    static constexpr std::size_t most_levels = 500;

    Condition(Kind kind, std::string_view attribute, std::vector<std::string> values)
        : kind_(kind), attribute_(attribute), values_(std::move(values)) {}

    static Condition join(Kind kind, Condition a, Condition b) {
        if (a.kind_ != kind) {
            Condition joined{kind, {}, {}};
            joined.append(std::move(a));
            a = std::move(joined);
        }
        if (a.kind_ == kind && b.kind_ == kind)
            for (Condition& part : b.parts_) a.append(std::move(part));
        else
            a.append(std::move(b));
        return a;
    }
    // What is too deep loses its parts, so that copying, evaluating and destroying never go deeper than that; it stays
    // an Error in whatever it becomes a part of.
    void append(Condition part) {
        if (kind_ == Kind::too_deep) return;
        levels_ = std::max(levels_, part.levels_ + 1);
        parts_.push_back(std::move(part));
        if (levels_ <= most_levels) return;
        *this = Condition{Kind::too_deep, {}, {}};
    }

    Result<Bitset> evaluate_leaf(const AttributeTable& table, std::size_t n) const {
        RANKLET_ASSIGN(const AttributeColumn* column, table.at(attribute_));
        Bitset result(n);
        if (kind_ == Kind::is_missing) {
            for (std::size_t i = 0; i < n; ++i)
                if (column->missing(i)) result.set(i);
            return result;
        }
        RANKLET_TRY(check(*column));
        if (kind_ == Kind::in_range) {
            for (std::size_t i = 0; i < n; ++i)  // a missing number is NaN, which lies in no range
                if (column->numbers[i] >= low_ && column->numbers[i] <= high_) result.set(i);
            return result;
        }
        std::vector<char> wanted(column->values.size(), 0);
        for (const std::string& value : values_)
            if (const std::uint32_t code = column->code_of(value); code != AttributeColumn::no_value) wanted[code] = 1;
        for (std::size_t i = 0; i < n; ++i)
            for (const std::uint32_t code : column->codes_of_item(i))
                if (wanted[code]) result.set(i);
        return result;
    }

    RANKLET_COLD Result<void> check(const AttributeColumn& column) const {
        constexpr AttributeType types[] = {AttributeType::category, AttributeType::number, AttributeType::tags};
        constexpr const char* names[] = {"equals and any_of compare a category", "a range is of a number",
                                         "contains is of tags"};
        const auto kind = static_cast<std::size_t>(kind_);
        if (column.type != types[kind])
            return make_error(ErrorCode::invalid_argument, {"attribute \"", attribute_, "\" is of type ",
                                                            to_string(column.type), ": ", names[kind]});
        if (kind_ == Kind::in_range && !(low_ <= high_))
            return make_error(ErrorCode::invalid_argument,
                              {"attribute \"", attribute_, "\": [", low_, ", ", high_, "] is not a range"});
        return {};
    }

    Kind kind_;
    std::string attribute_;
    std::vector<std::string> values_;
    double low_ = 0.0, high_ = 0.0;
    std::size_t levels_ = 1;
    std::vector<Condition> parts_;
};

/// The items of one catalog snapshot that may be recommended. A value; it does not keep the catalog alive.
/// Not for other snapshots, not even of the same size: recommend() refuses it there.
class Filter {
public:
    /// Evaluates a condition. Errors as Condition::evaluate.
    static Result<Filter> create(const Catalog& catalog, const Condition& condition) RANKLET_MEMORY_TRY {
        RANKLET_ASSIGN(Bitset bits, condition.evaluate(catalog.data().attributes, catalog.size()));
        return Filter(catalog, std::move(bits));
    }
    RANKLET_MEMORY_CATCH
    /// From bits that the caller has set. Error mismatch when they are not as many as the catalog's items.
    static Result<Filter> from_bits(const Catalog& catalog, Bitset bits) {
        if (bits.size() != catalog.size())
            return make_error(ErrorCode::mismatch,
                              {"a bitset of ", bits.size(), " bits for a catalog of ", catalog.size(), " items"});
        return Filter(catalog, std::move(bits));
    }
    /// From ids; those that the catalog lacks are passed over, as in RecommendOptions::allow.
    static Filter from_ids(const Catalog& catalog, TextList ids) {
        Bitset bits(catalog.size());
        for (const std::string_view id : ids)
            if (const std::size_t i = catalog.find(id); i < catalog.size()) bits.set(i);
        return Filter(catalog, std::move(bits));
    }

    const Bitset& bits() const noexcept { return bits_; }
    /// Items that it leaves.
    std::size_t count() const noexcept { return bits_.count(); }
    /// Whether it was made of this very snapshot.
    bool fits(const Catalog& catalog) const noexcept { return snapshot_ == catalog.snapshot(); }

    // Composition of filters of one snapshot; of two: Error mismatch.
    friend Result<Filter> operator&(Filter a, const Filter& b) {
        RANKLET_TRY(a.check(b));
        a.bits_ &= b.bits_;
        return a;
    }
    friend Result<Filter> operator|(Filter a, const Filter& b) {
        RANKLET_TRY(a.check(b));
        a.bits_ |= b.bits_;
        return a;
    }
    friend Filter operator~(Filter a) {
        a.bits_.flip();
        return a;
    }

private:
    Filter(const Catalog& catalog, Bitset bits) : snapshot_(catalog.snapshot()), bits_(std::move(bits)) {}
    Result<void> check(const Filter& other) const {
        if (snapshot_ == other.snapshot_) return {};
        return make_error(ErrorCode::mismatch, {"the filters are of two catalog snapshots"});
    }

    CatalogSnapshot snapshot_;
    Bitset bits_;
};

RANKLET_NAMESPACE_END
