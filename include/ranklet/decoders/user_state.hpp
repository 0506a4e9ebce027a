// UserState: what the decoder remembers of a user, as a value: copy it, save it, load it, go on one event at a time.
// In: bytes made by save(). Out: the GRU's hidden state, the events that led to it and, where the decoder looks at them
// again (attention over events), their vectors.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN

/// An event without a rating.
inline constexpr float no_rating = std::numeric_limits<float>::quiet_NaN();

/// An event without a time.
inline constexpr double no_time = std::numeric_limits<double>::quiet_NaN();

/// Which state the user's part of a score is computed from.
enum class InitialState {
    user,  ///< the user's own
    zero,  ///< that of a user without events, in decoders that run over a candidate; others have no such score
};

/// What a user keeps besides the decoder's state.
struct UserOptions {
    static constexpr std::size_t all_events = static_cast<std::size_t>(-1);
    /// Only the last so many events are remembered by id and rating (0: none): a user's memory and saved state stop
    /// growing. No influence on scores: the decoder's state has met all events, and a decoder that attends to events
    /// keeps as many of their vectors as its model file says. What looks at ids sees the remembered ones alone:
    /// exclude_seen leaves out these, and explain refuses a user whose forgotten events are part of the state.
    std::size_t max_events = all_events;
};

/// An item that a user met.
struct Event {
    std::string id;  ///< the item's id; empty for a text or a vector from outside the catalog
    float rating = no_rating;
    double time = no_time;  ///< seconds since 1970
};

struct UserState {
    std::vector<float> hidden;  ///< [layers * hidden], the bottom layer first; zero for a new user
    std::vector<Event> events;  ///< oldest first
    std::uint64_t model = 0;    ///< fingerprint of the model file
    std::vector<float>
        memory;  ///< [rows * memory_width] of the last events, oldest first, where the decoder keeps them
    std::size_t memory_width = 0;
    std::string user;  ///< the user's own id in the model file, where the model knows users; empty: nobody it knows
    std::size_t max_events = UserOptions::all_events;
    std::uint64_t forgotten = 0;  ///< events that were left out of `events` because of max_events
    /// What a decoder that is made of others remembers for each of them: `hidden` and `memory` alone.
    std::vector<UserState> parts = {};

    /// Leaves of `events` the last max_events.
    void forget_oldest() noexcept {
        if (events.size() <= max_events) return;
        const std::size_t surplus = events.size() - max_events;
        events.erase(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(surplus));
        forgotten += surplus;
    }
    std::size_t memory_rows() const noexcept { return memory_width == 0 ? 0 : memory.size() / memory_width; }

    /// Little-endian bytes: "RKUS", version u32, model u64, hidden count u32, event count u32, the hidden f32s, each
    /// event (id length u32, id, rating f32), [version 2: memory width u32, memory rows u32, their f32s, length of the
    /// user's id u32, the id,] [version 3, which has that too: max_events u64, forgotten u64,] FNV-1a 64 of all that.
    /// Version 1 where there is neither memory nor a user's id; version 3 where events are limited or were forgotten;
    /// version 4, where there are parts, has all that and, before the sum, their number u32 and of each hidden count
    /// u32, memory width u32, memory rows u32, the hidden f32s, the memory's f32s. Version 5, where an event has a time,
    /// has all that and, before the sum, each event's time f64, NaN for one without.
    std::vector<std::byte> save() const {
        const bool timed =
            std::any_of(events.begin(), events.end(), [](const Event& event) { return !std::isnan(event.time); });
        const bool composed = !parts.empty() || timed;
        const bool limited = max_events != UserOptions::all_events || forgotten != 0 || composed;
        const bool extended = limited || memory_width != 0 || !user.empty();
        std::size_t size = sizeof magic + 3 * sizeof(std::uint32_t) + 2 * sizeof(std::uint64_t);
        size += hidden.size() * sizeof(float);
        if (extended) size += 3 * sizeof(std::uint32_t) + memory.size() * sizeof(float) + user.size();
        if (limited) size += 2 * sizeof(std::uint64_t);
        if (composed) size += sizeof(std::uint32_t);
        if (timed) size += events.size() * sizeof(double);
        for (const UserState& part : parts)
            size += 3 * sizeof(std::uint32_t) + (part.hidden.size() + part.memory.size()) * sizeof(float);
        for (const Event& event : events) size += sizeof(std::uint32_t) + event.id.size() + sizeof event.rating;
        std::vector<std::byte> out(size);
        std::size_t position = 0;
        const auto put = [&](const void* data, std::size_t count) {
            if (count > 0) std::memcpy(out.data() + position, data, count);
            position += count;
        };
        const auto put_u32 = [&](std::size_t value) {
            const auto narrow = static_cast<std::uint32_t>(value);
            put(&narrow, sizeof narrow);
        };
        put(magic, sizeof magic);
        put_u32(timed ? 5 : composed ? 4 : limited ? 3 : extended ? 2 : 1);
        put(&model, sizeof model);
        put_u32(hidden.size());
        put_u32(events.size());
        put(hidden.data(), hidden.size() * sizeof(float));
        for (const Event& event : events) {
            put_u32(event.id.size());
            put(event.id.data(), event.id.size());
            put(&event.rating, sizeof event.rating);
        }
        if (extended) {
            put_u32(memory_width);
            put_u32(memory_rows());
            put(memory.data(), memory.size() * sizeof(float));
            put_u32(user.size());
            put(user.data(), user.size());
        }
        if (limited) {
            const std::uint64_t most = max_events;
            put(&most, sizeof most);
            put(&forgotten, sizeof forgotten);
        }
        if (composed) put_u32(parts.size());
        for (const UserState& part : parts) {
            put_u32(part.hidden.size());
            put_u32(part.memory_width);
            put_u32(part.memory_rows());
            put(part.hidden.data(), part.hidden.size() * sizeof(float));
            put(part.memory.data(), part.memory.size() * sizeof(float));
        }
        if (timed)
            for (const Event& event : events) put(&event.time, sizeof event.time);
        const std::uint64_t sum = checksum(std::span<const std::byte>(out).first(position));
        put(&sum, sizeof sum);
        return out;
    }

    /// Error format when the bytes are not what save() made: truncated, changed, or something else.
    RANKLET_COLD static Result<UserState> load(std::span<const std::byte> bytes) RANKLET_MEMORY_TRY {
        std::size_t position = 0;
        const auto get = [&](void* data, std::size_t size) {
            if (bytes.size() - position < size) return false;
            if (size > 0) std::memcpy(data, bytes.data() + position, size);
            position += size;
            return true;
        };
        const auto broken = [&](const char* what) {
            return make_error(ErrorCode::format, {"user state: ", what, " at byte ", position});
        };
        char found[sizeof magic];
        std::uint32_t version = 0, hidden_count = 0, event_count = 0;
        if (!get(found, sizeof found) || std::memcmp(found, magic, sizeof magic) != 0)
            return broken("no \"RKUS\" mark");
        if (!get(&version, sizeof version)) return broken("truncated");
        if (version < 1 || version > 5)
            return make_error(ErrorCode::unsupported, {"user state: version ", version, ", not 1 to 5"});
        std::uint64_t sum = 0;
        if (bytes.size() < position + sizeof sum) return broken("truncated");
        std::memcpy(&sum, bytes.data() + bytes.size() - sizeof sum, sizeof sum);
        bytes = bytes.first(bytes.size() - sizeof sum);
        if (sum != checksum(bytes)) return broken("truncated or changed: the checksum differs");
        UserState state;
        if (!get(&state.model, sizeof state.model) || !get(&hidden_count, sizeof hidden_count) ||
            !get(&event_count, sizeof event_count) || (bytes.size() - position) / sizeof(float) < hidden_count)
            return broken("truncated");
        state.hidden.resize(hidden_count);
        (void)get(state.hidden.data(), hidden_count * sizeof(float));
        for (const float h : state.hidden)
            if (!std::isfinite(h)) return broken("a hidden value that is not finite");
        for (std::uint32_t e = 0; e < event_count; ++e) {
            std::uint32_t length = 0;
            Event event;
            if (!get(&length, sizeof length) || bytes.size() - position < length) return broken("truncated");
            event.id.resize(length);
            (void)get(event.id.data(), length);
            if (!get(&event.rating, sizeof event.rating)) return broken("truncated");
            state.events.push_back(std::move(event));
        }
        if (version >= 2) {
            std::uint32_t width = 0, rows = 0, length = 0;
            if (!get(&width, sizeof width) || !get(&rows, sizeof rows)) return broken("truncated");
            const std::size_t left = (bytes.size() - position) / sizeof(float);
            if (rows > 0 && (width == 0 || left / width < rows)) return broken("truncated");
            state.memory_width = width;
            state.memory.resize(std::size_t{width} * rows);
            (void)get(state.memory.data(), state.memory.size() * sizeof(float));
            for (const float x : state.memory)
                if (!std::isfinite(x)) return broken("an event's value that is not finite");
            if (!get(&length, sizeof length) || bytes.size() - position < length) return broken("truncated");
            state.user.resize(length);
            (void)get(state.user.data(), length);
        }
        if (version >= 3) {
            std::uint64_t most = 0;
            if (!get(&most, sizeof most) || !get(&state.forgotten, sizeof state.forgotten)) return broken("truncated");
            state.max_events =
                most < UserOptions::all_events ? static_cast<std::size_t>(most) : UserOptions::all_events;
            if (state.events.size() > state.max_events) return broken("more events than its own limit");
        }
        std::uint32_t part_count = 0;
        if (version >= 4 && !get(&part_count, sizeof part_count)) return broken("truncated");
        for (std::uint32_t p = 0; p < part_count; ++p) {
            std::uint32_t numbers = 0, width = 0, rows = 0;
            if (!get(&numbers, sizeof numbers) || !get(&width, sizeof width) || !get(&rows, sizeof rows))
                return broken("truncated");
            const std::size_t left = (bytes.size() - position) / sizeof(float);
            if (left < numbers || (rows > 0 && (width == 0 || (left - numbers) / width < rows)))
                return broken("truncated");
            UserState& part = state.parts.emplace_back();
            part.memory_width = width;
            part.hidden.resize(numbers);
            part.memory.resize(std::size_t{width} * rows);
            (void)get(part.hidden.data(), part.hidden.size() * sizeof(float));
            (void)get(part.memory.data(), part.memory.size() * sizeof(float));
            for (const auto* some : {&part.hidden, &part.memory})
                for (const float x : *some)
                    if (!std::isfinite(x)) return broken("a part's value that is not finite");
        }
        if (version >= 5)
            for (Event& event : state.events) {
                if (!get(&event.time, sizeof event.time)) return broken("truncated");
                if (std::isinf(event.time)) return broken("an event's time that is infinite");
            }
        if (position != bytes.size()) return broken("more bytes than the state has");
        return state;
    }
    RANKLET_MEMORY_CATCH

private:
    static_assert(std::endian::native == std::endian::little, "user states are stored little-endian");
    static constexpr char magic[4] = {'R', 'K', 'U', 'S'};

    static std::uint64_t checksum(std::span<const std::byte> bytes) noexcept {
        std::uint64_t hash = 14695981039346656037ull;
        for (const std::byte b : bytes) hash = (hash ^ static_cast<unsigned char>(b)) * 1099511628211ull;
        return hash;
    }
};

RANKLET_NAMESPACE_END
