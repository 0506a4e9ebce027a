// Items' texts and attributes out of tables.
#include "ranklet/fit/item_file.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "io/temporary_folder.hpp"
#include "ranklet/fit/html_text.hpp"

using ranklet::EventLog;
using ranklet::ItemAttributeColumn;
using ranklet::ItemFile;
using ranklet::ItemFileOptions;
using ranklet::without_html;
using Kind = ranklet::ItemAttributeColumn::Kind;

namespace {

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string error_of(const std::string& path, const ItemFileOptions& options) {
    const auto file = ItemFile::read(path, options);
    return file.ok() ? "" : file.error().message;
}

}  // namespace

TEST_CASE("texts are put together as stated; columns become attributes; what is empty is not there") {
    const ranklet_test::TemporaryFolder folder;
    ItemFileOptions options;
    options.texts = {"title", "genres", "3"};
    options.between = ". ";
    options.attributes = {{.column = "genres", .name = "genre", .kind = Kind::tags},
                          {.column = "price", .kind = Kind::number},
                          {.column = "brand"}};
    const std::string path = folder.write("items.csv",
                                          "movieId,title,note,genres,price,brand\n"
                                          "1,\"Toy, Story\",fun,Animation|Children's||Animation,9.5,Nera\n"
                                          "2,  Heat ,,,, \n"
                                          "3,,,|,0,x\n");
    const auto file = ItemFile::read(path, options);
    REQUIRE(file.ok());
    REQUIRE(file->size() == 3);
    CHECK(file->rows()[0].text == "Toy, Story. Animation Children's Animation. fun");
    const auto& attributes = file->rows()[0].attributes;
    REQUIRE(attributes.size() == 3);
    CHECK(attributes[0].tags == std::vector<std::string>{"Animation", "Children's"});
    CHECK(attributes[1].number == 9.5);
    CHECK(attributes[2].text == "Nera");
    CHECK(file->attribute_names()[0] == "genre");
    CHECK(file->attribute_names()[1] == "price");
    CHECK(file->rows()[1].text == "Heat");
    CHECK(file->rows()[1].attributes.empty());
    CHECK(file->rows()[2].text == "");
    REQUIRE(file->rows()[2].attributes.size() == 2);
    CHECK(file->rows()[2].attributes[0].column == 1);
    CHECK(file->find("3") == 2);
    CHECK(file->find("4") == 3);
    CHECK(file->report().without_text == 1);
    CHECK(file->report().id_column == "movieId");
    CHECK(file->report().text_columns == std::vector<std::string>{"title", "genres", "note"});

    options.attributes[2].name = "genre";
    CHECK(holds(error_of(path, options), "two attributes are named \"genre\""));
    options.attributes = {{.column = "title", .kind = Kind::number}};
    CHECK(holds(error_of(path, options), "line 2, column 2 (\"title\"): \"Toy, Story\" is no number"));
    options.attributes = {{.column = "colour"}};
    CHECK(holds(error_of(path, options), "no column \"colour\" for attributes"));
    options.attributes = {{.column = "genres", .kind = Kind::tags, .tag_separator = ""}};
    CHECK(holds(error_of(path, options), "no tag_separator"));
}

TEST_CASE("usual columns are guessed: RecBole's items, and lines without a header by number") {
    const ranklet_test::TemporaryFolder folder;
    const auto recbole = ItemFile::read(
        folder.write("a.item", "item_id:token\tmovie_title:token_seq\trelease_year:token\n1\t\"Toy\" Story\t1995\n"));
    REQUIRE(recbole.ok());
    CHECK(recbole->rows()[0].text == "\"Toy\" Story");
    ItemFileOptions numbers;
    numbers.id = "1";
    numbers.texts = {"2", "3"};
    numbers.attributes = {{.column = "3", .kind = Kind::tags}};
    const auto dat =
        ItemFile::read(folder.write("movies.dat", "1::Toy Story (1995)::Animation|Comedy\n2::Heat::Crime\n"), numbers);
    REQUIRE(dat.ok());
    CHECK(dat->rows()[0].text == "Toy Story (1995) Animation Comedy");
    CHECK(dat->rows()[1].attributes[0].tags == std::vector<std::string>{"Crime"});
    CHECK(dat->attribute_names()[0] == "column 3");
    CHECK(holds(error_of(folder.write("b", "x,title\n1,a\n"), {}), "no column is known"));
    CHECK(holds(error_of(folder.write("c", ""), {}), "no items"));
    CHECK(holds(error_of(folder.write("d", "id,title\n"), {}), "no items"));
}

TEST_CASE("an id that comes again: its last record counts, and the report says so") {
    const ranklet_test::TemporaryFolder folder;
    const auto file = ItemFile::read(folder.write("a", "id,title\na,one\nb,two\na,one\na,three\nb,four\n"));
    REQUIRE(file.ok());
    REQUIRE(file->size() == 2);
    CHECK(file->rows()[0].text == "three");
    CHECK(file->rows()[1].text == "four");
    CHECK(file->report().repeated == 3);
    CHECK(file->report().changed == 2);
    CHECK(file->report().first_changed == 5);
    CHECK(file->report().records == 5);
}

TEST_CASE("bad lines of items are errors with their place, or counted") {
    const ranklet_test::TemporaryFolder folder;
    for (const auto& [line, place] : std::vector<std::pair<std::string, std::string>>{
             {"x", "line 3: 1 column, expected 2"},
             {",x", "line 3, column 1 (\"id\"): an empty id"},
             {"b,caf\xE9", "line 3, column 2 (\"title\"): byte 3 is not UTF-8"},
             {"b\x80,x", "line 3, column 1 (\"id\"): byte 1 is not UTF-8"},
             {std::string(1025, 'b') + ",x", "an id of 1025 bytes"}}) {
        const std::string path = folder.write("a", "id,title\na,one\n" + line + "\nc,three\n");
        CHECK_MESSAGE(holds(error_of(path, {}), place), error_of(path, {}));
        const auto file = ItemFile::read(path, {.skip_bad_lines = true});
        REQUIRE(file.ok());
        CHECK(file->size() == 2);
        CHECK(file->report().bad_lines == 1);
        CHECK(holds(file->report().first_bad_line, place));
    }
}

TEST_CASE("items without events and events without items are counted") {
    const ranklet_test::TemporaryFolder folder;
    const auto log = EventLog::read(folder.write("log", "user,item\n1,a\n1,x\n2,x\n2,y\n"));
    const auto items = ItemFile::read(folder.write("items", "id,title\na,A\nb,B\nc,C\n"));
    REQUIRE(log.ok());
    REQUIRE(items.ok());
    const auto match = ranklet::match_items(*log, *items);
    CHECK(match.ids_without_item == 2);
    CHECK(match.events_without_item == 3);
    CHECK(match.items_without_event == 2);
    CHECK(match.first_id_without_item == "x");
}

TEST_CASE("HTML goes, and what only looks like it stays") {
    CHECK(without_html("Fish &amp; Chips") == "Fish & Chips");
    CHECK(without_html("&lt;b&gt; &amp;lt; &quot;&#39;&apos;") == "<b> &lt; \"''");
    CHECK(without_html("<p>one</p><p class=\"a>b\">two<br/>three</p>") == "one two three");
    CHECK(without_html("<B>bold</B>ed <a href='x'>li</a>nk") == "bolded link");
    CHECK(without_html("caf&eacute;&nbsp;&#x43;&#67; &euro;5&#8211;&#146;&mdash;&shy;") ==
          "caf\u00E9 CC \u20AC5\u2013\u2019\u2014");
    CHECK(without_html("a < b, 3<4, <3, x<y") == "a < b, 3<4, <3, x<y");
    CHECK(without_html("AT&T &unknown; &; &#; &#x; &#12 & &amp") == "AT&T &unknown; &; &#; &#x; &#12 & &amp");
    CHECK(without_html("&#0;&#xD800;&#99999999999;") == "\uFFFD\uFFFD\uFFFD");
    CHECK(without_html("x<!-- <b> -->y<!doctype html>z<!-- open") == "x y z<!-- open");
    CHECK(without_html("a<script>if (1 < 2) alert('<p>')</SCRIPT>b<style>p {}</style>c") == "a b c");
    CHECK(without_html("a<script>never closed") == "a");
    CHECK(without_html("  two\n\tlines \r\n") == "two lines");
    CHECK(without_html("\xE4\xB8\xAD<i>\xE6\x96\x87</i>") == "\xE4\xB8\xAD\xE6\x96\x87");
    CHECK(without_html("") == "");
    const ranklet_test::TemporaryFolder folder;
    ItemFileOptions options;
    const std::string path = folder.write("a", "id,title\na,R&amp;B <i>Hits</i>\nb,<p></p>\n");
    CHECK(ItemFile::read(path, options)->rows()[0].text == "R&amp;B <i>Hits</i>");
    options.remove_html = true;
    CHECK(ItemFile::read(path, options)->rows()[0].text == "R&B Hits");
    CHECK(ItemFile::read(path, options)->report().without_text == 1);
}
