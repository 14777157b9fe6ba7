// One layer of an unfolded network, forwards and backwards. ../model/unfolding.py has the equations.
//
// Every image passes through a layer at once, while it is in the processor's cache.
#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

#include "arguments.h"
#include "vectors.h"

namespace lgn_hf {

inline int thread_number() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

template <class L> void forward(const Shape& s, const Forward<typename L::T, typename L::Code>& a) {
  using T = typename L::T;
  using Code = typename L::Code;
  const L layer(s);
#pragma omp parallel num_threads(s.threads)
  {
    const auto scratch = layer.scratch(a.scratch + thread_number() * layer.scratch_size(), a.filters);
#pragma omp for schedule(dynamic, s.part)
    for (int64_t b = 0; b < s.batch; ++b) {
      const T* r = a.images + b * layer.image_size;
      const Code* z1 = a.previous ? a.previous + b * layer.code_size : nullptr;
      const Code* z2 = a.before ? a.before + b * layer.code_size : nullptr;
      Code* z = a.codes + b * layer.code_size;
      if (z1) {
        T* residual = a.residuals + b * layer.image_size;
        layer.normalise(z1, z2, a.momentum, a.scale, a.shift, scratch.estimate);
        layer.synthesis(scratch.estimate, scratch);
        layer.subtract(r, scratch.image, residual);
        r = residual;
      }
      layer.analysis(r, scratch, [&](int64_t f, int64_t q, Vec<T> sum) {
        const int64_t at = f * s.code_plane;
        layer.threshold(sum, a.step, a.bias[f], z1 ? scratch.estimate + at : nullptr, z + at, q);
      });
      if (a.moments)
        layer.moments(z, a.next_momentum != 0 ? z1 : nullptr, a.next_momentum, a.moments + 2 * b * s.filters);
    }
    layer.end();
  }
}

template <class L> void backward(const Shape& s, const Backward<typename L::T, typename L::Code>& a) {
  using T = typename L::T;
  using Code = typename L::Code;
  const L layer(s);
#pragma omp parallel num_threads(s.threads)
  {
    const auto scratch = layer.scratch(a.scratch + thread_number() * layer.scratch_size(), a.filters);
    T* const g = scratch.gradient;
#pragma omp for schedule(dynamic)
    for (int64_t part = 0; part < s.batch; part += s.part) {
      layer.clear_gradient(scratch);
      for (int64_t b = part; b < smaller(part + s.part, s.batch); ++b) {
        layer.threshold_gradient(a, b, g);
        layer.scale(a.residuals + b * layer.image_size, a.step, scratch.scaled);
        layer.template filter_gradient<false>(g, scratch.scaled, scratch);
        if (!a.previous && !a.image_gradient) continue;

        layer.synthesis(g, scratch);
        T* image_gradient = a.image_gradient ? a.image_gradient + b * layer.image_size : nullptr;
        layer.residual_gradient(scratch.image, a.step, image_gradient);
        if (!a.previous) continue;

        const Code* z1 = a.previous + b * layer.code_size;
        const Code* z2 = a.before ? a.before + b * layer.code_size : nullptr;
        layer.normalise(z1, z2, a.momentum, a.scale, a.shift, scratch.estimate);
        layer.template filter_gradient<true>(scratch.estimate, scratch.image, scratch);
        Code* flow = a.previous_flow + b * layer.code_size;
        layer.analysis(scratch.image, scratch, [&](int64_t f, int64_t q, Vec<T> sum) {
          // dL/dy_l = g - W^T dL/dr
          const int64_t at = f * s.code_plane + q;
          store(flow + at, masked(layer.code_mask, q, load(g + at) - sum));
        });
        if (a.mean) layer.normalise_gradient(a, b);
      }
      layer.write_gradient(scratch, a.filter_gradient + part / s.part * s.filters * layer.taps);
    }
    layer.end();
  }
}

}  // namespace lgn_hf

// The functions that Python calls, of layers of one type.
#define LGN_HF_EXPORT(name, layer)                                                                                     \
  int64_t lanes_##name() { return layer::kLanes; }                                                                     \
  int64_t block_##name() { return layer::kBlock; }                                                                     \
  int64_t scratch_##name(const lgn_hf::Shape* s) { return layer(*s).scratch_size(); }                                  \
  void forward_##name(const lgn_hf::Shape* s, const lgn_hf::Forward<layer::T, layer::Code>* a) {                       \
    lgn_hf::forward<layer>(*s, *a);                                                                                    \
  }                                                                                                                    \
  void backward_##name(const lgn_hf::Shape* s, const lgn_hf::Backward<layer::T, layer::Code>* a) {                     \
    lgn_hf::backward<layer>(*s, *a);                                                                                   \
  }
