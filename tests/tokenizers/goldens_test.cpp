// Tokenizers of steps against what Hugging Face's `tokenizers` made of many texts: ids, types, offsets and words.
// goldens/ is made by compare.py, which compares many more.
#include <doctest/doctest.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "counting_heap.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/model_file/tokenizers.hpp"

using namespace ranklet;

namespace {

const std::filesystem::path folder = std::filesystem::path(__FILE__).parent_path() / "goldens";

std::string unescape(std::string_view text) {
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

struct Case {
    std::string a, b;
    bool pair = false;
    EncodeOptions options;
    std::string expected;
};

std::vector<Case> read_cases(const std::string& name) {
    std::ifstream file(folder / (name + ".tsv"), std::ios::binary);
    std::vector<Case> cases;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("# ")) continue;
        std::vector<std::string> fields(1);
        for (const char c : line)
            if (c == '\t')
                fields.emplace_back();
            else
                fields.back() += c;
        REQUIRE(fields.size() == 5);
        Case one{unescape(fields[0]), {}, fields[1] != "\\N", {}, fields[4]};
        if (one.pair) one.b = unescape(fields[1]);
        if (fields[2] != "-1") one.options.max_length = static_cast<std::size_t>(std::stoi(fields[2]));
        one.options.add_special_tokens = fields[3] == "1";
        cases.push_back(std::move(one));
    }
    return cases;
}

std::string written(const Encoding& encoding) {
    std::string out;
    for (std::size_t t = 0; t < encoding.size(); ++t) {
        if (t > 0) out += ' ';
        out += std::to_string(encoding.ids[t]) + ',' + std::to_string(encoding.type_ids[t]) + ',' +
               std::to_string(encoding.offsets[t].begin) + ',' + std::to_string(encoding.offsets[t].end) + ',' +
               std::to_string(encoding.words[t]);
    }
    return out;
}

std::shared_ptr<const Tokenizer> load(const std::string& name) {
    const auto file = GgufFile::open((folder / (name + ".gguf")).string()).value();
    return read_tokenizer(ModelReader(file), {}).value();
}

Result<void> encode(const Tokenizer& tokenizer, const Case& one, Encoding& out) {
    return one.pair ? tokenizer.encode_pair(one.a, one.b, one.options, out) : tokenizer.encode(one.a, one.options, out);
}

const char* const names[] = {"unigram", "unigram-fancy", "roberta", "qwen", "qwen35",
                             "llama3",  "gemma",         "llama2",  "steps"};

}  // namespace

TEST_CASE("ids, types, offsets and words are Hugging Face's, of each kind of tokenizer") {
    for (const std::string name : names) {
        CAPTURE(name);
        const auto tokenizer = load(name);
        const auto cases = read_cases(name);
        REQUIRE(cases.size() > 150);
        Encoding out;
        std::size_t wrong = 0;
        for (const Case& one : cases) {
            REQUIRE(encode(*tokenizer, one, out).ok());
            if (written(out) == one.expected) continue;
            if (++wrong > 2) continue;
            CAPTURE(one.a);
            CAPTURE(one.b);
            CHECK(written(out) == one.expected);
        }
        CHECK(wrong == 0);
    }
}

TEST_CASE("encoding asks for no memory once its Encoding has grown, whatever the tokenizer") {
    for (const std::string name : names) {
        CAPTURE(name);
        const auto tokenizer = load(name);
        const auto cases = read_cases(name);
        Encoding out;
        std::size_t failed = 0;
        for (const Case& one : cases) failed += !encode(*tokenizer, one, out).ok();
        const std::size_t before = heap_requests;
        for (const Case& one : cases) failed += !encode(*tokenizer, one, out).ok();
        const std::size_t asked = heap_requests - before;
        CHECK(failed == 0);
        CHECK(asked == 0);
    }
}

TEST_CASE("threads have no influence on a batch's tokens") {
    const auto tokenizer = load("roberta");
    std::vector<std::string> texts;
    for (const Case& one : read_cases("roberta")) texts.push_back(one.a);
    std::vector<Encoding> alone(texts.size()), together(texts.size());
    REQUIRE(tokenizer->encode_batch(texts, {}, alone, 1).ok());
    REQUIRE(load("roberta")->encode_batch(texts, {}, together, 4).ok());
    for (std::size_t i = 0; i < texts.size(); ++i) CHECK(written(alone[i]) == written(together[i]));
}
