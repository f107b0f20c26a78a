// Speech recognition and translation with an encoder and a decoder that is told what to do by a prompt:
// EncDecMultiTaskModel (Canary).
#pragma once

#include <torch/nn/modules/linear.h>

#include "plugins/asr/data/prompt_format.h"
#include "plugins/asr/data/prompted_audio_dataset.h"
#include "plugins/asr/decoding/aed_decoding.h"
#include "plugins/asr/models/speech_model.h"

namespace fathom::asr {

// What SpeechModel says, on subwords, with the sections transf_encoder (optional), transf_decoder, head, loss,
// decoding (optional), model_defaults {asr_enc_hidden, lm_enc_hidden, lm_dec_hidden}, prompt_format, prompt_defaults,
// use_loss_mask_for_prompt and multitask_metrics_cfg.
//
// A batch of a step is that of PromptedAudioDataset, or has processed_signal with its length in place of the audio.
// forward takes transcript (B,U) and transcript_length (B) besides, the decoder's input of training, and gives
// transf_log_probs (B,U,V) for it, encoded_lengths (B), encoder_states (B,T',D) and encoder_mask (B,T').
class EncDecMultiTaskModel final : public SpeechModel {
 public:
  struct Options : SpeechModelOptions {
    Json transf_encoder, transf_decoder, head, loss, decoding, model_defaults, prompt_defaults, multitask_metrics_cfg;
    std::optional<std::string> prompt_format;
    std::optional<bool> use_loss_mask_for_prompt, restore_timestamps_model;
    std::optional<double> label_smoothing;
    static void describe(OptionSet<Options>& o);
  };

  EncDecMultiTaskModel(Json config, ModelContext context);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  MadeDataset make_dataset(Stage stage, const Json& section, const std::string& config_path) override;
  at::Tensor training_step(const Values& batch, const Step& step) override;
  void validation_step(const Values& batch, const Step& step) override;
  // Options, besides those of every speech model: the slots of the prompt, for items whose manifest line has none of
  // its own; where neither has one, prompt_defaults, then NeMo's (en, en, asr, with punctuation).
  std::vector<Values> predict_step(const Values& batch, const Json& options) override;

 protected:
  Value head(const Value& encoder_output, const Value& lengths) override;
  at::Tensor loss_of(const Encoded& encoded, const Values& batch) override;
  double loss_weight(const Values& batch) const override;
  void log_training(const Encoded& encoded, const Values& batch, const Step& step, bool errors) override;
  void evaluate_also(const Encoded& encoded, const Values& batch) override;
  void log_evaluation(const Step& step, const std::string& prefix) override;
  void reset_evaluation() override;
  std::vector<std::string> best_texts(const Encoded& encoded) const override;
  std::vector<Hypothesis> decode(const Encoded& encoded, const TranscribeOptions& options) const override;

 private:
  void check_sections();
  void make_decoder();
  void make_metrics();
  AedDecoding make_decoding() const;
  // (B,T') true where a frame counts.
  static at::Tensor mask_of(const at::Tensor& lengths, int64_t frames);
  // (B,U-1) where a label counts, or undefined: where it is not padding.
  at::Tensor label_mask(const Values& batch) const;
  at::Tensor log_probs_of(const at::Tensor& states, const at::Tensor& mask, const at::Tensor& ids,
                          const at::Tensor& lengths);
  void remember_prompts(const Values& batch);
  PromptSlots slots_of(const Json& entry, const PromptSlots& asked) const;

  PromptFormat format_;
  int64_t pad_ = 0;
  bool masks_prompt_ = false;
  ModuleHandle transf_encoder_, transf_decoder_, head_, loss_;
  torch::nn::Linear projection_{nullptr};
  AedDecoding decoding_;
  MetricHandle bleu_, batch_bleu_;
  // Of the batch in work, which best_texts and decode are not given.
  std::vector<std::vector<int64_t>> prompts_;
  mutable std::vector<std::string> texts_;  // what best_texts found
};

}  // namespace fathom::asr
