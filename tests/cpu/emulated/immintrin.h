// In place of the compiler's header: the instructions that matrix_units.h uses, emulated for processors without them.
#pragma once

#include <cstdint>
#include <cstring>

typedef float __m512 __attribute__((vector_size(64), may_alias));
typedef int32_t __m512i __attribute__((vector_size(64), may_alias));
typedef uint16_t __m512bh __attribute__((vector_size(64), may_alias));
typedef int32_t __m256i __attribute__((vector_size(32), may_alias));
typedef uint16_t __m256bh __attribute__((vector_size(32), may_alias));

inline uint16_t to_bfloat16(float number) {
  uint32_t bits;
  std::memcpy(&bits, &number, 4);
  if (number != number) return uint16_t(bits >> 16 | 0x40);
  if ((bits & 0x7f800000) == 0) return uint16_t(bits >> 16 & 0x8000);  // denormal numbers become zero
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline float from_bfloat16(uint32_t half) {
  const uint32_t bits = half << 16;
  float number;
  std::memcpy(&number, &bits, 4);
  return number;
}

inline __m256i _mm256_loadu_si256(const __m256i* p) {
  __m256i v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
inline void _mm256_storeu_si256(__m256i* p, __m256i v) { std::memcpy(p, &v, sizeof(v)); }
inline void _mm512_storeu_si512(void* p, __m512i v) { std::memcpy(p, &v, sizeof(v)); }
inline __m512i _mm512_slli_epi32(__m512i v, unsigned n) { return v << int(n); }
inline __m512i _mm512_or_si512(__m512i a, __m512i b) { return a | b; }
inline int32_t _mm512_cvtsi512_si32(__m512i v) { return v[0]; }
inline __m512i _mm512_cvtepu16_epi32(__m256i v) {
  __m512i wide;
  for (int i = 0; i < 16; ++i) wide[i] = ((__m256bh)v)[i];
  return wide;
}
inline __m256bh _mm512_cvtneps_pbh(__m512 v) {
  __m256bh narrow;
  for (int i = 0; i < 16; ++i) narrow[i] = to_bfloat16(v[i]);
  return narrow;
}
inline __m512bh _mm512_cvtne2ps_pbh(__m512 upper, __m512 lower) {
  __m512bh both;
  for (int i = 0; i < 16; ++i) both[i] = to_bfloat16(lower[i]), both[16 + i] = to_bfloat16(upper[i]);
  return both;
}

struct Tile {
  int rows, bytes;       // of a row
  uint32_t cells[16][16];
};
inline thread_local Tile tiles[8];

inline void _tile_loadconfig(const void* config) {
  const uint8_t* p = static_cast<const uint8_t*>(config);
  for (int i = 0; i < 8; ++i) {
    uint16_t bytes;
    std::memcpy(&bytes, p + 16 + 2 * i, 2);
    tiles[i] = {p[48 + i], bytes, {}};
  }
}
inline void _tile_release() {}
inline void _tile_zero(int tile) { std::memset(tiles[tile].cells, 0, sizeof(tiles[tile].cells)); }
inline void _tile_loadd(int tile, const void* from, int64_t stride) {
  _tile_zero(tile);
  for (int i = 0; i < tiles[tile].rows; ++i)
    std::memcpy(tiles[tile].cells[i], static_cast<const char*>(from) + i * stride, tiles[tile].bytes);
}
inline void _tile_stored(int tile, void* to, int64_t stride) {
  for (int i = 0; i < tiles[tile].rows; ++i)
    std::memcpy(static_cast<char*>(to) + i * stride, tiles[tile].cells[i], tiles[tile].bytes);
}
inline void _tile_dpbf16ps(int sum, int left, int right) {
  for (int i = 0; i < tiles[sum].rows; ++i)
    for (int j = 0; j < tiles[sum].bytes / 4; ++j) {
      float total;
      std::memcpy(&total, &tiles[sum].cells[i][j], 4);
      for (int k = 0; k < tiles[left].bytes / 4; ++k) {
        const uint32_t a = tiles[left].cells[i][k], b = tiles[right].cells[k][j];
        total += from_bfloat16(a & 0xffff) * from_bfloat16(b & 0xffff);
        total += from_bfloat16(a >> 16) * from_bfloat16(b >> 16);
      }
      std::memcpy(&tiles[sum].cells[i][j], &total, 4);
    }
}
