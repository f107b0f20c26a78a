// The text encoder of VITS: a transformer that knows how far apart two tokens are (Shaw, Uszkoreit & Vaswani 2018,
// arXiv:1803.02155), within a window.
#pragma once

#include <torch/nn/modules/embedding.h>

#include "plugins/tts/modules/vits_layers.h"

namespace fathom::tts {

// State: emb_rel_k, emb_rel_v (1, 2·window + 1, channels / heads), conv_q, conv_k, conv_v, conv_o.
class RelativeAttention : public torch::nn::Module {
 public:
  RelativeAttention(int64_t channels, int64_t heads, int64_t window, double dropout);
  // hidden (B, 1, T, T) bool: true where nothing is to be heard.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& hidden);

 private:
  int64_t heads_, window_;
  double dropout_;
  at::Tensor keys_, values_;
  torch::nn::Conv1d q_{nullptr}, k_{nullptr}, v_{nullptr}, out_{nullptr};
};

struct VitsTextOptions {
  int64_t n_vocab = 0, out_channels = 192, hidden_channels = 192, filter_channels = 768, n_heads = 2, n_layers = 6,
          kernel_size = 3, padding_idx = 0;
  double p_dropout = 0.1;
};

// State: emb, encoder.{attn_layers, norm_layers_1, ffn_layers, norm_layers_2}.N, proj.
class VitsTextEncoder : public torch::nn::Module {
 public:
  struct Output {
    at::Tensor x, mean, log_scale;  // (B, hidden, T), (B, out, T) twice
    at::Tensor mask;                // (B, 1, T)
  };
  explicit VitsTextEncoder(const VitsTextOptions& options);
  Output forward(const at::Tensor& tokens, const at::Tensor& lengths);

 private:
  struct Layer {
    std::shared_ptr<RelativeAttention> attention;
    std::shared_ptr<ChannelNorm> attention_norm, conv_norm;
    torch::nn::Conv1d first{nullptr}, second{nullptr};
  };
  at::Tensor feed_forward(Layer& layer, const at::Tensor& x, const at::Tensor& mask) const;

  VitsTextOptions options_;
  torch::nn::Embedding embedding_{nullptr};
  std::vector<Layer> layers_;
  torch::nn::Conv1d proj_{nullptr};
};

}  // namespace fathom::tts
