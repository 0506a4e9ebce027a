// What outsiders may hand over: model files with lists that multiply work, saved states that no events lead to, ids made
// to collide, options whose sums overflow, files that processes left behind. Each has its limit and its Error.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "faults/changed_file.hpp"
#include "io/temporary_folder.hpp"
#include "ranklet/catalog/file.hpp"
#include "ranklet/core/keyed_hash.hpp"
#include "ranklet/ranklet.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet;
using ranklet_test::check_error;
using ranklet_test::succeed;
using ranklet_test::take;

constexpr ErrorCode invalid = ErrorCode::invalid_argument;

// A model file with other values in some places.
struct Changes {
    std::map<std::string, std::vector<std::string>, std::less<>> strings = {};
    std::map<std::string, std::vector<std::int32_t>, std::less<>> numbers = {};
    std::map<std::string, std::uint32_t, std::less<>> counts = {};
    std::map<std::string, float, std::less<>> tensors = {};  // every element of an f32 tensor
};
ranklet_test::Bytes changed(const std::string& name, const Changes& changes) {
    ranklet_test::ChangedFile file(ranklet_test::model_path(name));
    for (const auto& [key, value] : changes.strings) file.set(key, value);
    for (const auto& [key, value] : changes.numbers) file.set(key, value);
    for (const auto& [key, value] : changes.counts) file.set(key, value);
    for (const auto& [tensor, value] : changes.tensors) {
        auto& part = file.at(tensor);
        REQUIRE(part.type == static_cast<std::uint32_t>(TensorType::f32));
        part.bytes = ranklet_test::bytes_of(std::vector<float>(part.bytes.size() / sizeof(float), value));
    }
    return file.build();
}
LoadOptions untested() {
    LoadOptions options;
    options.self_test = false;
    return options;
}

std::size_t files_in(const std::string& folder) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) count += entry.exists() ? 1u : 0u;
    return count;
}

}  // namespace

TEST_CASE("a file that says the same again is read as before") {
    const auto bytes = changed("tiny-dense", {});
    CHECK(Bert::from_memory(bytes).ok());
}

TEST_CASE("a list of modules or poolings is paid for by the file: nothing stands twice, and there are at most 32") {
    const auto refused = [](const char* key, std::vector<std::string> values, std::string_view part) {
        const auto bytes = changed("tiny-dense", {.strings = {{key, std::move(values)}}});
        check_error(Bert::from_memory(bytes, untested()), ErrorCode::format, part);
    };
    refused("ranklet.encoder.modules", {"pooling", "dense.0", "dense.0"}, "\"dense.0\" twice");
    refused("ranklet.encoder.modules", std::vector<std::string>(2500, "pooling"), "has 2500 entries");
    std::vector<std::string> normalized(33, "normalize");
    normalized.front() = "pooling";
    refused("ranklet.encoder.modules", normalized, "expected at most 32");
    refused("ranklet.encoder.pooling", std::vector<std::string>(100'000, "mean"), "\"mean\" twice");
}

TEST_CASE("modules that do not fit each other, or lack what they are made of, are named") {
    const std::vector<std::string> right{"residual_dense.0", "normalize",        "pooling_without_prompt",
                                         "layer_norm.0",     "residual_dense.1", "dense.0",
                                         "normalize",        "truncate"};
    const auto read = [](std::vector<std::string> modules) {
        return Bert::from_memory(
            changed("tiny-modules", {.strings = {{"ranklet.encoder.modules", std::move(modules)}}}), untested());
    };
    REQUIRE(read(right).ok());
    const auto without = [&](std::size_t module) {
        auto modules = right;
        modules.erase(modules.begin() + static_cast<std::ptrdiff_t>(module));
        return read(std::move(modules));
    };
    const auto instead = [&](std::size_t module, const char* name) {
        auto modules = right;
        modules[module] = name;
        return read(std::move(modules));
    };
    check_error(without(2), ErrorCode::format, "must have \"pooling\" or \"pooling_without_prompt\"");
    check_error(without(0), ErrorCode::format, "ranklet.layer_norm.0.weight");  // of 48 numbers, now of 40
    check_error(instead(1, "pooling"), ErrorCode::format, "ranklet.encoder.modules has two poolings");
    check_error(instead(5, "dense.7"), ErrorCode::missing, "ranklet.encoder.dense.7.activation");
    check_error(instead(3, "layer_norm.1"), ErrorCode::missing, "ranklet.encoder.layer_norm.1.epsilon");
    check_error(instead(4, "residual_dense.0"), ErrorCode::format,
                "ranklet.encoder.modules has \"residual_dense.0\" twice");
    check_error(instead(3, "dropout"), ErrorCode::unsupported, "unknown module \"dropout\"");
    for (const std::uint32_t size : {0u, 16u}) {
        const auto bytes = changed("tiny-modules", {.counts = {{"ranklet.encoder.truncate.size", size}}});
        check_error(Bert::from_memory(bytes, untested()), ErrorCode::format, "is not 1 to 15");
    }
}

TEST_CASE("a self-test has at most 1000 texts, pairs and events") {
    const auto bert = changed("tiny-minilm", {.strings = {{"ranklet.selftest.texts", std::vector<std::string>(1001)}}});
    check_error(Bert::from_memory(bert), ErrorCode::format, "has 1001 entries, expected at most 1000");
    const auto history =
        changed("tiny-dot-product", {.numbers = {{"ranklet.selftest.history", std::vector<std::int32_t>(1001)}}});
    check_error(Recommender::from_memory(history), ErrorCode::format, "has 1001 events, expected at most 1000");
    const auto pairs =
        changed("tiny-cross-encoder", {.numbers = {{"ranklet.selftest.pairs", std::vector<std::int32_t>(2002)}}});
    check_error(SequenceClassifier::from_memory(pairs), ErrorCode::format, "has 1001 pairs, expected at most 1000");
    const auto news =
        changed("news-nrms", {.strings = {{"ranklet.selftest.view.title", std::vector<std::string>(1001)}}});
    check_error(NewsEncoder::from_memory(news), ErrorCode::format, "is of 1001 items, expected at most 1000");
}

TEST_CASE("an array of rows without columns is refused") {
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2000000000000, 0), }";
    header.resize(117, ' ');
    header += '\n';
    std::string file("\x93NUMPY\x01\x00", 8);
    file += static_cast<char>(header.size());
    file += '\0';
    file += header;
    check_error(detail::parse_npy(std::as_bytes(std::span(file)), "rows.npy"), ErrorCode::format, "without columns");
    header.replace(header.find("2000000000000"), 13, "0            ");
    file.replace(10, header.size(), header);
    CHECK(detail::parse_npy(std::as_bytes(std::span(file)), "none.npy").ok());
}

TEST_CASE("phrases of any length that a number can say lie inside the text") {
    constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
    const std::string text = "手机红色帐篷 wireless phone";
    for (const std::size_t least : {std::size_t{1}, std::size_t{5}, most - 1, most}) {
        CAPTURE(least);
        const auto phrases = take(candidate_phrases(
            text, {.max_words = most, .min_characters = least, .max_characters = most, .max_candidates = most}));
        std::size_t chinese = 0;
        for (const Phrase& phrase : phrases) {
            REQUIRE(phrase.bytes.begin < phrase.bytes.end);
            REQUIRE(phrase.bytes.end <= text.size());
            CHECK(phrase.text == text.substr(phrase.bytes.begin, phrase.bytes.end - phrase.bytes.begin));
            chinese += phrase.bytes.begin < 18 ? 1 : 0;
        }
        CHECK(chinese == (least == 1 ? 21 : least == 5 ? 3 : 0));
    }
}

TEST_CASE("ids and values are hashed under a key: SipHash-1-3") {
    const detail::HashKey key{0x0706050403020100u, 0x0F0E0D0C0B0A0908u};
    const std::string bytes("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E", 15);
    const auto hash = [&](std::size_t n) { return detail::siphash(std::string_view(bytes).substr(0, n), key); };
    // A transcription of the paper into Python, which gives the paper's value for SipHash-2-4.
    CHECK(hash(0) == 0xABAC0158050FC4DCu);
    CHECK(hash(1) == 0xC9F49BF37D57CA93u);
    CHECK(hash(7) == 0xD3927D989BB11140u);
    CHECK(hash(8) == 0x369095118D299A8Eu);
    CHECK(hash(15) == 0xD320D86D2A519956u);
    CHECK(detail::siphash(bytes, {1, 2}) != hash(15));
    CHECK(&detail::process_hash_key() == &detail::process_hash_key());
    CHECK((detail::process_hash_key().first | detail::process_hash_key().second) != 0);
}

TEST_CASE("a state that no events lead to is refused, and the library's own is not") {
    for (const std::string name : {"tiny-text-gru", "tiny-next-event", "tiny-dot-product", "news-lstur-ini",
                                   "news-lstur-con", "news-narm-kim", "news-nrms"}) {
        CAPTURE(name);
        const Recommender model = ranklet_test::load_model(name);
        const Catalog catalog = ranklet_test::make_catalog(model);
        auto user = ranklet_test::make_user(model, catalog, 30);
        CHECK(model.load_user(user.save()).ok());
        const auto with = [&](const auto& change) {
            UserState state = user.state();
            change(state);
            return model.load_user(state.save());
        };
        if (!user.state().hidden.empty()) {
            for (const float x : {3e38f, -1.5e3f, 1e9f})
                check_error(with([&](UserState& state) { state.hidden.back() = x; }), ErrorCode::format, "user state");
        }
        check_error(
            with([&](UserState& state) { state.events.back().rating = std::numeric_limits<float>::infinity(); }),
            ErrorCode::format, "infinite rating");
        if (name == std::string("news-narm-kim"))  // remembers the GRU's states
            check_error(with([&](UserState& state) { state.memory.front() = 2.0f; }), ErrorCode::format, "no events");
    }
    // LSTUR's users begin from embeddings, which may be beyond 1, or keep them beside the state.
    for (const std::string name : {"news-lstur-ini", "news-lstur-con"}) {
        const GgufFile file = take(GgufFile::open(ranklet_test::model_path(name)));
        const std::string id(take(file.strings("ranklet.user.ids")).front());
        const auto bytes = changed(name, {.tensors = {{"ranklet.user.embd.weight", 2.5f}}});
        const Recommender model = take(Recommender::from_memory(bytes, untested()));
        const Catalog catalog = ranklet_test::make_catalog(model);
        auto user = model.new_user(id);
        CHECK(user.state().hidden.back() == 2.5f);
        CHECK(model.load_user(user.save()).ok());
        ranklet_test::observe_some(user, catalog, 5, 1);
        CHECK(model.load_user(user.save()).ok());
        UserState state = user.state();
        state.user = "nobody it knows";
        if (name == std::string("news-lstur-con"))
            check_error(model.load_user(state), ErrorCode::format, "is not that of");
    }
}

TEST_CASE("numbers that are not finite are an Error of the call that meets them, and the user stays as before") {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    {
        const auto bytes = changed("tiny-dot-product", {.tensors = {{"ranklet.gru.0.weight_ih", nan}}});
        const Recommender model = take(Recommender::from_memory(bytes, untested()));
        const Catalog catalog = ranklet_test::make_catalog(model);
        auto user = model.new_user();
        const auto before = user.save();
        check_error(user.observe(catalog[0]), invalid, "not finite");
        check_error(user.observe_text("red phone", 1e30f), invalid, "not finite");
        CHECK(user.save() == before);
        CHECK(model.load_user(user.save()).ok());
    }
    {
        const auto bytes = changed("tiny-items", {.tensors = {{"ranklet.item_out.weight", nan}}});
        const Recommender model = take(Recommender::from_memory(bytes, untested()));
        const Catalog items = take(model.items());
        check_error(model.recommend(model.new_user(), items), invalid, "no candidate has a score");
        RecommendOptions none;
        none.allow.emplace();
        CHECK(take(model.recommend(model.new_user(), items, none)).empty());
        CHECK(take(model.recommend(model.new_user(), items, {.k = 0})).empty());
    }
    {
        const auto bytes = changed("news-lstur-con", {.tensors = {{"ranklet.user_proj.weight", nan}}});
        const Recommender model = take(Recommender::from_memory(bytes, untested()));
        const Catalog catalog = ranklet_test::make_catalog(model);
        auto user = model.new_user();
        user.observe(catalog[0]).value();
        check_error(model.recommend(user, catalog), invalid, "the user's numbers are not finite");
        check_error(model.scores(user, catalog), invalid);
        check_error(model.user_vector(user), invalid);
    }
}

TEST_CASE("a score that is infinite is an Error that names its item, and one that is filtered out is none") {
    const Recommender model = ranklet_test::load_model("tiny-minilm");
    CatalogData data;
    data.ids = {"a", "b", "c"};
    data.vectors = take(Matrix::zeroed(3, model.encoder().dim()));
    std::fill(data.vectors.row(0).begin(), data.vectors.row(0).end(), 1.0f);
    std::fill(data.vectors.row(1).begin(), data.vectors.row(1).end(), 1e36f);
    std::fill(data.vectors.row(2).begin(), data.vectors.row(2).end(), 2.0f);
    const Catalog catalog = take(model.make_catalog(std::move(data)));
    auto user = model.new_user();
    succeed(user.observe(catalog[1]));
    CHECK(std::isinf(take(model.scores(user, catalog))[1]));
    check_error(model.recommend(user, catalog), invalid, "the score of item \"b\" is infinite");
    check_error(model.recommend(user, catalog, {.k = 1}), invalid, "the score of item \"b\" is infinite");
    CHECK(take(model.recommend(user, catalog, {.k = 0})).empty());
    const auto others = take(model.recommend(user, catalog, {.k = 3, .exclude_seen = true}));
    CHECK(others.size() == 2);
    for (const Recommendation& each : others) CHECK(std::isfinite(each.probability));
}

TEST_CASE("an explanation's cost has a limit: the first so many words of a text, and how many there are") {
    const Recommender model = ranklet_test::load_model("tiny-words-dot");
    std::string text;
    for (int i = 0; i < 300; ++i) text += "red phone book ";
    const Item items[]{{"long", text}, {"short", "red phone"}};
    const Catalog catalog = take(model.encode_catalog(items));
    auto user = model.new_user();
    user.observe(catalog[1]).value();
    const auto explained = [&](std::size_t most) {
        ExplainOptions options;
        options.text = text;
        options.most_words = most;
        return take(explain(model, user, catalog, "long", options));
    };
    const Explanation few = explained(2), all = explained(10'000), usual = [&] {
        ExplainOptions options;
        options.text = text;
        return take(explain(model, user, catalog, "long", options));
    }();
    REQUIRE(all.words == all.text.size());
    CHECK(all.words > 512);
    CHECK(few.words == all.words);
    CHECK(few.text.size() == 2);
    CHECK(usual.text.size() == 512);
    for (std::size_t w = 0; w < few.text.size(); ++w) {
        CHECK(few.text[w].text == all.text[w].text);
        CHECK(few.text[w].contribution == all.text[w].contribution);
    }
    CHECK(explained(0).text.empty());
}

TEST_CASE("files that ended processes left behind are removed by the next that writes there, and no others") {
    const ranklet_test::TemporaryFolder folder;
    const Catalog catalog = ranklet_test::make_catalog(ranklet_test::load_model("tiny-dot-product"), 2);
    const std::string path = folder.path() + "/catalog.gguf";
    for (int i = 0; i < 150; ++i) {
        std::string number = "0000000000000000" + std::to_string(i);
        folder.write("catalog.gguf.tmp-" + number.substr(number.size() - 16), "half a file");
    }
    const std::string held = folder.write("catalog.gguf.tmp-00000000000000ff", "another is writing this");
    folder.write("catalog.gguf.tmp-00000000000000f", "of another program");
    folder.write("catalog.gguf.tmp-00000000000000fg", "of another program");
    folder.write("other.gguf.tmp-00000000000000ff", "of another path");
    const int writer = ::open(held.c_str(), O_WRONLY | O_CLOEXEC);
    REQUIRE(writer >= 0);
    REQUIRE(::flock(writer, LOCK_EX) == 0);
    succeed(save_catalog(catalog, path));
    CHECK(files_in(folder.path()) == 5);
    CHECK(std::filesystem::exists(held));
    ::close(writer);
    succeed(save_catalog(catalog, path));
    CHECK(files_in(folder.path()) == 4);
    CHECK_FALSE(std::filesystem::exists(held));

    // An unfinished one goes with its object.
    {
        auto file = take(detail::AtomicFile::create(path));
        CHECK(files_in(folder.path()) == 5);
    }
    CHECK(files_in(folder.path()) == 4);
}

TEST_CASE("many that write to one path at once all succeed, and leave one whole file") {
    const ranklet_test::TemporaryFolder folder;
    const Recommender model = ranklet_test::load_model("tiny-dot-product");
    const Catalog catalog = ranklet_test::make_catalog(model, 2);
    const std::string path = folder.path() + "/catalog.gguf";
    std::atomic<int> failed{0};
    std::vector<std::thread> writers;
    for (int w = 0; w < 4; ++w)
        writers.emplace_back([&] {
            for (int i = 0; i < 6; ++i)
                if (!save_catalog(catalog, path).ok()) ++failed;
        });
    for (std::thread& writer : writers) writer.join();
    CHECK(failed == 0);
    CHECK(files_in(folder.path()) == 1);
    CHECK(take(load_catalog(path, model.fingerprint())).size() == 2);
}
