// NewsEncoder and UserTower: hostile files, damaged files, and the self-test that finds what is wrong in a news model.
#include "ranklet/encoders/news_encoder.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/tasks/keywords.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::ErrorCode;
using ranklet::GgufFile;
using ranklet::Recommender;
using Bytes = std::vector<std::byte>;

static_assert(ranklet::TextEncoder<ranklet::NewsEncoder>);

Bytes model_bytes(const std::string& name) { return read_bytes("tests/parity/goldens/news-" + name + ".gguf"); }

ranklet::Result<Recommender> load(const Bytes& bytes, bool self_test = true) {
    auto file = GgufFile::from_memory(bytes, "news.gguf");
    if (!file.ok()) return file.error();
    ranklet::LoadOptions options;
    options.self_test = self_test;
    return Recommender::from_file(*file, options);
}

/// The first `from` at or after the key `after`, replaced by `to`, which is as long.
Bytes replaced(Bytes bytes, std::string_view after, std::string_view from, std::string_view to) {
    REQUIRE(from.size() == to.size());
    const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::size_t key = all.find(after);
    REQUIRE(key != std::string_view::npos);
    const std::size_t at = all.find(from, key);
    REQUIRE(at != std::string_view::npos);
    std::memcpy(bytes.data() + at, to.data(), to.size());
    return bytes;
}

/// A u32 key of the file, changed. (Key text, type number 4 in four bytes, value.)
Bytes with_u32(Bytes bytes, std::string_view key, std::uint32_t value) {
    const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::size_t at = all.find(key);
    REQUIRE(at != std::string_view::npos);
    std::memcpy(bytes.data() + at + key.size() + 4, &value, sizeof value);
    return bytes;
}

}  // namespace

TEST_CASE("a hostile news model is an error that names the file and the key") {
    const Bytes naml = model_bytes("naml");
    REQUIRE(load(naml).ok());
    const auto refused = [](const Bytes& bytes, ErrorCode code, std::string_view part) {
        const auto model = load(bytes, false);
        check_error(model, code, part);
        check_error(model, code, "news.gguf");
    };
    refused(replaced(naml, "ranklet.news.title.kind", "text", "tool"), ErrorCode::unsupported,
            "ranklet.news.title.kind");
    refused(replaced(naml, "ranklet.news.title.form", "cnn_attention", "cnn_attentoin"), ErrorCode::unsupported,
            "ranklet.news.title.form");
    refused(replaced(naml, "ranklet.news.join", "attention", "retention"), ErrorCode::unsupported, "ranklet.news.join");
    refused(replaced(naml, "ranklet.news.views", "body", "bodi"), ErrorCode::missing, "ranklet.news.bodi.kind");
}

TEST_CASE("numbers that a news model may not have are errors that name them") {
    const Bytes naml = model_bytes("naml"), nrms = model_bytes("nrms");
    const auto refused = [](const Bytes& bytes, std::string_view part) {
        check_error(load(bytes, false), ErrorCode::format, part);
    };
    refused(with_u32(naml, "ranklet.news.title.max_length", 0), "ranklet.news.title.max_length");
    refused(with_u32(naml, "ranklet.news.title.max_length", 0xFFFFFFFF), "ranklet.news.title.max_length");
    refused(with_u32(naml, "ranklet.news.title.pad_to", 13), ".pad_to");
    refused(with_u32(naml, "ranklet.words.padding_id", 22), "ranklet.words.padding_id");
    refused(with_u32(naml, "ranklet.user.max_events", 0), "ranklet.user.max_events");
    refused(with_u32(naml, "ranklet.user.max_events", 0xFFFFFFFF), "ranklet.user.max_events");
    refused(with_u32(nrms, "ranklet.news.title.self_attention.heads", 0), "heads");
    refused(with_u32(nrms, "ranklet.news.title.self_attention.heads", 7), "heads");
}

TEST_CASE("every truncation of a news model is an error, and no flipped bit does worse") {
    for (const std::string name : {"naml", "lstur-con", "nrms-padded", "modalities"}) {
        const Bytes bytes = model_bytes(name);
        for (std::size_t size = 0; size < bytes.size(); size += size < 2000 ? 23 : 157)
            CHECK_FALSE(load({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}).ok());
        Random random(11);
        for (int round = 0; round < 300; ++round) {  // whatever comes of it, it is no crash
            Bytes broken = bytes;
            broken[random.below(std::min<std::size_t>(broken.size(), 6000))] ^=
                static_cast<std::byte>(1u << random.below(8));
            const auto model = load(broken, round % 2 == 0);
            if (!model.ok()) continue;
            const auto catalog = model->encode_catalog(std::vector<ranklet::Item>{{"a", "storm hits"}, {"b", ""}});
            if (!catalog.ok()) continue;
            auto user = model->new_user("U1");
            if (user.observe((*catalog)[0]).ok()) (void)model->scores(user, *catalog).ok();
        }
    }
}

TEST_CASE("the self-test finds a changed weight of a news model") {
    for (const std::string tensor :
         {"ranklet.news.title.conv.0.weight", "ranklet.user.pool.v", "ranklet.words.weight"}) {
        Bytes bytes = model_bytes("naml");
        const auto file = take(GgufFile::from_memory(bytes, "damaged.gguf"));
        const auto found = take(file.tensor(tensor));
        const auto at = static_cast<std::size_t>(found.data - bytes.data());
        for (std::size_t i = 0; i < found.bytes; i += 4) {
            float value;
            std::memcpy(&value, bytes.data() + at + i, sizeof value);
            value *= 1.2f;
            std::memcpy(bytes.data() + at + i, &value, sizeof value);
        }
        check_error(load(bytes), ErrorCode::self_test, "self-test failed");
    }
}

TEST_CASE("a news model reads items only as its views say") {
    const Bytes bytes = model_bytes("naml");  // the model looks into them
    const Recommender model = take(load(bytes));
    const ranklet::NewsEncoder& encoder = *model.as<ranklet::NewsEncoder>();
    CHECK(encoder.view_count() == 4);
    CHECK(encoder.view_name(2) == "category");
    CHECK(encoder.find_view("none") == 4);
    CHECK(encoder.dim() == 10);
    CHECK(model.encodes_text());
    CHECK(take(model.encode("storm hits")).size() == 10);
    check_error(model.items(), ErrorCode::unsupported);
    CHECK(take(model.encode_catalog({})).size() == 0);
    std::vector<ranklet::ViewInput> three(3);
    check_error(encoder.encode_inputs(three), ErrorCode::invalid_argument, "views");
}
