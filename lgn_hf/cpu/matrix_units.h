// A layer with its three products on matrix units (AMX): of bfloat16 numbers, summed in float32.
//
// Codes, most of what goes to memory and comes back, are stored as bfloat16; all else is float32. The units multiply tiles:
// up to 16 rows of 16 pairs of numbers by 16 pairs of 16 columns. A pair is one `uint32_t`. Tiles of an image need no copy
// of it: with a pixel and its right neighbour as a pair, the next row or column is the next pixel.
#pragma once

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)

#include <immintrin.h>

#include <utility>
#include <vector>

#include "products.h"

namespace lgn_hf {

struct MixedLayer : Layer<float, uint16_t> {
  using Base = Layer<float, uint16_t>;
  static constexpr int64_t kMost = 16;

  // n rows, columns or pairs in as few tiles as possible, all of one size.
  struct Split {
    int64_t count, size;
    explicit Split(int64_t n) : count((n + kMost - 1) / kMost), size((n + count - 1) / count) {}
    int64_t total() const { return count * size; }
  };

  const Split filters{s.filters}, filter_pairs{(s.filters + 1) / 2};
  const Split line_taps{s.width}, column_taps{s.height}, channel_taps{s.height * s.width};
  const int64_t gradient_row = lines * line_taps.total(), position_pairs = s.positions / 2;

  const int64_t image_pairs_size = image_size + (column_taps.total() - s.height) * s.pitch;

  // An analysis sums over pairs of columns of a filter: where one begins in a filter, and in an image.
  struct Column {
    int64_t line, tap, offset;
  };
  std::vector<Column> columns;

  explicit MixedLayer(const Shape& shape) : Base(shape) {
    for (int64_t c = 0; c < s.channels; ++c)
      for (int64_t i = 0; i < column_taps.total(); i += column_taps.size)
        for (int64_t j = 0; j < s.width; j += 2)
          columns.push_back({c * s.height + i, j, c * s.image_plane + i * s.pitch + j});
  }

  static int64_t whole_lines(int64_t size) { return rounded_up(size, kLanes); }

  struct Scratch : Base::Scratch {
    uint32_t *analysis_filters;                      // tiles (filters, columns) of filters by lines
    uint32_t *synthesis_filters;                     // tiles (C, taps, filters) of taps by pairs of filters
    uint32_t* image_pairs;                           // (C, image_plane), and lines behind
    uint32_t* code_pairs;                            // (filters, position pairs)
    uint32_t* block;                                 // (filter pairs, kBlock)
    float* all_columns;                              // (taps of a channel, kStride)
    float *products, *gradients;                     // two tiles of filters by two, (filters, taps by lines)
  };

  int64_t scratch_size() const {
    return Base::scratch_size() + whole_lines(filters.total() * int64_t(columns.size()) * column_taps.size) +
           whole_lines(s.channels * channel_taps.total() * filter_pairs.total()) + whole_lines(image_pairs_size) +
           whole_lines(filters.total() * position_pairs) + filter_pairs.total() * kBlock +
           whole_lines(channel_taps.total() * kStride) + 4 * kMost * kMost + whole_lines(filters.total() * gradient_row);
  }

  Scratch scratch(float* memory, const float* weights) const {
    Scratch a;
    static_cast<Base::Scratch&>(a) = Base::scratch(memory, weights);
    memory += Base::scratch_size();
    const auto take = [&](int64_t size) { return std::exchange(memory, memory + whole_lines(size)); };
    const auto take_pairs = [&](int64_t size) { return reinterpret_cast<uint32_t*>(take(size)); };
    a.analysis_filters = take_pairs(filters.total() * int64_t(columns.size()) * column_taps.size);
    a.synthesis_filters = take_pairs(s.channels * channel_taps.total() * filter_pairs.total());
    a.image_pairs = take_pairs(image_pairs_size);
    std::memset(a.image_pairs, 0, sizeof(uint32_t) * image_pairs_size);  // what is read past a filter meets weights of zero
    a.code_pairs = take_pairs(filters.total() * position_pairs);
    a.block = take_pairs(filter_pairs.total() * kBlock);
    a.all_columns = take(channel_taps.total() * kStride);
    a.products = take(4 * kMost * kMost);
    a.gradients = take(filters.total() * gradient_row);
    std::memset(a.all_columns, 0, sizeof(float) * channel_taps.total() * kStride);
    std::memset(a.block, 0, sizeof(uint32_t) * filter_pairs.total() * kBlock);
    const auto weight = [&](int64_t f, int64_t line, int64_t j) {
      return f < s.filters && line < lines && j < s.width ? weights[f * taps + line * s.width + j] : 0;
    };
    uint32_t* out = a.analysis_filters;
    for (int64_t f = 0; f < filters.total(); f += filters.size)
      for (const Column& column : columns)
        for (int64_t y = f; y < f + filters.size; ++y)
          for (int64_t i = 0; i < column_taps.size; ++i) {
            const int64_t line = column.line % s.height + i < s.height ? column.line + i : lines;
            *out++ = pair(weight(y, line, column.tap), weight(y, line, column.tap + 1));
          }
    out = a.synthesis_filters;
    for (int64_t c = 0; c < s.channels; ++c)
      for (int64_t k = 0; k < channel_taps.total(); k += channel_taps.size)
        for (int64_t f = 0; f < filter_pairs.total(); f += filter_pairs.size)
          for (int64_t y = k; y < k + channel_taps.size; ++y)
            for (int64_t u = f; u < f + filter_pairs.size; ++u) {
              const int64_t line = y < s.height * s.width ? c * s.height + y / s.width : lines, j = y % s.width;
              *out++ = pair(weight(2 * u, line, j), weight(2 * u + 1, line, j));
            }
    return a;
  }

  // Tiles 0 to 3 are sums (rows, columns), 4 and 5 left factors (rows, pairs), 6 and 7 right factors (pairs, columns).
  static void configure(int64_t rows, int64_t pairs, int64_t columns) {
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
  void end() const { _tile_release(); }

  static __m512i pairs(Vec<float> first, Vec<float> second) {
    const auto wide = [](Vec<float> v) { return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)v)); };
    return _mm512_or_si512(wide(first), _mm512_slli_epi32(wide(second), 16));
  }
  static uint32_t pair(float first, float second) {
    return _mm512_cvtsi512_si32(pairs(first - Vec<float>{}, second - Vec<float>{}));
  }

  // Where tiles lie in a matrix: from row to row, from tile to tile.
  struct Step {
    int64_t row, tile;
  };

  // sum (kRows tiles, kColumns tiles) = or += left(i) right(i) over all i: pointers to a tile, behind which the others lie.
  template <int kRows, int kColumns, bool add, class Left, class Right>
  static void multiply(int64_t count, Left&& left, Step a, Right&& right, Step b, float* sum, Step down, int64_t next) {
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

  void pair_pixels(const float* image, const Scratch& a, bool negated = false) const {
    for (int64_t c = 0; c < image_size; c += s.image_plane)
      for (int64_t q = c; q < c + s.image_plane - kLanes; q += kLanes) {
        const Vec<float> left = load(image + q), right = load(image + q + 1);
        _mm512_storeu_si512(a.image_pairs + q, negated ? pairs(-left, -right) : pairs(left, right));
      }
  }

  int64_t offset(int64_t line) const { return line / s.height * s.image_plane + line % s.height * s.pitch; }

  template <class Store> void analysis(const float* image, const Scratch& a, Store&& store) const {
    constexpr int64_t kColumns = 2 * kMost;
    pair_pixels(image, a);
    configure(filters.size, column_taps.size, kMost);
    const int64_t steps = columns.size(), tile = filters.size * column_taps.size;
    for (int64_t q = 0; q < s.positions; q += kColumns)
      for (int64_t f = 0; f < filters.count; f += 2) {
        as_constant(smaller(filters.count - f, 2), [&](auto tall) {
          constexpr int kRows = decltype(tall)::value < 2 ? 1 : 2;
          multiply<kRows, 2, false>(
              steps, [&](int64_t i) { return a.analysis_filters + (f * steps + i) * tile; },
              {column_taps.size, steps * tile},
              [&](int64_t i) { return a.image_pairs + q + columns[i].offset; }, {s.pitch, kMost},
              a.products, {kColumns, filters.size * kColumns}, kMost);
        });
        for (int64_t y = 0; y < smaller(s.filters - f * filters.size, 2 * filters.size); ++y)
          for (int64_t x = 0; x < kColumns; x += kLanes)
            store(f * filters.size + y, q + x, load(a.products + y * kColumns + x));
      }
  }

  void synthesis(const float* code, const Scratch& a) const {
    std::memset(a.image, 0, sizeof(float) * image_size);
    configure(channel_taps.size, filter_pairs.size, kMost);
    const int64_t tile = channel_taps.size * filter_pairs.size, row = filter_pairs.count * tile;
    for (int64_t q = 0; q < s.positions; q += kBlock) {
      for (int64_t f = 0; f < s.filters; f += 2)
        for (int64_t x = 0; x < kBlock; x += kLanes) {
          const float* p = code + f * s.code_plane + q + x;
          _mm512_storeu_si512(a.block + f / 2 * kBlock + x,
                              pairs(load(p), f + 1 < s.filters ? load(p + s.code_plane) : Vec<float>{}));
        }
      for (int64_t c = 0; c < s.channels; ++c) {
        for (int64_t k = 0; k < channel_taps.count; k += 2)
          as_constant(smaller(channel_taps.count - k, 2), [&](auto tall) {
            constexpr int kRows = decltype(tall)::value < 2 ? 1 : 2;
            const uint32_t* weights = a.synthesis_filters + (c * channel_taps.count + k) * row;
            for (int64_t x = 0; x < kBlock; x += 2 * kMost)
              multiply<kRows, 2, false>(
                  filter_pairs.count, [&](int64_t i) { return weights + i * tile; }, {filter_pairs.size, row},
                  [&](int64_t i) { return a.block + i * filter_pairs.size * kBlock + x; }, {kBlock, kMost},
                  a.all_columns + k * channel_taps.size * kStride + kMargin + x,
                  {kStride, channel_taps.size * kStride}, kMost);
          });
        add_columns(a.all_columns, a.image + c * s.image_plane + q);
      }
    }
  }

  template <bool subtract> void filter_gradient(const float* code, const float* image, const Scratch& a) const {
    pair_pixels(image, a, subtract);
    for (int64_t f = 0; f < s.filters; ++f)
      for (int64_t q = 0; q < position_pairs; q += kMost) {
        const float* p = code + f * s.code_plane + 2 * q;
        const __m512bh both = _mm512_cvtne2ps_pbh((__m512)load(p + kLanes), (__m512)load(p));
        _mm512_storeu_si512(a.code_pairs + f * position_pairs + q, (__m512i)both);
      }
    configure(filters.size, kMost, line_taps.size);
    const int64_t tile = filters.size * position_pairs;
    for (int64_t f = 0; f < filters.count; f += 2)
      for (int64_t j = 0; j < line_taps.count; ++j)
        for (int64_t i = 0; i < lines; i += 2)
          as_constant(smaller(filters.count - f, 2), [&](auto tall) {
            as_constant(smaller(lines - i, 2), [&](auto wide) {
              constexpr int kRows = decltype(tall)::value < 2 ? 1 : 2, kColumns = decltype(wide)::value < 2 ? 1 : 2;
              const uint32_t* pixels = a.image_pairs + offset(i) + j * line_taps.size;
              multiply<kRows, kColumns, true>(
                  position_pairs / kMost, [&](int64_t q) { return a.code_pairs + f * tile + q * kMost; },
                  {position_pairs, tile}, [&](int64_t q) { return pixels + q * 2 * kMost; }, {2, offset(i + 1) - offset(i)},
                  a.gradients + f * filters.size * gradient_row + i * line_taps.total() + j * line_taps.size,
                  {gradient_row, filters.size * gradient_row}, line_taps.total());
            });
          });
  }

  void clear_gradient(const Scratch& a) const {
    std::memset(a.gradients, 0, sizeof(float) * filters.total() * gradient_row);
  }

  void write_gradient(const Scratch& a, float* out) const {
    for (int64_t f = 0; f < s.filters; ++f)
      for (int64_t i = 0; i < lines; ++i)
        std::memcpy(out + f * taps + i * s.width, a.gradients + f * gradient_row + i * line_taps.total(),
                    sizeof(float) * s.width);
  }
};

}  // namespace lgn_hf

#endif
