// The encoder and the post-net of Tacotron 2 (Shen et al. 2018, arXiv:1712.05884, 2.2).
#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/rnn.h>

#include "fathom/module.h"

namespace fathom::tts {

// Convolutions of the same length, each with a batch norm. State: N.0.conv.*, N.1.*.
class NormedConvStack : public torch::nn::Module {
 public:
  struct Layer {
    int64_t in, out, kernel;
    double gain;  // of Xavier's initialisation
  };
  explicit NormedConvStack(const std::vector<Layer>& layers);
  size_t size() const { return convs_.size(); }
  at::Tensor forward(size_t layer, const at::Tensor& x) { return norms_[layer](convs_[layer](x)); }

 private:
  std::vector<torch::nn::Conv1d> convs_;
  std::vector<torch::nn::BatchNorm1d> norms_;
};

// token_embedding (B, D, T), token_len (B) -> encoder_embedding (B, longest token_len, D), 0 beyond an item's end.
class Tacotron2Encoder final : public NeuralModule {
 public:
  static constexpr const char* kState = "convolutions.N.{0.conv, 1}, lstm";
  struct Options {
    int64_t encoder_n_convolutions = 3, encoder_embedding_dim = 512, encoder_kernel_size = 5;
    static void describe(OptionSet<Options>& o);
  };
  explicit Tacotron2Encoder(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

 private:
  Options options_;
  std::shared_ptr<NormedConvStack> convolutions_;
  torch::nn::LSTM lstm_{nullptr};
};

// mel_spec (B, D, T) -> mel_spec of the same shape: what convolutions make of it is added.
class Tacotron2Postnet final : public NeuralModule {
 public:
  static constexpr const char* kState = "convolutions.N.{0.conv, 1}";
  struct Options {
    int64_t n_mel_channels = 80, postnet_embedding_dim = 512, postnet_kernel_size = 5, postnet_n_convolutions = 5;
    double p_dropout = 0.5;
    static void describe(OptionSet<Options>& o);
  };
  explicit Tacotron2Postnet(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

 private:
  Options options_;
  std::shared_ptr<NormedConvStack> convolutions_;
};

}  // namespace fathom::tts
