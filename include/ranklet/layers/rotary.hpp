// Rotary: positions as angles (Su et al. 2021): of each head's row the first 2 * pairs elements are turned in pairs, element i
// with element i + pairs, by position * frequency[i].
// In: frequencies, how many positions. Out: rows turned in place. Angles are products of f32, as PyTorch's models have them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/turn.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/storage.hpp"

RANKLET_NAMESPACE_BEGIN

template <class T = float>
class Rotary {
public:
    RANKLET_MOVES_OUT_OF_LINE(Rotary);
    /// `frequencies` [pairs], each finite; cosines and sines are multiplied with `factor`.
    Result<void> assign(std::span<const float> frequencies, std::size_t positions, float factor = 1.0f) {
        const std::size_t pairs = frequencies.size();
        if (pairs == 0 || positions == 0)
            return make_error(ErrorCode::invalid_argument, {"rotary positions need frequencies and positions"});
        RANKLET_ASSIGN(turns_, AlignedBuffer<T>::zeroed(positions * 2 * pairs));
        for (std::size_t p = 0; p < positions; ++p)
            for (std::size_t i = 0; i < pairs; ++i) {
                const float angle = static_cast<float>(p) * frequencies[i];
                const detail::Turn turned = detail::turn(static_cast<double>(angle));
                T* at = turns_.data() + p * 2 * pairs + i;
                at[0] = static_cast<T>(static_cast<float>(turned.cos) * factor);
                at[pairs] = static_cast<T>(static_cast<float>(turned.sin) * factor);
            }
        pairs_ = pairs;
        positions_ = positions;
        return {};
    }

    std::size_t pairs() const noexcept { return pairs_; }
    std::size_t positions() const noexcept { return positions_; }

    /// x: a head's row at that position. Precondition: position < positions().
    void forward(std::size_t position, T* x) const noexcept {
        const T* turns = turns_.data() + position * 2 * pairs_;
        kernels::Ops<T>::rotate(x, turns, turns + pairs_, pairs_);
    }

private:
    AlignedBuffer<T> turns_;  // [positions, 2 * pairs]: cosines, then sines
    std::size_t pairs_ = 0, positions_ = 0;
};

RANKLET_NAMESPACE_END
