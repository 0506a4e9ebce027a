// Files that llama.cpp's converter writes, read as files of ours: what that engine knows of a make becomes keys, fused tensors
// their parts, its tokenizers their steps. A key that a file has wins over what the engine does, the caller's option over both.
// In: a file without `ranklet.version`. Out: the same file with what was added to it; nothing of its tensors is copied.
// Facts: the tensors' and keys' names and the defaults of llama.cpp (its conversion and its models, 2026).
#pragma once

#include <cstdint>
#include <optional>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/io/gguf.hpp"

RANKLET_NAMESPACE_BEGIN

enum class Activation;  // kernels/elementwise.hpp
enum class Pooling;     // layers/pooling.hpp

/// What the caller knows better of a file of llama.cpp's: in place of what the file says, or else that engine does (lower
/// case, the make's activation, vectors of length 1, texts as long as the context). A file of ours says all of it itself.
struct EncoderDefaults {
    std::optional<bool> lowercase;
    std::optional<bool> strip_accents;  ///< follows lowercase when not given
    std::optional<Activation> activation;
    std::optional<Pooling> pooling;  ///< must be given where the file has none (`pooling_type` 0), and the engine no vector
    std::optional<bool> normalize;
    std::optional<std::uint32_t> max_length;
};

namespace detail {

/// The file itself where it is of ours, or of no make that llama.cpp has. Error unsupported or missing, naming the key or
/// tensor, for what is not read: other scalings of rotary positions, tensors without a meaning here, pre-tokenizers.
RANKLET_COLD RANKLET_FUNC Result<GgufFile> of_llama_cpp(const GgufFile& file, const EncoderDefaults& options);

}  // namespace detail
RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ranklet/io/gguf_writer.hpp"
#include "ranklet/kernels/elementwise.hpp"
#include "ranklet/model_file/layers.hpp"
#include "ranklet/model_file/reader.hpp"
#include "ranklet/text/subword_tokenizer.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

class LlamaCppFile {
public:
    struct Make {
        std::string_view name, activation;
        std::uint32_t window_every = 0;  ///< one layer in so many looks at all; 0: all do
        bool first_looks_at_all = false;
        bool causal = false, rotary = false, alibi = false, fused_gate = false, rms = false;
    };

    LlamaCppFile(const GgufFile& file, const Make& make, const EncoderDefaults& options)
        : file_(file), reader_(file), keys_(reader_.scope(make.name)), ggml_(reader_.scope("tokenizer.ggml")), make_(make),
          options_(options) {}

    RANKLET_COLD Result<GgufFile> read() {
        writer_.key("ranklet.encoder.type", std::string_view("bert"));
        RANKLET_TRY(read_sizes());
        RANKLET_TRY(read_activation());
        RANKLET_TRY(read_vector());
        RANKLET_TRY(read_layers());
        RANKLET_TRY(read_positions());
        RANKLET_TRY(check_tensors());
        RANKLET_TRY(read_tokenizer());
        RANKLET_ASSIGN(auto bytes, writer_.bytes());
        return file_.with(std::move(bytes), std::move(aliases_));
    }

private:
    Result<void> read_sizes() {
        RANKLET_ASSIGN(dim_, keys_.u32("embedding_length"));
        RANKLET_ASSIGN(heads_, keys_.u32("attention.head_count"));
        RANKLET_ASSIGN(blocks_, keys_.u32("block_count"));
        RANKLET_ASSIGN(inner_, keys_.u32("feed_forward_length"));
        RANKLET_ASSIGN(key_heads_, keys_.u32_or("attention.head_count_kv", heads_));
        if (heads_ == 0 || blocks_ > 10'000) return keys_.wrong("attention.head_count", {" is 0"});
        RANKLET_ASSIGN(head_, keys_.u32_or("attention.key_length", dim_ / heads_));
        // Files may have the one norm's epsilon under the other's name, or both.
        writer_.key_bool("ranklet.encoder.rms_norm", make_.rms);
        const char *epsilon = "attention.layer_norm_epsilon", *other = "attention.layer_norm_rms_epsilon";
        if (make_.rms) std::swap(epsilon, other);
        if (!keys_.has(epsilon)) {
            RANKLET_ASSIGN(const float value, keys_.f32(keys_.has(other) ? other : epsilon));
            writer_.key_f32(keys_.full(epsilon), value);
        }
        if (!keys_.has("attention.causal")) writer_.key_bool(keys_.full("attention.causal"), make_.causal);
        return {};
    }

    // EncoderDefaults::activation, ARCH.hidden_activation, the make's.
    Result<void> read_activation() {
        static constexpr std::array<std::pair<Activation, std::string_view>, 4> names{
            {{Activation::gelu, "gelu"}, {Activation::gelu_tanh, "gelu_tanh"}, {Activation::relu, "relu"},
             {Activation::silu, "silu"}}};
        std::string_view name = make_.activation;
        if (make_.name == "t5encoder" && file_.has_tensor("enc.blk.0.ffn_gate.weight")) name = "gelu_tanh";
        if (keys_.has("hidden_activation")) {
            RANKLET_ASSIGN(name, keys_.choice<std::string_view>("hidden_activation", {{"gelu", "gelu"},
                                                                                      {"gelu_pytorch_tanh", "gelu_tanh"},
                                                                                      {"gelu_new", "gelu_tanh"},
                                                                                      {"relu", "relu"},
                                                                                      {"silu", "silu"}}));
        }
        for (const auto& [activation, known] : names)
            if (options_.activation == activation) name = known;
        if (options_.activation || !file_.has("ranklet.encoder.activation"))
            writer_.key("ranklet.encoder.activation", name);
        return {};
    }

    // How states become a vector; how long texts may be.
    Result<void> read_vector() {
        RANKLET_ASSIGN(const std::uint32_t context, keys_.u32("context_length"));
        if (options_.max_length && (*options_.max_length < 2 || *options_.max_length > context))
            return make_error(ErrorCode::invalid_argument, {file_.name(), ": EncoderDefaults::max_length ",
                                                            *options_.max_length, " is not 2 to ", context});
        if (options_.max_length || !file_.has("ranklet.encoder.max_length"))
            writer_.key("ranklet.encoder.max_length", options_.max_length.value_or(context));
        if (file_.has("ranklet.encoder.modules")) return {};
        static constexpr std::array<std::string_view, 4> stored{"", "mean", "cls", "last"};
        std::string_view pooling;
        if (keys_.has("pooling_type")) {
            RANKLET_ASSIGN(const std::uint32_t type, keys_.u32("pooling_type"));
            if (type >= stored.size() && !options_.pooling)
                return keys_.wrong("pooling_type", {" ", type, " is not 0 (none), 1 (mean), 2 (cls) or 3 (last)"},
                                   ErrorCode::unsupported);
            if (type < stored.size()) pooling = stored[type];
        }
        if (options_.pooling)
            for (const auto& [name, value] : pooling_names)
                if (value == *options_.pooling) pooling = name;
        if (pooling.empty())
            return make_error(ErrorCode::missing, {file_.name(), ": ", keys_.full("pooling_type"),
                                                   " does not say how token states become a vector: "
                                                   "EncoderDefaults::pooling must"});
        writer_.array("ranklet.encoder.pooling", std::span<const std::string>(std::array{std::string(pooling)}));
        std::vector<std::string> modules{"pooling"};
        for (const char* name : {"dense_2", "dense_3"}) {  // sentence-transformers' modules, in Gemma's files
            const std::string tensor = std::string(name) + ".weight";
            if (!file_.has_tensor(tensor)) continue;
            const std::string module = "dense." + std::to_string(modules.size() - 1);
            aliases_.push_back({"ranklet." + module + ".weight", tensor, 0, 0});
            writer_.key("ranklet.encoder." + module + ".activation", std::string_view("identity"));
            modules.push_back(module);
        }
        if (options_.normalize.value_or(true)) modules.emplace_back("normalize");
        writer_.array("ranklet.encoder.modules", std::span<const std::string>(modules));
        return {};
    }

    // Fused maps to their parts; T5's names to ours.
    Result<void> read_layers() {
        const std::size_t queries = std::size_t{heads_} * head_, keys = std::size_t{key_heads_} * head_;
        for (std::uint32_t n = 0; n < blocks_; ++n) {
            const std::string block = "blk." + std::to_string(n) + ".";
            if (make_.name == "t5encoder") {
                static constexpr std::array<std::array<const char*, 2>, 9> names{{{"attn_norm", "attn_norm"},
                                                                                  {"attn_q", "attn_q"},
                                                                                  {"attn_k", "attn_k"},
                                                                                  {"attn_v", "attn_v"},
                                                                                  {"attn_o", "attn_output"},
                                                                                  {"ffn_norm", "ffn_norm"},
                                                                                  {"ffn_gate", "ffn_gate"},
                                                                                  {"ffn_up", "ffn_up"},
                                                                                  {"ffn_down", "ffn_down"}}};
                for (const auto& [theirs, ours] : names)
                    if (const std::string of = "enc." + block + theirs + ".weight"; file_.has_tensor(of))
                        aliases_.push_back({block + ours + ".weight", of, 0, 0});
            }
            for (const char* part : {".weight", ".bias"}) {
                const std::string fused = block + "attn_qkv" + part;
                if (!file_.has_tensor(fused)) continue;
                if (*part == '.' && part[1] == 'b') {
                    RANKLET_TRY(split_bias(fused, block, queries, keys));
                    continue;
                }
                aliases_.push_back({block + "attn_q.weight", fused, 0, queries});
                aliases_.push_back({block + "attn_k.weight", fused, queries, keys});
                aliases_.push_back({block + "attn_v.weight", fused, queries + keys, keys});
            }
            const std::string up = block + "ffn_up.weight";
            if (!make_.fused_gate || !file_.has_tensor(up) || file_.has_tensor(block + "ffn_gate.weight")) continue;
            RANKLET_ASSIGN(const TensorView found, file_.tensor(up));
            if (found.rows != 2 * std::size_t{inner_}) continue;
            aliases_.push_back({block + "ffn_gate.weight", up, 0, inner_});
            aliases_.push_back({up, up, inner_, inner_});
        }
        if (make_.name == "t5encoder")
            aliases_.push_back({"output_norm.weight", "enc.output_norm.weight", 0, 0});
        return {};
    }
    Result<void> split_bias(const std::string& fused, const std::string& block, std::size_t queries, std::size_t keys) {
        RANKLET_ASSIGN(const std::vector<float> bias, reader_.vector(fused, queries + 2 * keys));
        std::size_t first = 0;
        for (const auto& [name, count] : {std::pair{"attn_q.bias", queries}, {"attn_k.bias", keys}, {"attn_v.bias", keys}}) {
            own_tensor(block + name, 1, std::vector<float>(bias.begin() + static_cast<std::ptrdiff_t>(first),
                                                           bias.begin() + static_cast<std::ptrdiff_t>(first + count)));
            first += count;
        }
        return {};
    }

    // Rotary frequencies, ALiBi's slopes, T5's buckets, windows, scales.
    Result<void> read_positions() {
        if (make_.rotary) {
            RANKLET_ASSIGN(const std::uint32_t turned, keys_.u32_or("rope.dimension_count", head_));
            RANKLET_ASSIGN(const auto scaling, keys_.string_or("rope.scaling.type", "none"));
            float slower = 1.0f;
            if (scaling == "linear") {
                RANKLET_ASSIGN(slower, keys_.f32("rope.scaling.factor"));
            } else if (scaling != "none") {
                return keys_.wrong("rope.scaling.type", {" is \"", scaling, "\"; none and linear are read"},
                                   ErrorCode::unsupported);
            }
            RANKLET_ASSIGN(const float base, base_of("rope.freq_base"));
            frequencies("rope_frequencies.weight", base, turned, slower);
            if (make_.window_every > 0) {
                RANKLET_ASSIGN(const float of_windows, base_of("rope.freq_base_swa"));
                frequencies("rope_frequencies_window.weight", of_windows, turned, 1.0f);
            }
        }
        if (make_.window_every > 0 && keys_.has("attention.sliding_window")) RANKLET_TRY(read_windows());
        if (make_.alibi) own_tensor("attention_slopes.weight", 1, slopes());
        if (make_.name == "gemma-embedding")
            writer_.key_f32("ranklet.encoder.embedding_scale", std::sqrt(static_cast<float>(dim_)));
        if (make_.name != "t5encoder") return {};
        writer_.key_f32("ranklet.encoder.attention_scale", 1.0f);
        return read_buckets();
    }
    Result<void> read_windows() {
        RANKLET_ASSIGN(const std::uint32_t width, keys_.u32("attention.sliding_window"));
        std::vector<std::uint32_t> windows(blocks_);
        const char* pattern = "attention.sliding_window_pattern";
        std::uint32_t every = make_.window_every;
        if (keys_.has(pattern)) {
            RANKLET_ASSIGN(every, keys_.u32(pattern));
        }
        for (std::uint32_t n = 0; n < blocks_; ++n)
            windows[n] = every == 0 || (make_.first_looks_at_all ? n % every != 0 : n % every < every - 1) ? 1 : 0;
        writer_.array("ranklet.encoder.window_layers", std::span<const std::uint32_t>(windows));
        writer_.key("ranklet.encoder.window_reach", width / 2);
        return {};
    }
    Result<float> base_of(const char* key) const { return keys_.has(key) ? keys_.f32(key) : 10000.0f; }
    // base^(-2i / turned), each step in f32, as PyTorch's formula has it.
    void frequencies(const char* name, float base, std::uint32_t turned, float slower) {
        std::vector<float> values(turned / 2);
        for (std::size_t i = 0; i < values.size(); ++i) {
            const float exponent = static_cast<float>(2 * i) / static_cast<float>(turned);
            values[i] = 1.0f / static_cast<float>(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
            values[i] /= slower;
        }
        if (!values.empty()) own_tensor(name, 1, std::move(values));
    }
    std::vector<float> slopes() const {
        std::vector<float> values;
        const std::uint32_t whole = std::uint32_t{1} << static_cast<std::uint32_t>(std::log2(heads_));
        for (std::uint32_t h = 0; h < heads_; ++h)
            values.push_back(static_cast<float>(h < whole ? std::exp2(-8.0 / whole * (h + 1))
                                                          : std::exp2(-4.0 / whole * (2 * (h - whole) + 1))));
        return values;
    }
    // Raffel et al. 2020: half of the buckets are exact, the rest by the logarithm, up to 128 tokens away.
    Result<void> read_buckets() {
        RANKLET_ASSIGN(const TensorView table, file_.tensor("enc.blk.0.attn_rel_b.weight"));
        RANKLET_ASSIGN(const std::uint32_t count, keys_.u32("attention.relative_buckets_count"));
        if (table.rows != count || table.cols != heads_ || count < 4)
            return reader_.wrong("enc.blk.0.attn_rel_b.weight", {" is ", table.rows, " x ", table.cols, ", expected ", count,
                                                                 " buckets of ", heads_, " heads"});
        constexpr std::ptrdiff_t reach = 128;
        const std::uint32_t half = count / 2, exact = half / 2;
        std::vector<float> rows(std::size_t{count} * heads_), values(heads_ * std::size_t{2 * reach + 1});
        for (std::uint32_t r = 0; r < count; ++r) dequantize_row(table, r, rows.data() + std::size_t{r} * heads_);
        for (std::ptrdiff_t d = -reach; d <= reach; ++d) {
            const auto away = static_cast<double>(d < 0 ? -d : d);
            auto bucket = static_cast<std::uint32_t>(away);
            if (away >= exact)
                bucket = std::min(half - 1, exact + static_cast<std::uint32_t>(std::log(away / exact) /
                                                                                    std::log(double{reach} / exact) *
                                                                                    (half - exact) +
                                                                                1e-6));
            if (d > 0) bucket += half;
            for (std::uint32_t h = 0; h < heads_; ++h)
                values[h * std::size_t{2 * reach + 1} + static_cast<std::size_t>(d + reach)] =
                    rows[std::size_t{bucket} * heads_ + h];
        }
        own_tensor("attention_bias.weight", heads_, std::move(values));
        return {};
    }

    // A tensor that nothing here looks at would change what the engine computes.
    Result<void> check_tensors() const {
        static constexpr std::array<std::string_view, 20> parts{
            "attn_norm", "attn_q", "attn_k", "attn_v", "attn_qkv", "attn_output", "attn_o", "attn_output_norm",
            "attn_q_norm", "attn_k_norm", "post_attention_norm", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down",
            "post_ffw_norm", "layer_output_norm", "attn_rel_b", "attn_position_k", "attn_position_q"};
        for (const TensorView& tensor : file_.tensors()) {
            std::string_view name = tensor.name;
            if (name.starts_with("enc.")) name.remove_prefix(4);
            if (name == "rope_freqs.weight")
                return reader_.wrong(tensor.name, {": scaled rotary positions are not read"}, ErrorCode::unsupported);
            if (!name.starts_with("blk.")) continue;
            const std::size_t dot = name.find('.', 4);
            if (dot == std::string_view::npos) continue;
            name.remove_prefix(dot + 1);
            name = name.substr(0, name.find('.'));
            if (std::find(parts.begin(), parts.end(), name) == parts.end())
                return reader_.wrong(tensor.name, {": no part of a transformer that is read"}, ErrorCode::unsupported);
        }
        return {};
    }

    // ---- tokenizers

    Result<void> read_tokenizer() {
        RANKLET_ASSIGN(const auto model, ggml_.string("model"));
        if (model == "bert") return read_wordpiece();
        RANKLET_ASSIGN(tokens_, ggml_.strings("tokens"));
        types_.assign(tokens_.size(), 1);
        if (ggml_.has("token_type")) {
            RANKLET_ASSIGN(types_, ggml_.i32s("token_type"));
            if (types_.size() != tokens_.size())
                return ggml_.wrong("token_type", {" has ", types_.size(), " entries for ", tokens_.size(), " tokens"});
        }
        if (model == "gpt2") return read_byte_pairs();
        if (model == "t5") return read_unigram();
        if (model == "llama") return read_pairs_of_scores();
        return ggml_.wrong("model", {" is \"", model, "\"; bert, t5, gpt2 and llama are read"}, ErrorCode::unsupported);
    }
    // Lower case and no accents, unless the file or the caller says otherwise.
    Result<void> read_wordpiece() {
        const ModelReader normalizer = ggml_.scope("normalizer");
        const ModelReader ours = reader_.scope("ranklet.tokenizer");
        const auto stated = [&](const char* name, bool otherwise) -> Result<bool> {
            return ours.has(name) ? ours.boolean(name) : normalizer.boolean_or(name, otherwise);
        };
        RANKLET_ASSIGN(bool lowercase, stated("lowercase", true));
        lowercase = options_.lowercase.value_or(lowercase);
        RANKLET_ASSIGN(bool strips, stated("strip_accents", lowercase));
        strips = options_.strip_accents.value_or(options_.lowercase.value_or(strips));
        writer_.key_bool("ranklet.tokenizer.lowercase", lowercase);
        writer_.key_bool("ranklet.tokenizer.strip_accents", strips);
        return {};
    }

    Result<void> read_byte_pairs() {
        struct Pre {
            std::string_view name, pattern;  // no pattern: GPT-2's
            bool nfc = false, begins = false, ignore_merges = false;
        };
        static constexpr std::string_view qwen =
            R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
        static constexpr std::string_view llama3 =
            R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
        static constexpr std::array<Pre, 10> known{{{"gpt-2", ""},
                                                    {"roberta-bpe", ""},
                                                    {"jina-v1-en", ""},
                                                    {"jina-v2-es", ""},
                                                    {"jina-v2-de", ""},
                                                    {"jina-v2-code", ""},
                                                    {"modern-bert", "", true},
                                                    {"qwen2", qwen, true},
                                                    {"llama-bpe", llama3, false, true, true},
                                                    {"llama3", llama3, false, true, true}}};
        RANKLET_ASSIGN(const auto name, ggml_.string_or("pre", "gpt-2"));
        const auto* found = std::find_if(known.begin(), known.end(), [&](const Pre& pre) { return pre.name == name; });
        if (found == known.end())
            return ggml_.wrong("pre", {" is \"", name, "\", a pre-tokenizer that is not read"}, ErrorCode::unsupported);
        std::vector<std::string> cuts;
        if (!found->pattern.empty()) cuts = {"split_regex", std::string(found->pattern), "isolated", "matches"};
        cuts.insert(cuts.end(), {"byte_level", found->pattern.empty() ? "split" : ""});
        if (found->nfc) steps("normalizers", {"nfc"});
        steps("pre_tokenizers", std::move(cuts));
        writer_.key("ranklet.tokenizer.model", std::string_view("bpe"));
        if (found->ignore_merges) writer_.key_bool("ranklet.tokenizer.ignore_merges", true);
        add_tokens();
        // RoBERTa has two ends between the texts of a pair.
        return read_ends(found->begins, false, name == "roberta-bpe" || name.starts_with("jina-v"));
    }

    // SentencePiece's: its normalisation, and pieces that no text gives.
    Result<void> read_sentencepiece(bool squeezes) {
        RANKLET_ASSIGN(const bool prefix, ggml_.boolean_or("add_space_prefix", true));
        RANKLET_ASSIGN(const bool squeeze, ggml_.boolean_or("remove_extra_whitespaces", squeezes));
        std::string flags = prefix ? "dummy_prefix" : "";
        if (squeeze) flags += flags.empty() ? "remove_extra_whitespaces" : " remove_extra_whitespaces";
        steps("normalizers", {"sentencepiece", flags});
        bool bytes = false;
        std::vector<std::int32_t> unmatched;
        for (std::size_t i = 0; i < types_.size(); ++i) {
            bytes = bytes || types_[i] == 6;
            if (types_[i] != 1) unmatched.push_back(static_cast<std::int32_t>(i));
        }
        writer_.array("ranklet.tokenizer.unmatched_ids", std::span<const std::int32_t>(unmatched));
        if (bytes) writer_.key_bool("ranklet.tokenizer.byte_fallback", true);
        add_tokens();
        return {};
    }
    Result<void> read_unigram() {
        writer_.key("ranklet.tokenizer.model", std::string_view("unigram"));
        writer_.key_bool("ranklet.tokenizer.single_precision", true);
        RANKLET_TRY(read_sentencepiece(false));
        if (!ggml_.has("unknown_token_id")) {
            const auto unknown = std::find(types_.begin(), types_.end(), 2);
            writer_.key(ggml_.full("unknown_token_id"),
                        unknown == types_.end() ? 2u : static_cast<std::uint32_t>(unknown - types_.begin()));
        }
        return read_ends(false, true, make_.name == "bert");
    }
    // Merges are the ways to cut a piece in two, those of the best piece first.
    Result<void> read_pairs_of_scores() {
        writer_.key("ranklet.tokenizer.model", std::string_view("bpe"));
        writer_.key_bool("ranklet.tokenizer.fuse_unk", true);
        writer_.key_bool("ranklet.tokenizer.equal_ranks", true);
        RANKLET_TRY(read_sentencepiece(false));
        if (!ggml_.has("unknown_token_id")) writer_.key(ggml_.full("unknown_token_id"), 0u);
        RANKLET_ASSIGN(const auto scores, ggml_.floats("scores"));
        if (scores.size() != tokens_.size())
            return ggml_.wrong("scores", {" has ", scores.size(), " entries for ", tokens_.size(), " tokens"});
        std::unordered_map<std::string_view, std::size_t> places;
        std::vector<std::size_t> order;
        for (std::size_t i = 0; i < tokens_.size(); ++i)
            if (types_[i] == 1 && places.emplace(tokens_[i], i).second) order.push_back(i);
        std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
        std::vector<std::string> merges;
        for (const std::size_t i : order) {
            const std::string_view piece = tokens_[i];
            for (std::size_t cut = 1; cut < piece.size(); ++cut) {
                if ((static_cast<unsigned char>(piece[cut]) & 0xC0u) == 0x80u) continue;
                const std::string_view left = piece.substr(0, cut), right = piece.substr(cut);
                if (places.contains(left) && places.contains(right))
                    merges.push_back(std::string(left).append(" ").append(right));
            }
        }
        writer_.array(ggml_.full("merges"), std::span<const std::string>(merges));
        return read_ends(true, false, false);
    }

    // Control tokens are found as they are written, those of users in normalised text.
    void add_tokens() {
        std::vector<std::uint32_t> ids, flags;
        for (std::size_t i = 0; i < types_.size(); ++i) {
            if ((types_[i] != 3 && types_[i] != 4) || tokens_[i].empty()) continue;
            ids.push_back(static_cast<std::uint32_t>(i));
            flags.push_back(types_[i] == 3 ? 1u : 0u);
        }
        writer_.array("ranklet.tokenizer.added_ids", std::span<const std::uint32_t>(ids));
        writer_.array("ranklet.tokenizer.added_flags", std::span<const std::uint32_t>(flags));
        writer_.key("ranklet.tokenizer.model_tokens", static_cast<std::uint32_t>(tokens_.size()));
    }
    // What stands around a text, and around a pair.
    Result<void> read_ends(bool begins, bool ends, bool two_between) {
        RANKLET_ASSIGN(begins, ggml_.boolean_or("add_bos_token", begins));
        RANKLET_ASSIGN(ends, ggml_.boolean_or("add_eos_token", ends));
        const auto token = [&](const char* name, const char* other) -> Result<std::int32_t> {
            const char* key = ggml_.has(name) || !ggml_.has(other) ? name : other;
            RANKLET_ASSIGN(const std::uint32_t id, ggml_.u32_in(key, 0, static_cast<std::uint32_t>(tokens_.size() - 1)));
            return static_cast<std::int32_t>(id);
        };
        std::int32_t begin = -1, end = -1;
        if (begins) {
            RANKLET_ASSIGN(begin, token("bos_token_id", "cls_token_id"));
        }
        if (ends) {
            RANKLET_ASSIGN(end, token("eos_token_id", "seperator_token_id"));
        }
        std::vector<std::int32_t> parts;
        const auto put = [&](bool there, std::int32_t id) {
            if (there) parts.insert(parts.end(), {id, 0});
        };
        put(begins, begin);
        put(true, TemplatePart::first_text);
        put(ends, end);
        writer_.array("ranklet.tokenizer.single", std::span<const std::int32_t>(parts));
        put(ends && two_between, end);
        put(true, TemplatePart::second_text);
        put(ends, end);
        writer_.array("ranklet.tokenizer.pair", std::span<const std::int32_t>(parts));
        return {};
    }

    void steps(const char* name, std::vector<std::string> parts) {
        writer_.array(std::string("ranklet.tokenizer.") + name, std::span<const std::string>(parts));
    }
    void own_tensor(std::string name, std::size_t rows, std::vector<float> values) {
        numbers_.push_back(std::move(values));
        const std::vector<float>& kept = numbers_.back();
        writer_.tensor(name, rows, kept.size() / rows, std::span<const float>(kept));
    }

    const GgufFile& file_;
    ModelReader reader_, keys_, ggml_;
    const Make& make_;
    const EncoderDefaults& options_;
    GgufWriter writer_;
    std::deque<std::vector<float>> numbers_;  // of the writer's tensors
    std::vector<TensorAlias> aliases_;
    std::vector<std::string_view> tokens_;
    std::vector<std::int32_t> types_;
    std::uint32_t dim_ = 0, heads_ = 0, key_heads_ = 0, head_ = 0, blocks_ = 0, inner_ = 0;
};

RANKLET_COLD RANKLET_FUNC Result<GgufFile> of_llama_cpp(const GgufFile& file, const EncoderDefaults& options) {
    using Make = LlamaCppFile::Make;
    static constexpr std::array<Make, 7> makes{{
        {.name = "bert", .activation = "gelu"},
        {.name = "nomic-bert", .activation = "silu", .rotary = true},
        {.name = "jina-bert-v2", .activation = "gelu", .alibi = true, .fused_gate = true},
        {.name = "modern-bert", .activation = "gelu", .window_every = 3, .first_looks_at_all = true, .rotary = true,
         .fused_gate = true},
        {.name = "qwen3", .activation = "silu", .causal = true, .rotary = true, .rms = true},
        {.name = "gemma-embedding", .activation = "gelu_tanh", .window_every = 6, .rotary = true, .rms = true},
        {.name = "t5encoder", .activation = "relu", .rms = true},
    }};
    if (file.has("ranklet.version") || !file.has("general.architecture") || file.has("ranklet.encoder.type")) return file;
    RANKLET_ASSIGN(const auto name, file.string("general.architecture"));
    for (const Make& make : makes)
        if (make.name == name) return LlamaCppFile(file, make, options).read();
    return file;
}

}  // namespace detail
RANKLET_NAMESPACE_END
#endif
