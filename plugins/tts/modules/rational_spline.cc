#include "plugins/tts/modules/rational_spline.h"

#include <ATen/ATen.h>

#include <cmath>

namespace fathom::tts {
namespace {

constexpr double kLeastShare = 1e-3;  // of a piece's share of the width and the height, and of a slope
constexpr double kSplineEdge = 1e-6;  // numbers on the last knot belong to the last piece

// Knots (…, K + 1) from -bound to bound.
at::Tensor knots_of(const at::Tensor& unnormalized, double bound) {
  const auto pieces = static_cast<double>(unnormalized.size(-1));
  const at::Tensor shares = kLeastShare + (1 - kLeastShare * pieces) * at::softmax(unnormalized, -1);
  const at::Tensor inner = at::cumsum(shares, -1).narrow(-1, 0, unnormalized.size(-1) - 1) * (2 * bound) - bound;
  return at::constant_pad_nd(at::constant_pad_nd(inner, {1, 0}, -bound), {0, 1}, bound);
}

}  // namespace

std::pair<at::Tensor, at::Tensor> rational_spline(const at::Tensor& x, const at::Tensor& widths,
                                                  const at::Tensor& heights, const at::Tensor& slopes, double bound,
                                                  bool inverse) {
  const at::Tensor inside = at::logical_and(x >= -bound, x <= bound);
  // Numbers outside stay as they are: 0 stands for them, so that all have one shape and no gradient is lost to a NaN.
  const at::Tensor given = at::where(inside, x, at::zeros({}, x.options()));
  const double end = std::log(std::exp(1 - kLeastShare) - 1);
  const at::Tensor derivatives = kLeastShare + at::softplus(at::constant_pad_nd(slopes, {1, 1}, end));
  const at::Tensor across = knots_of(widths, bound), up = knots_of(heights, bound);
  const int64_t pieces = widths.size(-1);
  const at::Tensor wide = across.narrow(-1, 1, pieces) - across.narrow(-1, 0, pieces),
                   high = up.narrow(-1, 1, pieces) - up.narrow(-1, 0, pieces);
  const at::Tensor knots = (inverse ? up : across).detach();
  const at::Tensor last = at::cat({knots.narrow(-1, 0, pieces), knots.narrow(-1, pieces, 1) + kSplineEdge}, -1);
  const at::Tensor piece = ((given.detach().unsqueeze(-1) >= last).sum(-1, /*keepdim=*/true) - 1).clamp(0, pieces - 1);
  const auto here = [&](const at::Tensor& values) { return values.gather(-1, piece).squeeze(-1); };
  const at::Tensor x0 = here(across), w = here(wide), y0 = here(up), h = here(high), slope = here(high / wide),
                   d0 = here(derivatives), d1 = here(derivatives.narrow(-1, 1, pieces));
  const at::Tensor bend = d0 + d1 - 2 * slope;
  at::Tensor theta, out;
  if (inverse) {
    const at::Tensor rise = given - y0, a = rise * bend + h * (slope - d0), b = h * d0 - rise * bend, c = -slope * rise;
    theta = (2 * c) / (-b - at::sqrt((b.pow(2) - 4 * a * c).clamp_min(0)));
    out = theta * w + x0;
  } else {
    theta = (given - x0) / w;
  }
  const at::Tensor between = theta * (1 - theta);
  const at::Tensor denominator = slope + bend * between;
  if (!inverse) out = y0 + h * (slope * theta.pow(2) + d0 * between) / denominator;
  const at::Tensor steepness = slope.pow(2) * (d1 * theta.pow(2) + 2 * slope * between + d0 * (1 - theta).pow(2));
  at::Tensor log_steepness = at::log(steepness) - 2 * at::log(denominator);
  if (inverse) log_steepness = -log_steepness;
  return {at::where(inside, out, x), at::where(inside, log_steepness, at::zeros({}, x.options()))};
}

}  // namespace fathom::tts
