#include "plugins/tts/modules/fastpitch_module.h"

#include <ATen/ATen.h>

#include "plugins/lib/option_range.h"
#include "plugins/tts/modules/alignment_encoder.h"

namespace fathom::tts {
namespace {

torch::nn::Conv1d embedding_conv(int64_t width, int64_t kernel) {
  return torch::nn::Conv1d(torch::nn::Conv1dOptions(1, width, kernel).padding((kernel - 1) / 2));
}

}  // namespace

at::Tensor average_features(const at::Tensor& values, const at::Tensor& durations) {
  const at::Tensor ends = at::cumsum(durations, 1).to(at::kLong);
  const at::Tensor starts = at::constant_pad_nd(ends.slice(1, 0, ends.size(1) - 1), {1, 0});
  if (ends.numel() > 0 && ends.max().item<int64_t>() > values.size(2)) {
    throw Error(Code::kBadData, "the tokens last longer than the values that are given for their frames")
        .seen(std::to_string(ends.max().item<int64_t>()) + " frames, and " + std::to_string(values.size(2)) +
              " values");
  }
  const auto sums_between = [&](const at::Tensor& x) {
    const at::Tensor sums = at::constant_pad_nd(at::cumsum(x, 2), {1, 0});
    const std::vector<int64_t> shape = {ends.size(0), x.size(1), ends.size(1)};
    return sums.gather(2, ends.unsqueeze(1).expand(shape)) - sums.gather(2, starts.unsqueeze(1).expand(shape));
  };
  const at::ScalarType type = values.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor sums = sums_between(values).to(type), counts = sums_between(values.ne(0)).to(type);
  return at::where(counts == 0, counts, sums / counts);
}

std::pair<at::Tensor, at::Tensor> regulate_len(const at::Tensor& durations, const at::Tensor& encoded,
                                               const at::Tensor& pace) {
  at::Tensor frames_of = durations.to(at::kFloat);
  if (pace.defined()) frames_of = frames_of / pace;
  const at::Tensor repeats = (frames_of + 0.5).floor().to(at::kLong);
  const at::Tensor lengths = repeats.sum(1);
  const at::Tensor ends = at::cumsum(repeats, 1).contiguous();
  const auto most = lengths.max().item<int64_t>();
  // The token of each frame; frames behind an item's end have none, and are zero.
  const at::Tensor frames = at::arange(most, ends.options()).unsqueeze(0).expand({ends.size(0), most}).contiguous();
  const at::Tensor token = at::searchsorted(ends, frames, /*out_int32=*/false, /*right=*/true);
  const at::Tensor there = (token < ends.size(1)).unsqueeze(2).to(encoded.scalar_type());
  const at::Tensor index = token.clamp_max(ends.size(1) - 1).unsqueeze(2).expand({-1, -1, encoded.size(2)});
  return {encoded.gather(1, index) * there, lengths};
}

FastPitchModule::FastPitchModule(FastPitchParts parts) : parts_(std::move(parts)) {
  const FastPitchParts& p = parts_;
  constexpr int64_t kWidest = 1 << 16;
  check_range("symbols_embedding_dim", p.symbols_embedding_dim, 1, kWidest);
  check_range("pitch_embedding_kernel_size", p.pitch_embedding_kernel_size, 1, 1 << 10);
  check_range("n_mel_channels", p.n_mel_channels, 1, kWidest);
  check_range("n_speakers", p.n_speakers, 0, 1 << 24);
  const auto add = [&](const char* name, const ModuleHandle& module) {
    if (module) register_module(name, module.torch_module());
  };
  add("encoder", p.encoder);
  add("decoder", p.decoder);
  add("duration_predictor", p.duration_predictor);
  add("pitch_predictor", p.pitch_predictor);
  add("energy_predictor", p.energy_predictor);
  add("aligner", p.aligner);
  add("speaker_encoder", p.speaker_encoder);
  if (p.n_speakers > 1 && !p.speaker_encoder)
    speaker_emb_ = register_module("speaker_emb", torch::nn::Embedding(p.n_speakers, p.symbols_embedding_dim));
  pitch_emb_ = register_module("pitch_emb", embedding_conv(p.symbols_embedding_dim, p.pitch_embedding_kernel_size));
  if (p.energy_predictor) {
    check_range("energy_embedding_kernel_size", p.energy_embedding_kernel_size, 1, 1 << 10);
    energy_emb_ =
        register_module("energy_emb", embedding_conv(p.symbols_embedding_dim, p.energy_embedding_kernel_size));
  }
  register_buffer("pitch_mean", at::zeros({1}));
  register_buffer("pitch_std", at::zeros({1}));
  const Json info = p.decoder.properties();
  if (!info.is_object() || !info.contains("d_model")) {
    throw Error(Code::kFailed, "the decoder does not say its width")
        .at("output_fft")
        .expected("a module with the property d_model");
  }
  proj_ = register_module("proj", torch::nn::Linear(info["d_model"].get<int64_t>(), p.n_mel_channels));
}

int64_t FastPitchModule::speakers() const {
  if (speaker_emb_) return speaker_emb_->weight.size(0);
  const Json info = parts_.speaker_encoder ? parts_.speaker_encoder.properties() : Json();
  return info.is_object() ? info.value("n_speakers", int64_t{0}) : 0;
}

bool FastPitchModule::takes_reference() const {
  const Json info = parts_.speaker_encoder ? parts_.speaker_encoder.properties() : Json();
  return info.is_object() && info.value("reference", false);
}

at::Tensor FastPitchModule::embedding_of(int64_t batch, const at::Tensor& speaker, const at::Tensor& spec,
                                         const at::Tensor& spec_lens) const {
  if (parts_.speaker_encoder) {
    Values in = {{"batch_size", batch}};
    if (speaker.defined()) in.add("speaker", speaker);
    if (spec.defined() && takes_reference()) {
      in.add("reference_spec", spec);
      in.add("reference_spec_lens", spec_lens);
    }
    return parts_.speaker_encoder(in).tensor("embs").unsqueeze(1);
  }
  if (!speaker_emb_) return {};
  if (!speaker.defined()) {
    throw Error(Code::kBadData, "the model has several voices, and none is chosen")
        .expected("a speaker from 0 to " + std::to_string(speakers() - 1))
        .next("--speaker N, or speaker_id among sup_data_types");
  }
  const auto least = speaker.min().item<int64_t>(), most = speaker.max().item<int64_t>();
  if (least < 0 || most >= speakers()) {
    throw Error(Code::kBadData, "the model has no such speaker")
        .seen(std::to_string(least < 0 ? least : most))
        .expected("0 to " + std::to_string(speakers() - 1));
  }
  return at::embedding(speaker_emb_->weight, speaker).unsqueeze(1);
}

at::Tensor FastPitchModule::durations_of(const at::Tensor& log_durations, const at::Tensor& mask) const {
  return (at::exp(log_durations) - 1).clamp(parts_.min_token_duration, parts_.max_token_duration) *
         mask.squeeze(2).to(log_durations.scalar_type());
}

at::Tensor FastPitchModule::call(const ModuleHandle& predictor, const at::Tensor& encoded, const at::Tensor& mask,
                                 const at::Tensor& conditioning) const {
  Values in = {{"enc", encoded}, {"enc_mask", mask}};
  if (conditioning.defined()) in.add("conditioning", conditioning);
  return predictor(in).tensor("out");
}

void FastPitchModule::decode(const at::Tensor& encoded, const at::Tensor& durations, const at::Tensor& pace,
                             const at::Tensor& conditioning, FastPitchOutput& out) {
  auto [frames, lengths] = regulate_len(durations, encoded, pace);
  if (frames.size(1) == 0) {
    throw Error(Code::kBadData, "nothing is to be heard: no token lasts a frame")
        .seen(std::to_string(durations.size(1)) + " tokens")
        .next("use a trained model, a smaller pace, or min_token_duration: 1");
  }
  Values in = {{"input", frames}, {"seq_lens", lengths}};
  if (conditioning.defined()) in.add("conditioning", conditioning);
  out.spect = proj_(parts_.decoder(in).tensor("out")).transpose(1, 2);
  out.num_frames = lengths;
}

FastPitchOutput FastPitchModule::forward(const FastPitchInput& in) {
  FastPitchOutput out;
  const at::Tensor speaker = embedding_of(in.text.size(0), in.speaker, in.reference_spec, in.reference_spec_lens);
  Values text = {{"input", in.text}};
  if (speaker.defined()) text.add("conditioning", speaker);
  const Values encoder = parts_.encoder(text);
  at::Tensor encoded = encoder.tensor("out");
  const at::Tensor& mask = encoder.tensor("mask");
  out.log_durs_predicted = call(parts_.duration_predictor, encoded, mask, speaker);
  out.durs_predicted = durations_of(out.log_durs_predicted, mask);

  const bool aligns = learns_alignment() && in.spec.defined();
  if (aligns) {
    // The tokens' own embeddings, and not what the encoder made of them.
    const auto parameters = parts_.encoder.torch_module()->named_parameters();
    const at::Tensor* table = parameters.find("word_emb.weight");
    if (table == nullptr) {
      throw Error(Code::kFailed, "the encoder has no embeddings that could be aligned")
          .at("input_fft")
          .expected("a module with the parameter word_emb.weight");
    }
    const Json info = parts_.encoder.properties();
    const auto padding = info.is_object() ? info.value("padding_idx", int64_t{-1}) : -1;
    Values query = {{"queries", in.spec},
                    {"keys", at::embedding(*table, in.text, padding).transpose(1, 2)},
                    {"mask", mask.logical_not()}};
    if (in.attn_prior.defined()) query.add("attn_prior", in.attn_prior);
    if (speaker.defined()) query.add("conditioning", speaker);
    const Values attention = parts_.aligner(query);
    out.attn_soft = attention.tensor("attn");
    out.attn_logprob = attention.tensor("attn_logprob");
    std::tie(out.attn_hard, out.attn_hard_dur) = binarize_attention(out.attn_soft, in.input_lens, in.mel_lens);
  }

  out.pitch_predicted = call(parts_.pitch_predictor, encoded, mask, speaker);
  out.pitch = in.pitch;
  if (in.pitch.defined()) {
    // Frames in training, tokens in inference. Without an alignment the predicted durations stand for it, as in NeMo.
    const bool of_frames = learns_alignment() && in.pitch.size(1) != out.pitch_predicted.size(1);
    if (of_frames && !aligns) {
      throw Error(Code::kBadData, "a pitch that is not of tokens needs the spectrogram that it belongs to")
          .seen(std::to_string(in.pitch.size(1)) + " values, and " + std::to_string(in.text.size(1)) + " tokens")
          .expected("a value a token, or spec");
    }
    if (of_frames)
      out.pitch = average_features(in.pitch.unsqueeze(1), out.attn_hard_dur).squeeze(1);
    else if (!learns_alignment())
      out.pitch = average_features(in.pitch.unsqueeze(1), out.durs_predicted).squeeze(1);
  }
  const at::Tensor& spoken_pitch = in.pitch.defined() ? out.pitch : out.pitch_predicted;
  encoded = encoded + pitch_emb_(spoken_pitch.unsqueeze(1).to(encoded.scalar_type())).transpose(1, 2);

  if (parts_.energy_predictor) {
    out.energy_predicted = call(parts_.energy_predictor, encoded, mask, speaker);
    at::Tensor energy = out.energy_predicted;
    if (in.energy.defined() && (aligns || !learns_alignment())) {
      energy = average_features(in.energy.unsqueeze(1), learns_alignment() ? out.attn_hard_dur : out.durs_predicted)
                   .squeeze(1);
      if (parts_.use_log_energy) energy = at::log(1 + energy);
      out.energy_target = energy;
    }
    encoded = encoded + energy_emb_(energy.unsqueeze(1).to(encoded.scalar_type())).transpose(1, 2);
  }
  const at::Tensor& durations = aligns ? out.attn_hard_dur : in.durations.defined() ? in.durations : out.durs_predicted;
  decode(encoded, durations, in.pace, speaker, out);
  return out;
}

FastPitchOutput FastPitchModule::infer(const at::Tensor& text, const FastPitchProsody& prosody) {
  FastPitchOutput out;
  const at::Tensor speaker =
      embedding_of(text.size(0), prosody.speaker, prosody.reference_spec, prosody.reference_spec_lens);
  Values input = {{"input", text}};
  if (speaker.defined()) input.add("conditioning", speaker);
  const Values encoder = parts_.encoder(input);
  at::Tensor encoded = encoder.tensor("out");
  const at::Tensor& mask = encoder.tensor("mask");
  out.log_durs_predicted = call(parts_.duration_predictor, encoded, mask, speaker);
  out.durs_predicted = durations_of(out.log_durs_predicted, mask);
  at::Tensor pitch = call(parts_.pitch_predictor, encoded, mask, speaker);
  if (prosody.pitch_range != 1) pitch = pitch * prosody.pitch_range;
  if (prosody.pitch_shift.defined()) pitch = pitch + prosody.pitch_shift;
  if (prosody.pitch_ratio.defined()) {
    const at::Tensor hertz = (pitch * prosody.pitch_std + prosody.pitch_mean) * prosody.pitch_ratio;
    pitch = (hertz - prosody.pitch_mean) / prosody.pitch_std;
  }
  out.pitch_predicted = pitch;
  encoded = encoded + pitch_emb_(pitch.unsqueeze(1).to(encoded.scalar_type())).transpose(1, 2);
  if (parts_.energy_predictor) {
    at::Tensor energy = prosody.energy;
    if (!energy.defined()) energy = call(parts_.energy_predictor, encoded, mask, speaker);
    energy = energy.expand({text.size(0), text.size(1)});
    out.energy_predicted = energy;
    encoded = encoded + energy_emb_(energy.unsqueeze(1).to(encoded.scalar_type())).transpose(1, 2);
  }
  if (prosody.volume.defined()) {
    const at::Tensor volume = prosody.volume.expand({text.size(0), text.size(1)}).to(at::kFloat);
    out.volume = regulate_len(out.durs_predicted, volume.unsqueeze(2), prosody.pace).first.squeeze(2);
  }
  decode(encoded, out.durs_predicted, prosody.pace, speaker, out);
  return out;
}

}  // namespace fathom::tts
