// What a transducer's config may ask to be done to gradients after a backward pass (NeMo's on_after_backward).
#pragma once

#include <torch/nn/module.h>

#include <string>

#include "fathom/json.h"

namespace fathom::asr {

// From the keys of a model's section: variational_noise {std, start_step} adds normal noise to the gradients of the
// prediction network (Graves 2012, arXiv 1211.3711, 3.2); normalize_joint_txu divides those of the encoder by the most
// tokens and those of the prediction network by the most frames of the batch; normalize_{encoder,decoder,joint}_norm
// make every gradient's 2-norm one. Gradients of zeros stay.
class TransducerGradients {
 public:
  TransducerGradients() = default;
  // Throws Error for a noise that is negative or no number; `noise_path` is the full key of
  // variational_noise.
  TransducerGradients(const Json& section, const std::string& noise_path);
  // Of the batch in hand.
  void set_lengths(int64_t most_frames, int64_t most_tokens) {
    most_frames_ = most_frames;
    most_tokens_ = most_tokens;
  }
  bool needs_lengths() const { return joint_txu_; }
  // `model` has the children encoder, decoder and joint.
  void change(torch::nn::Module& model, int64_t global_step) const;

 private:
  double noise_ = 0;
  int64_t noise_start_ = 0;
  bool joint_txu_ = false, encoder_norm_ = false, decoder_norm_ = false, joint_norm_ = false;
  int64_t most_frames_ = 0, most_tokens_ = 0;
};

}  // namespace fathom::asr
