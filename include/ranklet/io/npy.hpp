// Vectors as NumPy's .npy files, with a text file of ids beside them.
// In: paths, or a file's bytes. Out: a matrix [rows, cols] of f32, and ids, one a line.
// Format: NumPy's NEP 1, versions 1.0 and 2.0; of its types '<f4' in C order, two-dimensional.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/io/atomic_file.hpp"
#include "ranklet/io/mapped_file.hpp"

RANKLET_NAMESPACE_BEGIN

namespace detail {

/// What a .npy file's header says.
struct NpyHeader {
    std::size_t rows = 0, cols = 0;
    std::size_t data_start = 0;  ///< byte of the first number
};

/// Reads the header: "\x93NUMPY", version, length, and a Python dictionary of just three keys.
class NpyParser {
public:
    NpyParser(std::span<const std::byte> bytes, std::string_view name)
        : text_(reinterpret_cast<const char*>(bytes.data()), bytes.size()), name_(name) {}

    RANKLET_COLD Result<NpyHeader> parse() {
        constexpr std::string_view magic("\x93NUMPY", 6);
        if (text_.substr(0, magic.size()) != magic)
            return error("not a .npy file: it does not start with \"\\x93NUMPY\"");
        at_ = magic.size();
        if (text_.size() < at_ + 2) return error("the file ends before its version");
        const int major = byte(at_), minor = byte(at_ + 1);
        at_ += 2;
        if ((major != 1 && major != 2) || minor != 0)
            return make_error(ErrorCode::unsupported,
                              {name_, ": .npy version ", major, ".", minor, ", expected 1.0 or 2.0"});
        const std::size_t width = major == 1 ? 2 : 4;
        if (text_.size() - at_ < width) return error("the file ends before the header's length");
        std::size_t length = 0;
        for (std::size_t i = width; i-- > 0;) length = length << 8 | static_cast<std::size_t>(byte(at_ + i));
        at_ += width;
        if (length > text_.size() - at_)
            return make_error(ErrorCode::format, {name_, ": the header states ", length,
                                                  " bytes, but the file ends at byte ", text_.size()});
        NpyHeader header;
        header.data_start = at_ + length;
        end_ = header.data_start;
        RANKLET_TRY(dictionary(header));
        return header;
    }

private:
    int byte(std::size_t at) const noexcept { return static_cast<unsigned char>(text_[at]); }
    detail::SharedError error(std::string_view what) const {
        return make_error(ErrorCode::format, {name_, ": ", what, " (byte ", at_, ")"});
    }
    detail::SharedError unsupported(std::string_view what, std::string_view found = {}) const {
        return make_error(ErrorCode::unsupported, {name_, ": ", what, found});
    }

    void skip_space() noexcept {
        while (at_ < end_ && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    }
    /// Whether `token` comes next; it is passed then.
    bool take(std::string_view token) noexcept {
        skip_space();
        if (text_.substr(at_, end_ - at_).substr(0, token.size()) != token) return false;
        at_ += token.size();
        return true;
    }
    /// A string in either quotes, without escapes.
    Result<std::string_view> string() {
        skip_space();
        if (at_ == end_ || (text_[at_] != '\'' && text_[at_] != '"')) return error("expected a string");
        const std::size_t begin = at_ + 1, close = text_.substr(0, end_).find(text_[at_], begin);
        if (close == std::string_view::npos) return error("a string that does not end");
        at_ = close + 1;
        return text_.substr(begin, close - begin);
    }
    Result<std::size_t> number() {
        skip_space();
        constexpr std::size_t largest = static_cast<std::size_t>(-1) / 16;
        std::size_t value = 0, digits = 0;
        for (; at_ < end_ && text_[at_] >= '0' && text_[at_] <= '9'; ++at_, ++digits) {
            if (value > largest) return error("a dimension that is too large");
            value = 10 * value + static_cast<std::size_t>(text_[at_] - '0');
        }
        if (digits == 0) return error("expected a dimension");
        return value;
    }

    Result<void> dictionary(NpyHeader& header) {
        bool descr = false, order = false, shape = false;
        if (!take("{")) return error("expected \"{\"");
        while (!take("}")) {
            RANKLET_ASSIGN(const std::string_view key, string());
            if (!take(":")) return error("expected \":\"");
            bool* seen = key == "descr" ? &descr : key == "fortran_order" ? &order : key == "shape" ? &shape : nullptr;
            if (seen == nullptr) return error("a key that is not descr, fortran_order or shape");
            if (*seen) return error("a key that stands twice");
            *seen = true;
            if (seen == &descr) {
                skip_space();
                if (at_ < end_ && text_[at_] == '[') return unsupported("an array of records, expected '<f4'");
                RANKLET_ASSIGN(const std::string_view type, string());
                if (type != "<f4") return unsupported("numbers that are not '<f4' (numpy.float32): ", quoted(type));
            } else if (seen == &order) {
                if (take("True")) return unsupported("Fortran order, expected C order (numpy.ascontiguousarray)");
                if (!take("False")) return error("expected True or False");
            } else {
                RANKLET_TRY(dimensions(header));
            }
            if (!take(",") && !at("}")) return error("expected \",\" or \"}\"");
        }
        skip_space();
        if (at_ != end_) return error("something behind the header's \"}\"");
        if (!descr || !order || !shape) return error("the header lacks descr, fortran_order or shape");
        return {};
    }
    bool at(std::string_view token) noexcept {
        const bool found = take(token);
        if (found) at_ -= token.size();
        return found;
    }
    Result<void> dimensions(NpyHeader& header) {
        if (!take("(")) return error("expected \"(\"");
        std::vector<std::size_t> sizes;
        while (!take(")")) {
            RANKLET_ASSIGN(const std::size_t size, number());
            sizes.push_back(size);
            if (sizes.size() > 32) return error("an array of more than 32 dimensions");
            if (!take(",") && !at(")")) return error("expected \",\" or \")\"");
        }
        if (sizes.size() != 2)
            return make_error(ErrorCode::unsupported,
                              {name_, ": an array of ", sizes.size(), " dimensions, expected 2: [items, dim]"});
        header.rows = sizes[0];
        header.cols = sizes[1];
        if (header.rows > 0 && header.cols == 0)  // any number of rows would be paid for by no byte of the file
            return error("an array of rows without columns");
        return {};
    }
    static std::string quoted(std::string_view found) {
        std::string text = "'";
        for (const char c : found.substr(0, 20)) text += c >= ' ' && c <= '~' ? c : '?';
        return text + "'";
    }

    std::string_view text_, name_;
    std::size_t at_ = 0, end_ = 0;
};

/// A .npy file's numbers, copied. `name` is for error messages. Error format when the bytes are no .npy file, or not
/// just as many as the header says; unsupported for other types, orders and dimensions.
RANKLET_COLD inline Result<Matrix> parse_npy(std::span<const std::byte> bytes, std::string_view name) {
    RANKLET_ASSIGN(const NpyHeader header, NpyParser(bytes, name).parse());
    const std::size_t present = bytes.size() - header.data_start;
    const bool fits = header.cols == 0 || header.rows <= present / sizeof(float) / header.cols;
    if (!fits || header.rows * header.cols * sizeof(float) != present)
        return make_error(ErrorCode::format, {name, ": ", present, " bytes of numbers, but the header states ",
                                              header.rows, " x ", header.cols, " of 4 bytes each"});
    RANKLET_ASSIGN(Matrix matrix, Matrix::zeroed(header.rows, header.cols));
    if (present > 0) std::memcpy(matrix.view().data, bytes.data() + header.data_start, present);
    return matrix;
}

/// The header that numpy.save writes: version 1.0, padded so that the numbers start at a multiple of 64.
inline std::string npy_header(std::size_t rows, std::size_t cols) {
    std::string dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
                             std::to_string(cols) + "), }";
    constexpr std::size_t before = 10, alignment_of_data = 64;
    while ((before + dictionary.size() + 1) % alignment_of_data != 0) dictionary += ' ';
    dictionary += '\n';
    std::string header("\x93NUMPY\x01\x00", 8);
    header += static_cast<char>(dictionary.size() & 0xFFu);
    header += static_cast<char>(dictionary.size() >> 8);
    return header + dictionary;
}

}  // namespace detail

/// numpy.load of a two-dimensional float32 array. Error io when it cannot be read; format when it is no .npy file, or
/// has not just as many numbers as its header says, or rows without columns; unsupported for other types, orders and dimensions.
RANKLET_COLD inline Result<Matrix> read_npy(const std::string& path) RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(const detail::MappedFile file, detail::MappedFile::open(path));
    return detail::parse_npy(file.bytes(), path);
}
RANKLET_MEMORY_CATCH

/// Writes what numpy.load reads as float32 [rows, cols], whole or not at all. Error io.
RANKLET_COLD inline Result<void> write_npy(const std::string& path, MatrixView<const float> matrix) RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(detail::AtomicFile file, detail::AtomicFile::create(path));
    const std::string header = detail::npy_header(matrix.rows, matrix.cols);
    RANKLET_TRY(file.write(std::as_bytes(std::span(header))));
    if (matrix.stride == matrix.cols) {
        RANKLET_TRY(file.write(std::as_bytes(std::span(matrix.data, matrix.rows * matrix.cols))));
    } else {
        for (std::size_t r = 0; r < matrix.rows; ++r) RANKLET_TRY(file.write(std::as_bytes(matrix.row(r))));
    }
    return file.commit();
}
RANKLET_MEMORY_CATCH

/// Ids, one a line, as the converter reads lists of them: lines end in "\n" (the last may do without), a byte order mark
/// is no part of the first id, blanks around an id (spaces, tabs, the "\r" of a line end) no part of any. Error io;
/// format naming the line when an id is empty, or holds a zero byte or a carriage return.
RANKLET_COLD inline Result<std::vector<std::string>> read_ids(const std::string& path) RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(const detail::MappedFile file, detail::MappedFile::open(path));
    std::string_view rest(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF", blanks = " \t\r";
    if (rest.starts_with(byte_order_mark)) rest.remove_prefix(byte_order_mark.size());
    std::vector<std::string> ids;
    while (!rest.empty()) {
        const std::size_t end = rest.find('\n');
        std::string_view line = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
        line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
        line = line.substr(0, line.find_last_not_of(blanks) + 1);
        const char* wrong = line.empty()                                ? " is empty"
                            : line.find('\0') != std::string_view::npos ? " has a zero byte"
                            : line.find('\r') != std::string_view::npos ? " has a carriage return inside"
                                                                        : nullptr;
        if (wrong != nullptr)
            return make_error(ErrorCode::format, {path, ": line ", ids.size() + 1, wrong, ", expected an id"});
        ids.emplace_back(line);
    }
    return ids;
}
RANKLET_MEMORY_CATCH
/// Writes what read_ids reads. Error invalid_argument naming an id that would not come back: empty, with a line end, a
/// carriage return or a zero byte, with a blank at an end, or the first with a byte order mark; io.
RANKLET_COLD inline Result<void> write_ids(const std::string& path,
                                           std::span<const std::string> ids) RANKLET_MEMORY_TRY {
    std::string text;
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
        if (ids[i].empty() || ids[i].find_first_of(std::string_view("\n\r\0", 3)) != std::string::npos ||
            is_blank(ids[i].front()) || is_blank(ids[i].back()) || (i == 0 && ids[i].starts_with("\xEF\xBB\xBF")))
            return make_error(ErrorCode::invalid_argument, {"id ", i, " cannot be a line of a text file"});
        text += ids[i];
        text += '\n';
    }
    RANKLET_ASSIGN(detail::AtomicFile file, detail::AtomicFile::create(path));
    RANKLET_TRY(file.write(std::as_bytes(std::span(text))));
    return file.commit();
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
