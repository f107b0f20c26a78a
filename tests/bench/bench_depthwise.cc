// Forward and backward of the depthwise kernel beside at::conv1d: B 16, C 256, T 200, one thread.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/base/allocator.h"
#include "plugins/lib/nn/depthwise_conv.h"
#include "tests/bench/measure.h"

int main() {
  using namespace fathom;  // NOLINT
  keep_freed_memory();     // as in the program, for both sides
  at::set_num_threads(1);
  at::manual_seed(1);
  constexpr int kSteps = 10;
  for (const int64_t kernel : {11, 33, 75}) {
    const at::Tensor x = at::randn({16, 256, 200}).requires_grad_(true);
    const at::Tensor weight = at::randn({256, 1, kernel}).mul_(0.1).requires_grad_(true);
    const at::Tensor probe = at::randn({16, 256, 200});
    nn::DepthwiseOptions options;
    options.pad_left = options.pad_right = kernel / 2;
    const auto run = [&](const std::function<at::Tensor()>& forward) {
      for (int i = 0; i < kSteps; ++i) {
        x.mutable_grad().reset();
        weight.mutable_grad().reset();
        forward().backward(probe);
      }
    };
    const auto ours = [&] { return nn::depthwise_conv1d(x, weight, at::Tensor(), options); };
    const auto peer = [&] { return at::conv1d(x, weight, {}, 1, kernel / 2, 1, 256); };
    run(ours);
    const at::Tensor y = ours().detach(), grad_x = x.grad().clone(), grad_w = weight.grad().clone();
    run(peer);
    const auto relative = [](const at::Tensor& a, const at::Tensor& b) {
      return (a - b).abs().max().item<double>() / std::max(1.0, b.abs().max().item<double>());
    };
    const double difference =
        std::max({relative(y, peer().detach()), relative(grad_x, x.grad()), relative(grad_w, weight.grad())});
    const auto timed = bench::alternate([&] { run(ours); }, [&] { run(peer); });
    bench::report("depthwise", "forward+backward K=" + std::to_string(kernel), timed.ours / kSteps * 1e3,
                  timed.peer / kSteps * 1e3, "at::conv1d", "ms", true, {{"largest_difference", difference}});
  }
}
