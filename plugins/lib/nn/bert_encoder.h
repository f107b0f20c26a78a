// Encoders of the BERT family, one implementation: BERT (Devlin et al. 2018, arXiv:1810.04805), RoBERTa, CamemBERT and
// XLM-R (Liu et al. 2019, arXiv:1907.11692), DistilBERT (Sanh et al. 2019, arXiv:1910.01108), ALBERT (Lan et al. 2019,
// arXiv:1909.11942) and ELECTRA (Clark et al. 2020, arXiv:2003.10555). Parameters have the names, and configs the keys,
// of the transformers library.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <string>
#include <vector>

#include "fathom/json.h"

namespace fathom::nn {

enum class BertFamily { kBert, kRoberta, kDistilBert, kAlbert, kElectra };

// 0.5x(1 + tanh(…)) and its like, by transformers' names: gelu (by erf), gelu_new, gelu_pytorch_tanh, gelu_fast,
// quick_gelu, relu, silu, swish, tanh, sigmoid, selu. Throws Error (kFailed) at `path` for another.
enum class BertActivation { kGelu, kGeluTanh, kQuickGelu, kRelu, kSilu, kTanh, kSigmoid, kSelu };
BertActivation parse_bert_activation(const std::string& name, const std::string& path);
at::Tensor bert_activate(const at::Tensor& x, BertActivation activation);

// As a config.json has it, with transformers' defaults.
struct BertOptions {
  BertFamily family = BertFamily::kBert;
  int64_t vocabulary = 30522, width = 768, embedding_width = 768, layers = 12, heads = 12, inner_width = 3072;
  int64_t longest = 512, token_types = 2, pad = 0;
  int64_t groups = 1, layers_of_group = 1;  // ALBERT: layers share the weights of a group
  double dropout = 0.1, attention_dropout = 0.1, norm_epsilon = 1e-12, deviation = 0.02;
  BertActivation activation = BertActivation::kGelu;
  bool sinusoidal = false;                               // DistilBERT: positions are not learned
  bool relative_keys = false, relative_queries = false;  // position_embedding_type relative_key, relative_key_query
  bool has_pooler = true;

  // Throws Error (kFailed, kUnavailable: another model_type) at `path` and the key. Other keys are passed over.
  static BertOptions read(const Json& config, const std::string& path);
};

class BertLayer;

class BertEncoder : public torch::nn::Module {
 public:
  explicit BertEncoder(const BertOptions& options);
  const BertOptions& options() const { return options_; }

  // What a caller may ask to see: the embeddings and the output of each layer, (B,T,D); the weights of each attention,
  // (B,H,T,T).
  struct Inside {
    std::vector<at::Tensor> states, weights;
  };
  // ids (B,T); mask (B,T), not 0 where a token counts, or undefined; token_types (B,T) or undefined: all 0 -> (B,T,D).
  // Throws Error (kBadData) for texts longer than the positions, and ids or types that are none.
  at::Tensor forward(const at::Tensor& ids, const at::Tensor& mask, const at::Tensor& token_types,
                     Inside* inside = nullptr);
  // The first token's state, through a layer of its own and tanh, (B,D); of families that have one.
  at::Tensor pool(const at::Tensor& states);

 private:
  at::Tensor embed(const at::Tensor& ids, const at::Tensor& token_types);
  at::Tensor positions_of(const at::Tensor& ids) const;

  BertOptions options_;
  torch::nn::Embedding words_{nullptr}, positions_{nullptr}, types_{nullptr};
  torch::nn::LayerNorm norm_{nullptr};
  torch::nn::Linear projection_{nullptr}, pooler_{nullptr};
  std::vector<std::shared_ptr<BertLayer>> layers_;  // ALBERT: one several times
};

// Names of a state dict as this encoder has them: without the prefix of a model around it (bert., roberta.,
// distilbert., albert., electra., bert_model.), gamma and beta of old files as weight and bias; "" for what it does not
// take (position_ids, heads).
std::string bert_parameter_name(std::string_view name);

}  // namespace fathom::nn
