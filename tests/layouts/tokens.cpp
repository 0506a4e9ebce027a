// Token ids and offsets of texts, for test_tokenizers.py.
// In: MODEL.gguf TEXTS OUT; of each text its size u32 and its bytes. Out: OUT, i32: of each text how many tokens, their ids, and
// of each where it begins and ends, in bytes.
#include <cstdint>
#include <fstream>
#include <iostream>
#include <ranklet/model_file/tokenizers.hpp>
#include <string>

int main(int argc, char** argv) {
    if (argc != 4) {
        std::cerr << "usage: tokens MODEL.gguf TEXTS OUT\n";
        return 2;
    }
    const auto fail = [](const ranklet::Error& error) {
        std::cerr << error.message << '\n';
        return 1;
    };
    const auto file = ranklet::GgufFile::open(argv[1]);
    if (!file.ok()) return fail(file.error());
    const auto tokenizer = ranklet::read_tokenizer(ranklet::ModelReader(*file), {});
    if (!tokenizer.ok()) return fail(tokenizer.error());
    std::ifstream in(argv[2], std::ios::binary);
    std::ofstream out(argv[3], std::ios::binary);
    const auto put = [&](std::size_t number) {
        const auto value = static_cast<std::int32_t>(number);
        out.write(reinterpret_cast<const char*>(&value), sizeof value);
    };
    ranklet::Encoding encoding;
    std::uint32_t size = 0;
    while (in.read(reinterpret_cast<char*>(&size), sizeof size)) {
        std::string text(size, '\0');
        in.read(text.data(), static_cast<std::streamsize>(size));
        if (const auto status = (*tokenizer)->encode(text, {}, encoding); !status.ok()) return fail(status.error());
        put(encoding.size());
        for (const std::int32_t id : encoding.ids) put(static_cast<std::size_t>(id));
        for (const ranklet::TokenSpan& span : encoding.offsets) put(span.begin), put(span.end);
    }
    return 0;
}
