// The demo shop's files and a table on a terminal: what several examples share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace shop {

/// The lines of a text file, as the library and the converter read lists: a byte order mark is no part of the first line,
/// a zero byte is an error that names the line.
inline std::vector<std::string> read_lines(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line); lines.push_back(line)) {
        if (lines.empty() && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
        if (line.find('\0') != std::string::npos)
            throw std::runtime_error(path + ":" + std::to_string(lines.size() + 1) + ": has a zero byte");
    }
    return lines;
}

/// The fields of a tab-separated line, without the blanks around them (the carriage return of a line end is one).
inline std::vector<std::string> split(const std::string& line) {
    std::vector<std::string> fields(1);
    for (const char c : line) {
        if (c == '\t')
            fields.emplace_back();
        else
            fields.back() += c;
    }
    for (std::string& field : fields) {
        const std::size_t first = field.find_first_not_of(" \r"), last = field.find_last_not_of(" \r");
        field = first == std::string::npos ? "" : field.substr(first, last + 1 - first);
    }
    return fields;
}

/// All lines of a tab-separated file but the header, each with at least `columns` fields.
inline std::vector<std::vector<std::string>> read_tsv(const std::string& path, std::size_t columns) {
    std::vector<std::vector<std::string>> rows;
    const std::vector<std::string> lines = read_lines(path);
    for (std::size_t i = 1; i < lines.size(); ++i) {
        if (lines[i].empty()) continue;
        rows.push_back(split(lines[i]));
        if (rows.back().size() < columns)
            throw std::runtime_error(path + ":" + std::to_string(i + 1) + ": expected " + std::to_string(columns) +
                                     " tab-separated fields");
    }
    return rows;
}

struct Product {
    std::string id, language, category, title, price, text;
};
inline std::vector<Product> read_catalog(const std::string& path) {
    std::vector<Product> products;
    for (const auto& row : read_tsv(path, 7))
        products.push_back({row[0], row[1], row[2], row[3], row[5] + ' ' + row[6], row[3] + ' ' + row[4]});
    return products;
}

struct ShopperEvent {
    bool query;         ///< else an item
    std::string value;  ///< what was typed, or the item's id
    std::string rating;
};
struct Shopper {
    std::string name, about;
    std::vector<ShopperEvent> events;
};
inline std::vector<Shopper> read_shoppers(const std::string& path) {
    std::vector<Shopper> shoppers;
    for (const auto& row : read_tsv(path, 5)) {
        if (shoppers.empty() || shoppers.back().name != row[0]) shoppers.push_back({row[0], row[1], {}});
        shoppers.back().events.push_back({row[3] == "query", row[4], row.size() > 5 ? row[5] : ""});
    }
    return shoppers;
}

/// One code point's columns on a terminal: 2 for the scripts of East Asia, 1 for others.
inline std::size_t columns_of(std::uint32_t c) {
    const bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) ||
                      (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
                      (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x1F300 && c <= 0x1FAFF) || (c >= 0x20000 && c <= 0x3FFFD);
    return wide ? 2 : 1;
}
/// UTF-8 text cut or filled to exactly `width` columns.
inline std::string fit(std::string_view text, std::size_t width) {
    std::string out;
    std::size_t used = 0;
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const std::size_t bytes = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        std::uint32_t c = bytes == 1 ? lead : lead & (0xFFu >> (bytes + 1));
        for (std::size_t b = 1; b < bytes && i + b < text.size(); ++b)
            c = c << 6 | (static_cast<unsigned char>(text[i + b]) & 0x3Fu);
        const std::size_t columns = columns_of(c);
        if (used + columns > width) break;
        out += text.substr(i, bytes);
        used += columns;
        i += bytes;
    }
    return out + std::string(width - used, ' ');
}

}  // namespace shop
