#include "plugins/asr/losses/smoothed_cross_entropy_loss.h"

#include <ATen/ATen.h>

namespace fathom::asr {
namespace {

Ports smoothed_inputs() {
  return {{"log_probs", {"B T D", LogprobsType{}}},
          {"labels", {"B T", LabelsType{}}},
          {"output_mask", {"B T", MaskType{}}, true}};
}
Ports smoothed_outputs() { return {{"loss", {std::nullopt, LossType{}}}}; }

}  // namespace

void SmoothedCrossEntropyLoss::Options::describe(OptionSet<Options>& o) {
  o("pad_id", &Options::pad_id, "labels of this number do not count, where no output_mask is given");
  o("label_smoothing", &Options::label_smoothing, "share of every label that the other classes get");
  o("predict_last_k", &Options::predict_last_k, "only so many last positions count; 0: all");
  o("eps", &Options::eps, "added to the number of positions, so that there may be none");
  o("per_token_reduction", &Options::per_token_reduction, "the mean; otherwise one loss a position");
}

SmoothedCrossEntropyLoss::SmoothedCrossEntropyLoss(const Options& options) : options_(options) {
  if (!(options.label_smoothing >= 0 && options.label_smoothing < 1)) {
    throw Error(Code::kFailed, "a label cannot be smoothed that much")
        .at("label_smoothing")
        .seen(json_text(Json(options.label_smoothing)))
        .expected("0 or more and below 1");
  }
  if (options.predict_last_k < 0) {
    throw Error(Code::kFailed, "a loss has no negative number of positions")
        .at("predict_last_k")
        .seen(std::to_string(options.predict_last_k));
  }
  if (!(options.eps > 0)) {
    throw Error(Code::kFailed, "eps keeps the loss from dividing by zero")
        .at("eps")
        .seen(json_text(Json(options.eps)))
        .expected("a positive number");
  }
}

Ports SmoothedCrossEntropyLoss::inputs() const { return smoothed_inputs(); }
Ports SmoothedCrossEntropyLoss::outputs() const { return smoothed_outputs(); }
void SmoothedCrossEntropyLoss::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(smoothed_inputs());
  schema["outputs"] = ports_json(smoothed_outputs());
}

Values SmoothedCrossEntropyLoss::forward(const Values& in) {
  at::Tensor log_probs = in.tensor("log_probs"), labels = in.tensor("labels").to(at::kLong);
  at::Tensor mask = in.tensor_or_undefined("output_mask");
  if (log_probs.size(0) != labels.size(0) || log_probs.size(1) != labels.size(1) || log_probs.size(2) < 2) {
    throw Error(Code::kFailed, "log-probabilities do not fit their labels")
        .seen("log_probs " + c10::str(log_probs.sizes()) + ", labels " + c10::str(labels.sizes()))
        .expected("(B, T, V) of two classes or more, and (B, T)");
  }
  if (!mask.defined()) {
    if (!options_.pad_id) {
      throw Error(Code::kFailed, "a loss does not know which labels count")
          .at("pad_id")
          .seen("null, and no output_mask")
          .expected("one of them");
    }
    mask = labels.ne(*options_.pad_id);
  }
  mask = mask.to(log_probs.scalar_type());
  if (options_.predict_last_k > 0) {
    const int64_t first = std::max<int64_t>(log_probs.size(1) - options_.predict_last_k, 0);
    log_probs = log_probs.slice(1, first);
    labels = labels.slice(1, first);
    mask = mask.slice(1, first);
  }
  const auto classes = static_cast<double>(log_probs.size(2));
  // The share of the mean over all classes, the label's own among them.
  const double spread = classes * options_.label_smoothing / (classes - 1);
  at::Tensor likelihood = log_probs.gather(2, labels.unsqueeze(2)).squeeze(2);
  if (spread > 0) likelihood = likelihood * (1 - spread) + log_probs.mean(-1) * spread;
  const at::Tensor counted = -(likelihood * mask);
  return {{"loss", options_.per_token_reduction ? counted.sum() / (mask.sum() + options_.eps) : counted}};
}

}  // namespace fathom::asr
