#include "plugins/tts/losses/fastpitch_loss_components.h"

#include <ATen/ATen.h>

#include "plugins/tts/losses/fastpitch_losses.h"

namespace fathom::tts {

LossPorts MelLossKind::ports() {
  return {{{"spect_predicted", {"B D T", MelSpectrogramType{}}}, {"spect_tgt", {"B D T", MelSpectrogramType{}}}},
          "loss"};
}
at::Tensor MelLossKind::compute(const Values& in) {
  return mel_loss(in.tensor("spect_predicted"), in.tensor("spect_tgt"));
}

LossPorts DurationLossKind::ports() {
  return {{{"log_durs_predicted", {"B T", ElementType{"TokenLogDurationType", Json::object()}}},
           {"durs_tgt", {"B T", ElementType{"TokenDurationType", Json::object()}}},
           {"len", {"B", LengthsType{}}}},
          "loss"};
}
at::Tensor DurationLossKind::compute(const Values& in) {
  return duration_loss(in.tensor("log_durs_predicted"), in.tensor("durs_tgt"), in.tensor("len"));
}

LossPorts PitchLossKind::ports() {
  return {{{"pitch_predicted", {"B T", RegressionValuesType{}}},
           {"pitch_tgt", {"B T", RegressionValuesType{}}},
           {"len", {"B", LengthsType{}}}},
          "loss"};
}
at::Tensor PitchLossKind::compute(const Values& in) {
  return token_loss(in.tensor("pitch_predicted"), in.tensor("pitch_tgt"), in.tensor("len"));
}

LossPorts EnergyLossKind::ports() {
  return {{{"energy_predicted", {"B T", RegressionValuesType{}}},
           {"energy_tgt", {"B T", RegressionValuesType{}}},
           {"length", {"B", LengthsType{}}}},
          "loss"};
}
at::Tensor EnergyLossKind::compute(const Values& in) {
  return token_loss(in.tensor("energy_predicted"), in.tensor("energy_tgt"), in.tensor("length"));
}

LossPorts ForwardSumLossKind::ports() {
  return {{{"attn_logprob", {"B S T D", LogprobsType{}}},
           {"in_lens", {"B", LengthsType{}}},
           {"out_lens", {"B", LengthsType{}}}},
          "forward_sum_loss"};
}
at::Tensor ForwardSumLossKind::compute(const Values& in) {
  return forward_sum_loss(in.tensor("attn_logprob"), in.tensor("in_lens"), in.tensor("out_lens"));
}

LossPorts BinLossKind::ports() {
  return {{{"hard_attention", {"B S T D", ProbsType{}}}, {"soft_attention", {"B S T D", ProbsType{}}}}, "bin_loss"};
}
at::Tensor BinLossKind::compute(const Values& in) {
  return bin_loss(in.tensor("hard_attention"), in.tensor("soft_attention"));
}

}  // namespace fathom::tts
