// DistanceBias: what attention adds to a score by how far the key is from the query: relative biases (Raffel et al. 2020; MPNet),
// ALiBi (Press et al. 2022), sliding windows and causal masks, which are -infinity where a query does not look.
// In: values by distance, for each head or for all. Out: a pointer that is read at key - query.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "ranklet/core/buffer.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/layers/storage.hpp"

RANKLET_NAMESPACE_BEGIN

/// Which keys a query looks at.
struct AttentionMask {
    bool causal = false;               ///< none behind it
    std::optional<std::size_t> reach;  ///< none further away than so many tokens
};

template <class T = float>
class DistanceBias {
public:
    RANKLET_MOVES_OUT_OF_LINE(DistanceBias);
    /// `values` [heads, 2 * reach + 1]: of key - query from -reach to reach; what is further away is as the outermost. Empty:
    /// the mask alone, for all heads. `slopes` [heads]: -slope * |key - query| in their place.
    RANKLET_COLD Result<void> assign(MatrixView<const float> values, std::span<const float> slopes, const AttentionMask& mask,
                        std::size_t positions) {
        if (positions == 0 || (values.rows > 0 && values.cols % 2 == 0) || (values.rows > 0 && !slopes.empty()))
            return make_error(ErrorCode::invalid_argument, {"a bias by distance needs an odd number of distances"});
        heads_ = std::max<std::size_t>({values.rows, slopes.size(), 1});
        width_ = 2 * positions - 1;
        mask_ = mask;
        RANKLET_ASSIGN(values_, AlignedBuffer<T>::zeroed(heads_ * width_));
        const auto center = static_cast<std::ptrdiff_t>(positions) - 1;
        const auto most = static_cast<std::ptrdiff_t>(values.cols / 2);
        for (std::size_t h = 0; h < heads_; ++h)
            for (std::ptrdiff_t d = -center; d <= center; ++d) {
                T& value = values_.data()[h * width_ + static_cast<std::size_t>(d + center)];
                const auto away = static_cast<std::size_t>(d < 0 ? -d : d);
                if (values.rows > 0)
                    value = static_cast<T>(values.row(h)[static_cast<std::size_t>(std::clamp(d, -most, most) + most)]);
                else if (!slopes.empty())
                    value = static_cast<T>(-slopes[h] * static_cast<float>(away));
                if ((mask.causal && d > 0) || (mask.reach && away > *mask.reach))
                    value = -std::numeric_limits<T>::infinity();
            }
        return {};
    }

    /// 1: the same for all heads.
    std::size_t heads() const noexcept { return heads_; }
    /// Which keys a query looks at.
    const AttentionMask& mask() const noexcept { return mask_; }
    /// The value of distance 0. Precondition: it was assigned.
    const T* of(std::size_t head) const noexcept {
        return values_.data() + (heads_ > 1 ? head : 0) * width_ + width_ / 2;
    }

private:
    AlignedBuffer<T> values_;  // [heads, 2 * positions - 1]
    std::size_t heads_ = 0, width_ = 0;
    AttentionMask mask_;
};

RANKLET_NAMESPACE_END
