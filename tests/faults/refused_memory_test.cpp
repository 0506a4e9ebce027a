// Every allocation of every public call is refused once, in turn: the call says out_of_memory, nothing else is harmed.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "counting_heap.hpp"
#include "faults/refuse_each.hpp"
#include "io/temporary_folder.hpp"
#include "ranklet/catalog/file.hpp"
#include "ranklet/encoders/word_weights.hpp"
#include "ranklet/ranklet.hpp"
#include "recommender/models.hpp"
#include "threads.hpp"

namespace {

using namespace ranklet;
using ranklet_test::refuse_each;
using ranklet_test::take;
using Bytes = ranklet_test::ResultBytes;

constexpr std::array models{"tiny-text-gru", "tiny-next-event", "tiny-dot-product", "tiny-words-dot",
                            "tiny-items",    "news-nrms",       "news-lstur-ini",   "news-modalities"};

// Items with attributes, and the strings that they look into.
struct Goods {
    ranklet_test::Items texts{24};
    std::vector<std::string_view> tags{"a tag that is longer than a string's own memory", "short"};
    std::vector<Attribute> attributes{{"brand of the item, longer than a string's own memory", std::string_view("x")},
                                      {"price", 2.5},
                                      {"tags", std::span<const std::string_view>(tags)}};
    Goods() {
        for (Item& item : texts.items) item.attributes = attributes;
    }
};

}  // namespace

TEST_CASE("loading a model says out_of_memory wherever an allocation is refused") {
    for (const std::string name : models) {
        const std::string path = ranklet_test::model_path(name);
        refuse_each("load " + name, [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const auto model, Recommender::load(path));
            return Bytes() << model.fingerprint();
        });
    }
    const auto bytes = ranklet_test::read_bytes(ranklet_test::model_path("tiny-dot-product"));
    refuse_each("from_memory", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const auto model, Recommender::from_memory(bytes));
        return Bytes() << model.fingerprint();
    });
}

TEST_CASE("catalogs: encoded, changed, saved and loaded, on one thread and two") {
    const ranklet_test::TemporaryFolder folder;
    const std::string path = folder.path() + "/a catalog's file with a name of some length.gguf";
    const Goods goods, fresh;
    for (const std::string name : models) {
        const Recommender model = ranklet_test::load_model(name);
        const auto catalog = model.encodes_text() ? take(model.encode_catalog(goods.texts.items)) : take(model.items());
        ranklet_test::succeed(save_catalog(catalog, path));
        refuse_each("load_catalog " + name, [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const auto loaded, load_catalog(path, model.fingerprint()));
            return Bytes() << loaded;
        });
        if (name == models.front() || name == models.back())
            refuse_each("save_catalog " + name, [&]() -> Result<std::string> {
                RANKLET_TRY(save_catalog(catalog, path));
                return Bytes();
            });
        std::size_t files = 0;
        for (const auto& entry : std::filesystem::directory_iterator(folder.path())) files += entry.exists() ? 1 : 0;
        CHECK(files == 1);
        if (!model.encodes_text()) {
            refuse_each("items " + name, [&]() -> Result<std::string> {
                RANKLET_ASSIGN(const auto items, model.items());
                return Bytes() << items;
            });
            continue;
        }
        for (const std::size_t threads : {1u, 2u}) {
            if (threads > 1 && name != "tiny-dot-product" && name != "tiny-words-dot" && name != "news-nrms") continue;
            BatchOptions options;
            options.threads = ranklet_test::finely(threads);
            refuse_each("encode_catalog " + name, [&]() -> Result<std::string> {
                RANKLET_ASSIGN(const auto encoded, model.encode_catalog(goods.texts.items, options));
                return Bytes() << encoded;
            });
            refuse_each("encode " + name, [&]() -> Result<std::string> {
                if (model.decoder().form() != ItemForm::vector) return Bytes();
                RANKLET_ASSIGN(const auto vector, model.encode(goods.texts.texts[3], options));
                return Bytes() << vector;
            });
        }
        const std::string_view removed[]{catalog[1].id()};
        const Item replaced[]{{catalog[0].id(), "red phone"}},
            added[]{{"an id that is not there yet, and long", "boat"}};
        refuse_each("update_catalog " + name, [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const auto changed, update_catalog(model, catalog, {added, replaced, removed}));
            return Bytes() << changed;
        });
    }
}

TEST_CASE("a user stays as before where an allocation is refused: an event counts wholly or not at all") {
    for (const std::string name : models) {
        const Recommender model = ranklet_test::load_model(name);
        const Catalog catalog = ranklet_test::make_catalog(model);
        for (const std::size_t events : {0u, 5u}) {
            const auto before = ranklet_test::make_user(model, catalog, events);
            const auto bytes = before.save();
            auto user = before;
            const auto prepare = [&] { user = before; };
            const auto unharmed = [&] { return user.save() == bytes; };
            refuse_each(
                "observe " + name,
                [&]() -> Result<std::string> {
                    RANKLET_TRY(user.observe(catalog[3], 2.0f));
                    return Bytes() << static_cast<float>(user.events().size());
                },
                prepare, unharmed);
            if (model.encodes_text())
                refuse_each(
                    "observe_text " + name,
                    [&]() -> Result<std::string> {
                        RANKLET_TRY(user.observe_text("a phone"));
                        return Bytes() << static_cast<float>(user.events().size());
                    },
                    prepare, unharmed);
            refuse_each("load_user " + name, [&]() -> Result<std::string> {
                RANKLET_ASSIGN(const auto loaded, model.load_user(bytes));
                const Bytes granted;
                const auto again = loaded.save();
                return Bytes() << std::string_view(reinterpret_cast<const char*>(again.data()), again.size());
            });
        }
    }
}

TEST_CASE("a model with an encoder of queries, and what it makes of texts") {
    const Recommender documents = ranklet_test::load_model("tiny-minilm");
    const Recommender queries = ranklet_test::load_model("tiny-minilm-fitted");
    refuse_each("with_queries", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const auto pair, documents.with_queries(queries));
        return Bytes() << static_cast<float>(pair.fingerprint() % 1000003);
    });
    const Recommender model = take(documents.with_queries(queries));
    refuse_each("encode_query", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const auto vector, model.encode_query("a phone"));
        return Bytes() << vector;
    });
    const Catalog catalog = ranklet_test::make_catalog(model);
    const auto before = ranklet_test::make_user(model, catalog);
    const auto bytes = before.save();
    auto user = before;
    const std::string_view texts[]{"a phone"};
    refuse_each(
        "observe_text with queries",
        [&]() -> Result<std::string> {
            RANKLET_TRY(user.observe_text(texts[0]));
            return Bytes() << static_cast<float>(user.events().size());
        },
        [&] { user = before; }, [&] { return user.save() == bytes; });
    user = before;
    ranklet_test::succeed(user.observe_text(texts[0]));
    ExplainOptions options;
    options.event_texts = texts;
    refuse_each("explain with queries", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const auto why, explain(model, user, catalog, catalog[2].id(), options));
        Bytes made;
        for (const auto& part : why.events) made << part.id << part.contribution;
        return made << why.score;
    });
}

TEST_CASE("rankings, scores and explanations, on one thread and two, in a workspace that is used again") {
    const Goods goods;
    for (const std::string name : models) {
        const Recommender model = ranklet_test::load_model(name);
        const Catalog catalog =
            model.encodes_text() ? take(model.encode_catalog(goods.texts.items)) : take(model.items());
        const auto user = ranklet_test::make_user(model, catalog);
        const std::string_view ids[]{catalog[0].id(), catalog[5].id()};
        const GroupCap caps[]{{goods.attributes[0].name, 3}};
        Recommender::Workspace workspace;
        for (const std::size_t threads : {1u, 2u}) {
            RecommendOptions options;
            options.threads = ranklet_test::finely(threads);
            options.deny = ids;
            options.exclude_seen = true;
            const auto ranked = [](std::span<const Recommendation> items) {
                Bytes bytes;
                for (const auto& item : items) bytes << item.id << item.score << item.probability;
                return bytes;
            };
            refuse_each("recommend " + name, [&]() -> Result<std::string> {
                RANKLET_ASSIGN(const auto ranking, model.recommend(user, catalog, options));
                return ranked(ranking.items);
            });
            if (model.encodes_text()) options.caps = caps;
            if (!catalog.data().vectors.empty()) options.diversity.lambda = 0.5f;
            refuse_each(
                "recommend in a workspace " + name,
                [&]() -> Result<std::string> {
                    RANKLET_ASSIGN(const auto ranking, model.recommend(user, catalog, options, workspace));
                    return ranked(ranking);
                },
                [&] { workspace = Recommender::Workspace(); });
            refuse_each("scores_of " + name, [&]() -> Result<std::string> {
                RANKLET_ASSIGN(const auto scores, model.scores_of(user, catalog, ids, {ranklet_test::finely(threads)}));
                RANKLET_ASSIGN(const auto all, model.scores(user, catalog, {ranklet_test::finely(threads)}));
                return Bytes() << scores << all;
            });
            ExplainOptions explained;
            explained.threads = ranklet_test::finely(threads);
            if (model.encodes_text()) explained.text = goods.texts.texts[2];
            refuse_each("explain " + name, [&]() -> Result<std::string> {
                RANKLET_ASSIGN(const auto why, explain(model, user, catalog, catalog[2].id(), explained));
                Bytes bytes;
                for (const auto& part : why.events) bytes << part.id << part.contribution;
                for (const auto& part : why.text) bytes << part.text << part.contribution;
                for (const auto& part : why.shared) bytes << part.name << part.value;
                return bytes << why.score;
            });
        }
    }
}

TEST_CASE("texts: classified, tagged, reranked, their keywords, tokens and attributes") {
    std::string text = "wireless phone 手机 é unwatchable don't 1,299.00, ";
    for (int i = 0; i < 3; ++i) text += text;
    const std::vector<std::string_view> texts(5, text);
    const std::vector<TextPair> pairs(5, {text, "red phone"});
    const auto path = ranklet_test::model_path;
    const auto classifier = take(SequenceClassifier::load(path("tiny-sequence")));
    const auto tagger = take(TokenClassifier::load(path("tiny-tokens")));
    const auto reranker = take(SequenceClassifier::load(path("tiny-cross-encoder")));
    const auto bert = take(Bert::load(path("tiny-minilm")));
    const auto words = take(WordVectors::load(path("tiny-words")));
    const auto news = take(NewsEncoder::load(path("news-nrms")));
    for (const std::size_t threads : {1u, 2u}) {
        BatchOptions batch;
        batch.threads = ranklet_test::finely(threads);
        TagOptions tags;
        tags.threads = ranklet_test::finely(threads);
        refuse_each("classify", [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const Matrix scores, classifier.classify(texts, batch));
            return Bytes() << scores;
        });
        refuse_each("classify pairs", [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const Matrix scores, reranker.classify(pairs, batch));
            return Bytes() << scores;
        });
        refuse_each("rerank", [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const auto order,
                           rerank(reranker, "red", texts, {.threads = ranklet_test::finely(threads)}));
            Bytes bytes;
            for (const auto& each : order) bytes << each.score;
            return bytes;
        });
        refuse_each("tag", [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const auto spans, tagger.tag(texts, tags));
            Bytes bytes;
            for (const auto& each : spans)
                for (const auto& span : each) bytes << span.label << span.score;
            return bytes;
        });
        refuse_each("keywords", [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const auto found,
                           extract_keywords(bert, text, {.diversity = 0.3f, .threads = ranklet_test::finely(threads)}));
            Bytes bytes;
            for (const auto& each : found) bytes << each.text << each.score;
            return bytes;
        });
        refuse_each("encode with Bert", [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const Matrix vectors, bert.encode(texts, batch));
            RANKLET_ASSIGN(const Matrix states, bert.encode_tokens(text, batch));
            return Bytes() << vectors << states;
        });
        BatchOptions windows = batch;
        windows.windows.emplace();
        refuse_each("encode in windows", [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const Matrix vectors, bert.encode(texts, windows));
            RANKLET_ASSIGN(const Matrix scores, classifier.classify(texts, windows));
            return Bytes() << vectors << scores;
        });
        refuse_each("encode with word vectors", [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const Matrix vectors, words.encode(texts, batch));
            return Bytes() << vectors;
        });
        refuse_each("encode news", [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const Matrix vectors, news.encode(texts, batch));
            return Bytes() << vectors;
        });
        std::vector<Encoding> encodings(texts.size());
        refuse_each("encode_batch", [&]() -> Result<std::string> {
            RANKLET_TRY(bert.tokenizer().encode_batch(texts, {}, encodings, ranklet_test::finely(threads)));
            return Bytes() << encodings[0].ids << encodings[4].ids;
        });
    }
    Encoding encoding;
    refuse_each(
        "WordPiece::encode",
        [&]() -> Result<std::string> {
            RANKLET_TRY(bert.tokenizer().encode(text, {}, encoding));
            return Bytes() << encoding.ids << encoding.words;
        },
        [] {}, [&] { return encoding.ids.empty() && encoding.words.empty(); });
    refuse_each(
        "WordPiece::encode_pair into memory of its own",
        [&]() -> Result<std::string> {
            RANKLET_TRY(bert.tokenizer().encode_pair(text, text, {}, encoding));
            RANKLET_ASSIGN(const std::string decoded, bert.tokenizer().decode(encoding.ids, true));
            return Bytes() << encoding.ids << decoded;
        },
        [&] { encoding = Encoding(); });
    const std::string_view vocabulary[]{"wireless phone", "don't", "1,299.00", "手机"}, stop_words[]{"é"};
    for (const WordCut cut : {WordCut::rules, WordCut::vocabulary, WordCut::whitespace}) {
        WordTokenizerConfig config;
        config.cut = cut;
        if (cut != WordCut::whitespace) config.stop_words = stop_words;
        refuse_each("WordTokenizer", [&]() -> Result<std::string> {
            RANKLET_ASSIGN(const auto tokenizer, WordTokenizer::create(vocabulary, config));
            RANKLET_ASSIGN(const auto tokens, tokenizer.encode(text));
            return Bytes() << tokens.ids << tokens.words;
        });
    }
    refuse_each("sif", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const auto weighted, with_sif(words, texts));
        return Bytes() << std::vector<float>(weighted.weights().begin(), weighted.weights().end());
    });
    refuse_each("phrases", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const auto phrases, candidate_phrases(text));
        RANKLET_ASSIGN(const auto rest, remove_stop_words(text));
        Bytes bytes;
        for (const auto& each : phrases) bytes << each.text;
        return bytes << rest.text;
    });
    TextAttributes attributes;
    const std::vector<Keyword> keywords{{"a phrase that is longer than a string's own memory", {}, 1.0f}, {"b", {}, 1}};
    refuse_each(
        "attributes of a text",
        [&]() -> Result<std::string> {
            RANKLET_TRY(attributes.add(keywords, {}));
            return Bytes() << static_cast<float>(attributes.attributes().size());
        },
        [&] { attributes = TextAttributes(); }, [&] { return attributes.empty(); });
}

TEST_CASE("filters, files of vectors, and indexes of every type on one thread and two") {
    const ranklet_test::TemporaryFolder folder;
    const Goods goods;
    const Recommender model = ranklet_test::load_model("tiny-dot-product");
    const Catalog catalog = take(model.encode_catalog(goods.texts.items));
    const auto condition = Condition::contains("tags", "short") && !Condition::at_least("price", 3.0);
    refuse_each("filter", [&]() -> Result<std::string> {
        RANKLET_ASSIGN(const auto filter, Filter::create(catalog, condition));
        return Bytes() << static_cast<float>(filter.count());
    });
    const MatrixView<const float> rows = catalog.data().vectors.view();
    const std::string path = folder.path() + "/vectors of items, in a file.npy", ids = path + ".txt";
    refuse_each("npy", [&]() -> Result<std::string> {
        RANKLET_TRY(write_npy(path, rows));
        RANKLET_TRY(write_ids(ids, catalog.data().ids));
        RANKLET_ASSIGN(const Matrix read, read_npy(path));
        RANKLET_ASSIGN(const auto names, read_ids(ids));
        return Bytes() << read << names;
    });
    std::vector<float> many(800 * 8);
    for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<float>(i * 7919 % 1000) / 1000.0f;
    const MatrixView<const float> vectors(many.data(), 800, 8), queries(many.data(), 40, 8);
    for (const RowType type : {RowType::f32, RowType::f16, RowType::i8, RowType::i8_exact})
        for (const std::size_t threads : {1u, 2u}) {
            if (threads > 1 && type != RowType::i8_exact) continue;
            VectorIndex::Workspace workspace;
            refuse_each(
                "index",
                [&]() -> Result<std::string> {
                    RANKLET_ASSIGN(const auto index, VectorIndex::create(vectors, type));
                    RANKLET_ASSIGN(
                        const auto found,
                        index.search(queries, {.k = 3, .threads = ranklet_test::finely(threads)}, workspace));
                    Bytes bytes;
                    for (const auto& hits : found)
                        for (const auto& hit : hits) bytes << hit.index << hit.score;
                    return bytes;
                },
                [&] { workspace = VectorIndex::Workspace(); });
        }
}

TEST_CASE("a builder of attributes is of no use after an allocation was refused, and says so") {
#if RANKLET_HAS_EXCEPTIONS
    const Goods goods;
    bool refused = true;
    for (long n = 0; refused; ++n) {
        CAPTURE(n);
        AttributeBuilder builder;
        ranklet_test::heap_requests_until_refusal = n;
        const auto added = builder.add(goods.attributes);
        ranklet_test::heap_requests_until_refusal = -1;
        refused = !added.ok();
        if (!refused) break;
        CHECK(added.error().code == ErrorCode::out_of_memory);
        ranklet_test::check_error(builder.add(goods.attributes), ErrorCode::invalid_argument, "before this one");
        CHECK(std::move(builder).finish().empty());
    }
#endif
}
