// Token states of token ids, for published.py: in one batch, and each text alone, which must be the same bits.
// In: MODEL.gguf IDS OUT [THREADS]; IDS is i32: the number of texts, their lengths, their ids. Out: OUT, f32: states
// [tokens, hidden] in the order of the texts. Ends with 1 where a text alone has other states.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <ranklet/encoders/bert_model.hpp>
#include <ranklet/encoders/token_batch.hpp>
#include <string>
#include <utility>
#include <vector>

namespace {

// The result's value; without one its error ends the program.
template <class T>
T take(ranklet::Result<T> result) {
    if (result.ok()) return std::move(*result);
    std::cerr << result.error().message << '\n';
    std::exit(1);
}

ranklet::Matrix states_of(const ranklet::BertModel& model, const ranklet::TokenBatch& batch, ranklet::Threads threads) {
    const auto status = model.check(batch);
    if (!status.ok()) take(ranklet::Result<int>(status.error()));
    ranklet::Scratch scratch;
    scratch.reserve(model.scratch_size(batch.tokens(), batch.longest(), threads)).value();
    ranklet::Matrix states = take(ranklet::Matrix::zeroed(batch.tokens(), model.hidden()));
    ranklet::run_together(threads,
                          [&](ranklet::Threads together) { model.forward(batch, states.view(), scratch, together); });
    return states;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::cerr << "usage: states MODEL.gguf IDS OUT [THREADS]\n";
        return 2;
    }
    const auto file = take(ranklet::GgufFile::open(argv[1]));
    const ranklet::ModelReader reader(file);
    const auto activation = take(ranklet::read_activation(reader.scope("ranklet.encoder"), "activation"));
    const auto model = take(ranklet::BertModel::read(reader, activation, 0));
    std::ifstream given(argv[2], std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(given), {}};
    std::vector<std::int32_t> numbers(bytes.size() / sizeof(std::int32_t));
    std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(std::int32_t));
    const auto texts = static_cast<std::size_t>(numbers.at(0));
    std::vector<std::size_t> offsets{0};
    for (std::size_t t = 0; t < texts; ++t) offsets.push_back(offsets.back() + static_cast<std::size_t>(numbers.at(1 + t)));
    const std::vector<std::int32_t> ids(numbers.begin() + static_cast<std::ptrdiff_t>(1 + texts), numbers.end());
    const auto threads = static_cast<std::size_t>(argc > 4 ? std::atoi(argv[4]) : 1);
    const ranklet::Matrix together = states_of(model, {ids, {}, offsets}, 1);
    for (std::size_t t = 0; t < texts; ++t) {
        const std::size_t length = offsets[t + 1] - offsets[t];
        const std::vector<std::int32_t> own(ids.begin() + static_cast<std::ptrdiff_t>(offsets[t]),
                                            ids.begin() + static_cast<std::ptrdiff_t>(offsets[t + 1]));
        const std::vector<std::size_t> ends{0, length};
        const ranklet::Matrix alone = states_of(model, {own, {}, ends}, threads);
        if (std::memcmp(alone.row(0).data(), together.row(offsets[t]).data(), length * model.hidden() * sizeof(float)) != 0) {
            std::cerr << "text " << t << " of " << length << " tokens has other states alone\n";
            return 1;
        }
    }
    std::ofstream out(argv[3], std::ios::binary);
    out.write(reinterpret_cast<const char*>(together.row(0).data()),
              static_cast<std::streamsize>(ids.size() * model.hidden() * sizeof(float)));
    return out ? 0 : 1;
}
