// libFuzzer target: any bytes as a model file.
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude -Itests tests/io/fuzz_gguf.cpp -o fuzz_gguf
//   ./fuzz_gguf -max_len=4096 [folder of small .gguf files]
#include <cstdint>
#include <cstdlib>
#include <span>

#include "io/gguf_exercise.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
    const auto file = ranklet::GgufFile::from_memory(bytes, "fuzz");
    if (!file.ok()) {
        if (file.error().message.rfind("fuzz: ", 0) != 0) std::abort();
    } else if (!ranklet_test::exercise(bytes, *file).empty()) {
        std::abort();
    }
    return 0;
}
