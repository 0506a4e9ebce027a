// Hostile and damaged model files through the whole loader: an Error that names the file, never a crash.
// The reader's own tests (tests/io) cover the container; these go through encoder, decoder and tokenizer.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "heap_counters.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::ErrorCode;
using ranklet::GgufFile;
using ranklet::LoadOptions;
using ranklet::Recommender;
using Bytes = std::vector<std::byte>;

ranklet::Result<Recommender> load(std::span<const std::byte> bytes, const LoadOptions& options = {}) {
    const auto file = GgufFile::from_memory(bytes, "bad.gguf");
    if (!file.ok()) return file.error();
    return Recommender::from_file(*file, options);
}

/// Loads and, when that works, uses the model: whatever was accepted must not crash later.
bool accepted(std::span<const std::byte> bytes) {
    LoadOptions options;
    options.self_test = false;
    const auto model = load(bytes, options);
    if (!model.ok()) {
        CHECK_FALSE(model.error().message.empty());
        return false;
    }
    const Items items(6);
    const auto catalog = model->encodes_text() ? model->encode_catalog(items.items) : model->items();
    if (!catalog.ok() || catalog->empty()) return true;
    auto user = model->new_user();
    (void)user.observe((*catalog)[0], 3.0f).ok();
    const auto ranking = model->recommend(user, *catalog);
    CHECK((!ranking.ok() || ranking->size() <= 10));
    return true;
}

std::size_t find(const Bytes& bytes, std::string_view text, std::size_t from = 0) {
    const auto at = std::search(bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.end(), text.begin(),
                                text.end(), [](std::byte a, char b) { return a == static_cast<std::byte>(b); });
    REQUIRE_MESSAGE(at != bytes.end(), text);
    return static_cast<std::size_t>(at - bytes.begin());
}

/// Where the value of a scalar key begins: after the name and the value's type.
std::size_t value_of(const Bytes& bytes, const std::string& key) {
    std::string name(8, '\0');
    name[0] = static_cast<char>(key.size());
    return find(bytes, name + key) + name.size() + key.size() + 4;
}

Bytes with_u32(Bytes bytes, const std::string& key, std::uint32_t value) {
    std::memcpy(bytes.data() + value_of(bytes, key), &value, sizeof value);
    return bytes;
}
Bytes with_f32(const Bytes& bytes, const std::string& key, float value) {
    return with_u32(bytes, key, std::bit_cast<std::uint32_t>(value));
}
/// A text of the same length in place of the first `from`.
Bytes with_text(Bytes bytes, std::string_view from, std::string_view to) {
    REQUIRE(from.size() == to.size());
    std::memcpy(bytes.data() + find(bytes, from), to.data(), to.size());
    return bytes;
}

}  // namespace

TEST_CASE("every truncation of a whole model is an error, and does not crash") {
    for (const std::string name : {"tiny-items", "tiny-next-event"}) {
        const Bytes bytes = read_bytes(model_path(name));
        const GgufFile file = take(GgufFile::from_memory(bytes, name));
        std::size_t end = 0;  // what follows the last tensor is padding, which readers do without
        for (const auto& tensor : file.tensors())
            end = std::max(end, static_cast<std::size_t>(tensor.data - bytes.data()) + tensor.bytes);
        REQUIRE(bytes.size() - end < 32);
        std::size_t accepted_count = load(std::span(bytes).first(end - 1)).ok();
        for (std::size_t n = 0; n < end; n += n < 9000 ? 1 : 61) accepted_count += load(std::span(bytes).first(n)).ok();
        CHECK(accepted_count == 0);
    }
}

TEST_CASE("random changes of a model's keys and tensors are errors, or a model that works") {
    for (const std::string name : model_names) {
        const Bytes bytes = read_bytes(model_path(name));
        const GgufFile file = take(GgufFile::from_memory(bytes, name));
        std::size_t header = bytes.size();
        for (const auto& tensor : file.tensors())
            header = std::min(header, static_cast<std::size_t>(tensor.data - bytes.data()));
        Random random(3);
        std::size_t accepted_count = 0;
        const std::size_t trials = 400;
        for (std::size_t trial = 0; trial < trials; ++trial) {
            Bytes damaged = bytes;
            for (std::size_t change = 0; change < 1 + trial % 3; ++change)
                damaged[random.below(header)] = static_cast<std::byte>(random.below(256));
            accepted_count += accepted(damaged);
        }
        CHECK(accepted_count < trials);  // most changes hit a length, a name or a size
    }
}

TEST_CASE("sizes that contradict the tensors are errors that name the place, before memory is asked for") {
    const Bytes bert = read_bytes(model_path("tiny-next-event"));
    largest_heap_request = 0;
    const auto refused = [](const Bytes& bytes, std::string_view part) {
        const auto model = load(bytes);
        CHECK_FALSE(model.ok());
        if (model.ok()) return;
        CHECK_MESSAGE(model.error().message.find("bad.gguf") != std::string::npos, model.error().message);
        CHECK_MESSAGE(model.error().message.find(part) != std::string::npos,
                      model.error().message << " should have: " << part);
    };
    for (const std::uint32_t wrong : {0u, 1u, 23u, 25u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
        refused(with_u32(bert, "bert.embedding_length", wrong), "emb");
        refused(with_u32(bert, "bert.feed_forward_length", wrong), "ffn_");
        refused(with_u32(bert, "bert.context_length", wrong), "position_embd");
        refused(with_u32(bert, "ranklet.gru.hidden_size", wrong), "ranklet.gru.0");
        refused(with_u32(bert, "ranklet.gru.input_size", wrong), "ranklet.gru.0");
    }
    for (const std::uint32_t wrong : {0u, 5u, 25u, 0xFFFFFFFFu})
        refused(with_u32(bert, "bert.attention.head_count", wrong), "bert.attention.head_count");
    for (const std::uint32_t wrong : {2u, 3u, 0xFFFFFFFFu}) {
        refused(with_u32(bert, "bert.block_count", wrong), "blk.1");
        refused(with_u32(bert, "ranklet.gru.layer_count", wrong), "ranklet.gru.1");
    }
    refused(with_u32(bert, "bert.block_count", 0), "self-test");
    for (const std::uint32_t wrong : {0u, 1u, 41u, 0xFFFFFFFFu})
        refused(with_u32(bert, "ranklet.encoder.max_length", wrong), "ranklet.encoder.max_length");
    for (const std::uint32_t wrong : {40u, 0xFFFFFFFFu})
        refused(with_u32(bert, "ranklet.encoder.position_offset", wrong), "position_offset");
    refused(with_u32(bert, "ranklet.encoder.position_offset", 1), "ranklet.encoder.max_length");
    for (const std::string key : {"unknown", "cls", "seperator", "padding", "mask"})
        for (const std::uint32_t wrong : {146u, 0xFFFFFFFFu})
            refused(with_u32(bert, "tokenizer.ggml." + key + "_token_id", wrong), key);
    for (const float wrong : {-1.0f, quiet_nan})
        refused(with_f32(bert, "bert.attention.layer_norm_epsilon", wrong), "epsilon");
    CHECK(largest_heap_request > 0);
    CHECK(largest_heap_request < 16 * bert.size());  // the file's own numbers, never what it claims
}

TEST_CASE("kinds and functions that are unknown are errors that name them") {
    const Bytes bytes = read_bytes(model_path("tiny-next-event"));
    check_error(load(with_text(bytes, "embedding", "embodding")), ErrorCode::missing, "bert.embedding_length");
    const auto wrong_value = [&](const std::string& key, const std::string& from, const std::string& to,
                                 const std::string& part) {
        Bytes changed = bytes;
        const std::size_t at = find(changed, from, value_of(changed, key));
        std::memcpy(changed.data() + at, to.data(), to.size());
        check_error(load(changed), ErrorCode::unsupported, part);
        check_error(load(changed), ErrorCode::unsupported, "bad.gguf");
    };
    wrong_value("ranklet.recommender.scoring", "next_event", "next_avent", "next_avent");
    wrong_value("ranklet.encoder.activation", "gelu", "gulp", "gulp");
    wrong_value("ranklet.encoder.type", "bert", "bart", "bart");
    wrong_value("tokenizer.ggml.model", "bert", "gpt2", "gpt2");
    wrong_value("ranklet.encoder.pooling", "mean", "mode", "mode");
    wrong_value("ranklet.rating.mode", "embedding", "embodding", "embodding");
    wrong_value("general.architecture", "bert", "gpt2", "general.architecture is \"gpt2\"");
    check_error(ranklet::Bert::load(model_path("tiny-items")), ErrorCode::unsupported, "no text encoder");
}

TEST_CASE("a scale of an 8-bit row that is negative or not finite is refused without a self-test too") {
    Bytes bytes = read_bytes(model_path("tiny-minilm-i8"));
    const GgufFile file = take(GgufFile::from_memory(bytes, "bad.gguf"));
    const auto scales = take(file.tensor("blk.0.ffn_up.weight_scale"));
    for (const float wrong : {-1.0f, quiet_nan, infinity}) {
        std::memcpy(bytes.data() + (scales.data - bytes.data()) + 4, &wrong, sizeof wrong);
        check_error(ranklet::Bert::from_file(take(GgufFile::from_memory(bytes, "bad.gguf"))), ErrorCode::format,
                    "bad.gguf: blk.0.ffn_up.weight_scale[1]");
    }
}

TEST_CASE("a missing tensor is an error naming it, for each tensor that must be there") {
    for (const std::string name : model_names) {
        const Bytes bytes = read_bytes(model_path(name));
        const GgufFile file = take(GgufFile::from_memory(bytes, name));
        for (const auto& tensor : file.tensors()) {
            const std::string tensor_name(tensor.name);
            Bytes changed = bytes;
            changed[find(bytes, tensor_name)] = std::byte{'X'};
            const auto model = load(changed);
            // Missing, or optional and missed by the self-test; a key's bias alone has no influence on any result.
            CHECK_MESSAGE(model.ok() == (tensor_name.find("attn_k.bias") != std::string::npos), tensor_name);
            if (model.ok()) continue;
            const std::string what = tensor_name + ": " + model.error().message;
            const bool optional = tensor_name == "token_types.weight" || tensor_name.find("ranklet.gru.") == 0 ||
                                  tensor_name == "ranklet.out.bias" || tensor_name == "ranklet.item_out.weight" ||
                                  tensor_name == "ranklet.item_bias" ||
                                  tensor_name.find("user_proj") != std::string::npos ||
                                  tensor_name.find(".bias") != std::string::npos;
            if (!optional) CHECK_MESSAGE(model.error().message.find(tensor_name) != std::string::npos, what);
        }
    }
}

TEST_CASE("a self-test that contradicts itself is an error, not a read out of bounds") {
    const Bytes bytes = read_bytes(model_path("tiny-next-event"));
    const auto element = [&](const std::string& key, std::size_t index, std::uint32_t value) {
        Bytes changed = bytes;  // an array's elements begin after their type and their count
        std::memcpy(changed.data() + value_of(changed, key) + 12 + index * 4, &value, sizeof value);
        return changed;
    };
    for (const std::uint32_t wrong : {6u, 0x7FFFFFFFu, 0xFFFFFFFFu})
        check_error(load(element("ranklet.selftest.history", 2, wrong)), ErrorCode::format, "history names item");
    for (const std::uint32_t wrong : {0xFFFFFFFFu, 0x7FFFFFFFu, 147u})
        for (const std::size_t index : {0u, 1u, 6u})
            if (index != 6 || wrong != 147u)
                CHECK_FALSE(load(element("ranklet.selftest.token_offsets", index, wrong)).ok());
    check_error(load(element("ranklet.selftest.token_ids", 1, 5)), ErrorCode::self_test, "text 0");
    check_error(load(element("ranklet.selftest.ratings", 0, std::bit_cast<std::uint32_t>(infinity))),
                ErrorCode::self_test, "bad.gguf: self-test failed: ranklet.selftest.history[0]");
    for (const float tolerance : {quiet_nan, -1.0f})
        CHECK_FALSE(load(with_f32(bytes, "ranklet.selftest.tolerance", tolerance)).ok());
    check_error(load(element("ranklet.rating.values", 1, std::bit_cast<std::uint32_t>(0.5f))), ErrorCode::format,
                "ascend");
}

TEST_CASE("a news model that says much and holds little asks for little memory") {
    Bytes naml = read_bytes("tests/parity/goldens/news-naml.gguf");
    // Words that a text may have: scratch is for those that it has.
    const std::uint32_t words = 4096, elements = 1'000'000;
    std::memcpy(naml.data() + value_of(naml, "ranklet.news.body.max_length"), &words, sizeof words);
    LoadOptions options;
    options.self_test = false;
    const Recommender model = take(load(naml, options));
    largest_heap_request = 0;
    CHECK(model.encode("storm hits").ok());
    CHECK(largest_heap_request > 0);
    CHECK(largest_heap_request < naml.size());
    // Elements of a vector that no tensor has.
    Bytes modalities = read_bytes("tests/parity/goldens/news-modalities.gguf");
    std::memcpy(modalities.data() + value_of(modalities, "ranklet.news.image.size"), &elements, sizeof elements);
    largest_heap_request = 0;
    check_error(load(modalities, options), ErrorCode::format, "ranklet.news.image");
    CHECK(largest_heap_request < 2 * modalities.size());
}
