// Tiny complete models of every form against PyTorch: goldens/NAME.gguf is the model, NAME.golden.gguf what PyTorch
// says.
#include <cstring>
#include <fstream>
#include <iterator>

#include "parity/golden.hpp"
#include "ranklet/decoders/text_gru.hpp"
#include "ranklet/encoders/bert.hpp"
#include "ranklet/encoders/bert_model.hpp"
#include "ranklet/encoders/token_batch.hpp"
#include "ranklet/recommender.hpp"
#include "ranklet/text/wordpiece.hpp"

namespace {

using namespace parity;

std::string model_path(const std::string& name) { return "tests/parity/goldens/" + name + ".gguf"; }

/// Token ids, token states and vectors of the golden's texts, all in one batch and one by one.
void check_encoder(const ranklet::Bert& bert, const Golden& golden, const std::string& name) {
    const auto texts = take(golden.file().strings("golden.texts"));
    const auto ids = take(golden.file().i32s("golden.token_ids"));
    const auto offsets = take(golden.file().i32s("golden.token_offsets"));
    const ranklet::Matrix states = golden.matrix("golden.states"), vectors = golden.matrix("golden.vectors");
    REQUIRE(offsets.size() == texts.size() + 1);
    REQUIRE(vectors.cols() == bert.dim());
    const CloseTo close(model_path(name));

    const ranklet::Matrix batch = take(bert.encode(std::span<const std::string_view>(texts)));
    ranklet::EncodeOptions options;
    options.max_length = bert.max_length();
    ranklet::Encoding encoding;
    for (std::size_t t = 0; t < texts.size(); ++t) {
        const auto first = static_cast<std::size_t>(offsets[t]), last = static_cast<std::size_t>(offsets[t + 1]);
        const std::string what = name + ", text " + std::to_string(t);
        CAPTURE(what);
        REQUIRE(bert.tokenizer().encode(texts[t], options, encoding).ok());
        CHECK(std::vector<std::int32_t>(encoding.ids.begin(), encoding.ids.end()) ==
              std::vector<std::int32_t>(ids.begin() + offsets[t], ids.begin() + offsets[t + 1]));
        const ranklet::Matrix own = take(bert.encode_tokens(texts[t]));
        REQUIRE(own.rows() == last - first);
        for (std::size_t i = first; i < last; ++i)
            close.check(own.row(i - first), states.row(i), what + " token states");
        close.check(batch.row(t), vectors.row(t), what + " vector");
        CHECK(cosine(batch.row(t), vectors.row(t)) >= close.least_cosine());
    }
}

/// User states and scores after each of the golden's histories.
void check_recommender(const std::string& name, std::span<const std::string> histories) {
    const Golden golden(name + ".golden.gguf");
    const auto model = take(ranklet::Recommender::load(model_path(name)));
    ranklet::Catalog catalog;
    if (const ranklet::Bert* bert = model.as<ranklet::Bert>()) {
        check_encoder(*bert, golden, name);
        const auto texts = take(golden.file().strings("golden.texts"));
        std::vector<std::string> ids;
        for (std::size_t t = 0; t < texts.size(); ++t) ids.push_back("text " + std::to_string(t));
        std::vector<ranklet::Item> items;
        for (std::size_t t = 0; t < texts.size(); ++t) items.push_back({ids[t], texts[t]});
        catalog = take(model.encode_catalog(items));
    } else {
        catalog = take(model.items());
    }
    for (const std::string& history : histories) {
        const auto events = take(golden.file().i32s("golden.history." + history));
        const auto ratings = take(golden.file().floats("golden.ratings." + history));
        const std::string what = name + ", history " + history;
        auto user = model.new_user();
        for (std::size_t e = 0; e < events.size(); ++e)
            REQUIRE(user.observe(catalog[static_cast<std::size_t>(events[e])], ratings[e]).ok());
        check_close(user.state().hidden, golden.vector("golden.state." + history), what + " state");
        check_close(take(model.scores(user, catalog)), golden.vector("golden.scores." + history), what + " scores");
    }
}

const std::vector<std::string> with_ratings{"cold", "one", "unrated", "rated"};
const std::vector<std::string> without_ratings{"cold", "one", "unrated"};

}  // namespace

TEST_CASE("encoders agree with PyTorch: mean, cls and all poolings with dense modules; f32, f16, bf16; DistilBERT") {
    for (const std::string name : {"tiny-minilm", "tiny-dense", "tiny-distilbert"}) {
        const auto bert = take(ranklet::Bert::load(model_path(name)));
        check_encoder(bert, Golden(name + ".golden.gguf"), name);
    }
}

TEST_CASE("modules of token states, layer norm, residual dense, fewer numbers, and a prompt that does not count") {
    const auto bert = take(ranklet::Bert::load(model_path("tiny-modules")));
    const Golden golden("tiny-modules.golden.gguf");
    CHECK(bert.dim() == 9);
    check_encoder(bert, golden, "tiny-modules");
    const auto texts = take(golden.file().strings("golden.texts"));
    const ranklet::Matrix expected = golden.matrix("golden.prompt_vectors");
    ranklet::BatchOptions options;
    options.prompt = take(golden.file().string("golden.prompt"));
    const ranklet::Matrix found = take(bert.encode(std::span<const std::string_view>(texts), options));
    for (std::size_t t = 0; t < texts.size(); ++t)
        check_close(found.row(t), expected.row(t), "tiny-modules, prompt, text " + std::to_string(t));
}

TEST_CASE("text_gru, the founding model, agrees with PyTorch") { check_recommender("tiny-text-gru", without_ratings); }

TEST_CASE("text_gru with three GRU layers, no biases and another hidden size agrees with PyTorch") {
    check_recommender("tiny-text-gru-wide", without_ratings);
}

TEST_CASE("text_gru's scores per position agree with PyTorch, and the last one is the item's score") {
    for (const std::string name : {"tiny-text-gru", "tiny-text-gru-wide"}) {
        const Golden golden(name + ".golden.gguf");
        const auto model = take(ranklet::Recommender::load(model_path(name)));
        const auto texts = take(golden.file().strings("golden.texts"));
        const auto text = golden.u32("golden.position_text");
        for (const std::string& history : without_ratings) {
            auto user = model.new_user();
            for (const std::int32_t event : take(golden.file().i32s("golden.history." + history)))
                REQUIRE(user.observe_text(texts[static_cast<std::size_t>(event)]).ok());
            const auto scores =
                take(model.as<ranklet::TextGru>()->position_scores(model.encoder(), user.state(), texts[text]));
            check_close(scores, golden.vector("golden.position_scores." + history),
                        name + " positions after " + history);
            CHECK(scores.back() == doctest::Approx(golden.vector("golden.scores." + history)[text]).epsilon(1e-5));
        }
    }
}

TEST_CASE("next_event with a rating embedding agrees with PyTorch, with and without ratings") {
    check_recommender("tiny-next-event", with_ratings);
}

TEST_CASE("dot_product with two GRU layers, a projection and rating weights agrees with PyTorch") {
    check_recommender("tiny-dot-product", with_ratings);
}

TEST_CASE("dot_product without a projection agrees with PyTorch, stored as f16") {
    check_recommender("tiny-dot-plain", without_ratings);
}

TEST_CASE("learned items with biases and two GRU layers agree with PyTorch") {
    check_recommender("tiny-items", without_ratings);
}

TEST_CASE("hard gates are those that the file names, in every kind of recommender with a GRU") {
    for (const std::string name : {"tiny-next-event", "tiny-text-gru", "tiny-items"}) {
        CAPTURE(name);
        std::ifstream stream(model_path(name + "-hard"), std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(stream), {}};
        const auto load = [&](const std::string& with) {
            std::string changed = text;
            const std::string_view key = "after+hard_sigmoid_keras";
            const std::size_t at = changed.find(key);
            REQUIRE(at != std::string::npos);
            if (!with.empty()) changed.replace(at + key.size(), 1, with);
            std::vector<std::byte> bytes(changed.size());
            std::memcpy(bytes.data(), changed.data(), changed.size());
            return ranklet::Recommender::from_file(take(ranklet::GgufFile::from_memory(bytes, name)));
        };
        const bool is_second = text.find("hard_sigmoid_keras2") != std::string::npos;
        CHECK(load("").ok());  // what the converter's reference says of these gates is the file's self-test
        const auto other = load(is_second ? "3" : "2");
        REQUIRE_FALSE(other.ok());
        CHECK(other.error().code == ranklet::ErrorCode::self_test);
        const auto unknown = load("9");
        REQUIRE_FALSE(unknown.ok());
        CHECK(unknown.error().code == ranklet::ErrorCode::unsupported);
        CHECK(unknown.error().message.find(
                  "ranklet.gru.reset is \"after+hard_sigmoid_keras9\", expected after, before, ") != std::string::npos);
    }
}
