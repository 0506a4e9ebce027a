// Long calls end when they are asked to, or at their deadline, with an Error and nothing half done; a call that is not
// asked gives what it gives without a token, bit for bit.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "ranklet/encoders/word_vectors.hpp"
#include "ranklet/ranking/vector_index.hpp"
#include "ranklet/tasks/sequence_classifier.hpp"
#include "recommender/catalogs.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet_test;
using ranklet::BatchOptions;
using ranklet::Catalog;
using ranklet::ErrorCode;
using ranklet::Recommender;
using std::chrono::hours;
using std::chrono::steady_clock;

/// Asks a call to stop from its progress callback. Other threads wait for that, so that it always comes before the end.
class StopAtFirstProgress {
public:
    explicit StopAtFirstProgress(BatchOptions& options) {
        options.progress = [this](std::size_t done, std::size_t all) { asked_ = asked_ || done < all; };
        options.stop = [this] {
            while (!asked_ && std::this_thread::get_id() != caller_) std::this_thread::yield();
            return asked_.load();
        };
    }
    StopAtFirstProgress(const StopAtFirstProgress&) = delete;
    StopAtFirstProgress& operator=(const StopAtFirstProgress&) = delete;

private:
    std::atomic<bool> asked_{false};
    std::thread::id caller_ = std::this_thread::get_id();
};

/// `call(options)` -> Result ends by a stop and by a deadline, on one thread and on three; `check` gets the values of
/// those calls that are not to end.
template <class Call, class Check>
void check_ends(const Call& call, const Check& check) {
    for (const std::size_t threads : {1u, 3u}) {
        CAPTURE(threads);
        {
            BatchOptions options{.threads = finely(threads)};
            const StopAtFirstProgress stop(options);
            check_error(call(options), ErrorCode::stopped, "the call was stopped before it was done");
        }
        std::stop_source source;
        BatchOptions options{
            .threads = finely(threads), .stop = source.get_token(), .deadline = steady_clock::now() + hours(1)};
        check(take(call(options)));
        source.request_stop();
        const auto stopped = call(options);
        check_error(stopped, ErrorCode::stopped);
        if (!stopped.ok()) CHECK(stopped.error().input == ranklet::Error::no_input);
        options.stop = {};
        options.deadline = steady_clock::now() - hours(1);
        check_error(call(options), ErrorCode::deadline, "the call was not done at its deadline");
        check(take(call({.threads = finely(threads)})));
    }
}

std::vector<std::string> make_texts(std::size_t n) {
    Random random(9);
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < n; ++i) texts.push_back(make_text(random));
    return texts;
}

}  // namespace

TEST_CASE("encode_catalog ends at a stop and at a deadline, for vectors and for token states piece by piece") {
    const Items items(620);
    for (const std::string name :
         {"tiny-dot-product", "tiny-next-event", "tiny-words-dot", "news-nrms", "tiny-text-gru"}) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog plain = take(model.encode_catalog(items.items));
        check_ends([&](const BatchOptions& options) { return model.encode_catalog(items.items, options); },
                   [&](const Catalog& catalog) { check_same(catalog.data(), plain.data()); });
    }
}

TEST_CASE("a token states' catalog ends between its pieces too") {
    const Recommender model = load_model("tiny-text-gru");
    const Items items(620);
    for (const std::size_t threads : {1u, 3u}) {
        std::atomic<bool> stop{false};
        BatchOptions options{.threads = finely(threads), .stop = stop};
        std::size_t last = 0;
        options.progress = [&](std::size_t done, std::size_t all) {
            CHECK(all == 620);
            last = done;
            if (done == 256) stop = true;  // the first piece's end, told when no thread is at work
        };
        check_error(model.encode_catalog(items.items, options), ErrorCode::stopped);
        CHECK(last == 256);
    }
}

TEST_CASE("encoders end at a stop and at a deadline") {
    const auto texts = make_texts(300);
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    const auto check_encoder = [&](const auto& encoder) {
        const ranklet::Matrix plain = take(encoder.encode(std::span<const std::string_view>(views)));
        check_ends(
            [&](const BatchOptions& options) {
                return encoder.encode(std::span<const std::string_view>(views), options);
            },
            [&](const ranklet::Matrix& vectors) { check_same(vectors, plain); });
    };
    check_encoder(take(ranklet::Bert::load(model_path("tiny-minilm"))));
    check_encoder(take(ranklet::WordVectors::load(model_path("tiny-words"))));
    const auto classifier = take(ranklet::SequenceClassifier::load(model_path("tiny-sequence")));
    const ranklet::Matrix plain = take(classifier.classify(std::span<const std::string_view>(views)));
    check_ends(
        [&](const BatchOptions& options) {
            return classifier.classify(std::span<const std::string_view>(views), options);
        },
        [&](const ranklet::Matrix& scores) { check_same(scores, plain); });
}

TEST_CASE("a text that more threads share than there are texts ends too") {
    const auto bert = take(ranklet::Bert::load(model_path("tiny-minilm")));
    BatchOptions options{.threads = finely(3), .stop = [] { return true; }};
    check_error(bert.encode("phone", options), ErrorCode::stopped);
    options = {.threads = finely(3), .deadline = steady_clock::now() - hours(1)};
    check_error(bert.encode("phone", options), ErrorCode::deadline);
    CHECK(same_bits(take(bert.encode("phone", {.threads = finely(3)})), take(bert.encode("phone"))));
}

TEST_CASE("a user whose event was stopped is as before, and so is a catalog whose update was") {
    for (const std::string name : {"tiny-text-gru", "tiny-dot-product", "tiny-words-next"}) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model, 20);
        auto user = make_user(model, catalog);
        const auto before = user.save();
        const BatchOptions stopped{.stop = [] { return true; }};
        check_error(user.observe_text("phone", 3.0f, stopped), ErrorCode::stopped);
        CHECK(user.save() == before);
        check_error(model.encode("phone", stopped), ErrorCode::stopped);
        const std::vector<ranklet::Item> add{{"new", "a new phone"}};
        check_error(update_catalog(model, catalog, {.add = add}, stopped), ErrorCode::stopped);
        check_same(catalog.data(), make_catalog(model, 20).data());
        succeed(user.observe_text("phone"));
        CHECK(take(update_catalog(model, catalog, {.add = add})).size() == 21);
    }
}

TEST_CASE("a search of an index ends between groups of queries, and its workspace serves the next one") {
    constexpr std::size_t n = 2000, dim = 16, m = 100;
    Random random(4);
    const std::vector<float> rows = random.row(n * dim), queries = random.row(m * dim);
    const ranklet::MatrixView<const float> wanted(queries.data(), m, dim);
    using ranklet::RowType;
    for (const RowType type : {RowType::f32, RowType::f16, RowType::i8, RowType::i8_exact})
        for (const std::size_t threads : {1u, 3u}) {
            const auto index = take(ranklet::VectorIndex::create({rows.data(), n, dim}, type));
            ranklet::VectorIndex::Workspace workspace, other;
            const auto plain = take(index.search(wanted, {.k = 5, .threads = finely(threads)}, other));
            std::atomic<int> asked{0};
            ranklet::SearchOptions options{.k = 5, .threads = finely(threads), .stop = [&] { return ++asked > 3; }};
            check_error(index.search(wanted, options, workspace), ErrorCode::stopped);
            options.stop = {};
            options.deadline = steady_clock::now() - hours(1);
            check_error(index.search(wanted, options, workspace), ErrorCode::deadline);
            options.deadline = steady_clock::now() + hours(1);
            options.stop = [] { return false; };
            const auto found = take(index.search(wanted, options, workspace));
            REQUIRE(found.size() == m);
            for (std::size_t q = 0; q < m; ++q) {
                REQUIRE(found[q].size() == 5);
                for (std::size_t h = 0; h < 5; ++h) {
                    CHECK(found[q][h].index == plain[q][h].index);
                    CHECK(bits(found[q][h].score) == bits(plain[q][h].score));
                }
            }
        }
}
