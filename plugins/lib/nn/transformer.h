// The Transformer (Vaswani et al. 2017, arXiv:1706.03762) as NeMo's encoder-decoder models have it: embeddings, encoder
// and decoder, layer norms before or after. Parameters have NeMo's names. A decoder runs whole (training) or goes on
// from what it kept of the tokens before (search), with the same result.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <string>
#include <vector>

namespace fathom::nn {

struct TransformerOptions {
  int64_t layers = 0, width = 0, inner_width = 0, heads = 1;
  double attention_dropout = 0;  // of the weights
  double layer_dropout = 0;      // of an attention's output
  double feed_forward_dropout = 0;
  std::string activation = "relu";  // relu or gelu
  bool pre_norm = false;            // norms before each part, not after
  bool final_norm = true;           // with pre_norm: one more after the last layer
  bool mask_future = false;         // of an encoder: a frame sees none after it
};

// Weights as a new model has them: linear layers by Glorot and Bengio (`glorot`), else normal; embeddings normal;
// norms 1 and 0.
void init_transformer(torch::nn::Module& module, double deviation, bool glorot);

// Keys and values of an attention, (B, H, T, D / H) each.
struct KeysValues {
  at::Tensor keys, values;
};

// Children: query_net, key_net, value_net, out_projection.
class TransformerAttention : public torch::nn::Module {
 public:
  explicit TransformerAttention(const TransformerOptions& options);
  KeysValues project(const at::Tensor& source);
  // query (B, Q, D) -> (B, Q, D). hidden: what is added to the scores (B or 1, 1, Q or 1, T), or undefined. The weights
  // (B, H, Q, T) go to *weights where it is not null.
  at::Tensor forward(const at::Tensor& query, const KeysValues& source, const at::Tensor& hidden,
                     at::Tensor* weights = nullptr);

 private:
  at::Tensor heads_of(const at::Tensor& x) const;

  int64_t heads_, width_;
  double attention_dropout_, layer_dropout_;
  torch::nn::Linear query_net_, key_net_, value_net_, out_projection_;
};

// Children: dense_in, dense_out.
class TransformerFeedForward : public torch::nn::Module {
 public:
  explicit TransformerFeedForward(const TransformerOptions& options);
  at::Tensor forward(const at::Tensor& x);

 private:
  bool gelu_;
  double dropout_;
  torch::nn::Linear dense_in_, dense_out_;
};

// Children: layer_norm_1, first_sub_layer (self-attention), layer_norm_2, second_sub_layer (feed-forward).
class TransformerEncoderLayer : public torch::nn::Module {
 public:
  explicit TransformerEncoderLayer(const TransformerOptions& options);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& hidden);

 private:
  bool pre_norm_;
  torch::nn::LayerNorm norm_1_, norm_2_;
  std::shared_ptr<TransformerAttention> attention_;
  std::shared_ptr<TransformerFeedForward> feed_forward_;
};

// Registers its children with its owner: final_layer_norm, layers.N.
class TransformerEncoderStack {
 public:
  TransformerEncoderStack(const TransformerOptions& options, torch::nn::Module& owner);
  // x (B, T, D), valid (B, T): not 0 where a frame counts.
  at::Tensor forward(at::Tensor x, const at::Tensor& valid);

 private:
  bool mask_future_;
  std::vector<std::shared_ptr<TransformerEncoderLayer>> layers_;
  torch::nn::LayerNorm final_norm_{nullptr};
};

// Children: layer_norm_1, first_sub_layer (self-attention), layer_norm_2, second_sub_layer (attention on the encoder's
// output), layer_norm_3, third_sub_layer (feed-forward).
class TransformerDecoderLayer : public torch::nn::Module {
 public:
  explicit TransformerDecoderLayer(const TransformerOptions& options);
  struct Memory {
    KeysValues self, cross;  // of all tokens so far; of the encoder's output
  };
  // Tokens x (B, n, D) after those of `memory`, to which they are added. memory.cross is made from `encoded` where it
  // is undefined. Hidden: see TransformerAttention.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& encoded, Memory& memory, const at::Tensor& hidden,
                     const at::Tensor& cross_hidden, at::Tensor* cross_weights);

 private:
  bool pre_norm_;
  torch::nn::LayerNorm norm_1_, norm_2_, norm_3_;
  std::shared_ptr<TransformerAttention> self_attention_, cross_attention_;
  std::shared_ptr<TransformerFeedForward> feed_forward_;
};

// Children: final_layer_norm, layers.N.
class TransformerDecoderStack : public torch::nn::Module {
 public:
  explicit TransformerDecoderStack(const TransformerOptions& options);
  // One a layer, empty: before the first token.
  std::vector<TransformerDecoderLayer::Memory> start() const {
    return std::vector<TransformerDecoderLayer::Memory>(layers_.size());
  }
  // What a caller may ask to see: the input, the output of every layer, that of the final norm; the weights of every
  // layer's attention on the encoder's output.
  struct Inside {
    std::vector<at::Tensor> states, cross_weights;
  };
  // x (B, n, D) after the tokens of `memory`; valid (B, n) or undefined; encoded (B, T, D), encoded_valid (B, T).
  at::Tensor forward(at::Tensor x, const at::Tensor& valid, const at::Tensor& encoded, const at::Tensor& encoded_valid,
                     std::vector<TransformerDecoderLayer::Memory>& memory, Inside* inside = nullptr);

 private:
  std::vector<std::shared_ptr<TransformerDecoderLayer>> layers_;
  torch::nn::LayerNorm final_norm_{nullptr};
};

struct TransformerEmbeddingOptions {
  int64_t vocabulary = 0, width = 0, longest = 512;
  int64_t token_types = 2;  // NeMo's models have the embedding and pass no types
  double dropout = 0;
  bool learn_positions = false;
};

// Children: token_embedding, position_embedding (learned: weight; else the buffer pos_enc), token_type_embedding,
// layer_norm.
class TransformerEmbedding : public torch::nn::Module {
 public:
  explicit TransformerEmbedding(const TransformerEmbeddingOptions& options);
  // ids (B, n), the first of them at position `first`.
  at::Tensor forward(const at::Tensor& ids, int64_t first);

 private:
  TransformerEmbeddingOptions options_;
  torch::nn::Embedding tokens_, learned_{nullptr};
  std::shared_ptr<torch::nn::Module> fixed_;  // pos_enc
  torch::nn::LayerNorm norm_;
};

}  // namespace fathom::nn
