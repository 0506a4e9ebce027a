// ranklet-fit: from a log and an encoder's file to a recommender's file; and every night after, from the file that runs, the
// counts that were kept and the day's events to the next one.
// In: events (user, item, time, rating), items (id, texts, attributes), a model file.
// Out: a model file, and a report of how good it is on events that nothing was chosen on. It reads and writes files alone.
// Ends with 0; 1 when something is wrong; 3 when the new file was refused because it ranks worse than the one that runs.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <optional>
#include <ranklet/fit/event_log.hpp>
#include <ranklet/fit/fit.hpp>
#include <ranklet/fit/item_file.hpp>
#include <ranklet/fit/refit.hpp>
#include <ranklet/io/atomic_file.hpp>
#include <ranklet/ranklet.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace {

/// Says on standard error what is being done, and how long it will take.
class Progress {
public:
    void operator()(std::string_view stage, std::size_t done, std::size_t of) {
        const auto now = std::chrono::steady_clock::now();
        if (stage != stage_) {
            end();
            stage_ = stage;
            begin_ = now;
        } else if (now - told_ < std::chrono::milliseconds(200) && done != of) {
            return;
        }
        told_ = now;
        if (!terminal_) return;
        std::cerr << '\r' << stage_ << "  ";
        if (of > 0) {
            std::cerr << 100 * done / of << " %";
            const double seconds = std::chrono::duration<double>(now - begin_).count();
            if (done > 0 && done < of)
                std::cerr << ", "
                          << static_cast<long>(seconds * static_cast<double>(of - done) / static_cast<double>(done) +
                                               0.5)
                          << " s left";
        } else {
            std::cerr << done;
        }
        std::cerr << "          " << std::flush;
    }
    void end() {
        if (stage_.empty()) return;
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
        std::cerr << (terminal_ ? "\r" : "") << stage_ << "  " << std::fixed << std::setprecision(1) << seconds
                  << " s                         \n";
        stage_.clear();
    }

private:
#if defined(__unix__) || defined(__APPLE__)
    bool terminal_ = isatty(2) != 0;
#else
    bool terminal_ = false;
#endif
    std::string stage_;
    std::chrono::steady_clock::time_point begin_, told_;
};

void print(const ranklet::EventLogReport& log, const ranklet::EventLog& events) {
    std::cout << events.size() << " events of " << events.users().size() << " users and " << events.items().size()
              << " items; user \"" << log.user_column << "\", item \"" << log.item_column << "\", time "
              << (log.time_column.empty() ? std::string("(none: the file's order)")
                                          : '"' + log.time_column + "\" in " + to_string(log.unit))
              << ", rating " << (log.rating_column.empty() ? std::string("(none)") : '"' + log.rating_column + '"')
              << '\n';
    const auto say = [](std::uint64_t count, const char* what) {
        if (count > 0) std::cout << "  " << count << ' ' << what << '\n';
    };
    say(log.duplicates, "events were there twice (same user, item and time): counted once");
    say(log.out_of_order, "events stood behind later ones of their user: sorted");
    say(log.equal_times, "events have the time of the one before them: their order is the file's");
    say(log.over_limit, "events left out of users with too many: their newest are kept");
    say(log.single_event_users, "users have a single event");
    say(log.bad_lines, "lines could not be read and were left out");
    if (log.bad_lines > 0) std::cout << "    the first: " << log.first_bad_line << '\n';
}

void print(const ranklet::ItemFileReport& items) {
    std::cout << items.items << " items; id \"" << items.id_column << "\", text";
    for (const std::string& column : items.text_columns) std::cout << " \"" << column << '"';
    if (items.text_columns.empty()) std::cout << " (none)";
    std::cout << '\n';
    if (items.without_text > 0) std::cout << "  " << items.without_text << " items have no text\n";
    if (items.repeated > 0)
        std::cout << "  " << items.repeated << " items stood there again: the last one counts (" << items.changed
                  << " said something else, the first on line " << items.first_changed << ")\n";
    if (items.bad_lines > 0)
        std::cout << "  " << items.bad_lines
                  << " lines could not be read and were left out\n    the first: " << items.first_bad_line << '\n';
}

void print(const ranklet::RunningComparison& compared) {
    if (compared.fitted.cases == 0) {
        std::cout << "no test event is newer than the running file: it is not compared with\n";
        return;
    }
    const ranklet::QualityDifference& more = compared.difference;
    std::cout << std::fixed << std::setprecision(4) << "the running file: HR@10 " << compared.running.hit_rate
              << ", NDCG@10 " << compared.running.ndcg << "; the new one: " << compared.fitted.hit_rate << ", "
              << compared.fitted.ndcg << " (" << compared.fitted.cases << " users; NDCG@10 " << std::showpos
              << more.ndcg << " [" << more.ndcg_low << ", " << more.ndcg_high << "])\n"
              << std::noshowpos << std::defaultfloat << std::setprecision(6);
}

void print(const ranklet::RefitReport& report) {
    std::cout << report.events << " events counted\n";
    if (report.passed_over > 0)
        std::cout << "  " << report.passed_over << " are not newer than what was counted before: passed over\n";
    if (report.disliked > 0) std::cout << "  " << report.disliked << " are dislikes: not counted\n";
    if (report.unknown_items > 0)
        std::cout << "  " << report.unknown_items << " items are not among the items: counted, and not ranked\n";
    print(report.over_running);
}

void print(const ranklet::FitReport& report) {
    std::cout << report.items << " items ranked; " << report.items_without_text << " only in the log (no text), "
              << report.items_without_events << " only among the items (no events)\n\n"
              << std::fixed << std::left << std::setw(22) << "on test events" << std::right << std::setw(9) << "HR@10"
              << std::setw(9) << "NDCG@10" << std::setw(12) << "different" << std::setw(12) << "popularity" << '\n';
    for (const ranklet::FitRow& row : report.rows)
        std::cout << std::left << std::setw(22) << row.name << std::right << std::setprecision(4) << std::setw(9)
                  << row.quality.hit_rate << std::setw(9) << row.quality.ndcg << std::setprecision(3) << std::setw(12)
                  << row.different_items << std::setw(12) << row.popularity << '\n';
    const ranklet::QualityDifference& more = report.over_transitions;
    std::cout << std::setprecision(4) << "blend over transitions: HR@10 " << std::showpos << more.hit_rate << " ["
              << more.hit_rate_low << ", " << more.hit_rate_high << "], NDCG@10 " << more.ndcg << " [" << more.ndcg_low
              << ", " << more.ndcg_high << "] (95 %, paired bootstrap over " << std::noshowpos
              << report.rows.back().quality.cases << " users)\n";
    if (report.cold.cases > 0)
        std::cout << "new items, a tenth taken out of the log, ranked among themselves by text: HR@10 "
                  << report.cold.hit_rate << "; by the last item alone " << report.cold_by_last.hit_rate << "; chance "
                  << report.cold_chance << " (" << report.cold.cases << " users)\n";
    std::cout << std::defaultfloat << std::setprecision(6) << "\nchosen on validation events: window "
              << report.counting.window << ", exponent " << report.counting.exponent << ", powers "
              << report.snapshot.source_power << " and " << report.snapshot.target_power << ", smoothing "
              << report.snapshot.smoothing << ", decay " << report.transitions.tables[0].decay << " (text "
              << report.history.decay << "), floor " << report.transitions.floor << ";";
    for (const ranklet::BlendPart& part : report.blend) std::cout << ' ' << part.type << " x " << part.weight;
    if (report.transitions.tables.size() > 1) {
        std::cout << "; tables x";
        for (const ranklet::FollowersTable& table : report.transitions.tables) std::cout << ' ' << table.weight;
    }
    std::cout << '\n';
}

ranklet::Result<void> write_file(const std::string& path, const std::vector<std::byte>& bytes) {
    auto file = ranklet::detail::AtomicFile::create(path);
    if (!file.ok()) return file.error();
    if (auto status = file->write(bytes); !status.ok()) return status;
    return file->commit();
}

/// What was counted, in two files: PREFIX.transitions and PREFIX.popularity.
struct Counts {
    ranklet::TransitionCounts transitions;
    ranklet::Popularity popularity;

    ranklet::Result<void> save(const std::string& prefix) const {
        if (auto status = popularity.save(prefix + ".popularity"); !status.ok()) return status;
        return transitions.save(prefix + ".transitions");
    }
    static ranklet::Result<Counts> load(const std::string& prefix, const std::string& salt) {
        auto transitions = ranklet::TransitionCounts::load(prefix + ".transitions", salt);
        if (!transitions.ok()) return transitions.error();
        auto popularity = ranklet::Popularity::load(prefix + ".popularity");
        if (!popularity.ok()) return popularity.error();
        return Counts{std::move(*transitions), std::move(*popularity)};
    }
};

std::vector<ranklet::ItemAttributeColumn> attribute_columns(const std::vector<std::string>& wanted) {
    using Column = ranklet::ItemAttributeColumn;
    std::vector<Column> columns;
    for (const std::string& each : wanted) {
        Column& column = columns.emplace_back();
        const std::size_t colon = each.rfind(':');
        const std::string kind = colon == std::string::npos ? "" : each.substr(colon + 1);
        column.column = kind == "number" || kind == "tags" ? each.substr(0, colon) : each;
        column.kind = kind == "number" ? Column::Kind::number
                      : kind == "tags" ? Column::Kind::tags
                                       : Column::Kind::category;
    }
    return columns;
}

std::vector<ranklet::Item> items_of(const ranklet::ItemFile& file) {
    std::vector<ranklet::Item> items;
    for (std::size_t i = 0; i < file.size(); ++i) {
        const ranklet::ItemRow& row = file.rows()[i];
        ranklet::Item& item = items.emplace_back(file.ids()[i], row.text);
        for (const ranklet::ItemAttribute& attribute : row.attributes) {
            const std::string& name = file.attribute_names()[attribute.column];
            if (!attribute.tags.empty())
                item.attributes.push_back({name, attribute.tags});
            else if (!attribute.text.empty())
                item.attributes.push_back({name, attribute.text});
            else
                item.attributes.push_back({name, attribute.number});
        }
    }
    return items;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Makes a recommender of a log of events and an encoder's model file, and says how good it is"};
    std::string encoder, events, items, out, catalog_path, refitted, running, counts_path;
    auto* from_encoder = app.add_option("--encoder", encoder, "an encoder's model file (made by weights_converter)");
    app.add_option(
           "--refit", refitted,
           "in place of an encoder: the file that runs, made by this program. Goes on from --counts with the day's "
           "events, chooses and solves nothing anew")
        ->excludes(from_encoder);
    app.add_option("--running", running,
                   "a model file to compare with on newer test events: a new one that is worse is not written");
    app.add_option("--counts", counts_path,
                   "where what was counted is kept for --refit: the two files begin with this name");
    app.add_option("--events", events, "who met what, when: TSV, CSV or RecBole's .inter")->required();
    app.add_option("--items", items, "the items' texts: TSV, CSV or RecBole's .item");
    app.add_option("--out", out, "the model file to write; without it the report alone is made");
    app.add_option("--catalog", catalog_path, "writes the items as a catalog of the new model too");
    ranklet::EventLogOptions log_options;
    ranklet::ItemFileOptions item_options;
    app.add_option("--user", log_options.user, "column of the events' users, by name or number from 1");
    app.add_option("--item", log_options.item, "column of the events' items");
    app.add_option("--time", log_options.time, "column of the events' times; - for none: the file's order");
    app.add_option("--rating", log_options.rating, "column of the events' ratings; - for none");
    app.add_option("--events-separator", log_options.table.separator, "between the events' columns");
    app.add_option("--id", item_options.id, "column of the items' ids");
    std::vector<std::string> attributes;
    app.add_option("--text", item_options.texts, "columns that are an item's text, in this order")->delimiter(',');
    app.add_option("--between", item_options.between, "what stands between the texts of two columns")
        ->capture_default_str();
    app.add_option("--attribute", attributes, "columns that become attributes: NAME, NAME:number, NAME:tags (a|b)")
        ->delimiter(',');
    app.add_option("--items-separator", item_options.table.separator, "between the items' columns");
    app.add_flag("--remove-html", item_options.remove_html, "take tags and entities out of the items' texts");
    bool skip = false;
    app.add_flag("--skip-bad-lines", skip, "leave out lines that cannot be read, and say how many");
    app.add_option("--most-events", log_options.max_events_per_user, "of each user the newest so many are kept")
        ->capture_default_str();
    ranklet::FitOptions options;
    app.add_option("--dislike-below", options.dislike_below,
                   "events rated below this push away; without it ratings are passed over");
    app.add_option("--best-rating", options.best_rating, "the rating that weighs 1")->capture_default_str();
    app.add_option("--users-per-pair", options.counting.users, "a pair of items is shown once so many users made it")
        ->capture_default_str();
    app.add_option("--half-life", options.counting.half_life, "seconds after which what was counted is worth half");
    app.add_option("--salt", options.counting.salt, "users' hashes in --counts cannot be tried out without it");
    app.add_option("--most-solved", options.most_solved, "solve closed forms for so many items at most; 0: never")
        ->capture_default_str();
    app.add_option("--most-cases", options.most_cases, "users that are judged at most")->capture_default_str();
    app.add_option("--seed", options.seed, "of what is drawn")->capture_default_str();
    std::size_t threads = 0;
    app.add_option("--threads", threads, "0: all processors")->capture_default_str();
    bool as_it_is = false;
    app.add_flag("--no-choosing", as_it_is, "take the default numbers");
    CLI11_PARSE(app, argc, argv);
    options.threads = threads;
    options.choose = !as_it_is;
    log_options.skip_bad_lines = item_options.skip_bad_lines = skip;
    item_options.attributes = attribute_columns(attributes);
    options.popularity_half_life = options.counting.half_life;

    Progress progress;
    options.progress = [&](std::string_view stage, std::size_t done, std::size_t of) { progress(stage, done, of); };
    log_options.reading.progress = [&](std::uint64_t done, std::uint64_t of) {
        progress("reading events", static_cast<std::size_t>(done), static_cast<std::size_t>(of));
    };
    const auto fail = [&](const ranklet::Error& error) {
        progress.end();
        std::cerr << error.message << '\n';
        return 1;
    };

    if (encoder.empty() == refitted.empty()) {
        std::cerr << "--encoder or --refit is required\n";
        return 1;
    }
    if (!refitted.empty() && counts_path.empty()) {
        std::cerr << "--refit goes on from --counts: say where they are\n";
        return 1;
    }
    const auto file = ranklet::GgufFile::open(encoder.empty() ? refitted : encoder);
    if (!file.ok()) return fail(file.error());
    const auto log = ranklet::EventLog::read(events, log_options);
    if (!log.ok()) return fail(log.error());
    progress.end();
    print(log->report(), *log);
    std::vector<ranklet::Item> all;
    if (!items.empty()) {
        const auto read = ranklet::ItemFile::read(items, item_options);
        if (!read.ok()) return fail(read.error());
        print(read->report());
        all = items_of(*read);
    }
    const ranklet::FitLog fit_log{log->users(),     log->items(),       log->starts(),
                                  log->all().items, log->all().ratings, log->all().times};
    ranklet::BatchOptions batch;
    batch.threads = threads;
    std::vector<std::byte> model;
    bool worse = false;
    Counts counts;
    if (!refitted.empty()) {
        auto saved = Counts::load(counts_path, options.counting.salt);
        if (!saved.ok()) return fail(saved.error());
        counts = std::move(*saved);
        const auto recommender = ranklet::Recommender::from_file(*file);
        if (!recommender.ok()) return fail(recommender.error());
        const auto catalog = recommender->encode_catalog(all, batch);
        if (!catalog.ok()) return fail(catalog.error());
        ranklet::RefitOptions how;
        how.most_cases = options.most_cases;
        how.seed = options.seed;
        how.threads = threads;
        how.progress = options.progress;
        auto result = ranklet::refit(*file, *catalog, fit_log, counts.transitions, counts.popularity, how);
        if (!result.ok()) return fail(result.error());
        progress.end();
        print(result->report);
        worse = result->report.over_running.worse;
        model = std::move(result->model);
    } else {
        std::optional<ranklet::GgufFile> beside;
        if (!running.empty()) {
            auto opened = ranklet::GgufFile::open(running);
            if (!opened.ok()) return fail(opened.error());
            beside = std::move(*opened);
            options.running = &*beside;
        }
        auto result = ranklet::fit(*file, all, fit_log, options);
        if (!result.ok()) return fail(result.error());
        progress.end();
        print(result->report);
        if (beside) print(result->report.over_running);
        worse = result->report.over_running.worse;
        model = std::move(result->model);
        counts = {std::move(result->counts), std::move(result->popularity)};
    }
    if (!out.empty() && !worse) {
        if (const auto status = write_file(out, model); !status.ok()) return fail(status.error());
        std::cout << out << ": " << model.size() << " bytes\n";
    }
    if (!counts_path.empty()) {
        if (const auto status = counts.save(counts_path); !status.ok()) return fail(status.error());
        std::cout << counts_path << ".transitions, .popularity: " << counts.transitions.events() << " events, "
                  << counts.transitions.pairs() << " pairs\n";
    }
    if (worse) {
        std::cerr << "refused: the new model ranks worse than the one that runs, by more than chance"
                  << (out.empty() ? "" : "; " + out + " is not written") << '\n';
        return 3;
    }
    if (out.empty() || catalog_path.empty()) return 0;
    const auto made = ranklet::Recommender::load(out);
    if (!made.ok()) return fail(made.error());
    batch.keep_texts = true;
    const auto catalog = made->encode_catalog(all, batch);
    if (!catalog.ok()) return fail(catalog.error());
    if (const auto status = ranklet::save_catalog(*catalog, catalog_path); !status.ok()) return fail(status.error());
    std::cout << catalog_path << ": " << catalog->size() << " items\n";
    return 0;
}
