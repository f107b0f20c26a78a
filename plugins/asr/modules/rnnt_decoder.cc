#include "plugins/asr/modules/rnnt_decoder.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/container/modulelist.h>

namespace fathom::asr {
namespace {

Ports prediction_inputs(const ElementType& state, const char* axes) {
  return {{"targets", {"B T", LabelsType{}}},
          {"target_length", {"B", LengthsType{}}},
          {"states", {axes, state}, /*is_optional=*/true, /*lists=*/1}};
}
Ports prediction_outputs(const ElementType& state, const char* axes) {
  return {{"outputs", {"B D T", EmbeddedTextType{}}},
          {"prednet_lengths", {"B", LengthsType{}}},
          {"states", {axes, state}, /*is_optional=*/true, /*lists=*/1}};
}

void expect_positive(int64_t value, const char* key) {
  constexpr int64_t kMost = 1 << 20;
  if (value >= 1 && value <= kMost) return;
  throw Error(Code::kFailed, "a prediction network needs another size")
      .at(key)
      .seen(std::to_string(value))
      .expected("1 to " + std::to_string(kMost));
}
void expect_dropout(double value) {
  if (value >= 0 && value < 1) return;
  throw Error(Code::kFailed, "a dropout lies between 0 and 1")
      .at("prednet.dropout")
      .seen(json_text(Json(value)))
      .expected("0 or more and below 1");
}

// What the embedding of the blank is: nothing, whatever a file holds in its row.
at::Tensor embedded_step(const at::Tensor& embedded, const at::Tensor& labels, int64_t blank) {
  return embedded.masked_fill(labels.eq(blank).unsqueeze(-1), 0);
}

at::Tensor after_start(const at::Tensor& embedded) {
  const at::Tensor start = at::zeros({embedded.size(0), 1, embedded.size(2)}, embedded.options());
  return at::cat({start, embedded}, 1);
}

}  // namespace

// --- RNNTDecoder -----------------------------------------------------------------------------------------------------

void PredictionNetOptions::describe(OptionSet<PredictionNetOptions>& o) {
  using P = PredictionNetOptions;
  o.required("pred_hidden", &P::pred_hidden, "width of the embedding and of the output").example(8);
  o("pred_rnn_layers", &P::pred_rnn_layers, "LSTM layers");
  o("t_max", &P::t_max, "chrono initialization of the gates for memories up to this long; null: forget_gate_bias",
    "labels");
  o("dropout", &P::dropout, "between the LSTM's layers and after the last");
  o("forget_gate_bias", &P::forget_gate_bias, "what the forget gates' input bias starts with");
  o("weights_init_scale", &P::weights_init_scale, "factor of the LSTM's first weights");
  o("hidden_hidden_bias_scale", &P::hidden_hidden_bias_scale, "factor of the forget gates' first recurrent bias");
  o("rnn_hidden_size", &P::rnn_hidden_size, "cells of the LSTM, projected to pred_hidden; -1: pred_hidden");
}

void RNNTDecoder::Options::describe(OptionSet<Options>& o) {
  o.required("prednet", &Options::prednet, "the network").example({{"pred_hidden", 8}});
  o.required("vocab_size", &Options::vocab_size, "tokens without the blank, which is the one after them").example(4);
  o("normalization_mode", &Options::normalization_mode, "null; normalized LSTMs are not supported");
  o("random_state_sampling", &Options::random_state_sampling,
    "in training the LSTM starts from a state drawn from a normal distribution");
  o("blank_as_pad", &Options::blank_as_pad, "the blank has an embedding, of zeros");
}

RNNTDecoder::RNNTDecoder(const Options& options) : options_(options) {
  const PredictionNetOptions& p = options_.prednet;
  expect_positive(p.pred_hidden, "prednet.pred_hidden");
  expect_positive(p.pred_rnn_layers, "prednet.pred_rnn_layers");
  expect_positive(options_.vocab_size, "vocab_size");
  expect_dropout(p.dropout);
  if (options_.normalization_mode) {
    throw Error(Code::kUnavailable, "prediction networks with a normalized LSTM are not supported")
        .at("normalization_mode")
        .seen(*options_.normalization_mode)
        .expected("null");
  }
  const int64_t rows = options_.vocab_size + (options_.blank_as_pad ? 1 : 0);
  auto embedding = torch::nn::EmbeddingOptions(rows, p.pred_hidden);
  if (options_.blank_as_pad) embedding.padding_idx(options_.vocab_size);
  embed_ = torch::nn::Embedding(embedding);
  const int64_t cells = p.rnn_hidden_size > 0 ? p.rnn_hidden_size : p.pred_hidden;
  auto lstm = torch::nn::LSTMOptions(p.pred_hidden, cells).num_layers(p.pred_rnn_layers);
  if (p.pred_rnn_layers > 1) lstm.dropout(p.dropout);
  if (p.pred_hidden < cells) lstm.proj_size(p.pred_hidden);
  lstm_ = torch::nn::LSTM(lstm);

  const at::NoGradGuard no_grad;
  for (auto& item : lstm_->named_parameters()) {
    at::Tensor& value = item.value();
    const bool recurrent = item.key().starts_with("bias_hh");
    if (!item.key().starts_with("bias_")) continue;
    if (p.t_max) {  // Tallec and Ollivier 2018, arXiv 1804.11188
      value.zero_();
      value.slice(0, cells, 2 * cells).copy_(at::empty({cells}).uniform_(1, static_cast<double>(*p.t_max - 1)).log());
      value.slice(0, 0, cells).copy_(-value.slice(0, cells, 2 * cells));
    } else if (recurrent) {
      value.slice(0, cells, 2 * cells).mul_(p.hidden_hidden_bias_scale);
    } else {
      value.slice(0, cells, 2 * cells).fill_(p.forget_gate_bias);
    }
  }
  for (auto& value : lstm_->parameters()) value.mul_(p.weights_init_scale);

  auto rnn = std::make_shared<torch::nn::Module>();
  rnn->register_module("lstm", lstm_);
  auto prediction = std::make_shared<torch::nn::Module>();
  prediction->register_module("embed", embed_);
  prediction->register_module("dec_rnn", rnn);
  register_module("prediction", prediction);
}

Ports RNNTDecoder::inputs() const { return prediction_inputs(ElementType{"ElementType", Json::object()}, "D B D"); }
Ports RNNTDecoder::outputs() const { return prediction_outputs(ElementType{"ElementType", Json::object()}, "D B D"); }
Json RNNTDecoder::properties() const {
  return {{"vocab_size", options_.vocab_size}, {"feat_out", options_.prednet.pred_hidden}};
}

RNNTDecoder::Run RNNTDecoder::run(const at::Tensor& embedded, const at::Tensor& h, const at::Tensor& c) {
  const auto& options = lstm_->options;
  at::Tensor hidden = h, cells = c;
  if (!hidden.defined()) {
    const int64_t width = options_.prednet.pred_hidden;
    const bool draw = options_.random_state_sampling && is_training();
    const auto state = [&](int64_t size) {
      const std::vector<int64_t> shape{options.num_layers(), embedded.size(0), size};
      return draw ? at::randn(shape, embedded.options()) : at::zeros(shape, embedded.options());
    };
    hidden = state(options.proj_size() > 0 ? width : options.hidden_size());
    cells = state(options.hidden_size());
  }
  const auto [out, states] = lstm_->forward(embedded.transpose(0, 1), std::make_tuple(hidden, cells));
  at::Tensor outputs = out.transpose(0, 1);
  if (options_.prednet.dropout > 0) outputs = at::dropout(outputs, options_.prednet.dropout, is_training());
  return {outputs, std::get<0>(states), std::get<1>(states)};
}

Values RNNTDecoder::forward(const Values& in) {
  at::Tensor h, c;
  if (const Value* states = in.find("states"); states != nullptr && !states->is_none()) {
    if (states->list().size() != 2) throw Error(Code::kFailed, "the states of an LSTM are two tensors").at("states");
    h = states->list()[0].tensor();
    c = states->list()[1].tensor();
  }
  const Run out = run(after_start(embed_(in.tensor("targets").to(at::kLong))), h, c);
  return {{"outputs", out.outputs.transpose(1, 2)},
          {"prednet_lengths", in.tensor("target_length")},
          {"states", std::vector<Value>{out.h, out.c}}};
}

Values RNNTDecoder::input_example() const {
  return {{"targets", at::zeros({1, 4}, at::kLong)}, {"target_length", at::full({1}, 4, at::kLong)}};
}

Values RNNTDecoder::initial_state(int64_t batch) {
  const auto& options = lstm_->options;
  const auto like = embed_->weight.options();
  const int64_t width = options.proj_size() > 0 ? options.proj_size() : options.hidden_size();
  return {{"h", at::zeros({batch, options.num_layers(), width}, like)},
          {"c", at::zeros({batch, options.num_layers(), options.hidden_size()}, like)}};
}

Recurrent::StepResult RNNTDecoder::step(const Values& in, const Values& state) {
  const at::Tensor labels = in.tensor("label").to(at::kLong);
  const at::Tensor known = labels.clamp_max(embed_->weight.size(0) - 1);  // the blank without an embedding
  const at::Tensor embedded = embedded_step(embed_(known), labels, options_.vocab_size).unsqueeze(1);
  const Run out =
      run(embedded, state.tensor("h").transpose(0, 1).contiguous(), state.tensor("c").transpose(0, 1).contiguous());
  return {{{"outputs", out.outputs.squeeze(1)}}, {{"h", out.h.transpose(0, 1)}, {"c", out.c.transpose(0, 1)}}};
}

// --- StatelessTransducerDecoder --------------------------------------------------------------------------------------

void StatelessNetOptions::describe(OptionSet<StatelessNetOptions>& o) {
  o.required("pred_hidden", &StatelessNetOptions::pred_hidden, "width of all embeddings together").example(8);
  o("dropout", &StatelessNetOptions::dropout, "of the embeddings");
}

void StatelessTransducerDecoder::Options::describe(OptionSet<Options>& o) {
  o.required("prednet", &Options::prednet, "the network").example({{"pred_hidden", 8}});
  o.required("vocab_size", &Options::vocab_size, "tokens without the blank, which is the one after them").example(4);
  o("context_size", &Options::context_size, "how many of the last labels count");
  o("normalization_mode", &Options::normalization_mode, "layer: layer norm without weights; null: none");
}

StatelessTransducerDecoder::StatelessTransducerDecoder(const Options& options) : options_(options) {
  const int64_t width = options_.prednet.pred_hidden, context = options_.context_size;
  expect_positive(width, "prednet.pred_hidden");
  expect_positive(context, "context_size");
  expect_positive(options_.vocab_size, "vocab_size");
  expect_dropout(options_.prednet.dropout);
  if (options_.normalization_mode && *options_.normalization_mode != "layer") {
    throw Error(Code::kFailed, "unknown normalization of a stateless decoder")
        .at("normalization_mode")
        .seen(*options_.normalization_mode)
        .expected("layer or null");
  }
  // Half of the width belongs to the last label, the other half to all of them alike.
  const int64_t older = width / 2 / context;
  if (context > 1 && older < 1) {
    throw Error(Code::kFailed, "pred_hidden is too small for so long a context")
        .at("context_size")
        .seen(std::to_string(context))
        .expected("at most " + std::to_string(width / 2));
  }
  torch::nn::ModuleList embeds;
  for (int64_t i = 0; i < context; ++i) {
    const int64_t part = i == 0 ? width - older * (context - 1) : older;
    embeds_.emplace_back(torch::nn::EmbeddingOptions(options_.vocab_size + 1, part).padding_idx(options_.vocab_size));
    embeds->push_back(embeds_.back());
  }
  auto prediction = std::make_shared<torch::nn::Module>();
  prediction->register_module("embeds", embeds.ptr());
  register_module("prediction", prediction);
}

Ports StatelessTransducerDecoder::inputs() const { return prediction_inputs(LabelsType{}, "B T"); }
Ports StatelessTransducerDecoder::outputs() const { return prediction_outputs(LabelsType{}, "B T"); }
Json StatelessTransducerDecoder::properties() const {
  return {{"vocab_size", options_.vocab_size}, {"feat_out", options_.prednet.pred_hidden}};
}

at::Tensor StatelessTransducerDecoder::joined(const std::vector<at::Tensor>& parts) const {
  at::Tensor out = at::dropout(at::cat(parts, -1), options_.prednet.dropout, is_training());
  return options_.normalization_mode ? at::layer_norm(out, {out.size(-1)}) : out;
}

Values StatelessTransducerDecoder::forward(const Values& in) {
  const at::Tensor labels = in.tensor("targets").to(at::kLong);
  const int64_t history = options_.context_size - 1;
  at::Tensor before;  // (B, history)
  if (const Value* states = in.find("states"); states != nullptr && !states->is_none())
    before = states->list().at(0).tensor().to(at::kLong);
  std::vector<at::Tensor> parts;
  const int64_t count = labels.size(1);
  for (int64_t i = 0; i < options_.context_size; ++i) {
    const at::Tensor own = embeds_[static_cast<size_t>(i)]->forward(labels);
    const int64_t missing = std::min(i, count);
    const at::Tensor left =
        before.defined() ? embeds_[static_cast<size_t>(i)]->forward(before.slice(1, history - i, history - i + missing))
                         : at::zeros({own.size(0), missing, own.size(2)}, own.options());
    parts.push_back(at::cat({left, own.slice(1, 0, count - missing)}, 1));
  }
  const at::Tensor all = before.defined() ? at::cat({before, labels}, 1) : labels;
  return {{"outputs", after_start(joined(parts)).transpose(1, 2)},
          {"prednet_lengths", in.tensor("target_length")},
          {"states", std::vector<Value>{all.slice(1, std::max<int64_t>(0, all.size(1) - history))}}};
}

Values StatelessTransducerDecoder::input_example() const {
  return {{"targets", at::zeros({1, 4}, at::kLong)}, {"target_length", at::full({1}, 4, at::kLong)}};
}

Values StatelessTransducerDecoder::initial_state(int64_t batch) {
  return {{"labels", at::full({batch, options_.context_size - 1}, options_.vocab_size, at::kLong)}};
}

Recurrent::StepResult StatelessTransducerDecoder::step(const Values& in, const Values& state) {
  const at::Tensor labels = in.tensor("label").to(at::kLong);
  const at::Tensor history = at::cat({state.tensor("labels"), labels.unsqueeze(1)}, 1);  // (B, context_size)
  const int64_t context = options_.context_size;
  std::vector<at::Tensor> parts;
  for (int64_t i = 0; i < context; ++i)
    parts.push_back(embeds_[static_cast<size_t>(i)]->forward(history.select(1, context - 1 - i)));
  // The start is a vector of zeros; the history behind it stays empty.
  const at::Tensor out = embedded_step(joined(parts), labels, options_.vocab_size);
  const at::Tensor started = labels.ne(options_.vocab_size).unsqueeze(1);
  return {{{"outputs", out}}, {{"labels", at::where(started, history.slice(1, 1), state.tensor("labels"))}}};
}

}  // namespace fathom::asr
