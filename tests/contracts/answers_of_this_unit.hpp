// answers_of_this_unit(): a copy for each translation unit, made with that unit's flags.
#pragma once

#include "answers.hpp"
#include "everything.hpp"

namespace {

[[maybe_unused]] Answers answers_of_this_unit() {
    Answers answers;
    answers.abi_tag = ranklet::abi_tag;
    answers.abi_tag_address = &ranklet::abi_tag;
    answers.has_exceptions = RANKLET_HAS_EXCEPTIONS != 0;

    using Arch = ranklet::kernels::default_arch;
    std::array<float, 15> weights{};
    for (std::size_t i = 0; i < 5; ++i)
        for (std::size_t j = 0; j < 3; ++j) weights[i * 3 + j] = static_cast<float>(i + j);
    const std::array<float, 3> row{1.0f, 2.0f, 3.0f};
    auto packed = ranklet::AlignedBuffer<float>::zeroed(ranklet::kernels::packed_size<Arch>(5, 3)).value();
    ranklet::kernels::pack_rows<Arch>(weights.data(), 5, 3, 3, packed.data());
    ranklet::kernels::gemm_f32<Arch>(1, 5, 3, row.data(), 3, packed.data(), answers.product.data(), 5,
                                     ranklet::kernels::StoreOnly{});

    answers.probabilities = {0.0f, std::log(2.0f), std::log(5.0f), -std::numeric_limits<float>::infinity()};
    ranklet::softmax(answers.probabilities);

    const std::array<float, 5> scores{1.0f, 7.0f, 7.0f, std::numeric_limits<float>::quiet_NaN(), 3.0f};
    answers.best.resize(3);
    answers.best.resize(ranklet::top_k(scores, answers.best));

#if __has_include("ranklet/text/wordpiece.hpp")
    const std::array<std::string_view, 8> vocabulary{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "hello", ",", "world", "##s"};
    ranklet::WordPieceConfig config;
    config.unk_id = 1;
    config.cls_id = 2;
    config.sep_id = 3;
    const auto tokenizer = ranklet::WordPiece::create(vocabulary, config);
    ranklet::Encoding encoding;
    if (tokenizer.ok() && tokenizer->encode("Hello, worlds", {}, encoding).ok()) answers.tokens = encoding.ids;
#endif
#if __has_include("ranklet/io/gguf.hpp")
    const std::array<std::byte, 4> no_model{};
    const auto file = ranklet::GgufFile::from_memory(no_model, "none.gguf");
    answers.error = file.ok() ? "accepted" : file.error().message;
#endif
    return answers;
}

}  // namespace
