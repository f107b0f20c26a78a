// Speech recognition with CTC: EncDecCTCModel on characters (Jasper, QuartzNet), EncDecCTCModelBPE on subwords
// (Citrinet, Conformer).
#pragma once

#include "plugins/asr/decoding/ctc_decoding.h"
#include "plugins/asr/models/speech_model.h"

namespace fathom::asr {

// What SpeechModel says, with the sections decoder and decoding (optional), labels or decoder.vocabulary, and
// ctc_reduction. forward gives log_probs (B,T',V+1), encoded_lengths (B) and greedy_predictions (B,T').
class EncDecCTCModel : public SpeechModel {
 public:
  struct Options : SpeechModelOptions {
    Json decoder, decoding, interctc;
    std::optional<std::string> ctc_reduction;
    static void describe(OptionSet<Options>& o);
  };

  static std::vector<PretrainedModelInfo> list_available_models();

  EncDecCTCModel(Json config, ModelContext context);

  Ports outputs() const override;
  Values forward(const Values& in) override;

  const CtcDecoding& decoding() const { return decoding_; }

 protected:
  EncDecCTCModel(Json config, ModelContext context, Kind kind);

  Value head(const Value& encoder_output, const Value& lengths) override;
  at::Tensor loss_of(const Encoded& encoded, const Values& batch) override;
  std::vector<std::string> best_texts(const Encoded& encoded) const override;
  InterCtc::Head inter_ctc_head(const Values& batch) override;
  std::vector<Hypothesis> decode(const Encoded& encoded, const TranscribeOptions& options) const override;
  // A new decoder, loss and decoding; the labels of the data sections follow.
  void relabel(const std::vector<std::string>& labels, bool keep_weights) override;

 private:
  ModuleHandle make_loss() const;
  CtcDecoding make_decoding() const;

  ModuleHandle decoder_, loss_;
  CtcDecoding decoding_;
};

// The same on the tokens of a tokenizer: the section tokenizer (model_tokenizer.h) fills decoder.vocabulary and
// decoder.num_classes.
class EncDecCTCModelBPE final : public EncDecCTCModel {
 public:
  EncDecCTCModelBPE(Json config, ModelContext context)
      : EncDecCTCModel(std::move(config), std::move(context),
                       {"asr.EncDecCTCModelBPE", {"decoder"}, "decoder", /*subwords=*/true}) {}

  static std::vector<PretrainedModelInfo> list_available_models();
};

}  // namespace fathom::asr
