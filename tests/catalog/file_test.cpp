// Catalogs on disk: what comes back is what was saved, and nothing damaged or foreign is taken.
#include "ranklet/catalog/file.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "io/temporary_folder.hpp"
#include "ranklet/catalog/update.hpp"
#include "ranklet/io/gguf_writer.hpp"
#include "recommender/catalogs.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet_test;
using ranklet::Attribute;
using ranklet::Catalog;
using ranklet::CatalogLoadOptions;
using ranklet::ErrorCode;
using ranklet::GgufFile;
using ranklet::Item;
using ranklet::load_catalog;
using ranklet::Recommender;
using ranklet::save_catalog;
using Bytes = std::vector<std::byte>;

Catalog with_attributes(const Recommender& model, std::size_t n) {
    if (!model.encodes_text()) return take(model.items());
    const Items given(n);
    std::vector<Item> items = given.items;
    const std::vector<std::string_view> tags{"new", "rot"}, one{"new"};
    const std::vector<std::vector<Attribute>> looks{
        {{"colour", "red"}, {"tags", std::span<const std::string_view>(tags)}},
        {{"price", 0.1}},
        {{"colour", ""}, {"price", 1e300}, {"tags", std::span<const std::string_view>(one)}}};
    for (std::size_t i = 0; i < n; ++i) items[i].attributes = looks[i % 3];
    return take(model.encode_catalog(items));
}

/// Bytes with the header's checksum made right again, where there is one.
void repair(Bytes& bytes) {
    const auto index = ranklet::detail::parse_gguf(bytes, "");
    if (!index.ok()) return;
    const ranklet::GgufKey* key = index->find_key("ranklet.checksum.header_crc32");
    if (key == nullptr || key->type != ranklet::GgufType::u32) return;
    std::byte* place = bytes.data() + (key->data - bytes.data());
    std::memset(place, 0, 4);
    const std::uint32_t sum = ranklet::crc32(std::span<const std::byte>(bytes).first(index->data_start));
    std::memcpy(place, &sum, 4);
}

/// A catalog of n items with parts of a decoder of its own: rows for items, for tokens, for all of it, and none.
Catalog with_parts(std::size_t n, std::uint64_t model, bool by_token) {
    Random random(12);
    const auto matrix = [&](std::size_t rows, std::size_t cols) {
        auto result = take(ranklet::Matrix::zeroed(rows, cols));
        for (std::size_t r = 0; r < rows; ++r)
            for (float& x : result.row(r)) x = random.between(-1.0f, 1.0f);
        return result;
    };
    ranklet::CatalogData data;
    data.model = model;
    for (std::size_t i = 0; i < n; ++i) data.ids.push_back("i" + std::to_string(i));
    if (by_token) {
        data.token_offsets.assign(1, 0);
        for (std::size_t i = 0; i < n; ++i) data.token_offsets.push_back(data.token_offsets.back() + i % 3);
        data.set_part("shop.words", ranklet::PartRows::token, matrix(data.token_offsets.back(), 2));
    } else {
        data.vectors = matrix(n, 3);
    }
    data.set_part("shop.scale", ranklet::PartRows::item, matrix(n, 1));
    data.set_part("projected", ranklet::PartRows::item, matrix(n, 2));
    data.set_part("shop.mean", ranklet::PartRows::catalog, matrix(2, 3));
    data.set_part("shop.nothing", ranklet::PartRows::catalog, ranklet::Matrix());
    data.set_part("vectors", ranklet::PartRows::catalog, matrix(1, 5));
    return take(Catalog::create(std::move(data)));
}

/// Every truncation of a catalog's bytes, and every byte with a bit changed, is an error naming the file.
void check_damage(const Bytes& bytes, std::uint64_t model) {
    const auto load = [&](const Bytes& from) -> ranklet::Result<Catalog> {
        RANKLET_ASSIGN(const GgufFile file, GgufFile::from_memory(from, "c.gguf"));
        return load_catalog(file, model);
    };
    REQUIRE(load(bytes).ok());
    std::size_t wrong = 0;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const auto result = load(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)));
        wrong += result.ok() || result.error().message.rfind("c.gguf: ", 0) != 0;
    }
    CHECK(wrong == 0);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        Bytes changed = bytes;
        changed[at] ^= static_cast<std::byte>(1u << at % 8);
        const auto result = load(changed);
        wrong += result.ok() || result.error().message.rfind("c.gguf: ", 0) != 0;
    }
    CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("a catalog comes back bit for bit, its vectors where the file lies, and ranks the same, in every scoring") {
    const TemporaryFolder folder;
    for (const std::string name : model_names) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog saved = with_attributes(model, 20);
        const std::string path = folder.path() + "/" + name + ".catalog";
        succeed(save_catalog(saved, path));
        for (const bool verify : {true, false}) {
            CatalogLoadOptions options;
            options.verify_checksum = verify;
            const Catalog loaded = take(load_catalog(path, model.fingerprint(), options));
            check_same(loaded.data(), saved.data());
            CHECK((loaded.data().vectors.is_borrowed() || loaded.data().find_part("projected")->values.is_borrowed()));
            const auto user = make_user(model, loaded);
            CHECK(same_bits(take(model.scores(user, loaded)), take(model.scores(user, saved))));
            CHECK(take(loaded.at(saved[7].id())).index() == 7);
        }
    }
}

TEST_CASE("a loaded catalog outlives its file's name, and can be updated and saved in the file's place") {
    const TemporaryFolder folder;
    const Recommender model = load_model("tiny-next-event");
    const Catalog saved = with_attributes(model, 20);
    const std::string path = folder.path() + "/shop.catalog";
    succeed(save_catalog(saved, path));
    const Catalog loaded = take(load_catalog(path, model.fingerprint()));
    const std::vector<std::string_view> remove{"item-3"};
    ranklet::CatalogChanges changes;
    changes.remove = remove;
    const Catalog updated = take(update_catalog(model, loaded, changes));
    succeed(save_catalog(updated, path));
    check_same(take(load_catalog(path, model.fingerprint())).data(), updated.data());
    CHECK(std::filesystem::remove(path));
    check_same(loaded.data(), saved.data());
}

TEST_CASE("an empty catalog is saved and loaded too") {
    const TemporaryFolder folder;
    const Recommender model = load_model("tiny-dot-product");
    const Catalog empty = take(model.encode_catalog({}));
    succeed(save_catalog(empty, folder.path() + "/empty"));
    CHECK(take(load_catalog(folder.path() + "/empty", model.fingerprint())).empty());
}

TEST_CASE("a catalog of another model, another file, and no file are refused") {
    const TemporaryFolder folder;
    const Recommender model = load_model("tiny-dot-product"), other = load_model("tiny-next-event");
    const std::string path = folder.path() + "/shop.catalog";
    succeed(save_catalog(with_attributes(model, 5), path));
    check_error(load_catalog(path, other.fingerprint()), ErrorCode::mismatch, path);
    check_error(load_catalog(model_path("tiny-dot-product"), model.fingerprint()), ErrorCode::missing, "not a catalog");
    check_error(load_catalog(folder.path() + "/none", model.fingerprint()), ErrorCode::io);
    check_error(load_catalog(folder.path(), model.fingerprint()), ErrorCode::io);
    check_error(load_catalog(folder.write("text", "id\ttitle\n"), model.fingerprint()), ErrorCode::format);
    check_error(save_catalog(Catalog(), folder.path() + "/no/where"), ErrorCode::io);
}

TEST_CASE("every truncation and every changed byte of a catalog's file is an error naming the file") {
    const Recommender model = load_model("tiny-dot-product");
    const Catalog catalog = with_attributes(model, 3);
    const Bytes bytes = take(ranklet::catalog_bytes(catalog.data()));
    check_damage(bytes, model.fingerprint());
}

TEST_CASE("a catalog with a decoder's own parts comes back bit for bit, where the file lies, and no damage is taken") {
    constexpr std::uint64_t model = 0xFEDCBA9876543210;
    for (const bool by_token : {false, true})
        for (const std::size_t n : {4u, 1u, 0u}) {
            CAPTURE(by_token);
            CAPTURE(n);
            const TemporaryFolder folder;
            const std::string path = folder.path() + "/c";
            const Catalog saved = with_parts(n, model, by_token);
            succeed(save_catalog(saved, path));
            const Catalog loaded = take(load_catalog(path, model));
            REQUIRE(loaded.data().parts.size() == saved.data().parts.size());
            for (std::size_t p = 0; p < saved.data().parts.size(); ++p) {
                const ranklet::CatalogPart &before = saved.data().parts[p], &after = loaded.data().parts[p];
                CHECK(after.name == before.name);
                CHECK(after.rows == before.rows);
                CHECK(after.values.is_borrowed() == (before.values.rows() * before.values.cols() > 0));
                CHECK(after.values.rows() == before.values.rows());
                CHECK(same_bits(flat(after.values), flat(before.values)));
            }
            CHECK(loaded.data().token_offsets == saved.data().token_offsets);
            CHECK(loaded.data().ids == saved.data().ids);
            if (n == 4) check_damage(take(ranklet::catalog_bytes(saved.data())), model);
        }
}

TEST_CASE("a part that only looks like one that files do not list comes back whole") {
    ranklet::CatalogData data;
    data.ids = {"a", "b"};
    const std::vector<float> numbers{1, 2, 3, 4};
    data.set_part("initial_scores", ranklet::PartRows::item, take(ranklet::Matrix::copy_of({numbers.data(), 2, 2})));
    const Bytes bytes = take(ranklet::catalog_bytes(data));
    const Catalog loaded = take(load_catalog(take(GgufFile::from_memory(bytes, "c.gguf")), 0));
    check_same(loaded.data(), data);
    data.set_part("initial_scores", ranklet::PartRows::catalog, take(ranklet::Matrix::copy_of({numbers.data(), 1, 4})));
    const Bytes of_catalog = take(ranklet::catalog_bytes(data));
    check_same(take(load_catalog(take(GgufFile::from_memory(of_catalog, "c.gguf")), 0)).data(), data);
}

TEST_CASE("listed parts that contradict each other are errors that name the key") {
    const auto load = [](const std::vector<std::string>& names, const std::vector<std::uint32_t>& rows) {
        const std::vector<float> numbers{1, 2, 3, 4};
        ranklet::GgufWriter writer;
        writer.key("ranklet.catalog.version", 1);
        writer.key("ranklet.catalog.model", "0000000000000000");
        writer.array("ranklet.catalog.ids", std::vector<std::string>{"a", "b"});
        writer.array("ranklet.catalog.parts.names", names);
        writer.array("ranklet.catalog.parts.rows", rows);
        writer.tensor("part.x", 1, 4, numbers);
        const Bytes bytes = take(writer.bytes());
        const auto result = load_catalog(take(GgufFile::from_memory(bytes, "c.gguf")), 0);
        return result.ok() ? std::string() : result.error().message;
    };
    CHECK(load({"x"}, {2}).empty());
    CHECK(load({"x", "y"}, {2, 2}).empty());  // a part without numbers has no tensor
    CHECK(load({"x"}, {}) == "c.gguf: ranklet.catalog.parts.names has 1 parts, .rows 0");
    CHECK(load({"x"}, {3}) == "c.gguf: ranklet.catalog.parts.rows[0] is 3, expected 0 to 2");
    CHECK(load({"x", "x"}, {2, 2}) == "c.gguf: ranklet.catalog.parts.names has \"x\" twice");
    CHECK(load({"x"}, {0}) == "c.gguf: the catalog's parts do not all have one row for each item");
    CHECK(load({"x"}, {1}) == "c.gguf: the catalog's parts do not all have one row for each item");
    CHECK(load({""}, {2}) == "c.gguf: the catalog's parts do not all have one row for each item");
}

TEST_CASE("a file whose attribute has a string twice, or whose item has a tag twice, is an error naming both") {
    const Recommender model = load_model("tiny-dot-product");
    const auto reload = [&](auto&& change) {
        ranklet::CatalogData data;
        data.model = model.fingerprint();
        data.ids = {"a", "b"};
        data.vectors = take(ranklet::Matrix::zeroed(2, model.encode("x")->size()));
        ranklet::AttributeColumn& tags = data.attributes.columns.emplace_back();
        tags.name = "tags";
        tags.type = ranklet::AttributeType::tags;
        tags.values = {"new", "red"};
        tags.codes = {0, 1, 1};
        tags.tag_offsets = {0, 2, 3};
        change(tags);
        const Bytes bytes = take(ranklet::catalog_bytes(data));
        return load_catalog(take(GgufFile::from_memory(bytes, "c.gguf")), model.fingerprint()).ok()
                   ? std::string()
                   : load_catalog(take(GgufFile::from_memory(bytes, "c.gguf")), model.fingerprint()).error().message;
    };
    CHECK(reload([](auto&) {}).empty());
    CHECK(reload([](auto& tags) { tags.values[1] = "new"; }) == "c.gguf: attribute \"tags\": has a value twice");
    CHECK(reload([](auto& tags) { tags.codes[1] = 0; }) == "c.gguf: attribute \"tags\": has a tag of an item twice");
}

TEST_CASE("items without any token come back too") {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/c";
    const Recommender model = load_model("tiny-text-gru");
    const std::size_t width = take(model.encode_catalog(std::vector<Item>{{"x", "x"}})).data().part("projected").cols;
    for (const std::vector<std::size_t>& offsets : {std::vector<std::size_t>{0, 0, 3, 3}, {0, 0, 0, 0}}) {
        ranklet::CatalogData data;
        data.ids = {"a", "b", "c"};
        data.token_offsets = offsets;
        data.set_part("projected", ranklet::PartRows::token, take(ranklet::Matrix::zeroed(offsets.back(), width)));
        const Catalog saved = take(model.make_catalog(std::move(data)));
        succeed(save_catalog(saved, path));
        const Catalog loaded = take(load_catalog(path, model.fingerprint()));
        CHECK(loaded.data().token_offsets == offsets);
        auto user = model.new_user();
        succeed(user.observe(loaded[1]));
        succeed(user.observe(loaded[0]));
        CHECK(take(model.scores(user, loaded)) == take(model.scores(user, saved)));
        CHECK(take(model.scores(model.new_user(), loaded)) == take(model.scores(model.new_user(), saved)));
    }
}

TEST_CASE("whatever a file says, with its checksum made right, it is an error or a catalog that can be used") {
    for (const std::string name : {"tiny-dot-product", "tiny-text-gru"}) {
        const Recommender model = load_model(name);
        const Catalog catalog = with_attributes(model, 4);
        const Bytes original = take(ranklet::catalog_bytes(catalog.data()));
        const std::size_t header = take(ranklet::detail::parse_gguf(original, "")).data_start;
        std::mt19937 random(7);
        const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random()) % limit; };
        int loaded = 0, refused = 0;
        CatalogLoadOptions options;
        options.verify_checksum = false;
        for (int round = 0; round < 6000; ++round) {
            Bytes bytes = original;
            for (std::size_t changes = 1 + below(3); changes > 0; --changes)
                bytes[below(header)] = below(2) == 0 ? static_cast<std::byte>(random()) : std::byte{0};
            repair(bytes);
            const auto file = GgufFile::from_memory(bytes, "c.gguf");
            if (!file.ok()) continue;
            const auto result = load_catalog(*file, model.fingerprint(), options);
            if (!result.ok()) {
                ++refused;
                CHECK(result.error().message.rfind("c.gguf: ", 0) == 0);
                continue;
            }
            ++loaded;
            ranklet::RecommendOptions ranking;
            const std::vector<ranklet::GroupCap> caps{{"tags", 1}};
            ranking.caps = caps;
            (void)model.recommend(model.new_user(), *result, ranking).ok();
            (void)ranklet::Filter::create(*result, ranklet::Condition::contains("tags", "new")).ok();
        }
        CHECK(loaded > 100);
        CHECK(refused > 100);
    }
}
