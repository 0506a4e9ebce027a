// Calls that take `threads` use them, and not where there is too little to do.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "ranklet/decoders/dot_product.hpp"
#include "ranklet/layers/layers.hpp"
#include "ranklet/ranklet.hpp"
#include "ranklet/ranklet.hpp"
#include "recommender/models.hpp"

namespace {

using namespace ranklet;
using namespace ranklet_test;

/// Threads of its own, which say what they were asked for.
class Counting final : public Executor {
public:
    std::size_t threads() const noexcept override { return 3; }
    void run(std::size_t jobs, FunctionView<void(std::size_t)> job) override {
        ++calls;
        most_jobs = std::max(most_jobs, jobs);
        std::vector<std::thread> others;
        for (std::size_t j = 1; j < jobs; ++j) others.emplace_back([=] { job(j); });
        job(0);
        for (std::thread& other : others) other.join();
    }
    std::size_t calls = 0, most_jobs = 0;
};

/// call(threads) asks for threads where the least work is to be shared, and for none where one is the most.
template <class Call>
void check_shared(const char* what, const Call& call) {
    CAPTURE(std::string(what));
    Counting counting;
    Threads fine(counting);
    fine.grain = 1;
    call(fine);
    CHECK(counting.calls >= 1);
    CHECK(counting.most_jobs >= 2);
    CHECK(counting.most_jobs <= 3);
    Counting limited;
    Threads one(limited, 1);
    one.grain = 1;
    call(one);
    CHECK(limited.calls == 0);
}

}  // namespace

TEST_CASE("every call that takes threads shares its work among them") {
    const Bert bert = take(Bert::load(model_path("tiny-minilm")));
    const std::string text = "a red phone case for a phone";
    const std::vector<std::string> few{text, "phone"};
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < 70; ++i) texts.push_back(text + std::string(i % 5, 'x'));
    check_shared("one text", [&](Threads t) { (void)take(bert.encode(text, {.threads = t})); });
    check_shared("fewer texts than threads", [&](Threads t) { (void)take(bert.encode(few, {.threads = t})); });
    check_shared("texts", [&](Threads t) { (void)take(bert.encode(texts, {.threads = t})); });
    std::vector<Encoding> encodings(texts.size());
    check_shared("tokens", [&](Threads t) { succeed(bert.tokenizer().encode_batch(texts, {}, encodings, t)); });

    const auto words = take(WordVectors::load(model_path("tiny-words-dot")));
    check_shared("word vectors", [&](Threads t) { (void)take(words.encode(texts, {.threads = t})); });

    for (const std::string name : {"tiny-dot-product", "tiny-next-event", "tiny-text-gru", "news-nrms"}) {
        CAPTURE(name);
        const Recommender model = load_model(name);
        const Catalog catalog = make_catalog(model, 9000);
        const auto user = make_user(model, catalog);
        check_shared("scores", [&](Threads t) { (void)take(model.scores(user, catalog, {t})); });
        check_shared("recommend",
                     [&](Threads t) { (void)take(model.recommend(user, catalog, {.k = 3, .threads = t})); });
    }

    const std::vector<float> rows(16 * 4000, 0.5f);
    const auto index = take(VectorIndex::create({rows.data(), 4000, 16}, RowType::f32));
    VectorIndex::Workspace workspace;
    check_shared("search",
                 [&](Threads t) { (void)take(index.search({rows.data(), 2, 16}, {.k = 3, .threads = t}, workspace)); });

    const auto classifier = take(SequenceClassifier::load(model_path("tiny-cross-encoder")));
    check_shared("classify", [&](Threads t) { (void)take(classifier.classify(texts, {.threads = t})); });
    const auto tagger = take(TokenClassifier::load(model_path("tiny-tokens")));
    check_shared("tag", [&](Threads t) { (void)take(tagger.tag(texts, {.threads = t})); });

    const Recommender gru = load_model("tiny-dot-product");
    const GruStack<>& stack = gru.as<DotProduct>()->gru();
    const std::vector<float> x(6 * stack.in(), 0.1f);
    std::vector<float> state(stack.state_size()), states(6 * stack.hidden());
    Scratch scratch;
    succeed(scratch.reserve(stack.scratch_size(6)));
    check_shared("a GRU", [&](Threads t) {
        stack.forward({x.data(), 6, stack.in()}, state, {states.data(), 6, stack.hidden()}, scratch, t);
    });
}

TEST_CASE("what is done before a thread is awake asks for none") {
    Counting counting;
    const Recommender model = load_model("tiny-dot-product");
    const Bert bert = take(Bert::load(model_path("tiny-minilm")));
    (void)take(bert.encode("a red phone case", {.threads = counting}));
    const Catalog catalog = make_catalog(model, 40);
    auto user = make_user(model, catalog);
    succeed(user.observe_text("a red phone case", 4.0f, {.threads = counting}));
    (void)take(model.recommend(user, catalog, {.k = 3, .threads = counting}));
    CHECK(counting.calls == 0);
}
