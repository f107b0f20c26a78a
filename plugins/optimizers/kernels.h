// The element-wise formulas of the optimizers that libtorch has no fused CPU kernel for, and how they are run: one pass
// over memory, vectorised for the machine at load time, split over the threads of at::parallel_for where a tensor is
// large. A formula is a struct template over float and double: pointers, scalars, and what happens to element i.
#pragma once

#include <ATen/core/Tensor.h>

#include <cmath>

namespace fathom::optimizers {

// A running mean's two factors. The second is not computed from the first in T: 1 - 0.999f is 1e-5 off.
template <typename T>
struct Decay {
  T keep, take;
  explicit Decay(double factor) : keep(static_cast<T>(factor)), take(static_cast<T>(1 - factor)) {}
};

// As in PyTorch, no decay does not read the parameter: one that is infinite or NaN stays out of the state.
template <typename T>
__attribute__((always_inline)) inline T with_decay(T gradient, T weight_decay, T p) {
  return weight_decay == 0 ? gradient : gradient + weight_decay * p;
}

#define FATHOM_ELEMENT __attribute__((always_inline)) inline void operator()(int64_t i) const

template <typename T>
struct NovogradKernel {  // g / denominator (+ decay * p) (* scale) goes into the momentum
  T *p, *exp_avg;
  const T* g;
  T inverse, weight_decay, scale, beta1, lr;  // inverse = 1 / denominator; lr 0: the momentum only
  FATHOM_ELEMENT {
    const T gradient = with_decay(g[i] * inverse, weight_decay, p[i]) * scale;
    exp_avg[i] = beta1 * exp_avg[i] + gradient;
    p[i] -= lr * exp_avg[i];
  }
};

template <typename T>
struct AdadeltaKernel {
  T *p, *square_avg, *acc_delta;
  const T* g;
  T sign, weight_decay;
  Decay<T> rho;
  T eps, lr;
  FATHOM_ELEMENT {
    const T gradient = with_decay(sign * g[i], weight_decay, p[i]);
    square_avg[i] = rho.keep * square_avg[i] + rho.take * gradient * gradient;
    const T delta = std::sqrt(acc_delta[i] + eps) / std::sqrt(square_avg[i] + eps) * gradient;
    acc_delta[i] = rho.keep * acc_delta[i] + rho.take * delta * delta;
    p[i] -= lr * delta;
  }
};

template <typename T>
struct AdamaxKernel {
  T *p, *exp_avg, *exp_inf;
  const T* g;
  T sign, weight_decay;
  Decay<T> beta1;
  T beta2, eps, step_size;
  FATHOM_ELEMENT {
    const T gradient = with_decay(sign * g[i], weight_decay, p[i]);
    exp_avg[i] += beta1.take * (gradient - exp_avg[i]);
    const T decayed = beta2 * exp_inf[i], size = std::abs(gradient) + eps;
    exp_inf[i] = decayed > size || decayed != decayed ? decayed : size;  // a NaN on either side stays one
    p[i] -= step_size * exp_avg[i] / exp_inf[i];
  }
};

template <typename T>
struct RmspropKernel {
  T *p, *square_avg, *grad_avg, *momentum_buffer;  // the last two may be null
  const T* g;
  T sign, weight_decay;
  Decay<T> alpha;
  T eps, momentum, lr;
  FATHOM_ELEMENT {
    const T gradient = with_decay(sign * g[i], weight_decay, p[i]);
    square_avg[i] = alpha.keep * square_avg[i] + alpha.take * gradient * gradient;
    T mean_square = square_avg[i];
    if (grad_avg != nullptr) {
      grad_avg[i] += alpha.take * (gradient - grad_avg[i]);
      mean_square -= grad_avg[i] * grad_avg[i];
    }
    T update = gradient / (std::sqrt(mean_square) + eps);
    if (momentum_buffer != nullptr) update = momentum_buffer[i] = momentum * momentum_buffer[i] + update;
    p[i] -= lr * update;
  }
};

template <typename T>
struct RpropKernel {
  T *p, *prev, *step_size;
  const T* g;
  T sign, eta_minus, eta_plus, step_min, step_max;
  FATHOM_ELEMENT {
    const T gradient = sign * g[i], product = gradient * prev[i];
    const T factor = product > 0 ? eta_plus : product < 0 ? eta_minus : T(1);
    T step = step_size[i] * factor;
    step = step < step_min ? step_min : step > step_max ? step_max : step;
    step_size[i] = step;
    const T used = product < 0 ? T(0) : gradient;  // after a change of sign: wait one step
    p[i] -= used > 0 ? step : used < 0 ? -step : T(0);
    prev[i] = used;
  }
};

template <typename T>
struct AdanKernel {
  T *p, *exp_avg, *exp_avg_sq, *exp_avg_diff, *neg_pre_grad;
  const T* g;
  T clip;
  Decay<T> beta1, beta2, beta3;
  T eps, inverse_root3, step_size, step_size_diff, before, after;  // the last two are factors on p
  FATHOM_ELEMENT {
    const T gradient = clip * g[i], difference = neg_pre_grad[i] + gradient;
    exp_avg[i] = beta1.keep * exp_avg[i] + beta1.take * gradient;
    exp_avg_diff[i] = beta2.keep * exp_avg_diff[i] + beta2.take * difference;
    const T ahead = beta2.keep * difference + gradient;
    exp_avg_sq[i] = beta3.keep * exp_avg_sq[i] + beta3.take * ahead * ahead;
    const T denominator = std::sqrt(exp_avg_sq[i]) * inverse_root3 + eps;
    p[i] = (p[i] * before - (step_size * exp_avg[i] + step_size_diff * exp_avg_diff[i]) / denominator) * after;
    neg_pre_grad[i] = -gradient;
  }
};

template <typename T>
struct RadamKernel {
  T *p, *exp_avg, *exp_avg_sq;
  const T* g;
  T sign, shrink, weight_decay;
  Decay<T> beta1, beta2;
  T eps, step_size, sqrt_correction2;
  bool rectified;  // the variance is tractable
  FATHOM_ELEMENT {
    const T value = shrink * p[i], gradient = with_decay(sign * g[i], weight_decay, value);
    exp_avg[i] += beta1.take * (gradient - exp_avg[i]);
    exp_avg_sq[i] = beta2.keep * exp_avg_sq[i] + beta2.take * gradient * gradient;
    const T adaptive = rectified ? sqrt_correction2 / (std::sqrt(exp_avg_sq[i]) + eps) : T(1);
    p[i] = value - step_size * exp_avg[i] * adaptive;
  }
};

template <typename T>
struct NadamKernel {
  T *p, *exp_avg, *exp_avg_sq;
  const T* g;
  T sign, shrink, weight_decay;
  Decay<T> beta1, beta2;
  T eps, correction2, gradient_size, momentum_size;
  FATHOM_ELEMENT {
    const T value = shrink * p[i], gradient = with_decay(sign * g[i], weight_decay, value);
    exp_avg[i] += beta1.take * (gradient - exp_avg[i]);
    exp_avg_sq[i] = beta2.keep * exp_avg_sq[i] + beta2.take * gradient * gradient;
    const T denominator = std::sqrt(exp_avg_sq[i] / correction2) + eps;
    p[i] = value - gradient_size * gradient / denominator - momentum_size * exp_avg[i] / denominator;
  }
};

template <typename T>
struct AsgdKernel {
  T *p, *ax;
  const T* g;
  T sign, weight_decay, shrink, eta, mu;  // mu 1: the average is the parameter
  FATHOM_ELEMENT {
    const T gradient = with_decay(sign * g[i], weight_decay, p[i]);
    const T value = shrink * p[i] - eta * gradient;
    p[i] = value;
    ax[i] = mu == 1 ? value : ax[i] + (value - ax[i]) * mu;
  }
};

template <typename T>
struct LambKernel {  // writes the direction; its norm decides the step
  T *direction, *exp_avg, *exp_avg_sq;
  const T *p, *g;
  T clip, l2_decay, decoupled_decay, beta1, beta3;
  Decay<T> beta2;
  T eps, inverse1, inverse2;  // of the bias corrections
  __attribute__((always_inline)) inline T direction_of(int64_t i) const {
    const T gradient = g[i] * clip + l2_decay * p[i];
    exp_avg[i] = beta1 * exp_avg[i] + beta3 * gradient;
    exp_avg_sq[i] = beta2.keep * exp_avg_sq[i] + beta2.take * gradient * gradient;
    return exp_avg[i] * inverse1 / (std::sqrt(exp_avg_sq[i] * inverse2) + eps) + decoupled_decay * p[i];
  }
  FATHOM_ELEMENT { direction[i] = direction_of(i); }
};

template <typename T>
struct LambStepKernel {  // where the step is the same for all elements, the direction is taken at once
  LambKernel<T> lamb;
  T *p, scale;
  FATHOM_ELEMENT { p[i] -= scale * lamb.direction_of(i); }
};

template <typename T>
struct AxpyKernel {  // p -= scale * x
  T* p;
  const T* x;
  T scale;
  FATHOM_ELEMENT { p[i] -= scale * x[i]; }
};

template <typename T>
struct SgdKernel {
  T *p, *buffer;  // the buffer may be null: no momentum
  const T* g;
  T sign, weight_decay, keep, take, momentum, lr;  // buffer = keep * buffer + take * gradient
  bool nesterov;
  FATHOM_ELEMENT {
    const T gradient = with_decay(sign * g[i], weight_decay, p[i]);
    T update = gradient;
    if (buffer != nullptr) {
      buffer[i] = keep * buffer[i] + take * gradient;
      update = nesterov ? gradient + momentum * buffer[i] : buffer[i];
    }
    p[i] -= lr * update;
  }
};

template <typename T>
struct AdafactorKernel {  // the second moment of every element; writes the direction
  T *direction, *square_avg;
  const T* g;
  Decay<T> beta2;
  T eps;
  FATHOM_ELEMENT {
    square_avg[i] = beta2.keep * square_avg[i] + beta2.take * (g[i] * g[i] + eps);
    direction[i] = g[i] / std::sqrt(square_avg[i]);
  }
};

#undef FATHOM_ELEMENT

// The sums of squares of parameter and direction, taken while their blocks are in the cache.
struct LambSums {
  double parameter, direction;
};
LambSums run_with_sums(const LambKernel<float>& kernel, int64_t count);
LambSums run_with_sums(const LambKernel<double>& kernel, int64_t count);

// Adafactor's second moments of `matrices` contiguous matrices rows x columns as one row and one column each. The
// direction is g / sqrt(row * column / mean(row)); it is computed twice rather than stored.
template <typename T>
struct FactoredMoments {
  T *p, *row, *column;  // (matrices, rows, columns), (matrices, rows), (matrices, columns)
  const T* g;
  int64_t matrices, rows, columns;
  double beta2, eps;
};
// Moves the moments on; the sum of squares of the direction.
double update_moments(const FactoredMoments<float>& moments);
double update_moments(const FactoredMoments<double>& moments);
// p -= scale * direction.
void apply_direction(const FactoredMoments<float>& moments, double scale);
void apply_direction(const FactoredMoments<double>& moments, double scale);

// Applies a formula to elements 0 … count - 1. Defined for the structs above.
template <template <typename> class Kernel, typename T>
void run(const Kernel<T>& kernel, int64_t count);

// Sum of squares, in double whatever the type; the same for every number of threads.
double sum_of_squares(const at::Tensor& tensor);
double sum_of_squares(const float* x, int64_t count);
double sum_of_squares(const double* x, int64_t count);

// Calls body(T()) with the tensor's element type, float or double.
template <typename Body>
void dispatch(const at::Tensor& tensor, Body&& body) {
  if (tensor.scalar_type() == at::kDouble)
    body(double());
  else
    body(float());
}
template <typename T>
T* data(at::Tensor& tensor) {
  return tensor.mutable_data_ptr<T>();
}
template <typename T>
const T* values(const at::Tensor& tensor) {
  return tensor.const_data_ptr<T>();
}

}  // namespace fathom::optimizers
