#include "plugins/asr/modules/transformer_decoder.h"

#include <ATen/ATen.h>

#include "plugins/asr/modules/transformer_options.h"

namespace fathom::asr {
namespace {

Ports decoder_inputs() {
  return {{"input_ids", {"B T", ChannelType{}}},
          {"decoder_mask", {"B T", MaskType{}}, true},
          {"encoder_embeddings", {"B T D", ChannelType{}}},
          {"encoder_mask", {"B T", MaskType{}}}};
}
Ports decoder_outputs() { return {{"last_hidden_states", {"B T D", ChannelType{}}}}; }

std::vector<Value> values_of(const std::vector<at::Tensor>& tensors) { return {tensors.begin(), tensors.end()}; }

}  // namespace

void TransformerDecoderNM::Options::describe(OptionSet<Options>& o) {
  describe_stack(o);
  o.required("vocab_size", &Options::vocab_size, "tokens").example(8);
  o("max_sequence_length", &Options::max_sequence_length, "how far the positions reach", "tokens");
  o("num_token_types", &Options::num_token_types,
    "rows of the embedding of token types, which files have and nothing reads; 0: none");
  o("embedding_dropout", &Options::embedding_dropout, "after the embedding");
  o("learn_positional_encodings", &Options::learn_positional_encodings, "learned positions; otherwise sines");
}

TransformerDecoderNM::TransformerDecoderNM(const Options& options) : options_(options) {
  constexpr int64_t kMost = 1 << 22;
  check_range("vocab_size", options.vocab_size, 1, kMost);
  check_range("max_sequence_length", options.max_sequence_length, 1, kMost);
  check_range("num_token_types", options.num_token_types, 0, kMost);
  if (!(options.embedding_dropout >= 0 && options.embedding_dropout < 1)) {
    throw Error(Code::kFailed, "a dropout lies between 0 and 1")
        .at("embedding_dropout")
        .seen(json_text(Json(options.embedding_dropout)));
  }
  const nn::TransformerOptions stack = stack_options(options, 1);
  nn::TransformerEmbeddingOptions embedding;
  embedding.vocabulary = options.vocab_size;
  embedding.width = options.hidden_size;
  embedding.longest = options.max_sequence_length;
  embedding.token_types = options.num_token_types;
  embedding.dropout = options.embedding_dropout;
  embedding.learn_positions = options.learn_positional_encodings;
  embedding_ = register_module("_embedding", std::make_shared<nn::TransformerEmbedding>(embedding));
  decoder_ = register_module("_decoder", std::make_shared<nn::TransformerDecoderStack>(stack));
}

Ports TransformerDecoderNM::inputs() const { return decoder_inputs(); }
Ports TransformerDecoderNM::outputs() const { return decoder_outputs(); }
void TransformerDecoderNM::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(decoder_inputs());
  schema["outputs"] = ports_json(decoder_outputs());
}

Json TransformerDecoderNM::properties() const {
  return {{"vocab_size", options_.vocab_size},
          {"hidden_size", options_.hidden_size},
          {"max_sequence_length", options_.max_sequence_length}};
}

Values TransformerDecoderNM::input_example() const {
  const auto options = parameters().front().options();
  const at::Tensor ones = at::ones({1, 8}, options.dtype(at::kLong));
  return {{"input_ids", ones},
          {"decoder_mask", ones},
          {"encoder_embeddings", at::randn({1, 8, options_.hidden_size}, options)},
          {"encoder_mask", ones}};
}

Values TransformerDecoderNM::forward(const Values& in) {
  auto memory = decoder_->start();
  const at::Tensor x = embedding_->forward(in.tensor("input_ids"), 0);
  return {
      {"last_hidden_states", decoder_->forward(x, in.tensor_or_undefined("decoder_mask"),
                                               in.tensor("encoder_embeddings"), in.tensor("encoder_mask"), memory)}};
}

Values TransformerDecoderNM::initial_state(int64_t /*batch*/) { return {}; }

Recurrent::StepResult TransformerDecoderNM::step(const Values& in, const Values& state) {
  auto memory = decoder_->start();
  const auto name = [](const char* what, size_t layer) { return what + std::to_string(layer); };
  int64_t first = 0;
  if (!state.empty()) {
    for (size_t i = 0; i < memory.size(); ++i) {
      memory[i].self = {state.tensor(name("keys.", i)), state.tensor(name("values.", i))};
      memory[i].cross = {state.tensor(name("cross_keys.", i)), state.tensor(name("cross_values.", i))};
    }
    first = memory.front().self.keys.size(2);
  }
  const at::Tensor x = embedding_->forward(in.tensor("input_ids"), first);
  nn::TransformerDecoderStack::Inside inside;
  const at::Tensor out = decoder_->forward(x, in.tensor_or_undefined("decoder_mask"), in.tensor("encoder_embeddings"),
                                           in.tensor("encoder_mask"), memory, &inside);
  StepResult result;
  result.outputs.add("last_hidden_states", out);
  result.outputs.add("hidden_states", values_of(inside.states));
  result.outputs.add("xatt_scores", values_of(inside.cross_weights));
  for (size_t i = 0; i < memory.size(); ++i) {
    result.state.add(name("keys.", i), memory[i].self.keys);
    result.state.add(name("values.", i), memory[i].self.values);
    result.state.add(name("cross_keys.", i), memory[i].cross.keys);
    result.state.add(name("cross_values.", i), memory[i].cross.values);
  }
  return result;
}

void NemoTransformer::Options::describe(OptionSet<Options>& o) {
  o("model_name", &Options::model_name, "null; no transformers are to be had by name");
  o("pretrained", &Options::pretrained, "false");
  o("encoder", &Options::encoder, "false or null: a decoder");
  o("pre_ln_final_layer_norm", &Options::pre_ln_final_layer_norm, "with pre_ln: a norm after the last layer");
  o.required("config_dict", &Options::config_dict, "the decoder's options").example([] {
    return Json{
        {"vocab_size", 8}, {"hidden_size", 8}, {"num_layers", 1}, {"inner_size", 8}, {"num_attention_heads", 1}};
  }());
}

namespace {

TransformerDecoderNM::Options decoder_of(const NemoTransformer::Options& o) {
  const auto refuse = [](const char* key, const std::string& seen, const char* why, const char* next) {
    throw Error(Code::kUnavailable, why).at(key).seen(seen).next(next);
  };
  if (o.model_name) refuse("model_name", *o.model_name, "no transformer is to be had by name", "set it to null");
  if (o.pretrained) refuse("pretrained", "true", "no transformer is to be had with weights", "set it to false");
  if (o.encoder.value_or(false)) {
    refuse("encoder", "true", "get_nemo_transformer makes decoders here",
           "set it to false; an encoder is nemo.collections.asr.modules.transformer.TransformerEncoder");
  }
  TransformerDecoderNM::Options out = o.config_dict;
  out.pre_ln_final_layer_norm = o.pre_ln_final_layer_norm;
  return out;
}

}  // namespace

NemoTransformer::NemoTransformer(const Options& options) : TransformerDecoderNM(decoder_of(options)) {}

}  // namespace fathom::asr
