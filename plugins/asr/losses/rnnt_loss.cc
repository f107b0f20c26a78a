#include "plugins/asr/losses/rnnt_loss.h"

#include "plugins/asr/losses/transducer_loss.h"

namespace fathom::asr {
namespace {

Ports rnnt_loss_inputs() {
  return {{"log_probs", {"B T T D", LogprobsType{}}},
          {"targets", {"B T", LabelsType{}}},
          {"input_lengths", {"B", LengthsType{}}},
          {"target_lengths", {"B", LengthsType{}}}};
}
Ports rnnt_loss_outputs() { return {{"loss", {std::nullopt, LossType{}}}}; }

}  // namespace

void RNNTLoss::Options::describe(OptionSet<Options>& o) {
  o.required("num_classes", &Options::num_classes,
             "the number of the blank: the tokens without it; of multi-blank also the big blanks")
      .example(4);
  o("reduction", &Options::reduction, "mean_batch, mean_volume, mean, sum, or none (null)");
  o("loss_name", &Options::loss_name, "default (warprnnt_numba, pytorch: RNN-T), tdt or multiblank_rnnt");
  o("loss_kwargs", &Options::loss_kwargs,
    "keywords of the loss: fastemit_lambda, clamp; durations, sigma, omega of tdt; big_blank_durations, sigma of "
    "multiblank_rnnt");
}

RNNTLoss::RNNTLoss(const Options& options)
    : options_(transducer_loss_options(options.num_classes, options.loss_name, options.reduction.value_or("none"),
                                       options.loss_kwargs)) {}

Ports RNNTLoss::inputs() const { return rnnt_loss_inputs(); }
Ports RNNTLoss::outputs() const { return rnnt_loss_outputs(); }
void RNNTLoss::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(rnnt_loss_inputs());
  schema["outputs"] = ports_json(rnnt_loss_outputs());
}

Values RNNTLoss::forward(const Values& in) {
  const TransducerTargets targets{in.tensor("targets"), in.tensor("target_lengths"), in.tensor("input_lengths")};
  return {{"loss", transducer_loss(in.tensor("log_probs"), targets, options_)}};
}

}  // namespace fathom::asr
