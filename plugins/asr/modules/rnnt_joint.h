// Joint networks of transducers: RNNTJoint (Graves 2012), SampledRNNTJoint (Lee et al. 2022, arXiv 2203.16868) and
// HATJoint (Variani et al. 2020, arXiv 2003.07705).
#pragma once

#include <torch/nn/modules/linear.h>

#include "fathom/module.h"
#include "plugins/asr/modules/transducer_joint.h"

namespace fathom::asr {

struct JointNetOptions {
  std::optional<int64_t> encoder_hidden, pred_hidden;
  int64_t joint_hidden = 0;
  std::string activation = "relu";
  double dropout = 0;
  static void describe(OptionSet<JointNetOptions>& o);
};

struct RNNTJointOptions {
  JointNetOptions jointnet;
  int64_t num_classes = 0, num_extra_outputs = 0;
  std::optional<std::vector<std::string>> vocabulary;
  std::optional<bool> log_softmax, experimental_fuse_loss_wer;
  bool preserve_memory = false, fuse_loss_wer = false;
  std::optional<int64_t> fused_batch_size;
  double masking_prob = -1;
  static void describe(OptionSet<RNNTJointOptions>& o);
};

// encoder_outputs (B, D, T), decoder_outputs (B, D, U) -> outputs (B, T, U, C), C = num_classes + 1 +
// num_extra_outputs: log-probabilities over all C, or logits with log_softmax: false.
// State: pred.{weight, bias}, enc.{weight, bias}, joint_net.N.{weight, bias}; N is 2, or 1 without dropout.
class RNNTJoint : public NeuralModule, public TransducerJoint, public HasProperties {
 public:
  using Options = RNNTJointOptions;
  explicit RNNTJoint(const Options& options)
      : RNNTJoint(options, options.num_classes + 1 + options.num_extra_outputs) {}

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  Json properties() const override;
  const void* query(std::string_view id);

  at::Tensor project_encoder(const at::Tensor& x) override;
  at::Tensor project_prediction(const at::Tensor& x) override;
  at::Tensor combine(const at::Tensor& encoder, const at::Tensor& prediction) override;
  at::Tensor loss(const Json& options, const at::Tensor& encoder_outputs, const at::Tensor& decoder_outputs,
                  const TransducerTargets& targets) override;

 protected:
  // `classes`: outputs of the last layer.
  RNNTJoint(const Options& options, int64_t classes);
  // hidden (…, H), the sum of both projections -> (…, C).
  virtual at::Tensor after_sum(const at::Tensor& hidden);
  at::Tensor activated(const at::Tensor& hidden) const;
  at::Tensor dropped(const at::Tensor& hidden) const;
  const TransducerLossOptions& loss_options(const Json& options);
  // In training some of the prediction network's steps are left out: HAINAN (arXiv 2410.02597).
  at::Tensor masked(const at::Tensor& prediction) const;

  RNNTJointOptions options_;
  JointActivation activation_ = JointActivation::kRelu;
  torch::nn::Linear pred_{nullptr}, enc_{nullptr}, last_{nullptr};

 private:
  Json loss_given_ = nullptr;  // what loss_options_ was read from
  TransducerLossOptions loss_options_;
};

// RNNTJoint whose loss normalizes over the labels of the batch, the blank and n_samples others instead of all tokens.
class SampledRNNTJoint final : public RNNTJoint {
 public:
  struct Options : RNNTJointOptions {
    int64_t n_samples = 0;
    static void describe(OptionSet<Options>& o);
  };
  explicit SampledRNNTJoint(const Options& options);
  const void* query(std::string_view id);
  at::Tensor loss(const Json& options, const at::Tensor& encoder_outputs, const at::Tensor& decoder_outputs,
                  const TransducerTargets& targets) override;

 private:
  int64_t samples_;
};

// The blank has a layer of its own: p(blank) = sigmoid(blank_pred), and the labels share the rest.
// State: blank_pred.2.{weight, bias} besides; the last layer has no blank.
class HATJoint final : public RNNTJoint {
 public:
  explicit HATJoint(const RNNTJointOptions& options);
  const void* query(std::string_view id);
  at::Tensor loss(const Json& options, const at::Tensor& encoder_outputs, const at::Tensor& decoder_outputs,
                  const TransducerTargets& targets) override;

 protected:
  at::Tensor after_sum(const at::Tensor& hidden) override;

 private:
  torch::nn::Linear blank_{nullptr};
};

}  // namespace fathom::asr
