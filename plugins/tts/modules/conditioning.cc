#include "plugins/tts/modules/conditioning.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "fathom/error.h"
#include "fathom/nearest_names.h"

namespace fathom::tts {
namespace {

bool has(const std::vector<std::string>& types, const char* type) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

void require(const at::Tensor& conditioning) {
  if (conditioning.defined()) return;
  throw Error(Code::kBadData, "the model is conditioned on a speaker, and none is given")
      .next("give `speaker` (its number), or leave condition_types empty");
}

}  // namespace

void check_condition_types(const std::vector<std::string>& types) {
  const std::vector<std::string> known = {"add", "concat", "layernorm"};
  for (const auto& type : types) {
    if (has(known, type.c_str())) continue;
    throw Error(Code::kFailed, "unknown way of conditioning")
        .at("condition_types")
        .seen(type)
        .expected("add, concat or layernorm")
        .candidates(nearest_names(type, known));
  }
}

ConditionalInput::ConditionalInput(int64_t hidden, int64_t condition, const std::vector<std::string>& types)
    : add_(has(types, "add")) {
  check_condition_types(types);
  if (add_ && condition != hidden) add_proj_ = register_module("add_proj", torch::nn::Linear(condition, hidden));
  if (has(types, "concat"))
    concat_proj_ = register_module("concat_proj", torch::nn::Linear(hidden + condition, hidden));
}

at::Tensor ConditionalInput::forward(at::Tensor x, const at::Tensor& conditioning) {
  if (add_) {
    require(conditioning);
    x = x + (add_proj_ ? add_proj_(conditioning) : conditioning);
  }
  if (concat_proj_) {
    require(conditioning);
    const at::Tensor everywhere =
        (add_ && add_proj_ ? add_proj_(conditioning) : conditioning).repeat({1, x.size(1), 1});
    x = concat_proj_(at::cat({x, everywhere}, -1));
  }
  return x;
}

ConditionalLayerNorm::ConditionalLayerNorm(int64_t hidden, int64_t condition, const std::vector<std::string>& types)
    : hidden_(hidden) {
  if (!has(types, "layernorm")) {
    weight_ = register_parameter("weight", at::ones({hidden}));
    bias_ = register_parameter("bias", at::zeros({hidden}));
    return;
  }
  cond_weight_ = register_module("cond_weight", torch::nn::Linear(condition, hidden));
  cond_bias_ = register_module("cond_bias", torch::nn::Linear(condition, hidden));
  const at::NoGradGuard no_grad;
  cond_weight_->weight.zero_();
  cond_weight_->bias.fill_(1);
  cond_bias_->weight.zero_();
  cond_bias_->bias.zero_();
}

at::Tensor ConditionalLayerNorm::forward(const at::Tensor& x, const at::Tensor& conditioning) {
  const at::Tensor normed = at::layer_norm(x, {hidden_}, weight_, bias_);
  if (!cond_weight_) return normed;
  require(conditioning);
  return normed * cond_weight_(conditioning) + cond_bias_(conditioning);
}

}  // namespace fathom::tts
