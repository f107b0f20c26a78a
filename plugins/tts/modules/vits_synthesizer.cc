#include "plugins/tts/modules/vits_synthesizer.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

#include "plugins/lib/option_range.h"
#include "plugins/tts/modules/alignment_path.h"

namespace fathom::tts {
namespace {

constexpr int64_t kMostOfVits = 1 << 14;
// Frames of one utterance that anything can be made of: an hour; more is a model gone wild.
constexpr double kMostFrames = 1 << 19;

Ports synthesizer_inputs() {
  return {{"text", {"B T", TokenIndex{}}},
          {"text_len", {"B", LengthsType{}}},
          {"spec", {"B D T", SpectrogramType{}}},
          {"spec_len", {"B", LengthsType{}}},
          {"speakers", {"B", Index{}}, /*is_optional=*/true},
          {"posterior_noise", {"B D T", VoidType{}}, /*is_optional=*/true},
          {"duration_noise", {"B D T", VoidType{}}, /*is_optional=*/true},
          {"segment_draws", {"B", VoidType{}}, /*is_optional=*/true}};
}
Ports synthesizer_outputs() {
  return {{"audio", {"B S T", AudioSignal{}}}, {"l_length", {"B", VoidType{}}},      {"durations", {"B T", VoidType{}}},
          {"ids_slice", {"B", Index{}}},       {"spec_mask", {"B S T", VoidType{}}}, {"z", {"B D T", VoidType{}}},
          {"z_p", {"B D T", VoidType{}}},      {"m_p", {"B D T", VoidType{}}},       {"logs_p", {"B D T", VoidType{}}},
          {"m_q", {"B D T", VoidType{}}},      {"logs_q", {"B D T", VoidType{}}}};
}

at::Tensor normal(at::IntArrayRef shape, const at::TensorOptions& options,
                  const std::optional<at::Generator>& generator) {
  // Generators of seeds live on the CPU.
  if (generator) return at::randn(shape, generator, options.device(at::kCPU)).to(options.device());
  return at::randn(shape, options);
}

// values (B, C, S) spread over frames (B, 1, T), zero where the mask is.
at::Tensor spread(const at::Tensor& values, const at::Tensor& tokens, const at::Tensor& mask) {
  return values.gather(2, tokens.expand({values.size(0), values.size(1), tokens.size(2)})) * mask;
}

}  // namespace

void VitsSynthesizerOptions::describe(OptionSet<VitsSynthesizerOptions>& o) {
  using Options = VitsSynthesizerOptions;
  o("n_vocab", &Options::n_vocab, "tokens; given by the model").example(16);
  o("spec_channels", &Options::spec_channels, "frequencies of the spectrogram; given by the model");
  o("segment_size", &Options::segment_size, "of the part that is made audio of in training; given by the model",
    "frames");
  o("padding_idx", &Options::padding_idx, "the token of padding; given by the model");
  o("inter_channels", &Options::inter_channels, "channels of what stands between text and audio, even");
  o("hidden_channels", &Options::hidden_channels, "channels of the encoders");
  o("filter_channels", &Options::filter_channels, "channels inside the text encoder's convolutions");
  o("n_heads", &Options::n_heads, "heads of the text encoder's attention");
  o("n_layers", &Options::n_layers, "its layers");
  o("kernel_size", &Options::kernel_size, "of its convolutions", "tokens");
  o("p_dropout", &Options::p_dropout, "dropout in it");
  o("n_speakers", &Options::n_speakers, "voices; more than 1: a table of embeddings");
  o("gin_channels", &Options::gin_channels, "width of a speaker's embedding");
  o("use_sdp", &Options::use_sdp, "durations are drawn; false: one number each");
  o("resblock", &Options::resblock, "kind of the generator's residual blocks: \"1\" (text) or 2");
  o.required("upsample_rates", &Options::upsample_rates, "how much each stage lengthens; the product is the hop")
      .example({8, 4});
  o.required("upsample_kernel_sizes", &Options::upsample_kernel_sizes, "of the transposed convolutions")
      .example({16, 8});
  o("upsample_initial_channel", &Options::upsample_initial_channel,
    "channels before the first stage; each halves them");
  o.required("resblock_kernel_sizes", &Options::resblock_kernel_sizes, "of the residual blocks side by side")
      .example({3, 7});
  o.required("resblock_dilation_sizes", &Options::resblock_dilation_sizes, "the dilations of each of them")
      .example({{1, 3, 5}, {1, 3, 5}});
}

PosteriorEncoder::PosteriorEncoder(int64_t in, int64_t out, int64_t hidden, int64_t condition_channels) {
  pre_ = register_module("pre", plain_conv(in, hidden));
  convs_ = register_module("enc", std::make_shared<GatedConvStack>(hidden, 5, 1, 16, condition_channels));
  proj_ = register_module("proj", plain_conv(hidden, 2 * out));
}

PosteriorEncoder::Output PosteriorEncoder::forward(const at::Tensor& spec, const at::Tensor& lengths,
                                                   const at::Tensor& condition, at::Tensor noise) {
  const at::Tensor mask = mask_of(lengths, spec.size(2), spec.options());
  const auto stats = (proj_(convs_->forward(pre_(spec) * mask, mask, condition)) * mask).chunk(2, 1);
  if (!noise.defined()) noise = at::randn_like(stats[0]);
  return {(stats[0] + noise * at::exp(stats[1])) * mask, stats[0], stats[1], mask};
}

VitsSynthesizer::VitsSynthesizer(const Options& o) : options_(o) {
  check_range("n_vocab", o.n_vocab, 1, 1 << 20);
  check_range("spec_channels", o.spec_channels, 1, kMostOfVits);
  check_range("segment_size", o.segment_size, 1, 1 << 20);
  check_range("inter_channels", o.inter_channels, 2, kMostOfVits);
  check_range("hidden_channels", o.hidden_channels, 1, kMostOfVits);
  check_range("filter_channels", o.filter_channels, 1, kMostOfVits);
  check_range("n_heads", o.n_heads, 1, kMostOfVits);
  check_range("n_layers", o.n_layers, 0, 1000);
  check_range("kernel_size", o.kernel_size, 1, 1 << 10);
  check_range("n_speakers", o.n_speakers, 0, 1 << 24);
  check_range("gin_channels", o.gin_channels, o.n_speakers > 1 ? 1 : 0, kMostOfVits);
  check_range("padding_idx", o.padding_idx, 0, o.n_vocab - 1);
  if (o.inter_channels % 2 != 0 || o.hidden_channels % o.n_heads != 0) {
    throw Error(Code::kFailed, "option is out of range")
        .at(o.inter_channels % 2 != 0 ? "inter_channels" : "n_heads")
        .seen(std::to_string(o.inter_channels % 2 != 0 ? o.inter_channels : o.n_heads))
        .expected(o.inter_channels % 2 != 0 ? "an even number"
                                            : "a divisor of hidden_channels: " + std::to_string(o.hidden_channels));
  }
  text_encoder_ =
      register_module("enc_p", std::make_shared<VitsTextEncoder>(VitsTextOptions{.n_vocab = o.n_vocab,
                                                                                 .out_channels = o.inter_channels,
                                                                                 .hidden_channels = o.hidden_channels,
                                                                                 .filter_channels = o.filter_channels,
                                                                                 .n_heads = o.n_heads,
                                                                                 .n_layers = o.n_layers,
                                                                                 .kernel_size = o.kernel_size,
                                                                                 .padding_idx = o.padding_idx,
                                                                                 .p_dropout = o.p_dropout}));
  VitsGeneratorOptions generator = o;
  generator.initial_channel = o.inter_channels;
  generator_ = register_module("dec", std::make_shared<VitsGenerator>(generator));
  posterior_ = register_module("enc_q", std::make_shared<PosteriorEncoder>(o.spec_channels, o.inter_channels,
                                                                           o.hidden_channels, o.gin_channels));
  flow_ = register_module("flow", std::make_shared<CouplingBlock>(o.inter_channels, o.hidden_channels, o.gin_channels));
  if (o.use_sdp) {
    stochastic_ =
        register_module("dp", std::make_shared<StochasticDurations>(o.hidden_channels, 3, 0.5, 4, o.gin_channels));
  } else {
    plain_ = register_module("dp", std::make_shared<PlainDurations>(o.hidden_channels, 256, 3, 0.5, o.gin_channels));
  }
  if (o.n_speakers > 1)
    speaker_embedding_ = register_module("emb_g", torch::nn::Embedding(o.n_speakers, o.gin_channels));
}

Ports VitsSynthesizer::inputs() const { return synthesizer_inputs(); }
Ports VitsSynthesizer::outputs() const { return synthesizer_outputs(); }
void VitsSynthesizer::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(synthesizer_inputs());
  schema["outputs"] = ports_json(synthesizer_outputs());
}

// An embedding would say no more than that an index is out of range.
void VitsSynthesizer::check_indices(const at::Tensor& values, int64_t count, const char* what) {
  if (values.numel() == 0) throw Error(Code::kBadData, std::string("there is no ") + what);
  const int64_t least = values.min().item<int64_t>(), most = values.max().item<int64_t>();
  if (least >= 0 && most < count) return;
  throw Error(Code::kBadData, std::string("the model has no such ") + what)
      .seen(std::to_string(least < 0 ? least : most))
      .expected("0 to " + std::to_string(count - 1));
}

at::Tensor VitsSynthesizer::condition_of(const at::Tensor& speakers, bool required) {
  if (options_.n_speakers <= 1) return {};
  if (!speakers.defined()) {
    if (!required) return {};
    throw Error(Code::kBadData, "a model of several voices is not told whose this is")
        .at("speakers")
        .expected("speaker_id in the dataset's sup_data_types");
  }
  check_indices(speakers, options_.n_speakers, "speaker");
  return speaker_embedding_(speakers).unsqueeze(-1);
}

at::Tensor VitsSynthesizer::tokens_of_frames(const at::Tensor& durations, int64_t frames) {
  const at::Tensor ends = durations.cumsum(1).to(at::kLong).contiguous();
  const at::Tensor frame = at::arange(frames, ends.options()).expand({durations.size(0), frames}).contiguous();
  return at::searchsorted(ends, frame, /*out_int32=*/false, /*right=*/true)
      .clamp_max(durations.size(1) - 1)
      .unsqueeze(1);
}

// The most probable way through the frames' likelihoods under each token's normal distribution (Glow-TTS, Kim et al.
// 2020, arXiv:2005.11129, 2.2): frames of each token.
at::Tensor VitsSynthesizer::search(const at::Tensor& z_p, const VitsTextEncoder::Output& prior,
                                   const at::Tensor& text_len, const at::Tensor& spec_len) const {
  const at::NoGradGuard no_grad;
  const at::Tensor precision = at::exp(-2 * prior.log_scale);
  const double half_log = -0.5 * std::log(2 * std::numbers::pi);
  at::Tensor scores = (half_log - prior.log_scale).sum(1, /*keepdim=*/true) +
                      at::matmul(-0.5 * z_p.pow(2).transpose(1, 2), precision) +
                      at::matmul(z_p.transpose(1, 2), prior.mean * precision) +
                      (-0.5 * prior.mean.pow(2) * precision).sum(1, /*keepdim=*/true);
  scores = scores.to(at::TensorOptions(at::kFloat).device(at::kCPU)).contiguous();
  const int64_t items = scores.size(0), width = scores.size(2);
  const at::Tensor tokens = text_len.to(at::TensorOptions(at::kLong).device(at::kCPU)),
                   frames = spec_len.to(at::TensorOptions(at::kLong).device(at::kCPU));
  at::Tensor durations = at::zeros({items, width}, at::kLong);
  for (int64_t i = 0; i < items; ++i) {
    const int64_t count = tokens[i].item<int64_t>(), length = frames[i].item<int64_t>();
    const auto found = best_path(scores[i].const_data_ptr<float>(), length, count, width, /*diagonal_on_ties=*/false);
    durations[i].narrow(0, 0, count).copy_(at::tensor(found, at::kLong));
  }
  return durations.to(z_p.options());
}

VitsSynthesizer::Trained VitsSynthesizer::learn(const at::Tensor& text, const at::Tensor& text_len,
                                                const at::Tensor& spec, const at::Tensor& spec_len,
                                                const at::Tensor& speakers, const VitsDraws& draws) {
  check_indices(text, options_.n_vocab, "token");
  const auto host = at::TensorOptions(at::kLong).device(at::kCPU);
  const at::Tensor words = text_len.to(host), frames = spec_len.to(host);
  for (int64_t i = 0; i < frames.size(0); ++i) {
    const int64_t count = words[i].item<int64_t>(), length = frames[i].item<int64_t>();
    if (count >= 1 && count <= length && length >= options_.segment_size) continue;
    const bool short_clip = length < options_.segment_size;
    throw Error(Code::kBadData, short_clip ? "a clip is shorter than the segment that VITS is trained by"
                                           : "a clip has fewer frames than its text has tokens")
        .at("item " + std::to_string(i) + " of the batch")
        .seen(std::to_string(length) + " frames, " + std::to_string(count) + " tokens")
        .expected(short_clip ? "at least " + std::to_string(options_.segment_size) + " frames"
                             : "a token at least, and a frame for each")
        .next(short_clip ? "raise train_ds.dataset.min_duration, or lower segment_size"
                         : "leave the clip out: its text is not what is spoken in it");
  }
  const VitsTextEncoder::Output prior = text_encoder_->forward(text, text_len);
  const at::Tensor condition = condition_of(speakers, /*required=*/true);
  const PosteriorEncoder::Output posterior = posterior_->forward(spec, spec_len, condition, draws.posterior);
  Trained out;
  out.spec_mask = posterior.mask;
  out.z = posterior.z;
  out.mean = posterior.mean;
  out.log_scale = posterior.log_scale;
  out.z_p = flow_->forward(out.z, out.spec_mask, condition, /*inverse=*/false);
  out.durations = search(out.z_p, prior, text_len, spec_len);
  const at::Tensor durations = out.durations.unsqueeze(1), tokens = prior.mask.sum();
  if (stochastic_) {
    out.duration_loss = stochastic_->cost(prior.x, prior.mask, durations, condition, draws.durations) / tokens;
  } else {
    const at::Tensor real = at::log(durations + 1e-6) * prior.mask;
    out.duration_loss = (plain_->forward(prior.x, prior.mask, condition) - real).pow(2).sum({1, 2}) / tokens;
  }
  const at::Tensor owners = tokens_of_frames(out.durations, spec.size(2));
  out.prior_mean = spread(prior.mean, owners, out.spec_mask);
  out.prior_log_scale = spread(prior.log_scale, owners, out.spec_mask);
  const at::Tensor luck = draws.segments.defined() ? draws.segments : at::rand({spec.size(0)});
  out.starts = (luck.to(spec.device()) * (spec_len - options_.segment_size + 1)).to(at::kLong);
  const at::Tensor places =
      out.starts.unsqueeze(1) + at::arange(options_.segment_size, out.starts.options()).unsqueeze(0);
  const at::Tensor part = out.z.gather(2, places.unsqueeze(1).expand({-1, out.z.size(1), -1}));
  out.audio = generator_->forward(part, condition);
  return out;
}

VitsSynthesizer::Spoken VitsSynthesizer::infer(const at::Tensor& text, const at::Tensor& text_len,
                                               const at::Tensor& speakers, const Speech& how) {
  check_indices(text, options_.n_vocab, "token");
  const VitsTextEncoder::Output prior = text_encoder_->forward(text, text_len);
  const at::Tensor condition = condition_of(speakers, /*required=*/false);
  at::Tensor log_durations;
  if (stochastic_) {
    const at::Tensor noise = normal({text.size(0), 2, text.size(1)}, prior.x.options(), how.generator);
    log_durations = stochastic_->draw(prior.x, prior.mask, condition, noise * how.noise_scale_w);
  } else {
    log_durations = plain_->forward(prior.x, prior.mask, condition);
  }
  const at::Tensor durations = at::ceil(at::exp(log_durations) * prior.mask * how.length_scale).squeeze(1);
  const at::Tensor total = durations.sum(1);
  const double longest = total.max().item<double>();
  if (!(longest <= kMostFrames)) {
    throw Error(Code::kBadData, "the model holds its tokens for longer than anything can be")
        .seen(std::to_string(longest) + " frames")
        .expected("at most " + std::to_string(static_cast<int64_t>(kMostFrames)))
        .next("lower length_scale or noise_scale_w, or train the model on");
  }
  Spoken out;
  out.durations = durations.to(at::kLong);
  out.lengths = total.clamp_min(1).to(at::kLong);
  const int64_t frames = out.lengths.max().item<int64_t>();
  const at::Tensor mask = mask_of(out.lengths, frames, prior.x.options());
  // Where an item has no frame at all, the one it is given belongs to nothing.
  const at::Tensor owned = mask_of(total.to(at::kLong), frames, prior.x.options());
  const at::Tensor owners = tokens_of_frames(durations, frames);
  const at::Tensor mean = spread(prior.mean, owners, owned), log_scale = spread(prior.log_scale, owners, owned);
  const at::Tensor z_p =
      mean + normal(mean.sizes(), mean.options(), how.generator) * at::exp(log_scale) * how.noise_scale;
  at::Tensor z = flow_->forward(z_p, mask, condition, /*inverse=*/true) * mask;
  if (how.max_len && *how.max_len < frames) z = z.narrow(2, 0, *how.max_len);
  out.audio = generator_->forward(z, condition);
  return out;
}

Values VitsSynthesizer::forward(const Values& in) {
  const VitsDraws draws{in.tensor_or_undefined("posterior_noise"), in.tensor_or_undefined("duration_noise"),
                        in.tensor_or_undefined("segment_draws")};
  const Trained made = learn(in.tensor("text"), in.tensor("text_len"), in.tensor("spec"), in.tensor("spec_len"),
                             in.tensor_or_undefined("speakers"), draws);
  return {{"audio", made.audio},      {"l_length", made.duration_loss}, {"durations", made.durations},
          {"ids_slice", made.starts}, {"spec_mask", made.spec_mask},    {"z", made.z},
          {"z_p", made.z_p},          {"m_p", made.prior_mean},         {"logs_p", made.prior_log_scale},
          {"m_q", made.mean},         {"logs_q", made.log_scale}};
}

Values VitsSynthesizer::input_example() const {
  const auto options = parameters().front().options().requires_grad(false);
  const int64_t tokens = 8, frames = std::max<int64_t>(2 * tokens, options_.segment_size);
  Values example = {{"text", at::arange(tokens, at::kLong).remainder(options_.n_vocab).unsqueeze(0)},
                    {"text_len", at::full({1}, tokens, at::kLong)},
                    {"spec", at::rand({1, options_.spec_channels, frames}, options)},
                    {"spec_len", at::full({1}, frames, at::kLong)}};
  if (options_.n_speakers > 1) example.add("speakers", at::zeros({1}, at::kLong));
  return example;
}

}  // namespace fathom::tts
