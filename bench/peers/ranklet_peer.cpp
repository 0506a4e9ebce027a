// ranklet behind the protocol of measure.py, and the limits of this machine.
// In: one command a line on stdin, "work key=value ...". Out: one JSON line each: {"seconds": [...]} of every run, or
// {"error": text}. With out=FILE the work is done once, its result is written there and nothing is timed.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <ranklet/core/thread_pool.hpp>
#include <ranklet/ranklet.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "../limits.hpp"

namespace {

namespace kernels = ranklet::kernels;
using Ops = kernels::Ops<float>;
using Arch = kernels::default_arch;

struct Options {
    std::map<std::string, std::string> values;
    const std::string& text(const std::string& key) const {
        const auto found = values.find(key);
        if (found == values.end()) throw std::runtime_error("no " + key + "=");
        return found->second;
    }
    std::size_t number(const std::string& key) const { return std::stoul(text(key)); }
    bool has(const std::string& key) const { return values.count(key) != 0; }
    /// Those of a pool: with OpenMP short work stays on one thread.
    ranklet::Threads threads() const {
        static std::map<std::size_t, ranklet::ThreadPool> pools;
        return pools.try_emplace(number("threads"), number("threads")).first->second;
    }
};

/// A piece of work: `run` does it once, `write` stores what the last run gave.
struct Work {
    std::function<void()> run;
    std::function<void(std::ostream&)> write;
};

std::vector<std::string> lines_of(const std::string& path, std::size_t count) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    std::vector<std::string> lines;
    for (std::string line; lines.size() < count && std::getline(file, line);) lines.push_back(std::move(line));
    return lines;
}

ranklet::AlignedBuffer<float> floats_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) throw std::runtime_error("cannot read " + path);
    const auto bytes = static_cast<std::size_t>(file.tellg());
    auto numbers = ranklet::AlignedBuffer<float>::zeroed(bytes / sizeof(float)).value();
    file.seekg(0);
    file.read(reinterpret_cast<char*>(numbers.data()), static_cast<std::streamsize>(bytes));
    return numbers;
}

void write_bytes(std::ostream& out, const void* data, std::size_t bytes) {
    out.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
}

// Kept until "forget": loading is not what is measured.
std::map<std::string, std::shared_ptr<const ranklet::Bert>> models;
std::map<std::string, std::shared_ptr<const ranklet::AlignedBuffer<float>>> arrays;
std::map<std::string, std::shared_ptr<const ranklet::VectorIndex>> indices;

template <class Map, class Make>
auto keep(Map& kept, const std::string& key, const Make& make) {
    auto& place = kept[key];
    if (!place) place = make();
    return place;
}

std::shared_ptr<const ranklet::Bert> model_of(const Options& o) {
    const std::string path = o.text("model");
    return keep(models, path, [&] { return std::make_shared<const ranklet::Bert>(ranklet::Bert::load(path).value()); });
}

/// Texts to vectors, tokenizer included.
Work encode(const Options& o) {
    struct State {
        std::shared_ptr<const ranklet::Bert> model;
        std::vector<std::string> texts;
        std::vector<std::string_view> views;
        ranklet::Matrix vectors;
    };
    auto s = std::make_shared<State>();
    s->model = model_of(o);
    s->texts = lines_of(o.text("texts"), o.number("count"));
    s->views.assign(s->texts.begin(), s->texts.end());
    const ranklet::Threads threads = o.threads();
    return {[=] {
                ranklet::BatchOptions options;
                options.threads = threads;
                s->vectors = s->model->encode(s->views, options).value();
            },
            [=](std::ostream& out) {
                write_bytes(out, s->vectors.view().data, s->vectors.rows() * s->vectors.cols() * sizeof(float));
            }};
}

/// Token ids to vectors through the layers alone, in memory sized beforehand; one thread.
Work encode_ids(const Options& o) {
    struct State {
        std::shared_ptr<const ranklet::Bert> model;
        std::vector<std::int32_t> ids;
        std::vector<std::size_t> offsets{0};
        ranklet::Matrix states, vectors;
        ranklet::Scratch scratch;
    };
    auto s = std::make_shared<State>();
    s->model = model_of(o);
    for (const std::string& line : lines_of(o.text("ids"), o.number("count"))) {
        std::istringstream words(line);
        for (std::int32_t id; words >> id;) s->ids.push_back(id);
        s->offsets.push_back(s->ids.size());
    }
    const auto& model = s->model->model();
    const ranklet::TokenBatch batch{s->ids, {}, s->offsets};
    model.check(batch).value();
    s->states = ranklet::Matrix::zeroed(s->ids.size(), model.hidden()).value();
    s->vectors = ranklet::Matrix::zeroed(s->offsets.size() - 1, s->model->dim()).value();
    s->scratch.reserve(std::max(model.scratch_size(batch.tokens(), batch.longest()), s->model->head().scratch_size()))
        .value();
    return {[=] {
                s->model->model().forward(batch, s->states.view(), s->scratch);
                for (std::size_t t = 0; t + 1 < s->offsets.size(); ++t)
                    s->model->head().forward(
                        s->states.view().middle_rows(s->offsets[t], s->offsets[t + 1] - s->offsets[t]),
                        s->vectors.row(t).data(), s->scratch);
            },
            [=](std::ostream& out) {
                write_bytes(out, s->vectors.view().data, s->vectors.rows() * s->vectors.cols() * sizeof(float));
            }};
}

/// x [steps, sequences, hidden] to states of the same shape.
Work gru(const Options& o) {
    struct State {
        std::size_t hidden, steps, sequences;
        ranklet::Threads threads;
        ranklet::GruStack<float> stack;
        ranklet::AlignedBuffer<float> x;
        ranklet::Matrix states, projected, current;
        std::vector<const float*> rows;
        ranklet::Scratch scratch;
    };
    auto s = std::make_shared<State>();
    const std::size_t h = s->hidden = o.number("hidden");
    s->steps = o.number("steps");
    s->sequences = o.number("sequences");
    s->threads = o.threads();
    const auto weights = floats_of(o.text("weights"));
    if (weights.size() != 6 * h * h + 6 * h) throw std::runtime_error(o.text("weights") + " has another size");
    const float* w = weights.data();
    std::vector<ranklet::Gru<float>> layers(1);
    const auto linear = [&](const float* weight, const float* bias) {
        ranklet::Linear<> result;
        if (o.has("bf16")) {
            std::vector<std::uint16_t> rounded(3 * h * h);
            for (std::size_t i = 0; i < rounded.size(); ++i) rounded[i] = ranklet::f32_to_bf16(weight[i]);
            result.assign_bf16({rounded.data(), 3 * h, h}, {bias, 3 * h}).value();
        } else if (o.has("i8")) {  // as the converter's --dtype i8: one scale a row
            std::vector<std::int8_t> rounded(3 * h * h);
            std::vector<float> scale(3 * h);
            for (std::size_t r = 0; r < scale.size(); ++r) {
                for (std::size_t i = 0; i < h; ++i) scale[r] = std::max(scale[r], std::abs(weight[r * h + i]) / 127.0f);
                for (std::size_t i = 0; i < h && scale[r] > 0.0f; ++i)
                    rounded[r * h + i] = static_cast<std::int8_t>(std::nearbyint(weight[r * h + i] / scale[r]));
            }
            result.assign({rounded.data(), 3 * h, h}, scale, {bias, 3 * h}).value();
        } else {
            result.assign({weight, 3 * h, h}, {bias, 3 * h}).value();
        }
        return result;
    };
    layers[0].assign(linear(w, w + 6 * h * h), linear(w + 3 * h * h, w + 6 * h * h + 3 * h)).value();
    s->stack.assign(std::move(layers)).value();
    s->x = floats_of(o.text("x"));
    const std::size_t rows = s->steps * s->sequences;
    if (s->x.size() < rows * h) throw std::runtime_error(o.text("x") + " is too short");
    s->states = ranklet::Matrix::zeroed(rows, h).value();
    s->projected = ranklet::Matrix::zeroed(rows, 3 * h).value();
    s->current = ranklet::Matrix::zeroed(s->sequences, h).value();
    s->rows.resize(s->sequences);
    s->scratch
        .reserve(std::max({s->stack.scratch_size(rows), s->stack.project_scratch_size(rows),
                           s->stack.step_scratch_size(s->sequences)}))
        .value();
    return {[=] {
                const ranklet::MatrixView<const float> x(s->x.data(), s->steps * s->sequences, s->hidden);
                const ranklet::MatrixView<float> current = s->current.view();
                std::fill_n(current.data, s->sequences * s->hidden, 0.0f);
                if (s->sequences == 1) {
                    s->stack.forward(x, s->current.row(0), s->states.view(), s->scratch, s->threads);
                    return;
                }
                s->stack.layers()[0].project_input(x, s->projected.view(), s->scratch, s->threads);
                for (std::size_t step = 0; step < s->steps; ++step) {
                    for (std::size_t i = 0; i < s->sequences; ++i)
                        s->rows[i] = s->projected.row(step * s->sequences + i).data();
                    s->stack.step(s->rows.data(), current, s->scratch, s->threads);
                    std::copy_n(current.data, s->sequences * s->hidden, s->states.row(step * s->sequences).data());
                }
            },
            [=](std::ostream& out) {
                write_bytes(out, s->states.view().data, s->states.rows() * s->states.cols() * sizeof(float));
            }};
}

/// The exact k best of all rows by inner product, for each user.
Work search(const Options& o) {
    struct State {
        std::shared_ptr<const ranklet::AlignedBuffer<float>> rows;
        std::shared_ptr<const ranklet::VectorIndex> index;
        ranklet::AlignedBuffer<float> queries;
        ranklet::VectorIndex::Workspace workspace;
        std::span<const std::span<const ranklet::Hit>> found;
    };
    auto s = std::make_shared<State>();
    const std::string path = o.text("rows");
    const std::size_t dim = o.number("dim"), users = o.number("users");
    s->rows =
        keep(arrays, path, [&] { return std::make_shared<const ranklet::AlignedBuffer<float>>(floats_of(path)); });
    const bool i8 = o.has("i8");
    s->index = keep(indices, path + (i8 ? " i8" : ""), [&] {
        const ranklet::MatrixView<const float> rows(s->rows->data(), s->rows->size() / dim, dim);
        const auto type = i8 ? ranklet::RowType::i8_exact : ranklet::RowType::f32;
        return std::make_shared<const ranklet::VectorIndex>(ranklet::VectorIndex::create(rows, type).value());
    });
    s->queries = floats_of(o.text("queries"));
    if (s->queries.size() < users * dim) throw std::runtime_error(o.text("queries") + " is too short");
    const ranklet::SearchOptions options{.k = o.number("k"), .threads = o.threads()};
    return {[=] { s->found = s->index->search({s->queries.data(), users, dim}, options, s->workspace).value(); },
            [=](std::ostream& out) {
                for (const auto& hits : s->found)
                    for (const ranklet::Hit& hit : hits) write_bytes(out, &hit.index, sizeof hit.index);
            }};
}

Work tokenize(const Options& o) {
    struct State {
        std::shared_ptr<const ranklet::Bert> model;
        std::vector<std::string> texts;
        ranklet::EncodeOptions options;
        ranklet::Encoding encoding;
    };
    auto s = std::make_shared<State>();
    s->model = model_of(o);
    s->texts = lines_of(o.text("texts"), o.number("count"));
    s->options.max_length = o.number("max_length");
    return {[=] {
                for (const std::string& text : s->texts)
                    s->model->tokenizer().encode(text, s->options, s->encoding).value();
            },
            [=](std::ostream& out) {
                for (const std::string& text : s->texts) {
                    s->model->tokenizer().encode(text, s->options, s->encoding).value();
                    for (std::size_t i = 0; i < s->encoding.size(); ++i)
                        out << (i == 0 ? "" : " ") << s->encoding.ids[i];
                    out << '\n';
                }
            }};
}

std::string limit(const Options& o) {
    const std::string kind = o.text("kind");
    const std::size_t threads = o.number("threads");
    ranklet::AlignedBuffer<float> memory;
    if (kind == "read") memory = ranklet::AlignedBuffer<float>::zeroed(std::size_t{1} << 27).value();  // 512 MiB
    double best = 0;
    for (int repeat = 0; repeat < 5; ++repeat) {
        const auto start = std::chrono::steady_clock::now();
        std::vector<double> work(threads);
        ranklet::parallel_for(threads, threads, [&](std::size_t piece, std::size_t) {
            if (kind == "read") {
                const auto part = ranklet::detail::partition(memory.size(), threads, piece, 1024);
                ranklet_bench::read_all(memory.data() + part.first, part.last - part.first);
                work[piece] = static_cast<double>(part.last - part.first) * sizeof(float);
            } else {
                work[piece] = kind == "f32"    ? ranklet_bench::fma_operations()
                              : kind == "bf16" ? ranklet_bench::bf16_operations()
                                               : ranklet_bench::dot_operations();
            }
        });
        double total = 0;
        for (const double part : work) total += part;
        best = std::max(best, total / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    std::ostringstream out;
    out << "{\"per_second\": " << best << "}";
    return out.str();
}

std::string time(const Work& work, double limit_seconds) {
    using Clock = std::chrono::steady_clock;
    const auto since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
    std::ostringstream out;
    out.precision(9);
    const auto began = Clock::now();
    const char* comma = "{\"seconds\": [";
    do {
        const auto start = Clock::now();
        work.run();
        out << comma << since(start);
        comma = ", ";
    } while (since(began) < limit_seconds);
    out << "]}";
    return out.str();
}

std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    Options o;
    for (std::string pair; words >> pair;) {
        const auto equals = pair.find('=');
        if (equals == std::string::npos) throw std::runtime_error(pair + " is not key=value");
        o.values[pair.substr(0, equals)] = pair.substr(equals + 1);
    }
    if (name == "forget") {
        models.clear();
        indices.clear();
        arrays.clear();
        return "{}";
    }
    if (name == "versions") {
        std::ostringstream out;
        out << "{\"ranklet\": \"" << RANKLET_VERSION_MAJOR << '.' << RANKLET_VERSION_MINOR << '.'
            << RANKLET_VERSION_PATCH << ", " << ranklet::abi_tag << ", compiler " << __VERSION__ << "\"}";
        return out.str();
    }
    if (name == "limit") {
        if (o.text("kind") == "bf16" && !ranklet_bench::has_bf16_dot)
            throw std::runtime_error("no bf16 dot product on this machine");
        return limit(o);
    }
    const std::map<std::string, Work (*)(const Options&)> works{
        {"encode", encode}, {"encode_ids", encode_ids}, {"gru", gru}, {"search", search}, {"tokenize", tokenize}};
    const auto found = works.find(name);
    if (found == works.end()) throw std::runtime_error("no work " + name);
    const Work work = found->second(o);
    if (!o.has("out")) return time(work, std::stod(o.text("seconds")));
    work.run();
    std::ofstream out(o.text("out"), std::ios::binary);
    work.write(out);
    if (!out.flush()) throw std::runtime_error("cannot write " + o.text("out"));
    return "{}";
}

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return out;
}

}  // namespace

int main() {
    for (std::string line; std::getline(std::cin, line);) {
        std::string reply;
        try {
            reply = answer(line);
        } catch (const std::exception& error) {
            reply = "{\"error\": \"" + escaped(error.what()) + "\"}";
        }
        std::cout << reply << std::endl;
    }
}
