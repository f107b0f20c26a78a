// EncDecClassificationModel: one class a clip (MatchboxNet, MarbleNet).
#pragma once

#include "fathom/fine_tuning.h"
#include "fathom/model.h"
#include "fathom/vocabulary.h"
#include "plugins/asr/data/audio_to_label_dataset.h"
#include "plugins/asr/models/front_end.h"
#include "plugins/asr/models/speech_model.h"

namespace fathom::asr {

// Sections: preprocessor, encoder, decoder, spec_augment, crop_or_pad_augment and loss (the last three optional),
// train_ds, validation_ds, test_ds, optim; labels.
//
// The classes are numbered as in NeMo 3.0.0: by the sorted labels of the training manifest, which become
// train_ds.labels; `labels` gives their number, and their order where nothing was trained. Shorter clips of a training
// or validation batch are repeated, those of a test batch get zeros. crop_or_pad_augment is checked and not applied.
//
// A batch of a step holds audio_signal (B,T) samples and a_sig_length (B), or processed_signal (B,D,T) and
// processed_signal_length (B), with label (B). forward takes input_signal with input_signal_length, or processed_signal
// with processed_signal_length, and gives logits (B,C).
class EncDecClassificationModel final : public Model, public HasVocabulary, public FineTunable {
 public:
  struct Options {
    Json preprocessor, encoder, decoder, spec_augment, crop_or_pad_augment, loss, labels, sample_rate;
    std::optional<bool> is_regression_task;
    std::optional<CharLabelsOptions> char_labels;
    static void describe(OptionSet<Options>& o);
  };

  static std::vector<PretrainedModelInfo> list_available_models();

  EncDecClassificationModel(Json config, ModelContext context);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;

  // Null for a section without a manifest. Stage kPredict takes `paths` or `manifest_filepath`.
  MadeDataset make_dataset(Stage stage, const Json& section, const std::string& config_path) override;
  // Logs loss, learning_rate, global_step and training_batch_accuracy_top_0.
  at::Tensor training_step(const Values& batch, const Step& step) override;
  void validation_step(const Values& batch, const Step& step) override;
  // Logs val_loss (mean over batches), val_acc_micro_top_1 and val_acc_macro, or the same with test_.
  void eval_epoch_end(const Step& step) override;
  // {audio_filepath, pred_text, text?, duration, offset?, logits?}: pred_text is the label. Options: timestamps, which
  // must be off; logprobs, as NeMo calls it: the logits too. Each clip is computed by itself, so that a result does not
  // depend on the batch.
  std::vector<Values> predict_step(const Values& batch, const Json& options) override;

  // NeMo's change_labels: a new decoder and loss for other labels; those of the data sections follow. The same labels
  // change nothing.
  void change_vocabulary(const std::vector<std::string>& labels) override;
  void start_fine_tuning(const std::string& config_path) override;

 private:
  void complete_classes();
  void make_losses();
  at::Tensor logits_of_features(Value features, const Value& lengths);
  at::Tensor logits_of(const Values& batch);
  void count(const at::Tensor& logits, const Values& batch);
  void reset_evaluation();
  AudioLabelDataset::Options dataset_options(const Json& section, const std::string& config_path,
                                             const std::optional<std::vector<std::string>>& labels) const;
  MadeDataset make_training_data(const Json& section, const std::string& config_path);
  void weigh_by_occurrence(const std::vector<int64_t>& occurrences);
  std::string path_of(const char* section) const;  // "model.decoder"
  void log_info(const std::string& text) const;
  void log_warning(const std::string& text) const;

  std::vector<std::string> labels_;   // as configured
  std::vector<std::string> classes_;  // in the order of the logits
  int64_t sample_rate_ = 16000;       // Hz
  bool weights_by_occurrence_ = false;
  ModuleHandle loss_, eval_loss_, preprocessor_, encoder_, decoder_, spec_augmentation_, crop_or_pad_;
  Json front_end_section_;  // what preprocessor_ was made from
  InferenceFrontEnd inference_front_end_;

  // Of the evaluation loader in progress: children, so that their sums are those of all processes.
  MetricHandle accuracy_, macro_accuracy_, val_loss_;
  MetricHandle batch_accuracy_;  // of a training batch
};

}  // namespace fathom::asr
