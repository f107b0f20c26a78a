#include "plugins/asr/losses/cross_entropy_loss.h"

#include <ATen/ATen.h>

namespace fathom::asr {
namespace {

constexpr int64_t kMostDimensions = 8;

Ports entropy_inputs(int64_t dimensions) {
  const auto axes = [](int64_t count) {
    std::string out = "B";
    for (int64_t i = 1; i < count; ++i) out += " ANY";
    return out;
  };
  return {{"logits", {axes(dimensions), LogitsType{}}},
          {"labels", {axes(dimensions - 1), LabelsType{}}},
          {"loss_mask", {axes(dimensions - 1), MaskType{}}, true}};
}
Ports entropy_outputs() { return {{"loss", {std::nullopt, LossType{}}}}; }

at::Reduction::Reduction reduction_of(const std::string& name) {
  if (name == "mean") return at::Reduction::Mean;
  if (name == "sum") return at::Reduction::Sum;
  if (name == "none") return at::Reduction::None;
  throw Error(Code::kFailed, "unknown reduction").at("reduction").seen(name).expected("mean, sum or none");
}

}  // namespace

void CrossEntropyLoss::Options::describe(OptionSet<Options>& o) {
  o("logits_ndim", &Options::logits_ndim, "dimensions of the logits");
  o("weight", &Options::weight, "weight of each class; null: all count alike");
  o("reduction", &Options::reduction, "mean, sum or none");
  o("ignore_index", &Options::ignore_index, "labels of this number do not count");
}

CrossEntropyLoss::CrossEntropyLoss(const Options& options) : options_(options) {
  reduction_of(options.reduction);
  if (options.logits_ndim < 2 || options.logits_ndim > kMostDimensions) {
    throw Error(Code::kFailed, "logits have another number of dimensions")
        .at("logits_ndim")
        .seen(std::to_string(options.logits_ndim))
        .expected("2 to " + std::to_string(kMostDimensions));
  }
  if (options.weight) weight_ = register_buffer("weight", at::tensor(*options.weight, at::kFloat));
}

Ports CrossEntropyLoss::inputs() const { return entropy_inputs(options_.logits_ndim); }
Ports CrossEntropyLoss::outputs() const { return entropy_outputs(); }
void CrossEntropyLoss::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(entropy_inputs(Options{}.logits_ndim));
  schema["outputs"] = ports_json(entropy_outputs());
}

Values CrossEntropyLoss::forward(const Values& in) {
  at::Tensor logits = in.tensor("logits").flatten(0, -2), labels = in.tensor("labels").flatten().to(at::kLong);
  if (weight_.defined() && weight_.size(0) != logits.size(-1)) {
    throw Error(Code::kFailed, "a loss has not one weight for each class")
        .at("weight")
        .seen(std::to_string(weight_.size(0)) + " weights")
        .expected(std::to_string(logits.size(-1)) + ", as many as classes");
  }
  if (const at::Tensor mask = in.tensor_or_undefined("loss_mask"); mask.defined()) {
    const at::Tensor counts = mask.scalar_type() == at::kBool ? mask.flatten() : mask.flatten() > 0.5;
    if (counts.any().item<bool>()) {
      logits = logits.index({counts});
      labels = labels.index({counts});
    } else {
      labels = logits.argmax(-1);
    }
  }
  return {
      {"loss", at::cross_entropy_loss(logits, labels, weight_.defined() ? weight_.to(logits.scalar_type()) : weight_,
                                      reduction_of(options_.reduction), options_.ignore_index)}};
}

}  // namespace fathom::asr
