#include "plugins/asr/losses/ctc_loss.h"

#include <ATen/ATen.h>

#include <set>

namespace fathom::asr {
namespace {

Ports loss_inputs() {
  return {{"log_probs", {"B T D", LogprobsType{}}},
          {"targets", {"B T", LabelsType{}}},
          {"input_lengths", {"B", LengthsType{}}},
          {"target_lengths", {"B", LengthsType{}}}};
}
Ports loss_outputs() { return {{"loss", {std::nullopt, LossType{}}}}; }

}  // namespace

void CTCLoss::Options::describe(OptionSet<Options>& o) {
  o.required("num_classes", &Options::num_classes, "symbols without the blank, which is class number num_classes");
  o("zero_infinity", &Options::zero_infinity, "items without an alignment count as 0 and give no gradient");
  o("reduction", &Options::reduction, "mean_batch, mean_volume, mean, sum or none");
}

CTCLoss::CTCLoss(const Options& options) : options_(options) {
  static const std::set<std::string> kReductions = {"mean_batch", "mean_volume", "mean", "sum", "none"};
  if (kReductions.count(options.reduction) == 0) {
    throw Error(Code::kFailed, "unknown reduction")
        .at("reduction")
        .seen(options.reduction)
        .expected("mean_batch, mean_volume, mean, sum or none");
  }
}

Ports CTCLoss::inputs() const { return loss_inputs(); }
Ports CTCLoss::outputs() const { return loss_outputs(); }
void CTCLoss::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(loss_inputs());
  schema["outputs"] = ports_json(loss_outputs());
}

Values CTCLoss::forward(const Values& in) {
  const at::Tensor log_probs = in.tensor("log_probs").transpose(0, 1);
  const at::Tensor target_lengths = in.tensor("target_lengths").to(at::kLong);
  if (options_.num_classes >= log_probs.size(-1)) {
    throw Error(Code::kFailed, "the blank is not one of the classes")
        .seen("num_classes " + std::to_string(options_.num_classes) + ", log_probs have " +
              std::to_string(log_probs.size(-1)))
        .expected("num_classes smaller than the last dimension of log_probs");
  }
  const auto reduction = options_.reduction == "mean"  ? at::Reduction::Mean
                         : options_.reduction == "sum" ? at::Reduction::Sum
                                                       : at::Reduction::None;
  at::Tensor loss =
      at::ctc_loss(log_probs, in.tensor("targets").to(at::kLong), in.tensor("input_lengths").to(at::kLong),
                   target_lengths, options_.num_classes, reduction, options_.zero_infinity);
  if (options_.reduction == "mean_batch")
    loss = loss.mean();
  else if (options_.reduction == "mean_volume")
    loss = loss.sum() / target_lengths.sum();
  return {{"loss", loss}};
}

}  // namespace fathom::asr
