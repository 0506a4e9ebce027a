// Prints a hash of the bits of each kernel's results and of whole models', one a line: "name hash".
// In: the folder of the tiny models. Two programs for different instruction sets must print the same lines.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/encoders/bert_model.hpp"
#include "ranklet/ranklet.hpp"

namespace {

namespace kernels = ranklet::kernels;
using Arch = kernels::default_arch;
using ranklet::Activation;

std::uint64_t state = 0;
float draw(float low, float high) {  // SplitMix64; by multiplication and addition of exact numbers alone
    std::uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    const float unit = static_cast<float>((z ^ (z >> 31)) >> 48) * 0x1p-16f;  // 16 bits: nothing below is rounded
    return low + (high - low) * unit;
}
std::vector<float> row(std::size_t n, float low = -2.0f, float high = 2.0f) {
    std::vector<float> values(n);
    for (float& v : values) v = draw(low, high);
    return values;
}

class Hash {
public:
    void add(std::span<const float> values) {
        for (const float value : values) {
            std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
            if (std::isnan(value)) bits = 0x7FC00000u;  // which NaN it is, the processors choose themselves
            for (int i = 0; i < 4; ++i) hash_ = (hash_ ^ (bits >> (8 * i) & 0xFF)) * 1099511628211ull;
        }
    }
    void add(const ranklet::Matrix& matrix) { add({matrix.view().data, matrix.rows() * matrix.cols()}); }
    void print(std::string_view name) const {
        std::printf("%.*s %016llx\n", static_cast<int>(name.size()), name.data(),
                    static_cast<unsigned long long>(hash_));
    }

private:
    std::uint64_t hash_ = 14695981039346656037ull;
};

bool failed(std::string_view what, const ranklet::Error& error) {
    std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(what.size()), what.data(), error.message.c_str());
    return false;
}

void hash_scan() {
    constexpr std::size_t rows = 77, users = 49, n = 100;  // more users than fit a panel, and fewer than fill the next
    const auto catalog = row(rows * n), queries = row(users * n);
    for (const auto& [name, type] :
         {std::pair{"scan_f32", ranklet::RowType::f32}, std::pair{"scan_f16", ranklet::RowType::f16},
          std::pair{"scan_i8", ranklet::RowType::i8}, std::pair{"scan_i8_exact", ranklet::RowType::i8_exact}}) {
        const auto index = ranklet::VectorIndex::create({catalog.data(), rows, n}, type);
        ranklet::VectorIndex::Workspace workspace;
        Hash hash;
        for (const std::size_t together : {std::size_t{9}, users}) {
            const auto found = index->search({queries.data(), together, n}, {.k = rows}, workspace);
            for (const auto& hits : *found)
                for (const ranklet::Hit& hit : hits) {
                    const std::array<float, 2> values{static_cast<float>(hit.index), hit.score};
                    hash.add(values);
                }
        }
        hash.print(name);
    }
}

void hash_math() {
    std::vector<float> x;  // every 40961st float, NaN and infinities with them, then the range that matters densely
    for (std::uint64_t b = 0; b < std::uint64_t{1} << 32; b += 40961)
        x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(b)));
    for (int i = -100000; i <= 100000; ++i) x.push_back(static_cast<float>(i) * 0x1p-10f);
    Hash exp;
    std::vector<float> y(x.size());
    kernels::transform<Arch>(x.data(), y.data(), x.size(), [](const auto& v) { return kernels::exp(v); });
    exp.add(y);
    exp.print("exp");
    constexpr std::array<std::pair<const char*, Activation>, 6> activations{{{"gelu", Activation::gelu},
                                                                             {"gelu_tanh", Activation::gelu_tanh},
                                                                             {"relu", Activation::relu},
                                                                             {"silu", Activation::silu},
                                                                             {"sigmoid", Activation::sigmoid},
                                                                             {"tanh", Activation::tanh}}};
    for (const auto& [name, activation] : activations) {
        Hash hash;
        y = x;
        kernels::activate<Arch>(activation, y.data(), y.size());
        hash.add(y);
        hash.print(name);
    }
}

void hash_rows() {
    Hash sum, max, dot, dot_rows, softmax, layer_norm, normalize, multiply_add, gates, reset_before;
    for (std::size_t n = 1; n <= 130; ++n) {
        const std::vector<float> x = row(n), y = row(n), z = row(n), many = row(7 * n);
        sum.add(std::array{kernels::sum<Arch>(x.data(), n)});
        max.add(std::array{kernels::max<Arch>(x.data(), n)});
        dot.add(std::array{kernels::dot<Arch>(x.data(), y.data(), n)});
        std::vector<float> out(7);
        kernels::dot_rows<Arch>(many.data(), 7, n, x.data(), n, out.data());
        dot_rows.add(out);
        std::vector<float> result = x;
        kernels::softmax<Arch>(result.data(), n, 3.7f);
        softmax.add(result);
        kernels::layer_norm<Arch>(1, x.data(), n, y.data(), z.data(), 1e-5f, result.data(), n, n);
        layer_norm.add(result);
        result = x;
        kernels::normalize<Arch>(result.data(), n);
        normalize.add(result);
        kernels::multiply_add<Arch>(0.37f, x.data(), y.data(), result.data(), n);
        multiply_add.add(result);
        const std::vector<float> input = row(3 * n), hidden = row(3 * n);
        kernels::gru_reset<Arch>(input.data(), hidden.data(), x.data(), result.data(), n);
        kernels::gru_update<Arch>(input.data(), hidden.data(), y.data(), x.data(), result.data(), n);
        kernels::add_product<Arch>(x.data(), y.data(), result.data(), n);
        reset_before.add(result);
        kernels::gru_gates<Arch>(input.data(), hidden.data(), x.data(), result.data(), n);
        gates.add(result);
    }
    sum.print("sum");
    max.print("max");
    dot.print("dot");
    dot_rows.print("dot_rows");
    softmax.print("softmax");
    layer_norm.print("layer_norm");
    normalize.print("normalize");
    multiply_add.print("multiply_add");
    gates.print("gru_gates");
    reset_before.print("gru_reset_update");
}

/// Products in 8 bits, with all that an epilogue does.
void hash_i8_products() {
    using Mac = kernels::MacI8<Arch>;
    Hash quantized, gemm;
    for (const std::size_t m : {1u, 2u, 13u, 31u})
        for (const std::size_t n : {1u, 33u, 70u})
            for (const std::size_t k : {1u, 17u, 384u}) {
                const std::vector<float> a = row(m * k), w = row(n * k), bias = row(n), residual = row(m * n);
                const std::size_t size = kernels::i8_row_size<Arch>(k);
                std::vector<Mac::Input> inputs(m * size), input_of_w(size);
                std::vector<std::int8_t> weights(n * k), packed(kernels::i8_packed_size<Arch>(n, k));
                std::vector<float> input_scale(m), weight_scale(n), c(m * n);
                std::vector<std::int32_t> start(kernels::padded_columns<Arch>(n));
                for (std::size_t r = 0; r < m; ++r)
                    input_scale[r] = kernels::quantize_row<Arch>(a.data() + r * k, k, inputs.data() + r * size);
                for (std::size_t r = 0; r < n; ++r) {
                    weight_scale[r] = kernels::quantize_row<Arch>(w.data() + r * k, k, input_of_w.data());
                    for (std::size_t i = 0; i < k; ++i)
                        weights[r * k + i] = static_cast<std::int8_t>(input_of_w[i] - Mac::offset);
                }
                kernels::pack_rows_i8<Arch>(weights.data(), n, k, packed.data(), start.data());
                kernels::gemm_i8<Arch>(m, n, k, inputs.data(), packed.data(), start.data(), c.data(), n,
                                       kernels::BiasActivation<Arch>{bias.data(), Activation::gelu, residual.data(), n,
                                                                     weight_scale.data(), input_scale.data()});
                quantized.add(input_scale);
                gemm.add(c);
            }
    quantized.print("quantize_row");
    gemm.print("gemm_i8");
}

/// The same of inputs with a zero point and factors.
void hash_i8_products_with_zero() {
    using Mac = kernels::MacI8<Arch>;
    Hash quantized, gemm;
    for (const std::size_t m : {1u, 2u, 13u, 31u})
        for (const std::size_t n : {1u, 33u, 70u})
            for (const std::size_t k : {1u, 17u, 384u}) {
                const std::vector<float> a = row(m * k, -0.25f, 4.0f), factor = row(k, 0.25f, 4.0f), bias = row(n),
                                         residual = row(m * n), scale = row(n, 0x1p-7f, 0x1p-6f), sum = row(n);
                const std::size_t size = kernels::i8_row_size<Arch>(k);
                std::vector<Mac::Input> inputs(m * size);
                std::vector<std::int8_t> weights(n * k), packed(kernels::i8_packed_size<Arch>(n, k));
                for (auto& weight : weights) weight = static_cast<std::int8_t>(draw(-127.0f, 127.0f));
                std::vector<float> input_scale(m), middle(m), c(m * n);
                std::vector<std::int32_t> start(kernels::padded_columns<Arch>(n));
                for (std::size_t r = 0; r < m; ++r) {
                    const auto map = kernels::quantize_row_with_zero<Arch>(
                        a.data() + r * k, k, r % 2 == 0 ? factor.data() : nullptr, inputs.data() + r * size);
                    input_scale[r] = map.scale;
                    middle[r] = map.middle;
                }
                kernels::pack_rows_i8<Arch>(weights.data(), n, k, packed.data(), start.data());
                kernels::gemm_i8<Arch>(
                    m, n, k, inputs.data(), packed.data(), start.data(), c.data(), n,
                    kernels::BiasActivation<Arch>{bias.data(), Activation::gelu, residual.data(), n, scale.data(),
                                                  input_scale.data(), sum.data(), middle.data()});
                quantized.add(input_scale);
                quantized.add(middle);
                gemm.add(c);
            }
    quantized.print("quantize_row_with_zero");
    gemm.print("gemm_i8_with_zero");
}

bool hash_products() {
    Hash gemm, long_sums, attention, attention_forms;
    for (const auto& [m, n, k] :
         std::initializer_list<std::array<std::size_t, 3>>{{14, 70, 384}, {31, 33, 1536}, {1, 33, 1000}}) {
        const std::vector<float> a = row(m * k), w = row(n * k), bias = row(n);
        std::vector<float> packed(kernels::packed_size<Arch>(n, k)), c(m * n);
        kernels::pack_rows<Arch>(w.data(), n, k, k, packed.data());
        kernels::gemm_f32<Arch>(m, n, k, a.data(), k, packed.data(), c.data(), n,
                                kernels::BiasActivation<Arch>{bias.data(), Activation::gelu});
        long_sums.add(c);
    }
    for (const std::size_t m : {1u, 5u, 6u, 13u, 14u, 31u, 300u})
        for (const std::size_t n : {1u, 16u, 33u, 70u})
            for (const std::size_t k : {1u, 17u, 64u}) {
                const std::vector<float> a = row(m * k), w = row(n * k), bias = row(n), residual = row(m * n);
                std::vector<float> packed(kernels::packed_size<Arch>(n, k)), c(m * n);
                kernels::pack_rows<Arch>(w.data(), n, k, k, packed.data());
                kernels::gemm_f32<Arch>(
                    m, n, k, a.data(), k, packed.data(), c.data(), n,
                    kernels::BiasActivation<Arch>{bias.data(), Activation::gelu, residual.data(), n});
                gemm.add(c);
            }
    for (const std::size_t length : {1u, 7u, 23u, 25u, 56u, 100u, 600u}) {
        const std::size_t d = 32;
        const std::vector<float> q = row(length * d), k = row(length * d), v = row(length * d);
        std::vector<float> out(length * d);
        ranklet::Scratch scratch;
        if (const auto status = scratch.reserve(kernels::attention_scratch_size<Arch>(length, d)); !status.ok())
            return failed("scratch", status.error());
        kernels::attention_head<Arch>(length, d, q.data(), k.data(), v.data(), d, out.data(), d,
                                      {1.0f / std::sqrt(static_cast<float>(d)), nullptr}, scratch);
        attention.add(out);
        // With a window, and with terms of content and distance.
        constexpr float infinity = std::numeric_limits<float>::infinity();
        constexpr std::size_t span = 40;
        std::vector<float> bias(2 * length - 1);
        std::vector<std::uint32_t> rows(2 * length - 1);
        for (std::size_t i = 0; i < bias.size(); ++i) {
            const auto distance = static_cast<std::ptrdiff_t>(i) - static_cast<std::ptrdiff_t>(length - 1);
            bias[i] = distance > 0 || distance < -70 ? -infinity : 0.01f * static_cast<float>(distance);
            rows[i] = static_cast<std::uint32_t>(std::clamp<std::ptrdiff_t>(distance, -40, 39) + 40);
        }
        kernels::ScoreMap<float> window{0.2f, bias.data() + length - 1};
        window.before = 70;
        window.behind = 0;
        std::vector<float> table(2 * span * d);
        for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<float>(37 * i % 101) / 128.0f - 0.5f;  // exact
        std::vector<float> packed(kernels::packed_size<Arch>(2 * span, d));
        kernels::pack_rows<Arch>(table.data(), 2 * span, d, d, packed.data());
        const kernels::PositionTerms<float> terms{packed.data(), packed.data(), rows.data() + length - 1};
        kernels::ScoreMap<float> with_terms{0.2f};
        with_terms.positions = &terms;
        if (const auto status = scratch.reserve(kernels::attention_scratch_size<Arch>(length, d, 2 * span)); !status.ok())
            return failed("scratch", status.error());
        for (const auto* map : {&window, &with_terms}) {
            kernels::attention_head<Arch>(length, d, q.data(), k.data(), v.data(), d, out.data(), d, *map, scratch);
            attention_forms.add(out);
        }
    }
    gemm.print("gemm_f32");
    long_sums.print("gemm_f32_long");
    attention.print("attention_head");
    attention_forms.print("attention_forms");
    return true;
}

constexpr std::array<std::string_view, 7> texts{
    "",
    "phone",
    "手机",
    "red iPhone 手机壳 with stand",
    "the small red boat, the new red phone: 15 bar, 1.5 litres",
    "轻便防水双人帐篷",
    "a text that is longer than what this model reads at once, and so is cut off somewhere in here, the "
    "rest of it without any influence: the book follows three friends who leave their village in a small red boat"};

bool hash_encoder(const std::string& folder, const std::string& name) {
    const auto bert = ranklet::Bert::load(folder + "/" + name + ".gguf");
    if (!bert.ok()) return failed(name, bert.error());
    const auto vectors = bert->encode(std::span(texts));
    const auto states = bert->encode_tokens(texts[4]);
    if (!vectors.ok()) return failed(name, vectors.error());
    if (!states.ok()) return failed(name, states.error());
    Hash hash;
    hash.add(*vectors);
    hash.add(*states);
    hash.print(name);
    return true;
}

/// Scores of labels of texts and of pairs.
bool hash_classifier(const std::string& folder, const std::string& name) {
    const auto model = ranklet::SequenceClassifier::load(folder + "/" + name + ".gguf");
    if (!model.ok()) return failed(name, model.error());
    Hash hash;
    for (const bool scores : {false, true}) {
        const auto found = scores ? model->classify(std::span(texts)) : model->logits(std::span(texts));
        if (!found.ok()) return failed(name, found.error());
        hash.add(*found);
    }
    std::vector<ranklet::TextPair> pairs;
    for (std::size_t i = 0; i < texts.size(); ++i) pairs.push_back({texts[i], texts[(i + 3) % texts.size()]});
    if (const auto found = model->classify(std::span<const ranklet::TextPair>(pairs)); found.ok())
        hash.add(*found);
    else if (found.error().code != ranklet::ErrorCode::unsupported)  // a model with one token type
        return failed(name, found.error());
    hash.print(name);
    return true;
}

/// Logits of tokens, and the spans that come of them.
bool hash_tagger(const std::string& folder, const std::string& name) {
    const auto model = ranklet::TokenClassifier::load(folder + "/" + name + ".gguf");
    if (!model.ok()) return failed(name, model.error());
    Hash hash;
    for (const std::string_view text : texts) {
        const auto logits = model->logits(text);
        if (!logits.ok()) return failed(name, logits.error());
        hash.add(*logits);
        const auto spans = model->tag(text, {.aggregation = ranklet::TagAggregation::average, .ignore = {}});
        if (!spans.ok()) return failed(name, spans.error());
        for (const ranklet::TaggedSpan& span : *spans)
            hash.add(std::array{static_cast<float>(span.bytes.begin), static_cast<float>(span.bytes.end), span.score});
    }
    hash.print(name);
    return true;
}

bool hash_recommender(const std::string& folder, const std::string& name) {
    const auto model = ranklet::Recommender::load(folder + "/" + name + ".gguf");
    if (!model.ok()) return failed(name, model.error());
    constexpr std::array<std::string_view, texts.size()> ids{"a", "b", "c", "d", "e", "f", "g"};
    std::vector<ranklet::Item> items;
    for (std::size_t i = 0; i < texts.size(); ++i) items.push_back({ids[i], texts[i]});
    const auto catalog = model->encodes_text() ? model->encode_catalog(items) : model->items();
    if (!catalog.ok()) return failed(name, catalog.error());
    auto user = model->new_user();
    Hash hash;
    for (std::size_t event = 0; event < 6; ++event) {
        const float rating = event % 2 == 0 ? ranklet::no_rating : static_cast<float>(event);
        if (const auto seen = user.observe((*catalog)[event * 5 % catalog->size()], rating); !seen.ok())
            return failed(name, seen.error());
        const auto ranking = model->recommend(user, *catalog, {.k = 100});
        if (!ranking.ok()) return failed(name, ranking.error());
        hash.add(user.state().hidden);
        for (const auto& r : *ranking) hash.add(std::array{static_cast<float>(r.index), r.score, r.probability});
    }
    hash.print(name);
    return true;
}

}  // namespace

/// Token states of a transformer of each architecture.
bool hash_architecture(const std::string& folder, const std::string& name) {
    const auto file = ranklet::GgufFile::open(folder + "/architectures/" + name + ".gguf");
    if (!file.ok()) return failed(name, file.error());
    const ranklet::ModelReader reader(*file);
    const auto activation = ranklet::read_activation(reader.scope("ranklet.encoder"), "activation");
    if (!activation.ok()) return failed(name, activation.error());
    const auto model = ranklet::BertModel::read(reader, *activation, 0);
    if (!model.ok()) return failed(name, model.error());
    const auto ids = file->i32s("golden.ids"), lengths = file->i32s("golden.lengths");
    if (!ids.ok() || !lengths.ok()) return failed(name, ids.ok() ? lengths.error() : ids.error());
    std::vector<std::size_t> offsets{0};
    for (const std::int32_t length : *lengths) offsets.push_back(offsets.back() + static_cast<std::size_t>(length));
    const ranklet::TokenBatch batch{*ids, {}, offsets};
    ranklet::Scratch scratch;
    if (const auto status = scratch.reserve(model->scratch_size(ids->size(), batch.longest())); !status.ok())
        return failed(name, status.error());
    std::vector<float> states(ids->size() * model->hidden());
    model->forward(batch, {states.data(), ids->size(), model->hidden()}, scratch);
    Hash hash;
    hash.add(states);
    hash.print(name);
    return true;
}

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s FOLDER_OF_TINY_MODELS\n", argv[0]);
        return 2;
    }
    const std::string folder = argv[1];
    hash_math();
    hash_scan();
    hash_rows();
    hash_i8_products();
    bool fine = hash_products();
    for (const char* name : {"tiny-minilm", "tiny-dense", "tiny-distilbert", "tiny-minilm-i8"})
        fine = hash_encoder(folder, name) && fine;
    for (const char* name : {"tiny-sequence", "tiny-sequence-i8", "tiny-multi-label", "tiny-cross-encoder"})
        fine = hash_classifier(folder, name) && fine;
    for (const char* name : {"tiny-tokens", "tiny-tokens-i8", "tiny-tokens-distilbert"})
        fine = hash_tagger(folder, name) && fine;
    for (const char* name :
         {"tiny-text-gru", "tiny-text-gru-wide", "tiny-next-event", "tiny-dot-product", "tiny-dot-plain",
          "tiny-words-dot", "tiny-words-next", "tiny-items", "news-naml", "news-nrms-padded", "news-lstur-con",
          "news-lstur-keras", "news-narm-kim", "tiny-next-event-i8", "tiny-text-gru-i8", "tiny-items-i8"})
        fine = hash_recommender(folder, name) && fine;
    hash_i8_products_with_zero();  // behind the others: what is drawn for them stays the same
    fine = hash_encoder(folder, "tiny-minilm-fitted") && fine;
    for (const char* name : {"electra", "eurobert", "gemma3", "gte", "jina-v3", "llama3", "mistral", "modernbert",
                             "mpnet", "nomic", "qwen3", "roberta", "t5", "t5-gated"})
        fine = hash_architecture(folder, name) && fine;
    return fine ? 0 : 1;
}
