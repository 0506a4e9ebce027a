// UserTower: the user side of news recommenders, which meets items in a dot product:
//   LSTUR   a GRU over the events, starting from the user's embedding (ini), or beside it (con)      An et al. 2019
//   NAML    additive attention over the vectors of the events                                        Wu et al. 2019
//   NRMS    self-attention among them, then additive attention                                       Wu et al. 2019
//   NARM    a GRU, its last state beside attention over all its states                               Li et al. 2017
// In: item vectors of the events, one at a time. Out: the user's vector [dim]; score = user . item (+ the item's bias).
// Keys: "News models" in ARCHITECTURE.md. Attention sees the last `max_events` events; the GRU's state has seen all.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/parallel.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/decoders/gru_scorer.hpp"
#include "ranklet/decoders/rating_input.hpp"
#include "ranklet/decoders/user_state.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/layers/embedding.hpp"
#include "ranklet/layers/load_attention.hpp"
#include "ranklet/layers/reset_before_gru.hpp"

RANKLET_NAMESPACE_BEGIN

class UserTower {
public:
    /// `in`: elements of an event's vector; `dim`: of what the user's vector meets (for texts both are the item's).
    RANKLET_COLD static Result<UserTower> load(const GgufFile& file, std::size_t in, std::size_t dim) {
        UserTower tower;
        tower.file_ = file;
        tower.in_ = in;
        tower.dim_ = dim;
        RANKLET_ASSIGN(tower.rating_, RatingInput::load(file, in));
        if (file.has("ranklet.gru.input_size")) RANKLET_TRY(tower.load_gru_of(file));
        RANKLET_TRY(tower.load_users(file));
        RANKLET_TRY(tower.load_memory(file));
        return tower.finish(file);
    }

    /// Elements of an event's vector.
    std::size_t in() const noexcept { return in_; }
    /// Elements of UserState::hidden: the GRU's state, then the user's embedding where it is part of the vector.
    std::size_t state_size() const noexcept { return gru_size() + (keeps_user_ ? users_.dim() : 0); }
    /// Elements of a row of UserState::memory; 0: the decoder keeps none.
    std::size_t memory_width() const noexcept {
        return memory_ == Memory::none ? 0 : memory_ == Memory::events ? in_ : hidden();
    }
    /// Rows that it keeps at most.
    std::size_t max_events() const noexcept { return max_events_; }
    /// Whether the model file has an embedding for this user.
    bool knows_user(std::string_view id) const noexcept { return rows_.find(id) != rows_.end(); }

    /// `state` as before any event: zero, or from the user's embedding. A user whom the file does not know (state.user
    /// empty or unknown) has the zero vector, as users whose embedding was masked in LSTUR's training.
    RANKLET_COLD void begin_user(UserState& state) const {
        state.hidden.assign(state_size(), 0.0f);
        state.memory.clear();
        state.memory_width = memory_width();
        const auto found = rows_.find(std::string_view(state.user));
        if (found == rows_.end()) return;
        if (initial_) users_.row(found->second, state.hidden.data());
        if (keeps_user_) users_.row(found->second, state.hidden.data() + gru_size());
    }

    /// Room for one more event in state.memory, so that advance() allocates nothing.
    RANKLET_COLD void make_room(UserState& state) const {
        const std::size_t width = memory_width(), rows = state.memory_rows();
        if (rows < max_events_ && state.memory.capacity() < (rows + 1) * width)
            state.memory.reserve(std::min(max_events_, std::max<std::size_t>(8, 2 * rows)) * width);
    }
    std::size_t advance_scratch_size() const noexcept {
        return scratch_bytes<float>(in_) + scratch_bytes<float>(gru_size()) + scratch_bytes<float>(3 * hidden()) +
               (stack_    ? stack_->step_scratch_size(1)
                : before_ ? before_->step_scratch_size()
                          : 0);
    }
    /// One event: its vector [in] and rating. False, with `state` as it was, when a number of the new state would not
    /// be finite. Precondition: make_room().
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

    /// Whether advance() passes over this event, which then leaves no trace.
    bool skips(const float* vector, float rating, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        float* input = scratch.take<float>(in_);
        rating_.apply(vector, rating, input, in_);
        return is_masked(input);
    }

    // As the GRU decoders: what depends on the user alone is computed once.
    static constexpr std::size_t piece = 4096;
    std::size_t shared_size() const noexcept { return dim_; }
    std::size_t begin_scratch_size() const noexcept {
        return scratch_bytes<float>(joined_) +
               (attention_ ? scratch_bytes<float>(max_events_ * attention_->out()) +
                                 attention_->scratch_size(max_events_, max_events_)
                           : 0) +
               (memory_ == Memory::none ? 0 : pool_.scratch_size(max_events_));
    }
    std::size_t score_scratch_size() const noexcept { return 0; }

    /// The user's vector [dim]. `weights` [memory_rows()], if wanted: the attention on each remembered event.
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
    void begin(const UserState& state, float* shared, Scratch& scratch) const noexcept {
        user_vector(state, shared, nullptr, scratch);
    }
    /// scores[i - range.first] for the candidates of `range`.
    void score(std::span<const float>, const float* shared, const CandidateView& candidates, IndexRange range,
               float* scores, Scratch&) const noexcept {
        score_dot_products(shared, candidates, range, scores);
    }

private:
    // Keras's Masking: a step whose input is all zero is none.
    bool is_masked(const float* input) const noexcept {
        return skip_zero_ && std::all_of(input, input + in_, [](float x) { return x == 0.0f; });
    }
    enum class Memory { none, events, states };
    enum class Part { state, pooled, user };

    std::size_t hidden() const noexcept { return stack_ ? stack_->hidden() : before_ ? before_->hidden() : 0; }
    std::size_t gru_size() const noexcept { return stack_ ? stack_->state_size() : hidden(); }
    std::span<const float> top(const std::vector<float>& state) const noexcept {
        return {state.data() + gru_size() - hidden(), hidden()};
    }

    void pool(const UserState& state, float* out, float* weights, Scratch& scratch) const noexcept {
        const ScratchFrame frame(scratch);
        const std::size_t rows = state.memory_rows();
        MatrixView<const float> events(state.memory.data(), rows, memory_width());
        if (attention_) {
            const MatrixView<float> mixed(scratch.take<float>(max_events_ * attention_->out()), rows,
                                          attention_->out());
            const std::size_t offsets[2]{0, rows};
            attention_->forward(events, offsets, mixed, scratch);
            events = mixed;
        }
        // The query is the GRU's last state; without a GRU the last event.
        const float* query = hidden() > 0 ? top(state.hidden).data() : rows > 0 ? events.row(rows - 1).data() : nullptr;
        pool_.forward(events, query, {}, out, weights, scratch);
    }

    RANKLET_COLD Result<void> load_gru_of(const GgufFile& file) {
        std::string_view reset = "after";
        if (file.has("ranklet.gru.reset")) {
            RANKLET_ASSIGN(reset, file.string("ranklet.gru.reset"));
        }
        if (file.has("ranklet.gru.skip_zero")) {
            RANKLET_ASSIGN(skip_zero_, file.boolean("ranklet.gru.skip_zero"));
        }
        if (reset == "after") {
            RANKLET_ASSIGN(stack_, load_gru(file));
        } else if (reset == "before") {
            RANKLET_ASSIGN(const std::size_t layers, file.u32("ranklet.gru.layer_count"));
            RANKLET_ASSIGN(const std::size_t in, file.u32("ranklet.gru.input_size"));
            RANKLET_ASSIGN(const std::size_t size, file.u32("ranklet.gru.hidden_size"));
            if (layers != 1 || file.has_tensor("ranklet.gru.0.bias_hh"))
                return make_error(
                    ErrorCode::unsupported,
                    {file.name(), ": a GRU with ranklet.gru.reset \"before\" has one layer and one bias"});
            RANKLET_ASSIGN(const Matrix weight_ih, load_matrix(file, "ranklet.gru.0.weight_ih", 3 * size, in));
            RANKLET_ASSIGN(const Matrix weight_hh, load_matrix(file, "ranklet.gru.0.weight_hh", 3 * size, size));
            std::vector<float> bias;
            if (file.has_tensor("ranklet.gru.0.bias_ih")) {
                RANKLET_ASSIGN(bias, load_vector(file, "ranklet.gru.0.bias_ih", 3 * size));
            }
            before_.emplace();
            RANKLET_TRY(in_file(file, "ranklet.gru", before_->assign(weight_ih.view(), weight_hh.view(), bias)));
        } else {
            return make_error(ErrorCode::unsupported,
                              {file.name(), ": ranklet.gru.reset is \"", reset, "\", expected after or before"});
        }
        const std::size_t reads = stack_ ? stack_->in() : before_->in();
        if (reads != in_)
            return make_error(ErrorCode::format,
                              {file.name(), ": ranklet.gru.input_size is ", reads, ", the encoder gives ", in_});
        return {};
    }

    RANKLET_COLD Result<void> load_users(const GgufFile& file) {
        if (!file.has("ranklet.user.ids")) return {};
        RANKLET_ASSIGN(const auto ids, file.strings("ranklet.user.ids"));
        RANKLET_ASSIGN(const TensorView table, file.tensor("ranklet.user.embd.weight"));
        if (table.rows != ids.size())
            return make_error(ErrorCode::format, {file.name(), ": ranklet.user.embd.weight has ", table.rows,
                                                  " rows for ", ids.size(), " users"});
        for (std::size_t i = 0; i < ids.size(); ++i)
            if (ids[i].empty() || !rows_.emplace(ids[i], i).second)
                return make_error(ErrorCode::format, {file.name(), ": ranklet.user.ids[", i, "] \"", ids[i], "\" ",
                                                      ids[i].empty() ? "is empty" : "stands twice"});
        users_ = Embedding(table);
        RANKLET_ASSIGN(initial_, file.boolean("ranklet.user.initial"));
        if (initial_ && users_.dim() != gru_size())
            return make_error(ErrorCode::format, {file.name(), ": users' embeddings of ", users_.dim(),
                                                  " elements cannot be the GRU's initial state of ", gru_size()});
        return {};
    }

    RANKLET_COLD Result<void> load_memory(const GgufFile& file) {
        RANKLET_ASSIGN(const auto memory, file.string("ranklet.user.memory"));
        if (memory == "none") return {};
        if (memory != "events" && memory != "states")
            return make_error(ErrorCode::unsupported, {file.name(), ": ranklet.user.memory is \"", memory,
                                                       "\", expected none, events or states"});
        memory_ = memory == "events" ? Memory::events : Memory::states;
        if (memory_ == Memory::states && hidden() == 0)
            return make_error(ErrorCode::format, {file.name(), ": ranklet.user.memory is states, without a GRU"});
        RANKLET_ASSIGN(max_events_, file.u32("ranklet.user.max_events"));
        if (max_events_ == 0 || max_events_ > 10'000)
            return make_error(ErrorCode::format,
                              {file.name(), ": ranklet.user.max_events is ", max_events_, ", expected 1 to 10000"});
        std::size_t width = memory_width();
        if (file.has("ranklet.user.self_attention.heads")) {
            RANKLET_ASSIGN(attention_, load_head_attention(file, "ranklet.user.self_attention", width));
            width = attention_->out();
        }
        RANKLET_ASSIGN(pool_,
                       load_attention_pooling(file, "ranklet.user.pool", width, hidden() > 0 ? hidden() : width));
        return {};
    }

    RANKLET_COLD Result<UserTower> finish(const GgufFile& file) {
        RANKLET_ASSIGN(const auto parts, file.strings("ranklet.user.parts"));
        for (const std::string_view part : parts) {
            if (part == "state" && hidden() > 0) {
                parts_.push_back(Part::state);
                joined_ += hidden();
            } else if (part == "pooled" && memory_ != Memory::none) {
                parts_.push_back(Part::pooled);
                joined_ += pool_.dim();
            } else if (part == "user" && !rows_.empty()) {
                parts_.push_back(Part::user);
                joined_ += users_.dim();
                keeps_user_ = true;
            } else {
                return make_error(ErrorCode::format, {file.name(), ": ranklet.user.parts has \"", part,
                                                      "\", which the file's user tower does not make"});
            }
        }
        if (parts_.empty() || parts_.size() > 8)
            return make_error(ErrorCode::format,
                              {file.name(), ": ranklet.user.parts has ", parts_.size(), " parts, expected 1 to 8"});
        if (file.has_tensor("ranklet.user_proj.weight")) {
            RANKLET_ASSIGN(projection_, load_linear(file, "ranklet.user_proj", joined_, dim_));
        } else if (joined_ != dim_) {
            return make_error(ErrorCode::format, {file.name(), ": item vectors have ", dim_, " elements, the user's ",
                                                  joined_, ", and there is no ranklet.user_proj.weight"});
        }
        return std::move(*this);
    }

    GgufFile file_;  // keeps the users' table in memory
    std::size_t in_ = 0, dim_ = 0, joined_ = 0;
    RatingInput rating_;
    std::optional<GruStack<>> stack_;
    std::optional<ResetBeforeGru<>> before_;
    bool skip_zero_ = false;
    std::map<std::string, std::size_t, std::less<>> rows_;
    Embedding users_;
    bool initial_ = false, keeps_user_ = false;
    Memory memory_ = Memory::none;
    std::size_t max_events_ = 0;
    std::optional<HeadAttention<>> attention_;
    AttentionPooling<> pool_;
    std::vector<Part> parts_;
    std::optional<Linear<>> projection_;
};

RANKLET_NAMESPACE_END
