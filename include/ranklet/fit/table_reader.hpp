// TableReader: a table in a text file, record by record: TSV, CSV (RFC 4180), fields split at "::", RecBole's files.
// In: a path. Out: fields as views of the bytes, with the line that each record starts on. Nothing but one record is in
// memory. Quotes, where they count, enclose a field with separators, line ends and doubled quotes in it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/execution.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN

/// How a table is laid out. What is left open is found from the file's first line, and can be asked for afterwards. A table
/// has at most 65,536 columns.
struct TableOptions {
    enum class Choice { automatic, yes, no };

    /// Between fields; empty: a tab where the first line has one, else "::" where it has one, else ',' or ';', of which
    /// it has more. (Where it has none of these, it has one column.)
    std::string separator = {};
    /// Whether the first line has the columns' names. Automatic: unless all columns were stated by number and none of its
    /// fields is a name that this library knows or that states a type ("user_id:token").
    Choice header = Choice::automatic;
    /// Whether quotes enclose fields. Automatic: where the separator is ',' or ';'. (In files with tabs or "::" they are
    /// letters as a rule: titles begin with them.)
    Choice quotes = Choice::automatic;
    /// A record, all its lines together, is at most so long: what a quote that nobody closed takes of the memory.
    std::size_t max_record_bytes = std::size_t{1} << 24;
};

/// A long reading call: who is told how far it is, and who may end it.
struct ReadOptions {
    /// (bytes read, bytes of the file; 0 where that is not known: a pipe), every megabyte and at the end.
    std::function<void(std::uint64_t, std::uint64_t)> progress = {};
    StopToken stop = {};
    Deadline deadline = {};
};

namespace detail {

/// A text's first 40 bytes, as far as they are valid, with dots behind where that is not all: what a message says of it.
std::string shown(std::string_view text);

/// Move-only. After an Error there is nothing more to read.
class TableReader {
public:
    /// `names_expected`: the header, when it is left open, is there. `known`: tells whether a field of the first line is
    /// a known column's name. Error io; format for what is no text in UTF-8 (UTF-16, a compressed file).
    RANKLET_COLD static Result<TableReader> open(const std::string& path, const TableOptions& options,
                                                 bool names_expected,
                                                 const std::function<bool(std::string_view)>& known,
                                                 ReadOptions reading = {});

    const std::string& path() const noexcept { return path_; }
    /// The columns' names as the header has them; none without one.
    std::span<const std::string> names() const noexcept { return names_; }
    /// Columns that every record must have; 0 for an empty file.
    std::size_t width() const noexcept { return width_; }
    const std::string& separator() const noexcept { return separator_; }
    bool quotes() const noexcept { return quotes_; }
    bool has_header() const noexcept { return !names_.empty(); }
    std::uint64_t bytes() const noexcept { return total_; }

    /// The next record that is no empty line; false after the last. The number of fields is the caller's to check
    /// (check_width).
    /// Error format for quotes that are not as RFC 4180 has them and for too long a record, io, stopped, deadline.
    Result<bool> next() {
        if (pending_) return pending_ = false, true;
        return read_record();
    }
    /// At most most_columns + 1 of them.
    std::span<const std::string_view> fields() const noexcept { return fields_; }
    /// The line, from 1, on which the current record starts.
    std::uint64_t line() const noexcept { return line_; }
    /// Lines that are done with, empty ones and those inside of quotes included.
    std::uint64_t lines() const noexcept { return next_line_ - 1; }

    /// Error format where the current record has not width() fields.
    Result<void> check_width() const {
        if (fields_.size() == width_) return {};
        return wrong({fields_.size() > most_columns ? "more than " : "", std::min(fields_.size(), most_columns),
                      fields_.size() == 1 ? " column" : " columns", ", expected ", width_,
                      has_header() ? ", as the header has" : ", as the first line has"});
    }
    /// The columns that there are, for an Error: the names of the first of them, or how many they are.
    RANKLET_COLD std::string columns_there() const;

    /// A column's number, from 0, of a name in the header (with its type or without, "user_id:token" and "user_id"), or of
    /// a number from 1 where no column has that name. Error missing, naming the columns that there are.
    RANKLET_COLD Result<std::size_t> column(std::string_view wanted, const char* what) const;

    /// Error format at the current record; `column` from 0.
    RANKLET_OUT_OF_LINE SharedError wrong(std::initializer_list<ErrorPart> what) const {
        return make_error(ErrorCode::format, {path_, ": line ", line_, ": "}, what);
    }
    RANKLET_OUT_OF_LINE SharedError wrong(std::size_t column, std::initializer_list<ErrorPart> what) const {
        std::string place = "column " + std::to_string(column + 1);
        if (column < names_.size()) place += " (\"" + shown(names_[column]) + "\")";
        return make_error(ErrorCode::format, {path_, ": line ", line_, ", ", place, ": "}, what);
    }

    TableReader(TableReader&&) noexcept = default;
    TableReader& operator=(TableReader&&) noexcept = default;

private:
    struct Close {
        void operator()(std::FILE* file) const noexcept { (void)std::fclose(file); }
    };
    static constexpr std::size_t piece = std::size_t{1} << 20;
    // What a field takes is many times a separator, and no table has so many.
    static constexpr std::size_t most_columns = 65'536;

    TableReader() = default;
    RANKLET_COLD Result<void> start(const TableOptions& options, bool names_expected,
                                    const std::function<bool(std::string_view)>& known);
    Result<bool> read_record();
    Result<void> read_more();
    Result<bool> find_line(std::size_t from, std::size_t& end);
    void split_plain(std::string_view record);
    Result<void> split_quoted();

    std::string path_, separator_;
    std::unique_ptr<std::FILE, Close> file_;
    ReadOptions reading_;
    std::uint64_t total_ = 0, read_ = 0;
    std::vector<char> buffer_;
    std::size_t at_ = 0, end_ = 0;  // of what is not yet done with, in the buffer
    bool ended_ = false, quotes_ = false, pending_ = false;
    std::size_t longest_ = 0, width_ = 0;
    std::uint64_t line_ = 0, next_line_ = 1;
    std::vector<std::string> names_;
    std::vector<std::string_view> fields_;
    std::vector<std::size_t> places_;  // of a quoted record's fields: first and last byte in the buffer, from at_ on
};

/// A column's name without RecBole's type: "user_id" of "user_id:token".
std::string_view without_type(std::string_view name) noexcept;
/// The type alone: "token"; empty without one.
std::string_view type_of(std::string_view name) noexcept;
/// Letters and digits alone, in lower case, without a type: what names are compared by when columns are guessed.
std::string plain_name(std::string_view name);
/// The first column whose name is one of these (plain ones), the likelier names first; names.size() when there is none.
std::size_t guess_column(std::span<const std::string> names, std::span<const std::string_view> likely);

/// A whole field as a number, blanks around it allowed. False when it is none, or not finite.
bool parse_number(std::string_view field, double& number) noexcept;

/// The byte of the first ill-formed sequence, or of a zero, which no text has; the size when all is well.
std::size_t valid_text(std::string_view text) noexcept;

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <cerrno>
#include <charconv>
#include <climits>
#include <cmath>
#include <cstring>
#include <system_error>
#include <utility>

#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

RANKLET_FUNC std::string_view without_type(std::string_view name) noexcept {
    return type_of(name).empty() ? name : name.substr(0, name.rfind(':'));
}

RANKLET_FUNC std::string_view type_of(std::string_view name) noexcept {
    const std::size_t colon = name.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return {};
    const std::string_view type = name.substr(colon + 1);
    for (const std::string_view known : {"token", "token_seq", "float", "float_seq"})
        if (type == known) return type;
    return {};
}

RANKLET_FUNC std::string plain_name(std::string_view name) {
    std::string plain;
    for (const char c : without_type(name)) {
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80)
            plain += c;
        else if (c >= 'A' && c <= 'Z')
            plain += static_cast<char>(c - 'A' + 'a');
    }
    return plain;
}

RANKLET_FUNC std::size_t guess_column(std::span<const std::string> names, std::span<const std::string_view> likely) {
    std::vector<std::string> plain;
    plain.reserve(names.size());
    for (const std::string& name : names) plain.push_back(plain_name(name));
    for (const std::string_view wanted : likely)
        if (const auto found = std::find(plain.begin(), plain.end(), wanted); found != plain.end())
            return static_cast<std::size_t>(found - plain.begin());
    return names.size();
}

RANKLET_FUNC bool parse_number(std::string_view field, double& number) noexcept {
    while (!field.empty() && field.front() == ' ') field.remove_prefix(1);
    while (!field.empty() && field.back() == ' ') field.remove_suffix(1);
    if (field.starts_with('+')) {
        field.remove_prefix(1);
        if (field.starts_with('+') || field.starts_with('-')) return false;
    }
    const auto read = std::from_chars(field.data(), field.data() + field.size(), number);
    return read.ec == std::errc() && read.ptr == field.data() + field.size() && std::isfinite(number);
}

RANKLET_FUNC std::size_t valid_text(std::string_view text) noexcept {
    const std::size_t valid = utf8::valid_prefix(text);
    return std::min(valid, text.find('\0'));
}

RANKLET_FUNC std::string shown(std::string_view text) {
    std::string_view part = text.substr(0, std::min<std::size_t>(text.size(), 40));
    part = part.substr(0, valid_text(part));
    return part.size() < text.size() ? std::string(part) + "..." : std::string(part);
}

RANKLET_FUNC Result<TableReader> TableReader::open(const std::string& path, const TableOptions& options,
                                                   bool names_expected,
                                                   const std::function<bool(std::string_view)>& known,
                                                   ReadOptions reading) {
    if (path.empty()) return make_error(ErrorCode::io, {"an empty path names no file"});
    if (path.find('\0') != std::string::npos)
        return make_error(ErrorCode::io, {path.c_str(), ": the path contains a zero byte"});
    TableReader reader;
    reader.path_ = path;
    reader.reading_ = std::move(reading);
    reader.file_.reset(std::fopen(path.c_str(), "rb"));
    if (reader.file_ == nullptr)
        return make_error(ErrorCode::io, {path, ": cannot be opened (", std::generic_category().message(errno), ")"});
    (void)std::setvbuf(reader.file_.get(), nullptr, _IONBF, 0);
    if (std::fseek(reader.file_.get(), 0, SEEK_END) == 0) {
        const long size = std::ftell(reader.file_.get());  // a folder's is LONG_MAX, and reading it fails
        if (size > 0 && size < LONG_MAX) reader.total_ = static_cast<std::uint64_t>(size);
        std::rewind(reader.file_.get());
    }
    RANKLET_TRY(reader.start(options, names_expected, known));
    return reader;
}

RANKLET_FUNC Result<void> TableReader::start(const TableOptions& options, bool names_expected,
                                             const std::function<bool(std::string_view)>& known) {
    longest_ = options.max_record_bytes;
    if (longest_ == 0) return make_error(ErrorCode::invalid_argument, {"a table's records need at least a byte"});
    if (options.separator.find_first_of("\"\r\n") != std::string::npos)
        return make_error(ErrorCode::invalid_argument,
                          {"a separator with a quote or a line end in it separates nothing"});
    buffer_.resize(piece);
    RANKLET_TRY(read_more());
    const std::string_view head(buffer_.data(), end_);
    if (head.starts_with("\xEF\xBB\xBF")) {
        at_ = 3;
    } else if (head.starts_with("\xFF\xFE") || head.starts_with("\xFE\xFF")) {
        return make_error(ErrorCode::format, {path_, ": UTF-16, expected UTF-8"});
    } else if (head.starts_with("\x1F\x8B") || head.starts_with("PK\x03\x04") || head.starts_with("BZh") ||
               head.starts_with("\xFD"
                                "7zXZ") ||
               head.starts_with("\x28\xB5\x2F\xFD")) {
        return make_error(ErrorCode::format, {path_, ": a compressed file, expected text: unpack it first"});
    }
    // The first line with anything in it.
    std::size_t last = at_;
    bool found = false;
    for (;; at_ = last + 1, ++next_line_) {
        RANKLET_ASSIGN(found, find_line(at_, last));
        if (at_ == last && !found) return {};
        if (last > at_ && !(last == at_ + 1 && buffer_[at_] == '\r')) break;
        if (!found) return {};
    }
    std::string_view line(buffer_.data() + at_, last - at_);
    if (line.ends_with('\r')) line.remove_suffix(1);
    line_ = next_line_;
    if (!found && line.find('\r') != std::string_view::npos)
        return wrong({"carriage returns without line feeds, expected lines that end in a line feed"});
    separator_ = options.separator;
    if (separator_.empty()) {
        const auto count = [&](char c) { return std::count(line.begin(), line.end(), c); };
        if (count('\t') > 0)
            separator_ = "\t";
        else if (line.find("::") != std::string_view::npos)
            separator_ = "::";
        else
            separator_ = count(';') > count(',') ? ";" : ",";
    }
    using Choice = TableOptions::Choice;
    quotes_ = options.quotes == Choice::yes ||
              (options.quotes == Choice::automatic && (separator_ == "," || separator_ == ";"));
    RANKLET_ASSIGN(const bool first, read_record());
    if (!first) return {};
    width_ = fields_.size();
    if (width_ > most_columns) return wrong({"more than ", most_columns, " columns: no table"});
    bool header = options.header == Choice::yes;
    if (options.header == Choice::automatic)
        header = names_expected || std::any_of(fields_.begin(), fields_.end(), [&](std::string_view field) {
                     return !type_of(field).empty() || known(field);
                 });
    pending_ = !header;
    if (!header) return {};
    for (std::size_t c = 0; c < fields_.size(); ++c) {
        if (const std::size_t valid = valid_text(fields_[c]); valid != fields_[c].size())
            return wrong(c, {"byte ", valid, " of the name is not UTF-8"});
        names_.emplace_back(fields_[c]);
    }
    return {};
}

// More bytes behind those that are not yet done with, which move to the front.
RANKLET_FUNC Result<void> TableReader::read_more() {
    RANKLET_TRY(check_stop(reading_.stop, reading_.deadline));
    std::memmove(buffer_.data(), buffer_.data() + at_, end_ - at_);
    end_ -= at_;
    at_ = 0;
    if (end_ == buffer_.size()) buffer_.resize(2 * buffer_.size());
    const std::size_t read = std::fread(buffer_.data() + end_, 1, buffer_.size() - end_, file_.get());
    if (std::ferror(file_.get()) != 0)
        return make_error(ErrorCode::io, {path_, ": cannot be read (", std::generic_category().message(errno), ")"});
    ended_ = read == 0;
    end_ += read;
    read_ += read;
    if (reading_.progress) reading_.progress(read_, total_ == 0 ? 0 : std::max(read_, total_));
    return {};
}

// The line end from `from` on, which may move with the bytes; false when the file ends first, and `end` is there.
RANKLET_FUNC Result<bool> TableReader::find_line(std::size_t from, std::size_t& end) {
    for (;;) {
        const void* found = std::memchr(buffer_.data() + from, '\n', end_ - from);
        if (found != nullptr) {
            end = static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data());
            return true;
        }
        if (ended_) return end = end_, false;
        if (end_ - at_ > longest_) {
            line_ = next_line_;
            return wrong({"a record of more than ", longest_, " bytes"});
        }
        const std::size_t searched = end_ - at_;
        RANKLET_TRY(read_more());
        from = at_ + searched;
    }
}

RANKLET_FUNC Result<bool> TableReader::read_record() {
    fields_.clear();
    for (;;) {
        std::size_t last = at_;
        RANKLET_ASSIGN(const bool found, find_line(at_, last));
        if (!found && last == at_) return false;
        line_ = next_line_;
        std::string_view line(buffer_.data() + at_, last - at_);
        if (line.size() > longest_) return wrong({"a record of more than ", longest_, " bytes"});
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty()) {
            at_ = found ? last + 1 : last;
            ++next_line_;
            if (!found) return false;
            continue;
        }
        if (quotes_ && line.find('"') != std::string_view::npos) {
            RANKLET_TRY(split_quoted());
            return true;
        }
        split_plain(line);
        at_ = found ? last + 1 : last;
        ++next_line_;
        return true;
    }
}

RANKLET_FUNC void TableReader::split_plain(std::string_view record) {
    if (separator_.size() == 1) {
        const char separator = separator_[0];
        for (;;) {
            const void* found = std::memchr(record.data(), separator, record.size());
            if (found == nullptr || fields_.size() == most_columns) break;
            const auto size = static_cast<std::size_t>(static_cast<const char*>(found) - record.data());
            fields_.push_back(record.substr(0, size));
            record.remove_prefix(size + 1);
        }
    } else {
        for (std::size_t size = record.find(separator_);
             size != std::string_view::npos && fields_.size() < most_columns; size = record.find(separator_)) {
            fields_.push_back(record.substr(0, size));
            record.remove_prefix(size + separator_.size());
        }
    }
    fields_.push_back(record);
}

// A record with quotes, which may go on over several lines. Doubled quotes are made single in place.
RANKLET_FUNC Result<void> TableReader::split_quoted() {
    places_.clear();
    std::size_t last = 0;
    RANKLET_ASSIGN(bool found, find_line(at_, last));
    std::size_t from = 0, line_end = last - at_;  // all from at_ on: the bytes move when more are read
    std::uint64_t lines = 1;
    const auto bytes = [&](std::size_t offset) -> char& { return buffer_[at_ + offset]; };
    std::size_t column = 0;
    const auto put = [&](std::size_t begin, std::size_t end) {
        if (column++ <= most_columns) places_.insert(places_.end(), {begin, end});
    };
    for (;;) {
        if (from < line_end && bytes(from) == '"') {
            std::size_t read = from + 1, write = from + 1;
            const std::uint64_t opened = next_line_ + lines - 1;
            for (;; ++read) {
                if (read == line_end) {
                    if (!found) return wrong(column, {"a quote that opens on line ", opened, " and is never closed"});
                    if (line_end > longest_) return wrong({"a record of more than ", longest_, " bytes"});
                    RANKLET_ASSIGN(found, find_line(at_ + line_end + 1, last));
                    line_end = last - at_;
                    ++lines;
                    bytes(write++) = '\n';
                    continue;
                }
                if (bytes(read) == '"') {
                    if (read + 1 == line_end || bytes(read + 1) != '"') break;
                    ++read;
                }
                bytes(write++) = bytes(read);
            }
            put(from + 1, write);
            from = read + 1;
            const std::size_t text_end = line_end > from && bytes(line_end - 1) == '\r' ? line_end - 1 : line_end;
            if (from == text_end) break;
            if (std::string_view(&bytes(from), text_end - from).substr(0, separator_.size()) != separator_)
                return wrong(column - 1, {"text behind a closing quote, expected a separator"});
            from += separator_.size();
        } else {
            const std::size_t text_end = line_end > from && bytes(line_end - 1) == '\r' ? line_end - 1 : line_end;
            const std::string_view rest(buffer_.data() + at_ + from, text_end - from);
            const std::size_t size = rest.find(separator_);
            put(from, size == std::string_view::npos ? text_end : from + size);
            if (size == std::string_view::npos) break;
            from += size + separator_.size();
        }
    }
    for (std::size_t i = 0; i < places_.size(); i += 2)
        fields_.emplace_back(buffer_.data() + at_ + places_[i], places_[i + 1] - places_[i]);
    at_ += found ? line_end + 1 : line_end;
    next_line_ += lines;
    return {};
}

RANKLET_FUNC Result<std::size_t> TableReader::column(std::string_view wanted, const char* what) const {
    for (std::size_t c = 0; c < names_.size(); ++c)
        if (names_[c] == wanted) return c;
    for (std::size_t c = 0; c < names_.size(); ++c)
        if (without_type(names_[c]) == wanted) return c;
    std::size_t number = 0;
    const auto read = std::from_chars(wanted.data(), wanted.data() + wanted.size(), number);
    if (read.ec == std::errc() && read.ptr == wanted.data() + wanted.size() && number >= 1 && number <= width_)
        return number - 1;
    return make_error(ErrorCode::missing,
                      {path_, ": no column \"", wanted, "\" for ", what, "; there are: ", columns_there()});
}

RANKLET_FUNC std::string TableReader::columns_there() const {
    if (names_.empty()) return "numbers from 1 to " + std::to_string(width_);
    std::string there;
    const std::size_t most = 50, count = std::min(names_.size(), most);
    for (std::size_t c = 0; c < count; ++c) there += (c == 0 ? "\"" : ", \"") + shown(names_[c]) + '"';
    if (names_.size() > count) there += ", and " + std::to_string(names_.size() - count) + " more";
    return there;
}

}  // namespace detail
RANKLET_NAMESPACE_END
#endif
