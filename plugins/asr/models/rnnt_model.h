// Speech recognition with transducers: EncDecRNNTModel on characters, EncDecRNNTBPEModel on subwords. RNN-T, TDT
// (loss.loss_name: tdt, joint.num_extra_outputs) and multi-blank are the same classes.
#pragma once

#include "fathom/training_hooks.h"
#include "plugins/asr/decoding/transducer_decoding.h"
#include "plugins/asr/models/speech_model.h"
#include "plugins/asr/models/transducer_gradients.h"

namespace fathom::asr {

// The keys of a transducer's section, beside those of every speech model.
struct RNNTModelOptions : SpeechModelOptions {
  Json decoder, joint, decoding, loss, model_defaults, variational_noise, interctc;
  std::optional<std::string> rnnt_reduction;
  std::optional<bool> compute_eval_loss, normalize_joint_txu, normalize_encoder_norm, normalize_decoder_norm,
      normalize_joint_norm;
  static void describe(OptionSet<RNNTModelOptions>& o);
};

// What SpeechModel says, with the sections decoder, joint, model_defaults {enc_hidden, pred_hidden}, decoding and loss
// (optional), labels or joint.vocabulary, rnnt_reduction and compute_eval_loss. forward gives the encoder's output:
// outputs (B, D, T'), encoded_lengths (B).
//
// In training the joint network and the loss are one (transducer_loss.h) where the joint network can; the output of
// another plugin's joint network is made whole.
class EncDecRNNTModel : public SpeechModel, public TrainingHooks {
 public:
  using Options = RNNTModelOptions;

  static std::vector<PretrainedModelInfo> list_available_models();

  EncDecRNNTModel(Json config, ModelContext context);

  Ports outputs() const override;
  Values forward(const Values& in) override;
  void on_after_backward(const Step& step) override;

 protected:
  EncDecRNNTModel(Json config, ModelContext context, Kind kind);
  // Makes decoder, joint network, loss and decoding; a derived class adds its own children after it.
  void make_transducer();
  static Kind kind_of(const char* name, bool subwords) {
    return {name, {"decoder", "joint", "model_defaults"}, "joint", subwords};
  }

  at::Tensor loss_of(const Encoded& encoded, const Values& batch) override;
  std::vector<std::string> best_texts(const Encoded& encoded) const override;
  std::vector<Hypothesis> decode(const Encoded& encoded, const TranscribeOptions& options) const override;
  // With joint.fuse_loss_wer the mean over slices of fused_batch_size items, as NeMo logs it.
  double training_error_rate(const std::vector<std::string>& texts, const Values& batch) override;
  void relabel(const std::vector<std::string>& labels, bool keep_weights) override;

 private:
  void complete_sections();
  void refuse_what_is_missing() const;
  std::string loss_name() const;
  Json loss_config() const;  // RNNTLoss's options
  TransducerDecoding make_decoding() const;

  ModuleHandle decoder_, loss_;
  JointHandle joint_;
  std::string loss_text_;  // loss_config() as JSON, for the joint network
  bool compute_eval_loss_ = true;
  TransducerGradients gradients_;
  TransducerDecoding decoding_;
};

class EncDecRNNTBPEModel final : public EncDecRNNTModel {
 public:
  EncDecRNNTBPEModel(Json config, ModelContext context)
      : EncDecRNNTModel(std::move(config), std::move(context), kind_of("asr.EncDecRNNTBPEModel", true)) {
    make_transducer();
  }
  static std::vector<PretrainedModelInfo> list_available_models();
};

}  // namespace fathom::asr
