// EncDecCTCModel: character speech recognition with CTC (Jasper, QuartzNet).
#pragma once

#include "fathom/model.h"
#include "fathom/vocabulary.h"
#include "plugins/asr/data/audio_to_char_dataset.h"
#include "plugins/asr/decoding/ctc_decoding.h"
#include "plugins/asr/metrics/wer.h"

namespace fathom::asr {

// Sections: preprocessor, spec_augment (optional), encoder, decoder, decoding (optional), train_ds, validation_ds,
// test_ds, optim; labels or decoder.vocabulary; use_cer, ctc_reduction, log_prediction.
//
// forward takes input_signal (B,T) samples with input_signal_length (B), or processed_signal (B,D,T) with
// processed_signal_length (B), and gives log_probs (B,T',V+1), encoded_lengths (B) and greedy_predictions (B,T').
// A batch of a training or evaluation step holds audio_signal and a_sig_length (or processed_signal and
// processed_signal_length), transcripts (B,U) and transcript_length (B).
class EncDecCTCModel final : public Model, public HasVocabulary {
 public:
  EncDecCTCModel(Json config, ModelContext context);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;

  MadeDataset make_dataset(Stage stage, const Json& section, const std::string& config_path) override;
  // Logs train_loss, global_step and, every log_every_n_steps, training_batch_wer.
  at::Tensor training_step(const Values& batch, const Step& step) override;
  void validation_step(const Values& batch, const Step& step) override;
  // Logs val_loss (mean over batches) and val_wer (errors over words), or test_loss and test_wer.
  void eval_epoch_end(const Step& step) override;
  // {audio_filepath, pred_text, text?, duration, offset?, timestamps?}. Option: timestamps (bool). The front-end runs
  // without dither and without padding to a multiple of frames, as NeMo's transcribe.
  std::vector<Values> predict_step(const Values& batch, const Json& options) override;
  std::vector<std::pair<std::string, std::string>> wiring() const override;

  // A new decoder, loss and decoding for other labels; the labels of the data sections follow. The same labels change
  // nothing, as in NeMo.
  void change_vocabulary(const std::vector<std::string>& vocabulary) override;

  const CtcDecoding& decoding() const { return decoding_; }

 private:
  struct Encoded {
    at::Tensor log_probs, lengths;
  };
  void fill_vocabulary();
  std::string path_of(const char* section) const;
  ModuleHandle make_loss() const;
  CtcDecoding make_decoding() const;
  void choose_front_end();
  std::shared_ptr<Dataset> make_predict_dataset(const Json& section, const std::string& config_path) const;
  AudioToCharDataset::Options dataset_options(const Json& section, const std::string& config_path) const;
  Encoded encode(const Values& batch);
  Encoded encode_features(at::Tensor features, at::Tensor lengths);
  at::Tensor loss_of(const Encoded& encoded, const Values& batch);
  // Adds a batch's errors; returns them alone.
  WerCounter count_errors(const Encoded& encoded, const Values& batch) const;
  ModuleHandle& inference_preprocessor();
  double seconds_per_frame() const;

  std::vector<std::string> labels_;
  int64_t sample_rate_ = 16000;
  bool use_cer_ = false, log_prediction_ = false;
  ModuleHandle preprocessor_, spec_augmentation_, encoder_, decoder_, loss_;
  ModuleHandle inference_preprocessor_;  // the same window and filters, other options; made when first needed
  CtcDecoding decoding_;

  // Of the evaluation loader in progress.
  double loss_sum_ = 0;
  int64_t batches_ = 0;
  WerCounter errors_;
};

}  // namespace fathom::asr
