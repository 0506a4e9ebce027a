// Logs as they are.
#include "ranklet/fit/event_log.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "io/temporary_folder.hpp"

using ranklet::ErrorCode;
using ranklet::EventLog;
using ranklet::EventLogOptions;
using ranklet::TimeUnit;
using ranklet::detail::parse_iso8601;

namespace {

// "user: item@time item@time; user: ..."
std::string told(const EventLog& log) {
    std::string text;
    for (std::size_t u = 0; u < log.users().size(); ++u) {
        const auto events = log.events(u);
        text += (u > 0 ? "; " : "") + log.users()[u] + ":";
        for (std::size_t i = 0; i < events.size(); ++i) {
            const double time = events.times[i];
            std::string number = std::to_string(time);
            number.erase(number.find_last_not_of('0') + 1);
            if (number.back() == '.') number.pop_back();
            text += " " + log.items()[events.items[i]] + "@" + number;
        }
    }
    return text;
}

std::string read(const ranklet_test::TemporaryFolder& folder, const std::string& content,
                 const EventLogOptions& options = {}) {
    const auto log = EventLog::read(folder.write("log", content), options);
    return log.ok() ? told(*log) : log.error().message;
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

double iso(const char* text) {
    double seconds = std::nan("");
    return parse_iso8601(text, seconds) ? seconds : std::nan("");
}

}  // namespace

TEST_CASE("a log is sorted by user and time; equal times stay in the file's order; the same event counts once") {
    const ranklet_test::TemporaryFolder folder;
    const auto log = EventLog::read(folder.write("a.inter",
                                                 "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
                                                 "u\tc\t3\t881250949\n"
                                                 "v\ta\t1\t881250940\n"
                                                 "u\tb\t\t881250949\n"
                                                 "u\ta\t5\t881250900\n"
                                                 "u\tc\t4\t881250949\n"
                                                 "\r\n"
                                                 "u\tc\t2\t881250950"));
    REQUIRE(log.ok());
    CHECK(told(*log) == "u: a@881250900 c@881250949 b@881250949 c@881250950; v: a@881250940");
    const auto ratings = log->events(0).ratings;
    CHECK(ratings[0] == 5);
    CHECK(ratings[1] == 3);  // of the first of the two
    CHECK(std::isnan(ratings[2]));
    const auto& report = log->report();
    CHECK(report.user_column == "user_id:token");
    CHECK(report.time_column == "timestamp:float");
    CHECK(report.rating_column == "rating:float");
    CHECK(report.separator == "\t");
    CHECK(report.unit == TimeUnit::seconds);
    CHECK(report.lines == 8);
    CHECK(report.records == 6);
    CHECK(report.events == 5);
    CHECK(report.duplicates == 1);
    CHECK(report.out_of_order == 1);
    CHECK(report.equal_times == 1);
    CHECK(report.rated == 4);
    CHECK(report.single_event_users == 1);
    CHECK(report.first_time == 881250900);
    CHECK(report.last_time == 881250950);
    CHECK(log->find_item("b") == 2);
    CHECK(log->find_user("v") == 1);
    CHECK(log->find_item("z") == log->items().size());
}

TEST_CASE("columns are guessed from usual names, or stated by name or number") {
    const ranklet_test::TemporaryFolder folder;
    CHECK(read(folder, "userId,movieId,rating,timestamp\n1,7,4.0,964982703\n") == "1: 7@964982703");
    CHECK(read(folder, "overall;asin;reviewerID;unixReviewTime\n5;B1;A1;1529193600\n") == "A1: B1@1529193600");
    CHECK(read(folder, "who,what\n1,7\n", {.user = "who", .item = "what"}) == "1: 7@0");
    CHECK(read(folder, "1::7::5::978300760\n1::8::3::978300750\n",
               {.user = "1", .item = "2", .time = "4", .rating = "3"}) == "1: 8@978300750 7@978300760");
    CHECK(read(folder, "x,item_id,y\n1,7,3\n", {.user = "1", .item = "2"}) == "1: 7@0");  // a header after all
    CHECK(read(folder, "user,item,time\n1,7,3\n1,8,2\n", {.time = "-"}) == "1: 7@0 8@1");
    CHECK(holds(read(folder, "who,item\n1,7\n"), "the users: state one of \"who\", \"item\""));
    CHECK(holds(read(folder, "user,item\n1,7\n", {.time = "when"}), "no column \"when\" for times"));
    CHECK(holds(read(folder, "user,item\n1,7\n", {.item = "user"}), "cannot be two of"));
}

TEST_CASE("times are seconds, milliseconds or microseconds, all of a file alike") {
    const ranklet_test::TemporaryFolder folder;
    const std::string header = "user,item,time\n";
    CHECK(read(folder, header + "1,a,1600000000.5\n1,b,0\n") == "1: b@0 a@1600000000.5");
    CHECK(read(folder, header + "1,a,1600000000500\n1,b,0\n") == "1: b@0 a@1600000000.5");
    CHECK(read(folder, header + "1,a,1600000000500000\n") == "1: a@1600000000.5");
    CHECK(read(folder, header + "1,a,5\n1,b,-3\n1,c, +4 \n") == "1: b@-3 c@4 a@5");
    CHECK(read(folder, header + "1,a,1600000000500\n", {.time_unit = TimeUnit::seconds}) == "1: a@1600000000500");
    const std::string mixed = read(folder, header + "1,a,1600000000\n1,b,1600000000500\n");
    CHECK(holds(mixed, "line 2: the time 1600000000.000000 looks like seconds, but that of line 3"));
    CHECK(read(folder, header + "1,a,1600000000\n1,b,1600000000500\n", {.time_unit = TimeUnit::milliseconds}) ==
          "1: a@1600000 b@1600000000.5");
    CHECK(holds(read(folder, header + "1,a,1600000000500000000\n"), "beyond microseconds"));
    CHECK(holds(read(folder, header + "1,a,20200131\n1,b,20191231\n"), "looks like a date"));
    for (const char* wrong : {"", "x", "nan", "inf", "1e999", "1 2", "++1", "0x10", "11/12/2019 2:14:46 PM"})
        CHECK(holds(read(folder, header + "1,a," + wrong + "\n"),
                    "line 2, column 3 (\"time\"): \"" + std::string(wrong)));
}

TEST_CASE("times in ISO 8601, with a zone or in UTC") {
    CHECK(iso("1970-01-01") == 0);
    CHECK(iso("2019-11-12T02:14:46Z") == 1573524886);
    CHECK(iso("2019-11-12 02:14:46") == 1573524886);
    CHECK(iso("2019-11-12t02:14") == 1573524840);
    CHECK(iso("2019-11-12T02:14:46.25+08:00") == 1573524886.25 - 8 * 3600);
    CHECK(iso("2019-11-12T02:14:46,5-0330") == 1573524886.5 + 3.5 * 3600);
    CHECK(iso("2019-11-12T02:14:46+08") == 1573524886 - 8 * 3600);
    CHECK(iso("2000-02-29") == 951782400);
    CHECK(iso("1969-12-31T23:59:59Z") == -1);
    CHECK(iso("0000-03-01") == -62162035200);
    CHECK(iso("2016-12-31T23:59:60Z") == 1483228800);
    for (const char* wrong : {"",
                              "2019",
                              "2019-11",
                              "2019-11-1",
                              "2019-13-01",
                              "2019-00-01",
                              "2019-02-29",
                              "1900-02-29",
                              "2019-11-31",
                              "2019-11-12T",
                              "2019-11-12T02",
                              "2019-11-12T24:00",
                              "2019-11-12T02:60",
                              "2019-11-12T02:14:61",
                              "2019-11-12T02:14:46.",
                              "2019-11-12T02:14:46+",
                              "2019-11-12T02:14:46+8",
                              "2019-11-12T02:14:46+08:0",
                              "2019-11-12T02:14:46ZZ",
                              "2019-11-12X02:14",
                              "-019-11-12",
                              "2019-11-12Z"})
        CHECK_MESSAGE(std::isnan(iso(wrong)), wrong);
    const ranklet_test::TemporaryFolder folder;
    CHECK(read(folder, "user,item,time\n1,a,2019-11-12T02:14:46Z\n1,b,2019-11-12\n") == "1: b@1573516800 a@1573524886");
    CHECK(holds(read(folder, "user,item,time\n1,a,2019-11-12\n1,b,17\n"),
                "line 3, column 3 (\"time\"): \"17\" is no time, "
                "expected ISO 8601, as the first line has"));
    CHECK(holds(read(folder, "user,item,time\n1,a,17\n1,b,2019-11-12\n"), "expected a number"));
}

TEST_CASE("bad lines are errors with their place, or counted and left out") {
    const ranklet_test::TemporaryFolder folder;
    const std::string header = "user,item,rating\n1,a,5\n";
    const struct {
        std::string line, place;
    } bad[]{{"1,b", "line 3: 2 columns, expected 3"},
            {"1", "line 3: 1 column, expected 3"},
            {"1,b,5,", "line 3: 4 columns, expected 3"},
            {",b,5", "line 3, column 1 (\"user\"): an empty id"},
            {"1,,5", "line 3, column 2 (\"item\"): an empty id"},
            {"1,b\xE9,5", "line 3, column 2 (\"item\"): byte 1 of the id is not UTF-8"},
            {std::string("1\0,b,5", 6), "line 3, column 1 (\"user\"): byte 1"},
            {"1," + std::string(1025, 'x') + ",5", "an id of 1025 bytes"},
            {"1,b,good", "line 3, column 3 (\"rating\"): \"good\" is no rating"}};
    for (const auto& [line, place] : bad) {
        const std::string content = header + line + "\n2,c,1\n";
        CHECK_MESSAGE(holds(read(folder, content), place), read(folder, content));
        const auto log = EventLog::read(folder.write("log", content), {.skip_bad_lines = true});
        REQUIRE(log.ok());
        CHECK(told(*log) == "1: a@0; 2: c@2");
        CHECK(log->report().bad_lines == 1);
        CHECK(holds(log->report().first_bad_line, place));
        CHECK(log->report().records == 3);
    }
    // An unused column may hold anything.
    CHECK(read(folder, "user,item,note\n1,a,\xE9\n") == "1: a@0");
    for (const char* nothing : {"", "\n", "user,item\n", "\xEF\xBB\xBF"})
        CHECK(holds(read(folder, nothing), "no events"));
    CHECK(
        holds(read(folder, "user,item\n1\n", {.skip_bad_lines = true}), "no events; the first line that was left out"));
    CHECK(!EventLog::read(folder.path(), {}).ok());
}

TEST_CASE("of a robot the newest events are kept") {
    const ranklet_test::TemporaryFolder folder;
    std::string content = "user,item,time\n";
    for (int i = 20'000; i-- > 0;) content += "robot,i" + std::to_string(i % 7) + "," + std::to_string(i) + "\n";
    content += "human,i1,5\nhuman,i2,6\n";
    const auto log = EventLog::read(folder.write("log", content), {.max_events_per_user = 3});
    REQUIRE(log.ok());
    CHECK(told(*log) == "robot: i5@19997 i6@19998 i0@19999; human: i1@5 i2@6");
    CHECK(log->report().over_limit == 19'997);
    CHECK(log->report().users_over_limit == 1);
    CHECK(log->report().out_of_order == 19'999);
    CHECK(log->report().events == 5);
}

TEST_CASE("a log that does not fit into its memory is sorted on the disk, to the same events") {
    const ranklet_test::TemporaryFolder folder;
    std::string content = "user,item,time,rating\n";
    std::uint64_t state = 7;
    const auto random = [&](std::uint64_t n) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return (state >> 33) % n;
    };
    for (int i = 0; i < 120'000; ++i)
        content += std::to_string(random(300)) + ",i" + std::to_string(random(50)) + "," + std::to_string(random(400)) +
                   "," + std::to_string(random(5)) + "\n";
    const std::string path = folder.write("log", content);
    const EventLogOptions in_memory{.max_events_per_user = 350};
    EventLogOptions on_disk = in_memory;
    on_disk.memory_bytes = std::size_t{1} << 20;  // 26,214 events
    on_disk.temporary_folder = folder.path();
    const auto a = EventLog::read(path, in_memory), b = EventLog::read(path, on_disk);
    REQUIRE(a.ok());
    REQUIRE(b.ok());
    CHECK(a->report().runs == 0);
    CHECK(b->report().runs == 5);
    CHECK(a->report().duplicates > 100);
    CHECK(a->report().over_limit > 100);
    CHECK(a->report().duplicates == b->report().duplicates);
    CHECK(a->report().over_limit == b->report().over_limit);
    CHECK(a->report().equal_times == b->report().equal_times);
    CHECK(a->report().events + a->report().duplicates + a->report().over_limit == 120'000);
    CHECK((told(*a) == told(*b)));
    bool same = true;
    for (std::size_t u = 0; u < a->users().size(); ++u)
        for (std::size_t i = 0; i < a->events(u).size(); ++i)
            same = same && a->events(u).ratings[i] == b->events(u).ratings[i];
    CHECK(same);
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++files;
    CHECK(files == 1);  // the log
    on_disk.temporary_folder = folder.path() + "/none";
    const auto refused = EventLog::read(path, on_disk);
    REQUIRE(!refused.ok());
    CHECK(refused.error().code == ErrorCode::io);
    CHECK(holds(refused.error().message, "/none: no temporary file"));
    on_disk.memory_bytes = 1;
    CHECK(EventLog::read(path, on_disk).error().code == ErrorCode::invalid_argument);

    SUBCASE("it tells how far it is, and ends when asked") {
        std::uint64_t last = 0, of = 0;
        EventLogOptions told_of = in_memory;
        told_of.reading.progress = [&](std::uint64_t done, std::uint64_t total) { last = done, of = total; };
        CHECK(EventLog::read(path, told_of).ok());
        CHECK(last == content.size());
        CHECK(of == content.size());
        const std::atomic<bool> stop{true};
        told_of.reading.stop = stop;
        CHECK(EventLog::read(path, told_of).error().code == ErrorCode::stopped);
    }
}
