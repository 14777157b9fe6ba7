// The compiled layers of float32, which measure how long each of their functions takes.

#include <chrono>
#include <utility>

#include "passes.h"
#include "products.h"

enum Work { kAnalysis, kSynthesis, kFilterGradient, kMoments, kNormalisation, kThreshold, kResidual, kWorks };
static double seconds[kWorks];  // of all threads

struct Stopwatch {
  using Clock = std::chrono::steady_clock;
  const Work work;
  const Clock::time_point start = Clock::now();
  ~Stopwatch() {
    const double passed = std::chrono::duration<double>(Clock::now() - start).count();
#pragma omp atomic
    seconds[work] += passed;
  }
};

#define TIMED(name, work)                            \
  template <class... A> void name(A&&... a) const {  \
    const Stopwatch watch{work};                     \
    Layer::name(std::forward<A>(a)...);              \
  }

struct TimedLayer : lgn_hf::Layer<float> {
  using Layer::Layer;
  TIMED(analysis, kAnalysis)  // with the soft threshold of its result
  TIMED(synthesis, kSynthesis)
  template <bool negative, class... A> void filter_gradient(A&&... a) const {
    const Stopwatch watch{kFilterGradient};
    Layer::filter_gradient<negative>(std::forward<A>(a)...);
  }
  TIMED(moments, kMoments)
  TIMED(normalise, kNormalisation)
  TIMED(normalise_gradient, kNormalisation)
  TIMED(threshold_gradient, kThreshold)
  TIMED(subtract, kResidual)
  TIMED(scale, kResidual)
  TIMED(residual_gradient, kResidual)
};

extern "C" {
LGN_HF_EXPORT(float, TimedLayer)
int64_t has_mixed() { return 0; }

// What was measured since the last call, in the order of `Work`.
void take_seconds(double* out) {
  for (int i = 0; i < kWorks; ++i) out[i] = std::exchange(seconds[i], 0.0);
}
}
