// One layer of an unfolded network, forwards and backwards, for CPUs. ../model/unfolding.py has the equations.
//
// Every image passes through a layer at once, while it is in the processor's cache, and every filter tap is one shift in
// memory. For that, planes are flat: an image is padded by its border of zeros to rows of `pitch` pixels, a code has the
// same pitch, and tap (row, column) of a position lies row * pitch + column behind it. Positions of a code plane right
// of its last column or below its last row hold zeros; masks (all bits set where a plane has pixels) keep them so.

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
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

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)
// Numbers as bfloat16: the upper halves of float32.
inline __m512 widened(const uint16_t* p) {
  return (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16);
}
inline void narrow(uint16_t* p, __m512 v) { _mm256_storeu_si256((__m256i*)p, (__m256i)_mm512_cvtneps_pbh(v)); }
inline float widened(uint16_t v) {
  const uint32_t bits = uint32_t(v) << 16;
  float number;
  std::memcpy(&number, &bits, sizeof(number));
  return number;
}
#endif

// Number: of all arithmetic. Stored: of codes, and gradients of theirs, in memory.
template <class Number, class Stored = Number> struct Layer {
  using T = Number;
  using Code = Stored;
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
  static Vec load_code(const Code* p) {
    if constexpr (std::is_same_v<T, Code>) return load(p);
    else return (Vec)widened(p);
  }
  static void store_code(Code* p, Vec v) {
    if constexpr (std::is_same_v<T, Code>) store(p, v);
    else narrow(p, v);
  }
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

  // A thread's share of memory, with the filters (filters, lines, width) as the two products read them.
  Scratch scratch(T* memory, const T* filters) const {
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
        add_columns(a.columns, a.image + c * s.image_plane + q);
      }
  }

  // Every tap's products with a block of positions, (height, width, kStride), to the pixels that they belong to.
  void add_columns(const T* columns, T* image) const {
    for (int64_t i = 0; i < s.height; ++i)
      for (int64_t j = 0; j < s.width; j += kMostTaps)
        as_constant(smaller(s.width - j, kMostTaps), [&](auto size) {
          constexpr int kTaps = decltype(size)::value;
          T* out = image + i * s.pitch + j;
          const T* p = columns + (i * s.width + j) * kStride + kMargin;
          for (int x = 0; x < kBlock + kTaps - 1; x += kLanes) {
            Vec sum = load(out + x);
            for (int y = 0; y < kTaps; ++y) sum += load(p + y * kStride + x - y);
            store(out + x, sum);
          }
        });
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

  // What a thread does after its images.
  void end() const {}

  // u = z + momentum (z - before)
  static Vec accelerated(const Code* z, const Code* before, T momentum, int64_t q) {
    const Vec v = load_code(z + q);
    return before ? v + momentum * (v - load_code(before + q)) : v;
  }

  // y = scale u + shift
  void estimate(const Code* z, const Code* before, T momentum, const T* scale, const T* shift, const Scratch& a) const {
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

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)

// The same layer with its three products on matrix units (AMX): of bfloat16 numbers, summed in float32. Codes, most of what
// goes to memory and comes back, are stored as bfloat16; all else is float32.
// The units multiply tiles: up to 16 rows of 16 pairs of numbers by 16 pairs of 16 columns. A pair is one `uint32_t`. Tiles of
// an image need no copy of it: with a pixel and its right neighbour as a pair, the next row or column is the next pixel.
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

  static int64_t whole_lines(int64_t size) { return (size + kLanes - 1) / kLanes * kLanes; }

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

  static __m512i pairs(Vec first, Vec second) {
    const auto wide = [](Vec v) { return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)v)); };
    return _mm512_or_si512(wide(first), _mm512_slli_epi32(wide(second), 16));
  }
  static uint32_t pair(float first, float second) {
    return _mm512_cvtsi512_si32(pairs(all(first), all(second)));
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
        const Vec left = load(image + q), right = load(image + q + 1);
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
                              pairs(load(p), f + 1 < s.filters ? load(p + s.code_plane) : Vec{}));
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

#endif

}  // namespace

// Codes are (B, F, code_plane) and images (B, C, image_plane), unless they say otherwise.
template <class T, class Code> struct Forward {
  T* scratch;
  const T *images, *filters, *bias;  // bias: -step lambda_l
  T step;
  const Code *previous, *before;     // z_{l-1}; z_{l-2} where u_{l-1} has momentum; or null
  T momentum;                        // of u_{l-1}
  const T *scale, *shift;            // y_l = scale u_{l-1} + shift
  T* residuals;                      // out: r_l = x - W y_l, where there is a z_{l-1}
  Code* codes;                       // out: z_l
  T next_momentum;                   // of u_l
  T* moments;                        // out: (B, F, 2), mean and centred sum of squares of u_l; or null
  T* unpadded;                       // out: (B, F, rows, columns), z_l; or null
};

template <class L> static void forward(const Shape& s, const Forward<typename L::T, typename L::Code>& a) {
  using T = typename L::T;
  using Code = typename L::Code;
  using Vec = typename L::Vec;
  const L layer(s);
  constexpr int kLanes = L::kLanes;
#pragma omp parallel num_threads(s.threads)
  {
    const auto scratch = layer.scratch(a.scratch + thread_number() * layer.scratch_size(), a.filters);
#pragma omp for schedule(dynamic, s.part)
    for (int64_t b = 0; b < s.batch; ++b) {
      const T* r = a.images + b * layer.image_size;
      Code* z = a.codes + b * layer.code_size;
      const Code* z1 = a.previous ? a.previous + b * layer.code_size : nullptr;
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
        layer.store_code(z + f * s.code_plane + q, layer.keep(v, s.code_mask, q));
      });
      if (a.moments)
        for (int64_t f = 0; f < s.filters; ++f) {
          const int64_t at = f * s.code_plane;
          const Code* old = z1 && a.next_momentum != 0 ? z1 + at : nullptr;
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
          if constexpr (std::is_same_v<T, Code>) std::memcpy(a.unpadded + to, z + from, sizeof(T) * s.columns);
          else for (int64_t i = 0; i < s.columns; ++i) a.unpadded[to + i] = widened(z[from + i]);
        });
    }
    layer.end();
  }
}

template <class T, class Code> struct Backward {
  T* scratch;
  const T* residuals;                      // r_l (x for the first layer)
  const Code* codes;                       // z_l
  const T* filters;
  T step;
  const Code *previous, *before;           // as above
  T momentum;
  const T *scale, *shift;
  const T *mean, *deviation;               // of u_{l-1}, deviation inverted; or null
  T next_momentum;                         // of u_l
  Code* flow;                              // dL/dy_{l+1}, replaced by dL/du_l; null at the last layer
  const T *flow_scale, *flow_slope, *flow_shift;  // dL/du_l = scale dL/dy_{l+1} + slope u_l + shift; slope may be null
  const Code* later_flow;                   // dL/du_{l+1}; or null
  T later_momentum;                        // of u_{l+1}
  const T* gradient;                       // (B, F, rows, columns), of z_l from outside; or null
  Code* previous_flow;                     // out: dL/dy_l, where there is a z_{l-1}
  T* image_gradient;                       // added to; or null
  T* filter_gradient;                      // out: (parts, filters, taps)
  T* sums;                                 // out: (B, F, 3), of dL/d(ReLU's input), dL/dy_l, dL/dy_l * normal u_{l-1}
};

template <class L> static void backward(const Shape& s, const Backward<typename L::T, typename L::Code>& a) {
  using T = typename L::T;
  using Code = typename L::Code;
  using Vec = typename L::Vec;
  const L layer(s);
  constexpr int kLanes = L::kLanes;
#pragma omp parallel num_threads(s.threads)
  {
    const auto scratch = layer.scratch(a.scratch + thread_number() * layer.scratch_size(), a.filters);
    T* g = scratch.code;
#pragma omp for schedule(dynamic)
    for (int64_t part = 0; part < s.batch; part += s.part) {
      layer.clear_gradient(scratch);
      for (int64_t b = part; b < smaller(part + s.part, s.batch); ++b) {
        const Code* z = a.codes + b * layer.code_size;
        const Code* z1 = a.previous ? a.previous + b * layer.code_size : nullptr;
        const Code* z2 = a.before ? a.before + b * layer.code_size : nullptr;
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
          Code* flow = a.flow ? a.flow + b * layer.code_size + at : nullptr;
          const Code* later = a.later_flow ? a.later_flow + b * layer.code_size + at : nullptr;
          const Code* old = z1 && a.next_momentum != 0 ? z1 + at : nullptr;
          Vec sum = {};
          for (int64_t q = 0; q < s.positions; q += kLanes) {
            Vec v = layer.load(g + at + q);
            if (flow) {
              Vec d = a.flow_scale[f] * layer.load_code(flow + q);
              if (a.flow_slope) {
                const Vec u = layer.accelerated(z + at, old, a.next_momentum, q);
                d = layer.keep(d + a.flow_slope[f] * u + a.flow_shift[f], s.code_mask, q);
              }
              layer.store_code(flow + q, d);
              v += (1 + a.next_momentum) * d;
            }
            if (later) v -= a.later_momentum * layer.load_code(later + q);
            v = layer.load_code(z + at + q) <= 0 ? Vec{} : v;
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
        Code* dy = a.previous_flow + b * layer.code_size;
        layer.analysis(scratch.image, scratch, [&](int64_t f, int64_t q, Vec sum) {
          const int64_t at = f * s.code_plane + q;
          layer.store_code(dy + at, layer.keep(layer.load(g + at) - sum, s.code_mask, q));
        });
        if (a.mean)
          for (int64_t f = 0; f < s.filters; ++f) {
            const int64_t at = f * s.code_plane;
            Vec sum = {}, product = {};
            for (int64_t q = 0; q < s.positions; q += kLanes) {
              const Vec d = layer.load_code(dy + at + q);
              sum += d;
              product += d * (layer.accelerated(z1 + at, z2 ? z2 + at : nullptr, a.momentum, q) - a.mean[f]);
            }
            sums[3 * f + 1] = layer.total(sum);
            sums[3 * f + 2] = layer.total(product) * a.deviation[f];
          }
      }
      layer.write_gradient(scratch, a.filter_gradient + part / s.part * s.filters * layer.taps);
    }
    layer.end();
  }
}

#define LGN_EXPORT(name, layer)                                                                              \
  int64_t lanes_##name() { return layer::kLanes; }                                                           \
  int64_t block_##name() { return layer::kBlock; }                                                           \
  int64_t scratch_##name(const Shape* s) { return layer(*s).scratch_size(); }                                \
  void forward_##name(const Shape* s, const Forward<layer::T, layer::Code>* a) { forward<layer>(*s, *a); }   \
  void backward_##name(const Shape* s, const Backward<layer::T, layer::Code>* a) { backward<layer>(*s, *a); }

extern "C" {
LGN_EXPORT(float, Layer<float>)
LGN_EXPORT(double, Layer<double>)

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)
LGN_EXPORT(mixed, MixedLayer)
// Asks the system, which saves their state only for processes that do, for the matrix units.
int64_t has_mixed() { return syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18) == 0; }
#else
int64_t has_mixed() { return 0; }
#endif
}
