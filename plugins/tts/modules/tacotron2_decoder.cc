#include "plugins/tts/modules/tacotron2_decoder.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/container/modulelist.h>

#include <cmath>

#include "fathom/support.h"
#include "plugins/lib/option_range.h"
#include "plugins/tts/modules/lstm_step.h"

namespace fathom::tts {
namespace {

constexpr double kAttentionGain = 5.0 / 3;

Ports frame_decoder_inputs() {
  return {{"memory", {"B T D", EmbeddedTextType{}}},
          {"memory_lengths", {"B", LengthsType{}}},
          {"decoder_inputs", {"B D T", MelSpectrogramType{}}, /*is_optional=*/true},
          {"seed", {std::nullopt, IntType{}}, /*is_optional=*/true}};
}
Ports frame_decoder_outputs() {
  return {{"mel_outputs", {"B D T", MelSpectrogramType{}}},
          {"gate_outputs", {"B T", LogitsType{}}},
          {"alignments", {"B T T", ElementType{"SequenceToSequenceAlignmentType", Json::object()}}},
          {"mel_lengths", {"B", LengthsType{}}, /*is_optional=*/true}};
}

at::Tensor dropped(const at::Tensor& x, double p, bool on) { return on && p > 0 ? at::dropout(x, p, true) : x; }

// A linear layer inside a module of its own, as NeMo names it, with Xavier's initialisation.
torch::nn::Linear named_linear(torch::nn::Module& parent, const std::string& name, int64_t in, int64_t out, bool bias,
                               double gain) {
  const auto holder = parent.register_module(name, std::make_shared<torch::nn::Module>());
  torch::nn::Linear linear =
      holder->register_module("linear_layer", torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(bias)));
  torch::nn::init::xavier_uniform_(linear->weight, gain);
  return linear;
}

// A cell's products of what recurs: the weight of [input beyond `own`, hidden] and both biases.
at::Tensor recurrent_weight(const torch::nn::LSTMCell& cell, int64_t own) {
  return at::cat({cell->weight_ih.narrow(1, own, cell->weight_ih.size(1) - own), cell->weight_hh}, 1).t();
}
at::Tensor biases(const torch::nn::LSTMCell& cell) { return cell->bias_ih + cell->bias_hh; }

}  // namespace

void Tacotron2DecoderOptions::describe(OptionSet<Tacotron2DecoderOptions>& o) {
  using Options = Tacotron2DecoderOptions;
  o("n_mel_channels", &Options::n_mel_channels, "mel bands");
  o("n_frames_per_step", &Options::n_frames_per_step, "frames that one step makes");
  o("encoder_embedding_dim", &Options::encoder_embedding_dim, "width of the encoder's output");
  o("attention_dim", &Options::attention_dim, "width of the attention");
  o("attention_location_n_filters", &Options::attention_location_n_filters, "filters of where it looked before");
  o("attention_location_kernel_size", &Options::attention_location_kernel_size, "their length, odd", "tokens");
  o("attention_rnn_dim", &Options::attention_rnn_dim, "cells of the LSTM that attends");
  o("decoder_rnn_dim", &Options::decoder_rnn_dim, "cells of the LSTM after it");
  o("prenet_dim", &Options::prenet_dim, "width of the pre-net");
  o("max_decoder_steps", &Options::max_decoder_steps, "where speaking ends whatever the gate says", "steps");
  o("gate_threshold", &Options::gate_threshold, "probability of the end above which it is one");
  o("p_attention_dropout", &Options::p_attention_dropout, "after the LSTM that attends");
  o("p_decoder_dropout", &Options::p_decoder_dropout, "after the other");
  o("prenet_p_dropout", &Options::prenet_p_dropout, "of the pre-net, in inference too");
  o("early_stopping", &Options::early_stopping, "false: always speak max_decoder_steps");
}

Tacotron2Decoder::Tacotron2Decoder(const Options& o) : options_(o) {
  constexpr int64_t kWidest = 1 << 14;
  check_range("n_mel_channels", o.n_mel_channels, 1, kWidest);
  check_range("n_frames_per_step", o.n_frames_per_step, 1, 100);
  check_range("encoder_embedding_dim", o.encoder_embedding_dim, 1, kWidest);
  check_range("attention_dim", o.attention_dim, 1, kWidest);
  check_range("attention_location_n_filters", o.attention_location_n_filters, 1, kWidest);
  check_range("attention_location_kernel_size", o.attention_location_kernel_size, 1, 1 << 10);
  check_range("attention_rnn_dim", o.attention_rnn_dim, 1, kWidest);
  check_range("decoder_rnn_dim", o.decoder_rnn_dim, 1, kWidest);
  check_range("prenet_dim", o.prenet_dim, 1, kWidest);
  check_range("max_decoder_steps", o.max_decoder_steps, 1, 1000000);
  if (o.attention_location_kernel_size % 2 == 0) {
    throw Error(Code::kFailed, "option is out of range")
        .at("attention_location_kernel_size")
        .seen(std::to_string(o.attention_location_kernel_size))
        .expected("an odd number");
  }
  const int64_t frame = o.n_mel_channels * o.n_frames_per_step;
  const auto prenet = register_module("prenet", std::make_shared<torch::nn::Module>());
  const auto layers = prenet->register_module("layers", std::make_shared<torch::nn::Module>());
  prenet_.push_back(named_linear(*layers, "0", frame, o.prenet_dim, false, 1));
  prenet_.push_back(named_linear(*layers, "1", o.prenet_dim, o.prenet_dim, false, 1));
  attention_rnn_ = register_module("attention_rnn",
                                   torch::nn::LSTMCell(o.prenet_dim + o.encoder_embedding_dim, o.attention_rnn_dim));
  const auto attention = register_module("attention_layer", std::make_shared<torch::nn::Module>());
  query_ = named_linear(*attention, "query_layer", o.attention_rnn_dim, o.attention_dim, false, kAttentionGain);
  memory_ = named_linear(*attention, "memory_layer", o.encoder_embedding_dim, o.attention_dim, false, kAttentionGain);
  v_ = named_linear(*attention, "v", o.attention_dim, 1, false, 1);
  const auto location = attention->register_module("location_layer", std::make_shared<torch::nn::Module>());
  const auto holder = location->register_module("location_conv", std::make_shared<torch::nn::Module>());
  const int64_t kernel = o.attention_location_kernel_size;
  location_conv_ = holder->register_module(
      "conv",
      torch::nn::Conv1d(
          torch::nn::Conv1dOptions(2, o.attention_location_n_filters, kernel).padding((kernel - 1) / 2).bias(false)));
  torch::nn::init::xavier_uniform_(location_conv_->weight);
  location_dense_ =
      named_linear(*location, "location_dense", o.attention_location_n_filters, o.attention_dim, false, kAttentionGain);
  decoder_rnn_ = register_module("decoder_rnn",
                                 torch::nn::LSTMCell(o.attention_rnn_dim + o.encoder_embedding_dim, o.decoder_rnn_dim));
  projection_ = named_linear(*this, "linear_projection", o.decoder_rnn_dim + o.encoder_embedding_dim, frame, true, 1);
  gate_ = named_linear(*this, "gate_layer", o.decoder_rnn_dim + o.encoder_embedding_dim, 1, true, 1);
}

Ports Tacotron2Decoder::inputs() const { return frame_decoder_inputs(); }
Ports Tacotron2Decoder::outputs() const { return frame_decoder_outputs(); }
void Tacotron2Decoder::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(frame_decoder_inputs());
  schema["outputs"] = ports_json(frame_decoder_outputs());
}

struct Tacotron2Decoder::Memory {
  at::Tensor values;     // (B, S, E)
  at::Tensor keys;       // (B, A, S)
  at::Tensor hidden;     // (B, S), true beyond an item's end; undefined where none ends early
  at::Tensor locations;  // (A, 2, K): convolution and dense layer in one
  at::Tensor recurrent;  // (E + H, 4H)
};

struct Tacotron2Decoder::Looked {
  at::Tensor hidden, cell, context;  // (B, H), (B, H), (B, E)
  at::Tensor weights, sum;           // (B, S): of the last frame, and of all
};

Tacotron2Decoder::Memory Tacotron2Decoder::memory_of(const at::Tensor& memory, const at::Tensor& lengths) const {
  Memory made;
  made.values = memory;
  made.keys = at::linear(memory, memory_->weight).transpose(1, 2).contiguous();
  const int64_t width = memory.size(1);
  made.hidden = (at::arange(width, lengths.options()).unsqueeze(0) >= lengths.unsqueeze(1)).to(memory.device());
  made.locations = at::matmul(location_dense_->weight, location_conv_->weight.flatten(1))
                       .view({options_.attention_dim, 2, options_.attention_location_kernel_size});
  made.recurrent = recurrent_weight(attention_rnn_, options_.prenet_dim);
  return made;
}

Tacotron2Decoder::Looked Tacotron2Decoder::start(const Memory& memory) const {
  const auto zeros = [&](int64_t width) { return at::zeros({memory.values.size(0), width}, memory.values.options()); };
  const int64_t width = options_.attention_rnn_dim, tokens = memory.values.size(1);
  return {zeros(width), zeros(width), zeros(options_.encoder_embedding_dim), zeros(tokens), zeros(tokens)};
}

// One frame: `projected` (B, 4H) is the pre-net's part of the gates, with the biases.
void Tacotron2Decoder::look(const Memory& memory, const at::Tensor& projected, Looked& looked) const {
  const at::Tensor gates = at::addmm(projected, at::cat({looked.context, looked.hidden}, 1), memory.recurrent);
  std::tie(looked.hidden, looked.cell) = lstm_step(gates, looked.cell);
  looked.hidden = dropped(looked.hidden, options_.p_attention_dropout, is_training());
  const at::Tensor before = at::stack({looked.weights, looked.sum}, 1);
  const at::Tensor query = at::linear(looked.hidden, query_->weight).unsqueeze(2);
  const at::Tensor places =
      at::conv1d(before, memory.locations, {}, 1, (options_.attention_location_kernel_size - 1) / 2);
  const at::Tensor energies = at::matmul(v_->weight, at::tanh(places + memory.keys + query)).squeeze(1);
  looked.weights = at::softmax(energies.masked_fill(memory.hidden, -INFINITY), 1);
  looked.context = at::bmm(looked.weights.unsqueeze(1), memory.values).squeeze(1);
  looked.sum = looked.sum + looked.weights;
}

// Dropout that is always on. In inference all items of a batch share a mask, as in NeMo.
at::Tensor Tacotron2Decoder::prenet(at::Tensor x, bool shared, std::optional<at::Generator> generator) const {
  const double p = options_.prenet_p_dropout;
  for (const auto& layer : prenet_) {
    x = at::relu(at::linear(x, layer->weight));
    if (p <= 0) continue;
    if (!shared) {
      x = at::dropout(x, p, /*train=*/true);
      continue;
    }
    // Generators of seeds live on the CPU.
    const auto where = generator ? x.options().device(at::kCPU) : x.options();
    x = x * at::empty({1, x.size(1)}, where).bernoulli_(1 - p, generator).div_(1 - p).to(x.device());
  }
  return x;
}

// mel (T, B, D·r), gate (T, B, 1), alignments of each step (B, S).
Tacotron2Decoder::Output Tacotron2Decoder::shaped(const at::Tensor& mel, const at::Tensor& gate,
                                                  const std::vector<at::Tensor>& alignments) const {
  const int64_t items = mel.size(1);
  return {mel.transpose(0, 1).reshape({items, -1, options_.n_mel_channels}).transpose(1, 2),
          gate.squeeze(2).transpose(0, 1).contiguous(),
          at::stack(alignments, 1),
          {}};
}

Tacotron2Decoder::Output Tacotron2Decoder::follow(const at::Tensor& memory, const at::Tensor& lengths,
                                                  const at::Tensor& frames) {
  const int64_t items = frames.size(0), each = options_.n_frames_per_step;
  if (frames.size(2) == 0 || frames.size(2) % each != 0) {
    throw Error(Code::kBadData, "the spectrogram is no whole number of steps long")
        .seen(std::to_string(frames.size(2)) + " frames")
        .expected("a multiple of n_frames_per_step: " + std::to_string(each) + ", and not 0")
        .next("set preprocessor.pad_to to a multiple of it");
  }
  // What does not recur is done for all frames at once: each is made of the one before it, the first of nothing.
  at::Tensor real = frames.transpose(1, 2).reshape({items, frames.size(2) / each, -1}).transpose(0, 1);
  const int64_t steps = real.size(0);
  real = at::cat({at::zeros_like(real.narrow(0, 0, 1)), real.narrow(0, 0, steps - 1)}, 0);
  const Memory known = memory_of(memory, lengths);
  const auto projected = at::linear(prenet(real, /*shared=*/false, std::nullopt),
                                    attention_rnn_->weight_ih.narrow(1, 0, options_.prenet_dim), biases(attention_rnn_))
                             .unbind(0);
  Looked looked = start(known);
  std::vector<at::Tensor> attended, contexts, alignments;
  for (int64_t i = 0; i < steps; ++i) {
    look(known, projected[static_cast<size_t>(i)], looked);
    attended.push_back(looked.hidden);
    contexts.push_back(looked.context);
    alignments.push_back(looked.weights);
  }
  // The attention hears nothing of the second LSTM, which runs after it over all frames.
  const at::Tensor context = at::stack(contexts, 0);
  const auto given =
      at::linear(at::cat({at::stack(attended, 0), context}, 2), decoder_rnn_->weight_ih, biases(decoder_rnn_))
          .unbind(0);
  const at::Tensor recurrent = decoder_rnn_->weight_hh.t();
  at::Tensor hidden = at::zeros({items, options_.decoder_rnn_dim}, memory.options()), cell = hidden;
  std::vector<at::Tensor> spoken;
  for (int64_t i = 0; i < steps; ++i) {
    std::tie(hidden, cell) = lstm_step(at::addmm(given[static_cast<size_t>(i)], hidden, recurrent), cell);
    hidden = dropped(hidden, options_.p_decoder_dropout, is_training());
    spoken.push_back(hidden);
  }
  const at::Tensor all = at::cat({at::stack(spoken, 0), context}, 2);
  return shaped(projection_(all), gate_(all), alignments);
}

Tacotron2Decoder::Output Tacotron2Decoder::speak(const at::Tensor& memory, const at::Tensor& lengths,
                                                 std::optional<at::Generator> generator) {
  const Memory known = memory_of(memory, lengths);
  Looked looked = start(known);
  const int64_t items = memory.size(0);
  const at::Tensor own = attention_rnn_->weight_ih.narrow(1, 0, options_.prenet_dim),
                   attention_bias = biases(attention_rnn_), decoder_bias = biases(decoder_rnn_),
                   recurrent = recurrent_weight(decoder_rnn_, 0),
                   output = at::cat({projection_->weight, gate_->weight}, 0),
                   output_bias = at::cat({projection_->bias, gate_->bias}, 0);
  at::Tensor frame = at::zeros({items, options_.n_mel_channels * options_.n_frames_per_step}, memory.options());
  at::Tensor hidden = at::zeros({items, options_.decoder_rnn_dim}, memory.options()), cell = hidden;
  at::Tensor running = at::ones({items}, memory.options().dtype(at::kInt)), counts = at::zeros_like(running);
  std::vector<at::Tensor> frames, gates, alignments;
  bool cut = false;
  while (true) {
    look(known, at::linear(prenet(frame, /*shared=*/true, generator), own, attention_bias), looked);
    std::tie(hidden, cell) =
        lstm_step(at::addmm(decoder_bias, at::cat({looked.hidden, looked.context, hidden}, 1), recurrent), cell);
    const at::Tensor made = at::linear(at::cat({hidden, looked.context}, 1), output, output_bias);
    frame = made.narrow(1, 0, frame.size(1));
    const at::Tensor gate = made.narrow(1, frame.size(1), 1);
    running = running * (at::sigmoid(gate.squeeze(1)) <= options_.gate_threshold).to(at::kInt);
    counts = counts + running;
    if (options_.early_stopping && !frames.empty() && running.sum().item<int64_t>() == 0) break;
    frames.push_back(frame);
    gates.push_back(gate);
    alignments.push_back(looked.weights);
    if (static_cast<int64_t>(frames.size()) < options_.max_decoder_steps) continue;
    cut = options_.early_stopping;
    break;
  }
  Output out = shaped(at::stack(frames, 0), at::stack(gates, 0), alignments);
  out.lengths = counts;
  out.cut = cut;
  return out;
}

Values Tacotron2Decoder::forward(const Values& in) {
  const at::Tensor &memory = in.tensor("memory"), &lengths = in.tensor("memory_lengths");
  if (is_training()) {
    const at::Tensor frames = in.tensor_or_undefined("decoder_inputs");
    if (!frames.defined())
      throw Error(Code::kBadData, "a decoder in training needs the real frames").at("decoder_inputs");
    const Output out = follow(memory, lengths, frames);
    return {{"mel_outputs", out.mel}, {"gate_outputs", out.gate}, {"alignments", out.alignments}};
  }
  std::optional<at::Generator> generator;
  if (const Value* seed = in.find("seed"); seed != nullptr && !seed->is_none())
    generator = at::detail::createCPUGenerator(static_cast<uint64_t>(seed->integer()));
  const Output out = speak(memory, lengths, generator);
  if (out.cut) {
    log(LogLevel::kWarning, "tacotron2",
        "the decoder went on to max_decoder_steps (" + std::to_string(options_.max_decoder_steps) +
            "): its gate never opened; the text may be too long, or the model too little trained");
  }
  return {{"mel_outputs", out.mel},
          {"gate_outputs", out.gate},
          {"alignments", out.alignments},
          {"mel_lengths", out.lengths}};
}

Values Tacotron2Decoder::input_example() const {
  const auto options = v_->weight.options().requires_grad(false);
  Values example = {{"memory", at::randn({1, 16, options_.encoder_embedding_dim}, options)},
                    {"memory_lengths", at::full({1}, 16, at::kLong)}};
  if (is_training())
    example.add("decoder_inputs", at::randn({1, options_.n_mel_channels, 8 * options_.n_frames_per_step}, options));
  return example;
}

}  // namespace fathom::tts
