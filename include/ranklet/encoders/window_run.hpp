// WindowRun: texts, or pairs of them, through tokenizer and transformer, several windows at a time (windows.hpp).
// In: texts. Out: each window's token states, to a sink; how much of each text was read. WindowVectors is the sink that
// makes a text's vector of them. A window's states have the same bits in any batch, with any number of threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/groups.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/encoders/bert_model.hpp"
#include "ranklet/encoders/options.hpp"
#include "ranklet/encoders/sentence_head.hpp"
#include "ranklet/encoders/text_window.hpp"
#include "ranklet/encoders/token_batch.hpp"
#include "ranklet/text/tokenizer.hpp"
#include "ranklet/text/windows.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

/// One call over texts or pairs. Everything it is made of has to outlive it.
class WindowRun {
public:
    /// `max_length`: tokens of a window, special ones included. `sink_scratch`: bytes of scratch that the sink needs.
    /// `prompt`: put before each text.
    WindowRun(const Tokenizer& tokenizer, const BertModel& model, std::size_t max_length, const BatchOptions& options,
              const WindowSink& sink, std::size_t sink_scratch, std::string_view prompt)
        : tokenizer_(tokenizer),
          special_(tokenizer.special_tokens()),
          model_(model),
          max_length_(max_length),
          options_(options),
          sink_(sink),
          sink_scratch_(sink_scratch),
          prompt_(prompt) {
        if (!options.windows) limit_.max_length = max_length;
    }

    /// `inputs`: a TextList, or a span of pairs.
    template <class Inputs>
    Result<void> over(Inputs inputs) const {
        using Input = typename Inputs::value_type;
        RANKLET_TRY(check<Input>(inputs.size()));
        // A short list is cut finer, so that every thread gets a share; fewer texts than threads go one batch after
        // another, and the threads share the work of each.
        const std::size_t wanted = resolve_threads(options_.threads);
        const bool share = inputs.size() < wanted;
        const std::size_t group_texts =
            share ? std::max<std::size_t>(inputs.size(), 1)
                  : std::clamp<std::size_t>((inputs.size() + wanted - 1) / wanted, 1, max_group_texts);
        std::vector<Worker> workers(group_threads(inputs.size(), group_texts, options_.threads));
        const std::size_t work = work_of(inputs);
        Result<void> status;
        run_together(share ? worth(options_.threads, work) : Threads(1), [&](Threads together) {
            for (Worker& worker : workers) worker.threads = together;
            status = catch_out_of_memory([&] {
                return for_each_group(inputs.size(), group_texts, options_, work,
                                      [&](std::size_t first, std::size_t last, std::size_t thread) {
                                          return group(inputs, first, last, workers[thread]);
                                      });
            });
        });
        return status;
    }

private:
    template <class Input>
    static constexpr bool is_pair = std::is_same_v<Input, TextPair>;

    struct Worker {
        Encoding encoding;
        Encoding probe;  // whether a text has more tokens than were read
        std::vector<TokenWindow> cuts;
        bool first_is_cut = false;  // of a pair in windows
        Scratch scratch;
        std::string prompted;
        std::vector<std::int32_t> ids, type_ids;  // of the windows that wait for run_batch
        std::vector<std::size_t> offsets;
        std::vector<TextWindow> windows;
        AlignedBuffer<float> states;
        Threads threads = 1;  // that share one batch's work

        void clear() {
            ids.clear();
            type_ids.clear();
            offsets.assign(1, 0);
            windows.clear();
        }
    };
    // Texts handed to a thread at a time, and tokens that go through the layers together: enough rows to keep the
    // matrix product busy, few enough that activations stay in cache.
    static constexpr std::size_t max_group_texts = 32;
    static constexpr std::size_t batch_tokens = 256;

    template <class Input>
    Result<void> check(std::size_t inputs) const {
        const std::size_t texts = is_pair<Input> ? 2 * inputs : inputs;
        if (!options_.read.empty() && options_.read.size() != texts)
            return wrong_read_size(options_.read.size(), texts);
        if (!options_.windows) return {};
        RANKLET_TRY(
            overlap(room_beside(is_pair<Input> ? special_.pair() : special_.single())));  // a prompt leaves less
        return {};
    }
    // A token is four bytes or so, of a text that may be cut.
    template <class Inputs>
    std::size_t work_of(Inputs inputs) const {
        const auto tokens = [&](std::string_view text) {
            return 2 + (options_.windows ? text.size() / 4 : std::min(text.size() / 4, max_length_));
        };
        std::size_t sum = 0;
        for (const auto& input : inputs)
            if constexpr (is_pair<typename Inputs::value_type>)
                sum += tokens(input.first) + tokens(input.second);
            else
                sum += tokens(input);
        return sum * model_.token_work();
    }
    // Tokens of a text in a window with so many others.
    std::size_t room_beside(std::size_t others) const noexcept { return max_length_ - std::min(max_length_, others); }
    // Tokens that windows of this room share.
    Result<std::size_t> overlap(std::size_t room) const {
        const std::size_t tokens = options_.windows->overlap.value_or(room / 4);
        if (tokens < room) return tokens;
        return make_error(ErrorCode::invalid_argument,
                          {"windows have room for ", room, " tokens of a text, too few to overlap by ", tokens});
    }

    Result<void> tokenize(std::string_view text, const EncodeOptions& limit, Worker& worker, Encoding& out) const {
        if (prompt_.empty()) return tokenizer_.encode(text, limit, out);
        worker.prompted.assign(prompt_).append(text);
        return tokenizer_.encode(worker.prompted, limit, out);
    }
    Result<void> tokenize(const TextPair& pair, const EncodeOptions& limit, Worker&, Encoding& out) const {
        return tokenizer_.encode_pair(pair.first, pair.second, limit, out);
    }

    template <class Inputs>
    Result<void> group(Inputs inputs, std::size_t first, std::size_t last, Worker& worker) const {
        worker.clear();
        for (std::size_t text = first; text < last; ++text) {
            if (const auto status = tokenize(inputs[text], limit_, worker, worker.encoding); !status.ok())
                return about_input(status.error(), text);
            RANKLET_TRY(read(inputs[text], text, worker));
        }
        return run_batch(worker);
    }

    // The text's windows, one where it fits, on their way into batches.
    template <class Input>
    Result<void> read(const Input& input, std::size_t text, Worker& worker) const {
        const std::size_t size = worker.encoding.size();
        if (size == 0)
            return about_input(make_error(ErrorCode::invalid_argument, {"the text gives no token"}), text);
        if (!options_.windows || size <= max_length_) {
            if (!options_.read.empty()) RANKLET_TRY(tell(input, text, worker));
            return append<Input>({text, 0, 1, size, 0, 0, size}, 0, 0, size - after<Input>(), worker);
        }
        const std::size_t before = fixed_part(input, worker), behind = after<Input>();
        const std::size_t tokens = worker.encoding.size() - before - behind, room = room_beside(before + behind);
        const auto shared = tokens <= room ? Result<std::size_t>(0) : overlap(room);  // one window overlaps none
        if (!shared.ok()) return about_input(shared.error(), text);
        cut_windows(tokens, room, *shared, worker.cuts);
        const std::size_t count = worker.cuts.size();
        if (!options_.read.empty()) tell_windows(input, text, before, worker);
        for (std::size_t w = 0; w < count; ++w) {
            const TokenWindow& cut = worker.cuts[w];
            TextWindow window{text, w, count, before + tokens + behind, before + cut.own_first, 0, 0};
            window.begin = before + cut.own_first - cut.first;
            window.end = before + cut.own_last - cut.first;
            if (w == 0) window.to = window.begin = 0;  // with what stands before the text
            if (w + 1 == count) window.end += behind;  // with what stands behind it
            RANKLET_TRY(append<Input>(window, before, before + cut.first, before + cut.last, worker));
        }
        return {};
    }

    // Special tokens behind a text, or a pair.
    template <class Input>
    std::size_t after() const noexcept {
        return is_pair<Input> ? special_.pair_after : special_.after;
    }

    // Rows [0, before) of the encoding, [first, last) and those behind the text, as one sequence.
    template <class Input>
    Result<void> append(const TextWindow& window, std::size_t before, std::size_t first, std::size_t last,
                        Worker& worker) const {
        const std::size_t behind = after<Input>(), size = before + (last - first) + behind;
        if (worker.offsets.size() > 1 && worker.ids.size() + size > batch_tokens) RANKLET_TRY(run_batch(worker));
        const auto copy = [&](const std::vector<std::int32_t>& from, std::vector<std::int32_t>& to) {
            to.insert(to.end(), from.begin(), from.begin() + static_cast<std::ptrdiff_t>(before));
            to.insert(to.end(), from.begin() + static_cast<std::ptrdiff_t>(first),
                      from.begin() + static_cast<std::ptrdiff_t>(last));
            to.insert(to.end(), from.end() - static_cast<std::ptrdiff_t>(behind), from.end());
        };
        copy(worker.encoding.ids, worker.ids);
        if constexpr (is_pair<Input>)
            copy(worker.encoding.type_ids, worker.type_ids);  // single texts have 0 throughout
        worker.offsets.push_back(worker.ids.size());
        worker.windows.push_back(window);
        return {};
    }

    // How many tokens stand before the text in each window: special ones and the prompt.
    std::size_t fixed_part(std::string_view, const Worker& worker) const {
        const Encoding& encoding = worker.encoding;
        std::size_t before = special_.before;
        while (before + special_.after < encoding.size() && encoding.offsets[before].begin < prompt_.size()) ++before;
        return before;
    }
    // The first text and the special tokens around it; what of that text half of a window does not hold, or all that a
    // shorter second text leaves of it, is taken out.
    std::size_t fixed_part(const TextPair&, Worker& worker) const {
        const std::size_t before = second_text(worker.encoding), room = room_beside(special_.pair());
        const std::size_t second = worker.encoding.size() - before - special_.pair_after;
        const std::size_t most = std::max(room / 2, room - std::min(room, second));
        const std::size_t around = special_.pair_before + special_.pair_between;
        worker.first_is_cut = before - around > most;
        if (!worker.first_is_cut) return before;
        worker.encoding.erase(special_.pair_before + most, before - special_.pair_between);
        return most + around;
    }
    // Where a pair's second text begins.
    std::size_t second_text(const Encoding& encoding) const {
        const std::size_t last = encoding.size() - special_.pair_after - special_.pair_between;
        std::size_t at = special_.pair_before;
        for (std::int32_t word = 0; at < last && encoding.words[at] >= word; ++at) word = encoding.words[at];
        return at + special_.pair_between;
    }

    // How much of a text that was read at once.
    Result<void> tell(std::string_view text, std::size_t index, Worker& worker) const {
        const Encoding& encoding = worker.encoding;
        bool more = false;
        if (!options_.windows && encoding.size() >= max_length_) {
            EncodeOptions longer;
            longer.max_length = max_length_ + 1;
            RANKLET_TRY(tokenize(text, longer, worker, worker.probe));
            more = worker.probe.size() > encoding.size();
        }
        TextRead& read = options_.read[index];
        read = text_read(text, tokens_of(encoding, fixed_part(text, worker), encoding.size() - special_.after), more);
        if (more) read.bytes -= std::min(read.bytes, prompt_.size());
        return {};
    }
    Result<void> tell(const TextPair& pair, std::size_t index, Worker& worker) const {
        const Encoding& encoding = worker.encoding;
        const std::size_t second = second_text(encoding);
        RANKLET_TRY(tell_part(pair.first, tokens_of(encoding, special_.pair_before, second - special_.pair_between),
                              options_.read[2 * index], worker));
        return tell_part(pair.second, tokens_of(encoding, second, encoding.size() - special_.pair_after),
                         options_.read[2 * index + 1], worker);
    }
    Result<void> tell_part(std::string_view text, std::span<const TokenSpan> tokens, TextRead& read,
                           Worker& worker) const {
        bool more = false;
        if (!options_.windows && worker.encoding.size() >= max_length_) {
            EncodeOptions longer;
            longer.add_special_tokens = false;
            longer.max_length = tokens.size() + 1;
            RANKLET_TRY(tokenizer_.encode(text, longer, worker.probe));
            more = worker.probe.size() > tokens.size();
        }
        read = text_read(text, tokens, more);
        return {};
    }
    void tell_windows(std::string_view text, std::size_t index, std::size_t before, const Worker& worker) const {
        TextRead& read = options_.read[index];
        read = text_read(text, tokens_of(worker.encoding, before, worker.encoding.size() - special_.after), false);
        read.windows = worker.cuts.size();
    }
    void tell_windows(const TextPair& pair, std::size_t index, std::size_t before, const Worker& worker) const {
        TextRead &first = options_.read[2 * index], &second = options_.read[2 * index + 1];
        first = text_read(pair.first, tokens_of(worker.encoding, special_.pair_before, before - special_.pair_between),
                          worker.first_is_cut);
        second = text_read(pair.second,
                           tokens_of(worker.encoding, before, worker.encoding.size() - special_.pair_after), false);
        first.windows = second.windows = worker.cuts.size();
    }
    static std::span<const TokenSpan> tokens_of(const Encoding& encoding, std::size_t first, std::size_t last) {
        return std::span(encoding.offsets).subspan(first, last - first);
    }

    Result<void> run_batch(Worker& worker) const {
        const TokenBatch batch{worker.ids, worker.type_ids, worker.offsets};
        if (batch.offsets.size() < 2) return {};
        if (options_.windows) RANKLET_TRY(check_stop(options_.stop, options_.deadline));  // one text may have many
        const std::size_t tokens = batch.tokens(), hidden = model_.hidden();
        RANKLET_TRY(worker.scratch.reserve(
            std::max(model_.scratch_size(tokens, batch.longest(), worker.threads), sink_scratch_)));
        if (worker.states.size() < tokens * hidden) {
            RANKLET_ASSIGN(worker.states, AlignedBuffer<float>::zeroed(std::max(tokens, batch_tokens) * hidden));
        }
        const MatrixView<float> states(worker.states.data(), tokens, hidden);
        model_.forward(batch, states, worker.scratch, worker.threads);
        for (std::size_t t = 0; t + 1 < batch.offsets.size(); ++t)
            sink_(worker.windows[t], states.middle_rows(batch.offsets[t], batch.offsets[t + 1] - batch.offsets[t]),
                  worker.scratch);
        worker.clear();
        return {};
    }

    const Tokenizer& tokenizer_;
    SpecialTokens special_;
    const BertModel& model_;
    std::size_t max_length_;
    const BatchOptions& options_;
    WindowSink sink_;
    std::size_t sink_scratch_;
    std::string_view prompt_;
    EncodeOptions limit_;
};

/// Texts' vectors from their windows.
class WindowVectors {
public:
    /// `out` [texts, dim]. `left_out`: rows in front of each window that do not count.
    static Result<WindowVectors> of(const SentenceHead& head, Matrix& out, std::size_t left_out,
                                    const BatchOptions& options) {
        WindowVectors vectors(head, out, left_out);
        if (options.windows) {
            RANKLET_ASSIGN(vectors.sums_, Matrix::zeroed(out.rows(), head.pooled_dim() + 1));
        }
        return vectors;
    }
    static std::size_t scratch_size(const SentenceHead& head) noexcept {
        return scratch_bytes<float>(head.pooled_dim()) + head.scratch_size();
    }
    void add(const TextWindow& window, MatrixView<const float> states, Scratch& scratch) noexcept {
        float* vector = out_->row(window.text).data();
        if (window.count == 1) return head_->forward(states, vector, scratch, left_out_);
        using Ops = kernels::Ops<float>;
        const ScratchFrame frame(scratch);
        const std::size_t n = head_->pooled_dim();
        float* pooled = scratch.take<float>(n);
        float* sum = sums_.row(window.text).data();  // of tokens * pooled, and of tokens
        const auto tokens = static_cast<float>(states.rows - std::min(left_out_, states.rows - 1));
        head_->pool_states(states, pooled, scratch, left_out_);
        Ops::multiply_add(tokens, pooled, sum, sum, n);
        sum[n] += tokens;
        if (window.index + 1 < window.count) return;
        Ops::scale(1.0f / sum[n], sum, n);
        head_->finish(sum, vector, scratch);
    }

private:
    WindowVectors(const SentenceHead& head, Matrix& out, std::size_t left_out)
        : head_(&head), out_(&out), left_out_(left_out) {}

    const SentenceHead* head_;
    Matrix* out_;
    std::size_t left_out_;
    Matrix sums_;  // [texts, pooled_dim + 1], where there are windows
};

}  // namespace detail
RANKLET_NAMESPACE_END
