// A layer with its three products on matrix units (AMX).
//
// Codes, which are most of what goes to memory and comes back, are stored as bfloat16. All else is float32.
// Tiles of an image need no copy of it: with a pixel and its right neighbour as a pair, the next row or column of a
// tile is the next pixel.
#pragma once

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)

#include <vector>

#include "products.h"
#include "tiles.h"

namespace lgn_hf {

struct MixedLayer : Layer<float, uint16_t> {
  using Base = Layer<float, uint16_t>;
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

  struct Scratch : Base::Scratch {
    uint32_t* analysis_filters;   // tiles (filters, columns) of filters by lines
    uint32_t* synthesis_filters;  // tiles (C, taps, filters) of taps by pairs of filters
    uint32_t* image_pairs;        // (C, image_plane), and lines behind
    uint32_t* code_pairs;         // (filters, position pairs)
    uint32_t* block;              // (filter pairs, kBlock)
    float* all_columns;           // (taps of a channel, kStride)
    float* products;              // two tiles of filters by two
    float* gradients;             // (filters, taps by lines)
  };

  Scratch lay_out(Memory<float>& memory) const {
    Scratch a;
    static_cast<Base::Scratch&>(a) = Base::lay_out(memory);
    const auto take_pairs = [&](int64_t size) { return reinterpret_cast<uint32_t*>(memory.take(size)); };
    a.analysis_filters = take_pairs(filters.total() * int64_t(columns.size()) * column_taps.size);
    a.synthesis_filters = take_pairs(s.channels * channel_taps.total() * filter_pairs.total());
    a.image_pairs = take_pairs(image_pairs_size);
    a.code_pairs = take_pairs(filters.total() * position_pairs);
    a.block = take_pairs(filter_pairs.total() * kBlock);
    a.all_columns = memory.take(channel_taps.total() * kStride);
    a.products = memory.take(4 * kMost * kMost);
    a.gradients = memory.take(filters.total() * gradient_row);
    return a;
  }

  int64_t scratch_size() const {
    Memory<float> memory;
    lay_out(memory);
    return memory.used;
  }

  Scratch scratch(float* begin, const float* weights) const {
    Memory<float> memory{begin};
    Scratch a = lay_out(memory);
    Base::prepare(a, weights);
    // What is read past a filter meets weights of zero, and must be a number.
    std::memset(a.image_pairs, 0, sizeof(uint32_t) * image_pairs_size);
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

  void pair_pixels(const float* image, const Scratch& a, bool negated = false) const {
    for (int64_t c = 0; c < image_size; c += s.image_plane)
      for (int64_t q = c; q < c + s.image_plane - kLanes; q += kLanes) {
        const Vec<float> left = load(image + q), right = load(image + q + 1);
        _mm512_storeu_si512(a.image_pairs + q, negated ? pairs(-left, -right) : pairs(left, right));
      }
  }

  template <class Store> void analysis(const float* image, const Scratch& a, Store&& store) const {
    constexpr int64_t kColumns = 2 * kMost;
    pair_pixels(image, a);
    configure_tiles(filters.size, column_taps.size, kMost);
    const int64_t steps = columns.size(), tile = filters.size * column_taps.size;
    for (int64_t q = 0; q < s.positions; q += kColumns)
      for (int64_t f = 0; f < filters.count; f += 2) {
        as_constant(smaller(filters.count - f, 2), [&](auto tall) {
          constexpr int kRows = decltype(tall)::value < 2 ? 1 : 2;
          multiply_tiles<kRows, 2, false>(
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
    configure_tiles(channel_taps.size, filter_pairs.size, kMost);
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
              multiply_tiles<kRows, 2, false>(
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
    configure_tiles(filters.size, kMost, line_taps.size);
    const int64_t tile = filters.size * position_pairs;
    for (int64_t f = 0; f < filters.count; f += 2)
      for (int64_t j = 0; j < line_taps.count; ++j)
        for (int64_t i = 0; i < lines; i += 2)
          as_constant(smaller(filters.count - f, 2), [&](auto tall) {
            as_constant(smaller(lines - i, 2), [&](auto wide) {
              constexpr int kRows = decltype(tall)::value < 2 ? 1 : 2, kColumns = decltype(wide)::value < 2 ? 1 : 2;
              const uint32_t* pixels = a.image_pairs + offset(i) + j * line_taps.size;
              multiply_tiles<kRows, kColumns, true>(
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

  void end() const { _tile_release(); }

  void write_gradient(const Scratch& a, float* out) const {
    for (int64_t f = 0; f < s.filters; ++f)
      for (int64_t i = 0; i < lines; ++i)
        std::memcpy(out + f * taps + i * s.width, a.gradients + f * gradient_row + i * line_taps.total(),
                    sizeof(float) * s.width);
  }
};

}  // namespace lgn_hf

#endif
