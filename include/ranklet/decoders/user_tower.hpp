// UserTower: the user side of news recommenders, which meets items in a dot product:
//   LSTUR   a GRU over the events, starting from the user's embedding (ini), or beside it (con)      An et al. 2019
//   NAML    additive attention over the vectors of the events                                        Wu et al. 2019
//   NRMS    self-attention among them, then additive attention                                       Wu et al. 2019
//   NARM    a GRU, its last state beside attention over all its states                               Li et al. 2017
// In: item vectors of the events, one at a time. Out: the user's vector [dim]; score = user . item (+ the item's bias).
// Keys: "News models" in docs/model-file.md. Attention sees the last `max_events` events; the GRU's state has seen all.
// Where training filled short histories up with a padding item and did not mask it, attention sees that item's vector in
// the places that are left.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/name_index.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/decoders/decoder.hpp"
#include "ranklet/decoders/dot_product.hpp"
#include "ranklet/decoders/rating_input.hpp"
#include "ranklet/decoders/user_state.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/layers/embedding.hpp"
#include "ranklet/layers/reset_before_gru.hpp"
#include "ranklet/model_file/layers.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN

class UserTower final : public Decoder {
    enum class Memory { none, events, states };
    enum class Part { state, pooled, user };

public:
    RANKLET_MOVES_OUT_OF_LINE(UserTower);
    static constexpr std::string_view type_name = "user_tower";  ///< `ranklet.recommender.scoring`
    RANKLET_COLD static Result<UserTower> read(const ModelReader& reader, const ItemEncoder& encoder) {
        const ModelReader gru = reader.scope("ranklet.gru"), user = reader.scope("ranklet.user");
        UserTower tower;
        tower.file_ = reader.file();
        tower.in_ = encoder.dim();
        tower.dim_ = encoder.output_dim();
        RANKLET_ASSIGN(tower.rating_, detail::RatingInput::read(reader, tower.in_));
        if (gru.has("input_size")) RANKLET_TRY(tower.read_recurrence(gru));
        RANKLET_TRY(tower.read_users(user));
        RANKLET_TRY(tower.read_memory(user));
        RANKLET_TRY(tower.read_parts(user));
        RANKLET_ASSIGN(tower.projection_, read_linear_if_any(reader, "ranklet.user_proj", tower.joined_, tower.dim_));
        if (!tower.projection_ && tower.joined_ != tower.dim_)
            return reader.wrong("ranklet.user_proj.weight", {" is not there: item vectors have ", tower.dim_,
                                                             " elements, the user's ", tower.joined_});
        return tower;
    }

    KindId kind() const noexcept override { return kind_id<UserTower>; }
    /// Elements of UserState::hidden: the GRU's state, then the user's embedding where it is part of the vector.
    std::size_t state_size() const noexcept { return gru_size() + (keeps_user_ ? users_.dim() : 0); }
    /// Elements of a row of UserState::memory; 0: the decoder keeps none.
    std::size_t memory_width() const noexcept {
        return memory_ == Memory::none ? 0 : memory_ == Memory::events ? in_ : hidden();
    }
    /// Rows that it keeps at most.
    std::size_t max_events() const noexcept { return max_events_; }
    /// Whether the model file has an embedding for this user.
    bool knows_user(std::string_view id) const noexcept { return rows_.find(id, ids_) != detail::NameIndex::none; }

    Result<void> prepare(CatalogData&, ItemUse, Threads) const override { return {}; }
    Result<void> check(const CatalogData& items) const override { return detail::check_dot_product(items, in_, dim_); }
    RANKLET_COLD Result<void> check(const UserState& state) const override {
        RANKLET_TRY(detail::check_state_size(state, state_size(), memory_width(), max_events_));
        UserState first;
        first.user = state.user;
        begin_user(first);
        const auto of_gru = [&](const UserState& of) { return std::span(of.hidden).first(gru_size()); };
        RANKLET_TRY(detail::check_gru_state(of_gru(state), of_gru(first)));
        if (!std::equal(state.hidden.begin() + static_cast<std::ptrdiff_t>(gru_size()), state.hidden.end(),
                        first.hidden.begin() + static_cast<std::ptrdiff_t>(gru_size())))
            return make_error(ErrorCode::format,
                              {"the user state's embedding is not that of the user \"", state.user, "\""});
        if (memory_ != Memory::states) return {};
        const std::vector<float> start(top(first.hidden).begin(), top(first.hidden).end());
        for (std::size_t r = 0; r < state.memory_rows(); ++r)
            RANKLET_TRY(detail::check_gru_state(std::span(state.memory).subspan(r * hidden(), hidden()), start));
        return {};
    }

    /// Zero, or from the user's embedding. A user whom the file does not know (state.user empty or unknown) has the
    /// zero vector, as users whose embedding was masked in LSTUR's training.
    RANKLET_COLD void begin_user(UserState& state) const override {
        state.hidden.assign(state_size(), 0.0f);
        state.memory.clear();
        state.memory_width = memory_width();
        const std::size_t row = rows_.find(state.user, ids_);
        if (row == detail::NameIndex::none) return;
        if (initial_) users_.row(row, state.hidden.data());
        if (keeps_user_) users_.row(row, state.hidden.data() + gru_size());
    }

    /// One event: a step of the GRU, and a row of the memory, the oldest of which goes where it is full.
    Result<void> observe(UserState& state, const CatalogData& items, std::size_t index, float rating,
                         Scratch& scratch) const override {
        make_room(state);
        RANKLET_TRY(scratch.reserve(scratch_bytes<float>(in_) + scratch_bytes<float>(gru_size()) +
                                    scratch_bytes<float>(3 * hidden()) +
                                    (stack_    ? stack_->step_scratch_size(1)
                                     : before_ ? before_->step_scratch_size()
                                               : 0)));
        if (advance(state, items.vectors.row(index).data(), rating, scratch)) return {};
        return detail::event_not_finite();
    }
    /// Keras's Masking: a step whose input is all zero is none.
    RANKLET_COLD bool passes_over(const CatalogData& items, std::size_t index, float rating) const override {
        std::vector<float> input(in_);
        rating_.apply(items.vectors.row(index).data(), rating, input.data(), in_);
        return is_masked(input.data());
    }

    std::size_t piece() const noexcept override { return detail::dot_product_piece; }
    std::size_t query_size() const noexcept override { return dim_; }
    std::size_t scratch_size() const noexcept override {
        return scratch_bytes<float>(joined_) +
               (attention_ ? scratch_bytes<float>(max_events_ * attention_->out()) +
                                 attention_->scratch_size(max_events_, max_events_)
                           : 0) +
               (padding_.empty() ? 0 : scratch_bytes<float>(pad_to_ * in_) + scratch_bytes<float>(pad_to_)) +
               (memory_ == Memory::none ? 0 : pool_.scratch_size(max_events_));
    }
    bool has_user_vector() const noexcept override { return true; }
    void begin(const ScoreRequest& request, float* query, Scratch& scratch) const noexcept override {
        user_vector(request.state, query, nullptr, scratch);
    }
    void score(const ScoreRequest& request, const float* query, IndexRange range, float* scores,
               Scratch&) const noexcept override {
        detail::score_dot_products(query, request.items, range, scores);
    }
    RANKLET_COLD Result<std::vector<float>> event_attention(const UserState& state) const override {
        std::vector<float> weights(state.memory_rows()), vector(dim_);
        if (weights.empty()) return weights;
        Scratch scratch;
        RANKLET_TRY(scratch.reserve(scratch_size()));
        user_vector(state, vector.data(), weights.data(), scratch);
        return weights;
    }

private:
    // Room for one more event in state.memory, so that advance() allocates nothing.
    void make_room(UserState& state) const {
        const std::size_t width = memory_width(), rows = state.memory_rows();
        if (rows < max_events_ && state.memory.capacity() < (rows + 1) * width)
            state.memory.reserve(std::min(max_events_, std::max<std::size_t>(8, 2 * rows)) * width);
    }
    // False, with `state` as it was, when a number of the new state would not be finite.
    bool advance(UserState& state, const float* vector, float rating, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        const auto finite = [](const float* x, std::size_t n) {
            return std::all_of(x, x + n, [](float v) { return std::isfinite(v); });
        };
        float* input = scratch.take<float>(in_);
        rating_.apply(vector, rating, input, in_);
        if (!finite(input, in_)) return false;
        if (is_masked(input)) return true;
        float* next = scratch.take<float>(gru_size());
        std::copy_n(state.hidden.data(), gru_size(), next);
        if (stack_) {
            float* projected = scratch.take<float>(3 * hidden());
            stack_->layers().front().project_input({input, 1, in_}, {projected, 1, 3 * hidden()}, scratch);
            stack_->step(&projected, {next, 1, gru_size()}, scratch);
        } else if (before_) {
            before_->step(input, next, next, scratch);
        }
        if (!finite(next, gru_size())) return false;
        std::copy_n(next, gru_size(), state.hidden.data());
        if (memory_ == Memory::none) return true;
        const std::size_t width = memory_width();
        if (state.memory_rows() >= max_events_) {
            std::copy(state.memory.begin() + static_cast<std::ptrdiff_t>(width), state.memory.end(),
                      state.memory.begin());
            state.memory.resize((max_events_ - 1) * width);
        }
        const float* row = memory_ == Memory::events ? input : next + gru_size() - hidden();
        state.memory.insert(state.memory.end(), row, row + width);
        return true;
    }

    // The user's vector [dim]. `weights` [memory_rows()], if wanted: the attention on each remembered event.
    void user_vector(const UserState& state, float* out, float* weights, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        if (weights != nullptr) std::fill_n(weights, state.memory_rows(), 0.0f);  // where no part attends
        float* joined = projection_ ? scratch.take<float>(joined_) : out;
        float* next = joined;
        for (const Part part : parts_) {
            if (part == Part::state) {
                next = std::copy_n(top(state.hidden).data(), hidden(), next);
            } else if (part == Part::user) {
                next = std::copy_n(state.hidden.data() + gru_size(), users_.dim(), next);
            } else {
                pool(state, next, weights, scratch);
                next += pool_.dim();
            }
        }
        if (projection_) projection_->forward({joined, 1, joined_}, {out, 1, dim_});
    }
    bool is_masked(const float* input) const noexcept {
        return skip_zero_ && std::all_of(input, input + in_, [](float x) { return x == 0.0f; });
    }

    std::size_t hidden() const noexcept { return stack_ ? stack_->hidden() : before_ ? before_->hidden() : 0; }
    std::size_t gru_size() const noexcept { return stack_ ? stack_->state_size() : hidden(); }
    std::span<const float> top(const std::vector<float>& state) const noexcept {
        return {state.data() + gru_size() - hidden(), hidden()};
    }

    void pool(const UserState& state, float* out, float* weights, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        const std::size_t remembered = state.memory_rows(), missing = pad_to_ - std::min(pad_to_, remembered);
        const std::size_t rows = remembered + missing, first = pads_front_ ? missing : 0;
        MatrixView<const float> events(state.memory.data(), remembered, memory_width());
        float* all_weights = weights;
        if (missing > 0) {
            const MatrixView<float> padded(scratch.take<float>(rows * in_), rows, in_);
            for (std::size_t r = 0; r < rows; ++r) {
                const bool is_event = r >= first && r - first < remembered;
                std::copy_n(is_event ? events.row(r - first).data() : padding_.data(), in_, padded.row(r).data());
            }
            events = padded;
            if (weights != nullptr) all_weights = scratch.take<float>(rows);
        }
        if (attention_) {
            const MatrixView<float> mixed(scratch.take<float>(max_events_ * attention_->out()), rows,
                                          attention_->out());
            const std::size_t offsets[2]{0, rows};
            attention_->forward(events, offsets, mixed, scratch);
            events = mixed;
        }
        // The query is the GRU's last state; without a GRU the last event.
        const float* query = hidden() > 0 ? top(state.hidden).data() : rows > 0 ? events.row(rows - 1).data() : nullptr;
        pool_.forward(events, query, {}, out, all_weights, scratch);
        if (all_weights != weights) std::copy_n(all_weights + first, remembered, weights);
    }

    RANKLET_COLD Result<void> read_recurrence(const ModelReader& gru) {
        RANKLET_ASSIGN(skip_zero_, gru.boolean_or("skip_zero", false));
        RANKLET_ASSIGN(const GruForm form, read_gru_form(gru));
        if (!form.reset_before) {
            RANKLET_ASSIGN(stack_, read_gru(gru, form.gates));
        } else {
            RANKLET_ASSIGN(const std::size_t layers, gru.u32("layer_count"));
            RANKLET_ASSIGN(const std::size_t in, gru.u32("input_size"));
            RANKLET_ASSIGN(const std::size_t size, gru.u32("hidden_size"));
            if (layers != 1 || gru.has_tensor("0.bias_hh"))
                return gru.wrong("reset", {" \"before\" has one layer and one bias"}, ErrorCode::unsupported);
            RANKLET_ASSIGN(const Matrix weight_ih, gru.matrix("0.weight_ih", 3 * size, in));
            RANKLET_ASSIGN(const Matrix weight_hh, gru.matrix("0.weight_hh", 3 * size, size));
            RANKLET_ASSIGN(const auto bias, gru.vector_or_none("0.bias_ih", 3 * size));
            before_.emplace();
            RANKLET_TRY(gru.at("0", before_->assign(weight_ih.view(), weight_hh.view(), bias)));
            before_->set_gates(form.gates);
        }
        const std::size_t reads = stack_ ? stack_->in() : before_->in();
        if (reads == in_) return {};
        return gru.wrong("input_size", {" is ", reads, ", the encoder gives ", in_});
    }

    RANKLET_COLD Result<void> read_users(const ModelReader& user) {
        if (!user.has("ids")) return {};
        RANKLET_ASSIGN(const auto ids, user.strings("ids"));
        RANKLET_ASSIGN(const TensorView table, user.tensor("embd.weight"));
        if (table.rows != ids.size())
            return user.wrong("embd.weight", {" has ", table.rows, " rows for ", ids.size(), " users"});
        ids_.assign(ids.begin(), ids.end());
        for (std::size_t i = 0; i < ids.size(); ++i)
            if (ids[i].empty() || rows_.add(i, ids_) != i)
                return user.wrong("ids", {"[", i, "] \"", ids[i], "\" ", ids[i].empty() ? "is empty" : "stands twice"});
        users_ = Embedding(table);
        RANKLET_ASSIGN(initial_, user.boolean("initial"));
        if (initial_ && users_.dim() != gru_size())
            return user.wrong("initial", {": users' embeddings of ", users_.dim(),
                                          " elements cannot be the GRU's initial state of ", gru_size()});
        return {};
    }

    RANKLET_COLD Result<void> read_memory(const ModelReader& user) {
        struct Form {
            Memory memory;
            bool padded;
        };
        RANKLET_ASSIGN(const Form form, user.choice<Form>("memory", {{"none", {Memory::none, false}},
                                                                     {"events", {Memory::events, false}},
                                                                     {"padded_events", {Memory::events, true}},
                                                                     {"states", {Memory::states, false}}}));
        memory_ = form.memory;
        if (memory_ == Memory::none) return {};
        if (memory_ == Memory::states && hidden() == 0) return user.wrong("memory", {" is states, without a GRU"});
        RANKLET_ASSIGN(max_events_, user.u32_in("max_events", 1, 10'000));
        if (form.padded) {
            RANKLET_ASSIGN(pad_to_, user.u32_in("pad_to", 1, static_cast<std::uint32_t>(max_events_)));
            RANKLET_ASSIGN(pads_front_, user.choice<bool>("pad_side", {{"front", true}, {"end", false}}));
            RANKLET_ASSIGN(padding_, user.vector("padding", in_));
        }
        std::size_t width = memory_width();
        if (user.has("self_attention.heads")) {
            RANKLET_ASSIGN(attention_, read_head_attention(user.scope("self_attention"), width));
            width = attention_->out();
        }
        RANKLET_ASSIGN(pool_, read_attention_pooling(user.scope("pool"), width, hidden() > 0 ? hidden() : width));
        return {};
    }

    RANKLET_COLD Result<void> read_parts(const ModelReader& user) {
        RANKLET_ASSIGN(const auto parts, user.strings("parts"));
        for (const std::string_view part : parts) {
            if (part == "state" && hidden() > 0) {
                parts_.push_back(Part::state);
                joined_ += hidden();
            } else if (part == "pooled" && memory_ != Memory::none) {
                parts_.push_back(Part::pooled);
                joined_ += pool_.dim();
            } else if (part == "user" && !ids_.empty()) {
                parts_.push_back(Part::user);
                joined_ += users_.dim();
                keeps_user_ = true;
            } else {
                return user.wrong("parts", {" has \"", part, "\", which the file's user tower does not make"});
            }
        }
        if (!parts_.empty() && parts_.size() <= 8) return {};
        return user.wrong("parts", {" has ", parts_.size(), " parts, expected 1 to 8"});
    }

    GgufFile file_;  // keeps the users' table in memory
    std::size_t in_ = 0, dim_ = 0, joined_ = 0;
    detail::RatingInput rating_;
    std::optional<GruStack<>> stack_;
    std::optional<ResetBeforeGru<>> before_;
    bool skip_zero_ = false;
    std::vector<std::string> ids_;  // of the users
    detail::NameIndex rows_;        // of their table
    Embedding users_;
    bool initial_ = false, keeps_user_ = false;
    Memory memory_ = Memory::none;
    std::size_t max_events_ = 0, pad_to_ = 0;
    bool pads_front_ = true;
    std::vector<float> padding_;  // [in], what stands for the events that are missing; empty: nothing does
    std::optional<HeadAttention<>> attention_;
    AttentionPooling<> pool_;
    std::vector<Part> parts_;
    std::optional<Linear<>> projection_;
};

RANKLET_NAMESPACE_END
