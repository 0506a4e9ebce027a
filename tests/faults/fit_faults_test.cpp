// Logs, item files and fitted models where memory is refused, and where the bytes are anything at all: a value or an Error that
// names the file, in memory that the file pays for.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "counting/helpers.hpp"
#include "faults/refuse_each.hpp"
#include "fit/fit_log.hpp"
#include "heap_counters.hpp"
#include "io/temporary_folder.hpp"
#include "kernels/reference.hpp"
#include "ranklet/catalog/file.hpp"
#include "ranklet/counting/transitions_file.hpp"
#include "ranklet/explain/explain.hpp"
#include "ranklet/fit/closed_form.hpp"
#include "ranklet/fit/event_log.hpp"
#include "ranklet/fit/fit.hpp"
#include "ranklet/fit/html_text.hpp"
#include "ranklet/fit/item_file.hpp"
#include "ranklet/fit/refit.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

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

#if defined(__linux__)
TEST_CASE("a log that is sorted on the disk says so too, and leaves no file open") {
    const ranklet_test::TemporaryFolder folder;
    std::string text = "user\titem\ttime\trating\n";  // more than a mebibyte has room for
    for (unsigned e = 0; e < 27'000; ++e)
        text +=
            std::to_string(e * 7 % 13) + '\t' + std::to_string(e * e % 17) + '\t' + std::to_string(e % 1000) + "\t5\n";
    const std::string path = folder.write("events.tsv", text);
    EventLogOptions options;
    options.memory_bytes = std::size_t{1} << 20;
    options.max_events_per_user = 100;
    options.temporary_folder = folder.path();
    REQUIRE(take(EventLog::read(path, options)).report().runs > 1);
    const auto open_files = [] {
        std::size_t count = 0;
        for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
            count += entry.is_symlink() ? 1u : 0u;
        return count;
    };
    const std::size_t before = open_files();
    refuse_each("EventLog::read on the disk", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const EventLog log, EventLog::read(path, options));
        return told(log);
    });
    CHECK(open_files() == before);
}
#endif

TEST_CASE("closed forms, choosing, dislikes and a file to compare with say out_of_memory, on one thread and two") {
    WalkLog log(30, 40);
    log.rate([](std::size_t e) { return e % 5 == 0 ? 1.0f : 5.0f; });
    std::vector<std::span<const std::uint32_t>> sequences;
    for (std::size_t u = 0; u < log.users.size(); ++u)
        sequences.push_back(std::span(log.item).subspan(log.offsets[u], log.offsets[u + 1] - log.offsets[u]));
    std::vector<std::string> ids;
    for (const std::size_t threads : {1u, 2u}) {
        const auto solved = [](const Result<ClosedForm>& form) -> Result<std::string> {
            if (!form.ok()) return form.error();
            Bytes bytes;
            for (const float strength : form->transitions.all().strengths) bytes << strength;
            return bytes;
        };
        RidgeOptions ridge;
        ridge.threads = ranklet_test::finely(threads);
        const auto prepare = [&] { ids = log.ids; };
        refuse_each(
            "ridge_next_item", [&] { return solved(ridge_next_item(sequences, std::move(ids), ridge)); }, prepare);
        EaseOptions sets;
        sets.threads = ranklet_test::finely(threads);
        refuse_each("ease", [&] { return solved(ease(sequences, std::move(ids), sets)); }, prepare);
    }
    const GgufFile encoder = take(GgufFile::open("tests/parity/goldens/tiny-minilm.gguf"));
    const GgufFile running = take(GgufFile::open("tests/parity/goldens/tiny-fitted.gguf"));
    FitOptions options;
    options.choose = false;
    options.running = &running;
    options.dislike_below = 3.0f;
    options.counting.half_life = 1e6;
    options.most_cases = 5;
    const auto fitted = [&](const WalkLog& of) -> Result<std::string> {
        RANKLET_ASSIGN(const FitResult result, fit(encoder, of.items, of.view(), options));
        return told(result.model) << result.counts.events() << result.report.over_running.running.ndcg;
    };
    constexpr long loading = 2000;  // what is refused before is refused above
    const auto later = [&](const char* name, const WalkLog& of) {
        refuse_each(name, [&] { return fitted(of); }, [] {}, [] { return true; }, loading);
    };
    later("fit beside one that runs", log);
    const WalkLog small(6, 6);
    options = {};
    later("fit, choosing", small);
    options.choose = false;
    options.threads = ranklet_test::finely(2);
    later("fit on two threads", small);
}

TEST_CASE("a fitted model, its users and catalogs say out_of_memory wherever an allocation is refused") {
    const ranklet_test::TemporaryFolder folder;
    const std::string path = "tests/parity/goldens/tiny-fitted.gguf", catalog_path = folder.path() + "/catalog.gguf";
    refuse_each("load", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const Recommender model, Recommender::load(path));
        return Bytes() << model.fingerprint();
    });
    const auto bytes = ranklet_test::read_bytes(path);
    std::vector<std::byte> moved(bytes.size() + 1);  // numbers that do not lie as numbers must are copied
    std::copy(bytes.begin(), bytes.end(), moved.begin() + 1);
    const GgufFile shifted = take(GgufFile::from_memory(std::span(moved).subspan(1), "shifted"));
    refuse_each("read_transitions", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const Transitions table, read_transitions(shifted, "ranklet.transitions.1."));
        Bytes granted;
        for (const float strength : table.all().strengths) granted << strength;
        return granted << table.id(2);
    });
    const Recommender model = take(Recommender::load(path));
    const std::vector<Item> items{
        {"item-1", "a red phone, with a name of some length"}, {"item-2", "book"}, {"商品-0", "手机"}};
    const Catalog catalog = take(model.encode_catalog(items));
    ranklet_test::succeed(save_catalog(catalog, catalog_path));
    refuse_each("load_catalog", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const Catalog loaded, model.load_catalog(catalog_path));
        return Bytes() << loaded << loaded.signals()->rows[0];
    });
    refuse_each("with signals that are bound", [&]() -> Result<std::string> {
        const Bytes granted;
        BoundSignals bound = *catalog.signals();
        RANKLET_ASSIGN(const Catalog other, catalog.with(std::move(bound)));
        return Bytes() << other.signals()->rows[1];
    });
    const std::vector<Item> added{{"one more, with an id of some length", "boat"}};
    refuse_each("update_catalog", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const Catalog changed, update_catalog(model, catalog, {.add = added}));
        return Bytes() << changed << changed.signals()->rows[0];
    });
    auto before = model.new_user("somebody with a long name, too long for a string's own memory");
    for (const std::size_t item : {0u, 1u}) ranklet_test::succeed(before.observe(catalog[item]));
    const auto state = before.save();
    auto user = before;
    refuse_each(
        "observe",
        [&]() -> Result<std::string> {
            RANKLET_TRY(user.observe(catalog[2], 4.0f));
            const Bytes granted;
            return told(user.save());
        },
        [&] { user = before; }, [&] { return user.save() == state; });
    refuse_each("load_user", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const auto loaded, model.load_user(state));
        const Bytes granted;
        return told(loaded.save());
    });
    refuse_each("replay_user", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const auto again, model.replay_user(before.state(), catalog));
        const Bytes granted;
        return told(again.save());
    });
    Recommender::Workspace workspace;
    for (const std::size_t threads : {1u, 2u}) {
        RecommendOptions options;
        options.threads = ranklet_test::finely(threads);
        refuse_each(
            "recommend",
            [&]() -> Result<std::string> {
                RANKLET_ASSIGN(const auto ranked, model.recommend(before, catalog, options, workspace));
                Bytes made;
                for (const Recommendation& each : ranked) made << each.id << each.score << each.probability;
                return made;
            },
            [&] { workspace = Recommender::Workspace(); });
        refuse_each("scores_of", [&]() -> Result<std::string> {
            const std::size_t some[]{2, 0};
            RANKLET_ASSIGN(const auto scores, model.scores_of(before, catalog, some, {ranklet_test::finely(threads)}));
            return Bytes() << scores;
        });
    }
    refuse_each("similar", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const auto ranking, model.similar("item-2", catalog));
        Bytes made;
        for (const Recommendation& each : ranking) made << each.id << each.score;
        return made;
    });
    ExplainOptions words;
    words.text = items[2].text;
    refuse_each("explain", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const auto why, explain(model, before, catalog, "商品-0", words));
        Bytes made;
        for (const auto& part : why.parts) made << part.name << part.contribution;
        for (const auto& event : why.events) made << event.id << event.contribution << event.times;
        for (const auto& word : why.text) made << word.text << word.contribution;
        return made << why.score;
    });
}

TEST_CASE("a log or an item file of any bytes is read, or an Error that names the file, in memory that it pays for") {
    const ranklet_test::TemporaryFolder folder;
    std::size_t read = 0, refused = 0;
    const auto write = [&](const std::string& content) {
        std::remove(
            (folder.path() + "/file").c_str());  // some file systems wait for the disk where a file is written over
        return folder.write("file", content);
    };
    // Bytes that both readers may take for each of the file's.
    const auto try_both = [&](const std::string& content, std::size_t times = 128) {
        const std::string path = write(content);
        const std::size_t before = ranklet_test::heap_bytes;
        ranklet_test::most_heap_bytes = before;
        for (const bool skip : {false, true}) {
            EventLogOptions options;
            options.skip_bad_lines = skip;
            const auto log = EventLog::read(path, options);
            ItemFileOptions columns = item_columns();
            columns.id = "1";
            columns.texts = {"2"};
            columns.attributes = {{"2", "tags", ItemAttributeColumn::Kind::tags, "|"}};
            columns.skip_bad_lines = skip;
            const auto items = ItemFile::read(path, columns);
            ++(log.ok() ? read : refused);
            ++(items.ok() ? read : refused);
            for (const auto& [ok, error] : {std::pair(log.ok(), log.ok() ? nullptr : &log.error()),
                                            std::pair(items.ok(), items.ok() ? nullptr : &items.error())}) {
                if (ok) continue;
                CHECK_MESSAGE(error->message.rfind(path + ": ", 0) == 0, error->message);
                CHECK_MESSAGE(error->message.size() < 4000, error->message);
                if (error->code == ErrorCode::format) {  // a line, unless it is about the file as a whole
                    const std::string_view what = std::string_view(error->message).substr(path.size() + 2);
                    CHECK_MESSAGE((what.rfind("line ", 0) == 0 || what.rfind("no ", 0) == 0 ||
                                   what.rfind("UTF-16", 0) == 0 || what.rfind("a compressed file", 0) == 0),
                                  error->message);
                }
            }
            if (items.ok())
                for (const ItemRow& row : items->rows())
                    for (const ItemAttribute& each : row.attributes) CHECK(!each.tags.empty());
            if (!log.ok()) continue;
            for (std::size_t u = 0; u < log->users().size(); ++u) {
                const UserEvents own = log->events(u);
                CHECK(!log->users()[u].empty());
                CHECK(own.size() > 0);
                for (std::size_t e = 0; e < own.size(); ++e) {
                    REQUIRE(own.items[e] < log->items().size());
                    CHECK(std::isfinite(own.times[e]));
                    if (e > 0) CHECK(own.times[e - 1] <= own.times[e]);
                }
            }
        }
        // The readers' own buffers aside.
        CHECK(ranklet_test::most_heap_bytes - before <= times * content.size() + (8u << 20));
    };
    const auto in_other_form = [](std::string text, std::string_view separator) {
        std::string other;
        for (const char c : text) other += c == ',' ? std::string(separator) : std::string(1, c);
        return other;
    };
    const std::string forms[]{
        events_text, items_text, in_other_form(events_text, "\t"), in_other_form(items_text, "::"),
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t10\t5\t8.8e8\n2\t10\t\t881250949\n"};
    for (const std::string& form : forms)
        for (std::size_t size = 0; size <= form.size(); ++size) try_both(form.substr(0, size));
    constexpr std::string_view parts[] = {",",
                                          "\"",
                                          "\n",
                                          "\r\n",
                                          "\r",
                                          "\t",
                                          "::",
                                          "|",
                                          "1e999",
                                          "nan",
                                          "-0",
                                          "inf",
                                          "99999999999999999999",
                                          "2019-11-12T02:14:46+08:00",
                                          "300000-01-01",
                                          "\xff\xfe",
                                          "\xed\xa0\x80",
                                          "\xEF\xBB\xBF",
                                          std::string_view("\0", 1),
                                          "手",
                                          "<b",
                                          "<!--",
                                          "&#x110000;",
                                          "user_id:token",
                                          "-1",
                                          "  "};
    for (std::uint64_t seed = 0; seed < 2000; ++seed) {
        Random random(seed);
        std::string content = random.below(5) == 0 ? std::string() : forms[random.below(std::size(forms))];
        for (std::size_t edits = 1 + random.below(8); edits-- > 0;) {
            const std::size_t at = random.below(content.size() + 1);
            if (random.below(3) == 0 && !content.empty())
                content[at % content.size()] = static_cast<char>(random.below(256));
            else
                content.insert(at, parts[random.below(std::size(parts))]);
        }
        if (random.below(20) == 0)  // nothing but chance
            for (std::size_t bytes = random.below(300); bytes-- > 0;) content += static_cast<char>(random.below(256));
        try_both(content);
    }
    CHECK(read > 1000);
    CHECK(refused > 1000);

    // Very large in one place.
    const std::string million(1'000'000, 'a'), commas(1'000'000, ',');
    try_both("user,item,time\n" + million + ",b,1\n", 8);
    try_both("user,item,time\nu,b," + million + "\n", 8);
    try_both("user,item," + million + "\nu,b,1\n", 8);
    try_both("user,item,time" + commas + "\n", 8);
    try_both("user,item,time\nu,b,1" + commas + "\n", 8);
    try_both("user,item,time\nu,b,\"1\"" + commas + "\n", 8);
    try_both("user,item,time\n\"" + million, 8);
    try_both("user,item,time\n\"" + std::string(1'000'000, '\n'), 8);
    try_both(million, 8);
    try_both(std::string(1'000'000, '"'), 8);
    try_both(std::string(1'000'000, '\0'), 8);
    try_both(std::string(1'000'000, '\n'), 8);
    try_both(std::string(1'000'000, '\r'), 8);
    std::string tags = "user,item\nu,";
    for (int i = 0; i < 150'000; ++i) tags += std::to_string(i) + '|';
    try_both(tags + '\n', 32);
}

TEST_CASE("fields that are nearly right: the right value, or an Error that names the line") {
    const ranklet_test::TemporaryFolder folder;
    std::size_t file = 0;
    const auto said = [](const std::string& field, const auto& result, std::string_view part) {
        CAPTURE(field);
        ranklet_test::check_error(result, ErrorCode::format, part);
    };
    const auto read = [&](const std::string& time, TimeUnit unit = TimeUnit::automatic) {
        EventLogOptions options;
        options.time_unit = unit;
        return EventLog::read(folder.write(std::to_string(++file), "user,item,time\nu,a," + time + "\n"), options);
    };
    const auto time_of = [&](const std::string& time, TimeUnit unit = TimeUnit::automatic) {
        return take(read(time, unit)).events(0).times[0];
    };
    CHECK(time_of("-0") == 0);
    CHECK(time_of(" 17 ") == 17);
    CHECK(time_of("+17") == 17);
    CHECK(time_of("8.8e8") == 880'000'000);
    CHECK(time_of("-86400") == -86400);
    CHECK(time_of("1969-12-31") == -86400);
    CHECK(time_of("0000-03-01") == -62162035200);
    CHECK(time_of("9999-12-31T23:59:60Z") == 253402300800);
    CHECK(time_of("9400000000000") == 9.4e9);  // milliseconds of 2267, not seconds of the year 299,847
    CHECK(time_of("9400000000000", TimeUnit::seconds) == 9.4e12);
    for (const char* wrong :
         {"1e999", "-1e999", "1e-999", "nan", "inf", "-inf", "0x10", "1,0", "", "--1", "+-1", "1 2", "1e", "１"})
        said(wrong, read(wrong), "line 2");
    for (const char* wrong : {"300000-01-01", "2019-02-29", "2019-13-01", "2019-11-12T24:00",
                              "2019-11-12T02:14:46+99:00", "2019-11-12T", "2019-1-1"})
        said(wrong, read(wrong, TimeUnit::iso8601), "line 2, column 3 (\"time\")");
    ranklet_test::check_error(read("9400000000000000000"), ErrorCode::unsupported, "line 2");

    const auto user = [&](const std::string& id) {
        return EventLog::read(folder.write(std::to_string(++file), "user,item\n" + id + ",a\n"));
    };
    CHECK(take(user(std::string(1024, 'u'))).users()[0].size() == 1024);
    CHECK(take(user(" ")).users()[0] == " ");
    for (const std::string& wrong :
         {std::string(), std::string("\"\""), std::string(1025, 'u'), std::string(2000, 'u'), std::string("\0", 1),
          std::string("a\0b", 3), std::string("\xC0\x80"), std::string("\xF5")})
        said(wrong, user(wrong), "line 2, column 1 (\"user\")");
    const auto price = [&](const std::string& number) {
        ItemFileOptions options;
        options.attributes = {{"price", {}, ItemAttributeColumn::Kind::number, "|"}};
        return ItemFile::read(folder.write(std::to_string(++file), "id\tprice\n1\t" + number + "\n"), options);
    };
    CHECK(take(price("-0")).rows()[0].attributes[0].number == 0);
    CHECK(take(price("1e308")).rows()[0].attributes[0].number == 1e308);
    for (const char* wrong : {"1e999", "nan", "Infinity", "1.5.2", "five"})
        said(wrong, price(wrong), "line 2, column 2 (\"price\")");
    // What is told of a field, or of a column's name, is a little of it.
    const auto longest = read(std::string(100'000, '9'));
    ranklet_test::check_error(longest, ErrorCode::format, "999...\" is no time");
    CHECK(longest.error().message.size() < 300);
    EventLogOptions nobody;
    nobody.user = "nobody";
    std::string header = "user,item";
    for (int c = 0; c < 60'000; ++c) header += ",column" + std::to_string(c);
    const auto many = EventLog::read(folder.write("many", header + "\n"), nobody);
    ranklet_test::check_error(many, ErrorCode::missing,
                              "no column \"nobody\" for users; there are: \"user\", \"item\", \"column0\"");
    ranklet_test::check_error(many, ErrorCode::missing, "and 59952 more");
    CHECK(many.error().message.size() < 1500);

    // A program hands over what it likes.
    const WalkLog log(20, 15);
    const GgufFile encoder = take(GgufFile::open("tests/parity/goldens/tiny-minilm.gguf"));
    const auto refused = [&](auto change, std::string_view part) {
        WalkLog changed = log;
        change(changed);
        ranklet_test::check_error(fit(encoder, changed.items, changed.view()), ErrorCode::invalid_argument, part);
    };
    for (const double time : {9.4e12, -1e300, HUGE_VAL, std::nan("")})
        refused([&](WalkLog& l) { l.time[15] = time; }, "event 15 of user \"u1\" has the time ");
    refused([](WalkLog& l) { l.users[3].clear(); }, "user 3 has no id");
    refused([](WalkLog& l) { l.ids[3].clear(); }, "item 3 has an id of 0 bytes");
    refused([](WalkLog& l) { l.ids[3].assign(2000, 'x'); }, "item 3 has an id of 2000 bytes");
}

TEST_CASE("HTML that nests without end, or never ends, costs what its size does") {
    const auto repeated = [](std::string_view part, std::size_t times) {
        std::string text;
        while (times-- > 0) text += part;
        return text;
    };
    // Each of these took the square of its size in work, a minute and more, where a beginning was followed to the text's end.
    for (const std::string_view part : {"<a", "<!--", "<a='", "<a='<a=\"", "<a b=\"", "</", "<!", "<script>",
                                        "<script></", "&#1", "&#x", "&a", "<style>"}) {
        const std::string text = repeated(part, 400'000);
        CAPTURE(std::string(part));
        const bool hides = part == "<script>" || part == "<style>" || part == "<script></";
        CHECK(without_html(text) == (hides ? std::string() : text));
        CHECK(without_html(text + " <b>end</b>").size() <= text.size() + 11);
    }
    CHECK(without_html(repeated("<div>", 100'000) + "text" + repeated("</div>", 100'000)) == "text");
    CHECK(without_html("<a <b x=\"<c> y") == "<a <b x=\" y");
    CHECK(without_html("<a x=\"<b>y</b>") == "<a x=\"y");  // nothing closes the quote: the tags behind it are tags
    CHECK(without_html("<!-- <!-- <i>x</i>") == "<!-- <!-- x");
    CHECK(without_html("<a <b x='>' y=\"'>\">z <c") == "z <c");
    // Against rules that look at each '<' alone.
    const auto ends_at = [](std::string_view text, std::size_t at) {
        std::size_t end = at + 1 + (text.size() > at + 1 && text[at + 1] == '/' ? 1 : 0);
        if (end >= text.size() || text[end] < 'a' || text[end] > 'z') return std::string_view::npos;
        char quote = 0;
        for (++end; end < text.size(); ++end) {
            if (quote != 0)
                quote = text[end] == quote ? '\0' : quote;
            else if ((text[end] == '"' || text[end] == '\'') && text[end - 1] == '=')
                quote = text[end];
            else if (text[end] == '>')
                return end;
        }
        return std::string_view::npos;
    };
    for (std::uint64_t seed = 0; seed < 3000; ++seed) {
        Random random(seed);
        std::string text, expected;
        for (std::size_t size = random.below(40); size-- > 0;) text += "<<>>ab/='\"="[random.below(11)];
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = text[at] == '<' ? ends_at(text, at) : std::string_view::npos;
            if (end == std::string_view::npos)
                expected += text[at++];
            else
                at = end + 1;
        }
        CAPTURE(text);
        std::string found = without_html(text);  // blanks in the place of tags aside
        found.erase(std::remove(found.begin(), found.end(), ' '), found.end());
        CHECK(found == expected);
    }
}
