// Matrix product of f32: C = A * W^T and an epilogue.
// In: A row-major with a stride, W in panels. Out: C row-major with a stride.
// A step is one value of k: one fused multiply-add for each output.
#pragma once

#include <cstddef>

#include "ranklet/core/config.hpp"
#include "ranklet/kernels/arch.hpp"
#include "ranklet/kernels/gemm.hpp"
#include "ranklet/kernels/panels.hpp"

RANKLET_NAMESPACE_BEGIN
namespace kernels {

/// f32: one value of k a step.
template <class Arch>
struct MacF32 {
    using Tile = GemmTile<Arch>;
    using Input = float;
    using Weight = float;
    using Start = float;
    using Sum = F32<Arch>;
    static constexpr std::size_t step = 1;
    static constexpr std::size_t block = gemm_block;

    static inline RANKLET_INLINE Sum start(const Start*, std::size_t) noexcept { return Sum(0.0f); }
    static inline RANKLET_INLINE F32<Arch> weights(const Weight* w) noexcept { return F32<Arch>::load_unaligned(w); }
    static inline RANKLET_INLINE F32<Arch> input(const Input* a) noexcept { return F32<Arch>(*a); }
    static inline RANKLET_INLINE Sum accumulate(const F32<Arch>& a, const F32<Arch>& w, const Sum& sum) noexcept {
        return fma<Arch>(a, w, sum);
    }
    static inline RANKLET_INLINE F32<Arch> finish(const Sum& sum) noexcept { return sum; }
};

/// C = A * W^T and the epilogue. a: [m, k], packed: pack_rows or pack_columns of W[n, k], c: [m, n], k >= 1.
template <class Arch, class Epilogue>
inline void gemm_f32(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t a_stride,
                     const float* packed, float* c, std::size_t c_stride, const Epilogue& epilogue) noexcept {
    detail::gemm<MacF32<Arch>>(m, {n, k, a, a_stride, packed, nullptr, c, c_stride}, AnyEpilogue(epilogue));
}
/// The same of a part of k alone, [first, last) of W's `whole`; a: [m, last - first].
template <class Arch, class Epilogue>
inline void gemm_f32_part(std::size_t m, std::size_t n, std::size_t first, std::size_t last, std::size_t whole,
                          const float* a, std::size_t a_stride, const float* packed, float* c, std::size_t c_stride,
                          const Epilogue& epilogue) noexcept {
    detail::gemm<MacF32<Arch>>(m,
                               {n, last - first, a, a_stride, packed + first * GemmTile<Arch>::panel, nullptr, c,
                                c_stride, whole},
                               AnyEpilogue(epilogue));
}

}  // namespace kernels
RANKLET_NAMESPACE_END
