// LinearAdapter: the bottleneck adapter of Houlsby et al. 2019 (arXiv:1902.00751) with one hidden layer, after NeMo's.
#pragma once

#include <torch/nn/module.h>

#include <functional>

#include "fathom/module.h"

namespace fathom::common {

// input (…, in_features) -> output (…, in_features): LayerNorm, linear to `dim`, activation, linear back (`pre`), or
// the norm last (`post`). What ends it starts at zero, so that a new adapter changes nothing. State: module.0.weight,
// module.0.bias, module.1.weight, module.3.weight (pre).
class LinearAdapter final : public NeuralModule {
 public:
  static constexpr const char* kState = "module.N.weight, module.N.bias";
  struct Options {
    int64_t in_features = 0, dim = 0;
    std::string activation = "swish", norm_position = "pre";
    double dropout = 0;
    Json adapter_strategy;  // read by the host module (fathom/adapter.h)
    static void describe(OptionSet<Options>& o);
  };
  explicit LinearAdapter(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

 private:
  Options options_;
  std::function<at::Tensor(const at::Tensor&)> activate_;
  std::vector<std::function<at::Tensor(const at::Tensor&)>> layers_;
};

}  // namespace fathom::common
