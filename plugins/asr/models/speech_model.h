// What every speech recognition model repeats: the way from audio to the encoder's output, data sections, the error
// rate of an evaluation, transcription. A model adds its decoder, loss and decoding (ctc_model.h is one).
#pragma once

#include "fathom/fine_tuning.h"
#include "fathom/model.h"
#include "fathom/vocabulary.h"
#include "plugins/asr/data/audio_to_bpe_dataset.h"
#include "plugins/asr/data/audio_to_char_dataset.h"
#include "plugins/asr/data/model_tokenizer.h"
#include "plugins/asr/decoding/hypothesis.h"
#include "plugins/asr/models/front_end.h"
#include "plugins/asr/models/inter_ctc.h"
#include "plugins/lib/text/vocabulary.h"

namespace fathom::asr {

// What fine-tuning does to the labels, as NeMo's speech_to_text_finetune.
struct CharLabelsOptions {
  bool update_labels = false;
  std::optional<std::vector<std::string>> labels;
  static void describe(OptionSet<CharLabelsOptions>& o);
};

// The keys of a model's section that every speech model reads, beside those that the host does.
struct SpeechModelOptions {
  Json preprocessor, encoder, spec_augment, labels, tokenizer, sample_rate;
  std::optional<bool> use_cer, log_prediction;
  std::optional<CharLabelsOptions> char_labels;
  static void describe(OptionSet<SpeechModelOptions>& o);
};

// Sections: preprocessor, encoder, spec_augment (optional), train_ds, validation_ds, test_ds, optim; labels, or
// tokenizer (model_tokenizer.h) for a model of subwords; use_cer, log_prediction.
//
// A batch of a training or evaluation step holds audio_signal (B,T) samples and a_sig_length (B), or processed_signal
// (B,D,T) and processed_signal_length (B), with transcripts (B,U) and transcript_length (B). forward takes input_signal
// with input_signal_length, or processed_signal with processed_signal_length.
//
// A derived constructor makes the children in NeMo's order, which is that of a state_dict: its decoder, then
// make_spec_augment(), its loss, and setup_adapters(*this, config_, "encoder"). It overrides relabel. One thread at a
// time.
class SpeechModel : public Model, public HasVocabulary, public FineTunable {
 public:
  Ports inputs() const override;
  Values input_example() const override;

  // Null for a section without a manifest. Stage kPredict takes `paths` or `manifest_filepath`.
  MadeDataset make_dataset(Stage stage, const Json& section, const std::string& config_path) override;
  // Logs train_loss, learning_rate, global_step and, every log_every_n_steps, training_batch_wer.
  at::Tensor training_step(const Values& batch, const Step& step) override;
  void validation_step(const Values& batch, const Step& step) override;
  // Logs val_loss (mean over batches) and val_wer (errors over words), or test_loss and test_wer.
  void eval_epoch_end(const Step& step) override;
  // {audio_filepath, pred_text, written_text?, text?, duration, offset?, timestamps?}. Options: timestamps (bool),
  // inverse_normalize (bool: written_text, English), decoder_type (text, of models with several). The front-end runs
  // without dither and without padding to a multiple of frames, as NeMo's transcribe.
  std::vector<Values> predict_step(const Values& batch, const Json& options) override;
  // Other labels, where char_labels asks for them; another tokenizer, where tokenizer.update_tokenizer does, as NeMo's
  // speech_to_text_finetune: with one of the same size the weights of the labels stay.
  void start_fine_tuning(const std::string& config_path) override;

  // The same labels change nothing, as in NeMo. A model of subwords refuses: its labels are its tokenizer's.
  void change_vocabulary(const std::vector<std::string>& vocabulary) override;
  // `section`: {dir, type}. What depends on the vocabulary starts from new weights. A model of characters refuses.
  void replace_tokenizer(const Json& section) override;
  // Those of the tokenizer.
  std::vector<std::pair<std::string, std::string>> artifacts() const override;

 protected:
  struct Kind {
    const char* name;                   // in messages: "asr.EncDecCTCModel"
    std::vector<const char*> sections;  // that must be there, beside preprocessor and encoder
    const char* labelled;   // the one of them that repeats the labels: vocabulary and num_classes; null: none
    bool subwords = false;  // the labels are a tokenizer's, which the config's tokenizer section names
  };
  // Checks the config, completes its labels and makes the children preprocessor and encoder.
  SpeechModel(Json config, ModelContext context, Kind kind);
  // The child spec_augmentation, where the config has spec_augment. It runs in training only.
  void make_spec_augment();

  // Where loss and decoding start from.
  struct Encoded {
    Value output;   // what head() gives
    Value lengths;  // (B) frames
  };
  // From forward's inputs, or an error that says what they must be.
  Encoded encode_inputs(const Values& in);

  // What the encoder's output (B,D,T') becomes first, the same for loss and decoding. By default itself.
  virtual Value head(const Value& encoder_output, const Value& /*lengths*/) { return encoder_output; }
  // Undefined in an evaluation that is told to have none.
  virtual at::Tensor loss_of(const Encoded& encoded, const Values& batch) = 0;
  // What the loss of a batch counts for in the mean of an evaluation.
  virtual double loss_weight(const Values& /*batch*/) const { return 1; }
  // training_batch_wer of a batch's texts.
  virtual double training_error_rate(const std::vector<std::string>& texts, const Values& batch);
  // What a model logs besides, after loss_of of a training step; `errors`: whether error rates are wanted.
  virtual void log_training(const Encoded& /*encoded*/, const Values& /*batch*/, const Step& /*step*/,
                            bool /*errors*/) {}
  // What it evaluates besides: a batch, and the results under `prefix` (val_ or test_) at the end.
  virtual void evaluate_also(const Encoded& /*encoded*/, const Values& /*batch*/) {}
  virtual void log_evaluation(const Step& /*step*/, const std::string& /*prefix*/) {}
  virtual void reset_evaluation();
  // Of a model with a CTC head, which calls set_inter_ctc(): what it does with a layer within the encoder. `batch`
  // outlives what is returned.
  virtual InterCtc::Head inter_ctc_head(const Values& batch);
  // Reads the section interctc; `wer`: the metric of its error rates.
  void set_inter_ctc(const Json& wer);
  // The likeliest text of every item, found fast: for error rates during training and evaluation.
  virtual std::vector<std::string> best_texts(const Encoded& encoded) const = 0;
  // What a transcription may ask for, beside the audio.
  struct TranscribeOptions {
    bool timestamps = false;
    std::string decoder_type;        // of a model with several decoders, which checks the name; empty: its own choice
    bool inverse_normalize = false;  // the text as people write it, too
    std::string precision;           // 32, bf16 or int8: the encoder's weights are laid out for it, and no longer train
  };
  // The best hypothesis of every item, by the configured strategy.
  virtual std::vector<Hypothesis> decode(const Encoded& encoded, const TranscribeOptions& options) const = 0;
  // The names that decoder_type may have; none: the model has one decoder.
  virtual std::vector<std::string> decoder_types() const { return {}; }

  // A new vocabulary: makes what depends on it (a decoder with make_relabelled, a loss, a decoding), calls set_labels
  // when nothing can fail any more, and puts the new parts in the place of the old ones. With keep_weights, which is
  // given only for as many labels as before, modules stay as they are. By default refused.
  virtual void relabel(const std::vector<std::string>& labels, bool keep_weights);
  // A module of `section`, on the device, in the dtype and the mode of `old`, which it may replace.
  ModuleHandle make_like(const ModuleHandle& old, const Json& section, const std::string& name) const;
  // The same with the labels in its vocabulary and num_classes.
  ModuleHandle make_relabelled(const ModuleHandle& old, Json section, const std::string& name,
                               const std::vector<std::string>& labels) const;
  // The labels of the model and of every section of its config that names them.
  void set_labels(const std::vector<std::string>& labels);

  // Adds the texts of a batch's items, against its transcripts.
  void count_errors(const std::vector<std::string>& texts, const Values& batch, const MetricHandle& wer) const;
  // The error rate of those items alone, first to last - 1.
  double error_rate_of(const std::vector<std::string>& texts, const Values& batch, size_t first, size_t last);

  // Facts of the encoder, such as feat_out; null where it gives none.
  Json encoder_properties() const { return encoder_.properties(); }

  void log_info(const std::string& text) const;
  void log_warning(const std::string& text) const;
  std::string path_of(const char* section) const;  // "model.decoder"
  const std::vector<std::string>& labels() const { return labels_; }
  const text::Vocabulary& vocabulary() const { return vocabulary_; }
  const ModelTokenizer& model_tokenizer() const { return tokenizer_; }
  int64_t sample_rate() const { return sample_rate_; }

 private:
  void read_tokenizer();
  text::Vocabulary make_vocabulary() const;
  void complete_labels();
  bool are_new_labels(const std::vector<std::string>& labels) const;
  void adopt_tokenizer(ModelTokenizer tokenizer, bool keep_weights);
  TranscribeOptions transcribe_options(const Json& options) const;
  void prepare_inference(const std::string& precision);
  Encoded encode(const Values& batch);
  void log_first_prediction(const std::vector<std::string>& texts, const Values& batch) const;
  Encoded encode_features(Value features, const Value& lengths);
  template <typename Dataset>
  typename Dataset::Options dataset_options(const Json& section, const std::string& config_path) const;
  MadeDataset make_predict_dataset(const Json& section, const std::string& config_path) const;

  const Kind kind_;
  std::vector<std::string> labels_;
  ModelTokenizer tokenizer_;  // of a model of subwords
  text::Vocabulary vocabulary_;
  Json next_tokenizer_ = nullptr;  // {dir, type} to change to when fine-tuning starts
  int64_t sample_rate_ = 16000;    // Hz
  bool log_prediction_ = false;
  ModuleHandle preprocessor_, spec_augmentation_, encoder_;
  Json front_end_section_;  // what preprocessor_ was made from
  InferenceFrontEnd inference_front_end_;

  // Of the evaluation loader in progress: children, so that their sums are those of all processes.
  MetricHandle wer_, val_loss_;
  MetricHandle batch_wer_;  // of a training batch
  InterCtc inter_ctc_;
};

// `section` with the class to make where it names none.
Json with_target(Json section, const char* target);

}  // namespace fathom::asr
