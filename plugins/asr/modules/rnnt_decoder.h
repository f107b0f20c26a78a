// Prediction networks of transducers: RNNTDecoder (embedding and LSTM) and StatelessTransducerDecoder (embeddings of
// the last labels; Ghodsi et al. 2020).
#pragma once

#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/rnn.h>

#include "fathom/module.h"
#include "fathom/recurrent.h"

namespace fathom::asr {

struct PredictionNetOptions {
  int64_t pred_hidden = 0, pred_rnn_layers = 1;
  std::optional<int64_t> t_max;
  double dropout = 0, forget_gate_bias = 1, weights_init_scale = 1, hidden_hidden_bias_scale = 0;
  int64_t rnn_hidden_size = -1;
  static void describe(OptionSet<PredictionNetOptions>& o);
};

// targets (B, U), target_length (B), states (optional: h (L, B, H) and c (L, B, H)) -> outputs (B, H, U + 1), whose
// first step is the start, a vector of zeros in place of a label; prednet_lengths; states after the last step.
// Step by step: label (B), the blank for the start -> outputs (B, H); its state is h and c with the batch first.
// State: prediction.embed.weight (V + 1, H), prediction.dec_rnn.lstm.{weight_ih,weight_hh,bias_ih,bias_hh}_lN.
class RNNTDecoder final : public NeuralModule, public Recurrent, public HasProperties {
 public:
  struct Options {
    PredictionNetOptions prednet;
    int64_t vocab_size = 0;
    std::optional<std::string> normalization_mode;
    bool random_state_sampling = false, blank_as_pad = true;
    static void describe(OptionSet<Options>& o);
  };
  explicit RNNTDecoder(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  Json properties() const override;
  Values initial_state(int64_t batch) override;
  StepResult step(const Values& in, const Values& state) override;

 private:
  struct Run {
    at::Tensor outputs, h, c;  // (B, U, H), (L, B, H), (L, B, H)
  };
  // embedded (B, U, H) from the given state, or from that of a beginning.
  Run run(const at::Tensor& embedded, const at::Tensor& h, const at::Tensor& c);

  Options options_;
  torch::nn::Embedding embed_{nullptr};
  torch::nn::LSTM lstm_{nullptr};
};

struct StatelessNetOptions {
  int64_t pred_hidden = 0;
  double dropout = 0;
  static void describe(OptionSet<StatelessNetOptions>& o);
};

// The same ports; states is one tensor (B, context_size - 1) of labels. Step by step its state is that tensor.
// State: prediction.embeds.N.weight (V + 1, a part of H); embeds.0 is that of the last label.
class StatelessTransducerDecoder final : public NeuralModule, public Recurrent, public HasProperties {
 public:
  struct Options {
    StatelessNetOptions prednet;
    int64_t vocab_size = 0, context_size = 1;
    std::optional<std::string> normalization_mode;
    static void describe(OptionSet<Options>& o);
  };
  explicit StatelessTransducerDecoder(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  Json properties() const override;
  Values initial_state(int64_t batch) override;
  StepResult step(const Values& in, const Values& state) override;

 private:
  // The parts of every place of the history, joined: parts[i] (B, U, part of H).
  at::Tensor joined(const std::vector<at::Tensor>& parts) const;

  Options options_;
  std::vector<torch::nn::Embedding> embeds_;
};

}  // namespace fathom::asr
