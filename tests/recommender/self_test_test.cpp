// Damaged model files: the self-test finds weights that changed, the checksum every byte that did.
// The self-test runs a few texts and events, so it cannot see
//   - a change smaller than its tolerance (a low bit of a mantissa);
//   - a weight that those texts do not reach: embeddings of tokens, positions, token types, ratings and items that do
//     not occur in them;
//   - a weight without influence on any output: a key's bias (softmax is blind to what all scores share).
// The checksum (LoadOptions::verify_checksum) sees all of these.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::ErrorCode;
using ranklet::GgufFile;
using ranklet::LoadOptions;
using ranklet::Recommender;
using Bytes = std::vector<std::byte>;

ranklet::Result<Recommender> load(const Bytes& bytes, const LoadOptions& options = {}) {
    auto file = GgufFile::from_memory(bytes, "damaged.gguf");
    if (!file.ok()) return file.error();
    return Recommender::from_file(*file, options);
}

/// Where a tensor's data begins in the file's bytes.
std::size_t offset_of(const GgufFile& file, const Bytes& bytes, const std::string& name) {
    return static_cast<std::size_t>(take(file.tensor(name)).data - bytes.data());
}

bool ends_with(const std::string& text, const std::string& end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// Rows of a tensor that the self-test's texts and events reach.
std::vector<std::size_t> reached_rows(const GgufFile& file, const ranklet::TensorView& tensor) {
    const std::string name(tensor.name);
    std::set<std::size_t> rows;
    if (name == "token_embd.weight" || name == "ranklet.words.weight") {
        for (const auto id : take(file.i32s("ranklet.selftest.token_ids"))) rows.insert(static_cast<std::size_t>(id));
    } else if (name == "position_embd.weight") {
        const auto offsets = take(file.i32s("ranklet.selftest.token_offsets"));
        for (std::size_t t = 0; t + 1 < offsets.size(); ++t)
            for (int i = 0; i < offsets[t + 1] - offsets[t]; ++i) rows.insert(static_cast<std::size_t>(i));
    } else if (name == "token_types.weight") {
        rows.insert(0);
    } else if (name == "ranklet.item_embd.weight") {
        for (const auto item : take(file.i32s("ranklet.selftest.history"))) rows.insert(static_cast<std::size_t>(item));
    } else if (!ends_with(name, "attn_k.bias")) {
        for (std::size_t r = 0; r < tensor.rows; ++r) rows.insert(r);
    }
    return {rows.begin(), rows.end()};
}

}  // namespace

TEST_CASE("a flipped sign or high exponent bit of any weight that the self-test reaches is found, in every tensor") {
    for (const std::string name : model_names) {
        const Bytes bytes = read_bytes(model_path(name));
        const GgufFile file = take(GgufFile::from_memory(bytes, name));
        REQUIRE(load(bytes).ok());
        Random random(1);
        std::size_t tried = 0, missed = 0;
        std::string missed_where;
        for (const ranklet::TensorView& tensor : file.tensors()) {
            const std::vector<std::size_t> rows = reached_rows(file, tensor);
            REQUIRE(tensor.type == ranklet::TensorType::f32);
            for (std::size_t trial = 0; trial < 12 && !rows.empty(); ++trial) {
                const std::size_t row = rows[random.below(rows.size())], column = random.below(tensor.cols);
                const std::size_t at =
                    offset_of(file, bytes, std::string(tensor.name)) + (row * tensor.cols + column) * sizeof(float);
                float before;
                std::memcpy(&before, bytes.data() + at, sizeof before);
                // A sign that is flipped is a change of twice the weight: too small a one is not a damage.
                const bool sign = trial % 2 == 0 && std::abs(before) > 0.05f;
                Bytes damaged = bytes;
                damaged[at + 3] ^= sign ? std::byte{0x80} : std::byte{0x40};
                ++tried;
                const auto result = load(damaged);
                if (result.ok()) {
                    ++missed;
                    missed_where += std::string(tensor.name) + "[" + std::to_string(row) + ", " +
                                    std::to_string(column) + "] " + (sign ? "sign" : "exponent") + "; ";
                    continue;
                }
                const ErrorCode code = result.error().code;
                CHECK_MESSAGE((code == ErrorCode::self_test || code == ErrorCode::format), result.error().message);
                CHECK(result.error().message.find("damaged.gguf") != std::string::npos);
            }
        }
        CAPTURE(name);
        CHECK(tried > 80);
        CHECK_MESSAGE(missed == 0, missed_where);
    }
}

TEST_CASE("the self-test names what differs, and can be switched off") {
    Bytes bytes = read_bytes(model_path("tiny-next-event"));
    const GgufFile file = take(GgufFile::from_memory(bytes, "shop.gguf"));
    bytes[offset_of(file, bytes, "blk.0.ffn_down.weight") + 3] ^= std::byte{0x40};
    check_error(load(bytes), ErrorCode::self_test, "ranklet.selftest.vectors[");
    LoadOptions options;
    options.self_test = false;
    CHECK(load(bytes, options).ok());

    Bytes decoder = read_bytes(model_path("tiny-next-event"));
    const GgufFile decoder_file = take(GgufFile::from_memory(decoder, "shop.gguf"));
    decoder[offset_of(decoder_file, decoder, "ranklet.out.bias") + 3] ^= std::byte{0x40};
    check_error(load(decoder), ErrorCode::self_test, "ranklet.selftest.scores[");
}

TEST_CASE("a tensor full of NaN, infinity or zeros does not pass the self-test") {
    const Bytes bytes = read_bytes(model_path("tiny-dot-product"));
    const GgufFile file = take(GgufFile::from_memory(bytes, "shop.gguf"));
    for (const std::string name : {"token_embd.weight", "blk.0.attn_v.weight", "blk.0.layer_output_norm.weight",
                                   "ranklet.gru.1.weight_hh", "ranklet.user_proj.weight"})
        for (const float value : {quiet_nan, infinity, 0.0f}) {
            const ranklet::TensorView tensor = take(file.tensor(name));
            Bytes damaged = bytes;
            for (std::size_t i = 0; i < tensor.rows * tensor.cols; ++i)
                std::memcpy(damaged.data() + offset_of(file, bytes, name) + i * sizeof value, &value, sizeof value);
            check_error(load(damaged), ErrorCode::self_test, "ranklet.selftest");
        }
}

TEST_CASE("the checksum finds a flipped bit in every byte of the tensor data, padding included") {
    for (const std::string name : {"tiny-items", "tiny-dot-plain"}) {
        const Bytes bytes = read_bytes(model_path(name));
        const GgufFile file = take(GgufFile::from_memory(bytes, name));
        REQUIRE(file.verify_checksum().ok());
        std::size_t start = bytes.size();
        for (const ranklet::TensorView& tensor : file.tensors())
            start = std::min(start, static_cast<std::size_t>(tensor.data - bytes.data()));
        LoadOptions options;
        options.verify_checksum = true;
        std::size_t missed = 0;
        Bytes damaged = bytes;
        for (std::size_t at = start; at < bytes.size(); at += 5) {
            const auto flip = static_cast<std::byte>(1 << (at % 8));
            damaged[at] ^= flip;
            const auto result = load(damaged, options);
            missed += result.ok() || result.error().code != ErrorCode::format ||
                      result.error().message.find("checksum") == std::string::npos;
            damaged[at] ^= flip;
        }
        CHECK(missed == 0);
        CHECK(load(damaged, options).ok());
    }
}

TEST_CASE("a file without a self-test is refused, saying why; an encoder alone ranks by the history") {
    Bytes bytes = read_bytes(model_path("tiny-items"));
    const std::string key = "ranklet.selftest.tolerance";
    const auto at = std::search(bytes.begin(), bytes.end(), key.begin(), key.end(),
                                [](std::byte a, char b) { return a == static_cast<std::byte>(b); });
    REQUIRE(at != bytes.end());
    *(at + 8) = std::byte{'X'};
    check_error(load(bytes), ErrorCode::missing, "no self-test");
    CHECK(Recommender::load(model_path("tiny-minilm")).ok());
    check_error(Recommender::load("no/such/file.gguf"), ErrorCode::io, "no/such/file.gguf");
}

TEST_CASE("a file that says of itself what this program does not do is refused, whatever its self-test gives") {
    const Bytes bytes = read_bytes(model_path("tiny-next-event"));
    const auto place = [&](const std::string& key) {
        const auto at = std::search(bytes.begin(), bytes.end(), key.begin(), key.end(),
                                    [](std::byte a, char b) { return a == static_cast<std::byte>(b); });
        REQUIRE(at != bytes.end());
        return static_cast<std::size_t>(at - bytes.begin());
    };
    const auto with_value = [&](const std::string& key, auto value) {
        Bytes changed = bytes;
        std::memcpy(changed.data() + place(key) + key.size() + 4, &value, sizeof value);
        return changed;
    };
    check_error(load(with_value("ranklet.version", std::uint32_t{3})), ErrorCode::unsupported, "ranklet.version");
    check_error(load(with_value("bert.attention.causal", std::uint8_t{1})), ErrorCode::unsupported, "causal");
    for (const float tolerance : {1.0f, 1e9f, std::numeric_limits<float>::infinity(), -1.0f, std::nanf("")})
        check_error(load(with_value("ranklet.selftest.tolerance", tolerance)), ErrorCode::format, "tolerance");
    for (const float first : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
        const std::string key = "ranklet.selftest.scores";
        Bytes endless = bytes;  // a share of infinity would allow every difference
        std::memcpy(endless.data() + place(key) + key.size() + 4 + 4 + 8, &first, sizeof first);
        check_error(load(endless), ErrorCode::format, "ranklet.selftest.scores");
    }
    Bytes prompts = bytes;  // one of the three keys without the others
    const std::string texts = "ranklet.prompts.texts";
    std::memcpy(prompts.data() + place("bert.attention.causal"), texts.data(), texts.size());
    check_error(load(prompts), ErrorCode::missing, "ranklet.prompts.names");
}

TEST_CASE(
    "the self-test finds changed weights and scales of a GRU in 8 bits; a weight of -128 or a wrong scale is refused") {
    for (const std::string name : {"tiny-next-event-i8", "tiny-text-gru-i8", "tiny-items-i8"}) {
        CAPTURE(name);
        const Bytes bytes = read_bytes(model_path(name));
        const GgufFile file = take(GgufFile::from_memory(bytes, name));
        REQUIRE(load(bytes).ok());
        for (const std::string part : {"ranklet.gru.0.weight_ih", "ranklet.gru.0.weight_hh"}) {
            CAPTURE(part);
            const ranklet::TensorView tensor = take(file.tensor(part));
            REQUIRE(tensor.type == ranklet::TensorType::i8);
            const std::size_t at = offset_of(file, bytes, part), scales = offset_of(file, bytes, part + "_scale");
            Bytes changed = bytes;
            for (std::size_t i = 0; i < tensor.cols; ++i)  // the candidate's first row, turned round
                std::memset(&changed[at + tensor.rows / 3 * 2 * tensor.cols + i], 127 - static_cast<int>(i % 3) * 100,
                            1);
            check_error(load(changed), ErrorCode::self_test, "self-test failed");
            changed = bytes;
            changed[at] = std::byte{0x80};
            check_error(load(changed), ErrorCode::format, part);
            for (const float wrong : {-1.0f, quiet_nan, infinity}) {
                changed = bytes;
                std::memcpy(changed.data() + scales, &wrong, sizeof wrong);
                check_error(load(changed), ErrorCode::format, part);
            }
        }
    }
}

TEST_CASE("a model in 8 bits ranks much as the one it was made from") {
    for (const std::string name : {"tiny-next-event", "tiny-text-gru", "tiny-items"}) {
        CAPTURE(name);
        const Recommender exact = load_model(name), small = load_model(name + "-i8");
        const auto catalog = make_catalog(exact, 60), small_catalog = make_catalog(small, 60);
        const auto a = take(exact.scores(make_user(exact, catalog, 8), catalog));
        const auto b = take(small.scores(make_user(small, small_catalog, 8), small_catalog));
        double product = 0.0, aa = 0.0, bb = 0.0, mean_a = 0.0, mean_b = 0.0;
        for (std::size_t i = 0; i < a.size(); ++i)
            mean_a += static_cast<double>(a[i]) / 60.0, mean_b += static_cast<double>(b[i]) / 60.0;
        for (std::size_t i = 0; i < a.size(); ++i) {
            const double x = static_cast<double>(a[i]) - mean_a, y = static_cast<double>(b[i]) - mean_b;
            product += x * y, aa += x * x, bb += y * y;
        }
        CHECK(product / std::sqrt(aa * bb) > 0.99);
        CHECK_FALSE(same_bits(a, b));
    }
}
