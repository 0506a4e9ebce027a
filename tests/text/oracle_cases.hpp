// What tests/text/oracle/make_oracle.mjs writes, read back: tokenizers, and cases with their expected tokens.
// In: NAME.tokenizer, NAME.SET.tsv. Out: a WordPiece; the number of cases that agree, and the first that do not.
// The format is described in make_oracle.mjs.
#pragma once

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/text/wordpiece.hpp"

namespace oracle {

inline std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out += text[i];
            continue;
        }
        const char next = text[++i];
        out += next == 't' ? '\t' : next == 'n' ? '\n' : next == 'r' ? '\r' : next == '0' ? '\0' : next;
    }
    return out;
}

/// The tokenizer that a .tokenizer file describes; the file is read whole, so a wrong one gives create's Error.
inline ranklet::Result<ranklet::WordPiece> read_tokenizer(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::string line;
    std::getline(file, line);  // the comment that says who made it
    std::getline(file, line);
    std::istringstream settings(line);
    ranklet::WordPieceConfig config;
    std::size_t added = 0;
    settings >> config.lowercase >> config.strip_accents >> config.clean_text >> config.handle_chinese_chars >>
        config.max_input_chars_per_word >> config.unk_id >> config.cls_id >> config.sep_id >> config.pad_id >>
        config.mask_id >> added;
    for (std::size_t i = 0; i < added && std::getline(file, line); ++i) {
        std::istringstream fields(line);
        ranklet::AddedToken token;
        fields >> token.id >> token.special >> token.lstrip >> token.rstrip >> token.single_word >> token.normalized;
        config.added_tokens.push_back(token);
    }
    std::vector<std::string> tokens;
    while (std::getline(file, line)) tokens.push_back(unescape(line));
    for (ranklet::AddedToken& token : config.added_tokens)
        if (token.id >= 0 && static_cast<std::size_t>(token.id) < tokens.size())
            token.content = tokens[static_cast<std::size_t>(token.id)];
    const std::vector<std::string_view> views(tokens.begin(), tokens.end());
    return ranklet::WordPiece::create(views, std::move(config));
}

struct Report {
    std::size_t cases = 0;
    std::size_t tokens = 0;
    std::size_t failures = 0;
    std::string first_failure;

    void fail(std::string_view line, const std::string& got) {
        if (failures++ == 0) first_failure = "expected " + std::string(line.substr(0, 2000)) + "\ngot      " + got;
    }
};

inline std::vector<std::string_view> split(std::string_view line, char by) {
    std::vector<std::string_view> fields;
    for (std::size_t start = 0;;) {
        const std::size_t end = line.find(by, start);
        fields.push_back(line.substr(start, end == std::string_view::npos ? end : end - start));
        if (end == std::string_view::npos) return fields;
        start = end + 1;
    }
}

inline long long number(std::string_view text) {
    long long value = -2;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

/// The tokens as the oracle writes them. Spans become code point offsets, each in its own text.
inline std::string written(ranklet::Encoding& encoding, std::string_view a, std::string_view b) {
    std::size_t first_b = 0;
    while (first_b < encoding.size() && encoding.type_ids[first_b] == 0) ++first_b;
    const std::span<ranklet::TokenSpan> spans(encoding.offsets);
    ranklet::to_code_point_offsets(a, spans.first(first_b)).value();
    ranklet::to_code_point_offsets(b, spans.subspan(first_b)).value();
    std::string out;
    char digits[24];
    const auto put = [&](long long value, char after) {
        out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
        out += after;
    };
    for (std::size_t i = 0; i < encoding.size(); ++i) {
        put(encoding.ids[i], ',');
        put(encoding.type_ids[i], ',');
        put(encoding.offsets[i].begin, ',');
        put(encoding.offsets[i].end, ',');
        put(encoding.words[i], ' ');
    }
    if (!out.empty()) out.pop_back();
    return out;
}

/// Encodes every case of a file and compares ids, types, offsets and words.
inline Report check_encodings(const ranklet::WordPiece& tokenizer, const std::filesystem::path& path) {
    Report report;
    std::ifstream file(path, std::ios::binary);
    std::string line;
    ranklet::Encoding encoding;
    std::getline(file, line);  // the comment
    while (std::getline(file, line)) {
        ++report.cases;
        const std::vector<std::string_view> fields = split(line, '\t');
        if (fields.size() != 5) {
            report.fail(line, "a line of " + std::to_string(fields.size()) + " fields");
            continue;
        }
        const bool pair = fields[1] != "\\N";
        const std::string a = unescape(fields[0]);
        const std::string b = pair ? unescape(fields[1]) : std::string();
        ranklet::EncodeOptions options;
        if (const long long max = number(fields[2]); max >= 0) options.max_length = static_cast<std::size_t>(max);
        options.add_special_tokens = fields[3] == "1";
        const ranklet::Result<void> done =
            pair ? tokenizer.encode_pair(a, b, options, encoding) : tokenizer.encode(a, options, encoding);
        if (!done.ok()) {
            report.fail(line, done.error().message);
            continue;
        }
        report.tokens += encoding.size();
        if (const std::string got = written(encoding, a, b); got != fields[4]) report.fail(line, got);
    }
    return report;
}

/// Decodes every case of a .decode.tsv file and compares the texts.
inline Report check_decodings(const ranklet::WordPiece& tokenizer, const std::filesystem::path& path) {
    Report report;
    std::ifstream file(path, std::ios::binary);
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
        ++report.cases;
        const std::vector<std::string_view> fields = split(line, '\t');
        std::vector<std::int32_t> ids;
        if (fields.size() == 3 && !fields[1].empty())
            for (const std::string_view id : split(fields[1], ' '))
                ids.push_back(static_cast<std::int32_t>(number(id)));
        const ranklet::Result<std::string> text = tokenizer.decode(ids, fields[0] == "1");
        report.tokens += ids.size();
        if (fields.size() != 3 || !text.ok() || *text != unescape(fields[2]))
            report.fail(line, text.ok() ? *text : text.error().message);
    }
    return report;
}

struct CaseFile {
    std::filesystem::path tokenizer;
    std::filesystem::path cases;
    bool decodes;
};

/// The case files of a folder with their tokenizers, in order of name.
inline std::vector<CaseFile> case_files(const std::filesystem::path& folder) {
    std::set<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.path().extension() == ".tsv") paths.insert(entry.path());
    std::vector<CaseFile> out;
    for (const auto& path : paths) {
        const std::string name = path.filename().string();
        out.push_back({folder / (name.substr(0, name.find('.')) + ".tokenizer"), path,
                       name.find(".decode.") != std::string::npos});
    }
    return out;
}

inline Report check(const ranklet::WordPiece& tokenizer, const CaseFile& file) {
    return file.decodes ? check_decodings(tokenizer, file.cases) : check_encodings(tokenizer, file.cases);
}

}  // namespace oracle
