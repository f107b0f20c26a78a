// CTC losses on layers within an encoder (Lee and Watanabe 2021, arXiv:2102.03216), as NeMo's InterCTCMixin: the
// model's CTC head reads each of the layers, and
//   loss = (1 - sum of the weights) * the model's own + sum of weight * CTC of the layer.
#pragma once

#include <functional>

#include "fathom/access.h"
#include "fathom/metric.h"
#include "fathom/model.h"
#include "fathom/module.h"

namespace fathom::asr {

// The section `interctc` of a model.
struct InterCtcOptions {
  std::vector<double> loss_weights;
  std::vector<int64_t> apply_at_layers;
  static void describe(OptionSet<InterCtcOptions>& o);
};

class InterCtc {
 public:
  // What the model does with a layer's output.
  struct Head {
    std::function<at::Tensor(const Value& encoded)> log_probs;  // (B, D, T) -> (B, T, C)
    std::function<at::Tensor(const at::Tensor& log_probs, const at::Tensor& lengths)> loss;
    std::function<void(const at::Tensor& log_probs, const at::Tensor& lengths, const MetricHandle& wer)> count;
  };

  InterCtc() = default;
  // section: null, or the options; `path` is where it stands. Throws Error for weights and layers that do not fit each
  // other or the encoder.
  InterCtc(const Json& section, const ModuleHandle& encoder, const std::string& path, const Json& wer);
  explicit operator bool() const { return !layers_.empty(); }

  // The encoder keeps the layers of its next run.
  void capture() const;
  // The loss with those of the layers. Training: logs them, and with `errors` their error rates.
  at::Tensor train(const at::Tensor& own, const Head& head, const Step& step, bool errors);
  // Evaluation: adds them up for log(). `own` may be undefined, which leaves losses out.
  at::Tensor evaluate(const at::Tensor& own, const Head& head);
  void log(const Step& step, const std::string& prefix) const;
  void reset() const;
  // Metrics by name, for the model's children: their sums are those of all processes.
  std::vector<std::pair<std::string, MetricHandle>> metrics() const;

 private:
  struct Layer {
    int64_t number = 0;
    double weight = 0;
    MetricHandle wer, loss;
  };
  struct Captured {
    at::Tensor log_probs, lengths;
  };
  std::vector<Captured> take(const Head& head) const;

  ModuleHandle encoder_;
  std::string guid_;  // of the encoder's access settings
  std::vector<Layer> layers_;
  double own_weight_ = 1;
  MetricHandle batch_wer_, own_loss_;
};

}  // namespace fathom::asr
