// EncDecCTCModel: character speech recognition with CTC (Jasper, QuartzNet).
#pragma once

#include "plugins/asr/decoding/ctc_decoding.h"
#include "plugins/asr/models/speech_model.h"

namespace fathom::asr {

// What SpeechModel says, with the sections decoder and decoding (optional), labels or decoder.vocabulary, and
// ctc_reduction. forward gives log_probs (B,T',V+1), encoded_lengths (B) and greedy_predictions (B,T').
class EncDecCTCModel final : public SpeechModel {
 public:
  struct Options : SpeechModelOptions {
    Json decoder, decoding;
    std::optional<std::string> ctc_reduction;
    static void describe(OptionSet<Options>& o);
  };

  static std::vector<PretrainedModelInfo> list_available_models();

  EncDecCTCModel(Json config, ModelContext context);

  Ports outputs() const override;
  Values forward(const Values& in) override;

  // A new decoder, loss and decoding for other labels; the labels of the data sections follow. The same labels change
  // nothing, as in NeMo.
  void change_vocabulary(const std::vector<std::string>& vocabulary) override;

  const CtcDecoding& decoding() const { return decoding_; }

 protected:
  Value head(const Value& encoder_output) override;
  at::Tensor loss_of(const Encoded& encoded, const Values& batch) override;
  std::vector<std::string> best_texts(const Encoded& encoded) const override;
  std::vector<Hypothesis> decode(const Encoded& encoded, bool timestamps) const override;

 private:
  ModuleHandle make_loss() const;
  CtcDecoding make_decoding() const;

  ModuleHandle decoder_, loss_;
  CtcDecoding decoding_;
};

}  // namespace fathom::asr
