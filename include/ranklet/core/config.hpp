// Version, feature detection and the ABI tag.
// In: the compiler's predefined macros. Out: RANKLET_* macros and the inline namespace every symbol lives in.
// Differently configured translation units get different namespaces, so they link together without sharing a symbol.
#pragma once

#include <cstddef>
#include <cstdint>

#define RANKLET_VERSION_MAJOR 0
#define RANKLET_VERSION_MINOR 1
#define RANKLET_VERSION_PATCH 0

// A compiler goes on after #error and would bury its sentence under pages of others; at a file that is not there it stops.
#define RANKLET_STOP "ranklet/stopped: see the error above"
#if __cplusplus < 202002L && !(defined(_MSVC_LANG) && _MSVC_LANG >= 202002L)
#error "ranklet needs C++20: compile this file with -std=c++20 (g++ 12, clang 14 or later)"
#include RANKLET_STOP
#endif

// NaN and infinity carry meaning here (no rating, a filtered candidate, a damaged weight), and the order of operations
// is a promise: a unit compiled with -ffast-math would break both without a word.
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "ranklet needs IEEE arithmetic: compile this file without -ffast-math and -ffinite-math-only"
#include RANKLET_STOP
#endif

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#define RANKLET_HAS_EXCEPTIONS 1
#define RANKLET_ABI_EXCEPTIONS
#else
#define RANKLET_HAS_EXCEPTIONS 0
#define RANKLET_ABI_EXCEPTIONS _noexcept
#endif

#if defined(_OPENMP) && !defined(RANKLET_NO_OPENMP)
#define RANKLET_HAS_OPENMP 1
#define RANKLET_ABI_THREADS _omp
#else
#define RANKLET_HAS_OPENMP 0
#define RANKLET_ABI_THREADS
#endif

// The instruction set this translation unit was compiled for, as far as it changes the code.
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512CD__) && defined(__FMA__)
#if defined(__AVX512VNNI__)
#define RANKLET_ABI_ISA _avx512vnni
#else
#define RANKLET_ABI_ISA _avx512
#endif
#elif defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VNNI__)
#define RANKLET_ABI_ISA _avx512f_vnni
#elif defined(__AVX512F__)
#define RANKLET_ABI_ISA _avx512f
#elif defined(__AVX2__) && defined(__FMA__)
#if defined(__AVXVNNI__) && !defined(__F16C__)
#define RANKLET_ABI_ISA _avx2fmavnni_nof16c
#elif defined(__AVXVNNI__)
#define RANKLET_ABI_ISA _avx2fmavnni
#elif !defined(__F16C__)
#define RANKLET_ABI_ISA _avx2fma_nof16c
#else
#define RANKLET_ABI_ISA _avx2fma
#endif
#elif defined(__AVX2__) && defined(__AVXVNNI__)
#define RANKLET_ABI_ISA _avx2_vnni
#elif defined(__AVX2__)
#define RANKLET_ABI_ISA _avx2
#elif defined(__FMA__)
#define RANKLET_ABI_ISA _avxfma
#elif defined(__AVX__)
#define RANKLET_ABI_ISA _avx
#elif defined(__SSE4_1__)
#define RANKLET_ABI_ISA _sse41
#elif defined(__SSE2__)
#define RANKLET_ABI_ISA _sse2
#elif defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)
#define RANKLET_ABI_ISA _neon64dot
#elif defined(__aarch64__)
#define RANKLET_ABI_ISA _neon64
#elif defined(__ARM_NEON)
#define RANKLET_ABI_ISA _neon
#else
#define RANKLET_ABI_ISA _generic
#define RANKLET_HAS_KERNELS 0
#endif
#if !defined(RANKLET_HAS_KERNELS)
#define RANKLET_HAS_KERNELS 1
#endif

// Products with bf16 weights. With AVX512-BF16 a step is the processor's dot product, which takes bf16 on both sides:
// inputs are rounded, and the results differ from those of other machines. RANKLET_BF16_DOT=0 widens the weights there
// too, as all other instruction sets do: the bits of f32 weights of the same values, at f32's speed.
// RANKLET_EMULATE_BF16_DOT is for tests: with AVX-512 it computes in f32 what the dot product would.
#if !defined(RANKLET_BF16_DOT)
#define RANKLET_BF16_DOT 1
#endif
#if RANKLET_BF16_DOT && defined(__AVX512F__) && defined(RANKLET_EMULATE_BF16_DOT)
#define RANKLET_USES_BF16_DOT 1
#define RANKLET_ABI_BF16 _bf16emulated
#elif RANKLET_BF16_DOT && defined(__AVX512F__) && defined(__AVX512BF16__)
#define RANKLET_USES_BF16_DOT 1
#define RANKLET_ABI_BF16 _bf16
#elif defined(__AVX512F__) && defined(__AVX512BF16__)
#define RANKLET_USES_BF16_DOT 0
#define RANKLET_ABI_BF16 _bf16widened
#else
#define RANKLET_USES_BF16_DOT 0
#define RANKLET_ABI_BF16
#endif

#define RANKLET_CONCAT_IMPL(a, b, c, d, e) a##b##c##d##e
#define RANKLET_CONCAT(a, b, c, d, e) RANKLET_CONCAT_IMPL(a, b, c, d, e)
/// Code that runs at load or on errors: compiled for size, which is faster to compile too.
#define RANKLET_COLD __attribute__((cold))
/// Forced into its caller, functions (`inline RANKLET_INLINE void f()`) and lambdas (`[&](auto i) RANKLET_INLINE {}`) alike.
#define RANKLET_INLINE __attribute__((always_inline))
/// Code of the error path that many places call: never inlined into them.
#define RANKLET_OUT_OF_LINE __attribute__((noinline, cold))
/// Makes a class movable and default-constructible, and has what moves and destroys it compiled once: a class with many
/// members, moved while a model loads, would otherwise be taken apart member by member wherever a Result of it is.
#define RANKLET_MOVES_OUT_OF_LINE(Class)                              \
    Class() = default;                                                \
    RANKLET_OUT_OF_LINE Class(Class&&) noexcept = default;            \
    RANKLET_OUT_OF_LINE Class& operator=(Class&&) noexcept = default; \
    RANKLET_OUT_OF_LINE ~Class() = default

// Compiled mode. Files of a program that define RANKLET_COMPILED see declarations only; one of them also defines
// RANKLET_BUILD_COMPILED and has the definitions of what is not a template (cmake/compiled.cpp is that file; CMake's
// ranklet::compiled adds it to a target). A header declares its classes first. The definitions, marked RANKLET_FUNC, and
// what only they include follow in `#if RANKLET_DEFINITIONS`.
#if !defined(RANKLET_COMPILED) || defined(RANKLET_BUILD_COMPILED)
#define RANKLET_DEFINITIONS 1
#else
#define RANKLET_DEFINITIONS 0
#endif
#if defined(RANKLET_COMPILED)
#define RANKLET_FUNC
#else
#define RANKLET_FUNC inline
#endif

/// The inline namespace: version, instruction set, bf16 products, exceptions, threads.
#define RANKLET_ABI_TAG \
    RANKLET_CONCAT(v0_1, RANKLET_ABI_ISA, RANKLET_ABI_BF16, RANKLET_ABI_EXCEPTIONS, RANKLET_ABI_THREADS)

#define RANKLET_STRINGIFY_IMPL(x) #x
#define RANKLET_STRINGIFY(x) RANKLET_STRINGIFY_IMPL(x)

#define RANKLET_NAMESPACE_BEGIN \
    namespace ranklet {         \
    inline namespace RANKLET_ABI_TAG {
#define RANKLET_NAMESPACE_END \
    }                         \
    }

RANKLET_NAMESPACE_BEGIN

/// A size known only at run time: the default of every size template parameter (Eigen's convention).
inline constexpr std::ptrdiff_t dynamic = -1;

/// Whether products with bf16 weights round their inputs to bf16 in this translation unit. What such a model computes
/// is then that machine's: equal in any batch and for any number of threads, within about 1 % of other machines.
inline constexpr bool uses_bf16_dot = RANKLET_USES_BF16_DOT != 0;

/// The ABI tag as text, for example "v0_1_avx512_omp".
inline constexpr const char* abi_tag = RANKLET_STRINGIFY(RANKLET_ABI_TAG);

RANKLET_NAMESPACE_END
