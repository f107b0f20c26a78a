// The decoder of Tacotron 2 (Shen et al. 2018, arXiv:1712.05884, 2.2), with attention that knows where it looked
// before (Chorowski et al. 2015, arXiv:1506.07503).
#pragma once

#include <ATen/core/Generator.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/rnn.h>

#include <optional>

#include "fathom/module.h"

namespace fathom::tts {

struct Tacotron2DecoderOptions {
  int64_t n_mel_channels = 80, n_frames_per_step = 1, encoder_embedding_dim = 512, attention_dim = 128,
          attention_location_n_filters = 32, attention_location_kernel_size = 31, attention_rnn_dim = 1024,
          decoder_rnn_dim = 1024, prenet_dim = 256, max_decoder_steps = 1000;
  double gate_threshold = 0.5, p_attention_dropout = 0.1, p_decoder_dropout = 0.1, prenet_p_dropout = 0.5;
  bool early_stopping = true;
  static void describe(OptionSet<Tacotron2DecoderOptions>& o);
};

// memory (B, S, E), memory_lengths (B), decoder_inputs (B, D, T) -> mel_outputs (B, D, T), gate_outputs (B, T) logits,
// alignments (B, T, S). In training every frame is made of the real one before it. Otherwise it is made of its own, up
// to the frame whose gate opens (all items' gates, and never fewer than one frame) or max_decoder_steps, which is said;
// mel_lengths (B) int32 are the frames before each gate. The pre-net's dropout is on there too: `seed` draws it from a
// generator of its own.
class Tacotron2Decoder final : public NeuralModule {
 public:
  static constexpr const char* kState =
      "prenet.layers.N.linear_layer, attention_rnn, attention_layer.{query_layer, memory_layer, v}.linear_layer, "
      "attention_layer.location_layer.{location_conv.conv, location_dense.linear_layer}, decoder_rnn, "
      "{linear_projection, gate_layer}.linear_layer";
  using Options = Tacotron2DecoderOptions;
  explicit Tacotron2Decoder(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

  struct Output {
    at::Tensor mel, gate, alignments, lengths;
    bool cut = false;  // max_decoder_steps was reached, and the gate never opened
  };
  Output follow(const at::Tensor& memory, const at::Tensor& lengths, const at::Tensor& frames);
  Output speak(const at::Tensor& memory, const at::Tensor& lengths, std::optional<at::Generator> generator);

 private:
  struct Memory;  // what stays the same from frame to frame
  struct Looked;  // where the attention is
  Memory memory_of(const at::Tensor& memory, const at::Tensor& lengths) const;
  Looked start(const Memory& memory) const;
  void look(const Memory& memory, const at::Tensor& projected, Looked& looked) const;
  at::Tensor prenet(at::Tensor x, bool shared, std::optional<at::Generator> generator) const;
  Output shaped(const at::Tensor& mel, const at::Tensor& gate, const std::vector<at::Tensor>& alignments) const;

  Options options_;
  std::vector<torch::nn::Linear> prenet_;
  torch::nn::LSTMCell attention_rnn_{nullptr}, decoder_rnn_{nullptr};
  torch::nn::Linear query_{nullptr}, memory_{nullptr}, v_{nullptr}, location_dense_{nullptr}, projection_{nullptr},
      gate_{nullptr};
  torch::nn::Conv1d location_conv_{nullptr};
};

}  // namespace fathom::tts
