// What Python passes. structures.py has the same structures; a test compares the two.
//
// Planes are flat, so that every filter tap is one shift in memory. An image has a border of zeros and
// rows of `pitch` pixels. A code has the same pitch. Tap (row, column) of a position lies
// row * pitch + column behind it. Positions of a code plane right of its last column or below its last
// row hold zeros. Masks, with all bits set where a plane has pixels, keep them so.
#pragma once

#include <cstdint>

namespace lgn_hf {

struct Shape {
  int64_t batch, channels, filters, height, width;  // of the filters
  int64_t rows, columns, pitch;                     // of a code; of all planes
  int64_t positions;                                // of a code, to the next full block
  int64_t code_plane, image_plane;                  // elements, with room behind
  int64_t threads, part;                            // images that a thread takes at a time
  const void *code_mask, *image_mask;               // (code_plane), (image_plane)
};

// T: the type of all arithmetic. Code: the type of codes, and of their gradients, in memory.
// Codes are (B, F, code_plane) and images (B, C, image_plane).

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
};

template <class T, class Code> struct Backward {
  T* scratch;
  const T* residuals;              // r_l (x for the first layer)
  const Code* codes;               // z_l
  const T* filters;
  T step;
  const Code *previous, *before;   // as above
  T momentum;
  const T *scale, *shift;
  const T *mean, *deviation;       // of u_{l-1}, deviation inverted; or null
  T next_momentum;                 // of u_l
  Code* flow;                      // dL/dy_{l+1}, replaced by dL/du_l; null at the last layer
  const T *flow_scale, *flow_slope, *flow_shift;  // dL/du_l = scale dL/dy_{l+1} + slope u_l + shift, or
                                   // scale dL/dy_{l+1} if the slope is null
  const Code* later_flow;          // dL/du_{l+1}; or null
  T later_momentum;                // of u_{l+1}
  const T* gradient;               // of z_l from outside; or null
  Code* previous_flow;             // out: dL/dy_l, where there is a z_{l-1}
  T* image_gradient;               // added to; or null
  T* filter_gradient;              // out: (parts, filters, taps)
  T* sums;                         // out: (B, F, 3), sums of dL/d(ReLU's input), of dL/dy_l, and of
                                   // dL/dy_l * normal u_{l-1}
};

}  // namespace lgn_hf
