// One layer of an unfolded network, forwards and backwards, for CPUs. unfolding_cpu.py says what for, unfolding.py what.
//
// Every image passes through a layer at once, while it is in the processor's cache, and every filter tap is one shift in
// memory. For that, planes are flat: an image is padded by its border of zeros to rows of `pitch` pixels, a code has the
// same pitch, and tap (row, column) of a position lies row * pitch + column behind it. Positions of a code plane right
// of its last column or below its last row hold zeros; masks (all bits set where a plane has pixels) keep them so.

#include <cstdint>
#include <cstring>
#include <type_traits>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64, kWide = 4;  // of a vector; vectors of positions that share a weight
#elif defined(__AVX__)
constexpr int kBytes = 32, kWide = 2;
#else
constexpr int kBytes = 16, kWide = 2;
#endif
constexpr int kMostTaps = 6;  // of a filter's row, that share loads

int thread_number() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

template <int n> using Constant = std::integral_constant<int, n>;

// Calls f with a small number as a constant, so that loops over it unroll into registers.
template <class F> inline void as_constant(int64_t n, F&& f) {
  switch (n) {
    case 1: return f(Constant<1>{});
    case 2: return f(Constant<2>{});
    case 3: return f(Constant<3>{});
    case 4: return f(Constant<4>{});
    case 5: return f(Constant<5>{});
    default: return f(Constant<6>{});
  }
}

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

}  // namespace

struct Shape {
  int64_t batch, channels, filters, height, width;  // of the filters
  int64_t rows, columns, pitch;                     // of a code; of all planes
  int64_t positions;                                // of a code, to the next full block
  int64_t code_plane, image_plane;                  // elements, with room behind
  int64_t threads, part;                            // images that a thread takes at a time
  const void *code_mask, *image_mask;               // (code_plane), (image_plane)
};

namespace {

template <class T> struct Layer {
  using Int = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
  typedef T Vec __attribute__((vector_size(kBytes)));
  typedef T Loose __attribute__((vector_size(kBytes), aligned(sizeof(T)), may_alias));
  typedef Int Bits __attribute__((vector_size(kBytes)));
  static constexpr int kLanes = kBytes / sizeof(T);
  static constexpr int kBlock = kWide * kLanes;
  static constexpr int kMargin = kLanes > 8 ? kLanes : 8;        // around a block of columns, at least kMostTaps - 1
  static constexpr int kStride = kBlock + 2 * kMargin;

  const Shape& s;
  const int64_t lines;      // rows of all channels of a filter
  const int64_t taps;
  const int64_t code_size, image_size;
  const int64_t tile;       // filters that share loads: 5 or 4, whichever leaves fewer over
  const int64_t tiles;

  explicit Layer(const Shape& shape)
      : s(shape),
        lines(s.channels * s.height),
        taps(lines * s.width),
        code_size(s.filters * s.code_plane),
        image_size(s.channels * s.image_plane),
        tile((s.filters + 4) / 5 * 5 <= (s.filters + 3) / 4 * 4 ? 5 : 4),
        tiles((s.filters + tile - 1) / tile) {}

  static Vec load(const T* p) { return *reinterpret_cast<const Loose*>(p); }
  static void store(T* p, Vec v) { *reinterpret_cast<Loose*>(p) = v; }
  static Vec all(T value) { return value - Vec{}; }
  static T total(Vec v) {
    T sum = 0;
    for (int i = 0; i < kLanes; ++i) sum += v[i];
    return sum;
  }
  static Vec keep(Vec v, const void* mask, int64_t q) {
    return (Vec)((Bits)v & (Bits)load(static_cast<const T*>(mask) + q));
  }

  const T* line(const T* image, int64_t line) const {
    return image + line / s.height * s.image_plane + line % s.height * s.pitch;
  }

  int64_t gradient_size() const { return (s.filters + 3) / 4 * 4 * taps; }
  int64_t weights_size() const { return tiles * tile * taps; }
  // Two codes, two images, the columns of a channel, the filters twice, vectors of filter gradients.
  int64_t scratch_size() const {
    const int64_t size = 2 * code_size + 2 * image_size + s.height * s.width * kStride + 2 * weights_size();
    return (size + kLanes - 1) / kLanes * kLanes + gradient_size() * kLanes;
  }

  struct Scratch {
    T *code, *estimate, *image, *scaled, *columns, *by_filter, *by_line;
    Vec* gradient;
  };

  // This thread's share, with the filters (filters, lines, width) as the two products read them.
  Scratch scratch(T* memory, const T* filters) const {
    memory += thread_number() * scratch_size();
    Scratch a;
    const auto take = [&](int64_t size) { return (memory += size) - size; };
    a.gradient = reinterpret_cast<Vec*>(take(gradient_size() * kLanes));
    a.code = take(code_size);
    a.estimate = take(code_size);
    a.image = take(image_size);
    a.scaled = take(image_size);
    a.columns = take(s.height * s.width * kStride);
    std::memset(a.columns, 0, sizeof(T) * s.height * s.width * kStride);
    a.by_filter = take(weights_size());
    a.by_line = take(weights_size());
    for (int64_t f = 0; f < tiles * tile; ++f)
      for (int64_t k = 0; k < taps; ++k) {
        const T weight = f < s.filters ? filters[f * taps + k] : 0;
        a.by_filter[(f / tile * taps + k) * tile + f % tile] = weight;  // (tiles, taps, tile)
        if (f < s.filters)
          a.by_line[(k / s.width * s.filters + f) * s.width + k % s.width] = weight;  // (lines, filters, width)
      }
    return a;
  }

  // W^T r: for each block of positions and each filter, store(filter, position, sum over taps of weight * image).
  template <class Store> void analysis(const T* image, const Scratch& a, Store&& store) const {
    const auto tiles_of = [&](auto size) {
      constexpr int kTile = decltype(size)::value;
      for (int64_t q = 0; q < s.positions; q += kBlock)
        for (int64_t f = 0; f < s.filters; f += kTile) {
          Vec sum[kTile][kWide] = {};
          const T* weight = a.by_filter + f * taps;
          for (int64_t i = 0; i < lines; ++i) {
            const T* p = line(image, i) + q;
            for (int64_t j = 0; j < s.width; ++j, ++p, weight += kTile) {
              Vec v[kWide];
              for (int x = 0; x < kWide; ++x) v[x] = load(p + x * kLanes);
              for (int y = 0; y < kTile; ++y)
                for (int x = 0; x < kWide; ++x) sum[y][x] += weight[y] * v[x];
            }
          }
          for (int y = 0; y < kTile && f + y < s.filters; ++y)
            for (int x = 0; x < kWide; ++x) store(f + y, q + x * kLanes, sum[y][x]);
        }
    };
    if (tile == 5) tiles_of(Constant<5>{}); else tiles_of(Constant<4>{});
  }

  // W y: a block's products with all taps first, then each line's taps, shifted and added, into the image.
  void synthesis(const T* code, const Scratch& a) const {
    std::memset(a.image, 0, sizeof(T) * image_size);
    for (int64_t q = 0; q < s.positions; q += kBlock)
      for (int64_t c = 0; c < s.channels; ++c) {
        for (int64_t i = 0; i < s.height; ++i)
          for (int64_t j = 0; j < s.width; j += kMostTaps)
            as_constant(smaller(s.width - j, kMostTaps), [&](auto size) {
              constexpr int kTaps = decltype(size)::value;
              Vec sum[kTaps][kWide] = {};
              const T* weight = a.by_line + (c * s.height + i) * s.filters * s.width + j;
              const T* p = code + q;
              for (int64_t f = 0; f < s.filters; ++f, weight += s.width, p += s.code_plane) {
                Vec v[kWide];
                for (int x = 0; x < kWide; ++x) v[x] = load(p + x * kLanes);
                for (int y = 0; y < kTaps; ++y)
                  for (int x = 0; x < kWide; ++x) sum[y][x] += weight[y] * v[x];
              }
              T* out = a.columns + (i * s.width + j) * kStride + kMargin;
              for (int y = 0; y < kTaps; ++y)
                for (int x = 0; x < kWide; ++x) store(out + y * kStride + x * kLanes, sum[y][x]);
            });
        for (int64_t i = 0; i < s.height; ++i)
          for (int64_t j = 0; j < s.width; j += kMostTaps)
            as_constant(smaller(s.width - j, kMostTaps), [&](auto size) {
              constexpr int kTaps = decltype(size)::value;
              T* out = a.image + c * s.image_plane + i * s.pitch + j + q;
              const T* p = a.columns + (i * s.width + j) * kStride + kMargin;
              for (int x = 0; x < kBlock + kTaps - 1; x += kLanes) {
                Vec sum = load(out + x);
                for (int y = 0; y < kTaps; ++y) sum += load(p + y * kStride + x - y);
                store(out + x, sum);
              }
            });
      }
  }

  // gradient(4 filters, taps of a line, lanes) += or -= sum over positions of code * image at the tap
  template <bool subtract> void filter_gradient(const T* code, const T* image, const Scratch& a) const {
    Vec* gradient = a.gradient;
    for (int64_t f = 0; f < s.filters; f += 4) {
      const T* p[4];
      for (int y = 0; y < 4; ++y) p[y] = code + smaller(f + y, s.filters - 1) * s.code_plane;
      for (int64_t i = 0; i < lines; ++i)
        for (int64_t j = 0; j < s.width; j += kMostTaps)
          as_constant(smaller(s.width - j, kMostTaps), [&](auto size) {
            constexpr int kTaps = decltype(size)::value;
            const T* r = line(image, i) + j;
            Vec sum[4][kTaps];
            for (int y = 0; y < 4; ++y)
              for (int x = 0; x < kTaps; ++x) sum[y][x] = gradient[y * kTaps + x];
            for (int64_t q = 0; q < s.positions; q += kLanes) {
              Vec v[4];
              for (int y = 0; y < 4; ++y) v[y] = load(p[y] + q);
              for (int x = 0; x < kTaps; ++x) {
                const Vec w = load(r + q + x);
                for (int y = 0; y < 4; ++y) subtract ? sum[y][x] -= v[y] * w : sum[y][x] += v[y] * w;
              }
            }
            for (int y = 0; y < 4; ++y)
              for (int x = 0; x < kTaps; ++x) gradient[y * kTaps + x] = sum[y][x];
            gradient += 4 * kTaps;
          });
    }
  }

  void clear_gradient(const Scratch& a) const {
    std::memset(static_cast<void*>(a.gradient), 0, sizeof(T) * gradient_size() * kLanes);
  }

  // The sums of a part's gradient vectors, as (filters, taps).
  void write_gradient(const Scratch& a, T* out) const {
    const Vec* gradient = a.gradient;
    for (int64_t f = 0; f < s.filters; f += 4)
      for (int64_t i = 0; i < lines; ++i)
        for (int64_t j = 0; j < s.width; j += kMostTaps) {
          const int64_t count = smaller(s.width - j, kMostTaps);
          for (int64_t y = 0; y < 4; ++y)
            for (int64_t x = 0; x < count; ++x, ++gradient)
              if (f + y < s.filters) out[(f + y) * taps + i * s.width + j + x] = total(*gradient);
        }
  }

  // u = z + momentum (z - before)
  static Vec accelerated(const T* z, const T* before, T momentum, int64_t q) {
    const Vec v = load(z + q);
    return before ? v + momentum * (v - load(before + q)) : v;
  }

  // y = scale u + shift
  void estimate(const T* z, const T* before, T momentum, const T* scale, const T* shift, const Scratch& a) const {
    for (int64_t f = 0; f < s.filters; ++f) {
      const int64_t at = f * s.code_plane;
      for (int64_t q = 0; q < s.positions; q += kLanes) {
        const Vec u = accelerated(z + at, before ? before + at : nullptr, momentum, q);
        store(a.estimate + at + q, keep(scale[f] * u + shift[f], s.code_mask, q));
      }
    }
  }

  // Calls f(place in the unpadded code, place in the plane) for every row of every filter of image b.
  template <class F> void each_row(int64_t b, F&& f) const {
    for (int64_t k = 0; k < s.filters; ++k)
      for (int64_t i = 0; i < s.rows; ++i)
        f(((b * s.filters + k) * s.rows + i) * s.columns, k * s.code_plane + i * s.pitch);
  }
};

}  // namespace

// Codes are (B, F, code_plane) and images (B, C, image_plane), unless they say otherwise.
template <class T> struct Forward {
  T* scratch;
  const T *images, *filters, *bias;  // bias: -step lambda_l
  T step;
  const T *previous, *before;        // z_{l-1}; z_{l-2} where u_{l-1} has momentum; or null
  T momentum;                        // of u_{l-1}
  const T *scale, *shift;            // y_l = scale u_{l-1} + shift
  T* residuals;                      // out: r_l = x - W y_l, where there is a z_{l-1}
  T* codes;                          // out: z_l
  T next_momentum;                   // of u_l
  T* moments;                        // out: (B, F, 2), mean and centred sum of squares of u_l; or null
  T* unpadded;                       // out: (B, F, rows, columns), z_l; or null
};

template <class T> static void forward(const Shape& s, const Forward<T>& a) {
  using Vec = typename Layer<T>::Vec;
  const Layer<T> layer(s);
  constexpr int kLanes = Layer<T>::kLanes;
#pragma omp parallel num_threads(s.threads)
  {
    const auto scratch = layer.scratch(a.scratch, a.filters);
#pragma omp for schedule(dynamic, s.part)
    for (int64_t b = 0; b < s.batch; ++b) {
      const T* r = a.images + b * layer.image_size;
      T* z = a.codes + b * layer.code_size;
      const T* z1 = a.previous ? a.previous + b * layer.code_size : nullptr;
      if (z1) {
        layer.estimate(z1, a.before ? a.before + b * layer.code_size : nullptr, a.momentum, a.scale, a.shift, scratch);
        layer.synthesis(scratch.estimate, scratch);
        T* residual = a.residuals + b * layer.image_size;
        for (int64_t c = 0; c < layer.image_size; c += s.image_plane)
          for (int64_t q = 0; q < s.image_plane; q += kLanes)
            layer.store(residual + c + q,
                        layer.load(r + c + q) - layer.keep(layer.load(scratch.image + c + q), s.image_mask, q));
        r = residual;
      }
      layer.analysis(r, scratch, [&](int64_t f, int64_t q, Vec sum) {
        Vec v = a.step * sum + a.bias[f];
        if (z1) v += layer.load(scratch.estimate + f * s.code_plane + q);
        v = v < 0 ? Vec{} : v;  // lets a NaN through, as torch does
        layer.store(z + f * s.code_plane + q, layer.keep(v, s.code_mask, q));
      });
      if (a.moments)
        for (int64_t f = 0; f < s.filters; ++f) {
          const int64_t at = f * s.code_plane;
          const T* old = z1 && a.next_momentum != 0 ? z1 + at : nullptr;
          Vec sum = {}, squares = {};
          for (int64_t q = 0; q < s.positions; q += kLanes) sum += layer.accelerated(z + at, old, a.next_momentum, q);
          const T mean = layer.total(sum) / (s.rows * s.columns);
          for (int64_t q = 0; q < s.positions; q += kLanes) {
            const Vec d = layer.keep(layer.accelerated(z + at, old, a.next_momentum, q) - mean, s.code_mask, q);
            squares += d * d;
          }
          a.moments[2 * (b * s.filters + f)] = mean;
          a.moments[2 * (b * s.filters + f) + 1] = layer.total(squares);
        }
      if (a.unpadded)
        layer.each_row(b, [&](int64_t to, int64_t from) {
          std::memcpy(a.unpadded + to, z + from, sizeof(T) * s.columns);
        });
    }
  }
}

template <class T> struct Backward {
  T* scratch;
  const T *residuals, *codes, *filters;    // r_l (x for the first layer), z_l
  T step;
  const T *previous, *before;              // as above
  T momentum;
  const T *scale, *shift;
  const T *mean, *deviation;               // of u_{l-1}, deviation inverted; or null
  T next_momentum;                         // of u_l
  T* flow;                                 // dL/dy_{l+1}, replaced by dL/du_l; null at the last layer
  const T *flow_scale, *flow_slope, *flow_shift;  // dL/du_l = scale dL/dy_{l+1} + slope u_l + shift; slope may be null
  const T* later_flow;                     // dL/du_{l+1}; or null
  T later_momentum;                        // of u_{l+1}
  const T* gradient;                       // (B, F, rows, columns), of z_l from outside; or null
  T* previous_flow;                        // out: dL/dy_l, where there is a z_{l-1}
  T* image_gradient;                       // added to; or null
  T* filter_gradient;                      // out: (parts, filters, taps)
  T* sums;                                 // out: (B, F, 3), of dL/d(ReLU's input), dL/dy_l, dL/dy_l * normal u_{l-1}
};

template <class T> static void backward(const Shape& s, const Backward<T>& a) {
  using Vec = typename Layer<T>::Vec;
  const Layer<T> layer(s);
  constexpr int kLanes = Layer<T>::kLanes;
#pragma omp parallel num_threads(s.threads)
  {
    const auto scratch = layer.scratch(a.scratch, a.filters);
    T* g = scratch.code;
#pragma omp for schedule(dynamic)
    for (int64_t part = 0; part < s.batch; part += s.part) {
      layer.clear_gradient(scratch);
      for (int64_t b = part; b < smaller(part + s.part, s.batch); ++b) {
        const T* z = a.codes + b * layer.code_size;
        const T* z1 = a.previous ? a.previous + b * layer.code_size : nullptr;
        const T* z2 = a.before ? a.before + b * layer.code_size : nullptr;
        const T* r = a.residuals + b * layer.image_size;
        T* sums = a.sums + 3 * b * s.filters;

        // g = dL/d(ReLU's input)
        std::memset(g, 0, sizeof(T) * layer.code_size);
        if (a.gradient)
          layer.each_row(b, [&](int64_t from, int64_t to) {
            std::memcpy(g + to, a.gradient + from, sizeof(T) * s.columns);
          });
        for (int64_t f = 0; f < s.filters; ++f) {
          const int64_t at = f * s.code_plane;
          T* flow = a.flow ? a.flow + b * layer.code_size + at : nullptr;
          const T* later = a.later_flow ? a.later_flow + b * layer.code_size + at : nullptr;
          const T* old = z1 && a.next_momentum != 0 ? z1 + at : nullptr;
          Vec sum = {};
          for (int64_t q = 0; q < s.positions; q += kLanes) {
            Vec v = layer.load(g + at + q);
            if (flow) {
              Vec d = a.flow_scale[f] * layer.load(flow + q);
              if (a.flow_slope) {
                const Vec u = layer.accelerated(z + at, old, a.next_momentum, q);
                d = layer.keep(d + a.flow_slope[f] * u + a.flow_shift[f], s.code_mask, q);
              }
              layer.store(flow + q, d);
              v += (1 + a.next_momentum) * d;
            }
            if (later) v -= a.later_momentum * layer.load(later + q);
            v = layer.load(z + at + q) <= 0 ? Vec{} : v;
            layer.store(g + at + q, v);
            sum += v;
          }
          sums[3 * f] = layer.total(sum);
        }

        for (int64_t q = 0; q < layer.image_size; q += kLanes)
          layer.store(scratch.scaled + q, a.step * layer.load(r + q));
        layer.template filter_gradient<false>(g, scratch.scaled, scratch);
        if (!z1 && !a.image_gradient) continue;

        // dL/dr
        layer.synthesis(g, scratch);
        for (int64_t c = 0; c < layer.image_size; c += s.image_plane)
          for (int64_t q = 0; q < s.image_plane; q += kLanes) {
            const Vec d = layer.keep(a.step * layer.load(scratch.image + c + q), s.image_mask, q);
            layer.store(scratch.image + c + q, d);
            if (T* p = a.image_gradient ? a.image_gradient + b * layer.image_size + c + q : nullptr)
              layer.store(p, layer.load(p) + d);
          }
        if (!z1) continue;

        // dL/dy_l = g - W^T dL/dr
        layer.estimate(z1, z2, a.momentum, a.scale, a.shift, scratch);
        layer.template filter_gradient<true>(scratch.estimate, scratch.image, scratch);
        T* dy = a.previous_flow + b * layer.code_size;
        layer.analysis(scratch.image, scratch, [&](int64_t f, int64_t q, Vec sum) {
          const int64_t at = f * s.code_plane + q;
          layer.store(dy + at, layer.keep(layer.load(g + at) - sum, s.code_mask, q));
        });
        if (a.mean)
          for (int64_t f = 0; f < s.filters; ++f) {
            const int64_t at = f * s.code_plane;
            Vec sum = {}, product = {};
            for (int64_t q = 0; q < s.positions; q += kLanes) {
              const Vec d = layer.load(dy + at + q);
              sum += d;
              product += d * (layer.accelerated(z1 + at, z2 ? z2 + at : nullptr, a.momentum, q) - a.mean[f]);
            }
            sums[3 * f + 1] = layer.total(sum);
            sums[3 * f + 2] = layer.total(product) * a.deviation[f];
          }
      }
      layer.write_gradient(scratch, a.filter_gradient + part / s.part * s.filters * layer.taps);
    }
  }
}

extern "C" {
int64_t lanes_float() { return Layer<float>::kLanes; }
int64_t lanes_double() { return Layer<double>::kLanes; }
int64_t block_float() { return Layer<float>::kBlock; }
int64_t block_double() { return Layer<double>::kBlock; }
int64_t scratch_float(const Shape* s) { return Layer<float>(*s).scratch_size(); }
int64_t scratch_double(const Shape* s) { return Layer<double>(*s).scratch_size(); }
void forward_float(const Shape* s, const Forward<float>* a) { forward(*s, *a); }
void forward_double(const Shape* s, const Forward<double>* a) { forward(*s, *a); }
void backward_float(const Shape* s, const Backward<float>* a) { backward(*s, *a); }
void backward_double(const Shape* s, const Backward<double>* a) { backward(*s, *a); }
}
