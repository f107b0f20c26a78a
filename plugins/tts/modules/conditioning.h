// How a speaker's embedding changes what a module computes: added to or joined with its input, or as the scale and
// shift of its norms.
#pragma once

#include <torch/nn/modules/linear.h>

#include <string>
#include <vector>

namespace fathom::tts {

// "add", "concat", "layernorm". Throws Error for another word.
void check_condition_types(const std::vector<std::string>& types);

// x (B, T, hidden), conditioning (B, 1, condition). State: add_proj, concat_proj where they are needed.
class ConditionalInput : public torch::nn::Module {
 public:
  ConditionalInput(int64_t hidden, int64_t condition, const std::vector<std::string>& types);
  // Throws Error where a conditioning is needed and undefined.
  at::Tensor forward(at::Tensor x, const at::Tensor& conditioning);

 private:
  bool add_ = false;
  torch::nn::Linear add_proj_{nullptr}, concat_proj_{nullptr};
};

// Layer norm over the last dimension; with "layernorm" among the types its scale and shift come from the conditioning.
// State: weight, bias; or cond_weight, cond_bias.
class ConditionalLayerNorm : public torch::nn::Module {
 public:
  ConditionalLayerNorm(int64_t hidden, int64_t condition, const std::vector<std::string>& types);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& conditioning);

 private:
  int64_t hidden_;
  at::Tensor weight_, bias_;
  torch::nn::Linear cond_weight_{nullptr}, cond_bias_{nullptr};
};

}  // namespace fathom::tts
