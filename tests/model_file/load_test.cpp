// Every class of models is loaded by path, from an open file and from bytes in memory, and all three mean the same: the
// numbers, the version, the checksum where it is asked for, the self-test unless it is passed over.
#include "ranklet/model_file/load.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "counting_heap.hpp"
#include "io/gguf_builder.hpp"
#include "io/temporary_folder.hpp"
#include "ranklet/encoders/news_encoder.hpp"
#include "ranklet/encoders/word_vectors.hpp"
#include "ranklet/tasks/sequence_classifier.hpp"
#include "ranklet/tasks/token_classifier.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::ErrorCode;
using ranklet::GgufFile;
using ranklet::LoadOptions;
using ranklet::Result;
using Floats = std::vector<float>;

Floats numbers(const ranklet::Matrix& matrix) { return {flat(matrix).begin(), flat(matrix).end()}; }

// A class of models: a file of it, the key of its self-test's numbers (null: it compares none), and what it computes.

constexpr std::string_view text_list[] = {"a red phone", "", "the small boat, 手机"};
constexpr std::span<const std::string_view> texts(text_list);

struct OfBert {
    using Model = ranklet::Bert;
    static constexpr const char *file = "tiny-minilm", *self_test = "ranklet.selftest.vectors";
    static Floats answer(const Model& model) { return numbers(take(model.encode(texts))); }
};
struct OfWordVectors {
    using Model = ranklet::WordVectors;
    static constexpr const char *file = "tiny-words", *self_test = "ranklet.selftest.vectors";
    static Floats answer(const Model& model) { return numbers(take(model.encode(texts))); }
};
struct OfNewsEncoder {
    using Model = ranklet::NewsEncoder;
    static constexpr const char *file = "news-nrms", *self_test = "ranklet.selftest.vectors";
    static Floats answer(const Model& model) { return numbers(take(model.encode(texts))); }
};
struct OfItemTable {
    using Model = ranklet::ItemTable;
    static constexpr const char *file = "tiny-items", *self_test = nullptr;
    static Floats answer(const Model& model) { return numbers(model.vectors()); }
};
struct OfSequenceClassifier {
    using Model = ranklet::SequenceClassifier;
    static constexpr const char *file = "tiny-sequence", *self_test = "ranklet.selftest.logits";
    static Floats answer(const Model& model) { return numbers(take(model.classify(texts))); }
};
struct OfTokenClassifier {
    using Model = ranklet::TokenClassifier;
    static constexpr const char *file = "tiny-tokens", *self_test = "ranklet.selftest.logits";
    static Floats answer(const Model& model) { return numbers(take(model.logits(texts.back()))); }
};
template <int N>
struct OfRecommender {
    using Model = ranklet::Recommender;
    static constexpr const char* file = N == 0 ? "tiny-text-gru" : N == 1 ? "tiny-words-next" : "tiny-items";
    static constexpr const char* self_test = "ranklet.selftest.scores";
    static Floats answer(const Model& model) {
        const auto catalog = make_catalog(model, 12);
        return take(model.scores(make_user(model, catalog), catalog));
    }
};

/// The model of the bytes in the three ways; the bytes must outlive it.
template <class Model>
std::vector<Result<Model>> load_each_way(const Bytes& bytes, const TemporaryFolder& folder,
                                         const LoadOptions& options = {}) {
    const std::string path = folder.write("model.gguf", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    std::vector<Result<Model>> models;
    models.push_back(Model::load(path, options));
    {
        const auto file = GgufFile::open(path);
        if (file.ok())
            models.push_back(Model::from_file(*file, options));
        else
            models.emplace_back(file.error());
    }
    models.push_back(Model::from_memory(bytes, options, path));
    std::filesystem::remove(path);  // what is mapped stays
    return models;
}
template <class Kind>
void check_same_answers(const Bytes& bytes, const LoadOptions& options = {}) {
    const TemporaryFolder folder;
    auto models = load_each_way<typename Kind::Model>(bytes, folder, options);
    const Floats expected = Kind::answer(take(Kind::Model::load(model_path(Kind::file))));
    REQUIRE_FALSE(expected.empty());
    for (auto& model : models) CHECK(same_bits(Kind::answer(take(std::move(model))), expected));
}
/// Refused in all three ways with the same words.
template <class Kind>
void check_refused(const Bytes& bytes, ErrorCode code, std::string_view part, const LoadOptions& options = {}) {
    const TemporaryFolder folder;
    const auto models = load_each_way<typename Kind::Model>(bytes, folder, options);
    for (const auto& model : models) {
        check_error(model, code, part);
        if (!model.ok() && !models[0].ok()) CHECK(model.error().message == models[0].error().message);
        if (!model.ok()) CHECK(model.error().message.starts_with(folder.path() + "/model.gguf: "));
    }
}

/// Where the value of a key lies in the file's bytes.
std::byte* value_of(Bytes& bytes, std::string_view key) {
    const auto file = take(GgufFile::from_memory(bytes, "m"));
    for (const ranklet::GgufKey& each : file.keys())
        if (each.name == key) return bytes.data() + (each.data - bytes.data());
    FAIL("no key " << std::string(key));
    return nullptr;
}
template <class T>
void overwrite(std::byte* place, T value) {
    std::memcpy(place, &value, sizeof value);
}

}  // namespace

TYPE_TO_STRING(OfBert);
TYPE_TO_STRING(OfWordVectors);
TYPE_TO_STRING(OfNewsEncoder);
TYPE_TO_STRING(OfItemTable);
TYPE_TO_STRING(OfSequenceClassifier);
TYPE_TO_STRING(OfTokenClassifier);

#define EVERY_CLASS                                                                                               \
    OfBert, OfWordVectors, OfNewsEncoder, OfItemTable, OfSequenceClassifier, OfTokenClassifier, OfRecommender<0>, \
        OfRecommender<1>, OfRecommender<2>

TEST_CASE_TEMPLATE("load, from_file and from_memory give models that compute the same, bit for bit", Kind,
                   EVERY_CLASS) {
    const Bytes bytes = read_bytes(model_path(Kind::file));
    check_same_answers<Kind>(bytes);
    check_same_answers<Kind>(bytes, {.self_test = false});
    check_same_answers<Kind>(bytes, {.verify_checksum = true});
    // Bytes in memory may lie anywhere.
    Bytes shifted(bytes.size() + 1);
    std::copy(bytes.begin(), bytes.end(), shifted.begin() + 1);
    const auto model = take(Kind::Model::from_memory(std::span<const std::byte>(shifted).subspan(1)));
    CHECK(same_bits(Kind::answer(model), Kind::answer(take(Kind::Model::load(model_path(Kind::file))))));
}

TEST_CASE_TEMPLATE("a file of a version that this program does not know is refused in all three ways", Kind,
                   EVERY_CLASS) {
    Bytes bytes = read_bytes(model_path(Kind::file));
    overwrite(value_of(bytes, "ranklet.version"), std::uint32_t{3});
    check_refused<Kind>(bytes, ErrorCode::unsupported, "ranklet.version is 3, this program reads 1 and 2");
    check_refused<Kind>(bytes, ErrorCode::unsupported, "ranklet.version is 3", {.self_test = false});
}

TEST_CASE_TEMPLATE("a damaged byte is found where the checksum is asked for, and only there", Kind, EVERY_CLASS) {
    Bytes bytes = read_bytes(model_path(Kind::file));
    bytes.back() ^= std::byte{1};
    check_refused<Kind>(bytes, ErrorCode::format, "the file is damaged: the tensor data's checksum is ",
                        {.verify_checksum = true});
    check_refused<Kind>(bytes, ErrorCode::format, "the file is damaged: the tensor data's checksum is ",
                        {.self_test = false, .verify_checksum = true});
    const TemporaryFolder folder;
    for (const auto& model : load_each_way<typename Kind::Model>(bytes, folder, {.self_test = false}))
        CHECK(model.ok());
}

TEST_CASE_TEMPLATE("a file whose self-test gives other numbers is refused in all three ways, or passed over", Kind,
                   EVERY_CLASS) {
    if constexpr (Kind::self_test != nullptr) {
        Bytes bytes = read_bytes(model_path(Kind::file));
        overwrite(value_of(bytes, Kind::self_test), 7.5f);
        check_refused<Kind>(bytes, ErrorCode::self_test,
                            std::string("self-test failed: ") + Kind::self_test + "[0] should be 7.500000, is ");
        check_same_answers<Kind>(bytes, {.self_test = false});
    }
}

TEST_CASE_TEMPLATE("truncated bytes, no bytes and no file are errors that name the file", Kind, EVERY_CLASS) {
    const Bytes bytes = read_bytes(model_path(Kind::file));
    check_refused<Kind>(Bytes(bytes.begin(), bytes.begin() + 100), ErrorCode::format, ", but only 76 bytes follow");
    check_error(Kind::Model::load("no/such/file"), ErrorCode::io, "no/such/file");
    const auto none = Kind::Model::from_memory({});
    check_error(none, ErrorCode::format, "bytes in memory: the file is empty");
}

TEST_CASE("a class refuses a file of another class, naming it") {
    const auto refused = [](const auto& model) { check_error(model, ErrorCode::unsupported, "ranklet.encoder.type"); };
    refused(ranklet::Bert::load(model_path("tiny-words")));
    refused(ranklet::WordVectors::load(model_path("tiny-minilm")));
    refused(ranklet::NewsEncoder::load(model_path("tiny-words")));
    refused(ranklet::ItemTable::load(model_path("news-nrms")));
    refused(ranklet::TokenClassifier::load(model_path("tiny-items")));
}

TEST_CASE("word vectors of bytes in memory are read where they lie: nothing as large is asked of the heap") {
    constexpr std::size_t words = 3000, dim = 64;
    std::vector<std::string> tokens;
    std::vector<float> table;
    Random random(6);
    for (std::size_t w = 0; w < words; ++w) tokens.push_back("w" + std::to_string(w));
    for (std::size_t i = 0; i < words * dim; ++i) table.push_back(random.between(-1.0f, 1.0f));
    Bytes bytes = GgufBuilder()
                      .key("ranklet.encoder.type", "word_vectors")
                      .key("ranklet.words.tokenizer", "words")
                      .key("ranklet.words.unknown", "skip")
                      .key("ranklet.words.pooling", "sum")
                      .key("ranklet.words.normalize", false)
                      .key("ranklet.words.lowercase", true)
                      .array("ranklet.words.tokens", tokens)
                      .tensor("ranklet.words.weight", {words, dim}, table)
                      .build();
    largest_heap_request = 0;
    const auto model = ranklet::WordVectors::from_memory(bytes, {.self_test = false});
    const std::size_t largest = largest_heap_request;
    REQUIRE(model.ok());
    CHECK(largest > 0);
    CHECK(largest < table.size() * sizeof(float) / 2);
    const ranklet::WordVectors copy = *model;
    CHECK(take(copy.encode("w1234"))[0] == table[1234 * dim]);
    // Whoever changes the bytes changes the vectors.
    const auto place = take(take(GgufFile::from_memory(bytes, "m")).tensor("ranklet.words.weight")).data - bytes.data();
    overwrite(bytes.data() + place + 1234 * dim * sizeof(float), 0.25f);
    CHECK(take(copy.encode("w1234"))[0] == 0.25f);
}

TEST_CASE("a transformer's embeddings are read where they lie in the bytes, its matrices are packed copies") {
    Bytes bytes = read_bytes(model_path("tiny-minilm"));
    const auto model = take(ranklet::Bert::from_memory(bytes));
    const Floats before = take(model.encode("phone"));
    const auto file = take(GgufFile::from_memory(bytes, "m"));
    const auto clear = [&](const std::string& name) {
        const auto tensor = take(file.tensor(name));
        std::fill_n(bytes.begin() + (tensor.data - bytes.data()), tensor.bytes, std::byte{0});
    };
    for (const ranklet::TensorView& tensor : file.tensors())
        if (tensor.name.starts_with("blk.") && tensor.rows > 1) clear(std::string(tensor.name));
    CHECK(same_bits(take(model.encode("phone")), before));
    clear("token_embd.weight");
    CHECK_FALSE(same_bits(take(model.encode("phone")), before));
}
