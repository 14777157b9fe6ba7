// The three products of a layer with its filters: analysis, synthesis, and the gradient of the filters.
#pragma once

#include "pointwise.h"

namespace lgn_hf {

// Shares out memory in whole vectors; without a beginning, counts what it would take.
template <class T> struct Memory {
  T* begin = nullptr;
  int64_t used = 0;

  T* take(int64_t size) {
    T* place = begin ? begin + used : nullptr;
    used += rounded_up(size, kLanes<T>);
    return place;
  }
};

template <class Number, class Stored = Number> struct Layer : Pointwise<Number, Stored> {
  using Base = Pointwise<Number, Stored>;
  using T = Number;
  using Base::s, Base::code_size, Base::image_size, Base::kLanes;

  static constexpr int kBlock = kWide * kLanes;            // positions
  static constexpr int kMargin = kLanes > 8 ? kLanes : 8;  // around a block of columns, at least kTapTile - 1
  static constexpr int kStride = kBlock + 2 * kMargin;

  const int64_t lines;  // rows of all channels of a filter
  const int64_t taps;
  const int64_t gradients_size, weights_size;

  explicit Layer(const Shape& shape)
      : Base(shape),
        lines(s.channels * s.height),
        taps(lines * s.width),
        gradients_size(rounded_up(s.filters, kGradientFilters) * taps),
        weights_size(rounded_up(s.filters, kFilterTile) * taps) {}

  // Where a line begins in an image.
  int64_t offset(int64_t line) const { return line / s.height * s.image_plane + line % s.height * s.pitch; }

  // Memory of a thread.
  struct Scratch {
    Vec<T>* gradients;       // of the filters, a vector for each number
    T *gradient, *estimate;  // codes
    T *image, *scaled;       // images
    T* columns;              // (height, width, kStride), of a channel
    T* by_filter;            // the filters as an analysis reads them, (tiles, taps, kFilterTile)
    T* by_line;              // the filters as a synthesis reads them, (lines, F, width)
  };

  Scratch lay_out(Memory<T>& memory) const {
    Scratch a;
    a.gradients = reinterpret_cast<Vec<T>*>(memory.take(gradients_size * kLanes));
    a.gradient = memory.take(code_size);
    a.estimate = memory.take(code_size);
    a.image = memory.take(image_size);
    a.scaled = memory.take(image_size);
    a.columns = memory.take(s.height * s.width * kStride);
    a.by_filter = memory.take(weights_size);
    a.by_line = memory.take(weights_size);
    return a;
  }

  int64_t scratch_size() const {
    Memory<T> memory;
    lay_out(memory);
    return memory.used;
  }

  // A thread's share of memory, with the filters (F, lines, width).
  Scratch scratch(T* begin, const T* filters) const {
    Memory<T> memory{begin};
    Scratch a = lay_out(memory);
    prepare(a, filters);
    return a;
  }

  void prepare(const Scratch& a, const T* filters) const {
    std::memset(a.columns, 0, sizeof(T) * s.height * s.width * kStride);
    for (int64_t f = 0; f < rounded_up(s.filters, kFilterTile); ++f)
      for (int64_t k = 0; k < taps; ++k) {
        const T weight = f < s.filters ? filters[f * taps + k] : 0;
        a.by_filter[(f / kFilterTile * taps + k) * kFilterTile + f % kFilterTile] = weight;
        if (f < s.filters) a.by_line[(k / s.width * s.filters + f) * s.width + k % s.width] = weight;
      }
  }

  // W^T r: for each block of positions and each filter,
  // store(filter, position, sum over taps of weight * image).
  template <class Store> void analysis(const T* image, const Scratch& a, Store&& store) const {
    for (int64_t q = 0; q < s.positions; q += kBlock) {
      const T* weight = a.by_filter;
      for (int64_t f = 0; f < s.filters; f += kFilterTile) {
        Vec<T> sum[kFilterTile][kWide] = {};
        for (int64_t c = 0; c < s.channels; ++c)
          for (int64_t i = 0; i < s.height; ++i) {
            const T* p = image + c * s.image_plane + i * s.pitch + q;
            for (int64_t j = 0; j < s.width; ++j, ++p, weight += kFilterTile) {
              Vec<T> v[kWide];
              for (int x = 0; x < kWide; ++x) v[x] = load(p + x * kLanes);
              for (int y = 0; y < kFilterTile; ++y)
                for (int x = 0; x < kWide; ++x) sum[y][x] += weight[y] * v[x];
            }
          }
        for (int y = 0; y < kFilterTile && f + y < s.filters; ++y)
          for (int x = 0; x < kWide; ++x) store(f + y, q + x * kLanes, sum[y][x]);
      }
    }
  }

  // W y, block by block of positions: first the products with all taps, then their sum, shifted, in the image.
  void synthesis(const T* code, const Scratch& a) const {
    std::memset(a.image, 0, sizeof(T) * image_size);
    for (int64_t q = 0; q < s.positions; q += kBlock)
      for (int64_t c = 0; c < s.channels; ++c) {
        for (int64_t i = 0; i < s.height; ++i)
          for (int64_t j = 0; j < s.width; j += kTapTile)
            as_constant(smaller(s.width - j, kTapTile), [&](auto size) {
              constexpr int kTaps = decltype(size)::value;
              Vec<T> sum[kTaps][kWide] = {};
              const T* weight = a.by_line + (c * s.height + i) * s.filters * s.width + j;
              const T* p = code + q;
              for (int64_t f = 0; f < s.filters; ++f, weight += s.width, p += s.code_plane) {
                Vec<T> v[kWide];
                for (int x = 0; x < kWide; ++x) v[x] = load(p + x * kLanes);
                for (int y = 0; y < kTaps; ++y)
                  for (int x = 0; x < kWide; ++x) sum[y][x] += weight[y] * v[x];
              }
              T* out = a.columns + (i * s.width + j) * kStride + kMargin;
              for (int y = 0; y < kTaps; ++y)
                for (int x = 0; x < kWide; ++x) store(out + y * kStride + x * kLanes, sum[y][x]);
            });
        add_columns(a.columns, a.image + c * s.image_plane + q);
      }
  }

  // Adds every tap's products with a block of positions, (height, width, kStride), to their pixels.
  void add_columns(const T* columns, T* image) const {
    for (int64_t i = 0; i < s.height; ++i)
      for (int64_t j = 0; j < s.width; j += kTapTile)
        as_constant(smaller(s.width - j, kTapTile), [&](auto size) {
          constexpr int kTaps = decltype(size)::value;
          T* out = image + i * s.pitch + j;
          const T* p = columns + (i * s.width + j) * kStride + kMargin;
          for (int x = 0; x < kBlock + kTaps - 1; x += kLanes) {
            Vec<T> sum = load(out + x);
            for (int y = 0; y < kTaps; ++y) sum += load(p + y * kStride + x - y);
            store(out + x, sum);
          }
        });
  }

  // Calls f(filter, line, tap of the line, number of taps) for each tile of filter gradients.
  template <class F> void each_gradient_tile(F&& f) const {
    for (int64_t filter = 0; filter < s.filters; filter += kGradientFilters)
      for (int64_t i = 0; i < lines; ++i)
        for (int64_t j = 0; j < s.width; j += kGradientTaps)
          as_constant(smaller(s.width - j, kGradientTaps), [&](auto count) { f(filter, i, j, count); });
  }

  // For each filter and tap: gradient += or -= sum over positions of code * image at the tap.
  template <bool subtract> void filter_gradient(const T* code, const T* image, const Scratch& a) const {
    Vec<T>* gradient = a.gradients;
    each_gradient_tile([&](int64_t f, int64_t i, int64_t j, auto count) {
      constexpr int kTaps = decltype(count)::value;
      const T* p[kGradientFilters];
      for (int y = 0; y < kGradientFilters; ++y) p[y] = code + smaller(f + y, s.filters - 1) * s.code_plane;
      const T* r = image + offset(i) + j;
      Vec<T> sum[kGradientFilters][kTaps];
      for (int y = 0; y < kGradientFilters; ++y)
        for (int x = 0; x < kTaps; ++x) sum[y][x] = gradient[y * kTaps + x];
      for (int64_t q = 0; q < s.positions; q += kLanes) {
        Vec<T> v[kGradientFilters];
        for (int y = 0; y < kGradientFilters; ++y) v[y] = load(p[y] + q);
        for (int x = 0; x < kTaps; ++x) {
          const Vec<T> w = load(r + q + x);
          for (int y = 0; y < kGradientFilters; ++y) subtract ? sum[y][x] -= v[y] * w : sum[y][x] += v[y] * w;
        }
      }
      for (int y = 0; y < kGradientFilters; ++y)
        for (int x = 0; x < kTaps; ++x) gradient[y * kTaps + x] = sum[y][x];
      gradient += kGradientFilters * kTaps;
    });
  }

  void clear_gradient(const Scratch& a) const {
    std::memset(static_cast<void*>(a.gradients), 0, sizeof(Vec<T>) * gradients_size);
  }

  // The sums of the vectors, as (F, taps).
  void write_gradient(const Scratch& a, T* out) const {
    const Vec<T>* gradient = a.gradients;
    each_gradient_tile([&](int64_t f, int64_t i, int64_t j, auto count) {
      for (int64_t y = f; y < f + kGradientFilters; ++y)
        for (int64_t x = 0; x < count; ++x, ++gradient)
          if (y < s.filters) out[y * taps + i * s.width + j + x] = total<T>(*gradient);
    });
  }

  // What a thread does after its images.
  void end() const {}
};

}  // namespace lgn_hf
