// Transducers with a CTC head on the same encoder: EncDecHybridRNNTCTCModel on characters, EncDecHybridRNNTCTCBPEModel
// on subwords.
#pragma once

#include "plugins/asr/decoding/ctc_decoding.h"
#include "plugins/asr/models/rnnt_model.h"

namespace fathom::asr {

struct AuxCtcOptions {
  double ctc_loss_weight = 0.5;
  std::string ctc_reduction = "mean_batch";
  bool use_cer = false;
  Json decoder, decoding;
  static void describe(OptionSet<AuxCtcOptions>& o);
};

struct HybridModelOptions : RNNTModelOptions {
  Json aux_ctc;
  static void describe(OptionSet<HybridModelOptions>& o);
};

// What EncDecRNNTModel says, with the section aux_ctc. The loss is (1 - w) of the transducer's and w of the CTC head's,
// w = aux_ctc.ctc_loss_weight. Logged besides: train_rnnt_loss, train_ctc_loss, training_batch_wer_ctc, val_wer_ctc.
// Transcription is the transducer's; the option decoder_type: ctc makes it the head's.
class EncDecHybridRNNTCTCModel : public EncDecRNNTModel {
 public:
  using Options = HybridModelOptions;

  static std::vector<PretrainedModelInfo> list_available_models() { return {}; }

  EncDecHybridRNNTCTCModel(Json config, ModelContext context)
      : EncDecHybridRNNTCTCModel(std::move(config), std::move(context),
                                 kind_of("asr.EncDecHybridRNNTCTCModel", false)) {}

 protected:
  EncDecHybridRNNTCTCModel(Json config, ModelContext context, Kind kind);

  at::Tensor loss_of(const Encoded& encoded, const Values& batch) override;
  std::vector<Hypothesis> decode(const Encoded& encoded, const TranscribeOptions& options) const override;
  std::vector<std::string> decoder_types() const override { return {"rnnt", "ctc"}; }
  void relabel(const std::vector<std::string>& labels, bool keep_weights) override;
  void log_training(const Encoded& encoded, const Values& batch, const Step& step, bool errors) override;
  void evaluate_also(const Encoded& encoded, const Values& batch) override;
  void log_evaluation(const Step& step, const std::string& prefix) override;
  void reset_evaluation() override;
  InterCtc::Head inter_ctc_head(const Values& batch) override;

 private:
  at::Tensor ctc_log_probs(const Encoded& encoded) const;
  std::vector<std::string> ctc_texts(const Encoded& encoded) const;
  at::Tensor ctc_loss_of(const at::Tensor& log_probs, const Value& lengths, const Values& batch) const;
  ModuleHandle make_ctc_loss() const;
  CtcDecoding make_ctc_decoding() const;

  double weight_ = 0.5;
  ModuleHandle ctc_decoder_, ctc_loss_;
  CtcDecoding ctc_decoding_;
  MetricHandle ctc_wer_, batch_ctc_wer_;
  // Of the training step in progress.
  at::Tensor log_probs_, rnnt_part_, ctc_part_;
};

class EncDecHybridRNNTCTCBPEModel final : public EncDecHybridRNNTCTCModel {
 public:
  EncDecHybridRNNTCTCBPEModel(Json config, ModelContext context)
      : EncDecHybridRNNTCTCModel(std::move(config), std::move(context),
                                 kind_of("asr.EncDecHybridRNNTCTCBPEModel", true)) {}
  static std::vector<PretrainedModelInfo> list_available_models();
};

}  // namespace fathom::asr
