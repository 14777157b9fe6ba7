// Vectors as wide as the registers of the processor, by the vector extensions of GCC and Clang.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace lgn_hf {

// The sums of a tile of products must fit into the registers. They are
// - in an analysis, kWide vectors of positions for each of kFilterTile filters,
// - in a synthesis, kWide vectors of positions for each of kTapTile taps of a filter's row,
// - in the gradient of filters, a vector for each of kGradientFilters filters and kGradientTaps taps.
#if defined(__AVX512F__)  // 32 registers
constexpr int kBytes = 64, kWide = 4, kGradientFilters = 4, kGradientTaps = 6;
#elif defined(__AVX__)  // 16 registers
constexpr int kBytes = 32, kWide = 2, kGradientFilters = 5, kGradientTaps = 2;
#else
constexpr int kBytes = 16, kWide = 2, kGradientFilters = 5, kGradientTaps = 2;
#endif
constexpr int kFilterTile = 5, kTapTile = 6;

template <class T> struct VectorOf {
  typedef T Type __attribute__((vector_size(kBytes)));
  typedef T Unaligned __attribute__((vector_size(kBytes), aligned(sizeof(T)), may_alias));
};
template <class T> using Vec = typename VectorOf<T>::Type;
template <class T> constexpr int kLanes = kBytes / sizeof(T);

template <class T> inline Vec<T> load(const T* p) {
  return *reinterpret_cast<const typename VectorOf<T>::Unaligned*>(p);
}
template <class T> inline void store(T* p, Vec<T> v) {
  *reinterpret_cast<typename VectorOf<T>::Unaligned*>(p) = v;
}

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)
// Numbers in memory as bfloat16: the upper halves of float32.
inline Vec<float> load(const uint16_t* p) {
  return (Vec<float>)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16);
}
inline void store(uint16_t* p, Vec<float> v) {
  _mm256_storeu_si256((__m256i*)p, (__m256i)_mm512_cvtneps_pbh((__m512)v));
}
#endif

// The vector where the mask at q has its bits set, and zero elsewhere.
template <class T> inline Vec<T> masked(const T* mask, int64_t q, Vec<T> v) {
  return (Vec<T>)((Vec<int64_t>)v & (Vec<int64_t>)load(mask + q));
}

template <class T> inline T total(const Vec<T>& v) {
  T sum = 0;
  for (int i = 0; i < kLanes<T>; ++i) sum += v[i];
  return sum;
}

// Calls f with a small number as a constant, so that loops over it unroll into registers.
template <class F> inline void as_constant(int64_t n, F&& f) {
  switch (n) {
    case 1: return f(std::integral_constant<int, 1>{});
    case 2: return f(std::integral_constant<int, 2>{});
    case 3: return f(std::integral_constant<int, 3>{});
    case 4: return f(std::integral_constant<int, 4>{});
    case 5: return f(std::integral_constant<int, 5>{});
    default: return f(std::integral_constant<int, 6>{});
  }
}

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t rounded_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace lgn_hf
