#include "tests/conformance/synthesis_model_case.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <map>
#include <set>

#include "core/checkpoint/torch_file.h"
#include "core/models/nemo_file.h"
#include "fathom/synthesis.h"
#include "plugins/tts/losses/gan_losses.h"
#include "tests/conformance/model_compare.h"

namespace fathom::conformance {
namespace {

using nlohmann::json;

std::map<std::string, at::Tensor> recorded_tensors(const std::string& file) {
  std::map<std::string, at::Tensor> out;
  for (auto& [name, tensor] : checkpoint::load_safetensors(file)) out[name] = tensor;
  return out;
}

// A vocoder, and its critics: those are no components, so the weights of the restored ones go into others of this
// program's own.
class VocoderCase {
 public:
  VocoderCase(const std::string& nemo, std::map<std::string, at::Tensor> recorded, Bounds bounds)
      : restored_(restore_nemo(nemo)), recorded_(std::move(recorded)), bounds_(bounds) {
    for (auto& [name, child] : restored_.model.modules()) children_[name] = std::move(child);
    const bool small = restored_.config.value("debug", false);
    mpd_ = std::make_shared<tts::MultiPeriodDiscriminator>(small);
    msd_ = std::make_shared<tts::MultiScaleDiscriminator>(small);
    take_weights(*mpd_, "mpd");
    take_weights(*msd_, "msd");
    mpd_->eval();
    msd_->eval();
  }

  ModelHandle& model() { return restored_.model; }
  bool has(const std::string& name) const { return recorded_.count(name) > 0; }
  const at::Tensor& tensor(const std::string& name) const { return recorded_.at(name); }
  void compare(const std::string& name, const at::Tensor& got, std::optional<Bounds> bounds = {}) {
    if (!has(name)) return;
    compared_.insert(name);
    differences_.add(tensor_difference(name, got, tensor(name), bounds.value_or(bounds_)));
  }
  void given(const std::string& name) { compared_.insert(name); }
  // What is recorded and nobody compares would look as if it passed.
  Outcome outcome() {
    for (const auto& [name, tensor] : recorded_) {
      if (compared_.count(name) == 0) differences_.add(name + ": recorded, and no comparison is known for it");
    }
    return differences_.outcome();
  }
  Differences& differences() { return differences_; }

  Values features(const char* front_end, const at::Tensor& audio, const at::Tensor& lengths) {
    return children_.at(front_end)({{"input_signal", audio}, {"length", lengths}});
  }
  at::Tensor generate(const at::Tensor& mel) { return children_.at("generator")({{"x", mel}}).tensor("audio"); }
  tts::MultiPeriodDiscriminator& mpd() { return *mpd_; }
  tts::MultiScaleDiscriminator& msd() { return *msd_; }
  void compare_scores(const std::string& pattern, const tts::Judgements& judged) {
    for (size_t i = 0; i < judged.real.size(); ++i) {
      compare(fmt::format(fmt::runtime(pattern), i, "real"), judged.real[i].score);
      compare(fmt::format(fmt::runtime(pattern), i, "gen"), judged.fake[i].score);
    }
  }

 private:
  void take_weights(torch::nn::Module& to, const std::string& child) {
    const at::NoGradGuard no_grad;
    const auto from = restored_.model.torch_module()->named_children()[child];
    const auto parameters = from->named_parameters(), buffers = from->named_buffers();
    for (auto& item : to.named_parameters()) item.value().copy_(parameters[item.key()]);
    for (auto& item : to.named_buffers()) item.value().copy_(buffers[item.key()]);
  }

  RestoredModel restored_;
  std::map<std::string, ModuleHandle> children_;
  std::map<std::string, at::Tensor> recorded_;
  Bounds bounds_;
  std::shared_ptr<tts::MultiPeriodDiscriminator> mpd_;
  std::shared_ptr<tts::MultiScaleDiscriminator> msd_;
  std::set<std::string> compared_;
  Differences differences_;
};

}  // namespace

Outcome run_vocoder(const Case& c, const std::string& nemo) {
  Bounds bounds;
  const json tolerance = c.body.value("tolerance", json::object());
  bounds.absolute = tolerance.value("abs", bounds.absolute);
  bounds.relative = tolerance.value("rel", bounds.relative);
  VocoderCase one(nemo, recorded_tensors(c.folder + "/io.safetensors"), bounds);
  const at::NoGradGuard no_grad;
  const VocoderHandle vocoder(one.model().object());
  for (int64_t i = 0; one.has(fmt::format("clip{}.audio", i)); ++i) {
    const std::string clip = fmt::format("clip{}.", i);
    one.given(clip + "audio");
    const PaddedAudio audio = padded({one.tensor(clip + "audio")});
    const Values mel = one.features("audio_to_melspec_precessor", audio.signal, audio.lengths);
    one.compare(clip + "spec", mel.tensor("processed_signal"));
    one.compare(clip + "spec_len", mel.tensor("processed_length"));
    one.compare(clip + "trg_mel",
                one.features("trg_melspec_fn", audio.signal, audio.lengths).tensor("processed_signal"));
    one.compare(clip + "waveform", vocoder.vocode({{"spect", mel["processed_signal"]}}).tensor("audio"));
    // As `fathom synthesize` vocodes a long text: in chunks, each with the context that the model asks for.
    const Json info = vocoder.info();
    const int64_t context = info.at("context"), hop = info.at("hop_length");
    const at::Tensor& spect = mel.tensor("processed_signal");
    const int64_t middle = spect.size(2) / 2, end = std::min(spect.size(2), middle + context);
    const at::Tensor part = vocoder.vocode({{"spect", spect.slice(2, 0, end)}}).tensor("audio");
    one.differences().add(tensor_difference(clip + "waveform of its first half", part.slice(1, 0, middle * hop),
                                            one.tensor(clip + "waveform").slice(1, 0, middle * hop), bounds));
  }
  const at::Tensor &real = one.tensor("disc.y"), &fake = one.tensor("disc.y_hat");
  one.given("disc.y");
  one.given("disc.y_hat");
  const tts::Judgements period = one.mpd().forward(real, fake), scale = one.msd().forward(real, fake);
  one.compare_scores("disc.mpd.{}.{}", period);
  one.compare_scores("disc.msd.{}.{}", scale);
  for (const auto& [name, judged] : {std::pair{"disc.mpd.", &period}, {"disc.msd.", &scale}}) {
    one.compare(name + std::string("disc_loss"), tts::discriminator_loss(*judged));
    one.compare(name + std::string("gen_loss"), tts::generator_loss(*judged));
    one.compare(name + std::string("feature_loss"), tts::feature_matching_loss(*judged));
  }
  return one.outcome();
}

Outcome run_v1_vocoder(const Case& c) {
  constexpr Bounds kAudio{5e-4, 1e-3}, kLoss{1e-5, 1e-4};
  VocoderCase one(c.folder + "/model.nemo", recorded_tensors(c.folder + "/batch.safetensors"), kAudio);
  const at::Tensor& audio = one.tensor("audio");
  one.given("audio");
  const at::Tensor lengths = at::full({audio.size(0)}, audio.size(1), at::kLong);
  const Values mel = one.features("audio_to_melspec_precessor", audio, lengths);
  one.compare("mel", mel.tensor("processed_signal"));
  one.compare("mel_len", mel.tensor("processed_length"));
  const at::Tensor target = one.features("trg_melspec_fn", audio, lengths).tensor("processed_signal");
  one.compare("target_mel_full_band", target);
  const at::Tensor made = one.generate(mel.tensor("processed_signal"));
  one.compare("generated", made);
  const at::Tensor made_mel = one.features("trg_melspec_fn", made.squeeze(1), lengths).tensor("processed_signal");
  one.compare("generated_mel_full_band", made_mel);
  const at::Tensor real = audio.unsqueeze(1);
  const tts::Judgements period = one.mpd().forward(real, made), scale = one.msd().forward(real, made);
  one.compare_scores("mpd_{1}.{0}", period);
  one.compare_scores("msd_{1}.{0}", scale);
  one.compare("disc_loss_mpd", tts::discriminator_loss(period).reshape({1}), kLoss);
  one.compare("disc_loss_msd", tts::discriminator_loss(scale).reshape({1}), kLoss);
  const at::Tensor l1 = at::l1_loss(made_mel, target);
  const at::Tensor fm_mpd = tts::feature_matching_loss(period), fm_msd = tts::feature_matching_loss(scale);
  const at::Tensor gen_mpd = tts::generator_loss(period), gen_msd = tts::generator_loss(scale);
  one.compare("l1_mel", l1.reshape({1}) * 45, kLoss);
  one.compare("fm_mpd", fm_mpd.reshape({1}), kLoss);
  one.compare("fm_msd", fm_msd.reshape({1}), kLoss);
  one.compare("gen_mpd", gen_mpd.reshape({1}), kLoss);
  one.compare("gen_msd", gen_msd.reshape({1}), kLoss);
  const at::Tensor loss = gen_msd + gen_mpd + fm_msd + fm_mpd + l1 * 45;
  one.compare("loss_g", loss.reshape({1}), kLoss);
  loss.backward();
  // The critics' gradients are of this program's copies, and are not compared.
  compare_gradients(*one.model().torch_module()->named_children()["generator"], c.folder + "/grads.json", "generator.",
                    one.differences());
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : recorded_tensors(c.folder + "/infer.safetensors")) {
    if (name != "audio") continue;
    const at::Tensor spec = recorded_tensors(c.folder + "/infer.safetensors").at("spec");
    one.differences().add(tensor_difference(
        "inferred audio", VocoderHandle(one.model().object()).vocode({{"spect", spec}}).tensor("audio"), tensor,
        kAudio));
  }
  return one.outcome();
}

}  // namespace fathom::conformance
