// What a model file's tokenizer makes of many texts, for compare.py.
// usage: encode FILE CASES OUT     encode FILE CASES --time ROUNDS     (seconds of each round, one thread)
// CASES: of each case four numbers (u32: max_length, whether special tokens are added, bytes of the text, bytes of the second
// one or ~0), then the texts. OUT: of each case the number of tokens, then five numbers each: id, type, begin, end, word.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/io/gguf.hpp"
#include "ranklet/model_file/tokenizers.hpp"

int main(int argc, char** argv) {
    if (argc < 4) return 2;
    const auto file = ranklet::GgufFile::open(argv[1]);
    if (!file.ok()) return std::fprintf(stderr, "%s\n", file.error().message.c_str()), 1;
    const auto read = ranklet::read_tokenizer(ranklet::ModelReader(*file), {});
    if (!read.ok()) return std::fprintf(stderr, "%s\n", read.error().message.c_str()), 1;
    const ranklet::Tokenizer& tokenizer = **read;
    std::ifstream in(argv[2], std::ios::binary);
    const std::string all((std::istreambuf_iterator<char>(in)), {});
    struct Case {
        std::uint32_t head[4];
        std::string_view a, b;
    };
    std::vector<Case> cases;
    constexpr std::uint32_t none = 0xFFFFFFFF;
    for (std::size_t at = 0; at < all.size();) {
        Case one{};
        std::memcpy(one.head, all.data() + at, sizeof one.head);
        at += sizeof one.head;
        one.a = std::string_view(all).substr(at, one.head[2]);
        at += one.head[2];
        if (one.head[3] != none) {
            one.b = std::string_view(all).substr(at, one.head[3]);
            at += one.head[3];
        }
        cases.push_back(one);
    }
    ranklet::Encoding encoding;
    const auto encode = [&](const Case& one) {
        ranklet::EncodeOptions options;
        if (one.head[0] != none) options.max_length = one.head[0];
        options.add_special_tokens = one.head[1] != 0;
        const auto status = one.head[3] == none ? tokenizer.encode(one.a, options, encoding)
                                                : tokenizer.encode_pair(one.a, one.b, options, encoding);
        if (!status.ok()) std::fprintf(stderr, "%s\n", status.error().message.c_str());
        return status.ok();
    };
    if (std::strcmp(argv[3], "--time") == 0) {
        for (int round = 0; round < (argc > 4 ? std::atoi(argv[4]) : 3); ++round) {
            const auto start = std::chrono::steady_clock::now();
            std::size_t tokens = 0;
            for (const Case& one : cases) {
                if (!encode(one)) return 1;
                tokens += encoding.size();
            }
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
            std::printf("%.6f %zu\n", took.count(), tokens);
        }
        return 0;
    }
    std::ofstream out(argv[3], std::ios::binary);
    std::vector<std::int32_t> row;
    for (const Case& one : cases) {
        if (!encode(one)) return 1;
        row.assign(1, static_cast<std::int32_t>(encoding.size()));
        for (std::size_t t = 0; t < encoding.size(); ++t)
            row.insert(row.end(),
                       {encoding.ids[t], encoding.type_ids[t], static_cast<std::int32_t>(encoding.offsets[t].begin),
                        static_cast<std::int32_t>(encoding.offsets[t].end), encoding.words[t]});
        out.write(reinterpret_cast<const char*>(row.data()), static_cast<std::streamsize>(row.size() * 4));
    }
    return out.flush() ? 0 : 1;
}
