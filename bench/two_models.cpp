// How much slower one model file is than another of the same encoder: processor time of one thread, in turn, so that a
// busy machine troubles both alike.
// In: two model files, a file of texts (one a line), how many, rounds, texts a batch. Out: one line: the medians of both
// and of their ratio in a round, with its quartiles.
//   c++ -std=c++20 -O3 -march=native -I include bench/two_models.cpp -o two_models
//   ./two_models old.gguf new.gguf texts.txt 1000 21 32
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <ranklet/ranklet.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace {

double processor_time() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double quantile(std::vector<double> values, double share) {
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 7) {
        std::fprintf(stderr, "usage: two_models FIRST.gguf SECOND.gguf TEXTS COUNT ROUNDS BATCH\n");
        return 2;
    }
    const auto number = [&](int index) { return std::strtoul(arguments[index], nullptr, 10); };
    const ranklet::Bert models[] = {ranklet::Bert::load(arguments[1]).value(),
                                    ranklet::Bert::load(arguments[2]).value()};
    std::ifstream file(arguments[3]);
    std::vector<std::string> texts;
    for (std::string line; texts.size() < number(4) && std::getline(file, line);) texts.push_back(line);
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    const std::size_t batch = number(6);
    if (views.empty() || batch == 0 || number(5) == 0) {
        std::fprintf(stderr, "no texts in %s, or no rounds, or empty batches\n", arguments[3]);
        return 1;
    }
    std::vector<double> seconds[2], ratios;
    for (std::size_t round = 0; round <= number(5); ++round) {
        double last[2];
        for (std::size_t turn = 0; turn < 2; ++turn) {
            const std::size_t which = (round + turn) % 2;
            const double start = processor_time();
            for (std::size_t first = 0; first < views.size(); first += batch)
                models[which]
                    .encode(std::span(views).subspan(first, std::min(batch, views.size() - first)), {.threads = 1})
                    .value();
            last[which] = processor_time() - start;
        }
        if (round == 0) continue;  // caches
        for (const std::size_t which : {0u, 1u}) seconds[which].push_back(last[which]);
        ratios.push_back(last[1] / last[0]);
    }
    std::printf("%zu texts by %zu: %.4f s and %.4f s; second / first %.4f (quartiles %.4f, %.4f)\n", views.size(),
                batch, quantile(seconds[0], 0.5), quantile(seconds[1], 0.5), quantile(ratios, 0.5),
                quantile(ratios, 0.25), quantile(ratios, 0.75));
}
