// ItemFile: what the items of a log are: their texts and attributes.
// In: a table (fit/table_reader.hpp) with a column of ids; which columns are text, in which order, and which are attributes.
// Out: an id, a text and attributes for each item, and a report of what was found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/name_index.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/fit/event_log.hpp"
#include "ranklet/fit/table_reader.hpp"

RANKLET_NAMESPACE_BEGIN

namespace detail {
class ItemFileBuilder;
}

/// A column that becomes an attribute.
struct ItemAttributeColumn {
    enum class Kind {
        category,  ///< one string
        number,
        tags,  ///< strings with tag_separator between them; empty ones are none
    };
    std::string column;     ///< by name or number from 1
    std::string name = {};  ///< the attribute's; empty: the column's, without RecBole's type
    Kind kind = Kind::category;
    std::string tag_separator = "|";
};

struct ItemFileOptions {
    TableOptions table = {};
    std::string id = {};  ///< column; empty: guessed from usual names ("item_id", "movieId", "asin", "id")
    /// The columns whose contents, one behind the other, are an item's text. Empty: a column named "title", "name", or
    /// the like, where there is one.
    std::vector<std::string> texts = {};
    /// Between the texts of two columns; a column that is empty, or has no text left, adds nothing.
    std::string between = " ";
    std::vector<ItemAttributeColumn> attributes = {};
    /// Tags and entities go from texts and attributes (without_html); else they stay as they are.
    bool remove_html = false;
    /// As for EventLogOptions.
    bool skip_bad_lines = false;
    ReadOptions reading = {};
};

struct ItemFileReport {
    std::string id_column;
    std::vector<std::string> text_columns, attribute_columns;
    std::string separator;
    bool header = false, quotes = false;
    std::uint64_t bytes = 0, lines = 0;
    std::uint64_t records = 0;        ///< in the file: items + repeated + bad lines
    std::uint64_t items = 0;          ///< different ids
    std::uint64_t repeated = 0;       ///< records of an id that stood before: the last one counts
    std::uint64_t changed = 0;        ///< of these, those that said something else
    std::uint64_t first_changed = 0;  ///< the line of the first of these
    std::uint64_t without_text = 0;   ///< items
    std::uint64_t bad_lines = 0;
    std::string first_bad_line;  ///< the Error that the first of them would have been
};

/// An attribute of an item that has it.
struct ItemAttribute {
    std::size_t column = 0;  ///< of ItemFileOptions::attributes
    std::string text;        ///< of a category
    double number = 0;       ///< of a number
    std::vector<std::string> tags;

    friend bool operator==(const ItemAttribute& a, const ItemAttribute& b) {
        return a.column == b.column && a.text == b.text && a.number == b.number && a.tags == b.tags;
    }
};

/// What the file says of an item. An attribute that is empty there is not here.
struct ItemRow {
    std::string text;
    std::vector<ItemAttribute> attributes;

    friend bool operator==(const ItemRow& a, const ItemRow& b) {
        return a.text == b.text && a.attributes == b.attributes;
    }
};

/// Items stand as their ids first come in the file. When an id comes again, what its last record says counts: catalogs
/// that were written on end with what is true now. (The report says how many did, and whether they differed.)
class ItemFile {
public:
    /// Error io, format, missing (a column) or invalid_argument, with file, line and column; stopped, deadline.
    RANKLET_COLD static Result<ItemFile> read(const std::string& path, const ItemFileOptions& options = {});

    std::size_t size() const noexcept { return ids_.size(); }
    std::span<const std::string> ids() const noexcept { return ids_; }
    std::span<const ItemRow> rows() const noexcept { return rows_; }
    /// The names of the attributes, as ItemAttribute::column numbers them.
    std::span<const std::string> attribute_names() const noexcept { return attribute_names_; }
    /// The place of an id; size() when it is not there.
    std::size_t find(std::string_view id) const noexcept {
        const std::size_t place = index_.find(id, ids_);
        return place == detail::NameIndex::none ? ids_.size() : place;
    }
    const ItemFileReport& report() const noexcept { return report_; }

private:
    friend class detail::ItemFileBuilder;
    ItemFile() = default;

    std::vector<std::string> ids_, attribute_names_;
    std::vector<ItemRow> rows_;
    detail::NameIndex index_;
    ItemFileReport report_;
};

/// How a log's items and those of a file meet.
struct ItemMatch {
    std::uint64_t ids_without_item = 0;     ///< of the log: recommended without text
    std::uint64_t events_without_item = 0;  ///< of these
    std::uint64_t items_without_event = 0;  ///< of the file: recommended by their text alone
    std::string first_id_without_item;
};

RANKLET_COLD ItemMatch match_items(const EventLog& log, const ItemFile& items);

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <array>
#include <utility>

#include "ranklet/fit/html_text.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

class ItemFileBuilder {
public:
    explicit ItemFileBuilder(const ItemFileOptions& options) : options_(options) {}

    Result<ItemFile> read(const std::string& path) {
        bool numbered = is_number(options_.id);
        for (const std::string& column : options_.texts) numbered = numbered && is_number(column);
        for (const ItemAttributeColumn& column : options_.attributes) numbered = numbered && is_number(column.column);
        RANKLET_ASSIGN(TableReader table, TableReader::open(
                                              path, options_.table, !numbered,
                                              [](std::string_view name) { return is_known(name); }, options_.reading));
        ItemFileReport& report = file_.report_;
        if (table.width() > 0) {
            RANKLET_TRY(find_columns(table));
            RANKLET_TRY(read_lines(table));
        }
        report.bytes = table.bytes();
        report.lines = table.lines();
        report.items = file_.ids_.size();
        for (const ItemRow& row : file_.rows_) report.without_text += row.text.empty() ? 1u : 0u;
        if (file_.ids_.empty())
            return make_error(ErrorCode::format,
                              {path, ": no items", report.bad_lines > 0 ? "; the first line that was left out: " : "",
                               report.first_bad_line});
        return std::move(file_);
    }

private:
    static constexpr std::array<std::string_view, 20> id_names{
        "itemid",    "movieid", "asin",      "productid", "parentasin", "bookid", "isbn",
        "articleid", "newsid",  "trackid",   "songid",    "artistid",   "gameid", "businessid",
        "iid",       "sku",     "contentid", "videoid",   "item",       "id"};
    static constexpr std::array<std::string_view, 9> text_names{
        "title", "name", "itemname", "movietitle", "booktitle", "itemtitle", "productname", "trackname", "text"};

    static bool is_number(std::string_view column) noexcept {
        return !column.empty() && column.find_first_not_of("0123456789") == std::string_view::npos;
    }
    static bool is_known(std::string_view name) {
        const std::string plain = plain_name(name);
        return std::find(id_names.begin(), id_names.end(), plain) != id_names.end() ||
               std::find(text_names.begin(), text_names.end(), plain) != text_names.end();
    }
    static std::string name_of(const TableReader& table, std::size_t column) {
        return table.has_header() ? table.names()[column] : "column " + std::to_string(column + 1);
    }

    Result<void> find_columns(const TableReader& table) {
        ItemFileReport& report = file_.report_;
        if (options_.id.empty()) {
            id_ = guess_column(table.names(), id_names);
            if (id_ == table.names().size())
                return make_error(ErrorCode::missing,
                                  {table.path(), ": no column is known to have the items' ids: state one"});
        } else {
            RANKLET_ASSIGN(id_, table.column(options_.id, "items' ids"));
        }
        report.id_column = name_of(table, id_);
        for (const std::string& column : options_.texts) {
            RANKLET_ASSIGN(const std::size_t found, table.column(column, "texts"));
            texts_.push_back(found);
        }
        if (options_.texts.empty())
            if (const std::size_t guess = guess_column(table.names(), text_names);
                guess < table.names().size() && guess != id_)
                texts_.push_back(guess);
        for (const std::size_t column : texts_) report.text_columns.push_back(name_of(table, column));
        for (const ItemAttributeColumn& column : options_.attributes) {
            RANKLET_ASSIGN(const std::size_t found, table.column(column.column, "attributes"));
            if (column.kind == ItemAttributeColumn::Kind::tags && column.tag_separator.empty())
                return make_error(ErrorCode::invalid_argument,
                                  {"attribute column \"", column.column, "\": no tag_separator"});
            attributes_.push_back(found);
            report.attribute_columns.push_back(name_of(table, found));
            std::string name = column.name;
            if (name.empty()) name = without_type(report.attribute_columns.back());
            for (const std::string& other : file_.attribute_names_)
                if (other == name)
                    return make_error(ErrorCode::invalid_argument, {"two attributes are named \"", name, "\""});
            file_.attribute_names_.push_back(std::move(name));
        }
        report.separator = table.separator();
        report.header = table.has_header();
        report.quotes = table.quotes();
        return {};
    }

    Result<void> read_lines(TableReader& table) {
        ItemFileReport& report = file_.report_;
        for (;;) {
            RANKLET_ASSIGN(const bool more, table.next());
            if (!more) return {};
            ++report.records;
            const Result<void> read = read_line(table);
            if (read.ok()) continue;
            if (!options_.skip_bad_lines || read.error().code != ErrorCode::format) return read.shared_error();
            if (++report.bad_lines == 1) report.first_bad_line = read.error().message;
        }
    }

    Result<void> read_line(const TableReader& table) {
        const auto fields = table.fields();
        RANKLET_TRY(table.check_width());
        const std::string_view id = fields[id_];
        RANKLET_TRY(check_text(table, id_));
        if (id.empty()) return table.wrong(id_, {"an empty id"});
        if (id.size() > longest_id)
            return table.wrong(id_, {"an id of ", id.size(), " bytes, expected at most ", longest_id});
        ItemRow row;
        for (const std::size_t column : texts_) {
            RANKLET_TRY(check_text(table, column));
            const std::string part = text_of(table, column);
            if (part.empty()) continue;
            if (!row.text.empty()) row.text += options_.between;
            row.text += part;
        }
        for (std::size_t a = 0; a < attributes_.size(); ++a) {
            RANKLET_TRY(check_text(table, attributes_[a]));
            RANKLET_TRY(read_attribute(table, a, row));
        }
        const std::size_t place = file_.index_.find(id, file_.ids_);
        ItemFileReport& report = file_.report_;
        if (place == NameIndex::none) {
            if (file_.ids_.size() >= INT32_MAX)
                return make_error(ErrorCode::unsupported, {table.path(), ": more than ", INT32_MAX, " items"});
            file_.ids_.emplace_back(id);
            file_.index_.add(file_.ids_.size() - 1, file_.ids_);
            file_.rows_.push_back(std::move(row));
            return {};
        }
        ++report.repeated;
        if (!(file_.rows_[place] == row) && report.changed++ == 0) report.first_changed = table.line();
        file_.rows_[place] = std::move(row);
        return {};
    }

    static Result<void> check_text(const TableReader& table, std::size_t column) {
        const std::string_view field = table.fields()[column];
        if (const std::size_t valid = valid_text(field); valid != field.size())
            return table.wrong(column, {"byte ", valid, " is not UTF-8"});
        return {};
    }
    std::string clean(std::string_view field) const {
        return options_.remove_html ? without_html(field) : std::string(trimmed(field));
    }
    static std::string_view trimmed(std::string_view field) noexcept {
        const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
        while (!field.empty() && is_space(field.front())) field.remove_prefix(1);
        while (!field.empty() && is_space(field.back())) field.remove_suffix(1);
        return field;
    }
    template <class Each>
    void for_each_tag(std::string_view field, const std::string& separator, const Each& each) const {
        for (;;) {
            const std::size_t size = field.find(separator);
            if (std::string tag = clean(field.substr(0, size)); !tag.empty()) each(std::move(tag));
            if (size == std::string_view::npos) return;
            field.remove_prefix(size + separator.size());
        }
    }
    // A column that is tags too is read as words, not with the separators between them.
    std::string text_of(const TableReader& table, std::size_t column) const {
        const std::string_view field = table.fields()[column];
        for (std::size_t a = 0; a < attributes_.size(); ++a) {
            const ItemAttributeColumn& attribute = options_.attributes[a];
            if (attributes_[a] != column || attribute.kind != ItemAttributeColumn::Kind::tags) continue;
            std::string words;
            for_each_tag(field, attribute.tag_separator, [&](std::string tag) {
                if (!words.empty()) words += ' ';
                words += tag;
            });
            return words;
        }
        return clean(field);
    }
    Result<void> read_attribute(const TableReader& table, std::size_t a, ItemRow& row) const {
        const std::string_view field = table.fields()[attributes_[a]];
        ItemAttribute attribute;
        attribute.column = a;
        switch (options_.attributes[a].kind) {
            case ItemAttributeColumn::Kind::category:
                attribute.text = clean(field);
                if (attribute.text.empty()) return {};
                break;
            case ItemAttributeColumn::Kind::number:
                if (trimmed(field).empty()) return {};
                if (!parse_number(trimmed(field), attribute.number))
                    return table.wrong(attributes_[a], {"\"", shown(field), "\" is no number"});
                break;
            case ItemAttributeColumn::Kind::tags: {
                NameIndex seen;
                std::vector<std::string>& tags = attribute.tags;
                for_each_tag(field, options_.attributes[a].tag_separator, [&](std::string tag) {
                    tags.push_back(std::move(tag));
                    if (seen.add(tags.size() - 1, tags) != tags.size() - 1) tags.pop_back();
                });
                if (tags.empty()) return {};
                break;
            }
        }
        row.attributes.push_back(std::move(attribute));
        return {};
    }

    static constexpr std::size_t longest_id = 1024;
    const ItemFileOptions& options_;
    ItemFile file_;
    std::size_t id_ = 0;
    std::vector<std::size_t> texts_, attributes_;
};

}  // namespace detail

RANKLET_FUNC Result<ItemFile> ItemFile::read(const std::string& path,
                                             const ItemFileOptions& options) RANKLET_MEMORY_TRY {
    return detail::ItemFileBuilder(options).read(path);
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC ItemMatch match_items(const EventLog& log, const ItemFile& items) {
    const std::span<const std::string> ids = log.items();
    std::vector<bool> has_item(ids.size());
    ItemMatch match;
    for (std::size_t i = 0; i < ids.size(); ++i) {
        has_item[i] = items.find(ids[i]) < items.size();
        if (!has_item[i] && match.ids_without_item++ == 0) match.first_id_without_item = ids[i];
    }
    match.items_without_event = items.size() - (ids.size() - match.ids_without_item);
    for (std::size_t user = 0; user < log.users().size(); ++user)
        for (const std::uint32_t item : log.events(user).items) match.events_without_item += has_item[item] ? 0u : 1u;
    return match;
}

RANKLET_NAMESPACE_END
#endif
