// Tacotron 2 (Shen et al. 2018, arXiv:1712.05884): text to spectrograms, a frame at a time.
#pragma once

#include <torch/nn/modules/embedding.h>

#include "fathom/model.h"
#include "fathom/synthesis.h"
#include "plugins/lib/text/char_parser.h"
#include "plugins/tts/losses/tacotron2_loss.h"
#include "plugins/tts/models/speech_text.h"

namespace fathom::tts {

class GriffinLimModel;

struct Tacotron2ModelOptions {
  Json preprocessor, encoder, decoder, postnet, text_tokenizer, text_normalizer, text_normalizer_call_kwargs,
      log_config;
  std::optional<std::vector<std::string>> labels;
  bool log_images = false;
  int64_t check_speech = 0;
  // Said in the model's section for others to refer to, as in NeMo's configs.
  Json pitch_fmin, pitch_fmax, sample_rate, n_mel_channels, n_window_size, n_window_stride, n_fft, lowfreq, highfreq,
      window, pad_value, name;
  static void describe(OptionSet<Tacotron2ModelOptions>& o);
};

// A batch, as TTSDataset makes it: audio (B,T), audio_len (B), text (B,S), text_len (B). Models of NeMo 1.x without a
// text_tokenizer have `labels`: a letter's number is its place among them, and their count and the next two begin, end
// and pad a text.
//
// Training is teacher-forced; validation speaks freely and compares as far as both go. Logged: train_loss,
// train_mel_loss, train_postnet_loss, train_gate_loss, val_loss; with log_images the first validation batch's
// spectrograms and alignment.
class Tacotron2Model final : public Model, public SpeechSynthesizer {
 public:
  using Options = Tacotron2ModelOptions;

  static std::vector<PretrainedModelInfo> list_available_models();

  Tacotron2Model(Json config, ModelContext context);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  MadeDataset make_dataset(Stage stage, const Json& section, const std::string& config_path) override;
  at::Tensor training_step(const Values& batch, const Step& step) override;
  void validation_step(const Values& batch, const Step& step) override;
  std::vector<std::pair<std::string, std::string>> artifacts() const override { return text_.artifacts(); }

  Json synthesis_info() const override;
  Values parse(const std::string& text, const Json& options) override;
  Values synthesize(const Values& parsed, const Json& options) override;

 private:
  struct Spoken {
    Values decoded;
    at::Tensor postnet;
  };
  Spoken speak(const at::Tensor& tokens, const at::Tensor& lengths, const at::Tensor& target, const Value* seed);
  // The loss of a batch; both spectrograms and what was said.
  struct Judged {
    Tacotron2Losses losses;
    at::Tensor target;
    Spoken spoken;
  };
  Judged judge(const Values& batch, const Step& step);
  void check_tokens(const at::Tensor& tokens, const std::string& where) const;

  Options options_;
  ModuleHandle front_end_, encoder_, decoder_, postnet_;
  std::shared_ptr<GriffinLimModel> listener_;  // made when it is first needed
  torch::nn::Embedding embedding_{nullptr};
  SpeechText text_;
  std::unique_ptr<text::CharParser> parser_;  // of models with labels
  double pad_value_ = 0;
};

}  // namespace fathom::tts
