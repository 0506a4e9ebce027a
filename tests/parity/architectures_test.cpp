// Transformers of every architecture that a file can describe, against transformers' own classes in double precision, from
// token ids. goldens/architectures is made by make_architectures.py.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "parity/golden.hpp"
#include "ranklet/encoders/bert_model.hpp"
#include "ranklet/encoders/token_batch.hpp"
#include "ranklet/io/gguf_writer.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet;
using parity::flat;
using parity::take;

std::vector<std::string> architectures() {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator("tests/parity/goldens/architectures"))
        paths.push_back(entry.path().string());
    std::sort(paths.begin(), paths.end());
    return paths;
}
Result<BertModel> read(const GgufFile& file) {
    const ModelReader reader(file);
    RANKLET_ASSIGN(const Activation activation, read_activation(reader.scope("ranklet.encoder"), "activation"));
    return BertModel::read(reader, activation, 0);
}
Matrix states_of(const BertModel& model, const std::vector<std::int32_t>& ids, const std::vector<std::size_t>& offsets,
                 Threads threads = 1) {
    const TokenBatch batch{ids, {}, offsets};
    REQUIRE(model.check(batch).ok());
    Scratch scratch;
    REQUIRE(scratch.reserve(model.scratch_size(ids.size(), batch.longest(), threads)).ok());
    Matrix states = take(Matrix::zeroed(ids.size(), model.hidden()));
    run_together(threads, [&](Threads together) { model.forward(batch, states.view(), scratch, together); });
    return states;
}
/// The file with what `change` does to it; `without` names keys and tensors that are left out.
template <class Change>
Result<BertModel> changed(const GgufFile& file, const std::vector<std::string>& without, const Change& change) {
    GgufWriter writer;
    RANKLET_TRY(writer.copy(
        file, [&](std::string_view name) { return std::find(without.begin(), without.end(), name) != without.end(); }));
    change(writer);
    RANKLET_ASSIGN(const auto bytes, writer.bytes());
    RANKLET_ASSIGN(const GgufFile copy, GgufFile::from_memory(bytes, "changed"));
    auto model = read(copy);
    if (!model.ok()) return model.error();
    return make_error(ErrorCode::invalid_argument, {"read"});
}

}  // namespace

TEST_CASE("token states are those of transformers' own classes, whatever the batch and the threads") {
    const auto paths = architectures();
    REQUIRE(paths.size() == 19);
    for (const std::string& path : paths) {
        CAPTURE(path);
        const GgufFile file = take(GgufFile::open(path));
        const BertModel model = take(read(file));
        const auto ids = take(file.i32s("golden.ids")), lengths = take(file.i32s("golden.lengths"));
        const TensorView golden = take(file.tensor("golden.states"));
        std::vector<std::size_t> offsets{0};
        for (const std::int32_t length : lengths) offsets.push_back(offsets.back() + static_cast<std::size_t>(length));
        REQUIRE(golden.rows == ids.size());
        const Matrix together = states_of(model, ids, offsets);
        std::vector<float> expected(golden.rows * golden.cols);
        for (std::size_t r = 0; r < golden.rows; ++r) dequantize_row(golden, r, expected.data() + r * golden.cols);
        parity::check_close(flat(together), expected, path);
        for (std::size_t t = 0; t + 1 < offsets.size(); ++t) {
            const std::vector<std::int32_t> own(ids.begin() + static_cast<std::ptrdiff_t>(offsets[t]),
                                                ids.begin() + static_cast<std::ptrdiff_t>(offsets[t + 1]));
            const Matrix alone = states_of(model, own, {0, own.size()}, ranklet_test::finely(2));
            for (std::size_t r = 0; r < own.size(); ++r)
                REQUIRE(std::ranges::equal(alone.row(r), together.row(offsets[t] + r)));
        }
    }
}

TEST_CASE("descriptions that contradict themselves are refused, and say what does not fit") {
    const auto refused = [](const std::string& name, const std::vector<std::string>& without, const auto& change,
                            std::string_view part) {
        const GgufFile file = take(GgufFile::open("tests/parity/goldens/architectures/" + name + ".gguf"));
        const auto model = changed(file, without, change);
        CHECK_FALSE(model.ok());
        CHECK_MESSAGE(model.error().message.find(part) != std::string::npos, model.error().message);
    };
    const auto nothing = [](GgufWriter&) {};
    refused(
        "qwen3", {"qwen3.attention.head_count_kv"},
        [](GgufWriter& writer) { writer.key("qwen3.attention.head_count_kv", 3u); }, "does not divide 4 heads");
    refused(
        "qwen3", {"qwen3.attention.key_length"},
        [](GgufWriter& writer) { writer.key("qwen3.attention.key_length", 0u); }, "head_count_kv");
    refused("qwen3", {"blk.0.attn_q_norm.weight"}, nothing, "read");  // a model without it is another, whole one
    refused("qwen3", {"blk.1.ffn_up.weight"}, nothing, "blk.1.ffn_up.weight");
    refused(
        "qwen3", {"qwen3.context_length"},
        [](GgufWriter& writer) { writer.key("qwen3.context_length", 4'000'000'000u); }, "context_length");
    const std::vector<float> wide(40, 1.0f);
    refused(
        "qwen3", {"rope_frequencies.weight"},
        [&](GgufWriter& writer) { writer.tensor("rope_frequencies.weight", 1, 40, std::span<const float>(wide)); },
        "rope_frequencies.weight");
    refused("modernbert", {"ranklet.encoder.window_reach"}, nothing, "window_reach");
    const std::vector<std::uint32_t> few{1, 0};
    refused(
        "modernbert", {"ranklet.encoder.window_layers"},
        [&](GgufWriter& writer) { writer.array("ranklet.encoder.window_layers", std::span<const std::uint32_t>(few)); },
        "window_layers");
    refused(
        "mpnet", {"attention_bias.weight"},
        [&](GgufWriter& writer) {
            writer.tensor("attention_bias.weight", 3, 4, std::span<const float>(wide).first(12));
        },
        "odd number of distances");
    refused(
        "gemma3", {"ranklet.encoder.attention_scale"},
        [](GgufWriter& writer) { writer.key_f32("ranklet.encoder.attention_scale", -1.0f); }, "attention_scale");
    const auto with_buckets = [](std::vector<std::uint32_t> buckets) {
        return [buckets](GgufWriter& writer) {
            writer.array("ranklet.encoder.position_buckets", std::span<const std::uint32_t>(buckets));
        };
    };
    std::vector<std::uint32_t> buckets(60, 4);
    for (std::uint32_t d = 0; d < 4; ++d) buckets[d] = d;
    refused("deberta", {"ranklet.encoder.position_buckets"}, with_buckets(buckets), "read");
    refused("deberta", {"ranklet.encoder.position_buckets"}, nothing, "must begin with 0");
    refused("deberta", {"ranklet.encoder.position_buckets"}, with_buckets({0, 1, 2}), "has 3 numbers for texts of 60");
    buckets[9] = 3;
    refused("deberta", {"ranklet.encoder.position_buckets"}, with_buckets(buckets), "the bucket of distance 9 is 3");
    buckets[9] = 9;
    refused("deberta", {"ranklet.encoder.position_buckets"}, with_buckets(buckets), "expected 4 to 8");
    const std::vector<float> tables(24 * 15, 0.5f);
    refused(
        "deberta", {"blk.0.attn_position_k.weight"},
        [&](GgufWriter& writer) { writer.tensor("blk.0.attn_position_k.weight", 15, 24, std::span(tables)); },
        "attn_position_k.weight");
    refused("electra", {"embd_projection.weight"}, nothing, "token_embd.weight");
    refused("roberta", {"blk.0.attn_output_norm.weight"}, nothing, "blk.0.attn_output_norm.weight");
    refused("roberta", {"position_embd.weight"}, nothing, "position_embd.weight");
}
