// Files with fitted parts that somebody changed and gave the right checksums: the readers' own checks meet what they say.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "counting/helpers.hpp"
#include "faults/changed_file.hpp"
#include "heap_counters.hpp"
#include "io/temporary_folder.hpp"
#include "kernels/reference.hpp"
#include "ranklet/counting/popularity.hpp"
#include "ranklet/counting/transition_counts.hpp"
#include "ranklet/io/crc32.hpp"
#include "ranklet/ranklet.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet;
using ranklet_test::ChangedFile;
using ranklet_test::check_error;
using ranklet_test::Random;
using ranklet_test::succeed;
using ranklet_test::take;

using ranklet_test::quiet_nan;
constexpr float inf = ranklet_test::infinity;
constexpr double endless = std::numeric_limits<double>::infinity();
using Strings = std::vector<std::string>;
using Floats = std::vector<float>;
using Places = std::vector<std::uint32_t>;

// A fitted model that has a prior too.
ChangedFile fitted() {
    ChangedFile file(ranklet_test::model_path("tiny-fitted"));
    const auto add = [&](ChangedFile::Part part) { file.parts.push_back(std::move(part)); };
    add({.name = "ranklet.prior.ids", .type = static_cast<std::uint32_t>(GgufType::string), .is_array = true});
    add({.name = "ranklet.prior.values",
         .is_tensor = true,
         .type = static_cast<std::uint32_t>(TensorType::f32),
         .dims = {3}});
    file.set("ranklet.prior.ids", Strings{"item-1", "item-4", "nowhere"});
    file.set("ranklet.prior.values", Floats{1, 2, 3});
    file.set("ranklet.blend.parts", Strings{"history", "transitions", "prior"});
    file.set("ranklet.blend.weights", Floats{1, 1, 0.5f});
    return file;
}
LoadOptions untested() {
    LoadOptions options;
    options.self_test = false;
    options.verify_checksum = true;
    return options;
}
Result<Recommender> load(const ranklet_test::Bytes& bytes) {
    return Recommender::from_memory(bytes, untested(), "file");
}

// What a program does with a model: an Error, or numbers that are numbers.
bool use(const Recommender& model, std::span<const Item> items) {
    const auto catalog = model.encode_catalog(items);
    if (!catalog.ok()) return false;
    auto user = model.new_user();
    bool met = true;
    for (const std::size_t item : {0u, 3u, 1u, 0u}) met = user.observe((*catalog)[item], 4.0f).ok() && met;
    const auto saved = user.save();
    CHECK(take(model.load_user(saved)).save() == saved);
    const auto ranking = model.recommend(user, *catalog, {.k = items.size()});
    if (!ranking.ok()) {  // tables that the file does not say it has are the catalog's to bring
        CHECK((ranking.error().code == ErrorCode::invalid_argument || ranking.error().code == ErrorCode::mismatch));
        return false;
    }
    CHECK(ranking->size() == items.size());
    double sum = 0;
    for (const Recommendation& each : *ranking) {
        CHECK(std::isfinite(each.score));
        CHECK((each.probability >= 0.0f && each.probability <= 1.0f));
        sum += static_cast<double>(each.probability);
    }
    CHECK(std::abs(sum - 1) < 1e-4);
    const auto why = explain(model, user, *catalog, (*catalog)[1].id());
    CHECK((why.ok() || why.error().code == ErrorCode::invalid_argument));
    return met;
}

}  // namespace

TEST_CASE("what a fitted file says of its tables, priors and weights is checked, and the Error names file and place") {
    const std::vector<Item> items = ranklet_test::Items(12).items;
    {
        const auto bytes = fitted().build();
        const Recommender model = take(load(bytes));
        CHECK(use(model, items));
    }
    const auto refused = [&](std::string_view key, const auto& value, std::string_view part,
                             ErrorCode code = ErrorCode::format) {
        CAPTURE(std::string(key));
        ChangedFile file = fitted();
        file.set(key, value);
        const auto bytes = file.build();
        const auto model = load(bytes);
        check_error(model, code, part);
        if (!model.ok()) CHECK(model.error().message.rfind("file: ", 0) == 0);
    };
    const auto numbers = [](std::string_view name, std::size_t place, auto value) {
        ChangedFile file = fitted();
        auto& part = file.at(name);
        std::vector<decltype(value)> values(part.bytes.size() / sizeof value);
        std::memcpy(values.data(), part.bytes.data(), part.bytes.size());
        values.at(place) = value;
        return values;
    };
    const std::string table = "ranklet.transitions.0.";
    refused(table + "followers", numbers(table + "followers", 3, std::uint32_t{10}),
            "row number 10, expected less than 10");
    refused(table + "followers", numbers(table + "followers", 3, std::int32_t{-1}), "expected less than 10");
    refused(table + "followers", numbers(table + "followers", 0, numbers(table + "followers", 0, 0u)[1]),
            "is there twice");
    refused(table + "strengths", numbers(table + "strengths", 3, quiet_nan), "its strength is not finite");
    refused(table + "strengths", numbers(table + "strengths", 0, inf), "its strength is not finite");
    refused(table + "strengths", numbers(table + "strengths", 0, -1.0f), "expected the stronger first");
    refused(table + "strengths", Floats(79, 1.0f), "80 followers, 79 strengths");
    refused(table + "times", numbers(table + "times", 0, std::int32_t{-5}), "times, expected at most 2147483647");
    refused(table + "row_sizes", Places(10, 0xFFFFFFFFu), "the rows' sizes add up to 42949672950, but there are 80");
    refused(table + "row_sizes", Places(9, 8), "9 row sizes for 10 items");
    refused(table + "seen", Places(11, 8), "11 counts of events for 10 items");
    refused(table + "ids",
            Strings{"item-0", "item-1", "item-2", "item-3", "item-4", "item-5", "item-6", "item-7", "item-8", "item-0"},
            "is there twice");
    refused(table + "ids",
            Strings{"", "item-1", "item-2", "item-3", "item-4", "item-5", "item-6", "item-7", "item-8", "item-9"},
            "item 0 has no id");
    refused(table + "version", std::uint32_t{2}, "is 2, this program reads 1", ErrorCode::unsupported);
    const std::string all = "ranklet.transitions.";
    refused(all + "tables", std::uint32_t{1}, "do not have 1 numbers each");
    refused(all + "tables", std::uint32_t{0xFFFFFFFF}, "is 4294967295, expected at most 64");
    refused(all + "tables", std::uint32_t{64}, "do not have 64 numbers each");
    refused(all + "weights", Floats{1, quiet_nan}, "ranklet.transitions.weights holds");
    refused(all + "weights", Floats{inf, 1}, "ranklet.transitions.weights holds");
    refused(all + "weights", Floats{1, -1}, "expected numbers above 0");
    refused(all + "weights", Floats{1}, "do not have 2 numbers each");
    refused(all + "decays", Floats{1, 1.5f}, "ranklet.transitions.decays holds");
    refused(all + "decays", Floats{quiet_nan, 1}, "ranklet.transitions.decays holds");
    refused(all + "events", Places{0, 1}, "ranklet.transitions.events holds 0");
    refused(all + "events", Places{1, 0xFFFFFFFF}, "ranklet.transitions.events holds 4294967295");
    refused(all + "floor", quiet_nan, "ranklet.transitions.floor is");
    refused(all + "floor", 0.0f, "ranklet.transitions.floor is");
    refused(all + "rating_scale", inf, "ranklet.transitions.rating_scale is not finite");
    refused("ranklet.history.decay", quiet_nan, "ranklet.history.decay is");
    refused("ranklet.history.decay", 1.5f, "ranklet.history.decay is");
    refused("ranklet.history.power", std::uint32_t{9}, "ranklet.history.power is 9");
    refused("ranklet.history.events", std::uint32_t{0xFFFFFFFF}, "ranklet.history.events is 4294967295");
    refused("ranklet.history.rating_neutral", quiet_nan, "ranklet.history.rating_neutral is not finite");
    refused("ranklet.blend.weights", Floats{1, quiet_nan, 1}, "ranklet.blend.weights holds nan, expected -1e6 to 1e6");
    refused("ranklet.blend.weights", Floats{1, -3e38f, 1}, "ranklet.blend.weights holds -");
    refused("ranklet.blend.weights", Floats{1, 1}, "ranklet.blend.weights has 2 numbers for 3 parts");
    refused("ranklet.blend.parts", Strings{"history", "history", "prior"}, "holds \"history\" twice");
    refused("ranklet.blend.parts", Strings{"history", "blend", "prior"}, "holds a blend itself");
    refused("ranklet.blend.parts", Strings{"history", "nothing", "prior"}, "nothing", ErrorCode::unsupported);
    refused("ranklet.prior.values", Floats{1, quiet_nan, 3}, "ranklet.prior.values[1] is not finite");
    refused("ranklet.prior.values", Floats{1, 2}, "ranklet.prior.values");
    refused("ranklet.prior.ids", Strings{"item-0", "item-1", "item-0"}, "ranklet.prior.ids holds \"item-0\" twice");

    // Numbers that a file may have, and a ranking cannot: an Error where they meet.
    ChangedFile strong = fitted();
    for (const char* name : {"ranklet.transitions.0.strengths", "ranklet.transitions.1.strengths"})
        strong.set(name, Floats(strong.at(name).bytes.size() / sizeof(float), 3e38f));
    for (const char* name : {"ranklet.transitions.0.followers", "ranklet.transitions.1.followers"}) {
        // Equal strengths stand by row number.
        Places rows;
        auto& sizes = strong.at(std::string(name).substr(0, 22) + "row_sizes").bytes;
        for (std::size_t r = 0; r < 10; ++r) {
            std::uint32_t size = 0;
            std::memcpy(&size, sizes.data() + 4 * r, 4);
            for (std::uint32_t f = 0; f < size; ++f) rows.push_back(f);
        }
        strong.set(name, rows);
    }
    const auto bytes = strong.build();
    const Recommender model = take(load(bytes));
    const Catalog catalog =
        take(model.encode_catalog(std::vector<Item>{{"item-1", "red"}, {"item-2", "phone"}, {"item-4", "case"}}));
    auto user = model.new_user();
    succeed(user.observe(catalog[0]));
    succeed(user.observe(catalog[1]));
    check_error(model.recommend(user, catalog), ErrorCode::invalid_argument, "not finite");
}

TEST_CASE(
    "fitted parts of any bytes are an Error, or a model whose rankings are numbers, in memory that the file pays for") {
    const ChangedFile whole = fitted();
    std::vector<std::size_t> places;
    for (std::size_t p = 0; p < whole.parts.size(); ++p)
        for (const std::string_view prefix :
             {"ranklet.blend.", "ranklet.history.", "ranklet.transitions.", "ranklet.prior."})
            if (whole.parts[p].name.rfind(prefix, 0) == 0) places.push_back(p);
    REQUIRE(places.size() > 30);
    const std::vector<Item> items{{"item-1", "red"}, {"item-2", "phone"}, {"商品-0", "手机"}, {"item-4", "case"}};
    std::size_t used = 0, refused = 0;
    for (std::uint64_t seed = 0; seed < 3000; ++seed) {
        CAPTURE(seed);
        Random random(seed);
        ChangedFile file = whole;
        for (std::size_t edits = 1 + random.below(2); edits-- > 0;) {
            auto& part = file.parts[places[random.below(places.size())]];
            switch (random.below(8)) {
                case 0:
                    part.count = random.below(2) == 0 ? random.below(20) : std::uint64_t{1} << random.below(64);
                    break;
                case 1:
                    part.bytes.resize(random.below(2 * part.bytes.size() + 1));
                    break;
                case 2:
                    for (std::uint64_t& size : part.dims) size = random.below(100);
                    break;
                case 3:  // a float of its own
                    if (part.bytes.size() >= 4) {
                        constexpr float odd[]{quiet_nan, inf, -inf, 3e38f, -3e38f, 1e-38f, -1.0f, 0.0f};
                        std::memcpy(part.bytes.data() + random.below(part.bytes.size() / 4) * 4,
                                    &odd[random.below(std::size(odd))], 4);
                    }
                    break;
                default:
                    if (!part.bytes.empty())
                        part.bytes[random.below(part.bytes.size())] = static_cast<std::byte>(random.below(256));
                    break;
            }
        }
        const auto bytes = file.build();
        const std::size_t before = ranklet_test::heap_bytes;
        ranklet_test::most_heap_bytes = before;
        const auto model = load(bytes);
        if (model.ok()) {
            ++(use(*model, items) ? used : refused);
        } else {
            ++refused;
            CHECK_MESSAGE(model.error().message.rfind("file: ", 0) == 0, model.error().message);
        }
        CHECK(ranklet_test::most_heap_bytes - before <= 16 * bytes.size() + (1u << 18));
    }
    CHECK(used > 500);
    CHECK(refused > 500);
}

TEST_CASE(
    "a popularity file of any bytes is an Error that names it, or can be used; so is what a counter's file weighs") {
    const ranklet_test::TemporaryFolder folder;
    const std::string path = folder.path() + "/state";
    const auto with_checksum = [&](std::string bytes) {
        const std::uint32_t sum = crc32(std::as_bytes(std::span(bytes)).first(bytes.size() - 4));
        std::memcpy(bytes.data() + bytes.size() - 4, &sum, 4);
        std::remove(path.c_str());
        return folder.write("state", bytes);
    };
    const auto put = [](std::string bytes, std::size_t place, auto value) {
        std::memcpy(bytes.data() + place, &value, sizeof value);
        return bytes;
    };
    PopularityOptions options;
    options.half_life = 5000;
    Popularity counts = take(Popularity::create(options));
    for (int e = 0; e < 60; ++e) succeed(counts.observe("item " + std::to_string(e * e % 11), 1000 * e));
    succeed(counts.save(path));
    const std::string bytes = ranklet_test::bytes_of_file(path);
    const std::vector<std::string> some{"item 0", "item 1", "item 2"};
    std::size_t loaded = 0, refused = 0;
    for (std::uint64_t seed = 0; seed < 3000; ++seed) {
        CAPTURE(seed);
        Random random(seed);
        std::string changed = bytes;
        for (std::size_t edits = 1 + random.below(3); edits-- > 0;)
            changed[8 + random.below(bytes.size() - 12)] =
                static_cast<char>(random.below(3) == 0 ? 0 : random.below(256));
        if (random.below(10) == 0) changed.resize(12 + random.below(bytes.size() - 12));
        const std::size_t before = ranklet_test::heap_bytes;
        ranklet_test::most_heap_bytes = before;
        auto made_up = Popularity::load(with_checksum(changed));
        CHECK(ranklet_test::most_heap_bytes - before <= 16 * bytes.size() + (1u << 16));
        if (!made_up.ok()) {
            ++refused;
            CHECK(made_up.error().message.rfind(path + ": ", 0) == 0);
            continue;
        }
        ++loaded;
        succeed(made_up->observe("item 1", 1e6, 1e30));
        succeed(made_up->take_back("item 2", 500));
        if (made_up->options().half_life == options.half_life) succeed(made_up->merge(counts));
        for (const float value : take(made_up->log_popularity(some, made_up->newest()))) CHECK(std::isfinite(value));
    }
    CHECK(loaded > 500);
    CHECK(refused > 500);
    // Behind mark and version: half-life, max_items, the newest time, how many; then the first id, its value and time.
    const std::size_t value = 8 + 8 + 8 + 8 + 8 + 4 + std::string_view("item 0").size();
    check_error(Popularity::load(with_checksum(put(bytes, value, 1e60))), ErrorCode::format, "an item's value is");
    check_error(Popularity::load(with_checksum(put(bytes, value, endless))), ErrorCode::format, "an item's value is");
    check_error(Popularity::load(with_checksum(put(bytes, value + 8, endless))), ErrorCode::format, "is no time");
    check_error(Popularity::load(with_checksum(put(bytes, 32, std::uint64_t{1} << 60))), ErrorCode::format,
                "ends early");
    CHECK(Popularity::load(with_checksum(put(bytes, value, 1e40))).ok());

    // Weights that no events lead to would overflow in sums, or make strengths that are none.
    for (const double half_life : {0.0, 1000.0}) {
        CAPTURE(half_life);
        TransitionOptions how;
        how.half_life = half_life;
        TransitionCounts few = take(TransitionCounts::create(how));
        for (const char* user : {"u", "v"})
            for (const char* item : {"a", "b"}) take(few.observe(user, item, 1e6));
        succeed(few.save(path));
        const std::string state = ranklet_test::bytes_of_file(path);
        // Six numbers, two of doubles, the salt's hash, events, epoch, newest; items: how many, two of 1 + 16 bytes.
        const std::size_t epoch = 8 + 6 * 8 + 2 * 8 + 8 + 8, newest = epoch + 8,
                          pairs = newest + 8 + 8 + 2 * (4 + 1 + 4 + 8);
        const std::size_t weight = pairs + 8 + 4 + 4;
        REQUIRE(TransitionCounts::load(with_checksum(state)).ok());
        const auto loads = [&](const std::string& changed, std::string_view part) {
            check_error(TransitionCounts::load(with_checksum(changed)), ErrorCode::format, part);
        };
        for (const double heavy : {1e30, 1e70, 1e300, endless, -1.0, std::numeric_limits<double>::quiet_NaN()})
            loads(put(state, weight, heavy), "a pair's weight is");
        loads(put(state, newest, -endless), "a pair");
        loads(put(state, newest, endless), "the newest time is no time");
        loads(put(state, epoch, std::int64_t{1} << 40), "the counts' epoch is");
        if (half_life > 0) loads(put(state, epoch, std::int64_t{1001}), "after the newest time");
        CHECK(TransitionCounts::load(with_checksum(put(state, weight, 1e15))).ok());
        const auto heavy = take(TransitionCounts::load(with_checksum(put(state, weight, 1e19))));
        CHECK(std::isfinite(
            take(heavy.snapshot({.source_power = 0, .target_power = 0, .smoothing = 0})).row(0).strengths[0]));
    }
}
