// Conformer-CTC small (16 layers of width 176, kernel 31, four heads, subsampling 4) on 10 s, one item, one thread: our
// encoder beside its matrix products alone, by libtorch's linear, bmm and conv2d. What is above 1 / ratio of the time
// is what norms, activations, positions, masks and copies cost.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include "core/base/allocator.h"
#include "core/plugins/registry.h"
#include "fathom/module.h"
#include "tests/bench/measure.h"

namespace {

using namespace fathom;  // NOLINT

constexpr int64_t kFeatures = 80, kFrames = 1000, kLayers = 16, kWidth = 176, kHeads = 4, kKernel = 31, kExpansion = 4;

ModuleHandle make_encoder() {
  ModuleHandle encoder = make_module({{"_target_", "asr.ConformerEncoder"},
                                      {"feat_in", kFeatures},
                                      {"n_layers", kLayers},
                                      {"d_model", kWidth},
                                      {"n_heads", kHeads},
                                      {"conv_kernel_size", kKernel},
                                      {"ff_expansion_factor", kExpansion}},
                                     "encoder");
  encoder.torch_module()->eval();
  return encoder;
}

// The products of one forward, each on inputs of its own.
class Products {
 public:
  void run() {
    at::Tensor x = at::relu(at::conv2d(signal_, first_, {}, 2, 1));
    x = at::relu(at::conv2d(x, second_, {}, 2, 1));
    at::linear(x.transpose(1, 2).flatten(2), out_);
    for (int64_t i = 0; i < kLayers; ++i) {
      for (int half = 0; half < 2; ++half) at::linear(at::linear(frames_, up_), down_);
      for (int projection = 0; projection < 4; ++projection) at::linear(frames_, square_);
      at::linear(positions_, square_);
      at::bmm(queries_, keys_.transpose(1, 2));
      at::bmm(queries_, places_.transpose(1, 2));
      at::bmm(weights_, keys_);
      at::linear(frames_, gated_);
      at::linear(frames_, square_);
    }
  }

 private:
  static constexpr int64_t kEncoded = kFrames / 4, kHead = kWidth / kHeads;
  at::Tensor signal_ = at::randn({1, 1, kFrames, kFeatures});
  at::Tensor first_ = at::randn({kWidth, 1, 3, 3}), second_ = at::randn({kWidth, kWidth, 3, 3});
  at::Tensor out_ = at::randn({kWidth, kWidth* kFeatures / 4});
  at::Tensor frames_ = at::randn({1, kEncoded, kWidth}), positions_ = at::randn({1, 2 * kEncoded - 1, kWidth});
  at::Tensor up_ = at::randn({kExpansion * kWidth, kWidth}), down_ = at::randn({kWidth, kExpansion* kWidth});
  at::Tensor square_ = at::randn({kWidth, kWidth}), gated_ = at::randn({2 * kWidth, kWidth});
  at::Tensor queries_ = at::randn({kHeads, kEncoded, kHead}), keys_ = at::randn({kHeads, kEncoded, kHead});
  at::Tensor places_ = at::randn({kHeads, 2 * kEncoded - 1, kHead});
  at::Tensor weights_ = at::randn({kHeads, kEncoded, kEncoded});
};

}  // namespace

int main() {
  keep_freed_memory();  // as in the program, for both sides
  at::set_num_threads(1);
  at::manual_seed(0);
  const ModuleHandle encoder = make_encoder();
  const c10::InferenceMode inference;
  const at::Tensor signal = at::randn({1, kFeatures, kFrames}), length = at::full({1}, kFrames, at::kLong);
  const at::Tensor many = at::randn({4, kFeatures, kFrames}), lengths = at::tensor({1000, 900, 700, 400}, at::kLong);
  Products products;
  const auto timed =
      bench::alternate([&] { encoder({{"audio_signal", signal}, {"length", length}}); }, [&] { products.run(); });
  bench::report("conformer", "forward of 10 s, small", timed.ours * 1e3, timed.peer * 1e3, "the products alone", "ms",
                true);
  const auto padded = bench::alternate([&] { encoder({{"audio_signal", many}, {"length", lengths}}); },
                                       [&] {
                                         for (int i = 0; i < 4; ++i) products.run();
                                       });
  bench::report("conformer", "forward of 4 padded items of 10 s, small", padded.ours * 1e3, padded.peer * 1e3,
                "the products alone, item by item", "ms", true);
}
