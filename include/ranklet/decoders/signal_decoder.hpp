// SignalDecoder: what decoders share that read a catalog's signals and nothing of its vectors: they keep nothing of a user.
// In: events, which the user remembers by id. Out: the parts of Decoder that are then empty.
#pragma once

#include <cstddef>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/decoders/decoder.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

class SignalDecoder : public Decoder {
public:
    Result<void> prepare(CatalogData&, ItemUse, Threads) const override { return {}; }
    Result<void> check(const CatalogData&) const override { return {}; }

    void begin_user(UserState& state) const override {
        state.hidden.clear();
        state.memory.clear();
        state.memory_width = 0;
    }
    RANKLET_COLD Result<void> check(const UserState& state) const override { return check_state_size(state, 0, 0, 0); }

    std::size_t piece() const noexcept override { return 4096; }
    std::size_t query_size() const noexcept override { return 0; }
    std::size_t scratch_size() const noexcept override { return 0; }
};

}  // namespace detail
RANKLET_NAMESPACE_END
