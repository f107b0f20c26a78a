#include "plugins/tts/modules/alignment_encoder.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>

#include <limits>

#include "plugins/lib/option_range.h"
#include "plugins/tts/modules/alignment_path.h"

namespace fathom::tts {
namespace {

Ports aligner_inputs() {
  return {{"queries", {"B D T", SpectrogramType{}}},
          {"keys", {"B D T", EncodedRepresentation{}}},
          {"mask", {"B T D", MaskType{}}, /*is_optional=*/true},
          {"attn_prior", {"B T D", ProbsType{}}, /*is_optional=*/true},
          {"conditioning", {"B T D", EncodedRepresentation{}}, /*is_optional=*/true}};
}
Ports aligner_outputs() { return {{"attn", {"B S T D", ProbsType{}}}, {"attn_logprob", {"B S T D", LogprobsType{}}}}; }

template <typename Number>
void binarize(const at::Tensor& scores, const int64_t* tokens, const int64_t* frames, at::Tensor& hard,
              at::Tensor& durations) {
  const int64_t batch = scores.size(0), time = scores.size(1), width = scores.size(2);
  for (int64_t b = 0; b < batch; ++b) {
    const auto path = best_path(scores.const_data_ptr<Number>() + b * time * width, frames[b], tokens[b], width);
    Number* out = hard.mutable_data_ptr<Number>() + b * time * width;
    Number* sums = durations.mutable_data_ptr<Number>() + b * width;
    int64_t frame = 0;
    for (size_t token = 0; token < path.size(); ++token) {
      sums[token] = static_cast<Number>(path[token]);
      for (int64_t i = 0; i < path[token]; ++i) out[frame++ * width + static_cast<int64_t>(token)] = 1;
    }
  }
}

}  // namespace

void AlignmentEncoder::Options::describe(OptionSet<Options>& o) {
  o("n_mel_channels", &Options::n_mel_channels, "mel bands");
  o("n_text_channels", &Options::n_text_channels, "width of a token's embedding");
  o("n_att_channels", &Options::n_att_channels, "width in which both are compared");
  o("temperature", &Options::temperature, "what distances are multiplied with: 0.0005 for l2, 15 for cosine");
  o("condition_types", &Options::condition_types, "what a speaker's embedding changes: add, concat");
  o("dist_type", &Options::dist_type, "l2 or cosine");
}

AlignmentEncoder::AlignmentEncoder(const Options& o) : options_(o) {
  constexpr int64_t kWidest = 1 << 16;
  check_range("n_mel_channels", o.n_mel_channels, 1, kWidest);
  check_range("n_text_channels", o.n_text_channels, 1, kWidest);
  check_range("n_att_channels", o.n_att_channels, 1, kWidest);
  if (o.dist_type != "l2" && o.dist_type != "cosine")
    throw Error(Code::kFailed, "unknown distance").at("dist_type").seen(o.dist_type).expected("l2 or cosine");
  condition_ = register_module(
      "cond_input", std::make_shared<ConditionalInput>(o.n_text_channels, o.n_text_channels, o.condition_types));
  const auto add = [&](torch::nn::Module& list, std::vector<torch::nn::Conv1d>& own, int64_t place, int64_t in,
                       int64_t out, int64_t kernel, double gain) {
    const auto layer = list.register_module(std::to_string(place), std::make_shared<torch::nn::Module>());
    own.push_back(layer->register_module(
        "conv", torch::nn::Conv1d(torch::nn::Conv1dOptions(in, out, kernel).padding(kernel / 2))));
    torch::nn::init::xavier_uniform_(own.back()->weight, gain);
  };
  const double relu_gain = torch::nn::init::calculate_gain(torch::kReLU);
  const int64_t text = o.n_text_channels, mel = o.n_mel_channels;
  const auto key = register_module("key_proj", std::make_shared<torch::nn::Module>());
  add(*key, key_, 0, text, text * 2, 3, relu_gain);
  add(*key, key_, 2, text * 2, o.n_att_channels, 1, 1);
  const auto query = register_module("query_proj", std::make_shared<torch::nn::Module>());
  add(*query, query_, 0, mel, mel * 2, 3, relu_gain);
  add(*query, query_, 2, mel * 2, mel, 1, 1);
  add(*query, query_, 4, mel, o.n_att_channels, 1, 1);
}

Ports AlignmentEncoder::inputs() const { return aligner_inputs(); }
Ports AlignmentEncoder::outputs() const { return aligner_outputs(); }
void AlignmentEncoder::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(aligner_inputs());
  schema["outputs"] = ports_json(aligner_outputs());
}

at::Tensor AlignmentEncoder::distance(const at::Tensor& queries, const at::Tensor& keys) const {
  if (options_.dist_type == "cosine") return -at::cosine_similarity(queries.unsqueeze(3), keys.unsqueeze(2), 1);
  // |q - k|^2 summed in the order of NeMo's: q^2 - 2qk + k^2 would lose what the temperature leaves of close ones.
  return (queries.unsqueeze(3) - keys.unsqueeze(2)).pow(2).sum(1);
}

Values AlignmentEncoder::forward(const Values& in) {
  at::Tensor keys =
      condition_->forward(in.tensor("keys").transpose(1, 2), in.tensor_or_undefined("conditioning")).transpose(1, 2);
  at::Tensor queries = in.tensor("queries");
  for (size_t i = 0; i < key_.size(); ++i) keys = key_[i](i == 0 ? keys : at::relu(keys));
  for (size_t i = 0; i < query_.size(); ++i) queries = query_[i](i == 0 ? queries : at::relu(queries));
  const auto wide = [](const at::Tensor& x) { return c10::elementSize(x.scalar_type()) < 4 ? x.to(at::kFloat) : x; };
  at::Tensor scores = (distance(wide(queries), wide(keys)) * -options_.temperature).unsqueeze(1);
  if (const at::Tensor prior = in.tensor_or_undefined("attn_prior"); prior.defined())
    scores = at::log_softmax(scores, 3) + at::log(prior.unsqueeze(1) + 1e-8);
  at::Tensor masked = scores;
  if (const at::Tensor mask = in.tensor_or_undefined("mask"); mask.defined()) {
    // NeMo writes into the data: no gradient is lost that way, and none here either, as their weight is zero.
    masked = scores.masked_fill(mask.transpose(1, 2).unsqueeze(1), -std::numeric_limits<double>::infinity());
  }
  return {{"attn", at::softmax(masked, 3)}, {"attn_logprob", scores}};
}

Values AlignmentEncoder::input_example() const {
  const auto options = key_[0]->weight.options().requires_grad(false);
  return {{"queries", at::randn({1, options_.n_mel_channels, 32}, options)},
          {"keys", at::randn({1, options_.n_text_channels, 8}, options)}};
}

std::pair<at::Tensor, at::Tensor> binarize_attention(const at::Tensor& attn, const at::Tensor& in_lens,
                                                     const at::Tensor& out_lens) {
  const at::NoGradGuard no_grad;
  const at::Tensor scores = at::log(attn.detach()).squeeze(1).cpu().contiguous();
  const at::Tensor tokens = in_lens.to(at::kLong).cpu().contiguous(),
                   frames = out_lens.to(at::kLong).cpu().contiguous();
  for (int64_t b = 0; b < scores.size(0); ++b) {
    const int64_t t = tokens.const_data_ptr<int64_t>()[b], f = frames.const_data_ptr<int64_t>()[b];
    if (t >= 1 && f >= t && t <= scores.size(2) && f <= scores.size(1)) continue;
    throw Error(Code::kBadData, "an item cannot be aligned: every token needs a frame")
        .at("item " + std::to_string(b) + " of the batch")
        .seen(std::to_string(f) + " frames for " + std::to_string(t) + " tokens")
        .expected("at least one token, and as many frames")
        .next("leave out such clips (min_duration), or see whether text and audio belong together");
  }
  at::Tensor hard = at::zeros_like(scores), durations = at::zeros({scores.size(0), scores.size(2)}, scores.options());
  if (scores.scalar_type() == at::kDouble)
    binarize<double>(scores, tokens.const_data_ptr<int64_t>(), frames.const_data_ptr<int64_t>(), hard, durations);
  else
    binarize<float>(scores, tokens.const_data_ptr<int64_t>(), frames.const_data_ptr<int64_t>(), hard, durations);
  return {hard.unsqueeze(1).to(attn.device()), durations.to(attn.device())};
}

}  // namespace fathom::tts
