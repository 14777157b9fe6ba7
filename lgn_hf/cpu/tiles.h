// Products of tiles on matrix units (AMX): of bfloat16 numbers, summed in float32.
//
// A tile has up to 16 rows of 16 pairs of numbers, or up to 16 pairs of 16 columns, or 16 x 16 sums.
// A pair is one `uint32_t`.
#pragma once

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)

#include <immintrin.h>

#include "vectors.h"

namespace lgn_hf {

constexpr int64_t kMost = 16;  // rows, pairs or columns of a tile

// n rows, columns or pairs in as few tiles as possible, all of one size.
struct Split {
  int64_t count, size;
  explicit Split(int64_t n) : count((n + kMost - 1) / kMost), size((n + count - 1) / count) {}
  int64_t total() const { return count * size; }
};

// Numbers as bfloat16, the first in the lower half of each pair.
inline __m512i pairs(Vec<float> first, Vec<float> second) {
  const auto wide = [](Vec<float> v) { return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)v)); };
  return _mm512_or_si512(wide(first), _mm512_slli_epi32(wide(second), 16));
}
inline uint32_t pair(float first, float second) {
  return _mm512_cvtsi512_si32(pairs(first - Vec<float>{}, second - Vec<float>{}));
}

// Sets the sizes of the eight tiles: 0 to 3 are sums (rows, columns), 4 and 5 left factors (rows, pairs),
// 6 and 7 right factors (pairs, columns).
inline void configure_tiles(int64_t rows, int64_t pairs, int64_t columns) {
  struct alignas(64) {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t bytes[16] = {};  // of a row
    uint8_t rows[16] = {};
  } config;
  for (int i = 0; i < 8; ++i) {
    config.rows[i] = i < 6 ? rows : pairs;
    config.bytes[i] = 4 * (i / 2 == 2 ? pairs : columns);
  }
  _tile_loadconfig(&config);
}

// Where tiles lie in a matrix: from row to row, from tile to tile.
struct Step {
  int64_t row, tile;
};

// sum (kRows tiles, kColumns tiles) = or += the products left(i) right(i) over all i.
// left and right give pointers to a tile, behind which the others lie.
template <int kRows, int kColumns, bool add, class Left, class Right>
void multiply_tiles(int64_t count, Left&& left, Step a, Right&& right, Step b, float* sum, Step down, int64_t next) {
  float *const c1 = sum + next, *const c2 = sum + down.tile, *const c3 = c2 + next;
  const int64_t a_row = a.row * sizeof(uint32_t), b_row = b.row * sizeof(uint32_t), c_row = down.row * sizeof(float);
  asm volatile("" ::: "memory");  // compilers do not know that tiles read and write memory
  if constexpr (add) {
    _tile_loadd(0, sum, c_row);
    if constexpr (kColumns > 1) _tile_loadd(1, c1, c_row);
    if constexpr (kRows > 1) _tile_loadd(2, c2, c_row);
    if constexpr (kRows > 1 && kColumns > 1) _tile_loadd(3, c3, c_row);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t *const p = left(i), *const q = right(i);
    _tile_loadd(4, p, a_row);
    _tile_loadd(6, q, b_row);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kColumns > 1) {
      _tile_loadd(7, q + b.tile, b_row);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (kRows > 1) {
      _tile_loadd(5, p + a.tile, a_row);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (kColumns > 1) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, sum, c_row);
  if constexpr (kColumns > 1) _tile_stored(1, c1, c_row);
  if constexpr (kRows > 1) _tile_stored(2, c2, c_row);
  if constexpr (kRows > 1 && kColumns > 1) _tile_stored(3, c3, c_row);
  asm volatile("" ::: "memory");
}

}  // namespace lgn_hf

#endif
