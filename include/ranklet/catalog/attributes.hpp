// Attributes: what a catalog knows of its items besides their text: category, price, language, tags ...
// In: named values of one item after the other. Out: one typed column a name, strings interned.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/name_index.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/sort.hpp"
#include "ranklet/core/text_list.hpp"

RANKLET_NAMESPACE_BEGIN

/// What a column holds: one string an item, one number an item, or a set of strings an item.
enum class AttributeType : std::uint32_t { category, number, tags };

constexpr const char* to_string(AttributeType type) noexcept {
    switch (type) {
        case AttributeType::category:
            return "category";
        case AttributeType::number:
            return "number";
        case AttributeType::tags:
            return "tags";
    }
    return "unknown";
}

/// One attribute of one item: `{"brand", "Nera"}`, `{"price", 9.5}`, `{"tags", {"red", "new"}}`. Strings are copied; they
/// are compared byte by byte, whatever they contain.
/// An item that lacks an attribute leaves it out: there is no value that stands for "missing".
struct Attribute {
    Attribute(std::string_view name_, std::string_view value) : name(name_), text(value) {}
    template <class Number, class = std::enable_if_t<std::is_arithmetic_v<Number>>>
    Attribute(std::string_view name_, Number value)
        : name(name_), type(AttributeType::number), number(static_cast<double>(value)) {}
    Attribute(std::string_view name_, TextList values)
        : name(name_), type(AttributeType::tags), tags(values.begin(), values.end()) {}
    Attribute(std::string_view name_, std::initializer_list<std::string_view> values)
        : Attribute(name_, TextList(values)) {}

    std::string name;  ///< "price"
    AttributeType type = AttributeType::category;
    std::string text;               ///< of a category
    double number = 0.0;            ///< of a number
    std::vector<std::string> tags;  ///< of tags
};

/// One attribute of all n items. A category or number may be missing; an item without tags has the empty set.
struct AttributeColumn {
    /// The code of an item without a value.
    static constexpr std::uint32_t no_value = static_cast<std::uint32_t>(-1);

    std::string name;
    AttributeType type = AttributeType::category;
    std::vector<std::string> values;       ///< category, tags: the distinct strings, in order of appearance
    std::vector<std::uint32_t> codes;      ///< category: [n] places in `values`, or no_value; tags: of all items
    std::vector<std::size_t> tag_offsets;  ///< tags: [n + 1] item i's are codes[tag_offsets[i] : tag_offsets[i + 1]]
    std::vector<double> numbers;           ///< number: [n], NaN where missing

    /// The place of a string in `values`; no_value when no item has it.
    std::uint32_t code_of(std::string_view value) const noexcept {
        const auto found = std::find(values.begin(), values.end(), value);
        return found == values.end() ? no_value : static_cast<std::uint32_t>(found - values.begin());
    }
    /// The codes of one item: at most one for a category, none for a number. Precondition: item < n.
    std::span<const std::uint32_t> codes_of_item(std::size_t item) const noexcept {
        if (type == AttributeType::tags)
            return {codes.data() + tag_offsets[item], tag_offsets[item + 1] - tag_offsets[item]};
        if (type == AttributeType::number || codes[item] == no_value) return {};
        return {codes.data() + item, 1};
    }
    /// Whether an item has no value (tags: the empty set). Precondition: item < n.
    bool missing(std::size_t item) const noexcept {
        return type == AttributeType::number ? std::isnan(numbers[item]) : codes_of_item(item).empty();
    }
};

/// The columns of a catalog; none when its items have no attributes.
struct AttributeTable {
    std::vector<AttributeColumn> columns;

    bool empty() const noexcept { return columns.empty(); }
    /// The column of a name; null when there is none.
    const AttributeColumn* find(std::string_view name) const noexcept {
        for (const AttributeColumn& column : columns)
            if (column.name == name) return &column;
        return nullptr;
    }
    /// Error missing, naming the attribute and those that there are.
    RANKLET_COLD Result<const AttributeColumn*> at(std::string_view name) const RANKLET_MEMORY_TRY {
        if (const AttributeColumn* column = find(name)) return column;
        std::string known;
        for (const AttributeColumn& column : columns) known += (known.empty() ? "\"" : ", \"") + column.name + "\"";
        return make_error(ErrorCode::missing, {"no item of the catalog has an attribute \"", name, "\"; there ",
                                               columns.empty() ? "are none" : "are ", known});
    }
    RANKLET_MEMORY_CATCH

    /// Error invalid_argument when a part does not fit `n` items: for tables that AttributeBuilder has not made.
    RANKLET_COLD Result<void> check(std::size_t n) const RANKLET_MEMORY_TRY {
        for (std::size_t c = 0; c < columns.size(); ++c) {
            const AttributeColumn& column = columns[c];
            const auto wrong = [&](const char* what) {
                return make_error(ErrorCode::invalid_argument, {"attribute \"", column.name, "\": ", what});
            };
            if (column.name.empty()) return make_error(ErrorCode::invalid_argument, {"attribute ", c, " has no name"});
            if (find(column.name) != &column) return wrong("stands twice");
            const bool tags = column.type == AttributeType::tags, number = column.type == AttributeType::number;
            if (!number && !tags && column.type != AttributeType::category) return wrong("is of an unknown type");
            if (column.numbers.size() != (number ? n : 0) || column.tag_offsets.size() != (tags ? n + 1 : 0) ||
                (!tags && column.codes.size() != (number ? 0 : n)) || (number && !column.values.empty()))
                return wrong("does not have one entry for each item");
            if (tags && (column.tag_offsets.front() != 0 || column.tag_offsets.back() != column.codes.size() ||
                         !std::is_sorted(column.tag_offsets.begin(), column.tag_offsets.end())))
                return wrong("its tags' offsets do not fit its tags");
            for (const std::uint32_t code : column.codes)
                if (code >= column.values.size() && (tags || code != AttributeColumn::no_value))
                    return wrong("has a code beyond its values");
            const auto& values = column.values;
            const auto order = detail::sorted_indices(
                values.size(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
            for (std::size_t i = 1; i < order.size(); ++i)
                if (values[order[i]] == values[order[i - 1]]) return wrong("has a value twice");
            std::vector<std::size_t> last_item(tags ? column.values.size() : 0, 0);  // that had a tag, from 1 on
            for (std::size_t i = 0; tags && i < n; ++i)
                for (const std::uint32_t code : column.codes_of_item(i))
                    if (std::exchange(last_item[code], i + 1) == i + 1) return wrong("has a tag of an item twice");
            for (const double value : column.numbers)
                if (std::isinf(value)) return wrong("has an infinite number");
        }
        return {};
    }
    RANKLET_MEMORY_CATCH

    /// The attributes of one item, to give to another builder. Precondition: item < n.
    std::vector<Attribute> item(std::size_t item) const {
        std::vector<Attribute> result;
        for (const AttributeColumn& column : columns) {
            if (column.missing(item)) continue;
            if (column.type == AttributeType::number) {
                result.push_back({column.name, column.numbers[item]});
            } else if (column.type == AttributeType::category) {
                result.push_back({column.name, column.values[column.codes[item]]});
            } else {
                std::vector<std::string>& tags = result.emplace_back(column.name, TextList()).tags;
                for (const std::uint32_t code : column.codes_of_item(item)) tags.push_back(column.values[code]);
            }
        }
        return result;
    }
};

/// Builds the columns item by item.
class AttributeBuilder {
public:
    /// The next item's attributes. Error invalid_argument, naming the attribute, when its name is empty or stands
    /// twice, a number is not finite, or it was given before with another type. An empty set of tags counts as left
    /// out. After an Error the builder is of no more use: every later call is an Error invalid_argument.
    Result<void> add(std::span<const Attribute> attributes) RANKLET_MEMORY_TRY {
        if (std::exchange(unusable_, true))
            return make_error(ErrorCode::invalid_argument, {"the attributes of an item before this one had an error"});
        for (const Attribute& attribute : attributes) {
            const AttributeType type = attribute.type;
            const auto wrong = [&](std::string_view what, std::string_view more = {}) {
                return make_error(ErrorCode::invalid_argument, {"attribute \"", attribute.name, "\" ", what, more});
            };
            if (attribute.name.empty()) return make_error(ErrorCode::invalid_argument, {"an attribute has no name"});
            if (type == AttributeType::tags && attribute.tags.empty()) continue;
            const std::size_t place = intern(attribute.name, names_, places_);
            if (place == table_.columns.size()) {
                table_.columns.push_back(empty_column(attribute.name, type));
                interned_.emplace_back();
                last_item_.push_back(0);
            }
            AttributeColumn& column = table_.columns[place];
            if (column.type != type) return wrong("was given before as ", to_string(column.type));
            if (last_item_[place] == count_ + 1) return wrong("stands twice");
            last_item_[place] = count_ + 1;
            if (type == AttributeType::number) {
                if (!std::isfinite(attribute.number))
                    return wrong("is not a finite number; leave it out when it is unknown");
                column.numbers.push_back(attribute.number);
            } else if (type == AttributeType::category) {
                column.codes.push_back(code_of(place, attribute.text));
            } else {
                const std::size_t first = column.codes.size();
                for (const std::string& tag : attribute.tags) {
                    const std::uint32_t code = code_of(place, tag);
                    const auto begin = column.codes.begin() + static_cast<std::ptrdiff_t>(first);
                    if (std::find(begin, column.codes.end(), code) == column.codes.end()) column.codes.push_back(code);
                }
                column.tag_offsets.push_back(column.codes.size());
            }
        }
        ++count_;
        for (AttributeColumn& column : table_.columns) fill(column);
        unusable_ = false;
        return {};
    }
    RANKLET_MEMORY_CATCH

    /// The table of all items so far.
    /// Of none after an Error.
    AttributeTable finish() && { return unusable_ ? AttributeTable() : std::move(table_); }

private:
    AttributeColumn empty_column(std::string_view name, AttributeType type) const {
        AttributeColumn column;
        column.name = name;
        column.type = type;
        if (type == AttributeType::tags) column.tag_offsets.push_back(0);
        const std::size_t before = count_;
        if (type == AttributeType::category) column.codes.assign(before, AttributeColumn::no_value);
        if (type == AttributeType::number) column.numbers.assign(before, missing_number);
        if (type == AttributeType::tags) column.tag_offsets.assign(before + 1, 0);
        return column;
    }
    // Items without the attribute have no value.
    void fill(AttributeColumn& column) const {
        if (column.type == AttributeType::category) column.codes.resize(count_, AttributeColumn::no_value);
        if (column.type == AttributeType::number) column.numbers.resize(count_, missing_number);
        if (column.type == AttributeType::tags) column.tag_offsets.resize(count_ + 1, column.codes.size());
    }
    // The place of a name in the list, where it is put if it is new.
    [[gnu::noinline]] static std::size_t intern(std::string_view name, std::vector<std::string>& names,
                                                detail::NameIndex& places) {
        const std::size_t found = places.find(name, names);
        if (found != detail::NameIndex::none) return found;
        names.emplace_back(name);
        return places.add(names.size() - 1, names);
    }
    std::uint32_t code_of(std::size_t column, std::string_view value) {
        return static_cast<std::uint32_t>(intern(value, table_.columns[column].values, interned_[column]));
    }

    static constexpr double missing_number = std::numeric_limits<double>::quiet_NaN();
    AttributeTable table_;
    std::size_t count_ = 0;
    bool unusable_ = false;                    // in the midst of an item, or left there
    std::vector<std::string> names_;           // of the columns
    detail::NameIndex places_;                 // of the names
    std::vector<detail::NameIndex> interned_;  // of each column's values
    std::vector<std::size_t> last_item_;       // of each column: 1 + the last item that had it
};

RANKLET_NAMESPACE_END
