// Monotonic splines of rational quadratic pieces (Durkan et al. 2019, Neural Spline Flows, arXiv:1906.04032).
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace fathom::tts {

// Each number x (…) from -bound to bound goes through a spline of its own from there to there; others stay. widths and
// heights (…, K) and slopes (…, K-1) are not normalised yet; the slope at both ends is 1. -> y and log|dy/dx|; with
// `inverse` the other way. Differentiable in everything.
std::pair<at::Tensor, at::Tensor> rational_spline(const at::Tensor& x, const at::Tensor& widths,
                                                  const at::Tensor& heights, const at::Tensor& slopes, double bound,
                                                  bool inverse);

}  // namespace fathom::tts
