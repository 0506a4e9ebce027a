// Logs, item files and fitted models where memory is refused, and where the bytes are anything at all: a value or an Error that
// names the file, in memory that the file pays for.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "counting/helpers.hpp"
#include "faults/refuse_each.hpp"
#include "fit/fit_log.hpp"
#include "heap_counters.hpp"
#include "io/temporary_folder.hpp"
#include "kernels/reference.hpp"
#include "ranklet/fit/event_log.hpp"
#include "ranklet/fit/fit.hpp"
#include "ranklet/fit/item_file.hpp"
#include "ranklet/fit/refit.hpp"

namespace {

using namespace ranklet;
using ranklet_test::Random;
using ranklet_test::refuse_each;
using ranklet_test::take;
using ranklet_test::WalkLog;
using Bytes = ranklet_test::ResultBytes;

const std::string events_text =
    "userId,movieId,rating,timestamp\nu1,\"m,1\",5,1500000000\nu1,m2,3.5,1500000001\n"
    "手机,m2,,1500000000\nu3,\"a \"\"b\"\"\",1,1500000000\n";
const std::string items_text = "movieId,title,genres,price\n\"m,1\",\"Film, <b>one</b>\",A|B,1.5\nm2,手机,,2\nm3,,C,\n";

Bytes told(const EventLog& log) {
    Bytes bytes;
    for (std::size_t u = 0; u < log.users().size(); ++u) {
        bytes << log.users()[u];
        const UserEvents events = log.events(u);
        for (std::size_t e = 0; e < events.size(); ++e) bytes << log.items()[events.items[e]] << events.times[e];
        for (const float rating : events.ratings) bytes << (std::isnan(rating) ? -1.0f : rating);
    }
    return bytes;
}
Bytes told(const ItemFile& file) {
    Bytes bytes;
    for (std::size_t i = 0; i < file.size(); ++i) bytes << file.ids()[i] << file.rows()[i].text;
    return bytes;
}
Bytes told(const std::vector<std::byte>& bytes) {
    return Bytes() << std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}
ItemFileOptions item_columns() {
    ItemFileOptions options;
    options.texts = {"title"};
    options.attributes = {{"genres", {}, ItemAttributeColumn::Kind::tags, "|"},
                          {"price", {}, ItemAttributeColumn::Kind::number, "|"}};
    options.remove_html = true;
    return options;
}

}  // namespace

TEST_CASE("logs, item files, fit and refit say out_of_memory wherever an allocation is refused") {
    const ranklet_test::TemporaryFolder folder;
    const std::string events = folder.write("events.csv", events_text), items = folder.write("items.csv", items_text);
    refuse_each("EventLog::read", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const EventLog log, EventLog::read(events));
        return told(log);
    });
    const ItemFileOptions columns = item_columns();
    refuse_each("ItemFile::read", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const ItemFile file, ItemFile::read(items, columns));
        return told(file);
    });

    const WalkLog log(24, 9);
    const GgufFile encoder = take(GgufFile::open("tests/parity/goldens/tiny-minilm.gguf"));
    FitOptions options;
    options.choose = false;
    refuse_each("fit", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const FitResult result, fit(encoder, log.items, log.view(), options));
        return told(result.model);
    });
    const FitResult before = take(fit(encoder, log.items, log.view(), options));
    const GgufFile running = take(GgufFile::from_memory(before.model, "running"));
    const Catalog catalog = take(take(Recommender::from_file(running)).encode_catalog(log.items));
    WalkLog day(24, 9);
    for (double& time : day.time) time += 1e8;
    TransitionCounts counts;
    Popularity popularity;
    refuse_each(
        "refit",
        [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const RefitResult result, refit(running, catalog, day.view(), counts, popularity));
            return told(result.model) << counts.events();
        },
        [&] {
            counts = before.counts;
            popularity = before.popularity;
        },
        [&] { return counts.events() == before.counts.events() && popularity.newest() == before.popularity.newest(); });
    const Recommender model = take(Recommender::from_file(running));
    const Catalog plain = take(model.encode_catalog(log.items));
    const Signals signals = *model.decoder().signals();
    const std::vector<std::byte> nobody = model.new_user().save();
    refuse_each("signals of a catalog, and a ranking by them", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const Catalog bound, plain.with(signals));
        RANKLET_ASSIGN(auto user, model.load_user(nobody));
        RANKLET_TRY(user.observe(bound.at("i1")));
        RANKLET_ASSIGN(const auto scores, model.scores(user, bound));
        return Bytes() << scores;
    });
}

TEST_CASE("a log or an item file of any bytes is read, or an Error that names the file, in memory that it pays for") {
    const ranklet_test::TemporaryFolder folder;
    std::size_t read = 0, refused = 0;
    const auto try_both = [&](const std::string& content) {
        const std::string path = folder.write("file.csv", content);
        const std::size_t before = ranklet_test::heap_bytes;
        ranklet_test::most_heap_bytes = before;
        for (const bool skip : {false, true}) {
            EventLogOptions options;
            options.skip_bad_lines = skip;
            const auto log = EventLog::read(path, options);
            ItemFileOptions columns = item_columns();
            columns.id = "1";
            columns.texts = {"2"};
            columns.attributes.clear();
            columns.skip_bad_lines = skip;
            const auto items = ItemFile::read(path, columns);
            ++(log.ok() ? read : refused);
            ++(items.ok() ? read : refused);
            if (!log.ok()) CHECK_MESSAGE(log.error().message.find(path) != std::string::npos, log.error().message);
            if (!items.ok())
                CHECK_MESSAGE(items.error().message.find(path) != std::string::npos, items.error().message);
            if (!log.ok()) continue;
            for (std::size_t u = 0; u < log->users().size(); ++u) {
                const UserEvents own = log->events(u);
                CHECK(!log->users()[u].empty());
                for (std::size_t e = 0; e < own.size(); ++e) {
                    REQUIRE(own.items[e] < log->items().size());
                    CHECK(std::isfinite(own.times[e]));
                    if (e > 0) CHECK(own.times[e - 1] <= own.times[e]);
                }
            }
        }
        // The readers' own buffers aside.
        CHECK(ranklet_test::most_heap_bytes - before <= 128 * content.size() + (8u << 20));
    };
    for (std::size_t size = 0; size <= events_text.size(); ++size) try_both(events_text.substr(0, size));
    constexpr std::string_view parts[] = {",",
                                          "\"",
                                          "\n",
                                          "\r\n",
                                          "\t",
                                          "::",
                                          "1e999",
                                          "nan",
                                          "-0",
                                          "inf",
                                          "99999999999999999999",
                                          "2019-11-12T02:14:46+08:00",
                                          "300000-01-01",
                                          "\xff\xfe",
                                          "\xed\xa0\x80",
                                          std::string_view("\0", 1),
                                          "手",
                                          "<b",
                                          "&#x110000;",
                                          "user_id:token",
                                          "-1",
                                          "  "};
    for (std::uint64_t seed = 0; seed < 1500; ++seed) {
        Random random(seed);
        std::string content = seed % 3 == 0 ? std::string() : seed % 3 == 1 ? events_text : items_text;
        for (std::size_t edits = 1 + random.below(8); edits-- > 0;) {
            const std::size_t at = random.below(content.size() + 1);
            if (random.below(3) == 0 && !content.empty())
                content[at % content.size()] = static_cast<char>(random.below(256));
            else
                content.insert(at, parts[random.below(std::size(parts))]);
        }
        try_both(content);
    }
    CHECK(read > 1000);
    CHECK(refused > 1000);

    // Very large in one place.
    const std::string million(1'000'000, 'a');
    try_both("user,item,time\n" + million + ",b,1\n");
    try_both("user,item,time\nu,b," + million + "\n");
    try_both("user,item,time" + std::string(1'000'000, ',') + "\n");
    try_both("user,item,time\nu,b,1" + std::string(1'000'000, ',') + "\n");
    try_both("user,item,time\n\"" + million);
    try_both(std::string(1'000'000, '\n'));
    std::string deep = "id,title\n1,";
    for (int i = 0; i < 100'000; ++i) deep += "<div>";
    try_both(deep + "\n");
    ItemFileOptions columns;
    columns.remove_html = true;
    const ItemFile nested = take(ItemFile::read(folder.write("deep.csv", deep + "text\n"), columns));
    CHECK(nested.rows()[0].text == "text");
    const auto open =
        ItemFile::read(folder.write("open.csv", "id,title\n1,a <b " + std::string(1'000'000, 'x')), columns);
    CHECK(open.ok());
}
