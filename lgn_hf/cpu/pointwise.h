// All of a layer but its products: what happens to each number of an image or code, and sums over them.
#pragma once

#include "arguments.h"
#include "vectors.h"

namespace lgn_hf {

template <class Number, class Stored> struct Pointwise {
  using T = Number;
  using Code = Stored;
  static constexpr int kLanes = lgn_hf::kLanes<T>;

  const Shape& s;
  const int64_t code_size, image_size;
  const T *const code_mask, *const image_mask;

  explicit Pointwise(const Shape& shape)
      : s(shape),
        code_size(s.filters * s.code_plane),
        image_size(s.channels * s.image_plane),
        code_mask(static_cast<const T*>(s.code_mask)),
        image_mask(static_cast<const T*>(s.image_mask)) {}

  // u = z + momentum (z - before)
  static Vec<T> accelerated(const Code* z, const Code* before, T momentum, int64_t q) {
    const Vec<T> v = load(z + q);
    return before ? v + momentum * (v - load(before + q)) : v;
  }

  // y = scale u + shift
  void normalise(const Code* z, const Code* before, T momentum, const T* scale, const T* shift, T* y) const {
    for (int64_t f = 0; f < s.filters; ++f) {
      const int64_t at = f * s.code_plane;
      for (int64_t q = 0; q < s.positions; q += kLanes) {
        const Vec<T> u = accelerated(z + at, before ? before + at : nullptr, momentum, q);
        store(y + at + q, masked(code_mask, q, scale[f] * u + shift[f]));
      }
    }
  }

  // r = x - W y, inside the image
  void subtract(const T* x, const T* synthesis, T* r) const {
    for (int64_t c = 0; c < image_size; c += s.image_plane)
      for (int64_t q = 0; q < s.image_plane; q += kLanes)
        store(r + c + q, load(x + c + q) - masked(image_mask, q, load(synthesis + c + q)));
  }

  // z = ReLU(y + step W^T r + bias), for a vector of analysis = W^T r. A NaN stays one, as in torch.
  void threshold(Vec<T> analysis, T step, T bias, const T* y, Code* z, int64_t q) const {
    Vec<T> v = step * analysis + bias;
    if (y) v += load(y + q);
    store(z + q, masked(code_mask, q, v < 0 ? Vec<T>{} : v));
  }

  // Mean and centred sum of squares of u over each plane of a code, (F, 2).
  void moments(const Code* z, const Code* before, T momentum, T* out) const {
    for (int64_t f = 0; f < s.filters; ++f, z += s.code_plane, before += before ? s.code_plane : 0, out += 2) {
      Vec<T> sum = {}, squares = {};
      for (int64_t q = 0; q < s.positions; q += kLanes) sum += accelerated(z, before, momentum, q);
      const T mean = total<T>(sum) / (s.rows * s.columns);
      for (int64_t q = 0; q < s.positions; q += kLanes) {
        const Vec<T> d = masked(code_mask, q, accelerated(z, before, momentum, q) - mean);
        squares += d * d;
      }
      out[0] = mean;
      out[1] = total<T>(squares);
    }
  }

  // g = dL/d(ReLU's input) of image b, its sums over planes, and dL/du_l in place of dL/dy_{l+1}.
  void threshold_gradient(const Backward<T, Code>& a, int64_t b, T* g) const {
    for (int64_t f = 0; f < s.filters; ++f) {
      const int64_t at = f * s.code_plane, of_batch = b * code_size + at;
      const Code* z = a.codes + of_batch;
      const Code* old = a.previous && a.next_momentum != 0 ? a.previous + of_batch : nullptr;
      Code* flow = a.flow ? a.flow + of_batch : nullptr;
      Vec<T> sum = {};
      for (int64_t q = 0; q < s.positions; q += kLanes) {
        Vec<T> v = a.gradient ? load(a.gradient + of_batch + q) : Vec<T>{};
        if (flow) {
          Vec<T> d = a.flow_scale[f] * load(flow + q);
          if (a.flow_slope) {
            const Vec<T> u = accelerated(z, old, a.next_momentum, q);
            d = masked(code_mask, q, d + a.flow_slope[f] * u + a.flow_shift[f]);
          }
          store(flow + q, d);
          v += (1 + a.next_momentum) * d;
        }
        if (a.later_flow) v -= a.later_momentum * load(a.later_flow + of_batch + q);
        v = load(z + q) <= 0 ? Vec<T>{} : v;
        store(g + at + q, v);
        sum += v;
      }
      a.sums[3 * (b * s.filters + f)] = total<T>(sum);
    }
  }

  void scale(const T* x, T step, T* out) const {
    for (int64_t q = 0; q < image_size; q += kLanes) store(out + q, step * load(x + q));
  }

  // dL/dr = step W g, inside the image, in place of W g; and the gradient of the image, if asked for.
  void residual_gradient(T* synthesis, T step, T* image_gradient) const {
    for (int64_t c = 0; c < image_size; c += s.image_plane)
      for (int64_t q = 0; q < s.image_plane; q += kLanes) {
        const Vec<T> d = masked(image_mask, q, step * load(synthesis + c + q));
        store(synthesis + c + q, d);
        if (image_gradient) store(image_gradient + c + q, load(image_gradient + c + q) + d);
      }
  }

  // Sums of dL/dy_l, and of its products with normal u_{l-1}, over the planes of image b.
  void normalise_gradient(const Backward<T, Code>& a, int64_t b) const {
    for (int64_t f = 0; f < s.filters; ++f) {
      const int64_t of_batch = b * code_size + f * s.code_plane;
      const Code* before = a.before ? a.before + of_batch : nullptr;
      Vec<T> sum = {}, product = {};
      for (int64_t q = 0; q < s.positions; q += kLanes) {
        const Vec<T> d = load(a.previous_flow + of_batch + q);
        sum += d;
        product += d * (accelerated(a.previous + of_batch, before, a.momentum, q) - a.mean[f]);
      }
      T* sums = a.sums + 3 * (b * s.filters + f);
      sums[1] = total<T>(sum);
      sums[2] = total<T>(product) * a.deviation[f];
    }
  }
};

}  // namespace lgn_hf
